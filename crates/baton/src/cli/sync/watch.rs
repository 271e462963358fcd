//! `sync --watch`: a pass now, and one after each change of anything that the source is made of.

use super::complaint::Complaint;
use super::inputs::{Inputs, Wanted};
use super::job;
use super::made::{MakeOptions, Sources};
use super::source::{Reading, SourceOptions};
use super::{Manner, carry_out_at_once, show};
use crate::cli::act;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::client::ClientError;
use baton_config::target::resolve;
use baton_core::proto::{Done, Outcome, Request};
use baton_core::sync::{Deed, DriftRule, Plan, Step, Synced};
use baton_core::units::WallTime;
use baton_os::clock;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

/// How long nothing must have changed before a pass: a save is often several changes.
const QUIET: Duration = Duration::from_millis(120);
/// How long a pass waits at most while changes go on.
const LONGEST: Duration = Duration::from_secs(2);
/// How often a pass is tried again when the daemon dies in the midst; its guard starts another one at once.
const TRIES: u32 = 5;

/// Follows the source until a signal ends this process.
///
/// # Errors
/// When files can't be watched.
pub(super) fn run(
    source: &SourceOptions,
    made: &MakeOptions,
    manner: Manner,
    session: &Session,
) -> Result<(), Failure> {
    baton_os::interrupt::is_success().map_err(Failure::system("Ctrl-C"))?;
    let failed = || Failure::system("watching the source");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed())?;
    runtime.block_on(async {
        let force = signal(SignalKind::user_defined1()).map_err(failed())?;
        let inputs = Inputs::new().map_err(failed())?;
        Watcher {
            source,
            made,
            manner,
            session,
            inputs,
            force,
            wanted: beginnings(source, session)?,
            told: None,
            complaint: None,
            name: source.name(session)?,
        }
        .run()
        .await
    })
}

struct Watcher<'a> {
    source: &'a SourceOptions,
    made: &'a MakeOptions,
    manner: Manner,
    session: &'a Session,
    inputs: Inputs,
    /// Asks for a pass at once.
    force: Signal,
    wanted: Wanted,
    /// The error that was told last.
    told: Option<String>,
    /// The name of the source, which may have gone since.
    name: String,
    /// What is told to whoever looks at the list.
    complaint: Option<Complaint>,
}

