//! Encrypted connections: certificates made for the test, a front that adds TLS to a simulated pool, and a tunnel
//! through which simulated miners use TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dpmp::system::net::Port;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// How long one direction waits before it checks the other.
const NAP: Duration = Duration::from_millis(2);

/// An authority that the proxy knows, from the file it was started with.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

fn authority() -> &'static Authority {
    static KNOWN: OnceLock<Authority> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let issuer = new_issuer();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("roots.pem"), issuer.pem()).unwrap();
        Authority { issuer, folder }
    })
}

/// The file of known authorities.
pub(crate) fn roots_file() -> PathBuf {
    authority().folder.path().join("roots.pem")
}

fn new_issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key.
pub(crate) struct Identity {
    certificate: Certificate,
    key: KeyPair,
}

impl Identity {
    /// For `localhost` and 127.0.0.1, from the known authority.
    pub(crate) fn good() -> Self {
        Self::known(|_| ())
    }

    /// From the known authority, with a change.
    pub(crate) fn known(change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::issued_by(&authority().issuer, "localhost", change)
    }

    /// For another name.
    pub(crate) fn for_name(name: &str) -> Self {
        Self::issued_by(&authority().issuer, name, |_| ())
    }

    /// From an unknown authority.
    pub(crate) fn unknown() -> Self {
        Self::issued_by(&new_issuer(), "localhost", |_| ())
    }

    /// As people make them at home: self-signed, for some name, and marked as an authority.
    pub(crate) fn self_signed() -> Self {
        Self::signed_by_itself(|_| ())
    }

    /// The same, but expired.
    pub(crate) fn self_signed_and_expired() -> Self {
        Self::signed_by_itself(|params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    fn signed_by_itself(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec!["some.pool".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            key,
        }
    }

    fn issued_by(
        issuer: &CertifiedIssuer<'static, KeyPair>,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut names = vec![name.to_owned()];
        if name == "localhost" {
            names.push("127.0.0.1".to_owned());
        }
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.signed_by(&key, issuer).unwrap(),
            key,
        }
    }

    /// In hex.
    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.certificate.der()))
    }

    /// The certificate and its key, as in a PEM file.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }

    fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }
}

/// Trusts only the known authority.
fn trusting() -> Arc<ClientConfig> {
    trusting_in(authority().issuer.der())
}

/// Trusts only an unrelated authority.
fn distrusting() -> Arc<ClientConfig> {
    trusting_in(new_issuer().der())
}

fn trusting_in(authority: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Does a TLS handshake with a server at localhost.
fn begin(config: Arc<ClientConfig>, stream: &mut TcpStream) -> std::io::Result<ClientConnection> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config, name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(stream)?;
    }
    Ok(tls)
}

/// The fingerprint of the certificate that a server shows to a client that trusts it.
pub(crate) fn shown_fingerprint(server: SocketAddr) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    let tls = begin(trusting(), &mut stream).unwrap();
    hex::encode(Sha256::digest(&tls.peer_certificates().unwrap()[0]))
}

/// Connects to a server without trusting it.
pub(crate) fn distrust(server: SocketAddr) {
    let mut stream = TcpStream::connect(server).unwrap();
    begin(distrusting(), &mut stream).unwrap_err();
}

