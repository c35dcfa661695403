//! Watches the configuration file and applies what the owner writes into it, without a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::config::{self, Config};
use crate::core::fact::Fact;
use crate::shell::inbox::{Context, Input};
use crate::shell::thread::{SERVICE_STACK, spawn};

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
pub fn start(path: PathBuf, context: Context) -> io::Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = bounded::<()>(0);
    // Nothing was seen yet: what was written since the program read the file is not missed.
    let mut seen = None;
    let mut text = None;
    let thread = spawn("config", SERVICE_STACK, move || {
        let mut missing: u32 = 0;
        while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            let now = stamp(&path);
            missing = if now.is_none() { missing + 1 } else { 0 };
            if missing == SURELY_MISSING {
                let problem = format!("{} has vanished", path.display());
                let _ = context
                    .inbox
                    .send(Input::Report(Fact::ConfigRefused { problem }));
            }
            if now == seen || now.is_none() {
                continue;
            }
            seen = now;
            let new = fs::read(&path).ok();
            if new.is_some() && new != text {
                text = new;
                reload(&path, &context);
            }
        }
    })?;
    Ok((stop, thread))
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Reads the file and hands it to the scheduler, or says why not.
fn reload(path: &Path, context: &Context) {
    // A file that has vanished meanwhile is not made anew: that would take the pools away.
    let Ok(text) = fs::read(path) else { return };
    let text = String::from_utf8(text).map_err(|error| error.to_string());
    let loaded = text.and_then(|text| config::parse(&text).map_err(|errors| errors.to_string()));
    let facts = match loaded {
        Err(problem) => {
            let problem = format!("{}: {problem}", path.display());
            vec![Fact::ConfigRefused { problem }]
        }
        Ok(loaded) => match config::may_replace(&context.live.get(), &loaded.config) {
            Ok(()) => apply(loaded.config, loaded.warnings, context),
            Err(errors) => {
                let problem = format!("{}: {errors}", path.display());
                vec![Fact::ConfigRefused { problem }]
            }
        },
    };
    for fact in facts {
        let _ = context.inbox.send(Input::Report(fact));
    }
}

/// Puts a configuration into force; what there is to tell about it is returned.
fn apply(config: Config, warnings: Vec<String>, context: &Context) -> Vec<Fact> {
    let changes = config::changes(&context.live.get(), &config);
    if changes.is_empty() {
        return Vec::new();
    }
    let warnings = warnings.into_iter();
    let mut facts: Vec<_> = warnings.map(|text| Fact::ConfigWarning { text }).collect();
    let payout = changes.iter().any(|change| {
        change.path.starts_with("pools.")
            && [".host", ".port", ".wallet", ".user_name"]
                .iter()
                .any(|key| change.path.ends_with(key))
    });
    let _ = context.inbox.send(Input::Config(Arc::new(config)));
    let changes = changes.iter().map(|change| {
        let when = if change.needs_restart {
            " (after a restart)"
        } else {
            ""
        };
        format!("{}: {} -> {}{when}", change.path, change.old, change.new)
    });
    facts.push(Fact::ConfigApplied {
        changes: changes.collect(),
        payout,
    });
    facts
}
