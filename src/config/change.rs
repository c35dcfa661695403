//! The differences between two configurations.

use std::collections::HashMap;

use serde_json::json;

use super::keys::{self, AnyKey};
use super::kind::FormKind;
use super::saved_pools::{self, SavedPool};
use super::{Config, ConfigErrors, Fault, parse};
use crate::units::PoolSlot;

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, such as `scheduler.poolA_weight`. For `downstream_diff`, only the pools' keys are named: a changed
    /// default is a change for each pool that uses it.
    pub path: &'static str,
    /// The old and the new value, in the key's unit; the old one is empty if there was none. For a table, the entries
    /// that differ. `None` for a secret.
    pub values: Option<[String; 2]>,
    /// Whether it waits for a restart.
    pub needs_restart: bool,
    /// Whether a saved pool would now send the earnings elsewhere once it is chosen.
    pub moves_saved: bool,
}

impl Change {
    /// The old and the new value for people; for a secret only that it changed.
    pub fn shown(&self) -> [&str; 2] {
        match &self.values {
            Some([before, after]) => [before, after],
            None => ["", "changed"],
        }
    }

    /// Whether it sends the earnings elsewhere, now or once a saved pool is chosen, or allows others in between to do so.
    pub fn moves_money(&self) -> bool {
        let is = |key: &str| self.path.ends_with(key);
        let [_, after] = self.shown();
        let moves_now = self.path.starts_with("pools.")
            && ([".host", ".port", ".backups", ".wallet", ".user_name"]
                .into_iter()
                .any(is)
                || is(".tls_fingerprint")
                || is(".tls") && after == "false"
                || is(".tls_insecure") && after == "true");
        moves_now || self.moves_saved
    }
}

/// Every setting that differs, in the order of the reference. Empty if and only if the configs are equal.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let change = |key: &dyn AnyKey| {
        let values = [key.setting(old), key.setting(new)];
        (values[0] != values[1]).then(|| {
            let info = key.info();
            let is_saved_pools = info.path == saved_pools::PATH;
            let values = match info.form.kind {
                FormKind::Table if is_saved_pools => {
                    let shown =
                        [old, new].map(|config| saved_pools::compared_openly(&config.saved_pools));
                    (shown[0] != shown[1]).then(|| differing(&shown))
                }
                FormKind::Table if info.is_secret => None,
                FormKind::Secret => None,
                FormKind::Table => Some(differing(&values)),
                FormKind::Number
                | FormKind::Integer
                | FormKind::Text
                | FormKind::Flag
                | FormKind::Choice
                | FormKind::List => Some(values),
            };
            Change {
                path: info.path,
                values,
                needs_restart: info.needs_restart,
                moves_saved: is_saved_pools && moves_saved(old, new),
            }
        })
    };
    keys::all().into_iter().filter_map(change).collect()
}

/// Whether a saved pool of the new config sends the earnings where no pool of the old one did.
fn moves_saved(old: &Config, new: &Config) -> bool {
    const DECIDES: [&str; 8] = [
        "host",
        "port",
        "backups",
        "wallet",
        "user_name",
        "tls",
        "tls_fingerprint",
        "tls_insecure",
    ];
    let of = |config: &Config, slot: PoolSlot| {
        let decides = |path: &str| {
            let key = path
                .strip_prefix("pools.")
                .and_then(|rest| rest.strip_prefix(slot.name()));
            key.and_then(|key| key.strip_prefix('.'))
                .is_some_and(|key| DECIDES.contains(&key))
        };
        let deciding = keys::all()
            .into_iter()
            .filter(|key| decides(key.info().path));
        deciding.map(|key| key.setting(config)).collect::<Vec<_>>()
    };
    // As it would be in the place of pool A.
    let of_saved = |pool: &SavedPool| {
        let file = json!({"pools": {"A": pool.0}}).to_string();
        parse(&file)
            .ok()
            .map(|loaded| of(&loaded.config, PoolSlot::A))
    };
    let before: Vec<_> = PoolSlot::ALL
        .into_iter()
        .map(|slot| Some(of(old, slot)))
        .chain(old.saved_pools.values().map(of_saved))
        .collect();
    new.saved_pools
        .values()
        .any(|pool| !before.contains(&of_saved(pool)))
}

/// The entries that only one of two tables has. If they have the same in a different order, the ones that moved.
fn differing(tables: &[String; 2]) -> [String; 2] {
    /// How many entries of a table are shown.
    const MOST: usize = 10;
    let lists = tables
        .each_ref()
        .map(|table| table.lines().collect::<Vec<_>>());
    let only = |one: usize| {
        let mut others: HashMap<&str, usize> = HashMap::new();
        for line in &lists[1 - one] {
            *others.entry(line).or_default() += 1;
        }
        let missing = |line: &&&str| match others.get_mut(**line) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            Some(_) | None => true,
        };
        lists[one]
            .iter()
            .filter(missing)
            .copied()
            .collect::<Vec<_>>()
    };
    let mut found = [only(0), only(1)];
    if found.iter().all(Vec::is_empty) {
        let moved = || {
            lists[0]
                .iter()
                .zip(&lists[1])
                .filter(|(old, new)| old != new)
        };
        found = [
            moved().map(|(old, _)| *old).collect(),
            moved().map(|(_, new)| *new).collect(),
        ];
    }
    found.map(|lines| {
        let told = lines
            .iter()
            .take(MOST)
            .copied()
            .collect::<Vec<_>>()
            .join("; ");
        match lines.len().saturating_sub(MOST) {
            0 => told,
            more => format!("{told} and {more} more"),
        }
    })
}

/// Whether a configuration may replace the one in force. A slip must not remove a pool that is set up and in use: to
/// turn it off, the owner sets its weight to 0.
///
/// # Errors
/// Names each pool that would have a weight and no host or wallet any more.
pub fn may_replace(old: &Config, new: &Config) -> Result<(), ConfigErrors> {
    let lost = |slot: &PoolSlot| {
        old.pool_in_use(*slot).is_some() && new.pools[*slot].is_none() && new.share(*slot) > 0.0
    };
    let faults: Vec<_> = PoolSlot::ALL
        .into_iter()
        .filter(lost)
        .map(|slot| Fault {
            path: format!("pools.{slot}"),
            found: "no host or no wallet for a pool with a weight above 0".to_owned(),
            allowed: format!("both, or scheduler.pool{slot}_weight 0 to turn the pool off"),
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(ConfigErrors::new(faults))
    }
}
