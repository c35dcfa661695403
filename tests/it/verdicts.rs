//! Pools that are reachable and send work, but are useless.

use std::time::Duration;

use serde_json::Value;

use crate::support::http::Http;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{SOON, miner, pool, wait_until};

fn status(proxy: &Proxy) -> Value {
    Http::new(proxy.pages_address())
        .get("/api/v1/status")
        .json()
}

fn alerts(proxy: &Proxy) -> String {
    status(proxy)["alerts"].to_string()
}

#[test]
fn a_pool_that_answers_no_share_gets_no_time_until_it_answers() {
    let a = pool("A", |options| options.answers_shares = false);
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).set("pools.A.answer_seconds", 2).start();
    let miner = miner(proxy.address(), |_| ());
    let ledger = miner.ledger();
    wait_until(SOON, "the alert", || {
        alerts(&proxy).contains("\"pool_mute:A\"")
    });
    // The lost shares are a consequence, so there is only one alert.
    assert!(!alerts(&proxy).contains("\"shares_lost:A\""));
    assert!(proxy.logged("pool_down", "it does not answer shares"));
    let (taken, mined) = (a.ledger().accepted(), ledger.accepted());
    wait_until(SOON, "shares at B", || ledger.accepted() > mined + 50);
    // Shares in flight at the switch.
    assert!(a.ledger().accepted() <= taken + 3);
    assert_eq!(status(&proxy)["pools"]["A"]["state"], "down");
    assert_eq!(ledger.connections(), 1);
    assert_eq!(ledger.violations(), []);
}

#[test]
fn a_late_answer_brings_a_pool_back_immediately() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).set("pools.A.answer_seconds", 2).start();
    let miner = miner(proxy.address(), |_| ());
    wait_until(SOON, "shares at A", || a.ledger().accepted() > 5);
    a.change(|options| options.answer_latency = Duration::from_millis(3500));
    wait_until(SOON, "the verdict", || {
        proxy.logged("pool_down", "\"pool\":\"A\"")
    });
    a.change(|options| options.answer_latency = Duration::ZERO);
    wait_until(SOON, "the end of it", || {
        !alerts(&proxy).contains("\"pool_mute:A\"")
    });
    let accepted = a.ledger().accepted();
    wait_until(SOON, "shares at A", || {
        a.ledger().accepted() > accepted + 20
    });
    assert_eq!(miner.ledger().connections(), 1);
}
