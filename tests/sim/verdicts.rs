//! Pools that are reachable and send work, but are useless: when miners stay away from them, and for how long.

use std::time::Duration;

use dpmp::config::Config;
use dpmp::core::fact::{Fact, ShareOutcome, SwitchCause};
use dpmp::core::outage::{Health, Outage};
use dpmp::sim::chain::judge::Verdict;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::{FirstJob, PoolOptions};
use dpmp::units::PerPool;
use dpmp::units::PoolSlot::{self, A, B};

use crate::world::{World, config, only_a};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Miners that each find this many shares per second.
fn world(miners: u64, rate: f64, a: PoolOptions) -> World {
    world_with([50.0, 50.0], miners, rate, a)
}

fn world_with(weights: [f64; 2], miners: u64, rate: f64, a: PoolOptions) -> World {
    world_of(config(weights, 10.0), miners, rate, a)
}

fn world_of(config: Config, miners: u64, rate: f64, a: PoolOptions) -> World {
    let b = PoolOptions {
        seed: 2,
        ..PoolOptions::default()
    };
    let mut world = World::new(config, [a, b], 1);
    world.keep_facts = true;
    for number in 0..miners {
        let options = MinerOptions {
            user: format!("wallet.rig{number}"),
            pace: Pace::Shares(rate),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs_f64((1.0 / rate).min(2.3)));
    }
    world
}

fn mute() -> PoolOptions {
    PoolOptions {
        answers_shares: false,
        ..PoolOptions::default()
    }
}

fn rejecting() -> PoolOptions {
    PoolOptions {
        refuse_all: Some(Verdict::LowDifficulty),
        ..PoolOptions::default()
    }
}

fn set_a(world: &mut World, change: impl FnOnce(&mut PoolOptions)) {
    world.pool(A, |pool, now, out| pool.change(change, now, out));
}

/// The outcomes of shares: how many each pool accepted, rejected and lost.
fn outcomes(world: &World) -> PerPool<[u64; 3]> {
    let mut all = PerPool::<[u64; 3]>::default();
    for fact in &world.facts {
        let Fact::ShareResult(share) = fact else {
            continue;
        };
        let Some(slot) = share.slot else { continue };
        match share.outcome {
            ShareOutcome::Accepted => all[slot][0] += 1,
            ShareOutcome::RejectedByPool(_) => all[slot][1] += 1,
            ShareOutcome::Lost(_) => all[slot][2] += 1,
            ShareOutcome::BelowPool | ShareOutcome::RefusedHere(_) => (),
        }
    }
    all
}

/// How often a pool went down, and the last reason.
fn downs(world: &World, slot: PoolSlot) -> (usize, Option<String>) {
    let downs = world.facts.iter().filter_map(|fact| match fact {
        Fact::PoolDown { slot: of, reason } if *of == slot => Some(reason.to_string()),
        _ => None,
    });
    let all: Vec<_> = downs.collect();
    (all.len(), all.last().cloned())
}

fn health(world: &mut World, slot: PoolSlot) -> Health {
    let now = world.clock();
    world.core.snapshot(now).pools[slot].health
}

#[track_caller]
fn check_miners(world: &World) {
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        assert_eq!(ledger.connections(), 1, "no miner may notice");
    }
}

#[test]
fn a_pool_that_answers_no_share_gets_no_more_time() {
    for (miners, rate) in [(1, 15.0), (1, 0.2), (30, 0.5)] {
        let mut world = world(miners, rate, mute());
        world.run(minutes(60), |_| ());
        let [a, b] = [outcomes(&world)[A], outcomes(&world)[B]];
        let all = miners as f64 * rate * 3600.0;
        assert_eq!(a[..2], [0, 0]);
        // Until DPMP notices, half of the work is wasted, and afterwards the cost of the trials.
        let found_out = 0.5 * miners as f64 * rate * 30.0;
        let lost = a[2] as f64;
        assert!(
            lost > 2.0 && lost < found_out * 1.5 + 30.0,
            "{miners} × {rate}: {a:?}"
        );
        assert!(b[0] as f64 > all * 0.95 - found_out, "{b:?} of {all}");
        assert_eq!(b[1..], [0, 0]);
        assert_eq!(
            downs(&world, A),
            (1, Some("it does not answer shares".into()))
        );
        assert_eq!(downs(&world, B).0, 0);
        assert_eq!(health(&mut world, A), Health::Down);
        check_miners(&world);
    }
}

