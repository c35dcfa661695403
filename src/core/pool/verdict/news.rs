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

/// A pool that sent this many new jobs on one block does so regularly.
const REFRESHES: u32 = 10;

/// Its silence must be this many times as long as its longest recent interval.
const UNUSUAL: u32 = 10;

/// How long the other pool must have moved on before this is reported, and before DPMP acts on it.
pub const LEFT: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(90)];

/// How many heights above a pool's block a block may be to replace it. One further above is on another chain, or the
/// pool was down for long.
const MOST_ABOVE: u32 = 12;

/// How many blocks of one height a race may have. A pool with more of them does not write the height.
const MOST_TIPS: usize = 3;

/// The history of a pool's jobs.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The blocks that its jobs built on, newest last.
    blocks: VecDeque<SeenBlock>,
    /// The latest time in the header of a job on the newest block.
    ntime: u32,
    /// When the pool last sent something new.
    at: Option<Instant>,
    /// The number of new jobs on the newest block, and the maximum on any block.
    refreshes: u32,
    most_refreshes: u32,
    /// The last intervals between new jobs on one block.
    intervals: VecDeque<Duration>,
    /// The flaw of the current jobs.
    flaw: Option<(Flaw, Now)>,
}

/// A block that a pool's jobs built on.
#[derive(Clone, Debug)]
struct SeenBlock {
    hash: BlockHash,
    since: Now,
    nbits: u32,
    /// The height of the job's block, if the coinbase contains it.
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

    /// Whether it may replace a block: not if its height is the same, as in a race, or lower.
    fn may_replace(&self, other: &Self) -> bool {
        let heights = other.height.zip(self.height);
        heights.is_none_or(|(old, new)| new > old && new - old <= MOST_ABOVE)
    }
}

/// Whether a coin's blocks prove their work, by the coin's name in the settings. If not, a newer block is only
/// reported, because anyone could make it up.
pub fn can_be_proven(chain: &str) -> bool {
    Chain::of_name(chain).is_some_and(Chain::hash_shows_work)
}

/// The other pool has moved on from the block of a pool's jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftBlock {
    /// Since when.
    pub since: Now,
    /// Whether the work of a newer block proves it.
    pub proven: bool,
}

impl News {
    /// Records a job on a connection that was opened at `opened`.
    pub fn hear(&mut self, job: &Notify, opened: Instant, now: Now) {
        let hash = job.previous();
        match self.blocks.back() {
            Some(newest) if newest.hash == hash => {
                if job.ntime <= self.ntime {
                    return;
                }
                // A new header time does not make an old block new.
                self.flaw = self.flaw.filter(|(flaw, _)| *flaw == Flaw::Behind);
                // Time without a connection does not count.
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
            // One of the pool's servers is behind the others.
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

    /// The flaw of the current jobs, and since when.
    pub fn flaw(&self) -> Option<(Flaw, Now)> {
        self.flaw
    }

    /// Whether this pool moved on from a job's block a while ago, to one that proves its work.
    pub fn has_left(&self, job: &Notify, now: Now) -> bool {
        let block = SeenBlock::of(job, now);
        let mut after = self.after(block.hash);
        let next =
            after.find(|next| next.may_replace(&block) && next.hash.may_precede(block.nbits));
        next.is_some_and(|next| later(next.since.at, LEFT[1]) <= now.at)
    }

    /// Whether the other pool has moved on from the block of this one's jobs. `provable`: see [`can_be_proven`].
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

    /// Judges the current jobs. `left`: whether the other pool has moved on; `patience`: how long a pool may send
    /// nothing new if it used to.
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

    /// When the result of [`judge`](Self::judge) may change.
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

    /// By when something new must arrive.
    fn due(&self, patience: Duration) -> Option<Instant> {
        let longest = self.intervals.iter().max()?;
        let known = self.most_refreshes >= REFRESHES;
        let at = self.at.filter(|_| known)?;
        at.checked_add(patience.max(*longest * UNUSUAL))
    }

    /// The blocks after this one in its jobs.
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

    /// The hash of a block in wire order, with enough work for any target, or with none.
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

        /// The verdict about A at that time.
        fn judge(&mut self, seconds: u64, provable: bool) -> Option<Flaw> {
            let now = self.at(seconds);
            let left = self.a.left_by(&self.b, provable);
            self.a.judge(left, PATIENCE, now);
            self.a.flaw().map(|(flaw, _)| flaw)
        }
    }

    #[test]
    fn a_pool_is_behind_90_seconds_after_the_other_moved_to_a_new_block() {
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
        // The same block with a later time is not new, and neither is an older block.
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
    fn blocks_need_proof_of_work() {
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
    fn a_replay_of_old_blocks_gives_no_verdict() {
        // B returns to blocks with enough work that were there before A's.
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
        // Neither is one far above, which is on another chain.
        world.b(9100, 113);
        assert_eq!(world.judge(9900, true), None);
        world.b(9900, 112);
        assert_eq!(world.judge(9989, true), None);
        assert_eq!(world.judge(9990, true), Some(Flaw::Behind));
    }

    #[test]
    fn other_coins_block_races_and_forks_give_no_verdict() {
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
    fn a_pool_that_never_changes_the_coinbase_height_can_leave_a_block() {
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
    fn only_a_pool_that_refreshes_jobs_can_stop_refreshing() {
        // New jobs only at new blocks, and a gap of two hours.
        let mut world = World::new();
        for number in 1..20 {
            world.a(600 * u64::from(number), number, 1);
        }
        assert_eq!(world.judge(12_000 + 7200, true), None);

        // Every 30 s, then nothing.
        let mut world = World::new();
        for refresh in 0..11 {
            world.a(30 * u64::from(refresh), 1, refresh);
        }
        assert_eq!(world.judge(1199, true), None);
        assert_eq!(world.judge(1200, true), Some(Flaw::WithoutNews));
        // The same job on a new connection is not new, but a later time is.
        world.a(1300, 1, 10);
        assert_eq!(world.judge(1300, true), Some(Flaw::WithoutNews));
        world.a(1301, 1, 11);
        assert_eq!(world.judge(1301, true), None);

        // A pool that sometimes takes five minutes may take fifty. Time without a connection does not count.
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
    fn the_coin_decides_what_can_be_proven() {
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
