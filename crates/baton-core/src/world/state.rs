//! The state of a slot.

use super::cause::{Cause, Exit, Verb};
use crate::spec::Dependency;
use crate::units::{Incarnation, InstanceId, Instant, Millis};
use serde::{Deserialize, Serialize};

/// Where a slot is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing runs, and nothing will until someone asks.
    Stopped {
        /// Why.
        why: Cause,
    },
    /// A job between two runs: nothing runs, and something will when it is due.
    Idle {
        /// How it came to that: how the last run ended, or who has asked for it.
        why: Cause,
    },
    /// Asked to start, and waiting for what it depends on.
    Waiting {
        /// What has not come so far yet.
        for_: Vec<Dependency>,
        /// Since when.
        since: Instant,
        /// Why it is to start.
        why: Cause,
    },
    /// A spawn is on its way.
    Starting {
        /// Since when.
        since: Instant,
    },
    /// The program runs, and has still to say that it is ready.
    Unready {
        /// Since when.
        since: Instant,
        /// Until when it may take.
        until: Instant,
    },
    /// The program runs.
    Online {
        /// Since when.
        since: Instant,
        /// Whether it counts as ready: it has said so, or it is up for `min_uptime`.
        ready: bool,
    },
    /// The incarnation is ending: to be signalled once what depends on it has ended, signalled, or its leader has exited and the rest of its tree is being cleared.
    Stopping {
        /// Since when.
        since: Instant,
        /// When what is left is killed.
        kill_at: Instant,
        /// Whether SIGKILL was sent.
        killed: bool,
        /// How the leader ended, once it has.
        exit: Option<Exit>,
        /// Whether nothing of the tree is left.
        tree_gone: bool,
        /// Lives of dependents that end first: nothing was sent yet, and `kill_at` does not count.
        #[serde(default)]
        after: Vec<(InstanceId, Incarnation)>,
        /// What comes after.
        then: Then,
    },
    /// Waiting to start again.
    Backoff {
        /// When.
        until: Instant,
        /// How long the whole pause is.
        delay: Millis,
    },
    /// Given up, until someone asks.
    Errored {
        /// Why.
        why: Cause,
    },
}

/// What follows when an incarnation has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Stay down.
    Stop(Cause),
    /// Rest until the job is due again.
    Rest(Cause),
    /// Start again at once: someone asked, or a file, a time or the memory in use wants it.
    Restart(Cause),
    /// Leave the list.
    Remove,
    /// Start again at this moment, because policy says so.
    Respawn {
        /// When.
        at: Instant,
        /// How long the whole pause is.
        delay: Millis,
        /// The exit that led to it.
        why: Cause,
    },
    /// Give up.
    GiveUp(Cause),
}

impl Then {
    /// Why; of what is to leave the list, that somebody has asked for it.
    pub fn cause(&self) -> Cause {
        match self {
            Then::Stop(why) | Then::Rest(why) | Then::Restart(why) | Then::GiveUp(why) | Then::Respawn { why, .. } => {
                why.clone()
            }
            Then::Remove => Cause::Operator(Verb::Delete),
        }
    }

    /// Whether nobody has asked for it. Such a start waits for nothing and gives way to what was asked.
    pub fn comes_by_itself(&self) -> bool {
        match self {
            Then::Respawn { .. } => true,
            Then::Restart(why) | Then::Rest(why) => !matches!(why, Cause::Operator(_)),
            Then::Stop(_) | Then::Remove | Then::GiveUp(_) => false,
        }
    }
}

/// What is wished of a slot; this much of its state must survive anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// It should run.
    Up,
    /// It should not run.
    Down,
    /// It was given up.
    Failed,
    /// It should not be in the list.
    Gone,
}

impl State {
    /// What is wished of a slot in this state.
    pub fn wanted(&self) -> Wanted {
        match self {
            State::Stopped { .. } => Wanted::Down,
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Unready { .. }
            | State::Online { .. }
            | State::Backoff { .. } => Wanted::Up,
            State::Errored { .. } => Wanted::Failed,
            State::Stopping { then, .. } => match then {
                Then::Stop(_) => Wanted::Down,
                Then::Restart(_) | Then::Respawn { .. } | Then::Rest(_) => Wanted::Up,
                Then::Remove => Wanted::Gone,
                Then::GiveUp(_) => Wanted::Failed,
            },
        }
    }

    /// Since when its program runs, when it is to go on.
    pub fn running_since(&self) -> Option<Instant> {
        match self {
            State::Unready { since, .. } | State::Online { since, .. } => Some(*since),
            State::Stopped { .. }
            | State::Idle { .. }
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Errored { .. } => None,
        }
    }

    /// Whether an incarnation may be alive in this state.
    pub fn has_process(&self) -> bool {
        match self {
            State::Starting { .. } | State::Unready { .. } | State::Online { .. } | State::Stopping { .. } => true,
            State::Stopped { .. }
            | State::Idle { .. }
            | State::Waiting { .. }
            | State::Backoff { .. }
            | State::Errored { .. } => false,
        }
    }
}
