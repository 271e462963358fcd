//! What `plan` and `sync` promise: the files are the truth, and what did not change keeps its process.

use crate::harness::{Baton, alive, kill, testapp};
use baton_core::world::{InstanceView, Status};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Five files: `a`, `b` and `c` take a value from one that they share.
pub(crate) fn ecosystems(baton: &Baton) {
    baton.file("ecosystems/shared.cljs", shared("\"low\"", ""));
    for name in NAMES {
        baton.file(&format!("ecosystems/{name}.cljs"), app(name, "\"1\""));
    }
}

/// The file that three of them share: what it defines, and something that changes nothing.
pub(crate) fn shared(level: &str, more: &str) -> String {
    format!("(ns shared)\n(def level {level})\n{more}")
}

/// A file with one app.
pub(crate) fn app(name: &str, value: &str) -> String {
    let (require, level) = match name {
        "a" | "b" | "c" => ("[shared :refer [level]]", "level"),
        _ => ("", "\"none\""),
    };
    format!(
        "(ns {name} (:require [clobber.macro :refer [defapp]] {require}))\n\
         (defapp \"{name}\" {{:script \"{}\" :args [\"wait\"] :min-uptime 50 :env {{:LEVEL {level} :VALUE {value}}}}})\n",
        testapp().display()
    )
}

/// The pid of each app.
pub(crate) fn pids(baton: &Baton) -> BTreeMap<String, u64> {
    let entry = |entry: &Value| Some((entry["name"].as_str()?.to_owned(), entry["pid"].as_u64()?));
    baton.jlist().iter().filter_map(entry).collect()
}

/// The apps whose process is another one, or is there in one of the two only.
pub(crate) fn touched(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let mut names: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| before.get(name) != after.get(name));
    names
}

/// Syncs once and tells which apps that touched.
fn edit(baton: &Baton, file: &str, content: impl AsRef<[u8]>) -> Vec<String> {
    let before = pids(baton);
    baton.file(file, content);
    baton.run(["sync", "ecosystems"]).ok();
    touched(&before, &pids(baton))
}

#[test]
fn exactly_the_apps_that_an_edit_changes_get_a_new_process() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["plan", "ecosystems"]).code(2).stdout_has("+ a: create, 1 instance").stdout_has("5 to create");
    baton.run(["sync", "ecosystems"]).ok().stdout_has("+ a: created (0)");
    assert_eq!(pids(&baton).len(), 5);
    baton.run(["plan", "ecosystems"]).ok().stdout_has("= a: keep").stdout_has("nothing to do (5 to keep)");
    let before = pids(&baton);
    baton.run(["sync", "ecosystems/"]).ok().stdout_has("nothing to do");
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());

    assert_eq!(edit(&baton, "ecosystems/b.cljs", app("b", "\"2\"")), ["b"], "one value");
    assert_eq!(edit(&baton, "ecosystems/shared.cljs", shared("\"high\"", "")), ["a", "b", "c"], "a shared value");
    let other = shared("(str \"hi\" \"gh\")", "(defn unused [x] x)\n; nobody needs it\n");
    assert_eq!(edit(&baton, "ecosystems/shared.cljs", other), Vec::<String>::new(), "another way to the same value");
    let spelled = app("d", "\"1\"")
        .replace(":min-uptime 50 ", "")
        .replace(":env ", "; order and spelling\n :min_uptime \"50ms\" :env ");
    assert_eq!(edit(&baton, "ecosystems/d.cljs", spelled), Vec::<String>::new(), "order, comments and spelling");
}

#[test]
fn a_file_of_variables_touches_the_app_that_reads_it() {
    let baton = Baton::new();
    let app = |name: &str, file: &str| json!({"name": name, "script": testapp(), "args": "wait", "min_uptime": 50, "env_file": file, "env": {"OWN": "1"}});
    baton
        .file("ecosystem.config.json", json!({"apps": [app("web", "web.env"), app("worker", "none.env")]}).to_string());
    baton.file("web.env", "LEVEL=low\n");
    baton.run(["sync"]).ok();
    let before = pids(&baton);
    baton.file("web.env", "# a comment, and what the definition sets itself\nOWN=2\nLEVEL=low\n");
    baton.run(["sync"]).ok().stdout_has("nothing to do");
    baton.file("web.env", "LEVEL=high\n");
    baton.run(["sync"]).ok().stdout_has("env_file: as read before → edited");
    assert_eq!(touched(&before, &pids(&baton)), ["web"]);
    baton.run(["sync"]).ok().stdout_has("nothing to do");
}

