//! `records`: the best shares, and the odds of a block.

use serde::Serialize;
use serde_json::json;

use super::Moment;
use crate::core::snapshot::Snapshot;
use crate::core::stats::meter::HASHES_PER_DIFFICULTY;
use crate::core::stats::totals::PoolTotals;
use crate::history::{History, Window};
use crate::odds::{BlockRate, DAY, YEAR, luck, usual_best};
use crate::units::{Now, PerPool, PoolSlot};
use crate::web::error::Answer;
use crate::web::json;

/// The time over which the hashrate is measured, in minutes.
const MINUTES: u64 = 1440;

/// How many seconds of that must be known.
const LEAST_KNOWN: f64 = 60.0;

/// What to expect.
#[derive(Debug, Serialize)]
struct Odds {
    chance_per_day: f64,
    chance_per_year: f64,
    seconds_per_block: Option<f64>,
}

impl From<BlockRate> for Odds {
    fn from(rate: BlockRate) -> Self {
        Self {
            chance_per_day: rate.chance_in(DAY),
            chance_per_year: rate.chance_in(YEAR),
            seconds_per_block: rate.seconds_per_block(),
        }
    }
}

/// `GET /api/v1/records`
pub fn records(moment: &Moment<'_>, history: &History) -> Answer {
    let snapshot = &**moment.snapshot;
    let window = history.window(MINUTES, snapshot, moment.now);
    let hashrates = hashrates(&window);
    let rates = rates(snapshot, hashrates);
    let best: Vec<_> = snapshot
        .best_shares
        .iter()
        .map(|best| {
            json!({
                "difficulty": best.difficulty, "at_ms": best.when.unix_ms(moment.now),
                "pool": best.pool, "worker": best.worker,
            })
        })
        .collect();
    let of_pool = |slot: PoolSlot| {
        let pool = &snapshot.pools[slot];
        let best = pool.totals.shares.best.map(|best| best.difficulty);
        json!({
            "hashrate": hashrates[slot],
            "network_difficulty": pool.network_difficulty,
            "odds": rates[slot].map(Odds::from),
            "effort": effort(&pool.totals, pool.network_difficulty),
            "best_share": best,
            "usual_best_share": usual_best(pool.totals.work),
            "best_share_luck": best.and_then(|best| luck(best, pool.totals.work)),
            "value": snapshot.balance.values[slot],
        })
    };
    Ok(json::respond(&json!({
        "best_shares": best,
        "pools": PerPool::from_fn(of_pool),
        "both": both(rates).map(Odds::from),
    })))
}

/// The chance of a block in a day for each pool, as far as known.
pub fn chances_per_day(snapshot: &Snapshot, history: &History, now: Now) -> PerPool<Option<f64>> {
    let hashrates = hashrates(&history.window(MINUTES, snapshot, now));
    rates(snapshot, hashrates).map(|_, rate| rate.map(|rate| rate.chance_in(DAY)))
}

fn hashrates(window: &Window) -> PerPool<Option<f64>> {
    let known = window.known_seconds;
    window
        .work
        .map(|_, work| (known >= LEAST_KNOWN).then(|| work * HASHES_PER_DIFFICULTY / known))
}

fn rates(snapshot: &Snapshot, hashrates: PerPool<Option<f64>>) -> PerPool<Option<BlockRate>> {
    hashrates.map(|slot, hashrate| {
        let difficulty = snapshot.pools[slot].network_difficulty?;
        BlockRate::of((*hashrate)?, difficulty)
    })
}

/// For the pools with known values.
fn both(rates: PerPool<Option<BlockRate>>) -> Option<BlockRate> {
    match (rates[PoolSlot::A], rates[PoolSlot::B]) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (a, b) => a.or(b),
    }
}

/// The work since the last block as a part of the average work for a block at the current difficulty.
fn effort(totals: &PoolTotals, network_difficulty: Option<f64>) -> Option<f64> {
    let difficulty = network_difficulty.filter(|difficulty| *difficulty > 0.0)?;
    Some(totals.work_since_block()? / difficulty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_not_guessed() {
        let mut window = Window {
            known_seconds: 59.0,
            work: PerPool::new(60.0, 0.0),
            ..Window::default()
        };
        assert_eq!(hashrates(&window), PerPool::new(None, None));
        window.known_seconds = 60.0;
        let found = hashrates(&window);
        assert_eq!(found, PerPool::new(Some(HASHES_PER_DIFFICULTY), Some(0.0)));
        let mut snapshot = Snapshot::default();
        assert_eq!(rates(&snapshot, found), PerPool::new(None, None));
        assert_eq!(both(rates(&snapshot, found)), None);
        snapshot.pools[PoolSlot::A].network_difficulty = Some(DAY);
        let rates = rates(&snapshot, found);
        assert_eq!(rates[PoolSlot::B], None);
        assert_eq!(both(rates), rates[PoolSlot::A]);
        let odds = Odds::from(both(rates).unwrap());
        assert!((odds.chance_per_day - 0.632).abs() < 1e-3);
        assert!((odds.seconds_per_block.unwrap() / DAY - 1.0).abs() < 1e-9);
    }

    #[test]
    fn effort_counts_from_the_last_block() {
        let mut totals = PoolTotals {
            work: 50.0,
            ..PoolTotals::default()
        };
        assert_eq!(effort(&totals, Some(100.0)), Some(0.5));
        assert_eq!(
            (effort(&totals, None), effort(&totals, Some(0.0))),
            (None, None)
        );
        // An older version did not count work since its last block.
        totals.blocks = 1;
        assert_eq!(effort(&totals, Some(100.0)), None);
    }
}
