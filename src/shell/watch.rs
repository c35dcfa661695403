//! Watches the configuration file, so that what the owner writes into it is applied without a restart.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::shell::settings::Settings;
use crate::system::thread::{SERVICE_STACK, spawn};

/// How often the file is looked at. (A file that is replaced, as editors and container tools do,
/// is lost to most notification interfaces.)
const EVERY: Duration = Duration::from_secs(1);

/// After so many looks in vain the file is gone; one may fall between the steps of a replacement.
const SURELY_MISSING: u32 = 2;

/// What tells one version of the file from another without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// Starts to watch; the thread ends when the returned sender is dropped.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(settings: Arc<Settings>) -> io::Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = bounded::<()>(0);
    let mut seen = None;
    let thread = spawn("config", SERVICE_STACK, move || {
        let mut missing: u32 = 0;
        while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            let now = stamp(settings.path());
            missing = if now.is_none() { missing + 1 } else { 0 };
            if missing == SURELY_MISSING {
                settings.tell_loss();
                // Whatever comes back is to be looked at.
                seen = None;
            }
            if now != seen && now.is_some() {
                seen = now;
                settings.reload();
            }
        }
    })?;
    Ok((stop, thread))
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
