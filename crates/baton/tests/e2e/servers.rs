//! Servers that people run: each is reloaded under load, as the documentation says to run it, and no request is lost.

use crate::harness::{Baton, alive};
use crate::installed::installed;
use crate::load::{Connections, Load, free_port};
use crate::programs::node;
use crate::sockets::{BOTH, example, lacks, reloads};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An app of Python's standard library, for gunicorn.
const WSGI: &str = "
import os
def app(environ, start_response):
    body = f\"{os.environ['VERSION']} {os.getpid()} {environ['PATH_INFO']}\".encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
";

const EXPRESS: &str = "
const app = require(`${process.env.MODULES}/express`)();
app.use((ask, answer) => answer.send(`${process.env.VERSION} ${process.pid} ${ask.url}`));
app.listen(+process.env.AT);
";

const FASTIFY: &str = "
const app = require(`${process.env.MODULES}/fastify`)();
app.get('/*', (ask, reply) => reply.send(`${process.env.VERSION} ${process.pid} ${ask.url}`));
app.listen({ port: +process.env.AT });
";

/// Echoes; when it is to end it says goodbye to its clients first.
const SOCKETS: &str = "
const server = require('http').createServer();
const sockets = new (require(`${process.env.MODULES}/ws`).WebSocketServer)({ server });
sockets.on('connection', socket => socket.on('message', text => socket.send(`${process.env.VERSION} ${text}`)));
const end = () => { for (const socket of sockets.clients) socket.close(1012, 'restart'); server.close(() => process.exit()); };
if (process.env.BY === 'signal') process.on('SIGINT', end);
if (process.env.BY === 'message') process.on('message', message => message === 'shutdown' && end());
server.listen(+process.env.AT);
";

fn python() -> Option<std::path::PathBuf> {
    installed("python/bin/python")
}

/// An app with a socket of ours.
fn listens(port: u16, keys: Value) -> Value {
    let mut app = json!({"name": "web", "listen": format!("127.0.0.1:{port}"), "kill_timeout": "20s"});
    app.as_object_mut().expect("a map").extend(keys.as_object().expect("a map").clone());
    app
}

#[test]
fn gunicorn_takes_its_socket_tells_when_it_is_ready_and_loses_no_request() {
    let Some(python) = python() else { return };
    let baton = Baton::new();
    let port = free_port();
    baton.file("wsgi.py", WSGI);
    let keys = json!({
        "script": python.with_file_name("gunicorn"), "interpreter": "none", "ready": "notify", "kill_signal": "SIGTERM",
        "args": ["wsgi:app", "--preload", "--workers", "1", "--threads", "4", "--graceful-timeout", "10"],
    });
    let app = listens(port, keys);
    reloads(&baton, &app, port, 3, BOTH);
    // With `--preload` it does not say that it is ready before the app is loaded.
    let before = baton.pid("web");
    baton.file("wsgi.py", "import no_such_module");
    baton.run(["reload", "web"]).code(1).says("the old one still runs").says("no_such_module");
    assert_eq!(baton.pid("web"), before);
}

#[test]
fn uvicorn_serves_on_the_socket_that_it_is_given_in_several_instances() {
    let Some(python) = python() else { return };
    let baton = Baton::new();
    let port = free_port();
    baton.file("web.py", std::fs::read(example("asgi.py")).expect("the example"));
    let keys = json!({
        "script": python.with_file_name("uvicorn"), "interpreter": "none", "instances": 2, "env": {"VERSION": "1"},
        "args": "web:app --fd 3 --log-level warning", "ready": {"http": format!("http://127.0.0.1:{port}/"), "timeout": "1m"},
    });
    let app = listens(port, keys);
    baton.file("ecosystem.config.json", json!([app]).to_string());
    baton.run(["start", "ecosystem.config.json", "--wait"]).ok();
    let load = Load::on(port, 4, Connections::Short);
    load.wait("answers of both", |seen| seen.pids.len() == 2);
    load.end().is_perfect();
    baton.run(["reload", "web"]).ok();
    let load = Load::on(port, 4, Connections::Short);
    load.wait("answers of both", |seen| seen.pids.len() == 2);
    load.end().is_perfect();
}

#[test]
fn uvicorn_as_in_the_example_loses_no_request() {
    let Some(python) = python() else { return };
    let baton = Baton::new();
    let port = free_port();
    let app = listens(port, json!({"script": example("asgi.py"), "interpreter": python, "ready": "fd"}));
    reloads(&baton, &app, port, 3, BOTH);
}

