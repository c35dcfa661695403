//! Files as versions of the Python program wrote them, and everything that can be wrong with one.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::steering::Work;
use crate::config::{Config, LoadedConfig, load_or_create, parse};
use crate::units::PoolSlot::{A, B};

/// Version 1, with its default ports.
fn version_1() -> Value {
    json!({
        "downstream_diff": {"default_min": 1, "poolA_min": 1, "poolB_min": 8192},
        "listen": {"host": "0.0.0.0", "port": 3350},
        "logging": {"json": true, "level": "INFO"},
        "metrics": {"enabled": true, "host": "0.0.0.0", "port": 9109},
        "pools": {
            "A": {"host": "192.168.0.25", "name": "BCH", "port": 3333, "wallet": "bitcoincash:qqabc"},
            "B": {"host": "127.0.0.1", "name": "BTC", "port": 2018, "wallet": "bc1qdef"},
        },
        "scheduler": {
            "min_switch_seconds": 10, "mode": "ratio", "poolA_weight": 50, "poolB_weight": 50, "slice_seconds": 10,
        },
    })
}

/// Version 2.0, with keys outside of the sections.
fn version_2() -> Value {
    let mut file = version_1();
    file["listen_port"] = json!(3351);
    file["metrics_enabled"] = json!(false);
    file["metrics_port"] = json!(9210);
    file["listen"] = json!({"host": "0.0.0.0", "port": 3351});
    file["scheduler"]["min_switch_seconds"] = json!(30);
    file
}

/// Version 3.0.0, as its container makes it of the example.
fn version_3() -> Value {
    let mut file = version_1();
    file["listen"]["port"] = json!(3351);
    file["metrics"]["port"] = json!(9210);
    file["logging"]["allow"] = json!([]);
    file["logging"]["deny"] = json!(["share_result", "scheduler_tick", "downstream_tx"]);
    file["pools"]["A"]["chain"] = json!("BCH");
    file["pools"]["B"]["chain"] = json!("BTC");
    file["scheduler"]["min_switch_seconds"] = json!(50);
    file["scheduler"]["auto_balance"] = json!(false);
    file["scheduler"]["auto_balance_max_deviation"] = json!(20);
    file["scheduler"]["oracle_url"] = json!("https://oracle.invalid/oracle.php");
    file["scheduler"]["oracle_poll_seconds"] = json!(600);
    file
}

/// Version 3.0.7, after Apply on its page.
fn version_307() -> Value {
    let mut file = version_3();
    file["logging"] = json!({"allow": [], "deny": [], "json": true, "level": "normal"});
    file["pools"]["A"]["chain"] = json!("NONE");
    file["pools"]["A"]["idle_disconnect"] = json!(true);
    file["pools"]["B"]["idle_disconnect"] = json!(false);
    file["scheduler"]["force_reconnect_on_en2_mismatch"] = json!(false);
    file["scheduler"]["sr_recruit_exclusions"] = json!(["GekkoA2Z"]);
    file["scheduler"]["poolA_weight"] = json!(70);
    file["scheduler"]["poolB_weight"] = json!(30);
    file
}

fn versions() -> [Value; 4] {
    [version_1(), version_2(), version_3(), version_307()]
}

/// A folder with files in it, and what a start makes of them.
fn start(config: &str, files: &[(&str, &[u8])]) -> LoadedConfig {
    let folder = tempfile::tempdir().unwrap();
    start_in(folder.path(), config, files)
}

fn start_in(folder: &Path, config: &str, files: &[(&str, &[u8])]) -> LoadedConfig {
    for (name, contents) in files {
        fs::write(folder.join(name), contents).unwrap();
    }
    let path = folder.join(config);
    let loaded = load_or_create(&path).unwrap_or_else(|error| panic!("{error:#}"));
    // The result is a file of this DPMP that means the same and is left alone from then on.
    let saved = fs::read_to_string(&path).unwrap();
    assert_eq!(parse(&saved).unwrap().config, loaded.config);
    let again = load_or_create(&path).unwrap();
    assert_eq!(again.config, loaded.config);
    assert_eq!(fs::read_to_string(&path).unwrap(), saved);
    loaded
}

fn imported(old: &Value) -> LoadedConfig {
    start(
        "config.json",
        &[("config_v2.json", old.to_string().as_bytes())],
    )
}

fn warned(loaded: &LoadedConfig, part: &str) {
    let told = loaded.warnings.iter().any(|warning| warning.contains(part));
    assert!(told, "{part}: {:#?}", loaded.warnings);
}

