//! How a client starts the guard, and with it the daemon.

use super::image::OURS;
use super::{READY_FD, raw};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The first daemon's answer, to be awaited.
#[derive(Debug)]
pub struct Readiness {
    pipe: OwnedFd,
}

impl Readiness {
    /// Waits until the daemon says that it answers, or why it can't.
    ///
    /// # Errors
    /// The text the daemon wrote into the descriptor of `BATON_READY_FD`; when it ended without one, that.
    pub fn wait(self) -> Result<(), String> {
        let mut text = Vec::new();
        File::from(self.pipe).read_to_end(&mut text).map_err(|error| format!("the daemon can't be heard: {error}"))?;
        match String::from_utf8_lossy(&text).trim_end() {
            "ok" => Ok(()),
            "" => Err("the daemon ended before it was ready".to_owned()),
            text => Err(text.to_owned()),
        }
    }
}

/// The daemon's end of the pipe that [`Readiness`] waits on, when this is the first daemon of a guard. It is this
/// process's own afterwards: to be called once.
pub fn readiness_pipe() -> Option<File> {
    let number = std::env::var_os(READY_FD)?.to_str()?.parse().ok()?;
    raw::inherited(number).map(File::from)
}

/// Starts a guard for `home` in a session of its own, with standard input from /dev/null and both outputs appended
/// to `log` (made with mode 0600).
///
/// # Errors
/// When the log file or the pipe can't be made, or the process not started.
pub fn launch_guard(home: &Path, log: &Path) -> io::Result<Readiness> {
    let home = std::path::absolute(home)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let log = rustix::fs::open(log, flags, Mode::RUSR | Mode::WUSR)?;
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let argv = [c"baton".to_owned(), c"guard".to_owned(), c"--home".to_owned(), raw::c_string(home.as_os_str())];
    let ready = CString::new(format!("{READY_FD}={}", writer.as_raw_fd())).unwrap_or_default();
    // A client that runs inside an app of another baton may have inherited that one's variables.
    let env = raw::environment(&OURS, vec![ready]);
    let inherited = [writer.as_fd()];
    let descriptors = raw::Descriptors { null_input: true, output: Some(log.as_fd()), inherited: &inherited };
    raw::spawn_self(&argv, &env, &descriptors, raw::Session::New)?;
    Ok(Readiness { pipe: reader })
}
