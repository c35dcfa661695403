//! The totals that outlive a restart: what each pool took, and each worker's best share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::fact::{ShareOutcome, ShareResult};
use crate::stratum::reject::RejectClass;
use crate::units::{Now, PerPool, PoolSlot, When};

/// How many workers are remembered; beyond it the one that was silent longest is forgotten.
const MOST_WORKERS: usize = 4096;

/// All totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// By pool.
    pub pools: PerPool<PoolTotals>,
    /// By worker name.
    pub workers: BTreeMap<String, WorkerTotals>,
    /// Shares that were refused here, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// What became of a pool's shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolTotals {
    /// Shares that it took.
    pub accepted: u64,
    /// Shares that it refused, by [`RejectClass`].
    pub rejected: BTreeMap<String, u64>,
    /// Shares that it never answered.
    pub lost: u64,
    /// The sum of the difficulties that it credited.
    pub difficulty_sum: f64,
    /// The sum of the difficulties that miners were asked for, over the shares that it took and those that were good
    /// enough for the miner only: what was worked for it.
    pub work: f64,
    /// The sum of the squares of the same, for the random error of the work.
    pub work_squares: f64,
    /// Hashes that met the network's target.
    pub blocks: u64,
    /// The last one of them.
    pub last_block: Option<Block>,
    /// Time that miners worked for it, in seconds, all miners together.
    pub seconds: f64,
    /// The best share.
    pub best: Option<BestShare>,
}

/// One worker's totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerTotals {
    /// Shares that pools took.
    pub accepted: u64,
    /// Shares that were refused, by us or a pool.
    pub rejected: u64,
    /// The sum of the difficulties that pools credited.
    pub difficulty_sum: f64,
    /// The sum of the difficulties that it was asked for, by pool.
    pub work: PerPool<f64>,
    /// The best share.
    pub best: Option<BestShare>,
    /// The difficulty of the best share that the Python version had seen of it; when and for which pool is not known.
    pub best_before: Option<f64>,
    /// When it last sent a share.
    pub last_share: When,
}

impl WorkerTotals {
    /// The difficulty of the best share ever.
    pub fn best_ever(&self) -> Option<f64> {
        let best = self.best.map(|best| best.difficulty);
        best.into_iter().chain(self.best_before).reduce(f64::max)
    }
}

/// A share that was better than all before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestShare {
    /// What its hash is worth.
    pub difficulty: f64,
    /// When it came.
    #[serde(rename = "unix_ms")]
    pub when: When,
    /// The pool that it was for.
    pub pool: PoolSlot,
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

impl Ledger {
    /// Takes in the fate of a share. `work` is the difficulty that the miner was asked for.
    pub fn record(&mut self, share: &ShareResult, work: f64, now: Now) {
        let credit = share.credit.map_or(0.0, |credit| credit.get());
        let best = match &share.outcome {
            ShareOutcome::Accepted | ShareOutcome::BelowPool => share.slot.and_then(|pool| {
                let difficulty = share.true_difficulty.filter(|value| value.is_finite())?;
                Some(BestShare {
                    difficulty,
                    when: now.into(),
                    pool,
                })
            }),
            ShareOutcome::RejectedByPool(_)
            | ShareOutcome::RefusedHere(_)
            | ShareOutcome::Lost(_) => None,
        };
        let good = matches!(
            share.outcome,
            ShareOutcome::Accepted | ShareOutcome::BelowPool
        );
        let work = share.slot.filter(|_| good).map(|slot| (slot, work));
        self.record_worker(share, credit, best, work, now);
        if let ShareOutcome::RefusedHere(reason) = share.outcome {
            *self.refused.entry(reason.label().to_owned()).or_default() += 1;
        }
        let Some(slot) = share.slot else { return };
        let pool = &mut self.pools[slot];
        match &share.outcome {
            ShareOutcome::Accepted => {
                pool.accepted += 1;
                pool.difficulty_sum += credit;
            }
            ShareOutcome::RejectedByPool(reject) => {
                let class = RejectClass::of(reject).label().to_owned();
                *pool.rejected.entry(class).or_default() += 1;
            }
            ShareOutcome::Lost(_) => pool.lost += 1,
            ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) => (),
        }
        if let Some((_, work)) = work {
            pool.work += work;
            pool.work_squares += work * work;
        }
        if share.block {
            pool.blocks += 1;
            pool.last_block = Some(Block {
                worker: share.worker.clone(),
                when: now.into(),
                fate: BlockFate::of(&share.outcome),
            });
        }
        pool.best = better(pool.best, best);
    }

    /// A pool answered a block that had waited for it.
    pub fn block_answered(&mut self, slot: PoolSlot, outcome: &ShareOutcome) {
        if let Some(block) = &mut self.pools[slot].last_block {
            block.fate = BlockFate::of(outcome);
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
            correct_best(&mut pool.best);
            if let Some(block) = &mut pool.last_block {
                block.when = block.when.corrected(now);
            }
        }
        for worker in self.workers.values_mut() {
            correct_best(&mut worker.best);
            worker.last_share = worker.last_share.corrected(now);
        }
    }

    fn record_worker(
        &mut self,
        share: &ShareResult,
        credit: f64,
        best: Option<BestShare>,
        work: Option<(PoolSlot, f64)>,
        now: Now,
    ) {
        let known = self.workers.contains_key(&share.worker);
        if !known && best.is_none() {
            // A name is worth remembering once it has shown work.
            return;
        }
        if !known && self.workers.len() >= MOST_WORKERS {
            let silent = self
                .workers
                .iter()
                .min_by_key(|(_, totals)| totals.last_share.unix_ms(now));
            if let Some(name) = silent.map(|(name, _)| name.clone()) {
                self.workers.remove(&name);
            }
        }
        let worker = self.workers.entry(share.worker.clone()).or_default();
        match &share.outcome {
            ShareOutcome::Accepted => {
                worker.accepted += 1;
                worker.difficulty_sum += credit;
            }
            ShareOutcome::RejectedByPool(_) | ShareOutcome::RefusedHere(_) => worker.rejected += 1,
            ShareOutcome::BelowPool | ShareOutcome::Lost(_) => (),
        }
        if let Some((slot, work)) = work {
            worker.work[slot] += work;
        }
        worker.last_share = now.into();
        worker.best = better(worker.best, best);
    }
}

