//! Single oddities of pools and miners, each as a short story in simulated time.

use std::time::Duration;

use dpmp::core::fact::{Eviction, Fact};
use dpmp::sim::miner::options::{Handshake, MinerOptions, Pace};
use dpmp::sim::pool::options::{ConfigureHabit, ConfigureOrder, PoolOptions};
use dpmp::units::PoolSlot;

use crate::world::{Rig, World, config};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pools() -> [PoolOptions; 2] {
    let pool = |seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    };
    [pool(1), pool(2)]
}

fn miner() -> MinerOptions {
    MinerOptions {
        pace: Pace::Shares(0.5),
        ..MinerOptions::default()
    }
}

/// compat Q34, Q36: a pool that leaves less room than before.
#[test]
fn a_smaller_extranonce2_is_announced_or_the_miner_subscribes_again() {
    for told in [true, false] {
        let mut world = World::new(config([50.0, 50.0], 10.0), pools(), 1);
        let options = MinerOptions {
            extranonce_subscribe: told,
            ..miner()
        };
        world.add_miner(options, seconds(2));
        world.run(seconds(60), |_| ());
        world.pool(PoolSlot::B, |pool, now, out| {
            pool.change(|options| options.e2_size = 3, now, out);
        });
        world.kill_connections(PoolSlot::B);
        world.run(seconds(60), |_| ());
        let ledger = world.rigs[0].model.ledger();
        assert_eq!(ledger.set_extranonces(), u64::from(told));
        assert_eq!(ledger.connections(), if told { 1 } else { 2 });
        if told {
            let jobs = ledger.jobs();
            let first = jobs.iter().rposition(|job| job.clean).unwrap();
            assert!(first > 0, "the job with the new extranonce is clean");
        }
        for slot in PoolSlot::ALL {
            let ledger = world.sites[slot].model.ledger();
            assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
            assert!(ledger.accepted() > 20);
        }
    }
}

/// compat Q35: with less than two bytes, work would repeat. DPMP does not use the pool and reports why.
#[test]
fn a_pool_with_one_byte_of_extranonce2_is_not_used() {
    let [a, b] = pools();
    let mut world = World::new(
        config([50.0, 50.0], 10.0),
        [a, PoolOptions { e2_size: 1, ..b }],
        2,
    );
    world.keep_facts = true;
    world.add_miner(miner(), seconds(2));
    world.run(seconds(100), |_| ());
    assert!(world.sites[PoolSlot::A].model.ledger().accepted() > 40);
    assert_eq!(world.sites[PoolSlot::B].model.ledger().accepted(), 0);
    let said = world.facts.iter().any(|fact| match fact {
        Fact::PoolLost { reason, .. } => reason.to_string().contains("its size is 1,"),
        _ => false,
    });
    assert!(said);
}

/// compat Q65: some miners leave a server that has sent nothing new for 90 seconds.
#[test]
fn a_silent_pools_job_is_sent_again_as_new_work() {
    let [a, b] = pools();
    let quiet = |pool| PoolOptions {
        job_interval: None,
        ..pool
    };
    let mut world = World::new(config([100.0, 0.0], 10.0), [quiet(a), b], 3);
    world.add_miner(miner(), seconds(2));
    world.run(seconds(600), |_| ());
    let jobs = world.rigs[0].model.ledger().jobs();
    assert!(jobs.len() >= 9, "{} jobs", jobs.len());
    for pair in jobs.windows(2) {
        assert!(pair[1].at - pair[0].at <= seconds(61));
        assert!(pair[1].ntime > pair[0].ntime, "fresh work");
        assert!(!pair[1].clean);
    }
    assert_eq!(world.sites[PoolSlot::A].model.ledger().refused(), 0);
}

/// compat Q64: some software never connects if it gets a mask of zero.
#[test]
fn the_other_pools_mask_is_offered_if_one_pool_has_none() {
    for without in [PoolSlot::A, PoolSlot::B] {
        let [mut a, mut b] = pools();
        if without == PoolSlot::A {
            &mut a
        } else {
            &mut b
        }
        .configure = ConfigureHabit::Error;
        let mut world = World::new(config([50.0, 50.0], 10.0), [a, b], 4);
        world.add_miner(miner(), seconds(2));
        world.run(seconds(120), |_| ());
        let ledger = world.rigs[0].model.ledger();
        assert_eq!(ledger.rejected(), 0, "{:?}", ledger.rejections());
        let masks: Vec<_> = ledger.jobs().iter().map(|job| job.mask.unwrap()).collect();
        assert!(
            masks.contains(&0) && masks.contains(&0x1fff_e000),
            "{masks:x?}"
        );
        for slot in PoolSlot::ALL {
            let ledger = world.sites[slot].model.ledger();
            assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
        }
    }
}

