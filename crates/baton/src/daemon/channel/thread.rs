//! The thread: epoll over all channels and one eventfd for orders. With nothing said nothing wakes up.

use super::pipe::{Flushed, LOOK, Look, Pipe};
use super::{Order, Said, ends};
use crate::daemon::journal;
use crate::daemon::life::Key;
use baton_core::units::Incarnation;
use baton_node::frame::Frame;
use baton_node::message::{Incoming, acknowledge, classify};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

/// The token of the eventfd; a channel has the number of its life, which is never 0.
const ORDERS: u64 = 0;
/// Edge-triggered: half a frame that is left in its socket wakes nobody.
const COMING: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::ET);
/// Events taken in at once.
const EVENTS: usize = 64;
/// Pause before a descriptor that could not be sent is tried again: too many are on their way.
const AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Tells the loop.
pub(super) type Tell = Box<dyn Fn(Key, Said) + Send>;

pub(super) struct Worker {
    orders: Receiver<Order>,
    wake: Arc<OwnedFd>,
    epoll: OwnedFd,
    tell: Tell,
    channels: BTreeMap<Incarnation, Channel>,
    /// Channels with something to send that are to be tried again after a pause.
    again: BTreeSet<Incarnation>,
    buffer: Vec<u8>,
}

struct Channel {
    key: Key,
    pipe: Pipe,
    /// Whether the kernel is to tell when there is room.
    awaits_room: bool,
}

impl Worker {
    /// With nothing to own yet.
    ///
    /// # Errors
    /// When there are no descriptors to be had.
    pub(super) fn new(orders: Receiver<Order>, wake: Arc<OwnedFd>, tell: Tell) -> io::Result<Worker> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*wake, epoll::EventData::new_u64(ORDERS), epoll::EventFlags::IN)?;
        let buffer = vec![0; LOOK];
        Ok(Worker { orders, wake, epoll, tell, channels: BTreeMap::new(), again: BTreeSet::new(), buffer })
    }

    /// Until nobody can give orders any more.
    pub(super) fn run(mut self) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            let pause = (!self.again.is_empty()).then_some(&AGAIN);
            match epoll::wait(&self.epoll, spare_capacity(&mut events), pause) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return journal::error(format_args!("channels can't be followed: {error}")),
            }
            for event in &events {
                match event.data.u64() {
                    ORDERS => {
                        // Empties the counter; there may be nothing in it.
                        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
                    }
                    token => self.happened(Incarnation(token), event.flags),
                }
            }
            for incarnation in std::mem::take(&mut self.again) {
                self.flush(incarnation);
            }
            loop {
                match self.orders.try_recv() {
                    Ok(order) => self.carry_out(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Open(key, socket) => self.open(key, socket),
            Order::Say((_, incarnation), message) => {
                if let Some(channel) = self.channels.get_mut(&incarnation) {
                    channel.pipe.send(&message, false, None);
                    self.flush(incarnation);
                }
            }
            Order::Close((_, incarnation)) => drop(self.let_go(incarnation)),
            // Who asked may have given up.
            Order::Descriptors(answer) => drop(answer.send(self.descriptors())),
        }
    }

    fn open(&mut self, key: Key, socket: OwnedFd) {
        let data = epoll::EventData::new_u64(key.1.0);
        if let Err(error) = epoll::add(&self.epoll, &socket, data, COMING) {
            journal::error(format_args!("the channel of slot {} can't be followed: {error}", key.0));
            return (self.tell)(key, Said::Gone);
        }
        self.channels.insert(key.1, Channel { key, pipe: Pipe::over(socket), awaits_room: false });
    }

    /// Forgets a channel. The guard's copy is the same open file: without this its events would go on.
    fn let_go(&mut self, incarnation: Incarnation) -> Option<Channel> {
        let channel = self.channels.remove(&incarnation)?;
        // It was added, so it is there.
        let _ = epoll::delete(&self.epoll, channel.pipe.socket());
        Some(channel)
    }

    fn descriptors(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let one =
            |channel: &Channel| Ok((ends::name(channel.key), channel.pipe.socket().as_fd().try_clone_to_owned()?));
        self.channels.values().map(one).collect()
    }

    fn happened(&mut self, incarnation: Incarnation, what: epoll::EventFlags) {
        if what.contains(epoll::EventFlags::OUT) {
            self.flush(incarnation);
        }
        if what.intersects(COMING | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            self.hear(incarnation, what.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP));
        }
    }

    /// Takes in what a program says, to the end of what is there; with half a frame nothing follows if it has hung up.
    fn hear(&mut self, incarnation: Incarnation, hung_up: bool) {
        loop {
            let Some(channel) = self.channels.get_mut(&incarnation) else { return };
            match channel.pipe.look(&mut self.buffer) {
                Look::Frames(frames, bytes) => {
                    for frame in frames {
                        self.heard(incarnation, frame);
                    }
                    if let Some(channel) = self.channels.get_mut(&incarnation) {
                        channel.pipe.consume(bytes, &mut self.buffer);
                    }
                }
                Look::Nothing if !hung_up => return,
                Look::Nothing | Look::End => {
                    if let Some(channel) = self.let_go(incarnation) {
                        (self.tell)(channel.key, Said::Gone);
                    }
                    return;
                }
            }
        }
    }

    fn heard(&mut self, incarnation: Incarnation, frame: Frame) {
        let Some(channel) = self.channels.get_mut(&incarnation) else { return };
        match frame.value.map(classify) {
            Some(Incoming::Program(message)) if message == "ready" => (self.tell)(channel.key, Said::Ready),
            // Its next one would wait for the answer.
            Some(Incoming::WithHandle(_)) => {
                channel.pipe.marked |= frame.marked;
                channel.pipe.send(&acknowledge(), true, None);
                self.flush(incarnation);
            }
            // Of what else programs say nobody wants to know yet.
            Some(
                Incoming::Program(_)
                | Incoming::Acknowledged
                | Incoming::NotAcknowledged
                | Incoming::Cluster(_)
                | Incoming::Internal,
            )
            | None => {}
        }
    }

    fn flush(&mut self, incarnation: Incarnation) {
        let Some(channel) = self.channels.get_mut(&incarnation) else { return };
        let flushed = channel.pipe.flush();
        if flushed == Flushed::Later {
            self.again.insert(incarnation);
        }
        let awaits_room = flushed == Flushed::Full;
        if channel.awaits_room != awaits_room {
            channel.awaits_room = awaits_room;
            let events = if awaits_room { COMING | epoll::EventFlags::OUT } else { COMING };
            let data = epoll::EventData::new_u64(incarnation.0);
            if let Err(error) = epoll::modify(&self.epoll, channel.pipe.socket(), data, events) {
                journal::error(format_args!("the channel of slot {} can't be followed: {error}", channel.key.0));
            }
        }
    }
}
