//! What is recorded for each step: work, shares and time, as sums that can be added, and what a hash earned.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ring::Slot;
use crate::core::outage::Health;
use crate::core::snapshot::Snapshot;
use crate::units::{Now, PerPool, PoolSlot};

/// How many workers' totals are remembered from one look to the next.
const MOST_REMEMBERED: usize = 4096;

/// The largest value, so that no sum over a month becomes infinite, which the file could not hold.
const LARGEST: f64 = 1e30;

/// How many numbers a step has in the file.
const NUMBERS: usize = 16;

/// What happened at both pools in a step, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "[f32; NUMBERS]")]
pub(super) struct Step {
    /// How much of the step is known, in seconds.
    pub(super) span: f32,
    /// Shares that DPMP blocked.
    pub(super) refused: f32,
    pub(super) pools: PerPool<PoolStep>,
}

/// What happened at one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PoolStep {
    /// The sum of the difficulties that miners were given.
    pub(super) work: f32,
    /// The sum of their squares.
    pub(super) work_squares: f32,
    pub(super) accepted: f32,
    /// Shares that the pool rejected.
    pub(super) rejected: f32,
    /// The total time that miners worked for it.
    pub(super) seconds: f32,
    /// The work that was meant for it, in units of 10^12 hashes.
    pub(super) meant: f32,
    /// Time that it was down.
    pub(super) down: f32,
}

impl Slot for Step {
    const UNKNOWN: Self = Self {
        span: 0.0,
        refused: 0.0,
        pools: PerPool::new(PoolStep::NOTHING, PoolStep::NOTHING),
    };

    fn add(&mut self, other: Self) {
        self.span += other.span;
        self.refused += other.refused;
        for (own, (_, other)) in self.pools.values_mut().zip(other.pools.iter()) {
            own.work += other.work;
            own.work_squares += other.work_squares;
            own.accepted += other.accepted;
            own.rejected += other.rejected;
            own.seconds += other.seconds;
            own.meant += other.meant;
            own.down += other.down;
        }
    }
}

impl PoolStep {
    const NOTHING: Self = Self {
        work: 0.0,
        work_squares: 0.0,
        accepted: 0.0,
        rejected: 0.0,
        seconds: 0.0,
        meant: 0.0,
        down: 0.0,
    };
}

/// As in the file: span, blocked, five numbers for each pool, the work that was meant for A and for B, and how long
/// each was down. Older files lack the last two or the last four.
impl TryFrom<Vec<f32>> for Step {
    type Error = &'static str;

    fn try_from(mut numbers: Vec<f32>) -> Result<Self, Self::Error> {
        if let 12 | 14 = numbers.len() {
            numbers.resize(NUMBERS, 0.0);
        }
        let numbers: [f32; NUMBERS] = numbers
            .try_into()
            .map_err(|_| "a step has 12, 14 or 16 numbers")?;
        let [span, refused, a1, a2, a3, a4, a5, numbers @ ..] = numbers;
        let [b1, b2, b3, b4, b5, meant_a, meant_b, down_a, down_b] = numbers;
        let pool =
            |[work, work_squares, accepted, rejected, seconds]: [f32; 5], meant, down| PoolStep {
                work,
                work_squares,
                accepted,
                rejected,
                seconds,
                meant,
                down,
            };
        Ok(Self {
            span,
            refused,
            pools: PerPool::new(
                pool([a1, a2, a3, a4, a5], meant_a, down_a),
                pool([b1, b2, b3, b4, b5], meant_b, down_b),
            ),
        })
    }
}

impl From<Step> for [f32; NUMBERS] {
    fn from(step: Step) -> Self {
        let (a, b) = (step.pools[PoolSlot::A], step.pools[PoolSlot::B]);
        [
            step.span,
            step.refused,
            a.work,
            a.work_squares,
            a.accepted,
            a.rejected,
            a.seconds,
            b.work,
            b.work_squares,
            b.accepted,
            b.rejected,
            b.seconds,
            a.meant,
            b.meant,
            a.down,
            b.down,
        ]
    }
}

/// A worker's work for A and for B in a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WorkerStep(pub(super) [f32; 2]);

impl Slot for WorkerStep {
    /// JSON has no number for "unknown", and work is never negative.
    const UNKNOWN: Self = Self([-1.0, -1.0]);

    fn add(&mut self, other: Self) {
        let Self([a, b]) = self;
        let Self([more_a, more_b]) = other;
        (*a, *b) = (a.max(0.0) + more_a, b.max(0.0) + more_b);
    }
}

impl WorkerStep {
    /// The work for both pools; `None` if the worker was not there.
    pub(super) fn known(self) -> Option<PerPool<f64>> {
        let Self([a, b]) = self;
        (a >= 0.0 && b >= 0.0).then(|| PerPool::new(f64::from(a), f64::from(b)))
    }
}

/// What a hash was worth at A and at B, in the units of the balance's values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ValueStep([f32; 2]);

impl Slot for ValueStep {
    /// JSON has no number for "unknown", and a value is never negative.
    const UNKNOWN: Self = Self([-1.0, -1.0]);

    /// The last known value counts.
    fn add(&mut self, other: Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            if other >= 0.0 {
                *own = other;
            }
        }
    }
}

impl ValueStep {
    pub(super) fn of(values: PerPool<Option<f64>>) -> Self {
        Self([PoolSlot::A, PoolSlot::B].map(|slot| values[slot].map_or(-1.0, single)))
    }

    pub(super) fn of_pool(self, slot: PoolSlot) -> Option<f64> {
        let Self([a, b]) = self;
        let value = match slot {
            PoolSlot::A => a,
            PoolSlot::B => b,
        };
        (value >= 0.0).then(|| f64::from(value))
    }
}