#[test]
fn an_error_touches_nothing_and_its_repair_is_applied() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    let before = pids(&baton);
    baton.file("ecosystems/b.cljs", "(ns b)\n(defapp \"b\" {");
    baton.run(["sync", "ecosystems"]).code(1).stderr_has("b.cljs:2");
    baton.run(["plan", "ecosystems"]).code(1).stderr_has("b.cljs:2");
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    baton.file("ecosystems/b.cljs", app("b", "\"repaired\""));
    baton.run(["sync", "ecosystems"]).ok();
    assert_eq!(touched(&before, &pids(&baton)), ["b"]);
    // Nothing where there was something is a mistake, too.
    let file = |apps: Value| baton.file("ecosystem.config.json", json!({ "apps": apps }).to_string());
    file(json!([{"name": "web", "script": testapp(), "args": "wait", "min_uptime": 50}]));
    baton.run(["sync"]).ok();
    file(json!([]));
    baton.run(["sync", "--prune"]).code(1).stderr_has("defines no apps").stderr_has("nothing was done");
    assert!(pids(&baton).contains_key("web"));
}

#[test]
fn a_deleted_file_leaves_an_orphan_until_it_is_pruned_and_what_was_started_by_hand_stays() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    baton.start("mine", &["wait"]);
    let before = pids(&baton);
    std::fs::remove_file(baton.dir().join("ecosystems/e.cljs")).expect("a file");
    baton.run(["plan", "ecosystems"]).ok().stdout_has("? e: orphan").stdout_has("--prune removes it");
    baton.run(["sync", "ecosystems"]).ok();
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    baton.run(["plan", "ecosystems", "--prune"]).code(2).stdout_has("- e: remove");
    baton.run(["sync", "ecosystems", "--prune", "--dry-run"]).code(2).stdout_has("- e: remove");
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    // Without a terminal nobody is asked.
    baton.run(["sync", "ecosystems", "--prune"]).ok().stdout_has("- e: removed");
    assert_eq!(touched(&before, &pids(&baton)), ["e"]);
    assert!(!alive(u32::try_from(before["e"]).expect("a pid")));
    for name in ["b", "c", "d"] {
        std::fs::remove_file(baton.dir().join(format!("ecosystems/{name}.cljs"))).expect("a file");
    }
    baton.run(["sync", "ecosystems", "--prune"]).code(1).stderr_has("3 of the 4 apps").stderr_has("--force");
    baton.run(["sync", "ecosystems", "--prune", "--force"]).ok();
    assert_eq!(pids(&baton).into_keys().collect::<Vec<_>>(), ["a", "mine"]);
}

#[test]
fn live_keys_scale_and_renames_do_as_the_plan_says() {
    let baton = Baton::new();
    let app = |name: &str, count: u32, restarts: u32| json!({"name": name, "script": testapp(), "args": ["wait", name], "min_uptime": 50, "instances": count, "max_restarts": restarts, "env": {"API_TOKEN": "s3cret"}});
    let file = |apps: Value| baton.file("ecosystem.config.json", json!({ "apps": apps }).to_string());
    file(json!([app("web", 1, 5), app("pool", 3, 5)]));
    baton.run(["sync"]).ok();
    let web = baton.pid("web");
    let pool = |baton: &Baton| -> Vec<u64> {
        let list = baton.jlist();
        list.iter().filter(|entry| entry["name"] == "pool").filter_map(|entry| entry["pid"].as_u64()).collect()
    };
    let before = pool(&baton);
    file(json!([app("web", 1, 9), app("pool", 2, 5)]));
    let plan: Value = serde_json::from_str(&baton.run(["plan", "--json"]).code(2).stdout).expect("JSON");
    assert_eq!((&plan["steps"][0]["action"], &plan["steps"][1]["action"]), (&json!("live"), &json!("scale")));
    assert_eq!(plan["steps"][0]["fields"][0], json!({"field": "max_restarts", "class": "live", "old": 5, "new": 9}));
    assert_eq!(plan["steps"][1]["instances"], json!({"now": 3, "wished": 2}));
    baton.run(["sync"]).ok().stdout_has("~ web: changed, its processes stay");
    assert_eq!((baton.pid("web"), pool(&baton)), (web, before[..2].to_vec()));
    assert_eq!(baton.entry("web")["pm2_env"]["max_restarts"], 9);

    let mut renamed = app("web", 1, 9);
    renamed["name"] = "site".into();
    renamed["env"]["API_TOKEN"] = "other".into();
    file(json!([renamed, app("pool", 2, 5)]));
    let run =
        baton.run(["sync"]).ok().stdout_has("~ site: rename from web").stdout_has("env.API_TOKEN: ******** → ********");
    assert!(!run.stdout.contains("s3cret") && !run.stdout.contains("other"), "{run}");
    assert!(!alive(web) && baton.pid("site") != web);
    assert_eq!(baton.jlist().len(), 3);
}

