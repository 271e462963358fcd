//! What a program tells of itself by PM2's messages: metrics, actions, options and the version of its runtime. It may be
//! told by the program, by a library that it uses, or by our own module that is loaded before it; what the program says
//! itself comes first.
//!
//! What is kept of one life is bounded, whatever it sends: [`MOST`] members of each kind, [`LONGEST`] bytes of each.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Metrics, actions and options that are kept of one life, each.
pub const MOST: usize = 256;
/// Longest of them, as JSON with its name (bytes).
pub const LONGEST: usize = 4096;

/// The word by which our own module and we mark what is between us: for Node it is a message of its own, so no program
/// sees it, and nothing is kept alive by waiting for it.
pub const OURS: &str = "NODE_BATON";

/// Who says something over a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// The program, or a library in it.
    Program,
    /// Our own module.
    Module,
}

/// What one life has told of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    node_version: Option<String>,
    /// Whether our module is in the program.
    has_module: bool,
    #[serde(skip)]
    program: Map<String, Value>,
    #[serde(skip)]
    module: Map<String, Value>,
    actions: Vec<Value>,
    module_actions: Vec<Value>,
    options: Map<String, Value>,
    /// Counts changes of what lasts.
    #[serde(skip)]
    changes: u64,
    /// Something was left out for its size.
    #[serde(skip)]
    overflows: bool,
}

/// What a message was.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Values that are told again and again, or what was known before.
    Metrics,
    /// Something that is told once, and a successor of the daemon must know.
    Lasting,
    /// The answer to an action: its name, and what it returned.
    Answer(String, Value),
    /// Something for whoever listens.
    Event,
}

impl Told {
    /// Takes in what was said. An [`Heard::Answer`] is for whoever listens, too.
    pub fn hear(&mut self, message: &Value, teller: Teller) -> Heard {
        let before = self.changes;
        match self.take_in(message, teller) {
            Heard::Lasting if self.changes == before => Heard::Metrics,
            heard => heard,
        }
    }

    fn take_in(&mut self, message: &Value, teller: Teller) -> Heard {
        self.has_module |= teller == Teller::Module;
        let data = message.get("data").unwrap_or(&Value::Null);
        match message.get("type").and_then(Value::as_str) {
            Some("axm:monitor") => {
                let into = if teller == Teller::Program { &mut self.program } else { &mut self.module };
                self.overflows |= merge(into, data).overflows;
                Heard::Metrics
            }
            Some("axm:action") => {
                self.action(data, teller);
                Heard::Lasting
            }
            Some("axm:option:configuration") => {
                self.option(data);
                Heard::Lasting
            }
            Some("axm:option:setPID") => {
                self.option(&json!({ "pid": data }));
                Heard::Lasting
            }
            Some("baton:hello") if teller == Teller::Module => {
                self.node_version = data.get("node_version").and_then(Value::as_str).map(Into::into);
                self.changes += 1;
                for name in data.get("actions").and_then(Value::as_array).into_iter().flatten() {
                    let action = json!({ "action_name": name, "action_type": "internal", "arity": 1 });
                    self.action(&action, teller);
                }
                Heard::Lasting
            }
            Some("axm:reply") => {
                let name = data.get("action_name").and_then(Value::as_str).unwrap_or_default();
                Heard::Answer(name.into(), data.get("return").cloned().unwrap_or(Value::Null))
            }
            Some(_) => Heard::Event,
            None => match message.get("node_version").and_then(Value::as_str) {
                Some(version) if version.len() <= 64 => {
                    self.changes += u64::from(self.node_version.as_deref() != Some(version));
                    self.node_version = Some(version.into());
                    Heard::Lasting
                }
                Some(_) | None => Heard::Event,
            },
        }
    }

    fn action(&mut self, action: &Value, teller: Teller) {
        let Some(name) = name_of(action) else { return };
        let into = if teller == Teller::Program { &mut self.actions } else { &mut self.module_actions };
        // As PM2: the first of a name stays.
        if into.iter().any(|known| name_of(known) == Some(name)) {
            return;
        }
        if into.len() < MOST && action.to_string().len() <= LONGEST {
            into.push(action.clone());
            self.changes += 1;
        } else {
            self.overflows = true;
        }
    }

