//! What a global name means: definitions, aliases, references, and `ns` with its requirements.

use super::{Interp, Scope, special};
use crate::clj::core;
use crate::clj::error::{CljErrorKind, Escape, Eval, failed};
use crate::clj::form::{Form, Kind};
use crate::clj::value::{Value, bare};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::rc::Rc;

/// One namespace of the files.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    /// What `def` and `defn` defined.
    pub(crate) vars: IndexMap<Rc<str>, Value>,
    /// Short names of other namespaces.
    pub(crate) aliases: HashMap<Rc<str>, Rc<str>>,
    /// Names taken over from other namespaces: namespace and name there.
    refers: HashMap<Rc<str>, (Rc<str>, Rc<str>)>,
    /// Whether the file has an `ns` form. Files without one see the names of the DSLs by themselves.
    declared: bool,
}

/// The namespaces whose names a file without `ns` sees, in order.
const UNDECLARED: [&str; 2] = ["clobber.macro", "pm2-clj.dsl"];

/// The namespace and the bare name of a qualified name.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let (space, bare) = name.split_once('/')?;
    (!space.is_empty() && !bare.is_empty()).then_some((space, bare))
}

impl Interp {
    /// Defines a name in the namespace of the file.
    pub(super) fn define(&mut self, name: &Rc<str>, value: Value) -> Value {
        let full = Value::Symbol(format!("{}/{name}", self.current).into());
        self.namespace().vars.insert(name.clone(), value);
        full
    }

    pub(crate) fn namespace(&mut self) -> &mut Namespace {
        self.namespaces.entry(self.current.clone()).or_default()
    }

    /// The namespace behind an alias, or behind its own name.
    pub(super) fn full_name(&self, space: &str) -> Rc<str> {
        let alias = self.namespaces.get(&self.current).and_then(|own| own.aliases.get(space));
        alias.cloned().unwrap_or_else(|| core::canonical(space).into())
    }

    /// A name that the namespace of the file defines or took over.
    pub(super) fn own(&self, name: &str) -> Option<Value> {
        let own = self.namespaces.get(&self.current)?;
        if let Some(value) = own.vars.get(name) {
            return Some(value.clone());
        }
        let (space, name) = own.refers.get(name)?;
        self.in_space(space, name)
    }

    fn declared(&self) -> bool {
        self.namespaces.get(&self.current).is_some_and(|own| own.declared)
    }

    /// Whether a bare `defprofile` is the one of `clobber.macro`.
    pub(super) fn means_profile(&self) -> bool {
        let own = self.namespaces.get(&self.current);
        let taken = own.and_then(|own| own.refers.get("defprofile"));
        match taken {
            Some((space, _)) => **space == *"clobber.macro",
            None => !self.declared() && self.own("defprofile").is_none(),
        }
    }

    fn in_space(&self, space: &str, name: &str) -> Option<Value> {
        self.builtins.find(space, name).or_else(|| self.namespaces.get(space)?.vars.get(name).cloned())
    }

