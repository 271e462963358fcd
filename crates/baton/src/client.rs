//! The client of the native socket: synchronous, one connection, started daemon where none runs.

use crate::frame::{self, FrameError};
use crate::home::Home;
use baton_core::proto::{ClientMessage, Greeting, PROTOCOL, Refusal, Reply, Request, ServerMessage, Update};
use baton_os::guard::launch_guard;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock, inotify};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use thiserror::Error;

/// How long a daemon that holds the home, but does not answer yet, may take before the client gives up.
const PATIENCE: Timespec = Timespec { tv_sec: 15, tv_nsec: 0 };

/// Why the daemon could not be asked.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// The operating system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The daemon did not start; it said why.
    #[error("the daemon could not be started: {0}")]
    NotStarted(String),
    /// A daemon holds the home, but does not answer.
    #[error("a daemon holds {0}, but does not answer on its socket")]
    Unanswered(String),
    /// The daemon ended, or was replaced, before it answered. Whether it did what was asked is not known.
    #[error("the connection to the daemon was lost before it answered")]
    Lost,
    /// The daemon is of another version, or what answers is no daemon.
    #[error("{0}")]
    Foreign(String),
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(_) => ClientError::Lost,
            FrameError::TooLong(_) | FrameError::Malformed(_) => {
                ClientError::Foreign(format!("the daemon sent {error}"))
            }
        }
    }
}

/// A connection to a daemon that speaks our protocol.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    last: u64,
    greeting: Greeting,
    /// Answers that came while another one was awaited.
    answered: BTreeMap<u64, Reply>,
    /// Updates that came while a reply was awaited.
    early: VecDeque<Update>,
}

impl Client {
    /// Connects; `None` when no daemon answers on the home.
    ///
    /// # Errors
    /// When the socket can't be used, or what answers speaks another protocol.
    pub(crate) fn connect(home: &Home) -> io::Result<Option<Client>> {
        match Self::attempt(home) {
            Ok(client) => Ok(client),
            // It ended while it was greeted: as good as not there.
            Err(ClientError::Lost) => Ok(None),
            Err(ClientError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    /// Connects, after starting a daemon where none answers. Starts that happen at the same time end with one daemon.
    ///
    /// # Errors
    /// When the home can't be used, the daemon can't start, or speaks another protocol.
    pub(crate) fn connect_or_start(home: &Home) -> Result<Client, ClientError> {
        if let Some(client) = Self::connect(home)? {
            return Ok(client);
        }
        home.check_socket_path()?;
        home.create()?;
        // Whoever has this lock starts; the others find its daemon when they get it.
        let _starting = lock_start(home)?;
        if let Some(client) = Self::connect(home)? {
            return Ok(client);
        }
        let log = home.daemon_log();
        let readiness =
            launch_guard(home.root(), &log).map_err(|error| crate::home::named(&error, "start with", &log))?;
        match readiness.wait() {
            Ok(()) => Self::connect(home)?.ok_or(ClientError::Lost),
            // The guard of a daemon that has just died starts it again: that one is awaited.
            Err(text) if text == HELD => Watch::on(home)?.await_daemon(home),
            Err(text) => Err(ClientError::NotStarted(text)),
        }
    }

    fn attempt(home: &Home) -> Result<Option<Client>, ClientError> {
        home.check_socket_path()?;
        let stream = match UnixStream::connect(home.socket()) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(crate::home::named(&error, "connect to", &home.socket()).into()),
        };
        let nobody = Greeting {
            protocol: 0,
            version: String::new(),
            pid: 0,
            guard: None,
            started_at: baton_core::units::WallTime::default(),
            notices: Vec::new(),
        };
        let stream = BufReader::new(stream);
        let mut client =
            Client { stream, last: 0, greeting: nobody, answered: BTreeMap::new(), early: VecDeque::new() };
        match client.call(Request::Hello { protocol: PROTOCOL })? {
            Reply::Hello(greeting) => client.greeting = greeting,
            Reply::Refused(refusal @ Refusal::Protocol { .. }) => {
                return Err(ClientError::Foreign(refusal.to_string()));
            }
            _ => return Err(ClientError::Foreign(format!("what answers on {} is no daemon", home.socket().display()))),
        }
        Ok(Some(client))
    }

    /// What the daemon said of itself.
    pub(crate) fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Asks, and waits for the answer. A refusal is an answer too.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the daemon ended before it answered.
    pub(crate) fn call(&mut self, request: Request) -> Result<Reply, ClientError> {
        let asked = self.ask(request)?;
        self.answer(asked)
    }

    /// Asks. The answer is there for [`Client::answer`], by the number that this returns.
    ///
    /// # Errors
    /// When the connection fails.
    pub(crate) fn ask(&mut self, request: Request) -> Result<u64, ClientError> {
        self.last += 1;
        let id = self.last;
        frame::write(self.stream.get_mut(), &ClientMessage { id, request })?;
        Ok(id)
    }

    /// Waits for the answer to what was asked.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) fn answer(&mut self, asked: u64) -> Result<Reply, ClientError> {
        if let Some(reply) = self.answered.remove(&asked) {
            return Ok(reply);
        }
        loop {
            match frame::read(&mut self.stream)?.ok_or(ClientError::Lost)? {
                ServerMessage::Reply { id, reply } if id == asked => return Ok(reply),
                ServerMessage::Reply { id, reply } => drop(self.answered.insert(id, reply)),
                ServerMessage::Update(update) => self.early.push_back(update),
                // This client never asks for them.
                ServerMessage::Lines(_) | ServerMessage::Message(_) => {}
            }
        }
    }

    /// Whether the answer to what was asked last has to wait for something: else it comes before that to what is asked
    /// next.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) fn waits(&mut self, asked: u64) -> Result<bool, ClientError> {
        self.call(Request::Hello { protocol: PROTOCOL })?;
        Ok(!self.answered.contains_key(&asked))
    }

