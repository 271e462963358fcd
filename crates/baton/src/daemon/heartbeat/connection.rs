//! One connection of a client that beats: requests one after another, or a WebSocket.

use super::request::{Parsed, Request, answer, handshake, parse};
use super::{Beaten, Row};
use crate::daemon::inbox::{Inbox, Message};
use baton_os::metrics::ProcessUsage;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message as Frame, WebSocket};

/// How long a connection may take for a request, and wait for the next one.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is read at once (bytes).
const READ: usize = 4096;
/// Longest message of a WebSocket (bytes).
const MESSAGE: usize = 64 * 1024;

/// Serves a client until it goes.
pub(super) async fn serve(mut stream: TcpStream, inbox: Inbox) {
    // Who has gone need not be told anything.
    let _ = requests(&mut stream, &inbox).await;
}

async fn requests(stream: &mut TcpStream, inbox: &Inbox) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Ok(request) = tokio::time::timeout(PATIENCE, next(stream, &mut bytes)).await else { return Ok(()) };
        let Some(request) = request? else { return Ok(()) };
        let is_beat = matches!(request.path.as_str(), "/heartbeat" | "/heartbeat/");
        match &request.upgrade {
            Some(key) if is_beat && request.foreign.is_none() => {
                stream.write_all(&handshake(key)).await?;
                return messages(stream, bytes, inbox).await;
            }
            Some(_) | None => {}
        }
        stream.write_all(&respond(&request, inbox).await).await?;
        if !request.keep_alive {
            return stream.shutdown().await;
        }
    }
}

/// The next request; `None` when there will be none.
async fn next(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let mut told_to_go_on = false;
    loop {
        match parse(bytes) {
            Ok(Parsed::Whole(request, length)) => {
                bytes.drain(..length);
                return Ok(Some(request));
            }
            Ok(Parsed::Partial { waits }) => {
                if waits && !std::mem::replace(&mut told_to_go_on, true) {
                    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                }
            }
            Err(status) => {
                let body = json!({ "error": status.split_once(' ').map_or("", |(_, text)| text) });
                stream.write_all(&answer(status, &body.to_string(), false, "")).await?;
                stream.shutdown().await?;
                return Ok(None);
            }
        }
        let mut read = [0; READ];
        match stream.read(&mut read).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&read[..count]),
        }
    }
}

async fn respond(request: &Request, inbox: &Inbox) -> Vec<u8> {
    let page = |status: &str, body: Value, extra: &str| answer(status, &body.to_string(), request.keep_alive, extra);
    if let Some(foreign) = &request.foreign {
        let text = format!("{foreign} is not this machine: heartbeats are taken at 127.0.0.1, ::1 and localhost");
        return page("403 Forbidden", json!({ "error": text }), "");
    }
    match (request.method.as_str(), request.path.trim_end_matches('/')) {
        ("POST", "/heartbeat") => match beat(&request.body, inbox).await {
            Ok(body) => page("200 OK", body, ""),
            Err(wrong) => page("400 Bad Request", json!({ "error": wrong }), ""),
        },
        ("GET", "/heartbeats") => page("200 OK", list(inbox).await, ""),
        (_, "/heartbeat") => {
            page("405 Method Not Allowed", json!({"error": "POST a heartbeat here"}), "Allow: POST\r\n")
        }
        (_, "/heartbeats") => page("405 Method Not Allowed", json!({"error": "GET the list here"}), "Allow: GET\r\n"),
        _ => page("404 Not Found", json!({"error": "there are /heartbeat and /heartbeats"}), ""),
    }
}

/// Hands a heartbeat over; its echo.
async fn beat(text: &[u8], inbox: &Inbox) -> Result<Value, &'static str> {
    let Ok(Value::Object(beat)) = serde_json::from_slice(text) else { return Err("invalid json") };
    let pid = beat.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
    let Some(pid) = pid.filter(|pid| *pid > 0) else { return Err("pid required") };
    let name = match beat.get("name") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => return Err("name is no text"),
    };
    let (answer, heard) = oneshot::channel();
    inbox.send(Message::Beat { pid, name: name.clone(), answer });
    Ok(match heard.await {
        Ok(Beaten::Counts(name)) => json!({ "pid": pid, "name": name }),
        Ok(Beaten::Ignored(why)) => json!({ "pid": pid, "name": name, "ignored": why }),
        Err(_) => json!({ "pid": pid, "name": name, "ignored": "baton is ending" }),
    })
}

async fn list(inbox: &Inbox) -> Value {
    let (answer, rows) = oneshot::channel();
    inbox.send(Message::Beats(answer));
    let rows = rows.await.unwrap_or_default();
    // Reading /proc may take a while.
    tokio::task::spawn_blocking(move || rows.iter().map(row).collect()).await.unwrap_or_default()
}

fn row(row: &Row) -> Value {
    let usage = ProcessUsage::of(row.pid).unwrap_or_default();
    json!({
        "pid": row.pid,
        "name": row.name,
        "last": row.last.0,
        "app": row.app,
        "pm_id": row.id.0,
        "cpu": (usage.cpu * 10.0).round() / 10.0,
        "memory": usage.memory.0,
        "netRx": usage.received,
        "netTx": usage.sent,
    })
}

/// What goes over a WebSocket: its bytes come and go here, and it never waits itself.
#[derive(Debug, Default)]
struct Pipe {
    came: Vec<u8>,
    taken: usize,
    goes: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = &self.came[self.taken..];
        if left.is_empty() {
            (self.came, self.taken) = (Vec::new(), 0);
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.taken += count;
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.goes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Messages of a WebSocket, each answered, until one side closes it.
async fn messages(stream: &mut TcpStream, came: Vec<u8>, inbox: &Inbox) -> io::Result<()> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let pipe = Pipe { came, ..Pipe::default() };
    let mut socket = WebSocket::from_raw_socket(pipe, Role::Server, Some(config));
    loop {
        let is_open = loop {
            let text = match socket.read() {
                Ok(Frame::Text(text)) => text.as_bytes().to_vec(),
                Ok(Frame::Binary(bytes)) => bytes.to_vec(),
                // Pings and the end are answered by the library.
                Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) | Frame::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(_) => break false,
            };
            let answer = beat(&text, inbox).await.unwrap_or_else(|wrong| json!({ "error": wrong }));
            if socket.send(Frame::text(answer.to_string())).is_err() {
                break false;
            }
        };
        // What a closing side still says may not be possible any more.
        let _ = socket.flush();
        let goes = std::mem::take(&mut socket.get_mut().goes);
        stream.write_all(&goes).await?;
        if !is_open {
            return stream.shutdown().await;
        }
        let mut read = [0; READ];
        match stream.read(&mut read).await? {
            0 => return Ok(()),
            count => socket.get_mut().came.extend_from_slice(&read[..count]),
        }
    }
}
