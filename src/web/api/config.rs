//! `config`: the configuration file, read, checked, saved, backed up and restored.
//!
//! Secrets go in and never come out, not even in a backup. Notification targets and saved pools are shown without
//! theirs. What the client sent is saved in the file's order, with the secrets that it left out put back. Unknown keys
//! stay as they are.

pub(in crate::web) mod copies;
mod form;
pub(in crate::web) mod pools;

use std::collections::BTreeMap;

use rouille::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::coin::Coin;
use crate::coin::remark::remark;
use crate::config::merge::Version;
use crate::config::notify::saved;
use crate::config::saved_pools;
use crate::config::{self, Change, ConfigErrors, Fault, KeyInfo, LoadedConfig};
use crate::observe::log::warn_of_unknown_names;
use crate::shell::settings::SaveReport;
use crate::units::PoolSlot;
use crate::web::error::{Answer, ApiError, Code, fault_json};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

/// The secrets that are changed elsewhere, where the current password is required.
const PASSWORD_HASH: &str = "gui.password_hash";
const TOKENS: &str = "gui.tokens";

/// Reads the file's contents, for code that changes one value in it.
///
/// # Errors
/// If it is not valid: then only a whole new one helps.
pub(super) fn present(contents: &[u8]) -> Result<LoadedConfig, ApiError> {
    config::parse_file(text_of(contents)?).map_err(|errors| {
        ApiError::new(
            Code::InvalidConfig,
            format!("The configuration file was changed and is no longer valid: {errors}"),
        )
    })
}

/// `GET /api/v1/config`
pub(in crate::web) fn show(pages: &Pages, _: &Call<'_>) -> Answer {
    let contents = read(pages)?;
    let text = text_of(&contents)?;
    let (mut view, taken) = without_secrets(text)?;
    if let Some(targets) = taken.get(saved::PATH) {
        config::set(&mut view, saved::PATH, saved::without_secrets(targets));
    }
    let secrets_set = secrets_of(&config::read_file(text).map_err(broken)?.0);
    let (warnings, pending) = match config::parse_file(text) {
        Ok(mut loaded) => {
            warn_of_unknown_names(&mut loaded);
            let changes = config::changes(&pages.started_with, &loaded.config);
            (loaded.warnings, changes)
        }
        // The owner edited it, and the log has the mistake; it can be corrected in the form.
        Err(errors) => (
            errors.faults.iter().map(ToString::to_string).collect(),
            config::changes(&pages.started_with, &pages.context.live.get()),
        ),
    };
    let pending: Vec<_> = pending
        .iter()
        .filter(|change| change.needs_restart)
        .map(change_json)
        .collect();
    let version = Version::of(&contents);
    pages.own.copies.note(&version, &view);
    Ok(json::respond(&json!({
        "etag": version.etag(),
        "path": pages.settings.path().display().to_string(),
        "config": view,
        "secrets_set": secrets_set,
        "schema": config::key_infos().map(key_json).collect::<Vec<_>>(),
        "sections": form::sections(),
        "known_pools": pools::known(),
        "warnings": warnings,
        "pending_restart": pending,
    })))
}

/// A configuration as text, so that repeated keys are noticed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigBody {
    config: Box<RawValue>,
    /// Whether it is a file to restore, which may come from the Python version.
    #[serde(default)]
    restore: bool,
    /// The version that the client has read, if it will be saved as a change of that.
    etag: Option<String>,
}

/// `POST /api/v1/config/validate`
pub(in crate::web) fn validate(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: ConfigBody = body::read(call.request)?;
    let contents = read(pages)?;
    let mut notes = Vec::new();
    // Conflicts are resolved when it is saved.
    let mut conflict = false;
    let sent = if body.restore {
        read_file(body.config.get(), &mut notes)
    } else {
        read_json(body.config.get())
    };
    let wallets = sent.as_ref().map(wallet_remarks).unwrap_or_default();
    let loaded = sent
        .map(|new| {
            if body.restore {
                imported(new, &mut notes)
            } else {
                new
            }
        })
        .map(|new| match &body.etag {
            Some(etag) => {
                let brought = pages.own.copies.bring_up(etag, new.clone(), &contents);
                brought.unwrap_or_else(|_| {
                    conflict = true;
                    new
                })
            }
            None => new,
        })
        .and_then(|new| completed(new, &old_of(&contents, pages)))
        .and_then(|new| {
            pages
                .settings
                .judge(&config::text(&new))
                .map_err(|errors| ApiError::invalid_config(errors.faults))
        });
    match loaded {
        Ok(loaded) => {
            let changes = config::changes(&pages.context.live.wanted(), &loaded.config);
            notes.extend(loaded.warnings);
            Ok(json::respond(&json!({
                "valid": true,
                "conflict": conflict,
                "changes": changes.iter().map(change_json).collect::<Vec<_>>(),
                "warnings": notes,
                "wallets": wallets,
            })))
        }
        Err(error) if error.code == Code::InvalidConfig => {
            let faults: Vec<_> = error.details.iter().map(fault_json).collect();
            Ok(json::respond(&json!({
                "valid": false,
                "conflict": conflict,
                "faults": faults,
                "wallets": wallets,
            })))
        }
        Err(error) => Err(error),
    }
}

