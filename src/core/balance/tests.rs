//! Weeks of two coins in virtual time, and cases that do not occur in them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::core::balance::steps::{BETWEEN_REVERSALS, BETWEEN_STEPS};
use crate::random::Random;
use crate::stratum::coinbase::Coinbase;
use crate::stratum::job::{Notify, PoolJob, network_difficulty};
use crate::units::{Difficulty, Extranonce1, VersionMask, later};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const BCH_DIFFICULTY: f64 = 6e11;
const BTC_DIFFICULTY: f64 = 1.2e14;

/// A's usual part is 70; A mines BTC, B BCH.
fn config() -> Config {
    let text = r#"{"pools": {"A": {"host": "a", "wallet": "w", "chain": "BTC"},
                             "B": {"host": "b", "wallet": "w", "chain": "BCH"}},
                   "scheduler": {"poolA_weight": 70, "poolB_weight": 30}}"#;
    let mut config = crate::config::parse(text).unwrap().config;
    assert_eq!(config.share(PoolSlot::A), 0.7);
    config.balance.enabled = true;
    config
}

fn prices(btc: f64, bch: f64) -> BTreeMap<String, f64> {
    [("BTC".to_owned(), btc), ("BCH".to_owned(), bch)].into()
}

/// The price of BCH at which a hash earns the same as at BTC for 100,000, if both blocks pay the same.
fn even() -> f64 {
    100_000.0 * BCH_DIFFICULTY / BTC_DIFFICULTY
}

/// A compact target of about this difficulty.
fn nbits(difficulty: f64) -> u32 {
    let of_exponent = |exponent: u32| {
        let one = network_difficulty(exponent << 24 | 1);
        (one / difficulty).floor()
    };
    let exponent =
        (4..=32u32).find(|exponent| (32_768.0..8_388_608.0).contains(&of_exponent(*exponent)));
    let exponent = exponent.unwrap();
    let wanted = of_exponent(exponent);
    let mantissa = (0..23).rev().fold(0u32, |found, bit| {
        let more = found | 1 << bit;
        if f64::from(more) <= wanted {
            more
        } else {
            found
        }
    });
    exponent << 24 | mantissa
}

/// A job whose block pays this many coins.
fn job(coins: f64, difficulty: f64) -> PoolJob {
    let reward = (0..40).rev().fold(0u64, |found, bit| {
        let more = found | 1 << bit;
        let [high, low] = [more >> 20, more & 0xf_ffff].map(|half| u32::try_from(half).unwrap());
        let value = f64::from(high) * 1_048_576.0 + f64::from(low);
        if value <= coins * 1e8 { more } else { found }
    });
    let mut start = vec![1, 0, 0, 0, 1];
    start.extend([0; 32]);
    start.extend([0xff; 4]);
    start.extend([4 + 8, 3, 1, 2, 3]);
    let mut end = vec![0xff; 4];
    end.push(1);
    end.extend(reward.to_le_bytes());
    end.extend([1, 0x51, 0, 0, 0, 0]);
    let notify = Notify {
        job_id: "1".into(),
        prevhash: [0; 32],
        coinb1: start,
        coinb2: end,
        branches: Vec::new(),
        version: 1,
        nbits: nbits(difficulty),
        ntime: 0,
        clean: true,
    };
    let e1 = Extranonce1::new(&[7; 4]).unwrap();
    PoolJob::new(Arc::new(notify), e1, 4, Difficulty::ONE, VersionMask::NONE)
}

/// How the difficulty follows the blocks.
#[derive(Clone, Copy, Debug)]
enum Retarget {
    /// A little after each block.
    EachBlock,
    /// After each 2016.
    Each2016,
}

/// A coin's chain and the jobs that a pool makes on it.
struct Chain {
    retarget: Retarget,
    difficulty: f64,
    usual_difficulty: f64,
    height: u64,
    /// When the last block was, and the next one is, in seconds.
    last: f64,
    next: f64,
    epoch: f64,
    /// The fees in a block of average age, in coins.
    fees: f64,
}

impl Chain {
    fn new(retarget: Retarget, difficulty: f64) -> Self {
        Self {
            retarget,
            difficulty,
            usual_difficulty: difficulty,
            height: 0,
            last: 0.0,
            next: 0.0,
            epoch: 0.0,
            fees: 0.05,
        }
    }

