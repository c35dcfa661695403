//! Miners that use TLS: which certificate they see, that nothing else changes for them, and what is reported if it
//! fails.

use std::net::SocketAddr;

use rcgen::date_time_ymd;
use serde_json::json;
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::proxy::{self, Proxy, Setup};
use crate::support::tls::{Front, Identity, distrust, shown_fingerprint};
use crate::support::{AT_ONCE, SOON, free_port, local, miner, pool, settle, wait_until};

/// A proxy with a certificate, and the address of its TLS port.
fn encrypted(setup: Setup, folder: &TempDir, identity: &Identity) -> (Proxy, SocketAddr) {
    let file = folder.path().join("own.pem");
    std::fs::write(&file, identity.pem()).unwrap();
    let port = free_port();
    let setup = setup
        .set("listen.tls_port", port)
        .set("listen.tls_certificate", file.to_str().unwrap());
    (setup.start(), local(port))
}

#[test]
fn miners_may_use_tls_or_plain_text_even_behind_a_balancer() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(&a, &b);
    let (proxy, address) = encrypted(setup, &folder, &Identity::good());
    let tunnel = Front::tunnel(address);
    let miners = [
        miner(tunnel.address(), |_| ()),
        miner(tunnel.address(), |_| ()),
        miner(proxy.address(), |_| ()),
    ];
    wait_until(SOON, "shares of all at both pools", || {
        miners.iter().all(|miner| miner.ledger().accepted() > 20)
            && [&a, &b].iter().all(|pool| pool.ledger().accepted() > 20)
    });
    settle(&miners);
    for miner in &miners {
        assert_eq!(miner.ledger().rejected(), 0);
        assert_eq!(miner.ledger().violations(), []);
        assert_eq!(miner.ledger().connections(), 1);
    }
    assert_eq!(a.ledger().refused() + b.ledger().refused(), 0);
    let started = format!("\"listen_tls\":\"{address}\"");
    assert!(proxy.logged("started", &started), "{}", proxy.log());
    drop(proxy);
    wait_until(SOON, "a close notification", || tunnel.clean_closes() == 2);
}

#[test]
fn a_balancer_may_stand_in_front_of_tls() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(&a, &b).set("listen.proxy_protocol_from", json!(["127.0.0.0/8"]));
    let (proxy, address) = encrypted(setup, &folder, &Identity::good());
    let header = b"PROXY TCP4 10.9.8.7 10.0.0.1 4711 3352\r\n";
    let balancer = Front::balancer(header, address);
    let (mut client, mut work) = Client::working(balancer.address());
    let share = client.find(&mut work);
    assert_eq!(client.submit(&share)["result"], true);
    wait_until(SOON, "the address in the log", || {
        proxy.logged("miner_connected", "10.9.8.7:4711")
    });
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Identity::good(), Identity::good());
    let (proxy, address) = encrypted(Setup::new(&a, &b), &folder, &first);
    assert_eq!(shown_fingerprint(address), first.fingerprint());
    let file = folder.path().join("own.pem");
    std::fs::write(&file, "nothing of the kind").unwrap();
    assert_eq!(shown_fingerprint(address), first.fingerprint());
    wait_until(SOON, "a warning", || {
        proxy.logged("config_warning", "DPMP keeps using the previous one")
    });
    std::fs::write(&file, second.pem()).unwrap();
    assert_eq!(shown_fingerprint(address), second.fingerprint());
    // The key belongs to another certificate.
    let [mixed, key] = [&first, &second].map(Identity::pem);
    let certificate = mixed.split_inclusive("-----END CERTIFICATE-----\n").next();
    let key = key.split_inclusive("-----END CERTIFICATE-----\n").last();
    std::fs::write(&file, format!("{}{}", certificate.unwrap(), key.unwrap())).unwrap();
    assert_eq!(shown_fingerprint(address), second.fingerprint());
}

