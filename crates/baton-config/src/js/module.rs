//! Loading modules: the registry of builtins, compiling CommonJS, and the ES module loader.
//!
//! `builtins/bootstrap.js` owns the cache and the `require` of CommonJS; the engine owns the graph of ES modules. They
//! meet here: a CommonJS file, a builtin or a JSON file that an ES module imports becomes a small synthetic module
//! whose `import.meta.load` gives the exports.
//!
//! To add a builtin, put its source into `builtins/` and a row into `BUILTINS`.

use std::path::Path;
use std::rc::Rc;

use indexmap::IndexSet;
use rquickjs::context::EvalOptions;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::promise::PromiseState;
use rquickjs::{Ctx, Function, Module, Object, Result, Value};

use super::lexer;
use super::resolve::{self, Asker, Missing, Target};
use super::state::State;
use crate::ts;

/// What goes before the text of a CommonJS file, on its first line.
pub(super) const WRAPPER_START: &str = "(function (exports, require, module, __filename, __dirname) { ";

/// The file name of our own JavaScript: no path, so its frames never show as positions.
const INTERNAL: &str = "node:internal";

/// Name and source of each builtin.
const BUILTINS: &[(&str, &str)] = &[
    ("assert", include_str!("builtins/assert.js")),
    ("assert/strict", "module.exports = require('assert').strict;"),
    ("baton", include_str!("builtins/baton.js")),
    ("buffer", include_str!("builtins/buffer.js")),
    ("child_process", include_str!("builtins/child_process.js")),
    ("console", include_str!("builtins/console.js")),
    ("constants", "module.exports = { ...require('os').constants.signals, ...require('fs').constants };"),
    ("crypto", include_str!("builtins/crypto.js")),
    ("dotenv", include_str!("builtins/dotenv.js")),
    ("dotenv/config", "module.exports = {}; require('dotenv').config();"),
    ("events", include_str!("builtins/events.js")),
    ("locale", include_str!("builtins/locale.js")),
    ("fs", include_str!("builtins/fs.js")),
    ("fs/promises", "module.exports = require('fs').promises;"),
    ("module", include_str!("builtins/module.js")),
    ("modules", include_str!("builtins/modules.js")),
    ("os", include_str!("builtins/os.js")),
    ("path", include_str!("builtins/path.js")),
    ("path/posix", "module.exports = require('path');"),
    ("path/win32", "module.exports = require('path').win32;"),
    ("process", include_str!("builtins/process.js")),
    ("querystring", include_str!("builtins/querystring.js")),
    ("settle", include_str!("builtins/settle.js")),
    ("string_decoder", include_str!("builtins/string_decoder.js")),
    ("structured_clone", include_str!("builtins/structured_clone.js")),
    ("abort", include_str!("builtins/abort.js")),
    ("timers", include_str!("builtins/timers.js")),
    ("timers/promises", "module.exports = require('timers').promises;"),
    ("url", include_str!("builtins/url.js")),
    ("util", include_str!("builtins/util.js")),
    ("inspect", include_str!("builtins/inspect.js")),
    ("util/types", "module.exports = require('util').types;"),
    ("unavailable", include_str!("builtins/unavailable.js")),
];

/// Builtins that are loadable and whose calls need the real Node: `unavailable.js` makes them.
const UNAVAILABLE: &[&str] = &[
    "async_hooks",
    "cluster",
    "dgram",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "domain",
    "http",
    "http2",
    "https",
    "inspector",
    "net",
    "perf_hooks",
    "punycode",
    "readline",
    "readline/promises",
    "repl",
    "stream",
    "stream/promises",
    "stream/web",
    "stream/consumers",
    "sys",
    "tls",
    "trace_events",
    "tty",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Helpers of ours in the table above that no file may require.
const PRIVATE: &[&str] = &[
    "abort",
    "baton",
    "dotenv",
    "dotenv/config",
    "inspect",
    "locale",
    "modules",
    "settle",
    "structured_clone",
    "unavailable",
];

/// Whether a specifier without `node:` names a builtin of Node.
pub(super) fn is_builtin(name: &str) -> bool {
    UNAVAILABLE.contains(&name) || !PRIVATE.contains(&name) && BUILTINS.iter().any(|(known, _)| *known == name)
}

/// The names in `module.builtinModules`.
pub(super) fn builtin_names() -> Vec<&'static str> {
    let ours = BUILTINS.iter().map(|(name, _)| *name).filter(|name| !PRIVATE.contains(name));
    let mut names: Vec<_> = ours.chain(UNAVAILABLE.iter().copied()).collect();
    names.sort_unstable();
    names
}