fn with(path: &str, value: Value) -> Value {
    let mut file = version_307();
    *path
        .split('.')
        .fold(&mut file, |place, step| &mut place[step]) = value;
    file
}

#[test]
fn every_version_can_be_imported() {
    for old in versions() {
        let Config {
            pools, scheduler, ..
        } = imported(&old).config;
        let (a, b) = (pools[A].as_ref().unwrap(), pools[B].as_ref().unwrap());
        assert_eq!(a.address(), "192.168.0.25:3333");
        assert_eq!(
            (b.address().as_str(), b.wallet.as_str()),
            ("127.0.0.1:2018", "bc1qdef")
        );
        assert_eq!(
            scheduler.slice.as_secs(),
            10,
            "turns are not held up by min_switch_seconds"
        );
        assert_eq!(scheduler.min_switch.as_secs(), 1);
    }
    let config = imported(&version_307()).config;
    assert_eq!(config.listen.port, 3351);
    assert_eq!(config.share(A), 0.7);
    assert_eq!(config.logging.level, Level::Info);
    assert_eq!(config.logging.deny, [""; 0]);
    assert_eq!(config.pools[A].as_ref().unwrap().chain, "");
    assert_eq!(config.pools[B].as_ref().unwrap().chain, "BTC");
}

#[test]
fn the_log_levels_of_its_page_are_known() {
    for (word, level) in [
        ("normal", Level::Info),
        ("full", Level::Debug),
        ("none", Level::Off),
        ("quiet", Level::Off),
        ("off", Level::Off),
        ("INFO", Level::Info),
        ("Warning", Level::Warn),
        ("debug", Level::Debug),
        ("", Level::Info),
        ("loud", Level::Info),
    ] {
        let loaded = imported(&with("logging.level", json!(word)));
        assert_eq!(loaded.config.logging.level, level, "{word}");
    }
    warned(&imported(&with("logging.level", json!("loud"))), "\"loud\"");
}

#[test]
fn keys_outside_the_sections_count_if_the_section_lacks_them() {
    let old = json!({"listen_port": 4444, "metrics_enabled": 0, "logging": {"json": true}});
    let config = imported(&old).config;
    assert_eq!(config.listen.port, 4444);
    assert!(!config.metrics.enabled);
    assert!(imported(&version_2()).config.metrics.enabled);
}

#[test]
fn a_number_in_quotes_is_a_number() {
    let loaded = imported(&with("scheduler.poolA_weight", json!("90")));
    assert_eq!(loaded.config.share(A), 0.75);
    let loaded = imported(&with("downstream_diff.poolA_min", json!(" 512 ")));
    assert_eq!(loaded.config.downstream_diff[A].min.unwrap().get(), 512.0);
    let loaded = imported(&with("pools.A.wallet", json!(123_456)));
    assert_eq!(loaded.config.pools[A].as_ref().unwrap().wallet, "123456");
    assert!(
        !imported(&with("metrics.enabled", json!("False")))
            .config
            .metrics
            .enabled
    );
}

#[test]
fn an_unreadable_weight_makes_the_split_even() {
    for wrong in [json!("x"), json!(-1), json!([1])] {
        let loaded = imported(&with("scheduler.poolA_weight", wrong));
        assert_eq!(loaded.config.share(A), 0.5);
        warned(&loaded, "the split is 50:50");
    }
}

#[test]
fn a_pool_is_never_guessed() {
    for (path, wrong) in [
        ("pools.A.host", json!("a b")),
        ("pools.A.host", json!(5)),
        ("pools.A.host", json!("pool.com:4444")),
        ("pools.A.host", json!("127.0.0.1:3351")),
        ("pools.A.port", json!("abc")),
        ("pools.A.port", json!(0)),
        ("pools.A.port", json!(99_999)),
        ("pools.A.wallet", json!("two words")),
        ("pools.A.wallet", json!({"a": 1})),
        ("pools.A", json!("pool.com")),
    ] {
        let mut old = with(path, wrong.clone());
        if wrong == json!("127.0.0.1:3351") {
            old["pools"]["A"]["port"] = Value::Null;
        }
        let loaded = imported(&old);
        assert_eq!(loaded.config.pools[A], None, "{path}: {wrong}");
        assert!(loaded.config.pools[B].is_some());
        warned(&loaded, "pools.A");
    }
    // A host that has its port with it is whole.
    let mut old = with("pools.A.host", json!("pool.com:4444"));
    old["pools"]["A"]["port"] = Value::Null;
    let loaded = imported(&old);
    assert_eq!(
        loaded.config.pools[A].as_ref().unwrap().address(),
        "pool.com:4444"
    );
}

