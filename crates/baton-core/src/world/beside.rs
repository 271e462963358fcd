//! A life beside the current one of its slot: the one that is to replace it, or the one that it has replaced. This is
//! the declared overlap of a reload; nothing else makes one.

use super::cause::{Cause, Exit};
use super::instance::Identity;
use crate::spec::AppSpec;
use crate::units::{Incarnation, Instant, WallTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A life beside the current one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// Which life.
    pub incarnation: Incarnation,
    /// What it runs: for a candidate, what the slot is to become; for a retired life, what the slot was.
    pub spec: Arc<AppSpec>,
    /// The leader, once it is known.
    pub process: Option<Identity>,
    /// When it began.
    pub started_at: Option<WallTime>,
    /// Where it is.
    pub phase: Phase,
}

/// Where a life beside the current one is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A candidate: a spawn is on its way.
    Starting {
        /// Since when.
        since: Instant,
    },
    /// A candidate: its program runs and is not ready yet.
    Unready {
        /// Since when.
        since: Instant,
        /// Until when it may take.
        until: Instant,
        /// Whether being up at that moment is enough.
        counts: bool,
    },
    /// A retired life that takes nothing new and finishes what it has.
    Draining {
        /// When what is left is killed.
        kill_at: Instant,
    },
    /// It is ending.
    Ending {
        /// When what is left is killed.
        kill_at: Instant,
        /// Whether SIGKILL was sent.
        killed: bool,
        /// How the leader ended, once it has.
        exit: Option<Exit>,
        /// Whether nothing of the tree is left.
        tree_gone: bool,
        /// For a candidate that failed: why.
        failure: Option<Cause>,
    },
}

impl Beside {
    /// Whether it may still take the place of the current life.
    pub fn is_candidate(&self) -> bool {
        match self.phase {
            Phase::Starting { .. } | Phase::Unready { .. } => true,
            Phase::Draining { .. } | Phase::Ending { .. } => false,
        }
    }

    /// When it next wants to be looked at, if its phase has a clock.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Unready { until, .. } => Some(until),
            Phase::Draining { kill_at } | Phase::Ending { kill_at, killed: false, .. } => Some(kill_at),
            Phase::Starting { .. } | Phase::Ending { killed: true, .. } => None,
        }
    }
}
