//! What the pages' port reports over HTTP: state, miners, charts, alerts, and the files of the pages.

use std::fs;

use dpmp::sim::pool::options::AuthorizeRule;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{SOON, miner, pool, wait_until};

fn http(proxy: &Proxy) -> Http {
    Http::new(proxy.pages_address())
}

#[track_caller]
fn status(proxy: &Proxy) -> Value {
    let answer = http(proxy).get("/api/v1/status");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The name of each alert, without the time it began.
fn alerts(proxy: &Proxy) -> Vec<String> {
    let status = status(proxy);
    let ids = status["alerts"].as_array().unwrap().iter();
    let name = |alert: &Value| {
        let id = alert["id"].as_str().unwrap();
        let parts = id.split(':').filter(|part| part.parse::<u64>().is_err());
        parts.collect::<Vec<_>>().join(":")
    };
    ids.map(name).collect()
}

#[track_caller]
fn wait_for_alert(proxy: &Proxy, id: &str) {
    wait_until(SOON, id, || alerts(proxy).iter().any(|alert| alert == id));
}

#[test]
fn missing_pages_give_an_error_in_the_form_of_the_api() {
    let proxy = Setup::bare().start();
    let http = http(&proxy);
    let answer = http.get("/api/v1/nothing");
    assert_eq!(
        (answer.status, answer.error_code()),
        (404, "not_found".into())
    );
    // A browser gets the single page, which says so, but not for the API.
    let accept = [("Accept", "text/html,*/*;q=0.8")];
    let answer = http.send("GET", "/nothing", &accept, b"");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("/js/main.js"), "{}", answer.text());
    assert_eq!(http.get("/nothing").error_code(), "not_found");
    let answer = http.send("GET", "/api/v1/nothing", &accept, b"");
    assert_eq!(answer.status, 404);
    assert!(!answer.text().contains("/js/main.js"), "{}", answer.text());
    let answer = http.get("/api/v1/miners/77");
    assert_eq!(
        (answer.status, answer.error_code()),
        (404, "not_found".into())
    );
    let answer = http.send("DELETE", "/api/v1/config", &[], b"");
    let code = "method_not_allowed".into();
    assert_eq!((answer.status, answer.error_code()), (405, code));
    assert_eq!(answer.header("allow"), Some("GET, PUT, HEAD"));
    let answer = http.get("/api/v1/history?range=1y");
    assert_eq!(
        (answer.status, answer.error_code()),
        (422, "invalid_value".into())
    );
    let answer = http.get("/api/v1/history?range=1h&worker=nobody");
    assert_eq!(
        (answer.status, answer.error_code()),
        (404, "not_found".into())
    );
}

