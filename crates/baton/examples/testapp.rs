//! A program that misbehaves on request, for the end-to-end tests.
//!
//! Its arguments are carried out one after another:
//!
//! * `out:TEXT`, `err:TEXT`: a line on standard output or error; `part:TEXT` the same without a newline
//! * `bytes:HEX`: raw bytes on standard output
//! * `spam:LINES[:LENGTH]`: numbered lines, each with a checksum of its own; `spam_until:FILE:LINES` the same, and on
//!   until the file is there
//! * `exit:CODE`, `abort`: ends
//! * `wait`: lives until a signal ends it
//! * `ignore:INT,TERM,…`: everything after this ignores these signals
//! * `child:ACTIONS`, `session:ACTIONS`, `orphan:ACTIONS`: runs `ACTIONS` (separated by `+`) in a child; in a child with
//!   a session of its own; in a grandchild with a session of its own whose parent is gone. Its pid is a line on
//!   standard output: `child 123`
//! * `relay:TIMES`: ends as soon as another of its kind, in a session of its own, has begun to do the same
//! * `touch:FILE`: makes a file; `once:FILE:ACTIONS` carries the actions out only if the file isn't there yet, and makes it
//! * `listen:PORT`: answers every connection on 127.0.0.1 with its pid, for ever
//! * `dump`: what the program sees of itself, as one line of JSON
//! * `gate:FIFO`: goes on when somebody has opened the FIFO for writing and closed it again
//! * `notify:TEXT`: sends the text to NOTIFY_SOCKET; `readyfd:TEXT` writes it and a newline to READY_FD
//! * `serve:VERSION`: a server on the sockets of LISTEN_FDS, which on SIGINT answers what it has and ends; a line
//!   `serving` when it can. Without VERSION that of the environment
//! * `beat:PORT[:NAME]`: sends one heartbeat with its pid to 127.0.0.1; a line `heard …` with the answer's body
//! * `memory:MIB`: fills this much memory

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

fn main() -> ExitCode {
    let actions: Vec<String> = std::env::args().skip(1).collect();
    run(&actions)
}

fn run(actions: &[String]) -> ExitCode {
    let mut kept = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        let (verb, rest) = action.split_once(':').unwrap_or((action, ""));
        match verb {
            "out" => say(format!("{rest}\n").as_bytes()),
            "err" => eprintln!("{rest}"),
            "part" => say(rest.as_bytes()),
            "bytes" => say(&hex(rest)),
            "spam" => spam(rest),
            "spam_until" => spam_until(rest),
            "exit" => return ExitCode::from(rest.parse::<u8>().expect("exit:CODE")),
            "abort" => std::process::abort(),
            "wait" => wait(),
            "ignore" => return ignore(rest, &actions[at + 1..]),
            "child" => report(&mut this_program(&split(rest))),
            "session" => report(&mut in_session(&split(rest))),
            "orphan" => orphan(rest),
            "relay" => relay(rest),
            "touch" => std::fs::write(rest, "").expect("touch"),
            "once" => {
                let (file, then) = rest.split_once(':').expect("once:FILE:ACTIONS");
                if std::fs::File::create_new(file).is_ok() {
                    return run(&split(then));
                }
            }
            "listen" => listen(rest.parse().expect("listen:PORT")),
            "dump" => dump(),
            "gate" => drop(std::fs::read(rest).expect("gate:FIFO")),
            "notify" => {
                let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
                socket.send_to(rest.as_bytes(), variable("NOTIFY_SOCKET")).expect("sent");
            }
            "readyfd" => {
                let path = format!("/proc/self/fd/{}", variable("READY_FD"));
                std::fs::write(path, format!("{rest}\n")).expect("READY_FD");
            }
            "beat" => beat(rest),
            "serve" => serve(rest),
            "memory" => {
                let size = rest.parse::<usize>().expect("memory:MIB") << 20;
                kept.push(vec![1_u8; size]);
            }
            _ => {
                eprintln!("testapp: unknown action {action}");
                return ExitCode::from(64);
            }
        }
    }
    ExitCode::SUCCESS
}

