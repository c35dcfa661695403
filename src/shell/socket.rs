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

/// How much waits for a peer that does not read, in bytes; the connection of a peer that lets more pile up is cut. What
/// the system's socket buffer holds comes on top.
pub(super) const OUTBOX: usize = 256 * 1024;

/// While more than this waits for a miner, in bytes, nothing more of it is read, so that it cannot pile up answers. The
/// shares of one that is slow to read are heard until then.
pub(super) const HEARD: usize = OUTBOX / 2;

/// The system's buffer for what we send on a connection, in bytes. (Linux takes twice that, and on its own would let the
/// buffer grow to megabytes for a peer that never reads.)
const SEND_BUFFER: usize = 64 * 1024;

/// How much of an outbox is written at once, in bytes.
pub(super) const PIECE: usize = 32 * 1024;

/// The buffer of a connection's own writer is given back down to this size, in bytes.
const USUAL_MESSAGE: usize = 1024;

/// A connection that several threads use, and which of them ended it first.
#[derive(Debug)]
pub struct Socket {
    /// The connection.
    pub stream: TcpStream,
    /// If it is encrypted.
    tls: Option<Box<tls::Session>>,
    ended: OnceLock<CloseReason>,
    pub(super) outbox: Mutex<Outbox>,
    /// Bytes came into an empty outbox, or the outbox became empty, or nothing more will be sent.
    changed: Condvar,
}

/// What waits to be written.
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
        // It fails only if the connection is gone already.
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        Arc::new(Self {
            stream,
            tls,
            ended: OnceLock::new(),
            outbox: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Whether every connection needs a writer: elsewhere than on Linux a write may wait though it is told not to.
    pub const ALWAYS_WRITER: bool = !cfg!(any(target_os = "linux", target_os = "android"));

    /// Whether a thread of the connection's own has to write all. The lock of an encrypted one may be held by its reader.
    pub fn needs_writer(&self) -> bool {
        self.tls.is_some() || Self::ALWAYS_WRITER
    }

    /// Writes bytes, and waits until the system has taken all of them. Only for one thread.
    ///
    /// # Errors
    /// If the peer is gone or does not read.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.tls {
            None => (&self.stream).write_all(bytes),
            Some(session) => (&self.stream).write_all(&session.seal(bytes)?),
        }
    }

    /// Writes what the system takes without waiting, of a connection that needs no writer; how many bytes that is.
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

    /// Writes messages, never waiting: what the system does not take now waits in the outbox. Whether that is to be
    /// [flushed](crate::shell::flush). A connection that fails is ended, so that its reader announces the end. Only for
    /// the scheduler.
    ///
    /// # Errors
    /// If too much waits. Messages of any length are taken when nothing does.
    pub fn offer(&self, messages: &[u8]) -> Result<bool, OutboxFull> {
        if self.has_ended() {
            return Ok(false);
        }
        let mut rest = messages;
        // Nobody else fills the outbox: if it is empty now it stays so.
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

    /// Writes what waits, as far as the system takes it without waiting; whether nothing waits any more. Only for the
    /// thread `flush`, whose buffer `piece` is.
    ///
    /// # Errors
    /// If the peer is gone.
    pub fn write_rest(&self, piece: &mut Vec<u8>) -> io::Result<bool> {
        self.outbox.lock().copy_piece(piece);
        let written = self.write_now(piece)?;
        Ok(self.written(written))
    }

    /// Writes what waits, and waits for more, until nothing more will be sent. Only for a connection's own writer.
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

    /// Takes bytes that were written out of the outbox; whether it is empty now.
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
        // The memory is given back: few connections ever need it again.
        outbox.bytes = Vec::new();
        let closing = outbox.closing;
        drop(outbox);
        if closing && !self.needs_writer() {
            self.finish();
        }
        self.changed.notify_all();
        true
    }

    /// Waits until there is room for answers in the outbox, or the connection is over.
    pub fn wait_for_room(&self) {
        self.wait_until_left(HEARD);
    }

    /// Waits until no more than so many bytes wait to be written, or the connection is over.
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

    /// Nothing more will be sent: what waits is written, and then the peer is told.
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

    /// How it is encrypted, if it is.
    pub fn encryption(&self) -> Option<String> {
        Some(self.tls.as_ref()?.describe())
    }

    /// Cuts the connection: a thread that reads or writes it returns at once.
    pub fn end(&self, reason: CloseReason) {
        self.note(reason);
        // It fails only if the connection is gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
        // Under the lock, so that nobody who has just looked misses it.
        drop(self.outbox.lock());
        self.changed.notify_all();
    }

    /// Ends the connection from its reader's side; the reason that counts is returned.
    pub fn cut_off(&self, reason: CloseReason) -> CloseReason {
        self.end(reason.clone());
        self.reason(reason)
    }

    /// Notes why the connection is about to end; the first reason counts.
    fn note(&self, reason: CloseReason) {
        let _ = self.ended.set(reason);
    }

    /// Whether the connection is over, or about to be.
    pub fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Whether it was ended because the peer does not read. What the peer has sent is worth hearing all the same.
    pub fn is_unread(&self) -> bool {
        self.ended.get() == Some(&CloseReason::NotReading)
    }

    /// Why the connection ended: what was noted, or else `otherwise`.
    pub fn reason(&self, otherwise: CloseReason) -> CloseReason {
        self.ended.get().cloned().unwrap_or(otherwise)
    }
}

impl Outbox {
    /// Replaces a buffer's contents by what is to be written next.
    fn copy_piece(&self, piece: &mut Vec<u8>) {
        piece.clear();
        piece.extend_from_slice(&self.bytes[..self.bytes.len().min(PIECE)]);
    }
}

/// The peer does not read, and too much waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFull;

/// What is read of a socket.
#[derive(Debug)]
pub enum ReadHalf<'a> {
    /// As it comes.
    Plain(&'a TcpStream),
    /// Decrypted.
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
