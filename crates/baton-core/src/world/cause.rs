//! Why something happened.

use crate::spec::{Condition, Dependency, EventKind};
use crate::units::{Bytes, Millis};
use serde::{Deserialize, Serialize};
use std::fmt;

/// With one digit behind the point.
fn megabytes(bytes: Bytes) -> f64 {
    (bytes.0 as f64 / 1024.0 / 1024.0 * 10.0).round() / 10.0
}

/// As process files have it.
fn size(Bytes(bytes): Bytes) -> String {
    let units = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    let whole = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes} bytes"), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// In seconds, where they are whole.
fn span(time: Millis) -> String {
    if time.0 > 0 && time.0.is_multiple_of(1000) { format!("{} s", time.0 / 1000) } else { format!("{} ms", time.0) }
}

/// A signal by its number on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(pub i32);

const SIGNALS: &[(&str, i32)] = &[
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGBUS", 7),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGSTKFLT", 16),
    ("SIGCHLD", 17),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
    ("SIGVTALRM", 26),
    ("SIGPROF", 27),
    ("SIGWINCH", 28),
    ("SIGIO", 29),
    ("SIGPWR", 30),
    ("SIGSYS", 31),
];

impl Signal {
    /// Asks a program to end, as Ctrl-C does.
    pub const INT: Signal = Signal(2);
    /// Asks a program to quit; PM2's client takes it as the sign that its daemon has ended.
    pub const QUIT: Signal = Signal(3);
    /// Ends a program; it can't refuse.
    pub const KILL: Signal = Signal(9);
    /// Asks a program to end.
    pub const TERM: Signal = Signal(15);

    /// The signal meant by `SIGTERM`, `term` or `15`.
    pub fn parse(text: &str) -> Option<Signal> {
        if let Ok(number) = text.parse::<i32>() {
            return (1..=64).contains(&number).then_some(Signal(number));
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        SIGNALS.iter().find(|(known, _)| &known[3..] == name).map(|(_, number)| Signal(*number))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal ended it.
    Signal(Signal),
    /// The kernel ended it, and all of its control group, because memory was short; the group's limit where that was the
    /// reason.
    #[serde(rename = "out_of_memory")]
    OutOfMemory(Option<Bytes>),
    /// It ended while nobody could see how. Policy treats that as a failure.
    Unknown,
}

impl Exit {
    /// The code that PM2 records: 0 for a process ended by a signal.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(_) | Exit::OutOfMemory(_) | Exit::Unknown => 0,
        }
    }

    /// Whether the process ended as a program that has done its work.
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal(signal) => write!(f, "was ended by {signal}"),
            Exit::OutOfMemory(Some(limit)) => {
                write!(f, "was killed by the kernel: out of memory (limit {})", size(*limit))
            }
            Exit::OutOfMemory(None) => f.write_str("was killed by the kernel: out of memory"),
            Exit::Unknown => f.write_str("ended unseen"),
        }
    }
}

/// What was being done when a process could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnStage {
    /// Reading the files of variables, finding the program, opening log files.
    Prepare,
    /// Starting the exec stub.
    Fork,
    /// Changing user or group.
    User,
    /// Entering the working directory.
    Directory,
    /// Laying out descriptors, limits, session.
    Setup,
    /// Running the program.
    Exec,
    /// The daemon ended before the program was told to run, or the start was called off.
    Cancelled,
}

/// Why a process could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpawnError {
    /// What was being done.
    pub stage: SpawnStage,
    /// The operating system's error number, 0 when it was not its error.
    pub errno: i32,
    /// The whole reason for people, such as `/w/missing: no such file or directory`.
    pub message: String,
}

impl SpawnError {
    /// Whether the machine, or a limit that baton is under, had no room for one more process: EAGAIN, ENOMEM, ENFILE or
    /// EMFILE.
    pub fn is_shortage(&self) -> bool {
        matches!(self.errno, 11 | 12 | 23 | 24)
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What an operator asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Make it run.
    Start,
    /// End it and keep it in the list.
    Stop,
    /// End it and run it again.
    Restart,
    /// End it and forget it.
    Delete,
    /// Put a new life in its place without a gap.
    Reload,
    /// Run a job now, whatever its times are.
    Run,
    /// End everything, and the daemon.
    Kill,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::Delete => "delete",
            Verb::Reload => "reload",
            Verb::Run => "run",
            Verb::Kill => "kill",
        })
    }
}

