//! `config/pools`: changes whole pools in a configuration that is not saved yet.
//!
//! - Nothing is saved here. The client gets the changed configuration back and saves it like any other change.
//! - So each change of a payout address passes the same checks and leaves the same traces.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{completed, old_of, read, read_json, secrets_of};
use crate::coin::address::Wallet;
use crate::coin::remark::remark;
use crate::config;
use crate::config::known_pools::{KNOWN, KnownPool};
use crate::config::saved_pools::{self, PATH};
use crate::units::PoolSlot;
use crate::web::error::{Answer, ApiError};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    config: Box<RawValue>,
    edit: Edit,
}

/// The edit.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Edit {
    /// Replace A or B with a saved or known pool.
    Use { slot: Slot, name: String },
    /// Add it to the backups of A or B.
    Backup { slot: Slot, name: String },
    /// Save A or B as a saved pool.
    Save { slot: Slot },
    /// Give a saved pool another name.
    Rename { name: String, to: String },
    /// Forget a saved pool.
    Delete { name: String },
    /// Swap A and B.
    Swap,
}

/// A pool's letter.
#[derive(Clone, Copy, Deserialize)]
enum Slot {
    A,
    B,
}

impl Slot {
    fn pool(self) -> PoolSlot {
        match self {
            Self::A => PoolSlot::A,
            Self::B => PoolSlot::B,
        }
    }
}

/// `POST /api/v1/config/pools`
pub(in crate::web) fn edit(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: Body = body::read(call.request)?;
    let contents = read(pages)?;
    let mut config = read_json(body.config.get())?;
    apply(&mut config, body.edit)?;
    let whole = completed(config.clone(), &old_of(&contents, pages))?;
    Ok(json::respond(&json!({
        "config": config,
        "secrets_set": secrets_of(&whole),
    })))
}

/// The known pools for a client.
pub(super) fn known() -> Value {
    let told = |pool: KnownPool| json!({"name": pool.name, "host": pool.host, "about": pool.about(), "source": pool.source});
    KNOWN.into_iter().map(told).collect()
}

fn apply(config: &mut Value, edit: Edit) -> Result<(), ApiError> {
    match edit {
        Edit::Use { slot, name } => {
            let pool = chosen(config, slot.pool(), &name)?;
            config::set(config, &format!("pools.{}", slot.pool()), pool.into());
        }
        Edit::Backup { slot, name } => {
            let slot = slot.pool();
            let pool = chosen(config, slot, &name)?;
            let own = config::lookup(config, &format!("pools.{slot}.wallet"));
            let own = own.and_then(Value::as_str).unwrap_or_default();
            let backup = saved_pools::as_backup(&pool, own).ok_or_else(|| {
                let message = "This pool needs another account or address. Choose it for A or B, and save it first.";
                ApiError::invalid_value("name", message)
            })?;
            let path = format!("pools.{slot}.backups");
            let mut all = match config::lookup(config, &path) {
                Some(Value::Array(list)) => list.clone(),
                Some(one @ Value::String(_)) => vec![one.clone()],
                Some(_) | None => Vec::new(),
            };
            let backup = Value::String(backup.to_string());
            if !all.contains(&backup) {
                all.push(backup);
            }
            config::set(config, &path, Value::Array(all));
        }
        Edit::Save { slot } => {
            let slot = slot.pool();
            let pool = config::lookup(config, &format!("pools.{slot}"));
            let mut pool = pool.and_then(Value::as_object).cloned().unwrap_or_default();
            if !saved_pools::has_host(&pool) {
                let message = format!("Pool {slot} has no host yet. Enter it first.");
                return Err(ApiError::invalid_value("slot", message));
            }
            let name = match pool.shift_remove("name") {
                Some(Value::String(name)) if !name.trim().is_empty() => name.trim().to_owned(),
                Some(_) | None => format!("Pool {slot}"),
            };
            saved_map(config)?.insert(name, Value::Object(pool));
        }
        Edit::Rename { name, to } => {
            let to = to.trim();
            let saved = saved_map(config)?;
            if to.is_empty() || saved.contains_key(to) {
                let message = "Give each saved pool a separate name.";
                return Err(ApiError::invalid_value("to", message));
            }
            // It keeps its place.
            *saved = std::mem::take(saved)
                .into_iter()
                .map(|(known, pool)| {
                    if known == name {
                        (to.to_owned(), pool)
                    } else {
                        (known, pool)
                    }
                })
                .collect();
        }
        Edit::Delete { name } => {
            saved_map(config)?.shift_remove(&name);
        }
        Edit::Swap => swap(config),
    }
    Ok(())
}

/// Swaps all of the pools' settings, including the difficulty for miners. The split stays as it is.
fn swap(config: &mut Value) {
    for (a, b) in [
        ("pools.A", "pools.B"),
        ("downstream_diff.poolA_min", "downstream_diff.poolB_min"),
        ("downstream_diff.poolA_max", "downstream_diff.poolB_max"),
    ] {
        let [old_a, old_b] = [a, b].map(|path| config::lookup(config, path).cloned());
        if old_a != old_b {
            config::set(config, a, old_b.unwrap_or_default());
            config::set(config, b, old_a.unwrap_or_default());
        }
    }
}

/// A saved or known pool with its name.
fn chosen(config: &Value, slot: PoolSlot, name: &str) -> Result<Map<String, Value>, ApiError> {
    let saved = config.get(PATH).and_then(|saved| saved.get(name));
    let Some(saved) = saved.and_then(Value::as_object) else {
        return known_pool(config, slot, name);
    };
    let name = ("name".to_owned(), Value::from(name));
    Ok(std::iter::once(name).chain(saved.clone()).collect())
}

