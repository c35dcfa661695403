//! Mistakes in a configuration.

use std::fmt;

use serde_json::Value;

use crate::units::is_hidden;

/// How much of the found value is shown, in characters.
const LONGEST_QUOTE: usize = 80;

/// One value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, such as `scheduler.poolA_weight`, or `the file`.
    pub path: String,
    /// The found value, as JSON and shortened; never a password.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            found,
            allowed,
        } = self;
        write!(f, "{path}: found {found}; allowed: {allowed}")
    }
}

/// All faults of a configuration; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The faults.
    pub faults: Vec<Fault>,
}

impl ConfigErrors {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The file as a whole cannot be read.
    pub(super) fn of_file(found: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::new(vec![Fault {
            path: "the file".to_owned(),
            found: found.into(),
            allowed: allowed.into(),
        }])
    }
}

impl fmt::Display for ConfigErrors {
    /// One fault per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// A value for a message: JSON on one line, not too long.
pub(super) fn quote(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            shorten(&value.to_string())
        }
    }
}

/// A key in a path. Unusual ones are quoted, so that a message stays on its line.
pub(super) fn quote_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-$/".contains(c);
    if !key.is_empty() && key.chars().all(plain) {
        shorten(key)
    } else {
        quote(&Value::from(key))
    }
}

fn shorten(text: &str) -> String {
    // JSON leaves a few hidden characters as they are.
    let mut short: String = text
        .chars()
        .take(LONGEST_QUOTE)
        .map(|c| if is_hidden(c) { '?' } else { c })
        .collect();
    if text.chars().count() > LONGEST_QUOTE {
        short.push('…');
    }
    if let Some(hidden) = text.chars().find(|c| is_hidden(*c)) {
        short.push_str(&format!(
            " with the hidden character U+{:04X}",
            u32::from(hidden)
        ));
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_value_found_is_shown_on_one_short_line() {
        assert_eq!(quote(&json!("a\nb")), r#""a\nb""#);
        assert_eq!(
            quote(&json!("\u{7f}\u{85}")),
            r#""??" with the hidden character U+007F"#
        );
        assert_eq!(
            quote(&json!("a\u{202e}b")),
            r#""a?b" with the hidden character U+202E"#
        );
        assert_eq!(quote(&json!([1, 2])), "a list");
        assert_eq!(
            quote(&json!("é".repeat(1000))).chars().count(),
            LONGEST_QUOTE + 1
        );
        assert_eq!(quote(&json!("é".repeat(70))).chars().count(), 72);
        assert_eq!(quote_key("poolA_weight"), "poolA_weight");
        assert_eq!(quote_key("a.b\n"), r#""a.b\n""#);
        assert_eq!(quote_key(""), r#""""#);
    }
}
