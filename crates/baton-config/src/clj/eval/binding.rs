//! Destructuring: a pattern and a value make names.

use super::{Interp, Scope, namespaces};
use crate::clj::core;
use crate::clj::error::{Eval, failed, wants};
use crate::clj::form::{Form, Kind};
use crate::clj::value::{Value, bare};
use std::rc::Rc;

impl Interp {
    /// The scope with the names of a pattern.
    pub(crate) fn bind(&mut self, pattern: &Form, value: Value, scope: &Scope) -> Eval<Scope> {
        self.charge(1)?;
        let bound = match &pattern.kind {
            Kind::Symbol(name) if namespaces::split(name).is_none() => Ok(scope.with(name, value)),
            Kind::Vector(patterns) => self.bind_sequence(patterns, &value, scope),
            Kind::Map(entries) => self.bind_map(entries, value, scope),
            _ => Err(failed("only symbols, vectors and maps can be bound")),
        };
        bound.map_err(|escape| escape.at(pattern.at))
    }

    /// Binds `[pattern value pattern value …]`, each in the scope of those before it.
    pub(crate) fn bind_pairs(&mut self, form: &Form, bindings: &Form, scope: &Scope) -> Eval<Scope> {
        let mut scope = scope.clone();
        for (pattern, value) in pairs(form, bindings)? {
            let value = self.eval(value, &scope)?;
            scope = self.bind(pattern, value, &scope)?;
        }
        Ok(scope)
    }

    fn bind_sequence(&mut self, patterns: &[Form], value: &Value, scope: &Scope) -> Eval<Scope> {
        if matches!(value, Value::Map(_) | Value::Set(_)) {
            return Err(wants("[ … ]", "a sequence", value));
        }
        let items = core::items("[ … ]", value)?;
        let mut scope = scope.clone();
        let mut patterns = patterns.iter();
        let mut at = 0;
        while let Some(pattern) = patterns.next() {
            match (pattern.symbol().map(|name| &**name), pattern.keyword().map(|name| &**name)) {
                (Some("&"), _) => {
                    let rest = patterns.next().ok_or_else(|| failed("nothing stands behind `&`"))?;
                    let left = items.get(at..).unwrap_or_default().to_vec();
                    self.charge(left.len())?;
                    let left = if left.is_empty() { Value::Nil } else { Value::list(left) };
                    scope = self.bind(rest, left, &scope)?;
                }
                (_, Some("as")) => {
                    let whole = patterns.next().ok_or_else(|| failed("nothing stands behind `:as`"))?;
                    scope = self.bind(whole, value.clone(), &scope)?;
                }
                _ => {
                    scope = self.bind(pattern, items.get(at).cloned().unwrap_or(Value::Nil), &scope)?;
                    at += 1;
                }
            }
        }
        Ok(scope)
    }

    fn bind_map(&mut self, entries: &[(Form, Form)], value: Value, scope: &Scope) -> Eval<Scope> {
        let value = match value {
            // `& {:keys […]}`: key and value in turn, or one map at the end.
            Value::List(items) => match &items[..] {
                [Value::Map(map)] => Value::Map(map.clone()),
                items => core::pairs("& { … }", items)?,
            },
            other => other,
        };
        let defaults = entries.iter().find(|(key, _)| key.keyword().is_some_and(|name| **name == *"or"));
        let mut scope = scope.clone();
        for (pattern, source) in entries {
            let directive = pattern.keyword().cloned();
            let directive =
                directive.as_deref().map(|name| (namespaces::split(name).map(|(space, _)| space), bare(name)));
            match directive {
                Some((None, "or")) => {}
                Some((None, "as")) => scope = self.bind(source, value.clone(), &scope)?,
                Some((space, how @ ("keys" | "strs" | "syms"))) => {
                    let Kind::Vector(names) = &source.kind else {
                        return Err(failed(format!("a vector of names stands behind `:{how}`")));
                    };
                    for name in names.iter() {
                        let (local, key) = key_for(name, how, space)?;
                        let local = Form { at: name.at, kind: Kind::Symbol(local) };
                        scope = self.bind_key(&local, &key, &value, defaults, &scope)?;
                    }
                }
                Some((_, other)) => return Err(failed(format!("`:{other}` has no meaning in a pattern"))),
                None => {
                    let key = self.eval(source, &scope)?;
                    scope = self.bind_key(pattern, &key, &value, defaults, &scope)?;
                }
            }
        }
        Ok(scope)
    }

    /// Binds what a map has under a key, or the default of `:or`.
    fn bind_key(
        &mut self,
        pattern: &Form,
        key: &Value,
        map: &Value,
        defaults: Option<&(Form, Form)>,
        scope: &Scope,
    ) -> Eval<Scope> {
        let found = match map {
            Value::Map(dict) => dict.get(key).cloned(),
            _ => None,
        };
        let value = match (found, defaults.map(|(_, map)| &map.kind), pattern.symbol()) {
            (Some(found), _, _) => found,
            (None, Some(Kind::Map(defaults)), Some(name)) => {
                match defaults.iter().find(|(local, _)| local.symbol() == Some(name)) {
                    Some((_, default)) => self.eval(default, scope)?,
                    None => Value::Nil,
                }
            }
            _ => Value::Nil,
        };
        self.bind(pattern, value, scope)
    }
}

/// The local name and the key of one name of `:keys`, `:strs` or `:syms`.
fn key_for(name: &Form, how: &str, space: Option<&str>) -> Eval<(Rc<str>, Value)> {
    let written = match &name.kind {
        Kind::Symbol(written) | Kind::Keyword(written) => written,
        _ => return Err(failed(format!("`:{how}` takes names")).at(name.at)),
    };
    let full: Rc<str> = match space {
        Some(space) if namespaces::split(written).is_none() => format!("{space}/{written}").into(),
        _ => written.clone(),
    };
    let key = match how {
        "keys" => Value::Keyword(full),
        "strs" => Value::Text(full),
        _ => Value::Symbol(full),
    };
    Ok((bare(written).into(), key))
}

/// The pairs of a binding vector.
pub(crate) fn pairs<'f>(form: &Form, bindings: &'f Form) -> Eval<impl Iterator<Item = (&'f Form, &'f Form)> + use<'f>> {
    let Kind::Vector(items) = &bindings.kind else {
        return Err(failed("a vector of names and values is needed here").at(bindings.at));
    };
    if !items.len().is_multiple_of(2) {
        return Err(failed("the last name of this vector has no value").at(form.at));
    }
    Ok(items.chunks_exact(2).map(|pair| (&pair[0], &pair[1])))
}
