//! Mode `fleet`: the fleet as a whole follows the split with few switches, for days and through faults.

use std::collections::BTreeMap;
use std::time::Duration;

use dpmp::config::steering::{Turns, Work, WorkerSettings};
use dpmp::config::{Config, Mode};
use dpmp::core::event::Event;
use dpmp::core::fact::{Fact, SwitchCause};
use dpmp::core::snapshot::Snapshot;
use dpmp::core::steering::Override;
use dpmp::random::Random;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::{PoolOptions, Vardiff};
use dpmp::units::PoolSlot;
use dpmp::units::PoolSlot::{A, B};

use crate::world::{World, config};

fn hours(hours: f64) -> Duration {
    Duration::from_secs_f64(hours * 3600.0)
}

fn fleet(weights: [f64; 2]) -> Config {
    let mut config = config(weights, 10.0);
    config.scheduler.mode = Mode::Fleet;
    config
}

/// A pool that rarely sends jobs, to save time.
fn pool(seed: u64) -> PoolOptions {
    PoolOptions {
        seed,
        job_interval: Some(Duration::from_secs(60)),
        difficulty: 3e-10,
        ..PoolOptions::default()
    }
}

/// Miners `w0`, `w1` … with these share rates per second, all at the same difficulty.
fn world(config: Config, paces: &[f64]) -> World {
    let mut world = World::new(config, [pool(1), pool(2)], 1);
    for (index, pace) in paces.iter().enumerate() {
        let options = MinerOptions {
            user: format!("wallet.w{index}"),
            pace: Pace::Shares(*pace),
            reconnect: Some(Duration::from_secs(5)),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs(5));
    }
    world
}

/// Some are up to ten times as fast as others.
fn paces(count: u64) -> Vec<f64> {
    let mut random = Random::new(count);
    (0..count).map(|_| random.log_between(0.01, 0.1)).collect()
}

fn snapshot(world: &mut World) -> Snapshot {
    world.core.snapshot(world.clock())
}

/// Separate records: seconds of each connection on each pool, at the true hashrates.
#[derive(Default)]
struct Books {
    before: BTreeMap<u64, [f64; 2]>,
    /// The excess work that A got, and all work.
    now: [f64; 2],
    /// Both values at each sample, with its time in seconds.
    looks: Vec<(f64, [f64; 2])>,
}

impl Books {
    /// Runs for a time and takes a sample every minute.
    fn run(&mut self, world: &mut World, paces: &[f64], share_a: f64, time: Duration) {
        for _ in 0..time.as_secs() / 60 {
            world.run(Duration::from_secs(60), |_| ());
            for miner in snapshot(world).miners {
                let index: usize = miner.worker[1..].parse().unwrap();
                let before = self.before.entry(miner.id).or_default();
                let (a, b) = (miner.seconds[A] - before[0], miner.seconds[B] - before[1]);
                *before = [miner.seconds[A], miner.seconds[B]];
                self.now[0] += paces[index] * (a - share_a * (a + b));
                self.now[1] += paces[index] * (a + b);
            }
            self.looks.push((world.elapsed().as_secs_f64(), self.now));
        }
    }

    /// The largest error since this hour, in proportion to all work since then.
    fn worst_since(&self, from: f64) -> f64 {
        let from = from * 3600.0;
        let mut looks = self.looks.iter().filter(|(at, _)| *at >= from);
        let (_, first) = looks.next().unwrap();
        // At first there is too little work to compare with.
        let later = looks.filter(|(at, _)| *at >= from + 7200.0);
        let part = |now: &[f64; 2]| (now[0] - first[0]).abs() / (now[1] - first[1]);
        later.map(|(_, now)| part(now)).fold(0.0, f64::max)
    }
}

fn switches(world: &World) -> u64 {
    let is_switch = |fact: &&Fact| matches!(fact, Fact::PoolSwitched { from: Some(_), .. });
    let count = world.facts.iter().filter(is_switch).count();
    count.try_into().unwrap()
}

#[test]
fn fleets_of_seven_and_sixty_keep_the_split_for_a_day() {
    for (count, weights, most) in [(7, [70.0, 30.0], 200.0), (60, [50.0, 50.0], 20.0)] {
        let paces = paces(count);
        let mut world = world(fleet(weights), &paces);
        let share_a = weights[0] / 100.0;
        let mut books = Books::default();
        books.run(&mut world, &paces, share_a, hours(2.0));
        world.keep_facts = true;
        books.run(&mut world, &paces, share_a, hours(24.0));
        let rate = switches(&world) as f64 / 24.0;
        assert!(rate < most, "{count}: {rate} switches an hour");
        // These miners find shares at a steady rate, without luck.
        let part = books.worst_since(2.0);
        println!("{count}: {rate} switches an hour, error {part}");
        assert!(part < 0.01, "{count}: {part}");
        let snapshot = snapshot(&mut world);
        let view = snapshot.fleet.unwrap();
        let (error, bound) = (view.error.unwrap(), view.bound.unwrap());
        assert!(error.abs() < bound, "{error} of {bound}");
        assert!((1..=4).contains(&view.turn_takers.len()));
        assert!(view.moves < 50, "{count}: {} moves", view.moves);
        // No miner keeps a connection that it does not need.
        let connections: usize = snapshot
            .pools
            .iter()
            .map(|(_, pool)| pool.connections)
            .sum();
        assert!(connections <= paces.len() + 4, "{connections} connections");
        for rig in &world.rigs {
            assert_eq!(rig.model.ledger().rejected(), 0);
        }
    }
}

