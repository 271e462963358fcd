//! The system calls of the guard that rustix does not wrap.

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// This process's environment, as C strings, without the variables in `without`, and with `with` (`NAME=value`).
pub(super) fn environment(without: &[&str], with: Vec<CString>) -> Vec<CString> {
    let mut all = with;
    // SAFETY: `environ` is the C library's table of variables, ended by null. Nothing changes it: the guard and a
    // client that starts it call no setenv, and a daemon that becomes the guard has set none.
    let mut at = unsafe { environ };
    while !at.is_null() {
        // SAFETY: as above; `at` has not passed the null at the end.
        let entry = unsafe { *at };
        if entry.is_null() {
            break;
        }
        // SAFETY: each entry is a string ended by zero.
        let entry = unsafe { CStr::from_ptr(entry) };
        let bytes = entry.to_bytes();
        let drop = without
            .iter()
            .any(|name| bytes.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'=')));
        if !drop {
            all.push(entry.to_owned());
        }
        // SAFETY: the entry was not the null at the end, so another follows.
        at = unsafe { at.add(1) };
    }
    all
}

/// A C string of an argument. Arguments come from a command line, so they hold no zero byte; one that does is cut.
pub(super) fn c_string(text: &OsStr) -> CString {
    let bytes: Vec<u8> = text.as_bytes().iter().copied().take_while(|byte| *byte != 0).collect();
    // The zero bytes are gone, so this cannot fail; an empty string is the harmless answer if it did.
    CString::new(bytes).unwrap_or_default()
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Whose session a started process is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// This process's.
    Inherited,
    /// One of its own.
    New,
}

/// The descriptors a started process begins with.
pub(super) struct Descriptors<'a> {
    /// Standard input becomes /dev/null.
    pub(super) null_input: bool,
    /// Becomes standard output and standard error.
    pub(super) output: Option<BorrowedFd<'a>>,
    /// Are inherited under their own numbers.
    pub(super) inherited: &'a [BorrowedFd<'a>],
}

