//! What each table accepts and refuses, and where it reports a mistake.

use super::*;

/// The mistakes in a table: place, found value, what is allowed.
fn faults<T: Default>(table: &Table<T>, value: Value) -> Vec<String> {
    let told = table.wrong(&value).into_iter().map(|wrong| wrong.at("t"));
    told.map(|fault| fault.to_string()).collect()
}

fn fault<T: Default>(table: &Table<T>, value: Value) -> String {
    let mut found = faults(table, value.clone());
    assert_eq!(found.len(), 1, "{value}: {found:?}");
    found.remove(0)
}

#[test]
fn workers_are_read_and_null_means_missing() {
    let read = WORKERS
        .read(&json!({
            "bitaxe-1": {"name": " Garage left ", "work": "A", "turns": "never", "failover": false},
            "a.b": {"work": {"A": 70, "B": 30}},
            " odd \u{e9}": {"name": null, "work": null, "turns": null, "failover": null},
            "none": null,
        }))
        .unwrap();
    assert_eq!(read.len(), 4);
    assert_eq!(
        read["bitaxe-1"],
        WorkerSettings {
            name: "Garage left".to_owned(),
            work: Some(Work::only(PoolSlot::A)),
            turns: Turns::Never,
            failover: Some(false),
        }
    );
    assert_eq!(
        read["a.b"].work.unwrap().shares().unwrap()[PoolSlot::A],
        0.7
    );
    assert_eq!(read[" odd \u{e9}"], WorkerSettings::default());
    assert_eq!(read["none"], WorkerSettings::default());
}

#[test]
fn wrong_worker_settings_are_refused_with_their_location() {
    for (settings, expected) in [
        (
            json!({"wrok": "A"}),
            "t.rig.wrok: found \"A\"; allowed: only the keys name, work, turns and failover",
        ),
        (
            json!("A"),
            "t.rig: found \"A\"; allowed: an object with the keys name, work, turns and failover",
        ),
        (
            json!({"turns": "always"}),
            "t.rig.turns: found \"always\"; allowed: \"auto\" or \"never\"",
        ),
        (
            json!({"failover": "no"}),
            "t.rig.failover: found \"no\"; allowed: true or false",
        ),
        (
            json!({"name": "x".repeat(65)}),
            "allowed: one line of text, at most 64 characters",
        ),
        (
            json!({"name": "two\nlines"}),
            "t.rig.name: found \"two\\nlines\"; allowed: one line of text",
        ),
        (
            json!({"work": "a"}),
            "t.rig.work: found \"a\"; allowed: \"A\", \"B\", \"pause\", or the weights of both pools",
        ),
        (
            json!({"work": {"A": 0, "B": 0}}),
            "t.rig.work: found an object; allowed: \"A\"",
        ),
    ] {
        let told = fault(&WORKERS, json!({"rig": settings}));
        assert!(told.contains(expected), "{told}");
    }
    for (name, expected) in [
        (
            "",
            "t.\"\": found \"\"; allowed: a worker's name on one line of 1 to 128 bytes",
        ),
        ("two\nlines", "t.\"two\\nlines\": found "),
        (&"\u{e9}".repeat(65), "of 1 to 128 bytes"),
        (
            "*",
            "t.\"*\": found \"*\"; allowed: the name of one worker; use groups for several",
        ),
    ] {
        let told = fault(&WORKERS, json!({ (name): {} }));
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(
        faults(&WORKERS, json!({ ("\u{e9}".repeat(64)): {} })),
        [""; 0]
    );
    assert_eq!(
        faults(
            &WORKERS,
            json!({"rig 1": {"work": 1, "turns": 2}, "rig-2": {"x": 1}})
        )
        .len(),
        3,
        "all are told"
    );
    assert!(
        fault(&WORKERS, json!([]))
            .starts_with("t: found a list; allowed: an object of at most 10000 workers")
    );
    let many = (0..10_001).map(|number| (number.to_string(), json!({})));
    assert_eq!(
        fault(&WORKERS, Value::Object(many.collect())),
        "t: found 10001 entries; allowed: at most 10000"
    );
}

#[test]
fn groups_keep_their_order() {
    let read = GROUPS
        .read(&json!([
            {"name": "Garage", "match": ["garage-*", "rig-[0-9]"], "work": "pause"},
            {"name": "All", "match": ["*"]},
        ]))
        .unwrap();
    let names: Vec<_> = read.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["Garage", "All"]);
    assert!(read[0].has("garage-1") && read[0].has("rig-7"));
    assert!(!read[0].has("rig-77") && !read[0].has("Garage-1") && !read[0].has("my-garage-1"));
    assert_eq!((read[0].work, read[1].work), (Some(Work::Pause), None));
}

