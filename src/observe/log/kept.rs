//! Reads the kept log files from the newest line back to the oldest.
//!
//! - Files are only opened for reading, so the thread that writes them is not affected.
//! - They may contain anything. A line that is not one of DPMP's events, or is too long, is skipped.
//! - A search reads a limited amount, keeps a limited number of lines in memory, and says where to continue.
//! - A full file gets the next number. Positions in the current file already use that number, so they stay valid.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;
use log::Level;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::observe::event::Name;
use crate::observe::time::rfc3339;
use crate::system::files;

/// The longest line that DPMP writes, in bytes.
const LONGEST_LINE: usize = 256 * 1024;

/// How many bytes are read from a file at a time.
const PIECE: usize = 64 * 1024;

/// After this many bytes a search stops, and the next one continues.
const MOST_READ: usize = 16 * 1024 * 1024;

/// How many bytes one search finds at most.
const MOST_FOUND: usize = 1024 * 1024;

/// How many bytes of a compressed file are unpacked; it can only be read from the beginning.
const MOST_UNPACKED: u64 = 128 * 1024 * 1024;

/// The beginning of every line that DPMP writes; its time follows, as long as [`TIME`].
const START: &[u8] = b"{\"ts\":\"";
const TIME: usize = "2026-11-23T10:11:12.345Z".len();

/// Which events are wanted.
#[derive(Clone, Debug)]
pub struct Search {
    /// The first moment, in milliseconds since 1970.
    pub from_ms: u64,
    /// The moment after the last one.
    pub to_ms: u64,
    /// This level and above.
    pub level: Level,
    /// Only events with this name; empty: all.
    pub event: String,
    /// No events with these names.
    pub without: Vec<String>,
    /// Only events that name this pool; empty: all.
    pub pool: String,
    /// Only lines with this text, in lower case; empty: all.
    pub text: String,
    /// The maximum number of events.
    pub limit: usize,
}

/// A position in the log: a file's number and a byte in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    file: u64,
    byte: u64,
}

/// The result of a search.
#[derive(Debug)]
pub struct Found {
    /// Events, newest first. Each is a JSON object.
    pub events: Vec<Box<RawValue>>,
    /// Where older events begin; `None`: there are none.
    pub next: Option<Mark>,
    /// The time of the oldest line that is kept.
    pub oldest: Option<String>,
}

impl Mark {
    /// `12:3456`.
    pub fn parse(text: &str) -> Option<Self> {
        let (file, byte) = text.split_once(':')?;
        Some(Self {
            file: file.parse().ok()?,
            byte: byte.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.byte)
    }
}

/// A log file.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is compressed.
    pub packed: bool,
}

/// The log files in a folder by their numbers, oldest first. Links are not followed, and everything else in the folder
/// is ignored.
///
/// # Errors
/// If the folder cannot be read.
pub fn log_files(folder: &Path) -> io::Result<BTreeMap<u64, LogFile>> {
    let mut found = BTreeMap::new();
    let mut current = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix("dpmp_r")) else {
            continue;
        };
        let packed = name.ends_with(".gz");
        let number = name.strip_suffix(".gz").unwrap_or(name);
        let Some(number) = number.strip_suffix(".log") else {
            continue;
        };
        if !entry.file_type()?.is_file() {
            continue;
        }
        let path = entry.path();
        let file = LogFile { path, packed };
        if number == "CURRENT" && !packed {
            current = Some(file);
        } else if let Ok(number) = number.parse::<u32>() {
            // While a file is being compressed, the compressed copy is incomplete.
            let known = found
                .entry(u64::from(number))
                .or_insert_with(|| file.clone());
            if !packed {
                *known = file;
            }
        }
    }
    if let Some(current) = current {
        let last = found.keys().next_back();
        let next = last.map_or(0, |last| last + 1);
        found.insert(next, current);
    }
    Ok(found)
}

