//! When the state is published next: once a second, and less often where a picture of it takes long, so that the
//! scheduler spends at most a hundredth of its time on that.

use std::time::{Duration, Instant};

/// How often the state is published, also if nothing happened: rates and times change with time.
pub const EVERY: Duration = Duration::from_secs(1);

/// After a picture that took so long, the next one follows after this many times as long.
const PART: u32 = 100;

/// But never later than this, or readers would take the state for an old one after the machine stood still for a while.
const LATEST: Duration = Duration::from_secs(15);

/// When the next picture of the state is due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    due: Instant,
}

impl Pace {
    /// The first one is due now.
    pub fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// When the next one is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The next one is due now.
    pub fn hurry(&mut self, now: Instant) {
        self.due = now;
    }

    /// One was made, from `began` to `done`.
    pub fn made(&mut self, began: Instant, done: Instant) {
        let took = done.saturating_duration_since(began);
        self.due = began + (took * PART).clamp(EVERY, LATEST);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    /// How often the state is published in ten minutes if each picture takes so long, and how long all of them took.
    fn in_ten_minutes(each: Duration) -> (u32, Duration) {
        let start = Instant::now();
        let (mut pace, mut count, mut spent) = (Pace::new(start), 0, Duration::ZERO);
        while pace.due() < start + Duration::from_secs(600) {
            let began = pace.due();
            pace.made(began, began + each);
            count += 1;
            spent += each;
        }
        (count, spent)
    }

    #[test]
    fn snapshots_take_at_most_a_hundredth_of_the_time() {
        for (milliseconds, expected) in [(0, 600), (2, 600), (10, 600), (30, 200), (120, 50)] {
            let (count, spent) = in_ten_minutes(Duration::from_millis(milliseconds));
            assert_eq!(count, expected, "{milliseconds} ms");
            assert!(spent <= Duration::from_secs(6), "{spent:?}");
        }
        // After a standstill readers do not wait for hours.
        let (count, _) = in_ten_minutes(Duration::from_secs(10));
        assert_eq!(count, 40);
    }
}
