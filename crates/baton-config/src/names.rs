//! The names in `depends_on`, as a file writes them, made those of the list: apps may be called otherwise there, by their
//! unit's prefix or `append_env_to_name`; and a path starts from where the app is written.

use crate::agents;
use crate::company::is_path;
use crate::declare::Item;
use crate::js::Exported;
use crate::part::Normalised;
use crate::target;
use baton_core::spec::{AppSpec, External};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Puts the name in the list, or the absolute path, in place of each name that the file knows.
pub(crate) fn settle(
    path: &Path,
    items: &[Item],
    apps: &mut [Normalised],
    externals: &[External],
    exported: &[Exported],
) {
    let specs = || apps.iter().map(|one| &one.spec);
    let known: BTreeSet<String> = specs()
        .flat_map(|spec| [&spec.name, &spec.namespace])
        .chain(externals.iter().map(|external| &external.name))
        .cloned()
        .collect();
    let written: BTreeMap<String, String> = items
        .iter()
        .zip(specs())
        .filter_map(|(item, spec)| Some((item.app.get("name")?.as_str()?.to_owned(), spec.name.clone())))
        .collect();
    for (item, one) in items.iter().zip(apps) {
        let unit = one.spec.namespace.clone();
        let file = agents::file_of(&item.app, exported).map(|at| exported[at].file.as_path());
        let bases = bases(file, path, &one.spec);
        for dependency in &mut one.spec.depends_on {
            let on = &dependency.on;
            if known.contains(on) {
                continue;
            }
            let in_unit = [format!("{}{on}", item.prefix()), format!("{unit}_{on}")];
            let called = std::iter::once(on).chain(&in_unit).find_map(|name| {
                let renamed = written.get(name).cloned();
                renamed.or_else(|| known.contains(name).then(|| name.clone()))
            });
            if let Some(called) = called {
                dependency.on = called;
            } else if is_path(on) {
                dependency.on = absolute(on, &bases).to_string_lossy().into_owned();
            }
        }
    }
}

/// Where a path of an app may start: at the module that it is from, at the process file, or where it runs.
fn bases(module: Option<&Path>, path: &Path, spec: &AppSpec) -> Vec<PathBuf> {
    let files = module.into_iter().chain([path]).filter_map(Path::parent).map(Path::to_owned);
    files.chain([PathBuf::from(&spec.cwd)]).collect()
}

fn absolute(on: &str, bases: &[PathBuf]) -> PathBuf {
    let mut places = bases.iter().map(|base| target::resolve(base, on));
    let first = places.next().unwrap_or_else(|| PathBuf::from(on));
    if first.exists() { first } else { places.find(|place| place.exists()).unwrap_or(first) }
}
