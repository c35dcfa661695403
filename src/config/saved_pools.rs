//! `saved_pools`: the owner's address book of pools. DPMP does not mine for a saved pool until it is put into `pools`.
//!
//! - An entry has the settings of a pool, without its name. They are checked like those in `pools`.
//! - Clients do not see passwords. A password that a client leaves out is restored for the same pool: the same host,
//!   port and wallet. If only the wallet has changed, the entry keeps its password. No other server gets it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use super::address::PoolHost;
use super::backup::Backup;
use super::fault::quote;
use super::kind::number::Port;
use super::kind::{Form, FormKind, Kind, Wrong, one_line};
use super::raw::join;
use crate::units::PoolSlot;

/// Their path in the configuration.
pub const PATH: &str = "saved_pools";

/// The maximum number.
const MOST: usize = 100;

/// The longest name, in characters.
const LONGEST_NAME: usize = 64;

/// The settings of a saved pool, as in the file.
#[derive(Clone, PartialEq)]
pub struct SavedPool(pub Map<String, Value>);

impl fmt::Debug for SavedPool {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown(&self.0))
    }
}

/// The table of saved pools, by name.
pub(super) struct SavedPools {
    /// Checks a pool's setting; otherwise returns what is allowed.
    pub(super) check: fn(&str, &Value) -> Result<(), String>,
}

impl SavedPools {
    /// The mistakes in an entry: place, found value, what is allowed.
    fn faults(&self, name: &str, entry: &Value) -> Vec<(String, String, String)> {
        let fits = one_line(name, LONGEST_NAME).is_some_and(|name| !name.trim().is_empty());
        if !fits {
            let allowed = format!("a name on one line of 1 to {LONGEST_NAME} characters");
            return vec![(String::new(), quote(&json!(name)), allowed)];
        }
        let Some(settings) = entry.as_object() else {
            let allowed = "an object with the settings of a pool".to_owned();
            return vec![(String::new(), quote(entry), allowed)];
        };
        let mut faults = Vec::new();
        for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
            if let Err(allowed) = (self.check)(key, value) {
                faults.push((key.clone(), quote(value), allowed));
            }
        }
        if faults.is_empty() && Place::of(settings).is_none() {
            let found = settings.get("host").map_or("nothing".to_owned(), quote);
            let allowed = "the pool's host name or IP address".to_owned();
            faults.push(("host".to_owned(), found, allowed));
        }
        faults
    }
}

impl Kind for SavedPools {
    type Meaning = BTreeMap<String, SavedPool>;

    fn read(&self, value: &Value) -> Result<Self::Meaning, String> {
        if let Some(wrong) = self.wrong(value).into_iter().next() {
            return Err(wrong.allowed);
        }
        let entries = value.as_object().into_iter().flatten();
        let pool = |(name, entry): (&String, &Value)| {
            Some((name.clone(), SavedPool(entry.as_object()?.clone())))
        };
        Ok(entries.filter_map(pool).collect())
    }

    fn wrong(&self, value: &Value) -> Vec<Wrong> {
        let whole = |found: String| Wrong {
            place: String::new(),
            found,
            allowed: self.allowed(),
            entries: 0..usize::MAX,
        };
        let Some(entries) = value.as_object() else {
            return vec![whole(quote(value))];
        };
        if entries.len() > MOST {
            return vec![whole(format!("{} entries", entries.len()))];
        }
        let numbered = entries.iter().enumerate();
        numbered
            .flat_map(|(number, (name, entry))| {
                let faults = self.faults(name, entry).into_iter();
                faults.map(move |(key, found, allowed)| Wrong {
                    place: match key.as_str() {
                        "" => join("", name),
                        key => join(&join("", name), key),
                    },
                    found,
                    allowed,
                    entries: number..number + 1,
                })
            })
            .collect()
    }

    fn allowed(&self) -> String {
        format!(
            "an object of at most {MOST} pools, such as {{\"My pool\": {{\"host\": \"pool.com\", \"port\": 3333, \
             \"wallet\": \"…\"}}}}"
        )
    }

    fn default(&self) -> Self::Meaning {
        BTreeMap::new()
    }

    fn default_json(&self) -> Value {
        json!({})
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Table, MOST)
    }
}

