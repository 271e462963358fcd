//! Values of an evaluation.
//!
//! Collections are shared and never change: what looks like a change copies, unless nobody else holds the collection.
//! Maps and sets keep the order in which their members came.
//!
//! Every collection and function knows how deep it nests. The evaluator refuses what nests too deep, so that printing,
//! comparing and dropping may recurse.

use super::eval::Closure;
use super::numbers;
use indexmap::{IndexMap, IndexSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

pub(super) type Entries = IndexMap<Value, Value>;
pub(super) type Members = IndexSet<Value>;

/// One value.
#[derive(Clone)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    /// Without the colon, with the namespace.
    Keyword(Rc<str>),
    Symbol(Rc<str>),
    List(Rc<Items>),
    Vector(Rc<Items>),
    Map(Rc<Dict>),
    Set(Rc<Group>),
    Pattern(Rc<Pattern>),
    Function(Rc<Function>),
    /// `js/module`: where exports are put.
    Module,
}

/// The members of a list or a vector.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    items: Vec<Value>,
    depth: u32,
}

/// The entries of a map.
#[derive(Clone, Debug, Default)]
pub(super) struct Dict {
    entries: Entries,
    depth: u32,
}

/// The members of a set.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    members: Members,
    depth: u32,
}

/// A regular expression with its text.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: Rc<str>,
    pub(super) regex: regex_lite::Regex,
}

/// Something that can be called and is no collection or keyword.
#[derive(Debug)]
pub(super) enum Function {
    Native(&'static super::core::Native),
    Closure(Closure),
    /// A function made of other values by a core function.
    Made(Made, Vec<Value>),
}

/// How a function of other values behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Partial,
    Compose,
    Complement,
    Constantly,
    Juxt,
    WithDefaults,
    EveryPredicate,
    SomeFunction,
}

impl std::ops::Deref for Items {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.items
    }
}

impl std::ops::Deref for Dict {
    type Target = Entries;
    fn deref(&self) -> &Entries {
        &self.entries
    }
}

impl std::ops::Deref for Group {
    type Target = Members;
    fn deref(&self) -> &Members {
        &self.members
    }
}

fn around<'v>(members: impl Iterator<Item = &'v Value>) -> u32 {
    1 + members.map(Value::depth).max().unwrap_or(0)
}

impl Items {
    fn new(items: Vec<Value>) -> Items {
        let depth = around(items.iter());
        Items { items, depth }
    }

    pub(super) fn push(&mut self, value: Value) {
        self.depth = self.depth.max(1 + value.depth());
        self.items.push(value);
    }

    /// Puts a value in place of the one at this index, which must exist.
    pub(super) fn put(&mut self, at: usize, value: Value) {
        self.depth = self.depth.max(1 + value.depth());
        self.items[at] = value;
    }
}

impl Dict {
    pub(super) fn insert(&mut self, key: Value, value: Value) {
        self.depth = self.depth.max(1 + key.depth().max(value.depth()));
        self.entries.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &Value) {
        self.entries.shift_remove(key);
    }
}

impl Group {
    pub(super) fn insert(&mut self, member: Value) {
        self.depth = self.depth.max(1 + member.depth());
        self.members.insert(member);
    }

    pub(super) fn remove(&mut self, member: &Value) {
        self.members.shift_remove(member);
    }
}

impl Value {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Value {
        Value::Text(text.into())
    }

    pub(super) fn keyword(name: &str) -> Value {
        Value::Keyword(name.into())
    }

    pub(super) fn list(items: Vec<Value>) -> Value {
        Value::List(Rc::new(Items::new(items)))
    }

    pub(super) fn vector(items: Vec<Value>) -> Value {
        Value::Vector(Rc::new(Items::new(items)))
    }

    pub(super) fn map(entries: Entries) -> Value {
        let depth = 1 + entries.iter().map(|(key, value)| key.depth().max(value.depth())).max().unwrap_or(0);
        Value::Map(Rc::new(Dict { entries, depth }))
    }

    /// A map with keyword keys.
    pub(super) fn record<const N: usize>(entries: [(&str, Value); N]) -> Value {
        Value::map(entries.into_iter().map(|(key, value)| (Value::keyword(key), value)).collect())
    }

    pub(super) fn set(members: Members) -> Value {
        let depth = around(members.iter());
        Value::Set(Rc::new(Group { members, depth }))
    }

