//! Judges shares as a pool does: rebuilds the header from what it handed out, and hashes it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

use crate::sim::chain::hash::{self, Header};
use crate::stratum::job::Notify;

/// How many jobs of a connection are remembered.
const JOBS_KEPT: usize = 256;

/// How far a share's time may be ahead of its job's, in seconds.
pub const NTIME_WINDOW: u32 = 7000;

/// Judges the shares of one pool's connections.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    /// Each connection's jobs, oldest first.
    jobs: BTreeMap<u64, VecDeque<Job>>,
    /// Headers that were good shares, of the present block and of the one before.
    seen: HashSet<[u8; 32]>,
    seen_before: HashSet<[u8; 32]>,
}

/// The terms of a job on a connection. They never change, whatever is agreed later (compat Q40).
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The extranonce1 of the connection.
    pub e1: Vec<u8>,
    /// The size of the extranonce2 that the connection sends, in bytes.
    pub e2_size: usize,
    /// The difficulty that a share must meet.
    pub difficulty: f64,
    /// The version bits that may be changed, if that was negotiated.
    pub mask: Option<u32>,
}

/// How a pool applies version bits to a job's version (compat Q57).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionBits {
    /// The masked bits are replaced, according to BIP 310.
    #[default]
    Replace,
    /// Like public-pool.
    Xor,
    /// Like DATUM.
    Or,
}

/// A pool's rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How version bits are applied.
    pub version_bits: VersionBits,
    /// How long shares of a replaced job still count.
    pub stale_grace: Duration,
}

/// A share as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The pool's name for the job.
    pub job_id: String,
    /// The extranonce2.
    pub e2: Vec<u8>,
    /// The header's time.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The sixth parameter.
    pub version_bits: Option<u32>,
}

/// The verdict on a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Good.
    Accepted,
    /// Parameters are missing or cannot be read.
    Malformed,
    /// The connection has no subscription.
    NotSubscribed,
    /// The worker was not authorized.
    Unauthorized,
    /// A different worker from the one that was authorized (ckpool).
    WorkerMismatch,
    /// The connection never received such a job.
    UnknownJob,
    /// The job has been replaced.
    Stale,
    /// The extranonce2 has another size than announced.
    ExtranonceSize,
    /// The time is before the job's or too far ahead.
    Ntime,
    /// Version bits that were not negotiated or lie outside the mask, or none where they were negotiated.
    VersionBits,
    /// The hash does not meet the job's difficulty.
    LowDifficulty,
    /// The same header was a good share before.
    Duplicate,
}

/// A verdict with the measured values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The header's hash, least significant byte first, if the header could be rebuilt.
    pub hash: Option<[u8; 32]>,
    /// The difficulty of that hash, otherwise zero.
    pub difficulty: f64,
    /// The difficulty that the job asked for, if there is such a job.
    pub job_difficulty: Option<f64>,
    /// Whether the hash meets the job's network target, whatever the verdict.
    pub is_block: bool,
}

#[derive(Clone, Debug)]
struct Job {
    notify: Notify,
    terms: Terms,
    /// When a job with `clean_jobs` replaced it.
    replaced: Option<Instant>,
}

impl Judge {
    /// A job was sent to a connection. One with `clean_jobs` makes its earlier jobs stale.
    pub fn add_job(&mut self, connection: u64, notify: Notify, terms: Terms, now: Instant) {
        let jobs = self.jobs.entry(connection).or_default();
        if notify.clean {
            for job in jobs.iter_mut() {
                job.replaced.get_or_insert(now);
            }
        }
        if jobs.len() == JOBS_KEPT {
            jobs.pop_front();
        }
        jobs.push_back(Job {
            notify,
            terms,
            replaced: None,
        });
    }

    /// Version rolling was negotiated only now, in the middle of the handshake: jobs sent before are under the mask as
    /// well.
    pub fn grant(&mut self, connection: u64, mask: u32) {
        for job in self.jobs.entry(connection).or_default() {
            job.terms.mask.get_or_insert(mask);
        }
    }

    /// A block was found: headers of the one before the last can no longer be repeated.
    pub fn new_block(&mut self) {
        self.seen_before = mem::take(&mut self.seen);
    }

    /// A connection has gone, and its jobs with it.
    pub fn forget(&mut self, connection: u64) {
        self.jobs.remove(&connection);
    }

