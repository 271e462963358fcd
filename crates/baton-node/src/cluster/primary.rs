//! The primary itself.

use super::output::{Connection, Handle, Output};
use super::query::Query;
use crate::message::with_handle;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Connections that a worker may have before it has said that it took them. One is enough to keep it busy, and no more
/// than one waits behind a worker that is stuck.
const DEPTH: usize = 1;
/// libuv's error for a descriptor that is none.
const EBADF: i32 = -9;
/// libuv's error for an address that is taken.
const EADDRINUSE: i32 = -98;

/// Names a worker: the number of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub u64);

/// How connections reach workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// We accept them and give each to the worker that has the least to do.
    #[default]
    Rr,
    /// Workers accept on one socket.
    Shared,
    /// Each instance has a socket of its own on the port, and the kernel spreads connections over them.
    Reuseport,
}

/// A socket that was bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The address; `None` for a path.
    pub address: Option<String>,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// The port that it got.
    pub port: u16,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listener {
    query: Query,
    /// Whether workers get the socket itself.
    shared: bool,
    /// What the first worker gave, for all: it carries the keys of TLS sessions.
    data: Value,
    bound: Option<Bound>,
    /// The slot whose own socket it is.
    slot: Option<u32>,
    /// Workers that have it or wait for it, with the number of the question.
    members: BTreeMap<WorkerId, u64>,
    /// Workers that take connections.
    ring: BTreeSet<WorkerId>,
    /// Questions that wait for it to be bound.
    #[serde(skip)]
    waiting: Vec<(WorkerId, u64)>,
    /// Connections that no worker has yet.
    #[serde(skip)]
    queue: VecDeque<Connection>,
    /// Workers that have refused a connection since the last pause.
    #[serde(skip)]
    refusing: BTreeSet<WorkerId>,
    #[serde(skip)]
    accepting: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Worker {
    /// Number of its instance: with `reuseport` a successor takes its socket.
    slot: u32,
    /// It was told to end its work, or is about to be: what it closes was not closed by its program.
    leaving: bool,
    /// It was told to finish what it has.
    draining: bool,
    /// Connections on their way to it, by the number of the message.
    #[serde(skip)]
    unacknowledged: BTreeMap<u64, (String, Connection)>,
    /// When it last got a connection.
    #[serde(skip)]
    served: u64,
}

/// The primary of one app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Primary {
    balance: Balance,
    listeners: BTreeMap<String, Listener>,
    workers: BTreeMap<WorkerId, Worker>,
    /// Number of the next message of ours.
    #[serde(skip)]
    seq: u64,
    #[serde(skip)]
    dealt: u64,
}

impl Primary {
    /// A primary without workers.
    pub fn new(balance: Balance) -> Primary {
        Primary { balance, ..Primary::default() }
    }

    /// Goes on where another left off, with the sockets that are still there. Its messages get numbers from `seq`, which
    /// must be beyond any that the other used: answers to those may still come.
    pub fn resume(mut self, seq: u64, is_there: impl Fn(&str) -> bool) -> Primary {
        self.seq = seq;
        // Who had asked for one that was not bound yet asks again.
        self.listeners.retain(|key, listener| listener.bound.is_some() && is_there(key));
        self
    }

    /// Whether this worker is there.
    pub fn has(&self, worker: WorkerId) -> bool {
        self.workers.contains_key(&worker)
    }

