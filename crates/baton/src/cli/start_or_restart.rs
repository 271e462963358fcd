//! `startOrRestart`: make the apps of a process file run as it says.

use super::apps::{self, FileOptions, Started};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::Session;
use super::start::StartOptions;
use super::target::Meant;
use clap::Parser;

/// Make the apps of a process file run as it says: those that run are started again.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The process file, or `-` for JSON on standard input.
    #[arg(value_name = "file|-")]
    target: String,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    start: StartOptions,
    #[command(flatten)]
    app: AppOptions,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    args.start.refuse_absent()?;
    args.app.refuse_absent()?;
    let source = match args.target.as_str() {
        "-" => Meant::Stdin,
        text => Meant::Files(vec![text.into()]),
    };
    let loaded = apps::load(&source, &args.file, &args.app, args.start.dependencies(), session)?;
    let mut client = session.client()?;
    let mut started = Started::default();
    started.add(apps::define(loaded, &args.start, args.start.rolled(), &mut client, session)?);
    started.finish(args.start.attach, &mut client, session)
}
