//! Which of the shapes seen in the wild an export has, and the apps in it.
//!
//! Accepted: `{ apps: … }`, an array, one app, and each of them under `default` or `pm2`, several levels deep. The
//! engine has awaited promises and called functions before. JSON and YAML files have the same shapes.

use serde_json::{Map, Value};

/// How many `default`, `pm2` and `apps` may wrap each other.
const DEPTH: u32 = 6;

/// An export in which no apps are found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Neither an object nor an array.
    #[error("exports {0}, not an object with an `apps` array")]
    NotAnObject(&'static str),
    /// An object that neither has apps nor is one.
    #[error("exports an object without `apps`")]
    NoApps,
    /// Something in the list of apps is no object.
    #[error("apps[{index}] is {kind}, not an object")]
    NotAnApp {
        /// Its place in the list, from 0.
        index: usize,
        /// What it is.
        kind: &'static str,
    },
}

/// The apps of an export, in order.
///
/// # Errors
/// When the export has none of the accepted shapes. A list without apps is accepted.
pub fn apps(value: &Value) -> Result<Vec<&Map<String, Value>>, ShapeError> {
    find(value, DEPTH)?
        .into_iter()
        .enumerate()
        .map(|(index, app)| app.as_object().ok_or_else(|| ShapeError::NotAnApp { index, kind: kind(app) }))
        .collect()
}

fn find(value: &Value, depth: u32) -> Result<Vec<&Value>, ShapeError> {
    let object = match value {
        Value::Array(list) => return flatten(list, depth),
        Value::Object(object) => object,
        other => return Err(ShapeError::NotAnObject(kind(other))),
    };
    if depth == 0 {
        return Err(ShapeError::NoApps);
    }
    // `apps` first: a module that exports `apps` and a default means the same by both.
    for key in ["apps", "default", "pm2"] {
        if let Some(inner @ (Value::Array(_) | Value::Object(_))) = object.get(key) {
            return find(inner, depth - 1);
        }
    }
    if is_app(object) { Ok(vec![value]) } else { Err(ShapeError::NoApps) }
}

/// Lists of lists and lists of whole exports (`[require('./a'), require('./b')]`) become one list.
fn flatten(list: &[Value], depth: u32) -> Result<Vec<&Value>, ShapeError> {
    let mut flat = Vec::with_capacity(list.len());
    for item in list {
        let wraps = match item {
            Value::Array(_) => true,
            Value::Object(object) => !is_app(object) && object.contains_key("apps"),
            _ => false,
        };
        if wraps && depth > 0 { flat.extend(find(item, depth - 1)?) } else { flat.push(item) }
    }
    Ok(flat)
}

/// Whether an object is an app by itself: it says what to run.
pub(crate) fn is_app(object: &Map<String, Value>) -> bool {
    ["script", "exec", "cmd", "command"].iter().any(|key| object.contains_key(*key))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(value: Value) -> Vec<String> {
        let apps = apps(&value).unwrap();
        apps.iter().map(|app| app["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_shape_seen_in_the_wild_gives_its_apps() {
        let a = json!({ "name": "a", "script": "a.js" });
        for shape in [
            json!({ "apps": [a] }),
            json!({ "apps": a }),
            json!([a]),
            a.clone(),
            json!({ "default": { "apps": [a] } }),
            json!({ "default": [a] }),
            json!({ "default": a }),
            json!({ "apps": [a], "default": { "apps": [a] } }),
            json!({ "default": { "default": { "apps": [a] } } }),
            json!({ "pm2": { "apps": [a] } }),
            json!({ "pm2": [a] }),
            json!({ "apps": { "apps": [a] } }),
            json!({ "name": "agent", "region": "x", "apps": [a] }),
            json!([{ "apps": [a] }]),
            json!([[a]]),
        ] {
            assert_eq!(names(shape.clone()), ["a"], "{shape}");
        }
    }

    #[test]
    fn an_empty_list_is_a_list() {
        assert_eq!(apps(&json!({ "apps": [] })), Ok(Vec::new()));
    }

    #[test]
    fn an_app_may_have_a_key_that_is_called_default() {
        assert_eq!(names(json!([{ "name": "a", "script": "x", "default": "y" }])), ["a"]);
    }

    #[test]
    fn what_holds_no_apps_is_refused_with_the_reason() {
        assert_eq!(apps(&json!("text")), Err(ShapeError::NotAnObject("a string")));
        assert_eq!(apps(&json!(null)), Err(ShapeError::NotAnObject("null")));
        assert_eq!(apps(&json!({ "aps": [] })), Err(ShapeError::NoApps));
        assert_eq!(apps(&json!({ "apps": [1] })), Err(ShapeError::NotAnApp { index: 0, kind: "a number" }));
    }
}
