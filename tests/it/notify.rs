//! Messages to the owner: what the services receive, how failures are handled, and that mining is not affected.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use dpmp::sim::chain::judge::Verdict;
use dpmp::system::net::Port;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::http::{Answer, Http};
use crate::support::proxy::{self, Proxy, Setup};
use crate::support::tls::{Front, Identity};
use crate::support::{SOON, miner, pool, serve, wait_until};

/// Text that must never be shown.
const SECRETS: [&str; 3] = ["topic-k3j9", "tok-secret", "hook-secret"];

/// A service that answers every request alike and remembers what it received.
struct Service {
    port: Port,
    status: Arc<AtomicU16>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// In place of a status: never answers.
const HANG: u16 = 0;

impl Service {
    fn new(status: u16) -> Self {
        Self::with(status, "", "{}")
    }

    fn with(status: u16, header: &'static str, body: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (Arc::clone(&status), Arc::clone(&requests));
        let port = serve(move |mut stream| {
            let Some(request) = read(&mut stream) else {
                let _ = stream.write_all(b"HTTP/1.1 400 x\r\n\r\n");
                return;
            };
            seen.lock().push(request);
            let status = answers.load(Ordering::SeqCst);
            if status == HANG {
                // Until the other side closes the connection.
                let _ = stream.read(&mut [0; 1]);
                return;
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} x\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        });
        Self {
            port,
            status,
            requests,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    fn address(&self) -> SocketAddr {
        self.port.address()
    }

    fn got(&self, text: &str) -> bool {
        self.requests.lock().iter().any(|it| it.contains(text))
    }

    fn count(&self) -> usize {
        self.requests.lock().len()
    }
}

/// A request and its body.
fn read(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length:")
                        .map(str::to_owned)
                })
                .find_map(|length| length.trim().parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        // A TLS handshake.
        if text.starts_with('\u{16}') {
            return None;
        }
    }
}

/// Causes something that is sent immediately.
fn change_wallet(proxy: &mut Proxy, wallet: &str) {
    proxy.rewrite_config(|config| config["pools"]["B"]["wallet"] = json!(wallet));
}

fn both(target: &Value) -> (dpmp::sim::pool::SimPool, dpmp::sim::pool::SimPool, Proxy) {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let targets = json!({ "phone": target });
    let proxy = Setup::new(&a, &b)
        .set("notify", json!({"targets": targets}))
        .start();
    (a, b, proxy)
}

#[test]
fn each_service_gets_a_message_and_nobody_sees_a_secret() {
    let service = Service::new(200);
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let targets = json!({
        "n": {"kind": "ntfy", "url": service.url("/topic-k3j9"), "token": "tok-secret"},
        "t": {"kind": "telegram", "url": service.url(""), "token": "tok-secret", "chat_id": 77},
        "d": {"kind": "discord", "url": service.url("/api/hook-secret")},
        "g": {"kind": "gotify", "url": service.url(""), "token": "tok-secret"},
        "p": {"kind": "pushover", "url": service.url(""), "token": "tok-secret", "user": "me"},
        "w": {"kind": "webhook", "url": service.url("/hook-secret"), "headers": {"X-Key": "tok-secret"}},
        "h": {"kind": "heartbeat", "url": service.url("/beat")},
        "not": {"kind": "webhook", "url": service.url("/excepted"), "except": ["payout_changed"]},
    });
    let mut proxy = Setup::new(&a, &b)
        .set("notify", json!({"targets": targets}))
        .start();
    let _miner = miner(proxy.address(), |_| ());
    change_wallet(&mut proxy, "other");
    for start in [
        "POST / ",
        "POST /bottok-secret/sendMessage",
        "POST /api/hook-secret",
        "POST /message",
        "POST /1/messages.json",
        "POST /hook-secret",
        "GET /beat",
    ] {
        wait_until(SOON * 2, start, || service.got(start));
    }
    assert!(service.got("\"topic\":\"topic-k3j9\"") && service.got("payout_changed"));
    assert!(!service.got("/excepted"));
    wait_until(SOON, "the counts", || {
        let sent = |kind: &str| {
            proxy.metric(&format!(
                "dpmp_notifications_total{{kind=\"{kind}\",result=\"sent\"}}"
            ))
        };
        ["ntfy", "telegram", "webhook"]
            .iter()
            .all(|kind| sent(kind) == Some(1.0))
    });
    wait_until(SOON, "the log line", || {
        proxy.logged("trouble_began", "payout_changed:B")
    });
    // The log reports a change of the targets without showing them.
    proxy.rewrite_config(|config| config["notify"]["targets"]["n"]["level"] = json!("error"));
    wait_until(SOON, "the change", || {
        proxy.logged("config_applied", "notify.targets")
    });
    let pages = Http::new(proxy.pages_address());
    let mut seen = vec![proxy.log()];
    for path in ["config", "config/backup", "events", "status", "notify"] {
        seen.push(pages.get(&format!("/api/v1/{path}")).text());
    }
    for (text, secret) in seen
        .iter()
        .flat_map(|text| SECRETS.map(|secret| (text, secret)))
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn failed_messages_are_sent_later_even_after_a_restart() {
    let service = Service::new(500);
    let target = json!({"kind": "ntfy", "url": service.url("/topic-k3j9")});
    let (_a, _b, mut proxy) = both(&target);
    let _miner = miner(proxy.address(), |_| ());
    change_wallet(&mut proxy, "other");
    wait_until(SOON * 2, "an attempt", || {
        proxy.logged("message_failed", "HTTP 500")
    });
    proxy.stop();
    let before = service.count();
    service.status.store(200, Ordering::SeqCst);
    proxy.start_again();
    wait_until(SOON * 2, "the message", || {
        proxy.logged("message_sent", "phone")
    });
    assert_eq!(service.count(), before + 1);
    assert!(
        service
            .requests
            .lock()
            .last()
            .unwrap()
            .contains("has changed")
    );
}

#[test]
fn a_hanging_target_delays_neither_mining_nor_other_targets() {
    let (hanging, good) = (Service::new(HANG), Service::new(200));
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let targets = json!({
        "a-hangs": {"kind": "webhook", "url": hanging.url("/x")},
        "b-hangs": {"kind": "heartbeat", "url": hanging.url("/y")},
        "good": {"kind": "webhook", "url": good.url("/x")},
    });
    let mut proxy = Setup::new(&a, &b)
        .set("notify", json!({"targets": targets}))
        .start();
    let _miner = miner(proxy.address(), |_| ());
    wait_until(SOON, "the heartbeat", || hanging.got("GET /y"));
    change_wallet(&mut proxy, "other");
    wait_until(SOON, "the request", || hanging.got("POST /x"));
    wait_until(SOON, "the message", || good.count() == 1);
    // While they hang, the next trouble is still noticed and sent.
    change_wallet(&mut proxy, "third");
    wait_until(SOON, "the next message", || good.count() == 2);
    assert!(!proxy.logged("message_failed", "a-hangs"), "it still hangs");
    assert_eq!(hanging.count(), 2, "one request at a time for each");
    let accepted = || a.ledger().count(Verdict::Accepted) + b.ledger().count(Verdict::Accepted);
    let before = accepted();
    wait_until(SOON, "shares", || accepted() > before + 20);
    let (took, status) = proxy.stop();
    assert!(
        status.success() && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[test]
fn an_untrusted_certificate_is_named_and_sending_is_retried() {
    let plain = Service::new(200);
    let front = Front::new(&Identity::self_signed(), plain.address());
    let url = format!("https://localhost:{}/topic-k3j9", front.port());
    let target = json!({"kind": "ntfy", "url": url, "token": "tok-secret"});
    let (good, text) = test_message(&target);
    assert!(!good && text.contains("certificate"), "{text}");
    let (_a, _b, mut proxy) = both(&target);
    let _miner = miner(proxy.address(), |_| ());
    let before = front.connections();
    change_wallet(&mut proxy, "other");
    wait_until(SOON * 2, "two attempts", || {
        front.connections() >= before + 2 && proxy.logged("message_failed", "certificate")
    });
    let pages = Http::new(proxy.pages_address());
    let history = pages.get("/api/v1/notify").json()["history"].clone();
    assert_eq!(history[0]["result"], "waits");
    assert!(
        history[0]["problem"]
            .as_str()
            .unwrap()
            .contains("certificate")
    );
    for text in [text, history.to_string(), proxy.log()] {
        assert!(
            SECRETS.iter().all(|secret| !text.contains(secret)),
            "{text}"
        );
    }
    assert_eq!(plain.count(), 0, "nothing was sent");
}

/// `dpmp notify --test phone`
fn test_message(target: &Value) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let config = json!({"notify": {"targets": {"phone": target}}});
    std::fs::write(&path, config.to_string()).unwrap();
    proxy::command(&path, &["notify", "--test", "phone"])
}

#[test]
fn a_test_message_shows_what_the_service_says() {
    let says = |service: &Service, good: bool, part: &str| {
        let url = service.url("/topic-k3j9");
        let target = json!({"kind": "ntfy", "url": url, "token": "tok-secret"});
        let (is_good, text) = test_message(&target);
        assert!(is_good == good && text.contains(part), "{text}");
        assert!(
            SECRETS.iter().all(|secret| !text.contains(secret)),
            "{text}"
        );
    };
    says(&Service::new(200), true, "sent (HTTP 200)");
    let unauthorized = r#"{"code":40101,"http":401,"error":"unauthorized for topic-k3j9"}"#;
    says(
        &Service::with(401, "", unauthorized),
        false,
        "HTTP 401: unauthorized for …",
    );
    says(
        &Service::with(429, "Retry-After: 7\r\n", "{}"),
        false,
        "HTTP 429",
    );
    // Redirects are not followed, since they would carry the secret along.
    let elsewhere = Service::new(200);
    let location: &'static str = format!("Location: {}\r\n", elsewhere.url("/x")).leak();
    says(&Service::with(302, location, ""), false, "it redirects");
    assert_eq!(elsewhere.count(), 0);
    // This server does not speak TLS.
    let plain = Service::new(200);
    let url = plain.url("/topic-k3j9").replace("http://", "https://");
    let (good, text) = test_message(&json!({"kind": "ntfy", "url": url}));
    assert!(!good && !text.contains("topic-k3j9"), "{text}");
    assert_eq!(plain.count(), 0);
}

/// Saves a change to the targets as shown.
fn save(pages: &Http, change: impl FnOnce(&mut Value)) -> Answer {
    let mut file = pages.get("/api/v1/config").json();
    change(&mut file["config"]["notify"]["targets"]);
    let body = json!({"etag": file["etag"], "config": file["config"]});
    pages.put("/api/v1/config", &body)
}

fn test_on_page(pages: &Http, body: &Value) -> Value {
    let answer = pages.post("/api/v1/notify/test", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    assert!(
        SECRETS.iter().all(|secret| !text.contains(secret)),
        "{text}"
    );
    answer.json()
}

#[test]
fn a_saved_secret_is_used_only_for_the_host_it_was_saved_for() {
    let good = Service::with(401, "", r#"{"error":"unauthorized for topic-k3j9"}"#);
    let evil = Service::new(200);
    let mut proxy = Setup::bare().start();
    let pages = Http::new(proxy.pages_address()).with_token();
    let phone = json!({"kind": "ntfy", "url": good.url("/topic-k3j9"), "token": "tok-secret"});
    proxy.rewrite_config(|config| config["notify"] = json!({"targets": {"phone": phone}}));
    let shown = || pages.get("/api/v1/notify").json()["targets"]["phone"].clone();
    wait_until(SOON, "the target", || shown()["token"] == "…");
    let file = || std::fs::read_to_string(proxy.file("config.json")).unwrap();
    // Changing another setting keeps the secrets.
    let saved = save(&pages, |it| it["phone"]["level"] = json!("error"));
    assert_eq!(saved.status, 200, "{}", saved.text());
    assert_eq!(shown()["level"], "error");
    assert!(file().contains("topic-k3j9") && file().contains("tok-secret"));
    let answer = test_on_page(&pages, &json!({"name": "phone"}));
    let wanted = json!({"ok": false, "status": 401, "problem": "HTTP 401: unauthorized for …"});
    assert_eq!(answer, wanted);
    assert!(good.got("tok-secret"));
    // Neither saving nor testing sends the secret to another host, or to the same host as another kind.
    let before = file();
    for (key, value) in [
        ("url", json!(evil.url("/topic-k3j9"))),
        ("url", json!(evil.url("/…"))),
        ("kind", json!("gotify")),
    ] {
        let saved = save(&pages, |it| it["phone"][key] = value.clone());
        let mut changed = shown();
        changed[key] = value;
        let body = json!({"name": "phone", "target": changed});
        for answer in [saved, pages.post("/api/v1/notify/test", &body)] {
            assert_eq!(answer.status, 422, "{}", answer.text());
            let text = answer.text();
            assert!(text.contains("notify.targets.phone.token"), "{text}");
            assert!(text.contains("the whole text again"), "{text}");
            assert!(
                SECRETS.iter().all(|secret| !text.contains(secret)),
                "{text}"
            );
        }
    }
    assert_eq!(file(), before);
    assert_eq!((evil.count(), good.count()), (0, 1));
    // With the secret typed again, it works.
    let new = json!({"kind": "ntfy", "url": evil.url("/x"), "token": "new-token"});
    let body = json!({"name": "phone", "target": new});
    assert_eq!(test_on_page(&pages, &body)["ok"], true);
    assert!(evil.got("new-token") && !evil.got("tok-secret"));
    // Too many tests are refused.
    let ask = || pages.post("/api/v1/notify/test", &json!({"name": "phone"}));
    let refused = (0..12).map(|_| ask()).find(|it| it.status == 429).unwrap();
    assert!(refused.header("retry-after").is_some());
    assert_eq!(
        pages
            .post("/api/v1/notify/test", &json!({"name": "x"}))
            .status,
        404
    );
    assert!(SECRETS.iter().all(|secret| !proxy.log().contains(secret)));
}

#[test]
fn sent_and_waiting_messages_are_listed_even_after_a_restart() {
    let service = Service::new(200);
    let target = json!({"kind": "ntfy", "url": service.url("/topic-k3j9")});
    let (_a, _b, mut proxy) = both(&target);
    let _miner = miner(proxy.address(), |_| ());
    let history = |proxy: &Proxy| {
        let pages = Http::new(proxy.pages_address());
        pages.get("/api/v1/notify").json()["history"].clone()
    };
    change_wallet(&mut proxy, "other");
    wait_until(SOON * 2, "the message", || {
        history(&proxy)[0]["result"] == "sent"
    });
    service.status.store(500, Ordering::SeqCst);
    change_wallet(&mut proxy, "third");
    let failed = |proxy: &Proxy| history(proxy)[0]["problem"] == "HTTP 500";
    wait_until(SOON * 2, "the failure", || failed(&proxy));
    proxy.stop();
    proxy.start_again();
    let now = history(&proxy);
    assert_eq!(
        (&now[0]["result"], &now[1]["result"]),
        (&json!("waits"), &json!("sent"))
    );
    assert_eq!(now[1]["target"], "phone");
    assert!(
        now[1]["title"].as_str().unwrap().contains("has changed"),
        "{now}"
    );
}
