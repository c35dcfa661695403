//! Text: names, secrets, lists of names.

use argon2::{ARGON2ID_IDENT, Params};
use serde_json::{Value, json};

use super::{Form, FormKind, Kind, list, one_line};

/// Text on one line; spaces around it do not count.
pub(in crate::config) struct Text {
    pub(in crate::config) default: &'static str,
    /// The choices in a form, if it is not just any text.
    pub(in crate::config) choices: &'static [&'static str],
    /// In characters.
    pub(in crate::config) longest: usize,
}

impl Kind for Text {
    type Meaning = String;

    fn read(&self, value: &Value) -> Result<String, String> {
        value
            .as_str()
            .and_then(|text| one_line(text, self.longest))
            .map(|text| text.trim().to_owned())
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!("one line of text, at most {} characters", self.longest)
    }

    fn default(&self) -> String {
        self.default.to_owned()
    }

    fn default_json(&self) -> Value {
        json!(self.default)
    }

    fn form(&self) -> Form {
        match self.choices {
            [] => Form::text(FormKind::Text, self.longest),
            choices => Form {
                choices: choices.to_vec(),
                ..Form::new(FormKind::Choice)
            },
        }
    }
}

/// A secret, kept including spaces; none by default.
pub(in crate::config) struct Secret {
    /// In characters.
    pub(in crate::config) longest: usize,
}

impl Kind for Secret {
    type Meaning = Option<String>;

    fn read(&self, value: &Value) -> Result<Option<String>, String> {
        let text = value
            .as_str()
            .and_then(|text| one_line(text, self.longest))
            .ok_or_else(|| self.allowed())?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn allowed(&self) -> String {
        format!("one line of text, at most {} characters", self.longest)
    }

    fn default(&self) -> Option<String> {
        None
    }

    fn default_json(&self) -> Value {
        json!("")
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Secret, self.longest)
    }
}

/// A password's argon2id hash in PHC form; none by default. A hash that cannot be checked is refused, so that a slip
/// never opens the pages to everyone.
pub(in crate::config) struct PasswordHash;

impl PasswordHash {
    /// In characters; salts and hashes of any reasonable size fit.
    const LONGEST: usize = 256;
    /// The most memory that a check may take, in KiB.
    const MOST_MEMORY: u32 = 64 * 1024;
    /// The most passes and lanes.
    const MOST_WORK: u32 = 32;
}

impl Kind for PasswordHash {
    type Meaning = Option<String>;

    fn read(&self, value: &Value) -> Result<Option<String>, String> {
        let text = value.as_str().ok_or_else(|| self.allowed())?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let usable = || {
            let hash = argon2::PasswordHash::new(text).ok()?;
            let params = Params::try_from(&hash).ok()?;
            let complete = hash.salt.is_some() && hash.hash.is_some();
            let bounded = params.m_cost() <= Self::MOST_MEMORY
                && params.t_cost() <= Self::MOST_WORK
                && params.p_cost() <= Self::MOST_WORK;
            (text.len() <= Self::LONGEST && hash.algorithm == ARGON2ID_IDENT && complete && bounded)
                .then(|| text.to_owned())
        };
        usable().map(Some).ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        "empty, or an argon2id hash as the web pages write it".to_owned()
    }

    fn default(&self) -> Option<String> {
        None
    }

    fn default_json(&self) -> Value {
        json!("")
    }

    fn form(&self) -> Form {
        Form::text(FormKind::Secret, Self::LONGEST)
    }
}

/// A list of names; empty by default.
pub(in crate::config) struct Names {
    /// The maximum number.
    pub(in crate::config) most: usize,
    /// The maximum length of each, in characters.
    pub(in crate::config) longest: usize,
}

impl Kind for Names {
    type Meaning = Vec<String>;

    fn read(&self, value: &Value) -> Result<Vec<String>, String> {
        list(value, self.most, |item| self.read_one(item)).ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!(
            "a list of at most {} strings of 1 to {} characters",
            self.most, self.longest
        )
    }

    fn default(&self) -> Vec<String> {
        Vec::new()
    }

    fn default_json(&self) -> Value {
        json!([])
    }

    fn form(&self) -> Form {
        Form::text(FormKind::List, self.most)
    }
}

impl Names {
    fn read_one(&self, value: &Value) -> Option<String> {
        let name = one_line(value.as_str()?, self.longest)?.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }
}