/// Remarks about the pools' payout addresses, by their keys. Other settings may be wrong.
fn wallet_remarks(sent: &Value) -> Map<String, Value> {
    let remarks = PoolSlot::ALL.into_iter().filter_map(|slot| {
        let text = |key| config::lookup(sent, &format!("pools.{slot}.{key}"))?.as_str();
        // The default of a missing key.
        let remark = remark(text("wallet")?, text("chain").unwrap_or(Coin::Btc.name()))?;
        let told = json!({
            "text": remark.text,
            "problem": remark.is_problem,
            "chain": remark.chain,
        });
        Some((format!("pools.{slot}.wallet"), told))
    });
    remarks.collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaveBody {
    etag: String,
    config: Box<RawValue>,
}

/// `PUT /api/v1/config`
pub(in crate::web) fn save(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: SaveBody = body::read(call.request)?;
    let sent = read_json(body.config.get())?;
    let saved = pages.settings.change(call.source(pages), |contents| {
        let new = pages
            .own
            .copies
            .bring_up(&body.etag, sent.clone(), contents)?;
        completed(new, &old_of(contents, pages))
    })?;
    // The client knows what it has sent, but not what it was merged with.
    let known = Version {
        commanded: Version::of_json(sent.clone()).commanded,
        ..saved.version.clone()
    };
    pages.own.copies.note(&known, &sent);
    Ok(json::respond(&saved_json(&saved, &known)))
}

/// `GET /api/v1/config/backup`
pub(in crate::web) fn backup(pages: &Pages, _: &Call<'_>) -> Answer {
    let contents = read(pages)?;
    let (view, _) = without_secrets(text_of(&contents)?)?;
    Ok(Response::from_data("application/json", config::text(&view))
        .with_unique_header("Cache-Control", "no-store")
        .with_additional_header(
            "Content-Disposition",
            "attachment; filename=\"dpmp-config.json\"",
        ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreBody {
    text: String,
}

/// `POST /api/v1/config/restore`
pub(in crate::web) fn restore(pages: &Pages, call: &Call<'_>) -> Answer {
    let body: RestoreBody = body::read(call.request)?;
    let mut warning = None;
    let mut notes = Vec::new();
    let mut saved = pages.settings.change(call.source(pages), |contents| {
        let mut new = imported(read_file(&body.text, &mut notes)?, &mut notes);
        let old = old_of(contents, pages);
        let restored = take(&mut new, PASSWORD_HASH).filter(|hash| !is_empty(hash));
        // Old tokens must not become valid again.
        take(&mut new, TOKENS);
        let mut new = completed(new, &old)?;
        match (
            config::lookup(&new, PASSWORD_HASH).filter(|hash| !is_empty(hash)),
            restored,
        ) {
            // A file without a password, or with another one, must not bypass the current one.
            (Some(kept), restored) if restored.as_ref() != Some(kept) => {
                warning = Some("The password of these pages does not change; it is not restored.");
            }
            // Neither one from the environment.
            (None, Some(_)) if pages.login.has_given() => {
                warning = Some("The password of these pages does not change; it is not restored.");
            }
            (None, Some(restored)) => {
                config::set(&mut new, PASSWORD_HASH, restored);
                warning = Some("These pages now have the password from the restored file.");
            }
            (Some(_) | None, _) => (),
        }
        Ok::<_, ApiError>(new)
    })?;
    saved.warnings.splice(0..0, notes);
    saved.warnings.extend(warning.map(str::to_owned));
    Ok(json::respond(&saved_json(&saved, &saved.version)))
}

/// A file to restore: one of the Python version is converted, and warnings are added to the notes.
fn imported(file: Value, notes: &mut Vec<String>) -> Value {
    match config::imported(&file) {
        Some((ours, told)) => {
            notes.extend(told);
            ours
        }
        None => file,
    }
}

/// What to save when a client sends `new`: with the secrets that it left out, in the file's order.
///
/// # Errors
/// If it would change the password of the pages or the tokens of programs, or send a target's secret elsewhere.
fn completed(mut new: Value, old: &Value) -> Result<Value, ApiError> {
    for (path, what) in [
        (
            PASSWORD_HASH,
            "the password has its own form, which asks for the current one",
        ),
        (
            TOKENS,
            "tokens have their own form, which asks for the password",
        ),
    ] {
        let kept = config::lookup(old, path).filter(|kept| !is_empty(kept));
        let Some(sent) = config::lookup(&new, path) else {
            continue;
        };
        let same = match kept {
            Some(kept) => kept == sent,
            None => is_empty(sent),
        };
        if !same {
            return Err(ApiError::invalid_config(vec![Fault {
                path: path.to_owned(),
                found: "another one (not shown)".to_owned(),
                allowed: format!("what is there; {what}"),
            }]));
        }
    }
    if let Some(targets) = new.pointer_mut("/notify/targets") {
        let nothing = Value::Null;
        let known = config::lookup(old, saved::PATH).unwrap_or(&nothing);
        saved::put_back(targets, known).map_err(ApiError::invalid_config)?;
    }
    saved_pools::put_back(&mut new, old);
    for path in secret_paths() {
        if config::lookup(&new, path).is_none() {
            if let Some(secret) = config::lookup(old, path) {
                config::set(&mut new, path, secret.clone());
            }
        }
    }
    Ok(in_order_of(old, new))
}

/// The same JSON with its keys in the order of another one; new keys come last.
fn in_order_of(old: &Value, new: Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(mut new)) => {
            let mut ordered = Map::new();
            for (key, old) in old {
                if let Some(value) = new.shift_remove(key) {
                    ordered.insert(key.clone(), in_order_of(old, value));
                }
            }
            ordered.append(&mut new);
            Value::Object(ordered)
        }
        (_, new) => new,
    }
}

/// The file's settings. If it can no longer be read, the secrets in force.
fn old_of(contents: &[u8], pages: &Pages) -> Value {
    let file = text_of(contents).and_then(|text| read_file(text, &mut Vec::new()));
    file.unwrap_or_else(|_| {
        let config = pages.context.live.wanted();
        let mut secrets = Value::Null;
        if let Some(hash) = config.gui.password_hash.as_deref() {
            config::set(&mut secrets, PASSWORD_HASH, hash.into());
        }
        for (name, token) in &config.gui.tokens {
            let entry = json!({"hash": *token.hash, "may": token.may.name()});
            secrets["gui"]["tokens"][name] = entry;
        }
        for (name, target) in &config.notify.targets {
            secrets["notify"]["targets"][name] = target.json();
        }
        for (name, pool) in &config.saved_pools {
            secrets[saved_pools::PATH][name] = Value::Object(pool.0.clone());
        }
        for (slot, pool) in config.pools.iter() {
            if let Some(password) = pool.as_ref().and_then(|pool| pool.password.as_deref()) {
                config::set(
                    &mut secrets,
                    &format!("pools.{slot}.password"),
                    password.into(),
                );
            }
        }
        secrets
    })
}

/// A file's JSON for a client, and the paths of the secrets that it does not get. For saved pools, only passwords are
/// left out.
fn without_secrets(text: &str) -> Result<(Value, BTreeMap<&'static str, Value>), ApiError> {
    let (mut view, _) = config::read_file(text).map_err(broken)?;
    let saved = config::lookup(&view, saved_pools::PATH);
    let saved = saved.map(|saved| saved_pools::without_passwords(saved).0);
    let taken = secret_paths().filter_map(|path| Some((path, take(&mut view, path)?)));
    let taken = taken.filter(|(_, secret)| !is_empty(secret)).collect();
    if let Some(saved) = saved {
        config::set(&mut view, saved_pools::PATH, saved);
    }
    Ok((view, taken))
}

/// The secrets that are set in a file: their paths, and the saved pools with a password.
fn secrets_of(file: &Value) -> Vec<String> {
    let is_set = |path: &&str| config::lookup(file, path).is_some_and(|secret| !is_empty(secret));
    let paths = secret_paths().filter(is_set).map(str::to_owned);
    let saved = config::lookup(file, saved_pools::PATH);
    let names = saved.map_or_else(Vec::new, |saved| saved_pools::without_passwords(saved).1);
    let names = names
        .iter()
        .map(|name| format!("{}.{name}", saved_pools::PATH));
    paths.chain(names).collect()
}

fn secret_paths() -> impl Iterator<Item = &'static str> {
    config::key_infos()
        .filter(|key| key.is_secret)
        .map(|key| key.path)
}

fn is_empty(secret: &Value) -> bool {
    secret.is_null()
        || secret.as_str().is_some_and(|text| text.trim().is_empty())
        || secret.as_object().is_some_and(Map::is_empty)
}

/// Removes a value; `None` if there is none.
fn take(root: &mut Value, path: &str) -> Option<Value> {
    let mut steps = path.split('.');
    let key = steps.next_back()?;
    let section = steps.try_fold(root, |value, step| value.get_mut(step))?;
    section.as_object_mut()?.shift_remove(key)
}

fn read(pages: &Pages) -> Result<Vec<u8>, ApiError> {
    pages.settings.read().map_err(|error| {
        ApiError::new(
            Code::Failed,
            format!("The configuration file cannot be read: {error}"),
        )
    })
}

fn text_of(contents: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(contents).map_err(|_| {
        ApiError::new(
            Code::Failed,
            "The configuration file is not UTF-8 text. Restore a backup.",
        )
    })
}

fn read_json(text: &str) -> Result<Value, ApiError> {
    config::read_json(text).map_err(|errors| ApiError::invalid_config(errors.faults))
}

/// A file, which may be of an earlier version. Warnings are added to the notes.
fn read_file(text: &str, notes: &mut Vec<String>) -> Result<Value, ApiError> {
    let (file, mut warnings) =
        config::read_file(text).map_err(|errors| ApiError::invalid_config(errors.faults))?;
    notes.append(&mut warnings);
    Ok(file)
}

fn broken(errors: ConfigErrors) -> ApiError {
    ApiError::new(
        Code::Failed,
        format!("The configuration file was changed and can no longer be read: {errors}"),
    )
}

/// `known`: the version that the client knows.
fn saved_json(saved: &SaveReport, known: &Version) -> Value {
    let restart_needed: Vec<_> = saved
        .changes
        .iter()
        .filter(|change| change.needs_restart)
        .map(|change| change.path)
        .collect();
    json!({
        "etag": known.etag(),
        "changes": saved.changes.iter().map(change_json).collect::<Vec<_>>(),
        "restart_needed": restart_needed,
        "warnings": saved.warnings,
    })
}

fn change_json(change: &Change) -> Value {
    let [old, new] = change.shown();
    json!({
        "path": change.path,
        "old": old,
        "new": new,
        "needs_restart": change.needs_restart,
        "moves_money": change.moves_money(),
    })
}

fn key_json(key: KeyInfo) -> Value {
    let shape = key.form;
    json!({
        "path": key.path,
        "section": form::section_of(key.path),
        "title": key.title,
        "everyday": form::is_everyday(key.path),
        "hint": form::hint(key.path),
        "meaning": key.meaning,
        "allowed": key.allowed,
        "default": key.default,
        "needs_restart": key.needs_restart,
        "secret": key.is_secret,
        "kind": shape.kind.name(),
        "min": shape.min,
        "max": shape.max,
        "choices": (!shape.choices.is_empty()).then_some(shape.choices),
        "nullable": shape.nullable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$LIo0ghBQpq6fXYAYPXjSuQ";

    fn old() -> Value {
        json!({
            "z": 1,
            "pools": {
                "A": {"wallet": "w", "password": "secret-a", "host": "a"},
                "B": {"password": "", "wallet": "v"},
            },
            "gui": {"password_hash": HASH, "port": 1},
        })
    }

    fn complete(new: Value) -> Result<Value, ApiError> {
        completed(new, &old())
    }

    #[test]
    fn omitted_secrets_stay_as_they_were() {
        let mut sent = old();
        for path in secret_paths() {
            take(&mut sent, path);
        }
        assert!(!sent.to_string().contains("secret-a"));
        assert!(!sent.to_string().contains("argon2"));
        assert_eq!(complete(sent).unwrap().to_string(), old().to_string());
        // null counts as left out.
        let sent = json!({"pools": {"A": {"password": null}}});
        assert_eq!(
            complete(sent).unwrap()["pools"]["A"]["password"],
            "secret-a"
        );
        // A section that is left out comes back with only its secret.
        let kept = complete(json!({"x": 1})).unwrap();
        assert_eq!(kept["pools"]["A"], json!({"password": "secret-a"}));
    }

    #[test]
    fn secrets_can_be_set_and_cleared() {
        for new in ["", "other"] {
            let sent = json!({"pools": {"A": {"password": new}}});
            assert_eq!(complete(sent).unwrap()["pools"]["A"]["password"], new);
        }
    }

    #[test]
    fn the_page_password_cannot_be_changed_here() {
        for new in [json!(""), json!("  "), json!("x"), json!(5)] {
            let error = complete(json!({"gui": {"password_hash": new}})).unwrap_err();
            assert_eq!(error.code, Code::InvalidConfig);
            assert_eq!(error.field.as_deref(), Some(PASSWORD_HASH));
        }
        let same = complete(json!({"gui": {"password_hash": HASH}})).unwrap();
        assert_eq!(same["gui"]["password_hash"], HASH);
        // Neither is one set.
        let set = completed(json!({"gui": {"password_hash": HASH}}), &json!({}));
        assert!(set.is_err());
        let none = completed(json!({"gui": {"password_hash": ""}}), &json!({}));
        assert!(none.is_ok());
    }

    #[test]
    fn tokens_cannot_be_changed_here_and_stay_if_omitted() {
        let tokens = json!({"ha": {"hash": "ab".repeat(32), "may": "view"}});
        let old = json!({"gui": {"tokens": tokens, "port": 1}});
        let done = |new: Value| completed(new, &old);
        let kept = done(json!({"gui": {"port": 2}})).unwrap();
        assert_eq!(kept["gui"], json!({"tokens": tokens, "port": 2}));
        assert!(done(old.clone()).is_ok());
        for new in [
            json!({}),
            json!({"x": {"hash": "ab".repeat(32), "may": "steer"}}),
            json!(""),
        ] {
            let error = done(json!({"gui": {"tokens": new}})).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(TOKENS));
        }
        assert!(completed(json!({"gui": {"tokens": {}}}), &json!({})).is_ok());
        assert!(completed(json!({"gui": {"tokens": tokens}}), &json!({})).is_err());
    }

    #[test]
    fn the_file_keeps_its_order_and_new_keys_are_appended() {
        let sent = json!({
            "new": {"b": 1, "a": 2},
            "gui": {"port": 2},
            "pools": {"B": {"wallet": "v"}, "A": {"host": "a", "x": 1, "wallet": "w"}},
            "z": 1,
        });
        assert_eq!(
            complete(sent).unwrap().to_string(),
            json!({
                "z": 1,
                "pools": {
                    "A": {"wallet": "w", "password": "secret-a", "host": "a", "x": 1},
                    "B": {"password": "", "wallet": "v"},
                },
                "gui": {"password_hash": HASH, "port": 2},
                "new": {"b": 1, "a": 2},
            })
            .to_string()
        );
    }

    #[test]
    fn addresses_get_a_remark_and_accounts_do_not() {
        let bch = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a";
        let told = |pool: Value| wallet_remarks(&json!({"pools": {"B": pool}}));
        assert_eq!(
            told(json!({"wallet": bch, "port": "wrong"})).get("pools.B.wallet"),
            Some(&json!({
                "text": "This is a Bitcoin Cash address, but the coin is BTC.",
                "problem": true,
                "chain": "BCH",
            }))
        );
        let good = &told(json!({"wallet": bch, "chain": "bch"}))["pools.B.wallet"];
        assert_eq!(
            (&good["problem"], &good["chain"]),
            (&json!(false), &json!(null))
        );
        for none in [json!({"wallet": "alice"}), json!({"wallet": 5}), json!(1)] {
            assert!(told(none).is_empty());
        }
    }

    #[test]
    fn every_secret_is_removed() {
        let paths: Vec<_> = secret_paths().collect();
        assert_eq!(
            paths,
            [
                PASSWORD_HASH,
                TOKENS,
                "pools.A.password",
                "pools.B.password",
                "saved_pools",
                "notify.targets"
            ]
        );
        assert!(
            config::key_infos()
                .filter(|key| key.path.contains("password") || key.path.contains("secret"))
                .all(|key| key.is_secret)
        );
    }
}
