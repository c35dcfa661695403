//! Many miners on few pool connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dpmp::config::steering::{Work, WorkerSettings};
use dpmp::config::{Config, Connections};
use dpmp::core::fact::{Fact, ShareOutcome};
use dpmp::core::memory::Memory;
use dpmp::observe::event;
use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::miner::options::{Extranonce2Use, MinerOptions, Pace};
use dpmp::sim::pool::options::{ExtranonceReuse, PoolOptions, Refusal, SecondName};
use dpmp::units::{PerPool, PoolSlot};
use log::Level;

use crate::world::{HOSTS, World, config};

/// A configuration in which this many miners share a connection to each pool.
fn sharing(most: [Option<usize>; 2]) -> Config {
    let mut config = config([50.0, 50.0], 10.0);
    share(&mut config, most);
    config
}

fn share(config: &mut Config, most: [Option<usize>; 2]) {
    for (pool, most) in config.pools.values_mut().flatten().zip(most) {
        pool.connections = most.map_or(Connections::Own, |_| Connections::Shared);
        pool.miners_per_connection = most.unwrap_or(250);
    }
}

/// How many connections each pool has.
fn standing(world: &World) -> [usize; 2] {
    PoolSlot::ALL.map(|slot| world.standing(slot).count())
}

/// This many miners, with at most `most` of them per connection, each with a share every ten seconds on average.
fn farm(miners: u64, most: usize, pools: [PoolOptions; 2]) -> World {
    let config = sharing([Some(most); 2]);
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

/// Without a job for two hours, each turn sends the old one as new work for each member. The header's time must not run
/// ahead of the clock, as it would if the members used it up together.
#[test]
fn two_hundred_and_fifty_miners_share_one_job() {
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

/// As many connections as needed and no more, even after an outage. Later miners join those that have room.
#[test]
fn a_farm_needs_few_connections() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    });
    let mut world = farm(100, 30, pools);
    world.run(Duration::from_secs(300), |_| ());
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

/// Shares are pending on a connection when its last member leaves. Nothing revives it.
#[test]
fn a_connection_that_all_miners_left_is_not_dialed_again() {
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

/// Shares in flight count for their worker after the miner has left, and a removed pool still answers the ones it has.
#[test]
fn shares_in_flight_are_waited_for() {
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

/// Whatever the owner sets, no miner is dropped, no share is rejected, and work never stops for longer than a dial
/// takes.
#[test]
fn miners_move_between_shared_connections_and_their_own() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        block_interval: None,
        ..PoolOptions::default()
    });
    let mut world = farm(40, 25, pools);
    let minute = Duration::from_secs(60);
    world.run(2 * minute, |_| ());
    assert_eq!(standing(&world), [2, 2]);
    for (most, expected) in [
        ([None, None], [40, 40]),
        ([Some(25), None], [2, 40]),
        ([None, Some(10)], [40, 4]),
        // Miners that have the same extranonce1 by now cannot share a connection.
        ([Some(250), Some(250)], [4, 4]),
        ([Some(7), Some(250)], [6, 6]),
        ([None, None], [40, 40]),
        ([Some(25), Some(25)], [2, 2]),
    ] {
        let before: Vec<u64> = accepted(&world);
        let mut settings = (**world.core.config()).clone();
        share(&mut settings, most);
        world.configure(settings);
        world.run(2 * minute, |_| ());
        let found = standing(&world);
        let fits = |found, expected| found >= expected && found <= expected + 2;
        assert!(
            fits(found[0], expected[0]) && fits(found[1], expected[1]),
            "{most:?}: {found:?}"
        );
        for (before, now) in before.iter().zip(accepted(&world)) {
            assert!(now - before >= 4, "{most:?}: {before} {now}");
        }
    }
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        assert_eq!((ledger.connections(), ledger.rejected()), (1, 0));
    }
    for slot in PoolSlot::ALL {
        assert_eq!(world.sites[slot].model.ledger().refused(), 0, "{slot}");
    }
}

fn accepted(world: &World) -> Vec<u64> {
    let rigs = world.rigs.iter();
    rigs.map(|rig| rig.model.ledger().accepted()).collect()
}

