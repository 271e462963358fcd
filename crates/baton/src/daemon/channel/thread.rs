//! The thread: epoll over all channels, the sockets of clusters and one eventfd for orders. With nothing said and nobody
//! connecting nothing wakes up.

use super::asking::Asking;
use super::clusters::{Clusters, Letter, Role, Upshot};
use super::pipe::{Flushed, LOOK, Look, Pipe};
use super::telling::Shelf;
use super::{Action, Ear, Errand, Order, Said, Tell, ends};
use crate::daemon::journal;
use crate::daemon::life::Key;
use baton_core::units::{Incarnation, Instant, Millis};
use baton_node::cluster::WorkerId;
use baton_node::frame::Frame;
use baton_node::message::{Incoming, acknowledge, classify};
use baton_node::told::{self, Heard, Teller};
use baton_os::clock;
use baton_os::guard::link::GuardLink;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// The token of the eventfd. A channel has twice the number of its life, which is never 0, and a socket an odd one.
const ORDERS: u64 = 0;
/// Edge-triggered: half a frame that is left in its socket wakes nobody.
const COMING: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::ET);
/// Events taken in at once.
const EVENTS: usize = 64;
/// Pause before what could not be done is tried again: too many descriptors are on their way or open, or a worker refuses
/// connections.
const AGAIN: Millis = Millis(10);
/// How often in a row one channel is looked at before others have their turn.
const LOOKS: usize = 4;

/// What a predecessor has left, and where it is kept.
pub(super) struct Heritage {
    /// The file of the clusters.
    pub(super) file: PathBuf,
    /// Holds the sockets.
    pub(super) guard: Option<GuardLink>,
    /// What it gave back of them.
    pub(super) held: BTreeMap<String, OwnedFd>,
}

pub(super) struct Worker {
    orders: Receiver<Order>,
    wake: Arc<OwnedFd>,
    epoll: OwnedFd,
    tell: Arc<dyn Tell>,
    guard: Option<GuardLink>,
    clusters: Clusters,
    channels: BTreeMap<Incarnation, Channel>,
    shelf: Shelf,
    ear: Arc<Ear>,
    asking: Asking,
    /// Channels with something to send that are to be tried again after a pause.
    again: BTreeSet<Incarnation>,
    /// When that is.
    due: Option<Instant>,
    /// Channels in which there may be more, of which nobody tells once more.
    unheard: BTreeSet<Incarnation>,
    /// Whether nobody can give orders any more.
    over: bool,
    buffer: Vec<u8>,
}

struct Channel {
    key: Key,
    /// Whether it is of a worker.
    works: bool,
    pipe: Pipe,
    /// Whether the kernel is to tell when there is room.
    awaits_room: bool,
    /// Whether its other end is closed.
    hung_up: bool,
    /// Whether it is to be heard when it has taken in what it is told.
    unheard: bool,
    /// Whether it is to be told to finish what it has.
    drains: bool,
}

