//! Reading the configuration when DPMP starts. There are no previous settings to fall back on. So a mistake in a pool's
//! settings must not stop the mining if it can work without that setting. The same applies to the settings of
//! individual workers and the timetable: without them, the usual split applies.

use serde_json::Value;

use super::backup::{self, Backups};
use super::build::{BuildResult, build, sections};
use super::fault::{Fault, quote};
use super::keys::{self, PoolKeys, balance, gui, notify, timetable};
use super::kind::FormKind;
use super::raw::{self, lookup};
use super::{ConfigErrors, LoadedConfig, StartTrouble, saved_pools, tables};
use crate::units::PoolSlot;

/// The sections that steer the work.
const STEERING: [&str; 4] = ["workers", "groups", "timetable", "balance"];

/// Each round removes a key, and a pool has fewer keys.
const ROUNDS: usize = 64;

/// Reads a configuration when DPMP starts. Wrong backups are left out, and other wrong optional settings of a pool get
/// their defaults. A pool with a wrong host, port or wallet counts as not set up. Wrong entries of `workers`, `groups`,
/// `timetable`, `balance`, targets and saved pools are left out; a worker's entry keeps what can be read. Each is
/// reported.
///
/// # Errors
/// Every value that is not allowed, if one of them is of something else.
pub fn parse_for_start(text: &str) -> Result<LoadedConfig, ConfigErrors> {
    let (raw, straightened) = raw::read_file(text)?;
    let mut mended = raw.clone();
    let mut troubles: Vec<_> = mend_steering(&mut mended)
        .into_iter()
        .map(|text| StartTrouble { pool: None, text })
        .collect();
    let mut built = build(&mended);
    for _ in 0..ROUNDS {
        let found = built.faults.iter().find_map(|fault| {
            let keys = pool_without(&fault.path)?;
            Some((keys, fault.clone()))
        });
        let Some((keys, fault)) = found else {
            break;
        };
        let told = if fault.path == keys.backups.path {
            leave_out_backups(&mut mended, keys, &fault)
        } else if fault.path == keys.tls.path {
            // A slip must not turn off encryption.
            set(&mut mended, &fault.path, true.into());
            vec![format!(
                "{fault}. DPMP encrypts the connection until you correct this."
            )]
        } else {
            set(&mut mended, &fault.path, Value::Null);
            if fault.path == keys.tls_fingerprint.path {
                // It has no effect together with a fingerprint, and must not get one now.
                set(&mut mended, keys.tls_insecure.path, Value::Null);
            }
            vec![format!(
                "{fault}. DPMP uses the default until you correct this."
            )]
        };
        troubles.extend(
            told.into_iter()
                .map(|text| StartTrouble { pool: None, text }),
        );
        built = build(&mended);
    }
    let BuildResult {
        mut config,
        faults,
        mut warnings,
    } = built;
    if !faults
        .iter()
        .all(|fault| PoolSlot::ALL.into_iter().any(|slot| is_of(fault, slot)))
    {
        return Err(ConfigErrors::new(build(&raw).faults));
    }
    for slot in PoolSlot::ALL {
        for fault in faults.iter().filter(|fault| is_of(fault, slot)) {
            config.pools[slot] = None;
            troubles.push(StartTrouble {
                pool: Some(slot),
                text: format!("{fault}. DPMP does not use pool {slot} until you correct this."),
            });
        }
    }
    let troubles_first = troubles.iter().map(|trouble| trouble.text.clone());
    warnings.splice(0..0, troubles_first.chain(straightened));
    Ok(LoadedConfig {
        config,
        warnings,
        troubles,
        raw,
    })
}

fn is_of(fault: &Fault, slot: PoolSlot) -> bool {
    let rest = fault.path.strip_prefix(&format!("pools.{slot}"));
    fault.path == "pools" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The keys of the pool for which this one is optional.
fn pool_without(path: &str) -> Option<&'static PoolKeys> {
    PoolSlot::ALL.into_iter().find_map(|slot| {
        let keys = keys::pool(slot);
        let needed = [keys.host.path, keys.port.path, keys.wallet.path];
        let its_own = path.starts_with(&format!("pools.{slot}."));
        (its_own && !needed.contains(&path)).then_some(keys)
    })
}

