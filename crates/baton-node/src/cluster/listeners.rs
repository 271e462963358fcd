//! The sockets of a primary: who has which, and in which way.

use super::output::{Connection, Handle, Output};
use super::primary::{Balance, Primary, WorkerId};
use super::query::{AddressType, Query};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// libuv's error for a descriptor that is none.
const EBADF: i32 = -9;
/// libuv's error for an address that is taken.
const EADDRINUSE: i32 = -98;

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

/// What workers get of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Connections.
    Dealt,
    /// The socket, all of them the same.
    Shared,
    /// The socket of their slot.
    Own,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Listener {
    pub(super) query: Query,
    /// Whether workers get the socket itself.
    pub(super) shared: bool,
    /// What the first worker gave, for all: it carries the keys of TLS sessions.
    data: Value,
    pub(super) bound: Option<Bound>,
    /// The slot whose own socket it is.
    pub(super) slot: Option<u32>,
    /// Its place in the order in which sockets were opened.
    #[serde(default)]
    pub(super) born: u64,
    /// Workers that have it or wait for it, with the number of the question.
    pub(super) members: BTreeMap<WorkerId, u64>,
    /// Workers that take connections.
    pub(super) ring: BTreeSet<WorkerId>,
    /// Questions that wait for it to be bound.
    #[serde(skip)]
    pub(super) waiting: Vec<(WorkerId, u64)>,
    /// Connections that no worker has yet.
    #[serde(skip)]
    pub(super) queue: VecDeque<Connection>,
    /// Workers that have refused a connection since the last pause.
    #[serde(skip)]
    pub(super) refusing: BTreeSet<WorkerId>,
    #[serde(skip)]
    pub(super) accepting: bool,
}

impl Listener {
    fn kind(&self) -> Kind {
        match (self.shared, self.slot) {
            (false, _) => Kind::Dealt,
            (true, None) => Kind::Shared,
            (true, Some(_)) => Kind::Own,
        }
    }
}

