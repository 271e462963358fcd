//! Process files in YAML.

use crate::error::{ConfigError, Place, Position, excerpt};
use serde_json::Value;
use std::path::Path;

/// Reads a YAML text; `<<` merges maps, keys that are numbers or booleans become texts.
pub(crate) fn read(path: &Path, text: &str) -> Result<Value, ConfigError> {
    let mut value: serde_norway::Value = serde_norway::from_str(text).map_err(|wrong| syntax(path, text, &wrong))?;
    value.apply_merge().map_err(|wrong| syntax(path, text, &wrong))?;
    serde_json::to_value(value).map_err(|wrong| ConfigError::Syntax {
        place: Place::file(path),
        what: format!("YAML that has no JSON form: {wrong}"),
        excerpt: None,
    })
}

fn syntax(path: &Path, text: &str, wrong: &serde_norway::Error) -> ConfigError {
    let position = wrong.location().map(|at| Position { line: at.line(), column: at.column() });
    let what = wrong.to_string();
    // The position stands in front already.
    let what = what.split(" at line ").next().unwrap_or(&what).to_owned();
    ConfigError::Syntax {
        place: Place { file: Some(path.into()), position },
        what: format!("YAML syntax: {what}"),
        excerpt: position.and_then(|at| excerpt(text, at)),
    }
}
