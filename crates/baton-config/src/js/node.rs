//! Evaluation by the real Node.
//!
//! `builtins/harness.js` runs in it, behind files that the embedded engine uses too, and prints the result as one
//! line that starts with a marker no file can know; everything else that arrives is the file's own output.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use baton_core::spec::{FIELDS, LATER};
use serde_json::{Map, Value, json};

use super::errors::{self, JsError, JsErrorKind, Place};
use super::natives::{Outcome, supervise};
use super::state::RunningChild;
use super::{Evaluated, JsOptions, Source, Trace, Undefined};
use crate::keys;

/// What Node may take beyond the limit of the file, to start: on a busy machine it takes seconds, which are not the
/// file's doing.
const START: Duration = Duration::from_secs(15);

/// The program that Node runs.
const PROGRAM: &str = concat!(
    include_str!("builtins/settle.js"),
    "\nconst settle = module.exports;\n",
    include_str!("builtins/modules.js"),
    "\nconst modules = module.exports;\n",
    include_str!("builtins/baton_in_node.js"),
    "\nconst batonInNode = module.exports;\nconst makeHelpers = (native) => { const module = { exports: {} };\n",
    include_str!("builtins/baton.js"),
    "\nreturn module.exports; };\n",
    include_str!("builtins/harness.js")
);

/// Whether Node could do better with a file on which the embedded engine failed, without doing anything twice.
pub(super) fn helps(failure: &JsError, path: &Path, options: &JsOptions) -> bool {
    let worth_it = match &*failure.kind {
        JsErrorKind::Unsupported { .. } => true,
        // Of the process file itself: then nothing has run yet.
        JsErrorKind::Syntax { place: Some(place), .. } => {
            options.cwd.join(path).canonicalize().is_ok_and(|path| path == place.file)
        }
        _ => false,
    };
    worth_it && failure.effects.is_empty() && find(options).is_some()
}

/// Evaluates the process file at `path` in Node.
pub(super) fn run(path: &Path, source: Source, options: &JsOptions) -> Result<Evaluated, JsError> {
    let file = options.cwd.join(path);
    let file = match (file.canonicalize(), &source) {
        (Ok(file), _) => file,
        (Err(_), Source::Expression(_)) => file,
        (Err(error), Source::File) => {
            return Err(fail(JsErrorKind::Read { path: path.to_path_buf(), source: error }, Vec::new(), path));
        }
    };
    let (outcome, marker) = ask(&file, source, options).map_err(|kind| fail(*kind, Vec::new(), &file))?;
    let mut console = outcome.stderr;
    let (printed, report) = split(&outcome.stdout, &marker);
    console.extend_from_slice(printed);
    let report = match report {
        Some(report) => report,
        None if outcome.timed_out => {
            return Err(fail(JsErrorKind::Time { limit: options.limits.time + START }, console, &file));
        }
        None => {
            let how = match (outcome.status.code(), outcome.status.signal()) {
                (Some(code), _) => format!("ended with code {code}"),
                (None, Some(signal)) => format!("ended by signal {signal}"),
                (None, None) => "ended".to_owned(),
            };
            let said = String::from_utf8_lossy(&console).trim().to_owned();
            return Err(fail(JsErrorKind::Node(format!("{how} without a result: {said}")), Vec::new(), &file));
        }
    };
    interpret(report, console, file)
}

/// Node on the PATH of the file's environment.
fn find(options: &JsOptions) -> Option<PathBuf> {
    std::env::split_paths(options.env.get("PATH")?).map(|directory| directory.join("node")).find(|file| file.is_file())
}

fn ask(file: &Path, source: Source, options: &JsOptions) -> Result<(Outcome, String), Box<JsErrorKind>> {
    let failed = |error: std::io::Error| Box::new(JsErrorKind::Node(error.to_string()));
    let node = find(options).ok_or_else(|| Box::new(JsErrorKind::Node("not found on PATH".to_owned())))?;
    let marker = marker().map_err(failed)?;
    let expression = match source {
        Source::File => None,
        Source::Expression(text) => Some(text),
    };
    let input = json!({ "file": file, "marker": marker, "expression": expression, "argv": options.argv, "fields": spellings() });

    #[expect(clippy::disallowed_methods, reason = "Node as an evaluator, for as long as one file takes: it is no app")]
    let mut command = Command::new(node);
    command
        .arg(format!("--max-old-space-size={}", options.limits.memory >> 20))
        .args(["--input-type=commonjs", "--eval", PROGRAM])
        .current_dir(&options.cwd)
        .env_clear()
        .envs(&options.env)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(failed)?;
    let deadline = Instant::now() + options.limits.time + START;
    let input = Some(input.to_string().into_bytes());
    let outcome = supervise(child, input, None, deadline, &RunningChild::default()).map_err(failed)?;
    Ok((outcome, marker))
}

