//! Changes while DPMP runs, the very first start, and the stop.

use std::fs;
use std::time::{Duration, Instant};

use dpmp::sim::miner::SimMiner;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{AT_ONCE, SOON, http_get, miner, pool, settle, wait_until};

fn farm(proxy: &Proxy, size: usize) -> Vec<SimMiner> {
    let start = |number| {
        miner(proxy.address(), |options| {
            options.user = format!("x.rig{number}");
        })
    };
    (0..size).map(start).collect()
}

/// The part of their time that the miners have worked for A since this moment.
fn share_of_a(miners: &[SimMiner], since: Instant) -> f64 {
    let now = Instant::now();
    let mut time = [0.0, 0.0];
    for miner in miners {
        for (job, duration) in miner.ledger().job_times(now) {
            let end = job.at + duration;
            let within = end.saturating_duration_since(job.at.max(since));
            time[usize::from(job.tag.as_deref() == Some("A"))] += within.as_secs_f64();
        }
    }
    time[1] / (time[0] + time[1])
}

fn check_undisturbed(miners: &[SimMiner]) {
    for miner in miners {
        let ledger = miner.ledger();
        assert_eq!(ledger.connections(), 1);
        assert_eq!(ledger.violations(), []);
        assert_eq!(ledger.rejected(), 0, "{:?}", ledger.rejections());
    }
}

#[test]
fn new_weights_apply_without_a_reconnect() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let mut proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 3);
    wait_until(SOON, "shares at both", || {
        a.ledger().accepted() > 10 && b.ledger().accepted() > 10
    });
    proxy.rewrite_config(|config| {
        config["scheduler"]["poolA_weight"] = json!(75);
        config["scheduler"]["poolB_weight"] = json!(25);
    });
    let changed = Instant::now() + Duration::from_millis(1500);
    wait_until(SOON, "the new share of A", || {
        let enough = Instant::now() > changed + Duration::from_secs(3);
        enough && (share_of_a(&miners, changed) - 0.75).abs() < 0.06
    });
    // With weight 0, DPMP does not even connect.
    proxy.rewrite_config(|config| {
        config["scheduler"]["poolA_weight"] = json!(0);
        config["scheduler"]["poolB_weight"] = json!(1);
    });
    wait_until(SOON * 2, "no connections to A", || {
        a.ledger().connections_open() == 0
    });
    let accepted = b.ledger().accepted();
    wait_until(SOON, "shares at B", || {
        b.ledger().accepted() > accepted + 20
    });
    settle(&miners);
    for miner in &miners {
        assert_eq!(miner.ledger().connections(), 1);
        assert_eq!(miner.ledger().violations(), []);
        let late = miner.ledger().rejections();
        // The connection to A was closed, perhaps with a late share in flight.
        assert!(late.len() <= 3, "{late:?}");
        let of_a = late.iter().all(|share| share.tag.as_deref() == Some("A"));
        assert!(of_a, "{late:?}");
    }
    assert_eq!(a.ledger().refused() + b.ledger().refused(), 0);
}

#[test]
fn a_new_wallet_and_a_new_address_apply_without_dropping_a_miner() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let c = pool("C", |_| ());
    let mut proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 2);
    wait_until(SOON, "shares at both", || {
        a.ledger().accepted() > 10 && b.ledger().accepted() > 10
    });
    proxy.rewrite_config(|config| config["pools"]["A"]["wallet"] = json!("other"));
    wait_until(SOON, "the new wallet at A", || {
        let shares = a.ledger().shares();
        let new = |rig: &str| shares.iter().any(|share| share.worker == rig);
        new("other.rig0") && new("other.rig1")
    });
    proxy.rewrite_config(|config| config["pools"]["B"]["port"] = json!(c.port()));
    wait_until(SOON, "shares at the new pool", || {
        let shares = c.ledger().shares();
        let new = |rig: &str| shares.iter().any(|share| share.worker == rig);
        new("walletB.rig0") && new("walletB.rig1")
    });
    wait_until(SOON, "no connections to the old pool", || {
        b.ledger().connections_open() == 0
    });
    settle(&miners);
    let page = Http::new(proxy.pages_address());
    wait_until(SOON, "the new pool's own counters", || {
        let pool = &page.get("/api/v1/status").json()["pools"]["B"];
        pool["accepted"] == c.ledger().accepted() && pool["former"][0]["name"] == "B"
    });
    for miner in &miners {
        assert_eq!(miner.ledger().connections(), 1);
        assert_eq!(miner.ledger().violations(), []);
        println!(
            "{} of {} refused",
            miner.ledger().rejected(),
            miner.ledger().submitted()
        );
    }
    for pool in [&a, &b, &c] {
        assert_eq!(pool.ledger().refused(), 0, "{}", pool.ledger().summary());
    }
}

