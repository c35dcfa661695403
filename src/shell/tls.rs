//! Encrypted connections to pools.
//!
//! rustls has one object for both directions of a connection, and two threads need it. They share it under a lock that
//! is held only while bytes in memory are turned into others, never while a thread waits for the socket. The reader
//! takes bytes off the socket first and has them decrypted then. The writer has bytes encrypted and writes them
//! afterwards; since it alone takes encrypted bytes out ([`Session::seal`]), they reach the pool in the order in which
//! they were made. What rustls itself has to say after the handshake (the answer to a new key, an alert) waits in the
//! same order for the next message, which is when the protocol wants it (RFC 8446, 4.6.3).

use std::env;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::config::{Fingerprint, Trust};
use crate::shell::clock::clock;

/// How long a pool may take for the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much is read from the socket at once, in bytes; rustls takes in no more.
const PIECE: usize = 4096;

/// Where systems keep the certificates of known authorities, in one file.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Names such a file, which then takes the place of the system's.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// How many kinds of trust are remembered; two pools need two.
const MOST_CONFIGS: usize = 8;

/// How many of a certificate's names are told.
const MOST_NAMES: usize = 3;

/// Begins encrypted connections. What they have in common is made when it is first needed and shared.
#[derive(Clone, Debug, Default)]
pub struct Tls(Arc<Mutex<Configs>>);

type Configs = Vec<(Trust, Arc<ClientConfig>)>;

impl Tls {
    /// Shakes hands over a new connection, before `until`. It leaves the socket without a read timeout.
    ///
    /// # Errors
    /// With the reason in words for the owner.
    pub fn begin(
        &self,
        stream: &TcpStream,
        host: &str,
        trust: Trust,
        until: Instant,
    ) -> io::Result<Session> {
        let name = server_name(host)?;
        let config = self.config(trust)?;
        let mut tls = ClientConnection::new(config, name).map_err(explained)?;
        // What is written at once is bounded by the writer.
        tls.set_buffer_limit(None);
        let until = until.min(clock() + PATIENCE);
        shake_hands(&mut tls, stream, until)?;
        stream.set_read_timeout(None)?;
        Ok(Session(Mutex::new(tls)))
    }

    fn config(&self, trust: Trust) -> io::Result<Arc<ClientConfig>> {
        let mut configs = self.0.lock();
        if let Some((_, config)) = configs.iter().find(|(of, _)| *of == trust) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(client_config(trust)?);
        if configs.len() >= MOST_CONFIGS {
            configs.clear();
        }
        configs.push((trust, Arc::clone(&config)));
        Ok(config)
    }
}

/// An encrypted connection after its handshake.
pub struct Session(Mutex<ClientConnection>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Encrypts; returns all that is to be written now. Only for the writer, and it has to write it before it calls
    /// again.
    ///
    /// # Errors
    /// If the session cannot go on.
    pub fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut tls = self.0.lock();
        tls.writer().write_all(plain)?;
        take_out(&mut tls)
    }

    /// What says that nothing more will come. Only for the writer.
    ///
    /// # Errors
    /// If the session cannot go on.
    pub fn seal_end(&self) -> io::Result<Vec<u8>> {
        let mut tls = self.0.lock();
        tls.send_close_notify();
        take_out(&mut tls)
    }

    /// Protocol and cipher, in words.
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
pub struct Incoming<'a> {
    session: &'a Session,
    stream: &'a TcpStream,
    /// `piece[start..end]` was read from the socket and not decrypted yet.
    piece: Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a> Incoming<'a> {
    /// Only one may read.
    pub fn new(session: &'a Session, stream: &'a TcpStream) -> Self {
        Self {
            session,
            stream,
            piece: vec![0; PIECE],
            start: 0,
            end: 0,
        }
    }

    /// Decrypts what is there already; `None` if that is not enough for a single byte.
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
            tls.process_new_packets().map_err(explained)?;
        }
    }
}

impl Read for Incoming<'_> {
    /// A connection that ends without the proper farewell is an end like any other: what a line lacks of its end is
    /// dropped anyway.
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

/// All that waits to be written.
fn take_out(tls: &mut ClientConnection) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut sealed)?;
    }
    Ok(sealed)
}

