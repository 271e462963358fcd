//! What `reload`, `scale` and `--parallel` promise.

use crate::harness::{Baton, alive, testapp};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn file(baton: &Baton, name: &str, instances: u32, actions: &str) {
    let app = json!({"name": name, "script": testapp(), "args": actions, "instances": instances, "min_uptime": 300});
    baton.file("ecosystem.config.json", json!({ "apps": [app] }).to_string());
}

/// The members of the list that tell who runs.
fn slots(baton: &Baton) -> Vec<(u64, u64, u64)> {
    let number = |value: &Value| value.as_u64().expect("a number");
    let slot = |entry: &Value| {
        (number(&entry["pm_id"]), number(&entry["pid"]), number(&entry["pm2_env"]["NODE_APP_INSTANCE"]))
    };
    baton.jlist().iter().map(slot).collect()
}

#[test]
fn scale_adds_and_takes_away_instances_and_leaves_the_others_alone() {
    let baton = Baton::new();
    file(&baton, "web", 2, "wait");
    baton.run(["start", "ecosystem.config.json"]).ok();
    let first = slots(&baton);
    baton.run(["scale", "web", "+2"]).ok().stdout_has("Scaling up application");
    let four = slots(&baton);
    assert_eq!((four.len(), &four[..2]), (4, &first[..]));
    // PM2 takes the lowest numbers of the list away; the instance numbers that are free are given again.
    baton.run(["scale", "web", "3"]).ok();
    assert_eq!(slots(&baton), four[1..]);
    assert!(!alive(u32::try_from(first[0].1).expect("a pid")));
    baton.run(["scale", "web", "-1"]).ok();
    baton.run(["scale", "web", "+1"]).ok();
    let numbers: BTreeSet<u64> = slots(&baton).iter().map(|slot| slot.2).collect();
    assert_eq!(numbers, BTreeSet::from([0, 2, 3]));
    baton.run(["scale", "web", "3"]).code(1).says("Nothing to do");
    baton.run(["scale", "nothing", "3"]).code(1).says("Application nothing not found");
    baton.run(["scale", "web", "many"]).code(1).says("not a number of instances");
    assert_eq!(slots(&baton).len(), 3);
}

#[test]
fn an_app_that_cannot_run_twice_is_restarted_and_reload_says_so() {
    let baton = Baton::new();
    file(&baton, "web", 2, "out:up wait");
    baton.run(["start", "ecosystem.config.json"]).ok();
    let before = slots(&baton);
    baton.run(["reload", "web"]).ok().stdout_has("reloadProcessId").says("was restarted, not reloaded");
    let after = slots(&baton);
    assert!(before.iter().zip(&after).all(|(old, new)| old.0 == new.0 && old.1 != new.1), "{before:?} {after:?}");
    // One that is down is started, as under PM2.
    baton.run(["stop", "web"]).ok();
    baton.run(["reload", "all"]).ok();
    baton.wait_status("web", Status::Online);
    baton.run(["startOrReload", "ecosystem.config.json"]).ok();
    baton.run(["reload", "nothing"]).code(1);
}

#[test]
fn an_instance_that_fails_leaves_the_old_version_in_the_others() {
    let baton = Baton::new();
    let broken = baton.dir().join("broken");
    file(&baton, "web", 3, &format!("once:{}:exit:7 wait", broken.display()));
    std::fs::write(&broken, "").expect("the mark");
    // The action behind `once` is done where the mark is missing.
    baton.run(["start", "ecosystem.config.json"]).ok();
    let before = slots(&baton);
    std::fs::remove_file(&broken).expect("the mark goes");
    baton.run(["restart", "web", "--parallel", "1"]).code(1).says("code 7").says("was left as it is");
    let after = slots(&baton);
    assert_eq!(after[1..], before[1..], "the others were not touched");
}
