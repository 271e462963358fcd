//! `why`: what has happened to an app, and why, with its last words.

use super::common::Common;
use super::errors::last_report;
use super::failure::Failure;
use super::session::{Session, list};
use super::story::{Story, local, stories};
use super::target;
use baton_core::proto::List;
use baton_core::world::{Detail, InstanceView};
use baton_pm2::table;
use clap::Parser;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::fs::File;
use std::time::UNIX_EPOCH;

/// Lines of standard error that are shown.
const LAST_WORDS: usize = 10;

/// Show what has happened to an app, and why.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name, number, unit or /pattern/.
    #[arg(value_name = "name|id")]
    target: String,
    /// How many things that happened are shown; the last 20 changes of state are remembered.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 10)]
    last: usize,
    /// JSON: for each instance every change of state and every end that is remembered.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let targets = vec![target::selector(&args.target, &session.directory()?)];
    let listing = list(&mut session.quiet_client()?, List { targets, detail: Detail::History })?;
    if args.json {
        let all: Vec<Value> = listing.instances.iter().map(whole).collect();
        session.line(&json!(all).to_string());
        return Ok(());
    }
    let zone = TimeZone::system();
    for view in &listing.instances {
        session.line(&format!("{} ({}) is {}", view.name, view.id, state(view)));
        let stories = stories(view);
        for story in stories.iter().skip(stories.len().saturating_sub(args.last)) {
            session.line(&line(story, &zone));
        }
        if let Some(death) = view.deaths.last() {
            let uptime = table::duration(death.uptime);
            session.line(&format!("its last process {} at {}, after {uptime}", death.exit, local(death.at, &zone)));
        }
        if let Some(words) = last_words(view) {
            session.line(&format!("the last lines of its standard error:\n{}", words.trim_end()));
        }
    }
    Ok(())
}

fn state(view: &InstanceView) -> String {
    let word = match &view.job {
        Some(job) if job.idle && job.has_failed() => "scheduled, and its last run has failed",
        _ if view.is_degraded() => "degraded",
        _ => view.word(),
    };
    match (view.pid, view.restarts) {
        (Some(pid), 0) => format!("{word}, pid {pid}"),
        (Some(pid), restarts) => format!("{word}, pid {pid}, restarts {restarts}"),
        (None, 0) => word.to_owned(),
        (None, restarts) => format!("{word}, restarts {restarts}"),
    }
}

fn line(story: &Story<'_>, zone: &TimeZone) -> String {
    format!("  {}  {:<36} {}", local(story.at, zone), story.way.join(" → "), story.cause)
}

fn whole(view: &InstanceView) -> Value {
    let told = |transition: &baton_core::world::Transition| json!({"at": transition.at, "to": transition.to, "why": transition.cause.to_string(), "cause": transition.cause});
    json!({
        "id": view.id, "name": view.name, "unit": view.namespace, "status": view.status, "restarts": view.restarts,
        "transitions": view.transitions.iter().map(told).collect::<Vec<_>>(),
        "exits": view.deaths,
    })
}

/// The end of a slot's standard error, when it was written since its last process but one had ended.
fn last_words(view: &InstanceView) -> Option<String> {
    let since = view.deaths.iter().rev().nth(1).map_or(view.created_at, |death| death.at);
    view.deaths.last()?;
    let file = File::open(view.files.error.as_ref()?).ok()?;
    let written = file.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    if written.as_millis() < u128::from(since.0) {
        return None;
    }
    let bytes = last_report(&file, LAST_WORDS).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
