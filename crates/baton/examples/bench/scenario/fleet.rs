//! A hundred `sleep`s: started from one process file, restarted, deleted. Each time from the command's start to its
//! end; then nothing may be missing: all online, all with new pids, all gone.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{Manager, tool};
use crate::proc::lives;
use crate::row::{Row, Samples, Target, Unit};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How many apps.
pub(crate) const APPS: usize = 100;

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let count = managers.len();
    let (mut start, mut restart, mut delete) =
        (vec![Samples::default(); count], vec![Samples::default(); count], vec![Samples::default(); count]);
    let mut floor = Samples::default();
    for _ in 0..bench.runs {
        floor.add(milliseconds(bare_spawns()?));
        for (index, manager) in managers.iter().enumerate() {
            start[index].add(milliseconds(self::start(manager)?));
            let first = manager.online(APPS)?;
            restart[index].add(milliseconds(manager.run(["restart", "all"])?.took));
            let second = manager.online(APPS)?;
            if let Some(pid) = first.iter().find(|pid| second.contains(pid)) {
                return Err(manager.unexpected(format!("process {pid} was not restarted")));
            }
            delete[index].add(milliseconds(manager.run(["delete", "all"])?.took));
            manager.online(0)?;
            let mut all = first.iter().chain(&second).filter_map(|&pid| u32::try_from(pid).ok());
            if let Some(pid) = all.find(|&pid| lives(pid)) {
                return Err(manager.unexpected(format!("process {pid} outlived `delete`")));
            }
        }
    }
    for manager in managers {
        manager.end()?;
    }
    let row = |what: &str, samples, part| Row::new(what, Unit::Milliseconds, samples, Target::Part(part));
    Ok(vec![
        row("start 100 apps from one file", start, 8.0).above(floor),
        row("restart 100 apps", restart, 20.0),
        row("delete 100 apps", delete, 10.0),
    ])
}

/// Starts the hundred in one command.
pub(crate) fn start(manager: &Manager) -> Result<Duration, Failure> {
    start_with(manager, "")
}

/// The same with more keys, each line with a comma; `number` is the app's.
pub(crate) fn start_with(manager: &Manager, keys: &str) -> Result<Duration, Failure> {
    let sleep = serde_json::to_string(&sleep()?).unwrap_or_default();
    let file = manager.file(
        "ecosystem.config.cjs",
        format!(
            "module.exports = {{\n  apps: Array.from({{ length: {APPS} }}, (_, number) => ({{\n    \
             name: `sleep-${{number}}`,\n    script: {sleep},\n    args: '1000000',\n    interpreter: 'none',\n{keys}  }})),\n}}\n"
        ),
    )?;
    Ok(manager.run(["start".as_ref(), file.as_os_str()])?.took)
}

/// The floor: the same program so often, started by nothing but posix_spawn.
fn bare_spawns() -> Result<Duration, Failure> {
    let sleep = sleep()?;
    let mut children: Vec<Child> = Vec::with_capacity(APPS);
    let begin = Instant::now();
    let mut failed = None;
    for _ in 0..APPS {
        match tool(&sleep).arg("1000000").stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => children.push(child),
            Err(error) => failed = Some(error),
        }
    }
    let took = begin.elapsed();
    for child in &mut children {
        child.kill().and_then(|()| child.wait()).map_err(Failure::system("ending a bare process"))?;
    }
    match failed {
        Some(error) => Err(Failure::system("starting a bare process")(error)),
        None => Ok(took),
    }
}

fn sleep() -> Result<PathBuf, Failure> {
    let places = ["/usr/bin/sleep", "/bin/sleep"];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
    found.map(Path::to_owned).ok_or_else(|| Failure::system("finding `sleep`")(missing))
}
