//! The record that PM2 keeps of a process (`pm2_env`), and the list that `jlist` prints.
//!
//! Names, order and types are those of PM2: the definition first, then the environment once more, flattened, then the
//! counters. Nothing is masked here: programs read it to find an app's environment, and the files that hold it are
//! for the owner alone. `NODE_APP_INSTANCE` stands for whatever the app's `instance_var` says.

use crate::environment::{self, ChildFacts};
use baton_core::spec::{AppSpec, ExecMode, LogType};
use baton_core::units::Bytes;
use baton_core::world::InstanceView;
use serde_json::{Map, Value, json};

/// What a record says that only a look at the file system can tell.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// The home folder.
    pub home: &'a str,
    /// Version of the package that a script belongs to; see [`crate::version::nearest`].
    pub version: &'a dyn Fn(&str) -> Option<String>,
}

/// The list of processes as `jlist` prints it: one line, in ascending order of numbers. The views must be whole.
pub fn jlist(views: &[InstanceView], host: Host<'_>) -> String {
    // One at a time: the records of a hundred apps would fill megabytes for a moment.
    let records = sorted(views).map(|view| serde_json::to_string(&process(view, host)));
    let mut text = String::from("[");
    for (index, record) in records.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&record.expect("a value is JSON"));
    }
    text.push(']');
    text
}

/// The same list as a value.
pub fn list(views: &[InstanceView], host: Host<'_>) -> Value {
    sorted(views).map(|view| process(view, host)).collect()
}

fn sorted(views: &[InstanceView]) -> impl Iterator<Item = &InstanceView> {
    let mut sorted: Vec<_> = views.iter().collect();
    sorted.sort_by_key(|view| view.id);
    sorted.into_iter()
}

