//! What the JavaScript builtins need from the system.
//!
//! Functions come in groups (`binding("fs")`), made when a builtin first asks. Everything that changes something
//! outside the evaluation is noted with [`State::note_effect`] before it is done.

mod child;
mod digest;
mod fs;
mod interfaces;
mod os;
mod text;

use std::io;
use std::path::Path;
use std::rc::Rc;

use rquickjs::function::Constructor;
use rquickjs::{Ctx, Exception, Function, IntoJs, Object, Result, Value};

use super::module;
use super::resolve::{self, Asker, Target};
use super::state::{State, Stop};
use super::{Trace, Undefined, well_formed};
use crate::ts::Diagnostic;
use crate::{glob, keys, words};

pub(super) use child::{Outcome, kill_running, supervise};

/// The functions that `bootstrap.js` starts with.
pub(super) fn core<'js>(ctx: &Ctx<'js>, state: &Rc<State>) -> Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    let s = state.clone();
    native.set(
        "resolve",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, specifier: String, base: String| -> Result<String> {
            match resolve::resolve(&specifier, Path::new(&base), Asker::Require, &s) {
                Ok(Target::Builtin(name)) => Ok(format!("node:{name}")),
                Ok(Target::File(path)) => Ok(path.to_string_lossy().into_owned()),
                Err(missing) => Err(module::not_found(&ctx, &specifier, Path::new(&base), Asker::Require, missing)),
            }
        }),
    )?;
    let s = state.clone();
    native.set(
        "readSource",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| module::read_source(&ctx, Path::new(&path), &s)),
    )?;
    let s = state.clone();
    native.set(
        "format",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String, source: String| {
            module::format(&ctx, Path::new(&path), &source, &s).name()
        }),
    )?;
    let s = state.clone();
    native.set(
        "compile",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, source: String, path: String| {
            module::compile(&ctx, Path::new(&path), &source, &s)
        }),
    )?;
    let s = state.clone();
    native.set(
        "expression",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String, text: String| {
            module::expression(&ctx, Path::new(&path), &text, &s)
        }),
    )?;
    native.set(
        "builtin",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, name: String| module::compile_builtin(&ctx, &name)),
    )?;
    native.set("builtinNames", Function::new(ctx.clone(), module::builtin_names))?;
    native.set(
        "parseJson",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, path: String, text: String| {
            module::parse_json(&ctx, Path::new(&path), &text)
        }),
    )?;
    native.set(
        "requireModule",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, path: String| module::require_module(&ctx, &path)),
    )?;
    let s = state.clone();
    let undefined = move |app: String, map: String, name: String| s.note_undefined(Undefined { app, map, name });
    native.set("undefinedVariable", Function::new(ctx.clone(), undefined))?;
    let s = state.clone();
    native.set("esModules", Function::new(ctx.clone(), move || s.es_modules()))?;
    let s = state.clone();
    let exported = move |lists: String| s.note_exported(serde_json::from_str(&well_formed(&lists)).unwrap_or_default());
    native.set("exportedLists", Function::new(ctx.clone(), exported))?;
    let s = state.clone();
    let traces = move |told: String| {
        s.note_traces(Trace::read_all(&serde_json::from_str(&well_formed(&told)).unwrap_or_default()));
    };
    native.set("envTraces", Function::new(ctx.clone(), traces))?;
    let s = state.clone();
    native.set("print", Function::new(ctx.clone(), move |text: String| s.print(text.as_bytes())))?;
    let s = state.clone();
    native.set(
        "unsupported",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, api: String| -> Result<()> {
            s.note_unsupported(&api);
            Err(coded(&ctx, &format!("{api} is not available in the embedded engine"), "ERR_UNSUPPORTED"))
        }),
    )?;
    let s = state.clone();
    native.set("environment", Function::new(ctx.clone(), move |ctx: Ctx<'js>| environment(&ctx, &s)))?;
    let s = state.clone();
    native.set(
        "binding",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, name: String| -> Result<Object<'js>> {
            let group = Object::new(ctx.clone())?;
            match name.as_str() {
                "baton" => helpers(&ctx, &group, &s)?,
                "fs" => fs::define(&ctx, &group, &s)?,
                "os" => os::define(&ctx, &group)?,
                "process" => process(&ctx, &group, &s)?,
                "child_process" => child::define(&ctx, &group, &s)?,
                "crypto" => digest::define(&ctx, &group)?,
                "text" => text::define(&ctx, &group)?,
                other => return Err(coded(&ctx, other, "ERR_UNKNOWN_BINDING")),
            }
            Ok(group)
        }),
    )?;
    Ok(native)
}

/// The environment as the file was started with, as a new object.
fn environment<'js>(ctx: &Ctx<'js>, state: &State) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    for (name, value) in &state.env {
        object.set(name.as_str(), value.as_str())?;
    }
    Ok(object)
}

/// What the helpers of `require("baton")` ask for.
fn helpers<'js>(ctx: &Ctx<'js>, group: &Object<'js>, state: &Rc<State>) -> Result<()> {
    let field = |written: String| keys::find(&written).map(|(field, _)| field.name);
    group.set("field", Function::new(ctx.clone(), field))?;
    group.set("words", Function::new(ctx.clone(), |text: String| words::split(&text)))?;
    let s = state.clone();
    let files = move |pattern: String, base: String| -> Vec<String> {
        let found = glob::files(&pattern, Path::new(&base), |directory| s.note_directory(directory));
        found.into_iter().map(|file| file.to_string_lossy().into_owned()).collect()
    };
    group.set("glob", Function::new(ctx.clone(), files))
}

