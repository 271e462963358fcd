//! What `sync --watch` promises: whatever changes in the files, exactly what it concerns follows.

use crate::harness::{Baton, Watch, kill, testapp};
use crate::sync::{app, ecosystems, pids, shared, touched};
use baton_core::world::Status;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::Child;

/// A `sync --watch` that runs.
pub(crate) struct Watcher<'a> {
    baton: &'a Baton,
    child: Child,
    said: PathBuf,
    passes: usize,
}

impl<'a> Watcher<'a> {
    /// Begins to watch, and waits for the end of the first pass.
    pub(crate) fn begin(baton: &'a Baton, options: &[&str]) -> Watcher<'a> {
        Self::of(baton, "ecosystems", options)
    }

    /// The same for this source.
    pub(crate) fn of(baton: &'a Baton, source: &str, options: &[&str]) -> Watcher<'a> {
        let folder = baton.dir().join("said");
        std::fs::create_dir_all(&folder).expect("a folder");
        let said = folder.join(std::fs::read_dir(&folder).expect("a folder").count().to_string());
        let file = || File::options().append(true).create(true).open(&said).expect("a file");
        let args = ["sync", source, "--watch"].into_iter().chain(options.iter().copied());
        let child = baton.command(args).stdout(file()).stderr(file()).spawn().expect("it starts");
        let mut watcher = Watcher { baton, child, said, passes: 0 };
        baton.wait_file(&watcher.said, "watching ");
        watcher.passes = watcher.count();
        watcher
    }

    /// Each pass ends with what it did, or with why it did nothing.
    fn count(&self) -> usize {
        let said = std::fs::read_to_string(&self.said).expect("what it said");
        said.lines().filter(|line| line.contains(" to keep") || line.contains("waiting for the repair")).count()
    }

    /// Waits for so many more passes, and tells which apps have another process than before.
    pub(crate) fn pass(&mut self, deed: impl FnOnce()) -> Vec<String> {
        let before = pids(self.baton);
        deed();
        self.passed();
        self.settled(&before)
    }

    /// Waits for one more pass.
    pub(crate) fn passed(&mut self) {
        let watch = Watch::on(self.said.parent().expect("a folder"));
        while self.count() <= self.passes {
            watch.wait("a pass");
        }
        self.passes += 1;
        assert_eq!(self.count(), self.passes, "one pass");
    }

    /// Which apps have another process, when nothing is left to do.
    pub(crate) fn settled(&self, before: &BTreeMap<String, u64>) -> Vec<String> {
        // Nothing of it is under way any more, and nothing is left to do.
        self.baton.run(["sync", "ecosystems"]).ok().stdout_has("nothing to do");
        touched(before, &pids(self.baton))
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a signal");
    }

    /// Stops it, and waits until it has stopped.
    pub(crate) fn halt(&self) {
        self.signal(Signal::STOP);
        waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("it stops");
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- the watcher\n{}", std::fs::read_to_string(&self.said).unwrap_or_default());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_edit_touches_exactly_what_it_changes() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &[]);
    assert_eq!(pids(&baton).len(), 5);
    let none = Vec::<String>::new();
    let edit = |name: &str, content: String| drop(baton.file(&format!("ecosystems/{name}.cljs"), content));
    assert_eq!(watcher.pass(|| edit("b", app("b", "\"2\""))), ["b"], "one value");
    assert_eq!(watcher.pass(|| edit("shared", shared("\"high\"", ""))), ["a", "b", "c"], "a shared value");
    assert_eq!(watcher.pass(|| edit("shared", shared("(str \"hi\" \"gh\")", "; x"))), none, "the same value");
    // An editor that puts a new file in the place of the old one.
    let saved = || {
        edit("saved~", app("d", "\"3\""));
        let at = |name: &str| baton.dir().join("ecosystems").join(name);
        std::fs::rename(at("saved~.cljs"), at("d.cljs")).expect("renamed");
    };
    assert_eq!(watcher.pass(saved), ["d"], "an atomic save");
    assert_eq!(watcher.pass(|| edit("f", app("f", "\"1\""))), ["f"], "a new file");
}

#[test]
fn edits_that_follow_each_other_are_one_pass() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &[]);
    let entries = || {
        let history = baton.run(["history", "--json"]).ok();
        serde_json::from_str::<Value>(&history.stdout).expect("JSON").as_array().expect("a list").len()
    };
    let (before, known) = (pids(&baton), entries());
    // It sees both at once, however slow this machine is; how long it waits for the second is proved where it decides that.
    watcher.halt();
    baton.file("ecosystems/a.cljs", app("a", "\"2\""));
    baton.file("ecosystems/d.cljs", app("d", "\"2\""));
    watcher.signal(Signal::CONT);
    watcher.passed();
    assert_eq!(watcher.settled(&before), ["a", "d"]);
    assert_eq!(entries(), known + 1);
    assert_eq!(watcher.pass(|| drop(baton.file("ecosystems/e.cljs", app("e", "\"2\"")))), ["e"]);
}

#[test]
fn a_file_that_is_empty_for_a_moment_costs_no_app() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &["--prune"]);
    let before = pids(&baton);
    // Some editors empty a file before they write it.
    baton.file("ecosystems/e.cljs", "");
    watcher.passed();
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    baton.run(["status"]).ok().stderr_has("e.cljs is empty");
    assert_eq!(watcher.pass(|| drop(baton.file("ecosystems/e.cljs", app("e", "\"2\"")))), ["e"]);
    let status = baton.run(["status"]).ok();
    assert!(status.stderr.is_empty(), "{status}");
}

