//! What programs see, and what becomes of them.

use crate::harness::{Baton, alive, ended, kill, port_in, testapp};
use baton_core::world::Status;
use serde_json::{Value, json};

fn dump_of(baton: &Baton, name: &str) -> Value {
    let said = baton.wait_log(&format!("{name}-out.log"), "}\n");
    serde_json::from_str(said.lines().last().expect("a line")).expect("json")
}

/// The pids in lines `child 123` of a log.
fn children(log: &str) -> Vec<u32> {
    log.lines().filter_map(|line| line.strip_prefix("child ")?.trim().parse().ok()).collect()
}

#[test]
fn a_program_sees_a_clean_world() {
    let baton = Baton::new();
    baton.start("d", &["dump", "wait"]);
    let seen = dump_of(&baton, "d");
    assert_eq!(seen["descriptors"], json!([0, 1, 2]));
    assert_eq!(seen["blocked"], "0000000000000000");
    // The runtime of the helper program ignores SIGPIPE by itself, so another is asked.
    baton.run(["start", "exec grep Sig /proc/self/status", "--name", "signals", "--no-autorestart"]).ok();
    let signals = baton.wait_log("signals-out.log", "SigCgt");
    assert!(
        signals.contains("SigIgn:\t0000000000000000") && signals.contains("SigBlk:\t0000000000000000"),
        "{signals}"
    );
    assert!(seen["stdin"].as_str().is_some_and(|path| path.ends_with("/run/1.in")), "{seen}");
    assert_eq!(seen["session"], seen["pid"].to_string(), "a session of its own");
    assert_eq!(seen["cwd"], baton.dir().to_str().expect("path"));
    // The limit that the daemon raised for itself is not passed on.
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.map(|n| n.to_string());
    assert_eq!(seen["open_files"].as_str(), own.as_deref());
    let env = &seen["env"];
    assert_eq!(env["name"], "d");
    assert_eq!(env["pm_id"], "0");
    assert_eq!(env["NODE_APP_INSTANCE"], "0");
    assert_eq!(env["pm_exec_path"], testapp().to_str().expect("path"));
    assert_eq!(env["exec_mode"], "fork_mode");
    assert!(env["unique_id"].is_string() && env["pm_cwd"].is_string() && env["namespace"] == "default");
    assert!(env.get("BATON_GUARD_FD").is_none());
}

#[test]
fn the_environment_is_shell_then_files_then_definition() {
    let baton = Baton::new();
    baton.file(".env", "FROM=file\nFILE_ONLY=\"two words\" # note\nexport EXPORTED=yes\n");
    let config = json!({"apps": [{
        "name": "d", "script": testapp(), "args": ["dump", "wait"], "env_file": [".env", "absent.env"],
        "env": {"FROM": "definition", "NUMBER": 300_000, "FLAG": true, "MAP": {"a": 1}, "NOTHING": null},
        "env_production": {"MODE": "prod"},
    }]});
    baton.file("ecosystem.config.json", config.to_string());
    let status = baton
        .command(["start", "ecosystem.config.json", "--env", "production"])
        .env("FROM", "shell")
        .env("FILE_ONLY", "shell")
        .env("SHELL_ONLY", "shell")
        .env("name", "shell")
        .status()
        .expect("start");
    assert!(status.success());
    let env = &dump_of(&baton, "d")["env"];
    assert_eq!(env["FROM"], "definition");
    assert_eq!(env["FILE_ONLY"], "two words");
    assert_eq!(env["EXPORTED"], "yes");
    assert_eq!(env["SHELL_ONLY"], "shell");
    assert_eq!(env["NUMBER"], "300000");
    assert_eq!(env["FLAG"], "true");
    assert_eq!(env["MAP"], "{\"a\":1}");
    assert_eq!(env["MODE"], "prod");
    assert_eq!(env["name"], "d", "a shell variable does not rename the app");
    assert!(env.get("NOTHING").is_none());

    // The file is read again at each restart.
    baton.file(".env", "FILE_ONLY=changed\n");
    baton.run(["flush", "d"]).ok();
    baton.run(["restart", "d"]).ok();
    assert_eq!(dump_of(&baton, "d")["env"]["FILE_ONLY"], "changed");
}

#[test]
fn programs_of_every_kind_run() {
    let baton = Baton::new();
    baton.file("s.sh", "echo shell $1; exec sleep 1000\n");
    baton.file("p.py", "import sys, time\nprint('python', sys.argv[1], flush=True)\ntime.sleep(1000)\n");
    let script =
        baton.file("bang", "#!/usr/bin/env python3\nimport time\nprint('shebang', flush=True)\ntime.sleep(1000)\n");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    baton.run(["start", "s.sh", "--", "one"]).ok();
    baton.run(["start", "p.py", "--", "two"]).ok();
    baton.run(["start", "./bang"]).ok();
    baton.run(["start", "echo line of $((1+1)) commands; exec sleep 1000", "--name", "line"]).ok();
    baton.run(["start", "--name", "path", "--", "sleep", "1000"]).ok();
    baton.wait_log("s-out.log", "shell one");
    baton.wait_log("p-out.log", "python two");
    baton.wait_log("bang-out.log", "shebang");
    baton.wait_log("line-out.log", "line of 2 commands");
    assert!(baton.jlist().iter().all(|entry| entry["pm2_env"]["status"] == "online"));
}

