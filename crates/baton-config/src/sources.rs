//! The files that a start target means, each evaluated: one file, or those of a directory.

use crate::clj::{self, CljError, CljOptions, settings};
use crate::directory::{self, Directory, Skipped};
use crate::error::{ConfigError, FailedEvaluation, Place};
use crate::load::{Export, export};
use crate::options::LoadOptions;
use crate::target;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a target means.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Each process file with its export, in order.
    pub(crate) exports: Vec<(PathBuf, Export)>,
    /// What a directory leaves aside.
    pub(crate) skipped: Vec<Skipped>,
}

/// Evaluates the process files of a target, and applies the settings of the command line.
pub(crate) fn read(file: &Path, options: &LoadOptions) -> Result<Sources, ConfigError> {
    let mut path = target::resolve(&options.caller_cwd, file);
    if path.is_dir() {
        match target::find_default(&path) {
            Some(default) => path = default,
            None if directory::is_source(&path, directory::Reading::Path) => return read_directory(&path, options),
            None => path = path.join("ecosystem.config.js"),
        }
    }
    if !path.exists() {
        return Err(ConfigError::FileNotFound(file.display().to_string()));
    }
    let whole = export(&path, options)?;
    settled(Sources { exports: vec![(path, whole)], skipped: Vec::new() }, options)
}

fn read_directory(path: &Path, options: &LoadOptions) -> Result<Sources, ConfigError> {
    let unreadable = |reason| ConfigError::Unreadable { path: path.into(), reason };
    let Directory { index, files, mut skipped } =
        directory::read(path, directory::Reading::Path).map_err(unreadable)?;
    let mut exports = Vec::with_capacity(files.len());
    match index {
        Some(index) => {
            let whole = export(&index, options)?;
            let idle = files.into_iter().filter(|file| !whole.inputs.contains(file));
            skipped.extend(idle.map(|path| Skipped { path, why: "the index does not load it" }));
            exports.push((index, whole));
        }
        None => {
            // Files of Clojure share one registry; the others stand for themselves.
            let (clojure, others): (Vec<PathBuf>, Vec<PathBuf>) =
                files.into_iter().partition(|file| directory::is_clojure(file));
            if !clojure.is_empty() {
                let (parts, empty) = clojure_files(&clojure, options)?;
                exports.extend(parts);
                skipped.extend(empty.into_iter().map(|path| Skipped { path, why: "it defines no apps" }));
            }
            for file in others {
                let whole = export(&file, options)?;
                exports.push((file, whole));
            }
            exports.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
    }
    if exports.is_empty() {
        return Err(ConfigError::Shape { place: Place::file(path), what: "no process file in it defines apps".into() });
    }
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    settled(Sources { exports, skipped }, options)
}

/// Lays `--set` and `--unset` over what all files give together.
fn settled(mut sources: Sources, options: &LoadOptions) -> Result<Sources, ConfigError> {
    let is_library = |(file, _): &(PathBuf, Export)| directory::is_clojure(file);
    if let Some(entry) = options.entry.as_ref().filter(|_| !sources.exports.iter().any(is_library)) {
        return Err(ConfigError::Choice(format!("there is no entry `{entry}`: the process file is no library")));
    }
    if options.set.is_empty() && options.unset.is_empty() {
        return Ok(sources);
    }
    let mut roots: Vec<&mut Value> = sources.exports.iter_mut().map(|(_, export)| &mut export.root).collect();
    settings::adjust(&mut roots, &options.set, &options.unset).map_err(ConfigError::Choice)?;
    Ok(sources)
}

/// One process file of Clojure.
pub(crate) fn clojure(path: &Path, options: &LoadOptions) -> Result<Export, ConfigError> {
    let done = clj::evaluate(path, &clojure_options(options)).map_err(|failed| failure(path, failed))?;
    Ok(Export { inputs: done.inputs, console: done.console, ..Export::of(path, done.value) })
}

type Parts = (Vec<(PathBuf, Export)>, Vec<PathBuf>);

/// Several that share one registry. What they read and printed together belongs to the first.
fn clojure_files(paths: &[PathBuf], options: &LoadOptions) -> Result<Parts, ConfigError> {
    let whole = clj::evaluate_files(paths, &clojure_options(options)).map_err(|failed| {
        let file = failed.place.as_ref().and_then(|place| place.file.clone());
        failure(&file.unwrap_or_else(|| paths[0].clone()), failed)
    })?;
    let mut parts: Vec<(PathBuf, Export)> = Vec::with_capacity(whole.parts.len());
    for part in whole.parts {
        let export = Export::of(&part.file, part.value);
        parts.push((part.file, export));
    }
    if let Some((file, first)) = parts.first_mut() {
        let file: &PathBuf = file;
        first.inputs =
            std::iter::once(file.clone()).chain(whole.inputs.into_iter().filter(|path| path != file)).collect();
        first.console = whole.console;
    }
    Ok((parts, whole.skipped))
}

/// Settings are laid over all files at once, so they are not given to the evaluator.
fn clojure_options(options: &LoadOptions) -> CljOptions {
    CljOptions {
        env: options.evaluation_env(),
        cwd: options.caller_cwd.clone(),
        entry: options.entry.clone(),
        mode: options.profile.clone(),
        limits: clj::Limits { time: options.limits.time, ..clj::Limits::default() },
        ..CljOptions::default()
    }
}

fn failure(path: &Path, failed: CljError) -> ConfigError {
    ConfigError::Evaluation(Box::new(FailedEvaluation {
        file: path.into(),
        what: failed.kind.to_string(),
        help: failed.kind.help(),
        place: failed.place,
        excerpt: failed.excerpt.map(String::from),
        console: failed.console,
    }))
}
