//! Whole process files: read, evaluated, their apps normalised and compared.

use crate::clj::settings::{self, Setting};
use crate::declare::{self, Item};
use crate::directory::Skipped;
use crate::error::{ConfigError, FailedEvaluation, Place, Position, Warning, excerpt};
use crate::js::exports;
use crate::js::{self, Evaluated, Exported, JsError, JsOptions, Source, Trace, Undefined};
use crate::made::Made;
use crate::options::{LoadOptions, ProfileIn};
use crate::part::{Part, finish};
use crate::position::Format;
use crate::search::Search;
use crate::sources::{self, Sources};
use crate::{company, duplicates, toml, yaml};
use baton_core::spec::{AppSpec, External, Origin};
use indexmap::IndexSet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The apps of a process file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// In the order of the file; those of `only`, where that is given.
    pub apps: Vec<AppSpec>,
    /// What is worth saying, each once.
    pub warnings: Vec<Warning>,
    /// Whether the files define no app at all, chosen or not.
    pub is_empty: bool,
    /// Every file that was read, the process file first, absolute, each once. Files of variables that exist are among
    /// them, although they are read when an app starts.
    pub inputs: Vec<PathBuf>,
    /// Other paths that were looked for, found or not: the coming or going of one may change the result. Sorted.
    pub looked_for: Vec<PathBuf>,
    /// Directories that were listed: what comes into one or goes from it may change the result. Sorted.
    pub directories: Vec<PathBuf>,
    /// Names of `only` that the file does not have.
    pub unknown_only: Vec<String>,
    /// What the file printed, for the caller's stderr.
    pub console: Vec<u8>,
    /// Of a directory of process files, what is left aside and why.
    pub skipped: Vec<Skipped>,
    /// The command that the file gives for missing scripts (`on_missing` beside its apps).
    pub on_missing: Option<String>,
    /// Whether one of the files says that `sync` may remove apps that are not there any more (`prune` beside its apps).
    pub prune: bool,
    /// What `sync` makes before it reads the files, and after that.
    pub made: Made,
    /// What others run, as the files declare it.
    pub externals: Vec<External>,
    /// Names of the apps that are there only because others need them.
    pub brought: Vec<String>,
    /// Where the dependencies of each app are written, by its name.
    pub depends: BTreeMap<String, Place>,
}

/// The apps of a target before anything comes with them.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// Those that are wanted.
    pub(crate) loaded: Loaded,
    /// The others of its files.
    pub(crate) rest: Vec<AppSpec>,
}

/// A process file evaluated and nothing more.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    /// What it exports, as JSON.
    pub value: Value,
    /// The same as text, where it holds halves of surrogate pairs, which `value` cannot, and nothing was changed in it.
    pub exact: Option<String>,
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
    pub(crate) looked_for: Vec<PathBuf>,
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) console: Vec<u8>,
    /// The export as `JSON.stringify` writes it, where `root` cannot hold all of it.
    pub(crate) exact: Option<String>,
    /// The text and its format, where the format tells positions.
    pub(crate) text: Option<(Format, String)>,
    pub(crate) notes: Vec<Warning>,
    /// Lists of apps of the modules behind it.
    pub(crate) exported: Vec<Exported>,
    /// What the variables of apps are made of that helpers made.
    pub(crate) traces: Vec<Trace>,
}

/// Reads a process file of any format; a directory stands for its `ecosystem.config.*`, for its `index.*`, or for all
/// process files in it. A relative path starts from the
/// caller's directory. The file is evaluated in this process, within the limits of the options.
///
/// # Errors
/// When the file is missing or unreadable, its format unknown or its syntax wrong, when it fails or exceeds a limit, when
/// it holds no apps, and when an app is wrong: see [`ConfigError`].
pub fn load(file: &Path, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    load_all(&[file.to_owned()], options)
}

/// Reads several process files, directories and patterns of files as one source. What is named twice is read once;
/// apps of one name are one when they are equal.
///
/// # Errors
/// As [`load`]; when a pattern matches no process file, and when two files define an app differently.
pub fn load_all(files: &[PathBuf], options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let (found, paths) = target(files, options)?;
    company::complete(found, &paths, options)
}

