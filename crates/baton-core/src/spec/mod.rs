//! The normalised wish: what one app should be.
//!
//! * `dependency` is what an app needs before it starts.
//! * `external` is what an app needs that others run.
//! * `readiness` is how it tells that it is ready, and the sockets it is given.
//! * `care` is how it is told that an app that runs is well.
//! * `schedule` is when it is run, where that is not all the time.
//! * `hook` is who is told when something happens to it.
//! * `watch` is whether files are watched for it.
//! * `field` is what is known about a key: its spellings, type, change class and documentation.
//! * `layer` is where variables come from.
//! * `limits` is what its processes may use, and `group` what all of them together may.
//! * `app` is the table itself, one row a key, from which the struct, the loader's checks, the reference page and
//!   `plan` all come. To add a key, add a row there.

mod app;
mod care;
mod dependency;
mod external;
mod field;
mod group;
mod hook;
mod instances;
mod layer;
mod limits;
mod readiness;
mod schedule;
mod watch;

pub(crate) use app::Lean;
pub use app::{AppSpec, Environment, FIELDS, LATER, LogCompression, LogType, Source, SpecHash};
pub use care::{
    CHECK_INTERVAL, HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_TIMEOUT, HEARTBEAT_PORT, HEARTBEAT_TIMEOUT, Health,
    Heartbeat, Remedy, START_INTERVAL, START_PERIOD,
};
pub use dependency::{Condition, Dependency};
pub use external::{External, Probe};
pub use field::{Change, ChangeClass, Field, Kind, Shape, truthy};
pub use group::{Cpus, GroupLimits};
pub use hook::{EventKind, HOOK_RETRIES, HOOK_TIMEOUT, Hook, HookBy, MOST_RETRIES};
pub use instances::{ExecMode, Instances};
pub use layer::{EnvPriority, Layer, Origin, merged};
pub use limits::{Ceiling, Resource, Rlimit, Rlimits};
pub use readiness::{Late, Listen, PROBE_INTERVAL, READY_TIMEOUT, Readiness, ReadyBy};
pub use schedule::{Missed, Overlap, Schedule};
pub use watch::{Watch, WatchOptions};
