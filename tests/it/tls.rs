//! Encrypted connections to pools: which pools are trusted, what is reported if one is not, and that mining works.

use std::path::Path;

use dpmp::sim::miner::SimMiner;
use dpmp::sim::pool::SimPool;
use rcgen::date_time_ymd;
use serde_json::{Value, json};

use crate::support::proxy::{self, Proxy, Setup};
use crate::support::tls::{self, Front, Identity};
use crate::support::{SOON, miner, pool, settle, wait_until};

/// The output of `dpmp check` for pool A with these settings, and whether it succeeded.
fn check(settings: Value) -> (bool, String) {
    check_with(settings, &tls::roots_file())
}

fn check_with(settings: Value, roots: &Path) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let mut pool = json!({"host": "localhost", "wallet": "w", "tls": true});
    for (key, value) in settings.as_object().unwrap() {
        pool[key] = value.clone();
    }
    let config = json!({"pools": {"A": pool}, "scheduler": {"poolB_weight": 0}});
    std::fs::write(&path, config.to_string()).unwrap();
    proxy::check_with(&path, roots)
}

#[track_caller]
fn check_good(settings: Value, expected: &str) {
    let (good, text) = check(settings.clone());
    assert!(good && text.contains(expected), "{settings}: {text}");
}

#[track_caller]
fn check_refused(settings: Value, expected: &str) {
    let (good, text) = check(settings.clone());
    assert!(!good && text.contains(expected), "{settings}: {text}");
}

#[test]
fn certificates_of_a_known_authority_for_the_right_name_are_accepted() {
    let pool = pool("tlsgood", |_| ());
    let front = Front::new(&Identity::good(), pool.address());
    let old = Front::old(&Identity::good(), pool.address());
    check_good(
        json!({"port": front.port()}),
        "TLS 1.3, TLS13_AES_256_GCM_SHA384",
    );
    check_good(json!({"port": old.port()}), "TLS 1.2, TLS_ECDHE_");
    check_good(
        json!({"port": front.port(), "host": "127.0.0.1"}),
        "both pools work",
    );
    let pasted = format!("stratum+ssl://LOCALHOST.:{}/", front.port());
    check_good(json!({"host": pasted, "tls": false}), "TLS 1.3");
}

#[test]
fn unreadable_authorities_are_reported() {
    let pool = pool("tlsroots", |_| ());
    let front = Front::new(&Identity::good(), pool.address());
    let empty = tempfile::NamedTempFile::new().unwrap();
    for roots in [Path::new("/nowhere/roots.pem"), empty.path()] {
        let (good, text) = check_with(json!({"port": front.port()}), roots);
        let expected = format!(
            "SSL_CERT_FILE is {}, in which no certificate can be read",
            roots.display()
        );
        assert!(!good && text.contains(&expected), "{text}");
    }
}

#[test]
fn invalid_certificates_are_refused_with_the_reason() {
    let pool = pool("tlsbad", |_| ());
    let refused = |identity: &Identity, expected: &str| {
        let front = Front::new(identity, pool.address());
        check_refused(json!({"port": front.port()}), expected);
    };
    refused(
        &Identity::for_name("other.pool"),
        "the pool's certificate is for another name than localhost: other.pool",
    );
    refused(
        &Identity::known(|params| params.not_after = date_time_ymd(2001, 1, 1)),
        "the pool's certificate has expired, or this machine's clock is wrong",
    );
    refused(
        &Identity::known(|params| params.not_before = date_time_ymd(3000, 1, 1)),
        "the pool's certificate is not valid yet, or this machine's clock is wrong",
    );
    for identity in [Identity::unknown(), Identity::self_signed()] {
        let hint = format!(
            "set tls_fingerprint to {}, its SHA-256 fingerprint",
            identity.fingerprint()
        );
        refused(
            &identity,
            "no known authority vouches for the pool's certificate",
        );
        refused(&identity, &hint);
    }
    assert_eq!(pool.ledger().connections_opened(), 0, "it received nothing");
}

#[test]
fn only_the_pinned_certificate_is_accepted() {
    let pool = pool("tlspin", |_| ());
    // It is for another name and has expired, but only its fingerprint counts.
    let own = Identity::self_signed_and_expired();
    let front = Front::new(&own, pool.address());
    let old = Front::old(&own, pool.address());
    let good = Front::new(&Identity::good(), pool.address());
    let pin = own.fingerprint();
    let settings = |front: &Front| json!({"port": front.port(), "tls_fingerprint": pin});
    check_good(settings(&front), "TLS 1.3");
    check_good(settings(&old), "TLS 1.2");
    check_refused(
        settings(&good),
        "the pool's certificate does not match tls_fingerprint",
    );
    // Even accepting any certificate does not override the fingerprint.
    let mut both = settings(&good);
    both["tls_insecure"] = true.into();
    check_refused(both, "the pool's certificate does not match");
}

#[test]
fn any_certificate_is_accepted_if_the_owner_says_so() {
    let pool = pool("tlsany", |_| ());
    for identity in [Identity::self_signed(), Identity::unknown()] {
        let front = Front::new(&identity, pool.address());
        let settings = json!({"port": front.port(), "tls_insecure": true});
        check_good(settings.clone(), "TLS 1.3");
        check_good(
            settings,
            "warning: pools.A.tls_insecure: DPMP accepts any certificate",
        );
        let old = Front::old(&identity, pool.address());
        check_good(json!({"port": old.port(), "tls_insecure": true}), "TLS 1.2");
    }
}

