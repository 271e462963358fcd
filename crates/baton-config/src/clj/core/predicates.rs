//! Questions about one value, and equality.

use super::sequences::compare;
use super::{ANY, Native, row};
use crate::clj::numbers;
use crate::clj::value::Value;

/// A row for a question about one value.
macro_rules! is {
    ($name:literal, $pattern:pat $(if $guard:expr)?) => {
        row($name, 1, 1, |_, arguments| Ok(Value::Bool(matches!(&arguments[0], $pattern $(if $guard)?))))
    };
}

pub(super) const TABLE: &[Native] = &[
    row("=", 1, ANY, |_, arguments| Ok(Value::Bool(arguments.windows(2).all(|pair| pair[0] == pair[1])))),
    row("identical?", 2, 2, |_, arguments| Ok(Value::Bool(arguments[0] == arguments[1]))),
    row("not=", 1, ANY, |_, arguments| Ok(Value::Bool(arguments.windows(2).any(|pair| pair[0] != pair[1])))),
    row("not", 1, 1, |_, arguments| Ok(Value::Bool(!arguments[0].truthy()))),
    row("compare", 2, 2, |_, arguments| Ok(Value::Int(compare(&arguments[0], &arguments[1])? as i64))),
    row("boolean", 1, 1, |_, arguments| Ok(Value::Bool(arguments[0].truthy()))),
    is!("any?", _),
    is!("associative?", Value::Map(_) | Value::Vector(_)),
    is!("boolean?", Value::Bool(_)),
    is!("coll?", Value::Map(_) | Value::Vector(_) | Value::List(_) | Value::Set(_)),
    is!("false?", Value::Bool(false)),
    is!("fn?", Value::Function(_)),
    is!(
        "ifn?",
        Value::Function(_) | Value::Keyword(_) | Value::Map(_) | Value::Set(_) | Value::Vector(_) | Value::Symbol(_)
    ),
    is!("int?", Value::Int(_)),
    row("integer?", 1, 1, |_, arguments| {
        Ok(Value::Bool(match &arguments[0] {
            Value::Int(_) => true,
            Value::Float(number) => numbers::whole(*number).is_some(),
            _ => false,
        }))
    }),
    is!("keyword?", Value::Keyword(_)),
    is!("list?", Value::List(_)),
    is!("map?", Value::Map(_)),
    is!("nil?", Value::Nil),
    is!("number?", Value::Int(_) | Value::Float(_)),
    is!("qualified-keyword?", Value::Keyword(name) if name.contains('/')),
    is!("seq?", Value::List(_)),
    is!("seqable?", Value::Nil | Value::Text(_) | Value::Map(_) | Value::Vector(_) | Value::List(_) | Value::Set(_)),
    is!("sequential?", Value::List(_) | Value::Vector(_)),
    is!("set?", Value::Set(_)),
    is!("simple-keyword?", Value::Keyword(name) if !name.contains('/')),
    row("some?", 1, 1, |_, arguments| Ok(Value::Bool(!matches!(arguments[0], Value::Nil)))),
    is!("string?", Value::Text(_)),
    is!("symbol?", Value::Symbol(_)),
    is!("true?", Value::Bool(true)),
    is!("vector?", Value::Vector(_)),
];
