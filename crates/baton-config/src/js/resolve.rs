//! Node's look-up of a module: from a specifier and the file that names it to a file.
//!
//! Follows <https://nodejs.org/api/modules.html#all-together> and <https://nodejs.org/api/esm.html#resolution-algorithm>.
//! Wider than Node in two points: `import './helper'` finds `helper.js` as `require` does, and in a TypeScript file
//! `./helper` and `./helper.js` find `helper.ts`, as its compilers do.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::state::State;
use crate::ts;

/// Who asks, which decides the conditions of a package's `exports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// `require(…)`.
    Require,
    /// `import …` or `import(…)`.
    Import,
}

impl Asker {
    fn accepts(self, condition: &str) -> bool {
        match condition {
            "node" | "default" | "module-sync" => true,
            "require" => self == Self::Require,
            "import" => self == Self::Import,
            _ => false,
        }
    }
}

/// Where a specifier leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A builtin, without `node:`.
    Builtin(String),
    /// A file, all links resolved.
    File(PathBuf),
}

/// Why it leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// No such file or package.
    Module,
    /// The package is there and does not export this path.
    NotExported { package: PathBuf, subpath: String },
    /// The nearest `package.json` has no such `imports` entry.
    NotImported { package: Option<PathBuf> },
}

/// The content of a `package.json`.
type Package = Rc<Map<String, Value>>;

/// The `package.json` files seen so far. `None`: there is none in that directory.
#[derive(Default)]
pub(super) struct Packages(RefCell<HashMap<PathBuf, Option<Package>>>);

impl Packages {
    /// The `package.json` of exactly this directory. A malformed one counts as an empty one.
    fn of(&self, directory: &Path, state: &State) -> Option<Package> {
        if let Some(known) = self.0.borrow().get(directory) {
            return known.clone();
        }
        let file = directory.join("package.json");
        let package = std::fs::read(&file).ok().map(|bytes| {
            state.note_input(&file);
            Rc::new(serde_json::from_slice(&bytes).unwrap_or_default())
        });
        self.0.borrow_mut().insert(directory.to_path_buf(), package.clone());
        package
    }

    /// The nearest `package.json` of a file, which ends its scope, and its directory.
    fn scope(&self, file: &Path, state: &State) -> Option<(PathBuf, Package)> {
        for (depth, directory) in file.ancestors().skip(1).enumerate() {
            if directory.file_name().is_some_and(|name| name == "node_modules") {
                return None;
            }
            if let Some(package) = self.of(directory, state) {
                return Some((directory.to_path_buf(), package));
            }
            // Those further up are many and seldom come.
            if depth == 0 {
                state.note_looked_for(&directory.join("package.json"));
            }
        }
        None
    }

    /// The `type` of the package that a file belongs to.
    pub(super) fn module_type(&self, file: &Path, state: &State) -> Option<String> {
        let (_, package) = self.scope(file, state)?;
        package.get("type")?.as_str().map(str::to_owned)
    }
}

/// Resolves `specifier` as named in the file `base`.
pub(super) fn resolve(specifier: &str, base: &Path, asker: Asker, state: &State) -> Result<Target, Missing> {
    if let Some(name) = specifier.strip_prefix("node:") {
        return Ok(Target::Builtin(name.to_owned()));
    }
    if super::module::is_builtin(specifier) {
        return Ok(Target::Builtin(specifier.to_owned()));
    }
    let directory = base.parent().unwrap_or(Path::new("/"));
    let found = if let Some(url) = specifier.strip_prefix("file://") {
        path_like(&percent_decode(url), Path::new("/"), state)
    } else if is_relative(specifier) || specifier.starts_with('/') {
        path_like(specifier, directory, state).or_else(|| typescript(specifier, base, state))
    } else if specifier.starts_with('#') {
        return import_map(specifier, base, asker, state);
    } else {
        match bare(specifier, base, asker, state) {
            Ok(file) => Some(file),
            // Our helpers, unless a package of that name is installed; and our dotenv serves files that expect one.
            Err(Missing::Module) if matches!(specifier, "baton" | "dotenv" | "dotenv/config") => {
                return Ok(Target::Builtin(specifier.to_owned()));
            }
            Err(missing) => return Err(missing),
        }
    };
    found.map(Target::File).ok_or(Missing::Module)
}

