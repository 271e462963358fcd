//! Several apps as one: what a unit's name does on the command line, and where units come from.

use crate::harness::{Baton, alive, testapp};
use crate::programs::node;
use crate::projects::project;
use baton_core::world::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The seven apps of the agent of `examples/agents`.
const DUCK: [&str; 7] = [
    "chromadb",
    "duck_attachment_embedder",
    "duck_attachment_indexer",
    "duck_cephalon",
    "duck_embedder",
    "duck_indexer",
    "duck_voice",
];
/// The services beside it.
const SERVICES: [&str; 4] = ["file-watcher", "stt", "tts", "vision"];

/// The pids of these apps by name; 0 is none.
fn pids(baton: &Baton, names: &[&str]) -> BTreeMap<String, u64> {
    let name = |entry: &Value| entry["name"].as_str().expect("name").to_owned();
    let pid = |entry: &Value| entry["pid"].as_u64().unwrap_or_default();
    let list = baton.jlist();
    let found: BTreeMap<String, u64> = list.iter().map(|entry| (name(entry), pid(entry))).collect();
    found.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
}

fn lives(pid: u64) -> bool {
    alive(u32::try_from(pid).expect("pid"))
}

/// What `ls --units --json` says of a unit, and the exit code that must come with it.
fn unit(baton: &Baton, name: &str, code: i32) -> Value {
    let run = baton.run(["ls", "--units", "--json", name]).code(code);
    let units: Vec<Value> = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    assert_eq!(units.len(), 1, "{run}");
    units[0].clone()
}

/// Starts a helper app in a unit.
fn start_in(baton: &Baton, unit: &str, name: &str, options: &[&str], actions: &[&str]) {
    let app = testapp();
    let mut words = vec!["start", app.to_str().expect("path"), "--name", name, "--namespace", unit];
    words.extend(options);
    words.push("--");
    words.extend(actions);
    baton.run(words).ok();
}

#[test]
fn an_agent_of_the_master_file_is_one() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let root = project(&baton, "agents");
    let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").expect("PATH"));
    let baton = baton.env("PATH", path);
    baton.run(["start", "ecosystem.config.js"]).ok();
    let (duck, services) = (pids(&baton, &DUCK), pids(&baton, &SERVICES));
    assert_eq!((duck.len(), services.len()), (7, 4));
    assert!(duck.values().chain(services.values()).all(|pid| lives(*pid)));
    let shown = baton.run(["ls", "--units"]).ok().stdout_has("duck").stdout_has("7/7").stdout_has("4/4");
    assert!(!shown.stdout.contains("chromadb"), "one row a unit: {shown}");

    // Stop ends the seven, and nothing else.
    baton.run(["stop", "duck"]).ok();
    assert!(duck.values().all(|pid| !lives(*pid)), "{duck:?}");
    assert_eq!(pids(&baton, &SERVICES), services);
    assert!(services.values().all(|pid| lives(*pid)));
    let stopped = unit(&baton, "duck", 1);
    assert_eq!((&stopped["status"], &stopped["online"], &stopped["total"]), (&json!("stopped"), &json!(0), &json!(7)));
    assert_eq!(unit(&baton, "default", 0)["healthy"], true);

    baton.run(["start", "duck"]).ok();
    let second = pids(&baton, &DUCK);
    assert!(second.values().all(|pid| lives(*pid)));
    baton.run(["restart", "duck"]).ok();
    let third = pids(&baton, &DUCK);
    assert!(DUCK.iter().all(|name| third[*name] != second[*name] && lives(third[*name])), "{second:?} {third:?}");
    assert_eq!(unit(&baton, "duck", 0)["restarts"], 7);
    baton.run(["reset", "duck"]).ok();
    assert_eq!(unit(&baton, "duck", 0)["restarts"], 0);

    let described = baton.run(["describe", "duck"]).ok().stdout_has("Describing unit duck").stdout_has("7/7");
    assert_eq!(described.stdout.matches("Describing process with id").count(), 7, "{described}");
    let env = baton.run(["env", "duck"]).ok().stdout_has("CHAT_USER_ID: 100200300");
    assert!(DUCK.iter().all(|name| env.stdout.contains(&format!("[{name}]("))), "{env}");
    assert!(!env.stdout.contains("vision"), "{env}");

    // Its lines, and nobody else's; then none.
    let voice = root.join("services/ts/voice/logs/duck_voice-out.log");
    let vision = root.join("services/js/vision/logs/vision-out.log");
    baton.wait_file(&voice, "voice is up");
    baton.wait_file(&vision, "vision is up");
    let logs = baton.run(["logs", "duck", "--nostream"]).ok().stdout_has("voice is up as duck_voice");
    assert!(!logs.stdout.contains("vision"), "{logs}");
    baton.run(["flush", "duck"]).ok();
    assert_eq!(std::fs::read_to_string(&voice).expect("log"), "");
    assert_ne!(std::fs::read_to_string(&vision).expect("log"), "");

    // The file with a unit's name is that unit, and its own file means the same one.
    baton.run(["restart", "ecosystem.config.js", "--only", "duck"]).ok();
    assert_eq!(pids(&baton, &SERVICES), services);
    assert!(DUCK.iter().all(|name| pids(&baton, &DUCK)[*name] != third[*name]));
    baton.run(["start", "agents/duck/ecosystem.config.js"]).ok();
    assert_eq!(unit(&baton, "duck", 0)["total"], 7);

    let last = pids(&baton, &DUCK);
    baton.run(["delete", "duck"]).ok();
    assert!(last.values().all(|pid| !lives(*pid)));
    assert_eq!(pids(&baton, &SERVICES), services);
    assert_eq!(baton.jlist().len(), 4);
    baton.run(["stop", "duck"]).code(1).stderr_has("Process or Namespace duck not found");
}

