//! Where the lines end up: standard output, and files that rotate.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flexi_logger::writers::{ArcFileLogWriter, FileLogWriter, FileLogWriterHandle, LogWriter};
use flexi_logger::{
    Cleanup, Criterion, DeferredNow, ErrorChannel, FileSpec, LogSpecification, Logger,
    LoggerHandle, Naming,
};
use log::{Level, Log, Record};

use crate::config::Logging;
use crate::observe::event::{self, Name};
use crate::system::clock;
use crate::system::files::{self, no_file};

use super::Shared;

/// The targets of our own records for the `log` crate: their message is whole lines, for the files or for standard
/// output. No module path has them, so that nothing else is taken for one.
pub(super) const FILE_TARGET: &str = "dpmp:lines";
const STDOUT_TARGET: &str = "dpmp:stdout";

/// The file that is written; when it is full it gets a number instead of the word.
const CURRENT: &str = "dpmp_rCURRENT.log";
const BASENAME: &str = "dpmp";
const SUFFIX: &str = "log";

/// What the thread writes with.
pub(super) struct Backend {
    pub(super) logger: Arc<dyn Log>,
    /// Has to live as long as the logger is used.
    pub(super) handle: Option<LoggerHandle>,
}

impl Backend {
    pub(super) fn new(outputs: Outputs) -> Self {
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
    pub(super) fn write(&self, lines: &str, printed: &str) {
        for (target, lines) in [(STDOUT_TARGET, printed), (FILE_TARGET, lines)] {
            if !lines.is_empty() {
                self.logger.log(
                    &Record::builder()
                        .level(Level::Error)
                        .target(target)
                        .args(format_args!("{lines}"))
                        .build(),
                );
            }
        }
    }

    pub(super) fn flush(&self) {
        if let Some(handle) = &self.handle {
            handle.flush();
        }
    }
}

/// Where lines end up. A trouble with either is told once, until it works again.
pub(super) struct Outputs {
    stdout: Option<Trouble>,
    file: Option<LogFile>,
    shared: Arc<Shared>,
}

/// What a log file's name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    File,
}

#[cfg(unix)]
fn takes_characters(found: fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_char_device(&found)
}

#[cfg(not(unix))]
fn takes_characters(_: fs::FileType) -> bool {
    false
}

struct LogFile {
    folder: PathBuf,
    /// Whether the last write broke off.
    torn: AtomicBool,
    writer: ArcFileLogWriter,
    _handle: FileLogWriterHandle,
    trouble: Trouble,
}

impl Outputs {
    pub(super) fn open(
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

    /// Writes whole lines to standard output.
    fn print(&self, lines: &str) {
        if let Some(trouble) = &self.stdout {
            let mut out = io::stdout().lock();
            // Standard output is buffered by lines, so that the end of the last line is what writes them.
            let _ = trouble.note(out.write_all(lines.as_bytes()));
        }
    }

    /// Writes whole lines to the file.
    fn write_lines(&self, lines: &str) {
        if let Some(file) = &self.file {
            self.note_file(file, file.write(lines));
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
        Self::look_at(&directory.join(CURRENT))?;
        let spec = FileSpec::default()
            .directory(directory)
            .basename(BASENAME)
            .suffix(SUFFIX)
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
            folder: directory.to_owned(),
            // After a crash or a full disk the file may end in the middle of a line.
            torn: AtomicBool::new(ends_torn(&directory.join(CURRENT))),
            writer,
            _handle: handle,
            trouble: Trouble::new(&format!("log file in {}", directory.display())),
        })
    }

    fn write(&self, lines: &str) -> io::Result<()> {
        // Who tidies up deletes a file that is written, or its folder. Lines would go on into nothing until the next
        // rotation.
        if Self::look_at(&self.folder.join(CURRENT))? == Found::Nothing {
            fs::create_dir_all(&self.folder)?;
            self.writer.reopen_outputfile().map_err(io::Error::other)?;
        }
        let mut writer = self.writer.clone();
        // A disk that was full took half a line. What comes next must not become a part of it.
        if self.torn.load(Ordering::Relaxed) && ends_torn(&self.folder.join(CURRENT)) {
            writer.write_all(b"\n")?;
        }
        let written = writer
            .write_all(lines.as_bytes())
            .and_then(|()| writer.flush());
        self.torn.store(written.is_err(), Ordering::Relaxed);
        written
    }

    /// What stands under the name of the file that is written. To open a named pipe would wait for ever; a device that
    /// takes characters takes lines as well.
    fn look_at(path: &Path) -> io::Result<Found> {
        match fs::metadata(path) {
            Ok(found) => match no_file(found.file_type()) {
                Some(error) if !takes_characters(found.file_type()) => Err(error),
                Some(_) | None => Ok(Found::File),
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Found::File),
            Err(_) => Ok(Found::Nothing),
        }
    }
}

/// Whether a file ends in the middle of a line.
fn ends_torn(path: &Path) -> bool {
    let last = || {
        let mut file = files::open(path).ok()?;
        file.seek(SeekFrom::End(-1)).ok()?;
        let mut last = [0];
        file.read_exact(&mut last).ok()?;
        Some(last)
    };
    last().is_some_and(|last| last != *b"\n")
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
        if record.target() == STDOUT_TARGET {
            self.print(&record.args().to_string());
        } else if record.target() == FILE_TARGET {
            self.write_lines(&record.args().to_string());
        } else if self.wants(record.level()) {
            let now = clock::now();
            let Some(count) = self.shared.limiter.admit_library(now.at) else {
                return Ok(());
            };
            let text = record.args().to_string();
            let (level, target) = (record.level(), record.target());
            let mut line = event::library_line(level, target, &text, now.unix_ms, count);
            self.shared
                .tail
                .push((Name::LibraryMessage, record.level()), &line);
            line.push('\n');
            if self.shared.filter.prints(record.level()) {
                self.print(&line);
            }
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