#[test]
fn a_mute_pool_is_used_again_from_its_first_answer_without_catch_up() {
    let mut world = world(4, 0.5, PoolOptions::default());
    world.run(minutes(10), |_| ());
    set_a(&mut world, |options| options.answers_shares = false);
    world.run(minutes(20), |_| ());
    assert_eq!(health(&mut world, A), Health::Down);
    let before = outcomes(&world);
    set_a(&mut world, |options| options.answers_shares = true);
    // The longest pause so far lasts 16 minutes.
    world.run(minutes(17), |_| ());
    assert_eq!(health(&mut world, A), Health::Up);
    world.facts.clear();
    world.run(minutes(30), |_| ());
    let after = outcomes(&world);
    let (a, b) = (after[A][0] as f64, after[B][0] as f64);
    assert!(
        (a / (a + b) - 0.5).abs() < 0.03,
        "{after:?} after {before:?}"
    );
    assert_eq!((after[A][1], after[A][2]), (0, 0));
    check_miners(&world);
}

#[test]
fn a_late_answer_ends_the_verdict_immediately() {
    let speaks = PoolOptions {
        job_interval: Some(seconds(10)),
        ..PoolOptions::default()
    };
    let mut world = world(1, 2.0, speaks);
    world.run(seconds(60), |_| ());
    // From now on an answer takes 36 s.
    world.sites[A].far = seconds(18);
    while health(&mut world, A) != Health::Down {
        world.run(seconds(1), |_| ());
    }
    assert!(world.elapsed() < seconds(110), "{:?}", world.elapsed());
    world.sites[A].far = Duration::ZERO;
    world.run(seconds(18), |_| ());
    assert_eq!(
        health(&mut world, A),
        Health::Up,
        "well before the first trial"
    );
    assert_eq!(downs(&world, A).0, 1);
    world.facts.clear();
    world.run(minutes(5), |_| ());
    let after = outcomes(&world);
    assert!(after[A][0] > 200, "{after:?}");
    assert_eq!(downs(&world, A).0, 0, "{after:?}");
    check_miners(&world);
}

/// It answers some shares, and each of them could give it a new start.
#[test]
fn a_pool_that_answers_few_shares_gets_little_time() {
    for (one_in, miners, rate, answer_seconds) in [
        (5, 1, 2.0, 30),
        (5, 1, 0.2, 30),
        (5, 20, 1.0, 30),
        (20, 1, 2.0, 5),
        (20, 1, 0.2, 30),
        (20, 20, 1.0, 5),
    ] {
        let a = PoolOptions {
            answered_part: 1.0 / f64::from(one_in),
            ..PoolOptions::default()
        };
        let mut world = world(miners, rate, a);
        let mut config = config([50.0, 50.0], 10.0);
        for pool in config.pools.values_mut().flatten() {
            pool.answer = seconds(answer_seconds);
        }
        world.configure(config);
        // 20 shares at half the time, and twice `answer_seconds`.
        world.run(
            seconds(180).max(Duration::from_secs_f64(80.0 / rate)),
            |_| (),
        );
        let case = format!("1 in {one_in}, {miners} × {rate}");
        assert_eq!(health(&mut world, A), Health::Down, "{case}");
        world.facts.clear();
        world.run(minutes(120), |_| ());
        let all = outcomes(&world);
        let found = miners as f64 * rate * 7200.0;
        let lost = all[A][2] as f64;
        assert!(lost < 0.03 * found + 20.0, "{case}: {all:?}");
        assert!(
            all[B][0] as f64 > 0.95 * found,
            "{case}: {all:?} of {found}"
        );
        assert_eq!(downs(&world, B).0, 0, "{case}");
        set_a(&mut world, |options| options.answered_part = 1.0);
        world.run(minutes(45), |_| ());
        assert_eq!(health(&mut world, A), Health::Up, "{case}");
        world.facts.clear();
        world.run(minutes(30), |_| ());
        let all = outcomes(&world);
        let part = all[A][0] as f64 / (all[A][0] + all[B][0]) as f64;
        assert!((part - 0.5).abs() < 0.1, "{case}: {all:?}");
        assert_eq!(all[A][2], 0, "{case}");
        check_miners(&world);
    }
}

#[test]
fn a_pool_that_loses_every_fifth_share_keeps_its_part() {
    for (miners, rate) in [(1, 2.0), (1, 0.2), (20, 0.5)] {
        let a = PoolOptions {
            answered_part: 0.8,
            ..PoolOptions::default()
        };
        let mut world = world(miners, rate, a);
        world.run(minutes(240), |_| ());
        let all = outcomes(&world);
        assert!(all[A][2] > 100, "{all:?}");
        assert_eq!(downs(&world, A).0, 0, "{miners} × {rate}: {all:?}");
        check_miners(&world);
    }
}

