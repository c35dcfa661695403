//! What the timetable says at a given moment, and when that changes. The core knows no time zones; it only gets the
//! result.
//!
//! - Nothing is remembered from one moment to the next: an entry applies at an instant if that instant's local weekday
//!   and wall-clock time are within it. So the hour that daylight saving time skips or repeats is no special case, and
//!   neither is a clock that is set.
//! - If several entries apply, the first one in the list counts.

pub mod clock_check;
pub mod forecast;
pub mod zone;

use crate::config::steering::{Timetable, TimetableEntry};
use crate::core::steering::TimetableNow;
use crate::timetable::zone::{Local, Zone};

/// How far ahead the next change is looked for, in seconds: a day more than a week.
const HORIZON: i64 = 8 * DAY;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A timetable in its time zone.
pub struct LocalTimetable<'a> {
    timetable: &'a Timetable,
    zone: Zone,
    /// The times of day at which entries begin and end, in seconds after midnight, earliest first.
    boundaries: Vec<i64>,
}

impl<'a> LocalTimetable<'a> {
    /// Uses the system's time zone if the timetable names none, or an unknown one.
    pub fn new(timetable: &'a Timetable) -> Self {
        let zone = Zone::named(&timetable.time_zone).unwrap_or_else(Zone::of_the_system);
        let ends = timetable.entries.iter().flat_map(|it| [it.from, it.to]);
        let mut boundaries: Vec<_> = ends.map(|minutes| i64::from(minutes) * 60 % DAY).collect();
        boundaries.sort_unstable();
        boundaries.dedup();
        Self {
            timetable,
            zone,
            boundaries,
        }
    }

    /// The time zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What it says at a time in milliseconds since 1970, if the clock is right. A timetable that is not enabled says
    /// nothing.
    pub fn at(&self, unix_ms: u64) -> TimetableNow {
        if !self.timetable.enabled {
            return TimetableNow::default();
        }
        // This number of seconds always fits.
        let now = i64::try_from(unix_ms / 1000).unwrap_or_default();
        let entry = |at| {
            let entry = self.entry_at(at)?;
            Some((entry, self.timetable.entries[entry].work))
        };
        let change = self.next_change(now);
        TimetableNow {
            entry: entry(now),
            until_ms: change
                .and_then(|at| u64::try_from(at).ok())
                .map(|at| at.saturating_mul(1000)),
            next: change.and_then(entry).map(|(_, work)| work),
            clock_is_wrong: false,
        }
    }

    /// The entry in force at a time in seconds since 1970, counted from 0.
    fn entry_at(&self, at: i64) -> Option<usize> {
        let local = self.zone.local(at);
        let in_force = |entry: &TimetableEntry| is_in_force(entry, local);
        self.timetable.entries.iter().position(in_force)
    }

    /// When another entry is in force than at this time, or none.
    fn next_change(&self, now: i64) -> Option<i64> {
        let before = self.entry_at(now);
        let mut at = now;
        loop {
            at = self.next_step(at)?;
            if at > now + HORIZON {
                return None;
            }
            if self.entry_at(at) != before {
                return Some(at);
            }
        }
    }

    /// The next time at which an entry may begin or end: when the local clock shows a boundary, or when the clocks
    /// change.
    fn next_step(&self, at: i64) -> Option<i64> {
        let second = self.zone.local(at).second;
        let today = self.boundaries.iter().find(|it| **it > second);
        let tomorrow = || self.boundaries.first().map(|first| first + DAY);
        let boundary = today.copied().or_else(tomorrow)?;
        let by_clock = at + boundary - second;
        let by_zone = self.zone.next_transition(at);
        Some(by_zone.map_or(by_clock, |by_zone| by_zone.min(by_clock)))
    }
}

fn is_in_force(entry: &TimetableEntry, local: Local) -> bool {
    let [from, to] = [entry.from, entry.to].map(|minutes| i64::from(minutes) * 60);
    let begins_today = entry.days[local.weekday];
    let begun_yesterday = entry.days[(local.weekday + 6) % 7];
    let over_midnight = to <= from;
    let today = begins_today && from <= local.second && (over_midnight || local.second < to);
    let since_yesterday = begun_yesterday && over_midnight && local.second < to;
    today || since_yesterday
}

#[cfg(test)]
mod tests;