#[test]
fn tls_failures_are_reported() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let folder = tempfile::tempdir().unwrap();
    let (proxy, address) = encrypted(Setup::new(&a, &b), &folder, &Identity::good());
    let refused = |text: &str| {
        wait_until(SOON, text, || {
            proxy.logged("miner_turned_away", "tls_failed")
                && proxy.logged("miner_turned_away", text)
        });
    };
    let mut plain = Client::connect(address);
    plain.send_bytes(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    assert!(plain.is_closed_within(AT_ONCE));
    refused("it sends plain text to the TLS port");
    wait_until(SOON, "the warning about the certificate", || {
        distrust(address);
        proxy.logged(
            "miner_turned_away",
            "the miner does not trust the certificate",
        )
    });
    let mut silent = Client::connect(address);
    assert!(silent.is_closed_within(SOON));
    refused("it takes too long");
    let counted = proxy.metric("dpmp_miners_turned_away_total{reason=\"tls_failed\"}");
    assert!(counted >= Some(3.0), "{counted:?}");
}

#[test]
fn plain_text_still_works_without_a_usable_certificate() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let port = free_port();
    let proxy = Setup::new(&a, &b)
        .set("listen.tls_port", port)
        .set("listen.tls_certificate", "nowhere.pem")
        .start();
    let why = "listen.tls_port is not open: listen.tls_certificate";
    assert!(proxy.logged("accept_failed", why), "{}", proxy.log());
    assert!(std::net::TcpStream::connect(local(port)).is_err());
    let status = Http::new(proxy.pages_address())
        .get("/api/v1/status")
        .json();
    assert!(status["alerts"].to_string().contains(why), "{status}");
    let (mut client, mut work) = Client::working(proxy.address());
    let share = client.find(&mut work);
    assert_eq!(client.submit(&share)["result"], true);
}

#[test]
fn check_examines_the_certificate() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let check = |file: &str| {
        let config = Setup::new(&a, &b)
            .set("listen.tls_certificate", file)
            .config;
        std::fs::write(&path, config.to_string()).unwrap();
        proxy::check(&path)
    };
    std::fs::write(folder.path().join("own.pem"), Identity::good().pem()).unwrap();
    let (good, text) = check("own.pem");
    assert!(
        good && text.contains("port 3352, encrypted, for miners"),
        "{text}"
    );
    let (good, text) = check("config.json");
    assert!(
        !good && text.contains("there is no certificate in it"),
        "{text}"
    );
}

#[test]
fn an_expired_certificate_gives_a_warning() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let expired = Identity::known(|params| params.not_after = date_time_ymd(2001, 1, 1));
    for (identity, why) in [
        (&expired, "the certificate expired"),
        (
            &Identity::self_signed_and_expired(),
            "the certificate expired",
        ),
        (
            &Identity::known(|params| params.not_before = date_time_ymd(3000, 1, 1)),
            "the certificate will not be valid for another",
        ),
    ] {
        let file = folder.path().join("own.pem");
        std::fs::write(&file, identity.pem()).unwrap();
        let config = Setup::new(&a, &b)
            .set("listen.tls_certificate", "own.pem")
            .config;
        std::fs::write(&path, config.to_string()).unwrap();
        let (good, text) = proxy::check(&path);
        assert!(!good && text.contains(why), "{text}");
    }
    let (proxy, _) = encrypted(Setup::new(&a, &b), &folder, &expired);
    assert!(proxy.logged("config_warning", "the certificate expired"));
}

#[test]
fn a_file_with_other_contents_is_explained() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let pem = Identity::good().pem();
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
    let other = Identity::good().pem();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    for (certificate, key, why) in [
        (
            key,
            key,
            "but a private key: that file belongs in listen.tls_key",
        ),
        (
            certificate,
            certificate,
            "but a certificate: that file belongs in listen.tls_certificate",
        ),
        (certificate, encrypted, "protected by a password"),
        (request, key, "a request for one"),
        ("0\u{1}\u{2}", key, "It looks like DER"),
        ("", key, "it is empty"),
        (
            certificate,
            &other,
            "the key belongs to another certificate",
        ),
    ] {
        std::fs::write(folder.path().join("own.pem"), certificate).unwrap();
        std::fs::write(folder.path().join("own.key"), key).unwrap();
        let config = Setup::new(&a, &b)
            .set("listen.tls_certificate", "own.pem")
            .set("listen.tls_key", "own.key")
            .config;
        std::fs::write(&path, config.to_string()).unwrap();
        let (good, text) = proxy::check(&path);
        assert!(!good && text.contains(why), "{why}: {text}");
    }
}
