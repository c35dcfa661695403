//! The PROXY header, versions 1 and 2: a load balancer begins a connection with it to pass on the client's address.
//!
//! Source: the PROXY protocol specification of HAProxy (`proxy-protocol.txt`, 2020). It is only read from addresses in
//! `listen.proxy_protocol_from`, because anyone who may send it can claim any address.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::system::net::Deadline;

/// How long the whole header may take. A load balancer sends it immediately.
const PATIENCE: Duration = Duration::from_secs(5);

/// Both versions are at least this long, in bytes; it is also the length of version 2's signature.
const SHORTEST: usize = 12;

/// What version 2 begins with.
const SIGNATURE: [u8; SHORTEST] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, in bytes, with its line end.
const LONGEST_V1: usize = 107;

/// The longest body of version 2 that is read, in bytes: addresses and room for many extras.
const LONGEST_V2: usize = 4096;

/// Why there was no header.
#[derive(Debug)]
pub enum NoHeader {
    /// The connection ended without a byte: something only checked whether the port is open.
    Empty,
    /// What is wrong, to be put after "it sent".
    Bad(String),
}

/// Reads the header from a connection, and nothing after it. The address is the miner's; `None`: the load balancer
/// itself connects (`UNKNOWN`, `LOCAL`), as for health checks.
///
/// # Errors
/// If the connection does not begin with a header, or takes more than five seconds for it.
pub fn read(stream: &TcpStream) -> Result<Option<SocketAddr>, NoHeader> {
    let source = Patient {
        stream,
        until: Deadline::after(PATIENCE),
    };
    let header = read_from(source);
    // The reader of lines has no time limit.
    let _ = stream.set_read_timeout(None);
    header
}

/// A connection with a time limit for reading.
struct Patient<'a> {
    stream: &'a TcpStream,
    until: Deadline,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until.read(self.stream, buffer)
    }
}

/// The same for any source; nothing after the header is read.
///
/// # Errors
/// If it does not begin with a header.
pub fn read_from(mut source: impl Read) -> Result<Option<SocketAddr>, NoHeader> {
    let mut start = [0; SHORTEST];
    let [first, rest @ ..] = &mut start;
    match source.read(std::slice::from_mut(first)) {
        Ok(0) => return Err(NoHeader::Empty),
        Ok(_) => (),
        Err(error) => return Err(cut_short(&error)),
    }
    fill(&mut source, rest)?;
    if start == SIGNATURE {
        read_v2(source)
    } else if start.starts_with(b"PROXY ") {
        read_v1(source, &start)
    } else {
        Err(bad(
            "no PROXY header, though its address is in listen.proxy_protocol_from",
        ))
    }
}

fn read_v1(mut source: impl Read, start: &[u8]) -> Result<Option<SocketAddr>, NoHeader> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_V1 {
            return Err(bad("a PROXY header of version 1 that does not end"));
        }
        // One byte at a time, because what follows the header belongs to the miner.
        let mut byte = [0];
        fill(&mut source, &mut byte)?;
        line.extend(byte);
    }
    let text = String::from_utf8_lossy(&line);
    let wrong = || NoHeader::Bad(format!("a wrong PROXY header: {:?}", text.trim_end()));
    let words: Vec<&str> = text.trim_end().split(' ').collect();
    match *words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, _, port, _] => {
            let ip: IpAddr = source.parse().map_err(|_| wrong())?;
            if ip.is_ipv4() != (family == "TCP4") {
                return Err(wrong());
            }
            let port = port.parse().map_err(|_| wrong())?;
            Ok(Some(address(ip, port)))
        }
        _ => Err(wrong()),
    }
}

