//! One process file of a source on its way from what it exports to the apps of a target.

use crate::company;
use crate::declare::{self, Item};
use crate::error::{ConfigError, Place, Warning};
use crate::js::Exported;
use crate::js::exports::{self, ShapeError};
use crate::load::{Export, Loaded, Target, failure};
use crate::made::Made;
use crate::options::{Context, Dependencies, LoadOptions};
use crate::position::Document;
use crate::search::Search;
use crate::{agents, directory, duplicates, env, keys, later, names, normalise, statics};
use baton_core::deps::{DependencyError, Graph};
use baton_core::spec::{AppSpec, Environment, External};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One process file of a source on its way.
pub(crate) struct Part {
    path: PathBuf,
    pub(crate) export: Export,
    list: Vec<Map<String, Value>>,
    /// Its apps, once it is declared what they mean.
    pub(crate) items: Vec<Item>,
    warnings: Vec<Warning>,
}

/// Whether a file that exports this is one of apps.
pub(crate) fn has_apps(root: &Value) -> bool {
    declares(root) || exports::apps(root).is_ok()
}

/// Whether what stands beside the list of apps may be all that there is.
fn declares(root: &Value) -> bool {
    declare::declares(root) || beside_apps(root, "static").is_some()
}

impl Part {
    /// The apps as the file writes them.
    ///
    /// # Errors
    /// When it exports something else.
    pub(crate) fn new(path: PathBuf, mut export: Export) -> Result<Part, ConfigError> {
        let place = Place::file(&path);
        let mut warnings = std::mem::take(&mut export.notes);
        let served = match beside_apps(&export.root, "static") {
            Some(given) => Some(statics::apps(given, &path, &mut warnings)?),
            None => None,
        };
        let mut list: Vec<_> = match exports::apps(&export.root) {
            Err(ShapeError::NoApps) if declares(&export.root) => Vec::new(),
            found => {
                let found = found.map_err(|wrong| ConfigError::Shape { place, what: wrong.to_string() })?;
                found.into_iter().cloned().collect()
            }
        };
        list.extend(served.unwrap_or_default());
        Ok(Part { path, export, list, items: Vec::new(), warnings })
    }

    pub(crate) fn is_clojure(&self) -> bool {
        directory::is_clojure(&self.path)
    }

    /// The apps with what the file declares beside them, and its profile over them.
    pub(crate) fn declare(&mut self, profile: Option<&str>) -> Result<(), ConfigError> {
        let root = &self.export.root;
        let document = document(&self.export);
        let list = std::mem::take(&mut self.list);
        let search = Search { inputs: &self.export.inputs };
        let (items, told) =
            declare::apps(&self.path, root, list, document.as_ref(), &search, profile, &self.export.traces)?;
        self.items = items;
        self.warnings.extend(told);
        Ok(())
    }
}

fn document(export: &Export) -> Option<Document<'_>> {
    export.text.as_ref().map(|(format, text)| Document { format: *format, text, root: &export.root })
}

