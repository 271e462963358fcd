//! `startOrRestart`: make the apps of a process file run as it says.

use super::apps::{self, FileOptions, Started};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::Session;
use super::start::StartOptions;
use super::target::Meant;
use baton_core::proto::Roll;
use clap::{Args as ClapArgs, Parser};

/// Make the apps of a process file run as it says: those that run are started again.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    source: Source,
}

/// The process file, and how its apps are to run: the words of `startOrRestart` and `startOrReload`.
#[derive(Debug, ClapArgs)]
pub(super) struct Source {
    /// The process file, or `-` for JSON on standard input.
    #[arg(value_name = "file|-")]
    target: String,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    pub(super) start: StartOptions,
    #[command(flatten)]
    app: AppOptions,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let roll = args.source.start.rolled();
    args.source.run(roll, session)
}

impl Source {
    /// Starts what does not run and the rest again: all at once, or as `roll` says.
    ///
    /// # Errors
    /// When the file is wrong, and when the daemon refuses.
    pub(super) fn run(self, roll: Option<Roll>, session: &Session) -> Result<(), Failure> {
        self.start.refuse_absent()?;
        self.app.refuse_absent()?;
        let source = match self.target.as_str() {
            "-" => Meant::Stdin,
            text => Meant::Files(vec![text.into()]),
        };
        let loaded = apps::load(&source, &self.file, &self.app, self.start.dependencies(), session)?;
        let loaded = loaded.startable(session)?;
        let mut client = session.client()?;
        let mut started = Started::default();
        started.add(apps::define(loaded, &self.start, roll, &mut client, session)?);
        started.finish(self.start.attach, &mut client, session)
    }
}