    pub(super) fn float(number: f64) -> Value {
        match numbers::whole(number) {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number),
        }
    }

    pub(super) fn made(how: Made, of: Vec<Value>) -> Value {
        Value::Function(Rc::new(Function::Made(how, of)))
    }

    pub(super) fn native(native: &'static super::core::Native) -> Value {
        Value::Function(Rc::new(Function::Native(native)))
    }

    /// Everything but `nil` and `false`.
    pub(super) fn truthy(&self) -> bool {
        !matches!(self, Value::Nil | Value::Bool(false))
    }

    /// How deep this value nests; constants are 0.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Value::List(items) | Value::Vector(items) => items.depth,
            Value::Map(dict) => dict.depth,
            Value::Set(group) => group.depth,
            Value::Function(function) => match &**function {
                Function::Native(_) => 0,
                Function::Closure(closure) => closure.depth(),
                Function::Made(_, of) => around(of.iter()),
            },
            _ => 0,
        }
    }

    /// The entries of a map.
    pub(super) fn as_map(&self) -> Option<&Rc<Dict>> {
        match self {
            Value::Map(dict) => Some(dict),
            _ => None,
        }
    }

    /// The value under a keyword; `None` where this is no map or has no such key.
    pub(super) fn at(&self, key: &str) -> Option<&Value> {
        // A borrowed key would need a second type; the maps of process files are small.
        self.as_map()?.iter().find_map(|(have, value)| match have {
            Value::Keyword(name) if **name == *key => Some(value),
            _ => None,
        })
    }

    /// The name of a text, keyword or symbol, without its namespace.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Keyword(name) | Value::Symbol(name) => Some(bare(name)),
            _ => None,
        }
    }

    /// What kind of value this is, for messages: reads after "has" and "is".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::Keyword(_) => "a keyword",
            Value::Symbol(_) => "a symbol",
            Value::List(_) => "a list",
            Value::Vector(_) => "a vector",
            Value::Map(_) => "a map",
            Value::Set(_) => "a set",
            Value::Pattern(_) => "a regular expression",
            Value::Function(_) => "a function",
            Value::Module => "js/module",
        }
    }
}

/// The part of a name behind its namespace.
pub(super) fn bare(name: &str) -> &str {
    match name.split_once('/') {
        Some((space, bare)) if !space.is_empty() && !bare.is_empty() => bare,
        _ => name,
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) | (Value::Module, Value::Module) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            // A map must find its own keys again: NaN is itself here.
            (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            #[expect(clippy::cast_precision_loss, reason = "numbers are compared as JavaScript compares them")]
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => *a as f64 == *b,
            (Value::Text(a), Value::Text(b))
            | (Value::Keyword(a), Value::Keyword(b))
            | (Value::Symbol(a), Value::Symbol(b)) => a == b,
            (Value::List(a) | Value::Vector(a), Value::List(b) | Value::Vector(b)) => a.items == b.items,
            (Value::Map(a), Value::Map(b)) => a.entries == b.entries,
            (Value::Set(a), Value::Set(b)) => a.members == b.members,
            (Value::Pattern(a), Value::Pattern(b)) => a.text == b.text,
            (Value::Function(a), Value::Function(b)) => match (&**a, &**b) {
                (Function::Native(a), Function::Native(b)) => std::ptr::eq(*a, *b),
                _ => Rc::ptr_eq(a, b),
            },
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let alone = |value: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            value(&mut hasher);
            hasher.finish()
        };
        match self {
            Value::Nil => 0_u8.hash(state),
            Value::Bool(yes) => (1_u8, yes).hash(state),
            #[expect(clippy::cast_precision_loss, reason = "equal numbers must have equal hashes")]
            Value::Int(number) => (2_u8, (*number as f64 + 0.0).to_bits()).hash(state),
            // Adding zero makes one of the two zeros.
            Value::Float(number) => (2_u8, (number + 0.0).to_bits()).hash(state),
            Value::Text(text) => (3_u8, text).hash(state),
            Value::Keyword(name) => (4_u8, name).hash(state),
            Value::Symbol(name) => (5_u8, name).hash(state),
            Value::List(items) | Value::Vector(items) => (6_u8, &items.items).hash(state),
            // The order of entries makes no difference.
            Value::Map(dict) => {
                let sum = dict.iter().map(|entry| alone(&|hasher| entry.hash(hasher))).fold(0, u64::wrapping_add);
                (7_u8, sum).hash(state);
            }
            Value::Set(group) => {
                let sum = group.iter().map(|one| alone(&|hasher| one.hash(hasher))).fold(0, u64::wrapping_add);
                (8_u8, sum).hash(state);
            }
            Value::Pattern(pattern) => (9_u8, &pattern.text).hash(state),
            Value::Function(_) => 10_u8.hash(state),
            Value::Module => 11_u8.hash(state),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::print::readable(self))
    }
}
