//! `depends_on` in its canonical form: a list of names with a condition each.

use crate::kinds::{self, Misfit};
use baton_core::spec::{Condition, External};
use serde_json::{Map, Value, json};

/// A name, a list of names, or a map of names to conditions, as a list of `{ on, condition, timeout }`.
pub(crate) fn canonical(value: &Value) -> Result<Value, Misfit> {
    let list: Vec<Value> = match value {
        Value::String(_) => vec![item(value)?],
        Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(item).collect::<Result<_, _>>()?,
        Value::Object(map) => map.iter().map(|(name, how)| member(name, how)).collect::<Result<_, _>>()?,
        _ => return Err(shape()),
    };
    Ok(Value::Array(list))
}

fn shape() -> Misfit {
    Misfit::new(
        "a name, a list of names or a map of names",
        "write a name, [\"db\", \"cache\"], or { db: \"ready\", migrate: { condition: \"exited\", timeout: \"30s\" } }",
    )
}

/// A member of a list: a name, or its canonical form.
fn item(value: &Value) -> Result<Value, Misfit> {
    match value {
        Value::String(name) => member(name, &Value::Null),
        Value::Object(map) => {
            let Some(Value::String(name)) = map.get("on") else { return Err(shape()) };
            let rest: Map<String, Value> = map
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "on" | "external"))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let mut whole = member(name, &Value::Object(rest))?;
            // As `render` writes it: what the name meant is in it.
            if let Some(external) = map.get("external").filter(|external| !external.is_null()) {
                let _: External = serde_json::from_value(external.clone()).map_err(|_| shape())?;
                whole["external"] = external.clone();
            }
            Ok(whole)
        }
        _ => Err(shape()),
    }
}

fn member(name: &str, how: &Value) -> Result<Value, Misfit> {
    if name.is_empty() {
        return Err(shape());
    }
    let (word, timeout) = match how {
        Value::Null => (&Value::Null, &Value::Null),
        Value::String(_) => (how, &Value::Null),
        Value::Object(map) => {
            if map.keys().any(|key| key != "condition" && key != "timeout") {
                return Err(Misfit::new(
                    format!("known: for `{name}`, only condition and timeout are"),
                    "write { condition: \"ready\", timeout: \"30s\" }",
                ));
            }
            (map.get("condition").unwrap_or(&Value::Null), map.get("timeout").unwrap_or(&Value::Null))
        }
        _ => return Err(shape()),
    };
    let timeout = match timeout {
        Value::Null => Value::Null,
        given => kinds::duration(given).map(Value::from).ok_or_else(|| {
            Misfit::new(
                format!("a dependency: the timeout of `{name}` is no time"),
                "write a number of milliseconds or a number with ms, s, m or h, such as \"10s\"",
            )
        })?,
    };
    Ok(json!({ "on": name, "condition": condition(name, word)?.to_string(), "timeout": timeout }))
}

fn condition(name: &str, word: &Value) -> Result<Condition, Misfit> {
    let help = format!("write one of {}", Condition::WORDS.join(", "));
    match word {
        Value::Null => Ok(Condition::default()),
        Value::String(word) => match Condition::parse(word) {
            Some(Condition::Log(pattern)) => {
                kinds::pattern(&pattern)?;
                Ok(Condition::Log(pattern))
            }
            Some(condition) => Ok(condition),
            None => {
                let text = format!("possible: there is no condition `{word}`, which `{name}` is given");
                Err(Misfit::new(text, help))
            }
        },
        _ => Err(shape()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_means_a_list_and_the_list_means_itself() {
        let full =
            |on: &str, condition: &str, timeout: Value| json!({"on": on, "condition": condition, "timeout": timeout});
        let table = [
            (json!("db"), json!([full("db", "ready", Value::Null)])),
            (json!(["db", "cache"]), json!([full("db", "ready", Value::Null), full("cache", "ready", Value::Null)])),
            (json!({"db": "started"}), json!([full("db", "started", Value::Null)])),
            (json!({"db": "healthy"}), json!([full("db", "healthy", Value::Null)])),
            (
                json!({"db": null, "migrate": {"condition": "exited", "timeout": "10s"}, "x": {"timeout": 5}}),
                json!([
                    full("db", "ready", Value::Null),
                    full("migrate", "exited", json!(10_000)),
                    full("x", "ready", json!(5))
                ]),
            ),
            (json!({"db": "log:up( now)?$"}), json!([full("db", "log:up( now)?$", Value::Null)])),
            (json!([]), json!([])),
        ];
        for (given, wanted) in table {
            let list = canonical(&given).expect("a list");
            assert_eq!(list, wanted, "{given}");
            assert_eq!(canonical(&list).as_ref(), Ok(&list));
            let _: Vec<baton_core::spec::Dependency> = serde_json::from_value(list).expect("dependencies");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_by_its_name() {
        let expected = |value: Value| canonical(&value).expect_err("refused").expected;
        assert!(expected(json!({"db": {"condition": "log:("}})).contains("`(` is no regular expression"));
        assert!(expected(json!({"db": "log:"})).contains("there is no condition `log:`"));
        assert!(expected(json!({"db": "up"})).contains("there is no condition `up`"));
        assert!(expected(json!({"db": {"timeout": "soon"}})).contains("timeout of `db`"));
        assert!(expected(json!({"db": {"after": 1}})).contains("only condition and timeout"));
        for wrong in [json!(1), json!(true), json!([1]), json!([{}]), json!(""), json!({"db": 3})] {
            assert_eq!(expected(wrong), "a name, a list of names or a map of names");
        }
    }
}
