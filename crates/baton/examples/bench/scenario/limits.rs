//! From the moment at which an app has more memory than `max_memory_restart` allows until its successor runs.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::rendezvous::{Rendezvous, Visitor};
use crate::row::{Row, Target, Unit};
use serde_json::json;
use std::time::Instant;

/// What the app may have, in MiB.
const LIMIT: usize = 50;
/// What it takes, in MiB.
const TAKEN: usize = 60;

/// Measures it. PM2 looks every thirty seconds: a round takes as long at most.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut apps = managers.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let samples = bench.in_turn(bench.runs, |index, _| {
        let (rendezvous, visitor) = &mut apps[index];
        let over = loop {
            visitor.go()?;
            if visitor.done().is_ok() {
                break Instant::now();
            }
            // It was looked at right then, and ended before it could say that it had taken all.
            *visitor = rendezvous.meet()?;
        };
        let successor = rendezvous.meet()?;
        let took = successor.at.saturating_duration_since(over);
        *visitor = successor;
        Ok(milliseconds(took))
    })?;
    for manager in managers {
        manager.end()?;
    }
    let what = "memory above `max_memory_restart` until the next process runs";
    Ok(vec![Row::new(what, Unit::Milliseconds, samples, Target::Part(10.0))])
}

/// Starts the app and waits for it.
fn start(manager: &Manager<'_>) -> Result<(Rendezvous, Visitor), Failure> {
    let rendezvous = Rendezvous::in_directory(manager.home())?;
    let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let file = json!({ "apps": [{
        "name": "greedy", "script": program, "args": ["app", "take", rendezvous.path(), (TAKEN << 20).to_string()],
        "interpreter": "none", "max_memory_restart": format!("{LIMIT}M"), "max_restarts": 1_000_000, "min_uptime": 0,
    }] });
    let file = manager.file("ecosystem.json", file.to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    let visitor = rendezvous.meet()?;
    Ok((rendezvous, visitor))
}
