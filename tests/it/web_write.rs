//! What the pages' port can change over HTTP: who is refused, the password, the configuration, weights, pool tests, the
//! live log and its download.

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use dpmp::sim::miner::SimMiner;
use dpmp::sim::pool::options::AuthorizeRule;
use serde_json::{Value, json};

use crate::support::http::{Answer, Http};
use crate::support::proxy::{Proxy, Setup};
use crate::support::{AT_ONCE, SOON, free_port, miner, pool, tag, wait_until};

const PASSWORD: &str = "correct horse battery";

/// A page of this proxy.
fn page(proxy: &Proxy) -> Http {
    Http::new(proxy.pages_address()).with_token()
}

fn config_file(proxy: &Proxy) -> Value {
    let text = fs::read_to_string(proxy.file("config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let found = (answer.status, answer.error_code());
    assert_eq!(found, (status, code.to_owned()), "{}", answer.text());
}

/// The settings that a list of changes refers to.
fn paths(changes: &Value) -> Vec<String> {
    let paths = changes.as_array().unwrap().iter();
    paths
        .map(|change| change["path"].as_str().unwrap().to_owned())
        .collect()
}

/// Logs in and keeps the cookie.
#[track_caller]
fn take_cookie(page: &mut Http, answer: &Answer) {
    ok(answer);
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"));
    page.cookie = set.split(';').next().map(str::to_owned);
}

#[test]
fn other_sites_and_host_names_can_neither_read_nor_change_anything() {
    let proxy = Setup::bare().start();
    let before = fs::read(proxy.file("config.json")).unwrap();
    let good = page(&proxy);
    let change = json!({"A": 1, "B": 99});
    let put = |page: &Http| page.put("/api/v1/weights", &change);

    // DNS rebinding: a foreign host name that leads here.
    let mut foreign = good.clone();
    foreign.host = "evil.example:8855".into();
    foreign.origin = Some("http://evil.example:8855".into());
    refused(&put(&foreign), 403, "bad_host");
    for path in ["session", "config", "config/backup", "events", "status"] {
        let answer = foreign.get(&format!("/api/v1/{path}"));
        refused(&answer, 403, "bad_host");
        assert!(!answer.text().contains("token\":"));
    }

    // A page of another site.
    let mut cross = good.clone();
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        cross.origin = Some(origin.into());
        refused(&put(&cross), 403, "bad_origin");
        refused(&cross.get("/api/v1/config/backup"), 403, "bad_origin");
    }
    let embedded = good.send(
        "GET",
        "/api/v1/logs/download",
        &[("Sec-Fetch-Site", "cross-site")],
        b"",
    );
    refused(&embedded, 403, "bad_origin");

    // A form, and a page that never requested the token.
    let body = change.to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("Content-Type", kind)];
        let answer = good.send("PUT", "/api/v1/weights", &headers, body.as_bytes());
        refused(&answer, 415, "not_json");
    }
    let mut bare = good.clone();
    for token in [None, Some("0".repeat(64)), Some(String::new())] {
        bare.token = token;
        refused(&put(&bare), 403, "bad_token");
    }
    let paths = [
        "login",
        "logout",
        "password",
        "config/validate",
        "config/restore",
        "pool-test",
        "notify/test",
        "alerts/seen",
    ];
    for path in paths {
        let answer = bare.post(&format!("/api/v1/{path}"), &json!({}));
        refused(&answer, 403, "bad_token");
    }
    assert_eq!(fs::read(proxy.file("config.json")).unwrap(), before);
    ok(&put(&good));
    assert_ne!(fs::read(proxy.file("config.json")).unwrap(), before);
}

