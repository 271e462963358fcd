//! What a process file declares beside a list of plain apps: `kind` of an app, `units`, `profiles` and `external`.
//!
//! * `units`: apps that a unit holds, and apps elsewhere in the file that it takes in by name;
//! * `external`: what others run and apps depend on;
//! * `profiles`: the chosen profile, and those it extends, put over the apps;
//! * `kind`, and what a unit gives to its apps, mean what the helpers of `require("baton")` do: those do the work.
//!
//! Profiles come before the helpers, so that a patch is what the app was given, not a change of what became of it.

mod externals;
mod layers;
mod profiles;
mod units;

pub(crate) use layers::changed;

use crate::error::{ConfigError, Place, Position, Warning};
use crate::js::{self, JsError, JsOptions, Source, Trace, exports};
use crate::keys::snake;
use crate::options::LoadOptions;
use crate::position::{Document, Step};
use crate::search::Search;
use baton_core::spec::{External, Layer, Origin as From};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The keys of apps that the helpers know as `kind`.
const KINDS: &[&str] = &["app", "node", "python"];

/// An app as it is declared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Its keys.
    pub(crate) app: Map<String, Value>,
    /// What its variables were made of, lowest first.
    pub(crate) layers: Vec<Layer>,
    origin: Origin,
    unit: Option<Membership>,
}

/// Where an app is written.
#[derive(Clone, Debug, PartialEq)]
enum Origin {
    /// In the list of apps, with its keys as they were written.
    Listed { index: usize, written: Map<String, Value> },
    /// Elsewhere.
    At(Way),
}

/// What a unit means for one app of it.
#[derive(Clone, Debug, PartialEq)]
struct Membership {
    unit: String,
    /// Goes before the app's name.
    prefix: String,
    /// `env`, `env_file` and `depends_on` of the unit.
    options: Map<String, Value>,
}

impl Item {
    fn new(origin: Origin, app: Map<String, Value>, unit: Option<Membership>, traces: &[Trace]) -> Item {
        let layers = layers::of(&app, traces);
        Item { app, layers, origin, unit }
    }

    fn listed(index: usize, app: Map<String, Value>, traces: &[Trace]) -> Item {
        Item::new(Origin::Listed { index, written: app.clone() }, app, None, traces)
    }

    /// Changes the app, and notes whose doing that is.
    pub(crate) fn change(&mut self, by: &From, change: impl FnOnce(&mut Map<String, Value>)) {
        change(&mut self.app);
        layers::changed(&mut self.layers, by, &layers::variables(&self.app));
    }

    /// The names that it goes by: as it is written, and with the prefix of its unit.
    pub(crate) fn names(&self) -> Vec<String> {
        let prefix = self.unit.as_ref().map_or("", |unit| &unit.prefix);
        let mut names: Vec<String> = self.name().into_iter().map(str::to_owned).collect();
        if !prefix.is_empty() {
            names.extend(self.name().map(|name| format!("{prefix}{name}")));
        }
        names
    }

    fn name(&self) -> Option<&str> {
        self.app.get("name").and_then(Value::as_str)
    }

    /// What the app's unit puts before its name.
    pub(crate) fn prefix(&self) -> &str {
        self.unit.as_ref().map_or("", |unit| &unit.prefix)
    }

    /// Whether a name of the file means this app: as it is written, or with the unit's prefix.
    fn is_called(&self, name: &str) -> bool {
        self.name().is_some_and(|own| own == name || name.strip_prefix(self.prefix()) == Some(own))
    }

    /// The names under which a program may have written it: the whole name, and without the prefix of its unit.
    pub(crate) fn searched(&self) -> Vec<String> {
        let mut names = self.names();
        let unit = self.app.get("namespace").and_then(Value::as_str);
        let inner = self.name().zip(unit).and_then(|(name, unit)| name.strip_prefix(unit)?.strip_prefix('_'));
        names.extend(inner.map(str::to_owned));
        names
    }

