//! What the primary wants done.

use super::primary::WorkerId;
use super::query::Query;
use serde_json::Value;

/// A connection that was accepted; its number is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// A descriptor that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handle {
    /// The socket of this key.
    Socket(String),
    /// A connection.
    Connection(Connection),
}

/// How long a socket that nobody asks for any more may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Patience {
    /// One in whose place another was opened: a moment, in which a program may ask for the rest of its sockets.
    Short,
    /// Any: its program may be slow to open it again.
    Long,
}

/// One deed, to be done in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a socket and bind it; answered by [`super::Primary::bound`]. It listens when connections are to be dealt
    /// out; a worker that gets it calls `listen` itself.
    Bind {
        /// Its name.
        key: String,
        /// What is wanted.
        query: Query,
        /// Others will be bound to the same port.
        reuseport: bool,
        /// Whether connections are dealt out.
        listen: bool,
    },
    /// Send a message to a worker. It must reach the channel whole.
    Send {
        /// Which worker.
        worker: WorkerId,
        /// The message.
        message: Value,
        /// What goes with it.
        handle: Option<Handle>,
    },
    /// Accept connections on this socket from now on, one at a time, each told by [`super::Primary::connection`] before
    /// the next; or no longer.
    Accept {
        /// Which socket.
        key: String,
        /// Whether to accept.
        on: bool,
    },
    /// Nobody wants this socket any more: it is shut down and closed.
    Close {
        /// Which.
        key: String,
    },
    /// A worker has this connection: our copy of it can be closed.
    Done(Connection),
    /// A worker has refused a connection; call [`super::Primary::retry`] after a pause of some milliseconds.
    Retry,
    /// There are sockets that nobody asks for any more; call [`super::Primary::tidy`] after a pause.
    Tidy(Patience),
    /// A worker has begun to listen on this socket.
    Listening {
        /// Which worker.
        worker: WorkerId,
        /// On which socket.
        key: String,
    },
    /// What must outlive us has changed: the primary is to be written down.
    Changed,
}
