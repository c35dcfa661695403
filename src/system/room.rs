//! How many miners the system has room for. If a limit is reached, threads fail to start, and the standard library even
//! panics in a thread whose stack has no room for a guard page. So miners are turned away before that.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where Linux shows its limits. A service may not be allowed to read them; then the kernel's default counts.
const PROC: &str = "/proc/sys";
const CGROUPS: &str = "/sys/fs/cgroup";

/// A resource that the system limits for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound {
    /// Its description for the owner.
    what: &'static str,
    /// How many the process may use.
    allowed: u64,
    /// How many DPMP needs without a miner.
    own: u64,
    /// How many a miner needs in addition to its connections.
    per_miner: u64,
    /// How many each of its connections needs, including those to pools.
    per_connection: u64,
    /// How many more for each connection that has a writer.
    per_writer: u64,
}

/// What a miner needs. Shared pool connections do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its connections, including those to pools.
    pub connections: u64,
    /// How many of these have a writer.
    pub writers: u64,
}

/// What is in use, or would be.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Connected miners.
    pub miners: u64,
    /// All connections, including those to pools.
    pub connections: u64,
    /// How many of these have a writer.
    pub writers: u64,
}

impl Bound {
    /// Each connection has a reader.
    const fn threads(allowed: u64) -> Self {
        Self {
            what: "threads (pids.max of the container or TasksMax of the service, ulimit -u, kernel.pid_max, kernel.threads-max)",
            allowed,
            own: 64,
            per_miner: 0,
            per_connection: 1,
            per_writer: 1,
        }
    }

    /// For each thread, the kernel counts the stack, the signal stack, and the guard page before each.
    const fn maps(allowed: u64) -> Self {
        Self {
            what: "memory areas (vm.max_map_count)",
            allowed,
            own: 512,
            per_miner: 0,
            per_connection: 4,
            per_writer: 4,
        }
    }

    const fn files(allowed: u64) -> Self {
        Self {
            what: "open files (ulimit -n)",
            allowed,
            own: 32,
            per_miner: 0,
            per_connection: 1,
            per_writer: 0,
        }
    }

    /// In KiB. With a thousand miners, a process had 85 MB.
    const fn memory(allowed: u64) -> Self {
        Self {
            what: "KiB of memory (memory.max of the container or MemoryMax of the service)",
            allowed,
            own: 32 * 1024,
            per_miner: 40,
            per_connection: 24,
            per_writer: 16,
        }
    }

    /// In KiB: the stacks of all threads, and what the C library reserves for each of many threads.
    const fn addresses(allowed: u64) -> Self {
        Self {
            what: "KiB of address space (ulimit -v)",
            allowed,
            own: 160 * 1024,
            per_miner: 0,
            per_connection: 384,
            per_writer: 320,
        }
    }

    fn of_a_miner(&self, load: Load) -> u64 {
        self.per_miner + load.connections * self.per_connection + load.writers * self.per_writer
    }

    /// A tenth stays free for connections that are being replaced.
    fn miners(&self, load: Load) -> u64 {
        (self.allowed - self.allowed / 10).saturating_sub(self.own) / self.of_a_miner(load)
    }

    /// Whether there is room for all this if one part in `free` stays free.
    fn has_room(&self, usage: Usage, free: u64) -> bool {
        let Usage {
            miners,
            connections,
            writers,
        } = usage;
        let of_miners = miners * self.per_miner;
        let of_all = connections * self.per_connection + writers * self.per_writer;
        self.own + of_miners + of_all <= self.allowed - self.allowed / free
    }
}

/// What the system allows.
#[derive(Clone, Debug)]
pub struct Room {
    bounds: Vec<Bound>,
    /// The present number of connections to pools, from the scheduler.
    pools: Arc<AtomicU32>,
}

impl Room {
    /// Asks the system. `files` is how many files the process may open.
    pub fn of_this_system(files: Option<u64>) -> Self {
        let maps = number(&Path::new(PROC).join("vm/max_map_count")).unwrap_or(65_530);
        let threads = [
            number(&Path::new(PROC).join("kernel/pid_max")),
            number(&Path::new(PROC).join("kernel/threads-max")),
            limit_of_user(),
            limit_of_group("pids.max"),
        ];
        let bounds = [
            Some(Bound::maps(maps)),
            threads.into_iter().flatten().min().map(Bound::threads),
            files.map(Bound::files),
            limit_of_group("memory.max").map(|bytes| Bound::memory(bytes / 1024)),
            limit_of_addresses().map(|bytes| Bound::addresses(bytes / 1024)),
        ];
        Self::with(bounds.into_iter().flatten().collect())
    }

    fn with(bounds: Vec<Bound>) -> Self {
        Self {
            bounds,
            pools: Arc::default(),
        }
    }

    /// How many connections to pools there are.
    pub fn pools(&self) -> u32 {
        self.pools.load(Ordering::Relaxed)
    }

    /// Records how many connections to pools there are.
    pub fn note_pools(&self, connections: usize) {
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        self.pools.store(connections, Ordering::Relaxed);
    }

