//! The owner's settings for single workers and times: which pool they work for, when they pause, and what happens to
//! their shares.

use std::time::Duration;

use dpmp::config::Config;
use dpmp::config::steering::{Group, Work, WorkerSettings};
use dpmp::core::event::Event;
use dpmp::core::fact::{Fact, SwitchCause};
use dpmp::core::snapshot::Snapshot;
use dpmp::core::steering::{Override, TimetableNow};
use dpmp::sim::miner::options::{Handshake, MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot::{A, B};
use dpmp::units::{PerPool, PoolSlot};

use crate::world::{World, config};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn minutes(minutes: u64) -> Duration {
    seconds(60 * minutes)
}

fn pool(seed: u64) -> PoolOptions {
    PoolOptions {
        seed,
        ..PoolOptions::default()
    }
}

/// Miners with these names, each with a share every two seconds.
fn world(config: Config, workers: &[&str]) -> World {
    world_at(config, [pool(1), pool(2)], workers)
}

fn world_at(config: Config, pools: [PoolOptions; 2], workers: &[&str]) -> World {
    let mut world = World::new(config, pools, 1);
    world.keep_facts = true;
    for worker in workers {
        let options = MinerOptions {
            user: format!("wallet.{worker}"),
            pace: Pace::Shares(0.5),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_millis(700));
    }
    world
}

fn split(a: f64, b: f64) -> Work {
    Work::Split(PerPool::new(a, b))
}

fn with_work(mut config: Config, worker: &str, work: Work) -> Config {
    let settings = WorkerSettings {
        work: Some(work),
        ..WorkerSettings::default()
    };
    config.workers.insert(worker.to_owned(), settings);
    config
}

fn snapshot(world: &mut World) -> Snapshot {
    let now = world.clock();
    world.core.snapshot(now)
}

/// The part of a worker's time that A got while the world ran.
fn share_a(world: &mut World, worker: &str, time: Duration) -> f64 {
    let of = |world: &mut World| {
        let snapshot = snapshot(world);
        let miner = snapshot.miners.iter().find(|it| it.worker == worker);
        miner.map(|it| it.seconds).unwrap()
    };
    let before = of(world);
    world.run(time, |_| ());
    let after = of(world);
    let gained = |slot: PoolSlot| after[slot] - before[slot];
    gained(A) / (gained(A) + gained(B))
}

fn change(world: &mut World, workers: &[&str], work: Work, time: Option<Duration>) {
    let now = world.clock().unix_ms;
    let until_ms = time.map(|time| now + u64::try_from(time.as_millis()).unwrap());
    world.tell(Event::Override(Override {
        work,
        workers: workers.iter().map(|it| (*it).to_owned()).collect(),
        until_ms,
        set_ms: now,
        by: "test".to_owned(),
    }));
}

fn answered(world: &World) {
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        assert_eq!(ledger.unanswered(world.now, seconds(3)), 0);
        assert_eq!(ledger.rejected(), 0, "{:?}", ledger.rejections());
    }
}

#[test]
fn workers_follow_their_own_settings_and_the_others_the_usual_split() {
    let mut config = with_work(config([70.0, 30.0], 10.0), "only-a", Work::only(A));
    config = with_work(config, "own", split(10.0, 90.0));
    config.groups.push(Group {
        name: "Garage".to_owned(),
        patterns: vec![glob::Pattern::new("garage-*").unwrap()],
        work: Some(Work::only(B)),
    });
    // Its own setting overrides its group's.
    config = with_work(config, "garage-2", split(50.0, 50.0));
    let workers = ["only-a", "own", "garage-1", "garage-2", "other"];
    let mut world = world(config, &workers);
    world.run(minutes(2), |_| ());
    let expected = [1.0, 0.1, 0.0, 0.5, 0.7];
    for (worker, expected) in workers.into_iter().zip(expected) {
        let share = share_a(&mut world, worker, minutes(30));
        assert!((share - expected).abs() < 0.01, "{worker}: {share}");
    }
    answered(&world);
}

#[test]
fn a_temporary_change_ends_by_itself_and_leaves_no_debt() {
    let mut world = world(config([70.0, 30.0], 10.0), &["one", "two"]);
    world.run(minutes(10), |_| ());
    change(&mut world, &["*"], Work::only(B), Some(minutes(60)));
    change(&mut world, &["two"], split(20.0, 80.0), Some(minutes(30)));
    assert_eq!(share_a(&mut world, "one", minutes(29)), 0.0);
    assert!((share_a(&mut world, "two", seconds(50)) - 0.2).abs() < 0.3);
    world.run(seconds(11), |_| ());
    assert!(
        share_a(&mut world, "two", minutes(29)) < 0.01,
        "like the others"
    );
    world.run(minutes(2), |_| ());
    for worker in ["one", "two"] {
        let share = share_a(&mut world, worker, minutes(20));
        assert!((share - 0.7).abs() < 0.01, "{worker}: {share}");
    }
    let ended = |fact: &&Fact| matches!(fact, Fact::OverrideEnded { in_time: true, .. });
    assert_eq!(world.facts.iter().filter(ended).count(), 2);
    // This survives a restart.
    change(&mut world, &["*"], Work::only(A), None);
    let memory = world.core.memory();
    assert_eq!(memory.overrides.len(), 1);
    let text = serde_json::to_string(&memory).unwrap();
    let again: dpmp::core::memory::Memory = serde_json::from_str(&text).unwrap();
    assert_eq!(again.overrides, memory.overrides);
    world.tell(Event::OverrideEnded(vec!["*".to_owned()]));
    let share = share_a(&mut world, "one", minutes(20));
    assert!((share - 0.7).abs() < 0.02, "{share}");
    answered(&world);
}