/// Every answer takes longer than DPMP waits.
#[test]
fn a_slow_pool_is_used_again_once_its_late_answers_arrive() {
    let slow = PoolOptions {
        answered_part: 0.3,
        ..PoolOptions::default()
    };
    let mut world = world(1, 2.0, slow);
    world.run(minutes(3), |_| ());
    assert_eq!(health(&mut world, A), Health::Down);
    set_a(&mut world, |options| {
        options.answered_part = 1.0;
        options.answer_latency = seconds(40);
    });
    world.run(minutes(90), |_| ());
    set_a(&mut world, |options| {
        options.answer_latency = Duration::ZERO
    });
    world.run(minutes(45), |_| ());
    assert_eq!(health(&mut world, A), Health::Up);
    check_miners(&world);
}

/// Every 40th share gets no answer. Each is lost, and nothing else happens.
#[test]
fn an_occasional_lost_share_gives_no_verdict() {
    for rate in [10.0, 0.05] {
        let mut world = world(1, rate, PoolOptions::default());
        let mut next = seconds(100);
        world.run(minutes(300), |world| {
            let since = world.elapsed();
            if since >= next {
                // The pool drops everything that arrives within a moment.
                let swallows = since < next + Duration::from_secs_f64(1.2 / rate);
                if !swallows {
                    next += Duration::from_secs_f64(60.0 / rate);
                }
                world.pool(A, |pool, now, out| {
                    pool.change(|options| options.answers_shares = !swallows, now, out);
                });
            }
        });
        let all = outcomes(&world);
        assert!(all[A][2] > 0, "{rate}: {all:?}");
        assert_eq!(downs(&world, A).0, 0, "{rate}: {all:?}");
        assert_eq!(
            world.sites[A].model.ledger().connections_opened(),
            2,
            "and those of the test"
        );
        check_miners(&world);
    }
}

/// With less than a share in ten minutes, trying the pool again would cost too much.
#[test]
fn a_pool_that_gets_few_shares_is_not_judged() {
    let mut world = world(1, 1.0 / 900.0, mute());
    world.run(minutes(60 * 12), |_| ());
    assert!(outcomes(&world)[A][2] >= 8, "{:?}", outcomes(&world));
    let (_, reason) = downs(&world, A);
    assert_ne!(reason.as_deref(), Some("it does not answer shares"));
    check_miners(&world);
}

#[test]
fn the_last_pool_that_has_work_is_never_taken_away() {
    let mut world = world_of(only_a(), 2, 0.5, mute());
    world.run(minutes(30), |_| ());
    let idle = |world: &World| {
        world
            .facts
            .iter()
            .filter(|fact| matches!(fact, Fact::MinerIdle { .. }))
            .count()
    };
    let submitted = outcomes(&world)[A][2] as f64;
    assert!(submitted > 0.9 * 0.5 * 2.0 * 1700.0, "{submitted}");
    check_miners(&world);
    set_a(&mut world, |options| options.answers_shares = true);
    world.facts.clear();
    world.run(minutes(2), |_| ());
    assert_eq!(health(&mut world, A), Health::Up, "every share tries it");
    assert!(idle(&world) <= 1, "while the connection is opened again");

    // Both pools are mute, then one of them is down.
    let mut world = self::world(2, 0.5, mute());
    world.pool(B, |pool, now, out| {
        pool.change(|options| options.answers_shares = false, now, out);
    });
    world.run(minutes(10), |_| ());
    world.take_down(B);
    world.facts.clear();
    world.run(minutes(10), |_| ());
    assert!(outcomes(&world)[A][2] > 500, "{:?}", outcomes(&world));
    check_miners(&world);
}

#[test]
fn answers_that_stop_while_jobs_continue_are_noticed() {
    let mut world = world(3, 0.5, PoolOptions::default());
    world.run(minutes(10), |_| ());
    set_a(&mut world, |options| options.answers_shares = false);
    world.facts.clear();
    world.run(minutes(10), |_| ());
    let all = outcomes(&world);
    assert!(all[A][2] < 50, "{all:?}");
    assert_eq!(
        downs(&world, A),
        (1, Some("it does not answer shares".into()))
    );
    check_miners(&world);
}

