//! Whole process files: read, evaluated, their apps normalised and compared.

use crate::directory::Skipped;
use crate::error::{ConfigError, FailedEvaluation, Place, Position, Warning};
use crate::js::exports::{self, ShapeError};
use crate::js::{self, Evaluated, Exported, JsError, JsOptions, Source, Undefined};
use crate::options::{Context, LoadOptions};
use crate::position::{Document, Format};
use crate::sources::{self, Sources};
use crate::{agents, declare, directory, duplicates, env, later, normalise, toml, yaml};
use baton_core::deps::{DependencyError, Graph};
use baton_core::spec::{AppSpec, Environment};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The apps of a process file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// In the order of the file; those of `only`, where that is given.
    pub apps: Vec<AppSpec>,
    /// What is worth saying, each once.
    pub warnings: Vec<Warning>,
    /// Every file that was read, the process file first.
    pub inputs: Vec<PathBuf>,
    /// Names of `only` that the file does not have.
    pub unknown_only: Vec<String>,
    /// What the file printed, for the caller's stderr.
    pub console: Vec<u8>,
    /// Of a directory of process files, what is left aside and why.
    pub skipped: Vec<Skipped>,
    /// The command that the file gives for missing scripts (`on_missing` beside its apps).
    pub on_missing: Option<String>,
}

/// A process file evaluated and nothing more.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    /// What it exports, as JSON.
    pub value: Value,
    /// What it printed, for the caller's stderr.
    pub console: Vec<u8>,
    /// What is worth saying.
    pub warnings: Vec<Warning>,
}

/// What was read of a file before its apps are looked at.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) root: Value,
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) console: Vec<u8>,
    /// The text and its format, where the format tells positions.
    pub(crate) text: Option<(Format, String)>,
    pub(crate) notes: Vec<Warning>,
    /// Lists of apps of the modules behind it.
    pub(crate) exported: Vec<Exported>,
}

/// Reads a process file of any format; a directory stands for its `ecosystem.config.*`, for its `index.*`, or for all
/// process files in it. A relative path starts from the
/// caller's directory. The file is evaluated in this process, within the limits of the options.
///
/// # Errors
/// When the file is missing or unreadable, its format unknown or its syntax wrong, when it fails or exceeds a limit, when
/// it holds no apps, and when an app is wrong: see [`ConfigError`].
pub fn load(file: &Path, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let Sources { exports, skipped } = sources::read(file, options)?;
    let mut all: Option<Loaded> = None;
    for (path, export) in exports {
        // The profile of a Clojure file was applied where it was evaluated.
        let settled = options.profile.is_some() && directory::is_clojure(&path);
        let loaded = match settled {
            true => finish(&path, export, &LoadOptions { profile: None, ..options.clone() })?,
            false => finish(&path, export, options)?,
        };
        all = Some(match all {
            None => loaded,
            Some(first) => first.joined(loaded)?,
        });
    }
    Ok(Loaded { skipped, ..all.unwrap_or_default() })
}

impl Loaded {
    /// The apps of two files of one source. Apps of one name are one, or a mistake.
    fn joined(mut self, other: Loaded) -> Result<Loaded, ConfigError> {
        self.apps.extend(other.apps);
        let (apps, told) = duplicates::merge(self.apps, duplicates::file_of)?;
        self.apps = apps;
        self.warnings.extend(told);
        self.warnings.extend(other.warnings);
        for input in other.inputs {
            if !self.inputs.contains(&input) {
                self.inputs.push(input);
            }
        }
        self.unknown_only.retain(|name| other.unknown_only.contains(name));
        self.console.extend(other.console);
        self.on_missing = self.on_missing.or(other.on_missing);
        Ok(self)
    }
}

/// Evaluates a process file, or those of a directory, and gives the export as it is; of several files one list of apps.
///
/// # Errors
/// As [`load`], but for what is wrong with apps.
pub fn evaluate(file: &Path, options: &LoadOptions) -> Result<Raw, ConfigError> {
    let mut exports = sources::read(file, options)?.exports;
    if let [_] = exports[..]
        && let Some((_, export)) = exports.pop()
    {
        return Ok(Raw { value: export.root, console: export.console, warnings: export.notes });
    }
    let mut all = Raw { value: Value::Null, console: Vec::new(), warnings: Vec::new() };
    let mut apps = Vec::new();
    for (path, export) in exports {
        let place = Place::file(&path);
        let found =
            exports::apps(export.root).map_err(|wrong| ConfigError::Shape { place, what: wrong.to_string() })?;
        apps.extend(found.into_iter().map(Value::Object));
        all.console.extend(export.console);
        all.warnings.extend(export.notes);
    }
    all.value = serde_json::json!({ "apps": apps });
    Ok(all)
}

