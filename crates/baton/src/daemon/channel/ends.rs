//! Who gets a channel, and what its program is told of it.

use super::Role;
use crate::daemon::life::Key;
use baton_core::spec::{AppSpec, Environment, ExecMode, ReadyBy};
use baton_core::world::World;
use baton_node::cluster::Balance;
use baton_node::preload;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Node.
const NODE: &[&str] = &["node", "nodejs"];
/// Runtimes that look for a channel when they start.
const RUNTIMES: &[&str] = &["node", "nodejs", "bun"];

/// Whether a life of this definition gets a channel: programs of Node and Bun do, and whoever asks for what it brings.
pub(in crate::daemon) fn is_for(spec: &AppSpec) -> bool {
    let by_message = spec.ready.as_ref().is_some_and(|ready| ready.by == ReadyBy::Ipc);
    let is_worker = spec.exec_mode == ExecMode::Cluster;
    is_worker || by_message || spec.wait_ready || spec.shutdown_with_message || is_one_of(RUNTIMES, program(spec))
}

/// Whether a program of this definition, with this environment, loads our module first.
pub(in crate::daemon) fn loads_module(spec: &AppSpec, env: &Environment) -> bool {
    let options = env.get("NODE_OPTIONS").map_or("", String::as_str);
    spec.pmx && is_one_of(NODE, program(spec)) && preload::is_allowed(&spec.node_args, options)
}

/// What a life of a slot is in its cluster.
pub(in crate::daemon) fn role(world: &World, (id, incarnation): Key) -> Option<Role> {
    let slot = world.as_of(id, incarnation)?;
    let balance = match slot.spec.balance.as_str() {
        "shared" => Balance::Shared,
        "reuseport" => Balance::Reuseport,
        _ => Balance::Rr,
    };
    let is_worker = slot.spec.exec_mode == ExecMode::Cluster;
    let current = world.instances.get(&id).filter(|current| current.incarnation != incarnation);
    let same = current.is_some_and(|current| current.spec == slot.spec);
    is_worker.then(|| Role { app: slot.spec.name.clone(), slot: slot.number, balance, same })
}

fn program(spec: &AppSpec) -> &str {
    if spec.interpreter == "none" { &spec.script } else { &spec.interpreter }
}

/// `node`, `/usr/bin/nodejs`, `node-22`.
fn is_one_of(runtimes: &[&str], program: &str) -> bool {
    let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let bare = name.trim_end_matches(|end: char| end.is_ascii_digit() || ".-@v".contains(end));
    runtimes.contains(&bare)
}

/// Our end and the program's.
///
/// # Errors
/// When there are no descriptors to be had.
pub(in crate::daemon) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// The variables by which Node finds its end. It removes them before the program runs.
pub(in crate::daemon) fn variables(descriptor: usize) -> [(&'static str, String); 2] {
    [("NODE_CHANNEL_FD", descriptor.to_string()), ("NODE_CHANNEL_SERIALIZATION_MODE", "json".into())]
}

/// What makes a program of Node a worker; its number is `cluster.worker.id`.
pub(in crate::daemon) fn worker((_, incarnation): Key) -> (&'static str, String) {
    ("NODE_UNIQUE_ID", incarnation.to_string())
}

/// The guard's name for our end.
pub(in crate::daemon) fn name((_, incarnation): Key) -> String {
    format!("chan:{incarnation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_and_whoever_asks_get_a_channel() {
        let run = |interpreter: &str, script: &str| AppSpec {
            interpreter: interpreter.into(),
            script: script.into(),
            ..AppSpec::default()
        };
        for with in
            [run("node", "a.js"), run("/opt/bin/node-22.1", "a.js"), run("none", "/usr/bin/bun"), run("nodejs", "a")]
        {
            assert!(is_for(&with), "{with:?}");
            let is_node = !program(&with).ends_with("bun");
            assert_eq!(loads_module(&with, &Environment::new()), is_node);
            assert!(!loads_module(&AppSpec { pmx: false, ..with.clone() }, &Environment::new()));
        }
        for without in
            [run("python3", "a.py"), run("none", "./node_modules/x"), run("none", "nodemon"), run("bash", "node")]
        {
            assert!(!is_for(&without), "{without:?}");
            assert!(is_for(&AppSpec { wait_ready: true, ..without.clone() }));
            assert!(is_for(&AppSpec { shutdown_with_message: true, ..without }));
        }
    }
}
