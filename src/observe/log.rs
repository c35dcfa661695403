//! The log: JSON lines to standard output and to files that rotate, written by a thread of its own.
//!
//! Whoever has something to tell hands the fact to a bounded queue and goes on; the thread `log` makes the line and
//! writes it through `flexi_logger`. Nothing that goes wrong here stops the program: a line for which the queue has no
//! room is dropped and counted, and what cannot be written is told once on standard error.
//!
//! It is also the process's logger for the `log` crate, so that what libraries say comes out as JSON lines, too.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use flexi_logger::writers::{ArcFileLogWriter, FileLogWriter, FileLogWriterHandle, LogWriter};
use flexi_logger::{
    Cleanup, Criterion, DeferredNow, ErrorChannel, FileSpec, LogSpecification, Logger,
    LoggerHandle, Naming,
};
use log::{Level, LevelFilter, Log, Record};
use parking_lot::Mutex;

use crate::config::Logging;
use crate::core::fact::Fact;
use crate::observe::event::{self, Name};
use crate::observe::notices::Notice;
use crate::observe::tail::Tail;
use crate::shell::clock;
use crate::shell::thread::{SERVICE_STACK, spawn};

/// How many facts wait to be written. When it is full the newest is dropped and counted.
const QUEUE: usize = 4096;

/// After each write the thread rests for so long. What is told meanwhile costs nobody a wake-up and goes out with one
/// write: a busy proxy logs every share, and a write for each would cost more than the share.
const REST: Duration = Duration::from_millis(25);

/// Lines are written together up to this size, in bytes.
const LARGEST_WRITE: usize = 64 * 1024;

/// How long the guard's end waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The target of our own records for the `log` crate: their message is whole lines. No module path has it, so that
/// nothing else is taken for one.
const OWN_TARGET: &str = "dpmp:lines";

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
    let outputs = Outputs::open(logging, directory, to_stdout, Arc::clone(&shared));
    let backend = Backend::new(outputs);
    // Only the first log of a process gets what libraries say.
    if let Ok(()) = log::set_boxed_logger(Box::new(Arc::clone(&backend.logger))) {
        log::set_max_level(LevelFilter::Warn);
    }
    start_thread(shared, backend)
}

/// The names in `logging.allow` and `logging.deny` that no event has: the owner should know, as a wrong name filters
/// nothing out, or everything.
pub fn unknown_names(logging: &Logging) -> Vec<String> {
    let lists = logging.allow.iter().chain(&logging.deny);
    lists
        .filter(|wanted| Name::ALL.iter().all(|name| name.text() != wanted.as_str()))
        .cloned()
        .collect()
}

/// Where facts are told. Cheap to clone, and cheap to use.
#[derive(Clone, Debug)]
pub struct LogHandle {
    queue: Sender<Item>,
    shared: Arc<Shared>,
}

