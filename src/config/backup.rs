//! A pool's backups: other addresses, tried in their order while the first one fails.

use std::fmt;

use serde_json::{Value, json};

use super::address::{PoolHost, Wallet};
use super::fault::quote;
use super::kind::{Form, FormKind, Kind, list, one_line};

/// Another address of a pool, or another pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// As [`PoolConfig::host`](super::PoolConfig::host).
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Whether the connection is encrypted, with a certificate that the authorities vouch for.
    pub tls: bool,
    /// The wallet or account there; `None`: the pool's own.
    pub wallet: Option<String>,
}

impl fmt::Display for Backup {
    /// In the form in which it can be written.
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
    /// How many.
    const MOST: usize = 8;
    /// Each, in characters.
    const LONGEST: usize = 600;
}

impl Kind for Backups {
    type Meaning = Vec<Backup>;

    fn read(&self, value: &Value) -> Result<Vec<Backup>, String> {
        let read = |item: &Value| read_one(one_line(item.as_str()?, Self::LONGEST)?.trim());
        list(value, Self::MOST, read).ok_or_else(|| {
            let mut items = value.as_array().into_iter().flatten();
            match items.find(|item| read(item).is_none()) {
                Some(wrong) => format!("{}; {} is none", self.allowed(), quote(wrong)),
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

fn read_one(text: &str) -> Option<Backup> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    // A wallet may be an e-mail address.
    let (wallet, place) = match rest.rsplit_once('@') {
        Some((wallet, place)) => (Some(wallet.trim()), place),
        None => (None, rest),
    };
    let place = PoolHost { default: "" }
        .read(&json!(format!("{scheme}{place}")))
        .ok()??;
    Some(Backup {
        host: place.host,
        port: place.port?,
        tls: place.tls,
        wallet: match wallet {
            // As that of a pool, and one that is there to be replaced is none.
            Some(wallet) => Some(WALLET.read(&json!(wallet)).ok()??),
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
    fn addresses_as_they_are_pasted() {
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
    fn what_is_no_address_is_refused() {
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
}
