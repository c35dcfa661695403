//! The kinds of value that a key can have: what is allowed, what it means, and what it is by default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use argon2::{ARGON2ID_IDENT, Params};
use serde_json::{Value, json};

use super::Level;
use crate::units::Difficulty;

/// A kind of value.
pub(super) trait Kind {
    /// What it means to the program.
    type Meaning;

    /// What a value that is neither missing nor null means; otherwise what is allowed instead.
    fn read(&self, value: &Value) -> Result<Self::Meaning, String>;

    /// What may be written, as it is told to the owner.
    fn allowed(&self) -> String;

    /// What a missing value means.
    fn default(&self) -> Self::Meaning;

    /// The same as the sample has it.
    fn default_json(&self) -> Value;

    /// How it is asked for in a form.
    fn form(&self) -> Form;
}

/// How a value is asked for in a form. It is a help: what is allowed is what [`parse`](super::parse) takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The kind of field.
    pub kind: FormKind,
    /// The smallest number, or the shortest text in characters.
    pub min: Option<f64>,
    /// The largest number, or the longest text in characters, or the most items of a list.
    pub max: Option<f64>,
    /// What can be chosen.
    pub choices: Vec<&'static str>,
    /// Whether null says something else than the default.
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

    /// Text of at most so many characters.
    pub(super) fn text(kind: FormKind, longest: usize) -> Self {
        Self {
            max: u32::try_from(longest).ok().map(f64::from),
            ..Self::new(kind)
        }
    }
}

/// The kinds of fields in a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// A number, fractions allowed.
    Number,
    /// A whole number.
    Integer,
    /// A line of text.
    Text,
    /// Yes or no.
    Flag,
    /// One of a few words.
    Choice,
    /// A list of texts.
    List,
    /// Text that is not shown.
    Secret,
}

impl FormKind {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Text => "text",
            Self::Flag => "flag",
            Self::Choice => "choice",
            Self::List => "list",
            Self::Secret => "secret",
        }
    }
}