/// One member of that list.
pub fn process(view: &InstanceView, host: Host<'_>) -> Value {
    let monit = json!({ "memory": view.memory.unwrap_or(Bytes(0)).0, "cpu": cpu(view.cpu.unwrap_or(0.0)) });
    // `json!` would copy the record, which is most of it.
    let members: [(&str, Value); 5] = [
        ("pid", view.pid.unwrap_or(0).into()),
        ("name", view.name.clone().into()),
        ("pm2_env", pm2_env(view, host).into()),
        ("pm_id", view.id.0.into()),
        ("monit", monit),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into()
}

/// A processor share with one digit, and as a whole number where it is one, as JavaScript writes it.
fn cpu(share: f64) -> Value {
    let rounded = (share * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { json!(rounded as i64) } else { json!(rounded) }
}

/// The record of one process. A view that is not whole has no definition, and its record only counters.
pub fn pm2_env(view: &InstanceView, host: Host<'_>) -> Map<String, Value> {
    let facts = ChildFacts::of(view, host.home);
    let mut record = Map::new();
    if let Some(spec) = view.spec.as_deref() {
        record = definition(spec, &facts);
        let env = env(spec, &facts);
        for (key, value) in &env {
            // A variable never replaces a member of the definition that happens to have its name.
            record.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if let Some(nested) = record.get_mut("env") {
            *nested = Value::Object(env);
        }
    }
    counters(&mut record, view.status.as_str(), &facts);
    record.insert("version".into(), (host.version)(&view.script).unwrap_or_else(|| "N/A".into()).into());
    if let Some(exit) = view.last_exit {
        record.insert("exit_code".into(), exit.code().into());
    }
    record
}

/// The environment that a record shows: what the app was defined with, without its files of variables, which are read
/// at each start.
fn env(spec: &AppSpec, facts: &ChildFacts<'_>) -> Map<String, Value> {
    let mut env: Map<String, Value> =
        environment::filtered(spec).map(|(key, value)| (key.clone(), value.clone().into())).collect();
    let own = |key: &String| environment::value(spec, key).cloned().unwrap_or_default();
    env.extend(spec.env.keys().map(|key| (key.clone(), own(key).into())));
    env.extend(environment::computed(spec, facts));
    env
}

/// The members that come from the definition, in PM2's order. `env` is there, and empty.
pub(crate) fn definition(spec: &AppSpec, facts: &ChildFacts<'_>) -> Map<String, Value> {
    let mut record = Map::new();
    let mut put = |key: &str, value: Value| {
        record.insert(key.into(), value);
    };
    let declared = |key: &str, otherwise: Value| spec.declared.get(key).cloned().unwrap_or(otherwise);

    put("name", spec.name.clone().into());
    put("filter_env", json!(spec.filter_env));
    put("namespace", spec.namespace.clone().into());
    if !spec.args.is_empty() {
        put("args", json!(spec.args));
    }
    put("env", Value::Object(Map::new()));
    put("merge_logs", spec.merge_logs.into());
    put("vizion", declared("vizion", true.into()));
    put("autostart", spec.autostart.into());
    put("autorestart", spec.autorestart.into());
    put("watch", declared("watch", false.into()));
    put("instance_var", spec.instance_var.clone().into());
    put("pmx", declared("pmx", true.into()));
    put("automation", declared("automation", true.into()));
    put("treekill", spec.treekill.into());
    put("username", spec.username.clone().into());
    put("windowsHide", declared("windowsHide", true.into()));
    put("kill_retry_time", declared("kill_retry_time", 100.into()));
    for (key, value) in optional(spec) {
        put(key, value);
    }
    for (name, profile) in &spec.env_profiles {
        put(&format!("env_{name}"), json!(profile));
    }
    for (key, value) in &spec.declared {
        put(key, value.clone());
    }
    put("node_args", json!(spec.node_args));
    put("pm_exec_path", spec.script.clone().into());
    put("pm_cwd", spec.cwd.clone().into());
    put("exec_interpreter", spec.interpreter.clone().into());
    put("exec_mode", exec_mode(spec.exec_mode).into());
    put("instances", spec.instances.0.into());
    if let Some(path) = &facts.files.combined {
        put("pm_log_path", path.clone().into());
    }
    put("pm_out_log_path", or_null_device(facts.files.out.as_ref()));
    put("pm_err_log_path", or_null_device(facts.files.error.as_ref()));
    put("pm_pid_path", facts.files.pid.clone().into());
    put("km_link", false.into());
    put("vizion_running", false.into());
    put(&spec.instance_var, facts.number.into());
    record
}

/// Keys that PM2's record has only when they were given; here: when they are not the default.
fn optional(spec: &AppSpec) -> Vec<(&'static str, Value)> {
    let default = AppSpec::default();
    let mut members = Vec::new();
    let mut put = |given: bool, key, value: Value| {
        if given {
            members.push((key, value));
        }
    };
    put(!spec.stop_exit_codes.is_empty(), "stop_exit_codes", json!(spec.stop_exit_codes));
    put(spec.max_restarts.is_some(), "max_restarts", json!(spec.max_restarts));
    put(spec.min_uptime != default.min_uptime, "min_uptime", spec.min_uptime.0.into());
    put(spec.restart_delay != default.restart_delay, "restart_delay", spec.restart_delay.0.into());
    put(
        spec.exp_backoff_restart_delay != default.exp_backoff_restart_delay,
        "exp_backoff_restart_delay",
        spec.exp_backoff_restart_delay.0.into(),
    );
    put(spec.kill_timeout != default.kill_timeout, "kill_timeout", spec.kill_timeout.0.into());
    put(spec.kill_signal.is_some(), "kill_signal", json!(spec.kill_signal));
    put(spec.uid.is_some(), "uid", json!(spec.uid));
    put(spec.gid.is_some(), "gid", json!(spec.gid));
    put(spec.port.is_some(), "port", json!(spec.port));
    put(spec.increment_var.is_some(), "increment_var", json!(spec.increment_var));
    put(spec.log_date_format.is_some(), "log_date_format", json!(spec.log_date_format));
    put(spec.log_type == LogType::Json, "log_type", "json".into());
    put(spec.log_sync != default.log_sync, "log_sync", spec.log_sync.clone().into());
    put(spec.log_overflow != default.log_overflow, "log_overflow", spec.log_overflow.clone().into());
    put(spec.log_blocking, "log_blocking", true.into());
    put(spec.time, "time", true.into());
    put(spec.disable_logs, "disable_logs", true.into());
    put(spec.append_env_to_name, "append_env_to_name", true.into());
    put(!spec.env_file.is_empty(), "env_file", json!(spec.env_file));
    put(spec.env_priority != default.env_priority, "env_priority", json!(spec.env_priority));
    members
}

/// The members that change from life to life.
pub(crate) fn counters(record: &mut Map<String, Value>, status: &str, facts: &ChildFacts<'_>) {
    let mut put = |key: &str, value: Value| {
        record.insert(key.into(), value);
    };
    put("status", status.into());
    put("pm_uptime", facts.uptime_at.0.into());
    put("axm_actions", json!([]));
    put("axm_monitor", json!({}));
    put("axm_options", json!({}));
    put("axm_dynamic", json!({}));
    put("created_at", facts.created_at.0.into());
    put("pm_id", facts.id.0.into());
    put("restart_time", facts.restarts.into());
    put("unstable_restarts", facts.unstable.into());
}

/// PM2's word for a mode.
pub fn exec_mode(mode: ExecMode) -> &'static str {
    match mode {
        ExecMode::Fork => "fork_mode",
        ExecMode::Cluster => "cluster_mode",
    }
}

fn or_null_device(path: Option<&String>) -> Value {
    path.map_or("/dev/null", String::as_str).into()
}
