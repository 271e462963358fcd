//! `kill`: end every app, the daemon and its guard.

use super::act;
use super::common::Common;
use super::failure::Failure;
use super::session::{Session, command, list};
use crate::client::ClientError;
use baton_core::proto::{Action, Command, Greeting, List};
use baton_os::process::Process;
use baton_pm2::text;
use clap::Parser;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long the daemon and its guard may take to end once their apps have.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// How often a daemon may die on us before we give up.
const TRIES: u32 = 5;

/// End every app and the daemon.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. A daemon that dies meanwhile is asked again, as its successor: the wish is the same.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    let mut announced = false;
    for _ in 0..TRIES {
        match attempt(session, &mut announced) {
            Err(Failure::Client(ClientError::Lost)) => {}
            result => return result,
        }
    }
    Err(Failure::Client(ClientError::Lost))
}

fn attempt(session: &Session, announced: &mut bool) -> Result<(), Failure> {
    let mut client = match session.present_client()? {
        Some(client) => client,
        // A daemon that was killed together with its guard may have left apps, and knows them from its state.
        None if session.home.state().exists() => session.client()?,
        None => {
            session.warn(text::NO_PROCESS);
            session.say(text::DAEMON_STOPPED);
            return Ok(());
        }
    };
    let instances = list(&mut client, List::default())?.instances;
    if !std::mem::replace(announced, true) {
        if instances.is_empty() {
            session.warn(text::NO_PROCESS);
        } else {
            let ids: Vec<_> = instances.iter().map(|view| view.id).collect();
            act::announce(Action::Delete, "all", &ids, session);
        }
    }
    let ends = Ends::of(client.greeting())?;
    let outcomes = command(&mut client, Command::Kill)?;
    act::tell(&outcomes, session);
    session.say(text::ALL_STOPPED);
    ends.wait()?;
    session.say(text::DAEMON_STOPPED);
    act::success(&outcomes)
}

/// The end of a daemon, and of its guard.
pub(crate) struct Ends(Vec<Process>);

impl Ends {
    /// Both processes, held before they are told to end: a pid alone could be another's by then.
    pub(crate) fn of(greeting: &Greeting) -> Result<Ends, Failure> {
        Ends::find([Some(greeting.pid), greeting.guard].into_iter().flatten())
    }

    /// The daemon alone.
    pub(crate) fn of_daemon(greeting: &Greeting) -> Result<Ends, Failure> {
        Ends::find(std::iter::once(greeting.pid))
    }

    fn find(pids: impl Iterator<Item = u32>) -> Result<Ends, Failure> {
        let processes: Result<Vec<Option<Process>>, _> = pids.map(Process::identify).collect();
        let processes = processes.map_err(Failure::system("looking for the daemon's process"))?;
        Ok(Ends(processes.into_iter().flatten().collect()))
    }

    /// Waits until they have ended.
    ///
    /// # Errors
    /// When one does not.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        for process in &self.0 {
            loop {
                match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&PATIENCE)) {
                    Ok(0) => {
                        let text =
                            format!("process {} has not ended after {} s", process.identity().pid, PATIENCE.tv_sec);
                        return Err(Failure::Usage(text));
                    }
                    Ok(_) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(Failure::system("waiting for the daemon's end")(error.into())),
                }
            }
        }
        Ok(())
    }
}
