//! An app with every default filled in.

use super::cluster;
use super::program::{self, Program};
use super::values::{self, Values};
use crate::error::{BadValue, ConfigError, Warning};
use crate::options::Context;
use crate::{declare, env, keys, kinds, paths, statics};
use baton_core::spec::{AppSpec, Environment, Layer, Origin, Source, merged};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The date format that `time: true` stands for.
const TIME_FORMAT: &str = "YYYY-MM-DDTHH:mm:ss";

/// One app, normalised: key spellings, value kinds, defaults, paths, environments, program and interpreter.
///
/// # Errors
/// When a value does not fit its key, there is no script, or its interpreter cannot be used.
pub fn app(raw: &Map<String, Value>, context: &Context<'_>) -> Result<(AppSpec, Vec<Warning>), ConfigError> {
    let mut values = values::read(&with_overrides(raw, context), context)?;
    let options = context.options;
    let cwd = directory(&mut values, context);
    let program = program::program(&mut values, &cwd, context)?;
    let layers = layers(&mut values, context);
    let variables = merged(&layers);
    let name = name(&values, &program, context);

    watched_paths(&mut values, &cwd);

    // Before the fields are filled in: which of them were given decides.
    let server = statics::server(&program.script, &program.args);
    let mode = if server.is_some() { "fork_mode" } else { mode(&values, &program) };
    if mode == "cluster_mode"
        && let Some((what, help)) = cluster::refusal(&program, values.text("balance"))
    {
        return Err(ConfigError::Interpreter {
            place: values.place.clone(),
            app: if values.label.is_empty() { name } else { values.label.clone() },
            what,
            help,
        });
    }
    let merge_logs = merge_logs(&values);
    let base_env = base_env(&values, &cwd, context);
    heartbeat(&mut values, &variables, &base_env)?;
    if let Some(words) = server {
        served(&mut values, words, &variables, &base_env);
    }
    files(&mut values, &name, &cwd, context);

    one_line(&values)?;
    without_restarts(&mut values);
    daemon_defaults(&mut values, context)?;

    let namespace = options.overrides.namespace.as_deref().unwrap_or("default");
    let fields = &mut values.fields;
    fields.entry("namespace").or_insert_with(|| json!(namespace));
    fields.entry("merge_logs").or_insert_with(|| json!(merge_logs));
    if fields.get("time") == Some(&json!(true)) {
        fields.insert("log_date_format", json!(TIME_FORMAT));
    }
    fields.insert("name", json!(name));
    fields.insert("script", json!(program.script));
    fields.insert("args", json!(program.args));
    fields.insert("cwd", json!(paths::text(&cwd)));
    fields.insert("interpreter", json!(program.interpreter));
    fields.insert("node_args", json!(program.interpreter_args));
    fields.insert("exec_mode", json!(mode));
    fields.insert("env", json!(variables));

    let place = values.place.clone();
    let label = values.label.clone();
    let map: Map<String, Value> = values.fields.into_iter().map(|(key, value)| (key.into(), value)).collect();
    // Each value has the kind of its row; what is left is a row whose kind and type disagree.
    let mut spec: AppSpec = serde_json::from_value(Value::Object(map))
        .map_err(|wrong| ConfigError::Shape { place: place.clone(), what: format!("{label}: {wrong}") })?;
    if let Some((key, help)) = spec.beside_schedule() {
        return Err(ConfigError::Value(Box::new(BadValue {
            place,
            app: label,
            key: key.into(),
            value: kinds::show(&serde_json::to_value(&spec).map(|whole| whole[key].clone()).unwrap_or_default()),
            expected: "possible beside `schedule`".into(),
            help: help.into(),
        })));
    }
    spec.env_profiles = values.profiles;
    spec.declared = values.declared;
    // Where all of them are the app's own there is nothing to tell.
    spec.env_layers = if layers.iter().all(|layer| layer.origin == Origin::App) { Vec::new() } else { layers };
    spec.base_env = base_env.into();
    spec.username = crate::user::name(&options.caller_env);
    spec.source = Source { file: context.file.map(paths::text).unwrap_or_default(), index: context.index };
    Ok((spec, values.warnings))
}

