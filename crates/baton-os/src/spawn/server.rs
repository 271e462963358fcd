//! The daemon's side of the fork server: the process of our own binary that forks the exec stubs.
//!
//! Each order is one message: a number, whether it names a control group, and the descriptors of the launch. Each is
//! answered with the number and the pid. Orders may be given ahead of their answers; answers come in their order.

use super::plan::Plan;
use super::{Launch, Names, Prepared, Texts, reason_of};
use crate::guard::spawn_own_binary;
use crate::process::Process;
use baton_core::world::{SpawnError, SpawnStage};
use rustix::fs::MemfdFlags;
use rustix::io::{Errno, retry_on_intr, write};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::ffi::CStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many descriptors an order may have; the kernel passes up to 253.
pub(crate) const ORDER_MAX: usize = 250;
/// The length of an order: its number, then 1 when the fourth descriptor is a control group, else 0.
pub(crate) const ORDER: usize = 16;
/// The length of an answer: the order's number, then the pid or a negative error number.
pub(crate) const ANSWER: usize = 16;

/// Makes the processes of apps. It is started with the first of them, and again whenever it is not there.
#[derive(Debug, Default)]
pub struct ForkServer {
    running: Option<Running>,
    last_order: u64,
}

#[derive(Debug)]
struct Running {
    pid: u32,
    socket: OwnedFd,
}

/// A process that was ordered. Dropping it calls the start off.
#[derive(Debug)]
pub struct Begun {
    number: u64,
    go: OwnedFd,
    report: OwnedFd,
    names: Names,
}

impl ForkServer {
    /// Makes the process of a launch. It has its session, descriptors, user, limits and directory, or has told why
    /// not, before it takes the go.
    ///
    /// # Errors
    /// When a text of the launch holds a NUL byte, or no process can be made.
    pub fn prepare(&mut self, launch: &Launch) -> Result<Prepared, SpawnError> {
        let begun = self.begin(launch)?;
        self.finish(begun)
    }

    /// Orders the process of a launch, without waiting for it. The descriptors of `launch` can be closed afterwards.
    ///
    /// # Errors
    /// As [`ForkServer::prepare`].
    pub fn begin(&mut self, launch: &Launch) -> Result<Begun, SpawnError> {
        let texts = Texts::of(launch)?;
        let data = data(launch, &texts).map_err(|error| failed("cannot pass on what to start", &error))?;
        let pipes = || Ok((pipe_with(PipeFlags::CLOEXEC)?, pipe_with(PipeFlags::CLOEXEC)?));
        let ((go_read, go), (report, report_write)) =
            pipes().map_err(|error: Errno| failed("cannot make a pipe", &error.into()))?;
        let mut fds = vec![data.as_fd(), go_read.as_fd(), report_write.as_fd()];
        fds.extend(launch.group.as_ref().map(|group| group.folder.as_fd()));
        fds.extend(launch.stdin.as_ref().map(AsFd::as_fd));
        fds.extend([launch.stdout.as_fd(), launch.stderr.as_fd()]);
        fds.extend(launch.extra_fds.iter().map(AsFd::as_fd));
        self.last_order += 1;
        self.order((self.last_order, launch.group.is_some()), &fds)
            .map_err(|error| failed("cannot start a process", &error))?;
        Ok(Begun { number: self.last_order, go, report, names: Names::of(launch) })
    }

    /// Waits for a process that was ordered. To be called in the order of the orders: those before it must have been
    /// asked for or dropped.
    ///
    /// # Errors
    /// When no process could be made.
    pub fn finish(&mut self, begun: Begun) -> Result<Prepared, SpawnError> {
        let Begun { number, go, report, names } = begun;
        let pid = self.answer(number).map_err(|error| failed("cannot start a process", &error))?;
        match Process::identify(pid) {
            Ok(Some(process)) => Ok(Prepared { process, go, report, names }),
            unknown => {
                // It can't be followed, so it must not run: end of file makes it leave, and then it is reaped.
                drop(go);
                reap(pid);
                let error = unknown.err().unwrap_or_else(|| Errno::SRCH.into());
                Err(failed("cannot follow the new process", &error))
            }
        }
    }

