//! The clusters: for each app in cluster mode a primary, its sockets and the connections on their way to workers.
//!
//! Decides nothing: `baton_node::cluster::Primary` does. What a successor must know is in `run/clusters`, written before
//! the deeds that follow from it; the guard holds the sockets.

use super::socket::{self, Accepted, How};
use crate::daemon::journal;
use baton_node::cluster::{Balance, Connection, Handle, Output, Primary, WorkerId};
use baton_os::files::write_quick;
use baton_os::guard::link::GuardLink;
use rustix::event::epoll;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// What begins the guard's name of a socket.
pub(in crate::daemon) const PREFIX: &str = "sock:";
/// Numbers of messages that one daemon may use before those of its successor begin.
const NUMBERS: u32 = 32;
/// Edge-triggered: while no worker has room nobody is woken for what waits.
const COMING: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ET);

/// What a worker is, for the loop to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Role {
    /// Its app.
    pub(in crate::daemon) app: String,
    /// The number of its instance.
    pub(in crate::daemon) slot: u32,
    /// How connections reach the workers of the app.
    pub(in crate::daemon) balance: Balance,
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
}

/// All of them.
pub(super) struct Clusters {
    file: PathBuf,
    guard: Option<GuardLink>,
    epoll: OwnedFd,
    apps: BTreeMap<String, Cluster>,
    connections: BTreeMap<Connection, Arc<OwnedFd>>,
    /// Apps that are to be tried again after a pause.
    pub(super) again: BTreeSet<String>,
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
        let kept: Kept =
            std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut clusters = Clusters {
            file,
            guard,
            epoll,
            apps: BTreeMap::new(),
            connections: BTreeMap::new(),
            again: BTreeSet::new(),
            era: kept.era + 1,
            next_socket: kept.next,
            next_connection: 0,
        };
        for (app, KeptApp { primary, sockets }) in kept.apps {
            let sockets: BTreeMap<String, (u64, OwnedFd)> = sockets
                .into_iter()
                .filter_map(|(key, number)| Some((key, (number, held.remove(&name(number))?))))
                .collect();
            let primary = primary.resume(clusters.era << NUMBERS, |key| sockets.contains_key(key));
            let mut cluster = Cluster { primary, sockets: BTreeMap::new() };
            for (key, (number, fd)) in sockets {
                match clusters.watch(number, &fd) {
                    Ok(()) => drop(cluster.sockets.insert(key, Socket::over(number, fd))),
                    Err(error) => journal::error(format_args!("a socket of {app} can't be followed: {error}")),
                }
            }
            clusters.apps.insert(app, cluster);
        }
        if let Some(guard) = &clusters.guard {
            guard.release(held.into_keys().collect(), Box::new(|| ()));
        }
        clusters
    }

    /// All workers that live have joined: those that have not are gone.
    pub(super) fn settle(&mut self, lives: &BTreeSet<WorkerId>) -> Upshot {
        let mut upshot = Upshot::default();
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
            primary: Primary::new(role.balance).resume(self.era << NUMBERS, |_| true),
            sockets: BTreeMap::new(),
        });
        let mut outputs = cluster.primary.balance_by(role.balance);
        if !cluster.primary.has(worker) {
            outputs.extend(cluster.primary.join(worker, role.slot));
        }
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

    /// A descriptor did not reach a worker.
    pub(super) fn not_acknowledged(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.not_acknowledged(worker))
    }

    /// A worker is about to be ended.
    pub(super) fn leaving(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.leaving(worker))
    }

    /// A worker is to finish what it has.
    pub(super) fn drain(&mut self, worker: WorkerId) -> Upshot {
        self.with(worker, |primary| primary.drain(worker))
    }

    /// These slots of these apps are up, and nothing else.
    pub(super) fn only(&mut self, up: &BTreeMap<String, BTreeSet<u32>>) -> Upshot {
        let mut upshot = Upshot::default();
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
                    self.hold(number, &fd).map_err(|error| {
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
                    upshot.closed.push(name(socket.number));
                }
            }
            Output::Done(connection) => drop(self.connections.remove(&connection)),
            Output::Retry => drop(self.again.insert(app.to_owned())),
            Output::Listening { worker, .. } => upshot.listening.push(worker),
            Output::Changed => {}
        }
        Vec::new()
    }

    /// Takes one connection for which a worker has room.
    fn accept(&mut self, app: &str) -> Option<Vec<Output>> {
        let cluster = self.apps.get_mut(app)?;
        for (key, socket) in &mut cluster.sockets {
            while socket.open && socket.pending {
                match socket::accept(&socket.fd) {
                    Accepted::One(fd) => {
                        let connection = Connection(self.next_connection);
                        self.next_connection += 1;
                        self.connections.insert(connection, Arc::new(fd));
                        return Some(cluster.primary.connection(key, connection));
                    }
                    Accepted::None => socket.pending = false,
                    Accepted::Later => {
                        self.again.insert(app.to_owned());
                        return None;
                    }
                }
            }
        }
        None
    }

    fn hold(&self, number: u64, fd: &OwnedFd) -> io::Result<()> {
        if let Some(guard) = &self.guard {
            guard.hold(vec![(name(number), fd.try_clone()?)])?;
        }
        self.watch(number, fd)
    }

    fn watch(&self, number: u64, fd: &OwnedFd) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token(number)), COMING)?)
    }

    fn save(&self) {
        let app = |(app, cluster): (&String, &Cluster)| {
            let sockets = cluster.sockets.iter().map(|(key, socket)| (key.clone(), socket.number)).collect();
            (app.clone(), KeptApp { primary: cluster.primary.clone(), sockets })
        };
        let kept = Kept { era: self.era, next: self.next_socket, apps: self.apps.iter().map(app).collect() };
        let written = serde_json::to_vec(&kept).map_err(io::Error::from);
        if let Err(error) = written.and_then(|bytes| write_quick(&self.file, &bytes, 0o600)) {
            journal::error(format_args!("could not write {}: {error}", self.file.display()));
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
