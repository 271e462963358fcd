//! What others run and apps depend on: looked for, told of, and started where that was asked for.

use super::failure::Failure;
use super::session::Session;
use baton_config::check::{Finding, Verdict};
use baton_core::spec::{AppSpec, Environment, External};
use baton_os::probe::{look, run};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How long a check may look for one thing.
const THOROUGH: Duration = Duration::from_secs(5);
/// How long a verb may that only wants to tell: a host that is down does not answer at all.
const QUICK: Duration = Duration::from_secs(1);

/// Looks once for each, all at the same time.
fn found(externals: &[External], env: &Environment, within: Duration) -> Vec<Result<(), String>> {
    let look = |external: &External| {
        let within = within.min(Duration::from_millis(external.timeout.0));
        look(&external.probe, Path::new(&external.cwd), env, within)
    };
    std::thread::scope(|scope| {
        let looks: Vec<_> = externals.iter().map(|external| scope.spawn(move || look(external))).collect();
        looks.into_iter().map(|look| look.join().unwrap_or_else(|_| Err("the look failed".into()))).collect()
    })
}

/// A check of each.
pub(super) fn findings(externals: &[External], session: &Session) -> Vec<Finding> {
    let found = found(externals, &session.environment(), THOROUGH);
    let tell = |(external, found): (&External, Result<(), String>)| {
        let probe = &external.probe;
        let (verdict, text, remedy) = match found {
            Ok(()) => (Verdict::Passed, format!("{probe} is reachable"), None),
            Err(why) => (Verdict::Failed, format!("{probe} is not reachable: {why}"), external.hint.clone()),
        };
        Finding { app: format!("external {}", external.name), verdict, text, remedy, missing_script: false }
    };
    externals.iter().zip(found).map(tell).collect()
}

/// One line each, for the foot of the table.
pub(super) fn lines(externals: &[External], session: &Session) -> Vec<String> {
    let found = found(externals, &session.environment(), QUICK);
    let width = externals.iter().map(|external| external.name.chars().count()).max().unwrap_or(0);
    let line = |(External { name, probe, hint, .. }, found): (&External, Result<(), String>)| {
        let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let state = found.map_or_else(|why| format!("✗ not reachable: {why}{hint}"), |()| "✓ reachable".into());
        format!("external {name:width$}  {probe}  {state}")
    };
    externals.iter().zip(found).map(line).collect()
}

/// Looks for what apps that are about to start depend on: what is not there is started, when that was asked for and its
/// entry says how; the daemon waits for it.
///
/// # Errors
/// When a command that is to start something fails.
pub(super) fn prepare(apps: &[AppSpec], start: bool, session: &Session) -> Result<(), Failure> {
    let needed: BTreeSet<&External> = apps.iter().flat_map(AppSpec::externals).collect();
    let needed: Vec<External> = needed.into_iter().cloned().collect();
    let env = session.environment();
    for (external, found) in needed.iter().zip(found(&needed, &env, QUICK)) {
        let Err(why) = found else { continue };
        let External { name, probe, hint, timeout, cwd, .. } = external;
        let Some(command) = external.start.as_ref().filter(|_| start) else {
            let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            let by_us = if external.start.is_some() { "; --start-externals starts it" } else { "" };
            session.inform(&format!("Waiting up to {} ms for {name} ({probe}: {why}){hint}{by_us}", timeout.0));
            continue;
        };
        session.say(&format!("Starting {name}: {command}"));
        let status = run(command, Path::new(cwd), &env).map_err(Failure::system(format!("{name}: {command}")))?;
        if !status.success() {
            let hint = hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
            return Err(Failure::Usage(format!("{name} could not be started: `{command}` ended with {status}{hint}")));
        }
    }
    Ok(())
}
