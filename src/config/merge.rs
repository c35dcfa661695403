//! Merges concurrent changes of the file: a page saves the whole file, while commands change single settings.
//!
//! - Commands only write the settings in [`COMMANDED`]. Their changes do not make a page's copy outdated.
//! - When the page saves, these settings are merged with what was written since it read them. A value that only one
//!   side changed is kept. If both sides changed a value differently, someone has to choose.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::raw::{join, read};

/// The settings that commands write.
pub const COMMANDED: [&str; 3] = [
    "scheduler.poolA_weight",
    "scheduler.poolB_weight",
    "workers",
];

/// A version of the file: two fingerprints in hex, of the commanded settings and of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Of all other settings.
    pub others: String,
    /// Of the commanded ones.
    pub commanded: String,
}

impl Version {
    /// The version of a file's contents. If they are not a configuration, the fingerprint is of the bytes.
    pub fn of(contents: &[u8]) -> Self {
        let text = std::str::from_utf8(contents).ok();
        match text.and_then(|text| read(text).ok()) {
            Some(file) => Self::of_json(file),
            None => Self {
                others: fingerprint(contents),
                commanded: fingerprint(b""),
            },
        }
    }

    /// The version of a file's JSON.
    pub fn of_json(mut file: Value) -> Self {
        let commanded = Value::Object(take_commanded(&mut file));
        Self {
            others: fingerprint(file.to_string().as_bytes()),
            commanded: fingerprint(commanded.to_string().as_bytes()),
        }
    }

    /// As text for a client.
    pub fn etag(&self) -> String {
        format!("{}{}", self.others, self.commanded)
    }