impl Primary {
    /// The keys of its sockets.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.listeners.keys().map(String::as_str)
    }

    /// Whether connections that come to this socket are dealt out by us.
    pub fn deals(&self, key: &str) -> bool {
        self.listeners.get(key).is_some_and(|listener| !listener.shared)
    }

    /// The sockets on which a worker takes connections.
    pub fn listening(&self, worker: WorkerId) -> BTreeSet<&str> {
        self.listeners
            .iter()
            .filter(|(_, listener)| listener.ring.contains(&worker))
            .map(|(key, _)| key.as_str())
            .collect()
    }

    /// The way for sockets that are opened from now on. Sockets of another kind go unless there is a worker that stays:
    /// then they are used on, for their address can't be opened again beside them.
    pub fn balance_by(&mut self, balance: Balance) -> Vec<Output> {
        let mut out = Vec::new();
        if self.balance != balance {
            self.balance = balance;
            out.push(Output::Changed);
        }
        if self.workers.values().all(|worker| worker.leaving) {
            let other = |listener: &Listener| self.kind(&listener.query) != listener.kind();
            let others = self.listeners.iter().filter(|(_, listener)| other(listener)).map(|(key, _)| key.clone());
            for key in others.collect::<Vec<_>>() {
                self.discard(&key, &mut out);
                out.push(Output::Changed);
            }
        }
        out
    }

    /// The app is down: its sockets go.
    pub fn close(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        for key in self.listeners.keys().cloned().collect::<Vec<_>>() {
            self.discard(&key, &mut out);
        }
        out.push(Output::Changed);
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
                    self.give(worker, seq, key, 0, &mut out);
                }
            }
            Err(errno) => {
                let data = std::mem::take(&mut listener.data);
                self.listeners.remove(key);
                for (worker, seq) in waiting {
                    self.refuse(worker, seq, key, (errno, data.clone()), &mut out);
                }
            }
        }
        out.push(Output::Changed);
        out
    }

    /// What workers are to get of a socket that is opened now.
    fn kind(&self, query: &Query) -> Kind {
        // Where the kernel would give different ports, or can't share at all, there is one socket for all.
        let several = query.port != 0 && query.kind != AddressType::Unix;
        match self.balance {
            _ if query.kind.is_datagram() => Kind::Shared,
            Balance::Rr => Kind::Dealt,
            Balance::Reuseport if several => Kind::Own,
            Balance::Shared | Balance::Reuseport => Kind::Shared,
        }
    }

    pub(super) fn query(&mut self, worker: WorkerId, seq: u64, message: &Map<String, Value>, out: &mut Vec<Output>) {
        let data = message.get("data").cloned().unwrap_or(Value::Null);
        let Some(query) = Query::read(message) else {
            return self.refuse(worker, seq, "", (EBADF, data), out);
        };
        let mut key = query.key();
        // One of another kind that is there for this address is used on: nothing can be opened beside it.
        let mut same = self.listeners.values().filter(|listener| listener.query.key() == key);
        let kind = same.next().map_or_else(|| self.kind(&query), Listener::kind);
        let slot = self.workers.get(&worker).map(|worker| worker.slot).filter(|_| kind == Kind::Own);
        if let Some(slot) = slot {
            key = format!("{key}@{slot}");
        }
        let listener = match self.listeners.get_mut(&key) {
            // The same question once more is one that our predecessor may not have answered.
            Some(listener) if listener.members.get(&worker).is_some_and(|asked| *asked != seq) => {
                return self.refuse(worker, seq, &key, (EADDRINUSE, data), out);
            }
            Some(listener) => listener,
            None => {
                let (reuseport, listen) = (kind == Kind::Own, kind == Kind::Dealt);
                out.push(Output::Bind { key: key.clone(), query: query.clone(), reuseport, listen });
                self.born += 1;
                self.listeners.entry(key.clone()).or_insert(Listener {
                    query,
                    shared: kind != Kind::Dealt,
                    data: Value::Null,
                    bound: None,
                    slot,
                    born: self.born,
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
            self.give(worker, seq, &key, 0, out);
        } else {
            listener.waiting.push((worker, seq));
        }
        out.push(Output::Changed);
    }

    /// Answers a question with a socket that is bound. `failures` is how often that has come to nothing.
    pub(super) fn give(&mut self, worker: WorkerId, seq: u64, key: &str, failures: u32, out: &mut Vec<Output>) {
        let Some(listener) = self.listeners.get(key) else { return };
        let mut answer = json!({
            "cmd": "NODE_CLUSTER", "errno": if listener.shared { json!(0) } else { Value::Null },
            "key": key, "ack": seq, "data": listener.data,
        });
        if listener.shared {
            let handle = Handle::Socket(key.to_owned());
            return self.send(worker, answer, Some((handle, seq, failures)), out);
        }
        if let (Some(bound), Some(members)) = (&listener.bound, answer.as_object_mut())
            && let Some(address) = &bound.address
        {
            members
                .insert("sockname".into(), json!({ "address": address, "family": bound.family, "port": bound.port }));
        }
        self.send(worker, answer, None, out);
    }

    /// Answers a question with an error number, and with data as in a good answer: a TLS server looks at that first.
    pub(super) fn refuse(
        &mut self,
        worker: WorkerId,
        seq: u64,
        key: &str,
        (errno, data): (i32, Value),
        out: &mut Vec<Output>,
    ) {
        let answer = json!({ "cmd": "NODE_CLUSTER", "errno": errno, "key": key, "ack": seq, "data": data });
        self.send(worker, answer, None, out);
    }

    /// A socket can't be brought to a worker.
    pub(super) fn undeliverable(&mut self, worker: WorkerId, seq: u64, key: &str, errno: i32, out: &mut Vec<Output>) {
        let data = self.listeners.get(key).map(|listener| listener.data.clone()).unwrap_or_default();
        self.closed(worker, key, out);
        self.refuse(worker, seq, key, (errno, data), out);
    }

    /// A worker says that it listens. Not until then does it get connections: some runtimes lose them before.
    pub(super) fn listens(&mut self, worker: WorkerId, message: &Map<String, Value>, out: &mut Vec<Output>) {
        let Some(said) = Query::read(message) else { return };
        let is_it = |listener: &Listener| {
            let port = listener.bound.as_ref().map(|bound| bound.port);
            let same_port = listener.query.port == said.port || (listener.query.port == 0 && port == Some(said.port));
            listener.members.contains_key(&worker)
                && !listener.ring.contains(&worker)
                && listener.query.kind == said.kind
                && same_port
                && (listener.query.kind != AddressType::Unix || listener.query.address == said.address)
        };
        let exact = |listener: &Listener| is_it(listener) && listener.query.address == said.address;
        let found = self.listeners.iter().find(|(_, listener)| exact(listener)).map(|(key, _)| key.clone());
        let found =
            found.or_else(|| self.listeners.iter().find(|(_, listener)| is_it(listener)).map(|(key, _)| key.clone()));
        // Else it is a socket that it has opened without us (exclusive, or a runtime that shares ports by itself).
        if let Some(listener) = found.as_ref().and_then(|key| self.listeners.get_mut(key))
            && self.workers.get(&worker).is_some_and(|worker| !worker.leaving)
        {
            listener.ring.insert(worker);
            listener.refusing.remove(&worker);
            out.push(Output::Changed);
        }
        if self.is_where_the_other_is(worker) {
            out.push(Output::Listening { worker, key: found.unwrap_or_else(|| said.key()) });
        }
        self.settle(worker, out);
        self.deal(out);
    }

    /// Whether a worker that is to replace another one with the same definition takes connections at a socket where that
    /// one does, if it does anywhere.
    fn is_where_the_other_is(&self, worker: WorkerId) -> bool {
        let Some(new) = self.workers.get(&worker).filter(|new| new.same) else { return true };
        let is_other = |id: &WorkerId| {
            *id != worker && self.workers.get(id).is_some_and(|other| other.slot == new.slot && !other.leaving)
        };
        let mut of_the_other = self.listeners.values().filter(|listener| listener.ring.iter().any(is_other)).peekable();
        of_the_other.peek().is_none() || of_the_other.any(|listener| listener.ring.contains(&worker))
    }

    /// The program of a worker has closed a socket. Unless the worker is on its way out, the socket goes with the last
    /// worker that has it.
    pub(super) fn closed(&mut self, worker: WorkerId, key: &str, out: &mut Vec<Output>) {
        let leaving = self.workers.get(&worker).is_some_and(|worker| worker.leaving);
        let Some(listener) = self.listeners.get_mut(key) else { return };
        // Told twice: our predecessor had read it already.
        if listener.members.remove(&worker).is_none() {
            return;
        }
        listener.ring.remove(&worker);
        listener.refusing.remove(&worker);
        if listener.members.is_empty() && !leaving {
            self.discard(key, out);
        }
        self.tidy_up(out);
        self.deal(out);
        out.push(Output::Changed);
    }

    /// A socket goes, and who waits in it.
    pub(super) fn discard(&mut self, key: &str, out: &mut Vec<Output>) {
        let Some(listener) = self.listeners.remove(key) else { return };
        out.extend(listener.queue.into_iter().map(Output::Done));
        out.push(Output::Close { key: key.to_owned() });
    }
}