/// Searches a folder's files backward from `start`, or from the newest line.
///
/// # Errors
/// If the folder cannot be read.
pub fn search(folder: &Path, search: &Search, start: Option<Mark>) -> io::Result<Found> {
    let files = log_files(folder)?;
    let oldest = files.values().find_map(|file| first_time(file).ok()?);
    let mut taker = Taker::new(search);
    let last = start.map_or(u64::MAX, |start| start.file);
    let mut next = None;
    for (number, file) in files.range(..=last).rev() {
        if taker.is_full() {
            let byte = u64::MAX;
            next = Some(Mark {
                file: *number,
                byte,
            });
            break;
        }
        let byte = start.filter(|start| start.file == *number);
        let byte = byte.map_or(u64::MAX, |start| start.byte);
        // It was the oldest file and has been deleted, or it may not be read.
        let stopped = taker.take_file(file, byte).ok().flatten();
        if let Some(byte) = stopped {
            next = Some(Mark {
                file: *number,
                byte,
            });
            break;
        }
    }
    Ok(Found {
        events: taker.events,
        next,
        oldest,
    })
}

/// Collects lines, newest first.
struct Taker<'a> {
    search: &'a Search,
    from: String,
    to: String,
    events: Vec<Box<RawValue>>,
    /// How many bytes were found and read.
    found: usize,
    read: usize,
}

/// The fields of a line that a search looks at.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    ts: Cow<'a, str>,
    #[serde(borrow)]
    level: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    pool: Option<&'a RawValue>,
    #[serde(borrow)]
    from: Option<&'a RawValue>,
    #[serde(borrow)]
    to: Option<&'a RawValue>,
}