    /// The blocks until then. The network's hashrate varies by a tenth each day and grows a little.
    fn go_on(&mut self, seconds: u64, random: &mut Random) {
        let seconds = whole(seconds);
        while self.next <= seconds {
            let time = self.next - self.last;
            self.last = self.next;
            self.height += 1;
            match self.retarget {
                Retarget::EachBlock => {
                    self.difficulty *= ((600.0 - time) / whole(2 * DAY)).exp2();
                }
                Retarget::Each2016 if self.height % 2016 == 0 => {
                    let took = self.last - self.epoch;
                    self.epoch = self.last;
                    self.difficulty *= (2016.0 * 600.0 / took).clamp(0.25, 4.0);
                }
                Retarget::Each2016 => (),
            }
            let days = self.last / whole(DAY);
            let hashes = (1.0 + 0.1 * (days * 6.3).sin()) * (days * 0.001).exp();
            let usual = 600.0 * self.difficulty / self.usual_difficulty / hashes;
            self.next = self.last - usual * (1.0 - random.unit()).ln();
            self.fees = 0.02 + 0.3 * random.unit() * random.unit() * random.unit();
        }
    }

    /// What a job pays at this moment: only the subsidy in the first half minute of some blocks.
    fn coins(&self, seconds: u64) -> f64 {
        let age = whole(seconds) - self.last;
        if age < 30.0 && self.height % 3 > 0 {
            3.125
        } else {
            3.125 + self.fees * (age / 600.0).min(2.0)
        }
    }
}

fn reward(job: &PoolJob) -> Option<u64> {
    Coinbase::of_job(job).map(|coinbase| coinbase.reward())
}

/// What a terahash earns in a day, in coins.
fn per_day(coins: f64, difficulty: f64) -> f64 {
    coins * 86_400e12 / (difficulty * 2f64.powi(32))
}

