//! `sync --watch --daemon`: a watch that is an app of the list. It lives on with the others, is restarted when it ends, has
//! logs, and is shown, saved and deleted as any app is.

use super::source::{SourceOptions, is_same};
use super::{Args, Manner};
use crate::cli::apps;
use crate::cli::failure::Failure;
use crate::cli::session::{Session, command, list, unexpected};
use crate::client::Client;
use baton_config::normalise;
use baton_core::proto::{Action, Command, List, Order, Patch, Reply, Request, Wait};
use baton_core::select::Selector;
use baton_core::spec::AppSpec;
use baton_core::world::{Detail, InstanceView, Signal};
use serde_json::{Map, Value, json};

/// The variable that tells a watch that it is a job, and of which source.
const SOURCE: &str = "BATON_SYNC_SOURCE";
/// The unit of all jobs.
const UNIT: &str = "sync";
/// Asks for a pass.
const NOW: Signal = Signal(10);

/// Whether this process is a job.
pub(super) fn is_one() -> bool {
    std::env::var_os(SOURCE).is_some()
}

/// Makes the watch of a source a job; one that is there begins anew.
///
/// # Errors
/// When it can't be started.
pub(super) fn begin(args: &Args, manner: Manner, session: &Session) -> Result<(), Failure> {
    let source = args.source.name(session)?;
    let program = std::env::current_exe().map_err(Failure::system("this program"))?;
    let words = words(args, manner);
    let mut client = session.client()?;
    let name = match found(&source, &mut client)?.first() {
        Some(job) => job.name.clone(),
        None => free_name(&source, &mut client)?,
    };
    let Value::Object(raw): Value = json!({
        "name": name,
        "args": words,
        "interpreter": "none",
        "namespace": UNIT,
        "env": { SOURCE: source, "BATON_HOME": session.home.root() },
    }) else {
        return Err(Failure::Usage("a job is a map".into()));
    };
    let wish = apps::wish(definition(&program.to_string_lossy(), &raw, session)?);
    let outcomes =
        command(&mut client, Command::Define { apps: vec![wish], order: Order::Alone, wait: Wait::Spawned })?;
    crate::cli::act::tell_failures(&outcomes, session);
    crate::cli::act::success(&outcomes)?;
    session.say(&format!("following {source} as the app {name}"));
    session.say(&format!("`{} save` keeps it over a boot of the machine", session.called.program()));
    Ok(())
}

/// The command line of a job.
fn words(Args { source, made, .. }: &Args, manner: Manner) -> Vec<String> {
    let mut words: Vec<String> = ["sync", "--watch"].map(str::to_owned).to_vec();
    words.extend(source.words());
    words.extend(made.words());
    words.push(format!("--parallel={}", manner.parallel));
    words.extend(source.file.only.iter().map(|name| format!("--only={name}")));
    let flags = [
        ("--prune", source.prune),
        ("--force", source.force),
        ("--reset-drift", source.reset_drift),
        ("--continue", manner.go_on),
    ];
    words.extend(flags.iter().filter(|(_, given)| *given).map(|(flag, _)| (*flag).to_owned()));
    words
}

fn definition(script: &str, raw: &Map<String, Value>, session: &Session) -> Result<AppSpec, Failure> {
    let options = apps::load_options(session)?;
    Ok(normalise::script(script, raw, &baton_config::Context::command_line(&options))?.0)
}

/// `sync-` and the last part of the source's path; a number behind it when that is the name of another app.
fn free_name(source: &str, client: &mut Client) -> Result<String, Failure> {
    let first = source.split(", ").next().unwrap_or(source);
    let stem = first.trim_end_matches('/').rsplit('/').next().unwrap_or(first);
    // A word with the ending of a process file means a file.
    let base = format!("sync-{}", stem.replace('.', "-"));
    let present = list(client, List::default())?.instances;
    let taken = |name: &str| present.iter().any(|view| view.name == name);
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    Ok(std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base))
}

/// All jobs.
fn all(client: &mut Client) -> Result<Vec<InstanceView>, Failure> {
    let what = List { detail: Detail::Definition, ..List::default() };
    Ok(list(client, what)?.instances.into_iter().filter(|view| source_of(view).is_some()).collect())
}