/// Evaluates a JSON text that came through standard input and gives it as it is.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_stdin_json(text: &str, options: &LoadOptions) -> Result<Raw, ConfigError> {
    let export = json(Path::new("stdin"), text.to_owned(), options)?;
    Ok(Raw { value: export.root, console: export.console, warnings: export.notes })
}

/// Reads a JSON text that came through standard input, in PM2's loose form.
///
/// # Errors
/// As [`load`].
pub fn load_stdin_json(text: &str, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let path = Path::new("stdin");
    let mut loaded = finish(path, json(path, text.to_owned(), options)?, options)?;
    loaded.inputs.clear();
    for app in &mut loaded.apps {
        app.source.file.clear();
    }
    Ok(loaded)
}

/// Evaluates one process file.
pub(crate) fn export(path: &Path, options: &LoadOptions) -> Result<Export, ConfigError> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    match &*extension {
        "json" => json(path, read(path)?, options),
        "yaml" | "yml" => {
            let text = read(path)?;
            let root = yaml::read(path, &text)?;
            Ok(Export { text: Some((Format::Yaml, text)), ..Export::of(path, root) })
        }
        "js" | "cjs" | "mjs" | "ts" | "mts" | "cts" => run(path, Source::File, options),
        "tsx" | "jsx" => Err(ConfigError::Format {
            path: path.into(),
            what: "JSX is not read".into(),
            help: "a process file shows no page: name it .ts or .js",
        }),
        "toml" => {
            let text = read(path)?;
            let root = toml::read(path, &text)?;
            Ok(Export { text: Some((Format::Toml, text)), ..Export::of(path, root) })
        }
        "edn" | "clj" | "cljs" | "cljc" => sources::clojure(path, options),
        "coffee" => Err(ConfigError::Format {
            path: path.into(),
            what: "CoffeeScript is not read".into(),
            help: "compile it with `coffee -c` and name the .js file",
        }),
        // `ecosystem` and other names that say nothing: PM2's loose JSON.
        "" => json(path, read(path)?, options),
        other => Err(ConfigError::Format {
            path: path.into(),
            what: format!("`.{other}` is no format of process files"),
            help: "name it .js, .cjs, .mjs, .ts, .json, .yaml, .toml, .edn or .cljs",
        }),
    }
}

