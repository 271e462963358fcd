//! `help`: all verbs, or the options of one.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::{Verb, absent, usage};
use clap::Parser;

/// Show all commands, or the options of one.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// A command.
    command: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    tell(args.command.as_deref(), session)
}

/// Writes the page.
pub(crate) fn tell(word: Option<&str>, session: &Session) -> Result<(), Failure> {
    let page = match word {
        None => usage::all(session.called),
        Some(word) => match Verb::find(word) {
            Some(verb) => usage::page(verb, session),
            None => return absent::answer(word, session),
        },
    };
    session.data(page.as_bytes());
    Ok(())
}