/// A miner is credited with what it has hashed, whatever difficulty suits it, and the pool pays for all of it.
#[test]
fn slow_and_fast_miners_are_credited_fairly() {
    const D: f64 = 1e-5;
    const HASHES: f64 = 4_294_967_296.0;
    let mut config = sharing([Some(250); 2]);
    config.scheduler.weights = PerPool::new(100.0, 0.0);
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        difficulty: D,
        block_interval: None,
        ..PoolOptions::default()
    });
    let mut world = World::new(config, pools, 8);
    let rates = [40.0, 40.0, 400.0, 400.0, 2500.0];
    for (index, rate) in rates.into_iter().enumerate() {
        let options = MinerOptions {
            user: format!("wallet.rig{index}"),
            pace: Pace::Hashes(rate),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_millis(200));
    }
    world.run(Duration::from_secs(400), |_| ());
    let work = |world: &mut World| {
        let snapshot = world.core.snapshot(world.clock());
        let mut miners = snapshot.miners;
        miners.sort_by(|a, b| a.worker.cmp(&b.worker));
        let work = miners.iter().map(|it| it.worker_work.unwrap()[PoolSlot::A]);
        work.collect::<Vec<f64>>()
    };
    let seconds = 2400;
    let (before, shares) = (work(&mut world), accepted(&world));
    let paid = world.sites[PoolSlot::A].model.ledger().accepted();
    world.run(Duration::from_secs(seconds), |_| ());
    let after = work(&mut world);
    for (index, rate) in rates.into_iter().enumerate() {
        let done = (after[index] - before[index]) * HASHES / seconds as f64;
        assert!((done / rate - 1.0).abs() < 0.25, "{rate}: {done}");
        let found = accepted(&world)[index] - shares[index];
        let interval = seconds as f64 / found as f64;
        assert!((4.0..20.0).contains(&interval), "{rate}: {interval} s");
    }
    let paid = world.sites[PoolSlot::A].model.ledger().accepted() - paid;
    let paid = paid as f64 * D * HASHES / seconds as f64;
    let hashed: f64 = rates.iter().sum();
    assert!((paid / hashed - 1.0).abs() < 0.3, "{paid} of {hashed}");
    assert_eq!(world.sites[PoolSlot::A].model.ledger().refused(), 0);
    // The pool suddenly asks for 1,000 times the difficulty, and no miner notices.
    world.pool(PoolSlot::A, |pool, now, out| {
        pool.change(|options| options.difficulty = 1000.0 * D, now, out);
        pool.new_job(now, out);
    });
    let shares = accepted(&world);
    world.run(Duration::from_secs(600), |_| ());
    for (before, now) in shares.iter().zip(accepted(&world)) {
        assert!((20..200).contains(&(now - before)), "{before} {now}");
    }
    for rig in &world.rigs {
        assert_eq!(rig.model.ledger().rejected(), 0);
    }
}

/// Miners come and go all the time, so each seat in the coinbase changes hands every minute. Some know only certain
/// sizes.
#[test]
fn seats_can_change_hands_every_minute() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        e2_size: 4,
        block_interval: None,
        job_interval: Some(Duration::from_secs(600)),
        ..PoolOptions::default()
    });
    let config = sharing([Some(250), None]);
    let mut world = World::new(config, pools, 9);
    let agents = ["bitaxe/BM1370", "NerdMinerV2", "cgminer/4.1", "LeafMiner/1"];
    for index in 0..60 {
        let agent = agents[index % agents.len()];
        let options = MinerOptions {
            user: format!("wallet.rig{index}"),
            user_agent: agent.to_owned(),
            e2_size: match agent {
                "NerdMinerV2" => Extranonce2Use::TwoFourEight,
                "LeafMiner/1" => Extranonce2Use::Always(4),
                _ => Extranonce2Use::AsTold,
            },
            pace: Pace::Shares(0.2),
            reconnect: None,
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs(5));
    }
    for round in 0..60 {
        world.run(Duration::from_secs(50), |_| ());
        let index = |number: usize| (round * 7 + number) % 60;
        for number in 0..30 {
            world.hang_up(index(number));
        }
        world.run(Duration::from_secs(5), |_| ());
        for number in (0..30).rev() {
            world.connect(index(number));
        }
        world.run(Duration::from_secs(5), |_| ());
    }
    for slot in PoolSlot::ALL {
        let ledger = world.sites[slot].model.ledger();
        assert_eq!(ledger.refused(), 0, "{slot}: {}", ledger.summary());
        assert!(ledger.accepted() > 8000, "{slot}: {}", ledger.accepted());
    }
    // One connection for each size, and one for each miner that leaves no room for an extranonce1.
    assert!(standing(&world)[0] <= 2 + 15, "{:?}", standing(&world));
}

/// A pool that leaves too little room works as usual: each miner has its own connection.
#[test]
fn a_pool_without_room_gets_one_connection_per_miner() {
    let pools = [2, 8].map(|e2_size| PoolOptions {
        seed: e2_size as u64,
        e2_size,
        block_interval: None,
        ..PoolOptions::default()
    });
    let mut world = farm(12, 250, pools);
    world.run(Duration::from_secs(600), |_| ());
    assert_eq!(standing(&world), [12, 12]);
    assert!(accepted(&world).iter().all(|accepted| *accepted > 30));
}

