//! Cluster mode: real workers of Node's own module, with baton as their primary.

use crate::harness::{Baton, kill, port_in};
use crate::load::free_port;
use crate::programs::node;
use baton_core::world::Status;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Answers each connection with the number of its instance and its pid, once it was asked something.
const SERVER: &str = "
const cluster = require('cluster');
const answer = socket => socket.once('data', () => socket.end(`${process.env.NODE_APP_INSTANCE} ${process.pid}`));
const server = require('net').createServer(answer);
server.on('error', error => console.log('refused', error.code, error.syscall));
server.listen(+process.env.AT || process.env.AT || 0, () => console.log('listens', cluster.isWorker, cluster.worker.id > 0, server.address().port));
";

/// Starts the server with so many workers and waits until all of them listen.
fn start(baton: &Baton, instances: u32, keys: Value) {
    if !baton.dir().join("app.js").exists() {
        baton.file("app.js", SERVER);
    }
    let mut app =
        json!({"name": "app", "script": "app.js", "instances": instances, "merge_logs": true, "min_uptime": "1h"});
    app.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
    baton.file("ecosystem.config.json", json!([app]).to_string());
    baton.run(["start", "ecosystem.config.json", "--wait=10m"]).ok();
}

fn ask(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"?")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// One connection, as a client that does not wait for ever.
fn visit(port: u16) -> std::io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    ask(stream)
}

fn number(answer: &str) -> &str {
    answer.split(' ').next().expect("a number")
}

#[test]
fn workers_share_a_port_and_take_turns() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    start(&baton, 3, json!({}));
    let log = baton.wait_log("app-out.log", "listens true true ");
    let port = port_in(&log, "listens true true ");
    for _ in 0..2 {
        let seen: Vec<String> = (0..3).map(|_| visit(port).expect("an answer")).collect();
        let seen: BTreeSet<&str> = seen.iter().map(|answer| number(answer)).collect();
        assert_eq!(seen, BTreeSet::from(["0", "1", "2"]));
    }
    assert!(baton.jlist().iter().all(|entry| entry["pm2_env"]["exec_mode"] == "cluster_mode"));
    baton.run(["ls"]).ok().stdout_has("│ cluster │");
    baton.run(["scale", "app", "1"]).ok();
    let one: BTreeSet<String> = (0..4).map(|_| visit(port).expect("an answer")).collect();
    assert_eq!(one.len(), 1, "{one:?}");
    // What we are told is stopped has left its port.
    baton.run(["stop", "app"]).ok();
    TcpListener::bind(("::", port)).expect("the port is free");
}

#[test]
fn reloads_and_the_death_of_the_daemon_lose_nothing() {
    if !node() {
        return;
    }
    for (balance, may_lose) in [("rr", 1), ("shared", 0), ("reuseport", 0)] {
        let baton = Baton::new();
        let port = free_port();
        start(&baton, 2, json!({"balance": balance, "env": {"AT": port.to_string()}, "kill_timeout": "30s"}));
        let before: BTreeSet<u64> = baton.jlist().iter().filter_map(|entry| entry["pid"].as_u64()).collect();
        let (done, lost, answers) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let few = || answers.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        match visit(port) {
                            Ok(_) => answers.fetch_add(1, Ordering::Relaxed),
                            Err(_) => lost.fetch_add(1, Ordering::Relaxed),
                        };
                    }
                });
            }
            baton.run(["reload", "app"]).ok();
            let daemon = baton.daemon();
            kill(daemon);
            baton.connect_to_successor(daemon);
            let seen = few();
            baton.run(["reload", "app"]).ok();
            while few() == seen {
                std::thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
        });
        let lost = lost.load(Ordering::Relaxed);
        assert!(lost <= may_lose, "{balance}: {lost} lost");
        let after: BTreeSet<u64> = baton.jlist().iter().filter_map(|entry| entry["pid"].as_u64()).collect();
        assert!(before.is_disjoint(&after), "{balance}: {before:?} {after:?}");
        baton.run(["delete", "app"]).ok();
        TcpListener::bind(("::", port)).expect("the port is free");
    }
}