impl LogHandle {
    /// Has a fact written, if it passes the filter. `unix_ms`: when it happened, in milliseconds since 1970. It never
    /// waits; false if there was no room and the line is lost.
    pub fn tell(&self, fact: &Fact, unix_ms: u64) -> bool {
        if !self.shared.filter.passes(fact) {
            return true;
        }
        match self.queue.try_send(Item::Fact(fact.clone(), unix_ms)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
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

    fn ask(&self, item: impl FnOnce(Sender<()>) -> Item, patience: Duration) -> bool {
        let (done, answer) = bounded(1);
        // Twice the patience at most: usually there is room at once.
        self.queue.send_timeout(item(done), patience).is_ok()
            && answer.recv_timeout(patience).is_ok()
    }
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
    /// A fact, and when it happened.
    Fact(Fact, u64),
    /// Answer when all before this is written.
    Flush(Sender<()>),
    /// Answer and end.
    End(Sender<()>),
}

/// What handles and thread share.
#[derive(Debug)]
struct Shared {
    filter: Filter,
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

/// What is logged. Reading it takes no lock; that its parts change one after another does no harm.
#[derive(Debug)]
struct Filter {
    /// A [`LevelFilter`] as number.
    level: AtomicUsize,
    /// The [bits](Name::bit) of the names that are logged.
    names: AtomicU64,
    show_wallets: AtomicBool,
}

impl Filter {
    fn new(logging: &Logging) -> Self {
        let filter = Self {
            level: AtomicUsize::new(0),
            names: AtomicU64::new(0),
            show_wallets: AtomicBool::new(false),
        };
        filter.set(logging);
        filter
    }

    fn set(&self, logging: &Logging) {
        let in_list = |list: &[String], name: &Name| list.iter().any(|text| text == name.text());
        let names = Name::ALL
            .iter()
            .filter(|name| logging.allow.is_empty() || in_list(&logging.allow, name))
            .filter(|name| !in_list(&logging.deny, name))
            .fold(0, |names, name| names | name.bit());
        self.level
            .store(number(LevelFilter::from(logging.level)), Ordering::Relaxed);
        self.names.store(names, Ordering::Relaxed);
        self.show_wallets
            .store(logging.show_wallets, Ordering::Relaxed);
    }

    fn passes(&self, fact: &Fact) -> bool {
        // Where the earnings go is never changed in silence, whatever the filter says.
        let moves_money = matches!(fact, Fact::ConfigApplied { payout: true, .. });
        moves_money || self.lets_pass(event::level(fact), event::name(fact))
    }

    fn lets_pass(&self, level: Level, name: Name) -> bool {
        number(level.to_level_filter()) <= self.level.load(Ordering::Relaxed)
            && self.names.load(Ordering::Relaxed) & name.bit() != 0
    }
}

/// A level's rank, the quietest first.
fn number(level: LevelFilter) -> usize {
    match level {
        LevelFilter::Off => 0,
        LevelFilter::Error => 1,
        LevelFilter::Warn => 2,
        LevelFilter::Info => 3,
        LevelFilter::Debug => 4,
        LevelFilter::Trace => 5,
    }
}

/// What the thread writes with.
struct Backend {
    logger: Arc<dyn Log>,
    /// Has to live as long as the logger is used.
    handle: Option<LoggerHandle>,
}

impl Backend {
    fn new(outputs: Outputs) -> Self {
        let built = Logger::with(LogSpecification::trace())
            .log_to_writer(Box::new(outputs))
            // Outputs tells its troubles itself, once and not per line.
            .error_channel(ErrorChannel::DevNull)
            .build();
        match built {
            Ok((logger, handle)) => Self {
                logger: Arc::from(logger),
                handle: Some(handle),
            },
            Err(error) => {
                complain(&format!("dpmp: no log: {error}"));
                Self {
                    logger: Arc::new(Silence),
                    handle: None,
                }
            }
        }
    }

    /// Writes whole lines. (Each has its level in it; that of the record means nothing.)
    fn write(&self, lines: &str) {
        self.logger.log(
            &Record::builder()
                .level(Level::Error)
                .target(OWN_TARGET)
                .args(format_args!("{lines}"))
                .build(),
        );
    }

    fn flush(&self) {
        if let Some(handle) = &self.handle {
            handle.flush();
        }
    }
}

fn start_thread(shared: Arc<Shared>, backend: Backend) -> io::Result<(LogHandle, LogGuard)> {
    let (queue, items) = bounded(QUEUE);
    let for_thread = Arc::clone(&shared);
    let thread = spawn("log", SERVICE_STACK, move || {
        write_all(&items, &for_thread, &backend);
    })?;
    let log = LogHandle { queue, shared };
    let guard = LogGuard {
        log: log.clone(),
        thread: Some(thread),
    };
    Ok((log, guard))
}

/// The thread's life.
fn write_all(items: &Receiver<Item>, shared: &Shared, backend: &Backend) {
    let mut batch = Batch::default();
    // The queue ends with its last handle; a rest is cut short by nothing, which is why it is short.
    while let Ok(first) = items.recv() {
        for item in std::iter::once(first).chain(items.try_iter()) {
            let (done, end) = match item {
                Item::Fact(fact, unix_ms) => {
                    batch.add(&fact, unix_ms, shared);
                    (None, false)
                }
                Item::Flush(done) => (Some(done), false),
                Item::End(done) => (Some(done), true),
            };
            // Not before there is room again, or the news would come once per line.
            if done.is_some() || items.len() < QUEUE / 2 {
                batch.add_dropped(shared);
            }
            if done.is_some() || batch.lines.len() >= LARGEST_WRITE {
                batch.write(backend);
            }
            if let Some(done) = done {
                backend.flush();
                let _ = done.try_send(());
            }
            if end {
                return;
            }
        }
        batch.write(backend);
        std::thread::sleep(REST);
    }
}

/// Lines that are written together.
#[derive(Default)]
struct Batch {
    lines: String,
    /// The time of the last fact.
    last_ms: u64,
}

impl Batch {
    fn add(&mut self, fact: &Fact, unix_ms: u64, shared: &Shared) {
        let show_wallets = shared.filter.show_wallets.load(Ordering::Relaxed);
        let line = event::line(fact, unix_ms, show_wallets);
        shared.tail.push(&line);
        self.lines.push_str(&line);
        self.lines.push('\n');
        self.last_ms = unix_ms;
    }

    fn add_dropped(&mut self, shared: &Shared) {
        let lines = shared.dropped.swap(0, Ordering::Relaxed);
        let fact = Fact::LogDropped { lines };
        if lines > 0 && shared.filter.passes(&fact) {
            self.add(&fact, self.last_ms, shared);
        }
    }

    fn write(&mut self, backend: &Backend) {
        if !self.lines.is_empty() {
            backend.write(&self.lines);
            self.lines.clear();
            self.lines.shrink_to(LARGEST_WRITE);
        }
    }
}

/// Where lines end up. A trouble with either is told once, until it works again.
struct Outputs {
    stdout: Option<Trouble>,
    file: Option<LogFile>,
    shared: Arc<Shared>,
}

struct LogFile {
    writer: ArcFileLogWriter,
    _handle: FileLogWriterHandle,
    trouble: Trouble,
}

impl Outputs {
    fn open(
        logging: &Logging,
        directory: Option<PathBuf>,
        to_stdout: bool,
        shared: Arc<Shared>,
    ) -> Self {
        let file = directory.and_then(|directory| match LogFile::open(logging, &directory) {
            Ok(file) => Some(file),
            Err(error) => {
                let directory = directory.display();
                let text = format!("no log files in {directory}: {error:#}");
                complain(&format!("dpmp: {text}"));
                shared.set_file_problem(Some(text));
                None
            }
        });
        Self {
            stdout: to_stdout.then(|| Trouble::new("standard output")),
            file,
            shared,
        }
    }

    /// Writes whole lines.
    fn write_lines(&self, lines: &str) {
        if let Some(trouble) = &self.stdout {
            let mut out = io::stdout().lock();
            // Standard output is buffered by lines, so that the end of the last line is what writes them.
            let _ = trouble.note(out.write_all(lines.as_bytes()));
        }
        if let Some(file) = &self.file {
            let mut out = file.writer.clone();
            self.note_file(file, out.write_all(lines.as_bytes()));
        }
    }

    fn note_file(&self, file: &LogFile, result: io::Result<()>) {
        match file.trouble.note(result) {
            Change::None => (),
            Change::Begins(text) => self.shared.set_file_problem(Some(text)),
            Change::Ends => self.shared.set_file_problem(None),
        }
    }
}

impl LogFile {
    fn open(logging: &Logging, directory: &Path) -> anyhow::Result<Self> {
        const MB: u64 = 1_000_000;
        let spec = FileSpec::default()
            .directory(directory)
            .basename("dpmp")
            .suffix("log")
            .suppress_timestamp();
        let keep = usize::try_from(logging.keep_files).unwrap_or(usize::MAX);
        let (writer, handle) = FileLogWriter::builder(spec)
            .append()
            .rotate(
                Criterion::Size(u64::from(logging.max_file_mb).saturating_mul(MB)),
                Naming::Numbers,
                Cleanup::KeepLogFiles(keep),
            )
            // We are on a thread of our own already.
            .cleanup_in_background_thread(false)
            .try_build_with_handle()?;
        Ok(Self {
            writer,
            _handle: handle,
            trouble: Trouble::new(&format!("log file in {}", directory.display())),
        })
    }
}

impl Outputs {
    /// Whether what a library says is logged. Its chatter is not, whatever the configuration says of our own events.
    fn wants(&self, level: Level) -> bool {
        level <= Level::Warn && self.shared.filter.lets_pass(level, Name::LibraryMessage)
    }
}

impl LogWriter for Outputs {
    fn write(&self, now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
        // The fact has its own time.
        let _ = now;
        if record.target() == OWN_TARGET {
            self.write_lines(&record.args().to_string());
        } else if self.wants(record.level()) {
            let text = record.args().to_string();
            let mut line =
                event::library_line(record.level(), record.target(), &text, clock::now().unix_ms);
            self.shared.tail.push(&line);
            line.push('\n');
            self.write_lines(&line);
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        // With nothing left to write a flush succeeds on a full disk, too: only a line shows that the trouble is over.
        if let Some(trouble) = &self.stdout {
            if let Err(error) = io::stdout().lock().flush() {
                let _ = trouble.note(Err(error));
            }
        }
        if let Some(file) = &self.file {
            if let Err(error) = file.writer.clone().flush() {
                self.note_file(file, Err(error));
            }
        }
        Ok(())
    }
}

/// Whether an output failed the last time, so that it is told only when it begins.
struct Trouble {
    output: String,
    failing: AtomicBool,
}

impl Trouble {
    fn new(output: &str) -> Self {
        Self {
            output: output.to_owned(),
            failing: AtomicBool::new(false),
        }
    }

    fn note(&self, result: io::Result<()>) -> Change {
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match (result, failed_before) {
            (Err(error), false) => {
                let text = format!("{}: cannot write log lines: {error}", self.output);
                complain(&format!("dpmp: {text}"));
                Change::Begins(text)
            }
            (Ok(()), true) => Change::Ends,
            (Err(_), true) | (Ok(()), false) => Change::None,
        }
    }
}

/// What a write means for a trouble.
enum Change {
    None,
    Begins(String),
    Ends,
}

/// Says something where the log cannot. Standard error may be closed, too, and that is no reason to panic.
pub fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// A logger that could not be built.
struct Silence;

impl Log for Silence {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }
    fn log(&self, _: &Record<'_>) {}
    fn flush(&self) {}
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;
    use crate::config::{self, Config};
    use crate::core::fact::ShareOutcome;
    use crate::observe::samples::{ADDRESS, samples, share};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn logging() -> Logging {
        Logging {
            directory: Some("logs".into()),
            ..Config::default().logging
        }
    }

    /// A log beside a config file in `folder`, without standard output.
    fn open(logging: &Logging, folder: &Path) -> (LogHandle, LogGuard) {
        start(logging, &folder.join("config.json"), false).unwrap()
    }

    fn lines(folder: &Path) -> Vec<Value> {
        let text = fs::read_to_string(folder.join("logs/dpmp_rCURRENT.log")).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn events(folder: &Path) -> Vec<String> {
        let name = |line: &Value| line["event"].as_str().unwrap().to_owned();
        lines(folder).iter().map(name).collect()
    }

    #[test]
    fn every_fact_ends_up_in_the_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let logging = Logging {
            level: config::Level::Debug,
            ..logging()
        };
        let (log, guard) = open(&logging, folder.path());
        for fact in samples() {
            assert!(log.tell(&fact, 1_795_428_672_345));
        }
        drop(guard);
        let told: Vec<_> = samples()
            .iter()
            .map(|fact| event::name(fact).to_string())
            .collect();
        assert_eq!(events(folder.path()), told);
        assert!(
            lines(folder.path())
                .iter()
                .all(|line| !line.to_string().contains(ADDRESS))
        );
        // After the end a line is lost, and nothing else happens.
        assert!(!log.tell(&Fact::Stopping, 0));
        assert!(!log.flush(Duration::from_millis(10)));
    }

    #[test]
    fn the_filter_can_be_changed_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let mut logging = logging();
        let (log, _guard) = open(&logging, folder.path());
        let connected = || {
            samples()
                .into_iter()
                .find(|fact| event::name(fact) == Name::MinerConnected)
        };
        let dialing = samples()
            .into_iter()
            .find(|fact| event::name(fact) == Name::PoolDialing)
            .unwrap();
        let tell = || {
            log.tell(&connected().unwrap(), 0);
            log.tell(&share(ShareOutcome::Accepted), 0);
            log.tell(&dialing, 0);
            assert!(log.flush(PATIENCE));
            let all = events(folder.path());
            all.join(" ")
        };
        assert_eq!(tell(), "miner_connected share_result");
        logging.deny = vec!["share_result".into()];
        log.set_filter(&logging);
        assert!(tell().ends_with("share_result miner_connected"));
        logging.allow = vec![
            "share_result".into(),
            "pool_dialing".into(),
            "old_name".into(),
        ];
        log.set_filter(&logging);
        logging.level = config::Level::Debug;
        log.set_filter(&logging);
        assert!(tell().ends_with("miner_connected pool_dialing"));
        let before = events(folder.path()).len();
        logging.level = config::Level::Off;
        log.set_filter(&logging);
        tell();
        assert_eq!(events(folder.path()).len(), before);
        assert_eq!(unknown_names(&logging), ["old_name"]);
    }

    #[test]
    fn wallets_are_shown_if_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let logging = Logging {
            show_wallets: true,
            ..logging()
        };
        let (log, guard) = open(&logging, folder.path());
        for fact in samples() {
            log.tell(&fact, 0);
        }
        drop(guard);
        assert!(
            lines(folder.path())
                .iter()
                .any(|line| line.to_string().contains(ADDRESS))
        );
    }

    #[test]
    fn files_rotate_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let logging = Logging {
            max_file_mb: 1,
            keep_files: 2,
            ..logging()
        };
        let (log, guard) = open(&logging, folder.path());
        let fact = Fact::ConfigWarning {
            text: "abc ".repeat(125),
        };
        for _ in 0..9000 {
            while !log.tell(&fact, 0) {
                assert!(log.flush(PATIENCE));
            }
        }
        drop(guard);
        let mut files: Vec<_> = fs::read_dir(folder.path().join("logs"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files.len(), 3, "{files:?}");
        assert_eq!(files[2], "dpmp_rCURRENT.log");
    }

    /// A backend that stands still until it is let go.
    struct Slow {
        arrived: Sender<()>,
        lines: Sender<String>,
        gate: Receiver<()>,
    }

    impl Log for Slow {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &Record<'_>) {
            let _ = self.arrived.try_send(());
            let _ = self.gate.recv();
            let _ = self.lines.send(record.args().to_string());
        }
        fn flush(&self) {}
    }

    #[test]
    fn a_full_queue_drops_lines_and_says_how_many() {
        let (lines, written) = bounded(2 * QUEUE);
        let (open, gate) = bounded::<()>(0);
        let (arrived, busy) = bounded(1);
        let backend = Backend {
            logger: Arc::new(Slow {
                arrived,
                lines,
                gate,
            }),
            handle: None,
        };
        let (log, guard) = start_thread(Arc::new(Shared::new(&logging())), backend).unwrap();
        assert!(log.tell(&Fact::Stopping, 7));
        busy.recv_timeout(PATIENCE).unwrap();
        let told = QUEUE + 100;
        let lost = (0..told).filter(|_| !log.tell(&Fact::Stopping, 7)).count();
        assert_eq!(lost, 100);
        assert!(!log.flush(Duration::from_millis(20)));
        drop(open);
        drop(guard);
        let written: String = written.try_iter().collect();
        let dropped: Vec<_> = written
            .lines()
            .filter(|line| line.contains("log_dropped"))
            .collect();
        assert_eq!(dropped.len(), 1);
        assert!(
            dropped[0].contains(&format!("\"lines\":{lost}")),
            "{dropped:?}"
        );
        assert_eq!(written.lines().count(), 1 + told - lost + 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("logs"), "a file").unwrap();
        let (log, guard) = open(&logging(), folder.path());
        assert!(log.tell(&Fact::Stopping, 0));
        assert!(log.flush(PATIENCE));
        let problem = log.file_problem().unwrap().text;
        assert!(problem.contains("no log files"), "{problem}");
        drop(guard);
    }

    #[test]
    fn a_full_disk_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        fs::create_dir(&logs).unwrap();
        if !Path::new("/dev/full").exists() {
            return;
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("/dev/full", logs.join("dpmp_rCURRENT.log")).unwrap();
        let (log, guard) = open(&logging(), folder.path());
        for _ in 0..10 {
            assert!(log.tell(&Fact::Stopping, 0));
        }
        assert!(log.flush(PATIENCE));
        let problem = log.file_problem().unwrap().text;
        assert!(problem.contains("cannot write log lines"), "{problem}");
        drop(guard);
    }

    #[test]
    fn what_libraries_say_is_json_too() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::open(
            &logging(),
            Some(folder.path().join("logs")),
            false,
            Arc::new(Shared::new(&logging())),
        );
        let backend = Backend::new(outputs);
        let say = |level, text: &str| {
            backend.logger.log(
                &Record::builder()
                    .level(level)
                    .target("http")
                    .args(format_args!("{text}"))
                    .build(),
            );
        };
        say(Level::Error, "failed to accept \"new\" connection");
        say(Level::Debug, "noise");
        let lines = lines(folder.path());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["event"], "library_message");
        assert_eq!(lines[0]["level"], "error");
        assert_eq!(lines[0]["library"], "http");
        assert_eq!(lines[0]["text"], "failed to accept \"new\" connection");
    }
}
