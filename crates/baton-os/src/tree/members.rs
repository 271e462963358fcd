//! Which processes belong to a tree, decided on one picture of the process table.
//!
//! A sign of membership is any of: the session or process group of the leader, a parent that belongs, one of the
//! tree's FIFOs open for writing, the tree's mark in the environment. Where the tree has a control group, whoever is in it
//! belongs as well, and nobody can hide from that.

use crate::procfs::{self, Stat};
use baton_core::world::Identity;
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, openat, statat};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// A tree to look for.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) leader: &'a Identity,
    /// Whether the leader's session was seen alive, without a break since: its number can't have been given to
    /// another session then.
    pub(crate) session_known: bool,
}

/// What was found of one tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The members that live.
    pub(crate) living: Vec<(u32, u64)>,
    /// Whether something keeps the session's number in use: the leader, alive or not yet reaped, or a member.
    pub(crate) session_known: bool,
    /// Whether somebody lives in its control group who is not to be seen.
    pub(crate) hidden: bool,
}

/// Adds those who are in the control group of a tree. `false`: somebody ended meanwhile, who may have left another.
pub(crate) fn take_in(found: &mut Found, group: &[u32], never: &HashSet<u32>) -> std::io::Result<bool> {
    let mut whole = true;
    let mut buffer = Vec::new();
    for pid in group.iter().filter(|pid| !never.contains(pid)) {
        if found.living.iter().any(|(known, _)| known == pid) {
            continue;
        }
        match procfs::stat(*pid, &mut buffer)? {
            Some(stat) if !stat.is_dead() => found.living.push((*pid, stat.start_time)),
            Some(_) | None => whole = false,
        }
    }
    Ok(whole)
}

/// Signs that a process carries itself.
pub(crate) trait Signs {
    /// What the process has of a tree.
    fn of(&mut self, pid: u32) -> Sign;
}

/// What a process has of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The mark or a FIFO of the tree at this position among the targets.
    Of(usize),
    /// Nothing.
    No,
    /// Nothing now, as one that has no variables, or not yet.
    Unclear,
    /// It has ended, or is about to, and may have had anything.
    Gone,
}

