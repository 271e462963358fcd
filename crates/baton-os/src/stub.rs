//! The exec stub: a short life of our own binary between the daemon's wish and the app's program.
//!
//! It makes the process what the app expects (session, descriptors, limits, user, directory, signals), waits for one
//! byte, and executes the program. Doing this here and not between fork and exec of the daemon keeps the daemon on
//! `posix_spawn`, whose cost doesn't grow with the daemon's memory, and makes it ordinary single-threaded code.
//!
//! Starting our binary for each app would cost more than starting the app. So one process of it, the fork server,
//! stays, as small as it began, and forks a stub for each order; the stub's parent is the daemon all the same. It
//! sleeps between orders and ends with the daemon.
//!
//! A failure is told as (stage, errno) on a pipe that closes by itself when the exec works. End of file in place of
//! the byte ends the stub without a word: whoever would have known the app is gone.

use crate::spawn::plan::Plan;
use crate::spawn::server::{ANSWER, ORDER, ORDER_MAX};
use crate::{limits, memory};
use baton_core::spec::{Resource, Rlimit};
use baton_core::world::SpawnStage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use std::ffi::{CStr, CString, c_char, c_int};
use std::io::{self, IoSliceMut, Read, Seek};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Exit code of a stub that could not do its work; nobody sees it but those who look at the zombie.
const FAILED: c_int = 127;

/// Exit code of a stub that was called off: it has executed nothing. A successor of the daemon that made it tells by
/// this that the app never ran, so it is none that programs use.
pub const CALLED_OFF: c_int = 118;

/// How long nobody orders anything before the fork server gives back what it does not use then.
const REST: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// What a stub does, as far as it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Laying out descriptors and signals, its session.
    Setup,
    /// Entering its control group.
    Group,
    /// How soon the kernel ends it when memory is short.
    OomScore,
    /// Its niceness.
    Nice,
    /// One of its limits.
    Limit(Resource),
    /// Changing user or group.
    User,
    /// Entering the working directory.
    Directory,
    /// Running the program.
    Exec,
}

impl Step {
    /// The same for clients, who have the reason in words.
    pub(crate) fn stage(self) -> SpawnStage {
        match self {
            Step::Setup | Step::Group | Step::OomScore | Step::Nice | Step::Limit(_) => SpawnStage::Setup,
            Step::User => SpawnStage::User,
            Step::Directory => SpawnStage::Directory,
            Step::Exec => SpawnStage::Exec,
        }
    }
}

/// A step that failed, with the error number.
type Failure = (Step, i32);

/// The kernel's flag, which is too long for the type that the library has for flags.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Looks at a file of the kernel that takes no more than ten orders a second, and the pause between them.
const ORDERS: u32 = 200;
const ORDER_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 25_000_000 };

/// Runs the fork server, and in its children the stub. `argv[2]` names the descriptor on which orders come.
pub fn main() -> ! {
    let number = std::env::args_os().nth(2).and_then(|text| text.to_str()?.parse::<i32>().ok());
    let Some(number) = number.filter(|number| *number > 2) else { exit(FAILED) };
    // SAFETY: the parent made this descriptor for us and named it; nothing else in this process uses it.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    loop {
        rest(&socket);
        let Some((words, order)) = receive(&socket) else { exit(0) };
        let (number, grouped) = words.split_at(8);
        let grouped = grouped.first() != Some(&0);
        let group = order.get(3).filter(|_| grouped);
        // Born in its group it need not be moved there, for which the kernel holds up the starts of all processes.
        let born = group.map_or(Err(libc::ENOENT), fork_sibling_into);
        let made = born.or_else(|_| fork_sibling());
        if made == Ok(0) {
            exit(become_stub(&order, grouped, born.is_ok()));
        }
        // Theirs alone from here on: the daemon waits for the end of them.
        drop(order);
        let answer = i64::from(made.unwrap_or_else(|errno| -errno));
        let mut bytes = [0; ANSWER];
        bytes[..8].copy_from_slice(number);
        bytes[8..].copy_from_slice(&answer.to_ne_bytes());
        if send(&socket, &bytes, SendFlags::NOSIGNAL).is_err() {
            exit(0);
        }
    }
}

/// Waits for an order, or until none has come for a while: then what the last ones took of the program is given back.
fn rest(socket: &OwnedFd) {
    // An error leaves it to the next read.
    if poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&REST)) == Ok(0) {
        memory::give_back_program();
    }
}

