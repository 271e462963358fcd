//! What reaches the loop from threads and tasks of the daemon.

use super::channel::Said;
use super::heartbeat::{BeatAnswer, BeatsAnswer};
use super::hooks::Told;
use super::life::Key;
use super::server::ClientId;
use baton_core::proto::ClientMessage;
use baton_core::spec::External;
use baton_core::step::Pet;
use baton_core::units::{Bytes, Incarnation, InstanceId};
use baton_core::world::{Identity, SpawnError};
use baton_os::guard::link::GuardEvent;
use baton_os::logs::{LogReport, Stream};
use baton_os::spawn::Prepared;
use baton_os::tree::TreeReport;
use std::io;
use std::os::fd::OwnedFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One message.
#[derive(Debug)]
pub(super) enum Message {
    /// The process of a life was made, or not.
    Made {
        /// The life.
        key: Key,
        /// The process and its two streams.
        outcome: Result<Box<Made>, SpawnError>,
        /// What an operator should know.
        warnings: Vec<String>,
    },
    /// A life says that it is ready, or was found to be.
    Ready(Key),
    /// A life has written a line that was listened for.
    Heard {
        /// The life.
        key: Key,
        /// What the line matches.
        pattern: String,
    },
    /// A life has spoken to its watchdog.
    Petted(Key, Pet),
    /// A probe of a life's health has found this.
    Examined(Key, Result<(), String>),
    /// Somebody says that a process is well.
    Beat {
        /// Which process.
        pid: u32,
        /// What it calls itself.
        name: Option<String>,
        /// Who is told what came of it.
        answer: BeatAnswer,
    },
    /// Somebody wants to know all heartbeats.
    Beats(BeatsAnswer),
    /// A process that has beaten has ended.
    BeaterGone(Key, Identity),
    /// Who has a port at which heartbeats were to be taken.
    PortIsHeld(u16, String),
    /// A life has said something over its channel.
    Said(Key, Said),
    /// A life has said something for whoever listens; so large was it (bytes).
    Spoke(Key, serde_json::Value, usize),
    /// The sockets of slots that are down are closed, as far as this order.
    ClusterClosed(u64),
    /// The report of a life can be read.
    Reported(Key),
    /// The leader of a life has ended.
    Ended(Key),
    /// The parent of a foreign leader has taken note of its end.
    Reaped(Key),
    /// The sweeper knows something.
    Tree(TreeReport),
    /// The guard has something to say.
    Guard(GuardEvent),
    /// The log thread has something to say.
    Log(LogReport),
    /// Something that others run is there, or what was found instead.
    Probed {
        /// What was looked for.
        external: External,
        /// What was found.
        result: Result<(), String>,
    },
    /// A file that is watched for these slots has changed, and more at the same time.
    Changed {
        /// The slots.
        ids: Vec<InstanceId>,
        /// The first file.
        path: String,
        /// How many more.
        more: u32,
    },
    /// A time that apps wait for has come, or the clock was set.
    Struck,
    /// A hook was told, or could not be.
    Told(Box<Told>),
    /// A job is due, or the clock was set.
    Rang,
    /// What lives with a limit use.
    Weighed(Vec<(InstanceId, Incarnation, Bytes)>),
    /// Files are watched from now on, or no longer.
    Watching(String),
    /// Files can't be watched.
    NotWatching(String),
    /// The control group of a life could not be told its new limits.
    NotLimited(Key, String),
    /// The guard holds nothing of a life any more.
    Released(Key),
    /// The sockets of an order are closed.
    SocketsClosed,
    /// A state is on disk, or could not be written.
    Written {
        /// Number of the state.
        number: u64,
        /// How it went.
        result: io::Result<()>,
    },
    /// A dump was written, or could not be.
    Dumped(io::Result<()>),
}

/// A process that waits to be told to run.
#[derive(Debug)]
pub(super) struct Made {
    /// The process.
    pub(super) prepared: Prepared,
    /// Its output.
    pub(super) streams: [Stream; 2],
    /// What it tells by that it is ready.
    pub(super) line: Option<OwnedFd>,
    /// Our end of its channel.
    pub(super) channel: Option<OwnedFd>,
}

/// What reaches the loop from clients.
#[derive(Debug)]
pub(super) enum Call {
    /// A client asks for something.
    Request(ClientId, ClientMessage),
    /// A client has gone.
    Gone(ClientId),
}

/// The sending end. Its receiver lives as long as the daemon, so a message that can't be sent has no one to miss it.
#[derive(Clone, Debug)]
pub(super) struct Inbox(UnboundedSender<Message>);

impl Inbox {
    /// Both ends.
    pub(super) fn new() -> (Inbox, UnboundedReceiver<Message>) {
        let (sender, receiver) = unbounded_channel();
        (Inbox(sender), receiver)
    }

    /// Puts a message in; never waits.
    pub(super) fn send(&self, message: Message) {
        let _ = self.0.send(message);
    }
}