fn source_of(view: &InstanceView) -> Option<&str> {
    view.spec.as_ref()?.env.get(SOURCE).map(String::as_str)
}

fn found(source: &str, client: &mut Client) -> Result<Vec<InstanceView>, Failure> {
    Ok(all(client)?.into_iter().filter(|view| source_of(view).is_some_and(|known| is_same(known, source))).collect())
}

fn names_none(source: &SourceOptions) -> bool {
    source.targets.is_empty() && source.file.config.is_empty()
}

/// The jobs of the source that the words of a command line name, or all when there are none.
fn of(source: &SourceOptions, client: &mut Client, session: &Session) -> Result<Vec<InstanceView>, Failure> {
    if names_none(source) { all(client) } else { found(&source.name(session)?, client) }
}

/// As [`of`], where there must be one.
fn meant(source: &SourceOptions, client: &mut Client, session: &Session) -> Result<Vec<InstanceView>, Failure> {
    let jobs = of(source, client, session)?;
    if jobs.is_empty() {
        let what = if names_none(source) { "no source is".into() } else { format!("{} is not", source.name(session)?) };
        return Err(Failure::Usage(format!("{what} followed by a job; `sync SOURCE --watch --daemon` makes one")));
    }
    Ok(jobs)
}

/// Shows the jobs of a source, one a line; without a source all.
///
/// # Errors
/// When the daemon can't be asked.
pub(super) fn show(source: &SourceOptions, session: &Session) -> Result<(), Failure> {
    let mut client = session.client()?;
    for job in of(source, &mut client, session)? {
        let source = source_of(&job).unwrap_or_default();
        session.line(&format!("{}  {}  {source}", job.name, job.status.as_str()));
    }
    Ok(())
}

/// Ends the jobs of a source; its apps stay.
///
/// # Errors
/// When there is none.
pub(super) fn end(source: &SourceOptions, session: &Session) -> Result<(), Failure> {
    let mut client = session.client()?;
    let jobs = meant(source, &mut client, session)?;
    let targets = selectors(&jobs);
    let (patch, order, wait) = (Patch::default(), Order::Alone, Wait::Spawned);
    let outcomes = command(&mut client, Command::Act { action: Action::Delete, targets, patch, order, wait })?;
    crate::cli::act::tell_failures(&outcomes, session);
    crate::cli::act::success(&outcomes)?;
    for job in &jobs {
        session.say(&format!("{} is not followed any more; its apps stay", source_of(job).unwrap_or_default()));
    }
    Ok(())
}

/// Asks the jobs of a source for a pass.
///
/// # Errors
/// When there is none, or none of them runs.
pub(super) fn wake(source: &SourceOptions, session: &Session) -> Result<(), Failure> {
    let mut client = session.client()?;
    let jobs = meant(source, &mut client, session)?;
    if let Some(job) = jobs.first().filter(|_| jobs.iter().all(|job| job.pid.is_none())) {
        let program = session.called.program();
        return Err(Failure::Usage(format!("the job {0} does not run: `{program} start {0}` starts it", job.name)));
    }
    let targets = selectors(&jobs);
    match client.call(Request::Signal { targets, signal: NOW })? {
        Reply::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn selectors(jobs: &[InstanceView]) -> Vec<Selector> {
    jobs.iter().map(|job| Selector::of(job.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_job_gets_every_option_of_the_command_that_made_it() {
        let given = [
            "a",
            "--only=x",
            "--env=prod",
            "--prune",
            "--force",
            "--reset-drift",
            "--parallel=3",
            "--continue",
            "--generate=make",
            "--generate-from=src",
            "--emit=out.json",
        ];
        let args = Args::parse_from(["sync", "--watch", "--daemon"].into_iter().chain(given));
        let words = words(&args, Manner { parallel: args.parallel, go_on: args.go_on });
        for option in given {
            assert!(words.iter().any(|word| word == option), "{option} in {words:?}");
        }
        assert!(!words.iter().any(|word| word == "--daemon"));
    }
}
