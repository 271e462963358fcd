//! The daemon's own log. The daemon and its guard write it through their standard error, whatever happens to the log
//! thread; only its rotation is done here.

use super::place;
use rustix::fs::{OFlags, Stat, fstat};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What goes to the file with this identity goes to the end of the one at `path` from now on. Returns whether anything
/// does: a daemon in the foreground writes elsewhere.
///
/// # Errors
/// The file can't be opened.
pub(super) fn move_on(from: &Stat, path: &Path) -> io::Result<bool> {
    let stat = fstat(rustix::stdio::stderr())?;
    if (stat.st_dev, stat.st_ino) != (from.st_dev, from.st_ino) {
        return Ok(false);
    }
    // Everybody writes to its end, wherever that is by then.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = place::open(path, flags)?;
    dup2_stdout(&file)?;
    dup2_stderr(&file)?;
    Ok(true)
}

/// How large the own log is (bytes).
///
/// # Errors
/// Standard error is closed.
pub fn size() -> io::Result<u64> {
    let stat = fstat(rustix::stdio::stderr())?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// A copy of the descriptor by which it is written, for the guard to write by it too.
///
/// # Errors
/// No descriptors are left.
pub fn descriptor() -> io::Result<OwnedFd> {
    rustix::stdio::stderr().as_fd().try_clone_to_owned()
}
