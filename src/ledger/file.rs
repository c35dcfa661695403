//! The ledger's two files: the current day, and all earlier days.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Day, MOST_DAYS};
use crate::system::files::{self, Backup, set_aside, write_atomic};

/// What the numbers in the files mean.
const FORMAT: u32 = 1;

/// The file of the present day.
pub(super) fn today(config: &Path) -> PathBuf {
    config.with_file_name("ledger-today.json")
}

/// The file of all days before.
pub(super) fn past(config: &Path) -> PathBuf {
    config.with_file_name("ledger.json")
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Content<D> {
    format: u32,
    days: D,
}

/// Reads both files. A missing one has no days. One that cannot be read is renamed, never overwritten, and the problem
/// is returned as well.
pub(super) fn load(config: &Path) -> (BTreeMap<String, Day>, Vec<String>) {
    let mut days = BTreeMap::new();
    let mut problems = Vec::new();
    // If both have a day, today's file is newer.
    for path in [past(config), today(config)] {
        match read(&path) {
            Ok(found) => days.extend(found),
            Err(problem) => {
                let moved = set_aside(&path);
                let path = path.display();
                problems.push(format!("{path} cannot be read ({problem}); {moved}"));
            }
        }
    }
    while days.len() > MOST_DAYS {
        days.pop_first();
    }
    (days, problems)
}

fn read(path: &Path) -> Result<BTreeMap<String, Day>, String> {
    let bytes = match files::read(path, files::LARGEST_OWN) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other.map_err(|error| error.to_string())?,
    };
    let content: Content<BTreeMap<String, Day>> =
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if content.format != FORMAT {
        return Err(format!("format {} is not known", content.format));
    }
    Ok(content.days)
}

/// A file's content.
pub(super) fn format(days: &BTreeMap<&String, &Day>) -> anyhow::Result<Vec<u8>> {
    let format = FORMAT;
    serde_json::to_vec(&Content { format, days }).context("failed to format the ledger")
}

/// Writes a file; a failure leaves the old one whole.
pub(super) fn save(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    write_atomic(path, text, Backup::None)
}
