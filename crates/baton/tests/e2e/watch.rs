//! What watching files promises.

use crate::harness::{Baton, Watch, testapp};
use baton_core::world::{InstanceView, Status};
use serde_json::json;

/// An app whose files are watched, once they are.
fn watched(baton: &Baton, more: serde_json::Value) -> InstanceView {
    let mut app = json!({"name": "web", "script": testapp(), "args": "wait", "watch": true, "min_uptime": 0});
    app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    baton.file("ecosystem.config.json", json!({ "apps": [app] }).to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    told(baton, "[Watch] Start watching web");
    baton.wait_status("web", Status::Online)
}

fn told(baton: &Baton, text: &str) -> String {
    baton.wait_file(&baton.home().join("pm2.log"), text)
}

/// Waits until files of the app have begun to be watched so often.
fn watching_again(baton: &Baton, times: usize) {
    let watch = Watch::on(baton.home());
    while told(baton, "").matches("Start watching web").count() < times {
        watch.wait("watching again");
    }
}

/// Waits until the app has been started again so often.
fn restarted(baton: &Baton, times: u32) -> InstanceView {
    let wished = |view: &InstanceView| view.restarts >= times && view.status == Status::Online;
    let list = baton.wait_for(&format!("{times} restarts"), |list| list.iter().any(wished));
    list.into_iter().find(|view| view.name == "web").expect("just seen")
}

#[test]
fn a_change_restarts_the_app_once_and_is_the_cause() {
    let baton = Baton::new();
    let before = watched(&baton, json!({"ignore_watch": ["*.test.ts"], "watch_delay": "1s"}));
    assert!(before.watching);
    // None of these counts, and the last one does.
    for name in ["a.test.ts", "node_modules/m/index.js", ".git/index", "notes~"] {
        baton.file(name, "changed");
    }
    for number in 0..100 {
        baton.file(&format!("many/{number}.js"), "changed");
    }
    let after = restarted(&baton, 1);
    assert_ne!(after.pid, before.pid);
    baton.run(["describe", "web"]).ok().stdout_has("has changed").stdout_has("watch & reload").stdout_has("✔");
    told(&baton, "Change detected on path many for app web - restarting");
    assert_eq!(baton.entry("web")["pm2_env"]["watch"], true);
    baton.run(["ls"]).ok().stdout_has("enabled");
}

#[test]
fn the_logs_of_an_app_never_restart_it() {
    let baton = Baton::new();
    let logs = json!({"args": "out:hello err:world spam:1000 wait", "out_file": "logs/out.log", "error_file": "err.log",
                      "pid_file": "web.pid", "max_size": "10K"});
    watched(&baton, logs);
    let folder = Watch::on(&baton.dir().join("logs"));
    while std::fs::read_dir(baton.dir().join("logs")).expect("logs").count() < 2 {
        folder.wait("a rotated log");
    }
    baton.run(["watch", "--explain", "logs/out.log"]).ok().stdout_has("does nothing: it is a file of baton");
    baton.file("main.js", "changed");
    let view = restarted(&baton, 1);
    assert!(format!("{:?}", view.last).contains("Spawned"), "{view:?}");
    baton.run(["describe", "web"]).ok();
    let log = told(&baton, "Change detected");
    assert_eq!(log.matches("Change detected").count(), 1, "{log}");
    assert!(log.contains("Change detected on path main.js"), "{log}");
}

#[test]
fn watching_is_switched_by_the_options_of_pm2() {
    let baton = Baton::new();
    watched(&baton, json!({"watch": ["src"], "watch_delay": 20}));
    baton.run(["stop", "web"]).ok();
    assert_eq!(baton.entry("web")["pm2_env"]["watch"], false);
    told(&baton, "[Watch] Stop watching web");
    baton.run(["start", "web"]).ok();
    assert_eq!(baton.entry("web")["pm2_env"]["watch"], json!(["src"]));
    baton.run(["restart", "web", "--watch"]).ok();
    baton.run(["watch", "web"]).ok().stdout_has("web: src (off now)");
    baton.run(["restart", "web", "--watch"]).ok();
    baton.run(["stop", "web", "--watch"]).ok();
    baton.run(["start", "web"]).ok();
    assert!(!baton.wait_status("web", Status::Online).watching);
    let before = baton.wait_status("web", Status::Online).restarts;
    baton.run(["start", "web", "--watch"]).ok();
    watching_again(&baton, 4);
    // The folder comes only now.
    baton.file("src/a.js", "");
    restarted(&baton, before + 2);
    // What is started on the command line is watched by the same words.
    let app = testapp();
    let args =
        ["start", app.to_str().expect("path"), "--name", "cli", "--watch", "--ignore-watch", "tmp", "--", "wait"];
    baton.run(args).ok();
    baton.run(["watch", "cli"]).ok().stdout_has("without tmp");
    baton.run(["watch", "cli", "--explain", "x/tmp/y"]).ok().stdout_has("the pattern `tmp` of `ignore_watch`");
    baton.run(["watch", "cli", "--explain", "x/y"]).ok().stdout_has("a change of x/y restarts it");
}

#[test]
fn files_that_must_be_polled_are_and_what_is_wrong_is_told() {
    let baton = Baton::new();
    let options = json!({"watch_options": {"usePolling": true, "interval": 20, "awaitWriteFinish": true}});
    watched(&baton, options);
    baton.file("a.js", "changed");
    restarted(&baton, 1);
    baton
        .run(["restart", "ecosystem.config.json"])
        .ok()
        .stderr_has("`awaitWriteFinish` of watch_options has no effect");
    let wrong =
        json!({"name": "w", "script": testapp(), "watch": ["nowhere"], "watch_options": {"usePolling": "often"}});
    baton.file("wrong.json", json!([wrong]).to_string());
    baton.run(["start", "wrong.json"]).code(1).says("`usePolling` is true or false");
    let missing = json!({"name": "m", "script": testapp(), "args": "wait", "watch": ["nowhere"]});
    baton.file("missing.json", json!([missing]).to_string());
    baton.run(["start", "missing.json"]).ok().stderr_has("the watched path nowhere does not exist");
}

#[test]
fn a_successor_of_the_daemon_goes_on_watching() {
    let baton = Baton::new();
    watched(&baton, json!({}));
    let daemon = baton.daemon();
    crate::harness::kill(daemon);
    drop(baton.connect_to_successor(daemon));
    watching_again(&baton, 2);
    baton.file("a.js", "");
    restarted(&baton, 1);
}
