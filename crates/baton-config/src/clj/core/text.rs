//! Texts, names, printing, regular expressions, exceptions.

use super::{ANY, Native, index, items, pattern, row, string, taken};
use crate::clj::error::{Eval, failed, wants};
use crate::clj::eval::{Interp, exception};
use crate::clj::form::Kind;
use crate::clj::numbers;
use crate::clj::print::{plain, readable};
use crate::clj::reader::Reader;
use crate::clj::value::{Value, bare};

pub(super) const TABLE: &[Native] = &[
    row("ex-data", 1, 1, |interp, arguments| interp.property(&arguments[0], "data")),
    row("ex-info", 2, 3, |_, arguments| Ok(exception(string("ex-info", &arguments[0])?, arguments[1].clone()))),
    row("ex-message", 1, 1, |interp, arguments| interp.property(&arguments[0], "message")),
    row("keyword", 1, 2, |_, arguments| match &arguments[..] {
        [Value::Nil] => Ok(Value::Nil),
        [one] => Ok(Value::keyword(full_name("keyword", one)?)),
        [space, one] => Ok(Value::keyword(&format!("{}/{}", full_name("keyword", space)?, full_name("keyword", one)?))),
        _ => Err(failed("`keyword` takes 1 or 2 arguments")),
    }),
    row("name", 1, 1, |_, arguments| {
        arguments[0].name().map(Value::text).ok_or_else(|| wants("name", "a text, keyword or symbol", &arguments[0]))
    }),
    row("namespace", 1, 1, |_, arguments| {
        let full = full_name("namespace", &arguments[0])?;
        let space = full.strip_suffix(bare(full)).and_then(|space| space.strip_suffix('/'));
        Ok(space.map_or(Value::Nil, Value::text))
    }),
    row("parse-boolean", 1, 1, |_, arguments| {
        Ok(match &**string("parse-boolean", &arguments[0])? {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Nil,
        })
    }),
    row("parse-double", 1, 1, |_, arguments| {
        let parsed = string("parse-double", &arguments[0])?.trim().parse::<f64>();
        Ok(parsed.map_or(Value::Nil, Value::float))
    }),
    row("parse-long", 1, 1, |_, arguments| {
        Ok(string("parse-long", &arguments[0])?.parse().map_or(Value::Nil, Value::Int))
    }),
    row("pr-str", 0, ANY, |interp, arguments| made(interp, joined(&arguments, readable))),
    row("print", 0, ANY, |interp, arguments| print(interp, &joined(&arguments, shown))),
    row("println", 0, ANY, |interp, arguments| print(interp, &(joined(&arguments, shown) + "\n"))),
    row("prn", 0, ANY, |interp, arguments| print(interp, &(joined(&arguments, readable) + "\n"))),
    row("re-find", 2, 2, |_, arguments| {
        let text = string("re-find", &arguments[1])?;
        Ok(regex("re-find", &arguments[0])?.captures(text).map_or(Value::Nil, |found| groups(&found)))
    }),
    row("re-matches", 2, 2, |_, arguments| {
        let text = string("re-matches", &arguments[1])?;
        let Value::Pattern(inner) = &arguments[0] else {
            return Err(wants("re-matches", "a regular expression", &arguments[0]));
        };
        // The first match need not be the longest: only anchors make the whole text match.
        let whole = pattern(&format!(r"\A(?:{})\z", inner.text).into())?;
        Ok(regex("re-matches", &whole)?.captures(text).map_or(Value::Nil, |found| groups(&found)))
    }),
    row("re-pattern", 1, 1, |_, arguments| match &arguments[0] {
        ready @ Value::Pattern(_) => Ok(ready.clone()),
        text => pattern(string("re-pattern", text)?),
    }),
    row("re-seq", 2, 2, |interp, arguments| {
        let text = string("re-seq", &arguments[1])?;
        interp.charge(text.len())?;
        let all: Vec<Value> = regex("re-seq", &arguments[0])?.captures_iter(text).map(|found| groups(&found)).collect();
        Ok(if all.is_empty() { Value::Nil } else { Value::list(all) })
    }),
    row("str", 0, ANY, |interp, arguments| {
        let mut text = String::new();
        for argument in &arguments {
            text.push_str(&plain(argument));
            interp.charge(text.len() / 64)?;
        }
        made(interp, text)
    }),
    row("subs", 2, 3, |_, arguments| {
        let text = string("subs", &arguments[0])?;
        let length = text.chars().count();
        let start = index("subs", &arguments[1])?;
        let end = arguments.get(2).map_or(Ok(length), |end| index("subs", end))?;
        if start > end || end > length {
            return Err(failed(format!("`subs`: a text of {length} characters has no part {start} to {end}")));
        }
        Ok(Value::text(text.chars().skip(start).take(end - start).collect::<String>()))
    }),
    row("symbol", 1, 2, |_, arguments| match &arguments[..] {
        [space, one] => {
            Ok(Value::Symbol(format!("{}/{}", full_name("symbol", space)?, full_name("symbol", one)?).into()))
        }
        [one, ..] => Ok(Value::Symbol(full_name("symbol", one)?.into())),
        [] => Ok(Value::Nil),
    }),
];

