//! The manager may die at any moment: processes are killed and their successors looked for.

use crate::harness::{Baton, Watch, alive, kill, port_in, testapp};
use baton_core::world::{Exit, Status};
use serde_json::json;
use std::process::Stdio;

pub(crate) fn spam_is_whole(log: &[u8], lines: u64) {
    let text = std::str::from_utf8(log).expect("spam is text");
    let mut expected = 0_u64;
    for line in text.lines() {
        let (body, sum) = line.rsplit_once(' ').unwrap_or_else(|| panic!("torn line {line:?}"));
        let computed = body.bytes().fold(0_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(byte));
        assert_eq!(format!("{computed:08x}"), sum, "torn line {line:?}");
        assert_eq!(&body[..12], format!("{expected:012}"), "lost or repeated");
        expected += 1;
    }
    assert_eq!(expected, lines);
}

#[test]
fn a_killed_daemon_costs_nothing() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    baton.start("b", &["listen:0"]);
    baton.run(["restart", "a"]).ok();
    let port = port_in(&baton.wait_log("b-out.log", "listening "), "listening ");
    let before = baton.jlist();
    for _ in 0..5 {
        let daemon = baton.daemon();
        kill(daemon);
        baton.connect_to_successor(daemon);
        let after = baton.jlist();
        for (old, new) in before.iter().zip(&after) {
            for key in ["pid", "name", "pm_id"] {
                assert_eq!(old[key], new[key]);
            }
            for key in ["restart_time", "pm_uptime", "created_at", "status", "unique_id"] {
                assert_eq!(old["pm2_env"][key], new["pm2_env"][key], "{key}");
            }
        }
        std::net::TcpStream::connect(("127.0.0.1", port)).expect("still served");
    }
    // The successor supervises: a crash is answered, a stop is a stop.
    let first = baton.pid("a");
    kill(first);
    baton.wait_for("a new life", |list| {
        list.iter().any(|view| view.name == "a" && view.status == Status::Online && view.pid != Some(first))
    });
    let (a, b) = (baton.pid("a"), baton.pid("b"));
    baton.run(["stop", "all"]).ok();
    assert!(!alive(a) && !alive(b));
}

#[test]
fn output_is_exact_over_kills_of_the_daemon() {
    for extra in [json!({}), json!({"log_date_format": "YYYY"})] {
        let baton = Baton::new();
        let lines = 200_000;
        let mut app = json!({"name": "s", "script": testapp(), "args": [format!("spam:{lines}"), "wait"]});
        app.as_object_mut().expect("map").extend(extra.as_object().expect("map").clone());
        baton.file("ecosystem.config.json", json!([app]).to_string());
        baton.run(["start", "ecosystem.config.json"]).ok();
        for _ in 0..8 {
            let daemon = baton.daemon();
            kill(daemon);
            baton.connect_to_successor(daemon);
        }
        let last = format!("{:012} ", lines - 1);
        let path = baton.home().join("logs/s-out.log");
        let content = wait_tail(&path, &last);
        let stamped = app["log_date_format"].is_string();
        let content = if stamped {
            let text = String::from_utf8(content).expect("text");
            text.lines().map(|line| format!("{}\n", &line[6..])).collect::<String>().into_bytes()
        } else {
            content
        };
        spam_is_whole(&content, lines);
    }
}

/// Waits until the last line of a growing file holds a text, and gives the whole.
fn wait_tail(path: &std::path::Path, text: &str) -> Vec<u8> {
    let watch = Watch::on(path.parent().expect("folder"));
    loop {
        let content = std::fs::read(path).unwrap_or_default();
        let tail = String::from_utf8_lossy(&content[content.len().saturating_sub(200)..]).into_owned();
        if tail.ends_with('\n') && tail.lines().last().is_some_and(|line| line.contains(text)) {
            return content;
        }
        watch.wait("the last line");
    }
}

