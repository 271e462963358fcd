//! Processes that say by HTTP or WebSocket that they are well.

use crate::harness::{Baton, alive, kill, testapp};
use crate::load::free_port;
use baton_core::world::{InstanceView, Status};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn app(name: &str, args: &[&str], more: Value) -> Value {
    let mut app = json!({"name": name, "script": testapp(), "args": args, "min_uptime": 0});
    app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    app
}

fn start(baton: &Baton, file: &Value) {
    baton.file("ecosystem.config.json", file.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
}

/// The status and the body of an answer.
fn ask(port: u16, request: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

fn post(port: u16, body: &str) -> (u16, Value) {
    let length = body.len();
    ask(port, &format!("POST /heartbeat HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"))
}

fn heartbeats(port: u16) -> Vec<Value> {
    match ask(port, "GET /heartbeats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") {
        (200, Value::Array(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

fn number_in(log: &str, before: &str) -> u32 {
    let rest = log.rsplit(before).next().expect("a number");
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

fn wait_view(baton: &Baton, what: &str, wished: impl Fn(&InstanceView) -> bool) -> InstanceView {
    let list = baton.wait_for(what, |list| list.iter().any(&wished));
    list.into_iter().find(|view| wished(view)).expect("just seen")
}

fn restarted(baton: &Baton, name: &str) -> InstanceView {
    wait_view(baton, "a restart", |view| view.name == name && view.restarts > 0 && view.status == Status::Online)
}

#[test]
fn who_has_beaten_and_falls_silent_is_started_again_and_who_never_has_is_not() {
    let baton = Baton::new();
    let port = free_port();
    let beats = format!("beat:{port}");
    let heartbeat = json!({"port": port, "timeout": "300ms", "interval": 20});
    let once = format!("once:was:{beats}+wait");
    let file = json!({"heartbeat": heartbeat, "apps": [
        app("silent", &[&once, "wait"], json!({})),
        app("never", &["wait"], json!({})),
        app("off", &[&beats, "wait"], json!({"heartbeat": false})),
    ]});
    start(&baton, &file);
    restarted(&baton, "silent");
    baton.run(["why", "silent"]).ok().stdout_has("no heartbeat for 300 ms (pid ");
    let heard = baton.wait_log("off-out.log", "heard ");
    assert!(heard.contains("belongs to no running app with `heartbeat`"), "{heard}");
    for name in ["never", "off"] {
        assert_eq!(baton.entry(name)["pm2_env"]["restart_time"], 0, "{name}");
    }
}

#[test]
fn only_a_process_of_an_app_counts_and_nonsense_is_told() {
    let baton = Baton::new();
    let port = free_port();
    let heartbeat = json!({"port": port, "timeout": "10m"});
    let app = app("web", &["child:wait", "wait"], json!({"heartbeat": heartbeat, "env": {"A": "1"}}));
    start(&baton, &app);
    let child = number_in(&baton.wait_log("web-out.log", "child "), "child ");
    let (me, leader) = (std::process::id(), baton.pid("web"));
    let (status, answer) = post(port, &json!({"pid": me, "name": "web"}).to_string());
    assert_eq!(
        (status, &answer["ignored"]),
        (200, &json!(format!("process {me} belongs to no running app with `heartbeat`")))
    );
    assert_eq!(post(port, &json!({"pid": leader}).to_string()), (200, json!({"pid": leader, "name": "web"})));
    // One instance, one process of that name; another name is another matter.
    assert!(post(port, &json!({"pid": child, "name": "web"}).to_string()).1["ignored"].is_string());
    assert_eq!(
        post(port, &json!({"pid": child, "name": "helper"}).to_string()).1,
        json!({"pid": child, "name": "helper"})
    );
    let rows = heartbeats(port);
    let seen: Vec<_> =
        rows.iter().map(|row| (row["pid"].as_u64(), row["name"].as_str(), row["app"].as_str())).collect();
    assert_eq!(
        seen,
        [(Some(leader.into()), Some("web"), Some("web")), (Some(child.into()), Some("helper"), Some("web"))]
    );
    assert!(rows[0]["memory"].as_u64() > Some(0) && rows[0]["last"].as_u64() > Some(0), "{rows:?}");
    // Who has ended is not missed.
    kill(child);
    while heartbeats(port).len() > 1 {
        std::thread::yield_now();
    }
    for (body, error) in [("pid=1", "invalid json"), ("[]", "invalid json"), ("{\"pid\":\"x\"}", "pid required")] {
        assert_eq!(post(port, body), (400, json!({ "error": error })), "{body}");
    }
    let get = |path: &str, header: &str| {
        ask(port, &format!("GET {path} HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n")).0
    };
    assert_eq!(get("/heartbeats", "Host: evil.example:5005"), 403);
    assert_eq!(get("/heartbeats", "Host: localhost\r\nOrigin: http://evil.example"), 403);
    assert_eq!((get("/heartbeat", "Host: [::1]:1"), get("/", "Host: localhost")), (405, 404));
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err(), "at no other address");
    assert!(alive(leader));
    // Nobody wants it any more.
    baton.run(["stop", "web"]).ok();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_port_that_is_held_names_its_holder_and_is_taken_once_it_is_free() {
    let baton = Baton::new();
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = held.local_addr().expect("an address").port();
    start(&baton, &app("web", &["wait"], json!({"heartbeat": {"port": port}})));
    let text = format!("no heartbeats are taken: port {port} is held by ");
    let log = baton.wait_file(&baton.home().join("pm2.log"), &text);
    assert!(log.contains(&format!("(pid {})", std::process::id())), "{log}");
    baton.run(["ls"]).ok().says(&text);
    drop(held);
    baton.run(["restart", "web"]).ok();
    assert_eq!(heartbeats(port), [] as [Value; 0]);
    let run = baton.run(["ls"]).ok();
    assert!(!run.stderr.contains("no heartbeats") && !run.stdout.contains("no heartbeats"), "{run}");
}

#[test]
fn a_successor_of_the_daemon_listens_and_knows_who_had_beaten() {
    let baton = Baton::new();
    let port = free_port();
    let beats = format!("beat:{port}");
    let once = format!("once:was:{beats}+wait");
    start(&baton, &app("web", &[&once, "wait"], json!({"heartbeat": {"port": port, "timeout": "2s", "interval": 20}})));
    baton.wait_log("web-out.log", "heard ");
    let (daemon, pid) = (baton.daemon(), baton.pid("web"));
    kill(daemon);
    baton.connect_to_successor(daemon);
    let rows = heartbeats(port);
    assert_eq!(rows.first().map(|row| (&row["pid"], &row["name"])), Some((&json!(pid), &json!("web"))), "{rows:?}");
    restarted(&baton, "web");
    baton.run(["why", "web"]).ok().stdout_has(&format!("no heartbeat for 2 s (pid {pid})"));
}

#[test]
fn the_port_and_the_times_come_from_the_file_the_unit_or_the_variables() {
    let baton = Baton::new();
    let ports = [free_port(), free_port(), free_port()];
    let [one, two, three] = ports;
    let file = json!({
        "heartbeat": true,
        "units": {
            "duck": {"apps": ["duck_*"], "heartbeat": {"port": two}},
            "owl": {"apps": [app("ears", &["wait"], json!({}))], "heartbeat": {"port": three}},
        },
        "apps": [
            app("a", &["wait"], json!({"env": {"HEARTBEAT_PORT": one, "HEARTBEAT_TIMEOUT": 600_000, "CHECK_INTERVAL": "300000"}})),
            app("duck_ears", &["dump", "wait"], json!({})),
        ],
    });
    start(&baton, &file);
    for port in ports {
        assert_eq!(heartbeats(port), [] as [Value; 0]);
    }
    let seen = baton.wait_log("duck-ears-out.log", "HEARTBEAT_PORT");
    assert!(seen.contains(&format!("\"HEARTBEAT_PORT\":\"{two}\"")), "{seen}");
    let wrong = |more: Value| {
        baton.file("wrong.config.json", app("wrong", &["wait"], more).to_string());
        baton.run(["start", "wrong.config.json"]).code(1)
    };
    wrong(json!({"heartbeat": {"port": 99_999}})).stderr_has("its port is no port");
    wrong(json!({"heartbeat": "5005"})).stderr_has("a way to take heartbeats");
    wrong(json!({"heartbeat": true, "env": {"HEARTBEAT_TIMEOUT": "soon"}}))
        .stderr_has("the variable HEARTBEAT_TIMEOUT=\"soon\", which `heartbeat` asks for, is no time");
}

/// Whether a program is there; under CI it must be.
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(found || std::env::var_os("CI").is_none(), "there is no {program}");
    found
}

const JAVASCRIPT: &str = r#"
const http = require('http'), crypto = require('crypto');
const port = process.env.HEARTBEAT_PORT, beat = JSON.stringify({ pid: process.pid, name: process.env.name });
const byHttp = () => new Promise((done, fail) => {
  const request = http.request({ port, host: '127.0.0.1', path: '/heartbeat', method: 'POST', headers: { 'content-type': 'application/json' } },
    answer => { let text = ''; answer.on('data', part => text += part).on('end', () => done(answer.statusCode + ' ' + text)); });
  request.on('error', fail); request.write(beat); request.end();
});
const byFetch = async () => {
  const answer = await fetch(`http://127.0.0.1:${port}/heartbeat`, { method: 'POST', body: beat });
  return answer.status + ' ' + await answer.text();
};
const bySocket = () => new Promise((done, fail) => {
  const key = crypto.randomBytes(16).toString('base64');
  const request = http.request({ port, host: '127.0.0.1', path: '/heartbeat', headers: {
    connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': 13, 'sec-websocket-key': key } });
  request.on('error', fail).on('upgrade', (answer, socket) => {
    const hash = crypto.createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
    if (answer.headers['sec-websocket-accept'] !== hash) return fail(new Error('accept'));
    const mask = crypto.randomBytes(4), body = Buffer.from(beat).map((byte, at) => byte ^ mask[at % 4]);
    socket.on('data', frame => done(frame.subarray(2, 2 + frame[1]).toString()));
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | body.length]), mask, body]));
  }).end();
});
(async () => {
  console.log('http', await byHttp()); console.log('fetch', await byFetch(), await byFetch());
  console.log('socket', await bySocket()); console.log('done'); setInterval(() => {}, 1e6);
})().catch(error => { console.error(error); process.exit(1); });
"#;

const PYTHON: &str = r#"
import base64, json, os, socket, struct, time, urllib.request
port = int(os.environ["HEARTBEAT_PORT"])
beat = json.dumps({"pid": os.getpid(), "name": os.environ["PM2_PROCESS_NAME"]}).encode()
request = urllib.request.Request(f"http://127.0.0.1:{port}/heartbeat", beat, {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as answer:
    print("http", answer.status, answer.read().decode(), flush=True)
s = socket.create_connection(("127.0.0.1", port))
key = base64.b64encode(os.urandom(16)).decode()
s.sendall(f"GET /heartbeat HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
          f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
head = b""
while not head.endswith(b"\r\n\r\n"):
    head += s.recv(1)
mask = os.urandom(4)
masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(beat))
for _ in range(2):
    # A ping between is answered by a pong.
    s.sendall(bytes([0x89, 0x80]) + mask)
    assert s.recv(2) == bytes([0x8A, 0])
    s.sendall(bytes([0x81, 0x80 | len(beat)]) + mask + masked)
    head = s.recv(2)
    print("socket", s.recv(head[1]).decode(), flush=True)
print("done", flush=True)
time.sleep(1e6)
"#;

#[test]
fn clients_of_javascript_and_python_are_heard_over_both_protocols() {
    let programs = [("js", "node", "client.js", JAVASCRIPT), ("py", "python3", "client.py", PYTHON)];
    let programs: Vec<_> = programs.into_iter().filter(|(_, program, ..)| has(program)).collect();
    let baton = Baton::new();
    let port = free_port();
    let app = |(name, program, file, text): &(&str, &str, &str, &str)| {
        baton.file(file, text);
        json!({"name": name, "script": file, "interpreter": program, "env": {"PM2_PROCESS_NAME": name}})
    };
    let apps: Vec<Value> = programs.iter().map(app).collect();
    start(&baton, &json!({"heartbeat": {"port": port}, "apps": apps}));
    for (name, ..) in &programs {
        let said = baton.wait_log(&format!("{name}-out.log"), "done");
        let echo = json!({"pid": baton.pid(name), "name": name}).to_string();
        let first = said.lines().next().unwrap_or_default();
        assert_eq!(first, format!("http 200 {echo}"), "{said}");
        assert!(said.contains(&format!("socket {echo}\n")), "{said}");
    }
    let rows = heartbeats(port);
    let seen: Vec<_> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(seen, programs.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
}
