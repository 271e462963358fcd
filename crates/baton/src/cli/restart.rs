//! `restart`: end apps and run them again, with new options if any are given.

use super::act::{self, Targets};
use super::apps::{self, FileOptions, Started};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::Session;
use super::start::{StartOptions, patch};
use super::target::{self, Meant};
use baton_core::proto::Action;
use baton_core::select::Selector;
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
    let directory = session.directory()?;
    let forced = args.file.config.iter().map(|path| Meant::File(path.into()));
    let mut files = Vec::new();
    let mut words: Vec<Selector> = Vec::new();
    for meant in forced.chain(args.targets.iter().map(|text| target::meant(text, &directory))) {
        match meant {
            Meant::Slots(word) => words.push(word),
            // All files are read before anything is touched: one that is missing or wrong changes nothing.
            source => files.push(apps::load(&source, &args.file, &args.app, session)?),
        }
    }
    if !words.is_empty() && files.is_empty() && args.file.env.is_some() {
        return Err(Failure::Usage(text::ENV_WITHOUT_FILE.into()));
    }
    if files.is_empty() && !args.file.only.is_empty() {
        session.warn("--only has no effect without a process file");
    }
    if !files.is_empty() && !args.app_args.is_empty() {
        session.warn("arguments after -- have no effect on the apps of a process file: write `args` there");
    }
    let patch = patch(&args.app, &args.app_args, args.start.update_env, session)?;
    let mut client = session.client()?;
    if !words.is_empty() && !args.start.update_env {
        session.line(&session.colour.paint(Style::BoldBlue, text::UPDATE_ENV_HINT));
    }
    let wait = args.start.wait()?;
    let mut started = Started::default();
    for file in files {
        started.add(apps::define(file, wait, &mut client, session)?);
    }
    // A name that stands in one of the files was just restarted with it.
    words.retain(|word| !started.has(&word.text));
    if !words.is_empty() {
        let targets = Targets { words, ..Targets::default() };
        started.add(act::on_slots(Action::Restart, targets, patch, wait, &mut client, session)?);
    }
    started.finish(args.start.attach, &mut client, session)
}