/// Twelve miners, of which pool A has rejected one's shares for half an hour.
fn farm_with_a_refused_miner() -> World {
    let bad = PoolOptions {
        refuse_all: Some(Verdict::LowDifficulty),
        refuse_e2: Some(vec![0, 0, 0, 1]),
        ..PoolOptions::default()
    };
    let good = PoolOptions {
        seed: 2,
        ..PoolOptions::default()
    };
    let mut world = farm(12, 250, [bad, good]);
    world.run(Duration::from_secs(1800), |_| ());
    assert_eq!(standing(&world), [2, 1]);
    world
}

/// The pool rejects one miner's shares and may drop the connection because of them. The miner gets another one.
#[test]
fn a_miner_with_rejected_shares_gets_its_own_connection() {
    let world = farm_with_a_refused_miner();
    let rejected = world.rigs.iter().map(|rig| rig.model.ledger().rejected());
    let rejected: Vec<u64> = rejected.filter(|rejected| *rejected > 0).collect();
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0] > 30, "{rejected:?}");
}

/// Miners that move to another connection keep working on the old one until the new one has work.
#[test]
fn miners_keep_working_while_their_new_connection_opens() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        block_interval: None,
        ..PoolOptions::default()
    });
    let mut world = farm(6, 250, pools);
    world.run(Duration::from_secs(60), |_| ());
    for slot in PoolSlot::ALL {
        world.sites[slot].far = Duration::from_secs(3);
    }
    let mut settings = (**world.core.config()).clone();
    share(&mut settings, [Some(2); 2]);
    world.configure(settings);
    for second in 1..=12 {
        world.run(Duration::from_secs(1), |_| ());
        let now = world.clock();
        let miners = world.core.snapshot(now).miners;
        let idle = miners.iter().filter(|it| it.pool.is_none()).count();
        assert_eq!((miners.len(), idle), (6, 0), "after {second} s");
    }
    world.run(Duration::from_secs(120), |_| ());
    assert_eq!(standing(&world), [3, 3]);
}

/// However often the only member of a connection leaves with a share in flight and returns, each share counts.
#[test]
fn shares_of_a_miner_that_comes_and_goes_count_each_time() {
    let mut settings = sharing([Some(250); 2]);
    for (worker, slot) in [("stays", PoolSlot::B), ("comes", PoolSlot::A)] {
        let own = WorkerSettings {
            work: Some(Work::only(slot)),
            ..WorkerSettings::default()
        };
        settings.workers.insert(worker.to_owned(), own);
    }
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    });
    let mut world = World::new(settings, pools, 7);
    for worker in ["stays", "comes"] {
        let options = MinerOptions {
            user: format!("wallet.{worker}"),
            pace: Pace::Shares(2.0),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_millis(700));
    }
    world.sites[PoolSlot::A].far = Duration::from_secs(1);
    for _ in 0..80 {
        // With shares in flight, and before there were any.
        for seconds in [15, 5] {
            world.run(Duration::from_secs(seconds), |_| ());
            world.hang_up(1);
            world.connect(1);
        }
    }
    world.run(Duration::from_secs(60), |_| ());
    let accepted = world.sites[PoolSlot::A].model.ledger().accepted();
    assert!(accepted > 200, "{accepted}");
    world.hang_up(1);
    world.run(Duration::from_secs(60), |_| ());
    let shares = &world.core.memory().totals.pools[PoolSlot::A].shares;
    assert_eq!(shares.lost, 0);
}

/// Some pools close the connection because of a share, or do not answer it. The others must not suffer.
#[test]
fn a_miner_whose_shares_close_the_connection_gets_its_own() {
    for refusal in [Refusal::HangUp, Refusal::AnswerAndHangUp, Refusal::Silence] {
        let bad = PoolOptions {
            refuse_all: Some(Verdict::LowDifficulty),
            refuse_e2: Some(vec![0, 0, 0, 1]),
            refusal,
            ..PoolOptions::default()
        };
        let good = PoolOptions {
            seed: 2,
            ..PoolOptions::default()
        };
        let mut world = farm(12, 250, [bad, good]);
        world.run(Duration::from_secs(1800), |_| ());
        let credited = |world: &World| world.sites[PoolSlot::A].model.ledger().accepted();
        let before = credited(&world);
        world.run(Duration::from_secs(600), |_| ());
        // Eleven miners find a share every ten seconds and work for this pool half of the time.
        let more = credited(&world) - before;
        assert!(more > 240, "{refusal:?}: {more}");
    }
}