impl Worker {
    /// With nothing to own yet.
    ///
    /// # Errors
    /// When there are no descriptors to be had.
    pub(super) fn new(
        orders: Receiver<Order>,
        wake: Arc<OwnedFd>,
        tell: Arc<dyn Tell>,
        left: Heritage,
        (shelf, ear): (Shelf, Arc<Ear>),
    ) -> io::Result<Worker> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*wake, epoll::EventData::new_u64(ORDERS), epoll::EventFlags::IN)?;
        let Heritage { file, guard, held } = left;
        let clusters = Clusters::take_up(file, guard.clone(), epoll.try_clone()?, held);
        let buffer = vec![0; LOOK];
        Ok(Worker {
            orders,
            wake,
            epoll,
            tell,
            guard,
            clusters,
            channels: BTreeMap::new(),
            shelf,
            ear,
            asking: Asking::default(),
            again: BTreeSet::new(),
            due: None,
            unheard: BTreeSet::new(),
            over: false,
            buffer,
        })
    }

    /// Until nobody can give orders any more.
    pub(super) fn run(mut self) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        while !self.over {
            events.clear();
            let pause = self.pause().map(|Millis(pause)| Timespec {
                tv_sec: i64::try_from(pause / 1_000).unwrap_or(i64::MAX),
                tv_nsec: (pause % 1_000).cast_signed() * 1_000_000,
            });
            match epoll::wait(&self.epoll, spare_capacity(&mut events), pause.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return journal::error(format_args!("channels can't be followed: {error}")),
            }
            for event in &events {
                match event.data.u64() {
                    ORDERS => {
                        // Empties the counter; there may be nothing in it.
                        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
                    }
                    token if token & 1 == 1 => {
                        let upshot = self.clusters.knocks(token >> 1);
                        self.follow(upshot);
                    }
                    token => self.happened(Incarnation(token >> 1), event.flags),
                }
            }
            for incarnation in std::mem::take(&mut self.unheard) {
                self.hear(incarnation);
            }
            self.catch_up();
            self.obey();
        }
    }

    /// How long to wait at most: until something is to be done that nothing wakes us for.
    fn pause(&mut self) -> Option<Millis> {
        let waits = !self.again.is_empty() || !self.clusters.again.is_empty();
        let due = self.clusters.due();
        let now = clock::now().instant;
        self.due = waits.then(|| self.due.unwrap_or(now + AGAIN));
        let pause = self.due.into_iter().chain(due).min().map(|due| due - now);
        if self.unheard.is_empty() { pause } else { Some(Millis(0)) }
    }

    /// Does what is due.
    fn catch_up(&mut self) {
        if self.due.is_none() && self.clusters.due().is_none() {
            return;
        }
        let now = clock::now().instant;
        if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            for incarnation in std::mem::take(&mut self.again) {
                self.flush(incarnation);
            }
            let upshot = self.clusters.retry();
            self.follow(upshot);
        }
        let upshot = self.clusters.tick(now);
        self.follow(upshot);
    }

    /// Carries out what the loop has ordered so far.
    fn obey(&mut self) {
        loop {
            match self.orders.try_recv() {
                Ok(order) => self.carry_out(order),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.over = true;
                    return;
                }
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Open(key, socket, role) => self.open(key, socket, role.as_ref()),
            Order::Settle => {
                let works = self.channels.iter().filter(|(_, channel)| channel.works);
                let lives = works.map(|(incarnation, _)| WorkerId(incarnation.0)).collect();
                let upshot = self.clusters.settle(&lives);
                self.follow(upshot);
                self.shelf.only(&self.channels.keys().copied().collect());
            }
            Order::Leaving((_, incarnation)) => {
                let upshot = self.clusters.leaving(WorkerId(incarnation.0));
                self.follow(upshot);
            }
            Order::Drain((_, incarnation)) => {
                let upshot = self.clusters.drain(WorkerId(incarnation.0));
                self.follow(upshot);
                if let Some(channel) = self.channels.get_mut(&incarnation) {
                    channel.drains = true;
                    self.flush(incarnation);
                }
            }
            Order::Up(up, number) => {
                let mut upshot = self.clusters.only(&up);
                let closed = std::mem::take(&mut upshot.closed);
                self.follow(upshot);
                let tell = Arc::clone(&self.tell);
                match &self.guard {
                    Some(guard) => guard.release(closed, Box::new(move || tell.closed(number))),
                    None => tell.closed(number),
                }
            }
            Order::Say((_, incarnation), message) => drop(self.say(incarnation, &message, false)),
            Order::Act(action) => self.act(action),
            Order::Close((_, incarnation)) => drop(self.let_go(incarnation)),
            // Who asked may have given up.
            Order::Descriptors(answer) => drop(answer.send(self.descriptors())),
        }
    }

    /// Sends a message, of ours or of the program's kind. Says whether there is a channel for it.
    fn say(&mut self, incarnation: Incarnation, message: &Value, own: bool) -> bool {
        let Some(channel) = self.channels.get_mut(&incarnation) else { return false };
        channel.pipe.send(message, own, None);
        self.flush(incarnation);
        true
    }

    fn act(&mut self, Action { name, orders, answers }: Action) {
        let mut waiting = BTreeMap::new();
        for Errand { key: (id, incarnation), message, own } in orders {
            if self.say(incarnation, &message, own) {
                waiting.insert(incarnation, id);
            } else {
                answers.answer(id, None);
            }
        }
        self.asking.begin(name, waiting, answers);
    }

    fn open(&mut self, key: Key, socket: OwnedFd, role: Option<&Role>) {
        let data = epoll::EventData::new_u64(key.1.0 << 1);
        if let Err(error) = epoll::add(&self.epoll, &socket, data, COMING) {
            journal::error(format_args!("the channel of slot {} can't be followed: {error}", key.0));
            return self.tell.said(key, Said::Gone);
        }
        let mut pipe = Pipe::over(socket);
        pipe.marked = role.is_some() && self.clusters.is_marked(WorkerId(key.1.0));
        let works = role.is_some();
        let channel = Channel { key, works, pipe, awaits_room: false, hung_up: false, unheard: false, drains: false };
        self.channels.insert(key.1, channel);
        if self.shelf.begin(key.1) {
            self.say(key.1, &told::report(), true);
        }
        if let Some(role) = role {
            let upshot = self.clusters.join(WorkerId(key.1.0), role);
            self.follow(upshot);
        }
    }

    /// Does what follows from what a primary decided.
    fn follow(&mut self, upshot: Upshot) {
        let Upshot { letters, listening, closed, waits, deaf } = upshot;
        for Letter { to, message, handle } in letters {
            let to = Incarnation(to.0);
            if let Some(channel) = self.channels.get_mut(&to) {
                channel.pipe.send(&message, true, handle);
                self.flush(to);
            }
        }
        for worker in listening {
            if let Some(channel) = self.channels.get(&Incarnation(worker.0)) {
                self.tell.said(channel.key, Said::Listening);
            }
        }
        if let (Some(guard), false) = (&self.guard, closed.is_empty()) {
            let (done, is_done) = channel();
            // Nobody waits for it where the address is free already.
            let tell = move || {
                let _ = done.send(());
            };
            guard.release(closed, Box::new(tell));
            if waits {
                // It is called in any case, and whatever happens then the next socket is opened after it.
                let _ = is_done.recv();
            }
        }
        for worker in deaf {
            // Its program takes the end of its channel for that of its primary, and ends; the next one is heard.
            if let Some(channel) = self.let_go(Incarnation(worker.0)) {
                journal::warn(format_args!("a worker of slot {} has lost its sockets, and ends", channel.key.0));
                self.tell.said(channel.key, Said::Gone);
            }
        }
    }

    /// Forgets a channel. The guard's copy is the same open file: without this its events would go on.
    fn let_go(&mut self, incarnation: Incarnation) -> Option<Channel> {
        let channel = self.channels.remove(&incarnation)?;
        self.shelf.end(incarnation);
        self.asking.ended(incarnation);
        // It was added, so it is there.
        let _ = epoll::delete(&self.epoll, channel.pipe.socket());
        if channel.works {
            let upshot = self.clusters.left(WorkerId(incarnation.0));
            self.follow(upshot);
        }
        Some(channel)
    }

    fn descriptors(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let one =
            |channel: &Channel| Ok((ends::name(channel.key), channel.pipe.socket().as_fd().try_clone_to_owned()?));
        let mut all: Vec<_> = self.channels.values().map(one).collect::<io::Result<_>>()?;
        all.extend(self.clusters.descriptors()?);
        Ok(all)
    }

    fn happened(&mut self, incarnation: Incarnation, what: epoll::EventFlags) {
        let hangs_up = what.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        // What it does not take in any more must not keep us from what it has said last.
        if hangs_up || what.contains(epoll::EventFlags::OUT) {
            self.flush(incarnation);
        }
        if hangs_up || what.contains(epoll::EventFlags::IN) {
            if let Some(channel) = self.channels.get_mut(&incarnation) {
                channel.hung_up |= what.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP);
            }
            self.hear(incarnation);
        }
    }

    /// Takes in what a program says, to the end of what is there, if that is not far; with half a frame nothing follows
    /// if it has hung up.
    fn hear(&mut self, incarnation: Incarnation) {
        for _ in 0..LOOKS {
            let Some(channel) = self.channels.get_mut(&incarnation) else { return };
            if !channel.pipe.is_flushed() {
                channel.unheard = true;
                return;
            }
            let hung_up = channel.hung_up;
            let look = channel.pipe.look(&mut self.buffer);
            // What the loop has ordered before this was said comes before it: what a worker closes when it was signalled
            // must find that it is leaving.
            self.obey();
            match look {
                Look::Frames(frames, bytes) => {
                    for frame in frames {
                        self.heard(incarnation, frame);
                    }
                    self.shelf.keep(incarnation);
                    if let Some(channel) = self.channels.get_mut(&incarnation) {
                        channel.pipe.handled(bytes);
                        if channel.pipe.is_flushed() {
                            channel.pipe.consume(&mut self.buffer);
                        }
                    }
                }
                Look::Nothing if !hung_up => return,
                Look::Nothing | Look::End => {
                    if let Some(channel) = self.let_go(incarnation) {
                        self.tell.said(channel.key, Said::Gone);
                    }
                    return;
                }
            }
        }
        self.unheard.insert(incarnation);
    }

    fn heard(&mut self, incarnation: Incarnation, frame: Frame) {
        let Some(channel) = self.channels.get_mut(&incarnation) else { return };
        if frame.marked && !channel.pipe.marked {
            channel.pipe.marked = true;
            let upshot = self.clusters.mark(WorkerId(incarnation.0));
            self.follow(upshot);
        }
        let Some(channel) = self.channels.get_mut(&incarnation) else { return };
        match frame.value.map(classify) {
            Some(Incoming::Program(message)) if message == "ready" => {
                self.tell.said(channel.key, Said::Ready);
                let upshot = self.clusters.ready(WorkerId(incarnation.0));
                self.follow(upshot);
                self.told(incarnation, message, Teller::Program, frame.length);
            }
            Some(Incoming::Cluster(message)) => {
                let upshot = self.clusters.message(WorkerId(incarnation.0), &message);
                self.follow(upshot);
            }
            Some(reached @ (Incoming::Acknowledged | Incoming::NotAcknowledged)) => {
                let upshot = self.clusters.received(WorkerId(incarnation.0), reached == Incoming::Acknowledged);
                self.follow(upshot);
            }
            // Its next one would wait for the answer.
            Some(Incoming::WithHandle(_)) => {
                channel.pipe.send(&acknowledge(), true, None);
                self.flush(incarnation);
            }
            Some(Incoming::Program(message)) => self.told(incarnation, message, Teller::Program, frame.length),
            Some(Incoming::Module(message)) => self.told(incarnation, message, Teller::Module, frame.length),
            Some(Incoming::Internal) | None => {}
        }
    }

    fn told(&mut self, incarnation: Incarnation, mut message: Value, teller: Teller, size: usize) {
        let Some(channel) = self.channels.get(&incarnation) else { return };
        match self.shelf.hear(channel.key, &message, teller) {
            Heard::Answer(action, value) => self.asking.answered(incarnation, &action, &value),
            Heard::Event => {}
            Heard::Metrics | Heard::Lasting => return,
        }
        if self.ear.takes(size) {
            if let (Teller::Module, Some(members)) = (teller, message.as_object_mut()) {
                members.remove("cmd");
            }
            self.tell.spoke(channel.key, message, size);
        }
    }

    fn flush(&mut self, incarnation: Incarnation) {
        let Some(channel) = self.channels.get_mut(&incarnation) else { return };
        let flushed = channel.pipe.flush();
        if flushed == Flushed::Later {
            self.again.insert(incarnation);
        }
        if flushed == Flushed::All && (channel.pipe.consume(&mut self.buffer) | std::mem::take(&mut channel.unheard)) {
            self.unheard.insert(incarnation);
        }
        let tells = flushed == Flushed::All && std::mem::take(&mut channel.drains);
        let awaits_room = flushed == Flushed::Full;
        if channel.awaits_room != awaits_room {
            channel.awaits_room = awaits_room;
            let events = if awaits_room { COMING | epoll::EventFlags::OUT } else { COMING };
            let data = epoll::EventData::new_u64(incarnation.0 << 1);
            if let Err(error) = epoll::modify(&self.epoll, channel.pipe.socket(), data, events) {
                journal::error(format_args!("the channel of slot {} can't be followed: {error}", channel.key.0));
            }
        }
        if tells {
            let upshot = self.clusters.told(WorkerId(incarnation.0));
            self.follow(upshot);
        }
    }
}

#[cfg(test)]
mod tests;
