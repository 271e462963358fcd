//! What `history`, `diff` and `rollback` promise.

use crate::harness::{Baton, testapp};
use crate::sync::{pids, touched};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

fn file(baton: &Baton, apps: &[(&str, &str)]) {
    let app = |(name, value): &(&str, &str)| json!({"name": name, "script": testapp(), "args": ["wait", name], "min_uptime": 50, "env": {"LEVEL": value, "API_TOKEN": format!("s3cret-{value}")}});
    let apps: Vec<Value> = apps.iter().map(app).collect();
    baton.file("ecosystem.config.json", json!({ "apps": apps }).to_string());
}

#[test]
fn each_pass_that_did_something_is_kept_and_can_be_made_again() {
    let baton = Baton::new();
    baton.run(["history"]).ok();
    baton.run(["rollback"]).code(1).stderr_has("there is nothing to go back to");
    file(&baton, &[("a", "1"), ("b", "1"), ("c", "1")]);
    baton.run(["sync"]).ok();
    baton.run(["sync"]).ok();
    file(&baton, &[("a", "2"), ("b", "1"), ("c", "1"), ("d", "1")]);
    baton.run(["sync"]).ok();
    let history =
        baton.run(["history"]).ok().stdout_has("1  ").stdout_has("3 to create").stdout_has("ecosystem.config.json");
    let history = history.stdout_has("~ a: env.API_TOKEN, env.LEVEL");
    assert!(!history.stdout.contains("s3cret"), "{history}");
    let document: Value = serde_json::from_str(&baton.run(["history", "--json"]).ok().stdout).expect("JSON");
    let entries = document.as_array().expect("entries");
    assert_eq!(entries.iter().map(|entry| entry["number"].clone()).collect::<Vec<_>>(), [1, 2], "an idle pass is none");
    assert!(!document.to_string().contains("s3cret"), "{document}");
    for entry in ["", "1.json", "2.json"] {
        let mode = std::fs::metadata(baton.home().join("history").join(entry)).expect("an entry").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{entry:?}");
    }

    baton
        .run(["diff", "1", "2"])
        .ok()
        .stdout_has("~ a: change (restart)")
        .stdout_has("env.LEVEL: 1 → 2")
        .stdout_has("env.API_TOKEN: ******** → ********")
        .stdout_has("+ d: create");
    baton.run(["diff", "2", "1"]).ok().stdout_has("- d: remove");
    baton.run(["diff", "1", "7"]).code(1).stderr_has("there is no entry 7");

    let before = pids(&baton);
    baton.run(["rollback"]).ok().stdout_has("~ a: change (restart)").stdout_has("? d: orphan");
    assert_eq!(touched(&before, &pids(&baton)), ["a"]);
    let env = &baton.entry("a")["pm2_env"]["env"];
    assert_eq!((&env["LEVEL"], &env["API_TOKEN"]), (&json!("1"), &json!("s3cret-1")));
    baton.run(["rollback", "1", "--prune"]).ok().stdout_has("- d: removed");
    baton.run(["history"]).ok().stdout_has("rollback to 1");
    // The files are the truth again at the next pass.
    baton.run(["sync"]).ok().stdout_has("+ d: create").stdout_has("~ a: change (restart)");
}

#[test]
fn a_pass_over_some_apps_leaves_a_whole_state_to_go_back_to() {
    let baton = Baton::new();
    file(&baton, &[("a", "1"), ("b", "1")]);
    baton.run(["sync"]).ok();
    file(&baton, &[("a", "2"), ("b", "1")]);
    baton.run(["sync", "--only", "a"]).ok();
    file(&baton, &[("a", "2"), ("b", "2")]);
    baton.run(["sync"]).ok();
    let diff = baton.run(["diff", "1", "2"]).ok().stdout_has("~ a: change (restart)");
    assert!(!diff.stdout.contains(" b:"), "{diff}");
    let before = pids(&baton);
    baton.run(["rollback"]).ok().stdout_has("env.LEVEL: 2 → 1");
    assert_eq!(touched(&before, &pids(&baton)), ["b"]);
    assert_eq!(baton.entry("b")["pm2_env"]["env"]["LEVEL"], "1");
}

#[test]
fn a_pass_whose_caller_dies_is_in_the_history() {
    let baton = Baton::new();
    file(&baton, &[("a", "1")]);
    baton.run(["sync"]).ok();
    // Its turn goes on until it is ready, which it never is.
    let slow =
        json!([{"name": "a", "script": testapp(), "args": ["wait", "a"], "env": {"LEVEL": "2"}, "min_uptime": "1h"}]);
    baton.file("ecosystem.config.json", slow.to_string());
    let first = baton.pid("a");
    let mut child = baton.command(["sync"]).spawn().expect("it starts");
    baton.wait_for("the new process", |list| list.iter().any(|view| view.pid.is_some_and(|pid| pid != first)));
    child.kill().and_then(|()| child.wait()).expect("it ends");
    let history = baton.run(["history"]).ok().stdout_has("~ a: ").stdout_has("interrupted");
    assert_eq!(history.stdout.matches("ecosystem.config.json:").count(), 2, "{history}");
}

#[test]
fn what_files_of_variables_hold_is_no_part_of_a_state() {
    let baton = Baton::new();
    let app = |level: &str| json!([{"name": "a", "script": testapp(), "args": "wait", "min_uptime": 50, "env_file": ".env", "env": {"LEVEL": level}}]);
    for (level, value) in [("1", "X=1"), ("2", "X=2")] {
        baton.file("ecosystem.config.json", app(level).to_string());
        baton.file(".env", value);
        baton.run(["sync"]).ok();
    }
    let back = baton.run(["rollback"]).ok().stdout_has("env.LEVEL: 2 → 1");
    assert!(!back.stdout.contains("env_file"), "{back}");
    let before = pids(&baton);
    baton.run(["rollback", "1"]).ok().stdout_has("nothing to do");
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
}
