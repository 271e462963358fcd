//! The native socket: connections, who may use them, and what is sent to them.
//!
//! Each connection has a task that reads and one that writes. Between loop and writing task is a bounded queue: a
//! client that does not read what it asked for, or follows, is dropped when its queue is full.

use super::inbox::Call;
use crate::frame;
use crate::home::{Home, named};
use baton_core::proto::{ClientMessage, LogLines, ProgramMessage, Reply, ServerMessage, Update};
use rustix::process::{Resource, getrlimit};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{Receiver, Sender, WeakSender, channel};
use tokio::task::JoinHandle;

/// Frames that may wait for one client.
const QUEUE: usize = 1024;
/// How long a client may take to read its last answers when the daemon ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// Connections that are kept: a part of the descriptors that there are, because apps need some, too.
const SHARE: usize = 4;
const LEAST: usize = 16;
const MOST: usize = 4096;

/// Names a connection; never used twice.
pub(super) type ClientId = u64;

/// One encoded frame, shared between those who get it.
type Frame = Arc<Vec<u8>>;

/// Opens the socket. It appears under its name when it already answers, in place of one that a dead daemon left.
///
/// # Errors
/// When the path is too long or the file can't be made.
pub(super) fn listen(home: &Home) -> io::Result<UnixListener> {
    home.check_socket_path()?;
    let (path, temporary) = (home.socket(), home.run().join("s"));
    let failed = |error: io::Error| named(&error, "open the socket", &path);
    crate::home::remove_file(&temporary).map_err(failed)?;
    let listener = std::os::unix::net::UnixListener::bind(&temporary).map_err(failed)?;
    fs::set_permissions(&temporary, Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = UnixListener::from_std(listener).map_err(failed)?;
    fs::rename(&temporary, &path).map_err(failed)?;
    Ok(listener)
}

/// Whoever asked one question: takes the answer from any thread.
#[derive(Clone, Debug)]
pub(super) struct Responder {
    queue: Sender<Frame>,
    request: u64,
}

impl Responder {
    /// Answers. A client that is gone, or whose queue is full, misses it.
    pub(super) fn send(&self, reply: &Reply) {
        if let Some(frame) = reply_frame(self.request, reply) {
            let _ = self.queue.try_send(frame);
        }
    }
}

/// Takes lines to one client, from any thread. It does not keep the connection.
#[derive(Debug)]
pub(super) struct LineSink {
    queue: WeakSender<Frame>,
    request: u64,
    sent: VecDeque<Weak<Vec<u8>>>,
}

impl LineSink {
    /// Answers the request: lines that are written after this are not missed.
    pub(super) fn begin(&self) {
        if let (Some(queue), Some(frame)) = (self.queue.upgrade(), reply_frame(self.request, &Reply::Done)) {
            let _ = queue.try_send(frame);
        }
    }

    /// Whether the client is still there.
    pub(super) fn is_open(&self) -> bool {
        self.queue.upgrade().is_some()
    }

    /// How many frames of lines the client has not read yet.
    pub(super) fn on_their_way(&mut self) -> usize {
        self.sent.retain(|frame| frame.strong_count() > 0);
        self.sent.len()
    }

    /// Sends lines. Says whether the client is still there.
    pub(super) fn send(&mut self, lines: LogLines) -> bool {
        let Some(queue) = self.queue.upgrade() else { return false };
        // Too long for a frame is nothing that was put together with a limit.
        let Ok(frame) = frame::encode(&ServerMessage::Lines(lines)).map(Arc::new) else { return true };
        self.sent.push_back(Arc::downgrade(&frame));
        queue.try_send(frame).is_ok()
    }
}

/// Takes several answers to one question to one client, from any thread. It does not keep the connection.
#[derive(Clone, Debug)]
pub(super) struct Replies {
    queue: WeakSender<Frame>,
    request: u64,
}

impl Replies {
    /// One answer. A client that is gone, or whose queue is full, misses it.
    pub(super) fn send(&self, reply: &Reply) {
        if let (Some(queue), Some(frame)) = (self.queue.upgrade(), reply_frame(self.request, reply)) {
            let _ = queue.try_send(frame);
        }
    }

    /// Whether the client is still there.
    pub(super) fn is_open(&self) -> bool {
        self.queue.upgrade().is_some()
    }
}

#[derive(Debug)]
struct Connection {
    queue: Sender<Frame>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
    follows: bool,
    hears: bool,
    /// It was promised lines.
    reads: bool,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    calls: Sender<Call>,
    open: BTreeMap<ClientId, Connection>,
    next: ClientId,
    /// How many are kept.
    most: usize,
}

impl Connections {
    /// None yet; what they ask goes to `calls`.
    pub(super) fn new(calls: Sender<Call>) -> Connections {
        let files = getrlimit(Resource::Nofile).current.map_or(MOST, |limit| usize::try_from(limit).unwrap_or(MOST));
        Connections { calls, open: BTreeMap::new(), next: 0, most: (files / SHARE).clamp(LEAST, MOST) }
    }

    /// Takes a connection in, if it is of our own user or root. Where there are too many, the oldest that nothing is owed
    /// to is let go for it, and returned: `waits` tells who waits for an answer.
    pub(super) fn accept(
        &mut self,
        stream: UnixStream,
        waits: impl Fn(ClientId) -> bool,
    ) -> Result<Option<ClientId>, String> {
        let ours = rustix::process::geteuid().as_raw();
        let peer = stream.peer_cred().map_err(|error| format!("a peer could not be identified: {error}"))?.uid();
        if peer != ours && peer != 0 {
            return Err(format!("a connection of user {peer} was refused"));
        }
        let id = self.next;
        self.next += 1;
        let (mut reading, mut writing) = stream.into_split();
        let (queue, mut frames): (Sender<Frame>, Receiver<Frame>) = channel(QUEUE);
        let calls = self.calls.clone();
        let reader = tokio::spawn(async move {
            while let Ok(Some(message)) = frame::receive::<ClientMessage>(&mut reading).await {
                if calls.send(Call::Request(id, message)).await.is_err() {
                    return;
                }
            }
            // The receiver lives as long as the daemon.
            let _ = calls.send(Call::Gone(id)).await;
        });
        let writer = tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                if writing.write_all(&frame).await.is_err() {
                    // The reading task sees the end too.
                    return;
                }
            }
        });
        let idle = |(id, connection): (&ClientId, &Connection)| {
            let owed = connection.follows || connection.hears || connection.reads || waits(*id);
            (!owed).then_some(*id)
        };
        let dropped = if self.open.len() < self.most { None } else { self.open.iter().find_map(idle) };
        self.open.insert(id, Connection { queue, reader, writer, follows: false, hears: false, reads: false });
        Ok(dropped)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Someone to answer to; `None` when the client is gone.
    pub(super) fn responder(&self, client: ClientId, request: u64) -> Option<Responder> {
        self.open.get(&client).map(|connection| Responder { queue: connection.queue.clone(), request })
    }

    /// Someone to answer to several times; `None` when the client is gone.
    pub(super) fn replies(&self, client: ClientId, request: u64) -> Option<Replies> {
        self.open.get(&client).map(|connection| Replies { queue: connection.queue.downgrade(), request })
    }

    /// Answers a request.
    pub(super) fn reply(&mut self, client: ClientId, request: u64, reply: &Reply) {
        if let Some(frame) = reply_frame(request, reply) {
            self.send(client, frame);
        }
    }

    /// Where lines for a client go; `None` when it is gone. The answer to its request is sent with the first of them.
    pub(super) fn line_sink(&mut self, client: ClientId, request: u64) -> Option<LineSink> {
        let connection = self.open.get_mut(&client)?;
        connection.reads = true;
        let queue = connection.queue.downgrade();
        Some(LineSink { queue, request, sent: VecDeque::new() })
    }

    /// From now on the client gets updates; the first is this one.
    pub(super) fn follow(&mut self, client: ClientId, first: &Update) {
        if let Some(connection) = self.open.get_mut(&client) {
            connection.follows = true;
        }
        if let Some(frame) = update_frame(first) {
            self.send(client, frame);
        }
    }

    /// Tells all who follow. It is encoded once, and not at all when nobody does.
    pub(super) fn publish(&mut self, update: &Update) {
        let followers: Vec<ClientId> = self.open.iter().filter(|(_, c)| c.follows).map(|(id, _)| *id).collect();
        if followers.is_empty() {
            return;
        }
        let Some(frame) = update_frame(update) else { return };
        for client in followers {
            self.send(client, Arc::clone(&frame));
        }
    }

    /// From now on the client gets what programs say.
    pub(super) fn hear(&mut self, client: ClientId) {
        if let Some(connection) = self.open.get_mut(&client) {
            connection.hears = true;
        }
    }

    /// Whether anybody gets what programs say.
    pub(super) fn anyone_hears(&self) -> bool {
        self.open.values().any(|connection| connection.hears)
    }

    /// Tells all who hear. Who does not read misses it.
    pub(super) fn pass_on(&self, message: ProgramMessage) {
        let Ok(frame) = frame::encode(&ServerMessage::Message(message)).map(Arc::new) else { return };
        for connection in self.open.values().filter(|connection| connection.hears) {
            let _ = connection.queue.try_send(Arc::clone(&frame));
        }
    }

    /// Lets a client go.
    pub(super) fn remove(&mut self, client: ClientId) {
        if let Some(connection) = self.open.remove(&client) {
            connection.reader.abort();
        }
    }

    /// Closes all connections once their last answers are read.
    pub(super) async fn close(&mut self) {
        for (_, connection) in std::mem::take(&mut self.open) {
            connection.reader.abort();
            drop(connection.queue);
            // Who does not read has to do without.
            let _ = tokio::time::timeout(FAREWELL, connection.writer).await;
        }
    }

    fn send(&mut self, client: ClientId, frame: Frame) {
        let full = self.open.get(&client).is_some_and(|connection| connection.queue.try_send(frame).is_err());
        if full {
            self.remove(client);
        }
    }
}

fn reply_frame(id: u64, reply: &Reply) -> Option<Frame> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Message<'a> {
        Reply { id: u64, reply: &'a Reply },
    }
    frame::encode(&Message::Reply { id, reply }).map(Arc::new).ok()
}

fn update_frame(update: &Update) -> Option<Frame> {
    frame::encode(&ServerMessage::Update(update.clone())).map(Arc::new).ok()
}
