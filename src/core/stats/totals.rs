//! Totals that are kept across restarts: each pool's accepted work, and each worker's best share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::fact::{ShareOutcome, ShareResult};
use crate::core::stats::tally::{BestShare, ByReason, Rejects, Tally};
use crate::units::{Now, PerPool, PoolSlot, When};

/// How many workers are remembered; beyond it the one that was silent longest is forgotten.
const MOST_WORKERS: usize = 4096;

/// How many of the best shares are remembered.
const MOST_BEST: usize = 10;

/// All totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// By pool.
    pub pools: PerPool<PoolTotals>,
    /// By worker name.
    pub workers: BTreeMap<String, WorkerTotals>,
    /// Shares that were refused here, by reason.
    pub refused: ByReason,
    /// The best shares of all, the best first.
    pub best: Vec<RankedShare>,
}

/// One of the best shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedShare {
    /// What its hash is worth.
    pub difficulty: f64,
    /// When it came.
    #[serde(rename = "unix_ms")]
    pub when: When,
    /// The pool that it was for.
    pub pool: PoolSlot,
    /// Whose it was.
    pub worker: String,
}

/// What became of a pool's shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolTotals {
    /// The shares that it was sent or that were good enough for the miner only; those that it rejected by
    /// [`RejectClass`](crate::stratum::reject::RejectClass).
    #[serde(flatten)]
    pub shares: Tally<ByReason>,
    /// The sum of the difficulties that miners were asked for, over the shares that it took and those that were good
    /// enough for the miner only: what was worked for it.
    pub work: f64,
    /// The sum of the squares of the same, for the random error of the work.
    pub work_squares: f64,
    /// Hashes that met the network's target.
    pub blocks: u64,
    /// The last one of them.
    pub last_block: Option<Block>,
    /// What was worked for it since then; `None` if the block was found by a version that did not count it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_block: Option<f64>,
    /// Whose the best share was, if that was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_worker: Option<String>,
    /// Time that miners worked for it, in seconds, all miners together.
    pub seconds: f64,
}

impl PoolTotals {
    /// What was worked for it since its last block, or at all if there was none; `None` if that is not known.
    pub fn work_since_block(&self) -> Option<f64> {
        if self.blocks == 0 {
            Some(self.work)
        } else {
            self.since_block
        }
    }
}

/// One worker's totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerTotals {
    /// All its shares.
    #[serde(flatten)]
    pub shares: Tally<u64>,
    /// The sum of the difficulties that it was asked for, by pool.
    pub work: PerPool<f64>,
    /// The difficulty of the best share that the Python version had seen of it; when and for which pool is not known.
    pub best_before: Option<f64>,
    /// When it last sent a share.
    pub last_share: When,
}

impl WorkerTotals {
    /// The difficulty of the best share ever.
    pub fn best_ever(&self) -> Option<f64> {
        let best = self.shares.best.map(|best| best.difficulty);
        best.into_iter().chain(self.best_before).reduce(f64::max)
    }
}

/// A hash that met the network's target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Whose it was.
    pub worker: String,
    /// When.
    #[serde(rename = "unix_ms")]
    pub when: When,
    /// What became of it.
    #[serde(default)]
    pub fate: BlockFate,
    /// Whether the owner has seen what became of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen: bool,
}

/// What became of a block candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockFate {
    /// Found by a version that did not note it.
    #[default]
    Unknown,
    /// It could not be sent to its pool, or got no answer.
    Undelivered,
    /// The pool accepted it.
    Accepted,
    /// The pool rejected it; its words.
    Rejected(String),
}

impl BlockFate {
    /// As the outcome of its share says.
    pub fn of(outcome: &ShareOutcome) -> Self {
        match outcome {
            ShareOutcome::Accepted | ShareOutcome::BelowPool => Self::Accepted,
            ShareOutcome::RejectedByPool(reject) => Self::Rejected(reject.message.to_string()),
            ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => Self::Undelivered,
        }
    }
}

impl Totals {
    /// Takes in the fate of a share.
    pub fn add(&mut self, share: &ShareResult, now: Now) {
        if let Some(worker) = self.worker(share, now) {
            worker.shares.add(share, now);
            worker.last_share = now.into();
            if let Some(slot) = share.slot {
                worker.work[slot] += share.work();
            }
        }
        // The pool never saw a share that was refused here.
        let refused = matches!(share.outcome, ShareOutcome::RefusedHere(_));
        if refused {
            self.refused.add(share.outcome.reason().unwrap_or_default());
        }
        let Some(slot) = share.slot else { return };
        self.rank(share, now);
        let pool = &mut self.pools[slot];
        if !refused {
            let before = pool.shares.best;
            pool.shares.add(share, now);
            if pool.shares.best != before {
                pool.best_worker = Some(share.worker.clone());
            }
        }
        pool.work += share.work();
        if let Some(work) = &mut pool.since_block {
            *work += share.work();
        }
        pool.work_squares += share.work().powi(2);
        if share.block {
            pool.blocks += 1;
            pool.since_block = Some(0.0);
            pool.last_block = Some(Block {
                worker: share.worker.clone(),
                when: now.into(),
                fate: BlockFate::of(&share.outcome),
                seen: false,
            });
        }
    }

