//! Sequences: finite, made at once, in order.

use super::maps::merge;
use super::{ANY, Native, index, items, pairs, row, taken};
use crate::clj::error::{CljErrorKind, Eval, failed, wants};
use crate::clj::eval::Interp;
use crate::clj::value::{Entries, Members, Value};
use std::cmp::Ordering;
use std::rc::Rc;

pub(super) const TABLE: &[Native] = &[
    row("butlast", 1, 1, |interp, arguments| {
        let mut all = taken(interp, "butlast", &arguments[0])?;
        all.pop();
        Ok(or_nil(all))
    }),
    row("concat", 0, ANY, |interp, arguments| {
        let mut all = Vec::new();
        for argument in &arguments {
            all.extend(taken(interp, "concat", argument)?);
        }
        Ok(Value::list(all))
    }),
    row("conj", 1, ANY, |interp, arguments| {
        let mut arguments = arguments.into_iter();
        let mut value = arguments.next().unwrap_or(Value::Nil);
        for more in arguments {
            value = conj(interp, value, more)?;
        }
        Ok(value)
    }),
    row("cons", 2, 2, |interp, arguments| {
        let rest = taken(interp, "cons", &arguments[1])?;
        Ok(Value::list(std::iter::once(arguments[0].clone()).chain(rest).collect()))
    }),
    row("count", 1, 1, |_, arguments| number(items("count", &arguments[0])?.len())),
    row("distinct", 1, 1, |interp, arguments| {
        let unique: Members = taken(interp, "distinct", &arguments[0])?.into_iter().collect();
        Ok(Value::list(unique.into_iter().collect()))
    }),
    row("doall", 1, 1, |_, mut arguments| Ok(arguments.remove(0))),
    row("dorun", 1, 1, |_, _| Ok(Value::Nil)),
    row("drop", 2, 2, |interp, arguments| {
        let all = taken(interp, "drop", &arguments[1])?;
        Ok(Value::list(all.into_iter().skip(amount("drop", &arguments[0])?).collect()))
    }),
    row("drop-last", 1, 2, |interp, mut arguments| {
        let mut all = taken(interp, "drop-last", &arguments.pop().unwrap_or(Value::Nil))?;
        let count = arguments.first().map_or(Ok(1), |count| amount("drop-last", count))?;
        all.truncate(all.len().saturating_sub(count));
        Ok(Value::list(all))
    }),
    row("empty", 1, 1, |_, arguments| {
        Ok(match &arguments[0] {
            Value::Map(_) => Value::map(Entries::new()),
            Value::Set(_) => Value::set(Members::new()),
            Value::Vector(_) => Value::vector(Vec::new()),
            Value::List(_) => Value::list(Vec::new()),
            _ => Value::Nil,
        })
    }),
    row("empty?", 1, 1, |_, arguments| Ok(Value::Bool(items("empty?", &arguments[0])?.is_empty()))),
    row("first", 1, 1, |_, arguments| Ok(items("first", &arguments[0])?.first().cloned().unwrap_or(Value::Nil))),
    row("flatten", 1, 1, |interp, arguments| {
        let mut flat = Vec::new();
        flatten(interp, &arguments[0], &mut flat)?;
        Ok(Value::list(flat))
    }),
    row("frequencies", 1, 1, |interp, arguments| {
        let mut counts: Entries = Entries::new();
        for item in taken(interp, "frequencies", &arguments[0])? {
            match counts.entry(item).or_insert(Value::Int(0)) {
                Value::Int(count) => *count += 1,
                _ => return Err(failed("`frequencies` lost count")),
            }
        }
        Ok(Value::map(counts))
    }),
    row("interleave", 2, 2, |interp, arguments| {
        let (a, b) = (taken(interp, "interleave", &arguments[0])?, taken(interp, "interleave", &arguments[1])?);
        Ok(Value::list(a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).collect()))
    }),
    row("interpose", 2, 2, |interp, arguments| {
        let all = taken(interp, "interpose", &arguments[1])?;
        let with: Vec<Value> = all.into_iter().flat_map(|item| [arguments[0].clone(), item]).skip(1).collect();
        Ok(Value::list(with))
    }),
    row("into", 2, 2, |interp, mut arguments| {
        let more = taken(interp, "into", &arguments[1])?;
        let mut value = arguments.swap_remove(0);
        for item in more {
            value = conj(interp, value, item)?;
        }
        Ok(value)
    }),
    row("last", 1, 1, |_, arguments| Ok(items("last", &arguments[0])?.last().cloned().unwrap_or(Value::Nil))),
    row("list", 0, ANY, |_, arguments| Ok(Value::list(arguments))),
    row("list*", 1, ANY, |interp, mut arguments| {
        let rest = taken(interp, "list*", &arguments.pop().unwrap_or(Value::Nil))?;
        arguments.extend(rest);
        Ok(Value::list(arguments))
    }),
    row("next", 1, 1, |interp, arguments| {
        Ok(or_nil(taken(interp, "next", &arguments[0])?.into_iter().skip(1).collect()))
    }),
    row("not-empty", 1, 1, |_, mut arguments| {
        let empty = items("not-empty", &arguments[0])?.is_empty();
        Ok(if empty { Value::Nil } else { arguments.remove(0) })
    }),
    row("nth", 2, 3, |_, arguments| {
        let all = items("nth", &arguments[0])?;
        let at = index("nth", &arguments[1])?;
        let found = all.get(at).or(arguments.get(2)).cloned();
        found.ok_or_else(|| failed(format!("`nth`: there is no member {at} in a sequence of {}", all.len())))
    }),
    row("partition", 2, 4, |interp, arguments| {
        let (count, step, pad, all) = match &arguments[..] {
            [count, all] => (count, count, None, all),
            [count, step, all] => (count, step, None, all),
            [count, step, pad, all] => (count, step, Some(pad), all),
            _ => return Err(failed("`partition` takes 2 to 4 arguments")),
        };
        let pad = pad.map(|pad| taken(interp, "partition", pad)).transpose()?;
        groups(interp, "partition", [count, step], pad.as_deref(), all)
    }),
    row("partition-all", 2, 3, |interp, arguments| {
        let (count, step, all) = match &arguments[..] {
            [count, all] => (count, count, all),
            [count, step, all] => (count, step, all),
            _ => return Err(failed("`partition-all` takes 2 or 3 arguments")),
        };
        groups(interp, "partition-all", [count, step], Some(&[]), all)
    }),
    row("peek", 1, 1, |_, arguments| {
        let all = items("peek", &arguments[0])?;
        let found = if matches!(arguments[0], Value::List(_)) { all.first() } else { all.last() };
        Ok(found.cloned().unwrap_or(Value::Nil))
    }),
    row("pop", 1, 1, |interp, arguments| {
        let mut all = taken(interp, "pop", &arguments[0])?;
        match &arguments[0] {
            Value::Vector(_) if !all.is_empty() => {
                all.pop();
                Ok(Value::vector(all))
            }
            Value::List(_) if !all.is_empty() => Ok(Value::list(all.split_off(1))),
            other => Err(wants("pop", "a vector or list with a member", other)),
        }
    }),
    row("range", 0, 3, |interp, arguments| {
        let (start, end, step) = match &arguments[..] {
            [end] => (0.0, float(end)?, 1.0),
            [start, end] => (float(start)?, float(end)?, 1.0),
            [start, end, step] => (float(start)?, float(end)?, float(step)?),
            _ => return Err(CljErrorKind::Unsupported("`range` without an end is not supported".into()).into()),
        };
        if step == 0.0 {
            return Err(failed("`range` needs a step that is not 0"));
        }
        let mut all = Vec::new();
        let mut value = start;
        while if step > 0.0 { value < end } else { value > end } {
            interp.charge(1)?;
            all.push(Value::float(value));
            value += step;
        }
        Ok(Value::list(all))
    }),
    row("repeat", 1, 2, |interp, mut arguments| match &arguments[..] {
        [count, _] => {
            let count = amount("repeat", count)?;
            interp.charge(count)?;
            Ok(Value::list(vec![arguments.remove(1); count]))
        }
        _ => Err(CljErrorKind::Unsupported("`repeat` without a number is not supported".into()).into()),
    }),
    row("rest", 1, 1, |interp, arguments| {
        Ok(Value::list(taken(interp, "rest", &arguments[0])?.into_iter().skip(1).collect()))
    }),
    row("reverse", 1, 1, |interp, arguments| {
        Ok(Value::list(taken(interp, "reverse", &arguments[0])?.into_iter().rev().collect()))
    }),
    row("second", 1, 1, |_, arguments| Ok(items("second", &arguments[0])?.get(1).cloned().unwrap_or(Value::Nil))),
    row("seq", 1, 1, |interp, arguments| Ok(or_nil(taken(interp, "seq", &arguments[0])?))),
    row("sort", 1, 2, |interp, mut arguments| {
        let all = taken(interp, "sort", &arguments.pop().unwrap_or(Value::Nil))?;
        sorted(interp, all.into_iter().map(|item| (item.clone(), item)).collect(), arguments.first())
    }),
    row("sort-by", 2, 3, |interp, mut arguments| {
        let all = taken(interp, "sort-by", &arguments.pop().unwrap_or(Value::Nil))?;
        let keyed = all.into_iter().map(|item| Ok((interp.apply(&arguments[0], vec![item.clone()])?, item)));
        let keyed = keyed.collect::<Eval<Vec<_>>>()?;
        sorted(interp, keyed, arguments.get(1))
    }),
    row("split-at", 2, 2, |interp, arguments| {
        let mut all = taken(interp, "split-at", &arguments[1])?;
        let rest = all.split_off(amount("split-at", &arguments[0])?.min(all.len()));
        Ok(Value::vector(vec![Value::list(all), Value::list(rest)]))
    }),
    row("subvec", 2, 3, |interp, arguments| {
        let all = taken(interp, "subvec", &arguments[0])?;
        let start = index("subvec", &arguments[1])?;
        let end = arguments.get(2).map_or(Ok(all.len()), |end| index("subvec", end))?;
        let part = all
            .get(start..end)
            .ok_or_else(|| failed(format!("`subvec`: a vector of {} has no part {start} to {end}", all.len())))?;
        Ok(Value::vector(part.to_vec()))
    }),
    row("take", 2, 2, |interp, arguments| {
        let all = taken(interp, "take", &arguments[1])?;
        Ok(Value::list(all.into_iter().take(amount("take", &arguments[0])?).collect()))
    }),
    row("take-last", 2, 2, |interp, arguments| {
        let mut all = taken(interp, "take-last", &arguments[1])?;
        let start = all.len().saturating_sub(amount("take-last", &arguments[0])?);
        Ok(Value::list(all.split_off(start)))
    }),
    row("vec", 1, 1, |interp, arguments| Ok(Value::vector(taken(interp, "vec", &arguments[0])?))),
    row("vector", 0, ANY, |_, arguments| Ok(Value::vector(arguments))),
];