#[test]
fn a_bad_build_never_replaces_a_good_one() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    start(&baton, 2, json!({"listen_timeout": 500}));
    let port = port_in(&baton.wait_log("app-out.log", "listens true true "), "listens true true ");
    let good: BTreeSet<u64> = baton.jlist().iter().filter_map(|entry| entry["pid"].as_u64()).collect();
    for (bad, why) in [
        ("process.exit(3)", "exited with code 3 before it was ready"),
        ("throw new Error('at import')", "exited with code 1 before it was ready"),
        ("setInterval(() => {}, 1e6)", "was not ready within 500 ms"),
        ("require('net').createServer().listen(OTHER)", "was not ready within 500 ms"),
    ] {
        baton.file("app.js", bad.replace("OTHER", &free_port().to_string()));
        baton.run(["reload", "app"]).code(1).stderr_has(why).stderr_has("the old one still runs");
        for _ in 0..2 {
            let answer = visit(port).expect("an answer");
            assert!(good.iter().any(|pid| answer.ends_with(&format!(" {pid}"))), "{answer}");
        }
    }
}

#[test]
fn an_address_that_is_taken_is_an_error_in_the_worker() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let taken = TcpListener::bind(("::", 0)).expect("a port");
    let port = taken.local_addr().expect("address").port();
    baton.file("app.js", SERVER);
    let app = json!({"name": "app", "script": "app.js", "exec_mode": "cluster", "env": {"AT": port.to_string()}, "autorestart": false, "merge_logs": true});
    baton.file("taken.config.json", json!([app]).to_string());
    baton.run(["start", "taken.config.json"]).ok();
    baton.wait_log("app-out.log", "refused EADDRINUSE bind");
}

#[test]
fn unix_sockets_and_datagrams_are_shared_and_an_exclusive_port_is_not() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let path = baton.dir().join("app.sock");
    start(&baton, 2, json!({"env": {"AT": path.to_str()}}));
    let seen: BTreeSet<String> =
        (0..2).map(|_| ask(UnixStream::connect(&path).expect("connect")).expect("an answer")).collect();
    assert_eq!(seen.len(), 2);
    baton.run(["delete", "app"]).ok();
    assert!(!path.exists(), "the path goes with the socket");

    let exclusive = free_port();
    baton.file(
        "app.js",
        format!(
            "const server = require('net').createServer().on('error', e => console.log('other', e.code)).listen({{ port: {exclusive}, exclusive: true }}, () => console.log('mine'));
             const udp = require('dgram').createSocket('udp4', (m, from) => udp.send(String(process.pid), from.port, from.address));
             udp.bind(0, '127.0.0.1', () => console.log('udp', udp.address().port));"
        ),
    );
    start(&baton, 2, json!({}));
    baton.wait_log("app-out.log", "other EADDRINUSE");
    let log = baton.wait_log("app-out.log", "mine");
    let ports: BTreeSet<&str> = log.lines().filter_map(|line| line.strip_prefix("udp ")).collect();
    assert_eq!(ports.len(), 1, "{log}");
    let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    client.send_to(b"?", ("127.0.0.1", port_in(&log, "udp "))).expect("sent");
    client.recv(&mut [0; 16]).expect("an answer");
}

#[test]
fn a_worker_that_disconnects_leaves_and_one_that_is_killed_is_replaced() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    start(&baton, 2, json!({"wait_ready": false}));
    let port = port_in(&baton.wait_log("app-out.log", "listens true true "), "listens true true ");
    let victim = baton.jlist()[0]["pid"].as_u64().expect("a pid");
    kill(u32::try_from(victim).expect("a pid"));
    baton.wait_for("a successor that listens", |list| {
        list.iter().all(|view| view.ready && view.pid.is_some_and(|pid| u64::from(pid) != victim))
    });
    let seen: BTreeSet<String> = (0..2).map(|_| visit(port).expect("an answer")).collect();
    assert_eq!(seen.len(), 2);
    baton.file("leaves.js", "require('net').createServer().listen(0, () => { const { worker } = require('cluster'); worker.disconnect(); process.on('disconnect', () => console.log('left', worker.exitedAfterDisconnect)); })");
    baton.run(["start", "leaves.js", "-i", "1", "--no-autorestart"]).ok();
    baton.wait_log("leaves-out-2.log", "left true");
    baton.wait_status("leaves", Status::Stopped);
    assert_eq!(baton.entry("leaves")["pm2_env"]["exit_code"], 0);
}

