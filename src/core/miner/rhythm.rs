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

/// By how many shares it goes, and with fewer there is no rhythm.
const SHARES: f64 = 20.0;

/// A miner never hangs before it was silent for so long, in seconds.
const SHORTEST: f64 = 300.0;

/// One false alarm is allowed in this time, in seconds: 10,000 days.
const FALSE_ALARM: f64 = 10_000.0 * 86_400.0;

/// A lower difficulty counts as this one, so that all sums stay finite.
const LEAST: f64 = 1e-30;

/// As how many mean intervals the silence of a hang counts, at most.
const HANG: f64 = 4.0;

/// What is known of a miner's shares: how many came in how much work, and the silence since the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rhythm {
    /// How many came, up to [`SHARES`].
    shares: f64,
    /// The mean work between two: seconds divided by the difficulty.
    work: f64,
    /// The same since the last sign of life.
    silent_work: f64,
    /// Seconds with work since then.
    silent_seconds: f64,
    /// The difficulty that it works at, and up to when its work is counted.
    #[serde(skip)]
    at: Option<(f64, Instant)>,
}

impl Rhythm {
    /// From now on it works at this difficulty, or has no work.
    pub fn works_at(&mut self, difficulty: Option<Difficulty>, now: Instant) {
        (self.silent_work, self.silent_seconds) = self.silence(now);
        self.at = difficulty.map(|difficulty| (difficulty.get().max(LEAST), now));
    }

    /// It sent something; `is_share`: whether that was a share of its work.
    pub fn heard(&mut self, is_share: bool, now: Instant) {
        let (mut work, _) = self.silence(now);
        if self.hangs(now) {
            // It did not work then, so the silence says little about its rhythm.
            work = work.min(HANG * self.work);
        }
        if is_share {
            self.shares = (self.shares + 1.0).min(SHARES);
            self.work += (work - self.work) / self.shares;
        } else {
            // The next share has taken longer by so much.
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
        // A rate that is known from n shares in the time T leaves a silence t the probability (1 + t/T)^-n.
        SHARES * (expected / SHARES).ln_1p() > (FALSE_ALARM / interval).ln()
    }

    /// Work and seconds with work since the last sign of life.
    fn silence(&self, now: Instant) -> (f64, f64) {
        let Some((difficulty, since)) = self.at else {
            return (self.silent_work, self.silent_seconds);
        };
        let passed = now.saturating_duration_since(since).as_secs_f64();
        let work = passed / difficulty;
        (self.silent_work + work, self.silent_seconds + passed)
    }
}
