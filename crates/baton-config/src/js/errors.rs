//! What can go wrong in a process file, and the one clear message that each gives.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rquickjs::{CaughtError, Coerced, Ctx, Object, Value};

use super::state::State;

/// A position in a file; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: u32,
    /// The column, in UTF-16 units as JavaScript counts.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A process file could not be evaluated.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct JsError {
    /// What happened.
    pub kind: Box<JsErrorKind>,
    /// What the file had printed until then.
    pub console: Vec<u8>,
    /// The paths read or looked for until then: a change of one of them is worth another attempt.
    pub inputs: Vec<PathBuf>,
    /// What it had done until then that cannot be undone. Empty: running it again is safe.
    pub effects: Vec<String>,
}

/// What happened. The texts read after "process file X: ".
#[derive(Debug, thiserror::Error)]
pub enum JsErrorKind {
    /// The process file itself cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The process file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A syntax error, in the file or in one that it loads.
    #[error("{}{message}", position(.place))]
    Syntax {
        /// `SyntaxError: …`.
        message: String,
        /// Where.
        place: Option<Place>,
        /// The source line with a caret below it.
        excerpt: Option<String>,
    },
    /// The file threw.
    #[error("{}{message}{}", position(.place), trail(.trace))]
    Thrown {
        /// `Name: message`, or the thrown value where it is no `Error`.
        message: String,
        /// `error.code`, such as `MODULE_NOT_FOUND`.
        code: Option<String>,
        /// The innermost position in a file.
        place: Option<Place>,
        /// The source line with a caret below it.
        excerpt: Option<String>,
        /// The positions that led there, inner first, without the first.
        trace: Vec<Place>,
    },
    /// The time limit passed.
    #[error("not done after {} s: stopped", .limit.as_secs_f64())]
    Time {
        /// The limit.
        limit: Duration,
    },
    /// The memory limit was reached.
    #[error("needs more than {} MB of memory: stopped", .limit >> 20)]
    Memory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The export waits for a promise that nothing will ever settle.
    #[error("its promise never settles: there is nothing left to wait for")]
    NeverSettles,
    /// The file called `process.exit`.
    #[error("called process.exit({code}) before it exported anything")]
    Exit {
        /// The exit code it gave.
        code: i32,
    },
    /// The file called something that only the real Node has.
    #[error("{api} is not available in the embedded engine{}", done(.effects))]
    Unsupported {
        /// What it called, such as `http.createServer`.
        api: String,
        /// What it had done before that cannot be undone. Empty: running it again in Node is safe.
        effects: Vec<String>,
    },
    /// The export has no JSON form.
    #[error("its export cannot be turned into JSON: {0}")]
    NotJson(String),
    /// The file exports nothing.
    #[error("exports nothing")]
    Nothing,
    /// `--loader node`: Node could not be run, or failed.
    #[error("node: {0}")]
    Node(String),
    /// The engine itself failed.
    #[error("the embedded JavaScript engine failed: {0}")]
    Engine(String),
}

impl JsErrorKind {
    /// The position to point at, where one is known.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Syntax { place, .. } | Self::Thrown { place, .. } => place.as_ref(),
            _ => None,
        }
    }

    /// The source line at that position, with a caret below it.
    pub fn excerpt(&self) -> Option<&str> {
        match self {
            Self::Syntax { excerpt, .. } | Self::Thrown { excerpt, .. } => excerpt.as_deref(),
            _ => None,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Thrown { code: Some(code), .. } if code.ends_with("MODULE_NOT_FOUND") => {
                Some("install the package where the file is, or correct the path".to_owned())
            }
            Self::Time { .. } => Some("look for a loop that does not end, or for slow commands".to_owned()),
            Self::NeverSettles => Some("resolve the promise, or export a plain object".to_owned()),
            Self::Unsupported { effects, .. } if effects.is_empty() => {
                Some("install Node, which then evaluates this file, or avoid the call".to_owned())
            }
            Self::Unsupported { .. } => {
                Some("it is not run a second time by itself: `--loader node` evaluates it in Node only".to_owned())
            }
            Self::Nothing | Self::NotJson(_) => {
                Some("export an object with an `apps` array, such as `module.exports = { apps: [ … ] }`".to_owned())
            }
            _ => None,
        }
    }
}

fn position(place: &Option<Place>) -> String {
    place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default()
}

fn trail(trace: &[Place]) -> String {
    trace.iter().map(|place| format!("\n    at {place}")).collect()
}

fn done(effects: &[String]) -> String {
    if effects.is_empty() { String::new() } else { format!(", and the file already did: {}", effects.join(", ")) }
}

