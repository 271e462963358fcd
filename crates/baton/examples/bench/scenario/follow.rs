//! How long a line takes from the app to who follows its log: the bench tells the app to write one and waits for it at the
//! other end. One at a time, so what is measured is the way and not the crowd on it.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{Manager, tool};
use crate::proc::ready_within;
use crate::rendezvous::{Rendezvous, Visitor};
use crate::row::{Row, Samples, Target, Unit};
use serde_json::json;
use std::io::Read;
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

/// Lines in each round: they are quick.
const REPEAT: u32 = 20;
/// After this a follower that is only starting gets another line to see.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut lines = managers.iter().map(|manager| Line::of(manager)).collect::<Result<Vec<_>, _>>()?;
    let mut bare = Line::bare(bench)?;
    let mut floor = Samples::default();
    let samples = bench.in_turn(bench.runs * REPEAT, |index, _| {
        if index == 0 {
            floor.add(milliseconds(bare.send()?));
        }
        lines[index].send().map(milliseconds)
    })?;
    for line in lines.into_iter().chain([bare]) {
        line.end()?;
    }
    for manager in managers {
        manager.end()?;
    }
    let row = Row::new("line from the app to `logs --follow --raw`", Unit::Milliseconds, samples, Target::None);
    Ok(vec![row.above(floor)])
}

/// An app and the end at which its lines arrive.
#[derive(Debug)]
struct Line {
    writer: Visitor,
    /// The follower; without a manager the app itself.
    process: Child,
    output: ChildStdout,
    seen: Vec<u8>,
    /// So many lines were asked for.
    number: u32,
    _folder: Option<tempfile::TempDir>,
}

impl Line {
    /// Through a manager.
    fn of(manager: &Manager) -> Result<Line, Failure> {
        let rendezvous = Rendezvous::in_directory(manager.home())?;
        let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
        let file = json!({ "apps": [{
            "name": "writer", "script": program, "interpreter": "none", "args": ["app", "answer", rendezvous.path()],
        }] });
        let file = manager.file("ecosystem.json", file.to_string())?;
        manager.run(["start".as_ref(), file.as_os_str()])?;
        let writer = rendezvous.meet()?;
        let mut process = manager.follower("writer")?;
        let output = process.stdout.take().ok_or_else(|| manager.unexpected("the follower has no output"))?;
        let mut line = Line { writer, process, output, seen: Vec::new(), number: 0, _folder: None };
        line.settle()?;
        Ok(line)
    }

    /// Through nothing but a pipe.
    fn bare(bench: &Bench) -> Result<Line, Failure> {
        let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a directory"))?;
        let rendezvous = Rendezvous::in_directory(folder.path())?;
        let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
        let mut command = tool(&program);
        command.args(["app", "answer"]).arg(rendezvous.path()).stdout(std::process::Stdio::piped());
        let mut process = command.spawn().map_err(Failure::system("starting a bare process"))?;
        let output = process.stdout.take();
        let output = output.ok_or_else(|| Failure::system("opening a pipe")(std::io::ErrorKind::BrokenPipe))?;
        let writer = rendezvous.meet()?;
        Ok(Line { writer, process, output, seen: Vec::new(), number: 0, _folder: Some(folder) })
    }

    /// Until the follower follows: lines are sent until one arrives, and then until the last one has.
    fn settle(&mut self) -> Result<(), Failure> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            self.number += 1;
            self.writer.go()?;
            if self.arrives(AGAIN)? {
                return Ok(());
            }
        }
        Err(Failure::Patience { what: "a follower to begin".into(), patience: PATIENCE })
    }

    /// One line, and how long it took.
    fn send(&mut self) -> Result<Duration, Failure> {
        self.number += 1;
        let begin = self.writer.go()?;
        if self.arrives(PATIENCE)? {
            return Ok(begin.elapsed());
        }
        Err(Failure::Patience { what: "a line to arrive".into(), patience: PATIENCE })
    }

    /// Whether the line that was asked for last comes within this time.
    fn arrives(&mut self, patience: Duration) -> Result<bool, Failure> {
        let wanted = format!("line {}\n", self.number);
        let end = Instant::now() + patience;
        loop {
            if self.seen.ends_with(wanted.as_bytes()) {
                self.seen.clear();
                return Ok(true);
            }
            let left = end.saturating_duration_since(Instant::now());
            if !ready_within(&self.output, left).map_err(Failure::system("waiting for a line"))? {
                return Ok(false);
            }
            let mut bytes = [0; 4096];
            let count = self.output.read(&mut bytes).map_err(Failure::system("reading a line"))?;
            if count == 0 {
                return Err(Failure::system("reading a line")(std::io::ErrorKind::UnexpectedEof));
            }
            self.seen.extend_from_slice(&bytes[..count]);
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        ended.map(drop).map_err(Failure::system("ending a follower"))
    }
}
