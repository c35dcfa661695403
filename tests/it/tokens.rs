//! Programs that use the API: what their tokens give access to, and nothing more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{Answer, Http};
use crate::support::proxy::{Proxy, Setup};
use crate::support::{SOON, wait_until};

const PASSWORD: &str = "correct horse battery";
const TOKENS: &str = "/api/v1/tokens";

/// The page of an owner who has set a password and logged in.
fn owner(proxy: &Proxy) -> Http {
    let mut page = Http::new(proxy.pages_address()).with_token();
    let set = page.post(
        "/api/v1/password",
        &json!({"current": null, "new": PASSWORD}),
    );
    assert_eq!(set.status, 200, "{}", set.text());
    let cookie = set.header("set-cookie").unwrap().to_owned();
    page.cookie = cookie.split(';').next().map(str::to_owned);
    page
}

/// Creates a token.
#[track_caller]
fn make(page: &Http, name: &str, may: &str) -> String {
    let wanted = json!({"name": name, "may": may, "password": PASSWORD});
    let made = page.post(TOKENS, &wanted);
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["token"].as_str().unwrap().to_owned()
}

/// A request from a program that has no cookies and uses its own name for this host.
fn ask(proxy: &Proxy, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let mut program = Http::new(proxy.pages_address());
    program.host = "miner-proxy.example".into();
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str())];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    program.send(method, path, &headers, body.as_bytes())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let found = (answer.status, answer.error_code());
    assert_eq!(found, (status, code.to_owned()), "{}", answer.text());
}

