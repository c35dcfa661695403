//! The folder `blocks/` next to the configuration: a file for each block candidate, with everything needed to show
//! later what was found and what the pool answered.
//!
//! - A block is reported only once its file is on the disk.
//! - Readers (the pages) read the files; a file is always complete.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use crossbeam_channel::Sender;
use serde_json::{Value, json};

use crate::core::fact::Fact;
use crate::core::work::block::Candidate;
use crate::stratum::job::BlockHash;
use crate::system::files::{self, Backup, write_atomic};
use crate::system::thread::spawn_writer;
use crate::units::Now;

/// How many files are kept; the oldest are removed. Only test networks have more.
const MOST_FILES: usize = 200;

/// How many notes may wait for the disk. Further ones are dropped, because a test network may find blocks faster than
/// the disk can write.
const MOST_WAITING: usize = 64;

/// The largest file that is read, in bytes; the largest coinbase takes a quarter of it.
const LARGEST_FILE: usize = 1024 * 1024;

/// A note about a candidate that should be saved.
#[derive(Debug)]
pub enum Note {
    /// It was found.
    Found(Arc<Candidate>),
    /// The result of its share.
    Answered {
        /// The block's hash.
        hash: BlockHash,
        /// The time, in milliseconds since 1970.
        unix_ms: u64,
        /// As text for people.
        answer: String,
    },
    /// It was found at this time. Reported once it is saved.
    Tell(Box<Fact>, Now),
}

/// The folder that belongs to a configuration file.
pub fn folder(config: &Path) -> PathBuf {
    config.with_file_name("blocks")
}

/// Starts the thread that writes; it ends when the sender is dropped. `tell` gets the blocks, `report` gets problems,
/// each once until it is over.
///
/// # Errors
/// If there is no room for the thread.
pub fn start(
    folder: PathBuf,
    tell: impl Fn(&Fact, Now) + Send + 'static,
    report: impl Fn(String) + Send + 'static,
) -> io::Result<(Sender<Note>, JoinHandle<()>)> {
    let write = move |note| {
        if let Note::Tell(fact, at) = &note {
            tell(fact, *at);
        }
        keep(&folder, &note).context("a block candidate was not saved")
    };
    spawn_writer("blocks", MOST_WAITING, write, report)
}

fn keep(folder: &Path, note: &Note) -> anyhow::Result<()> {
    match note {
        Note::Found(candidate) => {
            create(folder).with_context(|| format!("failed to create {}", folder.display()))?;
            let name = format!("{:013}-{}.json", candidate.unix_ms, candidate.hash);
            write(&folder.join(name), &describe(candidate))?;
            forget_oldest(folder)
        }
        Note::Answered {
            hash,
            unix_ms,
            answer,
        } => {
            let end = format!("-{hash}.json");
            // The other one may already have been removed.
            let Some(path) = find(folder, |name| name.ends_with(&end))? else {
                return Ok(());
            };
            let mut block: Value = serde_json::from_slice(&files::read(&path, LARGEST_FILE)?)?;
            block["answer"] = json!(answer);
            block["answered_ms"] = json!(unix_ms);
            write(&path, &block)
        }
        Note::Tell(..) => Ok(()),
    }
}

