//! Where a key stands in the text of a data file.
//!
//! The values of a file carry no positions. When one of them is refused, the text is read once more by a visitor that
//! walks to the key and stops there: the parser then says where it is.

use crate::error::Position;
pub(crate) use crate::toml::Step;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The formats whose parsers tell positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Toml,
}

/// A text that was read, with its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a> {
    pub(crate) format: Format,
    pub(crate) text: &'a str,
    pub(crate) root: &'a Value,
}

impl Document<'_> {
    /// The position of a key of an app, or of the app's first key.
    pub(crate) fn locate(&self, app: &Map<String, Value>, index: usize, key: Option<&str>) -> Option<Position> {
        let key = key.or_else(|| app.keys().next().map(String::as_str))?;
        let mut path = self.path_of(app, index)?;
        path.push(Step::Key(key));
        locate(self.format, self.text, &path)
    }

    /// The position of the last key of a path.
    pub(crate) fn position(&self, path: &[Step<'_>]) -> Option<Position> {
        // A list has no key of its own: the item's place is that of its list.
        let keys = path.iter().rposition(|step| matches!(step, Step::Key(_)))? + 1;
        locate(self.format, self.text, &path[..keys])
    }

    /// The value at the end of a path.
    pub(crate) fn at<'p>(&self, mut path: impl Iterator<Item = Step<'p>>) -> Option<&Value> {
        path.try_fold(self.root, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(at) => value.get(at),
        })
    }

    /// The way to an app, in the shapes that keep the order of the list.
    fn path_of(&self, app: &Map<String, Value>, index: usize) -> Option<Vec<Step<'static>>> {
        let (apps, pm2, at) = (Step::Key("apps"), Step::Key("pm2"), Step::Index(index));
        let candidates = [vec![apps, at], vec![at], vec![apps], vec![], vec![pm2, apps, at], vec![pm2, at], vec![pm2]];
        candidates.into_iter().find(|path| {
            let found = path.iter().try_fold(self.root, |value, step| match step {
                Step::Key(key) => value.get(key),
                Step::Index(at) => value.get(at),
            });
            found.and_then(Value::as_object) == Some(app)
        })
    }
}

fn locate(format: Format, text: &str, path: &[Step<'_>]) -> Option<Position> {
    match format {
        Format::Yaml => {
            let stopped = Seek(path).deserialize(serde_norway::Deserializer::from_str(text)).err()?;
            let at = stopped.location()?;
            Some(Position { line: at.line(), column: at.column() })
        }
        Format::Toml => crate::toml::locate(text, path.iter().copied()),
        Format::Json => {
            let mut parser = serde_json::Deserializer::from_str(text);
            let stopped = Seek(path).deserialize(&mut parser).err()?;
            let Some(Step::Key(key)) = path.last() else { return None };
            // The parser stands on the closing quote of the key.
            let column = stopped.column().checked_sub(key.len() + 1)?;
            Some(Position { line: stopped.line(), column })
        }
    }
}

/// Walks a path and fails at its end.
struct Seek<'p>(&'p [Step<'p>]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        while let Some(is_wanted) = map.next_key_seed(KeyIs { wanted, stop: rest.is_empty() })? {
            if is_wanted {
                map.next_value_seed(Seek(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (wanted, rest) = match self.0.split_first() {
            Some((Step::Index(wanted), rest)) => (*wanted, rest),
            _ => (usize::MAX, self.0),
        };
        let mut at = 0;
        loop {
            let more = if at == wanted {
                list.next_element_seed(Seek(rest))?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                return Ok(());
            }
            at += 1;
        }
    }
}

/// Says whether a key is the wanted one; fails on it when the path ends there.
struct KeyIs<'k> {
    wanted: &'k str,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.stop => Err(E::custom("here")),
            same => Ok(same),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_found_in_json_and_yaml() {
        let json_text = "{ \"deploy\": {\"a\": [1]},\n  \"apps\": [\n    {\"name\": \"é\", \"x\": 1},\n    { \"script\": 1,\n      \"x\": 2}\n ] }";
        let root: Value = serde_json::from_str(json_text).expect("json");
        let document = Document { format: Format::Json, text: json_text, root: &root };
        let second = json!({"script": 1, "x": 2});
        let second = second.as_object().expect("a map");
        assert_eq!(document.locate(second, 1, Some("x")), Some(Position { line: 5, column: 7 }));
        assert_eq!(document.locate(second, 1, None), Some(Position { line: 4, column: 7 }));
        assert_eq!(document.locate(second, 1, Some("y")), None);
        assert_eq!(document.locate(second, 0, Some("x")), None);

        let yaml_text = "apps:\n  - name: é\n    x: 1\n  - script: 1\n    x: 2\n";
        let root: Value = serde_norway::from_str(yaml_text).expect("yaml");
        let document = Document { format: Format::Yaml, text: yaml_text, root: &root };
        assert_eq!(document.locate(second, 1, Some("x")), Some(Position { line: 5, column: 5 }));
        assert_eq!(document.locate(second, 1, None), Some(Position { line: 4, column: 5 }));

        let bare = "{\"script\": 1, \"x\": 2}";
        let document = Document { format: Format::Json, text: bare, root: &json!({"script": 1, "x": 2}) };
        assert_eq!(document.locate(second, 0, Some("x")), Some(Position { line: 1, column: 15 }));
    }
}
