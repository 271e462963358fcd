//! `sync`: make the list what the files say.
//!
//! * `source` reads the files into what the daemon compares.
//! * `show` is a plan as text and JSON, and what came of it.
//! * `watch` makes a pass after each change, `inputs` sees the changes, `job` has the daemon keep a watch.
//! * `again` reads sources for `restart`.

pub(super) mod again;
mod inputs;
mod job;
pub(super) mod show;
pub(super) mod source;
mod watch;

use super::act;
use super::apps::with_place;
use super::common::Common;
use super::failure::Failure;
use super::plan;
use super::session::{Session, unexpected};
use crate::client::Client;
use baton_config::Place;
use baton_core::proto::{Command, Reply, Request};
use baton_core::sync::{Desired, DriftRule, Plan, Sync, Synced};
use clap::Parser;
use source::{Reading, SourceOptions};
use std::collections::BTreeMap;
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
    /// Stay, and follow every change of the files. Errors change nothing and are told by `status` too; SIGUSR1 asks for a
    /// pass at once.
    #[arg(long, conflicts_with_all = ["dry_run"])]
    watch: bool,
    /// With --watch: as an app of the list, which stays when this command has ended.
    #[arg(long, requires = "watch")]
    daemon: bool,
    /// Show the sources that are followed so.
    #[arg(long, conflicts_with_all = ["watch", "dry_run"])]
    list: bool,
    /// Follow the source no more; its apps stay. Without a source: none of them.
    #[arg(long, conflicts_with_all = ["watch", "dry_run", "list"])]
    stop: bool,
    /// Have whoever follows the source look at it now. Without a source: all of them.
    #[arg(long, conflicts_with_all = ["watch", "dry_run", "list", "stop"])]
    now: bool,
}

/// How changed apps have their turn.
#[derive(Clone, Copy, Debug)]
struct Manner {
    parallel: u32,
    go_on: bool,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let manner = Manner { parallel: args.parallel, go_on: args.go_on };
    if args.list {
        return job::show(session);
    }
    if args.stop {
        return job::end(&args.source, session);
    }
    if args.now {
        return job::wake(&args.source, session);
    }
    if args.watch && !args.daemon {
        return watch::run(&args.source, manner, session);
    }
    let reading = args.source.read(DriftRule::Leave, session).inspect_err(|failure| {
        watch::report(&args.source, Some(failure.to_string()), session);
    })?;
    let mut client = session.client()?;
    if args.dry_run {
        return plan::tell(reading, false, &mut client, session);
    }
    let Reading { desired, loaded } = reading;
    let plan = plan::ask(desired.clone(), &mut client)?;
    for line in show::skipped(&loaded.skipped).iter().chain(&show::text(&plan)) {
        session.line(line);
    }
    session.say(&show::summary(&plan));
    if !plan.removed().is_empty() && !args.yes && !agreed(&plan)? {
        return Err(Failure::Usage("nothing was done".into()));
    }
    let Synced { plan, outcomes } = carry_out(desired, &loaded.depends, manner, &mut client)?;
    watch::report(&args.source, None, session);
    show::results(&plan, &outcomes, session);
    act::tell_failures(&outcomes, session);
    if args.daemon {
        job::begin(&args, manner, session)?;
    }
    act::success(&outcomes)
}

/// Has the daemon make the list what a source says.
///
/// # Errors
/// When it refuses; a mistake in dependencies with where they are written.
fn carry_out(
    desired: Desired,
    depends: &BTreeMap<String, Place>,
    Manner { parallel, go_on }: Manner,
    client: &mut Client,
) -> Result<Synced, Failure> {
    let sync = Sync { desired, parallel, go_on };
    match client.call(Request::Command(Command::Sync(Box::new(sync))))? {
        Reply::Synced(synced) => Ok(*synced),
        other => Err(with_place(unexpected(other), depends)),
    }
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