    /// Calls off a process that was ordered, and waits until it has left. In the order of the orders, too.
    pub fn call_off(&mut self, begun: Begun) {
        let Begun { number, go, .. } = begun;
        let made = self.answer(number);
        drop(go);
        // One that was not made need not be waited for.
        let _ = made.map(reap);
    }

    fn order(&mut self, order: (u64, bool), fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if fds.len() > ORDER_MAX {
            return Err(Errno::INVAL.into());
        }
        if let Some(server) = &self.running {
            match server.send(order, fds) {
                // Somebody has ended it.
                Err(Errno::PIPE | Errno::CONNRESET) => self.bury(),
                result => return Ok(result?),
            }
        }
        let server = Running::start()?;
        let sent = server.send(order, fds);
        self.running = Some(server);
        Ok(sent?)
    }

    fn answer(&mut self, number: u64) -> io::Result<u32> {
        loop {
            let Some(server) = &self.running else { return Err(Errno::PIPE.into()) };
            let mut bytes = [0_u8; ANSWER];
            let received = retry_on_intr(|| recv(&server.socket, &mut bytes[..], RecvFlags::empty()));
            let (order, made) = bytes.split_at(8);
            let (Ok(order), Ok(made)) = (order.try_into(), made.try_into()) else { return Err(Errno::IO.into()) };
            if received.map(|(count, _)| count) != Ok(ANSWER) {
                self.bury();
                return Err(Errno::PIPE.into());
            }
            let made = i64::from_ne_bytes(made);
            let pid = u32::try_from(made).map_err(|_| io::Error::from_raw_os_error(i32::try_from(-made).unwrap_or(0)));
            if u64::from_ne_bytes(order) == number {
                return pid;
            }
            // Nobody asked for it: its pipe is closed, so that it leaves.
            if let Ok(pid) = pid {
                reap(pid);
            }
        }
    }

    /// Forgets a server that is gone or out of step; without its socket it ends.
    fn bury(&mut self) {
        if let Some(Running { pid, socket }) = self.running.take() {
            drop(socket);
            reap(pid);
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.bury();
    }
}

impl Running {
    fn start() -> io::Result<Running> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let pid = spawn_own_binary(c"exec-stub", theirs.as_fd())?;
        Ok(Running { pid, socket: ours })
    }

    fn send(&self, (number, grouped): (u64, bool), fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ORDER_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::INVAL);
        }
        let mut bytes = [0; ORDER];
        bytes[..8].copy_from_slice(&number.to_ne_bytes());
        bytes[8..].copy_from_slice(&u64::from(grouped).to_ne_bytes());
        retry_on_intr(|| sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)).map(drop)
    }
}

/// Waits for the end of a child that is about to leave.
fn reap(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // ECHILD: it was never ours, or is reaped.
        let _ = retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED));
    }
}

/// What the stub is to do, as a file.
fn data(launch: &Launch, texts: &Texts) -> io::Result<OwnedFd> {
    let plan = Plan {
        stdin: launch.stdin.is_some(),
        descriptors: usize::from(launch.stdin.is_some()) + 2 + launch.extra_fds.len(),
        confined: launch.group.as_ref().is_some_and(|group| group.needed),
        oom_score_adj: launch.oom_score_adj,
        nice: launch.nice,
        nofile: launch.original_nofile,
        limits: launch.limits.iter().map(|(resource, limit)| (*resource, *limit)).collect(),
        credentials: launch.credentials.as_ref().map(|who| (who.uid, who.gid, who.groups.clone())),
        pid_variables: launch.pid_variables.clone(),
        program: &texts.program,
        cwd: &texts.cwd,
        argv: texts.argv.iter().map(|text| text as &CStr).collect(),
        env: texts.env.iter().map(|text| text as &CStr).collect(),
    };
    let data = crate::files::memfd(c"baton-launch", MemfdFlags::CLOEXEC)?;
    let bytes = plan.encode();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        rest = &rest[retry_on_intr(|| write(&data, rest))?..];
    }
    Ok(data)
}

fn failed(what: &str, error: &io::Error) -> SpawnError {
    SpawnError {
        stage: SpawnStage::Fork,
        errno: error.raw_os_error().unwrap_or(0),
        message: format!("{what}: {}", reason_of(error)),
    }
}