#[test]
fn a_password_locks_the_pages_until_it_is_entered() {
    let mut proxy = Setup::bare().start();
    let mut owner = page(&proxy);
    let session = ok(&owner.get("/api/v1/session"));
    assert_eq!(
        (&session["password_set"], &session["logged_in"]),
        (&json!(false), &json!(true))
    );
    for bad in [json!("short"), json!("x".repeat(129)), json!(5)] {
        let answer = owner.post("/api/v1/password", &json!({"current": null, "new": bad}));
        refused(&answer, 422, "invalid_value");
    }
    let answer = owner.post("/api/v1/password", &json!({"current": null}));
    refused(&answer, 400, "bad_request");
    let set = owner.post(
        "/api/v1/password",
        &json!({"current": null, "new": PASSWORD}),
    );
    take_cookie(&mut owner, &set);
    let hash = config_file(&proxy)["gui"]["password_hash"].clone();
    assert!(hash.as_str().unwrap().starts_with("$argon2id$"), "{hash}");
    let shown = ok(&owner.get("/api/v1/config"));
    assert_eq!(shown["secrets_set"], json!(["gui.password_hash"]));
    assert!(!shown.to_string().contains("$argon2id$v="));

    // Everyone else is locked out.
    let mut other = page(&proxy);
    let session = ok(&other.get("/api/v1/session"));
    assert_eq!(
        (&session["password_set"], &session["logged_in"]),
        (&json!(true), &json!(false))
    );
    for path in [
        "status",
        "miners",
        "miners.csv",
        "history?range=1h",
        "config",
        "config/backup",
        "events",
        "logs",
        "logs/download",
        "pools/A/page",
    ] {
        refused(
            &other.get(&format!("/api/v1/{path}")),
            401,
            "login_required",
        );
    }
    refused(
        &other.put("/api/v1/weights", &json!({"A": 1, "B": 2})),
        401,
        "login_required",
    );
    other.cookie = Some("dpmp_session=0123".into());
    refused(&other.get("/api/v1/config"), 401, "login_required");
    let login =
        |page: &Http, password: &str| page.post("/api/v1/login", &json!({"password": password}));
    refused(&login(&other, "wrong"), 401, "wrong_password");
    let right = login(&other, PASSWORD);
    take_cookie(&mut other, &right);
    ok(&other.get("/api/v1/config"));

    // Logging out ends a session, and a new password ends all of them.
    let mut third = page(&proxy);
    let right = login(&third, PASSWORD);
    take_cookie(&mut third, &right);
    ok(&third.post("/api/v1/logout", &json!({})));
    refused(&third.get("/api/v1/config"), 401, "login_required");
    let change = |current: &str, new: Value| json!({"current": current, "new": new});
    refused(
        &owner.post("/api/v1/password", &change("wrong", json!(null))),
        401,
        "wrong_password",
    );
    let changed = owner.post(
        "/api/v1/password",
        &change(PASSWORD, json!("another password")),
    );
    take_cookie(&mut owner, &changed);
    refused(&other.get("/api/v1/config"), 401, "login_required");
    ok(&owner.get("/api/v1/config"));

    // Wrong attempts never lock out the right password.
    for _ in 2..6 {
        refused(&login(&third, "wrong"), 401, "wrong_password");
    }
    ok(&login(&third, "another password"));

    // The owner has access to the file, so no password is needed to edit it.
    proxy.rewrite_config(|config| config["gui"]["password_hash"] = json!(""));
    wait_until(SOON, "the pages to be open", || {
        page(&proxy).get("/api/v1/config").status == 200
    });
}

