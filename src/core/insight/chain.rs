//! Whether the pools' jobs are for the right chain and up to date, as far as the jobs themselves show it. Pure
//! functions.
//!
//! - Everything here is only reported. Taking work away from a pool needs proof: `core/pool/verdict/news.rs`.
//! - Ordinary events are not reported: races between two blocks, first jobs without transactions, pools that only send
//!   a job when there is a new block.
//! - Only one of a pool's connections is read. The first job on another one may be as old as its block, so it says
//!   nothing about the pool's clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::coin::{Chain, Coin, Network};
use crate::stratum::coinbase::Coinbase;
use crate::stratum::job::{BlockHash, PoolJob};
use crate::units::{Now, PerPool, PoolConn, PoolSlot};

/// How many blocks of a pool are remembered.
const MOST_BLOCKS: usize = 16;

/// This many blocks after the first different ones, two pools of one coin are on different chains. It is no longer a
/// race.
const FORK_BLOCKS: u32 = 2;

/// Only by a rare coincidence does a coin that DPMP knows go this long without a block.
const LONGEST_BLOCK: Duration = Duration::from_secs(3 * 3600);

/// How far a pool's clock may be off, in seconds, and for how long.
const CLOCK_OFF: i64 = 600;
const CLOCK_PATIENCE: Duration = Duration::from_secs(600);

/// How long a pool may be at a lower height than the other.
const LOWER_PATIENCE: Duration = Duration::from_secs(90);

/// This many jobs in a row with transactions but without a witness commitment are unusual for Bitcoin.
const UNCOMMITTED_JOBS: u32 = 10;

/// The parts of a job that are used here.
#[derive(Clone, Copy, Debug)]
pub struct Glimpse {
    /// The block that it builds on.
    pub previous: BlockHash,
    /// The height of the new block, if the coinbase contains it.
    pub height: Option<u32>,
    /// The compact target.
    pub nbits: u32,
    /// The time in its header, in seconds since 1970.
    pub ntime: u32,
    /// Whether the coinbase commits to witnesses; `None` if it cannot be read.
    pub commits: Option<bool>,
    /// Whether it has no transaction but the coinbase.
    pub is_empty: bool,
}

impl Glimpse {
    /// Takes these parts from a pool's job and its coinbase, if that could be read.
    pub fn of(job: &PoolJob, coinbase: Option<&Coinbase>) -> Self {
        let notify = &job.notify;
        Self {
            previous: notify.previous(),
            height: notify.height(),
            nbits: notify.nbits,
            ntime: notify.ntime,
            commits: coinbase.map(Coinbase::has_witness_commitment),
            is_empty: notify.branches.is_empty(),
        }
    }
}

/// The input of a check.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// What is known from the pools' jobs.
    pub sights: PerPool<&'a Sights>,
    /// The configured coins of the pools, if DPMP knows them.
    pub chains: PerPool<Option<Chain>>,
    /// Whether the pools are connected now.
    pub heard: PerPool<bool>,
    /// Whether the wall clock is trusted.
    pub clock_is_right: bool,
}

/// A finding that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The pools mine one coin, on different chains.
    Forked {
        /// The lowest height at which their blocks are known to differ.
        height: u32,
    },
    /// The pools are set to different coins, but their jobs build on the same block.
    OneChain,
    /// The pools' jobs build on the same block with different targets.
    TargetsDiffer,
    /// A pool's jobs are for another chain than configured.
    WrongChain(PoolSlot, Mismatch),
    /// None of a Bitcoin pool's jobs commits to witnesses.
    NoWitness(PoolSlot),
    /// A pool's jobs have built on one block for hours.
    NoBlock(PoolSlot),
    /// A pool's jobs are for a lower height than the other's.
    Lower {
        /// The pool.
        slot: PoolSlot,
        /// The number of blocks.
        blocks: u32,
    },
    /// The time in a pool's jobs is off.
    Clock {
        /// The pool.
        slot: PoolSlot,
        /// By how many minutes it is ahead of the median of the clocks; below 0: behind.
        minutes: i64,
        /// Whether there was a third clock to show which one is wrong.
        is_certain: bool,
    },
}

