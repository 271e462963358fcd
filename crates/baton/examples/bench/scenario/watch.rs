//! From a change to the new process: one file, and a thousand. The clock runs from the last write until the last process
//! that it leads to has connected; the waiting that is meant to gather changes counts.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{Manager, tool};
use crate::rendezvous::{Rendezvous, Visitor};
use crate::row::{Row, Samples, Target, Unit};
use serde_json::json;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Changes that belong together.
const MANY: usize = 1000;
/// When no process has come for so long, none will.
const QUIET: Duration = Duration::from_secs(3);
/// How often changes may go unnoticed at the beginning.
const WARM_UPS: u32 = 10;

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut apps = managers.iter().map(|manager| Watched::of(bench, manager)).collect::<Result<Vec<_>, _>>()?;
    let one = bench.in_turn(bench.runs, |index, _| apps[index].change(1).map(|(took, _)| took))?;
    let mut restarts = vec![Samples::default(); managers.len()];
    let many = bench.in_turn(bench.runs, |index, _| {
        let (took, count) = apps[index].change(MANY)?;
        restarts[index].add(count);
        Ok(took)
    })?;
    for manager in managers {
        manager.end()?;
    }
    let beside = beside_nodemon(bench, &one)?;
    let row = |what: &str, unit, samples, target| Row::new(what, unit, samples, target);
    let mut rows = vec![
        row("one changed file until its new process runs", Unit::Milliseconds, one, Target::None),
        row("1,000 changed files until the last new process runs", Unit::Milliseconds, many, Target::None),
        row("1,000 changed files", Unit::Restarts, restarts, Target::Most(1.0)),
    ];
    rows.extend(beside);
    Ok(rows)
}

/// The same of nodemon, where it is installed, beside what was measured of baton.
fn beside_nodemon(bench: &Bench, one: &[Samples]) -> Result<Option<Row>, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("nodemon"));
    let Some(program) = found.find(|program| program.is_file()) else { return Ok(None) };
    let home = folder(bench)?;
    let folder = folder(bench)?;
    let rendezvous = Rendezvous::in_directory(home.path())?;
    let bench_app = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let command = format!("{} app announce {}", bench_app.display(), rendezvous.path().display());
    let mut nodemon = tool(&program);
    nodemon.args(["--quiet", "--watch", ".", "--ext", "txt", "--exec", &command]).current_dir(folder.path());
    let mut nodemon = nodemon.stdout(Stdio::null()).spawn().map_err(Failure::system("starting nodemon"))?;
    let samples = Watched::meet(rendezvous, folder).and_then(|mut app| {
        let mut samples = Samples::default();
        for _ in 0..bench.runs {
            samples.add(app.change(1)?.0);
        }
        Ok(samples)
    });
    nodemon.kill().and_then(|()| nodemon.wait()).map_err(Failure::system("ending nodemon"))?;
    let samples = one.iter().take(1).cloned().chain([samples?]).collect();
    let what = "one changed file until its new process runs, beside nodemon";
    Ok(Some(Row::new(what, Unit::Milliseconds, samples, Target::None)))
}

/// A watched app.
#[derive(Debug)]
struct Watched {
    rendezvous: Rendezvous,
    folder: TempDir,
    /// The process that runs: it ends with its connection.
    running: Visitor,
    /// What the files hold next.
    version: u32,
}

impl Watched {
    fn of(bench: &Bench, manager: &Manager<'_>) -> Result<Watched, Failure> {
        // What lies in a manager's home is its own business.
        let folder = folder(bench)?;
        let rendezvous = Rendezvous::in_directory(manager.home())?;
        let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
        let file = json!({ "apps": [{
            "name": "watched", "script": program, "args": ["app", "announce", rendezvous.path()], "interpreter": "none",
            "cwd": folder.path(), "watch": true, "max_restarts": 1_000_000, "min_uptime": 0,
        }] });
        let file = manager.file("ecosystem.json", file.to_string())?;
        manager.run(["start".as_ref(), file.as_os_str()])?;
        Watched::meet(rendezvous, folder)
    }

    /// Waits for the first process, and until its files are watched.
    fn meet(rendezvous: Rendezvous, folder: TempDir) -> Result<Watched, Failure> {
        let running = rendezvous.meet()?;
        let mut app = Watched { rendezvous, folder, running, version: 0 };
        // Not everybody tells when it has begun to watch: until then changes are without effect.
        for _ in 0..WARM_UPS {
            app.write(MANY)?;
            if app.settle()? > 0 {
                return Ok(app);
            }
        }
        Err(Failure::Patience { what: "a change to be noticed".into(), patience: QUIET * WARM_UPS })
    }

    /// Changes so many files. Tells after how long the last process came, and how many came.
    fn change(&mut self, count: usize) -> Result<(f64, f64), Failure> {
        self.write(count)?;
        let begin = Instant::now();
        self.running = self.rendezvous.meet()?;
        let more = self.settle()?;
        let took = self.running.at.saturating_duration_since(begin);
        Ok((milliseconds(took), f64::from(more + 1)))
    }

    fn write(&mut self, count: usize) -> Result<(), Failure> {
        self.version += 1;
        for number in 0..count {
            let path = self.folder.path().join(format!("{number}.txt"));
            std::fs::write(path, self.version.to_string()).map_err(Failure::system("changing a file"))?;
        }
        Ok(())
    }

    /// Waits until no process comes any more; tells how many came.
    fn settle(&mut self) -> Result<u32, Failure> {
        let mut count = 0;
        while let Some(visitor) = self.rendezvous.meet_within(QUIET)? {
            self.running = visitor;
            count += 1;
        }
        Ok(count)
    }
}

/// A directory in the open: what lies in one with a dot in front of its name is of no interest to some.
pub(super) fn folder(bench: &Bench) -> Result<TempDir, Failure> {
    let folder = tempfile::Builder::new().prefix("watched-").tempdir_in(&bench.directory);
    folder.map_err(Failure::system("making a directory"))
}
