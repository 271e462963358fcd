//! What an operator can ask about the past.

use crate::harness::{Baton, kill, testapp};
use baton_core::world::Status;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn why_tells_each_cause_once_with_the_last_words_and_over_a_new_daemon() {
    let baton = Baton::new();
    let app = testapp();
    let args = ["start", app.to_str().expect("path"), "--name", "web", "--restart-delay", "60000"];
    baton.run(args.into_iter().chain(["--", "err:no database", "exit:3"])).ok();
    baton.wait_status("web", Status::WaitingRestart);
    let daemon = baton.daemon();
    kill(daemon);
    drop(baton.connect_to_successor(daemon));
    let told = baton.run(["why", "web"]).ok().stdout;
    for piece in
        ["web (0) is waiting restart", "launching → online", "start was asked for", "exited with code 3", "no database"]
    {
        assert!(told.contains(piece), "{piece} in {told}");
    }
    assert_eq!(told.matches("the process exited with code 3").count(), 1, "{told}");
    let whole: Value = serde_json::from_str(&baton.run(["why", "web", "--json"]).ok().stdout).expect("JSON");
    assert_eq!(whole[0]["exits"][0]["exit"]["code"], 3);
    assert_eq!(whole[0]["transitions"][0]["why"], "start was asked for");
    baton.run(["why", "nobody"]).code(1);
}

#[test]
fn events_are_the_past_and_then_what_comes_and_end_with_the_daemon() {
    let baton = Baton::new();
    baton.start("web", &["wait"]);
    baton.start("other", &["wait"]);
    baton.wait_status("web", Status::Online);
    baton.run(["events", "web", "--nostream"]).ok().stdout_has("web (0)  online");
    let mut following = baton.command(["events", "web", "--json"]).stdout(Stdio::piped()).spawn().expect("events");
    let mut lines = BufReader::new(following.stdout.take().expect("output")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    while next()["to"] != "online" {}
    baton.run(["restart", "other"]).ok();
    baton.run(["stop", "web"]).ok();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|to| to != "stopped") {
        let event = next();
        assert_eq!((&event["name"], &event["why"]), (&"web".into(), &"stop was asked for".into()));
        seen.push(event["to"].as_str().expect("a word").to_owned());
    }
    assert_eq!(seen, ["stopping", "stopped"]);
    baton.run(["kill"]).ok();
    assert!(following.wait().expect("its end").success());
}

#[test]
fn completion_knows_the_list_and_a_report_tells_no_secrets() {
    let baton = Baton::new().env("API_TOKEN", "s3cr3t-token");
    let empty = baton.run(["completion", "--candidates", "--", "restart", ""]).ok().stdout;
    assert_eq!(empty, "");
    assert!(baton.connect().is_none(), "nobody asked for a daemon");
    baton.run(["report"]).ok().stdout_has("does not run");
    baton.start("web", &["wait"]);
    let found = baton.run(["completion", "--candidates", "--", "restart", "w"]).ok().stdout;
    assert_eq!(found, "web\n");
    baton.file("complete.sh", baton.run(["completion", "bash"]).ok().stdout);
    let ask = "COMP_WORDS=(baton restart w); COMP_CWORD=2; . ./complete.sh; _baton_complete; echo ${COMPREPLY[@]}";
    #[expect(clippy::disallowed_methods, reason = "a shell is the user here")]
    let mut shell = std::process::Command::new("bash");
    let path = format!("{}:{}", baton.home().display(), std::env::var("PATH").expect("PATH"));
    let shell = shell.args(["-c", ask]).current_dir(baton.dir()).env("PATH", path).env("BATON_HOME", baton.home());
    let output = shell.output().expect("bash");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(told.trim(), "web", "{}", String::from_utf8_lossy(&output.stderr));
    baton.run(["completion", "tcsh"]).code(1);
    let report = baton.run(["report"]).ok().stdout_has("protocol").stdout_has("0 web: online").stdout;
    assert!(!report.contains("s3cr3t-token"), "{report}");
}