#[test]
fn node_programs_run_as_without_a_manager() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file("app.js", "console.log(JSON.stringify({argv: process.argv.slice(2), main: require.main === module}));setInterval(() => {}, 1e6)\n");
    baton.file("pkg/package.json", r#"{"main": "lib/start.js"}"#);
    baton.file("pkg/lib/start.js", "console.log('package main');setInterval(() => {}, 1e6)\n");
    baton.file("reject.js", "Promise.reject(new Error('nobody cares'))\n");
    baton.run(["start", "app.js", "--", "a", "--b=c d"]).ok();
    let said = baton.wait_log("app-out.log", "\n");
    assert_eq!(said.trim(), r#"{"argv":["a","--b=c d"],"main":true}"#);
    let config = json!([{"name": "dot", "script": ".", "cwd": "pkg"}]);
    baton.file("dot.config.json", config.to_string());
    baton.run(["start", "dot.config.json"]).ok();
    baton.wait_log("dot-out.log", "package main");
    baton.run(["start", "reject.js", "--no-autorestart"]).ok();
    baton.wait_status("reject", Status::Stopped);
    assert_eq!(baton.entry("reject")["pm2_env"]["exit_code"], 1);
}

/// Whether Node is here; where it must be, its absence is a failure.
pub(crate) fn node() -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("node").exists()));
    assert!(found || std::env::var_os("CI").is_none(), "this test needs Node, and CI must have it");
    if !found {
        eprintln!("NOT TESTED: this test needs Node, which is not on PATH");
    }
    found
}

