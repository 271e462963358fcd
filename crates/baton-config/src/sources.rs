//! The files that start targets mean, each evaluated: files, those of directories, and those that a pattern matches.

use crate::clj::{self, CljError, CljOptions, settings};
use crate::declare::changed;
use crate::directory::{self, Directory, Skipped};
use crate::error::{ConfigError, FailedEvaluation, Place, Warning};
use crate::js::Trace;
use crate::load::{Export, export};
use crate::options::LoadOptions;
use crate::part::has_apps;
use crate::{env, glob, target};
use baton_core::spec::Origin;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What the targets mean together.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Each process file with its export, in order.
    pub(crate) exports: Vec<(PathBuf, Export)>,
    /// What directories leave aside.
    pub(crate) skipped: Vec<Skipped>,
    /// What was looked for to find the files.
    pub(crate) looked_for: Vec<PathBuf>,
    /// The directories that were listed for that.
    pub(crate) directories: Vec<PathBuf>,
    /// What is worth saying.
    pub(crate) warnings: Vec<Warning>,
}

/// The files of a source before they are read.
#[derive(Default)]
struct Found {
    files: Vec<File>,
    sources: Sources,
}

/// One of them.
struct File {
    path: PathBuf,
    how: How,
}

/// How a file came into a source.
enum How {
    /// By its own name, or by that of its directory.
    Named,
    /// As one of those of a directory or a pattern.
    Among,
    /// As the index of a directory, with the other process files there.
    Index(Vec<PathBuf>),
}

/// Evaluates the process files of targets, and applies the settings of the command line that are not about apps.
pub(crate) fn read(targets: &[PathBuf], options: &LoadOptions) -> Result<Sources, ConfigError> {
    let mut found = Found::default();
    for target in targets {
        found.look(target, options)?;
    }
    let Found { files, mut sources } = found;
    let order: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    // Files of Clojure that stand side by side share one registry; an index says by itself what is active.
    let shares = |file: &File| directory::is_clojure(&file.path) && !matches!(file.how, How::Index(_));
    let together =
        files.iter().filter(|file| shares(file)).count() > 1 || files.iter().any(|file| matches!(file.how, How::Among));
    let (clojure, others): (Vec<File>, Vec<File>) = files.into_iter().partition(|file| together && shares(file));
    if !clojure.is_empty() {
        let paths: Vec<PathBuf> = clojure.iter().map(|file| file.path.clone()).collect();
        let (parts, empty) = clojure_files(&paths, options)?;
        sources.exports.extend(parts);
        for path in empty {
            let named = clojure.iter().any(|file| file.path == path && matches!(file.how, How::Named));
            if named {
                sources.warnings.push(Warning::new(format!("{}: it defines no apps", Place::file(&path))));
            }
            sources.skipped.push(Skipped { path, why: "it defines no apps" });
        }
    }
    let exports = side_by_side(&others, |file| export(&file.path, options));
    for (File { path, how }, whole) in others.into_iter().zip(exports) {
        let whole = whole?;
        // A helper or data beside the process files, in a directory where any name may be one.
        if matches!(how, How::Among) && !directory::says_so_by_name(&path) && !has_apps(&whole.root) {
            sources.skipped.push(Skipped { path, why: "it defines no apps" });
            continue;
        }
        if let How::Index(beside) = how {
            let idle = beside.into_iter().filter(|file| !whole.inputs.contains(file));
            sources.skipped.extend(idle.map(|path| Skipped { path, why: "the index does not load it" }));
        }
        sources.exports.push((path, whole));
    }
    if sources.exports.is_empty() {
        let place = targets.first().map(|first| Place::file(&target::resolve(&options.caller_cwd, first)));
        let what = "no process file in it defines apps".into();
        return Err(ConfigError::Shape { place: place.unwrap_or_default(), what });
    }
    sources.exports.sort_by_key(|(path, _)| order.iter().position(|known| known == path));
    sources.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    settled(sources, options)
}

/// The process files that targets mean, unread.
///
/// # Errors
/// When there are none.
pub(crate) fn files(targets: &[PathBuf], options: &LoadOptions) -> Result<Vec<PathBuf>, ConfigError> {
    let mut found = Found::default();
    for target in targets {
        found.look(target, options)?;
    }
    Ok(found.files.into_iter().map(|file| file.path).collect())
}

impl Found {
    /// The files that one target means.
    fn look(&mut self, target: &Path, options: &LoadOptions) -> Result<(), ConfigError> {
        let path = target::resolve(&options.caller_cwd, target);
        if path.is_dir() {
            let (default, missing) = target::look_for_default(&path);
            self.sources.looked_for.extend(missing);
            match default {
                Some(default) => self.add(default, How::Named),
                None if directory::is_source(&path, directory::Reading::Path) => self.look_into(&path)?,
                None => {
                    let held = directory::names(&path);
                    return Err(ConfigError::NoneInDirectory { directory: path, held });
                }
            }
            return Ok(());
        }
        let text = target.to_string_lossy();
        if path.exists() || options.texts.contains_key(&path) {
            self.add(path, How::Named);
        } else if glob::is_pattern(&text) {
            let listed = &mut self.sources.directories;
            let mut files = glob::files(&text, &options.caller_cwd, |directory| listed.push(directory.to_owned()));
            let matched = files.len();
            files.retain(|file| target::is_process_file(file));
            if files.is_empty() {
                return Err(ConfigError::NoMatch { pattern: text.into_owned(), matched });
            }
            for file in files {
                self.add(file, How::Among);
            }
        } else {
            return Err(ConfigError::FileNotFound(target.display().to_string()));
        }
        Ok(())
    }

