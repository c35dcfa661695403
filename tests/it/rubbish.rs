//! Whatever arrives from either side gets a clear answer or a clean close, and nobody else loses anything.

use std::time::Duration;

use dpmp::sim::miner::SimMiner;
use dpmp::sim::miner::options::Pace;
use dpmp::sim::pool::SimPool;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{AT_ONCE, SOON, http_get, miner, pool, settle, wait_until};

/// The proxy with well-behaved miners.
struct Scene {
    a: SimPool,
    b: SimPool,
    good: [SimMiner; 1],
    proxy: Proxy,
}

impl Scene {
    fn new(change: impl FnOnce(Setup) -> Setup) -> Self {
        let a = pool("A", |_| ());
        let b = pool("B", |_| ());
        let proxy = change(Setup::new(&a, &b)).start();
        let good = [miner(proxy.address(), |_| ())];
        let scene = Self { a, b, good, proxy };
        wait_until(SOON, "good shares", || {
            scene.good[0].ledger().accepted() > 5
        });
        scene
    }

    /// The well-behaved miners have lost nothing and keep working.
    #[track_caller]
    fn check(mut self) {
        self.proxy.check_running();
        let ledger = self.good[0].ledger();
        let accepted = ledger.accepted();
        wait_until(SOON, "more good shares", || {
            ledger.accepted() > accepted + 10
        });
        settle(&self.good);
        assert_eq!(ledger.rejected(), 0, "{:?}", ledger.rejections());
        assert_eq!(ledger.violations(), []);
        assert_eq!(ledger.connections(), 1);
        for pool in [&self.a, &self.b] {
            assert_eq!(pool.ledger().refused(), 0, "{}", pool.ledger().summary());
            assert_eq!(pool.ledger().violations(), []);
        }
    }
}

