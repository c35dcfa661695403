//! Serves one client: reads and answers requests one after another, each step within its deadline.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rouille::Request;

use super::answer::{self, Delivery};
use super::head::{self, Head, Refusal};
use super::{Answers, Limits, Seat};
use crate::system::net::{Deadline, prepare};

/// How much is read at a time, in bytes.
const PIECE: usize = 8 * 1024;

/// Serves a client until either side ends the connection.
pub(super) fn attend(stream: &TcpStream, peer: SocketAddr, seat: &Seat, answers: &Answers) {
    let limits = seat.limits();
    if prepare(stream).is_err() {
        // It has gone before it began.
        return;
    }
    let mut client = Client {
        stream,
        peer,
        limits,
        seat,
        answers,
        ahead: Vec::new(),
    };
    let mut patience = limits.head;
    let last = loop {
        match client.turn(patience) {
            Ok(true) => patience = limits.idle,
            Ok(false) => break Ok(()),
            Err(End::Refused(Refusal(status))) => {
                let refusal = (answers.refusal)(status);
                break answer::refuse(stream, limits, refusal);
            }
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
    answers: &'a Answers,
    /// Bytes that were read but not used yet: a part of a request, or requests sent ahead.
    ahead: Vec<u8>,
}

/// Why there are no more requests.
enum End {
    /// The request cannot be accepted; the client gets an answer.
    Refused(Refusal),
    /// The client has gone, was silent for too long, or does not read.
    Gone,
}

impl From<Refusal> for End {
    fn from(refused: Refusal) -> Self {
        Self::Refused(refused)
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Client<'_> {
    /// Handles a request and its answer; returns whether there can be another one. `patience`: how long to wait for the
    /// request.
    fn turn(&mut self, patience: Duration) -> Result<bool, End> {
        let head = self.read_head(patience)?;
        let body = self.read_body(&head)?;
        self.seat.set_answering(true);
        let mut asked = Delivery {
            version: head.version,
            head_only: head.method == "HEAD",
            keep_alive: head.keep_alive,
        };
        let request =
            Request::fake_http_from(self.peer, head.method, head.target, head.headers, body);
        // The request is not used after a panic, and a handler's own state is no worse off than after any other bug.
        let response = catch_unwind(AssertUnwindSafe(|| (self.answers.handler)(&request)));
        let response = match response {
            // Interim or invalid statuses would leave the client waiting.
            Ok(response) if (200..=599).contains(&response.status_code) => response,
            Ok(_) | Err(_) => {
                asked.keep_alive = false;
                (self.answers.refusal)(500)
            }
        };
        let goes_on = answer::write(self.stream, self.limits, asked, response)?;
        self.seat.set_answering(false);
        Ok(goes_on)
    }

    fn read_head(&mut self, patience: Duration) -> Result<Head, End> {
        if self.ahead.is_empty() && !self.read_more(Deadline::after(patience))? {
            return Err(End::Gone);
        }
        let until = Deadline::after(self.limits.head);
        let (blank, length) = loop {
            let blank = head::blank(&self.ahead);
            let length = head::length(&self.ahead[blank..])?;
            if length.map_or(self.ahead.len(), |length| blank + length) > self.limits.head_bytes {
                return Err(Refusal(431).into());
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
        let until = Deadline::after(self.limits.body);
        if head.expects_continue && self.ahead.len() < head.length {
            let until = Deadline::after(self.limits.write);
            until.write_all(self.stream, b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        while self.ahead.len() < head.length {
            self.read_in_time(until)?;
        }
        let rest = self.ahead.split_off(head.length);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// Reads more of a request that has begun.
    fn read_in_time(&mut self, until: Deadline) -> Result<(), End> {
        match self.read_more(until) {
            Ok(true) => Ok(()),
            Ok(false) => Err(End::Gone),
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(Refusal(408).into()),
            Err(_) => Err(End::Gone),
        }
    }

    /// Reads the available bytes; false at the end of the client's stream.
    fn read_more(&mut self, until: Deadline) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let length = until.read(self.stream, &mut piece)?;
        self.ahead.extend_from_slice(&piece[..length]);
        Ok(length > 0)
    }

    /// Closes our side and lets the client close its own. Closing a connection with unread input would reset it, and
    /// the answer could be lost.
    fn linger(&self) {
        let until = Deadline::after(self.limits.linger);
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            let mut piece = [0; PIECE];
            while until
                .read(self.stream, &mut piece)
                .is_ok_and(|length| length > 0)
            {}
        }
    }
}