/// What a front does with its clients.
#[derive(Clone)]
enum Manner {
    Serve(Arc<ServerConfig>, SocketAddr),
    /// Sends these bytes unencrypted and encrypts everything after them.
    Encrypt(&'static [u8], SocketAddr),
    /// Sends these bytes and nothing more.
    Say(&'static [u8]),
    HangUp,
}

/// A port that speaks TLS and forwards everything to a pool's plain port.
pub(crate) struct Front {
    door: Port,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Connections so far.
    count: AtomicUsize,
    /// Connections that the client closed with a proper TLS close notification.
    clean_closes: AtomicUsize,
    /// Renew the keys after each message; the client has to follow.
    new_keys: AtomicBool,
    /// Increased to cut all connections.
    cut: AtomicUsize,
}

impl Front {
    /// With TLS 1.3 and 1.2.
    pub(crate) fn new(identity: &Identity, pool: SocketAddr) -> Self {
        Self::start(Manner::Serve(identity.config(&[&TLS13, &TLS12]), pool))
    }

    /// With TLS 1.2 only.
    pub(crate) fn old(identity: &Identity, pool: SocketAddr) -> Self {
        Self::start(Manner::Serve(identity.config(&[&TLS12]), pool))
    }

    /// With TLS 1.3, and new keys after each message.
    pub(crate) fn with_new_keys(identity: &Identity, pool: SocketAddr) -> Self {
        let front = Self::start(Manner::Serve(identity.config(&[&TLS13]), pool));
        front.state.new_keys.store(true, Ordering::SeqCst);
        front
    }

    /// The other direction: it accepts plain text and encrypts it for the proxy's TLS port.
    pub(crate) fn tunnel(proxy: SocketAddr) -> Self {
        Self::start(Manner::Encrypt(b"", proxy))
    }

    /// A tunnel that is also a load balancer.
    pub(crate) fn balancer(header: &'static [u8], proxy: SocketAddr) -> Self {
        Self::start(Manner::Encrypt(header, proxy))
    }

    /// Sends these bytes to every client, and nothing more.
    pub(crate) fn saying(bytes: &'static [u8]) -> Self {
        Self::start(Manner::Say(bytes))
    }

    /// Closes every connection when its first bytes arrive.
    pub(crate) fn hanging_up() -> Self {
        Self::start(Manner::HangUp)
    }

    fn start(manner: Manner) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let door = super::serve(move |stream| {
            shared.count.fetch_add(1, Ordering::SeqCst);
            serve(stream, &manner, &shared);
        });
        Self { door, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address().port()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.count.load(Ordering::SeqCst)
    }

    pub(crate) fn clean_closes(&self) -> usize {
        self.state.clean_closes.load(Ordering::SeqCst)
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.state.cut.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.door.stop();
    }
}

fn serve(mut stream: TcpStream, manner: &Manner, state: &State) {
    match manner {
        Manner::Serve(config, pool) => {
            // How it ends makes no difference here.
            let _ = front(Arc::clone(config), &mut stream, *pool, state);
        }
        Manner::Encrypt(header, proxy) => {
            let _ = tunnel(header, &mut stream, *proxy, state);
        }
        Manner::Say(bytes) => {
            let _ = stream.write_all(bytes);
            while !state.stop.load(Ordering::SeqCst) {
                std::thread::sleep(NAP);
            }
        }
        Manner::HangUp => {
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn front(
    config: Arc<ServerConfig>,
    client: &mut TcpStream,
    pool: SocketAddr,
    state: &State,
) -> std::io::Result<()> {
    let mut tls = ServerConnection::new(config).unwrap();
    client.set_nodelay(true)?;
    while tls.is_handshaking() {
        tls.complete_io(client)?;
    }
    let mut pool = TcpStream::connect(pool)?;
    pipe(tls.into(), client, &mut pool, state)
}

fn tunnel(
    header: &[u8],
    miner: &mut TcpStream,
    proxy: SocketAddr,
    state: &State,
) -> std::io::Result<()> {
    let mut proxy = TcpStream::connect(proxy)?;
    proxy.set_nodelay(true)?;
    proxy.write_all(header)?;
    let tls = begin(trusting(), &mut proxy)?;
    pipe(tls.into(), &mut proxy, miner, state)
}

/// Copies data in both directions.
fn pipe(
    mut tls: Connection,
    encrypted: &mut TcpStream,
    plain: &mut TcpStream,
    state: &State,
) -> std::io::Result<()> {
    let cut = state.cut.load(Ordering::SeqCst);
    for stream in [&*encrypted, &*plain] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(NAP))?;
    }
    let mut buffer = [0; 16 * 1024];
    while !state.stop.load(Ordering::SeqCst) && state.cut.load(Ordering::SeqCst) == cut {
        match tls.read_tls(encrypted) {
            Ok(0) => return Ok(()),
            Ok(_) => {
                tls.process_new_packets().map_err(std::io::Error::other)?;
            }
            Err(error) if is_nothing(&error) => (),
            Err(error) => return Err(error),
        }
        loop {
            match tls.reader().read(&mut buffer) {
                Ok(0) => {
                    // The other end closed its TLS session.
                    state.clean_closes.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                Ok(read) => plain.write_all(&buffer[..read])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        match plain.read(&mut buffer) {
            Ok(0) => {
                tls.send_close_notify();
                while tls.wants_write() {
                    tls.write_tls(encrypted)?;
                }
                return Ok(());
            }
            Ok(read) => {
                tls.writer().write_all(&buffer[..read])?;
                if state.new_keys.load(Ordering::SeqCst) {
                    tls.refresh_traffic_keys().map_err(std::io::Error::other)?;
                }
            }
            Err(error) if is_nothing(&error) => (),
            Err(error) => return Err(error),
        }
        while tls.wants_write() {
            tls.write_tls(encrypted)?;
        }
    }
    Ok(())
}

fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