/// The totals of the published state at one moment. The difference of two totals is what happened in between.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) sums: Sums,
    /// Shares that DPMP blocked, by reason.
    refused: BTreeMap<String, u64>,
    /// The total work of each worker.
    pub(super) workers: BTreeMap<String, PerPool<f64>>,
    /// The workers that are connected or have left since the last look.
    present: Vec<String>,
}

/// The totals of the pools.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    at: Now,
    refused: u64,
    pools: PerPool<PoolSums>,
}

#[derive(Clone, Copy, Debug)]
struct PoolSums {
    work: f64,
    work_squares: f64,
    accepted: u64,
    rejected: u64,
    seconds: f64,
    /// Hashes per second that are meant for it now.
    meant: f64,
    /// How long it was down.
    down: f64,
}

impl Totals {
    /// Reads the totals. `before`: those of the last look, whose workers are remembered.
    pub(super) fn of(snapshot: &Snapshot, before: Option<&Self>, at: Now) -> Self {
        let mut workers = BTreeMap::new();
        let since = before.map(|before| at.at.saturating_duration_since(before.sums.at.at));
        let left = snapshot.left.iter();
        let left = left.filter(|left| {
            let age = left.when.age(at.at);
            age.zip(since).is_some_and(|(age, since)| age <= since)
        });
        let miners = snapshot.miners.iter().chain(left.map(|left| &left.miner));
        for miner in miners.filter(|miner| !miner.worker.is_empty()) {
            let work = miner.worker_work.unwrap_or_default();
            let known = workers.entry(miner.worker.clone()).or_insert(work);
            // If a worker has two connections, one may have ended a while ago.
            if work[PoolSlot::A] + work[PoolSlot::B] > known[PoolSlot::A] + known[PoolSlot::B] {
                *known = work;
            }
        }
        let present = workers.keys().cloned().collect();
        // A worker that comes back continues where it was.
        let gone = before.into_iter().flat_map(|before| &before.workers);
        for (worker, work) in gone {
            if workers.len() < MOST_REMEMBERED && !workers.contains_key(worker) {
                workers.insert(worker.clone(), *work);
            }
        }
        Self {
            sums: Sums::of(snapshot, at),
            refused: snapshot.refused.clone(),
            present,
            workers,
        }
    }

    /// Whether they were read at this time or later, in milliseconds since 1970.
    pub(super) fn is_since(&self, unix_ms: u64) -> bool {
        self.sums.at.unix_ms >= unix_ms
    }

    /// Why DPMP has blocked shares since an earlier look.
    pub(super) fn refused_since(&self, before: &Self) -> BTreeMap<String, u64> {
        let since = |(reason, now): (&String, &u64)| {
            let old = before.refused.get(reason).copied().unwrap_or(0);
            now.checked_sub(old)
                .filter(|new| *new > 0)
                .map(|new| (reason.clone(), new))
        };
        self.refused.iter().filter_map(since).collect()
    }

    /// What each worker has done since an earlier look. One that was not there at that time is left out, because it is
    /// not known how much of its total is new.
    pub(super) fn workers_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'a str, WorkerStep)> {
        self.present.iter().filter_map(|worker| {
            let (now, old) = (self.workers.get(worker)?, before.workers.get(worker)?);
            let work = |slot| single(now[slot] - old[slot]);
            let step = WorkerStep([work(PoolSlot::A), work(PoolSlot::B)]);
            Some((worker.as_str(), step))
        })
    }
}

impl Sums {
    /// Reads them.
    pub(super) fn of(snapshot: &Snapshot, at: Now) -> Self {
        let since = Duration::from_millis(at.unix_ms.saturating_sub(snapshot.unix_ms));
        Self {
            at,
            refused: snapshot.refused.values().sum(),
            pools: snapshot.pools.map(|_, pool| PoolSums {
                work: pool.run.work,
                work_squares: pool.run.work_squares,
                accepted: pool.run.shares.accepted,
                rejected: pool.run.shares.rejected.values().sum(),
                seconds: pool.totals.seconds,
                meant: pool.meant,
                down: match pool.health {
                    // Nothing is published while nothing happens.
                    Health::Down => pool.down + since.as_secs_f64(),
                    Health::Up | Health::Unknown => pool.down,
                },
            }),
        }
    }

    /// What has happened at the pools since an earlier look.
    pub(super) fn since(&self, before: &Self) -> Step {
        let span = self.at.at.saturating_duration_since(before.at.at);
        Step {
            span: span.as_secs_f32(),
            refused: count(self.refused, before.refused),
            pools: self.pools.map(|slot, sums| {
                let old = before.pools[slot];
                PoolStep {
                    work: single(sums.work - old.work),
                    work_squares: single(sums.work_squares - old.work_squares),
                    accepted: count(sums.accepted, old.accepted),
                    rejected: count(sums.rejected, old.rejected),
                    seconds: single(sums.seconds - old.seconds),
                    meant: single(sums.meant * span.as_secs_f64() / 1e12),
                    down: single((sums.down - old.down).min(span.as_secs_f64())),
                }
            }),
        }
    }
}

/// A difference as it is kept; seven digits are enough. It is never negative: a total that shrank was forgotten and
/// started again.
#[expect(
    clippy::as_conversions,
    reason = "the standard library has no other way to round to f32"
)]
fn single(difference: f64) -> f32 {
    difference.clamp(0.0, LARGEST) as f32
}

fn count(now: u64, before: u64) -> f32 {
    let difference = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
    single(f64::from(difference))
}
