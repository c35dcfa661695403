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

/// How many facts wait to be written. When it is full the newest is dropped and counted.
const QUEUE: usize = 4096;

/// For so many more there is room if they are warnings or errors: a flood of others must not crowd them out.
const IMPORTANT: usize = 1024;

/// After each write the thread rests for so long. What is told meanwhile costs nobody a wake-up and goes out with one
/// write: a busy proxy logs every share, and a write for each would cost more than the share.
const REST: Duration = Duration::from_millis(25);

/// Lines are written together up to this size, in bytes.
const LARGEST_WRITE: usize = 64 * 1024;

/// How often the thread looks for events that were counted and not written.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long the guard's end waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Libraries' chatter below this is not logged, whatever the configuration says of our own events.
const LOUDEST_OF_LIBRARIES: Level = Level::Warn;

/// Begins to log. With `to_stdout` false, standard output is left alone.
///
/// A folder that cannot be written is told on standard error, and there are no files then.
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
    // Only the first log of a process gets what libraries say.
    if let Ok(()) = log::set_boxed_logger(Box::new(log.clone())) {
        log::set_max_level(LOUDEST_OF_LIBRARIES.to_level_filter());
    }
    Ok((log, guard))
}

/// Adds a warning for each name in `logging.allow` and `logging.deny` that no event has: the owner should know, as a
/// wrong name filters nothing out, or everything. (What events there are is not known where configurations are read.)
pub fn warn_of_unknown_names(loaded: &mut LoadedConfig) {
    let logging = &loaded.config.logging;
    let lists = logging.allow.iter().chain(&logging.deny);
    let unknown =
        lists.filter(|wanted| Name::ALL.iter().all(|name| name.text() != wanted.as_str()));
    loaded.warnings.extend(unknown.map(|name| {
        format!("logging.allow or logging.deny contains {name:?}, but no event has this name")
    }));
}

/// Where facts are told. Cheap to clone, and cheap to use.
#[derive(Clone, Debug)]
pub struct LogHandle {
    queue: Sender<Item>,
    shared: Arc<Shared>,
}

impl LogHandle {
    /// Has a fact written, if it passes the filter and there are not too many of its kind; those are counted, and told
    /// later. `now` is when it happened. It never waits; false if there was no room and the line is lost.
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

    /// Applies `level`, `allow`, `deny` and `show_wallets` of a new configuration; they hold for the facts told from
    /// now on, `show_wallets` for those in the queue, too.
    pub fn set_filter(&self, logging: &Logging) {
        self.shared.filter.set(logging);
    }

    /// Waits until all that was told is written, but not beyond `patience`; whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        self.ask(Item::Flush, patience)
    }

    /// Why log files cannot be written, as long as they cannot.
    pub fn file_problem(&self) -> Option<Notice> {
        self.shared.file_problem.lock().clone()
    }

    /// The newest lines that were written.
    pub fn tail(&self) -> &Tail {
        &self.shared.tail
    }

    /// Never waits; false if there was no room for what is of this level.
    fn enqueue(&self, item: Item, level: Level) -> bool {
        let full = level > Level::Warn && self.queue.len() >= QUEUE;
        let queued = !full && self.queue.try_send(item).is_ok();
        if !queued {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }

    fn ask(&self, item: impl FnOnce(Sender<()>) -> Item, patience: Duration) -> bool {
        let (done, answer) = bounded(1);
        // Twice the patience at most: usually there is room at once.
        self.queue.send_timeout(item(done), patience).is_ok()
            && answer.recv_timeout(patience).is_ok()
    }
}

/// What libraries say.
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

    /// It would wait.
    fn flush(&self) {}
}

/// Sees to an orderly end: when it is dropped, the last lines are written, within two seconds.
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

/// What waits in the queue.
#[derive(Debug)]
enum Item {
    /// A line.
    Line(Line),
    /// What a library says, as a line.
    OfLibrary {
        level: Level,
        line: String,
        unix_ms: u64,
    },
    /// Answer when all before this is written.
    Flush(Sender<()>),
    /// Answer and end.
    End(Sender<()>),
}

/// What handles and thread share.
#[derive(Debug)]
struct Shared {
    filter: Filter,
    limiter: Limiter,
    /// Lines that were lost since the last `log_dropped`.
    dropped: AtomicU64,
    /// Why the files cannot be written, as long as they cannot.
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
            file_problem: Mutex::new(None),
            tail: Tail::default(),
        }
    }

    fn set_file_problem(&self, text: Option<String>) {
        let unix_ms = clock::now().unix_ms;
        *self.file_problem.lock() = text.map(|text| Notice { unix_ms, text });
    }
}

/// `write` is given whole lines, and those of them that are for standard output, too.
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

/// The thread's life.
fn write_all(items: &Receiver<Item>, shared: &Shared, write: &mut impl FnMut(&str, &str)) {
    let mut batch = Batch::default();
    let mut look_at = clock::clock() + LOOK_EVERY;
    // The queue ends with its last handle; a rest is cut short by nothing, which is why it is short.
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
            // Not before there is room again, or the news would come once per line.
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
    /// Those of them that go to standard output as well.
    printed: String,
    /// The time of the last of them.
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