#[test]
fn removing_the_password_requires_the_password() {
    let proxy = Setup::bare().start();
    let mut owner = page(&proxy);
    let set = owner.post(
        "/api/v1/password",
        &json!({"current": null, "new": PASSWORD}),
    );
    take_cookie(&mut owner, &set);
    // Saving a configuration or restoring a backup without a password does not remove it.
    let mut shown = ok(&owner.get("/api/v1/config"));
    shown["config"]["gui"]["password_hash"] = json!("");
    let save = json!({"etag": shown["etag"], "config": shown["config"]});
    let answer = owner.put("/api/v1/config", &save);
    refused(&answer, 422, "invalid_config");
    assert_eq!(answer.json()["error"]["field"], "gui.password_hash");
    let old = fs::read_to_string(proxy.file("config.json.bak")).unwrap();
    assert!(!old.contains("argon2id"));
    let restored = ok(&owner.post("/api/v1/config/restore", &json!({"text": old})));
    assert!(
        restored["warnings"].to_string().contains("password"),
        "{restored}"
    );
    refused(&page(&proxy).get("/api/v1/config"), 401, "login_required");

    // Neither does restoring over a file that is broken at the moment.
    proxy.write_config("{");
    wait_until(SOON, "the refusal", || {
        proxy.log().contains("config_refused")
    });
    ok(&owner.post("/api/v1/config/restore", &json!({"text": old})));
    refused(&page(&proxy).get("/api/v1/config"), 401, "login_required");

    let answer = owner.post("/api/v1/password", &json!({"current": null, "new": null}));
    refused(&answer, 401, "wrong_password");
    let removed = owner.post(
        "/api/v1/password",
        &json!({"current": PASSWORD, "new": null}),
    );
    assert_eq!(ok(&removed), json!({"password_set": false}));
    ok(&page(&proxy).get("/api/v1/config"));
}

/// Two miners that work for both pools.
fn farm(proxy: &Proxy) -> Vec<SimMiner> {
    let start = |number| {
        miner(proxy.address(), |options| {
            options.user = format!("x.rig{number}");
        })
    };
    (0..2).map(start).collect()
}

#[track_caller]
fn check_undisturbed(miners: &[SimMiner]) {
    for miner in miners {
        assert_eq!(miner.ledger().connections(), 1);
        assert_eq!(miner.ledger().violations(), []);
    }
}

#[test]
fn new_weights_change_the_split_and_drop_no_miner() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let proxy = Setup::new(&a, &b).start();
    let miners = farm(&proxy);
    wait_until(SOON, "shares at both", || {
        a.ledger().accepted() > 10 && b.ledger().accepted() > 10
    });
    let page = page(&proxy);
    let before = config_file(&proxy);
    let set = ok(&page.put("/api/v1/weights", &json!({"A": 0, "B": 2.5})));
    assert_eq!(
        set,
        json!({"A": 0, "B": 2.5, "previous": {"A": 50.0, "B": 50.0}})
    );
    // It is in force once the request is answered, and nothing else in the file has changed.
    let mut expected = before;
    expected["scheduler"]["poolA_weight"] = json!(0);
    expected["scheduler"]["poolB_weight"] = json!(2.5);
    assert_eq!(config_file(&proxy).to_string(), expected.to_string());
    wait_until(SOON, "all miners at B", || {
        miners
            .iter()
            .all(|miner| tag(miner).as_deref() == Some("B"))
            && a.ledger().connections_open() == 0
    });
    check_undisturbed(&miners);

    for (bad, field) in [
        (json!({"A": -1, "B": 1}), "A"),
        (json!({"A": 1, "B": 1e9}), "B"),
        (json!({"A": 1, "B": null}), "B"),
        (json!({"A": "50", "B": 1}), "A"),
        (json!({"A": 0, "B": 0}), "A"),
    ] {
        let answer = page.put("/api/v1/weights", &bad);
        refused(&answer, 422, "invalid_value");
        assert_eq!(answer.json()["error"]["field"], field, "{bad}");
    }
    refused(
        &page.put("/api/v1/weights", &json!({"A": 1})),
        400,
        "bad_request",
    );
    // A page that has seen other weights must not replace these.
    let seen = |a: f64| json!({"A": 1, "B": 1, "before": {"A": a, "B": 2.5}});
    let answer = page.put("/api/v1/weights", &seen(50.0));
    refused(&answer, 409, "conflict");
    assert!(
        answer.json()["error"]["message"]
            .to_string()
            .contains("to 0:2.5")
    );
    assert_eq!(config_file(&proxy).to_string(), expected.to_string());
    ok(&page.put("/api/v1/weights", &seen(0.0)));
}

