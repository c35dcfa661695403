//! What follows from the state of both pools together.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::core::pool::Pool;
use crate::core::pool::facts::{E1s, PoolFacts};
use crate::core::steering::Aim;
use crate::core::work::extranonce::{ASSUMED_E2, Room, SMALLEST_E2};
use crate::units::{MinerId, Now, PerPool, PoolSlot};

/// Whether every pool in use was tested, and at least one can be used.
pub(in crate::core) fn are_known(pools: &PerPool<Pool>, config: &Config, now: Now) -> bool {
    let in_use = || pools.iter().filter(|(_, pool)| pool.in_use);
    in_use().all(|(_, pool)| pool.is_known(now.at))
        && in_use().any(|(_, pool)| pool.facts.e2_size.is_some())
        && !in_use().any(|(_, pool)| pool.survey.holds_up(now.at))
        && !are_gone(pools, config, now)
}

/// Whether all pools have been down long enough to disconnect the miners. An answer to their subscribe would lure
/// them away from their fallback pool, where they have work (compat Q17).
pub(in crate::core) fn are_gone(pools: &PerPool<Pool>, config: &Config, now: Now) -> bool {
    let Some(patience) = config.scheduler.no_work else {
        return false;
    };
    let mut in_use = pools.iter().filter(|(_, pool)| pool.in_use);
    in_use.all(|(_, pool)| pool.is_down_for(patience, now.at))
}

/// Whether there is no work for a worker with this aim: it is paused, or the only pool that it may work for is down.
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

/// The extranonce bytes that the pools in `wanted` leave, as far as known: for addresses in use from `pools`, for
/// others from `known`.
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
            // A pool with less cannot be used at all, which log and state show.
            if let Some(size) = size.or(assumed).filter(|size| *size >= SMALLEST_E2) {
                room.smallest = room.smallest.min(size);
            }
            // A pool that was never reached has no work yet.
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

/// Which pools with work a miner may work for: not one that was set aside, unless no other one has work. A miner that
/// tests a pool works for it.
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
