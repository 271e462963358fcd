//! A module of helpers that a project has grown (`defineApp` and its kin) replaced by the built-in ones.
//!
//! Only the place that they are loaded from changes, so that everything else in the files, comments and what they read
//! from the environment included, stays as it is. All files that share the module are changed together, because
//! settings of one file hold for those that it loads.

use super::{Left, Plan, Step, is_js, proof, shown};
use crate::js::{self, JsOptions, Source};
use crate::load;
use crate::options::LoadOptions;
use regex_lite::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The functions that mark such a module.
const NAMES: &[&str] = &["defineApp", "definePythonService", "defineNodeService", "defineAgent"];
/// The heartbeat port of the built-in helpers.
const PORT: i64 = 5005;

/// Replaces each module of helpers that files which are still open load.
pub(super) fn look(open: &mut Vec<PathBuf>, options: &LoadOptions, plan: &mut Plan) {
    let mut groups: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for path in open.iter().filter(|path| is_js(path)) {
        // A file that can't be read is told by whoever comes later.
        let Ok(export) = load::export(path, options) else { continue };
        for file in export.inputs.iter().filter(|file| is_js(file)) {
            let Ok(text) = std::fs::read_to_string(file) else { continue };
            for (specifier, _) in loads(&text) {
                if let Some(module) = helper(file, &specifier) {
                    groups.entry(module).or_default().insert(file.clone());
                }
            }
        }
    }
    for (module, files) in groups {
        let roots: Vec<PathBuf> = open.iter().filter(|path| files.contains(*path)).cloned().collect();
        match replace(&module, &files, &roots, options) {
            Ok(step) => {
                open.retain(|path| !files.contains(path));
                plan.steps.push(step);
            }
            Err(why) => {
                open.retain(|path| !files.contains(path));
                let why = format!("keeps {}, because it {why}", shown(&module, options));
                plan.left.extend(roots.into_iter().map(|path| (path, why.clone())));
            }
        }
    }
}

/// What a text loads by a name that is written out, and where in the text the name stands.
fn loads(text: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let Ok(pattern) = Regex::new(r#"(?:\brequire\(\s*|\bfrom\s+|\bimport\s+)["']([^"'\n]+)["']"#) else {
        return Vec::new();
    };
    let each = pattern.captures_iter(text).filter_map(|one| one.get(1));
    each.map(|name| (name.as_str().to_owned(), name.range())).collect()
}

/// The module of helpers that a relative name in a file means.
fn helper(file: &Path, specifier: &str) -> Option<PathBuf> {
    if !specifier.starts_with('.') {
        return None;
    }
    let path = crate::target::resolve(file.parent()?, specifier);
    let endings = ["", ".js", ".cjs", ".mjs", ".ts", "/index.js"];
    let found = endings
        .iter()
        .map(|ending| PathBuf::from(format!("{}{ending}", path.display())))
        .find(|path| path.is_file())?;
    let text = std::fs::read_to_string(&found).ok()?;
    let defines = text.contains("defineApp") && NAMES.iter().any(|name| text.contains(&format!("function {name}")));
    // A process file that defines its own helper is no module of them.
    let is_module = defines && !super::file_name(&found).contains("ecosystem");
    is_module.then_some(found)
}

fn replace(module: &Path, files: &BTreeSet<PathBuf>, roots: &[PathBuf], options: &LoadOptions) -> Result<Step, Left> {
    let settings = settings(module, options)?;
    if settings.get("port").is_some_and(|port| !port.is_null() && port.as_i64() != Some(PORT)) {
        return Err(format!("sets HEARTBEAT_PORT to {}", settings["port"]));
    }
    let python_path = settings.get("path").and_then(Value::as_str);
    let mut texts = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|wrong| format!("{}: {wrong}", file.display()))?;
        texts.insert(file.clone(), changed(file, &text, module, python_path)?);
    }
    let mut count = 0;
    for root in roots {
        count += proof::same(
            &proof::worlds(&BTreeSet::new(), options),
            |options| proof::resolve(root, options),
            |options| proof::resolve_with(root, &texts, options),
        )
        .map_err(|wrong| format!("is not what the built-in helpers are; {}: {wrong}", shown(root, options)))?;
    }
    let mut lines =
        vec![format!("{} is replaced by the built-in helpers, require(\"baton\"), in", shown(module, options))];
    lines.extend(files.iter().map(|file| format!("  {}", shown(file, options))));
    lines.push(format!("  {} itself stays, for whatever else uses it", shown(module, options)));
    Ok(Step {
        lines,
        writes: texts.into_iter().collect(),
        removes: Vec::new(),
        proof: format!("{count} resolved apps are equal before and after"),
    })
}

