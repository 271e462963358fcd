//! `check`: whether the apps of a process file find what they need, before anything is started.

use super::apps::{self, FileOptions, Loaded};
use super::common::Common;
use super::externals;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::{Session, list};
use baton_config::Dependencies;
use baton_config::check::{self, Finding, Options, Verdict};
use baton_core::proto::List;
use baton_core::world::Status;
use clap::Parser;

/// Check whether the apps of a process file find what they need to start.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Process files, directories and patterns of them, which are one source, or `-` for JSON on standard input.
    /// Default: ecosystem.config.* of the directory.
    #[arg(value_name = "file|-")]
    targets: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    file: FileOptions,
    /// Fail for what is only doubtful too: a script older than its sources, a log file in git.
    #[arg(long)]
    strict: bool,
    /// Look only for what others run and the apps depend on.
    #[arg(long)]
    external: bool,
}

/// Runs the verb: one line a check, all of them, and exit code 1 when one fails. Nothing is started, no daemon either.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let source = apps::source(&args.targets, &args.file, session)?;
    let loaded = apps::load(&source, &args.file, &AppOptions::default(), Dependencies::Bring, session)?;
    if args.external {
        if loaded.externals.is_empty() {
            session.inform("the process file names nothing external");
        }
        return tell(&externals::findings(&loaded.externals, session), "externals", loaded.externals.len(), session);
    }
    all(&loaded, args.strict, session)
}

/// Checks the apps of a process file and tells what was found.
///
/// # Errors
/// When a check fails (told already).
pub(crate) fn all(loaded: &Loaded, strict: bool, session: &Session) -> Result<(), Failure> {
    let (running, listed) = listed(session)?;
    let options = Options {
        strict,
        logs: session.home.logs(),
        on_missing: loaded.on_missing.as_deref(),
        running: &running,
        listed: Some(&listed),
    };
    let mut findings = check::apps(&loaded.apps, &options);
    findings.extend(externals::findings(&loaded.externals, session));
    tell(&findings, "apps", loaded.apps.len(), session)
}

/// Tells what was found about so many things.
fn tell(findings: &[Finding], things: &str, count: usize, session: &Session) -> Result<(), Failure> {
    for finding in findings {
        session.line(&line(finding));
    }
    let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.verdict == Verdict::Failed).collect();
    if failed.is_empty() {
        session.say(&format!("{} checks of {count} {things} passed", findings.len()));
        return Ok(());
    }
    session.error(&summary(failed.len(), findings.len(), failed.iter().any(|finding| finding.missing_script)));
    let mut remedies: Vec<&str> = failed.iter().filter_map(|finding| finding.remedy.as_deref()).collect();
    remedies.dedup();
    for remedy in remedies {
        session.complain(&format!("  help: {remedy}"));
    }
    Err(Failure::Told)
}

/// Names of apps that run now, and of all apps and units in the list; none when no daemon runs.
fn listed(session: &Session) -> Result<(Vec<String>, Vec<String>), Failure> {
    let Some(mut client) = session.present_client()? else { return Ok((Vec::new(), Vec::new())) };
    let instances = list(&mut client, List::default())?.instances;
    let online = instances.iter().filter(|view| view.status == Status::Online);
    let running = online.map(|view| view.name.clone()).collect();
    let listed = instances.iter().flat_map(|view| [view.name.clone(), view.namespace.clone()]).collect();
    Ok((running, listed))
}

fn line(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Passed => '✓',
        Verdict::Doubtful => '!',
        Verdict::Failed => '✗',
    };
    format!("{mark} {}: {}", finding.app, finding.text)
}

fn summary(failed: usize, all: usize, artifacts: bool) -> String {
    let what = if artifacts { ": Missing build artifacts" } else { "" };
    format!("{failed} of {all} checks failed{what}")
}