impl<'a> Taker<'a> {
    fn new(search: &'a Search) -> Self {
        Self {
            search,
            from: rfc3339(search.from_ms),
            to: rfc3339(search.to_ms),
            events: Vec::new(),
            found: 0,
            read: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.search.limit || self.found >= MOST_FOUND || self.read >= MOST_READ
    }

    /// Collects the lines before a byte of a file. If it stops before the beginning of the file, it returns the byte
    /// where it stopped.
    fn take_file(&mut self, file: &LogFile, before: u64) -> io::Result<Option<u64>> {
        let changed = fs::metadata(&file.path)?.modified().ok();
        let changed = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
        let is_older =
            changed.is_some_and(|changed| changed.as_millis() < u128::from(self.search.from_ms));
        let is_newer =
            || first_time(file).is_ok_and(|first| first.is_some_and(|first| first >= self.to));
        if is_older || is_newer() {
            return Ok(None);
        }
        if file.packed {
            return self.take_packed(file, before);
        }
        let mut lines = BackwardLines::new(files::open(&file.path)?, before)?;
        while let Some((line, byte)) = lines.next()? {
            self.read += line.map_or(LONGEST_LINE, <[u8]>::len) + 1;
            if let Some(event) = line.and_then(|line| self.wanted(line)) {
                self.push(event);
            }
            if self.is_full() {
                return Ok((byte > 0).then_some(byte));
            }
        }
        Ok(None)
    }

    /// The same for a compressed file: it is read from the beginning, and the last matching lines are kept.
    fn take_packed(&mut self, file: &LogFile, before: u64) -> io::Result<Option<u64>> {
        let mut lines = unpacked(file, MOST_UNPACKED)?;
        let (mut kept, mut bytes, mut dropped) = (VecDeque::new(), 0, false);
        let room = self.search.limit.saturating_sub(self.events.len());
        let mut byte = 0;
        // A damaged file ends there.
        while let Ok(Some(line)) = next_line(&mut lines) {
            if byte >= before {
                break;
            }
            if let Some(event) = self.wanted(&line) {
                bytes += event.get().len();
                kept.push_back((byte, event));
            }
            byte += u64::try_from(line.len()).unwrap_or(0);
            while kept.len() > room || (bytes > MOST_FOUND && kept.len() > 1) {
                bytes -= kept.pop_front().map_or(0, |(_, event)| event.get().len());
                dropped = true;
            }
        }
        // It uses up the limit of one search.
        self.read = MOST_READ;
        let first = kept.front().map(|(byte, _)| *byte);
        kept.into_iter()
            .rev()
            .for_each(|(_, event)| self.push(event));
        Ok(first.filter(|_| dropped))
    }

    fn push(&mut self, event: Box<RawValue>) {
        self.found += event.get().len();
        self.events.push(event);
    }

    /// The event in a line, if it matches.
    fn wanted(&self, line: &[u8]) -> Option<Box<RawValue>> {
        let line = line.trim_ascii();
        let search = self.search;
        let is_within = |ts: &[u8]| (self.from.as_bytes()..self.to.as_bytes()).contains(&ts);
        // Most lines of other days are recognized by their time.
        let time = line.strip_prefix(START).and_then(|rest| rest.get(..TIME));
        if !line.starts_with(b"{") || !time.is_none_or(is_within) {
            return None;
        }
        let text = std::str::from_utf8(line).ok()?;
        let fields: Fields<'_> = serde_json::from_str(text).ok()?;
        let names_pool = |value: Option<&RawValue>| {
            let value = value.and_then(|value| serde_json::from_str::<&str>(value.get()).ok());
            value == Some(search.pool.as_str())
        };
        // Someone who looks for problems also wants to know when they ended.
        let level = if fields.event == Name::TroubleOver.text() {
            Ok(Level::Warn)
        } else {
            fields.level.parse::<Level>()
        };
        let fits = is_within(fields.ts.as_bytes())
            && level.is_ok_and(|level| level <= search.level)
            && (search.event.is_empty() || search.event == fields.event)
            && !search.without.iter().any(|name| *name == fields.event)
            && (search.pool.is_empty()
                || [fields.pool, fields.from, fields.to]
                    .into_iter()
                    .any(names_pool))
            && (search.text.is_empty() || text.to_lowercase().contains(&search.text));
        fits.then(|| RawValue::from_string(text.to_owned()).ok())
            .flatten()
    }
}

/// The time of a file's first line, if it is one of ours.
fn first_time(file: &LogFile) -> io::Result<Option<String>> {
    let mut start = [0; START.len() + TIME];
    let read = if file.packed {
        unpacked(file, MOST_UNPACKED)?.read_exact(&mut start)
    } else {
        files::open(&file.path)?.read_exact(&mut start)
    };
    let time = read.ok().and_then(|()| start.strip_prefix(START));
    let time = time.and_then(|time| std::str::from_utf8(time).ok());
    Ok(time.filter(|time| time.ends_with('Z')).map(str::to_owned))
}

fn unpacked(file: &LogFile, most: u64) -> io::Result<impl BufRead + use<>> {
    let packed = BufReader::with_capacity(PIECE, files::open(&file.path)?);
    let unpacked = MultiGzDecoder::new(packed).take(most);
    Ok(BufReader::with_capacity(PIECE, unpacked))
}

/// The next line with its end, or a piece of one that is too long; `None` after the last one.
///
/// # Errors
/// If it cannot be read.
pub fn next_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
    lines.take(most).read_until(b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

/// The lines of a file, last one first.
struct BackwardLines {
    file: File,
    /// How much of the file is before `buffer`.
    before: u64,
    buffer: Vec<u8>,
    /// The last returned line begins here in `buffer`.
    end: usize,
    /// Whether the end of `buffer` belongs to a line that is too long.
    too_long: bool,
}

impl BackwardLines {
    /// The lines that end before a byte.
    fn new(file: File, byte: u64) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            before: byte.min(length),
            buffer: Vec::new(),
            end: 0,
            too_long: false,
        })
    }

    /// The next line with its end, and the byte where it begins. A line that is too long is `None` itself.
    #[expect(clippy::type_complexity, reason = "it is used in one place")]
    fn next(&mut self) -> io::Result<Option<(Option<&[u8]>, u64)>> {
        self.buffer.truncate(self.end);
        loop {
            // A line ends with its own newline; where one is too long, that is no longer here.
            let own = usize::from(!self.too_long);
            let inner = self.buffer.len().saturating_sub(own);
            let begin = self.buffer[..inner].iter().rposition(|byte| *byte == b'\n');
            let begin = begin.map(|newline| newline + 1);
            let begin = begin.or_else(|| (self.before == 0).then_some(0));
            if let Some(begin) = begin {
                if self.buffer.is_empty() && !self.too_long {
                    return Ok(None);
                }
                self.end = begin;
                let byte = self.before + u64::try_from(begin).unwrap_or(0);
                let is_whole = !std::mem::take(&mut self.too_long);
                return Ok(Some((is_whole.then_some(&self.buffer[begin..]), byte)));
            }
            if self.buffer.len() > LONGEST_LINE {
                self.too_long = true;
                self.buffer.clear();
            }
            self.read_more()?;
        }
    }

    /// Reads the piece of the file before the buffer and puts it in front.
    fn read_more(&mut self) -> io::Result<()> {
        let length = self.before.min(u64::try_from(PIECE).unwrap_or(u64::MAX));
        self.before -= length;
        self.file.seek(SeekFrom::Start(self.before))?;
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact(&mut piece)?;
        piece.append(&mut self.buffer);
        self.buffer = piece;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
