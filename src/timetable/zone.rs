//! Time zones: the wall-clock time at an instant. Their data is compiled in, because containers and many small
//! computers have none.

use std::env;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The file that defines the system's time zone.
const SYSTEM_FILE: &str = "/etc/localtime";

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

/// What the calendar and the clock show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The day of the week, Monday: 0.
    pub weekday: usize,
    /// Seconds after midnight, as the clock shows it.
    pub second: i64,
}

impl Zone {
    /// The zone of a name such as `Europe/Berlin`; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok()?;
        // As it is usually written; any case is accepted.
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Some(Self { zone, name })
    }

    /// The system's time zone: `TZ` in the environment, otherwise `/etc/localtime`, otherwise UTC. A change is noticed
    /// within five minutes.
    pub fn of_the_system() -> Self {
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        let name = match zone.iana_name() {
            Some(name) => name.to_owned(),
            // Rules without a name, or a file that does not say its name.
            None => env::var("TZ").unwrap_or_else(|_| SYSTEM_FILE.to_owned()),
        };
        Self { zone, name }
    }

    /// Its name; if that is not known, where it comes from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is shown at a time in seconds since 1970.
    pub fn local(&self, at: i64) -> Local {
        const DAY: i64 = 86_400;
        // No time zone reaches beyond the year 9999.
        let offset = Timestamp::from_second(at).map_or(0, |at| self.zone.to_offset(at).seconds());
        let local = at.saturating_add(i64::from(offset));
        // 1970 began on a Thursday.
        let weekday = (local.div_euclid(DAY) + 3).rem_euclid(7);
        Local {
            weekday: usize::try_from(weekday).unwrap_or_default(),
            second: local.rem_euclid(DAY),
        }
    }

    /// The day at a time in seconds since 1970, such as `2026-11-30`.
    pub fn date(&self, at: i64) -> String {
        let at = Timestamp::from_second(at).unwrap_or_default();
        self.zone.to_datetime(at).date().to_string()
    }

    /// When the clocks change next after a time, in seconds since 1970; `None`: never.
    pub fn next_transition(&self, after: i64) -> Option<i64> {
        let after = Timestamp::from_second(after).ok()?;
        let next = self.zone.following(after).next()?;
        Some(next.timestamp().as_second())
    }
}
