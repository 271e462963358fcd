//! How an app tells that it is ready, and the sockets that are opened for it.

use super::{AppSpec, ExecMode};
use crate::units::Millis;
use crate::world::Signal;
use serde::{Deserialize, Serialize};

/// How long `ready` waits when the file does not say (ms).
pub const READY_TIMEOUT: Millis = Millis(30_000);
/// Pause between two looks of a probe when the file does not say (ms).
pub const PROBE_INTERVAL: Millis = Millis(250);

/// The key `ready`: what must be seen before the app counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// What to look for.
    pub by: ReadyBy,
    /// How long to wait for it (ms).
    pub timeout: Millis,
    /// Pause between two looks, for what has to be asked (ms).
    pub interval: Millis,
}

/// What shows that an app is ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadyBy {
    /// Something accepts connections at this `host:port` or unix socket path.
    Tcp(String),
    /// A GET of this URL is answered with a status from 200 to 399.
    Http(String),
    /// This command, run in the app's directory and environment, ends with code 0.
    Exec(String),
    /// A line of its output matches this regular expression.
    Log(String),
    /// It writes `READY=1` to the socket in NOTIFY_SOCKET.
    Notify,
    /// It writes a line to the descriptor in READY_FD.
    Fd,
    /// It sends `ready` over the IPC channel.
    Ipc,
}

/// A socket that is opened for an app and given to each of its lives, so that no connection is refused in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Its name in LISTEN_FDNAMES.
    pub name: String,
    /// `host:port`, `[host]:port`, or an absolute path.
    pub at: String,
    /// Each instance has a socket of its own (SO_REUSEPORT) instead of sharing one.
    #[serde(default)]
    pub reuseport: bool,
}

/// What is done about an app that is not ready in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It counts as ready all the same, as under PM2.
    Counts,
    /// It has failed.
    Fails,
}

impl AppSpec {
    /// How long to wait for a word from the app that it is ready, and what follows when none comes; `None` when no
    /// word is to be expected, so that being up for `min_uptime` is enough.
    ///
    /// PM2 waits `listen_timeout` for the message `ready` of an app with `wait_ready`, and goes on as if it had come.
    pub fn awaits_ready(&self) -> Option<(Millis, Late)> {
        match &self.ready {
            Some(ready) => Some((ready.timeout, Late::Fails)),
            None if self.wait_ready => Some((self.listen_timeout, Late::Counts)),
            None => None,
        }
    }

    /// The regular expression of the line by which it tells that it is ready.
    pub fn ready_line(&self) -> Option<&str> {
        match &self.ready.as_ref()?.by {
            ReadyBy::Log(pattern) => Some(pattern),
            ReadyBy::Tcp(_) | ReadyBy::Http(_) | ReadyBy::Exec(_) | ReadyBy::Notify | ReadyBy::Fd | ReadyBy::Ipc => {
                None
            }
        }
    }

    /// The signal that asks the app to end.
    pub fn stop_signal(&self) -> Signal {
        self.kill_signal.as_deref().and_then(Signal::parse).unwrap_or(Signal::INT)
    }

    /// Whether a new life may run beside the old one: they share their sockets through us.
    pub fn may_overlap(&self) -> bool {
        !self.listen.is_empty() || self.exec_mode == ExecMode::Cluster
    }
}
