//! The prefixes and messages that scripts look for in PM2's output.
//!
//! A function returns the line without its newline; whether it goes to standard output or error is said with it.

use crate::environment::{INTERNAL_KEYS, LISTED_KEYS, scalar};
use crate::inspect;
use crate::mask;
use crate::style::{Colour, Style};
use baton_core::units::InstanceId;
use serde_json::{Map, Value, json};

/// Prefix of plain messages.
pub const PREFIX: &str = "[PM2] ";
/// Prefix of remarks.
pub const PREFIX_INFO: &str = "[PM2][INFO] ";
/// Prefix of errors.
pub const PREFIX_ERROR: &str = "[PM2][ERROR] ";
/// Prefix of warnings.
pub const PREFIX_WARN: &str = "[PM2][WARN] ";
/// Prefix of messages about modules.
pub const PREFIX_MODULE: &str = "[PM2][Module] ";

/// The end of a start.
pub const DONE: &str = "Done.";
/// After a start of an app that was in the list.
pub const STARTED: &str = "Process successfully started";
/// Under a restart without `--update-env`.
pub const UPDATE_ENV_HINT: &str = "Use --update-env to update environment variables";
/// For a word that is no verb.
pub const NO_COMMAND: &str = "Command not found";
/// When a process is running already.
pub const ALREADY_LAUNCHED: &str = "Script already launched, add -f option to force re-execution";
/// For `--env` without a process file.
pub const ENV_WITHOUT_FILE: &str = "Using --env [env] without passing the ecosystem.config.js does not work";
/// When `all` or a pattern means nothing.
pub const NO_PROCESS: &str = "No process found";
/// At the beginning of a save.
pub const SAVING: &str = "Saving current process list...";
/// When a save has nothing to write: two warnings.
pub const NOTHING_TO_SAVE: [&str; 2] =
    ["PM2 is not managing any process, skipping save...", "To force saving use: pm2 save --force"];
/// At the beginning of a resurrection.
pub const RESURRECTING: &str = "Resurrecting";
/// When neither dump can be read.
pub const NO_DUMP: &str = "No processes saved; DUMP file doesn't exist";
/// After a flush.
pub const FLUSHED: &str = "Logs flushed";
/// Before the log files are opened anew.
pub const RELOADING_LOGS: &str = "Reloading all logs...";
/// After the log files were opened anew.
pub const LOGS_RELOADED: &str = "All logs reloaded";
/// `scale` to the number that is there.
pub const NOTHING_TO_DO: &str = "Nothing to do";
/// One more instance by `scale`.
pub const SCALING_UP: &str = "Scaling up application";
/// `kill`, when every app has ended.
pub const ALL_STOPPED: &str = "[v] All Applications Stopped";
/// `kill`, when the daemon has ended.
pub const DAEMON_STOPPED: &str = "[v] PM2 Daemon Stopped";
/// When the daemon has been started by a command.
pub const DAEMONIZED: &str = "PM2 Successfully daemonized";
/// At the end of an update.
pub const UPDATED: &str = ">>>>>>>>>> PM2 updated";
/// For a name that `reset` or `sendSignal` doesn't know. Without a prefix, on standard error.
pub const UNKNOWN_NAME: &str = "Unknown process name";
/// For a signal that there is not. Without a prefix.
pub const UNKNOWN_SIGNAL: &str = "Error when sending signal (signal unknown)";

/// `text` behind a prefix, which is coloured.
pub fn prefixed(colour: Colour, prefix: &str, text: &str) -> String {
    let style = match prefix {
        PREFIX_ERROR => Style::Red,
        PREFIX_WARN => Style::Yellow,
        PREFIX_INFO => Style::Cyan,
        PREFIX_MODULE => Style::BoldGreen,
        _ => Style::Green,
    };
    format!("{}{text}", colour.paint(style, prefix))
}

/// After programs were told to carry out an action.
pub fn triggered(count: usize, action: &str) -> String {
    format!("{count} processes have received command {action}")
}

/// Before a script is started. `instances` is the number asked for: 0 when one per processor is meant.
pub fn starting(script: &str, exec_mode: &str, instances: i32) -> String {
    let noun = if instances > 1 { "instances" } else { "instance" };
    format!("Starting {script} in {exec_mode} ({instances} {noun})")
}

/// Before the apps of a process file that are not in the list are started. A warning.
pub fn not_running(names: &[&str]) -> String {
    format!("Applications {} not running, starting...", names.join(", "))
}

/// After an app of a process file was started.
pub fn launched(name: &str, instances: usize) -> String {
    format!("App [{name}] launched ({instances} instances)")
}

