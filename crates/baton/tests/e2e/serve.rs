//! Folders over HTTP: `serve`, `script: "serve"` and `static`.

use crate::harness::Baton;
use crate::load::free_port;
use baton_core::world::Status;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// An answer: status, head in lower case, body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    stays: bool,
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    stream
}

/// One request over a connection.
fn ask(stream: &mut TcpStream, method: &str, path: &str, headers: &str) -> std::io::Result<Answer> {
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    let length = value("content-length: ").filter(|_| method != "HEAD").map_or(0, |text| text.parse().expect("length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let stays = value("connection: ").as_deref() == Some("keep-alive");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    Ok(Answer { status, head, body, stays })
}

fn get(port: u16, path: &str, headers: &str) -> Answer {
    ask(&mut connect(port), "GET", path, headers).expect("an answer")
}

fn text(port: u16, path: &str) -> (u16, String) {
    let answer = get(port, path, "");
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

fn site(baton: &Baton) {
    for (name, content) in [
        ("www/index.html", "home"),
        ("www/sub/index.html", "sub"),
        ("www/assets/app.js", "js"),
        ("www/main.css", "css"),
        ("www/.env", "secret"),
        ("secret", "secret"),
    ] {
        baton.file(name, content);
    }
    std::os::unix::fs::symlink("../secret", baton.dir().join("www/out")).expect("link");
}

#[test]
fn a_folder_is_served_as_an_app_of_the_list_and_nothing_outside_of_it() {
    let baton = Baton::new();
    site(&baton);
    let port = free_port();
    let name = format!("static-page-server-{port}");
    let folder = baton.dir().join("www").canonicalize().expect("a folder");
    let port_text = port.to_string();
    let run = baton.run(["serve", "www", &port_text]).ok();
    baton.wait_status(&name, Status::Online);
    run.stdout_has(&name).stdout_has(&format!("[PM2] Serving {} on port {port}", folder.display()));
    assert_eq!(text(port, "/"), (200, "home".into()));
    assert_eq!(text(port, "/sub/?x"), (200, "sub".into()));
    let moved = get(port, "/sub?x=1", "");
    assert_eq!(moved.status, 301);
    assert!(moved.head.contains("location: /sub/?x=1\r\n"), "{}", moved.head);
    assert!(!get(port, "//sub", "").head.contains("location: //"), "that would be another host");
    assert_eq!(text(port, "/nothing"), (404, "404 Not Found".into()));
    baton.file("www/404.html", "not here");
    assert_eq!(text(port, "/assets/"), (404, "not here".into()));
    assert_eq!(text(port, "/.env").0, 404);
    for outside in ["/out", "/../secret", "/%2e%2e/secret", "/sub/..%2f..%2fsecret"] {
        assert_eq!(text(port, outside).0, 403, "{outside}");
    }
    let script = get(port, "/assets/app.js", "");
    assert!(script.head.contains("content-type: text/javascript"), "{}", script.head);
    assert!(script.head.contains("access-control-allow-origin: *"));
    assert_eq!(ask(&mut connect(port), "POST", "/", "").expect("an answer").status, 405);

    // A large file, in parts, and again when it has changed only.
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    baton.file("www/large.bin", &large);
    let whole = get(port, "/large.bin", "");
    assert!(whole.body == large && whole.head.contains("content-type: application/octet-stream"));
    let part = get(port, "/large.bin", "Range: bytes=1000000-1999999\r\n");
    assert!(part.status == 206 && part.body == large[1_000_000..2_000_000]);
    assert!(part.head.contains("content-range: bytes 1000000-1999999/3000000"), "{}", part.head);
    assert_eq!(get(port, "/large.bin", "Range: bytes=3000000-\r\n").status, 416);
    let tag = whole.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
    let known = format!("If-None-Match: {tag}\r\n");
    assert_eq!(get(port, "/large.bin", &known).status, 304);
    let mut kept = connect(port);
    let head = ask(&mut kept, "HEAD", "/large.bin", "").expect("an answer");
    assert!(head.head.contains("content-length: 3000000") && head.stays);
    assert_eq!(ask(&mut kept, "GET", "/main.css", "").expect("an answer").body, b"css");
    baton.file("www/large.bin", "short");
    assert_eq!(get(port, "/large.bin", &known).body, b"short");

    // As any app.
    assert_eq!(baton.entry(&name)["pm2_env"]["env"]["PM2_SERVE_PORT"], port_text.as_str());
    baton.run(["serve", "www", &port_text]).code(1).says("already launched");
    baton.run(["serve", "www", &port_text, "--name", "other"]).code(1).stderr_has("cannot listen");
    baton.run(["stop", &name]).ok();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    baton.run(["serve", "nowhere"]).code(1).stderr_has("no folder");
    baton.run(["serve", "www", "http"]).code(1).stderr_has("is no port");
    baton.run(["serve", "www", "--monitor", "x"]).code(1).stderr_has("--monitor is not supported");
    baton.run(["serve", "www", "--basic-auth-username", "x"]).code(1).stderr_has("--basic-auth-password");
}

#[test]
fn process_files_serve_with_pm2s_words() {
    let baton = Baton::new();
    site(&baton);
    let (one, two) = (free_port(), free_port());
    let file = json!({
        "apps": [{"name": "spa", "script": "serve", "instances": 2, "exec_mode": "cluster", "env": {
            "PM2_SERVE_PATH": "./www", "PM2_SERVE_PORT": one, "PM2_SERVE_SPA": "true", "PM2_SERVE_HOMEPAGE": "/sub/index.html",
            "PM2_SERVE_BASIC_AUTH": "true", "PM2_SERVE_BASIC_AUTH_USERNAME": "me", "PM2_SERVE_BASIC_AUTH_PASSWORD": "very secret",
        }}],
        "static": [{"path": "www", "port": two, "ftp": true, "host": "127.0.0.1"}],
    });
    baton.file("ecosystem.config.json", file.to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    assert_eq!(baton.jlist().len(), 3);
    let unknown = get(one, "/", "");
    assert!(unknown.status == 401 && unknown.head.contains("www-authenticate: basic realm="), "{}", unknown.head);
    assert_eq!(get(one, "/", "Authorization: Basic bWU6d3Jvbmc=\r\n").status, 401);
    let known = |path: &str| get(one, path, "Authorization: Basic bWU6dmVyeSBzZWNyZXQ=\r\n");
    for (path, body) in [("/", "sub"), ("/orders/17", "sub"), ("/orders/main.css", "css"), ("/assets/app.js", "js")] {
        let answer = known(path);
        assert_eq!((answer.status, answer.body.as_slice()), (200, body.as_bytes()), "{path}");
    }
    baton.run(["describe", "spa"]).ok();
    assert!(!baton.run(["env", "0"]).ok().stdout.contains("very secret"));
    let (status, page) = text(two, "/assets/");
    assert!(status == 200 && page.contains("Index of /assets/") && page.contains("href=\"app.js\""), "{page}");
    assert_eq!(text(two, "/sub/"), (200, "sub".into()));
    assert!(!text(two, "/").1.contains(".env"));
}

#[test]
fn a_reload_cuts_off_nobody_and_idle_clients_hold_nobody_up() {
    let baton = Baton::new();
    site(&baton);
    let port = free_port();
    baton.run(["serve", "www", &port.to_string(), "--name", "site"]).ok();
    let idle: Vec<TcpStream> = (0..200).map(|_| connect(port)).collect();
    let (over, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let client = || {
        let mut kept = connect(port);
        while !over.load(Ordering::Relaxed) {
            let answer = ask(&mut kept, "GET", "/main.css", "").expect("an answer to every request");
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"css"[..]));
            asked.fetch_add(1, Ordering::Relaxed);
            if !answer.stays {
                kept = connect(port);
            }
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let first = baton.pid("site");
        for _ in 0..3 {
            baton.run(["reload", "site"]).ok();
        }
        assert_ne!(baton.pid("site"), first);
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no request was lost");
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 10);
    drop(idle);
}
