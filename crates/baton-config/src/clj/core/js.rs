//! Between Clojure's values and JavaScript's: `clj->js`, objects, and the globals behind `js/`.

use super::maths::{chosen, float};
use super::text::{leading_number, print, whole_number};
use super::{ANY, Native, index, items, row, string};
use crate::clj::error::{Eval, failed, wants};
use crate::clj::eval::{Interp, exception, parse, stringify};
use crate::clj::json;
use crate::clj::print::plain;
use crate::clj::value::{Entries, Value};
use crate::target;
use std::path::Path;

pub(super) const TABLE: &[Native] = &[
    row("aget", 2, ANY, |interp, arguments| {
        arguments[1..].iter().try_fold(arguments[0].clone(), |object, key| member(interp, &object, key))
    }),
    row("array", 0, ANY, |_, arguments| Ok(Value::vector(arguments))),
    row("aset", 3, 3, |interp, arguments| match &arguments[0] {
        Value::Module => {
            let name = plain(&arguments[1]);
            interp.export(&["module", &name], arguments[2].clone())
        }
        other => Err(failed(format!("`aset`: only module.exports can be set, and this is {}", other.kind()))),
    }),
    row("clj->js", 1, ANY, |interp, arguments| to_js(interp, &arguments[0])),
    row("js->clj", 1, ANY, |_, arguments| {
        let keywords =
            arguments.windows(2).any(|pair| pair[0] == Value::keyword("keywordize-keys") && pair[1].truthy());
        Ok(to_clj(&arguments[0], keywords))
    }),
    row("js-keys", 1, 1, |_, arguments| match &arguments[0] {
        Value::Map(dict) => Ok(Value::vector(dict.keys().cloned().collect())),
        other => Err(wants("js-keys", "an object", other)),
    }),
    row("js-obj", 0, ANY, |_, arguments| {
        let pairs = arguments.chunks_exact(2).map(|pair| (Value::text(json::key_text(&pair[0])), pair[1].clone()));
        Ok(Value::map(pairs.collect()))
    }),
    row("oget", 2, 2, |interp, arguments| member(interp, &arguments[0], &arguments[1])),
];

/// Behind `js/`.
pub(super) const GLOBALS: &[Native] = &[
    row("Boolean", 1, 1, |_, arguments| {
        Ok(Value::Bool(match &arguments[0] {
            Value::Text(text) => !text.is_empty(),
            Value::Int(0) => false,
            Value::Float(number) => !number.is_nan(),
            other => other.truthy(),
        }))
    }),
    row("Error", 0, 1, |_, arguments| Ok(exception(&arguments.first().map(plain).unwrap_or_default(), Value::Nil))),
    row("Number", 1, 1, |_, arguments| {
        Ok(match &arguments[0] {
            Value::Text(text) => whole_number(text),
            Value::Bool(yes) => Value::Int((*yes).into()),
            number @ (Value::Int(_) | Value::Float(_)) => number.clone(),
            _ => Value::Float(f64::NAN),
        })
    }),
    row("String", 1, 1, |_, arguments| Ok(Value::text(plain(&arguments[0])))),
    row("abs", 1, 1, |_, arguments| Ok(Value::float(float("Math.abs", &arguments[0])?.abs()))),
    row("ceil", 1, 1, |_, arguments| Ok(Value::float(float("Math.ceil", &arguments[0])?.ceil()))),
    row("cwd", 0, 0, |interp, _| Ok(Value::text(&*interp.options.cwd.to_string_lossy()))),
    row("floor", 1, 1, |_, arguments| Ok(Value::float(float("Math.floor", &arguments[0])?.floor()))),
    row("log", 0, ANY, |interp, arguments| {
        let line: Vec<String> = arguments.iter().map(plain).collect();
        print(interp, &(line.join(" ") + "\n"))
    }),
    row("max", 1, ANY, |_, arguments| chosen("Math.max", arguments, |new, old| new > old)),
    row("min", 1, ANY, |_, arguments| chosen("Math.min", arguments, |new, old| new < old)),
    row("parse", 1, 1, |_, arguments| parse(&arguments[0])),
    row("parseFloat", 1, 1, |_, arguments| Ok(leading_number(&plain(&arguments[0]), false))),
    row("parseInt", 1, 2, |_, arguments| match arguments.get(1) {
        None | Some(Value::Int(10)) => Ok(leading_number(&plain(&arguments[0]), true)),
        Some(other) => Err(wants("parseInt", "the radix 10", other)),
    }),
    row("round", 1, 1, |_, arguments| Ok(Value::float((float("Math.round", &arguments[0])? + 0.5).floor()))),
    row("stringify", 1, 3, |_, arguments| stringify(&arguments[0])),
];

