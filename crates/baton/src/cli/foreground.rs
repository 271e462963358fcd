//! Apps in the foreground: `runtime`, `dev` and `start --no-daemon`. This process starts a daemon and what it was asked
//! for, shows what the apps write, passes on signals, and ends with them. As the first process of a container it also
//! consumes whatever is left to it.
//!
//! The daemon and its guard are there as ever, so that every other verb works beside it, and a daemon that dies takes no
//! app and no line with it.

use super::common::Common;
use super::failure::Failure;
use super::kill;
use super::logs::{Onlooker, stream};
use super::session::{CalledAs, Session, command, list};
use super::start::{self, bring_up};
use crate::client::Client;
use crate::home::Home;
use crate::logs::render::Form;
use crate::mailbox::{Mailbox, Voice, mailbox};
use baton_core::proto::{Action, Change, Command, List, Order, Patch, Request, Wait};
use baton_core::select::Selector;
use baton_core::spec::AppSpec;
use baton_core::units::{InstanceId, Instant, Millis};
use baton_core::world::{Cause, Detail, InstanceView, Status, units};
use baton_os::foreground::{Happened, Signals, is_first, reap};
use baton_os::{clock, probe};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

/// How long after somebody stopped or deleted the last app it may be started again, before all ends.
const GRACE: Millis = Millis(10_000);

/// The exit code when apps have ended otherwise than with success; PM2's.
const ENDED_BADLY: u8 = 2;

/// How the apps are kept in the foreground.
#[derive(Debug)]
pub(super) struct Foreground {
    /// How lines are shown.
    pub(super) form: Form,
    /// The time in front of lines.
    pub(super) stamp: Option<String>,
    /// End when all apps have ended.
    pub(super) auto_exit: bool,
    /// Wait so long before the start.
    pub(super) delay: Millis,
    /// A command line to run after each restart.
    pub(super) after_restart: Option<String>,
}

impl Default for Foreground {
    fn default() -> Foreground {
        Foreground { form: Form::Labelled, stamp: None, auto_exit: false, delay: Millis(0), after_restart: None }
    }
}

/// Starts what is asked for and stays until it has ended.
///
/// # Errors
/// When a daemon runs on the home already, something could not be started, or apps ended otherwise than with success.
pub(super) fn run(mut args: start::Args, how: Foreground, session: &Session) -> Result<(), Failure> {
    if let Some(client) = session.present_client()? {
        return Err(Failure::Usage(format!(
            "a daemon (pid {}) runs on {} already, and this would be another: end it with `{} kill`, or set {} to \
             another folder",
            client.greeting().pid,
            session.home.root().display(),
            session.called.program(),
            session.called.home_variable()
        )));
    }
    args.shown_here = true;
    let signals = Signals::take().map_err(Failure::system("signals"))?;
    super::take_over::check(session)?;
    let mut client = Client::connect_or_start(&session.home)?;
    forget_the_last(&mut client)?;
    let follower = Client::connect_or_start(&session.home)?;
    let (voice, words) = mailbox().map_err(Failure::system("a mailbox"))?;
    let mut onlooker = Watch {
        stage: Stage::Delayed { until: clock::now().instant + how.delay, args: Box::new(args) },
        exit: 0,
        auto_exit: how.auto_exit,
        after_restart: how.after_restart,
        slots: BTreeMap::new(),
        signals,
        words,
        voice,
        client,
        home: session.home.clone(),
        called: session.called,
    };
    let shown = stream(how.form, how.stamp.as_deref(), follower, session, &mut onlooker);
    if shown.is_err() {
        // Whoever read us is gone; the apps must not outlive this process all the same.
        kill::run(kill::Args { common: Common { silent: true, ..Common::default() } }, session)?;
    }
    shown?;
    match onlooker.exit {
        0 => Ok(()),
        code => Err(Failure::Code(code)),
    }
}

/// Log files that stand for this process's own output, or for none: what apps write is shown here anyway.
const NO_FILES: &[&str] = &[
    "null",
    "NULL",
    "/dev/null",
    "/dev/stdout",
    "/dev/stderr",
    "/proc/self/fd/1",
    "/proc/self/fd/2",
    "/proc/1/fd/1",
    "/proc/1/fd/2",
];