    /// The position of a key of the app, or of the app.
    pub(crate) fn locate(&self, document: &Document<'_>, key: Option<&str>) -> Option<Position> {
        match &self.origin {
            Origin::Listed { index, written } => document.locate(written, *index, key),
            Origin::At(way) => {
                let first = || document.at(way.steps())?.as_object()?.keys().next().map(String::as_str);
                let path: Vec<Step<'_>> = way.steps().chain(key.or_else(first).map(Step::Key)).collect();
                document.position(&path)
            }
        }
    }
}

/// The way from the root of a file to a value in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Way(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Key(String),
    Index(usize),
}

impl Way {
    fn key(&self, key: &str) -> Way {
        let mut longer = self.clone();
        longer.0.push(Part::Key(key.into()));
        longer
    }

    fn index(&self, index: usize) -> Way {
        let mut longer = self.clone();
        longer.0.push(Part::Index(index));
        longer
    }

    fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|part| match part {
            Part::Key(key) => Some(key.as_str()),
            Part::Index(_) => None,
        })
    }

    fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.0.iter().map(|part| match part {
            Part::Key(key) => Step::Key(key),
            Part::Index(index) => Step::Index(*index),
        })
    }
}

/// A declaration that makes no sense.
#[derive(Debug)]
struct Wrong {
    way: Way,
    what: String,
    help: String,
}

impl Wrong {
    fn new(way: &Way, what: impl Into<String>, help: impl Into<String>) -> Wrong {
        Wrong { way: way.clone(), what: what.into(), help: help.into() }
    }
}

/// Whether a file without a list of apps may still declare some.
pub(crate) fn declares(root: &Value) -> bool {
    ["units", "profiles", "external"].into_iter().any(|key| level(root, key).is_some())
}

/// What others run, as a file or a module of it declares. Command lines run in the directory of `path`.
///
/// # Errors
/// [`ConfigError::Declaration`] with the position of what is wrong.
pub(crate) fn externals(
    path: &Path,
    root: &Value,
    document: Option<&Document<'_>>,
) -> Result<(Vec<External>, Option<Warning>), ConfigError> {
    let misplaced = |wrong: Wrong| misplaced(wrong, &Place::file(path), document);
    match level(root, "external") {
        Some((way, Value::Object(entries))) => {
            let cwd = path.parent().unwrap_or(Path::new("/"));
            Ok((externals::read(&way, entries, cwd).map_err(misplaced)?, None))
        }
        Some((way, _)) => {
            let wrong = misplaced(Wrong::new(&way, "`external` is not a map", "write a map"));
            Ok((Vec::new(), Some(Warning::new(format!("{wrong}; it is ignored")))))
        }
        None => Ok((Vec::new(), None)),
    }
}

/// The error of a declaration in a file.
pub(crate) fn wrong(path: &Path, document: Option<&Document<'_>>, way: &Way, what: String, help: &str) -> ConfigError {
    misplaced(Wrong::new(way, what, help), &Place::file(path), document)
}

/// The error of a declaration, with its position where the format tells it.
fn misplaced(wrong: Wrong, place: &Place, document: Option<&Document<'_>>) -> ConfigError {
    let steps: Vec<Step<'_>> = wrong.way.steps().collect();
    let place = match document {
        Some(document) if !steps.is_empty() => Place { position: document.position(&steps), ..place.clone() },
        Some(_) | None => place.clone(),
    };
    ConfigError::Declaration { place, what: wrong.what, help: wrong.help }
}

