//! Log throughput: apps write lines as fast as they can; the clock runs until their files hold the last of them. Beside it,
//! the processor time that the daemon needs for a gigabyte, and how fast the apps fill pipes that are only emptied. Several
//! apps write at once, because a single one with small writes is held up by its own system calls.

use super::loggers;
use crate::app::LINE;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::files;
use crate::manager::{Manager, tool};
use crate::rendezvous::{Rendezvous, Visitor};
use crate::row::{Row, Samples, Target, Unit};
use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// One way to write.
pub(super) struct Load {
    what: &'static str,
    /// Apps that write at once, each into a file of its own.
    pub(super) apps: usize,
    /// Bytes in one write.
    pub(super) write: usize,
    /// Bytes of each app: whole lines.
    pub(super) each: usize,
    look: Look,
}

/// How the lines look in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Raw,
    Stamped,
    Json,
}

const LARGE: usize = 64 * 1024;

const LOADS: [Load; 6] = [
    Load { what: "raw log, 1 app, 100-byte writes", apps: 1, write: LINE, each: 1_000_000 * LINE, look: Look::Raw },
    Load { what: "raw logs, 4 apps, 100-byte writes", apps: 4, write: LINE, each: 500_000 * LINE, look: Look::Raw },
    Load { what: "raw logs, 4 apps, 64 KiB writes", apps: 4, write: LARGE, each: 1_000_000 * LINE, look: Look::Raw },
    Load {
        what: "stamped logs, 4 apps, 100-byte writes",
        apps: 4,
        write: LINE,
        each: 250_000 * LINE,
        look: Look::Stamped,
    },
    Load {
        what: "stamped logs, 4 apps, 64 KiB writes",
        apps: 4,
        write: LARGE,
        each: 250_000 * LINE,
        look: Look::Stamped,
    },
    Load { what: "JSON logs, 4 apps, 64 KiB writes", apps: 4, write: LARGE, each: 250_000 * LINE, look: Look::Json },
];

/// What one go came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// MB/s.
    pub(super) speed: f64,
    /// Seconds of processor time for a GB.
    pub(super) cost: f64,
}

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let mut meetings = Vec::new();
    for manager in &managers {
        meetings.push(Rendezvous::in_directory(manager.home())?);
    }
    let loggers = loggers::installed();
    let mut rows = Vec::new();
    for load in &LOADS {
        let peers = if load.look == Look::Raw { &loggers[..] } else { &[] };
        let mut costs = vec![Samples::default(); managers.len()];
        let mut alone = Samples::default();
        let mut beside = vec![(Samples::default(), Samples::default()); peers.len()];
        let speeds = bench.in_turn(bench.runs, |index, round| {
            if index == 0 {
                alone.add(write_to_nobody(bench, load)?);
                for (peer, (speeds, costs)) in peers.iter().zip(&mut beside) {
                    let measured = loggers::write(bench, load, peer)?;
                    speeds.add(measured.speed);
                    costs.add(measured.cost);
                }
            }
            let measured = write(&managers[index], &meetings[index], load, round)?;
            costs[index].add(measured.cost);
            Ok(measured.speed)
        })?;
        let ours = |samples: &[Samples]| samples.first().cloned().unwrap_or_default();
        let (speed, cost) = (ours(&speeds), ours(&costs));
        rows.push(Row::new(load.what, Unit::MegabytesPerSecond, speeds, load.look.target()).above(alone));
        let what = format!("{}: daemon", load.what);
        rows.push(Row::new(what, Unit::ProcessorPerGigabyte, costs, Target::Part(10.0)));
        for (peer, (speeds, costs)) in peers.iter().zip(beside) {
            let what = format!("{}, beside {}", load.what, peer.name());
            rows.push(Row::new(&what, Unit::MegabytesPerSecond, vec![speed.clone(), speeds], Target::Times(1.0)));
            let what = format!("{what}: daemon");
            rows.push(Row::new(what, Unit::ProcessorPerGigabyte, vec![cost.clone(), costs], Target::None));
        }
    }
    for manager in managers {
        manager.end()?;
    }
    Ok(rows)
}