fn better(before: Option<BestShare>, new: Option<BestShare>) -> Option<BestShare> {
    match (before, new) {
        (Some(before), Some(new)) if before.difficulty >= new.difficulty => Some(before),
        (before, None) => before,
        (_, new) => new,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;
    use crate::stratum::reject::RejectReason;
    use crate::units::{Difficulty, MinerId};

    /// A share of difficulty 4 at pool A, for which the miner was asked for `work`.
    fn record(ledger: &mut Ledger, outcome: ShareOutcome, work: f64) {
        let share = ShareResult {
            miner: MinerId(1),
            worker: "rig".into(),
            slot: Some(PoolSlot::A),
            job: None,
            block: matches!(outcome, ShareOutcome::RefusedHere(_)),
            outcome,
            credit: Difficulty::new(4.0),
            true_difficulty: Some(5.0),
            latency: None,
        };
        let now = Now {
            at: std::time::Instant::now(),
            unix_ms: 7,
        };
        ledger.record(&share, work, now);
    }

    #[test]
    fn work_is_what_miners_were_asked_for_where_it_was_good_enough() {
        let mut ledger = Ledger::default();
        record(&mut ledger, ShareOutcome::Accepted, 4.0);
        record(&mut ledger, ShareOutcome::BelowPool, 3.0);
        record(&mut ledger, ShareOutcome::Lost(RejectReason::PoolLost), 4.0);
        let stale = ShareOutcome::RefusedHere(RejectReason::Stale);
        record(&mut ledger, stale, 0.0);
        let pool = &ledger.pools[PoolSlot::A];
        assert_eq!((pool.work, pool.work_squares), (7.0, 25.0));
        assert_eq!(
            pool.difficulty_sum, 4.0,
            "what the pool credits is another thing"
        );
        assert_eq!(ledger.workers["rig"].work[PoolSlot::A], 7.0);
        // A block is one whatever became of the share.
        let block = pool.last_block.as_ref().unwrap();
        assert_eq!(
            (pool.blocks, block.worker.as_str(), u64::from(block.when)),
            (1, "rig", 7)
        );
    }

    #[test]
    fn what_was_seen_before_us_counts_until_it_is_beaten() {
        let mut ledger = Ledger::default();
        ledger.remember_best([("rig".to_owned(), 4.5), ("other".to_owned(), 9.0)]);
        assert_eq!(ledger.workers["rig"].best_ever(), Some(4.5));
        record(&mut ledger, ShareOutcome::Accepted, 4.0);
        assert_eq!(ledger.workers["rig"].best_ever(), Some(5.0));
        assert_eq!(ledger.workers["other"].best_ever(), Some(9.0));
        ledger.remember_best((0..2 * MOST_WORKERS).map(|number| (number.to_string(), 1.0)));
        assert_eq!(ledger.workers.len(), MOST_WORKERS);
    }

    #[test]
    fn a_state_file_of_before_is_read() {
        let text =
            r#"{"pools": {"A": {"accepted": 3}, "B": {}}, "workers": {"rig": {"accepted": 3}}}"#;
        let ledger: Ledger = serde_json::from_str(text).unwrap();
        assert_eq!(ledger.pools[PoolSlot::A].accepted, 3);
        assert_eq!(ledger.pools[PoolSlot::A].work, 0.0);
        assert_eq!(ledger.workers["rig"].work[PoolSlot::B], 0.0);
    }
}
