//! The lives of slots, as far as the kernel knows them: processes, FIFOs and what watches them.
//!
//! A life is here from the moment a process is to be made until its output is in its files and the guard has dropped
//! its descriptors: longer than it is the current one of its slot.

use super::channel::ends;
use super::sockets::SocketKey;
use super::storage::{LifeRecord, Routes, fifo_path};
use crate::home::Home;
use baton_core::spec::GroupLimits;
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Exit, Identity, Signal, SpawnError};
use baton_os::cgroup::Group;
use baton_os::logs::{Channel, StreamKey};
use baton_os::process::Process;
use baton_os::spawn::{Prepared, Report};
use baton_os::tree::{Belongings, TreeKey};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Names a life.
pub(super) type Key = (InstanceId, Incarnation);

/// Both streams.
pub(super) const CHANNELS: [Channel; 2] = [Channel::Out, Channel::Err];

/// The extension of the FIFO of a standard input.
pub(super) const INPUT: &str = "in";

/// How far the process of a life is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It is being made.
    Making,
    /// It waits to be told to run.
    Waiting(Prepared),
    /// It was told to run, or to leave.
    Told(Process),
    /// There is none, or none any more.
    Gone,
}

/// Whose child a leader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// Ours.
    Us,
    /// The guard's, or init's: a predecessor of ours had started it.
    Other,
}

/// Where a log ended when a life began.
#[derive(Clone, Debug)]
pub(super) struct Began {
    /// The log.
    pub(super) path: PathBuf,
    /// Device and inode of its file at that time.
    pub(super) file: (u64, u64),
    /// How large it was (bytes).
    pub(super) size: u64,
}

impl Began {
    /// Here and now; `None` when there is no such file yet, so that whatever comes is new.
    pub(super) fn now(path: &Path) -> Option<Began> {
        let data = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Began { path: path.to_owned(), file: (data.dev(), data.ino()), size: data.len() })
    }
}

/// One life.
#[derive(Debug)]
pub(super) struct Life {
    /// The mark in the environment of its processes.
    pub(super) mark: String,
    /// Where its output goes.
    pub(super) routes: Routes,
    /// The leader, once it exists.
    pub(super) identity: Option<Identity>,
    /// Whether the leader was, or is about to be, told to run its program.
    pub(super) told_to_run: bool,
    /// How far it is.
    pub(super) stage: Stage,
    /// Whose child the leader is.
    pub(super) parent: Parent,
    /// Tells whether the program runs; until it has told.
    pub(super) report: Option<Report>,
    /// Why the program does not run; told when the process has ended.
    pub(super) failure: Option<SpawnError>,
    /// Whether the leader's end was told to the core.
    pub(super) ended: bool,
    /// Whether its zombie was let go.
    pub(super) buried: bool,
    /// Whether the log thread collects its output.
    pub(super) collected: bool,
    /// Read ends of its output, of a leader that we started ourselves: they tell when nobody can write any more.
    pub(super) outputs: Vec<Arc<OwnedFd>>,
    /// What it tells by that it is ready, until somebody listens there.
    pub(super) line: Option<OwnedFd>,
    /// Lines that were listened for and were written before its program was known to run.
    pub(super) heard: Vec<String>,
    /// Whether its program is known to run.
    pub(super) runs: bool,
    /// Where its logs ended when it began; unknown of a life that a predecessor left.
    pub(super) began: Vec<Began>,
    /// Whether it has a channel.
    pub(super) has_channel: bool,
    /// Its control group, where there are any.
    pub(super) group: Option<Group>,
    /// What that was told to keep; unknown of a life that a predecessor left.
    pub(super) limits: Option<GroupLimits>,
    /// Why it runs without limits that its definition has by now.
    pub(super) unlimited: Option<String>,
    /// The sockets that it was given, until it is over.
    pub(super) sockets: Vec<SocketKey>,
    /// A thread looks whether it is ready for as long as this is kept.
    pub(super) looking: Option<std::sync::mpsc::Sender<()>>,
    /// A probe of its health is under way for as long as this is kept.
    pub(super) examining: Option<OwnedFd>,
    /// Tasks that wait for its descriptors.
    watches: Vec<JoinHandle<()>>,
}

impl Life {
    /// A life whose process is to be made.
    pub(super) fn new(mark: String, routes: Routes) -> Life {
        Life {
            mark,
            routes,
            identity: None,
            told_to_run: false,
            stage: Stage::Making,
            parent: Parent::Us,
            report: None,
            failure: None,
            ended: false,
            buried: false,
            collected: false,
            outputs: Vec::new(),
            line: None,
            heard: Vec::new(),
            runs: false,
            began: Vec::new(),
            has_channel: false,
            group: None,
            limits: None,
            unlimited: None,
            sockets: Vec::new(),
            looking: None,
            examining: None,
            watches: Vec::new(),
        }
    }

