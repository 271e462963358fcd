//! Memory of the manager's processes with a hundred apps: the proportional share (PSS) of all of them together.

use super::fleet;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::proc::{Held, quiet};
use crate::row::{Row, Target, Unit};
use std::time::Duration;

/// After the start, until the figures are read.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let samples = bench.in_turn(bench.runs, |contender, _| {
        let mut manager = Manager::running(&bench.contenders[contender], &bench.directory)?;
        fleet::start(&manager)?;
        manager.online(fleet::APPS)?;
        manager.meet()?;
        // Managers that tidy up after the start may do so.
        quiet(SETTLE)?;
        let sizes: Vec<f64> = manager.processes().iter().map(Held::memory).collect::<Result<_, _>>()?;
        manager.end()?;
        Ok(sizes.iter().sum::<f64>() / 1024.0)
    })?;
    Ok(vec![Row::new("memory with 100 apps (PSS)", Unit::Mebibytes, samples, Target::Part(8.0))])
}
