//! `conf`: show all settings.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use clap::Parser;

/// Show all settings.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Accepted and without meaning, as in PM2.
    #[arg(value_name = "key")]
    words: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    settings::show(&settings::load(session)?, None, session);
    Ok(())
}
