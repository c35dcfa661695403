//! The scheduler's end of a connection, and the time that a closed connection still gets.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::core::event::CloseReason;
use crate::shell::flush::Flush;
use crate::shell::socket::{OutboxFull, Socket};
use crate::units::later;

/// How long a closed connection waits for what is owed to be written and for the peer to close its side, so that what
/// was written last is not lost with unread input.
pub const LINGER: Duration = Duration::from_secs(1);

/// What the scheduler holds of a connection. Dropping it lets what waits be written and then shuts the connection down
/// for writing; the peer is to close its side, and [`Linger`] cuts it off if it does not.
#[derive(Debug)]
pub struct Link(Arc<Socket>);

impl Link {
    /// For a connection whose writer has been started, if it [needs one](Socket::needs_writer).
    pub fn new(socket: Arc<Socket>) -> Self {
        Self(socket)
    }

    /// Writes messages, never waiting: what the socket does not take now waits in the outbox. A connection that fails is
    /// ended, so that its reader announces the end.
    ///
    /// # Errors
    /// If too much waits. Messages of any length are taken when nothing does.
    pub fn send(&self, messages: &[u8], flush: &Flush) -> Result<(), OutboxFull> {
        if self.0.offer(messages)? {
            flush.add(Arc::clone(&self.0));
        }
        Ok(())
    }

    /// Ends the connection at once.
    pub fn abort(self, reason: CloseReason) {
        self.0.end(reason);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Connections that are being closed: each is disconnected [a while](LINGER) later, unless it is over by then.
#[derive(Debug, Default)]
pub struct Linger(VecDeque<(Instant, Weak<Socket>)>);

impl Linger {
    /// Closes a connection.
    pub fn close(&mut self, link: Link, now: Instant) {
        let until = later(now, LINGER);
        self.0.push_back((until, Arc::downgrade(&link.0)));
    }

    /// When one has to be cut off next.
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(self.0.front()?.0)
    }

    /// Cuts off those whose time is over.
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
