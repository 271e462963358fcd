//! What `listen` promises: sockets that are baton's, and programs that come and go behind them.

use crate::harness::{Baton, alive, ended, kill, testapp};
use crate::load::{Connections, Load, free_port, once};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A server of the helper program, ready once it has said so.
fn server(port: u16, version: &str) -> Value {
    json!({"name": "web", "script": testapp(), "args": ["readyfd:up", format!("serve:{version}")],
           "listen": format!("127.0.0.1:{port}"), "ready": "fd", "kill_timeout": "20s"})
}

fn file(baton: &Baton, apps: Value) {
    baton.file("ecosystem.config.json", apps.to_string());
}

fn with(mut app: Value, members: Value) -> Value {
    let members = members.as_object().expect("a map").clone();
    app.as_object_mut().expect("a map").extend(members);
    app
}

/// How clients use their connections.
pub(crate) const BOTH: &[Connections] = &[Connections::Short, Connections::Kept];

/// A file of the example.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/reload").join(name)
}

/// Whether a test needs to be left out here; never under CI.
pub(crate) fn lacks(program: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "asks for a version")]
    let found = std::process::Command::new(program).arg("--version").output().is_ok_and(|run| run.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "{program} is missing");
    !found
}

#[test]
fn an_app_gets_its_sockets_from_descriptor_3_on_then_its_readiness_pipe() {
    let baton = Baton::new();
    let (first, second) = (free_port(), free_port());
    let path = baton.dir().join("app.sock");
    let listen = json!({"web": format!("127.0.0.1:{first}"), "six": format!("[::1]:{second}"), "unix": path});
    let app = json!({"name": "a", "script": testapp(), "args": ["dump", "readyfd:", "wait"], "listen": listen, "ready": "fd"});
    file(
        &baton,
        json!([app, with(app.clone(), json!({"name": "b", "listen_pid": false, "listen": 1024 + second % 1000}))]),
    );
    baton.run(["start", "ecosystem.config.json", "--only", "a", "--wait"]).ok();
    let facts = |name: &str| -> Value {
        let log = baton.wait_log(&format!("{name}-out.log"), "}\n");
        serde_json::from_str(log.lines().last().expect("a line")).expect("facts")
    };
    let a = facts("a");
    assert_eq!(a["descriptors"], json!([0, 1, 2, 3, 4, 5, 6]));
    assert_eq!((&a["env"]["LISTEN_FDS"], &a["env"]["READY_FD"]), (&json!("3"), &json!("6")));
    assert_eq!(a["env"]["LISTEN_FDNAMES"], "web:six:unix");
    assert_eq!(a["env"]["LISTEN_PID"], a["pid"].to_string());
    // Connections are taken by the sockets, whatever the app does.
    TcpStream::connect(("127.0.0.1", first)).expect("IPv4");
    TcpStream::connect(("::1", second)).expect("IPv6");
    UnixStream::connect(&path).expect("a path");
    // What is given up is closed: its addresses are free and its file is gone when the command returns.
    baton.run(["delete", "a"]).ok();
    TcpListener::bind(("127.0.0.1", first)).expect("free again");
    assert!(!path.exists());
    baton.run(["start", "ecosystem.config.json", "--only", "b", "--wait"]).ok();
    let b = facts("b");
    assert_eq!((&b["env"]["LISTEN_FDS"], &b["env"]["LISTEN_PID"]), (&json!("1"), &Value::Null));
}

#[test]
fn a_taken_address_is_refused_with_who_has_it() {
    let baton = Baton::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let other = free_port();
    let second = with(server(other, "1"), json!({"name": "other"}));
    file(
        &baton,
        json!([server(port, "1"), second, with(server(other, "1"), json!({"name": "third", "depends_on": "other"}))]),
    );
    let us = format!("(pid {})", std::process::id());
    let run = baton.run(["start", "ecosystem.config.json", "--wait"]).code(1);
    let run = run.says(&format!("cannot listen on 127.0.0.1:{port}: it is in use by ")).says(&us);
    run.says(&format!("cannot listen on 127.0.0.1:{other}: it is that of app other"));
    baton.wait_status("web", Status::Errored);
    once(other).expect("the app with a free address runs");
    drop(taken);
    baton.run(["start", "web", "--wait"]).ok();
    once(port).expect("an answer");
}