/// The version mask of the last job from A that each miner got.
fn masks_on_a(world: &World) -> Vec<Option<u32>> {
    let of = |rig: &Rig| {
        let mut jobs = rig.model.ledger().jobs().into_iter().rev();
        let last = jobs.find(|job| job.tag.as_deref() == Some("A"));
        last.unwrap().mask
    };
    world.rigs.iter().map(of).collect()
}

fn farm(miners: usize, order: ConfigureOrder) -> World {
    let [a, b] = pools();
    let a = PoolOptions {
        configure_order: order,
        ..a
    };
    let mut world = World::new(config([50.0, 50.0], 10.0), [a, b], 5);
    for _ in 0..miners {
        let options = MinerOptions {
            handshake: Handshake::Axeos,
            ..miner()
        };
        world.add_miner(options, seconds(2));
    }
    world
}

const FULL: Option<u32> = Some(0x1fff_e000);

/// compat Q1, Q52: a pool that was down for a moment is not mistaken for one that hangs up on configure.
#[test]
fn an_outage_during_configure_does_not_lose_version_rolling() {
    for miners in [1, 30, 100] {
        let mut world = farm(miners, ConfigureOrder::BeforeSubscribe);
        world.run(seconds(60), |_| ());
        // Connections are accepted and closed immediately, as by a front whose pool is restarting.
        for cut in [5, 60] {
            for _ in 0..20 {
                world.run(Duration::from_millis(cut), |_| ());
                world.kill_connections(PoolSlot::A);
            }
            world.run(seconds(300), |_| ());
            assert_eq!(masks_on_a(&world), vec![FULL; miners], "every {cut} ms");
        }
        assert!(
            world
                .rigs
                .iter()
                .all(|rig| rig.model.ledger().connections() == 1)
        );
    }
    // Not even if it happens every day.
    let mut world = farm(1, ConfigureOrder::BeforeSubscribe);
    world.run(seconds(60), |_| ());
    for day in 1..=5 {
        for _ in 0..2000 {
            world.run(Duration::from_millis(5), |_| ());
            world.kill_connections(PoolSlot::A);
        }
        world.run(seconds(86_400), |_| ());
        assert_eq!(masks_on_a(&world), [FULL], "day {day}");
    }
}

/// compat Q52: a whole farm runs into it at the same time, and DPMP learns it once.
#[test]
fn after_a_hang_up_on_configure_all_miners_ask_after_subscribe() {
    for miners in [1, 30, 100] {
        let mut world = farm(0, ConfigureOrder::AfterSubscribe);
        world.take_down(PoolSlot::A);
        world.run(seconds(20), |_| ());
        for _ in 0..miners {
            let options = MinerOptions {
                handshake: Handshake::Axeos,
                ..miner()
            };
            world.add_miner(options, seconds(2));
        }
        world.run(seconds(30), |_| ());
        world.sites[PoolSlot::A].up = true;
        world.run(seconds(300), |_| ());
        assert_eq!(masks_on_a(&world), vec![FULL; miners]);
    }
}

/// compat Q11, Q55: the first test of the pool came at a bad moment.
#[test]
fn a_pool_that_once_ignored_configure_is_asked_again() {
    for habit in [ConfigureHabit::Ignore, ConfigureHabit::Error] {
        let [a, b] = pools();
        let a = PoolOptions {
            configure: habit,
            ..a
        };
        let mut world = World::new(config([100.0, 0.0], 10.0), [a, b], 13);
        world.run(seconds(30), |_| ());
        world.pool(PoolSlot::A, |pool, now, out| {
            pool.change(
                |options| options.configure = ConfigureHabit::Answer,
                now,
                out,
            );
        });
        for _ in 0..2 {
            let options = MinerOptions {
                handshake: Handshake::Axeos,
                ..miner()
            };
            world.add_miner(options, seconds(2));
            world.run(seconds(600), |_| ());
        }
        assert_eq!(masks_on_a(&world), [FULL; 2]);
    }
}

/// How many connections A gets in this many seconds while `trouble` keeps happening.
fn dials(
    miners: usize,
    every: Duration,
    seconds_: u64,
    mut trouble: impl FnMut(&mut World),
) -> usize {
    let mut world = World::new(config([50.0, 50.0], 10.0), pools(), 6);
    for _ in 0..miners {
        world.add_miner(miner(), seconds(2));
    }
    world.run(seconds(60), |_| ());
    let opened = |world: &World| world.sites[PoolSlot::A].model.ledger().connections_opened();
    let (before, end) = (opened(&world), world.elapsed() + seconds(seconds_));
    while world.elapsed() < end {
        world.run(every, |_| ());
        trouble(&mut world);
    }
    usize::try_from(opened(&world) - before).unwrap()
}

