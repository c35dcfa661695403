//! A pool's backups: other addresses, tried in order while the first one fails.

use std::fmt;

use serde_json::{Value, json};

use super::address::{PoolHost, Wallet};
use super::fault::quote;
use super::kind::{Form, FormKind, Kind, list, one_line};

/// Another address of a pool, or another pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Like [`PoolConfig::host`](super::PoolConfig::host).
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Whether the connection is encrypted, with a certificate from a known authority.
    pub tls: bool,
    /// The wallet or account there; `None`: the pool's own.
    pub wallet: Option<String>,
}

impl fmt::Display for Backup {
    /// In the format of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls {
            "stratum+ssl"
        } else {
            "stratum+tcp"
        };
        write!(f, "{scheme}://")?;
        if let Some(wallet) = &self.wallet {
            write!(f, "{wallet}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A wallet before an `@`.
const WALLET: Wallet = Wallet {
    default: "",
    longest: Wallet::LONGEST,
};

/// A list of backups; empty by default.
pub(super) struct Backups;

impl Backups {
    /// The maximum number.
    pub(super) const MOST: usize = 8;
    /// The allowed format.
    pub(super) const ONE: &str = "an address with its port, such as \"pool.com:3333\"";
    /// The maximum length of each, in characters.
    const LONGEST: usize = 600;
}

impl Kind for Backups {
    type Meaning = Vec<Backup>;

    fn read(&self, value: &Value) -> Result<Vec<Backup>, String> {
        list(value, Self::MOST, |item| read_item(item).ok()).ok_or_else(|| {
            let items = value.as_array().into_iter().flatten();
            let wrong = items
                .enumerate()
                .find_map(|(index, item)| Some((index + 1, item, read_item(item).err()?)));
            match wrong {
                Some((number, item, wrong)) => format!(
                    "{}; number {number}, {}, {wrong}",
                    self.allowed(),
                    quote(item)
                ),
                None => self.allowed(),
            }
        })
    }

    fn allowed(&self) -> String {
        format!(
            "a list of at most {} addresses with their ports, such as \"pool.com:3333\", \"stratum+ssl://pool.com:443\" \
             or, for another wallet, \"wallet@pool.com:3333\"",
            Self::MOST
        )
    }

    fn default(&self) -> Vec<Backup> {
        Vec::new()
    }

    fn default_json(&self) -> Value {
        json!([])
    }

    fn form(&self) -> Form {
        Form::text(FormKind::List, Self::MOST)
    }
}

/// Why an entry is not a valid backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BackupFault {
    NoText,
    Host(String),
    NoHost,
    Placeholder,
    NoPort,
    Wallet(String),
}

impl fmt::Display for BackupFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoText => write!(
                f,
                "is not one line of text with at most {} characters",
                Backups::LONGEST
            ),
            Self::Host(allowed) => write!(f, "does not have {allowed}"),
            Self::NoHost => f.write_str("has no host"),
            Self::Placeholder => f.write_str("is a placeholder"),
            Self::NoPort => f.write_str("has no port, as in \"pool.com:3333\""),
            Self::Wallet(allowed) => write!(f, "does not have {allowed} before the @"),
        }
    }
}

/// Reads one entry of the list.
pub(super) fn read_item(item: &Value) -> Result<Backup, BackupFault> {
    let text = item
        .as_str()
        .and_then(|text| one_line(text, Backups::LONGEST));
    text.ok_or(BackupFault::NoText)
        .and_then(|text| read_one(text.trim()))
}

fn read_one(text: &str) -> Result<Backup, BackupFault> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    // A wallet may be an e-mail address.
    let (wallet, place) = match rest.rsplit_once('@') {
        Some((wallet, place)) => (Some(wallet.trim()), place),
        None => (None, rest),
    };
    if place.trim().is_empty() {
        return Err(BackupFault::NoHost);
    }
    let place = PoolHost { default: "" }
        .read(&json!(format!("{scheme}{place}")))
        .map_err(BackupFault::Host)?
        .ok_or(BackupFault::Placeholder)?;
    Ok(Backup {
        host: place.host,
        port: place.port.ok_or(BackupFault::NoPort)?,
        tls: place.tls,
        wallet: match wallet {
            // Like that of a pool, and a placeholder is not valid.
            Some(wallet) => Some(
                WALLET
                    .read(&json!(wallet))
                    .map_err(BackupFault::Wallet)?
                    .ok_or(BackupFault::Placeholder)?,
            ),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Vec<String>, String> {
        let list = Backups.read(&value)?;
        Ok(list.iter().map(Backup::to_string).collect())
    }

    #[test]
    fn pasted_addresses_are_accepted() {
        for (text, expected) in [
            ("Pool.com:3333", "stratum+tcp://pool.com:3333"),
            (
                " stratum+tcp://pool.com:3333/ ",
                "stratum+tcp://pool.com:3333",
            ),
            ("ssl://pool.com:443", "stratum+ssl://pool.com:443"),
            ("[::1]:3333", "stratum+tcp://[::1]:3333"),
            ("bc1qx@pool.com:3333", "stratum+tcp://bc1qx@pool.com:3333"),
            (
                "stratum+ssl://me@mail.org@pool.com:443",
                "stratum+ssl://me@mail.org@pool.com:443",
            ),
        ] {
            let once = read(json!([text])).unwrap();
            assert_eq!(once, [expected]);
            assert_eq!(
                read(json!(once)).unwrap(),
                once,
                "what is written can be read"
            );
        }
    }

    #[test]
    fn text_that_is_not_an_address_is_refused() {
        for wrong in [
            json!("pool.com:3333"),
            json!([5]),
            json!([""]),
            json!(["pool.com"]),
            json!(["pool.com:0"]),
            json!(["@pool.com:3333"]),
            json!(["YOUR_BTC_WALLET_ADDRESS@pool.com:3333"]),
            json!(["two words@pool.com:3333"]),
            json!([format!("{}@pool.com:3333", "w".repeat(257))]),
            json!(["pool-a.example.com:3333"]),
            json!(["stratum2+tcp://pool.com:3333"]),
            json!(["pool.com:3333\n"]),
            json!(vec!["pool.com:3333"; 9]),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_entry_is_named_with_what_it_is_missing() {
        for (wrong, why) in [
            (
                json!(["a.com:1", "pool.com"]),
                "number 2, \"pool.com\", has no port",
            ),
            (json!([7]), "number 1, 7, is not one line of text"),
            (
                json!(["a b:3333"]),
                "does not have a host name or an IP address",
            ),
            (
                json!(["https://pool.com:1"]),
                "does not have a Stratum v1 address",
            ),
            (json!(["pool-a.example.com:1"]), "is a placeholder"),
            (
                json!(["a b@pool.com:1"]),
                "characters, without spaces before the @",
            ),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(error.contains("such as \"pool.com:3333\""));
        }
    }
}
