//! Asks a real PM2 daemon over `<home>/rpc.sock`: enough to know that one is there, to take over its list, and to end
//! it.

use crate::amp::{AmpError, Argument, Decoder, encode};
use serde_json::{Map, Value, json};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// How long an answer may take. Deleting an app takes as long as the app takes to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long ending one app may take: PM2 gives up after twice the app's `kill_timeout`.
const PATIENCE_FOR_AN_END: Duration = Duration::from_secs(60);

/// Why PM2 could not be asked.
#[derive(Debug, Error)]
pub enum Pm2Error {
    /// The socket failed.
    #[error("the PM2 daemon at {path} does not answer: {error}")]
    Socket {
        /// Path of the socket.
        path: String,
        /// What failed.
        error: io::Error,
    },
    /// It sent something that is no message.
    #[error("the PM2 daemon sent something else than a message: {0}")]
    Framing(#[from] AmpError),
    /// It sent a message that is no answer.
    #[error("the PM2 daemon sent an answer that is not understood")]
    Answer,
    /// It refused.
    #[error("the PM2 daemon refused {method}: {reason}")]
    Refused {
        /// What was asked.
        method: String,
        /// Its words.
        reason: String,
    },
}

/// A connection to a PM2 daemon.
#[derive(Debug)]
pub struct Pm2Client {
    path: PathBuf,
    stream: UnixStream,
    decoder: Decoder,
    requests: u64,
}

/// Its socket: who listens there is the daemon.
impl AsFd for Pm2Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Pm2Error {
    /// Whether who listened has ended before it answered.
    pub fn is_gone(&self) -> bool {
        let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];
        matches!(self, Pm2Error::Socket { error, .. } if gone.contains(&error.kind()))
    }
}

impl Pm2Client {
    /// The version of the PM2 daemon that answers on this home, or `None` when there is none. One that hangs up is just
    /// ending, and counts as none.
    ///
    /// # Errors
    /// When something accepts the connection and does not answer like PM2.
    pub fn detect(home: &Path) -> Result<Option<String>, Pm2Error> {
        let Some(mut client) = Pm2Client::connect(home)? else {
            return Ok(None);
        };
        match client.version() {
            Err(Pm2Error::Socket { error, .. }) if has_hung_up(&error) => Ok(None),
            version => version.map(Some),
        }
    }

    /// Connects to the PM2 daemon of this home; `None` when nobody listens there.
    ///
    /// # Errors
    /// When the socket is there and may not be used.
    pub fn connect(home: &Path) -> Result<Option<Pm2Client>, Pm2Error> {
        let path = home.join("rpc.sock");
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    // A path too long for a socket is invalid input: PM2 could not listen there either.
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput => {
                        Ok(None)
                    }
                    _ => Err(socket_error(&path, error)),
                };
            }
        };
        stream.set_write_timeout(Some(PATIENCE)).map_err(|error| socket_error(&path, error))?;
        Ok(Some(Pm2Client { path, stream, decoder: Decoder::default(), requests: 0 }))
    }

    /// Its version.
    ///
    /// # Errors
    /// When it does not answer, or not with a text.
    pub fn version(&mut self) -> Result<String, Pm2Error> {
        match self.call("getVersion", json!({}), PATIENCE)? {
            Value::String(version) => Ok(version),
            _ => Err(Pm2Error::Answer),
        }
    }

    /// The records (`pm2_env`) of its processes; [`crate::dump::from_records`] understands them.
    ///
    /// # Errors
    /// When it does not answer, or not with a list of processes.
    pub fn records(&mut self) -> Result<Vec<Map<String, Value>>, Pm2Error> {
        let Value::Array(items) = self.call("getMonitorData", json!({}), PATIENCE)? else {
            return Err(Pm2Error::Answer);
        };
        let record = |mut item: Value| match item.get_mut("pm2_env").map(Value::take) {
            Some(Value::Object(record)) => Ok(record),
            _ => Err(Pm2Error::Answer),
        };
        items.into_iter().map(record).collect()
    }

    /// Ends all of its processes one after another, modules included, then the daemon, and waits until it has closed
    /// its socket. The last it does before it exits is to remove `pm2.pid`: who needs that to have happened waits for
    /// the process that the file names.
    ///
    /// # Errors
    /// When a process can't be ended or the daemon does not answer; what was ended stays ended.
    pub fn end(mut self) -> Result<(), Pm2Error> {
        // From now on it starts nothing again by itself.
        self.tell("notifyKillPM2", json!({}))?;
        for record in self.records()? {
            let id = record.get("pm_id").cloned().ok_or(Pm2Error::Answer)?;
            self.call("deleteProcessId", id, PATIENCE_FOR_AN_END)?;
        }
        // Without a pid, because PM2 would send that process a SIGQUIT.
        self.tell("killMe", json!({}))?;
        self.patience(PATIENCE)?;
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if has_hung_up(&error) => return Ok(()),
                Err(error) => return Err(socket_error(&self.path, error)),
            }
        }
    }

    /// Sends a request and gives its number back.
    fn tell(&mut self, method: &str, argument: Value) -> Result<String, Pm2Error> {
        self.requests += 1;
        let id = format!("baton:{}", self.requests);
        let body = json!({ "type": "call", "method": method, "args": [argument] });
        let message = encode(&[Argument::Json(body), Argument::Text(id.clone())])?;
        self.stream.write_all(&message).map_err(|error| socket_error(&self.path, error))?;
        Ok(id)
    }

    /// Sends a request and waits for its answer.
    fn call(&mut self, method: &str, argument: Value, patience: Duration) -> Result<Value, Pm2Error> {
        let id = self.tell(method, argument)?;
        self.patience(patience)?;
        loop {
            while let Some(message) = self.decoder.next_message()? {
                match message.as_slice() {
                    [Argument::Json(body), Argument::Text(of)] if *of == id => return result(method, body),
                    // The answer to something that was only told.
                    [Argument::Json(_), Argument::Text(_)] => {}
                    _ => return Err(Pm2Error::Answer),
                }
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(socket_error(&self.path, io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.decoder.push(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(socket_error(&self.path, error)),
            }
        }
    }

    fn patience(&self, patience: Duration) -> Result<(), Pm2Error> {
        self.stream.set_read_timeout(Some(patience)).map_err(|error| socket_error(&self.path, error))
    }
}

/// What an answer says.
fn result(method: &str, body: &Value) -> Result<Value, Pm2Error> {
    if let Some(reason) = body.get("error") {
        let reason = reason.as_str().map_or_else(|| reason.to_string(), str::to_owned);
        return Err(Pm2Error::Refused { method: method.into(), reason });
    }
    let arguments = body.get("args").and_then(Value::as_array).ok_or(Pm2Error::Answer)?;
    Ok(arguments.first().cloned().unwrap_or(Value::Null))
}

/// Whether the other side has closed the connection.
fn has_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

fn socket_error(path: &Path, error: io::Error) -> Pm2Error {
    Pm2Error::Socket { path: path.display().to_string(), error }
}
