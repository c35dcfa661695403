//! What differs between two configs.

use super::keys;
use super::{Config, ConfigErrors, Fault};
use crate::units::PoolSlot;

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
