//! What comes with the apps of a target: the `ecosystem.dependencies.*` beside it, files that `depends_on` names by
//! their path, and, where only some apps were chosen, what these need.

use crate::duplicates::{self, file_of};
use crate::error::{ConfigError, Place};
use crate::load::{Loaded, Target, target};
use crate::options::{CliOverrides, Dependencies, LoadOptions, ProfileIn};
use baton_core::deps::{DependencyError, Graph};
use baton_core::spec::{AppSpec, Condition, Dependency, External};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Extensions of a file of dependencies, in the order in which they are looked for.
const EXTENSIONS: &[&str] =
    &["js", "cjs", "mjs", "ts", "mts", "cts", "json", "yaml", "yml", "toml", "edn", "clj", "cljs"];

/// Whether a name in `depends_on` is the path of a process file: names of apps may hold slashes too.
pub(crate) fn is_path(on: &str) -> bool {
    on.starts_with("./") || on.starts_with("../") || on.starts_with('/') || matches!(on, "." | "..")
}

/// Adds to the apps of a target what comes with them, and says of each dependency what it means.
pub(crate) fn complete(target: Target, files: &[PathBuf], options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let Target { loaded, rest } = target;
    let mut company = Company { options, spare: rest, files: BTreeMap::new(), loaded };
    for file in files {
        let own = company.loaded.apps.iter().chain(&company.spare).filter(|app| Path::new(&app.source.file) == file);
        let names = own.map(|app| app.name.clone()).collect();
        company.files.insert(canonical(file), names);
    }
    if options.dependencies != Dependencies::Leave {
        for file in files.iter().filter(|_| options.dependencies == Dependencies::Bring) {
            if let Some(path) = company.beside(file) {
                company.take_beside(&path)?;
            }
        }
        while company.resolve_paths()? | company.bring_needed() {}
        company.merge()?;
    }
    let mut loaded = company.loaded;
    attach(&mut loaded)?;
    refuse_unattainable(&loaded)?;
    if !options.only.is_empty() {
        let needed: BTreeSet<&str> =
            loaded.apps.iter().flat_map(AppSpec::externals).map(|it| it.name.as_str()).collect();
        loaded.externals.retain(|external| needed.contains(external.name.as_str()));
    }
    loaded.tidy();
    Ok(loaded)
}

struct Company<'o> {
    options: &'o LoadOptions,
    loaded: Loaded,
    /// Apps that were read and that nobody has asked for yet.
    spare: Vec<AppSpec>,
    /// The names of the apps in each file that was read.
    files: BTreeMap<PathBuf, Vec<String>>,
}

