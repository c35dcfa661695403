//! Everything fails now and then, and each promise still holds after every step, for thousands of hours.

use std::time::Duration;

use dpmp::config::steering::Work;
use dpmp::config::{Config, Connections, Mode};
use dpmp::core::event::Event;
use dpmp::core::steering::{ALL_WORKERS, Override};
use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::miner::options::{Handshake, Ids, MinerOptions, Pace as MinerPace};
use dpmp::sim::pool::options::{ExtranonceReuse, PoolOptions};
use dpmp::units::{PerPool, PoolSlot};

use crate::world::{World, config};

/// How eventful a world is.
#[derive(Clone, Copy)]
struct Pace {
    miners: u64,
    /// Seconds between two shares of a miner.
    share: f64,
    /// The length of a turn, in seconds.
    slice: f64,
    /// Seconds between two jobs of a pool, and between two blocks.
    job: u64,
    block: u64,
    /// The longest time without a fault, in seconds.
    quiet: f64,
    /// How many miners share a connection to each pool.
    members: [usize; 2],
    mode: Mode,
}

/// As in a home: turns of ten seconds, few shares, and a fault every minute.
const BUSY: Pace = Pace {
    miners: 6,
    share: 10.0,
    slice: 10.0,
    job: 30,
    block: 600,
    quiet: 600.0,
    members: [1, 1],
    mode: Mode::Ratio,
};

/// Slow enough to simulate months in a short time.
const SLOW: Pace = Pace {
    miners: 3,
    share: 240.0,
    slice: 120.0,
    job: 240,
    block: 3600,
    quiet: 7200.0,
    members: [1, 1],
    mode: Mode::Ratio,
};

fn settings(weights: [f64; 2], pace: Pace) -> Config {
    let mut config = config(weights, pace.slice);
    config.scheduler.mode = pace.mode;
    for (slot, members) in PoolSlot::ALL.into_iter().zip(pace.members) {
        if let Some(pool) = &mut config.pools[slot] {
            if members > 1 {
                pool.connections = Connections::Shared;
                pool.miners_per_connection = members;
            }
        }
    }
    config
}

fn options(seed: u64, pace: Pace) -> [PoolOptions; 2] {
    let base = PoolOptions {
        block_interval: Some(Duration::from_secs(pace.block)),
        job_interval: Some(Duration::from_secs(pace.job)),
        ..PoolOptions::default()
    };
    [
        PoolOptions {
            seed,
            e1_reuse: ExtranonceReuse::Slots,
            wander: Some((1e-10, 1e-8)),
            ..base.clone()
        },
        PoolOptions {
            seed: seed + 1,
            e1_size: 3,
            e2_size: 4,
            ..base
        },
    ]
}

fn miner(index: u64, pace: Pace) -> MinerOptions {
    let styles = [
        Handshake::Axeos,
        Handshake::Cgminer,
        Handshake::Cpuminer,
        Handshake::SubscribeFirst,
    ];
    let ids = [Ids::Counted, Ids::Text, Ids::SubmitsAreFour, Ids::Counted];
    let which = usize::try_from(index % 4).unwrap();
    MinerOptions {
        user: format!("wallet.rig{index}"),
        handshake: styles[which],
        ids: ids[which],
        rolling: (which != 2).then_some(0x1fff_e000),
        extranonce_subscribe: which == 3,
        pace: MinerPace::Shares(1.0 / pace.share),
        late: Duration::from_secs(2),
        ..MinerOptions::default()
    }
}

/// One random fault or change.
fn trouble(world: &mut World, weights: &mut [f64; 2], pace: Pace) {
    let slot = if world.rng.below(2) == 0 {
        PoolSlot::A
    } else {
        PoolSlot::B
    };
    match world.rng.below(15 + u64::from(pace.members != [1, 1])) {
        0 => world.take_down(slot),
        1 | 2 => world.sites[slot].up = true,
        3 => world.sites[slot].frozen = true,
        4 | 5 => world.thaw(slot),
        6 => world.kill_connections(slot),
        7 => {
            let difficulty = world.rng.log_between(1e-10, 1e-8);
            world.pool(slot, |pool, now, out| {
                pool.change(|options| options.difficulty = difficulty, now, out)
            });
        }
        8 => {
            let mask = [0x1fff_e000, 0x00ff_e000, 0x1000_0000][world.rng.below(3) as usize];
            world.pool(slot, |pool, now, out| {
                pool.change(|options| options.mask = Some(mask), now, out)
            });
        }
        9 => {
            let e1_size = 1 + world.rng.below(8) as usize;
            let e2_size = 4 + world.rng.below(5) as usize;
            world.pool(slot, |pool, now, out| {
                pool.set_extranonce(e1_size, e2_size, now, out);
                pool.new_job(now, out);
            });
        }
        10 => world.pool(slot, |pool, now, out| pool.new_block(now, out)),
        11 => {
            let index = world.rng.below(world.rigs.len() as u64) as usize;
            world.hang_up(index);
            world.connect(index);
        }
        12 => {
            let choices = [
                [50.0, 50.0],
                [70.0, 30.0],
                [5.0, 95.0],
                [100.0, 0.0],
                [0.0, 100.0],
            ];
            *weights = choices[world.rng.below(5) as usize];
            world.configure(settings(*weights, pace));
        }
        13 => {
            let work = [
                Work::only(slot),
                Work::Pause,
                Work::Split(PerPool::new(30.0, 70.0)),
            ];
            let now = world.clock().unix_ms;
            let time = world.rng.below(60 * 60 * 1000);
            let change = Override {
                work: work[world.rng.below(3) as usize],
                workers: vec![ALL_WORKERS.to_owned()],
                until_ms: Some(now + time),
                set_ms: now,
                by: String::new(),
            };
            world.tell(Event::Override(change));
        }
        14 if pace.members != [1, 1] => {
            let most = |world: &mut World| [1, 3, 250][world.rng.below(3) as usize];
            let members = [most(world), most(world)];
            world.configure(settings(*weights, Pace { members, ..pace }));
        }
        _ => world.pool(slot, |pool, now, out| pool.reconnect("[]", now, out)),
    }
}