fn shake_hands(
    tls: &mut ClientConnection,
    mut stream: &TcpStream,
    until: Instant,
) -> io::Result<()> {
    let mut piece = [0; PIECE];
    let mut fresh = true;
    loop {
        stream.write_all(&take_out(tls)?)?;
        if !tls.is_handshaking() {
            return Ok(());
        }
        let rest = until.saturating_duration_since(clock());
        if rest.is_zero() {
            return Err(too_slow());
        }
        stream.set_read_timeout(Some(rest))?;
        let read = match stream.read(&mut piece) {
            Ok(0) => return Err(hung_up()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(too_slow()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(hung_up()),
            Err(error) => return Err(error),
        };
        if fresh && !is_tls(piece[0]) {
            return Err(io::Error::other(
                "no TLS is spoken on this port: it answers in plain text (wrong port, or tls has to be false)",
            ));
        }
        fresh = false;
        let mut unread = &piece[..read];
        while !unread.is_empty() && tls.read_tls(&mut unread)? > 0 {
            if let Err(error) = tls.process_new_packets() {
                // The pool's own log is to say why, too.
                let alert = take_out(tls)?;
                let _ = stream.write_all(&alert);
                return Err(explained(error));
            }
        }
    }
}

/// Whether a TLS record can begin so: with an alert or a part of the handshake.
fn is_tls(first: u8) -> bool {
    matches!(first, 0x15 | 0x16)
}

fn too_slow() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the TLS handshake takes too long; perhaps no TLS is spoken on this port",
    )
}

fn hung_up() -> io::Error {
    io::Error::other(
        "the pool closed the connection in the TLS handshake; perhaps no TLS is spoken on this port",
    )
}

/// An error of rustls in words for the owner.
fn explained(error: Error) -> io::Error {
    let old = matches!(
        error,
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_)
    );
    let text =
        if let Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) = &error {
            reason.to_string()
        } else if old {
            format!("the pool cannot do TLS 1.2 or 1.3 with a cipher that is safe ({error})")
        } else if let Error::AlertReceived(alert) = error {
            format!("the pool ended the TLS connection: {alert:?}")
        } else {
            format!("TLS: {error}")
        };
    io::Error::other(text)
}

/// What the certificate has to be for. An IPv6 zone is nobody's business but this machine's.
fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    let address = host.split('%').next().unwrap_or(host);
    if let Ok(address) = address.parse::<std::net::IpAddr>() {
        return Ok(ServerName::IpAddress(IpAddr::from(address)));
    }
    ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::other(format!("no certificate can be for the name {host:?}")))
}

