//! `monit` with a hundred apps in a terminal of 120 columns and 40 rows: the processor time that it and the manager use
//! while nobody presses a key.

use super::fleet;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::proc::{Held, quiet};
use crate::row::{Row, Target, Unit};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Until the picture stands.
const SETTLE: Duration = Duration::from_secs(5);
/// What is measured.
const WINDOW: Duration = Duration::from_secs(10);

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let mut managers = bench.managers()?;
    for manager in &mut managers {
        fleet::start(manager)?;
        manager.online(fleet::APPS)?;
        manager.meet()?;
    }
    let samples = bench.in_turn(bench.runs, |index, _| share(&managers[index]))?;
    for manager in managers {
        manager.end()?;
    }
    let what = "`monit` with 100 apps: its own and the daemon's part of a processor";
    Ok(vec![Row::new(what, Unit::Percent, samples, Target::Part(4.0))])
}

/// The part of a processor that both use together.
fn share(manager: &Manager<'_>) -> Result<f64, Failure> {
    let (ours, theirs) = terminal()?;
    let mut child = manager.begin_on("monit", &theirs)?;
    drop(theirs);
    let reader = std::thread::spawn(move || std::io::copy(&mut File::from(ours), &mut std::io::sink()));
    let measured = measure(manager, child.id());
    child.kill().and_then(|()| child.wait()).map_err(Failure::system("ending monit"))?;
    // With its last writer the terminal ends, which its reader is told as an error.
    let _ = reader.join();
    measured
}

fn measure(manager: &Manager<'_>, monit: u32) -> Result<f64, Failure> {
    let monit = Held::of(monit)?;
    let used = || -> Result<Duration, Failure> {
        let own = manager.processes().iter().map(Held::processor).sum::<Result<Duration, Failure>>()?;
        Ok(own + monit.processor()?)
    };
    quiet(SETTLE)?;
    let before = used()?;
    quiet(WINDOW)?;
    let took = used()?.saturating_sub(before);
    if monit.ended_within(Duration::ZERO) {
        return Err(manager.unexpected("monit has ended by itself"));
    }
    Ok(100.0 * took.as_secs_f64() / WINDOW.as_secs_f64())
}

/// Our end of a terminal, and the program's.
fn terminal() -> Result<(OwnedFd, OwnedFd), Failure> {
    let open = || -> rustix::io::Result<(OwnedFd, OwnedFd)> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let theirs = rustix::fs::open(ptsname(&ours, Vec::new())?, flags, rustix::fs::Mode::empty())?;
        tcsetwinsize(&theirs, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 })?;
        Ok((ours, theirs))
    };
    open().map_err(Failure::system("opening a terminal"))
}
