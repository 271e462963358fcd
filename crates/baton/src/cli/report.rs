//! `report`: the facts that whoever looks into a bug asks for. No environment and no argument of an app is in it.

use super::common::Common;
use super::failure::Failure;
use super::logs::tail::last_lines;
use super::session::{Session, list};
use super::story::local;
use baton_core::proto::List;
use baton_os::clock;
use clap::Parser;
use jiff::tz::TimeZone;
use std::fs::{File, read_to_string};

/// Lines of the daemon's own log.
const LOG_LINES: usize = 20;

/// Print what a bug report should hold.
///
/// Versions, limits of the machine, the list, and the last lines of the daemon.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. It starts no daemon.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    let zone = TimeZone::system();
    let mut text = String::from("```\n");
    let mut fact = |name: &str, value: String| text.push_str(&format!("{name:<20} : {value}\n"));
    fact("date", local(clock::now().wall, &zone));
    fact("baton", env!("CARGO_PKG_VERSION").into());
    fact("called as", session.called.program().into());
    fact("home", session.home.root().display().to_string());
    let mut client = session.present_client()?;
    match &client {
        Some(client) => {
            let daemon = client.greeting();
            fact("daemon", format!("baton {}, protocol {}, pid {}", daemon.version, daemon.protocol, daemon.pid));
            fact("guard", daemon.guard.map_or("none".into(), |pid| format!("pid {pid}")));
            fact("since", local(daemon.started_at, &zone));
        }
        None => fact("daemon", "does not run".into()),
    }
    let uname = rustix::system::uname();
    let known = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    fact("system", format!("{} {} {}", known(uname.sysname()), known(uname.release()), known(uname.machine())));
    let first = |path: &str, start: &str| {
        let text = read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(start))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let unknown = || "unknown".to_owned();
    fact("distribution", first("/etc/os-release", "PRETTY_NAME=").unwrap_or_else(unknown));
    fact("init", first("/proc/1/comm", "").unwrap_or_else(unknown));
    fact("processors", std::thread::available_parallelism().map_or_else(|_| unknown(), |count| count.to_string()));
    fact("memory", first("/proc/meminfo", "MemTotal:").unwrap_or_else(unknown));
    fact("memory available", first("/proc/meminfo", "MemAvailable:").unwrap_or_else(unknown));
    fact("open files", first("/proc/self/limits", "Max open files").unwrap_or_else(unknown));
    fact("watched folders", first("/proc/sys/fs/inotify/max_user_watches", "").unwrap_or_else(unknown));
    fact("user", rustix::process::getuid().as_raw().to_string());
    if let Some(client) = &mut client {
        let listing = list(client, List::default())?;
        text.push_str("\n--- apps\n");
        for view in &listing.instances {
            let cause = view.last.as_ref().map(|last| last.cause.to_string()).unwrap_or_default();
            let (id, name, status) = (view.id, &view.name, view.word());
            text.push_str(&format!("{id} {name}: {status}, restarts {}, {cause}\n", view.restarts));
        }
        for notice in &listing.notices {
            text.push_str(&format!("notice: {notice}\n"));
        }
    }
    if let Ok((lines, _)) = File::open(session.home.daemon_log()).and_then(|file| last_lines(&file, LOG_LINES)) {
        text.push_str(&format!("\n--- last lines of the daemon\n{}", String::from_utf8_lossy(&lines)));
    }
    text.push_str("```\n");
    session.data(text.as_bytes());
    Ok(())
}
