//! `reloadLogs`: close and open all log files again, after something else has moved them.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, unexpected};
use baton_core::proto::{Reply, Request};
use baton_pm2::text;
use clap::Parser;

/// Close and open all log files again.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.client()?;
    session.line(text::RELOADING_LOGS);
    match client.call(Request::ReloadLogs)? {
        Reply::Done => {
            session.line(text::LOGS_RELOADED);
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}