#[test]
fn tables_keep_their_order_and_a_wrong_entry_is_named() {
    let proxy = Setup::bare().start();
    let page = page(&proxy);
    let read = ok(&page.get("/api/v1/config"));
    let save = |workers: Value| {
        let mut new = read["config"].clone();
        new["workers"] = workers;
        page.put(
            "/api/v1/config",
            &json!({"etag": read["etag"], "config": new}),
        )
    };
    let wrong = save(json!({"rig.1": {"wrok": "A"}}));
    refused(&wrong, 422, "invalid_config");
    let error = wrong.json()["error"].clone();
    assert_eq!(error["field"], "workers.\"rig.1\".wrok", "{error}");
    let workers = json!({"b": {"work": "pause"}, "rig.1": {"work": {"A": 70, "B": 30}}, "a": {}});
    let saved = ok(&save(workers.clone()));
    assert_eq!(saved["changes"][0]["path"], "workers");
    let told = saved["changes"][0]["new"].as_str().unwrap();
    assert!(told.contains("\"b\": work pause"), "{told}");
    assert_eq!(
        config_file(&proxy)["workers"].to_string(),
        workers.to_string()
    );
}

#[test]
fn a_configuration_is_saved_and_in_force_without_dropping_a_miner() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let setup = Setup::new(&a, &b)
        .set("pools.A.password", "secret")
        .set("my_own_key", json!({"kept": [1, 2]}));
    let proxy = setup.start();
    let miners = farm(&proxy);
    wait_until(SOON, "shares at both", || {
        a.ledger().accepted() > 10 && b.ledger().accepted() > 10
    });
    let page = page(&proxy);
    let shown = ok(&page.get("/api/v1/config"));
    assert_eq!(shown["secrets_set"], json!(["pools.A.password"]));
    assert_eq!(shown["pending_restart"], json!([]));
    assert!(
        !shown.to_string().contains("\"secret\"")
            || shown["config"].to_string().find("secret").is_none()
    );
    assert!(shown["warnings"].to_string().contains("my_own_key"));
    let schema = shown["schema"].as_array().unwrap();
    let key = |path: &str| schema.iter().find(|key| key["path"] == path).unwrap();
    assert_eq!(key("scheduler.slice_seconds")["max"], 3600.0);
    assert_eq!(key("pools.A.password")["kind"], "secret");
    assert_eq!(key("scheduler.mode")["choices"], json!(["ratio", "fleet"]));

    let mut new = shown["config"].clone();
    new["pools"]["A"]["wallet"] = json!("otherwallet");
    new["listen"]["port"] = json!(free_port());
    let validated = ok(&page.post("/api/v1/config/validate", &json!({"config": new})));
    assert_eq!(validated["valid"], true);
    assert_eq!(
        paths(&validated["changes"]),
        ["listen.port", "pools.A.wallet"]
    );
    let answer = page.put(
        "/api/v1/config",
        &json!({"etag": shown["etag"], "config": new}),
    );
    let saved = ok(&answer);
    assert_eq!(paths(&saved["changes"]), ["listen.port", "pools.A.wallet"]);
    assert_eq!(saved["restart_needed"], json!(["listen.port"]));
    let file = config_file(&proxy);
    assert_eq!(file["pools"]["A"]["password"], "secret");
    assert_eq!(file["my_own_key"], json!({"kept": [1, 2]}));
    let keys: Vec<_> = file.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "listen",
            "metrics",
            "gui",
            "logging",
            "pools",
            "scheduler",
            "my_own_key"
        ]
    );
    wait_until(SOON, "the new wallet at A", || {
        let shares = a.ledger().shares();
        shares
            .iter()
            .any(|share| share.worker == "otherwallet.rig0")
    });
    check_undisturbed(&miners);

    // The file's watcher notices the new file, too, and has nothing to add.
    std::thread::sleep(Duration::from_millis(2500));
    let log = proxy.log();
    let applied: Vec<_> = log
        .lines()
        .filter(|line| line.contains("\"event\":\"config_applied\""))
        .collect();
    assert_eq!(applied.len(), 1, "{applied:#?}");
    assert!(applied[0].contains("\"level\":\"warn\"") && applied[0].contains("\"payout\":true"));

    // The version read earlier is out of date now.
    let answer = page.put(
        "/api/v1/config",
        &json!({"etag": shown["etag"], "config": new}),
    );
    refused(&answer, 409, "conflict");
    let now = ok(&page.get("/api/v1/config"));
    assert_eq!(now["etag"], saved["etag"]);
    assert_eq!(paths(&now["pending_restart"]), ["listen.port"]);
    // Saving the same contents changes nothing; "" clears a secret.
    let mut same = now["config"].clone();
    let again = ok(&page.put(
        "/api/v1/config",
        &json!({"etag": now["etag"], "config": same}),
    ));
    assert_eq!(
        (&again["changes"], &again["etag"]),
        (&json!([]), &now["etag"])
    );
    same["pools"]["A"]["password"] = json!("");
    let cleared = ok(&page.put(
        "/api/v1/config",
        &json!({"etag": now["etag"], "config": same}),
    ));
    assert_eq!(paths(&cleared["changes"]), ["pools.A.password"]);
    assert_eq!(ok(&page.get("/api/v1/config"))["secrets_set"], json!([]));
}