/// The word for an action in [`applying`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionName {
    /// `restart`, and `start` of what is in the list.
    Restart,
    /// `stop`.
    Stop,
    /// `delete`.
    Delete,
    /// `reload`.
    Reload,
}

impl ActionName {
    /// PM2's word.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionName::Restart => "restartProcessId",
            ActionName::Stop => "stopProcessId",
            ActionName::Delete => "deleteProcessId",
            ActionName::Reload => "reloadProcessId",
        }
    }
}

/// Before an action on the slots that a word means.
pub fn applying(action: ActionName, target: &str, ids: &[InstanceId]) -> String {
    let ids = match ids {
        // A number that was written on the command line stays the text that it was.
        [id] if target == id.to_string() => inspect::render(&json!([target])),
        ids => id_list(ids),
    };
    format!("Applying action {} on app [{target}](ids: {ids})", action.as_str())
}

/// After an action on one slot.
pub fn acted(name: &str, id: InstanceId) -> String {
    format!("[{name}]({id}) ✓")
}

/// Numbers of slots as `id <name>` prints them.
pub fn id_list(ids: &[InstanceId]) -> String {
    inspect::render(&ids.iter().map(|id| Value::from(id.0)).collect())
}

/// The answer to `ping`. Without a prefix.
pub fn pong() -> String {
    inspect::render(&json!({ "msg": "pong" }))
}

/// For a word that names neither an app nor a unit.
pub fn not_found(word: &str) -> String {
    format!("Process or Namespace {word} not found")
}

/// For a script that is neither a file nor on PATH.
pub fn script_not_found(path: &str) -> String {
    format!("Script not found: {path}")
}

/// For a process file that is not there.
pub fn file_not_found(path: &str) -> String {
    format!("File {path} not found")
}

/// For `describe` of what is not in the list. A warning.
pub fn does_not_exist(word: &str) -> String {
    format!("{word} doesn't exist")
}

/// For `env` of a number that is not in the list.
pub fn no_module_with_id(word: &str) -> String {
    format!("Modules with id {word} not found")
}

/// While a daemon is started.
pub fn spawning_daemon(home: &str) -> String {
    format!("Spawning PM2 daemon with pm2_home={home}")
}

/// After a save.
pub fn saved_in(path: &str) -> String {
    format!("Successfully saved in {path}")
}

/// After `cleardump`.
pub fn created(path: &str) -> String {
    format!("Successfully created {path}")
}

/// Before the dump is read.
pub fn restoring(path: &str) -> String {
    format!("Restoring processes located in {path}")
}

/// After a slot of the dump was made.
pub fn restored(script: &str) -> String {
    format!("Process {script} restored")
}

/// For a dump that can't be read.
pub fn dump_unreadable(path: &str) -> String {
    format!("Failed to read dump file in {path}")
}

/// For a dump that is no list of processes.
pub fn dump_unparsable(path: &str) -> String {
    format!("Failed to parse dump file in {path}")
}

/// Before a log file is emptied.
pub fn flushing(path: &str) -> String {
    format!("Flushing {path}")
}

/// After the counters of a slot were set to 0.
pub fn resetting(id: InstanceId) -> String {
    format!("Resetting meta for process id {id}")
}

/// To whom a signal goes, in the words of `sendSignal`.
pub fn signal_target(word: &str) -> String {
    let noun = if word.parse::<u32>().is_ok() { "process id" } else { "process name" };
    format!("{noun} {word}")
}

/// Before a signal is sent.
pub fn sending_signal(word: &str) -> String {
    format!("Sending signal to {}", signal_target(word))
}

/// After a signal was sent. Without a prefix.
pub fn signal_sent(signal: &str, word: &str) -> String {
    format!("successfully sent signal {signal} to {}", signal_target(word))
}

/// The variables of a record as `env <id>` lists them: PM2's own members are left out, the last one comes first. With
/// `masked`, secrets do not show.
pub fn env_lines(record: &Map<String, Value>, masked: bool) -> Vec<String> {
    let shown = |key: &str, value: String| if masked { mask::value(key, &value).into_owned() } else { value };
    record
        .iter()
        .rev()
        .filter(|(key, _)| !INTERNAL_KEYS.contains(&key.as_str()) || LISTED_KEYS.contains(&key.as_str()))
        .filter_map(|(key, value)| Some(format!("{key}: {}", shown(key, scalar(value)?))))
        .collect()
}

/// `scale` of an app that is not in the list.
pub fn no_app(name: &str) -> String {
    format!("Application {name} not found")
}
