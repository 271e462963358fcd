//! Heartbeats: processes of apps say by HTTP or WebSocket that they are well, on a port of the loopback addresses.
//!
//! * here: who listens while apps of the list want it, and whose process beats.
//! * `connection` is one client, `request` what it asks.
//!
//! What follows from a beat, and from none, the core decides. A process counts only when it is found in the tree of an
//! app that wants heartbeats; it is known by its descriptor from then on, so that the next beat costs no look at `/proc`,
//! and its end is told by the kernel.

mod connection;
mod request;

use super::driver::Driver;
use super::inbox::{Inbox, Message};
use super::journal;
use super::life::Key;
use super::watch::when_readable;
use baton_core::step::Event;
use baton_core::units::{InstanceId, WallTime};
use baton_core::world::{Identity, Instance, Wanted};
use baton_os::kin::{Tree, tree_of};
use baton_os::process::Process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// Clients of one address at a time; more wait.
const CLIENTS: usize = 1024;
/// The pause after a connection that could not be taken, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Who listens, and whose process is known.
#[derive(Debug, Default)]
pub(super) struct Heart {
    listening: BTreeMap<u16, Vec<Task>>,
    /// Why nobody listens at a port, for people.
    troubles: BTreeMap<u16, String>,
    known: BTreeMap<u32, Known>,
}

impl Heart {
    /// What an operator should know.
    pub(super) fn troubles(&self) -> impl Iterator<Item = &String> {
        self.troubles.values()
    }
}

/// A task that ends with this.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A process that has beaten.
#[derive(Debug)]
struct Known {
    key: Key,
    process: Process,
    _watch: Task,
}

impl Known {
    /// Whether it lives, and so still has its pid.
    fn lives(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&now)) == Ok(0)
    }
}

/// What came of a heartbeat.
#[derive(Debug)]
pub(super) enum Beaten {
    /// It counts, under this name.
    Counts(String),
    /// It does not, and why.
    Ignored(String),
}

/// The last heartbeat of a process.
#[derive(Debug)]
pub(super) struct Row {
    pid: u32,
    name: String,
    last: WallTime,
    app: String,
    id: InstanceId,
}

fn port(slot: &Instance) -> Option<u16> {
    let lives = slot.state.wanted() == Wanted::Up || slot.state.has_process();
    slot.spec.heartbeat.as_ref().filter(|_| lives).map(|heartbeat| heartbeat.port)
}

impl Driver {
    /// Listens where apps want it that are to run, and nowhere else.
    pub(super) fn follow_heartbeats(&mut self, mut touched: impl Iterator<Item = InstanceId>) {
        let heart = &mut self.heart;
        let none_before = heart.listening.is_empty() && heart.troubles.is_empty();
        if none_before && !touched.any(|id| self.world.instances.get(&id).and_then(port).is_some()) {
            return;
        }
        let wanted: BTreeSet<u16> = self.world.instances.values().filter_map(port).collect();
        heart.listening.retain(|port, _| wanted.contains(port));
        heart.troubles.retain(|port, _| wanted.contains(port));
        for port in wanted {
            if heart.listening.contains_key(&port) {
                continue;
            }
            match listen(port, &self.inbox) {
                Ok(tasks) => {
                    journal::log(format_args!("heartbeats are taken at port {port}"));
                    heart.listening.insert(port, tasks);
                    heart.troubles.remove(&port);
                }
                Err(error) if !heart.troubles.contains_key(&port) => {
                    heart.troubles.insert(port, trouble(port, &error, &self.inbox));
                }
                Err(_) => {}
            }
        }
    }

    /// It is known who has a port.
    pub(super) fn port_is_held(&mut self, port: u16, text: String) {
        if let Some(known) = self.heart.troubles.get_mut(&port) {
            journal::warn(&text);
            *known = text;
        }
    }

    /// Somebody says that a process is well.
    pub(super) fn beat(&mut self, pid: u32, name: Option<String>) -> Beaten {
        let (key, process) = match self.heart.known.get(&pid).filter(|known| known.lives()) {
            Some(known) => (known.key, known.process.identity().clone()),
            None => match self.find(pid) {
                Ok(found) => found,
                Err(why) => return Beaten::Ignored(why),
            },
        };
        let (id, incarnation) = key;
        self.handle(Event::Beat { id, incarnation, process: process.clone(), name });
        let why = match self.world.current(id, incarnation) {
            Some(slot) => match slot.care.beats.iter().find(|beat| beat.process == process) {
                Some(beat) => return Beaten::Counts(beat.name.clone()),
                None => "it is ending, or enough processes of that name beat",
            },
            None => "another life has its place",
        };
        self.heart.known.remove(&pid);
        Beaten::Ignored(why.into())
    }

