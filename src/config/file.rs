//! The configuration file: where it is, and how it is read, created and saved.

use std::env;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::fault::Fault;
use super::keys::key_infos;
use super::python::{ConvertedConfig, SideFiles, convert, has_python_key, may_be_python};
use super::raw::{self, LARGEST_FILE};
use super::{ConfigErrors, LoadedConfig, StartTrouble, parse, parse_file, parse_for_start};
use crate::system::files::{self, Backup, write_atomic};

/// The Python version's configuration file.
const OLD_NAME: &str = "config_v2.json";

/// The path of the configuration file: from the command line, otherwise from the environment variable `DPMP_CONFIG`,
/// otherwise `./config.json`.
pub fn locate(cli: Option<PathBuf>) -> PathBuf {
    choose(cli, env::var_os("DPMP_CONFIG"))
}

fn choose(cli: Option<PathBuf>, variable: Option<OsString>) -> PathBuf {
    cli.or_else(|| variable.filter(|path| !path.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("config.json"))
}

/// Reads the configuration. If there is none, it is created from the Python version's `config_v2.json` in the same
/// folder, which stays unchanged, otherwise from the [sample]. A warning says which.
///
/// A mistake in a pool does not prevent a start, see [`parse_for_start`]. A file of the Python version, even under our
/// name, never does: unusable values get their defaults.
///
/// # Errors
/// With the path, if a file cannot be read, is not valid in anything but a pool, or cannot be written.
pub fn load_or_create(path: &Path) -> anyhow::Result<LoadedConfig> {
    let bytes = match files::read(path, LARGEST_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create(path),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("failed to read the config {}", path.display()));
        }
    };
    let strictly = text_of(&bytes).and_then(parse_file);
    if let Some(loaded) = take_over(path, &bytes) {
        return Ok(loaded);
    }
    let mut loaded = match strictly {
        Ok(loaded) => loaded,
        Err(_) => text_of(&bytes)
            .and_then(parse_for_start)
            .with_context(|| not_valid(path))?,
    };
    let old = path.with_file_name(OLD_NAME);
    let no_pool = loaded.config.pools.iter().all(|(_, pool)| pool.is_none());
    if no_pool && old != path && old.exists() {
        loaded.warnings.push(format!(
            "{} is not imported, because there already is a {}. To import it, delete that file and start DPMP again.",
            old.display(),
            path.display(),
        ));
    }
    Ok(loaded)
}

/// What precedes the mistakes in a file. After a power cut, an editor's file may be empty or full of zeros.
fn not_valid(path: &Path) -> String {
    let backup = files::backup_path(path);
    let bytes = files::read(&backup, LARGEST_FILE).unwrap_or_default();
    let hint = match text_of(&bytes).and_then(parse_file) {
        Ok(_) => format!(
            " ({}, from before the last save, is valid)",
            backup.display()
        ),
        Err(_) => String::new(),
    };
    format!("the config {} is not valid{hint}", path.display())
}

/// Our settings for a file of the Python version, with warnings, one sentence each; `None` if it is not such a file.
/// For a file that is restored on the web pages.
pub fn imported(file: &Value) -> Option<(Value, Vec<String>)> {
    if !may_be_python(file) || !has_python_key(file) {
        return None;
    }
    let mut converted = convert(file, &SideFiles::default());
    listen_here(&mut converted);
    Some((converted.raw, converted.notes))
}

/// Creates a configuration file.
fn create(path: &Path) -> anyhow::Result<LoadedConfig> {
    let old = path.with_file_name(OLD_NAME);
    let found = match files::read(&old, LARGEST_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut loaded = parse(&sample())?;
            save(path, &loaded.raw)?;
            loaded.warnings.insert(
                0,
                format!(
                    "{} is new, created from the sample; it has no pool yet",
                    path.display()
                ),
            );
            return Ok(loaded);
        }
        found => found,
    };
    let converted = found
        .map_err(|error| error.to_string())
        .and_then(|bytes| import(&old, &bytes));
    let mut troubles = Vec::new();
    let (raw, origin, mut notes) = match converted {
        Ok(ConvertedConfig { raw, notes }) => {
            (raw, format!("imported from {}", old.display()), notes)
        }
        Err(problem) => {
            let note = format!(
                "{} could not be imported: {problem}. Set up the pools on the web pages, or correct that file, delete \
                 {} and start DPMP again.",
                old.display(),
                path.display()
            );
            troubles.push(StartTrouble {
                pool: None,
                text: note.clone(),
            });
            let origin = "created from the sample; it has no pool yet".to_owned();
            (serde_json::from_str(&sample())?, origin, vec![note])
        }
    };
    let mut loaded = parse_file(&text(&raw))?;
    notes.insert(0, format!("{} is new, {origin}", path.display()));
    if let Err(error) = save(path, &loaded.raw) {
        notes.push(format!(
            "{error:#}; settings cannot be changed on the web pages"
        ));
    }
    loaded.warnings.splice(0..0, notes);
    loaded.troubles = troubles;
    Ok(loaded)
}