#[test]
fn a_restart_a_crash_and_the_death_of_the_daemon_refuse_no_connection() {
    let baton = Baton::new();
    let port = free_port();
    file(&baton, json!([server(port, "1")]));
    baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
    let load = Load::on(port, 4, Connections::Short);
    load.wait_more(50);
    for _ in 0..3 {
        baton.run(["restart", "web"]).ok();
        load.wait_more(50);
    }
    for _ in 0..3 {
        let daemon = baton.daemon();
        kill(daemon);
        load.wait_more(50);
        baton.connect_to_successor(daemon);
        load.wait_more(50);
        // The successor gives the same socket to a new life.
        baton.run(["restart", "web"]).ok();
        load.wait_more(50);
    }
    load.end().is_perfect();
    // A life that is killed takes the connections with it that it had; no other is refused.
    let load = Load::on(port, 4, Connections::Short);
    load.wait_more(50);
    for _ in 0..3 {
        kill(baton.pid("web"));
        load.wait_more(50);
    }
    let seen = load.end();
    assert!(!seen.failed.iter().any(|why| why.contains("connect: ")), "{:?}", seen.failed);
    assert!(seen.failed.len() <= 3 * 4, "{:?}", seen.failed);
}

#[test]
fn a_stopped_app_frees_its_address_also_when_the_daemon_dies_meanwhile() {
    let baton = Baton::new();
    let port = free_port();
    file(&baton, json!([server(port, "1")]));
    baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
    baton.run(["stop", "web"]).ok();
    drop(TcpListener::bind(("127.0.0.1", port)).expect("free when the command has returned"));
    baton.run(["start", "web", "--wait"]).ok();
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    baton.run(["stop", "web"]).ok();
    drop(TcpListener::bind(("127.0.0.1", port)).expect("free when the command has returned"));
    // So does a guard that had to be replaced.
    baton.run(["start", "web", "--wait"]).ok();
    let (guard, daemon) = (baton.guard(), baton.daemon());
    kill(guard);
    baton.connect_to_successor(daemon);
    once(port).expect("an answer");
    baton.run(["reload", "web"]).ok();
    once(port).expect("an answer");
    baton.run(["delete", "web"]).ok();
    drop(TcpListener::bind(("127.0.0.1", port)).expect("free when the command has returned"));
}

#[test]
fn instances_share_a_socket_or_have_one_each() {
    for reuseport in [false, true] {
        let baton = Baton::new();
        let port = free_port();
        let listen = json!({"at": format!("127.0.0.1:{port}"), "reuseport": reuseport});
        file(&baton, json!([with(server(port, "1"), json!({"instances": 3, "listen": listen}))]));
        baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
        let load = Load::on(port, 4, Connections::Short);
        load.wait("answers of all three", |seen| seen.pids.len() == 3);
        baton.run(["reload", "web"]).ok();
        load.wait("answers of all six", |seen| seen.pids.len() == 6);
        load.end().is_perfect();
    }
}

#[test]
fn a_port_that_grows_from_instance_to_instance_begins_with_that_of_the_app() {
    let baton = Baton::new();
    let app = json!({"name": "a", "script": testapp(), "args": ["dump", "wait"], "instances": 3, "port": 4100, "increment_var": "PORT"});
    file(&baton, json!([app]));
    baton.run(["start", "ecosystem.config.json"]).ok();
    let mut ports: Vec<String> = baton.jlist().iter().map(|entry| entry["pm2_env"]["PORT"].to_string()).collect();
    ports.sort();
    assert_eq!(ports, ["4100", "4101", "4102"]);
}

