//! Reads and writes whole files. After a crash, a file has either its old or its new contents.
//!
//! The contents are just bytes here: both the configuration and the state file use this. A path may lead to something
//! else than a file: opening a named pipe would wait forever, and a device has no end. So only regular files are read,
//! up to a reasonable size.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Whether the replaced contents are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// They are not kept.
    None,
    /// They become `<name>.bak`, replacing an earlier one.
    KeepOne,
}

/// The size limit for files that DPMP wrote itself (state, history), in bytes: several times what it writes.
pub const LARGEST_OWN: usize = 64 * 1024 * 1024;

/// The size limit for certificates and keys, in bytes.
pub const LARGEST_PEM: usize = 16 * 1024 * 1024;

/// Reads a whole file of at most `limit` bytes. Links are followed.
///
/// # Errors
/// If it is not a regular file, holds more, or cannot be read; [`ErrorKind::NotFound`] if there is none.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

/// The same for a text in UTF-8.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path, limit: usize) -> io::Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not text in UTF-8"))
}

/// Opens a regular file for reading. It never waits, even if the path is something else.
///
/// # Errors
/// If it is not a regular file or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    platform::without_waiting(&mut options);
    let file = match options.open(path) {
        Ok(file) => file,
        // A socket cannot even be opened.
        Err(error) => {
            let found = fs::metadata(path).ok();
            return Err(found
                .and_then(|found| no_file(found.file_type()))
                .unwrap_or(error));
        }
    };
    // The opened file counts, not what has its name by now.
    match no_file(file.metadata()?.file_type()) {
        Some(error) => Err(error),
        None => Ok(file),
    }
}

/// Why something cannot be used as a file; `None` if it is one.
pub fn no_file(found: FileType) -> Option<io::Error> {
    let what = if found.is_file() {
        return None;
    } else if found.is_dir() {
        "a folder"
    } else {
        platform::special(found)
    };
    let text = format!("it is {what}, not a regular file");
    Some(io::Error::new(ErrorKind::InvalidInput, text))
}

fn too_large(limit: usize) -> io::Error {
    const MIB: usize = 1024 * 1024;
    let text = format!(
        "it is larger than {} MiB, the limit for this file",
        limit / MIB
    );
    io::Error::new(ErrorKind::FileTooLarge, text)
}

/// Replaces the contents of a file, or creates it.
///
/// The contents are written to a temporary file in the same folder, synced to the disk, and renamed, so that a crash or
/// a full disk leaves the old file intact. A symbolic link stays one; its target is replaced. The file keeps its
/// permission bits, and its owner as far as the system allows. A new file is readable by its owner only (0600), because
/// there may be passwords in it. If the contents are the same, nothing is written, and the backup stays as it is.
///
/// A file that is itself a mount, as is common with containers, cannot be replaced by renaming. It is then written in
/// place, which is the only case that is not atomic.
///
/// # Errors
/// With the path, if any step fails. Temporary files are removed.
pub fn write_atomic(path: &Path, contents: &[u8], backup: Backup) -> anyhow::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    replace(&target, contents, backup)
        .with_context(|| format!("failed to write {}", path.display()))
}

/// The name under which [`write_atomic`] keeps the replaced contents.
pub fn backup_path(path: &Path) -> PathBuf {
    with_suffix(path, ".bak")
}

/// Renames an unreadable file to `<name>.unreadable` without overwriting an earlier one, so that a new file can be
/// started and nothing is lost. Returns what was done, as the end of a sentence.
pub fn set_aside(path: &Path) -> String {
    let plain = with_suffix(path, ".unreadable");
    let numbered = (2..1000).map(|number| with_suffix(path, &format!(".unreadable.{number}")));
    let mut names = std::iter::once(plain.clone()).chain(numbered);
    let aside = names.find(|name| !name.exists()).unwrap_or(plain);
    match fs::rename(path, &aside) {
        Ok(()) => format!("set aside as {}", aside.display()),
        Err(error) => format!("it could not be renamed either: {error}"),
    }
}

