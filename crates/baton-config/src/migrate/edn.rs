//! EDN as ClojureScript: a file of its own as one, a tree of daemons with one `ecosystem.edn` each as one for all.

use super::source::{self, Source};
use super::{Left, Plan, Step, extension, file_name, fold, proof, shown, text};
use crate::options::LoadOptions;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of a process file in a tree of daemons.
const DAEMON: &str = "ecosystem.edn";
/// What the tree becomes.
const WHOLE: &str = "ecosystem.config.cljs";

/// Turns the EDN files that are still open.
pub(super) fn look(open: &mut Vec<PathBuf>, options: &LoadOptions, plan: &mut Plan) {
    let (edn, others): (Vec<PathBuf>, Vec<PathBuf>) = open.drain(..).partition(|path| extension(path) == "edn");
    *open = others;
    let (mut daemons, mut single): (Vec<PathBuf>, Vec<PathBuf>) =
        edn.into_iter().partition(|path| file_name(path) == DAEMON);
    if daemons.len() < 2 {
        single.append(&mut daemons);
    }
    if !daemons.is_empty() {
        let above = above(&daemons).join(WHOLE);
        turn(daemons, &above, options, plan);
    }
    for path in single {
        let stem = file_name(&path).trim_end_matches(".edn").trim_end_matches(".pm2").to_owned();
        let target = path.with_file_name(format!("{stem}.cljs"));
        turn(vec![path], &target, options, plan);
    }
}

/// The directory that holds all of them.
fn above(paths: &[PathBuf]) -> PathBuf {
    let first = paths[0].parent().unwrap_or(Path::new("/"));
    let holds = |directory: &&Path| paths.iter().all(|path| path.starts_with(directory));
    first.ancestors().find(holds).unwrap_or(Path::new("/")).into()
}

fn turn(paths: Vec<PathBuf>, target: &Path, options: &LoadOptions, plan: &mut Plan) {
    match turned(&paths, target, options) {
        Ok(step) => plan.steps.push(step),
        Err(why) => plan.left.extend(paths.into_iter().map(|path| (path, why.clone()))),
    }
}

fn turned(paths: &[PathBuf], target: &Path, options: &LoadOptions) -> Result<Step, Left> {
    if std::fs::symlink_metadata(target).is_ok() {
        return Err(format!("would become {}, which is there already", shown(target, options)));
    }
    let sources: Vec<Source> = paths.iter().map(|path| source::read(path, options)).collect::<Result<_, _>>()?;
    let mut apps: Vec<Map<String, Value>> = Vec::new();
    let mut beside = Map::new();
    for source in &sources {
        apps.extend(source.apps.clone());
        if sources.len() > 1 && !source.beside.is_empty() {
            return Err("belongs to a tree in which a file has more than apps".into());
        }
        beside.extend(source.beside.clone());
    }
    if let Some(key) = beside.keys().find(|key| *key != "profiles") {
        return Err(format!("has the key `{key}` beside its apps, which ClojureScript has no form for"));
    }
    let mut names: Vec<&Value> = apps.iter().filter_map(|app| app.get("name")).collect();
    names.sort_by_key(|name| name.to_string());
    if let Some(two) = names.windows(2).find(|two| two[0] == two[1]) {
        return Err(format!("belongs to a tree in which two apps are called {}", two[0]));
    }
    let common = fold::common(&mut apps);
    let heading: Vec<String> = sources.iter().flat_map(|source| source.heading.clone()).collect();
    let written = text::clojurescript(&heading, &apps, &common, &beside);
    let texts = [(target.to_owned(), written.clone())].into();
    let names = beside.get("profiles").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone());
    let mut count = 0;
    for profile in std::iter::once(None).chain(names.map(Some)) {
        let options = LoadOptions { profile, ..options.clone() };
        count += proof::same(
            &proof::worlds(&std::collections::BTreeSet::new(), &options),
            |options| {
                let mut all = BTreeMap::new();
                for path in paths {
                    all.extend(proof::resolve(path, options)?);
                }
                Ok(all)
            },
            |options| proof::resolve_with(target, &texts, options),
        )?;
    }
    let mut lines: Vec<String> =
        paths.iter().map(|path| format!("{} becomes {}", shown(path, options), shown(target, options))).collect();
    lines.extend(common.lines());
    if sources.iter().any(|source| source.has_comments) {
        lines.push("  comments inside the files stay in the backups only".into());
    }
    Ok(Step {
        lines,
        writes: vec![(target.into(), written)],
        removes: paths.to_vec(),
        proof: format!("{count} resolved apps are equal before and after"),
    })
}
