//! Steering over HTTP: temporary changes, own settings of workers, the preview, and restoring an earlier split.

use std::fs;

use dpmp::sim::miner::SimMiner;
use serde_json::{Value, json};

use crate::support::http::{Answer, Http};
use crate::support::proxy::{Proxy, Setup};
use crate::support::{SOON, miner, pool, tag, wait_until};

fn page(proxy: &Proxy) -> Http {
    Http::new(proxy.pages_address()).with_token()
}

#[track_caller]
fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    let found = (answer.status, answer.error_code());
    assert_eq!(found, (status, code.to_owned()), "{}", answer.text());
    answer.json()["error"].clone()
}

fn steering(page: &Http) -> Value {
    ok(&page.get("/api/v1/steering"))
}

/// How the steering page describes a worker.
fn worker(page: &Http, name: &str) -> Value {
    let steering = steering(page);
    let workers = steering["workers"].as_array().unwrap();
    let found = workers.iter().find(|worker| worker["worker"] == name);
    found.cloned().unwrap_or_default()
}

fn rig(proxy: &Proxy, name: &str) -> SimMiner {
    miner(proxy.address(), |options| {
        options.user = format!("x.{name}");
    })
}

/// Waits until the miners have had work only from this pool, for enough turns from now on to rule out chance.
#[track_caller]
fn wait_for_only(miners: &[&SimMiner], pool: &str) {
    const TURNS: usize = 12;
    let jobs = |miner: &SimMiner| miner.ledger().jobs();
    let before: Vec<_> = miners.iter().map(|miner| jobs(miner).len()).collect();
    wait_until(SOON, "all miners to stay on one pool", || {
        miners.iter().zip(&before).all(|(miner, before)| {
            let jobs = jobs(miner);
            let mut last = jobs.iter().rev().take(TURNS);
            jobs.len() > before + TURNS && last.all(|job| job.tag.as_deref() == Some(pool))
        })
    });
}

#[test]
fn a_temporary_change_lasts_until_ended_even_across_a_restart() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b).start();
    let page_before = page(&proxy);
    let miners = [rig(&proxy, "one"), rig(&proxy, "two")];
    let all = [&miners[0], &miners[1]];
    wait_until(SOON, "both workers", || {
        worker(&page_before, "two")["connected"] == 1
    });

    let change = json!({"work": "B", "workers": ["*"]});
    let set = ok(&page_before.put("/api/v1/override", &change));
    assert_eq!(
        (&set["work"], &set["until_ms"]),
        (&json!("B"), &Value::Null)
    );
    assert!(set["by"].as_str().unwrap().contains("127.0.0.1"), "{set}");
    // It is there as soon as the request is answered.
    assert_eq!(steering(&page_before)["overrides"], json!([set]));
    let one = worker(&page_before, "one");
    assert_eq!(
        (&one["work"], &one["source"]),
        (&json!("B"), &json!("override"))
    );
    wait_for_only(&all, "B");

    proxy.crash();
    let page = page(&proxy);
    assert_eq!(steering(&page)["overrides"], json!([set]));
    wait_for_only(&all, "B");

    let gone = json!({"workers": ["one"]});
    refused(&page.delete("/api/v1/override", &gone), 404, "not_found");
    ok(&page.delete("/api/v1/override", &json!({"workers": ["*"]})));
    let now = steering(&page);
    assert_eq!(now["overrides"], json!([]));
    assert_eq!(now["usual"], json!({"A": 50.0, "B": 50.0}));
    assert_eq!(worker(&page, "one")["source"], "usual");
    wait_until(SOON, "work from A again", || {
        all.iter().any(|miner| tag(miner).as_deref() == Some("A"))
    });
    wait_until(SOON, "the log to say so", || {
        proxy.logged("override_ended", "\"B\"")
    });
}

