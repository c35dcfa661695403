//! A block candidate found while its pool is away is kept.

use std::collections::BTreeSet;
use std::time::Duration;

use dpmp::core::fact::Fact;
use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::{ExtranonceReuse, PoolOptions};
use dpmp::units::PoolSlot;

use crate::world::{World, only_a};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A pool that comes back with the same extranonce1 and job gets the blocks found while it was away. A pool with
/// another extranonce1 could not rebuild them, so it gets none.
#[test]
fn a_returning_pool_gets_the_blocks_found_in_the_meantime() {
    for (reuse, comes) in [
        (ExtranonceReuse::Slots, true),
        (ExtranonceReuse::Never, false),
    ] {
        let pool = |seed| PoolOptions {
            seed,
            e1_reuse: reuse,
            job_interval: None,
            difficulty: 1e-8,
            // One share in 15 is a block.
            nbits: 0x2000_6fff,
            ..PoolOptions::default()
        };
        let mut world = World::new(only_a(), [pool(1), pool(2)], 1);
        world.keep_facts = true;
        let miner = MinerOptions {
            pace: Pace::Hashes(1000.0),
            ..MinerOptions::default()
        };
        world.add_miner(miner, Duration::from_millis(500));
        world.run(seconds(20), |_| ());
        let before = world.sites[PoolSlot::A].model.ledger().shares().len();
        world.sites[PoolSlot::A].up = false;
        world.kill_connections(PoolSlot::A);
        world.facts.clear();
        // Long enough to find some blocks, and short enough for a miner to stay.
        world.run(seconds(30), |_| ());
        let found: BTreeSet<[u8; 32]> = world
            .facts
            .iter()
            .filter_map(|fact| match fact {
                // Some were in flight when the pool went away.
                Fact::BlockFound { hash, .. } => Some(hash.0),
                _ => None,
            })
            .collect();
        assert!(
            !found.is_empty(),
            "no block was found while the pool was away"
        );
        world.rigs[0].model.pause(true);
        world.sites[PoolSlot::A].up = true;
        world.run(seconds(60), |_| ());
        let shares = world.sites[PoolSlot::A].model.ledger().shares();
        let taken: BTreeSet<[u8; 32]> = shares[before..]
            .iter()
            .filter(|share| share.judgement.verdict == Verdict::Accepted)
            .filter_map(|share| {
                let mut hash = share.judgement.hash?;
                hash.reverse();
                Some(hash)
            })
            .collect();
        let told = world
            .facts
            .iter()
            .filter(|fact| matches!(fact, Fact::KeptBlock { outcome, .. } if outcome.is_good()));
        if comes {
            // Only the latest 16 are kept.
            assert_eq!(taken.intersection(&found).count(), found.len().min(16));
            assert_eq!(told.count(), found.len().min(16));
        } else {
            assert_eq!(shares.len(), before);
            assert_eq!(told.count(), 0);
        }
    }
}
