//! The real binary as a process in its own folder.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use dpmp::sim::pool::SimPool;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{SOON, free_port, http_get, local, tls, wait_until};

/// How long the proxy may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// The output of `dpmp check` for a configuration file, and whether it succeeded.
pub(crate) fn check(path: &Path) -> (bool, String) {
    check_with(path, &tls::roots_file())
}

/// The same with the known authorities in this file.
pub(crate) fn check_with(path: &Path, roots: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dpmp"))
        .arg("--config")
        .arg(path)
        .arg("check")
        .env("SSL_CERT_FILE", roots)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), text)
}

/// The output of a command with a configuration file, and whether it succeeded.
pub(crate) fn command(path: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dpmp"))
        .arg("--config")
        .arg(path)
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// A config to start the proxy with.
pub(crate) struct Setup {
    pub(crate) config: Value,
    /// How many files the process may open; by default as many as this one.
    open_files: Option<u32>,
    /// Environment variables.
    env: Vec<(&'static str, &'static str)>,
    /// The name of the config file; the process looks for `config.json`.
    named: &'static str,
    /// Other files in the folder, with their contents.
    files: Vec<(&'static str, String)>,
}

impl Setup {
    /// Two pools at 50:50 in turns of a second, with all long delays shortened.
    pub(crate) fn new(a: &SimPool, b: &SimPool) -> Self {
        let pool = |pool: &SimPool, name: &str| {
            json!({
                "name": name,
                "host": "127.0.0.1",
                "port": pool.port(),
                "wallet": format!("wallet{name}"),
                "chain": "BTC",
            })
        };
        let mut setup = Self::bare();
        setup.config["pools"] = json!({"A": pool(a, "A"), "B": pool(b, "B")});
        setup.config["scheduler"] = json!({
            "poolA_weight": 50,
            "poolB_weight": 50,
            "slice_seconds": 1,
            "min_switch_seconds": 0.2,
        });
        setup
    }

    /// Only free ports and a log folder.
    pub(crate) fn bare() -> Self {
        let config = json!({
            "listen": {"host": "127.0.0.1", "port": free_port()},
            "metrics": {"enabled": true, "host": "127.0.0.1", "port": free_port()},
            "gui": {"enabled": true, "host": "127.0.0.1", "port": free_port()},
            "logging": {"level": "debug", "directory": "logs"},
        });
        Self {
            config,
            open_files: None,
            env: Vec::new(),
            named: "config.json",
            files: Vec::new(),
        }
    }

    /// Sets an environment variable of the process.
    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// Renames the config file.
    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.named = name;
        self
    }

    /// Adds another file to the folder.
    pub(crate) fn file(mut self, name: &'static str, text: impl ToString) -> Self {
        self.files.push((name, text.to_string()));
        self
    }

    /// Sets one value, such as `scheduler.slice_seconds`.
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let pointer = format!("/{}", path.replace('.', "/"));
        if let Some(found) = self.config.pointer_mut(&pointer) {
            *found = value.into();
        } else {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            self.config.pointer_mut(parent).unwrap()[key] = value.into();
        }
        self
    }

    /// Lets the process open at most this many files.
    pub(crate) fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Starts the binary and waits until it accepts connections.
    #[track_caller]
    pub(crate) fn start(self) -> Proxy {
        let mut proxy = Proxy::spawn(self);
        proxy.wait_until_it_serves();
        proxy
    }
}

/// The running binary. Dropping it stops it, and the process has to exit cleanly.
pub(crate) struct Proxy {
    child: Child,
    folder: TempDir,
    config: Value,
    open_files: Option<u32>,
    env: Vec<(&'static str, &'static str)>,
    ended: bool,
}

impl Proxy {
    fn spawn(setup: Setup) -> Self {
        let Setup {
            config,
            open_files,
            env,
            named,
            files,
        } = setup;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(named);
        fs::write(&path, serde_json::to_string_pretty(&config).unwrap()).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self {
            child: spawn_in(&folder, open_files, &env),
            folder,
            config,
            open_files,
            env,
            ended: false,
        }
    }