/// Gives an app the log files that its lines are shown from.
pub(super) fn with_logs(spec: &mut AppSpec) {
    spec.disable_logs = false;
    for file in [&mut spec.out_file, &mut spec.error_file] {
        if file.as_deref().is_some_and(|path| NO_FILES.contains(&path)) {
            *file = None;
        }
    }
}

/// Empties the list: what a life before this one has left in it is not what was asked for now.
fn forget_the_last(client: &mut Client) -> Result<(), Failure> {
    if list(client, List::default())?.instances.is_empty() {
        return Ok(());
    }
    let targets = vec![Selector::new("all")];
    let (patch, order, wait) = (Patch::default(), Order::default(), Wait::default());
    command(client, Command::Act { action: Action::Delete, targets, patch, order, wait })?;
    Ok(())
}

/// Where in its life the session is.
enum Stage {
    /// Nothing was started yet.
    Delayed { until: Instant, args: Box<start::Args> },
    /// A thread starts the apps.
    Starting,
    /// They are started. With a moment, all have ended, and it is waited that far.
    Running { ends_at: Option<Instant> },
    /// A thread has all ended.
    Ending,
    /// All have ended.
    Over,
}

/// What a thread has to say.
enum Word {
    /// The apps are started, or a part of them was not.
    Started(Result<(), Failure>),
    /// Daemon and guard have ended, and so everything is written.
    Ended,
}

struct Watch {
    stage: Stage,
    exit: u8,
    auto_exit: bool,
    after_restart: Option<String>,
    slots: BTreeMap<InstanceId, InstanceView>,
    signals: Signals,
    words: Mailbox<Word>,
    voice: Voice<Word>,
    client: Client,
    home: Home,
    called: CalledAs,
}

impl Onlooker for Watch {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.signals.as_fd(), self.words.as_fd()]
    }

    fn until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Delayed { until, .. } => Some(until),
            Stage::Running { ends_at } => ends_at,
            Stage::Starting | Stage::Ending | Stage::Over => None,
        }
    }

    fn sees(&mut self, change: &Change) {
        match change {
            Change::Snapshot(listing) => {
                self.slots = listing.instances.iter().map(|view| (view.id, view.clone())).collect();
            }
            Change::Slot(view) => {
                let before = self.slots.insert(view.id, (**view).clone());
                let again = before.is_some_and(|before| before.restarts < view.restarts);
                if again && let Some(command) = &self.after_restart {
                    self.run_beside(command.clone());
                }
            }
            Change::Gone(id) => drop(self.slots.remove(id)),
            Change::Ending => {}
        }
    }

    fn goes_on(&mut self) -> Result<bool, Failure> {
        self.take_words();
        for happened in self.signals.read() {
            match happened {
                Happened::EndAsked => self.end(0)?,
                Happened::LogsAsked => drop(self.client.call(Request::ReloadLogs)),
                Happened::ChildEnded => {}
            }
        }
        // The thread that starts apps waits for children of its own.
        if is_first() && !matches!(self.stage, Stage::Starting) {
            reap();
        }
        let now = clock::now().instant;
        if matches!(self.stage, Stage::Delayed { until, .. } if until <= now) {
            self.start()?;
        }
        self.look_for_the_end(now)?;
        Ok(!matches!(self.stage, Stage::Over))
    }
}

impl Watch {
    fn take_words(&mut self) {
        for word in self.words.take() {
            match word {
                // Whoever asked for the end meanwhile has it refused what was still to be started.
                Word::Started(_) if !matches!(self.stage, Stage::Starting) => {}
                Word::Started(result) => {
                    self.stage = Stage::Running { ends_at: None };
                    if let Err(failure) = result {
                        failure.tell(&Session::on(self.home.clone(), self.called));
                        self.exit = 1;
                    }
                }
                Word::Ended => self.stage = Stage::Over,
            }
        }
    }