/// DPMP knows in advance that a backup leaves less room, so no miner has to reconnect.
#[test]
fn a_backup_with_a_shorter_extranonce_takes_over_the_groups() {
    let mut config = sharing([Some(20), Some(20)]);
    config.scheduler.weights = PerPool::new(100.0, 0.0);
    config.scheduler.failover = false;
    let text = format!(
        r#"{{"pools": {{"A": {{"host": "{}", "wallet": "walletA", "connections": "shared",
            "miners_per_connection": 20, "backups": ["other@{}:3333"]}}}}}}"#,
        HOSTS[PoolSlot::A],
        HOSTS[PoolSlot::B]
    );
    config.pools[PoolSlot::A] =
        dpmp::config::parse(&text).unwrap().config.pools[PoolSlot::A].clone();
    let pools = [8, 4].map(|e2_size| PoolOptions {
        seed: e2_size as u64,
        e2_size,
        ..PoolOptions::default()
    });
    let mut world = World::new(config, pools, 3);
    for index in 0..50 {
        let options = MinerOptions {
            user: format!("wallet.rig{index}"),
            pace: Pace::Shares(0.1),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs(10));
    }
    for _ in 0..3 {
        world.run(Duration::from_secs(120), |_| ());
        assert_eq!(standing(&world), [3, 0]);
        world.take_down(PoolSlot::A);
        let before = accepted(&world);
        let dials = world.sites[PoolSlot::B].dials;
        world.run(Duration::from_secs(300), |_| ());
        assert_eq!(standing(&world), [0, 3]);
        let dialled = world.sites[PoolSlot::B].dials - dials;
        assert!(dialled <= 5, "{dialled}");
        for (before, now) in before.iter().zip(accepted(&world)) {
            assert!(now - before >= 8, "{before} {now}");
        }
        world.sites[PoolSlot::A].up = true;
        world.run(Duration::from_secs(1200), |_| ());
    }
    for rig in &world.rigs {
        assert_eq!(rig.model.ledger().connections(), 1);
    }
}

/// A new job for all, or a lost connection, is one log line with counts instead of one for each miner.
#[test]
fn an_event_for_all_members_is_logged_once() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    });
    let mut world = farm(60, 30, pools);
    world.run(Duration::from_secs(300), |_| ());
    world.keep_facts = true;
    let in_log = |world: &World| {
        let facts = world.facts.iter();
        let important = facts.filter(|fact| event::level(fact) <= Level::Info);
        let names = important.map(|fact| event::name(fact).text());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    world.kill_connections(PoolSlot::A);
    world.run(Duration::from_millis(900), |_| ());
    let mut moved = [0; 3];
    for fact in &world.facts {
        if let Fact::MembersSwitched { to, idle, .. } = fact {
            moved[0] += to[PoolSlot::A];
            moved[1] += to[PoolSlot::B];
            moved[2] += idle;
        }
    }
    // Half of them were working for it.
    assert!((20..=40).contains(&moved[1]), "{moved:?}");
    assert_eq!((moved[0], moved[2]), (0, 0));
    let log = in_log(&world);
    let count = |name: &str| log.iter().filter(|it| *it == name).count();
    assert_eq!(count("members_switched"), 2, "{log:?}");
    // Members whose turn ended in this second.
    assert!(count("pool_switched") <= 10, "{log:?}");

    world.run(Duration::from_secs(60), |_| ());
    world.facts.clear();
    for _ in 0..5 {
        world.pool(PoolSlot::A, |pool, now, out| pool.new_job(now, out));
        world.run(Duration::from_secs(3), |_| ());
    }
    let shared = world.facts.iter().filter_map(|fact| match fact {
        Fact::JobShared { members, sent, .. } => Some((*members, *sent)),
        _ => None,
    });
    let shared: Vec<_> = shared.collect();
    assert!((3..=10).contains(&shared.len()), "{shared:?}");
    assert!(shared.iter().all(|(members, _)| *members == 30));
    let sent: usize = shared.iter().map(|(_, sent)| sent).sum();
    assert!((60..=240).contains(&sent), "{shared:?}");
    assert!(!in_log(&world).contains(&"job_forwarded".to_owned()));

    // The same without any pool.
    world.facts.clear();
    world.take_down(PoolSlot::A);
    world.take_down(PoolSlot::B);
    world.run(Duration::from_secs(5), |_| ());
    let idle = world.facts.iter().filter_map(|fact| match fact {
        Fact::MembersSwitched { idle, .. } => Some(*idle),
        _ => None,
    });
    assert_eq!(idle.sum::<usize>(), 60);
    let log = in_log(&world);
    assert!(!log.contains(&"miner_idle".to_owned()), "{log:?}");
}

