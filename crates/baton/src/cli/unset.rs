//! `unset`: remove settings.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use clap::Parser;

/// Remove a setting, those of a module, or all.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The key or the module, or the word `all`.
    #[arg(value_name = "key")]
    key: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. As in PM2, a key that is not set is no error.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut conf = settings::load(session)?;
    if args.key == "all" {
        conf.clear();
    } else {
        conf.unset(&settings::key(&args.key)?);
    }
    settings::store(&conf, session)?;
    settings::show(&conf, None, session);
    Ok(())
}
