//! `config`: show or change a setting.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use clap::Parser;

/// Show a setting, or change it when a value is given.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The key, such as pm2-logrotate:max_size.
    #[arg(value_name = "key")]
    key: String,
    /// The new value.
    #[arg(value_name = "value", allow_hyphen_values = true)]
    value: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    match &args.value {
        Some(value) => settings::set(&args.key, Some(value), session),
        None => settings::get(&args.key, session),
    }
}
