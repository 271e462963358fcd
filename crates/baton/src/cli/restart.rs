//! `restart`: end apps and run them again, with new options if any are given.

use super::act::{self, How, Targets};
use super::apps::{self, FileOptions, Started};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::Session;
use super::start::{StartOptions, patch};
use super::target;
use baton_pm2::style::Style;
use baton_pm2::text;
use clap::Parser;

/// End apps and run them again; options change their stored definition.
///
/// A process file replaces the definitions of its apps; those that do not run are started.
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
    if files.is_empty() && !args.file.only.is_empty() {
        session.warn("--only has no effect without a process file");
    }
    if !files.is_empty() && !args.app_args.is_empty() {
        session.warn("arguments after -- have no effect on the apps of a process file: write `args` there");
    }
    let patch = patch(&args.app, &args.file, &args.app_args, args.start.update_env, session)?;
    let mut client = session.client()?;
    if !words.is_empty() && !args.start.update_env {
        session.line(&session.colour.paint(Style::BoldBlue, text::UPDATE_ENV_HINT));
    }
    let wait = args.start.wait()?;
    let mut started = Started::default();
    for file in files {
        started.add(apps::define(file, &args.start, args.start.rolled(), &mut client, session)?);
    }
    // A name that stands in one of the files was just restarted with it.
    words.retain(|word| !started.has(&word.text));
    if !words.is_empty() {
        let targets = Targets { words, ..Targets::default() };
        let how = How { patch, order: args.start.order(), wait };
        started.add(act::on_slots(args.start.restart(), targets, how, &mut client, session)?);
    }
    started.finish(args.start.attach, &mut client, session)
}