/// Makes the settings that steer the work, and tokens, usable. Returns a sentence about each mistake.
fn mend_steering(root: &mut Value) -> Vec<String> {
    /// How many entries of a table are reported one by one.
    const MOST: usize = 20;
    let mut told = Vec::new();
    for section in STEERING {
        let is_section = sections().any(|path| path == section);
        let Some(found) = lookup(root, section).filter(|it| is_section && !it.is_object()) else {
            continue;
        };
        let found = quote(found);
        told.push(format!(
            "{section}: found {found}; allowed: an object, {{ … }}. It is off until you correct this."
        ));
        set(root, section, Value::Null);
    }
    for key in keys::all() {
        let info = key.info();
        let section = info.path.split('.').next().unwrap_or_default();
        let is_one = STEERING.contains(&section)
            || [gui::TOKENS.path, notify::TARGETS.path, saved_pools::PATH].contains(&info.path);
        let Some(value) = lookup(root, info.path).filter(|_| is_one) else {
            continue;
        };
        let wrong = key.wrong(value);
        if wrong.is_empty() {
            continue;
        }
        let what = if info.form.kind == FormKind::Table {
            let left_out: Vec<_> = wrong.iter().map(|wrong| wrong.entries.clone()).collect();
            let kept = if info.path == keys::WORKERS.path {
                tables::usable_workers(value)
            } else {
                tables::without(value, &left_out)
            };
            set(root, info.path, kept);
            "This is left out"
        } else {
            // Without one of its settings, it would do something unintended.
            set(root, info.path, Value::Null);
            for enabled in [timetable::ENABLED.path, balance::ENABLED.path] {
                if enabled.starts_with(section) {
                    set(root, enabled, false.into());
                }
            }
            "This is off"
        };
        let more = wrong.len().saturating_sub(MOST);
        for wrong in wrong.into_iter().take(MOST) {
            let fault = wrong.at(info.path);
            told.push(format!("{fault}. {what} until you correct it."));
        }
        if more > 0 {
            told.push(format!("{}: {more} more mistakes.", info.path));
        }
    }
    told
}

/// Removes unusable backups. Returns a sentence about each.
fn leave_out_backups(root: &mut Value, keys: &PoolKeys, fault: &Fault) -> Vec<String> {
    let path = keys.backups.path;
    let Some(Value::Array(items)) = lookup(root, path).cloned() else {
        set(root, path, Value::Null);
        return vec![format!(
            "{fault}. DPMP uses no backup until you correct this."
        )];
    };
    let mut told = Vec::new();
    let mut kept = Vec::new();
    for (index, item) in items.iter().take(Backups::MOST).enumerate() {
        let number = index + 1;
        let found = quote(item);
        let why = match backup::read_item(item) {
            Err(wrong) => format!("found {found}, which {wrong}; allowed: {}", Backups::ONE),
            Ok(_) => {
                // A readable backup may still be DPMP itself.
                set(root, path, Value::Array(vec![item.clone()]));
                match build(root)
                    .faults
                    .into_iter()
                    .find(|fault| fault.path == path)
                {
                    None => {
                        kept.push(item.clone());
                        continue;
                    }
                    Some(fault) => format!("found {found}; allowed: {}", fault.allowed),
                }
            }
        };
        told.push(format!(
            "{path}: number {number}: {why}. DPMP leaves it out until you correct this."
        ));
    }
    if items.len() > Backups::MOST {
        told.push(format!(
            "{path}: found {} backups; allowed: at most {most}. Those after number {most} are left out until this is \
             corrected.",
            items.len(),
            most = Backups::MOST
        ));
    }
    set(root, path, Value::Array(kept));
    told
}

fn set(root: &mut Value, path: &str, value: Value) {
    // A fault of this key has been found, so its sections are objects.
    *path.split('.').fold(root, |place, step| &mut place[step]) = value;
}
