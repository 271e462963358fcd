//! PM2's two sockets, for its JavaScript client: `rpc.sock` answers, `pub.sock` tells what programs say and what
//! happens to them.
//!
//! Both are clients of the native socket with threads of their own; the loop knows nothing of them. With nobody
//! connected nothing wakes up.
//!
//! | file | what it does |
//! |---|---|
//! | `rpc` | what is asked, and how it is answered |
//! | `methods` | what changes something, by which requests |
//! | `broadcast` | who listens, and what they are told |

mod broadcast;
mod methods;
mod rpc;

use super::journal;
use crate::home::{Home, named, remove_file};
use baton_core::world::Signal;
use baton_os::process::Process;
use rustix::event::{Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Connections that are served at once; more are closed.
const MOST: usize = 64;
/// Pause after a connection could not be accepted.
const AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What every connection shares.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    bus: broadcast::Bus,
    farewells: Farewells,
}

/// Who asked for the daemon's end: PM2's client waits for a SIGQUIT as the sign that it has come.
#[derive(Clone, Debug, Default)]
struct Farewells(Arc<Mutex<Vec<Process>>>);

impl Farewells {
    fn add(&self, pid: Option<u32>) {
        if let Some(Ok(Some(process))) = pid.map(Process::identify) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
    }

    fn say(&self) {
        for process in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Who has gone meanwhile waits for nothing.
            let _ = process.signal(Signal::QUIT);
        }
    }
}

/// Opens both. A daemon without them serves all the same; what is wrong is in the journal.
pub(super) fn open(home: &Home) -> Option<Ours> {
    let opened = try_open(home);
    opened.map_err(|error| journal::warn(format_args!("PM2's JavaScript client can't connect: {error}"))).ok()
}

fn try_open(home: &Home) -> io::Result<Ours> {
    let (rpc, publisher) = (listen(home, &home.rpc_socket())?, listen(home, &home.pub_socket())?);
    let bus = broadcast::Bus::start(home.clone(), publisher)?;
    let (home, ours) = (home.clone(), Ours { bus, farewells: Farewells::default() });
    let shared = ours.clone();
    thread::Builder::new().name("pm2-rpc".into()).spawn(move || accept(&rpc, &home, &shared))?;
    Ok(ours)
}

/// The daemon ends for good, `by_command` with its apps: nobody finds the sockets any more.
pub(super) fn close(home: &Home, ours: Option<&Ours>, by_command: bool) {
    if let Some(ours) = ours {
        ours.bus.end(by_command);
    }
    for path in [home.rpc_socket(), home.pub_socket()] {
        if let Err(error) = remove_file(&path) {
            journal::warn(named(&error, "remove", &path));
        }
    }
    if let Some(ours) = ours {
        ours.farewells.say();
    }
}

/// Opens a socket in place of one that nobody answers on any more.
fn listen(home: &Home, path: &Path) -> io::Result<UnixListener> {
    let failed = |error: io::Error| named(&error, "open the socket", path);
    if UnixStream::connect(path).is_ok() {
        return Err(failed(io::ErrorKind::AddrInUse.into()));
    }
    let temporary = home.run().join("p");
    remove_file(&temporary).map_err(failed)?;
    let listener = UnixListener::bind(&temporary).map_err(failed)?;
    fs::set_permissions(&temporary, Permissions::from_mode(0o600)).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    Ok(listener)
}

/// Whether a connection is of our own user or root.
fn is_ours(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid();
    socket_peercred(stream).is_ok_and(|peer| peer.uid == ours || peer.uid.is_root())
}

fn accept(listener: &UnixListener, home: &Home, ours: &Ours) {
    // One reference for each connection.
    let served = Arc::new(());
    loop {
        match listener.accept() {
            Ok((stream, _)) if is_ours(&stream) && Arc::strong_count(&served) <= MOST => {
                let (home, ours, place) = (home.clone(), ours.clone(), Arc::clone(&served));
                let spawned = thread::Builder::new().name("pm2-rpc".into()).spawn(move || {
                    rpc::serve(stream, &home, &ours);
                    drop(place);
                });
                if let Err(error) = spawned {
                    journal::warn(format_args!("a client of PM2's can't be served: {error}"));
                }
            }
            Ok(_) => journal::warn("a connection to PM2's socket was refused"),
            Err(error) => {
                journal::warn(format_args!("a connection to PM2's socket could not be accepted: {error}"));
                // Nothing tells when there are descriptors again.
                let _ = poll(&mut [], Some(&AGAIN));
            }
        }
    }
}
