//! A pool whose node hangs: it is reachable and answers shares, but sends no new job.

use std::time::Duration;

use dpmp::config::Config;
use dpmp::core::outage::{Flaw, Health};
use dpmp::core::snapshot::PoolView;
use dpmp::units::PoolSlot::{self, A, B};
use serde_json::Value;

use crate::script::{Script, job};
use crate::world::{config, only_a};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A job on a block with enough work for any target.
fn on_block(slot: PoolSlot, number: u32) -> Value {
    let mut job = job(slot, &format!("on{number}"), true);
    job[1] = format!("{number:08x}{}", "00".repeat(28)).into();
    job
}

/// Both pools are on block 1, and the miner is working.
fn started(mut config: Config) -> Script {
    for pool in config.pools.values_mut().flatten() {
        // These pools are silent between their jobs.
        pool.stall = seconds(36_000);
    }
    let mut script = Script::new(config, |pools| {
        for slot in PoolSlot::ALL {
            pools[slot].model.job = on_block(slot, 1);
        }
    });
    script.connect(true);
    script.authorize(3, "w.rig");
    script.work_for(A);
    script.work_for(B);
    script
}

/// A pool moves on to another block, on present and future connections.
fn goes_on(script: &mut Script, slot: PoolSlot, number: u32) {
    let job = on_block(slot, number);
    script.pool(slot).job = job.clone();
    script.notify(script.conn(slot), &job);
}

fn view(script: &mut Script, slot: PoolSlot) -> PoolView {
    script.snapshot().pools[slot].clone()
}

/// The pools whose jobs the miner got during this time.
fn jobs_in(script: &mut Script, time: Duration) -> (bool, bool) {
    let before = script.jobs().len();
    script.run(time);
    let of = |slot: PoolSlot| {
        let coinb1 = job(slot, "", true)[2].clone();
        let start = coinb1.as_str().unwrap().to_owned();
        let mut fresh = script.jobs()[before..].iter();
        fresh.any(|job| job[2].as_str().unwrap().starts_with(&start))
    };
    (of(A), of(B))
}

#[test]
fn a_pool_stuck_on_an_old_block_gets_no_work_until_it_moves_on() {
    let mut script = started(config([50.0, 50.0], 10.0));
    goes_on(&mut script, B, 2);
    assert_eq!(jobs_in(&mut script, seconds(80)), (true, true));
    assert_eq!(view(&mut script, A).flaw(), None);
    assert!(
        view(&mut script, A).left_since.is_some(),
        "it is reported earlier"
    );
    script.run(seconds(15));
    assert_eq!(view(&mut script, A).flaw(), Some(Flaw::Behind));
    assert_eq!(view(&mut script, A).health, Health::Down);
    assert_eq!(view(&mut script, B).flaw(), None);
    assert_eq!(jobs_in(&mut script, seconds(100)), (false, true));

    // It repeats the same job on a new connection, and with a later time in the header.
    let old = script.conn(A);
    script.pool_says(
        old,
        &serde_json::json!({"id": null, "method": "client.reconnect", "params": []}),
    );
    script.run(seconds(5));
    assert_ne!(script.conn(A), old);
    let mut later = on_block(A, 1);
    (later[0], later[7]) = ("later".into(), "6ab14000".into());
    script.notify(script.conn(A), &later);
    assert_eq!(jobs_in(&mut script, seconds(100)), (false, true));
    assert_eq!(view(&mut script, A).connections, 1, "DPMP hears it");

    goes_on(&mut script, A, 2);
    assert_eq!(view(&mut script, A).flaw(), None);
    assert!(jobs_in(&mut script, seconds(60)).0);
}

#[test]
fn the_last_pool_with_work_is_kept_even_if_it_is_behind() {
    let mut script = started(config([50.0, 50.0], 10.0));
    goes_on(&mut script, B, 2);
    script.run(seconds(100));
    assert_eq!(view(&mut script, A).flaw(), Some(Flaw::Behind));
    script.use_config(only_a());
    assert_eq!(jobs_in(&mut script, seconds(100)), (true, false));
}

#[test]
fn pools_that_send_jobs_only_for_new_blocks_may_be_silent_for_hours() {
    let mut script = started(config([50.0, 50.0], 10.0));
    for number in 2..14 {
        script.run(seconds(600));
        goes_on(&mut script, A, number);
        script.run(seconds(2));
        goes_on(&mut script, B, number);
    }
    // As long as the header's time may still change.
    for _ in 0..68 {
        script.run(seconds(100));
        assert_eq!(view(&mut script, A).flaw(), None);
        assert_eq!(view(&mut script, B).flaw(), None);
        assert_eq!(view(&mut script, A).left_since, None);
    }
    assert_eq!(jobs_in(&mut script, seconds(60)), (true, true));
}

#[test]
fn another_coin_or_a_block_race_gives_no_verdict() {
    // One pool has blocks and the other has none, since it is on another chain.
    let mut script = started(config([50.0, 50.0], 10.0));
    goes_on(&mut script, A, 1000);
    for number in 2..40 {
        if number == 2 {
            goes_on(&mut script, B, 5000);
        }
        goes_on(&mut script, B, 5000 + number);
        script.run(seconds(60));
        assert_eq!(view(&mut script, A).left_since, None);
    }
    assert_eq!(jobs_in(&mut script, seconds(60)), (true, true));

    // Two tips: each pool keeps its own until the next block.
    let mut script = started(config([50.0, 50.0], 10.0));
    goes_on(&mut script, A, 20);
    goes_on(&mut script, B, 21);
    assert_eq!(jobs_in(&mut script, seconds(1200)), (true, true));
    goes_on(&mut script, B, 22);
    goes_on(&mut script, A, 22);
    script.run(seconds(200));
    for slot in PoolSlot::ALL {
        assert_eq!(view(&mut script, slot).flaw(), None);
    }
}

#[test]
fn a_pool_that_stops_refreshing_its_jobs_gets_no_work() {
    let mut settings = config([50.0, 50.0], 10.0);
    settings.pools[A].as_mut().unwrap().job = seconds(300);
    let mut script = started(settings);
    let refresh = |script: &mut Script, slot: PoolSlot, number: u32| {
        let mut job = on_block(slot, 1);
        (job[0], job[7]) = (
            format!("{number}").into(),
            format!("{:08x}", crate::world::UNIX_START + 30 * number).into(),
        );
        script.pool(slot).job = job.clone();
        script.notify(script.conn(slot), &job);
    };
    for number in 1..=12 {
        script.run(seconds(30));
        refresh(&mut script, A, number);
        refresh(&mut script, B, number);
    }
    for number in 13..=28 {
        script.run(seconds(30));
        refresh(&mut script, B, number);
    }
    script.run(seconds(5));
    assert_eq!(view(&mut script, A).flaw(), Some(Flaw::WithoutNews));
    assert_eq!(jobs_in(&mut script, seconds(60)), (false, true));
    refresh(&mut script, A, 40);
    assert!(jobs_in(&mut script, seconds(60)).0);
}
