//! Whether a pool's jobs pay the owner what they should, by the setting `payout` or compared with the first jobs.
//!
//! - With `auto`, three full jobs that agree define what is usual. Later only less is wrong: another kind of payee, or
//!   a share for the owner's address that is more than a percentage point lower. After three jobs of a better kind,
//!   that becomes the usual one.
//! - The usual payout is remembered across restarts, for each address of the pool and each payout address.
//! - It is wrong once two blocks in a row were wrong, and right again with the first job that pays enough.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{PayoutRule, PoolConfig};
use crate::core::insight::payee::{Payment, PayoutKind};
use crate::stratum::job::BlockHash;

/// How many jobs must agree.
const LESSONS: u32 = 3;

/// How far the owner's part may fall.
const LEEWAY: f64 = 0.01;

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
    lesson: Option<(u32, Usual)>,
    /// The first block in a row with a job that pays too little.
    less_on: Option<BlockHash>,
    wrong: Option<WrongPayout>,
}

impl PayoutWatch {
    /// Follows the configuration: earlier jobs do not count after a change.
    pub fn follow(&mut self, pool: &PoolConfig) {
        let of = format!("{} {}", pool.address(), pool.wallet);
        let rule = Some((pool.payout, pool.payout_min / 100.0));
        if self.state.of != of || self.state.rule != rule {
            self.state = State {
                of,
                rule,
                ..State::default()
            };
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
        match (
            expected.filter(|it| it.is_missed(payment)),
            self.state.less_on,
        ) {
            (None, _) => {
                self.state.less_on = None;
                self.state.wrong = None;
            }
            (Some(_), None) => self.state.less_on = Some(block),
            (Some(expected), Some(first)) if first != block || self.state.wrong.is_some() => {
                let since = self.state.wrong.map_or(unix_ms, |wrong| wrong.since);
                self.state.wrong = Some(WrongPayout {
                    since,
                    payment,
                    expected,
                });
            }
            (Some(_), Some(_)) => (),
        }
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
            self.state.less_on = None;
            self.remember(Usual { kind, share });
        }
    }

    /// What is wrong now.
    pub fn wrong(&self) -> Option<WrongPayout> {
        self.state.wrong
    }
}

impl Expected {
    fn is_missed(&self, payment: Payment) -> bool {
        match self {
            Self::AtLeast(least) => payment.share < *least,
            Self::Usual(usual) => {
                let falls = payment.share < usual.share - LEEWAY;
                payment.kind > usual.kind || usual.kind == PayoutKind::Mine && falls
            }
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
            self.watch.follow(&self.pool);
            self.time += 1;
            let payment = Payment {
                kind,
                share,
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
        // Within a point, for one block, and on one block only.
        assert_eq!(world.block(Mine, 0.971), None);
        assert_eq!(world.block(Mine, 0.971), None);
        assert_eq!(world.block(Mine, 0.969), None);
        assert_eq!(world.job(Mine, 0.969), None);
        assert_eq!(world.block(Mine, 0.98), None);
        assert_eq!(world.block(Pool, 0.0), None);
        assert_eq!(world.block(Mine, 0.98), None);
        // On two blocks.
        assert_eq!(world.block(Mine, 0.969), None);
        let since = world.block(Mine, 0.969);
        assert_eq!(since, Some(world.time));
        assert_eq!(world.block(Pool, 0.0), since);
        assert_eq!(world.job(Mine, 0.98), None, "over");
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
