//! What `plan` and `sync` ask, say and refuse before anything is changed.

use crate::dashboard::{reads, terminal};
use crate::harness::{Baton, alive, testapp};
use crate::sync::{app, ecosystems, pids, touched};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::symlink;

fn gone(baton: &Baton, names: &[&str]) {
    for name in names {
        std::fs::remove_file(baton.dir().join(format!("ecosystems/{name}.cljs"))).expect("a file");
    }
}

/// `sync --prune` on a terminal, where this is answered to its question; whether it succeeded, and what it said.
fn answered(baton: &Baton, question: &str, answer: &[u8]) -> (bool, String) {
    let (ours, theirs) = terminal();
    let end = || File::from(theirs.try_clone().expect("descriptor"));
    let mut command = baton.command(["sync", "ecosystems", "--prune"]);
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
    let mut seen = String::new();
    reads(&ours, &mut seen, question);
    rustix::io::write(&ours, answer).expect("keys");
    let success = child.wait().expect("it ends").success();
    rustix::io::write(&theirs, b"<end>").expect("the end");
    reads(&ours, &mut seen, "<end>");
    (success, seen)
}

#[test]
fn on_a_terminal_removals_are_asked_for_and_nothing_else() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    let before = pids(&baton);
    gone(&baton, &["e"]);
    // No, no answer at all, and the end of the input.
    for answer in ["n\n", "\n", "\u{4}"] {
        let (success, said) = answered(&baton, "Remove e? [y/N] ", answer.as_bytes());
        assert!(!success && said.contains("- e: remove") && said.contains("nothing was done"), "{answer:?}: {said}");
        assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    }
    let (success, said) = answered(&baton, "Remove e? [y/N] ", b"y\n");
    assert!(success && said.contains("- e: removed"), "{said}");
    assert_eq!(touched(&before, &pids(&baton)), ["e"]);
    // Whoever has nothing to lose is not asked, nor is who has said so before.
    baton.file("ecosystems/a.cljs", app("a", "\"2\""));
    let (ours, theirs) = terminal();
    for options in [&["--prune"][..], &["--prune", "--yes"]] {
        let end = || File::from(theirs.try_clone().expect("descriptor"));
        let mut command = baton.command(["sync", "ecosystems"].iter().chain(options));
        let status = command.stdin(end()).stdout(end()).stderr(end()).status().expect("it runs");
        assert!(status.success());
        gone(&baton, if options.len() == 1 { &["d"] } else { &[] });
    }
    drop(ours);
    assert_eq!(pids(&baton).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn what_was_not_asked_for_is_not_removed_by_a_yes() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    gone(&baton, &["e"]);
    let (ours, theirs) = terminal();
    let end = || File::from(theirs.try_clone().expect("descriptor"));
    let mut command = baton.command(["sync", "ecosystems", "--prune"]);
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
    let mut seen = String::new();
    reads(&ours, &mut seen, "Remove e? [y/N] ");
    baton.file("ecosystems/f.cljs", app("f", "\"1\"").replace("[\"wait\"]", "[\"wait\" \"f\"]"));
    baton.run(["sync", "ecosystems"]).ok().stdout_has("+ f: created");
    rustix::io::write(&ours, b"y\n").expect("keys");
    reads(&ours, &mut seen, "meanwhile f would be removed, too: nothing was done");
    assert!(!child.wait().expect("it ends").success());
    assert_eq!(pids(&baton).len(), 6);
}

