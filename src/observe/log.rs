//! The log: JSON lines to standard output and to rotating files, written by a separate thread.
//!
//! Code that reports a fact puts it into a bounded queue and continues. The thread `log` formats the line and writes it
//! with `flexi_logger`'s file writer. No failure here stops the program: if the queue is full, the line is dropped and
//! counted, and write errors are reported once on standard error.
//!
//! This is also the process's logger for the `log` crate. Messages of libraries become JSON lines, too, and go through
//! the same queue, so that a library that logs never waits for a file.

mod filter;
pub mod kept;
mod limiter;
mod outputs;
mod stdout;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::{Level, Log, Metadata, Record};
use parking_lot::Mutex;

use crate::config::{LoadedConfig, Logging};
use crate::core::fact::Fact;
use crate::observe::event::{self, Name};
use crate::observe::notices::Notice;
use crate::observe::tail::{Kind, Tail};
use crate::system::clock;
use crate::system::thread::{SERVICE_STACK, spawn};
use crate::units::Now;

use filter::Filter;
use limiter::{Limiter, Line};
use outputs::Outputs;
pub use outputs::complain;

/// How many facts can wait to be written. When the queue is full, new ones are dropped and counted.
const QUEUE: usize = 4096;

/// Extra room for warnings and errors, so that a flood of other facts does not crowd them out.
const IMPORTANT: usize = 1024;

/// How long the thread rests after each write. Facts that arrive in the meantime need no wake-up and are written
/// together. A busy proxy logs every share, and a write for each would cost more than the share itself.
const REST: Duration = Duration::from_millis(25);

/// Lines are written together up to this size, in bytes.
const LARGEST_WRITE: usize = 64 * 1024;

/// How often the thread looks for events that were counted but not written.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long dropping the guard waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Libraries' messages below this level are not logged, whatever the configuration says about our own events.
const LOUDEST_OF_LIBRARIES: Level = Level::Warn;

/// Begins to log. With `to_stdout` false, standard output is left alone.
///
/// If the folder cannot be written, that is reported on standard error and there are no files.
///
/// # Errors
/// If the system has no room for a thread.
pub fn start(
    logging: &Logging,
    config_file: &Path,
    to_stdout: bool,
) -> io::Result<(LogHandle, LogGuard)> {
    let directory = logging.directory_beside(config_file);
    let shared = Arc::new(Shared::new(logging));
    let mut outputs = Outputs::open(logging, directory, to_stdout, Arc::clone(&shared));
    let write = move |lines: &str, printed: &str| outputs.write(lines, printed);
    let (log, guard) = start_thread(shared, write)?;
    // Only the first log of a process gets the messages of libraries.
    if let Ok(()) = log::set_boxed_logger(Box::new(log.clone())) {
        log::set_max_level(LOUDEST_OF_LIBRARIES.to_level_filter());
    }
    Ok((log, guard))
}

/// Adds a warning for each name in `logging.allow` and `logging.deny` that is not an event: a wrong name filters out
/// nothing, or everything. (The code that reads configurations does not know the events.)
pub fn warn_of_unknown_names(loaded: &mut LoadedConfig) {
    let logging = &loaded.config.logging;
    let lists = logging.allow.iter().chain(&logging.deny);
    let unknown =
        lists.filter(|wanted| Name::ALL.iter().all(|name| name.text() != wanted.as_str()));
    loaded.warnings.extend(unknown.map(|name| {
        format!("logging.allow or logging.deny contains {name:?}, but no event has this name")
    }));
}

/// Accepts facts. Cheap to clone and to use.
#[derive(Clone, Debug)]
pub struct LogHandle {
    queue: Sender<Item>,
    shared: Arc<Shared>,
}

impl LogHandle {
    /// Queues a fact if it passes the filter and there are not too many of its kind; surplus facts are counted and
    /// summed up later. `now` is when it happened. It never waits; returns false if there was no room and the line is
    /// lost.
    pub fn tell(&self, fact: &Fact, now: Now) -> bool {
        if !self.shared.filter.passes(fact) {
            return true;
        }
        let Some(count) = self.shared.limiter.admit(fact, now) else {
            return true;
        };
        let line = Line {
            fact: fact.clone(),
            unix_ms: now.unix_ms,
            count,
        };
        self.enqueue(Item::Line(line), event::level(fact))
    }