    /// Whether there is room for all this if one part in `free` stays free.
    ///
    /// # Errors
    /// If there is not, with the reason, as text for the owner.
    pub fn check(&self, usage: Usage, free: u64) -> Result<(), String> {
        let mut bounds = self.bounds.iter();
        let Some(bound) = bounds.find(|bound| !bound.has_room(usage, free)) else {
            return Ok(());
        };
        let Bound { what, allowed, .. } = bound;
        Err(format!(
            "this system has no room for more connections: it allows {allowed} {what}"
        ))
    }

    /// The bound that is reached first.
    fn first(&self, load: Load) -> Option<&Bound> {
        self.bounds.iter().min_by_key(|bound| bound.miners(load))
    }

    /// How many miners may be connected at a time.
    pub fn miners(&self, load: Load) -> u32 {
        let miners = self.first(load).map(|bound| bound.miners(load));
        miners.unwrap_or(u64::MAX).try_into().unwrap_or(u32::MAX)
    }

    /// For the owner: how many, and because of what.
    pub fn explain(&self, load: Load) -> String {
        let Some(bound) = self.first(load) else {
            return "this system knows no bounds".to_owned();
        };
        let Bound { what, allowed, .. } = bound;
        format!(
            "this system can serve {} miners: it allows {allowed} {what}, and a miner takes {}",
            bound.miners(load),
            bound.of_a_miner(load)
        )
    }
}

/// A file that holds a number; "max" is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Linux counts a user's threads, except the administrator's.
fn limit_of_user() -> Option<u64> {
    rlimit::Resource::NPROC.get_soft().ok()
}

/// How much memory the process may address, in bytes.
fn limit_of_addresses() -> Option<u64> {
    let limit = rlimit::Resource::AS.get_soft().ok()?;
    (limit != rlimit::INFINITY).then_some(limit)
}

/// The least that the process's group and those around it allow, by the file that says it.
fn limit_of_group(file: &str) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    // "0::/system.slice/dpmp.service"; in a container "0::/".
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Path::new(CGROUPS)
        .join(own)
        .ancestors()
        .take_while(|group| group.starts_with(CGROUPS))
        .filter_map(|group| number(&group.join(file)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its own connection to each pool.
    fn own(writers: u64) -> Load {
        Load {
            connections: 3,
            writers,
        }
    }

    #[test]
    fn the_lowest_limit_counts() {
        let room = |maps, threads, files| {
            Room::with(vec![
                Bound::maps(maps),
                Bound::threads(threads),
                Bound::files(files),
            ])
        };
        assert_eq!(room(65_530, 32_768, 65_536).miners(own(0)), 4_872);
        assert_eq!(room(65_530, 32_768, 65_536).miners(own(3)), 2_436);
        let shared = Load {
            connections: 1,
            writers: 0,
        };
        assert_eq!(room(65_530, 32_768, 65_536).miners(shared), 14_616);
        assert_eq!(room(65_530, 2_048, 65_536).miners(own(0)), 593);
        assert_eq!(room(65_530, 2_048, 65_536).miners(own(2)), 356);
        assert_eq!(
            room(65_530, 32_768, 1_024).explain(own(3)),
            "this system can serve 296 miners: it allows 1024 open files (ulimit -n), and a miner takes 3"
        );
        assert_eq!(room(u64::MAX, u64::MAX, u64::MAX).miners(own(0)), u32::MAX);
        let memory = Room::with(vec![Bound::memory(128 * 1024)]);
        assert_eq!((memory.miners(own(0)), memory.miners(own(3))), (760, 532));
        let addresses = Room::with(vec![Bound::addresses(1024 * 1024)]);
        assert_eq!(
            (addresses.miners(own(0)), addresses.miners(own(3))),
            (676, 369)
        );
        assert_eq!(room(65_530, 10, 1_024).miners(own(0)), 0);
        assert_eq!(Room::with(Vec::new()).miners(own(0)), u32::MAX);
    }

    #[test]
    fn connections_beyond_the_usual_ones_are_counted() {
        let room = Room::with(vec![Bound::maps(65_530), Bound::files(20_000)]);
        let usage = |miners: u64, pools: u64, writers| Usage {
            miners,
            connections: miners + pools,
            writers,
        };
        assert_eq!(room.check(usage(10_000, 4_616, 0), 10), Ok(()));
        let full = room.check(usage(10_000, 4_617, 0), 10);
        assert!(full.unwrap_err().contains("vm.max_map_count"));
        assert_eq!(room.check(usage(10_000, 4_617, 0), 20), Ok(()));
        assert!(room.check(usage(10_000, 4_000, 4_000), 20).is_err());
        let files = Room::with(vec![Bound::files(100)]);
        assert_eq!(files.check(usage(20, 38, 0), 10), Ok(()));
        let full = files.check(usage(20, 39, 0), 10);
        assert!(full.unwrap_err().contains("ulimit -n"));
        assert_eq!(Room::with(Vec::new()).check(usage(9, 9, 9), 10), Ok(()));
    }

    #[test]
    fn this_system_has_room() {
        let room = Room::of_this_system(Some(1_024));
        assert!(
            (1..=296).contains(&room.miners(own(3))),
            "{}",
            room.explain(own(3))
        );
    }
}
