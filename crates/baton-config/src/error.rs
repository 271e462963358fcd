//! What can be wrong with a process file or a start target: what, where, and what to do.

use crate::directory;
use baton_core::deps::DependencyError;
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Where something was written: `FILE:LINE:COLUMN`, `FILE`, or the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file; `None` for the command line.
    pub file: Option<PathBuf>,
    /// The position in it, when it is known.
    pub position: Option<Position>,
}

impl Place {
    /// A place in a file whose position is not known.
    pub fn file(path: &Path) -> Place {
        Place { file: Some(path.to_owned()), position: None }
    }

    /// A place in a file.
    pub fn at(path: &Path, line: usize, column: usize) -> Place {
        Place { file: Some(path.to_owned()), position: Some(Position { line, column }) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            None => f.write_str("command line")?,
            Some(file) => write!(f, "process file {}", file.display())?,
        }
        match self.position {
            Some(Position { line, column }) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// A value that does not fit its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// Where.
    pub place: Place,
    /// Which app; empty for options that act on present apps.
    pub app: String,
    /// The key as written.
    pub key: String,
    /// The value as JSON, shortened.
    pub value: String,
    /// What belongs there; reads after "is not".
    pub expected: String,
    /// What to write.
    pub help: String,
}

impl BadValue {
    fn message(&self) -> String {
        let BadValue { place, app, key, value, expected, .. } = self;
        let app = if app.is_empty() { String::new() } else { format!("{app}: ") };
        format!("{place}: {app}`{key}: {value}` is not {expected}")
    }
}

/// A process file that is a program, and failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEvaluation {
    /// The process file.
    pub file: PathBuf,
    /// Where it failed: in that file or in one that it loads.
    pub place: Option<Place>,
    /// What happened.
    pub what: String,
    /// The source line with a caret under the position.
    pub excerpt: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// What the file had printed until then, for the caller's stderr.
    pub console: Vec<u8>,
    /// What was read or looked for until then.
    pub inputs: Vec<PathBuf>,
}

impl FailedEvaluation {
    fn message(&self) -> String {
        let own = Place::file(&self.file);
        match &self.place {
            Some(place) if place.file.as_ref() == Some(&self.file) => format!("{place}: {}", self.what),
            Some(Place { file: Some(file), position: Some(at) }) => {
                format!("{own}: {}:{}:{}: {}", file.display(), at.line, at.column, self.what)
            }
            _ => format!("{own}: {}", self.what),
        }
    }
}

/// Why a process file or a start target was refused. Nothing has been changed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is no such process file.
    #[error("File {0} not found")]
    FileNotFound(String),
    /// A directory without a process file.
    #[error("directory {} holds no process file", directory.display())]
    NoneInDirectory {
        /// The directory.
        directory: PathBuf,
        /// What it holds.
        held: Vec<String>,
    },
    /// A pattern that matches no process file.
    #[error("{pattern} matches no {}", if *matched == 0 { "file" } else { "process file" })]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// How many other files it matches.
        matched: usize,
    },
    /// The file exists but cannot be read.
    #[error("process file {}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: std::io::Error,
    },
    /// The text is not what its format asks for.
    #[error("{place}: {what}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser found.
        what: String,
        /// The source line with a caret under the position.
        excerpt: Option<String>,
    },
    /// The program in the file failed, took too long or too much memory, or exported something that is no data.
    #[error("{}", .0.message())]
    Evaluation(Box<FailedEvaluation>),
    /// An option of the command line names something that the process files do not have.
    #[error("{0}")]
    Choice(String),
    /// A file whose extension is no format of process files.
    #[error("process file {}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        what: String,
        /// What to use instead.
        help: &'static str,
    },
    /// The file holds something, but no list of apps.
    #[error("{place}: {what}")]
    Shape {
        /// Where.
        place: Place,
        /// What was found.
        what: String,
    },
    /// A unit, a profile or a kind of app that makes no sense.
    #[error("{place}: {what}")]
    Declaration {
        /// Where.
        place: Place,
        /// What is wrong.
        what: String,
        /// What to write.
        help: String,
    },
    /// An app whose required variables have no value.
    #[error("{place}: app `{app}`: required_env: {names} not set")]
    MissingVariables {
        /// Where the app is defined.
        place: Place,
        /// Its name.
        app: String,
        /// The variables.
        names: String,
    },
    /// An app that does not say what to run.
    #[error("{place}: {app} has no `script`")]
    NoScript {
        /// Where.
        place: Place,
        /// Which app.
        app: String,
    },
    /// A value that does not fit its key.
    #[error("{}", .0.message())]
    Value(Box<BadValue>),
    /// Two apps of one name that are not the same.
    #[error("two apps are called `{name}` and differ in {fields}: {first} and {second}")]
    Duplicate {
        /// The name.
        name: String,
        /// The keys in which they differ.
        fields: String,
        /// Where the first is.
        first: String,
        /// Where the second is.
        second: String,
    },
    /// Dependencies that can't be met.
    #[error("{place}: {what}")]
    Dependencies {
        /// Where they are written.
        place: Place,
        /// What is wrong with them.
        what: DependencyError,
    },
    /// The script of a command line is no file and no program on PATH.
    #[error("Script not found: {}", .0.display())]
    ScriptNotFound(PathBuf),
    /// No interpreter for the script can be used.
    #[error("{place}: {app}: {what}")]
    Interpreter {
        /// Where.
        place: Place,
        /// Which app.
        app: String,
        /// What is wrong.
        what: String,
        /// What to do.
        help: &'static str,
    },
}

