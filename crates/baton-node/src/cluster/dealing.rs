//! Connections of a primary on their way to workers, and what becomes of descriptors that were sent.

use super::output::{Connection, Handle, Output};
use super::primary::{Primary, WorkerId};
use crate::message::with_handle;
use serde_json::{Value, json};

/// Connections that a worker may have before it has said that it took them. One is enough to keep it busy, and no more
/// than one waits behind a worker that is stuck.
const DEPTH: usize = 1;
/// How often a socket is sent again to a worker that could not take its descriptor, as in Node.
const FAILURES: u32 = 3;
/// libuv's error for too many open files.
const EMFILE: i32 = -24;

/// A descriptor on its way to a worker.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// The number of the message.
    seq: u64,
    handle: Handle,
    /// The question that it answers, when it is a socket.
    question: u64,
    /// How often it did not arrive.
    failures: u32,
}

impl Primary {
    /// The oldest descriptor that is on its way to a worker has reached it, or has not. Runtimes tell that of one after
    /// the other.
    pub fn received(&mut self, worker: WorkerId, reached: bool) -> Vec<Output> {
        let mut out = Vec::new();
        let Some(there) = self.workers.get_mut(&worker) else { return out };
        // One of which a predecessor knew: it has told nobody what it was.
        let oldest = || there.unacknowledged.keys().next().copied();
        match there.sent.front().cloned() {
            Some(_) if reached => drop(there.sent.pop_front()),
            Some(Sent { seq, handle, question, failures }) => {
                there.sent.pop_front();
                match handle {
                    Handle::Connection(_) => self.answered(worker, seq, false, &mut out),
                    Handle::Socket(key) if failures < FAILURES => {
                        self.give(worker, question, &key, failures + 1, &mut out);
                    }
                    Handle::Socket(key) => self.undeliverable(worker, question, &key, EMFILE, &mut out),
                }
            }
            None if reached => {}
            None => {
                if let Some(seq) = oldest() {
                    self.answered(worker, seq, false, &mut out);
                }
            }
        }
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

    /// A worker has taken a connection, or will not.
    pub(super) fn answered(&mut self, worker: WorkerId, seq: u64, accepted: bool, out: &mut Vec<Output>) {
        let Some(there) = self.workers.get_mut(&worker) else { return };
        // What was sent before it has come, too, even if the runtime does not say so.
        there.sent.retain(|sent| sent.seq > seq);
        let Some((key, connection)) = there.unacknowledged.remove(&seq) else { return };
        if accepted {
            out.push(Output::Done(connection));
        } else if let Some(listener) = self.listeners.get_mut(&key) {
            listener.queue.push_front(connection);
            // A pause for this worker, or the connection would come back to it at once.
            listener.refusing.insert(worker);
            out.push(Output::Retry);
        } else {
            out.push(Output::Done(connection));
        }
        self.deal(out);
    }

    /// Gives connections to workers that have room, the one with the least to do first, in turn where that is equal; and
    /// accepts more only where a worker could take one at once.
    pub(super) fn deal(&mut self, out: &mut Vec<Output>) {
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
                self.send(worker, message, Some((Handle::Connection(connection), 0, 0)), out);
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
            let worker = self.workers.get(id).filter(|worker| worker.here)?;
            (worker.unacknowledged.len() < DEPTH).then_some((worker.unacknowledged.len(), worker.served, *id))
        });
        with_room.min().map(|(_, _, worker)| worker)
    }

    /// Sends a message; a descriptor that goes with it comes with the question that it answers and with how often it
    /// has been sent in vain.
    pub(super) fn send(
        &mut self,
        worker: WorkerId,
        mut message: Value,
        with: Option<(Handle, u64, u32)>,
        out: &mut Vec<Output>,
    ) {
        let seq = self.seq;
        if let Some(members) = message.as_object_mut() {
            members.insert("seq".into(), seq.into());
        }
        self.seq += 1;
        let message = match &with {
            None => message,
            Some((Handle::Connection(_), ..)) => with_handle("net.Native", message),
            Some((Handle::Socket(key), ..)) => {
                let datagram = self.listeners.get(key).is_some_and(|listener| listener.query.kind.is_datagram());
                with_handle(if datagram { "dgram.Native" } else { "net.Native" }, message)
            }
        };
        let handle = with.map(|(handle, question, failures)| {
            if let Some(worker) = self.workers.get_mut(&worker) {
                worker.sent.push_back(Sent { seq, handle: handle.clone(), question, failures });
            }
            handle
        });
        out.push(Output::Send { worker, message, handle });
    }
}
