//! Files: evaluated whole, required as namespaces, included, imported.

use super::core;
use super::dsl::{clobber, proto};
use super::error::{CljErrorKind, Escape, Eval};
use super::eval::{Interp, Run, Scope};
use super::form::{Form, Kind, Span};
use super::reader::Reader;
use super::value::Value;
use crate::target;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Extensions of code, in the order in which a namespace is looked for.
const CODE: &[&str] = &["cljs", "cljc", "clj"];
/// What may be left out of a path given to `include` and `import`.
const ENDINGS: &[&str] = &["", ".cljs", ".cljc", ".clj", ".edn", ".pm2.cljs", ".pm2.clj", ".pm2.edn"];
/// Files that name the directories of namespaces, and the key under which they do.
const PROJECTS: &[(&str, &str)] = &[("shadow-cljs.edn", "source-paths"), ("deps.edn", "paths")];

impl Interp {
    /// The text of a file, noted as an input; its number goes into places.
    fn read(&mut self, path: &Path) -> Eval<u16> {
        let refused = |reason: String| CljErrorKind::Read { path: path.to_owned(), reason };
        let bytes = match self.options.texts.get(path) {
            Some(text) => text.clone().into_bytes(),
            None => std::fs::read(path).map_err(|error| refused(error.to_string()))?,
        };
        let text = String::from_utf8(bytes).map_err(|_| refused("the file is not UTF-8 text".into()))?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let number = u16::try_from(self.files.len()).map_err(|_| refused("too many files are loaded".into()))?;
        self.files.push((path.to_owned(), text));
        Ok(number)
    }

    /// Evaluates a file; its values are in the run. Gives the namespace that it ended in.
    pub(super) fn evaluate_file(&mut self, path: &Path) -> Eval<Rc<str>> {
        if let Some(at) = self.loading.iter().position(|open| open == path) {
            let chain: Vec<String> = self.loading[at..]
                .iter()
                .map(|path| path.display().to_string())
                .chain([path.display().to_string()])
                .collect();
            return Err(CljErrorKind::Cycle(format!("files load each other: {}", chain.join(" -> "))).into());
        }
        let number = self.read(path)?;
        let text = self.files[usize::from(number)].1.clone();
        // Without a name of its own a file gets one that no other file has.
        let own: Rc<str> = if number == 0 { "user".into() } else { format!("user.{number}").into() };
        let current = std::mem::replace(&mut self.current, own);
        let site = std::mem::replace(&mut self.site, Span { file: number, line: 1, column: 1 });
        self.loading.push(path.to_owned());
        let result = if path.extension().is_some_and(|extension| extension == "edn") {
            self.evaluate_data(&text, number)
        } else {
            self.evaluate_code(&text, number)
        };
        self.loading.pop();
        self.site = site;
        let ended = std::mem::replace(&mut self.current, current);
        result?;
        self.loaded.insert(path.to_owned(), ended.clone());
        Ok(ended)
    }

    /// One value, in which nothing is evaluated.
    fn evaluate_data(&mut self, text: &str, number: u16) -> Eval<()> {
        let mut reader = Reader::new(text, number);
        if let Some(form) = reader.next()? {
            let value = self.datum(&form)?;
            let value = self.checked(value).map_err(|escape| escape.at(form.at))?;
            self.run.values.push(value);
        }
        match reader.next()? {
            Some(second) => {
                Err(Escape::from(CljErrorKind::Syntax("a data file holds one value, and this is a second one".into()))
                    .at(second.at))
            }
            None => Ok(()),
        }
    }

    fn evaluate_code(&mut self, text: &str, number: u16) -> Eval<()> {
        // All of it is read first: an unclosed form is said before what it hides.
        let mut reader = Reader::new(text, number);
        let mut forms = Vec::new();
        while let Some(form) = reader.next()? {
            forms.push(form);
        }
        for form in forms {
            self.site = form.at;
            let value = match self.eval(&form, &Scope::default()) {
                Err(recur @ Escape::Recur(_)) => {
                    let kind = super::error::leave(recur, &[]).0;
                    return Err(Escape::from(kind).at(form.at));
                }
                settled => settled?,
            };
            self.run.values.push(value);
        }
        Ok(())
    }

    /// The directory of the file that is being evaluated.
    fn here(&self) -> PathBuf {
        let file = self.files.get(usize::from(self.site.file)).map(|(path, _)| path.as_path());
        file.and_then(Path::parent).unwrap_or(&self.options.cwd).to_owned()
    }

