//! Totals that are kept across restarts: each pool's accepted work, and each worker's best share.
//!
//! What a pool took belongs to the pool, not to its slot. When a slot gets another pool, the totals of the old one are
//! set aside and found again when it is back, also in the other slot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::PoolConfig;
use crate::core::fact::{ShareOutcome, ShareResult};
use crate::core::stats::tally::{BestShare, ByReason, Rejects, Tally};
use crate::units::{Now, PerPool, PoolSlot, When};

/// How many workers are remembered. Beyond that, the one that has been silent the longest is forgotten.
const MOST_WORKERS: usize = 4096;

/// How many of the best shares are remembered.
const MOST_BEST: usize = 10;

/// How many pools are remembered that are no longer in a slot.
const MOST_FORMER: usize = 16;

/// All totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Those of the pools that are in the slots.
    pub pools: PerPool<PoolTotals>,
    /// Which pools these are; `None` in a file of an older version, or if there never was one.
    #[serde(skip_serializing_if = "no_pools")]
    pub present: PerPool<Option<PoolId>>,
    /// Pools that were in a slot before, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<FormerPool>,
    /// By slot since the start, regardless of the pool in it.
    #[serde(skip)]
    pub run: PerPool<PoolTotals>,
    /// By worker name.
    pub workers: BTreeMap<String, WorkerTotals>,
    /// Shares that DPMP blocked, by reason.
    pub refused: ByReason,
    /// The best shares of all, best first.
    pub best: Vec<RankedShare>,
}

/// The identity of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolId {
    /// Its first address and the account there.
    pub account: String,
    /// Its name in the settings.
    pub name: String,
}

impl PoolId {
    /// As it is configured.
    pub fn of(pool: &PoolConfig) -> Self {
        Self {
            account: format!("{} {} {}", pool.address(), pool.wallet, pool.user_name),
            name: pool.name.clone(),
        }
    }
}

/// A pool that was in a slot before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormerPool {
    /// Which pool it was.
    #[serde(flatten)]
    pub id: PoolId,
    /// Where it was.
    pub slot: PoolSlot,
    /// Until when, in milliseconds since 1970.
    pub until_ms: u64,
    /// Its totals, unless it is in a slot again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    totals: Option<PoolTotals>,
}

fn no_pools(present: &PerPool<Option<PoolId>>) -> bool {
    present.iter().all(|(_, id)| id.is_none())
}

/// One of the best shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedShare {
    /// The difficulty that its hash reached.
    pub difficulty: f64,
    /// When it arrived.
    #[serde(rename = "unix_ms")]
    pub when: When,
    /// The pool that it was for.
    pub pool: PoolSlot,
    /// Its worker.
    pub worker: String,
}

/// The results of a pool's shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolTotals {
    /// The shares that were sent to it or only met the miner's difficulty; rejected ones by
    /// [`RejectClass`](crate::stratum::reject::RejectClass).
    #[serde(flatten)]
    pub shares: Tally<ByReason>,
    /// The work for it: the sum of the required difficulties over shares that it accepted and shares that only met the
    /// miner's difficulty.
    pub work: f64,
    /// The sum of the squares of the same, for the random error of the work.
    pub work_squares: f64,
    /// Hashes that met the network's target.
    pub blocks: u64,
    /// The last one of them.
    pub last_block: Option<Block>,
    /// The work for it since then; `None` if the block is from a version that did not count it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_block: Option<f64>,
    /// The worker of the best share, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_worker: Option<String>,
    /// How long miners worked for the slot, in seconds, added up over all miners. It stays when the pool changes.
    pub seconds: f64,
}

impl PoolTotals {
    /// Adds the result of a share that was not blocked.
    fn add(&mut self, share: &ShareResult, now: Now) {
        if !matches!(share.outcome, ShareOutcome::RefusedHere(_)) {
            let before = self.shares.best;
            self.shares.add(share, now);
            if self.shares.best != before {
                self.best_worker = Some(share.worker.clone());
            }
        }
        self.work += share.work();
        if let Some(work) = &mut self.since_block {
            *work += share.work();
        }
        self.work_squares += share.work().powi(2);
        if share.block {
            self.blocks += 1;
            self.since_block = Some(0.0);
            self.last_block = Some(Block {
                worker: share.worker.clone(),
                when: now.into(),
                fate: BlockFate::of(&share.outcome),
                seen: false,
            });
        }
    }

    /// The work for it since its last block, or in total if there was none; `None` if unknown.
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
    /// The sum of the required difficulties, by pool.
    pub work: PerPool<f64>,
    /// The difficulty of its best share in the Python version; time and pool are unknown.
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
    /// Its worker.
    pub worker: String,
    /// When it was found.
    #[serde(rename = "unix_ms")]
    pub when: When,
    /// Its result.
    #[serde(default)]
    pub fate: BlockFate,
    /// Whether the owner has dismissed the notice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen: bool,
}

