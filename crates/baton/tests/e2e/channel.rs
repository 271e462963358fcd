//! Node's IPC channel: messages in both directions, over the death of the daemon too.

use crate::harness::{Baton, alive, ended, kill};
use crate::programs::node;
use baton_core::world::Status;
use serde_json::json;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// A program that runs each line that it is sent over a socket.
const TOLD: &str = "
const told = require('net').createServer(socket => require('readline').createInterface(socket).on('line', line => eval(line)));
told.listen(process.env.TOLD, () => console.log('there', process.connected, process.env.NODE_CHANNEL_FD));
";

struct Told {
    baton: Baton,
    socket: PathBuf,
}

impl Told {
    /// The app `app`, defined with these keys beside others.
    fn start(keys: serde_json::Value, args: &[&str]) -> Told {
        let baton = Baton::new();
        let socket = baton.dir().join("told");
        baton.file("app.js", TOLD);
        let mut app = json!({"name": "app", "script": "app.js", "env": {"TOLD": socket}, "min_uptime": 0, "kill_timeout": "1h", "autorestart": false});
        app.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
        baton.file("ecosystem.config.json", json!([app]).to_string());
        let args = [&["start", "ecosystem.config.json"], args].concat();
        std::thread::scope(|scope| {
            let start = scope.spawn(|| baton.run(args));
            baton.wait_log("app-out.log", "there true undefined");
            if keys["wait_ready"] == true {
                let list = baton.wait_for("the app to run", |list| list.iter().any(|view| view.pid.is_some()));
                assert_eq!(list[0].status, Status::Launching);
                Told::say(&socket, "process.send('not yet'); process.send({ type: 'ready' }); process.send('ready')");
            }
            start.join().expect("start").ok();
        });
        Told { baton, socket }
    }

    fn say(socket: &PathBuf, line: &str) {
        let mut socket = UnixStream::connect(socket).expect("the program listens");
        writeln!(socket, "{line}").expect("a line");
    }

    fn tell(&self, line: &str) {
        Told::say(&self.socket, line);
    }
}

#[test]
fn an_app_that_waits_for_ready_is_online_with_the_message_and_not_before() {
    if !node() {
        return;
    }
    let told = Told::start(json!({"wait_ready": true, "listen_timeout": "1h"}), &[]);
    let view = told.baton.wait_status("app", Status::Online);
    assert!(view.ready);
}

#[test]
fn without_the_message_it_counts_as_ready_after_the_listen_timeout() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file("app.js", "setInterval(() => {}, 1e6)");
    baton.run(["start", "app.js", "--wait-ready", "--listen-timeout", "10"]).ok();
    assert_eq!(baton.entry("app")["pm2_env"]["status"], "online");
    assert_eq!(baton.entry("app")["pm2_env"]["wait_ready"], true);
}

#[test]
fn ready_by_ipc_fails_where_the_message_does_not_come() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file("says.js", "process.send('ready'); setInterval(() => {}, 1e6)");
    baton.file("silent.js", "process.send('almost'); setInterval(() => {}, 1e6)");
    let says = json!({"name": "says", "script": "says.js", "ready": "ipc", "min_uptime": "1h"});
    let silent =
        json!({"name": "silent", "script": "silent.js", "ready": {"ipc": true, "timeout": 50}, "max_restarts": 1});
    baton.file("says.config.json", json!([says]).to_string());
    baton.file("silent.config.json", json!([silent]).to_string());
    baton.run(["start", "says.config.json", "--wait=10m"]).ok();
    baton.run(["start", "silent.config.json", "--wait=10m"]).code(1).stderr_has("was not ready within 50 ms");
}

#[test]
fn a_program_that_never_uses_its_channel_ends_when_its_work_is_done() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let inner = "console.log('inner', process.send, process.env.NODE_CHANNEL_FD)";
    baton.file(
        "work.js",
        format!("require('child_process').spawn(process.execPath, ['-e', {inner:?}], {{ stdio: 'inherit' }})"),
    );
    baton.run(["start", "work.js", "--no-autorestart"]).ok();
    baton.wait_status("work", Status::Stopped);
    assert_eq!(baton.entry("work")["pm2_env"]["exit_code"], 0);
    baton.wait_log("work-out.log", "inner undefined undefined");
}