/// Converts a file of the Python version that DPMP should use as its own. The original is kept under another name.
/// `None` if it is not such a file.
fn take_over(path: &Path, bytes: &[u8]) -> Option<LoadedConfig> {
    let text_there = String::from_utf8_lossy(bytes);
    let raw = match raw::read_any(&text_there) {
        Ok((raw, _)) => raw,
        Err(errors) => return start_anew(path, bytes, &errors),
    };
    let old_name = path.file_name().is_some_and(|name| name == OLD_NAME);
    if !may_be_python(&raw) || !(old_name || has_python_key(&raw)) {
        return None;
    }
    let ConvertedConfig { raw, mut notes } = import(path, bytes).ok()?;
    let mut loaded = parse_file(&text(&raw)).ok()?;
    let mut copy = path.as_os_str().to_owned();
    copy.push(".python");
    let copy = PathBuf::from(copy);
    let kept = if copy.exists() {
        Ok(())
    } else {
        write_atomic(&copy, bytes, Backup::None)
    };
    match kept.and_then(|()| save(path, &loaded.raw)) {
        Ok(()) => notes.insert(
            0,
            format!(
                "{} was from the Python version; it was imported, and the original is kept as {}",
                path.display(),
                copy.display()
            ),
        ),
        Err(error) => notes.insert(
            0,
            format!(
                "{} is from the Python version; the imported settings could not be saved: {error:#}",
                path.display()
            ),
        ),
    }
    loaded.warnings.splice(0..0, notes);
    Some(loaded)
}

/// If an old file that DPMP should use is not JSON, it is kept under another name, and the pools must be set up. `None`
/// if it has our name, or was already converted.
fn start_anew(path: &Path, bytes: &[u8], errors: &ConfigErrors) -> Option<LoadedConfig> {
    let mut copy = path.as_os_str().to_owned();
    copy.push(".python");
    let copy = PathBuf::from(copy);
    if path.file_name().is_none_or(|name| name != OLD_NAME) || copy.exists() {
        return None;
    }
    let mut loaded = parse(&sample()).ok()?;
    write_atomic(&copy, bytes, Backup::None).ok()?;
    save(path, &loaded.raw).ok()?;
    let text = format!(
        "{path} could not be imported: {errors}. It is kept as {copy}. Set up the pools on the web pages, or correct \
         {copy}, copy it to {path} and start DPMP again.",
        path = path.display(),
        copy = copy.display(),
    );
    loaded.warnings.insert(0, text.clone());
    loaded.troubles.push(StartTrouble { pool: None, text });
    Some(loaded)
}

/// Converts a file of the Python version and the other files in its folder.
///
/// # Errors
/// If it is no JSON object.
fn import(old: &Path, bytes: &[u8]) -> Result<ConvertedConfig, String> {
    // Like Python reads it.
    let text = String::from_utf8_lossy(bytes);
    let (raw, twice) = raw::read_any(&text).map_err(|errors| errors.to_string())?;
    let mut unusable = Vec::new();
    let mut beside = |name: &str| {
        let read = match files::read(&old.with_file_name(name), LARGEST_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error.to_string()),
            Ok(bytes) => {
                raw::read_any(&String::from_utf8_lossy(&bytes)).map_err(|errors| errors.to_string())
            }
        };
        match read {
            Ok((value, _)) => Some(value),
            Err(problem) => {
                unusable.push(format!(
                    "{name}: not imported, because it cannot be used: {problem}"
                ));
                None
            }
        }
    };
    // This is imported with the totals, but a bad file is reported here.
    beside("best_shares.json");
    let mut converted = convert(
        &raw,
        &SideFiles {
            weights: beside("weights_override.json"),
            oracle: beside("oracle_mode.json"),
            manual: beside("manual_mode.json"),
            pinned: beside("pinned_assignments.json"),
            paused: beside("miner_paused.json"),
            log_level: env::var("DPMP_LOG_LEVEL")
                .ok()
                .filter(|level| !level.trim().is_empty()),
        },
    );
    converted.notes.extend(unusable);
    for Fault { path, .. } in twice {
        let note = format!("{path}: the key appears twice; the last one counts");
        converted.notes.push(note);
    }
    listen_here(&mut converted);
    Ok(converted)
}