#[test]
fn what_is_too_much_to_remove_is_shown_and_counts_of_all_that_the_source_has() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    gone(&baton, &["b", "c", "d"]);
    let shown = ["- b: remove, 1 instance", "- d: remove, 1 instance"];
    for verb in ["plan", "sync"] {
        let run =
            baton.run([verb, "ecosystems", "--prune"]).code(1).stderr_has("3 of the 5 apps").stderr_has("--force");
        assert!(shown.iter().all(|line| run.stdout.contains(line)), "{run}");
    }
    let plan: Value =
        serde_json::from_str(&baton.run(["plan", "ecosystems", "--prune", "--json"]).code(1).stdout).expect("JSON");
    assert!(plan["refused"].as_str().is_some_and(|why| why.contains("3 of the 5")), "{plan}");
    assert_eq!(plan["steps"].as_array().expect("steps").len(), 5);
    // Those that are named alone, too.
    let only = |names: &str| baton.run(["sync", "ecosystems", "--prune", "--only", names]);
    only("b,c,d").code(1).stdout_has("- c: remove").stderr_has("3 of the 5 apps");
    assert_eq!(pids(&baton).len(), 5);
    let said = only("b,a").ok().stdout_has("- b: removed");
    said.stderr_has("--prune with --only removes those of the named apps that the source does not have any more");
    assert_eq!(pids(&baton).len(), 4);
    // A source without any app is broken, whatever of it was asked for.
    baton.file("e.json", json!([{"name": "x", "script": testapp(), "args": "wait", "min_uptime": 50}]).to_string());
    baton.run(["sync", "e.json"]).ok();
    baton.file("e.json", "[]");
    baton.run(["sync", "e.json", "--only", "x", "--prune"]).code(1).stderr_has("defines no apps");
    assert!(pids(&baton).contains_key("x"));
}

#[test]
fn what_can_t_be_run_does_not_end_what_runs_and_is_noticed_when_it_comes() {
    let baton = Baton::new();
    let write = |a: Value, b: &str| {
        let mut app = json!({"name": "a", "script": testapp(), "args": ["wait", "a"], "min_uptime": 50});
        app.as_object_mut().expect("a map").extend(a.as_object().expect("a map").clone());
        let b = json!({"name": "b", "script": testapp(), "args": ["wait", b], "min_uptime": 50});
        baton.file("ecosystem.config.json", json!([app, b]).to_string());
    };
    write(json!({}), "1");
    baton.run(["sync"]).ok();
    let before = pids(&baton);
    let there = baton.dir().join("there");
    let missing = there.display();
    for (broken, why) in [
        (json!({"script": "./there"}), format!("script {missing} is missing")),
        (json!({"cwd": "./there"}), format!("cwd {missing} is no directory")),
        (json!({"script": "ecosystem.config.json", "interpreter": "./there"}), "interpreter".to_owned()),
    ] {
        write(broken, "1");
        let plan = baton.run(["plan"]).code(1).stdout_has("~ a: change (restart): not done, ").stderr_has(&why);
        assert!(plan.stdout.contains("1 to keep"), "{plan}");
        let told = baton.run(["sync"]).code(1).stdout_has("~ a: failed").stderr_has(&why);
        told.stderr_has("the old one still runs");
        assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
        assert!(alive(u32::try_from(before["a"]).expect("a pid")));
        baton.run(["status"]).ok().stderr_has("is applied in part: a: ").stderr_has(&why);
    }
    // What comes after it waits, or does not.
    write(json!({"script": "./there"}), "2");
    baton.run(["sync"]).code(1).stdout_has("~ b: not attempted");
    baton.run(["sync", "--continue"]).code(1).stdout_has("~ a: failed").stdout_has("~ b: restarted");
    assert_eq!(touched(&before, &pids(&baton)), ["b"]);
    baton.run(["restart", "a", "--from-source"]).code(1).stderr_has("is missing; the old one still runs");
    assert_eq!(touched(&before, &pids(&baton)), ["b"]);
    symlink(testapp(), &there).expect("a link");
    baton.run(["sync"]).ok().stdout_has("~ a: restarted");
    assert_eq!(touched(&before, &pids(&baton)), ["a", "b"]);
    let status = baton.run(["status"]).ok();
    assert!(status.stderr.is_empty(), "{status}");
}

