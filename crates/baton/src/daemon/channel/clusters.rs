//! The clusters: for each app in cluster mode a primary, its sockets and the connections on their way to workers.
//!
//! Decides nothing: `baton_node::cluster::Primary` does. What a successor must know is in `run/clusters`, written before
//! the deeds that follow from it; the guard holds the sockets.

use super::socket::{self, Accepted, How};
use crate::daemon::journal;
use baton_core::units::{Instant, Millis};
use baton_node::cluster::{Balance, Connection, Handle, Output, Patience, Primary, WorkerId};
use baton_os::clock;
use baton_os::files::write_quick;
use baton_os::guard::link::GuardLink;
use rustix::event::epoll;
use rustix::net::{Shutdown, shutdown};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// What begins the guard's name of a socket.
pub(in crate::daemon) const PREFIX: &str = "sock:";
/// Numbers of messages that one daemon may use before those of its successor begin.
const NUMBERS: u32 = 32;
/// Edge-triggered: while no worker has room nobody is woken for what waits.
const COMING: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ET);
/// How long a program may take to ask for the rest of its sockets after the first.
const SHORTLY: Millis = Millis(1_000);
/// How long a socket waits for a program that may be slow to open it again.
const LONG: Millis = Millis(30_000);
/// Pause before the file is written again that could not be.
const UNSAVED: Millis = Millis(1_000);

/// What a worker is, for the loop to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Role {
    /// Its app.
    pub(in crate::daemon) app: String,
    /// The number of its instance.
    pub(in crate::daemon) slot: u32,
    /// How connections reach the workers of the app.
    pub(in crate::daemon) balance: Balance,
    /// Whether it has the definition of the other worker of its slot, which it is to replace.
    pub(in crate::daemon) same: bool,
}

/// A message for a worker.
pub(super) struct Letter {
    pub(super) to: WorkerId,
    pub(super) message: Value,
    pub(super) handle: Option<Arc<OwnedFd>>,
}

/// What comes of something.
#[derive(Default)]
pub(super) struct Upshot {
    /// To be sent, in order.
    pub(super) letters: Vec<Letter>,
    /// These have begun to listen.
    pub(super) listening: Vec<WorkerId>,
    /// The guard's names of sockets that are closed.
    pub(super) closed: Vec<String>,
    /// Whether one of them keeps its port until the guard has closed it.
    pub(super) waits: bool,
    /// These wait for connections that nobody can give them.
    pub(super) deaf: BTreeSet<WorkerId>,
}

/// What is written down.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// Grows with each daemon.
    era: u64,
    /// Number of the next socket.
    next: u64,
    apps: BTreeMap<String, KeptApp>,
}

#[derive(Serialize, Deserialize)]
struct KeptApp {
    primary: Primary,
    /// The number of each socket.
    sockets: BTreeMap<String, u64>,
}

struct Socket {
    number: u64,
    fd: Arc<OwnedFd>,
    /// Whether a worker has room.
    open: bool,
    /// Whether somebody may be waiting.
    pending: bool,
}

struct Cluster {
    primary: Primary,
    sockets: BTreeMap<String, Socket>,
    /// The socket at which a connection was taken last.
    last: String,
}

/// All of them.
pub(super) struct Clusters {
    file: PathBuf,
    guard: Option<GuardLink>,
    epoll: OwnedFd,
    apps: BTreeMap<String, Cluster>,
    connections: BTreeMap<Connection, Arc<OwnedFd>>,
    /// The slots of each app that are up.
    up: BTreeMap<String, BTreeSet<u32>>,
    /// Apps that are to be tried again after a pause.
    pub(super) again: BTreeSet<String>,
    /// When sockets are looked at that nobody seems to want.
    tidying: BTreeMap<(String, Patience), Instant>,
    /// When the file is written again that could not be.
    unsaved: Option<Instant>,
    /// Whether all workers that a predecessor left have joined.
    settled: bool,
    /// Whether the predecessor has left no file, or one that is behind its deeds.
    lost: bool,
    /// Workers of the predecessor of which its file says nothing.
    unknown: BTreeSet<WorkerId>,
    /// Workers of the predecessor whose sockets are gone.
    deaf: BTreeSet<WorkerId>,
    era: u64,
    next_socket: u64,
    next_connection: u64,
}

