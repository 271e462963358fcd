//! `--set` and `--unset`: single settings over what process files give, in whatever format they are written.

use crate::keys;
use serde_json::{Map, Value as Json};

/// Applies `--set KEY=VALUE` and `--unset KEY` to the parts of a result.
///
/// A key is a path from the top, or `apps.NAME.KEY…`; `--unset apps.NAME` removes the app.
pub(crate) fn adjust(parts: &mut [&mut Json], set: &[String], unset: &[String]) -> Result<(), String> {
    for setting in set {
        let Some((path, value)) = setting.split_once('=') else {
            return Err(format!("`--set {setting}` needs the form KEY=VALUE"));
        };
        let value = scalar(value);
        match path.strip_prefix("apps.") {
            Some(rest) => {
                let (app, path) = app_at(parts, rest)?;
                if path.is_empty() {
                    return Err(format!("`--set {setting}` names an app and no key of it"));
                }
                put(app, path, value, true);
            }
            None => {
                reaches(parts, path)?;
                let tops = parts.iter_mut().filter_map(|part| part.as_object_mut());
                tops.for_each(|top| put(top, path, value.clone(), false));
            }
        }
    }
    for path in unset {
        match path.strip_prefix("apps.") {
            Some(rest) => {
                let (app, inner) = app_at(parts, rest)?;
                if inner.is_empty() {
                    let name = app.get("name").cloned();
                    for apps in parts.iter_mut().filter_map(|part| apps_of(part)) {
                        apps.retain(|app| app.get("name") != name.as_ref());
                    }
                } else {
                    take(app, inner, true);
                }
            }
            None => {
                if !parts.iter().any(|part| leads(part, path)) {
                    return Err(format!("`--unset {path}`: there is none; {}", at_the_top(parts)));
                }
                parts.iter_mut().filter_map(|part| part.as_object_mut()).for_each(|top| take(top, path, false));
            }
        }
    }
    Ok(())
}

/// What a file may hold beside its apps, and the maps among them whose entries have names of the file's own.
const BESIDE_APPS: &[&str] = &[
    "units",
    "profiles",
    "external",
    "on_missing",
    "prune",
    "generate",
    "generate_from",
    "emit",
    "env_priority",
    "deploy",
];
const NAMED: &[&str] = &["units", "profiles", "external"];

/// Whether setting this would change anything that is looked at.
fn reaches(parts: &[&mut Json], path: &str) -> Result<(), String> {
    let tops = || parts.iter().filter_map(|part| part.as_object());
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let one_app = || tops().any(|top| top.contains_key("script")) && keys::find(first).is_some();
    let known = tops().any(|top| top.contains_key(first))
        || tops().next().is_some() && BESIDE_APPS.contains(&&*keys::snake(first))
        || one_app();
    if !known {
        return Err(format!("`--set {path}` reaches nothing: {}", at_the_top(parts)));
    }
    if NAMED.contains(&first) && !rest.is_empty() {
        let names: Vec<&String> =
            tops().filter_map(|top| top.get(first)?.as_object()).flat_map(|entries| entries.keys()).collect();
        let fits = |name: &&String| matches!(rest.strip_prefix(name.as_str()), Some(rest) if rest.is_empty() || rest.starts_with('.'));
        if !names.iter().any(fits) {
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            let there =
                if names.is_empty() { "there are none".into() } else { format!("there are {}", names.join(", ")) };
            return Err(format!("`--set {path}` reaches nothing: of `{first}` {there}"));
        }
    }
    Ok(())
}

/// Whether a path leads to something.
fn leads(value: &Json, path: &str) -> bool {
    let Some(map) = value.as_object() else { return false };
    match path.split_once('.') {
        None => map.contains_key(path),
        Some((key, rest)) => map.get(key).is_some_and(|inner| leads(inner, rest)),
    }
}

/// What the parts hold at their tops, and how apps are meant.
fn at_the_top(parts: &[&mut Json]) -> String {
    let mut keys: Vec<&str> = Vec::new();
    for key in parts.iter().filter_map(|part| part.as_object()).flat_map(|top| top.keys()) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let there = if keys.is_empty() {
        "the file is a list of apps".into()
    } else {
        format!("at the top there is {}", keys.join(", "))
    };
    format!("{there}; a key of an app is apps.NAME.KEY")
}

/// The settings that are about apps: `apps.NAME…`.
pub(crate) const APPS: &str = "apps.";

/// Applies the settings that are not about apps to what files give.
pub(crate) fn adjust_top(parts: &mut [&mut Json], set: &[String], unset: &[String]) -> Result<(), String> {
    let top = |all: &[String]| all.iter().filter(|path| !path.starts_with(APPS)).cloned().collect::<Vec<_>>();
    adjust(parts, &top(set), &top(unset))
}

/// One setting of an app.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting<'p> {
    /// Give a key a value.
    Put(&'p str, Json),
    /// Take a key away.
    Take(&'p str),
    /// Take the app away.
    Remove,
}

impl Setting<'_> {
    /// Changes an app. [`Setting::Remove`] is the caller's to carry out.
    pub(crate) fn apply(&self, app: &mut Map<String, Json>) {
        match self {
            Setting::Put(path, value) => put(app, path, value.clone(), true),
            Setting::Take(path) => take(app, path, true),
            Setting::Remove => {}
        }
    }
}

