//! `sync`: make the list what the files say.
//!
//! * `source` reads the files into what the daemon compares.
//! * `show` is a plan as text and JSON, and what came of it.
//! * `watch` makes a pass after each change, `inputs` sees the changes, `job` has the daemon keep a watch.
//! * `made` is what is made around a pass: the source by a command, a compiled file for others.
//! * `past` keeps what was made before, for `history`, `diff` and `rollback`.
//! * `again` reads sources for `restart`.

pub(super) mod again;
mod complaint;
mod inputs;
mod job;
pub(super) mod made;
pub(super) mod past;
pub(super) mod show;
pub(super) mod source;
pub(super) mod watch;

use super::act;
use super::apps::with_place;
use super::common::Common;
use super::failure::Failure;
use super::plan;
use super::session::{Session, unexpected};
use crate::client::{Client, ClientError};
use baton_core::proto::{Command, Refusal, Reply, Request};
use baton_core::sync::{Desired, DriftRule, Plan, Sync, Synced};
use clap::Parser;
use made::{MakeOptions, Pass};
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
    #[command(flatten)]
    made: MakeOptions,
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
    /// Show the sources that are followed so; with a source: who follows it.
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
        return job::show(&args.source, session);
    }
    if args.stop {
        return job::end(&args.source, session);
    }
    if args.now {
        return job::wake(&args.source, session);
    }
    if !args.dry_run {
        args.source.warn(session);
    }
    if args.watch && !args.daemon {
        return watch::run(&args.source, &args.made, manner, session);
    }
    if args.dry_run {
        args.made.tell_stale(&args.source, session)?;
        return plan::show(&args.source, false, session);
    }
    let pass = args.made.read(&args.source, DriftRule::Leave, true, session);
    let Pass { read: Ok(reading), .. } = &pass else {
        let failure = pass.read.err().unwrap_or(Failure::Told);
        watch::report_once(&args.source, Some(watch::unread_once(&failure)), session);
        if args.daemon {
            session.error("no job was made: repair the source first");
        }
        return Err(failure);
    };
    let mut client = session.client()?;
    for line in show::skipped(&reading.loaded.skipped) {
        session.line(&line);
    }
    let agreed = prepare(&reading.desired, args.yes || args.watch, &mut client, session);
    let done = agreed.and_then(|(plan, agreed)| carry_out(reading, &plan, agreed, manner, &mut client, session));
    let synced = done.inspect_err(|failure| {
        // An empty source is an error of the files, as one that can't be read.
        if plan::is_empty_source(failure) {
            watch::report_once(&args.source, Some(watch::unread_once(failure)), session);
        }
    })?;
    watch::report_once(&args.source, watch::refused_once(&synced.plan), session);
    let result = tell(&synced, session);
    pass.emit(session)?;
    if args.daemon {
        job::begin(&args, manner, session)?;
    }
    result
}

/// Makes again what an earlier pass had made.
///
/// # Errors
/// When the daemon refuses, the removals are not agreed to, or a step failed (told already).
pub(super) fn again(number: u64, mut desired: Desired, yes: bool, session: &Session) -> Result<(), Failure> {
    // What files of variables held then is not kept: they are read as they are.
    desired.variables = source::fingerprints(&desired.apps);
    let missing = source::unrunnable(&desired.apps);
    desired.unrunnable = missing.into_iter().map(|(app, missing)| (app, missing.what)).collect();
    let mut client = session.client()?;
    let (plan, agreed) = prepare(&desired, yes, &mut client, session)?;
    let begun = past::Draft::again(number, desired.clone()).begin(&plan, session);
    let sync = Sync { desired, parallel: 1, go_on: false, agreed };
    let synced = recorded(send(sync, &mut client), begun, session)?;
    tell(&synced, session)
}

/// What somebody has agreed to remove, who was asked.
type Agreed = Option<Vec<String>>;

/// Shows the plan, once nobody else is following a source, and asks about removals.
fn prepare(desired: &Desired, yes: bool, client: &mut Client, session: &Session) -> Result<(Plan, Agreed), Failure> {
    let plan = plan::ask_in_turn(desired.clone(), client, session)?;
    for line in show::text(&plan) {
        session.line(&line);
    }
    session.say(&show::summary(&plan));
    if let Some(refusal) = plan.refusal.clone() {
        return Err(Failure::Refused(Refusal::Sync(refusal)));
    }
    let on_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if yes || !on_terminal {
        return Ok((plan, None));
    }
    let removed: Vec<String> = plan.removed().into_iter().map(str::to_owned).collect();
    if removed.is_empty() || agreed(&removed)? {
        return Ok((plan, Some(removed)));
    }
    Err(Failure::Usage("nothing was done".into()))
}

/// Tells what came of each step.
fn tell(Synced { plan, outcomes }: &Synced, session: &Session) -> Result<(), Failure> {
    show::results(plan, outcomes, session);
    act::tell_failures(outcomes, session);
    act::success(outcomes)
}

/// Has the daemon make the list what a source says, and keeps what was done. `plan` is what it is about to do, which it
/// finds out itself when its turn has come.
///
/// # Errors
/// When it refuses; a mistake in dependencies with where they are written.
fn carry_out(
    reading: &Reading,
    plan: &Plan,
    agreed: Agreed,
    Manner { parallel, go_on }: Manner,
    client: &mut Client,
    session: &Session,
) -> Result<Synced, Failure> {
    let begun = past::Draft::of(reading).begin(plan, session);
    let sync = Sync { desired: reading.desired.clone(), parallel, go_on, agreed };
    recorded(send(sync, client), begun, session).map_err(|failure| with_place(failure, &reading.loaded.depends))
}

/// The same where the plan was not shown before.
fn carry_out_at_once(
    reading: &Reading,
    manner: Manner,
    client: &mut Client,
    session: &Session,
) -> Result<Synced, Failure> {
    let plan = plan::ask_in_turn(reading.desired.clone(), client, session)?;
    carry_out(reading, &plan, None, manner, client, session)
}

/// What came of a pass goes into its entry. One whose answer is lost stays as it was begun.
fn recorded(done: Result<Synced, Failure>, begun: past::Begun, session: &Session) -> Result<Synced, Failure> {
    match &done {
        Ok(synced) => begun.end(synced, session),
        Err(Failure::Client(ClientError::Lost)) => {}
        Err(_) => begun.cancel(),
    }
    done
}

fn send(sync: Sync, client: &mut Client) -> Result<Synced, Failure> {
    match client.call(Request::Command(Command::Sync(Box::new(sync))))? {
        Reply::Synced(synced) => Ok(*synced),
        other => Err(unexpected(other)),
    }
}

/// Asks on the terminal whether these apps are to be removed.
fn agreed(removed: &[String]) -> Result<bool, Failure> {
    let (input, output) = (std::io::stdin(), std::io::stderr());
    let failed = |error| Failure::System { what: "the terminal".into(), error };
    write!(&output, "Remove {}? [y/N] ", removed.join(", ")).map_err(failed)?;
    let mut answer = String::new();
    if input.lock().read_line(&mut answer).map_err(failed)? == 0 {
        // Nobody has ended the line.
        writeln!(&output).map_err(failed)?;
    }
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