/// `clojure.string`
pub(super) const STRING: &[Native] = &[
    row("blank?", 1, 1, |_, arguments| Ok(Value::Bool(plain(&arguments[0]).trim().is_empty()))),
    row("capitalize", 1, 1, |_, arguments| {
        let mut chars = string("capitalize", &arguments[0])?.chars();
        let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
        Ok(Value::text(first + &chars.as_str().to_lowercase()))
    }),
    row("ends-with?", 2, 2, |_, arguments| {
        Ok(Value::Bool(string("ends-with?", &arguments[0])?.ends_with(&**string("ends-with?", &arguments[1])?)))
    }),
    row("includes?", 2, 2, |_, arguments| {
        Ok(Value::Bool(string("includes?", &arguments[0])?.contains(&**string("includes?", &arguments[1])?)))
    }),
    row("index-of", 2, 2, |_, arguments| {
        let text = string("index-of", &arguments[0])?;
        let found = text.find(&**string("index-of", &arguments[1])?);
        Ok(found.and_then(|at| i64::try_from(text[..at].chars().count()).ok()).map_or(Value::Nil, Value::Int))
    }),
    row("join", 1, 2, |interp, mut arguments| {
        let all = taken(interp, "join", &arguments.pop().unwrap_or(Value::Nil))?;
        let separator = arguments.first().map(plain).unwrap_or_default();
        interp.charge(all.len() * separator.len() / 64)?;
        let all: Vec<String> = all.iter().map(plain).collect();
        interp.charge(all.iter().map(String::len).sum::<usize>() / 64)?;
        Ok(Value::text(all.join(&separator)))
    }),
    row("lower-case", 1, 1, |_, arguments| Ok(Value::text(plain(&arguments[0]).to_lowercase()))),
    row("replace", 3, 3, |interp, arguments| replace(interp, "replace", &arguments, usize::MAX)),
    row("replace-first", 3, 3, |interp, arguments| replace(interp, "replace-first", &arguments, 1)),
    row("reverse", 1, 1, |_, arguments| {
        Ok(Value::text(string("reverse", &arguments[0])?.chars().rev().collect::<String>()))
    }),
    row("split", 2, 3, |interp, arguments| {
        let text = string("split", &arguments[0])?;
        interp.charge(text.len())?;
        let limit = arguments.get(2).map(|limit| index("split", limit)).transpose()?;
        let limit = limit.filter(|limit| *limit > 0);
        let most = limit.unwrap_or(usize::MAX);
        let mut parts: Vec<Value> = match &arguments[1] {
            Value::Text(separator) if separator.is_empty() => items("split", &arguments[0])?.into_owned(),
            Value::Text(separator) => text.splitn(most, &**separator).map(Value::text).collect(),
            other => regex("split", other)?.splitn(text, most).map(Value::text).collect(),
        };
        // Empty parts at the end go, unless a number was asked for.
        while limit.is_none() && parts.len() > 1 && matches!(parts.last(), Some(Value::Text(last)) if last.is_empty()) {
            parts.pop();
        }
        Ok(Value::vector(parts))
    }),
    row("split-lines", 1, 1, |interp, arguments| {
        let text = string("split-lines", &arguments[0])?;
        interp.charge(text.len())?;
        Ok(Value::vector(text.lines().map(Value::text).collect()))
    }),
    row("starts-with?", 2, 2, |_, arguments| {
        Ok(Value::Bool(string("starts-with?", &arguments[0])?.starts_with(&**string("starts-with?", &arguments[1])?)))
    }),
    row("trim", 1, 1, |_, arguments| Ok(Value::text(string("trim", &arguments[0])?.trim()))),
    row("trim-newline", 1, 1, |_, arguments| {
        Ok(Value::text(string("trim-newline", &arguments[0])?.trim_end_matches(['\n', '\r'])))
    }),
    row("triml", 1, 1, |_, arguments| Ok(Value::text(string("triml", &arguments[0])?.trim_start()))),
    row("trimr", 1, 1, |_, arguments| Ok(Value::text(string("trimr", &arguments[0])?.trim_end()))),
    row("upper-case", 1, 1, |_, arguments| Ok(Value::text(plain(&arguments[0]).to_uppercase()))),
];