fn number(count: usize) -> Eval {
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

pub(super) fn or_nil(all: Vec<Value>) -> Value {
    if all.is_empty() { Value::Nil } else { Value::list(all) }
}

/// A count; a negative one is none.
fn amount(function: &str, value: &Value) -> Eval<usize> {
    match value {
        Value::Int(number) => Ok(usize::try_from(*number).unwrap_or(0)),
        other => Err(wants(function, "a whole number", other)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers are JavaScript's")]
fn float(value: &Value) -> Eval<f64> {
    match value {
        Value::Int(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => Err(wants("range", "a number", other)),
    }
}

/// A collection with one member more, where this kind of collection takes it.
pub(super) fn conj(interp: &mut Interp, collection: Value, item: Value) -> Eval {
    interp.charge(1)?;
    match collection {
        Value::Nil => Ok(Value::list(vec![item])),
        Value::Vector(mut all) => {
            Rc::make_mut(&mut all).push(item);
            Ok(Value::Vector(all))
        }
        Value::List(all) => {
            interp.charge(all.len())?;
            Ok(Value::list(std::iter::once(item).chain(all.iter().cloned()).collect()))
        }
        Value::Set(mut group) => {
            Rc::make_mut(&mut group).insert(item);
            Ok(Value::Set(group))
        }
        map @ Value::Map(_) => {
            let more = match &item {
                Value::Vector(entry) if entry.len() == 2 => pairs("conj", entry)?,
                Value::Map(_) | Value::Nil => item,
                other => return Err(wants("conj", "an entry for a map", other)),
            };
            merge(interp, map, more)
        }
        other => Err(wants("conj", "a collection", &other)),
    }
}

fn flatten(interp: &mut Interp, value: &Value, out: &mut Vec<Value>) -> Eval<()> {
    interp.charge(1)?;
    if let Value::List(all) | Value::Vector(all) = value {
        for item in all.iter() {
            match item {
                Value::List(_) | Value::Vector(_) => flatten(interp, item, out)?,
                other => out.push(other.clone()),
            }
        }
        interp.charge(all.len())?;
    }
    Ok(())
}

/// Groups of `count`, every `step` members. What is left at the end is filled from `pad`, or dropped without one.
fn groups(interp: &mut Interp, name: &str, sizes: [&Value; 2], pad: Option<&[Value]>, all: &Value) -> Eval {
    let [count, step] = [index(name, sizes[0])?, index(name, sizes[1])?];
    if count == 0 || step == 0 {
        return Err(failed(format!("`{name}` needs numbers above 0")));
    }
    let all = taken(interp, name, all)?;
    let mut found = Vec::new();
    for start in (0..all.len()).step_by(step) {
        let mut group: Vec<Value> = all[start..].iter().take(count).cloned().collect();
        interp.charge(group.len())?;
        let whole = group.len() == count;
        match pad {
            None if !whole => break,
            Some(pad) if !whole => group.extend(pad.iter().take(count - group.len()).cloned()),
            _ => {}
        }
        found.push(Value::list(group));
        // Only `partition` ends with its first padded group.
        if !whole && name == "partition" {
            break;
        }
    }
    Ok(Value::list(found))
}

/// Sorts by key with a comparator of the file, or the natural order; stable.
fn sorted(interp: &mut Interp, keyed: Vec<(Value, Value)>, comparator: Option<&Value>) -> Eval {
    let mut failure = None;
    let less = |interp: &mut Interp, a: &Value, b: &Value| match comparator {
        None => compare(a, b),
        Some(comparator) => match interp.apply(comparator, vec![a.clone(), b.clone()])? {
            Value::Bool(true) => Ok(Ordering::Less),
            Value::Bool(false) => {
                let after = interp.apply(comparator, vec![b.clone(), a.clone()])?.truthy();
                Ok(if after { Ordering::Greater } else { Ordering::Equal })
            }
            Value::Int(number) => Ok(number.cmp(&0)),
            Value::Float(number) => Ok(number.partial_cmp(&0.0).unwrap_or(Ordering::Equal)),
            other => Err(wants("sort", "a comparator that gives a boolean or a number", &other)),
        },
    };
    // Merge sort: an order that is none must not upset it.
    let mut runs: Vec<Vec<(Value, Value)>> = keyed.into_iter().map(|item| vec![item]).collect();
    while runs.len() > 1 && failure.is_none() {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut left = runs.into_iter();
        while let Some(a) = left.next() {
            let Some(b) = left.next() else {
                merged.push(a);
                break;
            };
            let mut both = Vec::with_capacity(a.len() + b.len());
            let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
            while let (Some(first), Some(second)) = (a.peek(), b.peek()) {
                interp.charge(1)?;
                let order = less(interp, &first.0, &second.0).unwrap_or_else(|escape| {
                    failure.get_or_insert(escape);
                    Ordering::Equal
                });
                both.extend(if order == Ordering::Greater { b.next() } else { a.next() });
            }
            both.extend(a);
            both.extend(b);
            merged.push(both);
        }
        runs = merged;
    }
    if let Some(escape) = failure {
        return Err(escape);
    }
    Ok(Value::list(runs.pop().unwrap_or_default().into_iter().map(|(_, item)| item).collect()))
}

/// The natural order of two values of one kind.
pub(super) fn compare(a: &Value, b: &Value) -> Eval<Ordering> {
    Ok(match (a, b) {
        (Value::Nil, Value::Nil) => Ordering::Equal,
        (Value::Nil, _) => Ordering::Less,
        (_, Value::Nil) => Ordering::Greater,
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            float(a)?.partial_cmp(&float(b)?).unwrap_or(Ordering::Equal)
        }
        (Value::Text(a), Value::Text(b))
        | (Value::Keyword(a), Value::Keyword(b))
        | (Value::Symbol(a), Value::Symbol(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Vector(a), Value::Vector(b)) => {
            if a.len() != b.len() {
                return Ok(a.len().cmp(&b.len()));
            }
            for (a, b) in a.iter().zip(b.iter()) {
                let order = compare(a, b)?;
                if order != Ordering::Equal {
                    return Ok(order);
                }
            }
            Ordering::Equal
        }
        _ => return Err(failed(format!("{} and {} have no order", a.kind(), b.kind()))),
    })
}
