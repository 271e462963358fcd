//! From the death of an app to its successor running: it is killed by its id; its successor connects to a socket.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{Manager, tool};
use crate::proc::Held;
use crate::rendezvous::{Rendezvous, Visitor};
use crate::row::{Row, Samples, Target, Unit};
use serde_json::json;
use std::process::Stdio;
use std::time::Instant;

/// Deaths in each round: they are short.
const REPEAT: u32 = 8;

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut apps = managers.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let deaths = bench.runs * REPEAT;
    let samples = bench.in_turn(deaths, |index, _| {
        let (rendezvous, visitor) = &mut apps[index];
        let app = Held::of(visitor.pid)?;
        let begin = Instant::now();
        app.kill()?;
        let successor = rendezvous.meet()?;
        if successor.pid == visitor.pid {
            return Err(managers[index].unexpected("the app that was killed came again"));
        }
        let took = successor.at - begin;
        *visitor = successor;
        Ok(milliseconds(took))
    })?;
    for manager in managers {
        manager.end()?;
    }
    let row = Row::new("crash to replacement running", Unit::Milliseconds, samples, Target::Part(2.0));
    Ok(vec![row.above(bare_starts(bench, deaths)?)])
}

/// Starts the app and waits for it.
fn start(manager: &Manager) -> Result<(Rendezvous, Visitor), Failure> {
    let rendezvous = Rendezvous::in_directory(manager.home())?;
    let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    // Killing an app again and again is no crash loop here.
    let file = json!({ "apps": [{
        "name": "phoenix", "script": program, "args": ["app", "announce", rendezvous.path()], "interpreter": "none",
        "max_restarts": 1_000_000, "min_uptime": 0,
    }] });
    let file = manager.file("ecosystem.json", file.to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    let visitor = rendezvous.meet()?;
    Ok((rendezvous, visitor))
}

/// The floor: the same program started by nothing but posix_spawn, until it has connected.
fn bare_starts(bench: &Bench, count: u32) -> Result<Samples, Failure> {
    let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a directory"))?;
    let rendezvous = Rendezvous::in_directory(folder.path())?;
    let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let mut samples = Samples::default();
    for _ in 0..count {
        let mut command = tool(&program);
        command.args(["app", "announce"]).arg(rendezvous.path()).stdout(Stdio::null());
        let begin = Instant::now();
        let mut child = command.spawn().map_err(Failure::system("starting a bare process"))?;
        let visitor = rendezvous.meet();
        child.kill().and_then(|()| child.wait()).map_err(Failure::system("ending a bare process"))?;
        samples.add(milliseconds(visitor?.at - begin));
    }
    Ok(samples)
}
