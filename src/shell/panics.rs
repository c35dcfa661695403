//! Handles a panic in any thread: it is logged with its place, the state is saved, and the process exits with a code
//! that makes a supervisor restart it. A proxy without one of its threads would be worse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::core::fact::Fact;
use crate::observe::Observer;
use crate::system::clock::now;
use crate::system::thread::{WRITER_STACK, spawn};

/// The exit code after a panic.
const PANICKED: u8 = 70;

/// How long the log line of the panic may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long an orderly stop may take before the process exits without it.
const PATIENCE: Duration = Duration::from_secs(8);

/// Whether any thread has panicked.
#[derive(Clone, Debug, Default)]
pub struct Panics(Arc<AtomicBool>);

impl Panics {
    /// Logs panics from now on and calls `stop`, which asks the proxy to stop in order. If it has not stopped after
    /// eight seconds, the process exits anyway.
    pub fn watch(observer: Arc<Observer>, stop: impl Fn() + Send + Sync + 'static) -> Self {
        let panics = Self::default();
        let noted = panics.clone();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            usual(panic);
            let thread = std::thread::current();
            let fact = Fact::Panicked {
                thread: thread.name().unwrap_or("unnamed").to_owned(),
                problem: panic.to_string(),
            };
            observer.observe(&fact, now());
            observer.log.flush(LAST_LINES);
            if noted.0.swap(true, Ordering::SeqCst) {
                // The process is already stopping.
                return;
            }
            let guarded = spawn("last-resort", WRITER_STACK, || {
                std::thread::sleep(PATIENCE);
                std::process::exit(PANICKED.into());
            });
            if guarded.is_err() {
                std::process::exit(PANICKED.into());
            }
            stop();
        }));
        panics
    }

    /// The exit code after an orderly stop.
    pub fn exit_code(&self) -> u8 {
        if self.0.load(Ordering::SeqCst) {
            PANICKED
        } else {
            0
        }
    }
}
