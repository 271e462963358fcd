//! `startOrReload`: make the apps of a process file run as it says, without a gap where that can be.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::start_or_restart::Source;
use clap::Parser;

/// Make the apps of a process file run as it says: those that run are reloaded.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    source: Source,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let roll = args.source.start.roll(true);
    args.source.run(Some(roll), session)
}
