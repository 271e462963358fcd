//! `reload`: put new lives in the place of running ones without a gap, where the app allows it.

use super::common::Common;
use super::failure::Failure;
use super::restart::Again;
use super::session::Session;
use clap::Parser;

/// Put a new life beside each running one, and end the old one when the new one is ready.
///
/// Works for cluster apps and for apps with `listen` sockets; others are restarted one by one. A new life that fails
/// leaves the old one running, and the exit code says so.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    again: Again,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let roll = args.again.start.roll(true);
    // PM2 shows no table after it.
    let (done, _) = args.again.run(Some(roll), session)?;
    done.success()
}