#[test]
fn saving_a_page_does_not_undo_a_newer_command() {
    let proxy = Setup::bare().start();
    let page = page(&proxy);
    let shown = ok(&page.get("/api/v1/config"));
    ok(&page.put("/api/v1/weights", &json!({"A": 80, "B": 20})));

    let mut mine = shown["config"].clone();
    mine["scheduler"]["slice_seconds"] = json!(2);
    let body = json!({"etag": shown["etag"], "config": mine});
    let checked = ok(&page.post("/api/v1/config/validate", &body));
    let saved = ok(&page.put("/api/v1/config", &body));
    for answer in [&checked, &saved] {
        assert_eq!(paths(&answer["changes"]), ["scheduler.slice_seconds"]);
    }
    assert_eq!(checked["conflict"], false);
    let scheduler = &config_file(&proxy)["scheduler"];
    assert_eq!(
        (&scheduler["poolA_weight"], &scheduler["slice_seconds"]),
        (&json!(80), &json!(2))
    );

    // The page still has the weights it read first, and continues with the version it got from saving.
    mine["scheduler"]["slice_seconds"] = json!(3);
    let body = json!({"etag": saved["etag"], "config": mine});
    ok(&page.put("/api/v1/config", &body));
    let scheduler = &config_file(&proxy)["scheduler"];
    assert_eq!(
        (&scheduler["poolA_weight"], &scheduler["slice_seconds"]),
        (&json!(80), &json!(3))
    );

    // Both sides have changed the same key.
    let shown = ok(&page.get("/api/v1/config"));
    ok(&page.put("/api/v1/weights", &json!({"A": 10, "B": 20})));
    let mut mine = shown["config"].clone();
    mine["scheduler"]["poolA_weight"] = json!(50);
    let body = json!({"etag": shown["etag"], "config": mine});
    let checked = ok(&page.post("/api/v1/config/validate", &body));
    assert_eq!(checked["conflict"], true);
    let answer = page.put("/api/v1/config", &body);
    refused(&answer, 409, "conflict");
    assert_eq!(answer.json()["error"]["field"], "scheduler.poolA_weight");
    assert_eq!(config_file(&proxy)["scheduler"]["poolA_weight"], 10);
}

