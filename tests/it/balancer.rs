//! Behind a load balancer: how DPMP identifies a miner, and how an instance is taken out of service.

use serde_json::json;

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{AT_ONCE, SOON, http_get, pool, wait_until};

/// A version 2 PROXY header for a miner at this IPv4 address and port 4711.
fn version_2(address: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(address);
    header.extend([10, 0, 0, 1, 0x12, 0x67, 0x0d, 0x17]);
    header
}

/// Connects the way a balancer does for a miner.
fn behind(proxy: &Proxy, header: &[u8]) -> Client {
    let mut client = Client::connect(proxy.address());
    client.send_bytes(header);
    client
}

#[test]
fn a_balancer_names_the_miner_and_limits_apply_to_the_miner() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let proxy = Setup::new(&a, &b)
        .set("listen.proxy_protocol_from", json!(["127.0.0.0/8"]))
        .set("listen.max_miners_per_address", 1)
        .start();
    let mut first = behind(&proxy, b"PROXY TCP4 10.9.8.7 10.0.0.1 4711 3351\r\n");
    first.subscribe();
    assert_eq!(first.authorize()["result"], true);
    let mut work = first.job();
    let share = first.find(&mut work);
    assert_eq!(first.submit(&share)["result"], true);
    wait_until(SOON, "the address in the log", || {
        proxy.logged("miner_connected", "10.9.8.7:4711")
    });

    let mut second = behind(&proxy, &version_2([10, 9, 8, 6]));
    second.subscribe();
    wait_until(SOON, "the address in the log", || {
        proxy.logged("miner_connected", "10.9.8.6:4711")
    });

    let mut same = behind(&proxy, &version_2([10, 9, 8, 7]));
    assert!(same.is_closed_within(AT_ONCE));
    wait_until(SOON, "the limit in the log", || {
        proxy.logged("limit_reached", "10.9.8.7")
    });

    // The balancer itself connects, for its health check.
    let mut own = behind(&proxy, b"PROXY UNKNOWN\r\n");
    own.subscribe();
    wait_until(SOON, "the address in the log", || {
        proxy.logged("miner_connected", "127.0.0.1:")
    });
}

#[test]
fn a_header_counts_only_from_a_balancer_and_a_balancer_must_send_one() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b).start();
    for header in [
        b"PROXY TCP4 10.9.8.7 10.0.0.1 4711 3351\r\n".to_vec(),
        version_2([10, 9, 8, 7]),
    ] {
        let mut spoofed = behind(&proxy, &header);
        spoofed.send(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
        assert!(spoofed.is_closed_within(AT_ONCE));
        assert!(!proxy.log().contains("10.9.8.7"));
    }
    wait_until(SOON, "the reason in the log", || {
        proxy.logged("miner_turned_away", "listen.proxy_protocol_from")
    });

    // The header is required from the next connection on.
    proxy.rewrite_config(|config| {
        config["listen"]["proxy_protocol_from"] = json!(["127.0.0.1"]);
    });
    wait_until(SOON, "the new setting", || {
        proxy.logged("config_applied", "proxy_protocol_from")
    });
    let mut without = Client::connect(proxy.address());
    without.send(r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    assert!(without.is_closed_within(AT_ONCE));
    wait_until(SOON, "the reason in the log", || {
        proxy.logged("miner_turned_away", "no PROXY header")
    });
}

#[test]
fn a_draining_instance_is_unhealthy_but_serves_until_it_disconnects() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b).set("listen.drain_seconds", 3).start();
    // The newest connections are closed first.
    let (mut stays, mut work) = Client::working(proxy.address());
    let (mut goes, _) = Client::working(proxy.address());
    proxy.ask_to_stop();
    wait_until(SOON, "the instance to be out of service", || {
        http_get(proxy.metrics_address(), "/healthz").is_some_and(|(status, _)| status == 503)
    });
    assert!(goes.is_closed_within(AT_ONCE));
    let share = stays.find(&mut work);
    assert_eq!(stays.submit(&share)["result"], true);
    assert!(stays.is_closed_within(AT_ONCE));
    assert!(proxy.wait_for_end(SOON).success());
}
