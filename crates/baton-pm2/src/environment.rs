//! The environment that an app is started with, as PM2 builds it.
//!
//! A child of PM2 finds the scalar members of its record among its variables, and scripts read them (`pm_id`,
//! `NODE_APP_INSTANCE`, `pm_cwd` …). From lowest to highest: the shell that started the app, the record, the files of
//! variables, the app's own variables, and last what only we can know. In contrast to PM2, a shell variable that
//! happens to be called `name` or `args` changes nothing.

use crate::record;
use baton_core::spec::{AppSpec, Environment};
use baton_core::units::{InstanceId, WallTime};
use baton_core::world::{InstanceFiles, InstanceView};
use serde_json::{Map, Value};

/// Variables that an app finds in its environment only because it runs under PM2 or baton. A command line that is used
/// inside an app must not hand them on to the apps that it starts.
pub const INTERNAL_KEYS: &[&str] = &[
    "name",
    "exec_mode",
    "env",
    "args",
    "pm_cwd",
    "exec_interpreter",
    "pm_exec_path",
    "node_args",
    "pm_out_log_path",
    "pm_err_log_path",
    "pm_pid_path",
    "pm_id",
    "status",
    "pm_uptime",
    "created_at",
    "windowsHide",
    "username",
    "merge_logs",
    "kill_retry_time",
    "prev_restart_delay",
    "instance_var",
    "unstable_restarts",
    "restart_time",
    "axm_actions",
    "pmx_module",
    "command",
    "watch",
    "filter_env",
    "versioning",
    "vizion_runing",
    "MODULE_DEBUG",
    "pmx",
    "axm_options",
    "vizion",
    "axm_dynamic",
    "axm_monitor",
    "instances",
    "automation",
    "autostart",
    "autorestart",
    "stop_exit_codes",
    "unstable_restart",
    "treekill",
    "exit_code",
    "pm_log_path",
    "vizion_running",
    "km_link",
    "namespace",
    "unique_id",
    "NODE_APP_INSTANCE",
    "BATON_MARK",
];

/// Those of [`INTERNAL_KEYS`] that `env <id>` lists all the same, as PM2 does.
pub const LISTED_KEYS: &[&str] =
    &["pm_log_path", "vizion_running", "km_link", "namespace", "unique_id", "NODE_APP_INSTANCE"];

/// Variables that name a descriptor or a role of the process that has them: wrong in every other process.
pub const CHANNEL_KEYS: &[&str] = &["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"];

/// The shell environment to keep for an app: without [`CHANNEL_KEYS`], and without [`INTERNAL_KEYS`] when the
/// command line itself runs inside an app.
pub fn inherited(mut shell: Environment) -> Environment {
    for key in CHANNEL_KEYS {
        shell.remove(*key);
    }
    if ["pm_id", "BATON_MARK", "PM2_PROGRAMMATIC"].iter().any(|sign| shell.contains_key(*sign)) {
        for key in INTERNAL_KEYS {
            shell.remove(*key);
        }
    }
    shell
}

/// What is known of the life that is about to begin.
#[derive(Clone, Debug)]
pub struct ChildFacts<'a> {
    /// Number of the slot (`pm_id`).
    pub id: InstanceId,
    /// Number among the instances of the app.
    pub number: u32,
    /// Value of the app's `increment_var`.
    pub increment: Option<i64>,
    /// Starts beyond the first.
    pub restarts: u32,
    /// Unstable exits in a row.
    pub unstable: u32,
    /// When the slot was made.
    pub created_at: WallTime,
    /// When this life begins.
    pub uptime_at: WallTime,
    /// The slot's files.
    pub files: &'a InstanceFiles,
    /// The home folder.
    pub home: &'a str,
    /// See [`unique_id`].
    pub unique_id: String,
}

impl<'a> ChildFacts<'a> {
    /// The facts that a view tells.
    pub fn of(view: &'a InstanceView, home: &'a str) -> Self {
        ChildFacts {
            id: view.id,
            number: view.number,
            increment: view.increment,
            restarts: view.restarts,
            unstable: view.unstable,
            created_at: view.created_at,
            uptime_at: view.started_at.unwrap_or(view.created_at),
            files: &view.files,
            home,
            unique_id: unique_id(view.id, view.created_at),
        }
    }
}

/// An identifier of the shape of a random UUID that is the same for everyone who asks about the same slot.
pub fn unique_id(id: InstanceId, created_at: WallTime) -> String {
    let high = mix(created_at.0 ^ mix(u64::from(id.0)));
    let low = mix(high ^ created_at.0.rotate_left(32));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// Spreads the bits of a small number over all 64 (the finaliser of SplitMix64).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The shell environment of an app after its `filter_env`: a variable goes when its name contains one of the texts,
/// so the empty text (`filter_env: true`) removes all.
pub fn filtered(spec: &AppSpec) -> impl Iterator<Item = (&String, &String)> {
    spec.base_env.iter().filter(|(key, _)| !spec.filter_env.iter().any(|text| key.contains(text.as_str())))
}

/// The variables that one life of an app is started with. `env_file` holds what its files of variables say.
pub fn child(spec: &AppSpec, facts: &ChildFacts<'_>, env_file: &Environment) -> Environment {
    let mut env: Environment = filtered(spec).map(|(key, value)| (key.clone(), value.clone())).collect();
    env.insert("PWD".into(), spec.cwd.clone());
    let mut record = record::definition(spec, facts);
    record::counters(&mut record, "launching", facts);
    env.extend(record.iter().filter_map(|(key, value)| Some((key.clone(), scalar(value)?))));
    if is_python(&spec.interpreter) {
        env.insert("PYTHONUNBUFFERED".into(), "1".into());
    }
    env.extend(env_file.iter().chain(&spec.env).map(|(key, value)| (key.clone(), value.clone())));
    env.extend(computed(spec, facts).iter().filter_map(|(key, value)| Some((key.clone(), scalar(value)?))));
    env.insert("pm_id".into(), facts.id.to_string());
    env.insert(spec.instance_var.clone(), facts.number.to_string());
    env
}

/// Variables that follow from the definition and the slot, above the app's own.
pub(crate) fn computed(spec: &AppSpec, facts: &ChildFacts<'_>) -> Map<String, Value> {
    let mut env = Map::new();
    if let Some(port) = spec.port {
        env.insert("PORT".into(), port.into());
    }
    if let (Some(variable), Some(value)) = (&spec.increment_var, facts.increment) {
        env.insert(variable.clone(), value.into());
    }
    env.insert("PM2_HOME".into(), facts.home.into());
    env.insert("PM2_USAGE".into(), "CLI".into());
    env.insert("unique_id".into(), facts.unique_id.clone().into());
    env
}

/// The text that a member of the record becomes in an environment; nothing for lists, maps and null.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether Python runs the script; it holds back its output unless told otherwise.
fn is_python(interpreter: &str) -> bool {
    interpreter.rsplit('/').next().is_some_and(|program| program.starts_with("python"))
}
