//! Finding own children that have ended, without consuming them, and consuming one by its pid.

use baton_core::world::{Exit, Signal};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use std::io::Write;
use std::ops::ControlFlow;

/// Calls `see` with the pid of every child, dead or alive, until it breaks.
///
/// The kernel's list is read where it has one, else all of /proc: `waitid` for any child would show the same zombie
/// for ever, and another's signal may have come before the child was ours.
pub(super) fn each(mut see: impl FnMut(u32) -> ControlFlow<()>) {
    let mut path = [0; 64];
    // SIGCHLD and re-parenting name the thread group's first thread, and the guard has no other.
    let list = open(&mut path, format_args!("/proc/self/task/{}/children\0", std::process::id()));
    let Some(list) = list else { return each_of_proc(see) };
    let mut buffer = [0; 4096];
    let mut pid = 0_u32;
    while let Ok(len @ 1..) = rustix::io::retry_on_intr(|| rustix::io::read(&list, &mut buffer)) {
        for byte in &buffer[..len] {
            match byte {
                b'0'..=b'9' => pid = pid.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')),
                _ if pid != 0 && see(std::mem::take(&mut pid)).is_break() => return,
                _ => {}
            }
        }
    }
}

fn each_of_proc(mut see: impl FnMut(u32) -> ControlFlow<()>) {
    let me = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if stat(pid, 4) == Some(u64::from(me)) && see(pid).is_break() {
            return;
        }
    }
}

/// How the child ended, if it has; it stays a zombie.
pub(super) fn peek(pid: u32) -> Option<Exit> {
    wait(pid, WaitIdOptions::NOWAIT)
}

/// Consumes the zombie of a child that has ended.
pub(super) fn consume(pid: u32) -> Option<Exit> {
    wait(pid, WaitIdOptions::empty())
}

fn wait(pid: u32, options: WaitIdOptions) -> Option<Exit> {
    let pid = Pid::from_raw(pid.cast_signed())?;
    let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options)).ok()??;
    Some(exit(&status))
}

fn exit(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(Signal(signal)),
        (None, None) => Exit::Unknown,
    }
}

/// When the process started, in clock ticks since boot; a zombie tells it too.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    stat(pid, 22)
}

/// A numeric field of /proc/PID/stat, numbered as in proc(5), from 4 on.
fn stat(pid: u32, number: usize) -> Option<u64> {
    let mut path = [0; 64];
    let file = open(&mut path, format_args!("/proc/{pid}/stat\0"))?;
    let mut buffer = [0; 1024];
    let len = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer)).ok()?;
    // The name in parentheses may hold anything, a parenthesis too: the numbers begin after the last one.
    let after = buffer[..len].iter().rposition(|byte| *byte == b')')? + 2;
    std::str::from_utf8(buffer.get(after..len)?).ok()?.split(' ').nth(number - 3)?.parse().ok()
}

/// Opens a path that is put together without the heap; `text` ends with a zero byte.
fn open(path: &mut [u8; 64], text: std::fmt::Arguments<'_>) -> Option<OwnedFd> {
    (&mut path[..]).write_fmt(text).ok()?;
    let path = std::ffi::CStr::from_bytes_until_nul(path).ok()?;
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
