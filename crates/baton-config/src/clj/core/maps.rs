//! Maps, and what looks things up.

use super::{ANY, Native, get, index, items, pairs, row, taken};
use crate::clj::error::{Eval, failed, wants};
use crate::clj::eval::Interp;
use crate::clj::value::{Dict, Entries, Value};
use std::rc::Rc;

/// How long a path of keys may be.
const LONGEST_PATH: usize = 100;

pub(super) const TABLE: &[Native] = &[
    row("assoc", 1, ANY, |interp, arguments| {
        let mut arguments = arguments.into_iter();
        let mut value = arguments.next().unwrap_or(Value::Nil);
        while let Some(key) = arguments.next() {
            let Some(new) = arguments.next() else { return Err(failed("`assoc`: the last key has no value")) };
            value = assoc(interp, value, key, new)?;
        }
        Ok(value)
    }),
    row("assoc-in", 3, 3, |interp, mut arguments| {
        let (new, path) = (arguments.remove(2), arguments.remove(1));
        let path = path_of("assoc-in", &path)?;
        update_in(interp, arguments.remove(0), &path, &mut |_, _| Ok(new.clone()))
    }),
    row("contains?", 2, 2, |_, arguments| {
        let found = match &arguments[0] {
            Value::Nil => false,
            Value::Map(dict) => dict.contains_key(&arguments[1]),
            Value::Set(group) => group.contains(&arguments[1]),
            Value::Vector(_) | Value::Text(_) => get(&arguments[0], &arguments[1]).is_some(),
            other => return Err(wants("contains?", "a map, a set or a vector", other)),
        };
        Ok(Value::Bool(found))
    }),
    row("dissoc", 1, ANY, |_, arguments| {
        let mut arguments = arguments.into_iter();
        match arguments.next() {
            None | Some(Value::Nil) => Ok(Value::Nil),
            Some(Value::Map(mut dict)) => {
                let inner = Rc::make_mut(&mut dict);
                arguments.for_each(|key| inner.remove(&key));
                Ok(Value::Map(dict))
            }
            Some(other) => Err(wants("dissoc", "a map", &other)),
        }
    }),
    row("find", 2, 2, |_, arguments| {
        let found = get(&arguments[0], &arguments[1]);
        Ok(found.map_or(Value::Nil, |value| Value::vector(vec![arguments[1].clone(), value])))
    }),
    row("get", 2, 3, |_, arguments| {
        Ok(get(&arguments[0], &arguments[1]).unwrap_or_else(|| arguments.get(2).cloned().unwrap_or(Value::Nil)))
    }),
    row("get-in", 2, 3, |_, arguments| {
        let path = items("get-in", &arguments[1])?;
        let found = path.iter().try_fold(arguments[0].clone(), |value, key| get(&value, key));
        Ok(found.unwrap_or_else(|| arguments.get(2).cloned().unwrap_or(Value::Nil)))
    }),
    row("array-map", 0, ANY, |_, arguments| pairs("array-map", &arguments)),
    row("hash-map", 0, ANY, |_, arguments| pairs("hash-map", &arguments)),
    row("key", 1, 1, |_, arguments| entry("key", &arguments[0], 0)),
    row("keys", 1, 1, |interp, arguments| {
        let Some(dict) = dict("keys", &arguments[0])? else { return Ok(Value::Nil) };
        interp.charge(dict.len())?;
        Ok(super::sequences::or_nil(dict.keys().cloned().collect()))
    }),
    row("merge", 0, ANY, |interp, arguments| {
        let mut merged = Value::Nil;
        for argument in arguments {
            merged = merge(interp, merged, argument)?;
        }
        Ok(merged)
    }),
    row("merge-with", 1, ANY, |interp, arguments| {
        let Some((function, maps)) = arguments.split_first() else { return Ok(Value::Nil) };
        let mut merged: Option<Entries> = None;
        for map in maps {
            let Some(dict) = dict("merge-with", map)? else { continue };
            let all = merged.get_or_insert_default();
            for (key, value) in dict.iter() {
                let value = match all.get(key) {
                    Some(old) => interp.apply(function, vec![old.clone(), value.clone()])?,
                    None => value.clone(),
                };
                all.insert(key.clone(), value);
            }
        }
        Ok(merged.map_or(Value::Nil, Value::map))
    }),
    row("reduce-kv", 3, 3, |interp, mut arguments| {
        let (map, start) = (arguments.remove(2), arguments.remove(1));
        let mut value = start;
        let Some(dict) = dict("reduce-kv", &map)? else { return Ok(value) };
        for (key, entry) in dict.iter() {
            value = interp.apply(&arguments[0], vec![value, key.clone(), entry.clone()])?;
        }
        Ok(value)
    }),
    row("select-keys", 2, 2, |interp, arguments| {
        let keys = taken(interp, "select-keys", &arguments[1])?;
        let found = keys.into_iter().filter_map(|key| get(&arguments[0], &key).map(|value| (key, value)));
        Ok(Value::map(found.collect()))
    }),
    row("update", 3, ANY, |interp, mut arguments| {
        let extra = arguments.split_off(3);
        let (function, key) = (arguments.remove(2), arguments.remove(1));
        update_in(interp, arguments.remove(0), &[key], &mut |interp, old| {
            interp.apply(&function, std::iter::once(old).chain(extra.iter().cloned()).collect())
        })
    }),
    row("update-in", 3, ANY, |interp, mut arguments| {
        let extra = arguments.split_off(3);
        let (function, path) = (arguments.remove(2), arguments.remove(1));
        let path = path_of("update-in", &path)?;
        update_in(interp, arguments.remove(0), &path, &mut |interp, old| {
            interp.apply(&function, std::iter::once(old).chain(extra.iter().cloned()).collect())
        })
    }),
    row("update-keys", 2, 2, |interp, arguments| {
        let Some(dict) = dict("update-keys", &arguments[0])? else { return Ok(Value::Nil) };
        let mut entries = Entries::with_capacity(dict.len());
        for (key, value) in dict.iter() {
            entries.insert(interp.apply(&arguments[1], vec![key.clone()])?, value.clone());
        }
        Ok(Value::map(entries))
    }),
    row("update-vals", 2, 2, |interp, arguments| {
        let Some(dict) = dict("update-vals", &arguments[0])? else { return Ok(Value::Nil) };
        let mut entries = Entries::with_capacity(dict.len());
        for (key, value) in dict.iter() {
            entries.insert(key.clone(), interp.apply(&arguments[1], vec![value.clone()])?);
        }
        Ok(Value::map(entries))
    }),
    row("val", 1, 1, |_, arguments| entry("val", &arguments[0], 1)),
    row("vals", 1, 1, |interp, arguments| {
        let Some(dict) = dict("vals", &arguments[0])? else { return Ok(Value::Nil) };
        interp.charge(dict.len())?;
        Ok(super::sequences::or_nil(dict.values().cloned().collect()))
    }),
    row("zipmap", 2, 2, |interp, arguments| {
        let keys = taken(interp, "zipmap", &arguments[0])?;
        let values = taken(interp, "zipmap", &arguments[1])?;
        Ok(Value::map(keys.into_iter().zip(values).collect()))
    }),
];