fn beat(text: &str) {
    let (port, name) = text.split_once(':').unwrap_or((text, ""));
    let mut body = serde_json::json!({ "pid": std::process::id() });
    if !name.is_empty() {
        body["name"] = name.into();
    }
    let body = body.to_string();
    let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).expect("somebody listens");
    let length = body.len();
    write!(stream, "POST /heartbeat HTTP/1.1\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    say(format!("heard {}\n", answer.rsplit("\r\n").next().unwrap_or_default()).as_bytes());
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("no variable {name}"))
}

fn exe() -> std::path::PathBuf {
    std::env::current_exe().expect("own path")
}

fn split(actions: &str) -> Vec<String> {
    actions.split('+').map(Into::into).collect()
}

#[expect(clippy::disallowed_methods, reason = "a program under supervision may start what it likes")]
fn this_program(actions: &[String]) -> Command {
    let mut command = Command::new(exe());
    command.args(actions);
    command
}

#[expect(clippy::disallowed_methods, reason = "a program under supervision may start what it likes")]
fn in_session(actions: &[String]) -> Command {
    let mut command = Command::new("setsid");
    command.arg(exe()).args(actions);
    command
}

fn say(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).expect("standard output");
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

/// Lines `000000000042 <filler> <checksum>`: a missing, repeated or torn line shows.
fn spam(rest: &str) {
    let (lines, length) = rest.split_once(':').unwrap_or((rest, "60"));
    let (lines, length): (u64, usize) = (lines.parse().expect("LINES"), length.parse().expect("LENGTH"));
    write_lines(length, |number| number < lines);
}

/// At least so many lines, and on until there is a file.
fn spam_until(rest: &str) {
    let (file, lines) = rest.rsplit_once(':').expect("spam_until:FILE:LINES");
    let (file, lines) = (std::path::Path::new(file), lines.parse::<u64>().expect("LINES"));
    write_lines(60, |number| number < lines || number % 64 != 0 || !file.exists());
}

/// Lines while `more` says so of their number.
fn write_lines(length: usize, more: impl Fn(u64) -> bool) {
    let out = std::io::stdout().lock();
    let mut out = std::io::BufWriter::with_capacity(4096, out);
    for number in (0..).take_while(|number| more(*number)) {
        let filler = "x".repeat(length);
        let body = format!("{number:012} {filler}");
        let sum = body.bytes().fold(0_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(byte));
        writeln!(out, "{body} {sum:08x}").expect("standard output");
    }
    out.flush().expect("standard output");
}

fn wait() {
    // A pipe whose write end is kept never yields: this blocks until a signal comes.
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    let mut byte = [0];
    let _ = reader.read(&mut byte);
    drop(writer);
}

/// Ignored signals stay ignored over an exec: a shell sets them for us.
#[expect(clippy::disallowed_methods, reason = "a program under supervision may start what it likes")]
fn ignore(signals: &str, actions: &[String]) -> ExitCode {
    let script = format!("trap '' {}; exec \"$@\"", signals.replace(',', " "));
    let error = Command::new("sh").arg("-c").arg(script).arg("sh").arg(exe()).args(actions).exec();
    eprintln!("testapp: {error}");
    ExitCode::from(70)
}

#[expect(clippy::zombie_processes, reason = "what becomes of the child is the supervisor's business")]
fn report(command: &mut Command) {
    let child = command.stdin(Stdio::null()).spawn().expect("child");
    say(format!("child {}\n", child.id()).as_bytes());
}

#[expect(clippy::zombie_processes, reason = "what becomes of the child is the supervisor's business")]
fn relay(times: &str) {
    if let Some(left) = times.parse::<u32>().expect("relay:TIMES").checked_sub(1) {
        in_session(&[format!("relay:{left}")]).stdin(Stdio::null()).spawn().expect("the next");
    }
}

