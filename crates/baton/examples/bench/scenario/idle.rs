//! Quiet: how often the manager's threads wake while a hundred apps do nothing.

use super::fleet;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::proc::{Held, quiet};
use crate::row::{Row, Samples, Target, Unit};
use std::time::Duration;

/// After the start, until the count begins: timers of the start may run out.
const SETTLE: Duration = Duration::from_secs(10);
/// What is counted.
const QUIET: Duration = Duration::from_secs(30);

/// Counts, once and for all at the same time: nothing competes.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let mut managers = bench.managers()?;
    for manager in &mut managers {
        fleet::start(manager)?;
        manager.online(fleet::APPS)?;
        manager.meet()?;
    }
    quiet(SETTLE)?;
    let before = counts(&managers)?;
    quiet(QUIET)?;
    let after = counts(&managers)?;
    for manager in &managers {
        manager.online(fleet::APPS)?;
    }
    for manager in managers {
        manager.end()?;
    }
    let pairs = before.iter().zip(&after);
    let samples = pairs.map(|(before, after)| Samples::from_iter([f64::from(after - before)])).collect();
    Ok(vec![Row::new("30 quiet seconds with 100 apps", Unit::WakeUps, samples, Target::Zero)])
}

fn counts(managers: &[Manager]) -> Result<Vec<u32>, Failure> {
    let of = |manager: &Manager| -> Result<u32, Failure> {
        let all = manager.processes().iter().map(Held::naps).collect::<Result<Vec<_>, _>>()?;
        u32::try_from(all.iter().sum::<u64>()).map_err(|_| manager.unexpected("it never sleeps"))
    };
    managers.iter().map(of).collect()
}