fn dict<'v>(function: &str, value: &'v Value) -> Eval<Option<&'v Rc<Dict>>> {
    match value {
        Value::Nil => Ok(None),
        Value::Map(dict) => Ok(Some(dict)),
        other => Err(wants(function, "a map", other)),
    }
}

fn entry(function: &str, value: &Value, at: usize) -> Eval {
    match value {
        Value::Vector(items) if items.len() == 2 => Ok(items[at].clone()),
        other => Err(wants(function, "an entry of a map", other)),
    }
}

fn path_of(function: &str, path: &Value) -> Eval<Vec<Value>> {
    let path = items(function, path)?;
    if path.is_empty() || path.len() > LONGEST_PATH {
        return Err(failed(format!("`{function}` needs a path of 1 to {LONGEST_PATH} keys, and has {}", path.len())));
    }
    Ok(path.into_owned())
}

/// A map or a vector with one member more, or another one.
pub(super) fn assoc(interp: &mut Interp, collection: Value, key: Value, value: Value) -> Eval {
    interp.charge(1)?;
    match collection {
        Value::Nil => Ok(Value::map([(key, value)].into())),
        Value::Map(mut dict) => {
            Rc::make_mut(&mut dict).insert(key, value);
            Ok(Value::Map(dict))
        }
        Value::Vector(mut items) => {
            let at = index("assoc", &key)?;
            match at.cmp(&items.len()) {
                std::cmp::Ordering::Less => Rc::make_mut(&mut items).put(at, value),
                std::cmp::Ordering::Equal => Rc::make_mut(&mut items).push(value),
                std::cmp::Ordering::Greater => {
                    return Err(failed(format!("`assoc`: {at} is beyond the end of a vector of {}", items.len())));
                }
            }
            Ok(Value::Vector(items))
        }
        other => Err(wants("assoc", "a map or a vector", &other)),
    }
}

/// One map with the entries of two; those of the second win.
pub(super) fn merge(interp: &mut Interp, base: Value, more: Value) -> Eval {
    match (base, more) {
        (base, Value::Nil) => Ok(base),
        (Value::Nil, more @ Value::Map(_)) => Ok(more),
        (Value::Map(mut dict), Value::Map(more)) => {
            interp.charge(more.len())?;
            let inner = Rc::make_mut(&mut dict);
            more.iter().for_each(|(key, value)| inner.insert(key.clone(), value.clone()));
            Ok(Value::Map(dict))
        }
        (Value::Nil | Value::Map(_), other) | (other, _) => Err(wants("merge", "a map", &other)),
    }
}

fn update_in(
    interp: &mut Interp,
    value: Value,
    path: &[Value],
    change: &mut dyn FnMut(&mut Interp, Value) -> Eval,
) -> Eval {
    let Some((key, rest)) = path.split_first() else { return change(interp, value) };
    let old = get(&value, key).unwrap_or(Value::Nil);
    let new = update_in(interp, old, rest, change)?;
    assoc(interp, value, key.clone(), new)
}
