//! The scenarios, one a file.

mod cluster;
mod cold;
mod crash;
mod crowd;
mod fleet;
mod follow;
mod idle;
mod limits;
mod list;
mod load;
mod loggers;
mod logs;
mod memory;
mod module;
mod monit;
mod read;
mod reload;
mod sync;
mod watch;

use crate::bench::Bench;
use crate::failure::Failure;
use crate::options::Name;
use crate::row::Row;
use std::time::Duration;

/// Measures one scenario.
pub(crate) fn run(name: Name, bench: &Bench) -> Result<Vec<Row>, Failure> {
    match name {
        Name::Cold => cold::run(bench),
        Name::Fleet => fleet::run(bench),
        Name::List => list::run(bench),
        Name::Memory => memory::run(bench),
        Name::Crash => crash::run(bench),
        Name::Logs => logs::run(bench),
        Name::Read => read::run(bench),
        Name::Crowd => crowd::run(bench),
        Name::Sync => sync::run(bench),
        Name::Follow => follow::run(bench),
        Name::Watch => watch::run(bench),
        Name::Limits => limits::run(bench),
        Name::Idle => idle::run(bench),
        Name::Monit => monit::run(bench),
        Name::Reload => reload::run(bench),
        Name::Cluster => cluster::run(bench),
        Name::Load => load::run(bench),
        Name::Module => module::run(bench),
    }
}

/// In milliseconds.
fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
