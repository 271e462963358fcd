//! Process files written in JavaScript, evaluated by an embedded engine: no Node needed.
//!
//! The engine is QuickJS with Node's module systems and builtins of our own on top:
//!
//! * `engine`: one evaluation on a thread of its own, with a time and a memory limit;
//! * `module`: CommonJS and ES modules (`builtins/bootstrap.js` is the other half);
//! * [`crate::ts`]: types taken out of TypeScript, before anything else sees it;
//! * `resolve`: Node's look-up of a specifier, from path to `package.json` conditions;
//! * `natives`: what the builtins need from the system; everything with an effect is journalled;
//! * `builtins/`: one source per builtin, compiled when it is first required;
//! * `node`: the real Node, for what the engine lacks;
//! * `exports`: which of the shapes seen in the wild an export has, and the apps in it;

//!
//! The engine serves a user's own file that runs as that user. It limits accidents (endless loops, memory), it is
//! no security boundary.

mod engine;
mod errors;
pub mod exports;
mod lexer;
mod module;
mod natives;
mod node;

mod resolve;
mod state;

use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{env, ts};
use baton_core::spec::{Environment, Origin};
use serde_json::Value;

pub use errors::{JsError, JsErrorKind, Place};

/// Texts that are read instead of the files of these absolute paths.
pub type Texts = Arc<BTreeMap<PathBuf, String>>;

/// What to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file itself, as CommonJS or as an ES module.
    File,
    /// A text that stands for the file and is one JavaScript expression: PM2's loose JSON, with comments, single
    /// quotes, unquoted keys and trailing commas.
    Expression(String),
}

/// How far an evaluation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time until the evaluation is stopped; with Node its start is not counted.
    pub time: Duration,
    /// Bytes that the JavaScript heap may hold.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(5), memory: 256 << 20 }
    }
}

/// The world that the file sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsOptions {
    /// `process.env`: a copy, so an assignment in the file never reaches the caller.
    pub env: Environment,
    /// `process.cwd()`, and what relative paths given to `fs` start from. Absolute.
    pub cwd: PathBuf,
    /// `process.argv`; empty means the path of `node` alone.
    pub argv: Vec<String>,
    /// Time and memory limits.
    pub limits: Limits,
}

/// What a process file gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The export, after promises were awaited and functions called: what `JSON.stringify` makes of it in Node.
    pub value: Value,
    /// The same as text, where it holds halves of surrogate pairs: a [`Value`] cannot.
    pub exact: Option<String>,
    /// Every file read on the way, the process file first, in order, each once.
    pub inputs: Vec<PathBuf>,
    /// Paths that were only looked for, in vain or not: their coming or going would change the result.
    pub looked_for: Vec<PathBuf>,
    /// Directories that were listed.
    pub directories: Vec<PathBuf>,
    /// What the file printed, to stdout and stderr alike.
    pub console: Vec<u8>,
    /// Variables of apps that the file names without a value.
    pub undefined: Vec<Undefined>,
    /// Lists of apps that the modules behind the file export, each after those of the modules that it loads.
    pub exported: Vec<Exported>,
    /// What the variables of apps that the helpers made are made of.
    pub traces: Vec<Trace>,
    /// Why the real Node evaluated the file, where the loader chose it by itself.
    pub note: Option<String>,
}

/// A list of apps that a module exports which the process file loads: `{ apps: [...] }`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Exported {
    /// The module.
    #[serde(default)]
    pub file: PathBuf,
    /// What it exports as `external` beside it.
    #[serde(default)]
    pub external: Option<Value>,
    /// The text that the module exports as `name` beside it.
    pub name: Option<String>,
    /// The apps: the name of one as a text, one without a name as it is.
    pub apps: Vec<Value>,
}

/// What the variables of an app are made of that the helpers of `require("baton")` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Name of the app.
    pub app: String,
    /// Who gave what, lowest first.
    pub layers: Vec<(Origin, Environment)>,
}