#[test]
fn an_error_touches_nothing_shows_in_the_status_and_its_repair_is_noticed() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &[]);
    let before = pids(&baton);
    baton.file("ecosystems/b.cljs", "(ns b)\n(defapp \"b\" {");
    watcher.passed();
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    let status = baton
        .run(["status"])
        .ok()
        .stderr_has("ecosystems is not followed until this is repaired")
        .stderr_has("b.cljs:2");
    assert!(!status.stdout.contains("b.cljs"), "{status}");
    assert!(!baton.run(["jlist"]).ok().stdout.contains("repaired"));
    assert_eq!(watcher.pass(|| drop(baton.file("ecosystems/b.cljs", app("b", "\"2\"")))), ["b"]);
    let status = baton.run(["status"]).ok();
    assert!(status.stderr.is_empty(), "{status}");
}

#[test]
fn what_fails_of_a_pass_shows_in_the_status_until_one_goes_well() {
    let baton = Baton::new();
    let source = |args: &str, value: u32| {
        let apps = [("a", args, value), ("b", "wait", value), ("c", "wait", 1)].map(|(name, args, value)| {
            json!({"name": name, "script": testapp(), "args": args, "min_uptime": 50, "env": {"VALUE": value}})
        });
        baton.file("ecosystem.config.json", json!(apps).to_string());
    };
    source("wait", 1);
    let mut watcher = Watcher::of(&baton, "ecosystem.config.json", &[]);
    let before = pids(&baton);
    source("exit:3", 2);
    watcher.passed();
    assert_eq!(touched(&before, &pids(&baton)), ["a"]);
    baton.wait_file(&watcher.said, "b: not attempted");
    let status = baton.run(["status"]).ok();
    status.stderr_has("ecosystem.config.json is applied in part: a: ").stderr_has("1 more were not attempted");
    source("wait", 2);
    watcher.passed();
    assert_eq!(touched(&before, &pids(&baton)), ["a", "b"]);
    let status = baton.run(["status"]).ok();
    assert!(status.stderr.is_empty(), "{status}");
}

