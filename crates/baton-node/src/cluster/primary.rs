//! The primary itself, and the workers it knows. What it does with sockets is in `listeners`, with connections in
//! `dealing`.

use super::dealing::Sent;
use super::listeners::Listener;
use super::output::{Connection, Output, Patience};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Worker {
    /// Number of its instance: with `reuseport` a successor takes its socket.
    pub(super) slot: u32,
    /// It was told to end its work, or is about to be: what it closes was not closed by its program.
    pub(super) leaving: bool,
    /// It was told to finish what it has, and has got that message.
    draining: bool,
    /// It has said that it listens or is ready: sockets that it has not asked for by now it may not want.
    #[serde(default)]
    pub(super) settled: bool,
    /// It is to replace the other one of its slot, with the same definition.
    #[serde(default)]
    pub(super) same: bool,
    /// Its runtime marks its own messages.
    #[serde(default)]
    marked: bool,
    /// It joined us, not only a predecessor: it can be given something.
    #[serde(skip)]
    pub(super) here: bool,
    /// The message that tells it to finish is on its way.
    #[serde(skip)]
    told: bool,
    /// Connections on their way to it, by the number of the message.
    #[serde(skip)]
    pub(super) unacknowledged: BTreeMap<u64, (String, Connection)>,
    /// Descriptors on their way to it, the oldest first.
    #[serde(skip)]
    pub(super) sent: VecDeque<Sent>,
    /// When it last got a connection.
    #[serde(skip)]
    pub(super) served: u64,
}

/// The primary of one app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Primary {
    pub(super) balance: Balance,
    pub(super) listeners: BTreeMap<String, Listener>,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    /// How many sockets were opened.
    #[serde(default)]
    pub(super) born: u64,
    /// The slots that are up, once that was told.
    #[serde(skip)]
    up: Option<BTreeSet<u32>>,
    /// Pauses for [`Output::Tidy`] that have begun.
    #[serde(skip)]
    tidying: BTreeSet<Patience>,
    /// Number of the next message of ours.
    #[serde(skip)]
    pub(super) seq: u64,
    #[serde(skip)]
    pub(super) dealt: u64,
}

impl Primary {
    /// A primary without workers.
    pub fn new(balance: Balance) -> Primary {
        Primary { balance, ..Primary::default() }
    }

    /// Goes on where another left off, with the sockets that are still there. Its messages get numbers from `seq`, which
    /// must be beyond any that the other used: answers to those may still come. Workers get nothing before they have
    /// joined again. Those that had a socket which is not there any more are told: they wait for connections that
    /// nobody can give them.
    pub fn resume(mut self, seq: u64, is_there: impl Fn(&str) -> bool) -> (Primary, BTreeSet<WorkerId>) {
        self.seq = seq;
        // Who had asked for one that was not bound yet asks again.
        let gone: Vec<String> = self
            .listeners
            .iter()
            .filter(|(key, listener)| listener.bound.is_none() || !is_there(key))
            .map(|(key, _)| key.clone())
            .collect();
        let mut deaf = BTreeSet::new();
        for listener in gone.iter().filter_map(|key| self.listeners.remove(key)) {
            if listener.bound.is_some() {
                deaf.extend(listener.members.into_keys());
            }
        }
        deaf.retain(|worker| self.workers.get(worker).is_some_and(|worker| !worker.leaving));
        (self, deaf)
    }

    /// Whether this worker is there.
    pub fn has(&self, worker: WorkerId) -> bool {
        self.workers.contains_key(&worker)
    }