#[test]
fn a_faulty_config_is_refused_and_the_old_one_stays_in_force() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let mut proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 1);
    wait_until(SOON, "shares at both", || {
        a.ledger().accepted() > 5 && b.ledger().accepted() > 5
    });
    let good = fs::read_to_string(proxy.file("config.json")).unwrap();
    for bad in [
        "{\"listen\": ",
        "[]",
        &good.replace("\"walletB\"", "\"\""),
        &good.replace("\"poolA_weight\": 50", "\"poolA_weight\": -50"),
    ] {
        assert_ne!(bad, good);
        proxy.write_config(bad);
        let logged = proxy.log().len();
        wait_until(SOON, "the refusal in the log", || {
            proxy.log()[logged..].contains("config_refused")
        });
        proxy.check_running();
        let accepted = [a.ledger().accepted(), b.ledger().accepted()];
        wait_until(SOON, "both pools to continue", || {
            a.ledger().accepted() > accepted[0] && b.ledger().accepted() > accepted[1]
        });
    }
    let left = fs::read_to_string(proxy.file("config.json")).unwrap();
    assert!(left.contains("-50"), "the owner's file does not change");
    fs::remove_file(proxy.file("config.json")).unwrap();
    wait_until(SOON, "the loss in the log", || {
        proxy.log().contains("config.json has vanished")
    });
    proxy.check_running();
    check_undisturbed(&miners);
    assert!(
        !proxy.file("config.json").exists(),
        "it is not created again"
    );
    // As unreadable as another user's file, even for root.
    fs::create_dir(proxy.file("config.json")).unwrap();
    wait_until(SOON, "the reason in the log", || {
        proxy.logged("config_refused", "config.json cannot be read")
    });
}

#[test]
fn without_pools_it_serves_its_pages_and_disconnects_miners() {
    let mut sample: Value = serde_json::from_str(include_str!("../../config.sample.json")).unwrap();
    let ports = Setup::bare().config;
    for section in ["listen", "metrics", "gui", "logging"] {
        sample[section] = ports[section].clone();
    }
    let mut setup = Setup::bare();
    setup.config = sample;
    let mut proxy = setup.start();
    let (status, _) = http_get(proxy.metrics_address(), "/healthz").unwrap();
    assert!((200..600).contains(&status));
    let (status, body) = http_get(proxy.metrics_address(), "/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("dpmp_"), "{body}");
    let mut client = Client::connect(proxy.address());
    client.send(r#"{"id":1,"method":"mining.subscribe","params":["x"]}"#);
    assert!(client.is_closed_within(AT_ONCE));

    // The owner fills in the pools.
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    proxy.rewrite_config(|config| {
        config["pools"] = Setup::new(&a, &b).config["pools"].clone();
    });
    wait_until(SOON, "the config to apply", || {
        a.ledger().connections_opened() > 0 && b.ledger().connections_opened() > 0
    });
    let miner = miner(proxy.address(), |_| ());
    wait_until(SOON, "shares", || miner.ledger().accepted() > 0);
}

#[test]
fn it_stops_in_time_and_answers_pending_shares() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let mut proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy, 5);
    wait_until(SOON, "shares at both", || {
        a.ledger().accepted() > 20 && b.ledger().accepted() > 20
    });
    let latency = Duration::from_millis(300);
    for pool in [&a, &b] {
        pool.change(|options| options.answer_latency = latency);
    }
    std::thread::sleep(latency);
    let asked = Instant::now();
    let (took, status) = proxy.stop();
    println!("stopped after {} ms", took.as_millis());
    assert!(status.success(), "{status}");
    wait_until(SOON, "the miners to notice", || {
        miners
            .iter()
            .all(|miner| !miner.ledger().endings().is_empty())
    });
    for miner in &miners {
        let submits = miner.ledger().submits();
        let lost = |share: &&dpmp::sim::miner::ledger::SubmitRecord| {
            share.answer.is_none() && share.at < asked
        };
        let lost: Vec<_> = submits.iter().filter(lost).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    wait_until(SOON, "the pools to be free", || {
        a.ledger().connections_open() + b.ledger().connections_open() == 0
    });
}

#[test]
fn it_stops_while_pools_are_down_and_miners_wait() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    a.go_down();
    b.change(|options| options.silent = true);
    let mut proxy = Setup::new(&a, &b).start();
    let _miners = farm(&proxy, 3);
    let _open = Client::connect(proxy.address());
    wait_until(SOON, "the silent pool to be dialed", || {
        b.ledger().connections_opened() > 0
    });
    let (_, status) = proxy.stop();
    assert!(status.success(), "{status}");
}