/// The apps of a target by themselves, and its process files.
pub(crate) fn target(files: &[PathBuf], options: &LoadOptions) -> Result<(Target, Vec<PathBuf>), ConfigError> {
    let Sources { exports, skipped, looked_for, directories, warnings } = sources::read(files, options)?;
    let paths = exports.iter().map(|(path, _)| path.clone()).collect();
    let mut parts = exports
        .into_iter()
        .map(|(path, export)| Part::new(path, export))
        .collect::<Result<Vec<Part>, ConfigError>>()?;
    // Of several files one may have the chosen profile and another none.
    let chosen = options.profile.as_deref();
    let somewhere = chosen.is_some_and(|chosen| {
        options.profile_in == ProfileIn::Any
            || parts.iter().any(|part| part.is_clojure() || declare::has_profile(&part.export.root, chosen))
    });
    for part in &mut parts {
        // That of a Clojure file was applied where it was evaluated.
        let has_it =
            |chosen: &&str| !part.is_clojure() && (!somewhere || declare::has_profile(&part.export.root, chosen));
        let chosen = chosen.filter(has_it);
        part.declare(chosen)?;
    }
    settle(&mut parts, options)?;
    let mut all: Option<Target> = None;
    for part in parts {
        let found = finish(part, options)?;
        all = Some(match all {
            None => found,
            Some(first) => {
                let rest = first.rest.into_iter().chain(found.rest).collect();
                Target { loaded: first.loaded.joined(found.loaded)?, rest }
            }
        });
    }
    let mut all = all.unwrap_or_default();
    let loaded = &mut all.loaded;
    loaded.skipped = skipped;
    loaded.warnings.splice(0..0, warnings);
    loaded.looked_for.extend(looked_for);
    loaded.directories.extend(directories);
    Ok((all, paths))
}

/// Carries out the settings of the command line that are about apps, over those of all files: each app of that name.
fn settle(parts: &mut [Part], options: &LoadOptions) -> Result<(), ConfigError> {
    let set = options.set.iter().map(|one| (Some(one.as_str()), None));
    let unset = options.unset.iter().map(|one| (None, Some(one.as_str())));
    for (set, unset) in set.chain(unset) {
        let names: Vec<Vec<String>> = parts.iter().flat_map(|part| part.items.iter().map(Item::names)).collect();
        let Some((meant, setting)) = settings::of_apps(&names, set, unset).map_err(ConfigError::Choice)? else {
            continue;
        };
        let mut at = 0;
        for part in parts.iter_mut() {
            part.items.retain_mut(|item| {
                let is_meant = meant.contains(&at);
                at += 1;
                if is_meant {
                    item.change(&Origin::Setting, |app| setting.apply(app));
                }
                !(is_meant && setting == Setting::Remove)
            });
        }
    }
    Ok(())
}

impl Loaded {
    /// The apps of two files of one source. Apps of one name are one, or a mistake.
    fn joined(mut self, other: Loaded) -> Result<Loaded, ConfigError> {
        self.apps.extend(other.apps);
        self.inputs.extend(other.inputs);
        let inputs = &self.inputs;
        // Each of them is the first of its name in its own file.
        let place_of = |app: &AppSpec, nth: usize| {
            let own = [PathBuf::from(&app.source.file)];
            let names = [app.name.clone()];
            let found = Search { inputs: &own }.app(&names, 0, None);
            found.or_else(|| Search { inputs }.app(&names, nth, None)).unwrap_or_else(|| duplicates::file_of(app))
        };
        let (apps, told) = duplicates::merge(self.apps, place_of)?;
        self.apps = apps;
        self.is_empty &= other.is_empty;
        self.warnings.extend(told);
        self.warnings.extend(other.warnings);
        self.looked_for.extend(other.looked_for);
        self.directories.extend(other.directories);
        self.unknown_only.retain(|name| other.unknown_only.contains(name));
        self.console.extend(other.console);
        self.on_missing = self.on_missing.or(other.on_missing);
        self.prune |= other.prune;
        self.made.extend(other.made);
        self.externals.extend(other.externals);
        self.brought.extend(other.brought);
        self.depends.extend(other.depends);
        Ok(self)
    }

    /// Each path once, in an order that does not depend on who looked first.
    pub(crate) fn tidy(&mut self) {
        let mut inputs: IndexSet<PathBuf> = std::mem::take(&mut self.inputs).into_iter().collect();
        for file in self.apps.iter().flat_map(|app| &app.env_file).map(PathBuf::from) {
            if file.is_file() {
                inputs.insert(file);
            } else {
                self.looked_for.push(file);
            }
        }
        self.looked_for.retain(|path| !inputs.contains(path));
        self.inputs = inputs.into_iter().collect();
        // Two files may have the same to say.
        let warnings = std::mem::take(&mut self.warnings);
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        for list in [&mut self.looked_for, &mut self.directories] {
            list.sort();
            list.dedup();
        }
    }
}

