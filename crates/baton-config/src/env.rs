//! Values of variables as a child gets them, the chosen profile, and the environment of the caller.

use baton_core::spec::Environment;
use serde_json::{Map, Number, Value};

/// The variables of a map: `null` is left out, numbers and booleans become text as in JavaScript, objects JSON text.
pub(crate) fn variables(map: &Map<String, Value>) -> Environment {
    map.iter().filter_map(|(name, value)| Some((name.clone(), variable(value)?))).collect()
}

fn variable(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(self::number(number)),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// A number as JavaScript writes it: `300000`, `0.1`, `1e+21`.
pub(crate) fn number(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        let float = number.as_f64().unwrap_or_default();
        // JavaScript has only floats: beyond 2^53 it shows the nearest one.
        if float.abs() <= 9_007_199_254_740_992.0 {
            return number.to_string();
        }
    }
    number.as_f64().map(float).unwrap_or_default()
}

fn float(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let size = value.abs();
    if (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// The environment of the caller without the keys that a process manager put there for the app the caller runs in.
/// They are only taken out when the caller does run inside an app: `pm_id` tells.
pub(crate) fn base(caller: &Environment, strip: &[&str]) -> Environment {
    let inside = caller.contains_key("pm_id");
    caller
        .iter()
        .filter(|(name, _)| !inside || !strip.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_become_the_texts_that_node_would_show() {
        let map = json!({
            "NUMBER": 300_000, "FLOAT": 1.5, "BIG": 1e21, "SMALL": 1e-7, "ZERO": -0.0, "WHOLE": 5.0, "HUGE": 18_446_744_073_709_551_615u64,
            "YES": true, "NO": false, "TEXT": "", "GONE": null, "LIST": [1, "a"], "MAP": {"b": 1, "a": [null]}
        });
        let found = variables(map.as_object().expect("a map"));
        let wanted = [
            ("BIG", "1e+21"),
            ("FLOAT", "1.5"),
            ("HUGE", "18446744073709552000"),
            ("LIST", "[1,\"a\"]"),
            ("MAP", "{\"b\":1,\"a\":[null]}"),
            ("NO", "false"),
            ("NUMBER", "300000"),
            ("SMALL", "1e-7"),
            ("TEXT", ""),
            ("WHOLE", "5"),
            ("YES", "true"),
            ("ZERO", "0"),
        ];
        assert_eq!(found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn internal_keys_go_only_when_the_caller_is_an_app() {
        let caller: Environment = [("name", "x"), ("PATH", "/bin")].map(|(k, v)| (k.into(), v.into())).into();
        assert_eq!(base(&caller, &["name", "pm_id"]), caller);
        let mut inside = caller.clone();
        inside.insert("pm_id".into(), "0".into());
        assert_eq!(base(&inside, &["name", "pm_id"]).keys().collect::<Vec<_>>(), ["PATH"]);
    }
}
