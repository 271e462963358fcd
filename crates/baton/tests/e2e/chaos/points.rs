//! The daemon dies, or panics, at each of its effects in turn.

use super::runs;
use crate::harness::{Baton, testapp};
use crate::load::{Connections, Load, free_port};
use crate::programs::node;
use baton_core::world::{InstanceView, Status};
use serde_json::json;
use std::process::Stdio;

/// How often is looked whether a reload is over; each look asks the daemon for its list.
const LOOKS: usize = 500;

/// What happens at the k-th effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Panics,
}

/// A home whose daemon fails at its k-th effect.
struct Faulty {
    baton: Baton,
    fault: Fault,
    k: usize,
}

impl Faulty {
    fn new(fault: Fault, k: usize) -> Faulty {
        let baton = Baton::new();
        let mark = baton.dir().join("fired");
        let mut baton =
            baton.env("BATON_ABORT_AT_EFFECT", k.to_string()).env("BATON_ABORT_MARK", mark.to_str().expect("a path"));
        if fault == Fault::Panics {
            baton = baton.env("BATON_ABORT_BY", "panic");
        }
        Faulty { baton, fault, k }
    }

    fn fired(&self) -> bool {
        self.baton.dir().join("fired").exists()
    }

    /// Runs a command; whether it was acknowledged.
    fn acknowledged(&self, args: &[&str]) -> bool {
        self.baton.command(args).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs").success()
    }

    fn start(&self, name: &str) -> bool {
        self.acknowledged(&["start", testapp().to_str().expect("a path"), "--name", name, "--", "wait"])
    }

    /// The list once nothing is under way, in which every process of the home stands.
    fn settled(&self) -> Vec<InstanceView> {
        let rest = [Status::Online, Status::Stopped, Status::Errored];
        let look = || {
            let list = self.baton.wait_for("rest", |list| {
                let online = |view: &InstanceView| view.status == Status::Online;
                list.iter().all(|view| rest.contains(&view.status) && online(view) == view.pid.is_some())
            });
            let mut known: Vec<u32> = list.iter().filter_map(|view| view.pid).collect();
            known.sort_unstable();
            (list, known)
        };
        // A reload that goes on has lives beside those in the list, which take a slot or end; an orphan would stay.
        let (mut list, mut known) = look();
        for _ in 0..LOOKS {
            if programs(&self.baton) == known {
                break;
            }
            self.baton.jlist();
            (list, known) = look();
        }
        assert_eq!(programs(&self.baton), known, "{self}: processes, and what the list knows");
        if self.fault == Fault::Panics && self.fired() {
            let log = std::fs::read_to_string(self.baton.home().join("pm2.log")).expect("a log");
            for text in ["a test wants this effect to fail", "an error of baton: the effect `"] {
                assert!(log.contains(text), "{self}: the log does not tell {text:?}: {log}");
            }
        }
        list
    }
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {}", self.fault, self.k)
    }
}

/// The processes that were started from a home, whatever they run.
fn programs(baton: &Baton) -> Vec<u32> {
    let home = format!("PM2_HOME={}", baton.home().display());
    let of_home = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())
    };
    let all = std::fs::read_dir("/proc").expect("proc").flatten();
    let mut pids: Vec<u32> = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of_home).collect();
    pids.sort_unstable();
    pids
}

fn named<'a>(list: &'a [InstanceView], name: &str) -> Vec<&'a InstanceView> {
    list.iter().filter(|view| view.name == name).collect()
}

/// Runs a scenario at every k, or in the short form at every `stride`-th, until there is no such effect.
fn at_every_effect(fault: Fault, stride: usize, effects: usize, scenario: impl Fn(&Faulty)) {
    let mut k = runs(stride.div_ceil(2), 1);
    loop {
        let faulty = Faulty::new(fault, k);
        scenario(&faulty);
        if !faulty.fired() {
            break;
        }
        k += runs(stride, 1);
    }
    assert!(k > effects, "the scenario has only {k} effects: the fault was not injected");
}

/// Three starts, a stop, a restart, a delete and a save, and an app that nobody touches.
fn verbs(faulty: &Faulty) {
    let kept = faulty.start("kept").then(|| faulty.baton.pid("kept"));
    let [a, b, c] = ["a", "b", "c"].map(|name| faulty.start(name));
    let stopped = faulty.acknowledged(&["stop", "a"]);
    let restarted = faulty.acknowledged(&["restart", "b"]);
    let deleted = faulty.acknowledged(&["delete", "c"]);
    let saved = faulty.acknowledged(&["save"]);
    let list = faulty.settled();
    let of = |name: &str| {
        let found = named(&list, name);
        assert!(found.len() <= 1, "{faulty}: {name} is there twice");
        found.first().map(|view| view.status)
    };
    if let Some(pid) = kept {
        let view = named(&list, "kept")[0];
        assert_eq!((view.pid, view.restarts), (Some(pid), 0), "{faulty}: an app that nobody touched");
    }
    if a && !stopped {
        assert!(matches!(of("a"), Some(Status::Online | Status::Stopped)), "{faulty}: {:?}", of("a"));
    }
    if a && stopped {
        assert_eq!(of("a"), Some(Status::Stopped), "{faulty}");
    }
    if b || restarted {
        assert_eq!(of("b"), Some(Status::Online), "{faulty}");
    }
    if c && !deleted {
        assert!(matches!(of("c"), Some(Status::Online) | None), "{faulty}: {:?}", of("c"));
    }
    if deleted {
        assert_eq!(of("c"), None, "{faulty}");
    }
    if saved {
        let dump = std::fs::read(faulty.baton.home().join("dump.pm2")).expect("a dump");
        let dump: Vec<serde_json::Value> = serde_json::from_slice(&dump).expect("whole");
        let names: Vec<&str> = dump.iter().filter_map(|app| app["name"].as_str()).collect();
        let listed: Vec<&str> = list.iter().map(|view| &*view.name).collect();
        assert_eq!(names, listed, "{faulty}: what was saved");
    }
}

