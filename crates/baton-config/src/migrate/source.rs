//! A process file as data in which one still sees what came from the environment and from where the file lies.
//!
//! Such a value is a map with the one key [`EXPRESSION`]: the JavaScript that gives it.

use super::{Left, extension, is_js, proof};
use crate::options::LoadOptions;
use crate::{js, keys, kinds, load};
use baton_core::spec::{AppSpec, ChangeClass};
use regex_lite::Regex;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The key of a value that is an expression.
pub(super) const EXPRESSION: &str = "\u{0}js";

/// What a file says, as far as it can be written down again.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Apps with the table's own names of their keys, without what is the default anyway.
    pub(super) apps: Vec<Map<String, Value>>,
    /// What stands beside the apps.
    pub(super) beside: Map<String, Value>,
    /// Variables of the caller that it reads.
    pub(super) variables: BTreeSet<String>,
    /// The comment at the top of the file.
    pub(super) heading: Vec<String>,
    /// Whether it is an ES module.
    pub(super) is_module: bool,
    /// Lines of its text.
    pub(super) lines: usize,
    /// Whether the text has comments below its heading, which would stay in the backup only.
    pub(super) has_comments: bool,
}

/// What a file may use whose result is only a matter of the environment: nothing else of these.
const LIVE: &[&str] = &[
    "Date",
    "Math.random",
    "child_process",
    "readFileSync",
    "readdirSync",
    "existsSync",
    "statSync",
    "glob",
    "require('os')",
    "require(\"os\")",
    "node:os",
    "from 'os'",
    "from \"os\"",
    "process.argv",
    "process.platform",
    "process.cwd",
    "process.pid",
    "process.getuid",
    "fetch(",
    "await ",
    "Promise",
    "dotenv",
    "process.arch",
    "process.version",
    "createRequire",
];

/// Reads a file whose values can be written down.
///
/// # Errors
/// Why they can't be.
pub(super) fn read(path: &Path, options: &LoadOptions) -> Result<Source, Left> {
    let text = std::fs::read_to_string(path).map_err(|wrong| wrong.to_string())?;
    let unset = load::export(path, options).map_err(|wrong| format!("cannot be read: {wrong}"))?;
    let data = |file: &&PathBuf| !is_js(file) && !file.ends_with("package.json") && file.as_path() != path;
    if let Some(other) = unset.inputs.iter().find(data) {
        return Err(format!("reads {} while it is evaluated", super::shown(other, options)));
    }
    let mut variables = BTreeSet::new();
    if is_js(path) {
        for file in unset.inputs.iter().filter(|file| is_js(file)) {
            let text = std::fs::read_to_string(file).map_err(|wrong| wrong.to_string())?;
            variables.extend(variables_of(&text)?);
        }
    }
    let value = symbolic(path, &variables, options)?;
    let (heading, rest) = heading(&text, extension(path));
    let (apps, beside) = parts(value)?;
    Ok(Source {
        path: path.into(),
        apps: apps.into_iter().map(reduced).collect::<Result<_, _>>()?,
        beside,
        variables,
        heading,
        is_module: !text.contains("module.exports") && !text.contains("exports."),
        lines: text.lines().filter(|line| !line.trim().is_empty()).count(),
        has_comments: comment_of(rest, extension(path)),
    })
}