#[test]
fn what_was_changed_by_hand_is_drift_and_stays_until_it_is_reset() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    baton.run(["stop", "a"]).ok();
    baton.run(["scale", "b", "2"]).ok();
    baton.run(["restart", "c", "--max-restarts", "3"]).ok();
    baton.run(["delete", "d"]).ok();
    baton
        .run(["plan", "ecosystems"])
        .code(2)
        .stdout_has("! a: keep (drift: stopped by operator)")
        .stdout_has("! b: keep (drift: scaled by operator, 2 instead of 1)")
        .stdout_has("! c: keep (drift: changed by operator: max_restarts)")
        .stdout_has("+ d: create");
    // It gets what was edited, and stays down.
    baton.file("ecosystems/a.cljs", app("a", "\"2\""));
    baton.run(["sync", "ecosystems"]).ok().stdout_has("~ a: changed, stays stopped").stdout_has("+ d: created");
    baton.wait_status("a", Status::Stopped);
    assert_eq!(baton.entry("a")["pm2_env"]["env"]["VALUE"], "2");
    baton.run(["sync", "ecosystems", "--reset-drift"]).ok();
    baton.wait_status("a", Status::Online);
    assert_eq!(baton.jlist().len(), 5);
    assert_ne!(baton.entry("c")["pm2_env"]["max_restarts"], 3);
    baton.run(["plan", "ecosystems"]).ok().stdout_has("nothing to do (5 to keep)");
    // From an empty list everything comes.
    baton.run(["delete", "all"]).ok();
    baton.run(["sync", "ecosystems"]).ok().stdout_has("5 to create");
    assert_eq!(pids(&baton).len(), 5);
}

#[test]
fn a_daemon_that_is_killed_in_the_midst_leaves_what_the_next_pass_finishes() {
    for name in ["a", "c"] {
        let baton = Baton::new();
        ecosystems(&baton);
        baton.run(["sync", "ecosystems"]).ok();
        let before = pids(&baton);
        baton.file("ecosystems/shared.cljs", shared("\"other\"", ""));
        let mut running = baton.command(["sync", "ecosystems"]).spawn().expect("it starts");
        // The first of three has its turn, or the last.
        baton.wait_for(&format!("{name} to be touched"), |list| {
            list.iter().any(|view| view.name == name && view.pid.map(u64::from) != before.get(name).copied())
        });
        kill(baton.daemon());
        let _ = running.wait();
        baton.connect_to_any();
        baton.run(["sync", "ecosystems"]).ok();
        let after = pids(&baton);
        assert_eq!(touched(&before, &after), ["a", "b", "c"]);
        for name in touched(&before, &after) {
            assert_eq!(baton.entry(&name)["pm2_env"]["env"]["LEVEL"], "other");
        }
        baton.run(["sync", "ecosystems"]).ok().stdout_has("nothing to do");
    }
}

