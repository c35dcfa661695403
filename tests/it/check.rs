//! `dpmp check`: what it says of a configuration and its pools, and when it is content.

use serde_json::{Value, json};

use crate::support::proxy;
use crate::support::{free_port, pool};

/// What it says of this file, and whether everything works.
fn check(config: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, config).unwrap();
    proxy::check(&path)
}

fn at(port: u16) -> Value {
    json!({"host": "127.0.0.1", "port": port, "wallet": "w"})
}

#[track_caller]
fn says(config: &Value, good: bool, parts: &[&str]) {
    let (is_good, text) = check(&config.to_string());
    assert_eq!(is_good, good, "{text}");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn each_pool_is_visited_and_all_have_to_work() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let [a, b] = [&a, &b].map(|pool| at(pool.address().port()));
    let nowhere = at(free_port());
    let both =
        json!({"pools": {"A": a, "B": b}, "scheduler": {"poolA_weight": 30, "poolB_weight": 70}});
    let steps = [
        "resolve",
        "connect",
        "configure",
        "subscribe",
        "authorize",
        "first job",
    ];
    says(&both, true, &steps);
    says(
        &both,
        true,
        &[
            "30.0 % of the work",
            "70.0 % of the work",
            "both pools work",
        ],
    );
    let lame = json!({"pools": {"A": a, "B": nowhere}});
    says(
        &lame,
        false,
        &["FAILED: could not connect", "not everything works"],
    );
    // Also one at weight 0 is looked at, if there is one.
    let idle =
        |pool: &Value| json!({"pools": {"A": a, "B": pool}, "scheduler": {"poolB_weight": 0}});
    says(&idle(&nowhere), false, &["0.0 % of the work"]);
    says(
        &idle(&json!({})),
        true,
        &["pool B: not set up, and not needed at weight 0"],
    );
    let half = json!({"pools": {"A": a}});
    says(
        &half,
        false,
        &["pool B: not set up (host or wallet is missing"],
    );
}

#[test]
fn a_backup_has_to_work_too() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let with = |backup: u16| {
        let mut first = at(a.address().port());
        first["backups"] = json!([format!("127.0.0.1:{backup}")]);
        json!({"pools": {"A": first}, "scheduler": {"poolB_weight": 0}})
    };
    let (good, nowhere) = (b.address().port(), free_port());
    says(
        &with(good),
        true,
        &[&format!("backup 1: stratum+tcp://127.0.0.1:{good}")],
    );
    says(
        &with(nowhere),
        false,
        &[
            &format!("backup 1: stratum+tcp://127.0.0.1:{nowhere}"),
            "FAILED",
        ],
    );
}

#[test]
fn what_is_odd_is_a_warning_and_what_is_wrong_ends_it() {
    let a = pool("A", |_| ());
    let mut config =
        json!({"pools": {"A": at(a.address().port())}, "scheduler": {"poolB_weight": 0}});
    config["unknown"] = json!(1);
    says(&config, true, &["config.json: valid", "warning: "]);
    config["listen"] = json!({"tls_certificate": "none.pem", "tls_key": "none.pem"});
    says(&config, false, &["for miners that encrypt", "FAILED: "]);
    config["listen"] = json!({"port": "many"});
    let (good, text) = check(&config.to_string());
    assert!(!good && text.is_empty(), "nothing is visited: {text}");
    assert!(!check("{").0);
}