/// The next order: its words, and its descriptors, the launch data first. `None` when there will be no more.
fn receive(socket: &OwnedFd) -> Option<([u8; ORDER], Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ORDER_MAX))];
    let mut words = [0; ORDER];
    loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        match recvmsg(socket, &mut [IoSliceMut::new(&mut words)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) if message.bytes == words.len() => {
                let rights = ancillary.drain().filter_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                    _ => None,
                });
                return Some((words, rights.flatten().collect()));
            }
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return None,
        }
    }
}

/// A child of our parent with a copy of this process: 0 in it, its pid here.
fn fork_sibling() -> Result<i32, i32> {
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child has its own copy of all memory, and without a stack it goes on with that of
    // the copy. This process has one thread, so that no lock is held and nothing is half changed in the copy.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    check(result)?;
    i32::try_from(result).map_err(|_| libc::EOVERFLOW)
}

/// The same, born in a control group (Linux 5.7). A filter of system calls may forbid it.
fn fork_sibling_into(group: &OwnedFd) -> Result<i32, i32> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    // With this parent the signal at its end is that of this process's own.
    arguments.flags = libc::CLONE_PARENT as u64 | CLONE_INTO_CGROUP;
    arguments.cgroup = u64::try_from(group.as_raw_fd()).map_err(|_| libc::EBADF)?;
    // SAFETY: as in `fork_sibling`; the kernel reads as much of the arguments as their size says.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) };
    check(result)?;
    i32::try_from(result).map_err(|_| libc::EOVERFLOW)
}

/// The life of a stub. Returns only when the program was not executed. `grouped`: the order has a control group; `born`:
/// this process is in it already.
fn become_stub(order: &[OwnedFd], grouped: bool, born: bool) -> c_int {
    let [data, go, report, others @ ..] = order else { return FAILED };
    let (group, others) = match others {
        [group, others @ ..] if grouped => (Some(group).filter(|_| !born), others),
        others => (None, others),
    };
    let unreadable = (Step::Setup, libc::EIO);
    let Ok(bytes) = read_all(data) else { return fail(report.as_raw_fd(), unreadable) };
    let Some(plan) = Plan::decode(&bytes) else { return fail(report.as_raw_fd(), unreadable) };
    let entered = group.map_or(Ok(()), enter);
    if let Err(errno) = entered
        && plan.confined
    {
        return fail(report.as_raw_fd(), (Step::Group, errno));
    }
    let given = Given { go: go.as_raw_fd(), report: report.as_raw_fd(), others };
    run(&plan, given)
}

/// Moves this process into a control group.
fn enter(group: &OwnedFd) -> Result<(), i32> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let opened = openat(group, c"cgroup.procs", flags, Mode::empty());
    opened.and_then(|file| rustix::io::write(&file, b"0")).map(drop).map_err(|error| error.raw_os_error())
}

fn read_all(data: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = std::fs::File::from(data.try_clone()?);
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The descriptors that came with an order.
#[derive(Clone, Copy)]
struct Given<'a> {
    /// Read one byte here before the exec; end of file calls it off.
    go: RawFd,
    /// Write a failure here.
    report: RawFd,
    /// Standard input if the plan says so, standard output and error, and those that become 3, 4, ….
    others: &'a [OwnedFd],
}

/// Returns only when the program was not executed.
fn run(plan: &Plan<'_>, given: Given<'_>) -> c_int {
    let first_free = 1 + i32::try_from(given.others.len()).unwrap_or(i32::MAX - 1) - i32::from(plan.stdin);
    // Where nothing will be put on top of them.
    let (Ok(go), Ok(report)) = (above(given.go, first_free), above(given.report, first_free)) else { return FAILED };
    let given = Given { go, report, ..given };
    if given.others.len() != plan.descriptors {
        // The kernel leaves out those that find no place in this process.
        return fail(report, (Step::Setup, libc::EMFILE));
    }
    if let Err(failure) = set_up(plan, given, first_free) {
        return fail(report, failure);
    }
    if !told_to_go(go) {
        return CALLED_OFF;
    }
    fail(report, (Step::Exec, execute(plan)))
}

fn set_up(plan: &Plan<'_>, given: Given<'_>, first_free: i32) -> Result<(), Failure> {
    let setup = |errno| (Step::Setup, errno);
    default_signals().map_err(setup)?;
    // SAFETY: no memory is involved. Fails only for the leader of a process group, which a fresh child is not.
    check(unsafe { libc::setsid() }).map_err(setup)?;
    lay_out_descriptors(plan, given, first_free).map_err(setup)?;
    if let Some(value) = plan.oom_score_adj {
        let written = std::fs::write("/proc/self/oom_score_adj", value.to_string());
        written.map_err(|error| (Step::OomScore, error.raw_os_error().unwrap_or(libc::EIO)))?;
    }
    if let Some(niceness) = plan.nice {
        be_nice(niceness).map_err(|errno| (Step::Nice, errno))?;
    }
    if let Some((soft, hard)) = plan.nofile {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: `limit` lives over the call.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map_err(setup)?;
    }
    // While we still may: as another user nothing can be raised.
    for (resource, limit) in &plan.limits {
        set_limit(*resource, *limit).map_err(|errno| (Step::Limit(*resource), errno))?;
    }
    if let Some((uid, gid, groups)) = &plan.credentials {
        become_user(*uid, *gid, groups).map_err(|errno| (Step::User, errno))?;
    }
    // After the change of user: the directory must be one that the app may enter.
    // SAFETY: the text ends with NUL.
    check(unsafe { libc::chdir(plan.cwd.as_ptr()) }).map_err(|errno| (Step::Directory, errno))
}

