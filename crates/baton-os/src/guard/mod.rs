//! The guard: the small process that makes the daemon mortal without harm.
//!
//! It is the daemon's parent and the subreaper of everything below. It holds descriptors by name, keeps the exits of
//! inherited processes as zombies until a daemon has recorded them, and starts a dead daemon again. It knows nothing
//! of apps and decides nothing, so that there is little in it that could fail.
//!
//! | file | what it holds |
//! |---|---|
//! | `main` | the guard's loop |
//! | `image` | starting the daemon, and becoming another executable in place |
//! | `children` | finding the processes that ended, without consuming them |
//! | `table` | name → descriptor, and its form in a memfd for a guard that becomes another image |
//! | `wire` | the frames between guard and daemon |
//! | `link` | the daemon's end of them |
//! | `launch` | how a client starts the guard, or becomes it |
//! | `raw` | system calls that need `unsafe` |
//!
//! Invariants:
//! - The guard never waits for -1: only a pid that the daemon named, and the daemon itself, are consumed.
//! - It never blocks on the daemon: with a full socket it stops reading, and what it has to tell is found again in
//!   the kernel (a zombie stays a zombie) when there is room.
//! - It allocates at start, and when it starts a daemon; not while it serves one.

mod children;
mod image;
mod launch;
pub mod link;
mod main;
mod raw;
mod table;
mod wire;

pub(crate) use image::spawn_own_binary;
pub use image::takeover;
pub use launch::{Readiness, Service, become_service, launch_guard, readiness_pipe};
pub use main::main;

/// The name under which the daemon gives a guard, instead of something to hold, what it is to write its log to.
pub const LOG: &str = "log";

/// The environment variable that tells the daemon which descriptor leads to its guard.
pub const GUARD_FD: &str = "BATON_GUARD_FD";

/// The environment variable that tells the first daemon which descriptor takes `ok` or an error text.
pub const READY_FD: &str = "BATON_READY_FD";

/// The environment variable of the process that goes with a guard that is a service: the numbers of its descriptors.
pub const SERVICE: &str = "BATON_SERVICE";

/// The environment variable that tells daemon and guard that they are a service: whoever ends them may mean to start
/// them again.
pub const IS_SERVICE: &str = "BATON_IS_SERVICE";

/// The environment variable with the limit of open files that apps are to get back, as `soft:hard`.
#[doc(no_inline)]
pub use crate::limits::ORIGINAL_NOFILE as NOFILE;

/// The environment variable with the OOM score adjustment that apps are to get back.
pub const OOM_SCORE_ADJ: &str = "BATON_OOM_SCORE_ADJ";
