//! A panic in any thread: it is reported, no counted work is lost, and a supervisor can restart DPMP.

use std::path::Path;
use std::process::{Command, Stdio};

use dpmp::proxy::Proxy;
use dpmp::system::thread::{WRITER_STACK, spawn};
use serde_json::Value;

use crate::support::proxy::Setup;
use crate::support::{SOON, local, miner, pool, settle, wait_until};

/// Names the folder that holds the child's configuration.
const CHILD: &str = "DPMP_TEST_PANICS_IN";

/// The child runs the proxy as `dpmp` does, with one extra thread that panics on request.
fn child(folder: &Path) -> u8 {
    let proxy = Proxy::start(&folder.join("config.json"), true).unwrap();
    let panics = proxy.stop_on_panic();
    let sign = folder.join("panic");
    spawn("m7", WRITER_STACK, move || {
        wait_until(SOON * 6, "the signal to panic", || sign.exists());
        panic!("a fault that nobody has foreseen");
    })
    .unwrap();
    proxy.wait().unwrap();
    panics.exit_code()
}

#[test]
fn a_panic_is_logged_and_the_state_saved_before_the_exit_with_code_70() {
    if let Some(folder) = std::env::var_os(CHILD) {
        std::process::exit(child(Path::new(&folder)).into());
    }
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let config = Setup::new(&a, &b).config;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("config.json"), config.to_string()).unwrap();
    let log = std::fs::File::create(file("stdout")).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("panics::a_panic_is_logged_and_the_state_saved_before_the_exit_with_code_70")
        .env(CHILD, folder.path())
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let port = config["listen"]["port"].as_u64().unwrap();
    let miners = [miner(local(u16::try_from(port).unwrap()), |_| ())];
    let accepted = || a.ledger().accepted() + b.ledger().accepted();
    wait_until(SOON, "shares", || accepted() > 10);
    // A share in flight when a connection ends may be counted only by the pool.
    settle(&miners);
    std::fs::write(file("panic"), "").unwrap();
    let mut status = None;
    wait_until(SOON, "the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(70));

    let log = std::fs::read_to_string(file("stdout")).unwrap();
    let said = log
        .lines()
        .find(|line| line.contains("\"panicked\""))
        .expect(&log);
    for part in ["m7", "a fault that nobody has foreseen", "panics.rs"] {
        assert!(said.contains(part), "{said}");
    }
    // Well before the state would have been written anyway, after half a minute.
    let state: Value = serde_json::from_slice(&std::fs::read(file("state.json")).unwrap()).unwrap();
    let saved = |pool: &str| state["ledger"]["pools"][pool]["accepted"].as_u64().unwrap();
    assert_eq!(saved("A") + saved("B"), accepted(), "{state}");
}
