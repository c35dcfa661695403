//! A connection that several threads use: its socket, its encryption, and its outbox with the bytes that the system did
//! not accept yet.
//!
//! - Only the scheduler fills an outbox, and it writes to the socket itself only while the outbox is empty. Only one
//!   other thread writes what waits there: [`flush`](crate::shell::flush), or the connection's own writer
//!   ([`connection`](crate::shell::connection)) if the connection is encrypted or the system is not Linux. It removes
//!   bytes after they are written. So messages stay whole and in order.
//! - No lock is held while bytes are written.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};
use socket2::SockRef;

use crate::core::event::CloseReason;
use crate::shell::tls;

/// How much may wait for a peer that does not read, in bytes, in addition to the system's socket buffer. Beyond that,
/// the connection is cut.
pub(super) const OUTBOX: usize = 256 * 1024;

/// While more than this waits for a miner, in bytes, DPMP does not read from it, so that answers cannot pile up. Until
/// then, the shares of a slow reader still count.
pub(super) const HEARD: usize = OUTBOX / 2;

/// The system's send buffer of a connection, in bytes. (Linux doubles it, and would otherwise let it grow to megabytes
/// for a peer that never reads.)
const SEND_BUFFER: usize = 64 * 1024;

/// How much of an outbox is written in one call, in bytes.
pub(super) const PIECE: usize = 32 * 1024;

/// The buffer of a connection's own writer shrinks to this size, in bytes.
const USUAL_MESSAGE: usize = 1024;

/// A connection that several threads use, and the first reason for its end.
#[derive(Debug)]
pub struct Socket {
    /// The connection.
    pub stream: TcpStream,
    /// Its encryption, if any.
    tls: Option<Box<tls::Session>>,
    ended: OnceLock<CloseReason>,
    pub(super) outbox: Mutex<Outbox>,
    /// Signals that an empty outbox got bytes, that the outbox became empty, or that nothing more will be sent.
    changed: Condvar,
}

/// The data that waits to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) bytes: Vec<u8>,
    /// Nothing more will be sent.
    closing: bool,
}

impl Socket {
    /// Takes over a connected socket.
    pub fn new(stream: TcpStream) -> Arc<Self> {
        Self::with(stream, None)
    }

    /// Takes over a connected socket after its handshake.
    pub fn encrypted(stream: TcpStream, session: Box<tls::Session>) -> Arc<Self> {
        Self::with(stream, Some(session))
    }

