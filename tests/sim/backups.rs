//! A pool with a backup, which here is the other pool's server: when DPMP uses it, and for how long.

use std::time::Duration;

use dpmp::config::Config;
use dpmp::core::fact::Fact;
use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::{AuthorizeRule, FirstJob, PoolOptions};
use dpmp::units::PoolSlot::{A, B};

use crate::world::{HOSTS, World, config};

const MINERS: usize = 3;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn with_backup() -> Config {
    let mut config = config([50.0, 50.0], 10.0);
    let text = format!(
        r#"{{"pools": {{"A": {{"host": "{}", "wallet": "walletA", "backups": ["other@{}:3333"]}}}}}}"#,
        HOSTS[A], HOSTS[B]
    );
    config.pools[A] = dpmp::config::parse(&text).unwrap().config.pools[A].clone();
    config
}

fn world(first: PoolOptions) -> World {
    world_of(MINERS, 0.5, first)
}

fn world_of(miners: usize, shares_a_second: f64, first: PoolOptions) -> World {
    let second = PoolOptions {
        seed: 2,
        ..PoolOptions::default()
    };
    let mut world = World::new(with_backup(), [first, second], 1);
    world.keep_facts = true;
    for _ in 0..miners {
        let options = MinerOptions {
            pace: Pace::Shares(shares_a_second),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs_f64(1.0 / shares_a_second));
    }
    world
}

/// The moves so far: the new address, and the reason.
fn moves(world: &World) -> Vec<(usize, String)> {
    let moves = world.facts.iter().filter_map(|fact| match fact {
        Fact::PoolFailover {
            slot, backup, why, ..
        } => {
            assert_eq!(*slot, A, "B has no backup");
            Some((*backup, why.text()))
        }
        _ => None,
    });
    moves.collect()
}

/// Every miner has a connection to both pools, wherever they are at the moment.
fn check_whole(world: &mut World) {
    let snapshot = world.core.snapshot(world.clock());
    for slot in [A, B] {
        assert_eq!(snapshot.pools[slot].connections, MINERS, "{slot}");
    }
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        assert_eq!(ledger.connections(), 1);
    }
}

#[test]
fn a_backup_is_used_until_five_minutes_after_the_first_address_returns() {
    let mut world = world(PoolOptions::default());
    world.run(seconds(60), |_| ());
    world.take_down(A);
    world.run(seconds(15), |_| ());
    assert_eq!(moves(&world), [], "it may come back");
    world.run(seconds(25), |_| ());
    let first = moves(&world);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].0, 1);
    check_whole(&mut world);
    let before = world.sites[B].model.ledger().accepted();
    world.run(seconds(600), |_| ());
    // The backup gets all the work now, including A's.
    let fresh = world.sites[B].model.ledger().accepted() - before;
    assert!(fresh > 700, "{fresh} of about 900");

    world.sites[A].up = true;
    world.run(seconds(290), |_| ());
    assert_eq!(moves(&world).len(), 1, "it has to work for a while first");
    world.run(seconds(60), |_| ());
    let all = moves(&world);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[1], (0, "the first address works again".into()));
    let before = world.sites[A].model.ledger().accepted();
    world.run(seconds(300), |_| ());
    check_whole(&mut world);
    assert!(world.sites[A].model.ledger().accepted() > before + 100);
}

#[test]
fn an_address_that_rejects_the_wallet_or_most_shares_is_left() {
    let refuses = PoolOptions {
        authorize: AuthorizeRule::NoOne,
        ..PoolOptions::default()
    };
    let mut with_refusals = world(refuses);
    with_refusals.run(seconds(120), |_| ());
    assert_eq!(moves(&with_refusals).len(), 1);
    check_whole(&mut with_refusals);
    // The address accepts a client without a wallet, but that is not enough to be trusted again.
    with_refusals.run(seconds(3600), |_| ());
    assert_eq!(moves(&with_refusals).len(), 1);

    let rejects = PoolOptions {
        refuse_all: Some(Verdict::LowDifficulty),
        ..PoolOptions::default()
    };
    let mut with_rejects = world(rejects);
    with_rejects.run(seconds(120), |_| ());
    let moves_made = moves(&with_rejects);
    assert_eq!(moves_made.len(), 1, "{moves_made:?}");
    assert!(
        moves_made[0].1.starts_with("it rejected "),
        "{moves_made:?}"
    );
    check_whole(&mut with_rejects);
    // It answers, so DPMP tries it again, but each time it has to work twice as long first.
    with_rejects.run(seconds(6 * 3600), |_| ());
    let moves_made = moves(&with_rejects);
    assert!((6..=14).contains(&moves_made.len()), "{moves_made:?}");
}

#[test]
fn an_address_that_answers_no_share_or_gives_no_work_is_left() {
    let mute = PoolOptions {
        answers_shares: false,
        ..PoolOptions::default()
    };
    let mut unanswered = world(mute);
    unanswered.run(seconds(300), |_| ());
    let made = moves(&unanswered);
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].1, "it does not answer shares");
    check_whole(&mut unanswered);

    let idle = PoolOptions {
        first_job: FirstJob::Never,
        job_interval: None,
        ..PoolOptions::default()
    };
    let mut without_work = world(idle);
    without_work.run(seconds(40), |_| ());
    let made = moves(&without_work);
    assert_eq!(made, [(1, "it sends no work".to_owned())]);
    without_work.run(seconds(3600), |_| ());
    assert_eq!(moves(&without_work).len(), 1, "a scout gets none either");
    check_whole(&mut without_work);
}

