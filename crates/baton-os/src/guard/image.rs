//! Starting the daemon, and becoming another executable in place.

use super::table::{CAPACITY, Facts, Table};
use super::wire::Name;
use super::{GUARD_FD, NOFILE, OOM_SCORE_ADJ, READY_FD, SERVICE, raw};
use crate::limits;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

/// Variables that are never passed on as they came. The mark is that of an app of another baton that this one was
/// started from: whoever carries it is ended with that app.
pub(super) const OURS: [&str; 6] = [GUARD_FD, READY_FD, SERVICE, NOFILE, OOM_SCORE_ADJ, crate::tree::MARK_VARIABLE];

fn variable(name: &str, value: std::fmt::Arguments<'_>) -> CString {
    // Names and numbers hold no zero byte.
    CString::new(format!("{name}={value}")).unwrap_or_default()
}

/// Starts this executable's daemon with one end of a socket pair and, the first time, the pipe for its readiness.
pub(super) fn start_daemon(
    home: &CStr,
    facts: &Facts,
    socket: BorrowedFd<'_>,
    ready: Option<BorrowedFd<'_>>,
) -> io::Result<u32> {
    let mut ours = vec![variable(GUARD_FD, format_args!("{}", socket.as_raw_fd()))];
    if let Some(ready) = ready {
        ours.push(variable(READY_FD, format_args!("{}", ready.as_raw_fd())));
    }
    if let Some(pair) = facts.nofile {
        ours.push(variable(NOFILE, format_args!("{}", limits::to_variable(pair))));
    }
    if let Some(adjustment) = facts.oom_score_adj {
        ours.push(variable(OOM_SCORE_ADJ, format_args!("{adjustment}")));
    }
    let argv = [c"baton".to_owned(), c"daemon".to_owned(), c"--home".to_owned(), home.to_owned()];
    let inherited = [Some(socket), ready];
    let inherited: Vec<BorrowedFd<'_>> = inherited.into_iter().flatten().collect();
    let descriptors = raw::Descriptors { null_input: true, output: None, inherited: &inherited };
    raw::spawn_self(&argv, &raw::environment(&OURS, ours), &descriptors, raw::Session::Inherited)
}

/// Starts this executable as `baton VERB N`, where N is a socket that it inherits, with an empty environment.
pub(crate) fn spawn_own_binary(verb: &CStr, socket: BorrowedFd<'_>) -> io::Result<u32> {
    let number = CString::new(socket.as_raw_fd().to_string()).unwrap_or_default();
    let argv = [c"baton".to_owned(), verb.to_owned(), number];
    let descriptors = raw::Descriptors { null_input: true, output: None, inherited: &[socket] };
    raw::spawn_self(&argv, &[], &descriptors, raw::Session::Inherited)
}

/// Turns this process into the guard of another executable, which takes over table and facts. Returns only when that
/// failed; then everything is as before.
pub(super) fn become_guard_of(exe: BorrowedFd<'_>, home: &CStr, table: &Table, facts: &Facts) -> io::Error {
    let memfd = match table.save(facts) {
        Ok(memfd) => memfd,
        Err(error) => return error,
    };
    table.set_inheritable(facts, true);
    let number = CString::new(memfd.as_raw_fd().to_string()).unwrap_or_default();
    let argv = [
        c"baton".to_owned(),
        c"guard".to_owned(),
        c"--home".to_owned(),
        home.to_owned(),
        c"--resume".to_owned(),
        number,
    ];
    let error = raw::become_executable(exe, &argv, &raw::environment(&OURS, Vec::new()));
    table.set_inheritable(facts, false);
    error
}

/// This process's own executable, also after its file was replaced.
pub(super) fn own_executable() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Turns the daemon into the guard, after its own was lost: same pid, so that its children stay its children. The
/// guard holds what is in `held` and starts a successor daemon, which takes everything back.
///
/// Every other descriptor beyond the standard three is closed, sockets and lock file with them. Returns only when
/// the change failed; the daemon may then go on without a guard.
pub fn takeover(held: Vec<(String, OwnedFd)>, home: &Path) -> io::Error {
    let mut table = Table::new(CAPACITY);
    for (name, fd) in held {
        let put = Name::new(name.as_bytes()).is_some_and(|name| table.put(name, fd));
        if !put {
            raw::log(format_args!("no place for {name}"));
        }
    }
    let facts = Facts {
        nofile: limits::original(),
        oom_score_adj: std::env::var(OOM_SCORE_ADJ).ok().and_then(|text| text.parse().ok()),
        previous: None,
    };
    let exe = match own_executable() {
        Ok(exe) => exe,
        Err(error) => return error,
    };
    let home = raw::c_string(home.as_os_str());
    raw::close_others(None, raw::Close::OnExec);
    raw::log(format_args!("the guard is lost; the daemon (pid {}) becomes the guard", std::process::id()));
    become_guard_of(exe.as_fd(), &home, &table, &facts)
}
