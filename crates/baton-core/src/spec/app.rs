//! The table of keys, and the struct made from it.

use super::field::{Change, ChangeClass, Field, Kind};
use super::{
    Cpus, Dependency, EnvPriority, ExecMode, External, Health, Heartbeat, Hook, Instances, Layer, Listen, Readiness,
    Rlimits, Schedule, Watch, WatchOptions,
};
use crate::units::{Bytes, Millis};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// Environment variables, sorted by name.
pub type Environment = BTreeMap<String, String>;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogType {
    /// The bytes as the app wrote them, with a date in front of each line when a format is set.
    #[default]
    Raw,
    /// One JSON record for each line.
    Json,
}

/// How rotated log files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogCompression {
    /// Not at all.
    None,
    /// As `.gz`.
    Gzip,
    /// As `.zst`.
    Zstd,
}

impl LogCompression {
    /// What a word means: `true`, `false` or the name of a way.
    pub fn parse(word: &str) -> Option<LogCompression> {
        match word {
            "true" | "gzip" => Some(LogCompression::Gzip),
            "zstd" => Some(LogCompression::Zstd),
            "false" | "none" => Some(LogCompression::None),
            _ => None,
        }
    }
}

/// Where a definition was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// Absolute path of the process file, or empty for a command line.
    pub file: String,
    /// Position in the file's list of apps, from 0.
    pub index: usize,
}

/// Fingerprint of a definition: equal for equal wishes, whatever their spelling, order and comments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecHash(pub String);

impl fmt::Display for SpecHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! app_spec {
    ($( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $kind:expr, $class:ident $(, also $($alias:literal)+)?; )+) => {
        /// What one app should be: normalised, with absolute paths and every default filled in. Immutable once made.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct AppSpec {
            $( $(#[doc = $doc])+ pub $name: $type, )+
        }

        impl Default for AppSpec {
            fn default() -> Self {
                AppSpec { $( $name: $default, )+ }
            }
        }

        impl Serialize for Lean<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                static DEFAULT: LazyLock<AppSpec> = LazyLock::new(AppSpec::default);
                let (spec, default) = (self.0, &*DEFAULT);
                let mut members = serializer.serialize_map(None)?;
                $( if stringify!($name) != "base_env" && spec.$name != default.$name {
                    members.serialize_entry(stringify!($name), &spec.$name)?;
                } )+
                members.end()
            }
        }

        /// Every key that this version acts on, in the order of the reference page.
        pub const FIELDS: &[Field] = &[ $( Field {
            name: stringify!($name),
            aliases: &[$($($alias),+)?],
            kind: $kind,
            class: ChangeClass::$class,
            doc: concat!($($doc, "\n"),+),
        } ),+ ];
    };
}

/// A definition as it is sent: without what has its default, which reading fills in again, and without the environment
/// of the shell, which stands apart.
pub(crate) struct Lean<'a>(pub(crate) &'a AppSpec);

