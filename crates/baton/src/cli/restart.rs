//! `restart`: end apps and run them again, with new options if any are given.

use super::act::{self, How, Targets};
use super::apps::{self, FileOptions, Started};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::Session;
use super::start::{StartOptions, patch};
use super::sync::again;
use super::target;
use crate::client::Client;
use baton_core::proto::{Action, Roll};
use baton_pm2::style::Style;
use baton_pm2::text;
use clap::{Args as ClapArgs, Parser};

/// End apps and run them again; options change their stored definition.
///
/// A process file replaces the definitions of its apps; those that do not run are started.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Give apps that belong to a source what it says now, as `sync SOURCE --only` does, and run them again.
    #[arg(long)]
    from_source: bool,
    #[command(flatten)]
    again: Again,
}

/// What is to run again, and with which options: the words of `restart` and `reload`.
#[derive(Debug, ClapArgs)]
pub(super) struct Again {
    /// Names, numbers, units, /patterns/, scripts, process files, `-` for JSON on standard input, or `all`.
    #[arg(required_unless_present = "config", value_name = "name|id|all|file|-")]
    targets: Vec<String>,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    pub(super) start: StartOptions,
    #[command(flatten)]
    app: AppOptions,
    /// New arguments of the apps.
    #[arg(last = true)]
    app_args: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    if args.from_source {
        return args.again.run_from_source(session);
    }
    let names = args.again.targets.clone();
    let (roll, attach) = (args.again.start.rolled(), args.again.start.attach);
    let (started, mut client) = args.again.run(roll, session)?;
    again::tell_differences(&target::sort(&names, &[], session)?.words, &mut client, session);
    started.finish(attach, &mut client, session)
}

impl Again {
    fn run_from_source(self, session: &Session) -> Result<(), Failure> {
        let target::Sorted { sources, words } = target::sort(&self.targets, &self.file.config, session)?;
        self.start.refuse_absent()?;
        let only = (!self.file.only.is_empty()).then(|| "--only".to_owned());
        let of_file = self.file.words().into_iter().chain(only);
        if let Some(option) = of_file.chain(self.start.options_of_a_start()).next() {
            let name = option.split('=').next().unwrap_or(&option);
            return Err(Failure::Usage(format!(
                "{name} has no meaning with --from-source: a source is read as its last `sync` read it, and each app is waited for"
            )));
        }
        if !sources.is_empty() || !self.app.given.is_empty() || !self.app_args.is_empty() {
            return Err(Failure::Usage(
                "--from-source is about apps of the list, and takes their definition from the source alone".into(),
            ));
        }
        let mut client = session.client()?;
        let mut started = Started::default();
        started.add(again::restart(&words, self.start.rolled(), &mut client, session)?);
        started.finish(self.start.attach, &mut client, session)
    }

    /// Runs everything again: all at once, or as `roll` says.
    ///
    /// # Errors
    /// When the command line or a process file is wrong, and when the daemon refuses.
    pub(super) fn run(self, roll: Option<Roll>, session: &Session) -> Result<(Started, Client), Failure> {
        self.start.refuse_absent()?;
        self.app.refuse_absent()?;
        let target::Sorted { sources, mut words } = target::sort(&self.targets, &self.file.config, session)?;
        // All files are read before anything is touched: one that is missing or wrong changes nothing.
        let load =
            |source| apps::load(source, &self.file, &self.app, self.start.dependencies(), session)?.startable(session);
        let files = sources.iter().map(load).collect::<Result<Vec<_>, Failure>>()?;
        if !words.is_empty() && files.is_empty() && self.file.env.is_some() {
            return Err(Failure::Usage(text::ENV_WITHOUT_FILE.into()));
        }
        if files.is_empty() && !self.file.only.is_empty() {
            session.warn("--only has no effect without a process file");
        }
        if !files.is_empty() && !self.app_args.is_empty() {
            session.warn("arguments after -- have no effect on the apps of a process file: write `args` there");
        }
        let patch = patch(&self.app, &self.file, &self.app_args, self.start.update_env, session)?;
        let wait = self.start.wait()?;
        let mut client = session.client()?;
        if !words.is_empty() && !self.start.update_env {
            session.line(&session.colour.paint(Style::BoldBlue, text::UPDATE_ENV_HINT));
        }
        let mut started = Started::default();
        for file in files {
            started.add(apps::define(file, &self.start, roll, &mut client, session)?);
        }
        // A name that stands in one of the files was just run again with it.
        words.retain(|word| !started.has(&word.text));
        if !words.is_empty() {
            let targets = Targets { words, ..Targets::default() };
            let how = How { patch, order: self.start.order(), wait };
            let action = roll.map_or(Action::Restart, Action::Roll);
            started.add(act::on_slots(action, targets, how, &mut client, session)?);
        }
        Ok((started, client))
    }
}