/// The module `path`.
pub(super) const PATH: &[Native] = &[
    row("basename", 1, 1, |_, arguments| {
        let path = string("basename", &arguments[0])?;
        Ok(Value::text(Path::new(&**path).file_name().map(|name| name.to_string_lossy()).unwrap_or_default()))
    }),
    row("dirname", 1, 1, |_, arguments| {
        let path = string("dirname", &arguments[0])?;
        let parent = Path::new(&**path).parent().map(|parent| parent.to_string_lossy()).unwrap_or_default();
        Ok(if parent.is_empty() { Value::text(".") } else { Value::text(parent) })
    }),
    row("join", 0, ANY, |_, arguments| {
        let parts = arguments.iter().map(|part| string("join", part)).collect::<Eval<Vec<_>>>()?;
        let joined = parts.iter().map(|part| &***part).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let clean = target::resolve(Path::new("/"), joined.trim_start_matches('/'));
        let clean = clean.to_string_lossy();
        // A relative path keeps the steps that lead out of it.
        let out = joined.split('/').take_while(|part| matches!(*part, ".." | ".")).filter(|part| *part == "..").count();
        let relative = format!("{}{}", "../".repeat(out), clean.trim_start_matches('/'));
        Ok(Value::text(match (joined.starts_with('/'), relative.trim_end_matches('/')) {
            (true, _) => clean.into_owned(),
            (false, "") => ".".into(),
            (false, relative) => relative.to_owned(),
        }))
    }),
    row("resolve", 0, ANY, |interp, arguments| {
        let mut path = interp.options.cwd.clone();
        for part in &arguments {
            path = target::resolve(&path, &**string("resolve", part)?);
        }
        Ok(Value::text(path.to_string_lossy()))
    }),
];

fn member(interp: &mut Interp, object: &Value, key: &Value) -> Eval {
    match object {
        Value::Vector(_) | Value::List(_) => {
            Ok(items("aget", object)?.get(index("aget", key)?).cloned().unwrap_or(Value::Nil))
        }
        _ => interp.property(object, &json::key_text(key)),
    }
}

/// Keys and keywords become texts, lists and sets become arrays; functions stay.
fn to_js(interp: &mut Interp, value: &Value) -> Eval {
    Ok(match value {
        Value::Keyword(_) => Value::text(value.name().unwrap_or_default()),
        Value::Symbol(name) => Value::Text(name.clone()),
        Value::List(_) | Value::Vector(_) | Value::Set(_) => {
            let all = items("clj->js", value)?;
            interp.charge(all.len())?;
            Value::vector(all.iter().map(|item| to_js(interp, item)).collect::<Eval<_>>()?)
        }
        Value::Map(dict) => {
            interp.charge(dict.len())?;
            let mut entries = Entries::with_capacity(dict.len());
            for (key, value) in dict.iter() {
                entries.insert(Value::text(json::key_text(key)), to_js(interp, value)?);
            }
            Value::map(entries)
        }
        other => other.clone(),
    })
}

fn to_clj(value: &Value, keywords: bool) -> Value {
    match value {
        Value::Vector(items) => Value::vector(items.iter().map(|item| to_clj(item, keywords)).collect()),
        Value::Map(dict) => {
            let key = |key: &Value| match key {
                Value::Text(text) if keywords => Value::Keyword(text.clone()),
                other => other.clone(),
            };
            Value::map(dict.iter().map(|(name, value)| (key(name), to_clj(value, keywords))).collect())
        }
        other => other.clone(),
    }
}
