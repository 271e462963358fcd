//! `set`: change a setting.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use clap::Parser;

/// Change a setting; without a value, remove it.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The key, such as pm2-logrotate:max_size.
    #[arg(value_name = "key")]
    key: String,
    /// The value, such as 10M.
    #[arg(value_name = "value", allow_hyphen_values = true)]
    value: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    settings::set(&args.key, args.value.as_deref(), session)
}
