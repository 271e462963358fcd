//! `profiles`: named changes of a file's apps.
//!
//! A profile is a map: `extends` (a profile or several, which come first), `env` (variables for every app), `apps` (a
//! list of apps or a map from names to apps: those of a known name are patches, the others are added) and `remove`
//! (names). In a patch maps are merged, other values replace, `null` takes a key away; `remove: true` takes the app away.

use super::{Item, Origin, Way, Wrong};
use crate::keys;
use baton_core::spec::Origin as From;
use serde_json::{Map, Value};

const KEYS: &[&str] = &["extends", "env", "apps", "remove"];

/// What is wrong with the shape of profiles, whether one is chosen or not.
pub(super) fn check_all(way: &Way, profiles: &Value) -> Result<(), Wrong> {
    let Value::Object(known) = profiles else {
        return Err(Wrong::new(way, "`profiles` is not a map", "write profiles: { prod: { apps: [ … ] } }"));
    };
    known.iter().try_for_each(|(name, profile)| check(&way.key(name), name, profile))
}

/// Puts the chosen profile over the apps.
pub(super) fn apply(profiles: Option<(Way, &Value)>, chosen: &str, items: &mut Vec<Item>) -> Result<(), Wrong> {
    let Some((way, Value::Object(known))) = &profiles else {
        return Err(Wrong::new(
            &Way::default(),
            format!("there is no profile `{chosen}`: the file has no `profiles`"),
            "leave --profile out; `env_<name>` of an app is chosen by --env",
        ));
    };
    let mut order = Vec::new();
    order_of(way, known, chosen, &mut Vec::new(), &mut order)?;
    for name in order {
        if let Some(Value::Object(profile)) = known.get(&name) {
            put(&way.key(&name), &name, profile, items)?;
        }
    }
    Ok(())
}

/// Refuses a profile of the wrong shape.
fn check(way: &Way, name: &str, profile: &Value) -> Result<(), Wrong> {
    let Value::Object(profile) = profile else {
        return Err(Wrong::new(
            way,
            format!("profile `{name}` is not a map"),
            format!("a profile has {}", KEYS.join(", ")),
        ));
    };
    let misfit = |key: &str, is: &str, help: &str| {
        Err(Wrong::new(&way.key(key), format!("profile `{name}`: `{key}` is not {is}"), help))
    };
    for (key, value) in profile {
        let fits = match key.as_str() {
            "extends" | "remove" if texts(value).is_none() => {
                return misfit(key, "a text or a list of texts", "write names, such as [\"api\"]");
            }
            "env" if !value.is_object() => {
                return misfit(key, "a map of variables", "write a map, such as { PORT: 8080 }");
            }
            "apps" if patches(way, value).is_none() => {
                return misfit(key, "a list of apps with names", "write apps: [ { name: \"api\", instances: 2 } ]");
            }
            key => KEYS.contains(&key),
        };
        if !fits {
            let help = format!("a profile has {}", KEYS.join(", "));
            return Err(Wrong::new(&way.key(key), format!("profile `{name}`: unknown key `{key}`"), help));
        }
    }
    Ok(())
}

/// The profiles to put on, those that are extended first.
fn order_of(
    way: &Way,
    known: &Map<String, Value>,
    name: &str,
    within: &mut Vec<String>,
    order: &mut Vec<String>,
) -> Result<(), Wrong> {
    let Some(profile) = known.get(name) else {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let by = within.last().map(|by| format!("profile `{by}` extends `{name}`: ")).unwrap_or_default();
        let at = within.last().map_or_else(|| way.clone(), |by| way.key(by).key("extends"));
        let help = format!("the file has {}", names.join(", "));
        return Err(Wrong::new(&at, format!("{by}there is no profile `{name}`"), help));
    };
    if within.iter().any(|outer| outer == name) {
        let circle = within.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" → ");
        return Err(Wrong::new(
            &way.key(name).key("extends"),
            format!("profiles extend each other: {circle}"),
            "break the circle",
        ));
    }
    if order.iter().any(|done| done == name) {
        return Ok(());
    }
    within.push(name.to_owned());
    for base in profile.get("extends").and_then(texts).unwrap_or_default() {
        order_of(way, known, base, within, order)?;
    }
    within.pop();
    order.push(name.to_owned());
    Ok(())
}

fn put(way: &Way, name: &str, profile: &Map<String, Value>, items: &mut Vec<Item>) -> Result<(), Wrong> {
    let by = From::Profile(name.into());
    if let Some(Value::Object(env)) = profile.get("env") {
        for item in items.iter_mut() {
            item.change(&by, |app| merge_key(app, "env", &Value::Object(env.clone())));
        }
    }
    for (way, app, patch) in profile.get("apps").and_then(|apps| patches(way, apps)).unwrap_or_default() {
        let is_removed = patch.get("remove") == Some(&Value::Bool(true));
        match items.iter().position(|item| item.is_called(app)) {
            Some(at) if is_removed => drop(items.remove(at)),
            Some(at) => items[at].change(&by, |app| patch_app(app, patch)),
            None if is_removed => return Err(nothing_to_remove(&way, name, app)),
            None => {
                let mut fresh = patch.clone();
                fresh.entry("name").or_insert_with(|| app.into());
                let mut item = Item::new(Origin::At(way), fresh, None, &[]);
                item.layers.iter_mut().for_each(|layer| layer.origin = by.clone());
                items.push(item);
            }
        }
    }
    for app in profile.get("remove").and_then(texts).unwrap_or_default() {
        let at = items.iter().position(|item| item.is_called(app));
        items.remove(at.ok_or_else(|| nothing_to_remove(&way.key("remove"), name, app))?);
    }
    Ok(())
}

fn nothing_to_remove(way: &Way, profile: &str, app: &str) -> Wrong {
    Wrong::new(way, format!("profile `{profile}` removes `{app}`, and there is no such app"), "correct the name")
}

/// Merges a patch into an app. A key counts as the same in any spelling; the name stays.
fn patch_app(app: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch.iter().filter(|(key, _)| !matches!(key.as_str(), "name" | "remove")) {
        merge_key(app, key, value);
    }
}

fn merge_key(app: &mut Map<String, Value>, key: &str, value: &Value) {
    let field = |key: &str| keys::find(key).map(|(field, _)| field.name);
    let own = match field(key) {
        Some(name) => app.keys().find(|own| field(own) == Some(name)).cloned(),
        None => None,
    };
    let own = own.unwrap_or_else(|| key.to_owned());
    if value.is_null() {
        app.remove(&own);
    } else {
        merge(app.entry(own).or_insert(Value::Null), value);
    }
}

fn merge(base: &mut Value, patch: &Value) {
    let (Value::Object(base), Value::Object(patch)) = (&mut *base, patch) else {
        *base = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            base.remove(key);
        } else {
            merge(base.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

type Patches<'v> = Vec<(Way, &'v str, &'v Map<String, Value>)>;

/// The apps of a profile with their names and where they are written. `None`: something else stands there.
fn patches<'v>(profile: &Way, apps: &'v Value) -> Option<Patches<'v>> {
    let way = profile.key("apps");
    match apps {
        Value::Array(list) => {
            let each = list.iter().enumerate().map(|(at, app)| {
                let app = app.as_object()?;
                Some((way.index(at), app.get("name")?.as_str()?, app))
            });
            each.collect()
        }
        Value::Object(map) => {
            map.iter().map(|(name, app)| Some((way.key(name), name.as_str(), app.as_object()?))).collect()
        }
        _ => None,
    }
}

/// A text, or a list of them.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
