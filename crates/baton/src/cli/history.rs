//! `history`: what `sync` has done, pass by pass.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::sync::past::{self, Entry};
use super::sync::show;
use baton_pm2::describe::iso;
use clap::Parser;
use serde_json::{Value, json};

/// Show what `sync` has done: when, who, from which files, and with which apps.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let entries = past::all(session)?;
    if args.json {
        let document: Vec<Value> = entries.iter().map(document).collect();
        session.data(format!("{:#}\n", Value::from(document)).as_bytes());
        return Ok(());
    }
    for entry in &entries {
        session.line(&format!(
            "{}  {}  {}  {}: {}",
            entry.number,
            iso(entry.at),
            entry.user,
            entry.plan.source,
            show::summary(&entry.plan)
        ));
        if let Some(number) = entry.rollback {
            session.line(&format!("    rollback to {number}"));
        }
        if !entry.files.is_empty() {
            let files: Vec<String> = entry.files.iter().map(|file| file.display().to_string()).collect();
            session.line(&format!("    from {}", files.join(", ")));
        }
        for line in show::brief(&entry.plan) {
            session.line(&format!("    {line}"));
        }
        if entry.unfinished {
            session.line("    interrupted: how much of it was done is not known");
        }
        for (what, apps) in [("failed", &entry.failed), ("not attempted", &entry.left)] {
            if !apps.is_empty() {
                session.line(&format!("    {what}: {}", apps.iter().cloned().collect::<Vec<_>>().join(", ")));
            }
        }
    }
    Ok(())
}

fn document(entry: &Entry) -> Value {
    let mut document = show::document(&entry.plan, &[]);
    document["number"] = entry.number.into();
    document["at"] = iso(entry.at).into();
    document["user"] = entry.user.as_str().into();
    document["files"] = json!(entry.files);
    document["rollback"] = json!(entry.rollback);
    document["failed"] = json!(entry.failed);
    document["not_attempted"] = json!(entry.left);
    document["unfinished"] = entry.unfinished.into();
    document
}