#[test]
fn a_wrong_configuration_is_refused_by_field_and_changes_nothing() {
    let proxy = Setup::bare().start();
    let page = page(&proxy);
    let before = fs::read(proxy.file("config.json")).unwrap();
    let shown = ok(&page.get("/api/v1/config"));
    let mut bad = shown["config"].clone();
    bad["pools"] = json!({"A": {"host": "a b", "wallet": "w w"}});
    bad["scheduler"] = json!({"slice_seconds": "x"});
    let answer = page.put(
        "/api/v1/config",
        &json!({"etag": shown["etag"], "config": bad}),
    );
    refused(&answer, 422, "invalid_config");
    let details = answer.json()["error"]["details"].clone();
    let fields: Vec<_> = details
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        ["pools.A.host", "pools.A.wallet", "scheduler.slice_seconds"]
    );
    let validated = ok(&page.post("/api/v1/config/validate", &json!({"config": bad})));
    assert_eq!(
        (&validated["valid"], &validated["faults"]),
        (&json!(false), &details)
    );

    // With two wallets, the owner would see one while the other gets paid.
    let twice = format!(
        r#"{{"etag": {}, "config": {{"pools": {{"A": {{"wallet": "mine", "wallet": "thine"}}}}}}}}"#,
        shown["etag"]
    );
    let headers = [("Content-Type", "application/json")];
    let answer = page.send("PUT", "/api/v1/config", &headers, twice.as_bytes());
    refused(&answer, 422, "invalid_config");
    assert!(
        answer.text().contains("pools.A.wallet"),
        "{}",
        answer.text()
    );
    for wrong in [json!([]), json!(null), json!("x")] {
        let answer = page.put(
            "/api/v1/config",
            &json!({"etag": shown["etag"], "config": wrong}),
        );
        refused(&answer, 422, "invalid_config");
    }
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(1024 * 1024));
    let answer = page.send("POST", "/api/v1/config/restore", &headers, large.as_bytes());
    assert_eq!(answer.status, 413);
    assert_eq!(fs::read(proxy.file("config.json")).unwrap(), before);
    assert!(!proxy.log().contains("config_refused"));
}

#[test]
fn a_backup_restores_the_settings_and_repairs_a_broken_file() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let setup = Setup::new(&a, &b)
        .set("listen.max_miners", 7)
        .set("pools.B.password", "secret");
    let proxy = setup.start();
    let page = page(&proxy);
    let as_it_was = config_file(&proxy);
    let backup = page.get("/api/v1/config/backup");
    let mut shown = as_it_was.clone();
    shown["pools"]["B"]
        .as_object_mut()
        .unwrap()
        .remove("password");
    assert_eq!(
        serde_json::from_slice::<Value>(&backup.body).unwrap(),
        shown
    );
    assert!(
        backup
            .header("content-disposition")
            .unwrap()
            .contains("attachment")
    );
    ok(&page.put("/api/v1/weights", &json!({"A": 10, "B": 90})));
    let restored = ok(&page.post("/api/v1/config/restore", &json!({"text": backup.text()})));
    assert_eq!(restored["changes"].as_array().unwrap().len(), 2);
    assert_eq!(config_file(&proxy), as_it_was);

    proxy.write_config("{\"listen\": ");
    wait_until(SOON, "the refusal", || {
        proxy.log().contains("config_refused")
    });
    refused(&page.get("/api/v1/config"), 500, "failed");
    refused(
        &page.put("/api/v1/weights", &json!({"A": 1, "B": 2})),
        422,
        "invalid_config",
    );
    refused(
        &page.post("/api/v1/config/restore", &json!({"text": "{"})),
        422,
        "invalid_config",
    );
    ok(&page.post("/api/v1/config/restore", &json!({"text": backup.text()})));
    assert_eq!(config_file(&proxy), as_it_was);
    ok(&page.get("/api/v1/config"));
}

#[test]
fn pages_and_an_editor_writing_together_agree_in_the_end() {
    let proxy = Setup::bare().start();
    let page = page(&proxy);
    std::thread::scope(|scope| {
        for writer in 1..=4 {
            let page = page.clone();
            scope.spawn(move || {
                for round in 1..=10 {
                    ok(&page.put("/api/v1/weights", &json!({"A": writer, "B": round})));
                }
            });
        }
    });
    let file = config_file(&proxy)["scheduler"].clone();
    let status = || ok(&page.get("/api/v1/status"));
    let share = |value: &Value| {
        let weight = |key: &str| value[key].as_f64().unwrap();
        weight("poolA_weight") / (weight("poolA_weight") + weight("poolB_weight"))
    };
    wait_until(SOON, "the saved configuration to be in force", || {
        let now = status()["pools"]["A"]["target_share"].as_f64().unwrap();
        (now - share(&file)).abs() < 1e-9
    });
}

