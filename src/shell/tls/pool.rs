//! Encrypted connections to pools: how they begin, and which pools are trusted.

use std::env;
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use sha2::{Digest, Sha256};

use crate::config::{Fingerprint, Trust};
use crate::shell::tls::{NoSession, PATIENCE, Session};
use crate::system::clock::clock;

/// Names a file of certificates that replaces the system's.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// How many kinds of trust are remembered; two pools need two.
const MOST_CONFIGS: usize = 8;

/// How many of a certificate's names are shown.
const MOST_NAMES: usize = 3;

/// Starts encrypted connections. Shared data is created when it is first needed.
#[derive(Clone, Debug, Default)]
pub struct Tls(Arc<Mutex<Configs>>);

type Configs = Vec<(Trust, Arc<ClientConfig>)>;

impl Tls {
    /// Does the TLS handshake on a new connection, before `until`. It leaves the socket without a read timeout.
    ///
    /// # Errors
    /// With the reason, as text for the owner.
    pub fn begin(
        &self,
        stream: &TcpStream,
        host: &str,
        trust: Trust,
        until: Instant,
    ) -> io::Result<Box<Session>> {
        let name = server_name(host)?;
        let config = self.config(trust)?;
        let tls = ClientConnection::new(config, name).map_err(explained)?;
        let until = until.min(clock() + PATIENCE);
        Session::begin(tls.into(), stream, until).map_err(in_words)
    }

    fn config(&self, trust: Trust) -> io::Result<Arc<ClientConfig>> {
        let known = self.0.lock().iter().find(|(of, _)| *of == trust).cloned();
        if let Some((_, config)) = known {
            return Ok(config);
        }
        // Without the lock, because files are read. At first, several threads may do so.
        let config = Arc::new(client_config(trust)?);
        let mut configs = self.0.lock();
        if configs.len() >= MOST_CONFIGS {
            configs.clear();
        }
        configs.push((trust, Arc::clone(&config)));
        Ok(config)
    }
}

/// Why there is no session, as text for the owner.
fn in_words(why: NoSession) -> io::Error {
    match why {
        NoSession::PlainText => io::Error::other(
            "this port does not use TLS: it answers in plain text (the port is wrong, or tls must be false)",
        ),
        NoSession::TooSlow => io::Error::new(
            io::ErrorKind::TimedOut,
            "the TLS handshake takes too long; perhaps this port does not use TLS",
        ),
        NoSession::HungUp => io::Error::other(
            "the pool closed the connection during the TLS handshake; perhaps this port does not use TLS",
        ),
        NoSession::Refused(error) => explained(error),
        NoSession::Failed(error) => error,
    }
}

/// An error of rustls, as text for the owner.
fn explained(error: Error) -> io::Error {
    let old = matches!(
        error,
        Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure
        ) | Error::PeerIncompatible(_)
    );
    // This kind distinguishes certificate errors from all others.
    let kind = if let Error::InvalidCertificate(_) = error {
        io::ErrorKind::PermissionDenied
    } else {
        io::ErrorKind::Other
    };
    let text =
        if let Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) = &error {
            reason.to_string()
        } else if old {
            format!("the pool does not support TLS 1.2 or 1.3 with a secure cipher ({error})")
        } else if let Error::AlertReceived(alert) = error {
            format!("the pool ended the TLS connection: {alert:?}")
        } else {
            format!("TLS: {error}")
        };
    io::Error::new(kind, text)
}

/// The name that the certificate must be for. An IPv6 zone only matters on this machine.
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
    // A full handshake each time, so that the certificate is always checked and nothing has to be kept.
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

impl Verifier {
    /// The signature proves that the server has the certificate's key, even for a pinned certificate.
    fn judge_signature(
        &self,
        verify: impl FnOnce(&WebPkiSupportedAlgorithms) -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.by {
            Judge::Authorities(_) | Judge::Fingerprint(_) => verify(&self.algorithms),
            Judge::Nobody => Ok(HandshakeSignatureValid::assertion()),
        }
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
                "the pool's certificate does not match tls_fingerprint; its SHA-256 fingerprint is {}",
                fingerprint(certificate)
            ))),
            Judge::Nobody => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge_signature(|algorithms| {
            verify_tls12_signature(message, certificate, signature, algorithms)
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge_signature(|algorithms| {
            verify_tls13_signature(message, certificate, signature, algorithms)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}

/// What is wrong with a certificate, as text for the owner.
fn objection(error: &Error, name: &ServerName<'_>, certificate: &CertificateDer<'_>) -> String {
    let Error::InvalidCertificate(fault) = error else {
        return format!("the pool's certificate was not accepted: {error}");
    };
    let name = name.to_str();
    if let CertificateError::NotValidForNameContext { presented, .. } = fault {
        // They have the form `DnsName("pool.com")`.
        let names = presented.iter().take(MOST_NAMES).map(|presented| {
            let inner = presented.split_once('(').map_or("", |(_, inner)| inner);
            inner.trim_end_matches(')').trim_matches('"')
        });
        let names = names.collect::<Vec<_>>().join(", ");
        if names.is_empty() {
            return format!("the pool's certificate names no host, so it is not for {name}");
        }
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
        "no known authority vouches for the pool's certificate. If the pool uses a self-signed one, set tls_fingerprint to \
        {}, its SHA-256 fingerprint if nobody is in between. A backup needs a certificate of a known authority. If \
        the pool has one, it does not send the intermediate certificates",
        fingerprint(certificate)
    )
}

/// An error that keeps its text on its way through rustls.
fn refused(reason: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refusal(
        reason,
    )))))
}

#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// The known authorities: those of `SSL_CERT_FILE` if it is set, otherwise the system's, otherwise the built-in ones.
fn roots() -> io::Result<RootCertStore> {
    let named = env::var_os(ROOTS_VARIABLE).filter(|path| !path.is_empty());
    let found = match &named {
        Some(path) => load_certs_from_paths(Some(Path::new(path)), None),
        None => load_native_certs(),
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    match named {
        Some(path) if store.is_empty() => {
            return Err(io::Error::other(format!(
                "{ROOTS_VARIABLE} is {}, in which no certificate can be read",
                Path::new(&path).display()
            )));
        }
        None if store.is_empty() => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(_) | None => (),
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_name_is_the_host() {
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
    fn root_certificates_are_built_in() {
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 50);
    }
}
