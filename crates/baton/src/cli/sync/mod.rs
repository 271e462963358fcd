//! `sync`: make the list what the files say.
//!
//! * `source` reads the files into what the daemon compares.
//! * `show` is a plan as text and JSON, and what came of it.

pub(super) mod show;
pub(super) mod source;

use super::act;
use super::apps::with_place;
use super::common::Common;
use super::failure::Failure;
use super::plan;
use super::session::{Session, unexpected};
use crate::client::Client;
use baton_core::proto::{Command, Reply, Request};
use baton_core::sync::{DriftRule, Plan, Sync, Synced};
use clap::Parser;
use source::{Reading, SourceOptions};
use std::io::{BufRead, IsTerminal, Write};

/// Make the list what the files say: exactly the apps that differ are touched.
///
/// Changed apps are reloaded where they can be, else restarted, one instance at a time and in the order of their
/// dependencies. On a terminal the plan is shown first, and removals are asked for.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Only show what would be done, as `plan` does.
    #[arg(long)]
    dry_run: bool,
    /// Remove without asking.
    #[arg(short, long)]
    yes: bool,
    /// How many changed instances have their turn at a time.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    parallel: u32,
    /// Go on with the next app when one fails.
    #[arg(long = "continue")]
    go_on: bool,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let reading = args.source.read(DriftRule::Leave, session)?;
    let mut client = session.client()?;
    if args.dry_run {
        return plan::tell(reading, false, &mut client, session);
    }
    let plan = plan::ask(reading.desired.clone(), &mut client)?;
    for line in show::skipped(&reading.loaded.skipped).iter().chain(&show::text(&plan)) {
        session.line(line);
    }
    session.say(&show::summary(&plan));
    if !plan.removed().is_empty() && !args.yes && !agreed(&plan)? {
        return Err(Failure::Usage("nothing was done".into()));
    }
    apply(reading, args.parallel, args.go_on, &mut client, session)
}

/// Has the daemon make the list what a source says, and tells what came of each step.
///
/// # Errors
/// When it refuses, or a step failed (told already).
fn apply(reading: Reading, parallel: u32, go_on: bool, client: &mut Client, session: &Session) -> Result<(), Failure> {
    let Reading { desired, loaded } = reading;
    let sync = Sync { desired, parallel, go_on };
    let Synced { plan, outcomes } = match client.call(Request::Command(Command::Sync(Box::new(sync))))? {
        Reply::Synced(synced) => *synced,
        other => return Err(with_place(unexpected(other), &loaded.depends)),
    };
    show::results(&plan, &outcomes, session);
    act::tell_failures(&outcomes, session);
    act::success(&outcomes)
}

/// Whether the removals of a plan are wanted: asked on a terminal, and nowhere else.
fn agreed(plan: &Plan) -> Result<bool, Failure> {
    let (input, output) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !output.is_terminal() {
        return Ok(true);
    }
    let failed = |error| Failure::System { what: "the terminal".into(), error };
    write!(&output, "Remove {}? [y/N] ", plan.removed().join(", ")).map_err(failed)?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
