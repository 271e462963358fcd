//! The record that PM2 keeps of a process (`pm2_env`), and the list that `jlist` prints.
//!
//! Names, order and types are those of PM2: the definition first, then the environment once more, flattened, then the
//! counters. Nothing is masked here: programs read it to find an app's environment, and the files that hold it are
//! for the owner alone. `NODE_APP_INSTANCE` stands for whatever the app's `instance_var` says.

use crate::environment::{self, ChildFacts};
use baton_core::spec::{AppSpec, ExecMode, LogType};
use baton_core::units::Bytes;
use baton_core::world::{InstanceView, Telling};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

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
    serde_json::to_string(&Processes(views, host)).expect("maps with text keys are JSON")
}

/// The same list as a value.
pub fn list(views: &[InstanceView], host: Host<'_>) -> Value {
    json!(Processes(views, host))
}

/// One process as PM2's methods answer with it: an entry of the list without what it uses.
pub fn process(view: &InstanceView, host: Host<'_>) -> Value {
    json!({ "pid": view.pid.unwrap_or(0), "name": view.name, "pm2_env": Record::of(view, host), "pm_id": view.id })
}

/// One process as PM2's methods answer that have started it.
pub fn started(view: &InstanceView, host: Host<'_>) -> Value {
    let process = view.pid.map_or_else(|| json!({}), |pid| json!({ "pid": pid }));
    let mut started = json!({ "process": process, "pm2_env": Record::of(view, host) });
    if let (Some(pid), ExecMode::Fork) = (view.pid, view.mode) {
        started["pid"] = pid.into();
    }
    started
}

/// That list. It is made one process at a time: the records of a hundred would fill a megabyte for a moment.
struct Processes<'a>(&'a [InstanceView], Host<'a>);

impl Serialize for Processes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by_key(|view| view.id);
        serializer.collect_seq(sorted.into_iter().map(|view| Process::of(view, self.1)))
    }
}

/// One member of that list.
#[derive(serde::Serialize)]
struct Process<'a> {
    pid: u32,
    name: &'a str,
    pm2_env: Record<'a>,
    pm_id: u32,
    monit: Monit,
}

#[derive(serde::Serialize)]
struct Monit {
    memory: u64,
    cpu: Value,
}

impl<'a> Process<'a> {
    fn of(view: &'a InstanceView, host: Host<'a>) -> Self {
        Process {
            pid: view.pid.unwrap_or(0),
            name: &view.name,
            pm2_env: Record::of(view, host),
            pm_id: view.id.0,
            monit: Monit { memory: view.memory.unwrap_or(Bytes(0)).0, cpu: cpu(view.cpu.unwrap_or(0.0)) },
        }
    }
}