/// Apps of a part: expanded, normalised, chosen, compared.
///
/// # Errors
/// When an app or what stands beside the apps is wrong.
pub(crate) fn finish(part: Part, options: &LoadOptions) -> Result<Target, ConfigError> {
    let Part { path, export, mut items, mut warnings, .. } = part;
    let (path, place) = (path.as_path(), Place::file(&path));
    let root = &export.root;
    let document = document(&export);
    let search = Search { inputs: &export.inputs };
    let told = declare::expand(path, &mut items, document.as_ref(), &search, options, |failed| failure(path, failed))?;
    warnings.extend(told);
    // What stands beside the apps holds for those that say nothing themselves.
    for name in ["env_priority", "heartbeat", "on_event"] {
        let Some(value) = beside_apps(root, name) else { continue };
        let says = |key: &String| keys::find(key).is_some_and(|(field, _)| field.name == name);
        for item in items.iter_mut().filter(|item| !item.app.keys().any(says)) {
            item.app.insert(name.into(), value.clone());
        }
    }
    // A unit given on the command line is for all apps that say none themselves.
    if options.overrides.namespace.is_none() {
        let raw: Vec<&Map<String, Value>> = items.iter().map(|item| &item.app).collect();
        let units = agents::units(path, root, &export.exported, &raw);
        for (item, unit) in items.iter_mut().zip(units) {
            if let Some(unit) = unit {
                item.app.insert("namespace".into(), unit.into());
            }
        }
    }
    let search = Search { inputs: &export.inputs };
    let nth = |index: usize| {
        let names = items[index].names();
        items[..index].iter().filter(|other| other.names().last() == names.last()).count()
    };
    // In a file of data, by its parser; in a program, and in what it loads, by what is written there.
    let locate = |index: usize, key: Option<&str>| match document.as_ref() {
        Some(document) => {
            items.get(index)?.locate(document, key).map(|at| Place { position: Some(at), ..place.clone() })
        }
        None => search.app(&items.get(index)?.searched(), nth(index), key),
    };
    let prune = match beside_apps(root, "prune") {
        None => false,
        Some(Value::Bool(prune)) => *prune,
        Some(other) => {
            return Err(ConfigError::Declaration {
                place,
                what: format!("`prune: {other}` is neither true nor false"),
                help: "with `prune: true`, `sync` removes apps that the source does not have any more".into(),
            });
        }
    };
    let made = Made::of(path, root, document.as_ref())?;
    let deploy_env = deploy_environment(root, options);
    let (externals, told) = externals(path, root, document.as_ref(), &export.exported)?;
    warnings.extend(told);
    let mut chosen = Choice::new(&options.only);
    let mut all = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let app = &item.app;
        let deploy_env = deploy_env.as_ref();
        let context = Context { options, file: Some(path), index, deploy_env, layers: &item.layers };
        let (spec, told) =
            normalise::app(app, &context).map_err(|wrong| placed(wrong, index, app, options, &locate))?;
        let wanted = chosen.takes(app, &spec);
        all.push(Normalised { spec, told, wanted });
    }
    let specs: Vec<&AppSpec> = all.iter().map(|one| &one.spec).collect();
    company::refuse_two_meanings(&externals, &specs, &place)?;
    names::settle(path, &items, &mut all, &externals, &export.exported);
    let depends_on = |spec: &AppSpec| {
        let item = items.get(spec.source.index)?;
        let key = item.app.keys().find(|key| keys::find(key).is_some_and(|(field, _)| field.name == "depends_on"));
        locate(spec.source.index, key.map(String::as_str)).or_else(|| locate(spec.source.index, None))
    };
    let depends = all
        .iter()
        .filter(|one| !one.spec.depends_on.is_empty())
        .map(|one| (one.spec.name.clone(), depends_on(&one.spec).unwrap_or_else(|| place.clone())));
    let depends = depends.collect();
    let brought = match options.dependencies {
        Dependencies::Bring => needed(&all),
        Dependencies::Name | Dependencies::Leave => BTreeSet::new(),
    };
    let (mut apps, mut rest) = (Vec::with_capacity(all.len()), Vec::new());
    for Normalised { spec, told, wanted } in all {
        if wanted || brought.contains(&spec.name) {
            warnings.extend(told);
            apps.push(spec);
        } else {
            rest.push(spec);
        }
    }
    let place_of = |app: &AppSpec, _| locate(app.source.index, None).unwrap_or_else(|| place.clone());
    let (apps, told) = duplicates::merge(apps, place_of)?;
    warnings.extend(told);
    warnings.extend(later::warnings(&apps, &place));
    // Names that the file does not have may be in the list; a circle within the file is wrong anywhere.
    if let Err(what) = Graph::of(&apps).acyclic(apps.iter().map(|app| app.name.as_str())) {
        let first = apps.iter().find(|app| matches!(&what, DependencyError::Cycle(path) if path.contains(&app.name)));
        let found = first.and_then(depends_on);
        return Err(ConfigError::Dependencies { place: found.unwrap_or(place), what });
    }
    let mut each_once: Vec<Warning> = Vec::with_capacity(warnings.len());
    for warning in warnings {
        if !each_once.contains(&warning) {
            each_once.push(warning);
        }
    }
    let loaded = Loaded {
        apps,
        is_empty: items.is_empty(),
        warnings: each_once,
        inputs: export.inputs,
        looked_for: export.looked_for,
        directories: export.directories,
        unknown_only: chosen.unknown(),
        console: export.console,
        on_missing: beside_apps(root, "on_missing").and_then(Value::as_str).map(str::to_owned),
        prune,
        made,
        skipped: Vec::new(),
        externals,
        brought: brought.into_iter().collect(),
        depends,
    };
    Ok(Target { loaded, rest })
}