/// `clojure.edn`
pub(super) const EDN: &[Native] = &[row("read-string", 1, 1, |interp, arguments| {
    let text = string("read-string", &arguments[0])?;
    interp.charge(text.len())?;
    // A place in this text is none in a file: the call is named instead.
    let form = Reader::new(text, interp.site.file).next();
    let form = form.map_err(|error| {
        failed(format!("`read-string`: line {}, column {}: {}", error.at.line, error.at.column, error.message))
    })?;
    form.map_or(Ok(Value::Nil), |form| interp.datum(&form))
})];

/// A text made by a function, counted as work.
fn made(interp: &mut Interp, text: String) -> Eval {
    interp.charge(text.len() / 64)?;
    Ok(Value::text(text))
}

/// What `println` writes: unlike `str`, it names `nil`.
fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "nil".into(),
        other => plain(other),
    }
}

fn joined(values: &[Value], text: fn(&Value) -> String) -> String {
    values.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// What a file prints is kept for the caller's stderr.
pub(super) fn print(interp: &mut Interp, text: &str) -> Eval {
    interp.charge(text.len() / 64)?;
    interp.console.extend_from_slice(text.as_bytes());
    Ok(Value::Nil)
}

/// The name with its namespace.
fn full_name<'v>(function: &str, value: &'v Value) -> Eval<&'v str> {
    match value {
        Value::Text(name) | Value::Keyword(name) | Value::Symbol(name) => Ok(name),
        other => Err(wants(function, "a text, keyword or symbol", other)),
    }
}

fn regex<'v>(function: &str, value: &'v Value) -> Eval<&'v regex_lite::Regex> {
    match value {
        Value::Pattern(pattern) => Ok(&pattern.regex),
        other => Err(wants(function, "a regular expression", other)),
    }
}

/// The match, or a vector of the match and its groups.
fn groups(found: &regex_lite::Captures<'_>) -> Value {
    let group = |n: usize| found.get(n).map_or(Value::Nil, |group| Value::text(group.as_str()));
    if found.len() == 1 { group(0) } else { Value::vector((0..found.len()).map(group).collect()) }
}

fn replace(interp: &mut Interp, function: &str, arguments: &[Value], most: usize) -> Eval {
    let text = string(function, &arguments[0])?;
    interp.charge(text.len())?;
    let replaced = match (&arguments[1], &arguments[2]) {
        (Value::Text(from), Value::Text(to)) => text.replacen(&**from, to, most),
        (Value::Pattern(pattern), replacement) => {
            let mut out = String::new();
            let mut after = 0;
            for found in pattern.regex.captures_iter(text).take(most) {
                let Some(whole) = found.get(0) else { continue };
                out.push_str(&text[after..whole.start()]);
                match replacement {
                    Value::Text(template) => expand(&found, template, &mut out),
                    function => out.push_str(&plain(&interp.apply(function, vec![groups(&found)])?)),
                }
                after = whole.end();
            }
            out.push_str(&text[after..]);
            out
        }
        (other, _) => return Err(wants(function, "a text or a regular expression, and what comes there", other)),
    };
    made(interp, replaced)
}

/// `$1` stands for the first group; any other `$` is itself.
fn expand(found: &regex_lite::Captures<'_>, template: &str, out: &mut String) {
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek().and_then(|next| next.to_digit(10)) {
            Some(digit) if c == '$' => {
                chars.next();
                out.push_str(found.get(digit as usize).map_or("", |group| group.as_str()));
            }
            _ => out.push(c),
        }
    }
}

/// A number at the start of a text, as JavaScript's `parseInt` and `parseFloat` find it.
pub(super) fn leading_number(text: &str, whole: bool) -> Value {
    let text = text.trim_start();
    let allowed = |c: char| c.is_ascii_digit() || "+-".contains(c) || (!whole && ".eE".contains(c));
    let mut end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    while end > 0 {
        if let Ok(number) = text[..end].parse::<f64>() {
            return Value::float(number);
        }
        end -= 1;
    }
    Value::Float(f64::NAN)
}

/// The number that JavaScript's `Number` makes of a text.
pub(super) fn whole_number(text: &str) -> Value {
    let text = text.trim();
    if text.is_empty() {
        return Value::Int(0);
    }
    match numbers::read(text) {
        Some(Kind::Int(number)) => Value::Int(number),
        Some(Kind::Float(number)) => Value::Float(number),
        _ => text.parse().map_or(Value::Float(f64::NAN), Value::float),
    }
}
