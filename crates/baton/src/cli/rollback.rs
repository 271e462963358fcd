//! `rollback`: make what `sync` had made before.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::sync;
use super::sync::past::{self, Entry};
use baton_core::sync::DriftRule;
use clap::Parser;

/// Make the list again what it was after an earlier pass of `sync`; the files are not read.
///
/// The next pass brings back what the files say.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Number of the entry of `history`. Default: the one before the last of the same source.
    number: Option<u64>,
    /// Remove apps of the source that were not there then.
    #[arg(long)]
    prune: bool,
    /// Remove them even when they are more than half.
    #[arg(long)]
    force: bool,
    /// Remove without asking.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let Entry { number, mut desired, .. } = match args.number {
        Some(number) => past::one(number, session)?,
        None => before_last(past::all(session)?)?,
    };
    (desired.prune, desired.force, desired.drift) = (args.prune, args.force, DriftRule::Leave);
    sync::again(number, desired, args.yes, session)
}

/// The last entry of the same source that says something else.
fn before_last(mut entries: Vec<Entry>) -> Result<Entry, Failure> {
    let none = || Failure::Usage("there is nothing to go back to: `history` shows what is kept".into());
    let last = entries.pop().ok_or_else(none)?;
    let differs = |entry: &Entry| entry.desired.apps != last.desired.apps;
    entries
        .into_iter()
        .rev()
        .find(|entry| entry.desired.source == last.desired.source && differs(entry))
        .ok_or_else(none)
}
