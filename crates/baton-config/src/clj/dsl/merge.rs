//! How configurations are merged.
//!
//! Maps merge deeply; vectors whose members are all maps with a name merge by name, those of the base first; other
//! vectors replace. `nil` on the right keeps the left, `false` replaces. The sentinel deletes its key, an app with the
//! mark of removal deletes the app. Two spellings of one key of an app are one key.

use crate::clj::print;
use crate::clj::value::{Dict, Entries, Value};
use crate::keys;
use std::rc::Rc;

/// The keyword that `pm2-clj.dsl/remove` is.
const SENTINEL: &str = "pm2-clj/remove";
/// The key that marks an app that a merge removes.
const REMOVED: &str = "pm2-clj/removed";
/// The namespace of all keys that never leave the evaluation.
const INTERNAL: &str = "pm2-clj/";

/// What becomes of a removal that met what it removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is done: this is the final base.
    Done,
    /// It stays: two patches become one, and the base is still to come.
    Kept,
}

/// The keys that a map holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Those of an app: kebab, snake and camel are the same.
    App,
    /// Any others.
    Plain,
}

/// The value of `pm2-clj.dsl/remove`.
pub(crate) fn sentinel() -> Value {
    Value::keyword(SENTINEL)
}

fn is_sentinel(value: &Value) -> bool {
    matches!(value, Value::Keyword(name) if **name == *SENTINEL)
}

/// An app that removes the one of its name.
pub(crate) fn removal(name: &str) -> Value {
    Value::record([("name", Value::text(name)), (REMOVED, Value::Bool(true))])
}

fn is_removal(app: &Value) -> bool {
    app.at(REMOVED).is_some()
}

/// What a map has under a keyword or text of this name.
pub(crate) fn named<'v>(map: &'v Value, name: &str) -> Option<&'v Value> {
    map.as_map()?.iter().find(|(key, _)| key_is(key, name)).map(|(_, value)| value)
}

fn key_is(key: &Value, name: &str) -> bool {
    matches!(key, Value::Keyword(text) | Value::Text(text) if **text == *name)
}

/// The name of an app as text.
pub(crate) fn name_of(app: &Value) -> Option<String> {
    match named(app, "name")? {
        Value::Nil => None,
        name => Some(name.name().map_or_else(|| print::plain(name), str::to_owned)),
    }
}

/// A map with another value under a name, whatever way the key is written.
pub(crate) fn with(map: Value, name: &str, value: Value) -> Value {
    let Value::Map(mut dict) = map else { return Value::record([(name, value)]) };
    let key = dict.keys().find(|key| key_is(key, name)).cloned().unwrap_or_else(|| Value::keyword(name));
    Rc::make_mut(&mut dict).insert(key, value);
    Value::Map(dict)
}