#[test]
fn a_module_that_is_missing_anywhere_repairs_the_source_by_coming() {
    let baton = Baton::new();
    let app = |more: &str| {
        format!("{{ name: 'web', script: '{}', args: 'wait', min_uptime: 50{more} }}", testapp().display())
    };
    baton.file("app/ecosystem.config.cjs", format!("module.exports = [{}]", app("")));
    let mut watcher = Watcher::of(&baton, "app/ecosystem.config.cjs", &[]);
    let before = pids(&baton);
    let broken = format!("module.exports = [{}]", app(", env: { LEVEL: require('../lib/deep/level.js') }"));
    baton.file("app/ecosystem.config.cjs", broken);
    watcher.passed();
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    baton.file("lib/deep/level.js", "module.exports = 'low'");
    baton.wait_file(&watcher.said, "env.LEVEL: (none) → low");
    // A namespace that is not there yet is the same.
    baton.file("names/main.cljs", "(ns main (:require [far.away :refer [level]]))\n(def x level)");
    let watcher = Watcher::of(&baton, "names/main.cljs", &[]);
    let app = format!("(defapp \"clj\" {{:script \"{}\" :args \"wait\" :min-uptime 50}})", testapp().display());
    baton.file(
        "names/far/away.cljs",
        format!("(ns far.away (:require [clobber.macro :refer [defapp]]))\n(def level 1)\n{app}"),
    );
    baton.wait_file(&watcher.said, "+ clj: created");
}

#[test]
fn an_error_is_told_by_every_daemon_while_the_source_is_followed_and_not_longer() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &[]);
    let broken = "(ns b)\n(defapp \"b\" {";
    baton.file("ecosystems/b.cljs", broken);
    watcher.passed();
    let tells = |error: bool| {
        // Nothing else tells of what the daemon has to say; each look is a round trip.
        let found = (0..500).any(|_| baton.run(["status"]).ok().stderr.contains("b.cljs:2") == error);
        assert!(found, "status tells of the error: {error}");
    };
    tells(true);
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    tells(true);
    // One that was ended on purpose, too, when there is another.
    baton.run(["kill"]).ok();
    baton.run(["ping"]).ok();
    tells(true);
    drop(watcher);
    tells(false);
}

#[test]
fn what_goes_is_left_unless_it_may_be_pruned() {
    let baton = Baton::new();
    ecosystems(&baton);
    let gone = |name: &str| std::fs::remove_file(baton.dir().join(format!("ecosystems/{name}.cljs"))).expect("a file");
    let mut watcher = Watcher::begin(&baton, &[]);
    assert_eq!(watcher.pass(|| gone("e")), Vec::<String>::new());
    drop(watcher);
    let before = pids(&baton);
    let mut watcher = Watcher::begin(&baton, &["--prune"]);
    assert_eq!(touched(&before, &pids(&baton)), ["e"]);
    baton.start("mine", &["wait"]);
    assert_eq!(watcher.pass(|| gone("d")), ["d"]);
}

#[test]
fn an_app_that_is_deleted_by_hand_stays_away_until_its_definition_changes_or_a_pass_is_asked_for() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &[]);
    baton.run(["delete", "a"]).ok();
    let before = pids(&baton);
    baton.file("ecosystems/d.cljs", app("d", "\"2\""));
    watcher.passed();
    assert_eq!(touched(&before, &pids(&baton)), ["d"]);
    watcher.signal(Signal::USR1);
    watcher.passed();
    baton.wait_status("a", Status::Online);
    baton.run(["delete", "a"]).ok();
    assert_eq!(watcher.pass(|| drop(baton.file("ecosystems/a.cljs", app("a", "\"2\"")))), ["a"]);
}

#[test]
fn a_daemon_that_dies_does_not_end_the_watch() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &[]);
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    assert_eq!(watcher.pass(|| drop(baton.file("ecosystems/e.cljs", app("e", "\"2\"")))), ["e"]);
}