fn is_relative(specifier: &str) -> bool {
    matches!(specifier, "." | "..") || specifier.starts_with("./") || specifier.starts_with("../")
}

fn path_like(specifier: &str, directory: &Path, state: &State) -> Option<PathBuf> {
    let path = normalise(&directory.join(specifier));
    let names_a_directory = specifier.ends_with('/') || specifier.ends_with('.') && is_relative(specifier);
    let file = if names_a_directory { None } else { as_file(&path, state, Probe::Noted) };
    file.or_else(|| as_directory(&path, state, Probe::Noted))
}

/// The TypeScript file that a specifier in a TypeScript file means: what `tsc` would make of it is named, or nothing.
fn typescript(specifier: &str, base: &Path, state: &State) -> Option<PathBuf> {
    if !ts::is_typescript(base) {
        return None;
    }
    let path = normalise(&base.parent()?.join(specifier));
    let source = match path.extension().and_then(|extension| extension.to_str()) {
        Some("js") => Some("ts"),
        Some("mjs") => Some("mts"),
        Some("cjs") => Some("cts"),
        _ => None,
    };
    if let Some(found) = source.and_then(|extension| exact(&path.with_extension(extension), state, Probe::Noted)) {
        return Some(found);
    }
    let with = |path: &Path, extension: &str| {
        let mut name = path.file_name()?.to_os_string();
        name.push(".");
        name.push(extension);
        exact(&path.with_file_name(name), state, Probe::Noted)
    };
    let at = |path: &Path| ["ts", "mts", "cts"].iter().find_map(|extension| with(path, extension));
    at(&path).or_else(|| at(&path.join("index")))
}

/// Whether a candidate that is absent is worth remembering: those in `node_modules` are many and say little.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Probe {
    Noted,
    Silent,
}

const EXTENSIONS: [&str; 4] = ["js", "json", "cjs", "mjs"];

fn as_file(path: &Path, state: &State, probe: Probe) -> Option<PathBuf> {
    exact(path, state, probe).or_else(|| {
        let name = path.file_name()?.to_os_string();
        EXTENSIONS.iter().find_map(|extension| {
            let mut name = name.clone();
            name.push(".");
            name.push(extension);
            exact(&path.with_file_name(name), state, probe)
        })
    })
}

fn exact(path: &Path, state: &State, probe: Probe) -> Option<PathBuf> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Some(path.canonicalize().unwrap_or_else(|_| path.to_path_buf())),
        Ok(_) => None,
        Err(_) => {
            if probe == Probe::Noted {
                state.note_looked_for(path);
            }
            None
        }
    }
}

fn as_directory(path: &Path, state: &State, probe: Probe) -> Option<PathBuf> {
    if !path.is_dir() {
        return None;
    }
    let main = state.packages.of(path, state);
    let main = main.as_ref().and_then(|package| package.get("main")?.as_str());
    main.filter(|main| !main.is_empty())
        .and_then(|main| {
            let main = normalise(&path.join(main));
            as_file(&main, state, probe).or_else(|| as_file(&main.join("index"), state, probe))
        })
        .or_else(|| as_file(&path.join("index"), state, probe))
}

/// Splits `@scope/name/sub/path` into the package's name and `./sub/path` (`.` for the package itself).
fn split_package(specifier: &str) -> (&str, String) {
    let slashes_in_name = usize::from(specifier.starts_with('@'));
    match specifier.match_indices('/').nth(slashes_in_name) {
        Some((at, _)) => (&specifier[..at], format!(".{}", &specifier[at..])),
        None => (specifier, ".".to_owned()),
    }
}