/// Why a transition happened. Every transition has exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Someone asked for it.
    Operator(Verb),
    /// The process ended by itself.
    Exited(Exit),
    /// The process could not be started.
    SpawnFailed(SpawnError),
    /// Too many unstable exits in a row; how many, and the last one.
    CrashLoop(u32, Exit),
    /// The pause after an exit is over (ms).
    Backoff(Millis),
    /// The machine was started anew.
    Reboot,
    /// The app is listed with `autostart: false`.
    NotAutostarted,
    /// The program runs.
    Spawned,
    /// It has been up for `min_uptime`.
    Stable,
    /// An app that it needs was given up, and why.
    DependencyFailed(String, Box<Cause>),
    /// An app that it needs is down, and why.
    DependencyDown(String, Box<Cause>),
    /// An app that it waits for to have exited runs for ever.
    DependencyEndless(String),
    /// Nothing in the list has the name that it needs.
    DependencyUnknown(String),
    /// Something external was not there in time.
    ExternalAbsent {
        /// Its name.
        name: String,
        /// How long it was waited for (ms).
        within: Millis,
        /// What the last look found, when there was one.
        found: Option<String>,
        /// What its entry tells people to do.
        hint: Option<String>,
    },
    /// It said that it is ready.
    Ready,
    /// It did not say that it is ready within this time.
    NotReady(Millis),
    /// What was to replace it failed for this reason, so it stays.
    ReloadFailed(Box<Cause>),
    /// It has waited for this long enough.
    DependencyLate(Box<Dependency>),
    /// It needs itself, along these names.
    DependencyCycle(Vec<String>),
    /// It is one of the times at which it is to be started again, by this pattern.
    Time(String),
    /// Its process tree used more memory than it may.
    Memory {
        /// What it used.
        used: Bytes,
        /// What it may use.
        limit: Bytes,
    },
    /// Probes of its health have failed.
    Unhealthy {
        /// What was looked for.
        probe: String,
        /// How many in a row.
        failures: u32,
        /// What the last one found.
        found: String,
    },
    /// Its health is good again.
    Healthy,
    /// It did not say `WATCHDOG=1` for so long.
    WatchdogSilent(Millis),
    /// It asked for its restart by `WATCHDOG=trigger`.
    WatchdogTriggered,
    /// One of its processes had no heartbeat for so long.
    HeartbeatSilent {
        /// Which one.
        pid: u32,
        /// For how long.
        within: Millis,
    },
    /// A run of a job has taken longer than its `timeout`.
    Overran(Millis),
    /// A job was due while its run before was still under way.
    Overlapped,
    /// A run of a job was ended because the next was due.
    Replaced,
    /// A job was due while the machine or the daemon was away.
    Missed,
    /// A hook could not be told of an event.
    HookFailed {
        /// Who it is.
        hook: String,
        /// What it was to be told.
        event: EventKind,
        /// What came of the last try.
        why: String,
    },
    /// An app that it waits for to be healthy has no `health`.
    DependencyUnexamined(String),
    /// A file that is watched for it has changed, or come, or gone.
    Changed {
        /// The first that did, as people would write it.
        path: String,
        /// How many more times anything did before it was acted on.
        more: u32,
    },
}

impl Cause {
    /// Whether it is the end of work that was done: an exit with code 0.
    pub fn is_success(&self) -> bool {
        matches!(self, Cause::Exited(exit) if exit.is_success())
    }

    /// Whether it is about a hook, and not about the app itself.
    pub fn is_of_a_hook(&self) -> bool {
        matches!(self, Cause::HookFailed { .. })
    }

