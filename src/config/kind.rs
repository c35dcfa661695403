//! The kinds of values that a key can have: what is allowed, what it means, and the default.

pub(super) mod choice;
pub(super) mod number;
pub(super) mod text;

use std::ops::Range;

use serde_json::Value;

use super::fault::{Fault, quote};
use crate::units::{is_hidden, named};

/// A kind of value.
pub(super) trait Kind {
    /// Its meaning in the program.
    type Meaning;

    /// What a value that is neither missing nor null means; otherwise what is allowed instead.
    fn read(&self, value: &Value) -> Result<Self::Meaning, String>;

    /// All mistakes in a value that is neither missing nor null.
    fn wrong(&self, value: &Value) -> Vec<Wrong> {
        let refused = self.read(value).err().map(|allowed| Wrong {
            place: String::new(),
            found: quote(value),
            allowed,
            entries: 0..usize::MAX,
        });
        refused.into_iter().collect()
    }

    /// The allowed values, as text for the owner.
    fn allowed(&self) -> String;

    /// The default.
    fn default(&self) -> Self::Meaning;

    /// The default as JSON, for the sample.
    fn default_json(&self) -> Value;

    /// Its field in a form.
    fn form(&self) -> Form;
}

/// A mistake in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The place in it, such as `2.form`; empty: the value itself.
    pub(super) place: String,
    /// The found value.
    pub(super) found: String,
    /// What is allowed.
    pub(super) allowed: String,
    /// The table entries that this makes unusable.
    pub(super) entries: Range<usize>,
}

impl Wrong {
    /// Converts it to a fault of the key at this path.
    pub(super) fn at(self, path: &str) -> Fault {
        Fault {
            path: match self.place.as_str() {
                "" => path.to_owned(),
                place => format!("{path}.{place}"),
            },
            found: self.found,
            allowed: self.allowed,
        }
    }
}

/// The field for a value in a form. It only helps; [`parse`](super::parse) decides what is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The kind of field.
    pub kind: FormKind,
    /// The smallest number, or the shortest text in characters.
    pub min: Option<f64>,
    /// The largest number, the longest text in characters, or the maximum number of items in a list.
    pub max: Option<f64>,
    /// The choices.
    pub choices: Vec<&'static str>,
    /// Whether null means something other than the default.
    pub nullable: bool,
}

impl Form {
    /// A field without limits.
    pub(super) fn new(kind: FormKind) -> Self {
        Self {
            kind,
            min: None,
            max: None,
            choices: Vec::new(),
            nullable: false,
        }
    }

    fn numbers(kind: FormKind, min: f64, max: f64) -> Self {
        Self {
            min: Some(min),
            max: Some(max),
            ..Self::new(kind)
        }
    }

    /// Text of at most this many characters.
    pub(super) fn text(kind: FormKind, longest: usize) -> Self {
        Self {
            max: u32::try_from(longest).ok().map(f64::from),
            ..Self::new(kind)
        }
    }
}

named! {
    /// The kinds of fields in a form.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FormKind {
        /// A number, fractions allowed.
        Number = "number",
        /// A whole number.
        Integer = "integer",
        /// A line of text.
        Text = "text",
        /// Yes or no.
        Flag = "flag",
        /// One of a few words.
        Choice = "choice",
        /// A list of texts.
        List = "list",
        /// Text that is not shown.
        Secret = "secret",
        /// A table, which a single field cannot show.
        Table = "table",
    }
}

/// A list of at most `most` items, each read by `read_one`; `None` if it is not one.
pub(super) fn list<T>(
    value: &Value,
    most: usize,
    read_one: impl Fn(&Value) -> Option<T>,
) -> Option<Vec<T>> {
    let items = value.as_array().filter(|items| items.len() <= most)?;
    items.iter().map(read_one).collect()
}

/// The text, if it is not longer than that and has no characters that would break a line in the log or the protocol, or
/// turn the text around it.
pub(super) fn one_line(text: &str, longest: usize) -> Option<&str> {
    let fits = text.chars().count() <= longest && !text.chars().any(is_hidden);
    fits.then_some(text)
}

#[cfg(test)]
mod tests;