    /// All workers.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.workers.keys().copied()
    }

    /// Another way for sockets that are opened from now on. Without any worker that could have one, all are.
    pub fn balance_by(&mut self, balance: Balance) -> Vec<Output> {
        if self.balance == balance {
            return Vec::new();
        }
        self.balance = balance;
        if self.workers.values().all(|worker| worker.leaving) { self.close() } else { vec![Output::Changed] }
    }

    /// Only these slots are up: the sockets of others go.
    pub fn only(&mut self, slots: &BTreeSet<u32>) -> Vec<Output> {
        let is_over = |listener: &Listener| {
            listener.members.is_empty() && listener.slot.is_some_and(|slot| !slots.contains(&slot))
        };
        let over: Vec<String> =
            self.listeners.iter().filter(|(_, listener)| is_over(listener)).map(|(key, _)| key.clone()).collect();
        let mut out = Vec::new();
        for key in over {
            self.listeners.remove(&key);
            out.push(Output::Close { key });
        }
        if !out.is_empty() {
            out.push(Output::Changed);
        }
        out
    }

    /// Whether nobody needs it any more.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty() && self.listeners.is_empty()
    }

    /// The keys of its sockets.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.listeners.keys().map(String::as_str)
    }

    /// The sockets on which a worker takes connections.
    pub fn listening(&self, worker: WorkerId) -> BTreeSet<&str> {
        self.listeners
            .iter()
            .filter(|(_, listener)| listener.ring.contains(&worker))
            .map(|(key, _)| key.as_str())
            .collect()
    }

    /// A worker is there.
    pub fn join(&mut self, worker: WorkerId, slot: u32) -> Vec<Output> {
        self.workers.insert(worker, Worker { slot, ..Worker::default() });
        vec![Output::Changed]
    }

    /// A worker is gone. Connections that it had not taken go to others: it has not read a byte of them.
    pub fn left(&mut self, worker: WorkerId) -> Vec<Output> {
        let mut out = Vec::new();
        let Some(gone) = self.workers.remove(&worker) else { return out };
        for listener in self.listeners.values_mut() {
            listener.members.remove(&worker);
            listener.ring.remove(&worker);
            listener.refusing.remove(&worker);
            listener.waiting.retain(|(waiting, _)| *waiting != worker);
        }
        for (key, connection) in gone.unacknowledged.into_values().rev() {
            match self.listeners.get_mut(&key) {
                Some(listener) => listener.queue.push_front(connection),
                None => out.push(Output::Done(connection)),
            }
        }
        self.deal(&mut out);
        out.push(Output::Changed);
        out
    }

    /// A worker is about to be ended: it gets nothing new, and what it closes from now on stays open for its successors.
    pub fn leaving(&mut self, id: WorkerId) -> Vec<Output> {
        let mut out = Vec::new();
        match self.workers.get_mut(&id) {
            Some(worker) if !worker.leaving => worker.leaving = true,
            Some(_) | None => return out,
        }
        for listener in self.listeners.values_mut() {
            listener.ring.remove(&id);
        }
        self.deal(&mut out);
        out.push(Output::Changed);
        out
    }

    /// A worker gets nothing new, and is told to finish what it has and to leave.
    pub fn drain(&mut self, worker: WorkerId) -> Vec<Output> {
        let mut out = self.leaving(worker);
        match self.workers.get_mut(&worker) {
            // Told twice, it would not wait for its connections.
            Some(worker) if !worker.draining => worker.draining = true,
            Some(_) | None => return out,
        }
        // In the order of the channel it comes after every connection that was given to it.
        self.send(worker, json!({ "cmd": "NODE_CLUSTER", "act": "disconnect" }), None, &mut out);
        self.deal(&mut out);
        out.push(Output::Changed);
        out
    }

    /// The app is down: its sockets go.
    pub fn close(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        for (key, listener) in std::mem::take(&mut self.listeners) {
            out.extend(listener.queue.into_iter().map(Output::Done));
            out.push(Output::Close { key });
        }
        out.push(Output::Changed);
        out
    }

    /// A worker has sent a message of the cluster.
    pub fn message(&mut self, worker: WorkerId, message: &Map<String, Value>) -> Vec<Output> {
        let mut out = Vec::new();
        if !self.workers.contains_key(&worker) {
            return out;
        }
        let seq = message.get("seq").and_then(Value::as_u64).unwrap_or(0);
        if let Some(ack) = message.get("ack").and_then(Value::as_u64) {
            let accepted = message.get("accepted").and_then(Value::as_bool).unwrap_or(true);
            self.answered(worker, ack, accepted, &mut out);
            return out;
        }
        match message.get("act").and_then(Value::as_str) {
            Some("queryServer") => self.query(worker, seq, message, &mut out),
            Some("listening") => self.listens(worker, message, &mut out),
            Some("close") => {
                if let Some(key) = message.get("key").and_then(Value::as_str) {
                    self.closed(worker, key, &mut out);
                }
            }
            Some("exitedAfterDisconnect") => {
                for listener in self.listeners.values_mut() {
                    listener.ring.remove(&worker);
                }
                self.send(worker, json!({ "cmd": "NODE_CLUSTER", "ack": seq }), None, &mut out);
                out.push(Output::Changed);
            }
            Some(_) | None => {}
        }
        out
    }

    /// The descriptor of a connection did not reach the worker: it goes to whoever is next.
    pub fn not_acknowledged(&mut self, worker: WorkerId) -> Vec<Output> {
        let mut out = Vec::new();
        let oldest = self.workers.get(&worker).and_then(|worker| worker.unacknowledged.keys().next().copied());
        if let Some(seq) = oldest {
            self.answered(worker, seq, false, &mut out);
        }
        out
    }

    /// A socket is bound, or could not be (a negative error number of libuv).
    pub fn bound(&mut self, key: &str, result: Result<Bound, i32>) -> Vec<Output> {
        let mut out = Vec::new();
        let Some(listener) = self.listeners.get_mut(key) else { return out };
        let waiting = std::mem::take(&mut listener.waiting);
        match result {
            Ok(bound) => {
                listener.bound = Some(bound);
                for (worker, seq) in waiting {
                    self.give(worker, seq, key, &mut out);
                }
            }
            Err(errno) => {
                self.listeners.remove(key);
                for (worker, seq) in waiting {
                    self.refuse(worker, seq, key, errno, &mut out);
                }
            }
        }
        out.push(Output::Changed);
        out
    }

    /// A connection was accepted.
    pub fn connection(&mut self, key: &str, connection: Connection) -> Vec<Output> {
        let mut out = Vec::new();
        match self.listeners.get_mut(key) {
            Some(listener) => listener.queue.push_back(connection),
            None => out.push(Output::Done(connection)),
        }
        self.deal(&mut out);
        out
    }

    /// The pause after [`Output::Retry`] is over.
    pub fn retry(&mut self) -> Vec<Output> {
        for listener in self.listeners.values_mut() {
            listener.refusing.clear();
        }
        let mut out = Vec::new();
        self.deal(&mut out);
        out
    }

    fn query(&mut self, worker: WorkerId, seq: u64, message: &Map<String, Value>, out: &mut Vec<Output>) {
        let Some(query) = Query::read(message) else {
            return self.refuse(worker, seq, "", EBADF, out);
        };
        let shared = self.balance != Balance::Rr || query.kind.is_datagram();
        // Where the kernel would give different ports, or can't share at all, there is one socket for all.
        let own = self.balance == Balance::Reuseport
            && query.port != 0
            && !query.kind.is_datagram()
            && query.kind != super::AddressType::Unix;
        let mut key = query.key();
        let slot = self.workers.get(&worker).map(|worker| worker.slot).filter(|_| own);
        if let Some(slot) = slot {
            key = format!("{key}@{slot}");
        }
        let data = message.get("data").cloned().unwrap_or(Value::Null);
        let listener = match self.listeners.get_mut(&key) {
            // The same question once more is one that our predecessor may not have answered.
            Some(listener) if listener.members.get(&worker).is_some_and(|asked| *asked != seq) => {
                return self.refuse(worker, seq, &key, EADDRINUSE, out);
            }
            Some(listener) => listener,
            None => {
                out.push(Output::Bind { key: key.clone(), query: query.clone(), reuseport: own, listen: !shared });
                self.listeners.entry(key.clone()).or_insert(Listener {
                    query,
                    shared,
                    data: Value::Null,
                    bound: None,
                    slot,
                    members: BTreeMap::new(),
                    ring: BTreeSet::new(),
                    waiting: Vec::new(),
                    queue: VecDeque::new(),
                    refusing: BTreeSet::new(),
                    accepting: false,
                })
            }
        };
        if listener.data.is_null() {
            listener.data = data;
        }
        listener.members.insert(worker, seq);
        if listener.bound.is_some() {
            self.give(worker, seq, &key, out);
        } else {
            listener.waiting.push((worker, seq));
        }
        out.push(Output::Changed);
    }

    /// Answers a question with a socket that is bound.
    fn give(&mut self, worker: WorkerId, seq: u64, key: &str, out: &mut Vec<Output>) {
        let Some(listener) = self.listeners.get(key) else { return };
        let mut answer = json!({
            "cmd": "NODE_CLUSTER", "errno": if listener.shared { json!(0) } else { Value::Null },
            "key": key, "ack": seq, "data": listener.data,
        });
        if listener.shared {
            let handle = Handle::Socket(key.to_owned());
            return self.send(worker, answer, Some(handle), out);
        }
        if let (Some(bound), Some(members)) = (&listener.bound, answer.as_object_mut())
            && let Some(address) = &bound.address
        {
            members
                .insert("sockname".into(), json!({ "address": address, "family": bound.family, "port": bound.port }));
        }
        self.send(worker, answer, None, out);
    }

    fn refuse(&mut self, worker: WorkerId, seq: u64, key: &str, errno: i32, out: &mut Vec<Output>) {
        let answer = json!({ "cmd": "NODE_CLUSTER", "errno": errno, "key": key, "ack": seq, "data": null });
        self.send(worker, answer, None, out);
    }

    /// A worker says that it listens. Not until then does it get connections: some runtimes lose them before.
    fn listens(&mut self, worker: WorkerId, message: &Map<String, Value>, out: &mut Vec<Output>) {
        let Some(said) = Query::read(message) else { return };
        let is_it = |listener: &Listener| {
            let port = listener.bound.as_ref().map(|bound| bound.port);
            let same_port = listener.query.port == said.port || (listener.query.port == 0 && port == Some(said.port));
            listener.members.contains_key(&worker)
                && !listener.ring.contains(&worker)
                && listener.query.kind == said.kind
                && same_port
                && (listener.query.kind != super::AddressType::Unix || listener.query.address == said.address)
        };
        let exact = |listener: &Listener| is_it(listener) && listener.query.address == said.address;
        let found = self.listeners.iter().find(|(_, listener)| exact(listener)).map(|(key, _)| key.clone());
        let found =
            found.or_else(|| self.listeners.iter().find(|(_, listener)| is_it(listener)).map(|(key, _)| key.clone()));
        let key = match found {
            Some(key) => key,
            // A socket that it has opened without us (exclusive, or a runtime that shares ports by itself).
            None => return out.push(Output::Listening { worker, key: said.key() }),
        };
        if self.workers.get(&worker).is_some_and(|worker| !worker.leaving)
            && let Some(listener) = self.listeners.get_mut(&key)
        {
            listener.ring.insert(worker);
        }
        out.push(Output::Listening { worker, key });
        self.deal(out);
        out.push(Output::Changed);
    }

    /// The program of a worker has closed a socket. Unless the worker is on its way out, the socket goes with the last
    /// worker that has it.
    fn closed(&mut self, worker: WorkerId, key: &str, out: &mut Vec<Output>) {
        let leaving = self.workers.get(&worker).is_some_and(|worker| worker.leaving);
        let Some(listener) = self.listeners.get_mut(key) else { return };
        listener.members.remove(&worker);
        listener.ring.remove(&worker);
        if listener.members.is_empty() && !leaving {
            let queue = self.listeners.remove(key).map(|listener| listener.queue).unwrap_or_default();
            out.extend(queue.into_iter().map(Output::Done));
            out.push(Output::Close { key: key.to_owned() });
        }
        self.deal(out);
        out.push(Output::Changed);
    }

    /// A worker has taken a connection, or will not.
    fn answered(&mut self, worker: WorkerId, seq: u64, accepted: bool, out: &mut Vec<Output>) {
        let given = self.workers.get_mut(&worker).and_then(|worker| worker.unacknowledged.remove(&seq));
        let Some((key, connection)) = given else { return };
        if accepted {
            out.push(Output::Done(connection));
        } else if let Some(listener) = self.listeners.get_mut(&key) {
            listener.refusing.insert(worker);
            listener.queue.push_front(connection);
            // Everybody refuses: a pause, or the connection would go round and round.
            if listener.ring.iter().all(|worker| listener.refusing.contains(worker)) {
                out.push(Output::Retry);
            }
        } else {
            out.push(Output::Done(connection));
        }
        self.deal(out);
    }

    /// Gives connections to workers that have room, the one with the least to do first, in turn where that is equal; and
    /// accepts more only where a worker could take one at once.
    fn deal(&mut self, out: &mut Vec<Output>) {
        let keys: Vec<String> =
            self.listeners.iter().filter(|(_, listener)| !listener.shared).map(|(key, _)| key.clone()).collect();
        for key in keys {
            loop {
                let next = self.free(&key);
                let Some(listener) = self.listeners.get_mut(&key) else { break };
                let (Some(worker), Some(connection)) = (next, listener.queue.front().copied()) else { break };
                listener.queue.pop_front();
                let seq = self.seq;
                self.dealt += 1;
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.unacknowledged.insert(seq, (key.clone(), connection));
                    worker.served = self.dealt;
                }
                let message = json!({ "cmd": "NODE_CLUSTER", "act": "newconn", "key": key });
                self.send(worker, message, Some(Handle::Connection(connection)), out);
            }
        }
        // Looked at when everything has been dealt: a worker that serves two sockets has one place for both.
        let wanted: Vec<(String, bool)> = self
            .listeners
            .iter()
            .filter(|(_, listener)| !listener.shared)
            .map(|(key, listener)| (key.clone(), listener.queue.is_empty() && self.free(key).is_some()))
            .collect();
        for (key, on) in wanted {
            if let Some(listener) = self.listeners.get_mut(&key).filter(|listener| listener.accepting != on) {
                listener.accepting = on;
                out.push(Output::Accept { key, on });
            }
        }
    }

    /// The worker that is to have the next connection of a socket.
    fn free(&self, key: &str) -> Option<WorkerId> {
        let listener = self.listeners.get(key)?;
        let candidates = listener.ring.iter().filter(|worker| !listener.refusing.contains(worker));
        let with_room = candidates.filter_map(|id| {
            let worker = self.workers.get(id)?;
            (worker.unacknowledged.len() < DEPTH).then_some((worker.unacknowledged.len(), worker.served, *id))
        });
        with_room.min().map(|(_, _, worker)| worker)
    }

    fn send(&mut self, worker: WorkerId, mut message: Value, handle: Option<Handle>, out: &mut Vec<Output>) {
        if let Some(members) = message.as_object_mut() {
            members.insert("seq".into(), self.seq.into());
        }
        self.seq += 1;
        let message = match &handle {
            None => message,
            Some(Handle::Connection(_)) => with_handle("net.Native", message),
            Some(Handle::Socket(key)) => {
                let datagram = self.listeners.get(key).is_some_and(|listener| listener.query.kind.is_datagram());
                with_handle(if datagram { "dgram.Native" } else { "net.Native" }, message)
            }
        };
        out.push(Output::Send { worker, message, handle });
    }
}