#[test]
fn other_protocols_are_disconnected_immediately() {
    let scene = Scene::new(|setup| setup);
    let hellos: [&[u8]; 5] = [
        // A TLS ClientHello: bfgminer waits up to 20 s for an answer to it.
        &[
            0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
        ],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.0\r\n\r\n{\"id\":1}\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        &[b'a'; 200_000],
    ];
    for hello in hellos {
        let mut client = Client::connect(scene.proxy.address());
        client.send_bytes(hello);
        let start = String::from_utf8_lossy(&hello[..5]).into_owned();
        assert!(client.is_closed_within(AT_ONCE), "{start:?}");
    }
    scene.check();
}

#[test]
fn lines_that_are_not_requests_get_an_error_and_do_no_harm() {
    let scene = Scene::new(|setup| setup);
    let (mut client, mut work) = Client::working(scene.proxy.address());
    let deep = format!(
        "{{\"id\":5,\"method\":\"x\",\"params\":{}",
        "[".repeat(5000)
    );
    for (line, id) in [
        ("{ id: null, result: [], error: true }", Value::Null),
        ("{\"id\":77,\"method\":\"mining.submit\"", json!(77)),
        (
            r#"{"id": 78, "method": "mining.authorize", "params": ["w.r"ig"]}"#,
            json!(78),
        ),
        ("[1,2,3]", Value::Null),
        ("null", Value::Null),
        ("\u{fffd}\u{1}", Value::Null),
        (&deep, Value::Null),
    ] {
        client.send(line);
        let answer = client.answer_to(&id);
        assert_eq!(answer["error"][0], 20, "{line}: {answer}");
    }
    // Empty lines do not disconnect it either, however many.
    client.send_bytes(&b"\n\r\n\0\n \n".repeat(100));
    // After all this rubbish it can still mine.
    let share = client.find(&mut work);
    assert_eq!(client.submit(&share)["result"], true);
    client.send_bytes(&[0xff, 0x00, 0xfe, b'\n'].repeat(200));
    assert!(client.is_closed_within(AT_ONCE), "after this much rubbish");
    scene.check();
}

#[test]
fn half_open_handshakes_time_out() {
    let scene = Scene::new(|setup| setup.set("listen.authorize_seconds", 1));
    let mut clients: Vec<Client> = (0..20)
        .map(|_| Client::connect(scene.proxy.address()))
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        match number % 4 {
            0 => client.send_bytes(b"{\"id\":1,\"method\":\"mining.subscr"),
            1 => client.send(r#"{"id":1,"method":"mining.subscribe","params":["x"]}"#),
            2 => {
                client.send(r#"{"id":1,"method":"mining.subscribe","params":["x"]}"#);
                client.close_sending();
            }
            _ => (),
        }
    }
    for client in &mut clients {
        assert!(client.is_closed_within(AT_ONCE));
    }
    wait_until(SOON, "only the good miner to be left", || {
        scene.proxy.metric("dpmp_downstream_connections") == Some(1.0)
    });
    scene.check();
}

#[test]
fn a_miner_that_does_not_read_is_cut_off() {
    let scene = Scene::new(|setup| setup.set("listen.submits_per_second", 0));
    let mut stuck = Client::connect(scene.proxy.address());
    stuck.subscribe();
    stuck.authorize();
    // The answers to these fill every buffer on the way if the client does not read them.
    let flood = r#"{"id":"0123456789012345678901234567890123456789012345678901234567890123456789","method":"mining.unheard-of"}"#;
    let flood = format!("{flood}\n").repeat(1000);
    let connections = || scene.proxy.metric("dpmp_downstream_connections");
    wait_until(SOON * 2, "the stuck miner to be cut off", || {
        stuck.send_bytes(flood.as_bytes());
        connections() == Some(1.0)
    });
    let slow = miner(scene.proxy.address(), |options| {
        options.stops_reading = true;
        options.reconnect = None;
        options.pace = Pace::Shares(50.0);
    });
    wait_until(SOON, "shares of the miner that stops reading", || {
        slow.ledger().submitted() > 20
    });
    drop(slow);
    scene.check();
}

#[test]
fn a_flood_of_submits_is_answered_and_not_forwarded() {
    let scene = Scene::new(|setup| setup.set("listen.submits_per_second", 20));
    let (mut client, work) = Client::working(scene.proxy.address());
    let before = scene.a.ledger().shares().len() + scene.b.ledger().shares().len();
    let params = json!([
        client.user,
        work.notify.job_id,
        "00".repeat(work.e2_size),
        // Numbers out of range.
        "00000000",
        "00000000"
    ]);
    let line = |id: u32| json!({"id": id, "method": "mining.submit", "params": params}).to_string();
    let mut texts = std::collections::BTreeMap::new();
    // More than a minute's worth, at four times the limit, which is how fast a miner is read.
    for burst in 0..5 {
        let ids = 1000 + burst * 450..1450 + burst * 450;
        let lines: String = ids.clone().map(|id| line(id) + "\n").collect();
        client.send_bytes(lines.as_bytes());
        for id in ids {
            let answer = client.answer_to(&json!(id));
            // In the end, the job has been forgotten.
            let text = answer["error"][1].to_string();
            let code = if text == "\"Job not found\"" { 21 } else { 20 };
            assert_eq!(answer["error"][0], code, "{answer}");
            *texts.entry(text).or_insert(0) += 1;
        }
    }
    println!("{texts:?}");
    let refused = texts.get("\"Too many requests\"");
    assert!(refused.is_some_and(|count| *count >= 100), "{texts:?}");
    let after = scene.a.ledger().shares().len() + scene.b.ledger().shares().len();
    let good = scene.good[0].ledger().submitted();
    assert!(u64::try_from(after - before).unwrap() <= good);
    // A miner that does not even wait for answers may be cut off, but harms nobody.
    let flood: String = (0..20_000).map(|id| line(id) + "\n").collect();
    client.send_bytes(flood.as_bytes());
    scene.check();
}

#[test]
fn invalid_lines_from_a_pool_do_not_reach_the_miner() {
    let scene = Scene::new(|setup| setup);
    for rubbish in [
        "{ id: null, result: [], error: true }\n",
        "\n\n\u{1}\u{2}\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "{\"id\":999999,\"result\":true,\"error\":null}\n",
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[]}\n",
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"1\",\"00\",\"\",\"\",[],\"\",\"\",\"\",true]}\n",
        "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[0]}\n",
        "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[\"much\"]}\n",
        "{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"hello\"]}\n",
        "{\"id\":null,\"method\":\"mining.unheard-of\",\"params\":{}}\n",
    ] {
        scene.a.say(rubbish);
    }
    scene.a.say(&format!("{}\n", "[".repeat(100_000)));
    scene
        .a
        .say("{\"id\":77,\"method\":\"client.get_version\",\"params\":[]}\n");
    scene
        .a
        .say("{\"id\":\"p\",\"method\":\"mining.ping\",\"params\":[]}\n");
    wait_until(SOON, "answers to the pool's questions", || {
        scene.a.ledger().replies().len() == 2
    });
    // Nobody knows what this line was meant to change, so DPMP closes the connection. No share may be in flight then,
    // since it would be lost.
    settle(&scene.good);
    let opened = scene.a.ledger().connections_opened();
    scene
        .a
        .say("{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"xy\",-1]}\n");
    wait_until(SOON, "a new connection to the pool", || {
        scene.a.ledger().connections_opened() > opened
    });
    scene.good[0].pause(false);
    scene.check();
}

#[test]
fn an_endless_line_from_a_pool_closes_only_that_connection() {
    let scene = Scene::new(|setup| setup);
    let opened = scene.a.ledger().connections_opened();
    for _ in 0..20 {
        scene.a.say(&"x".repeat(100_000));
    }
    wait_until(SOON, "a new connection to the pool", || {
        scene.a.ledger().connections_opened() > opened
    });
    let ledger = scene.good[0].ledger();
    assert_eq!(ledger.connections(), 1);
    wait_until(SOON, "shares after that", || {
        let jobs = ledger.jobs();
        let last = jobs.last().unwrap();
        last.tag.as_deref() == Some("A") && scene.a.ledger().connections_open() == 1
    });
    assert_eq!(ledger.violations(), []);
}

#[test]
fn no_more_miners_are_let_in_than_the_system_can_serve() {
    // 60 files, minus a tenth and the program's own, at three per miner.
    let scene = Scene::new(|setup| setup.open_files(60));
    let mut crowd: Vec<Client> = (1..7)
        .map(|_| Client::connect(scene.proxy.address()))
        .collect();
    for client in &mut crowd {
        client.subscribe();
        assert_eq!(client.authorize()["result"], true);
        client.job();
    }
    let mut one_more = Client::connect(scene.proxy.address());
    assert!(one_more.is_closed_within(AT_ONCE));
    wait_until(SOON, "the reason in the log", || {
        scene
            .proxy
            .logged("accept_failed", "this system can serve 7 miners")
    });
    drop(crowd);
    wait_until(SOON, "a free seat", || {
        let mut next = Client::connect(scene.proxy.address());
        !next.is_closed_within(Duration::from_millis(300))
    });
    scene.check();
}

/// Too many miners share connections to have their own, and the pools turn out not to allow that: DPMP keeps running and
/// says what is missing.
#[test]
fn miners_beyond_the_room_for_own_connections_do_not_bring_dpmp_down() {
    let [a, b] = ["A", "B"].map(|name| pool(name, |options| options.e2_size = 2));
    let proxy = Setup::new(&a, &b)
        .set("pools.A.connections", "shared")
        .set("pools.B.connections", "shared")
        .open_files(60)
        .start();
    let mut crowd: Vec<Client> = (0..14).map(|_| Client::connect(proxy.address())).collect();
    for client in &mut crowd {
        client.subscribe();
        client.send(r#"{"id":9,"method":"mining.authorize","params":["w.rig","x"]}"#);
    }
    let why = "no room for more connections: it allows 60 open files (ulimit -n)";
    wait_until(SOON, "the reason in the log", || {
        proxy.logged("pool_lost", why)
    });
    let open = || a.ledger().connections_open() + b.ledger().connections_open();
    // DPMP's own test connections included.
    assert!((1..14).contains(&open()), "{}", open());
    let (_, status) = http_get(proxy.pages_address(), "/api/v1/status").unwrap();
    assert!(status.contains("no_own_connection"), "{status}");
    // Fewer miners all get theirs.
    crowd.drain(4..);
    wait_until(
        SOON + Duration::from_secs(60),
        "a connection for each",
        || open() == 8,
    );
}
