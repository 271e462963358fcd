//! The log thread: all apps' output from their FIFOs to their log files, without losing, repeating or tearing a byte when
//! the daemon is killed.
//!
//! * [`LogThread`] (`thread.rs`): its commands. `worker.rs`: its loop.
//! * `pump.rs`: one stream. `sink.rs`: one file, which several streams may share. `place.rs`: how it is opened.
//! * `raw.rs`: bytes as they are to one file, by `splice`.
//! * `batch.rs`: everything else, through a private pipe that the guard holds too. `slot.rs`: what is under way.
//! * `ear.rs`: those who hear what an app writes.
//! * `overflow.rs`: `log_overflow: drop`, for output that can't be written.
//! * `own.rs`: the daemon's own log, which is only rotated here.
//! * `times.rs`: when which bytes of a file were written, for readers.
//! * `rotate.rs`: when and how a file makes room for the next. `rule.rs`: the settings.
//! * `parts.rs`: how rotated files are called, listed and read. `ledger.rs`: which there are and which go. `keeper.rs`:
//!   compresses them, on a thread of its own.
//! * `format.rs`, `date.rs`: stamps and JSON records. Pure. A new look of log lines is a new `Style`.
//!
//! Back-pressure is the rule: while a file can't be written its streams are not read and their apps wait, unless they
//! have chosen to lose output instead. Apps whose logs go elsewhere are not held up.
//!
//! `batch_pipe` and `descriptors` return `io::Result`, because duplicating a descriptor can fail.

mod batch;
pub mod date;
mod ear;
mod format;
mod keeper;
mod ledger;
mod overflow;
pub mod own;
pub mod parts;
mod place;
mod pump;
mod raw;
mod rotate;
mod route;
mod rule;
mod sink;
mod slot;
mod thread;
pub mod times;
mod worker;

#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod overflow_tests;
#[cfg(test)]
mod rotate_tests;
#[cfg(test)]
mod tests;

pub use crate::moments::check_pattern;
pub use ear::Ear;
pub use format::base64;
pub use route::{Channel, Format, LogOptions, LogReport, Overflow, Route, Stream, StreamKey};
pub use rule::{DATE_FORMAT, Rotation, Rule};
pub use thread::LogThread;