    fn start(&mut self) -> Result<(), Failure> {
        let Stage::Delayed { args, .. } = std::mem::replace(&mut self.stage, Stage::Starting) else { return Ok(()) };
        let (voice, home, called) = (self.voice.clone(), self.home.clone(), self.called);
        let begin = move || {
            let mut session = Session::on(home, called);
            session.adopt(&args.common);
            session.aside = true;
            let started = bring_up(*args, &session).and_then(|(started, _)| started.success());
            voice.say(Word::Started(started));
        };
        thread::Builder::new().name("start".into()).spawn(begin).map_err(Failure::system("a thread"))?;
        Ok(())
    }

    /// Has every app ended, and then the daemon.
    fn end(&mut self, exit: u8) -> Result<(), Failure> {
        if matches!(self.stage, Stage::Ending | Stage::Over) {
            return Ok(());
        }
        (self.stage, self.exit) = (Stage::Ending, exit);
        let (voice, home, called) = (self.voice.clone(), self.home.clone(), self.called);
        let end = move || {
            let mut session = Session::on(home, called);
            session.silent = true;
            if let Err(failure) = kill::run(kill::Args { common: Common::default() }, &session) {
                failure.tell(&Session::on(session.home.clone(), called));
            }
            voice.say(Word::Ended);
        };
        thread::Builder::new().name("end".into()).spawn(end).map_err(Failure::system("a thread"))?;
        Ok(())
    }

    /// Ends when nothing runs and nothing will by itself: at once when all have ended by themselves, later when somebody
    /// stopped or deleted them.
    fn look_for_the_end(&mut self, now: Instant) -> Result<(), Failure> {
        let Stage::Running { ends_at } = self.stage else { return Ok(()) };
        let failed_to_start = self.exit != 0;
        if !self.auto_exit && !failed_to_start {
            return Ok(());
        }
        if !self.slots.values().all(is_down) {
            self.stage = Stage::Running { ends_at: None };
            return Ok(());
        }
        let what = List { detail: Detail::Definition, ..List::default() };
        let instances = list(&mut self.client, what)?.instances;
        if !instances.iter().all(|view| is_down(view) && !comes_back(view)) {
            self.stage = Stage::Running { ends_at: None };
            return Ok(());
        }
        let asked = !failed_to_start && (instances.is_empty() || instances.iter().any(by_hand));
        let ends_at = ends_at.unwrap_or(if asked { now + GRACE } else { now });
        if ends_at > now {
            self.stage = Stage::Running { ends_at: Some(ends_at) };
            return Ok(());
        }
        let well = units(&instances).iter().all(|unit| unit.healthy) && !instances.is_empty();
        let exit = if failed_to_start {
            self.exit
        } else if well {
            0
        } else {
            ENDED_BADLY
        };
        self.end(exit)
    }

    /// Runs a command line of the caller's; what it prints goes to our standard error.
    fn run_beside(&self, command: String) {
        let (home, called) = (self.home.clone(), self.called);
        let run = move || {
            let session = Session::on(home, called);
            let done = session.directory().map(|directory| probe::run(&command, &directory, &session.environment()));
            match done {
                Ok(Err(error)) => session.warn(&format!("`{command}`: {error}")),
                Err(failure) => failure.tell(&session),
                Ok(Ok(_)) => {}
            }
        };
        // Without a thread the command is left out, as if it had failed.
        let _ = thread::Builder::new().name("after".into()).spawn(run);
    }
}

fn is_down(view: &InstanceView) -> bool {
    matches!(view.status, Status::Stopped | Status::Errored) && !view.is_idle()
}

/// Whether a change of a file or a time starts it again.
fn comes_back(view: &InstanceView) -> bool {
    let timed = view.spec.as_ref().is_some_and(|spec| spec.cron_restart.is_some());
    (view.watching || timed) && !by_hand(view)
}

/// Whether somebody has stopped it.
fn by_hand(view: &InstanceView) -> bool {
    view.status == Status::Stopped && view.last.as_ref().is_some_and(|last| matches!(last.cause, Cause::Operator(_)))
}