/// Compiles a builtin to a function `(exports, require, module, native)`. `None`: there is none of that name.
pub(super) fn compile_builtin<'js>(ctx: &Ctx<'js>, name: &str) -> Result<Option<Function<'js>>> {
    let source = match BUILTINS.iter().find(|(known, _)| *known == name) {
        Some((_, source)) => *source,
        None if UNAVAILABLE.contains(&name) => "module.exports = require('unavailable')(module.id);",
        None => return Ok(None),
    };
    let text = format!("(function (exports, require, module, native) {{ 'use strict'; {source}\n}})");
    script(ctx, text, &format!("node:{name}")).map(Some)
}

/// Runs `bootstrap.js`: gives the object of functions that the engine drives an evaluation with.
pub(super) fn boot<'js>(ctx: &Ctx<'js>, native: Object<'js>) -> Result<Object<'js>> {
    let start: Function = script(ctx, include_str!("builtins/bootstrap.js").to_owned(), INTERNAL)?;
    start.call((native,))
}

/// Evaluates a text in sloppy mode, as Node treats CommonJS.
fn script<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, text: String, name: &str) -> Result<V> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(text, options)
}

/// What a file is, for the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    CommonJs,
    EsModule,
    Json,
    /// A compiled addon.
    Addon,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CommonJs => "commonjs",
            Self::EsModule => "module",
            Self::Json => "json",
            Self::Addon => "addon",
        }
    }
}

/// Decides by extension, then by the nearest `package.json`, then by the text, as Node does.
pub(super) fn format(ctx: &Ctx<'_>, path: &Path, source: &str, state: &State) -> Format {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("node") => Format::Addon,
        Some("cjs" | "cts") => Format::CommonJs,
        Some("mjs" | "mts") => Format::EsModule,
        _ => match state.packages.module_type(path, state).as_deref() {
            Some("module") => Format::EsModule,
            Some("commonjs") => Format::CommonJs,
            _ if !lexer::mentions_module_syntax(source) => Format::CommonJs,
            _ => {
                if compile(ctx, path, source, state).is_ok() {
                    return Format::CommonJs;
                }
                ctx.catch();
                Format::EsModule
            }
        },
    }
}

/// Compiles the text of a CommonJS file to its wrapper function.
pub(super) fn compile<'js>(ctx: &Ctx<'js>, path: &Path, source: &str, state: &State) -> Result<Function<'js>> {
    state.note_prefix(path, WRAPPER_START);
    script(ctx, format!("{WRAPPER_START}{source}\n}})"), &path.to_string_lossy())
}

/// Evaluates a text that is one expression. `//` at its end must not swallow the closing parenthesis.
pub(super) fn expression<'js>(ctx: &Ctx<'js>, path: &Path, text: &str, state: &State) -> Result<Value<'js>> {
    state.note_prefix(path, "(");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    script(ctx, format!("({text}\n)"), &path.to_string_lossy())
}

/// Reads a source file as JavaScript: notes it as an input, drops the byte order mark, hides the `#!` line and leaves
/// out types.
pub(super) fn read_source(ctx: &Ctx<'_>, path: &Path, state: &State) -> Result<String> {
    let bytes = match state.texts.get(path) {
        Some(text) => text.clone().into_bytes(),
        None => std::fs::read(path).map_err(|error| super::natives::errno(ctx, &error, "open", Some(path)))?,
    };
    state.note_input(path);
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = match text.strip_prefix("#!") {
        Some(rest) => format!("//{rest}"),
        None => text.to_owned(),
    };
    ts::strip(path, &text).map_err(|wrong| super::natives::syntax(ctx, path, &wrong))
}

/// Parses a JSON file; errors name the file.
pub(super) fn parse_json<'js>(ctx: &Ctx<'js>, path: &Path, text: &str) -> Result<Value<'js>> {
    let parsed = ctx.json_parse(text);
    if parsed.is_ok() {
        return parsed;
    }
    let thrown = ctx.catch();
    let Some(error) = thrown.as_object() else { return Err(ctx.throw(thrown)) };
    let message: String = error.get("message")?;
    let stack: String = error.get("stack").unwrap_or_default();
    let file = path.to_string_lossy();
    error.set("message", format!("{file}: {message}"))?;
    error.set("stack", stack.replace("<input>", &file))?;
    Err(ctx.throw(thrown))
}

