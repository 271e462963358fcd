//! The little of JavaScript that process files touch: `js/process.env`, `js/module`, members of objects.
//!
//! JavaScript objects are maps with texts as keys, arrays are vectors.

use super::{Interp, Scope, namespaces};
use crate::clj::core;
use crate::clj::error::{CljErrorKind, Eval, failed};
use crate::clj::form::{Form, Kind};
use crate::clj::json;
use crate::clj::print;
use crate::clj::value::{Entries, Value};

/// Names behind `js/`, for the list of what is supported.
const GLOBALS: &[&str] = &[
    "js/process.env",
    "js/process.platform",
    "js/process.argv",
    "js/process.cwd",
    "js/module",
    "js/module.exports",
    "js/exports",
    "js/__dirname",
    "js/__filename",
    "js/console.log",
    "js/JSON.stringify",
    "js/JSON.parse",
    "js/Math.max",
    "js/Math.min",
    "js/Math.floor",
    "js/Math.ceil",
    "js/Math.round",
    "js/parseInt",
    "js/parseFloat",
    "js/String",
    "js/Number",
    "js/Boolean",
    "js/Error",
    "js/undefined",
];

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::map(entries.into_iter().map(|(key, value)| (Value::text(key), value)).collect())
}

impl Interp {
    /// `js/a.b.c`
    pub(super) fn global(&mut self, path: &str) -> Eval {
        let mut names = path.split('.');
        let first = names.next().unwrap_or_default();
        let Some(mut value) = self.global_object(first) else {
            let supported = GLOBALS.iter().map(|&name| name.to_owned()).collect();
            return Err(CljErrorKind::Unknown { name: format!("js/{first}"), near: None, supported }.into());
        };
        for name in names {
            value = self.property(&value, name)?;
        }
        Ok(value)
    }

    fn global_object(&self, name: &str) -> Option<Value> {
        let native = |name: &str| self.builtins.find("js", name).unwrap_or(Value::Nil);
        Some(match name {
            "process" => {
                let env = self.options.env.iter().map(|(key, value)| (Value::text(&**key), Value::text(&**value)));
                object([
                    ("env", Value::map(env.collect())),
                    ("platform", Value::text(node_platform())),
                    ("argv", Value::vector(vec![Value::text("node")])),
                    ("cwd", native("cwd")),
                ])
            }
            "console" => object(["log", "info", "warn", "error"].map(|name| (name, native("log")))),
            "JSON" => object(["stringify", "parse"].map(|name| (name, native(name)))),
            "Math" => object(["max", "min", "floor", "ceil", "round", "abs"].map(|name| (name, native(name)))),
            "parseInt" | "parseFloat" | "String" | "Number" | "Boolean" | "Error" => native(name),
            "module" => Value::Module,
            "exports" => self.exports(),
            "undefined" => Value::Nil,
            "__dirname" | "__filename" => {
                let (path, _) = self.files.get(usize::from(self.site.file))?;
                let path = if name == "__filename" { path.as_path() } else { path.parent()? };
                Value::text(&*path.to_string_lossy())
            }
            _ => return None,
        })
    }

    fn exports(&self) -> Value {
        self.run.exports.clone().unwrap_or_else(|| Value::map(Entries::new()))
    }

    /// `object.name`; `nil` where there is no such member.
    pub(crate) fn property(&self, object: &Value, name: &str) -> Eval {
        match object {
            Value::Module if name == "exports" => Ok(self.exports()),
            Value::Nil => Err(failed(format!("`{name}` of nil cannot be read"))),
            Value::Map(dict) => Ok(dict.get(&Value::text(name)).cloned().unwrap_or(Value::Nil)),
            Value::Vector(_) | Value::List(_) | Value::Text(_) if name == "length" => {
                let length = core::items("length", object)?.len();
                Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
            }
            _ => Ok(Value::Nil),
        }
    }

    /// `(.-name object)` and `(.name object argument…)`.
    pub(super) fn member_call(&mut self, head: &str, arguments: &[Form], scope: &Scope) -> Eval {
        let Some((object, arguments)) = arguments.split_first() else {
            return Err(failed(format!("`{head}` needs an object")));
        };
        let object = self.eval(object, scope)?;
        self.member(object, &head[1..], arguments, scope)
    }

    fn member(&mut self, object: Value, name: &str, arguments: &[Form], scope: &Scope) -> Eval {
        if let Some(name) = name.strip_prefix('-') {
            return self.property(&object, name);
        }
        let method = self.property(&object, name)?;
        if !matches!(method, Value::Function(_)) {
            let message = format!("the method `.{name}` of {} is not supported", object.kind());
            return Err(CljErrorKind::Unsupported(message).into());
        }
        let arguments = self.eval_all(arguments, scope)?;
        self.apply(&method, arguments)
    }

