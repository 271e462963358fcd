//! `jlist` and `ls`, with no app and with a hundred: from the command's start to its end.

use super::{fleet, milliseconds};
use crate::bench::Bench;
use crate::failure::Failure;
use crate::row::{Row, Target, Unit};

/// Measurements in each round: they are short.
const REPEAT: u32 = 4;

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut rows = Vec::new();
    for apps in [0, fleet::APPS] {
        for manager in &managers {
            if apps > 0 {
                fleet::start(manager)?;
            }
            manager.online(apps)?;
        }
        for verb in ["jlist", "ls"] {
            let samples =
                bench.in_turn(bench.runs * REPEAT, |index, _| Ok(milliseconds(managers[index].run([verb])?.took)))?;
            rows.push(Row::new(format!("`{verb}`, {apps} apps"), Unit::Milliseconds, samples, Target::Part(40.0)));
        }
    }
    for manager in managers {
        manager.end()?;
    }
    Ok(rows)
}
