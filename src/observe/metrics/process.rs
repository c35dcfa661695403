//! What the process takes up, under the names that Prometheus' own libraries use. Only Linux tells it as files;
//! elsewhere these figures are missing.

use std::fs;
use std::path::Path;

use prometheus::{Counter, Gauge, Result};

use super::make::Make;

/// Where Linux tells a process about itself.
const HERE: &str = "/proc/self";

/// Ticks a second in `/proc`; fixed for programs, whatever the kernel uses.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process's figures.
pub(super) struct Process {
    memory: Gauge,
    threads: Gauge,
    files: Gauge,
    most_files: Gauge,
    cpu: Counter,
}

impl Process {
    /// `None` where the system does not tell.
    pub(super) fn new(make: &Make<'_>) -> Result<Option<Self>> {
        if !Path::new(HERE).join("stat").exists() {
            return Ok(None);
        }
        let process = Self {
            memory: make.gauge("process_resident_memory_bytes", "Resident memory")?,
            threads: make.gauge("process_threads", "Threads")?,
            files: make.gauge("process_open_fds", "Open files and sockets")?,
            most_files: make.gauge("process_max_fds", "How many files and sockets may be open")?,
            cpu: make.sum(
                "process_cpu_seconds_total",
                "Processor time, user and system",
            )?,
        };
        let start = make.gauge(
            "process_start_time_seconds",
            "When it began, in seconds since 1970",
        )?;
        start.set(start_time().unwrap_or(0.0));
        Ok(Some(process))
    }

    /// Reads the figures anew. What cannot be read stays as it was.
    pub(super) fn refresh(&self) {
        let status = fs::read_to_string(format!("{HERE}/status")).unwrap_or_default();
        if let Some(kib) = field(&status, "VmRSS:") {
            self.memory.set(kib * 1024.0);
        }
        if let Some(threads) = field(&status, "Threads:") {
            self.threads.set(threads);
        }
        if let Ok(entries) = fs::read_dir(format!("{HERE}/fd")) {
            // One of them is the folder itself, which is open while it is read.
            let open = entries.count().saturating_sub(1);
            self.files
                .set(f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
        }
        let limits = fs::read_to_string(format!("{HERE}/limits")).unwrap_or_default();
        if let Some(most) = field(&limits, "Max open files") {
            self.most_files.set(most);
        }
        if let Some(seconds) = cpu_seconds() {
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        }
    }
}

/// The first number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat`, numbered from 1 as in proc(5); from 3 on.
fn stat(number: usize) -> Option<f64> {
    let stat = fs::read_to_string(format!("{HERE}/stat")).ok()?;
    // The second field, the program's name in parentheses, may hold anything.
    let (_, from_third) = stat.rsplit_once(')')?;
    from_third
        .split_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

/// User and system time.
fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / TICKS_PER_SECOND)
}

fn start_time() -> Option<f64> {
    let boot = field(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
    Some(boot + stat(22)? / TICKS_PER_SECOND)
}
