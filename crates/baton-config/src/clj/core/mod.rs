//! Functions that every file has, by topic. To add one: a row in the table of its topic.

mod functional;
mod js;
mod maps;
mod maths;
mod predicates;
mod sequences;
mod sets;
mod text;

use super::dsl;
use super::error::{Eval, failed, wants};
use super::eval::Interp;
use super::value::{Entries, Pattern, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// A function of ours: its name, how many arguments it takes, and what it does.
pub(crate) struct Native {
    pub(crate) name: &'static str,
    least: usize,
    most: usize,
    pub(crate) run: fn(&mut Interp, Vec<Value>) -> Eval,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Native({})", self.name)
    }
}

/// Stands for any number of arguments.
pub(crate) const ANY: usize = usize::MAX;

/// A row of a table.
pub(crate) const fn row(
    name: &'static str,
    least: usize,
    most: usize,
    run: fn(&mut Interp, Vec<Value>) -> Eval,
) -> Native {
    Native { name, least, most, run }
}

impl Native {
    /// Refuses a wrong number of arguments.
    pub(crate) fn check(&self, count: usize) -> Eval<()> {
        if (self.least..=self.most).contains(&count) {
            return Ok(());
        }
        let Native { name, least, most, .. } = self;
        let takes = match *most {
            ANY => format!("{least} or more"),
            most if most == *least => least.to_string(),
            most => format!("{least} to {most}"),
        };
        Err(failed(format!("`{name}` takes {takes} arguments, and has {count}")))
    }
}

/// Every namespace that is built in, with its tables.
const SPACES: &[(&str, &[&[Native]])] = &[
    (
        "clojure.core",
        &[
            functional::TABLE,
            js::TABLE,
            maps::TABLE,
            maths::TABLE,
            predicates::TABLE,
            sequences::TABLE,
            sets::TABLE,
            text::TABLE,
        ],
    ),
    ("clojure.string", &[text::STRING]),
    ("clojure.set", &[sets::SET]),
    ("clojure.edn", &[text::EDN]),
    ("clobber.macro", &[dsl::clobber::TABLE]),
    ("pm2-clj.dsl", &[dsl::pm2::TABLE, dsl::layers::TABLE]),
    ("js", &[js::GLOBALS]),
    ("path", &[js::PATH]),
];

/// The built-in name of a namespace that has several.
pub(crate) fn canonical(name: &str) -> &str {
    match name {
        "cljs.core" => "clojure.core",
        "cljs.reader" | "clojure.tools.reader.edn" => "clojure.edn",
        "clojure.string" | "cljs.string" => "clojure.string",
        "node:path" => "path",
        "goog.object" => "clojure.core",
        other => other,
    }
}

/// Whether the namespace is built in.
pub(crate) fn is_space(name: &str) -> bool {
    name != "js" && SPACES.iter().any(|(space, _)| *space == name)
}

/// The tables, ready for look-up.
#[derive(Debug)]
pub(crate) struct Builtins {
    spaces: HashMap<&'static str, HashMap<&'static str, &'static Native>>,
}

impl Builtins {
    pub(crate) fn new() -> Builtins {
        let table = |tables: &'static [&'static [Native]]| {
            tables.iter().flat_map(|table| table.iter()).map(|native| (native.name, native)).collect()
        };
        Builtins { spaces: SPACES.iter().map(|(space, tables)| (*space, table(tables))).collect() }
    }

    /// What a name means in a built-in namespace.
    pub(crate) fn find(&self, space: &str, name: &str) -> Option<Value> {
        // `remove` of the DSL is a value, not a function.
        if space == "pm2-clj.dsl" && name == "remove" {
            return Some(dsl::merge::sentinel());
        }
        self.spaces.get(space)?.get(name).map(|native| Value::native(native))
    }

    /// The names of a built-in namespace.
    pub(crate) fn names(&self, space: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.spaces.get(space).into_iter().flat_map(HashMap::keys).map(|&name| name.to_owned()).collect();
        match space {
            "pm2-clj.dsl" => names.push("remove".into()),
            "clobber.macro" => names.push("defprofile".into()),
            _ => {}
        }
        names
    }

    /// The built-in namespaces.
    pub(crate) fn spaces(&self) -> Vec<String> {
        self.spaces.keys().map(|&space| space.to_owned()).collect()
    }
}

/// The members of anything that can be gone through.
pub(crate) fn items<'v>(function: &str, value: &'v Value) -> Eval<Cow<'v, [Value]>> {
    Ok(match value {
        Value::Nil => Cow::Borrowed(&[]),
        Value::List(items) | Value::Vector(items) => Cow::Borrowed(items),
        Value::Set(group) => Cow::Owned(group.iter().cloned().collect()),
        Value::Map(dict) => {
            let pair = |(key, value): (&Value, &Value)| Value::vector(vec![key.clone(), value.clone()]);
            Cow::Owned(dict.iter().map(pair).collect())
        }
        Value::Text(text) => {
            let mut buffer = [0; 4];
            Cow::Owned(text.chars().map(|c| Value::text(&*c.encode_utf8(&mut buffer))).collect())
        }
        other => return Err(wants(function, "a collection", other)),
    })
}

/// The members of a collection, counted as work.
pub(crate) fn taken(interp: &mut Interp, function: &str, value: &Value) -> Eval<Vec<Value>> {
    let items = items(function, value)?;
    interp.charge(items.len())?;
    Ok(items.into_owned())
}

/// What a collection has under a key.
pub(crate) fn get(collection: &Value, key: &Value) -> Option<Value> {
    match collection {
        Value::Map(dict) => dict.get(key).cloned(),
        Value::Set(group) => group.get(key).cloned(),
        Value::Vector(items) => match key {
            Value::Int(at) => items.get(usize::try_from(*at).ok()?).cloned(),
            _ => None,
        },
        Value::Text(text) => match key {
            Value::Int(at) => text.chars().nth(usize::try_from(*at).ok()?).map(|c| Value::text(c.to_string())),
            _ => None,
        },
        _ => None,
    }
}

/// A whole number that is not negative.
pub(crate) fn index(function: &str, value: &Value) -> Eval<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| wants(function, "a whole number from 0", value))
}

/// A map of keys and values in turn.
pub(crate) fn pairs(function: &str, items: &[Value]) -> Eval {
    if !items.len().is_multiple_of(2) {
        return Err(failed(format!("`{function}` needs pairs of a key and a value; the last key has no value")));
    }
    Ok(Value::map(items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect::<Entries>()))
}

/// A regular expression.
pub(crate) fn pattern(text: &Rc<str>) -> Eval {
    match regex_lite::Regex::new(text) {
        Ok(regex) => Ok(Value::Pattern(Rc::new(Pattern { text: text.clone(), regex }))),
        Err(error) => Err(failed(format!("the regular expression cannot be used: {error}"))),
    }
}

/// The text of an argument.
pub(crate) fn string<'v>(function: &str, value: &'v Value) -> Eval<&'v Rc<str>> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wants(function, "a text", other)),
    }
}