/// Describes what the engine threw.
pub(super) fn describe(ctx: &Ctx<'_>, error: rquickjs::Error, state: &State) -> JsErrorKind {
    match CaughtError::from_error(ctx, error) {
        CaughtError::Error(rquickjs::Error::Allocation) => JsErrorKind::Memory { limit: state.memory_limit },
        CaughtError::Error(error) => JsErrorKind::Engine(error.to_string()),
        CaughtError::Exception(exception) => describe_object(exception.as_object(), state),
        CaughtError::Value(value) => describe_value(ctx, &value, state),
    }
}

fn describe_value<'js>(ctx: &Ctx<'js>, value: &Value<'js>, state: &State) -> JsErrorKind {
    // With no memory left for an error object the engine throws a bare null.
    if value.is_null() {
        return JsErrorKind::Memory { limit: state.memory_limit };
    }
    let text = value.clone().into_string().and_then(|text| text.to_string().ok());
    let text = text.or_else(|| ctx.json_stringify(value.clone()).ok()??.to_string().ok());
    let text = text.unwrap_or_else(|| value.type_of().as_str().to_owned());
    JsErrorKind::Thrown { message: format!("threw {text}"), code: None, place: None, excerpt: None, trace: Vec::new() }
}

fn describe_object(error: &Object<'_>, state: &State) -> JsErrorKind {
    // An accessor of the file's own may throw here: then the property counts as absent.
    let text = |key: &str| error.get::<_, Option<Coerced<String>>>(key).ok().flatten().map(|text| text.0);
    let name = text("name").unwrap_or_else(|| "Error".to_owned());
    let message = text("message").unwrap_or_default();
    if name == "InternalError" && message.contains("out of memory") {
        return JsErrorKind::Memory { limit: state.memory_limit };
    }
    let stack = text("stack").unwrap_or_default();
    let places = stack.lines().filter_map(frame).map(|place| unshifted(place, state)).collect();
    thrown(&name, &message, text("code"), places)
}

/// Words an error from its parts; `places` inner first.
pub(super) fn thrown(name: &str, message: &str, code: Option<String>, places: Vec<Place>) -> JsErrorKind {
    let mut places = places.into_iter();
    let place = places.next();
    let excerpt = place.as_ref().and_then(excerpt);
    let message = match (name, message) {
        ("", message) => message.to_owned(),
        (name, "") => name.to_owned(),
        (name, message) => format!("{name}: {message}"),
    };
    if name == "SyntaxError" {
        JsErrorKind::Syntax { message, place, excerpt }
    } else {
        JsErrorKind::Thrown { message, code, place, excerpt, trace: places.collect() }
    }
}

/// Takes back what our text before a file's own moved the columns of its first line.
fn unshifted(place: Place, state: &State) -> Place {
    let shift = if place.line == 1 { state.columns_before(&place.file) } else { 0 };
    Place { column: place.column.saturating_sub(shift).max(1), ..place }
}

/// Reads one line of a stack, such as `    at f (/a/b.js:3:11)`; `None` for frames of builtins.
pub(super) fn frame(line: &str) -> Option<Place> {
    let line = line.trim().strip_prefix("at ")?;
    let inner = match line.strip_suffix(')') {
        Some(line) => &line[line.find(" (")? + 2..],
        None => line,
    };
    let mut parts = inner.rsplitn(3, ':');
    let column: u32 = parts.next()?.parse().ok()?;
    let row: u32 = parts.next()?.parse().ok()?;
    let file = parts.next()?;
    file.starts_with('/').then(|| Place { file: file.into(), line: row, column })
}

/// The line that a place names, with a caret below the column.
fn excerpt(place: &Place) -> Option<String> {
    let text = std::fs::read_to_string(&place.file).ok()?;
    let line = text.lines().nth(place.line as usize - 1)?;
    // A minified file is one endless line: no picture is better than a page of it.
    if line.len() > 300 {
        return None;
    }
    let number = place.line.to_string();
    let before = line.chars().take(place.column as usize - 1);
    let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("{number} | {line}\n{} | {indent}^", " ".repeat(number.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_files_are_read_and_those_of_builtins_are_not() {
        let place = frame("    at make (/srv/a b/helper.js:3:11)").unwrap();
        assert_eq!(place, Place { file: "/srv/a b/helper.js".into(), line: 3, column: 11 });
        assert_eq!(frame("    at /srv/x.mjs:12:1").unwrap().line, 12);
        assert_eq!(frame("    at require (node:internal:20:7)"), None);
        assert_eq!(frame("    at forEach (native)"), None);
    }
}
