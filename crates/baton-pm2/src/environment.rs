//! The environment that an app is started with, as PM2 builds it.
//!
//! A child of PM2 finds the scalar members of its record among its variables, and scripts read them (`pm_id`,
//! `NODE_APP_INSTANCE`, `pm_cwd` …). The order of [`layers`] is that of `docs/environment.md`. In contrast to PM2, a
//! shell variable that happens to be called `name` or `args` changes nothing.

use crate::record;
use baton_core::spec::{AppSpec, EnvPriority, Environment, Layer, Origin};
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
pub const CHANNEL_KEYS: &[&str] = &[
    "NODE_CHANNEL_FD",
    "NODE_CHANNEL_SERIALIZATION_MODE",
    "NODE_UNIQUE_ID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "READY_FD",
    "BATON_SERVICE",
    "NOTIFY_SOCKET",
    "MAINPID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
];

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

/// What gives variables to an app, from lowest to highest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The shell that started the app.
    Shell,
    /// What PM2's apps find in their environment: the record of the process, and what follows from it.
    Record,
    /// A file of variables, by its path.
    File(String),
    /// A part of the process file, or of the command line.
    Definition(Origin),
    /// The shell once more, with `env_priority: shell`: those that it has of the two before.
    ShellFirst,
    /// What only baton knows.
    Baton,
}

/// The variables of each source, lowest first: of two with one variable the later one counts. `files` are the files of
/// variables with what they say.
pub fn layers(spec: &AppSpec, facts: &ChildFacts<'_>, files: &[(String, Environment)]) -> Vec<(Source, Environment)> {
    let shell: Environment = filtered(spec).map(|(key, value)| (key.clone(), value.clone())).collect();
    let first = match spec.env_priority {
        EnvPriority::File => Environment::new(),
        // The directory of the app is no wish of the shell.
        EnvPriority::Shell => {
            let named = |key: &str| spec.env.contains_key(key) || files.iter().any(|(_, env)| env.contains_key(key));
            shell.iter().filter(|(key, _)| *key != "PWD" && named(key)).map(owned).collect()
        }
    };
    let shell = shell.into_iter().filter(|(key, _)| !first.contains_key(key)).collect();
    let mut record = Environment::from([("PWD".into(), spec.cwd.clone())]);
    record.extend(texts(record::definition(spec, facts)));
    record.extend(texts(record::counters("launching", facts)));
    if is_python(&spec.interpreter) {
        record.insert("PYTHONUNBUFFERED".into(), "1".into());
    }
    let mut ours = texts(computed(spec, facts));
    ours.insert("pm_id".into(), facts.id.to_string());
    ours.insert(spec.instance_var.clone(), facts.number.to_string());

    let mut all = vec![(Source::Shell, shell), (Source::Record, record)];
    all.extend(files.iter().map(|(path, env)| (Source::File(path.clone()), env.clone())));
    all.extend(definition_layers(spec).into_iter().map(|layer| (Source::Definition(layer.origin), layer.env)));
    all.push((Source::ShellFirst, first));
    all.push((Source::Baton, ours));
    all.retain(|(_, env)| !env.is_empty());
    all
}

/// What the app's own variables were made of.
fn definition_layers(spec: &AppSpec) -> Vec<Layer> {
    match spec.env_layers.is_empty() {
        true => vec![Layer { origin: Origin::App, env: spec.env.clone() }],
        false => spec.env_layers.clone(),
    }
}

/// The variables that one life of an app is started with. `files` are its files of variables with what they say.
pub fn child(spec: &AppSpec, facts: &ChildFacts<'_>, files: &[(String, Environment)]) -> Environment {
    layers(spec, facts, files).into_iter().flat_map(|(_, env)| env).collect()
}

/// The value of a variable, as far as shell and definition tell.
pub fn value<'a>(spec: &'a AppSpec, key: &str) -> Option<&'a String> {
    let shell = || filtered(spec).find(|(name, _)| *name == key).map(|(_, value)| value);
    match spec.env_priority {
        EnvPriority::Shell if key != "PWD" => shell().or_else(|| spec.env.get(key)),
        EnvPriority::File | EnvPriority::Shell => spec.env.get(key).or_else(shell),
    }
}

fn owned((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

fn texts(members: impl IntoIterator<Item = (impl Into<String>, Value)>) -> Environment {
    members.into_iter().filter_map(|(key, value)| Some((key.into(), scalar(&value)?))).collect()
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
