//! From PM2's record of a process back to the definition of its app.
//!
//! A record mixes the shell's variables with the app's own and forgets which log paths were defaults. Ours say it in
//! the member `baton`. For a record of a real PM2 we decide by name: variables that belong to a login session go to
//! the shell's part, which `--update-env` replaces, all others to the app's own, so that no setting gets lost.

use crate::environment::scalar;
use baton_core::proto::{Patch, Saved};
use baton_core::spec::{
    AppSpec, Dependency, EnvPriority, Environment, ExecMode, Field, Instances, LATER, Layer, LogType, Source, Watch,
    WatchOptions,
};
use baton_core::units::Millis;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// Why a record is no process.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It lacks a member.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member is of another kind.
    #[error("`{0}` is of the wrong kind")]
    Wrong(&'static str),
}

/// What PM2's record can't say of a definition.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Remainder {
    /// The app's own variables.
    env: Environment,
    /// What they were made of.
    env_layers: Vec<Layer>,
    /// Variables of the shell that the record does not show, because they are filtered or overridden.
    hidden: Environment,
    /// Variables that the record shows although nobody gave them.
    computed: Vec<String>,
    instances: Instances,
    out_file: Option<String>,
    error_file: Option<String>,
    log_file: Option<String>,
    pid_file: Option<String>,
    /// Whether it ends by itself.
    oneshot: bool,
    /// What must come first.
    depends_on: Vec<Dependency>,
    /// Every other key that the record does not show as it is.
    keys: BTreeMap<String, Value>,
    /// Keys in [`AppSpec::declared`]: the record shows some of them always.
    declared: Vec<String>,
    source: Source,
}

