//! The fingerprint of a pool's certificate, as people paste it.

use std::fmt;

use serde_json::{Value, json};

use super::kind::{Form, FormKind, Kind};

/// The SHA-256 hash of a certificate (in DER).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A fingerprint in hex, with or without colons, also after the words that openssl prints; none by default.
pub(super) struct CertificateHash;

impl CertificateHash {
    /// In characters, with colons and words.
    const LONGEST: usize = 128;
}

impl Kind for CertificateHash {
    type Meaning = Option<Fingerprint>;

    fn read(&self, value: &Value) -> Result<Self::Meaning, String> {
        let text = value.as_str().ok_or_else(|| self.allowed())?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        parse(text).map(Some).ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        "empty, or a SHA-256 fingerprint: 64 hex digits, with or without colons".to_owned()
    }

    fn default(&self) -> Self::Meaning {
        None
    }

    fn default_json(&self) -> Value {
        json!("")
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Text, Self::LONGEST)
    }
}

fn parse(text: &str) -> Option<Fingerprint> {
    let digits = match text.split_once('=') {
        Some((words, digits)) => {
            let words = words.trim().to_ascii_lowercase();
            ["sha256", "sha256 fingerprint"]
                .contains(&words.as_str())
                .then_some(digits.trim())?
        }
        None => text,
    };
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits.replace(':', ""), &mut bytes).ok()?;
    Some(Fingerprint(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_fingerprints_are_accepted() {
        let plain = "00ff".repeat(16);
        let pairs: Vec<_> = plain
            .as_bytes()
            .chunks(2)
            .map(String::from_utf8_lossy)
            .collect();
        let colons = pairs.join(":").to_uppercase();
        for text in [
            plain.clone(),
            plain.to_uppercase(),
            colons.clone(),
            format!(" sha256 Fingerprint={colons} "),
            format!("SHA256={plain}"),
        ] {
            let read = CertificateHash.read(&json!(text)).unwrap().unwrap();
            assert_eq!(read.to_string(), plain, "{text}");
        }
        assert_eq!(CertificateHash.read(&json!(" ")), Ok(None));
    }

    #[test]
    fn text_that_is_not_a_sha256_fingerprint_is_refused() {
        for wrong in [
            json!("00ff"),
            json!("00ff".repeat(10)),
            json!("00ff".repeat(17)),
            json!("00fg".repeat(16)),
            json!("00f\u{e9}".repeat(16)),
            json!(format!("SHA1 Fingerprint={}", "00ff".repeat(16))),
            json!(5),
        ] {
            assert!(CertificateHash.read(&wrong).is_err(), "{wrong}");
        }
    }
}
