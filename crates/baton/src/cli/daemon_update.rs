//! `update`: replace the daemon and its guard by this executable; no app is touched.

use super::common::Common;
use super::failure::Failure;
use super::kill::Ends;
use super::session::{Session, unexpected};
use crate::client::Client;
use baton_core::proto::{Reply, Request};
use baton_pm2::text;
use clap::Parser;
use std::path::PathBuf;

/// Replace the running daemon by a new version; apps run on.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The new executable; this one when left out.
    #[arg(long, value_name = "FILE")]
    executable: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let executable = match args.executable {
        Some(path) => std::path::absolute(path),
        None => std::env::current_exe(),
    }
    .map_err(Failure::system("the new executable"))?;
    let executable = executable
        .into_os_string()
        .into_string()
        .map_err(|path| Failure::Usage(format!("the path of the new executable is not UTF-8: {}", path.display())))?;
    let mut client = session.client()?;
    let before = client.greeting().clone();
    let end = Ends::of_daemon(&before)?;
    match client.call(Request::Update { executable })? {
        Reply::Done => {}
        other => return Err(unexpected(other)),
    }
    end.wait()?;
    // The guard starts the successor; connecting waits for it.
    let mut client = Client::connect_or_start(&session.home)?;
    let after = client.greeting().clone();
    session.say(&format!(
        "Daemon {} (pid {}) was replaced by {} (pid {})",
        before.version, before.pid, after.version, after.pid
    ));
    session.say(text::UPDATED);
    session.table(&mut client)
}