/// What the module sets on `defineApp` when it is loaded.
fn settings(module: &Path, options: &LoadOptions) -> Result<Value, Left> {
    let name = Value::from(module.to_string_lossy().into_owned());
    let text = format!(
        "import({name}).then((all) => {{ const app = all.defineApp ?? all.default?.defineApp ?? {{}}; \
         return {{ path: app.PYTHONPATH ?? null, port: app.HEARTBEAT_PORT ?? null }}; }})"
    );
    let js_options = JsOptions {
        env: options.evaluation_env(),
        cwd: options.caller_cwd.clone(),
        argv: Vec::new(),
        limits: options.limits,
    };
    let done = js::evaluate(module, Source::Expression(text), &js_options)
        .map_err(|wrong| format!("cannot be read: {wrong}"))?;
    Ok(done.value)
}

/// A file that loads the built-in helpers instead, and sets what the module did.
fn changed(file: &Path, text: &str, module: &Path, python_path: Option<&str>) -> Result<String, Left> {
    let uses: Vec<_> =
        loads(text).into_iter().filter(|(name, _)| helper(file, name).as_deref() == Some(module)).collect();
    let mut out = text.to_owned();
    for (_, range) in uses.iter().rev() {
        out.replace_range(range.clone(), "baton");
    }
    let (Some(path), Some((_, first))) = (python_path, uses.first()) else { return Ok(out) };
    let directory = file.parent().unwrap_or(Path::new("/"));
    let relative = relative(directory, Path::new(path)).ok_or("sets PYTHONPATH to a place outside of the project")?;
    // Who was loaded first has set it: a file that runs another keeps its word.
    let is_module = text[..first.start]
        .lines()
        .last()
        .is_some_and(|line| line.trim_start().starts_with("import") || line.contains("from"));
    let line = match (is_module, relative.as_str()) {
        (true, ".") => {
            "import { defineApp as shared } from \"baton\";\nshared.PYTHONPATH ??= import.meta.dirname;\n".into()
        }
        (true, up) => format!(
            "import {{ defineApp as shared }} from \"baton\";\nimport {{ resolve as toPath }} from \"node:path\";\n\
             shared.PYTHONPATH ??= toPath(import.meta.dirname, {});\n",
            Value::from(up)
        ),
        (false, ".") => "require(\"baton\").defineApp.PYTHONPATH ??= __dirname;\n".into(),
        (false, up) => format!(
            "require(\"baton\").defineApp.PYTHONPATH ??= require(\"path\").resolve(__dirname, {});\n",
            Value::from(up)
        ),
    };
    // Before the line that loads the helpers, which may be one of several that belong together.
    let start = statement_start(text, first.start);
    out.insert_str(start, &line);
    Ok(out)
}

/// Where the statement begins that this position is in: back to a line that begins at the margin.
fn statement_start(text: &str, at: usize) -> usize {
    let mut start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    while start > 0 && text[start..].starts_with([' ', '\t', '}', ')']) {
        start = text[..start - 1].rfind('\n').map_or(0, |end| end + 1);
    }
    start
}

/// A path as seen from a directory, where both are in one project.
fn relative(from: &Path, to: &Path) -> Option<String> {
    for (levels, above) in from.ancestors().enumerate() {
        if let Ok(rest) = to.strip_prefix(above) {
            // The root is no project.
            above.parent()?;
            let text = format!("{}{}", "../".repeat(levels), rest.display());
            let text = text.trim_end_matches('/');
            return Some(if text.is_empty() { ".".into() } else { text.into() });
        }
    }
    None
}
