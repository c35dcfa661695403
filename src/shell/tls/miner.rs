//! Encrypted connections from miners: the certificate that they are shown.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, anyhow, ensure};
use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{AlertDescription, Error, ServerConfig, ServerConnection};

use crate::shell::tls::{NoSession, PATIENCE, Session};
use crate::system::clock::clock;

/// The certificate of `listen.tls_certificate`, with its key. It is read anew when a file has changed, since
/// certificates are renewed more often than DPMP is started.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    loaded: Mutex<Loaded>,
}

#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Debug)]
struct Loaded {
    /// When the files were last changed, as far as was known.
    changed: [Option<SystemTime>; 2],
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// If one of them cannot be used, with its name.
    pub fn load(certificate: PathBuf, key: PathBuf) -> anyhow::Result<Self> {
        let files = Files { certificate, key };
        let loaded = Mutex::new(Loaded {
            changed: files.changed(),
            config: files.read()?,
        });
        Ok(Self { files, loaded })
    }

    /// Shakes hands over a new connection. `complain` hears of it if a changed certificate cannot be
    /// used; then the one before still counts.
    ///
    /// # Errors
    /// With the reason in words for the owner.
    pub fn accept(
        &self,
        stream: &TcpStream,
        complain: impl FnOnce(String),
    ) -> Result<Session, String> {
        let config = self.config(complain);
        let tls = ServerConnection::new(config).map_err(|error| error.to_string())?;
        Session::begin(tls.into(), stream, clock() + PATIENCE).map_err(in_words)
    }

    fn config(&self, complain: impl FnOnce(String)) -> Arc<ServerConfig> {
        let changed = self.files.changed();
        let mut loaded = self.loaded.lock();
        if loaded.changed != changed {
            loaded.changed = changed;
            match self.files.read() {
                Ok(config) => loaded.config = config,
                Err(error) => complain(format!("{error:#}; the one before is still shown")),
            }
        }
        Arc::clone(&loaded.config)
    }
}

impl Files {
    fn changed(&self) -> [Option<SystemTime>; 2] {
        let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        [changed(&self.certificate), changed(&self.key)]
    }

    fn read(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let Self { certificate, key } = self;
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(in_file)
            .and_then(|chain: Vec<_>| {
                ensure!(!chain.is_empty(), "there is no certificate in it");
                Ok(chain)
            })
            .with_context(|| format!("listen.tls_certificate, {}", certificate.display()))?;
        let secret = PrivateKeyDer::from_pem_file(key)
            .map_err(in_file)
            .with_context(|| format!("listen.tls_key, {}", key.display()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .with_context(|| {
                format!(
                    "listen.tls_certificate, {}, and listen.tls_key",
                    certificate.display()
                )
            })?;
        // Nothing is kept of a miner that has gone.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// What is wrong with a file, in words for the owner.
fn in_file(error: pem::Error) -> anyhow::Error {
    if let pem::Error::Io(error) = error {
        error.into()
    } else if let pem::Error::NoItemsFound = error {
        anyhow!("there is no PEM block of this kind in it")
    } else {
        anyhow!("it is no PEM file: {error}")
    }
}

/// Why there is no session, in words for the owner.
fn in_words(why: NoSession) -> String {
    match why {
        NoSession::PlainText => {
            "it speaks plain text on the port for TLS; it has to use listen.port, or to switch TLS on".to_owned()
        }
        NoSession::TooSlow => "it takes too long".to_owned(),
        NoSession::HungUp => "the miner closed the connection".to_owned(),
        NoSession::Refused(Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::DecryptError
            | AlertDescription::UnsupportedCertificate),
        )) => format!("the miner does not trust the certificate of listen.tls_certificate ({alert:?})"),
        NoSession::Refused(error) => error.to_string(),
        NoSession::Failed(error) => error.to_string(),
    }
}