    fn option(&mut self, members: &Value) {
        let merged = merge(&mut self.options, members);
        self.overflows |= merged.overflows;
        self.changes += u64::from(merged.changes);
    }

    /// Whose action it is, when there is one of this name.
    pub fn owner_of(&self, action: &str) -> Option<Teller> {
        let has = |actions: &[Value]| actions.iter().any(|known| name_of(known) == Some(action));
        match (has(&self.actions), has(&self.module_actions)) {
            (true, _) => Some(Teller::Program),
            (false, true) => Some(Teller::Module),
            (false, false) => None,
        }
    }

    /// The version of Node.
    pub fn node_version(&self) -> Option<&str> {
        self.node_version.as_deref()
    }

    /// Whether our module is in the program.
    pub fn has_module(&self) -> bool {
        self.has_module
    }

    /// The metrics (`axm_monitor`): of two with one name the program's own.
    pub fn metrics(&self) -> Map<String, Value> {
        let mut all = self.program.clone();
        for (name, metric) in &self.module {
            all.entry(name).or_insert_with(|| metric.clone());
        }
        all
    }

    /// The actions (`axm_actions`), the same way.
    pub fn actions(&self) -> Vec<Value> {
        let ours = self.module_actions.iter();
        let ours = ours.filter(|action| name_of(action).is_none_or(|name| self.owner_of(name) == Some(Teller::Module)));
        self.actions.iter().chain(ours).cloned().collect()
    }

    /// The options (`axm_options`).
    pub fn options(&self) -> &Map<String, Value> {
        &self.options
    }

    /// Whether something was left out for its size since this was last asked.
    pub fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflows)
    }
}

/// The name of an action.
pub fn name_of(action: &Value) -> Option<&str> {
    action.get("action_name").and_then(Value::as_str)
}

/// What came of putting members into a map.
#[derive(Default)]
struct Merged {
    /// One had no room.
    overflows: bool,
    /// One is new, or has another value.
    changes: bool,
}

/// Puts members into a map.
fn merge(into: &mut Map<String, Value>, members: &Value) -> Merged {
    let mut merged = Merged::default();
    for (name, value) in members.as_object().into_iter().flatten() {
        let fits = name.len() + value.to_string().len() <= LONGEST;
        if fits && (into.len() < MOST || into.contains_key(name)) {
            merged.changes |= into.insert(name.clone(), value.clone()).as_ref() != Some(value);
        } else {
            merged.overflows = true;
        }
    }
    merged
}

/// What makes a program carry out one of its actions, as PM2 says it: the bare name where there is no parameter.
/// `target` is how its app was named: `("name", …)` or `("id", …)`.
pub fn order(action: &str, parameter: Option<&Value>, target: (&str, Value)) -> Value {
    match parameter {
        None => action.into(),
        Some(parameter) => json!({ "msg": action, "opts": parameter, target.0: target.1 }),
    }
}

/// What makes our module carry out one of its actions.
pub fn module_order(action: &str, parameter: Option<&Value>) -> Value {
    json!({ "cmd": OURS, "action": action, "opts": parameter })
}

