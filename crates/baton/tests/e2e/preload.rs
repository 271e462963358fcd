//! The module that is loaded before programs of Node: it tells of them, and they notice nothing.

use crate::harness::{Baton, port_in};
use crate::load::{Connections, Load, free_port};
use crate::programs::node;
use baton_core::proto::{Reply, Request};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Says everything by which a program could notice.
const SELF: &str = "
  const { Worker, isMainThread } = require('worker_threads');
  const { execFileSync } = require('child_process');
  const look = () => ({
    env: Object.keys(process.env).filter(key => /NODE_|BATON_M/.test(key)).map(key => key === 'BATON_MARK' ? key : [key, process.env[key]]),
    execArgv: process.execArgv, argv: process.argv.slice(2), main: require.main && require.main.filename === __filename,
    parent: module.parent === undefined || module.parent === null, children: module.children.length,
    messages: process.listenerCount('message'), listeners: ['exit', 'uncaughtException', 'unhandledRejection', 'SIGINT', 'disconnect'].map(name => process.listenerCount(name)),
    resources: process.getActiveResourcesInfo(), handles: process._getActiveHandles().length, globals: Object.keys(globalThis), connected: process.connected,
  });
  if (isMainThread) {
    const child = execFileSync(process.execPath, ['-p', 'JSON.stringify([process.env.NODE_OPTIONS, process.send, process.execArgv])'], { encoding: 'utf8' });
    const seen = look();
    new Worker(__filename).once('message', worker => { console.log(JSON.stringify({ seen, child, worker })); process.disconnect(); });
  } else {
    const { env, execArgv, messages } = look();
    require('worker_threads').parentPort.postMessage({ env, execArgv, messages });
  }
";

fn start(baton: &Baton, apps: &Value) {
    baton.file("ecosystem.config.json", apps.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
}

/// Asks for an app's metrics until they are as wished.
pub(crate) fn until(baton: &Baton, app: &str, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        let metrics = baton.entry(app)["pm2_env"]["axm_monitor"].clone();
        if wished(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < give_up, "{what}: {metrics}");
    }
}

#[test]
fn a_program_sees_the_same_with_and_without_the_module() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    // Node knows the module by another path than it was given.
    let link = baton.dir().join("home");
    std::os::unix::fs::symlink(baton.home(), &link).expect("a link");
    let baton = baton.env("BATON_HOME", link.to_str().expect("UTF-8"));
    baton.file("self.js", SELF);
    baton.file("pre.mjs", "globalThis.before = process.env.NODE_OPTIONS ?? 'none';");
    baton.file(
        "esm.mjs",
        "console.log(JSON.stringify([before, import.meta.url.endsWith('esm.mjs'), process.env.NODE_OPTIONS, await 7]))",
    );
    baton.file("exits.js", "process.exitCode = 7");
    baton.file("rejects.js", "Promise.reject(new TypeError('nobody cares'))");
    baton.file(
        "throws.js",
        "process.on('exit', code => console.log('exit', code)); setImmediate(() => { throw { odd: 1 } })",
    );
    baton.file("catches.js", "process.on('uncaughtException', (e, origin) => console.log('caught', e.message, origin)); setImmediate(() => { throw new Error('x') })");
    let app = |name: &str, keys: Value, pmx: bool| {
        let suffix = if pmx { "with" } else { "without" };
        let mut app =
            json!({"name": format!("{name}-{suffix}"), "autorestart": false, "pmx": pmx, "filter_env": ["NODE_"]});
        app.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
        app
    };
    let programs = [
        ("self", json!({"script": "self.js", "args": ["a"], "node_args": ["--no-warnings"]})),
        ("options", json!({"script": "self.js", "env": {"NODE_OPTIONS": "--no-deprecation --trace-exit"}})),
        ("empty", json!({"script": "self.js", "env": {"NODE_OPTIONS": ""}})),
        ("esm", json!({"script": "esm.mjs", "node_args": ["--import", "./pre.mjs"]})),
        ("exits", json!({"script": "exits.js"})),
        ("rejects", json!({"script": "rejects.js"})),
        ("throws", json!({"script": "throws.js"})),
        ("catches", json!({"script": "catches.js"})),
        ("worker", json!({"script": "self.js", "exec_mode": "cluster"})),
    ];
    let apps: Vec<Value> = programs
        .iter()
        .flat_map(|(name, keys)| [app(name, keys.clone(), true), app(name, keys.clone(), false)])
        .collect();
    start(&baton, &json!(apps));
    for (name, _) in programs {
        let [with, without] = ["with", "without"].map(|suffix| {
            let name = format!("{name}-{suffix}");
            baton.wait_status(&name, Status::Stopped);
            let entry = baton.entry(&name)["pm2_env"].clone();
            let read = |key: &str| std::fs::read_to_string(entry[key].as_str().expect("a path")).expect("a log");
            // Pids of Node's warnings, and of stacks.
            let errors =
                read("pm_err_log_path").lines().filter(|line| !line.contains("(node:")).collect::<Vec<_>>().join("\n");
            (read("pm_out_log_path"), errors, entry["exit_code"].clone())
        });
        assert_eq!(with, without, "{name}");
        let expected = match name {
            "exits" => 7,
            "rejects" | "throws" => 1,
            _ => 0,
        };
        assert_eq!(with.2, expected, "{name}: {with:?}");
    }
}

