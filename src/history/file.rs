//! The history's file: read at the start, written now and then and when DPMP stops.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::record::{Step, ValueStep, WorkerStep};
use super::ring::Ring;
use super::{ByReason, MINUTES, MOST_WORKERS, Pair, QUARTERS, Rings};
use crate::system::files::{self, Backup, set_aside, write_atomic};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// The shortest time between two writes.
const LEAST_PAUSE: Duration = Duration::from_secs(300);

/// A large file with many workers is written even less often: on average at most this many bytes per second, so that a
/// memory card lasts.
const BYTES_A_SECOND: usize = 2048;

/// The maximum number of minutes with reasons for blocked shares that are read.
const MOST_REFUSED: usize = 24;

/// The file that belongs to a configuration file.
pub fn path(config: &Path) -> PathBuf {
    config.with_file_name("history.json")
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Content<P, W, V, R> {
    format: u32,
    pools: P,
    workers: W,
    /// Older files have none.
    #[serde(default)]
    values: V,
    #[serde(default)]
    refused: R,
}

type OwnContent = Content<
    Pair<Step>,
    BTreeMap<String, Pair<WorkerStep>>,
    Ring<ValueStep>,
    BTreeMap<u64, ByReason>,
>;

/// Reads the file. A missing file is an empty history. One that cannot be read is renamed, never overwritten, and the
/// problem is returned as well.
pub(super) fn load(path: &Path) -> (Rings, Option<String>) {
    let problem = match files::read(path, files::LARGEST_OWN) {
        Ok(bytes) => match serde_json::from_slice::<OwnContent>(&bytes) {
            Ok(stored) if stored.format == FORMAT => return (within_bounds(stored), None),
            Ok(stored) => format!("format {} is not known", stored.format),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Rings::default(), None),
        Err(error) => error.to_string(),
    };
    let moved = set_aside(path);
    let problem = format!(
        "{} cannot be read ({problem}); {moved}; the charts start empty",
        path.display()
    );
    (Rings::default(), Some(problem))
}

fn within_bounds(stored: OwnContent) -> Rings {
    let mut rings = Rings {
        pools: stored.pools,
        workers: stored.workers.into_iter().take(MOST_WORKERS).collect(),
        values: stored.values,
        refused: stored.refused.into_iter().take(MOST_REFUSED).collect(),
    };
    rings.values.keep(QUARTERS.steps);
    rings.pools.keep();
    for pair in rings.workers.values_mut() {
        pair.keep();
    }
    rings
}

impl<T: super::Slot> Pair<T> {
    fn keep(&mut self) {
        self.minutes.keep(MINUTES.steps);
        self.quarters.keep(QUARTERS.steps);
    }
}

/// The file's content.
pub(super) fn format(rings: &Rings) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec(&Content {
        format: FORMAT,
        pools: &rings.pools,
        workers: &rings.workers,
        values: &rings.values,
        refused: &rings.refused,
    })
    .context("failed to format the history")
}

/// Writes the file; a failure leaves the old one whole.
pub(super) fn save(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    write_atomic(path, text, Backup::None)
}

/// When the file is to be written next.
#[derive(Debug)]
pub(super) struct Pace {
    due: Instant,
}

impl Pace {
    /// Not immediately, because there is nothing new at the start.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now + LEAST_PAUSE,
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// Notes how many bytes were written.
    pub(super) fn saved(&mut self, now: Instant, bytes: usize) {
        let seconds = u64::try_from(bytes / BYTES_A_SECOND).unwrap_or(u64::MAX);
        self.due = now + LEAST_PAUSE.max(Duration::from_secs(seconds));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use std::fs;

    use super::*;
    use crate::history::ring::Slot;
    use crate::units::PerPool;

    #[test]
    fn the_history_survives_and_an_unreadable_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("config.json"));
        assert_eq!(load(&path), (Rings::default(), None));
        let mut rings = Rings::default();
        let mut step = Step::UNKNOWN;
        (step.span, step.refused) = (60.0, 2.0);
        for (index, pool) in step.pools.values_mut().enumerate() {
            pool.work = if index == 0 { 1234.5 } else { 1e-5 };
            pool.seconds = 7.0;
        }
        rings.pools.add(1_000_000_000, step);
        rings.pools.add(1_000_200_000, step);
        rings.add_worker("rig \"1\"", 1_000_000_000, WorkerStep([0.1, 3e20]));
        rings.add_worker("rig \"1\"", 1_000_200_000, WorkerStep([0.1, 0.0]));
        let value = |a, b| ValueStep::of(PerPool::new(a, b));
        rings.add_value(1_000_000_000, value(Some(0.051), None));
        rings.add_value(1_000_900_000, value(Some(0.052), Some(0.0)));
        save(&path, &format(&rings).unwrap()).unwrap();
        assert_eq!(load(&path), (rings.clone(), None));

        // As an older version wrote it.
        let values = serde_json::to_string(&rings.values).unwrap();
        let text = String::from_utf8(format(&rings).unwrap()).unwrap();
        let old = text.replace(&std::format!(",\"values\":{values}"), "");
        assert!(old.len() < text.len());
        fs::write(&path, old).unwrap();
        let (read, problem) = load(&path);
        assert_eq!((&read.pools, problem), (&rings.pools, None));
        assert_eq!(read.values, Ring::default());

        for (round, bad) in ["{", "{}", &text.replace("\"format\":1", "\"format\":2")]
            .iter()
            .enumerate()
        {
            fs::write(&path, bad).unwrap();
            let (rings, problem) = load(&path);
            assert_eq!(rings, Rings::default());
            assert!(problem.unwrap().contains("set aside"));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), round + 1);
        }
    }

    #[test]
    fn a_file_is_rarely_written_and_a_large_one_even_less_often() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(start);
        assert!(!pace.is_due(after(299)) && pace.is_due(after(300)));
        pace.saved(start, 100_000);
        assert!(!pace.is_due(after(299)) && pace.is_due(after(300)));
        pace.saved(start, 8 * 1024 * 1024);
        assert!(!pace.is_due(after(4095)) && pace.is_due(after(4096)));
    }
}