fn replace(target: &Path, contents: &[u8], backup: Backup) -> anyhow::Result<()> {
    let old = match read(target, LARGEST_OWN) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        // Whatever it is, its contents are not the ones to write.
        Err(error) if error.kind() == ErrorKind::FileTooLarge && backup == Backup::None => None,
        Err(error) => return Err(error).context("failed to read the current contents"),
    };
    if old.as_deref() == Some(contents) {
        return Ok(());
    }
    if let (Some(old), Backup::KeepOne) = (&old, backup) {
        let kept = backup_path(target);
        put(&kept, old, target)
            .with_context(|| format!("failed to keep a backup as {}", kept.display()))?;
    }
    put(target, contents, target)
}

/// Writes a file through a temporary one, with the permissions of `like` if that exists.
fn put(target: &Path, contents: &[u8], like: &Path) -> anyhow::Result<()> {
    let (temporary, mut file) =
        create_beside(target).context("failed to create a temporary file")?;
    let written = platform::copy_permissions(like, &file)
        .and_then(|()| file.write_all(contents))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, target));
    let written = match written {
        Err(error) if cannot_be_renamed_over(&error) => {
            write_in_place(target, contents).and_then(|()| fs::remove_file(&temporary))
        }
        other => other,
    };
    if let Err(error) = written {
        // The temporary file is worthless now, so a failure to remove it does not matter. After a rename, its name is
        // free for other writers, so nothing is removed then.
        let _ = fs::remove_file(&temporary);
        return Err(error.into());
    }
    platform::sync_folder(target).context("failed to write the folder to the disk")
}

/// Opens a new file in the same folder. No other writer can have the same one, and links are not followed.
fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    /// More can only be left over after as many crashes.
    const TRIES: u32 = 100;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    platform::for_owner_alone(&mut options);
    let mut last = ErrorKind::AlreadyExists.into();
    for number in 0..TRIES {
        let path = with_suffix(target, &format!(".{number}.tmp"));
        match options.open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn cannot_be_renamed_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices
    )
}

fn write_in_place(target: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(target)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(unix)]
mod platform {
    //! What needs permission bits and folders that can be opened.

    use std::fs::{self, File, FileType, OpenOptions};
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
    use std::path::Path;

    pub(super) fn for_owner_alone(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(super) fn without_waiting(options: &mut OpenOptions) {
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }

    /// Special files: neither a file nor a folder.
    pub(super) fn special(found: FileType) -> &'static str {
        if found.is_fifo() {
            "a named pipe"
        } else if found.is_socket() {
            "a socket"
        } else {
            "a device"
        }
    }

    pub(super) fn copy_permissions(from: &Path, to: &File) -> io::Result<()> {
        let Ok(like) = fs::metadata(from) else {
            return Ok(());
        };
        let own = to.metadata()?;
        if (like.uid(), like.gid()) != (own.uid(), own.gid()) {
            // Only root can change a file's owner; otherwise the file becomes ours.
            let _ = fchown(to, Some(like.uid()), Some(like.gid()));
        }
        to.set_permissions(fs::Permissions::from_mode(like.mode() & 0o777))
    }

