//! What others run: waited for, looked for, told of, and started only when that is asked for.

use crate::harness::{Baton, kill, testapp};
use baton_core::world::Status;
use serde_json::{Value, json};

/// A process file with an app `server` that depends on `db`, which others run.
fn file(baton: &Baton, db: Value) {
    let server = json!({"name": "server", "script": testapp(), "args": ["wait"], "depends_on": "db", "min_uptime": 0});
    let other = json!({"name": "other", "script": testapp(), "args": ["wait"], "min_uptime": 0});
    let all = json!({"apps": [server, other], "external": {"db": db}});
    baton.file("ecosystem.config.json", all.to_string());
}

fn status(baton: &Baton, name: &str) -> String {
    baton.entry(name)["pm2_env"]["status"].as_str().expect("a status").to_owned()
}

#[test]
fn an_app_starts_when_what_others_run_is_there() {
    let baton = Baton::new();
    // The path is relative: commands run where the process file is.
    file(&baton, json!({"exec": "test -e up", "timeout": "10m", "hint": "touch up"}));
    std::thread::scope(|scope| {
        let start = scope.spawn(|| baton.run(["start", "ecosystem.config.json"]));
        baton.wait_status("server", Status::Launching);
        baton.wait_status("other", Status::Online);
        baton.run(["describe", "server"]).ok().stdout_has("db (exec test -e up, within 600000 ms)");
        baton.run(["ls"]).ok().stdout_has("external db  exec test -e up  ✗ not reachable: exit code 1 (touch up)");
        baton.file("up", "");
        start
            .join()
            .expect("start")
            .ok()
            .stdout_has("Waiting up to 600000 ms for db (exec test -e up: exit code 1); touch up");
    });
    assert_eq!(status(&baton, "server"), "online");
    baton.run(["status"]).ok().stdout_has("external db  exec test -e up  ✓ reachable");
    // Its end is no matter of the apps that run.
    let pid = baton.pid("server");
    std::fs::remove_file(baton.dir().join("up")).expect("removed");
    assert_eq!(baton.pid("server"), pid);
}

#[test]
fn what_is_not_there_in_time_is_told_with_its_hint() {
    let baton = Baton::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let address = taken.local_addr().expect("address").to_string();
    drop(taken);
    file(&baton, json!({"tcp": address, "timeout": "1s", "hint": "docker compose up -d db"}));
    let run = baton.run(["start", "ecosystem.config.json"]).code(1);
    let run = run.stderr_has("needs db, which was not there within 1000 ms");
    run.stderr_has("docker compose up -d db");
    assert_eq!(["server", "other"].map(|name| status(&baton, name)), ["errored", "online"]);
    baton.run(["describe", "server"]).ok().stdout_has("docker compose up -d db");
    // Whoever does not want to wait says so.
    baton.run(["start", "server", "--no-deps"]).ok();
    assert_eq!(status(&baton, "server"), "online");
}

#[test]
fn something_external_is_started_only_when_that_is_asked_for() {
    let baton = Baton::new();
    let db = |start: &str| json!({"exec": "test -e up", "start": start, "timeout": 200, "hint": "ask the admins"});
    file(&baton, db("touch up; echo run >> runs"));
    baton.run(["start", "ecosystem.config.json"]).code(1).says("--start-externals starts it");
    assert!(!baton.dir().join("runs").exists());
    baton.run(["start", "ecosystem.config.json", "--start-externals"]).ok().says("Starting db: touch up");
    assert_eq!(status(&baton, "server"), "online");
    baton.run(["start", "ecosystem.config.json", "--start-externals"]).ok();
    assert_eq!(std::fs::read_to_string(baton.dir().join("runs")).expect("runs"), "run\n");
    std::fs::remove_file(baton.dir().join("up")).expect("removed");
    file(&baton, db("exit 4"));
    let pid = baton.pid("server");
    let run = baton.run(["restart", "ecosystem.config.json", "--start-externals"]).code(1);
    run.stderr_has("db could not be started").stderr_has("ask the admins");
    assert_eq!(baton.pid("server"), pid, "nothing was touched");
}

#[test]
fn check_looks_for_what_others_run() {
    let baton = Baton::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address").to_string();
    file(&baton, json!({"tcp": address, "hint": "start the database"}));
    let there = format!("✓ external db: tcp {address} is reachable");
    baton.run(["check", "ecosystem.config.json"]).ok().stdout_has(&there);
    let only = baton.run(["check", "ecosystem.config.json", "--external"]).ok().stdout_has(&there);
    assert_eq!(only.stdout.lines().count(), 2, "{only}");
    drop(listener);
    let run = baton.run(["check", "ecosystem.config.json", "--external"]).code(1);
    run.stdout_has("✗ external db: tcp").says("connection refused").stderr_has("help: start the database");
    baton.run(["start", "ecosystem.config.json", "--check"]).code(1).stdout_has("✗ external db");
    assert!(baton.connect().is_none(), "nothing was started");
}

#[test]
fn a_successor_of_the_daemon_goes_on_looking() {
    let baton = Baton::new();
    file(&baton, json!({"exec": "test -e up", "timeout": "10m"}));
    std::thread::scope(|scope| {
        let start = scope.spawn(|| baton.run(["start", "ecosystem.config.json"]));
        baton.wait_status("server", Status::Launching);
        baton.wait_status("other", Status::Online);
        let daemon = baton.daemon();
        kill(daemon);
        // Whoever waited for its answer is told that it is gone.
        start.join().expect("start").code(1);
        baton.connect_to_successor(daemon);
        baton.wait_status("server", Status::Launching);
        baton.file("up", "");
        baton.wait_status("server", Status::Online);
    });
}