/// The caller's variables that a text reads, when it does nothing else that depends on where and when it runs.
fn variables_of(text: &str) -> Result<BTreeSet<String>, Left> {
    let text = without_comments(text);
    if let Some(word) = LIVE.iter().find(|word| text.contains(**word)) {
        return Err(format!("uses `{}`: what it gives depends on more than variables", word.trim()));
    }
    let (Ok(named), Ok(any)) = (
        Regex::new(r#"process\.env(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*['"]([^'"]+)['"]\s*\])(\s*=[^=])?"#),
        Regex::new(r"process\b"),
    ) else {
        return Err("cannot be searched".into());
    };
    let found: Vec<_> = named.captures_iter(&text).collect();
    if found.iter().any(|one| one.get(3).is_some()) {
        return Err("sets variables for the files that it loads".into());
    }
    if any.find_iter(&text).count() != found.len() {
        return Err("uses `process` for more than single variables".into());
    }
    Ok(found.iter().filter_map(|one| one.get(1).or(one.get(2))).map(|name| name.as_str().to_owned()).collect())
}

/// The export with an expression wherever a value follows a variable or the place of the file.
fn symbolic(path: &Path, variables: &BTreeSet<String>, options: &LoadOptions) -> Result<Value, Left> {
    let root = |options: &LoadOptions| {
        load::export(path, options).map(|export| export.root).map_err(|wrong| format!("cannot be read: {wrong}"))
    };
    if extension(path) == "edn" {
        return data(path, options);
    }
    // Should a variable have been overlooked, then its value does not get into the text: the proof will miss it.
    let mut bare = options.clone();
    bare.caller_env.retain(|name, _| matches!(name.as_str(), "PATH" | "HOME"));
    let options = &bare;
    let unset = root(&proof::without(variables, options))?;
    if !is_js(path) {
        return Ok(unset);
    }
    let marked = root(&proof::with(variables, options, proof::mark))?;
    let empty = root(&proof::with(variables, options, |_| String::new()))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    joined(Some(&unset), Some(&marked), Some(&empty), variables, directory)
        .and_then(|value| value.ok_or_else(|| "exports nothing".into()))
}

/// The data of an EDN file with its profiles, which an evaluation applies or leaves out.
fn data(path: &Path, options: &LoadOptions) -> Result<Value, Left> {
    let text = std::fs::read_to_string(path).map_err(|wrong| wrong.to_string())?;
    let whole = format!("{{:apps [{{:name \"data\" :script \"data\"}}] :data {text}\n}}");
    let beside = path.with_extension("data.cljs");
    let texts = Arc::new([(beside.clone(), whole)].into());
    let export = load::export(&beside, &LoadOptions { texts, ..options.clone() });
    let mut root = export.map_err(|wrong| format!("is not only data: {wrong}"))?.root;
    Ok(root.get_mut("data").map(Value::take).unwrap_or_default())
}

/// One value of three readings: variables unset, marked, empty.
fn joined(
    unset: Option<&Value>,
    marked: Option<&Value>,
    empty: Option<&Value>,
    variables: &BTreeSet<String>,
    directory: &Path,
) -> Result<Option<Value>, Left> {
    let depends = || "depends on a variable in a way that cannot be written down".to_owned();
    match (unset, marked, empty) {
        (Some(Value::Object(a)), Some(Value::Object(b)), Some(Value::Object(c))) => {
            let mut map = Map::new();
            let names: Vec<&String> = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
            for name in names {
                if let Some(value) = joined(a.get(name), b.get(name), c.get(name), variables, directory)? {
                    map.insert(name.clone(), value);
                }
            }
            Ok(Some(Value::Object(map)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b)), Some(Value::Array(c)))
            if a.len() == b.len() && a.len() == c.len() =>
        {
            let each =
                a.iter().zip(b).zip(c).map(|((a, b), c)| joined(Some(a), Some(b), Some(c), variables, directory));
            let list = each.collect::<Result<Option<Vec<Value>>, Left>>()?;
            Ok(list.map(Value::Array))
        }
        (a, b, c) if a == b && a == c => Ok(a.map(|value| placed(value, directory))),
        (a, Some(Value::String(b)), c) => {
            let name = variables.iter().find(|name| *b == proof::mark(name)).ok_or_else(depends)?;
            let read = format!("process.env.{name}");
            let text = match (a, c) {
                (None | Some(Value::Null), Some(Value::String(c))) if c.is_empty() => read,
                (Some(default), Some(Value::String(c))) if c.is_empty() => format!("{read} ?? {default}"),
                (Some(default), Some(c)) if c == default && !default.is_object() => format!("{read} || {default}"),
                _ => return Err(depends()),
            };
            Ok(Some(json!({ EXPRESSION: text })))
        }
        _ => Err(depends()),
    }
}

/// A path below the file's directory, or not far above it, as one that moves with the file.
fn placed(value: &Value, directory: &Path) -> Value {
    let Value::String(text) = value else { return value.clone() };
    if !text.starts_with('/') {
        return value.clone();
    }
    let path = Path::new(text);
    if let Ok(rest) = path.strip_prefix(directory) {
        let rest = if rest.as_os_str().is_empty() { String::new() } else { format!("/{}", rest.display()) };
        let rest = if text.ends_with('/') && text.len() > 1 { format!("{rest}/") } else { rest };
        let expression = if rest.is_empty() { "__dirname".into() } else { format!("__dirname + {}", json!(rest)) };
        return json!({ EXPRESSION: expression });
    }
    for (levels, above) in directory.ancestors().enumerate().skip(1).take(3) {
        // `/srv` and above are places of the machine, not of the project.
        if above.components().count() < 3 {
            break;
        }
        if let Ok(rest) = path.strip_prefix(above) {
            let ups = format!("{}{}", "../".repeat(levels), rest.display());
            let expression = format!("require(\"path\").resolve(__dirname, {})", json!(ups.trim_end_matches('/')));
            return json!({ EXPRESSION: expression });
        }
    }
    value.clone()
}

type Parts = (Vec<Map<String, Value>>, Map<String, Value>);

/// The apps of an export and what stands beside them.
fn parts(root: Value) -> Result<Parts, Left> {
    let apps = || -> Result<Vec<Map<String, Value>>, Left> {
        let found = js::exports::apps(&root).map_err(|wrong| wrong.to_string())?;
        Ok(found.into_iter().cloned().collect())
    };
    match &root {
        Value::Object(map) if map.get("apps").is_some_and(Value::is_array) => {
            let mut beside = map.clone();
            beside.shift_remove("apps");
            Ok((apps()?, beside))
        }
        Value::Array(_) => Ok((apps()?, Map::new())),
        _ => Err("has its apps in a shape of its own".into()),
    }
}

/// Keys whose default depends on others, or on the caller.
const KEPT: &[&str] = &[
    "name",
    "namespace",
    "script",
    "cwd",
    "interpreter",
    "exec_mode",
    "instances",
    "merge_logs",
    "kill_timeout",
    "kill_signal",
];

/// An app with the names of the table, without values that are the defaults.
fn reduced(app: Map<String, Value>) -> Result<Map<String, Value>, Left> {
    if !app.get("name").is_some_and(Value::is_string) {
        return Err("has an app whose name is not written".into());
    }
    let defaults = serde_json::to_value(AppSpec::default()).unwrap_or_default();
    let mut short = Map::new();
    for (written, value) in app.into_iter().filter(|(_, value)| !value.is_null()) {
        let Some((field, _)) = keys::find(&written) else {
            short.insert(written, value);
            continue;
        };
        let canonical = kinds::canonical(field.kind, &value).ok();
        let is_default = canonical.is_some() && canonical.as_ref() == defaults.get(field.name);
        if field.class != ChangeClass::Context && is_default && !KEPT.contains(&field.name) {
            continue;
        }
        if short.insert(field.name.into(), value).is_some() {
            return Err(format!("gives `{}` twice in one app", field.name));
        }
    }
    Ok(short)
}

/// The comment lines at the top, without their signs, and the text behind them.
fn heading<'t>(text: &'t str, extension: &str) -> (Vec<String>, &'t str) {
    let mark = mark(extension);
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(comment) = rest.trim_start().strip_prefix(mark) {
        let (line, after) = comment.split_once('\n').unwrap_or((comment, ""));
        lines.push(line.trim_start_matches(mark).trim().to_owned());
        rest = after;
    }
    (lines, rest)
}

