//! Lines of logs for whoever listens. They exist only while somebody does: a thread then follows the log files of the
//! chosen apps, as `logs` does. The log thread has no part in it.
//!
//! A listener that does not read misses lines, and is told how many: nothing is kept for it but [`FRAMES`] frames. It
//! holds up nobody, and memory stays flat.

use super::journal;
use super::server::{ClientId, LineSink};
use crate::home::Home;
use crate::logs::cursor::{Cursor, Wanted};
use crate::logs::follow::{Follower, From, PATIENCE};
use crate::logs::query::Query;
use crate::logs::source::{self, Filter, Source, Stream, Streams};
use baton_core::proto::{Change, LineStream, LogLine, LogLines};
use baton_core::units::{InstanceId, WallTime};
use baton_core::world::InstanceView;
use baton_os::clock;
use baton_os::logs::base64;
use jiff::tz::TimeZone;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

/// Frames that may be on their way to one listener.
const FRAMES: usize = 16;
/// Text in one frame, in bytes; a longer line has one for itself.
const TEXT: usize = 64 * 1024;
/// A longer line comes in pieces.
const LONGEST: usize = 256 * 1024;
/// How often a listener that missed lines is tried again (ms).
const AGAIN: u64 = 250;

/// Who listens, and the thread that reads for them.
#[derive(Debug)]
pub(super) struct Bus {
    home: Home,
    listeners: BTreeSet<ClientId>,
    thread: Option<Orders>,
}

#[derive(Debug)]
struct Orders {
    sender: Sender<Order>,
    wake: Arc<OwnedFd>,
}

enum Order {
    Listen(ClientId, Filter, Streams, LineSink, Vec<InstanceView>),
    Leave(ClientId),
    Slot(Box<InstanceView>),
    Gone(InstanceId),
}

impl Bus {
    /// Nobody listens yet.
    pub(super) fn new(home: Home) -> Bus {
        Bus { home, listeners: BTreeSet::new(), thread: None }
    }

