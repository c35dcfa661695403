//! `dpmp healthcheck`: it asks the running proxy, and nothing else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::proxy::{Proxy, Setup};
use crate::support::{SOON, pool, serve, wait_until};

/// Whether it reports this configuration's proxy as healthy, and its output.
fn healthcheck(config: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dpmp"))
        .arg("--config")
        .arg(config)
        .arg("healthcheck")
        .output()
        .unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(words).unwrap())
}

#[track_caller]
fn is_well(proxy: &Proxy) {
    let mut said = String::new();
    wait_until(SOON, "it to be healthy", || {
        let (well, words) = healthcheck(&proxy.file("config.json"));
        said = words;
        well
    });
    assert_eq!(said, "ok\n");
}

/// Another program that claims to be healthy.
fn impostor() -> SocketAddr {
    let port = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
    });
    port.address()
}

#[test]
fn incomplete_requests_do_not_make_the_proxy_unhealthy() {
    let (a, b) = (pool("a", |_| ()), pool("b", |_| ()));
    // With and without a second port to ask.
    for gui in [false, true] {
        let proxy = Setup::new(&a, &b).set("gui.enabled", gui).start();
        is_well(&proxy);
        let mut half = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(proxy.metrics_address()).unwrap();
            let _ = stream.write_all(b"GET /metr");
            half.push(stream);
        }
        // A client that has not sent its request after half a second loses its seat.
        wait_until(SOON, "it to be healthy", || {
            healthcheck(&proxy.file("config.json")).0
        });
    }
}

#[test]
fn health_asks_the_running_proxy_not_the_port_in_the_file() {
    let (a, b) = (pool("a", |_| ()), pool("b", |_| ()));
    let mut proxy = Setup::new(&a, &b).start();
    let file = proxy.file("config.json");
    let right = fs::read_to_string(&file).unwrap();
    // Ports that wait for a restart, and an unusable file.
    let nowhere = crate::support::free_port();
    let elsewhere = right.replace(
        &proxy.metrics_address().port().to_string(),
        &nowhere.to_string(),
    );
    for text in [elsewhere.as_str(), "{", ""] {
        proxy.write_config(text);
        is_well(&proxy);
    }
    proxy.write_config(&right);
    let (_, status) = proxy.stop();
    assert!(status.success());
    assert!(!proxy.file("running.json").exists());
    let (well, words) = healthcheck(&file);
    assert!(!well, "{words}");
}

#[test]
fn another_program_cannot_answer_for_the_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let other = impostor();
    let text =
        json!({"metrics": {"host": "127.0.0.1", "port": other.port()}, "gui": {"enabled": false}});
    fs::write(&config, text.to_string()).unwrap();
    let (well, words) = healthcheck(&config);
    assert!(!well && words.contains("not from the DPMP"), "{words}");
    // Nor can another DPMP, after this one was killed.
    let running = json!({"instance": "0", "listen": other, "metrics": other, "gui": null});
    fs::write(folder.path().join("running.json"), running.to_string()).unwrap();
    let (well, words) = healthcheck(&config);
    assert!(!well && words.contains("not from the DPMP"), "{words}");
    // If nothing says which port to ask, it asks none.
    fs::remove_file(folder.path().join("running.json")).unwrap();
    fs::write(&config, "{").unwrap();
    let (well, words) = healthcheck(&config);
    assert!(!well && words.contains("running.json"), "{words}");
}
