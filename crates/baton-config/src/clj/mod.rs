//! Process files written in Clojure: EDN, and programs in the part of ClojureScript that such files use.
//!
//! Nothing is compiled and no JVM or Node runs; the libraries `clobber.macro` and `pm2-clj.dsl` are built in.
//!
//! * `reader` makes `form`s of text, `eval` makes `value`s of forms, `core` holds the functions, `dsl` the libraries;
//! * `files`: namespaces, `include`, `import`, and what a file yields;
//! * `settle`: entry and profile, then JSON; `settings`: `--set` and `--unset` over it.
//!
//! An evaluation does nothing but read files: it writes none, runs nothing and opens no connection.

mod core;
mod dsl;
mod error;
mod eval;
mod files;
mod form;
mod json;
mod numbers;
mod print;
mod reader;
pub(crate) mod settings;
mod settle;
mod value;

#[cfg(test)]
mod tests;

use crate::js::Texts;
use crate::options::ProfileIn;
use baton_core::spec::Environment;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{CljError, CljErrorKind};

/// Stack of the evaluating thread: enough for [`Limits::depth`] even without optimisation.
const STACK: usize = 64 << 20;

/// How far an evaluation may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time until it is stopped.
    pub time: Duration,
    /// Forms evaluated and members gone through, together.
    pub steps: u64,
    /// Calls within calls; at most the default, which is what the stack is made for.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { time: Duration::from_secs(5), steps: 5_000_000, depth: 2000 }
    }
}

/// The world that a file sees, and what the caller chooses of it.
#[derive(Clone, Debug, Default)]
pub struct CljOptions {
    /// What `env-var` and `js/process.env` read.
    pub env: Environment,
    /// The directory the caller is in: absolute.
    pub cwd: PathBuf,
    /// The entry of a library (`--entry`); `default` when none is given.
    pub entry: Option<String>,
    /// The profile to apply (`--mode`).
    pub mode: Option<String>,
    /// Whether a file must have it.
    pub mode_in: ProfileIn,
    /// Settings over the result, each `KEY=VALUE` (`--set`).
    pub set: Vec<String>,
    /// Keys taken out of the result (`--unset`).
    pub unset: Vec<String>,
    /// Time, steps and depth.
    pub limits: Limits,
    /// Texts that are read instead of the files of these paths.
    pub texts: Texts,
}

/// What process files gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The export: of one file as it is; of several a map with all their `apps`.
    pub value: Value,
    /// What each file gave, in the order of the files.
    pub parts: Vec<Part>,
    /// Every file read on the way, the process file first, in order, each once.
    pub inputs: Vec<PathBuf>,
    /// Files that were looked for and not found: their appearance may change the result.
    pub absent: Vec<PathBuf>,
    /// Of several files those that define no apps.
    pub skipped: Vec<PathBuf>,
    /// What the files printed.
    pub console: Vec<u8>,
}

/// What one of several files gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The file.
    pub file: PathBuf,
    /// Its export, without apps that an earlier file gave in the same way.
    pub value: Value,
    /// What it would be without the chosen profile, where it has that.
    pub bare: Option<Value>,
}

/// Evaluates the process file at `path`.
///
/// # Errors
/// Everything a file can do wrong: see [`CljErrorKind`].
pub fn evaluate(path: &Path, options: &CljOptions) -> Result<Evaluated, CljError> {
    evaluate_files(std::slice::from_ref(&path.to_owned()), options)
}

/// Evaluates several process files that share one registry: a file that another one requires counts once.
///
/// # Errors
/// As [`evaluate`]. Of several files, single ones may define no apps; they are named as skipped.
pub fn evaluate_files(paths: &[PathBuf], options: &CljOptions) -> Result<Evaluated, CljError> {
    let options = CljOptions {
        limits: Limits { depth: options.limits.depth.min(Limits::default().depth), ..options.limits },
        ..options.clone()
    };
    let paths = paths.to_vec();
    let work = move || run(&paths, options);
    let thread = std::thread::Builder::new().name("clojure".into()).stack_size(STACK).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => Err(CljError {
            kind: Box::new(CljErrorKind::Failed(format!("no thread can be started: {error}"))),
            place: None,
            excerpt: None,
            console: Vec::new(),
            inputs: Vec::new(),
        }),
    }
}