#[test]
fn an_entry_that_makes_no_sense_is_told_with_its_place() {
    let baton = Baton::new();
    let head = "apps: [{ name: a, script: /bin/sleep, depends_on: db }]\nexternal:\n  db:\n";
    for (entry, wanted) in [
        ("    tpc: 1\n", ":4:5: external `db`: unknown key `tpc`"),
        ("    hint: x\n", ":3:3: external `db` needs one of tcp, http and exec"),
        ("    tcp: 1\n    exec: x\n", ":3:3: external `db` needs one of"),
        ("    tcp: db\n", ":4:5: external `db`: `tcp: \"db\"` is not a port of a host"),
        ("    http: https://x/\n", "is not an address of http"),
        ("    tcp: 80\n    timeout: soon\n", ":5:5: external `db`: `timeout: \"soon\"` is not a time"),
    ] {
        baton.file("ecosystem.config.yaml", format!("{head}{entry}"));
        baton.run(["start", "ecosystem.config.yaml"]).code(1).stderr_has(wanted);
    }
    baton.file("ecosystem.config.yaml", format!("{head}    tcp: 80\n  a:\n    tcp: 81\n"));
    baton.run(["start", "ecosystem.config.yaml"]).code(1).stderr_has("external `a` is called like an app");
    let exited = "apps: [{ name: a, script: x,\n  depends_on: { db: exited } }]\nexternal: { db: { tcp: 80 } }\n";
    baton.file("ecosystem.config.yaml", exited);
    baton
        .run(["start", "ecosystem.config.yaml"])
        .code(1)
        .stderr_has("ecosystem.config.yaml:2:3: app `a` waits for `exited` of `db`");
    assert!(baton.connect().is_none(), "nothing was started");
}

#[test]
fn a_first_process_file_waits_for_what_docker_compose_runs() {
    let baton = Baton::new();
    let listeners = ["mongodb", "redis"].map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("port"));
    let [mongodb, redis] = listeners.each_ref().map(|listener| listener.local_addr().expect("address").port());
    baton.file(
        "docker-compose.yml",
        format!("services:\n  mongodb:\n    image: mongo:7\n    ports: [\"{mongodb}:27017\"]\n  redis:\n    image: redis:7\n    ports: [\"127.0.0.1:{redis}:6379\"]\n"),
    );
    let script = format!("{} wait", testapp().display());
    baton.file("package.json", json!({"name": "shop", "scripts": {"start": script}}).to_string());
    let run = baton.run(["init", "--format", "yaml"]).ok().stdout_has("ecosystem.config.yaml written: 1 apps: shop");
    run.stdout_has(&format!("docker-compose.yml: mongodb on port {mongodb}"));
    let run = baton.run(["check", "--external"]).ok();
    run.stdout_has(&format!("✓ external mongodb: tcp 127.0.0.1:{mongodb} is reachable"))
        .stdout_has(&format!("✓ external redis: tcp 127.0.0.1:{redis} is reachable"));
    baton.run(["start"]).ok();
    assert_eq!(status(&baton, "shop"), "online");
    drop(listeners);
    let run = baton.run(["check", "--external"]).code(1);
    run.stderr_has("docker compose up -d mongodb").stderr_has("docker compose up -d redis");
}

#[test]
fn a_file_of_dependencies_that_init_writes_is_waited_for() {
    let baton = Baton::new();
    let app = json!({"name": "svc", "script": testapp(), "args": ["wait"], "min_uptime": 0, "depends_on": "redis"});
    baton.file("ecosystem.config.json", json!({"apps": [app]}).to_string());
    for name in ["mongodb", "chromadb", "postgres"] {
        let other = Baton::new();
        other.run(["init", "--dependency", name]).ok().stdout_has("ecosystem.dependencies.js written");
        other.run(["render", "--raw", "ecosystem.dependencies.js"]).ok().stdout_has(&format!("\"{name}\""));
    }
    baton.run(["init", "--dependency", "redis"]).ok();
    // The usual port may be taken on this machine.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address").to_string();
    let path = baton.dir().join("ecosystem.dependencies.js");
    let text = std::fs::read_to_string(&path).expect("the file");
    assert!(text.contains("tcp: \"127.0.0.1:6379\""), "{text}");
    std::fs::write(&path, text.replace("127.0.0.1:6379\"", &format!("{address}\""))).expect("written");
    baton.run(["check"]).ok().stdout_has(&format!("✓ external redis: tcp {address} is reachable"));
    baton.run(["start", "ecosystem.config.json"]).ok();
    assert_eq!(status(&baton, "svc"), "online");
    baton.run(["ls"]).ok().stdout_has("external redis  tcp");
    baton.run(["init", "--dependency", "redis"]).code(1).stderr_has("is here already and is left as it is");
}

#[test]
fn a_check_looks_no_longer_than_the_entry_allows() {
    let baton = Baton::new();
    file(&baton, json!({"exec": "test -e up || sleep 600", "timeout": "200ms", "hint": "touch up"}));
    let run = baton.run(["check", "--external", "ecosystem.config.json"]).code(1);
    run.stdout_has("not reachable: the command took too long").stderr_has("touch up");
    baton.file("up", "");
    baton.run(["check", "--external", "ecosystem.config.json"]).ok();
}
