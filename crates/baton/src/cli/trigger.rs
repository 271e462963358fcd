//! `trigger`: have programs carry out one of their actions, and show what they return.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, unexpected};
use super::target;
use baton_core::proto::{Refusal, Reply, Request};
use baton_pm2::style::Style;
use baton_pm2::text;
use clap::Parser;

/// Have programs carry out one of their actions.
///
/// The actions of an app are in `describe`. What each program returns is printed as JSON.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name, number, unit, /pattern/ or `all`.
    #[arg(value_name = "id|proc_name|namespace|all")]
    target: String,
    /// Name of the action.
    #[arg(value_name = "action_name")]
    action: String,
    /// A text that goes with it.
    #[arg(value_name = "params", allow_hyphen_values = true)]
    parameter: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let Args { target, action, parameter, .. } = args;
    let target = target::selector(&target, &session.directory()?);
    let mut client = session.client()?;
    let parameter = parameter.filter(|text| !text.is_empty()).map(Into::into);
    let asked = client.ask(Request::Trigger { target, action: action.clone(), parameter })?;
    let count = match client.answer(asked)? {
        Reply::Triggered(count) => count,
        Reply::Refused(Refusal::Action(refusal)) => {
            session.complain(&refusal.to_string());
            return Err(Failure::Told);
        }
        other => return Err(unexpected(other)),
    };
    session.line(&session.colour.paint(Style::Bold, &text::triggered(count, &action)));
    let mut failed = false;
    for _ in 0..count {
        let answer = match client.answer(asked)? {
            Reply::Answered(answer) => answer,
            other => return Err(unexpected(other)),
        };
        let who = format!("[{}:{}:{}]", answer.name, answer.id, answer.namespace);
        match answer.value {
            Some(value) => session.line(&format!("{who}={value}")),
            None => {
                failed = true;
                session.complain(&format!("{who} ended, or closed its channel, before it answered"));
            }
        }
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}