impl Company<'_> {
    /// The file of dependencies beside a file of the target, when nothing has loaded it yet. What an index does not load
    /// is not active.
    fn beside(&self, file: &Path) -> Option<PathBuf> {
        if file.file_stem().is_some_and(|stem| stem == "index") {
            return None;
        }
        let directory = file.parent()?;
        let names = EXTENSIONS.iter().map(|extension| directory.join(format!("ecosystem.dependencies.{extension}")));
        let path = names.into_iter().find(|path| path.is_file())?;
        let known = canonical(&path);
        (!self.loaded.inputs.iter().any(|input| canonical(input) == known)).then_some(path)
    }

    fn take_beside(&mut self, path: &Path) -> Result<(), ConfigError> {
        let all = self.read(path)?;
        let wanted = |app: &AppSpec| {
            let only = &self.options.only;
            only.is_empty() || only.contains(&app.name) || only.contains(&app.namespace)
        };
        let names: BTreeSet<String> = self
            .spare
            .iter()
            .filter(|app| all.contains(&app.name) && wanted(app))
            .map(|app| app.name.clone())
            .collect();
        let units: BTreeSet<&str> = self.spare.iter().map(|app| app.namespace.as_str()).collect();
        self.loaded.unknown_only.retain(|name| !names.contains(name) && !units.contains(name.as_str()));
        self.bring(&names);
        Ok(())
    }

    /// Reads one more file: its apps are spare, and these are their names.
    fn read(&mut self, path: &Path) -> Result<Vec<String>, ConfigError> {
        // What the command line says is about the target; a profile is how the whole is to run.
        let options = LoadOptions {
            only: Vec::new(),
            set: Vec::new(),
            unset: Vec::new(),
            entry: None,
            profile_in: ProfileIn::Any,
            overrides: CliOverrides::default(),
            ..self.options.clone()
        };
        let (Target { loaded: other, .. }, _) = target(&[path.to_owned()], &options)?;
        let names: Vec<String> = other.apps.iter().map(|app| app.name.clone()).collect();
        self.files.insert(canonical(path), names.clone());
        self.spare.extend(other.apps);
        for warning in other.warnings {
            if !self.loaded.warnings.contains(&warning) {
                self.loaded.warnings.push(warning);
            }
        }
        self.loaded.console.extend(other.console);
        self.loaded.depends.extend(other.depends);
        for external in other.externals {
            if !self.loaded.externals.iter().any(|known| known.name == external.name) {
                self.loaded.externals.push(external);
            }
        }
        self.loaded.inputs.extend(other.inputs);
        self.loaded.looked_for.extend(other.looked_for);
        self.loaded.directories.extend(other.directories);
        Ok(names)
    }

    /// Puts the apps of a file in place of its path in `depends_on`; true when a file was read for that.
    fn resolve_paths(&mut self) -> Result<bool, ConfigError> {
        let named = |app: &AppSpec| {
            let paths = app.depends_on.iter().filter(|dependency| Path::new(&dependency.on).is_absolute());
            paths.map(|dependency| (app.name.clone(), PathBuf::from(&dependency.on))).collect::<Vec<_>>()
        };
        let open: Vec<(String, PathBuf)> = self.loaded.apps.iter().flat_map(named).collect();
        let mut read = false;
        for (app, path) in open {
            if self.files.contains_key(&canonical(&path)) {
                continue;
            }
            read = true;
            self.read(&path).map_err(|error| match error {
                ConfigError::FileNotFound(_) | ConfigError::NoneInDirectory { .. } => ConfigError::Declaration {
                    place: self.loaded.depends.get(&app).cloned().unwrap_or_default(),
                    what: format!("app `{app}` depends on {}, and there is no such process file", path.display()),
                    help: "write the path from the directory of the process file, or the name of an app".into(),
                },
                other => other,
            })?;
        }
        let files = &self.files;
        for app in &mut self.loaded.apps {
            app.depends_on = std::mem::take(&mut app.depends_on)
                .into_iter()
                .flat_map(|dependency| match files.get(&canonical(Path::new(&dependency.on))) {
                    Some(names) if Path::new(&dependency.on).is_absolute() => {
                        names.iter().map(|on| Dependency { on: on.clone(), ..dependency.clone() }).collect()
                    }
                    _ => vec![dependency],
                })
                .collect();
        }
        Ok(read)
    }

    /// Takes in the spare apps that the chosen ones need; true when there were any.
    fn bring_needed(&mut self) -> bool {
        if self.options.dependencies != Dependencies::Bring {
            return false;
        }
        let own: BTreeSet<String> = self.loaded.apps.iter().map(|app| app.name.clone()).collect();
        let all = Graph::of(self.loaded.apps.iter().chain(&self.spare));
        let needed = all.closure(own.iter().map(String::as_str));
        let names: BTreeSet<String> =
            needed.into_iter().filter(|name| !own.contains(*name)).map(str::to_owned).collect();
        self.bring(&names)
    }

    fn bring(&mut self, names: &BTreeSet<String>) -> bool {
        let (taken, spare): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.spare).into_iter().partition(|app| names.contains(&app.name));
        self.spare = spare;
        let some = !taken.is_empty();
        for app in taken {
            // The target's own definition of an app stands above that of another file.
            let own = self.loaded.apps.iter().any(|known| known.name == app.name);
            if !own || self.loaded.brought.contains(&app.name) {
                if !own {
                    self.loaded.brought.push(app.name.clone());
                }
                self.loaded.apps.push(app);
            }
        }
        some
    }

    /// One app of each name; what several files bring in different ways is a mistake.
    fn merge(&mut self) -> Result<(), ConfigError> {
        let (apps, _) = duplicates::merge(std::mem::take(&mut self.loaded.apps), |app, _| file_of(app))?;
        if let Err(what) = Graph::of(&apps).acyclic(apps.iter().map(|app| app.name.as_str())) {
            let in_it = |name: &&String| matches!(&what, DependencyError::Cycle(path) if path.contains(name));
            let place = self.loaded.depends.iter().find(|(name, _)| in_it(name)).map(|(_, place)| place.clone());
            return Err(ConfigError::Dependencies { place: place.unwrap_or_default(), what });
        }
        self.loaded.apps = apps;
        Ok(())
    }
}

/// Refuses conditions that can never hold, as the definitions of the files say. Names that they do not have may be in the
/// list.
fn refuse_unattainable(loaded: &Loaded) -> Result<(), ConfigError> {
    let graph = Graph::of(&loaded.apps);
    for app in &loaded.apps {
        graph.attainable(&app.name).map_err(|what| ConfigError::Dependencies {
            place: loaded.depends.get(&app.name).cloned().unwrap_or_else(|| file_of(app)),
            what,
        })?;
    }
    Ok(())
}

/// Says in the definitions which dependencies are external.
fn attach(loaded: &mut Loaded) -> Result<(), ConfigError> {
    let known: BTreeSet<String> = loaded.apps.iter().flat_map(|app| [&app.name, &app.namespace]).cloned().collect();
    let external = |on: &str| loaded.externals.iter().find(|external| external.name == on && !known.contains(on));
    for app in &mut loaded.apps {
        for dependency in &mut app.depends_on {
            let Some(found) = external(&dependency.on) else { continue };
            let given = &dependency.condition;
            if matches!(given, Condition::Exited | Condition::Log(_)) {
                return Err(ConfigError::Declaration {
                    place: loaded.depends.get(&app.name).cloned().unwrap_or_default(),
                    what: format!("app `{}` waits for `{given}` of `{}`, and others run that", app.name, found.name),
                    help: "write only its name: it is waited for until it is there".into(),
                });
            }
            *dependency = on_external(found, dependency);
        }
    }
    Ok(())
}

fn on_external(external: &External, dependency: &Dependency) -> Dependency {
    Dependency {
        on: external.name.clone(),
        condition: Condition::Ready,
        timeout: Some(dependency.timeout.unwrap_or(external.timeout)),
        external: Some(external.clone()),
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Refuses an external thing that is called like an app or a unit of its file: nobody could say which is meant.
pub(crate) fn refuse_two_meanings(externals: &[External], apps: &[&AppSpec], place: &Place) -> Result<(), ConfigError> {
    for external in externals {
        let kind = apps.iter().find_map(|app| match () {
            () if app.name == external.name => Some("an app"),
            () if app.namespace == external.name => Some("a unit"),
            () => None,
        });
        if let Some(kind) = kind {
            return Err(ConfigError::Declaration {
                place: place.clone(),
                what: format!("external `{}` is called like {kind}", external.name),
                help: "give one of them another name".into(),
            });
        }
    }
    Ok(())
}