#[test]
fn servers_without_tls_are_distinguished_from_those_with_it() {
    for (front, expected) in [
        (
            Front::saying(b"{\"id\":null}\n"),
            "it answers in plain text",
        ),
        (
            Front::saying(b"\x16\x03\x03\x00\x05hello"),
            "TLS: received corrupt message",
        ),
        (
            Front::saying(b"\x16\x03\x03\xff\xff"),
            "TLS: received corrupt message",
        ),
        // The alerts "handshake failure" and "protocol version".
        (
            Front::saying(b"\x15\x03\x03\x00\x02\x02\x28"),
            "the pool does not support TLS 1.2 or 1.3",
        ),
        (
            Front::saying(b"\x15\x03\x03\x00\x02\x02\x46"),
            "the pool does not support TLS 1.2 or 1.3",
        ),
        (
            Front::hanging_up(),
            "closed the connection during the TLS handshake; perhaps this port does not use TLS",
        ),
    ] {
        check_refused(json!({"port": front.port()}), expected);
    }
    // The opposite mistake: an unencrypted connection to such a port.
    let pool = pool("tlsplain", |_| ());
    let front = Front::new(&Identity::good(), pool.address());
    let settings = json!({"port": front.port(), "tls": false});
    check_refused(settings, "this port only accepts TLS");
    let front = Front::hanging_up();
    let settings = json!({"port": front.port(), "tls": false});
    check_refused(settings, "if its port only accepts TLS, set tls");
}

#[test]
fn a_pool_that_stalls_in_the_handshake_is_dropped() {
    let front = Front::saying(b"\x16\x03\x03");
    check_refused(
        json!({"port": front.port()}),
        "the TLS handshake takes too long",
    );
}

fn start(a: &SimPool, b: &SimPool, fronts: [&Front; 2], pin: &str) -> Proxy {
    Setup::new(a, b)
        .set("pools.A.host", "localhost")
        .set("pools.A.port", fronts[0].port())
        .set("pools.A.tls", true)
        .set(
            "pools.B.host",
            format!("stratum+ssl://127.0.0.1:{}", fronts[1].port()),
        )
        .set("pools.B.port", fronts[1].port())
        .set("pools.B.tls_fingerprint", pin)
        .start()
}

#[track_caller]
fn wait_for_shares(pools: [&SimPool; 2], more: u64) {
    let before = pools.map(|pool| pool.ledger().accepted());
    wait_until(SOON * 3, "shares at both pools", || {
        (0..2).all(|i| pools[i].ledger().accepted() >= before[i] + more)
    });
}

#[track_caller]
fn check_ledgers(pools: [&SimPool; 2], miners: &[SimMiner]) {
    settle(miners);
    for pool in pools {
        assert_eq!(pool.ledger().violations(), []);
    }
    for miner in miners {
        assert_eq!(miner.ledger().violations(), []);
    }
}

#[test]
fn mining_at_two_encrypted_pools_survives_rekeying_and_lost_connections() {
    let (a, b) = (pool("tlsA", |_| ()), pool("tlsB", |_| ()));
    let own = Identity::self_signed();
    let fronts = [
        Front::with_new_keys(&Identity::good(), a.address()),
        Front::old(&own, b.address()),
    ];
    let mut proxy = start(&a, &b, [&fronts[0], &fronts[1]], &own.fingerprint());
    let miners = [0, 1, 2].map(|_| miner(proxy.address(), |_| ()));
    wait_for_shares([&a, &b], 100);
    for front in &fronts {
        let before = front.connections();
        front.cut();
        wait_until(SOON * 2, "the new connections", || {
            front.connections() >= before + 3
        });
    }
    wait_for_shares([&a, &b], 20);
    check_ledgers([&a, &b], &miners);
    proxy.check_running();
    drop(miners);
    // Each connection ends with a close notification.
    wait_until(SOON, "close notifications", || {
        fronts.iter().all(|front| front.clean_closes() >= 3)
    });
}

#[test]
fn the_log_and_the_page_say_why_an_encrypted_pool_is_down() {
    let (a, b) = (pool("tlsdownA", |_| ()), pool("tlsdownB", |_| ()));
    let own = Identity::self_signed();
    let fronts = [
        Front::new(&Identity::for_name("other.pool"), a.address()),
        Front::new(&own, b.address()),
    ];
    let mut proxy = start(&a, &b, [&fronts[0], &fronts[1]], &own.fingerprint());
    let _miner = miner(proxy.address(), |_| ());
    let reason = "is for another name than localhost: other.pool";
    wait_until(SOON, "the reason", || proxy.logged("pool_down", reason));
    wait_until(SOON, "work for the other pool", || {
        b.ledger().accepted() > 0
    });
    // Once corrected, it works without a restart, and accepting any certificate is reported.
    proxy.rewrite_config(|config| config["pools"]["A"]["tls_insecure"] = true.into());
    wait_until(SOON, "the warning", || {
        proxy.logged(
            "config_warning",
            "pools.A.tls_insecure: DPMP accepts any certificate",
        )
    });
    wait_until(SOON * 2, "work for the pool", || a.ledger().accepted() > 0);
}

#[test]
fn the_log_suggests_tls_if_a_pool_hangs_up_without_an_answer() {
    let (a, b) = (pool("tlshintA", |_| ()), pool("tlshintB", |_| ()));
    let front = Front::hanging_up();
    let proxy = Setup::new(&a, &b).set("pools.A.port", front.port()).start();
    let _miner = miner(proxy.address(), |_| ());
    wait_until(SOON, "the hint", || {
        proxy.logged("pool_lost", "if its port only accepts TLS, set tls")
    });
}
