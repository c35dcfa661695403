//! How soon a returning pool gets work, and how often DPMP dials it while it is away.

use std::time::Duration;

use dpmp::core::fact::Fact;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::{AuthorizeRule, PoolOptions};
use dpmp::units::PoolSlot;

use crate::world::{World, config};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn world(miners: usize, seed: u64) -> World {
    let pool = |seed| PoolOptions {
        seed,
        job_interval: Some(seconds(100)),
        ..PoolOptions::default()
    };
    let mut world = World::new(config([50.0, 50.0], 10.0), [pool(1), pool(2)], seed);
    for _ in 0..miners {
        let options = MinerOptions {
            pace: Pace::Idle,
            ..MinerOptions::default()
        };
        world.add_miner(options, seconds(3600));
    }
    world.run(seconds(60), |_| ());
    world
}

/// Takes pools away for a while. Returns the time until one of them gives work again, and the most dials to one pool
/// within a second.
fn outage(world: &mut World, slots: &[PoolSlot], time: Duration) -> (Duration, f64) {
    let before = world.sites[slots[0]].dials;
    for slot in slots {
        world.take_down(*slot);
    }
    world.run(time, |_| ());
    let dials = u32::try_from(world.sites[slots[0]].dials - before).unwrap();
    for slot in slots {
        world.sites[*slot].up = true;
    }
    world.keep_facts = true;
    let back = world.elapsed();
    let works =
        |fact: &Fact| matches!(fact, Fact::JobReceived { conn, .. } if slots.contains(&conn.slot));
    while !world.facts.iter().any(works) {
        world.run(Duration::from_millis(20), |_| ());
        assert!(world.elapsed() - back < seconds(100), "no work");
    }
    let took = world.elapsed() - back;
    // All other miners follow.
    let connections =
        |world: &World, slot: PoolSlot| world.sites[slot].model.ledger().connections_open();
    world.run(seconds(2), |_| ());
    for slot in slots {
        let connected = usize::try_from(connections(world, *slot)).unwrap();
        if slots.len() == 1 {
            assert_eq!(connected, world.rigs.len(), "after 2 s");
        }
    }
    world.run(seconds(60), |_| ());
    world.facts.clear();
    world.keep_facts = false;
    (took, f64::from(dials) / time.as_secs_f64())
}

/// The results of many outages.
#[derive(Default)]
struct Comebacks(Vec<Duration>);

impl Comebacks {
    /// Takes pools away repeatedly, for about the same time each.
    fn measure(&mut self, world: &mut World, slots: &[PoolSlot], time: u64, times: u64) {
        let miners = world.rigs.len();
        let (mut slowest, mut most) = (Duration::ZERO, 0.0f64);
        for number in 0..times {
            let time = seconds(time) + Duration::from_millis(370 * number);
            let (took, rate) = outage(world, slots, time);
            self.0.push(took);
            (slowest, most) = (slowest.max(took), most.max(rate));
        }
        println!("{miners} miners, {slots:?} {time} s away: {slowest:?} at most, {most:.3}/s");
        assert!(slowest <= seconds(6), "{slowest:?}");
        // In the first seconds, DPMP dials more often.
        assert!(time < 60 || most <= 0.25, "{most}");
    }

    fn median(mut self) -> Duration {
        self.0.sort();
        self.0[self.0.len() / 2]
    }
}

#[test]
fn the_first_miner_works_within_six_seconds_of_a_pools_return() {
    let mut comebacks = Comebacks::default();
    for (miners, longest) in [(1, 12 * 3600), (20, 12 * 3600), (300, 600)] {
        let mut world = world(miners, 11);
        for swallows in [false, true] {
            world.sites[PoolSlot::A].swallows = swallows;
            for (time, times) in [(10, 12), (300, 5), (longest, 1)] {
                comebacks.measure(&mut world, &[PoolSlot::A], time, times);
            }
        }
    }
    let median = comebacks.median();
    println!("median {median:?}");
    assert!(median <= seconds(3), "{median:?}");
}

/// The miners are disconnected in that case, so DPMP's own test connections have to find the pools.
#[test]
fn the_first_miner_works_just_as_fast_if_both_pools_were_away() {
    let mut comebacks = Comebacks::default();
    for miners in [1, 20, 300] {
        let mut world = world(miners, 12);
        for (time, times) in [(10, 12), (300, 5), (3600, 1)] {
            comebacks.measure(&mut world, &PoolSlot::ALL, time, times);
        }
    }
    let median = comebacks.median();
    assert!(median <= seconds(3), "{median:?}");
}

/// If a pool refuses one worker, which only the owner can correct, DPMP still tries the others.
#[test]
fn a_refused_worker_does_not_keep_the_others_out() {
    let mut world = world(0, 13);
    world.keep_facts = true;
    world.take_down(PoolSlot::A);
    world.pool(PoolSlot::A, |pool, now, out| {
        let rule = AuthorizeRule::Prefix("walletA.good".into());
        pool.change(|options| options.authorize = rule, now, out);
    });
    for number in 0..20 {
        let name = if number == 19 { "good" } else { "bad" };
        let options = MinerOptions {
            user: format!("w.{name}{number}"),
            pace: Pace::Idle,
            ..MinerOptions::default()
        };
        world.add_miner(options, seconds(3600));
    }
    world.run(seconds(60), |_| ());
    world.sites[PoolSlot::A].up = true;
    let before = world.sites[PoolSlot::A].dials;
    world.run(seconds(20), |_| ());
    let good =
        |fact: &Fact| matches!(fact, Fact::JobReceived { conn, .. } if conn.slot == PoolSlot::A);
    assert!(world.facts.iter().any(good));
    // Each refused worker waits for a minute.
    let dials = world.sites[PoolSlot::A].dials - before;
    assert!(dials <= 45, "{dials}");
    let before = world.sites[PoolSlot::A].dials;
    world.run(seconds(600), |_| ());
    let dials = world.sites[PoolSlot::A].dials - before;
    assert!(dials <= 19 * 14, "{dials}");
}

/// A pool that accepts connections but gives no work sees one attempt every half minute.
#[test]
fn a_pool_that_gives_no_work_is_rarely_tried() {
    let mut world = world(20, 14);
    world.take_down(PoolSlot::A);
    world.pool(PoolSlot::A, |pool, now, out| {
        pool.change(
            |options| options.hangs_up_on = &["mining.subscribe", "mining.configure"],
            now,
            out,
        );
    });
    world.sites[PoolSlot::A].up = true;
    world.run(seconds(300), |_| ());
    let before = world.sites[PoolSlot::A].dials;
    world.run(seconds(600), |_| ());
    let dials = world.sites[PoolSlot::A].dials - before;
    assert!((15..=30).contains(&dials), "{dials}");
}
