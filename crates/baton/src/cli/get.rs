//! `get`: show a setting.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use clap::Parser;

/// Show a setting, those of a module, or all.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The key or the module; everything when left out.
    #[arg(value_name = "key")]
    key: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    match args.key {
        Some(key) => settings::get(&key, session),
        None => {
            settings::show(&settings::load(session)?, None, session);
            Ok(())
        }
    }
}