/// A processor share with one digit, and as a whole number where it is one, as JavaScript writes it.
fn cpu(share: f64) -> Value {
    let rounded = (share * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { json!(rounded as i64) } else { json!(rounded) }
}

/// The record of one process. A view that is not whole has no definition, and its record only counters.
pub fn pm2_env(view: &InstanceView, host: Host<'_>) -> Map<String, Value> {
    match json!(Record::of(view, host)) {
        Value::Object(record) => record,
        _ => Map::new(),
    }
}

/// That record in its parts. Most of it are the variables, which are shown twice and copied for neither.
struct Record<'a> {
    /// `env` in it is empty: the variables stand there.
    definition: Members,
    variables: Vec<(Cow<'a, str>, Variable<'a>)>,
    /// Each takes the place of a member before it that has its name.
    counters: Vec<(&'static str, Value)>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Variable<'a> {
    Text(&'a str),
    Value(Value),
}

impl<'a> Record<'a> {
    fn of(view: &'a InstanceView, host: Host<'a>) -> Self {
        let facts = ChildFacts::of(view, host.home);
        let mut counters = counters(view.status.as_str(), &facts);
        counters.push(("version", (host.version)(&view.script).unwrap_or_else(|| "N/A".into()).into()));
        // What is switched off, or stopped, is not watched under PM2 either.
        for (key, value) in view.told.as_deref().into_iter().flat_map(told) {
            match counters.iter_mut().find(|(name, _)| *name == key) {
                Some((_, present)) => *present = value,
                None => counters.push((key, value)),
            }
        }
        let unwatched = view.spec.as_deref().is_some_and(|spec| spec.watch.is_on()) && !view.watching;
        counters.extend(unwatched.then(|| ("watch", false.into())));
        counters.extend(view.health.as_ref().map(|health| ("health", json!(health))));
        counters.extend(view.job.as_ref().map(|job| ("job", json!(job))));
        counters.extend(view.last_exit.map(|exit| ("exit_code", exit.code().into())));
        let (definition, variables) = match view.spec.as_deref() {
            Some(spec) => (definition(spec, &facts), variables(spec, &facts)),
            None => (Vec::new(), Vec::new()),
        };
        Record { definition, variables, counters }
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = Names::of(self.counters.iter().map(|(key, _)| *key));
        let counter = |key: &str| {
            let find = || self.counters.iter().find(|(name, _)| *name == key).map(|(_, value)| value);
            if names.may_have(key) { find() } else { None }
        };
        let mut members = serializer.serialize_map(None)?;
        for (key, value) in &self.definition {
            match counter(key) {
                Some(value) => members.serialize_entry(key, value)?,
                None if key == "env" => members.serialize_entry(key, &Variables(&self.variables))?,
                None => members.serialize_entry(key, value)?,
            }
        }
        // A variable never replaces a member of the definition that happens to have its name.
        let names = Names::of(self.definition.iter().map(|(key, _)| key.as_ref()));
        let new = |key: &str| !names.may_have(key) || self.definition.iter().all(|(name, _)| name != key);
        for (key, value) in self.variables.iter().filter(|(key, _)| new(key)) {
            match counter(key) {
                Some(value) => members.serialize_entry(key, value)?,
                None => members.serialize_entry(key, value)?,
            }
        }
        let names = Names::of(self.variables.iter().map(|(key, _)| key.as_ref()));
        let is_variable = |key: &str| names.may_have(key) && self.variables.iter().any(|(name, _)| name == key);
        let new = |key: &str| new(key) && !is_variable(key);
        for (key, value) in self.counters.iter().filter(|(key, _)| new(key)) {
            members.serialize_entry(key, value)?;
        }
        members.end()
    }
}

/// The environment that a record shows, as a map.
struct Variables<'a>(&'a [(Cow<'a, str>, Variable<'a>)]);

impl Serialize for Variables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// The environment that a record shows: what the app was defined with, without its files of variables, which are read
/// at each start.
fn variables<'a>(spec: &'a AppSpec, facts: &ChildFacts<'_>) -> Vec<(Cow<'a, str>, Variable<'a>)> {
    let text = |(key, value): (&'a String, &'a String)| (Cow::Borrowed(key.as_str()), Variable::Text(value));
    let mut variables: Vec<_> = environment::filtered(spec).map(text).collect();
    let above = spec.env.keys().filter_map(|key| Some(text((key, environment::value(spec, key)?))));
    let computed = environment::computed(spec, facts).into_iter();
    for (key, value) in above.chain(computed.map(|(key, value)| (Cow::Owned(key), Variable::Value(value)))) {
        match variables.iter_mut().find(|(name, _)| *name == key) {
            Some((_, present)) => *present = value,
            None => variables.push((key, value)),
        }
    }
    variables
}

/// Members of a record, each name once.
pub(crate) type Members = Vec<(Cow<'static, str>, Value)>;

/// Tells quickly of most names that they are not among some. Records are made by the hundred, of names that are nearly
/// all different and too few for a hash to pay.
#[derive(Default)]
struct Names([u64; 4]);

impl Names {
    fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
        let mut all = Names::default();
        names.into_iter().for_each(|name| all.add(name));
        all
    }

    fn add(&mut self, name: &str) {
        let (word, bit) = Self::place(name);
        self.0[word] |= bit;
    }

    /// False only when the name is not there.
    fn may_have(&self, name: &str) -> bool {
        let (word, bit) = Self::place(name);
        self.0[word] & bit != 0
    }

    fn place(name: &str) -> (usize, u64) {
        let bytes = name.as_bytes();
        let at = |index: usize| bytes.get(index).map_or(0, |byte| usize::from(*byte));
        let sum = bytes.len() * 37 + at(0) * 11 + at(bytes.len() / 2) * 3 + at(bytes.len().wrapping_sub(1)) * 5;
        (sum / 64 % 4, 1 << (sum % 64))
    }
}

/// The members that come from the definition, in PM2's order. `env` is there, and empty.
pub(crate) fn definition(spec: &AppSpec, facts: &ChildFacts<'_>) -> Members {
    let mut record = Members::with_capacity(48);
    let mut names = Names::default();
    let mut put = |key: Cow<'static, str>, value: Value| {
        let present = if names.may_have(&key) { record.iter_mut().find(|(name, _)| *name == key) } else { None };
        match present {
            Some((_, present)) => *present = value,
            None => {
                names.add(&key);
                record.push((key, value));
            }
        }
    };
    let declared = |key: &str, otherwise: Value| spec.declared.get(key).cloned().unwrap_or(otherwise);

    put("name".into(), spec.name.clone().into());
    put("filter_env".into(), json!(spec.filter_env));
    put("namespace".into(), spec.namespace.clone().into());
    if !spec.args.is_empty() {
        put("args".into(), json!(spec.args));
    }
    put("env".into(), Value::Object(Map::new()));
    put("merge_logs".into(), spec.merge_logs.into());
    put("vizion".into(), declared("vizion", true.into()));
    put("autostart".into(), spec.autostart.into());
    put("autorestart".into(), spec.autorestart.into());
    put("watch".into(), json!(spec.watch));
    put("instance_var".into(), spec.instance_var.clone().into());
    put("pmx".into(), spec.pmx.into());
    put("automation".into(), declared("automation", true.into()));
    put("treekill".into(), spec.treekill.into());
    put("username".into(), spec.username.clone().into());
    put("windowsHide".into(), declared("windowsHide", true.into()));
    put("kill_retry_time".into(), declared("kill_retry_time", 100.into()));
    for (key, value) in optional(spec) {
        put(key.into(), value);
    }
    for (name, profile) in &spec.env_profiles {
        put(format!("env_{name}").into(), json!(profile));
    }
    for (key, value) in &spec.declared {
        put(key.clone().into(), value.clone());
    }
    put("node_args".into(), json!(spec.node_args));
    put("pm_exec_path".into(), spec.script.clone().into());
    put("pm_cwd".into(), spec.cwd.clone().into());
    put("exec_interpreter".into(), spec.interpreter.clone().into());
    put("exec_mode".into(), exec_mode(spec.exec_mode).into());
    put("instances".into(), spec.instances.0.into());
    if let Some(path) = &facts.files.combined {
        put("pm_log_path".into(), path.clone().into());
    }
    put("pm_out_log_path".into(), or_null_device(facts.files.out.as_ref()));
    put("pm_err_log_path".into(), or_null_device(facts.files.error.as_ref()));
    put("pm_pid_path".into(), facts.files.pid.clone().into());
    put("km_link".into(), false.into());
    put("vizion_running".into(), false.into());
    put(spec.instance_var.clone().into(), facts.number.into());
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
    put(spec.max_memory_restart.is_some(), "max_memory_restart", json!(spec.max_memory_restart));
    put(spec.cron_restart.is_some(), "cron_restart", json!(spec.cron_restart));
    put(spec.schedule.is_some(), "schedule", json!(spec.schedule));
    put(!spec.ignore_watch.is_empty(), "ignore_watch", json!(spec.ignore_watch));
    put(spec.watch_delay != default.watch_delay, "watch_delay", spec.watch_delay.0.into());
    put(spec.watch_options != default.watch_options, "watch_options", json!(spec.watch_options));
    put(spec.kill_timeout != default.kill_timeout, "kill_timeout", spec.kill_timeout.0.into());
    put(spec.balance != default.balance, "balance", spec.balance.clone().into());
    put(spec.wait_ready, "wait_ready", true.into());
    put(spec.listen_timeout != default.listen_timeout, "listen_timeout", spec.listen_timeout.0.into());
    put(spec.shutdown_with_message, "shutdown_with_message", true.into());
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

/// What the program tells of itself.
fn told(telling: &Telling) -> impl Iterator<Item = (&'static str, Value)> {
    let version = telling.node_version.as_deref().map(|version| ("node_version", version.into()));
    version.into_iter().chain([
        ("axm_actions", telling.actions.clone().into()),
        ("axm_monitor", telling.metrics.clone().into()),
        ("axm_options", telling.options.clone().into()),
    ])
}

/// The members that change from life to life.
pub(crate) fn counters(status: &str, facts: &ChildFacts<'_>) -> Vec<(&'static str, Value)> {
    vec![
        ("status", status.into()),
        ("pm_uptime", facts.uptime_at.0.into()),
        ("axm_actions", json!([])),
        ("axm_monitor", json!({})),
        ("axm_options", json!({})),
        ("axm_dynamic", json!({})),
        ("created_at", facts.created_at.0.into()),
        ("pm_id", facts.id.0.into()),
        ("restart_time", facts.restarts.into()),
        ("unstable_restarts", facts.unstable.into()),
    ]
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
