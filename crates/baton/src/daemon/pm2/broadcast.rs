//! Everyone who is connected to `pub.sock` is told what programs say and write, what happens to them, and what the daemon
//! itself writes. The daemon is listened to only while somebody is.
//!
//! Who does not read misses messages: [`AHEAD`] bytes are kept for it, the same for everyone who is as far behind.

use super::is_ours;
use crate::client::Client;
use crate::daemon::journal;
use crate::frame;
use crate::home::Home;
use baton_core::proto::{Change, List, Reply, Request, ServerMessage, Update};
use baton_core::select::Selector;
use baton_core::units::{InstanceId, WallTime};
use baton_core::world::{Detail, InstanceView};
use baton_os::clock;
use baton_pm2::amp::{Argument, encode};
use baton_pm2::bus::{self, Event, Seen};
use baton_pm2::record::Host;
use baton_pm2::version::nearest;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

/// Bytes that may wait for one who listens.
const AHEAD: usize = 4 * 1024 * 1024;
/// How long the end of the daemon waits for its last words to be said.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Most who may listen; more are closed.
const MOST: usize = 256;
/// Lines of the daemon itself that may wait for the thread; it misses more.
const LINES: usize = 1024;

/// What the thread is asked, and who waits until it is done.
struct Order {
    /// Is said to everybody before.
    packet: Option<(String, Value)>,
    done: Sender<()>,
}

/// The hold on the thread.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Bus {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread or descriptor to be had.
    pub(super) fn start(home: Home, listener: UnixListener) -> io::Result<Bus> {
        listener.set_nonblocking(true)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, received) = channel();
        let (pen, lines) = sync_channel(LINES);
        let worker = Worker {
            home,
            listener,
            orders: received,
            wake: Arc::clone(&wake),
            pen,
            lines,
            daemon: None,
            ending: false,
            ears: Vec::new(),
        };
        thread::Builder::new().name("pm2-pub".into()).spawn(move || {
            if let Err(error) = worker.run() {
                journal::warn(format_args!("PM2's bus can't go on: {error}"));
            }
        })?;
        Ok(Bus { orders, wake })
    }

    /// Waits until everyone who has connected is listened for.
    pub(super) fn settle(&self) {
        if let Some(settled) = self.order(None) {
            // A thread that has ended has said why.
            let _ = settled.recv();
        }
    }

    /// Tells everyone that the daemon ends; `by_command` together with its apps.
    pub(super) fn end(&self, by_command: bool) {
        if let Some(said) = self.order(Some(bus::kill(by_command))) {
            // Who can't be told in time sees the connection end.
            let _ = said.recv_timeout(LAST_WORDS);
        }
    }

    fn order(&self, packet: Option<(String, Value)>) -> Option<Receiver<()>> {
        let (done, waiting) = channel();
        self.orders.send(Order { packet, done }).ok()?;
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        Some(waiting)
    }
}

struct Worker {
    home: Home,
    listener: UnixListener,
    orders: Receiver<Order>,
    wake: Arc<OwnedFd>,
    /// What the daemon itself writes comes in here while somebody listens.
    pen: SyncSender<(WallTime, String)>,
    lines: Receiver<(WallTime, String)>,
    daemon: Option<Daemon>,
    /// The daemon has said that it ends.
    ending: bool,
    ears: Vec<Ear>,
}

/// What the daemon is listened to with.
struct Daemon {
    /// What programs say and write, and what happens to them, comes from here.
    stream: BufReader<UnixStream>,
    /// Asks for what is not told: the records of processes.
    client: Client,
    slots: BTreeMap<InstanceId, (Seen, Option<InstanceView>)>,
}

struct Ear {
    stream: UnixStream,
    /// Whole packets that it has still to be sent, shared with the others.
    waiting: VecDeque<Arc<[u8]>>,
    /// How many bytes these are.
    behind: usize,
    /// What has been sent of the first of them.
    sent: usize,
    gone: bool,
}