/// A farm at pools that treat a second name this way, after ten minutes.
fn named_farm(miners: u64, options: PoolOptions) -> World {
    let pools = [options.clone(), PoolOptions { seed: 2, ..options }];
    let mut world = farm(miners, 250, pools);
    world.run(Duration::from_secs(600), |_| ());
    assert_eq!(standing(&world), [1, 1]);
    assert_eq!(world.connected(), miners as usize);
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        assert_eq!(ledger.connections(), 1);
        assert!(ledger.accepted() > 20, "{}", ledger.accepted());
    }
    world
}

/// The worker names on the shares the pool received in the last minutes.
fn names(world: &mut World, slot: PoolSlot) -> BTreeSet<String> {
    let start = world.now;
    world.run(Duration::from_secs(200), |_| ());
    let shares = world.sites[slot].model.ledger().shares();
    let late = shares.into_iter().filter(|share| share.at >= start);
    late.map(|share| share.worker).collect()
}

fn takes_several(world: &mut World) -> [Option<bool>; 2] {
    let snapshot = world.core.snapshot(world.clock());
    PoolSlot::ALL.map(|slot| snapshot.pools[slot].several_names)
}

/// Each member's shares have its own name. More than fifty names are used, since shares are accepted.
#[test]
fn members_keep_their_names_if_a_pool_accepts_several() {
    let mut world = named_farm(120, PoolOptions::default());
    assert_eq!(takes_several(&mut world), [Some(true); 2]);
    for slot in PoolSlot::ALL {
        let names = names(&mut world, slot);
        assert!((110..=120).contains(&names.len()), "{slot}: {names:?}");
        assert!(names.iter().all(|name| name.contains(".rig")), "{names:?}");
        assert_eq!(world.sites[slot].model.ledger().refused(), 0, "{slot}");
    }
    // This includes members that come later, and those on the connection after an outage.
    world.kill_connections(PoolSlot::A);
    let options = MinerOptions {
        user: "wallet.late".into(),
        pace: Pace::Shares(0.1),
        ..MinerOptions::default()
    };
    world.add_miner(options, Duration::from_secs(1));
    world.run(Duration::from_secs(60), |_| ());
    let names = names(&mut world, PoolSlot::A);
    assert!(
        names.iter().any(|name| name.ends_with(".late")),
        "{names:?}"
    );
    assert_eq!(takes_several(&mut world), [Some(true); 2]);
}

/// A test connection finds out, so no miner's connection is at risk.
#[test]
fn a_pool_that_accepts_one_name_gets_one() {
    let ways = [SecondName::Refused, SecondName::HangUp, SecondName::Taken];
    for second_name in ways {
        let mut world = named_farm(
            20,
            PoolOptions {
                second_name,
                // One of them does not even answer.
                one_worker: second_name == SecondName::Taken,
                ..PoolOptions::default()
            },
        );
        assert_eq!(
            takes_several(&mut world),
            [Some(false); 2],
            "{second_name:?}"
        );
        for slot in PoolSlot::ALL {
            assert_eq!(names(&mut world, slot).len(), 1, "{second_name:?}");
            let ledger = world.sites[slot].model.ledger();
            assert_eq!(ledger.refused(), 0, "{}", ledger.summary());
        }
        // DPMP does not try again as long as the pool has the same address.
        let dials = PoolSlot::ALL.map(|slot| world.sites[slot].dials);
        // Without a clear answer, it tries twice, because the network may have failed.
        let expected = if second_name == SecondName::Refused {
            3
        } else {
            4
        };
        assert_eq!(dials, [expected; 2], "with the one to learn the sizes");
        world.kill_connections(PoolSlot::A);
        world.run(Duration::from_secs(2000), |_| ());
        assert_eq!(world.sites[PoolSlot::A].dials, expected + 1);
    }
}

/// A pool that accepts each name but knows only the last one rejects a few shares, until all have the first one again.
#[test]
fn a_pool_that_knows_only_the_last_name_gets_one() {
    let mut world = named_farm(
        20,
        PoolOptions {
            second_name: SecondName::Replaces,
            ..PoolOptions::default()
        },
    );
    assert_eq!(takes_several(&mut world), [Some(false); 2]);
    for slot in PoolSlot::ALL {
        assert_eq!(names(&mut world, slot).len(), 1, "{slot}");
        let ledger = world.sites[slot].model.ledger();
        assert!(ledger.refused() <= 20, "{}", ledger.summary());
    }
}

