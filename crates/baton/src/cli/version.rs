//! `version`, `-v`: the version of this program.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use clap::Parser;

/// Show the version.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    tell(session);
    Ok(())
}

/// Writes the bare version, without asking or starting a daemon.
pub(crate) fn tell(session: &Session) {
    session.data(concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}
