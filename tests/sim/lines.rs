//! Tests in which single lines of pools and miners decide about a share; each line is written out.

use std::time::Duration;

use dpmp::config::Connections;
use dpmp::units::PerPool;
use dpmp::units::PoolSlot::{A, B};
use serde_json::{Value, json};

use crate::script::{Script, job, job_at, u32_of};
use crate::world::config;

const RECONNECT: &str = "client.reconnect";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn even() -> dpmp::config::Config {
    config([50.0, 50.0], 10.0)
}

/// Both pools use shared connections.
fn shared() -> dpmp::config::Config {
    let mut config = even();
    for pool in config.pools.values_mut().flatten() {
        pool.connections = Connections::Shared;
    }
    config
}

fn reconnect(script: &mut Script, wait: u64) {
    let conn = script.conn(A);
    script.pool_says(conn, &json!({"method": RECONNECT, "params": ["", 0, wait]}));
}

/// One pool has no version rolling and one a narrow mask. A miner that keeps using the other pool's mask finds a block.
#[test]
fn a_block_rolled_outside_the_mask_reaches_its_pool_unchanged() {
    for mask in [None, Some(0x00ff_e000)] {
        let mut script = Script::new(even(), |pools| {
            pools[B].model.mask = mask;
            pools[B].model.job = job_at(B, "easy", true, "207fffff");
        });
        script.connect(true);
        script.authorize(3, "w.rig");
        let work = script.work_for(B);
        let (own, bits) = (0x2000_0000, 0x1000_2000);
        let as_masked = own | bits & mask.unwrap_or(0);
        let nonce = script.block(&work, own | bits, as_masked);
        script.submit(4, &work, nonce, Some(bits));
        let forwarded = script.forwarded(B);
        let [block] = forwarded.as_slice() else {
            panic!("{forwarded:?}")
        };
        // A pool that does not check would replace the bits with its own.
        assert_eq!(u32_of(&block.params[5]) & bits, bits);
        assert_eq!(script.answer(4)["result"], true);
        script.submit(5, &work, nonce, Some(bits));
        assert_eq!(script.answer(5)["error"][0], 22);
        assert_eq!(script.forwarded(B).len(), 1, "once is enough");
    }
}

/// compat Q13: some miners ask for version rolling while they are already working.
#[test]
fn a_miner_that_asks_for_version_rolling_late_can_roll_immediately() {
    let mut script = Script::new(even(), |_| ());
    script.connect(false);
    script.authorize(3, "w.rig");
    script.configure(4);
    assert_eq!(script.answer(4)["result"]["version-rolling"], true);
    script.run(seconds(2));
    for slot in [A, B] {
        let work = script.work_for(slot);
        let request = 10 + slot as u64;
        script.submit(request, &work, 7, Some(0x0000_2000));
        assert_eq!(script.answer(request)["result"], true, "{slot}");
    }
    // The same if the pools had granted it before.
    let mut script = Script::new(even(), |pools| pools[A].model.mask = None);
    script.connect(true);
    script.authorize(3, "w.rig");
    let jobs = script.jobs().len();
    script.configure(4);
    assert_eq!(
        script.jobs().len(),
        jobs + 1,
        "a job under the new settings"
    );
}

#[test]
fn answers_on_a_replaced_connection_may_take_as_long_as_others() {
    let mut script = Script::new(even(), |pools| pools[A].model.answers = false);
    script.connect(false);
    script.authorize(3, "w.rig");
    let work = script.work_for(A);
    reconnect(&mut script, 0);
    script.run(Duration::from_millis(4900));
    script.submit(4, &work, 1, None);
    script.run(seconds(20));
    assert!(!script.is_answered(4));
    script.submit(5, &work, 2, None);
    assert_eq!(script.answer(5)["error"][0], 21, "its time has passed");
    let share = script.forwarded(A).pop().unwrap();
    script.pool_says(
        share.conn,
        &json!({"id": share.request, "result": true, "error": null}),
    );
    assert_eq!(script.answer(4)["result"], true);
    assert_ne!(script.conn(A), share.conn);
    // DPMP gives up a share that is never answered after the usual time.
    let work = script.work_for(A);
    script.submit(6, &work, 3, None);
    reconnect(&mut script, 0);
    script.run(seconds(29));
    assert!(!script.is_answered(6));
    script.run(seconds(3));
    assert_eq!(script.answer(6)["error"][1], "No answer from the pool");
}