#[test]
fn what_can_not_be_a_worker_is_refused_with_the_reason() {
    let baton = Baton::new();
    let app = |keys: Value| {
        baton.file("ecosystem.config.json", json!([keys]).to_string());
        baton.run(["start", "ecosystem.config.json"]).code(1)
    };
    app(json!({"name": "a", "script": "npm run start", "exec_mode": "cluster"}))
        .stderr_has("npm keeps the cluster's channel for itself");
    app(json!({"name": "a", "script": "x.py", "interpreter": "python3", "exec_mode": "cluster"}))
        .stderr_has("python3 runs this one");
    assert_eq!(baton.jlist().len(), 0);
}

/// Connects and waits until the other end is closed for want of anybody who takes it.
fn is_turned_away(mut stream: TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    match stream.read(&mut [0; 1]) {
        Ok(0) => {}
        Ok(_) => panic!("an answer"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn workers_that_refuse_at_their_limit_take_connections_again_below_it() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let limit = "if (process.env.NODE_APP_INSTANCE === '1') server.maxConnections = 1; server.on(";
    baton.file("app.js", SERVER.replace("server.on(", limit));
    start(&baton, 2, json!({}));
    let port = port_in(&baton.wait_log("app-out.log", "listens true true "), "listens true true ");
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
        stream
    };
    // The second has one, and refuses the next ones.
    let held: Vec<TcpStream> = (0..4).map(|_| connect()).collect();
    // The last is answered while those before it are held.
    let answers: Vec<String> = held.into_iter().rev().map(|stream| ask(stream).expect("an answer")).collect();
    let numbers: BTreeSet<&str> = answers.iter().map(|answer| number(answer)).collect();
    assert_eq!(numbers, BTreeSet::from(["0", "1"]), "{answers:?}");
    // It is free again: what it has refused others took, and now there are no others.
    baton.run(["scale", "app", "1"]).ok();
    for _ in 0..3 {
        assert_eq!(number(&visit(port).expect("an answer")), "1");
    }
}

#[test]
fn a_port_that_a_program_has_left_is_closed_and_one_that_it_keeps_is_not() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let (old, new) = (free_port(), free_port());
    start(&baton, 2, json!({"env": {"AT": old.to_string()}, "kill_timeout": "30s"}));
    visit(old).expect("an answer");
    for (verb, at, left) in [(["restart", "--wait=10m"].as_slice(), new, old), (["reload"].as_slice(), old, new)] {
        let app = json!([{"name": "app", "script": "app.js", "instances": 2, "merge_logs": true, "min_uptime": "1h", "kill_timeout": "30s", "env": {"AT": at.to_string()}}]);
        baton.file("ecosystem.config.json", app.to_string());
        baton.run(verb.iter().chain(&["ecosystem.config.json"])).ok();
        visit(at).expect("an answer");
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", left)) {
            is_turned_away(stream);
        }
        TcpListener::bind(("::", left)).expect("the port is free");
    }
}