    /// Stops the process, which has to exit cleanly, and starts it again in the same folder.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let (_, status) = self.stop();
        assert!(status.success(), "{status}: {}", self.tail());
        self.start_again();
    }

    /// Starts it again in the same folder after a stop, and waits until it accepts connections.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        self.child = spawn_in(&self.folder, self.open_files, &self.env);
        self.ended = false;
        self.wait_until_it_serves();
    }

    #[track_caller]
    fn wait_until_it_serves(&mut self) {
        wait_until(SOON, "the proxy to listen", || {
            self.check_running();
            http_get(self.metrics_address(), "/healthz").is_some()
                && TcpStream::connect(self.address()).is_ok()
                && (self.config["gui"]["enabled"] == false
                    || TcpStream::connect(self.pages_address()).is_ok())
                && self.handles_signals()
        });
    }

    /// Whether it waits for signals yet, its last step at a start. Before that, a signal kills it immediately.
    fn handles_signals(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.child.id())) else {
            // Not on Linux, so there is no way to know.
            return true;
        };
        let names = threads.flatten().map(|thread| thread.path().join("comm"));
        names
            .filter_map(|name| fs::read_to_string(name).ok())
            .any(|name| name.trim() == "ctrl-c")
    }

    /// The address miners connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port_of("listen")
    }

    /// The address of the metrics.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.port_of("metrics")
    }

    /// The address of the pages.
    pub(crate) fn pages_address(&self) -> SocketAddr {
        self.port_of("gui")
    }

    /// The value of a metric, such as `dpmp_jobs_forwarded_total{pool="A"}`.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = http_get(self.metrics_address(), "/metrics")?;
        let line = body.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.output("stdout")
    }

    /// Whether the log has this event with this text in it.
    pub(crate) fn logged(&self, event: &str, text: &str) -> bool {
        let event = format!("\"event\":\"{event}\"");
        let log = self.log();
        log.lines()
            .any(|line| line.contains(&event) && line.contains(text))
    }

    /// The path of a file in the proxy's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the config with a changed one, as editors do.
    pub(crate) fn rewrite_config(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
        self.write_config(&serde_json::to_string_pretty(&self.config).unwrap());
    }

    /// Replaces the config with any text.
    pub(crate) fn write_config(&self, text: &str) {
        let new = self.file("config.json.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.file("config.json")).unwrap();
    }

    /// Fails if the process has exited.
    #[track_caller]
    pub(crate) fn check_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            self.ended = true;
            panic!("the proxy ended with {status}: {}", self.tail());
        }
    }

    /// Asks the process to stop, and returns how long it took and its exit status.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> (Duration, ExitStatus) {
        let started = Instant::now();
        self.signal("-TERM");
        let status = self.wait_for_end(STOP_PATIENCE);
        (started.elapsed(), status)
    }

    /// Asks the process to stop without waiting.
    pub(crate) fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    /// Suspends the process for a while, like a paused container.
    pub(crate) fn pause(&self, time: Duration) {
        self.signal("-STOP");
        std::thread::sleep(time);
        self.signal("-CONT");
    }

    /// Waits for the process to exit, and returns its status.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        self.ended = true;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() >= deadline {
                self.kill();
                panic!("it did not stop within {patience:?}: {}", self.tail());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process, like a power cut, and starts it again in the same folder.
    #[track_caller]
    pub(crate) fn crash(&mut self) {
        self.kill();
        self.start_again();
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.unwrap().success(), "kill {name} {id}");
    }

    fn port_of(&self, section: &str) -> SocketAddr {
        let port = self.config[section]["port"].as_u64().unwrap();
        local(u16::try_from(port).unwrap())
    }

    fn output(&self, name: &str) -> String {
        let bytes = fs::read(self.file(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last part of its output.
    fn tail(&self) -> String {
        let log = self.output("stdout");
        let shares = "\"event\":\"share_result\"";
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains(shares)).collect();
        let from = lines.len().saturating_sub(60);
        format!(
            "stderr:\n{}\nend of the log:\n{}",
            self.output("stderr"),
            lines[from..].join("\n")
        )
    }
}

fn spawn_in(
    folder: &TempDir,
    open_files: Option<u32>,
    env: &[(&'static str, &'static str)],
) -> Child {
    let output = |name: &str| Stdio::from(File::create(folder.path().join(name)).unwrap());
    let limit = open_files.map_or(String::new(), |most| format!("ulimit -n {most};"));
    Command::new("sh")
        .arg("-c")
        .arg(format!("{limit} exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_dpmp"))
        .arg("--config")
        .arg(folder.path().join("config.json"))
        .current_dir(folder.path())
        .env_remove("DPMP_CONFIG")
        .env("SSL_CERT_FILE", tls::roots_file())
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(output("stdout"))
        .stderr(output("stderr"))
        .spawn()
        .unwrap()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.kill();
            println!("{}", self.tail());
        } else if !self.ended {
            let (_, status) = self.stop();
            assert!(status.success(), "{status}: {}", self.tail());
        }
    }
}
