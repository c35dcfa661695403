//! The kinds of value that a key can have: what is allowed, what it means, and what it is by default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

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
        "a number above 0, or null or 0 for no bound".to_owned()
    }

    fn default(&self) -> Option<Difficulty> {
        None
    }

    fn default_json(&self) -> Value {
        Value::Null
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
}

/// Text on one line; spaces around it do not count.
pub(super) struct Text {
    pub(super) default: &'static str,
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
        value
            .as_array()
            .filter(|items| items.len() <= self.most)
            .and_then(|items| items.iter().map(|item| self.read_one(item)).collect())
            .ok_or_else(|| self.allowed())
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
                ("1e300", "Some(Difficulty(1e300))"),
                ("-1", "-"),
                ("\"1\"", "-"),
            ],
        );
    }

    #[test]
    fn texts() {
        let kind = Text {
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
