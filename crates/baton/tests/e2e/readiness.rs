//! Apps that tell when they are ready, or are looked at: who waits for them goes on then and not before.

use crate::harness::{Baton, kill, port_in, testapp};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// A process file with the app `a`, which is ready as told, and `b`, which depends on it. Neither is ready by being up.
fn file(baton: &Baton, ready: Value, actions: &[&str]) {
    let a = json!({"name": "a", "script": testapp(), "args": actions, "ready": ready, "env": {"WORD": "yes"}, "min_uptime": "1h"});
    let b = json!({"name": "b", "script": testapp(), "args": ["wait"], "min_uptime": 0, "depends_on": "a"});
    baton.file("ecosystem.config.json", json!([a, b]).to_string());
}

fn fifo(baton: &Baton, name: &str) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, baton.dir().join(name), mode).expect("a FIFO");
}

fn open_gate(baton: &Baton) {
    drop(std::fs::File::options().write(true).open(baton.dir().join("gate")).expect("the gate"));
}

/// Starts the file and waits; meanwhile `a` is seen not to be ready, then `happens` makes it so.
fn ready_when(baton: &Baton, happens: impl FnOnce()) {
    std::thread::scope(|scope| {
        let start = scope.spawn(|| baton.run(["start", "ecosystem.config.json", "--wait=10m"]));
        let list = baton.wait_for("a to run and b to wait", |list| {
            let has = |name: &str, runs: bool| {
                list.iter()
                    .any(|view| view.name == name && view.status == Status::Launching && view.pid.is_some() == runs)
            };
            has("a", true) && has("b", false)
        });
        assert!(list.iter().all(|view| !view.ready));
        happens();
        start.join().expect("start").ok();
    });
    let list = baton.wait_for("both to be ready", |list| list.iter().all(|view| view.ready));
    assert_eq!(list.len(), 2);
}

#[test]
fn an_app_is_ready_when_it_notifies() {
    let baton = Baton::new();
    fifo(&baton, "gate");
    file(&baton, json!("notify"), &["notify:STATUS=loading", "gate:gate", "notify:STATUS=up\nREADY=1", "wait"]);
    ready_when(&baton, || open_gate(&baton));
    // A new life has a socket of its own, and says so again.
    let first = baton.pid("a");
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| baton.run(["restart", "a", "--wait=10m"]));
        baton.wait_for("a new life", |list| {
            list.iter().any(|view| view.name == "a" && view.pid.is_some_and(|pid| pid != first) && !view.ready)
        });
        open_gate(&baton);
        restart.join().expect("restart").ok();
    });
}

#[test]
fn an_app_is_ready_when_it_writes_a_line_to_its_descriptor() {
    let baton = Baton::new();
    fifo(&baton, "gate");
    file(&baton, json!("fd"), &["gate:gate", "readyfd:", "wait"]);
    ready_when(&baton, || open_gate(&baton));
}

#[test]
fn what_an_app_says_reaches_the_successor_of_a_daemon_that_died() {
    let ways = [
        (json!("notify"), "notify:READY=1"),
        (json!("fd"), "readyfd:up"),
        (json!({"log": "^listening on [0-9]+$"}), "out:listening on 80"),
    ];
    for (ready, says) in ways {
        let baton = Baton::new();
        fifo(&baton, "gate");
        file(&baton, ready, &["gate:gate", says, "out:said", "wait"]);
        baton.run(["start", "ecosystem.config.json", "--only", "a"]).ok();
        let daemon = baton.daemon();
        kill(daemon);
        open_gate(&baton);
        baton.connect_to_successor(daemon);
        baton.wait_for("it to be ready", |list| list.iter().any(|view| view.ready && view.status == Status::Online));
        baton.wait_log("a-out.log", "said");
        let entry = baton.entry("a");
        assert_eq!(entry["pm2_env"]["restart_time"], 0);
    }
}

