//! Floods from outside: they do not fill the log or hide anything important, and every event is counted.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dpmp::sim::pool::SimPool;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{SOON, pool, wait_until};

fn scene() -> (SimPool, SimPool, Proxy) {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let proxy = Setup::new(&a, &b)
        .set("listen.submits_per_second", 0)
        .start();
    (a, b, proxy)
}

fn lines_of(proxy: &Proxy, event: &str) -> usize {
    let event = format!("\"event\":\"{event}\"");
    proxy
        .log()
        .lines()
        .filter(|line| line.contains(&event))
        .count()
}

fn counted(proxy: &Proxy, name: &str, least: f64) {
    wait_until(SOON, name, || {
        proxy.metric(name).is_some_and(|count| count >= least)
    });
}

#[test]
fn each_flood_from_a_miner_is_one_line_with_a_count() {
    let (_a, _b, mut proxy) = scene();
    let (mut client, mut work) = Client::working(proxy.address());
    let share = client.find(&mut work);
    assert_eq!(client.submit(&share)["result"], true);
    for _ in 0..300 {
        let answer = client.ask("mining.unheard-of", &json!([]));
        assert_eq!(answer["error"][0], 20, "{answer}");
        assert_eq!(client.submit(&share)["error"][0], 22);
    }
    counted(
        &proxy,
        "dpmp_malformed_messages_total{side=\"downstream\"}",
        300.0,
    );
    counted(
        &proxy,
        "dpmp_shares_refused_total{reason=\"duplicate\"}",
        300.0,
    );
    let rejected = |log: &str| {
        log.lines()
            .filter(|line| line.contains("duplicate"))
            .count()
    };
    // A separate thread writes the log.
    wait_until(SOON, "a line of each", || {
        (
            lines_of(&proxy, "miner_message_bad"),
            rejected(&proxy.log()),
        ) == (1, 1)
    });
    // Suppressed lines are summed up, at the latest when DPMP stops.
    proxy.stop();
    assert_eq!(lines_of(&proxy, "miner_message_bad"), 2);
    assert!(proxy.logged("miner_message_bad", "\"count\":299"));
    assert!(
        proxy.logged("share_result", "\"count\":299"),
        "{}",
        proxy.log()
    );
}

#[test]
fn pings_between_useless_lines_do_not_save_a_miner() {
    let (_a, _b, proxy) = scene();
    let mut client = Client::connect(proxy.address());
    for _ in 0..200 {
        client.send("useless");
        client.send(r#"{"id":1,"method":"mining.ping","params":[]}"#);
    }
    assert!(client.is_closed_within(SOON));
    wait_until(SOON, "the reason", || {
        proxy.logged("miner_turned_away", "\"rubbish\"")
    });
}

#[test]
fn floods_from_a_pool_do_not_hide_config_changes() {
    let (a, _b, mut proxy) = scene();
    let page = Http::new(proxy.pages_address()).with_token();
    let (_client, _) = Client::working(proxy.address());
    let answer = page.put("/api/v1/weights", &json!({"A": 1, "B": 3}));
    assert_eq!(answer.status, 200);
    let message = json!({"id": null, "method": "client.show_message", "params": ["x".repeat(300)]});
    a.say(&format!("{message}\n").repeat(5000));
    let job = json!({"id": null, "method": "mining.unheard-of", "params": []});
    a.say(&format!("{job}\n").repeat(150));
    counted(
        &proxy,
        "dpmp_malformed_messages_total{side=\"upstream\"}",
        150.0,
    );
    assert!(lines_of(&proxy, "pool_message") <= 2);
    assert!(lines_of(&proxy, "pool_message_bad") <= 2);
    let events = page.get("/api/v1/events").json();
    let is_change = |event: &Value| event["event"]["event"] == "config_applied";
    assert!(events["events"].as_array().unwrap().iter().any(is_change));
    // DPMP drops a pool that keeps flooding.
    let opened = a.ledger().connections_opened();
    wait_until(SOON, "a new connection to the pool", || {
        a.say(&"useless\n".repeat(100));
        a.ledger().connections_opened() > opened
    });
    assert!(proxy.logged("pool_lost", "too many unusable lines"));
    proxy.check_running();
}

#[test]
fn short_connections_are_counted_not_logged_one_by_one() {
    let (_a, _b, proxy) = scene();
    // Not all at once, because each address has its own limit.
    wait_until(SOON, "connections", || {
        (0..50).for_each(|_| drop(TcpStream::connect(proxy.address()).unwrap()));
        let connected = proxy.metric("dpmp_miners_connected_total");
        connected.is_some_and(|count| count >= 600.0)
    });
    let lines = lines_of(&proxy, "miner_connected");
    assert!((300..=330).contains(&lines), "{lines}");
}

#[test]
fn every_refused_connection_is_counted() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let proxy = Setup::new(&a, &b).set("listen.max_miners", 1).start();
    let mut crowd = Vec::new();
    wait_until(SOON, "refusals", || {
        crowd.extend((0..50).map(|_| TcpStream::connect(proxy.address()).unwrap()));
        crowd.len() > 300
    });
    counted(
        &proxy,
        "dpmp_limits_reached_total{limit=\"max_miners\"}",
        300.0,
    );
    assert_eq!(lines_of(&proxy, "limit_reached"), 1);
}

/// A miner that has sent as much as the proxy will read, and has read nothing.
fn never_reads(proxy: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.connect(&proxy.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let patience = Some(Duration::from_millis(500));
    stream.set_write_timeout(patience).unwrap();
    let asked = (0..100_000).try_for_each(|_| {
        stream.write_all(b"{\"id\":1,\"method\":\"mining.ping\",\"params\":[]}\n")
    });
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::WouldBlock);
    stream
}

#[test]
fn miners_that_do_not_read_are_not_read_and_cost_others_nothing() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    // The limit keeps fewer lines on their way to the scheduler than the outbox can hold answers.
    let mut proxy = Setup::new(&a, &b)
        .set("listen.submits_per_second", 500)
        .start();
    let [_never, mut byte_by_byte, mut stops] = [(); 3].map(|()| never_reads(proxy.address()));
    // It stops reading in the middle of a line.
    stops.read_exact(&mut [0; 10_000]).unwrap();
    let (mut client, mut work) = Client::working(proxy.address());
    for _ in 0..20 {
        byte_by_byte.read_exact(&mut [0]).unwrap();
        let share = client.find(&mut work);
        assert_eq!(client.submit(&share)["result"], true);
    }
    // All answers sent so far are whole.
    let mut answers = vec![0; 100_000];
    byte_by_byte.read_exact(&mut answers).unwrap();
    let answers = String::from_utf8(answers).unwrap();
    for answer in answers.lines().skip(1).take(1000) {
        assert_eq!(answer, r#"{"id":1,"result":"pong","error":null}"#);
    }
    proxy.check_running();
}
