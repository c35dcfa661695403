//! The state file, which is kept across restarts: read at the start, written every half minute and at the end.

use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::Context;
use crossbeam_channel::Sender;
use serde_json::Value;

use crate::core::memory::Memory;
use crate::core::work::handed_out::KeptWork;
use crate::system::files::{self, Backup, set_aside, write_atomic};
use crate::system::thread::spawn_writer;

/// The longest worker name that is imported from there, in bytes; miners cannot send a longer one.
const LONGEST_WORKER: usize = 512;

/// The state file that belongs to a configuration file.
pub fn state_path(config: &Path) -> PathBuf {
    config.with_file_name("state.json")
}

/// The Python version's file of workers' best shares.
const OLD_BEST_SHARES: &str = "best_shares.json";

/// Reads the state. A missing file means an empty state, except for best shares of the Python version next to it; if
/// DPMP has `run_before`, work may have been handed out. A file that cannot be read is renamed to
/// `state.json.unreadable`, never overwritten, and the problem is returned as well.
pub fn load(path: &Path, run_before: bool) -> (Memory, Option<String>) {
    let problem = match files::read_text(path, files::LARGEST_OWN) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(memory) => return (memory, None),
            Err(error) => match rescued(&text) {
                Some((memory, lost)) => {
                    let moved = set_aside(path);
                    let path = path.display();
                    let problem =
                        format!("parts of {path} cannot be read ({error}); {moved}; lost: {lost}");
                    return (memory, Some(problem));
                }
                None => error.to_string(),
            },
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut memory = Memory::default();
            let old = best_shares(&path.with_file_name(OLD_BEST_SHARES));
            memory.totals.remember_best(old);
            if run_before {
                memory.handed_out = KeptWork::unknown();
            }
            return (memory, None);
        }
        Err(error) => error.to_string(),
    };
    let moved = set_aside(path);
    let problem = format!(
        "{} cannot be read ({problem}); {moved}; totals begin at zero",
        path.display()
    );
    let memory = Memory {
        handed_out: KeptWork::unknown(),
        ..Memory::default()
    };
    (memory, Some(problem))
}

/// The parts of a state that can be read on their own, and the names of those that cannot.
fn rescued(text: &str) -> Option<(Memory, String)> {
    let mut parts: serde_json::Map<String, Value> = serde_json::from_str(text).ok()?;
    let is_readable = |name: &String, part: &Value| {
        let alone = serde_json::Map::from_iter([(name.clone(), part.clone())]);
        serde_json::from_value::<Memory>(Value::Object(alone)).is_ok()
    };
    let mut lost = Vec::new();
    parts.retain(|name, part| {
        let readable = is_readable(name, part);
        if !readable {
            lost.push(name.clone());
        }
        readable
    });
    let memory = serde_json::from_value(Value::Object(parts)).ok()?;
    Some((memory, lost.join(", ")))
}

/// The difficulty of each worker's best share, as far as the file is readable.
fn best_shares(path: &Path) -> Vec<(String, f64)> {
    /// In bytes; there are a few for each worker.
    const LARGEST: usize = 1024 * 1024;
    let text = files::read(path, LARGEST).unwrap_or_default();
    let found: serde_json::Map<String, Value> =
        serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text))
            .unwrap_or_default();
    found
        .into_iter()
        .filter_map(|(worker, difficulty)| {
            let difficulty = difficulty.as_f64().filter(|value| *value > 0.0)?;
            let usable = worker.len() <= LONGEST_WORKER && !worker.chars().any(char::is_control);
            usable.then_some((worker, difficulty))
        })
        .collect()
}

/// Writes the state.
///
/// # Errors
/// If the file cannot be written; the old one is intact then.
pub fn save(path: &Path, memory: &Memory) -> anyhow::Result<()> {
    let text = serde_json::to_vec(memory).context("failed to format the state")?;
    write_atomic(path, &text, Backup::None)
}

/// Marks in the file that work is being handed out: if this run does not end in order, the next one cannot know which
/// work. The thread that writes reports problems with the file.
pub fn mark_running(path: &Path, memory: &Memory) {
    let mut running = memory.clone();
    running.handed_out = memory.handed_out.running();
    let _ = save(path, &running);
}

/// Starts the thread that writes; it ends when the sender is dropped. `report` gets problems, once until they are over.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(
    path: PathBuf,
    report: impl Fn(String) + Send + 'static,
) -> io::Result<(Sender<Memory>, JoinHandle<()>)> {
    let write = move |memory| save(&path, &memory);
    spawn_writer("state", 1, write, report)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn best_shares_of_the_python_version_are_imported_on_the_first_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let old = folder.path().join("best_shares.json");
        for (text, expected) in [
            (
                r#"{"rig": 123.5, "b": "7", "c": -1, "d": null, "e\n": 1}"#,
                Some(123.5),
            ),
            ("[]", None),
            ("{", None),
        ] {
            fs::write(&old, text).unwrap();
            let (memory, problem) = load(&path, false);
            assert_eq!(problem, None);
            let rig = memory.totals.workers.get("rig");
            assert_eq!(rig.and_then(|rig| rig.best_ever()), expected, "{text}");
            assert_eq!(memory.totals.workers.len(), usize::from(expected.is_some()));
        }
        fs::write(&old, r#"{"rig": 1}"#).unwrap();
        save(&path, &Memory::default()).unwrap();
        assert_eq!(load(&path, false), (Memory::default(), None));
    }

    #[test]
    fn one_unreadable_part_does_not_cost_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut memory = Memory::default();
        memory.totals.pools[crate::units::PoolSlot::B]
            .shares
            .accepted = 7;
        let mut state = serde_json::to_value(&memory).unwrap();
        state["overrides"] = serde_json::json!([{"work": "of a later version"}]);
        state["handed_out"] = 7.into();
        fs::write(&path, state.to_string()).unwrap();
        let (found, problem) = load(&path, false);
        assert_eq!(found.totals, memory.totals);
        assert_eq!(found.handed_out, KeptWork::unknown());
        let problem = problem.unwrap();
        assert!(problem.contains("set aside"), "{problem}");
        assert!(
            problem.ends_with("lost: overrides, handed_out"),
            "{problem}"
        );
    }

    #[test]
    fn the_state_survives_and_an_unreadable_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(load(&path, false), (Memory::default(), None));
        let (deleted, problem) = load(&path, true);
        assert_eq!((deleted.handed_out, problem), (KeptWork::unknown(), None));
        let mut memory = Memory::default();
        memory.totals.pools[crate::units::PoolSlot::B]
            .shares
            .accepted = 7;
        save(&path, &memory).unwrap();
        assert_eq!(load(&path, false), (memory, None));
        for round in 1..=3 {
            fs::write(&path, "{").unwrap();
            let (memory, problem) = load(&path, false);
            assert_eq!(memory.handed_out, KeptWork::unknown());
            assert_eq!(memory.totals, Memory::default().totals);
            assert!(problem.unwrap().contains("set aside"));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), round);
        }
    }
}
