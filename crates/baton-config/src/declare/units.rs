//! `units`: names of groups of apps, with what their apps share.
//!
//! A unit is a list of names (patterns too) of apps in the file, or a map with `apps`, `env`, `env_file`, `depends_on`,
//! `heartbeat`, `on_event` and `prefix`. Its `apps` holds names, and apps of its own: those are called `<unit>_<name>`
//! unless `prefix` says otherwise, as `defineAgent` calls them.

use super::{Item, Membership, Origin, Way, Wrong};
use crate::error::Warning;
use crate::{glob, keys, paths};
use serde_json::{Map, Value};
use std::path::Path;

const KEYS: &[&str] = &["apps", "env", "env_file", "depends_on", "heartbeat", "on_event", "prefix"];
/// Those of them that an app has unless it says something itself.
const SHARED: [&str; 2] = ["heartbeat", "on_event"];

/// Adds the apps of the units, and notes for those they take in whose they are.
///
/// A unit's files of variables lie beside the file that names them: in `directory`.
pub(super) fn apply(
    way: &Way,
    units: &Map<String, Value>,
    items: &mut Vec<Item>,
    directory: &Path,
) -> Result<Vec<Warning>, Wrong> {
    let mut warnings = Vec::new();
    let listed = items.len();
    for (name, unit) in units {
        let way = way.key(name);
        let (members, prefix, mut options) = read(&way, name, unit)?;
        if let Some(files) = options.get_mut("env_file") {
            beside(directory, files);
        }
        let shared: Vec<(&str, &Value)> =
            SHARED.iter().filter_map(|key| Some((*key, unit.get(*key).filter(|value| !value.is_null())?))).collect();
        let mut count = 0;
        for (way, member) in members {
            match member {
                Value::Object(app) => {
                    let unit = Membership { unit: name.clone(), prefix: prefix.clone(), options: options.clone() };
                    let mut app = app.clone();
                    take_over(&mut app, &shared);
                    items.push(Item::new(Origin::At(way), app, Some(unit), &[]));
                    count += 1;
                }
                Value::String(pattern) => {
                    let taken = take_in(&way, pattern, name, (&options, &shared), &mut items[..listed])?;
                    if taken == 0 {
                        warnings.push(Warning::new(format!("unit `{name}`: no app of the file is called {pattern}")));
                    }
                    count += taken;
                }
                other => {
                    return Err(Wrong::new(
                        &way,
                        format!("unit `{name}`: {other} is neither an app nor the name of one"),
                        "write the names of apps, or apps with `name` and `script`",
                    ));
                }
            }
        }
        if count == 0 {
            return Err(Wrong::new(
                &way,
                format!("unit `{name}` has no apps"),
                "name apps of the file, such as [\"duck_*\"], or write apps into the unit",
            ));
        }
    }
    Ok(warnings)
}

/// Makes paths start from a directory; what starts elsewhere by itself stays.
fn beside(directory: &Path, files: &mut Value) {
    match files {
        Value::String(file) if !file.starts_with(['/', '~']) => *file = paths::text(&directory.join(&*file)),
        Value::Array(list) => list.iter_mut().for_each(|file| beside(directory, file)),
        _ => {}
    }
}

type Members<'v> = Vec<(Way, &'v Value)>;

/// What a unit holds, what goes before the names of its own apps, and what it shares.
fn read<'v>(way: &Way, name: &str, unit: &'v Value) -> Result<(Members<'v>, String, Map<String, Value>), Wrong> {
    let default_prefix = format!("{name}_");
    let each = |way: Way, list: &'v [Value]| list.iter().enumerate().map(|(at, app)| (way.index(at), app)).collect();
    let map = match unit {
        Value::Array(list) => return Ok((each(way.clone(), list), default_prefix, Map::new())),
        Value::Object(map) => map,
        _ => {
            return Err(Wrong::new(
                way,
                format!("unit `{name}` is neither a list nor a map"),
                "write { apps: [ … ] }, or the names of its apps",
            ));
        }
    };
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let help = format!("a unit has {}", KEYS.join(", "));
        return Err(Wrong::new(&way.key(key), format!("unit `{name}`: unknown key `{key}`"), help));
    }
    let members = match map.get("apps") {
        Some(Value::Array(list)) => each(way.key("apps"), list),
        None | Some(Value::Null) => Vec::new(),
        Some(one) => vec![(way.key("apps"), one)],
    };
    let prefix = match map.get("prefix") {
        None => default_prefix,
        Some(Value::String(prefix)) => prefix.clone(),
        Some(other) => {
            return Err(Wrong::new(
                &way.key("prefix"),
                format!("unit `{name}`: prefix {other} is not a text"),
                "write a text",
            ));
        }
    };
    if map.get("env").is_some_and(|env| !env.is_object()) {
        let help = "write a map, such as { PORT: 8080 }";
        return Err(Wrong::new(&way.key("env"), format!("unit `{name}`: `env` is not a map of variables"), help));
    }
    let shared = map.iter().filter(|(key, _)| matches!(key.as_str(), "env" | "env_file" | "depends_on"));
    Ok((members, prefix, shared.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

/// Gives an app what its unit says, unless it says something itself.
fn take_over(app: &mut Map<String, Value>, shared: &[(&str, &Value)]) {
    for (name, value) in shared {
        let says = |key: &String| keys::find(key).is_some_and(|(field, _)| field.name == *name);
        if !app.keys().any(says) {
            app.insert((*name).into(), (*value).clone());
        }
    }
}

/// Puts the apps that a pattern names into a unit; they keep their names.
fn take_in(
    way: &Way,
    pattern: &str,
    unit: &str,
    (options, shared): (&Map<String, Value>, &[(&str, &Value)]),
    items: &mut [Item],
) -> Result<usize, Wrong> {
    let Some(wanted) = glob::regex(pattern) else {
        return Err(Wrong::new(way, format!("unit `{unit}`: {pattern} is no pattern"), "write a name, such as duck_*"));
    };
    let mut count = 0;
    for item in items {
        let Some(name) = item.name().filter(|name| wanted.is_match(name)) else { continue };
        match &item.unit {
            Some(other) if other.unit != unit => {
                return Err(Wrong::new(
                    way,
                    format!("app `{name}` belongs to the units `{}` and `{unit}`", other.unit),
                    "name it in one of them",
                ));
            }
            // Two patterns of the unit mean it.
            Some(_) => {}
            None => {
                take_over(&mut item.app, shared);
                item.unit = Some(Membership { unit: unit.into(), prefix: String::new(), options: options.clone() });
            }
        }
        count += 1;
    }
    Ok(count)
}
