//! The daemon and its guard die, again and again, under load.

use super::runs;
use crate::harness::{Baton, kill, testapp};
use crate::load::{Connections, Load, Seen, free_port};
use crate::programs::node;
use crate::survival::spam_is_whole;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Answers with its version, its pid and the path.
const NODE: &str = "require('http').createServer((request, response) => {
    const body = `1 ${process.pid} ${request.url}`;
    response.setHeader('content-length', body.length);
    response.end(body);
}).listen(+process.env.AT, '127.0.0.1', () => console.log('listens'));
";

/// The same.
const PYTHON: &str = "
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        body = f'1 {os.getpid()} {self.path}'.encode()
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

server = Server(('127.0.0.1', int(os.environ['AT'])), Handler)
print('listens', flush=True)
server.serve_forever()
";

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, signal).expect("it lives");
}

/// How the manager comes to harm.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// The daemon is ended by this signal.
    Daemon(Signal),
    /// The guard is killed.
    Guard,
    /// The guard is killed, and the daemon as soon as there is another guard.
    GuardThenDaemon,
    /// The daemon stands still for a while.
    Pause,
}

impl Harm {
    const ALL: [Harm; 5] =
        [Harm::Daemon(Signal::KILL), Harm::Guard, Harm::Daemon(Signal::ABORT), Harm::Pause, Harm::GuardThenDaemon];

    /// Does it, and waits until a daemon answers again; how many daemons were killed.
    fn befall(self, baton: &Baton, meanwhile: impl Fn()) -> u64 {
        let daemon = baton.daemon();
        match self {
            Harm::Daemon(signal) => {
                send(daemon, signal);
                baton.connect_to_successor(daemon);
                1
            }
            Harm::Guard => {
                kill(baton.guard());
                baton.connect_to_successor(daemon);
                1
            }
            Harm::GuardThenDaemon => {
                kill(baton.guard());
                baton.connect_to_successor(daemon);
                1 + Harm::Daemon(Signal::KILL).befall(baton, meanwhile)
            }
            Harm::Pause => {
                send(daemon, Signal::STOP);
                meanwhile();
                send(daemon, Signal::CONT);
                assert_eq!(baton.daemon(), daemon);
                0
            }
        }
    }
}

/// What a list says of an app that must not change.
fn facts(list: &[Value]) -> Vec<Value> {
    let of = |entry: &Value| {
        let env = &entry["pm2_env"];
        json!([
            entry["name"],
            entry["pm_id"],
            entry["pid"],
            env["status"],
            env["restart_time"],
            env["pm_uptime"],
            env["unique_id"]
        ])
    };
    list.iter().map(of).collect()
}

/// Apps of every kind, each under load, and one that prints as fast as it can.
pub(super) struct Stage {
    pub(super) baton: Baton,
    loads: [Load; 4],
    lines: u64,
    before: Vec<Value>,
}

impl Stage {
    pub(super) fn set(lines: u64) -> Stage {
        let baton = Baton::new();
        baton.file("server.js", NODE);
        baton.file("server.py", PYTHON);
        baton.file("loop.sh", "while :; do echo tick; sleep 0.1; done\n");
        let ports = [free_port(), free_port(), free_port(), free_port()];
        let server = |name: &str, script: &str, port: u16, more: Value| {
            let mut app = json!({"name": name, "script": script, "min_uptime": 50, "env": {"AT": port.to_string()}});
            app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            app
        };
        let apps = json!([
            server("node", "server.js", ports[0], json!({})),
            server("python", "server.py", ports[1], json!({"interpreter": "python3"})),
            server("shared", "server.js", ports[2], json!({"instances": 2, "balance": "shared", "merge_logs": true})),
            server("turns", "server.js", ports[3], json!({"instances": 2, "exec_mode": "cluster", "merge_logs": true})),
            {"name": "loop", "script": "loop.sh"},
            {"name": "spam", "script": testapp(), "args": [format!("spam:{lines}"), "out:done", "wait"], "max_size": "100G"},
        ]);
        baton.file("ecosystem.config.json", apps.to_string());
        baton.run(["start", "ecosystem.config.json", "--wait=10m"]).ok();
        for (name, count) in [("node", 1), ("python", 1), ("shared", 2), ("turns", 2)] {
            while baton.wait_log(&format!("{name}-out.log"), "listens").matches("listens").count() < count {}
        }
        let before = facts(&baton.jlist());
        let loads = ports.map(|port| Load::on(port, 2, Connections::Short));
        Stage { baton, loads, lines, before }
    }

    /// Each app is served on, and none has changed.
    pub(super) fn goes_on(&self, when: &str) {
        for load in &self.loads {
            load.wait_more(20);
        }
        assert_eq!(facts(&self.baton.jlist()), self.before, "{when}");
    }

    /// No request has failed, where the daemon deals connections out one for each daemon that is gone, and no line is
    /// missing or there twice.
    pub(super) fn was_whole(self, daemons: u64) {
        let [node, python, shared, turns]: [Seen; 4] = self.loads.map(Load::end);
        for (name, seen) in [("node", node), ("python", python), ("shared", shared)] {
            let first = seen.failed.first();
            assert!(seen.failed.is_empty(), "{name}: {} of {}: {first:?}", seen.failed.len(), seen.good());
        }
        let lost = turns.failed.len() as u64;
        assert!(lost <= daemons, "turns: {lost} of {} for {daemons} daemons: {:?}", turns.good(), turns.failed.first());
        self.baton.wait_log("spam-out.log", "done");
        let log = std::fs::read(self.baton.home().join("logs/spam-out.log")).expect("a log");
        let whole = log.strip_suffix(b"done\n").expect("the end");
        spam_is_whole(whole, self.lines);
    }
}

#[test]
fn whatever_befalls_the_manager_no_app_no_request_and_no_line_is_lost() {
    if !node() {
        return;
    }
    let stage = Stage::set(runs(200_000, 5_000_000) as u64);
    let mut daemons = 0;
    for run in 0..runs(5, 100) {
        // Those that are not dealt out by the daemon are served while it does nothing.
        let meanwhile = || stage.loads[..3].iter().for_each(|load| load.wait_more(20));
        daemons += Harm::ALL[run % Harm::ALL.len()].befall(&stage.baton, meanwhile);
        stage.goes_on(&format!("after {} runs", run + 1));
    }
    stage.was_whole(daemons);
}

#[test]
fn updates_to_another_executable_and_back_lose_nothing_under_load() {
    if !node() {
        return;
    }
    let stage = Stage::set(runs(200_000, 2_000_000) as u64);
    let first = std::path::PathBuf::from(env!("CARGO_BIN_EXE_baton"));
    let other = stage.baton.dir().join("another-baton");
    if std::fs::hard_link(&first, &other).is_err() {
        std::fs::copy(&first, &other).expect("a copy");
    }
    let updates = runs(2, 40);
    for run in 0..updates {
        let executable = [&other, &first][run % 2];
        let guard = stage.baton.guard();
        stage.baton.run(["update", "--executable", executable.to_str().expect("a path")]).ok();
        assert_eq!(stage.baton.guard(), guard, "it becomes the new one in its place");
        for pid in [guard, stage.baton.daemon()] {
            let runs = std::fs::read_link(format!("/proc/{pid}/exe")).expect("a link");
            assert_eq!(runs, *executable);
        }
        stage.goes_on(&format!("after {} updates", run + 1));
    }
    stage.was_whole(updates as u64);
}