#[test]
fn restart_tells_when_the_source_says_something_else_and_applies_it_on_request() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    baton.file("ecosystems/a.cljs", app("a", "\"2\""));
    baton.file("ecosystems/b.cljs", app("b", "\"2\""));
    let before = pids(&baton);
    baton
        .run(["restart", "a"])
        .ok()
        .stdout_has("a is defined differently in its source: `baton sync ecosystems --only a` applies it");
    assert_eq!(touched(&before, &pids(&baton)), ["a"]);
    assert_eq!(baton.entry("a")["pm2_env"]["env"]["VALUE"], "1", "it is the definition of the list");
    let quiet = baton.run(["restart", "d"]).ok();
    assert!(!quiet.stdout.contains("differently"), "{quiet}");

    // From another directory too, and whether it differs or not.
    let before = pids(&baton);
    let mut elsewhere = baton.command(["restart", "a", "d", "--from-source"]);
    let status = elsewhere.current_dir("/").stdout(std::process::Stdio::null()).status().expect("it runs");
    assert!(status.success());
    assert_eq!(touched(&before, &pids(&baton)), ["a", "d"]);
    assert_eq!(baton.entry("a")["pm2_env"]["env"]["VALUE"], "2");
    baton.run(["plan", "ecosystems"]).code(2).stdout_has("~ b: change (restart)").stdout_has("4 to keep");
    // What has no effect is refused by name, and nothing is touched.
    let before = pids(&baton);
    for option in
        ["--no-deps", "--wait", "--update-env", "--env=prod", "--only=a", "--profile=p", "--set=apps.a.env.X=1"]
    {
        let name = option.split('=').next().expect("a name");
        let refused = format!("{name} has no meaning with --from-source");
        baton.run(["restart", "a", "--from-source", option]).code(1).stderr_has(&refused);
    }
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    baton.start("mine", &["wait"]);
    baton.run(["restart", "mine", "--from-source"]).code(1).stderr_has("mine belongs to no source");
}

#[test]
fn where_a_pass_is_called_makes_no_difference() {
    let baton = Baton::new();
    let file = |value: &str| {
        let app =
            json!({"name": "web", "script": testapp(), "args": "wait", "min_uptime": 50, "env": {"VALUE": value}});
        baton.file("project/web.config.json", json!([app]).to_string());
    };
    let called = |words: &[&str], folder: &str| {
        let output = baton.command(words).current_dir(baton.dir().join(folder)).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    file("1");
    // It says no directory of its own: it has that of the first pass.
    assert_eq!(called(&["sync", "web.config.json"], "project").0, Some(0));
    let before = pids(&baton);
    let (code, said) = called(&["plan", "project/web.config.json"], "");
    assert_eq!(code, Some(0), "{said}");
    file("2");
    let (code, said) = called(&["sync", "project/web.config.json"], "");
    assert!(code == Some(0) && said.contains("env.VALUE: 1 → 2") && !said.contains("cwd"), "{said}");
    assert_eq!(touched(&before, &pids(&baton)), ["web"]);
    let directory = baton.entry("web")["pm2_env"]["pm_cwd"].clone();
    assert_eq!(directory, json!(baton.dir().join("project").canonicalize().expect("it is there")));
    baton.run(["restart", "web", "--from-source"]).ok();
}

#[test]
fn as_many_apps_have_their_turn_from_the_source_as_parallel_says() {
    let baton = Baton::new();
    let ready = json!({"exec": "test -f go", "interval": 20});
    let app =
        |name: &str| json!({"name": name, "script": testapp(), "args": "wait", "ready": ready, "min_uptime": "1h"});
    baton.file("ecosystem.config.json", json!({"apps": [app("a"), app("b")]}).to_string());
    baton.file("go", "");
    baton.run(["sync"]).ok();
    for parallel in [1, 2] {
        let before = pids(&baton);
        std::fs::remove_file(baton.dir().join("go")).expect("it was there");
        let option = format!("--parallel={parallel}");
        let mut restart = baton.command(["restart", "a", "b", "--from-source", &option]);
        let mut restart = restart.stdout(std::process::Stdio::null()).spawn().expect("it starts");
        // None of them is ready before all that have their turn are there.
        baton.wait_for("so many new processes", |list| {
            let is_new = |view: &&InstanceView| view.pid.is_some_and(|pid| before[&view.name] != u64::from(pid));
            list.iter().filter(is_new).count() == parallel
        });
        assert_eq!(touched(&before, &pids(&baton)).len(), parallel);
        baton.file("go", "");
        assert!(restart.wait().expect("it ends").success());
        assert_eq!(touched(&before, &pids(&baton)), ["a", "b"]);
    }
}

#[test]
fn what_was_changed_by_hand_is_told_by_status_and_describe() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    assert!(baton.run(["status"]).ok().stderr.is_empty());
    baton.run(["stop", "a"]).ok();
    baton.run(["scale", "b", "2"]).ok();
    baton.run(["restart", "c", "--max-restarts", "3"]).ok();
    baton.run(["delete", "d"]).ok();
    let told =
        "a (stopped by operator), b (scaled by operator), c (definition changed by operator), d (deleted by operator)";
    let status = baton.run(["status"]).ok().stderr_has("changed by hand since ").stderr_has(told);
    assert!(!status.stdout.contains("by hand"), "{status}");
    baton.run(["describe", "b"]).ok().stdout_has("drift").stdout_has("scaled by operator");
    let untouched = baton.run(["describe", "e"]).ok();
    assert!(!untouched.stdout.contains("drift"), "{untouched}");
    baton.run(["sync", "ecosystems", "--reset-drift"]).ok();
    assert!(baton.run(["status"]).ok().stderr.is_empty());
}

