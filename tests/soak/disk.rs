//! The proxy's folder, on small disks of its own that can be full or read-only.
//!
//! Root gets a `tmpfs` for the folder, and another one for its logs. Other users get an ordinary folder, which can be
//! made read-only but not full.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The folder. Dropping it unmounts its disks.
pub(crate) struct Disk {
    outside: TempDir,
    mounted: Vec<PathBuf>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("dpmp");
        fs::create_dir(&folder).unwrap();
        let mut mounted = Vec::new();
        if mount(&["-t", "tmpfs", "-o", "size=64m", "none"], &folder) {
            mounted.push(folder.clone());
        }
        let logs = folder.join("logs");
        fs::create_dir(&logs).unwrap();
        if !mounted.is_empty() && mount(&["-t", "tmpfs", "-o", "size=4m", "none"], &logs) {
            mounted.push(logs);
        }
        Self { outside, mounted }
    }

    /// The folder of the config and the state.
    pub(crate) fn folder(&self) -> PathBuf {
        self.outside.path().join("dpmp")
    }

    /// A folder that is never full or read-only.
    pub(crate) fn outside(&self) -> &Path {
        self.outside.path()
    }

    /// Whether the disks can be full.
    pub(crate) fn can_be_full(&self) -> bool {
        self.mounted.len() == 2
    }

    /// Fills the disks to the last byte.
    pub(crate) fn fill(&self) {
        // One of them may be read-only already.
        for mut ballast in self.ballast().iter().flat_map(File::create) {
            while ballast.write_all(&[0; 4096]).is_ok() {}
        }
    }

    /// Frees the space again.
    pub(crate) fn make_room(&self) {
        for ballast in self.ballast() {
            let _ = fs::remove_file(ballast);
        }
    }

    /// Makes the folder of the state file read-only, or writable again.
    pub(crate) fn set_writable(&self, writable: bool) {
        let folder = self.folder();
        if self.can_be_full() {
            let how = if writable {
                "remount,rw,bind"
            } else {
                "remount,ro,bind"
            };
            // This fails while the proxy has a file open for writing there, so it is tried again.
            while !mount(&["-o", how], &folder) {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        } else {
            let mode = if writable { 0o755 } else { 0o555 };
            fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
        }
    }

    fn ballast(&self) -> [PathBuf; 2] {
        ["ballast", "logs/ballast"].map(|name| self.folder().join(name))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for place in self.mounted.iter().rev() {
            let _ = Command::new("umount").arg("--lazy").arg(place).status();
        }
    }
}

fn mount(how: &[&str], place: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(how).arg(place).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
