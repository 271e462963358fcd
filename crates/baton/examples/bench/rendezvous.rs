//! Where an app under measurement tells us that it runs: it connects to a socket of ours. That is exact and needs no
//! looking again and again.

use crate::failure::Failure;
use crate::proc::ready_within;
use rustix::net::sockopt::socket_peercred;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an app may take to come, or to say something. No measure: only an end for a bench that hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// The socket.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    listener: UnixListener,
    path: PathBuf,
}

/// An app that has come.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Its process id, as the kernel tells it.
    pub(crate) pid: u32,
    /// When it came.
    pub(crate) at: Instant,
    stream: UnixStream,
}

impl Rendezvous {
    /// Opens the socket in this directory.
    pub(crate) fn in_directory(directory: &Path) -> Result<Rendezvous, Failure> {
        let path = directory.join("meet.sock");
        let listener = UnixListener::bind(&path).map_err(Failure::system(format!("opening {}", path.display())))?;
        Ok(Rendezvous { listener, path })
    }

    /// Where apps connect to.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next app.
    pub(crate) fn meet(&self) -> Result<Visitor, Failure> {
        self.meet_within(PATIENCE)?
            .ok_or_else(|| Failure::Patience { what: "an app to start".into(), patience: PATIENCE })
    }

    /// The next app, if one comes within this time.
    pub(crate) fn meet_within(&self, patience: Duration) -> Result<Option<Visitor>, Failure> {
        self.accept(patience).map_err(Failure::system("waiting for an app"))
    }

    fn accept(&self, patience: Duration) -> std::io::Result<Option<Visitor>> {
        if !ready_within(&self.listener, patience)? {
            return Ok(None);
        }
        let at = Instant::now();
        let (stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let pid = socket_peercred(&stream)?.pid.as_raw_nonzero().get().unsigned_abs();
        Ok(Some(Visitor { pid, at, stream }))
    }
}

impl Visitor {
    /// Tells it to begin, and says when.
    pub(crate) fn go(&mut self) -> Result<Instant, Failure> {
        let at = Instant::now();
        self.stream.write_all(b"!").map_err(Failure::system("telling an app to begin"))?;
        Ok(at)
    }

    /// Waits until it says that it is done.
    pub(crate) fn done(&mut self) -> Result<(), Failure> {
        self.stream.read_exact(&mut [0]).map_err(Failure::system("waiting for an app to finish"))
    }
}
