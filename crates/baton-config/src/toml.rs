//! Process files in TOML.

use crate::error::{ConfigError, Place, Position, excerpt};
use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use serde_json::{Map, Number, Value};
use std::path::Path;

/// Reads a TOML text. Dates and times become texts; what is no number in JSON (`inf`, `nan`) becomes `null`, as in
/// JavaScript.
pub(crate) fn read(path: &Path, text: &str) -> Result<Value, ConfigError> {
    let table = ::toml::from_str(text).map_err(|wrong| {
        let position = wrong.span().map(|span| position(text, span.start));
        ConfigError::Syntax {
            place: Place { file: Some(path.into()), position },
            // The parser puts what it expected on a second line.
            what: format!("TOML syntax: {}", wrong.message().trim().replace('\n', "; ")),
            excerpt: position.and_then(|at| excerpt(text, at)),
        }
    })?;
    Ok(value(::toml::Value::Table(table)))
}

fn value(value: ::toml::Value) -> Value {
    match value {
        ::toml::Value::String(text) => Value::String(text),
        ::toml::Value::Integer(number) => number.into(),
        ::toml::Value::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        ::toml::Value::Boolean(yes) => Value::Bool(yes),
        ::toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        ::toml::Value::Array(list) => list.into_iter().map(self::value).collect(),
        ::toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, inner)| (key, self::value(inner))).collect::<Map<_, _>>())
        }
    }
}

/// One step on the way to a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Where the last key of a path stands. A list has no key of its own: that of its table is told.
pub(crate) fn locate<'a>(text: &str, path: impl IntoIterator<Item = Step<'a>>) -> Option<Position> {
    let document = DeTable::parse(text).ok()?;
    let mut at = document.span().start;
    let mut here: Option<&DeValue<'_>> = None;
    let mut table: Option<&DeTable<'_>> = Some(document.get_ref());
    for step in path {
        let next: &Spanned<DeValue<'_>> = match step {
            Step::Key(wanted) => {
                let (key, value) = table?.iter().find(|(key, _)| key.get_ref() == wanted)?;
                at = key.span().start;
                value
            }
            Step::Index(index) => here?.as_array()?.get(index)?,
        };
        here = Some(next.get_ref());
        table = next.get_ref().as_table();
    }
    Some(position(text, at))
}

/// Line and column of a byte.
fn position(text: &str, byte: usize) -> Position {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_value_has_a_json_form() {
        let text =
            "a = 1\nb = 1.5\nc = nan\nd = 2026-01-02T03:04:05Z\ne = [1, 'x']\n[f]\ng = true\n[[h]]\ni = '''\nx'''\n";
        let found = read(Path::new("a.toml"), text).expect("TOML");
        let wanted = json!({"a": 1, "b": 1.5, "c": null, "d": "2026-01-02T03:04:05Z", "e": [1, "x"], "f": {"g": true},
                            "h": [{"i": "x"}]});
        assert_eq!(found.to_string(), wanted.to_string());
    }

    #[test]
    fn keys_are_found_in_tables_lists_and_inline_tables() {
        let text =
            "[[apps]]\nname = 'é'\n\n[[apps]]\n  name = 'b'\n  env = { A = 1, B = 2 }\n\n[units.duck]\napps = ['x']\n";
        let find = |path: &[Step<'_>]| locate(text, path.iter().copied()).map(|at| (at.line, at.column));
        use Step::{Index, Key};
        assert_eq!(find(&[Key("apps"), Index(1), Key("name")]), Some((5, 3)));
        assert_eq!(find(&[Key("apps"), Index(1), Key("env"), Key("B")]), Some((6, 18)));
        assert_eq!(find(&[Key("units"), Key("duck"), Key("apps")]), Some((9, 1)));
        assert_eq!(find(&[Key("units"), Key("duck")]), Some((8, 8)));
        assert_eq!(find(&[Key("apps"), Index(2)]), None);
    }
}