#[test]
fn an_app_is_asked_to_end_by_a_message_and_gets_no_signal() {
    if !node() {
        return;
    }
    let told = Told::start(json!({"shutdown_with_message": true}), &[]);
    let last = "process.on('SIGINT', () => console.log('signal')); process.on('message', m => { console.log('told', m); process.exit() })";
    told.tell(&format!("{last}; console.log('set up')"));
    told.baton.wait_log("app-out.log", "set up");
    told.baton.run(["stop", "app"]).ok();
    let log = told.baton.wait_log("app-out.log", "told shutdown");
    assert!(!log.contains("signal"), "{log}");
}

#[test]
fn an_app_that_has_closed_its_channel_runs_on_and_is_stopped_by_a_signal() {
    if !node() {
        return;
    }
    let told = Told::start(json!({"shutdown_with_message": true}), &[]);
    let pid = told.baton.pid("app");
    told.tell("process.on('disconnect', () => console.log('disconnected')); process.disconnect()");
    told.baton.wait_log("app-out.log", "disconnected");
    assert!(alive(pid));
    told.baton.run(["stop", "app"]).ok();
    ended(pid);
}

#[test]
fn messages_of_any_size_and_with_handles_are_taken_in() {
    if !node() {
        return;
    }
    let told = Told::start(json!({"ready": "ipc"}), &[]);
    // The next message goes only after the handle was acknowledged; `ready` comes after all of them.
    told.tell("process.send('x'.repeat(5e6), () => console.log('large'))");
    told.tell("const s = require('net').createServer().listen(0, () => { process.send('h', s); process.send('i', s, () => console.log('handles')); process.send('ready') })");
    told.baton.wait_log("app-out.log", "large");
    told.baton.wait_log("app-out.log", "handles");
    told.baton.wait_for("it to be ready", |list| list[0].ready);
}

#[test]
fn the_channel_survives_the_daemon() {
    if !node() {
        return;
    }
    let told = Told::start(json!({"shutdown_with_message": true, "ready": "ipc"}), &[]);
    let (baton, pid) = (&told.baton, told.baton.pid("app"));
    told.tell("process.on('disconnect', () => console.log('lost')); process.on('message', m => process.exit(m === 'shutdown' ? 0 : 9))");
    let mut daemon = baton.daemon();
    for _ in 0..3 {
        kill(daemon);
        baton.connect_to_successor(daemon);
        daemon = baton.daemon();
    }
    kill(daemon);
    // Said while there is no daemon, or just a new one.
    told.tell("process.send('ready', () => console.log('said'))");
    baton.wait_log("app-out.log", "said");
    baton.wait_for("it to be ready", |list| list[0].ready);
    assert_eq!(baton.pid("app"), pid);
    baton.run(["stop", "app"]).ok();
    assert_eq!(baton.entry("app")["pm2_env"]["exit_code"], 0);
    assert!(!baton.wait_log("app-out.log", "said").contains("lost"));
}

#[test]
fn a_program_that_is_not_node_gets_a_channel_when_it_asks_for_what_it_brings() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file("app.js", "process.send('ready'); setInterval(() => {}, 1e6)");
    baton.file("run.sh", "exec node app.js\n");
    let app = |name: &str, ready: serde_json::Value| json!({"name": name, "script": "run.sh", "ready": ready, "min_uptime": "1h"});
    baton.file("a.config.json", json!([app("a", json!("ipc"))]).to_string());
    baton.run(["start", "a.config.json", "--wait=10m"]).ok();
    baton.file("no.sh", "echo \"channel $NODE_CHANNEL_FD\"\n");
    baton.run(["start", "no.sh", "--no-autorestart"]).ok();
    assert_eq!(baton.wait_log("no-out.log", "\n"), "channel \n");
}
