//! A miner's last shares, for the pages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::core::fact::ShareResult;
use crate::units::{Now, PoolSlot, When};

/// How many shares are kept.
const MOST: usize = 20;

/// The last shares of a miner, oldest first. A clone shares the list until the next share, so a snapshot of an idle
/// miner costs nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecentShares(Arc<VecDeque<RecentShare>>);

/// A share and its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecentShare {
    /// When it got its answer.
    pub when: When,
    /// The pool whose job it was, if the job was known.
    pub pool: Option<PoolSlot>,
    /// [`ShareOutcome::name`](crate::core::fact::ShareOutcome::name).
    pub outcome: &'static str,
    /// [`ShareOutcome::reason`](crate::core::fact::ShareOutcome::reason).
    pub reason: Option<&'static str>,
    /// The difficulty that the pool credits, if the share was forwarded.
    pub difficulty: Option<f64>,
    /// The difficulty that its hash reached, if it could be computed.
    pub true_difficulty: Option<f64>,
    /// How long the pool took to answer, if it did.
    pub latency: Option<Duration>,
    /// Whether its hash meets the network's target.
    pub block: bool,
}

impl RecentShares {
    /// Adds a share. If there are more than twenty, the oldest is removed.
    pub fn push(&mut self, share: &ShareResult, now: Now) {
        let shares = Arc::make_mut(&mut self.0);
        if shares.len() >= MOST {
            shares.pop_front();
        }
        shares.push_back(RecentShare {
            when: now.into(),
            pool: share.slot,
            outcome: share.outcome.name(),
            reason: share.outcome.reason(),
            difficulty: share.credit.map(|credit| credit.get()),
            true_difficulty: share.true_difficulty,
            latency: share.latency,
            block: share.block,
        });
    }

    /// The shares, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &RecentShare> {
        self.0.iter().rev()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;
    use crate::core::fact::ShareOutcome;
    use crate::stratum::reject::RejectReason;
    use crate::units::MinerId;

    #[test]
    fn the_last_twenty_are_kept_and_a_clone_does_not_change() {
        let mut shares = RecentShares::default();
        let mut clone = shares.clone();
        for unix_ms in 0..30 {
            let at = std::time::Instant::now();
            let share = ShareResult {
                miner: MinerId(1),
                worker: "w".into(),
                slot: Some(PoolSlot::A),
                job: None,
                outcome: ShareOutcome::RefusedHere(RejectReason::Stale),
                asked: 0.0,
                credit: None,
                true_difficulty: None,
                latency: None,
                block: false,
                former: false,
                together: false,
            };
            if unix_ms == 25 {
                clone = shares.clone();
            }
            shares.push(&share, Now { at, unix_ms });
        }
        let times = |shares: &RecentShares| {
            let newest = shares.newest_first().map(|share| u64::from(share.when));
            newest.collect::<Vec<_>>()
        };
        assert_eq!(times(&shares), (10..30).rev().collect::<Vec<_>>());
        assert_eq!(times(&clone), (5..25).rev().collect::<Vec<_>>());
        let last = *shares.newest_first().next().unwrap();
        assert_eq!((last.outcome, last.reason), ("refused", Some("stale")));
    }
}