#[test]
fn a_temporary_change_ends_by_itself_and_overrides_one_for_all() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let proxy = Setup::new(&a, &b).start();
    let page = page(&proxy);
    let miners = [rig(&proxy, "one"), rig(&proxy, "two")];
    let put = |change: Value| ok(&page.put("/api/v1/override", &change));
    put(json!({"work": "A", "workers": ["*"], "until_ms": null}));
    let set = put(json!({"work": "B", "workers": ["two"], "for_seconds": 4}));
    let until = set["until_ms"].as_u64().unwrap();
    assert_eq!(until, set["set_ms"].as_u64().unwrap() + 4000);
    wait_until(SOON, "the next event", || {
        let two = worker(&page, "two");
        two["next"] == json!({"at_ms": until, "work": "A", "source": "override"})
            && two["until_ms"] == until
            && two["work"] == "B"
    });
    wait_until(SOON, "its end", || worker(&page, "two")["work"] == "A");
    let now = steering(&page);
    assert!(now["clock"]["now_ms"].as_u64().unwrap() >= until);
    assert_eq!(now["overrides"].as_array().unwrap().len(), 1);
    wait_for_only(&[&miners[0], &miners[1]], "A");
}

#[test]
fn a_temporary_change_is_not_replaced_unseen() {
    let proxy = Setup::bare().start();
    let page = page(&proxy);
    let put = |workers: Value, before_ms: Value| {
        let body = json!({"work": "A", "workers": workers, "before_ms": before_ms});
        page.put("/api/v1/override", &body)
    };
    let end = |workers: Value, before_ms: Value| {
        let body = json!({"workers": workers, "before_ms": before_ms});
        page.delete("/api/v1/override", &body)
    };
    let first = ok(&put(json!(["*"]), json!(0)))["set_ms"].clone();
    refused(&put(json!(["*"]), json!(0)), 409, "conflict");
    refused(&end(json!(["*"]), json!(1)), 409, "conflict");
    // One for a worker is another one, and comes first for it.
    let of_a = ok(&put(json!(["a"]), json!(0)))["set_ms"].clone();
    refused(&put(json!(["a", "b"]), json!(0)), 409, "conflict");
    ok(&put(json!(["a", "b"]), of_a.clone()));
    ok(&end(json!(["a"]), of_a));
    refused(&end(json!(["a"]), first.clone()), 409, "conflict");
    let second = ok(&put(json!(["*"]), first.clone()))["set_ms"].clone();
    ok(&end(json!(["*"]), second));
    refused(&put(json!(["*"]), first), 409, "conflict");
    ok(&put(json!(["*"]), Value::Null));
}

#[test]
fn impossible_settings_are_refused_with_the_reason() {
    let proxy = Setup::bare().start();
    let page = page(&proxy);
    let put = |body: Value| page.put("/api/v1/override", &body);
    let unknown = put(json!({"work": "A", "workers": ["*"], "until": 5}));
    let error = refused(&unknown, 400, "bad_request");
    let message = error["message"].as_str().unwrap();
    assert!(
        message
            == "There is no field until here. Allowed: work, workers, until_ms, for_seconds, before_ms.",
        "{message}"
    );
    let work = put(json!({"work": "C", "workers": ["*"]}));
    let error = refused(&work, 400, "bad_request");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("work cannot be used: found \"C\"; allowed: \"A\", \"B\""),
        "{message}"
    );
    refused(&put(json!({"work": "A"})), 400, "bad_request");
    for (body, field) in [
        (json!({"work": "A", "workers": []}), "workers"),
        (json!({"work": "A", "workers": ["garage-*"]}), "workers"),
        (json!({"work": "A", "workers": ["*", "a"]}), "workers"),
        (
            json!({"work": "A", "workers": ["*"], "until_ms": 1}),
            "until_ms",
        ),
        (
            json!({"work": "A", "workers": ["*"], "for_seconds": 0}),
            "for_seconds",
        ),
        (
            json!({"work": "A", "workers": ["*"], "for_seconds": 40_000_000}),
            "for_seconds",
        ),
        (
            json!({"work": "A", "workers": ["*"], "for_seconds": 5, "until_ms": 5}),
            "for_seconds",
        ),
    ] {
        let error = refused(&put(body), 422, "invalid_value");
        assert_eq!(error["field"], field);
    }
    assert_eq!(steering(&page)["overrides"], json!([]));
    let weights = json!({"A": 70, "B": 30, "until": 5});
    let error = refused(&page.put("/api/v1/weights", &weights), 400, "bad_request");
    assert!(
        error["message"].as_str().unwrap().contains("until"),
        "{error}"
    );
    let error = refused(
        &page.put("/api/v1/weights", &json!({"A": 0, "B": 0})),
        422,
        "invalid_value",
    );
    assert!(
        error["message"].as_str().unwrap().contains("above 0"),
        "{error}"
    );
    let workers = json!({"workers": {"a": {"pool": "A"}}});
    let error = refused(&page.put("/api/v1/workers", &workers), 422, "invalid_value");
    assert_eq!(error["field"], "workers.a.pool");
    assert!(
        error["message"].as_str().unwrap().contains("work"),
        "{error}"
    );
    let workers = json!({"workers": {"a": {"work": "C"}}});
    let error = refused(
        &page.put("/api/v1/workers", &workers),
        422,
        "invalid_config",
    );
    assert_eq!(error["field"], "workers.a.work");
}