    /// The life whose tree a process belongs to; from now on it is known.
    fn find(&mut self, pid: u32) -> Result<(Key, Identity), String> {
        self.heart.known.remove(&pid);
        let tree = |slot: &Instance| {
            let key = (slot.id, slot.incarnation);
            let mark = self.lives.get(key).map(|life| life.mark.clone()).unwrap_or_default();
            Some(Tree { of: key, leader: slot.process.clone()?, mark })
        };
        let beats = |slot: &&Instance| slot.spec.heartbeat.is_some() && slot.state.has_process();
        let trees: Vec<Tree<Key>> = self.world.instances.values().filter(beats).filter_map(tree).collect();
        match tree_of(pid, &trees) {
            Ok(Some((process, key))) => {
                let identity = process.identity().clone();
                self.know(key, process);
                Ok((key, identity))
            }
            Ok(None) => Err(format!("process {pid} belongs to no running app with `heartbeat`")),
            Err(error) => Err(format!("process {pid} can't be looked at: {error}")),
        }
    }

    /// Remembers a process until it ends.
    fn know(&mut self, key: Key, process: Process) {
        let identity = process.identity().clone();
        let gone = Message::BeaterGone(key, identity.clone());
        match when_readable(&process, self.inbox.clone(), gone) {
            Ok(task) => drop(self.heart.known.insert(identity.pid, Known { key, process, _watch: Task(task) })),
            Err(error) => journal::error(format_args!("process {} can't be watched: {error}", identity.pid)),
        }
    }

    /// A process that has beaten has ended.
    pub(super) fn beater_gone(&mut self, (id, incarnation): Key, process: Identity) {
        if self.heart.known.get(&process.pid).is_some_and(|known| *known.process.identity() == process) {
            self.heart.known.remove(&process.pid);
        }
        self.queue.push_back(Event::BeaterGone { id, incarnation, process });
    }

    /// Watches the processes again that had beaten when a predecessor died.
    pub(super) fn find_beaters(&mut self) {
        let beats = |slot: &Instance| {
            let key = (slot.id, slot.incarnation);
            slot.care.beats.iter().map(|beat| (key, beat.process.clone())).collect::<Vec<_>>()
        };
        let all: Vec<(Key, Identity)> = self.world.instances.values().flat_map(beats).collect();
        for (key, identity) in all {
            match Process::find(&identity) {
                Ok(Some(process)) => self.know(key, process),
                Ok(None) | Err(_) => self.beater_gone(key, identity),
            }
        }
    }

    /// The last heartbeat of each process.
    pub(super) fn beats(&self) -> Vec<Row> {
        let rows = |slot: &Instance| {
            let (app, id) = (slot.spec.name.clone(), slot.id);
            let row = move |beat: &baton_core::world::Beat| {
                let (pid, name, last) = (beat.process.pid, beat.name.clone(), beat.at);
                Row { pid, name, last, app: app.clone(), id }
            };
            slot.care.beats.iter().map(row).collect::<Vec<_>>()
        };
        self.world.instances.values().flat_map(rows).collect()
    }
}

/// Who is told what came of a beat.
pub(super) type BeatAnswer = oneshot::Sender<Beaten>;
/// Who is told of all of them.
pub(super) type BeatsAnswer = oneshot::Sender<Vec<Row>>;

/// Listens at a port of both loopback addresses. A machine without IPv6 has only one.
fn listen(port: u16, inbox: &Inbox) -> io::Result<Vec<Task>> {
    let mut sockets = vec![bind(Ipv4Addr::LOCALHOST.into(), port)?];
    match bind(Ipv6Addr::LOCALHOST.into(), port) {
        Ok(socket) => sockets.push(socket),
        Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
        Err(_) => {}
    }
    let serve = |socket| Task(tokio::spawn(accept(socket, inbox.clone())));
    Ok(sockets.into_iter().map(serve).collect())
}

fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = std::net::TcpListener::bind((address, port))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// What is to be told of a port that can't be had; who has it is told later, for to find out takes a while.
fn trouble(port: u16, error: &io::Error, inbox: &Inbox) -> String {
    let nobody = format!("no heartbeats are taken at port {port}: {error}");
    if error.kind() == ErrorKind::AddrInUse {
        let (inbox, otherwise) = (inbox.clone(), nobody.clone());
        let find = move || {
            let text = match baton_config::check::port_holder(port) {
                Some((pid, name)) => format!("no heartbeats are taken: port {port} is held by {name} (pid {pid})"),
                None => otherwise,
            };
            inbox.send(Message::PortIsHeld(port, text));
        };
        if std::thread::Builder::new().name("holder".into()).spawn(find).is_ok() {
            return nobody;
        }
    }
    journal::warn(&nobody);
    nobody
}

#[expect(clippy::disallowed_methods, reason = "the kernel does not tell when there are descriptors again")]
async fn accept(socket: TcpListener, inbox: Inbox) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept(), if clients.len() < CLIENTS => match accepted {
                Ok((stream, _)) => drop(clients.spawn(connection::serve(stream, inbox.clone()))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}
