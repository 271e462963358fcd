//! The two ways in from a command line: one script with options, and options for present apps.

use super::program::{Found, find};
use super::{app, values};
use crate::error::{ConfigError, Warning};
use crate::options::Context;
use crate::paths;
use baton_core::spec::AppSpec;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The app of `start <target> [options] [-- args]`: the target is a path, a program on PATH or a whole command line.
///
/// The options are keys and values as a process file has them, so both ways give the same app.
///
/// # Errors
/// As [`app()`], and when the target is neither a file nor a program.
pub fn script(
    target: &str,
    options: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<(AppSpec, Vec<Warning>), ConfigError> {
    let caller = context.options;
    let cwd = options.get("cwd").and_then(Value::as_str);
    let cwd = cwd
        .map_or_else(|| caller.caller_cwd.clone(), |cwd| paths::absolute(&caller.caller_cwd, cwd, &caller.caller_env));
    let mut raw = options.clone();
    raw.insert("script".into(), json!(target));
    if let Found::Nothing(path) = find(target, &cwd, context) {
        return Err(ConfigError::ScriptNotFound(path));
    }
    app(&raw, context)
}

/// Options for present apps as the fields of a patch: canonical keys and values. `null`, also as text as in PM2, sets a
/// key back to its default.
///
/// # Errors
/// When a value does not fit its key.
pub fn patch(raw: &Map<String, Value>, context: &Context<'_>) -> Result<BTreeMap<String, Value>, ConfigError> {
    let is_reset = |value: &Value| value.is_null() || value == "null";
    let (reset, set): (Map<_, _>, Map<_, _>) = raw.clone().into_iter().partition(|(_, value)| is_reset(value));
    let mut values = values::read(&set, context)?;
    let caller = context.options;
    for key in ["cwd", "out_file", "error_file", "log_file", "pid_file"] {
        if let Some(given) = values.text(key) {
            let path = paths::log(&caller.caller_cwd, given, &caller.caller_env);
            values.fields.insert(key, json!(paths::text(&path)));
        }
    }
    if values.fields.get("time") == Some(&json!(true)) {
        values.fields.insert("log_date_format", json!("YYYY-MM-DDTHH:mm:ss"));
    }
    let set = values.fields.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(values.declared);
    let reset = reset
        .keys()
        .filter_map(|written| crate::keys::find(written))
        .map(|(field, _)| (field.name.to_owned(), Value::Null));
    let mut fields: BTreeMap<String, Value> = reset.chain(set).collect();
    // What is run in which mode was settled at the first start.
    fields.retain(|key, _| key != "exec_mode");
    Ok(fields)
}
