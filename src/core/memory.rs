//! What is kept across restarts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::balance::Balancer;
use crate::core::insight::watch::PayoutWatch;
use crate::core::miner::roster::Roster;
use crate::core::miner::vardiff::KnownDifficulties;
use crate::core::past_splits::PastSplits;
use crate::core::payout::Payout;
use crate::core::pool::facts::PoolFacts;
use crate::core::stats::totals::Totals;
use crate::core::steering::{ClockMark, Override};
use crate::core::work::extranonce::SizeHabits;
use crate::core::work::handed_out::KeptWork;
use crate::units::{Now, PerPool};

/// What must outlive a restart: the content of the state file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What is known of each pool that was ever reached, by address.
    pub pools: BTreeMap<String, PoolFacts>,
    /// Sizes of extranonce2 that miners use whatever they are told.
    pub size_habits: SizeHabits,
    /// What difficulty suits each worker on a shared connection.
    pub difficulties: KnownDifficulties,
    /// The totals.
    #[serde(rename = "ledger")]
    pub totals: Totals,
    /// Where each pool's earnings go, and whether the owner has seen it.
    pub payouts: PerPool<Payout>,
    /// What each pool's jobs usually pay.
    pub watches: PerPool<PayoutWatch>,
    /// The usual split as it was before.
    pub past_splits: PastSplits,
    /// Temporary changes of what workers are to do.
    pub overrides: Vec<Override>,
    /// What the pools last said of the time.
    pub clock: ClockMark,
    /// What a hash earns at the pools, and what was made of it.
    pub balance: Balancer,
    /// Who is usually here.
    pub roster: Roster,
    /// Which work was handed out. A file of an older version does not say.
    #[serde(default = "KeptWork::unknown")]
    pub handed_out: KeptWork,
}

impl Memory {
    /// With all times as the wall clock counts now, to be written down.
    #[must_use]
    pub fn corrected(mut self, now: Now) -> Self {
        self.totals.correct(now);
        self.balance.correct(now);
        self.roster.correct(now);
        self
    }
}