#[test]
fn a_fleet_keeps_the_split_through_a_day_with_faults() {
    let paces = paces(20);
    let mut world = world(fleet([70.0, 30.0]), &paces);
    let mut books = Books::default();
    let mut random = Random::new(5);
    books.run(&mut world, &paces, 0.7, hours(3.0));
    for round in 0..6_u64 {
        // A pool fails, miners come and go, and a connection is lost.
        let lost = if round % 2 == 0 { A } else { B };
        world.take_down(lost);
        books.run(&mut world, &paces, 0.7, hours(0.25));
        let snapshot_down = snapshot(&mut world);
        assert_eq!(snapshot_down.pools[lost.other()].active_miners, 20);
        world.sites[lost].up = true;
        books.run(&mut world, &paces, 0.7, hours(1.0));
        for _ in 0..3 {
            let index = usize::try_from(random.below(20)).unwrap();
            if world.rigs[index].id.is_some() {
                world.hang_up(index);
            }
            books.run(&mut world, &paces, 0.7, hours(0.1));
            world.connect(index);
            books.run(&mut world, &paces, 0.7, hours(0.8));
        }
    }
    let view = snapshot(&mut world).fleet.unwrap();
    let seconds = view.error_seconds.unwrap();
    assert!(seconds.abs() < 700.0, "{seconds} s");
    books.run(&mut world, &paces, 0.7, hours(6.0));
    // 15 minutes at the other pool are within the limit for catching up.
    let part = books.worst_since(3.0);
    assert!(part < 0.04, "{part}");
    let quiet = books.looks.last().unwrap().0 / 3600.0 - 4.0;
    assert!(
        books.worst_since(quiet) < 0.015,
        "{}",
        books.worst_since(quiet)
    );
}

fn share_of_a(world: &mut World, paces: &[f64], time: Duration) -> f64 {
    let mut books = Books::default();
    books.run(world, paces, 0.0, Duration::from_secs(60));
    books.now = [0.0; 2];
    books.run(world, paces, 0.0, time);
    books.now[0] / books.now[1]
}

#[test]
fn the_owners_settings_override_the_fleet() {
    let paces = [0.1; 10];
    let mut config = fleet([70.0, 30.0]);
    let work = |work: Work| WorkerSettings {
        work: Some(work),
        ..WorkerSettings::default()
    };
    config.workers.insert("w0".into(), work(Work::only(B)));
    config.workers.insert("w1".into(), work(Work::only(B)));
    for index in 2..6 {
        let never = WorkerSettings {
            turns: Turns::Never,
            ..WorkerSettings::default()
        };
        config.workers.insert(format!("w{index}"), never);
    }
    let mut world = world(config, &paces);
    world.keep_facts = true;
    world.run(hours(2.0), |_| ());
    // Fixed miners count, so nearly all others work for A.
    let share = share_of_a(&mut world, &paces, hours(2.0));
    assert!((share - 0.7).abs() < 0.02, "{share}");
    let on = |snapshot: &Snapshot, worker: &str| {
        let miner = snapshot.miners.iter().find(|it| it.worker == worker);
        miner.unwrap().pool
    };
    let first = snapshot(&mut world);
    assert_eq!(on(&first, "w0"), Some(B));
    let view = first.fleet.clone().unwrap();
    assert_eq!(view.own.len(), 2);
    let names: BTreeMap<_, _> = first
        .miners
        .iter()
        .map(|it| (it.id, it.worker.clone()))
        .collect();
    for id in &view.turn_takers {
        let name = &names[&id.0];
        assert!(["w6", "w7", "w8", "w9"].contains(&name.as_str()), "{name}");
    }

    // A temporary change for all, and back: every miner returns to its place.
    let to_b = Override {
        work: Work::only(B),
        workers: vec!["*".into()],
        until_ms: None,
        set_ms: 1,
        by: String::new(),
    };
    world.tell(Event::Override(to_b));
    world.run(hours(1.0), |_| ());
    assert_eq!(snapshot(&mut world).pools[B].active_miners, 10);
    world.facts.clear();
    world.tell(Event::OverrideEnded(vec!["*".into()]));
    world.run(Duration::from_secs(60), |_| ());
    let back = snapshot(&mut world).fleet.unwrap();
    assert_eq!(back.assigned, view.assigned);
    let share = share_of_a(&mut world, &paces, hours(2.0));
    assert!((share - 0.7).abs() < 0.03, "{share}");

    // The owner moves the split: the fleet moves miners and reports it.
    world.facts.clear();
    let mut config = (**world.core.config()).clone();
    config.scheduler.weights[A] = 40.0;
    config.scheduler.weights[B] = 60.0;
    world.configure(config);
    world.run(Duration::from_secs(60), |_| ());
    let is_move = |fact: &&Fact| {
        matches!(
            fact,
            Fact::PoolSwitched {
                to: B,
                cause: SwitchCause::Fleet,
                ..
            }
        )
    };
    let moved = world.facts.iter().filter(is_move).count();
    assert!((1..=4).contains(&moved), "{moved} moves");
    let share = share_of_a(&mut world, &paces, hours(2.0));
    assert!((share - 0.4).abs() < 0.03, "{share}");

    // Without the mode, all miners take turns again, except those with their own settings.
    let mut config = (**world.core.config()).clone();
    config.scheduler.mode = Mode::Ratio;
    world.configure(config);
    world.facts.clear();
    world.run(hours(0.1), |_| ());
    assert_eq!(snapshot(&mut world).fleet, None);
    let takers: std::collections::BTreeSet<_> = world
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::PoolSwitched {
                miner,
                cause: SwitchCause::Schedule,
                ..
            } => Some(miner),
            _ => None,
        })
        .collect();
    assert_eq!(takers.len(), 8);
}

