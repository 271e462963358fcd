//! `migrate`: process files turned into their short form, when the apps are proven to stay what they are.

use super::apps;
use super::common::Common;
use super::failure::Failure;
use super::init;
use super::session::Session;
use baton_config::migrate::{self, Step};
use clap::Parser;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Shorten process files: copies become profiles, repetitions are folded, helpers are built in.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Process files, or directories to look for them in.
    #[arg(value_name = "path", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Write what is planned. What a file was is kept beside it as a .bak file.
    #[arg(long)]
    write: bool,
}

/// Runs the verb. Without `--write` nothing is written; nothing is asked of the daemon.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let options = apps::load_options(session)?;
    let plan = migrate::plan(&args.paths, &options).map_err(Failure::Usage)?;
    if plan.files.is_empty() {
        return Err(Failure::Usage("no process file was found there".into()));
    }
    let shown = |path: &Path| path.strip_prefix(&options.caller_cwd).unwrap_or(path).display().to_string();
    session.line(&format!("{} process files:", plan.files.len()));
    for file in &plan.files {
        session.line(&format!("  {}", shown(file)));
    }
    for step in &plan.steps {
        session.line("");
        for line in &step.lines {
            session.line(line);
        }
        session.line(&format!("  proof: {}", step.proof));
    }
    if !plan.left.is_empty() {
        session.line("\nleft as they are:");
        for (file, why) in &plan.left {
            session.line(&format!("  {} {why}", shown(file)));
        }
    }
    session.line("");
    if plan.steps.is_empty() {
        session.say("nothing to do");
        return Ok(());
    }
    if !args.write {
        session.say("nothing was written: --write does it");
        return Ok(());
    }
    for step in &plan.steps {
        carry_out(step, &shown, session)?;
    }
    Ok(())
}

/// Writes a step. Backups come first and removals last: an interruption leaves every file that something still needs.
fn carry_out(step: &Step, shown: &impl Fn(&Path) -> String, session: &Session) -> Result<(), Failure> {
    let system = |path: &Path| Failure::system(path.display().to_string());
    let present = step.writes.iter().map(|(path, _)| path).filter(|path| fs::symlink_metadata(path).is_ok());
    for path in present.chain(&step.removes) {
        let backup = init::keep(path)?;
        session.say(&format!("{} kept as {}", shown(path), shown(&backup)));
    }
    for (path, text) in &step.writes {
        let mode = fs::metadata(path).map_or(0o644, |found| found.permissions().mode() & 0o777);
        baton_os::files::write_atomic(path, text.as_bytes(), mode).map_err(system(path))?;
        session.say(&format!("{} written", shown(path)));
    }
    for path in &step.removes {
        fs::remove_file(path).map_err(system(path))?;
        session.say(&format!("{} removed", shown(path)));
    }
    Ok(())
}