#[test]
fn wrong_groups_are_refused_with_their_location() {
    for (group, expected) in [
        (
            json!({"match": ["a"]}),
            "t.0.name: found nothing; allowed: one line of text, 1 to 64 characters",
        ),
        (
            json!({"name": " ", "match": ["a"]}),
            "t.0.name: found \" \"; allowed: one line of text, 1 to 64",
        ),
        (
            json!({"name": "G"}),
            "t.0.match: found nothing; allowed: a list of 1 to 100 patterns",
        ),
        (
            json!({"name": "G", "match": []}),
            "t.0.match: found a list; allowed: a list of 1 to 100 patterns",
        ),
        (
            json!({"name": "G", "match": vec!["a"; 101]}),
            "allowed: a list of 1 to 100 patterns",
        ),
        (
            json!({"name": "G", "match": "garage-*"}),
            "t.0.match: found \"garage-*\"; allowed: a list of 1",
        ),
        (
            json!({"name": "G", "match": ["fine", "rig-[0-9"]}),
            "\"rig-[0-9\" is not one: invalid range pattern at character 5",
        ),
        (
            json!({"name": "G", "match": ["a**b"]}),
            "\"a**b\" is not one: recursive wildcards",
        ),
        (json!({"name": "G", "match": [5]}), "; 5 is not one"),
        (json!({"name": "G", "match": [""]}), "; \"\" is not one"),
        (
            json!({"name": "G", "match": ["a"], "wrok": "A"}),
            "t.0.wrok: found \"A\"; allowed: only the keys name, match and work",
        ),
        (
            json!({"name": "G", "match": ["a"], "work": "stop"}),
            "t.0.work: found \"stop\"; allowed: \"A\"",
        ),
        (
            json!(5),
            "t.0: found 5; allowed: an object with the keys name, match and work",
        ),
    ] {
        let told = fault(&GROUPS, json!([group]));
        assert!(told.contains(expected), "{told}");
    }
    let twice = json!([{"name": "G", "match": ["a"]}, {"name": "H", "match": ["a"]}, {"name": "G ", "match": ["b"]}]);
    assert_eq!(
        fault(&GROUPS, twice),
        "t.2.name: found \"G \"; allowed: another name than that of entry 0"
    );
    assert!(fault(&GROUPS, json!([null])).starts_with("t.0: found null; allowed: an object"));
    let many: Value = (0..101)
        .map(|n| json!({"name": n.to_string(), "match": ["a"]}))
        .collect();
    assert_eq!(
        fault(&GROUPS, many),
        "t: found 101 entries; allowed: at most 100"
    );
    assert!(
        fault(&GROUPS, json!({}))
            .starts_with("t: found an object; allowed: a list of at most 100 groups")
    );
}

#[test]
fn times_of_the_week_can_be_read() {
    let read = TIMETABLE
        .read(&json!([
            {"days": ["mon", "sun", "mon"], "from": "00:00", "to": "24:00", "work": {"A": 1, "B": 1}},
            {"days": ["tue"], "from": "23:59", "to": "06:05", "work": "pause"},
        ]))
        .unwrap();
    assert_eq!(
        read[0].days,
        [true, false, false, false, false, false, true]
    );
    assert_eq!((read[0].from, read[0].to), (0, 0), "24 hours");
    assert_eq!((read[1].from, read[1].to), (23 * 60 + 59, 365));
    assert_eq!(read[1].work, Work::Pause);
}