    /// Judges a share of an authorized worker.
    pub fn judge(
        &mut self,
        connection: u64,
        claim: &Claim,
        rules: Rules,
        now: Instant,
    ) -> Judgement {
        let jobs = self.jobs.get(&connection);
        // The latest job with that name, because a pool may reuse names.
        let job = jobs.and_then(|jobs| {
            jobs.iter()
                .rev()
                .find(|job| job.notify.job_id == claim.job_id)
        });
        let Some(job) = job else {
            return Judgement::without_hash(Verdict::UnknownJob);
        };
        let mut judgement = job.measure(claim, rules);
        let stale = job
            .replaced
            .is_some_and(|replaced| now.saturating_duration_since(replaced) > rules.stale_grace);
        if stale {
            judgement.verdict = Verdict::Stale;
        }
        if judgement.verdict == Verdict::Accepted {
            let hash = judgement.hash.unwrap_or_default();
            if self.seen_before.contains(&hash) || !self.seen.insert(hash) {
                judgement.verdict = Verdict::Duplicate;
            }
        }
        judgement
    }
}

impl Judgement {
    /// A verdict on a share whose header is unknown.
    pub fn without_hash(verdict: Verdict) -> Self {
        Self {
            verdict,
            hash: None,
            difficulty: 0.0,
            job_difficulty: None,
            is_block: false,
        }
    }
}

impl Job {
    /// Rebuilds and hashes the header, if the claim makes sense; ignores time and other shares.
    fn measure(&self, claim: &Claim, rules: Rules) -> Judgement {
        let mut judgement = Judgement::without_hash(Verdict::Accepted);
        judgement.job_difficulty = Some(self.terms.difficulty);
        if claim.e2.len() != self.terms.e2_size {
            judgement.verdict = Verdict::ExtranonceSize;
            return judgement;
        }
        let hash = self.header(claim, rules.version_bits).hash();
        judgement.hash = Some(hash);
        judgement.difficulty = hash::difficulty_of(&hash);
        judgement.is_block = hash::is_block(&hash, self.notify.nbits);
        let latest = self.notify.ntime.saturating_add(NTIME_WINDOW);
        judgement.verdict = if !(self.notify.ntime..=latest).contains(&claim.ntime) {
            Verdict::Ntime
        } else if !self.version_bits_allowed(claim.version_bits) {
            Verdict::VersionBits
        } else if judgement.difficulty < self.terms.difficulty {
            Verdict::LowDifficulty
        } else {
            Verdict::Accepted
        };
        judgement
    }

    fn header(&self, claim: &Claim, rule: VersionBits) -> Header {
        let notify = &self.notify;
        let coinbase = [
            &notify.coinb1[..],
            &self.terms.e1,
            &claim.e2,
            &notify.coinb2,
        ]
        .concat();
        let version = match (claim.version_bits, rule) {
            (None, _) => notify.version,
            (Some(bits), VersionBits::Replace) => {
                let mask = self.terms.mask.unwrap_or(0);
                (notify.version & !mask) | (bits & mask)
            }
            (Some(bits), VersionBits::Xor) => notify.version ^ bits,
            (Some(bits), VersionBits::Or) => notify.version | bits,
        };
        Header {
            version,
            prevhash: notify.prevhash,
            root: hash::merkle_root(&coinbase, &notify.branches),
            ntime: claim.ntime,
            nbits: notify.nbits,
            nonce: claim.nonce,
        }
    }

    /// A sixth parameter if it was negotiated, otherwise none (compat Q13, Q53).
    fn version_bits_allowed(&self, bits: Option<u32>) -> bool {
        match (self.terms.mask, bits) {
            (None, None) => true,
            (Some(mask), Some(bits)) => bits & !mask == 0,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::chain::{Blocks, JobFactory, JobIds, Network, Space};

    /// A pool with one connection and one job that any hash meets.
    struct World {
        factory: JobFactory,
        judge: Judge,
        rules: Rules,
        terms: Terms,
        start: Instant,
    }

    impl World {
        #[expect(
            clippy::disallowed_methods,
            reason = "any moment will do as the start of virtual time"
        )]
        fn new() -> Self {
            let mut world = Self {
                factory: JobFactory::new(1, "A", Blocks::Own),
                judge: Judge::default(),
                rules: Rules::default(),
                terms: Terms {
                    e1: vec![1, 2],
                    e2_size: 4,
                    difficulty: 1e-10,
                    mask: Some(0x1fff_e000),
                },
                start: Instant::now(),
            };
            world.job(false);
            world
        }

        fn job(&mut self, clean: bool) {
            let network = Network {
                version: 0x2000_0000,
                nbits: 0x207f_ffff,
                ntime: 1000,
                witness: true,
            };
            let space = Space::default();
            let template = self.factory.next_job(network, JobIds::Counter);
            self.judge.add_job(
                1,
                template.notify(space, clean),
                self.terms.clone(),
                self.start,
            );
        }

        fn judge(&mut self, change: impl FnOnce(&mut Claim)) -> Verdict {
            self.judge_after(Duration::ZERO, change)
        }

        fn judge_after(&mut self, wait: Duration, change: impl FnOnce(&mut Claim)) -> Verdict {
            let mut claim = Claim {
                job_id: "1".into(),
                e2: vec![0; 4],
                ntime: 1000,
                nonce: 0,
                version_bits: Some(0x2000),
            };
            change(&mut claim);
            self.judge
                .judge(1, &claim, self.rules, self.start + wait)
                .verdict
        }
    }

