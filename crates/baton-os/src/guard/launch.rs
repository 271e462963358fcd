//! How a client starts the guard, and with it the daemon; or becomes it, when an init system is to watch over it.

use super::image::{OURS, own_executable};
use super::{IS_SERVICE, READY_FD, SERVICE, raw};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
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

/// What the process that goes with a service was given: see [`become_service`].
#[derive(Debug)]
pub struct Service {
    /// The first daemon's answer.
    pub readiness: Readiness,
    /// Closed when the daemon has answered.
    pub lock: OwnedFd,
}

impl Service {
    /// What this process was given, if it is one. It is this process's own afterwards: to be called once.
    pub fn of_this_process() -> Option<Service> {
        let numbers = std::env::var_os(SERVICE)?;
        let (pipe, lock) = numbers.to_str()?.split_once(':')?;
        let pipe = raw::inherited(pipe.parse().ok()?)?;
        Some(Service { readiness: Readiness { pipe }, lock: raw::inherited(lock.parse().ok()?)? })
    }
}

/// Turns this process into the guard for `home`, so that an init system which started it watches over the guard: same
/// pid. First it starts this executable once more with `words` (its name first), which finds a [`Service`] and keeps
/// `lock` open. Both outputs of the guard are appended to `log`. Returns only when that failed.
pub fn become_service(home: &Path, log: &Path, words: &[String], lock: BorrowedFd<'_>) -> io::Error {
    match prepare_service(home, log, words, lock) {
        Ok((argv, env, exe)) => raw::become_executable(exe.as_fd(), &argv, &env),
        Err(error) => error,
    }
}

type Image = (Vec<CString>, Vec<CString>, OwnedFd);

fn prepare_service(home: &Path, log: &Path, words: &[String], lock: BorrowedFd<'_>) -> io::Result<Image> {
    let variable = |name: &str, value: String| CString::new(format!("{name}={value}")).unwrap_or_default();
    let home = std::path::absolute(home)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let log = rustix::fs::open(log, flags, Mode::RUSR | Mode::WUSR)?;
    let exe = own_executable()?;
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let numbers = format!("{}:{}", reader.as_raw_fd(), lock.as_raw_fd());
    let argv: Vec<CString> = words.iter().map(|word| raw::c_string(word.as_ref())).collect();
    let inherited = [reader.as_fd(), lock];
    let descriptors = raw::Descriptors { null_input: true, output: None, inherited: &inherited };
    let env = raw::environment(&OURS, vec![variable(SERVICE, numbers)]);
    raw::spawn_self(&argv, &env, &descriptors, raw::Session::Inherited)?;
    raw::log_to(&log);
    // It becomes the guard's own.
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty())?;
    let ready = variable(READY_FD, writer.as_raw_fd().to_string());
    std::mem::forget(writer);
    let env = raw::environment(&OURS, vec![ready, variable(IS_SERVICE, "1".into())]);
    let argv = [c"baton".to_owned(), c"guard".to_owned(), c"--home".to_owned(), raw::c_string(home.as_os_str())];
    Ok((argv.into(), env, exe))
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
