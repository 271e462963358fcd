//! What can happen.

use crate::proto::Command;
use crate::spec::{EventKind, External};
use crate::sync::Desired;
use crate::units::{Bytes, Incarnation, InstanceId, Millis, OpId, WallTime};
use crate::world::{Exit, Identity, SpawnError};
use serde::{Deserialize, Serialize};

/// Something that happened. Every event of a process carries its incarnation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Someone asks for something.
    Command {
        /// Names the request in the reply.
        op: OpId,
        /// What is asked.
        command: Command,
    },
    /// Someone asks what following a source would do, once nobody else follows one.
    PlanAsked {
        /// Names the request in the reply.
        op: OpId,
        /// What the source says.
        desired: Box<Desired>,
    },
    /// The process of an incarnation exists and waits to be told to run. Its identity must be on record before `Go`.
    Prepared {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// The leader.
        identity: Identity,
    },
    /// The program of an incarnation runs: the exec worked.
    Spawned {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// An incarnation could not be started. Nothing of it is left.
    SpawnFailed {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// Why.
        error: SpawnError,
    },
    /// The leader ended. Comes exactly once after `Spawned`.
    Exited {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// How.
        exit: Exit,
    },
    /// Nothing of the incarnation's process tree is left: two passes found nothing. Answers `AwaitTree`.
    TreeGone {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Somebody has looked for something external that is waited for. Answers `Probe`, as often as there is news.
    Probed {
        /// What was looked for.
        external: External,
        /// Whether it is there, and why not.
        result: Result<(), String>,
    },
    /// An incarnation says that it is ready, or what was to show it has been seen. May come at any time, or never.
    Ready {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// An incarnation that was to drain has nothing left to do. Answers `Drain`.
    Drained {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
    },
    /// Output of a slot was dropped while a log could not be written, in this life of it or one before.
    OutputDropped {
        /// The slot.
        id: InstanceId,
        /// How much, in bytes.
        bytes: u64,
    },
    /// It is one of the times at which a slot is to be started again.
    Struck {
        /// The slot.
        id: InstanceId,
    },
    /// Somebody has found out when a job is due next.
    Planned {
        /// The slot.
        id: InstanceId,
        /// The pattern that was looked at.
        pattern: String,
        /// Its next time, when it has one.
        time: Option<WallTime>,
    },
    /// A hook could not be told of an event.
    HookFailed {
        /// The slot.
        id: InstanceId,
        /// Who it is.
        hook: String,
        /// What it was to be told.
        event: EventKind,
        /// What came of the last try.
        why: String,
    },
    /// The wall clock is to be looked at: a job is due, or the clock was set.
    Clock,
    /// What the process tree of a life uses, where there is a limit.
    Weighed {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// Its memory.
        used: Bytes,
    },
    /// What a probe of a life's health has found. Answers `Examine`.
    Examined {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// Whether it is well, and what was found instead.
        result: Result<(), String>,
    },
    /// A life has spoken to its watchdog.
    Petted {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// What it said.
        pet: Pet,
    },
    /// A process of a life says that it is well.
    Beat {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// Which process.
        process: Identity,
        /// What it calls itself.
        name: Option<String>,
    },
    /// A process that has said so has ended.
    BeaterGone {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// Which process.
        process: Identity,
    },
    /// A file that is watched for a slot has changed, or come, or gone.
    Changed {
        /// The slot.
        id: InstanceId,
        /// The file, as people would write it.
        path: String,
        /// How many more did at the same time.
        more: u32,
    },
    /// Time has passed: the earliest deadline of the world is due.
    Timer,
    /// A life has written a line that was listened for.
    Heard {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// The regular expression that the line matches.
        pattern: String,
    },
    /// A new daemon has looked at an incarnation that its predecessor left.
    Recovered {
        /// The slot.
        id: InstanceId,
        /// The life.
        incarnation: Incarnation,
        /// What it found.
        found: Found,
    },
    /// The client of a request is gone; nobody waits for its reply.
    ClientGone {
        /// The request.
        op: OpId,
    },
}

/// What a life says to its watchdog, in the words of `sd_notify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pet {
    /// `WATCHDOG=1`: it is well.
    Alive,
    /// `WATCHDOG=trigger`: it is not.
    Trigger,
    /// `WATCHDOG_USEC=…`: it wants this long from now on (ms); 0 is off.
    Every(Millis),
}

/// What a new daemon found of an incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The same process lives, and its program runs.
    Alive(Identity),
    /// It ended meanwhile.
    Ended(Exit),
    /// It was never told to run, and never will.
    NeverRan,
    /// The machine was restarted since.
    Rebooted,
}
