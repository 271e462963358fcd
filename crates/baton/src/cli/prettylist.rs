//! `prettylist`: the process list in the notation of Node.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, measured};
use baton_core::proto::List;
use baton_core::world::Detail;
use baton_pm2::inspect;
use baton_pm2::record;
use clap::Parser;

/// Show the process list in the notation of Node.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.quiet_client()?;
    let listing = measured(&mut client, List { detail: Detail::Definition, ..List::default() })?;
    let home = session.home.root().to_string_lossy();
    let value = record::list(&listing.instances, session.host(&home));
    session.data(format!("{}\n", inspect::render(&value)).as_bytes());
    Ok(())
}
