//! `--as-service`: the process that an init system started becomes the guard, and another run of this program does what
//! was asked (`resurrect`, `start FILE`) as soon as the daemon answers, and then tells systemd.
//!
//! The init system so watches over the one process that never ends by itself: a daemon that dies is replaced below it, and
//! `update` changes the guard in place. A guard that is killed is replaced by its daemon; the init system starts the
//! service again, which finds that daemon and names its guard as the main process.

use super::failure::Failure;
use super::session::{Session, list};
use crate::client::{Client, ClientError, lock_start};
use baton_core::proto::List;
use baton_os::cgroup::are_together;
use baton_os::guard::{Service, become_service};
use baton_os::notify::{NOTIFY_SOCKET, notify};
use clap::Args;
use std::ffi::OsString;
use std::os::fd::AsFd;

/// The option's name on the command line.
const OPTION: &str = "--as-service";

/// Being the service of an init system.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServiceOptions {
    /// For init systems: stay in the foreground as the process to watch over, and tell systemd when it is done.
    #[arg(long, conflicts_with = "take_over")]
    as_service: bool,
}

impl ServiceOptions {
    /// Whether this run is to become the service: not the one that goes with it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.as_service
    }
}

/// Becomes the service. Returns when it runs already, or could not be started.
///
/// # Errors
/// When the home is not free, or the system refuses.
pub(crate) fn become_it(session: &Session) -> Result<(), Failure> {
    let home = &session.home;
    home.check_socket_path().and_then(|()| home.create()).map_err(Failure::system("the home"))?;
    super::take_over::check(session)?;
    let lock = lock_start(home)?;
    if let Some(client) = session.present_client()? {
        return hand_over(&client, session);
    }
    let words: Vec<String> = std::env::args().filter(|word| word != OPTION).collect();
    let error = become_service(home.root(), &home.daemon_log(), &words, lock.as_fd());
    Err(Failure::system("becoming the service")(error))
}

/// A daemon runs. If it belongs to this very service, which was started again because a guard was lost, its guard is
/// named as the main process.
fn hand_over(client: &Client, session: &Session) -> Result<(), Failure> {
    let greeting = client.greeting();
    let main = greeting.guard.unwrap_or(greeting.pid);
    match std::env::var_os(NOTIFY_SOCKET) {
        Some(socket) if are_together(std::process::id(), main) => {
            session.say(&format!("the daemon (pid {}) is there already: pid {main} is the main process", greeting.pid));
            told(&socket, &format!("MAINPID={main}\nREADY=1"))
        }
        _ => Err(Failure::Usage(format!(
            "a daemon (pid {}) runs on {} already, outside this service: end it with `{program} save` and `{program} \
             kill`, then start the service",
            greeting.pid,
            session.home.root().display(),
            program = session.called.program(),
        ))),
    }
}

/// The run that goes with a service: its guard has just been started.
pub(crate) struct Companion {
    socket: Option<OsString>,
}

impl Companion {
    /// When this run is one: waits until the daemon answers.
    ///
    /// # Errors
    /// When the daemon does not start.
    pub(crate) fn begin() -> Result<Option<Companion>, Failure> {
        let Some(service) = Service::of_this_process() else { return Ok(None) };
        service.readiness.wait().map_err(ClientError::NotStarted)?;
        drop(service.lock);
        Ok(Some(Companion { socket: std::env::var_os(NOTIFY_SOCKET) }))
    }

    /// Tells that all is done, and how it went. An app that does not start is no failure of the service.
    ///
    /// # Errors
    /// When the init system does not listen.
    pub(crate) fn end(self, done: &Result<(), Failure>, session: &Session) -> Result<(), Failure> {
        let Some(socket) = self.socket else { return Ok(()) };
        let apps = session.present_client()?.map(|mut client| list(&mut client, List::default())).transpose()?;
        let count = apps.map_or(0, |listing| listing.instances.len());
        let status = match done {
            Ok(()) => format!("{count} processes in the list"),
            Err(_) => {
                format!("{count} processes in the list; some did not start: see `{} ls`", session.called.program())
            }
        };
        told(&socket, &format!("READY=1\nSTATUS={status}"))
    }
}

fn told(socket: &OsString, text: &str) -> Result<(), Failure> {
    notify(socket, text).map_err(Failure::system(format!("telling {}", socket.display())))
}
