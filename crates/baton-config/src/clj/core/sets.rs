//! Sets.

use super::{ANY, Native, get, row, taken};
use crate::clj::error::{Eval, wants};
use crate::clj::value::{Entries, Group, Members, Value};
use std::rc::Rc;

pub(super) const TABLE: &[Native] = &[
    row("disj", 1, ANY, |_, arguments| {
        let mut arguments = arguments.into_iter();
        match arguments.next() {
            None | Some(Value::Nil) => Ok(Value::Nil),
            Some(Value::Set(mut group)) => {
                let inner = Rc::make_mut(&mut group);
                arguments.for_each(|member| inner.remove(&member));
                Ok(Value::Set(group))
            }
            Some(other) => Err(wants("disj", "a set", &other)),
        }
    }),
    row("hash-set", 0, ANY, |_, arguments| Ok(Value::set(arguments.into_iter().collect()))),
    row("set", 1, 1, |interp, arguments| Ok(Value::set(taken(interp, "set", &arguments[0])?.into_iter().collect()))),
];

/// `clojure.set`
pub(super) const SET: &[Native] = &[
    row("difference", 1, ANY, |_, arguments| {
        combined("difference", &arguments, |all, other| {
            all.retain(|member| !other.contains(member));
        })
    }),
    row("intersection", 1, ANY, |_, arguments| {
        combined("intersection", &arguments, |all, other| {
            all.retain(|member| other.contains(member));
        })
    }),
    row("rename-keys", 2, 2, |interp, arguments| {
        let (Value::Map(map), Value::Map(_)) = (&arguments[0], &arguments[1]) else {
            return Err(wants("rename-keys", "two maps", &arguments[0]));
        };
        interp.charge(map.len())?;
        let renamed =
            map.iter().map(|(key, value)| (get(&arguments[1], key).unwrap_or_else(|| key.clone()), value.clone()));
        Ok(Value::map(renamed.collect::<Entries>()))
    }),
    row("subset?", 2, 2, |_, arguments| {
        let (a, b) = (group("subset?", &arguments[0])?, group("subset?", &arguments[1])?);
        Ok(Value::Bool(a.iter().all(|member| b.contains(member))))
    }),
    row("superset?", 2, 2, |_, arguments| {
        let (a, b) = (group("superset?", &arguments[0])?, group("superset?", &arguments[1])?);
        Ok(Value::Bool(b.iter().all(|member| a.contains(member))))
    }),
    row("union", 0, ANY, |_, arguments| {
        combined("union", &arguments, |all, other| {
            all.extend(other.iter().cloned());
        })
    }),
];

fn group<'v>(function: &str, value: &'v Value) -> Eval<&'v Group> {
    match value {
        Value::Set(group) => Ok(group),
        other => Err(wants(function, "a set", other)),
    }
}

fn combined(function: &str, arguments: &[Value], with: fn(&mut Members, &Members)) -> Eval {
    let Some((first, others)) = arguments.split_first() else { return Ok(Value::set(Members::new())) };
    let mut all: Members = (**group(function, first)?).clone();
    for other in others.iter().filter(|other| !matches!(other, Value::Nil)) {
        with(&mut all, group(function, other)?);
    }
    Ok(Value::set(all))
}