app_spec! {
    /// Name in the list; several instances share it. Default: the script's file name without its last extension.
    name: String = String::new(), Kind::Text, Restart;
    /// Name of the unit (PM2's namespace) that the app belongs to.
    namespace: String = "default".into(), Kind::Text, Live;
    /// What is run: a file, a program on PATH, a directory with a package.json or index.js, or a command line.
    script: String = String::new(), Kind::Path, Restart, also "exec" "cmd" "command";
    /// Arguments of the program. One text is split as a shell would; `''` stays an empty argument.
    args: Vec<String> = Vec::new(), Kind::Words, Restart;
    /// Working directory. Default: the directory baton was called in.
    cwd: String = String::new(), Kind::Path, Restart;
    /// Program that runs the script; `none` runs the script itself. Default: by shebang, extension or content.
    interpreter: String = "none".into(), Kind::Text, Restart, also "exec_interpreter";
    /// Arguments of the interpreter, before the script.
    node_args: Vec<String> = Vec::new(), Kind::Words, Restart, also "interpreter_args" "interpreterArgs";
    /// `fork`: independent processes; `cluster`: workers of Node's own `cluster` module that share their sockets.
    exec_mode: ExecMode = ExecMode::Fork, Kind::Choice(&["fork", "fork_mode", "cluster", "cluster_mode"]), Restart;
    /// How connections reach the workers of a cluster: `rr` gives each to the worker with the least to do, with `shared` all accept
    /// on one socket, with `reuseport` each instance has one of its own and the kernel spreads connections.
    balance: String = "rr".into(), Kind::Choice(&["rr", "shared", "reuseport"]), Restart;
    /// Number of instances: n, `max` or 0 for one per processor, -n for all but n.
    instances: Instances = Instances(1), Kind::Instances, Scale;
    /// Keep a pipe open as standard input, which `attach` and `send` write to; `false` is `/dev/null`. Default: a pipe in fork
    /// mode, but for a `oneshot` or `schedule`.
    stdin: Option<bool> = None, Kind::Bool, Restart;
    /// Variables of the app, above everything else. `undefined` and `null` are left out, objects become JSON text.
    env: Environment = Environment::new(), Kind::Environment, Restart;
    /// Files of variables, relative to `cwd`: above the shell, below `env`. Read again at each start.
    env_file: Vec<String> = Vec::new(), Kind::Texts, Restart;
    /// `shell` puts the variables of the shell above `env` and `env_file`. Beside `apps` it holds for all of them.
    env_priority: EnvPriority = EnvPriority::File, Kind::Choice(&["file", "shell"]), Restart;
    /// Inherited variables to leave out: every one whose name contains one of these texts; `true` leaves out all.
    filter_env: Vec<String> = Vec::new(), Kind::Switch, Restart;
    /// Variable that holds the number of the instance.
    instance_var: String = "NODE_APP_INSTANCE".into(), Kind::Text, Restart;
    /// Variable that grows by one from instance to instance.
    increment_var: Option<String> = None, Kind::Text, Restart;
    /// File for standard output. Default: `<home>/logs/<name>-out.log`; `/dev/null` writes nothing.
    out_file: Option<String> = None, Kind::Path, Restart, also "out" "output" "out_log";
    /// File for standard error. Default: `<home>/logs/<name>-error.log`; `/dev/null` writes nothing.
    error_file: Option<String> = None, Kind::Path, Restart, also "error" "err" "err_file" "err_log";
    /// File for both streams together; `true` is `<home>/logs/<name>.log`. Default: none.
    log_file: Option<String> = None, Kind::Path, Restart, also "log";
    /// File that holds the pid. Default: `<home>/pids/<name>-<id>.pid`.
    pid_file: Option<String> = None, Kind::Path, Restart, also "pid";
    /// Instances share the log files instead of adding `-<id>` to their names.
    merge_logs: bool = true, Kind::Bool, Restart, also "combine_logs";
    /// Write no log files.
    disable_logs: bool = false, Kind::Bool, Restart;
    /// `json` writes a record for each line.
    log_type: LogType = LogType::Raw, Kind::Choice(&["raw", "json"]), Restart;
    /// Date put in front of each line, in moment.js tokens such as `YYYY-MM-DD HH:mm:ss`.
    log_date_format: Option<String> = None, Kind::Text, Restart;
    /// Shorthand for the date format `YYYY-MM-DDTHH:mm:ss`.
    time: bool = false, Kind::Bool, Restart;
    /// `copy` moves log bytes through user space, for file systems where splice makes the app wait.
    log_sync: String = "auto".into(), Kind::Choice(&["auto", "copy"]), Restart;
    /// What happens to output while a log file can't be written (a full disk, a reader that is slow or gone): `block` lets the
    /// app wait once its pipe is full; `drop` loses output instead, counts the bytes, and a line in the log tells how many.
    log_overflow: String = "block".into(), Kind::Choice(&["block", "drop"]), Restart;
    /// Make standard output and error of Node programs blocking. Otherwise Node keeps what a full pipe does not take in its
    /// memory and loses it at `process.exit()`. Not for apps that run as another user (`uid`).
    log_blocking: bool = false, Kind::Bool, Restart;
    /// Load baton's module into Node programs: metrics, exceptions, and a worker of a cluster that leaves without cutting off a
    /// client. Not for apps that run as another user (`uid`).
    pmx: bool = true, Kind::Bool, Restart;
    /// Rotate a log file at the first end of a line from this size on (bytes); 0 is never. Default: that of all apps, 100 MB.
    max_size: Option<u64> = None, Kind::Size, Live;
    /// Rotated log files to keep, for each log file. Default: that of all apps, 10.
    retain: Option<u32> = None, Kind::Integer(0, u32::MAX as i64), Live;
    /// Compress rotated log files: `true` or `gzip`, `zstd`, or `false`. Default: that of all apps, `gzip`.
    compress: Option<LogCompression> = None, Kind::Switch, Live;
    /// Rotate at these times, whatever the size, in cron notation. Default: that of all apps, none.
    rotate_interval: Option<String> = None, Kind::Text, Live;
    /// Remove rotated log files that are older than this (ms); 0 is never. Default: that of all apps, never.
    max_age: Option<Millis> = None, Kind::Duration, Live;
    /// What all log files of the app may take, rotated ones included (bytes); the oldest go first. Default: no limit of its own.
    max_total_size: Option<u64> = None, Kind::Size, Live;
    /// Start with the file. `false` lists the app as stopped; it can be started by name.
    autostart: bool = true, Kind::Bool, Live;
    /// Start again when the process ends by itself.
    autorestart: bool = true, Kind::Bool, Live;
    /// Exit codes that end the app without a restart.
    stop_exit_codes: Vec<i32> = Vec::new(), Kind::Integers, Live;
    /// Unstable exits in a row after which the app is `errored`. Default: 16, or no limit with `exp_backoff_restart_delay`.
    max_restarts: Option<u32> = None, Kind::Integer(0, u32::MAX as i64), Live;
    /// An exit sooner than this after the start is unstable (ms).
    min_uptime: Millis = Millis(1000), Kind::Duration, Live;
    /// Pause before an automatic restart (ms).
    restart_delay: Millis = Millis(0), Kind::Duration, Live;
    /// First pause of a growing series: each is half as long again as the last, at most 15 s; it begins anew after 30 s of uptime (ms).
    exp_backoff_restart_delay: Millis = Millis(0), Kind::Duration, Live;
    /// The app ends by itself: exit code 0 is success, any other makes it `errored`, and it is not started again.
    oneshot: bool = false, Kind::Bool, Live;
    /// What comes first: names of apps, units or entries of `external`, or paths of process files. A name, a list, or a map
    /// of names to `started`, `ready` (the default), `healthy`, `exited` or `log:<pattern>` (a line that it writes), or to `{ condition, timeout }`.
    /// What is down is started with the app, and stopped after it when both are stopped.
    depends_on: Vec<Dependency> = Vec::new(), Kind::Dependencies, Live;
    /// How to tell that the app is ready: `notify`, `fd`, `ipc`, or a map with one of `tcp`, `http` and `exec`, and with
    /// `timeout` (30 s) and `interval` (250 ms). Default: it is up for `min_uptime`.
    ready: Option<Readiness> = None, Kind::Readiness, Live;
    /// How to tell that the app is well while it runs: a map with one of `http`, `tcp` and `exec`, and with `interval` (10 s),
    /// `timeout` (5 s), `retries` (3 failures in a row), `start_period` (30 s) and `action`: `restart`, `stop` or `none`.
    health: Option<Health> = None, Kind::Health, Live;
    /// Restart when the app has not sent `WATCHDOG=1` to NOTIFY_SOCKET for so long, as under systemd; it learns of that from
    /// WATCHDOG_USEC.
    watchdog: Option<Millis> = None, Kind::Duration, Restart;
    /// Restart when a process of the app that has sent heartbeats falls silent: `true`, or a map with `port` (5005),
    /// `timeout` (10 min) and `interval` (5 s). What is not given is taken from HEARTBEAT_PORT, HEARTBEAT_TIMEOUT and
    /// CHECK_INTERVAL. Beside `apps` or in a unit it holds for all its apps.
    heartbeat: Option<Heartbeat> = None, Kind::Heartbeat, Live;
    /// Who is told when something happens: a command, an `http://` address, or a map with `exec` or `http` and with `events`
    /// (`exit`, `oom`, `restart`, `errored`, `crash-loop`, `unhealthy`, `healthy`, `failed`), `timeout` (10 s) and `retries` (3); or a
    /// list of these. Beside `apps` or in a unit it holds for all its apps.
    on_event: Vec<Hook> = Vec::new(), Kind::Hooks, Live;
    /// Restart when a file changes: `true` for everything below `cwd`, or a list of files and folders relative to it. What git
    /// ignores, names that begin with a dot, `node_modules` and the files of baton itself do not count.
    watch: Watch = Watch::default(), Kind::Switch, Live;
    /// Patterns of what never causes a restart, as in a `.gitignore`: one without `/` counts at any depth, one that begins with
    /// `!` has what it matches count after all.
    ignore_watch: Vec<String> = Vec::new(), Kind::Texts, Live;
    /// Restart once nothing has changed for so long (ms).
    watch_delay: Millis = Millis(100), Kind::Duration, Live;
    /// `followSymlinks` (true), `usePolling` (false; for file systems that tell of no changes, such as those of a virtual
    /// machine's host) and its `interval` (1 s).
    watch_options: WatchOptions = WatchOptions::default(), Kind::Map, Live;
    /// Count as started only after `process.send('ready')`, or after `listen_timeout` without it, as under PM2. With
    /// `ready: ipc` an app that does not say so in time has failed.
    wait_ready: bool = false, Kind::Bool, Live;
    /// How long `wait_ready` waits (ms).
    listen_timeout: Millis = Millis(3000), Kind::Duration, Live;
    /// Ask the app to end by the message `shutdown` (`process.on('message')`) instead of a signal, as long as it has a channel.
    shutdown_with_message: bool = false, Kind::Bool, Live;
    /// Sockets that baton opens for the app and gives to each of its lives, from descriptor 3 on (LISTEN_FDS): a port, `host:port`
    /// or path, or a list or map of names to them. Instances share them; `{ at, reuseport: true }` gives each its own. They
    /// stay open while the app starts again, and `reload` runs the new version beside the old one.
    listen: Vec<Listen> = Vec::new(), Kind::Listen, Restart;
    /// Tell the app its own pid in LISTEN_PID, beside LISTEN_FDS, and in WATCHDOG_PID. `false` for programs that a script between baton and them starts.
    listen_pid: bool = true, Kind::Bool, Restart;
    /// Restart at these times, in cron notation: five fields, or six with seconds first, or `@daily` and the like.
    /// `CRON_TZ=Europe/Berlin` in front gives another time zone than the machine's. `0` is never.
    cron_restart: Option<String> = None, Kind::Text, Live, also "cron";
    /// Run at these times instead of all the time: cron notation as in `cron_restart`, or a map with `cron`, `timezone`, `overlap`
    /// (`skip`, `queue` or `replace` a run that is still under way), `jitter` (0), `timeout` (none) and `missed` (`run` or `skip`).
    /// `start` has the times count from then on, `stop` no more; an end of a run is followed by the next time, not by a restart.
    schedule: Option<Schedule> = None, Kind::Schedule, Live;
    /// Restart when the whole process tree of an instance uses more memory than this (bytes). It is looked at each second.
    max_memory_restart: Option<u64> = None, Kind::Size, Live;
    /// How much memory the whole app may use, the kernel's share for it included (bytes); beyond it the kernel ends it, which counts
    /// as a crash. Needs a control group. 0 is no limit.
    memory_max: Option<u64> = None, Kind::Size, Live;
    /// How much processor time the whole app may use: a number of processors such as `1.5`, or percent of one such as `"50%"`.
    /// Needs a control group.
    cpu_max: Option<Cpus> = None, Kind::Cpus, Live;
    /// How many processes and threads the whole app may have. Needs a control group.
    tasks_max: Option<u32> = None, Kind::Integer(1, u32::MAX as i64), Live;
    /// Niceness of the app's processes, from -20 (first) to 19 (last). Default: that of baton. A lower one needs root.
    nice: Option<i32> = None, Kind::Integer(-20, 19), Restart;
    /// Limits of the app's processes, such as `{ nofile: 65536, core: 0 }`: a number, a size, `unlimited`, or a map of `soft`
    /// and `hard`. An app whose limits can't be set does not start.
    rlimits: Rlimits = Rlimits::new(), Kind::Rlimits, Restart, also "ulimits";
    /// Whom the kernel ends first when memory is short: from -1000 (never) to 1000. Default: that of baton. A lower one needs root.
    oom_score_adj: Option<i32> = None, Kind::Integer(-1000, 1000), Restart;
    /// Time between the stop signal and SIGKILL (ms). Default: the caller's PM2_KILL_TIMEOUT, else 1600.
    kill_timeout: Millis = Millis(1600), Kind::Duration, Live;
    /// Signal that asks the app to end. Default: the caller's PM2_KILL_SIGNAL, else SIGINT.
    kill_signal: Option<String> = None, Kind::Signal, Live;
    /// End the whole process tree, not only the first process.
    treekill: bool = true, Kind::Bool, Live;
    /// User to run as: a name or a number. Needs root.
    uid: Option<String> = None, Kind::Text, Restart, also "user";
    /// Group to run as: a name or a number. Default: the user's own. Needs root.
    gid: Option<String> = None, Kind::Text, Restart;
    /// Name of the user who started the app.
    username: String = String::new(), Kind::Text, Context;
    /// Sets the variable PORT.
    port: Option<u32> = None, Kind::Integer(0, 65535), Restart;
    /// Put the name of the chosen environment behind the app's name.
    append_env_to_name: bool = false, Kind::Bool, Restart;
    /// The environments `env_<name>` of the file, which `--env <name>` chooses from.
    env_profiles: BTreeMap<String, Environment> = BTreeMap::new(), Kind::Map, Context;
    /// What `env` was made of, lowest first. Empty: all of it is the app's own.
    env_layers: Vec<Layer> = Vec::new(), Kind::Any, Context;
    /// The environment of the shell that started the app.
    base_env: Arc<Environment> = Arc::default(), Kind::Environment, Context;
    /// Keys that are read, checked and kept, but not acted on by this version.
    declared: BTreeMap<String, Value> = BTreeMap::new(), Kind::Map, Live;
    /// Where the definition was read.
    source: Source = Source::default(), Kind::Any, Context;
}