/// Starts this same executable with default signals and an empty mask.
pub(super) fn spawn_self(
    argv: &[CString],
    env: &[CString],
    descriptors: &Descriptors<'_>,
    session: Session,
) -> io::Result<u32> {
    let argv = pointers(argv);
    let env = pointers(env);
    // SAFETY: zeroed storage is what the init functions expect; each is destroyed below, exactly once.
    let mut actions: libc::posix_spawn_file_actions_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut attributes: libc::posix_spawnattr_t = unsafe { std::mem::zeroed() };
    // SAFETY: plain data, filled by sigemptyset and sigfillset.
    let (mut none, mut all): (libc::sigset_t, libc::sigset_t) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    let mut flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
    if session == Session::New {
        flags |= libc::POSIX_SPAWN_SETSID as libc::c_int;
    }
    let mut pid: libc::pid_t = 0;
    // SAFETY: all pointers are to live locals; the vectors of strings end with null and outlive the call. A failure
    // of one of the add functions (no memory) shows as a wrong descriptor in the child, which then exits.
    let error = unsafe {
        libc::sigemptyset(&raw mut none);
        libc::sigfillset(&raw mut all);
        libc::posix_spawn_file_actions_init(&raw mut actions);
        libc::posix_spawnattr_init(&raw mut attributes);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const none);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const all);
        libc::posix_spawnattr_setflags(&raw mut attributes, flags as libc::c_short);
        if descriptors.null_input {
            libc::posix_spawn_file_actions_addopen(&raw mut actions, 0, c"/dev/null".as_ptr(), libc::O_RDONLY, 0);
        }
        if let Some(output) = descriptors.output {
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, output.as_raw_fd(), 1);
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, output.as_raw_fd(), 2);
        }
        for fd in descriptors.inherited {
            // Onto itself: that clears close-on-exec in the child alone.
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, fd.as_raw_fd(), fd.as_raw_fd());
        }
        let error = libc::posix_spawn(
            &raw mut pid,
            c"/proc/self/exe".as_ptr(),
            &raw const actions,
            &raw const attributes,
            argv.as_ptr().cast(),
            env.as_ptr().cast(),
        );
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::posix_spawnattr_destroy(&raw mut attributes);
        error
    };
    if error == 0 { Ok(pid.cast_unsigned()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Becomes the executable of `exe`, keeping pid, children and the descriptors that are not close-on-exec. Returns
/// only when that failed.
pub(super) fn become_executable(exe: BorrowedFd<'_>, argv: &[CString], env: &[CString]) -> io::Error {
    let argv = pointers(argv);
    let env = pointers(env);
    // SAFETY: both vectors end with null and outlive the call.
    unsafe { libc::fexecve(exe.as_raw_fd(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Takes ownership of an inherited descriptor, if there is one of this number beyond the standard three.
pub(super) fn inherited(fd: RawFd) -> Option<OwnedFd> {
    if fd <= 2 {
        return None;
    }
    // SAFETY: F_GETFD on any number is harmless.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and it was made for this process by the one that started it: nothing else here owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(fd)
}

/// Whether to close descriptors now, or when this process becomes another executable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    Now,
    OnExec,
}

/// Closes every descriptor from 3 up except `keep`.
///
/// With [`Close::Now`] only for a process at its start, when nothing owns one yet.
pub(super) fn close_others(keep: Option<RawFd>, how: Close) {
    let flags = if how == Close::OnExec { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    let close = |first: libc::c_uint, last: libc::c_uint| {
        if first > last {
            return;
        }
        // SAFETY: see above: nobody owns these, or they are only marked.
        let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
        if done == 0 {
            return;
        }
        // A kernel before 5.9 (5.11 for the flag): one by one, as far as descriptors are likely to go.
        for fd in first..=last.min(4096) {
            let fd = fd.cast_signed();
            match how {
                // SAFETY: as above.
                Close::Now => unsafe { libc::close(fd) },
                // SAFETY: as above.
                Close::OnExec => unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) },
            };
        }
    };
    match keep.and_then(|fd| libc::c_uint::try_from(fd).ok()).filter(|fd| *fd >= 3) {
        Some(keep) => {
            close(3, keep - 1);
            close(keep + 1, libc::c_uint::MAX);
        }
        None => close(3, libc::c_uint::MAX),
    }
}

/// Sets the guard's dispositions, blocks the signals it reads, and returns the descriptor it reads them from.
pub(super) fn take_signals() -> io::Result<OwnedFd> {
    // SAFETY: plain data, all of it valid as zeros; the calls only read it. The guard has one thread.
    let fd = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigemptyset(&raw mut action.sa_mask);
        for (signal, handler) in [
            (libc::SIGCHLD, libc::SIG_DFL),
            (libc::SIGTERM, libc::SIG_DFL),
            (libc::SIGINT, libc::SIG_DFL),
            (libc::SIGHUP, libc::SIG_IGN),
            (libc::SIGPIPE, libc::SIG_IGN),
        ] {
            action.sa_sigaction = handler;
            // A stopped child is no news.
            action.sa_flags = if signal == libc::SIGCHLD { libc::SA_NOCLDSTOP } else { 0 };
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT] {
            libc::sigaddset(&raw mut mask, signal);
        }
        // A daemon that becomes the guard leaves the mask of one of its threads: this replaces it.
        libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut());
        libc::signalfd(-1, &raw const mask, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads what has arrived on the descriptor of [`take_signals`]: (a child ended, somebody asks for the end).
pub(super) fn read_signals(fd: BorrowedFd<'_>) -> (bool, bool) {
    const SIZE: usize = size_of::<libc::signalfd_siginfo>();
    let mut buffer = [0_u8; SIZE * 8];
    let (mut child, mut end) = (false, false);
    while let Ok(len @ 1..) = rustix::io::read(fd, &mut buffer) {
        for record in buffer[..len].chunks_exact(SIZE) {
            // The first field is the signal's number.
            match i32::from_ne_bytes([record[0], record[1], record[2], record[3]]) {
                libc::SIGCHLD => child = true,
                libc::SIGTERM | libc::SIGINT => end = true,
                _ => {}
            }
        }
    }
    (child, end)
}

/// Writes `text` and a line end to standard error in one write, after the time in UTC.
pub(super) fn log(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    // SAFETY: plain data that gmtime_r fills.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    let seconds: libc::time_t = now.tv_sec;
    // SAFETY: both point to live locals.
    unsafe { libc::gmtime_r(&raw const seconds, &raw mut parts) };
    let mut line = [0_u8; 512];
    let mut rest = &mut line[..511];
    // A text too long for the line is cut: the error of the writer says no more than that.
    let _ = write!(
        rest,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z guard: {text}",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec
    );
    let left = rest.len();
    let len = 511 - left;
    line[len] = b'\n';
    // Nobody is left to be told that the log can't be written.
    let _ = rustix::io::write(rustix::stdio::stderr(), &line[..=len]);
}

/// Writes the log, as the daemons to come do, by this descriptor from now on.
pub(super) fn log_to(fd: &OwnedFd) {
    // Where that fails the lines go where they went before.
    let _ = rustix::stdio::dup2_stdout(fd);
    let _ = rustix::stdio::dup2_stderr(fd);
}