#[test]
fn a_source_is_the_same_through_links_and_when_they_are_moved() {
    let baton = Baton::new();
    let at = |name: &str| baton.dir().join(name);
    ecosystems(&baton);
    symlink(at("ecosystems"), at("linked")).expect("a link");
    baton.run(["sync", "ecosystems"]).ok();
    let before = pids(&baton);
    for name in ["linked", "linked/", "./linked/../ecosystems"] {
        baton.run(["plan", name]).ok().stdout_has("nothing to do (5 to keep)");
    }
    baton.file("ecosystems/e.cljs", app("e", "\"2\""));
    baton.run(["sync", "linked"]).ok().stdout_has("~ e: restarted");
    assert_eq!(touched(&before, &pids(&baton)), ["e"]);
    baton.run(["sync", "linked", "--watch", "--daemon"]).ok();
    baton.run(["sync", "--list", "ecosystems"]).ok().stdout_has("sync-");
    baton.run(["sync", "--stop", "linked"]).ok();

    // A release is put in the place of another: the source is the same, called by the link.
    let release = |name: &str, value: &str| {
        let app = json!({"name": "web", "script": testapp(), "args": ["wait", "web"], "cwd": "/", "min_uptime": 50, "env": {"VALUE": value}});
        baton.file(&format!("{name}/web.config.json"), json!([app]).to_string());
    };
    let current = |release: &str| {
        symlink(at(release), at("next")).and_then(|()| std::fs::rename(at("next"), at("current"))).expect("a link");
    };
    release("r1", "1");
    release("r2", "2");
    current("r1");
    baton.run(["sync", "current/web.config.json"]).ok();
    baton.run(["plan", "r1/web.config.json"]).ok().stdout_has("nothing to do");
    current("r2");
    baton.run(["plan", "current/web.config.json"]).code(2).stdout_has("env.VALUE: 1 → 2");
    baton.run(["sync", "r2/web.config.json"]).ok().stdout_has("~ web: restarted");
    baton.run(["plan", "r1/web.config.json"]).code(1).stderr_has("app `web` belongs to ").stderr_has("current/web");
}

#[test]
fn who_waits_for_another_pass_is_shown_what_is_left_after_it() {
    let baton = Baton::new();
    let write = |value: &str| {
        let app = |name: &str| json!({"name": name, "script": testapp(), "args": ["wait", name], "ready": {"exec": "test -f go", "interval": 20}, "env": {"VALUE": value}});
        baton.file("ecosystem.config.json", json!([app("a"), app("b")]).to_string());
    };
    let go = baton.file("go", "");
    write("1");
    baton.run(["sync"]).ok();
    let before = pids(&baton);
    std::fs::remove_file(&go).expect("it was there");
    let said = |name: &str| baton.dir().join("said").join(name);
    let sync = |name: &str| {
        let file = File::create(said(name)).expect("a file");
        baton.command(["sync"]).stdout(file).spawn().expect("it starts")
    };
    std::fs::create_dir(baton.dir().join("said")).expect("a directory");
    write("2");
    let mut first = sync("first");
    baton.wait_for("the turn of a", |list| {
        list.iter().any(|view| view.name == "a" && view.pid.is_some_and(|pid| u64::from(pid) != before["a"]))
    });
    write("3");
    let mut second = sync("second");
    baton.wait_file(&said("second"), "another pass is under way");
    // `plan` waits for nobody.
    baton.run(["plan"]).code(2).stdout_has("env.VALUE: 1 → 3");
    baton.file("go", "");
    for (sync, name, wanted) in [(&mut first, "first", "env.VALUE: 1 → 2"), (&mut second, "second", "env.VALUE: 2 → 3")]
    {
        let success = sync.wait().expect("it ends").success();
        let said = std::fs::read_to_string(said(name)).expect("what it said");
        assert!(success && said.matches(wanted).count() == 2, "{said}");
    }
    baton.run(["sync"]).ok().stdout_has("nothing to do");
}

