//! From text to JSON, and to the values in it. [`kind`](super::kind) decides what a value means.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::fault::{ConfigErrors, Fault, quote, quote_key};
use crate::units::turns_text;

/// More than any configuration needs, but small enough to read. In bytes.
pub(crate) const LARGEST_FILE: usize = 1024 * 1024;

/// Reads a configuration's JSON object. A byte order mark, as some editors write it, is skipped.
pub(super) fn read(text: &str) -> Result<Value, ConfigErrors> {
    if text.len() > LARGEST_FILE {
        return Err(too_large());
    }
    let (value, twice) = read_any(text)?;
    if twice.is_empty() {
        Ok(value)
    } else {
        Err(ConfigErrors::new(twice))
    }
}

/// The same for a file, which an earlier version may have written: characters that change the direction of text are left
/// out, and each place is reported.
pub(super) fn read_file(text: &str) -> Result<(Value, Vec<String>), ConfigErrors> {
    let mut value = read(text)?;
    let mut warnings = Vec::new();
    straighten(&mut value, "", &mut warnings);
    Ok((value, warnings))
}

fn straighten(value: &mut Value, path: &str, warnings: &mut Vec<String>) {
    let clean = |text: &mut String, path: &str, warnings: &mut Vec<String>| {
        if text.contains(turns_text) {
            text.retain(|letter| !turns_text(letter));
            warnings.push(format!(
                "{path}: DPMP leaves out a character that changes the direction of text"
            ));
        }
    };
    match value {
        Value::String(text) => clean(text, path, warnings),
        Value::Array(items) => {
            for (number, item) in items.iter_mut().enumerate() {
                straighten(item, &join(path, &number.to_string()), warnings);
            }
        }
        Value::Object(entries) => {
            let before = std::mem::take(entries);
            let names: BTreeSet<String> = before.keys().cloned().collect();
            for (name, mut entry) in before {
                let mut straight = name.clone();
                clean(&mut straight, &join(path, &name), warnings);
                // Two names must not become one; the second one is then refused.
                let is_taken = straight != name && names.contains(&straight);
                let name = if is_taken || entries.contains_key(&straight) {
                    name
                } else {
                    straight
                };
                straighten(&mut entry, &join(path, &name), warnings);
                entries.insert(name, entry);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

/// The same, but the last one of a repeated key counts, as in Python; each is reported.
pub(super) fn read_any(text: &str) -> Result<(Value, Vec<Fault>), ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut twice = Vec::new();
    let mut parser = serde_json::Deserializer::from_str(text);
    let reading = AnyValue {
        path: String::new(),
        twice: &mut twice,
    };
    let value = reading
        .deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value))
        .map_err(|error| {
            ConfigErrors::of_file(format!("broken JSON: {error}"), "one JSON object")
        })?;
    if !value.is_object() {
        return Err(ConfigErrors::of_file(
            quote(&value),
            "one JSON object, { … }",
        ));
    }
    Ok((value, twice))
}

/// The error for a file that is too large.
pub(super) fn too_large() -> ConfigErrors {
    ConfigErrors::of_file(
        format!("more than {LARGEST_FILE} bytes"),
        format!("at most {LARGEST_FILE} bytes"),
    )
}

/// The value at a path, unless it is null or missing.
pub(super) fn lookup<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(root, |value, key| value.get(key))
        .filter(|value| !value.is_null())
}

/// Sets a value, and creates its sections. If there is something other than a section, nothing is done.
pub(super) fn set(root: &mut Value, path: &str, value: Value) {
    if let Some((section, key)) = section_of(root, path) {
        section.insert(key.to_owned(), value);
    }
}

/// The section of a key, created if there is none.
fn section_of<'a, 'b>(
    root: &'a mut Value,
    path: &'b str,
) -> Option<(&'a mut Map<String, Value>, &'b str)> {
    let mut place = root;
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let section = place.as_object_mut()?;
        if steps.peek().is_none() {
            return Some((section, step));
        }
        place = section.entry(step).or_insert(Value::Null);
    }
    None
}

