//! Files that are whole or absent, and the lock that makes a daemon the only one.

use rustix::fs::{FlockOperation, MemfdFlags, Mode, OFlags, flock, memfd_create, open};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Replaces a file so that a reader, or a crash of the machine, finds the old content or the new, whole. It is on
/// disk when this returns. `mode` are the permission bits, whatever the umask. The directory must exist.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, Durability::Disk)
}

/// Replaces a file so that a reader, or a crash of this process, finds the old content or the new, whole. A crash of
/// the machine may lose it. `mode` as in [`write_atomic`].
pub fn write_quick(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, bytes, mode, Durability::Cache)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    Disk,
    Cache,
}

fn replace(path: &Path, bytes: &[u8], mode: u32, durability: Durability) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no file", path.display())));
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = directory.join(temporary_name(name));
    let result = fill(&temporary, bytes, mode, durability).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = result {
        // What failed is told; a left-over file would only add to it.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    if durability == Durability::Disk {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

fn fill(temporary: &Path, bytes: &[u8], mode: u32, durability: Durability) -> io::Result<()> {
    // Never open what is there: the directory may be writable to others, who could have put a link.
    let create = || OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary);
    let mut file = match create() {
        // A process that had our pid was killed while it wrote: in a container pids are the same after each start.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(temporary)?;
            create()?
        }
        other => other?,
    };
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    match durability {
        Durability::Disk => file.sync_all(),
        Durability::Cache => Ok(()),
    }
}

/// Differs between processes and between calls.
fn temporary_name(name: &OsStr) -> OsString {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    temporary
}

/// A lock on a file, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, making the file (0600) where needed. `None`: another holds it.
    pub fn acquire(path: &Path) -> io::Result<Option<Lock>> {
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            // The file may have been removed and made again before we had the lock: then ours locks nothing.
            let ours = file.metadata()?;
            match fs::metadata(path) {
                Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Some(Lock { file, path: path.to_owned() }));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The locked file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a child between fork and exec may still share the open file. An error leaves
        // the lock to the closing.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Memory as a file, for data that outlives an exec. It can't be made executable, without which a hardened kernel
/// (`vm.memfd_noexec=2`) refuses it; kernels before 6.3 do not know that wish.
pub(crate) fn memfd(name: &CStr, flags: MemfdFlags) -> io::Result<OwnedFd> {
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        fs::write(&path, "old").unwrap();
        let mut old = File::open(&path).unwrap();
        write_atomic(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(io::read_to_string(&mut old).unwrap(), "old", "a reader of the old file keeps the old content");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        write_quick(&path, b"newer", 0o666).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o666, "whatever the umask");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "x").unwrap();
        assert!(write_atomic(&path, b"new", 0o600).is_err(), "a directory can't be replaced by a file");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        assert!(write_atomic(&directory.path().join("missing/file"), b"new", 0o600).is_err());
    }

    #[test]
    fn what_a_killed_writer_of_the_same_pid_left_is_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        let left = directory.path().join(".state.json.1-0.tmp");
        fs::write(&left, "half of a lo").unwrap();
        fill(&left, b"whole", 0o600, Durability::Cache).unwrap();
        assert_eq!(fs::read(&left).unwrap(), b"whole");
        // A link is removed, not followed.
        fs::write(&path, "untouched").unwrap();
        fs::remove_file(&left).unwrap();
        std::os::unix::fs::symlink(&path, &left).unwrap();
        fill(&left, b"whole", 0o600, Durability::Cache).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"untouched");
    }

    #[test]
    fn a_lock_excludes_until_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baton.lock");
        let held = Lock::acquire(&path).unwrap().unwrap();
        assert!(Lock::acquire(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_on_a_removed_file_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("baton.lock");
        let first = Lock::acquire(&path).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        let second = Lock::acquire(&path).unwrap().unwrap();
        let inode = |lock: &Lock| rustix::fs::fstat(lock).unwrap().st_ino;
        assert_ne!(inode(&first), inode(&second));
        assert_eq!(inode(&second), fs::metadata(second.path()).unwrap().ino());
    }
}
