//! The scheduler's end of a connection, and the time that a closed connection still gets.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::core::event::CloseReason;
use crate::shell::flush::Flush;
use crate::shell::socket::{OutboxFull, Socket};
use crate::units::later;

/// How long a closed connection waits until everything is written and the peer has closed its side, so that the last
/// output is not lost because of unread input.
pub const LINGER: Duration = Duration::from_secs(1);

/// The scheduler's end of a connection. If it is dropped, waiting data is still written, then the connection is shut
/// down for writing. The peer should close its side; otherwise [`Linger`] ends the connection.
#[derive(Debug)]
pub struct Link(Arc<Socket>);

impl Link {
    /// For a connection whose writer has been started, if it [needs one](Socket::needs_writer).
    pub fn new(socket: Arc<Socket>) -> Self {
        Self(socket)
    }

    /// Writes messages without waiting: bytes that the socket does not accept now go to the outbox. A connection that
    /// fails is ended, so that its reader announces the end.
    ///
    /// # Errors
    /// If too much is waiting. If nothing is waiting, messages of any length are accepted.
    pub fn send(&self, messages: &[u8], flush: &Flush) -> Result<(), OutboxFull> {
        if self.0.offer(messages)? {
            flush.add(Arc::clone(&self.0));
        }
        Ok(())
    }

    /// Ends the connection immediately.
    pub fn abort(self, reason: CloseReason) {
        self.0.end(reason);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Connections that are being closed. Each is cut [a while](LINGER) later, unless it has ended by then.
#[derive(Debug, Default)]
pub struct Linger(VecDeque<(Instant, Weak<Socket>)>);

impl Linger {
    /// Closes a connection.
    pub fn close(&mut self, link: Link, now: Instant) {
        let until = later(now, LINGER);
        self.0.push_back((until, Arc::downgrade(&link.0)));
    }

    /// When the next one must be cut.
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(self.0.front()?.0)
    }

    /// Cuts the connections whose time is over.
    pub fn cut_off(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|until| until <= now) {
            if let Some(socket) = self.0.pop_front().and_then(|(_, socket)| socket.upgrade()) {
                socket.end(CloseReason::ByUs);
            }
        }
    }
}

#[cfg(test)]
mod tests;