/// What shows that a job is for another chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It commits to witnesses, which its coin does not have.
    Witness,
    /// The block that it builds on took less work than its coin requires.
    Work,
}

impl Finding {
    /// How long it must last before it is reported.
    fn patience(self) -> Duration {
        match self {
            Self::Forked { .. }
            | Self::OneChain
            | Self::TargetsDiffer
            | Self::WrongChain(..)
            | Self::NoWitness(_) => Duration::ZERO,
            Self::NoBlock(_) => LONGEST_BLOCK,
            Self::Lower { .. } => LOWER_PATIENCE,
            Self::Clock { .. } => CLOCK_PATIENCE,
        }
    }

    /// The pool that it is about, if it is about one.
    pub fn slot(self) -> Option<PoolSlot> {
        match self {
            Self::Forked { .. } | Self::OneChain | Self::TargetsDiffer => None,
            Self::WrongChain(slot, _)
            | Self::NoWitness(slot)
            | Self::NoBlock(slot)
            | Self::Lower { slot, .. }
            | Self::Clock { slot, .. } => Some(slot),
        }
    }

    /// Whether both are of the same kind and about the same pool.
    fn is_same(self, other: Self) -> bool {
        let kind = |finding: &Self| std::mem::discriminant(finding);
        kind(&self) == kind(&other) && self.slot() == other.slot()
    }
}

/// A finding, and since when it has been true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub finding: Finding,
    /// Since when.
    pub since: Now,
}

/// All findings, and since when they have been true.
#[derive(Clone, Debug, Default)]
pub struct ChainWatch {
    found: Vec<Found>,
    /// Since when the pools have been connected.
    heard_since: PerPool<Option<Now>>,
}

/// What is known about the chain from a pool's jobs.
#[derive(Clone, Debug, Default)]
pub struct Sights {
    /// The connection that was read last.
    conn: Option<PoolConn>,
    /// The blocks that its jobs built on, newest last.
    blocks: VecDeque<Block>,
    /// The latest time in the header of a job on the newest block.
    ntime: u32,
    /// The time of its clock, in seconds since 1970, and when it was read.
    clock: Option<(u32, Instant)>,
    /// Whether its jobs commit to witnesses.
    commits: bool,
    /// How many jobs with transactions in a row do not.
    uncommitted: u32,
}

/// A block that a pool's jobs built on.
#[derive(Clone, Copy, Debug)]
struct Block {
    hash: BlockHash,
    /// The height of the job's block.
    height: Option<u32>,
    nbits: u32,
    since: Now,
}

impl Sights {
    fn newest(&self) -> Option<Block> {
        self.blocks.back().copied()
    }

    fn knows(&self, hash: BlockHash) -> bool {
        self.blocks.iter().any(|block| block.hash == hash)
    }

    /// The block on which its jobs of this height built; the latest one if there were several.
    fn at_height(&self, height: u32) -> Option<BlockHash> {
        let mut blocks = self.blocks.iter().rev();
        let block = blocks.find(|block| block.height == Some(height));
        block.map(|block| block.hash)
    }