fn client_config(trust: Trust) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(trust, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(explained)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // A full handshake each time: the certificate is looked at each time, and nothing has to be kept.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Judges certificates.
#[derive(Debug)]
struct Verifier {
    by: Judge,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Judge {
    Authorities(Arc<WebPkiServerVerifier>),
    Fingerprint(Fingerprint),
    Nobody,
}

impl Verifier {
    fn new(trust: Trust, provider: &Arc<CryptoProvider>) -> io::Result<Self> {
        let by = match trust {
            Trust::Authorities => {
                let roots = Arc::new(roots()?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
                        .build()
                        .map_err(io::Error::other)?;
                Judge::Authorities(verifier)
            }
            Trust::Pinned(fingerprint) => Judge::Fingerprint(fingerprint),
            Trust::Anyone => Judge::Nobody,
        };
        Ok(Self {
            by,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.by {
            Judge::Authorities(authorities) => authorities
                .verify_server_cert(certificate, intermediates, name, ocsp, now)
                .map_err(|error| refused(objection(&error, name, certificate))),
            Judge::Fingerprint(wanted) if fingerprint(certificate) == *wanted => {
                Ok(ServerCertVerified::assertion())
            }
            Judge::Fingerprint(_) => Err(refused(format!(
                "the pool shows another certificate than the one of tls_fingerprint; its SHA-256 fingerprint is {}",
                fingerprint(certificate)
            ))),
            Judge::Nobody => Ok(ServerCertVerified::assertion()),
        }
    }

    // That the server has the certificate's key is proved by its signature, also of a pinned certificate.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.by {
            Judge::Authorities(_) | Judge::Fingerprint(_) => {
                verify_tls12_signature(message, certificate, signature, &self.algorithms)
            }
            Judge::Nobody => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.by {
            Judge::Authorities(_) | Judge::Fingerprint(_) => {
                verify_tls13_signature(message, certificate, signature, &self.algorithms)
            }
            Judge::Nobody => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}

/// What is wrong with a certificate, in words for the owner.
fn objection(error: &Error, name: &ServerName<'_>, certificate: &CertificateDer<'_>) -> String {
    let Error::InvalidCertificate(fault) = error else {
        return format!("the pool's certificate was not accepted: {error}");
    };
    let name = name.to_str();
    if let CertificateError::NotValidForNameContext { presented, .. } = fault {
        // They come as `DnsName("pool.com")`.
        let names = presented.iter().take(MOST_NAMES).map(|presented| {
            let inner = presented.split_once('(').map_or("", |(_, inner)| inner);
            inner.trim_end_matches(')').trim_matches('"')
        });
        let names = names.collect::<Vec<_>>().join(", ");
        return format!("the pool's certificate is for another name than {name}: {names}");
    }
    let expired = matches!(
        fault,
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
    );
    let early = matches!(
        fault,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
    );
    if expired || early {
        let when = if expired {
            "has expired"
        } else {
            "is not valid yet"
        };
        return format!("the pool's certificate {when}, or this machine's clock is wrong");
    }
    format!(
        "no known authority vouches for the pool's certificate ({fault}); if the pool made it itself, set \
         tls_fingerprint to its SHA-256 fingerprint, which is {} if nobody is in between",
        fingerprint(certificate)
    )
}

/// An error that keeps its words on its way through rustls.
fn refused(reason: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refused(
        reason,
    )))))
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The known authorities: those of `SSL_CERT_FILE` if it is set, else the system's, else those that were built in.
fn roots() -> io::Result<RootCertStore> {
    if let Some(path) = env::var_os(ROOTS_VARIABLE).filter(|path| !path.is_empty()) {
        let path = Path::new(&path);
        return roots_in(path).ok_or_else(|| {
            io::Error::other(format!(
                "{ROOTS_VARIABLE} is {}, in which no certificate can be read",
                path.display()
            ))
        });
    }
    let built_in = || RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let system = SYSTEM_ROOTS
        .iter()
        .find_map(|path| roots_in(Path::new(path)));
    Ok(system.unwrap_or_else(built_in))
}

/// The certificates in a file; `None` if there is none.
fn roots_in(path: &Path) -> Option<RootCertStore> {
    let certificates = CertificateDer::pem_file_iter(path).ok()?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.filter_map(Result::ok));
    (!store.is_empty()).then_some(store)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::shell::thread::{PARSER_STACK, WRITER_STACK, spawn};

    /// How much goes through a connection in each direction, in bytes.
    const LOAD: usize = 8 * 1024 * 1024;

    /// The two ends of a connection; the pool's still has to shake hands.
    fn pair() -> (TcpStream, TcpStream, ServerConnection) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["pool".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let tls = ServerConnection::new(Arc::new(config)).unwrap();
        (ours, theirs, tls)
    }

    fn begin(stream: &TcpStream) -> io::Result<Session> {
        let until = clock() + Duration::from_secs(10);
        Tls::default().begin(stream, "pool", Trust::Anyone, until)
    }

    /// Bytes that show if one is missing, twice there or out of place.
    fn load() -> Vec<u8> {
        let numbers = (0_u32..).flat_map(u32::to_be_bytes);
        numbers.take(LOAD).collect()
    }

    /// Both directions at full speed, in pieces of all sizes, while the pool changes its keys again and again and asks
    /// for ours. rustls on the other end fails at the first record that comes out of its order.
    #[test]
    fn records_reach_the_pool_in_the_order_in_which_they_were_made() {
        let (ours, mut theirs, mut tls) = pair();
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
        let session = Arc::new(begin(&ours).unwrap());
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
        let mut incoming = Incoming::new(&session, &ours);
        let mut received = vec![0; LOAD];
        incoming.read_exact(&mut received).unwrap();
        assert!(received == load());
        writer.unwrap().join().unwrap();
        pool.unwrap().join().unwrap();
        assert_eq!(incoming.read(&mut [0]).unwrap(), 0, "the end");
    }

    #[test]
    fn a_server_is_named_as_its_host_is() {
        for (host, expected) in [
            ("pool.com", "pool.com"),
            ("pool_1.my-lan", "pool_1.my-lan"),
            ("umbrel", "umbrel"),
            ("1.2.3.4", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
        ] {
            assert_eq!(server_name(host).unwrap().to_str(), expected);
        }
        assert!(server_name("a b").is_err());
    }

    #[test]
    fn there_are_roots_without_any_file() {
        let missing = Path::new("/nowhere/roots.pem");
        assert!(roots_in(missing).is_none());
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 50);
    }
}