/// The keys of apps with the names that they go by, for the helpers.
fn spellings() -> Map<String, Value> {
    let all = FIELDS.iter().chain(LATER);
    let names = all.flat_map(|field| field.aliases.iter().chain([&field.name]).copied());
    names.filter_map(|name| Some((name.to_owned(), keys::find(name)?.0.name.into()))).collect()
}

fn marker() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("baton-{:032x}:", u128::from_le_bytes(bytes)))
}

/// Splits what arrived on stdout into the file's own output and the report.
fn split<'a>(stdout: &'a [u8], marker: &str) -> (&'a [u8], Option<Value>) {
    let Some(at) = stdout.windows(marker.len()).position(|window| window == marker.as_bytes()) else {
        return (stdout, None);
    };
    let rest = &stdout[at + marker.len()..];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let report = String::from_utf8_lossy(&rest[..end]);
    // The harness starts a new line first.
    (stdout[..at].strip_suffix(b"\n").unwrap_or(&stdout[..at]), serde_json::from_str(&super::well_formed(&report)).ok())
}

fn interpret(mut report: Value, console: Vec<u8>, file: PathBuf) -> Result<Evaluated, JsError> {
    let paths = |told: &Value| -> Vec<PathBuf> {
        told.as_array().into_iter().flatten().filter_map(Value::as_str).map(PathBuf::from).collect()
    };
    let mut inputs = vec![file.clone()];
    inputs.extend(paths(&report["inputs"]).into_iter().filter(|input| *input != file));
    let (looked_for, directories) = (paths(&report["lookedFor"]), paths(&report["directories"]));
    if let Some(kind) = failure(&report) {
        // A repair of any of them is worth another look.
        inputs.extend(looked_for);
        return Err(JsError { kind: Box::new(kind), console, inputs, effects: Vec::new() });
    }
    let traces = Trace::read_all(&report["traces"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let variable = |one: &Value| Undefined { app: text(&one[0]), map: text(&one[1]), name: text(&one[2]) };
    let undefined = report["without"].as_array().into_iter().flatten().map(variable).collect();
    let exported = serde_json::from_value(report["exported"].take()).unwrap_or_default();
    let value = report["value"].take();
    let exact = report.get("exact").and_then(Value::as_str).map(str::to_owned);
    Ok(Evaluated { value, exact, inputs, looked_for, directories, console, undefined, exported, traces, note: None })
}

/// Why there is no result.
fn failure(report: &Value) -> Option<JsErrorKind> {
    if let Some(error) = report.get("error") {
        let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
        let places = places(&text("stack").unwrap_or_default());
        let (name, message) = (text("name").unwrap_or_default(), text("message").unwrap_or_default());
        return Some(errors::thrown(&name, &message, text("code"), places));
    }
    if let Some(code) = report.get("exit").and_then(Value::as_i64) {
        return Some(JsErrorKind::Exit { code: code as i32 });
    }
    if report.get("pending").is_some() {
        return Some(JsErrorKind::NeverSettles);
    }
    (report["nothing"] == json!(true)).then_some(JsErrorKind::Nothing)
}

/// The positions in a stack of V8. That of a syntax error is its first line, without a column.
fn places(stack: &str) -> Vec<Place> {
    let first = stack.lines().next().and_then(|line| {
        let (file, line) = line.rsplit_once(':')?;
        file.starts_with('/').then_some(Place { file: file.into(), line: line.parse().ok()?, column: 1 })
    });
    let frames = stack.lines().filter_map(|line| errors::frame(&line.replace("file://", "")));
    first.into_iter().chain(frames).collect()
}

fn fail(kind: JsErrorKind, console: Vec<u8>, file: &Path) -> JsError {
    JsError { kind: Box::new(kind), console, inputs: vec![file.to_path_buf()], effects: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_told_from_what_the_file_prints() {
        let (printed, report) = split(b"hello\nbaton-1:{\"value\":1}\n", "baton-1:");
        assert_eq!((printed, report), (&b"hello"[..], Some(json!({ "value": 1 }))));
        assert_eq!(split(b"hello", "baton-1:"), (&b"hello"[..], None));
    }

    #[test]
    fn positions_in_a_stack_of_node_are_found() {
        let found = places("/a/b.js:4\n   { x }\n\nSyntaxError: no\n    at f (node:internal/x:1:2)");
        assert_eq!(found, [Place { file: "/a/b.js".into(), line: 4, column: 1 }]);
        let found = places("TypeError: no\n    at f (/a/b.js:3:7)\n    at file:///a/c.mjs:1:2");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Place { file: "/a/c.mjs".into(), line: 1, column: 2 });
    }
}