/// Makes the apps of a file from its list and from what it declares beside that, with the chosen profile over them.
/// What their kinds and units mean is left to [`expand`].
///
/// # Errors
/// [`ConfigError::Declaration`].
pub(crate) fn apps(
    path: &Path,
    root: &Value,
    list: Vec<Map<String, Value>>,
    document: Option<&Document<'_>>,
    search: &Search<'_>,
    profile: Option<&str>,
    traces: &[Trace],
) -> Result<(Vec<Item>, Vec<Warning>), ConfigError> {
    let place = Place::file(path);
    let misplaced = |wrong: Wrong| match document {
        Some(_) => misplaced(wrong, &place, document),
        None => {
            let found = wrong.way.last_key().and_then(|key| search.key(key)).unwrap_or_else(|| place.clone());
            misplaced(wrong, &found, None)
        }
    };
    let mut items: Vec<Item> =
        list.into_iter().enumerate().map(|(index, app)| Item::listed(index, app, traces)).collect();
    let mut warnings = Vec::new();
    // A file that was written for PM2 may use these words for something of its own, which PM2 passes over.
    match level(root, "units") {
        Some((way, Value::Object(units))) => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            let told = units::apply(&way, units, &mut items, directory).map_err(misplaced)?;
            warnings.extend(told);
        }
        Some((way, _)) => {
            let wrong = misplaced(Wrong::new(&way, "`units` is not a map", "write a map"));
            warnings.push(Warning::new(format!("{wrong}; it is ignored")));
        }
        None => {}
    }
    let profiles = level(root, "profiles");
    let fit = profiles.as_ref().map_or(Ok(()), |(way, profiles)| profiles::check_all(way, profiles));
    match profile.filter(|chosen| *chosen != "default") {
        Some(chosen) => {
            fit.and_then(|()| profiles::apply(profiles, chosen, &mut items)).map_err(misplaced)?;
        }
        None => {
            if let Err(wrong) = fit {
                let wrong = misplaced(wrong);
                warnings.push(Warning::new(format!("{wrong}; it is ignored")));
            }
        }
    }
    Ok((items, warnings))
}

/// Whether a file has a profile of this name.
pub(crate) fn has_profile(root: &Value, name: &str) -> bool {
    level(root, "profiles").is_some_and(|(_, profiles)| profiles.get(name).is_some())
}

/// Lets the helpers make of the apps what their kinds and units mean.
///
/// # Errors
/// [`ConfigError::Declaration`], and [`ConfigError::Evaluation`] when a helper refuses what it is given.
pub(crate) fn expand(
    path: &Path,
    items: &mut [Item],
    document: Option<&Document<'_>>,
    search: &Search<'_>,
    options: &LoadOptions,
    failure: impl FnOnce(JsError) -> ConfigError,
) -> Result<Vec<Warning>, ConfigError> {
    let mut warnings = Vec::new();
    let place_of = |item: &Item, key: &str| {
        let own = Place::file(path);
        match document {
            Some(document) => {
                let position = item.locate(document, Some(key)).or_else(|| item.locate(document, None));
                Place { position, ..own }
            }
            None => search.app(&item.searched(), 0, Some(key)).unwrap_or(own),
        }
    };
    for item in items.iter_mut() {
        let told = check_kind(item).map_err(|(key, what, help)| {
            let place = place_of(item, key);
            ConfigError::Declaration { place, what, help }
        })?;
        if let Some(what) = told {
            warnings.push(Warning::new(format!("{}: {what}", place_of(item, "kind"))));
            item.app.remove("kind");
        }
    }
    if let Some((at, what, key)) = ask(path, items, options).map_err(failure)? {
        let item = &items[at];
        let app = item.name().map_or_else(|| "an app".into(), |name| format!("app `{name}`"));
        let (place, help) = (place_of(item, &key), format!("correct `{key}` of the app"));
        return Err(ConfigError::Declaration { place, what: format!("{app}: {what}"), help });
    }
    Ok(warnings)
}