#[test]
fn the_time_known_from_the_pools_survives_a_restart() {
    let mut world = world(config([70.0, 30.0], 10.0), &["one"]);
    world.run(minutes(2), |_| ());
    let mark = |world: &mut World| {
        let now = world.clock();
        world.core.snapshot(now);
        (world.core.memory().clock, now.unix_ms)
    };
    let (right, now_ms) = mark(&mut world);
    assert!(right.pools_ms.abs_diff(now_ms) < 60_000, "{right:?}");
    assert_eq!(right.wrong_ms, None);
    world.tell(Event::Timetable(TimetableNow {
        clock_is_wrong: true,
        ..TimetableNow::default()
    }));
    let (wrong, now_ms) = mark(&mut world);
    assert_eq!(wrong.wrong_ms, Some(now_ms));
}

/// AxeOS gives up after three connections that end; cgminer keeps asking.
#[test]
fn a_pause_stops_all_messages_and_ends_immediately() {
    for handshake in [Handshake::Axeos, Handshake::Cgminer, Handshake::Cpuminer] {
        let mut world = World::new(config([50.0, 50.0], 10.0), [pool(1), pool(2)], 1);
        world.keep_facts = true;
        for worker in ["one", "two"] {
            let options = MinerOptions {
                user: format!("wallet.{worker}"),
                pace: Pace::Shares(2.0),
                handshake,
                ..MinerOptions::default()
            };
            world.add_miner(options, Duration::from_millis(300));
        }
        world.run(minutes(2), |_| ());
        change(&mut world, &["one"], Work::Pause, Some(minutes(10)));
        world.run(seconds(3), |_| ());
        // Both come from one address, so the names decide.
        world.facts.clear();
        let count = |world: &World| world.rigs[0].model.ledger().connections();
        let mut connections = count(&world);
        let replies = world.rigs[0].model.ledger().replies().len();
        for _ in 0..9 {
            world.run(minutes(1), |_| ());
            let now = count(&world);
            assert!(
                now - connections <= 4,
                "{handshake:?}: {} in a minute",
                now - connections
            );
            connections = now;
        }
        let heard = world.rigs[0].model.ledger().replies();
        let authorized = heard[replies..]
            .iter()
            .any(|line| line.text.contains("\"result\":true"));
        assert!(!authorized, "{handshake:?}");
        let lines = world.facts.iter().filter(|fact| {
            matches!(
                fact,
                Fact::MinerConnected { .. }
                    | Fact::MinerDisconnected { .. }
                    | Fact::MinerTurnedAway { .. }
            )
        });
        assert_eq!(lines.count(), 0, "it is not reported");
        let seen = snapshot(&mut world);
        let workers: Vec<_> = seen.miners.iter().map(|it| it.worker.as_str()).collect();
        assert_eq!(workers, ["two"]);
        let shares = world.rigs[0].model.ledger().submitted();
        world.run(seconds(75), |_| ());
        assert!(
            world.rigs[0].model.ledger().submitted() > shares + 5,
            "{handshake:?}: it works again"
        );
        let told = |name: fn(&Fact) -> bool| world.facts.iter().filter(|fact| name(fact)).count();
        assert_eq!(told(|fact| matches!(fact, Fact::WorkerResumed { .. })), 1);
        // Except for one that was in flight when the connection was closed; the world checks all others.
        let crossed = world.rigs[0]
            .model
            .ledger()
            .unanswered(world.now, seconds(3));
        assert!(crossed <= 1, "{crossed}");
        assert_eq!(world.rigs[0].model.ledger().rejected(), 0);
    }
}

/// The pool takes longer to answer than a miner that is to pause is kept waiting.
#[test]
fn shares_under_way_when_a_pause_begins_count() {
    let mut world = world_at(config([100.0, 0.0], 10.0), [pool(1), pool(2)], &["one"]);
    world.run(minutes(2), |_| ());
    world.sites[A].far = seconds(5);
    world.run(minutes(1), |_| ());
    change(&mut world, &["one"], Work::Pause, Some(minutes(10)));
    world.run(seconds(30), |_| ());
    // Those that the pool had not answered when the connection was closed.
    let told = world.rigs[0].model.ledger().rejections().len();
    assert!((1..20).contains(&told), "{told}");
    let accepted = world.sites[A].model.ledger().accepted();
    let seen = &snapshot(&mut world).pools[A].totals.shares;
    assert!(accepted > 30, "{accepted}");
    assert_eq!((seen.accepted, seen.lost), (accepted, 0));
}