#[test]
fn metrics_come_by_themselves_and_pmx_false_turns_them_off() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file(
        "app.js",
        "process.send({ type: 'axm:monitor', data: { 'Heap Size': { value: 'mine' } } });
         const server = require('http').createServer((_, answer) => answer.end('x'));
         server.listen(0, () => console.log('listens', server.address().port));",
    );
    start(&baton, &json!([{"name": "app", "script": "app.js"}, {"name": "off", "script": "app.js", "pmx": false}]));
    let port = port_in(&baton.wait_log("app-out.log", "listens"), "listens ");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("asked");
    stream.read_to_string(&mut String::new()).expect("an answer");
    let metrics = until(&baton, "app", "requests", |metrics| metrics["HTTP"]["value"].as_u64().is_some_and(|n| n > 0));
    assert_eq!(metrics["Heap Size"], json!({ "value": "mine" }), "what the program says itself comes first");
    for name in ["Used Heap Size", "Heap Usage", "Active handles", "Active requests", "Event Loop Latency p95"] {
        assert!(metrics[name]["type"].as_str().is_some_and(|text| text.starts_with("internal/")), "{name}: {metrics}");
    }
    let record = baton.entry("app")["pm2_env"].clone();
    assert!(record["node_version"].as_str().is_some_and(|version| version.contains('.')));
    let dump = baton.run(["trigger", "app", "km:heapdump"]).ok().stdout;
    let answer = dump.lines().last().and_then(|line| line.strip_prefix("[app:0:default]=")).expect("an answer");
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let path = answer["dump_file"].as_str().expect("a path");
    assert_eq!(std::fs::metadata(path).expect("a file").len(), answer["dump_file_size"].as_u64().expect("a size"));
    std::fs::remove_file(path).expect("removed");
    // A successor of the daemon is told again.
    let daemon = baton.daemon();
    crate::harness::kill(daemon);
    baton.connect_to_successor(daemon);
    until(&baton, "app", "metrics again", |metrics| metrics["Active handles"].is_object());
    let off = baton.entry("off")["pm2_env"].clone();
    assert_eq!((&off["axm_monitor"]["Heap Usage"], &off["pmx"]), (&Value::Null, &json!(false)));
    assert!(off.get("node_version").is_none());
}

#[test]
fn an_exception_that_ends_a_program_is_told_to_who_listens() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.run(["ping"]).ok();
    let mut ear = baton.connect().expect("a daemon");
    assert!(matches!(ear.ask(Request::Hear), Reply::Done));
    baton.file("throws.js", "setImmediate(() => { throw Object.assign(new TypeError('boom'), { code: 'E_X' }) })");
    baton.file("rejects.js", "Promise.reject(new RangeError('unheard'))");
    for (script, name, message, origin) in [
        ("throws", "TypeError", "boom", "uncaughtException"),
        ("rejects", "RangeError", "unheard", "unhandledRejection"),
    ] {
        baton.run(["start", &format!("{script}.js"), "--no-autorestart"]).ok();
        let said = ear.said();
        let data = &said.message["data"];
        assert_eq!((said.name.as_str(), &said.message["type"]), (script, &json!("process:exception")));
        assert_eq!((&data["name"], &data["message"], &data["origin"]), (&json!(name), &json!(message), &json!(origin)));
        assert!(data["stack"].as_str().is_some_and(|stack| stack.contains(&format!("{script}.js:1"))), "{data}");
        assert!(said.message.get("cmd").is_none());
    }
}

