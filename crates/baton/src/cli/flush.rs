//! `flush`: empty log files.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list, unexpected};
use super::target;
use baton_core::proto::{List, Refusal, Reply, Request};
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
    let targets: Vec<_> = args.targets.iter().map(|text| target::selector(text, &directory)).collect();
    let mut client = session.client()?;
    match client.call(Request::Flush { targets: targets.clone() })? {
        Reply::Files(files) => {
            let daemon_log = session.home.daemon_log().to_string_lossy().into_owned();
            if files.contains(&daemon_log) {
                session.say(&text::flushing(&daemon_log));
            }
            // Told by process, as PM2 does, although processes may share a file.
            for view in list(&mut client, List { targets, ..List::default() })?.instances {
                session.say("Flushing:");
                for file in [view.files.combined, view.files.out, view.files.error].into_iter().flatten() {
                    session.say(&file);
                }
            }
        }
        Reply::Refused(Refusal::Unknown(error)) => session.warn(&error.to_string()),
        other => return Err(unexpected(other)),
    }
    session.say(text::FLUSHED);
    Ok(())
}