/// After an outage there are as many dials as connections, not as many as miners.
#[test]
fn a_thousand_miners_return_with_a_few_dials() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        ..PoolOptions::default()
    });
    let mut world = farm(1000, 250, pools);
    world.run(Duration::from_secs(120), |_| ());
    assert_eq!(standing(&world), [4, 4]);
    let most = |connections: u64| connections + connections.div_ceil(5);
    // All connections end, and the pool is available immediately.
    let dials = world.sites[PoolSlot::A].dials;
    world.kill_connections(PoolSlot::A);
    world.run(Duration::from_secs(120), |_| ());
    assert_eq!(standing(&world), [4, 4]);
    let dialled = world.sites[PoolSlot::A].dials - dials;
    assert!((4..=most(4)).contains(&dialled), "{dialled}");
    // The pool is away for ten minutes, and one connection at a time tries to reach it.
    world.take_down(PoolSlot::A);
    let dials = world.sites[PoolSlot::A].dials;
    world.run(Duration::from_secs(600), |_| ());
    let tried = world.sites[PoolSlot::A].dials - dials;
    assert!(tried <= 600 / 4 + 5, "{tried}");
    world.sites[PoolSlot::A].up = true;
    let dials = world.sites[PoolSlot::A].dials;
    world.run(Duration::from_secs(120), |_| ());
    // The miners make up for it, and need no connection to the other pool in the meantime.
    assert_eq!(standing(&world)[0], 4);
    let dialled = world.sites[PoolSlot::A].dials - dials;
    assert!(dialled <= most(4), "{dialled}");
}

/// The sizes of extranonce2 that pools give. Each leaves room for members of a different kind.
#[test]
fn connections_are_shared_with_extranonce2_of_4_6_and_8_bytes() {
    for (sizes, most, expected) in [
        ([4, 6], 250, 2),
        ([6, 6], 400, 1),
        ([6, 8], 250, 2),
        ([8, 4], 256, 2),
        ([8, 8], 400, 1),
    ] {
        let pools = sizes.map(|e2_size| PoolOptions {
            seed: e2_size as u64,
            e2_size,
            block_interval: None,
            ..PoolOptions::default()
        });
        let mut world = farm(300, most, pools);
        world.run(Duration::from_secs(300), |_| ());
        assert_eq!(standing(&world), [expected; 2], "{sizes:?}");
        for slot in PoolSlot::ALL {
            let ledger = world.sites[slot].model.ledger();
            assert_eq!(ledger.refused(), 0, "{sizes:?}: {}", ledger.summary());
            assert!(ledger.accepted() > 3000, "{sizes:?}: {}", ledger.summary());
        }
    }
}

/// Ten thousand come at once after a restart, each at a difficulty that is 1,000 times too low: from its suggestion, or
/// as DPMP remembers it. A few shares show that, and no good one is refused.
#[test]
fn ten_thousand_fast_miners_settle_after_a_restart() {
    const MINERS: usize = 10_000;
    /// So tiny that each hash is a share, before and after.
    const RIGHT: f64 = 1e-10;
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        difficulty: 1e-3,
        ..PoolOptions::default()
    });
    let mut memory = Memory::default();
    for index in (0..MINERS).step_by(2) {
        let known = &mut memory.difficulties;
        known.note(&format!("rig{index}"), RIGHT / 1000.0);
    }
    let config = Arc::new(sharing([Some(250); 2]));
    let mut world = World::remembering(config, pools, memory, 7);
    for index in 0..MINERS {
        let known = index % 2 == 0;
        let options = MinerOptions {
            user: format!("wallet.rig{index}"),
            suggest: Some(RIGHT / if known { 1500.0 } else { 1000.0 }),
            pace: Pace::Work(RIGHT / 8.6),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_millis(100));
    }
    let sent = |world: &World| {
        let rigs = world.rigs.iter();
        rigs.map(|rig| rig.model.ledger().submitted()).sum::<u64>()
    };
    let mut settled = None;
    for second in 0..15 {
        let before = sent(&world);
        world.run(Duration::from_secs(1), |_| ());
        let rate = (sent(&world) - before) as f64;
        let is_right = (0.5..2.0).contains(&(rate * 8.6 / MINERS as f64));
        settled = is_right.then(|| settled.unwrap_or(second));
    }
    assert!(settled.is_some_and(|second| second < 10), "{settled:?}");
    let mut off = 0;
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        assert_eq!((ledger.connections(), ledger.rejected()), (1, 0));
        let (jobs, shares) = (ledger.jobs_received(), ledger.submitted());
        assert!(jobs <= 12 && shares <= 80, "{jobs} jobs, {shares} shares");
        let told = ledger.last_job().unwrap().difficulty / RIGHT;
        off += usize::from(!(0.2..5.0).contains(&told));
    }
    assert!(off <= MINERS / 100, "{off}");
    // At most one looks whether the pool takes several names.
    let connections = standing(&world);
    let enough = MINERS / 250;
    let fits = |found: &usize| (enough..=enough + 1).contains(found);
    assert!(connections.iter().all(fits), "{connections:?}");
}

