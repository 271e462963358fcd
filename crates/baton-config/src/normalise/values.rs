//! The values of one app, checked and canonical.

use crate::error::{BadValue, ConfigError, Place, Warning};
use crate::keys::{self, Given};
use crate::options::Context;
use crate::{env, health, heartbeat, kinds, schedule};
use baton_core::spec::{Environment, Field, Kind, LogCompression, WatchOptions};
use baton_core::units::Millis;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The values of one app by canonical key.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// How messages call the app, such as ``app `api` ``.
    pub(super) label: String,
    /// Where the app is written.
    pub(super) place: Place,
    /// Keys that this version acts on.
    pub(super) fields: BTreeMap<&'static str, Value>,
    /// Keys that it only keeps.
    pub(super) declared: BTreeMap<String, Value>,
    /// The profiles `env_<name>`.
    pub(super) profiles: BTreeMap<String, Environment>,
    /// What is worth saying.
    pub(super) warnings: Vec<Warning>,
}

impl Values {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key).and_then(Value::as_str)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let list = self.fields.get(key).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
    }

    pub(super) fn warn(&mut self, message: impl std::fmt::Display) {
        self.warnings.push(Warning::new(format!("{}: {message}", self.label)));
    }
}

/// Sorts and checks the keys of an app.
pub(super) fn read(raw: &Map<String, Value>, context: &Context<'_>) -> Result<Values, ConfigError> {
    let label = label(raw, context);
    let place = Place { file: context.file.map(Into::into), position: None };
    let sorted = keys::sort(raw, &label);
    let mut values = Values { label, place, warnings: sorted.warnings, ..Values::default() };
    for (name, given) in sorted.fields {
        let Some((field, _)) = keys::find(name) else { continue };
        let Some(value) = check(field, &given, &mut values)? else { continue };
        if field.is_later() {
            values.declared.insert(name.into(), value);
        } else {
            values.fields.insert(name, value);
        }
    }
    for (name, given) in sorted.profiles {
        match &given.value {
            Value::Object(map) => values.profiles.insert(name, env::variables(map)),
            _ => return Err(misfit(&given, &values, "a map of variables", "write a map, such as { PORT: 8080 }")),
        };
    }
    Ok(values)
}

/// How messages call the app: by its name, else its script, else its position in the file.
fn label(raw: &Map<String, Value>, context: &Context<'_>) -> String {
    let text = |key: &str| {
        let mut found =
            raw.iter().filter(|(written, _)| keys::find(written).is_some_and(|(field, _)| field.name == key));
        found.find_map(|(_, value)| value.as_str().map(str::to_owned).or_else(|| Some(value.as_number()?.to_string())))
    };
    match text("name").or_else(|| text("script")) {
        Some(name) => format!("app `{name}`"),
        None if context.file.is_none() => String::new(),
        None => format!("app {}", context.index + 1),
    }
}

/// One value in its canonical form; `None` counts as not given.
fn check(field: &Field, given: &Given, values: &mut Values) -> Result<Option<Value>, ConfigError> {
    let value = &given.value;
    match field.name {
        // Whether it is `true` is settled when the name is known.
        "log_file" if value.is_boolean() => return Ok(value.as_bool().filter(|on| *on).map(Value::Bool)),
        // A list that is empty, as YAML and PHP programs write an empty map.
        "env" if value.as_array().is_some_and(Vec::is_empty) => return Ok(None),
        _ => {}
    }
    let unknown = match field.kind {
        Kind::Health => health::unknown(value),
        Kind::Heartbeat => heartbeat::unknown(value),
        Kind::Schedule => schedule::unknown(value),
        _ => Vec::new(),
    };
    for key in unknown {
        values.warn(format_args!("`{key}` of `{}` is not known and is ignored", given.written));
    }
    let canonical =
        kinds::canonical(field.kind, value).map_err(|wrong| misfit(given, values, &wrong.expected, &wrong.help))?;
    Ok(Some(match (field.name, canonical) {
        // Every name contains the empty text.
        ("filter_env", Value::Bool(true)) => json!([""]),
        ("filter_env", Value::Bool(false)) => json!([]),
        ("cron_restart", Value::String(pattern)) if pattern.trim() == "0" => json!("0"),
        ("rotate_interval" | "cron_restart", Value::String(pattern)) => match kinds::cron_error(&pattern) {
            None => json!(pattern),
            Some(_) => {
                return Err(misfit(given, values, "a cron pattern", "write five or six fields, such as \"0 3 * * *\""));
            }
        },
        ("compress", canonical) => {
            let word = match &canonical {
                Value::Bool(on) => Some(on.to_string()),
                Value::Array(words) if words.len() == 1 => words[0].as_str().map(str::to_owned),
                _ => None,
            };
            match word.as_deref().and_then(LogCompression::parse) {
                Some(compression) => json!(compression),
                None => {
                    return Err(misfit(given, values, "a way to compress", "write true, \"gzip\", \"zstd\" or false"));
                }
            }
        }
        ("watch_options", Value::Object(options)) => json!(watch_options(&options, given, values)?),
        ("exec_mode", Value::String(mode)) if !mode.ends_with("_mode") => json!(format!("{mode}_mode")),
        (_, canonical) => canonical,
    }))
}

/// What baton takes of chokidar's options; the others it has no use for.
fn watch_options(
    options: &Map<String, Value>,
    given: &Given,
    values: &mut Values,
) -> Result<WatchOptions, ConfigError> {
    let mut taken = WatchOptions::default();
    for (name, value) in options {
        let flag = || {
            kinds::canonical(Kind::Bool, value).ok().and_then(|value| value.as_bool()).ok_or_else(|| {
                let expected = format!("a map in which `{name}` is true or false");
                misfit(given, values, &expected, "write true or false")
            })
        };
        match keys::snake(name).as_str() {
            "follow_symlinks" => taken.follow_symlinks = flag()?,
            "use_polling" => taken.use_polling = flag()?,
            "interval" => {
                let millis = kinds::canonical(Kind::Duration, value).ok().and_then(|value| value.as_u64());
                let wrong =
                    || misfit(given, values, "a map in which `interval` is a time", "write a time such as \"1s\"");
                taken.interval = Millis(millis.filter(|millis| *millis > 0).ok_or_else(wrong)?);
            }
            _ => values.warn(format_args!("`{name}` of watch_options has no effect")),
        }
    }
    Ok(taken)
}

fn misfit(given: &Given, values: &Values, expected: &str, help: &str) -> ConfigError {
    ConfigError::Value(Box::new(BadValue {
        place: values.place.clone(),
        app: values.label.clone(),
        key: given.written.clone(),
        value: kinds::show(&given.value),
        expected: expected.into(),
        help: help.into(),
    }))
}