#[test]
fn a_temporary_change_lifts_a_pause_of_the_timetable() {
    let mut config = config([50.0, 50.0], 10.0);
    config.timetable.enabled = true;
    let mut world = world(config, &["one"]);
    world.run(minutes(2), |_| ());
    let entry = |work| TimetableNow {
        entry: Some((0, work)),
        ..TimetableNow::default()
    };
    world.tell(Event::Timetable(entry(Work::only(A))));
    assert_eq!(share_a(&mut world, "one", minutes(5)), 1.0);
    world.tell(Event::Timetable(entry(Work::Pause)));
    world.run(seconds(3), |_| ());
    assert!(snapshot(&mut world).miners.is_empty());
    change(&mut world, &["*"], split(0.0, 5.0), Some(minutes(30)));
    world.run(minutes(2), |_| ());
    assert_eq!(share_a(&mut world, "one", minutes(5)), 0.0);
    world.run(minutes(24), |_| ());
    assert!(snapshot(&mut world).miners.is_empty(), "it is paused again");
    world.tell(Event::Timetable(TimetableNow::default()));
    world.run(minutes(2), |_| ());
    let share = share_a(&mut world, "one", minutes(20));
    assert!((share - 0.5).abs() < 0.02, "{share}");
    answered(&world);
}

#[test]
fn the_other_pool_replaces_a_failed_fixed_pool_until_it_recovers() {
    let config = with_work(config([0.0, 100.0], 10.0), "fixed", Work::only(A));
    let mut world = world(config, &["fixed", "other"]);
    world.run(minutes(5), |_| ());
    assert_eq!(share_a(&mut world, "fixed", minutes(5)), 1.0);
    world.take_down(A);
    world.run(seconds(10), |_| ());
    assert_eq!(
        share_a(&mut world, "fixed", minutes(20)),
        0.0,
        "it works for B"
    );
    world.sites[A].up = true;
    // DPMP notices within seconds that its own pool is back, but the pool has to work for half a minute first.
    world.run(seconds(45), |_| ());
    assert_eq!(
        share_a(&mut world, "fixed", minutes(10)),
        1.0,
        "without catching up"
    );
    let causes: Vec<_> = world
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::PoolSwitched {
                cause,
                from: Some(_),
                ..
            } => Some(*cause),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [SwitchCause::Steering]);
    let idle = |fact: &&Fact| matches!(fact, Fact::MinerIdle { .. });
    assert!(world.facts.iter().filter(idle).count() <= 1);
}

#[test]
fn without_failover_a_worker_waits_for_its_fixed_pool() {
    let mut config = with_work(config([50.0, 50.0], 10.0), "fixed", Work::only(A));
    config.workers.get_mut("fixed").unwrap().failover = Some(false);
    let mut world = world(config, &["fixed", "other"]);
    world.run(minutes(5), |_| ());
    world.take_down(A);
    let dials = world.sites[B].dials;
    world.run(minutes(3), |_| ());
    let seen = snapshot(&mut world);
    let workers: Vec<_> = seen.miners.iter().map(|it| it.worker.as_str()).collect();
    assert_eq!(
        workers,
        ["other"],
        "it is disconnected and goes to its own fallback"
    );
    assert_eq!(world.sites[B].dials, dials);
    world.sites[A].up = true;
    world.run(minutes(2), |_| ());
    assert_eq!(share_a(&mut world, "fixed", minutes(5)), 1.0);
}

/// Pools drop workers that are idle for ten minutes. No miner is idle that long, and none misses a turn.
#[test]
fn no_miner_is_idle_at_a_pool_for_long() {
    for weights in [[95.0, 5.0], [99.0, 1.0], [1.0, 99.0], [100.0, 0.0]] {
        let drops = |seed| PoolOptions {
            idle: Some(minutes(10)),
            ..pool(seed)
        };
        let mut world = world_at(config(weights, 10.0), [drops(1), drops(2)], &["one", "two"]);
        world.run(minutes(60 * 6), |_| ());
        let lost: Vec<_> = world
            .facts
            .iter()
            .filter(|fact| matches!(fact, Fact::PoolLost { .. }))
            .collect();
        assert!(lost.is_empty(), "{weights:?}: {lost:?}");
        for worker in ["one", "two"] {
            let share = share_a(&mut world, worker, minutes(60 * 3));
            let expected = weights[0] / 100.0;
            assert!(
                (share - expected).abs() < 0.004,
                "{weights:?} {worker}: {share}"
            );
        }
        answered(&world);
    }
}
