//! Whether a pool's jobs are still up to date.
//!
//! A pool whose node hangs still answers shares but sends no new job. DPMP notices this in two ways: the other pool has
//! moved on from the block of its jobs, or the pool sends nothing new although it used to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::later;
use crate::coin::Chain;
use crate::core::outage::Flaw;
use crate::stratum::job::{BlockHash, Notify};
use crate::units::Now;

/// How many blocks of a pool are remembered.
const MOST_BLOCKS: usize = 64;

/// How many of the last intervals are remembered.
const MOST_INTERVALS: usize = 64;

/// A pool that gave so many new jobs on one block gives them by habit.
const REFRESHES: u32 = 10;

/// Its silence has to be so many times as long as the longest one of late.
const UNUSUAL: u32 = 10;

/// How long the other pool has left a block before it is told, and before it is acted on.
pub const LEFT: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(90)];

/// How far above a pool's block one may be that replaces it. One that is farther off is of another chain, or its pool was
/// away for long.
const MOST_ABOVE: u32 = 12;

/// How many blocks of one height a race may have. A pool that names more does not write the height.
const MOST_TIPS: usize = 3;

/// The jobs of a pool as they came.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The blocks that its jobs stood on, the newest last.
    blocks: VecDeque<SeenBlock>,
    /// The latest time in the header of a job on the newest block.
    ntime: u32,
    /// When there was something new.
    at: Option<Instant>,
    /// How many new jobs there were on the newest block, and on any of them at the most.
    refreshes: u32,
    most_refreshes: u32,
    /// The last times between new jobs on one block.
    intervals: VecDeque<Duration>,
    /// What is wrong with the present jobs.
    flaw: Option<(Flaw, Now)>,
}

/// A block that a pool's jobs stood on.
#[derive(Clone, Debug)]
struct SeenBlock {
    hash: BlockHash,
    since: Now,
    nbits: u32,
    /// The height of the block that the job is for, if the coinbase says it.
    height: Option<u32>,
}

impl SeenBlock {
    fn of(job: &Notify, since: Now) -> Self {
        Self {
            hash: job.previous(),
            since,
            nbits: job.nbits,
            height: job.height(),
        }
    }

    /// Whether it may replace a block: not if it has the same height, as in a race, or a lower one.
    fn may_replace(&self, other: &Self) -> bool {
        let heights = other.height.zip(self.height);
        heights.is_none_or(|(old, new)| new > old && new - old <= MOST_ABOVE)
    }
}

/// Whether blocks of a coin can prove themselves by their work; by the name that the owner gave the coin. Where they
/// cannot, a newer block is told and never acted on: anyone could make it up.
pub fn can_be_proven(chain: &str) -> bool {
    Chain::of_name(chain).is_some_and(Chain::hash_shows_work)
}

/// The other pool has left the block on which a pool's jobs stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftBlock {
    /// Since when.
    pub since: Now,
    /// Whether the work of a newer block proves it.
    pub proven: bool,
}

impl News {
    /// Takes in a job that came on a connection that was opened then.
    pub fn hear(&mut self, job: &Notify, opened: Instant, now: Now) {
        let hash = job.previous();
        match self.blocks.back() {
            Some(newest) if newest.hash == hash => {
                if job.ntime <= self.ntime {
                    return;
                }
                // A new time in the header does not make an old block a new one.
                self.flaw = self.flaw.filter(|(flaw, _)| *flaw == Flaw::Behind);
                // A time in which nobody listened says nothing.
                let before = self.at.filter(|before| opened <= *before);
                if let Some(before) = before {
                    if self.intervals.len() == MOST_INTERVALS {
                        self.intervals.pop_front();
                    }
                    self.intervals
                        .push_back(now.at.saturating_duration_since(before));
                    self.refreshes = self.refreshes.saturating_add(1);
                    self.most_refreshes = self.most_refreshes.max(self.refreshes);
                }
            }
            // One of a pool's servers is behind the others.
            Some(_) if self.blocks.iter().any(|block| block.hash == hash) => return,
            Some(_) | None => {
                if self.blocks.len() == MOST_BLOCKS {
                    self.blocks.pop_front();
                }
                self.blocks.push_back(SeenBlock::of(job, now));
                self.refreshes = 0;
                self.flaw = None;
            }
        }
        self.ntime = job.ntime;
        self.at = Some(now.at);
    }

