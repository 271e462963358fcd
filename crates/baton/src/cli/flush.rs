//! `flush`: empty log files.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, unexpected};
use super::target;
use baton_core::proto::{Refusal, Reply, Request};
use baton_pm2::text;
use clap::Parser;

/// Empty the log files of apps, or all log files.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units or /patterns/; everything, the daemon's own log included, when left out.
    #[arg(value_name = "name|id")]
    targets: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. As under PM2, a word that names nothing has nothing to flush and is no error.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let directory = session.directory()?;
    let targets = args.targets.iter().map(|text| target::selector(text, &directory)).collect();
    let mut client = session.client()?;
    match client.call(Request::Flush { targets })? {
        Reply::Files(files) => {
            let daemon_log = session.home.daemon_log().to_string_lossy().into_owned();
            let (own, apps): (Vec<String>, Vec<String>) = files.into_iter().partition(|file| *file == daemon_log);
            for file in own {
                session.say(&text::flushing(&file));
            }
            if !apps.is_empty() {
                session.say("Flushing:");
            }
            for file in apps {
                session.say(&file);
            }
        }
        Reply::Refused(Refusal::Unknown(error)) => session.warn(&error.to_string()),
        other => return Err(unexpected(other)),
    }
    session.say(text::FLUSHED);
    Ok(())
}