#[test]
fn orphans_are_told_by_status_and_describe() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    baton.run(["describe", "e"]).ok().stdout_has("ecosystems");
    std::fs::remove_file(baton.dir().join("ecosystems/e.cljs")).expect("a file");
    baton.run(["sync", "ecosystems"]).ok();
    let status = baton.run(["status"]).ok().stderr_has("ecosystems does not have e any more");
    assert!(!status.stdout.contains("any more"), "{status}");
    baton.run(["describe", "e"]).ok().stdout_has("its source does not have it any more");
    baton.file("ecosystems/e.cljs", app("e", "\"1\""));
    baton.run(["sync", "ecosystems"]).ok();
    assert!(baton.run(["status"]).ok().stderr.is_empty());
}

#[test]
fn a_source_can_say_that_it_prunes() {
    let baton = Baton::new();
    let file = |prune: Value, names: &[&str]| {
        let apps: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "script": testapp(), "args": ["wait", name], "min_uptime": 50}))
            .collect();
        baton.file("ecosystem.config.json", json!({ "apps": apps, "prune": prune }).to_string())
    };
    file(json!("yes"), &["a", "b"]);
    baton.run(["sync"]).code(1).stderr_has("`prune: \"yes\"` is neither true nor false");
    file(json!(true), &["a", "b"]);
    baton.run(["sync"]).ok();
    file(json!(true), &["a"]);
    baton.run(["sync"]).ok().stdout_has("- b: removed");
    assert_eq!(pids(&baton).into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_source_that_is_gone_is_pruned_by_whoever_insists() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    baton.start("mine", &["wait"]);
    std::fs::remove_dir_all(baton.dir().join("ecosystems")).expect("removed");
    baton.run(["sync", "ecosystems", "--prune"]).code(1);
    assert_eq!(pids(&baton).len(), 6);
    baton.run(["sync", "ecosystems", "--prune", "--force"]).ok().stdout_has("5 to remove");
    assert_eq!(pids(&baton).into_keys().collect::<Vec<_>>(), ["mine"]);
    let history = baton.run(["history", "--json"]).ok();
    let entries: Value = serde_json::from_str(&history.stdout).expect("JSON");
    assert!(entries.as_array().expect("a list").iter().all(|entry| entry["user"] != ""), "{entries}");
}

#[test]
fn the_compiled_file_beside_the_sources_is_no_source() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems", "--emit", "ecosystems/compiled.cjs"]).ok().stdout_has("compiled.cjs written");
    baton.file("ecosystems/e.cljs", app("e", "\"2\""));
    baton.run(["sync", "ecosystems"]).ok().stdout_has("~ e: restarted");
    baton.run(["plan", "ecosystems"]).ok().stdout_has("compiled.cjs: baton wrote it");
}

#[test]
fn an_emptied_source_is_told_by_status_until_a_look_finds_it_repaired() {
    let baton = Baton::new();
    let apps = json!([{"name": "a", "script": testapp(), "args": "wait"}]);
    baton.file("e.json", json!({"apps": apps}).to_string());
    baton.run(["sync", "e.json"]).ok();
    baton.file("e.json", json!({"apps": []}).to_string());
    baton.run(["sync", "e.json"]).code(1).stderr_has("defines no apps");
    baton.run(["status"]).ok().stderr_has("defines no apps");
    baton.file("e.json", json!({"apps": apps}).to_string());
    baton.run(["plan", "e.json"]).ok();
    let status = baton.run(["status"]).ok();
    assert!(status.stderr.is_empty(), "{status}");
}