    pub(super) fn sync_folder(of: &Path) -> io::Result<()> {
        let folder = match of.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            // Some network file systems do not support this.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

#[cfg(not(unix))]
mod platform {
    //! Without permission bits a file is what its folder makes it.

    use std::fs::{File, FileType, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn for_owner_alone(_: &mut OpenOptions) {}

    pub(super) fn without_waiting(_: &mut OpenOptions) {}

    pub(super) fn special(_: FileType) -> &'static str {
        "something else"
    }

    pub(super) fn copy_permissions(_: &Path, _: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_previous_contents_are_kept_if_requested() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        for text in ["one", "two", "three"] {
            write_atomic(&path, text.as_bytes(), Backup::KeepOne).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::read_to_string(backup_path(&path)).unwrap(), "two");

        // Saving the same again must not push the older contents out of the backup.
        write_atomic(&path, b"three", Backup::KeepOne).unwrap();
        assert_eq!(fs::read_to_string(backup_path(&path)).unwrap(), "two");

        write_atomic(&path, b"four", Backup::None).unwrap();
        assert_eq!(fs::read_to_string(backup_path(&path)).unwrap(), "two");
        assert_eq!(names(folder.path()), ["c.json", "c.json.bak"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("c.json");
        let error = format!("{:#}", write_atomic(&path, b"x", Backup::None).unwrap_err());
        assert!(error.contains("missing/c.json"), "{error}");

        // A folder with the backup's name makes the backup fail before the file is touched.
        let path = folder.path().join("c.json");
        write_atomic(&path, b"old", Backup::None).unwrap();
        fs::create_dir(backup_path(&path)).unwrap();
        let error = format!(
            "{:#}",
            write_atomic(&path, b"new", Backup::KeepOne).unwrap_err()
        );
        assert!(error.contains("c.json.bak"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["c.json", "c.json.bak"]);
    }

    #[test]
    fn leftovers_of_a_crash_cause_no_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        fs::write(folder.path().join("c.json.0.tmp"), "half a fi").unwrap();
        write_atomic(&path, b"whole", Backup::None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }

    #[test]
    fn simultaneous_writers_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..20 {
                        let text = format!("{writer}-{round};").repeat(1000);
                        write_atomic(path, text.as_bytes(), Backup::None).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        let first = text.split(';').next().unwrap();
        assert_eq!(text, format!("{first};").repeat(1000));
        assert_eq!(names(folder.path()), ["c.json"]);
    }

    /// Things that may have a file's name but are not files.
    #[cfg(unix)]
    fn put_no_files(folder: &Path) -> Vec<(PathBuf, &'static str)> {
        let at = |name: &str| folder.join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(made.unwrap().success());
        std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for (name, to) in [
            ("zero", "/dev/zero"),
            ("null", "/dev/null"),
            ("link", "pipe"),
        ] {
            std::os::unix::fs::symlink(to, at(name)).unwrap();
        }
        vec![
            (at("pipe"), "a named pipe"),
            (at("link"), "a named pipe"),
            (at("socket"), "a socket"),
            (at("folder"), "a folder"),
            (at("zero"), "a device"),
            (at("null"), "a device"),
        ]
    }

    #[cfg(unix)]
    #[test]
    fn anything_but_a_regular_file_is_neither_read_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for (path, what) in put_no_files(folder.path()) {
            let error = read(&path, 100).unwrap_err().to_string();
            assert_eq!(error, format!("it is {what}, not a regular file"));
            for backup in [Backup::None, Backup::KeepOne] {
                let error = format!("{:#}", write_atomic(&path, b"x", backup).unwrap_err());
                assert!(error.contains(what), "{error}");
            }
        }
        assert_eq!(names(folder.path()).len(), 6, "{:?}", names(folder.path()));
    }

    #[test]
    fn a_file_over_the_size_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        const MIB: usize = 1024 * 1024;
        fs::write(&path, vec![b'x'; MIB]).unwrap();
        assert_eq!(read(&path, MIB).unwrap().len(), MIB);
        // A sparse gigabyte.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
        let error = read(&path, MIB).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(
            error.to_string(),
            "it is larger than 1 MiB, the limit for this file"
        );
        // Its contents are not the ones to write, so it is replaced, unless it would have to be kept.
        assert!(write_atomic(&path, b"x", Backup::KeepOne).is_err());
        write_atomic(&path, b"x", Backup::None).unwrap();
        assert_eq!(read_text(&path, MIB).unwrap(), "x");
        fs::write(&path, [0xff]).unwrap();
        assert!(
            read_text(&path, MIB)
                .unwrap_err()
                .to_string()
                .contains("UTF-8")
        );
        let missing = read(&folder.path().join("missing"), MIB).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_kept_and_new_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        write_atomic(&path, b"new", Backup::KeepOne).unwrap();
        assert_eq!(mode(&path), 0o600);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write_atomic(&path, b"newer", Backup::KeepOne).unwrap();
        assert_eq!(mode(&path), 0o640);
        assert_eq!(mode(&backup_path(&path)), 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.json");
        let link = folder.path().join("c.json");
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_atomic(&link, b"new", Backup::KeepOne).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(fs::read_to_string(backup_path(&real)).unwrap(), "old");
    }
}