#[test]
fn services_with_conflicting_ports_get_other_ports() {
    let mut old = with("listen.port", json!(8855));
    old["metrics"]["port"] = json!(8855);
    let config = imported(&old).config;
    assert_eq!(
        (config.listen.port, config.metrics.port, config.gui.port),
        (8855, 9210, 8856)
    );
}

#[test]
fn an_address_of_another_machine_does_not_stop_the_start() {
    let loaded = imported(&with("listen.host", json!("192.0.2.77")));
    assert!(loaded.config.listen.host.is_unspecified());
    warned(&loaded, "192.0.2.77");
}

#[test]
fn a_minimum_above_one_gives_a_warning() {
    let loaded = imported(&version_1());
    warned(
        &loaded,
        "downstream_diff.poolB_min: miners get a difficulty of at least 8192",
    );
    assert!(
        !loaded
            .warnings
            .iter()
            .any(|warning| warning.contains("poolA_min"))
    );
}

#[test]
fn a_minimum_that_is_dropped_gives_no_warning() {
    let mut old = with("downstream_diff.poolA_min", json!(8192));
    old["downstream_diff"]["poolA_max"] = json!(1);
    old["downstream_diff"]["poolB_min"] = Value::Null;
    let loaded = imported(&old);
    assert_eq!(
        loaded.config.downstream_diff[A].min.map(|min| min.get()),
        Some(1.0)
    );
    let told = |warning: &String| warning.contains("at least 8192");
    assert!(!loaded.warnings.iter().any(told), "{:#?}", loaded.warnings);
}

#[test]
fn settings_that_are_not_imported_are_reported() {
    let mut old = version_307();
    old["scheduler"]["auto_balance"] = json!(true);
    let loaded = imported(&old);
    warned(&loaded, "scheduler.min_switch_seconds");
    warned(&loaded, "scheduler.auto_balance");
    warned(&loaded, "logging.json");
    // And unknown keys stay.
    let loaded = imported(&with("scheduler.mine", json!({"a": [1]})));
    assert_eq!(loaded.raw["scheduler"]["mine"], json!({"a": [1]}));
    assert_eq!(loaded.raw["scheduler"].get("oracle_url"), None);
}