#[test]
fn an_app_is_ready_when_it_writes_the_line_however_its_logs_are_kept() {
    for logs in [json!({}), json!({"log_type": "json"}), json!({"time": true}), json!({"disable_logs": true})] {
        let baton = Baton::new();
        fifo(&baton, "gate");
        let mut a = json!({
            "name": "a", "script": testapp(), "min_uptime": "1h", "ready": {"log": "^up( now)?$"},
            "args": ["out:startup", "part:u", "err:up again", "gate:gate", "out:p now", "wait"],
        });
        a.as_object_mut().expect("map").extend(logs.as_object().expect("map").clone());
        let b = json!({"name": "b", "script": testapp(), "args": ["wait"], "min_uptime": 0, "depends_on": "a"});
        baton.file("ecosystem.config.json", json!([a, b]).to_string());
        ready_when(&baton, || open_gate(&baton));
    }
}

#[test]
fn an_app_may_wait_for_a_line_of_another_whether_it_is_written_already_or_will_be() {
    let baton = Baton::new();
    fifo(&baton, "gate");
    let app = |name: &str, actions: &[&str], more: Value| {
        let mut app = json!({"name": name, "script": testapp(), "args": actions, "min_uptime": 0});
        app.as_object_mut().expect("map").extend(more.as_object().expect("map").clone());
        app
    };
    let a = app("a", &["out:migrated 3 tables", "out:warm", "gate:gate", "err:hot", "wait"], json!({}));
    baton.file("a.config.json", json!([a]).to_string());
    baton.run(["start", "a.config.json", "--wait"]).ok();
    baton.wait_log("a-out.log", "warm");
    // Written before anybody waited for it.
    let b = app("b", &["wait"], json!({"depends_on": {"a": "log:migrated \\d+ tables"}}));
    let c = app("c", &["wait"], json!({"depends_on": {"a": "log:^hot$"}}));
    baton.file("b.config.json", json!([b]).to_string());
    baton.run(["start", "b.config.json", "--wait=10m"]).ok();
    // Written while somebody waits.
    baton.file("c.config.json", json!([c]).to_string());
    std::thread::scope(|scope| {
        let start = scope.spawn(|| baton.run(["start", "c.config.json", "--wait=10m"]));
        baton
            .wait_for("c to wait", |list| list.iter().any(|view| view.name == "c" && view.status == Status::Launching));
        open_gate(&baton);
        start.join().expect("start").ok();
    });
    // What the last life has written counts no more.
    let late = app("d", &["wait"], json!({"depends_on": {"a": {"condition": "log:^hot$", "timeout": "300ms"}}}));
    baton.file("d.config.json", json!([late]).to_string());
    let hot = baton.pid("a");
    baton.run(["restart", "a"]).ok();
    assert_ne!(baton.pid("a"), hot);
    let run = baton.run(["start", "d.config.json", "--wait=10m"]).code(1);
    run.stderr_has("needs a, which did not write a line like `^hot$` within 300 ms");
}

#[test]
fn of_a_line_that_is_written_already_counts_what_the_app_wrote() {
    for logs in [json!({}), json!({"log_type": "json"}), json!({"time": true})] {
        let baton = Baton::new();
        let mut a = json!({
            "name": "a", "script": testapp(), "args": ["out:not yet: ready in 30s", "out:warm", "wait"], "min_uptime": 0,
        });
        a.as_object_mut().expect("map").extend(logs.as_object().expect("map").clone());
        baton.file("a.config.json", json!([a]).to_string());
        baton.run(["start", "a.config.json", "--wait"]).ok();
        baton.wait_log("a-out.log", "warm");
        let start = |name: &str, on: Value| {
            let app =
                json!({"name": name, "script": testapp(), "args": ["wait"], "min_uptime": 0, "depends_on": {"a": on}});
            baton.file("b.config.json", json!([app]).to_string());
            baton.run(["start", "b.config.json", "--wait=10m"])
        };
        start("b", json!("log:^not yet: ready in 30s$")).ok();
        let run = start("c", json!({"condition": "log:^ready", "timeout": "300ms"})).code(1);
        run.stderr_has("needs a, which did not write a line like `^ready` within 300 ms");
    }
}