    fn with(stream: TcpStream, tls: Option<Box<tls::Session>>) -> Arc<Self> {
        // This only fails if the connection has already ended.
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        Arc::new(Self {
            stream,
            tls,
            ended: OnceLock::new(),
            outbox: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Whether every connection needs a writer: on systems other than Linux, a write may wait even if it should not.
    pub const ALWAYS_WRITER: bool = !cfg!(any(target_os = "linux", target_os = "android"));

    /// Whether the connection needs its own writer thread. An encrypted connection does, because its reader may hold
    /// the lock.
    pub fn needs_writer(&self) -> bool {
        self.tls.is_some() || Self::ALWAYS_WRITER
    }

    /// Writes bytes, and waits until the system has accepted all of them. Only for one thread.
    ///
    /// # Errors
    /// If the peer is gone or does not read.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.tls {
            None => (&self.stream).write_all(bytes),
            Some(session) => (&self.stream).write_all(&session.seal(bytes)?),
        }
    }

    /// Writes as much as the system accepts without waiting, if the connection needs no writer. Returns the number of
    /// bytes.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::io::Errno;
        use rustix::net::{SendFlags, send};
        loop {
            match send(
                &self.stream,
                bytes,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => (),
                sent => return Ok(sent?),
            }
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn write_now(&self, _bytes: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    /// Writes messages without waiting: bytes that the system does not accept now go to the outbox. Returns whether
    /// that must be [flushed](crate::shell::flush). A connection that fails is ended, so that its reader announces the
    /// end. Only for the scheduler.
    ///
    /// # Errors
    /// If too much is waiting. If nothing is waiting, messages of any length are accepted.
    pub fn offer(&self, messages: &[u8]) -> Result<bool, OutboxFull> {
        if self.has_ended() {
            return Ok(false);
        }
        let mut rest = messages;
        // Nothing else fills the outbox: if it is empty now, it stays empty.
        if !self.needs_writer() && self.outbox.lock().bytes.is_empty() {
            match self.write_now(messages) {
                Ok(written) => rest = &messages[written..],
                Err(error) => {
                    self.end(CloseReason::Failed(error.to_string()));
                    return Ok(false);
                }
            }
        }
        if rest.is_empty() {
            return Ok(false);
        }
        let mut outbox = self.outbox.lock();
        let begins = outbox.bytes.is_empty();
        if !begins && outbox.bytes.len() + rest.len() > OUTBOX {
            return Err(OutboxFull);
        }
        outbox.bytes.extend_from_slice(rest);
        drop(outbox);
        if begins && self.needs_writer() {
            self.changed.notify_all();
        }
        Ok(begins && !self.needs_writer())
    }

    /// Writes as much of the outbox as the system accepts without waiting. Returns whether the outbox is empty. Only
    /// for the thread `flush`, with its buffer `piece`.
    ///
    /// # Errors
    /// If the peer is gone.
    pub fn write_rest(&self, piece: &mut Vec<u8>) -> io::Result<bool> {
        self.outbox.lock().copy_piece(piece);
        let written = self.write_now(piece)?;
        Ok(self.written(written))
    }

    /// Writes the outbox and waits for more, until nothing more will be sent. Only for a connection's own writer.
    ///
    /// # Errors
    /// If the peer is gone or does not read.
    pub fn write_all(&self) -> io::Result<()> {
        let mut piece = Vec::new();
        loop {
            let mut outbox = self.outbox.lock();
            while outbox.bytes.is_empty() && !outbox.closing {
                self.changed.wait(&mut outbox);
            }
            outbox.copy_piece(&mut piece);
            drop(outbox);
            if piece.is_empty() {
                self.finish();
                return Ok(());
            }
            self.write(&piece)?;
            self.written(piece.len());
            piece.clear();
            piece.shrink_to(USUAL_MESSAGE);
        }
    }

    /// Removes written bytes from the outbox. Returns whether it is empty now.
    fn written(&self, bytes: usize) -> bool {
        let mut outbox = self.outbox.lock();
        outbox.bytes.drain(..bytes);
        if !outbox.bytes.is_empty() {
            let has_room = outbox.bytes.len() <= HEARD;
            drop(outbox);
            if has_room {
                self.changed.notify_all();
            }
            return false;
        }
        // The memory is released, because few connections ever need it again.
        outbox.bytes = Vec::new();
        let closing = outbox.closing;
        drop(outbox);
        if closing && !self.needs_writer() {
            self.finish();
        }
        self.changed.notify_all();
        true
    }

    /// Waits until there is room for answers in the outbox, or the connection has ended.
    pub fn wait_for_room(&self) {
        self.wait_until_left(HEARD);
    }

    /// Waits until at most this many bytes wait to be written, or the connection has ended.
    pub(super) fn wait_until_left(&self, most: usize) {
        let mut outbox = self.outbox.lock();
        while outbox.bytes.len() > most && !self.has_ended() {
            self.changed.wait(&mut outbox);
        }
    }

    /// Tells the peer that nothing more will come. Only for the thread that writes.
    fn finish(&self) {
        if let Some(Ok(farewell)) = self.tls.as_ref().map(|session| session.seal_end()) {
            let _ = (&self.stream).write_all(&farewell);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Nothing more will be sent: waiting data is written, then the sending half is closed.
    pub(super) fn close(&self) {
        self.note(CloseReason::ByUs);
        let mut outbox = self.outbox.lock();
        outbox.closing = true;
        let written = outbox.bytes.is_empty();
        drop(outbox);
        if written && !self.needs_writer() {
            self.finish();
        }
        self.changed.notify_all();
    }

    /// Reads what the peer writes. Only for one thread.
    pub fn reader(&self) -> ReadHalf<'_> {
        match &self.tls {
            None => ReadHalf::Plain(&self.stream),
            Some(session) => ReadHalf::Encrypted(tls::ReadHalf::new(session, &self.stream)),
        }
    }

    /// Its encryption as text, if any.
    pub fn encryption(&self) -> Option<String> {
        Some(self.tls.as_ref()?.describe())
    }

    /// Cuts the connection: a thread that is reading or writing it returns immediately.
    pub fn end(&self, reason: CloseReason) {
        self.note(reason);
        // This only fails if the connection has already ended.
        let _ = self.stream.shutdown(Shutdown::Both);
        // Under the lock, so that a thread that has just checked does not miss it.
        drop(self.outbox.lock());
        self.changed.notify_all();
    }

    /// Ends the connection from its reader's side; the reason that counts is returned.
    pub fn cut_off(&self, reason: CloseReason) -> CloseReason {
        self.end(reason.clone());
        self.reason(reason)
    }

    /// Records why the connection is about to end; the first reason counts.
    fn note(&self, reason: CloseReason) {
        let _ = self.ended.set(reason);
    }

    /// Whether the connection has ended or is about to.
    pub fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Whether it was ended because the peer does not read. The peer's earlier messages still count.
    pub fn is_unread(&self) -> bool {
        self.ended.get() == Some(&CloseReason::NotReading)
    }

    /// Why the connection ended: the recorded reason, or `otherwise`.
    pub fn reason(&self, otherwise: CloseReason) -> CloseReason {
        self.ended.get().cloned().unwrap_or(otherwise)
    }
}

impl Outbox {
    /// Replaces a buffer's contents with the next piece to write.
    fn copy_piece(&self, piece: &mut Vec<u8>) {
        piece.clear();
        piece.extend_from_slice(&self.bytes[..self.bytes.len().min(PIECE)]);
    }
}

/// The peer does not read, and too much waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFull;

/// The reading end of a socket.
#[derive(Debug)]
pub enum ReadHalf<'a> {
    /// Unencrypted.
    Plain(&'a TcpStream),
    /// Encrypted.
    Encrypted(tls::ReadHalf<'a>),
}

impl Read for ReadHalf<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Encrypted(incoming) => incoming.read(buffer),
        }
    }
}
