//! Numbers: whole ones as long as they can be, floats beyond, as JavaScript would print them.

use super::{ANY, Native, row};
use crate::clj::error::{Eval, failed, wants};
use crate::clj::numbers;
use crate::clj::value::Value;

pub(super) const TABLE: &[Native] = &[
    row("*", 0, ANY, |_, arguments| fold("*", &arguments, Value::Int(1), i64::checked_mul, |a, b| a * b)),
    row("+", 0, ANY, |_, arguments| fold("+", &arguments, Value::Int(0), i64::checked_add, |a, b| a + b)),
    row("-", 1, ANY, |_, arguments| match &arguments[..] {
        [one] => fold("-", &[Value::Int(0), one.clone()], Value::Int(0), i64::checked_sub, |a, b| a - b),
        [first, rest @ ..] => {
            float("-", first)?;
            fold("-", rest, first.clone(), i64::checked_sub, |a, b| a - b)
        }
        [] => Ok(Value::Int(0)),
    }),
    row("/", 1, ANY, |_, arguments| {
        let (first, rest) = match &arguments[..] {
            [one] => (1.0, std::slice::from_ref(one)),
            [first, rest @ ..] => (float("/", first)?, rest),
            [] => return Ok(Value::Nil),
        };
        let mut quotient = first;
        for by in rest {
            quotient /= float("/", by)?;
        }
        Ok(Value::float(quotient))
    }),
    row("<", 1, ANY, |_, arguments| ordered("<", &arguments, |a, b| a < b)),
    row("<=", 1, ANY, |_, arguments| ordered("<=", &arguments, |a, b| a <= b)),
    row("==", 1, ANY, |_, arguments| ordered("==", &arguments, |a, b| a == b)),
    row(">", 1, ANY, |_, arguments| ordered(">", &arguments, |a, b| a > b)),
    row(">=", 1, ANY, |_, arguments| ordered(">=", &arguments, |a, b| a >= b)),
    row("abs", 1, 1, |_, arguments| Ok(Value::float(float("abs", &arguments[0])?.abs()))),
    row("dec", 1, 1, |_, mut arguments| {
        arguments.push(Value::Int(-1));
        fold("dec", &arguments, Value::Int(0), i64::checked_add, |a, b| a + b)
    }),
    row("double", 1, 1, |_, arguments| Ok(Value::float(float("double", &arguments[0])?))),
    row("even?", 1, 1, |_, arguments| Ok(Value::Bool(whole("even?", &arguments[0])? % 2 == 0))),
    row("inc", 1, 1, |_, mut arguments| {
        arguments.push(Value::Int(1));
        fold("inc", &arguments, Value::Int(0), i64::checked_add, |a, b| a + b)
    }),
    row("int", 1, 1, |_, arguments| Ok(Value::float(float("int", &arguments[0])?.trunc()))),
    row("long", 1, 1, |_, arguments| Ok(Value::float(float("long", &arguments[0])?.trunc()))),
    row("max", 1, ANY, |_, arguments| chosen("max", arguments, |new, old| new > old)),
    row("min", 1, ANY, |_, arguments| chosen("min", arguments, |new, old| new < old)),
    row("mod", 2, 2, |_, arguments| {
        let (a, b) = divisor("mod", &arguments)?;
        Ok(Value::float(a - b * (a / b).floor()))
    }),
    row("neg?", 1, 1, |_, arguments| Ok(Value::Bool(float("neg?", &arguments[0])? < 0.0))),
    row("odd?", 1, 1, |_, arguments| Ok(Value::Bool(whole("odd?", &arguments[0])? % 2 != 0))),
    row("pos?", 1, 1, |_, arguments| Ok(Value::Bool(float("pos?", &arguments[0])? > 0.0))),
    row("quot", 2, 2, |_, arguments| {
        let (a, b) = divisor("quot", &arguments)?;
        Ok(Value::float((a / b).trunc()))
    }),
    row("rem", 2, 2, |_, arguments| {
        let (a, b) = divisor("rem", &arguments)?;
        Ok(Value::float(a % b))
    }),
    row("zero?", 1, 1, |_, arguments| Ok(Value::Bool(float("zero?", &arguments[0])? == 0.0))),
];

/// A number as a float.
#[expect(clippy::cast_precision_loss, reason = "numbers are JavaScript's")]
pub(super) fn float(function: &str, value: &Value) -> Eval<f64> {
    match value {
        Value::Int(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => Err(wants(function, "a number", other)),
    }
}

fn whole(function: &str, value: &Value) -> Eval<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Float(number) => numbers::whole(*number),
        _ => None,
    }
    .ok_or_else(|| wants(function, "a whole number", value))
}

fn divisor(function: &str, arguments: &[Value]) -> Eval<(f64, f64)> {
    let by = float(function, &arguments[1])?;
    if by == 0.0 {
        return Err(failed(format!("`{function}` divides by 0")));
    }
    Ok((float(function, &arguments[0])?, by))
}

/// Whole numbers stay whole until they overflow.
fn fold(
    function: &str,
    arguments: &[Value],
    start: Value,
    exact: fn(i64, i64) -> Option<i64>,
    inexact: fn(f64, f64) -> f64,
) -> Eval {
    let mut value = start;
    for argument in arguments {
        let both = match (&value, argument) {
            (Value::Int(a), Value::Int(b)) => exact(*a, *b),
            _ => None,
        };
        value = match both {
            Some(exact) => Value::Int(exact),
            None => Value::float(inexact(float(function, &value)?, float(function, argument)?)),
        };
    }
    Ok(value)
}

fn ordered(function: &str, arguments: &[Value], holds: fn(f64, f64) -> bool) -> Eval {
    let numbers = arguments.iter().map(|value| float(function, value)).collect::<Eval<Vec<_>>>()?;
    Ok(Value::Bool(numbers.windows(2).all(|pair| holds(pair[0], pair[1]))))
}

pub(super) fn chosen(function: &str, arguments: Vec<Value>, better: fn(f64, f64) -> bool) -> Eval {
    let mut best: Option<(f64, Value)> = None;
    for argument in arguments {
        let number = float(function, &argument)?;
        if best.as_ref().is_none_or(|(old, _)| better(number, *old)) {
            best = Some((number, argument));
        }
    }
    Ok(best.map_or(Value::Nil, |(_, value)| value))
}
