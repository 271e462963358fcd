//! `stop`: end apps and keep them in the list.

use super::apps::{self, FileOptions};
use super::common::Common;
use super::failure::Failure;
use super::options::UselessOptions;
use super::session::Session;
use baton_core::proto::{Action, Patch};
use clap::Parser;

/// End apps and keep them in the list.
///
/// Files of what is stopped are not watched; with `--watch` not even once it is started again.
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
pub(crate) fn run(mut args: Args, session: &Session) -> Result<(), Failure> {
    let mut patch = Patch::default();
    if args.useless.0.take("watch") {
        patch.fields.insert("watch".into(), true.into());
    }
    args.useless.0.tell_useless("stop", session);
    apps::end(Action::Stop, &args.targets, &args.file, patch, session)
}
