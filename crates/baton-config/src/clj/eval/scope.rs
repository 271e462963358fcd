//! Names that a form can see because a form around it bound them.

use crate::clj::value::Value;
use std::rc::Rc;

/// The innermost binding, and through it all others. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope(Option<Rc<Binding>>);

#[derive(Debug)]
struct Binding {
    name: Rc<str>,
    value: Value,
    outer: Scope,
    depth: u32,
}

impl Scope {
    /// This scope with one more name.
    pub(crate) fn with(&self, name: &Rc<str>, value: Value) -> Scope {
        let depth = 1 + self.depth().max(value.depth());
        Scope(Some(Rc::new(Binding { name: name.clone(), value, outer: self.clone(), depth })))
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let mut here = self;
        while let Some(binding) = &here.0 {
            if *binding.name == *name {
                return Some(&binding.value);
            }
            here = &binding.outer;
        }
        None
    }

    /// How deep the bindings and their values nest.
    pub(crate) fn depth(&self) -> u32 {
        self.0.as_ref().map_or(0, |binding| binding.depth)
    }
}
