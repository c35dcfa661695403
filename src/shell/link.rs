//! The scheduler's end of a connection: a bounded queue to its writer, and the socket to cut it off.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use crate::core::event::CloseReason;
use crate::shell::tls;

/// How many messages wait for a peer that does not read; the connection of one that lets them pile
/// up is cut. What the system's socket buffers hold comes on top. It has to hold the answers to
/// whatever a peer can pipeline before its writer gets to run.
const OUTBOX: u32 = 1024;

/// A socket that two threads use, and who ended it first.
#[derive(Debug)]
pub struct Socket {
    /// The connection.
    pub stream: TcpStream,
    /// If it is encrypted.
    tls: Option<Box<tls::Session>>,
    ended: OnceLock<CloseReason>,
    /// Messages that were queued for the peer and are not written yet.
    unwritten: AtomicU32,
}

impl Socket {
    /// Takes over a connected socket.
    pub fn new(stream: TcpStream) -> Arc<Self> {
        Self::with(stream, None)
    }

    /// Takes over a connected socket after its handshake.
    pub fn encrypted(stream: TcpStream, session: tls::Session) -> Arc<Self> {
        Self::with(stream, Some(Box::new(session)))
    }

    fn with(stream: TcpStream, tls: Option<Box<tls::Session>>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            tls,
            ended: OnceLock::new(),
            unwritten: AtomicU32::new(0),
        })
    }

    /// Writes bytes. Only for one thread.
    ///
    /// # Errors
    /// If the peer is gone or does not read.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.tls {
            None => (&self.stream).write_all(bytes),
            Some(session) => (&self.stream).write_all(&session.seal(bytes)?),
        }
    }

    /// Tells the peer that nothing more will come. Only for the thread that writes.
    pub fn finish(&self) {
        if let Some(Ok(farewell)) = self.tls.as_ref().map(|session| session.seal_end()) {
            let _ = (&self.stream).write_all(&farewell);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads what the peer writes. Only for one thread.
    pub fn reader(&self) -> Incoming<'_> {
        match &self.tls {
            None => Incoming::Plain(&self.stream),
            Some(session) => Incoming::Encrypted(tls::Incoming::new(session, &self.stream)),
        }
    }

    /// How it is encrypted, if it is.
    pub fn encryption(&self) -> Option<String> {
        Some(self.tls.as_ref()?.describe())
    }

    /// Cuts the connection: a thread that reads or writes it returns at once.
    pub fn end(&self, reason: CloseReason) {
        self.note(reason);
        // It fails only if the connection is gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the connection from its reader's side; the reason that counts is returned.
    pub fn cut_off(&self, reason: CloseReason) -> CloseReason {
        self.end(reason.clone());
        self.reason(reason)
    }

    /// Notes why the connection is about to end; the first reason counts.
    pub fn note(&self, reason: CloseReason) {
        let _ = self.ended.set(reason);
    }

    /// Whether the connection is over, or about to be.
    pub fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Notes that so many queued messages were written.
    pub fn written(&self, messages: u32) {
        self.unwritten.fetch_sub(messages, Ordering::Relaxed);
    }

    /// Why the connection ended: what was noted, or else `otherwise`.
    pub fn reason(&self, otherwise: CloseReason) -> CloseReason {
        self.ended.get().cloned().unwrap_or(otherwise)
    }
}

/// What is read of a socket.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// As it comes.
    Plain(&'a TcpStream),
    /// Decrypted.
    Encrypted(tls::Incoming<'a>),
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Encrypted(incoming) => incoming.read(buffer),
        }
    }
}

/// What the scheduler holds of a connection. Dropping it lets the writer write what is queued and
/// then shut the connection down.
#[derive(Debug)]
pub struct Link<M> {
    outbox: Sender<Box<M>>,
    socket: Arc<Socket>,
}

/// Why a message could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The peer does not read.
    Full,
    /// The connection is gone; its last event is on the way.
    Gone,
}

impl<M> Link<M> {
    /// A link and the receiver for the connection's writer.
    #[expect(
        clippy::disallowed_methods,
        reason = "send() bounds it; a bounded channel takes its whole memory at once, for each connection"
    )]
    pub fn new(socket: Arc<Socket>) -> (Self, Receiver<Box<M>>) {
        let (outbox, messages) = channel();
        (Self { outbox, socket }, messages)
    }

    /// Queues a message, never waiting.
    ///
    /// # Errors
    /// If the queue is full or the connection gone.
    pub fn send(&self, message: M) -> Result<(), NotSent> {
        // The scheduler is the only sender, so that nothing comes between the look and the sending.
        if self.socket.unwritten.load(Ordering::Relaxed) >= OUTBOX {
            return Err(NotSent::Full);
        }
        self.socket.unwritten.fetch_add(1, Ordering::Relaxed);
        self.outbox
            .send(Box::new(message))
            .map_err(|_| NotSent::Gone)
    }

    /// Ends the connection at once.
    pub fn abort(self, reason: CloseReason) {
        self.socket.end(reason);
    }
}
