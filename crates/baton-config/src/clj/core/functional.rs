//! Functions that take functions.

use super::sequences::{compare, conj};
use super::{ANY, Native, row, taken};
use crate::clj::error::{Eval, failed};
use crate::clj::eval::Interp;
use crate::clj::value::{Entries, Made, Value};
use std::cmp::Ordering;

pub(super) const TABLE: &[Native] = &[
    row("apply", 2, ANY, |interp, mut arguments| {
        let last = taken(interp, "apply", &arguments.pop().unwrap_or(Value::Nil))?;
        let function = arguments.remove(0);
        arguments.extend(last);
        interp.apply(&function, arguments)
    }),
    row("comp", 0, ANY, |_, arguments| Ok(Value::made(Made::Compose, arguments))),
    row("complement", 1, 1, |_, arguments| Ok(Value::made(Made::Complement, arguments))),
    row("constantly", 1, 1, |_, arguments| Ok(Value::made(Made::Constantly, arguments))),
    row("drop-while", 2, 2, |interp, arguments| {
        let mut all = taken(interp, "drop-while", &arguments[1])?;
        let start = leading(interp, &arguments[0], &all)?;
        Ok(Value::list(all.split_off(start)))
    }),
    row("every-pred", 1, ANY, |_, arguments| Ok(Value::made(Made::EveryPredicate, arguments))),
    row("every?", 2, 2, |interp, arguments| {
        let all = taken(interp, "every?", &arguments[1])?;
        Ok(Value::Bool(leading(interp, &arguments[0], &all)? == all.len()))
    }),
    row("filter", 2, 2, |interp, arguments| Ok(Value::list(kept(interp, "filter", &arguments, true)?))),
    row("filterv", 2, 2, |interp, arguments| Ok(Value::vector(kept(interp, "filterv", &arguments, true)?))),
    row("fnil", 2, 4, |_, arguments| Ok(Value::made(Made::WithDefaults, arguments))),
    row("group-by", 2, 2, |interp, arguments| {
        let mut groups: Entries = Entries::new();
        for item in taken(interp, "group-by", &arguments[1])? {
            let key = interp.apply(&arguments[0], vec![item.clone()])?;
            let group = groups.entry(key).or_insert_with(|| Value::vector(Vec::new()));
            let old = std::mem::replace(group, Value::Nil);
            *group = conj(interp, old, item)?;
        }
        // The groups grew behind the map's back: its nesting is counted anew.
        Ok(Value::map(groups))
    }),
    row("identity", 1, 1, |_, mut arguments| Ok(arguments.remove(0))),
    row("juxt", 1, ANY, |_, arguments| Ok(Value::made(Made::Juxt, arguments))),
    row("keep", 2, 2, |interp, arguments| {
        let mut found = map(interp, "keep", &arguments)?;
        found.retain(|value| !matches!(value, Value::Nil));
        Ok(Value::list(found))
    }),
    row("keep-indexed", 2, 2, |interp, arguments| {
        let mut found = map_indexed(interp, &arguments)?;
        found.retain(|value| !matches!(value, Value::Nil));
        Ok(Value::list(found))
    }),
    row("map", 2, ANY, |interp, arguments| Ok(Value::list(map(interp, "map", &arguments)?))),
    row("map-indexed", 2, 2, |interp, arguments| Ok(Value::list(map_indexed(interp, &arguments)?))),
    row("mapcat", 2, ANY, |interp, arguments| {
        let mut all = Vec::new();
        for part in map(interp, "mapcat", &arguments)? {
            all.extend(taken(interp, "mapcat", &part)?);
        }
        Ok(Value::list(all))
    }),
    row("mapv", 2, ANY, |interp, arguments| Ok(Value::vector(map(interp, "mapv", &arguments)?))),
    row("max-key", 2, ANY, |interp, arguments| best(interp, arguments, Ordering::Greater)),
    row("min-key", 2, ANY, |interp, arguments| best(interp, arguments, Ordering::Less)),
    row("not-any?", 2, 2, |interp, arguments| {
        let all = taken(interp, "not-any?", &arguments[1])?;
        Ok(Value::Bool(!first_true(interp, &arguments[0], all)?.truthy()))
    }),
    row("not-every?", 2, 2, |interp, arguments| {
        let all = taken(interp, "not-every?", &arguments[1])?;
        Ok(Value::Bool(leading(interp, &arguments[0], &all)? != all.len()))
    }),
    row("partial", 1, ANY, |_, arguments| Ok(Value::made(Made::Partial, arguments))),
    row("partition-by", 2, 2, |interp, arguments| {
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for item in taken(interp, "partition-by", &arguments[1])? {
            let key = interp.apply(&arguments[0], vec![item.clone()])?;
            match groups.last_mut() {
                Some((last, group)) if *last == key => group.push(item),
                _ => groups.push((key, vec![item])),
            }
        }
        Ok(Value::list(groups.into_iter().map(|(_, group)| Value::list(group)).collect()))
    }),
    row("reduce", 2, 3, |interp, mut arguments| {
        let mut all = taken(interp, "reduce", &arguments.pop().unwrap_or(Value::Nil))?.into_iter();
        let start = match arguments.len() {
            2 => arguments.pop(),
            _ => all.next(),
        };
        let Some(mut value) = start else { return interp.apply(&arguments[0], Vec::new()) };
        for item in all {
            value = interp.apply(&arguments[0], vec![value, item])?;
        }
        Ok(value)
    }),
    row("remove", 2, 2, |interp, arguments| Ok(Value::list(kept(interp, "remove", &arguments, false)?))),
    row("run!", 2, 2, |interp, arguments| {
        for item in taken(interp, "run!", &arguments[1])? {
            interp.apply(&arguments[0], vec![item])?;
        }
        Ok(Value::Nil)
    }),
    row("some", 2, 2, |interp, arguments| {
        let all = taken(interp, "some", &arguments[1])?;
        first_true(interp, &arguments[0], all)
    }),
    row("some-fn", 1, ANY, |_, arguments| Ok(Value::made(Made::SomeFunction, arguments))),
    row("split-with", 2, 2, |interp, arguments| {
        let mut all = taken(interp, "split-with", &arguments[1])?;
        let start = leading(interp, &arguments[0], &all)?;
        let rest = all.split_off(start);
        Ok(Value::vector(vec![Value::list(all), Value::list(rest)]))
    }),
    row("take-while", 2, 2, |interp, arguments| {
        let mut all = taken(interp, "take-while", &arguments[1])?;
        let end = leading(interp, &arguments[0], &all)?;
        all.truncate(end);
        Ok(Value::list(all))
    }),
];

