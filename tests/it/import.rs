//! Files of the Python version: imported at a start or through the pages, and never a reason not to start.

use std::fs;

use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::proxy::Setup;
use crate::support::{SOON, miner, pool, settle, wait_until};

/// What its page writes in addition to the usual settings.
fn as_the_python_version(setup: Setup) -> Setup {
    setup
        .set(
            "logging",
            json!({"allow": [], "deny": ["share_result"], "json": true, "level": "normal"}),
        )
        .set("pools.A.idle_disconnect", true)
        .set("pools.A.chain", "NONE")
        .set("scheduler.min_switch_seconds", 50)
        .set("scheduler.auto_balance", false)
        .set("scheduler.poolB_weight", "50")
}

#[test]
fn an_old_folder_works_as_is() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let setup = as_the_python_version(Setup::new(&a, &b))
        .named("config_v2.json")
        .file(
            "weights_override.json",
            json!({"poolA_weight": 20, "poolB_weight": 80}),
        )
        .file("best_shares.json", json!({"rig": 4.5e12}));
    let mut proxy = setup.start();
    let rig = miner(proxy.address(), |options| {
        options.user = "wallet.rig".into()
    });
    wait_until(SOON, "both pools to accept shares", || {
        [&a, &b].iter().all(|pool| pool.ledger().accepted() > 0)
    });
    let page = Http::new(proxy.pages_address()).with_token();
    wait_until(SOON, "the earlier best share", || {
        let shown = page.get("/api/v1/miners").json();
        shown["miners"][0]["best_share_ever"] == 4.5e12
    });
    let pools = page.get("/api/v1/status").json()["pools"].clone();
    assert_eq!(pools["A"]["target_share"], 0.2, "{pools}");
    assert!(proxy.logged("config_warning", "is new, imported from"));
    assert!(proxy.logged("config_warning", "weights_override.json"));
    settle(&[rig]);

    // From now on the file is in our own format.
    let saved = fs::read(proxy.file("config.json")).unwrap();
    proxy.restart();
    assert_eq!(fs::read(proxy.file("config.json")).unwrap(), saved);
    assert!(!proxy.log().contains("config_refused"));
}

#[test]
fn a_pool_with_a_mistake_opens_the_set_up() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let setup = Setup::new(&a, &b).set("pools.A.wallet", "two words");
    let mut proxy = setup.start();
    assert!(proxy.logged("config_warning", "pools.A.wallet: found"));
    let page = Http::new(proxy.pages_address()).with_token();
    wait_until(SOON, "pool A to be shown as not set up", || {
        page.get("/api/v1/status").json()["pools"]["A"]["state"] == "not_set_up"
    });
    let alerts = page.get("/api/v1/status").json()["alerts"].to_string();
    assert!(alerts.contains("pools.A.wallet: found"), "{alerts}");
    assert!(!alerts.contains("not_set_up:A"), "{alerts}");
    proxy.rewrite_config(|config| config["pools"]["A"]["wallet"] = json!("word"));
    let _rig = miner(proxy.address(), |_| ());
    wait_until(SOON, "both pools to accept shares", || {
        [&a, &b].iter().all(|pool| pool.ledger().accepted() > 0)
    });
}

#[test]
fn a_start_leaves_out_an_unusable_backup() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let setup = Setup::new(&a, &b).set("pools.A.backups", json!(["pool.com"]));
    let mut proxy = setup.start();
    let _rig = miner(proxy.address(), |_| ());
    wait_until(SOON, "both pools to accept shares", || {
        [&a, &b].iter().all(|pool| pool.ledger().accepted() > 0)
    });
    let wrong = "pools.A.backups: number 1: found \"pool.com\"";
    assert!(proxy.log().contains("pools.A.backups: number 1: found"));
    let page = Http::new(proxy.pages_address()).with_token();
    let alert = || {
        let status = page.get("/api/v1/status").json();
        let alerts = status["alerts"].as_array().unwrap();
        let is_it = |alert: &&Value| alert["text"].as_str().unwrap().starts_with(wrong);
        alerts.iter().any(|alert| is_it(&alert))
    };
    assert!(alert());
    // Saving and editing work as usual now, and a valid file clears the alert.
    proxy.rewrite_config(|config| config["gui"]["allowed_hosts"] = json!(5));
    wait_until(SOON, "the refusal of another mistake", || {
        proxy.log().contains("config_refused")
    });
    assert!(!proxy.log().contains("not_set_up"));
    proxy.rewrite_config(|config| {
        config["gui"]["allowed_hosts"] = json!([]);
        config["pools"]["A"]["backups"] = json!([]);
    });
    wait_until(SOON, "the end of the alert", || !alert());
}

#[test]
fn the_pages_accept_an_old_file() {
    let proxy = Setup::bare().start();
    let page = Http::new(proxy.pages_address()).with_token();
    let config: Value =
        serde_json::from_slice(&fs::read(proxy.file("config.json")).unwrap()).unwrap();
    let old = json!({
        "listen": config["listen"],
        "metrics": config["metrics"],
        "logging": {"json": true, "level": "full"},
        "pools": {"A": {"host": "127.0.0.1", "port": "1", "wallet": "mine"}},
        "scheduler": {"poolA_weight": 100, "poolB_weight": 0, "min_switch_seconds": 50},
    });
    let offered = json!({"config": old, "restore": true});
    let offered = page.post("/api/v1/config/validate", &offered).json();
    assert_eq!(offered["valid"], true, "{offered}");
    let answer = page.post("/api/v1/config/restore", &json!({"text": old.to_string()}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        answer.text().contains("min_switch_seconds: not imported"),
        "{}",
        answer.text()
    );
    let shown = page.get("/api/v1/config").json()["config"].clone();
    assert_eq!(shown["logging"]["level"], "debug");
    assert_eq!(shown["scheduler"]["min_switch_seconds"], 1);
    assert_eq!(shown["pools"]["A"]["wallet"], "mine");
}
