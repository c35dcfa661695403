//! Paths that hold something other than a file, or a file that is too large: DPMP names them, and neither hangs nor
//! crashes.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::proxy::{Proxy, Setup, check, command};
use crate::support::{SOON, free_port, local, pool, wait_until};

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

type Put = fn(&Path);

/// What may be there instead of a file, and the words that describe it.
const NO_FILES: [(Put, &str); 4] = [
    (pipe, "it is a named pipe, not a regular file"),
    (
        |path| symlink("/dev/zero", path).unwrap(),
        "it is a device, not a regular file",
    ),
    (
        |path| fs::create_dir(path).unwrap(),
        "it is a folder, not a regular file",
    ),
    (
        |path| File::create(path).unwrap().set_len(1 << 30).unwrap(),
        "it is larger than",
    ),
];

fn remove(path: &Path) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn config_alert(page: &Http) -> bool {
    let status = page.get("/api/v1/status").json();
    let alerts = status["alerts"].as_array().unwrap();
    let is_it = |alert: &Value| alert["id"].as_str().unwrap().starts_with("config_refused");
    alerts.iter().any(is_it)
}

#[test]
fn a_config_that_is_not_a_file_is_refused_until_it_is_one_again() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b).start();
    let page = Http::new(proxy.pages_address()).with_token();
    let path = proxy.file("config.json");
    let good = fs::read(&path).unwrap();
    for (put, what) in NO_FILES {
        fs::remove_file(&path).unwrap();
        put(&path);
        wait_until(SOON, what, || proxy.logged("config_refused", what));
        wait_until(SOON, "the alert", || config_alert(&page));
        // A request to save does not wait forever.
        let answer = page.put("/api/v1/weights", &json!({"A": 1, "B": 3}));
        assert_eq!(answer.status, 500, "{}", answer.text());
        let (good_file, _) = check(&path);
        assert!(!good_file);
        remove(&path);
        // Restore the same bytes.
        fs::write(&path, &good).unwrap();
        wait_until(SOON, "the end of the alert", || !config_alert(&page));
    }
    assert!(proxy.logged("config_usable", ""));
    // A file that is moved away and back keeps its old modification time.
    let aside = proxy.file("aside");
    fs::rename(&path, &aside).unwrap();
    wait_until(SOON, "the alert", || config_alert(&page));
    fs::rename(&aside, &path).unwrap();
    wait_until(SOON, "the end of the alert", || !config_alert(&page));
    // An unknown key changes nothing, but the owner should know about it.
    proxy.rewrite_config(|config| config["listen"]["prot"] = json!(1));
    wait_until(SOON, "the warning", || {
        proxy.logged("config_warning", "listen.prot")
    });
    let (_client, _) = Client::working(proxy.address());
    proxy.check_running();
}

#[test]
fn it_starts_though_state_logs_and_certificates_are_not_files() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let mut proxy = Setup::new(&a, &b)
        .set("listen.tls_port", 1)
        .set("listen.tls_certificate", "pem")
        .set("listen.tls_key", "pem")
        .start();
    for (put, what) in NO_FILES {
        let (_, status) = proxy.stop();
        assert!(status.success());
        for name in [
            "state.json",
            "history.json",
            "logs/dpmp_rCURRENT.log",
            "pem",
        ] {
            let path = proxy.file(name);
            if fs::symlink_metadata(&path).is_ok() {
                remove(&path);
            }
            put(&path);
        }
        proxy.start_again();
        wait_until(SOON, what, || {
            proxy.logged("state_problem", "state.json cannot be read")
                && proxy.logged("state_problem", "history.json cannot be read")
                && proxy.logged("state_problem", what)
                && proxy.logged("accept_failed", what)
        });
        let (_client, _) = Client::working(proxy.address());
    }
}

#[test]
fn a_config_that_is_not_a_file_is_reported_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for (put, what) in NO_FILES {
        put(&path);
        for command in [None, Some("check")] {
            let output = Command::new(env!("CARGO_BIN_EXE_dpmp"))
                .arg("--config")
                .arg(&path)
                .args(command)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(what), "{said}");
        }
        remove(&path);
    }
}

/// Both would write the same state file.
#[test]
fn a_second_proxy_in_the_same_folder_does_not_start() {
    let mut proxy: Proxy = Setup::bare().start();
    let other = proxy.file("other.json");
    // If it got further, it would fail for another reason: its ports are taken.
    fs::copy(proxy.file("config.json"), &other).unwrap();
    let (started, said) = command(&other, &[]);
    let wanted = format!(
        "another DPMP, which listens for miners on {}, uses the folder",
        proxy.address()
    );
    assert!(!started && said.contains(&wanted), "{said}");
    proxy.check_running();
}

/// A process that is killed at the end of its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As after Ctrl-S in a terminal. Lines for standard output are lost then, and Home says so.
#[test]
fn log_files_continue_while_nobody_reads_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let gui = local(free_port());
    let at = |port: u16| json!({"host": "127.0.0.1", "port": port});
    let config =
        json!({"listen": at(free_port()), "metrics": at(free_port()), "gui": at(gui.port())});
    fs::write(&path, config.to_string()).unwrap();
    let proxy = Command::new(env!("CARGO_BIN_EXE_dpmp"))
        .arg("--config")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _proxy = Killed(proxy);
    wait_until(SOON, "the pages", || TcpStream::connect(gui).is_ok());
    let page = Http::new(gui).with_token();
    let mut weight = 500_000;
    // Changes of the configuration are always logged.
    let mut change = || {
        weight += 1;
        let answer = page.put("/api/v1/weights", &json!({"A": weight, "B": 1}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        weight
    };
    wait_until(2 * SOON, "the notice", || {
        for _ in 0..50 {
            change();
        }
        let status = page.get("/api/v1/status").json();
        let alerts = status["alerts"].as_array().unwrap();
        let is_it = |alert: &Value| alert["id"].as_str().unwrap().starts_with("log_trouble");
        alerts.iter().any(is_it)
    });
    let last = change().to_string();
    let log = folder.path().join("logs/dpmp_rCURRENT.log");
    wait_until(SOON, "the last change in the file", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.contains(&last) && text.contains("log_dropped")
    });
}

/// A disk that was full leaves a partial line.
#[test]
fn a_log_line_after_a_torn_one_starts_on_a_new_line() {
    let mut proxy: Proxy = Setup::bare().start();
    proxy.stop();
    let log = proxy.file("logs/dpmp_rCURRENT.log");
    let mut text = fs::read_to_string(&log).unwrap();
    text.push_str("{\"ts\":\"2026-11-");
    fs::write(&log, text).unwrap();
    proxy.start_again();
    wait_until(SOON, "the next line", || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains("{\"ts\":\"2026-11-\n{\"ts\"")
    });
}
