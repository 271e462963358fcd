//! What the program takes care of without being asked: secrets, modes of files, broken files, scripts that are gone.

use crate::harness::{Baton, testapp};
use baton_core::proto::{PROTOCOL, Refusal, Reply, ServerMessage};
use serde_json::json;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn secrets_show_only_when_asked_for() {
    let config =
        json!([{"name": "s", "script": testapp(), "args": "wait", "env": {"API_TOKEN": "s3cr3t", "PLAIN": "seen"}}]);
    for (called, masked) in [("baton", true), ("pm2", false)] {
        let baton = Baton::called(called).env("API_TOKEN", "another");
        baton.file("ecosystem.config.json", config.to_string());
        baton.run(["start", "ecosystem.config.json"]).ok();
        let shown = baton.run(["env", "0"]).ok().stdout_has("PLAIN: seen").stdout;
        assert_eq!(!shown.contains("s3cr3t"), masked, "{called}: {shown}");
        let described = baton.run(["describe", "s"]).ok().stdout_has("API_TOKEN").stdout;
        assert!(!described.contains("s3cr3t"), "{called}: {described}");
        assert_eq!(baton.entry("s")["pm2_env"]["env"]["API_TOKEN"], "s3cr3t");
    }
    let baton = Baton::new();
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.run(["env", "0", "--reveal"]).ok().stdout_has("API_TOKEN: s3cr3t");
}

#[test]
fn what_is_made_belongs_to_its_owner_alone() {
    let baton = Baton::new();
    let pid_file = baton.dir().join("elsewhere.pid");
    let config = json!([
        {"name": "o", "script": testapp(), "args": ["out:hello", "wait"], "out_file": "deep/logs/o.log"},
        {"name": "p", "script": testapp(), "args": "wait", "pid_file": pid_file},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_file(&baton.dir().join("deep/logs/o.log"), "hello");
    baton.run(["save"]).ok();
    for folder in [baton.home().join("logs"), baton.dir().join("deep"), baton.dir().join("deep/logs")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    let home = |name: &str| baton.home().join(name);
    for file in [home("dump.pm2"), home("pids/o-0.pid"), home("pm2.log"), baton.dir().join("deep/logs/o.log")] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    // The number of the slot goes into the name, as under PM2.
    assert_eq!(mode(&baton.dir().join("elsewhere-1.pid")), 0o644, "monitors of other users read it");
}

#[test]
fn a_broken_dump_is_kept_aside() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    let dump = baton.home().join("dump.pm2");
    std::fs::write(&dump, "[{broken").expect("dump");
    baton.run(["resurrect"]).says("Failed to parse dump file").stderr_has("dump.pm2.broken");
    assert_eq!(std::fs::read_to_string(baton.home().join("dump.pm2.broken")).expect("kept"), "[{broken");
    assert!(!dump.exists());
    // The next save makes no backup of the broken one.
    baton.run(["save"]).ok();
    assert!(!baton.home().join("dump.pm2.bak").exists());
}

#[test]
fn a_script_that_is_gone_is_errored_at_once() {
    let baton = Baton::new();
    let config = json!([
        {"name": "gone", "script": "gone.sh", "interpreter": "bash"},
        {"name": "present", "script": testapp(), "args": "wait"},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json"]).code(1).stderr_has("Script not found").stderr_has("gone.sh");
    let entry = baton.entry("gone");
    assert_eq!((&entry["pm2_env"]["status"], &entry["pm2_env"]["restart_time"]), (&json!("errored"), &json!(0)));
    baton.run(["describe", "gone"]).ok().stdout_has("could not be started: Script not found");
    assert_eq!(baton.entry("present")["pm2_env"]["status"], "online");

    baton.file("gone.sh", "exec sleep 1000\n");
    baton.run(["restart", "gone"]).ok();
    assert_eq!(baton.entry("gone")["pm2_env"]["status"], "online");
}

#[test]
fn another_user_is_for_root_to_choose() {
    let baton = Baton::new();
    baton.file("home.sh", "echo home=$HOME; exec sleep 1000\n");
    if runs_as_root() {
        baton.run(["start", "home.sh", "--name", "own", "--uid", "0"]).ok();
        let home = baton.wait_log("own-out.log", "home=");
        let entry = std::fs::read_to_string("/etc/passwd").expect("users");
        let root = entry.lines().find(|line| line.starts_with("root:")).expect("root");
        assert_eq!(home.trim(), format!("home={}", root.split(':').nth(5).expect("home")));
    } else {
        baton.run(["start", "home.sh", "--uid", "0"]).code(1).stderr_has("only root may run programs as another user");
    }
}

/// Whether these tests run as root.
fn runs_as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").expect("proc").uid() == 0
}

#[test]
fn options_for_process_files_are_not_ignored_in_silence() {
    let baton = Baton::new();
    let app = testapp();
    let path = app.to_str().expect("path");
    baton.run(["start", path, "--only", "x", "--", "wait"]).ok().stderr_has("--only have no effect");
    baton.run(["restart", "testapp", "--only", "x"]).ok().stderr_has("--only has no effect");
    let config = json!([{"name": "f", "script": testapp(), "args": "wait", "trace": true}]);
    baton.file("ecosystem.config.json", config.to_string());
    baton.run(["start", "ecosystem.config.json", "--", "a"]).ok().stderr_has("arguments after -- have no effect");
    baton.run(["restart", "ecosystem.config.json", "--", "a"]).ok().stderr_has("arguments after -- have no effect");
    assert_eq!(baton.entry("f")["pm2_env"]["args"], json!(["wait"]));
    // A key that is only kept is not shown as if it were at work.
    baton.run(["describe", "f"]).ok().stdout_has("trace=");
    baton.run(["logs", "nobody", "--nostream"]).ok().stderr_has("nobody not found");
}

#[test]
fn a_wrong_file_among_targets_changes_nothing() {
    let baton = Baton::new();
    baton.file("wrong.json", "{apps: [{name: 'nothing to run'}]}");
    let app = testapp();
    baton.run(["start", app.to_str().expect("path"), "wrong.json"]).code(1).stderr_has("has no `script`");
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn a_newer_daemon_is_named_and_left_alone() {
    let baton = Baton::new();
    let socket = std::os::unix::net::UnixListener::bind(baton.home().join("baton.sock")).expect("socket");
    let daemon = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().expect("a client");
        // A message is its length in four bytes and JSON.
        let mut head = [0; 4];
        stream.read_exact(&mut head).expect("a request");
        let mut request = vec![0; u32::from_be_bytes(head) as usize];
        stream.read_exact(&mut request).expect("a request");
        let refusal = Refusal::Protocol { daemon: PROTOCOL + 1, client: PROTOCOL };
        let reply = serde_json::to_vec(&ServerMessage::Reply { id: 1, reply: Reply::Refused(refusal) }).expect("json");
        stream.write_all(&u32::try_from(reply.len()).expect("short").to_be_bytes()).expect("an answer");
        stream.write_all(&reply).expect("an answer");
    });
    baton.run(["ls"]).code(1).stderr_has("the daemon is of a newer version").stderr_has("use the newer program");
    daemon.join().expect("asked once");
    std::fs::remove_file(baton.home().join("baton.sock")).expect("socket");
    assert!(!baton.home().join("pm2.pid").exists(), "no other daemon was started");
}
