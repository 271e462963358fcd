//! What happens when a real PM2 daemon holds the home: it is refused by name, or its apps are imported.

use super::failure::Failure;
use super::session::{Session, command};
use crate::client::Client;
use baton_core::proto::{Command, Saved};
use baton_os::files;
use baton_os::process::Process;
use baton_pm2::client::Pm2Client;
use baton_pm2::dump;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use std::io;

/// The list as PM2 had it, in the form of a dump: whatever happens between its end and our start, it is not lost.
const KEPT: &str = "taken-over.pm2";

/// How long PM2's daemon may take to exit once it has closed its socket.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// The apps of a PM2 daemon that has ended.
pub(crate) struct Imported {
    slots: Vec<Saved>,
}

impl Imported {
    /// Makes the apps run again under our daemon.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub(crate) fn restore(self, session: &Session, client: &mut Client) -> Result<(), Failure> {
        let count = self.slots.len();
        super::act::tell(&command(client, Command::Restore { slots: self.slots })?, session);
        session.say(&format!("{count} processes were taken over from PM2"));
        Ok(())
    }
}

/// Looks for a PM2 daemon on the home before ours is started. With `--take-over` its list is read and it is ended.
///
/// # Errors
/// When there is one and it is not to be taken over, or it does not do as it is told.
pub(crate) fn check(session: &Session) -> Result<Option<Imported>, Failure> {
    let home = session.home.root();
    let Some(mut pm2) = Pm2Client::connect(home)? else {
        return Ok(None);
    };
    // Our own daemon has PM2's sockets too, and may just have come.
    if session.present_client()?.is_some() {
        return Ok(None);
    }
    let version = match pm2.version() {
        // It may have been a daemon of ours that died just now.
        Err(error) if error.is_gone() => return Ok(None),
        version => version?,
    };
    if !session.take_over {
        return Err(Failure::Usage(format!(
            "a PM2 daemon (version {version}) manages {}: add --take-over to import its apps and stop it, end it with \
             its own `pm2 kill`, or set {} to another folder",
            home.display(),
            session.called.home_variable()
        )));
    }
    let records = pm2.records()?;
    // Read whole before anything is ended: an app that can't be imported must go on running.
    let slots = dump::from_records(&records).map_err(|error| Failure::Usage(format!("PM2's list: {error}")))?;
    session.home.create().map_err(Failure::system("the home"))?;
    let kept = home.join(KEPT);
    let list = serde_json::to_vec_pretty(&records).map_err(|error| Failure::Usage(format!("PM2's list: {error}")))?;
    files::write_atomic(&kept, &list, 0o600).map_err(Failure::system(kept.display().to_string()))?;
    session.say(&format!("PM2's list is kept in {}; copied to dump.pm2, `resurrect` starts it", kept.display()));
    let daemon = socket_peercred(&pm2).map_err(|error| Failure::system("PM2's socket")(error.into()))?.pid;
    let daemon = u32::try_from(daemon.as_raw_nonzero().get()).unwrap_or_default();
    let daemon = Process::identify(daemon).map_err(Failure::system("PM2's daemon"))?;
    pm2.end()?;
    if let Some(daemon) = daemon {
        gone(&daemon)?;
    }
    Ok(Some(Imported { slots }))
}

/// Waits until a process has ended. The last that PM2's daemon does is to remove `pm2.pid`, which will be ours.
fn gone(process: &Process) -> Result<(), Failure> {
    let failed = Failure::system("the end of PM2's daemon");
    match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&PATIENCE)) {
        Ok(0) => Err(failed(io::ErrorKind::TimedOut.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}
