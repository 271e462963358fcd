//! What apps promise each other by `depends_on`.

use crate::harness::{Baton, alive, testapp};
use baton_core::world::Status;
use serde_json::{Value, json};

/// A process file with these apps: name, actions, and more keys.
fn file(baton: &Baton, apps: &[(&str, &str, Value)]) {
    let apps: Vec<Value> = apps
        .iter()
        .map(|(name, actions, more)| {
            let mut app = json!({"name": name, "script": testapp(), "args": actions, "min_uptime": 0});
            let own = more.as_object().expect("a map").clone();
            app.as_object_mut().expect("a map").extend(own);
            app
        })
        .collect();
    baton.file("ecosystem.config.json", json!({ "apps": apps }).to_string());
}

fn status(baton: &Baton, name: &str) -> String {
    baton.entry(name)["pm2_env"]["status"].as_str().expect("a status").to_owned()
}

#[test]
fn a_migration_runs_to_its_end_before_the_server_starts() {
    let baton = Baton::new();
    // The server ends at once if the migration has not left its mark.
    let mark = baton.dir().join("migrated");
    let server = format!("once:{}:exit:9 out:up wait", mark.display());
    let migration = format!("touch:{} out:done exit:0", mark.display());
    file(
        &baton,
        &[
            ("server", &server, json!({"depends_on": {"migrate": "exited", "db": "ready"}, "autorestart": false})),
            ("migrate", &migration, json!({"oneshot": true, "depends_on": "db"})),
            ("db", "out:db wait", json!({})),
        ],
    );
    baton.run(["start", "ecosystem.config.json"]).ok();
    assert_eq!(["db", "migrate", "server"].map(|name| status(&baton, name)), ["online", "stopped", "online"]);
    baton.run(["describe", "server"]).ok().stdout_has("migrate (exited), db (ready)");

    // A dependency that is restarted or stopped leaves those that run alone.
    let pid = baton.pid("server");
    baton.run(["restart", "db"]).ok();
    baton.run(["stop", "db"]).ok();
    assert!(alive(pid));
    // Whatever is started brings up what it needs; what has done its work is not done again.
    baton.run(["restart", "server"]).ok();
    assert_eq!(["db", "server"].map(|name| status(&baton, name)), ["online", "online"]);
    assert_eq!(baton.wait_log("migrate-out.log", "done").matches("done").count(), 1);
}

#[test]
fn a_failed_migration_keeps_the_server_down_and_says_why() {
    let baton = Baton::new();
    file(
        &baton,
        &[
            ("server", "wait", json!({"depends_on": {"migrate": "exited"}})),
            ("proxy", "wait", json!({"depends_on": ["server"]})),
            ("migrate", "exit:3", json!({"oneshot": true})),
        ],
    );
    let run = baton.run(["start", "ecosystem.config.json"]).code(1);
    let run = run.says("needs migrate, which failed: the process exited with code 3");
    assert!(run.stderr.contains("[server]") && run.stderr.contains("[proxy]"), "{run}");
    assert_eq!(["server", "proxy", "migrate"].map(|name| status(&baton, name)), ["errored"; 3]);
    baton.run(["describe", "proxy"]).ok().stdout_has("needs migrate, which failed");
}

#[test]
fn what_is_waited_for_too_long_is_told_and_meanwhile_it_is_launching() {
    let baton = Baton::new();
    let slow = json!({"min_uptime": "10m"});
    let depends = json!({"depends_on": {"slow": {"condition": "ready", "timeout": "3s"}}});
    file(&baton, &[("server", "wait", depends), ("slow", "wait", slow)]);
    std::thread::scope(|scope| {
        let start = scope.spawn(|| baton.run(["start", "ecosystem.config.json"]));
        baton.wait_status("server", Status::Launching);
        baton.run(["describe", "server"]).ok().stdout_has("waits for");
        assert_eq!(status(&baton, "server"), "launching");
        start.join().expect("start").code(1).says("needs slow, which was not ready within 3000 ms");
    });
    assert_eq!(status(&baton, "server"), "errored");
}

#[test]
fn circles_and_unknown_names_are_errors_and_nothing_starts() {
    let baton = Baton::new();
    let on = |name: &str| json!({ "depends_on": name });
    file(&baton, &[("a", "wait", on("b")), ("b", "wait", on("c")), ("c", "wait", on("a")), ("d", "wait", json!({}))]);
    baton.run(["start", "ecosystem.config.json"]).code(1).stderr_has("a → b → c → a");
    assert_eq!(baton.jlist().len(), 0);
    file(&baton, &[("a", "wait", on("nobody")), ("d", "wait", json!({}))]);
    baton.run(["start", "ecosystem.config.json"]).code(1).stderr_has("`a` depends on `nobody`");
    assert_eq!(baton.jlist().len(), 0);
    file(&baton, &[("a", "wait", json!({"depends_on": {"d": "healthy"}})), ("d", "wait", json!({}))]);
    baton
        .run(["start", "ecosystem.config.json"])
        .code(1)
        .stderr_has("`a` waits for `d` to be healthy, and that has no `health`");
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn dependents_end_before_what_they_need_is_signalled() {
    let baton = Baton::new();
    // The server ignores its signal: it ends only by SIGKILL, and the database must live until then.
    file(
        &baton,
        &[
            ("db", "wait", json!({"namespace": "back"})),
            ("server", "ignore:INT out:deaf wait", json!({"depends_on": "back", "kill_timeout": 700})),
        ],
    );
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_log("server-out.log", "deaf");
    let (db, server) = (baton.pid("db"), baton.pid("server"));
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| baton.run(["stop", "all"]));
        crate::harness::ended(server);
        stop.join().expect("stop").ok();
    });
    assert!(!alive(db));
    let listing = baton.wait_for("everything to be stopped", |list| list.iter().all(|v| v.status == Status::Stopped));
    let stopped =
        |name: &str| listing.iter().find(|v| v.name == name).and_then(|v| v.last.clone()).expect("a cause").at;
    assert!(stopped("server").0 >= 1 && stopped("db") >= stopped("server"), "{listing:?}");
}
