//! Whether a pool's jobs pay the owner what they should, by the setting `payout` or compared with the first jobs.
//!
//! - With `auto`, three full jobs that agree define what is usual. After three jobs of a better kind, that becomes the
//!   usual one. The usual payout is remembered across restarts, for each address of the pool and each payout address.
//! - If the owner usually gets 90% or more, a loss of more than a percentage point is wrong. If the owner usually gets
//!   50% to 90%, a loss of more than half of that is wrong.
//! - If the reward is usually split, the owner's part varies, even to nothing, and another miner may get half of it. It
//!   is wrong only if nearly all goes to one other address.
//! - A block counts as wrong if any of its jobs was: a pool could pay right in the first one only. The payout is wrong
//!   once two of the last three blocks were, and right again once none of the three is. The present block counts with
//!   the jobs so far.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::{PayoutRule, PoolConfig};
use crate::core::insight::payee::{Payment, PayoutKind};
use crate::stratum::job::BlockHash;

/// How many jobs must agree.
const LESSONS: usize = 3;

/// How far the owner's part may fall if it is nearly all. A part smaller than this counts as none.
const LEEWAY: f64 = 0.01;

/// With this part for one address, a reward is not split; the rest is the pool's fee.
const NEARLY_ALL: f64 = 0.9;

/// How many blocks are remembered.
const BLOCKS: usize = 3;

/// So many of them must be wrong.
const ENOUGH: usize = 2;

/// For how many addresses the usual payout is remembered.
const MOST_USUAL: usize = 16;

/// Watches who a pool's jobs pay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PayoutWatch {
    /// The usual payout, by the pool's address and the payout address.
    usual: BTreeMap<String, Usual>,
    #[serde(skip)]
    state: State,
}

/// What a pool's jobs usually pay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// Who gets half of the reward or more.
    pub kind: PayoutKind,
    /// The owner's part, from 0 to 1.
    pub share: f64,
}

/// What the job should pay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// As before.
    Usual(Usual),
    /// At least this part to the owner, from 0 to 1.
    AtLeast(f64),
}

/// Jobs that pay the owner less than they should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrongPayout {
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// What they pay.
    pub payment: Payment,
    /// What they should pay.
    pub expected: Expected,
}

/// State that is not kept across restarts.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    /// The pool's address and the payout address.
    of: String,
    rule: Option<(PayoutRule, f64)>,
    /// Jobs that agree and pay more than usual.
    lesson: Option<(usize, Usual)>,
    /// The last blocks, the newest first, and whether a job of theirs paid too little.
    blocks: VecDeque<(BlockHash, bool)>,
    wrong: Option<WrongPayout>,
}

impl PayoutWatch {
    /// What the pool usually pays, if that is known here.
    pub fn usual_of(&self, pool: &PoolConfig) -> Option<Usual> {
        self.usual.get(&name_of(pool)).copied()
    }

    /// Follows the configuration: earlier jobs do not count after a change. `elsewhere` is what the pool paid as the
    /// other pool, since both may have been swapped.
    pub fn follow(&mut self, pool: &PoolConfig, elsewhere: Option<Usual>) {
        let of = name_of(pool);
        let rule = Some((pool.payout, pool.payout_min / 100.0));
        if self.state.of != of || self.state.rule != rule {
            self.state = State {
                of,
                rule,
                ..State::default()
            };
            if let Some(usual) = elsewhere.filter(|_| self.present().is_none()) {
                self.remember(usual);
            }
        }
    }

    /// Records what a job on this block pays. Returns whether there is something new to remember.
    pub fn hear(&mut self, payment: Payment, block: BlockHash, unix_ms: u64) -> bool {
        let before = self.present();
        let expected = match self.state.rule {
            Some((PayoutRule::Auto, _)) => self.learn(payment).map(Expected::Usual),
            Some((PayoutRule::Mine, least)) => Some(Expected::AtLeast(least)),
            Some((PayoutRule::Pool, _)) | None => None,
        };
        let missed = expected.filter(|it| it.is_missed(payment));
        self.state.note(block, missed.is_some());
        self.state.wrong = match (self.state.wrong, missed) {
            (None, Some(expected)) if self.state.is_wrong() => Some(WrongPayout {
                since: unix_ms,
                payment,
                expected,
            }),
            (Some(wrong), Some(expected)) => Some(WrongPayout {
                payment,
                expected,
                ..wrong
            }),
            (Some(_), None) if self.state.is_right() => None,
            (wrong, _) => wrong,
        };
        self.present() != before
    }

