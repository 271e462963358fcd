//! Being the first process of a container: the signals that such a process gets, and the children that are left to it.

use rustix::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::process::{WaitOptions, wait};
use std::io;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Somebody asks for the end: SIGTERM, SIGINT, SIGQUIT or SIGHUP.
    EndAsked,
    /// Somebody asks to open logs anew: SIGUSR2.
    LogsAsked,
    /// A child ended.
    ChildEnded,
}

/// The signals of this process, to be read. Its descriptor is readable when there are some.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const TAKEN: [i32; 6] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR2, libc::SIGCHLD];

impl Signals {
    /// Takes the signals for this thread and those it starts from now on: to be called before there are others. For a
    /// first process of a namespace this is what makes them come at all.
    ///
    /// # Errors
    /// When the kernel has no descriptor to give.
    pub fn take() -> io::Result<Signals> {
        // SAFETY: plain data that sigemptyset fills; the calls read it.
        let fd = unsafe {
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut mask);
            for signal in TAKEN {
                libc::sigaddset(&raw mut mask, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, std::ptr::null_mut());
            libc::signalfd(-1, &raw const mask, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// What has come since the last time.
    pub fn read(&self) -> Vec<Happened> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0_u8; SIZE * 8];
        let mut all = Vec::new();
        while let Ok(length @ 1..) = rustix::io::read(&self.0, &mut buffer) {
            // The first field is the signal's number.
            let numbers = buffer[..length].chunks_exact(SIZE).map(|one| [one[0], one[1], one[2], one[3]]);
            all.extend(numbers.map(|number| match i32::from_ne_bytes(number) {
                libc::SIGCHLD => Happened::ChildEnded,
                libc::SIGUSR2 => Happened::LogsAsked,
                _ => Happened::EndAsked,
            }));
        }
        all
    }
}

/// Whether this is the first process of its namespace, to which the children of all others are left.
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// Consumes every child that has ended. Not while anything else here waits for a child of its own.
pub fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}