impl Watcher<'_> {
    async fn run(mut self) -> Result<(), Failure> {
        // Nobody has asked for what a job does when it begins anew.
        let mut drift = if job::is_one() { DriftRule::LeaveAll } else { DriftRule::Leave };
        let mut begun = false;
        loop {
            let WallTime(since) = clock::now().wall;
            self.look(drift);
            let failed = Failure::system("watching the source");
            if self.inputs.watch(&self.wanted, since).map_err(failed)? {
                // One of them changed while it was read.
                continue;
            }
            if !begun {
                begun = true;
                self.session.say(&format!(
                    "watching {} files of {}",
                    self.inputs.count(),
                    self.source.name(self.session)?
                ));
            }
            drift = self.wait().await.map_err(Failure::system("watching the source"))?;
        }
    }

    /// Waits for what makes a pass necessary; how it deals with what was changed by hand follows from that.
    async fn wait(&mut self) -> io::Result<DriftRule> {
        let changed = async || self.inputs.changed().await;
        let asked = async || self.force.recv().await.unwrap_or_default();
        settle(changed, asked, Instant::now, async |at| sleep_until(at).await).await
    }

    /// Reads the source and has the list follow it. What is wrong is told, and changes nothing.
    fn look(&mut self, drift: DriftRule) {
        let pass = self.made.read(self.source, drift, self.told.is_none(), self.session);
        let Sources { mut files, mut directories } = pass.sources.clone();
        match &pass.read {
            Ok(reading) => {
                let loaded = &reading.loaded;
                files.extend(loaded.inputs.iter().chain(&loaded.looked_for).cloned());
                directories.extend(loaded.directories.iter().cloned());
                self.wanted = Wanted { files, directories, everything: false };
                let done = match emptied(reading) {
                    Some(file) => Err(Failure::Usage(format!(
                        "{} is empty: write it, or delete it, which removes its apps",
                        file.display()
                    ))),
                    None => self.apply(reading),
                };
                match done {
                    Ok(Synced { plan, outcomes }) => {
                        self.done(&outcomes);
                        self.tell(&plan);
                        show::results(&plan, &outcomes, self.session);
                        act::tell_failures(&outcomes, self.session);
                        if let Err(failure) = pass.emit(self.session) {
                            failure.tell(self.session);
                        }
                        self.session.say(&show::summary(&plan));
                    }
                    Err(failure) => self.broken(&failure),
                }
            }
            Err(failure) => {
                self.wanted.files.extend(files);
                self.wanted.directories.extend(directories);
                if let Failure::Config(error) = failure {
                    self.wanted.files.extend(error.files());
                }
                self.wanted.everything = true;
                self.broken(failure);
            }
        }
    }

    fn apply(&self, reading: &Reading) -> Result<Synced, Failure> {
        let mut tries = 1;
        loop {
            let mut client = self.session.client()?;
            let done = carry_out_at_once(reading, self.manner, &mut client, self.session);
            match done {
                Err(Failure::Client(ClientError::Lost)) if tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    /// Tells what a pass is about.
    fn tell(&self, plan: &Plan) {
        let touched = |step: &&Step| step.deed == Deed::Orphan || !step.is_nothing();
        let steps = plan.steps.iter().filter(touched).cloned().collect();
        for line in show::text(&Plan { steps, ..plan.clone() }) {
            self.session.line(&line);
        }
    }

    /// Tells what is wrong, once, and has the daemon tell it to whoever looks at the list.
    fn broken(&mut self, failure: &Failure) {
        let text = failure.to_string();
        if self.told.as_ref() == Some(&text) {
            return;
        }
        self.complain(unread(failure));
        failure.tell(self.session);
        self.session.say("nothing was changed; waiting for the repair");
        self.told = Some(text);
    }

    /// The source could be applied; what failed of it is told to whoever looks at the list, until a pass goes well.
    fn done(&mut self, outcomes: &[Outcome]) {
        let failures = outcomes.iter().filter_map(|outcome| match &outcome.done {
            Done::Failed(why) => Some(format!("{}: {why}", outcome.name)),
            _ => None,
        });
        let failures: Vec<String> = failures.collect();
        let left = outcomes.iter().filter(|outcome| matches!(outcome.done, Done::Left(_))).count();
        let rest = if left == 0 { String::new() } else { format!("; {left} more were not attempted") };
        let failed =
            format!("is applied in part: {}{rest}; the next change or SIGUSR1 tries again", failures.join(", "));
        self.told = None;
        // A single pass may have complained, too.
        report(&self.name, None, true, self.session);
        self.complaint = None;
        if !failures.is_empty() {
            self.complain(failed);
        }
    }

    fn complain(&mut self, what: String) {
        // Without a thread for it, it is told here alone.
        self.complaint = Complaint::begin(self.name.clone(), what, self.session).ok();
    }
}

/// Waits for a change, and until there was none for a while; or until somebody asks for a pass.
async fn settle(
    mut changed: impl AsyncFnMut() -> io::Result<()>,
    mut asked: impl AsyncFnMut(),
    now: impl Fn() -> Instant,
    until: impl AsyncFn(Instant),
) -> io::Result<DriftRule> {
    tokio::select! {
        changed = changed() => changed?,
        () = asked() => return Ok(DriftRule::Leave),
    }
    let last = now() + LONGEST;
    loop {
        let quiet = (now() + QUIET).min(last);
        tokio::select! {
            changed = changed() => changed?,
            () = asked() => return Ok(DriftRule::Leave),
            () = until(quiet) => return Ok(DriftRule::LeaveAll),
        }
    }
}

/// A file among others that has become empty, where that would remove its apps: more likely it is being written.
fn emptied(reading: &Reading) -> Option<&Path> {
    let mut files = reading.loaded.skipped.iter().map(|skipped| &*skipped.path).filter(|_| reading.desired.prune);
    files.find(|path| path.metadata().is_ok_and(|found| found.is_file() && found.len() == 0))
}

/// What is told of a source that could not be read once.
pub(crate) fn unread_once(failure: &Failure) -> String {
    format!("could not be read, and its apps stay as they are; `plan` or `sync` of it looks again: {failure}")
}

/// What is told of a source that was read once, and could not be applied as a whole.
pub(crate) fn refused_once(plan: &Plan) -> Option<String> {
    let refused = show::refused(plan);
    (!refused.is_empty())
        .then(|| format!("is applied in part: {}; `plan` or `sync` of it looks again", refused.join(", ")))
}

/// What is told of a followed source that can't be read.
fn unread(failure: &Failure) -> String {
    format!("is not followed until this is repaired; its apps stay as they are: {failure}")
}

/// Has the daemon tell everybody who looks at the list how reading a source went. Without a daemon there is no list.
pub(crate) fn report(source: &str, error: Option<String>, follows: bool, session: &Session) {
    if let Ok(Some(mut client)) = session.present_client() {
        // Whether it arrives changes nothing for the source.
        let _ = client.call(Request::Report { source: source.into(), error, follows });
    }
}

/// The same for a source that was read once.
pub(crate) fn report_once(source: &SourceOptions, error: Option<String>, session: &Session) {
    if let Ok(name) = source.name(session) {
        report(&name, error, false, session);
    }
}

/// What to watch before anything was read: the files and directories of the command line.
fn beginnings(source: &SourceOptions, session: &Session) -> Result<Wanted, Failure> {
    let directory = session.directory()?;
    let paths: Vec<PathBuf> = source.files(session)?.iter().map(|path| resolve(&directory, path)).collect();
    let (directories, files) = paths.into_iter().partition(|path| path.is_dir());
    Ok(Wanted { files, directories, everything: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use tokio::sync::Notify;

    /// Changes at these times (ms), on a clock that goes as they say.
    struct Times {
        begin: Instant,
        clock: Cell<Duration>,
        deadline: Cell<Duration>,
        elapsed: Notify,
        changes: RefCell<VecDeque<u64>>,
    }

    impl Times {
        async fn changed(&self) -> io::Result<()> {
            // Whoever waits for a time has said so then.
            tokio::task::yield_now().await;
            let next = self.changes.borrow().front().copied().map(Duration::from_millis);
            if let Some(at) = next.filter(|at| *at < self.deadline.get()) {
                self.changes.borrow_mut().pop_front();
                self.clock.set(at);
                return Ok(());
            }
            self.clock.set(self.deadline.get());
            self.elapsed.notify_one();
            std::future::pending().await
        }

        async fn until(&self, at: Instant) {
            self.deadline.set(at - self.begin);
            while self.clock.get() < at - self.begin {
                self.elapsed.notified().await;
            }
        }
    }

    /// When the pass begins, and how many changes are left for another one.
    fn pass(changes: &[u64]) -> (u128, usize) {
        let times = Times {
            begin: Instant::now(),
            clock: Cell::default(),
            deadline: Cell::new(Duration::MAX),
            elapsed: Notify::new(),
            changes: RefCell::new(changes.iter().copied().collect()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let nobody = async || std::future::pending().await;
        let now = || times.begin + times.clock.get();
        let rule =
            runtime.block_on(settle(async || times.changed().await, nobody, now, async |at| times.until(at).await));
        assert_eq!(rule.expect("no error"), DriftRule::LeaveAll);
        (times.clock.get().as_millis(), times.changes.borrow().len())
    }

    #[test]
    fn edits_that_follow_each_other_are_one_pass_which_does_not_wait_for_ever() {
        assert_eq!(pass(&[10]), (130, 0));
        assert_eq!(pass(&[10, 110, 200]), (320, 0), "within 100 ms each");
        assert_eq!(pass(&[10, 131]), (130, 1), "later");
        let always: Vec<u64> = (0..100).map(|number| number * 50).collect();
        assert_eq!(pass(&always), (2000, 60));
    }
}
