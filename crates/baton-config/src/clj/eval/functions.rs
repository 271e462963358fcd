//! Making and calling functions.

use super::{Interp, Scope};
use crate::clj::core;
use crate::clj::error::{CljErrorKind, Escape, Eval, failed};
use crate::clj::form::{Form, Kind};
use crate::clj::print;
use crate::clj::value::{Function, Made, Value};
use std::rc::Rc;

/// A function of the file with the names it sees.
#[derive(Debug)]
pub(crate) struct Closure {
    name: Option<Rc<str>>,
    arities: Vec<Arity>,
    scope: Scope,
    namespace: Rc<str>,
}

/// The parameters for one number of arguments, and the body.
#[derive(Debug)]
struct Arity {
    fixed: Vec<Form>,
    rest: Option<Form>,
    /// The form that the body is the end of.
    items: Rc<[Form]>,
    body: usize,
}

impl Closure {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("fn")
    }

    pub(crate) fn depth(&self) -> u32 {
        1 + self.scope.depth()
    }
}

impl Arity {
    fn read(items: &Rc<[Form]>, at: usize) -> Eval<Arity> {
        let Some(Form { kind: Kind::Vector(parameters), .. }) = items.get(at) else {
            return Err(failed("a function needs a vector of parameters"));
        };
        let rest_at = parameters.iter().position(|form| form.symbol().is_some_and(|name| **name == *"&"));
        let rest = match rest_at {
            None => None,
            Some(at) if parameters.len() == at + 2 => Some(parameters[at + 1].clone()),
            Some(at) => return Err(failed("one name stands behind `&`").at(parameters[at].at)),
        };
        let fixed = parameters[..rest_at.unwrap_or(parameters.len())].to_vec();
        Ok(Arity { fixed, rest, items: items.clone(), body: at + 1 })
    }

    fn takes(&self, count: usize) -> bool {
        if self.rest.is_some() { count >= self.fixed.len() } else { count == self.fixed.len() }
    }
}

impl Interp {
    /// A function of the forms from `start` on: `[a b] body…`, or `([a] body…) ([a b] body…)`.
    pub(super) fn closure(&mut self, items: &Rc<[Form]>, start: usize, name: Option<Rc<str>>, scope: &Scope) -> Eval {
        let arities = match items.get(start).map(|form| &form.kind) {
            Some(Kind::List(_)) => {
                let lists = items[start..].iter().map(|form| match &form.kind {
                    Kind::List(inner) => Arity::read(inner, 0).map_err(|escape| escape.at(form.at)),
                    _ => Err(failed("each shape of a function is a list such as `([x] … )`").at(form.at)),
                });
                lists.collect::<Eval<Vec<_>>>()?
            }
            _ => vec![Arity::read(items, start)?],
        };
        let closure = Closure { name, arities, scope: scope.clone(), namespace: self.current.clone() };
        self.checked(Value::Function(Rc::new(Function::Closure(closure))))
    }

    /// Calls anything that can be called.
    pub(crate) fn apply(&mut self, function: &Value, mut arguments: Vec<Value>) -> Eval {
        self.charge(1)?;
        let value = match function {
            Value::Function(inner) => match &**inner {
                Function::Native(native) => {
                    native.check(arguments.len())?;
                    (native.run)(self, arguments)?
                }
                Function::Closure(closure) => self.call(function, closure, arguments)?,
                Function::Made(how, of) => self.call_made(*how, of, arguments)?,
            },
            Value::Keyword(name) if (1..=2).contains(&arguments.len()) => {
                let default = arguments.get(1).cloned().unwrap_or(Value::Nil);
                let key = Value::Keyword(name.clone());
                core::get(&arguments.swap_remove(0), &key).unwrap_or(default)
            }
            Value::Map(_) | Value::Set(_) | Value::Symbol(_) if (1..=2).contains(&arguments.len()) => {
                let default = arguments.get(1).cloned().unwrap_or(Value::Nil);
                let key = arguments.swap_remove(0);
                match function {
                    Value::Symbol(_) => core::get(&key, function),
                    _ => core::get(function, &key),
                }
                .unwrap_or(default)
            }
            Value::Vector(items) if arguments.len() == 1 => {
                let at = core::index("[ … ]", &arguments[0])?;
                let length = items.len();
                let found = items.get(at).cloned();
                found.ok_or_else(|| failed(format!("there is no member {at} in a vector of {length}")))?
            }
            Value::Keyword(_) | Value::Map(_) | Value::Set(_) | Value::Symbol(_) | Value::Vector(_) => {
                let shown = print::short(function);
                return Err(failed(format!("`{shown}` called with {} arguments looks nothing up", arguments.len())));
            }
            other => {
                return Err(failed(format!("{} is {}, and cannot be called", print::short(other), other.kind())));
            }
        };
        self.checked(value)
    }

