//! Node's IPC channels: one thread owns them all, takes in what programs say and sends them what the loop orders.
//!
//! | file | what it does |
//! |---|---|
//! | `ends` | who gets a channel, and what it is told of it |
//! | `pipe` | one channel: whole frames in, whole frames out |
//! | `thread` | the thread |
//!
//! Invariants: the guard holds our end of each channel from before the life begins until it is over, so no life notices
//! that a daemon has died. A frame is taken out of its socket only after it was handled, so a successor finds it again.

pub(super) mod ends;
mod pipe;
mod thread;

use super::inbox::{Inbox, Message};
use super::life::Key;
use rustix::event::{EventfdFlags, eventfd};
use serde_json::Value;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// What a life has said, as far as the loop is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The message `ready`.
    Ready,
    /// Nothing more: it has closed its end, or is gone.
    Gone,
}

/// What the loop wants of the thread.
enum Order {
    /// Own this channel.
    Open(Key, OwnedFd),
    /// Send this message of ours to the program.
    Say(Key, Value),
    /// The life is over.
    Close(Key),
    /// Copies of everything that the guard is to hold.
    Descriptors(Sender<io::Result<Vec<(String, OwnedFd)>>>),
}

/// The loop's hold on the thread, which ends with it.
#[derive(Debug)]
pub(super) struct Channels {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Channels {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread or descriptor to be had.
    pub(super) fn start(inbox: Inbox) -> io::Result<Channels> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, received) = channel();
        let say = move |key, said| inbox.send(Message::Said(key, said));
        let worker = thread::Worker::new(received, Arc::clone(&wake), Box::new(say))?;
        std::thread::Builder::new().name("channels".into()).spawn(move || worker.run())?;
        Ok(Channels { orders, wake })
    }

    /// Takes in our end of a life's channel.
    pub(super) fn open(&self, key: Key, socket: OwnedFd) {
        self.order(Order::Open(key, socket));
    }

    /// Sends a program a message.
    pub(super) fn say(&self, key: Key, message: Value) {
        self.order(Order::Say(key, message));
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
