//! How much work was done in the last minutes or the last hour: sums of difficulty in a ring of fixed size.

use std::time::{Duration, Instant};

/// How many hashes a share of difficulty 1 takes on average.
pub const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

/// Work, in units of difficulty, by the time of its shares: a number of buckets of some seconds each, by default for
/// ten minutes.
#[derive(Clone, Debug)]
pub struct Meter<const BUCKETS: usize = 40, const SECONDS: u64 = 15> {
    start: Instant,
    /// The bucket that is being filled, counted from `start`.
    current: u64,
    buckets: [f64; BUCKETS],
}

/// The same over an hour.
pub type HourMeter = Meter<60, 60>;

impl<const BUCKETS: usize, const SECONDS: u64> Meter<BUCKETS, SECONDS> {
    /// Starts measuring.
    pub fn new(now: Instant) -> Self {
        Self {
            start: now,
            current: 0,
            buckets: [0.0; BUCKETS],
        }
    }

    /// Adds the difficulty of a share.
    pub fn add(&mut self, difficulty: f64, now: Instant) {
        self.turn_to(now);
        let index = self.index(self.current);
        self.buckets[index] += difficulty;
    }

    /// Hashes per second over the last `window` (at most the measured time), or since the start if that is shorter;
    /// `None` before there is any work.
    pub fn hashrate(&self, window: Duration, now: Instant) -> Option<f64> {
        Some(self.per_second(window, now)? * HASHES_PER_DIFFICULTY)
    }

    /// Like [`hashrate`](Self::hashrate), but in units of difficulty and not hashes.
    pub fn per_second(&self, window: Duration, now: Instant) -> Option<f64> {
        let age = now.saturating_duration_since(self.start);
        let since = Duration::from_secs(self.oldest(window, now) * SECONDS);
        let span = age.saturating_sub(since).as_secs_f64();
        (span >= 1.0).then(|| self.sum(window, now) / span)
    }

    /// The work in the last `window` (at most the measured time).
    pub fn sum(&self, window: Duration, now: Instant) -> f64 {
        (self.oldest(window, now)..=self.number(now).min(self.current))
            .filter(|bucket| self.current - bucket < Self::count())
            .map(|bucket| self.buckets[self.index(bucket)])
            .sum()
    }

    /// The first bucket of a window that ends now.
    fn oldest(&self, window: Duration, now: Instant) -> u64 {
        let wanted = (window.as_secs() / SECONDS).clamp(1, Self::count() - 1);
        self.number(now).saturating_sub(wanted)
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / SECONDS
    }

    fn count() -> u64 {
        u64::try_from(BUCKETS).unwrap_or(u64::MAX)
    }

    fn index(&self, bucket: u64) -> usize {
        usize::try_from(bucket % Self::count()).unwrap_or(0)
    }

    /// Empties the buckets between the last addition and now.
    fn turn_to(&mut self, now: Instant) {
        let number = self.number(now);
        let first = (self.current + 1).max(number.saturating_sub(Self::count() - 1));
        for bucket in first..=number {
            let index = self.index(bucket);
            self.buckets[index] = 0.0;
        }
        self.current = self.current.max(number);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_and_its_end_are_measured() {
        let start = Instant::now();
        let mut meter: Meter = Meter::new(start);
        assert_eq!(meter.hashrate(Duration::from_secs(60), start), None);
        for second in 0..3600 {
            meter.add(1.0, start + Duration::from_secs(second));
        }
        let at = |second| {
            meter
                .hashrate(
                    Duration::from_secs(300),
                    start + Duration::from_secs(second),
                )
                .unwrap()
        };
        assert!((at(3600) / HASHES_PER_DIFFICULTY - 1.0).abs() < 0.05);
        assert!((at(3750) / HASHES_PER_DIFFICULTY - 0.5).abs() < 0.06);
        assert_eq!(at(5000), 0.0);
        assert_eq!(at(500_000), 0.0);
    }
}