#[test]
fn a_directory_without_process_files_is_told_with_what_was_looked_for_and_what_is_there() {
    let baton = Baton::new();
    baton.file("things/readme.md", "");
    baton.file("things/server.js", "");
    std::fs::create_dir(baton.dir().join("empty")).expect("a directory");
    for verb in ["plan", "sync"] {
        baton
            .run([verb, "things"])
            .code(1)
            .stderr_has("things holds no process file")
            .stderr_has("looked for *.{edn,clj,cljs,cljc}")
            .stderr_has("`ecosystem`, `.config.` or `.pm2.` in the name")
            .stderr_has("it holds readme.md, server.js");
    }
    baton.run(["plan", "empty"]).code(1).stderr_has("it is empty");
    baton.file("things/package.json", "{}");
    baton.run(["plan", "things"]).code(1).stderr_has("beside a package.json only ecosystem.config.");
}

#[test]
fn a_source_says_which_apps_it_takes() {
    let baton = Baton::new();
    let apps = json!([{"name": "web", "script": testapp(), "args": "wait", "min_uptime": 50}]);
    let file = |name: &str| baton.file(name, apps.to_string());
    file("one.json");
    baton.run(["start", "one.json"]).ok();
    let before = pids(&baton);
    baton
        .run(["plan", "one.json"])
        .code(2)
        .stdout_has("~ web: adopt, it belonged to no source")
        .stdout_has("1 to adopt");
    let plan = |options: &[&str]| -> Value {
        let words = ["plan", "--json"].iter().chain(options);
        serde_json::from_str(&baton.run(words).code(2).stdout).expect("JSON")
    };
    let step = plan(&["one.json"])["steps"][0].clone();
    assert_eq!((&step["action"], &step["adopted"]), (&json!("adopt"), &json!({"from": null})));
    baton.run(["sync", "one.json"]).ok().stdout_has("~ web: adopted");
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
    baton.run(["sync", "one.json"]).ok().stdout_has("nothing to do");
    baton.wait_status("web", Status::Online);
    file("two.json");
    baton.run(["plan", "two.json"]).code(1).stderr_has("app `web` belongs to ");
    let taken = plan(&["two.json", "--force"]);
    assert!(taken["steps"][0]["adopted"]["from"].as_str().is_some_and(|from| from.ends_with("/one.json")), "{taken}");
    baton.run(["sync", "two.json", "--force"]).ok().stdout_has("one.json").stdout_has("~ web: adopted");
    assert_eq!(touched(&before, &pids(&baton)), Vec::<String>::new());
}

#[test]
fn the_first_failure_ends_a_pass_unless_it_is_to_go_on() {
    let baton = Baton::new();
    let write = |a: &str, value: &str| {
        let app = |name: &str, args: &str| json!({"name": name, "script": testapp(), "args": args, "min_uptime": 50, "env": {"VALUE": value}});
        baton.file("ecosystem.config.json", json!([app("a", a), app("b", "wait"), app("c", "wait")]).to_string());
    };
    write("wait", "1");
    baton.run(["sync"]).ok();
    let before = pids(&baton);
    write("exit:3", "2");
    baton.run(["sync"]).code(1).stdout_has("~ a: failed").stdout_has("~ b: not attempted").stdout_has("~ c: not");
    baton.run(["history"]).ok().stdout_has("    failed: a\n    not attempted: b, c\n");
    baton.wait_status("a", Status::Errored);
    let rest = baton.run(["sync", "--continue"]).code(1);
    rest.stdout_has("~ a: failed").stdout_has("~ b: restarted").stdout_has("~ c: restarted");
    assert_eq!(touched(&before, &pids(&baton)), ["a", "b", "c"]);
    write("wait", "2");
    baton.run(["sync"]).ok().stdout_has("~ a: ");
    baton.run(["plan"]).ok().stdout_has("nothing to do (3 to keep)");
}