/// Has our module tell all its metrics again: a successor of the daemon does not know them.
pub fn report() -> Value {
    json!({ "cmd": OURS, "report": true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(metrics: Value) -> Value {
        json!({ "type": "axm:monitor", "data": metrics })
    }

    fn action(name: &str) -> Value {
        json!({ "type": "axm:action", "data": { "action_name": name, "arity": 1 } })
    }

    #[test]
    fn what_the_program_tells_itself_comes_before_what_our_module_tells() {
        let mut told = Told::default();
        told.hear(&monitor(json!({ "HTTP": { "value": 1 }, "Heap Size": { "value": 2 } })), Teller::Module);
        told.hear(&monitor(json!({ "HTTP": { "value": 7 } })), Teller::Program);
        told.hear(&monitor(json!({ "HTTP": { "value": 3 } })), Teller::Module);
        assert_eq!(Value::Object(told.metrics()), json!({ "HTTP": { "value": 7 }, "Heap Size": { "value": 2 } }));
        told.hear(&action("gc"), Teller::Module);
        told.hear(&action("dump"), Teller::Module);
        told.hear(&action("dump"), Teller::Program);
        told.hear(&action("dump"), Teller::Program);
        assert_eq!(told.actions().iter().filter_map(name_of).collect::<Vec<_>>(), ["dump", "gc"]);
        assert_eq!(told.owner_of("dump"), Some(Teller::Program));
        assert_eq!(told.owner_of("gc"), Some(Teller::Module));
        assert_eq!(told.owner_of("x"), None);
    }

    #[test]
    fn messages_are_told_apart() {
        let mut told = Told::default();
        let mut hear = |message: Value| told.hear(&message, Teller::Program);
        assert_eq!(hear(json!({ "node_version": "20.1.0" })), Heard::Lasting);
        let option = json!({ "type": "axm:option:configuration", "data": { "a": 1 } });
        assert_eq!(hear(option.clone()), Heard::Lasting);
        // Nothing is written for what is known.
        assert_eq!(hear(option), Heard::Metrics);
        assert_eq!(hear(json!({ "node_version": "20.1.0" })), Heard::Metrics);
        assert_eq!((hear(action("a")), hear(action("a"))), (Heard::Lasting, Heard::Metrics));
        let reply = json!({ "type": "axm:reply", "data": { "action_name": "hi", "return": [1] } });
        assert_eq!(hear(reply), Heard::Answer("hi".into(), json!([1])));
        for other in [json!("text"), json!(null), json!([1]), json!({ "type": "human:event", "data": {} })] {
            assert_eq!(hear(other), Heard::Event);
        }
        assert_eq!(told.node_version(), Some("20.1.0"));
        assert_eq!(told.options()["a"], 1);
    }

    #[test]
    fn a_program_that_tells_a_million_things_has_room_for_few() {
        let mut told = Told::default();
        for n in 0..2000 {
            told.hear(&monitor(json!({ format!("m{n}"): { "value": n } })), Teller::Program);
            told.hear(&action(&format!("a{n}")), Teller::Program);
            told.hear(&json!({ "type": "axm:option:configuration", "data": { format!("o{n}"): n } }), Teller::Program);
        }
        assert!(told.take_overflow() && !told.take_overflow());
        told.hear(&monitor(json!({ "m0": "x".repeat(LONGEST) })), Teller::Program);
        assert!(told.take_overflow());
        told.hear(&monitor(json!({ "m1": { "value": "new" } })), Teller::Program);
        assert!(!told.take_overflow());
        assert_eq!((told.metrics().len(), told.actions().len(), told.options().len()), (MOST, MOST, MOST));
        assert_eq!(told.metrics()["m1"]["value"], "new");
        assert_eq!(told.metrics()["m0"]["value"], 0);
    }

    #[test]
    fn what_lasts_is_found_again_by_a_successor() {
        let mut told = Told::default();
        let hello = json!({ "type": "baton:hello", "data": { "node_version": "20.1.0", "actions": ["dump"] } });
        told.hear(&hello, Teller::Module);
        told.hear(&action("hello"), Teller::Program);
        told.hear(&monitor(json!({ "HTTP": { "value": 1 } })), Teller::Module);
        let text = serde_json::to_string(&told).unwrap();
        let again: Told = serde_json::from_str(&text).unwrap();
        assert!(again.has_module() && again.metrics().is_empty());
        assert_eq!(again.node_version(), Some("20.1.0"));
        assert_eq!(again.actions(), told.actions());
        assert_eq!(again.actions().iter().filter_map(name_of).collect::<Vec<_>>(), ["hello", "dump"]);
        assert_eq!(serde_json::from_str::<Told>("{}").unwrap(), Told::default());
    }

    #[test]
    fn an_order_is_the_bare_name_or_has_its_parameter_with_it() {
        assert_eq!(order("hi", None, ("name", "app".into())), json!("hi"));
        let with = order("hi", Some(&"x".into()), ("name", "app".into()));
        assert_eq!(with, json!({ "msg": "hi", "opts": "x", "name": "app" }));
    }
}
