//! The static file server: what `serve`, `script: "serve"` and `static` of process files run. It is an app as any other, with
//! a process of its own and nothing of the daemon.
//!
//! | file | what it does |
//! |---|---|
//! | `settings` | what is served, from PM2's variables |
//! | `request` | the bytes of a request understood |
//! | `place` | the file that a path means, never one outside the folder |
//! | `answer` | what is answered: status, headers, which bytes of which file |
//! | `range` | which part of a file is wanted, and whether it is wanted at all |
//! | `listing` | the page of a folder |
//! | `kinds` | content types |
//! | `connection` | one client: requests in, answers out |
//!
//! Only `connection` waits; everything else is plain functions of their arguments and the file system.

mod answer;
mod connection;
mod kinds;
mod listing;
mod place;
mod range;
mod request;
mod settings;

use baton_os::notify::{READY_FD, say_ready};
use rustix::process::{Resource, getrlimit};
use settings::Settings;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

/// Descriptors of the process that are not for clients: standard streams, the listener, the runtime's.
const OWN: u64 = 32;
/// Descriptors that one client may take: its connection and a file.
const EACH: u64 = 2;
/// Clients where the limit on descriptors is not known.
const CLIENTS: u64 = 1024;
/// How long connections may be used for one more request after the server was told to end.
const LAST: Duration = Duration::from_millis(500);
/// Pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is told to end. The words are those behind the verb: PM2's `[path] [port] [host]`.
pub(crate) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    match serve(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn serve(words: impl Iterator<Item = OsString>) -> Result<(), String> {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let directory = std::env::current_dir().map_err(|error| format!("the working directory: {error}"))?;
    let settings = Settings::read(|name| std::env::var(name).ok(), &words, &directory)?;
    if std::env::var_os("PM2_SERVE_MONITOR").is_some_and(|value| !value.is_empty()) {
        eprintln!("PM2_SERVE_MONITOR has no effect: it belongs to PM2's cloud service");
    }
    let _ = baton_os::limits::raise_nofile();
    let limit = getrlimit(Resource::Nofile).current;
    let clients = limit.unwrap_or(CLIENTS).saturating_sub(OWN) / EACH;
    let clients = usize::try_from(clients).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime: {error}"))?;
    runtime.block_on(run(settings, clients)).map_err(|error| error.to_string())
}

/// The socket that baton holds for the app, or one of our own.
fn socket(settings: &Settings) -> io::Result<std::net::TcpListener> {
    if let Some(given) = listenfd::ListenFd::from_env().take_tcp_listener(0)? {
        return Ok(given);
    }
    let bound = std::net::TcpListener::bind((settings.host.as_str(), settings.port));
    bound.map_err(|error| io::Error::new(error.kind(), format!("{}:{}: {error}", settings.host, settings.port)))
}

async fn run(settings: Settings, clients: usize) -> io::Result<()> {
    let socket = socket(&settings)?;
    socket.set_nonblocking(true)?;
    let at = socket.local_addr()?;
    let listener = TcpListener::from_std(socket)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    println!("Exposing {} directory on {at}", settings.root.display());
    if let Ok(number) = std::env::var(READY_FD) {
        say_ready(&number)?;
    }
    let settings = Arc::new(settings);
    let room = Arc::new(Semaphore::new(clients));
    let (end, ending) = watch::channel(false);
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (accept(&listener).await, place)
        };
        tokio::select! {
            (stream, place) = accepted => {
                let (settings, ending) = (Arc::clone(&settings), ending.clone());
                drop(tokio::spawn(async move {
                    connection::serve(stream, &settings, ending).await;
                    drop(place);
                }));
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    drop(listener);
    // What is under way is finished; whoever has asked for the end has a patience of his own.
    let _ = end.send(true);
    let all = u32::try_from(clients).unwrap_or(u32::MAX);
    let _ = room.acquire_many(all).await;
    Ok(())
}

/// The next connection.
#[expect(clippy::disallowed_methods, reason = "the kernel does not tell when connections can be accepted again")]
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