fn mark(extension: &str) -> &'static str {
    match extension {
        "yaml" | "yml" | "toml" => "#",
        "edn" | "clj" | "cljs" => ";",
        _ => "//",
    }
}

fn comment_of(text: &str, extension: &str) -> bool {
    let mark = mark(extension);
    text.lines().any(|line| line.trim_start().starts_with(mark) || line.contains(&format!(" {mark} ")))
        || text.contains("/*")
}

/// A text of JavaScript without the comments that stand on lines of their own: what they mention is not used.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        let mut rest = line.trim_start();
        if !inside && rest.starts_with("//") {
            continue;
        }
        inside |= rest.starts_with("/*");
        if inside {
            let Some((_, after)) = rest.split_once("*/") else { continue };
            inside = false;
            rest = after;
        }
        out.push_str(rest);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_where_they_are_read_and_not_where_they_are_mentioned() {
        let text = "// process.env.NO\n/* process.argv\n * process.env.NO */ const a = process.env.A;\n/* x */ process.env['B-C'] ?? 1; // process.env.D\n";
        assert_eq!(variables_of(text), Ok(["A", "B-C", "D"].map(str::to_owned).into()));
        for text in ["const { env } = process;", "process.env.A = 1", "f(process.env)", "new Date()"] {
            variables_of(text).unwrap_err();
        }
        assert_eq!(variables_of("process.env.A === 'x'"), Ok(["A".to_owned()].into()));
    }
}
