//! What an app may use of the machine.

use crate::harness::{Baton, testapp};
use baton_core::world::Status;
use serde_json::json;

#[test]
fn an_app_has_its_niceness_and_limits_and_a_change_of_them_is_a_new_process() {
    let baton = Baton::new();
    let script = "nice; ulimit -n; ulimit -c; cat /proc/self/oom_score_adj; echo end; exec sleep 1000";
    let config = |nofile: u32| {
        let limits = json!({"nofile": {"soft": nofile, "hard": 99}, "CORE": 0});
        json!([{"name": "n", "script": script, "nice": 5, "rlimits": limits, "oom_score_adj": 500}]).to_string()
    };
    baton.file("ecosystem.config.json", config(77));
    baton.run(["start", "ecosystem.config.json"]).ok();
    assert_eq!(baton.wait_log("n-out.log", "end\n"), "5\n77\n0\n500\nend\n");
    let pid = baton.pid("n");
    baton.file("ecosystem.config.json", config(78));
    baton.run(["plan", "ecosystem.config.json"]).stdout_has("rlimits");
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_log("n-out.log", "5\n78\n0\n500\nend\n");
    assert_ne!(baton.pid("n"), pid);
}

#[test]
fn an_app_whose_limits_cannot_be_set_does_not_start_and_the_others_do() {
    let baton = Baton::new();
    let config = json!([
        {"name": "bad", "script": testapp(), "args": "wait", "rlimits": {"nofile": {"hard": 1_u64 << 40}}},
        {"name": "good", "script": testapp(), "args": "wait"},
    ]);
    baton.file("ecosystem.config.json", config.to_string());
    baton
        .run(["start", "ecosystem.config.json"])
        .code(1)
        .stderr_has("cannot set the limit nofile to 1099511627776 (hard)");
    baton.wait_status("bad", Status::Errored);
    baton.wait_status("good", Status::Online);
    baton.run(["why", "bad"]).stdout_has("operation not permitted");
    baton.file("wrong.json", json!([{"script": testapp(), "rlimits": {"files": 3}}]).to_string());
    baton.run(["start", "wrong.json"]).code(1).stderr_has("there is no limit `files`").stderr_has("nofile");
}