    /// Loads the file of a namespace once, and gives the name that it has there.
    pub(super) fn load_namespace(&mut self, name: &Rc<str>, at: Span) -> Eval<Rc<str>> {
        if self.namespaces.contains_key(name) && self.loaded.values().any(|known| known == name) {
            return Ok(name.clone());
        }
        let mut looked = Vec::new();
        let mut directories = self.roots(at);
        // The project is asked only when the file is not where files usually are.
        for project in [false, true] {
            if project {
                let entry = self.loading.first().and_then(|path| path.parent()).map(Path::to_owned);
                directories = entry.map(|entry| self.source_paths(&entry)).unwrap_or_default();
            }
            for candidate in directories.iter().flat_map(|directory| files_of(directory, name)) {
                if candidate.is_file() {
                    self.absent.extend(looked);
                    return self.load_library(&candidate);
                }
                looked.push(candidate);
            }
        }
        looked.dedup();
        self.absent.extend(looked.iter().cloned());
        // One file for each directory says enough.
        let shown = looked.into_iter().step_by(if name.contains('-') { 2 * CODE.len() } else { CODE.len() }).collect();
        Err(CljErrorKind::Missing { what: format!("there is no file for the namespace `{name}`"), looked: shown }
            .into())
    }

    /// Loads a file that is required by its path.
    pub(super) fn load_path(&mut self, path: &str, at: Span) -> Eval<Rc<str>> {
        if !path.starts_with(['.', '/']) {
            let message = format!("the package `{path}` cannot be used here: no JavaScript is loaded");
            return Err(CljErrorKind::Unsupported(message).into());
        }
        let from = self.files.get(usize::from(at.file)).and_then(|(file, _)| file.parent());
        let whole = target::resolve(from.unwrap_or(&self.options.cwd), path);
        if !whole.is_file() {
            self.absent.push(whole.clone());
            return Err(
                CljErrorKind::Missing { what: format!("there is no file `{path}`"), looked: vec![whole] }.into()
            );
        }
        self.load_library(&whole)
    }

    fn load_library(&mut self, path: &Path) -> Eval<Rc<str>> {
        if let Some(known) = self.loaded.get(path) {
            return Ok(known.clone());
        }
        // The sources of a library that is built in are not evaluated: macros could not be.
        if let Some(name) = self.declares(path)
            && core::is_space(core::canonical(&name))
        {
            return Ok(core::canonical(&name).into());
        }
        // What the file registers counts; what it says about itself does not.
        let (ecosystem, values) = (self.run.ecosystem.take(), std::mem::take(&mut self.run.values));
        let result = self.evaluate_file(path);
        self.run.ecosystem = ecosystem;
        self.run.values = values;
        result
    }

    /// The namespace that a file declares first.
    fn declares(&self, path: &Path) -> Option<String> {
        let text = std::fs::read_to_string(path).ok()?;
        let form = Reader::new(&text, 0).next().ok()??;
        let Kind::List(items) = &form.kind else { return None };
        let head = items.first()?.symbol()?;
        (**head == *"ns").then(|| items.get(1).and_then(Form::symbol).map(ToString::to_string))?
    }

    /// The directories in which namespaces are looked for: beside the file that asks, below the root that its own
    /// namespace implies, and beside the process file.
    fn roots(&self, at: Span) -> Vec<PathBuf> {
        let mut roots: Vec<PathBuf> = Vec::new();
        let asking = self.files.get(usize::from(at.file)).map(|(path, _)| path.clone());
        if let Some(beside) = asking.as_deref().and_then(Path::parent) {
            roots.push(beside.to_owned());
            let mut root = beside;
            let own: Vec<String> = self.current.split('.').map(str::to_owned).collect();
            for segment in own.iter().rev().skip(1) {
                match (root.file_name().and_then(|name| name.to_str()), root.parent()) {
                    (Some(name), Some(parent)) if name == segment || name == segment.replace('-', "_") => {
                        roots.push(parent.to_owned());
                        root = parent;
                    }
                    _ => break,
                }
            }
        }
        roots.extend(self.loading.first().and_then(|path| path.parent()).map(Path::to_owned));
        let mut each_once: Vec<PathBuf> = Vec::with_capacity(roots.len());
        for root in roots {
            if !each_once.contains(&root) {
                each_once.push(root);
            }
        }
        each_once
    }