#[test]
fn the_example_is_a_good_file() {
    let baton = Baton::new();
    let file = example("ecosystem.config.yaml");
    let run = baton.run(["render", file.to_str().expect("a path")]).ok().stdout_has("127.0.0.1:7272");
    // Several instances of a Node program are no cluster where they have sockets of their own.
    assert!(!run.stdout.contains("cluster"), "{run}");
}

/// So many reloads under load, over connections of these kinds: every request is answered, and each version has answered.
pub(crate) fn reloads(baton: &Baton, app: &Value, port: u16, times: u32, kinds: &[Connections]) {
    let set = |version: u32| {
        let mut app = app.clone();
        app["env"]["VERSION"] = version.to_string().into();
        file(baton, json!([app]));
    };
    set(0);
    baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
    let loads: Vec<Load> = kinds.iter().map(|kind| Load::on(port, 2, *kind)).collect();
    for version in 1..=times {
        set(version);
        baton.run(["startOrReload", "ecosystem.config.json"]).ok();
        for load in &loads {
            load.wait("answers of the new version", |seen| seen.versions.contains_key(&version.to_string()));
        }
    }
    for load in loads {
        load.end().is_perfect();
    }
    assert_eq!(once(port).expect("an answer").0, times.to_string());
}

#[test]
fn twenty_reloads_of_a_rust_server_lose_no_request() {
    let baton = Baton::new();
    let port = free_port();
    let app = with(server(port, ""), json!({"args": ["readyfd:up", "serve"]}));
    reloads(&baton, &app, port, 20, BOTH);
}

#[test]
fn twenty_reloads_of_a_python_server_lose_no_request() {
    if lacks("python3") {
        return;
    }
    let baton = Baton::new();
    let port = free_port();
    reloads(&baton, &with(server(port, ""), json!({"script": example("web.py"), "args": []})), port, 20, BOTH);
}

#[test]
fn twenty_reloads_of_a_node_server_lose_no_request() {
    if lacks("node") {
        return;
    }
    let baton = Baton::new();
    let port = free_port();
    reloads(&baton, &with(server(port, ""), json!({"script": example("web.mjs"), "args": []})), port, 20, BOTH);
}

#[test]
fn an_answer_that_takes_long_is_finished_within_kill_timeout() {
    if lacks("python3") {
        return;
    }
    let baton = Baton::new();
    let port = free_port();
    file(&baton, json!([with(server(port, ""), json!({"script": example("web.py"), "args": []}))]));
    baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
    let old = baton.pid("web");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(b"GET /stream/20 HTTP/1.1\r\n\r\n").expect("asked");
    let mut first = [0; 64];
    let count = stream.read(&mut first).expect("it has begun");
    assert!(first[..count].starts_with(b"HTTP/1.1 200"));
    baton.run(["reload", "web"]).ok();
    assert!(!alive(old), "the command returns when the old version has drained");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the whole answer");
    assert!(rest.ends_with("part 19 of 1\nend\n"), "{rest}");
    // One that does not end in time is cut off.
    file(
        &baton,
        json!([with(server(port, ""), json!({"script": example("web.py"), "args": [], "kill_timeout": 100}))]),
    );
    baton.run(["startOrReload", "ecosystem.config.json"]).ok();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(b"GET /stream/100000 HTTP/1.1\r\n\r\n").expect("asked");
    let _ = stream.read(&mut first).expect("it has begun");
    let old = baton.pid("web");
    baton.run(["reload", "web"]).ok();
    ended(old);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    once(port).expect("an answer of the new one");
}

