//! The owner's settings for individual workers, groups and times.
//!
//! `core::steering` decides what a worker does at a given moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::units::{PerPool, PoolSlot, named};

/// The longest worker name, in bytes, as pools get it (compat Q33).
pub const LONGEST_WORKER: usize = 128;

/// What a worker should do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Work {
    /// It works for the pools by these weights, at least one of which is above 0. Only A is 100:0.
    Split(PerPool<f64>),
    /// It is paused.
    Pause,
}

impl Work {
    /// All work for one pool.
    pub fn only(slot: PoolSlot) -> Self {
        Self::Split(PerPool::from_fn(|it| if it == slot { 100.0 } else { 0.0 }))
    }

    /// The part of the work for each pool, from 0 to 1; `None`: paused.
    pub fn shares(self) -> Option<PerPool<f64>> {
        let Self::Split(weights) = self else {
            return None;
        };
        let sum = weights[PoolSlot::A] + weights[PoolSlot::B];
        Some(weights.map(|_, weight| weight / sum))
    }

    /// The allowed values.
    pub const ALLOWED: &str = "\"A\", \"B\", \"pause\", or the weights of both pools, from 0 to 1000000 and not both 0, \
                               such as {\"A\": 70, \"B\": 30}";

    /// The largest weight.
    const HEAVIEST: f64 = 1_000_000.0;

    /// Reads it from the configuration, the state file or a request.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn read(value: &Value) -> Result<Self, &'static str> {
        let named = match value.as_str() {
            Some("A") => Some(Self::only(PoolSlot::A)),
            Some("B") => Some(Self::only(PoolSlot::B)),
            Some("pause") => Some(Self::Pause),
            Some(_) | None => None,
        };
        let weights = || {
            let weights = value.as_object().filter(|weights| weights.len() == 2)?;
            let weight = |slot: &str| {
                let weight = weights.get(slot)?.as_f64()?;
                (0.0..=Self::HEAVIEST).contains(&weight).then_some(weight)
            };
            let (a, b) = (weight("A")?, weight("B")?);
            let both = PerPool::from_fn(|slot| match slot {
                PoolSlot::A => a,
                PoolSlot::B => b,
            });
            (a > 0.0 || b > 0.0).then_some(Self::Split(both))
        };
        named.or_else(weights).ok_or(Self::ALLOWED)
    }
}

impl TryFrom<Value> for Work {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::read(&value).map_err(|allowed| format!("found {value}; allowed: {allowed}"))
    }
}

impl From<Work> for Value {
    fn from(work: Work) -> Self {
        let only = PoolSlot::ALL.into_iter().find(|slot| {
            work.shares()
                .is_some_and(|shares| shares[slot.other()] == 0.0)
        });
        match (work, only) {
            (Work::Pause, _) => json!("pause"),
            (Work::Split(_), Some(slot)) => json!(slot.to_string()),
            (Work::Split(weights), None) => {
                json!({"A": weights[PoolSlot::A], "B": weights[PoolSlot::B]})
            }
        }
    }
}

/// Settings of a worker: `workers`, by its exact name. Two miners with the same name share them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerSettings {
    /// Its name on the pages; empty: the worker's name.
    pub name: String,
    /// Its work; `None`: like the others.
    pub work: Option<Work>,
    /// Whether it takes turns in the mode `fleet`.
    pub turns: Turns,
    /// Whether it works for the other pool while its own is down; `None`: as in [`Scheduling::failover`].
    ///
    /// [`Scheduling::failover`]: super::Scheduling::failover
    pub failover: Option<bool>,
}

named! {
    /// Whether a worker takes turns on both pools in the mode `fleet`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Turns {
        /// If it is needed for the split.
        #[default]
        Auto = "auto",
        /// It always stays on one pool.
        Never = "never",
    }
}

/// Workers with the same setting: an entry of `groups`. If several match a worker, the first one counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name; never empty.
    pub name: String,
    /// Patterns of workers' names, one of which must match.
    pub patterns: Vec<glob::Pattern>,
    /// Its workers' work; `None`: like the others.
    pub work: Option<Work>,
}

impl Group {
    /// Whether a worker belongs to it.
    pub fn has(&self, worker: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(worker))
    }
}

/// What to do at which time of the week: `timetable`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timetable {
    /// Whether it is used.
    pub enabled: bool,
    /// The name of its time zone, such as `Europe/Berlin`; empty: the system's.
    pub time_zone: String,
    /// If several apply at a moment, the first one counts.
    pub entries: Vec<TimetableEntry>,
}

/// An entry of the timetable. It applies from one time of day to another. If its end is not after its beginning, it
/// ends on the next day.
#[derive(Clone, Debug, PartialEq)]
pub struct TimetableEntry {
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// Its beginning, in minutes after midnight.
    pub from: u16,
    /// Its end, in minutes after midnight; the same as its beginning: after 24 hours.
    pub to: u16,
    /// The work during that time.
    pub work: Work,
}

/// Whether and how far the split follows the earnings: `balance`.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// Whether it is on.
    pub enabled: bool,
    /// The difference in earnings at which the full deviation is used, in percent.
    pub full_at_percent: f64,
    /// How far the split may move from the usual one, in points.
    pub max_deviation: f64,
    /// Prices by coin, all in one currency; 0: unknown.
    pub prices: BTreeMap<String, f64>,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            enabled: false,
            full_at_percent: 10.0,
            max_deviation: 20.0,
            prices: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_can_be_read_back_as_written() {
        for written in [
            json!("A"),
            json!("B"),
            json!("pause"),
            json!({"A": 70.0, "B": 30.0}),
        ] {
            assert_eq!(Value::from(Work::read(&written).unwrap()), written);
        }
        assert_eq!(
            Work::read(&json!({"A": 5, "B": 0})).unwrap().shares(),
            Work::only(PoolSlot::A).shares()
        );
        for wrong in [
            json!("a"),
            json!(5),
            json!(null),
            json!({"A": 0, "B": 0}),
            json!({"A": 1}),
            json!({"A": -1, "B": 2}),
            json!({"A": 1, "B": 2, "C": 3}),
            json!({"A": "1", "B": 2}),
            json!({"A": 1e7, "B": 2}),
        ] {
            assert_eq!(Work::read(&wrong), Err(Work::ALLOWED), "{wrong}");
        }
    }
}