/// Lets the apps of one manager write once.
fn write(manager: &Manager, rendezvous: &Rendezvous, load: &Load, round: u32) -> Result<Measured, Failure> {
    let log = |number| manager.path(&format!("{}-{:?}-{round}-{number}.log", load.write, load.look));
    let logs: Vec<PathBuf> = (0..load.apps).map(log).collect();
    let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let app = |(number, log): (usize, &PathBuf)| {
        let mut app = json!({
            "name": format!("writer{number}"), "script": program, "interpreter": "none", "merge_logs": true, "out_file": log,
            "args": ["app", "write", rendezvous.path(), load.write.to_string(), load.each.to_string()],
        });
        match load.look {
            Look::Raw => {}
            Look::Stamped => app["log_date_format"] = "YYYY-MM-DD HH:mm:ss.SSS".into(),
            Look::Json => app["log_type"] = "json".into(),
        }
        app
    };
    let apps: Vec<Value> = logs.iter().enumerate().map(app).collect();
    let file = manager.file("ecosystem.json", json!({ "apps": apps }).to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    let mut writers = load.meet(rendezvous)?;
    load.warm()?;
    let daemon = manager.daemon()?;
    let before = daemon.processor()?;
    let took = load.time(&mut writers, &logs)?;
    let used = daemon.processor()?.saturating_sub(before);
    for log in &logs {
        let length = std::fs::metadata(log).map_err(Failure::system("measuring the log"))?.len();
        if length < load.each as u64 || (length > load.each as u64 && load.look == Look::Raw) {
            return Err(manager.unexpected(format!("the log has {length} bytes of {}", load.each)));
        }
    }
    manager.run(["delete", "all"])?;
    for log in &logs {
        std::fs::remove_file(log).map_err(Failure::system("removing the log"))?;
    }
    Ok(load.result(took, used))
}

/// The bound: the apps' standard outputs are pipes, which a thread each empties to nowhere. The result is MB/s.
fn write_to_nobody(bench: &Bench, load: &Load) -> Result<f64, Failure> {
    let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a directory"))?;
    let rendezvous = Rendezvous::in_directory(folder.path())?;
    let mut children = Children::default();
    let mut drains = Vec::new();
    for _ in 0..load.apps {
        let (mut reader, writer) = std::io::pipe().map_err(Failure::system("opening a pipe"))?;
        children.start(load.writer(&rendezvous)?.stdout(writer))?;
        let nowhere = File::options().write(true).open("/dev/null");
        let mut nowhere = nowhere.map_err(Failure::system("opening /dev/null"))?;
        // Between a pipe and a file this is `splice`.
        drains.push(std::thread::spawn(move || std::io::copy(&mut reader, &mut nowhere)));
    }
    let mut writers = load.meet(&rendezvous)?;
    let took = load.time(&mut writers, &[])?;
    children.end()?;
    for drain in drains {
        let copied = drain.join().map_err(|_| Failure::system("emptying a pipe")(std::io::ErrorKind::Other))?;
        copied.map_err(Failure::system("emptying a pipe"))?;
    }
    Ok(load.result(took, Duration::ZERO).speed)
}

/// Processes that we have started and end.
#[derive(Debug, Default)]
pub(super) struct Children(Vec<Child>);

impl Children {
    /// One more; its pid.
    pub(super) fn start(&mut self, command: &mut Command) -> Result<u32, Failure> {
        let child = command.spawn().map_err(Failure::system("starting a bare process"))?;
        let pid = child.id();
        self.0.push(child);
        Ok(pid)
    }

    /// Ends all of them.
    pub(super) fn end(self) -> Result<(), Failure> {
        for mut child in self.0 {
            child.kill().and_then(|()| child.wait()).map_err(Failure::system("ending a bare process"))?;
        }
        Ok(())
    }
}

impl Look {
    fn target(self) -> Target {
        Target::Times(if self == Look::Raw { 5.0 } else { 15.0 })
    }
}

impl Load {
    /// The app, to be started by us; its output is still to be said.
    pub(super) fn writer(&self, rendezvous: &Rendezvous) -> Result<Command, Failure> {
        let program = std::env::current_exe().map_err(Failure::system("finding this program"))?;
        let mut command = tool(&program);
        command.args(["app", "write"]).arg(rendezvous.path()).args([self.write.to_string(), self.each.to_string()]);
        Ok(command)
    }

    /// Waits for all apps.
    pub(super) fn meet(&self, rendezvous: &Rendezvous) -> Result<Vec<Visitor>, Failure> {
        (0..self.apps).map(|_| rendezvous.meet()).collect()
    }

    /// Lets them write, until these files are complete.
    pub(super) fn time(&self, writers: &mut [Visitor], logs: &[PathBuf]) -> Result<Duration, Failure> {
        let begin = Instant::now();
        for writer in &mut *writers {
            writer.go()?;
        }
        // Nothing watches the files while the apps write: that would cost what we measure.
        for writer in writers {
            writer.done()?;
        }
        for log in logs {
            files::complete(log)?;
        }
        Ok(begin.elapsed())
    }

    /// Has the system give us the memory that the logs are about to need, and gives it back. The first use of memory costs
    /// a virtual machine several times what any logger does with it, and who gets used memory is luck.
    pub(super) fn warm(&self) -> Result<(), Failure> {
        let times = if self.look == Look::Json { 3 } else { 2 };
        let room = times * self.apps * self.each;
        let mut memory = Vec::new();
        let got = memory.try_reserve_exact(room);
        got.map_err(|_| Failure::system("getting memory")(std::io::ErrorKind::OutOfMemory))?;
        memory.resize(room, 1_u8);
        std::hint::black_box(&memory);
        Ok(())
    }

    /// What it means that all was written in this time, with so much processor time of the logger.
    pub(super) fn result(&self, took: Duration, used: Duration) -> Measured {
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let megabytes = (self.apps * self.each) as f64 / 1e6;
        Measured { speed: megabytes / took.as_secs_f64(), cost: used.as_secs_f64() / (megabytes / 1e3) }
    }
}