/// A longer path.
pub(super) fn join(path: &str, key: &str) -> String {
    let key = quote_key(key);
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// Reads any JSON value. Unlike serde_json's own reader, it notices a repeated key in an object. Otherwise the owner
/// could see the first wallet while the second one gets the money.
struct AnyValue<'a> {
    path: String,
    twice: &'a mut Vec<Fault>,
}

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(AnyValue {
            path: join(&self.path, &list.len().to_string()),
            twice: &mut *self.twice,
        })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = join(&self.path, &key);
            let value = entries.next_value_seed(AnyValue {
                path: path.clone(),
                twice: &mut *self.twice,
            })?;
            if object.insert(key, value).is_some() {
                self.twice.push(Fault {
                    path,
                    found: "the same key twice".to_owned(),
                    allowed: "each key once in its section".to_owned(),
                });
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn any_json_is_read_the_way_serde_json_reads_it() {
        for text in [
            r#"{"a":{"b":[1,-2,3.5,1e300,"x",null,true,{}]},"c":18446744073709551615,"é\n":"\u00e9"}"#,
            "{}",
            " {\"a\" : []}\r\n",
        ] {
            assert_eq!(
                read(text).unwrap(),
                serde_json::from_str::<Value>(text).unwrap()
            );
        }
        assert_eq!(read("\u{feff}{\"a\":1}").unwrap(), json!({"a": 1}));
    }

    #[test]
    fn errors_in_broken_json_have_a_line_and_a_column() {
        for (text, place) in [
            ("", "line 1 column 0"),
            ("{\n  \"a\": 1,\n}", "line 3 column 1"),
            ("{\"a\": NaN}", "line 1 column 7"),
            ("{\"a\": 1e999}", "line 1 column 11"),
            ("{} {}", "line 1 column 4"),
            ("{'a': 1}", "line 1 column 2"),
        ] {
            let error = error(text);
            assert!(
                error.starts_with("the file: found broken JSON: "),
                "{error}"
            );
            assert!(error.contains(place), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_is_read_without_characters_that_turn_text() {
        let text = r#"{"pools":{"A":{"name":"O\u202ecean"}},"x":["a\u2066"],"w\u2069":{"rig":1},"k":1,"k\u202a":2}"#;
        let (value, warnings) = read_file(text).unwrap();
        assert_eq!(
            value,
            json!({"pools": {"A": {"name": "Ocean"}}, "x": ["a"], "w": {"rig": 1}, "k": 1, "k\u{202a}": 2})
        );
        let places: Vec<_> = warnings
            .iter()
            .map(|it| it.split(':').next().unwrap())
            .collect();
        assert_eq!(places.len(), 4);
        assert_eq!(&places[..2], ["pools.A.name", "x.0"]);
        assert_eq!(
            read_file(r#"{"a":"b\n"}"#).unwrap(),
            (json!({"a": "b\n"}), vec![])
        );
    }

    #[test]
    fn json_that_is_not_a_config_is_refused() {
        for (text, part) in [
            ("[]", "found a list"),
            ("\"a\"", "found \"a\""),
            ("null", "found null"),
            (&"[".repeat(100_000), "recursion limit"),
            (&"{\"a\":".repeat(100_000), "recursion limit"),
            (
                &format!("{{\"a\":\"{}\"}}", "x".repeat(10_000_000)),
                "more than 1048576 bytes",
            ),
        ] {
            let error = error(text);
            assert!(error.contains(part), "{error}");
            assert!(error.len() < 300, "{error}");
        }
    }

    #[test]
    fn a_duplicate_key_is_named() {
        let text = r#"{"pools":{"A":{"wallet":"a","wallet":"b"}},"x":[{"y":1,"y":1}],"pools":{}}"#;
        let error = error(text);
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("pools.A.wallet: found the same key twice"));
        assert!(lines[1].starts_with("x.0.y: "));
        assert!(lines[2].starts_with("pools: "));
    }

    #[test]
    fn null_means_missing() {
        let root = json!({"a": {"b": 1, "c": null}, "d": 5});
        assert_eq!(lookup(&root, "a.b"), Some(&json!(1)));
        for path in ["a.c", "a.x", "d.e", "x.y"] {
            assert_eq!(lookup(&root, path), None);
        }
    }

    #[test]
    fn values_are_set_where_the_path_exists() {
        let mut root = json!({"a": null, "c": 5});
        set(&mut root, "a.b", json!(1));
        set(&mut root, "x.y.z", json!(2));
        set(&mut root, "c.d", json!(3));
        assert_eq!(root, json!({"a": {"b": 1}, "c": 5, "x": {"y": {"z": 2}}}));
    }
}