    /// The source paths of the nearest project file above a directory. One that cannot be read names none.
    fn source_paths(&mut self, from: &Path) -> Vec<PathBuf> {
        for directory in from.ancestors() {
            for (file, key) in PROJECTS {
                let path = directory.join(file);
                let Ok(text) = std::fs::read_to_string(&path) else { continue };
                let Ok(Some(form)) = Reader::new(&text, 0).next() else { continue };
                let Ok(value) = self.datum(&form) else { continue };
                if !self.files.iter().any(|(known, _)| *known == path) {
                    self.files.push((path, text));
                }
                let Some(Value::Vector(paths)) = value.at(key) else { continue };
                return paths.iter().filter_map(Value::name).map(|path| target::resolve(directory, path)).collect();
            }
        }
        Vec::new()
    }

    fn beside(&mut self, path: &str) -> Eval<PathBuf> {
        let whole = target::resolve(&self.here(), path).into_os_string();
        let candidates: Vec<PathBuf> = ENDINGS
            .iter()
            .map(|ending| {
                let mut candidate = whole.clone();
                candidate.push(ending);
                PathBuf::from(candidate)
            })
            .collect();
        if let Some(found) = candidates.iter().find(|candidate| candidate.is_file()) {
            return Ok(found.clone());
        }
        self.absent.extend(candidates.iter().cloned());
        let looked = candidates.into_iter().take(1).collect();
        Err(CljErrorKind::Missing { what: format!("there is no file `{path}`"), looked }.into())
    }

    /// Evaluates another file with a registry of its own.
    fn apart(&mut self, path: &str) -> Eval<Run> {
        let path = self.beside(path)?;
        let outer = std::mem::take(&mut self.run);
        let result = self.evaluate_file(&path);
        let inner = std::mem::replace(&mut self.run, outer);
        result.map(|_| inner)
    }

    /// The ecosystem of another file.
    pub(super) fn include(&mut self, path: &str) -> Eval {
        let inner = self.apart(path)?;
        let outer = std::mem::replace(&mut self.run, inner);
        let outcome = self.outcome(0, 0);
        self.run = outer;
        Ok(outcome?.unwrap_or(Value::Nil))
    }

    /// Whatever another file gives: its last value.
    pub(super) fn import(&mut self, path: &str) -> Eval {
        let mut inner = self.apart(path)?;
        Ok(inner.exports.or(inner.values.pop()).unwrap_or(Value::Nil))
    }

    /// What the file that has just been evaluated yields: what it exported, the ecosystem it asked for, an ecosystem,
    /// stack or library among its values, the apps and profiles registered since, an app among its values.
    pub(super) fn outcome(&mut self, apps_before: usize, profiles_before: usize) -> Eval<Option<Value>> {
        if let Some(exports) = self.run.exports.clone().or_else(|| self.run.ecosystem.clone()) {
            return Ok(Some(exports));
        }
        let whole = |value: &&Value| {
            proto::is_fragment(value)
                || proto::entries(value).is_some()
                || matches!(proto::kind(value), Some(proto::ProtoKind::Stack | proto::ProtoKind::Profile))
        };
        if let Some(value) = self.run.values.iter().rev().find(whole) {
            return Ok(Some(value.clone()));
        }
        if self.run.apps.len() > apps_before || self.run.profiles.len() > profiles_before {
            let all = self.run.apps.clone();
            self.run.apps.drain(..apps_before);
            let registered = clobber::registered(self);
            self.run.apps = all;
            return registered.map(Some);
        }
        let single = |value: &Value| match (value, proto::kind(value)) {
            (_, Some(proto::ProtoKind::App)) => true,
            (Value::Map(_), None) => proto::is_app(value),
            (Value::Vector(items), None) => !items.is_empty() && items.iter().all(|item| item.as_map().is_some()),
            _ => false,
        };
        Ok(self.run.values.last().filter(|value| single(value)).cloned())
    }
}

/// The files that may hold a namespace: `-` as `_`, or as it is.
fn files_of(directory: &Path, namespace: &str) -> Vec<PathBuf> {
    let plain = namespace.replace('.', "/");
    let munged = plain.replace('-', "_");
    let mut stems = vec![munged];
    if !stems.contains(&plain) {
        stems.push(plain);
    }
    let named =
        |stem: &String| CODE.iter().map(|extension| directory.join(format!("{stem}.{extension}"))).collect::<Vec<_>>();
    stems.iter().flat_map(named).collect()
}
