//! A choice of a few values: yes or no, a log level, a size of extranonce2.

use serde_json::{Value, json};

use super::{Form, FormKind, Kind};
use crate::config::Level;

/// Yes or no.
pub(in crate::config) struct Flag(pub(in crate::config) bool);

impl Kind for Flag {
    type Meaning = bool;

    fn read(&self, value: &Value) -> Result<bool, String> {
        value.as_bool().ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn default(&self) -> bool {
        self.0
    }

    fn default_json(&self) -> Value {
        json!(self.0)
    }

    fn form(&self) -> Form {
        Form::new(FormKind::Flag)
    }
}

/// One of a few words.
pub(in crate::config) struct Word<T: 'static> {
    pub(in crate::config) all: &'static [T],
    pub(in crate::config) name: fn(T) -> &'static str,
    pub(in crate::config) default: T,
}

impl<T: Copy> Word<T> {
    fn names(&self) -> Vec<&'static str> {
        self.all.iter().map(|one| (self.name)(*one)).collect()
    }
}

impl<T: Copy> Kind for Word<T> {
    type Meaning = T;

    fn read(&self, value: &Value) -> Result<T, String> {
        let mut found = self.all.iter();
        let found = found.find(|one| value.as_str() == Some((self.name)(**one)));
        found.copied().ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        let names = self.names();
        let names = names.iter().map(|name| format!("\"{name}\""));
        format!("one of {}", names.collect::<Vec<_>>().join(", "))
    }

    fn default(&self) -> T {
        self.default
    }

    fn default_json(&self) -> Value {
        json!((self.name)(self.default))
    }

    fn form(&self) -> Form {
        Form {
            choices: self.names(),
            ..Form::new(FormKind::Choice)
        }
    }
}

/// A log level, in upper or lower case, also with Python's names.
pub(in crate::config) struct LogLevel(pub(in crate::config) Level);

impl Kind for LogLevel {
    type Meaning = Level;

    fn read(&self, value: &Value) -> Result<Level, String> {
        let name = value
            .as_str()
            .ok_or_else(|| self.allowed())?
            .trim()
            .to_ascii_lowercase();
        let name = match name.as_str() {
            "warning" => Level::Warn.name(),
            "critical" | "fatal" => Level::Error.name(),
            "notset" => Level::Trace.name(),
            other => other,
        };
        Level::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        let names = Level::ALL.map(|level| format!("\"{}\"", level.name()));
        format!("one of {}", names.join(", "))
    }

    fn default(&self) -> Level {
        self.0
    }

    fn default_json(&self) -> Value {
        json!(self.0.name())
    }

    fn form(&self) -> Form {
        Form {
            choices: Level::ALL.map(Level::name).to_vec(),
            ..Form::new(FormKind::Choice)
        }
    }
}

/// The size of the miners' extranonce2 in bytes, or `"auto"`: by their software and the pools.
pub(in crate::config) struct Extranonce2Size;

const SIZES: [(&str, u8); 4] = [("2", 2), ("3", 3), ("4", 4), ("8", 8)];

impl Kind for Extranonce2Size {
    /// `None`: automatic.
    type Meaning = Option<u8>;

    fn read(&self, value: &Value) -> Result<Option<u8>, String> {
        let text = match value {
            Value::String(text) => text.trim().to_ascii_lowercase(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(self.allowed());
            }
        };
        if text == "auto" {
            return Ok(None);
        }
        let size = SIZES.into_iter().find(|(name, _)| *name == text);
        size.map(|(_, size)| Some(size))
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        "\"auto\", 2, 3, 4 or 8".to_owned()
    }

    fn default(&self) -> Option<u8> {
        None
    }

    fn default_json(&self) -> Value {
        json!("auto")
    }

    fn form(&self) -> Form {
        let sizes = SIZES.into_iter().map(|(name, _)| name);
        Form {
            choices: std::iter::once("auto").chain(sizes).collect(),
            ..Form::new(FormKind::Choice)
        }
    }
}
