//! The jobs that a pool connection holds, and the jobs that a miner was sent.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stratum::job::{BlockHash, PoolJob};
use crate::units::{Difficulty, JobId, MinerExtranonce, PoolConn, VersionMask};

/// How many jobs of a pool connection are valid at a time; older ones count as stale. As many as a miner's shares are
/// matched against: only the pool knows whether it still accepts them.
const MOST_HELD: usize = MOST_SENT;

/// How many sent jobs a miner's shares are matched against.
const MOST_SENT: usize = 64;

/// How many shares of a miner are certainly remembered, to find duplicates.
const SURELY_SEEN: usize = 4096;

/// How far a share's time may be after the time of the pool's job, in seconds (ckpool's limit; no known pool is
/// stricter).
pub const NTIME_ROOM: u32 = 7000;

/// How long a pool has to name a difficulty before its first job is sent with difficulty 1.
const DIFFICULTY_GRACE: Duration = Duration::from_secs(1);

/// The number of a job on its pool connection, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial(u64);

/// A job that is still valid at its pool.
#[derive(Clone, Debug)]
struct ValidJob {
    serial: Serial,
    job: Arc<PoolJob>,
    received: Instant,
    /// Whether a clean job on the same block followed.
    superseded: bool,
}

/// A job that can be sent to a miner as fresh work.
#[derive(Clone, Debug)]
pub struct FreshWork {
    /// The job's number on the connection.
    pub serial: Serial,
    /// The job.
    pub job: Arc<PoolJob>,
    /// The header time.
    pub ntime: u32,
    /// How long ago the pool sent it.
    pub age: Duration,
}

/// The valid jobs of one pool connection, oldest first.
#[derive(Clone, Debug, Default)]
pub struct HeldJobs {
    jobs: VecDeque<ValidJob>,
    next: u64,
    /// When the connection's first job arrived.
    first: Option<Instant>,
}

impl HeldJobs {
    /// Adds a job. A clean one makes all earlier ones on other blocks stale. Miners drop those on the same block as
    /// well, but some pools send a clean job with each new difficulty and still accept shares of the earlier ones
    /// (compat Q85), so only the pool can say whether a share is too late.
    pub fn push(&mut self, job: PoolJob, now: Instant) {
        let same_work = |held: &ValidJob| held.job.work == job.work;
        let name = &job.notify.job_id;
        self.jobs.retain(|held| {
            if held.job.notify.job_id == *name {
                // Either it is still valid, or the pool reuses its name.
                same_work(held)
            } else {
                !job.notify.clean || held.job.notify.prevhash == job.notify.prevhash
            }
        });
        if job.notify.clean {
            for held in &mut self.jobs {
                held.superseded |= held.job.notify.job_id != *name;
            }
        }
        if self.jobs.len() == MOST_HELD {
            self.jobs.pop_front();
        }
        self.first.get_or_insert(now);
        let serial = Serial(self.next);
        self.next += 1;
        self.jobs.push_back(ValidJob {
            serial,
            job: Arc::new(job),
            received: now,
            superseded: false,
        });
    }

    /// Applies a change of conditions to every held job, such as the connection's first difficulty.
    pub fn change(&mut self, change: impl Fn(&PoolJob) -> PoolJob) {
        for held in &mut self.jobs {
            held.job = Arc::new(change(&held.job));
        }
    }

    /// The newest job.
    pub fn latest(&self) -> Option<&Arc<PoolJob>> {
        self.jobs.back().map(|held| &held.job)
    }

    /// Whether the pool may still accept shares of a job.
    pub fn holds(&self, serial: Serial) -> bool {
        self.find(serial).is_some()
    }

    /// Whether a miner may continue with a job, because no clean one has followed.
    pub fn continues(&self, serial: Serial) -> bool {
        self.find(serial).is_some_and(|held| !held.superseded)
    }

    fn find(&self, serial: Serial) -> Option<&ValidJob> {
        let index = self.jobs.binary_search_by_key(&serial, |held| held.serial);
        self.jobs.get(index.ok()?)
    }

    /// How long jobs wait for the connection's first difficulty.
    pub fn patience(&self) -> Option<Instant> {
        self.first?.checked_add(DIFFICULTY_GRACE)
    }

    /// The newest job as fresh work, in a place where it was handed out up to the header time `handed_out`. The first
    /// time it has the pool's own time, later that time plus the seconds since then, and never the same one twice. So a
    /// miner that restarts its extranonce2 does not repeat work.
    pub fn fresh(&self, handed_out: Option<u32>, now: Instant) -> Option<FreshWork> {
        let ntime = self.fresh_ntime(handed_out, now)?;
        let held = self.jobs.back()?;
        Some(FreshWork {
            serial: held.serial,
            job: Arc::clone(&held.job),
            ntime,
            age: now.saturating_duration_since(held.received),
        })
    }

    /// The header time that [`fresh`](Self::fresh) would use, if there is fresh work.
    pub fn fresh_ntime(&self, handed_out: Option<u32>, now: Instant) -> Option<u32> {
        let held = self.jobs.back()?;
        let own = held.job.notify.ntime;
        let ntime = match handed_out {
            None => own,
            Some(last) => {
                let elapsed = now.saturating_duration_since(held.received).as_secs();
                let advanced = own.checked_add(u32::try_from(elapsed).ok()?)?;
                advanced.max(last.checked_add(1)?)
            }
        };
        (ntime - own <= NTIME_ROOM).then_some(ntime)
    }