/// Finds the members of all targets. `us` and all ancestors of it are nobody's members.
///
/// Also tells whether the picture is whole: that nobody ended unseen, who may have been a member and have left another.
/// `before` is the last picture.
pub(crate) fn find(
    table: &BTreeMap<u32, Stat>,
    before: &BTreeMap<u32, Stat>,
    targets: &[Target<'_>],
    us: u32,
    signs: &mut dyn Signs,
) -> (Vec<Found>, bool) {
    let Some(earliest) = targets.iter().map(|target| target.leader.start_time).min() else {
        return (Vec::new(), true);
    };
    let never = ourselves(table, us);
    let candidates: Vec<&Stat> = table
        .values()
        .filter(|stat| stat.start_time >= earliest && !never.contains(&stat.pid) && !is_kernel_thread(stat))
        .collect();
    let leaders: HashMap<u32, usize> = targets.iter().enumerate().map(|(index, t)| (t.leader.pid, index)).collect();
    let may_be = |index: usize, stat: &Stat| stat.start_time >= targets[index].leader.start_time;
    let is_leader = |index: usize, stat: &Stat| {
        stat.pid == targets[index].leader.pid && stat.start_time == targets[index].leader.start_time
    };
    let by_session = |stat: &Stat| {
        if let Some(index) = leaders.get(&stat.pid).copied().filter(|index| is_leader(*index, stat)) {
            return Some(index);
        }
        let index = leaders.get(&stat.session).or_else(|| leaders.get(&stat.pgrp)).copied()?;
        may_be(index, stat).then_some(index)
    };

    let mut found: Vec<Found> = targets.iter().map(|_| Found::default()).collect();
    // The number of a dead leader may have become another's, session and all. So a session counts when its leader is
    // the one we know, when it was ours before and never died out, or when one of it has another sign.
    let mut confirmed = vec![false; targets.len()];
    for (index, target) in targets.iter().enumerate() {
        confirmed[index] = match table.get(&target.leader.pid) {
            Some(stat) => is_leader(index, stat),
            None => target.session_known,
        };
    }
    let stranger = |index: usize| {
        let target = &targets[index];
        table.get(&target.leader.pid).is_some_and(|stat| !is_leader(index, stat))
    };

    let mut whole = true;
    let mut owner: HashMap<u32, usize> = HashMap::new();
    let mut unsure: Vec<&Stat> = Vec::new();
    for stat in &candidates {
        match by_session(stat) {
            Some(index) if confirmed[index] => {
                owner.insert(stat.pid, index);
            }
            Some(index) if !stranger(index) => unsure.push(stat),
            _ => {}
        }
    }
    adopt_children(&candidates, &mut owner, may_be);
    for stat in &candidates {
        // A child of ours that is no leader is on its way to become one, for a moment with our descriptors.
        // Whom the last look found like that had left nobody behind whom this one doesn't find.
        if stat.is_over() {
            whole &= before.get(&stat.pid).is_some_and(Stat::is_over);
        }
        if stat.is_dead() || stat.ppid == us || owner.contains_key(&stat.pid) {
            continue;
        }
        match signs.of(stat.pid) {
            Sign::Of(index) if may_be(index, stat) => {
                owner.insert(stat.pid, index);
                confirmed[index] |= by_session(stat) == Some(index) && !stranger(index);
            }
            Sign::Of(_) | Sign::No => {}
            Sign::Unclear => {
                whole &= before.get(&stat.pid).is_some_and(|earlier| earlier.start_time == stat.start_time);
            }
            Sign::Gone => whole = false,
        }
    }
    for stat in unsure {
        if let Some(index) = by_session(stat).filter(|index| confirmed[*index]) {
            owner.entry(stat.pid).or_insert(index);
        }
    }
    adopt_children(&candidates, &mut owner, may_be);

    for stat in &candidates {
        let Some(index) = owner.get(&stat.pid).copied() else { continue };
        found[index].session_known |= confirmed[index] && by_session(stat) == Some(index);
        if !stat.is_dead() {
            found[index].living.push((stat.pid, stat.start_time));
        }
    }
    (found, whole)
}

/// Makes every child of a member a member, to any depth.
fn adopt_children(candidates: &[&Stat], owner: &mut HashMap<u32, usize>, may_be: impl Fn(usize, &Stat) -> bool) {
    loop {
        let before = owner.len();
        for stat in candidates {
            if owner.contains_key(&stat.pid) {
                continue;
            }
            if let Some(index) = owner.get(&stat.ppid).copied().filter(|index| may_be(*index, stat)) {
                owner.insert(stat.pid, index);
            }
        }
        if owner.len() == before {
            return;
        }
    }
}

/// `us`, its ancestors and the first process of the system.
pub(crate) fn ourselves(table: &BTreeMap<u32, Stat>, us: u32) -> HashSet<u32> {
    let mut never = HashSet::from([0, 1]);
    let mut pid = us;
    while never.insert(pid) {
        pid = table.get(&pid).map_or(0, |stat| stat.ppid);
    }
    never
}

/// Kernel threads have no memory of their own and can't be signalled; their parent is 2 and they have no session.
fn is_kernel_thread(stat: &Stat) -> bool {
    stat.session == 0 && stat.pgrp == 0 && (stat.pid == 2 || stat.ppid == 2)
}

/// Reads marks and descriptors from `/proc`.
#[derive(Debug)]
pub(crate) struct ProcSigns<'a> {
    marks: HashMap<&'a [u8], usize>,
    fifos: HashMap<(u64, u64), usize>,
    buffer: Vec<u8>,
}

/// The variable that carries the mark.
const MARK: &[u8] = b"BATON_MARK=";

