//! What must be done.

use crate::proto::{Reply, Update};
use crate::spec::{External, Hook};
use crate::units::{Incarnation, InstanceId, OpId};
use crate::world::{Report, Signal};
use serde::{Deserialize, Serialize};

/// A deed. Carried out by the daemon, in order; results come back as events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Make a process as the slot's definition says, which waits to be told to run. Answered by one `Prepared` or
    /// `SpawnFailed`.
    Spawn {
        /// The slot.
        id: InstanceId,
        /// The life to give it.
        incarnation: Incarnation,
    },
    /// Tell a prepared process to run its program. Answered by one `Spawned` or `SpawnFailed`, and after `Spawned` by
    /// one `Exited`.
    Go {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Tell a prepared process not to run. Answered by `SpawnFailed`.
    Abort {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Send a signal to a process that was told to run.
    Signal {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// Which signal.
        signal: Signal,
        /// To whom.
        scope: Scope,
    },
    /// Watch what is left of the incarnation's tree; answered by `TreeGone`.
    AwaitTree {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Begin to look for what shows that the incarnation is ready, as its definition says; answered by `Ready`, or
    /// by nothing.
    AwaitReady {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Tell of the first line of its output, from its first byte on, that matches; answered by `Heard`.
    Hear {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// A regular expression.
        pattern: String,
    },
    /// Probe the health of the incarnation, as its definition says; answered by one `Examined`, if it lives so long.
    Examine {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Give the incarnation no new work and let it finish what it has; answered by `Drained`.
    Drain {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Ask the incarnation to end by the message `shutdown`; where it has no channel, by this signal.
    Farewell {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// The signal instead.
        signal: Signal,
        /// To whom the signal goes.
        scope: Scope,
    },
    /// Send SIGKILL to everything of the incarnation, again and again until nothing is found.
    Kill {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// To whom.
        scope: Scope,
    },
    /// Look for something external, again and again until it is there: a slot waits for it. Answered by `Probed`.
    Probe {
        /// What to look for.
        external: External,
        /// A slot that waits for it: command lines run with the environment of its shell.
        id: InstanceId,
    },
    /// Nobody waits for it any more.
    StopProbe {
        /// What was looked for.
        external: External,
    },
    /// The incarnation is over: its FIFOs, record and guard entries go once its output is drained.
    Release {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// The slot is forgotten: its record goes.
    Forget {
        /// The slot.
        id: InstanceId,
    },
    /// Tell a hook of an event; answered by `HookFailed` when that can't be done, else by nothing.
    Call {
        /// Who is told.
        hook: Box<Hook>,
        /// What.
        report: Box<Report>,
    },
    /// What is wished has changed: it must be on disk before any reply that follows.
    Persist,
    /// Answer a request.
    Reply {
        /// Which.
        op: OpId,
        /// The answer.
        reply: Reply,
    },
    /// Tell those who subscribed.
    Publish(Update),
    /// End the daemon and the guard once every effect of this step is carried out.
    Shutdown,
}

/// To whom a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that belongs to the incarnation.
    Tree,
    /// The first process alone (`treekill: false`).
    Leader,
}
