//! The essentials of Node programs with the oldest and the newest Node that are promised, and with Deno. All other tests run
//! with the machine's own Node.

use crate::harness::Baton;
use crate::installed::installed;
use crate::load::{Connections, Load, free_port};
use crate::preload::until;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;

/// An HTTP server in the form that the load client reads.
const COMMONJS: &str = "
const answer = (ask, answer) => answer.end(`${process.env.VERSION} ${process.pid} ${ask.url}`);
require('node:http').createServer(answer).listen(+process.env.AT, () => console.log(require('node:cluster').isWorker));
";

/// The same as a module.
const MODULE: &str = "
import { createServer } from 'node:http';
import cluster from 'node:cluster';
const { env, pid } = await Promise.resolve(process);
createServer((ask, answer) => answer.end(`${env.VERSION} ${pid} ${ask.url}`)).listen(+env.AT, () => console.log(cluster.isWorker));
";

/// The same in TypeScript.
const TYPESCRIPT: &str = "
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import cluster from 'node:cluster';
const port: number = Number(process.env.AT);
const answer = (ask: IncomingMessage, answer: ServerResponse) => { answer.end(`${process.env.VERSION} ${process.pid} ${ask.url}`); };
createServer(answer).listen(port, () => console.log(cluster.isWorker satisfies boolean));
";

