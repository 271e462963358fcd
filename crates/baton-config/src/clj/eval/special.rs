//! Special forms and core macros: those that decide themselves which of their arguments are evaluated.
//!
//! To add one: a row in [`TABLE`] and a function.

use super::{Interp, Scope, branch, loops, threading};
use crate::clj::error::{CljErrorKind, Escape, Eval, failed};
use crate::clj::form::{Form, Kind};
use crate::clj::value::{Entries, Value};
use std::rc::Rc;

/// Evaluates a form; the slice holds its arguments.
pub(super) type Special = fn(&mut Interp, &Form, &[Form], &Scope) -> Eval;

pub(super) const TABLE: &[(&str, Special)] = &[
    ("->", threading::first),
    ("->>", threading::last),
    ("and", branch::and),
    ("as->", threading::named),
    ("case", branch::case),
    ("comment", comment),
    ("cond", branch::cond),
    ("cond->", threading::cond_first),
    ("cond->>", threading::cond_last),
    ("condp", branch::condp),
    ("declare", declare),
    ("def", def),
    ("defn", defn),
    ("defn-", defn),
    ("defonce", def),
    ("do", do_),
    ("doseq", loops::doseq),
    ("dotimes", loops::dotimes),
    ("doto", threading::doto),
    ("fn", fn_),
    ("fn*", fn_),
    ("for", loops::for_),
    ("if", branch::if_),
    ("if-let", branch::if_let),
    ("if-not", branch::if_not),
    ("if-some", branch::if_some),
    ("let", let_),
    ("let*", let_),
    ("loop", loops::loop_),
    ("ns", Interp::ns_form),
    ("or", branch::or),
    ("quote", quote),
    ("recur", loops::recur),
    ("require", Interp::require_form),
    ("set!", Interp::set_form),
    ("some->", threading::some_first),
    ("some->>", threading::some_last),
    ("throw", throw),
    ("try", try_),
    ("use", Interp::use_form),
    ("var", var),
    ("when", branch::when),
    ("when-first", branch::when_first),
    ("when-let", branch::when_let),
    ("when-not", branch::when_not),
    ("when-some", branch::when_some),
    (".", Interp::dot_form),
    ("..", Interp::dots_form),
    ("defmacro", unsupported),
    ("defmulti", unsupported),
    ("defmethod", unsupported),
    ("defprotocol", unsupported),
    ("defrecord", unsupported),
    ("deftype", unsupported),
    ("reify", unsupported),
    ("new", unsupported),
    ("binding", unsupported),
    ("lazy-seq", unsupported),
    ("letfn", unsupported),
];

/// Whether the name is in the table only to be refused.
pub(super) fn is_refused(special: Special) -> bool {
    std::ptr::fn_addr_eq(special, unsupported as Special)
}

fn unsupported(_: &mut Interp, form: &Form, _: &[Form], _: &Scope) -> Eval {
    let name = match &form.kind {
        Kind::List(items) => items.first().and_then(Form::symbol).map_or("this form", |name| &**name),
        _ => "this form",
    };
    Err(CljErrorKind::Unsupported(format!("`{name}` is not supported in a process file")).into())
}

fn do_(interp: &mut Interp, _: &Form, body: &[Form], scope: &Scope) -> Eval {
    interp.eval_body(body, scope)
}

fn comment(_: &mut Interp, _: &Form, _: &[Form], _: &Scope) -> Eval {
    Ok(Value::Nil)
}

fn quote(interp: &mut Interp, _: &Form, arguments: &[Form], _: &Scope) -> Eval {
    let [form] = arguments else { return Err(failed("`quote` takes one form")) };
    interp.datum(form)
}

/// `#'x` is taken as the value of x: nothing here can be redefined under a caller.
fn var(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let [form] = arguments else { return Err(failed("`var` takes one name")) };
    interp.eval(form, scope)
}

fn let_(interp: &mut Interp, form: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let Some((bindings, body)) = arguments.split_first() else {
        return Err(failed("`let` needs a vector of names and values"));
    };
    let scope = interp.bind_pairs(form, bindings, scope)?;
    interp.eval_body(body, &scope)
}

fn defined<'f>(form: &str, arguments: &'f [Form]) -> Eval<&'f Rc<str>> {
    let name = arguments.first().and_then(Form::symbol);
    name.ok_or_else(|| failed(format!("`{form}` needs a name")))
}

