//! Values as text: readable, as `pr-str` writes them, or plain, as `str` does.

use super::numbers;
use super::value::{Function, Value};
use std::fmt::Write;

/// The text that reads back as the value, where one exists.
pub(super) fn readable(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// The text that `str` makes of one value: texts without quotes, nothing for `nil`.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Nil => String::new(),
        Value::Text(text) => text.to_string(),
        Value::Float(number) => numbers::print(*number),
        other => readable(other),
    }
}

/// At most 60 characters of the readable text, for messages.
pub(super) fn short(value: &Value) -> String {
    let text = readable(value);
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) if number.is_nan() => out.push_str("##NaN"),
        Value::Float(number) if number.is_infinite() => {
            out.push_str(if *number > 0.0 { "##Inf" } else { "##-Inf" });
        }
        Value::Float(number) => out.push_str(&numbers::print(*number)),
        Value::Text(text) => quoted(out, text),
        Value::Keyword(name) => {
            out.push(':');
            out.push_str(name);
        }
        Value::Symbol(name) => out.push_str(name),
        Value::List(items) => members(out, '(', items.iter(), ")"),
        Value::Vector(items) => members(out, '[', items.iter(), "]"),
        Value::Set(group) => {
            out.push('#');
            members(out, '{', group.iter(), "}");
        }
        Value::Map(dict) => {
            out.push('{');
            for (n, (key, value)) in dict.iter().enumerate() {
                if n > 0 {
                    out.push_str(", ");
                }
                write(out, key);
                out.push(' ');
                write(out, value);
            }
            out.push('}');
        }
        Value::Pattern(pattern) => {
            // Only quotes are escaped for the reader; the rest is the pattern's own notation.
            out.push_str("#\"");
            out.push_str(&pattern.text.replace('"', "\\\""));
            out.push('"');
        }
        Value::Function(function) => {
            let name = match &**function {
                Function::Native(native) => native.name,
                Function::Closure(closure) => closure.name(),
                Function::Made(..) => "fn",
            };
            let _ = write!(out, "#object[{name}]");
        }
        Value::Module => out.push_str("#object[js/module]"),
    }
}

fn members<'v>(out: &mut String, opening: char, items: impl Iterator<Item = &'v Value>, closing: &str) {
    out.push(opening);
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.push(' ');
        }
        write(out, item);
    }
    out.push_str(closing);
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c => out.push(c),
        }
    }
    out.push('"');
}