/// A member of the root, or of what the root wraps, with the way to it.
pub(crate) fn level<'v>(root: &'v Value, key: &str) -> Option<(Way, &'v Value)> {
    let top = Way::default();
    let wrapped = ["default", "pm2"].into_iter().filter_map(|by| Some((top.key(by), root.get(by)?)));
    std::iter::once((top.clone(), root)).chain(wrapped).find_map(|(way, level)| {
        let (written, value) = spelled(level, key)?;
        Some((way.key(written), value))
    })
}

/// A member under this key in any spelling (`generate_from`, `generate-from`, `generateFrom`); `null` counts as none.
fn spelled<'v>(level: &'v Value, key: &str) -> Option<(&'v str, &'v Value)> {
    let given = || level.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let found =
        given().find(|(written, _)| *written == key).or_else(|| given().find(|(written, _)| snake(written) == key));
    found.map(|(written, value)| (written.as_str(), value))
}

/// What is wrong with the kind of an app: the key, the text, and what to do. An app that says what it runs may have a
/// kind of its own invention: the text of the warning, as for any unknown key.
fn check_kind(item: &Item) -> Result<Option<String>, (&'static str, String, String)> {
    let name = item.name();
    let app = name.map_or_else(|| "an app".into(), |name| format!("app `{name}`"));
    match item.app.get("kind") {
        None => {}
        Some(Value::String(kind)) if KINDS.contains(&kind.as_str()) => {}
        Some(other) if exports::is_app(&item.app) => {
            let near = other.as_str().and_then(|kind| {
                let apart = |known: &&&str| strsim::damerau_levenshtein(known, kind);
                KINDS.iter().min_by_key(apart).filter(|known| apart(known) <= 2)
            });
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let all = KINDS.join(", ");
            return Ok(Some(format!("{app}: kind {other} is not known and is ignored; there are {all}{near}")));
        }
        Some(other) => {
            return Err((
                "kind",
                format!("{app}: kind {other} is not known"),
                format!("write one of {}", KINDS.join(", ")),
            ));
        }
    }
    let needs_a_name = item.app.contains_key("kind") || item.unit.is_some();
    if needs_a_name && name.is_none_or(str::is_empty) {
        return Err(("name", "an app with a kind or in a unit has no name".into(), "write name: \"…\"".into()));
    }
    Ok(None)
}

/// Has the helpers carried out. What one refuses is given: which item, why, and the key that it is about.
fn ask(path: &Path, items: &mut [Item], options: &LoadOptions) -> Result<Option<(usize, String, String)>, JsError> {
    let meant = |item: &Item| item.app.contains_key("kind") || item.unit.is_some();
    let asked: Vec<Value> = items.iter().filter(|item| meant(item)).map(question).collect();
    if asked.is_empty() {
        return Ok(None);
    }
    // As a text, not as a literal: there a key `__proto__` would mean something else.
    let asked = Value::String(Value::Array(asked).to_string());
    let text = format!("import('node:baton').then((baton) => baton.default.expand(JSON.parse({asked})))");
    let js_options = JsOptions {
        env: options.evaluation_env(),
        cwd: options.caller_cwd.clone(),
        argv: Vec::new(),
        limits: options.limits,
    };
    let done = js::evaluate(path, Source::Expression(text), &js_options)?;
    let Value::Array(answers) = done.value else { return Ok(None) };
    for ((at, item), mut answer) in items.iter_mut().enumerate().filter(|(_, item)| meant(item)).zip(answers) {
        if let (Some(what), Some(key)) = (answer[1].as_str(), answer[2].as_str()) {
            return Ok(Some((at, what.to_owned(), key.to_owned())));
        }
        if let Value::Object(app) = answer[0].take() {
            item.layers = layers::expanded(&app, &done.traces, &item.layers);
            item.app = app;
        }
    }
    Ok(None)
}

fn question(item: &Item) -> Value {
    match &item.unit {
        None => json!({ "app": item.app }),
        Some(Membership { unit, prefix, options }) => {
            json!({ "app": item.app, "unit": unit, "prefix": prefix, "options": options })
        }
    }
}
