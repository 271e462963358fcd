//! What an app runs: the script found, a command line wrapped, an interpreter chosen.

use super::values::Values;
use crate::error::ConfigError;
use crate::options::Context;
use crate::{interpreter, paths, statics, target, words};
use std::path::{Path, PathBuf};

/// What is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The file, or the word as written when there is no such program.
    pub(super) script: String,
    /// `none`, a name on PATH or a path.
    pub(super) interpreter: String,
    /// Arguments of the interpreter.
    pub(super) interpreter_args: Vec<String>,
    /// Arguments of the script.
    pub(super) args: Vec<String>,
    /// The app's name when it has none.
    pub(super) default_name: String,
}

/// Whether the script was found, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file, or a directory that node can run.
    File(PathBuf),
    /// A command line for the shell.
    CommandLine,
    /// No such file in `cwd`, and no such program on PATH.
    Nothing(PathBuf),
}

/// Looks a script up: in `cwd`, then on PATH; what is neither and contains a blank is a command line.
pub(super) fn find(script: &str, cwd: &Path, context: &Context<'_>) -> Found {
    let environment = &context.options.caller_env;
    let path = paths::absolute(cwd, script, environment);
    // A directory that happens to be called like a program (`node`, `server`) does not hide it.
    if path.is_file() || target::is_program_directory(&path) {
        return Found::File(path);
    }
    if let Some(program) = paths::on_path(script, environment, cwd) {
        return Found::File(program);
    }
    if path.exists() && !path.is_dir() {
        return Found::File(path);
    }
    if script.trim().contains(char::is_whitespace) { Found::CommandLine } else { Found::Nothing(path) }
}

/// Puts together what is run. A missing program is no error here: the app is passed on, and its start fails with the
/// reason while the other apps of the file run.
pub(super) fn program(values: &mut Values, cwd: &Path, context: &Context<'_>) -> Result<Program, ConfigError> {
    let Some(script) = values.text("script").map(str::to_owned) else {
        let app = if values.label.is_empty() { "the app".into() } else { values.label.clone() };
        return Err(ConfigError::NoScript { place: values.place.clone(), app });
    };
    let environment = &context.options.caller_env;
    let mut program = Program {
        default_name: default_name(&script, cwd),
        script,
        interpreter: explicit_interpreter(values, cwd, context)?.unwrap_or_default(),
        interpreter_args: values.texts("node_args"),
        args: values.texts("args"),
    };
    if context.file.is_some() && program.interpreter.is_empty() && statics::is_server(&program.script, &program.args) {
        let own = std::env::current_exe().map_err(|error| ConfigError::Shape {
            place: values.place.clone(),
            what: format!("{}: the path of this program: {error}", values.label),
        })?;
        program.script = paths::text(&own);
        program.interpreter = "none".into();
        program.args.insert(0, statics::VERB.into());
        return Ok(program);
    }
    match find(&program.script, cwd, context) {
        Found::File(path) => {
            program.script = paths::text(&path);
            if program.interpreter.is_empty() {
                let found = interpreter::detect(&path, environment).map_err(|what| ConfigError::Interpreter {
                    place: values.place.clone(),
                    app: values.label.clone(),
                    what: what.into(),
                    help: "install bun or a newer Node, or set `interpreter`",
                })?;
                program.interpreter = found.program;
                program.interpreter_args.splice(0..0, found.args);
            }
        }
        Found::CommandLine => {
            let mut line = program.script;
            for arg in &program.args {
                line.push(' ');
                line.push_str(&words::quote(arg));
            }
            let shell = paths::on_path("bash", environment, cwd).or_else(|| paths::on_path("sh", environment, cwd));
            program.script = shell.map_or_else(|| "/bin/sh".into(), |shell| paths::text(&shell));
            program.args = vec!["-c".into(), line];
            program.interpreter = "none".into();
        }
        Found::Nothing(path) => {
            let bare = !program.script.contains('/') && Path::new(&program.script).extension().is_none();
            if bare {
                values.warn(format_args!("Script not found: `{}` is no file and no program on PATH", program.script));
            } else {
                values.warn(format_args!("Script not found: {}", path.display()));
                program.script = paths::text(&path);
            }
            if program.interpreter.is_empty() {
                program.interpreter = by_name(&path, environment);
            }
        }
    }
    Ok(program)
}

/// The interpreter that a script will have once it is there.
fn by_name(path: &Path, environment: &baton_core::spec::Environment) -> String {
    let known = path.extension().is_some();
    // Only the extension can speak: the file is missing, so its content reads as `none`.
    let found = known.then(|| interpreter::detect(path, environment).ok()).flatten();
    found.map_or_else(|| "none".into(), |found| found.program)
}

fn explicit_interpreter(values: &Values, cwd: &Path, context: &Context<'_>) -> Result<Option<String>, ConfigError> {
    let Some(given) = values.text("interpreter").filter(|given| !given.is_empty()) else { return Ok(None) };
    if given.starts_with("node@") {
        return Err(ConfigError::Interpreter {
            place: values.place.clone(),
            app: values.label.clone(),
            what: format!("interpreter `{given}`: choosing a version of node is not available yet"),
            help: "write `node`, or the path of the node to use",
        });
    }
    let is_path = given.contains('/') || given == "~";
    Ok(Some(if is_path {
        paths::text(&paths::absolute(cwd, given, &context.options.caller_env))
    } else {
        given.to_owned()
    }))
}

/// The file name of the script, or of a whole command line, cut at its last dot; a directory's own name.
fn default_name(script: &str, cwd: &Path) -> String {
    let base = match script.trim_end_matches('/').rsplit('/').next() {
        None | Some("" | "." | "..") => {
            let directory = target::resolve(cwd, script);
            return directory.file_name().map_or_else(|| script.into(), |name| name.to_string_lossy().into_owned());
        }
        Some(base) => base,
    };
    match base.rfind('.') {
        Some(at) if at > 0 => base[..at].into(),
        _ => base.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::default_name;
    use std::path::Path;

    #[test]
    fn an_app_is_called_like_its_script() {
        for (script, name) in [
            ("app.js", "app"),
            ("dist/server.min.js", "server.min"),
            ("sleep 100", "sleep 100"),
            ("node echo.js --a b", "node echo"),
            (".hidden", ".hidden"),
            ("npm", "npm"),
            (".", "project"),
            ("./", "project"),
            ("..", "srv"),
            ("api/", "api"),
        ] {
            assert_eq!(default_name(script, Path::new("/srv/project")), name, "{script}");
        }
    }
}