/// The results for each member, or for the members of several collections side by side.
fn map(interp: &mut Interp, name: &str, arguments: &[Value]) -> Eval<Vec<Value>> {
    let (function, collections) =
        arguments.split_first().ok_or_else(|| failed(format!("`{name}` needs a function")))?;
    let columns = collections.iter().map(|all| taken(interp, name, all)).collect::<Eval<Vec<_>>>()?;
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    (0..length).map(|_| interp.apply(function, columns.iter_mut().filter_map(Iterator::next).collect())).collect()
}

fn map_indexed(interp: &mut Interp, arguments: &[Value]) -> Eval<Vec<Value>> {
    let all = taken(interp, "map-indexed", &arguments[1])?;
    (0_i64..).zip(all).map(|(n, item)| interp.apply(&arguments[0], vec![Value::Int(n), item])).collect()
}

fn kept(interp: &mut Interp, name: &str, arguments: &[Value], wanted: bool) -> Eval<Vec<Value>> {
    let mut found = Vec::new();
    for item in taken(interp, name, &arguments[1])? {
        if interp.apply(&arguments[0], vec![item.clone()])?.truthy() == wanted {
            found.push(item);
        }
    }
    Ok(found)
}

/// How many members at the start pass the test.
fn leading(interp: &mut Interp, test: &Value, all: &[Value]) -> Eval<usize> {
    for (n, item) in all.iter().enumerate() {
        if !interp.apply(test, vec![item.clone()])?.truthy() {
            return Ok(n);
        }
    }
    Ok(all.len())
}

fn first_true(interp: &mut Interp, test: &Value, all: Vec<Value>) -> Eval {
    for item in all {
        let result = interp.apply(test, vec![item])?;
        if result.truthy() {
            return Ok(result);
        }
    }
    Ok(Value::Nil)
}

/// The argument whose key is the highest or the lowest.
fn best(interp: &mut Interp, arguments: Vec<Value>, wanted: Ordering) -> Eval {
    let mut arguments = arguments.into_iter();
    let function = arguments.next().unwrap_or(Value::Nil);
    let mut best: Option<(Value, Value)> = None;
    for argument in arguments {
        let key = interp.apply(&function, vec![argument.clone()])?;
        let better = match &best {
            None => true,
            Some((other, _)) => compare(&key, other)? == wanted,
        };
        if better {
            best = Some((key, argument));
        }
    }
    Ok(best.map_or(Value::Nil, |(_, argument)| argument))
}
