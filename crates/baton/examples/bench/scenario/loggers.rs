//! Programs that do nothing but copy a pipe to log files, as peers of the log thread: s6-log and svlogd, where they are
//! installed. Each app has one of its own.

use super::logs::{Children, Load, Measured};
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::tool;
use crate::proc::Held;
use crate::rendezvous::Rendezvous;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    S6Log,
    Svlogd,
}

/// A program that is there.
#[derive(Debug)]
pub(super) struct Logger {
    kind: Kind,
    program: PathBuf,
}

/// Those that are there.
pub(super) fn installed() -> Vec<Logger> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |kind: Kind| {
        let mut found = std::env::split_paths(&path).map(|folder| folder.join(kind.name()));
        found.find(|program| program.is_file()).map(|program| Logger { kind, program })
    };
    [Kind::S6Log, Kind::Svlogd].into_iter().filter_map(find).collect()
}

/// Lets the apps write once through pipes to a logger each.
pub(super) fn write(bench: &Bench, load: &Load, logger: &Logger) -> Result<Measured, Failure> {
    let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a directory"))?;
    let rendezvous = Rendezvous::in_directory(folder.path())?;
    let (mut apps, mut loggers) = (Children::default(), Children::default());
    let (mut held, mut logs) = (Vec::new(), Vec::new());
    for number in 0..load.apps {
        let log = folder.path().join(format!("log{number}"));
        let (reader, writer) = std::io::pipe().map_err(Failure::system("opening a pipe"))?;
        held.push(Held::of(loggers.start(logger.command(&log)?.stdin(reader))?)?);
        apps.start(load.writer(&rendezvous)?.stdout(writer))?;
        logs.push(log.join("current"));
    }
    let mut writers = load.meet(&rendezvous)?;
    load.warm()?;
    let before = used(&held)?;
    let took = load.time(&mut writers, &logs)?;
    let used = used(&held)?.saturating_sub(before);
    apps.end()?;
    loggers.end()?;
    Ok(load.result(took, used))
}

fn used(loggers: &[Held]) -> Result<Duration, Failure> {
    loggers.iter().map(Held::processor).sum()
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::S6Log => "s6-log",
            Kind::Svlogd => "svlogd",
        }
    }
}

impl Logger {
    /// Its name for people.
    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Writing lines as they are to one file in this folder, without rotation.
    fn command(&self, folder: &Path) -> Result<Command, Failure> {
        let mut command = tool(&self.program);
        match self.kind {
            // Its largest limit for a file.
            Kind::S6Log => command.arg("s268435455").arg(folder),
            Kind::Svlogd => {
                std::fs::create_dir(folder).map_err(Failure::system("making a directory"))?;
                std::fs::write(folder.join("config"), "s0\n").map_err(Failure::system("writing svlogd's settings"))?;
                command.arg(folder)
            }
        };
        Ok(command)
    }
}
