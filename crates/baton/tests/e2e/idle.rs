//! Nobody is woken for nothing: what baton's own processes do while a hundred apps are watched, have times and limits,
//! and nothing is due. Counted is how often one of their threads went to sleep, for each time something has woken it
//! before; a second home, with an app that is restarted each second, tells that time goes by.

use crate::harness::{Baton, Watch};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::time::Instant;

const APPS: usize = 100;
/// One look at the memory of apps with a limit: the loop, the thread that looks, and the loop again for what was found.
/// Four were counted; the others are for locks that two want.
const NAPS_A_LOOK: u64 = 6;

/// A hundred apps, each in a folder of its own, once they are left alone.
fn hundred(baton: &Baton, keys: &Value) {
    let app = |number: usize| {
        let folder = baton.dir().join(format!("app{number}"));
        std::fs::create_dir(&folder).expect("folder");
        let mut app = json!({"name": format!("app{number}"), "script": "/bin/sleep", "args": "1000000",
                             "interpreter": "none", "cwd": folder, "min_uptime": 0});
        app.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
        app
    };
    let file = json!({"apps": (0..APPS).map(app).collect::<Vec<Value>>()});
    baton.file("ecosystem.config.json", file.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_for("all to be online", |list| {
        list.len() == APPS && list.iter().all(|view| view.status == Status::Online)
    });
}

/// The guard, the daemon and the process that forks apps.
fn processes(baton: &Baton) -> Vec<u32> {
    let (guard, daemon) = (baton.guard(), baton.daemon());
    let apps: Vec<u64> = baton.jlist().iter().filter_map(|entry| entry["pid"].as_u64()).collect();
    let own = children(daemon).into_iter().filter(|pid| !apps.contains(&u64::from(*pid)));
    [guard, daemon].into_iter().chain(own).collect()
}

fn threads(pid: u32) -> Vec<std::path::PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    tasks.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let lists = threads(pid).into_iter().filter_map(|thread| std::fs::read_to_string(thread.join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect::<Vec<u32>>())
        .collect()
}

/// How often their threads went to sleep so far.
fn naps(processes: &[u32]) -> u64 {
    let of = |thread: std::path::PathBuf| -> u64 {
        // A thread that has ended meanwhile counts no more.
        let status = std::fs::read_to_string(thread.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |count| count.trim().parse().expect("a number"))
    };
    processes.iter().flat_map(|pid| threads(*pid)).map(of).sum()
}

/// Seconds, told by the restarts of an app of another daemon.
struct Seconds {
    baton: Baton,
    seen: u32,
}

impl Seconds {
    fn begin() -> Seconds {
        let baton = Baton::new();
        let app = json!([{"name": "tick", "script": "/bin/sleep", "args": "1000000", "interpreter": "none",
                          "cron_restart": "* * * * * *", "min_uptime": 0}]);
        baton.file("ecosystem.config.json", app.to_string());
        baton.run(["start", "ecosystem.config.json"]).ok();
        let mut seconds = Seconds { baton, seen: 0 };
        seconds.pass(1);
        seconds
    }

    /// Waits for so many of them.
    fn pass(&mut self, count: u32) {
        let until = self.seen + count;
        let list = self.baton.wait_for("a second", |list| list.iter().any(|view| view.restarts >= until));
        self.seen = list[0].restarts;
    }
}

#[test]
fn a_hundred_apps_with_files_and_times_wake_nobody_while_nothing_is_due() {
    let baton = Baton::new();
    let keys = json!({"watch": true, "cron_restart": "0 0 1 1 *", "nice": 1, "rlimits": {"core": 0}});
    hundred(&baton, &keys);
    let watch = Watch::on(baton.home());
    while baton.wait_file(&baton.home().join("pm2.log"), "").matches("Start watching app").count() < APPS {
        watch.wait("all to be watched");
    }
    let own = processes(&baton);
    assert!(own.len() >= 2);
    let mut seconds = Seconds::begin();
    // What the start has left to do may be done first.
    let mut before = naps(&own);
    let mut quiet = 0;
    for _ in 0..30 {
        seconds.pass(1);
        let now = naps(&own);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
        if quiet == 4 {
            break;
        }
    }
    assert_eq!(quiet, 4, "seconds in a row without any wake-up");
    // The count does count, once whoever answers has gone to sleep again; and what was waited for does come.
    let counts = (0..100).any(|_| {
        baton.run(["ping"]).ok();
        naps(&own) > before
    });
    assert!(counts);
    baton.file("app50/main.js", "changed");
    baton.wait_for("the change", |list| {
        list.iter().any(|view| view.name == "app50" && view.restarts == 1 && view.status == Status::Online)
    });
    let others = baton.jlist().iter().filter(|entry| entry["pm2_env"]["restart_time"] != 0).count();
    assert_eq!(others, 1, "nothing else has changed");
}

#[test]
fn limits_of_memory_cost_one_look_a_second_however_many_apps_have_one() {
    let baton = Baton::new();
    hundred(&baton, &json!({"max_memory_restart": "1G"}));
    let own = processes(&baton);
    let mut seconds = Seconds::begin();
    let mut counts = Vec::new();
    for _ in 0..10 {
        let (before, begin) = (naps(&own), Instant::now());
        seconds.pass(3);
        let (count, looks) = (naps(&own) - before, begin.elapsed().as_secs() + 1);
        counts.push((count, looks));
        if (1..=looks * NAPS_A_LOOK).contains(&count) {
            return;
        }
    }
    panic!("wake-ups and looks that these seconds had room for: {counts:?}");
}
