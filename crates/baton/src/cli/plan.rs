//! `plan`: what `sync` would do.

use super::apps;
use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list, unexpected};
use super::sync::source::SourceOptions;
use super::sync::{made, show, watch};
use crate::client::Client;
use baton_core::proto::{List, Refusal, Reply, Request};
use baton_core::spec::AppSpec;
use baton_core::sync::{Desired, DriftRule, Plan, SyncError};
use clap::Parser;

/// The exit code when something would be done.
const CHANGES: u8 = 2;

/// Show what `sync` would do, and do nothing.
///
/// Exit code 0: nothing to do; 2: something would be done; 1: an error.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    pub(crate) common: Common,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    show(&args.source, args.json, session)
}

/// Shows the plan for a source; what it ends with tells whether there is anything to do.
///
/// # Errors
/// [`Failure::Code`] when there is, when the source can't be read, and when the daemon refuses.
pub(super) fn show(source: &SourceOptions, json: bool, session: &Session) -> Result<(), Failure> {
    source.warn(session);
    let read = source.read(DriftRule::Leave, session);
    made::tell_stale(&read, source, session)?;
    let reading = read?;
    let mut client = if json { session.quiet_client()? } else { session.client()? };
    let present = list(&mut client, List::default())?.instances;
    let apps: Vec<&AppSpec> = reading.desired.apps.iter().map(|wish| &wish.spec).collect();
    apps::refuse_unknown(&apps, &reading.loaded.depends, &present)?;
    let name = reading.desired.source.clone();
    let plan = ask(reading.desired, &mut client).inspect_err(|failure| {
        if is_empty_source(failure) {
            watch::report(&name, Some(watch::unread_once(failure)), false, session);
        }
    })?;
    watch::report(&name, watch::refused_once(&plan), false, session);
    if json {
        let document = show::document(&plan, &reading.loaded.skipped);
        session.data(format!("{document:#}\n").as_bytes());
    } else {
        for line in show::skipped(&reading.loaded.skipped).iter().chain(&show::text(&plan)) {
            session.line(line);
        }
        session.say(&show::summary(&plan));
    }
    if let Some(refusal) = plan.refusal {
        return Err(Failure::Refused(Refusal::Sync(refusal)));
    }
    let refused = show::refused(&plan);
    refused.iter().for_each(|text| session.error(text));
    match (refused.is_empty(), plan.is_empty()) {
        (false, _) => Err(Failure::Told),
        (true, false) => Err(Failure::Code(CHANGES)),
        (true, true) => Ok(()),
    }
}

/// Whether a source was refused because it has no apps any more, which is an error of its files.
pub(super) fn is_empty_source(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(Refusal::Sync(SyncError::Empty { .. })))
}

/// Asks the daemon for the plan.
///
/// # Errors
/// When it refuses.
pub(super) fn ask(desired: Desired, client: &mut Client) -> Result<Plan, Failure> {
    answer(client.call(Request::Plan(Box::new(desired)))?)
}

/// The same, for whoever carries it out: once those are done who follow sources now.
///
/// # Errors
/// When it refuses.
pub(super) fn ask_in_turn(desired: Desired, client: &mut Client, session: &Session) -> Result<Plan, Failure> {
    let asked = client.ask(Request::PlanInTurn(Box::new(desired)))?;
    if client.waits(asked)? {
        session.say("another pass is under way: waiting for its end");
    }
    answer(client.answer(asked)?)
}

fn answer(reply: Reply) -> Result<Plan, Failure> {
    match reply {
        Reply::Plan(plan) => Ok(plan),
        other => Err(unexpected(other)),
    }
}
