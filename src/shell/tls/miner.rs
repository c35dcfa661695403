//! Encrypted connections from miners, and DPMP's certificate for them.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail};
use parking_lot::Mutex;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{
    AlertDescription, CertificateError, Error, RootCertStore, ServerConfig, ServerConnection,
};

use crate::core::fact::TlsFault;
use crate::shell::tls::{NoSession, PATIENCE, Session};
use crate::system::clock::{clock, now};
use crate::system::files;

/// The certificate of `listen.tls_certificate`, with its key. It is read again when a file has changed, because
/// certificates are renewed more often than DPMP is restarted.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    loaded: Mutex<LoadedFiles>,
}

#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Debug)]
struct LoadedFiles {
    /// When the files were last changed, as far as known.
    changed: [Option<SystemTime>; 2],
    config: Arc<ServerConfig>,
    /// The server's own certificate.
    own: CertificateDer<'static>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// If one of them cannot be used, with its name.
    pub fn load(certificate: PathBuf, key: PathBuf) -> anyhow::Result<Self> {
        let files = Files { certificate, key };
        let changed = files.changed();
        let (own, config) = files.read()?;
        let loaded = Mutex::new(LoadedFiles {
            changed,
            config,
            own,
        });
        Ok(Self { files, loaded })
    }

    /// What is wrong with the certificate's validity period, as text for the owner. Miners that check it refuse such a
    /// certificate.
    pub fn out_of_date(&self) -> Option<String> {
        out_of_date(&self.loaded.lock().own, &self.files.certificate)
    }

    /// Does the TLS handshake on a new connection. If a changed certificate cannot be used, `complain` gets the reason,
    /// and the previous one still counts.
    ///
    /// # Errors
    /// With the reason, as text for the owner.
    #[inline(never)]
    pub fn accept(
        &self,
        stream: &TcpStream,
        complain: impl FnOnce(String),
    ) -> Result<Box<Session>, TlsFault> {
        let config = self.config(complain);
        let tls =
            ServerConnection::new(config).map_err(|error| fault(NoSession::Refused(error)))?;
        Session::begin(tls.into(), stream, clock() + PATIENCE).map_err(fault)
    }

    fn config(&self, complain: impl FnOnce(String)) -> Arc<ServerConfig> {
        let changed = self.files.changed();
        let mut loaded = self.loaded.lock();
        if loaded.changed == changed {
            return Arc::clone(&loaded.config);
        }
        loaded.changed = changed;
        let before = Arc::clone(&loaded.config);
        drop(loaded);
        // Without the lock, so that others continue with the previous one.
        match self.files.read() {
            Ok((own, config)) => {
                if let Some(problem) = out_of_date(&own, &self.files.certificate) {
                    complain(problem);
                }
                let mut loaded = self.loaded.lock();
                (loaded.own, loaded.config) = (own, Arc::clone(&config));
                config
            }
            Err(error) => {
                complain(format!("{error:#}; DPMP keeps using the previous one"));
                before
            }
        }
    }
}

impl Files {
    fn changed(&self) -> [Option<SystemTime>; 2] {
        let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        [changed(&self.certificate), changed(&self.key)]
    }

    /// The server's own certificate, and the configuration for connections.
    fn read(&self) -> anyhow::Result<(CertificateDer<'static>, Arc<ServerConfig>)> {
        let Self { certificate, key } = self;
        let chain = read_chain(certificate)
            .with_context(|| format!("listen.tls_certificate, {}", certificate.display()))?;
        let secret = read_key(key).with_context(|| format!("listen.tls_key, {}", key.display()))?;
        let own = chain.first().cloned().unwrap_or_else(|| Vec::new().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(together)
            .with_context(|| {
                format!(
                    "listen.tls_certificate, {}, and listen.tls_key, {}",
                    certificate.display(),
                    key.display()
                )
            })?;
        // Nothing is kept of a miner that has left.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok((own, Arc::new(config)))
    }
}

/// What is wrong with a certificate's validity period, judged as a miner would.
fn out_of_date(own: &CertificateDer<'_>, file: &Path) -> Option<String> {
    const DAY: u64 = 86_400;
    let certificate = ParsedCertificate::try_from(own).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now().unix_ms));
    let algorithms = ring::default_provider().signature_verification_algorithms;
    // At best, the result is an unknown authority; the time is checked before that.
    let judged = verify_server_cert_signed_by_trust_anchor(
        &certificate,
        &RootCertStore::empty(),
        &[],
        now,
        algorithms.all,
    );
    let Err(Error::InvalidCertificate(fault)) = judged else {
        return None;
    };
    let days = |from: UnixTime, to: UnixTime| to.as_secs().saturating_sub(from.as_secs()) / DAY;
    let what = if let CertificateError::ExpiredContext { time, not_after } = fault {
        format!("expired {} days ago", days(not_after, time))
    } else if let CertificateError::NotValidYetContext { time, not_before } = fault {
        format!(
            "will not be valid for another {} days",
            days(time, not_before)
        )
    } else {
        return None;
    };
    Some(format!(
        "listen.tls_certificate, {}: the certificate {what}. Miners that check it refuse to connect. Replace it with \
         a new one, or set this machine's clock if it is wrong.",
        file.display()
    ))
}

