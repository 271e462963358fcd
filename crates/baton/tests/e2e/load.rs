//! A client that asks a server all the time and looks at every answer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an answer may take: one that hangs is a failure, too.
const PATIENCE: Duration = Duration::from_secs(30);

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// One for each request.
    Short,
    /// One for as many requests as the server allows.
    Kept,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Good answers, by the version in them.
    pub(crate) versions: BTreeMap<String, u64>,
    /// Who answered.
    pub(crate) pids: BTreeSet<u32>,
    /// Requests without a good answer.
    pub(crate) failed: Vec<String>,
    /// Requests over a connection that had answered before and was closed without a byte of this answer.
    pub(crate) stale: u64,
}

impl Seen {
    /// How many good answers there were.
    pub(crate) fn good(&self) -> u64 {
        self.versions.values().sum()
    }

    /// Every request was answered.
    #[track_caller]
    pub(crate) fn is_perfect(&self) {
        let first = self.failed.first();
        assert!(self.failed.is_empty(), "{} of {} failed: {first:?}", self.failed.len(), self.good());
        assert_eq!(self.stale, 0, "connections that answered before were closed");
        assert!(self.good() > 0);
    }
}

#[derive(Debug, Default)]
struct Shared {
    end: AtomicBool,
    number: AtomicU64,
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many clients, each of which asks this port of 127.0.0.1 without a pause.
    pub(crate) fn on(port: u16, clients: usize, connections: Connections) -> Load {
        let shared = Arc::new(Shared::default());
        let client = |_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || client(&shared, port, connections))
        };
        Load { clients: (0..clients).map(client).collect(), shared }
    }

    /// Waits until what was seen is as wished.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wished: impl Fn(&Seen) -> bool) {
        let seen = self.shared.seen.lock().expect("no client panics");
        let (seen, late) =
            self.shared.changed.wait_timeout_while(seen, PATIENCE * 2, |seen| !wished(seen)).expect("held");
        assert!(!late.timed_out(), "waited in vain for {what}: {seen:?}");
    }

    /// Waits for so many more good answers.
    #[track_caller]
    pub(crate) fn wait_more(&self, more: u64) {
        let now = self.shared.seen.lock().expect("no client panics").good();
        self.wait("more answers", |seen| seen.good() >= now + more);
    }

    /// Ends the clients after their last answers.
    pub(crate) fn end(self) -> Seen {
        self.shared.end.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no client panics");
        }
        std::mem::take(&mut self.shared.seen.lock().expect("no client panics"))
    }
}

fn client(shared: &Shared, port: u16, connections: Connections) {
    let mut kept: Option<BufReader<TcpStream>> = None;
    while !shared.end.load(Ordering::Relaxed) {
        let path = format!("/{}", shared.number.fetch_add(1, Ordering::Relaxed));
        let reused = kept.is_some();
        let result = ask(&mut kept, port, &path, connections == Connections::Kept);
        let mut seen = shared.seen.lock().expect("held shortly");
        match result {
            Ok((version, pid)) => {
                *seen.versions.entry(version).or_default() += 1;
                seen.pids.insert(pid);
            }
            Err(Wrong::Closed) if reused => seen.stale += 1,
            Err(wrong) => seen.failed.push(format!("{path}: {wrong:?}")),
        }
        drop(seen);
        shared.changed.notify_all();
    }
}

/// Why there was no good answer.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// The connection was closed before the first byte.
    Closed,
    /// Anything else.
    #[expect(dead_code, reason = "shown in messages")]
    Other(String),
}

fn other(text: impl std::fmt::Display) -> Wrong {
    Wrong::Other(text.to_string())
}

fn ask(kept: &mut Option<BufReader<TcpStream>>, port: u16, path: &str, keep: bool) -> Result<(String, u32), Wrong> {
    let reused = kept.is_some();
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| other(format!("connect: {error}")))?;
            stream.set_read_timeout(Some(PATIENCE)).map_err(other)?;
            BufReader::new(stream)
        }
    };
    let wish = if keep { "keep-alive" } else { "close" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {wish}\r\n\r\n");
    let closed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset if reused => Wrong::Closed,
        _ => other(error),
    };
    stream.get_mut().write_all(request.as_bytes()).map_err(closed)?;
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(0) => return Err(Wrong::Closed),
        Ok(_) => {}
        Err(error) => return Err(closed(error)),
    }
    if !line.starts_with("HTTP/1.1 200 ") {
        return Err(other(line));
    }
    let (mut length, mut stays) = (None, keep);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).map_err(other)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse::<usize>().ok(),
            Some(("connection", "close")) => stays = false,
            _ => {}
        }
    }
    let mut body = vec![0; length.ok_or_else(|| other("no length"))?];
    stream.read_exact(&mut body).map_err(other)?;
    let body = String::from_utf8(body).map_err(other)?;
    let mut words = body.split(' ');
    let (Some(version), Some(pid), Some(back)) = (words.next(), words.next(), words.next()) else {
        return Err(other(body));
    };
    if back != path {
        return Err(other(format!("an answer to another question: {body}")));
    }
    if stays {
        *kept = Some(stream);
    }
    Ok((version.into(), pid.parse().map_err(other)?))
}

/// One request over a connection of its own.
pub(crate) fn once(port: u16) -> Result<(String, u32), Wrong> {
    ask(&mut None, port, "/once", false)
}

/// A port that is free at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