/// A whole number in a range.
pub(super) struct Whole {
    pub(super) default: u32,
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Kind for Whole {
    type Meaning = u32;

    fn read(&self, value: &Value) -> Result<u32, String> {
        whole(value)
            .filter(|number| (self.min..=self.max).contains(number))
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn default(&self) -> u32 {
        self.default
    }

    fn default_json(&self) -> Value {
        json!(self.default)
    }

    fn form(&self) -> Form {
        Form::numbers(FormKind::Integer, self.min.into(), self.max.into())
    }
}

/// A TCP port, as a number or as text.
pub(super) struct Port(pub(super) u16);

impl Kind for Port {
    type Meaning = u16;

    fn read(&self, value: &Value) -> Result<u16, String> {
        value
            .as_str()
            .map_or_else(
                || whole(value).and_then(|port| u16::try_from(port).ok()),
                |text| parse_port(text.trim()),
            )
            .filter(|port| *port > 0)
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        "a port number from 1 to 65535".to_owned()
    }

    fn default(&self) -> u16 {
        self.0
    }

    fn default_json(&self) -> Value {
        json!(self.0)
    }

    fn form(&self) -> Form {
        Form::numbers(FormKind::Integer, 1.0, u16::MAX.into())
    }
}

/// A port as text, digits only. It can still be 0.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    // `parse` alone would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A time in seconds, fractions allowed.
pub(super) struct Seconds {
    pub(super) default: u32,
    pub(super) min: f64,
    pub(super) max: u32,
}

impl Kind for Seconds {
    type Meaning = Duration;

    fn read(&self, value: &Value) -> Result<Duration, String> {
        value
            .as_f64()
            .filter(|seconds| (self.min..=f64::from(self.max)).contains(seconds))
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!("a number from {} to {}", self.min, self.max)
    }

    fn default(&self) -> Duration {
        Duration::from_secs(self.default.into())
    }

    fn default_json(&self) -> Value {
        json!(self.default)
    }

    fn form(&self) -> Form {
        Form::numbers(FormKind::Number, self.min, self.max.into())
    }
}

/// A time in seconds, where 0 means never.
pub(super) struct SecondsOrNever(pub(super) Seconds);

impl Kind for SecondsOrNever {
    type Meaning = Option<Duration>;

    fn read(&self, value: &Value) -> Result<Option<Duration>, String> {
        if value.as_f64() == Some(0.0) {
            return Ok(None);
        }
        self.0.read(value).map(Some).map_err(|_| self.allowed())
    }

    fn allowed(&self) -> String {
        format!("0, or {}", self.0.allowed())
    }

    fn default(&self) -> Option<Duration> {
        Some(self.0.default())
    }

    fn default_json(&self) -> Value {
        self.0.default_json()
    }

    fn form(&self) -> Form {
        Form {
            min: Some(0.0),
            ..self.0.form()
        }
    }
}

/// A pool's weight. So small that it could not be told from zero, or so large that ratios get lost, it cannot be.
pub(super) struct Weight(pub(super) u32);

impl Weight {
    const SMALLEST: f64 = 0.000_001;
    const LARGEST: f64 = 1_000_000.0;
}

impl Kind for Weight {
    type Meaning = f64;

    fn read(&self, value: &Value) -> Result<f64, String> {
        value
            .as_f64()
            .filter(|weight| *weight == 0.0 || (Self::SMALLEST..=Self::LARGEST).contains(weight))
            .map(f64::abs) // 0 may have been written as -0.0
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!(
            "0, or a number from {} to {}",
            Self::SMALLEST,
            Self::LARGEST
        )
    }

    fn default(&self) -> f64 {
        self.0.into()
    }

    fn default_json(&self) -> Value {
        json!(self.0)
    }

    fn form(&self) -> Form {
        Form::numbers(FormKind::Number, 0.0, Self::LARGEST)
    }
}

/// A bound of the share difficulty; there is none by default.
pub(super) struct Bound;

impl Kind for Bound {
    type Meaning = Option<Difficulty>;

    fn read(&self, value: &Value) -> Result<Option<Difficulty>, String> {
        match value.as_f64() {
            Some(0.0) => Ok(None),
            Some(number) => Difficulty::new(number)
                .map(Some)
                .ok_or_else(|| self.allowed()),
            None => Err(self.allowed()),
        }
    }

    fn allowed(&self) -> String {
        "a number above 0 and up to 2.69e67, or null or 0 for no bound".to_owned()
    }

    fn default(&self) -> Option<Difficulty> {
        None
    }

    fn default_json(&self) -> Value {
        Value::Null
    }

    fn form(&self) -> Form {
        Form {
            min: Some(0.0),
            nullable: true,
            ..Form::new(FormKind::Number)
        }
    }
}

/// Yes or no.
pub(super) struct Flag(pub(super) bool);

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

/// Text on one line; spaces around it do not count.
pub(super) struct Text {
    pub(super) default: &'static str,
    /// If it is not just any text: what a form offers.
    pub(super) choices: &'static [&'static str],
    /// In characters.
    pub(super) longest: usize,
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
        format!("a text on one line of at most {} characters", self.longest)
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

/// Something secret, kept to the last space; none by default.
pub(super) struct Secret {
    /// In characters.
    pub(super) longest: usize,
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
        format!("a text on one line of at most {} characters", self.longest)
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

/// A password's argon2id hash in PHC form; none by default. What could not be checked against is refused, so that a
/// slip never opens the pages to everybody.
pub(super) struct PasswordHash;

impl PasswordHash {
    /// In characters; salts and hashes of any sensible size fit.
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

/// A list of at most `most` items, each read by `read_one`; `None` if it is not one.
pub(super) fn list<T>(
    value: &Value,
    most: usize,
    read_one: impl Fn(&Value) -> Option<T>,
) -> Option<Vec<T>> {
    let items = value.as_array().filter(|items| items.len() <= most)?;
    items.iter().map(read_one).collect()
}

/// A list of names; empty by default.
pub(super) struct Names {
    /// How many.
    pub(super) most: usize,
    /// Each, in characters.
    pub(super) longest: usize,
}

impl Kind for Names {
    type Meaning = Vec<String>;

    fn read(&self, value: &Value) -> Result<Vec<String>, String> {
        list(value, self.most, |item| self.read_one(item)).ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!(
            "a list of at most {} texts of 1 to {} characters",
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

/// An address of this machine to listen on.
pub(super) struct Listening(pub(super) Ipv4Addr);

impl Kind for Listening {
    type Meaning = IpAddr;

    fn read(&self, value: &Value) -> Result<IpAddr, String> {
        let text = value.as_str().ok_or_else(|| self.allowed())?.trim();
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match text {
            "" | "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
            _ if text.eq_ignore_ascii_case("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
            _ => match bare {
                Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::from),
                None => text.parse(),
            }
            .map_err(|_| self.allowed()),
        }
    }

    fn allowed(&self) -> String {
        "an IP address of this machine, or \"0.0.0.0\" (all of IPv4) or \"::\" (IPv6 and IPv4)"
            .to_owned()
    }

    fn default(&self) -> IpAddr {
        self.0.into()
    }

    fn default_json(&self) -> Value {
        json!(self.0)
    }

    fn form(&self) -> Form {
        Form::new(FormKind::Text)
    }
}

/// A log level, in any case and also by the names that Python has for it.
pub(super) struct LogLevel(pub(super) Level);

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

/// A whole number that fits 32 bits, also if it is written with a fraction of zero.
fn whole(value: &Value) -> Option<u32> {
    if let Some(number) = value.as_u64() {
        return u32::try_from(number).ok();
    }
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    format!("{:.0}", number.abs())
        .parse()
        .ok()
        .filter(|_| number >= 0.0)
}

/// The text, if it has no more characters than that and none that would break a line of a log or of a protocol.
pub(super) fn one_line(text: &str, longest: usize) -> Option<&str> {
    let fits = text.chars().count() <= longest && !text.chars().any(char::is_control);
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kind makes of some JSON, in the words of its `Debug`; `-` if it refuses it.
    fn check<K: Kind<Meaning: std::fmt::Debug>>(kind: &K, json: &str) -> String {
        let value: Value = serde_json::from_str(json).unwrap();
        kind.read(&value)
            .map_or("-".to_owned(), |meaning| format!("{meaning:?}"))
    }

    fn table<K: Kind<Meaning: std::fmt::Debug>>(kind: &K, rows: &[(&str, &str)]) {
        for (json, expected) in rows {
            assert_eq!(check(kind, json), *expected, "{json}");
        }
    }

    #[test]
    fn whole_numbers() {
        let kind = Whole {
            default: 5,
            min: 1,
            max: 100,
        };
        table(
            &kind,
            &[
                ("1", "1"),
                ("100", "100"),
                ("7.0", "7"),
                ("7e1", "70"),
                ("0", "-"),
                ("101", "-"),
                ("7.5", "-"),
                ("-1", "-"),
                ("-7.0", "-"),
                ("1e300", "-"),
                ("18446744073709551616", "-"),
                ("\"7\"", "-"),
                ("true", "-"),
                ("[7]", "-"),
            ],
        );
        assert_eq!(kind.allowed(), "a whole number from 1 to 100");
        let from_zero = Whole { min: 0, ..kind };
        table(&from_zero, &[("0", "0"), ("-0.0", "0"), ("0.0", "0")]);
    }

    #[test]
    fn ports() {
        table(
            &Port(3333),
            &[
                ("1", "1"),
                ("65535", "65535"),
                ("\"3333\"", "3333"),
                ("\" 3333 \"", "3333"),
                ("3333.0", "3333"),
                ("0", "-"),
                ("65536", "-"),
                ("\"0\"", "-"),
                ("\"+1\"", "-"),
                ("\"\"", "-"),
                ("\"1e3\"", "-"),
                ("-1", "-"),
                ("{}", "-"),
            ],
        );
    }

    #[test]
    fn seconds() {
        let kind = || Seconds {
            default: 10,
            min: 0.1,
            max: 3600,
        };
        table(
            &kind(),
            &[
                ("0.1", "100ms"),
                ("3600", "3600s"),
                ("1.5", "1.5s"),
                ("0", "-"),
                ("0.09", "-"),
                ("3600.001", "-"),
                ("1e308", "-"),
                ("-5", "-"),
                ("\"10\"", "-"),
            ],
        );
        table(
            &SecondsOrNever(kind()),
            &[
                ("0", "None"),
                ("-0.0", "None"),
                ("1", "Some(1s)"),
                ("0.01", "-"),
                ("false", "-"),
            ],
        );
        assert_eq!(
            SecondsOrNever(kind()).allowed(),
            "0, or a number from 0.1 to 3600"
        );
    }

    #[test]
    fn weights_and_bounds() {
        table(
            &Weight(50),
            &[
                ("0", "0.0"),
                ("-0.0", "0.0"),
                ("70", "70.0"),
                ("0.7", "0.7"),
                ("0.000001", "1e-6"),
                ("1000000", "1000000.0"),
                ("1e-7", "-"),
                ("5e-324", "-"),
                ("1000001", "-"),
                ("-1", "-"),
                ("null", "-"),
            ],
        );
        table(
            &Bound,
            &[
                ("0", "None"),
                ("1024", "Some(Difficulty(1024.0))"),
                ("0.5", "Some(Difficulty(0.5))"),
                ("1e60", "Some(Difficulty(1e60))"),
                ("1e300", "-"),
                ("-1", "-"),
                ("\"1\"", "-"),
            ],
        );
    }

    #[test]
    fn texts() {
        let kind = Text {
            choices: &[],
            default: "x",
            longest: 5,
        };
        table(
            &kind,
            &[
                ("\" a b \"", "\"a b\""),
                ("\"\"", "\"\""),
                ("\"ééééé\"", "\"ééééé\""),
                ("\"123456\"", "-"),
                ("\"a\\nb\"", "-"),
                ("\"a\\u0000\"", "-"),
                ("5", "-"),
            ],
        );
        table(
            &Secret { longest: 5 },
            &[
                ("\"\"", "None"),
                ("\" x \"", "Some(\" x \")"),
                ("\"123456\"", "-"),
                ("5", "-"),
            ],
        );
        table(
            &Names {
                most: 2,
                longest: 3,
            },
            &[
                ("[]", "[]"),
                ("[\" a \",\"b\"]", "[\"a\", \"b\"]"),
                ("[\"a\",\"b\",\"c\"]", "-"),
                ("[\"abcd\"]", "-"),
                ("[\" \"]", "-"),
                ("[1]", "-"),
                ("\"a\"", "-"),
            ],
        );
    }

    #[test]
    fn addresses_to_listen_on() {
        table(
            &Listening(Ipv4Addr::UNSPECIFIED),
            &[
                ("\"0.0.0.0\"", "0.0.0.0"),
                ("\"\"", "0.0.0.0"),
                ("\"*\"", "0.0.0.0"),
                ("\"localhost\"", "127.0.0.1"),
                ("\" 192.168.1.5 \"", "192.168.1.5"),
                ("\"::\"", "::"),
                ("\"[::1]\"", "::1"),
                ("\"[1.2.3.4]\"", "-"),
                ("\"300.1.1.1\"", "-"),
                ("\"my.host\"", "-"),
                ("\"0.0.0.0:3351\"", "-"),
                ("0", "-"),
            ],
        );
    }

    #[test]
    fn levels() {
        table(
            &LogLevel(Level::Info),
            &[
                ("\"INFO\"", "Info"),
                ("\"Warning\"", "Warn"),
                ("\"CRITICAL\"", "Error"),
                ("\" trace\"", "Trace"),
                ("\"off\"", "Off"),
                ("\"loud\"", "-"),
                ("20", "-"),
            ],
        );
    }
}