#[test]
fn a_bad_build_leaves_the_old_version_serving() {
    let baton = Baton::new();
    let port = free_port();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken_at = taken.local_addr().expect("an address").to_string();
    let python = if lacks("python3") { None } else { Some("python3") };
    let probed = json!({"http": format!("http://127.0.0.1:{port}/"), "timeout": "2s"});
    let said = json!({"by": "fd", "timeout": "1s"});
    let bad: Vec<(&str, Value, &str)> = vec![
        ("exits at once", json!({"args": ["err:no such table", "exit:3"]}), "exited with code 3 before it was ready"),
        ("is killed", json!({"args": ["abort"]}), "was ended by SIGABRT before it was ready"),
        ("is never ready", json!({"args": ["wait"], "ready": said}), "was not ready within 1000 ms"),
        (
            "hangs and ignores signals",
            json!({"args": ["ignore:INT,TERM", "wait"], "ready": said, "kill_timeout": 100}),
            "was not ready within 1000 ms",
        ),
        (
            "listens elsewhere",
            json!({"args": [format!("listen:{}", free_port())], "ready": probed}),
            "was not ready within 2000 ms",
        ),
        ("is not there", json!({"script": baton.dir().join("missing")}), "no such file"),
        (
            "throws at import",
            json!({"script": baton.file("broken.py", "import no_such_module\n"), "interpreter": python, "args": []}),
            "exited with code 1 before it was ready",
        ),
        (
            "takes its address in another way",
            json!({"listen": {"at": format!("127.0.0.1:{port}"), "reuseport": true}}),
            "stop it first",
        ),
        ("needs a taken port", json!({"listen": [taken_at, format!("127.0.0.1:{port}")]}), "it is in use by "),
    ];
    let good = with(server(port, "good"), json!({"instances": 2}));
    file(&baton, json!([good]));
    baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
    let pids = |baton: &Baton| baton.jlist().iter().map(|entry| entry["pid"].clone()).collect::<Vec<_>>();
    let before = pids(&baton);
    let load = Load::on(port, 4, Connections::Short);
    load.wait_more(20);
    for (what, members, why) in bad {
        if what == "throws at import" && python.is_none() {
            continue;
        }
        file(&baton, json!([with(good.clone(), members)]));
        let run = baton.run(["startOrReload", "ecosystem.config.json"]).code(1).says(why);
        run.says("the old one still runs").says("was left as it is");
        assert_eq!(pids(&baton), before, "{what}");
        load.wait_more(20);
    }
    // The definition is still the good one.
    baton.run(["reload", "web"]).ok();
    let seen = load.end();
    seen.is_perfect();
    assert_eq!(Vec::from_iter(seen.versions.keys()), ["good"]);
}

#[test]
fn a_socket_that_the_new_definition_does_not_name_is_closed_and_the_others_stay_open() {
    let baton = Baton::new();
    let (stays, goes, comes) = (free_port(), free_port(), free_port());
    let listen = |ports: [u16; 2]| json!({"listen": ports.map(|port| format!("127.0.0.1:{port}"))});
    file(&baton, json!([with(server(stays, "1"), listen([stays, goes]))]));
    baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
    let load = Load::on(stays, 2, Connections::Short);
    load.wait_more(20);
    once(goes).expect("an answer");
    file(&baton, json!([with(server(stays, "2"), listen([comes, stays]))]));
    baton.run(["startOrReload", "ecosystem.config.json"]).ok();
    once(comes).expect("an answer");
    drop(TcpListener::bind(("127.0.0.1", goes)).expect("free when the command has returned"));
    load.wait_more(20);
    load.end().is_perfect();
    // A candidate that fails takes the sockets with it that only it has.
    let broken = with(server(stays, "3"), listen([goes, stays]));
    file(&baton, json!([with(broken, json!({"args": ["exit:1"]}))]));
    baton.run(["startOrReload", "ecosystem.config.json"]).code(1);
    drop(TcpListener::bind(("127.0.0.1", goes)).expect("free when the command has returned"));
    once(comes).expect("an answer of the old one");
}