#[test]
fn the_status_matches_what_happens() {
    let a = pool("A", |options| options.e2_size = 8);
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b)
        .set("scheduler.poolA_weight", 75)
        .set("scheduler.poolB_weight", 25)
        .start();
    // The check whether the port is open is a connection, too.
    wait_until(SOON, "nobody", || {
        let status = status(&proxy);
        status["started_ms"] != 0 && status["miners_connected"] == 0
    });
    let before = status(&proxy);
    assert_eq!(before["hashrate"], 0.0, "this is known without a miner");
    assert_eq!(before["split"]["windows"][0]["share_a"], Value::Null);
    assert_eq!(before["pools"]["A"]["difficulty"], Value::Null);

    let miners: Vec<_> = (0..2)
        .map(|number| {
            miner(proxy.address(), |options| {
                options.user = format!("x.rig{number}");
            })
        })
        .collect();
    wait_until(SOON, "shares at both, and their sums", || {
        let status = status(&proxy);
        let accepted = |slot: &str| status["pools"][slot]["accepted"].as_u64().unwrap();
        accepted("A") > 20
            && accepted("B") > 5
            && status["split"]["windows"][0]["expected_error"].is_f64()
            // This is known after a second.
            && status["hashrate"].is_f64()
            && status["pools"]["A"]["insight"].is_object()
    });
    let status = status(&proxy);
    println!("{status:#}");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["set_up"], true);
    assert_eq!(
        (&status["healthy"], &status["health_problem"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(
        (&status["miners_connected"], &status["miners_working"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(status["listen"]["port"], proxy.address().port());
    assert!(status["hashrate"].as_f64().unwrap() > 0.0);
    assert_eq!(status["split"]["target"], json!({"A": 0.75, "B": 0.25}));
    assert!(status["split"]["time"]["now"].as_f64().unwrap() > 0.0);
    let window = &status["split"]["windows"][0];
    assert_eq!(
        (&window["seconds"], &window["label"]),
        (&json!(600), &json!("10 min"))
    );
    assert!(window["share_a"].as_f64().unwrap() > 0.0);
    let pool = &status["pools"]["A"];
    assert_eq!(
        (&pool["state"], &pool["in_use"]),
        (&json!("up"), &json!(true))
    );
    assert_eq!(
        (&pool["name"], &pool["weight"]),
        (&json!("A"), &json!(75.0))
    );
    assert_eq!(pool["wallet_short"], "wa…", "the wallet is shortened");
    assert_eq!(pool["connections_ready"], 2);
    assert_eq!(pool["extranonce2_size"], 8);
    for known in [
        "share_latency_ms",
        "difficulty",
        "difficulty_min",
        "difficulty_max",
        "job_age_seconds",
        "network_difficulty",
        "hashrate",
    ] {
        assert!(pool[known].is_number(), "{known}: {pool}");
    }
    assert!(pool["best_share"]["difficulty"].as_f64().unwrap() > 0.0);
    let insight = &pool["insight"];
    assert!(insight["height"].as_u64().unwrap() >= 900_000, "{insight}");
    assert_eq!(
        (&insight["tag"], &insight["reward"], &insight["outputs"]),
        (&json!("/sim:A/"), &json!(312_500_000), &json!(2))
    );
    assert_eq!(
        (&insight["payout"]["kind"], &insight["payout"]["why"]),
        (&json!("unknown"), &json!("account"))
    );
    drop(miners);

    // A change made on a page is shown immediately, not a second later.
    let owner = http(&proxy).with_token();
    for weight in [30, 60, 90] {
        let weights = json!({"A": weight, "B": 10});
        let answer = owner.put("/api/v1/weights", &weights);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let pools = self::status(&proxy)["pools"].clone();
        assert_eq!(pools["A"]["weight"], f64::from(weight));
    }
}

#[test]
fn each_miner_is_listed_even_after_it_left() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let _busy = miner(proxy.address(), |options| options.user = "x.busy".into());
    let (mut client, mut work) = Client::working(proxy.address());
    let share = client.find(&mut work);
    assert_eq!(client.submit(&share)["result"], true);
    assert_eq!(client.submit(&share)["error"][0], 22, "a duplicate");

    let http = http(&proxy);
    let find = |list: &str, worker: &str| {
        let miners = http.get("/api/v1/miners").json();
        let found = miners[list].as_array().unwrap().iter();
        found
            .filter(|miner| miner["worker"] == worker)
            .map(|miner| (miner["id"].as_u64().unwrap(), miner.clone()))
            .next()
    };
    wait_until(SOON, "both miners and the two shares", || {
        let client = find("miners", "worker");
        find("miners", "busy").is_some() && client.is_some_and(|(_, miner)| miner["rejected"] == 1)
    });
    let (id, miner) = find("miners", "worker").unwrap();
    println!("{miner:#}");
    assert_eq!(miner["rejected_by"], json!({"duplicate": 1}));
    assert_eq!(miner["software"], "client/1");
    assert_eq!(miner["left_ms"], Value::Null);
    assert_eq!(miner["hashrate_24h"], Value::Null, "too early to know");
    assert!(miner["best_share"]["difficulty"].is_number());
    assert!(miner["last_share_ms"].is_number());

    let detail = http.get(&format!("/api/v1/miners/{id}")).json();
    assert_eq!(detail["miner"]["id"], id);
    let recent = detail["recent"].as_array().unwrap();
    assert_eq!(recent.len(), 2);
    let newest = (&recent[0]["outcome"], &recent[0]["reason"]);
    assert_eq!(newest, (&json!("refused"), &json!("duplicate")));
    assert_eq!(recent[1]["outcome"], "accepted");
    assert!(recent[1]["latency_ms"].as_f64().unwrap() > 0.0);

    drop(client);
    wait_until(SOON, "the miner to leave", || {
        find("left", "worker").is_some()
    });
    let (_, miner) = find("left", "worker").unwrap();
    assert!(miner["left_ms"].is_number() && miner["pool"].is_null());
    assert_eq!(http.get(&format!("/api/v1/miners/{id}")).status, 200);
    let csv = http.get("/api/v1/miners.csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(
        csv.header("content-disposition")
            .unwrap()
            .contains("attachment")
    );
    let names: Vec<_> = csv
        .text()
        .lines()
        .map(|line| line.split(',').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(names, ["worker", "busy", "worker"]);

    // It comes back and is no longer missing.
    let _again = Client::working(proxy.address());
    wait_until(SOON, "no missing miner", || {
        find("left", "worker").is_none()
    });
}

#[test]
fn charts_show_gaps_and_survive_a_restart() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let mut proxy = Setup::new(&a, &b).start();
    let _miner = miner(proxy.address(), |options| options.user = "x.rig".into());
    wait_until(SOON, "shares", || a.ledger().accepted() > 10);
    for (range, step, length) in [
        ("1h", 60, 60),
        ("24h", 60, 1440),
        ("7d", 900, 672),
        ("30d", 900, 2880),
    ] {
        let chart = http(&proxy)
            .get(&format!("/api/v1/history?range={range}"))
            .json();
        assert_eq!(
            (&chart["range"], &chart["step_seconds"]),
            (&json!(range), &json!(step))
        );
        assert_eq!(chart["hashrate"]["A"].as_array().unwrap().len(), length);
        for share in ["time_share_a", "meant_share_a"] {
            assert_eq!(chart[share].as_array().unwrap().len(), length);
        }
        assert_eq!(
            chart["hashrate"]["A"][0],
            Value::Null,
            "DPMP did not run then"
        );
    }
    // Stopping takes one last sample and saves, so the current quarter of an hour is known then.
    proxy.restart();
    assert!(proxy.file("history.json").exists());
    let chart = http(&proxy).get("/api/v1/history?range=7d").json();
    let last = &chart["hashrate"]["A"][671];
    let before = &chart["hashrate"]["A"][670];
    // Unless a quarter of an hour has just ended.
    assert!(last.as_f64().or(before.as_f64()).unwrap() > 0.0, "{last}");

    // An unreadable file is kept and reported.
    proxy.stop();
    fs::write(proxy.file("history.json"), "{").unwrap();
    proxy.start_again();
    assert!(proxy.file("history.json.unreadable").exists());
    wait_for_alert(&proxy, "state_trouble");
}

#[test]
fn alerts_say_what_is_wrong_and_end_with_it() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let mut proxy = Setup::new(&a, &b).start();
    wait_for_alert(&proxy, "no_miner");
    assert!(alerts(&proxy).contains(&"no_password".to_owned()));
    let _miner = miner(proxy.address(), |_| ());
    wait_until(SOON, "the miner", || {
        !alerts(&proxy).contains(&"no_miner".into())
    });
    a.go_down();
    wait_for_alert(&proxy, "pool_down:A");
    let down = status(&proxy);
    assert_eq!(down["pools"]["A"]["state"], "down");
    assert!(down["pools"]["A"]["state_reason"].is_string());
    assert_eq!(down["pools"]["A"]["job_age_seconds"], Value::Null);
    a.come_back().unwrap();
    wait_until(SOON * 2, "the pool", || {
        !alerts(&proxy).contains(&"pool_down:A".into())
    });

    // A new payout address is reported, even after a restart.
    proxy.rewrite_config(|config| config["pools"]["B"]["wallet"] = json!("other"));
    wait_for_alert(&proxy, "payout_changed:B");
    proxy.restart();
    wait_for_alert(&proxy, "payout_changed:B");
    assert!(!alerts(&proxy).contains(&"payout_changed:A".into()));
    // The owner confirms the change.
    let owner = http(&proxy).with_token();
    let told = status(&proxy);
    let told = told["alerts"].as_array().unwrap().iter();
    let id = told
        .map(|alert| alert["id"].as_str().unwrap())
        .find(|id| id.starts_with("payout_changed:B"))
        .unwrap()
        .to_owned();
    let other = json!({"id": "payout_changed:B:7"});
    assert_eq!(owner.post("/api/v1/alerts/seen", &other).status, 404);
    let stranger = http(&proxy);
    let refused = stranger.post("/api/v1/alerts/seen", &json!({"id": id}));
    assert_eq!(
        (refused.status, refused.error_code()),
        (403, "bad_token".into())
    );
    let seen = owner.post("/api/v1/alerts/seen", &json!({"id": id}));
    assert_eq!(seen.status, 200, "{}", seen.text());
    assert!(
        !alerts(&proxy).contains(&"payout_changed:B".into()),
        "at once"
    );
    proxy.restart();
    assert!(
        !alerts(&proxy).contains(&"payout_changed:B".into()),
        "and forever"
    );

    // Changing it back is another change.
    proxy.rewrite_config(|config| config["pools"]["B"]["wallet"] = json!("walletB"));
    wait_for_alert(&proxy, "payout_changed:B");
}

#[test]
fn a_pool_whose_blocks_pay_another_address_raises_an_alert() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b).start();
    proxy.rewrite_config(|config| {
        let pool = &mut config["pools"]["A"];
        pool["wallet"] = json!("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu");
        pool["payout"] = json!("mine");
    });
    let _miner = miner(proxy.address(), |_| ());
    // Two blocks in a row pay someone else, and not only in their first jobs.
    for reward in [1000, 2000] {
        let insight = || status(&proxy)["pools"]["A"]["insight"].clone();
        let before = insight()["height"].clone();
        a.new_block();
        wait_until(SOON, "the block", || insight()["height"] != before);
        a.change(|options| options.pays = vec![(reward, vec![0x51])]);
        wait_until(SOON, "a later job", || insight()["reward"] == reward);
    }
    wait_for_alert(&proxy, "coinbase_pays_other:A");
    let told = status(&proxy);
    assert_eq!(told["pools"]["A"]["insight"]["payout"]["kind"], "pool");
    let alert = &told["alerts"][0];
    assert_eq!(
        (&alert["level"], &alert["title"]),
        (&json!("error"), &json!("A does not pay your address"))
    );
    wait_until(SOON, "the log", || {
        proxy.logged("trouble_began", "coinbase_pays_other:A")
    });
}

#[test]
fn a_wallet_the_pool_rejects_is_reported_as_such() {
    let a = pool("A", |_| ());
    let b = pool("B", |options| options.authorize = AuthorizeRule::NoOne);
    let proxy = Setup::new(&a, &b).start();
    let _miner = miner(proxy.address(), |_| ());
    wait_for_alert(&proxy, "wrong_wallet:B");
    assert!(!alerts(&proxy).contains(&"pool_down:B".into()));
    let miners = http(&proxy).get("/api/v1/miners").json();
    assert_eq!(
        miners["miners"][0]["connections"],
        json!({"A": "ready", "B": "refused"})
    );
}

#[test]
fn the_status_says_when_there_are_no_pools() {
    let proxy = Setup::bare().start();
    wait_until(SOON, "the first snapshot", || {
        status(&proxy)["started_ms"] != 0
    });
    let status = status(&proxy);
    assert_eq!(
        (&status["set_up"], &status["healthy"]),
        (&json!(false), &json!(false))
    );
    for slot in ["A", "B"] {
        assert_eq!(status["pools"][slot]["state"], "not_set_up");
        assert_eq!(status["pools"][slot]["configured"], false);
    }
    let told = alerts(&proxy);
    assert_eq!(told, ["not_set_up:A", "not_set_up:B", "no_password"]);
    let health = http(&proxy).get("/healthz");
    assert_eq!(health.status, 503);
    assert!(health.text().contains("not set up"), "{}", health.text());
}

#[test]
fn requests_under_any_host_name_get_only_health_and_widget() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let _miner = miner(proxy.address(), |_| ());
    wait_until(SOON, "a miner at work", || {
        status(&proxy)["miners_working"] == 1
    });
    let mut http = http(&proxy);
    http.host = "dpmp.example.org:8855".into();
    let health = http.get("/healthz");
    assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
    let widget = http.get("/widgets/stats").json();
    assert_eq!(widget["type"], "four-stats");
    let items = widget["items"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    for item in items {
        assert!(
            ["title", "text", "subtext"]
                .iter()
                .all(|key| item[key].is_string())
        );
    }
    for path in ["/", "/js/api.js", "/api/v1/status", "/api/v1/openapi.json"] {
        let answer = http.get(path);
        assert_eq!(
            (answer.status, answer.error_code()),
            (403, "bad_host".into()),
            "{path}"
        );
    }
}

#[test]
fn the_pages_are_served_with_security_headers() {
    let proxy = Setup::bare().start();
    let http = http(&proxy);
    let home = http.get("/");
    assert_eq!(home.status, 200);
    assert!(home.text().contains("<html"), "{}", home.text());
    for page in [
        "/miners",
        "/timetable",
        "/config",
        "/notifications",
        "/logs",
        "/about",
        "/setup",
    ] {
        assert_eq!(http.get(page).body, home.body, "{page}");
    }
    let script = http.get("/js/api.js");
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    let tag = script.header("etag").unwrap();
    let again = http.send("GET", "/js/api.js", &[("If-None-Match", tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    for path in ["/", "/js/api.js", "/api/v1/status", "/nothing"] {
        let answer = http.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
    let head = http.send("HEAD", "/", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(http.post("/", &json!({})).status, 405);
    assert_eq!(http.get("/../Cargo.toml").status, 404);
    assert_eq!(http.get("/js/../../Cargo.toml").status, 404);
    // A link on another site leads here, but the site's scripts get no data.
    let from_elsewhere = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(http.send("GET", "/", &from_elsewhere, b"").status, 200);
    let refused = http.send("GET", "/api/v1/status", &from_elsewhere, b"");
    assert_eq!(
        (refused.status, refused.error_code()),
        (403, "bad_origin".into())
    );
}

#[test]
fn a_link_leads_to_the_miners_page_at_a_known_pool() {
    const WALLET: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
    let a = pool("A", |_| ());
    // This pool is never dialed, because it gets no work.
    let proxy = Setup::new(&a, &a)
        .set("pools.B.host", "mine.ocean.xyz")
        .set("pools.B.wallet", WALLET)
        .set("scheduler.poolA_weight", 1)
        .set("scheduler.poolB_weight", 0)
        .start();
    let http = http(&proxy);
    let status = http.get("/api/v1/status");
    assert!(!status.text().contains(WALLET), "{}", status.text());
    let pools = &status.json()["pools"];
    let sites = [&pools["A"]["page"], &pools["B"]["page"]];
    assert_eq!(sites, [&Value::Null, &json!("ocean.xyz")]);
    let answer = http.get("/api/v1/pools/B/page");
    let page = format!("https://ocean.xyz/stats/{WALLET}");
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(&*page))
    );
    for none in ["A", "C", "b"] {
        let path = format!("/api/v1/pools/{none}/page");
        assert_eq!(http.get(&path).status, 404, "{none}");
    }
}

#[test]
fn a_hundred_open_pages_work_and_cost_the_miners_nothing() {
    let a = pool("A", |_| ());
    let b = pool("B", |_| ());
    let proxy = Setup::new(&a, &b).start();
    let miner = miner(proxy.address(), |_| ());
    wait_until(SOON, "shares", || miner.ledger().accepted() > 5);
    let http = http(&proxy);
    std::thread::scope(|scope| {
        let pages: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| (0..10).all(|_| http.get("/api/v1/status").status == 200)))
            .collect();
        assert!(pages.into_iter().all(|page| page.join().unwrap()));
    });
    let before = miner.ledger().accepted();
    wait_until(SOON, "shares", || miner.ledger().accepted() > before + 5);
    assert_eq!(miner.ledger().rejected(), 0);
    assert_eq!(miner.ledger().connections(), 1);
}

/// A day's ledger survives a restart. An unreadable file is set aside and reported, and costs nothing else.
#[test]
fn the_ledger_counts_each_day_and_survives_a_restart() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b).start();
    let rig = miner(proxy.address(), |options| options.user = "x.rig".into());
    let row = |proxy: &Proxy| {
        let ledger = http(proxy).get("/api/v1/ledger").json();
        let rows = ledger["days"][0]["rows"].as_array().cloned();
        let is_it = |row: &Value| row["worker"] == "rig" && row["pool"] == "A";
        rows.unwrap_or_default().into_iter().find(is_it)
    };
    let accepted = |proxy: &Proxy| row(proxy).and_then(|row| row["accepted"].as_u64());
    wait_until(SOON, "shares and time", || {
        accepted(&proxy) > Some(3) && row(&proxy).unwrap()["seconds"].as_f64() > Some(0.5)
    });
    let csv = http(&proxy).get("/api/v1/ledger.csv?days=3653").text();
    let mut lines = csv.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("day,worker,pool,pool_name,work,")
    );
    assert!(lines.any(|line| line.contains(",rig,A,A,")), "{csv}");
    assert_eq!(http(&proxy).get("/api/v1/ledger?days=0").status, 422);
    drop(rig);
    let before = accepted(&proxy);
    proxy.restart();
    assert!(accepted(&proxy) >= before);

    proxy.stop();
    for name in ["ledger-today.json", "ledger.json"] {
        fs::write(proxy.file(name), "{").unwrap();
    }
    proxy.start_again();
    wait_for_alert(&proxy, "state_trouble");
    assert_eq!(
        fs::read(proxy.file("ledger-today.json.unreadable")).unwrap(),
        b"{"
    );
    let rig = miner(proxy.address(), |options| options.user = "x.rig".into());
    wait_until(SOON, "mining to continue", || accepted(&proxy) > Some(0));
    drop(rig);
}