    #[test]
    fn each_fault_has_its_verdict() {
        let mut world = World::new();
        assert_eq!(world.judge(|_| ()), Verdict::Accepted);
        assert_eq!(world.judge(|_| ()), Verdict::Duplicate);
        assert_eq!(world.judge(|claim| claim.nonce = 1), Verdict::Accepted);
        assert_eq!(
            world.judge(|claim| claim.job_id = "7".into()),
            Verdict::UnknownJob
        );
        assert_eq!(
            world.judge(|claim| claim.e2 = vec![0; 3]),
            Verdict::ExtranonceSize
        );
        assert_eq!(world.judge(|claim| claim.ntime = 999), Verdict::Ntime);
        assert_eq!(world.judge(|claim| claim.ntime = 8001), Verdict::Ntime);
        assert_eq!(world.judge(|claim| claim.ntime = 8000), Verdict::Accepted);
        assert_eq!(
            world.judge(|claim| claim.version_bits = Some(1)),
            Verdict::VersionBits
        );
        assert_eq!(
            world.judge(|claim| claim.version_bits = None),
            Verdict::VersionBits
        );
    }

    #[test]
    fn difficulty_is_frozen_with_the_job() {
        let mut world = World::new();
        world.terms.difficulty = 1e6;
        world.job(false);
        assert_eq!(world.judge(|_| ()), Verdict::Accepted);
        assert_eq!(
            world.judge(|claim| claim.job_id = "2".into()),
            Verdict::LowDifficulty
        );
    }

    #[test]
    fn a_clean_job_makes_the_previous_one_stale_after_the_grace_period() {
        let mut world = World::new();
        world.rules.stale_grace = Duration::from_secs(2);
        world.job(true);
        let second = Duration::from_secs(1);
        assert_eq!(
            world.judge_after(second, |claim| claim.nonce = 5),
            Verdict::Accepted
        );
        assert_eq!(
            world.judge_after(second * 3, |claim| claim.nonce = 6),
            Verdict::Stale
        );
        assert_eq!(
            world.judge_after(second * 3, |claim| claim.job_id = "2".into()),
            Verdict::Accepted
        );
    }

    #[test]
    fn duplicates_are_remembered_across_blocks() {
        let mut world = World::new();
        assert_eq!(world.judge(|_| ()), Verdict::Accepted);
        world.judge.new_block();
        assert_eq!(world.judge(|_| ()), Verdict::Duplicate);
        world.judge.forget(1);
        assert_eq!(world.judge(|_| ()), Verdict::UnknownJob);
    }

    #[test]
    fn the_judge_accepts_exactly_the_headers_the_proxy_would_forward() {
        use crate::stratum::job::{PoolJob, Solution, roll_version};
        use crate::units::{Difficulty, Extranonce1, Extranonce2, MinerExtranonce, VersionMask};

        let mut world = World::new();
        let notify = world.judge.jobs[&1][0].notify.clone();
        let mask = VersionMask(0x1fff_e000);
        let job = PoolJob::new(
            std::sync::Arc::new(notify.clone()),
            Extranonce1::new(&world.terms.e1).unwrap(),
            4,
            Difficulty::ONE,
            mask,
        );
        let miner = MinerExtranonce {
            e1: Extranonce1::from_hex("0a").unwrap(),
            e2_size: 2,
        };
        let solution = Solution {
            e2: Extranonce2::from_hex("0102").unwrap(),
            ntime: 1003,
            nonce: 77,
            version: roll_version(notify.version, mask, 0x6000),
        };
        let claim = Claim {
            job_id: notify.job_id,
            e2: job
                .pool_extranonce2(&miner, &solution.e2)
                .unwrap()
                .as_slice()
                .to_vec(),
            ntime: 1003,
            nonce: 77,
            version_bits: Some(0x6000),
        };
        let judgement = world.judge.judge(1, &claim, world.rules, world.start);
        let mut hash = judgement.hash.unwrap();
        hash.reverse();
        assert_eq!(hash, job.hash(&miner, &solution).unwrap().0);
        assert_eq!(judgement.verdict, Verdict::Accepted);
    }
}
