//! Encrypted connections, to pools ([`pool`]) and from miners ([`miner`]).
//!
//! rustls has one object for both directions of a connection, and two threads need it. They share it under a lock that
//! is only held while bytes in memory are converted, never while a thread waits for the socket. The reader first reads
//! bytes from the socket, then decrypts them. The writer first encrypts bytes, then writes them. Only the writer takes
//! out encrypted bytes ([`Session::seal`]), so they reach the peer in the right order. Messages from rustls itself
//! after the handshake (the answer to a new key, an alert) wait in the same order for the next message, as the protocol
//! requires (RFC 8446, 4.6.3).

pub mod miner;
pub mod pool;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::{Connection, Error};

use crate::system::net::Deadline;

/// How long a peer may take for the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much is read from the socket in one call, in bytes; rustls accepts no more.
const PIECE: usize = 4096;

/// An encrypted connection after its handshake.
pub struct Session(Mutex<Connection>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Does the TLS handshake on a new connection, before `until`. It leaves the socket without a read timeout. (Not
    /// inlined, and boxed, so that the caller's stack stays small; a farm has thousands of them.)
    #[inline(never)]
    fn begin(
        mut tls: Connection,
        stream: &TcpStream,
        until: Instant,
    ) -> Result<Box<Self>, NoSession> {
        // The writer limits the size of a write.
        tls.set_buffer_limit(None);
        shake_hands(&mut tls, stream, Deadline(until))?;
        stream.set_read_timeout(None)?;
        Ok(Box::new(Self(Mutex::new(tls))))
    }

    /// Encrypts, and returns everything that must be written now. Only for the writer, which must write it before the
    /// next call.
    ///
    /// # Errors
    /// If the session cannot continue.
    pub fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut tls = self.0.lock();
        tls.writer().write_all(plain)?;
        take_out(&mut tls)
    }

    /// The message that nothing more will come. Only for the writer.
    ///
    /// # Errors
    /// If the session cannot continue.
    pub fn seal_end(&self) -> io::Result<Vec<u8>> {
        let mut tls = self.0.lock();
        tls.send_close_notify();
        take_out(&mut tls)
    }

    /// Protocol and cipher, as text.
    pub fn describe(&self) -> String {
        let tls = self.0.lock();
        let version = tls.protocol_version().and_then(|version| version.as_str());
        let suite = tls
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str());
        format!(
            "{}, {}",
            version.unwrap_or("TLS").replace('v', " ").replace('_', "."),
            suite.unwrap_or("unnamed cipher")
        )
    }
}

/// The reading end of an encrypted connection.
#[derive(Debug)]
pub struct ReadHalf<'a> {
    session: &'a Session,
    stream: &'a TcpStream,
    /// `piece[start..end]` was read from the socket but is not decrypted yet.
    piece: Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a> ReadHalf<'a> {
    /// Only one reader is allowed.
    pub fn new(session: &'a Session, stream: &'a TcpStream) -> Self {
        Self {
            session,
            stream,
            piece: vec![0; PIECE],
            start: 0,
            end: 0,
        }
    }

    /// Decrypts the data that is there; `None` if it is not enough for a single byte.
    fn open(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut tls = self.session.0.lock();
        loop {
            match tls.reader().read(buffer) {
                Ok(read) => return Ok(Some(read)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                Err(error) => return Err(error),
            }
            if self.start == self.end {
                return Ok(None);
            }
            self.start += tls.read_tls(&mut &self.piece[self.start..self.end])?;
            tls.process_new_packets().map_err(broken)?;
        }
    }
}

impl Read for ReadHalf<'_> {
    /// A connection that ends without a TLS close message has simply ended: an incomplete line is dropped anyway.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(read) = self.open(buffer)? {
                return Ok(read);
            }
            let read = self.stream.read(&mut self.piece)?;
            if read == 0 {
                return Ok(0);
            }
            (self.start, self.end) = (0, read);
        }
    }
}

/// What ends a session, as text for the owner.
fn broken(error: Error) -> io::Error {
    io::Error::other(if let Error::AlertReceived(alert) = error {
        format!("the other side ended the TLS connection: {alert:?}")
    } else {
        format!("TLS: {error}")
    })
}

/// Why there is no session. Each side describes it differently.
#[derive(Debug)]
enum NoSession {
    /// The peer's first byte is not TLS.
    PlainText,
    TooSlow,
    /// The peer closed the connection.
    HungUp,
    Refused(Error),
    Failed(io::Error),
}

impl From<io::Error> for NoSession {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, WouldBlock};
        // The second kind comes from writes.
        if matches!(error.kind(), TimedOut | WouldBlock) {
            Self::TooSlow
        } else if matches!(error.kind(), ConnectionReset | BrokenPipe) {
            Self::HungUp
        } else {
            Self::Failed(error)
        }
    }
}

