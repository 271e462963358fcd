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
            None => parts
                .iter_mut()
                .filter_map(|part| part.as_object_mut())
                .for_each(|top| put(top, path, value.clone(), false)),
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
            None => parts.iter_mut().filter_map(|part| part.as_object_mut()).for_each(|top| take(top, path, false)),
        }
    }
    Ok(())
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