/// Which of the apps a setting `apps.NAME…` means, and what it does with them. `names` are those that each app goes by.
pub(crate) fn of_apps<'p>(
    names: &[Vec<String>],
    set: Option<&'p str>,
    unset: Option<&'p str>,
) -> Result<Option<(Vec<usize>, Setting<'p>)>, String> {
    let (path, value) = match (set, unset) {
        (Some(setting), _) => match setting.split_once('=') {
            Some((path, value)) => (path, Some(scalar(value))),
            None => return Err(format!("`--set {setting}` needs the form KEY=VALUE")),
        },
        (None, Some(path)) => (path, None),
        (None, None) => return Ok(None),
    };
    let Some(path) = path.strip_prefix(APPS) else { return Ok(None) };
    // A name may hold dots: the longest one counts.
    let fits = |name: &str| matches!(path.strip_prefix(name), Some(rest) if rest.is_empty() || rest.starts_with('.'));
    let Some(longest) = names.iter().flatten().filter(|name| fits(name)).max_by_key(|name| name.len()) else {
        let mut known: Vec<&str> = Vec::new();
        for name in names.iter().filter_map(|names| names.last()) {
            if !known.contains(&name.as_str()) {
                known.push(name);
            }
        }
        return Err(format!("no app of `apps.{path}` is known: there are {}", known.join(", ")));
    };
    let rest = path[longest.len()..].trim_start_matches('.');
    let meant = (0..names.len()).filter(|at| names[*at].contains(longest)).collect();
    Ok(Some((
        meant,
        match (value, rest) {
            (Some(_), "") => return Err(format!("`--set apps.{path}` names an app and no key of it")),
            (Some(value), rest) => Setting::Put(rest, value),
            (None, "") => Setting::Remove,
            (None, rest) => Setting::Take(rest),
        },
    )))
}

/// `true`, `false`, `null`, a number, or else the text itself.
fn scalar(text: &str) -> Json {
    match text {
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        "null" => Json::Null,
        _ => {
            let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            let parsed = number.then(|| serde_json::from_str(text).ok()).flatten();
            parsed.unwrap_or_else(|| Json::from(text))
        }
    }
}

fn apps_of(part: &mut Json) -> Option<&mut Vec<Json>> {
    match part {
        Json::Array(apps) => Some(apps),
        Json::Object(top) => {
            let key = ["apps", "default", "pm2"].into_iter().find(|key| top.contains_key(*key))?;
            apps_of(top.get_mut(key)?)
        }
        _ => None,
    }
}

/// The app that a path begins with, and the rest of the path. A name may hold dots: the longest one counts.
fn app_at<'j, 'p>(parts: &'j mut [&mut Json], path: &'p str) -> Result<(&'j mut Map<String, Json>, &'p str), String> {
    let apps = parts.iter_mut().filter_map(|part| apps_of(part)).flatten().filter_map(Json::as_object_mut);
    let mut known = Vec::new();
    let mut best: Option<(&mut Map<String, Json>, &str, usize)> = None;
    for app in apps {
        let Some(name) = app.get("name").and_then(Json::as_str).map(str::to_owned) else { continue };
        let rest =
            path.strip_prefix(&name).and_then(|rest| if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') });
        if let Some(rest) = rest
            && best.as_ref().is_none_or(|(_, _, length)| name.len() > *length)
        {
            best = Some((app, rest, name.len()));
        }
        known.push(name);
    }
    match best {
        Some((app, rest, _)) => Ok((app, rest)),
        None => Err(format!("no app of `apps.{path}` is known: there are {}", known.join(", "))),
    }
}

/// The key as the map has it, in any spelling where it is one of an app.
fn spelled(map: &Map<String, Json>, key: &str, app: bool) -> String {
    let row = keys::find(key).map(|(field, _)| field.name);
    let same = |other: &String| app && row.is_some() && keys::find(other).map(|(field, _)| field.name) == row;
    map.keys()
        .find(|other| *other == key)
        .or_else(|| map.keys().find(|other| same(other)))
        .map_or(key, String::as_str)
        .to_owned()
}

fn put(map: &mut Map<String, Json>, path: &str, value: Json, app: bool) {
    match path.split_once('.') {
        None => {
            let key = spelled(map, path, app);
            map.insert(key, value);
        }
        Some((key, rest)) => {
            let key = spelled(map, key, app);
            let inner = map.entry(key).or_insert(Json::Null);
            if !inner.is_object() {
                *inner = Json::Object(Map::new());
            }
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value, false);
            }
        }
    }
}

fn take(map: &mut Map<String, Json>, path: &str, app: bool) {
    match path.split_once('.') {
        None => {
            let key = spelled(map, path, app);
            map.shift_remove(&key);
        }
        Some((key, rest)) => {
            let key = spelled(map, key, app);
            if let Some(inner) = map.get_mut(&key).and_then(Json::as_object_mut) {
                take(inner, rest, false);
            }
        }
    }
}
