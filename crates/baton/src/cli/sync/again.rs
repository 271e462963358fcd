//! Sources read again for apps that belong to them: `restart --from-source`, and what `restart` says of apps whose
//! definition differs.

use super::{Args, Manner, carry_out_at_once, show};
use crate::cli::Verb;
use crate::cli::act;
use crate::cli::failure::Failure;
use crate::cli::plan;
use crate::cli::session::{Session, command, list, unexpected};
use crate::client::Client;
use baton_core::proto::{Action, Command, List, Order, Outcome, Patch, Reply, Request, Roll, Wait};
use baton_core::select::Selector;
use baton_core::sync::{Baseline, Deed, DriftRule, Scope};
use clap::FromArgMatches;
use std::collections::{BTreeMap, BTreeSet};

/// Apps by the source that they belong to.
type Owned = BTreeMap<String, BTreeSet<String>>;

/// Applies to these apps what their sources say, and runs those again that are as they should be: all at once, or as
/// `roll` says.
///
/// # Errors
/// When one of them belongs to no source, a source can't be read, or the daemon refuses.
pub(crate) fn restart(
    words: &[Selector],
    roll: Option<Roll>,
    client: &mut Client,
    session: &Session,
) -> Result<Vec<Outcome>, Failure> {
    let (owned, others) = owners(words, client)?;
    if let Some(other) = others.first() {
        return Err(Failure::Usage(format!("{other} belongs to no source: `sync SOURCE` gives it one")));
    }
    let baselines = baselines(client)?;
    let mut all = Vec::new();
    for (source, apps) in owned {
        let (reading, _) = read(&source, &apps, &baselines, DriftRule::Reset, session)?;
        for app in &apps {
            if !reading.desired.apps.iter().any(|wish| wish.spec.name == *app) {
                return Err(Failure::Usage(format!("{source} does not have {app} any more")));
            }
        }
        let manner = Manner { parallel: roll.map_or(1, |roll| roll.parallel), go_on: true };
        let synced = carry_out_at_once(&reading, manner, client, session)?;
        for line in show::text(&synced.plan) {
            session.line(&line);
        }
        show::results(&synced.plan, &synced.outcomes, session);
        act::tell_failures(&synced.outcomes, session);
        all.extend(synced.outcomes);
        // What needs no new process for its definition was asked to run again all the same.
        let same = synced.plan.steps.iter().filter(|step| matches!(step.deed, Deed::Keep | Deed::Live | Deed::Scale));
        let targets: Vec<Selector> =
            same.filter(|step| apps.contains(&step.app)).map(|step| Selector::new(&step.app)).collect();
        if !targets.is_empty() {
            let (patch, order, wait) = (Patch::default(), Order::Dependencies, Wait::Spawned);
            let action = roll.map_or(Action::Restart, Action::Roll);
            let outcomes = command(client, Command::Act { action, targets, patch, order, wait })?;
            act::tell(&outcomes, session);
            all.extend(outcomes);
        }
    }
    Ok(all)
}

/// Says of which of these apps the source says something else now. What can't be read says nothing: it was not asked for.
pub(crate) fn tell_differences(words: &[Selector], client: &mut Client, session: &Session) {
    let Ok((owned, _)) = owners(words, client) else { return };
    let Some(baselines) = (!owned.is_empty()).then(|| baselines(client).ok()).flatten() else { return };
    for (source, apps) in owned {
        let Ok((reading, words)) = read(&source, &apps, &baselines, DriftRule::Leave, session) else { continue };
        let is_here = session.directory().is_ok_and(|here| here.as_os_str() == &*reading.desired.origin.directory);
        // Words count from where they were said.
        let words = if is_here { words.join(" ") } else { source.replace(", ", " ") };
        for name in apps.iter().filter(|name| !reading.desired.apps.iter().any(|wish| wish.spec.name == **name)) {
            let program = session.called.program();
            session
                .caution(&format!("{name} is not in its source any more: `{program} sync {words} --prune` removes it"));
        }
        let Ok(plan) = plan::ask(reading.desired, client) else { continue };
        let differs = |deed: &Deed| !matches!(deed, Deed::Keep | Deed::Start | Deed::Orphan);
        for step in plan.steps.iter().filter(|step| apps.contains(&step.app) && differs(&step.deed)) {
            session.caution(&format!(
                "{} is defined differently in its source: `{} sync {} --only {}` applies it",
                step.app,
                session.called.program(),
                words,
                step.app
            ));
        }
    }
}

/// The apps that are meant, by their sources, and those without one.
fn owners(words: &[Selector], client: &mut Client) -> Result<(Owned, Vec<String>), Failure> {
    let views = list(client, List { targets: words.to_vec(), ..List::default() })?.instances;
    let (mut owned, mut others) = (Owned::new(), Vec::new());
    for view in views {
        match view.owner {
            Some(owner) => drop(owned.entry(owner).or_default().insert(view.name)),
            None => others.push(view.name),
        }
    }
    Ok((owned, others))
}

/// What the last pass made of each source.
///
/// # Errors
/// When the daemon does not answer.
pub(super) fn baselines(client: &mut Client) -> Result<BTreeMap<String, Baseline>, Failure> {
    match client.call(Request::Sources)? {
        Reply::Sources(sources) => Ok(sources),
        other => Err(unexpected(other)),
    }
}

/// Reads a source as the last pass did, for these apps alone; and the words for it.
fn read(
    source: &str,
    apps: &BTreeSet<String>,
    baselines: &BTreeMap<String, Baseline>,
    drift: DriftRule,
    session: &Session,
) -> Result<(super::Reading, Vec<String>), Failure> {
    let unknown = || Failure::Usage(format!("how {source} is read is not known: `sync` it once"));
    let origin = &baselines.get(source).ok_or_else(unknown)?.origin;
    let words = origin.words.iter().cloned().chain(apps.iter().map(|app| format!("--only={app}")));
    let matches = Verb::Sync.command().no_binary_name(true).try_get_matches_from(words).map_err(|_| unknown())?;
    let args = Args::from_arg_matches(&matches).map_err(|_| unknown())?;
    let reading = args.source.read(drift, &session.silently_in(&origin.directory))?;
    debug_assert_eq!(reading.desired.scope, Scope::Some);
    Ok((reading, origin.words.clone()))
}