/// A server that answers in the form that the load client reads; upgraded connections get back what they say.
const SERVER: &str = "
  const server = require('http').createServer((ask, answer) => setTimeout(() => answer.end(`v ${process.pid} ${ask.url}`), +process.env.TAKES));
  server.on('upgrade', (_, socket) => { socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n'); socket.on('data', data => socket.write(data)); socket.on('end', () => socket.end()); });
  server.listen(+process.env.AT);
";

fn workers(baton: &Baton, port: u16, takes: u32) {
    baton.file("app.js", SERVER);
    let app = json!({"name": "app", "script": "app.js", "instances": 2, "env": {"AT": port.to_string(), "TAKES": takes.to_string()}, "kill_timeout": "30s", "min_uptime": "1h"});
    baton.file("ecosystem.config.json", json!([app]).to_string());
    baton.run(["start", "ecosystem.config.json", "--wait=10m"]).ok();
}

#[test]
fn workers_leave_without_cutting_off_a_client_that_keeps_its_connection() {
    if !node() {
        return;
    }
    for takes in [0, 20] {
        let baton = Baton::new();
        let port = free_port();
        workers(&baton, port, takes);
        let load = Load::on(port, 4, Connections::Kept);
        load.wait_more(100);
        for _ in 0..2 {
            baton.run(["reload", "app"]).ok();
            load.wait_more(50);
        }
        let seen = load.end();
        seen.is_perfect();
        assert!(seen.pids.len() > 4, "{seen:?}");
    }
}

#[test]
fn an_upgraded_connection_lives_on_in_a_worker_that_leaves_until_its_client_ends_it() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let port = free_port();
    workers(&baton, port, 0);
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").expect("asked");
    let mut head = [0; 200];
    let count = socket.read(&mut head).expect("an answer");
    assert!(head[..count].starts_with(b"HTTP/1.1 101 "));
    let echo = |mut socket: &TcpStream, text: &[u8]| {
        socket.write_all(text).expect("sent");
        let mut back = vec![0; text.len()];
        socket.read_exact(&mut back).expect("an echo");
        assert_eq!(back, text);
    };
    echo(&socket, b"before");
    let before: Vec<u32> =
        baton.jlist().iter().filter_map(|entry| u32::try_from(entry["pid"].as_u64()?).ok()).collect();
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| baton.run(["reload", "app"]));
        // Both slots have a new life, or the first has one and its old one still serves us.
        baton.wait_for("a new worker", |list| {
            list.iter().any(|view| view.pid.is_some_and(|pid| !before.contains(&pid)))
        });
        echo(&socket, b"during");
        socket.shutdown(std::net::Shutdown::Write).expect("ended");
        socket.read_to_end(&mut Vec::new()).expect("the end");
        reload.join().expect("no panic").ok();
    });
}

#[test]
fn the_inspector_is_opened_in_programs_of_node_and_refused_with_the_reason_in_others() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file("app.js", "setInterval(() => {}, 1000); console.log('runs')");
    let node = |name: &str| json!({"name": name, "script": "app.js"});
    let mut bare = node("bare");
    bare["pmx"] = false.into();
    let mut cluster = node("cluster");
    cluster["exec_mode"] = "cluster".into();
    start(&baton, &json!([node("one"), node("two"), bare, cluster, {"name": "sh", "script": "exec sleep 1000"}]));
    let mut places: Vec<String> = Vec::new();
    for name in ["one", "two", "cluster", "one"] {
        // The module tells what it can do when the program begins.
        until(&baton, name, "the module", |metrics| metrics["Heap Size"].is_object());
        let run = baton.run(["inspect", name]).ok().stdout_has("Inspect enabled on").stdout_has("devtools://");
        let url = run.stdout.split(' ').find_map(|word| word.strip_prefix("ws://")).expect("an address").to_owned();
        let (place, id) = url.split_once('/').expect("a path");
        let mut stream = TcpStream::connect(place).expect("somebody listens");
        stream.write_all(b"GET /json/list HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("asked");
        let mut answer = String::new();
        // Node leaves the connection open.
        while !answer.contains(id) {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).expect("an answer");
            assert!(count > 0, "{answer}");
            answer.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        places.push(url);
    }
    assert_eq!(places[0], places[3], "open already");
    places.pop();
    places.dedup();
    assert_eq!(places.len(), 3, "{places:?}");
    baton.run(["inspect", "bare"]).code(1).stderr_has("`pmx: false`");
    baton.run(["inspect", "sh"]).code(1).stderr_has("is not Node");
    baton.run(["stop", "two"]).ok();
    baton.run(["inspect", "two"]).code(1).stderr_has("it is stopped");
    baton.run(["inspect", "nobody"]).code(1).stderr_has("nobody not found");
}