fn bare(specifier: &str, base: &Path, asker: Asker, state: &State) -> Result<PathBuf, Missing> {
    let (name, subpath) = split_package(specifier);
    if name.is_empty() {
        return Err(Missing::Module);
    }
    // A package may name itself.
    if let Some((directory, package)) = state.packages.scope(base, state)
        && package.get("name").and_then(Value::as_str) == Some(name)
        && let Some(exports) = package.get("exports")
    {
        return exported(&directory, exports, &subpath, asker, state);
    }
    for ancestor in base.ancestors().skip(1) {
        if ancestor.file_name().is_some_and(|name| name == "node_modules") {
            continue;
        }
        let directory = ancestor.join("node_modules").join(name);
        if !directory.is_dir() {
            let file = ancestor.join("node_modules").join(specifier);
            if let Some(file) = as_file(&file, state, Probe::Silent) {
                return Ok(file);
            }
            continue;
        }
        let package = state.packages.of(&directory, state);
        if let Some(exports) = package.as_ref().and_then(|package| package.get("exports"))
            && !exports.is_null()
        {
            return exported(&directory, exports, &subpath, asker, state);
        }
        let path = normalise(&directory.join(&subpath));
        let file = if subpath == "." { None } else { as_file(&path, state, Probe::Silent) };
        if let Some(file) = file.or_else(|| as_directory(&path, state, Probe::Silent)) {
            return Ok(file);
        }
    }
    Err(Missing::Module)
}

fn exported(directory: &Path, exports: &Value, subpath: &str, asker: Asker, state: &State) -> Result<PathBuf, Missing> {
    let not_exported = || Missing::NotExported { package: directory.join("package.json"), subpath: subpath.to_owned() };
    let is_map = exports.as_object().is_some_and(|map| map.keys().any(|key| key.starts_with('.')));
    let target = if is_map {
        lookup(exports.as_object().ok_or_else(not_exported)?, subpath, asker)
    } else if subpath == "." {
        conditional(exports, None, asker)
    } else {
        None
    };
    let target = target.filter(|target| target.starts_with("./")).ok_or_else(not_exported)?;
    exact(&normalise(&directory.join(target)), state, Probe::Silent).ok_or(Missing::Module)
}

fn import_map(specifier: &str, base: &Path, asker: Asker, state: &State) -> Result<Target, Missing> {
    let scope = state.packages.scope(base, state);
    let not_imported =
        || Missing::NotImported { package: scope.as_ref().map(|(directory, _)| directory.join("package.json")) };
    let (directory, package) = scope.as_ref().ok_or_else(not_imported)?;
    let imports = package.get("imports").and_then(Value::as_object).ok_or_else(not_imported)?;
    let target = lookup(imports, specifier, asker).ok_or_else(not_imported)?;
    if target.starts_with("./") {
        let file = normalise(&directory.join(target));
        return exact(&file, state, Probe::Silent).map(Target::File).ok_or(Missing::Module);
    }
    // Anything else names a package or a builtin; another `#` would go round in circles.
    if target.starts_with('#') {
        return Err(not_imported());
    }
    resolve(&target, &directory.join("package.json"), asker, state)
}

/// Finds `key` in an `exports` or `imports` map: as it is, else by the pattern with the longest part before `*`.
fn lookup(map: &Map<String, Value>, key: &str, asker: Asker) -> Option<String> {
    if let Some(value) = map.get(key)
        && !key.contains('*')
    {
        return conditional(value, None, asker);
    }
    map.iter()
        .filter_map(|(pattern, value)| {
            let (before, after) = pattern.split_once('*')?;
            let star = key.strip_prefix(before)?.strip_suffix(after)?;
            (!star.is_empty()).then_some((before.len(), star, value))
        })
        .max_by_key(|(length, ..)| *length)
        .and_then(|(_, star, value)| conditional(value, Some(star), asker))
}

/// Walks conditions in the order in which the package lists them.
fn conditional(value: &Value, star: Option<&str>, asker: Asker) -> Option<String> {
    match value {
        Value::String(target) => Some(star.map_or_else(|| target.clone(), |star| target.replace('*', star))),
        Value::Array(choices) => choices.iter().find_map(|choice| conditional(choice, star, asker)),
        Value::Object(conditions) => conditions
            .iter()
            .filter(|(condition, _)| asker.accepts(condition))
            .find_map(|(_, value)| conditional(value, star, asker)),
        _ => None,
    }
}

/// Removes `.` and `..` by their text, as Node does before it looks at links.
pub(super) fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Decodes `%20` and its like in a URL's path. What is no escape stays as it is.
pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The `file:` URL of an absolute path.
pub(super) fn file_url(path: &Path) -> String {
    let mut url = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => url.push(char::from(*byte)),
            b'/' | b'-' | b'_' | b'.' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';'
            | b'=' | b':' | b'@' => url.push(char::from(*byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}