#[test]
fn an_app_is_ready_when_its_port_takes_connections() {
    let baton = Baton::new();
    fifo(&baton, "gate");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address").port();
    file(&baton, json!({"tcp": free, "timeout": "10m"}), &["gate:gate", &format!("listen:{free}")]);
    ready_when(&baton, || open_gate(&baton));
    assert_eq!(port_in(&baton.wait_log("a-out.log", "listening "), "listening "), free);
}

#[test]
fn an_app_is_ready_when_its_page_is_good() {
    let baton = Baton::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/health", listener.local_addr().expect("address"));
    file(&baton, json!({"http": url, "interval": 20, "timeout": "10m"}), &["wait"]);
    let answer = |status: &str| {
        let (mut stream, _) = listener.accept().expect("a look");
        let mut asked = String::new();
        BufReader::new(&stream).read_line(&mut asked).expect("a request");
        assert_eq!(asked, "GET /health HTTP/1.1\r\n");
        write!(stream, "HTTP/1.1 {status}\r\n\r\n").expect("an answer");
    };
    // The looks wait in the listener's queue until they are answered.
    ready_when(&baton, || ["503 Soon", "500 No", "200 OK"].into_iter().for_each(answer));
}

#[test]
fn an_app_is_ready_when_a_command_in_its_place_says_so() {
    let baton = Baton::new();
    file(
        &baton,
        json!({"exec": "test \"$WORD$name\" = yesa && test -e up", "interval": 20, "timeout": "10m"}),
        &["wait"],
    );
    ready_when(&baton, || drop(baton.file("up", "")));
    // A successor goes on looking.
    std::fs::remove_file(baton.dir().join("up")).expect("removed");
    baton.run(["restart", "a"]).ok();
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    assert!(!baton.wait_status("a", Status::Launching).ready);
    baton.file("up", "");
    baton.wait_for("it to be ready", |list| list.iter().any(|view| view.name == "a" && view.ready));
}

#[test]
fn what_is_not_ready_in_time_fails_and_tells_why() {
    let baton = Baton::new();
    let said: Vec<String> = (0..25).map(|number| format!("err:line {number}.")).collect();
    let mut actions: Vec<&str> = said.iter().map(String::as_str).collect();
    actions.push("wait");
    let ready = json!({"exec": "false", "timeout": "1s"});
    let app = json!({"name": "a", "script": testapp(), "args": actions, "ready": ready, "max_restarts": 1});
    baton.file("ecosystem.config.json", app.to_string());
    let run = baton.run(["start", "ecosystem.config.json", "--wait=10m"]).code(1);
    let run = run.stderr_has("App [a](0): was not ready within 1000 ms");
    let run = run.stderr_has("line 5.\n").stderr_has("line 24.\n");
    assert!(!run.stderr.contains("line 4."), "20 lines: {run}");
    baton.wait_status("a", Status::Errored);
    baton.run(["describe", "a"]).ok().stdout_has("was not ready within 1000 ms");
}

#[test]
fn what_is_not_ready_and_is_not_tried_again_tells_why_too() {
    let baton = Baton::new();
    let ready = json!({"exec": "false", "timeout": "200ms"});
    let app = json!({"name": "a", "script": testapp(), "args": ["wait"], "ready": ready, "max_restarts": 0});
    baton.file("ecosystem.config.json", app.to_string());
    for start in [&["start", "ecosystem.config.json", "--wait=10m"][..], &["start", "a", "--wait=10m"]] {
        baton.run(start).code(1).stderr_has("App [a](0): was not ready within 200 ms");
        baton.wait_status("a", Status::Errored);
    }
}

#[test]
fn what_ends_before_it_is_ready_fails_with_its_last_words() {
    let baton = Baton::new();
    file(&baton, json!("notify"), &["err:no database", "exit:3"]);
    let run = baton.run(["start", "ecosystem.config.json", "--only", "a", "--wait=10m"]).code(1);
    run.stderr_has("exited with code 3 before it was ready").stderr_has("no database");
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let baton = Baton::new();
    file(&baton, json!({"log": "up("}), &["wait"]);
    baton.run(["start", "ecosystem.config.json"]).code(1).stderr_has("`up(` is no regular expression");
    assert_eq!(baton.jlist().len(), 0);
}
