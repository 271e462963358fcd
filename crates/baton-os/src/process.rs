//! A process that can't be mistaken for another.
//!
//! A bare pid is used again by the kernel. So a pidfd is opened first, and only then is it compared with what is
//! known of the process (start time, boot): from then on the pidfd names this process and no other. Signals go
//! through the pidfd, never to a pid.

use crate::{boot, procfs};
use baton_core::world::{Exit, Identity, Signal};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A process and the descriptor that names it. The descriptor polls readable once the process has ended, and hangs
/// up once its parent has taken note.
#[derive(Debug)]
pub struct Process {
    identity: Identity,
    pidfd: OwnedFd,
}

impl Process {
    /// The process of this identity: alive, or dead and not yet reaped. `None` when it is gone, be its pid free or
    /// another's. Fails when the kernel refuses a descriptor or `/proc` can't be read.
    pub fn find(identity: &Identity) -> io::Result<Option<Process>> {
        if identity.boot_id != boot::boot_id()? {
            return Ok(None);
        }
        Ok(Self::identify(identity.pid)?.filter(|found| found.identity == *identity))
    }

    /// The process that has this pid now, `None` when there is none. Fails as [`Process::find`] does.
    pub fn identify(pid: u32) -> io::Result<Option<Process>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            // EINVAL and ENOENT: the number of a thread that is not the first of its process.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(stat) = procfs::stat(pid, &mut Vec::new())? else {
            return Ok(None);
        };
        // Had the process been reaped before its line was read, the line could be that of a successor.
        if !send(pidfd.as_fd(), 0)? {
            return Ok(None);
        }
        let identity = Identity { pid, start_time: stat.start_time, boot_id: boot::boot_id()? };
        Ok(Some(Process { identity, pidfd }))
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends a signal. `false`: it is already gone. A dead process that nobody reaped takes signals without effect.
    /// Fails with EPERM when it belongs to another user.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        send(self.pidfd.as_fd(), signal.0)
    }

    /// How our child ended, `None` while it runs. It stays a zombie, so its pid is not used again. Fails with ECHILD
    /// when it is not our child or was reaped.
    pub fn peek_exit(&self) -> io::Result<Option<Exit>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        Ok(waitid(WaitId::PidFd(self.pidfd.as_fd()), options)?.map(|status| exit_of(&status)))
    }

    /// Forgets our dead child: its pid is free from now on. Does nothing while it runs. Fails with ECHILD when it is
    /// not our child or was reaped.
    pub fn reap(&self) -> io::Result<()> {
        waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        Ok(())
    }

    /// How a process ended that is not our child. Known once its parent has reaped it (the descriptor hangs up then);
    /// `None` before, and on kernels older than 6.15.
    pub fn exit_info(&self) -> Option<Exit> {
        // SAFETY: all fields are integers, for which zero is a value.
        let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
        info.mask = u64::from(libc::PIDFD_INFO_EXIT);
        // SAFETY: the request carries the size of `pidfd_info`, and the kernel writes no further than that.
        let result = unsafe { libc::ioctl(self.pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
        // A kernel that doesn't know the flag answers without it.
        if result != 0 || info.mask & u64::from(libc::PIDFD_INFO_EXIT) == 0 {
            return None;
        }
        let status = info.exit_code;
        if libc::WIFEXITED(status) {
            Some(Exit::Code(libc::WEXITSTATUS(status)))
        } else if libc::WIFSIGNALED(status) {
            Some(Exit::Signal(Signal(libc::WTERMSIG(status))))
        } else {
            None
        }
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// What a wait status says.
pub(crate) fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(Signal(signal)),
        (None, None) => Exit::Unknown,
    }
}

/// Sends a signal by number (rustix refuses the real-time ones); 0 only asks. `false`: the process is reaped.
fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<bool> {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: the descriptor is open for the time of the call, and a null siginfo is allowed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) };
    if result == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        // Whoever may not be signalled exists.
        error if error.raw_os_error() == Some(libc::EPERM) && signal == 0 => Ok(true),
        error => Err(error),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests need processes of their own")]
#[expect(clippy::zombie_processes, reason = "reaping through the pidfd is what is tested")]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use std::process::{Child, Command, Stdio};

    fn sh(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap()
    }

    fn wait_readable(process: &Process) {
        let mut fds = [PollFd::new(process, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
    }

    #[test]
    fn an_exit_is_peeked_and_the_zombie_stays_until_reaped() {
        let child = sh("exit 42");
        let process = Process::identify(child.id()).unwrap().unwrap();
        wait_readable(&process);
        assert_eq!(process.peek_exit().unwrap(), Some(Exit::Code(42)));
        assert_eq!(process.peek_exit().unwrap(), Some(Exit::Code(42)));
        assert!(Process::find(process.identity()).unwrap().is_some(), "a zombie of ours is still found");
        process.reap().unwrap();
        assert_eq!(process.peek_exit().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        assert!(Process::find(process.identity()).unwrap().is_none());
        assert!(!process.signal(Signal::TERM).unwrap());
    }

    #[test]
    fn a_signal_reaches_the_process_and_is_seen_in_its_exit() {
        let child = sh("read line");
        let process = Process::identify(child.id()).unwrap().unwrap();
        assert_eq!(process.peek_exit().unwrap(), None);
        assert!(process.signal(Signal::KILL).unwrap());
        wait_readable(&process);
        assert_eq!(process.peek_exit().unwrap(), Some(Exit::Signal(Signal::KILL)));
        process.reap().unwrap();
    }

    #[test]
    fn another_start_time_or_boot_is_a_stranger() {
        let mut child = sh("read line");
        let identity = Process::identify(child.id()).unwrap().unwrap().identity().clone();
        assert!(Process::find(&identity).unwrap().is_some());
        let reused = Identity { start_time: identity.start_time + 1, ..identity.clone() };
        assert!(Process::find(&reused).unwrap().is_none());
        let rebooted = Identity { boot_id: "another".into(), ..identity };
        assert!(Process::find(&rebooted).unwrap().is_none());
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn the_exit_of_a_strangers_child_is_known_on_new_kernels() {
        // The shell in the middle is the parent: it tells the pid, waits for a line, lets its child end and reaps it.
        use std::io::{BufRead, BufReader, Write};
        let mut child = Command::new("sh")
            .args(["-c", "exec 3<&0; (read line <&3; exit 7) & echo $!; wait"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = Process::identify(line.trim().parse().unwrap()).unwrap().unwrap();
        assert_eq!(process.exit_info(), None);
        assert_eq!(process.peek_exit().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        child.wait().unwrap();
        let expected = kernel_is_at_least(6, 15).then_some(Exit::Code(7));
        assert_eq!(process.exit_info(), expected);
    }

    fn kernel_is_at_least(major: u32, minor: u32) -> bool {
        let name = rustix::system::uname();
        let mut parts = name.release().to_str().unwrap().split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }

    #[test]
    fn no_process_has_pid_0_or_a_pid_beyond_the_range() {
        assert!(Process::identify(0).unwrap().is_none());
        assert!(Process::identify(u32::MAX).unwrap().is_none());
    }
}