#[test]
fn the_list_stands_in_groups_and_under_pm2s_name_it_does_not() {
    for (called, groups) in [("baton", true), ("pm2", false)] {
        let baton = Baton::called(called);
        start_in(&baton, "front", "web", &[], &["wait"]);
        assert!(!baton.run(["ls"]).ok().stdout.contains("├─ front"), "one unit is no group");
        start_in(&baton, "front", "api", &[], &["wait"]);
        start_in(&baton, "back", "db", &[], &["wait"]);
        let list = baton.run(["ls"]).ok();
        assert_eq!(list.stdout.contains("├─ back 1/1 ─"), groups, "{list}");
        assert_eq!(list.stdout.contains("├─ front 2/2 ─"), groups, "{list}");
        assert_eq!(list.stdout.matches("online").count(), 3, "one a process: {list}");
        baton.run(["stop", "web"]).ok();
        let list = baton.run(["ls"]).ok();
        assert_eq!(list.stdout.contains("├─ front 1/2 stopped ─"), groups, "{list}");
        let described = baton.run(["describe", "front"]).ok();
        assert_eq!(described.stdout.contains("Describing unit front"), groups, "{described}");
        assert!(!baton.run(["describe", "web"]).ok().stdout.contains("Describing unit"));
        // The rows of units and their exit code are there under both names.
        baton.run(["ls", "--units"]).code(1).stdout_has("1/2");
        baton.run(["ls", "--units", "back"]).ok().stdout_has("1/1");
    }
}

#[test]
fn the_exit_code_of_the_units_tells_their_health() {
    let baton = Baton::new();
    baton.run(["ls", "--units"]).ok();
    assert_eq!(baton.run(["ls", "--units", "--json"]).ok().stdout, "[]\n");
    baton.run(["ls", "--units", "nobody"]).code(1).stderr_has("there is no unit nobody");

    // A job that has done its work is no trouble.
    start_in(&baton, "jobs", "migrate", &["--no-autorestart"], &["exit:0"]);
    baton.wait_status("migrate", Status::Stopped);
    start_in(&baton, "jobs", "worker", &[], &["wait"]);
    let jobs = unit(&baton, "jobs", 0);
    assert_eq!(jobs["healthy"], true);
    assert_eq!((&jobs["online"], &jobs["total"], &jobs["status"]), (&json!(1), &json!(2), &json!("stopped")));
    assert_eq!(jobs["apps"], json!(["migrate", "worker"]));
    assert!(jobs["memory"].as_u64().expect("memory") > 0, "{jobs}");

    // One that failed is, and so is one that was given up; the units beside it are not concerned.
    start_in(&baton, "bad", "crash", &["--max-restarts", "1"], &["exit:3"]);
    baton.wait_status("crash", Status::Errored);
    assert_eq!(unit(&baton, "bad", 1)["status"], "errored");
    baton.run(["ls", "--units"]).code(1).stdout_has("errored").stdout_has("jobs");
    unit(&baton, "jobs", 0);
    start_in(&baton, "jobs", "failed", &["--no-autorestart"], &["exit:1"]);
    baton.wait_status("failed", Status::Stopped);
    unit(&baton, "jobs", 1);
}

#[test]
fn the_name_of_an_app_goes_before_that_of_a_unit() {
    let baton = Baton::new();
    start_in(&baton, "group", "duck", &[], &["wait"]);
    start_in(&baton, "duck", "a", &[], &["wait"]);
    start_in(&baton, "duck", "b", &[], &["wait"]);
    baton.run(["stop", "duck"]).ok();
    assert_eq!(baton.entry("duck")["pm2_env"]["status"], "stopped");
    assert_eq!(baton.entry("a")["pm2_env"]["status"], "online");
    assert!(!baton.run(["describe", "duck"]).ok().stdout.contains("Describing unit"));
    baton.run(["env", "a"]).ok().stdout_has("namespace: duck");
    baton.run(["env", "nobody"]).code(1).says("nobody");
    baton.run(["stop", "group"]).ok();
    baton.run(["delete", "group"]).ok();
    assert_eq!(baton.jlist().len(), 2);
}
