//! Many miners on few pool connections.

use std::time::Duration;

use dpmp::config::Connections;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot;

use crate::world::{World, config};

/// So many miners, at most `most` of them on a connection, each with a share every ten seconds on average.
fn farm(miners: u64, most: usize, pools: [PoolOptions; 2]) -> World {
    let mut config = config([50.0, 50.0], 10.0);
    for pool in config.pools.values_mut().flatten() {
        pool.connections = Connections::Shared;
        pool.miners_per_connection = most;
    }
    let mut world = World::new(config, pools, 7);
    for index in 0..miners {
        let options = MinerOptions {
            user: format!("wallet.rig{index}"),
            pace: Pace::Shares(0.1),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs(10));
    }
    world
}

/// No job for two hours: what is sent again at each turn is fresh work for each member, and the header's time does not
/// run ahead of the clock, as it would if the members used it up together.
#[test]
fn two_hundred_and_fifty_on_one_job() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        block_interval: None,
        job_interval: None,
        ..PoolOptions::default()
    });
    let mut world = farm(250, 250, pools);
    let hours = 2;
    world.run(Duration::from_secs(hours * 3600), |_| ());
    for slot in PoolSlot::ALL {
        assert_eq!(world.standing(slot).count(), 1, "{slot}");
        let ledger = world.sites[slot].model.ledger();
        assert_eq!(ledger.refused(), 0, "{slot}: {}", ledger.summary());
        let accepted = ledger.accepted() as f64;
        let expected = 250.0 * 0.1 * hours as f64 * 1800.0;
        assert!(
            (accepted / expected - 1.0).abs() < 0.05,
            "{slot}: {accepted}"
        );
    }
}

/// As many connections as are needed and no more, also after an outage, and whoever comes later joins those that have
/// room.
#[test]
fn a_farm_needs_few_connections() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    });
    let mut world = farm(100, 30, pools);
    world.run(Duration::from_secs(300), |_| ());
    let standing = |world: &World| PoolSlot::ALL.map(|slot| world.standing(slot).count());
    assert_eq!(standing(&world), [4, 4]);
    world.kill_connections(PoolSlot::A);
    let dials = world.sites[PoolSlot::A].dials;
    world.run(Duration::from_secs(300), |_| ());
    assert_eq!(standing(&world), [4, 4]);
    assert!(world.sites[PoolSlot::A].dials <= dials + 5);
    for index in 0..40 {
        world.hang_up(index);
    }
    world.run(Duration::from_secs(60), |_| ());
    for index in 0..40 {
        world.connect(index);
    }
    world.run(Duration::from_secs(300), |_| ());
    assert_eq!(standing(&world), [4, 4]);
    let snapshot = world.core.snapshot(world.clock());
    assert_eq!(snapshot.miners.len(), 100);
}

/// Shares wait on a line when its last member leaves. Nothing brings it back to life.
#[test]
fn a_line_that_all_have_left_is_not_dialled_again() {
    let mute = PoolOptions {
        answers_shares: false,
        ..PoolOptions::default()
    };
    let mut world = farm(2, 10, [mute, PoolOptions::default()]);
    world.run(Duration::from_secs(40), |_| ());
    for index in 0..2 {
        world.hang_up(index);
        world.run(Duration::from_secs(1), |_| ());
    }
    let mut settings = (**world.core.config()).clone();
    settings.scheduler.clean_on_switch = true;
    world.configure(settings);
    world.run(Duration::from_secs(200), |_| ());
    assert_eq!(world.standing(PoolSlot::A).count(), 0);
    assert_eq!(world.standing(PoolSlot::B).count(), 0);
}

/// Shares that were sent count for their worker when the miner has left, and a pool that is taken out answers those that
/// it has.
#[test]
fn what_is_under_way_is_waited_for() {
    let mut world = farm(
        2,
        1,
        [0, 1].map(|seed| PoolOptions {
            seed,
            ..PoolOptions::default()
        }),
    );
    for slot in PoolSlot::ALL {
        world.sites[slot].far = Duration::from_secs(2);
    }
    world.run(Duration::from_secs(300), |_| ());
    let mut settings = (**world.core.config()).clone();
    settings.pools[PoolSlot::B] = None;
    world.configure(settings);
    world.run(Duration::from_secs(60), |_| ());
    assert!(
        world
            .rigs
            .iter()
            .all(|rig| rig.model.ledger().rejected() == 0)
    );
    for index in 0..2 {
        world.hang_up(index);
    }
    world.run(Duration::from_secs(60), |_| ());
    assert_eq!(world.standing(PoolSlot::A).count(), 0);
    let totals = world.core.memory().totals;
    for slot in PoolSlot::ALL {
        let accepted = world.sites[slot].model.ledger().accepted();
        assert_eq!(totals.pools[slot].shares.accepted, accepted, "{slot}");
    }
}