#[test]
fn another_name_can_be_tried_after_a_refused_one() {
    let only = |name| {
        Script::new(even(), |pools| {
            pools
                .values_mut()
                .for_each(|pool| pool.model.only_user = Some(name))
        })
    };
    let mut script = only("walletA.good");
    script.connect(false);
    script.authorize(3, "w.bad");
    assert_eq!(script.answer(3)["result"], false);
    script.authorize(4, "w.good");
    script.run(seconds(5));
    assert_eq!(script.answer(4)["result"], true);
}

/// A miner's name may be empty. Only DPMP's own test connections have no worker at all.
#[test]
fn a_miner_without_a_name_is_authorized_by_its_pool() {
    let mut config = even();
    let text = r#"{"pools": {"A": {"host": "127.0.0.1", "wallet": "w", "user_name": "{user}"}}}"#;
    config.pools[A] = dpmp::config::parse(text).unwrap().config.pools[A].clone();
    config.scheduler.weights[B] = 0.0;
    config.scheduler.failover = false;
    let mut script = Script::new(config, |pools| pools[A].model.only_user = Some("somebody"));
    script.connect(false);
    script.authorize(3, "");
    assert_eq!(script.answer(3)["result"], false);
}

#[test]
fn a_job_sent_again_stays_valid_unless_its_name_is_reused() {
    let mut script = Script::new(even(), |_| ());
    script.connect(false);
    script.authorize(3, "w.rig");
    let first = script.work_for(A);
    let conn = script.conn(A);
    script.notify(conn, &job(A, "first", true));
    let again = script.jobs().last().unwrap().clone();
    assert_ne!(again[7], first[7], "the same work is never sent twice");
    script.submit(4, &first, 1, None);
    script.submit(5, &again, 1, None);
    script.submit(6, &first, 1, None);
    assert_eq!(script.answer(4)["result"], true);
    assert_eq!(script.answer(5)["result"], true);
    assert_eq!(script.answer(6)["error"][0], 22);

    let mut other = job(A, "first", false);
    other[3] = "eeee".into();
    script.notify(conn, &other);
    script.submit(7, &again, 2, None);
    assert_eq!(
        script.answer(7)["error"][0],
        21,
        "the pool would mistake it for the other"
    );
    let work = script.jobs().last().unwrap().clone();
    script.submit(8, &work, 2, None);
    assert_eq!(script.answer(8)["result"], true);
}

/// compat Q54: a pool may reuse an extranonce1 and continue with its old job.
#[test]
fn work_is_not_repeated_under_a_returning_extranonce1() {
    let mut script = Script::new(even(), |pools| {
        pools[A].model.e1 = |number| ["0a", "0b"][usize::from(number % 2 == 0)].to_owned();
    });
    script.connect(false);
    script.authorize(3, "w.rig");
    let mut sent: Vec<(Value, Value)> = Vec::new();
    for _ in 0..6 {
        let jobs = script.jobs().len();
        reconnect(&mut script, 1);
        script.run(seconds(30));
        let of_a = |job: &&Value| job[2].as_str().unwrap().starts_with("01aa");
        let new = script.jobs()[jobs..].iter().filter(of_a);
        sent.extend(new.map(|job| (job[2].clone(), job[7].clone())));
    }
    assert!(sent.len() >= 6, "{sent:?}");
    for (index, work) in sent.iter().enumerate() {
        assert!(!sent[..index].contains(work), "{work:?} twice: {sent:?}");
    }
}