/// The cost of a mode at pools whose vardiff retargets every minute.
struct Measured {
    switches: f64,
    retargets: f64,
    told: f64,
    shares: f64,
    work: f64,
    refused: u64,
}

fn measure(mode: Mode, hashes: &[f64]) -> Measured {
    let vardiff = Vardiff {
        every: Duration::from_secs(60),
        shares: 10.0,
    };
    let pool = |seed| PoolOptions {
        seed,
        vardiff: Some(vardiff),
        job_interval: Some(Duration::from_secs(30)),
        difficulty: 2e-8,
        ..PoolOptions::default()
    };
    let mut config = config([70.0, 30.0], 10.0);
    config.scheduler.mode = mode;
    let mut world = World::new(config, [pool(1), pool(2)], 1);
    for (index, rate) in hashes.iter().enumerate() {
        let options = MinerOptions {
            user: format!("wallet.w{index}"),
            pace: Pace::Hashes(*rate),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_millis(900));
    }
    world.run(hours(1.0), |_| ());
    let count = |world: &World| {
        let ledgers = PoolSlot::ALL.map(|slot| world.sites[slot].model.ledger().clone());
        let sum = |of: fn(&dpmp::sim::pool::ledger::PoolLedger) -> f64| -> f64 {
            ledgers.iter().map(of).sum()
        };
        [
            sum(|it| it.retargets() as f64),
            sum(|it| it.accepted() as f64),
            sum(|it| it.work()),
            sum(|it| it.refused() as f64),
        ]
    };
    let before = count(&world);
    world.keep_facts = true;
    let time = 2.0;
    let mut told: BTreeMap<_, f64> = BTreeMap::new();
    let (mut changes, mut switched) = (0_u64, 0_u64);
    for _ in 0..(time * 60.0) as u64 {
        world.run(Duration::from_secs(60), |_| ());
        for fact in world.facts.drain(..) {
            match fact {
                Fact::JobForwarded {
                    miner, difficulty, ..
                } => {
                    let now = difficulty.get();
                    changes += u64::from(told.insert(miner, now).is_some_and(|it| it != now));
                }
                Fact::PoolSwitched { .. } => switched += 1,
                _ => (),
            }
        }
    }
    let after = count(&world);
    let grown = |at: usize| after[at] - before[at];
    let miner_hours = time * hashes.len() as f64;
    let hashed: f64 = hashes.iter().map(|rate| rate * time * 3600.0).sum();
    Measured {
        switches: switched as f64 / miner_hours,
        retargets: grown(0) / miner_hours,
        told: changes as f64 / miner_hours,
        shares: grown(1) / miner_hours,
        work: grown(2) * 4_294_967_296.0 / hashed,
        refused: grown(3) as u64,
    }
}

/// The table in docs/performance.md: cargo test --test sim vardiff -- --nocapture
#[test]
fn pools_retarget_less_often_for_a_fleet() {
    let mut random = Random::new(3);
    let hashes: Vec<_> = (0..7).map(|_| random.log_between(40.0, 200.0)).collect();
    let [ratio, fleet] = [Mode::Ratio, Mode::Fleet].map(|mode| measure(mode, &hashes));
    println!("| mode | switches | retargets | difficulties told | shares | work | refused |");
    for (name, it) in [("ratio", &ratio), ("fleet", &fleet)] {
        println!(
            "| `{name}` | {:.1} | {:.1} | {:.1} | {:.0} | {:.3} | {} |",
            it.switches, it.retargets, it.told, it.shares, it.work, it.refused
        );
    }
    assert!(fleet.switches * 5.0 < ratio.switches);
    assert!(fleet.retargets < ratio.retargets);
    assert!(fleet.told * 3.0 < ratio.told);
    assert!(fleet.work > 0.97 * ratio.work);
}
