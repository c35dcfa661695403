//! Numbers: counts, percentages, ports, times, weights, difficulty bounds.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Form, FormKind, Kind};
use crate::units::Difficulty;

/// A whole number in a range.
pub(in crate::config) struct Whole {
    pub(in crate::config) default: u32,
    pub(in crate::config) min: u32,
    pub(in crate::config) max: u32,
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

/// A number in a range that begins at 0 or above, fractions allowed.
pub(in crate::config) struct Number {
    pub(in crate::config) default: u32,
    pub(in crate::config) min: f64,
    pub(in crate::config) max: u32,
}

impl Kind for Number {
    type Meaning = f64;

    fn read(&self, value: &Value) -> Result<f64, String> {
        value
            .as_f64()
            .filter(|number| (self.min..=f64::from(self.max)).contains(number))
            .map(f64::abs) // 0 may have been written as -0.0
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        format!("a number from {} to {}", self.min, self.max)
    }

    fn default(&self) -> f64 {
        self.default.into()
    }

    fn default_json(&self) -> Value {
        json!(self.default)
    }

    fn form(&self) -> Form {
        Form::numbers(FormKind::Number, self.min, self.max.into())
    }
}

/// A TCP port, as a number or as text.
pub(in crate::config) struct Port(pub(in crate::config) u16);

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

/// Parses a port as text with digits only. It can still be 0.
pub(in crate::config) fn parse_port(text: &str) -> Option<u16> {
    // `parse` alone would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A time in seconds, fractions allowed.
pub(in crate::config) struct Seconds {
    pub(in crate::config) default: u32,
    pub(in crate::config) min: f64,
    pub(in crate::config) max: u32,
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
pub(in crate::config) struct SecondsOrNever(pub(in crate::config) Seconds);

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

/// A pool's weight. It cannot be so small that it would equal zero, or so large that proportions get lost.
pub(in crate::config) struct Weight(pub(in crate::config) u32);

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
pub(in crate::config) struct Bound;

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
        "a number above 0 and up to 2.69e67, or null or 0 for no limit".to_owned()
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

/// A whole number that fits into 32 bits, even if it is written with a fraction of zero.
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