#[test]
fn a_pool_is_tested_before_it_is_saved() {
    let good = pool("A", |_| ());
    let strict = pool("B", |options| {
        options.authorize = AuthorizeRule::Prefix("right".into())
    });
    let proxy = Setup::bare().start();
    let page = page(&proxy);
    let ask = |port: u16, wallet: &str| json!({"slot": "A", "host": "127.0.0.1", "port": port, "wallet": wallet, "password": null});
    let names = |result: &Value| -> Vec<String> {
        let steps = result["steps"].as_array().unwrap().iter();
        steps
            .map(|step| step["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let result = ok(&page.post("/api/v1/pool-test", &ask(good.port(), "w")));
    assert_eq!(
        (&result["ok"], &result["problem"]),
        (&json!(true), &json!(null)),
        "{result}"
    );
    assert_eq!(
        names(&result),
        [
            "resolve",
            "connect",
            "configure",
            "subscribe",
            "authorize",
            "first job"
        ]
    );
    assert!(
        result["steps"]
            .as_array()
            .unwrap()
            .iter()
            .all(|step| step["ok"] == true)
    );

    let result = ok(&page.post("/api/v1/pool-test", &ask(strict.port(), "wrong")));
    assert_eq!(result["ok"], false);
    let last = result["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["name"], &last["ok"]),
        (&json!("authorize"), &json!(false)),
        "{result}"
    );
    assert!(
        result["problem"].as_str().unwrap().contains("authorize"),
        "{result}"
    );

    let result = ok(&page.post("/api/v1/pool-test", &ask(free_port(), "w")));
    assert_eq!(
        (names(&result), &result["ok"]),
        (vec!["resolve".into(), "connect".into()], &json!(false))
    );
    let own = ask(proxy.address().port(), "w");
    refused(&page.post("/api/v1/pool-test", &own), 422, "invalid_value");
    let mut none = ask(good.port(), "");
    none["slot"] = json!("C");
    refused(&page.post("/api/v1/pool-test", &none), 422, "invalid_value");

    // Not too many at a time, because a silent pool keeps a test busy.
    let silent = pool("S", |options| options.silent = true);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let tests: Vec<_> = (0..3)
            .map(|_| {
                let page = page.clone();
                let body = ask(silent.port(), "w");
                scope.spawn(move || page.post("/api/v1/pool-test", &body))
            })
            .collect();
        let mut statuses: Vec<_> = tests
            .into_iter()
            .map(|test| test.join().unwrap().status)
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 429]);
    });
    assert!(began.elapsed() < Duration::from_secs(38));
    assert_eq!(
        config_file(&proxy)["pools"],
        Value::Null,
        "a test saves nothing"
    );
}