#[expect(clippy::disallowed_methods, reason = "a program under supervision may start what it likes")]
fn orphan(actions: &str) {
    let script = "setsid \"$@\" & echo child $!";
    Command::new("sh").arg("-c").arg(script).arg("sh").arg(exe()).args(split(actions)).status().expect("shell");
}

fn listen(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap_or_else(|error| {
        eprintln!("testapp: port {port}: {error}");
        std::process::exit(1);
    });
    say(format!("listening {}\n", listener.local_addr().expect("address").port()).as_bytes());
    for mut stream in listener.incoming().flatten() {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let body = std::process::id().to_string();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
}

/// HTTP on the sockets that were given; each answer is the version, the pid and the path.
fn serve(version: &str) {
    let given = || variable("VERSION");
    let version: &'static str = if version.is_empty() { given() } else { version.to_owned() }.leak();
    let mut given = listenfd::ListenFd::from_env();
    assert!(given.len() > 0, "no sockets were given");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut asked = signal(SignalKind::interrupt()).expect("a signal");
        let (drain, drains) = watch::channel(false);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..given.len() {
            let listener = given.take_tcp_listener(number).expect("a socket of TCP").expect("a socket");
            listener.set_nonblocking(true).expect("a flag");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            tasks.spawn(accept(listener, version, drains.clone()));
        }
        say(b"serving\n");
        asked.recv().await;
        drain.send(true).expect("heard");
        while tasks.join_next().await.is_some() {}
    });
}

/// Takes connections until it is to end, and then waits for the last of them.
async fn accept(listener: tokio::net::TcpListener, version: &'static str, mut drains: watch::Receiver<bool>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(talk(stream, version, drains.clone()));
            }
            _ = drains.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of a connection. When it is to end, the next answer says that it is the last; without a request
/// the connection is closed after a moment.
#[expect(clippy::disallowed_methods, reason = "a program under supervision may wait as it likes")]
async fn talk(stream: tokio::net::TcpStream, version: &str, mut drains: watch::Receiver<bool>) {
    let mut stream = tokio::io::BufReader::new(stream);
    loop {
        let mut head = String::new();
        let idle = async {
            let _ = drains.wait_for(|draining| *draining).await;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        };
        tokio::select! {
            () = read_head(&mut stream, &mut head) => {}
            () = idle => return,
        }
        let Some(path) = head.split(' ').nth(1) else { return };
        let last = *drains.borrow() || head.to_ascii_lowercase().contains("connection: close");
        let body = format!("{version} {} {path}", std::process::id());
        let state = if last { "close" } else { "keep-alive" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: {state}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() || last {
            return;
        }
    }
}

/// The lines of a request up to the empty one; nothing at the end of the connection.
async fn read_head(stream: &mut tokio::io::BufReader<tokio::net::TcpStream>, head: &mut String) {
    while stream.read_line(head).await.is_ok_and(|count| count > 0) && !head.ends_with("\r\n\r\n") {}
    if !head.ends_with("\r\n\r\n") {
        head.clear();
    }
}

fn dump() {
    let mut descriptors: Vec<u32> = std::fs::read_dir("/proc/self/fd")
        .expect("proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    descriptors.sort_unstable();
    // The last one is the directory being read.
    descriptors.pop();
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    };
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let environment: std::collections::BTreeMap<String, String> = std::env::vars().collect();
    let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
    let after: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let facts = serde_json::json!({
        "pid": std::process::id(),
        "args": std::env::args().collect::<Vec<_>>(),
        "cwd": std::env::current_dir().expect("cwd"),
        "descriptors": descriptors,
        "blocked": field("SigBlk"),
        "ignored": field("SigIgn"),
        "umask": field("Umask"),
        "uid": field("Uid"),
        "session": after.get(3),
        "open_files": files.split_whitespace().nth(3),
        "stdin": std::fs::read_link("/proc/self/fd/0").expect("stdin"),
        "env": environment,
    });
    say(format!("{facts}\n").as_bytes());
}
