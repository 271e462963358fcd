//! Which slots a word on the command line means.

use crate::units::InstanceId;
use crate::world::World;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One word that names slots: `all`, `/regex/`, a name, a script's path, a unit or a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// The word as typed.
    pub text: String,
    /// The word as an absolute path, resolved against the caller's directory: a script can stand for its app.
    pub path: Option<String>,
    /// Exactly the slot of this number, whatever the word is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<InstanceId>,
}

/// Why a word names nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum SelectError {
    /// No app, unit or script of this name.
    #[error("Process or Namespace {0} not found")]
    NoName(String),
    /// No slot of this number.
    #[error("{0} : id unknown")]
    NoId(String),
    /// `all` or a pattern that matches nothing.
    #[error("No process found")]
    Nothing,
    /// The text between the slashes is no regular expression.
    #[error("`{0}` is not a regular expression: {1}")]
    BadPattern(String, String),
}

impl Selector {
    /// A selector for a word, without a path.
    pub fn new(text: impl Into<String>) -> Self {
        Selector { text: text.into(), path: None, id: None }
    }

    /// The selector for the slot of this number, also where an app or unit is named so.
    pub fn of(id: InstanceId) -> Self {
        Selector { id: Some(id), ..Selector::new(id.to_string()) }
    }

    /// The slots that this word means, in ascending order.
    ///
    /// The order is PM2's: `all`; `/regex/` on names, unanchored; then for a word that is no number an exact name or
    /// script path, then a unit; for a number a name, then a unit, then the slot of that number.
    ///
    /// # Errors
    /// When it means nothing.
    pub fn resolve(&self, world: &World) -> Result<Vec<InstanceId>, SelectError> {
        let ids = |keep: &dyn Fn(&crate::world::Instance) -> bool| -> Vec<InstanceId> {
            world.instances.values().filter(|i| keep(i)).map(|i| i.id).collect()
        };
        let text = self.text.as_str();
        if let Some(id) = self.id {
            return some(ids(&|i| i.id == id), || SelectError::NoId(text.into()));
        }
        if text == "all" {
            return some(ids(&|_| true), || SelectError::Nothing);
        }
        if text.len() > 2 && text.starts_with('/') && text.ends_with('/') {
            let pattern = text.replace('/', "");
            let regex =
                Regex::new(&pattern).map_err(|error| SelectError::BadPattern(pattern.clone(), error.to_string()))?;
            return some(ids(&|i| regex.is_match(&i.spec.name)), || SelectError::Nothing);
        }
        let named = ids(&|i| i.spec.name == text);
        if !named.is_empty() {
            return Ok(named);
        }
        let number = text.parse::<u32>().ok();
        if number.is_none()
            && let Some(path) = &self.path
        {
            let at_path = ids(&|i| &i.spec.script == path);
            if !at_path.is_empty() {
                return Ok(at_path);
            }
        }
        let in_unit = ids(&|i| i.spec.namespace == text);
        if !in_unit.is_empty() {
            return Ok(in_unit);
        }
        match number {
            Some(number) if world.instances.contains_key(&InstanceId(number)) => Ok(vec![InstanceId(number)]),
            Some(_) => Err(SelectError::NoId(text.into())),
            None => Err(SelectError::NoName(text.into())),
        }
    }
}

fn some(ids: Vec<InstanceId>, otherwise: impl FnOnce() -> SelectError) -> Result<Vec<InstanceId>, SelectError> {
    if ids.is_empty() { Err(otherwise()) } else { Ok(ids) }
}