    /// From now on this client gets the lines of the slots that the words mean, now and later.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub(super) fn listen(
        &mut self,
        client: ClientId,
        (filter, streams): (Filter, Streams),
        sink: LineSink,
        slots: Vec<InstanceView>,
    ) -> io::Result<()> {
        if self.thread.is_none() {
            self.thread = Some(self.start()?);
        }
        self.listeners.insert(client);
        self.send(Order::Listen(client, filter, streams, sink, slots));
        Ok(())
    }

    /// A client is gone.
    pub(super) fn leave(&mut self, client: ClientId) {
        if !self.listeners.remove(&client) {
            return;
        }
        self.send(Order::Leave(client));
        if self.listeners.is_empty() {
            // The thread ends when nobody can give it orders.
            self.thread = None;
        }
    }

    /// Something changed; of no interest while nobody listens.
    pub(super) fn tell(&self, change: &Change) {
        match change {
            _ if self.thread.is_none() => {}
            Change::Slot(view) => self.send(Order::Slot(view.clone())),
            Change::Gone(id) => self.send(Order::Gone(*id)),
            Change::Snapshot(_) | Change::Ending => {}
        }
    }

    fn send(&self, order: Order) {
        if let Some(thread) = &self.thread {
            // A thread that has ended has said why.
            let _ = thread.sender.send(order);
            let _ = rustix::io::write(&*thread.wake, &1u64.to_ne_bytes());
        }
    }

    fn start(&self) -> io::Result<Orders> {
        let wanted = Wanted { longest: LONGEST, timed: false, follows: true, ..Wanted::default() };
        let query = Query { wanted, lines: Some(0), times: self.home.times(), zone: TimeZone::UTC };
        let follower = Follower::new(query)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (sender, orders) = channel();
        let worker = Worker {
            orders,
            wake: Arc::clone(&wake),
            follower,
            slots: BTreeMap::new(),
            listeners: BTreeMap::new(),
            began: clock::now().wall.0,
        };
        thread::Builder::new().name("baton-bus".into()).spawn(move || {
            if let Err(error) = worker.run() {
                journal::error(format_args!("lines of logs can't be followed: {error}"));
            }
        })?;
        Ok(Orders { sender, wake })
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        // So that the thread finds that its sender is gone: that happens right after this.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

struct Listener {
    filter: Filter,
    streams: Streams,
    sink: LineSink,
    paths: BTreeSet<PathBuf>,
    lines: Vec<LogLine>,
    /// Bytes of text in these.
    text: usize,
    missed: u64,
}

struct Worker {
    orders: Receiver<Order>,
    wake: Arc<OwnedFd>,
    follower: Follower,
    slots: BTreeMap<InstanceId, InstanceView>,
    listeners: BTreeMap<ClientId, Listener>,
    began: u64,
}

impl Worker {
    fn run(mut self) -> io::Result<()> {
        loop {
            let mut ready = [PollFd::new(&*self.wake, PollFlags::IN), PollFd::new(&self.follower, PollFlags::IN)];
            let behind = self.listeners.values().any(|listener| listener.missed > 0);
            let wait = match (behind, self.follower.is_amid_line()) {
                (true, _) => Some(AGAIN),
                (false, true) => Some(PATIENCE),
                (false, false) => None,
            };
            let wait = wait.map(|ms| Timespec {
                tv_sec: i64::try_from(ms / 1000).unwrap_or(1),
                tv_nsec: i64::try_from(ms % 1000 * 1_000_000).unwrap_or(0),
            });
            let events = match poll(&mut ready, wait.as_ref()) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if !self.take_orders()? {
                return Ok(());
            }
            let listeners = &mut self.listeners;
            let mut give = |cursor: &Cursor| {
                take(cursor, listeners);
                Ok(())
            };
            match events {
                0 if !behind => self.follower.give_unfinished(&mut give)?,
                _ => self.follower.read(&mut give)?,
            }
            // Who shows logs tells what can't be read; here the lines that can be read are all there is.
            self.follower.troubles();
            let before = self.listeners.len();
            self.listeners.retain(|_, listener| listener.send());
            if self.listeners.len() != before {
                self.leave_unwanted();
            }
        }
    }

    /// Says whether anybody can still give orders.
    fn take_orders(&mut self) -> io::Result<bool> {
        let mut count = [0; 8];
        // Nothing to read means nobody has sent anything.
        let _ = rustix::io::read(&*self.wake, &mut count);
        loop {
            match self.orders.try_recv() {
                Ok(Order::Listen(client, filter, streams, sink, slots)) => {
                    self.slots = slots.into_iter().map(|view| (view.id, view)).collect();
                    let (paths, lines) = (BTreeSet::new(), Vec::new());
                    let listener = Listener { filter, streams, sink, paths, lines, text: 0, missed: 0 };
                    self.listeners.insert(client, listener);
                    self.follow(From::End)?;
                    if let Some(listener) = self.listeners.get(&client) {
                        listener.sink.begin();
                    }
                }
                Ok(Order::Leave(client)) => {
                    self.listeners.remove(&client);
                    self.leave_unwanted();
                }
                Ok(Order::Slot(view)) => {
                    self.slots.insert(view.id, *view);
                    self.follow(From::EndUnlessNew(self.began))?;
                }
                Ok(Order::Gone(id)) => {
                    self.slots.remove(&id);
                }
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    /// Follows what is wanted and not followed yet.
    fn follow(&mut self, from: From) -> io::Result<()> {
        for listener in self.listeners.values_mut() {
            for view in self.slots.values().filter(|view| listener.filter.takes(view)) {
                for source in source::of(view, listener.streams) {
                    if listener.paths.insert(source.path.clone()) && self.follower.source(&source.path).is_none() {
                        let path = source.path.display().to_string();
                        match self.follower.add(source, from) {
                            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                                journal::warn(format_args!("{path} can't be followed: {error}"));
                            }
                            other => other?,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn leave_unwanted(&mut self) {
        let listeners = &self.listeners;
        self.follower.retain(|source| listeners.values().any(|listener| listener.paths.contains(&source.path)));
    }
}

/// Puts a line down for everyone who wants it.
fn take(cursor: &Cursor, listeners: &mut BTreeMap<ClientId, Listener>) {
    let Some((_, bytes)) = cursor.current() else { return };
    let source = &cursor.source;
    let mut line: Option<LogLine> = None;
    for listener in listeners.values_mut().filter(|listener| listener.paths.contains(&source.path)) {
        if !listener.has_room() {
            listener.missed += 1;
            continue;
        }
        let line = line.get_or_insert_with(|| line_of(source, bytes));
        listener.lines.push(line.clone());
        listener.text += bytes.len();
    }
}

fn line_of(source: &Source, bytes: &[u8]) -> LogLine {
    let text = bytes.strip_suffix(b"\n");
    let whole = text.is_some();
    let text = text.unwrap_or(bytes);
    let exact = std::str::from_utf8(text).is_ok();
    let raw = (!exact).then(|| {
        let mut out = Vec::new();
        base64(text, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    });
    LogLine {
        id: source.id,
        app: source.name.clone(),
        stream: if source.stream == Stream::Error { LineStream::Err } else { LineStream::Out },
        at: WallTime(clock::now().wall.0),
        text: String::from_utf8_lossy(text).into_owned(),
        raw_base64: raw,
        whole,
    }
}

impl Listener {
    /// Whether another line can be put down, after sending those that are there when they are many.
    fn has_room(&mut self) -> bool {
        if self.text < TEXT {
            return self.missed == 0 || self.sink.on_their_way() < FRAMES;
        }
        self.send();
        self.text < TEXT
    }

    /// Sends what was put down, when there is room on the way. Says whether the listener is still there.
    fn send(&mut self) -> bool {
        if self.lines.is_empty() && self.missed == 0 {
            return self.sink.is_open();
        }
        if self.sink.on_their_way() >= FRAMES {
            return self.sink.is_open();
        }
        let lines = LogLines { missed: self.missed, lines: std::mem::take(&mut self.lines) };
        (self.text, self.missed) = (0, 0);
        self.sink.send(lines)
    }
}