#[test]
fn the_server_of_pythons_library_loses_no_request() {
    if lacks("python3") {
        return;
    }
    let baton = Baton::new();
    let port = free_port();
    let app = listens(port, json!({"script": example("standard.py"), "ready": "fd"}));
    reloads(&baton, &app, port, 3, &[Connections::Short]);
}

/// Two workers of a program that stands here.
fn cluster(program: &str, port: u16, keys: Value) -> Option<(Baton, Value)> {
    if !node() {
        return None;
    }
    let modules = installed("npm/node_modules")?;
    let baton = Baton::new();
    baton.file("app.js", program);
    let mut app = json!({
        "name": "web", "script": "app.js", "instances": 2, "min_uptime": "1h", "kill_timeout": "20s", "listen_timeout": "1m",
        "env": {"AT": port.to_string(), "MODULES": modules, "VERSION": "0"},
    });
    for (key, value) in keys.as_object().expect("a map") {
        match app[key].as_object_mut() {
            Some(map) => map.extend(value.as_object().expect("a map").clone()),
            None => app[key] = value.clone(),
        }
    }
    Some((baton, app))
}

#[test]
fn express_in_cluster_mode_loses_no_request() {
    let port = free_port();
    let Some((baton, app)) = cluster(EXPRESS, port, json!({})) else { return };
    reloads(&baton, &app, port, 3, BOTH);
}

#[test]
fn fastify_in_cluster_mode_loses_no_request() {
    let port = free_port();
    let Some((baton, app)) = cluster(FASTIFY, port, json!({})) else { return };
    reloads(&baton, &app, port, 3, BOTH);
}

/// A client of WebSockets, as far as a test needs one: short texts and the end.
struct WebSocket(TcpStream);

impl WebSocket {
    fn to(port: u16) -> WebSocket {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        let keys = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        write!(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n{keys}\r\n").expect("asked");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        WebSocket(stream)
    }

    /// What comes next: a kind and what it holds. Nothing is left of a connection that was cut off.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        let mut body = vec![0; usize::from(head[1] & 127)];
        self.0.read_exact(&mut body).ok()?;
        Some((head[0] & 15, body))
    }

    /// A client masks what it sends; with zeros nothing changes.
    fn send(&mut self, kind: u8, body: &[u8]) {
        let length = u8::try_from(body.len()).expect("short");
        self.0.write_all(&[&[128 | kind, 128 | length, 0, 0, 0, 0], body].concat()).expect("sent");
    }

    fn says_back(&mut self, text: &str, version: &str) {
        self.send(1, text.as_bytes());
        assert_eq!(self.next(), Some((1, format!("{version} {text}").into_bytes())));
    }
}

#[test]
fn a_web_socket_lives_on_through_a_reload_until_its_time_is_over_and_is_closed_in_order() {
    for (by, keys) in [
        // As PM2 has taught: by the stop signal, which comes when the connections have had their time.
        ("signal", json!({"kill_timeout": "4s"})),
        // At once, by the message.
        ("message", json!({"shutdown_with_message": true})),
    ] {
        let port = free_port();
        let Some((baton, mut app)) = cluster(SOCKETS, port, keys) else { return };
        app["env"]["BY"] = by.into();
        baton.file("ecosystem.config.json", json!([app]).to_string());
        baton.run(["start", "ecosystem.config.json", "--wait=10m"]).ok();
        let mut client = WebSocket::to(port);
        client.says_back("before", "0");
        let old: Vec<u64> = baton.jlist().iter().filter_map(|entry| entry["pid"].as_u64()).collect();
        app["env"]["VERSION"] = "1".into();
        baton.file("ecosystem.config.json", json!([app]).to_string());
        std::thread::scope(|scope| {
            let reload = scope.spawn(|| baton.run(["reload", "ecosystem.config.json"]));
            assert_eq!(client.next(), Some((8, [&1012_u16.to_be_bytes()[..], b"restart"].concat())), "{by}");
            client.send(8, &1012_u16.to_be_bytes());
            assert_eq!(client.next(), None);
            drop(client);
            reload.join().expect("no panic").ok();
        });
        assert!(old.iter().all(|pid| !alive(u32::try_from(*pid).expect("a pid"))));
        WebSocket::to(port).says_back("after", "1");
    }
}