    fn call(&mut self, itself: &Value, closure: &Closure, arguments: Vec<Value>) -> Eval {
        let Some(arity) = closure.arities.iter().find(|arity| arity.takes(arguments.len())) else {
            return Err(self.wrong_count(closure, arguments.len()));
        };
        let outer = std::mem::replace(&mut self.current, closure.namespace.clone());
        let result = self.run(itself, closure, arity, arguments);
        self.current = outer;
        result
    }

    fn run(&mut self, itself: &Value, closure: &Closure, arity: &Arity, mut arguments: Vec<Value>) -> Eval {
        let fixed = arity.fixed.len();
        let mut rest = arguments.split_off(fixed.min(arguments.len()));
        loop {
            let mut scope = closure.scope.clone();
            if let Some(name) = &closure.name {
                scope = scope.with(name, itself.clone());
            }
            for (pattern, value) in arity.fixed.iter().zip(arguments) {
                scope = self.bind(pattern, value, &scope)?;
            }
            if let Some(pattern) = &arity.rest {
                let value = if rest.is_empty() { Value::Nil } else { Value::list(rest) };
                scope = self.bind(pattern, value, &scope)?;
            }
            let body = &arity.items[arity.body..];
            let mut next = match self.eval_body(body, &scope) {
                Err(Escape::Recur(next)) => next,
                settled => return settled,
            };
            let wanted = fixed + usize::from(arity.rest.is_some());
            if next.len() != wanted {
                return Err(failed(format!("`recur` gives {} values to {wanted} names", next.len())));
            }
            rest = match next.len() > fixed {
                true => core::items("recur", &next.pop().unwrap_or(Value::Nil))?.to_vec(),
                false => Vec::new(),
            };
            arguments = next;
        }
    }

    fn wrong_count(&self, closure: &Closure, count: usize) -> Escape {
        let mut takes: Vec<String> = Vec::with_capacity(closure.arities.len());
        for arity in &closure.arities {
            let fixed = arity.fixed.len();
            takes.push(if arity.rest.is_some() { format!("{fixed} or more") } else { fixed.to_string() });
        }
        failed(format!("`{}` takes {} arguments, and has {count}", closure.name(), takes.join(" or ")))
    }

    fn call_made(&mut self, how: Made, of: &[Value], mut arguments: Vec<Value>) -> Eval {
        match how {
            Made::Partial => {
                let (function, first) = of.split_first().ok_or_else(|| failed("`partial` needs a function"))?;
                let all = first.iter().cloned().chain(arguments).collect();
                self.apply(function, all)
            }
            Made::Compose => {
                let Some((last, before)) = of.split_last() else {
                    return Ok(arguments.pop().unwrap_or(Value::Nil));
                };
                let mut value = self.apply(last, arguments)?;
                for function in before.iter().rev() {
                    value = self.apply(function, vec![value])?;
                }
                Ok(value)
            }
            Made::Complement => Ok(Value::Bool(!self.apply(&of[0], arguments)?.truthy())),
            Made::Constantly => Ok(of[0].clone()),
            Made::Juxt => {
                let all = of.iter().map(|function| self.apply(function, arguments.clone()));
                Ok(Value::vector(all.collect::<Eval<_>>()?))
            }
            Made::WithDefaults => {
                for (argument, default) in arguments.iter_mut().zip(&of[1..]) {
                    if matches!(argument, Value::Nil) {
                        *argument = default.clone();
                    }
                }
                self.apply(&of[0], arguments)
            }
            Made::EveryPredicate | Made::SomeFunction => {
                let every = how == Made::EveryPredicate;
                let mut last = if every { Value::Bool(true) } else { Value::Nil };
                for argument in &arguments {
                    for function in of {
                        last = self.apply(function, vec![argument.clone()])?;
                        if last.truthy() != every {
                            return Ok(if every { Value::Bool(false) } else { last });
                        }
                    }
                }
                Ok(if every { Value::Bool(true) } else { last })
            }
        }
    }

    /// Throws a value: a text, a map of `ex-info`, anything.
    pub(crate) fn thrown(&self, value: Value) -> Escape {
        let message = match core::get(&value, &Value::text("message")) {
            Some(Value::Text(text)) => {
                let data = core::get(&value, &Value::text("data")).filter(|data| !matches!(data, Value::Nil));
                let data = data.map(|data| format!(" {}", print::short(&data))).unwrap_or_default();
                format!("{text}{data}")
            }
            _ => print::short(&value),
        };
        match Escape::from(CljErrorKind::Thrown(message)) {
            Escape::Fault(mut fault) => {
                fault.thrown = Some(value);
                Escape::Fault(fault)
            }
            recur @ Escape::Recur(_) => recur,
        }
    }
}
