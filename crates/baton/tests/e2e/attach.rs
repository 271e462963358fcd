//! The standard input of apps: `attach` and `send`.

use crate::harness::{Baton, kill};
use crate::telling::packages;
use baton_core::world::Status;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};

/// Says what it reads, line by line.
const ECHO: &str = "echo ready; while read -r line; do echo \"got $line\"; done; echo the end";

fn start(baton: &Baton, apps: &serde_json::Value) {
    baton.file("ecosystem.config.json", apps.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
}

/// The next line that is not the daemon's.
fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    line
}

fn attach(baton: &Baton, words: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let words = ["attach"].iter().chain(words);
    let mut child =
        baton.command(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let output = BufReader::new(child.stdout.take().expect("stdout"));
    (child, output)
}

#[test]
fn a_terminal_joins_an_app_comes_back_and_loses_no_line_when_the_daemon_is_killed() {
    let baton = Baton::new();
    baton.run(["start", ECHO, "--name", "echo"]).ok();
    let pid = baton.pid("echo");
    let (mut child, mut output) = attach(&baton, &["echo"]);
    let mut input = child.stdin.take().expect("stdin");
    input.write_all(b"one\r\n").expect("written");
    assert_eq!(line(&mut output), "got one\n");

    let daemon = baton.daemon();
    kill(daemon);
    drop(baton.connect_to_successor(daemon));
    input.write_all(b"two\nthr").expect("written");
    assert_eq!(line(&mut output), "got two\n");
    drop(input);
    assert!(child.wait().expect("end").success());
    baton.wait_log("echo-out.log", "got thr\n");
    assert_eq!(baton.pid("echo"), pid, "it goes on");

    // The next life reads the same terminal.
    let (mut child, mut output) = attach(&baton, &["0", ";\n"]);
    let mut input = child.stdin.take().expect("stdin");
    input.write_all(b"three\n").expect("written");
    assert_eq!(line(&mut output), "got three;\n");
    baton.run(["restart", "echo"]).ok();
    input.write_all(b"four\n").expect("written");
    assert_eq!(line(&mut output), "ready\n");
    assert_eq!(line(&mut output), "got four;\n");
    baton.run(["stop", "echo"]).ok();
    input.write_all(b"five\n").expect("written");
    assert_eq!(child.wait().expect("end").code(), Some(1));
}

#[test]
fn a_line_is_sent_or_refused_with_the_reason() {
    let baton = Baton::new();
    let app = |name: &str| json!({"name": name, "script": ECHO});
    let with = |name: &str, key: &str, value: serde_json::Value| {
        let mut app = app(name);
        app[key] = value;
        app
    };
    start(
        &baton,
        &json!([
            app("echo"),
            with("deaf", "stdin", false.into()),
            with("once", "oneshot", true.into()),
            with("several", "instances", 2.into()),
            json!({"name": "job", "script": "exec sleep 1000", "oneshot": true}),
        ]),
    );
    baton.run(["send", "echo", "--a line"]).ok().stdout_has("online");
    baton.wait_log("echo-out.log", "got --a line\n");
    baton.wait_log("deaf-out.log", "the end\n");
    baton.wait_status("once", Status::Stopped);
    baton.run(["send", "several", "x"]).code(1).stderr_has("write one of the numbers 3, 4");
    baton.run(["send", "job", "x"]).code(1).stderr_has("is a job and reads nothing");
    baton.run(["send", "77", "x"]).code(1).stderr_has("77");
    baton.run(["stop", "echo"]).ok();
    baton.run(["send", "0", "x"]).code(1).stderr_has("Process with ID <0> offline.");
    baton.run(["attach", "0"]).code(1).stderr_has("Process with ID <0> offline.");
    start(&baton, &json!([{"name": "deaf", "script": "exec sleep 1000", "stdin": false}]));
    baton.run(["attach", "deaf"]).code(1).stderr_has("`stdin: false`");
    baton.run(["start", "exec 0<&-; echo closed; sleep 1000", "--name", "closed"]).ok();
    baton.wait_log("closed-out.log", "closed");
    baton.run(["send", "closed", "x"]).code(1).stderr_has("has closed its standard input");
    baton.run(["start", "exec sleep 1000", "--name", "sleeper"]).ok();
    baton.run_with_input(["attach", "sleeper"], b"short\n").ok();
    let (mut child, _output) = attach(&baton, &["sleeper"]);
    let long = format!("{}\n", "x".repeat(10_000));
    child.stdin.take().expect("stdin").write_all(long.as_bytes()).expect("written");
    baton.run(["delete", "sleeper"]).ok();
    assert_eq!(child.wait().expect("end").code(), Some(1), "what nobody reads any more is told");
}

#[test]
fn the_client_of_pm2_sends_lines() {
    let Some(packages) = packages() else { return };
    let baton = Baton::new();
    baton.run(["start", ECHO, "--name", "echo"]).ok();
    baton.file(
        "client.js",
        "const pm2 = require(process.argv[2]);
         pm2.connect(() => pm2.sendLineToStdin(0, 'hello', error => pm2.sendLineToStdin(9, 'x', refused => {
           console.log(error, refused.message); process.exit() })))",
    );
    #[expect(clippy::disallowed_methods, reason = "a client of PM2's is started as a user would")]
    let output = std::process::Command::new("node")
        .args([baton.dir().join("client.js"), packages.join("pm2")])
        .env("PM2_HOME", baton.home())
        .output()
        .expect("node");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("null Process with ID <9> unknown."), "{said}");
    baton.wait_log("echo-out.log", "got hello\n");
}
