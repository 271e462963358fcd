//! What happens when a real PM2 daemon holds the home: it is refused by name, or its apps are imported.

use super::failure::Failure;
use super::session::{Session, command};
use crate::client::Client;
use baton_core::proto::{Command, Saved};
use baton_os::files;
use baton_pm2::client::Pm2Client;
use baton_pm2::dump;

/// The list as PM2 had it, in the form of a dump: whatever happens between its end and our start, it is not lost.
const KEPT: &str = "taken-over.pm2";

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
    let version = pm2.version()?;
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
    pm2.end()?;
    Ok(Some(Imported { slots }))
}
