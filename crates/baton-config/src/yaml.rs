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

/// Where a second document begins: at the first `---` behind some content.
fn second_document(text: &str) -> Option<Position> {
    let is_content = |line: &str| !line.trim().is_empty() && !line.starts_with(['#', '%']);
    let mut lines = text.lines().enumerate().filter(|(_, line)| is_content(line));
    lines.next()?;
    let (at, _) = lines.find(|(_, line)| line.starts_with("---"))?;
    Some(Position { line: at + 1, column: 1 })
}

fn syntax(path: &Path, text: &str, wrong: &serde_norway::Error) -> ConfigError {
    let what = wrong.to_string();
    let position = wrong.location().map(|at| Position { line: at.line(), column: at.column() });
    let position = position.or_else(|| second_document(text).filter(|_| what.contains("more than one document")));
    // The position stands in front already.
    let what = what.split(" at line ").next().unwrap_or(&what).to_owned();
    ConfigError::Syntax {
        place: Place { file: Some(path.into()), position },
        what: format!("YAML syntax: {what}"),
        excerpt: position.and_then(|at| excerpt(text, at)),
    }
}