/// An app of a file, with what is to be told of it.
pub(crate) struct Normalised {
    pub(crate) spec: AppSpec,
    told: Vec<Warning>,
    /// Whether `only` takes it.
    wanted: bool,
}

/// The names of the other apps of a file that the wanted ones need.
fn needed(all: &[Normalised]) -> BTreeSet<String> {
    let wanted: BTreeSet<&str> = all.iter().filter(|one| one.wanted).map(|one| one.spec.name.as_str()).collect();
    if wanted.len() == all.len() {
        return BTreeSet::new();
    }
    let needed = Graph::of(all.iter().map(|one| &one.spec)).closure(wanted.iter().copied());
    needed.into_iter().filter(|name| !wanted.contains(name)).map(str::to_owned).collect()
}

/// What others run, as a file declares it, and then as the modules do that it loads.
fn externals(
    path: &Path,
    root: &Value,
    document: Option<&Document<'_>>,
    exported: &[Exported],
) -> Result<(Vec<External>, Vec<Warning>), ConfigError> {
    let (mut all, told) = declare::externals(path, root, document)?;
    let mut warnings: Vec<Warning> = told.into_iter().collect();
    for module in exported {
        let Some(external) = &module.external else { continue };
        let (more, told) = declare::externals(&module.file, &serde_json::json!({ "external": external }), None)?;
        warnings.extend(told);
        for external in more {
            if !all.iter().any(|known| known.name == external.name) {
                all.push(external);
            }
        }
    }
    Ok((all, warnings))
}

/// Adds the position of the key that an error is about.
fn placed(
    wrong: ConfigError,
    index: usize,
    app: &Map<String, Value>,
    options: &LoadOptions,
    locate: &impl Fn(usize, Option<&str>) -> Option<Place>,
) -> ConfigError {
    let found = |key: Option<&str>, place: Place| locate(index, key).unwrap_or(place);
    match wrong {
        ConfigError::Value(mut bad) => {
            // A value of the command line stands nowhere in the file.
            if options.overrides.fields.contains_key(&bad.key) {
                bad.place = Place::default();
            } else {
                bad.place = found(Some(&bad.key), bad.place);
            }
            ConfigError::Value(bad)
        }
        ConfigError::NoScript { place, app } => ConfigError::NoScript { place: found(None, place), app },
        ConfigError::Interpreter { place, app: label, what, help } => {
            let key = ["exec_interpreter", "interpreter", "script"].into_iter().find(|key| app.contains_key(*key));
            ConfigError::Interpreter { place: found(key, place), app: label, what, help }
        }
        other => other,
    }
}

/// A member that stands beside the apps, at the top or under `default` or `pm2`.
fn beside_apps<'v>(root: &'v Value, key: &str) -> Option<&'v Value> {
    declare::level(root, key).map(|(_, value)| value)
}

/// The variables of `deploy.<profile>.env`, which PM2 puts below those of each app.
fn deploy_environment(root: &Value, options: &LoadOptions) -> Option<Environment> {
    let chosen = options.env_name.as_ref()?;
    let variables = beside_apps(root, "deploy")?.get(chosen)?.get("env")?;
    variables.as_object().map(env::variables)
}

/// The apps that `only` names.
struct Choice<'o> {
    wanted: &'o [String],
    seen: Vec<bool>,
}

impl<'o> Choice<'o> {
    fn new(wanted: &'o [String]) -> Choice<'o> {
        Choice { wanted, seen: vec![false; wanted.len()] }
    }

    /// Whether the app is wanted, by the name in the file, by its whole name or by its unit.
    fn takes(&mut self, raw: &Map<String, Value>, spec: &AppSpec) -> bool {
        let written = raw.get("name").and_then(Value::as_str);
        let mut taken = self.wanted.is_empty();
        for (name, seen) in self.wanted.iter().zip(&mut self.seen) {
            if *name == spec.name || written == Some(name) || *name == spec.namespace {
                *seen = true;
                taken = true;
            }
        }
        taken
    }

    fn unknown(self) -> Vec<String> {
        self.wanted.iter().zip(self.seen).filter(|(_, seen)| !seen).map(|(name, _)| name.clone()).collect()
    }
}
