//! Watches the configuration file, so that changes apply without a restart.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::shell::settings::Settings;
use crate::system::thread::{SERVICE_STACK, spawn};

/// How often the file is checked. (Most notification interfaces lose a file that is replaced, as editors and container
/// tools do.)
const EVERY: Duration = Duration::from_secs(1);

/// After this many failed checks, the file is gone. A single one may fall between the steps of a replacement.
const SURELY_MISSING: u32 = 2;

/// What distinguishes versions of the file without reading it.
type Stamp = Option<(SystemTime, u64, Inode)>;

/// The file itself and when its entry changed; empty where the system has neither.
type Inode = Option<(u64, i64, i64)>;

/// The last known state of the file.
#[derive(Default)]
struct Watch {
    seen: Stamp,
    /// How often in a row it was missing.
    missing: u32,
}

/// Starts watching; the thread ends when the returned sender is dropped.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(settings: Arc<Settings>) -> io::Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = bounded::<()>(0);
    let mut watch = Watch::default();
    let thread = spawn("config", SERVICE_STACK, move || {
        while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            watch.look(&settings);
        }
    })?;
    Ok((stop, thread))
}

impl Watch {
    fn look(&mut self, settings: &Settings) {
        let now = stamp(settings.path());
        self.missing = if now.is_none() {
            self.missing.saturating_add(1)
        } else {
            0
        };
        if self.missing == SURELY_MISSING {
            settings.tell_loss();
            // Anything that comes back must be checked.
            self.seen = None;
        }
        if now != self.seen && now.is_some() {
            self.seen = now;
            settings.reload();
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), replaced(&meta)))
}

/// Another file may have the same size and time: file systems with a clock of seconds, times that are restored.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems have no such value")]
fn replaced(meta: &fs::Metadata) -> Inode {
    use std::os::unix::fs::MetadataExt;
    Some((meta.ino(), meta.ctime(), meta.ctime_nsec()))
}

#[cfg(not(unix))]
fn replaced(_: &fs::Metadata) -> Inode {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::inbox::{Context, Input};

    const POOLS: &str = r#"{"pools": {"A": {"host": "a.test", "port": 1, "wallet": "w"},
        "B": {"host": "b.test", "port": 1, "wallet": "w"}}}"#;

    #[test]
    fn each_file_version_is_read_once_and_a_missing_file_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let config = Arc::new(crate::config::parse(POOLS).unwrap().config);
        let (context, inputs) = Context::for_tests(config);
        let settings = Settings::new(path.clone(), context, Vec::new());
        let mut watch = Watch::default();
        let mut look = || {
            watch.look(&settings);
            let reports = inputs
                .try_iter()
                .filter(|input| matches!(input, Input::Report(_)));
            reports.count()
        };
        fs::write(&path, POOLS).unwrap();
        assert_eq!(look(), 0);
        let other = POOLS.replace("a.test", "other.test");
        fs::write(&path, &other).unwrap();
        assert_eq!([look(), look()], [1, 0], "applied, once");
        fs::remove_file(&path).unwrap();
        assert_eq!(look(), 0, "it may be on its way");
        assert_eq!([look(), look()], [1, 0], "it has vanished");
        // Even if it comes back exactly as it was.
        fs::write(&path, &other).unwrap();
        assert_eq!([look(), look()], [1, 0], "everything is fine");
    }

    #[test]
    fn the_watcher_ends_when_told_to_stop() {
        let config = Arc::new(crate::config::parse(POOLS).unwrap().config);
        let (context, _inputs) = Context::for_tests(config);
        let nowhere = Settings::new("nowhere.json".into(), context, Vec::new());
        let (stop, thread) = start(Arc::new(nowhere)).unwrap();
        drop(stop);
        thread.join().unwrap();
    }
}