fn read_v2(mut source: impl Read) -> Result<Option<SocketAddr>, NoHeader> {
    let mut fixed = [0; 4];
    fill(&mut source, &mut fixed)?;
    let [version_and_command, family_and_transport, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_V2 {
        return Err(bad("a PROXY header of version 2 that is too long"));
    }
    let mut body = vec![0; length];
    fill(&mut source, &mut body)?;
    match version_and_command {
        // LOCAL, PROXY.
        0x20 => return Ok(None),
        0x21 => (),
        _ => return Err(bad("a PROXY header of a version other than 1 or 2")),
    }
    let cut = || bad("a PROXY header of version 2 that is too short for its addresses");
    match family_and_transport {
        // TCP over IPv4: two addresses, two ports. What follows are extras.
        0x11 => {
            let (ip, rest) = body.split_first_chunk::<4>().ok_or_else(cut)?;
            let port = rest.get(4..6).ok_or_else(cut)?;
            Ok(Some(address(Ipv4Addr::from(*ip).into(), big_endian(port))))
        }
        // TCP over IPv6.
        0x21 => {
            let (ip, rest) = body.split_first_chunk::<16>().ok_or_else(cut)?;
            let port = rest.get(16..18).ok_or_else(cut)?;
            Ok(Some(address(Ipv6Addr::from(*ip).into(), big_endian(port))))
        }
        // Unspecified, and local sockets, which have no address of ours.
        0x00 | 0x31 => Ok(None),
        _ => Err(bad("a PROXY header of a connection that is not TCP")),
    }
}

fn address(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

fn big_endian(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u16::from(*byte))
}

fn fill(source: &mut impl Read, buffer: &mut [u8]) -> Result<(), NoHeader> {
    source.read_exact(buffer).map_err(|error| cut_short(&error))
}

fn cut_short(error: &io::Error) -> NoHeader {
    bad(if error.kind() == io::ErrorKind::TimedOut {
        "no complete PROXY header within five seconds"
    } else {
        "no complete PROXY header before the connection ended"
    })
}

fn bad(what: &str) -> NoHeader {
    NoHeader::Bad(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result, and the number of bytes left for the miner.
    fn parse(bytes: &[u8]) -> (String, usize) {
        let mut rest = bytes;
        let said = match read_from(&mut rest) {
            Ok(Some(address)) => address.to_string(),
            Ok(None) => "itself".into(),
            Err(NoHeader::Empty) => "empty".into(),
            Err(NoHeader::Bad(what)) => what,
        };
        (said, rest.len())
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_version_1_header_can_be_read() {
        let good = [
            (
                "PROXY TCP4 10.1.2.3 10.0.0.1 4711 3351\r\n",
                "10.1.2.3:4711",
            ),
            ("PROXY TCP6 fd00::7 fd00::1 4711 3351\r\n", "[fd00::7]:4711"),
            ("PROXY TCP6 ::ffff:10.1.2.3 ::1 9 1\r\n", "10.1.2.3:9"),
            ("PROXY UNKNOWN\r\n", "itself"),
            ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "itself"),
        ];
        for (header, expected) in good {
            let bytes = format!("{header}{{\"id\":1}}\n");
            assert_eq!(parse(bytes.as_bytes()), (expected.into(), 9), "{header}");
        }
        let wrong = [
            "PROXY TCP4 fd00::7 fd00::1 1 2\r\n",
            "PROXY TCP4 10.1.2.3 10.0.0.1 70000 3351\r\n",
            "PROXY TCP4 10.1.2.3 10.0.0.1 1\r\n",
            "PROXY UDP4 10.1.2.3 10.0.0.1 1 2\r\n",
            "PROXY TCP4 10.1.2.300 10.0.0.1 1 2\r\n",
        ];
        for header in wrong {
            let (said, _) = parse(header.as_bytes());
            assert!(
                said.starts_with("a wrong PROXY header: "),
                "{header}: {said}"
            );
        }
        let endless = format!("PROXY TCP4 {}", "1".repeat(1000));
        assert_eq!(
            parse(endless.as_bytes()),
            (
                "a PROXY header of version 1 that does not end".into(),
                endless.len() - LONGEST_V1
            )
        );
    }

    #[test]
    fn a_version_2_header_can_be_read() {
        let four = [10, 1, 2, 3, 10, 0, 0, 1, 0x12, 0x67, 0x0d, 0x17];
        let mut six = [0; 36];
        (six[0], six[15]) = (0xfd, 7);
        (six[32], six[33]) = (0x12, 0x67);
        let with_extras = [&four[..], &[0x20, 0, 3, 1, 2, 3]].concat();
        let good = [
            (v2(0x21, 0x11, &four), "10.1.2.3:4711"),
            (v2(0x21, 0x11, &with_extras), "10.1.2.3:4711"),
            (v2(0x21, 0x21, &six), "[fd00::7]:4711"),
            (v2(0x20, 0x11, &four), "itself"),
            (v2(0x20, 0x00, &[]), "itself"),
            (v2(0x21, 0x00, &[]), "itself"),
            (v2(0x21, 0x31, &[0; 216]), "itself"),
        ];
        for (header, expected) in good {
            let bytes = [&header[..], b"{}\n"].concat();
            assert_eq!(parse(&bytes), (expected.into(), 3), "{header:?}");
        }
        let wrong = [
            v2(0x11, 0x11, &four),
            v2(0x22, 0x11, &four),
            v2(0x21, 0x12, &four),
            v2(0x21, 0x11, &four[..9]),
            v2(0x21, 0x21, &four),
            v2(0x21, 0x11, &vec![0; LONGEST_V2 + 1]),
        ];
        for header in wrong {
            let (said, _) = parse(&header);
            assert!(said.starts_with("a PROXY header of "), "{said}");
        }
    }

    #[test]
    fn other_bytes_are_not_a_header() {
        assert_eq!(parse(b"").0, "empty");
        let (said, _) = parse(b"{\"id\":1,\"method\":\"mining.subscribe\"}\n");
        assert!(said.starts_with("no PROXY header, though"), "{said}");
        for cut in [
            &b"PROXY"[..],
            b"PROXY TCP4 10.1.2.3 10",
            &v2(0x21, 0x11, &[0; 12])[..20],
        ] {
            assert_eq!(
                parse(cut).0,
                "no complete PROXY header before the connection ended"
            );
        }
    }
}