    /// Records a job on the connection that is read.
    pub fn hear(&mut self, conn: PoolConn, job: &Glimpse, now: Now) {
        let continues = self.conn.replace(conn) == Some(conn);
        if !continues {
            self.clock = None;
        }
        let is_newest = self
            .newest()
            .is_some_and(|newest| newest.hash == job.previous);
        let is_older = !is_newest && self.knows(job.previous);
        // One of a pool's servers may be behind the others, and a job may be sent twice.
        if is_older || (is_newest && job.ntime <= self.ntime) {
            return;
        }
        let mut since = now;
        if is_newest {
            since = self.blocks.pop_back().map_or(now, |newest| newest.since);
        } else if self.blocks.len() == MOST_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(Block {
            hash: job.previous,
            height: job.height,
            nbits: job.nbits,
            since,
        });
        self.ntime = job.ntime;
        if continues {
            self.clock = Some((job.ntime, now.at));
        }
        match job.commits {
            Some(true) => (self.commits, self.uncommitted) = (true, 0),
            // An empty block needs none.
            Some(false) if !job.is_empty => {
                self.commits = false;
                self.uncommitted = self.uncommitted.saturating_add(1);
            }
            Some(false) | None => (),
        }
    }

    /// The current time of its clock, in seconds since 1970.
    fn clock(&self, now: Now) -> Option<i64> {
        let (ntime, at) = self.clock?;
        let passed = now.at.saturating_duration_since(at).as_secs();
        i64::from(ntime).checked_add_unsigned(passed)
    }
}

impl ChainWatch {
    /// The findings to report now. Call it after each job, too, so that it is known since when a finding has been true.
    pub fn look(&mut self, scene: &Scene<'_>, now: Now) -> Vec<Found> {
        for slot in PoolSlot::ALL {
            let before = self.heard_since[slot];
            self.heard_since[slot] = scene.heard[slot].then(|| before.unwrap_or(now));
        }
        self.found = self.renewed(scene, now);
        let lasts = |found: &&Found| {
            now.at.saturating_duration_since(found.since.at) >= found.finding.patience()
        };
        self.found.iter().filter(lasts).copied().collect()
    }

    /// The current findings; earlier ones that are still true keep their times.
    fn renewed(&self, scene: &Scene<'_>, now: Now) -> Vec<Found> {
        let since = |finding: Finding| {
            let known = self.found.iter().find(|it| it.finding.is_same(finding));
            known.map_or(now, |known| known.since)
        };
        let mut found = Vec::new();
        for slot in PoolSlot::ALL {
            let of_pool = scene.of_pool(slot);
            found.extend(of_pool.map(|finding| (finding, since(finding))));
            // Time without a connection does not count.
            let no_block = scene.no_block(slot).zip(self.heard_since[slot]);
            found.extend(no_block.map(|((finding, since), heard)| {
                let since = if heard.at > since.at { heard } else { since };
                (finding, since)
            }));
        }
        let is_wrong = found
            .iter()
            .any(|(finding, _)| matches!(finding, Finding::WrongChain(..)));
        let both = scene.of_clocks(now).into_iter();
        // Consequences of a wrong chain are not reported as well.
        let of_both = scene.of_both().filter(|_| !is_wrong);
        let both = both.chain(of_both).map(|finding| (finding, since(finding)));
        found.extend(both);
        let found = found.into_iter();
        found
            .map(|(finding, since)| Found { finding, since })
            .collect()
    }
}

