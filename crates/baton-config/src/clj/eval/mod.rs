//! The evaluator: forms to values.
//!
//! * here: the state of one evaluation, its limits, and what a plain form means;
//! * `scope`: local names; `binding`: destructuring;
//! * `functions`: making and calling functions;
//! * `special`: forms that do not evaluate all of their arguments, by name; `branch`, `loops`, `threading` and
//!   `interop` hold the larger families;
//! * `namespaces`: what a global name means, and the files of namespaces.

mod binding;
mod branch;
mod functions;
mod interop;
mod loops;
mod namespaces;
mod scope;
mod special;
mod threading;

pub(crate) use functions::Closure;
pub(crate) use interop::{parse, stringify};
pub(crate) use namespaces::Namespace;
pub(crate) use scope::Scope;
pub(crate) use special::exception;

use super::error::{CljErrorKind, Escape, Eval, failed};
use super::form::{Form, Kind, Span};
use super::value::{Entries, Members, Value};
use super::{CljOptions, core};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// How deep values may nest: dropping and printing them recurses.
const MAX_NESTING: u32 = 2000;
/// Between two looks at the clock.
const STEPS_PER_LOOK: u64 = 4096;

/// What the files of one evaluation have registered and handed over.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Every app of `defapp`, in order.
    pub(crate) apps: Vec<Value>,
    /// What `defprofile` put under a name: fragments, in order.
    pub(crate) profiles: Vec<(Rc<str>, Value)>,
    /// What `module.exports` was set to.
    pub(crate) exports: Option<Value>,
    /// What the last call of `ecosystem` or `ecosystem-output` gave.
    pub(crate) ecosystem: Option<Value>,
    /// The values of the top-level forms of the entry, but for definitions.
    pub(crate) values: Vec<Value>,
    /// The profile whose body is being evaluated, with the apps it has so far.
    pub(crate) open_profile: Option<Vec<Value>>,
}

/// One evaluation.
#[derive(Debug)]
pub(crate) struct Interp {
    pub(crate) options: CljOptions,
    pub(crate) run: Run,
    /// Path and text of every file that was read.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Files that were looked for and not found.
    pub(crate) absent: Vec<PathBuf>,
    pub(crate) console: Vec<u8>,
    /// Files whose evaluation has begun and not ended, outermost first.
    pub(crate) loading: Vec<PathBuf>,
    /// Files that were evaluated as namespaces, with the name of each.
    pub(crate) loaded: HashMap<PathBuf, Rc<str>>,
    pub(crate) namespaces: HashMap<Rc<str>, Namespace>,
    /// The namespace whose code is being evaluated.
    pub(crate) current: Rc<str>,
    /// Where the call that is being evaluated stands.
    pub(crate) site: Span,
    builtins: core::Builtins,
    specials: HashMap<&'static str, special::Special>,
    steps: u64,
    next_look: u64,
    depth: u32,
    deadline: Instant,
}

impl Interp {
    pub(crate) fn new(options: CljOptions) -> Interp {
        Interp {
            deadline: Instant::now() + options.limits.time,
            options,
            run: Run::default(),
            files: Vec::new(),
            absent: Vec::new(),
            console: Vec::new(),
            loading: Vec::new(),
            loaded: HashMap::new(),
            namespaces: HashMap::new(),
            current: "user".into(),
            site: Span { file: 0, line: 1, column: 1 },
            builtins: core::Builtins::new(),
            specials: special::TABLE.iter().copied().collect(),
            steps: 0,
            next_look: STEPS_PER_LOOK,
            depth: 0,
        }
    }

    /// Counts work: one for each form, and one for each member that a function goes through or makes.
    pub(crate) fn charge(&mut self, work: usize) -> Eval<()> {
        self.steps = self.steps.saturating_add(work as u64);
        let limits = self.options.limits;
        if self.steps > limits.steps {
            return Err(CljErrorKind::Limit(format!("not done after {} steps", limits.steps)).into());
        }
        if self.steps >= self.next_look {
            self.next_look = self.steps + STEPS_PER_LOOK;
            if Instant::now() >= self.deadline {
                let seconds = limits.time.as_secs_f64();
                return Err(CljErrorKind::Limit(format!("not done after {seconds} s")).into());
            }
        }
        Ok(())
    }

    /// Refuses a value that nests too deep to be handled safely.
    pub(crate) fn checked(&self, value: Value) -> Eval {
        if value.depth() > MAX_NESTING {
            return Err(CljErrorKind::Limit(format!("a value nests more than {MAX_NESTING} deep")).into());
        }
        Ok(value)
    }

    pub(crate) fn eval(&mut self, form: &Form, scope: &Scope) -> Eval {
        self.depth += 1;
        let limit = self.options.limits.depth;
        let result = if self.depth > limit {
            Err(CljErrorKind::Limit(format!("calls are nested more than {limit} deep")).into())
        } else {
            self.charge(1).and_then(|()| self.eval_here(form, scope))
        };
        self.depth -= 1;
        result.map_err(|escape| escape.at(form.at))
    }

    /// The value of the last form; `nil` when there is none.
    pub(crate) fn eval_body(&mut self, forms: &[Form], scope: &Scope) -> Eval {
        let Some((last, before)) = forms.split_last() else { return Ok(Value::Nil) };
        for form in before {
            self.eval(form, scope)?;
        }
        self.eval(last, scope)
    }

