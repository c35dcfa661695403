//! One client's life: requests are read and answered one after the other, each step before its deadline.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rouille::{Request, Response};
use serde_json::json;

use super::answer::{self, Asked};
use super::head::{self, Head, Refused, Version};
use super::{Handler, Limits, Seat};
use crate::shell::connection::prepare;
use crate::system::clock::clock;
use crate::web::json;

/// How much is read at a time, in bytes.
const PIECE: usize = 8 * 1024;

/// Serves a client until one of the two has had enough.
pub(super) fn attend(stream: &TcpStream, peer: SocketAddr, seat: &Seat, handler: &Handler) {
    let limits = seat.limits();
    if prepare(stream).is_err() {
        // It is gone before it has begun.
        return;
    }
    let mut client = Client {
        stream,
        peer,
        limits,
        seat,
        ahead: Vec::new(),
    };
    let mut patience = limits.head;
    let last = loop {
        match client.turn(patience, handler) {
            Ok(true) => patience = limits.idle,
            Ok(false) => break Ok(()),
            Err(End::Refused(refused)) => break client.refuse(refused),
            Err(End::Gone) => return,
        }
    };
    if last.is_ok() {
        client.linger();
    }
}

struct Client<'a> {
    stream: &'a TcpStream,
    peer: SocketAddr,
    limits: &'a Limits,
    seat: &'a Seat,
    /// What was read and not yet used: a part of a request, or requests sent before they were asked for.
    ahead: Vec<u8>,
}

/// Why there is no next request.
enum End {
    /// It cannot be had as it is; the client is told.
    Refused(Refused),
    /// The client is, or has nothing to say for too long, or does not read.
    Gone,
}

impl From<Refused> for End {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Client<'_> {
    /// A request and its answer; whether there can be another one. `patience`: how long the request may be in coming.
    fn turn(&mut self, patience: Duration, handler: &Handler) -> Result<bool, End> {
        let head = self.read_head(patience)?;
        let body = self.read_body(&head)?;
        self.seat.set_answering(true);
        let mut asked = Asked {
            version: head.version,
            head_only: head.method == "HEAD",
            keep_alive: head.keep_alive,
        };
        let request =
            Request::fake_http_from(self.peer, head.method, head.target, head.headers, body);
        // The request is not used after a panic, and a handler that left its own things half done is as bad off as
        // with any other error of ours.
        let response = catch_unwind(AssertUnwindSafe(|| handler(&request)));
        let response = match response {
            // Interim answers and what is none at all would leave the client waiting.
            Ok(response) if (200..=599).contains(&response.status_code) => response,
            Ok(_) | Err(_) => {
                asked.keep_alive = false;
                in_words(500)
            }
        };
        let goes_on = answer::write(self.stream, self.limits, asked, response)?;
        self.seat.set_answering(false);
        Ok(goes_on)
    }

    fn read_head(&mut self, patience: Duration) -> Result<Head, End> {
        if self.ahead.is_empty() && !self.read_more(clock() + patience)? {
            return Err(End::Gone);
        }
        let until = clock() + self.limits.head;
        let (blank, length) = loop {
            let blank = head::blank(&self.ahead);
            let length = head::length(&self.ahead[blank..])?;
            if length.map_or(self.ahead.len(), |length| blank + length) > self.limits.head_bytes {
                return Err(Refused(431).into());
            }
            if let Some(length) = length {
                break (blank, length);
            }
            self.read_in_time(until)?;
        };
        let head = head::parse(&self.ahead[blank..blank + length], self.limits)?;
        self.ahead.drain(..blank + length);
        Ok(head)
    }

    fn read_body(&mut self, head: &Head) -> Result<Vec<u8>, End> {
        let until = clock() + self.limits.body;
        if head.expects_continue && self.ahead.len() < head.length {
            answer::write_all(
                self.stream,
                b"HTTP/1.1 100 Continue\r\n\r\n",
                clock() + self.limits.write,
            )?;
        }
        while self.ahead.len() < head.length {
            self.read_in_time(until)?;
        }
        let rest = self.ahead.split_off(head.length);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// Reads more of a request that has begun.
    fn read_in_time(&mut self, until: Instant) -> Result<(), End> {
        match self.read_more(until) {
            Ok(true) => Ok(()),
            Ok(false) => Err(End::Gone),
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(Refused(408).into()),
            Err(_) => Err(End::Gone),
        }
    }

    /// Reads what is there; false at the end of what the client sends.
    fn read_more(&mut self, until: Instant) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let length = read(self.stream, &mut piece, until)?;
        self.ahead.extend_from_slice(&piece[..length]);
        Ok(length > 0)
    }

    fn refuse(&self, Refused(status): Refused) -> io::Result<()> {
        let asked = Asked {
            version: Version::Http11,
            head_only: false,
            keep_alive: false,
        };
        answer::write(self.stream, self.limits, asked, in_words(status)).map(drop)
    }

    /// Closes our side and lets the client close his: a connection that is closed with unread input is reset, and the
    /// answer might be lost with it.
    fn linger(&self) {
        let until = clock() + self.limits.linger;
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            let mut piece = [0; PIECE];
            while read(self.stream, &mut piece, until).is_ok_and(|length| length > 0) {}
        }
    }
}

/// An answer of our own, in the form of all errors.
fn in_words(status: u16) -> Response {
    let (code, message) = match status {
        408 => ("too_slow", "The request took too long to arrive."),
        411 => (
            "length_required",
            "A request with a body needs a Content-Length.",
        ),
        413 => ("too_large", "The body is larger than 1 MiB."),
        417 => (
            "bad_request",
            "The only expectation that is understood is 100-continue.",
        ),
        431 => (
            "head_too_large",
            "The request's headers are too large or too many.",
        ),
        500 => ("failed", "DPMP failed to answer. The log says why."),
        505 => ("bad_request", "Only HTTP/1.0 and HTTP/1.1 are understood."),
        _ => ("bad_request", "This is not a valid HTTP request."),
    };
    let error = json!({"code": code, "message": message, "field": null});
    json::respond(&json!({ "error": error })).with_status_code(status)
}

/// Reads what is there, waiting no longer than until then; too late is always [`ErrorKind::TimedOut`].
fn read(mut stream: &TcpStream, piece: &mut [u8], until: Instant) -> io::Result<usize> {
    loop {
        let left = until.saturating_duration_since(clock());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(piece) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut
                ) => {}
            read => return read,
        }
    }
}