    /// Reads what a client sends back. Anything else is a version that nothing has.
    pub fn of_etag(etag: &str) -> Self {
        let (others, commanded) = etag.split_at_checked(etag.len() / 2).unwrap_or_default();
        Self {
            others: others.to_owned(),
            commanded: commanded.to_owned(),
        }
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

/// Removes the commanded settings, and sections without other settings. Returns them by path.
pub fn take_commanded(root: &mut Value) -> Map<String, Value> {
    let mut taken = Map::new();
    for path in COMMANDED {
        if let Some(value) = take(root, path) {
            taken.insert(path.to_owned(), value);
        }
    }
    taken
}

/// Removes a setting, and its sections if they are empty then; `None` if there was none.
fn take(root: &mut Value, path: &str) -> Option<Value> {
    let object = root.as_object_mut()?;
    let Some((section, rest)) = path.split_once('.') else {
        return object.shift_remove(path).filter(|value| !value.is_null());
    };
    let inner = object.get_mut(section)?;
    let taken = take(inner, rest);
    if inner.as_object().is_some_and(Map::is_empty) {
        object.shift_remove(section);
    }
    taken
}

/// Merges two sides' changes of the commanded settings.
///
/// # Errors
/// With the path at which they contradict each other.
pub fn merge(
    base: &Map<String, Value>,
    mine: &Map<String, Value>,
    theirs: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut merged = Map::new();
    for path in COMMANDED {
        let [base, mine, theirs] = [base, mine, theirs].map(|it| it.get(path));
        if let Some(value) = merge_value(path, base, mine, theirs)? {
            merged.insert(path.to_owned(), value);
        }
    }
    Ok(merged)
}

fn merge_value(
    path: &str,
    base: Option<&Value>,
    mine: Option<&Value>,
    theirs: Option<&Value>,
) -> Result<Option<Value>, String> {
    if are_same(mine, base) || are_same(mine, theirs) {
        return Ok(theirs.cloned());
    }
    if are_same(theirs, base) {
        return Ok(mine.cloned());
    }
    let (Some(Value::Object(mine)), Some(Value::Object(theirs))) = (mine, theirs) else {
        return Err(path.to_owned());
    };
    let mut merged = Map::new();
    let mine_alone = mine.keys().filter(|key| !theirs.contains_key(*key));
    for key in theirs.keys().chain(mine_alone) {
        let base = base.and_then(|base| base.get(key));
        let path = join(path, key);
        if let Some(value) = merge_value(&path, base, mine.get(key), theirs.get(key))? {
            merged.insert(key.clone(), value);
        }
    }
    Ok(Some(Value::Object(merged)))
}

/// Whether two values mean the same: a browser writes 70 for 70.0.
fn are_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => one.as_f64() == other.as_f64(),
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| are_same(Some(one), Some(other)))
        }
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut pairs = one.iter().map(|(key, value)| (value, other.get(key)));
            one.len() == other.len() && pairs.all(|(one, other)| are_same(Some(one), other))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file() -> Value {
        json!({
            "pools": {"A": {"wallet": "w"}},
            "scheduler": {"poolA_weight": 70, "poolB_weight": 30, "slice_seconds": 10},
            "workers": {"a": {"work": "A", "name": "Attic"}},
        })
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Value {
        let mut file = file();
        change(&mut file);
        file
    }

    #[test]
    fn settings_written_by_commands_do_not_change_the_rest() {
        let before = Version::of_json(file());
        let commands = [
            changed(|it| it["scheduler"]["poolA_weight"] = json!(50)),
            changed(|it| it["workers"]["b"] = json!({"work": "pause"})),
            changed(|it| it["workers"] = Value::Null),
        ];
        for command in commands {
            let after = Version::of_json(command);
            assert_eq!(after.others, before.others);
            assert_ne!(after.commanded, before.commanded);
        }
        let other = changed(|it| it["scheduler"]["slice_seconds"] = json!(20));
        let other = Version::of_json(other);
        assert_ne!(other.others, before.others);
        assert_eq!(other.commanded, before.commanded);
        assert_eq!(Version::of_etag(&other.etag()), other);
    }

    #[test]
    fn any_file_contents_have_a_version() {
        let text = file().to_string();
        assert_eq!(Version::of(text.as_bytes()), Version::of_json(file()));
        assert_ne!(Version::of(b"{"), Version::of(b"["));
        for odd in ["", "a", "ä", "äöü"] {
            assert_ne!(Version::of_etag(odd), Version::of_json(file()));
        }
    }

    fn merged(mine: Value, theirs: Value) -> Result<Value, String> {
        let [base, mine, theirs] = [file(), mine, theirs].map(|mut it| take_commanded(&mut it));
        merge(&base, &mine, &theirs).map(Value::Object)
    }

    #[test]
    fn a_change_made_by_only_one_side_is_kept() {
        let mine = changed(|it| {
            it["workers"]["a"]["name"] = json!("Cellar");
            // As a browser writes it.
            it["scheduler"]["poolA_weight"] = json!(70.0);
        });
        let theirs = changed(|it| {
            it["workers"]["a"]["work"] = json!("pause");
            it["workers"]["b.c"] = json!({"work": "B"});
            it["scheduler"]["poolA_weight"] = json!(50);
        });
        assert_eq!(
            merged(mine, theirs).unwrap(),
            json!({
                "scheduler.poolA_weight": 50,
                "scheduler.poolB_weight": 30,
                "workers": {"a": {"work": "pause", "name": "Cellar"}, "b.c": {"work": "B"}},
            })
        );
        assert_eq!(
            merged(file(), changed(|it| it["workers"] = Value::Null))
                .unwrap()
                .get("workers"),
            None
        );
        let removed = changed(|it| it["workers"] = json!({}));
        assert_eq!(merged(removed, file()).unwrap()["workers"], json!({}));
    }

    #[test]
    fn changes_made_by_both_sides_have_to_agree() {
        let weight = |weight: i32| changed(|it| it["scheduler"]["poolA_weight"] = json!(weight));
        assert!(merged(weight(50), weight(50)).is_ok());
        assert_eq!(
            merged(weight(50), weight(60)),
            Err("scheduler.poolA_weight".to_owned())
        );
        let mine = changed(|it| it["workers"] = json!({}));
        let theirs = changed(|it| it["workers"]["a"]["name"] = json!("Loft"));
        assert_eq!(merged(mine, theirs), Err("workers.a".to_owned()));
    }
}