/// The result of a block candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockFate {
    /// Unknown, from an earlier version.
    #[default]
    Unknown,
    /// It could not be sent to its pool, or got no answer.
    Undelivered,
    /// The pool accepted it.
    Accepted,
    /// The pool rejected it, with this message.
    Rejected(String),
}

impl BlockFate {
    /// Converts the outcome of its share.
    pub fn of(outcome: &ShareOutcome) -> Self {
        match outcome {
            ShareOutcome::Accepted | ShareOutcome::BelowPool => Self::Accepted,
            ShareOutcome::RejectedByPool(reject) => Self::Rejected(reject.message.to_string()),
            ShareOutcome::RefusedHere(_) | ShareOutcome::Lost(_) => Self::Undelivered,
        }
    }
}

impl Totals {
    /// Adds the result of a share.
    pub fn add(&mut self, share: &ShareResult, now: Now) {
        if let Some(worker) = self.worker(share, now) {
            worker.shares.add(share, now);
            worker.last_share = now.into();
            if let Some(slot) = share.slot {
                worker.work[slot] += share.work();
            }
        }
        if matches!(share.outcome, ShareOutcome::RefusedHere(_)) {
            self.refused.add(share.outcome.reason().unwrap_or_default());
        }
        let Some(slot) = share.slot else { return };
        self.rank(share, now);
        self.run[slot].add(share, now);
        let pool = if share.former {
            self.before(slot)
        } else {
            Some(&mut self.pools[slot])
        };
        if let Some(pool) = pool {
            pool.add(share, now);
        }
    }

    /// The totals of the pool that was in a slot before the current one. It may be in the other slot now.
    fn before(&mut self, slot: PoolSlot) -> Option<&mut PoolTotals> {
        let was_here = |former: &&mut FormerPool| former.slot == slot;
        let former = self.former.iter_mut().find(was_here)?;
        if former.totals.is_some() {
            return former.totals.as_mut();
        }
        let present = self.present.iter();
        let account = Some(&former.id.account);
        let mut now_in = present.filter(|(_, id)| id.as_ref().map(|id| &id.account) == account);
        let (slot, _) = now_in.next()?;
        Some(&mut self.pools[slot])
    }

    /// Records which pools are configured. Returns which slots have a different one than before.
    pub fn set_pools(&mut self, pools: PerPool<Option<PoolId>>, unix_ms: u64) -> PerPool<bool> {
        let mut is_new = PerPool::from_fn(|_| false);
        for slot in PoolSlot::ALL {
            // Without a pool nothing changes. The next one may be the old one.
            let (Some(old), Some(new)) = (&self.present[slot], &pools[slot]) else {
                continue;
            };
            if old.account != new.account {
                is_new[slot] = true;
                let seconds = self.pools[slot].seconds;
                let fresh = PoolTotals {
                    seconds,
                    ..PoolTotals::default()
                };
                let totals = std::mem::replace(&mut self.pools[slot], fresh);
                let former = FormerPool {
                    id: old.clone(),
                    slot,
                    until_ms: unix_ms,
                    totals: Some(totals),
                };
                self.former.insert(0, former);
            }
        }
        for (slot, id) in pools.iter() {
            let Some(id) = id else { continue };
            let known = |it: &&mut FormerPool| it.id.account == id.account && it.totals.is_some();
            if is_new[slot] {
                let known = self.former.iter_mut().find(known);
                if let Some(totals) = known.and_then(|it| it.totals.take()) {
                    let seconds = self.pools[slot].seconds;
                    self.pools[slot] = PoolTotals { seconds, ..totals };
                }
            }
            self.present[slot] = Some(id.clone());
        }
        self.former.truncate(MOST_FORMER);
        is_new
    }

    /// Adds a share to the best ones, if it belongs there.
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

    /// The owner dismissed the notice of a pool's block that was found at this time, in milliseconds since 1970.
    pub fn block_seen(&mut self, slot: PoolSlot, found: u64, now: Now) {
        if let Some(block) = &mut self.pools[slot].last_block {
            // The wall clock may have been corrected since.
            block.seen |= block.when.unix_ms(now).abs_diff(found) < 1000;
        }
    }

    /// Imports each worker's best share from another program. Workers beyond `MOST_WORKERS` are left out.
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

