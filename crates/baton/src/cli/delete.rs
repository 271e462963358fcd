//! `delete`: end apps and forget them.

use super::apps::{self, FileOptions};
use super::common::Common;
use super::failure::Failure;
use super::options::UselessOptions;
use super::session::Session;
use baton_core::proto::{Action, Patch};
use clap::Parser;

/// End apps and forget them.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units, /patterns/, scripts, process files, `-` for JSON on standard input, or `all`.
    #[arg(required_unless_present = "config", value_name = "name|id|all|file|-")]
    targets: Vec<String>,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    useless: UselessOptions,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    args.useless.0.tell_useless("delete", session);
    apps::end(Action::Delete, &args.targets, &args.file, Patch::default(), session)
}