impl Export {
    /// A file that reads no other.
    pub(crate) fn of(path: &Path, root: Value) -> Export {
        Export {
            root,
            inputs: vec![path.into()],
            console: Vec::new(),
            text: None,
            notes: Vec::new(),
            exported: Vec::new(),
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason| ConfigError::Unreadable { path: path.into(), reason };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is not UTF-8 text")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Strict JSON first, as it is fast and knows positions; else PM2's loose form, which is a JavaScript expression.
fn json(path: &Path, text: String, options: &LoadOptions) -> Result<Export, ConfigError> {
    if text.trim().is_empty() {
        return Err(ConfigError::Syntax { place: Place::file(path), what: "it is empty".into(), excerpt: None });
    }
    match serde_json::from_str(&text) {
        Ok(root) => Ok(Export { text: Some((Format::Json, text)), ..Export::of(path, root) }),
        Err(_) => run(path, Source::Expression(text), options),
    }
}

fn run(path: &Path, source: Source, options: &LoadOptions) -> Result<Export, ConfigError> {
    let js_options = JsOptions {
        env: options.evaluation_env(),
        cwd: options.caller_cwd.clone(),
        argv: Vec::new(),
        limits: options.limits,
    };
    let done = js::load(options.loader, path, source, &js_options).map_err(|failed| failure(path, failed))?;
    let mut notes: Vec<Warning> = Vec::new();
    notes.extend(done.note.map(|note| Warning::new(format!("{}: {note}", Place::file(path)))));
    notes.extend(undefined(path, &done.undefined));
    let Evaluated { value: root, inputs, console, exported, .. } = done;
    Ok(Export { root, inputs, console, text: None, notes, exported })
}

/// One warning for all variables of all apps that have no value.
fn undefined(path: &Path, variables: &[Undefined]) -> Option<Warning> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for Undefined { app, map, name } in variables {
        let variable = format!("{map}.{name}");
        match found.iter_mut().find(|(known, _)| *known == variable) {
            Some((_, apps)) => apps.push(app),
            None => found.push((variable, vec![app])),
        }
    }
    let listed: Vec<String> = found.iter().map(|(name, apps)| format!("{name} ({})", apps.join(", "))).collect();
    let text = format!("{}: undefined and left out: {}", Place::file(path), listed.join(", "));
    (!listed.is_empty()).then(|| Warning::new(text))
}

fn failure(path: &Path, failed: JsError) -> ConfigError {
    let kind = &failed.kind;
    let place = kind.place().map(|at| Place::at(&at.file, at.line as usize, at.column as usize));
    let what = kind.to_string();
    // The position stands in front already.
    let prefix = kind.place().map(|at| format!("{at}: ")).unwrap_or_default();
    let what = what.strip_prefix(&prefix).unwrap_or(&what).to_owned();
    ConfigError::Evaluation(Box::new(FailedEvaluation {
        file: path.into(),
        place,
        what,
        excerpt: kind.excerpt().map(str::to_owned),
        help: kind.help(),
        console: failed.console,
    }))
}

/// Apps of an export: found, normalised, chosen, compared.
fn finish(path: &Path, export: Export, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let place = Place::file(path);
    let root = &export.root;
    let list = match exports::apps(root.clone()) {
        Err(ShapeError::NoApps) if declare::declares(root) => Vec::new(),
        found => found.map_err(|wrong| ConfigError::Shape { place: place.clone(), what: wrong.to_string() })?,
    };
    let document = export.text.as_ref().map(|(format, text)| Document { format: *format, text, root });
    let mut warnings = export.notes;
    let (mut items, told) =
        declare::apps(path, root, list, document.as_ref(), options, |failed| failure(path, failed))?;
    warnings.extend(told);
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
    let locate = |index: usize, key: Option<&str>| items.get(index)?.locate(document.as_ref()?, key);
    if beside_apps(root, "static").is_some() {
        warnings.push(Warning::new(format!("{place}: `static` is not available yet and is ignored")));
    }
    let deploy_env = deploy_environment(root, options);
    let mut chosen = Choice::new(&options.only);
    let mut apps = Vec::with_capacity(items.len());
    for (index, app) in items.iter().map(|item| &item.app).enumerate() {
        let context = Context { options, file: Some(path), index, deploy_env: deploy_env.as_ref() };
        let (spec, told) =
            normalise::app(app, &context).map_err(|wrong| placed(wrong, index, app, options, &locate))?;
        if chosen.takes(app, &spec) {
            warnings.extend(told);
            apps.push(spec);
        }
    }
    let place_of = |app: &AppSpec| Place { position: locate(app.source.index, None), ..place.clone() };
    let (apps, told) = duplicates::merge(apps, place_of)?;
    warnings.extend(told);
    warnings.extend(later::warnings(&apps, &place));
    // Names that the file does not have may be in the list; a circle within the file is wrong anywhere.
    if let Err(what) = Graph::of(&apps).acyclic(apps.iter().map(|app| app.name.as_str())) {
        let first = apps.iter().find(|app| matches!(&what, DependencyError::Cycle(path) if path.contains(&app.name)));
        let position = first.and_then(|app| locate(app.source.index, Some("depends_on")));
        return Err(ConfigError::Dependencies { place: Place { position, ..place }, what });
    }
    let mut each_once: Vec<Warning> = Vec::with_capacity(warnings.len());
    for warning in warnings {
        if !each_once.contains(&warning) {
            each_once.push(warning);
        }
    }
    Ok(Loaded {
        apps,
        warnings: each_once,
        inputs: export.inputs,
        unknown_only: chosen.unknown(),
        console: export.console,
        on_missing: beside_apps(root, "on_missing").and_then(Value::as_str).map(str::to_owned),
        skipped: Vec::new(),
    })
}

/// Adds the position of the key that an error is about.
fn placed(
    wrong: ConfigError,
    index: usize,
    app: &Map<String, Value>,
    options: &LoadOptions,
    locate: &impl Fn(usize, Option<&str>) -> Option<Position>,
) -> ConfigError {
    match wrong {
        ConfigError::Value(mut bad) => {
            // A value of the command line stands nowhere in the file.
            if options.overrides.fields.contains_key(&bad.key) {
                bad.place = Place::default();
            } else {
                bad.place.position = locate(index, Some(&bad.key));
            }
            ConfigError::Value(bad)
        }
        ConfigError::NoScript { mut place, app } => {
            place.position = locate(index, None);
            ConfigError::NoScript { place, app }
        }
        ConfigError::Interpreter { mut place, app: label, what, help } => {
            let key = ["exec_interpreter", "interpreter", "script"].into_iter().find(|key| app.contains_key(*key));
            place.position = locate(index, key);
            ConfigError::Interpreter { place, app: label, what, help }
        }
        other => other,
    }
}

/// A member that stands beside the apps, at the top or under `default` or `pm2`.
fn beside_apps<'v>(root: &'v Value, key: &str) -> Option<&'v Value> {
    [Some(root), root.get("default"), root.get("pm2")].into_iter().flatten().find_map(|level| level.get(key))
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