    /// Whether it is about an app that is needed, so that nothing of the app itself ran.
    pub fn is_dependency(&self) -> bool {
        match self {
            Cause::DependencyFailed(..)
            | Cause::DependencyDown(..)
            | Cause::DependencyEndless(_)
            | Cause::DependencyUnknown(_)
            | Cause::DependencyUnexamined(_)
            | Cause::ExternalAbsent { .. }
            | Cause::DependencyLate(_)
            | Cause::DependencyCycle(_) => true,
            Cause::Operator(_)
            | Cause::Exited(_)
            | Cause::SpawnFailed(_)
            | Cause::CrashLoop(..)
            | Cause::Backoff(_)
            | Cause::Reboot
            | Cause::NotAutostarted
            | Cause::Spawned
            | Cause::Stable
            | Cause::Ready
            | Cause::NotReady(_)
            | Cause::Time(_)
            | Cause::Memory { .. }
            | Cause::Unhealthy { .. }
            | Cause::Healthy
            | Cause::WatchdogSilent(_)
            | Cause::WatchdogTriggered
            | Cause::HeartbeatSilent { .. }
            | Cause::Overran(_)
            | Cause::Overlapped
            | Cause::Replaced
            | Cause::Missed
            | Cause::HookFailed { .. }
            | Cause::Changed { .. }
            | Cause::ReloadFailed(_) => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Operator(verb) => write!(f, "{verb} was asked for"),
            Cause::Exited(exit) => write!(f, "the process {exit}"),
            Cause::SpawnFailed(error) => write!(f, "could not be started: {error}"),
            Cause::CrashLoop(count, exit) => write!(f, "{count} unstable exits in a row; the last process {exit}"),
            Cause::Backoff(delay) => write!(f, "started again after a pause of {} ms", delay.0),
            Cause::Reboot => f.write_str("the machine was restarted"),
            Cause::NotAutostarted => f.write_str("listed with autostart off"),
            Cause::Spawned => f.write_str("the program runs"),
            Cause::Stable => f.write_str("up for min_uptime"),
            Cause::Ready => f.write_str("it said that it is ready"),
            Cause::NotReady(timeout) => write!(f, "was not ready within {} ms", timeout.0),
            Cause::ReloadFailed(why) => write!(f, "the new version failed and the old one stays: {why}"),
            Cause::DependencyFailed(name, why) => write!(f, "needs {name}, which failed: {why}"),
            Cause::DependencyDown(name, why) => write!(f, "needs {name}, which is down: {why}"),
            Cause::DependencyEndless(name) => write!(f, "needs {name} to have exited, and that is not a oneshot"),
            Cause::DependencyUnexamined(name) => write!(f, "needs {name} to be healthy, and that has no `health`"),
            Cause::DependencyUnknown(name) => write!(f, "needs {name}, which is not in the list"),
            Cause::DependencyLate(dependency) => {
                let timeout = dependency.timeout.unwrap_or_default();
                let (on, within) = (&dependency.on, timeout.0);
                match &dependency.condition {
                    Condition::Log(pattern) => {
                        write!(f, "needs {on}, which did not write a line like `{pattern}` within {within} ms")
                    }
                    word => write!(f, "needs {on}, which was not {word} within {within} ms"),
                }
            }
            Cause::ExternalAbsent { name, within, found, hint } => {
                write!(f, "needs {name}, which was not there within {} ms", within.0)?;
                if let Some(found) = found {
                    write!(f, " ({found})")?;
                }
                hint.as_ref().map_or(Ok(()), |hint| write!(f, ": {hint}"))
            }
            Cause::Time(pattern) => write!(f, "it was time: {pattern}"),
            Cause::Memory { used, limit } => {
                write!(f, "it used {} MB of memory, more than {} MB", megabytes(*used), megabytes(*limit))
            }
            Cause::Unhealthy { probe, failures: 1, found } => write!(f, "its health failed: {probe}: {found}"),
            Cause::Unhealthy { probe, failures, found } => {
                write!(f, "its health failed {failures} times in a row: {probe}: {found}")
            }
            Cause::Healthy => f.write_str("its health is good again"),
            Cause::WatchdogSilent(within) => write!(f, "no WATCHDOG=1 for {}", span(*within)),
            Cause::WatchdogTriggered => f.write_str("it asked for its restart by WATCHDOG=trigger"),
            Cause::HeartbeatSilent { pid, within } => write!(f, "no heartbeat for {} (pid {pid})", span(*within)),
            Cause::Overran(timeout) => write!(f, "the run took longer than its timeout of {}", span(*timeout)),
            Cause::Overlapped => f.write_str("the run before was still under way"),
            Cause::Replaced => f.write_str("the next run was due, and replaces it"),
            Cause::HookFailed { hook, event, why } => {
                write!(f, "the hook `{hook}` could not be told of {}: {why}", event.as_str())
            }
            Cause::Missed => f.write_str("it was due while the machine or baton was away"),
            Cause::Changed { path, more: 0 } => write!(f, "{path} has changed"),
            Cause::Changed { path, more } => write!(f, "{path} has changed, and {more} more"),
            Cause::DependencyCycle(path) => write!(f, "needs itself: {}", path.join(" → ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_memory_is_told_with_the_limit_where_that_was_the_reason() {
        let of = |limit: Option<u64>| Cause::Exited(Exit::OutOfMemory(limit.map(Bytes))).to_string();
        assert_eq!(of(Some(200 << 20)), "the process was killed by the kernel: out of memory (limit 200M)");
        assert_eq!(of(Some(3 << 30)), "the process was killed by the kernel: out of memory (limit 3G)");
        assert_eq!(of(Some(4097)), "the process was killed by the kernel: out of memory (limit 4097 bytes)");
        assert_eq!(of(None), "the process was killed by the kernel: out of memory");
        let exit = Exit::OutOfMemory(Some(Bytes(1)));
        assert_eq!(serde_json::json!(exit), serde_json::json!({"out_of_memory": 1}));
        assert!(!exit.is_success() && exit.code() == 0);
    }
}
