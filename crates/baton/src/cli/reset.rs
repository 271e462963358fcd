//! `reset`: set the restart counters of slots to 0.

use super::act::{self, How, Targets};
use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::target;
use baton_core::proto::{Action, Refusal};
use baton_core::select::SelectError;
use baton_pm2::text;
use clap::Parser;

/// Set the restart counters of apps to 0.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units, /patterns/ or `all`.
    #[arg(required = true, value_name = "name|id|all")]
    targets: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let directory = session.directory()?;
    let words = args.targets.iter().map(|text| target::selector(text, &directory)).collect();
    let mut client = session.client()?;
    let targets = Targets { words, ..Targets::default() };
    let done = act::on_slots(Action::Reset, targets, How::default(), &mut client, session);
    let outcomes = done.map_err(|failure| match failure {
        Failure::Refused(Refusal::Unknown(SelectError::NoName(_))) => {
            session.complain(text::UNKNOWN_NAME);
            Failure::Told
        }
        other => other,
    })?;
    session.table(&mut client)?;
    act::success(&outcomes)
}