impl Clusters {
    /// Takes up what a predecessor left: its file, and the sockets that the guard gave back. Those that nobody knows
    /// are let go.
    pub(super) fn take_up(
        file: PathBuf,
        guard: Option<GuardLink>,
        epoll: OwnedFd,
        mut held: BTreeMap<String, OwnedFd>,
    ) -> Clusters {
        let kept: Option<Kept> = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let lost = kept.is_none();
        let kept = kept.unwrap_or_default();
        let mut clusters = Clusters {
            file,
            guard,
            epoll,
            apps: BTreeMap::new(),
            connections: BTreeMap::new(),
            up: BTreeMap::new(),
            again: BTreeSet::new(),
            tidying: BTreeMap::new(),
            unsaved: None,
            settled: false,
            lost,
            unknown: BTreeSet::new(),
            deaf: BTreeSet::new(),
            era: kept.era + 1,
            next_socket: kept.next,
            next_connection: 0,
        };
        let mut closed = Vec::new();
        for (app, KeptApp { primary, sockets: numbers }) in kept.apps {
            let mut sockets = BTreeMap::new();
            for (key, number) in numbers {
                let Some(fd) = held.remove(&name(number)) else { continue };
                match clusters.watch(number, &fd, primary.deals(&key)) {
                    Ok(()) => drop(sockets.insert(key, Socket::over(number, fd))),
                    Err(error) => {
                        journal::error(format_args!("a socket of {app} can't be followed: {error}"));
                        closed.push(name(number));
                    }
                }
            }
            let (primary, deaf) = primary.resume(clusters.era << NUMBERS, |key| sockets.contains_key(key));
            clusters.deaf.extend(deaf);
            clusters.apps.insert(app, Cluster { primary, sockets, last: String::new() });
        }
        for number in held.keys().filter_map(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok()) {
            // The file knows nothing of it yet.
            clusters.lost |= number >= clusters.next_socket;
            clusters.next_socket = clusters.next_socket.max(number + 1);
        }
        if let Some(guard) = &clusters.guard {
            closed.extend(held.into_keys());
            guard.release(closed, Box::new(|| ()));
        }
        clusters
    }

    /// All workers that live have joined: those that have not are gone.
    pub(super) fn settle(&mut self, lives: &BTreeSet<WorkerId>) -> Upshot {
        let mut upshot = Upshot::default();
        self.settled = true;
        let unknown = std::mem::take(&mut self.unknown);
        // Else they have told nobody anything yet.
        upshot.deaf.extend(unknown.into_iter().filter(|_| self.lost));
        upshot.deaf.extend(std::mem::take(&mut self.deaf).intersection(lives));
        for app in self.apps.keys().cloned().collect::<Vec<_>>() {
            let Some(cluster) = self.apps.get_mut(&app) else { continue };
            let gone: Vec<WorkerId> = cluster.primary.workers().filter(|worker| !lives.contains(worker)).collect();
            let mut outputs: Vec<Output> = gone.into_iter().flat_map(|worker| cluster.primary.left(worker)).collect();
            outputs.extend(cluster.primary.retry());
            self.carry_out(&app, outputs, &mut upshot);
        }
        self.save();
        upshot
    }

