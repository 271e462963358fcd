//! `reload`: put new lives in the place of running ones without a gap, where the app allows it.

use super::act::{self, How, Targets};
use super::apps::{self, FileOptions, Started};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::Session;
use super::start::{StartOptions, patch};
use super::target;
use baton_core::proto::Action;
use baton_pm2::style::Style;
use baton_pm2::text;
use clap::Parser;

/// Put a new life beside each running one, and end the old one when the new one is ready.
///
/// Works for cluster apps and for apps with `listen` sockets; others are restarted one by one. A new life that fails
/// leaves the old one running, and the exit code says so.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units, /patterns/, scripts, process files, `-` for JSON on standard input, or `all`.
    #[arg(required_unless_present = "config", value_name = "name|id|all|file|-")]
    targets: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    start: StartOptions,
    #[command(flatten)]
    app: AppOptions,
    /// New arguments of the apps.
    #[arg(last = true)]
    app_args: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    args.start.refuse_absent()?;
    args.app.refuse_absent()?;
    let target::Sorted { sources, mut words } = target::sort(&args.targets, &args.file.config, session)?;
    // All files are read before anything is touched: one that is missing or wrong changes nothing.
    let load = |source| apps::load(source, &args.file, &args.app, args.start.dependencies(), session);
    let files = sources.iter().map(load).collect::<Result<Vec<_>, Failure>>()?;
    if !words.is_empty() && files.is_empty() && args.file.env.is_some() {
        return Err(Failure::Usage(text::ENV_WITHOUT_FILE.into()));
    }
    let patch = patch(&args.app, &args.file, &args.app_args, args.start.update_env, session)?;
    let roll = args.start.roll(true);
    let mut client = session.client()?;
    if !words.is_empty() && !args.start.update_env {
        session.line(&session.colour.paint(Style::BoldBlue, text::UPDATE_ENV_HINT));
    }
    let mut done = Started::default();
    for file in files {
        done.add(apps::define(file, &args.start, Some(roll), &mut client, session)?);
    }
    words.retain(|word| !done.has(&word.text));
    if !words.is_empty() {
        let targets = Targets { words, ..Targets::default() };
        let how = How { patch, order: args.start.order(), wait: args.start.wait()? };
        done.add(act::on_slots(Action::Roll(roll), targets, how, &mut client, session)?);
    }
    // PM2 shows no table after it.
    done.success()
}
