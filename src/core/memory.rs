//! What is kept across restarts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::balance::Balancer;
use crate::core::insight::watch::PayoutWatch;
use crate::core::miner::roster::Roster;
use crate::core::miner::vardiff::KnownDifficulties;
use crate::core::past_splits::{Courses, PastSplits};
use crate::core::payout::Payout;
use crate::core::pool::facts::PoolFacts;
use crate::core::stats::totals::Totals;
use crate::core::steering::{ClockMark, Override};
use crate::core::work::extranonce::SizeHabits;
use crate::core::work::handed_out::KeptWork;
use crate::units::{Now, PerPool};

/// What is kept across restarts: the contents of the state file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What is known about each pool that was ever reached, by address.
    pub pools: BTreeMap<String, PoolFacts>,
    /// Extranonce2 sizes that miners use regardless of what DPMP offers.
    pub size_habits: SizeHabits,
    /// Each worker's difficulty on shared connections.
    pub difficulties: KnownDifficulties,
    /// The totals.
    #[serde(rename = "ledger")]
    pub totals: Totals,
    /// Where each pool's earnings go, and whether the owner has confirmed it.
    pub payouts: PerPool<Payout>,
    /// What each pool's jobs usually pay.
    pub watches: PerPool<PayoutWatch>,
    /// Earlier usual splits.
    pub past_splits: PastSplits,
    /// When the split in force changed.
    pub courses: Courses,
    /// Temporary changes.
    pub overrides: Vec<Override>,
    /// The pools' latest time.
    pub clock: ClockMark,
    /// What a hash earns at the pools, and the resulting shift.
    pub balance: Balancer,
    /// The workers that are usually connected.
    pub roster: Roster,
    /// Which work was handed out. A file from an older version does not have this.
    #[serde(default = "KeptWork::unknown")]
    pub handed_out: KeptWork,
}

impl Memory {
    /// With all times converted to the current wall clock, for saving.
    #[must_use]
    pub fn corrected(mut self, now: Now) -> Self {
        self.totals.correct(now);
        self.balance.correct(now);
        self.roster.correct(now);
        self
    }
}