fn read_chain(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let bytes = files::read(file, files::LARGEST_PEM)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(in_file)?;
    if chain.is_empty() {
        bail!("there is no certificate in it{}", contents(&bytes));
    }
    Ok(chain)
}

fn read_key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let bytes = files::read(file, files::LARGEST_PEM)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            bail!(
                "there is no private key in it that can be used{}",
                contents(&bytes)
            )
        }
        Err(error) => Err(in_file(error)),
    }
}

/// What a file contains instead of the expected data, and what to do about it.
fn contents(bytes: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
    {
        ", but one that is protected by a password. To save it without one, run: openssl pkey -in OLD -out NEW"
    } else if text.contains("-----BEGIN CERTIFICATE REQUEST-----")
        || text.contains("-----BEGIN NEW CERTIFICATE REQUEST-----")
    {
        ", but a request for one. The authority sends you the certificate."
    } else if text.contains("PRIVATE KEY-----") {
        ", but a private key: that file belongs in listen.tls_key"
    } else if text.contains("-----BEGIN CERTIFICATE-----") {
        ", but a certificate: that file belongs in listen.tls_certificate"
    } else if bytes.first() == Some(&0x30) {
        ". It looks like DER, but DPMP needs PEM. To convert a certificate: openssl x509 -inform der -in OLD -out NEW; for a key, use openssl pkey"
    } else if text.trim().is_empty() {
        ": it is empty"
    } else {
        ". It should be a PEM file, which begins with -----BEGIN"
    }
}

/// What is wrong with a PEM file, as text for the owner.
fn in_file(error: pem::Error) -> anyhow::Error {
    if let pem::Error::Io(error) = error {
        error.into()
    } else {
        anyhow!("it is a damaged PEM file: {error}")
    }
}

/// Why a certificate and a key cannot be used together, as text for the owner.
fn together(error: Error) -> anyhow::Error {
    if let Error::InconsistentKeys(_) = error {
        anyhow!(
            "the key belongs to another certificate. The first certificate in the file must be the one for this key, \
             followed by those of its authorities"
        )
    } else if let Error::InvalidCertificate(fault) = error {
        anyhow!(
            "the certificate cannot be used ({fault}). docs/configuration.md shows how to make one that can"
        )
    } else {
        error.into()
    }
}

/// Why there is no session, as text for the owner.
fn fault(why: NoSession) -> TlsFault {
    let (kind, text) = match why {
        NoSession::PlainText => {
            let text = "it sends plain text to the TLS port; use listen.port in the miner, or turn on TLS there";
            ("plain_text", text.to_owned())
        }
        NoSession::TooSlow => ("too_slow", "it takes too long".to_owned()),
        NoSession::HungUp => ("closed", "the miner closed the connection".to_owned()),
        NoSession::Refused(Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::DecryptError
            | AlertDescription::UnsupportedCertificate),
        )) => {
            let text = format!(
                "the miner does not trust the certificate of listen.tls_certificate ({alert:?})"
            );
            ("distrust", text)
        }
        NoSession::Refused(error) => ("refused", error.to_string()),
        NoSession::Failed(error) => ("failed", error.to_string()),
    };
    TlsFault { kind, text }
}
