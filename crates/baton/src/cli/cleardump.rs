//! `cleardump`: forget what `save` kept.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use baton_os::files;
use baton_pm2::text;
use clap::Parser;

/// Forget the process list that `save` kept.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. The daemon has no part in it.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    let path = session.home.dump();
    let shown = path.to_string_lossy().into_owned();
    session.home.create().map_err(Failure::system("the home"))?;
    files::write_atomic(&path, b"[]", 0o600).map_err(Failure::system(&shown))?;
    session.say(&text::created(&shown));
    Ok(())
}