    /// Converts all times to the current wall clock, for saving.
    pub fn correct(&mut self, now: Now) {
        let correct_best = |best: &mut Option<BestShare>| {
            if let Some(best) = best {
                best.when = best.when.corrected(now);
            }
        };
        let former = self.former.iter_mut();
        let former = former.filter_map(|it| it.totals.as_mut());
        for pool in self.pools.values_mut().chain(former) {
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

    /// The totals in which the share counts, if its worker is remembered.
    fn worker(&mut self, share: &ShareResult, now: Now) -> Option<&mut WorkerTotals> {
        if !self.workers.contains_key(&share.worker) {
            // A name is remembered once it has shown work.
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

    /// A share of difficulty 4 at pool A, for which `work` was required.
    fn share(outcome: ShareOutcome, work: f64) -> ShareResult {
        ShareResult {
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
            former: false,
            together: false,
        }
    }

    fn now() -> Now {
        Now {
            at: std::time::Instant::now(),
            unix_ms: 7,
        }
    }

    fn add(totals: &mut Totals, outcome: ShareOutcome, work: f64) {
        totals.add(&share(outcome, work), now());
    }

    #[test]
    fn accepted_shares_stay_with_their_pool() {
        let id = |account: &str| {
            Some(PoolId {
                account: account.into(),
                name: account.to_uppercase(),
            })
        };
        let accepted = |totals: &Totals| {
            let of = |slot| totals.pools[slot].shares.accepted;
            (of(PoolSlot::A), of(PoolSlot::B))
        };
        let mut totals = Totals::default();
        // A file from an older version does not say which pools the totals belong to: the configured ones.
        add(&mut totals, ShareOutcome::Accepted, 4.0);
        let set = |totals: &mut Totals, a, b| {
            let is_new = totals.set_pools(PerPool::new(a, b), 5);
            (is_new[PoolSlot::A], is_new[PoolSlot::B])
        };
        assert_eq!(set(&mut totals, id("x"), id("y")), (false, false));
        assert_eq!(accepted(&totals), (1, 0));
        totals.pools[PoolSlot::A].seconds = 3.0;
        assert_eq!(set(&mut totals, id("z"), id("y")), (true, false));
        assert_eq!(accepted(&totals), (0, 0));
        assert_eq!(totals.pools[PoolSlot::A].shares.best, None);
        assert_eq!(totals.pools[PoolSlot::A].seconds, 3.0, "the slot's time");
        let former = &totals.former[0];
        assert_eq!((former.id.name.as_str(), former.until_ms), ("X", 5));
        add(&mut totals, ShareOutcome::Accepted, 4.0);
        add(&mut totals, ShareOutcome::Accepted, 4.0);

        // Swapped pools keep their totals, even across a restart and without a pool for a while.
        assert_eq!(set(&mut totals, id("y"), id("z")), (true, true));
        assert_eq!(accepted(&totals), (0, 2));
        assert_eq!(set(&mut totals, None, id("z")), (false, false));
        let text = serde_json::to_string(&totals).unwrap();
        let mut totals: Totals = serde_json::from_str(&text).unwrap();
        assert_eq!(set(&mut totals, id("x"), id("z")), (true, false));
        assert_eq!(accepted(&totals), (1, 2));
    }

    #[test]
    fn a_late_answer_counts_for_the_pool_that_gave_it() {
        let id = |account: &str| {
            Some(PoolId {
                account: account.into(),
                name: String::new(),
            })
        };
        let late = |totals: &mut Totals| {
            let share = ShareResult {
                former: true,
                ..share(ShareOutcome::Accepted, 4.0)
            };
            totals.add(&share, now());
        };
        let mut totals = Totals::default();
        totals.set_pools(PerPool::new(id("x"), id("y")), 0);
        totals.set_pools(PerPool::new(id("z"), id("y")), 1);
        late(&mut totals);
        assert_eq!(totals.pools[PoolSlot::A].shares.accepted, 0);
        totals.set_pools(PerPool::new(id("y"), id("x")), 2);
        assert_eq!(totals.pools[PoolSlot::B].shares.accepted, 1);
        totals.set_pools(PerPool::new(id("x"), id("y")), 3);
        late(&mut totals);
        assert_eq!(
            totals.pools[PoolSlot::B].shares.accepted,
            1,
            "of y, which was in A"
        );
        assert_eq!(totals.run[PoolSlot::A].shares.accepted, 2);
    }

    #[test]
    fn work_counts_the_assigned_difficulty_of_good_shares() {
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
        // A block counts regardless of the share's result.
        let block = pool.last_block.as_ref().unwrap();
        assert_eq!(
            (pool.blocks, block.worker.as_str(), u64::from(block.when)),
            (1, "rig", 7)
        );
    }

    #[test]
    fn the_ten_best_shares_are_kept_with_their_workers() {
        let mut totals = Totals::default();
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
                former: false,
                together: false,
            };
            totals.add(&share, now());
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
    fn an_earlier_best_share_counts_until_it_is_beaten() {
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
    fn an_older_state_file_is_read_and_keeps_its_form() {
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
