//! `module_conf.json`: PM2's settings of modules, which hold baton's own for all apps too, and how they are shown.
//!
//! A key is a path, `module:key` or `module.key`; in quotes a part may hold the separators. A key without a separator is
//! at the root, where it is kept and never shown. The file is JSON with an indentation of four spaces.

use crate::style::{Colour, Style};
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

/// Names that PM2 refuses: in its language they would reach into every object.
const REFUSED: [&str; 3] = ["__proto__", "constructor", "prototype"];
/// Under the settings of one module.
pub const COPY_HINT: &str = "Modules configuration. Copy/Paste line to edit values.";

/// The settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModuleConf(Map<String, Value>);

impl ModuleConf {
    /// Reads the file's text; an empty one has no settings.
    ///
    /// # Errors
    /// It is no JSON object: what is wrong with it.
    pub fn parse(text: &str) -> Result<ModuleConf, String> {
        if text.trim().is_empty() {
            return Ok(ModuleConf::default());
        }
        serde_json::from_str(text).map(ModuleConf).map_err(|error| error.to_string())
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut bytes = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
        // A map of JSON values in memory: nothing can fail.
        let _ = serde::Serialize::serialize(&self.0, &mut serializer);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The value of a key.
    pub fn get(&self, key: &[String]) -> Option<&Value> {
        let (last, path) = key.split_last()?;
        let mut map = &self.0;
        for part in path {
            map = map.get(part)?.as_object()?;
        }
        map.get(last)
    }

    /// Sets a key; what is on its way becomes a map.
    pub fn set(&mut self, key: &[String], value: &str) {
        let Some((last, path)) = key.split_last() else { return };
        let mut map = &mut self.0;
        for part in path {
            let entry = map.entry(part.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            let Value::Object(next) = entry else { return };
            map = next;
        }
        map.insert(last.clone(), Value::from(value));
    }

    /// Removes a key, or a module with all of its keys. Returns whether it was there.
    pub fn unset(&mut self, key: &[String]) -> bool {
        let Some((last, path)) = key.split_last() else { return false };
        let mut map = &mut self.0;
        for part in path {
            match map.get_mut(part) {
                Some(Value::Object(next)) => map = next,
                _ => return false,
            }
        }
        map.shift_remove(last).is_some()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The settings of one module; of all for `None`. Lines to copy, for the program under this name.
    pub fn lines(&self, module: Option<&str>, program: &str, colour: Colour) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, value) in &self.0 {
            let Value::Object(map) = value else { continue };
            if module.is_some_and(|module| module != name) {
                continue;
            }
            lines.push(format!("{}{}", colour.paint(Style::Bold, "Module: "), colour.paint(Style::BoldBlue, name)));
            settings(program, name, map, &mut lines);
        }
        lines
    }
}

fn settings(program: &str, prefix: &str, map: &Map<String, Value>, lines: &mut Vec<String>) {
    for (key, value) in map {
        match value {
            Value::Object(map) => settings(program, &format!("{prefix}:{key}"), map, lines),
            value => lines.push(format!("$ {program} set {prefix}:{key} {}", plain(value))),
        }
    }
}

/// A value without quotes.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `get module:key`.
pub fn value_line(module: &str, key: &str, value: &Value, colour: Colour) -> String {
    let value = colour.paint(Style::BoldGreen, &plain(value));
    format!("Value for module {} key {}: {value}", colour.paint(Style::Blue, module), colour.paint(Style::Blue, key))
}

/// The path that a key means.
///
/// # Errors
/// With what is wrong: a part is empty, or a name that PM2 refuses.
pub fn key(text: &str) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for letter in text.chars() {
        match (letter, quote) {
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => quote = Some(letter),
            (':' | '.', None) => parts.push(String::new()),
            (letter, _) => {
                if let Some(last) = parts.last_mut() {
                    last.push(letter);
                }
            }
        }
    }
    if parts.iter().any(String::is_empty) {
        return Err(format!("`{text}` is not a key: write module:key, such as pm2-logrotate:max_size"));
    }
    match parts.iter().find(|part| REFUSED.contains(&part.as_str())) {
        Some(part) => Err(format!("`{part}` may not be part of a key")),
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        key(text).expect("a key")
    }

    #[test]
    fn keys_are_paths() {
        assert_eq!(path("a:b"), ["a", "b"]);
        assert_eq!(path("a.b"), ["a", "b"]);
        assert_eq!(path("\"a.b\":c"), ["a.b", "c"]);
        assert_eq!(path("root"), ["root"]);
        for bad in ["", "a:", ":b", "a:__proto__", "constructor.x"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_are_kept_shown_and_removed() {
        let mut conf = ModuleConf::parse("").expect("empty");
        conf.set(&path("pm2-logrotate:max_size"), "10M");
        conf.set(&path("root"), "x");
        conf.set(&path("a:b:c"), "d");
        let off = Colour::Off;
        assert_eq!(
            conf.lines(None, "pm2", off),
            ["Module: pm2-logrotate", "$ pm2 set pm2-logrotate:max_size 10M", "Module: a", "$ pm2 set a:b:c d"]
        );
        assert_eq!(conf.lines(Some("a"), "baton", off), ["Module: a", "$ baton set a:b:c d"]);
        assert_eq!(ModuleConf::parse(&conf.text()).expect("its own text"), conf);
        assert!(conf.text().starts_with("{\n    \"pm2-logrotate\": {\n        \"max_size\": \"10M\"\n    },\n"));
        assert!(conf.unset(&path("pm2-logrotate:max_size")) && !conf.unset(&path("nope:x")));
        assert_eq!(conf.get(&path("pm2-logrotate:max_size")), None);
        conf.clear();
        assert_eq!(conf.text(), "{}");
        assert!(ModuleConf::parse("[]").is_err());
    }
}