    /// A life that a predecessor left.
    pub(super) fn left(record: LifeRecord) -> Life {
        let mut life = Life::new(record.mark, record.routes);
        life.identity = record.identity;
        life.told_to_run = record.told_to_run;
        life.group = record.group.map(Group::at);
        life.stage = Stage::Gone;
        life.parent = Parent::Other;
        life
    }

    /// What a successor must know.
    pub(super) fn record(&self, incarnation: Incarnation) -> LifeRecord {
        LifeRecord {
            incarnation,
            mark: self.mark.clone(),
            identity: self.identity.clone(),
            told_to_run: self.told_to_run,
            routes: self.routes.clone(),
            group: self.group.as_ref().map(|group| group.folder().to_owned()),
        }
    }

    /// The process, once it was told something.
    pub(super) fn process(&self) -> Option<&Process> {
        match &self.stage {
            Stage::Told(process) => Some(process),
            Stage::Waiting(prepared) => Some(&prepared.process),
            Stage::Making | Stage::Gone => None,
        }
    }

    /// How its leader has ended, with what the kernel tells of a SIGKILL that came from it.
    pub(super) fn explained(&self, exit: Exit) -> Exit {
        let by_kernel = || self.group.as_ref()?.out_of_memory();
        match exit {
            Exit::Signal(Signal::KILL) => by_kernel().map_or(exit, |found| Exit::OutOfMemory(found.limit)),
            Exit::Signal(_) | Exit::Code(_) | Exit::OutOfMemory(_) | Exit::Unknown => exit,
        }
    }

    /// Keeps a task that waits for a descriptor of this life; it ends with it.
    pub(super) fn watch(&mut self, task: JoinHandle<()>) {
        self.watches.push(task);
    }

    /// By what its processes are known; `None` before there is one.
    pub(super) fn belongings(&self, home: &Home, incarnation: Incarnation) -> Option<Belongings> {
        Some(Belongings {
            leader: self.identity.clone()?,
            mark: self.mark.clone(),
            fifos: fifos(home, incarnation).into(),
            outputs: self.outputs.clone(),
            group: self.group.clone(),
        })
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        for task in &self.watches {
            task.abort();
        }
    }
}

/// All lives.
#[derive(Debug, Default)]
pub(super) struct Lives(BTreeMap<Key, Life>);

impl Lives {
    /// Takes one in.
    pub(super) fn insert(&mut self, key: Key, life: Life) {
        self.0.insert(key, life);
    }

    /// One of them.
    pub(super) fn get(&self, key: Key) -> Option<&Life> {
        self.0.get(&key)
    }

    /// One of them.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Life> {
        self.0.get_mut(&key)
    }

    /// Lets one go.
    pub(super) fn remove(&mut self, key: Key) -> Option<Life> {
        self.0.remove(&key)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of all.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.0.keys().copied()
    }

    /// Those of one slot.
    pub(super) fn of(&self, id: InstanceId) -> impl Iterator<Item = (Incarnation, &Life)> {
        self.0
            .range((id, Incarnation(0))..=(id, Incarnation(u64::MAX)))
            .map(|((_, incarnation), life)| (*incarnation, life))
    }

    /// What a successor must know of those of one slot.
    pub(super) fn records(&self, id: InstanceId) -> Vec<LifeRecord> {
        self.of(id).map(|(incarnation, life)| life.record(incarnation)).collect()
    }

    /// The one with this leader.
    pub(super) fn with_leader(&self, pid: u32, start_time: u64) -> Option<Key> {
        let is_it = |life: &Life| life.identity.as_ref().is_some_and(|i| (i.pid, i.start_time) == (pid, start_time));
        self.0.iter().find(|(_, life)| is_it(life)).map(|(key, _)| *key)
    }
}

/// The FIFOs of a life.
pub(super) fn fifos(home: &Home, incarnation: Incarnation) -> [PathBuf; 2] {
    CHANNELS.map(|channel| fifo_path(home, incarnation, channel))
}

/// The FIFO of a life's standard input.
pub(super) fn input_path(home: &Home, incarnation: Incarnation) -> PathBuf {
    home.run().join(format!("{incarnation}.{INPUT}"))
}

/// The name of one stream of a life.
pub(super) fn stream_key((id, incarnation): Key, channel: Channel) -> StreamKey {
    StreamKey { id, incarnation, channel }
}

/// The names under which the guard may hold something of a life: its streams, what it tells by that it is ready, and its
/// channel.
pub(super) fn guard_names(key: Key) -> Vec<String> {
    let others = [line_name(key), ends::name(key)];
    CHANNELS.iter().map(|channel| stream_key(key, *channel).guard_name()).chain(others).collect()
}

/// The guard's name for what a life tells by that it is ready.
pub(super) fn line_name((_, incarnation): Key) -> String {
    format!("ready:{incarnation}")
}

/// The sweeper's name for a life.
pub(super) fn tree_key((id, incarnation): Key) -> TreeKey {
    TreeKey { id, incarnation }
}