#[test]
fn files_of_variables_are_followed_also_those_that_are_not_there_yet() {
    let baton = Baton::new();
    let app = |name: &str, file: &str| json!({"name": name, "script": testapp(), "args": "wait", "min_uptime": 50, "env_file": file});
    let apps = json!({"apps": [app("web", "web.env"), app("worker", "none/worker.env")]});
    baton.file("ecosystems/ecosystem.config.json", apps.to_string());
    baton.file("web.env", "LEVEL=low\n");
    let mut watcher = Watcher::begin(&baton, &[]);
    assert_eq!(watcher.pass(|| drop(baton.file("web.env", "LEVEL=high\n"))), ["web"]);
    let before = pids(&baton);
    baton.file("none/worker.env", "LEVEL=high\n");
    watcher.passed();
    assert_eq!(watcher.settled(&before), ["worker"]);
}

#[test]
fn a_job_follows_its_source_and_survives_the_daemon() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "--list"]).ok();
    baton.run(["sync", "--now"]).code(1).stderr_has("no source is followed by a job");
    baton.run(["sync", "ecosystems", "--watch", "--daemon"]).ok().stdout_has("as the app sync-ecosystems");
    baton.wait_log("sync-ecosystems-out.log", "watching ");
    baton.run(["sync", "--list"]).ok().stdout_has("sync-ecosystems  online  ").stdout_has("/ecosystems");
    baton.run(["sync", "--list", "ecosystems"]).ok().stdout_has("sync-ecosystems");
    let other = baton.run(["sync", "--list", "elsewhere"]).ok();
    assert!(other.stdout.is_empty(), "{other}");
    let job = baton.pid("sync-ecosystems");
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    let is_new = |name: &'static str, old: u32| {
        baton.wait_for("a new process", move |list| {
            list.iter().any(|view| view.name == name && view.status == Status::Online && view.pid != Some(old))
        })
    };
    let old = baton.pid("a");
    baton.file("ecosystems/a.cljs", app("a", "\"2\""));
    is_new("a", old);
    assert_eq!(baton.pid("sync-ecosystems"), job);
    baton.run(["delete", "b"]).ok();
    // The job is meant by its number, and not whoever is called so.
    let number = baton.entry("sync-ecosystems")["pm_id"].to_string();
    baton.start(&number, &["wait"]);
    let namesake = baton.pid(&number);
    baton.run(["sync", "--now", "ecosystems"]).ok();
    is_new("b", 0);
    assert_eq!(baton.pid(&number), namesake);
    baton.run(["delete", &number]).ok();
    baton.run(["sync", "--stop", "elsewhere"]).code(1).stderr_has("elsewhere is not followed by a job");
    baton.run(["sync", "--stop", "ecosystems"]).ok().stdout_has("is not followed any more; its apps stay");
    assert_eq!(pids(&baton).len(), 5);
}

#[test]
fn a_source_that_a_command_makes_is_made_anew_when_what_it_reads_has_changed() {
    let baton = Baton::new();
    let app = json!({"name": "web", "script": testapp(), "args": "wait", "min_uptime": 50, "env": {"LEVEL": "@"}});
    baton.file(
        "src/template",
        json!({"apps": [app, {"name": "other", "script": testapp(), "args": "wait"}]}).to_string(),
    );
    baton.file("src/level", "low");
    let command = "echo ran >> runs; grep -q bad src/level && exit 3; \
        sed s/@/$(cat src/level)/ src/template > made.tmp && mv made.tmp ecosystem.config.json";
    let sync =
        ["sync", "ecosystem.config.json", "--generate", command, "--generate-from", "src", "--emit", "out.config.cjs"];
    let runs = || std::fs::read_to_string(baton.dir().join("runs")).expect("runs").lines().count();
    baton.run(sync).ok().stdout_has("running `echo ran").stdout_has("out.config.cjs written: 2 apps");
    baton.run(sync).ok().stdout_has("nothing to do");
    assert_eq!((runs(), baton.entry("web")["pm2_env"]["env"]["LEVEL"].clone()), (1, json!("low")));
    let emitted = || std::fs::read_to_string(baton.dir().join("out.config.cjs")).expect("the emitted file");
    assert!(emitted().contains("\"low\"") && emitted().contains("sha256"), "{}", emitted());

    let before = pids(&baton);
    baton.file("src/level", "bad");
    baton.run(sync).code(1).stderr_has("ended with exit status: 3: nothing was changed");
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    baton.file("src/level", "mid");
    let watcher = Watcher::of(&baton, "ecosystem.config.json", &sync[2..]);
    assert_eq!(touched(&before, &pids(&baton)), ["web"]);
    let before = pids(&baton);
    baton.file("src/level", "high");
    // What the command makes is an edit, too, which changes nothing more.
    baton.wait_file(&watcher.said, "env.LEVEL: mid → high");
    assert_eq!(touched(&before, &pids(&baton)), ["web"]);
    baton.wait_file(&baton.dir().join("out.config.cjs"), "\"high\"");
    drop(watcher);

    // A file of somebody else's is left alone.
    baton.file("out.config.cjs", "module.exports = {}");
    baton.run(sync).code(1).stderr_has("was not written by");
    assert_eq!(emitted(), "module.exports = {}");
}