    /// What is wrong with the present jobs, and since when.
    pub fn flaw(&self) -> Option<(Flaw, Now)> {
        self.flaw
    }

    /// Whether this pool left a job's block a while ago for one that proves itself.
    pub fn has_left(&self, job: &Notify, now: Now) -> bool {
        let block = SeenBlock::of(job, now);
        let mut after = self.after(block.hash);
        let next =
            after.find(|next| next.may_replace(&block) && next.hash.may_precede(block.nbits));
        next.is_some_and(|next| later(next.since.at, LEFT[1]) <= now.at)
    }

    /// Whether the other pool has left the block on which this one's jobs stand. `provable`: see [`can_be_proven`].
    pub fn left_by(&self, other: &Self, provable: bool) -> Option<LeftBlock> {
        let present = self.blocks.back()?;
        let after = || other.after(present.hash);
        let tips = after().filter(|next| next.height == present.height);
        let is_race = tips.count() <= MOST_TIPS;
        let next = after().find(|next| {
            next.may_replace(present) || (!is_race && next.height == present.height)
        })?;
        let is_new = |block: &SeenBlock| !self.blocks.iter().any(|it| it.hash == block.hash);
        let proves = |block: &SeenBlock| {
            block.may_replace(present) && is_new(block) && block.hash.may_precede(present.nbits)
        };
        let proven = provable && after().any(proves);
        let since = if next.since.at > present.since.at {
            next.since
        } else {
            present.since
        };
        Some(LeftBlock { since, proven })
    }

    /// Judges the present jobs. `left`: what the other pool says of them; `patience`: how long a pool may give nothing
    /// new that used to.
    pub fn judge(&mut self, left: Option<LeftBlock>, patience: Duration, now: Now) {
        if self.flaw.is_some() {
            return;
        }
        let long_left = |left: &LeftBlock| left.proven && later(left.since.at, LEFT[1]) <= now.at;
        self.flaw = if left.as_ref().is_some_and(long_left) {
            Some((Flaw::Behind, now))
        } else if self.due(patience).is_some_and(|due| due <= now.at) {
            Some((Flaw::WithoutNews, now))
        } else {
            None
        };
    }

    /// When [`judge`](Self::judge) may say something new.
    pub fn next_deadline(
        &self,
        left: Option<LeftBlock>,
        patience: Duration,
        now: Instant,
    ) -> Option<Instant> {
        if self.flaw.is_some() {
            return None;
        }
        let left = left.into_iter();
        let left = left.flat_map(|left| LEFT.map(|time| later(left.since.at, time)));
        left.chain(self.due(patience))
            .filter(|due| *due > now)
            .min()
    }

    /// Until when there has to be something new.
    fn due(&self, patience: Duration) -> Option<Instant> {
        let longest = self.intervals.iter().max()?;
        let known = self.most_refreshes >= REFRESHES;
        let at = self.at.filter(|_| known)?;
        at.checked_add(patience.max(*longest * UNUSUAL))
    }

