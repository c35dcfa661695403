//! The real binary: started, killed and started again in one folder, with its log and the system's information about
//! it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::disk::Disk;

/// The time limit for anything that an idle machine does immediately.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The output of the binary, over all its lives.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The number of events of each name.
    pub(crate) events: BTreeMap<String, u64>,
    /// Events that must not happen.
    pub(crate) alarms: Vec<String>,
    /// The longest scheduler round that was logged, in milliseconds.
    pub(crate) slowest_ms: f64,
    /// Standard error.
    pub(crate) errors: Vec<String>,
}

/// Threads, descriptors and resident bytes of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
    pub(crate) resident: u64,
}

/// The proxy and its folder.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) disk: Disk,
    clock: Option<Clock>,
    pub(crate) ports: Ports,
    pub(crate) said: Arc<Mutex<Said>>,
    pub(crate) since: Instant,
}

/// The ports it listens on. They are outside the range the system uses for outgoing connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) miners: u16,
    pub(crate) metrics: u16,
    pub(crate) pages: u16,
    pub(crate) pools: [u16; 2],
}

impl Ports {
    /// Chooses free ports.
    pub(crate) fn choose() -> Self {
        let is_free = |port: u16| TcpListener::bind(local(port)).is_ok();
        // Another run at the same time must not choose the same ones.
        let skipped = usize::try_from(std::process::id() % 200).unwrap();
        let mut blocks = (10_000..12_000).step_by(10).cycle().skip(skipped).take(200);
        let first = blocks
            .find(|first| (0..5).all(|next| is_free(first + next)))
            .expect("free ports");
        Self {
            miners: first,
            metrics: first + 1,
            pages: first + 2,
            pools: [first + 3, first + 4],
        }
    }
}

/// The process's wall clock, which libfaketime reads from a file.
struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Proxy {
    /// Starts the binary with this configuration.
    pub(crate) fn start(disk: Disk, ports: Ports, config: &Value) -> Self {
        let clock = find_faketime().map(|library| Clock {
            library,
            file: disk.outside().join("clock"),
        });
        if let Some(clock) = &clock {
            fs::write(&clock.file, "+0").unwrap();
        }
        fs::write(disk.folder().join("config.json"), config.to_string()).unwrap();
        let said = Arc::default();
        let child = spawn(&disk, clock.as_ref(), &said);
        let mut proxy = Self {
            child,
            disk,
            clock,
            ports,
            said,
            since: Instant::now(),
        };
        proxy.wait_until_it_serves();
        proxy
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after it was killed.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.disk, self.clock.as_ref(), &self.said);
        self.since = Instant::now();
        self.wait_until_it_serves();
    }

    /// Asks it to stop, and returns whether it did so in time and with exit code 0.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait().unwrap() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("it exited with {status} when asked to stop")),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        self.kill();
        Err(format!("it did not stop within {PATIENCE:?}"))
    }

    /// Its exit status, if it has exited without being asked to.
    pub(crate) fn has_ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().unwrap()?;
        let said = self.said.lock();
        Some(format!("it exited with {status}: {:?}", said.errors.last()))
    }

    /// Whether the wall clock can be set.
    pub(crate) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Sets its wall clock this many seconds ahead of the real one.
    pub(crate) fn set_clock(&self, seconds: i64) {
        if let Some(clock) = &self.clock {
            fs::write(&clock.file, format!("{seconds:+}")).unwrap();
        }
    }

    pub(crate) fn miners_address(&self) -> SocketAddr {
        local(self.ports.miners)
    }

    /// `GET /api/v1/status`.
    pub(crate) fn status(&self) -> Option<Value> {
        let body = http_get(self.ports.pages, "/api/v1/status")?;
        serde_json::from_str(&body).ok()
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let page = http_get(self.ports.metrics, "/metrics")?;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// The system's information about the process.
    pub(crate) fn size(&self) -> Size {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let count = |name: &str| fs::read_dir(folder.join(name)).map_or(0, Iterator::count);
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
        Size {
            threads: count("task"),
            descriptors: count("fd"),
            resident: kib.unwrap_or(0u64) * 1024,
        }
    }

    fn wait_until_it_serves(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.status().is_none() || TcpStream::connect(self.miners_address()).is_err() {
            if let Some(end) = self.has_ended() {
                panic!("{end}");
            }
            assert!(
                Instant::now() < deadline,
                "it does not serve: {:?}",
                self.said.lock().errors
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn spawn(disk: &Disk, clock: Option<&Clock>, said: &Arc<Mutex<Said>>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dpmp"));
    command
        .arg("--config")
        .arg(disk.folder().join("config.json"))
        .env_remove("DPMP_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(Clock { library, file }) = clock {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    let mut child = command.spawn().unwrap();
    let (out, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let for_events = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            note_event(&mut for_events.lock(), line);
        }
    });
    let for_errors = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            for_errors.lock().errors.push(line);
        }
    });
    child
}

fn note_event(said: &mut Said, line: String) {
    let after = |key: &str| line.split_once(key).map(|(_, rest)| rest);
    let Some(name) = after("\"event\":\"").and_then(|rest| rest.split('"').next()) else {
        return said.alarms.push(format!("not an event: {line}"));
    };
    if name == "slow_turn" {
        let took = after("\"took_ms\":").and_then(|rest| rest.split(['}', ',']).next());
        let took = took.and_then(|took| took.parse().ok()).unwrap_or(f64::MAX);
        said.slowest_ms = said.slowest_ms.max(took);
    }
    *said.events.entry(name.to_owned()).or_default() += 1;
    if name == "panicked" {
        said.alarms.push(line);
    }
}

fn find_faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    files.find(|file| Path::exists(file))
}

fn http_get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&local(port), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    (head.split(' ').nth(1)? == "200").then(|| body.to_owned())
}