fn run(paths: &[PathBuf], options: CljOptions) -> Result<Evaluated, CljError> {
    let mut interp = eval::Interp::new(options);
    let result = gather(&mut interp, paths);
    let mut inputs: Vec<PathBuf> = Vec::new();
    for (path, _) in &interp.files {
        if !inputs.contains(path) {
            inputs.push(path.clone());
        }
    }
    match result {
        Ok((value, parts, skipped)) => {
            Ok(Evaluated { value, parts, inputs, absent: interp.absent, skipped, console: interp.console })
        }
        Err(escape) => {
            let (kind, place, excerpt) = error::leave(escape, &interp.files);
            let excerpt = excerpt.map(String::into_boxed_str);
            inputs.extend(interp.absent);
            Err(CljError { kind: Box::new(kind), place, excerpt, console: interp.console, inputs })
        }
    }
}

type Gathered = (Value, Vec<Part>, Vec<PathBuf>);

fn gather(interp: &mut eval::Interp, paths: &[PathBuf]) -> error::Eval<Gathered> {
    let (mut files, mut values, mut bares, mut skipped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut met = settle::Met::default();
    for path in paths {
        // Another of the files has required it, and its apps came with that one.
        if interp.loaded.contains_key(path) {
            continue;
        }
        let (apps, profiles) = (interp.run.apps.len(), interp.run.profiles.len());
        (interp.run.exports, interp.run.ecosystem) = (None, None);
        interp.run.values.clear();
        interp.evaluate_file(path)?;
        match interp.outcome(apps, profiles)? {
            None if paths.len() == 1 => return Err(CljErrorKind::Nothing.into()),
            None => skipped.push(path.clone()),
            Some(yielded) => {
                let (mut value, bare) = interp.settle(yielded, &mut met)?;
                without_earlier(&mut value, &values);
                files.push(path.clone());
                values.push(value);
                bares.push(bare);
            }
        }
    }
    let options = &interp.options;
    let mode = options.mode.as_deref().filter(|_| options.mode_in == ProfileIn::Some);
    if let Some(unmet) = settle::unmet(options.entry.as_deref(), mode, &met) {
        return Err(unmet.into());
    }
    let mut roots: Vec<&mut Value> = values.iter_mut().collect();
    settings::adjust(&mut roots, &options.set, &options.unset).map_err(CljErrorKind::Choice)?;
    let whole = match &values[..] {
        [one] if paths.len() == 1 => one.clone(),
        several => {
            let apps: Vec<Value> = several.iter().flat_map(apps_in).cloned().collect();
            Value::Object(Map::from_iter([("apps".to_owned(), Value::Array(apps))]))
        }
    };
    let parts = files.into_iter().zip(values).zip(bares);
    let parts = parts.map(|((file, value), bare)| Part { file, value, bare }).collect();
    Ok((whole, parts, skipped))
}

pub(crate) fn apps_in(value: &Value) -> &[Value] {
    let list = match value {
        Value::Array(list) => Some(list),
        other => other.get("apps").and_then(Value::as_array),
    };
    list.map_or(&[], Vec::as_slice)
}

/// `(ecosystem)` gives what all files registered: what an earlier file gave in the same way is not given again.
fn without_earlier(value: &mut Value, earlier: &[Value]) {
    if let Some(apps) = value.get_mut("apps").and_then(Value::as_array_mut) {
        apps.retain(|app| !earlier.iter().flat_map(apps_in).any(|other| other == app));
    }
}
