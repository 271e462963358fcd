//! `events`: every change of state with its cause, the last ones and then as they come.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list};
use super::story::{local, since};
use crate::client::Client;
use crate::logs::source::Filter;
use baton_core::proto::{Change, List};
use baton_core::select::SelectError;
use baton_core::units::InstanceId;
use baton_core::world::{Detail, InstanceView, Transition};
use clap::Parser;
use jiff::tz::TimeZone;
use serde_json::json;
use std::collections::BTreeMap;

/// Show what happens to apps and why.
///
/// The last changes of state, then new ones as they come.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units or /patterns/; all apps without any.
    #[arg(value_name = "name|id|namespace")]
    targets: Vec<String>,
    /// How many of the past are shown.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    last: usize,
    /// Show the past only.
    #[arg(long)]
    nostream: bool,
    /// A JSON object for each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// How they are shown.
struct Shown<'a> {
    json: bool,
    zone: TimeZone,
    session: &'a Session,
}

impl Shown<'_> {
    fn tell(&self, view: &InstanceView, transition: &Transition) {
        let Transition { at, to, cause } = transition;
        self.session.line(&if self.json {
            let (id, name, unit) = (view.id, &view.name, &view.namespace);
            let why = cause.to_string();
            json!({"at": at, "id": id, "name": name, "unit": unit, "to": to, "why": why, "cause": cause}).to_string()
        } else {
            format!("{}  {} ({})  {to:<16} {cause}", local(*at, &self.zone), view.name, view.id)
        });
    }
}

/// Runs the verb. It ends with the daemon, when that is ended on purpose.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let filter = Filter::parse(&args.targets).map_err(|error| Failure::Usage(error.to_string()))?;
    let shown = Shown { json: args.json, zone: TimeZone::system(), session };
    let mut client = session.quiet_client()?;
    let mut known = histories(&mut client, &filter)?;
    for word in filter.strangers(&known.values().cloned().collect::<Vec<_>>()) {
        session.warn(&SelectError::NoName(word.to_owned()).to_string());
    }
    let mut past: Vec<(&InstanceView, &Transition)> =
        known.values().flat_map(|view| view.transitions.iter().map(move |transition| (view, transition))).collect();
    past.sort_by_key(|(_, transition)| transition.at);
    for (view, transition) in past.iter().skip(past.len().saturating_sub(args.last)) {
        shown.tell(view, transition);
    }
    if args.nostream {
        return Ok(());
    }
    loop {
        for update in client.subscribe()? {
            // Lost without a word: it has a successor.
            let Ok(update) = update else { break };
            match update.change {
                Change::Ending => return Ok(()),
                Change::Gone(id) => drop(known.remove(&id)),
                Change::Snapshot(_) => follow(&mut known, session, &filter, &shown)?,
                Change::Slot(view) => {
                    let before = known.get(&view.id).map(|known| (&known.last, &known.hook));
                    if filter.takes(&view) && before != Some((&view.last, &view.hook)) {
                        follow(&mut known, session, &filter, &shown)?;
                    }
                }
            }
        }
        client = session.quiet_client()?;
    }
}

/// What is in the list now, with all that is remembered.
fn histories(client: &mut Client, filter: &Filter) -> Result<BTreeMap<InstanceId, InstanceView>, Failure> {
    let listing = list(client, List { targets: Vec::new(), detail: Detail::History })?;
    let chosen = listing.instances.into_iter().filter(|view| filter.takes(view));
    Ok(chosen.map(|view| (view.id, view)).collect())
}

/// Shows what has happened since the last look.
fn follow(
    known: &mut BTreeMap<InstanceId, InstanceView>,
    session: &Session,
    filter: &Filter,
    shown: &Shown<'_>,
) -> Result<(), Failure> {
    let now = histories(&mut session.quiet_client()?, filter)?;
    for (id, view) in &now {
        let old = known.get(id).map(|known| known.transitions.as_slice()).unwrap_or_default();
        for transition in since(old, &view.transitions) {
            shown.tell(view, transition);
        }
    }
    *known = now;
    Ok(())
}