fn def(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let name = defined("def", arguments)?;
    let value = match arguments {
        [_] => Value::Nil,
        [_, value] => interp.eval(value, scope)?,
        [_, Form { kind: Kind::Text(_), .. }, value] => interp.eval(value, scope)?,
        _ => return Err(failed(format!("`def` takes a name and one value; `{name}` has more"))),
    };
    Ok(interp.define(name, value))
}

fn declare(interp: &mut Interp, _: &Form, arguments: &[Form], _: &Scope) -> Eval {
    for name in arguments {
        interp.define(defined("declare", std::slice::from_ref(name))?, Value::Nil);
    }
    Ok(Value::Nil)
}

fn defn(interp: &mut Interp, form: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let name = defined("defn", arguments)?;
    let Kind::List(items) = &form.kind else { return Err(failed("`defn` needs a name")) };
    let mut start = 2;
    // A description, then a map of attributes.
    if matches!(items.get(start).map(|form| &form.kind), Some(Kind::Text(_))) {
        start += 1;
    }
    if matches!(items.get(start).map(|form| &form.kind), Some(Kind::Map(_))) {
        start += 1;
    }
    let function = interp.closure(items, start, Some(name.clone()), scope)?;
    Ok(interp.define(name, function))
}

fn fn_(interp: &mut Interp, form: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let Kind::List(items) = &form.kind else { return Err(failed("`fn` needs a vector of parameters")) };
    let name = arguments.first().and_then(Form::symbol).cloned();
    let start = 1 + usize::from(name.is_some());
    interp.closure(items, start, name, scope)
}

fn throw(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let [form] = arguments else { return Err(failed("`throw` takes one value")) };
    let value = interp.eval(form, scope)?;
    Err(interp.thrown(value))
}

/// `(try body… (catch :default e …) (finally …))`; the kind behind `catch` makes no difference.
fn try_(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let clause = |form: &Form, name: &str| match &form.kind {
        Kind::List(items) if items.first().and_then(Form::symbol).is_some_and(|head| **head == *name) => {
            Some(items.clone())
        }
        _ => None,
    };
    let is_clause = |form: &Form| clause(form, "catch").is_some() || clause(form, "finally").is_some();
    let body = arguments.iter().position(is_clause).unwrap_or(arguments.len());
    let mut result = interp.eval_body(&arguments[..body], scope);
    let catch = arguments[body..].iter().find_map(|form| clause(form, "catch"));
    if let (Some(catch), Err(Escape::Fault(fault))) = (catch, &mut result) {
        let catchable = matches!(fault.kind, CljErrorKind::Failed(_) | CljErrorKind::Thrown(_));
        if catchable {
            let Some(name) = catch.get(2).and_then(Form::symbol) else {
                return Err(failed("`catch` needs a kind and a name, such as `(catch :default e … )`"));
            };
            let message = fault.kind.to_string();
            let caught = fault.thrown.take().unwrap_or_else(|| exception(&message, Value::Nil));
            result = interp.eval_body(&catch[3..], &scope.with(name, caught));
        }
    }
    if let Some(last) = arguments[body..].iter().find_map(|form| clause(form, "finally")) {
        interp.eval_body(&last[1..], scope)?;
    }
    result
}

/// What `ex-info` makes and `catch` sees: an object with JavaScript's names.
pub(crate) fn exception(message: &str, data: Value) -> Value {
    let entries: Entries =
        [("message", Value::text(message)), ("data", data)].map(|(key, value)| (Value::text(key), value)).into();
    Value::map(entries)
}

/// `(defprofile :dev body…)`: apps that the body defines, and fragments that it gives, belong to the profile.
pub(super) fn defprofile(interp: &mut Interp, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
    let Some((name, body)) = arguments.split_first() else { return Err(failed("`defprofile` needs a name")) };
    let name = interp.eval(name, scope)?;
    let Some(name) = name.name().map(Rc::<str>::from) else {
        return Err(crate::clj::error::wants("defprofile", "a name", &name));
    };
    let outer = interp.run.open_profile.replace(Vec::new());
    let values = interp.eval_all(body, scope);
    let apps = std::mem::replace(&mut interp.run.open_profile, outer).unwrap_or_default();
    let values = values?;
    crate::clj::dsl::clobber::close_profile(interp, &name, apps, values)
}