fn be_nice(niceness: i32) -> Result<(), i32> {
    // SAFETY: takes numbers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) })?;
    // Where the scheduler puts each session into a group, niceness counts only within it, and the group has its own.
    let grouped = std::fs::read("/proc/sys/kernel/sched_autogroup_enabled");
    if !grouped.is_ok_and(|text| text.starts_with(b"1")) {
        return Ok(());
    }
    for _ in 0..ORDERS {
        match std::fs::write("/proc/self/autogroup", niceness.to_string()) {
            // Who is not root is made to wait for others that are not.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {
                let _ = poll(&mut [], Some(&ORDER_PAUSE));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error.raw_os_error().unwrap_or(libc::EIO));
            }
            // Without the file there are no such groups.
            Ok(()) | Err(_) => return Ok(()),
        }
    }
    Err(libc::EAGAIN)
}

fn set_limit(resource: Resource, limit: Rlimit) -> Result<(), i32> {
    let number = limits::number(resource).into();
    let mut pair = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `pair` lives over the call, which writes it.
    check(unsafe { libc::prlimit64(0, number, std::ptr::null(), &raw mut pair) })?;
    (pair.rlim_cur, pair.rlim_max) = limits::wished(limit, (pair.rlim_cur, pair.rlim_max));
    // SAFETY: `pair` lives over the call.
    check(unsafe { libc::prlimit64(0, number, &raw const pair, std::ptr::null_mut()) })
}

/// Ignored signals and the mask survive an exec; an app expects neither. (The Rust runtime ignores SIGPIPE.)
fn default_signals() -> Result<(), i32> {
    // The kernel's own form, all zero: the default action, no flags, an empty mask. The libraries' forms leave out the
    // two signals that they use themselves, and a parent may have ignored just those.
    let default = [0_u64; 8];
    for signal in 1..=64_i32 {
        // SAFETY: `default` is longer than the kernel's structure, and no handler of ours is installed by it. The
        // refusal for SIGKILL and SIGSTOP doesn't matter.
        unsafe {
            let none = std::ptr::null_mut::<libc::c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, size_of::<u64>());
        }
    }
    // SAFETY: the set is written by sigemptyset before it is read.
    check(unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    })
}

/// Puts 0, 1, 2, 3 … in place and closes everything else but the two pipes. `first_free` is the first number that the
/// program must not inherit.
fn lay_out_descriptors(plan: &Plan<'_>, given: Given<'_>, first_free: i32) -> Result<(), i32> {
    // First out of the way of each other.
    let mut sources = Vec::with_capacity(given.others.len() + 1);
    if !plan.stdin {
        // SAFETY: the path ends with NUL.
        let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        check(null)?;
        sources.push(above(null, first_free)?);
    }
    for fd in given.others {
        sources.push(above(fd.as_raw_fd(), first_free)?);
    }
    for (source, target) in sources.into_iter().zip(0..) {
        // SAFETY: nothing in this process relies on what the target was: the runtime's 0, 1, 2 are ours to replace, and
        // so is what came with the order, for it is never dropped: this process executes or exits.
        check(unsafe { libc::dup2(source, target) })?;
    }
    let (low, high) = (given.go.min(given.report), given.go.max(given.report));
    close_between(first_free, low - 1)?;
    close_between(low + 1, high - 1)?;
    close_between(high + 1, i32::MAX)
}

/// The descriptor, or a copy of it, with a number from `lowest` on, closed by an exec.
fn above(fd: RawFd, lowest: i32) -> Result<RawFd, i32> {
    if fd >= lowest {
        return Ok(fd);
    }
    // SAFETY: duplicates an open descriptor.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, lowest) };
    check(copy).map(|()| copy)
}

