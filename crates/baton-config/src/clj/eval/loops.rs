//! Forms that repeat. Sequences are finite and made at once.

use super::{Interp, Scope, binding};
use crate::clj::core;
use crate::clj::error::{Escape, Eval, failed};
use crate::clj::form::{Form, Kind};
use crate::clj::value::Value;
use std::rc::Rc;

pub(super) fn recur(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let values = interp.eval_all(arguments, scope)?;
    Err(Escape::Recur(values))
}

pub(super) fn loop_(interp: &mut Interp, form: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let Some((bindings, body)) = arguments.split_first() else {
        return Err(failed("`loop` needs a vector of names and values"));
    };
    let patterns: Vec<&Form> = binding::pairs(form, bindings)?.map(|(pattern, _)| pattern).collect();
    let mut inner = interp.bind_pairs(form, bindings, scope)?;
    loop {
        let next = match interp.eval_body(body, &inner) {
            Err(Escape::Recur(next)) => next,
            settled => return settled,
        };
        if next.len() != patterns.len() {
            return Err(failed(format!("`recur` gives {} values to {} names", next.len(), patterns.len())));
        }
        inner = scope.clone();
        for (pattern, value) in patterns.iter().zip(next) {
            inner = interp.bind(pattern, value, &inner)?;
        }
    }
}

pub(super) fn doseq(interp: &mut Interp, form: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let (clauses, body) = clauses("doseq", form, arguments)?;
    each(interp, &clauses, scope, &mut |interp, scope| interp.eval_body(body, scope).map(drop))?;
    Ok(Value::Nil)
}

pub(super) fn for_(interp: &mut Interp, form: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let (clauses, body) = clauses("for", form, arguments)?;
    let mut results = Vec::new();
    each(interp, &clauses, scope, &mut |interp, scope| {
        results.push(interp.eval_body(body, scope)?);
        Ok(())
    })?;
    Ok(Value::list(results))
}

pub(super) fn dotimes(interp: &mut Interp, form: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let (clauses, body) = clauses("dotimes", form, arguments)?;
    let Some((Form { kind: Kind::Symbol(name), .. }, count)) = clauses.first() else {
        return Err(failed("`dotimes` needs a name and a number"));
    };
    let count = interp.eval(count, scope)?;
    for n in 0..core::index("dotimes", &count)? {
        let n = i64::try_from(n).map_err(|_| failed("`dotimes` needs a smaller number"))?;
        interp.eval_body(body, &scope.with(name, Value::Int(n)))?;
    }
    Ok(Value::Nil)
}

type Clauses<'f> = Vec<(&'f Form, &'f Form)>;

fn clauses<'f>(name: &str, form: &Form, arguments: &'f [Form]) -> Eval<(Clauses<'f>, &'f [Form])> {
    let Some((bindings, body)) = arguments.split_first() else {
        return Err(failed(format!("`{name}` needs a vector of names and sequences")));
    };
    Ok((binding::pairs(form, bindings)?.collect(), body))
}

/// Runs the body for each combination. False: `:while` ended the loop around.
fn each(
    interp: &mut Interp,
    clauses: &[(&Form, &Form)],
    scope: &Scope,
    body: &mut dyn FnMut(&mut Interp, &Scope) -> Eval<()>,
) -> Eval<bool> {
    let Some(((pattern, value), inner)) = clauses.split_first() else {
        body(interp, scope)?;
        return Ok(true);
    };
    match pattern.keyword().map(|name| &**name) {
        Some("let") => {
            let scope = interp.bind_pairs(value, value, scope)?;
            each(interp, inner, &scope, body)
        }
        Some(when @ ("when" | "while")) => {
            if interp.eval(value, scope)?.truthy() {
                each(interp, inner, scope, body)
            } else {
                Ok(when == "when")
            }
        }
        Some(other) => Err(failed(format!("`:{other}` has no meaning in a loop: `:let`, `:when` and `:while` have"))),
        None => {
            let items = interp.eval(value, scope)?;
            let items: Rc<[Value]> = core::items("for", &items)?.into();
            for item in items.iter() {
                let scope = interp.bind(pattern, item.clone(), scope)?;
                if !each(interp, inner, &scope, body)? {
                    break;
                }
            }
            Ok(true)
        }
    }
}