#[test]
fn a_source_says_itself_what_makes_it_and_what_is_made_of_it() {
    let baton = Baton::new();
    let made = |level: &str| {
        let app =
            json!({"name": "web", "script": testapp(), "args": "wait", "min_uptime": 50, "env": {"LEVEL": level}});
        format!("module.exports = {}", json!([app]))
    };
    baton.file("src/low.cljs", made("low"));
    baton.file("src/use", "low");
    let source = r#"module.exports = {
        generate: "echo ran >> runs; test -f src/$(cat src/use).cljs && mkdir -p .out && cp src/$(cat src/use).cljs .out/index.cjs",
        generate_from: ["src"],
        emit: "compiled.json",
        apps: [...require("./.out/index.cjs")],
    };"#;
    baton.file("app/ecosystem.config.cjs", source);
    for file in ["low.cljs", "use"] {
        std::fs::create_dir_all(baton.dir().join("app/src")).expect("a directory");
        std::fs::rename(baton.dir().join("src").join(file), baton.dir().join("app/src").join(file)).expect("moved");
    }
    let at = |name: &str| baton.dir().join("app").join(name);
    let runs = || std::fs::read_to_string(at("runs")).map_or(0, |text| text.lines().count());
    let level = || baton.entry("web")["pm2_env"]["env"]["LEVEL"].clone();
    // Nothing is made to look at it.
    baton
        .run(["plan", "app/ecosystem.config.cjs"])
        .code(1)
        .stderr_has("Cannot find module './.out/index.cjs'")
        .stderr_has("`sync` runs `echo ran");
    assert_eq!(runs(), 0);
    // A fresh checkout: what the source loads is not there yet.
    baton
        .run(["sync", "app/ecosystem.config.cjs"])
        .ok()
        .stdout_has("running `echo ran")
        .stdout_has("compiled.json written");
    assert_eq!((runs(), level()), (1, json!("low")));
    assert!(std::fs::read_to_string(at("compiled.json")).expect("the emitted file").contains("\"low\""));
    baton.run(["sync", "app/ecosystem.config.cjs"]).ok().stdout_has("nothing to do");
    baton.file("app/src/high.cljs", made("high"));
    baton.file("app/src/use", "high");
    baton
        .run(["plan", "app/ecosystem.config.cjs"])
        .ok()
        .stderr_has("`sync` runs `echo ran")
        .stderr_has("what it reads has changed");
    assert_eq!(runs(), 1);
    // What is made is broken: what makes it is followed all the same.
    baton.file("app/.out/index.cjs", "module.exports = {");
    let watcher = Watcher::of(&baton, "app/ecosystem.config.cjs", &[]);
    assert_eq!((runs(), level()), (2, json!("high")));
    baton.file("app/src/use", "none");
    baton.wait_file(&watcher.said, "ended with exit status: 1: nothing was changed");
    baton.file("app/src/use", "low");
    baton.wait_file(&watcher.said, "env.LEVEL: high → low");
    drop(watcher);
    baton.file("app/ecosystem.config.json", r#"{"apps": [], "generate": "make"}"#);
    baton
        .run(["sync", "app/ecosystem.config.json"])
        .code(1)
        .stderr_has("json:1:14: `generate` without `generate_from`");
    baton.file("app/ecosystem.config.json", r#"{"apps": [], "emit": 7}"#);
    baton.run(["plan", "app/ecosystem.config.json"]).code(1).stderr_has("json:1:14: `emit: 7` says nothing to do");
}

#[test]
fn what_a_command_made_and_somebody_broke_or_removed_is_made_again() {
    let baton = Baton::new();
    let app = json!([{"name": "web", "script": testapp(), "args": "wait", "min_uptime": 50}]);
    baton.file("src/apps.json", app.to_string());
    let source = r#"module.exports = {
        generate: "echo ran >> runs; mkdir -p .out && cp src/apps.json .out/apps.json",
        generate_from: ["src"],
        apps: require("./.out/apps.json"),
    };"#;
    baton.file("ecosystem.config.cjs", source);
    let runs = || std::fs::read_to_string(baton.dir().join("runs")).map_or(0, |text| text.lines().count());
    baton.run(["sync"]).ok().stdout_has("+ web: created");
    baton.file(".out/apps.json", "[broken");
    baton.run(["sync", "--dry-run"]).code(1);
    baton.run(["sync"]).ok().stdout_has("nothing to do");
    std::fs::remove_dir_all(baton.dir().join(".out")).expect("removed");
    baton.run(["sync"]).ok().stdout_has("nothing to do");
    assert_eq!(runs(), 3);
    // It does not help where something else is wrong.
    baton.file("src/apps.json", "[broken");
    let broken = baton.run(["sync"]).code(1).stderr_has("apps.json:1");
    assert!(runs() <= 5, "{broken}");
    // What it makes where it reads does not make it run again.
    baton.file("src/apps.json", app.to_string());
    let around = [
        "sync",
        "--generate",
        "date +%N > src/made; echo ran >> runs; mkdir -p .out; cp src/apps.json .out/",
        "--generate-from",
        "src",
    ];
    baton.run(around).ok().stderr_has("changes what it reads");
    let before = runs();
    baton.run(around).ok().stdout_has("nothing to do");
    assert_eq!(runs(), before);
    baton.file("src/apps.json", "[]");
    baton.run([&around[..], &["--dry-run"]].concat()).code(0).stderr_has("`sync` runs `date");
    assert_eq!(runs(), before, "nothing is run to look");
}