    /// Puts a share among the best, if it is one of them.
    fn rank(&mut self, share: &ShareResult, now: Now) {
        let Some(best) = BestShare::of(share, now) else {
            return;
        };
        let better = |known: &RankedShare| known.difficulty >= best.difficulty;
        let place = self.best.partition_point(better);
        if place >= MOST_BEST {
            return;
        }
        let ranked = RankedShare {
            difficulty: best.difficulty,
            when: best.when,
            pool: best.pool,
            worker: share.worker.clone(),
        };
        self.best.insert(place, ranked);
        self.best.truncate(MOST_BEST);
    }

    /// A pool answered a block that had waited for it.
    pub fn block_answered(&mut self, slot: PoolSlot, outcome: &ShareOutcome) {
        if let Some(block) = &mut self.pools[slot].last_block {
            block.fate = BlockFate::of(outcome);
            block.seen = false;
        }
    }

    /// The owner has seen the block of a pool that was found at this time, in milliseconds since 1970.
    pub fn block_seen(&mut self, slot: PoolSlot, found: u64, now: Now) {
        if let Some(block) = &mut self.pools[slot].last_block {
            // The wall clock may have been corrected since.
            block.seen |= block.when.unix_ms(now).abs_diff(found) < 1000;
        }
    }

    /// Takes over what another program has seen: the difficulty of each worker's best share. Workers beyond
    /// `MOST_WORKERS` are left out.
    pub fn remember_best(&mut self, shares: impl IntoIterator<Item = (String, f64)>) {
        for (worker, difficulty) in shares {
            if self.workers.len() >= MOST_WORKERS && !self.workers.contains_key(&worker) {
                continue;
            }
            let worker = self.workers.entry(worker).or_default();
            let best = worker.best_before.unwrap_or(0.0).max(difficulty);
            worker.best_before = Some(best);
        }
    }

    /// Has all times as the wall clock counts now, to be written down.
    pub fn correct(&mut self, now: Now) {
        let correct_best = |best: &mut Option<BestShare>| {
            if let Some(best) = best {
                best.when = best.when.corrected(now);
            }
        };
        for pool in self.pools.values_mut() {
            correct_best(&mut pool.shares.best);
            if let Some(block) = &mut pool.last_block {
                block.when = block.when.corrected(now);
            }
        }
        for best in &mut self.best {
            best.when = best.when.corrected(now);
        }
        for worker in self.workers.values_mut() {
            correct_best(&mut worker.shares.best);
            worker.last_share = worker.last_share.corrected(now);
        }
    }

