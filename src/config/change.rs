//! What differs between two configs.

use super::keys::{self, AnyKey};
use super::{Config, ConfigErrors, Fault};
use crate::units::PoolSlot;

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, such as `scheduler.poolA_weight`. Of `downstream_diff` only the keys of the pools are named: a
    /// changed default is a change of every pool that follows it.
    pub path: &'static str,
    /// What it was and what it is to be, in the unit of the key; the first is empty if there was none. `None` for a
    /// secret.
    pub values: Option<[String; 2]>,
    /// Whether it waits for a restart.
    pub needs_restart: bool,
}

impl Change {
    /// What it was and what it is to be, for people: of a secret only that it changed.
    pub fn shown(&self) -> [&str; 2] {
        match &self.values {
            Some([before, after]) => [before, after],
            None => ["", "changed"],
        }
    }

    /// Whether it sends the earnings elsewhere, or lets others on the way do so.
    pub fn moves_money(&self) -> bool {
        let is = |key: &str| self.path.ends_with(key);
        let [_, after] = self.shown();
        self.path.starts_with("pools.")
            && ([".host", ".port", ".backups", ".wallet", ".user_name"]
                .into_iter()
                .any(is)
                || is(".tls_fingerprint")
                || is(".tls") && after == "false"
                || is(".tls_insecure") && after == "true")
    }
}

/// Every setting that differs, in the order of the reference. Empty if and only if the configs are equal.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let change = |key: &dyn AnyKey| {
        let values = [key.setting(old), key.setting(new)];
        (values[0] != values[1]).then(|| {
            let info = key.info();
            Change {
                path: info.path,
                values: (!info.is_secret).then_some(values),
                needs_restart: info.needs_restart,
            }
        })
    };
    keys::all().into_iter().filter_map(change).collect()
}

/// Whether a config may take the place of one that is in force. A pool that is set up and mined for is not lost by a
/// slip of the pen: whoever wants to do without it sets its weight to 0.
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
            found: "no host or no wallet, for a pool that is mined for".to_owned(),
            allowed: format!("both, or scheduler.pool{slot}_weight 0 to do without it"),
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(ConfigErrors::new(faults))
    }
}