/// With a share every 90 s, it takes half an hour, not forever, until there is enough to judge by.
#[test]
fn a_single_small_miner_leaves_an_address_that_rejects_its_shares() {
    let rejects = PoolOptions {
        refuse_all: Some(Verdict::LowDifficulty),
        ..PoolOptions::default()
    };
    let second = PoolOptions {
        seed: 2,
        ..PoolOptions::default()
    };
    let mut world = World::new(with_backup(), [rejects, second], 1);
    world.keep_facts = true;
    let options = MinerOptions {
        // Half of the shares go to the other pool.
        pace: Pace::Shares(2.0 / 90.0),
        ..MinerOptions::default()
    };
    world.add_miner(options, seconds(2));
    world.run(seconds(4 * 3600), |_| ());
    assert!(!moves(&world).is_empty());
}

#[test]
fn an_address_that_stays_in_the_list_stays_in_use() {
    let mut world = world(PoolOptions::default());
    world.take_down(A);
    world.run(seconds(60), |_| ());
    assert_eq!(moves(&world).len(), 1);
    let connections = world.sites[B].model.ledger().connections_opened();
    let mut config = with_backup();
    let backups = &mut config.pools[A].as_mut().unwrap().backups;
    let mut more = backups[0].clone();
    more.wallet = Some("another".into());
    backups.insert(0, more);
    world.configure(config);
    world.run(seconds(30), |_| ());
    assert_eq!(
        world.sites[B].model.ledger().connections_opened(),
        connections
    );
    assert_eq!(moves(&world).len(), 1);
    check_whole(&mut world);
}

#[test]
fn a_change_by_the_owner_starts_with_the_first_address_again() {
    let mut world = world(PoolOptions::default());
    world.take_down(A);
    world.run(seconds(60), |_| ());
    assert_eq!(moves(&world).len(), 1);
    // Changing something else does not move it.
    let mut config = with_backup();
    config.scheduler.weights[A] = 70.0;
    world.configure(config);
    world.run(seconds(30), |_| ());
    check_whole(&mut world);
    // The owner removes the backup.
    let mut config = with_backup();
    config.pools[A].as_mut().unwrap().backups.clear();
    world.configure(config);
    world.run(seconds(10), |_| ());
    world.sites[A].up = true;
    world.run(seconds(120), |_| ());
    check_whole(&mut world);
    assert_eq!(moves(&world).len(), 1);
    let accepted = world.sites[A].model.ledger().accepted();
    world.run(seconds(120), |_| ());
    assert!(world.sites[A].model.ledger().accepted() > accepted);
}

/// Many miners have shares in flight when DPMP leaves an address. Their loss must not be blamed on the next one.
#[test]
fn a_farm_leaves_an_address_that_rejects_its_shares_only_once() {
    let rejects = PoolOptions {
        refuse_all: Some(Verdict::LowDifficulty),
        ..PoolOptions::default()
    };
    for (miners, shares_a_second, far) in [(40, 1.0, 0), (40, 1.0, 300), (200, 0.2, 200)] {
        let mut world = world_of(miners, shares_a_second, rejects.clone());
        world.sites[A].far = Duration::from_millis(far);
        world.run(seconds(120), |_| ());
        let all = moves(&world);
        assert_eq!(all.len(), 1, "{miners} miners, {far} ms: {all:?}");
    }
}

/// What DPMP found out before the owner set the weight to 0 says nothing about the pool when it is used again.
#[test]
fn a_pool_unused_for_a_while_is_examined_again() {
    let weights = |a, b| {
        let mut config = with_backup();
        (config.scheduler.weights[A], config.scheduler.weights[B]) = (a, b);
        config
    };
    let mut world = world(PoolOptions::default());
    world.run(seconds(60), |_| ());
    world.take_down(A);
    world.run(seconds(5), |_| ());
    world.configure(weights(0.0, 100.0));
    world.run(seconds(600), |_| ());
    world.sites[A].up = true;
    world.run(seconds(3000), |_| ());
    world.configure(weights(50.0, 50.0));
    world.run(seconds(60), |_| ());
    assert_eq!(
        moves(&world),
        [],
        "it was down for five seconds, an hour ago"
    );

    world.take_down(A);
    world.run(seconds(60), |_| ());
    assert_eq!(moves(&world).len(), 1);
    world.sites[A].up = true;
    world.run(seconds(60), |_| ());
    world.configure(weights(0.0, 100.0));
    world.take_down(A);
    world.run(seconds(3000), |_| ());
    world.configure(weights(50.0, 50.0));
    world.run(seconds(60), |_| ());
    assert_eq!(
        moves(&world).len(),
        1,
        "it answered for a minute, an hour ago"
    );
    check_whole(&mut world);
}