impl Worker {
    fn run(mut self) -> io::Result<()> {
        loop {
            let mut ready = vec![PollFd::new(&*self.wake, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
            ready.extend(self.ears.iter().map(|ear| {
                let room = if ear.waiting.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
                PollFd::new(&ear.stream, PollFlags::IN | room)
            }));
            ready.extend(self.daemon.iter().map(|daemon| PollFd::new(daemon.stream.get_ref(), PollFlags::IN)));
            match poll(&mut ready, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let said = self.daemon.is_some() && ready.last().is_some_and(|daemon| !daemon.revents().is_empty());
            drop(ready);
            // Empties the counter; there may be nothing in it.
            let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
            self.accept()?;
            if said && !self.hear() {
                self.daemon = None;
                self.listen()?;
            }
            say(&mut self.ears, self.lines.try_iter().map(|(at, text)| bus::journal(&text, at)));
            for order in self.orders.try_iter() {
                if let Some(packet) = order.packet {
                    say(&mut self.ears, [packet]);
                    self.ears.iter_mut().for_each(Ear::look);
                }
                // Who asked may have gone.
                let _ = order.done.send(());
            }
            self.ears.iter_mut().for_each(Ear::look);
            self.ears.retain(|ear| !ear.gone);
            if self.ears.is_empty() {
                self.daemon = None;
                journal::overhear(None);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) if is_ours(&stream) && self.ears.len() < MOST => {
                    stream.set_nonblocking(true)?;
                    self.ears.push(Ear { stream, waiting: VecDeque::new(), behind: 0, sent: 0, gone: false });
                }
                Ok(_) => journal::warn("a connection to PM2's bus was refused"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.listen()
    }

    /// Listens to the daemon for those who are there.
    fn listen(&mut self) -> io::Result<()> {
        if self.daemon.is_some() || self.ears.is_empty() || self.ending {
            return Ok(());
        }
        let (pen, wake) = (self.pen.clone(), Arc::clone(&self.wake));
        journal::overhear(Some(Box::new(move |at, text| {
            // Who does not read misses what is too much.
            let _ = pen.try_send((at, text.to_owned()));
            let _ = rustix::io::write(&*wake, &1u64.to_ne_bytes());
        })));
        let connect = || Client::connect(&self.home)?.ok_or_else(|| io::Error::other("the daemon is ending"));
        let (early, stream) = connect()?.overhear().map_err(|error| io::Error::other(error.to_string()))?;
        self.daemon = Some(Daemon { stream, client: connect()?, slots: BTreeMap::new() });
        for message in early {
            self.take(message);
        }
        Ok(())
    }

    /// Passes on what the daemon has told. Says whether it is still there.
    fn hear(&mut self) -> bool {
        while let Some(daemon) = &mut self.daemon {
            match frame::read(&mut daemon.stream) {
                Ok(Some(message)) => self.take(message),
                Ok(None) | Err(_) => return false,
            }
            if self.daemon.as_ref().is_some_and(|daemon| daemon.stream.buffer().is_empty()) {
                return true;
            }
        }
        true
    }

    fn take(&mut self, message: ServerMessage) {
        let Some(daemon) = &mut self.daemon else { return };
        let packets = match message {
            ServerMessage::Message(said) => vec![bus::packet(&said)],
            ServerMessage::Lines(lines) => {
                let of = |id| daemon.slots.get(&id).map_or("", |(seen, _)| seen.view.namespace.as_str());
                lines.lines.iter().map(|line| bus::line(line, of(line.id))).collect()
            }
            ServerMessage::Update(Update { change: Change::Ending, .. }) => {
                self.ending = true;
                Vec::new()
            }
            ServerMessage::Update(update) => daemon.change(update.change, &self.home),
            ServerMessage::Reply { .. } => Vec::new(),
        };
        say(&mut self.ears, packets);
    }
}

/// Tells everyone.
fn say(ears: &mut [Ear], packets: impl IntoIterator<Item = (String, Value)>) {
    // What is too long for PM2's framing nobody could read.
    let encoded =
        packets.into_iter().flat_map(|(topic, payload)| encode(&[Argument::Text(topic), Argument::Json(payload)]));
    let bytes: Arc<[u8]> = encoded.flatten().collect();
    if !bytes.is_empty() {
        ears.iter_mut().for_each(|ear| ear.take(&bytes));
    }
}

impl Daemon {
    /// What a change means in PM2's words.
    fn change(&mut self, change: Change, home: &Home) -> Vec<(String, Value)> {
        match change {
            Change::Snapshot(listing) => {
                let mut whole: BTreeMap<_, _> =
                    self.whole(Vec::new()).into_iter().map(|view| (view.id, view)).collect();
                let seen = listing.instances.into_iter();
                self.slots =
                    seen.map(|view| (view.id, (Seen::present(view.clone()), whole.remove(&view.id)))).collect();
                Vec::new()
            }
            Change::Slot(view) => {
                let id = view.id;
                // What has ended is told as it was.
                let restarts = self.slots.get(&id).map_or(view.restarts, |(seen, _)| seen.view.restarts);
                let events = match self.slots.get_mut(&id) {
                    Some((seen, _)) => seen.change(*view),
                    None => {
                        let (seen, events) = Seen::new(*view);
                        self.slots.insert(id, (seen, None));
                        events
                    }
                };
                // A record is there when something happened, and for a slot that may go.
                if !events.is_empty() || self.slots.get(&id).is_some_and(|(_, whole)| whole.is_none()) {
                    let now = self.whole(vec![Selector::of(id)]).pop();
                    if let (Some((_, whole)), Some(now)) = (self.slots.get_mut(&id), now) {
                        *whole = Some(now);
                    }
                }
                let Some((seen, whole)) = self.slots.get(&id) else { return Vec::new() };
                packets(&events, &seen.view, restarts, whole.as_ref(), home)
            }
            Change::Gone(id) => {
                let Some((seen, whole)) = self.slots.remove(&id) else { return Vec::new() };
                let (view, events) = seen.leave();
                packets(&events, &view, view.restarts, whole.as_ref(), home)
            }
            Change::Ending => Vec::new(),
        }
    }

    /// Slots with their definitions; none when the daemon does not answer any more.
    fn whole(&mut self, targets: Vec<Selector>) -> Vec<InstanceView> {
        match self.client.call(Request::List(List { targets, detail: Detail::Definition })) {
            Ok(Reply::List(listing)) => listing.instances,
            _ => Vec::new(),
        }
    }
}

/// What has happened to a slot as it is shown, with its record as it was last known.
fn packets(
    events: &[Event],
    shown: &InstanceView,
    restarts_before: u32,
    whole: Option<&InstanceView>,
    home: &Home,
) -> Vec<(String, Value)> {
    if events.is_empty() {
        return Vec::new();
    }
    let spec = whole.and_then(|whole| whole.spec.clone());
    let view = InstanceView { spec, ..shown.clone() };
    let before = InstanceView { restarts: restarts_before, ..view.clone() };
    let version = |script: &str| nearest(script, |path| std::fs::read_to_string(path).ok());
    let root = home.root().to_string_lossy();
    let host = Host { home: &root, version: &version };
    let of = |event: &Event| if *event == Event::Exit { &before } else { &view };
    events.iter().map(|event| bus::event(*event, of(event), host, clock::now().wall)).collect()
}

impl Ear {
    fn take(&mut self, bytes: &Arc<[u8]>) {
        if self.behind == 0 || self.behind + bytes.len() <= AHEAD {
            self.waiting.push_back(Arc::clone(bytes));
            self.behind += bytes.len();
        }
    }

    /// Sends what there is room for, and sees whether it is still there.
    fn look(&mut self) {
        while let (Some(first), false) = (self.waiting.front(), self.gone) {
            match self.stream.write(&first[self.sent..]) {
                Ok(count) => {
                    self.behind -= count;
                    self.sent += count;
                    if self.sent == first.len() {
                        self.waiting.pop_front();
                        self.sent = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
        let mut nothing = [0; 4096];
        while !self.gone {
            match self.stream.read(&mut nothing) {
                Ok(0) => self.gone = true,
                // Nobody says anything here.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
    }
}
