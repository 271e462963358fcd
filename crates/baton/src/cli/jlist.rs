//! `jlist`: the process list as JSON, with PM2's fields.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, measured};
use baton_core::proto::List;
use baton_core::world::Detail;
use baton_pm2::record;
use clap::Parser;

/// Show the process list as JSON, with PM2's fields.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    session.data(json(session)?.as_bytes());
    Ok(())
}

/// The list as JSON. The lines about a daemon that had to be started stay out of the way of who reads it.
///
/// # Errors
/// When the daemon does not answer: nothing is written then, so that it can't be taken for an empty list.
pub(crate) fn json(session: &Session) -> Result<String, Failure> {
    let mut client = session.quiet_client()?;
    let listing = measured(&mut client, List { detail: Detail::Definition, ..List::default() })?;
    let home = session.home.root().to_string_lossy();
    Ok(record::jlist(&listing.instances, session.host(&home)))
}
