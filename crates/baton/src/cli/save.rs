//! `save`: keep the process list for `resurrect`.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, unexpected};
use baton_core::proto::{Reply, Request};
use baton_pm2::text;
use clap::Parser;

/// Keep the process list for `resurrect`.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Keep it even when it is empty.
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let forced = args.force || std::env::var_os("FORCE").is_some_and(|value| !value.is_empty());
    let mut client = session.client()?;
    session.say(text::SAVING);
    match client.call(Request::Save { force: forced })? {
        Reply::Saved { path, slots: Some(_) } => session.say(&text::saved_in(&path)),
        Reply::Saved { slots: None, .. } => {
            for line in text::NOTHING_TO_SAVE {
                session.caution(line);
            }
        }
        other => return Err(unexpected(other)),
    }
    Ok(())
}
