//! What following a source withstands: the end of the daemon, of the list and of what the kernel can remember.

use crate::harness::{Baton, kill, testapp};
use crate::sync::{app, ecosystems, pids, shared, touched};
use crate::sync_watch::Watcher;
use baton_core::world::Status;
use rustix::process::Signal;
use serde_json::json;

#[test]
fn a_pass_under_a_watch_whose_daemon_is_killed_is_finished_by_the_watch() {
    let baton = Baton::new();
    let write = |value: &str| {
        let app = |name: &str| json!({"name": name, "script": testapp(), "args": ["wait", name], "ready": {"exec": "test -f go", "interval": 20}, "env": {"VALUE": value}});
        baton.file("ecosystem.config.json", json!([app("a"), app("b"), app("c")]).to_string());
    };
    let go = baton.file("go", "");
    write("1");
    let mut watcher = Watcher::of(&baton, "ecosystem.config.json", &[]);
    for (value, turn) in [("2", "a"), ("3", "c")] {
        // The first of three has its turn, or the last.
        if turn == "a" {
            std::fs::remove_file(&go).expect("it was there");
        }
        let before = pids(&baton);
        write(value);
        baton.wait_for(&format!("{turn} to be touched"), |list| {
            list.iter().any(|view| view.name == turn && view.pid.map(u64::from) != before.get(turn).copied())
        });
        let daemon = baton.daemon();
        kill(daemon);
        baton.connect_to_successor(daemon);
        baton.file("go", "");
        watcher.passed();
        let after = pids(&baton);
        assert_eq!(touched(&before, &after), ["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            assert_eq!(baton.entry(name)["pm2_env"]["env"]["VALUE"], value);
        }
        baton.run(["sync"]).ok().stdout_has("nothing to do");
    }
}

#[test]
fn more_changes_than_the_kernel_remembers_lose_no_edit() {
    let baton = Baton::new();
    ecosystems(&baton);
    let mut watcher = Watcher::begin(&baton, &[]);
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("the limit");
    let limit: usize = limit.trim().parse().expect("a number");
    let before = pids(&baton);
    watcher.halt();
    // What comes twice in a row is kept once; neither of them counts.
    for number in 0..=limit {
        baton.file(if number % 2 == 0 { "ecosystems/x~" } else { "ecosystems/y~" }, "");
    }
    baton.file("ecosystems/a.cljs", app("a", "\"2\""));
    baton.file("ecosystems/shared.cljs", shared("\"low\"", "; the same"));
    watcher.signal(Signal::CONT);
    watcher.passed();
    assert_eq!(watcher.settled(&before), ["a"]);
    assert_eq!(watcher.pass(|| drop(baton.file("ecosystems/e.cljs", app("e", "\"2\"")))), ["e"], "it goes on");
}

#[test]
fn apps_belong_to_their_source_after_save_and_resurrect_too() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems"]).ok();
    baton.run(["save"]).ok();
    baton.run(["kill"]).ok();
    baton.run(["resurrect"]).ok();
    let before = pids(&baton);
    baton.run(["plan", "ecosystems"]).code(0).stdout_has("nothing to do");
    std::fs::remove_file(baton.dir().join("ecosystems/b.cljs")).expect("it is there");
    baton.run(["sync", "ecosystems", "--prune"]).ok();
    let after = pids(&baton);
    assert!(!after.contains_key("b"), "{after:?}");
    assert_eq!(touched(&before, &after), ["b"]);
}

#[test]
fn a_job_comes_back_with_the_list_that_was_saved() {
    let baton = Baton::new();
    ecosystems(&baton);
    baton.run(["sync", "ecosystems", "--watch", "--daemon"]).ok();
    baton.wait_log("sync-ecosystems-out.log", "watching ");
    baton.run(["save"]).ok();
    baton.run(["kill"]).ok();
    std::fs::remove_file(baton.home().join("logs/sync-ecosystems-out.log")).expect("its log");
    // What was edited meanwhile is found, too.
    baton.file("ecosystems/b.cljs", app("b", "\"2\""));
    baton.run(["resurrect"]).ok();
    baton.wait_log("sync-ecosystems-out.log", "watching ");
    baton.wait_status("sync-ecosystems", Status::Online);
    baton.run(["sync", "--list"]).ok().stdout_has("sync-ecosystems  online");
    assert_eq!(baton.entry("b")["pm2_env"]["env"]["VALUE"], "2");
    let before = pids(&baton);
    baton.file("ecosystems/a.cljs", app("a", "\"2\""));
    baton.wait_for("the edit", |list| {
        list.iter()
            .any(|view| view.name == "a" && view.pid.is_some_and(|pid| u64::from(pid) != before["a"]) && view.ready)
    });
    assert_eq!(touched(&before, &pids(&baton)), ["a"]);
    baton.run(["sync", "--stop"]).ok();
}
