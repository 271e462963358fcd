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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Its program runs.
    Started,
    /// It is ready: as its `ready` says, or up for `min_uptime`.
    #[default]
    Ready,
    /// It has ended with exit code 0.
    Exited,
}

impl Condition {
    /// The words of all conditions.
    pub const WORDS: [&'static str; 3] = ["started", "ready", "exited"];

    /// The word in a process file.
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Started => "started",
            Condition::Ready => "ready",
            Condition::Exited => "exited",
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.external {
            Some(external) => write!(f, "{} ({}", self.on, external.probe)?,
            None => write!(f, "{} ({}", self.on, self.condition.as_str())?,
        }
        match self.timeout {
            Some(timeout) => write!(f, ", within {} ms)", timeout.0),
            None => f.write_str(")"),
        }
    }
}
