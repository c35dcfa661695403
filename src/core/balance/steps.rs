//! How the shift of the split follows the wanted shift: seldom, and without going back and forth.
//!
//! - A step changes A's part by 2 points or more, so small changes move nothing.
//! - Steps are at least 30 minutes apart.
//! - A step in the opposite direction of the previous one is a reversal. Reversals are at least 24 hours apart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{Now, When};

/// The smallest step, in points.
pub const SMALLEST: f64 = 2.0;

/// The shortest time between steps.
pub const BETWEEN_STEPS: Duration = Duration::from_secs(30 * 60);

/// The shortest time between reversals.
pub const BETWEEN_REVERSALS: Duration = Duration::from_secs(24 * 3600);

/// Parts that differ by less, in points, count as the same.
pub const SAME: f64 = 1e-6;

/// A's part if this many points are added to its usual part, both in points.
pub fn part(usual: f64, shift: f64) -> f64 {
    (usual + shift).clamp(0.0, 100.0)
}

/// How far the split is shifted, and when it moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Steps {
    /// The shift that is added to A's part, in points.
    shift: f64,
    last: Option<LastStep>,
    last_reversal: Option<When>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct LastStep {
    at: When,
    /// Whether it was in favor of A.
    to_a: bool,
}

/// The target of the shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Destination {
    /// A's usual part, in points from 0 to 100.
    pub usual: f64,
    /// The shift to add to it, in points.
    pub shift: f64,
    /// The smallest change that is worth a step, in points.
    pub least: f64,
}

/// A step that was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// A's part before, in points.
    pub from: f64,
    /// A's part now, in points.
    pub to: f64,
}

impl Steps {
    /// The shift that is added to A's part, in points; the sum is limited to 0 and 100.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// Makes a step if one is due.
    pub fn advance(&mut self, to: &Destination, now: Now) -> Option<Step> {
        let step = Step {
            from: part(to.usual, self.shift),
            to: part(to.usual, to.shift),
        };
        let Some(due) = self.next_step(to, now) else {
            if (step.to - step.from).abs() < SAME {
                // This makes no difference until the usual split changes.
                self.shift = to.shift;
            }
            return None;
        };
        if due > now.unix_ms {
            return None;
        }
        let to_a = step.to > step.from;
        if self.last.is_some_and(|last| last.to_a != to_a) {
            self.last_reversal = Some(now.into());
        }
        let at = now.into();
        self.last = Some(LastStep { at, to_a });
        self.shift = to.shift;
        Some(step)
    }

    /// When the next step is allowed, in milliseconds since 1970; `None`: none is wanted.
    pub fn next_step(&self, to: &Destination, now: Now) -> Option<u64> {
        let change = part(to.usual, to.shift) - part(to.usual, self.shift);
        if change.abs() < to.least.max(SAME) {
            return None;
        }
        let earliest = |since: When, pause: Duration| {
            let since = since.unix_ms(now);
            let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            // Times in the future come from a clock that was wrong.
            if since > now.unix_ms {
                now.unix_ms
            } else {
                since.saturating_add(pause)
            }
        };
        let last = self.last.map(|last| earliest(last.at, BETWEEN_STEPS));
        let reverses = self.last.is_some_and(|last| last.to_a != (change > 0.0));
        let reversal = self.last_reversal.filter(|_| reverses);
        let reversal = reversal.map(|at| earliest(at, BETWEEN_REVERSALS));
        [last, reversal]
            .into_iter()
            .flatten()
            .chain([now.unix_ms])
            .max()
    }

    /// With all times converted to the current wall clock, for saving.
    pub fn correct(&mut self, now: Now) {
        if let Some(last) = &mut self.last {
            last.at = last.at.corrected(now);
        }
        self.last_reversal = self.last_reversal.map(|at| at.corrected(now));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn start() -> Now {
        Now {
            at: Instant::now(),
            unix_ms: 1_700_000_000_000,
        }
    }

    fn after(start: Now, ms: u64) -> Now {
        Now {
            at: start.at + Duration::from_millis(ms),
            unix_ms: start.unix_ms + ms,
        }
    }

    fn to(usual: f64, shift: f64) -> Destination {
        Destination {
            usual,
            shift,
            least: SMALLEST,
        }
    }

    #[test]
    fn steps_are_large_enough_and_far_enough_apart() {
        let start = start();
        let mut steps = Steps::default();
        assert_eq!(steps.advance(&to(50.0, 1.9), start), None);
        assert_eq!(steps.shift(), 0.0);
        let step = steps.advance(&to(50.0, 2.0), start).unwrap();
        assert_eq!((step.from, step.to, steps.shift()), (50.0, 52.0, 2.0));

        let next = to(50.0, 9.0);
        let soon = after(start, 30 * MINUTE - 1);
        assert_eq!(steps.advance(&next, soon), None);
        assert_eq!(
            steps.next_step(&next, soon),
            Some(start.unix_ms + 30 * MINUTE)
        );
        assert_eq!(steps.next_step(&to(50.0, 3.0), soon), None, "too small");
        assert!(steps.advance(&next, after(start, 30 * MINUTE)).is_some());
    }

    #[test]
    fn reversals_are_at_least_a_day_apart() {
        let start = start();
        let mut steps = Steps::default();
        let mut step = |shift: f64, hours: u64| {
            let now = after(start, hours * HOUR);
            let made = steps.advance(&to(50.0, shift), now).is_some();
            // A restart in between changes nothing.
            steps.correct(now);
            steps = serde_json::from_str(&serde_json::to_string(&steps).unwrap()).unwrap();
            made
        };
        assert!(step(10.0, 0));
        assert!(step(5.0, 1), "the first reversal");
        assert!(step(2.0, 2), "another step in the same direction");
        assert!(!step(10.0, 3), "the second reversal within a day");
        assert!(step(-10.0, 4));
        assert!(!step(10.0, 24));
        assert!(step(10.0, 25));
        assert!(!step(5.0, 48));
        assert!(step(5.0, 49));
    }

    #[test]
    fn steps_end_at_0_and_at_100_percent() {
        let start = start();
        let mut steps = Steps::default();
        let step = steps.advance(&to(95.0, 20.0), start).unwrap();
        assert_eq!((step.from, step.to), (95.0, 100.0));
        // A change that makes no difference is not a step, and is not made up for later.
        let later = after(start, HOUR);
        assert_eq!(steps.advance(&to(95.0, 10.0), later), None);
        assert_eq!(steps.shift(), 10.0);
        let step = steps.advance(&to(95.0, 1.0), later).unwrap();
        assert_eq!((step.from, step.to), (100.0, 96.0));
        assert_eq!(steps.advance(&to(0.0, -20.0), later), None);
    }

    #[test]
    fn a_time_in_the_future_delays_nothing() {
        let start = start();
        let mut steps = Steps::default();
        let wrong = Now {
            unix_ms: start.unix_ms * 2,
            ..start
        };
        assert!(steps.advance(&to(50.0, 10.0), wrong).is_some());
        steps.correct(wrong);
        assert!(steps.advance(&to(50.0, 20.0), after(start, 1)).is_some());
    }
}
