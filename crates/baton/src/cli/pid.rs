//! `pid`: the process ids of apps.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list};
use baton_core::proto::List;
use clap::Parser;

/// Show the process ids of apps, one a line; 0 for one that does not run.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name of the app; all when it is left out.
    name: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. An unknown name gives an empty line, as under PM2.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let listing = list(&mut session.quiet_client()?, List::default())?;
    let wanted = listing.instances.iter().filter(|view| args.name.as_ref().is_none_or(|name| *name == view.name));
    let pids: Vec<String> = wanted.map(|view| view.pid.unwrap_or(0).to_string()).collect();
    session.line(&pids.join("\n"));
    Ok(())
}