/// An address that this machine does not have would prevent the start. The old file may come from another machine.
fn listen_here(converted: &mut ConvertedConfig) {
    for section in ["listen", "metrics"] {
        let host = &mut converted.raw[section]["host"];
        let Some(address) = host.as_str().and_then(|host| host.parse::<IpAddr>().ok()) else {
            continue;
        };
        let bound = TcpListener::bind((address, 0));
        if bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable) {
            *host = "0.0.0.0".into();
            converted.notes.push(format!(
                "{section}.host: this machine does not have the address {address}; DPMP uses \"0.0.0.0\" instead, all \
                 of its addresses"
            ));
        }
    }
}

/// Writes a configuration, and keeps the previous one as `<name>.bak`. The caller has already checked it with
/// [`parse`].
///
/// # Errors
/// With the path, if it cannot be written; the old file is then still there.
pub fn save(path: &Path, raw: &Value) -> anyhow::Result<()> {
    write_atomic(path, text(raw).as_bytes(), Backup::KeepOne)
}

/// The text of a configuration file.
pub fn text(raw: &Value) -> String {
    format!("{raw:#}\n")
}

/// A configuration with all keys at their defaults, and placeholders for what the owner must enter.
pub fn sample() -> String {
    let mut root = Value::Null;
    for key in key_infos() {
        // Null becomes an object when it is indexed, and no key contains another one.
        let place = key
            .path
            .split('.')
            .fold(&mut root, |place, step| &mut place[step]);
        *place = key.default;
    }
    text(&root)
}