/// Opens what a worker can open besides, and tells in one line what came of it.
const PROBE: &str = "
const net = require('net'), dgram = require('dgram');
const tcp = options => new Promise(done => {
  const server = net.createServer().on('error', error => done(error.code)).listen(options, () => done(server.address().port));
});
const udp = new Promise(done => { const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1', () => done(socket.address().port)); });
Promise.all([tcp(0), tcp(0), tcp(+process.env.TAKEN), tcp({ port: +process.env.MINE, exclusive: true }), udp, tcp({ fd: 0 })])
  .then(told => console.log(JSON.stringify(told)));
";

/// Two workers of a server on a port of its own.
fn server(script: &str, node: &Path, port: u16, version: u32, keys: Value) -> Value {
    let mut app = json!({
        "name": script, "script": script, "interpreter": node, "instances": 2, "merge_logs": true, "min_uptime": "1h",
        "listen_timeout": "1m", "kill_timeout": "30s", "env": {"AT": port.to_string(), "VERSION": version.to_string()},
    });
    app.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
    app
}

/// Answers of all workers, a reload, answers of the new ones: nobody is turned away or cut off.
fn reload_under_load(baton: &Baton, ports: &[u16], kinds: &[Connections], reload: impl FnOnce()) {
    let loads: Vec<Load> = ports.iter().flat_map(|port| kinds.iter().map(|kind| Load::on(*port, 4, *kind))).collect();
    let count = |load: &Load, workers: usize, version: &str| {
        load.wait("answers of all workers", |seen| seen.pids.len() >= workers && seen.versions.contains_key(version));
    };
    let short = || loads.iter().step_by(kinds.len());
    short().for_each(|load| count(load, 2, "1"));
    reload();
    short().for_each(|load| count(load, 4, "2"));
    loads.into_iter().for_each(|load| load.end().is_perfect());
    assert!(baton.jlist().iter().all(|entry| entry["pm2_env"]["unstable_restarts"] == 0));
}

/// What must hold with every Node.
fn essentials(version: &str) {
    let Some(node) = installed(&format!("node/{version}/node_modules/node/bin/node")) else { return };
    let baton = Baton::new();
    let typescript = version >= "24";
    baton.file("fork.js", "console.log(process.version, process.connected, process.env.NODE_CHANNEL_FD); process.send('ready'); setInterval(() => {}, 1e6)");
    baton.file("module.mjs", MODULE);
    baton.file("common.js", COMMONJS);
    baton.file("typed.mts", TYPESCRIPT);
    baton.file("probe.js", PROBE);
    let ports = [free_port(), free_port(), free_port()];
    let taken = TcpListener::bind(("::", 0)).expect("a port");
    let busy = taken.local_addr().expect("an address").port();
    let define = |number: u32| {
        let env = json!({"TAKEN": busy.to_string(), "MINE": free_port().to_string()});
        let own = if typescript { "typed.mts" } else { "common.js" };
        let apps = json!([
            {"name": "fork", "script": "fork.js", "interpreter": node, "ready": "ipc", "min_uptime": "1h"},
            {"name": "probe", "script": "probe.js", "interpreter": node, "instances": 2, "env": env},
            server("module.mjs", &node, ports[0], number, json!({"node_args": "--no-warnings"})),
            server("common.js", &node, ports[1], number, json!({"balance": "shared"})),
            server(own, &node, ports[2], number, json!({"balance": "reuseport", "name": "own"})),
        ]);
        baton.file("ecosystem.config.json", apps.to_string());
    };
    define(1);
    baton.run(["start", "ecosystem.config.json", "--wait=10m"]).ok();

    let said = baton.wait_log("fork-out.log", "\n");
    assert!(said.starts_with(&format!("v{version}.")) && said.ends_with(" true undefined\n"), "{said}");
    until(&baton, "fork", "metrics", |metrics| metrics["Heap Size"].is_object());
    let told = baton.entry("fork")["pm2_env"]["node_version"].clone();
    assert!(told.as_str().is_some_and(|told| told.starts_with(&format!("{version}."))), "{told}");

    let list = baton.jlist();
    let probes = list.iter().filter(|entry| entry["name"] == "probe");
    let probes: Vec<Value> = probes
        .map(|entry| {
            let log = baton.wait_log(&format!("probe-out-{}.log", entry["pm_id"]), "]\n");
            serde_json::from_str(log.lines().last().expect("a line")).expect("JSON")
        })
        .collect();
    let [first, second] = &probes[..] else { panic!("{probes:?}") };
    for shared in [0, 1, 4] {
        assert!(first[shared].is_u64() && first[shared] == second[shared], "{shared}: {probes:?}");
    }
    assert_ne!(first[0], first[1], "each call has a port of its own");
    assert_eq!([&first[2], &second[2]], ["EADDRINUSE"; 2]);
    let exclusive = [&first[3], &second[3]];
    assert!(exclusive.iter().any(|one| one.is_u64()) && exclusive.contains(&&json!("EADDRINUSE")), "{probes:?}");
    assert_eq!([&first[5], &second[5]], ["EBADF"; 2]);

    reload_under_load(&baton, &ports, &[Connections::Short, Connections::Kept], || {
        define(2);
        baton.run(["reload", "ecosystem.config.json", "--only", "module.mjs,common.js,own"]).ok();
    });
    for name in ["module.mjs", "common.js", "own"] {
        let log = baton.run(["logs", name, "--nostream", "--raw"]).ok().stdout;
        assert!(log.contains("true") && !log.contains("false"), "{name}: {log}");
    }
}

#[test]
fn the_essentials_hold_with_node_18() {
    essentials("18");
}

#[test]
fn the_essentials_hold_with_node_24() {
    essentials("24");
}

#[test]
fn workers_of_deno_are_dealt_connections_and_reloaded() {
    let Some(deno) = installed("deno/node_modules/.bin/deno") else { return };
    let baton = Baton::new();
    baton.file("typed.mts", TYPESCRIPT);
    let port = free_port();
    let define = |number: u32| {
        let keys = json!({"node_args": "run -A", "exec_mode": "cluster"});
        baton.file("ecosystem.config.json", json!([server("typed.mts", &deno, port, number, keys)]).to_string());
    };
    define(1);
    baton.run(["start", "ecosystem.config.json", "--wait=10m"]).ok();
    // Deno closes kept connections when it leaves; no module of ours helps it.
    reload_under_load(&baton, &[port], &[Connections::Short], || {
        define(2);
        baton.run(["reload", "ecosystem.config.json"]).ok();
    });
}
