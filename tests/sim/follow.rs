//! A miner that takes a new job only at the end of its scan, unless the job is clean: its work still follows the time.

use std::time::Duration;

use dpmp::core::fact::Fact;
use dpmp::sim::miner::options::{MinerOptions, Pace};
use dpmp::sim::pool::options::PoolOptions;
use dpmp::units::PoolSlot::{A, B};

use crate::world::{World, config};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The part of a miner's work that A got in the hour after the first ten minutes, and whether switches sent it clean
/// jobs.
fn run(user_agent: &str, scan: Option<Duration>, clean: bool) -> (f64, bool) {
    // 400 hashes a second: a share takes 40 s at A and 1 s at B.
    let pools = [(1, 16_000.0), (2, 400.0)].map(|(seed, hashes)| PoolOptions {
        seed,
        difficulty: hashes / 4_294_967_296.0,
        ..PoolOptions::default()
    });
    let mut config = config([50.0, 50.0], 10.0);
    config.scheduler.clean_on_switch = clean;
    let mut world = World::new(config, pools, 7);
    world.keep_facts = true;
    world.add_miner(
        MinerOptions {
            user_agent: user_agent.into(),
            pace: Pace::Hashes(400.0),
            rolling: None,
            late: Duration::ZERO,
            scan,
            ..MinerOptions::default()
        },
        Duration::from_millis(100),
    );
    world.run(seconds(600), |_| ());
    let work = |world: &World| {
        let of = |slot, worth: f64| {
            f64::from(u32::try_from(world.sites[slot].model.ledger().accepted()).unwrap()) * worth
        };
        (of(A, 16_000.0), of(B, 400.0))
    };
    let before = work(&world);
    world.run(seconds(4 * 3600), |_| ());
    let after = work(&world);
    let (a, b) = (after.0 - before.0, after.1 - before.1);
    let ledger = world.rigs[0].model.ledger();
    assert_eq!(ledger.rejected(), 0, "{:?}", ledger.rejections());
    let lags = world
        .facts
        .iter()
        .any(|fact| matches!(fact, Fact::MinerLags { .. }));
    (a / (a + b), lags)
}

#[test]
fn a_miner_that_finishes_its_scan_first_still_splits_by_time() {
    // About 360 shares at A: one standard deviation of the share is 0.013.
    let minute = Some(seconds(60));
    for (user_agent, is_noticed) in [("scanminer/1", true), ("cpuminer/2.5.1", false)] {
        let (share, lags) = run(user_agent, minute, false);
        assert!((share - 0.5).abs() < 0.05, "{user_agent}: {share}");
        assert_eq!(lags, is_noticed, "{user_agent}");
    }
    // A miner that follows immediately does not get clean jobs.
    let (share, lags) = run("quick/1", None, false);
    assert!((share - 0.5).abs() < 0.05, "{share}");
    assert!(!lags);
}