/// Where heartbeats are taken, as far as the file does not say it, as the app's variables and then those of the shell do.
fn heartbeat(values: &mut Values, own: &Environment, shell: &Environment) -> Result<(), ConfigError> {
    let Some(given) = values.fields.get("heartbeat").filter(|given| given.is_object()) else { return Ok(()) };
    let variable = |name: &str| own.get(name).or_else(|| shell.get(name)).cloned();
    let whole = crate::heartbeat::complete(given, variable).map_err(|(name, text, noun)| ConfigError::Shape {
        place: values.place.clone(),
        what: format!("{}: the variable {name}={text:?}, which `heartbeat` asks for, is no {noun}", values.label),
    })?;
    values.fields.insert("heartbeat", whole);
    Ok(())
}

/// The socket of a static server is held for it: so a port that is taken is told at the start, instances share it, and a
/// reload has no gap. It says itself when it is ready.
fn served(values: &mut Values, words: &[String], own: &Environment, shell: &Environment) {
    // What files of variables will say is not known yet.
    let address = statics::address(own, shell, words).filter(|_| !values.fields.contains_key("env_file"));
    let mut put = |key: &str, value: Value| {
        if let Some((field, _)) = keys::find(key).filter(|(field, _)| !values.fields.contains_key(field.name))
            && let Ok(value) = kinds::canonical(field.kind, &value)
        {
            values.fields.insert(field.name, value);
        }
    };
    put("ready", json!("fd"));
    if let Some(address) = address {
        put("listen", json!(address));
    }
}

/// An app is given one thing to speak to us by: with a watchdog it is the socket.
fn one_line(values: &Values) -> Result<(), ConfigError> {
    let by_descriptor = values.fields.get("ready").is_some_and(|ready| ready["by"] == "fd");
    match values.fields.get("watchdog").filter(|_| by_descriptor) {
        Some(watchdog) => Err(ConfigError::Value(Box::new(BadValue {
            place: values.place.clone(),
            app: values.label.clone(),
            key: "watchdog".into(),
            value: kinds::show(watchdog),
            expected: "possible beside `ready: fd`".into(),
            help: "write `ready: notify`: READY=1 and WATCHDOG=1 go to one socket".into(),
        }))),
        None => Ok(()),
    }
}

/// Keys that say when an app is started again: no run of a job is.
const OF_RESTARTS: [&str; 5] =
    ["max_restarts", "min_uptime", "restart_delay", "exp_backoff_restart_delay", "stop_exit_codes"];

/// Warns of what says how a job is to be started again.
fn without_restarts(values: &mut Values) {
    if !values.fields.get("schedule").is_some_and(Value::is_object) {
        return;
    }
    let again = (values.fields.get("autorestart") == Some(&json!(true))).then_some("autorestart");
    let given = OF_RESTARTS.into_iter().filter(|key| values.fields.contains_key(*key)).chain(again);
    let given: Vec<&str> = given.collect();
    if !given.is_empty() {
        values.warn(format_args!(
            "a run of a job (`schedule`) is never started again, so this has no effect: {}",
            given.join(", ")
        ));
    }
}

/// The defaults that PM2's daemon takes from the environment of whoever started it: here they are the caller's.
fn daemon_defaults(values: &mut Values, context: &Context<'_>) -> Result<(), ConfigError> {
    for (variable, key) in [("PM2_KILL_SIGNAL", "kill_signal"), ("PM2_KILL_TIMEOUT", "kill_timeout")] {
        let Some(text) = context.options.caller_env.get(variable).filter(|_| !values.fields.contains_key(key)) else {
            continue;
        };
        let Some((field, _)) = keys::find(key) else { continue };
        let value = kinds::canonical(field.kind, &json!(text)).map_err(|misfit| ConfigError::Shape {
            place: values.place.clone(),
            what: format!("the variable {variable}={text:?} is not {}", misfit.expected),
        })?;
        values.fields.insert(field.name, value);
    }
    Ok(())
}

/// The app's own keys with those of the command line above them, whatever their spelling.
fn with_overrides(raw: &Map<String, Value>, context: &Context<'_>) -> Map<String, Value> {
    let mut all = raw.clone();
    for (key, value) in &context.options.overrides.fields {
        let row = keys::find(key).map(|(field, _)| field.name);
        all.retain(|written, _| row.is_none() || keys::find(written).map(|(field, _)| field.name) != row);
        all.insert(key.clone(), value.clone());
    }
    all
}