    /// Whether the header time of a share must be remembered. A miner may change the time itself. The job is only sent
    /// again with later times, so no share can be found twice. If a miner moves the time far ahead, this is ignored;
    /// otherwise the job could not be sent again for long.
    pub fn minds(&self, serial: Serial, ntime: u32) -> bool {
        self.jobs.back().is_some_and(|held| {
            let ahead = ntime.saturating_sub(held.job.notify.ntime);
            held.serial == serial && ahead <= NTIME_ROOM / 2
        })
    }

    /// Accepts no more shares for them.
    pub fn clear(&mut self) {
        self.jobs.clear();
    }

    /// Whether the newest job has made all others stale, because it is for a new block.
    pub fn are_new(&self) -> bool {
        self.jobs.len() == 1 && self.latest().is_some_and(|job| job.notify.clean)
    }

    /// Whether there are no jobs.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

/// A job as it was sent to a miner, with everything that matters for its shares.
#[derive(Clone, Debug)]
pub struct SentJob {
    /// The miner's name for it.
    pub id: JobId,
    /// The pool connection that owns it.
    pub conn: PoolConn,
    /// The host and port of that connection.
    pub address: Arc<str>,
    /// The job's number on that connection.
    pub serial: Serial,
    /// The pool's job.
    pub job: Arc<PoolJob>,
    /// The miner's place in the coinbase.
    pub extranonce: MinerExtranonce,
    /// The version bits that the miner may roll.
    pub mask: VersionMask,
    /// The difficulty that was sent with it. A share that meets it represents this much work. If the miner applies a
    /// lower difficulty that was sent later, weaker shares represent no work.
    pub told: Difficulty,
    /// The lowest difficulty that the miner was sent since it got the job. Much software applies a new difficulty to
    /// its current work.
    pub lowest_told: Difficulty,
}

impl SentJob {
    /// The work that a share of this difficulty represents, as a difficulty.
    pub fn work(&self, share: f64) -> f64 {
        if share >= self.told.get() {
            self.told.get()
        } else {
            0.0
        }
    }
}

/// The last jobs that a miner was sent, oldest first.
#[derive(Clone, Debug, Default)]
pub struct SentJobs {
    jobs: VecDeque<SentJob>,
    last_id: u64,
}

impl SentJobs {
    /// The id for the next job, never used before.
    pub fn next_id(&mut self) -> JobId {
        self.last_id += 1;
        JobId(self.last_id)
    }

    /// Remembers a job with an id from [`next_id`](Self::next_id).
    pub fn push(&mut self, job: SentJob) {
        if self.jobs.len() == MOST_SENT {
            self.jobs.pop_front();
        }
        self.jobs.push_back(job);
    }

    /// The job with this id, if it is remembered.
    pub fn get(&self, id: JobId) -> Option<&SentJob> {
        let index = self.jobs.binary_search_by_key(&id, |sent| sent.id).ok()?;
        self.jobs.get(index)
    }

    /// The job sent last.
    pub fn last(&self) -> Option<&SentJob> {
        self.jobs.back()
    }

    /// Records that the miner was sent another difficulty.
    pub fn told(&mut self, difficulty: Difficulty) {
        for sent in &mut self.jobs {
            sent.lowest_told = sent.lowest_told.min(difficulty);
        }
    }
}

/// The shares that a miner sent, by [`BlockHash::key`]: at least the last 4,096,
/// in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct SeenShares {
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

impl SeenShares {
    /// Whether the share was sent before.
    pub fn contains(&self, hash: &BlockHash) -> bool {
        self.newer.contains(&hash.key()) || self.older.contains(&hash.key())
    }

    /// There is a new block: shares from before the previous one can hardly be repeated.
    pub fn age(&mut self) {
        self.older = std::mem::take(&mut self.newer);
    }

    /// Remembers a share.
    pub fn insert(&mut self, hash: &BlockHash) {
        if self.newer.len() == SURELY_SEEN {
            self.age();
        }
        self.newer.insert(hash.key());
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;
    use crate::stratum::job::Notify;
    use crate::units::Extranonce1;

    fn job(name: &str, block: u8, clean: bool) -> PoolJob {
        let notify = Notify {
            job_id: name.into(),
            prevhash: [block; 32],
            // Different work for each name.
            coinb1: name.as_bytes().to_vec(),
            coinb2: Vec::new(),
            branches: Vec::new(),
            version: 1,
            nbits: 0x1d00_ffff,
            ntime: 0,
            clean,
        };
        let e1 = Extranonce1::new(&[1]).unwrap();
        PoolJob::new(Arc::new(notify), e1, 4, Difficulty::ONE, VersionMask::NONE)
    }

    /// For each job so far, whether its shares are forwarded, and whether miners may continue with it.
    fn held(jobs: &HeldJobs) -> Vec<(bool, bool)> {
        let serials = (0..jobs.next).map(Serial);
        serials
            .map(|it| (jobs.holds(it), jobs.continues(it)))
            .collect()
    }

    /// Compat Q85.
    #[test]
    fn only_a_new_block_makes_shares_of_earlier_jobs_useless() {
        let now = Instant::now();
        let mut jobs = HeldJobs::default();
        jobs.push(job("a", 1, true), now);
        assert!(jobs.are_new());
        jobs.push(job("b", 1, false), now);
        assert_eq!(held(&jobs), [(true, true); 2]);
        jobs.push(job("c", 1, true), now);
        assert_eq!(held(&jobs), [(true, false), (true, false), (true, true)]);
        assert!(!jobs.are_new());
        jobs.push(job("d", 2, true), now);
        assert_eq!(held(&jobs)[2..], [(false, false), (true, true)]);
        assert!(jobs.are_new());
    }
}