impl<'a> ProcSigns<'a> {
    /// Of marks and FIFOs (device, inode), each with the position of its tree.
    pub(crate) fn new(
        marks: impl IntoIterator<Item = (&'a str, usize)>,
        fifos: impl IntoIterator<Item = ((u64, u64), usize)>,
    ) -> Self {
        let marks = marks.into_iter().filter(|(mark, _)| !mark.is_empty());
        ProcSigns {
            marks: marks.map(|(mark, index)| (mark.as_bytes(), index)).collect(),
            fifos: fifos.into_iter().collect(),
            // Reading into an empty one begins with a few bytes at a time.
            buffer: Vec::with_capacity(16 * 1024),
        }
    }

    fn by_mark(&mut self, pid: u32) -> Sign {
        let read = procfs::read_into(&format!("/proc/{pid}/environ"), &mut self.buffer);
        if self.buffer.is_empty() {
            // Unreadable is another user's; one that becomes another program has none for a moment.
            return if read.is_ok() { Sign::Unclear } else { Sign::No };
        }
        let variables = self.buffer.split(|&byte| byte == 0);
        let mut marks = variables.filter_map(|variable| variable.strip_prefix(MARK));
        marks.find_map(|mark| self.marks.get(mark).copied()).map_or(Sign::No, Sign::Of)
    }

    fn by_fifo(&self, pid: u32) -> Option<usize> {
        if self.fifos.is_empty() {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(rustix::fs::CWD, format!("/proc/{pid}/fd"), flags, Mode::empty()).ok()?;
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(&directory, &mut space);
        while let Some(entry) = entries.next() {
            if let Some(index) = self.of_descriptor(&directory, entry.ok()?.file_name()) {
                return Some(index);
            }
        }
        None
    }

    /// Only a descriptor open for writing is a sign: readers of the output are the guard, we, and whoever looks. The
    /// permission bits of the link tell how it was opened.
    fn of_descriptor(&self, directory: &OwnedFd, name: &std::ffi::CStr) -> Option<usize> {
        let there = statat(directory, name, AtFlags::empty()).ok()?;
        let index = self.fifos.get(&(there.st_dev, there.st_ino)).copied()?;
        let link = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (link.st_mode & 0o200 != 0).then_some(index)
    }
}

impl Signs for ProcSigns<'_> {
    fn of(&mut self, pid: u32) -> Sign {
        let by_mark = self.by_mark(pid);
        if let Sign::Of(_) = by_mark {
            return by_mark;
        }
        if let Some(index) = self.by_fifo(pid) {
            return Sign::Of(index);
        }
        // One that is ending shows neither: so it must not have begun to by now.
        match procfs::stat(pid, &mut self.buffer) {
            Ok(Some(stat)) if !stat.is_over() => by_mark,
            Ok(_) => Sign::Gone,
            Err(_) => Sign::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNCLEAR: usize = usize::MAX - 1;

    /// The pids that carry a sign, and of which tree.
    struct Carriers(Vec<(u32, usize)>);

    impl Signs for Carriers {
        fn of(&mut self, pid: u32) -> Sign {
            match self.0.iter().find(|(carrier, _)| *carrier == pid) {
                Some((_, usize::MAX)) => Sign::Gone,
                Some((_, UNCLEAR)) => Sign::Unclear,
                Some((_, index)) => Sign::Of(*index),
                None => Sign::No,
            }
        }
    }

    fn leader(pid: u32) -> Identity {
        Identity { pid, start_time: u64::from(pid), boot_id: "boot".into() }
    }

    /// Processes as (pid, parent, session); each started at the time of its pid.
    fn table(processes: &[(u32, u32, u32)]) -> BTreeMap<u32, Stat> {
        let stat = |&(pid, ppid, session): &(u32, u32, u32)| Stat {
            exiting: false,
            pid,
            state: b'S',
            ppid,
            pgrp: session,
            session,
            ticks: 0,
            threads: 1,
            resident: 0,
            start_time: u64::from(pid),
        };
        processes.iter().map(|process| (process.0, stat(process))).collect()
    }

    /// The daemon is 50, its guard 40; the members of the tree of 100.
    fn members(table: &BTreeMap<u32, Stat>, session_known: bool, carriers: &[(u32, usize)]) -> Vec<u32> {
        let leader = leader(100);
        let targets = [Target { leader: &leader, session_known }];
        let (found, _) = find(table, table, &targets, 50, &mut Carriers(carriers.to_vec()));
        found[0].living.iter().map(|(pid, _)| *pid).collect()
    }

    const OURS: [(u32, u32, u32); 3] = [(1, 0, 1), (40, 1, 40), (50, 40, 40)];

    fn with(processes: &[(u32, u32, u32)]) -> BTreeMap<u32, Stat> {
        table(&[&OURS[..], processes].concat())
    }

    #[test]
    fn session_children_and_carriers_belong_and_others_do_not() {
        let table = with(&[
            (100, 50, 100),
            (101, 100, 100),
            (102, 101, 102), // left the session
            (103, 102, 103), // and its child too
            (104, 1, 104),   // carries a sign
            (105, 104, 105), // its child
            (106, 1, 106),   // nobody's
        ]);
        assert_eq!(members(&table, false, &[(104, 0)]), [100, 101, 102, 103, 104, 105]);
    }

    #[test]
    fn neither_we_nor_the_guard_nor_the_first_process_nor_older_ones_belong() {
        let mut table = with(&[(100, 50, 100), (60, 1, 60), (110, 50, 110)]);
        assert_eq!(members(&table, false, &[(1, 0), (40, 0), (50, 0), (60, 0), (110, 0)]), [100]);
        // Not even an app that is an ancestor of ours.
        table.get_mut(&40).unwrap().ppid = 100;
        assert_eq!(members(&table, false, &[]), [0; 0]);
    }

    #[test]
    fn the_session_of_a_stranger_with_the_leaders_number_is_left_alone() {
        let mut table = with(&[(100, 1, 100), (200, 100, 100), (201, 1, 201)]);
        table.get_mut(&100).unwrap().start_time = 199;
        assert_eq!(members(&table, false, &[(201, 0)]), [201]);
        assert_eq!(members(&table, true, &[(201, 0)]), [201]);
    }

    #[test]
    fn the_session_of_a_lost_leader_needs_continuity_or_a_sign() {
        let table = with(&[(200, 1, 100), (201, 1, 100)]);
        assert_eq!(members(&table, false, &[]), [0; 0], "it may be that of a stranger who died meanwhile");
        assert_eq!(members(&table, true, &[]), [200, 201]);
        assert_eq!(members(&table, false, &[(201, 0)]), [200, 201], "one sign speaks for the session");
    }

    #[test]
    fn a_zombie_keeps_the_session_known_and_does_not_live() {
        let mut table = with(&[(100, 50, 100)]);
        table.get_mut(&100).unwrap().state = b'Z';
        let leader = leader(100);
        let targets = [Target { leader: &leader, session_known: false }];
        let found = find(&table, &table, &targets, 50, &mut Carriers(vec![]));
        assert_eq!(found, (vec![Found { living: vec![], session_known: true, hidden: false }], true));
    }

    #[test]
    fn who_ends_unseen_may_have_been_a_member_and_have_left_another() {
        let leader = leader(100);
        let targets = [Target { leader: &leader, session_known: false }];
        let of = |table: &BTreeMap<u32, Stat>, before: &BTreeMap<u32, Stat>, carriers: &[(u32, usize)]| {
            find(table, before, &targets, 50, &mut Carriers(carriers.to_vec())).1
        };
        let table = with(&[(100, 50, 100), (106, 1, 106)]);
        assert!(of(&table, &table, &[]), "a stranger is none");
        assert!(!of(&table, &table, &[(106, usize::MAX)]), "it ended before its signs were read");
        let mut later = table.clone();
        later.get_mut(&106).expect("it is there").state = b'Z';
        assert!(!of(&later, &table, &[]), "it ended since the last picture");
        assert!(of(&later, &later, &[]), "it has been dead for a while");
        let mut ending = table.clone();
        ending.get_mut(&106).expect("it is there").exiting = true;
        assert!(!of(&ending, &table, &[]), "it began to end since the last picture");
        assert!(of(&later, &ending, &[]), "it could start nobody any more");
        assert!(of(&table, &table, &[(106, UNCLEAR)]), "it has had no variables for a while");
        assert!(
            !of(&table, &with(&[(100, 50, 100)]), &[(106, UNCLEAR)]),
            "it may have become another program just now"
        );
    }

    #[test]
    fn trees_share_a_pass_and_a_sign_of_one_is_not_the_others() {
        let table = with(&[(100, 50, 100), (110, 50, 110), (120, 1, 120), (121, 1, 121)]);
        let (first, second) = (leader(100), leader(110));
        let targets =
            [Target { leader: &first, session_known: false }, Target { leader: &second, session_known: false }];
        let (found, _) = find(&table, &table, &targets, 50, &mut Carriers(vec![(120, 1), (121, 0)]));
        assert_eq!(found[0].living, [(100, 100), (121, 121)]);
        assert_eq!(found[1].living, [(110, 110), (120, 120)]);
    }
}