/// All kept files, newest first, with their names. Unreadable files are left out.
///
/// # Errors
/// If the folder cannot be read; one that does not exist is empty.
pub fn list(folder: &Path) -> io::Result<Vec<(String, Value)>> {
    let found = match candidates(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let read = |path: &PathBuf| {
        let text = files::read(path, LARGEST_FILE).ok()?;
        Some((name_of(path), serde_json::from_slice(&text).ok()?))
    };
    Ok(found.iter().rev().filter_map(read).collect())
}

/// The file of one candidate; `None` if there is none with this name.
///
/// # Errors
/// If it cannot be read.
pub fn read(folder: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    // Only names of files in the folder are used, so no name leads out of it.
    match find(folder, |known| known == name) {
        Ok(path) => path
            .map(|path| files::read(&path, LARGEST_FILE))
            .transpose(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn find(folder: &Path, is_it: impl Fn(&str) -> bool) -> io::Result<Option<PathBuf>> {
    let mut newest_first = candidates(folder)?.into_iter().rev();
    Ok(newest_first.find(|path| is_it(&name_of(path))))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn describe(candidate: &Candidate) -> Value {
    let job = &candidate.job;
    let submit = &candidate.submit;
    json!({
        "hash": candidate.hash.to_string(),
        "found_ms": candidate.unix_ms,
        "height": job.notify.height(),
        "difficulty": Some(candidate.hash.difficulty()).filter(|it| it.is_finite()),
        "pool": candidate.slot.to_string(),
        "pool_name": candidate.pool,
        "chain": candidate.chain,
        "address": *candidate.address,
        "worker": candidate.worker,
        "header": hex::encode(candidate.header),
        "coinbase": hex::encode(&candidate.coinbase),
        "branches": job.notify.branches.iter().map(hex::encode).collect::<Vec<_>>(),
        "job_id": submit.job_id,
        "extranonce1": hex::encode(job.e1.as_slice()),
        "extranonce2": submit.e2.to_string(),
        "ntime": format!("{:08x}", submit.ntime),
        "nonce": format!("{:08x}", submit.nonce),
        "version_bits": submit.version_bits.map(|bits| format!("{bits:08x}")),
        "answer": Value::Null,
        "answered_ms": Value::Null,
    })
}

fn write(path: &Path, block: &Value) -> anyhow::Result<()> {
    write_atomic(path, &serde_json::to_vec_pretty(block)?, Backup::None)
}

/// The files of candidates, oldest first.
fn candidates(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = name.ends_with(".json") && name.starts_with(|c: char| c.is_ascii_digit());
        if is_ours {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn forget_oldest(folder: &Path) -> anyhow::Result<()> {
    let files = candidates(folder)?;
    let excess = files.len().saturating_sub(MOST_FILES);
    for path in files.into_iter().take(excess) {
        fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

/// Readable by its owner only.
fn create(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::job::{Notify, PoolJob};
    use crate::stratum::message::PoolSubmit;
    use crate::units::{Difficulty, Extranonce1, Extranonce2, PoolSlot, VersionMask};

    fn candidate(number: u8, unix_ms: u64) -> Arc<Candidate> {
        let notify = Notify {
            job_id: "j".into(),
            prevhash: [0; 32],
            coinb1: vec![1],
            coinb2: vec![2],
            branches: vec![[7; 32]],
            version: 0x2000_0000,
            nbits: 0x207f_ffff,
            ntime: 0,
            clean: true,
        };
        let e1 = Extranonce1::from_hex("aabb").unwrap();
        let (difficulty, mask) = (Difficulty::ONE, VersionMask::BIP320);
        let job = PoolJob::new(Arc::new(notify), e1, 4, difficulty, mask);
        let e2 = Extranonce2::from_hex("00112233").unwrap();
        Arc::new(Candidate {
            hash: BlockHash([number; 32]),
            slot: PoolSlot::A,
            pool: "Solo".into(),
            chain: "BTC".into(),
            address: "pool:3333".into(),
            worker: "rig\n\"1\"".into(),
            unix_ms,
            header: [3; 80],
            coinbase: job.coinbase(&e2),
            job: Arc::new(job),
            submit: PoolSubmit {
                user: "wallet.rig".into(),
                job_id: "j".into(),
                e2,
                ntime: 1,
                nonce: 2,
                version_bits: None,
            },
            second: None,
        })
    }

    #[test]
    fn block_candidates_are_kept_with_answers_and_the_oldest_are_dropped() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("blocks");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        let (notes, thread) =
            start(folder.clone(), |_, _| (), |problem| panic!("{problem}")).unwrap();
        for number in 0..u8::try_from(MOST_FILES + 9).unwrap() {
            let unix_ms = 1_790_000_000_000 + u64::from(number);
            notes.send(Note::Found(candidate(number, unix_ms))).unwrap();
        }
        let answered = |number: u8| Note::Answered {
            hash: BlockHash([number; 32]),
            unix_ms: 5,
            answer: "accepted".into(),
        };
        // One that has made room, and the last one.
        notes.send(answered(0)).unwrap();
        notes.send(answered(208)).unwrap();
        drop(notes);
        thread.join().unwrap();
        let files = candidates(&folder).unwrap();
        assert_eq!(files.len(), MOST_FILES);
        assert!(folder.join("notes.txt").exists());
        let read_file =
            |path: &PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
        let listed = list(&folder).unwrap();
        assert_eq!(listed.len(), MOST_FILES);
        assert_eq!(listed[0].1, read_file(&files[MOST_FILES - 1]));
        let of_first = read(&folder, &listed[MOST_FILES - 1].0).unwrap();
        assert_eq!(of_first, Some(fs::read(&files[0]).unwrap()));
        for other in ["notes.txt", "../blocks/notes.txt", "", &listed[0].0[1..]] {
            assert_eq!(read(&folder, other).unwrap(), None, "{other}");
        }
        assert_eq!(list(&folder.join("none")).unwrap(), []);
        let (first, last) = (read_file(&files[0]), read_file(&files[MOST_FILES - 1]));
        assert_eq!(first["found_ms"], 1_790_000_000_009_u64);
        assert_eq!(first["answer"], Value::Null);
        assert_eq!(
            (&last["answer"], &last["answered_ms"]),
            (&json!("accepted"), &json!(5))
        );
        assert_eq!(last["coinbase"], "01aabb0011223302");
        assert_eq!(last["branches"][0], "07".repeat(32));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&files[0]), 0o600);
        }
    }
}
