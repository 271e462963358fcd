//! `heartbeat` in its canonical form: what the file gives first, and then the rest of it from the variables.

use crate::keys;
use crate::kinds::{self, Misfit};
use baton_core::spec::{CHECK_INTERVAL, HEARTBEAT_PORT, HEARTBEAT_TIMEOUT};
use serde_json::{Map, Value, json};

const KEYS: [&str; 3] = ["port", "timeout", "interval"];
/// The variables that give what the file does not, as the clients and the service that this replaces know them.
const VARIABLES: [(&str, &str); 3] =
    [("port", "HEARTBEAT_PORT"), ("timeout", "HEARTBEAT_TIMEOUT"), ("interval", "CHECK_INTERVAL")];

fn shape() -> Misfit {
    Misfit::new(
        "a way to take heartbeats",
        "write true, or a map such as { port: 5005, timeout: \"10m\", interval: \"5s\" }",
    )
}

/// The keys of a map of `heartbeat` that mean nothing.
pub(crate) fn unknown(value: &Value) -> Vec<String> {
    keys::strangers(value, |key| KEYS.contains(&key))
}

/// A map with what was given; `false` is none.
pub(crate) fn canonical(value: &Value) -> Result<Value, Misfit> {
    let map = match value {
        Value::Null | Value::Bool(false) => return Ok(Value::Null),
        Value::Bool(true) => return Ok(json!({})),
        Value::Object(map) => map,
        _ => return Err(shape()),
    };
    let mut given = Map::new();
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let key = keys::snake(key);
        if KEYS.contains(&&*key) {
            let value = member(&key, value).ok_or_else(|| {
                let help = match key.as_str() {
                    "port" => "write a number from 1 to 65535",
                    _ => "write a number with ms, s, m or h, such as \"10m\"",
                };
                Misfit::new(format!("complete: its {key} is no {}", noun(&key)), help)
            })?;
            given.insert(key, value);
        }
    }
    Ok(Value::Object(given))
}

fn noun(key: &str) -> &'static str {
    if key == "port" { "port" } else { "time" }
}

fn member(key: &str, value: &Value) -> Option<Value> {
    if key == "port" {
        let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
        return u16::try_from(number).ok().filter(|port| *port > 0).map(Value::from);
    }
    kinds::duration(value).filter(|time| *time > 0).map(Value::from)
}

/// Fills in what is missing, from variables and then by default.
///
/// # Errors
/// With the variable that makes no sense, its value and what it should be.
pub(crate) fn complete(
    given: &Value,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Value, (&'static str, String, &'static str)> {
    let mut whole = json!({"port": HEARTBEAT_PORT, "timeout": HEARTBEAT_TIMEOUT.0, "interval": CHECK_INTERVAL.0});
    for (key, name) in VARIABLES {
        if let Some(value) = given.get(key) {
            whole[key] = value.clone();
        } else if let Some(text) = variable(name).filter(|text| !text.trim().is_empty()) {
            whole[key] = member(key, &json!(text)).ok_or((name, text, noun(key)))?;
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Heartbeat;

    #[test]
    fn what_is_not_given_comes_from_the_variables_and_then_by_default() {
        let none = |_: &str| None;
        let variables = |name: &str| {
            (name != "CHECK_INTERVAL").then(|| if name == "HEARTBEAT_PORT" { "5105" } else { "600000" }.to_owned())
        };
        let on = canonical(&json!(true)).unwrap();
        assert_eq!(complete(&on, none).unwrap(), json!({"port": 5005, "timeout": 600_000, "interval": 5_000}));
        assert_eq!(complete(&on, variables).unwrap(), json!({"port": 5105, "timeout": 600_000, "interval": 5_000}));
        let some = canonical(&json!({"port": "7000", "timeout": "1m"})).unwrap();
        let whole = complete(&some, variables).unwrap();
        assert_eq!(whole, json!({"port": 7000, "timeout": 60_000, "interval": 5_000}));
        assert_eq!(canonical(&whole).as_ref(), Ok(&whole), "the canonical form is its own");
        let _: Heartbeat = serde_json::from_value(whole).unwrap();
        assert_eq!(canonical(&json!(false)).unwrap(), Value::Null);
        let wrong = |_: &str| Some("soon".to_owned());
        assert_eq!(complete(&on, wrong), Err(("HEARTBEAT_PORT", "soon".into(), "port")));
    }

    #[test]
    fn what_is_no_heartbeat_is_told_by_its_part() {
        let expected = |value: Value| canonical(&value).expect_err("refused").expected;
        assert_eq!(expected(json!(5005)), "a way to take heartbeats");
        assert_eq!(expected(json!({"port": 0})), "complete: its port is no port");
        assert_eq!(expected(json!({"timeout": "soon"})), "complete: its timeout is no time");
        assert_eq!(unknown(&json!({"port": 1, "host": "x"})), ["host"]);
    }
}