fn whole(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// The observed steps, which are checked as they come.
#[derive(Debug, Default)]
struct Seen {
    steps: Vec<(u64, Move)>,
    reversals: Vec<u64>,
}

impl Seen {
    fn add(&mut self, seconds: u64, step: Move) {
        assert!(
            step.problem.is_some() || (step.to - step.from).abs() >= SMALLEST,
            "{step:?}"
        );
        assert!((50.0..=90.0).contains(&step.to), "{step:?}");
        if let Some((before, last)) = self.steps.last() {
            assert!(seconds - before >= BETWEEN_STEPS.as_secs(), "{step:?}");
            assert_eq!(last.to, step.from);
            if (last.to > last.from) != (step.to > step.from) {
                if let Some(reversal) = self.reversals.last() {
                    assert!(
                        seconds - reversal >= BETWEEN_REVERSALS.as_secs(),
                        "{step:?}"
                    );
                }
                self.reversals.push(seconds);
            }
        }
        self.steps.push((seconds, step));
    }
}

struct World {
    start: Now,
    seconds: u64,
    random: Random,
    config: Config,
    chains: PerPool<Chain>,
    balancer: Balancer,
    prices: [f64; 2],
    seen: Seen,
    /// The values of the last day's jobs, and when they arrived.
    jobs: PerPool<VecDeque<(u64, f64)>>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn new(seed: u64) -> Self {
        Self {
            start: Now {
                at: Instant::now(),
                unix_ms: 1_750_000_000_000,
            },
            seconds: 0,
            random: Random::new(seed),
            config: config(),
            chains: PerPool::new(
                Chain::new(Retarget::Each2016, BTC_DIFFICULTY),
                Chain::new(Retarget::EachBlock, BCH_DIFFICULTY),
            ),
            balancer: Balancer::default(),
            prices: [100_000.0, even()],
            seen: Seen::default(),
            jobs: PerPool::default(),
        }
    }

    fn now(&self) -> Now {
        Now {
            at: later(self.start.at, Duration::from_secs(self.seconds)),
            unix_ms: self.start.unix_ms + self.seconds * 1000,
        }
    }

    fn put_prices(&mut self) {
        let [btc, bch] = self.prices;
        let now = self.now();
        self.balancer
            .put_prices(&prices(btc, bch), &self.config, now);
    }

    /// Lets both pools send jobs for this long, except those in `away`.
    fn run(&mut self, seconds: u64, away: &[PoolSlot]) {
        let end = self.seconds + seconds;
        while self.seconds < end {
            self.seconds += 1 + self.random.below(90);
            let (at, now) = (self.seconds, self.now());
            for slot in PoolSlot::ALL {
                self.chains[slot].go_on(at, &mut self.random);
                if !away.contains(&slot) {
                    let (coins, difficulty) =
                        (self.chains[slot].coins(at), self.chains[slot].difficulty);
                    self.jobs[slot].push_back((at, coins / difficulty));
                    let chain = &self.config.pools[slot].as_ref().unwrap().chain;
                    self.balancer.earnings[slot].hear(chain, Some(per_day(coins, difficulty)), now);
                }
            }
            if let Some(step) = self.balancer.follow(&self.config, false, now) {
                self.seen.add(at, step);
            }
        }
    }

    fn restart(&mut self) {
        let mut kept = self.balancer.clone();
        kept.correct(self.now());
        let text = serde_json::to_string(&kept).unwrap();
        assert!(text.len() < 10_000, "{}", text.len());
        self.balancer = serde_json::from_str(&text).unwrap();
    }

    fn shift(&mut self) -> f64 {
        let shift = self.view().shift.unwrap();
        (shift * 1e6).round() / 1e6
    }

    fn view(&mut self) -> BalanceView {
        let now = self.now();
        self.balancer.view(&self.config, false, now)
    }

    /// The shift by the formula, from the medians of all jobs in this time, at most a day.
    fn exact(&mut self, time: u64) -> f64 {
        let begin = self.seconds.saturating_sub(time);
        let day_ago = self.seconds.saturating_sub(DAY);
        let medians = PerPool::from_fn(|slot| {
            let jobs = &mut self.jobs[slot];
            while jobs.get(1).is_some_and(|(at, _)| *at <= day_ago) {
                jobs.pop_front();
            }
            let ends = jobs.iter().map(|(at, _)| *at).skip(1).chain([self.seconds]);
            let times = jobs.iter().zip(ends);
            let times =
                times.map(|((at, value), end)| (*value, end.saturating_sub((*at).max(begin))));
            let mut times: Vec<_> = times.collect();
            times.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let half = times.iter().map(|(_, time)| time).sum::<u64>() / 2;
            let mut passed = 0;
            let middle = times.iter().find(|(_, time)| {
                passed += time;
                passed > half
            });
            middle.unwrap().0
        });
        let [btc, bch] = self.prices;
        let x = (medians[PoolSlot::A] * btc / (medians[PoolSlot::B] * bch)).ln();
        20.0 * (x / 1.1f64.ln()).clamp(-1.0, 1.0)
    }

    /// The shift by the formula, from what the chains pay on average now.
    fn formula(&self) -> f64 {
        let value = |slot: PoolSlot, price: f64| price / self.chains[slot].difficulty;
        let [btc, bch] = self.prices;
        let x = (value(PoolSlot::A, btc) / value(PoolSlot::B, bch)).ln();
        20.0 * (x / 1.1f64.ln()).clamp(-1.0, 1.0)
    }
}

#[test]
fn weeks_with_two_coins_have_few_steps_and_few_reversals() {
    for seed in 1..=2 {
        let mut world = World::new(seed);
        world.put_prices();
        for hour in 0..6 * 7 * 24u64 {
            for price in &mut world.prices {
                *price *= 1.0 + 0.012 * (world.random.unit() - 0.5);
            }
            // For five days, no program sends prices.
            if !(400..520).contains(&hour) {
                world.put_prices();
            }
            // For two days, B is down.
            let away = (700..748).contains(&hour);
            let away: &[_] = if away { &[PoolSlot::B] } else { &[] };
            world.run(HOUR, away);
            if world.random.below(50) == 0 {
                world.restart();
            }
            if (474..520).contains(&hour) {
                let view = world.view();
                assert_eq!(view.problem, Some(Problem::ExpiredPrices));
                assert_eq!((view.shift, view.wanted), (Some(0.0), None));
            }
            if (726..748).contains(&hour) {
                let view = world.view();
                assert_eq!(view.problem, Some(Problem::NoJob(PoolSlot::B)));
            }
        }
        let Seen { steps, reversals } = &world.seen;
        assert!((10..200).contains(&steps.len()), "{} steps", steps.len());
        assert!((3..=42).contains(&reversals.len()), "{reversals:?}");
        println!(
            "{} steps, {} reversals in six weeks",
            steps.len(),
            reversals.len()
        );
    }
}

#[test]
fn the_shift_reaches_the_value_of_the_formula() {
    for (seed, advantage) in [
        (1, 0.0),
        (2, 0.05),
        (3, -0.04),
        (4, 0.5),
        (5, -0.5),
        (6, 0.02),
    ] {
        let mut world = World::new(seed);
        // No difficulty changes within days.
        world.chains[PoolSlot::B].retarget = Retarget::Each2016;
        world.put_prices();
        world.run(DAY, &[]);
        for more in [advantage, 0.03] {
            world.prices[0] *= 1.0 + more;
            world.put_prices();
            world.run(26 * HOUR, &[]);
            // The fees of a day make up to a point.
            let (shift, formula) = (world.shift(), world.formula());
            let difference = (shift - formula).abs();
            assert!(
                difference < SMALLEST + 1.0,
                "{advantage}: {shift} for {formula}"
            );
        }
    }
}

#[test]
fn the_target_is_the_formula_applied_to_exact_medians() {
    for seed in 1..=2 {
        let mut world = World::new(seed);
        world.prices[0] *= 1.03;
        for _ in 0..15 * 24 {
            world.put_prices();
            world.run(HOUR, &[]);
            let wanted = world.view().wanted.unwrap();
            // Spans end by the half hour, so a day is up to that much shorter.
            let exact = [DAY, DAY - HOUR / 2].map(|time| world.exact(time));
            let low = exact[0].min(exact[1]) - 0.4;
            let high = exact[0].max(exact[1]) + 0.4;
            assert!((low..high).contains(&wanted), "{wanted} for {exact:?}");
            let view = world.view();
            if view.problem.is_none() && view.next_step_ms.is_none() {
                assert!((view.shift.unwrap() - wanted).abs() < SMALLEST, "{view:?}");
            }
        }
    }
}

/// Pools that pay the same, watched for longer than an hour.
fn watched(world: &mut World) {
    world.put_prices();
    world.run(2 * HOUR, &[]);
}

#[test]
fn values_are_daily_earnings_per_terahash_after_the_fee() {
    let mut world = World::new(1);
    for pool in world.config.pools.values_mut() {
        pool.as_mut().unwrap().fee_percent = 2.0;
    }
    watched(&mut world);
    let view = world.view();
    // 3.125 coins and some fees, 100,000 each, at a difficulty of 1.2e14.
    let value = view.values[PoolSlot::A].unwrap();
    assert!((0.0513..0.055).contains(&value), "{value}");
    assert_eq!(view.problem, None);
}

#[test]
fn nothing_is_shifted_before_the_pools_were_watched_long_enough() {
    let mut world = World::new(1);
    world.prices[0] *= 2.0;
    world.put_prices();
    assert_eq!(world.view().problem, Some(Problem::WarmUp(60)));
    world.run(30 * MINUTE, &[]);
    let view = world.view();
    let Some(Problem::WarmUp(minutes)) = view.problem else {
        panic!("{view:?}");
    };
    assert!((25..=31).contains(&minutes), "{minutes}");
    assert_eq!((view.shift, view.wanted), (Some(0.0), Some(20.0)));
    world.run(40 * MINUTE, &[]);
    assert_eq!(world.shift(), 20.0);
    assert_eq!(world.seen.steps.len(), 1);
}

#[test]
fn removing_a_setting_ends_the_shift_immediately() {
    let mut world = World::new(1);
    world.prices[0] *= 2.0;
    type Change = fn(&mut Config);
    let ends: [(Problem, Change); 4] = [
        (Problem::SameCoin("BTC".into()), |config| {
            config.pools[PoolSlot::B].as_mut().unwrap().chain = "BTC".into();
        }),
        (Problem::NoPrice("XEC".into()), |config| {
            config.pools[PoolSlot::B].as_mut().unwrap().chain = "XEC".into();
        }),
        (Problem::NoRoom, |config| config.balance.max_deviation = 1.0),
        (Problem::NotSetUp, |config| config.pools[PoolSlot::B] = None),
    ];
    watched(&mut world);
    for (problem, change) in ends {
        let (mut balancer, mut config) = (world.balancer.clone(), world.config.clone());
        let now = world.now();
        assert_eq!(
            balancer.work(&config),
            Some(Work::Split(PerPool::new(90.0, 10.0)))
        );
        change(&mut config);
        let moved = balancer.follow(&config, false, now).unwrap();
        assert_eq!((moved.from, moved.to), (90.0, 70.0));
        assert_eq!(moved.problem.as_ref(), Some(&problem));
        assert_eq!(balancer.work(&config), None);
        assert_eq!(balancer.view(&config, false, now).problem, Some(problem));
    }

    // Switched off, it still says what it would do, and starts over when it is switched on.
    let now = world.now();
    world.config.balance.enabled = false;
    assert_eq!(world.balancer.work(&world.config), None);
    let moved = world.balancer.follow(&world.config, false, now).unwrap();
    assert_eq!((moved.from, moved.to, moved.problem), (90.0, 70.0, None));
    assert_eq!(world.balancer.follow(&world.config, false, now), None);
    let view = world.view();
    assert_eq!((view.shift, view.wanted), (None, Some(20.0)));
    assert_eq!((view.problem, view.next_step_ms), (None, None));
    world.config.balance.enabled = true;
    let moved = world.balancer.follow(&world.config, false, now).unwrap();
    assert_eq!((moved.from, moved.to), (70.0, 90.0));
}

#[test]
fn the_shift_is_held_while_earnings_are_unknown() {
    let mut world = World::new(1);
    world.prices[0] *= 2.0;
    watched(&mut world);
    let now = world.now();
    world.prices[0] /= 4.0;
    world.put_prices();
    assert_eq!(world.balancer.follow(&world.config, true, now), None);
    assert_eq!(world.shift(), 20.0, "the clock is wrong");
    let now = world.now();
    let problem = world.balancer.view(&world.config, true, now).problem;
    assert_eq!(problem, Some(Problem::WrongClock));

    world.run(HOUR, &[]);
    assert_eq!(world.shift(), -20.0);
    // The prices become old, and then no longer count.
    world.run(2 * DAY, &[]);
    let view = world.view();
    assert_eq!(
        (view.shift, view.problem),
        (Some(-20.0), Some(Problem::OldPrices))
    );
    world.run(DAY, &[]);
    let view = world.view();
    assert_eq!(
        (view.shift, view.problem),
        (Some(0.0), Some(Problem::ExpiredPrices))
    );
    // New prices must wait for the day between reversals.
    world.put_prices();
    world.run(HOUR, &[]);
    let view = world.view();
    assert_eq!((view.shift, view.wanted), (Some(0.0), Some(-20.0)));
    let next = view.next_step_ms.unwrap();
    assert!((21 * HOUR..24 * HOUR).contains(&((next - world.now().unix_ms) / 1000)));
    world.run(DAY, &[]);
    assert_eq!(world.shift(), -20.0);
}

#[test]
fn a_jobs_value_follows_from_its_coinbase_and_target() {
    let mut world = World::new(1);
    let now = world.now();
    let job = job(3.25, BTC_DIFFICULTY);
    world
        .balancer
        .hear(PoolSlot::A, "BTC", (reward(&job), job.notify.nbits), now);
    world.seconds += 5;
    let now = world.now();
    let coins = world.balancer.earnings[PoolSlot::A].median("BTC", now);
    let expected = per_day(3.25, BTC_DIFFICULTY);
    assert!((coins.unwrap() / expected - 1.0).abs() < 1e-5);
}

#[test]
fn a_long_stop_changes_nothing() {
    let mut world = World::new(1);
    world.prices[0] *= 2.0;
    world.config.balance.prices = prices(world.prices[0], world.prices[1]);
    world.run(2 * HOUR, &[]);
    assert_eq!(world.shift(), 20.0);
    world.restart();
    world.seconds += 3 * DAY;
    world.run(MINUTE, &[PoolSlot::B]);
    assert_eq!(world.view().problem, Some(Problem::WarmUp(60)));
    world.run(2 * HOUR, &[]);
    assert_eq!((world.shift(), world.view().problem), (20.0, None));
    assert_eq!(world.seen.steps.len(), 1);
}

#[test]
fn odd_jobs_and_settings_have_no_effect() {
    let mut world = World::new(1);
    watched(&mut world);
    let now = world.now();
    let nbits = job(3.0, BTC_DIFFICULTY).notify.nbits;
    for odd in [(None, nbits), (Some(0), nbits), (Some(5), 0)] {
        world.balancer.hear(PoolSlot::A, "BTC", odd, now);
    }
    world.run(DAY, &[PoolSlot::A]);
    world.run(2 * HOUR, &[PoolSlot::A]);
    assert_eq!(world.view().problem, Some(Problem::NoJob(PoolSlot::A)));
    watched(&mut world);
    for pool in world.config.pools.values_mut() {
        pool.as_mut().unwrap().fee_percent = 100.0;
    }
    let view = world.view();
    assert_eq!((view.wanted, view.problem), (None, None), "0 to 0");
    world.run(HOUR, &[]);
    assert!(world.shift().abs() <= 20.0);
}

#[test]
fn problems_are_described_in_plain_words() {
    let texts = [
        (
            Problem::SameCoin("BTC".into()),
            "Both pools mine BTC, so there is nothing to balance.",
        ),
        (
            Problem::NoPrice("BCH".into()),
            "No price for BCH yet. Enter one, or have a program send it.",
        ),
        (
            Problem::WarmUp(20),
            "DPMP compares both pools for an hour first: 20 min to go.",
        ),
    ];
    for (problem, text) in texts {
        assert_eq!(problem.to_string(), text);
    }
}
