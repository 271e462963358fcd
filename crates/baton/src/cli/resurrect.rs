//! `resurrect`: start what `save` kept.

use super::act;
use super::common::Common;
use super::failure::Failure;
use super::service::{self, ServiceOptions};
use super::session::{Session, command};
use baton_core::proto::{Command, Done, Saved};
use baton_pm2::dump::{self, DumpError};
use baton_pm2::text;
use clap::Parser;
use std::io;
use std::path::Path;

/// Start the processes that `save` kept. Names that run already are passed over.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. As under PM2, having nothing to restore is told, and is no error.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    if args.service.is_wanted() {
        return service::become_it(session);
    }
    let mut client = session.client()?;
    session.say(text::RESURRECTING);
    let dump = [session.home.dump(), session.home.dump_backup()].into_iter().find_map(|path| read(&path, session));
    let Some(slots) = dump else {
        session.error(text::NO_DUMP);
        return session.table(&mut client);
    };
    let scripts: Vec<(String, String)> =
        slots.iter().map(|slot| (slot.spec.name.clone(), slot.spec.script.clone())).collect();
    let outcomes = command(&mut client, Command::Restore { slots })?;
    for outcome in outcomes.iter().filter(|outcome| !matches!(outcome.done, Done::Failed(_))) {
        if let Some((_, script)) = scripts.iter().find(|(name, _)| *name == outcome.name) {
            session.say(&text::restored(script));
        }
    }
    act::tell_failures(&outcomes, session);
    session.table(&mut client)?;
    act::success(&outcomes)
}

/// The slots of one dump. PM2 removes one that is broken; here it makes room for the next `save` under another name.
fn read(path: &Path, session: &Session) -> Option<Vec<Saved>> {
    let shown = path.to_string_lossy();
    session.say(&text::restoring(&shown));
    let content = match std::fs::read_to_string(path) {
        Ok(content) => content,
        Err(error) => {
            session.error(&text::dump_unreadable(&shown));
            if error.kind() != io::ErrorKind::NotFound {
                session.complain(&format!("  {error}"));
            }
            return None;
        }
    };
    match dump::read(&content) {
        Ok(slots) => Some(slots),
        Err(error) => {
            session.error(&text::dump_unparsable(&shown));
            session.complain(&format!("  {error}"));
            // A record that only we do not understand may still be of use to its owner.
            if matches!(error, DumpError::Json(_)) {
                let aside = format!("{shown}.broken");
                match std::fs::rename(path, &aside) {
                    Ok(()) => session.warn(&format!("it is kept as {aside}")),
                    Err(error) => session.warn(&format!("{shown} could not be renamed: {error}")),
                }
            }
            None
        }
    }
}