    /// Applies `level`, `allow`, `deny` and `show_wallets` of a new configuration. They apply to facts from now on;
    /// `show_wallets` also applies to those in the queue.
    pub fn set_filter(&self, logging: &Logging) {
        self.shared.filter.set(logging);
    }

    /// How many lines were lost since the start, if more were lost since the last call.
    pub fn new_loss(&self) -> Option<u64> {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let told = self.shared.told_lost.swap(lost, Ordering::Relaxed);
        (lost > told).then_some(lost)
    }

    /// How many lines standard output lost since the last call.
    pub fn take_unprinted(&self) -> u64 {
        self.shared.unprinted.swap(0, Ordering::Relaxed)
    }

    /// Waits up to `patience` until everything so far is written; returns whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        self.ask(Item::Flush, patience)
    }

    /// Why log files cannot be written, while that is so.
    pub fn file_problem(&self) -> Option<Notice> {
        self.shared.file_problem.lock().clone()
    }

    /// The newest lines.
    pub fn tail(&self) -> &Tail {
        &self.shared.tail
    }

    /// Never waits; returns false if there was no room for this level.
    fn enqueue(&self, item: Item, level: Level) -> bool {
        let full = level > Level::Warn && self.queue.len() >= QUEUE;
        let queued = !full && self.queue.try_send(item).is_ok();
        if !queued {
            self.shared.lose(1);
        }
        queued
    }

    fn ask(&self, item: impl FnOnce(Sender<()>) -> Item, patience: Duration) -> bool {
        let (done, answer) = bounded(1);
        // At most twice the patience; usually there is room immediately.
        self.queue.send_timeout(item(done), patience).is_ok()
            && answer.recv_timeout(patience).is_ok()
    }
}

/// Messages of libraries.
impl Log for LogHandle {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        let level = about.level();
        level <= LOUDEST_OF_LIBRARIES && self.shared.filter.lets_pass(level, Name::LibraryMessage)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = clock::now();
        let Some(count) = self.shared.limiter.admit_library(now.at) else {
            return;
        };
        let (level, unix_ms) = (record.level(), now.unix_ms);
        let text = record.args().to_string();
        let line = event::library_line(level, record.target(), &text, unix_ms, count);
        let item = Item::OfLibrary {
            level,
            line,
            unix_ms,
        };
        self.enqueue(item, level);
    }

    /// It would block.
    fn flush(&self) {}
}