/// The owner has entered another address, so later messages from the old one say nothing about it.
#[test]
fn a_replaced_connection_says_nothing_about_the_new_pool() {
    let mut script = Script::new(even(), |_| ());
    script.connect(false);
    script.authorize(3, "w.rig");
    let old = script.conn(A);
    let mut config = even();
    config.pools[A].as_mut().unwrap().port = 4444;
    script.use_config(config);
    script.run(seconds(1));
    assert_ne!(script.conn(A), old);
    script.pool_says(
        old,
        &json!({"method": "mining.set_extranonce", "params": ["0c", 2]}),
    );
    let snapshot = script.snapshot();
    assert_eq!(snapshot.pools[A].e2_size, Some(8));
}

/// A pool's accepted shares are not credited to the next pool in its slot, and are there again when it returns.
#[test]
fn a_pools_totals_stay_with_it() {
    let mut script = Script::new(even(), |_| ());
    script.connect(false);
    script.authorize(3, "w.rig");
    let work = script.work_for(A);
    script.submit(4, &work, 1, None);
    script.pool(A).answers = false;
    script.submit(5, &work, 2, None);
    let waiting = script.forwarded(A).pop().unwrap();
    let mut other = even();
    let pool = other.pools[A].as_mut().unwrap();
    (pool.port, pool.name) = (4444, "Other".into());
    script.use_config(other.clone());
    script.submit(6, &work, 3, None);
    let late = script.forwarded(A).pop().unwrap();
    assert_eq!(late.conn, waiting.conn, "a share of the old pool's job");
    for share in [waiting, late] {
        let answer = json!({"id": share.request, "result": false, "error": [23, "low", null]});
        script.pool_says(share.conn, &answer);
    }
    script.run(seconds(40));
    let snapshot = script.snapshot();
    let view = &snapshot.pools[A];
    let shares = &view.totals.shares;
    assert_eq!(
        (shares.accepted, shares.best, view.totals.work),
        (0, None, 0.0)
    );
    assert!(shares.rejected.is_empty() && view.lately.rejected == 0.0);
    assert_eq!(view.hashrate, Some(0.0));
    assert_eq!(
        view.former[0].id.name,
        even().pools[A].as_ref().unwrap().name
    );
    assert_eq!(view.run.shares.accepted, 1);
    let miner = &snapshot.miners[0];
    assert!(miner.accepted[A] == 0 && miner.said.is_empty());

    let swapped = |mut config: dpmp::config::Config| {
        config.pools = PerPool::new(config.pools[B].clone(), config.pools[A].clone());
        config
    };
    script.use_config(swapped(even()));
    let totals = script.snapshot().pools[B].totals.clone();
    let rejected: u64 = totals.shares.rejected.values().sum();
    assert_eq!((totals.shares.accepted, rejected), (1, 2));
}

/// compat Q11: AxeOS ignores a plain refusal.
#[test]
fn a_miner_refused_version_rolling_gets_the_empty_mask() {
    let mut script = Script::new(even(), |pools| {
        pools.values_mut().for_each(|pool| pool.model.mask = None);
    });
    script.connect(true);
    assert_eq!(script.answer(1)["result"]["version-rolling"], false);
    script.authorize(3, "w.rig");
    assert_eq!(script.masks(), ["00000000"]);
    script.work_for(A);
    script.work_for(B);
    assert_eq!(script.masks().len(), 1, "once");
}

/// compat Q13: rented machines send version bits without ever asking for them.
#[test]
fn a_miner_that_rolls_without_asking_can_from_its_second_share_on() {
    for config in [even(), shared()] {
        let mut script = Script::new(config, |_| ());
        script.connect(false);
        script.authorize(3, "w.rig");
        let work = script.work_for(A);
        script.submit(4, &work, 1, Some(0x0040_2000));
        assert_eq!(script.answer(4)["error"][0], 20);
        script.run(seconds(3));
        for (request, slot) in [(5, A), (6, B), (7, A)] {
            let work = script.work_for(slot);
            script.submit(request, &work, request as u32, Some(0x0040_2000));
            assert_eq!(script.answer(request)["result"], true);
            let share = script.forwarded(slot).pop().unwrap();
            assert_eq!(
                share.params[4..],
                [format!("{request:08x}"), "00402000".into()]
            );
            script.run(seconds(3));
        }
        assert!(script.masks().is_empty(), "it could not use it");
    }
}

