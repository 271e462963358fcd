//! `sendSignal`: send a signal to the first process of slots.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, unexpected};
use super::target;
use baton_core::proto::{Refusal, Reply, Request};
use baton_core::select::SelectError;
use baton_core::world::Signal;
use baton_pm2::text;
use clap::Parser;

/// Send a signal to apps.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name or number of the signal, such as SIGUSR2.
    signal: String,
    /// Name, number, unit, /pattern/ or `all`.
    #[arg(value_name = "id|name")]
    target: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let Some(signal) = Signal::parse(&args.signal) else {
        session.complain(text::UNKNOWN_SIGNAL);
        return Err(Failure::Told);
    };
    let mut client = session.client()?;
    session.say(&text::sending_signal(&args.target));
    let targets = vec![target::selector(&args.target, &session.directory()?)];
    match client.call(Request::Signal { targets, signal })? {
        Reply::Done => {}
        Reply::Refused(Refusal::Unknown(SelectError::NoName(_))) => {
            session.complain(text::UNKNOWN_NAME);
            return Err(Failure::Told);
        }
        Reply::Refused(Refusal::Unknown(SelectError::NoId(id))) => {
            session.complain(&format!("{id} id unknown"));
            return Err(Failure::Told);
        }
        other => return Err(unexpected(other)),
    }
    session.line(&text::signal_sent(&args.signal, &args.target));
    session.table(&mut client)
}