/// compat Q18, Q41, Q46: pools ban clients that reconnect too fast.
#[test]
fn a_pool_that_accepts_and_then_closes_is_not_redialed_in_a_hurry() {
    for miners in [1, 30] {
        let half = Duration::from_millis(500);
        let dialled = dials(miners, half, 300, |world| {
            world.kill_connections(PoolSlot::A)
        });
        assert!(dialled <= 30 * miners, "{miners} miners: {dialled}");
        let dialled = dials(miners, half / 5, 20, |world| {
            world.pool(PoolSlot::A, |pool, now, out| pool.reconnect("[]", now, out));
        });
        assert!(dialled <= 8 * miners, "{miners} miners: {dialled}");
    }
}

/// After a while without a pool, DPMP disconnects the miner so that it can use its own fallback.
#[test]
fn a_miner_without_work_is_disconnected_in_time() {
    let mut world = World::new(config([50.0, 50.0], 10.0), pools(), 6);
    world.keep_facts = true;
    world.add_miner(miner(), seconds(2));
    world.run(seconds(30), |_| ());
    world.rigs[0].wants_in = false;
    world.take_down(PoolSlot::A);
    world.take_down(PoolSlot::B);
    world.run(seconds(59), |_| ());
    assert!(world.rigs[0].id.is_some());
    world.run(seconds(3), |_| ());
    assert!(world.rigs[0].id.is_none());
    let reason = world.facts.iter().find_map(|fact| match fact {
        Fact::MinerTurnedAway { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, Some(Eviction::NoWork));
}

/// compat Q17: AxeOS takes any answer to a subscribe as a sign that its first pool is back, and leaves its fallback.
#[test]
fn no_miner_is_drawn_from_its_fallback_while_no_pool_is_up() {
    for keep in [false, true] {
        let mut config = config([50.0, 50.0], 10.0);
        if keep {
            config.scheduler.no_work = None;
        }
        let mut world = World::new(config, pools(), 6);
        world.add_miner(miner(), seconds(2));
        world.run(seconds(30), |_| ());
        for slot in PoolSlot::ALL {
            world.take_down(slot);
        }
        world.run(seconds(600), |_| ());
        let newcomer = world.add_miner(miner(), seconds(2));
        world.run(seconds(15), |_| ());
        let answers = world.rigs[newcomer].model.ledger().lines().len();
        assert_eq!(
            answers > 0,
            keep,
            "{answers} lines; the owner wants to keep miners: {keep}"
        );
        // And a waiting miner gets work soon after a pool is back.
        world.sites[PoolSlot::A].up = true;
        world.run(seconds(12), |_| ());
        assert!(!world.rigs[newcomer].model.ledger().jobs().is_empty());
    }
}

/// A pool that is new to the proxy, and silent, must not delay the answers to shares for the other pool.
#[test]
fn shares_do_not_wait_for_a_pool_that_was_never_reached() {
    let mut world = World::new(config([0.0, 100.0], 10.0), pools(), 7);
    world.add_miner(miner(), seconds(2));
    world.run(seconds(60), |_| ());
    world.sites[PoolSlot::A].frozen = true;
    world.configure(config([50.0, 50.0], 10.0));
    let before = world.sites[PoolSlot::B].model.ledger().accepted();
    world.run(seconds(30), |_| ());
    let ledger = world.rigs[0].model.ledger();
    assert_eq!(ledger.unanswered(world.now, seconds(1)), 0);
    assert_eq!(ledger.rejected(), 0, "{:?}", ledger.rejections());
    assert!(world.sites[PoolSlot::B].model.ledger().accepted() > before + 10);
}

/// At the very first start, one pool accepts connections and then sends nothing.
#[test]
fn a_mute_pool_does_not_keep_a_new_farm_from_the_other_pool() {
    let [a, b] = pools();
    let mute = PoolOptions { silent: true, ..a };
    let mut world = World::new(config([50.0, 50.0], 10.0), [mute, b], 10);
    world.add_miner(miner(), seconds(2));
    world.run(seconds(8), |_| ());
    assert!(!world.rigs[0].model.ledger().jobs().is_empty());
    world.run(seconds(60), |_| ());
    let ledger = world.rigs[0].model.ledger();
    assert_eq!((ledger.rejected(), ledger.connections()), (0, 1));
    assert!(world.sites[PoolSlot::B].model.ledger().accepted() > 20);
}

/// compat Q53: version rolling granted without a single bit is still granted; the pool expects the sixth parameter.
#[test]
fn a_mask_of_zero_is_a_mask() {
    let [a, b] = pools();
    let zero = PoolOptions { mask: Some(0), ..b };
    let mut world = World::new(config([50.0, 50.0], 10.0), [a, zero], 11);
    let options = MinerOptions {
        handshake: Handshake::Axeos,
        ..miner()
    };
    world.add_miner(options, seconds(2));
    world.run(seconds(120), |_| ());
    for slot in PoolSlot::ALL {
        let ledger = world.sites[slot].model.ledger();
        assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
        assert!(ledger.accepted() > 20, "{}", ledger.summary());
    }
}

/// compat Q53, Q55: version rolling granted after DPMP stopped waiting for the answer still counts.
#[test]
fn version_rolling_may_be_granted_late() {
    let mut world = World::new(config([50.0, 50.0], 30.0), pools(), 13);
    world.sites[PoolSlot::A].far = seconds(3);
    let options = MinerOptions {
        handshake: Handshake::Axeos,
        ..miner()
    };
    world.add_miner(options, seconds(2));
    world.run(seconds(300), |_| ());
    let ledger = world.sites[PoolSlot::A].model.ledger();
    assert!(ledger.accepted() > 20, "{}", ledger.summary());
    let jobs = world.rigs[0].model.ledger().jobs();
    let mut on_a = jobs
        .iter()
        .rev()
        .filter(|job| job.tag.as_deref() == Some("A"));
    assert_eq!(on_a.next().unwrap().mask, Some(0x1fff_e000));
}

/// Answers on a connection that is being closed still count.
#[test]
fn late_shares_for_a_pool_being_left_get_their_answers() {
    for reconnect in [false, true] {
        let mut world = World::new(config([50.0, 50.0], 10.0), pools(), 8);
        let options = MinerOptions {
            pace: Pace::Shares(20.0),
            late: seconds(4),
            ..miner()
        };
        world.add_miner(options, Duration::from_millis(50));
        for round in 0..20 {
            world.run(Duration::from_millis(9500 + 700 * round), |_| ());
            if reconnect {
                world.pool(PoolSlot::A, |pool, now, out| {
                    pool.reconnect(r#"["",0,4]"#, now, out);
                });
            } else {
                let weights = if round % 2 == 0 {
                    [0.0, 1.0]
                } else {
                    [1.0, 1.0]
                };
                world.configure(config(weights, 10.0));
            }
        }
        world.rigs[0].model.pause(true);
        world.run(seconds(10), |_| ());
        let ledger = world.rigs[0].model.ledger();
        let lost = ledger.rejections();
        let lost = lost.iter().filter(|share| {
            share
                .answer
                .as_ref()
                .is_some_and(|answer| answer.code == Some(20))
        });
        assert_eq!(lost.count(), 0, "reconnect: {reconnect}");
        let accepted: u64 = PoolSlot::ALL
            .into_iter()
            .map(|slot| world.sites[slot].model.ledger().accepted())
            .sum();
        assert_eq!(ledger.unanswered(world.now, Duration::ZERO), 0);
        assert_eq!(ledger.accepted(), accepted);
    }
}

/// Behind a load balancer, an instance that stops sends its miners to the others gradually.
#[test]
fn a_stop_disconnects_miners_evenly_and_they_mine_until_then() {
    let mut slowly = config([50.0, 50.0], 10.0);
    slowly.listen.drain = seconds(100);
    let mut world = World::new(slowly, pools(), 1);
    for _ in 0..10 {
        world.add_miner(miner(), seconds(2));
    }
    world.run(seconds(60), |_| ());
    for rig in &mut world.rigs {
        rig.wants_in = false;
    }
    let accepted = |world: &World| -> u64 {
        let ledgers = world.rigs.iter().map(|rig| rig.model.ledger());
        ledgers.map(|ledger| ledger.accepted()).sum()
    };
    let before = accepted(&world);
    world.shut_down();
    for gone in 1..10 {
        // The answers to the last shares take a moment.
        world.run(seconds(5), |_| ());
        assert_eq!(world.connected(), 10 - gone);
        world.run(seconds(5), |_| ());
        assert!(!world.core.is_finished());
    }
    world.run(seconds(5), |_| ());
    assert!(world.core.is_finished());
    let meanwhile = accepted(&world) - before;
    assert!(meanwhile > 100, "{meanwhile} shares of about 225 expected");
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        assert_eq!(ledger.rejected(), 0, "{:?}", ledger.rejections());
    }
}
