//! Sockets as all parts of the program need them: ports that can be stopped, vanished peers that are noticed, and reads
//! and writes with a time limit.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::system::clock::clock;
use crate::system::port_owner::{Program, owner_of};
use crate::units::later;

/// How long to wait after a failed accept; it is usually a lack of descriptors.
pub const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// How many connections the system may queue: a farm returns all at the same time after a restart.
const BACKLOG: i32 = 1024;

/// How long DPMP's own connection, which ends the wait in `accept`, may take.
const WAKE_UP: Duration = Duration::from_millis(100);

/// After this long without traffic, the system checks whether the peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// And then this often.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// If the peer's system does not acknowledge sent data for this long, the peer is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// An open port. Clones share it, and it closes with the last one.
#[derive(Clone, Debug)]
pub struct Port {
    listener: Arc<TcpListener>,
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Port {
    /// Opens a port.
    ///
    /// # Errors
    /// If it is taken or not allowed.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if let SocketAddr::V6(v6) = address {
            // "::" serves IPv4 as well.
            socket.set_only_v6(!v6.ip().is_unspecified())?;
        }
        // So that a restart need not wait for old connections to be forgotten.
        socket.set_reuse_address(true)?;
        socket
            .bind(&address.into())
            .and_then(|()| socket.listen(BACKLOG))
            .map_err(|error| with_reason(error, address.port()))?;
        let listener = TcpListener::from(socket);
        Ok(Self {
            address: listener.local_addr()?,
            listener: Arc::new(listener),
            stopped: Arc::default(),
        })
    }

    /// The address it listens on; the real port if 0 was requested.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection; `None` once the port is stopped. On a port for both families, an IPv4 peer has
    /// its IPv4 address.
    pub fn accept(&self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.listener.accept();
        if self.stopped.load(Ordering::SeqCst) {
            return None;
        }
        Some(accepted.map(|(stream, peer)| {
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            (stream, peer)
        }))
    }

    /// Accepts no more connections, and ends a wait in `accept`.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // On Linux this is enough and does not wait; on other systems, a connection to ourselves ends the wait.
        let closed = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        let linux = cfg!(any(target_os = "linux", target_os = "android"));
        if !(linux && closed.is_ok()) {
            let _ = TcpStream::connect_timeout(&local(self.address), WAKE_UP);
        }
    }
}

/// Why a port cannot be opened, with advice.
fn with_reason(error: io::Error, port: u16) -> io::Error {
    let reason = if error.kind() == ErrorKind::AddrInUse {
        match owner_of(port) {
            Some(Program { name, process }) => format!(
                "{name} (process {process}) already uses port {port}. Stop it, or choose another port"
            ),
            None => format!(
                "another program already uses port {port}. Stop it, or choose another port. On Linux, `sudo ss -ltnp \
                 sport = :{port}` shows which one"
            ),
        }
    } else if error.kind() == ErrorKind::PermissionDenied {
        format!("the system does not allow port {port}. Choose one of 1024 or higher")
    } else if error.kind() == ErrorKind::AddrNotAvailable {
        "this machine does not have this address".to_owned()
    } else {
        return error;
    };
    io::Error::new(error.kind(), reason)
}

/// The addresses under which others can reach this machine: those from which it would reach the Internet, IPv4 first.
/// Nothing is sent for this.
pub fn own_addresses() -> Vec<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849): they only select the route.
    let everywhere: [(IpAddr, IpAddr); 2] = [
        (
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        ),
        (
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ),
    ];
    let from = |(any, there): (IpAddr, IpAddr)| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((there, 9)).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
    };
    everywhere.into_iter().filter_map(from).collect()
}

/// How to reach a port of this machine that is open on this address.
pub fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Makes a new connection send without delay, and end if its peer has vanished.
///
/// # Errors
/// If the connection is gone.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

/// A deadline for an operation, in however many small steps a peer allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// This long from now.
    pub fn after(patience: Duration) -> Self {
        Self(later(clock(), patience))
    }

    /// How much time is left.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if none is.
    pub fn left(self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(clock());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(left)
    }

    /// Reads available data, or waits for it. It leaves the connection with a read timeout.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if nothing comes in time, or the error of the connection.
    pub fn read(self, mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            stream.set_read_timeout(Some(self.left()?))?;
            match stream.read(buffer) {
                Err(error) if passes(&error) => {}
                read => return read,
            }
        }
    }

    /// Writes all bytes. It leaves the connection with a write timeout.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if the peer does not take it in time, or the error of the connection.
    pub fn write_all(self, mut stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            stream.set_write_timeout(Some(self.left()?))?;
            match stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if passes(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether to try again: there was a signal, or the time may be over, which the clock decides.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::system::thread::{WRITER_STACK, spawn};

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    /// The two ends of a connection; the second has a receive buffer of this many bytes, if given.
    pub(crate) fn loopback(receives: Option<usize>) -> (TcpStream, TcpStream) {
        let port = Port::open((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        if let Some(bytes) = receives {
            let socket = SockRef::from(&*port.listener);
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let ours = TcpStream::connect(port.address()).unwrap();
        let (theirs, _) = port.accept().unwrap().unwrap();
        (ours, theirs)
    }

    #[test]
    fn a_stop_ends_waiting_for_a_connection() {
        for host in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv4Addr::UNSPECIFIED.into(),
        ] {
            let port = Port::open((host, 0).into()).unwrap();
            let client = TcpStream::connect(local(port.address())).unwrap();
            let (_, peer) = port.accept().unwrap().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            let accepting = port.clone();
            let ended = move || accepting.accept().is_none();
            let acceptor = spawn("acceptor", WRITER_STACK, ended).unwrap();
            port.stop();
            assert!(acceptor.join().unwrap());
        }
    }

    #[test]
    fn reads_and_writes_time_out() {
        let (client, server) = loopback(None);
        let mut buffer = [0; 4];
        let late = |result: io::Result<()>| result.unwrap_err().kind() == ErrorKind::TimedOut;
        assert!(late(
            Deadline::after(SHORT).read(&client, &mut buffer).map(drop)
        ));
        Deadline::after(PATIENCE)
            .write_all(&server, b"abc")
            .unwrap();
        assert_eq!(
            Deadline::after(PATIENCE)
                .read(&client, &mut buffer)
                .unwrap(),
            3
        );
        // The data is not read.
        let much = vec![0; 64 << 20];
        assert!(late(Deadline::after(SHORT).write_all(&client, &much)));
        assert!(late(Deadline(clock()).write_all(&client, b"x")));
    }
}