/// A shared connection that closes is one line in the log, however many shares wait on it; each miner's counters and the
/// pool's include its own.
#[test]
fn the_lost_shares_of_a_connection_are_reported_once() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        answers_shares: seed == 1,
        ..PoolOptions::default()
    });
    let mut world = farm(60, 60, pools);
    world.run(Duration::from_secs(20), |_| ());
    world.keep_facts = true;
    world.kill_connections(PoolSlot::A);
    world.run(Duration::from_millis(900), |_| ());
    let (mut lost, mut reports) = (BTreeMap::new(), Vec::new());
    for fact in &world.facts {
        match fact {
            Fact::ShareResult(share) if matches!(share.outcome, ShareOutcome::Lost(_)) => {
                assert_eq!(event::level(fact), Level::Debug);
                *lost.entry(share.worker.clone()).or_insert(0) += 1;
            }
            Fact::SharesLost {
                members,
                miners,
                shares,
                ..
            } => reports.push((*members, *miners, *shares)),
            _ => (),
        }
    }
    let shares: u64 = lost.values().sum();
    assert!(shares > 20, "{shares}");
    let all = usize::try_from(shares).unwrap();
    assert_eq!(reports, [(60, lost.len(), all)]);
    let snapshot = world.core.snapshot(world.clock());
    for miner in &snapshot.miners {
        let own = lost.get(&miner.worker).copied().unwrap_or(0);
        assert_eq!(miner.lost, own, "{}", miner.worker);
    }
    let totals = world.core.memory().totals;
    assert_eq!(totals.pools[PoolSlot::A].shares.lost, shares);
    let rejected = world.rigs.iter().map(|rig| rig.model.ledger().rejected());
    assert_eq!(rejected.sum::<u64>(), shares);
}

/// A miner's higher difficulty comes with the next job, unless its present one is 64 times too low. All its work counts.
#[test]
fn a_higher_difficulty_of_a_miner_waits_for_a_job() {
    const RIGHT: f64 = 1e-10;
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        difficulty: 1e-3,
        job_interval: None,
        ..PoolOptions::default()
    });
    let mut config = sharing([Some(250); 2]);
    config.scheduler.weights = PerPool::new(100.0, 0.0);
    let mut world = World::new(config, pools, 7);
    for (name, part) in [("slow", 1.0), ("some", 16.0), ("flood", 1000.0)] {
        let options = MinerOptions {
            user: format!("wallet.{name}"),
            suggest: Some(RIGHT / part),
            pace: Pace::Work(RIGHT / 8.6),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_millis(20));
    }
    let told = |world: &World, index: usize| {
        let job = world.rigs[index].model.ledger().last_job();
        job.unwrap().difficulty / RIGHT
    };
    let close = |told: f64| (0.2..5.0).contains(&told);
    world.run(Duration::from_secs(30), |_| ());
    assert!((told(&world, 1) * 16.0 - 1.0).abs() < 1e-6);
    assert!(close(told(&world, 2)), "{}", told(&world, 2));
    let jobs = world.rigs[1].model.ledger().jobs_received();
    world.pool(PoolSlot::A, |pool, now, out| pool.new_job(now, out));
    world.run(Duration::from_secs(1), |_| ());
    assert!(close(told(&world, 1)), "{}", told(&world, 1));
    assert_eq!(world.rigs[1].model.ledger().jobs_received(), jobs + 1);
    let seconds = 3000.0;
    let before = world.core.memory().totals.pools[PoolSlot::A].work;
    for _ in 0..100 {
        world.run(Duration::from_secs(30), |_| ());
        world.pool(PoolSlot::A, |pool, now, out| pool.new_job(now, out));
    }
    let work = world.core.memory().totals.pools[PoolSlot::A].work - before;
    let done = work / (3.0 * RIGHT / 8.6 * seconds);
    assert!((done - 1.0).abs() < 0.2, "{done}");
    for rig in &world.rigs {
        assert_eq!(rig.model.ledger().rejected(), 0);
    }
}

