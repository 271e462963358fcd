//! Forms that hand a value from call to call.

use super::{Interp, Scope};
use crate::clj::error::{Eval, failed};
use crate::clj::form::{Form, Kind};
use crate::clj::value::Value;
use std::rc::Rc;

/// Where the value goes in a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Last,
}

/// A call with one more argument; a bare name becomes a call.
fn threaded(call: &Form, value: Form, place: Place) -> Form {
    let items: Vec<Form> = match (&call.kind, place) {
        (Kind::List(items), Place::First) if !items.is_empty() => {
            items[..1].iter().cloned().chain([value]).chain(items[1..].iter().cloned()).collect()
        }
        (Kind::List(items), Place::Last) if !items.is_empty() => items.iter().cloned().chain([value]).collect(),
        _ => vec![call.clone(), value],
    };
    Form { at: call.at, kind: Kind::List(items.into()) }
}

/// Hands the value on call by call, not by nesting: a long chain is not deep.
fn steps(interp: &mut Interp, arguments: &[Form], place: Place, scope: &Scope, go_on: impl Fn(&Value) -> bool) -> Eval {
    let Some((start, calls)) = arguments.split_first() else { return Err(failed("there is no value to hand on")) };
    let mut value = interp.eval(start, scope)?;
    for call in calls {
        if !go_on(&value) {
            break;
        }
        value = step(interp, call, value, place, scope)?;
    }
    Ok(value)
}

/// A name that the reader never makes.
const HELD: &str = "%->";

fn step(interp: &mut Interp, call: &Form, value: Value, place: Place, scope: &Scope) -> Eval {
    let held: Rc<str> = HELD.into();
    let call = threaded(call, Form { at: call.at, kind: Kind::Symbol(held.clone()) }, place);
    interp.eval(&call, &scope.with(&held, value))
}

pub(super) fn first(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    steps(interp, arguments, Place::First, scope, |_| true)
}

pub(super) fn last(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    steps(interp, arguments, Place::Last, scope, |_| true)
}

pub(super) fn some_first(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    steps(interp, arguments, Place::First, scope, |value| !matches!(value, Value::Nil))
}

pub(super) fn some_last(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    steps(interp, arguments, Place::Last, scope, |value| !matches!(value, Value::Nil))
}

/// `(as-> value name call…)`
pub(super) fn named(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let [start, name, calls @ ..] = arguments else { return Err(failed("`as->` needs a value and a name")) };
    let mut value = interp.eval(start, scope)?;
    for call in calls {
        let scope = interp.bind(name, value, scope)?;
        value = interp.eval(call, &scope)?;
    }
    Ok(value)
}

fn conditional(interp: &mut Interp, arguments: &[Form], place: Place, scope: &Scope) -> Eval {
    let Some((start, clauses)) = arguments.split_first() else { return Err(failed("there is no value to hand on")) };
    if !clauses.len().is_multiple_of(2) {
        return Err(failed("the last test has no call"));
    }
    let mut value = interp.eval(start, scope)?;
    for pair in clauses.chunks_exact(2) {
        if interp.eval(&pair[0], scope)?.truthy() {
            value = step(interp, &pair[1], value, place, scope)?;
        }
    }
    Ok(value)
}

pub(super) fn cond_first(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    conditional(interp, arguments, Place::First, scope)
}

pub(super) fn cond_last(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    conditional(interp, arguments, Place::Last, scope)
}

/// Values never change, so the calls only matter for what they print or register.
pub(super) fn doto(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let Some((start, calls)) = arguments.split_first() else { return Err(failed("there is no value to hand on")) };
    let value = interp.eval(start, scope)?;
    for call in calls {
        step(interp, call, value.clone(), Place::First, scope)?;
    }
    Ok(value)
}
