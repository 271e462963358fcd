//! What an app needs before it starts.

use super::External;
use crate::units::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One app, unit or external thing that must have come so far before an app starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Name of an external thing, when `external` says which, or of an app, or else of a unit, which stands for all
    /// of its apps.
    pub on: String,
    /// How far it must have come.
    #[serde(default)]
    pub condition: Condition,
    /// How long to wait for it (ms); without it, as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
    /// What it is, when nothing of the list is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
}

/// How far a dependency must have come. A one-shot that has succeeded meets all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Condition {
    /// Its program runs.
    Started,
    /// It is ready: as its `ready` says, or up for `min_uptime`.
    #[default]
    Ready,
    /// It is online, and a probe of its `health` has passed.
    Healthy,
    /// It has ended with exit code 0.
    Exited,
    /// A line of what it has written since it was started matches this regular expression.
    Log(String),
}

/// What stands before the pattern of [`Condition::Log`].
const LOG: &str = "log:";

impl Condition {
    /// The words of all conditions.
    pub const WORDS: [&'static str; 5] = ["started", "ready", "healthy", "exited", "log:<pattern>"];

    /// What a process file says with this word; `None` when it is none.
    pub fn parse(word: &str) -> Option<Condition> {
        match word {
            "started" => Some(Condition::Started),
            "ready" => Some(Condition::Ready),
            "healthy" => Some(Condition::Healthy),
            "exited" => Some(Condition::Exited),
            _ => word.strip_prefix(LOG).filter(|pattern| !pattern.is_empty()).map(|it| Condition::Log(it.to_owned())),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Started => f.write_str("started"),
            Condition::Ready => f.write_str("ready"),
            Condition::Healthy => f.write_str("healthy"),
            Condition::Exited => f.write_str("exited"),
            Condition::Log(pattern) => write!(f, "{LOG}{pattern}"),
        }
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> String {
        condition.to_string()
    }
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(word: String) -> Result<Condition, String> {
        Condition::parse(&word).ok_or_else(|| format!("there is no condition `{word}`"))
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.external {
            Some(external) => write!(f, "{} ({}", self.on, external.probe)?,
            None => write!(f, "{} ({}", self.on, self.condition)?,
        }
        match self.timeout {
            Some(timeout) => write!(f, ", within {} ms)", timeout.0),
            None => f.write_str(")"),
        }
    }
}