/// A known pool, with the slot's payout address if it fits.
fn known_pool(config: &Value, slot: PoolSlot, name: &str) -> Result<Map<String, Value>, ApiError> {
    let known = KNOWN.into_iter().find(|pool| pool.name == name);
    let known = known.ok_or_else(|| ApiError::not_found("This pool does not exist."))?;
    let mut pool = known.settings();
    let wallet = config::lookup(config, &format!("pools.{slot}.wallet"));
    let wallet = wallet.and_then(Value::as_str).unwrap_or_default();
    let fits = !known.is_account
        && matches!(Wallet::read(wallet), Wallet::Address(_))
        && remark(wallet, known.chain).is_none_or(|remark| !remark.is_problem);
    if fits {
        pool.insert("wallet".to_owned(), wallet.into());
    }
    Ok(pool)
}

fn saved_map(config: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    if !config.get(PATH).is_some_and(Value::is_object) {
        config::set(config, PATH, json!({}));
    }
    let saved = config.get_mut(PATH).and_then(Value::as_object_mut);
    saved.ok_or_else(|| ApiError::invalid_value("config", "The configuration must be an object."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BTC: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

    fn file() -> Value {
        json!({
            "pools": {
                "A": {"name": "Alpha", "host": "a.pool.com", "wallet": BTC, "stall_seconds": 60},
                "B": {"host": "stratum+ssl://b.pool.com:4444", "wallet": "bob"},
            },
            "downstream_diff": {"poolA_min": 5},
        })
    }

    fn done(mut config: Value, edit: Value) -> Result<Value, ApiError> {
        apply(&mut config, serde_json::from_value(edit).unwrap())?;
        Ok(config)
    }

    #[test]
    fn pools_can_be_saved_renamed_deleted_and_used() {
        let saved = done(file(), json!({"action": "save", "slot": "A"})).unwrap();
        let saved = done(saved, json!({"action": "save", "slot": "B"})).unwrap();
        let names = |config: &Value| {
            config[PATH]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&saved), ["Alpha", "Pool B"]);
        assert_eq!(saved[PATH]["Alpha"].get("name"), None);
        let rename = |to: &str| json!({"action": "rename", "name": "Alpha", "to": to});
        assert!(done(saved.clone(), rename("Pool B")).is_err());
        assert!(done(saved.clone(), rename(" ")).is_err());
        let renamed = done(saved, rename(" Home ")).unwrap();
        assert_eq!(names(&renamed), ["Home", "Pool B"]);
        let used = done(
            renamed,
            json!({"action": "use", "slot": "B", "name": "Home"}),
        )
        .unwrap();
        assert_eq!(used["pools"]["B"]["name"], "Home");
        assert_eq!(used["pools"]["B"]["stall_seconds"], 60);
        let gone = done(used, json!({"action": "delete", "name": "Home"})).unwrap();
        assert_eq!(names(&gone), ["Pool B"]);
        assert_eq!(gone["pools"]["B"]["wallet"], BTC, "a copy stays");
    }

    #[test]
    fn a_saved_pool_can_become_a_backup_with_its_own_wallet() {
        let saved = done(file(), json!({"action": "save", "slot": "B"})).unwrap();
        let backup = |config: Value, name: &str| {
            done(
                config,
                json!({"action": "backup", "slot": "A", "name": name}),
            )
        };
        let once = backup(saved, "Pool B").unwrap();
        let twice = backup(once, "Pool B").unwrap();
        assert_eq!(
            twice["pools"]["A"]["backups"],
            json!(["stratum+ssl://bob@b.pool.com:4444"])
        );
        let known = backup(twice, "CKPool solo").unwrap();
        assert_eq!(
            known["pools"]["A"]["backups"][1],
            "stratum+tcp://solo.ckpool.org:3333"
        );
        // An account there is another one.
        assert!(backup(known, "ViaBTC").is_err());
    }

    #[test]
    fn a_known_pool_keeps_only_an_address_that_fits() {
        let used = |name: &str, slot: &str| {
            let edit = json!({"action": "use", "slot": slot, "name": name});
            done(file(), edit).unwrap()["pools"][slot].clone()
        };
        assert_eq!(used("CKPool solo", "A")["wallet"], BTC);
        assert_eq!(used("CKPool solo", "A")["password"], "");
        assert_eq!(used("CKPool solo", "B")["wallet"], "", "an account");
        assert_eq!(used("ViaBTC", "A")["wallet"], "");
        assert_eq!(used("SoloPool.eu, Bitcoin Cash", "A")["wallet"], "");
        assert!(
            done(
                file(),
                json!({"action": "use", "slot": "A", "name": "none"})
            )
            .is_err()
        );
    }

    #[test]
    fn a_swap_moves_everything_that_belongs_to_a_pool() {
        let swap = json!({"action": "swap"});
        let swapped = done(file(), swap.clone()).unwrap();
        assert_eq!(swapped["pools"]["A"], file()["pools"]["B"]);
        assert_eq!(swapped["pools"]["B"], file()["pools"]["A"]);
        assert_eq!(swapped["downstream_diff"]["poolB_min"], 5);
        assert!(swapped["downstream_diff"]["poolA_min"].is_null());
        let back = done(swapped, swap).unwrap();
        assert_eq!(back["pools"], file()["pools"]);
    }
}
