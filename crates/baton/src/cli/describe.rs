//! `describe`: everything about the slots of an app or a unit, with the last lines of their standard error.

use super::common::Common;
use super::failure::Failure;
use super::logs::tail::last_lines;
use super::session::{CalledAs, Session, measured};
use super::target;
use baton_core::proto::{List, Refusal};
use baton_core::world::{Detail, InstanceView, UnitView, units};
use baton_pm2::describe::{self, DescribeOptions};
use baton_pm2::text;
use clap::Parser;
use std::fs::File;

/// Lines of standard error that are shown.
const ERROR_LINES: usize = 10;

/// Show everything about an app, or about a unit and its apps.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Name, number, unit or /pattern/.
    #[arg(value_name = "name|id")]
    target: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut client = session.client()?;
    let targets = vec![target::selector(&args.target, &session.directory()?)];
    let listing = match measured(&mut client, List { targets, detail: Detail::History }) {
        Ok(listing) => listing,
        Err(Failure::Refused(Refusal::Unknown(_))) => {
            session.warn(&text::does_not_exist(&args.target));
            return Err(Failure::Told);
        }
        Err(failure) => return Err(failure),
    };
    let home = session.home.root().to_string_lossy();
    let local = session.environment();
    let options = DescribeOptions {
        colour: session.colour,
        host: session.host(&home),
        local: Some(&local),
        program: session.called.program(),
    };
    if let Some(unit) = unit_of(&args.target, &listing.instances).filter(|_| session.called == CalledAs::Baton) {
        session.line(describe::unit(&unit, session.colour).trim_end());
    }
    for view in &listing.instances {
        session.line(describe::render(view, &options).trim_end());
        if let Some(lines) = last_errors(view) {
            session.line(&format!("\n Last lines of standard error:\n{}", lines.trim_end()));
        }
    }
    Ok(())
}

/// The unit that a word named: the slots that it means are there for their unit, and none of them for its name.
fn unit_of(word: &str, slots: &[InstanceView]) -> Option<UnitView> {
    let by_unit = slots.iter().all(|view| view.namespace == word && view.name != word);
    units(slots).into_iter().next().filter(|_| by_unit && word != "all")
}

/// The last lines of standard error as text for a terminal, when there are any.
fn last_errors(view: &InstanceView) -> Option<String> {
    let file = File::open(view.files.error.as_ref()?).ok()?;
    let (bytes, _) = last_lines(&file, ERROR_LINES).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