/// Everything that waits to be written.
fn take_out(tls: &mut Connection) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut sealed)?;
    }
    Ok(sealed)
}

fn shake_hands(
    tls: &mut Connection,
    mut stream: &TcpStream,
    until: Deadline,
) -> Result<(), NoSession> {
    let mut piece = [0; PIECE];
    let mut fresh = true;
    loop {
        stream.write_all(&take_out(tls)?)?;
        if !tls.is_handshaking() {
            return Ok(());
        }
        let read = until.read(stream, &mut piece)?;
        if read == 0 {
            return Err(NoSession::HungUp);
        }
        if fresh && !is_tls(piece[0]) {
            return Err(NoSession::PlainText);
        }
        fresh = false;
        let mut unread = &piece[..read];
        while !unread.is_empty() && tls.read_tls(&mut unread)? > 0 {
            if let Err(error) = tls.process_new_packets() {
                // The peer's log should also say why.
                let alert = take_out(tls)?;
                let _ = stream.write_all(&alert);
                return Err(NoSession::Refused(error));
            }
        }
    }
}

/// Whether a TLS record can begin like this: with an alert or a part of the handshake.
fn is_tls(first: u8) -> bool {
    matches!(first, 0x15 | 0x16)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::config::Trust;
    use crate::shell::tls::pool::Tls;
    use crate::system::clock::clock;
    use crate::system::net::tests::loopback;
    use crate::system::thread::{PARSER_STACK, WRITER_STACK, spawn};

    /// How much goes through a connection in each direction, in bytes.
    const LOAD: usize = 8 * 1024 * 1024;

    /// A pool's end of a connection, before its handshake.
    pub(in crate::shell) fn server() -> ServerConnection {
        let made = rcgen::generate_simple_self_signed(vec!["pool".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        ServerConnection::new(Arc::new(config)).unwrap()
    }

    pub(in crate::shell) fn begin(stream: &TcpStream) -> io::Result<Box<Session>> {
        let until = clock() + Duration::from_secs(10);
        Tls::default().begin(stream, "pool", Trust::Anyone, until)
    }

    /// Bytes that show if one is missing, repeated or out of order.
    fn load() -> Vec<u8> {
        let numbers = (0_u32..).flat_map(u32::to_be_bytes);
        numbers.take(LOAD).collect()
    }

    /// Both directions at full speed, in pieces of all sizes, while the pool keeps changing its keys and asking for
    /// ours. rustls on the other end fails at the first record that is out of order.
    #[test]
    fn records_reach_the_pool_in_the_order_they_were_created() {
        let (ours, mut theirs) = loopback(None);
        let mut tls = server();
        let pool = spawn("pool", PARSER_STACK, move || {
            while tls.is_handshaking() {
                tls.complete_io(&mut theirs).unwrap();
            }
            let (sent, mut received) = (load(), Vec::new());
            let mut pieces = sent.chunks(50_000);
            let mut buffer = vec![0; 100_000];
            let mut said_farewell = false;
            while !said_farewell {
                if let Some(piece) = pieces.next() {
                    tls.writer().write_all(piece).unwrap();
                    tls.refresh_traffic_keys().unwrap();
                }
                while tls.wants_write() {
                    tls.write_tls(&mut theirs).unwrap();
                }
                tls.read_tls(&mut theirs).unwrap();
                tls.process_new_packets().unwrap();
                loop {
                    match tls.reader().read(&mut buffer) {
                        Ok(0) => {
                            said_farewell = true;
                            break;
                        }
                        Ok(read) => received.extend_from_slice(&buffer[..read]),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            assert_eq!(pieces.len(), 0, "the pool had time for all of its own");
            assert!(received == sent);
        });
        let session = Arc::new(*begin(&ours).unwrap());
        let (writing, stream) = (Arc::clone(&session), ours.try_clone().unwrap());
        let writer = spawn("writer", WRITER_STACK, move || {
            let (load, mut at) = (load(), 0);
            for size in (1..3000).cycle() {
                let piece = &load[at..load.len().min(at + size)];
                (&stream).write_all(&writing.seal(piece).unwrap()).unwrap();
                at += piece.len();
                if at == load.len() {
                    break;
                }
            }
            (&stream).write_all(&writing.seal_end().unwrap()).unwrap();
        });
        let mut incoming = ReadHalf::new(&session, &ours);
        let mut received = vec![0; LOAD];
        incoming.read_exact(&mut received).unwrap();
        assert!(received == load());
        writer.unwrap().join().unwrap();
        pool.unwrap().join().unwrap();
        assert_eq!(incoming.read(&mut [0]).unwrap(), 0, "the end");
    }
}