impl ConfigError {
    /// What to do about it, in one sentence without a full stop.
    pub fn help(&self) -> Option<String> {
        match self {
            ConfigError::FileNotFound(_) => Some("check the path, or name a script to start".into()),
            ConfigError::NoneInDirectory { held, .. } => Some(directory::looked_for(held)),
            ConfigError::NoMatch { matched: 0, .. } => {
                Some("check the pattern; `**` stands for any number of directories".into())
            }
            ConfigError::NoMatch { .. } => Some(
                "process files have `ecosystem` or `.config.` in their names; programs are started one by one".into(),
            ),
            ConfigError::Unreadable { .. } | ConfigError::Syntax { .. } | ConfigError::Choice(_) => None,
            ConfigError::Evaluation(failed) => failed.help.clone(),
            ConfigError::Format { help, .. } | ConfigError::Interpreter { help, .. } => Some((*help).into()),
            ConfigError::Shape { .. } => {
                Some("export a list of apps, one app, or { apps: [ { script: \"app.js\" } ] }".into())
            }
            ConfigError::MissingVariables { .. } => Some("set them in the shell, in env_file or in env".into()),
            ConfigError::Declaration { help, .. } => Some(help.clone()),
            ConfigError::NoScript { .. } => Some("write what to run, such as script: \"app.js\"".into()),
            ConfigError::Value(bad) => Some(bad.help.clone()),
            ConfigError::Duplicate { .. } => {
                Some("give each app its own name; `instances` runs one app several times".into())
            }
            ConfigError::Dependencies { what, .. } => Some(match what {
                DependencyError::Cycle(_) => "take one of these names out of `depends_on` of the app before it".into(),
                DependencyError::Unknown { .. } => {
                    "name an app or a unit of the process file or of the list, or write it into `external`".into()
                }
                DependencyError::Job { .. } => {
                    "write `ready`: a job is that between its runs; or take the name out of `depends_on`".into()
                }
                DependencyError::NeverHealthy { on, .. } => {
                    format!("write `health` into `{on}`, or wait for it to be ready")
                }
                DependencyError::NeverExits { on, .. } => {
                    format!("write oneshot: true into `{on}`, or wait for it to be ready")
                }
            }),
            ConfigError::ScriptNotFound(_) => {
                Some("name a file, a program on PATH, or a whole command line in quotes".into())
            }
        }
    }

    /// The source line with a caret under the position, where there is one.
    pub fn excerpt(&self) -> Option<&str> {
        match self {
            ConfigError::Syntax { excerpt, .. } => excerpt.as_deref(),
            ConfigError::Evaluation(failed) => failed.excerpt.as_deref(),
            _ => None,
        }
    }

    /// The files that it is about, as far as it tells, there or not: an edit of one, or its coming, may repair it.
    pub fn files(&self) -> Vec<PathBuf> {
        let of = |place: &Place| place.file.clone().into_iter().collect();
        match self {
            ConfigError::Unreadable { path, .. }
            | ConfigError::Format { path, .. }
            | ConfigError::NoneInDirectory { directory: path, .. } => vec![path.clone()],
            ConfigError::Syntax { place, .. }
            | ConfigError::Shape { place, .. }
            | ConfigError::Declaration { place, .. }
            | ConfigError::MissingVariables { place, .. }
            | ConfigError::NoScript { place, .. }
            | ConfigError::Dependencies { place, .. }
            | ConfigError::Interpreter { place, .. } => of(place),
            ConfigError::Value(bad) => of(&bad.place),
            ConfigError::Evaluation(failed) => {
                let elsewhere = failed.place.as_ref().and_then(|place| place.file.clone());
                elsewhere.into_iter().chain([failed.file.clone()]).chain(failed.inputs.iter().cloned()).collect()
            }
            ConfigError::FileNotFound(_)
            | ConfigError::NoMatch { .. }
            | ConfigError::Choice(_)
            | ConfigError::Duplicate { .. }
            | ConfigError::ScriptNotFound(_) => Vec::new(),
        }
    }

    /// What a failed file had printed, for the caller's stderr.
    pub fn console(&self) -> &[u8] {
        match self {
            ConfigError::Evaluation(failed) => &failed.console,
            _ => &[],
        }
    }
}

/// The line of a text with a caret under the column. Tabs become spaces so that the caret stands right.
pub fn excerpt(text: &str, position: Position) -> Option<String> {
    let line = text.lines().nth(position.line.checked_sub(1)?)?;
    let shown: String = line.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
    let number = position.line.to_string();
    // A minified file is one long line: show the neighbourhood of the column.
    let start = position.column.saturating_sub(1).saturating_sub(60);
    let window: String = shown.chars().skip(start).take(120).collect();
    let caret = " ".repeat(position.column.saturating_sub(1) - start);
    Some(format!("{number} | {window}\n{} | {caret}^", " ".repeat(number.len())))
}

/// Something that is worth saying but stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The sentence, without a prefix and without a full stop.
    pub message: String,
}

impl Warning {
    /// A warning of this text.
    pub fn new(message: impl Into<String>) -> Warning {
        Warning { message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
