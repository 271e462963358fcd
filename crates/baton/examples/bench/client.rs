//! Clients that ask an HTTP server without a pause and look at every answer: an answer that does not come in time is none.

use crate::failure::Failure;
use crate::proc::quiet;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many there are.
const CLIENTS: usize = 8;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// One for each request.
    Short,
    /// One for all requests of a client.
    Kept,
}

/// What they saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How long each good answer took.
    pub(crate) took: Vec<Duration>,
    /// Good answers by the process that gave them.
    pub(crate) by: BTreeMap<String, u64>,
    /// Requests without a good answer.
    pub(crate) lost: u64,
}

/// Asks for so long. An answer is the name of the process, a space and the path.
pub(crate) fn ask_for(
    time: Duration,
    port: u16,
    connections: Connections,
    meanwhile: impl FnOnce() -> Result<(), Failure>,
) -> Result<Seen, Failure> {
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = |number| {
            let end = &end;
            scope.spawn(move || client(port, connections, number, end))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let begin = Instant::now();
        let result = meanwhile().and_then(|()| quiet(time.saturating_sub(begin.elapsed())));
        end.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for one in clients.into_iter().filter_map(|client| client.join().ok()) {
            all.took.extend(one.took);
            one.by.into_iter().for_each(|(who, count)| *all.by.entry(who).or_default() += count);
            all.lost += one.lost;
        }
        result.map(|()| all)
    })
}

fn client(port: u16, connections: Connections, number: usize, end: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut kept = None;
    for count in 0_u64.. {
        if end.load(Ordering::Relaxed) {
            break;
        }
        let begin = Instant::now();
        match ask(&mut kept, port, &format!("/{number}/{count}"), connections) {
            Ok(who) => {
                seen.took.push(begin.elapsed());
                *seen.by.entry(who).or_default() += 1;
            }
            Err(_) => seen.lost += 1,
        }
    }
    seen
}

/// One request over a connection of its own; says who has answered.
pub(crate) fn once(port: u16, path: &str) -> io::Result<String> {
    ask(&mut None, port, path, Connections::Short)
}

fn ask(kept: &mut Option<BufReader<TcpStream>>, port: u16, path: &str, connections: Connections) -> io::Result<String> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            BufReader::with_capacity(1024, stream)
        }
    };
    let wish = if connections == Connections::Kept { "keep-alive" } else { "close" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {wish}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let wrong = || io::Error::other("not the answer");
    let (mut line, mut length, mut first) = (String::new(), None, true);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if std::mem::take(&mut first) && !text.starts_with("HTTP/1.1 200 ") {
            return Err(wrong());
        }
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse::<usize>().ok();
        }
    }
    let mut body = vec![0; length.ok_or_else(wrong)?];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(|_| wrong())?;
    let (who, back) = body.split_once(' ').ok_or_else(wrong)?;
    if back != path {
        return Err(wrong());
    }
    if connections == Connections::Kept {
        *kept = Some(stream);
    }
    Ok(who.to_owned())
}
