//! Where log lines are written: standard output and rotating files.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flexi_logger::writers::{ArcFileLogWriter, FileLogWriter, FileLogWriterHandle};
use flexi_logger::{Cleanup, Criterion, ErrorChannel, FileSpec, LogSpecification, Logger, Naming};

use crate::config::Logging;
use crate::system::clock::clock;
use crate::system::files::{self, no_file};

use super::Shared;
use super::stdout::Printer;

/// The current file; when it is full, the word in its name is replaced by a number.
const CURRENT: &str = "dpmp_rCURRENT.log";
const BASENAME: &str = "dpmp";
const SUFFIX: &str = "log";

/// Where lines are written. A problem with an output is reported once, until it works again.
pub(super) struct Outputs {
    stdout: Option<(Printer<io::Stdout>, Trouble)>,
    file: Option<LogFile>,
    shared: Arc<Shared>,
}

/// What a log file's name refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathTarget {
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
    /// Whether the last write was incomplete.
    torn: bool,
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
            stdout: to_stdout
                .then(|| (Printer::new(io::stdout()), Trouble::new("standard output"))),
            file,
            shared,
        }
    }

    /// Writes complete lines to the file, and some of them to standard output.
    pub(super) fn write(&mut self, lines: &str, printed: &str) {
        if let Some(file) = &mut self.file {
            let written = file.write(lines);
            match file.trouble.note(written) {
                Change::None => (),
                Change::Begins(text) => self.shared.set_file_problem(Some(text)),
                Change::Ends => self.shared.set_file_problem(None),
            }
        }
        if let Some((printer, trouble)) = &mut self.stdout {
            let _ = trouble.note(printer.print(printed));
            let lost = printer.lost(clock());
            self.shared.unprinted.fetch_add(lost, Ordering::Relaxed);
            self.shared.lose(lost);
        }
    }
}

impl LogFile {
    fn open(logging: &Logging, directory: &Path) -> anyhow::Result<Self> {
        const MB: u64 = 1_000_000;
        Self::look_at(&directory.join(CURRENT))?;
        // A file that cannot be rotated would be reported on standard error with each write. Building a logger is the
        // only way to change that for the writer.
        Logger::with(LogSpecification::warn())
            .do_not_log()
            .error_channel(ErrorChannel::DevNull)
            .build()?;
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
            // This already runs on a thread of its own.
            .cleanup_in_background_thread(false)
            .try_build_with_handle()?;
        Ok(Self {
            folder: directory.to_owned(),
            // After a crash or a full disk, the file may end in the middle of a line.
            torn: ends_torn(&directory.join(CURRENT)),
            writer,
            _handle: handle,
            trouble: Trouble::new(&format!("log file in {}", directory.display())),
        })
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        // Somebody may delete the current file or its folder. Lines would be lost until the next rotation.
        if Self::look_at(&self.folder.join(CURRENT))? == PathTarget::Nothing {
            fs::create_dir_all(&self.folder)?;
            self.writer.reopen_outputfile().map_err(io::Error::other)?;
        }
        // A full disk may have stored half a line. The next line must not become part of it.
        if self.torn && ends_torn(&self.folder.join(CURRENT)) {
            self.writer.write_all(b"\n")?;
        }
        let written = self.writer.write_all(lines.as_bytes());
        let written = written.and_then(|()| self.writer.flush());
        self.torn = written.is_err();
        written
    }

    /// What the current file's name refers to. Opening a named pipe would wait forever; a character device accepts
    /// lines as well.
    fn look_at(path: &Path) -> io::Result<PathTarget> {
        match fs::metadata(path) {
            Ok(found) => match no_file(found.file_type()) {
                Some(error) if !takes_characters(found.file_type()) => Err(error),
                Some(_) | None => Ok(PathTarget::File),
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(PathTarget::File),
            Err(_) => Ok(PathTarget::Nothing),
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

/// Whether an output failed the last time, so that only the first failure is reported.
struct Trouble {
    output: String,
    failing: bool,
}

impl Trouble {
    fn new(output: &str) -> Self {
        Self {
            output: output.to_owned(),
            failing: false,
        }
    }

    fn note(&mut self, result: io::Result<()>) -> Change {
        let failed_before = std::mem::replace(&mut self.failing, result.is_err());
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

/// How a write changes a problem.
enum Change {
    None,
    Begins(String),
    Ends,
}

/// Reports a problem that the log cannot. Standard error may be closed, too, which is no reason to panic.
pub fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}
