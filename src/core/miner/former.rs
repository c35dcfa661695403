//! Miners that left. They are shown for a while, so that the owner sees which ones are missing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::miner::view::MinerView;
use crate::units::When;

/// How many miners are remembered.
const MOST: usize = 200;

/// How long they are remembered.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The miners that left, in order. A clone shares the list until it changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FormerMiners(Arc<VecDeque<Arc<FormerMiner>>>);

/// A miner that left.
#[derive(Clone, Debug, PartialEq)]
pub struct FormerMiner {
    /// Its last state.
    pub miner: MinerView,
    /// When it left.
    pub when: When,
}

impl FormerMiners {
    /// Adds a miner. It replaces an earlier connection of the same worker from the same host, so that one that comes
    /// and goes does not push out all others.
    pub fn push(&mut self, miner: MinerView, when: When) {
        let miners = Arc::make_mut(&mut self.0);
        miners.retain(|left| !left.miner.is_same_rig(&miner));
        if miners.len() >= MOST {
            miners.pop_front();
        }
        miners.push_back(Arc::new(FormerMiner { miner, when }));
    }

    /// Forgets those that left long ago.
    pub fn forget_old(&mut self, now: Instant) {
        let is_old = |left: &Arc<FormerMiner>| left.when.age(now).is_none_or(|age| age > LONGEST);
        while self.0.front().is_some_and(is_old) {
            Arc::make_mut(&mut self.0).pop_front();
        }
    }

    /// The miners that left, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &FormerMiner> {
        self.0.iter().map(|left| &**left)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;
    use crate::core::miner::view::sample_miner;
    use crate::units::Now;

    #[test]
    fn former_miners_are_bounded_and_a_returning_rig_is_listed_once() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let when = |seconds| {
            When::from(Now {
                at: after(seconds),
                unix_ms: 0,
            })
        };
        let mut departed = FormerMiners::default();
        for id in 0..300 {
            departed.push(sample_miner(id, "flapping"), when(id));
        }
        assert_eq!(departed.iter().count(), 1);
        for id in 0..300 {
            departed.push(sample_miner(id, &format!("rig{id}")), when(1000 + id));
        }
        assert_eq!(departed.iter().count(), MOST);
        assert_eq!(departed.iter().next().unwrap().miner.worker, "rig100");
        departed.forget_old(after(1200) + LONGEST + Duration::from_millis(1));
        // Those up to 1200 are gone.
        assert_eq!(departed.iter().next().unwrap().miner.worker, "rig201");
    }
}
