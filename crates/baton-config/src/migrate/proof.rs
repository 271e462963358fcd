//! Whether the apps are the same before and after.

use crate::options::LoadOptions;
use crate::{ConfigError, load};
use baton_core::spec::{AppSpec, Environment};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a variable holds in one of the readings, so that a value that is made of it is seen.
pub(super) fn mark(name: &str) -> String {
    format!("<<env {name}>>")
}

/// A world in which files are read.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// Its name in a message.
    pub(super) name: String,
    pub(super) options: LoadOptions,
}

/// The worlds in which before and after must agree: as it is, and with these variables unset, empty and marked.
pub(super) fn worlds(variables: &BTreeSet<String>, options: &LoadOptions) -> Vec<World> {
    let world = |name: &str, options: LoadOptions| World { name: name.into(), options };
    let mut all = vec![world("", options.clone())];
    if !variables.is_empty() {
        all.push(world(" with its variables unset", without(variables, options)));
        all.push(world(" with its variables empty", with(variables, options, |_| String::new())));
        all.push(world(" with other variables", with(variables, options, mark)));
    }
    all
}

/// The same with these variables unset.
pub(super) fn without(variables: &BTreeSet<String>, options: &LoadOptions) -> LoadOptions {
    let mut options = options.clone();
    options.caller_env.retain(|name, _| !variables.contains(name));
    options
}

/// The same with a value for each of these variables.
pub(super) fn with(variables: &BTreeSet<String>, options: &LoadOptions, value: impl Fn(&str) -> String) -> LoadOptions {
    let mut options = options.clone();
    options.caller_env.extend(variables.iter().map(|name| (name.clone(), value(name))));
    options
}

/// The apps of a file, by name.
pub(super) fn resolve(path: &Path, options: &LoadOptions) -> Result<BTreeMap<String, AppSpec>, ConfigError> {
    let apps = load(path, options)?.apps;
    Ok(apps.into_iter().map(|app| (app.name.clone(), app)).collect())
}

/// The apps that a file would have with these texts in place of files, by name.
pub(super) fn resolve_with(
    path: &Path,
    texts: &BTreeMap<PathBuf, String>,
    options: &LoadOptions,
) -> Result<BTreeMap<String, AppSpec>, ConfigError> {
    resolve(path, &LoadOptions { texts: Arc::new(texts.clone()), ..options.clone() })
}

/// The environments `env_<name>` that the apps of a file have, and none.
pub(super) fn environments(apps: &BTreeMap<String, AppSpec>) -> Vec<Option<String>> {
    let names: BTreeSet<&String> = apps.values().flat_map(|app| app.env_profiles.keys()).collect();
    std::iter::once(None).chain(names.into_iter().cloned().map(Some)).collect()
}

/// Compares a reading before with one after, in each world and for each `env_<name>`. Gives how many definitions were
/// compared.
///
/// # Errors
/// What differs: names of apps and keys, no values.
pub(super) fn same(
    worlds: &[World],
    before: impl Fn(&LoadOptions) -> Result<BTreeMap<String, AppSpec>, ConfigError>,
    after: impl Fn(&LoadOptions) -> Result<BTreeMap<String, AppSpec>, ConfigError>,
) -> Result<usize, String> {
    let mut count = 0;
    for World { name, options } in worlds {
        let first = before(options).map_err(|wrong| format!("cannot be read{name}: {wrong}"))?;
        for environment in environments(&first) {
            let options = LoadOptions { env_name: environment.clone(), ..options.clone() };
            let old = before(&options).map_err(|wrong| format!("cannot be read{name}: {wrong}"))?;
            let new = after(&options).map_err(|wrong| format!("the short form cannot be read{name}: {wrong}"))?;
            compare(&old, &new).map_err(|what| {
                let of = environment.map(|name| format!(" under --env {name}")).unwrap_or_default();
                format!("the short form would differ{of}{name}: {what}")
            })?;
            count += old.len();
        }
    }
    Ok(count)
}

fn compare(old: &BTreeMap<String, AppSpec>, new: &BTreeMap<String, AppSpec>) -> Result<(), String> {
    if let Some(name) = old.keys().find(|name| !new.contains_key(*name)) {
        return Err(format!("app `{name}` would be missing"));
    }
    if let Some(name) = new.keys().find(|name| !old.contains_key(*name)) {
        return Err(format!("app `{name}` would be new"));
    }
    for (name, app) in old {
        let after = &new[name];
        if app.hash() != after.hash() {
            let fields: Vec<String> = app.changes(after).into_iter().map(|change| change.field).collect();
            return Err(format!("app `{name}` in {}{}", fields.join(", "), variables(&app.env, &after.env)));
        }
        if app.env_profiles != after.env_profiles {
            return Err(format!("app `{name}` in its env_<name>"));
        }
    }
    Ok(())
}

/// Which variables differ, by name: their values may be secrets.
fn variables(old: &Environment, new: &Environment) -> String {
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing: Vec<&str> =
        all.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(String::as_str).collect();
    if differing.is_empty() { String::new() } else { format!(" ({})", differing.join(", ")) }
}