impl Scene<'_> {
    /// Whether a pool's jobs are for another chain.
    fn of_pool(&self, slot: PoolSlot) -> Option<Finding> {
        let chain = self.chains[slot].filter(|_| self.heard[slot])?;
        let seen = self.sights[slot];
        let newest = seen.newest()?;
        // On test networks some miners commit to witnesses that nobody needs.
        let is_main = chain.network == Network::Main;
        if is_main && seen.commits && !chain.coin.has_witness() {
            return Some(Finding::WrongChain(slot, Mismatch::Witness));
        }
        if chain.hash_shows_work() && !newest.hash.may_precede(newest.nbits) {
            return Some(Finding::WrongChain(slot, Mismatch::Work));
        }
        let is_bitcoin = (chain.coin, chain.network) == (Coin::Btc, Network::Main);
        (is_bitcoin && seen.uncommitted >= UNCOMMITTED_JOBS).then_some(Finding::NoWitness(slot))
    }

    fn no_block(&self, slot: PoolSlot) -> Option<(Finding, Now)> {
        let is_real = |chain: &Chain| chain.network == Network::Main;
        self.chains[slot].filter(is_real)?;
        let newest = self.sights[slot].newest()?;
        Some((Finding::NoBlock(slot), newest.since))
    }

    /// Whether the pools' blocks agree.
    fn of_both(&self) -> Option<Finding> {
        let [a, b] = PoolSlot::ALL.map(|slot| {
            let chain = self.chains[slot].filter(|_| self.heard[slot])?;
            let seen = self.sights[slot];
            Some((chain, seen, seen.newest()?))
        });
        let ((chain_a, seen_a, newest_a), (chain_b, seen_b, newest_b)) = a.zip(b)?;
        if chain_a != chain_b {
            let is_one = seen_a.knows(newest_b.hash) || seen_b.knows(newest_a.hash);
            return is_one.then_some(Finding::OneChain);
        }
        if chain_a.network == Network::Test {
            return None;
        }
        if newest_a.hash == newest_b.hash {
            return (newest_a.nbits != newest_b.nbits).then_some(Finding::TargetsDiffer);
        }
        if let Some(height) = forked_at(seen_a, seen_b) {
            return Some(Finding::Forked { height });
        }
        // Within one difficulty period, heights can be compared regardless of earlier jobs.
        let (high_a, high_b) = newest_a.height.zip(newest_b.height)?;
        let slot = if high_a < high_b {
            PoolSlot::A
        } else {
            PoolSlot::B
        };
        let blocks = high_a.abs_diff(high_b);
        (newest_a.nbits == newest_b.nbits && blocks > 0).then_some(Finding::Lower { slot, blocks })
    }

    /// Which clock is off. With the wall clock there are three, and the middle one is right. Without it there are two,
    /// and both are equally far from the middle.
    fn of_clocks(&self, now: Now) -> Vec<Finding> {
        // On test networks, the time in a job may be moved forward to get an easier block.
        let counts = |slot: PoolSlot| {
            let is_test = self.chains[slot].is_some_and(|it| it.network == Network::Test);
            self.heard[slot] && !is_test
        };
        let clock = |slot: PoolSlot| self.sights[slot].clock(now).filter(|_| counts(slot));
        let [Some(a), Some(b)] = PoolSlot::ALL.map(clock) else {
            return Vec::new();
        };
        let wall = i64::try_from(now.unix_ms / 1000).ok();
        let wall = wall.filter(|_| self.clock_is_right);
        let middle = match wall {
            Some(wall) => wall.clamp(a.min(b), a.max(b)),
            None => (a + b) / 2,
        };
        let off = |(slot, time): (PoolSlot, i64)| {
            let off = time - middle;
            (off.abs() > CLOCK_OFF).then_some(Finding::Clock {
                slot,
                minutes: off / 60,
                is_certain: wall.is_some(),
            })
        };
        let clocks = [(PoolSlot::A, a), (PoolSlot::B, b)];
        clocks.into_iter().filter_map(off).collect()
    }
}