#[test]
fn events_are_streamed_as_they_happen() {
    let mut proxy = Setup::bare().start();
    let page = page(&proxy);
    // Starting the proxy opens a connection to the mining port; its end is the last event for now.
    wait_until(SOON, "quiet", || proxy.logged("miner_disconnected", ""));
    let first = ok(&page.get("/api/v1/events"));
    let events = first["events"].as_array().unwrap();
    assert!(
        events
            .iter()
            .any(|event| event["event"]["event"] == "started")
    );
    assert_eq!(first["missed"], 0);
    let next = first["next"].as_u64().unwrap();
    let began = Instant::now();
    let nothing = ok(&page.get(&format!("/api/v1/events?after={next}&wait=1")));
    assert_eq!(
        (&nothing["events"], &nothing["next"]),
        (&json!([]), &json!(next))
    );
    assert!(began.elapsed() >= Duration::from_secs(1));

    let news = std::thread::scope(|scope| {
        let reader = page.clone();
        let waiting =
            scope.spawn(move || reader.get(&format!("/api/v1/events?after={next}&wait=25")));
        std::thread::sleep(Duration::from_millis(300));
        ok(&page.put("/api/v1/weights", &json!({"A": 1, "B": 3})));
        waiting.join().unwrap()
    });
    let news = ok(&news);
    assert_eq!(news["events"][0]["seq"], next);
    assert_eq!(news["events"][0]["event"]["event"], "config_applied");
    let one = ok(&page.get("/api/v1/events?after=0&limit=1"));
    assert_eq!(
        (one["events"].as_array().unwrap().len(), &one["next"]),
        (1, &json!(1))
    );
    for bad in ["after=x", "wait=-1", "limit=1.5"] {
        refused(
            &page.get(&format!("/api/v1/events?{bad}")),
            422,
            "invalid_value",
        );
    }

    // A waiting reader does not delay the stop, even if it gets no new event.
    ok(&page.put("/api/v1/config", &{
        let mut shown = ok(&page.get("/api/v1/config"));
        shown["config"]["logging"]["level"] = json!("off");
        json!({"etag": shown["etag"], "config": shown["config"]})
    }));
    let next = ok(&page.get("/api/v1/events"))["next"].clone();
    let waiting = page.clone();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let began = Instant::now();
            let path = format!("/api/v1/events?after={next}&wait=25");
            (ok(&waiting.get(&path)), began.elapsed())
        });
        std::thread::sleep(Duration::from_millis(500));
        let (took, status) = proxy.stop();
        assert!(status.success());
        assert!(took < AT_ONCE, "{took:?}");
        let (answer, waited) = reader.join().unwrap();
        assert_eq!(answer["events"], json!([]));
        assert!(waited < AT_ONCE, "{waited:?}");
    });
}

/// The files of a compressed archive, as one text.
fn unpacked(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/gzip"));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(answer.body.as_slice()));
    let mut all = String::new();
    for entry in archive.entries().unwrap() {
        entry.unwrap().read_to_string(&mut all).unwrap();
    }
    all
}

#[test]
fn the_log_can_be_read_back_past_a_restart() {
    let mut proxy = Setup::bare().start();
    proxy.restart();
    let page = page(&proxy);
    let search = |query: &str| {
        let answer = page.get(&format!("/api/v1/logs?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    wait_until(SOON, "both starts", || {
        let found = search("event=started&limit=5");
        found["events"].as_array().unwrap().len() == 2
    });
    let first = search("event=started&limit=1");
    let next = first["next"].as_str().unwrap();
    let second = search(&format!("event=started&limit=1&before={next}"));
    let time = |found: &Value| found["events"][0]["ts"].as_str().unwrap().to_owned();
    assert!(time(&second) < time(&first), "the newest comes first");
    assert_eq!(second["events"].as_array().unwrap().len(), 1);
    assert_eq!(search("level=error")["events"], json!([]));
    assert_eq!(search("to_ms=1000")["events"], json!([]));
    for wrong in ["level=loud", "before=x", "limit=many", "from_ms=-1"] {
        let answer = page.get(&format!("/api/v1/logs?{wrong}"));
        refused(&answer, 422, "invalid_value");
    }
}

#[test]
fn the_log_can_be_downloaded_with_or_without_wallets() {
    const WALLET: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let setup = Setup::new(&a, &b)
        .set("logging.show_wallets", true)
        .set("pools.A.wallet", WALLET);
    let proxy = setup.start();
    let _miners = farm(&proxy);
    wait_until(SOON, "both wallets in the log", || {
        let log = proxy.log();
        log.contains(WALLET) && log.contains("walletB.rig0")
    });
    let page = page(&proxy);
    let full = unpacked(&page.get("/api/v1/logs/download?wallets=full"));
    assert!(full.contains(WALLET) && full.contains("walletB.rig0"));
    for path in [
        "/api/v1/logs/download?wallets=short",
        "/api/v1/logs/download",
    ] {
        let short = unpacked(&page.get(path));
        assert!(!short.contains(WALLET) && !short.contains("walletB"));
        assert!(short.contains("bc1q…5mdq.rig0") && short.contains("wa….rig0"));
        let lines = short.lines().map(serde_json::from_str::<Value>);
        assert!(lines.into_iter().all(|line| line.is_ok()));
    }
    refused(
        &page.get("/api/v1/logs/download?wallets=some"),
        422,
        "invalid_value",
    );
}