macro_rules! later {
    ($( $name:literal, $kind:expr, $class:ident, $doc:literal $(, also $($alias:literal)+)?; )+) => {
        /// Keys that this version reads, checks, keeps in [`AppSpec::declared`] and shows, but does not act on.
        pub const LATER: &[Field] = &[ $( Field {
            name: $name, aliases: &[$($($alias),+)?], kind: $kind, class: ChangeClass::$class, doc: $doc,
        } ),+ ];
    };
}

later! {
    "source_map_support", Kind::Bool, Restart, "Load source maps in Node programs.";
    "disable_source_map_support", Kind::Bool, Restart, "Do not load source maps in Node programs.";
    "required_env", Kind::Texts, Restart, "Variables without which the app must not start.";
    "on_missing", Kind::Text, Live, "Command that makes a missing script; `check` tells it. Beside `apps` it holds for all of them.";
    "artifacts", Kind::Map, Live, "`inputs`: patterns of files that the script is built from; `check` tells when one is newer.";
    "io", Kind::Any, Restart, "Settings of PM2's metrics module.";
    "trace", Kind::Bool, Restart, "Tracing of PM2's metrics module.";
    "disable_trace", Kind::Bool, Restart, "No tracing of PM2's metrics module.";
    "automation", Kind::Bool, Restart, "Setting of PM2's metrics module.";
    "v8", Kind::Bool, Restart, "Setting of PM2's metrics module.";
    "event_loop_inspector", Kind::Bool, Restart, "Setting of PM2's metrics module.";
    "deep_monitoring", Kind::Bool, Restart, "Setting of PM2's metrics module.";
    "vizion", Kind::Bool, Live, "Read the state of the git repository.";
    "post_update", Kind::Texts, Live, "Commands after `pull`.";
    "kill_retry_time", Kind::Duration, Live, "PM2 looked this often whether a process had ended (ms); baton is told by the kernel.";
    "windowsHide", Kind::Bool, Restart, "Hide the console window on Windows.", also "windows_hide";
}