fn process<'js>(ctx: &Ctx<'js>, group: &Object<'js>, state: &Rc<State>) -> Result<()> {
    group.set("argv", state.argv.clone())?;
    group.set("pid", std::process::id())?;
    group.set("ppid", std::os::unix::process::parent_id())?;
    group.set("uid", rustix::process::getuid().as_raw())?;
    group.set("gid", rustix::process::getgid().as_raw())?;
    group.set("euid", rustix::process::geteuid().as_raw())?;
    group.set("egid", rustix::process::getegid().as_raw())?;
    group.set("platform", if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS })?;
    group.set("arch", os::architecture())?;
    let s = state.clone();
    group.set("cwd", Function::new(ctx.clone(), move || s.cwd().to_string_lossy().into_owned()))?;
    let s = state.clone();
    group.set(
        "chdir",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| -> Result<()> {
            let target = resolve::normalise(&s.absolute(&path));
            let found = std::fs::metadata(&target).and_then(|found| {
                if found.is_dir() {
                    Ok(())
                } else {
                    Err(io::Error::from_raw_os_error(rustix::io::Errno::NOTDIR.raw_os_error()))
                }
            });
            found.map_err(|error| errno(&ctx, &error, "chdir", Some(Path::new(&path))))?;
            s.set_cwd(target);
            Ok(())
        }),
    )?;
    let s = state.clone();
    group.set(
        "stop",
        // The engine asks the interrupt handler soon after; `process.exit` loops until then.
        Function::new(ctx.clone(), move |code: i32| s.stop.set(Some(Stop::Exit(code)))),
    )?;
    let s = state.clone();
    group.set(
        "which",
        Function::new(ctx.clone(), move |name: String| -> Option<String> {
            let path = s.env.get("PATH")?;
            let found =
                std::env::split_paths(path).map(|directory| directory.join(&name)).find(|file| file.is_file())?;
            Some(found.to_string_lossy().into_owned())
        }),
    )?;
    let started = std::time::Instant::now();
    group.set("elapsed", Function::new(ctx.clone(), move || started.elapsed().as_secs_f64()))?;
    group.set("memory", Function::new(ctx.clone(), os::resident_bytes))?;
    Ok(())
}

/// Throws an `Error` with a `code`.
pub(super) fn coded(ctx: &Ctx<'_>, message: &str, code: &str) -> rquickjs::Error {
    throw(ctx, message, &[("code", code.into_js(ctx))])
}

/// Throws the error that Node gives for a failed system call: `ENOENT: no such file or directory, open '/x'`.
pub(super) fn errno(ctx: &Ctx<'_>, error: &io::Error, call: &str, path: Option<&Path>) -> rquickjs::Error {
    let number = error.raw_os_error().unwrap_or(0);
    let (code, text) = errno_name(number);
    let text = if text.is_empty() { error.to_string() } else { text.to_owned() };
    let path = path.map(|path| path.to_string_lossy().into_owned());
    let shown = path.as_ref().map(|path| format!(" '{path}'")).unwrap_or_default();
    let mut properties =
        vec![("errno", (-number).into_js(ctx)), ("code", code.into_js(ctx)), ("syscall", call.into_js(ctx))];
    if let Some(path) = path {
        properties.push(("path", path.into_js(ctx)));
    }
    throw(ctx, &format!("{code}: {text}, {call}{shown}"), &properties)
}

/// Throws a `SyntaxError` that names a position in a file.
pub(super) fn syntax(ctx: &Ctx<'_>, path: &Path, wrong: &Diagnostic) -> rquickjs::Error {
    let make = || -> Result<Value<'_>> {
        let constructor: Constructor = ctx.globals().get("SyntaxError")?;
        let error: Object = constructor.construct((wrong.message.as_str(),))?;
        error.set("stack", format!("    at {}:{}:{}", path.display(), wrong.line, wrong.column))?;
        Ok(error.into_value())
    };
    match make() {
        Ok(error) => ctx.throw(error),
        Err(error) => error,
    }
}

fn throw<'js>(ctx: &Ctx<'js>, message: &str, properties: &[(&str, Result<Value<'js>>)]) -> rquickjs::Error {
    let make = || -> Result<Value<'js>> {
        let error = Exception::from_message(ctx.clone(), message)?.into_object();
        for (name, value) in properties {
            if let Ok(value) = value {
                error.set(*name, value.clone())?;
            }
        }
        Ok(error.into_value())
    };
    match make() {
        Ok(error) => ctx.throw(error),
        Err(error) => error,
    }
}

/// Node's name and words for an errno. An unknown one has no words: the system's are used.
fn errno_name(number: i32) -> (&'static str, &'static str) {
    use rustix::io::Errno;
    match Errno::from_raw_os_error(number) {
        Errno::NOENT => ("ENOENT", "no such file or directory"),
        Errno::ACCESS => ("EACCES", "permission denied"),
        Errno::PERM => ("EPERM", "operation not permitted"),
        Errno::EXIST => ("EEXIST", "file already exists"),
        Errno::NOTDIR => ("ENOTDIR", "not a directory"),
        Errno::ISDIR => ("EISDIR", "illegal operation on a directory"),
        Errno::NOTEMPTY => ("ENOTEMPTY", "directory not empty"),
        Errno::INVAL => ("EINVAL", "invalid argument"),
        Errno::LOOP => ("ELOOP", "too many symbolic links encountered"),
        Errno::NAMETOOLONG => ("ENAMETOOLONG", "name too long"),
        Errno::ROFS => ("EROFS", "read-only file system"),
        Errno::NOSPC => ("ENOSPC", "no space left on device"),
        Errno::MFILE => ("EMFILE", "too many open files"),
        Errno::XDEV => ("EXDEV", "cross-device link not permitted"),
        Errno::TIMEDOUT => ("ETIMEDOUT", "connection timed out"),
        _ => ("UNKNOWN", ""),
    }
}