    fn look_into(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |reason| ConfigError::Unreadable { path: path.into(), reason };
        let Directory { index, files, skipped, listed } =
            directory::read(path, directory::Reading::Path).map_err(unreadable)?;
        self.sources.skipped.extend(skipped);
        self.sources.directories.extend(listed);
        match index {
            Some(index) => self.add(index, How::Index(files)),
            None => files.into_iter().for_each(|file| self.add(file, How::Among)),
        }
        Ok(())
    }

    /// A file that two targets mean is read once.
    fn add(&mut self, path: PathBuf, how: How) {
        let same = |known: &File| known.path == path || same_file(&known.path, &path);
        if !self.files.iter().any(same) {
            self.files.push(File { path, how });
        }
    }
}

/// Does the same with each of several, as many at a time as there are processors; the results in order.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    if workers < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let taken = std::iter::from_fn(|| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, work(item)))
        });
        taken.collect::<Vec<(usize, R)>>()
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn same_file(a: &Path, b: &Path) -> bool {
    a.file_name() == b.file_name() && matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Lays those of `--set` and `--unset` that are not about apps over what all files give together.
fn settled(mut sources: Sources, options: &LoadOptions) -> Result<Sources, ConfigError> {
    let is_library = |(file, _): &(PathBuf, Export)| directory::is_clojure(file);
    if let Some(entry) = options.entry.as_ref().filter(|_| !sources.exports.iter().any(is_library)) {
        return Err(ConfigError::Choice(format!("there is no entry `{entry}`: the process file is no library")));
    }
    let mut roots: Vec<&mut Value> = sources.exports.iter_mut().map(|(_, export)| &mut export.root).collect();
    settings::adjust_top(&mut roots, &options.set, &options.unset).map_err(ConfigError::Choice)?;
    Ok(sources)
}

/// One process file of Clojure.
pub(crate) fn clojure(path: &Path, options: &LoadOptions) -> Result<Export, ConfigError> {
    let done = clj::evaluate(path, &clojure_options(options)).map_err(|failed| failure(path, failed))?;
    let looked_for = done.absent;
    let traces = done.parts.first().map(|part| traces(part, options)).unwrap_or_default();
    Ok(Export { inputs: done.inputs, looked_for, console: done.console, traces, ..Export::of(path, done.value) })
}

type Parts = (Vec<(PathBuf, Export)>, Vec<PathBuf>);

/// What the profile gave to the variables of a file's apps.
fn traces(part: &clj::Part, options: &LoadOptions) -> Vec<Trace> {
    let (Some(bare), Some(profile)) = (&part.bare, &options.profile) else { return Vec::new() };
    let variables = |app: &Value| app.get("env").and_then(Value::as_object).map(env::variables).unwrap_or_default();
    let trace = |app: &Value| {
        let name = app.get("name")?.as_str()?;
        let before = clj::apps_in(bare).iter().find(|other| other.get("name").and_then(Value::as_str) == Some(name));
        let mut layers = Vec::new();
        changed(&mut layers, &Origin::App, &before.map(variables).unwrap_or_default());
        changed(&mut layers, &Origin::Profile(profile.clone()), &variables(app));
        let layers = layers.into_iter().map(|layer| (layer.origin, layer.env)).collect();
        Some(Trace { app: name.to_owned(), layers })
    };
    clj::apps_in(&part.value).iter().filter_map(trace).collect()
}

/// Several that share one registry. What they read and printed together belongs to the first.
fn clojure_files(paths: &[PathBuf], options: &LoadOptions) -> Result<Parts, ConfigError> {
    let whole = clj::evaluate_files(paths, &clojure_options(options)).map_err(|failed| {
        let file = failed.place.as_ref().and_then(|place| place.file.clone());
        failure(&file.unwrap_or_else(|| paths[0].clone()), failed)
    })?;
    let mut parts: Vec<(PathBuf, Export)> = Vec::with_capacity(whole.parts.len());
    for part in whole.parts {
        let export = Export { traces: traces(&part, options), ..Export::of(&part.file, part.value) };
        parts.push((part.file, export));
    }
    if let Some((file, first)) = parts.first_mut() {
        let file: &PathBuf = file;
        first.inputs =
            std::iter::once(file.clone()).chain(whole.inputs.into_iter().filter(|path| path != file)).collect();
        first.looked_for = whole.absent;
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
        mode_in: options.profile_in,
        texts: options.texts.clone(),
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
        inputs: failed.inputs,
    }))
}

#[cfg(test)]
mod tests {
    use super::side_by_side;

    #[test]
    fn results_are_in_the_order_of_what_they_are_of() {
        let numbers: Vec<usize> = (0..100).collect();
        assert_eq!(side_by_side(&numbers, |number| number * 2), (0..100).map(|number| number * 2).collect::<Vec<_>>());
        assert!(side_by_side(&[], |number: &usize| *number).is_empty());
    }
}