/// The saved pools, one per line, including secrets, for comparing.
pub(super) fn compared(pools: &BTreeMap<String, SavedPool>) -> String {
    let line = |(name, pool): (&String, &SavedPool)| format!("{}: {}", json!(name), json!(pool.0));
    pools.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same with what may be shown.
pub(super) fn compared_openly(pools: &BTreeMap<String, SavedPool>) -> String {
    let line = |(name, pool): (&String, &SavedPool)| {
        let url = Place::of(&pool.0).map(|place| place.url(&pool.0).to_string());
        let is_other = |key: &str| !["host", "port", "wallet", "tls", "password"].contains(&key);
        let others = pool.0.iter().filter(|(key, _)| is_other(key));
        let others: Vec<_> = others
            .map(|(key, value)| format!(", {key} {value}"))
            .collect();
        format!("{name}: {}{}", url.unwrap_or_default(), others.concat())
    };
    pools.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The saved pools of a configuration file without their passwords, and the names of those with a password.
pub fn without_passwords(saved: &Value) -> (Value, Vec<String>) {
    let mut with_password = Vec::new();
    let pools = saved.as_object().into_iter().flatten();
    let shown = pools
        .map(|(name, entry)| {
            if entry.as_object().is_some_and(|it| password(it).is_some()) {
                with_password.push(name.clone());
            }
            let entry = entry
                .as_object()
                .map_or(entry.clone(), |it| shown(it).into());
            (name.clone(), entry)
        })
        .collect();
    (Value::Object(shown), with_password)
}

fn shown(entry: &Map<String, Value>) -> Map<String, Value> {
    let mut entry = entry.clone();
    entry.shift_remove("password");
    entry
}

/// Restores passwords that a client left out, in its saved pools and in `pools` that were exchanged. An unknown pool in
/// `pools` keeps its password if its host or its wallet is still the same.
pub fn put_back(new: &mut Value, old: &Value) {
    let old_pools: Vec<_> = [old.get("pools"), old.get(PATH)]
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flatten()
        .filter_map(|(_, pool)| pool.as_object())
        .collect();
    let same_place = |pool: &Map<String, Value>| {
        let place = Place::of(pool)?;
        let same = old_pools.iter().copied();
        let mut same = same.filter(|old| Place::of(old).as_ref() == Some(&place));
        let first = same.next()?;
        Some(password(first).or_else(|| same.find_map(password)))
    };
    let saved = old.get(PATH).and_then(Value::as_object);
    let saved: Vec<_> = saved
        .into_iter()
        .flatten()
        .filter_map(|(_, pool)| pool.as_object())
        .collect();
    // A saved pool may have been changed and renamed, or changed and used, before anything was saved.
    let only_at_server = |here: Option<&Place>| {
        let mut there = saved.iter().copied();
        let mut there = there.by_ref().filter(|it| is_at_server(it, here));
        there.next().filter(|_| there.next().is_none())
    };
    for slot in PoolSlot::ALL {
        let slot = slot.to_string();
        let before = old.get("pools").and_then(|pools| pools.get(&slot));
        let Some(before) = before.and_then(Value::as_object) else {
            continue;
        };
        let pool = new.get_mut("pools").and_then(|pools| pools.get_mut(&slot));
        let Some(pool) = pool.and_then(Value::as_object_mut).filter(is_left_out) else {
            continue;
        };
        let (here, there) = (Place::of(pool), Place::of(before));
        let Some((here, there)) = here.zip(there).filter(|(here, there)| here != there) else {
            continue;
        };
        match same_place(pool) {
            Some(found) => pool.insert("password".to_owned(), json!(found.unwrap_or_default())),
            None if here.host == there.host || here.wallet == there.wallet => None,
            None => {
                let found = only_at_server(Some(&here)).and_then(password);
                pool.insert("password".to_owned(), json!(found.unwrap_or_default()))
            }
        };
    }
    let entries = new.get_mut(PATH).and_then(Value::as_object_mut);
    for (name, entry) in entries.into_iter().flatten() {
        let Some(entry) = entry.as_object_mut().filter(is_left_out) else {
            continue;
        };
        let before = old.get(PATH).and_then(|saved| saved.get(name));
        let before = before.and_then(Value::as_object);
        let here = Place::of(entry);
        let exact = before.filter(|before| Place::of(before) == here);
        let found = match (exact, same_place(entry)) {
            (Some(exact), _) => password(exact),
            (None, Some(found)) => found,
            // Another account there may have the same password; no other server gets it.
            (None, None) => {
                let own = before.filter(|before| is_at_server(before, here.as_ref()));
                own.or_else(|| only_at_server(here.as_ref()))
                    .and_then(password)
            }
        };
        if let Some(found) = found {
            entry.insert("password".to_owned(), json!(found));
        }
    }
}

/// A pool as a backup of one with this wallet; `None` if it has no host or no wallet.
pub fn as_backup(pool: &Map<String, Value>, own_wallet: &str) -> Option<Backup> {
    let backup = Place::of(pool)?.url(pool);
    let wallet = backup.wallet?;
    Some(Backup {
        wallet: Some(wallet).filter(|wallet| wallet != own_wallet.trim()),
        ..backup
    })
}

/// Whether a pool has a host.
pub fn has_host(pool: &Map<String, Value>) -> bool {
    Place::of(pool).is_some()
}

fn is_at_server(pool: &Map<String, Value>, server: Option<&Place>) -> bool {
    let place = Place::of(pool);
    let both = place.as_ref().zip(server);
    both.is_some_and(|(place, server)| place.has_server_of(server))
}

fn is_left_out(pool: &&mut Map<String, Value>) -> bool {
    pool.get("password").is_none_or(Value::is_null)
}

fn password(pool: &Map<String, Value>) -> Option<&str> {
    pool.get("password")?
        .as_str()
        .filter(|password| !password.is_empty())
}

/// What distinguishes pools.
#[derive(PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    wallet: String,
    /// Whether its host's scheme means an encrypted port.
    tls: bool,
}

impl Place {
    /// `None`: it has no host.
    fn of(pool: &Map<String, Value>) -> Option<Self> {
        let found = PoolHost { default: "" }.read(pool.get("host")?).ok()??;
        let port = pool.get("port");
        let port = port.and_then(|port| Port(3333).read(port).ok());
        let wallet = pool.get("wallet").and_then(Value::as_str);
        Some(Self {
            host: found.host,
            port: found.port.or(port).unwrap_or(3333),
            wallet: wallet.unwrap_or_default().trim().to_owned(),
            tls: found.tls,
        })
    }

    fn has_server_of(&self, other: &Self) -> bool {
        (&self.host, self.port, self.tls) == (&other.host, other.port, other.tls)
    }

    /// The pool as one line.
    fn url(self, pool: &Map<String, Value>) -> Backup {
        Backup {
            host: self.host,
            port: self.port,
            tls: pool.get("tls") == Some(&json!(true)) || self.tls,
            wallet: Some(self.wallet).filter(|wallet| !wallet.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Value {
        json!({
            "pools": {
                "A": {"host": "a.pool.com", "wallet": "alice", "password": "of-a"},
                "B": {"host": "b.pool.com", "port": 4444, "wallet": "bob"},
            },
            PATH: {
                "c": {"host": "c.pool.com:5555", "wallet": "carol", "password": "of-c"},
                "plain": {"host": "d.pool.com"},
            },
        })
    }

    /// The file with this change, as a client sends it: without passwords.
    fn saved(change: impl FnOnce(&mut Value)) -> Value {
        let mut new = file();
        new[PATH] = without_passwords(&new[PATH]).0;
        new["pools"]["A"]
            .as_object_mut()
            .unwrap()
            .shift_remove("password");
        change(&mut new);
        put_back(&mut new, &file());
        new
    }

    #[test]
    fn a_changed_payout_of_a_saved_pool_is_logged_and_shown() {
        let config = |change: &dyn Fn(&mut Value)| {
            let mut file = file();
            file[PATH]["c"]["user_name"] = json!("{wallet}");
            change(&mut file);
            crate::config::parse(&file.to_string()).unwrap().config
        };
        let of = |change: &dyn Fn(&mut Value)| {
            let mut changes = crate::config::changes(&config(&|_| ()), &config(change));
            assert_eq!(changes.len(), 1, "{changes:?}");
            changes.remove(0)
        };
        for (key, value) in [
            ("wallet", json!("mallory")),
            ("user_name", json!("mallory")),
            ("host", json!("other.com")),
            ("backups", json!(["mallory@other.com:3333"])),
        ] {
            let change = of(&|file| file[PATH]["c"][key] = value.clone());
            assert!(change.moves_money(), "{key}");
        }
        let other = of(&|file| file[PATH]["c"]["wallet"] = json!("mallory"));
        assert_eq!(
            other.shown(),
            [
                "c: stratum+tcp://carol@c.pool.com:5555, user_name \"{wallet}\"",
                "c: stratum+tcp://mallory@c.pool.com:5555, user_name \"{wallet}\""
            ]
        );
        // Even under another name.
        assert!(
            of(&|file| file[PATH] = json!({"new": {"host": "c.pool.com", "wallet": "m"}}))
                .moves_money()
        );
        let quiet: [&dyn Fn(&mut Value); 4] = [
            &|file| file[PATH]["c"]["fee_percent"] = json!(2),
            &|file| file[PATH]["a"] = file["pools"]["A"].clone(),
            &|file| file[PATH] = json!({"renamed": file[PATH]["c"]}),
            &|file| file[PATH] = json!({}),
        ];
        for change in quiet {
            assert!(!of(change).moves_money());
        }
        let password = of(&|file| file[PATH]["c"]["password"] = json!("new"));
        assert_eq!(password.shown(), ["", "changed"]);
    }

    #[test]
    fn passwords_are_hidden_and_restored_on_saving() {
        let (view, with) = without_passwords(&file()[PATH]);
        assert!(!view.to_string().contains("of-c"));
        assert_eq!(with, ["c"]);
        let kept = saved(|_| ());
        assert_eq!(kept[PATH], file()[PATH]);
        // The caller keeps the password of an unchanged pool.
        assert_eq!(kept["pools"]["A"].get("password"), None);
    }

    #[test]
    fn a_password_stays_with_its_pool() {
        let swapped = saved(|new| {
            let (a, b) = (new["pools"]["A"].take(), new["pools"]["B"].take());
            new["pools"] = json!({"A": b, "B": a});
        });
        assert_eq!(swapped["pools"]["A"]["password"], "");
        assert_eq!(swapped["pools"]["B"]["password"], "of-a");
        let picked = saved(|new| new["pools"]["A"] = new[PATH]["c"].clone());
        assert_eq!(picked["pools"]["A"]["password"], "of-c");
        let kept = saved(|new| new[PATH]["a"] = new["pools"]["A"].clone());
        assert_eq!(kept[PATH]["a"]["password"], "of-a");
        let renamed = saved(|new| new[PATH] = json!({"other": new[PATH]["c"]}));
        assert_eq!(renamed[PATH]["other"]["password"], "of-c");
    }

    #[test]
    fn a_password_follows_its_account_and_else_its_server() {
        // Pool A has become another account of the same server, and takes the name of the old entry.
        let mut old = file();
        old["pools"]["A"] = json!({"host": "c.pool.com", "wallet": "bob", "password": "of-bob"});
        old[PATH]["c"] = json!({"host": "c.pool.com", "wallet": "alice", "password": "of-alice"});
        let saved = |change: &dyn Fn(&mut Value)| {
            let mut new = old.clone();
            new[PATH] = without_passwords(&new[PATH]).0;
            for slot in ["A", "B"] {
                let pool = new["pools"][slot].as_object_mut().unwrap();
                pool.shift_remove("password");
            }
            change(&mut new);
            put_back(&mut new, &old);
            new
        };
        let replaced = saved(&|new| new[PATH]["c"] = new["pools"]["A"].clone());
        assert_eq!(replaced[PATH]["c"]["password"], "of-bob");
        // Renamed, and with another wallet, in one go.
        let renamed = saved(&|new| {
            let mut entry = new[PATH]["c"].take();
            entry["wallet"] = json!("carol");
            new[PATH] = json!({"d": entry});
        });
        assert_eq!(renamed[PATH]["d"]["password"], "of-alice");
        // With another wallet, and chosen for B.
        let chosen = saved(&|new| {
            new[PATH]["c"]["wallet"] = json!("carol");
            new["pools"]["B"] = new[PATH]["c"].clone();
        });
        assert_eq!(chosen["pools"]["B"]["password"], "of-alice");
    }

    #[test]
    fn no_pool_gets_the_password_of_another() {
        let a = |pool: Value| saved(|new| new["pools"]["A"] = pool)["pools"]["A"].take();
        let other = a(json!({"host": "e.pool.com", "wallet": "eve"}));
        assert_eq!(other["password"], "");
        // Another server for the same account, another account on the same server.
        for same in [
            json!({"host": "eu.pool.com", "wallet": "alice"}),
            json!({"host": "A.pool.com", "wallet": "al"}),
        ] {
            assert_eq!(
                a(same).get("password"),
                None,
                "the caller keeps the password"
            );
        }
        let moved = saved(|new| new[PATH]["c"]["host"] = json!("e.pool.com"));
        assert_eq!(moved[PATH]["c"].get("password"), None);
        let account = saved(|new| new[PATH]["c"]["wallet"] = json!("other"));
        assert_eq!(account[PATH]["c"]["password"], "of-c", "the same server");
        let own = saved(|new| new[PATH]["c"]["password"] = json!(""));
        assert_eq!(own[PATH]["c"]["password"], "");
    }
}