fn text_of(bytes: &[u8]) -> Result<&str, ConfigErrors> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        ConfigErrors::of_file(
            format!("text that is not UTF-8, in line {line}"),
            "text in UTF-8",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::units::PoolSlot;

    const OLD: &str =
        r#"{"pools": {"A": {"host": "a.pool.com", "wallet": "w"}}, "logging": {"json": true}}"#;

    fn error(path: &Path) -> String {
        format!("{:#}", load_or_create(path).unwrap_err())
    }

    #[test]
    fn the_command_line_overrides_the_environment() {
        let (cli, variable) = (|| Some(PathBuf::from("a")), || Some(OsString::from("b")));
        assert_eq!(choose(cli(), variable()), Path::new("a"));
        assert_eq!(choose(None, variable()), Path::new("b"));
        assert_eq!(
            choose(None, Some(OsString::new())),
            Path::new("config.json")
        );
        assert_eq!(choose(None, None), Path::new("config.json"));
    }

    #[test]
    fn a_missing_config_is_created_from_the_sample() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let made = load_or_create(&path).unwrap();
        assert!(
            made.warnings[0].contains("created from the sample"),
            "{:?}",
            made.warnings
        );
        assert_eq!(made.warnings.len(), 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), sample());

        let again = load_or_create(&path).unwrap();
        assert_eq!(again.config, made.config);
        assert!(again.warnings.is_empty());
    }

    #[test]
    fn an_old_config_is_imported_if_there_is_no_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (
            folder.path().join("config.json"),
            folder.path().join("config_v2.json"),
        );
        fs::write(&old, OLD).unwrap();
        let loaded = load_or_create(&path).unwrap();
        assert_eq!(
            loaded.config.pools[PoolSlot::A].as_ref().unwrap().host,
            "a.pool.com"
        );
        assert!(
            loaded.warnings[0].contains("config_v2.json"),
            "{:?}",
            loaded.warnings
        );
        assert!(
            loaded.warnings[1].contains("logging.json"),
            "{:?}",
            loaded.warnings
        );
        assert_eq!(fs::read_to_string(&old).unwrap(), OLD);

        // From now on, the old one is ignored.
        fs::write(&old, "{").unwrap();
        let again = load_or_create(&path).unwrap();
        assert_eq!(again.config, loaded.config);
        assert_eq!(again.raw, loaded.raw);
    }

    #[test]
    fn a_broken_old_config_opens_the_set_up_and_stays_for_correction() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let old = folder.path().join("config_v2.json");
        fs::write(&old, "{").unwrap();
        let loaded = load_or_create(&path).unwrap();
        assert!(loaded.warnings[1].contains("could not be imported"));
        assert_eq!(fs::read_to_string(&old).unwrap(), "{");
        fs::write(&old, OLD).unwrap();
        let again = load_or_create(&path).unwrap();
        assert!(again.warnings[0].contains("delete that file"), "{again:?}");
        fs::remove_file(&path).unwrap();
        assert!(load_or_create(&path).unwrap().config.pools[PoolSlot::A].is_some());
    }

    /// Two good pools with one changed setting, as JSON text; the pages are on port 8900.
    fn with(slot: PoolSlot, key: &str, value: &Value) -> String {
        let mut config = serde_json::json!({"gui": {"port": 8900}, "pools": {
            "A": {"host": "a.pool.com", "wallet": "w"}, "B": {"host": "b.pool.com", "wallet": "w"}}});
        config["pools"][slot.name()][key] = value.clone();
        config.to_string()
    }

    #[test]
    fn a_pool_mistake_opens_the_set_up_and_any_other_mistake_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for (key, wrong, slot) in [
            ("wallet", "two words".into(), PoolSlot::A),
            ("host", 7.into(), PoolSlot::A),
            ("port", 0.into(), PoolSlot::B),
        ] {
            let text = with(slot, key, &wrong);
            fs::write(&path, &text).unwrap();
            let loaded = load_or_create(&path).unwrap();
            assert_eq!(loaded.config.pools[slot], None, "{key}");
            assert!(loaded.config.pools[slot.other()].is_some());
            assert_eq!(loaded.config.gui.port, 8900);
            assert!(!loaded.config.is_set_up());
            let told = format!("pools.{slot}.{key}: found ");
            assert!(loaded.warnings[0].starts_with(&told), "{loaded:?}");
            assert_eq!(loaded.troubles[0].pool, Some(slot));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);

            fs::write(&path, text.replace("8900", "0")).unwrap();
            let error = error(&path);
            assert!(
                error.contains("gui.port") && error.contains(&told),
                "{error}"
            );
        }
    }

    #[test]
    fn unusable_backups_are_left_out_at_a_start() {
        use serde_json::json;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let good = |number: usize| format!("b{number}.pool.com:3333");
        let nine: Vec<_> = (1..=9).map(good).collect();
        for (wrong, kept, told) in [
            (
                json!(["pool.com"]),
                0,
                "number 1: found \"pool.com\", which has no port",
            ),
            (
                json!([good(1), "bc1q@", good(2)]),
                2,
                "number 2: found \"bc1q@\", which has no host",
            ),
            (
                json!([good(1), 7]),
                1,
                "number 2: found 7, which is not one line of text",
            ),
            (
                json!([good(1), {"host": "a"}]),
                1,
                "number 2: found an object",
            ),
            (
                json!(["localhost:3351", good(1)]),
                1,
                "number 1: found \"localhost:3351\"; allowed: a pool",
            ),
            (json!(nine), 8, "found 9 backups; allowed: at most 8"),
            (
                json!("b1.pool.com:3333"),
                0,
                "found \"b1.pool.com:3333\"; allowed: a list",
            ),
            (json!(5), 0, "found 5; allowed: a list"),
            (json!({"a": 1}), 0, "found an object; allowed: a list"),
        ] {
            for slot in PoolSlot::ALL {
                let text = with(slot, "backups", &wrong);
                fs::write(&path, &text).unwrap();
                let loaded = load_or_create(&path).unwrap();
                assert!(loaded.config.is_set_up(), "{wrong}");
                let pool = loaded.config.pools[slot].as_ref().unwrap();
                assert_eq!(pool.backups.len(), kept, "{wrong}: {:?}", pool.backups);
                assert_eq!(
                    pool.host,
                    format!("{}.pool.com", slot.name().to_lowercase())
                );
                let told = format!("pools.{slot}.backups: {told}");
                assert_eq!(loaded.troubles.len(), 1, "{:?}", loaded.troubles);
                assert!(
                    loaded.troubles[0].text.starts_with(&told),
                    "{:?}",
                    loaded.troubles
                );
                assert_eq!(loaded.troubles[0].text, loaded.warnings[0]);
                assert!(loaded.troubles[0].pool.is_none());
                assert_eq!(
                    fs::read_to_string(&path).unwrap(),
                    text,
                    "the file is the owner's"
                );
                // If it is saved while DPMP runs, it is refused as always.
                assert!(parse(&text).is_err());
            }
        }
    }

    #[test]
    fn a_mistake_in_an_optional_pool_setting_does_not_stop_mining() {
        use serde_json::json;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for (key, wrong) in [
            ("name", json!(5)),
            ("chain", json!([])),
            ("user_name", json!("{nobody}")),
            ("password", json!(7)),
            ("tls", json!("yes")),
            ("tls_insecure", json!("no")),
            ("tls_fingerprint", json!("abc")),
            ("stall_seconds", json!(-1)),
            ("answer_seconds", json!("x")),
            ("job_seconds", json!("x")),
        ] {
            let text = with(PoolSlot::A, key, &wrong);
            assert!(parse(&text).is_err(), "{key}");
            fs::write(&path, &text).unwrap();
            let loaded = load_or_create(&path).unwrap();
            assert!(loaded.config.is_set_up(), "{key}");
            let told = format!("pools.A.{key}: found ");
            assert!(
                loaded.troubles[0].text.starts_with(&told),
                "{:?}",
                loaded.troubles
            );
            let pool = loaded.config.pools[PoolSlot::A].as_ref().unwrap();
            assert_eq!(
                pool.tls.enabled,
                key == "tls",
                "nothing goes out in the clear by a slip"
            );
        }
        // An unreadable fingerprint does not mean that every certificate is accepted.
        let mut config: Value =
            serde_json::from_str(&with(PoolSlot::A, "tls_fingerprint", &json!("abc"))).unwrap();
        config["pools"]["A"]["tls"] = true.into();
        config["pools"]["A"]["tls_insecure"] = true.into();
        fs::write(&path, config.to_string()).unwrap();
        let loaded = load_or_create(&path).unwrap();
        let tls = loaded.config.pools[PoolSlot::A].as_ref().unwrap().tls;
        assert!(tls.enabled && !tls.insecure);
    }

    #[test]
    fn an_old_name_can_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config_v2.json");
        fs::write(&path, OLD).unwrap();
        assert!(load_or_create(&path).unwrap().config.pools[PoolSlot::A].is_some());
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for (bytes, part) in [
            (
                &b"{\"listen\": {\"port\": \"x\"}}"[..],
                "listen.port: found \"x\"; allowed: ",
            ),
            (b"{\n\n x}", "line 3 column 2"),
            (b"", "line 1 column 0"),
            (b"{\"a\":\n\"\xff\"}", "not UTF-8, in line 2"),
            (b"\xff\xfe{\0", "not UTF-8, in line 1"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = error(&path);
            assert!(error.contains("config.json is not valid: "), "{error}");
            assert!(error.contains(part), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        let unreadable = |path: &Path, why: &str| {
            let error = error(path);
            assert!(error.starts_with("failed to read the config "), "{error}");
            assert!(error.ends_with(why), "{error}");
        };
        fs::write(&path, [b' '; LARGEST_FILE + 1]).unwrap();
        unreadable(&path, "it is larger than 1 MiB, the limit for this file");
        unreadable(folder.path(), "it is a folder, not a regular file");
    }

    #[test]
    fn a_byte_order_mark_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, format!("\u{feff}{OLD}")).unwrap();
        assert!(load_or_create(&path).is_ok());
    }

    #[test]
    fn saving_keeps_the_order_unknown_keys_and_one_backup() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let text = "{\n  \"z\": 1,\n  \"pools\": {},\n  \"a\": [\n    1.5\n  ]\n}\n";
        fs::write(&path, text).unwrap();
        let mut loaded = load_or_create(&path).unwrap();
        save(&path, &loaded.raw).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);

        loaded.raw["a"] = 2.into();
        save(&path, &loaded.raw).unwrap();
        let saved = fs::read_to_string(&path).unwrap();
        assert_eq!(saved, "{\n  \"z\": 1,\n  \"pools\": {},\n  \"a\": 2\n}\n");
        assert_eq!(
            fs::read_to_string(folder.path().join("config.json.bak")).unwrap(),
            text
        );
        // As a power cut may leave it.
        for useless in ["", "\0\0\0\0"] {
            fs::write(&path, useless).unwrap();
            let error = format!("{:#}", load_or_create(&path).unwrap_err());
            assert!(
                error.contains("config.json.bak, from before the last save, is valid): "),
                "{error}"
            );
        }
    }
}