/// Some software authorizes first.
#[test]
fn a_miner_that_authorizes_before_subscribing_can_share_connections() {
    let mut script = Script::new(shared(), |_| ());
    script.open();
    script.authorize(3, "w.rig");
    script.say(4, "mining.subscribe", json!(["simulated"]));
    script.run(seconds(20));
    for slot in [A, B] {
        script.work_for(slot);
        // The group's connection, and DPMP's own test of whether the pool accepts several names.
        let heard = script.pool(slot).heard.iter();
        let named = heard.filter(|(_, line)| line["method"] == "mining.authorize");
        let mut conns: Vec<_> = named.map(|(conn, _)| *conn).collect();
        conns.dedup();
        assert_eq!(conns.len(), 2, "{slot}");
    }
}

/// compat Q24: whatever the pool meant, shares under the old extranonce1 may be invalid now.
#[test]
fn an_unreadable_extranonce_causes_a_reconnect() {
    let mut script = Script::new(even(), |_| ());
    script.connect(false);
    script.authorize(3, "w.rig");
    let old = script.conn(A);
    script.pool_says(
        old,
        &json!({"method": "mining.set_extranonce", "params": ["0c0d"]}),
    );
    script.run(seconds(3));
    assert_ne!(script.conn(A), old);
}

/// Nobody knows which job the pool is working on by then.
#[test]
fn a_pool_with_unusable_jobs_is_left() {
    let mut script = Script::new(even(), |_| ());
    script.connect(false);
    script.authorize(3, "w.rig");
    let conn = script.conn(A);
    let bad = json!({"method": "mining.notify", "params": ["9", "zz"]});
    for _ in 0..2 {
        script.pool_says(conn, &bad);
        script.pool_says(conn, &bad);
        script.run(seconds(1));
        assert_eq!(script.conn(A), conn);
        script.notify(conn, &job(A, "8", true));
    }
    for _ in 0..3 {
        script.pool_says(conn, &bad);
    }
    script.run(seconds(3));
    assert_ne!(script.conn(A), conn);
}

/// compat Q54: a pool that gives the same extranonce1 again can accept a block whose own connection is gone.
#[test]
fn a_block_of_a_replaced_connection_is_sent_on_its_successor() {
    let mut script = Script::new(even(), |pools| {
        pools[A].model.e1 = |_| "aabbccdd".to_owned();
        pools[A].model.job = job_at(A, "easy", true, "207fffff");
    });
    script.connect(false);
    script.authorize(3, "w.rig");
    let work = script.work_for(A);
    let first = script.conn(A);
    reconnect(&mut script, 0);
    script.run(seconds(10));
    let nonce = script.block(&work, 0x2000_0000, 0x2000_0001);
    script.submit(4, &work, nonce, None);
    let block = script.forwarded(A).pop().expect("the block was sent");
    assert_ne!(block.conn, first);
    assert_eq!(block.conn, script.conn(A));
    assert_eq!(script.answer(4)["error"][0], 21);
}

/// The share is found before the switch and sent after it. It counts with the difficulty of its own pool, although the
/// miner has a lower one by then.
#[test]
fn a_share_after_a_switch_counts_with_its_jobs_difficulty() {
    let mut script = Script::new(even(), |_| ());
    script.connect(false);
    script.authorize(3, "w.rig");
    let conn = script.conn(A);
    script.pool_says(
        conn,
        &json!({"method": "mining.set_difficulty", "params": [1e-11]}),
    );
    script.notify(conn, &job(A, "second", true));
    let work = script.work_for(A);
    script.work_for(B);
    script.submit(4, &work, 1, None);
    assert_eq!(script.answer(4)["result"], true);
    let totals = script.snapshot().pools[A].totals.clone();
    assert!((totals.work / 1e-11 - 1.0).abs() < 1e-6, "{}", totals.work);
}