/// The network fails while DPMP tests whether a pool accepts several names: that is no answer.
#[test]
fn an_outage_is_not_taken_for_an_answer_about_names() {
    for is_frozen in [false, true] {
        let pools = [0, 1].map(|seed| PoolOptions {
            seed,
            ..PoolOptions::default()
        });
        let mut world = farm(20, 250, pools);
        // Two connections, for the sizes and for the miners; the third one is the test.
        while world.sites[PoolSlot::A].dials < 3 {
            world.run(Duration::from_millis(50), |_| ());
        }
        if is_frozen {
            world.sites[PoolSlot::A].frozen = true;
            world.run(Duration::from_secs(25), |_| ());
            world.thaw(PoolSlot::A);
        } else {
            world.run(Duration::from_secs(5), |_| ());
            world.kill_connections(PoolSlot::A);
        }
        world.run(Duration::from_secs(300), |_| ());
        assert_eq!(takes_several(&mut world), [Some(true); 2], "{is_frozen}");
        assert!(names(&mut world, PoolSlot::A).len() > 10);
    }
}

/// Pools that give all connections the same extranonce1: miners with other sizes take over parts of a range that others
/// had, and the other way round. The world notices work that is handed out twice.
#[test]
fn ranges_inside_others_are_not_handed_out_twice() {
    let pools = [0, 1].map(|seed| PoolOptions {
        seed,
        e2_size: 4,
        e1_reuse: ExtranonceReuse::Always,
        block_interval: None,
        job_interval: None,
        ..PoolOptions::default()
    });
    let mut world = World::new(sharing([Some(250), Some(250)]), pools, 9);
    for index in 0..10 {
        let is_nerd = index >= 5;
        let options = MinerOptions {
            user: format!("wallet.rig{index}"),
            user_agent: if is_nerd {
                "NerdMinerV2"
            } else {
                "bitaxe/BM1370"
            }
            .to_owned(),
            pace: Pace::Shares(1.0),
            reconnect: None,
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs(1));
    }
    for round in 0..20 {
        world.run(Duration::from_secs(5), |_| ());
        (0..10).for_each(|index| world.hang_up(index));
        world.run(Duration::from_secs(1), |_| ());
        let first = if round % 2 == 0 { 5 } else { 0 };
        (first..first + 5).for_each(|index| world.connect(index));
    }
    for slot in PoolSlot::ALL {
        let ledger = world.sites[slot].model.ledger();
        assert_eq!(ledger.refused(), 0, "{slot}: {}", ledger.summary());
        assert!(ledger.accepted() > 50, "{slot}: {}", ledger.accepted());
    }
}

/// The owner changes the setting often, and the pool does not answer: at the end, shares on all connections that the miners
/// have left are answered. The world notices a miner that is disconnected without.
#[test]
fn shares_on_many_former_connections_are_answered_at_the_end() {
    let mute = PoolOptions {
        answers_shares: false,
        ..PoolOptions::default()
    };
    let mut world = farm(6, 250, [mute.clone(), mute]);
    let mut settings = (**world.core.config()).clone();
    for pool in settings.pools.values_mut().flatten() {
        pool.answer = Duration::from_secs(300);
    }
    world.configure(settings);
    for round in 0..12 {
        world.run(Duration::from_secs(12), |_| ());
        let mut settings = (**world.core.config()).clone();
        share(&mut settings, [(round % 2 == 1).then_some(250); 2]);
        world.configure(settings);
    }
    let sent: u64 = world
        .rigs
        .iter()
        .map(|rig| rig.model.ledger().submitted())
        .sum();
    assert!(sent > 60, "{sent}");
    world.rigs.iter_mut().for_each(|rig| rig.model.pause(true));
    world.run(Duration::from_secs(1), |_| ());
    world.shut_down();
    world.run(Duration::from_secs(20), |_| ());
    assert_eq!(world.connected(), 0);
    for rig in &world.rigs {
        let unanswered = rig.model.ledger().unanswered(world.now, Duration::ZERO);
        assert_eq!(unanswered, 0);
    }
}

/// The pools swap places: a miner that has its own connection at one of them shares again at the other.
#[test]
fn a_miner_apart_at_one_pool_shares_connections_to_another_in_its_place() {
    let mut world = farm_with_a_refused_miner();
    let mut settings = (**world.core.config()).clone();
    let [a, b] = PoolSlot::ALL.map(|slot| settings.pools[slot].clone());
    settings.pools = PerPool::new(b, a);
    world.configure(settings);
    world.run(Duration::from_secs(30), |_| ());
    assert_eq!(standing(&world), [1, 1]);
}