    /// Whose totals the share counts in, if its worker is remembered.
    fn worker(&mut self, share: &ShareResult, now: Now) -> Option<&mut WorkerTotals> {
        if !self.workers.contains_key(&share.worker) {
            // A name is worth remembering once it has shown work.
            BestShare::of(share, now)?;
            if self.workers.len() >= MOST_WORKERS {
                let silent = self
                    .workers
                    .iter()
                    .min_by_key(|(_, totals)| totals.last_share.unix_ms(now));
                if let Some(name) = silent.map(|(name, _)| name.clone()) {
                    self.workers.remove(&name);
                }
            }
        }
        Some(self.workers.entry(share.worker.clone()).or_default())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;
    use crate::stratum::reject::RejectReason;
    use crate::units::{Difficulty, MinerId};

    /// A share of difficulty 4 at pool A, for which the miner was asked for `work`.
    fn add(totals: &mut Totals, outcome: ShareOutcome, work: f64) {
        let share = ShareResult {
            miner: MinerId(1),
            worker: "rig".into(),
            slot: Some(PoolSlot::A),
            job: None,
            block: matches!(outcome, ShareOutcome::RefusedHere(_)),
            outcome,
            asked: work,
            credit: Difficulty::new(4.0),
            true_difficulty: Some(5.0),
            latency: None,
        };
        let now = Now {
            at: std::time::Instant::now(),
            unix_ms: 7,
        };
        totals.add(&share, now);
    }

    #[test]
    fn work_is_what_miners_were_asked_for_where_it_was_good_enough() {
        let mut totals = Totals::default();
        add(&mut totals, ShareOutcome::Accepted, 4.0);
        add(&mut totals, ShareOutcome::BelowPool, 3.0);
        add(&mut totals, ShareOutcome::Lost(RejectReason::PoolLost), 4.0);
        let stale = ShareOutcome::RefusedHere(RejectReason::Stale);
        add(&mut totals, stale, 0.0);
        let pool = &totals.pools[PoolSlot::A];
        assert_eq!((pool.work, pool.work_squares), (7.0, 25.0));
        assert_eq!(
            pool.shares.difficulty_sum, 4.0,
            "what the pool credits is another thing"
        );
        assert_eq!(totals.workers["rig"].work[PoolSlot::A], 7.0);
        // A block is one whatever became of the share.
        let block = pool.last_block.as_ref().unwrap();
        assert_eq!(
            (pool.blocks, block.worker.as_str(), u64::from(block.when)),
            (1, "rig", 7)
        );
    }

    #[test]
    fn the_ten_best_are_kept_with_their_workers() {
        let mut totals = Totals::default();
        let now = Now {
            at: std::time::Instant::now(),
            unix_ms: 7,
        };
        for number in (0..30_u32).map(|number| (number * 7) % 30) {
            let slot = PoolSlot::ALL[usize::from(number % 2 == 0)];
            let share = ShareResult {
                miner: MinerId(1),
                worker: format!("rig{number}"),
                slot: Some(slot),
                job: None,
                block: number == 28,
                outcome: ShareOutcome::Accepted,
                asked: 1.0,
                credit: None,
                true_difficulty: Some(f64::from(number)),
                latency: None,
            };
            totals.add(&share, now);
        }
        let text = serde_json::to_string(&totals).unwrap();
        let totals: Totals = serde_json::from_str(&text).unwrap();
        let best: Vec<_> = totals
            .best
            .iter()
            .map(|best| best.worker.as_str())
            .collect();
        let expected: Vec<_> = (20..30)
            .rev()
            .map(|number| format!("rig{number}"))
            .collect();
        assert_eq!(best, expected);
        let pools = &totals.pools;
        assert_eq!(pools[PoolSlot::A].best_worker.as_deref(), Some("rig29"));
        assert_eq!(pools[PoolSlot::B].best_worker.as_deref(), Some("rig28"));
        assert_eq!(
            pools[PoolSlot::A].work_since_block(),
            Some(15.0),
            "no block yet"
        );
        let since = pools[PoolSlot::B].work_since_block().unwrap();
        assert!(since < 15.0, "{since}");
    }

    #[test]
    fn what_was_seen_before_us_counts_until_it_is_beaten() {
        let mut totals = Totals::default();
        totals.remember_best([("rig".to_owned(), 4.5), ("other".to_owned(), 9.0)]);
        assert_eq!(totals.workers["rig"].best_ever(), Some(4.5));
        add(&mut totals, ShareOutcome::Accepted, 4.0);
        assert_eq!(totals.workers["rig"].best_ever(), Some(5.0));
        assert_eq!(totals.workers["other"].best_ever(), Some(9.0));
        totals.remember_best((0..2 * MOST_WORKERS).map(|number| (number.to_string(), 1.0)));
        assert_eq!(totals.workers.len(), MOST_WORKERS);
    }

    #[test]
    fn a_state_file_of_before_is_read_and_keeps_its_form() {
        let text = r#"{
            "pools": {
                "A": {
                    "accepted": 3, "rejected": {"stale": 2, "other": 1}, "lost": 4, "difficulty_sum": 12.5, "work": 14.0,
                    "work_squares": 70.0, "blocks": 1,
                    "last_block": {"worker": "rig", "unix_ms": 5, "fate": {"rejected": "high-hash"}}, "seconds": 6.5,
                    "best": {"difficulty": 9.5, "unix_ms": 8, "pool": "A"}
                },
                "B": {}
            },
            "workers": {
                "rig": {
                    "accepted": 3, "rejected": 5, "difficulty_sum": 12.0, "work": {"A": 14.0, "B": 2.0},
                    "best": {"difficulty": 9.5, "unix_ms": 8, "pool": "A"}, "best_before": 10.5, "last_share": 9
                },
                "older": {"accepted": 1}
            },
            "refused": {"duplicate": 2}
        }"#;
        let totals: Totals = serde_json::from_str(text).unwrap();
        assert_eq!(totals.pools[PoolSlot::A].shares.rejected["stale"], 2);
        assert_eq!(totals.pools[PoolSlot::B], PoolTotals::default());
        assert_eq!(totals.workers["rig"].shares.rejected, 5);
        assert_eq!(totals.workers["older"].work[PoolSlot::B], 0.0);
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut written = serde_json::to_value(&totals).unwrap();
        assert_eq!(written["pools"]["A"], read["pools"]["A"]);
        let rig = written["workers"]["rig"].as_object_mut().unwrap();
        assert_eq!(rig.remove("lost"), Some(0.into()), "older files lack it");
        assert_eq!(written["workers"]["rig"], read["workers"]["rig"]);
        assert_eq!(written["refused"], read["refused"]);
    }
}