/// Throws the error that Node has for a specifier which leads nowhere.
pub(super) fn not_found(
    ctx: &Ctx<'_>,
    specifier: &str,
    base: &Path,
    asker: Asker,
    missing: Missing,
) -> rquickjs::Error {
    let base = base.display();
    let (message, code) = match (missing, asker) {
        (Missing::Module, Asker::Require) => (format!("Cannot find module '{specifier}'"), "MODULE_NOT_FOUND"),
        (Missing::Module, Asker::Import) => {
            let what = if specifier.starts_with(['.', '/']) { "module" } else { "package" };
            (format!("Cannot find {what} '{specifier}' imported from {base}"), "ERR_MODULE_NOT_FOUND")
        }
        (Missing::NotExported { package, subpath }, _) => {
            let what = if subpath == "." {
                "No \"exports\" main".to_owned()
            } else {
                format!("Package subpath '{subpath}' is not")
            };
            (format!("{what} defined by \"exports\" in {}", package.display()), "ERR_PACKAGE_PATH_NOT_EXPORTED")
        }
        (Missing::NotImported { package }, _) => {
            let package = package.map_or(String::new(), |package| format!(" in package {}", package.display()));
            (
                format!("Package import specifier \"{specifier}\" is not defined{package} imported from {base}"),
                "ERR_PACKAGE_IMPORT_NOT_DEFINED",
            )
        }
    };
    super::natives::coded(ctx, &message, code)
}

/// `require` of an ES module: its namespace, or an error when it waits at top level.
pub(super) fn require_module<'js>(ctx: &Ctx<'js>, path: &str) -> Result<Value<'js>> {
    let specifier = serde_json::to_string(path).unwrap_or_default();
    let name = format!("{INTERNAL}:require:{path}");
    let bridge = Module::declare(ctx.clone(), name, format!("export * as namespace from {specifier};"))?;
    let (bridge, done) = bridge.eval()?;
    match done.state() {
        PromiseState::Resolved => {
            let namespace: Object = bridge.get("namespace")?;
            if namespace.contains_key("module.exports")? {
                return namespace.get("module.exports");
            }
            if !namespace.contains_key("default")? || namespace.contains_key("__esModule")? {
                return Ok(namespace.into_value());
            }
            // As Node does for what was compiled from ES modules and looks for this mark.
            let text = format!(
                "export * from {specifier}; export {{ default }} from {specifier}; export const __esModule = true;"
            );
            let (marked, _) = Module::declare(ctx.clone(), format!("{INTERNAL}:marked:{path}"), text)?.eval()?;
            Ok(marked.namespace()?.into_value())
        }
        PromiseState::Rejected => done.result().unwrap_or(Err(rquickjs::Error::Unknown)),
        PromiseState::Pending => Err(super::natives::coded(
            ctx,
            &format!("require() cannot be used on an ES module with top-level await: {path}"),
            "ERR_REQUIRE_ASYNC_MODULE",
        )),
    }
}

/// The engine's hook for `import`.
pub(super) struct EsLoader(pub(super) Rc<State>);

impl Resolver for EsLoader {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        let (specifier, query) = match name.split_once('?') {
            Some((specifier, query)) => (specifier, format!("?{query}")),
            None => (name, String::new()),
        };
        let base = base.split_once('?').map_or(base, |(base, _)| base);
        match resolve::resolve(specifier, Path::new(base), Asker::Import, &self.0) {
            // Its `loadServices` starts from the directory of the file that imports it.
            Ok(Target::Builtin(name)) if name == "baton" => Ok(format!("node:baton?{base}")),
            Ok(Target::Builtin(name)) => Ok(format!("node:{name}")),
            Ok(Target::File(path)) => {
                // Bridges of ours ask for what `require` may have, and the process file is no import.
                let is_json = path.extension().is_some_and(|extension| extension == "json");
                if is_json && base.starts_with('/') && !says_json(attributes)? {
                    let url = resolve::file_url(&path);
                    let text = format!("Module \"{url}\" needs an import attribute of \"type: json\"");
                    return Err(super::natives::coded(ctx, &text, "ERR_IMPORT_ATTRIBUTE_MISSING"));
                }
                Ok(format!("{}{query}", path.display()))
            }
            Err(missing) => Err(not_found(ctx, specifier, Path::new(base), Asker::Import, missing)),
        }
    }
}