/// The promise: whatever was acknowledged holds, nothing runs twice and nothing is orphaned.
#[test]
fn whatever_was_acknowledged_holds_wherever_the_daemon_is_killed() {
    at_every_effect(Fault::Killed, 11, 40, verbs);
}

#[test]
fn whatever_was_acknowledged_holds_whichever_effect_panics() {
    at_every_effect(Fault::Panics, 11, 40, verbs);
}

/// Answers with its version, its pid and the path.
const SERVER: &str = "require('http').createServer((request, response) => {
    const body = `1 ${process.pid} ${request.url}`;
    response.setHeader('content-length', body.length);
    response.end(body);
}).listen(+process.env.AT, '127.0.0.1', () => process.send('ready'));
";

/// A cluster and a server on sockets of its own are reloaded under load, then a directory is synced twice.
fn rollouts(faulty: &Faulty) {
    let baton = &faulty.baton;
    let ports = [free_port(), free_port()];
    baton.file("server.js", SERVER);
    let apps = json!([
        {"name": "web", "script": testapp(), "args": ["readyfd:up", "serve:1"], "listen": format!("127.0.0.1:{}", ports[0]),
            "ready": "fd", "kill_timeout": "20s", "min_uptime": 50},
        {"name": "turns", "script": "server.js", "instances": 2, "exec_mode": "cluster", "wait_ready": true,
            "env": {"AT": ports[1].to_string()}, "kill_timeout": "20s", "min_uptime": 50},
    ]);
    baton.file("ecosystem.config.json", apps.to_string());
    let started = faulty.acknowledged(&["start", "ecosystem.config.json", "--wait=1m"]);
    if !started {
        // The daemon died meanwhile: the same again is nothing new for those that run, and begins the others.
        baton.run(["startOrReload", "ecosystem.config.json"]).ok();
    }
    baton.wait_for("all to be up", |list| list.len() == 3 && list.iter().all(|view| view.status == Status::Online));
    let loads = ports.map(|port| Load::on(port, 1, Connections::Short));
    loads.iter().for_each(|load| load.wait_more(1));
    let before = baton.jlist();
    let reloaded = ["web", "turns"].map(|name| faulty.acknowledged(&["reload", name]));
    let mut synced = [false; 2];
    for (count, synced) in synced.iter_mut().enumerate() {
        let app = json!({"name": format!("s{count}"), "script": testapp(), "args": "wait", "min_uptime": 50});
        let other = json!({"name": "both", "script": testapp(), "args": "wait", "min_uptime": 50, "env": {"N": count}});
        baton.file("apps/apps.config.json", json!({"apps": [app, other]}).to_string());
        *synced = faulty.acknowledged(&["sync", "apps", "--prune"]);
    }
    loads.iter().for_each(|load| load.wait_more(5));
    let list = faulty.settled();
    let [web, turns] = loads.map(Load::end);
    assert!(web.failed.is_empty(), "{faulty}: {:?}", web.failed);
    let daemons = usize::from(faulty.fired());
    assert!(turns.failed.len() <= daemons, "{faulty}: {:?}", turns.failed);
    for (name, count) in [("web", 1), ("turns", 2), ("both", usize::from(synced[1]))] {
        let found = named(&list, name);
        assert!(found.len() == count || (name == "both" && !synced[1]), "{faulty}: {name}: {found:?}");
        assert!(found.iter().all(|view| view.status == Status::Online), "{faulty}: {name}: {found:?}");
    }
    for (name, reloaded) in ["web", "turns"].iter().zip(reloaded) {
        let old = before.iter().filter(|entry| entry["name"] == *name).filter_map(|entry| entry["pid"].as_u64());
        let stays = old.filter(|pid| list.iter().any(|view| view.pid.map(u64::from) == Some(*pid))).count();
        assert!(!reloaded || stays == 0, "{faulty}: {name} was reloaded, and {stays} of its processes are old");
    }
    if synced[1] {
        assert_eq!((named(&list, "s0").len(), named(&list, "s1").len()), (0, 1), "{faulty}: what the directory says");
    }
}

#[test]
fn reloads_and_syncs_under_load_survive_whatever_befalls_the_daemon() {
    if !node() {
        return;
    }
    for fault in [Fault::Killed, Fault::Panics] {
        at_every_effect(fault, 80, 60, rollouts);
    }
}