    /// All workers.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.workers.keys().copied()
    }

    /// Whether nobody needs it any more.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty() && self.listeners.is_empty()
    }

    /// Only these slots are up: the sockets of others go.
    pub fn only(&mut self, slots: &BTreeSet<u32>) -> Vec<Output> {
        self.up = Some(slots.clone());
        let mut out = Vec::new();
        self.tidy_up(&mut out);
        out
    }

    /// A worker is there, perhaps one that joined a predecessor already.
    pub fn join(&mut self, worker: WorkerId, slot: u32) -> Vec<Output> {
        let mut out = Vec::new();
        match self.workers.get_mut(&worker) {
            Some(known) => {
                known.here = true;
                self.deal(&mut out);
            }
            None => {
                self.workers.insert(worker, Worker { slot, here: true, ..Worker::default() });
                out.push(Output::Changed);
            }
        }
        out
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
        self.tidy_up(&mut out);
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

    /// A worker gets nothing new, and is told to finish what it has and to leave. [`Primary::told`] follows when the
    /// message is in its channel.
    pub fn drain(&mut self, worker: WorkerId) -> Vec<Output> {
        let mut out = self.leaving(worker);
        match self.workers.get_mut(&worker) {
            // Told twice, it would not wait for its connections.
            Some(worker) if !worker.draining && !worker.told => worker.told = true,
            Some(_) | None => return out,
        }
        // In the order of the channel it comes after every connection that was given to it.
        self.send(worker, json!({ "cmd": "NODE_CLUSTER", "act": "disconnect" }), None, &mut out);
        out
    }

    /// What a worker was sent is in its channel. That it was told to finish is written down only now: one that never
    /// got the message must be told again by a successor.
    pub fn told(&mut self, worker: WorkerId) -> Vec<Output> {
        match self.workers.get_mut(&worker) {
            Some(worker) if worker.told && !worker.draining => worker.draining = true,
            Some(_) | None => return Vec::new(),
        }
        vec![Output::Changed]
    }

    /// A worker says that it is ready.
    pub fn ready(&mut self, worker: WorkerId) -> Vec<Output> {
        let mut out = Vec::new();
        self.settle(worker, &mut out);
        out
    }

    /// The runtime of a worker marks its own messages.
    pub fn mark(&mut self, worker: WorkerId) -> Vec<Output> {
        match self.workers.get_mut(&worker) {
            Some(worker) if !worker.marked => worker.marked = true,
            Some(_) | None => return Vec::new(),
        }
        vec![Output::Changed]
    }

    /// Whether the runtime of a worker was seen to mark its messages.
    pub fn is_marked(&self, worker: WorkerId) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.marked)
    }

    /// A worker has the definition of the other one of its slot, which it is to replace. It does not count as listening
    /// while it does so only where that one does not: its clients would find nobody.
    pub fn same(&mut self, worker: WorkerId) -> Vec<Output> {
        match self.workers.get_mut(&worker) {
            Some(worker) if !worker.same => worker.same = true,
            Some(_) | None => return Vec::new(),
        }
        vec![Output::Changed]
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

    /// The pause of an [`Output::Tidy`] is over: what is still asked for by nobody goes.
    pub fn tidy(&mut self, patience: Patience) -> Vec<Output> {
        self.tidying.remove(&patience);
        let mut out = Vec::new();
        for key in self.orphans(patience) {
            self.discard(&key, &mut out);
        }
        if !out.is_empty() {
            out.push(Output::Changed);
        }
        out
    }

    /// A worker has come so far that it has asked for what it wants.
    pub(super) fn settle(&mut self, worker: WorkerId, out: &mut Vec<Output>) {
        if let Some(worker) = self.workers.get_mut(&worker)
            && !worker.settled
        {
            worker.settled = true;
            out.push(Output::Changed);
        }
        self.tidy_up(out);
    }

    /// Closes the sockets of slots that are not up, and has a pause begin for those that nobody seems to want.
    pub(super) fn tidy_up(&mut self, out: &mut Vec<Output>) {
        let Some(up) = &self.up else { return };
        let is_over =
            |listener: &Listener| listener.members.is_empty() && listener.slot.is_some_and(|slot| !up.contains(&slot));
        let over: Vec<String> =
            self.listeners.iter().filter(|(_, listener)| is_over(listener)).map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.discard(key, out);
        }
        if !over.is_empty() {
            out.push(Output::Changed);
        }
        for patience in [Patience::Short, Patience::Long] {
            if !self.tidying.contains(&patience) && !self.orphans(patience).is_empty() {
                self.tidying.insert(patience);
                out.push(Output::Tidy(patience));
            }
        }
    }

    /// Sockets that no worker has although each slot that is up has a worker which has come so far as to listen. One
    /// that is older than one which is in use was replaced by it: the program has moved. Another may be one that its
    /// worker has yet to ask for.
    fn orphans(&self, patience: Patience) -> Vec<String> {
        let stays = || self.workers.values().filter(|worker| !worker.leaving);
        let has_settled = |slot: &u32| stays().any(|worker| worker.slot == *slot);
        let all_settled = stays().all(|worker| worker.settled);
        if !all_settled || !self.up.as_ref().is_some_and(|up| !up.is_empty() && up.iter().all(has_settled)) {
            return Vec::new();
        }
        let used = self.listeners.values().filter(|listener| !listener.members.is_empty());
        let newest = used.map(|listener| listener.born).max();
        let is_orphan = |listener: &Listener| {
            let is_replaced = newest.is_some_and(|newest| newest > listener.born);
            listener.members.is_empty() && (patience == Patience::Long || is_replaced)
        };
        self.listeners.iter().filter(|(_, listener)| is_orphan(listener)).map(|(key, _)| key.clone()).collect()
    }
}
