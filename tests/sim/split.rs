//! Healthy pools: the split is exact for each miner at every moment, and nothing is lost on the way.

use std::time::Duration;

use dpmp::sim::miner::options::{Handshake, Ids, MinerOptions, Pace};
use dpmp::sim::pool::options::{ConfigureOrder, FirstJob, PoolOptions};
use dpmp::units::PoolSlot;

use crate::world::{World, config};

/// Miners with different behavior.
fn miners() -> Vec<MinerOptions> {
    let base = MinerOptions {
        pace: Pace::Shares(0.2),
        late: Duration::from_secs(3),
        ..MinerOptions::default()
    };
    vec![
        MinerOptions {
            user: "w.axe".into(),
            handshake: Handshake::Axeos,
            ignores_seen_jobs: true,
            ..base.clone()
        },
        MinerOptions {
            user: "w.cpu".into(),
            handshake: Handshake::Cpuminer,
            rolling: None,
            ids: Ids::SubmitsAreFour,
            ..base.clone()
        },
        MinerOptions {
            user: "plain".into(),
            hangs_up_on_set_extranonce: true,
            ids: Ids::Text,
            ..base.clone()
        },
        MinerOptions {
            user: "w.late".into(),
            handshake: Handshake::ConfigureLast,
            rolls_ntime: true,
            ..base
        },
    ]
}

fn pool(seed: u64, e1_size: usize, e2_size: usize, mask: Option<u32>) -> PoolOptions {
    PoolOptions {
        seed,
        e1_size,
        e2_size,
        mask,
        wander: Some((1e-10, 1e-8)),
        block_interval: Some(Duration::from_secs(600)),
        ..PoolOptions::default()
    }
}

/// Work done before the weights changed was split by the old weights.
#[test]
fn new_weights_do_not_apply_to_the_past() {
    let quiet = |seed| PoolOptions {
        job_interval: None,
        ..pool(seed, 4, 8, None)
    };
    let mut world = World::new(config([50.0, 50.0], 100.0), [quiet(1), quiet(2)], 1);
    let options = MinerOptions {
        pace: Pace::Idle,
        ..MinerOptions::default()
    };
    world.add_miner(options, Duration::from_secs(1000));
    world.run(Duration::from_secs(45), |_| ());
    world.configure(config([99.0, 1.0], 100.0));
    let view = |world: &mut World| {
        let snapshot = world.core.snapshot(world.clock());
        (
            snapshot.miners[0].clone(),
            snapshot.pools[PoolSlot::A].seconds,
        )
    };
    let (miner, seconds) = view(&mut world);
    let worked = miner.seconds[PoolSlot::A];
    assert!((43.0..45.0).contains(&worked), "{worked} s on A");
    // It started on B if B's work came first.
    let expected = (worked - miner.seconds[PoolSlot::B]) / 2.0;
    let error = miner.error_seconds;
    assert!((error - expected).abs() < 1e-6, "{error}, {expected}");
    assert!((seconds - worked).abs() < 1e-6);
    // The new weights apply from now on.
    world.run(Duration::from_secs(10), |_| ());
    let (later, _) = view(&mut world);
    assert!((later.error_seconds - miner.error_seconds - 0.1).abs() < 1e-6);
}