    /// The blocks that came after one that it named.
    fn after(&self, hash: BlockHash) -> impl Iterator<Item = &SeenBlock> {
        let place = self.blocks.iter().rposition(|block| block.hash == hash);
        let skipped = place.map_or(self.blocks.len(), |place| place + 1);
        self.blocks.iter().skip(skipped)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    const NBITS: u32 = 0x1703_4219;
    const PATIENCE: Duration = Duration::from_secs(900);

    struct World {
        start: Instant,
        a: News,
        b: News,
    }

    /// The hash of a block in the order of the wire, with work enough for any target, or with none.
    fn block(number: u8, worked: bool) -> [u8; 32] {
        let mut wire = [if worked { 0 } else { 0xab }; 32];
        wire[0] = number;
        wire
    }

    impl World {
        fn new() -> Self {
            Self {
                start: Instant::now(),
                a: News::default(),
                b: News::default(),
            }
        }

        fn at(&self, seconds: u64) -> Now {
            Now {
                at: self.start + Duration::from_secs(seconds),
                unix_ms: 1000 * seconds,
            }
        }

        fn job(prevhash: [u8; 32], ntime: u32, height: Option<u8>) -> Notify {
            let mut coinb1 = vec![0; 41];
            coinb1.extend([4, 1]);
            coinb1.extend(height);
            Notify {
                job_id: "1".into(),
                prevhash,
                coinb1,
                coinb2: Vec::new(),
                branches: Vec::new(),
                version: 1,
                nbits: NBITS,
                ntime,
                clean: true,
            }
        }

        fn a(&mut self, seconds: u64, number: u8, ntime: u32) {
            let (job, now) = (
                Self::job(block(number, true), ntime, Some(number)),
                self.at(seconds),
            );
            self.a.hear(&job, self.start, now);
        }

        fn b(&mut self, seconds: u64, number: u8) {
            let (job, now) = (
                Self::job(block(number, true), 1, Some(number)),
                self.at(seconds),
            );
            self.b.hear(&job, self.start, now);
        }

        /// What is said of A then.
        fn judge(&mut self, seconds: u64, provable: bool) -> Option<Flaw> {
            let now = self.at(seconds);
            let left = self.a.left_by(&self.b, provable);
            self.a.judge(left, PATIENCE, now);
            self.a.flaw().map(|(flaw, _)| flaw)
        }
    }

    #[test]
    fn a_pool_is_behind_90_seconds_after_the_other_has_left_its_block() {
        let mut world = World::new();
        world.a(0, 1, 1);
        world.b(5, 1);
        assert_eq!(world.a.left_by(&world.b, true), None);
        world.b(600, 2);
        let left = world.a.left_by(&world.b, true).unwrap();
        assert_eq!((left.since.unix_ms, left.proven), (600_000, true));
        let now = world.at(600).at;
        let due = world.a.next_deadline(Some(left), PATIENCE, now);
        assert_eq!(due, Some(world.at(630).at));
        assert_eq!(world.judge(689, true), None);
        assert_eq!(world.judge(690, true), Some(Flaw::Behind));
        // The same block with a later time is no news, nor is an older block.
        world.a(700, 1, 99);
        assert_eq!(world.judge(701, true), Some(Flaw::Behind));
        world.a(710, 2, 100);
        assert_eq!(world.judge(711, true), None);
        for (number, left) in [(1, true), (2, false)] {
            let job = World::job(block(number, true), 1, Some(number));
            assert_eq!(world.b.has_left(&job, world.at(711)), left);
        }
    }

    #[test]
    fn blocks_need_proof() {
        for (provable, worked) in [(true, false), (false, true), (false, false)] {
            let mut world = World::new();
            world.a(0, 1, 1);
            world.b(0, 1);
            for number in [2, 3, 4] {
                let now = world.at(600 * u64::from(number));
                let job = World::job(block(number, worked), 1, Some(number));
                world.b.hear(&job, world.start, now);
                let verdict = world.judge(600 * u64::from(number) + 200, provable);
                assert_eq!(verdict, None, "{provable} {worked}");
            }
            let left = world.a.left_by(&world.b, provable).unwrap();
            assert!(!left.proven, "it is told and not acted on");
        }
    }

    #[test]
    fn a_replay_of_old_blocks_is_no_verdict() {
        // B goes back to blocks that have work enough and were there before A's.
        let mut world = World::new();
        world.a(0, 100, 1);
        world.b(0, 100);
        for number in 10..60 {
            world.b(60 * u64::from(number), number);
            let job = World::job(block(100, true), 1, Some(100));
            assert!(!world.b.has_left(&job, world.at(9000)));
        }
        assert_eq!(world.judge(9000, true), None);
        assert_eq!(world.a.left_by(&world.b, true), None, "nor is it told");
        // Nor is one far above: it is of another chain.
        world.b(9100, 113);
        assert_eq!(world.judge(9900, true), None);
        world.b(9900, 112);
        assert_eq!(world.judge(9989, true), None);
        assert_eq!(world.judge(9990, true), Some(Flaw::Behind));
    }

    #[test]
    fn other_coins_races_and_forks_are_no_verdict() {
        // Nothing in common: another coin, or a pool that was reached later.
        let mut world = World::new();
        world.a(0, 1, 1);
        for number in 10..40 {
            world.b(60 * u64::from(number), number);
        }
        assert_eq!(world.judge(9000, true), None);
        assert_eq!(world.a.left_by(&world.b, false), None);

        // Two tips at one height: each has its own, or one of them took sides.
        let mut world = World::new();
        world.a(0, 1, 1);
        world.b(0, 1);
        world.a(600, 2, 1);
        let (other_tip, now) = (World::job(block(200, true), 1, Some(2)), world.at(601));
        world.b.hear(&other_tip, world.start, now);
        assert_eq!(world.judge(3000, true), None);
        let (same, now) = (World::job(block(2, true), 1, Some(2)), world.at(3001));
        world.b.hear(&same, world.start, now);
        assert_eq!(world.judge(4000, true), None);
        let (back, now) = (World::job(block(201, true), 1, Some(2)), world.at(4001));
        world.b.hear(&back, world.start, now);
        assert_eq!(world.judge(9000, true), None, "of one height");
        assert_eq!(world.a.left_by(&world.b, true), None, "nor is it told");
    }

    #[test]
    fn a_pool_whose_coinbase_never_changes_its_height_can_leave_a_block() {
        let mut world = World::new();
        world.a(0, 1, 1);
        world.b(0, 1);
        for number in 2..6 {
            let (job, now) = (
                World::job(block(number, true), 1, Some(1)),
                world.at(600 * u64::from(number)),
            );
            world.b.hear(&job, world.start, now);
            let left = world.a.left_by(&world.b, true);
            let told = left.map(|left| (left.since.unix_ms, left.proven));
            let expected = (number == 5).then_some((1_200_000, false));
            assert_eq!(
                told, expected,
                "{number}: told once it is no race, never acted on"
            );
        }
        assert_eq!(world.judge(9000, true), None);
    }

    #[test]
    fn only_a_pool_that_refreshes_can_be_without_news() {
        // New jobs only at new blocks, and a gap of two hours.
        let mut world = World::new();
        for number in 1..20 {
            world.a(600 * u64::from(number), number, 1);
        }
        assert_eq!(world.judge(12_000 + 7200, true), None);

        // Every 30 s, then nothing any more.
        let mut world = World::new();
        for refresh in 0..11 {
            world.a(30 * u64::from(refresh), 1, refresh);
        }
        assert_eq!(world.judge(1199, true), None);
        assert_eq!(world.judge(1200, true), Some(Flaw::WithoutNews));
        // The same job on a new connection is no news, a later time is.
        world.a(1300, 1, 10);
        assert_eq!(world.judge(1300, true), Some(Flaw::WithoutNews));
        world.a(1301, 1, 11);
        assert_eq!(world.judge(1301, true), None);

        // One that takes five minutes now and then may take fifty; a time in which nobody listened does not count.
        let mut world = World::new();
        let mut ntime = 0;
        for second in (0..3000).step_by(300) {
            ntime += 1;
            world.a(second, 1, ntime);
        }
        let (job, now) = (World::job(block(1, true), 11, Some(1)), world.at(90_000));
        world.a.hear(&job, now.at, now);
        world.a(90_300, 1, 12);
        assert_eq!(world.judge(93_299, true), None);
        assert_eq!(world.judge(93_300, true), Some(Flaw::WithoutNews));
    }

    #[test]
    fn what_can_be_proven_depends_on_the_coin() {
        for name in ["BTC", "bch", "XEC", "Bitcoin", "xbt", "eCash"] {
            assert!(can_be_proven(name), "{name}");
        }
        for name in [
            "DGB", "", "LTC", "TBTC", "Testnet4", "SIGNET", "REGTEST", "chipnet",
        ] {
            assert!(!can_be_proven(name), "{name}");
        }
    }
}