fn check(world: &mut World, seed: u64) {
    // Checking everything after each step would take longer than the steps.
    if world.steps % 64 != 0 {
        return;
    }
    let at = format!("seed {seed} after {:?}", world.elapsed());
    for slot in PoolSlot::ALL {
        let ledger = world.sites[slot].model.ledger();
        // Only a share that meets a new block on its way may be rejected.
        let stale = ledger.count(Verdict::Stale);
        assert_eq!(
            ledger.refused(),
            stale,
            "{at}: pool {slot}: {}",
            ledger.summary()
        );
    }
    assert!(
        world.links() <= world.rigs.len() * 7 + 2,
        "{at}: {} links",
        world.links()
    );
}

fn run(seed: u64, hours: u64, pace: Pace) {
    let mut weights = [50.0, 50.0];
    let mut world = World::new(settings(weights, pace), options(seed, pace), seed);
    for index in 0..pace.miners {
        world.add_miner(miner(index, pace), Duration::from_secs_f64(pace.share));
    }
    let end = Duration::from_secs(hours * 3600);
    while world.elapsed() < end {
        let quiet = Duration::from_secs_f64(world.rng.log_between(0.05, pace.quiet));
        world.run(quiet, |world| check(world, seed));
        trouble(&mut world, &mut weights, pace);
    }
    // Everything works again, and every miner recovers within the time that a catch-up may take.
    for slot in PoolSlot::ALL {
        world.sites[slot].up = true;
        world.thaw(slot);
    }
    world.configure(settings([50.0, 50.0], pace));
    world.tell(Event::OverrideEnded(vec![ALL_WORKERS.to_owned()]));
    world.run(Duration::from_secs(3600), |world| check(world, seed));
    let accepted: Vec<_> = world
        .rigs
        .iter()
        .map(|rig| rig.model.ledger().accepted())
        .collect();
    world.run(Duration::from_secs(3600), |world| check(world, seed));
    let snapshot = world.core.snapshot(world.clock());
    assert_eq!(snapshot.miners.len(), world.rigs.len(), "seed {seed}");
    for miner in &snapshot.miners {
        assert!(
            pace.mode == Mode::Fleet || miner.error_seconds.abs() <= pace.slice / 4.0 + 0.2,
            "seed {seed}: {miner:?}"
        );
    }
    if let Some(fleet) = &snapshot.fleet {
        let placed = fleet.turn_takers.len() + fleet.assigned.len();
        assert_eq!(placed, world.rigs.len(), "seed {seed}: {fleet:?}");
        let (error, bound) = (fleet.error.unwrap(), fleet.bound.unwrap());
        assert!(error.abs() < bound, "seed {seed}: {fleet:?}");
    }
    for (rig, before) in world.rigs.iter().zip(accepted) {
        let fresh = rig.model.ledger().accepted() - before;
        assert!(
            fresh as f64 > 0.8 * 3600.0 / pace.share,
            "seed {seed}: {fresh} shares"
        );
    }
    world.shut_down();
    world.run(Duration::from_secs(10), |_| ());
    assert!(world.core.is_finished());
}

#[test]
fn promises_hold_through_days_of_trouble() {
    for seed in 0..2 {
        run(seed, 6, BUSY);
    }
}

/// Many miners on few connections keep every promise of a single miner, even if only one pool is shared or the groups
/// are smaller than the farm.
#[test]
fn promises_hold_through_days_of_trouble_on_shared_connections() {
    for (seed, members) in [(300, [250, 250]), (301, [1, 250]), (302, [3, 2])] {
        let farm = Pace {
            miners: 12,
            members,
            ..BUSY
        };
        run(seed, 6, farm);
    }
}

#[test]
fn promises_hold_through_days_of_trouble_for_a_fleet() {
    for (seed, members) in [(400, [1, 1]), (401, [1, 1]), (402, [3, 2])] {
        let fleet = Pace {
            miners: 9,
            members,
            mode: Mode::Fleet,
            ..BUSY
        };
        run(seed, 6, fleet);
    }
}

#[test]
fn promises_hold_through_months_of_trouble() {
    run(100, 1000, SLOW);
}