#[test]
fn a_missing_program_is_errored_and_the_others_start() {
    let baton = Baton::new();
    let config = json!([
        {"name": "absent", "script": "no-such-program-anywhere"},
        {"name": "nowhere", "script": testapp(), "args": "wait", "cwd": "no/such/folder"},
        {"name": "bad-interpreter", "script": testapp(), "interpreter": "no-such-interpreter"},
        {"name": "present", "script": testapp(), "args": "wait"},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).code(1).says("no-such-program-anywhere");
    for (name, reason) in [
        ("absent", "no-such-program-anywhere"),
        ("nowhere", "no/such/folder"),
        ("bad-interpreter", "no-such-interpreter"),
    ] {
        assert_eq!(baton.entry(name)["pm2_env"]["status"], "errored", "{name}");
        baton.run(["describe", name]).ok().stdout_has(reason);
    }
    assert_eq!(baton.entry("present")["pm2_env"]["status"], "online");
}

#[test]
fn a_killed_process_comes_back_with_its_cause_on_record() {
    let baton = Baton::new();
    baton.start("phoenix", &["wait"]);
    let first = baton.pid("phoenix");
    kill(first);
    baton.wait_for("a new life", |list| {
        list.iter().any(|view| view.status == Status::Online && view.pid.is_some_and(|pid| pid != first))
    });
    assert_eq!(baton.entry("phoenix")["pm2_env"]["restart_time"], 1);
    baton.run(["describe", "phoenix"]).ok().stdout_has("SIGKILL");
}

#[test]
fn a_crash_loop_ends_errored_after_max_restarts() {
    let baton = Baton::new();
    let config =
        json!([{"name": "sick", "script": testapp(), "args": ["exit:7"], "max_restarts": 3, "restart_delay": 10}]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    let view = baton.wait_status("sick", Status::Errored);
    assert_eq!(view.restarts, 2);
    baton.run(["describe", "sick"]).ok().stdout_has("code 7");
    // Asked again, it tries again.
    baton.run(["restart", "sick"]).ok();
    baton.wait_status("sick", Status::Errored);
}

#[test]
fn policies_decide_what_follows_an_exit() {
    let baton = Baton::new();
    let config = json!([
        {"name": "once", "script": testapp(), "args": ["exit:1"], "autorestart": false},
        {"name": "done", "script": testapp(), "args": ["exit:42"], "stop_exit_codes": [0, 42]},
        {"name": "later", "script": testapp(), "args": ["exit:1"], "restart_delay": "1h"},
        {"name": "backoff", "script": testapp(), "args": ["exit:1"], "exp_backoff_restart_delay": 3_600_000},
        {"name": "parked", "script": testapp(), "args": ["wait"], "autostart": false},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_status("once", Status::Stopped);
    baton.wait_status("done", Status::Stopped);
    baton.wait_status("later", Status::WaitingRestart);
    baton.wait_status("backoff", Status::WaitingRestart);
    assert_eq!(baton.entry("parked")["pm2_env"]["status"], "stopped");
    assert_eq!(baton.entry("done")["pm2_env"]["exit_code"], 42);
    baton.run(["start", "parked"]).ok();
    assert_eq!(baton.entry("parked")["pm2_env"]["status"], "online");
    // A waiting app can be stopped, and then stays down.
    baton.run(["stop", "later"]).ok();
    assert_eq!(baton.entry("later")["pm2_env"]["status"], "stopped");
}

#[test]
fn a_port_in_use_ends_errored_and_the_reason_is_in_the_log() {
    let baton = Baton::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("address").port();
    let config = json!([{"name": "web", "script": testapp(), "args": [format!("listen:{port}")], "max_restarts": 3}]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_status("web", Status::Errored);
    baton.run(["logs", "web", "--err", "--nostream"]).ok().says("in use");
}

#[test]
fn ports_are_free_when_delete_returns() {
    let baton = Baton::new();
    baton.start("web", &["child:listen:0", "wait"]);
    let said = baton.wait_log("web-out.log", "listening ");
    let port = port_in(&said, "listening ");
    baton.run(["delete", "web"]).ok();
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
}

#[test]
fn nothing_of_the_tree_survives_a_stop() {
    let baton = Baton::new();
    let config = json!([{"name": "tree", "script": testapp(), "kill_timeout": 300, "args": [
        "child:wait", "child:ignore:INT,TERM,HUP+wait", "session:ignore:INT,TERM,HUP+wait", "orphan:ignore:INT,TERM,HUP+out:deep+wait", "out:all", "wait",
    ]}]);
    baton.file("ecosystem.config.json", config.to_string());
    for _ in 0..3 {
        baton.run(["start", "ecosystem.config.json"]).ok();
        // The orphan may speak before its parent has told its number.
        baton.wait_log("tree-out.log", "deep");
        let said = baton.wait_log("tree-out.log", "all");
        let mut pids = children(&said);
        pids.push(baton.pid("tree"));
        assert_eq!(pids.len(), 5, "{said}");
        baton.run(["stop", "tree"]).ok();
        for pid in pids {
            assert!(!alive(pid), "process {pid} survived: {said}");
        }
        baton.run(["flush", "tree"]).ok();
    }
}

#[test]
fn a_crashed_leader_takes_its_tree_along_before_the_next_life() {
    let baton = Baton::new();
    baton.start("tree", &["session:ignore:INT,TERM+wait", "orphan:ignore:INT,TERM+out:deep+wait", "out:all", "wait"]);
    baton.wait_log("tree-out.log", "deep");
    let said = baton.wait_log("tree-out.log", "all");
    let old = children(&said);
    assert_eq!(old.len(), 2, "{said}");
    let first = baton.pid("tree");
    kill(first);
    baton.wait_for("a new life", |list| {
        list.iter().any(|view| view.status == Status::Online && view.pid.is_some_and(|pid| pid != first))
    });
    for pid in old {
        assert!(!alive(pid), "process {pid} of the crashed life survived");
    }
}

#[test]
fn treekill_off_leaves_the_children() {
    let baton = Baton::new();
    // Long after the leader's output counts as read to its end.
    baton.file("stays.sh", "sleep 3; echo still here; exec sleep 1000");
    baton.file("leader.sh", "setsid sh stays.sh & echo child $!; exec sleep 1000");
    baton.run(["start", "leader.sh", "--name", "t", "--no-treekill"]).ok();
    let child = children(&baton.wait_log("t-out.log", "child "))[0];
    baton.run(["stop", "t"]).ok();
    assert!(alive(child));
    baton.wait_log("t-out.log", "still here");
    kill(child);
    ended(child);
}

#[test]
fn logs_hold_what_was_written_and_nothing_else() {
    let baton = Baton::new();
    let app = testapp();
    let parts = ["part:no newline ", "bytes:fffe00c3280a", "part:the end"];
    let once = ["start", app.to_str().expect("path"), "--name", "bytes", "--no-autorestart", "--"];
    baton.run(once.into_iter().chain(parts)).ok();
    let path = baton.home().join("logs/bytes-out.log");
    baton.wait_file(&path, "the end");
    assert_eq!(std::fs::read(path).expect("log"), b"no newline \xff\xfe\x00\xc3(\nthe end");
}

#[test]
fn log_files_follow_the_definition() {
    let baton = Baton::new();
    let config = json!([
        {"name": "stamped", "script": testapp(), "args": ["out:hello", "err:oops", "wait"], "log_date_format": "YYYY-MM-DD HH:mm:ss Z"},
        {"name": "json", "script": testapp(), "args": ["out:one", "out:two", "wait"], "log_type": "json"},
        {"name": "both", "script": testapp(), "args": ["out:to out", "err:to err", "wait"], "log_file": "logs/both.log"},
        {"name": "none", "script": testapp(), "args": ["out:unheard", "wait"], "out_file": "/dev/null", "error_file": "NULL"},
        {"name": "two", "script": testapp(), "args": ["out:mine", "wait"], "instances": 2, "exec_mode": "fork", "out_file": "two.log"},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    let line = baton.wait_log("stamped-out.log", "hello\n");
    let (date, rest) = line.split_at("2026-11-21 04:00:00 +00:00".len());
    assert_eq!(rest, ": hello\n");
    assert!(date.starts_with("20") && date.contains(':'), "{date}");
    let records = baton.wait_log("json-out.log", "two");
    let first: Value = serde_json::from_str(records.lines().next().expect("a record")).expect("json");
    assert_eq!((&first["message"], &first["type"], &first["app_name"]), (&json!("one"), &json!("out"), &json!("json")));
    let combined = baton.dir().join("logs/both.log");
    baton.wait_file(&combined, "to out");
    baton.wait_file(&combined, "to err");
    for id in [baton.jlist().iter().filter(|e| e["name"] == "two").map(|e| e["pm_id"].to_string()).collect::<Vec<_>>()]
    {
        for id in id {
            baton.wait_file(&baton.dir().join(format!("two-{id}.log")), "mine");
        }
    }
    assert!(!baton.dir().join("NULL").exists());
}

/// An app whose output goes to a device that is always full; after much output it makes a file.
fn to_a_full_disk(overflow: &str) -> (Baton, std::path::PathBuf) {
    let baton = Baton::new();
    let done = baton.dir().join("done");
    std::os::unix::fs::symlink("/dev/full", baton.dir().join("out.log")).expect("link");
    let config = json!({"apps": [{
        "name": "noisy", "script": testapp(), "out_file": "out.log", "log_overflow": overflow,
        "args": ["spam:30000", format!("touch:{}", done.display()), "err:through", "wait"],
    }]});
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    (baton, done)
}

#[test]
fn an_app_waits_for_a_full_disk_unless_it_may_lose_output_and_the_list_says_so() {
    let (baton, done) = to_a_full_disk("block");
    baton.wait_file(&baton.home().join("pm2.log"), "could not write");
    baton.run(["ls"]).ok().says("could not write");
    assert!(!done.exists(), "two megabytes don't fit into a pipe");
    // The disk has room again: nothing is lost.
    std::fs::remove_file(baton.dir().join("out.log")).expect("removed");
    baton.run(["reloadLogs"]).ok();
    baton.wait_log("noisy-error.log", "through");
    let text = baton.wait_file(&baton.dir().join("out.log"), "000000029999 ");
    assert_eq!(text.lines().count(), 30_000);

    let (baton, done) = to_a_full_disk("drop");
    baton.wait_log("noisy-error.log", "through");
    assert!(done.exists());
    std::fs::remove_file(baton.dir().join("out.log")).expect("removed");
    baton.run(["reloadLogs"]).ok();
    let text = baton.wait_file(&baton.dir().join("out.log"), "of output were dropped here");
    assert!(text.lines().any(|line| line.starts_with("[baton] ")), "{text}");
    baton.wait_for("the sum", |list| list.iter().any(|view| view.dropped > 0));
    baton.run(["ls"]).ok().says("bytes of output of noisy (0) were dropped while");
    let told = || {
        let all = baton.run(["describe", "noisy"]).ok().stdout;
        all.lines().find(|line| line.contains("output dropped")).expect("a row").to_owned()
    };
    let before = told();
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    assert_eq!(told(), before, "the next daemon knows it too");
    baton.run(["reset", "noisy"]).ok();
    assert!(!baton.run(["ls"]).ok().stdout.contains("were dropped"));
}

#[test]
fn a_node_program_that_ends_at_once_keeps_its_output_with_log_blocking_only() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file("big.js", "process.stdout.write('x'.repeat(20 << 20)); process.exit(0);");
    let app = |name: &str, blocking: bool| json!({"name": name, "script": "big.js", "autorestart": false, "log_blocking": blocking});
    let config = json!({"apps": [app("kept", true), app("lost", false)]});
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    for name in ["kept", "lost"] {
        baton.wait_status(name, Status::Stopped);
    }
    let size = |name: &str| std::fs::metadata(baton.home().join(format!("logs/{name}-out.log"))).expect("a log").len();
    // Node has written a part of it and dropped the rest, under any manager.
    assert!(size("lost") < 20 << 20);
    // The end of the program is not the end of its log.
    baton.run(["delete", "kept"]).ok();
    assert_eq!(size("kept"), 20 << 20);
}
