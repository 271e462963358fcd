//! The key `on_event`: who is told when something happens to an app.

use crate::units::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long one call of a hook may take when the file does not say (ms).
pub const HOOK_TIMEOUT: Millis = Millis(10_000);
/// How often a call that failed is made again when the file does not say.
pub const HOOK_RETRIES: u32 = 3;
/// How often at most.
pub const MOST_RETRIES: u32 = 10;

/// Who is told, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Who.
    pub by: HookBy,
    /// Of which kinds of events.
    pub events: Vec<EventKind>,
    /// How long one call may take (ms).
    pub timeout: Millis,
    /// How often a call that failed is made again.
    pub retries: u32,
}

/// How a hook is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookBy {
    /// A command line: the event is its standard input, as JSON.
    Exec(String),
    /// A POST to this `http://` address: the event is its body, as JSON.
    Http(String),
}

impl fmt::Display for HookBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookBy::Exec(what) | HookBy::Http(what) => f.write_str(what),
        }
    }
}

/// What happens to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Its process has ended by itself.
    Exit,
    /// The kernel has killed it because memory was short, or it had used what its group may.
    Oom,
    /// It is started again, and nobody has asked for that.
    Restart,
    /// It was given up.
    Errored,
    /// It ends again and again soon after its starts.
    CrashLoop,
    /// Its health fails, or its watchdog or heartbeat is silent.
    Unhealthy,
    /// Its health is good again.
    Healthy,
    /// A run of a job has failed.
    Failed,
}

impl EventKind {
    /// All of them.
    pub const ALL: [EventKind; 8] = [
        EventKind::Exit,
        EventKind::Oom,
        EventKind::Restart,
        EventKind::Errored,
        EventKind::CrashLoop,
        EventKind::Unhealthy,
        EventKind::Healthy,
        EventKind::Failed,
    ];

    /// Those that somebody should look at: what a hook is told when its `events` do not say.
    pub const ALARMS: [EventKind; 5] =
        [EventKind::Oom, EventKind::Errored, EventKind::CrashLoop, EventKind::Unhealthy, EventKind::Failed];

    /// Its word in process files.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Exit => "exit",
            EventKind::Oom => "oom",
            EventKind::Restart => "restart",
            EventKind::Errored => "errored",
            EventKind::CrashLoop => "crash-loop",
            EventKind::Unhealthy => "unhealthy",
            EventKind::Healthy => "healthy",
            EventKind::Failed => "failed",
        }
    }

    /// What a word means; `crash_loop` is the same as `crash-loop`.
    pub fn parse(word: &str) -> Option<EventKind> {
        let word = word.replace('_', "-");
        EventKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
