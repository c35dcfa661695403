//! Tests of the configuration as a whole. Kinds, addresses and files have their own tests.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::units::PoolSlot::{A, B};

/// A file of the Python version, with keys that only it has.
const PYTHON: &str = r#"{
  "downstream_diff": { "default_min": 1, "poolA_min": 1024, "poolB_max": 65536.5 },
  "listen": { "host": "0.0.0.0", "port": 3351 },
  "listen_port": 3351,
  "logging": { "allow": [], "deny": ["share_result", "pool_notify"], "json": true, "level": "INFO" },
  "metrics": { "enabled": true, "host": "0.0.0.0", "port": 9210 },
  "pools": {
    "A": { "host": "192.168.0.25", "name": "BCH", "port": 3333, "wallet": "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "chain": "bch" },
    "B": { "host": "127.0.0.1", "name": "", "port": 2018, "wallet": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4" }
  },
  "scheduler": {
    "min_switch_seconds": 30, "mode": "ratio_time", "poolA_weight": 70, "poolB_weight": 30,
    "slice_seconds": 10, "auto_balance": false, "oracle_url": "https://oracle.invalid/"
  }
}"#;

fn config(value: &Value) -> Config {
    loaded(value).config
}

fn loaded(value: &Value) -> LoadedConfig {
    parse(&value.to_string()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(value: &Value) -> Vec<String> {
    let errors = parse(&value.to_string()).unwrap_err();
    errors.to_string().lines().map(str::to_owned).collect()
}

/// A configuration with two pools, for changing.
fn two_pools() -> Value {
    json!({"pools": {
        "A": {"host": "a.pool.com", "wallet": "wallet-a"},
        "B": {"host": "b.pool.com", "wallet": "wallet-b"},
    }})
}

fn set(value: &mut Value, path: &str, new: Value) {
    *path.split('.').fold(value, |place, step| &mut place[step]) = new;
}

fn with(path: &str, new: Value) -> Value {
    let mut value = two_pools();
    set(&mut value, path, new);
    value
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = config(&json!({}));
    assert_eq!(config, Config::default());
    assert_eq!(config.listen.host.to_string(), "0.0.0.0");
    assert_eq!(config.listen.port, 3351);
    assert_eq!(config.listen.max_miners, 2000);
    assert_eq!(config.listen.max_miners_per_address, 256);
    assert_eq!(config.listen.authorize, Duration::from_secs(30));
    assert_eq!(config.listen.submits_per_second, 100);
    assert_eq!(config.listen.max_line_bytes, 16 * 1024);
    assert_eq!(config.listen.pool_max_line_bytes, 1024 * 1024);
    assert!(config.metrics.enabled && config.gui.enabled);
    assert_eq!((config.metrics.port, config.gui.port), (9210, 8855));
    assert!(config.gui.allowed_hosts.is_empty());
    assert_eq!(config.pools, PerPool::from_fn(|_| None));
    assert_eq!(config.scheduler.weights, PerPool::from_fn(|_| 50.0));
    assert_eq!(config.scheduler.slice, Duration::from_secs(10));
    assert_eq!(config.scheduler.min_switch, Duration::from_secs(1));
    assert_eq!(config.scheduler.catch_up, Duration::from_secs(600));
    assert_eq!(config.scheduler.no_work, Some(Duration::from_secs(60)));
    assert!(!config.scheduler.clean_on_switch && config.scheduler.failover);
    assert_eq!(config.scheduler.mode, Mode::Ratio);
    assert_eq!(config.scheduler.max_slicers, 4);
    assert_eq!(config.scheduler.assign, Duration::from_secs(600));
    assert!(config.workers.is_empty() && config.groups.is_empty());
    assert_eq!(config.timetable, Timetable::default());
    assert_eq!(config.balance, Balance::default());
    assert_eq!(config.downstream_diff, PerPool::default());
    assert_eq!(config.logging.level, Level::Info);
    assert_eq!(config.logging.directory, Some("logs".into()));
    assert_eq!(
        (config.logging.max_file_mb, config.logging.keep_files),
        (50, 3)
    );
    assert!(!config.logging.show_wallets);
    assert!(!config.is_set_up());
}

#[test]
fn a_file_of_the_python_version_works_as_is() {
    let LoadedConfig {
        config,
        warnings,
        raw,
        ..
    } = parse(PYTHON).unwrap();
    assert!(config.is_set_up());
    assert_eq!(config.share(A), 0.7);
    assert_eq!(config.scheduler.slice, Duration::from_secs(30));
    assert_eq!(config.scheduler.mode, Mode::Ratio);
    let (a, b) = (
        config.pool_in_use(A).unwrap(),
        config.pool_in_use(B).unwrap(),
    );
    assert_eq!(
        (a.name.as_str(), a.chain.as_str(), a.wallet.as_str()),
        (
            "BCH",
            "BCH",
            "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
        )
    );
    assert_eq!(
        (a.address().as_str(), b.address().as_str()),
        ("192.168.0.25:3333", "127.0.0.1:2018")
    );
    assert_eq!(
        (b.name.as_str(), b.chain.as_str(), &b.password),
        ("Pool B", "BTC", &None)
    );
    let limits = &config.downstream_diff;
    assert_eq!(
        (limits[A].min, limits[A].max),
        (Difficulty::new(1024.0), None)
    );
    assert_eq!(
        (limits[B].min, limits[B].max),
        (Difficulty::new(1.0), Difficulty::new(65536.5))
    );
    assert_eq!(config.logging.deny, ["share_result", "pool_notify"]);
    assert_eq!(
        warnings,
        [
            "4 unknown keys (ignored, kept in the file): listen_port, logging.json, scheduler.auto_balance, \
             scheduler.oracle_url",
            "scheduler.mode: \"ratio_time\" is unknown; DPMP uses `ratio`",
            "scheduler.slice_seconds: 10 is raised to scheduler.min_switch_seconds, which is 30",
        ]
    );
    assert_eq!(raw["scheduler"]["oracle_url"], "https://oracle.invalid/");
}

#[test]
fn the_example_of_the_python_version_has_no_pools() {
    let config = config(&json!({"pools": {
        "A": {"host": "POOL_A_HOST", "name": "POOL_A", "port": 3333, "wallet": "POOL_A_WALLET"},
        "B": {"host": "b.pool.com", "name": "POOL_B", "port": 3333, "wallet": "POOL_B_WALLET"},
    }}));
    assert_eq!(config.pools, PerPool::from_fn(|_| None));
}

#[test]
fn a_pool_is_in_use_if_it_is_set_up_and_has_a_weight() {
    let both = config(&two_pools());
    assert!(both.is_set_up() && both.pool_in_use(A).is_some() && both.pool_in_use(B).is_some());

    let only_b = config(&with(
        "scheduler",
        json!({"poolA_weight": 0, "poolB_weight": 0.3}),
    ));
    assert!(only_b.is_set_up());
    assert!(only_b.pools[A].is_some() && only_b.pool_in_use(A).is_none());
    assert_eq!((only_b.share(A), only_b.share(B)), (0.0, 1.0));

    let one_missing = config(&with("pools.B.wallet", json!("")));
    assert!(!one_missing.is_set_up());
    assert_eq!(one_missing.share(B), 0.5);
    assert!(one_missing.pool_in_use(B).is_none());

    let mut missing_without_weight = with("pools.B", Value::Null);
    set(
        &mut missing_without_weight,
        "scheduler.poolB_weight",
        json!(0),
    );
    assert!(config(&missing_without_weight).is_set_up());

    let fractions = config(&with(
        "scheduler",
        json!({"poolA_weight": 0.7, "poolB_weight": 0.3}),
    ));
    assert!((fractions.share(A) - 0.7).abs() < 1e-12);
    let far_apart = config(&with(
        "scheduler",
        json!({"poolA_weight": 1e6, "poolB_weight": 1e-6}),
    ));
    assert!(far_apart.share(B) > 0.0 && far_apart.share(A) < 1.0);
}

#[test]
fn a_pools_port_may_be_in_its_host_or_its_own_key() {
    let port = |pool: Value| {
        config(&with("pools.A", pool)).pools[A]
            .as_ref()
            .map(|pool| pool.port)
    };
    assert_eq!(port(json!({"host": "a.com", "wallet": "w"})), Some(3333));
    assert_eq!(
        port(json!({"host": "a.com:4444", "wallet": "w"})),
        Some(4444)
    );
    assert_eq!(
        port(json!({"host": "a.com:4444", "port": "4444", "wallet": "w"})),
        Some(4444)
    );
    assert_eq!(
        port(json!({"host": "a.com", "port": "5555", "wallet": "w"})),
        Some(5555)
    );
    assert_eq!(
        errors(&with(
            "pools.A",
            json!({"host": "a.com:4444", "port": 3333, "wallet": "w"})
        )),
        [
            "pools.A.host: found \"a.com:4444\"; allowed: the same port as in pools.A.port, which is 3333, or none"
        ]
    );
}

#[test]
fn a_pool_is_encrypted_if_its_key_or_host_says_so() {
    let loaded = |pool: Value| {
        let mut pool = pool;
        pool["wallet"] = json!("w");
        loaded(&with("pools.A", pool))
    };
    let tls = |pool: Value| loaded(pool).config.pools[A].as_ref().unwrap().tls;
    assert_eq!(tls(json!({"host": "a.com"})), Tls::default());
    assert_eq!(tls(json!({"host": "a.com"})).trust(), None);
    for pool in [
        json!({"host": "a.com", "tls": true}),
        json!({"host": "stratum+tcp://a.com", "tls": true}),
        json!({"host": "stratum+ssl://a.com"}),
        // Like the sample after someone pastes an address.
        json!({"host": "stratum+ssl://a.com", "tls": false}),
    ] {
        assert_eq!(
            tls(pool.clone()).trust(),
            Some(Trust::Authorities),
            "{pool}"
        );
    }
    let (hex, pinned) = ("ab".repeat(32), Trust::Pinned(Fingerprint([0xab; 32])));
    let quiet = loaded(json!({"host": "a.com", "tls": true, "tls_fingerprint": hex}));
    assert!(quiet.warnings.is_empty(), "{:?}", quiet.warnings);
    assert_eq!(
        quiet.config.pools[A].as_ref().unwrap().tls.trust(),
        Some(pinned)
    );
    for (pool, trust, warning) in [
        (
            json!({"host": "a.com", "tls": true, "tls_insecure": true}),
            Some(Trust::Anyone),
            "pools.A.tls_insecure: DPMP accepts any certificate",
        ),
        (
            json!({"host": "a.com", "tls": true, "tls_insecure": true, "tls_fingerprint": hex}),
            Some(pinned),
            "pools.A.tls_insecure: it has no effect together with pools.A.tls_fingerprint",
        ),
        (
            json!({"host": "a.com", "tls_insecure": true}),
            None,
            "pools.A.tls_insecure: it has no effect while pools.A.tls is false",
        ),
        (
            json!({"host": "a.com", "tls_fingerprint": hex}),
            None,
            "pools.A.tls_fingerprint: it has no effect while pools.A.tls is false",
        ),
    ] {
        let LoadedConfig {
            config,
            warnings,
            raw,
            ..
        } = loaded(pool.clone());
        assert_eq!(config.pools[A].as_ref().unwrap().tls.trust(), trust);
        assert!(warnings[0].starts_with(warning), "{warnings:?}");
        assert_eq!(
            raw["pools"]["A"]["host"], pool["host"],
            "kept as it was written"
        );
    }
}

#[test]
fn an_ipv6_pool_address_is_written_in_brackets() {
    let config = config(&with("pools.A.host", json!("[2001:db8::1]:3333")));
    assert_eq!(
        config.pools[A].as_ref().unwrap().address(),
        "[2001:db8::1]:3333"
    );
}

#[test]
fn all_faults_are_reported_together() {
    let lines = errors(&json!({
        "listen": {"port": "abc", "max_miners": -1},
        "gui": [],
        "pools": {"A": {"host": "stratum2+tcp://a.com:443", "tls_fingerprint": "ab"}, "B": {"stall_seconds": 1, "password": 12345}},
        "scheduler": {"poolA_weight": 0, "poolB_weight": 0, "clean_on_switch": "yes"},
        "downstream_diff": {"default_max": 5, "poolA_min": 10},
        "logging": {"level": "loud"},
    }));
    assert_eq!(
        lines,
        [
            "gui: found a list; allowed: an object, { … }",
            "listen.port: found \"abc\"; allowed: a port number from 1 to 65535",
            "listen.max_miners: found -1; allowed: a whole number from 0 to 100000",
            "pools.A.host: found \"stratum2+tcp://a.com:443\"; allowed: a Stratum v1 address (stratum+tcp://); \
             Stratum v2 is not supported",
            "pools.A.tls_fingerprint: found \"ab\"; allowed: empty, or a SHA-256 fingerprint: 64 hex digits, with or \
             without colons",
            "pools.B.password: found something else (not shown); allowed: one line of text, at most 256 characters",
            "pools.B.stall_seconds: found 1; allowed: a number from 5 to 3600",
            "scheduler.poolA_weight: found 0; allowed: a weight above 0 here or in scheduler.poolB_weight",
            "scheduler.clean_on_switch: found \"yes\"; allowed: true or false",
            "downstream_diff.poolA_min: found 10; allowed: at most downstream_diff.default_max, which is 5",
            "logging.level: found \"loud\"; allowed: one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        ]
    );
}

#[test]
fn the_minimum_difficulty_must_not_exceed_the_maximum() {
    let crossed = |diff: Value| errors(&json!({"downstream_diff": diff}));
    assert_eq!(
        crossed(json!({"default_min": 10, "default_max": 5})).len(),
        1
    );
    assert_eq!(
        crossed(json!({"default_min": 10, "poolA_max": 5, "poolB_max": 5})).len(),
        2
    );
    let limits =
        config(&json!({"downstream_diff": {"default_min": 10, "default_max": 10, "poolA_min": 0}}));
    assert_eq!(limits.downstream_diff[A].min, Difficulty::new(10.0));
}

#[test]
fn two_services_cannot_share_a_port() {
    let lines =
        errors(&json!({"metrics": {"port": 3351}, "gui": {"port": 3351, "host": "127.0.0.1"}}));
    assert_eq!(
        lines,
        [
            "metrics.port: found 3351; allowed: another port than that of listen.port",
            "gui.port: found 3351; allowed: another port than that of listen.port",
        ]
    );
    config(&json!({"metrics": {"port": 3351, "enabled": false}}));
    let encrypted = json!({"listen": {"tls_port": 3351, "tls_certificate": "own.pem"}});
    assert_eq!(
        errors(&encrypted),
        ["listen.tls_port: found 3351; allowed: another port than that of listen.port"]
    );
    config(&json!({"listen": {"tls_port": 3351}}));
    config(&json!({"listen": {"host": "10.0.0.1"}, "gui": {"port": 3351, "host": "127.0.0.1"}}));
}

#[test]
fn a_certificate_path_is_relative_to_the_file_and_may_hold_the_key() {
    let files = |listen: Value| {
        let listen = config(&json!({ "listen": listen })).listen;
        listen.certificate_beside(Path::new("/data/config.json"))
    };
    let path = |text: &str| text.into();
    assert_eq!(files(json!({"tls_key": "own.key"})), None);
    assert_eq!(
        files(json!({"tls_certificate": "own.pem"})),
        Some((path("/data/own.pem"), path("/data/own.pem")))
    );
    assert_eq!(
        files(json!({"tls_certificate": "/etc/tls/own.pem", "tls_key": "tls/own.key"})),
        Some((path("/etc/tls/own.pem"), path("/data/tls/own.key")))
    );
}

#[test]
fn a_pool_must_not_be_the_proxy_itself() {
    for host in ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"] {
        let mut value = with("pools.A.host", json!(host));
        set(&mut value, "pools.A.port", json!(3351));
        assert!(errors(&value)[0].contains("DPMP itself"), "{host}");
        set(&mut value, "pools.A.port", json!(3333));
        config(&value);
        set(&mut value, "listen.tls_port", json!(3333));
        config(&value);
        set(&mut value, "listen.tls_certificate", json!("own.pem"));
        assert!(
            errors(&value)[0].contains("port 3333 of this machine is DPMP itself"),
            "{host}"
        );
    }
    let mut elsewhere = with("pools.A.host", json!("localhost:3351"));
    set(&mut elsewhere, "listen.host", json!("192.168.1.5"));
    config(&elsewhere);
}

#[test]
fn backups_that_repeat_an_address_are_reported() {
    let warnings = |backups: Value| {
        let pool = json!({"host": "one.com", "port": 3333, "wallet": "w", "backups": backups});
        loaded(&json!({"pools": {"A": pool}})).warnings
    };
    let different = json!(["one.com:3334", "other@one.com:3333", "two.com:3333"]);
    assert_eq!(warnings(different), [""; 0]);
    assert_eq!(
        warnings(json!([
            "two.com:3333",
            "w@One.com:3333",
            "stratum+tcp://two.com:3333"
        ])),
        [
            "pools.A.backups: number 2 is the pool itself, so it cannot help when that fails",
            "pools.A.backups: number 3 is the same as number 1, so it cannot help when that fails",
        ]
    );
}

#[test]
fn mistyped_addresses_and_those_of_another_coin_are_reported() {
    let pool = json!({
        "host": "one.com",
        "wallet": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "backups": [
            "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a@two.com:3333",
            "alice@three.com:3333",
        ],
    });
    assert_eq!(
        loaded(&json!({"pools": {"A": pool}})).warnings,
        [
            "pools.A.wallet: This address has a mistake: a character is wrong or missing.",
            "pools.A.backups: number 1: This is a Bitcoin Cash address, but the coin is BTC.",
        ]
    );
}

#[test]
fn names_cannot_reverse_the_text_around_them() {
    let name = "CK\u{202e}looP";
    for (path, value) in [
        ("pools.A.name", json!({"pools": {"A": {"name": name}}})),
        (
            "saved_pools",
            json!({"saved_pools": {name: {"host": "a.pool.com"}}}),
        ),
        ("workers", json!({"workers": {"rig": {"name": name}}})),
        ("workers", json!({"workers": {name: {"work": "A"}}})),
        (
            "groups",
            json!({"groups": [{"name": name, "match": ["a*"], "work": "A"}]}),
        ),
    ] {
        let error = parse(&value.to_string()).unwrap_err().to_string();
        assert!(error.starts_with(path), "{error}");
        assert!(error.contains("hidden character U+202E"), "{error}");
        assert!(!error.contains('\u{202e}'), "{error}");
        // A file of an earlier version loads, with a warning.
        let start = parse_for_start(&value.to_string()).unwrap();
        assert_eq!(start.troubles, []);
        for loaded in [parse_file(&value.to_string()).unwrap(), start] {
            let warned = loaded.warnings.iter().any(|it| it.starts_with(path));
            assert!(warned, "{:?}", loaded.warnings);
            assert!(!loaded.raw.to_string().contains('\u{202e}'));
        }
    }
    // Letters that are written from right to left are letters like others.
    assert_eq!(
        loaded(&json!({"pools": {"A": {"host": "a.test", "wallet": "w", "name": "בריכה"}}}))
            .config
            .pools[A]
            .as_ref()
            .unwrap()
            .name,
        "בריכה"
    );
}

#[test]
fn the_same_pool_and_account_twice_is_reported() {
    let warnings = |b: Value| {
        let a = json!({"host": "a.test", "port": 3333, "wallet": "w"});
        loaded(&json!({"pools": {"A": a, "B": b}})).warnings
    };
    let twins = warnings(json!({"host": "stratum+tcp://A.test:3333", "wallet": "w"}));
    assert!(
        twins[0].starts_with("pools: A and B are the same pool and account"),
        "{twins:?}"
    );
    for other in [
        json!({"host": "a.test", "port": 3334, "wallet": "w"}),
        json!({"host": "a.test", "wallet": "v"}),
        json!({"host": "a.test", "wallet": "w", "user_name": "{wallet}"}),
        json!({}),
    ] {
        assert!(warnings(other).is_empty());
    }
}

#[test]
fn a_limited_number_of_unknown_keys_is_named() {
    let warnings = |value: Value| loaded(&value).warnings;
    assert!(warnings(json!({"pools": {"A": {}, "B": null}})).is_empty());
    assert_eq!(
        warnings(
            json!({"pools": {"C": {"host": "x"}}, "a\nb": 1, "listen": {"port": 1, "ports": 2}})
        ),
        ["3 unknown keys (ignored, kept in the file): pools.C, \"a\\nb\", listen.ports"]
    );
    let many: Value = (0..100)
        .map(|i| (format!("k{i}"), json!(i)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let warning = warnings(many).remove(0);
    assert!(warning.ends_with("k4 and 95 more"), "{warning}");
}

#[test]
fn passwords_are_not_shown() {
    let loaded = loaded(&with("pools.A.password", json!("hunter2")));
    assert_eq!(
        loaded.config.pools[A].as_ref().unwrap().password.as_deref(),
        Some("hunter2")
    );
    let other = config(&with("pools.A.password", json!("hunter3")));
    let changes = changes(&loaded.config, &other);
    assert_eq!((changes.len(), changes[0].shown()), (1, ["", "changed"]));
    for text in [
        format!("{loaded:?}"),
        format!("{:#?}", loaded.config),
        format!("{changes:?}"),
    ] {
        assert!(!text.contains("hunter"), "{text}");
    }
    assert!(format!("{loaded:?}").contains("not shown"));
    let too_long = errors(&with("pools.A.password", json!("hunter2".repeat(100))));
    assert!(!too_long[0].contains("hunter"), "{too_long:?}");
}

#[test]
fn log_files_are_saved_next_to_the_config() {
    let directory = |value: Value| {
        let logging = config(&json!({"logging": {"directory": value}})).logging;
        logging.directory_beside(Path::new("/data/config.json"))
    };
    assert_eq!(directory(Value::Null), Some("/data/logs".into()));
    assert_eq!(
        directory(json!("/var/log/dpmp")),
        Some("/var/log/dpmp".into())
    );
    assert_eq!(directory(json!(" ")), None);
    assert_eq!(
        Config::default()
            .logging
            .directory_beside(Path::new("config.json")),
        Some("logs".into())
    );
}

/// The hash of a password, with cheap parameters.
const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$LIo0ghBQpq6fXYAYPXjSuQ";

#[test]
fn an_unusable_password_hash_is_a_fault_and_is_not_shown() {
    let read = |hash: &str| parse(&with("gui.password_hash", json!(hash)).to_string());
    assert!(read(HASH).is_ok());
    assert_eq!(read("  ").unwrap().config.gui.password_hash, None);
    for wrong in [
        "secret password",
        &HASH[..HASH.len() - 24],
        "$argon2id$v=19$m=8,t=1,p=1",
        &HASH.replace("argon2id", "argon2i"),
        &HASH.replace("m=8,", "m=99999999,"),
        &HASH.replace("t=1,", "t=9999,"),
        &HASH.replace("argon2id", "scrypt"),
    ] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.starts_with("gui.password_hash: "), "{wrong}: {error}");
        assert!(
            !error.contains("secret") && !error.contains("c29t"),
            "{error}"
        );
    }
}

#[test]
fn a_form_offers_the_allowed_values() {
    for key in key_infos() {
        let form = &key.form;
        match form.kind {
            FormKind::Number | FormKind::Integer => {
                let bounds = [form.min.unwrap(), form.max.unwrap_or(1e6)];
                for number in bounds {
                    let config = with(key.path, json!(number)).to_string();
                    // Other things may be wrong (two equal ports, two weights of 0), but not the number.
                    let refused = parse(&config).err().is_some_and(|errors| {
                        let of_key = |fault: &&Fault| fault.path == key.path;
                        errors
                            .faults
                            .iter()
                            .filter(of_key)
                            .any(|fault| fault.allowed == key.allowed)
                    });
                    assert!(!refused, "{}: {number}", key.path);
                }
            }
            FormKind::Choice => {
                for choice in &form.choices {
                    assert!(parse(&with(key.path, json!(choice)).to_string()).is_ok());
                }
            }
            FormKind::Flag => assert!(key.default.is_boolean(), "{}", key.path),
            FormKind::List => assert!(key.default.is_array(), "{}", key.path),
            FormKind::Table => {
                assert!(
                    key.default.is_array() || key.default.is_object(),
                    "{}",
                    key.path
                );
            }
            FormKind::Text | FormKind::Secret => assert!(key.default.is_string(), "{}", key.path),
        }
        assert!(
            form.kind != FormKind::Secret || key.is_secret,
            "{}",
            key.path
        );
    }
}

#[test]
fn a_change_to_any_key_is_noticed() {
    let old = config(&two_pools());
    assert_eq!(changes(&old, &old), []);
    for key in key_infos() {
        let other = match (&key.default, key.path.rsplit('.').next().unwrap()) {
            (_, "extranonce2_size") => json!(4),
            (_, "mode") => json!("fleet"),
            (_, "payout") => json!("mine"),
            (_, "connections") => json!("shared"),
            (_, "public_url") => json!("http://dpmp.lan:8855"),
            (_, "tokens") => json!({"ha": {"hash": "ab".repeat(32), "may": "view"}}),
            (_, "targets") => json!({"phone": {"kind": "ntfy", "url": "https://ntfy.sh/x"}}),
            (_, "workers") => json!({"rig": {"work": "A"}}),
            (_, "groups") => json!([{"name": "Garage", "match": ["garage-*"]}]),
            (_, "saved_pools") => json!({"c": {"host": "c.pool.com", "wallet": "w"}}),
            (_, "time_zone") => json!("Europe/Berlin"),
            (_, "entries") => {
                json!([{"days": ["mon"], "from": "22:00", "to": "06:00", "work": "B"}])
            }
            (_, "prices") => json!({"BTC": 100_000}),
            (_, "host") if key.path.starts_with("pools") => json!("other.pool.com"),
            (_, "host") => json!("127.0.0.1"),
            (_, "level" | "stdout") => json!("debug"),
            (_, "password_hash") => json!(HASH),
            (_, "proxy_protocol_from") => json!(["10.0.0.5"]),
            (_, "backups") => json!(["other.pool.com:3333"]),
            (_, "tls_fingerprint") => json!("ab".repeat(32)),
            (Value::Bool(value), _) => json!(!value),
            (Value::Number(value), _) => json!(value.as_u64().unwrap() + 1),
            (Value::String(_), _) => json!("other"),
            (Value::Array(_), _) => json!(["other"]),
            (Value::Null, _) => json!(5),
            (Value::Object(_), _) => panic!("{} has an object", key.path),
        };
        let new = config(&with(key.path, other));
        let found = changes(&old, &new);
        let paths: Vec<&str> = found.iter().map(|change| change.path).collect();
        match key.path {
            "downstream_diff.default_min" => {
                assert_eq!(
                    paths,
                    ["downstream_diff.poolA_min", "downstream_diff.poolB_min"]
                );
            }
            "downstream_diff.default_max" => {
                assert_eq!(
                    paths,
                    ["downstream_diff.poolA_max", "downstream_diff.poolB_max"]
                );
            }
            path => assert_eq!(paths, [path]),
        }
        assert!(
            found
                .iter()
                .all(|change| change.shown()[0] != change.shown()[1]),
            "{found:?}"
        );
        assert!(
            found
                .iter()
                .all(|change| change.needs_restart == key.needs_restart)
        );
    }
}

#[test]
fn a_change_shows_the_old_and_the_new_value() {
    let old = config(&two_pools());
    let mut new = with("scheduler.poolA_weight", json!(70));
    set(&mut new, "listen.port", json!(3352));
    set(&mut new, "pools.B.wallet", json!("wallet-c"));
    let text: Vec<String> = changes(&old, &config(&new))
        .into_iter()
        .map(|c| format!("{} {} {}", c.path, c.shown().join(" "), c.needs_restart))
        .collect();
    assert_eq!(
        text,
        [
            "listen.port 3351 3352 true",
            "pools.B.wallet wallet-b wallet-c false",
            "scheduler.poolA_weight 50 70 false",
        ]
    );
}

#[test]
fn a_changed_table_names_the_entries_that_differ() {
    let told = |old: Value, new: Value| {
        let found = changes(&config(&old), &config(&new));
        let [change] = &found[..] else {
            panic!("{found:?}")
        };
        change.shown().map(str::to_owned)
    };
    let workers = |workers: Value| json!({ "workers": workers });
    assert_eq!(
        told(
            workers(
                json!({"same": {"work": "B"}, "rig": {"work": "A", "name": "Left"}, "gone": {}})
            ),
            workers(json!({
                "rig": {"work": {"A": 70, "B": 30}, "turns": "never", "failover": false},
                "same": {"work": "B"},
            })),
        ),
        [
            r#""gone": ; "rig": name "Left", work A"#,
            r#""rig": work 70:30, turns never, failover false"#,
        ]
    );
    let many = (0..30).map(|number| (format!("rig-{number:02}"), json!({"work": "pause"})));
    let [old, new] = told(json!({}), workers(Value::Object(many.collect())));
    assert_eq!(old, "");
    assert!(new.ends_with("\"rig-09\": work pause and 20 more"), "{new}");
    let group = |name: &str| json!({"name": name, "match": ["a*", "b?"], "work": "B"});
    let attic = r#""Attic": match "a*" "b?", work B"#;
    let shed = r#""Shed": match "a*" "b?", work B"#;
    assert_eq!(
        told(
            json!({"groups": [group("Cellar"), group("Attic"), group("Shed")]}),
            json!({"groups": [group("Cellar"), group("Shed"), group("Attic")]}),
        ),
        [format!("{attic}; {shed}"), format!("{shed}; {attic}")],
        "another order is another meaning"
    );
    let entry = json!({"days": ["sat", "sun"], "from": "22:00", "to": "24:00", "work": "pause"});
    assert_eq!(
        told(
            json!({"timetable": {"entries": [entry]}}),
            json!({"timetable": {"entries": [entry, entry]}}),
        ),
        ["", "sat sun 22:00-00:00: pause"]
    );
    assert_eq!(
        told(
            json!({"balance": {"prices": {"BTC": 1, "BCH": 2}}}),
            json!({"balance": {"prices": {"btc": 1, "BCH": 0.5}}}),
        ),
        ["BCH 2", "BCH 0.5"]
    );
}

#[test]
fn an_unusable_entry_is_left_out_at_a_start() {
    let file = json!({
        "pools": two_pools()["pools"],
        "scheduler": {"poolA_weight": 70, "poolB_weight": 30},
        "workers": {
            "a.b": {"work": "A"},
            "wrong.one": {"work": "C"},
            "mistyped": {"wrok": "pause"},
            "paused.1": {"work": "pause", "nmae": "Attic"},
            "paused.2": {"work": "pause", "name": 5},
            "fine": {"work": "pause"},
        },
        "groups": [
            {"name": "Broken", "match": ["[a"]},
            {"name": "Garage", "match": ["garage-*"], "work": "B"},
        ],
        "timetable": {"enabled": true, "entries": [
            {"days": ["mon"], "from": "22:00", "to": "06:00", "work": "B"},
            {"days": ["mon"], "form": "22:00", "to": "06:00", "work": "A"},
        ]},
        "balance": {"enabled": true, "max_deviation": 200, "prices": {"BTC": -1, "BCH": 500}},
    });
    assert_eq!(errors(&file).len(), 9);
    let loaded = parse_for_start(&file.to_string()).unwrap();
    let config = &loaded.config;
    assert!(config.is_set_up());
    let kept = ["a.b", "fine", "mistyped", "paused.1", "paused.2"];
    assert_eq!(config.workers.keys().collect::<Vec<_>>(), kept);
    assert_eq!(config.workers["mistyped"].work, None);
    for paused in ["fine", "paused.1", "paused.2"] {
        assert_eq!(config.workers[paused].work, Some(steering::Work::Pause));
    }
    assert_eq!(config.groups.len(), 1);
    assert!(config.groups[0].has("garage-1"));
    assert!(config.timetable.enabled);
    assert_eq!(config.timetable.entries.len(), 1);
    assert_eq!(config.timetable.entries[0].work, steering::Work::only(B));
    assert!(!config.balance.enabled, "it would go too far");
    assert_eq!(config.balance.prices, [("BCH".to_owned(), 500.0)].into());
    let told: Vec<_> = loaded.troubles.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(told.len(), 9, "{told:#?}");
    assert_eq!(
        told[1],
        "workers.mistyped.wrok: found \"pause\"; allowed: only the keys name, work, turns and failover. This is left \
         out until you correct it."
    );
    assert_eq!(
        told[7],
        "balance.max_deviation: found 200; allowed: a number from 0 to 100. This is off until you correct it."
    );
    assert!(loaded.troubles.iter().all(|trouble| trouble.pool.is_none()));
    assert!(
        told.iter()
            .all(|text| loaded.warnings.contains(&(*text).to_owned()))
    );
    assert_eq!(loaded.raw, file, "the file stays as it is");
}

#[test]
fn steering_is_off_at_a_start_if_it_is_not_a_table() {
    let start = |value: Value| parse_for_start(&value.to_string()).unwrap();
    for (file, path) in [
        (json!({"workers": []}), "workers"),
        (json!({"groups": {}}), "groups"),
        (json!({"timetable": 5}), "timetable"),
        (json!({"timetable": {"entries": {}}}), "timetable.entries"),
        (
            json!({"timetable": {"enabled": "yes"}}),
            "timetable.enabled",
        ),
        (json!({"balance": []}), "balance"),
        (json!({"balance": {"prices": 5}}), "balance.prices"),
    ] {
        let loaded = start(file);
        assert_eq!(loaded.config, Config::default());
        let [trouble] = &loaded.troubles[..] else {
            panic!("{:?}", loaded.troubles)
        };
        assert!(
            trouble.text.starts_with(&format!("{path}: found ")),
            "{}",
            trouble.text
        );
    }
    // In another zone it would be wrong at all times.
    let timetable = json!({"enabled": true, "time_zone": "Mars/Olympus Mons"});
    let loaded = start(json!({ "timetable": timetable }));
    assert!(!loaded.config.timetable.enabled);
    assert_eq!(loaded.troubles.len(), 1);
    let many = (0..10_005).map(|number| (format!("rig-{number}"), json!({})));
    let loaded = start(json!({"workers": Value::Object(many.collect())}));
    assert_eq!(loaded.config.workers.len(), 10_000);
    let wrong = (0..50).map(|number| (format!("rig-{number}"), json!(5)));
    let loaded = start(json!({"workers": Value::Object(wrong.collect())}));
    assert_eq!(loaded.troubles.len(), 21, "not one for each");
    assert_eq!(loaded.troubles[20].text, "workers: 30 more mistakes.");
    // Anything else still prevents a start, and all mistakes are listed.
    let errors = parse_for_start(r#"{"workers": 5, "scheduler": {"failover": 5}}"#).unwrap_err();
    assert_eq!(errors.faults.len(), 2, "{errors}");
}

#[test]
fn unknown_keys_next_to_tables_are_reported_and_keys_in_them_are_names() {
    let loaded = loaded(&json!({
        "workers": {"rig": {"work": "A"}},
        "timetable": {"entrys": []},
        "balance": {"prices": {"BTC": 1}},
    }));
    assert_eq!(
        loaded.warnings,
        ["1 unknown key (ignored, kept in the file): timetable.entrys"]
    );
}

#[test]
fn a_pool_fee_may_have_decimals_and_a_wrong_one_is_reset_at_a_start() {
    let fee = |value: Value| with("pools.A.fee_percent", value);
    let of = |config: Config| config.pools[A].as_ref().map(|pool| pool.fee_percent);
    assert_eq!(of(config(&fee(json!(1.5)))), Some(1.5));
    assert_eq!(
        errors(&fee(json!(101))),
        ["pools.A.fee_percent: found 101; allowed: a number from 0 to 100"]
    );
    let loaded = parse_for_start(&fee(json!("2 %")).to_string()).unwrap();
    assert_eq!(of(loaded.config), Some(0.0));
    assert_eq!(loaded.troubles.len(), 1);
}

#[test]
fn the_expected_payee_of_a_pools_blocks_is_read() {
    let rule = |value: Value| with("pools.A.payout", value);
    let of = |config: Config| config.pools[A].as_ref().map(|pool| pool.payout);
    assert_eq!(of(config(&json!({}))), None);
    assert_eq!(of(config(&rule(json!("pool")))), Some(PayoutRule::Pool));
    assert_eq!(
        errors(&rule(json!("me"))),
        ["pools.A.payout: found \"me\"; allowed: one of \"auto\", \"mine\", \"pool\""]
    );
    let started = parse_for_start(&rule(json!(7)).to_string()).unwrap();
    assert_eq!(of(started.config), Some(PayoutRule::Auto));
    let mut mine = rule(json!("mine"));
    let warned = |text: &Value| {
        let warnings = loaded(text).warnings;
        warnings.iter().any(|it| it.contains("is an account name"))
    };
    assert!(warned(&mine));
    mine["pools"]["A"]["wallet"] = "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu".into();
    assert!(!warned(&mine));
}

#[test]
fn tokens_are_hidden_and_wrong_ones_are_left_out_at_a_start() {
    let hash = "AB".repeat(32);
    let file = json!({"gui": {"tokens": {
        "ha": {"hash": hash, "may": "steer"},
        "wall.display": {"hash": hash, "may": "view"},
    }}});
    let loaded = loaded(&file);
    let tokens = &loaded.config.gui.tokens;
    assert_eq!(tokens["ha"].may, May::Steer);
    assert_eq!(*tokens["wall.display"].hash, *"ab".repeat(32));
    let found = changes(&Config::default(), &loaded.config);
    assert_eq!((found.len(), found[0].shown()), (1, ["", "changed"]));
    let shown = format!("{:?} {found:?}", loaded.config);
    assert!(!shown.to_lowercase().contains("abab"), "{shown}");
    let wrong = json!({"gui": {"tokens": {
        "ha": {"hash": hash, "may": "steer"},
        "short": {"hash": "abab", "may": "view"},
        "bold": {"hash": hash, "may": "everything"},
        "odd": {"hash": hash, "may": "view", "until": 5},
        "bare": {"may": "view"},
        "": {"hash": hash, "may": "view"},
    }}});
    let faults = errors(&wrong);
    assert_eq!(faults.len(), 5);
    assert_eq!(
        faults[0],
        "gui.tokens.short.hash: found something else (not shown); allowed: the SHA-256 of a token, 64 hex digits"
    );
    assert!(
        faults
            .iter()
            .all(|fault| !fault.to_lowercase().contains("abab"))
    );
    let started = parse_for_start(&wrong.to_string()).unwrap();
    assert_eq!(started.config.gui.tokens.keys().collect::<Vec<_>>(), ["ha"]);
    assert_eq!(started.troubles.len(), 5);
}

#[test]
fn modes_are_recognized_in_upper_and_lower_case() {
    let mode = |word: &str| config(&json!({"scheduler": {"mode": word}})).scheduler.mode;
    assert_eq!(mode("Fleet"), Mode::Fleet);
    assert_eq!(mode("ratio"), Mode::Ratio);
    assert_eq!(mode("ratio_time"), Mode::Ratio);
}

#[test]
fn the_keys_that_need_a_restart_are_documented() {
    for key in key_infos() {
        let expected = key.path.starts_with("metrics.")
            || [
                "gui.enabled",
                "gui.host",
                "gui.port",
                "listen.host",
                "listen.port",
                "listen.tls_port",
                "listen.tls_certificate",
                "listen.tls_key",
                "logging.directory",
                "logging.max_file_mb",
                "logging.keep_files",
            ]
            .contains(&key.path);
        assert_eq!(key.needs_restart, expected, "{}", key.path);
    }
}

#[test]
fn every_default_is_allowed_and_gives_the_default() {
    let loaded = parse(&sample()).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config, Config::default());
    let paths: BTreeSet<_> = key_infos().map(|key| key.path).collect();
    assert_eq!(paths.len(), key_infos().count());
}

/// Read at run time, so that the test can rewrite it.
fn project_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_committed_sample_is_up_to_date() {
    assert!(
        project_file("config.sample.json") == sample(),
        "config.sample.json is to be:\n{}",
        sample()
    );
}

#[test]
fn the_reference_has_every_key() {
    let reference = project_file("docs/configuration.md");
    let rows: Vec<String> = key_infos()
        // The keys of pool B are those of pool A.
        .filter(|key| !key.path.starts_with("pools.B.") && !key.path.contains(".poolB_"))
        .map(|key| {
            let applies = if key.needs_restart { "; restart" } else { "" };
            let KeyInfo {
                path,
                meaning,
                allowed,
                default,
                ..
            } = key;
            // `true` or `false`, as the default shows.
            let allowed = match default {
                Value::Bool(_) => String::new(),
                _ => format!(" Allowed: {allowed}."),
            };
            format!("- `{path}` (default `{default}`{applies}): {meaning}{allowed}\n")
        })
        .collect();
    let missing: String = rows
        .iter()
        .filter(|row| !reference.contains(*row))
        .cloned()
        .collect();
    assert!(
        missing.is_empty(),
        "docs/configuration.md needs these rows:\n{missing}"
    );
    for key in ["poolB_weight", "poolB_min", "poolB_max"] {
        assert!(reference.contains(key), "docs/configuration.md lacks {key}");
    }
    let keys = reference
        .lines()
        .filter(|line| line.starts_with("- `") && line.contains("` (default `"))
        .count();
    assert_eq!(
        keys,
        rows.len(),
        "docs/configuration.md has keys that do not exist"
    );
}

/// Any JSON of a small size.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0..200.0).prop_map(Value::from),
        (0..100_000_u32).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z0-9.:%/\\[\\]]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|entries| entries
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

/// A key, or the section that it is in, or something in it that should not be there.
fn any_path() -> impl Strategy<Value = Vec<String>> {
    let paths: Vec<&'static str> = key_infos().map(|key| key.path).collect();
    (prop::sample::select(paths), 0..4_usize, any::<String>()).prop_map(|(path, cut, odd)| {
        let mut steps: Vec<String> = path.split('.').map(str::to_owned).collect();
        match cut {
            0 => steps.truncate(1),
            1 => steps.push(odd),
            _ => (),
        }
        steps
    })
}

/// Either good, and then again after a save, or refused with words for every fault.
fn check(text: &str) {
    match parse(text) {
        Ok(loaded) => {
            let again = parse(&format!("{:#}", loaded.raw)).unwrap();
            assert_eq!(again.config, loaded.config);
            assert_eq!(again.warnings, loaded.warnings);
            let (config, default) = (loaded.config, Config::default());
            assert_eq!(changes(&default, &config).is_empty(), config == default);
            assert!((config.share(A) + config.share(B) - 1.0).abs() < 1e-9);
            assert!(config.scheduler.slice >= config.scheduler.min_switch);
        }
        Err(errors) => {
            assert!(!errors.faults.is_empty());
            for Fault {
                path,
                found,
                allowed,
            } in &errors.faults
            {
                assert!(!path.is_empty() && !found.is_empty() && !allowed.is_empty());
            }
            let text = errors.to_string();
            assert_eq!(text.lines().count(), errors.faults.len(), "{text}");
            assert!(
                !text.chars().any(|c| c.is_control() && c != '\n'),
                "{text:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(mutations in prop::collection::vec((any_path(), any_json()), 1..6)) {
        let mut value: Value = serde_json::from_str(PYTHON).unwrap();
        for (path, new) in mutations {
            let mut place = &mut value;
            for step in path {
                if !place.is_object() {
                    *place = json!({});
                }
                place = &mut place[step];
            }
            *place = new;
        }
        check(&value.to_string());
    }

    #[test]
    fn no_text_makes_it_panic(at in 0..PYTHON.len(), cut in 0..20_usize, new in any::<String>()) {
        let mut text = PYTHON.to_owned();
        text.replace_range(at..(at + cut).min(PYTHON.len()), &new);
        check(&text);
        check(&new);
    }
}

#[test]
fn a_typo_does_not_lose_a_pool_in_use() {
    let both = config(&two_pools());
    let slip = config(&with("pools.A.wallet", json!("")));
    let errors = may_replace(&both, &slip).unwrap_err().to_string();
    assert_eq!(
        errors,
        "pools.A: found no host or no wallet for a pool with a weight above 0; \
         allowed: both, or scheduler.poolA_weight 0 to turn the pool off"
    );
    let mut without = with("pools.A.wallet", json!(""));
    set(&mut without, "scheduler.poolA_weight", json!(0));
    assert_eq!(may_replace(&both, &config(&without)), Ok(()));
    assert_eq!(may_replace(&slip, &both), Ok(()));
    // What was never there cannot be lost.
    assert_eq!(may_replace(&Config::default(), &slip), Ok(()));
}

#[test]
fn an_impossible_pool_address_gives_a_warning_and_does_not_stop_the_start() {
    for (host, why) in [
        ("0.0.0.0", "not a pool's address"),
        ("::", "not a pool's address"),
        ("fe80::1", "fe80::1%eth0"),
    ] {
        let warnings = loaded(&json!({"pools": {"A": {"host": host}}})).warnings;
        let said =
            |warning: &String| warning.starts_with("pools.A.host: ") && warning.contains(why);
        assert!(warnings.iter().any(said), "{warnings:?}");
    }
    for host in ["127.0.0.1", "fe80::1%eth0", "pool.example.com"] {
        let warnings = loaded(&json!({"pools": {"A": {"host": host}}})).warnings;
        assert_eq!(warnings, [""; 0]);
    }
}

#[test]
fn the_docs_page_on_messages_has_an_example_for_each_service() {
    let page = project_file("docs/notify.md");
    let blocks = page
        .split("\n\n")
        .filter(|it| it.starts_with("    \"notify\""));
    let kinds = blocks.map(|block| {
        let targets = parse(&format!("{{{block}}}"))
            .unwrap()
            .config
            .notify
            .targets;
        targets.into_values().next().unwrap().kind.name()
    });
    let wanted: Vec<_> = notify::TargetKind::ALL.map(notify::TargetKind::name).into();
    assert_eq!(kinds.collect::<Vec<_>>(), wanted);
}

#[test]
fn addresses_that_can_reach_nothing_are_refused() {
    let wrong = |target: Value| {
        let file = json!({"notify": {"targets": {"it": target}}});
        parse(&file.to_string()).is_err()
    };
    for url in [
        "https://ntfy.sh",
        "https://ntfy.sh/",
        "https://ntfy.sh/a/b",
        "https://ntfy.sh:99999/a",
        "https://me@ntfy.sh/a",
        "https://ntfy.sh/a b",
    ] {
        assert!(wrong(json!({"kind": "ntfy", "url": url})), "{url}");
    }
    for url in [
        "https://ntfy.sh/a",
        "http://[::1]:8080/a",
        "http://192.168.1.10:80/a/",
    ] {
        assert!(!wrong(json!({"kind": "ntfy", "url": url})), "{url}");
    }
    let webhook = |more: Value| {
        let mut target = json!({"kind": "webhook", "url": "http://h/x"});
        target
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        wrong(target)
    };
    assert!(webhook(json!({"headers": {"Host": "other"}})));
    assert!(webhook(json!({"except": ["nosuch"]})));
    assert!(!webhook(
        json!({"headers": {"X-Key": "k"}, "except": ["no_miner"]})
    ));
    let link = |url: &str| parse(&json!({"gui": {"public_url": url}}).to_string());
    let error = link("javascript:alert(1)").unwrap_err().to_string();
    assert!(error.starts_with("gui.public_url: "), "{error}");
    assert!(link("https://dpmp.example/").is_ok() && link("").is_ok());
}

#[test]
fn wrong_message_targets_are_left_out_at_a_start_and_not_shown() {
    let file = json!({"notify": {"targets": {
        "phone": {"kind": "ntfy", "url": "https://ntfy.sh/my-topic"},
        "bad": {"kind": "discord", "url": "discord.com/secret"},
    }}});
    let errors = parse(&file.to_string()).unwrap_err().to_string();
    assert!(errors.starts_with("notify.targets.bad.url: found something else (not shown)"));
    let started = parse_for_start(&file.to_string()).unwrap();
    let kept = &started.config.notify.targets;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["phone"]);
    let told = started.warnings.join("\n");
    assert!(
        told.contains("notify.targets.bad.url") && !told.contains("secret"),
        "{told}"
    );
}
