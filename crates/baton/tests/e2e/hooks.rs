//! Hooks: commands and addresses that are told what happens to apps.

use crate::harness::{Baton, alive, ended, kill, terminate, testapp};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;

fn start(baton: &Baton, file: Value) {
    baton.file("ecosystem.config.json", file.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
}

fn app(name: &str, args: &str) -> Value {
    json!({"name": name, "script": testapp(), "args": args, "max_restarts": 2, "env": {"WHO": "me"}})
}

#[test]
fn a_command_is_told_as_json_and_by_variables_in_the_apps_directory_and_environment() {
    let baton = Baton::new();
    let told = baton.dir().join("told");
    let line = "cat > told.new; echo \" $BATON_EVENT $BATON_EVENT_APP $BATON_EVENT_EXIT_CODE $WHO\" >> told.new; mv told.new told";
    start(&baton, json!({"apps": [app("web", "exit:7")], "on_event": line}));
    baton.wait_status("web", Status::Errored);
    let text = baton.wait_file(&told, "me");
    let (json, words) = text.trim().split_once("} ").expect("both");
    assert_eq!(words.trim(), "errored web 7 me");
    let report: Value = serde_json::from_str(&format!("{json}}}")).expect("json");
    assert_eq!((&report["event"], &report["app"], &report["id"]), (&json!("errored"), &json!("web"), &json!(0)));
    assert_eq!((&report["exit"], &report["status"]), (&json!({"code": 7}), &json!("errored")));
    assert!(report["why"].as_str().expect("why").contains("unstable exits in a row"), "{report}");
    baton.wait_log("../pm2.log", "hook of web (0) was told of errored");
}

#[test]
fn an_address_is_told_by_a_post_again_until_it_has_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for answer in ["503 Busy", "200 OK"] {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = Vec::new();
            let mut bytes = [0; 4096];
            let body = loop {
                let count = stream.read(&mut bytes).expect("a request");
                request.extend_from_slice(&bytes[..count]);
                let text = String::from_utf8_lossy(&request);
                if let Some((_, body)) = text.split_once("\r\n\r\n")
                    && let Ok(body) = serde_json::from_str::<Value>(body)
                {
                    break body;
                }
            };
            stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).expect("an answer");
            bodies.push(body);
        }
        bodies
    });
    let baton = Baton::new();
    let unit = json!({"apps": [app("web", "exit:7")], "on_event": format!("http://127.0.0.1:{port}/hook")});
    start(&baton, json!({"units": {"shop": unit}, "apps": []}));
    let bodies = server.join().expect("the server");
    assert_eq!(bodies[0], bodies[1], "the same event");
    assert_eq!((&bodies[0]["event"], &bodies[0]["unit"]), (&json!("errored"), &json!("shop")));
}

#[test]
fn a_hook_that_fails_is_told_by_events_and_holds_nothing_up() {
    let baton = Baton::new();
    let hooks = json!([
        {"exec": "echo broken >&2; exit 3", "retries": 0},
        {"exec": "sleep 1000", "timeout": "300ms", "retries": 0},
    ]);
    let mut web = app("web", "exit:7");
    web["on_event"] = hooks;
    start(&baton, json!({"apps": [web, app("other", "wait")]}));
    baton.wait_status("web", Status::Errored);
    baton.wait_log("../pm2.log", "the command took too long");
    baton.wait_log("../pm2.log", "exit code 3: broken");
    let failed = |list: &[baton_core::world::InstanceView]| list.iter().any(|view| view.hook.is_some());
    baton.wait_for("the hook that failed", failed);
    baton.run(["events", "web", "--nostream"]).ok().stdout_has("could not be told of errored: exit code 3: broken");
    baton.run(["describe", "web"]).ok().stdout_has("could not be told of errored");
    baton.run(["restart", "other"]).ok();
}

#[test]
fn a_command_of_a_hook_is_left_behind_neither_by_an_end_nor_by_a_death_of_the_daemon() {
    for end in [terminate as fn(u32), kill] {
        let baton = Baton::new();
        let file = baton.dir().join("pids");
        let line = "sleep 1000 & echo $! $$ > pids.new; mv pids.new pids; wait";
        let mut web = app("web", "exit:7");
        web["on_event"] = json!({"exec": line, "timeout": "5m", "retries": 0});
        start(&baton, json!({"apps": [web]}));
        let text = baton.wait_file(&file, "\n");
        let pids: Vec<u32> = text.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
        assert!(pids.iter().all(|pid| alive(*pid)));
        let daemon = baton.daemon();
        end(daemon);
        for pid in pids {
            ended(pid);
        }
    }
}

#[test]
fn a_hook_that_makes_no_sense_is_refused_where_it_stands() {
    let baton = Baton::new();
    let refused = |hook: &str, told: &str| {
        let text = format!("apps:\n  - name: web\n    script: {}\n    on_event: {hook}\n", testapp().display());
        baton.file("bad.yaml", text);
        baton.run(["start", "bad.yaml"]).code(1).says("bad.yaml").says(told);
    };
    refused("https://example.org/hook", "https is not spoken");
    refused("https://example.org/hook", "curl -fsS");
    refused("{ exec: x, events: [crashed] }", "its events name \"crashed\"");
    refused("{ events: [errored] }", "is not a hook");
}