/// A map without a name.
pub(crate) fn without(map: &Value, name: &str) -> Value {
    match map {
        Value::Map(dict) => {
            let left = dict.iter().filter(|(key, _)| !key_is(key, name));
            Value::map(left.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        other => other.clone(),
    }
}

/// Any value with a patch over it.
pub(crate) fn deep(base: &Value, patch: &Value, removal: Removal) -> Value {
    merged(base, patch, removal, Level::Plain)
}

/// An app with a patch over it.
pub(crate) fn app(base: &Value, patch: &Value, removal: Removal) -> Value {
    merged(base, patch, removal, Level::App)
}

/// An ecosystem, or a fragment of one, with another over it.
pub(crate) fn ecosystem(base: &Value, patch: &Value, removal: Removal) -> Value {
    let (Value::Map(base), Value::Map(patch)) = (base, patch) else { return deep(base, patch, removal) };
    maps(base, patch, removal, Level::Plain, |name, old, new| match (name, old, new) {
        ("apps", Value::Vector(old) | Value::List(old), Value::Vector(new) | Value::List(new)) => {
            by_name(old, new, removal, Level::App)
        }
        ("profiles", Value::Map(old), Value::Map(new)) => {
            maps(old, new, Removal::Kept, Level::Plain, |_, old, new| ecosystem(old, new, Removal::Kept))
        }
        _ => deep(old, new, removal),
    })
}

fn merged(base: &Value, patch: &Value, removal: Removal, level: Level) -> Value {
    match (base, patch) {
        (base, Value::Nil) => base.clone(),
        (Value::Map(base), Value::Map(patch)) => {
            maps(base, patch, removal, level, |_, old, new| merged(old, new, removal, Level::Plain))
        }
        (Value::Vector(old) | Value::List(old), Value::Vector(new) | Value::List(new))
            if all_named(old) && all_named(new) =>
        {
            by_name(old, new, removal, Level::Plain)
        }
        (_, patch) => patch.clone(),
    }
}

fn all_named(items: &[Value]) -> bool {
    items.iter().all(|item| named(item, "name").is_some())
}

/// The key as a map of this level has it, in whatever spelling.
fn existing<'d>(base: &'d Dict, key: &Value, level: Level) -> Option<&'d Value> {
    if let Some((found, _)) = base.get_key_value(key) {
        return Some(found);
    }
    let wanted = canonical(key, level)?;
    base.keys().find(|other| canonical(other, level).as_deref() == Some(&wanted))
}

/// The name that all spellings of a key have in common.
fn canonical(key: &Value, level: Level) -> Option<String> {
    let (Value::Keyword(name) | Value::Text(name)) = key else { return None };
    if level == Level::Plain {
        return Some(name.to_string());
    }
    match (keys::find(name), keys::profile(name)) {
        (Some((field, _)), _) => Some(field.name.to_owned()),
        (None, Some(profile)) => Some(format!("env_{profile}")),
        (None, None) => Some(keys::snake(name)),
    }
}

fn maps(
    base: &Dict,
    patch: &Dict,
    removal: Removal,
    level: Level,
    both: impl Fn(&str, &Value, &Value) -> Value,
) -> Value {
    let mut all: Entries = (**base).clone();
    for (key, new) in patch.iter() {
        let known = existing(base, key, level).cloned();
        match known {
            Some(known) if is_sentinel(new) && removal == Removal::Done => {
                all.shift_remove(&known);
            }
            Some(known) => {
                let old = &base[&known];
                let value =
                    if is_sentinel(old) { new.clone() } else { both(known.name().unwrap_or_default(), old, new) };
                all.insert(known, value);
            }
            None => {
                all.insert(key.clone(), new.clone());
            }
        }
    }
    Value::map(all)
}

fn by_name(base: &[Value], patch: &[Value], removal: Removal, level: Level) -> Value {
    let mut all: Vec<Value> = base.to_vec();
    for new in patch {
        let name = name_of(new);
        let at = name.is_some().then(|| all.iter().position(|old| name_of(old) == name)).flatten();
        match at {
            Some(at) if is_removal(new) && removal == Removal::Done => {
                all.remove(at);
            }
            // A removal replaces what was there, and is replaced by what comes after it.
            Some(at) if is_removal(new) || is_removal(&all[at]) => all[at] = new.clone(),
            Some(at) => all[at] = merged(&all[at], new, removal, level),
            None => all.push(new.clone()),
        }
    }
    Value::vector(all)
}

/// The value without everything that only a merge needs: sentinels, removed apps, internal keys.
pub(crate) fn strip(value: &Value) -> Value {
    let internal = |key: &Value| matches!(key, Value::Keyword(name) if name.starts_with(INTERNAL));
    match value {
        Value::Map(dict) => {
            let left = dict.iter().filter(|(key, value)| !internal(key) && !is_sentinel(value));
            Value::map(left.map(|(key, value)| (key.clone(), strip(value))).collect())
        }
        Value::Vector(items) | Value::List(items) => {
            let left = items.iter().filter(|item| !is_removal(item) && !is_sentinel(item));
            Value::vector(left.map(strip).collect())
        }
        other => other.clone(),
    }
}
