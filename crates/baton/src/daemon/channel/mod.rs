//! Node's IPC channels and clusters: one thread owns them all, takes in what programs say, sends them what the loop
//! orders, and deals connections out to workers.
//!
//! | file | what it does |
//! |---|---|
//! | `ends` | who gets a channel, and what it is told of it |
//! | `pipe` | one channel: whole frames in, whole frames out |
//! | `socket` | a socket that workers ask for |
//! | `clusters` | what the primaries of clusters decide, carried out |
//! | `telling` | what each life has told of itself |
//! | `asking` | who waits for what an action returns |
//! | `thread` | the thread |
//!
//! Invariants: the guard holds our end of each channel from before the life begins until it is over, so no life notices
//! that a daemon has died. A frame is taken out of its socket only after it was handled, so a successor finds it again.

mod asking;
mod clusters;
pub(super) mod ends;
mod pipe;
mod socket;
mod telling;
mod thread;

use super::inbox::{Inbox, Message};
use super::life::Key;
use crate::home::Home;
use baton_core::units::{Incarnation, InstanceId};
use baton_node::told::Told;
use baton_os::guard::link::GuardLink;
pub(super) use clusters::Role;
use rustix::event::{EventfdFlags, eventfd};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

/// What a life has said, as far as the loop is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The message `ready`.
    Ready,
    /// A worker that its program has begun to listen.
    Listening,
    /// Nothing more: it has closed its end, or is gone.
    Gone,
}

/// What the loop wants of the thread.
enum Order {
    /// Own this channel, of a worker if there is a role.
    Open(Key, OwnedFd, Option<Role>),
    /// Every channel that a predecessor left is open.
    Settle,
    /// A worker is about to be ended.
    Leaving(Key),
    /// A worker is to finish what it has and to leave.
    Drain(Key),
    /// Which slots of which apps in cluster mode are up; the number is told when the sockets of others are closed.
    Up(BTreeMap<String, BTreeSet<u32>>, u64),
    /// Send this message of ours to the program.
    Say(Key, Value),
    /// Have programs carry out an action of this name, each by its message.
    Act(Action),
    /// The life is over.
    Close(Key),
    /// Copies of everything that the guard is to hold.
    Descriptors(Sender<io::Result<Vec<(String, OwnedFd)>>>),
}

/// An action for programs to carry out.
pub(super) struct Action {
    /// Its name.
    pub(super) name: String,
    /// By which message each of them.
    pub(super) orders: Vec<Errand>,
    /// Who waits for what it returns.
    pub(super) answers: Box<dyn Answers>,
}

/// One program's part of an action.
pub(super) struct Errand {
    /// Which life.
    pub(super) key: Key,
    /// The message that it gets.
    pub(super) message: Value,
    /// Whether it is for our own module.
    pub(super) own: bool,
}

/// Who waits for what actions return.
pub(super) trait Answers: Send {
    /// One has returned something; nothing when the program ended, or closed its channel, before it answered.
    fn answer(&self, id: InstanceId, value: Option<Value>);
    /// Whether anybody still waits.
    fn is_open(&self) -> bool;
}

/// Bytes of what programs say that may be on their way to the loop. What is beyond that is missed by who listens.
const UNDER_WAY: usize = 16 * 1024 * 1024;

/// Whether anybody listens to what programs say, and how much of it is on its way.
#[derive(Debug, Default)]
struct Ear {
    open: AtomicBool,
    under_way: AtomicUsize,
}

impl Ear {
    /// Whether so many bytes are to be passed on; they count as on their way then.
    fn takes(&self, size: usize) -> bool {
        if !self.open.load(Ordering::Relaxed) {
            return false;
        }
        let room = self.under_way.fetch_add(size, Ordering::Relaxed) < UNDER_WAY;
        if !room {
            self.under_way.fetch_sub(size, Ordering::Relaxed);
        }
        room
    }
}

/// How the loop is told.
trait Tell: Send + Sync {
    /// A life has said something for whoever listens; so large was it (bytes).
    fn spoke(&self, key: Key, message: Value, size: usize);
    /// A life has said something.
    fn said(&self, key: Key, said: Said);
    /// What the order of this number closed is closed.
    fn closed(&self, number: u64);
}