    /// `(. object -name)` and `(. object name argument…)`
    pub(super) fn dot_form(&mut self, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
        let [object, Form { kind: Kind::Symbol(name), .. }, arguments @ ..] = arguments else {
            return Err(failed("`.` needs an object and a name"));
        };
        let object = self.eval(object, scope)?;
        self.member(object, name, arguments, scope)
    }

    /// `(.. object -a -b (c 1))`
    pub(super) fn dots_form(&mut self, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
        let Some((object, members)) = arguments.split_first() else { return Err(failed("`..` needs an object")) };
        let mut value = self.eval(object, scope)?;
        for member in members {
            value = match &member.kind {
                Kind::Symbol(name) => self.member(value, name, &[], scope)?,
                Kind::List(items) => match items.split_first() {
                    Some((Form { kind: Kind::Symbol(name), .. }, arguments)) => {
                        self.member(value, name, arguments, scope)?
                    }
                    _ => return Err(failed("`..` takes names and calls").at(member.at)),
                },
                _ => return Err(failed("`..` takes names and calls").at(member.at)),
            };
        }
        Ok(value)
    }

    /// Only exports can be set: everything else is a value.
    pub(super) fn set_form(&mut self, _: &Form, arguments: &[Form], scope: &Scope) -> Eval {
        let [place, value] = arguments else { return Err(failed("`set!` takes a place and a value")) };
        let Some(names) = place_names(place) else {
            return Err(CljErrorKind::Unsupported("only `module.exports` can be set".into()).into());
        };
        let value = self.eval(value, scope)?;
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        self.export(&names, value)
    }

    /// Sets `module.exports`, or one member of it.
    pub(crate) fn export(&mut self, names: &[&str], value: Value) -> Eval {
        match names {
            ["module", "exports"] => self.run.exports = Some(value.clone()),
            ["module", "exports", name] | ["exports", name] => {
                let mut exports = match self.exports() {
                    Value::Map(dict) => dict,
                    other => return Err(failed(format!("module.exports is {}, and has no members", other.kind()))),
                };
                std::rc::Rc::make_mut(&mut exports).insert(Value::text(*name), value.clone());
                self.run.exports = Some(Value::Map(exports));
            }
            _ => return Err(CljErrorKind::Unsupported("only `module.exports` can be set".into()).into()),
        }
        Ok(value)
    }

    /// `#js {…}` and `#js […]`: the members are evaluated, keywords as keys become texts.
    pub(super) fn js_literal(&mut self, inner: &Form, scope: &Scope) -> Eval {
        match &inner.kind {
            Kind::Map(pairs) => {
                let mut entries = Entries::with_capacity(pairs.len());
                for (key, value) in pairs.iter() {
                    let key = Value::text(json::key_text(&self.eval(key, scope)?));
                    entries.insert(key, self.eval(value, scope)?);
                }
                self.checked(Value::map(entries))
            }
            Kind::Vector(_) => self.eval(inner, scope),
            _ => Err(failed("`#js` takes a map or a vector").at(inner.at)),
        }
    }
}

/// Node's word for this system.
fn node_platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// The names of `js/module.exports`, `(.-exports js/module)`, `(.. js/module -exports)` and members of them.
fn place_names(place: &Form) -> Option<Vec<String>> {
    match &place.kind {
        Kind::Symbol(name) => {
            let (space, path) = namespaces::split(name)?;
            (space == "js").then(|| path.split('.').map(str::to_owned).collect())
        }
        Kind::List(items) => {
            let (head, rest) = items.split_first()?;
            let member = |form: &Form| form.symbol().and_then(|name| name.strip_prefix('-')).map(str::to_owned);
            let (object, members): (&Form, Vec<String>) = match (&**head.symbol()?, rest) {
                ("." | "..", [object, members @ ..]) => (object, members.iter().map(member).collect::<Option<_>>()?),
                (head, [object]) => (object, vec![head.strip_prefix(".-")?.to_owned()]),
                _ => return None,
            };
            let mut names = place_names(object)?;
            names.extend(members);
            Some(names)
        }
        _ => None,
    }
}

/// What `JSON.stringify` gives.
pub(crate) fn stringify(value: &Value) -> Eval {
    if value.depth() > json::MAX_DEPTH {
        return Err(failed(format!("data that nests more than {} deep has no JSON form", json::MAX_DEPTH)));
    }
    Ok(json::from_value(value).map_or(Value::Nil, |json| Value::text(json.to_string())))
}

/// What `JSON.parse` gives.
pub(crate) fn parse(text: &Value) -> Eval {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&print::plain(text));
    parsed.map(|json| json::to_value(&json)).map_err(|error| failed(format!("JSON.parse: {error}")))
}