/// Ensures an orderly end: when it is dropped, the last lines are written within two seconds.
#[derive(Debug)]
pub struct LogGuard {
    log: LogHandle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let ended = self.log.ask(Item::End, LAST_LINES);
        // A thread that hangs in a write cannot be joined; it ends with the process.
        if let (true, Some(thread)) = (ended, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// An item in the queue.
#[derive(Debug)]
enum Item {
    /// A line.
    Line(Line),
    /// A library's message, as a line.
    OfLibrary {
        level: Level,
        line: String,
        unix_ms: u64,
    },
    /// Reply when everything before this is written.
    Flush(Sender<()>),
    /// Reply and end.
    End(Sender<()>),
}

/// Shared by the handles and the thread.
#[derive(Debug)]
struct Shared {
    filter: Filter,
    limiter: Limiter,
    /// Lines that were lost since the last `log_dropped`.
    dropped: AtomicU64,
    /// Lines that were lost since the start, and how many of them the observer has been told of.
    lost: AtomicU64,
    told_lost: AtomicU64,
    /// Lines that standard output lost since the last question.
    unprinted: AtomicU64,
    /// Why the files cannot be written, while that is so.
    file_problem: Mutex<Option<Notice>>,
    /// The newest lines.
    tail: Tail,
}

impl Shared {
    fn new(logging: &Logging) -> Self {
        Self {
            filter: Filter::new(logging),
            limiter: Limiter::default(),
            dropped: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            told_lost: AtomicU64::new(0),
            unprinted: AtomicU64::new(0),
            file_problem: Mutex::new(None),
            tail: Tail::default(),
        }
    }

    fn lose(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }

    fn set_file_problem(&self, text: Option<String>) {
        let unix_ms = clock::now().unix_ms;
        *self.file_problem.lock() = text.map(|text| Notice { unix_ms, text });
    }
}

/// `write` receives complete lines, and separately those that also go to standard output.
fn start_thread(
    shared: Arc<Shared>,
    mut write: impl FnMut(&str, &str) + Send + 'static,
) -> io::Result<(LogHandle, LogGuard)> {
    let (queue, items) = bounded(QUEUE + IMPORTANT);
    let for_thread = Arc::clone(&shared);
    let thread = spawn("log", SERVICE_STACK, move || {
        write_all(&items, &for_thread, &mut write);
    })?;
    let log = LogHandle { queue, shared };
    let guard = LogGuard {
        log: log.clone(),
        thread: Some(thread),
    };
    Ok((log, guard))
}

/// The thread's main loop.
fn write_all(items: &Receiver<Item>, shared: &Shared, write: &mut impl FnMut(&str, &str)) {
    let mut batch = Batch::default();
    let mut look_at = clock::clock() + LOOK_EVERY;
    // The queue ends with its last handle. Nothing interrupts a rest, which is why it is short.
    loop {
        let first = match items.recv_timeout(LOOK_EVERY) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for item in first.into_iter().chain(items.try_iter()) {
            let (done, end) = match item {
                Item::Line(line) => {
                    batch.add(&line, shared);
                    (None, false)
                }
                Item::OfLibrary {
                    level,
                    line,
                    unix_ms,
                } => {
                    batch.push((Name::LibraryMessage, level), &line, unix_ms, shared);
                    (None, false)
                }
                Item::Flush(done) => (Some(done), false),
                Item::End(done) => (Some(done), true),
            };
            // Only once there is room again; otherwise, this would be reported once per line.
            if done.is_some() || items.len() < QUEUE / 2 {
                batch.add_dropped(shared);
            }
            if end {
                batch.add_all(&shared.limiter.rest(clock::clock()), shared);
            }
            if done.is_some() || batch.lines.len() >= LARGEST_WRITE {
                batch.write(write);
            }
            if let Some(done) = done {
                let _ = done.try_send(());
            }
            if end {
                return;
            }
        }
        let now = clock::clock();
        if look_at <= now {
            look_at = now + LOOK_EVERY;
            batch.add_all(&shared.limiter.due(now), shared);
        }
        batch.write(write);
        std::thread::sleep(REST);
    }
}

/// Lines that are written together.
#[derive(Default)]
struct Batch {
    lines: String,
    /// Those that also go to standard output.
    printed: String,
    /// The time of the last one.
    last_ms: u64,
}

impl Batch {
    fn add(&mut self, told: &Line, shared: &Shared) {
        let Line {
            fact,
            unix_ms,
            count,
        } = told;
        let show_wallets = shared.filter.shows_wallets();
        let line = event::line(fact, *unix_ms, *count, show_wallets);
        self.push(
            (event::name(fact), event::level(fact)),
            &line,
            *unix_ms,
            shared,
        );
    }

    fn push(&mut self, kind: Kind, line: &str, unix_ms: u64, shared: &Shared) {
        shared.tail.push(kind, line);
        let (_, level) = kind;
        let printed = shared.filter.prints(level).then_some(&mut self.printed);
        for lines in printed.into_iter().chain([&mut self.lines]) {
            lines.push_str(line);
            lines.push('\n');
        }
        self.last_ms = unix_ms;
    }

    fn add_all(&mut self, lines: &[Line], shared: &Shared) {
        for line in lines {
            self.add(line, shared);
        }
    }

    fn add_dropped(&mut self, shared: &Shared) {
        let lines = shared.dropped.swap(0, Ordering::Relaxed);
        let fact = Fact::LogDropped { lines };
        if lines > 0 && shared.filter.passes(&fact) {
            let (unix_ms, count) = (self.last_ms, 1);
            let line = Line {
                fact,
                unix_ms,
                count,
            };
            self.add(&line, shared);
        }
    }

    fn write(&mut self, write: &mut impl FnMut(&str, &str)) {
        if !self.lines.is_empty() {
            write(&self.lines, &self.printed);
            for lines in [&mut self.lines, &mut self.printed] {
                lines.clear();
                lines.shrink_to(LARGEST_WRITE);
            }
        }
    }
}

#[cfg(test)]
mod tests;
