//! The release binary as a process, with the system's information about it (Linux).

use std::env;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dpmp::units::{PerPool, PoolSlot};
use serde_json::json;
use tempfile::TempDir;

/// How long the proxy may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running proxy. Dropping this stops it.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// What a process uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Its own resident memory, in KiB.
    pub(crate) memory_kib: u64,
    pub(crate) threads: u64,
}

impl Proxy {
    /// Starts it between miners and these pools at 50:50, in the longest turns that keep a connection to the other
    /// pool. `connections`: whether miners share pool connections.
    pub(crate) fn start(pools: &PerPool<SocketAddr>, connections: &str) -> io::Result<Self> {
        let port = || Ok::<_, io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let listen = port()?;
        let pool = |slot: PoolSlot| {
            let port = pools[slot].port();
            json!({"host": "127.0.0.1", "port": port, "wallet": "wallet", "connections": connections})
        };
        let config = json!({
            "listen": {
                "host": "127.0.0.1", "port": listen, "max_miners": 10_000, "max_miners_per_address": 0,
            },
            "metrics": {"host": "127.0.0.1", "port": port()?},
            "gui": {"host": "127.0.0.1", "port": port()?},
            "pools": {"A": pool(PoolSlot::A), "B": pool(PoolSlot::B)},
            "scheduler": {"slice_seconds": 600},
        });
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("config.json"), config.to_string())?;
        let proxy = Self {
            child: run(&folder)?,
            address: ([127, 0, 0, 1], listen).into(),
            folder,
        };
        proxy.wait()?;
        Ok(proxy)
    }

    /// Stops it in order and starts it again with what it remembers.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        let process = self.child.id().to_string();
        Command::new("kill").arg(process).status()?;
        self.child.wait()?;
        self.child = run(&self.folder)?;
        self.wait()
    }

    fn wait(&self) -> io::Result<()> {
        let started = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if started.elapsed() > PATIENCE {
                return Err(io::Error::other("the proxy does not listen"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Current memory and threads.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let number = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
                .ok_or_else(|| io::Error::other(format!("no {key} in /proc")))
        };
        Ok(Usage {
            memory_kib: number("RssAnon:")?,
            threads: number("Threads:")?,
        })
    }

    /// The processor time of all its threads together.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        cpu(&self.child.id().to_string())
    }
}

/// Runs the program with the configuration in a folder.
fn run(folder: &TempDir) -> io::Result<Child> {
    let program = env::var_os("DPMP_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_dpmp").into());
    Command::new(program)
        .arg("--config")
        .arg(folder.path().join("config.json"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.path().join("log"))?)
        .spawn()
}

/// The processor time of all threads of a process (a number, or `self`).
pub(crate) fn cpu(process: &str) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may have ended in the meantime.
        let Ok(text) = fs::read_to_string(entry?.path().join("schedstat")) else {
            continue;
        };
        let first = text.split_whitespace().next();
        nanoseconds += first
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