    pub(super) fn lookup(&mut self, name: &Rc<str>, scope: &Scope) -> Eval {
        if let Some((space, bare)) = split(name) {
            if space == "js" {
                return self.global(bare);
            }
            let space = self.full_name(space);
            return self.in_space(&space, bare).ok_or_else(|| self.unknown_in(name, &space, bare));
        }
        let found = scope.get(name).cloned().or_else(|| self.own(name)).or_else(|| {
            let undeclared = if self.declared() { &[][..] } else { &UNDECLARED };
            std::iter::once(&"clojure.core").chain(undeclared).find_map(|space| self.builtins.find(space, name))
        });
        found.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Escape {
        if self.specials.contains_key(name) {
            return failed(format!("`{name}` is a form and no value"));
        }
        let specials = self.specials.iter().filter(|(_, special)| !special::is_refused(**special));
        let mut supported: Vec<String> = specials.map(|(name, _)| (*name).to_owned()).collect();
        supported.extend(self.builtins.names("clojure.core"));
        if !self.declared() {
            supported.extend(UNDECLARED.iter().flat_map(|space| self.builtins.names(space)));
        }
        let own = self.namespaces.get(&self.current);
        supported
            .extend(own.into_iter().flat_map(|own| own.vars.keys().chain(own.refers.keys())).map(ToString::to_string));
        // A name of a library that the file could have taken over.
        let elsewhere = UNDECLARED.iter().chain(&["clojure.string"]);
        let elsewhere = elsewhere
            .flat_map(|space| self.builtins.names(space).into_iter().map(move |name| format!("{space}/{name}")));
        unknown(name, supported, elsewhere.collect())
    }

    fn unknown_in(&self, name: &str, space: &str, short: &str) -> Escape {
        let mut supported = self.builtins.names(space);
        if let Some(own) = self.namespaces.get(space) {
            supported.extend(own.vars.keys().map(ToString::to_string));
        }
        if supported.is_empty() {
            supported = self.builtins.spaces();
            supported.extend(self.namespaces.keys().map(ToString::to_string));
            return unknown(name, supported, Vec::new());
        }
        match unknown(short, supported, Vec::new()) {
            Escape::Fault(mut fault) => {
                if let CljErrorKind::Unknown { name: shown, .. } = &mut fault.kind {
                    *shown = name.to_owned();
                }
                Escape::Fault(fault)
            }
            recur @ Escape::Recur(_) => recur,
        }
    }

    /// `(ns name (:require …) …)`
    pub(super) fn ns_form(&mut self, _: &Form, arguments: &[Form], _: &Scope) -> Eval {
        let Some(Form { kind: Kind::Symbol(name), .. }) = arguments.first() else {
            return Err(failed("`ns` needs a name"));
        };
        self.current = name.clone();
        self.namespace().declared = true;
        for clause in &arguments[1..] {
            // A description and a map of attributes say nothing to us.
            let Kind::List(items) = &clause.kind else { continue };
            let Some((head, specs)) = items.split_first() else { continue };
            match head.keyword().map(|name| &**name) {
                Some("require" | "require-macros" | "use" | "use-macros") => {
                    let all = head.keyword().is_some_and(|name| name.starts_with("use"));
                    self.require_all(specs, all)?;
                }
                Some("refer-clojure" | "gen-class") => {}
                _ => {
                    let message = "`ns` takes `:require`, `:use` and `:refer-clojure` here";
                    return Err(Escape::from(CljErrorKind::Unsupported(message.into())).at(clause.at));
                }
            }
        }
        Ok(Value::Nil)
    }

    /// `(require '[name :as n])`
    pub(super) fn require_form(&mut self, _: &Form, arguments: &[Form], _: &Scope) -> Eval {
        self.require_all(arguments, false)?;
        Ok(Value::Nil)
    }

    /// `(use 'name)`
    pub(super) fn use_form(&mut self, _: &Form, arguments: &[Form], _: &Scope) -> Eval {
        self.require_all(arguments, true)?;
        Ok(Value::Nil)
    }

    fn require_all(&mut self, specs: &[Form], refer_all: bool) -> Eval<()> {
        for spec in specs {
            let spec = match &spec.kind {
                Kind::Quote(inner) => inner,
                Kind::Keyword(_) => continue,
                _ => spec,
            };
            self.require(spec, refer_all).map_err(|escape| escape.at(spec.at))?;
        }
        Ok(())
    }

    fn require(&mut self, spec: &Form, refer_all: bool) -> Eval<()> {
        let (library, options) = match &spec.kind {
            Kind::Vector(items) => items.split_first().ok_or_else(|| failed("a requirement needs a name"))?,
            _ => (spec, &[][..]),
        };
        let space = match &library.kind {
            Kind::Symbol(name) if core::is_space(core::canonical(name)) => core::canonical(name).into(),
            Kind::Symbol(name) => self.load_namespace(name, spec.at)?,
            Kind::Text(path) if core::is_space(core::canonical(path)) => core::canonical(path).into(),
            Kind::Text(path) => self.load_path(path, spec.at)?,
            _ => return Err(failed("a requirement is a name, or a vector such as [name :as n]")),
        };
        if let Kind::Symbol(name) = &library.kind {
            // The name in the file may differ from that of the file's namespace.
            let known_as = name.clone();
            self.namespace().aliases.insert(known_as, space.clone());
        }
        if refer_all {
            self.refer_all(&space);
        }
        for pair in options.chunks(2) {
            let [option, value] = pair else { return Err(failed("the last option of this requirement has no value")) };
            match (option.keyword().map(|name| &**name), &value.kind) {
                (Some("as" | "as-alias" | "default"), Kind::Symbol(alias)) => {
                    self.namespace().aliases.insert(alias.clone(), space.clone());
                }
                (Some("refer" | "refer-macros" | "only"), Kind::Vector(names) | Kind::List(names)) => {
                    for name in names.iter() {
                        let Some(short) = name.symbol() else {
                            return Err(failed("`:refer` takes names").at(name.at));
                        };
                        self.refer(&space, short, short).map_err(|escape| escape.at(name.at))?;
                    }
                }
                (Some("refer"), Kind::Keyword(all)) if **all == *"all" => self.refer_all(&space),
                (Some("rename"), Kind::Map(pairs)) => {
                    for (from, to) in pairs.iter() {
                        let (Some(from), Some(to)) = (from.symbol(), to.symbol()) else {
                            return Err(failed("`:rename` takes names"));
                        };
                        self.refer(&space, from, to)?;
                    }
                }
                (Some("include-macros" | "exclude" | "reload"), _) => {}
                _ => return Err(failed("this option of a requirement is not known").at(option.at)),
            }
        }
        Ok(())
    }

    fn refer(&mut self, space: &Rc<str>, name: &Rc<str>, to: &Rc<str>) -> Eval<()> {
        let is_form = **space == *"clobber.macro" && **name == *"defprofile";
        if !is_form && self.in_space(space, name).is_none() {
            return Err(self.unknown_in(&format!("{space}/{name}"), space, name));
        }
        let target = (space.clone(), name.clone());
        self.namespace().refers.insert(to.clone(), target);
        Ok(())
    }

    fn refer_all(&mut self, space: &Rc<str>) {
        let own = self.namespaces.get(space).into_iter().flat_map(|own| own.vars.keys().cloned());
        let names: Vec<Rc<str>> = self.builtins.names(space).into_iter().map(Rc::from).chain(own).collect();
        for name in names {
            let target = (space.clone(), name.clone());
            self.namespace().refers.insert(name, target);
        }
    }
}

/// A name that means nothing, with the nearest of those that do, here or elsewhere.
fn unknown(name: &str, mut supported: Vec<String>, elsewhere: Vec<String>) -> Escape {
    supported.sort();
    supported.dedup();
    let near = supported
        .iter()
        .chain(&elsewhere)
        .map(|known| (strsim::damerau_levenshtein(bare(known), bare(name)), known))
        .filter(|(distance, _)| *distance <= (bare(name).len() / 3).clamp(1, 2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.clone());
    CljErrorKind::Unknown { name: name.into(), near, supported }.into()
}
