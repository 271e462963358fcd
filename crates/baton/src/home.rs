//! The home: the folder in which everything of one daemon lives. Its layout is PM2's, with our own files beside.

use crate::called::CalledAs;
use baton_core::world::Directories;
use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest path that a Unix socket can have, in bytes.
const LONGEST_SOCKET_PATH: usize = 107;

/// The folder of one daemon, as an absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// The home that the environment names: `$BATON_HOME`, else `$PM2_HOME`, else `~/.baton`; for a program called as
    /// `pm2` it is `$PM2_HOME`, else `~/.pm2`.
    pub(crate) fn find(called: CalledAs) -> Home {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let fallback = || user_home().join(called.usual_home());
        let own = if called == CalledAs::Pm2 { None } else { set("BATON_HOME") };
        Home::at(own.or_else(|| set("PM2_HOME")).unwrap_or_else(fallback))
    }

    /// The home at this path, made absolute.
    pub(crate) fn at(path: impl AsRef<Path>) -> Home {
        let path = path.as_ref();
        Home { root: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The daemon's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("baton.sock")
    }

    /// PM2's socket that answers.
    pub(crate) fn rpc_socket(&self) -> PathBuf {
        self.root.join("rpc.sock")
    }

    /// PM2's socket that tells.
    pub(crate) fn pub_socket(&self) -> PathBuf {
        self.root.join("pub.sock")
    }

    /// Held by the daemon, and kept held by its guard while a successor starts.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("baton.lock")
    }

    /// Held by a client while it starts a daemon, so that two starts end with one daemon.
    pub(crate) fn start_lock(&self) -> PathBuf {
        self.root.join("start.lock")
    }

    /// What is wished of every slot.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// Records, FIFOs and the slot of the log thread: everything that a reboot voids.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What was known of jobs when a signal ended the daemon and its apps.
    pub(crate) fn jobs(&self) -> PathBuf {
        self.root.join("jobs.json")
    }

    /// Default folder of log files.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// When which bytes of log files were written.
    pub(crate) fn times(&self) -> PathBuf {
        self.root.join("times")
    }

    /// Default folder of pid files.
    pub(crate) fn pids(&self) -> PathBuf {
        self.root.join("pids")
    }

    /// PM2's folder of modules.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("modules")
    }

    /// What `sync` has done, pass by pass.
    pub(crate) fn history(&self) -> PathBuf {
        self.root.join("history")
    }

    /// What was read by commands that make sources, when they last ran.
    pub(crate) fn generated(&self) -> PathBuf {
        self.root.join("generated")
    }

    /// The saved process list.
    pub(crate) fn dump(&self) -> PathBuf {
        self.root.join("dump.pm2")
    }

    /// The saved process list before the last.
    pub(crate) fn dump_backup(&self) -> PathBuf {
        self.root.join("dump.pm2.bak")
    }

    /// PM2's settings of modules.
    pub(crate) fn module_conf(&self) -> PathBuf {
        self.root.join("module_conf.json")
    }

    /// When the home was first used.
    pub(crate) fn touch(&self) -> PathBuf {
        self.root.join("touch")
    }

    /// What daemon and guard print.
    pub(crate) fn daemon_log(&self) -> PathBuf {
        self.root.join("pm2.log")
    }

    /// The daemon's pid.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.root.join("pm2.pid")
    }

    /// Where default log and pid files go, for the core.
    pub(crate) fn directories(&self) -> Directories {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        Directories { logs: text(self.logs()), pids: text(self.pids()) }
    }

    /// Makes the home, its folders and the two files that PM2's tools expect, readable by their owner only.
    ///
    /// # Errors
    /// With the path in its text, when one can't be made.
    pub(crate) fn create(&self) -> io::Result<()> {
        for folder in [self.root.clone(), self.run(), self.logs(), self.pids(), self.modules()] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(|error| named(&error, "make the folder", &folder))?;
        }
        let now = baton_os::clock::now().wall.0.to_string();
        for (path, content) in [(self.module_conf(), "{}"), (self.touch(), &now)] {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match file.and_then(|mut file| file.write_all(content.as_bytes())) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.map_err(|error| named(&error, "make", &path))?,
            }
        }
        Ok(())
    }

    /// Says no in clear words when the socket's path is longer than the kernel allows.
    ///
    /// # Errors
    /// With the path and the limit in its text.
    pub(crate) fn check_socket_path(&self) -> io::Result<()> {
        let path = self.socket();
        let length = path.as_os_str().len();
        if length <= LONGEST_SOCKET_PATH {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidFilename,
            format!(
                "the socket path {} has {length} bytes, and the system allows {LONGEST_SOCKET_PATH}: choose a shorter home",
                path.display()
            ),
        ))
    }
}

/// The user's own folder: `$HOME`, or `/etc` where there is none, as PM2 does.
fn user_home() -> PathBuf {
    env::var_os("HOME").filter(|home| *home != OsString::new()).map_or_else(|| PathBuf::from("/etc"), PathBuf::from)
}

/// The error with what was tried and where in front of it.
pub(crate) fn named(error: &io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("could not {what} {}: {error}", path.display()))
}

/// Removes a file that may be gone already.
///
/// # Errors
/// When it is there and can't be removed.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_path_beyond_the_limit_is_refused_with_both_lengths() {
        let exact = Home::at(format!("/{}", "x".repeat(LONGEST_SOCKET_PATH - 1 - "/baton.sock".len())));
        assert_eq!(exact.socket().as_os_str().len(), LONGEST_SOCKET_PATH);
        exact.check_socket_path().unwrap();
        let text = Home::at(format!("{}y", exact.root().display())).check_socket_path().unwrap_err().to_string();
        assert!(text.contains("108 bytes") && text.contains("allows 107"), "{text}");
    }

    #[test]
    fn folders_belong_to_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("a/b"));
        home.create().unwrap();
        home.create().unwrap();
        for folder in [home.root().to_owned(), home.run(), home.logs(), home.pids(), home.modules()] {
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        }
    }
}
