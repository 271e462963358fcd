//! `inspect`: Node's inspector in programs that run.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list, unexpected};
use super::target;
use crate::client::Client;
use baton_core::proto::{List, Reply, Request};
use baton_core::select::Selector;
use baton_core::world::{Detail, InstanceView, Status};
use clap::Parser;
use serde_json::Value;
use std::path::Path;

/// The action by which our module opens it.
const ACTION: &str = "internal:inspect";
/// Where Chrome's developer tools for Node are.
const TOOLS: &str = "devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws=";

/// Open Node's inspector in running programs, for Chrome's developer tools.
///
/// It listens on 127.0.0.1, and whoever may connect there may do in the program what they like; a restart closes it.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name, number or unit.
    #[arg(value_name = "name|id")]
    target: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.client()?;
    let targets = vec![target::selector(&args.target, &session.directory()?)];
    let what = List { targets, detail: Detail::Definition };
    let mut failed = false;
    for view in list(&mut client, what)?.instances {
        let opened = match obstacle(&view, session) {
            Some(why) => Err(why),
            None => open(&view, &mut client)?,
        };
        let who = format!("{} ({})", view.name, view.id);
        match opened {
            Ok(url) => {
                let tools = url.strip_prefix("ws://").map(|place| format!(", or to {TOOLS}{place}"));
                session.line(&format!(
                    "Inspect enabled on {who} at {url} => go to chrome : chrome://inspect{}",
                    tools.unwrap_or_default()
                ));
            }
            Err(why) => {
                failed = true;
                session.error(&format!("Unable to activate inspect mode on {who}: {why}"));
            }
        }
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// Why a program's inspector can't be opened, as far as is known without asking it.
fn obstacle(view: &InstanceView, session: &Session) -> Option<String> {
    let has = |action: &Value| action["action_name"] == ACTION;
    if view.status != Status::Online && view.status != Status::Launching {
        return Some(format!("it is {}", view.status.as_str()));
    }
    if view.told.as_ref().is_some_and(|told| told.actions.iter().any(has)) {
        return None;
    }
    let spec = view.spec.as_deref()?;
    let program = if spec.interpreter == "none" { &spec.script } else { &spec.interpreter };
    let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program);
    Some(if !name.starts_with("node") {
        format!("{name} is not Node")
    } else if !spec.pmx {
        format!(
            "baton's module is not in it (`pmx: false`); `{} sendSignal SIGUSR1 {}` has Node open it, and its log says \
             where",
            session.called.program(),
            view.id
        )
    } else {
        "baton's module is not in it, or not yet (docs/metrics.md says where it is not loaded)".into()
    })
}

/// Opens it; the address, or why not.
fn open(view: &InstanceView, client: &mut Client) -> Result<Result<String, String>, Failure> {
    let target = Selector::of(view.id);
    let asked = client.ask(Request::Trigger { target, action: ACTION.into(), parameter: None })?;
    match client.answer(asked)? {
        Reply::Triggered(_) => {}
        Reply::Refused(refusal) => return Ok(Err(refusal.to_string())),
        other => return Err(unexpected(other)),
    }
    let value = match client.answer(asked)? {
        Reply::Answered(answer) => answer.value,
        other => return Err(unexpected(other)),
    };
    let Some(value) = value else { return Ok(Err("it ended before it answered".into())) };
    Ok(match value["url"].as_str() {
        Some(url) => Ok(url.to_owned()),
        None => Err(value["err"].as_str().unwrap_or("Node says nothing about why").to_owned()),
    })
}
