//! The split follows what a hash earns: from the pools' jobs to the miners' turns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dpmp::config::Config;
use dpmp::config::steering::{Work, WorkerSettings};
use dpmp::core::balance::{BalanceView, Move, Problem};
use dpmp::core::event::Event;
use dpmp::core::fact::Fact;
use dpmp::core::memory::Memory;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot::{A, B};
use dpmp::units::{PerPool, PoolSlot};

use crate::world::{World, config};

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn prices(btc: f64, bch: f64) -> BTreeMap<String, f64> {
    [("BTC".to_owned(), btc), ("BCH".to_owned(), bch)].into()
}

/// 70:30. A mines BTC and B another coin. The simulated pools have the same difficulty and reward, so only the prices
/// matter.
fn balanced(coin_of_b: &str) -> Config {
    let mut config = config([70.0, 30.0], 10.0);
    config.balance.enabled = true;
    config.balance.prices = prices(110.0, 100.0);
    config.pools[B].as_mut().unwrap().chain = coin_of_b.to_owned();
    config
}

fn pools() -> [PoolOptions; 2] {
    [1, 2].map(|seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    })
}

fn world(config: &Config, pools: [PoolOptions; 2], memory: Memory) -> World {
    let mut world = World::remembering(Arc::new(config.clone()), pools, memory, 1);
    world.keep_facts = true;
    for worker in ["own", "other"] {
        let options = MinerOptions {
            user: format!("wallet.{worker}"),
            pace: Pace::Shares(0.1),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs(1));
    }
    world
}

fn view(world: &mut World) -> BalanceView {
    let now = world.clock();
    world.core.snapshot(now).balance
}

fn moves(world: &World) -> Vec<Move> {
    let moves = world.facts.iter().filter_map(|fact| match fact {
        Fact::BalanceMoved { moved } => Some(moved.clone()),
        _ => None,
    });
    moves.collect()
}

/// The part of each worker's time that A gets in ten minutes.
fn shares_a(world: &mut World) -> BTreeMap<String, f64> {
    let of = |world: &mut World| {
        let now = world.clock();
        let miners = world.core.snapshot(now).miners;
        let seconds = miners.into_iter().map(|it| (it.worker, it.seconds));
        seconds.collect::<BTreeMap<String, PerPool<f64>>>()
    };
    let before = of(world);
    world.run(minutes(10), |_| ());
    let part = |(worker, after): (String, PerPool<f64>)| {
        let before = before.get(&worker).copied().unwrap_or_default();
        let gained = |slot: PoolSlot| after[slot] - before[slot];
        let part = gained(A) / (gained(A) + gained(B));
        (worker, part)
    };
    of(world).into_iter().map(part).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.03, "{found}, not {expected}");
}

#[test]
fn miners_follow_earnings_unless_they_have_their_own_settings() {
    let mut config = balanced("BCH");
    let settings = WorkerSettings {
        work: Some(Work::Split(PerPool::new(50.0, 50.0))),
        ..WorkerSettings::default()
    };
    config.workers.insert("own".to_owned(), settings);
    let mut world = world(&config, pools(), Memory::default());
    world.run(minutes(5), |_| ());
    let known = view(&mut world);
    let Some(Problem::WarmUp(54..=56)) = known.problem else {
        panic!("{known:?}");
    };
    assert_eq!(known.shift, Some(0.0));
    close(shares_a(&mut world)["other"], 0.7);

    world.run(minutes(46), |_| ());
    let known = view(&mut world);
    assert_eq!((known.problem, known.next_step_ms), (None, None));
    // A 10 % difference in earnings uses the whole range.
    let shift = known.shift.unwrap();
    assert!((shift - 20.0).abs() < 0.01, "{shift}");
    let values = known.values.map(|_, value| value.unwrap());
    assert!((values[A] / values[B] - 1.1).abs() < 1e-9, "{values:?}");
    assert_eq!(moves(&world).len(), 1);
    let shares = shares_a(&mut world);
    close(shares["other"], 0.9);
    close(shares["own"], 0.5);

    // A program sends other prices; the split follows 30 minutes after the last step.
    let put = world.clock().unix_ms;
    world.tell(Event::PricesSet(prices(100.0, 103.0)));
    let known = view(&mut world);
    let wait = known.next_step_ms.unwrap() - put;
    assert!((60_000..1_200_000).contains(&wait), "{wait}");
    assert_eq!(known.prices[A].unwrap().put_ms, Some(put));
    assert_eq!(moves(&world).len(), 1);
    world.run(Duration::from_millis(wait + 2000), |_| ());
    let after = moves(&world);
    assert_eq!(after.len(), 2);
    // 20 * ln(1/1.03) / ln(1.1) = -6.2
    assert!((after[1].to - 63.8).abs() < 0.01, "{after:?}");
    close(shares_a(&mut world)["other"], 0.638);
}

#[test]
fn a_restart_keeps_the_shift_and_turning_it_off_ends_it() {
    let mut config = balanced("BCH");
    let mut before = world(&config, pools(), Memory::default());
    before.run(minutes(62), |_| ());
    assert_eq!(moves(&before).len(), 1);
    let memory = before.core.memory().corrected(before.clock());
    let text = serde_json::to_string(&memory).unwrap();
    let memory = serde_json::from_str(&text).unwrap();

    let mut world = world(&config, pools(), memory);
    close(shares_a(&mut world)["other"], 0.9);
    assert!(moves(&world).is_empty());

    config.balance.enabled = false;
    world.configure(config);
    let moved = moves(&world);
    assert_eq!((moved.len(), moved[0].problem.clone()), (1, None));
    assert!((moved[0].to - 70.0).abs() < 1e-9);
    let known = view(&mut world);
    assert_eq!(known.shift, None);
    assert!(
        (known.wanted.unwrap() - 20.0).abs() < 0.01,
        "it still reports what it would do"
    );
    close(shares_a(&mut world)["other"], 0.7);
}

#[test]
fn two_pools_of_one_coin_are_left_alone() {
    let mut world = world(&balanced("BTC"), pools(), Memory::default());
    world.run(minutes(65), |_| ());
    let known = view(&mut world);
    assert_eq!(known.problem, Some(Problem::SameCoin("BTC".to_owned())));
    assert_eq!((known.shift, known.wanted), (Some(0.0), None));
    assert!(moves(&world).is_empty());
    // From now on it is a different coin.
    world.configure(balanced("BCH"));
    world.run(minutes(65), |_| ());
    assert_eq!(moves(&world).len(), 1);
}

#[test]
fn a_pool_whose_jobs_reveal_nothing_is_still_mined() {
    let mut pools = pools();
    // A target that no hash can meet.
    pools[1].nbits = 0;
    let mut world = world(&balanced("BCH"), pools, Memory::default());
    world.run(minutes(65), |_| ());
    let known = view(&mut world);
    assert_eq!(known.values[B], None);
    assert_eq!(known.problem, Some(Problem::NoJob(B)));
    close(shares_a(&mut world)["other"], 0.7);
}
