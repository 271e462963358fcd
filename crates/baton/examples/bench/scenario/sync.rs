//! From saving a process file to the new process: of fifty files of one source, one is edited. Baton watches the source;
//! around PM2 a script runs `pm2 start` of the changed file, and notices the change in no time at all.

use super::milliseconds;
use crate::bench::Bench;
use crate::contender::Kind;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::proc::ready_within;
use crate::rendezvous::{Rendezvous, Visitor};
use crate::row::{Row, Target, Unit};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// Files, each with one app.
const APPS: usize = 50;
/// The one that is edited.
const EDITED: usize = 25;
/// How long a pass may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut sources = managers.iter().map(Source::of).collect::<Result<Vec<_>, _>>()?;
    let samples =
        bench.in_turn(bench.runs, |index, round| sources[index].edit(&managers[index], round).map(milliseconds))?;
    for manager in &managers {
        manager.online(APPS)?;
    }
    for source in sources {
        source.end()?;
    }
    for manager in managers {
        manager.end()?;
    }
    let what = "save one of 50 process files until its new process runs";
    Ok(vec![Row::new(what, Unit::Milliseconds, samples, Target::Part(2.0))])
}

/// The files, and for baton who watches them.
#[derive(Debug)]
struct Source {
    rendezvous: Rendezvous,
    folder: PathBuf,
    watcher: Option<Child>,
    /// The edited app: it ends with its connection.
    running: Option<Visitor>,
}

impl Source {
    fn of(manager: &Manager<'_>) -> Result<Source, Failure> {
        let folder = manager.path("source");
        std::fs::create_dir(&folder).map_err(Failure::system("making a directory"))?;
        let rendezvous = Rendezvous::in_directory(manager.home())?;
        let mut source = Source { rendezvous, folder, watcher: None, running: None };
        for number in 0..APPS {
            source.write(number, 0)?;
        }
        match manager.kind() {
            Kind::Baton => {
                let mut watcher = manager.begin(["sync".as_ref(), source.folder.as_os_str(), "--watch".as_ref()])?;
                said(&mut watcher, "watching ")?;
                source.watcher = Some(watcher);
            }
            Kind::Pm2 => {
                for number in 0..APPS {
                    manager.run(["start".as_ref(), source.path(number).as_os_str()])?;
                }
            }
        }
        source.running = Some(source.rendezvous.meet()?);
        Ok(source)
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("app{number}.config.cjs"))
    }

    fn write(&self, number: usize, value: u32) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
        let mut app = json!({
            "name": format!("app{number}"), "script": "/bin/sleep", "args": ["1000000"], "interpreter": "none",
            "min_uptime": 100, "env": { "VALUE": value.to_string() },
        });
        if number == EDITED {
            app["script"] = json!(program);
            app["args"] = json!(["app", "announce", self.rendezvous.path()]);
        }
        save(&self.path(number), &format!("module.exports = {}\n", json!({ "apps": [app] })))
    }

    /// Edits one, and waits for its new process.
    fn edit(&mut self, manager: &Manager<'_>, round: u32) -> Result<Duration, Failure> {
        let begin = Instant::now();
        self.write(EDITED, round + 1)?;
        let command = match &self.watcher {
            Some(_) => None,
            None => Some(manager.begin(["start".as_ref(), self.path(EDITED).as_os_str()])?),
        };
        let visitor = self.rendezvous.meet()?;
        let took = visitor.at.saturating_duration_since(begin);
        self.running = Some(visitor);
        // The next edit comes when all is done.
        if let Some(mut command) = command {
            said(&mut command, "")?;
            command.wait().map_err(Failure::system("waiting for a command"))?;
        }
        if let Some(watcher) = &mut self.watcher {
            said(watcher, " to keep")?;
        }
        Ok(took)
    }

    fn end(mut self) -> Result<(), Failure> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        watcher.kill().and_then(|()| watcher.wait()).map(drop).map_err(Failure::system("ending a watch"))
    }
}

fn save(path: &Path, content: &str) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(Failure::system(format!("writing {}", path.display())))
}

/// Reads until this was said; to the end, when that is nothing.
fn said(child: &mut Child, text: &str) -> Result<(), Failure> {
    let failed = || Failure::system("reading what a command says");
    let output = child.stdout.as_mut().ok_or_else(|| failed()(std::io::ErrorKind::BrokenPipe.into()))?;
    let mut all: Vec<u8> = Vec::new();
    let mut bytes = [0; 4096];
    while text.is_empty() || !String::from_utf8_lossy(&all).contains(text) {
        if !ready_within(&*output, PATIENCE).map_err(|error| failed()(error.into()))? {
            return Err(Failure::Patience { what: format!("a command to say {text:?}"), patience: PATIENCE });
        }
        let count = output.read(&mut bytes).map_err(failed())?;
        if count == 0 {
            return if text.is_empty() { Ok(()) } else { Err(failed()(std::io::ErrorKind::UnexpectedEof.into())) };
        }
        all.extend_from_slice(&bytes[..count]);
    }
    Ok(())
}