/// Closes the descriptors from `first` to `last`, both included.
fn close_between(first: i32, last: i32) -> Result<(), i32> {
    if first > last {
        return Ok(());
    }
    let (first_number, last_number) = (first.cast_unsigned(), last.cast_unsigned());
    // SAFETY: no object of this process owns a descriptor in the range.
    match check(unsafe { libc::syscall(libc::SYS_close_range, first_number, last_number, 0) }) {
        // Before Linux 5.9, or forbidden by a filter of system calls.
        Err(libc::ENOSYS | libc::EPERM) => {}
        other => return other,
    }
    let listed = std::fs::read_dir("/proc/self/fd").map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
    let open: Vec<i32> = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        // SAFETY: as above. EBADF is the descriptor of the listing itself, closed by now.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), i32> {
    // SAFETY: these only read and write ids of this process; `groups` is as long as it says.
    unsafe {
        // Who is that user already and may not choose groups has nothing to change.
        if libc::geteuid() != 0 && libc::geteuid() == uid && libc::getegid() == gid {
            return Ok(());
        }
        check(libc::setgroups(groups.len(), groups.as_ptr()))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))
    }
}

/// Waits for the byte; `false` at end of file.
fn told_to_go(fd: i32) -> bool {
    let mut byte = 0_u8;
    loop {
        // SAFETY: one byte of room is given for one byte.
        match unsafe { libc::read(fd, (&raw mut byte).cast(), 1) } {
            1 => return true,
            -1 if last_errno() == libc::EINTR => {}
            _ => return false,
        }
    }
}

/// Returns the error number when the program can't be executed.
fn execute(plan: &Plan<'_>) -> i32 {
    let own_pid = |name: &&CStr| CString::new(format!("{}={}", name.to_str().ok()?, std::process::id())).ok();
    let own_pids: Vec<CString> = plan.pid_variables.iter().filter_map(own_pid).collect();
    let env = pointers(plan.env.iter().copied().chain(own_pids.iter().map(CString::as_c_str)));
    let argv = pointers(plan.argv.iter().copied());
    // SAFETY: both lists end with a null pointer and point to texts that end with NUL and outlive the call.
    unsafe { libc::execve(plan.program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    let errno = last_errno();
    if errno != libc::ENOEXEC {
        return errno;
    }
    // A text without a first line that names its interpreter is for the shell, as with execvp.
    let shell = c"/bin/sh";
    let argv = pointers([shell, plan.program].into_iter().chain(plan.argv.iter().skip(1).copied()));
    // SAFETY: as above.
    unsafe { libc::execve(shell.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last_errno()
}

fn pointers<'a>(texts: impl Iterator<Item = &'a CStr>) -> Vec<*const c_char> {
    texts.map(CStr::as_ptr).chain([std::ptr::null()]).collect()
}

fn fail(report: i32, (step, errno): Failure) -> c_int {
    let message = encode_failure(step, errno);
    // SAFETY: the bytes live over the call. Nobody to read them is nobody to tell.
    unsafe { libc::write(report, message.as_ptr().cast(), message.len()) };
    FAILED
}

/// Leaves without running anything that the runtime registered.
fn exit(code: c_int) -> ! {
    // SAFETY: does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

const STEPS: [Step; 7] =
    [Step::Setup, Step::Group, Step::OomScore, Step::Nice, Step::User, Step::Directory, Step::Exec];
/// Above it come the limits.
const FIRST_LIMIT: u8 = 100;

fn encode_failure(step: Step, errno: i32) -> [u8; 5] {
    let number = match step {
        Step::Limit(resource) => Some(FIRST_LIMIT + limits::number(resource)),
        step => STEPS.iter().position(|known| *known == step).and_then(|at| u8::try_from(at).ok()),
    };
    let [a, b, c, d] = errno.to_ne_bytes();
    [number.unwrap_or(0), a, b, c, d]
}

/// What a stub wrote on its report pipe, `None` for anything else.
pub(crate) fn decode_failure(bytes: &[u8]) -> Option<(Step, i32)> {
    let [number, a, b, c, d] = *bytes else { return None };
    let step = match number.checked_sub(FIRST_LIMIT) {
        Some(number) => Step::Limit(limits::numbered(number)?),
        None => *STEPS.get(usize::from(number))?,
    };
    Some((step, i32::from_ne_bytes([a, b, c, d])))
}

fn check<T: Into<i64>>(result: T) -> Result<(), i32> {
    if result.into() < 0 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_pipe() {
        for step in STEPS.into_iter().chain(Resource::ALL.map(Step::Limit)) {
            assert_eq!(decode_failure(&encode_failure(step, 13)), Some((step, 13)));
        }
        assert_eq!(decode_failure(&[9, 0, 0, 0, 0]), None);
        assert_eq!(decode_failure(&[200, 0, 0, 0, 0]), None);
        assert_eq!(decode_failure(&[1, 0, 0]), None);
    }
}
