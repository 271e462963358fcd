//! Source text as it was read: forms with their places.

use std::rc::Rc;

/// Where a form starts. Line and column count from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Which of the files of this evaluation.
    pub(super) file: u16,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// One form with its place.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) at: Span,
    pub(super) kind: Kind,
}

/// What a form is. Metadata, comments and discarded forms leave nothing behind.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A text, or a character: ClojureScript has no type of its own for one.
    Text(Rc<str>),
    /// Without the colon, with the namespace if one was written.
    Keyword(Rc<str>),
    /// `::name` and `::alias/name`, which only the namespace of the file can complete.
    AutoKeyword(Rc<str>),
    Symbol(Rc<str>),
    Regex(Rc<str>),
    List(Rc<[Form]>),
    Vector(Rc<[Form]>),
    /// Pairs in the order of the text.
    Map(Rc<[(Form, Form)]>),
    Set(Rc<[Form]>),
    /// `'x`
    Quote(Rc<Form>),
    /// `#tag x`; `#js` is one of them.
    Tagged(Rc<str>, Rc<Form>),
}

impl Form {
    /// The name, where the form is a symbol.
    pub(super) fn symbol(&self) -> Option<&Rc<str>> {
        match &self.kind {
            Kind::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// The name, where the form is a keyword.
    pub(super) fn keyword(&self) -> Option<&Rc<str>> {
        match &self.kind {
            Kind::Keyword(name) => Some(name),
            _ => None,
        }
    }

    /// A symbol that stands where another form stood.
    pub(super) fn symbol_at(name: &str, at: Span) -> Form {
        Form { at, kind: Kind::Symbol(name.into()) }
    }

    /// Whether two constants are the same key of a literal map or set. Forms that are evaluated are never the same.
    pub(super) fn same_constant(&self, other: &Form) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Nil, Kind::Nil) => true,
            (Kind::Bool(a), Kind::Bool(b)) => a == b,
            (Kind::Int(a), Kind::Int(b)) => a == b,
            (Kind::Float(a), Kind::Float(b)) => a == b,
            (Kind::Text(a), Kind::Text(b))
            | (Kind::Keyword(a), Kind::Keyword(b))
            | (Kind::AutoKeyword(a), Kind::AutoKeyword(b)) => a == b,
            _ => false,
        }
    }
}
