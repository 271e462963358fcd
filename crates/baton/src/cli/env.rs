//! `env`: the environment of one slot.

use super::common::Common;
use super::failure::Failure;
use super::session::{CalledAs, Session, list};
use baton_core::proto::List;
use baton_core::units::InstanceId;
use baton_pm2::record;
use baton_pm2::text;
use clap::Parser;

/// Show the environment that an app was defined with.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Number of the slot.
    id: String,
    /// Show the values of secrets too. (Called as pm2, they always show.)
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. Secrets are masked unless asked for: terminals are shared and recorded.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let number = args.id.parse().ok().map(InstanceId);
    let mut client = session.quiet_client()?;
    let listing = list(&mut client, List { whole: true, ..List::default() })?;
    let Some(view) = listing.instances.iter().find(|view| Some(view.id) == number) else {
        return Err(Failure::Usage(text::no_module_with_id(&args.id)));
    };
    let home = session.home.root().to_string_lossy();
    let record = record::pm2_env(view, session.host(&home));
    let masked = !args.reveal && session.called != CalledAs::Pm2;
    for line in text::env_lines(&record, masked) {
        session.line(&line);
    }
    Ok(())
}
