//! Writes an answer: its head, and its body with a length, in chunks, or until the connection ends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use rouille::Response;

use super::Limits;
use super::head::{Version, is_field_value, is_token};
use crate::system::net::Deadline;

/// How many bytes of a body are read and written at a time.
const PIECE: usize = 16 * 1024;

/// Headers that say how an answer is sent; handlers must not set them.
const OURS: [&str; 6] = [
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// The properties of a request that decide how its answer is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    pub(super) version: Version,
    /// Only the head is wanted.
    pub(super) head_only: bool,
    pub(super) keep_alive: bool,
}

/// How the client knows where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// This status has neither a body nor a length.
    Bodiless,
    Length(usize),
    Chunked,
    UntilClose,
}

/// Writes the last answer, to a request that was not understood.
///
/// # Errors
/// If the client is gone or too slow.
pub(super) fn refuse(stream: &TcpStream, limits: &Limits, response: Response) -> io::Result<()> {
    let asked = Delivery {
        version: Version::Http11,
        head_only: false,
        keep_alive: false,
    };
    write(stream, limits, asked, response).map(drop)
}

/// Writes an answer; returns whether the connection may be used for another one.
///
/// # Errors
/// If the client is gone or too slow, or the body could not be read to its end.
pub(super) fn write(
    stream: &TcpStream,
    limits: &Limits,
    asked: Delivery,
    response: Response,
) -> io::Result<bool> {
    let total = Deadline::after(limits.answer);
    let Response {
        status_code: status,
        headers,
        data,
        upgrade: _,
    } = response;
    let (mut body, length) = data.into_reader_and_size();
    let framing = match (status, length, asked.version) {
        (204 | 304, _, _) => Framing::Bodiless,
        (_, Some(length), _) => Framing::Length(length),
        (_, None, Version::Http11) => Framing::Chunked,
        (_, None, Version::Http10) => Framing::UntilClose,
    };
    let keep_alive = asked.keep_alive && (framing != Framing::UntilClose || asked.head_only);
    let mut out = head(status, &headers, framing, asked.version, keep_alive);
    let within_total = |limits: &Limits| total.min(Deadline::after(limits.write));
    match framing {
        Framing::Length(length) if !asked.head_only => {
            let mut left = length;
            while left > 0 {
                let piece = read(&mut body, left.min(PIECE), &mut out)?;
                if piece == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                left -= piece;
                within_total(limits).write_all(stream, &out)?;
                out.clear();
            }
            within_total(limits).write_all(stream, &out)?;
        }
        Framing::Chunked | Framing::UntilClose if !asked.head_only => {
            // The first piece of the body may take a while.
            Deadline::after(limits.write).write_all(stream, &out)?;
            stream_body(stream, limits, framing, &mut body)?;
        }
        Framing::Bodiless | Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
            within_total(limits).write_all(stream, &out)?;
        }
    }
    Ok(keep_alive)
}

/// Each piece is sent before waiting for the next one, with no limit for the whole.
fn stream_body(
    stream: &TcpStream,
    limits: &Limits,
    framing: Framing,
    body: &mut impl Read,
) -> io::Result<()> {
    let (mut piece, mut out) = (Vec::new(), Vec::new());
    loop {
        piece.clear();
        out.clear();
        let length = read(body, PIECE, &mut piece)?;
        if framing == Framing::Chunked {
            // The last chunk is empty.
            write!(out, "{length:x}\r\n")?;
            piece.extend_from_slice(b"\r\n");
        }
        out.append(&mut piece);
        Deadline::after(limits.write).write_all(stream, &out)?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// The head of an answer. Invalid headers, such as those with a line break, are left out.
fn head<V: AsRef<str>>(
    status: u16,
    headers: &[(V, V)],
    framing: Framing,
    version: Version,
    keep_alive: bool,
) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status:03} {}\r\n", reason(status));
    let mut add = |name: &str, value: &str| {
        head.extend([name, ": ", value, "\r\n"]);
    };
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref());
        let ours = OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name));
        if !ours && is_token(name.as_bytes()) && is_field_value(value.as_bytes()) {
            add(name, value);
        }
    }
    match framing {
        Framing::Bodiless | Framing::UntilClose => {}
        Framing::Length(length) => add("Content-Length", &length.to_string()),
        Framing::Chunked => add("Transfer-Encoding", "chunked"),
    }
    match (keep_alive, version) {
        (false, _) => add("Connection", "close"),
        (true, Version::Http10) => add("Connection", "keep-alive"),
        (true, Version::Http11) => {}
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Appends the result of one read, at most `most` bytes; returns how many.
fn read(body: &mut impl Read, most: usize, out: &mut Vec<u8>) -> io::Result<usize> {
    let before = out.len();
    out.resize(before + most, 0);
    let piece = loop {
        match body.read(&mut out[before..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            piece => break piece?,
        }
    };
    out.truncate(before + piece);
    Ok(piece)
}

/// For people who look at the traffic; clients use the number.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_header_value_can_inject_another_header() {
        let headers = [
            ("X-Good", "caf\u{e9}\tb"),
            ("X-Bad", "a\r\nSet-Cookie: b"),
            ("X-Lf", "a\nb"),
            ("X: Bad", "a"),
            ("X\r\nBad", "a"),
            ("", "a"),
            ("content-length", "7"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "upgrade"),
        ];
        let head = head(200, &headers, Framing::Length(3), Version::Http11, true);
        assert_eq!(
            String::from_utf8(head).unwrap(),
            "HTTP/1.1 200 OK\r\nX-Good: caf\u{e9}\tb\r\nContent-Length: 3\r\n\r\n"
        );
    }

    #[test]
    fn the_connection_header_follows_the_http_version() {
        let says = |version, keep_alive| {
            let head = head::<&str>(204, &[], Framing::Bodiless, version, keep_alive);
            String::from_utf8(head).unwrap()
        };
        assert_eq!(
            says(Version::Http11, true),
            "HTTP/1.1 204 No Content\r\n\r\n"
        );
        assert!(says(Version::Http10, true).contains("Connection: keep-alive\r\n"));
        assert!(says(Version::Http11, false).contains("Connection: close\r\n"));
        assert!(says(Version::Http10, false).contains("Connection: close\r\n"));
    }
}