/// Runs four miners for a time and checks every promise.
fn check(weights: [f64; 2], slice: f64, pools: [PoolOptions; 2], hours: u64, seed: u64) {
    let config = config(weights, slice);
    let share_a = config.share(PoolSlot::A);
    let bound = slice * share_a.max(1.0 - share_a) / 2.0;
    let mut world = World::new(config, pools, seed);
    for options in miners() {
        world.add_miner(options, Duration::from_secs(5));
    }
    world.run(Duration::from_secs(hours * 3600), |_| ());
    // Everything in flight arrives, and nobody sends any more.
    for rig in &mut world.rigs {
        rig.model.pause(true);
    }
    world.run(Duration::from_secs(2), |_| ());

    let mut submitted = 0;
    for rig in &world.rigs {
        let ledger = rig.model.ledger();
        let who = &rig.model.options().user;
        assert_eq!(ledger.connections(), 1, "seed {seed}: {who}");
        assert_eq!(ledger.set_extranonces(), 0, "seed {seed}: {who}");
        assert_eq!(
            ledger.unanswered(world.now, Duration::ZERO),
            0,
            "seed {seed}: {who}"
        );
        // A share may meet a new block on its way. It is stale then, and nobody is to blame.
        for refused in ledger.rejections() {
            let answer = refused.answer.as_ref().unwrap();
            assert_eq!(answer.code, Some(21), "seed {seed}: {who}: {refused:?}");
        }
        assert!(
            ledger.rejected() * 50 <= ledger.submitted(),
            "seed {seed}: {who}: {}",
            ledger.rejected()
        );
        submitted += ledger.accepted();

        let mut error: f64 = 0.0;
        let jobs = ledger.jobs();
        for pair in jobs.windows(2) {
            let seconds = (pair[1].at - pair[0].at).as_secs_f64();
            let on_a = pair[0].tag.as_deref() == Some("A");
            error += if on_a {
                seconds * (1.0 - share_a)
            } else {
                -seconds * share_a
            };
            // The records may not go back to the start; the allowed span is then twice the bound.
            let most = if ledger.jobs_received() == jobs.len() as u64 {
                bound
            } else {
                2.0 * bound
            };
            assert!(
                error.abs() <= most + 0.2,
                "seed {seed}: {who}: {error} s of {bound}"
            );
        }
    }
    let mut accepted = 0;
    for slot in PoolSlot::ALL {
        let ledger = world.sites[slot].model.ledger();
        let stale = ledger.count(dpmp::sim::chain::judge::Verdict::Stale);
        assert_eq!(
            ledger.refused(),
            stale,
            "seed {seed}: pool {slot}: {}",
            ledger.summary()
        );
        accepted += ledger.accepted();
    }
    assert!(accepted > 0);
    assert_eq!(
        accepted, submitted,
        "seed {seed}: the miners' answers match the pools' counts"
    );
}

#[test]
fn the_split_holds_with_extranonce2_of_eight_and_four() {
    for (seed, e1) in (1..=12).enumerate() {
        let pools = [
            pool(1, e1, 8, Some(0x1fff_e000)),
            pool(2, 13 - e1, 4, Some(0x1fff_e000)),
        ];
        check([50.0, 50.0], 10.0, pools, 6, seed as u64);
    }
}

#[test]
fn the_split_holds_with_extranonce2_of_eight_and_two_and_different_masks() {
    for (seed, mask) in [
        Some(0x00ff_e000),
        None,
        Some(0x1f00_0000),
        Some(0x0000_e000),
    ]
    .into_iter()
    .enumerate()
    {
        let pools = [pool(3, 4, 8, Some(0x1fff_e000)), pool(4, 3, 2, mask)];
        check([70.0, 30.0], 10.0, pools, 6, 100 + seed as u64);
    }
}

#[test]
fn the_split_holds_with_extranonce2_of_three_and_twelve() {
    for seed in 0..4 {
        let pools = [pool(5, 1, 3, None), pool(6, 12, 12, Some(0x1fff_e000))];
        check([70.0, 30.0], 5.0, pools, 6, 200 + seed);
    }
}

#[test]
fn the_split_holds_with_uneven_weights_and_odd_pools() {
    let ckpool = PoolOptions {
        configure_order: ConfigureOrder::AfterSubscribe,
        one_worker: true,
        first_job: FirstJob::AfterSubscribe,
        ..pool(7, 4, 8, Some(0x1fff_e000))
    };
    let braiins = PoolOptions {
        configure_order: ConfigureOrder::BeforeSubscribe,
        pushes_mask: true,
        first_job: FirstJob::BeforeSubscribeAnswer,
        clean_after_difficulty: true,
        ..pool(8, 8, 7, Some(0x1fff_e000))
    };
    for (seed, weights) in [[95.0, 5.0], [10.0, 90.0], [1.0, 1.0], [0.0, 1.0]]
        .into_iter()
        .enumerate()
    {
        check(
            weights,
            10.0,
            [ckpool.clone(), braiins.clone()],
            6,
            300 + seed as u64,
        );
    }
}