    pub(crate) fn eval_all(&mut self, forms: &[Form], scope: &Scope) -> Eval<Vec<Value>> {
        forms.iter().map(|form| self.eval(form, scope)).collect()
    }

    fn eval_here(&mut self, form: &Form, scope: &Scope) -> Eval {
        match &form.kind {
            Kind::Symbol(name) => self.lookup(name, scope),
            Kind::List(items) => self.eval_list(form, items, scope),
            Kind::Vector(items) => {
                let items = self.eval_all(items, scope)?;
                self.checked(Value::vector(items))
            }
            Kind::Map(pairs) => {
                let mut entries = Entries::with_capacity(pairs.len());
                for (key, value) in pairs.iter() {
                    let key = self.eval(key, scope)?;
                    entries.insert(key, self.eval(value, scope)?);
                }
                self.checked(Value::map(entries))
            }
            Kind::Set(items) => {
                let members: Members = self.eval_all(items, scope)?.into_iter().collect();
                self.checked(Value::set(members))
            }
            Kind::Quote(inner) => self.datum(inner),
            Kind::Tagged(tag, inner) if **tag == *"js" => self.js_literal(inner, scope),
            _ => self.datum(form),
        }
    }

    fn eval_list(&mut self, form: &Form, items: &Rc<[Form]>, scope: &Scope) -> Eval {
        let Some((head, arguments)) = items.split_first() else { return Ok(Value::list(Vec::new())) };
        if let Some(name) = head.symbol() {
            if let Some(special) = self.special(name, scope) {
                return special(self, form, arguments, scope);
            }
            if name.len() > 1 && name.starts_with('.') {
                return self.member_call(name, arguments, scope);
            }
            if name.len() > 1 && name.ends_with('.') {
                return Err(CljErrorKind::Unsupported(format!("objects cannot be constructed: `{name}`")).into());
            }
        }
        let function = self.eval(head, scope)?;
        let arguments = self.eval_all(arguments, scope)?;
        let outer = std::mem::replace(&mut self.site, form.at);
        let result = self.apply(&function, arguments);
        self.site = outer;
        result
    }

    /// The special form that a name in front means, unless something else has taken the name.
    fn special(&self, name: &str, scope: &Scope) -> Option<special::Special> {
        if let Some((space, bare)) = namespaces::split(name) {
            return match &*self.full_name(space) {
                "clojure.core" | "cljs.core" => self.specials.get(bare).copied(),
                "clobber.macro" if bare == "defprofile" => Some(special::defprofile),
                _ => None,
            };
        }
        if name == "defprofile" && scope.get(name).is_none() && self.means_profile() {
            return Some(special::defprofile);
        }
        let special = *self.specials.get(name)?;
        let taken = scope.get(name).is_some() || self.own(name).is_some();
        (!taken).then_some(special)
    }

    /// The value of a form as data: nothing in it is evaluated.
    pub(crate) fn datum(&mut self, form: &Form) -> Eval {
        let value = match &form.kind {
            Kind::Nil => Value::Nil,
            Kind::Bool(yes) => Value::Bool(*yes),
            Kind::Int(number) => Value::Int(*number),
            Kind::Float(number) => Value::Float(*number),
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Keyword(name) => Value::Keyword(name.clone()),
            Kind::AutoKeyword(name) => self.auto_keyword(name)?,
            Kind::Symbol(name) => Value::Symbol(name.clone()),
            Kind::Regex(text) => core::pattern(text).map_err(|escape| escape.at(form.at))?,
            Kind::List(items) => Value::list(self.data(items)?),
            Kind::Vector(items) => Value::vector(self.data(items)?),
            Kind::Set(items) => Value::set(self.data(items)?.into_iter().collect()),
            Kind::Map(pairs) => {
                let mut entries = Entries::with_capacity(pairs.len());
                for (key, value) in pairs.iter() {
                    let key = self.datum(key)?;
                    entries.insert(key, self.datum(value)?);
                }
                Value::map(entries)
            }
            Kind::Quote(inner) => {
                let inner = self.datum(inner)?;
                Value::list(vec![Value::Symbol("quote".into()), inner])
            }
            Kind::Tagged(tag, inner) => match &**tag {
                // Dates and identifiers are texts wherever the result goes.
                "inst" | "uuid" | "js" => self.datum(inner)?,
                _ => {
                    let message = format!("the tag `#{tag}` is not supported");
                    return Err(Escape::from(CljErrorKind::Unsupported(message)).at(form.at));
                }
            },
        };
        Ok(value)
    }

    fn data(&mut self, forms: &[Form]) -> Eval<Vec<Value>> {
        self.charge(forms.len())?;
        forms.iter().map(|form| self.datum(form)).collect()
    }

    /// `::name` belongs to the namespace of the file, `::alias/name` to that of the alias.
    fn auto_keyword(&self, name: &str) -> Eval {
        match namespaces::split(name) {
            None => Ok(Value::keyword(&format!("{}/{name}", self.current))),
            Some((alias, bare)) => {
                let space = self.namespaces.get(&self.current).and_then(|own| own.aliases.get(alias));
                let space = space.ok_or_else(|| failed(format!("`::{name}`: `{alias}` is no alias of a namespace")))?;
                Ok(Value::keyword(&format!("{space}/{bare}")))
            }
        }
    }
}
