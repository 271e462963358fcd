//! `send`: one line for the standard input of an app.

use super::attach::one;
use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use crate::input::Input;
use clap::Parser;
use std::time::Duration;

/// How long a program may take to make room for the line.
const PATIENCE: Duration = Duration::from_secs(10);

/// Write a line to the standard input of an app.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Number or name of the app; of several instances the number.
    #[arg(value_name = "pm_id|name")]
    target: String,
    /// The line, without its end.
    #[arg(allow_hyphen_values = true)]
    line: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let view = one(&args.target, session)?;
    let mut input = Input::new(session.home.clone(), view.id, Some(PATIENCE));
    input.write(format!("{}\n", args.line).as_bytes()).map_err(Failure::Usage)?;
    session.table(&mut session.client()?)
}