impl AppSpec {
    /// Fingerprint over everything but the context fields.
    pub fn hash(&self) -> SpecHash {
        let mut hasher = Sha256::new();
        hasher.update(self.canonical().to_string());
        SpecHash(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The definition as sorted JSON, without the context fields.
    pub fn canonical(&self) -> Value {
        let Ok(Value::Object(map)) = serde_json::to_value(self) else {
            return Value::Null;
        };
        let sorted: BTreeMap<String, Value> = map
            .into_iter()
            .filter(|(key, _)| FIELDS.iter().any(|f| f.name == key && f.class != ChangeClass::Context))
            .collect();
        sorted.into_iter().collect::<serde_json::Map<_, _>>().into()
    }

    /// Every key in which `wished` differs from this definition, with what the change needs.
    pub fn changes(&self, wished: &AppSpec) -> Vec<Change> {
        let (now, then) = (self.canonical(), wished.canonical());
        FIELDS
            .iter()
            .filter(|field| now.get(field.name) != then.get(field.name))
            .map(|field| Change {
                field: field.name.into(),
                class: field.class,
                old: now.get(field.name).cloned().unwrap_or(Value::Null),
                new: then.get(field.name).cloned().unwrap_or(Value::Null),
            })
            .collect()
    }

    /// The times at which it is started again, unless they are switched off.
    pub fn times(&self) -> Option<&str> {
        self.cron_restart.as_deref().filter(|pattern| *pattern != "0")
    }

    /// Whether its standard input is a pipe that stays open.
    pub fn has_input(&self) -> bool {
        let stays = !self.oneshot && self.schedule.is_none();
        self.stdin.unwrap_or(self.exec_mode == ExecMode::Fork && stays)
    }

    /// How much memory one instance may use.
    pub fn memory_limit(&self) -> Option<Bytes> {
        self.max_memory_restart.filter(|limit| *limit > 0).map(Bytes)
    }

    /// What it depends on that others run.
    pub fn externals(&self) -> impl Iterator<Item = &External> {
        self.depends_on.iter().filter_map(|dependency| dependency.external.as_ref())
    }

    /// Whether every end of its process is followed by a start, now or at its next time, so that nobody can wait for it to
    /// have ended.
    pub fn runs_for_ever(&self) -> bool {
        let starts_again = self.autorestart && self.stop_exit_codes.is_empty();
        !self.oneshot && (starts_again || self.schedule.is_some())
    }
}
