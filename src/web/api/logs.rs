//! `logs`: searches the kept log files backward in time. `logs/download`: all of them as one compressed archive.
//!
//! The archive is created while it is sent, so it needs memory for only one piece, however large the log is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use log::Level;
use rouille::{Response, ResponseBody};
use serde_json::json;
use tar::Header;

use crate::observe::log::kept::{self, Mark, Search, next_line};
use crate::observe::wallet::Redactor;
use crate::system::files;
use crate::web::api::PoolNames;
use crate::web::api::events::number;
use crate::web::api::events::sentence::sentence;
use crate::web::error::{Answer, ApiError};
use crate::web::json;
use crate::web::limit::Place;
use crate::web::pages::{Call, Pages};

/// How long to wait for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The block size of a tar archive.
const BLOCK: usize = 512;

/// How much of a file is compressed at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// The last moment of a year of four digits, in milliseconds since 1970.
const END_OF_TIME: u64 = 253_402_300_799_999;

/// The default and the maximum number of events in an answer.
const USUAL: usize = 200;
const MOST: usize = 1000;

/// `GET /api/v1/logs`
pub(in crate::web) fn show(pages: &Pages, call: &Call<'_>) -> Answer {
    let text = |name| call.request.get_param(name).unwrap_or_default();
    let wrong = |name, message| ApiError::invalid_value(name, message);
    let level = match text("level").as_str() {
        "" => Level::Trace,
        name => name
            .parse()
            .map_err(|_| wrong("level", "level must be trace, debug, info, warn or error."))?,
    };
    let before = match text("before").as_str() {
        "" => None,
        mark => Some(
            Mark::parse(mark)
                .ok_or_else(|| wrong("before", "before must be `next` from an answer."))?,
        ),
    };
    let without = text("without");
    let search = Search {
        from_ms: number(call.request, "from_ms")?.unwrap_or(0),
        to_ms: number(call.request, "to_ms")?.unwrap_or(END_OF_TIME),
        level,
        event: text("event"),
        without: without.split(',').map(str::to_owned).collect(),
        pool: text("pool"),
        text: text("text").to_lowercase(),
        limit: number(call.request, "limit")?.map_or(USUAL, |limit| {
            usize::try_from(limit).unwrap_or(MOST).clamp(1, MOST)
        }),
    };
    let folder = folder(pages)?;
    let Some(_place) = pages.log_searches.take() else {
        let message = "Other searches of the log are still running. Wait a moment.";
        return Err(ApiError::too_many(message, 1));
    };
    let found = kept::search(&folder, &search, before).map_err(|error| unreadable(&error))?;
    let names = PoolNames::of(&pages.context.live.get(), &pages.published.get());
    let events = found.events.iter();
    let texts: Vec<_> = events.map(|event| sentence(event.get(), &names)).collect();
    Ok(json::respond(&json!({
        "events": found.events,
        "texts": texts,
        "next": found.next.map(|next| next.to_string()),
        "oldest": found.oldest,
    })))
}

fn folder(pages: &Pages) -> Result<PathBuf, ApiError> {
    pages
        .started_with
        .logging
        .directory_beside(pages.settings.path())
        .ok_or_else(|| ApiError::not_found("There are no log files: logging.directory is empty."))
}

fn unreadable(error: &io::Error) -> ApiError {
    ApiError::not_found(format!("DPMP cannot read the log folder: {error}"))
}

/// `GET /api/v1/logs/download`
pub(in crate::web) fn download(pages: &Pages, call: &Call<'_>) -> Answer {
    let redactor = match call.request.get_param("wallets").as_deref() {
        None | Some("short") => {
            let config = pages.context.live.get();
            let pools = config.pools.iter().filter_map(|(_, pool)| pool.as_ref());
            let wallets = pools.flat_map(|pool| {
                let backups = pool.backups.iter();
                let others = backups.filter_map(|backup| backup.wallet.as_ref());
                others.chain([&pool.wallet]).map(String::as_str)
            });
            Some(Redactor::new(wallets))
        }
        Some("full") => None,
        Some(_) => {
            let message = "wallets must be short or full.";
            return Err(ApiError::invalid_value("wallets", message));
        }
    };
    let folder = folder(pages)?;
    let Some(place) = pages.downloads.take() else {
        let message = "Another download is still running. Wait a moment.";
        return Err(ApiError::too_many(message, 10));
    };
    pages.context.observer.log.flush(LAST_LINES);
    let files = plain_files(&folder).map_err(|error| unreadable(&error))?;
    let archive = Archive::new(files, redactor, place);
    Ok(Response {
        data: ResponseBody::from_reader(archive),
        ..Response::from_data("application/gzip", "")
    }
    .with_unique_header("Cache-Control", "no-store")
    .with_additional_header(
        "Content-Disposition",
        "attachment; filename=\"dpmp-logs.tar.gz\"",
    ))
}

/// The log's uncompressed files, oldest first.
fn plain_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let files = kept::log_files(folder)?.into_values();
    let plain = files.filter(|file| !file.packed);
    Ok(plain.map(|file| file.path).collect())
}

/// A compressed archive that is created while it is read.
struct Archive {
    /// Files to add, the next one last.
    files: Vec<PathBuf>,
    redactor: Option<Redactor>,
    entry: Option<Entry>,
    /// Compresses into memory; the output is passed on immediately.
    packer: Option<GzEncoder<Vec<u8>>>,
    ready: Vec<u8>,
    given: usize,
    _place: Place,
}

/// The file that is being added.
struct Entry {
    lines: BufReader<io::Take<File>>,
    /// How many bytes are left, according to the archive's header.
    left: u64,
    padding: usize,
}