/// The pool sends one job and then only accepts connections. DPMP drops them, and notices that, too.
#[test]
fn a_pool_that_sends_nothing_after_its_first_job_is_set_aside() {
    let quiet = PoolOptions {
        job_interval: None,
        ..mute()
    };
    for (miners, rate) in [(1, 5.0), (20, 0.5)] {
        let mut world = world(miners, rate, quiet.clone());
        world.run(minutes(60), |_| ());
        let all = outcomes(&world);
        let two_rounds = miners as f64 * rate * 30.0 * 2.0;
        assert!((all[A][2] as f64) < two_rounds, "{all:?}");
        assert_eq!(health(&mut world, A), Health::Down);
        check_miners(&world);
    }
}

/// compat Q47: such a pool is often silent for longer than `stall_seconds`, but answers each share.
#[test]
fn a_pool_that_sends_a_line_every_two_minutes_loses_nothing() {
    let slow = || PoolOptions {
        job_interval: Some(seconds(125)),
        ..PoolOptions::default()
    };
    let b = PoolOptions { seed: 2, ..slow() };
    let mut world = World::new(config([50.0, 50.0], 10.0), [slow(), b], 1);
    world.keep_facts = true;
    let options = MinerOptions {
        pace: Pace::Shares(1.0 / 193.0),
        ..MinerOptions::default()
    };
    world.add_miner(options, seconds(1));
    world.run(minutes(300), |_| ());
    let all = outcomes(&world);
    for slot in [A, B] {
        assert!(all[slot][0] > 20, "{all:?}");
        assert_eq!(all[slot][2], 0, "{all:?}");
        assert_eq!(downs(&world, slot).0, 0);
    }
    check_miners(&world);
}

/// compat Q47: a pool that owes no answer gets more time, but DPMP still notices.
#[test]
fn a_pool_that_is_silent_too_long_is_dropped() {
    let silent = PoolOptions {
        job_interval: None,
        ..PoolOptions::default()
    };
    let mut world = world(1, 1.0 / 36_000.0, silent);
    world.run(minutes(5), |_| ());
    assert_eq!(downs(&world, A).0, 0);
    world.run(minutes(5), |_| ());
    assert_eq!(downs(&world, A).0, 1);
}

#[test]
fn a_pool_that_rejects_most_shares_is_set_aside_and_tried_again() {
    for (miners, rate) in [(1, 2.0), (20, 0.2)] {
        let mut world = world(miners, rate, rejecting());
        world.run(minutes(60), |_| ());
        let all = outcomes(&world);
        assert_eq!(all[A][0], 0);
        assert!(all[A][1] < 60, "{miners}: {all:?}");
        assert_eq!(downs(&world, A), (1, Some("it rejects most shares".into())));
        set_a(&mut world, |options| options.refuse_all = None);
        world.run(minutes(31), |_| ());
        assert_eq!(health(&mut world, A), Health::Up);
        world.facts.clear();
        world.run(minutes(20), |_| ());
        let all = outcomes(&world);
        let part = all[A][0] as f64 / (all[A][0] + all[B][0]) as f64;
        assert!((part - 0.5).abs() < 0.05, "{all:?}");
        check_miners(&world);
    }
}

/// A miner at five shares a second, and what pool A accepted and rejected in the minute after its difficulty has risen.
fn after_a_rise(judges_by_newest: bool) -> [u64; 2] {
    let pool = PoolOptions {
        judges_by_newest,
        job_interval: Some(minutes(10)),
        ..PoolOptions::default()
    };
    let mut world = world_of(only_a(), 0, 1.0, pool);
    let options = MinerOptions {
        pace: Pace::Hashes(90.0),
        ..MinerOptions::default()
    };
    world.add_miner(options, seconds(1));
    world.run(minutes(1), |_| ());
    let rise = |world: &mut World| {
        set_a(world, |options| options.difficulty *= 8.0);
        let before = outcomes(world)[A];
        world.run(minutes(1), |_| ());
        let after = outcomes(world)[A];
        [0, 1].map(|index: usize| after[index] - before[index])
    };
    let first = rise(&mut world);
    if judges_by_newest {
        let [_, rejected] = rise(&mut world);
        assert!(rejected <= 2, "now the rise is expected: {rejected}");
    }
    assert_eq!(downs(&world, A).0, 0);
    check_miners(&world);
    first
}

/// Compat Q84.
#[test]
fn a_rise_in_difficulty_costs_a_few_shares_and_says_nothing_against_the_pool() {
    let [accepted, rejected] = after_a_rise(true);
    assert!(
        accepted > 100 && (1..=8).contains(&rejected),
        "{accepted} {rejected}"
    );
    // Until its next job, a pool that credits a job's own difficulty gets as many shares as before.
    let [accepted, rejected] = after_a_rise(false);
    assert!(accepted > 250 && rejected == 0, "{accepted} {rejected}");
}