#[test]
fn wrong_times_of_the_week_are_refused_with_their_location() {
    let entry = |key: &str, value: Value| {
        let mut entry = json!({"days": ["mon"], "from": "22:00", "to": "06:00", "work": "B"});
        entry[key] = value;
        json!([entry])
    };
    for time in [
        json!("24:00"),
        json!("6:00"),
        json!("06:60"),
        json!("06:0"),
        json!("+6:00"),
        json!("06-00"),
        json!(6),
        json!("06:00:00"),
        json!(""),
        json!("\u{661}\u{662}:00"),
    ] {
        let told = fault(&TIMETABLE, entry("from", time));
        assert!(told.starts_with("t.0.from: found "), "{told}");
        assert!(
            told.ends_with("allowed: a time from \"00:00\" to \"23:59\""),
            "{told}"
        );
    }
    assert_eq!(
        fault(&TIMETABLE, entry("to", json!("24:01"))),
        "t.0.to: found \"24:01\"; allowed: a time from \"00:00\" to \"24:00\""
    );
    for days in [
        json!([]),
        json!(["Mon"]),
        json!("mon"),
        json!([1]),
        json!(null),
    ] {
        let told = fault(&TIMETABLE, entry("days", days));
        assert!(
            told.contains("allowed: a list of one or more of the days \"mon\", \"tue\""),
            "{told}"
        );
    }
    assert_eq!(
        fault(&TIMETABLE, entry("form", json!("22:00"))),
        "t.0.form: found \"22:00\"; allowed: only the keys days, from, to and work"
    );
    assert_eq!(
        faults(&TIMETABLE, json!([{}])).len(),
        4,
        "all four are needed"
    );
    assert_eq!(faults(&TIMETABLE, json!([5])).len(), 1);
    let many = vec![entry("work", json!("A"))[0].clone(); 101];
    assert_eq!(
        fault(&TIMETABLE, many.into()),
        "t: found 101 entries; allowed: at most 100"
    );
}

#[test]
fn prices_are_keyed_by_coin_in_upper_case() {
    let read = PRICES
        .read(&json!({"btc": 100_000.5, " Bch ": 0, "XEC": 0.000_03}))
        .unwrap();
    let coins: Vec<_> = read.keys().map(String::as_str).collect();
    assert_eq!(coins, ["BCH", "BTC", "XEC"]);
    assert_eq!(read["BTC"], 100_000.5);
    for (prices, expected) in [
        (
            json!({"BTC": -1}),
            "t.BTC: found -1; allowed: a number from 0 to 1000000000",
        ),
        (
            json!({"BTC": 2e9}),
            "t.BTC: found 2000000000.0; allowed: a number from 0",
        ),
        (
            json!({"BTC": "5"}),
            "t.BTC: found \"5\"; allowed: a number from 0",
        ),
        (
            json!({"BTC": null}),
            "t.BTC: found null; allowed: a number from 0",
        ),
        (
            json!({"BTC": 1, "btc": 2}),
            "t.btc: found \"btc\"; allowed: one price for BTC",
        ),
        (json!({"": 1}), "allowed: a coin, such as \"BTC\""),
        (
            json!({"B C": 1}),
            "t.\"B C\": found \"B C\"; allowed: a coin",
        ),
        (json!({"ABCDEFGHIJKLMNOPQ": 1}), "allowed: a coin"),
        (
            json!([1]),
            "t: found a list; allowed: an object of at most 16 prices",
        ),
    ] {
        let told = fault(&PRICES, prices);
        assert!(told.contains(expected), "{told}");
    }
    let many = (0..17).map(|n| (format!("C{n}"), json!(1)));
    assert_eq!(
        fault(&PRICES, Value::Object(many.collect())),
        "t: found 17 entries; allowed: at most 16"
    );
}

#[test]
fn only_the_faulty_entries_are_left_out() {
    let mend = |value: Value| {
        let wrong = WORKERS.wrong(&value).into_iter().map(|wrong| wrong.entries);
        without(&value, &wrong.collect::<Vec<_>>())
    };
    let mended = mend(json!({"b": {}, "c": {"x": 1, "y": 1}, "a": {"work": "A"}, "*": {}}));
    assert_eq!(
        mended.to_string(),
        json!({"b": {}, "a": {"work": "A"}}).to_string()
    );
    assert_eq!(mend(json!(5)), Value::Null);
    assert_eq!(mend(json!([5])), Value::Null);
    assert_eq!(mend(json!({"*": {}})), Value::Null);
    assert_eq!(faults(&WORKERS, mended), [""; 0]);
}

#[test]
fn time_zone_names_are_checked() {
    for name in [
        "",
        "UTC",
        "Europe/Berlin",
        "America/Argentina/Buenos_Aires",
        "Etc/GMT+5",
    ] {
        assert_eq!(
            TimeZone.read(&json!(format!(" {name} "))),
            Ok(name.to_owned())
        );
    }
    for wrong in [
        json!("Mars/Olympus Mons"),
        json!("Europe/Atlantis"),
        json!("../../etc/passwd"),
        json!(5),
        json!("x".repeat(65)),
    ] {
        assert!(TimeZone.read(&wrong).is_err(), "{wrong}");
    }
}
