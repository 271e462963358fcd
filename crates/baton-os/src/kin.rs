//! Whose tree one process belongs to, from a few looks at `/proc`.

use crate::process::Process;
use crate::procfs;
use crate::tree::MARK_VARIABLE;
use baton_core::world::{Identity, Signal};
use std::io;

/// Longer than any chain of parents that is no accident.
const LONGEST_CHAIN: usize = 1024;

/// A tree that a process may belong to.
#[derive(Clone, Debug)]
pub struct Tree<T> {
    /// What it is called.
    pub of: T,
    /// Its first process.
    pub leader: Identity,
    /// Its mark, in the environment of its members.
    pub mark: String,
}

/// The process that has this pid now, with the tree that it belongs to: by its parents, its session, or the mark of a tree.
/// `None` when there is no such process, or when it belongs to none of them.
///
/// # Errors
/// As [`Process::identify`].
pub fn tree_of<T: Copy>(pid: u32, trees: &[Tree<T>]) -> io::Result<Option<(Process, T)>> {
    let Some(process) = Process::identify(pid)? else { return Ok(None) };
    let born = process.identity().start_time;
    let found = by_descent(pid, trees)?.or_else(|| by_mark(pid, trees, born));
    // Until here its pid can't have been given to another: what was read is its own.
    let is_there = process.signal(Signal(0)).unwrap_or(true);
    Ok(found.filter(|_| is_there).map(|of| (process, of)))
}

fn by_descent<T: Copy>(pid: u32, trees: &[Tree<T>]) -> io::Result<Option<T>> {
    let (mut at, mut buffer) = (pid, Vec::new());
    for _ in 0..LONGEST_CHAIN {
        let Some(stat) = procfs::stat(at, &mut buffer)? else { return Ok(None) };
        let is_of = |tree: &&Tree<T>| {
            let (leader, born) = (tree.leader.pid, tree.leader.start_time);
            (stat.pid == leader && stat.start_time == born) || (stat.session == leader && stat.start_time > born)
        };
        if let Some(tree) = trees.iter().find(is_of) {
            return Ok(Some(tree.of));
        }
        if stat.ppid == 0 {
            return Ok(None);
        }
        at = stat.ppid;
    }
    Ok(None)
}

fn by_mark<T: Copy>(pid: u32, trees: &[Tree<T>], born: u64) -> Option<T> {
    // Unreadable is another user's, or gone.
    let variables = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let marks = variables.split(|byte| *byte == 0).filter_map(|variable| {
        variable.strip_prefix(MARK_VARIABLE.as_bytes())?.strip_prefix(b"=").filter(|mark| !mark.is_empty())
    });
    let known = |mark: &[u8]| trees.iter().find(|tree| tree.mark.as_bytes() == mark && tree.leader.start_time <= born);
    marks.into_iter().find_map(known).map(|tree| tree.of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    fn identity(pid: u32) -> Identity {
        Process::identify(pid).unwrap().unwrap().identity().clone()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test needs processes of its own")]
    fn a_process_belongs_to_the_tree_of_its_parents_session_or_mark() {
        let script = "sleep 1000 & echo $!; BATON_MARK=m setsid sleep 1000 & echo $!; read line; kill $(jobs -p)";
        let mut shell =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let mut pid = || lines.next().unwrap().unwrap().parse::<u32>().unwrap();
        let (child, marked) = (pid(), pid());
        let tree = |of, leader: Identity, mark: &str| Tree { of, leader, mark: mark.into() };
        let leader = identity(shell.id());
        let of =
            |pid, trees: &[Tree<u8>]| tree_of(pid, trees).unwrap().map(|(process, of)| (process.identity().pid, of));
        let trees = [tree(1, leader.clone(), "")];
        assert_eq!(of(shell.id(), &trees), Some((shell.id(), 1)));
        assert_eq!(of(child, &trees), Some((child, 1)));
        assert_eq!(of(std::process::id(), &trees), None, "a parent is none of its child's tree");
        let earlier = Identity { start_time: leader.start_time + 1, ..leader.clone() };
        assert_eq!(of(child, &[tree(1, earlier, "")]), None, "another process that had the pid is no leader");
        // A shell sets its variables after the fork, and the mark stands in what is executed.
        while !std::fs::read(format!("/proc/{marked}/environ")).unwrap().windows(12).any(|text| text == b"BATON_MARK=m")
        {
            std::thread::yield_now();
        }
        let stranger = Identity { pid: u32::MAX, ..leader };
        assert_eq!(of(marked, &[tree(2, stranger.clone(), "m")]), Some((marked, 2)));
        assert_eq!(of(marked, &[tree(2, stranger, "n")]), None);
        assert_eq!(of(u32::MAX, &trees), None);
        shell.stdin.take().unwrap().write_all(b"\n").unwrap();
        shell.wait().unwrap();
    }
}
