//! Doing something with slots that exist: what `start`, `stop`, `restart`, `delete` and `reset` share.

use super::errors::last_report;
use super::failure::Failure;
use super::session::{Session, command, list};
use crate::client::Client;
use baton_core::proto::{Action, Command, Done, List, Order, Outcome, Patch, Roll, Wait};
use baton_core::select::Selector;
use baton_core::units::{InstanceId, WallTime};
use baton_core::world::{Cause, InstanceView};
use baton_pm2::text::{self, ActionName};
use indexmap::{IndexMap, IndexSet};
use std::fs::File;
use std::time::UNIX_EPOCH;

/// Lines of standard error that are shown of what did not become ready.
const LAST_LINES: usize = 20;

/// Says what is about to be done with which slots.
pub(crate) fn announce(action: Action, word: &str, slots: &[InstanceId], session: &Session) {
    let name = match action {
        Action::Start | Action::Restart | Action::Roll(Roll { overlap: false, .. }) => ActionName::Restart,
        Action::Roll(Roll { overlap: true, .. }) => ActionName::Reload,
        Action::Stop => ActionName::Stop,
        Action::Delete => ActionName::Delete,
        // Its lines are of its own form.
        Action::Reset | Action::Run => return,
    };
    session.say(&text::applying(name, word, slots));
}

/// Which slots are meant.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// Words of the command line; PM2 tells what each of them means.
    pub(crate) words: Vec<Selector>,
    /// Apps of process files.
    pub(crate) apps: Vec<Selector>,
}

/// How it is to be done.
#[derive(Debug, Default)]
pub(crate) struct How {
    /// New values of the definitions.
    pub(crate) patch: Patch,
    /// Whether a start heeds what the apps depend on.
    pub(crate) order: Order,
    /// Until when to wait.
    pub(crate) wait: Wait,
}

/// Does one thing with slots. A word that names nothing refuses all: nothing is changed.
///
/// # Errors
/// When a word names nothing or the daemon refuses.
pub(crate) fn on_slots(
    action: Action,
    targets: Targets,
    how: How,
    client: &mut Client,
    session: &Session,
) -> Result<Vec<Outcome>, Failure> {
    let mut announced = Vec::new();
    for word in &targets.words {
        let what = List { targets: vec![word.clone()], ..List::default() };
        let ids = list(client, what)?.instances.iter().map(|view| view.id).collect::<Vec<_>>();
        announced.push((&word.text, ids));
    }
    for (word, slots) in announced {
        announce(action, word, &slots, session);
    }
    let targets = targets.apps.into_iter().chain(targets.words).collect();
    let How { patch, order, wait } = how;
    let outcomes = command(client, Command::Act { action, targets, patch, order, wait })?;
    tell(&outcomes, session);
    Ok(outcomes)
}

/// Tells what became of each slot: present ones by number, new ones by app, and failures with their reason.
pub(crate) fn tell(outcomes: &[Outcome], session: &Session) {
    let mut launched: IndexMap<&str, usize> = IndexMap::new();
    let mut restarted: IndexSet<&str> = IndexSet::new();
    for outcome in outcomes {
        match &outcome.done {
            Done::Launched => *launched.entry(&outcome.name).or_default() += 1,
            Done::RestartedInstead => {
                session.say(&text::acted(&outcome.name, outcome.id));
                restarted.insert(&outcome.name);
            }
            Done::Reloaded | Done::Restarted | Done::Stopped | Done::Deleted => {
                session.say(&text::acted(&outcome.name, outcome.id))
            }
            Done::Ran => session.say(&format!("[{}]({}) runs", outcome.name, outcome.id)),
            Done::Reset => session.say(&text::resetting(outcome.id)),
            Done::Failed(_) | Done::Left(_) => {}
        }
    }
    for (name, count) in launched {
        session.say(&text::launched(name, count));
    }
    for name in restarted {
        session.warn(&format!(
            "{name} was restarted, not reloaded: two of it can't run at a time; give it `listen` sockets or cluster mode"
        ));
    }
    tell_failures(outcomes, session);
}

/// Tells which slots failed, and why, with the last lines of standard error of those that ran and did not become ready.
pub(crate) fn tell_failures(outcomes: &[Outcome], session: &Session) {
    let mut known: Option<Vec<InstanceView>> = None;
    for outcome in outcomes {
        if let Done::Left(why) = &outcome.done {
            session.warn(&format!("App [{}]({}): {why}", outcome.name, outcome.id));
        }
        let Done::Failed(why) = &outcome.done else { continue };
        session.error(&format!("App [{}]({}): {why}", outcome.name, outcome.id));
        // The daemon may be gone, and then there is nothing more to tell.
        let ask = || session.client().and_then(|mut client| list(&mut client, List::default()));
        let views = known.get_or_insert_with(|| ask().map(|listing| listing.instances).unwrap_or_default());
        let view = views.iter().find(|view| view.id == outcome.id);
        if let Some(lines) = view.and_then(|view| last_words(view, since(view, session)?)) {
            session.error(&format!("the last lines of its standard error:\n{}", lines.trim_end()));
        }
    }
}

/// From when on what a slot has written may tell why it failed; nothing when it did not run in vain.
fn since(view: &InstanceView, session: &Session) -> Option<WallTime> {
    let (cause, at) = view.last.as_ref().map(|last| (&last.cause, last.at)).unzip();
    match cause {
        // The life that has failed is gone, and the other one writes into the same file.
        Some(Cause::ReloadFailed(_)) => (at >= Some(session.began)).then_some(session.began),
        Some(cause) if cause.is_dependency() => None,
        _ => (!view.ready && view.waits_for.is_empty()).then_some(view.created_at),
    }
}

/// The end of a slot's standard error, when anything was written since then; it may have lived several times since.
fn last_words(view: &InstanceView, since: WallTime) -> Option<String> {
    let file = File::open(view.files.error.as_ref()?).ok()?;
    let written = file.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    if written.as_millis() < u128::from(since.0) {
        return None;
    }
    let bytes = last_report(&file, LAST_LINES).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Success when no slot failed; what failed was told.
///
/// # Errors
/// When one did.
pub(crate) fn success(outcomes: &[Outcome]) -> Result<(), Failure> {
    let failed = outcomes.iter().any(|outcome| matches!(outcome.done, Done::Failed(_)));
    if failed { Err(Failure::Told) } else { Ok(()) }
}
