//! `id`: the numbers of an app's slots.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list};
use baton_core::proto::List;
use baton_pm2::text;
use clap::Parser;

/// Show the numbers of an app's slots.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name of the app.
    name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. An unknown name has no numbers; as under PM2, that is no error.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let listing = list(&mut session.quiet_client()?, List::default())?;
    let ids: Vec<_> = listing.instances.iter().filter(|view| view.name == args.name).map(|view| view.id).collect();
    session.line(&text::id_list(&ids));
    Ok(())
}