impl Archive {
    fn new(mut files: Vec<PathBuf>, redactor: Option<Redactor>, place: Place) -> Self {
        files.reverse();
        Self {
            files,
            redactor,
            entry: None,
            packer: Some(GzEncoder::new(Vec::new(), Compression::fast())),
            ready: Vec::new(),
            given: 0,
            _place: place,
        }
    }

    /// Compresses some more; false at the end of the archive.
    fn go_on(&mut self) -> io::Result<bool> {
        let Some(packer) = &mut self.packer else {
            return Ok(false);
        };
        if let Some(entry) = &mut self.entry {
            let piece = entry.next_piece(self.redactor.as_ref())?;
            packer.write_all(&piece)?;
            if entry.left == 0 {
                packer.write_all(&[0; BLOCK][..entry.padding])?;
                self.entry = None;
            }
        } else if let Some(path) = self.files.pop() {
            match begin(&path, self.redactor.as_ref()) {
                Ok((header, entry)) => {
                    packer.write_all(header.as_bytes())?;
                    self.entry = (entry.left > 0).then_some(entry);
                }
                // It was the oldest one and was removed for a new one.
                Err(error) if error.kind() == ErrorKind::NotFound => (),
                Err(error) => return Err(error),
            }
        } else if let Some(mut packer) = self.packer.take() {
            packer.write_all(&[0; 2 * BLOCK])?;
            self.ready = packer.finish()?;
            return Ok(true);
        }
        if let Some(packer) = &mut self.packer {
            self.ready = std::mem::take(packer.get_mut());
        }
        Ok(true)
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            self.given = 0;
            self.ready.clear();
            if !self.go_on()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.ready.len() - self.given);
        buffer[..length].copy_from_slice(&self.ready[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

/// Opens a file and writes its header in the archive, with its current length: later lines are not included.
fn begin(path: &Path, redactor: Option<&Redactor>) -> io::Result<(Header, Entry)> {
    let mut file = files::open(path)?;
    let about = file.metadata()?;
    let length = about.len();
    let size = match redactor {
        None => length,
        // Redacted lines have a different length, which must be known in advance, so they are made twice.
        Some(redactor) => {
            let mut lines = BufReader::with_capacity(PIECE, (&mut file).take(length));
            let mut size = 0;
            while let Some(line) = next_line(&mut lines)? {
                size += u64::try_from(redactor.line(&line).len()).unwrap_or(0);
            }
            file.seek(SeekFrom::Start(0))?;
            size
        }
    };
    let mut header = Header::new_gnu();
    let name = path.file_name().unwrap_or_default();
    header.set_path(Path::new("dpmp-logs").join(name))?;
    header.set_size(size);
    header.set_mode(0o600);
    let changed = about.modified().unwrap_or(UNIX_EPOCH);
    header.set_mtime(
        changed
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs(),
    );
    header.set_cksum();
    let rest = usize::try_from(size % 512).unwrap_or(0);
    let entry = Entry {
        lines: BufReader::with_capacity(PIECE, file.take(length)),
        left: size,
        padding: (BLOCK - rest) % BLOCK,
    };
    Ok((header, entry))
}

impl Entry {
    fn next_piece(&mut self, redactor: Option<&Redactor>) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        match redactor {
            None => {
                piece.extend_from_slice(self.lines.fill_buf()?);
                self.lines.consume(piece.len());
            }
            Some(redactor) => {
                while piece.len() < PIECE {
                    let Some(line) = next_line(&mut self.lines)? else {
                        break;
                    };
                    piece.extend_from_slice(&redactor.line(&line));
                }
            }
        }
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        // The file has become shorter, because another program writes it. The client sees an incomplete archive.
        self.left = match self.left.checked_sub(length) {
            Some(left) if length > 0 => left,
            Some(_) | None => return Err(ErrorKind::UnexpectedEof.into()),
        };
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::web::limit::Places;

    const WALLET: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

    fn unpacked(folder: &Path, redactor: Option<Redactor>) -> Vec<(String, String)> {
        let place = Places::new(1).take().unwrap();
        let archive = Archive::new(plain_files(folder).unwrap(), redactor, place);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        tar.entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().display().to_string();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (name, text)
            })
            .collect()
    }

    #[test]
    fn the_archive_contains_every_file_whole() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let line = format!(
            "{{\"user\":\"{WALLET}.rig1\",\"hash\":\"{}\"}}\n",
            "0a".repeat(32)
        );
        let long = line.repeat(5000);
        write("dpmp_r00000.log", &long);
        write("dpmp_r00001.log", "");
        write("dpmp_rCURRENT.log", &line);
        write("state.json", "not ours");
        write("dpmp_r.txt", "not ours");
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("dpmp_r9.log")).unwrap();
        let full = unpacked(folder.path(), None);
        let names: Vec<_> = full.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "dpmp-logs/dpmp_r00000.log",
                "dpmp-logs/dpmp_r00001.log",
                "dpmp-logs/dpmp_rCURRENT.log"
            ]
        );
        assert_eq!(full[0].1, long);
        assert_eq!(full[1].1, "");
        assert_eq!(full[2].1, line);

        let short = unpacked(folder.path(), Some(Redactor::new([])));
        assert_eq!(short[0].1, long.replace(WALLET, "bc1q…5mdq"));
        assert_eq!(short[2].1, line.replace(WALLET, "bc1q…5mdq"));
    }

    #[test]
    fn very_long_lines_are_handled() {
        let folder = tempfile::tempdir().unwrap();
        let long = "ab ".repeat(300_000);
        fs::write(folder.path().join("dpmp_r0.log"), &long).unwrap();
        let short = unpacked(folder.path(), Some(Redactor::new([])));
        assert_eq!(short[0].1, long);
    }

    #[test]
    fn an_empty_folder_gives_an_empty_archive() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unpacked(folder.path(), None), []);
    }
}