#[test]
fn a_job_is_stopped_and_started_by_its_name() {
    let baton = Baton::new();
    baton.file("eco.config.json", json!([{"name": "web", "script": testapp(), "args": "wait"}]).to_string());
    baton.run(["sync", "eco.config.json", "--watch", "--daemon"]).ok().stdout_has("as the app sync-eco-config-json");
    baton.run(["stop", "sync-eco-config-json"]).ok();
    baton.run(["start", "sync-eco-config-json"]).ok();
    baton.wait_log("sync-eco-config-json-out.log", "watching ");
    baton.run(["delete", "sync-eco-config-json"]).ok();
}

#[test]
fn a_command_that_makes_a_source_runs_once_for_a_change_whoever_sees_it() {
    let baton = Baton::new();
    baton.file(
        "src/apps.json",
        json!([{"name": "web", "script": testapp(), "args": "wait", "min_uptime": 50}]).to_string(),
    );
    // It goes on until the test lets it: two callers want it at the same time.
    let made = "echo ran >> runs; cat go; cp src/apps.json made.config.json";
    let words = ["sync", "made.config.json", "--generate", made, "--generate-from", "src"];
    let go = baton.dir().join("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a FIFO");
    let mut callers = [0, 1].map(|_| baton.command(words).spawn().expect("it starts"));
    // Opening waits for the one that reads.
    drop(File::options().write(true).open(&go).expect("it runs"));
    for caller in &mut callers {
        assert!(caller.wait().expect("it ends").success());
    }
    assert_eq!(std::fs::read_to_string(baton.dir().join("runs")).expect("it ran").lines().count(), 1);
}