#[test]
fn a_workers_own_setting_applies_immediately_and_keeps_the_file() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let proxy = Setup::new(&a, &b).set("notes", "kept").start();
    let page = page(&proxy);
    let one = rig(&proxy, "one");
    wait_until(SOON, "the worker", || {
        worker(&page, "one")["connected"] == 1
    });
    let open = ok(&page.get("/api/v1/config"));

    let set = json!({"workers": {"one": {"work": "B", "name": "Garage left"}}});
    let all = ok(&page.put("/api/v1/workers", &set));
    assert_eq!(all, set);
    let shown = worker(&page, "one");
    let keys = [
        "name", "work", "source", "own", "until_ms", "turns", "failover",
    ];
    assert_eq!(
        Value::Array(keys.map(|key| shown[key].clone()).to_vec()),
        json!(["Garage left", "B", "worker", "B", null, "auto", null])
    );
    wait_for_only(&[&one], "B");
    // A change for all does not move it.
    ok(&page.put("/api/v1/override", &json!({"work": "A", "workers": ["*"]})));
    assert_eq!(worker(&page, "one")["work"], "B");
    ok(&page.delete("/api/v1/override", &json!({"workers": ["*"]})));

    // Saving a Config page that was opened earlier does not undo it.
    let mut mine = open["config"].clone();
    mine["scheduler"]["slice_seconds"] = json!(2);
    ok(&page.put(
        "/api/v1/config",
        &json!({"etag": open["etag"], "config": mine}),
    ));
    assert_eq!(worker(&page, "one")["work"], "B");
    let file = || -> Value {
        serde_json::from_str(&fs::read_to_string(proxy.file("config.json")).unwrap()).unwrap()
    };
    assert_eq!(
        (&file()["notes"], &file()["workers"]),
        (&json!("kept"), &set["workers"])
    );

    let unset = json!({"workers": {"one": {"work": null, "name": null}}});
    assert_eq!(
        ok(&page.put("/api/v1/workers", &unset)),
        json!({"workers": {}})
    );
    assert_eq!(worker(&page, "one")["source"], "usual");
    wait_until(SOON, "work from A again", || {
        tag(&one).as_deref() == Some("A")
    });
    assert_eq!(one.ledger().connections(), 1, "no miner may notice");

    let set = json!({"BTC": 100_000, "BCH": 500});
    ok(&page.put("/api/v1/prices", &set));
    ok(&page.put("/api/v1/prices", &json!({"bch": 400})));
    let shown = &steering(&page)["balance"]["prices"];
    assert_eq!(shown["A"]["price"], 100_000.0, "{shown}");
    assert!(shown["A"]["put_ms"].as_u64().unwrap() > 0, "{shown}");
    assert_eq!(file().get("balance"), None, "the file stays as it is");
    let wrong = page.put("/api/v1/prices", &json!({"BTC": "1"}));
    refused(&wrong, 422, "invalid_value");
}

/// A timetable entry for every day.
fn daily(from: &str, to: &str, work: &str) -> Value {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    json!({"days": days, "from": from, "to": to, "work": work})
}

