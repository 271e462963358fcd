//! Numbers of processes are few, and given to others again and again.

use super::runs;
use crate::harness::{Baton, alive, ended, kill, testapp};
use baton_core::world::{Cause, InstanceView, Status};
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says to the test program that it is in the namespace.
const INSIDE: &str = "BATON_TEST_INSIDE";

/// Numbers that there are in the namespace.
const NUMBERS: u32 = 500;

/// Runs this test once more, in a process namespace of its own in which numbers are few; `None` is inside of it.
fn in_a_namespace(test: &str) -> Option<()> {
    if std::env::var_os(INSIDE).is_some() {
        std::fs::write("/proc/sys/kernel/pid_max", NUMBERS.to_string()).expect("a limit of this namespace");
        return None;
    }
    // Before Linux 6.14 the limit is the whole machine's.
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a version");
    let mut version = kernel.split('.').map_while(|word| word.parse::<u32>().ok());
    let version = (version.next().unwrap_or(0), version.next().unwrap_or(0));
    if !rustix::process::geteuid().is_root() || version < (6, 14) {
        eprintln!("NOT TESTED: {test} needs root and Linux 6.14");
        return Some(());
    }
    let exe = std::env::current_exe().expect("a path");
    // The first process of a namespace has to take note of orphans that ended: a waiting shell does.
    let status = command("unshare")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", "\"$@\"; exit $?", "sh"])
        .arg(exe)
        .args(["--exact", &format!("chaos::pids::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let said = [status.stdout, status.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if said.contains("unshare failed") {
        eprintln!("NOT TESTED: {test} needs a process namespace: {said}");
        return Some(());
    }
    assert!(status.status.success() && said.contains("1 passed"), "{said}");
    Some(())
}

#[expect(clippy::disallowed_methods, reason = "others on the machine are not started by baton")]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Somebody else's process, which leads a session as an app does, with this number.
fn stranger_at(pid: u32) -> Child {
    for _ in 0..1000 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("root may");
        let mut child = command("setsid").arg(testapp()).arg("wait").spawn().expect("a process");
        if child.id() == pid {
            return child;
        }
        child.kill().expect("ours");
        child.wait().expect("ours");
    }
    panic!("the number {pid} is not to be had");
}

/// Short processes, one after the other; how many of them did not end by themselves.
fn churn(count: usize) -> usize {
    let short = |number: usize| match number % 8 {
        0 => command("setsid").arg("true").status(),
        _ => command("true").status(),
    };
    // Where no number is free, the next one finds one.
    (0..count).filter(|number| short(*number).is_ok_and(|status| !status.success())).count()
}

#[test]
fn no_stranger_is_ever_signalled_or_adopted() {
    if in_a_namespace("no_stranger_is_ever_signalled_or_adopted").is_some() {
        return;
    }
    let baton = Baton::new();
    let apps = json!([
        {"name": "short", "script": "/bin/sh", "args": ["-c", "true & exit 1"], "instances": 2, "max_restarts": 1_000_000},
        {"name": "tree", "script": testapp(), "args": ["child:session:wait+wait", "wait"], "kill_timeout": 300, "min_uptime": 1},
    ]);
    baton.file("ecosystem.config.json", apps.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    let count = runs(600, 10_000);
    let others = [(); 2].map(|()| std::thread::spawn(move || churn(count)));
    for round in 0..runs(6, 60) {
        match round % 3 {
            0 => drop(baton.run(["restart", "tree"]).ok()),
            1 => {
                let daemon = baton.daemon();
                kill(daemon);
                baton.connect_to_successor(daemon);
            }
            _ => {
                baton.run(["stop", "tree"]).ok();
                baton.run(["start", "tree"]).ok();
            }
        }
    }
    let harmed: usize = others.into_iter().map(|other| other.join().expect("no panic")).sum();
    assert_eq!(harmed, 0, "processes of others were signalled");
    baton.wait_for("crashes", |list| list.iter().map(|view| view.restarts).sum::<u32>() > 60);
    baton.run(["delete", "short"]).ok();

    // What is on record is gone altogether, and others have the numbers.
    let (app, daemon, guard) = (baton.pid("tree"), baton.daemon(), baton.guard());
    baton.kill_both();
    let apps = super::of_home(&baton);
    apps.iter().copied().for_each(kill);
    apps.iter().copied().for_each(ended);
    let mut strangers = [app, daemon, guard].map(stranger_at);
    baton.run(["jlist"]).ok();
    let view = baton.wait_status("tree", Status::Online);
    assert_ne!(view.pid, Some(app), "a stranger was adopted");
    for command in [&["restart", "tree"], &["stop", "tree"], &["delete", "tree"]] {
        baton.run(command).ok();
    }
    baton.run(["kill"]).ok();
    for stranger in &mut strangers {
        assert!(stranger.try_wait().expect("ours").is_none() && alive(stranger.id()), "a stranger was ended");
        stranger.kill().expect("ours");
        stranger.wait().expect("ours");
    }
}

#[test]
fn an_app_that_no_process_can_be_made_for_is_begun_when_there_is_room() {
    if in_a_namespace("an_app_that_no_process_can_be_made_for_is_begun_when_there_is_room").is_some() {
        return;
    }
    let baton = Baton::new();
    baton.file("run.sh", "[ -e room ] && exec sleep 1000\nexit 1\n");
    let app = json!([{"name": "a", "script": "run.sh", "max_restarts": 1_000_000, "min_uptime": 50}]);
    baton.start("b", &["wait"]);
    let (daemon, b) = (baton.daemon(), baton.pid("b"));
    baton.file("ecosystem.config.json", app.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    let mut connection = baton.connect_to_any();
    // Every number is taken, and that of the app as soon as it ends: by its next life, or at some time by a sleeper.
    let full = Arc::new(AtomicBool::new(true));
    let filler = {
        let full = Arc::clone(&full);
        std::thread::spawn(move || {
            let mut sleepers = Vec::new();
            while full.load(Ordering::Relaxed) {
                sleepers.extend(command("sleep").arg("1000").spawn());
            }
            sleepers
        })
    };
    let is = |list: &[InstanceView], wished: &dyn Fn(&InstanceView) -> bool| {
        list.iter().any(|view| view.name == "a" && wished(view))
    };
    let refused = |view: &InstanceView| {
        let why = view.last.as_ref().map(|last| &last.cause);
        view.status == Status::WaitingRestart && matches!(why, Some(Cause::SpawnFailed(_)))
    };
    connection.wait_for("a to be refused", |list| is(list, &refused));
    baton.file("room", "");
    full.store(false, Ordering::Relaxed);
    let sleepers = filler.join().expect("no panic");
    assert!(sleepers.len() > 100, "{}", sleepers.len());
    for mut sleeper in sleepers {
        sleeper.kill().expect("ours");
        sleeper.wait().expect("ours");
    }
    connection.wait_for("a to be up", |list| is(list, &|view| view.status == Status::Online));
    assert_eq!((baton.daemon(), baton.pid("b")), (daemon, b));
    baton.run(["why", "a"]).ok().says("emporarily unavailable");
}