/// The member `baton` of a dumped record.
pub(crate) fn remainder(spec: &AppSpec, record: &Map<String, Value>) -> Value {
    let shown = record.get("env").and_then(Value::as_object);
    let shows = |key: &String, value: &String| {
        shown.and_then(|env| env.get(key)).and_then(scalar).is_some_and(|text| text == *value)
    };
    let given = |key: &String| spec.env.contains_key(key) || spec.base_env.contains_key(key);
    let remainder = Remainder {
        env: spec.env.clone(),
        env_layers: spec.env_layers.clone(),
        hidden: spec
            .base_env
            .iter()
            .filter(|(key, value)| !shows(key, value) || spec.env.contains_key(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        computed: shown
            .map(|env| {
                env.iter().filter(|(key, value)| is_computed(spec, key, value, &given)).map(|(key, _)| key.clone())
            })
            .map(Iterator::collect)
            .unwrap_or_default(),
        instances: spec.instances,
        out_file: spec.out_file.clone(),
        error_file: spec.error_file.clone(),
        log_file: spec.log_file.clone(),
        pid_file: spec.pid_file.clone(),
        oneshot: spec.oneshot,
        depends_on: spec.depends_on.clone(),
        keys: unshown(spec, record),
        declared: spec.declared.keys().cloned().collect(),
        source: spec.source.clone(),
    };
    json!(remainder)
}

/// Whether the record shows this variable in another way than it was given, or it was not given at all.
fn is_computed(spec: &AppSpec, key: &String, value: &Value, given: &dyn Fn(&String) -> bool) -> bool {
    let wished = spec.env.get(key).or_else(|| spec.base_env.get(key));
    !given(key) || wished.map(String::as_str) != scalar(value).as_deref()
}

/// Variables of a login session rather than of an app.
const SESSION: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "OLDPWD",
    "TERM",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "TZ",
    "SHLVL",
    "_",
    "MAIL",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "HOSTNAME",
    "HOSTTYPE",
    "TMPDIR",
    "LS_COLORS",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "WINDOWID",
    "NO_COLOR",
    "FORCE_COLOR",
    "SUDO_USER",
    "SUDO_UID",
    "SUDO_GID",
    "SUDO_COMMAND",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MANPATH",
    "INFOPATH",
    "LESSOPEN",
    "LESSCLOSE",
    "PS1",
];

/// Beginnings of the names of such variables.
const SESSION_PREFIXES: &[&str] = &[
    "LC_", "SSH_", "XDG_", "DBUS_", "NVM_", "npm_", "VSCODE_", "TERM_", "GPG_", "PYENV_", "RBENV_", "CARGO_", "RUSTUP_",
];

/// Variables that PM2 adds by itself.
const ADDED: &[&str] = &[
    "PM2_HOME",
    "PM2_USAGE",
    "PM2_JSON_PROCESSING",
    "PM2_INTERACTOR_PROCESSING",
    "PM2_DISCRETE_MODE",
    "PM2_PROGRAMMATIC",
    "PM2_SILENT",
    "unique_id",
    "NODE_APP_INSTANCE",
];

/// Members of a record that are neither keys of a process file nor variables.
const RUNTIME: &[&str] = &[
    "pm_exec_path",
    "pm_cwd",
    "pm_log_path",
    "pm_out_log_path",
    "pm_err_log_path",
    "pm_pid_path",
    "pm_id",
    "pm_uptime",
    "status",
    "created_at",
    "restart_time",
    "unstable_restarts",
    "prev_restart_delay",
    "exit_code",
    "version",
    "node_version",
    "_pm2_version",
    "_km_monitored",
    "_tree_pids",
    "km_link",
    "vizion_running",
    "versioning",
    "axm_actions",
    "axm_monitor",
    "axm_options",
    "axm_dynamic",
    "pmx_module",
    "updateEnv",
    "baton",
    "env",
    "command",
    "execute_command",
    "write",
    "force",
    "install_url",
    "name_prefix",
];

/// The default of a key that PM2 writes into every record.
fn is_default(key: &str, value: &Value) -> bool {
    match key {
        "vizion" | "automation" | "windowsHide" => *value == true,
        "kill_retry_time" => *value == 100,
        _ => false,
    }
}

/// The process that a record (`pm2_env`) describes, whether we wrote it or PM2.
///
/// # Errors
/// When it does not name an app and its program, or `baton` is not what we wrote.
pub fn saved_from_record(record: &Map<String, Value>) -> Result<Saved, RecordError> {
    let ours = match record.get("baton") {
        Some(value) => Some(Remainder::deserialize(value).map_err(|_| RecordError::Wrong("baton"))?),
        None => None,
    };
    let mut spec = definition(record)?;
    match &ours {
        Some(remainder) => restore(&mut spec, remainder, record),
        None => guess(&mut spec, record),
    }
    let number = record.get(&spec.instance_var).and_then(whole).and_then(|number| u32::try_from(number).ok());
    let increment = spec.increment_var.as_ref().and_then(|variable| record.get(variable)).and_then(whole);
    let armed = record.get("baton").and_then(|baton| baton.get("armed")).and_then(Value::as_bool);
    let up = armed.unwrap_or_else(|| record.get("status").is_none_or(|status| status != "stopped"));
    let owner = record.get("baton").and_then(|baton| baton.get("owner")).and_then(Value::as_str).map(str::to_owned);
    Ok(Saved { spec, number: number.unwrap_or(0), increment, up, owner })
}

/// What a client asks to be started (`prepare`). The record has the client's own number of instances, or none for one.
///
/// # Errors
/// As [`saved_from_record`].
pub fn prepared(record: &Map<String, Value>) -> Result<Saved, RecordError> {
    let mut saved = saved_from_record(record)?;
    saved.spec.instances = match record.get("instances") {
        None | Some(Value::Null) => Instances::default(),
        Some(count) => {
            let count = whole(count).and_then(|count| i32::try_from(count).ok());
            Instances(count.ok_or(RecordError::Wrong("instances"))?)
        }
    };
    Ok(saved)
}

/// What PM2's client always says of an app that is started again, also where nobody meant to change it.
fn is_always_said(key: &str, value: &Value) -> bool {
    match key {
        // Of files it knows only those of new processes: the paths of this one stay under PM2 too.
        "merge_logs" | "env" => true,
        "instance_var" => *value == "NODE_APP_INSTANCE",
        "filter_env" => value.as_array().is_some_and(Vec::is_empty),
        _ => false,
    }
}

/// The new values that a client gives an app which it has started again: `env` of PM2's `restartProcessId` and its like
/// holds variables, and `current_conf` with keys. `record` is what the client was told of the app.
///
/// A variable that the app has keeps its place among its own or the shell's; new ones are the shell's, as those of
/// `--update-env`. `env` in `current_conf` takes the place of all that were the app's own.
///
/// # Errors
/// When a record can't be read with the new values in it.
pub fn patch(spec: &AppSpec, record: &Map<String, Value>, env: &Map<String, Value>) -> Result<Patch, RecordError> {
    let conf = env.get("current_conf").and_then(Value::as_object);
    let given = texts(conf.and_then(|conf| conf.get("env")));
    let (mut own, mut base) = (if given.is_empty() { spec.env.clone() } else { given.clone() }, spec.base_env.clone());
    for (key, value) in env.iter().filter(|(key, _)| *key != "current_conf" && !ADDED.contains(&key.as_str())) {
        let Some(text) = scalar(value) else { continue };
        match own.get_mut(key) {
            Some(_) if given.contains_key(key) => {}
            Some(present) => *present = text,
            None if base.get(key) == Some(&text) => {}
            None => drop(Arc::make_mut(&mut base).insert(key.clone(), text)),
        }
    }
    let mut patch = Patch::default();
    if own != spec.env {
        patch.fields.insert("env".into(), json!(own));
        patch.fields.insert("env_layers".into(), Value::Null);
    }
    if base != spec.base_env {
        patch.base_env = Some(base);
    }
    // What is switched off or down is shown as not watched.
    let mut before = record.clone();
    before.insert("watch".into(), json!(spec.watch));
    let mut after = before.clone();
    for (key, value) in conf.into_iter().flatten().filter(|(key, value)| !is_always_said(key, value)) {
        if value.is_null() || value == "null" {
            after.remove(key);
        } else {
            after.insert(key.clone(), value.clone());
        }
    }
    let (before, after) = (definition(&before)?, definition(&after)?);
    patch.fields.extend(before.changes(&after).into_iter().map(|change| (change.field, change.new)));
    Ok(patch)
}

/// The part of a definition that a record states plainly.
fn definition(record: &Map<String, Value>) -> Result<AppSpec, RecordError> {
    let default = AppSpec::default();
    let text = |key: &str| record.get(key).and_then(scalar).filter(|text| !text.is_empty());
    let flag = |key: &str, otherwise: bool| match record.get(key) {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::String(word)) => word == "true",
        _ => otherwise,
    };
    let millis = |key: &str, otherwise: Millis| match record.get(key).and_then(whole) {
        Some(number) => u64::try_from(number).map_or(otherwise, Millis),
        None => otherwise,
    };
    let words = |key: &str| record.get(key).map(words).unwrap_or_default();
    // Of PM2's options those count that baton knows.
    let options = |key: &str| {
        let known = ["followSymlinks", "usePolling", "interval"];
        let all = record.get(key).and_then(Value::as_object).into_iter().flatten();
        let taken: Map<String, Value> = all
            .filter(|(name, _)| known.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        WatchOptions::deserialize(Value::Object(taken)).unwrap_or_default()
    };
    Ok(AppSpec {
        name: text("name").ok_or(RecordError::Missing("name"))?,
        namespace: text("namespace").unwrap_or(default.namespace),
        script: text("pm_exec_path").ok_or(RecordError::Missing("pm_exec_path"))?,
        args: words("args"),
        cwd: text("pm_cwd").ok_or(RecordError::Missing("pm_cwd"))?,
        interpreter: text("exec_interpreter").unwrap_or(default.interpreter),
        node_args: words("node_args"),
        exec_mode: if text("exec_mode").is_some_and(|mode| mode.starts_with("cluster")) {
            ExecMode::Cluster
        } else {
            ExecMode::Fork
        },
        filter_env: words("filter_env"),
        env_file: match record.get("env_file") {
            Some(Value::Object(_)) | None => Vec::new(),
            Some(files) => self::words(files),
        },
        env_priority: match text("env_priority").as_deref() {
            Some("shell") => EnvPriority::Shell,
            _ => EnvPriority::File,
        },
        instance_var: text("instance_var").unwrap_or(default.instance_var),
        increment_var: text("increment_var"),
        out_file: text("pm_out_log_path"),
        error_file: text("pm_err_log_path"),
        log_file: text("pm_log_path"),
        pid_file: text("pm_pid_path"),
        merge_logs: flag("merge_logs", false),
        disable_logs: flag("disable_logs", false),
        log_type: if text("log_type").as_deref() == Some("json") { LogType::Json } else { LogType::Raw },
        log_date_format: text("log_date_format"),
        time: flag("time", false),
        log_sync: text("log_sync").unwrap_or(default.log_sync),
        log_overflow: text("log_overflow").unwrap_or(default.log_overflow),
        log_blocking: flag("log_blocking", false),
        pmx: flag("pmx", true),
        autostart: flag("autostart", true),
        autorestart: flag("autorestart", true),
        stop_exit_codes: codes(record.get("stop_exit_codes")),
        max_restarts: record.get("max_restarts").and_then(whole).and_then(|count| u32::try_from(count).ok()),
        min_uptime: millis("min_uptime", default.min_uptime),
        restart_delay: millis("restart_delay", default.restart_delay),
        exp_backoff_restart_delay: millis("exp_backoff_restart_delay", default.exp_backoff_restart_delay),
        watch: record.get("watch").and_then(|watch| Watch::deserialize(watch).ok()).unwrap_or_default(),
        cron_restart: text("cron_restart"),
        max_memory_restart: record.get("max_memory_restart").and_then(whole).and_then(|size| u64::try_from(size).ok()),
        ignore_watch: words("ignore_watch"),
        watch_delay: millis("watch_delay", default.watch_delay),
        watch_options: options("watch_options"),
        kill_timeout: millis("kill_timeout", default.kill_timeout),
        kill_signal: text("kill_signal"),
        balance: text("balance").unwrap_or(default.balance),
        wait_ready: flag("wait_ready", false),
        listen_timeout: millis("listen_timeout", default.listen_timeout),
        shutdown_with_message: flag("shutdown_with_message", false),
        treekill: flag("treekill", true),
        uid: text("uid"),
        gid: text("gid"),
        username: text("username").unwrap_or_default(),
        port: record.get("port").and_then(whole).and_then(|port| u32::try_from(port).ok()),
        append_env_to_name: flag("append_env_to_name", false),
        env_profiles: profiles(record),
        ..AppSpec::default()
    })
}

/// Fills in what our own member says.
fn restore(spec: &mut AppSpec, remainder: &Remainder, record: &Map<String, Value>) {
    let shown = texts(record.get("env"));
    let mut base_env = remainder.hidden.clone();
    for (key, value) in shown {
        if remainder.computed.contains(&key) {
            continue;
        }
        if remainder.env.contains_key(&key) {
            // Whoever edits a dump by hand edits here.
            spec.env.insert(key, value);
        } else {
            base_env.insert(key, value);
        }
    }
    spec.base_env = base_env.into();
    for (key, value) in &remainder.env {
        if remainder.computed.contains(key) {
            spec.env.insert(key.clone(), value.clone());
        }
    }
    // What was changed by hand comes from nowhere else.
    if baton_core::spec::merged(&remainder.env_layers) == spec.env {
        spec.env_layers.clone_from(&remainder.env_layers);
    }
    spec.instances = remainder.instances;
    spec.out_file.clone_from(&remainder.out_file);
    spec.error_file.clone_from(&remainder.error_file);
    spec.log_file.clone_from(&remainder.log_file);
    spec.pid_file.clone_from(&remainder.pid_file);
    spec.source = remainder.source.clone();
    spec.oneshot = remainder.oneshot;
    spec.depends_on.clone_from(&remainder.depends_on);
    for (key, value) in &remainder.keys {
        set(spec, key, value);
    }
    spec.declared = declared(record, |key, _| remainder.declared.iter().any(|declared| declared == key));
}

/// Members of the remainder that stand there under their own names, and what has a place of its own in a record.
const PLACED: &[&str] =
    &["env", "instances", "out_file", "error_file", "log_file", "pid_file", "oneshot", "depends_on", "declared"];

/// The keys that a record does not show as they are in the definition: those that only baton has, for the most part.
fn unshown(spec: &AppSpec, record: &Map<String, Value>) -> BTreeMap<String, Value> {
    let Ok(shown) = definition(record) else { return BTreeMap::new() };
    let changes = shown.changes(spec).into_iter().filter(|change| !PLACED.contains(&change.field.as_str()));
    changes.map(|change| (change.field, change.new)).collect()
}

/// Gives a definition the value of one key; one that no longer fits is passed over.
fn set(spec: &mut AppSpec, key: &str, value: &Value) {
    let Ok(Value::Object(mut whole)) = serde_json::to_value(&*spec) else { return };
    whole.insert(key.to_owned(), value.clone());
    if let Ok(changed) = serde_json::from_value::<AppSpec>(Value::Object(whole)) {
        *spec = changed;
    }
}

/// Fills in what a record of a real PM2 leaves open.
fn guess(spec: &mut AppSpec, record: &Map<String, Value>) {
    let known = |key: &str| RUNTIME.contains(&key) || Field::find(key).is_some() || profile(key).is_some();
    let flattened = record.iter().filter(|(key, value)| !known(key) && !value.is_number());
    let mut variables: Environment = flattened.filter_map(|(key, value)| Some((key.clone(), scalar(value)?))).collect();
    variables.extend(texts(record.get("env")));
    for (key, value) in variables {
        // PM2 gives each app a variable of its own name that holds its module configuration.
        let added = ADDED.contains(&key.as_str()) || key == spec.instance_var || key == spec.name && value == "{}";
        if added || spec.increment_var.as_ref() == Some(&key) && spec.port.is_some() && key == "PORT" {
            continue;
        }
        let session = SESSION.contains(&key.as_str()) || SESSION_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        let part = if session { Arc::make_mut(&mut spec.base_env) } else { &mut spec.env };
        part.insert(key, value);
    }
    if !spec.merge_logs {
        for path in [&mut spec.out_file, &mut spec.error_file, &mut spec.log_file].into_iter().flatten() {
            unnumber(path, ".log");
        }
    }
    if let Some(path) = &mut spec.pid_file {
        unnumber(path, ".pid");
    }
    spec.declared = declared(record, |key, value| !is_default(key, value));
}

/// Takes the `-<id>` away that PM2 puts in front of the extension, so that all instances share one definition.
fn unnumber(path: &mut String, extension: &str) {
    let Some(stem) = path.strip_suffix(extension) else {
        return;
    };
    if let Some((rest, digits)) = stem.rsplit_once('-')
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        *path = format!("{rest}{extension}");
    }
}

