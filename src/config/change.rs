//! What differs between two configs.

use super::Config;
use super::keys;

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, such as `scheduler.poolA_weight`. Of `downstream_diff` only the keys of the pools are named: a
    /// changed default is a change of every pool that follows it.
    pub path: &'static str,
    /// What it was, in the unit of the key; empty if there was none. Nothing is said of a password.
    pub old: String,
    /// What it is to be; `changed` for a password.
    pub new: String,
    /// Whether it waits for a restart.
    pub needs_restart: bool,
}

/// Every setting that differs, in the order of the reference. Empty if and only if the configs are equal.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let differs = keys::all().into_iter().filter_map(|key| {
        let (before, after) = (key.setting(old), key.setting(new));
        (before != after).then(|| (key.info(), before, after))
    });
    differs
        .map(|(key, before, after)| Change {
            path: key.path,
            old: if key.is_secret { String::new() } else { before },
            new: if key.is_secret {
                "changed".to_owned()
            } else {
                after
            },
            needs_restart: key.needs_restart,
        })
        .collect()
}