/// Stale shares only show that a pool is far away.
#[test]
fn stale_shares_give_no_verdict() {
    let mut world = world(
        2,
        0.5,
        PoolOptions {
            refuse_all: Some(Verdict::Stale),
            ..PoolOptions::default()
        },
    );
    world.run(minutes(30), |_| ());
    assert_eq!(downs(&world, A).0, 0);
    assert!(outcomes(&world)[A][1] > 400);
}

#[test]
fn a_pool_that_gives_no_job_gets_no_miners() {
    let idle = PoolOptions {
        first_job: FirstJob::Never,
        job_interval: None,
        ..PoolOptions::default()
    };
    let mut world = world(2, 0.5, idle);
    let told = |world: &World| -> Vec<_> {
        let told = world.facts.iter().filter_map(|fact| match fact {
            Fact::PoolNoJob { slot, seconds } => Some((*slot, *seconds)),
            _ => None,
        });
        told.collect()
    };
    world.run(seconds(25), |_| ());
    assert_eq!((told(&world), health(&mut world, A)), (vec![], Health::Up));
    world.run(seconds(20), |_| ());
    assert_eq!(told(&world), [(A, 30)]);
    let pool = world.core.snapshot(world.clock()).pools[A].clone();
    assert_eq!(
        (pool.health, pool.outage.clone()),
        (Health::Down, Some(Outage::NoJob))
    );
    world.run(minutes(9), |_| ());
    assert!(outcomes(&world)[B][0] > 550);
    let failovers = world.facts.iter().filter(|fact| {
        matches!(
            fact,
            Fact::PoolSwitched {
                cause: SwitchCause::Failover,
                ..
            }
        )
    });
    assert_eq!(failovers.count(), 0);
    check_miners(&world);
}

/// All shares of one miner are rejected because of its own fault, and it finds more than all others together.
#[test]
fn a_broken_miner_does_not_condemn_a_pool_for_the_others() {
    for good in [1, 3] {
        let a = PoolOptions {
            refuse_only: Some("rig-broken".into()),
            ..rejecting()
        };
        let mut world = world(good, 0.043, a);
        let options = MinerOptions {
            user: "wallet.rig-broken".into(),
            pace: Pace::Shares(2.0),
            ..MinerOptions::default()
        };
        world.add_miner(options, Duration::from_secs_f64(0.5));
        world.run(minutes(180), |_| ());
        let all = outcomes(&world);
        let expected = 0.5 * 0.043 * good as f64 * 180.0 * 60.0;
        assert!(all[A][0] as f64 > 0.85 * expected, "{all:?} of {expected}");
        check_miners(&world);
    }
}

/// The pool accepted its shares, but a long time ago.
#[test]
fn a_hung_miner_does_not_vouch_for_a_pool() {
    let mut world = world(3, 0.5, PoolOptions::default());
    world.run(minutes(10), |_| ());
    world.rigs[0].pause = Duration::from_secs(100_000);
    set_a(&mut world, |options| {
        options.refuse_all = Some(Verdict::LowDifficulty);
    });
    world.run(minutes(15), |_| ());
    assert_eq!(downs(&world, A), (1, Some("it rejects most shares".into())));
}

/// The second share of a small miner comes minutes after the first.
#[test]
fn a_small_miner_brings_back_a_pool_that_rejected_everything() {
    let mut world = world(1, 1.0 / 120.0, rejecting());
    world.run(minutes(120), |_| ());
    assert_ne!(health(&mut world, A), Health::Up);
    set_a(&mut world, |options| options.refuse_all = None);
    world.run(minutes(90), |_| ());
    let accepted = outcomes(&world)[A][0];
    assert_eq!(health(&mut world, A), Health::Up);
    assert!(accepted >= 2, "{accepted}");
}

/// With no miner connected, nobody receives the pool's jobs, which proves nothing about the pool.
#[test]
fn an_unwatched_pool_is_not_judged() {
    let mut world = world(1, 0.5, PoolOptions::default());
    for slot in PoolSlot::ALL {
        world.pool(slot, |pool, now, out| {
            pool.change(|options| options.job_interval = Some(seconds(30)), now, out);
        });
    }
    world.run(minutes(20), |_| ());
    world.rigs[0].wants_in = false;
    world.hang_up(0);
    world.facts.clear();
    world.run(minutes(120), |_| ());
    for slot in PoolSlot::ALL {
        assert_eq!(downs(&world, slot), (0, None));
    }
}