    /// The usual payout so far. A better kind is learned.
    fn learn(&mut self, Payment { kind, share, .. }: Payment) -> Option<Usual> {
        let usual = self.present();
        if usual.is_some_and(|usual| kind >= usual.kind) {
            self.state.lesson = None;
            return usual;
        }
        let (count, share) = match self.state.lesson {
            Some((count, before)) if before.kind == kind => (count + 1, before.share.min(share)),
            Some(_) | None => (1, share),
        };
        let learnt = Usual { kind, share };
        self.state.lesson = Some((count, learnt));
        if count >= LESSONS {
            self.remember(learnt);
        }
        usual
    }

    fn present(&self) -> Option<Usual> {
        self.usual.get(&self.state.of).copied()
    }

    fn remember(&mut self, usual: Usual) {
        self.state.lesson = None;
        if self.usual.len() >= MOST_USUAL {
            self.usual.pop_first();
        }
        self.usual.insert(self.state.of.clone(), usual);
    }

    /// The owner dismissed the notice of this time: the payout becomes the usual one.
    pub fn accept(&mut self, since: u64) {
        if let Some(wrong) = self.state.wrong.take_if(|wrong| wrong.since == since) {
            let Payment { kind, share, .. } = wrong.payment;
            self.state.blocks.clear();
            self.remember(Usual { kind, share });
        }
    }

    /// What is wrong now.
    pub fn wrong(&self) -> Option<WrongPayout> {
        self.state.wrong
    }
}

fn name_of(pool: &PoolConfig) -> String {
    format!("{} {}", pool.address(), pool.wallet)
}

impl State {
    fn note(&mut self, block: BlockHash, is_wrong: bool) {
        match self.blocks.iter_mut().find(|(known, _)| *known == block) {
            Some((_, was_wrong)) => *was_wrong |= is_wrong,
            None => {
                self.blocks.push_front((block, is_wrong));
                self.blocks.truncate(BLOCKS);
            }
        }
    }

    fn is_wrong(&self) -> bool {
        self.blocks.iter().filter(|(_, wrong)| *wrong).count() >= ENOUGH
    }

    fn is_right(&self) -> bool {
        self.blocks.len() == BLOCKS && self.blocks.iter().all(|(_, wrong)| !wrong)
    }
}