/// The height at which two pools of one coin diverged, if that was at least [`FORK_BLOCKS`] ago and all blocks since
/// are known.
fn forked_at(a: &Sights, b: &Sights) -> Option<u32> {
    let differ = |height: &u32| Some(a.at_height(*height)? != b.at_height(*height)?);
    let heights = a.blocks.iter().filter_map(|block| block.height);
    let last = heights.filter(|height| differ(height).is_some()).max()?;
    let apart = (0..=last).rev().take_while(|it| differ(it) == Some(true));
    let first = apart.last()?;
    (last - first >= FORK_BLOCKS).then_some(first)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;
    use PoolSlot::{A, B};

    const NBITS: u32 = 0x1702_3a04;
    const START: u32 = 1_800_000_000;

    struct World {
        start: Instant,
        watch: ChainWatch,
        sights: PerPool<Sights>,
        chains: PerPool<Option<Chain>>,
        heard: PerPool<bool>,
        clock_is_right: bool,
        conns: PerPool<u64>,
    }

    /// The hash of a block with enough work for any target.
    fn block(number: u16) -> BlockHash {
        let mut hash = [0; 32];
        hash[30..].copy_from_slice(&number.to_be_bytes());
        BlockHash(hash)
    }

    /// A job on a block of that number, for the height after it.
    fn job(number: u16) -> Glimpse {
        Glimpse {
            previous: block(number),
            height: Some(u32::from(number) % 1000 + 1),
            nbits: NBITS,
            ntime: START,
            commits: Some(true),
            is_empty: false,
        }
    }

    impl World {
        fn new(chains: [&str; 2]) -> Self {
            let [a, b] = chains.map(Chain::of_name);
            Self {
                start: Instant::now(),
                watch: ChainWatch::default(),
                sights: PerPool::default(),
                chains: PerPool::new(a, b),
                heard: PerPool::new(true, true),
                clock_is_right: true,
                conns: PerPool::new(1, 1),
            }
        }

        fn at(&self, seconds: u32) -> Now {
            Now {
                at: self.start + Duration::from_secs(seconds.into()),
                unix_ms: u64::from(START + seconds) * 1000,
            }
        }

        /// A job arrives, with the time moved on accordingly.
        fn hear(&mut self, slot: PoolSlot, seconds: u32, job: Glimpse) {
            let conn = PoolConn {
                slot,
                number: self.conns[slot],
            };
            let ntime = job.ntime.checked_add(seconds).unwrap();
            let now = self.at(seconds);
            self.sights[slot].hear(conn, &Glimpse { ntime, ..job }, now);
            self.look(now);
        }

        fn look(&mut self, now: Now) -> Vec<Found> {
            let scene = Scene {
                sights: self.sights.map(|slot, _| &self.sights[slot]),
                chains: self.chains,
                heard: self.heard,
                clock_is_right: self.clock_is_right,
            };
            self.watch.look(&scene, now)
        }

        fn both(&mut self, seconds: u32, number: u16) {
            self.hear(A, seconds, job(number));
            self.hear(B, seconds + 5, job(number));
        }

        fn found(&mut self, seconds: u32) -> Vec<Finding> {
            let now = self.at(seconds);
            let found = self.look(now);
            found.into_iter().map(|found| found.finding).collect()
        }
    }

    #[test]
    fn a_fork_is_reported_two_blocks_after_the_first_different_block() {
        let mut world = World::new(["BTC", "Bitcoin"]);
        world.both(0, 100);
        for (number, seconds) in [(101, 600), (102, 1200)] {
            world.hear(A, seconds, job(number));
            world.hear(B, seconds, job(number + 1000));
            assert_eq!(world.found(seconds + 1), []);
        }
        world.hear(A, 1800, job(103));
        assert_eq!(world.found(1801), []);
        world.hear(B, 1900, job(1103));
        let forked = Finding::Forked { height: 102 };
        assert_eq!(world.found(1900), [forked]);
        assert_eq!(world.watch.found.last().unwrap().since, world.at(1900));
        // A pool whose blocks were on another chain returns.
        world.hear(B, 2000, job(103));
        assert_eq!(world.found(2000), []);
    }

    #[test]
    fn a_block_race_is_not_a_fork() {
        let mut world = World::new(["BTC", "BTC"]);
        for number in 100..140 {
            let seconds = u32::from(number) * 600;
            // Every second block has two tips.
            world.hear(A, seconds, job(number));
            let other = job(number + 1000 * (number % 2));
            world.hear(B, seconds + 20, other);
            assert_eq!(world.found(seconds + 21), []);
            assert_eq!(world.found(seconds + 599), []);
        }
    }

    #[test]
    fn one_block_under_two_coins_or_two_targets_is_reported() {
        let mut world = World::new(["BTC", "BCH"]);
        world.hear(A, 0, job(100));
        world.hear(
            B,
            5,
            Glimpse {
                commits: Some(false),
                ..job(1100)
            },
        );
        assert_eq!(world.found(10), []);
        world.hear(
            B,
            10,
            Glimpse {
                commits: Some(false),
                ..job(100)
            },
        );
        assert_eq!(world.found(10), [Finding::OneChain]);
        world.hear(A, 15, job(101));
        assert_eq!(
            world.found(15),
            [Finding::OneChain],
            "B has not got there yet"
        );
        world.heard[B] = false;
        assert_eq!(world.found(20), []);

        // Names that DPMP does not know may be of merged mining.
        let mut world = World::new(["NMC", "BTC"]);
        world.both(0, 100);
        assert_eq!(world.found(10), []);

        for (chains, told) in [(["BTC", "BTC"], true), (["TBTC", "TBTC"], false)] {
            let mut world = World::new(chains);
            world.hear(A, 0, job(100));
            world.hear(
                B,
                0,
                Glimpse {
                    nbits: NBITS + 1,
                    ..job(100)
                },
            );
            let expected = told.then_some(Finding::TargetsDiffer);
            assert_eq!(world.found(0), expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_witness_commitment_proves_nothing_on_a_test_network() {
        let mut world = World::new(["BTC", "BCHTEST"]);
        world.hear(B, 1, job(1));
        assert_eq!(world.found(0), []);
    }

    #[test]
    fn a_witness_commitment_identifies_the_chain() {
        for coin in ["BCH", "BSV", "XEC"] {
            let mut world = World::new(["BTC", coin]);
            world.hear(
                B,
                0,
                Glimpse {
                    commits: Some(false),
                    ..job(1)
                },
            );
            assert_eq!(world.found(0), []);
            world.hear(B, 1, job(1));
            let wrong = Finding::WrongChain(B, Mismatch::Witness);
            assert_eq!(world.found(1), [wrong]);
            // An empty block on the wrong chain needs none, either.
            let empty = Glimpse {
                commits: Some(false),
                is_empty: true,
                ..job(2)
            };
            world.hear(B, 2, empty);
            assert_eq!(world.found(2), [wrong]);
            world.sights[B] = Sights::default();
            assert_eq!(world.found(3), []);
        }

        let mut world = World::new(["BTC", "DGB"]);
        let bare = |seconds: u32, is_empty| Glimpse {
            commits: Some(false),
            is_empty,
            ..job(u16::try_from(seconds / 100).unwrap())
        };
        for seconds in 1..40 {
            world.hear(A, seconds, bare(seconds, true));
            world.hear(B, seconds, bare(1000, false));
        }
        for seconds in 40..49 {
            world.hear(A, seconds, bare(seconds, false));
            // The same job again does not count.
            world.hear(A, seconds, bare(seconds, false));
            assert_eq!(world.found(seconds), []);
        }
        world.hear(A, 50, bare(50, false));
        assert_eq!(world.found(50), [Finding::NoWitness(A)]);
        world.hear(
            A,
            51,
            Glimpse {
                commits: Some(true),
                ..bare(51, true)
            },
        );
        assert_eq!(world.found(51), []);
    }

    #[test]
    fn blocks_without_proof_of_work_belong_to_another_chain() {
        let invented = |number| Glimpse {
            previous: BlockHash([0x11; 32]),
            ..job(number)
        };
        for (coin, told) in [
            ("BTC", true),
            ("DGB", false),
            ("TBTC", false),
            ("LTC", false),
        ] {
            let mut world = World::new([coin, coin]);
            world.both(0, 100);
            world.hear(B, 10, invented(101));
            let wrong = Finding::WrongChain(B, Mismatch::Work);
            let expected = told.then_some(wrong);
            assert_eq!(world.found(20), expected.into_iter().collect::<Vec<_>>());
            // A is not behind such a block.
            assert_eq!(
                world
                    .found(200)
                    .contains(&Finding::Lower { slot: A, blocks: 1 }),
                coin == "DGB"
            );
        }
    }

    #[test]
    fn hours_without_a_block_are_reported_on_real_chains() {
        for (coin, told) in [
            ("BTC", true),
            ("DGB", true),
            ("TBTC", false),
            ("LTC", false),
        ] {
            let mut world = World::new([coin, "BTC"]);
            world.hear(A, 0, job(100));
            for seconds in (0..10_800).step_by(60) {
                world.hear(A, seconds, job(100));
                assert_eq!(world.found(seconds), []);
            }
            assert_eq!(
                world.found(10_800).contains(&Finding::NoBlock(A)),
                told,
                "{coin}"
            );
            world.hear(A, 10_801, job(101));
            assert_eq!(world.found(10_801), []);
        }
    }

    #[test]
    fn a_lower_height_with_the_same_target_is_reported_after_90_seconds() {
        let mut world = World::new(["BTC", "BTC"]);
        world.hear(A, 0, job(100));
        world.hear(B, 0, job(103));
        assert_eq!(world.found(89), []);
        let lower = Finding::Lower { slot: A, blocks: 3 };
        assert_eq!(world.found(90), [lower]);
        world.hear(A, 100, job(103));
        assert_eq!(world.found(100), []);
        // Another target: heights cannot be compared with the other pool's.
        world.hear(
            B,
            200,
            Glimpse {
                nbits: NBITS + 1,
                ..job(105)
            },
        );
        assert_eq!(world.found(900), []);
    }

    #[test]
    fn a_clock_far_from_the_median_is_wrong() {
        let behind = |job: Glimpse| Glimpse {
            ntime: START - 900,
            ..job
        };
        let off = |slot, minutes, is_certain| Finding::Clock {
            slot,
            minutes,
            is_certain,
        };
        let mut world = World::new(["BTC", "BTC"]);
        world.hear(A, 0, behind(job(1)));
        world.hear(B, 0, job(1));
        // Those were the first jobs of their connections: they may be old.
        assert_eq!(world.found(3000), []);
        world.hear(B, 3010, job(1));
        world.hear(A, 3010, behind(job(1)));
        assert_eq!(world.found(3609), []);
        assert_eq!(world.found(3610), [off(A, -15, true)]);
        // Another connection of the pool needs two jobs.
        world.conns[A] = 2;
        world.hear(A, 3620, behind(job(1)));
        assert_eq!(world.found(3620), []);
        world.hear(A, 3650, job(1));
        assert_eq!(world.found(9000), []);

        // A wrong wall clock is outvoted; one that is not trusted has no vote.
        for (right, found) in [
            (true, vec![off(B, 30, true)]),
            (false, vec![off(A, -15, false), off(B, 15, false)]),
        ] {
            let mut world = World::new(["BTC", "BCH"]);
            world.clock_is_right = right;
            let ahead = Glimpse {
                ntime: START + 1800,
                commits: Some(false),
                ..job(1000)
            };
            for seconds in [0, 30] {
                world.hear(A, seconds, job(1));
                world.hear(B, seconds, ahead);
            }
            assert_eq!(world.found(629), []);
            assert_eq!(world.found(630), found);
        }
        let mut world = World::new(["BTC", "BTC"]);
        for seconds in [0, 30] {
            for slot in PoolSlot::ALL {
                world.hear(
                    slot,
                    seconds,
                    Glimpse {
                        ntime: START + 3600,
                        ..job(1)
                    },
                );
            }
        }
        assert_eq!(world.found(1000), []);
        let mut world = World::new(["BTC", "TBTC"]);
        for seconds in [0, 30] {
            world.hear(A, seconds, job(1));
            world.hear(
                B,
                seconds,
                Glimpse {
                    ntime: START + 1800,
                    ..job(1000)
                },
            );
        }
        assert_eq!(world.found(1000), []);
    }
}