/// The working directory: relative to where the caller is, as in PM2.
fn directory(values: &mut Values, context: &Context<'_>) -> PathBuf {
    let here = &context.options.caller_cwd;
    let Some(given) = values.text("cwd").map(str::to_owned) else { return here.clone() };
    let cwd = paths::absolute(here, &given, &context.options.caller_env);
    if !cwd.is_dir()
        && let Some(beside) = context.file.and_then(Path::parent).map(|parent| parent.join(&given))
        && beside.is_dir()
    {
        values.warn(format_args!(
            "cwd {} does not exist, but {} does: a relative cwd starts from where baton is called, not from the process file",
            cwd.display(),
            crate::target::resolve(&beside, "").display()
        ));
    }
    cwd
}

/// What the app's variables are made of: its own, with those of the chosen environment above them.
fn layers(values: &mut Values, context: &Context<'_>) -> Vec<Layer> {
    let own = values.fields.get("env").and_then(Value::as_object).map(env::variables).unwrap_or_default();
    let mut layers = context.layers.to_vec();
    declare::changed(&mut layers, &Origin::App, &own);
    if let Some((name, env)) = context.options.env_name.clone().zip(context.deploy_env.cloned()) {
        layers.insert(0, Layer { origin: Origin::Deploy(name), env });
    }
    if let Some(chosen) = &context.options.env_name {
        match values.profiles.get(chosen) {
            Some(env) => layers.push(Layer { origin: Origin::Env(chosen.clone()), env: env.clone() }),
            // PM2's own words.
            None if context.file.is_some() => {
                values.warnings.push(Warning::new(format!("Environment [{chosen}] is not defined in process file")));
            }
            None => {}
        }
    }
    layers
}

/// Warns of watched paths that are not there: they are relative to `cwd`, not to the process file. They may come later.
fn watched_paths(values: &mut Values, cwd: &Path) {
    for path in values.texts("watch") {
        if !cwd.join(&path).exists() {
            values.warn(format_args!("the watched path {path} does not exist below {}", cwd.display()));
        }
    }
}

fn name(values: &Values, program: &Program, context: &Context<'_>) -> String {
    let given = values.text("name").filter(|name| !name.is_empty());
    let name = given.unwrap_or(&program.default_name);
    match &context.options.env_name {
        Some(chosen) if values.fields.get("append_env_to_name") == Some(&json!(true)) => format!("{name}-{chosen}"),
        _ => name.into(),
    }
}

/// PM2 takes a node program with a given number of instances as a cluster. One with sockets of its own (`listen`) needs none.
fn mode(values: &Values, program: &Program) -> &'static str {
    match values.text("exec_mode") {
        Some("cluster_mode") => return "cluster_mode",
        Some(_) => return "fork_mode",
        None => {}
    }
    let several = values.fields.get("instances").and_then(Value::as_i64).is_some_and(|wished| wished >= -1);
    let runs_node = program.interpreter.ends_with("node") || program.interpreter.ends_with("bun");
    let has_sockets = values.fields.get("listen").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if several && runs_node && !has_sockets { "cluster_mode" } else { "fork_mode" }
}

/// PM2 shares the log files of an app that is no cluster and has no number of instances, or 0.
fn merge_logs(values: &Values) -> bool {
    let wished = values.fields.get("instances").and_then(Value::as_i64).unwrap_or(0);
    values.text("exec_mode") != Some("cluster_mode") && wished == 0
}

/// The caller's environment; PWD is the directory that the app is in.
fn base_env(values: &Values, cwd: &Path, context: &Context<'_>) -> Environment {
    let mut base = env::base(&context.options.caller_env, context.options.strip);
    if values.fields.contains_key("cwd") {
        base.insert("PWD".into(), paths::text(cwd));
    }
    base
}

/// Paths of logs, pid and variables, absolute.
fn files(values: &mut Values, name: &str, cwd: &Path, context: &Context<'_>) {
    let environment = &context.options.caller_env;
    for key in ["out_file", "error_file", "log_file", "pid_file"] {
        let path = match values.fields.get(key) {
            Some(Value::String(given)) => paths::log(cwd, given, environment),
            Some(Value::Bool(_)) => context.options.home.join("logs").join(format!("{}.log", paths::stem(name))),
            _ => continue,
        };
        values.fields.insert(key, json!(paths::text(&path)));
    }
    let files: Vec<PathBuf> =
        values.texts("env_file").iter().map(|given| paths::absolute(cwd, given, environment)).collect();
    for missing in files.iter().filter(|file| !file.is_file()) {
        values.warn(format_args!("env_file {} not found", missing.display()));
    }
    if !files.is_empty() {
        let files: Vec<String> = files.iter().map(|file| paths::text(file)).collect();
        values.fields.insert("env_file", json!(files));
    }
}