#[test]
fn the_saved_slider_counts_unless_the_oracle_controlled_it() {
    let share = |old: &Value, files: &[(&str, &[u8])]| {
        let old = old.to_string();
        let all = [&[("config_v2.json", old.as_bytes())], files].concat();
        start("config.json", &all).config.share(A)
    };
    let slider: (&str, &[u8]) = (
        "weights_override.json",
        br#"{"poolA_weight": 20, "poolB_weight": "80"}"#,
    );
    assert_eq!(share(&version_307(), &[slider]), 0.2);
    let mut balanced = version_307();
    balanced["scheduler"]["auto_balance"] = json!(true);
    assert_eq!(share(&balanced, &[slider]), 0.7);
    let switch = |text: &'static [u8]| ("oracle_mode.json", text);
    assert_eq!(
        share(&balanced, &[slider, switch(br#"{"oracle_active": false}"#)]),
        0.2
    );
    assert_eq!(
        share(
            &version_307(),
            &[slider, switch(br#"{"oracle_active": true}"#)]
        ),
        0.7
    );
    assert_eq!(
        share(&with("scheduler.poolB_weight", json!(0)), &[slider]),
        1.0
    );
    for wrong in [
        &b"{"[..],
        b"[]",
        b"null",
        br#"{"poolA_weight": -1, "poolB_weight": 5}"#,
        br#"{"poolA_weight": 0, "poolB_weight": 0}"#,
    ] {
        let old = version_307().to_string();
        let loaded = start(
            "config.json",
            &[
                ("config_v2.json", old.as_bytes()),
                ("weights_override.json", wrong),
                ("best_shares.json", b"["),
            ],
        );
        assert_eq!(loaded.config.share(A), 0.7);
        warned(&loaded, "weights_override.json: not imported");
        warned(&loaded, "best_shares.json: not imported");
    }
    let marked = "\u{feff}{\"poolA_weight\": 20, \"poolB_weight\": 80}";
    assert_eq!(
        share(
            &version_307(),
            &[("weights_override.json", marked.as_bytes())]
        ),
        0.2
    );
}

#[test]
fn workers_that_were_pinned_or_paused_or_took_no_turns_stay_so() {
    let mut old = version_307();
    old["scheduler"]["max_slicers"] = json!(2);
    let loaded = imported(&old);
    assert_eq!(loaded.config.scheduler.max_slicers, 2);
    assert_eq!(loaded.config.workers["GekkoA2Z"].turns, Turns::Never);
    assert_eq!(loaded.config.workers.len(), 1);
    warned(&loaded, "scheduler.sr_recruit_exclusions: 1 worker has now");
    let not_used = loaded
        .warnings
        .iter()
        .find(|warning| warning.contains("not used by this DPMP"));
    assert!(!not_used.unwrap().contains("sr_recruit"), "{not_used:?}");

    let old = old.to_string();
    let manual = |active: &'static [u8]| ("manual_mode.json", active);
    let with_files = |files: &[(&str, &[u8])]| {
        let all = [&[("config_v2.json", old.as_bytes())], files].concat();
        start("config.json", &all)
    };
    let pinned: (&str, &[u8]) = (
        "pinned_assignments.json",
        br#"{"Nano3S": "B", "rig.1": "B", "AvalonQ": "A", "x": 5, "*": "B"}"#,
    );
    let paused: (&str, &[u8]) = (
        "miner_paused.json",
        br#"{"paused": ["Nano3S", "GekkoA2Z"]}"#,
    );
    let loaded = with_files(&[manual(br#"{"manual_active": true}"#), pinned, paused]);
    let Config {
        workers, groups, ..
    } = &loaded.config;
    let work = |worker: &str| workers[worker].work.unwrap();
    assert_eq!(work("rig.1"), Work::only(B));
    assert_eq!(work("Nano3S"), Work::Pause, "a pause goes before a pool");
    assert_eq!(work("GekkoA2Z"), Work::Pause);
    assert_eq!(workers["GekkoA2Z"].turns, Turns::Never);
    assert_eq!(workers.len(), 3);
    assert_eq!(groups.len(), 1);
    assert!(groups[0].has("AvalonQ") && groups[0].has("any.other"));
    assert_eq!(groups[0].work, Some(Work::only(A)));
    warned(&loaded, "manual_mode.json: each miner had a fixed pool");
    warned(
        &loaded,
        "miner_paused.json: 2 workers have \"work\": \"pause\"",
    );
    warned(&loaded, "workers.\"*\": found \"*\"");

    // While the slider was in control, pinned assignments meant nothing.
    for inactive in [&b"{}"[..], b"[]", br#"{"manual_active": false}"#] {
        let loaded = with_files(&[("manual_mode.json", inactive), pinned]);
        assert!(loaded.config.groups.is_empty());
        assert_eq!(loaded.config.workers.len(), 1);
    }
    for wrong in [
        &b"{"[..],
        b"[]",
        b"null",
        br#"{"paused": {"a": 1}}"#,
        br#"{"paused": [1, "", null]}"#,
    ] {
        let loaded = with_files(&[
            manual(br#"{"manual_active": 1}"#),
            ("pinned_assignments.json", wrong),
            ("miner_paused.json", wrong),
        ]);
        assert_eq!(loaded.config.workers.len(), 1);
        assert_eq!(loaded.config.groups.len(), 1, "all of them worked for A");
    }
    // More than a file may hold.
    let many: Vec<_> = (0..8000)
        .map(|number| format!("{number}{}", "x".repeat(100)))
        .collect();
    let many = json!({ "paused": many }).to_string();
    let loaded = with_files(&[("miner_paused.json", many.as_bytes())]);
    assert!(loaded.config.workers.is_empty());
    warned(&loaded, "workers: not imported");
}

#[test]
fn a_file_that_is_not_a_config_opens_the_set_up() {
    for bytes in [
        &b"{"[..],
        b"",
        b"[]",
        b"null",
        b"\xff\xfe{\0",
        b"{\"a\": NaN}",
        &[b' '; LARGEST_FILE + 1],
    ] {
        let loaded = start("config.json", &[("config_v2.json", bytes)]);
        assert_eq!(loaded.config, Config::default());
        warned(&loaded, "could not be imported");
    }
    // Text that is not UTF-8 is what Python reads, too.
    let loaded = start("config.json", &[("config_v2.json", b"{\"pools\": {\"A\": {\"name\": \"B\xfcro\", \"host\": \"a.pool.com\", \"wallet\": \"w\"}}}")]);
    assert!(loaded.config.pools[A].is_some());
    let twice = br#"{"pools": {"A": {"host": "a.pool.com", "wallet": "x", "wallet": "y"}}}"#;
    let loaded = start("config.json", &[("config_v2.json", twice)]);
    assert_eq!(loaded.config.pools[A].as_ref().unwrap().wallet, "y");
    warned(&loaded, "pools.A.wallet: the key appears twice");
}

#[test]
fn a_file_of_any_name_is_converted_once_and_kept() {
    for name in ["config_v2.json", "config.json"] {
        let folder = tempfile::tempdir().unwrap();
        let old = version_307().to_string();
        let loaded = start_in(folder.path(), name, &[(name, old.as_bytes())]);
        assert_eq!(loaded.config.share(A), 0.7);
        assert_eq!(loaded.config.scheduler.slice.as_secs(), 10);
        warned(&loaded, "was from the Python version");
        let copy = folder.path().join(format!("{name}.python"));
        assert_eq!(fs::read_to_string(copy).unwrap(), old);
    }
}

#[test]
fn a_broken_file_with_the_old_name_opens_the_set_up_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = start_in(folder.path(), "config_v2.json", &[("config_v2.json", b"{")]);
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.troubles[0].text.contains("could not be imported"));
    let copy = folder.path().join("config_v2.json.python");
    assert_eq!(fs::read_to_string(copy).unwrap(), "{");
    // Once it is converted, a slip does not remove the settings.
    let path = folder.path().join("config_v2.json");
    fs::write(&path, "{").unwrap();
    assert!(load_or_create(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "{");
}

#[test]
fn our_own_file_is_not_mistaken_for_a_python_file() {
    let ours: Value = serde_json::from_str(&sample()).unwrap();
    assert!(!may_be_python(&ours));
    // With a key that only this DPMP has, the file stays as the owner left it.
    let mut kept = version_3();
    kept["scheduler"]["min_switch_seconds"] = json!(7);
    kept["gui"] = json!({"port": 8855});
    let loaded = start(
        "config.json",
        &[("config.json", kept.to_string().as_bytes())],
    );
    assert_eq!(loaded.config.scheduler.min_switch.as_secs(), 7);
    for key in SHARED.iter().chain(&SHARED_SCHEDULER) {
        assert!(
            keys::all().iter().any(|known| known.info().path == *key),
            "{key}"
        );
    }
}

#[test]
fn a_python_file_under_our_name_is_imported_even_if_it_is_valid_here() {
    // Nothing in it is wrong here, and what it says means something else there.
    let old = version_3();
    assert!(parse(&old.to_string()).is_ok());
    let slider = br#"{"poolA_weight": 20, "poolB_weight": 80}"#;
    let loaded = start(
        "config.json",
        &[
            ("config.json", old.to_string().as_bytes()),
            ("weights_override.json", slider),
        ],
    );
    assert_eq!(loaded.config.scheduler.min_switch.as_secs(), 1);
    assert_eq!(loaded.config.logging.deny, [""; 0]);
    assert_eq!(loaded.config.share(A), 0.2);

    for level in PYTHON_LEVELS {
        let old = json!({"pools": {"A": {"host": "a.pool.com", "wallet": "w"}}, "logging": {"level": level}});
        let loaded = start(
            "config.json",
            &[("config.json", old.to_string().as_bytes())],
        );
        assert!(loaded.config.pools[A].is_some());
    }
}

#[test]
fn too_large_a_weight_is_reported_with_the_limit() {
    let loaded = imported(&with("scheduler.poolA_weight", json!(1e300)));
    warned(&loaded, "1000000");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-5..20_000_i32).prop_map(|number| number.to_string().into()),
        any::<String>().prop_map(Value::from),
        Just(json!("a.pool.com")),
        Just(json!("localhost:3351")),
        Just(json!(8855)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-B_]{1,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place in a file, sections included.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = join(path, key);
        found.push(path.clone());
        places(value, &path, found);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_starts_with_any_wrong_value(
        version in 0..4_usize,
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any_value()), 1..5),
    ) {
        let mut old = versions()[version].clone();
        for (at, new) in mutations {
            let mut found = vec!["extra".to_owned(), "gui.port".to_owned(), "pools.A.backups".to_owned()];
            places(&old, "", &mut found);
            let mut place = &mut old;
            for step in at.get(&found).split('.') {
                if !place.is_object() {
                    *place = json!({});
                }
                place = &mut place[step];
            }
            *place = new;
        }
        imported(&old);
    }

    #[test]
    fn it_starts_with_any_cut_or_pasted_file(at in 0..900_usize, cut in 0..30_usize, new in any::<String>()) {
        let mut text = format!("{:#}", version_307());
        let at = at.min(text.len());
        text.replace_range(at..(at + cut).min(text.len()), &new);
        start("config.json", &[("config_v2.json", text.as_bytes())]);
    }
}
