//! Whole process trees: signals to all of one, and the word that nothing of one is left.
//!
//! One thread serves all trees, so requests that come together share one look at the process table. It waits on the
//! pidfds of what it found and on requests, never by time while something lives. A tree is gone when two looks in a
//! row find nothing living of it: a process that was being started during the first is seen by the second. Before
//! that, a short way is tried that is certain when it says yes (see `shortcut`).
//!
//! Reap a leader after [`TreeReport::Gone`]: while it is a zombie its number, and so its session's, is not another's.

mod members;
mod shortcut;

use crate::cgroup::Group;
use crate::process::Process;
use crate::procfs::{self, Table};
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Identity, Signal};
use members::{Found, ProcSigns, Target};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use shortcut::Family;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The environment variable by which members of a tree are known wherever they went.
pub const MARK_VARIABLE: &str = "BATON_MARK";

/// Names a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeKey {
    /// The slot.
    pub id: InstanceId,
    /// The life.
    pub incarnation: Incarnation,
}

/// By what the members of a tree are known.
#[derive(Clone, Debug)]
pub struct Belongings {
    /// The first process, dead or alive. Its session and descendants are members; none started before it.
    pub leader: Identity,
    /// The value of `BATON_MARK` in the environment of members; empty for none.
    pub mark: String,
    /// FIFOs that members have open for writing.
    pub fifos: Vec<PathBuf>,
    /// The read ends of all the FIFOs, opened before the leader ran, when the leader is our child; else empty. With
    /// them the end of a tree is known sooner.
    pub outputs: Vec<Arc<OwnedFd>>,
    /// The control group that members are in, unless they were moved.
    pub group: Option<Group>,
}

impl Belongings {
    /// Whether the kernel tells that somebody lives in its control group.
    fn has_populated_group(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_populated)
    }
}

/// What the sweeper has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeReport {
    /// Nothing of the tree lives. Said once for the requests that were made before.
    Gone(TreeKey),
}

/// The thread that knows trees. Dropping it ends the thread, with whatever it still waited for.
#[derive(Debug)]
pub struct Sweeper {
    requests: Sender<Request>,
    bell: Arc<OwnedFd>,
    family: Arc<Family>,
}

#[derive(Debug)]
enum Request {
    Signal(TreeKey, Belongings, Signal),
    Watch(TreeKey, Belongings, Aim),
    Forget(TreeKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    /// To know when it is gone.
    Await,
    /// To end it.
    Kill,
}

impl Sweeper {
    /// Starts the thread. `report` runs on it and should only pass the word on. `guard` is our parent when that is a
    /// subreaper and was one when we started. Fails without threads or descriptors.
    pub fn start(guard: Option<u32>, report: impl Fn(TreeReport) + Send + 'static) -> io::Result<Sweeper> {
        let family = Arc::new(Family { guard, leaders: Mutex::new(BTreeSet::new()) });
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (requests, inbox) = channel();
        let worker = Worker {
            inbox,
            bell: Arc::clone(&bell),
            family: Arc::clone(&family),
            report: Box::new(report),
            watches: BTreeMap::new(),
            signals: Vec::new(),
            last: None,
        };
        std::thread::Builder::new().name("sweeper".into()).spawn(move || worker.run())?;
        Ok(Sweeper { requests, bell, family })
    }

    /// A child of ours is to lead a tree: it belongs to no other. To be said before it may run.
    pub fn started(&self, pid: u32) {
        self.leaders().insert(pid);
    }

    /// A leader is about to be reaped: its pid may become another's.
    pub fn reaping(&self, pid: u32) {
        self.leaders().remove(&pid);
    }

