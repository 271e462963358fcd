//! No process of a tree survives, however it is made and whatever ends the app.

use super::{of_home, runs};
use crate::harness::{Baton, kill, testapp};
use baton_core::world::Status;
use serde_json::json;
use std::collections::BTreeSet;

/// What makes trouble, each as the actions of the helper program; the leader waits beside them.
const TREES: &[(&str, &[&str])] = &[
    ("deaf", &["child:ignore:INT,TERM+out:deep+wait"]),
    ("sessions", &["session:ignore:INT,TERM+out:deep+wait"]),
    ("orphans", &["orphan:ignore:INT,TERM+out:deep+wait"]),
    ("relay", &["session:out:deep+relay:100000"]),
    ("family", &["child:orphan:out:deep+wait", "child:session:ignore:TERM+wait+child:wait", "orphan:relay:100000"]),
];

#[derive(Clone, Copy, Debug)]
enum End {
    Stop,
    Delete,
    Restart,
    Crash,
}

#[test]
fn nothing_of_a_tree_outlives_its_app() {
    for _ in 0..runs(1, 25) {
        for (name, actions) in TREES {
            for end in [End::Stop, End::Delete, End::Restart, End::Crash] {
                goes(name, actions, end);
            }
        }
    }
}

fn goes(name: &str, actions: &[&str], end: End) {
    let baton = Baton::new();
    let args: Vec<&str> = actions.iter().copied().chain(["out:leads", "wait"]).collect();
    // The second life has no tree: whatever is found then is of the first.
    let app = testapp();
    baton.file("run.sh", format!("[ -e first ] && exec {0} wait; touch first; exec {0} \"$@\"\n", app.display()));
    let app = json!([{"name": "a", "script": "run.sh", "kill_timeout": 300, "min_uptime": 50, "args": args}]);
    baton.file("ecosystem.config.json", app.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_log("a-out.log", "deep");
    baton.wait_log("a-out.log", "leads");
    let leader = baton.pid("a");
    match end {
        End::Stop => drop(baton.run(["stop", "a"]).ok()),
        End::Delete => drop(baton.run(["delete", "a"]).ok()),
        End::Restart => drop(baton.run(["restart", "a"]).ok()),
        End::Crash => {
            kill(leader);
            baton.wait_for("a new life", |list| {
                list.iter().any(|view| view.status == Status::Online && view.pid.is_some_and(|pid| pid != leader))
            });
        }
    }
    let known: BTreeSet<u32> = baton.jlist().iter().filter_map(|app| app["pid"].as_u64()?.try_into().ok()).collect();
    let left: Vec<u32> = of_home(&baton).into_iter().filter(|pid| !known.contains(pid)).collect();
    assert!(left.is_empty(), "{name}, {end:?}: {left:?} are left, {known:?} are known");
}
