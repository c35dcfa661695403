//! The state file: what outlives a restart, read at the start, written every half minute and at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::Context;
use crossbeam_channel::{Sender, bounded};

use crate::core::snapshot::Memory;
use crate::system::files::{Backup, set_aside, write_atomic};
use crate::system::thread::{SERVICE_STACK, spawn};

/// The state file that belongs to a configuration file.
pub fn state_path(config: &Path) -> PathBuf {
    config.with_file_name("state.json")
}

/// Reads the state. A missing file is an empty state; one that cannot be read is set aside as
/// `state.json.unreadable`, never overwritten, and what was wrong is returned as well.
pub fn load(path: &Path) -> (Memory, Option<String>) {
    let problem = match fs::read_to_string(path) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(memory) => return (memory, None),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Memory::default(), None),
        Err(error) => error.to_string(),
    };
    let moved = set_aside(path);
    let problem = format!(
        "{} cannot be read ({problem}); {moved}; totals begin at zero",
        path.display()
    );
    (Memory::default(), Some(problem))
}

/// Writes the state.
///
/// # Errors
/// If the file cannot be written; the old one is intact then.
pub fn save(path: &Path, memory: &Memory) -> anyhow::Result<()> {
    let text = serde_json::to_vec(memory).context("failed to format the state")?;
    write_atomic(path, &text, Backup::None)
}

/// Starts the thread that writes; it ends when the sender is dropped. `report` hears of trouble,
/// once until it is over.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(
    path: PathBuf,
    report: impl Fn(String) + Send + 'static,
) -> io::Result<(Sender<Memory>, JoinHandle<()>)> {
    let (sender, memories) = bounded::<Memory>(1);
    let thread = spawn("state", SERVICE_STACK, move || {
        let mut in_trouble = false;
        for memory in memories {
            match save(&path, &memory) {
                Ok(()) => in_trouble = false,
                Err(error) if !in_trouble => {
                    in_trouble = true;
                    report(format!("{error:#}"));
                }
                Err(_) => (),
            }
        }
    })?;
    Ok((sender, thread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_survives_and_an_unreadable_one_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(load(&path), (Memory::default(), None));
        let mut memory = Memory::default();
        memory.ledger.pools[crate::units::PoolSlot::B].accepted = 7;
        save(&path, &memory).unwrap();
        assert_eq!(load(&path), (memory, None));
        for round in 1..=3 {
            fs::write(&path, "{").unwrap();
            let (memory, problem) = load(&path);
            assert_eq!(memory, Memory::default());
            assert!(problem.unwrap().contains("set aside"));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), round);
        }
    }
}
