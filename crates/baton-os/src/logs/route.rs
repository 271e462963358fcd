//! What the log thread is told and what it tells.

use baton_core::units::{Incarnation, InstanceId};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Which of a process's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Channel {
    /// `out` or `err`: PM2's words, and the prefix of the guard's names.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Out => "out",
            Channel::Err => "err",
        }
    }
}

/// Names one stream of one life of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    /// The slot in the process list.
    pub id: InstanceId,
    /// The life.
    pub incarnation: Incarnation,
    /// Output or error.
    pub channel: Channel,
}

impl StreamKey {
    /// The name under which the guard holds this stream's read end, such as `out:17`.
    pub fn guard_name(&self) -> String {
        format!("{}:{}", self.channel.name(), self.incarnation)
    }
}

/// A stream to collect.
#[derive(Debug)]
pub struct Stream {
    /// Its name.
    pub key: StreamKey,
    /// The read end of its FIFO.
    pub reader: OwnedFd,
    /// Where its bytes go.
    pub route: Route,
}

/// Where a stream's bytes go. Without any file they are read and dropped, so that the app never blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The stream's own file. Several streams may share one.
    pub file: Option<PathBuf>,
    /// The file that gets both streams of the app.
    pub combined: Option<PathBuf>,
    /// How the lines look.
    pub format: Format,
    /// What happens to output that can't be written.
    pub overflow: Overflow,
}

/// What happens to output that can't be written: its file is in trouble (a full disk, a reader that is slow or gone).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// It waits in the FIFO; the app waits when that is full.
    #[default]
    Block,
    /// It waits while there is room for more; then it is dropped, counted, and a line in the file tells how much.
    Drop,
}

/// How a stream's lines look in its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// `log_date_format`: a date before each line, or the form of `timestamp` in JSON.
    pub date: Option<String>,
    /// `log_type: json`: one JSON object a line.
    pub json: bool,
    /// For JSON.
    pub app_name: String,
    /// For JSON.
    pub process_id: u32,
    /// `log_sync: copy`: the writing app never waits for the file's write.
    pub copy: bool,
}

/// What the log thread reports, on its own thread: the receiver must return at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogReport {
    /// A drain that was asked for is complete: both streams of this life are written and closed.
    Drained {
        /// The slot in the process list.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// A file can't be opened or written. The bytes wait in the FIFO (the app blocks when it is full) and the file is
    /// tried again; said once until it has recovered.
    Trouble {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        message: String,
    },
    /// A file can't be rotated, or its parts can't be compressed or removed. It goes on being written; said once until
    /// it succeeds. An empty path means all files.
    NotRotated {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        message: String,
    },
    /// Output of this slot is being dropped, because this file can't be written; said once until [`LogReport::Dropped`].
    Dropping {
        /// The slot in the process list.
        id: InstanceId,
        /// The file.
        path: PathBuf,
    },
    /// A file can be written again and was told that so many bytes before were dropped.
    Dropped {
        /// The slot in the process list.
        id: InstanceId,
        /// The file.
        path: PathBuf,
        /// Bytes of the app's output.
        bytes: u64,
    },
    /// The daemon's own log was rotated; whoever else writes it must take [`own::descriptor`](super::own::descriptor).
    Renewed,
    /// A file that was in trouble is written again.
    Recovered {
        /// The file.
        path: PathBuf,
    },
}

/// What the log thread needs to start.
#[derive(Debug)]
pub struct LogOptions {
    /// The slot file, which describes the batch under way: `run/batch.slot`.
    pub slot: PathBuf,
    /// The batch pipe (read end, write end) when the guard has kept one; else a new one is made.
    pub batch: Option<(OwnedFd, OwnedFd)>,
    /// The folder for the [`times`](super::times) of log files; without one none are noted.
    pub times: Option<PathBuf>,
}