/// Evaluates process files and gives the export as it is; of several files one list of apps.
///
/// # Errors
/// As [`load`], but for what is wrong with apps.
pub fn evaluate(files: &[PathBuf], options: &LoadOptions) -> Result<Raw, ConfigError> {
    let mut exports = sources::read(files, options)?.exports;
    let mut roots: Vec<&mut Value> = exports.iter_mut().map(|(_, export)| &mut export.root).collect();
    let apps = |all: &[String]| all.iter().filter(|one| one.starts_with(settings::APPS)).cloned().collect::<Vec<_>>();
    settings::adjust(&mut roots, &apps(&options.set), &apps(&options.unset)).map_err(ConfigError::Choice)?;
    if let [_] = exports[..]
        && let Some((_, export)) = exports.pop()
    {
        let exact = export.exact.filter(|_| options.set.is_empty() && options.unset.is_empty());
        return Ok(Raw { value: export.root, exact, console: export.console, warnings: export.notes });
    }
    let mut all = Raw { value: Value::Null, exact: None, console: Vec::new(), warnings: Vec::new() };
    let mut apps = Vec::new();
    for (path, export) in exports {
        let place = Place::file(&path);
        let found =
            exports::apps(&export.root).map_err(|wrong| ConfigError::Shape { place, what: wrong.to_string() })?;
        apps.extend(found.into_iter().cloned().map(Value::Object));
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
    Ok(Raw { value: export.root, exact: export.exact, console: export.console, warnings: export.notes })
}

/// Reads a JSON text that came through standard input, in PM2's loose form.
///
/// # Errors
/// As [`load`].
pub fn load_stdin_json(text: &str, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let path = Path::new("stdin");
    let mut export = json(path, text.to_owned(), options)?;
    settings::adjust_top(&mut [&mut export.root], &options.set, &options.unset).map_err(ConfigError::Choice)?;
    let mut parts = [Part::new(path.into(), export)?];
    parts[0].declare(options.profile.as_deref())?;
    settle(&mut parts, options)?;
    let [part] = parts;
    let mut loaded = company::complete(finish(part, options)?, &[], options)?;
    loaded.inputs.clear();
    loaded.tidy();
    for app in &mut loaded.apps {
        app.source.file.clear();
    }
    Ok(loaded)
}

/// Evaluates one process file.
pub(crate) fn export(path: &Path, options: &LoadOptions) -> Result<Export, ConfigError> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    match &*extension {
        "json" => json(path, read(path, options)?, options),
        "yaml" | "yml" => {
            let text = read(path, options)?;
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
            let text = read(path, options)?;
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
        "" => json(path, read(path, options)?, options),
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
            looked_for: Vec::new(),
            directories: Vec::new(),
            console: Vec::new(),
            exact: None,
            text: None,
            notes: Vec::new(),
            exported: Vec::new(),
            traces: Vec::new(),
        }
    }
}

fn read(path: &Path, options: &LoadOptions) -> Result<String, ConfigError> {
    if let Some(text) = options.texts.get(path) {
        return Ok(text.clone());
    }
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
        Err(_) => run(path, Source::Expression(text.clone()), options).map_err(|wrong| unwrapped(wrong, path, &text)),
    }
}

/// The loose form is read as an expression in parentheses: a complaint about those is one about the end of the text.
fn unwrapped(wrong: ConfigError, path: &Path, text: &str) -> ConfigError {
    let ConfigError::Evaluation(mut failed) = wrong else { return wrong };
    let own = failed.place.as_ref().is_some_and(|place| place.file.as_deref().is_none_or(|file| file.ends_with(path)));
    let line = failed.place.as_ref().and_then(|place| place.position).map_or(0, |at| at.line);
    let whole = text.trim_end();
    let lines = whole.lines().count();
    if own && line > lines {
        let column = whole.lines().last().map_or(1, |last| last.chars().count() + 1);
        let position = Position { line: lines, column };
        return ConfigError::Syntax {
            place: Place { file: failed.place.and_then(|place| place.file), position: Some(position) },
            what: "JSON syntax: the text ends before every brace, bracket and quote is closed".into(),
            excerpt: excerpt(text, position),
        };
    }
    if own && failed.what.contains("')'") {
        failed.what = "SyntaxError: a comma is missing, or there is more text behind the value".into();
    }
    ConfigError::Evaluation(failed)
}

fn run(path: &Path, source: Source, options: &LoadOptions) -> Result<Export, ConfigError> {
    let js_options = JsOptions {
        env: options.evaluation_env(),
        cwd: options.caller_cwd.clone(),
        argv: Vec::new(),
        limits: options.limits,
    };
    let done = js::load_with(options.loader, path, source, &js_options, &options.texts)
        .map_err(|failed| failure(path, failed))?;
    let mut notes: Vec<Warning> = Vec::new();
    notes.extend(done.note.map(|note| Warning::new(format!("{}: {note}", Place::file(path)))));
    notes.extend(undefined(path, &done.undefined));
    let Evaluated { value: root, exact, inputs, looked_for, directories, console, exported, traces, .. } = done;
    Ok(Export { root, exact, inputs, looked_for, directories, console, text: None, notes, exported, traces })
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

pub(crate) fn failure(path: &Path, failed: JsError) -> ConfigError {
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
        inputs: failed.inputs,
    }))
}
