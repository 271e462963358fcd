//! Process files written in JavaScript, evaluated by an embedded engine: no Node needed.
//!
//! The engine is QuickJS with Node's module systems and builtins of our own on top:
//!
//! * `engine`: one evaluation on a thread of its own, with a time and a memory limit;
//! * `module`: CommonJS and ES modules (`builtins/bootstrap.js` is the other half);
//! * `resolve`: Node's look-up of a specifier, from path to `package.json` conditions;
//! * `natives`: what the builtins need from the system; everything with an effect is journalled;
//! * `builtins/`: one source per builtin, compiled when it is first required;
//! * `exports`: which of the shapes seen in the wild an export has, and the apps in it;

//!
//! The engine serves a user's own file that runs as that user. It limits accidents (endless loops, memory), it is
//! no security boundary.

mod engine;
mod errors;
pub mod exports;
mod lexer;
mod module;
mod natives;

mod resolve;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_core::spec::Environment;
use serde_json::Value;

pub use errors::{JsError, JsErrorKind, Place};

/// What to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file itself, as CommonJS or as an ES module.
    File,
    /// A text that stands for the file and is one JavaScript expression: PM2's loose JSON, with comments, single
    /// quotes, unquoted keys and trailing commas.
    Expression(String),
}

/// How far an evaluation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time until the evaluation is stopped.
    pub time: Duration,
    /// Bytes that the JavaScript heap may hold.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(5), memory: 256 << 20 }
    }
}

/// The world that the file sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsOptions {
    /// `process.env`: a copy, so an assignment in the file never reaches the caller.
    pub env: Environment,
    /// `process.cwd()`, and what relative paths given to `fs` start from. Absolute.
    pub cwd: PathBuf,
    /// `process.argv`; empty means the path of `node` alone.
    pub argv: Vec<String>,
    /// Time and memory limits.
    pub limits: Limits,
}

/// What a process file gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The export, after promises were awaited and functions called: what `JSON.stringify` makes of it in Node.
    pub value: Value,
    /// Every file read on the way, the process file first, in order, each once.
    pub inputs: Vec<PathBuf>,
    /// Files that were looked for and not found: their appearance would change the result.
    pub absent: Vec<PathBuf>,
    /// Directories that were listed.
    pub directories: Vec<PathBuf>,
    /// What the file printed, to stdout and stderr alike.
    pub console: Vec<u8>,
}

/// Evaluates the process file at `path` in the embedded engine.
///
/// # Errors
/// Everything a file can do wrong: see [`JsErrorKind`].
pub fn evaluate(path: &Path, source: Source, options: &JsOptions) -> Result<Evaluated, JsError> {
    engine::run(path, source, options)
}

/// Turns the source of `path` into plain JavaScript, keeping every line and column.
///
/// The one place where a dialect with types would be stripped; JavaScript passes as it is.
fn strip(_path: &Path, source: String) -> String {
    source
}
