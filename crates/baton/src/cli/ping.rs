//! `ping`: whether the daemon answers.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use baton_pm2::text;
use clap::Parser;

/// Show whether the daemon answers, starting it if it does not run.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    // Connecting is a question and an answer.
    session.client()?;
    session.line(&text::pong());
    Ok(())
}