impl Tell for Inbox {
    fn spoke(&self, key: Key, message: Value, size: usize) {
        self.send(Message::Spoke(key, message, size));
    }

    fn said(&self, key: Key, said: Said) {
        self.send(Message::Said(key, said));
    }

    fn closed(&self, number: u64) {
        self.send(Message::ClusterClosed(number));
    }
}

/// The loop's hold on the thread, which ends with it.
#[derive(Debug)]
pub(super) struct Channels {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
    known: telling::Known,
    ear: Arc<Ear>,
    /// What the thread knows of the slots that are up.
    up: Option<BTreeMap<String, BTreeSet<u32>>>,
    asked: u64,
    closed: u64,
}

impl Channels {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread or descriptor to be had.
    pub(super) fn start(
        home: &Home,
        guard: Option<GuardLink>,
        held: &mut BTreeMap<String, OwnedFd>,
        inbox: Inbox,
    ) -> io::Result<Channels> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, received) = channel();
        let sockets = held.extract_if(.., |name, _| name.starts_with(clusters::PREFIX)).collect();
        let left = thread::Heritage { file: home.run().join("clusters"), guard, held: sockets };
        let (known, ear) = (telling::Known::default(), Arc::new(Ear::default()));
        let shelf = telling::Shelf::new(home.run().join("told"), known.clone());
        let worker =
            thread::Worker::new(received, Arc::clone(&wake), Arc::new(inbox), left, (shelf, Arc::clone(&ear)))?;
        std::thread::Builder::new().name("channels".into()).spawn(move || worker.run())?;
        Ok(Channels { orders, wake, known, ear, up: None, asked: 0, closed: 0 })
    }

    /// Takes in our end of a life's channel; a worker has a role.
    pub(super) fn open(&self, key: Key, socket: OwnedFd, role: Option<Role>) {
        self.order(Order::Open(key, socket, role));
    }

    /// All channels that a predecessor left are open.
    pub(super) fn settle(&self) {
        self.order(Order::Settle);
    }

    /// A worker is about to be ended: it gets no more connections.
    pub(super) fn leaving(&self, key: Key) {
        self.order(Order::Leaving(key));
    }

    /// A worker is to finish what it has; it closes its channel then.
    pub(super) fn drain(&self, key: Key) {
        self.order(Order::Drain(key));
    }

    /// Which slots of apps in cluster mode are up. The sockets of others are closed.
    pub(super) fn only(&mut self, up: BTreeMap<String, BTreeSet<u32>>) {
        if self.up.as_ref() != Some(&up) {
            self.asked += 1;
            self.order(Order::Up(up.clone(), self.asked));
            self.up = Some(up);
        }
    }

    /// The sockets of this order are closed.
    pub(super) fn closed(&mut self, number: u64) {
        self.closed = self.closed.max(number);
    }

    /// Whether sockets are being closed.
    pub(super) fn closes(&self) -> bool {
        self.closed < self.asked
    }

    /// Sends a program a message.
    pub(super) fn say(&self, key: Key, message: Value) {
        self.order(Order::Say(key, message));
    }

    /// Has programs carry out an action.
    pub(super) fn act(&self, action: Action) {
        self.order(Order::Act(action));
    }

    /// Whether somebody listens to what programs say.
    pub(super) fn listen(&self, open: bool) {
        self.ear.open.store(open, Ordering::Relaxed);
    }

    /// So many bytes of it are on their way no longer.
    pub(super) fn passed_on(&self, size: usize) {
        self.ear.under_way.fetch_sub(size, Ordering::Relaxed);
    }

    /// Looks at what a life has told of itself; `None` when it has told nothing.
    pub(super) fn told<T>(&self, life: Incarnation, look: impl FnOnce(&Told) -> T) -> Option<T> {
        self.known.of(life, look)
    }

    /// A life is over.
    pub(super) fn close(&self, key: Key) {
        self.order(Order::Close(key));
    }

    /// What a new guard is to hold, by name.
    ///
    /// # Errors
    /// When there are no descriptors to be had, or the thread is gone.
    pub(super) fn descriptors(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let (sender, answer) = channel();
        self.order(Order::Descriptors(sender));
        answer.recv().map_err(|_| io::Error::other("the thread of the channels is gone"))?
    }

    fn order(&self, order: Order) {
        // A thread that is gone has told why.
        let _ = self.orders.send(order);
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}