    /// Follows what changes: the whole list first, then each change, until the daemon ends.
    ///
    /// # Errors
    /// When the daemon ended before it answered, or refuses.
    pub(crate) fn subscribe(mut self) -> Result<Updates, ClientError> {
        match self.call(Request::Subscribe)? {
            Reply::Done => Ok(Updates { client: self }),
            other => Err(ClientError::Foreign(format!("the daemon answered a subscription with {other:?}"))),
        }
    }
}

impl Client {
    /// Another handle to the connection, by which it can be ended.
    ///
    /// # Errors
    /// When there is no descriptor to be had.
    pub(crate) fn handle(&self) -> io::Result<UnixStream> {
        self.stream.get_ref().try_clone()
    }

    /// Waits until the connection has ended; what comes meanwhile is of no interest.
    pub(crate) fn await_end(&mut self) {
        while let Ok(Some(_)) = frame::read::<ServerMessage>(&mut self.stream) {}
    }

    /// Has everything that happens, and that programs say and write, sent to the connection from now on. Gives that away,
    /// and what has come already.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) fn overhear(mut self) -> Result<(Vec<ServerMessage>, BufReader<UnixStream>), ClientError> {
        let mut open = vec![
            self.ask(Request::Listen { targets: Vec::new(), stream: None })?,
            self.ask(Request::Subscribe)?,
            self.ask(Request::Hear)?,
        ];
        let mut early = Vec::new();
        while !open.is_empty() {
            match frame::read(&mut self.stream)?.ok_or(ClientError::Lost)? {
                ServerMessage::Reply { id, reply: Reply::Done } => open.retain(|asked| *asked != id),
                ServerMessage::Reply { reply, .. } => {
                    return Err(ClientError::Foreign(format!("the daemon answered a listener with {reply:?}")));
                }
                message => early.push(message),
            }
        }
        Ok((early, self.stream))
    }
}

/// What the daemon tells those who follow it.
#[derive(Debug)]
pub(crate) struct Updates {
    client: Client,
}

impl Iterator for Updates {
    type Item = Result<Update, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(update) = self.client.early.pop_front() {
            return Some(Ok(update));
        }
        loop {
            match frame::read(&mut self.client.stream) {
                Ok(Some(ServerMessage::Update(update))) => return Some(Ok(update)),
                Ok(Some(ServerMessage::Reply { .. } | ServerMessage::Lines(_) | ServerMessage::Message(_))) => {}
                Ok(None) => return None,
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

/// What a daemon answers when another one holds the home.
pub(crate) const HELD: &str = "another daemon holds this home";

/// Keeps others from starting a daemon on the home, until what this returns is closed.
///
/// # Errors
/// When the file can't be locked.
pub(crate) fn lock_start(home: &Home) -> Result<File, ClientError> {
    let path = home.start_lock();
    let failed = |error: io::Error| crate::home::named(&error, "lock", &path);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(file)
}

/// Sees a daemon's socket appear: it is put in place by a rename when it already answers. Only for who must wait: the
/// kernel takes some milliseconds to take a watch back.
struct Watch {
    inotify: OwnedFd,
}

impl Watch {
    fn on(home: &Home) -> Result<Watch, ClientError> {
        let failed = |error: rustix::io::Errno| crate::home::named(&error.into(), "watch", home.root());
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map_err(failed)?;
        inotify::add_watch(&inotify, home.root(), inotify::WatchFlags::MOVED_TO).map_err(failed)?;
        Ok(Watch { inotify })
    }

    fn await_daemon(self, home: &Home) -> Result<Client, ClientError> {
        loop {
            // Also at first: it may have appeared before it was watched for.
            if let Some(client) = Client::connect(home)? {
                return Ok(client);
            }
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
            if poll(&mut fds, Some(&PATIENCE)).map_err(io::Error::from)? == 0 {
                return Err(ClientError::Unanswered(home.root().display().to_string()));
            }
            // Which file it was does not matter: the next look tells.
            let mut buffer = [MaybeUninit::uninit(); 1024];
            let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
            while events.next().is_ok() {}
        }
    }
}
