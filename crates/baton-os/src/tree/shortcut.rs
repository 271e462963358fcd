//! The short way to know that nothing of a tree is left: two lists of the kernel's in place of all processes.
//!
//! When a leader that we started ends, its children go to our guard, which is the nearest subreaper above it, and so
//! do the children of whoever of them ends later. So a living descendant means a living child of the guard, or a child
//! of ours (the leader may have forked with our process as the parent) that is younger than the leader and not one of
//! those that we started ourselves. Only descendants are in its session. And a FIFO tells its readers when nobody has
//! it open for writing any more.
//!
//! The lists are read before and after the children on them are looked at, and must be the same: who leaves a list
//! while it is read can hide one neighbour, but is missing the second time; who ends meanwhile has handed its children
//! over by then.
//!
//! A control group of the tree must be empty as well, which is one more file to read.
//!
//! Whoever has a copy of the mark without descending from the leader (a job that `at` runs later, a process of a
//! container that was passed our variables) isn't seen this way. A yes is certain for all others; a no is only a
//! reason to look at everything.

use super::Belongings;
use crate::procfs::{self, Stat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitId, WaitIdOptions, getppid, waitid};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};

/// What every short look needs to know.
#[derive(Debug)]
pub(crate) struct Family {
    /// The guard: our parent, and the subreaper of everything below.
    pub(crate) guard: Option<u32>,
    /// Children of ours that lead trees and are not reaped.
    pub(crate) leaders: Mutex<BTreeSet<u32>>,
}

/// The children of one process, thread by thread.
type Lists = Vec<(u32, Vec<u32>)>;

impl Family {
    /// Which of these trees have certainly nothing left.
    pub(crate) fn are_gone(&self, trees: &[&Belongings]) -> Vec<bool> {
        let mut gone: Vec<bool> =
            trees.iter().map(|tree| has_ended(tree) && is_mute(tree) && !tree.has_populated_group()).collect();
        let ended = trees.iter().zip(&gone).filter(|(_, gone)| **gone);
        let Some(earliest) = ended.map(|(tree, _)| tree.leader.start_time).min() else { return gone };
        // Without either list, or with one that changes, nothing is certain.
        let youngest = self.others(earliest).unwrap_or(Some(u64::MAX));
        for (tree, gone) in trees.iter().zip(&mut gone) {
            *gone &= youngest.is_none_or(|start_time| start_time < tree.leader.start_time);
        }
        gone
    }

    /// When the youngest living child of the guard or of ours started that may belong to a tree whose leader is not
    /// younger than `earliest`. `None`: there is no such child.
    fn others(&self, earliest: u64) -> io::Result<Option<u64>> {
        let guard = self.guard.ok_or(io::ErrorKind::NotFound)?;
        let us = std::process::id();
        let lists = || Ok::<_, io::Error>((children(guard)?, children(us)?));
        let before = lists()?;
        let mut buffer = Vec::new();
        let mut youngest = None;
        let all = before.0.iter().chain(&before.1).flat_map(|(_, pids)| pids);
        for pid in all.filter(|pid| **pid != us) {
            // Asked for each: it may have been reaped since.
            if self.leaders.lock().unwrap_or_else(PoisonError::into_inner).contains(pid) {
                continue;
            }
            let Some(stat) = procfs::stat(*pid, &mut buffer)? else { continue };
            if !stat.is_dead() && stat.start_time >= earliest && !is_stub(&stat, &mut buffer) {
                youngest = youngest.max(Some(stat.start_time));
            }
        }
        // While it is our parent it has not ended, and its list was its own.
        let is_our_parent = getppid().map(|parent| parent.as_raw_nonzero().get().cast_unsigned()) == Some(guard);
        if lists()? != before || !is_our_parent {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        Ok(youngest)
    }
}

/// Whether the leader is our dead child. It is not reaped, so it is still the one that it was.
fn has_ended(tree: &Belongings) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let pid = i32::try_from(tree.leader.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_))))
}

/// Whether nobody has any of the outputs open for writing.
pub(super) fn is_mute(tree: &Belongings) -> bool {
    let mut fds: Vec<PollFd<'_>> = tree.outputs.iter().map(|fd| PollFd::new(&**fd, PollFlags::IN)).collect();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let looked = poll(&mut fds, Some(&now)).is_ok();
    looked && fds.len() == tree.fifos.len() && fds.iter().all(|fd| fd.revents().contains(PollFlags::HUP))
}

/// Whether it is our fork server, or an app that has not been told to run.
fn is_stub(stat: &Stat, buffer: &mut Vec<u8>) -> bool {
    let read = procfs::read_into(&format!("/proc/{}/cmdline", stat.pid), buffer);
    read.is_ok() && buffer.starts_with(b"baton\0exec-stub\0") && stat.ppid == std::process::id()
}

/// Fails where the kernel has no such list.
fn children(pid: u32) -> io::Result<Lists> {
    let mut lists = Vec::new();
    let mut buffer = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.file_name();
        let thread = thread.to_str().and_then(|name| name.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        procfs::read_into(&format!("/proc/{pid}/task/{thread}/children"), &mut buffer)?;
        let text = std::str::from_utf8(&buffer).map_err(|_| io::ErrorKind::InvalidData)?;
        let pids = text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>();
        lists.push((thread, pids.map_err(|_| io::ErrorKind::InvalidData)?));
    }
    Ok(lists)
}
