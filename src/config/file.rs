//! The config as a file: where it is, how it is read, made and saved.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::keys::key_infos;
use super::raw::{LARGEST_FILE, too_large};
use super::{ConfigErrors, Loaded, parse};
use crate::system::files::{Backup, write_atomic};

/// What the Python version calls its config.
const OLD_NAME: &str = "config_v2.json";

/// Where the config is: as the command line says, else the environment variable `DPMP_CONFIG`, else
/// `./config.json`.
pub fn locate(cli: Option<PathBuf>) -> PathBuf {
    choose(cli, env::var_os("DPMP_CONFIG"))
}

fn choose(cli: Option<PathBuf>, variable: Option<OsString>) -> PathBuf {
    cli.or_else(|| variable.filter(|path| !path.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("config.json"))
}

/// Reads the config. If there is none, it is made: from the Python version's `config_v2.json` if that stands
/// beside it, which then stays as it is, otherwise from the [sample]. Either is told in a warning.
///
/// # Errors
/// With the path, if a file cannot be read, is not valid, or cannot be written.
pub fn load_or_create(path: &Path) -> anyhow::Result<Loaded> {
    if let Some(loaded) = load(path)? {
        return Ok(loaded);
    }
    let old = path.with_file_name(OLD_NAME);
    let imported =
        load(&old).with_context(|| format!("failed to import it as {}", path.display()))?;
    let (mut loaded, origin) = match imported {
        Some(loaded) => (loaded, format!("imported from {}", old.display())),
        None => (
            parse(&sample())?,
            "made from the sample; it has no pool yet".to_owned(),
        ),
    };
    save(path, &loaded.raw)?;
    loaded
        .warnings
        .insert(0, format!("{} is new, {origin}", path.display()));
    Ok(loaded)
}

/// Writes a config, and keeps the one before as `<name>.bak`. Whether it is valid is for the caller to know, who
/// has it through [`parse`].
///
/// # Errors
/// With the path, if it cannot be written; the old file is then still there.
pub fn save(path: &Path, raw: &Value) -> anyhow::Result<()> {
    write_atomic(path, text(raw).as_bytes(), Backup::KeepOne)
}

/// A config as it is saved.
pub fn text(raw: &Value) -> String {
    format!("{raw:#}\n")
}

/// A config with every key at its default and placeholders where the owner has to say something.
pub fn sample() -> String {
    let mut root = Value::Null;
    for key in key_infos() {
        // Null becomes an object when it is indexed, and no key is above another one.
        let place = key
            .path
            .split('.')
            .fold(&mut root, |place, step| &mut place[step]);
        *place = key.default;
    }
    text(&root)
}

/// `None` if there is no such file.
fn load(path: &Path) -> anyhow::Result<Option<Loaded>> {
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("failed to read the config {}", path.display()));
        }
    };
    understand(&bytes)
        .map(Some)
        .with_context(|| format!("the config {} is not valid", path.display()))
}

/// Reads no more than it takes to see that there is too much.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(LARGEST_FILE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn understand(bytes: &[u8]) -> anyhow::Result<Loaded> {
    if bytes.len() > LARGEST_FILE {
        return Err(too_large().into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        ConfigErrors::of_file(
            format!("text that is not UTF-8, in line {line}"),
            "text in UTF-8",
        )
    })?;
    Ok(parse(text)?)
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
    fn the_command_line_goes_before_the_environment() {
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
    fn a_missing_config_is_made_from_the_sample() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let made = load_or_create(&path).unwrap();
        assert!(
            made.warnings[0].contains("made from the sample"),
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
    fn an_old_config_that_stands_alone_is_imported() {
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

        // From now on the old one means nothing.
        fs::write(&old, "{").unwrap();
        let again = load_or_create(&path).unwrap();
        assert_eq!(again.config, loaded.config);
        assert_eq!(again.raw, loaded.raw);
    }

    #[test]
    fn a_broken_old_config_is_neither_imported_nor_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(folder.path().join("config_v2.json"), "{").unwrap();
        let error = error(&path);
        assert!(
            error.contains("failed to import") && error.contains("config_v2.json"),
            "{error}"
        );
        assert!(!path.exists());
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
            (&[b' '; LARGEST_FILE + 1], "more than 1048576 bytes"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = error(&path);
            assert!(error.contains("config.json is not valid: "), "{error}");
            assert!(error.contains(part), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        let error = error(folder.path());
        assert!(error.starts_with("failed to read the config "), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, format!("\u{feff}{OLD}")).unwrap();
        assert!(load_or_create(&path).is_ok());
    }

    #[test]
    fn saving_keeps_order_unknown_keys_and_one_backup() {
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
    }
}
