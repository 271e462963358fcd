//! Restarts that nobody asks for: by the clock, and for memory.

use crate::harness::{Baton, Watch, ended, testapp};
use baton_core::world::Status;
use serde_json::json;

fn start(baton: &Baton, more: serde_json::Value) {
    let mut app = json!({"name": "web", "script": testapp(), "args": "wait", "min_uptime": 0});
    app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    baton.file("ecosystem.config.json", json!({ "apps": [app] }).to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
}

#[test]
fn an_app_starts_again_at_its_times_and_stays_down_when_it_was_stopped() {
    let baton = Baton::new();
    start(&baton, json!({"cron_restart": "* * * * * *"}));
    baton.wait_for("two restarts", |list| list.iter().any(|view| view.restarts >= 2));
    baton.run(["describe", "web"]).ok().stdout_has("it was time: * * * * * *").stdout_has("cron restart");
    assert_eq!(baton.entry("web")["pm2_env"]["cron_restart"], "* * * * * *");
    baton.run(["stop", "web"]).ok();
    let app = testapp();
    let args = ["start", app.to_str().expect("path"), "--name", "job", "--no-autorestart", "--cron", "* * * * * *"];
    baton.run(args.into_iter().chain(["--", "out:ran"])).ok();
    // A job runs at each of its times; what was stopped stays so meanwhile.
    let runs = |baton: &Baton| {
        let log = std::fs::read_to_string(baton.home().join("logs/job-out.log")).unwrap_or_default();
        log.matches("ran").count()
    };
    let watch = Watch::on(&baton.home().join("logs"));
    while runs(&baton) < 3 {
        watch.wait("three runs");
    }
    baton.wait_status("web", Status::Stopped);
    // `0` is PM2's word for never.
    baton.run(["start", "web", "--cron-restart", "0"]).ok();
    assert_eq!(baton.entry("web")["pm2_env"]["cron_restart"], "0");
    baton.run(["start", "ecosystem.config.json", "--cron-restart", "61 * * * *"]).code(1).says("not a cron pattern");
    baton.run(["start", "ecosystem.config.json", "--cron-restart", "CRON_TZ=Nowhere 0 0 * * *"]).code(1);
}

#[test]
fn a_tree_that_uses_too_much_memory_is_restarted_with_the_figures_as_the_cause() {
    let baton = Baton::new();
    let app = testapp();
    let limit = ["--name", "hog", "--max-memory-restart", "60M", "--kill-timeout", "3000"];
    // It is a child that uses it.
    let hog = ["start", app.to_str().expect("path")].into_iter().chain(limit);
    baton.run(hog.chain(["--", "child:memory:150+wait", "wait"])).ok();
    let pid = baton.pid("hog");
    baton.wait_for("a restart", |list| list.iter().any(|view| view.restarts >= 1));
    ended(pid);
    baton.run(["describe", "hog"]).ok().stdout_has("MB of memory, more than 60 MB").stdout_has("max memory restart");
    assert_eq!(baton.entry("hog")["pm2_env"]["max_memory_restart"], 60 << 20);
}
