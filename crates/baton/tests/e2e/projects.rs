//! Whole projects, run as their authors run them: the folders under `examples/`.

use crate::harness::{Baton, alive, kill, port_in};
use crate::programs::node;
use baton_core::world::Status;
use std::path::{Path, PathBuf};

/// A copy of an example in the test's own directory.
pub(crate) fn project(baton: &Baton, name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    copy(&from, baton.dir());
    baton.dir().to_owned()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("example") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            std::fs::create_dir_all(&target).expect("folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("copy");
        }
    }
}

fn get(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connect");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    answer
}

#[test]
fn an_npm_workspace_in_development() {
    if !node() {
        return;
    }
    let baton = Baton::new().env("PORT", "0");
    project(&baton, "workspace");
    // The scripts of such projects clear the list first, whether or not there is one.
    baton.run(["delete", "all", "--silent"]);
    baton.run(["start", "ecosystem.config.cjs"]).ok().stdout_has("[PM2]");
    let status = baton.run(["status"]).ok();
    assert_eq!(status.stdout.lines().filter(|line| line.contains("online")).count(), 2, "{status}");
    let said = baton.wait_log("server-out.log", "listening");
    let port = port_in(&said, "\"port\":");
    assert!(get(port, "/x").contains(r#""mode":"test""#));

    // Killed by hand it is back after restart_delay, and its server's port is another process's.
    let first = baton.pid("server");
    kill(first);
    baton.wait_for("the server to wait for its restart or be back", |list| {
        list.iter().any(|v| v.name == "server" && v.status == Status::Online && v.pid.is_some_and(|pid| pid != first))
    });
    assert_eq!(baton.entry("server")["pm2_env"]["restart_time"], 1);

    // Started again, the same apps are restarted, and the command succeeds.
    let client = baton.pid("client");
    baton.run(["start", "ecosystem.config.cjs"]).ok();
    assert_ne!(baton.pid("client"), client);
    baton.run(["logs", "server", "--nostream", "--lines", "50"]).ok().stdout_has("listening");
    baton.run(["flush"]).ok();

    let said = baton.wait_log("client-out.log", "");
    let _ = said;
    let pids = [baton.pid("server"), baton.pid("client")];
    baton.run(["delete", "all"]).ok();
    assert!(pids.iter().all(|pid| !alive(*pid)));
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free at once");
}

#[test]
fn the_same_workspace_behind_a_proxy() {
    if !node() {
        return;
    }
    let baton = Baton::new().env("PORT", "0").env("PROXY_PORT", "0");
    project(&baton, "workspace");
    baton.run(["start", "ecosystem.proxy.config.cjs"]).ok();
    let said = baton.wait_log("proxy-out.log", "arguments");
    assert!(said.contains("['run', '--config', '', '--adapter', '']"), "{said}");
    let server = port_in(&baton.wait_log("server-out.log", "listening"), "\"port\":");
    let proxy = port_in(&said, "proxy on ");
    assert!(get(proxy, "/").contains("502"), "nothing listens on the default upstream port");
    assert!(get(server, "/").contains("200 OK"));
    baton.run(["delete", "ecosystem.proxy.config.cjs"]).ok();
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn a_taken_port_ends_errored_after_max_restarts() {
    let baton = Baton::new();
    let root = project(&baton, "workspace");
    // On a loaded machine Python may need longer than the usual second to find out.
    let file = root.join("ecosystem.proxy.config.cjs");
    let text = std::fs::read_to_string(&file).expect("file");
    std::fs::write(&file, text.replace("max_restarts: 3,", "max_restarts: 3, min_uptime: '1m',")).expect("file");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = taken.local_addr().expect("address").port().to_string();
    let run = baton
        .command(["start", "ecosystem.proxy.config.cjs", "--only", "proxy"])
        .env("PROXY_PORT", port)
        .output()
        .expect("start");
    assert!(run.status.success());
    let view = baton.wait_status("proxy", Status::Errored);
    assert_eq!(view.restarts, 2);
    baton.run(["status"]).ok().stdout_has("errored");
    baton.run(["logs", "proxy", "--err", "--nostream"]).ok().says("Address already in use");
}

#[test]
fn the_same_workspace_in_production() {
    if !node() {
        return;
    }
    let baton = Baton::called("pm2").env("PORT", "0").env("PROXY_PORT", "0");
    project(&baton, "workspace");
    let file = "ecosystem.production.config.cjs";
    baton.run(["delete", file, "--silent"]).ok();
    baton.run(["start", file]).ok();
    baton.wait_log("worker-out.log", "working in production");
    baton.wait_log("queue-out.log", "settings: -Dconfig=queue.conf");
    assert_eq!(baton.entry("worker")["pm2_env"]["kill_timeout"], 5000);
    assert_eq!(baton.jlist().len(), 4);
    baton.run(["stop", file]).ok();
    assert!(baton.jlist().iter().all(|entry| entry["pm2_env"]["status"] == "stopped"));
    baton.run(["delete", file]).ok();
}

#[test]
fn the_runbook_of_six_services() {
    if !node() {
        return;
    }
    let baton = Baton::called("pm2").env("ORCHESTRATOR_PORT", "0");
    let root = project(&baton, "runbook");
    let file = "pm2/ecosystem.dev.config.cjs";
    // Wrappers grep for this line, and take a second name that isn't there in their stride.
    baton.run(["start", file]).ok().stdout_has("[PM2]");
    let status = baton.run(["status"]).ok().stdout_has("mem").stdout_has("orchestrator");
    assert_eq!(status.stdout.matches("online").count(), 6, "one row a process: {status}");
    assert!(status.stdout.contains("mb"), "memory is shown: {status}");

    let log = root.join("scripts/logs/orchestrator-out.log");
    let said = baton.wait_file(&log, "orchestrator listens on");
    let (date, _) = said.split_once(": ").expect("a date");
    assert_eq!(date.len(), "2026-11-21 04:00:00 +00:00".len(), "{said}");
    baton.wait_file(&root.join("scripts/logs/scaffold-agent-error.log"), "writes warnings");
    baton.run(["logs", "agent-scaffold", "--err", "--lines", "100", "--nostream"]).ok().says("writes warnings");

    baton
        .run(["describe", "orchestrator"])
        .ok()
        .stdout_has("packages/orchestrator/dist/server.js")
        .stdout_has("online");
    baton.run(["restart", "orchestrator"]).ok();
    assert_eq!(baton.entry("orchestrator")["pm2_env"]["restart_time"], 1);
    baton.run(["restart", file, "orchestrator"]).ok();
    baton.run(["reset", "orchestrator"]).ok();
    assert_eq!(baton.entry("orchestrator")["pm2_env"]["restart_time"], 0);
    baton.run(["stop", "agent-validation"]).ok();
    assert_eq!(baton.jlist().len(), 6, "stop keeps the entry");
    baton.run(["delete", "agent-e2e"]).ok();
    assert_eq!(baton.jlist().len(), 5);
    baton.run(["restart", "no/such.config.cjs", "--name", "x"]).code(1);
    baton.run(["stop", file]).ok();
    baton.run(["delete", file]).ok();
    baton.run(["delete", file]).ok();
    baton.run(["kill"]).ok();
}

#[test]
fn the_master_file_and_its_agent() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let root = project(&baton, "agents");
    std::fs::copy(root.join("agents/duck/tokens.example"), root.join("agents/duck/.tokens")).expect("tokens");
    let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").expect("PATH"));
    let baton = baton.env("PATH", path);
    baton.run(["start", "ecosystem.config.js"]).ok();
    let names: Vec<String> =
        baton.jlist().iter().map(|entry| entry["name"].as_str().expect("name").to_owned()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    // Log paths are relative to each app's own folder; a helper's setting, changed by the master, reaches every app.
    let said = baton.wait_file(&root.join("services/py/indexer/logs/duck_indexer-out.log"), "\n");
    assert_eq!(said, "indexer is up as duck_indexer heartbeat 5105 agent Duck\n");
    let said = baton.wait_file(&root.join("services/ts/voice/logs/duck_voice-out.log"), "\n");
    assert_eq!(said, "voice is up as duck_voice heartbeat 5105 agent Duck\n");
    let said = baton.wait_file(&root.join("services/js/vision/logs/vision-out.log"), "\n");
    assert_eq!(said, "vision is up as vision heartbeat 5105 agent none\n");
    baton.wait_log("chromadb-out.log", "agents/duck");
    assert_eq!(baton.entry("duck_cephalon")["pm2_env"]["env"]["CHAT_TOKEN"], "not-a-real-token");

    // A service's own file runs alone, too.
    baton.run(["delete", "all"]).ok();
    baton.run(["start", "services/py/tts/ecosystem.config.js"]).ok();
    assert_eq!(baton.jlist().len(), 1);
}
