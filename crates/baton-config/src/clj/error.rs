//! What can go wrong in a Clojure process file, and the one clear message that each gives.

use super::form::Span;
use super::reader::ReadError;
use super::value::Value;
use crate::error::{Place, Position, excerpt};
use std::path::PathBuf;

/// A Clojure process file could not be evaluated.
#[derive(Debug, thiserror::Error)]
#[error("{}{kind}", place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
pub struct CljError {
    /// What happened.
    pub kind: Box<CljErrorKind>,
    /// Where: in the process file or in one that it loads.
    pub place: Option<Place>,
    /// The source line with a caret below the place.
    pub excerpt: Option<Box<str>>,
    /// What the file had printed until then.
    pub console: Vec<u8>,
    /// The paths read or looked for until then: a change of one of them is worth another attempt.
    pub inputs: Vec<PathBuf>,
}

/// What happened. The texts read after a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CljErrorKind {
    /// A file cannot be read.
    #[error("{}: {reason}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The text is no Clojure.
    #[error("{0}")]
    Syntax(String),
    /// A symbol that nothing defines.
    #[error("`{name}` is not known{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// The symbol as written.
        name: String,
        /// The known one that it most likely means.
        near: Option<String>,
        /// Everything that could stand there, sorted.
        supported: Vec<String>,
    },
    /// A namespace or a file that is required and cannot be found.
    #[error("{what}; looked for {}", looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    Missing {
        /// What is missing.
        what: String,
        /// The files that would have done.
        looked: Vec<PathBuf>,
    },
    /// A form that has no meaning in a process file.
    #[error("{0}")]
    Unsupported(String),
    /// A function was given what it cannot take, or something of the same kind.
    #[error("{0}")]
    Failed(String),
    /// The file threw.
    #[error("threw {0}")]
    Thrown(String),
    /// Files that need each other.
    #[error("{0}")]
    Cycle(String),
    /// A limit was reached.
    #[error("{0}: stopped")]
    Limit(String),
    /// The file defines no apps.
    #[error("defines no apps")]
    Nothing,
    /// An entry, a mode or a path of the command line that the file does not have.
    #[error("{0}")]
    Choice(String),
}

impl CljErrorKind {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { supported, .. } if supported.is_empty() => return None,
            Self::Unknown { supported, .. } => format!("supported here: {}", supported.join(" ")),
            Self::Missing { .. } => "name the file after its namespace, with `_` for `-`, beside the file".into(),
            Self::Unsupported(_) => "write it without that form, or compile the file to .cjs".into(),
            Self::Limit(_) => "look for a loop or a recursion that does not end".into(),
            Self::Nothing => "end the file with `(ecosystem)`, `(compose …)` or a map with :apps".into(),
            Self::Cycle(_) => "move what both need into a file of its own".into(),
            Self::Read { .. } | Self::Syntax(_) | Self::Failed(_) | Self::Thrown(_) | Self::Choice(_) => return None,
        })
    }
}

/// Why an evaluation stops here: an error, or a jump to the enclosing `loop`.
#[derive(Debug)]
pub(super) enum Escape {
    Fault(Box<Fault>),
    Recur(Vec<Value>),
}

/// An error with its place, once one is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: CljErrorKind,
    pub(super) at: Option<Span>,
    /// What `catch` sees, where the file itself threw.
    pub(super) thrown: Option<Value>,
}

/// What evaluating gives.
pub(super) type Eval<T = Value> = Result<T, Escape>;

impl From<CljErrorKind> for Escape {
    fn from(kind: CljErrorKind) -> Escape {
        Escape::Fault(Box::new(Fault { kind, at: None, thrown: None }))
    }
}

impl From<ReadError> for Escape {
    fn from(error: ReadError) -> Escape {
        Escape::from(CljErrorKind::Syntax(error.message)).at(error.at)
    }
}

impl Escape {
    /// The place of the innermost form stays.
    pub(super) fn at(mut self, place: Span) -> Escape {
        if let Escape::Fault(fault) = &mut self {
            fault.at.get_or_insert(place);
        }
        self
    }
}

/// A wrong use of a function or a form.
pub(super) fn failed(message: impl Into<String>) -> Escape {
    CljErrorKind::Failed(message.into()).into()
}

/// An argument of the wrong kind.
pub(super) fn wants(function: &str, wanted: &str, value: &Value) -> Escape {
    let shown = super::print::short(value);
    if shown == value.kind() {
        return failed(format!("`{function}` needs {wanted}, and has {shown}"));
    }
    failed(format!("`{function}` needs {wanted}, and has {} ({shown})", value.kind()))
}

/// The error that leaves the evaluation.
pub(super) fn leave(escape: Escape, files: &[(PathBuf, String)]) -> (CljErrorKind, Option<Place>, Option<String>) {
    let fault = match escape {
        Escape::Fault(fault) => fault,
        Escape::Recur(_) => {
            return (CljErrorKind::Failed("`recur` stands outside of `loop` and `fn`".into()), None, None);
        }
    };
    let Some((span, (path, text))) = fault.at.and_then(|span| Some((span, files.get(usize::from(span.file))?))) else {
        return (fault.kind, None, None);
    };
    let position = Position { line: span.line as usize, column: span.column as usize };
    let place = Place { file: Some(path.clone()), position: Some(position) };
    (fault.kind, Some(place), excerpt(text, position))
}
