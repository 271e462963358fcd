//! `schedule`: the jobs of the list, when they are due, and what has become of their runs; and a run by hand.

use super::act::{self, How, Targets};
use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list};
use super::story::local;
use super::target;
use baton_core::proto::{Action, List};
use baton_core::units::{Millis, WallTime};
use baton_core::world::{Detail, InstanceView, JobView, Run};
use baton_pm2::table;
use clap::Parser;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// Show when jobs are due and what ran, or run one now.
///
/// Jobs are apps with `schedule`. Without a name all of them are listed, with one its last runs are.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units, /patterns/ or `all`.
    #[arg(value_name = "name|id|namespace")]
    targets: Vec<String>,
    /// Run them now, whatever their times are; what is stopped is run this once.
    #[arg(long, requires = "targets")]
    now: bool,
    /// JSON: each job with every run that is remembered.
    #[arg(long, conflicts_with = "now")]
    json: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let directory = session.directory()?;
    let targets: Vec<_> = args.targets.iter().map(|text| target::selector(text, &directory)).collect();
    if args.now {
        let targets = Targets { words: targets, ..Targets::default() };
        let outcomes = act::on_slots(Action::Run, targets, How::default(), &mut session.client()?, session)?;
        return act::success(&outcomes);
    }
    let named = !targets.is_empty();
    let listing = list(&mut session.quiet_client()?, List { targets, detail: Detail::History })?;
    let jobs: Vec<(&InstanceView, &JobView)> =
        listing.instances.iter().filter_map(|view| Some((view, view.job.as_deref()?))).collect();
    if args.json {
        let all: Vec<Value> = jobs.iter().map(|(view, job)| document(view, job)).collect();
        session.line(&json!(all).to_string());
        return Ok(());
    }
    if jobs.is_empty() {
        let whose = if named { format!("{} has", args.targets.join(", ")) } else { "no app has".into() };
        session.line(&format!("{whose} no `schedule`"));
        return if named { Err(Failure::Told) } else { Ok(()) };
    }
    let zone = TimeZone::system();
    if named {
        for (view, job) in jobs {
            tell_runs(view, job, &zone, session);
        }
    } else {
        let rows: Vec<[String; 4]> = jobs.into_iter().map(|(view, job)| row(view, job, &zone)).collect();
        let heads = ["job", "schedule", "next run", "last run"].map(str::to_owned);
        for line in columns([heads].into_iter().chain(rows)) {
            session.line(&line);
        }
    }
    Ok(())
}

fn row(view: &InstanceView, job: &JobView, zone: &TimeZone) -> [String; 4] {
    let last = job.last.as_ref().map_or_else(|| "none yet".into(), |run| brief(run, zone));
    [format!("{} ({})", view.name, view.id), job.schedule.pattern(), next(job, zone), last]
}

fn next(job: &JobView, zone: &TimeZone) -> String {
    match job.next {
        Some(next) => local(next, zone),
        None if job.armed => "never".into(),
        None => "none: it is stopped".into(),
    }
}

/// One run in a few words.
fn brief(run: &Run, zone: &TimeZone) -> String {
    let word = run.outcome().as_str();
    match (run.began, run.ended) {
        (Some(began), Some(ended)) => {
            format!(
                "{word} after {}, began at {}",
                table::duration(Millis(ended.0.saturating_sub(began.0))),
                local(began, zone)
            )
        }
        (Some(began), None) => format!("{word}, began at {}", local(began, zone)),
        (None, _) => word.to_owned(),
    }
}

fn tell_runs(view: &InstanceView, job: &JobView, zone: &TimeZone, session: &Session) {
    let state = if job.idle { "scheduled" } else { view.word() };
    session.line(&format!("{} ({}) is {state}: {}", view.name, view.id, job.schedule.pattern()));
    session.line(&format!("next run: {}", next(job, zone)));
    if let Some(queued) = job.queued {
        session.line(&format!("waits for the run under way: the one of {}", local(queued, zone)));
    }
    if job.runs.is_empty() {
        return session.line("it has not run yet");
    }
    let moment = |at: Option<WallTime>| at.map_or_else(|| "-".into(), |at| local(at, zone));
    let rows = job.runs.iter().map(|run| {
        let due = run.due.map_or_else(|| "by hand".into(), |due| local(due, zone));
        let why = run.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        [due, moment(run.began), moment(run.ended), format!("{}{why}", run.outcome().as_str())]
    });
    let heads = ["due", "began", "ended", "outcome"].map(str::to_owned);
    for line in columns([heads].into_iter().chain(rows)) {
        session.line(&format!("  {line}"));
    }
}

/// Rows as lines whose columns stand below each other.
fn columns(rows: impl Iterator<Item = [String; 4]>) -> Vec<String> {
    let rows: Vec<[String; 4]> = rows.collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second, third) = (widest(0), widest(1), widest(2));
    rows.iter().map(|[a, b, c, d]| format!("{a:<first$}  {b:<second$}  {c:<third$}  {d}")).collect()
}

fn document(view: &InstanceView, job: &JobView) -> Value {
    let runs: Vec<Value> = job
        .runs
        .iter()
        .map(|run| {
            let why = run.cause.as_ref().map(ToString::to_string);
            json!({"due": run.due, "began": run.began, "ended": run.ended, "exit": run.exit,
                   "outcome": run.outcome(), "why": why, "cause": run.cause})
        })
        .collect();
    json!({
        "id": view.id, "name": view.name, "unit": view.namespace, "state": view.word(), "schedule": job.schedule,
        "armed": job.armed, "next": job.next, "queued": job.queued, "runs": runs,
    })
}