#[test]
fn a_token_gives_its_access_until_it_is_revoked() {
    let mut proxy = Setup::bare().start();
    let page = owner(&proxy);
    // Only the owner can create one, with the password.
    let wanted = |password: Value| json!({"name": "ha", "may": "view", "password": password});
    for wrong in [Value::Null, json!("not the password")] {
        refused(&page.post(TOKENS, &wanted(wrong)), 401, "wrong_password");
    }
    let stranger = Http::new(proxy.pages_address()).with_token();
    let by_stranger = stranger.post(TOKENS, &wanted(json!(PASSWORD)));
    refused(&by_stranger, 401, "login_required");
    for (key, wrong) in [("may", json!("everything")), ("name", json!(" "))] {
        let mut body = wanted(json!(PASSWORD));
        body[key] = wrong;
        let answer = page.post(TOKENS, &body);
        refused(&answer, 422, "invalid_value");
        assert_eq!(answer.json()["error"]["field"], key);
    }
    let view = make(&page, "ha", "view");
    let steer = make(&page, "wall.display", "steer");
    refused(
        &page.post(TOKENS, &wanted(json!(PASSWORD))),
        409,
        "conflict",
    );
    let listed = page.get(TOKENS).json();
    let all = json!([{"name": "ha", "may": "view"}, {"name": "wall.display", "may": "steer"}]);
    assert_eq!(listed, json!({ "tokens": all }));
    let file = std::fs::read_to_string(proxy.file("config.json")).unwrap();
    assert!(
        file.contains("wall.display") && !file.contains("dpmp_"),
        "{file}"
    );
    let shown = page.get("/api/v1/config");
    assert!(!shown.text().contains("wall.display"), "{}", shown.text());
    let backup = page.get("/api/v1/config/backup");
    assert!(!backup.text().contains("wall.display"));

    let get = |token: &str, path: &str| ask(&proxy, token, "GET", path, &Value::Null);
    for token in [&view, &steer] {
        for path in ["status", "miners", "miners.csv", "history"] {
            let answer = get(token, &format!("/api/v1/{path}"));
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
        for path in [
            "config",
            "config/backup",
            "events",
            "logs",
            "logs/download",
            "pools/A/page",
            "tokens",
            "notify",
        ] {
            refused(
                &get(token, &format!("/api/v1/{path}")),
                403,
                "not_permitted",
            );
        }
        for (method, path) in [
            ("PUT", "/api/v1/config"),
            ("POST", "/api/v1/config/restore"),
            ("POST", "/api/v1/password"),
            ("POST", "/api/v1/pool-test"),
            ("POST", "/api/v1/notify/test"),
            ("POST", "/api/v1/alerts/seen"),
            ("POST", TOKENS),
            ("DELETE", TOKENS),
        ] {
            let answer = ask(&proxy, token, method, path, &json!({}));
            refused(&answer, 403, "not_permitted");
        }
    }
    let change = json!({"work": "A", "workers": ["*"]});
    let set = ask(&proxy, &steer, "PUT", "/api/v1/override", &change);
    let by = set.json()["by"].as_str().unwrap_or_default().to_owned();
    assert!(by.starts_with("the program wall.display at "), "{by}");
    let all = json!({"workers": ["*"]});
    let ended = ask(&proxy, &steer, "DELETE", "/api/v1/override", &all);
    assert_eq!(ended.status, 200, "{}", ended.text());
    let weights = |token: &str, body: Value| ask(&proxy, token, "PUT", "/api/v1/weights", &body);
    refused(
        &weights(&view, json!({"A": 70, "B": 30})),
        403,
        "not_permitted",
    );
    let unknown = weights(&steer, json!({"A": 70, "B": 30, "until": 5}));
    refused(&unknown, 400, "bad_request");
    let told = unknown.text();
    assert!(
        told.contains("There is no field until here. Allowed: A, B, before."),
        "{told}"
    );
    let pool = get(&view, "/api/v1/status").json()["pools"]["A"]["target_share"].clone();
    assert_eq!(pool, 0.5, "nothing has changed");
    let done = weights(&steer, json!({"A": 70, "B": 30}));
    assert_eq!(done.status, 200, "{}", done.text());
    let pool = get(&view, "/api/v1/status").json()["pools"]["A"]["target_share"].clone();
    assert_eq!(pool, 0.7);

    // Other text is ignored, but a wrong token is refused, even where no login is needed.
    refused(&get("of-a-proxy", "/api/v1/status"), 403, "bad_host");
    refused(&get(&view[..20], "/api/v1/status"), 401, "wrong_token");
    assert_eq!(get(&view[..20], "/healthz").status, 503);

    // Saving the whole configuration keeps the tokens, and so does a restart.
    let read = page.get("/api/v1/config").json();
    let mut config = read["config"].clone();
    config["scheduler"]["slice_seconds"] = json!(20);
    let save = |config: &Value| {
        page.put(
            "/api/v1/config",
            &json!({"etag": read["etag"], "config": config}),
        )
    };
    let mut forged = config.clone();
    forged["gui"]["tokens"] = json!({"x": {"hash": "ab".repeat(32), "may": "steer"}});
    refused(&save(&forged), 422, "invalid_config");
    assert_eq!(save(&config).status, 200);
    let restored = page.post(
        "/api/v1/config/restore",
        &json!({"text": forged.to_string()}),
    );
    assert_eq!(restored.status, 200, "{}", restored.text());
    assert_eq!(page.get(TOKENS).json(), listed);
    let made = "\"may\":\"steer\"";
    wait_until(SOON, "the event", || proxy.logged("token_made", made));
    assert!(!proxy.log().contains(&view), "a token is never logged");
    proxy.restart();
    let page = {
        let mut page = Http::new(proxy.pages_address()).with_token();
        let login = page.post("/api/v1/login", &json!({"password": PASSWORD}));
        let cookie = login.header("set-cookie").unwrap().to_owned();
        page.cookie = cookie.split(';').next().map(str::to_owned);
        page
    };
    let status = |token: &str| ask(&proxy, token, "GET", "/api/v1/status", &Value::Null);
    assert_eq!(status(&steer).status, 200);
    let revoke = |body: Value| {
        let json = [("Content-Type", "application/json")];
        page.send("DELETE", TOKENS, &json, body.to_string().as_bytes())
    };
    refused(
        &revoke(json!({"name": "wall.display"})),
        401,
        "wrong_password",
    );
    let unknown = revoke(json!({"name": "wall", "password": PASSWORD}));
    refused(&unknown, 404, "not_found");
    let done = revoke(json!({"name": "wall.display", "password": PASSWORD}));
    assert_eq!(done.status, 200, "{}", done.text());
    refused(&status(&steer), 401, "wrong_token");
    assert_eq!(status(&view).status, 200);
    for (event, part) in [
        ("token_revoked", "\"name\":\"wall.display\""),
        ("token_refused", "\"address\":\"127.0.0.1\""),
    ] {
        wait_until(SOON, event, || proxy.logged(event, part));
    }
    assert!(!proxy.log().contains(&view), "a token is never logged");
}

#[test]
fn without_a_password_a_token_is_still_checked() {
    let proxy = Setup::bare().start();
    let page = Http::new(proxy.pages_address()).with_token();
    let made = page.post(TOKENS, &json!({"name": "ha", "may": "view"}));
    assert_eq!(made.status, 200, "{}", made.text());
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let status = |token: &str| ask(&proxy, token, "GET", "/api/v1/status", &Value::Null);
    assert_eq!(status(&token).status, 200);
    refused(&status("dpmp_00"), 401, "wrong_token");
}

#[test]
fn a_flood_of_wrong_tokens_slows_nobody_else_down() {
    let proxy = Setup::bare().start();
    let page = owner(&proxy);
    let token = make(&page, "ha", "view");
    let (over, wrong) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (proxy, over, wrong) = (&proxy, &over, &wrong);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let token = format!("dpmp_{number:064}");
                    let answer = ask(proxy, &token, "GET", "/api/v1/status", &Value::Null);
                    assert!(matches!(answer.status, 401 | 429), "{}", answer.text());
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_until(SOON, "the flood", || wrong.load(Ordering::Relaxed) >= 10);
        let start = Instant::now();
        for _ in 0..5 {
            let answer = ask(&proxy, &token, "GET", "/api/v1/status", &Value::Null);
            assert_eq!(answer.status, 200);
        }
        let login = page.post("/api/v1/login", &json!({"password": PASSWORD}));
        assert_eq!(login.status, 200, "{}", login.text());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        over.store(true, Ordering::Relaxed);
    });
    let log = proxy.log();
    let refusals = log
        .lines()
        .filter(|line| line.contains("\"token_refused\""));
    assert!(
        (1..=3).contains(&refusals.count()),
        "counted, without a line for each"
    );
}