    /// A worker's channel is open.
    pub(super) fn join(&mut self, worker: WorkerId, role: &Role) -> Upshot {
        let cluster = self.apps.entry(role.app.clone()).or_insert_with(|| Cluster {
            primary: Primary::new(role.balance).resume(self.era << NUMBERS, |_| true).0,
            sockets: BTreeMap::new(),
            last: String::new(),
        });
        if !self.settled && !cluster.primary.has(worker) {
            self.unknown.insert(worker);
        }
        let mut outputs = cluster.primary.balance_by(role.balance);
        outputs.extend(cluster.primary.join(worker, role.slot));
        if role.same {
            outputs.extend(cluster.primary.same(worker));
        }
        // The first of an app comes after its slots were told.
        outputs.extend(self.up.get(&role.app).into_iter().flat_map(|up| cluster.primary.only(up)));
        self.done(&role.app, outputs)
    }

    /// A worker's channel is closed.
    pub(super) fn left(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.left(worker))
    }

    /// A worker has sent a message of the cluster.
    pub(super) fn message(&mut self, worker: WorkerId, message: &serde_json::Map<String, Value>) -> Upshot {
        self.with(worker, |primary| primary.message(worker, message))
    }

    /// A descriptor has reached a worker, or has not.
    pub(super) fn received(&mut self, worker: WorkerId, reached: bool) -> Upshot {
        self.with(worker, |primary| primary.received(worker, reached))
    }

    /// A worker says that it is ready.
    pub(super) fn ready(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.ready(worker))
    }

    /// The runtime of a worker marks its own messages.
    pub(super) fn mark(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.mark(worker))
    }

    /// Whether it was seen to.
    pub(super) fn is_marked(&self, worker: WorkerId) -> bool {
        self.apps.values().any(|cluster| cluster.primary.is_marked(worker))
    }

    /// A worker is about to be ended.
    pub(super) fn leaving(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.leaving(worker))
    }

    /// A worker is to finish what it has.
    pub(super) fn drain(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.drain(worker))
    }

    /// What a worker was sent is in its channel.
    pub(super) fn told(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.told(worker))
    }

    /// These slots of these apps are up, and nothing else.
    pub(super) fn only(&mut self, up: &BTreeMap<String, BTreeSet<u32>>) -> Upshot {
        let mut upshot = Upshot::default();
        self.up = up.clone();
        for app in self.apps.keys().cloned().collect::<Vec<_>>() {
            let Some(cluster) = self.apps.get_mut(&app) else { continue };
            let outputs = match up.get(&app) {
                Some(slots) => cluster.primary.only(slots),
                None => cluster.primary.close(),
            };
            self.carry_out(&app, outputs, &mut upshot);
            if !up.contains_key(&app) {
                self.drop_empty(&app);
            }
        }
        upshot
    }

    /// The pause of what is to be tried again is over.
    pub(super) fn retry(&mut self) -> Upshot {
        let mut upshot = Upshot::default();
        for app in std::mem::take(&mut self.again) {
            if let Some(cluster) = self.apps.get_mut(&app) {
                let outputs = cluster.primary.retry();
                self.carry_out(&app, outputs, &mut upshot);
            }
        }
        upshot
    }

    /// When something is to be done that nothing wakes us for.
    pub(super) fn due(&self) -> Option<Instant> {
        self.tidying.values().copied().chain(self.unsaved).min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) -> Upshot {
        let mut upshot = Upshot::default();
        if self.unsaved.is_some_and(|due| due <= now) {
            self.save();
        }
        let due: Vec<(String, Patience)> =
            self.tidying.iter().filter(|(_, due)| **due <= now).map(|(what, _)| what.clone()).collect();
        for (app, patience) in due {
            if let Some(cluster) = self.apps.get_mut(&app) {
                let outputs = cluster.primary.tidy(patience);
                self.carry_out(&app, outputs, &mut upshot);
            }
            self.tidying.remove(&(app, patience));
        }
        upshot
    }

    /// Somebody may wait at the socket of this number.
    pub(super) fn knocks(&mut self, number: u64) -> Upshot {
        let found = self.apps.iter_mut().find_map(|(app, cluster)| {
            let socket = cluster.sockets.values_mut().find(|socket| socket.number == number)?;
            socket.pending = true;
            Some(app.clone())
        });
        found.map(|app| self.done(&app, Vec::new())).unwrap_or_default()
    }

    /// Copies of all sockets, with the guard's names.
    pub(super) fn descriptors(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let all = self.apps.values().flat_map(|cluster| cluster.sockets.values());
        all.map(|socket| Ok((name(socket.number), socket.fd.as_fd().try_clone_to_owned()?))).collect()
    }

    fn with(&mut self, worker: WorkerId, act: impl FnOnce(&mut Primary) -> Vec<Output>) -> Upshot {
        let Some((app, cluster)) = self.apps.iter_mut().find(|(_, cluster)| cluster.primary.has(worker)) else {
            return Upshot::default();
        };
        let (app, outputs) = (app.clone(), act(&mut cluster.primary));
        let upshot = self.done(&app, outputs);
        self.drop_empty(&app);
        upshot
    }

    fn drop_empty(&mut self, app: &str) {
        if self.apps.get(app).is_some_and(|cluster| cluster.primary.is_empty()) {
            self.apps.remove(app);
            self.tidying.retain(|(name, _), _| name != app);
            self.save();
        }
    }

    fn done(&mut self, app: &str, outputs: Vec<Output>) -> Upshot {
        let mut upshot = Upshot::default();
        self.carry_out(app, outputs, &mut upshot);
        upshot
    }

    fn carry_out(&mut self, app: &str, outputs: Vec<Output>, upshot: &mut Upshot) {
        let mut queue = VecDeque::new();
        self.take_in(outputs, &mut queue);
        loop {
            while let Some(output) = queue.pop_front() {
                let more = self.carry_out_one(app, output, upshot);
                self.take_in(more, &mut queue);
            }
            match self.accept(app) {
                Some(more) => self.take_in(more, &mut queue),
                None => return,
            }
        }
    }

    /// What has changed is written down before anything is done about it.
    fn take_in(&mut self, outputs: Vec<Output>, queue: &mut VecDeque<Output>) {
        if outputs.contains(&Output::Changed) {
            self.save();
        }
        queue.extend(outputs);
    }

    fn carry_out_one(&mut self, app: &str, output: Output, upshot: &mut Upshot) -> Vec<Output> {
        let Some(cluster) = self.apps.get_mut(app) else { return Vec::new() };
        match output {
            Output::Bind { key, query, reuseport, listen } => {
                let number = self.next_socket;
                self.next_socket += 1;
                let opened = socket::open(&query, How { reuseport, listen }).and_then(|(fd, bound)| {
                    self.hold(number, &fd, listen).map_err(|error| {
                        journal::error(format_args!("a socket of {app} can't be held: {error}"));
                        -error.raw_os_error().unwrap_or(rustix::io::Errno::NOMEM.raw_os_error())
                    })?;
                    Ok((fd, bound))
                });
                let Some(cluster) = self.apps.get_mut(app) else { return Vec::new() };
                let result = opened.map(|(fd, bound)| {
                    cluster.sockets.insert(key.clone(), Socket::over(number, fd));
                    bound
                });
                return cluster.primary.bound(&key, result);
            }
            Output::Send { worker, message, handle } => {
                let handle = match handle {
                    None => None,
                    Some(Handle::Socket(key)) => cluster.sockets.get(&key).map(|socket| Arc::clone(&socket.fd)),
                    Some(Handle::Connection(connection)) => self.connections.get(&connection).cloned(),
                };
                upshot.letters.push(Letter { to: worker, message, handle });
            }
            Output::Accept { key, on } => {
                if let Some(socket) = cluster.sockets.get_mut(&key) {
                    socket.open = on;
                }
            }
            Output::Close { key } => {
                if let Some(socket) = cluster.sockets.remove(&key) {
                    // Its open file lives on in the guard and in workers, and its events with it.
                    let _ = epoll::delete(&self.epoll, &*socket.fd);
                    socket::remove_path(&socket.fd);
                    // Frees the address at once. What can't be shut down has it until the last copy is closed.
                    upshot.waits |= shutdown(&*socket.fd, Shutdown::Both).is_err();
                    upshot.closed.push(name(socket.number));
                }
            }
            Output::Done(connection) => drop(self.connections.remove(&connection)),
            Output::Retry => drop(self.again.insert(app.to_owned())),
            Output::Tidy(patience) => {
                let pause = match patience {
                    Patience::Short => SHORTLY,
                    Patience::Long => LONG,
                };
                self.tidying.insert((app.to_owned(), patience), clock::now().instant + pause);
            }
            Output::Listening { worker, .. } => upshot.listening.push(worker),
            Output::Changed => {}
        }
        Vec::new()
    }

    /// Takes one connection for which a worker has room, at each socket in turn.
    fn accept(&mut self, app: &str) -> Option<Vec<Output>> {
        let cluster = self.apps.get_mut(app)?;
        loop {
            let last = cluster.last.as_str();
            let after = cluster.sockets.range::<str, _>((Excluded(last), Unbounded));
            let mut from_it = after.chain(cluster.sockets.range::<str, _>((Unbounded, Included(last))));
            let key = from_it.find(|(_, socket)| socket.open && socket.pending)?.0.clone();
            let socket = cluster.sockets.get_mut(&key)?;
            match socket::accept(&socket.fd) {
                Accepted::One(fd) => {
                    let connection = Connection(self.next_connection);
                    self.next_connection += 1;
                    self.connections.insert(connection, Arc::new(fd));
                    let outputs = cluster.primary.connection(&key, connection);
                    cluster.last = key;
                    return Some(outputs);
                }
                Accepted::None => socket.pending = false,
                Accepted::Later => {
                    self.again.insert(app.to_owned());
                    return None;
                }
            }
        }
    }

    fn hold(&self, number: u64, fd: &OwnedFd, deals: bool) -> io::Result<()> {
        self.watch(number, fd, deals)?;
        let Some(guard) = &self.guard else { return Ok(()) };
        let held = fd.try_clone().and_then(|copy| guard.hold(vec![(name(number), copy)]));
        if held.is_err() {
            // The guard may have a copy all the same.
            let _ = epoll::delete(&self.epoll, fd);
            guard.release(vec![name(number)], Box::new(|| ()));
        }
        held
    }

    /// Has the kernel tell of connections, unless workers take them themselves.
    fn watch(&self, number: u64, fd: &OwnedFd, deals: bool) -> io::Result<()> {
        if !deals {
            return Ok(());
        }
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token(number)), COMING)?)
    }

    fn save(&mut self) {
        let app = |(app, cluster): (&String, &Cluster)| {
            let sockets = cluster.sockets.iter().map(|(key, socket)| (key.clone(), socket.number)).collect();
            (app.clone(), KeptApp { primary: cluster.primary.clone(), sockets })
        };
        let kept = Kept { era: self.era, next: self.next_socket, apps: self.apps.iter().map(app).collect() };
        let written = serde_json::to_vec(&kept).map_err(io::Error::from);
        match written.and_then(|bytes| write_quick(&self.file, &bytes, 0o600)) {
            Ok(()) => self.unsaved = None,
            Err(error) => {
                if self.unsaved.is_none() {
                    journal::error(format_args!("could not write {}: {error}", self.file.display()));
                }
                self.unsaved = Some(clock::now().instant + UNSAVED);
            }
        }
    }
}

impl Socket {
    /// Somebody may be waiting already.
    fn over(number: u64, fd: OwnedFd) -> Socket {
        Socket { number, fd: Arc::new(fd), open: false, pending: true }
    }
}

/// The guard's name for a socket.
fn name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// The token of a socket; those of channels are even.
pub(super) fn token(number: u64) -> u64 {
    number << 1 | 1
}

#[cfg(test)]
mod tests;
