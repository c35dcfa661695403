//! How often a miner sends shares, and whether it hangs: whether it has been silent for longer than chance explains.
//!
//! - Only time with work counts. Time is divided by the difficulty, so a change of difficulty does not change the
//!   rhythm.
//! - A steady miner causes less than one false alarm in 10,000 days.
//! - The rhythm is estimated from the last shares only, so it is uncertain. To make up for that, the silence must be
//!   longer than it would be for a known rate. A miner that drops to half its hashrate hardly ever causes an alarm,
//!   either.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::units::Difficulty;

/// The number of shares that determine the rhythm. With fewer there is none.
const SHARES: f64 = 20.0;

/// A miner never counts as hanging before this much silence, in seconds.
const SHORTEST: f64 = 300.0;

/// One false alarm is allowed in this time, in seconds: 10,000 days.
const FALSE_ALARM: f64 = 10_000.0 * 86_400.0;

/// A lower difficulty counts as this one, so that sums stay finite.
const LEAST: f64 = 1e-30;

/// The silence of a hang counts as at most this many mean intervals.
const HANG: f64 = 4.0;

/// The rhythm of a miner's shares: their number, the work between them, and the silence since the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rhythm {
    /// The number of shares, up to [`SHARES`].
    shares: f64,
    /// The mean work between two shares: seconds divided by the difficulty.
    work: f64,
    /// The work since the last message.
    silent_work: f64,
    /// Seconds with work since the last message.
    silent_seconds: f64,
    /// Its current difficulty, and the time up to which its work is counted.
    #[serde(skip)]
    at: Option<(f64, Instant)>,
}

impl Rhythm {
    /// Records that it now works at this difficulty, or has no work.
    pub fn works_at(&mut self, difficulty: Option<Difficulty>, now: Instant) {
        (self.silent_work, self.silent_seconds) = self.silence(now);
        self.at = difficulty.map(|difficulty| (difficulty.get().max(LEAST), now));
    }

    /// Records a message from it; `is_share`: whether it was a share of its work.
    pub fn heard(&mut self, is_share: bool, now: Instant) {
        let (mut work, _) = self.silence(now);
        if self.hangs(now) {
            // It was not working then, so the silence says little about its rhythm.
            work = work.min(HANG * self.work);
        }
        if is_share {
            self.shares = (self.shares + 1.0).min(SHARES);
            self.work += (work - self.work) / self.shares;
        } else {
            // The next share has taken this much longer.
            self.work += work / self.shares.max(1.0);
        }
        (self.silent_work, self.silent_seconds) = (0.0, 0.0);
        self.at = self.at.map(|(difficulty, _)| (difficulty, now));
    }

    /// Whether it hangs.
    pub fn hangs(&self, now: Instant) -> bool {
        let (work, seconds) = self.silence(now);
        if self.shares < SHARES || seconds < SHORTEST || work <= 0.0 || self.work <= 0.0 {
            return false;
        }
        let expected = work / self.work;
        let interval = seconds / expected;
        // If n shares in the time T are known, a silence t has the probability (1 + t/T)^-n.
        SHARES * (expected / SHARES).ln_1p() > (FALSE_ALARM / interval).ln()
    }

    /// Work, and seconds with work, since the last message.
    fn silence(&self, now: Instant) -> (f64, f64) {
        let Some((difficulty, since)) = self.at else {
            return (self.silent_work, self.silent_seconds);
        };
        let passed = now.saturating_duration_since(since).as_secs_f64();
        let work = passed / difficulty;
        (self.silent_work + work, self.silent_seconds + passed)
    }
}