    fn leaders(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.family.leaders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal to every process of a tree. Those who end meanwhile, or are another user's, are left out.
    pub fn signal(&self, key: TreeKey, belongings: Belongings, signal: Signal) {
        self.ask(Request::Signal(key, belongings, signal));
    }

    /// Reports [`TreeReport::Gone`] once nothing of the tree lives.
    pub fn await_gone(&self, key: TreeKey, belongings: Belongings) {
        self.ask(Request::Watch(key, belongings, Aim::Await));
    }

    /// Sends SIGKILL to every process of a tree, until nothing of it lives; then reports [`TreeReport::Gone`]. One
    /// report answers this and an [`Sweeper::await_gone`] before it. A process that can't be ended (sleeping in the
    /// kernel, or another user's) is waited for.
    pub fn kill(&self, key: TreeKey, belongings: Belongings) {
        self.ask(Request::Watch(key, belongings, Aim::Kill));
    }

    /// Watches a tree no more.
    pub fn forget(&self, key: TreeKey) {
        self.ask(Request::Forget(key));
    }

    fn ask(&self, request: Request) {
        // The thread ends only after this sender is dropped, or by a panic in `report`, which the daemon sees there.
        if self.requests.send(request).is_ok() {
            ring(&self.bell);
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let (closed, _) = channel();
        self.requests = closed;
        ring(&self.bell);
    }
}

/// A full counter rings as well.
fn ring(bell: &OwnedFd) {
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

/// A look of which no part is older helps the next one, see [`procfs::table_after`].
const FRESH: Duration = Duration::from_millis(20);

/// Looks in a row that find nothing while somebody ended unseen each time: processes come and go on any machine, and one
/// of a tree whose every process ends as soon as it has begun the next would have been seen in one of them. As many
/// again, with pauses, where an output is still open for writing: it may be so by a process that is not to be seen.
const UNSURE_LOOKS: u32 = 64;

/// How long to wait after the kernel refused to show processes or give descriptors, in nanoseconds.
const AFTER_TROUBLE: i64 = 100_000_000;

struct Worker {
    inbox: Receiver<Request>,
    bell: Arc<OwnedFd>,
    family: Arc<Family>,
    report: Box<dyn Fn(TreeReport) + Send>,
    watches: BTreeMap<TreeKey, Watch>,
    signals: Vec<(TreeKey, Belongings, Signal)>,
    /// The last look, and when the oldest part of it was read.
    last: Option<(Instant, Table)>,
}

struct Watch {
    belongings: Belongings,
    aim: Aim,
    /// What lived at the last look and hasn't ended since.
    living: Vec<Process>,
    /// Looks in a row that found nothing.
    empty: u32,
    session_known: bool,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Look,
    /// When everything in `living` has ended.
    Wait,
    /// Something lives that could not be followed.
    Retry,
}

impl Worker {
    fn run(mut self) {
        while self.take_requests() {
            self.look();
            self.wait();
        }
    }

    /// `false` when nobody can ask any more.
    fn take_requests(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Request::Signal(key, belongings, signal)) => self.signals.push((key, belongings, signal)),
                Ok(Request::Forget(key)) => drop(self.watches.remove(&key)),
                Ok(Request::Watch(key, belongings, aim)) => {
                    let fresh = || Watch {
                        belongings: belongings.clone(),
                        aim,
                        living: Vec::new(),
                        empty: 0,
                        session_known: false,
                        next: Next::Look,
                    };
                    let watch = self.watches.entry(key).or_insert_with(fresh);
                    watch.aim = watch.aim.max(aim);
                    watch.next = Next::Look;
                    watch.belongings = belongings;
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Reports the trees that are certainly gone without a look at the process table; nobody is left there to signal.
    fn look_shortly(&mut self) {
        let due = self.watches.iter().filter(|(_, watch)| watch.next == Next::Look && watch.living.is_empty());
        let due = due.map(|(key, watch)| (*key, &watch.belongings));
        let sought: Vec<(TreeKey, &Belongings)> =
            self.signals.iter().map(|(key, belongings, _)| (*key, belongings)).chain(due).collect();
        let trees: Vec<&Belongings> = sought.iter().map(|(_, belongings)| *belongings).collect();
        if trees.iter().all(|tree| tree.outputs.is_empty()) {
            return;
        }
        let gone = self.family.are_gone(&trees);
        let gone: BTreeSet<TreeKey> =
            sought.iter().zip(gone).filter(|(_, gone)| *gone).map(|((key, _), _)| *key).collect();
        self.signals.retain(|(key, ..)| !gone.contains(key));
        for key in gone {
            if self.watches.remove(&key).is_some() {
                (self.report)(TreeReport::Gone(key));
            }
        }
    }

    /// One look at the process table for everything that needs one.
    fn look(&mut self) {
        self.look_shortly();
        let signals = std::mem::take(&mut self.signals);
        // What is known of a watched tree helps to find it for a signal, too.
        let session_known = |key| self.watches.get(key).is_some_and(|watch| watch.session_known);
        let known: Vec<bool> = signals.iter().map(|(key, ..)| session_known(key)).collect();
        let due = self.watches.iter_mut().filter(|(_, watch)| watch.next == Next::Look);
        let mut due: Vec<(TreeKey, &mut Watch)> = due.map(|(key, watch)| (*key, watch)).collect();
        if signals.is_empty() && due.is_empty() {
            return;
        }
        let sought: Vec<(&Belongings, bool)> =
            (signals.iter().zip(known).map(|((_, belongings, _), known)| (belongings, known)))
                .chain(due.iter().map(|(_, watch)| (&watch.belongings, watch.session_known)))
                .collect();
        let Ok((mut found, whole)) = find(&sought, &mut self.last) else {
            // The leader at least is known without looking.
            signals.iter().for_each(|(_, belongings, signal)| signal_leader(&belongings.leader, *signal));
            due.iter_mut().for_each(|(_, watch)| watch.next = Next::Retry);
            return;
        };
        let of_watches = found.split_off(signals.len());
        for ((_, belongings, signal), found) in signals.iter().zip(found) {
            signal_all(&belongings.leader, &found, *signal);
        }
        let mut gone = Vec::new();
        let spared: Vec<u32> = self.family.guard.into_iter().chain([std::process::id()]).collect();
        for ((key, watch), found) in due.iter_mut().zip(of_watches) {
            if watch.aim == Aim::Kill
                && let Some(group) = &watch.belongings.group
            {
                // Where the kernel has no such order, each is ended by itself.
                let _ = group.kill(&spared);
            }
            if watch.take(&found, whole) == Outcome::Gone {
                gone.push(*key);
            }
        }
        for key in gone {
            self.watches.remove(&key);
            (self.report)(TreeReport::Gone(key));
        }
    }

    /// Until a request comes, or everything known of some tree has ended.
    fn wait(&mut self) {
        let timeout = if self.watches.values().any(|watch| watch.next == Next::Look) {
            Some(Timespec { tv_sec: 0, tv_nsec: 0 })
        } else if self.watches.values().any(|watch| watch.next == Next::Retry) {
            Some(Timespec { tv_sec: 0, tv_nsec: AFTER_TROUBLE })
        } else {
            None
        };
        let followed = self.watches.values().flat_map(|watch| &watch.living);
        let bell = [self.bell.as_fd()].into_iter();
        let mut fds: Vec<PollFd<'_>> =
            bell.chain(followed.map(AsFd::as_fd)).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // An interruption is a look too many.
        let _ = poll(&mut fds, timeout.as_ref());
        let ended: Vec<bool> = fds.iter().skip(1).map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut ended = ended.into_iter();
        for watch in self.watches.values_mut() {
            watch.living.retain(|_| ended.next() != Some(true));
            let trouble_is_over = watch.next == Next::Retry;
            if trouble_is_over || watch.living.is_empty() {
                watch.next = Next::Look;
            }
        }
        // Empty it; what rang it is in the inbox.
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Gone,
    NotYet,
}

impl Watch {
    /// Whether an output of the tree, if there are any, is open for writing somewhere.
    fn is_heard(&self) -> bool {
        !self.belongings.outputs.is_empty() && !shortcut::is_mute(&self.belongings)
    }

    /// Draws the conclusion from a look, which may not have been at everybody.
    fn take(&mut self, found: &Found, whole: bool) -> Outcome {
        self.session_known = found.session_known;
        if found.living.is_empty() && self.living.is_empty() {
            if found.hidden {
                (self.empty, self.next) = (0, Next::Retry);
                return Outcome::NotYet;
            }
            self.empty += 1;
            let enough = match whole {
                // Somebody has an output open for writing, and was missed so far.
                _ if self.is_heard() => 2 * UNSURE_LOOKS,
                true => 2,
                false => UNSURE_LOOKS,
            };
            if self.empty > UNSURE_LOOKS {
                self.next = Next::Retry;
            }
            return if self.empty >= enough { Outcome::Gone } else { Outcome::NotYet };
        }
        self.empty = 0;
        self.next = Next::Wait;
        let mut fresh = Vec::new();
        for (pid, start_time) in &found.living {
            let known =
                |process: &Process| (process.identity().pid, process.identity().start_time) == (*pid, *start_time);
            if self.living.iter().any(known) {
                continue;
            }
            match Process::identify(*pid) {
                Ok(Some(process)) if process.identity().start_time == *start_time => fresh.push(process),
                // It ended meanwhile.
                Ok(_) => {}
                Err(_) => self.next = Next::Retry,
            }
        }
        if self.aim == Aim::Kill {
            // Whoever may not be signalled is waited for.
            for process in self.living.iter().chain(&fresh) {
                let _ = process.signal(Signal::KILL);
            }
            // One of them may have started another after the look and before the signal.
            if !fresh.is_empty() && self.next == Next::Wait {
                self.next = Next::Look;
            }
        }
        self.living.append(&mut fresh);
        if self.living.is_empty() && self.next == Next::Wait {
            self.next = Next::Look;
        }
        Outcome::NotYet
    }
}

/// One look at the process table for all of these; the second of each pair is [`Target::session_known`]. Several may
/// ask for the same tree. Also tells whether nobody ended unseen.
fn find(sought: &[(&Belongings, bool)], last: &mut Option<(Instant, Table)>) -> io::Result<(Vec<Found>, bool)> {
    let mut trees: Vec<(&Belongings, bool)> = Vec::new();
    let mut positions = Vec::with_capacity(sought.len());
    let mut by_leader = HashMap::new();
    for &(belongings, session_known) in sought {
        let leader = (belongings.leader.pid, belongings.leader.start_time);
        let position = *by_leader.entry(leader).or_insert_with(|| {
            trees.push((belongings, false));
            trees.len() - 1
        });
        trees[position].1 |= session_known;
        positions.push(position);
    }
    let (read_at, before) =
        last.take().filter(|(at, _)| at.elapsed() < FRESH).unwrap_or_else(|| (Instant::now(), Table::new()));
    // No member is older than its leader, so what is older than all of them need not be looked at twice.
    let earliest = trees.iter().map(|(tree, _)| tree.leader.start_time).min().unwrap_or(0);
    let (table, ended) = procfs::table_after(&before, |stat| stat.start_time < earliest)?;
    let marks = trees.iter().enumerate().map(|(index, (tree, _))| (tree.mark.as_str(), index));
    let fifos = trees.iter().enumerate().flat_map(|(index, (tree, _))| {
        // A FIFO that is gone is nobody's any more.
        let there = tree.fifos.iter().filter_map(|path| std::fs::metadata(path).ok());
        there.map(move |metadata| ((metadata.dev(), metadata.ino()), index))
    });
    let mut signs = ProcSigns::new(marks, fifos);
    let targets: Vec<Target<'_>> =
        trees.iter().map(|&(tree, session_known)| Target { leader: &tree.leader, session_known }).collect();
    let us = std::process::id();
    let (mut found, mut whole) = members::find(&table, &before, &targets, us, &mut signs);
    for ((tree, _), found) in trees.iter().zip(&mut found).filter(|((tree, _), _)| tree.has_populated_group()) {
        let group = tree.group.as_ref().map(Group::members).unwrap_or_default();
        whole &= members::take_in(found, &group, &members::ourselves(&table, us))?;
        found.hidden = found.living.is_empty() && tree.has_populated_group() && !group.contains(&us);
    }
    *last = Some((read_at, table));
    Ok((positions.into_iter().map(|position| found[position].clone()).collect(), whole && !ended))
}

fn signal_all(leader: &Identity, found: &Found, signal: Signal) {
    if found.living.is_empty() {
        signal_leader(leader, signal);
    }
    for (pid, start_time) in &found.living {
        // Whoever ended meanwhile, or may not be signalled, is left out.
        if let Ok(Some(process)) = Process::identify(*pid)
            && process.identity().start_time == *start_time
        {
            let _ = process.signal(signal);
        }
    }
}

fn signal_leader(leader: &Identity, signal: Signal) {
    if let Ok(Some(process)) = Process::find(leader) {
        let _ = process.signal(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, OFlags, mknodat, open};

    #[test]
    fn an_output_that_is_open_for_writing_is_not_taken_for_one_of_a_tree_that_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("a.out");
        mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let reader = open(&fifo, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).expect("a reader");
        let writer = open(&fifo, OFlags::WRONLY, Mode::empty()).expect("a writer");
        let watch = || Watch {
            belongings: Belongings {
                leader: Identity { pid: 1, start_time: 1, boot_id: "boot".into() },
                mark: String::new(),
                fifos: vec![fifo.clone()],
                outputs: vec![Arc::new(reader.try_clone().expect("a copy"))],
                group: None,
            },
            aim: Aim::Kill,
            living: Vec::new(),
            empty: 0,
            session_known: false,
            next: Next::Look,
        };
        let looks = |whole| {
            let mut watch = watch();
            (1_u32..).find(|_| watch.take(&Found::default(), whole) == Outcome::Gone)
        };
        assert_eq!([looks(true), looks(false)], [Some(2 * UNSURE_LOOKS); 2], "somebody writes");
        drop(writer);
        assert_eq!([looks(true), looks(false)], [Some(2), Some(UNSURE_LOOKS)], "nobody does");
    }
}
