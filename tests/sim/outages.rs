//! No pool has work: what happens to the miners until one is back.

use std::time::Duration;

use dpmp::core::fact::{Eviction, Fact};
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot;

use crate::world::{World, config};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn world(no_work: Option<u64>, nbits: u32) -> World {
    let pool = |seed| PoolOptions {
        seed,
        nbits,
        ..PoolOptions::default()
    };
    let mut config = config([50.0, 50.0], 10.0);
    config.scheduler.no_work = no_work.map(seconds);
    let mut world = World::new(config, [pool(1), pool(2)], 11);
    world.keep_facts = true;
    world.add_miner(
        MinerOptions {
            pace: Pace::Shares(2.0),
            ..MinerOptions::default()
        },
        seconds(1),
    );
    world.run(seconds(30), |_| ());
    world
}

fn both_down(world: &mut World) {
    PoolSlot::ALL
        .into_iter()
        .for_each(|slot| world.take_down(slot));
}

/// compat Q68: cpuminer-opt exits for good when more than half of its shares are rejected.
#[test]
fn a_miner_without_work_is_kept_quiet() {
    for (no_work, outage) in [(Some(60), 20), (None, 300)] {
        let mut world = world(no_work, 0x1702_3a04);
        let ledger = world.rigs[0].model.ledger().clone();
        let (before, jobs) = (ledger.accepted(), ledger.jobs_received());
        assert!(before > 40, "{before}");
        both_down(&mut world);
        world.run(seconds(outage), |_| ());
        assert!(ledger.rejected() <= 2, "{} rejected", ledger.rejected());
        assert_eq!(ledger.connections(), 1);
        let parked = ledger.last_job().unwrap();
        assert_eq!(parked.difficulty, 2_147_483_647.0);
        assert!(parked.clean, "its work is worthless now");
        // compat Q65: some miners leave after 90 seconds without a line.
        let sent = ledger.jobs_received() - jobs;
        assert!(sent >= outage / 61 && sent <= outage / 60 + 3, "{sent}");

        PoolSlot::ALL
            .into_iter()
            .for_each(|slot| world.sites[slot].up = true);
        world.run(seconds(60), |_| ());
        assert_eq!(ledger.connections(), 1);
        assert!(ledger.last_job().unwrap().difficulty < 1.0);
        let after = ledger.accepted() - before;
        assert!(after > 50, "{after} shares after the outage");
    }
}

/// DPMP still asks for the only shares that matter in an outage: blocks.
#[test]
fn a_miner_without_work_is_asked_only_for_blocks() {
    // The network difficulty is 1/128, which is higher than the pools' difficulty.
    let mut world = world(Some(60), 0x1d7f_ff80);
    both_down(&mut world);
    world.run(seconds(5), |_| ());
    let parked = world.rigs[0].model.ledger().last_job().unwrap();
    assert!((parked.difficulty - 1.0 / 128.0).abs() < 1e-4, "{parked:?}");
}

/// compat Q69: AxeOS goes to its fallback after three connections that end without an answer.
#[test]
fn a_miner_that_returns_in_vain_meets_a_dead_server_and_is_then_held() {
    let mut world = world(Some(60), 0x1702_3a04);
    world.facts.clear();
    both_down(&mut world);
    world.run(seconds(61), |_| ());
    let ledger = world.rigs[0].model.ledger().clone();
    let before = ledger.replies().len();
    world.run(seconds(14), |_| ());
    // It was disconnected, returned immediately three times, and is held now.
    assert_eq!(ledger.connections(), 5);
    assert_eq!(ledger.replies().len(), before, "it gets no line");
    let turned_away = |world: &World| {
        let reasons = world.facts.iter().filter_map(|fact| match fact {
            Fact::MinerTurnedAway { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        reasons.collect::<Vec<_>>()
    };
    assert_eq!(turned_away(&world), vec![Eviction::NoWork; 4]);
    world.sites[PoolSlot::A].up = true;
    world.run(seconds(12), |_| ());
    assert_eq!(ledger.connections(), 5, "waiting miners get work");
    assert!(ledger.last_job().unwrap().difficulty < 1.0);
}

#[test]
fn a_miner_that_waited_in_vain_is_not_called_unauthorized() {
    let mut world = world(Some(60), 0x1702_3a04);
    both_down(&mut world);
    world.run(seconds(75), |_| ());
    world.facts.clear();
    // Until the end of the minute, and at least for half of one.
    world.run(seconds(50), |_| ());
    assert!(world.facts.iter().any(|fact| matches!(
        fact,
        Fact::MinerTurnedAway {
            reason: Eviction::NoWork,
            ..
        }
    )));
    assert!(!world.facts.iter().any(|fact| matches!(
        fact,
        Fact::MinerTurnedAway {
            reason: Eviction::NotAuthorized,
            ..
        }
    )));
}
