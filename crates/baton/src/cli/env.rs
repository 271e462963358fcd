//! `env`: the environment of one slot, or of each app that a name or a unit means.

use super::common::Common;
use super::env_why;
use super::failure::Failure;
use super::session::{CalledAs, Session, list};
use super::target;
use crate::client::Client;
use baton_core::proto::{List, Refusal};
use baton_core::units::InstanceId;
use baton_core::world::{Detail, InstanceView};
use baton_pm2::record;
use baton_pm2::text;
use clap::Parser;

/// Show the environment that an app was defined with, or that each app of a unit was.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Number, name, unit or /pattern/.
    #[arg(value_name = "id|name")]
    target: String,
    /// Show the values of secrets too. (Called as pm2, they always show.)
    #[arg(long)]
    reveal: bool,
    /// Tell for each variable where its value comes from, and what it stands above.
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. Secrets are masked unless asked for: terminals are shared and recorded.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.quiet_client()?;
    let views = slots(&args.target, session, &mut client)?;
    let home = session.home.root().to_string_lossy();
    let masked = !args.reveal && (args.why || session.called != CalledAs::Pm2);
    for view in &views {
        if views.len() > 1 {
            session.line(&format!("[{}]({})", view.name, view.id));
        }
        let lines = match args.why {
            true => env_why::lines(view, &home, masked, session)?,
            false => text::env_lines(&record::pm2_env(view, session.host(&home)), masked),
        };
        for line in lines {
            session.line(&line);
        }
        if views.len() > 1 {
            session.line("");
        }
    }
    Ok(())
}

/// The slots that a word means. A number is that of a slot, as under PM2, also where an app is called by it.
fn slots(word: &str, session: &Session, client: &mut Client) -> Result<Vec<InstanceView>, Failure> {
    let none = || Failure::Usage(text::no_module_with_id(word));
    if let Ok(number) = word.parse() {
        let listing = list(client, List { detail: Detail::Definition, ..List::default() })?;
        let view = listing.instances.into_iter().find(|view| view.id == InstanceId(number));
        return view.map(|view| vec![view]).ok_or_else(none);
    }
    let targets = vec![target::selector(word, &session.directory()?)];
    match list(client, List { targets, detail: Detail::Definition }) {
        Err(Failure::Refused(Refusal::Unknown(_))) => Err(none()),
        found => Ok(found?.instances),
    }
}