#[test]
fn the_timetable_can_be_previewed_and_applies_immediately() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b).env("TZ", "Asia/Kolkata").start();
    let page = page(&proxy);
    let one = rig(&proxy, "one");
    let before = steering(&page);
    assert_eq!(before["clock"]["plausible"], true, "{}", before["clock"]);
    assert_eq!(before["clock"]["time_zone"], "Asia/Kolkata");
    assert_eq!(before["timetable"]["enabled"], false);

    let timetable = json!({"enabled": true, "time_zone": "", "entries": [
        daily("00:00", "12:00", "B"), daily("12:00", "00:00", "B"),
    ]});
    let body = json!({"timetable": timetable, "worker": "one"});
    let preview = ok(&page.post("/api/v1/steering/preview", &body));
    let spans = preview["spans"].as_array().unwrap();
    assert!((4..=5).contains(&spans.len()), "{spans:#?}");
    let hours = |ms: u64| ms / 3_600_000;
    let number = |span: &Value, key: &str| span[key].as_u64().unwrap();
    for pair in spans.windows(2) {
        assert_eq!(pair[0]["to_ms"], pair[1]["from_ms"]);
        // India is five and a half hours ahead.
        assert_eq!(
            number(&pair[1], "from_ms") % (12 * 3_600_000),
            6 * 3_600_000 + 1_800_000
        );
        assert_ne!(pair[0]["entry"], pair[1]["entry"]);
    }
    let length = number(&spans[spans.len() - 1], "to_ms") - number(&spans[0], "from_ms");
    assert_eq!(hours(length), 48);
    assert!(
        spans
            .iter()
            .all(|span| span["work"] == "B" && span["source"] == "timetable")
    );
    let own = json!({"timetable": timetable, "workers": {"one": {"work": "A"}}, "worker": "one"});
    let own = ok(&page.post("/api/v1/steering/preview", &own));
    assert_eq!(own["spans"].as_array().unwrap().len(), 1);
    assert_eq!(own["spans"][0]["source"], "worker");
    let wrong = json!({"timetable": {"enabled": true, "time_zone": "Mars/Olympus"}});
    refused(
        &page.post("/api/v1/steering/preview", &wrong),
        422,
        "invalid_config",
    );
    assert_eq!(
        steering(&page)["timetable"]["enabled"],
        false,
        "nothing was changed"
    );

    proxy.rewrite_config(|config| config["timetable"] = timetable);
    wait_until(SOON, "the timetable", || {
        let one = worker(&page, "one");
        (&one["work"], &one["source"]) == (&json!("B"), &json!("timetable"))
    });
    let now = steering(&page)["timetable"].clone();
    assert_eq!(
        (&now["time_zone"], &now["work"], &now["next_work"]),
        (&json!("Asia/Kolkata"), &json!("B"), &json!("B"))
    );
    wait_for_only(&[&one], "B");
}

#[test]
fn earlier_splits_can_be_restored_even_after_a_restart() {
    let mut proxy = Setup::bare().start();
    let undo = |proxy: &Proxy| {
        let undo = steering(&page(proxy))["undo"].clone();
        let undo = undo.as_array().unwrap().clone();
        undo.into_iter()
            .map(|past| {
                (
                    past["A"].as_f64().unwrap(),
                    past["by"].as_str().unwrap().to_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(undo(&proxy), []);
    let put = |a: u64| ok(&page(&proxy).put("/api/v1/weights", &json!({"A": a, "B": 30})));
    put(60);
    put(60);
    put(70);
    let by_page = "a browser at 127.0.0.1".to_owned();
    wait_until(SOON, "both", || {
        undo(&proxy) == [(60.0, by_page.clone()), (50.0, by_page.clone())]
    });
    wait_until(SOON, "both in the state file", || {
        let state = fs::read_to_string(proxy.file("state.json")).unwrap_or_default();
        let state: Value = serde_json::from_str(&state).unwrap_or_default();
        let past = state["past_splits"]["past"].as_array();
        past.is_some_and(|past| past.len() == 2)
    });
    proxy.crash();
    assert_eq!(undo(&proxy).len(), 2);
    // The file is written while DPMP is stopped.
    let (_, status) = proxy.stop();
    assert!(status.success());
    proxy.rewrite_config(|config| config["scheduler"] = json!({"poolA_weight": 80}));
    proxy.start_again();
    let expected = [
        (70.0, "the configuration file".to_owned()),
        (60.0, by_page.clone()),
        (50.0, by_page),
    ];
    assert_eq!(undo(&proxy), expected);
}