#[test]
fn another_balance_counts_after_a_restart_and_a_reload_keeps_what_serves() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let port = free_port();
    let keys = |balance: &str| json!({"balance": balance, "env": {"AT": port.to_string()}, "kill_timeout": "30s"});
    start(&baton, 2, keys("rr"));
    // How many sockets listen at the port, from the kernel's own table.
    let sockets = || {
        let both = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        let at = format!(":{port:04X} ");
        let rows = both.iter().flat_map(|text| text.lines());
        rows.filter(|row| {
            row.split_whitespace().nth(1).is_some_and(|local| format!("{local} ").ends_with(&at))
                && row.contains(" 0A ")
        })
        .count()
    };
    for (balance, before, after) in [("reuseport", 1, 2), ("shared", 2, 1), ("reuseport", 1, 2), ("rr", 2, 1)] {
        let mut app =
            json!({"name": "app", "script": "app.js", "instances": 2, "merge_logs": true, "min_uptime": "1h"});
        app.as_object_mut().expect("a map").extend(keys(balance).as_object().expect("a map").clone());
        baton.file("ecosystem.config.json", json!([app]).to_string());
        baton.run(["reload", "ecosystem.config.json"]).ok();
        assert_eq!(sockets(), before, "{balance}: a reload");
        visit(port).expect("an answer");
        baton.run(["restart", "app", "--wait=10m"]).ok();
        assert_eq!(sockets(), after, "{balance}: a restart");
        visit(port).expect("an answer");
    }
}

#[test]
fn what_a_program_closes_it_can_open_again_at_once() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    baton.file(
        "app.js",
        "const net = require('net'), dgram = require('dgram');
         function tcp(port, times) {
           const server = net.createServer(socket => socket.end('answer')).on('error', e => console.log('tcp', e.code));
           server.listen(port, () => { const { port } = server.address(); if (times) server.close(() => tcp(port, times - 1)); else console.log('listens true true', port); });
         }
         function udp(port, times) {
           const socket = dgram.createSocket('udp4').on('error', e => console.log('udp', e.code));
           socket.bind(port, () => { const { port } = socket.address(); if (times) socket.close(() => udp(port, times - 1)); else console.log('bound', port); });
         }
         tcp(0, 10);
         udp(0, 10);",
    );
    for balance in ["rr", "shared", "reuseport"] {
        start(&baton, 1, json!({"exec_mode": "cluster", "balance": balance}));
        let log = baton.wait_log("app-out.log", "listens true true ");
        let port = port_in(&log, "listens true true ");
        baton.wait_log("app-out.log", "bound ");
        assert_eq!(visit(port).expect("an answer"), "answer");
        let log = baton.wait_log("app-out.log", "bound ");
        assert!(!log.contains("EADDRINUSE"), "{balance}: {log}");
        baton.run(["delete", "app"]).ok();
        std::fs::remove_file(baton.home().join("logs/app-out.log")).expect("a log");
    }
}

#[test]
fn a_taken_port_is_an_error_that_a_tls_server_can_handle() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let taken = TcpListener::bind(("::", 0)).expect("a port");
    let port = taken.local_addr().expect("address").port();
    baton.file(
        "app.js",
        format!("require('tls').createServer().on('error', e => console.log('refused', e.code)).listen({port}); setInterval(() => {{}}, 1e6)"),
    );
    let app =
        json!({"name": "app", "script": "app.js", "exec_mode": "cluster", "autorestart": false, "merge_logs": true});
    baton.file("taken.config.json", json!([app]).to_string());
    baton.run(["start", "taken.config.json"]).ok();
    baton.wait_log("app-out.log", "refused EADDRINUSE");
    assert_eq!(baton.entry("app")["pm2_env"]["status"], "online");
}

#[test]
fn workers_of_whose_sockets_nothing_is_known_any_more_are_replaced() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let port = free_port();
    start(&baton, 2, json!({"env": {"AT": port.to_string()}}));
    let before: BTreeSet<u64> = baton.jlist().iter().filter_map(|entry| entry["pid"].as_u64()).collect();
    std::fs::remove_file(baton.home().join("run/clusters")).expect("the file");
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    baton.wait_for("workers that listen", |list| {
        list.iter().all(|view| view.ready && view.pid.is_some_and(|pid| !before.contains(&u64::from(pid))))
    });
    let seen: BTreeSet<String> = (0..2).map(|_| visit(port).expect("an answer")).collect();
    assert_eq!(seen.len(), 2);
}
