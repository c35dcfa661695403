//! What follows from the state of both pools together.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::core::pool::Pool;
use crate::core::pool::facts::{E1s, PoolFacts};
use crate::core::steering::Aim;
use crate::core::work::extranonce::{ASSUMED_E2, Room, SMALLEST_E2};
use crate::units::{MinerId, Now, PerPool, PoolSlot};

/// Whether every pool in use was looked at, and one at least can be used.
pub(in crate::core) fn are_known(pools: &PerPool<Pool>, config: &Config, now: Now) -> bool {
    let in_use = || pools.iter().filter(|(_, pool)| pool.in_use);
    in_use().all(|(_, pool)| pool.is_known(now.at))
        && in_use().any(|(_, pool)| pool.facts.e2_size.is_some())
        && !in_use().any(|(_, pool)| pool.survey.holds_up(now.at))
        && !are_gone(pools, config, now)
}

/// Whether no pool has been there for so long that miners are let go for it. An answer to their subscribe would lure
/// them away from their fallback, where they have work (compat Q17).
pub(in crate::core) fn are_gone(pools: &PerPool<Pool>, config: &Config, now: Now) -> bool {
    let Some(patience) = config.scheduler.no_work else {
        return false;
    };
    let mut in_use = pools.iter().filter(|(_, pool)| pool.in_use);
    in_use.all(|(_, pool)| pool.is_down_for(patience, now.at))
}

/// Whether there is nothing for a worker that is to do this: it pauses, or the one pool that it may work for is gone.
pub(in crate::core) fn is_silent(
    aim: Aim,
    may_stand_in: bool,
    pools: &PerPool<Pool>,
    config: &Config,
    now: Now,
) -> bool {
    let gone = |slot: PoolSlot| {
        let alone = !may_stand_in || config.pools[slot.other()].is_none();
        let patience = config.scheduler.no_work;
        alone && patience.is_some_and(|it| pools[slot].is_down_for(it, now.at))
    };
    aim.pauses() || aim.only().is_some_and(gone)
}

/// What the pools in `wanted` leave, as far as it is known: of the addresses in use from `pools`, of the others
/// from `known`.
pub(in crate::core) fn room(
    wanted: &Config,
    pools: &PerPool<Pool>,
    known: &BTreeMap<String, PoolFacts>,
) -> Room {
    let mut room = Room {
        smallest: u8::MAX,
        e1_differs: true,
    };
    for (slot, pool) in pools.iter() {
        let Some(config) = wanted.pools[slot].as_ref() else {
            continue;
        };
        for at in 0..config.addresses() {
            let in_use = at == pool.addresses.at();
            let facts = if in_use {
                Some(pool.facts)
            } else {
                known.get(&config.at(at).address()).copied()
            };
            let size = facts.and_then(|facts| facts.e2_size);
            let assumed = (in_use && pool.in_use).then_some(ASSUMED_E2);
            // A pool with less than that cannot be used at all and says so in log and state.
            if let Some(size) = size.or(assumed).filter(|size| *size >= SMALLEST_E2) {
                room.smallest = room.smallest.min(size);
            }
            // One that was never reached gives nobody any work yet.
            if size.is_some() {
                room.e1_differs &= facts.is_some_and(|facts| facts.e1s == E1s::Differ);
            }
        }
    }
    if room.smallest == u8::MAX {
        room.smallest = ASSUMED_E2;
    }
    room
}

/// For which of the pools that have work a miner may work: not for one that was set aside, unless no other one has
/// work. One that tries a pool works for that.
pub(in crate::core) fn choice(
    pools: &PerPool<Pool>,
    miner: MinerId,
    has_work: PerPool<bool>,
) -> PerPool<bool> {
    let tried = pools
        .iter()
        .find(|(slot, pool)| has_work[*slot] && pool.answers.tries(miner));
    if let Some((tried, _)) = tried {
        return PerPool::from_fn(|slot| slot == tried);
    }
    let good = PerPool::from_fn(|slot| has_work[slot] && !pools[slot].is_set_aside());
    // Work on an old block may still be paid.
    let paid = PerPool::from_fn(|slot| has_work[slot] && !pools[slot].earns_nothing());
    let best = [good, paid]
        .into_iter()
        .find(|best| best.iter().any(|(_, yes)| *yes));
    best.unwrap_or(has_work)
}
