//! Counts of share results, for a miner, a worker or a pool. Apart from the metrics, nothing else counts shares.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::fact::{ShareOutcome, ShareResult};
use crate::units::{Difficulty, Now, PoolSlot, When};

/// Numbers of shares by result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally<R: Default> {
    /// Shares that a pool accepted.
    pub accepted: u64,
    /// Shares that a pool rejected or DPMP blocked: all together, or for each reason.
    pub rejected: R,
    /// Shares that a pool never answered.
    pub lost: u64,
    /// The sum of the difficulties that pools credited.
    pub difficulty_sum: f64,
    /// The best share.
    pub best: Option<BestShare>,
}

/// Counts for each reason, with the metrics' labels.
pub type ByReason = BTreeMap<String, u64>;

/// A pool's last message for each reason.
pub type PoolWords = BTreeMap<&'static str, String>;

/// How rejected shares are counted.
pub trait Rejects {
    /// Counts one share.
    fn add(&mut self, reason: &'static str);
}

impl Rejects for u64 {
    fn add(&mut self, _: &'static str) {
        *self += 1;
    }
}

impl Rejects for ByReason {
    fn add(&mut self, reason: &'static str) {
        *self.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Shared with snapshots until the next share.
impl Rejects for Arc<ByReason> {
    fn add(&mut self, reason: &'static str) {
        Self::make_mut(self).add(reason);
    }
}

impl<R: Rejects + Default> Tally<R> {
    /// Counts a share.
    pub fn add(&mut self, share: &ShareResult, now: Now) {
        match &share.outcome {
            ShareOutcome::Accepted => {
                self.accepted += 1;
                self.difficulty_sum += share.credit.map_or(0.0, Difficulty::get);
            }
            ShareOutcome::BelowPool => (),
            ShareOutcome::RejectedByPool(_) | ShareOutcome::RefusedHere(_) => {
                self.rejected
                    .add(share.outcome.reason().unwrap_or_default());
            }
            ShareOutcome::Lost(_) => self.lost += 1,
        }
        let best = BestShare::of(share, now);
        self.best = match (self.best, best) {
            (Some(before), Some(new)) if before.difficulty >= new.difficulty => Some(before),
            (before, new) => new.or(before),
        };
    }
}

/// The best share so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestShare {
    /// The difficulty that its hash reached.
    pub difficulty: f64,
    /// When it arrived.
    #[serde(rename = "unix_ms")]
    pub when: When,
    /// The pool that it was for.
    pub pool: PoolSlot,
}

impl BestShare {
    /// The share, if it met the miner's difficulty.
    pub fn of(share: &ShareResult, now: Now) -> Option<Self> {
        let worth = share.true_difficulty.filter(|_| share.outcome.is_good());
        Some(Self {
            difficulty: worth.filter(|worth| worth.is_finite())?,
            when: now.into(),
            pool: share.slot?,
        })
    }
}
