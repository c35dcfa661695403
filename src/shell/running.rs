//! The folder of a running DPMP belongs to it alone. `running.json` in that folder has its real ports, and a number that
//! tells its answers from another program's; `dpmp healthcheck` reads it.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::random::secret;
use crate::system::files::{self, Backup, write_atomic};

/// The maximum length, in bytes; more than it ever has.
const MOST_BYTES: usize = 4096;

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// A new number for each start; `/healthz` answers with it.
    pub instance: String,
    /// Where miners connect.
    pub listen: SocketAddr,
    /// Where metrics are served, if at all.
    pub metrics: Option<SocketAddr>,
    /// Where the pages are served, if at all.
    pub gui: Option<SocketAddr>,
}

/// The header in which `/healthz` names its instance.
pub const HEADER: &str = "X-DPMP-Instance";

/// A number for a program that starts.
///
/// # Errors
/// If the system has no random numbers.
pub fn new_instance() -> anyhow::Result<String> {
    Ok(hex::encode(secret::<16>()?))
}

/// Held while DPMP runs: no other DPMP can use the configuration's folder.
#[derive(Debug)]
pub struct Claim {
    /// The lock ends with it. `None` where the system cannot lock a folder.
    _folder: Option<File>,
}

/// Claims the configuration's folder. Two programs with one state file would forget each other's totals, and which work
/// was handed out.
///
/// # Errors
/// If another DPMP holds it.
pub fn claim(config: &Path) -> anyhow::Result<Claim> {
    let folder = match config.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match locked(folder) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let folder = folder.display();
            let other = match read(&path(config)) {
                Some(running) => format!(", which listens for miners on {},", running.listen),
                None => String::new(),
            };
            bail!("another DPMP{other} uses the folder {folder}; give each DPMP its own folder")
        }
        // Some file systems have no locks. Mining matters more than this check.
        locked => Ok(Claim {
            _folder: locked.ok(),
        }),
    }
}

#[cfg(unix)]
fn locked(folder: &Path) -> io::Result<File> {
    use rustix::fs::{FlockOperation, flock};
    let folder = File::open(folder)?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

#[cfg(not(unix))]
fn locked(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The path for this configuration file.
pub fn path(config: &Path) -> PathBuf {
    config.with_file_name("running.json")
}

/// Writes it.
///
/// # Errors
/// If the folder cannot be written to.
pub fn write(path: &Path, running: &Instance) -> anyhow::Result<()> {
    write_atomic(path, &serde_json::to_vec(running)?, Backup::None)
}

/// Reads it; `None` if there is no usable one.
pub fn read(path: &Path) -> Option<Instance> {
    let text = files::read(path, MOST_BYTES).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Removes it, if it still belongs to this instance: another one may have started in the meantime.
pub fn remove(path: &Path, instance: &str) {
    if read(path).is_some_and(|running| running.instance == instance) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_folder_can_be_claimed_again_only_once_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.json");
        let first = claim(&config).unwrap();
        let refused = claim(&folder.path().join("other.json")).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("another DPMP uses the folder ")
        );
        drop(first);
        claim(&config).unwrap();
        // The start itself says what is wrong with a folder that does not exist.
        claim(Path::new("/nowhere/at/all/config.json")).unwrap();
    }

    #[test]
    fn the_file_is_read_back_as_written_and_removed_by_its_own_instance() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("config.json"));
        assert_eq!(read(&path), None);
        let running = Instance {
            instance: "7".into(),
            listen: "0.0.0.0:3351".parse().unwrap(),
            metrics: None,
            gui: Some("[::]:8855".parse().unwrap()),
        };
        write(&path, &running).unwrap();
        assert_eq!(read(&path), Some(running));
        remove(&path, "8");
        assert!(path.exists());
        remove(&path, "7");
        assert!(!path.exists());
        for useless in ["", "{", "[]", &"x".repeat(10_000)] {
            fs::write(&path, useless).unwrap();
            assert_eq!(read(&path), None);
        }
        assert_eq!(read(folder.path()), None, "a folder");
    }
}
