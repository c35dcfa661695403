//! Password guessing, and what is reported about the origin of a change.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::{Answer, Http};
use crate::support::proxy::{Proxy, Setup};
use crate::support::{SOON, wait_until};

const PASSWORD: &str = "correct horse battery";

fn page(proxy: &Proxy) -> Http {
    Http::new(proxy.pages_address()).with_token()
}

fn login(page: &Http, password: &str) -> Answer {
    page.post("/api/v1/login", &json!({"password": password}))
}

/// The name and value of a cookie set by an answer.
fn cookie(answer: &Answer, name: &str) -> String {
    let set = answer.all_headers("set-cookie");
    let found = set.iter().find(|set| set.starts_with(name));
    let found = found.unwrap_or_else(|| panic!("no {name} in {set:?}"));
    assert!(found.contains("HttpOnly") && found.contains("SameSite=Strict"));
    found.split(';').next().unwrap().to_owned()
}

#[test]
fn a_flood_of_wrong_passwords_locks_nobody_out_and_is_reported() {
    let proxy = Setup::bare().start();
    let mut owner = page(&proxy);
    let set = json!({"current": null, "new": PASSWORD});
    let set = owner.post("/api/v1/password", &set);
    assert_eq!(set.status, 200, "{}", set.text());
    owner.cookie = Some(cookie(&set, "dpmp_session"));
    let known = cookie(&set, "dpmp_browser");

    let (over, wrong) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let guesser = page(&proxy);
                while !over.load(Ordering::Relaxed) {
                    let status = login(&guesser, "wrong").status;
                    assert!(matches!(status, 401 | 429), "{status}");
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_until(SOON, "the flood", || wrong.load(Ordering::Relaxed) >= 10);
        // From the flood's own address, with nothing to tell the owner apart.
        for _ in 0..2 {
            assert_eq!(login(&page(&proxy), PASSWORD).status, 200);
        }
        // A browser that has opened the page, a known one, and one that is logged in do not wait for the flood.
        let mut visitor = page(&proxy);
        let session = visitor.get("/api/v1/session");
        visitor.cookie = Some(cookie(&session, "dpmp_browser"));
        let mut browser = page(&proxy);
        browser.cookie = Some(known.clone());
        for page in [&visitor, &browser] {
            let start = Instant::now();
            assert_eq!(login(page, PASSWORD).status, 200);
            assert!(start.elapsed() < Duration::from_secs(5));
        }
        let change = json!({"current": PASSWORD, "new": PASSWORD});
        let changed = owner.post("/api/v1/password", &change);
        assert_eq!(changed.status, 200, "{}", changed.text());
        owner.cookie = Some(cookie(&changed, "dpmp_session"));
        assert_eq!(owner.get("/api/v1/status").status, 200);
        wait_until(SOON * 2, "an alert", || {
            let status = owner.get("/api/v1/status").json();
            let alerts = status["alerts"].as_array().unwrap().clone();
            alerts.iter().any(|alert| {
                alert["id"] == "wrong_passwords"
                    && alert["text"].as_str().unwrap().contains("127.0.0.1")
            })
        });
        over.store(true, Ordering::Relaxed);
    });
    assert!(proxy.logged("login", "\"address\":\"127.0.0.1\""));
    let log = proxy.log();
    let refusals = log
        .lines()
        .filter(|line| line.contains("\"login_refused\""));
    let refusals = refusals.count();
    assert!((1..=3).contains(&refusals), "{refusals}");
}

#[test]
fn a_change_is_logged_with_its_origin() {
    let mut proxy = Setup::bare().start();
    let page = page(&proxy);
    let weights = |page: &Http, a: u32| page.put("/api/v1/weights", &json!({"A": a, "B": 1}));
    assert_eq!(weights(&page, 2).status, 200);
    let mut program = page.clone();
    program.origin = None;
    assert_eq!(weights(&program, 3).status, 200);
    proxy.rewrite_config(|config| config["scheduler"] = json!({"poolA_weight": 4}));
    let told = |value: u32, source: &str, address: &str| {
        let log = proxy.log();
        let mut lines = log
            .lines()
            .filter(|line| line.contains("\"config_applied\""));
        lines.any(|line| {
            line.contains(&format!("-> {value}"))
                && line.contains(&format!("\"source\":\"{source}\""))
                && line.contains(&format!("\"address\":{address}"))
        })
    };
    for (value, source, address) in [
        (2, "page", "\"127.0.0.1\""),
        (3, "api", "\"127.0.0.1\""),
        (4, "file", "null"),
    ] {
        wait_until(SOON, "the change in the log", || {
            told(value, source, address)
        });
    }
}