impl Loader for EsLoader {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        let load = self.0.load.borrow().clone();
        let load = load.ok_or(rquickjs::Error::Unknown)?.restore(ctx)?;
        if name.starts_with("node:") {
            let exports: Value = load.call((name,))?;
            return synthetic(ctx, name, own_names(&exports)?, load);
        }
        let path = Path::new(name.split_once('?').map_or(name, |(path, _)| path));
        let source = read_source(ctx, path, &self.0)?;
        match format(ctx, path, &source, &self.0) {
            Format::Json | Format::Addon => synthetic(ctx, name, IndexSet::new(), load),
            Format::CommonJs => {
                let names = self.exported_names(path, &source, 0);
                synthetic(ctx, name, names, load)
            }
            Format::EsModule => {
                self.0.note_es_module(name);
                let module = Module::declare(ctx.clone(), name, source)?;
                let meta = module.meta()?;
                meta.set("dirname", path.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned())?;
                meta.set("filename", path.to_string_lossy().into_owned())?;
                meta.set("resolve", self.meta_resolve(ctx, path)?)?;
                let query = &name[path.as_os_str().len()..];
                meta.set("url", format!("{}{query}", resolve::file_url(path)))?;
                Ok(module)
            }
        }
    }
}

impl EsLoader {
    /// `import.meta.resolve`.
    fn meta_resolve<'js>(&self, ctx: &Ctx<'js>, path: &Path) -> Result<Function<'js>> {
        let (state, base) = (self.0.clone(), path.to_path_buf());
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, specifier: String| -> Result<String> {
            match resolve::resolve(&specifier, &base, Asker::Import, &state) {
                Ok(Target::Builtin(name)) => Ok(format!("node:{name}")),
                Ok(Target::File(path)) => Ok(resolve::file_url(&path)),
                Err(missing) => Err(not_found(&ctx, &specifier, &base, Asker::Import, missing)),
            }
        })
    }

    /// The names that a CommonJS file exports, with those it passes on from others.
    fn exported_names(&self, path: &Path, source: &str, depth: u32) -> IndexSet<String> {
        let found = lexer::exports(source);
        let mut names = found.names;
        if depth < 5 {
            for specifier in found.passed_on {
                let target = resolve::resolve(&specifier, path, Asker::Require, &self.0);
                let Ok(Target::File(target)) = target else { continue };
                let Ok(source) = std::fs::read_to_string(&target) else { continue };
                if target.extension().is_some_and(|extension| extension == "json") {
                    continue;
                }
                names.extend(self.exported_names(&target, &source, depth + 1));
            }
        }
        names
    }
}

/// Whether an import says `with { type: 'json' }`.
fn says_json(attributes: Option<ImportAttributes<'_>>) -> Result<bool> {
    let kind = attributes.map(|attributes| attributes.get_type()).transpose()?.flatten();
    Ok(kind.as_deref() == Some("json"))
}

fn own_names(exports: &Value<'_>) -> Result<IndexSet<String>> {
    match exports.as_object() {
        Some(object) => object.keys::<String>().collect(),
        None => Ok(IndexSet::new()),
    }
}

/// A module whose default export is what `load(name)` gives, and whose other exports are properties of that. Loading
/// happens when the module is evaluated, in its place in the order of imports.
fn synthetic<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    names: IndexSet<String>,
    load: Function<'js>,
) -> Result<Module<'js, Declared>> {
    let path = if name.starts_with("node:") { name } else { name.split_once('?').map_or(name, |(path, _)| path) };
    let mut text = String::from("const whole = import.meta.load(import.meta.name), of = Object(whole);\n");
    let mut exports = vec!["whole as default".to_owned(), "whole as 'module.exports'".to_owned()];
    for (number, name) in names.iter().filter(|name| !matches!(name.as_str(), "default" | "module.exports")).enumerate()
    {
        let name = serde_json::to_string(name).unwrap_or_default();
        text.push_str(&format!("const v{number} = of[{name}];\n"));
        exports.push(format!("v{number} as {name}"));
    }
    text.push_str(&format!("export {{ {} }};", exports.join(", ")));
    let module = Module::declare(ctx.clone(), name, text)?;
    let meta = module.meta()?;
    meta.set("load", load)?;
    meta.set("name", path)?;
    Ok(module)
}
