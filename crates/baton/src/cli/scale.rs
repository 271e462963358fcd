//! `scale`: change the number of instances of an app.

use super::act;
use super::common::Common;
use super::failure::Failure;
use super::session::{Session, command, list};
use baton_core::proto::{Command, Done, List, Scale, Wait};
use baton_pm2::text;
use clap::Parser;

/// Change the number of instances of an app.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name of the app.
    #[arg(value_name = "app")]
    app: String,
    /// How many: `4`, `+2` for two more, `-1` for one fewer.
    #[arg(value_name = "n|+n|-n", allow_hyphen_values = true)]
    number: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let wrong = || Failure::Usage(format!("`{}` is not a number of instances: write 4, +2 or -1", args.number));
    let count = |digits: &str| digits.parse::<u32>().map_err(|_| wrong());
    let to = match args.number.split_at_checked(1) {
        Some(("+", digits)) => Scale::Up(count(digits)?),
        Some(("-", digits)) => Scale::Down(count(digits)?),
        _ => Scale::To(count(&args.number)?),
    };
    let mut client = session.client()?;
    let listed = list(&mut client, List::default())?.instances;
    let have = listed.iter().filter(|view| view.name == args.app).count();
    if have == 0 {
        return Err(Failure::Usage(text::no_app(&args.app)));
    }
    if to == Scale::To(u32::try_from(have).unwrap_or(u32::MAX)) || matches!(to, Scale::Up(0) | Scale::Down(0)) {
        return Err(Failure::Usage(text::NOTHING_TO_DO.into()));
    }
    let outcomes = command(&mut client, Command::Scale { app: args.app, to, wait: Wait::Spawned })?;
    for outcome in &outcomes {
        match outcome.done {
            Done::Launched => session.say(text::SCALING_UP),
            Done::Deleted => session.say(&text::acted(&outcome.name, outcome.id)),
            _ => {}
        }
    }
    act::tell_failures(&outcomes, session);
    session.table(&mut client)?;
    act::success(&outcomes)
}
