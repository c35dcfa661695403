//! `dpmp check`: what it reports about a configuration and its pools, and when it succeeds.

use dpmp::coin::address::Wallet;
use dpmp::sim::pool::options::SecondName;
use serde_json::{Value, json};

use crate::support::proxy;
use crate::support::{free_port, pool};

/// The output for this file, and whether everything works.
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
fn check_says_how_many_miners_can_share_a_connection() {
    for (e2_size, miners, says_so) in [
        (8, 600, "up to 600 miners can share a connection"),
        (4, 600, "up to 256 miners can share a connection"),
        (2, 250, "miners cannot share connections"),
    ] {
        let pool = pool("A", |options| options.e2_size = e2_size);
        let mut a = at(pool.address().port());
        a["connections"] = json!("shared");
        a["miners_per_connection"] = json!(miners);
        let only_a = json!({"pools": {"A": a}, "scheduler": {"poolB_weight": 0}});
        says(&only_a, true, &[says_so]);
    }
}

#[test]
fn check_says_whether_a_pool_accepts_several_names() {
    let several = "takes several user names on one connection";
    let one = "takes one user name on each connection";
    for (second_name, says_so) in [
        (SecondName::Taken, several),
        (SecondName::Refused, one),
        (SecondName::HangUp, one),
    ] {
        let pool = pool("A", |options| options.second_name = second_name);
        let mut a = at(pool.address().port());
        a["connections"] = json!("shared");
        let only_a = json!({"pools": {"A": a}, "scheduler": {"poolB_weight": 0}});
        says(&only_a, true, &[says_so, "first job"]);
    }
}

#[test]
fn check_visits_each_pool_and_all_have_to_work() {
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
        &["30.0% of the work", "70.0% of the work", "both pools work"],
    );
    let lame = json!({"pools": {"A": a, "B": nowhere}});
    says(
        &lame,
        false,
        &["FAILED: could not connect", "not everything works"],
    );
    // A pool with weight 0 is tested, too.
    let idle =
        |pool: &Value| json!({"pools": {"A": a, "B": pool}, "scheduler": {"poolB_weight": 0}});
    says(&idle(&nowhere), false, &["0.0% of the work"]);
    says(
        &idle(&json!({})),
        true,
        &["pool B: not set up, and not needed because its weight is 0"],
    );
    let half = json!({"pools": {"A": a}});
    says(
        &half,
        false,
        &["pool B: not set up (the host or payout address is missing"],
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
fn oddities_are_warnings_and_errors_end_the_check() {
    let a = pool("A", |_| ());
    let mut config =
        json!({"pools": {"A": at(a.address().port())}, "scheduler": {"poolB_weight": 0}});
    config["unknown"] = json!(1);
    says(&config, true, &["config.json: valid", "warning: "]);
    config["listen"] = json!({"tls_certificate": "none.pem", "tls_key": "none.pem"});
    says(&config, false, &["encrypted, for miners", "FAILED: "]);
    config["listen"] = json!({"port": "many"});
    let (good, text) = check(&config.to_string());
    assert!(!good && text.is_empty(), "no pool is tested: {text}");
    assert!(!check("{").0);
}

/// The checks of a pool's first job, run through the whole program: its block, the payee, and its size.
#[test]
fn the_block_of_a_job_is_shown() {
    let wallet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let Wallet::Address(mine) = Wallet::read(wallet) else {
        panic!("an address");
    };
    let own = [&[0x76, 0xa9, 20][..], &[7; 20], &[0x88, 0xac]].concat();
    let told = |wallet: &str, chain: &str, pays: &[(u64, Vec<u8>)], parts: &[&str]| {
        let a = pool("A", |options| options.pays = pays.to_vec());
        let mut pool = at(a.port());
        pool["wallet"] = json!(wallet);
        pool["chain"] = json!(chain);
        let config = json!({"pools": {"A": pool}, "scheduler": {"poolB_weight": 0}});
        says(&config, true, parts);
    };
    let to_both = [(306_250_000, mine.script.clone()), (6_250_000, own.clone())];
    told(
        wallet,
        "BTC",
        &to_both,
        &[
            "first job ",
            "network difficulty 1.2641e14",
            "block 900000, reward 3.12500000 BTC, tag /sim:A/",
            "pays your address 98.0",
            "coinbase 186 bytes, ",
            " branches",
        ],
    );
    // A legacy address stands for the same script.
    told(
        wallet,
        "BTC",
        &to_both[1..],
        &["reward 0.06250000 BTC", "pays 1", "and not your address"],
    );
    told(
        wallet,
        "BCH",
        &to_both,
        &["This is a Bitcoin address, but the coin is BCH."],
    );
    told("alice", "BTC", &to_both, &["DPMP cannot tell who it pays"]);
    let many: Vec<_> = (0..40).map(|at| (at, own.clone())).collect();
    told(
        "alice",
        "BTC",
        &many,
        &[
            "coinbase 1481 bytes",
            "NerdMiner (512 bytes), Antminer with stock firmware (750 bytes)",
        ],
    );
}