impl Trace {
    /// Reads `[app, [[who, name, variables], …]]`, as `baton.js` tells it.
    fn read(told: &Value) -> Option<Trace> {
        let layer = |one: &Value| {
            let name = one.get(1)?.as_str()?.to_owned();
            let origin = match one.get(0)?.as_str()? {
                "helper" => Origin::Helper,
                "unit" => Origin::Unit(name),
                _ => Origin::App,
            };
            Some((origin, env::variables(one.get(2)?.as_object()?)))
        };
        let layers = told.get(1)?.as_array()?.iter().filter_map(layer).collect();
        Some(Trace { app: told.get(0)?.as_str()?.to_owned(), layers })
    }

    fn read_all(told: &Value) -> Vec<Trace> {
        told.as_array().into_iter().flatten().filter_map(Trace::read).collect()
    }
}

/// A variable of an app that is `undefined` in the export, and so is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Undefined {
    /// Name of the app, or its script; may be empty.
    pub app: String,
    /// `env`, or `env_<name>`.
    pub map: String,
    /// The variable.
    pub name: String,
}

/// Evaluates the process file at `path` in the embedded engine.
///
/// # Errors
/// Everything a file can do wrong: see [`JsErrorKind`].
pub fn evaluate(path: &Path, source: Source, options: &JsOptions) -> Result<Evaluated, JsError> {
    engine::run(path, source, options, Texts::default())
}

/// Who evaluates a JavaScript file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loader {
    /// The embedded engine only.
    Embedded,
    /// The real Node only.
    Node,
    /// The embedded engine; Node when the file needs what only Node has and running it a second time is safe.
    #[default]
    Auto,
}

/// Evaluates the process file at `path` with the given loader.
///
/// Node is second only for a call that the engine lacks, or for syntax that it does not read, and only while the file
/// has done nothing that cannot be undone. An exception, a missing package or a time-out would be no better in Node.
///
/// # Errors
/// As [`evaluate`]; [`JsErrorKind::Node`] when Node is missing or fails.
pub fn load(loader: Loader, path: &Path, source: Source, options: &JsOptions) -> Result<Evaluated, JsError> {
    load_with(loader, path, source, options, &Texts::default())
}

/// As [`load`], with texts that stand for files. Where there are some, no other loader than the embedded engine can
/// see them.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_with(
    loader: Loader,
    path: &Path,
    source: Source,
    options: &JsOptions,
    texts: &Texts,
) -> Result<Evaluated, JsError> {
    if !texts.is_empty() {
        return engine::run(path, source, options, texts.clone());
    }
    match loader {
        Loader::Embedded => evaluate(path, source, options),
        Loader::Node => node::run(path, source, options),
        Loader::Auto => {
            let first = match evaluate(path, source.clone(), options) {
                Err(first) if node::helps(&first, path, options) => first,
                settled => return settled,
            };
            match node::run(path, source, options) {
                Ok(evaluated) => Ok(Evaluated { note: Some(format!("evaluated by Node: {first}")), ..evaluated }),
                // Our own words have the column and the line; and an older Node reads no TypeScript at all.
                Err(_) if matches!(*first.kind, JsErrorKind::Syntax { .. }) || ts::is_typescript(path) => Err(first),
                Err(second) => Err(second),
            }
        }
    }
}

/// Puts U+FFFD for each half of a surrogate pair, which JSON text can hold and a Rust string cannot.
///
/// `JSON.stringify` escapes only halves that stand alone, so each escape of that range is one.
fn well_formed(json: &str) -> Cow<'_, str> {
    if !json.contains("\\ud") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let lone = escape.starts_with("\\ud") && escape.as_bytes().get(3).is_some_and(|digit| *digit > b'7');
        let length = if lone { 6 } else { 2 };
        out.push_str(if lone { "\\ufffd" } else { &escape[..length] });
        rest = &escape[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::well_formed;

    #[test]
    fn only_lone_halves_of_pairs_are_replaced() {
        assert_eq!(well_formed(r#""a\ud800 \\ud800 \u00e9 \\\udfff""#), r#""a\ufffd \\ud800 \u00e9 \\\ufffd""#);
        assert_eq!(well_formed(r#""plain""#), r#""plain""#);
    }
}