impl Expected {
    fn is_missed(&self, payment: Payment) -> bool {
        match self {
            Self::AtLeast(least) => payment.share < *least,
            Self::Usual(usual) => match usual.kind {
                PayoutKind::Mine if usual.share < NEARLY_ALL => payment.share < usual.share / 2.0,
                PayoutKind::Mine => payment.share < usual.share - LEEWAY,
                PayoutKind::Shared => payment.share < LEEWAY && payment.other >= NEARLY_ALL,
                PayoutKind::Pool => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::PoolSlot;

    struct World {
        watch: PayoutWatch,
        pool: PoolConfig,
        block: u8,
        time: u64,
    }

    impl World {
        fn new(payout: PayoutRule) -> Self {
            let text = r#"{"pools":{"A":{"host":"pool","wallet":"mine"}}}"#;
            let mut config = crate::config::parse(text).unwrap().config;
            let mut pool = config.pools[PoolSlot::A].take().unwrap();
            pool.payout = payout;
            Self {
                watch: PayoutWatch::default(),
                pool,
                block: 0,
                time: 0,
            }
        }

        /// A job on the current block. Returns since when the payout is wrong.
        fn job(&mut self, kind: PayoutKind, share: f64) -> Option<u64> {
            let other = if kind == Pool { 1.0 - share } else { 0.0 };
            self.job_of(kind, share, other)
        }

        /// The same, with the most that one other address gets.
        fn job_of(&mut self, kind: PayoutKind, share: f64, other: f64) -> Option<u64> {
            self.watch.follow(&self.pool, None);
            self.time += 1;
            let payment = Payment {
                kind,
                share,
                other,
                coin: None,
            };
            let block = BlockHash([self.block; 32]);
            self.watch.hear(payment, block, self.time);
            self.watch.wrong().map(|wrong| wrong.since)
        }

        /// A job on a new block.
        fn block(&mut self, kind: PayoutKind, share: f64) -> Option<u64> {
            self.block += 1;
            self.job(kind, share)
        }

        fn restart(&mut self) {
            let text = serde_json::to_string(&self.watch).unwrap();
            self.watch = serde_json::from_str(&text).unwrap();
        }
    }

    use PayoutKind::{Mine, Pool, Shared};

    #[test]
    fn the_usual_payout_is_learned_from_three_matching_jobs() {
        let mut world = World::new(PayoutRule::Auto);
        for (kind, share) in [(Mine, 0.98), (Mine, 0.981), (Pool, 0.0), (Mine, 0.98)] {
            assert_eq!(world.block(kind, share), None);
        }
        assert_eq!(world.watch.present(), None);
        world.job(Mine, 0.985);
        world.job(Mine, 0.98);
        let usual = Usual {
            kind: Mine,
            share: 0.98,
        };
        assert_eq!(world.watch.present(), Some(usual));
        // Within a point, and on one block only.
        assert_eq!(world.block(Mine, 0.971), None);
        assert_eq!(world.block(Mine, 0.971), None);
        assert_eq!(world.block(Mine, 0.969), None);
        assert_eq!(world.job(Mine, 0.969), None);
        for _ in 0..2 {
            assert_eq!(world.block(Mine, 0.98), None);
        }
        assert_eq!(world.block(Pool, 0.0), None);
        for _ in 0..2 {
            assert_eq!(world.block(Mine, 0.98), None);
        }
        // On two blocks.
        assert_eq!(world.block(Mine, 0.969), None);
        let since = world.block(Mine, 0.969);
        assert_eq!(since, Some(world.time));
        assert_eq!(world.block(Pool, 0.0), since);
        assert_eq!(world.block(Mine, 0.98), since);
        assert_eq!(world.block(Mine, 0.98), since);
        assert_eq!(world.block(Mine, 0.98), None, "over");
    }

    #[test]
    fn paying_right_in_between_hides_nothing() {
        for payout in [PayoutRule::Auto, PayoutRule::Mine] {
            // The first job of each block pays the owner.
            let mut world = World::new(payout);
            for _ in 0..3 {
                world.block(Mine, 0.98);
            }
            assert_eq!(world.job(Pool, 0.0), None);
            assert_eq!(world.block(Mine, 0.98), None);
            let since = world.job(Pool, 0.0);
            assert!(since.is_some());
            for _ in 0..5 {
                assert_eq!(world.block(Mine, 0.98), since);
                assert_eq!(world.job(Pool, 0.0), since);
            }
            // Every second block does, and each one's first job.
            let mut world = World::new(payout);
            for _ in 0..3 {
                world.block(Mine, 0.98);
            }
            world.job(Pool, 0.0);
            world.block(Mine, 0.98);
            world.block(Mine, 0.98);
            let since = world.job(Pool, 0.0);
            assert!(since.is_some());
            for _ in 0..5 {
                assert_eq!(world.block(Mine, 0.98), since);
                assert_eq!(world.block(Mine, 0.98), since);
                assert_eq!(world.job(Pool, 0.0), since);
            }
            // Every second block does.
            let mut world = World::new(payout);
            for _ in 0..3 {
                world.block(Mine, 0.98);
            }
            world.block(Pool, 0.0);
            world.block(Mine, 0.98);
            let since = world.block(Pool, 0.0);
            assert!(since.is_some());
            for _ in 0..5 {
                assert_eq!(world.block(Mine, 0.98), since);
                assert_eq!(world.block(Pool, 0.0), since);
            }
        }
    }

    #[test]
    fn pools_that_were_swapped_are_known() {
        let mut first = World::new(PayoutRule::Auto);
        for _ in 0..3 {
            first.block(Mine, 1.0);
        }
        let mut other = PayoutWatch::default();
        other.follow(&first.pool, first.watch.usual_of(&first.pool));
        assert_eq!(other.present(), first.watch.present());
    }

    #[test]
    fn whoever_was_content_with_a_part_is_told_when_it_halves() {
        let mut world = World::new(PayoutRule::Auto);
        for share in [0.62, 0.62, 0.62, 0.57, 0.5] {
            assert_eq!(world.block(Mine, share), None);
        }
        for share in [0.45, 0.32, 0.35] {
            assert_eq!(world.block(Shared, share), None);
        }
        world.block(Shared, 0.3);
        assert!(world.block(Shared, 0.3).is_some());
    }

    #[test]
    fn a_part_of_a_split_reward_may_swing() {
        let sharing = |share| {
            let mut world = World::new(PayoutRule::Auto);
            for _ in 0..4 {
                world.block(Shared, share);
            }
            world
        };
        // Another miner gets half, or more.
        let mut world = sharing(0.3);
        for (share, other) in [
            (0.4, 0.6),
            (0.2, 0.8),
            (0.05, 0.95),
            (0.0, 0.51),
            (0.0, 0.7),
        ] {
            assert_eq!(world.job_of(Pool, share, other), None);
            world.block += 1;
        }
        // The owner's part falls to nothing.
        for _ in 0..3 {
            assert_eq!(world.block(Shared, 0.0), None);
        }
        // One address gets all of it.
        let mut world = sharing(0.0);
        world.block(Pool, 0.0);
        assert!(world.block(Pool, 0.0).is_some());
    }

    #[test]
    fn the_usual_payout_is_remembered_per_address_and_wallet() {
        let mut world = World::new(PayoutRule::Auto);
        for _ in 0..3 {
            world.job(Mine, 1.0);
        }
        world.restart();
        assert_eq!(world.block(Pool, 0.0), None);
        assert!(world.block(Pool, 0.0).is_some());
        world.pool.wallet = "other".into();
        for _ in 0..4 {
            assert_eq!(world.block(Pool, 0.0), None);
        }
        world.pool.wallet = "mine".into();
        assert_eq!(world.block(Pool, 0.0), None);
        assert!(world.block(Pool, 0.0).is_some());
        for number in 0..100 {
            world.pool.wallet = number.to_string();
            for _ in 0..3 {
                world.job(Mine, 1.0);
            }
        }
        assert_eq!(world.watch.usual.len(), MOST_USUAL);
    }

    #[test]
    fn higher_pay_is_never_wrong_and_the_owner_may_accept_less() {
        let mut world = World::new(PayoutRule::Auto);
        for share in [0.0, 0.01, 0.3, 0.0, 0.2, 0.001] {
            assert_eq!(world.block(Shared, share), None, "it swings");
        }
        for _ in 0..3 {
            assert_eq!(world.block(Mine, 0.99), None);
        }
        assert_eq!(world.block(Shared, 0.3), None);
        let since = world.block(Shared, 0.3).unwrap();
        world.watch.accept(since + 1);
        assert_eq!(world.block(Shared, 0.3), Some(since));
        world.watch.accept(since);
        for _ in 0..3 {
            assert_eq!(world.block(Shared, 0.3), None);
        }
        world.block(Pool, 0.0);
        assert!(world.block(Pool, 0.0).is_some(), "less again");
    }

    #[test]
    fn the_owner_may_set_the_expected_payee() {
        let mut world = World::new(PayoutRule::Mine);
        assert_eq!(world.block(Mine, 0.9), None);
        assert_eq!(world.block(Mine, 0.899), None);
        assert_eq!(world.block(Mine, 0.899), Some(world.time));
        world.pool.payout_min = 85.0;
        assert_eq!(world.block(Mine, 0.899), None);
        world.block(Pool, 0.0);
        assert!(world.block(Pool, 0.0).is_some());
        world.pool.payout = PayoutRule::Pool;
        for kind in [Pool, Shared, Mine, Pool, Pool] {
            assert_eq!(world.block(kind, 0.0), None);
        }
    }
}
