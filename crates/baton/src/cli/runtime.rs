//! `runtime`, also called as `pm2-runtime` and `pm2-docker`: the one process of a container.

use super::failure::Failure;
use super::foreground::{self, Foreground};
use super::session::Session;
use super::{start, usage};
use crate::logs::render::Form;
use baton_core::units::Millis;
use baton_pm2::commands::Availability;
use clap::{Args as ClapArgs, Parser};
use std::ops::Deref;

/// Run apps in the foreground, as the process of a container.
///
/// What they write is on standard output; the exit code tells how they ended.
#[derive(Debug, Parser)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    start: start::Args,
    #[command(flatten)]
    shown: Shown,
    /// Wait so many seconds before the start.
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    delay: u64,
    /// Stay when all apps have ended.
    #[arg(long)]
    no_auto_exit: bool,
    /// PM2's page of the list.
    #[arg(long, hide = true, num_args = 0..=1)]
    web: Option<Option<String>>,
    #[arg(long, hide = true, num_args = 0..=1)]
    secret: Option<Option<String>>,
    #[arg(long, hide = true, num_args = 0..=1)]
    public: Option<Option<String>>,
    #[arg(long, hide = true, num_args = 0..=1)]
    machine_name: Option<Option<String>>,
}

impl Deref for Args {
    type Target = start::Args;

    fn deref(&self) -> &start::Args {
        &self.start
    }
}

/// How lines are shown.
#[derive(Clone, Debug, ClapArgs)]
struct Shown {
    /// Lines as they are, those of standard error on standard error. The default.
    #[arg(long, conflicts_with_all = ["json", "format", "formatted"])]
    raw: bool,
    /// A JSON object for each line.
    #[arg(long, conflicts_with_all = ["format", "formatted"])]
    json: bool,
    /// `key=value` pairs for each line.
    #[arg(long, conflicts_with = "formatted")]
    format: bool,
    /// Number and name of the app in front of each line.
    #[arg(long)]
    formatted: bool,
}

/// Runs the verb.
pub(crate) fn run(mut args: Args, session: &Session) -> Result<(), Failure> {
    let cloud = Availability::Never("it belongs to PM2's cloud service, and baton calls nobody");
    let refused = [
        ("--web", args.web.is_some(), Availability::Later),
        ("--secret", args.secret.is_some(), cloud),
        ("--public", args.public.is_some(), cloud),
        ("--machine-name", args.machine_name.is_some(), cloud),
    ];
    if let Some(text) = refused.into_iter().filter(|(_, given, _)| *given).find_map(|(name, _, why)| why.refusal(name))
    {
        return Err(Failure::Unavailable(text));
    }
    prepared(&mut args.start, super::Verb::Runtime, session)?;
    let form = match (args.shown.json, args.shown.format, args.shown.formatted) {
        (true, _, _) => Form::Json,
        (_, true, _) => Form::Pairs,
        (_, _, true) => Form::Labelled,
        _ => Form::Raw,
    };
    let delay = Millis(args.delay.saturating_mul(1000));
    foreground::run(
        args.start,
        Foreground { form, auto_exit: !args.no_auto_exit, delay, ..Foreground::default() },
        session,
    )
}

/// Takes the word `start` off, and refuses what has no meaning here.
///
/// # Errors
/// When nothing is to be started, or an option can't be heeded.
pub(super) fn prepared(start: &mut start::Args, verb: super::Verb, session: &Session) -> Result<(), Failure> {
    if start.targets.first().is_some_and(|word| word == "start") {
        start.targets.remove(0);
    }
    if start.targets.is_empty() && start.file.config.is_empty() && start.app_args.is_empty() {
        session.data(usage::page(verb, session).as_bytes());
        return Err(Failure::Told);
    }
    start.start.refuse_absent()?;
    start.app.refuse_absent()?;
    let useless = [
        ("--as-service", start.service.is_wanted()),
        ("--attach", start.start.attach),
        ("--no-daemon", start.no_daemon),
        ("--take-over", session.take_over),
    ];
    match useless.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Failure::Usage(format!("{name} has no meaning with `{}`", verb.names()[0]))),
        None => Ok(()),
    }
}