/// The keys that are kept but not acted on.
fn declared(record: &Map<String, Value>, keep: impl Fn(&str, &Value) -> bool) -> BTreeMap<String, Value> {
    let given = LATER.iter().filter_map(|field| Some((field.name, record.get(field.name)?)));
    given.filter(|(key, value)| keep(key, value)).map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

/// The name of the environment that a key `env_<name>` defines.
fn profile(key: &str) -> Option<&str> {
    key.strip_prefix("env_").filter(|name| !name.is_empty())
}

fn profiles(record: &Map<String, Value>) -> BTreeMap<String, Environment> {
    let named = record.iter().filter_map(|(key, value)| Some((profile(key)?, value)));
    named.filter(|(_, value)| value.is_object()).map(|(name, value)| (name.to_owned(), texts(Some(value)))).collect()
}

/// The members of a map that have a text.
fn texts(value: Option<&Value>) -> Environment {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.clone(), scalar(value)?))).collect()
}

/// A list of texts; one text is split at blanks, as PM2 kept it before it split.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(scalar).collect(),
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Number(number) => vec![number.to_string()],
        Value::Null | Value::Bool(_) | Value::Object(_) => Vec::new(),
    }
}

fn codes(value: Option<&Value>) -> Vec<i32> {
    let one = |value: &Value| whole(value).and_then(|code| i32::try_from(code).ok());
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A whole number, also as text.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
