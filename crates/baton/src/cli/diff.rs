//! `diff`: what differs between two passes of `sync`.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::sync::past;
use super::sync::show;
use clap::Parser;

/// Show what differs between two entries of `history`.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Number of the one.
    from: u64,
    /// Number of the other.
    to: u64,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let (from, to) = (past::one(args.from, session)?, past::one(args.to, session)?);
    if from.desired.source != to.desired.source {
        return Err(Failure::Usage(format!(
            "{} is of {}, and {} of {}",
            args.from, from.desired.source, args.to, to.desired.source
        )));
    }
    let plan = past::difference(&from, &to);
    for line in show::text(&plan) {
        session.line(&line);
    }
    if plan.steps.is_empty() {
        session.say("nothing differs");
    }
    Ok(())
}