#[test]
fn an_exit_while_no_daemon_runs_is_known_and_handled_once() {
    let baton = Baton::new();
    baton.start("a", &["out:last words", "wait"]);
    baton.wait_log("a-out.log", "last words");
    let (daemon, guard, app) = (baton.daemon(), baton.guard(), baton.pid("a"));
    let stop = |pid: u32, signal| {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("pid");
        rustix::process::kill_process(pid, signal).expect("signal");
    };
    // A guard that is held up can't start a daemon.
    stop(guard, rustix::process::Signal::STOP);
    kill(daemon);
    stop(app, rustix::process::Signal::TERM);
    stop(guard, rustix::process::Signal::CONT);
    let mut successor = baton.connect_to_successor(daemon);
    let list = successor.wait_for("the next life", |list| {
        list.iter().any(|view| view.status == Status::Online && view.pid.is_some_and(|pid| pid != app))
    });
    assert_eq!(list[0].last_exit, Some(Exit::Signal(baton_core::world::Signal::TERM)));
    assert_eq!(list[0].restarts, 1);
}

#[test]
fn a_killed_guard_is_replaced_and_then_a_killed_daemon_too() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    let (app, daemon, guard) = (baton.pid("a"), baton.daemon(), baton.guard());
    kill(guard);
    baton.connect_to_successor(daemon);
    assert_eq!(baton.pid("a"), app);
    let (daemon, guard) = (baton.daemon(), baton.guard());
    assert!(alive(guard));
    kill(daemon);
    baton.connect_to_successor(daemon);
    assert_eq!(baton.pid("a"), app);
    // It is still supervised.
    kill(app);
    baton.wait_for("a new life", |list| {
        list.iter().any(|view| view.status == Status::Online && view.pid.is_some_and(|pid| pid != app))
    });
}

#[test]
fn when_both_die_the_apps_live_on_and_are_adopted_at_the_next_command() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    let app = baton.pid("a");
    baton.kill_both();
    assert!(alive(app));
    assert_eq!(baton.pid("a"), app);
    assert_eq!(baton.entry("a")["pm2_env"]["restart_time"], 0);
    baton.run(["stop", "a"]).ok();
    assert!(!alive(app));
}

#[test]
fn an_update_touches_no_app() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    let (app, daemon) = (baton.pid("a"), baton.daemon());
    baton.run(["update"]).ok();
    assert_ne!(baton.daemon(), daemon);
    assert_eq!(baton.pid("a"), app);
    assert_eq!(baton.entry("a")["pm2_env"]["restart_time"], 0);
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    assert_eq!(baton.pid("a"), app);
}

#[test]
fn two_daemons_never_run_on_one_home() {
    let baton = Baton::new();
    let children: Vec<_> = (0..6)
        .map(|_| baton.command(["jlist"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run"))
        .collect();
    for mut child in children {
        assert!(child.wait().expect("run").success());
    }
    let daemon = baton.daemon();
    let run = baton.run(["daemon", "--home", baton.home().to_str().expect("path")]);
    assert!(!run.stderr.is_empty(), "{run}");
    assert_eq!(baton.daemon(), daemon);
}

#[test]
fn other_requests_are_answered_while_an_app_refuses_to_end() {
    let baton = Baton::new();
    let config = json!([{"name": "stubborn", "script": testapp(), "args": ["ignore:INT,TERM", "out:deaf", "wait"], "kill_timeout": "1h"}]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_log("stubborn-out.log", "deaf");
    let mut stop = baton.command(["stop", "stubborn"]).stdout(Stdio::null()).spawn().expect("run");
    baton.wait_status("stubborn", Status::Stopping);
    baton.start("other", &["wait"]);
    let first = baton.pid("other");
    kill(first);
    baton.wait_for("a new life", |list| {
        list.iter().any(|view| view.name == "other" && view.status == Status::Online && view.pid != Some(first))
    });
    kill(baton.pid("stubborn"));
    assert!(stop.wait().expect("stop").success());
}
