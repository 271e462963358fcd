//! Forms that choose.

use super::{Interp, Scope, binding};
use crate::clj::core;
use crate::clj::error::{Eval, failed};
use crate::clj::form::{Form, Kind};
use crate::clj::print;
use crate::clj::value::Value;

type Arguments<'f> = &'f [Form];

fn choose(interp: &mut Interp, name: &str, arguments: Arguments<'_>, wanted: bool, scope: &Scope) -> Eval {
    match arguments {
        [test, then] | [test, then, _] if interp.eval(test, scope)?.truthy() == wanted => interp.eval(then, scope),
        [_, _, otherwise] => interp.eval(otherwise, scope),
        [_, _] => Ok(Value::Nil),
        _ => Err(failed(format!("`{name}` takes a test and one or two forms, and has {}", arguments.len()))),
    }
}

pub(super) fn if_(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    choose(interp, "if", arguments, true, scope)
}

pub(super) fn if_not(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    choose(interp, "if-not", arguments, false, scope)
}

fn guarded(interp: &mut Interp, name: &str, arguments: Arguments<'_>, wanted: bool, scope: &Scope) -> Eval {
    let Some((test, body)) = arguments.split_first() else { return Err(failed(format!("`{name}` needs a test"))) };
    if interp.eval(test, scope)?.truthy() == wanted { interp.eval_body(body, scope) } else { Ok(Value::Nil) }
}

pub(super) fn when(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    guarded(interp, "when", arguments, true, scope)
}

pub(super) fn when_not(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    guarded(interp, "when-not", arguments, false, scope)
}

/// Binds one value where it passes the test: the scope of the branch, or `None`.
fn bound(
    interp: &mut Interp,
    form: &Form,
    arguments: Arguments<'_>,
    passes: fn(&Value) -> bool,
    scope: &Scope,
) -> Eval<Option<Scope>> {
    let bindings = arguments.first().ok_or_else(|| failed("a vector of one name and its value is needed here"))?;
    let mut pairs = binding::pairs(form, bindings)?;
    let (Some((pattern, value)), None) = (pairs.next(), pairs.next()) else {
        return Err(failed("exactly one name is bound here"));
    };
    let value = interp.eval(value, scope)?;
    if passes(&value) { interp.bind(pattern, value, scope).map(Some) } else { Ok(None) }
}

fn is_some(value: &Value) -> bool {
    !matches!(value, Value::Nil)
}

fn bound_if(
    interp: &mut Interp,
    form: &Form,
    arguments: Arguments<'_>,
    passes: fn(&Value) -> bool,
    scope: &Scope,
) -> Eval {
    if !(2..=3).contains(&arguments.len()) {
        return Err(failed("a binding and one or two forms are needed here"));
    }
    match bound(interp, form, arguments, passes, scope)? {
        Some(inner) => interp.eval(&arguments[1], &inner),
        None => arguments.get(2).map_or(Ok(Value::Nil), |otherwise| interp.eval(otherwise, scope)),
    }
}

pub(super) fn if_let(interp: &mut Interp, form: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    bound_if(interp, form, arguments, Value::truthy, scope)
}

pub(super) fn if_some(interp: &mut Interp, form: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    bound_if(interp, form, arguments, is_some, scope)
}

pub(super) fn when_let(interp: &mut Interp, form: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    let inner = bound(interp, form, arguments, Value::truthy, scope)?;
    inner.map_or(Ok(Value::Nil), |inner| interp.eval_body(&arguments[1..], &inner))
}

pub(super) fn when_some(interp: &mut Interp, form: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    let inner = bound(interp, form, arguments, is_some, scope)?;
    inner.map_or(Ok(Value::Nil), |inner| interp.eval_body(&arguments[1..], &inner))
}

pub(super) fn when_first(interp: &mut Interp, form: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    let bindings = arguments.first().ok_or_else(|| failed("`when-first` needs a vector of a name and a sequence"))?;
    let Some((pattern, items)) = binding::pairs(form, bindings)?.next() else { return Ok(Value::Nil) };
    let items = interp.eval(items, scope)?;
    match core::items("when-first", &items)?.first() {
        None => Ok(Value::Nil),
        Some(first) => {
            let inner = interp.bind(pattern, first.clone(), scope)?;
            interp.eval_body(&arguments[1..], &inner)
        }
    }
}

pub(super) fn cond(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    if !arguments.len().is_multiple_of(2) {
        return Err(failed("the last test of `cond` has no form"));
    }
    for pair in arguments.chunks_exact(2) {
        if interp.eval(&pair[0], scope)?.truthy() {
            return interp.eval(&pair[1], scope);
        }
    }
    Ok(Value::Nil)
}

pub(super) fn condp(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    let [predicate, value, clauses @ ..] = arguments else {
        return Err(failed("`condp` needs a predicate and a value"));
    };
    let predicate = interp.eval(predicate, scope)?;
    let value = interp.eval(value, scope)?;
    for clause in clauses.chunks(2) {
        let [test, then] = clause else { return interp.eval(&clause[0], scope) };
        let test = interp.eval(test, scope)?;
        if interp.apply(&predicate, vec![test, value.clone()])?.truthy() {
            return interp.eval(then, scope);
        }
    }
    Err(failed(format!("no branch of `condp` fits {}", print::short(&value))))
}

/// The tests of `case` are constants, or lists of constants; none is evaluated.
pub(super) fn case(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    let Some((value, clauses)) = arguments.split_first() else { return Err(failed("`case` needs a value")) };
    let value = interp.eval(value, scope)?;
    for clause in clauses.chunks(2) {
        let [test, then] = clause else { return interp.eval(&clause[0], scope) };
        let fits = match &test.kind {
            Kind::List(several) => {
                let several = several.iter().map(|one| interp.datum(one)).collect::<Eval<Vec<_>>>()?;
                several.contains(&value)
            }
            _ => interp.datum(test)? == value,
        };
        if fits {
            return interp.eval(then, scope);
        }
    }
    Err(failed(format!("no branch of `case` fits {}", print::short(&value))))
}

pub(super) fn and(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    until(interp, arguments, false, Value::Bool(true), scope)
}

pub(super) fn or(interp: &mut Interp, _: &Form, arguments: Arguments<'_>, scope: &Scope) -> Eval {
    until(interp, arguments, true, Value::Nil, scope)
}

/// Evaluates up to the first form that is as wanted.
fn until(interp: &mut Interp, forms: Arguments<'_>, wanted: bool, none: Value, scope: &Scope) -> Eval {
    let mut last = none;
    for form in forms {
        last = interp.eval(form, scope)?;
        if last.truthy() == wanted {
            break;
        }
    }
    Ok(last)
}
