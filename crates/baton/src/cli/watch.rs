//! `watch`: what is watched for which apps, and which rule decides about a file.

use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list};
use super::target;
use crate::watching::{Aim, Own, Rules, Verdict};
use baton_core::proto::List;
use baton_core::world::{Detail, InstanceView};
use clap::Parser;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Show what is watched for apps, or which rule decides about a file.
///
/// Watching itself is the key `watch` of a process file, or `--watch` of start, restart and stop.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units or /patterns/; all apps without any.
    #[arg(value_name = "name|id")]
    targets: Vec<String>,
    /// Say of this file or folder whether a change of it restarts each app, and by which rule.
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let directory = session.directory()?;
    let targets = args.targets.iter().map(|word| target::selector(word, &directory)).collect();
    let mut client = session.client()?;
    let everything = list(&mut client, List::default())?.instances;
    let files = everything.iter().map(|view| &view.files);
    let files = files.flat_map(|f| [&f.out, &f.error, &f.combined].into_iter().flatten().chain([&f.pid]));
    let own = Arc::new(Own::new(&session.home, files));
    let chosen = list(&mut client, List { targets, detail: Detail::Definition })?.instances;
    let mut told = BTreeSet::new();
    for view in &chosen {
        let line = match &args.explain {
            Some(file) => explain(view, &directory.join(file), &own),
            None => Some(summary(view)),
        };
        // Instances of one app are told once.
        if let Some(line) = line.filter(|line| told.insert(line.clone())) {
            session.line(&line);
        }
    }
    if told.is_empty() {
        session.inform("Nothing is watched");
    }
    Ok(())
}

fn summary(view: &InstanceView) -> String {
    let Some(aim) = view.spec.as_deref().and_then(Aim::of) else { return format!("{}: not watched", view.name) };
    let roots: Vec<String> = aim.roots.iter().map(|root| aim.shown(root)).collect();
    let ignored = if aim.ignore.is_empty() { String::new() } else { format!(", without {}", aim.ignore.join(", ")) };
    let off = if view.watching { "" } else { " (off now)" };
    format!("{}: {}{ignored}{off}", view.name, roots.join(", "))
}

fn explain(view: &InstanceView, path: &std::path::Path, own: &Arc<Own>) -> Option<String> {
    let aim = Arc::new(view.spec.as_deref().and_then(Aim::of)?);
    let path = aim.cwd.join(path);
    let path = path.components().collect::<PathBuf>();
    let mut rules = Rules::new(aim.clone(), own.clone());
    let off = if view.watching { "" } else { " (it is not watched now)" };
    let name = &view.name;
    let shown = aim.shown(&path);
    Some(match rules.verdict(&path, path.is_dir()) {
        Verdict::Counts(why) => format!("{name}: a change of {shown} restarts it: {why}{off}"),
        Verdict::Ignored(why) => format!("{name}: a change of {shown} does nothing: {why}{off}"),
    })
}
