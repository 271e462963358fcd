//! Much at once.

use super::runs;
use crate::harness::{Baton, testapp};
use baton_core::world::{InstanceView, Status};
use serde_json::json;

#[test]
fn others_are_answered_and_restarted_while_many_refuse_to_end() {
    let baton = Baton::new();
    let deaf = runs(20, 50);
    let apps = json!([
        {"name": "deaf", "script": testapp(), "args": ["ignore:INT,TERM", "out:deaf", "wait"], "instances": deaf,
            "merge_logs": true, "kill_timeout": "1h"},
        {"name": "crash", "script": "/bin/sh", "args": ["-c", "sleep 0.05; exit 1"], "instances": 4, "max_restarts": 1_000_000},
    ]);
    baton.file("ecosystem.config.json", apps.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    while baton.wait_log("deaf-out.log", "deaf").lines().count() < deaf {}
    let mut stop = baton.command(["stop", "deaf"]).stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let stopping = |list: &[InstanceView]| list.iter().filter(|view| view.status == Status::Stopping).count();
    let restarts = |list: &[InstanceView]| -> u32 {
        list.iter().filter(|view| view.name == "crash").map(|view| view.restarts).sum()
    };
    let list = baton.wait_for("all to be asked to end", |list| stopping(list) == deaf);
    let before = restarts(&list);
    let list = baton.wait_for("restarts meanwhile", |list| restarts(list) >= before + 40);
    assert_eq!(stopping(&list), deaf, "none of them gave in");
    baton.run(["ls"]).ok().stdout_has("stopping");
    baton.run(["start", testapp().to_str().expect("a path"), "--name", "more", "--", "wait"]).ok();
    baton.run(["delete", "crash"]).ok();
    // A second stop does not wait for the hour either: what refuses is killed by hand, and that counts.
    for pid in baton.jlist().iter().filter(|app| app["name"] == "deaf").filter_map(|app| app["pid"].as_u64()) {
        crate::harness::kill(u32::try_from(pid).expect("a pid"));
    }
    assert!(stop.wait().expect("it ends").success());
    assert!(baton.jlist().iter().filter(|app| app["name"] == "deaf").all(|app| app["pm2_env"]["status"] == "stopped"));
}
