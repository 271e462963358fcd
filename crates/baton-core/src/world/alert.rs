//! What is told to the hooks of an app (`on_event`).

use super::cause::{Cause, Exit};
use super::instance::Instance;
use super::view::Status;
use crate::spec::{EventKind, Hook};
use crate::units::{Incarnation, InstanceId, Now, WallTime};
use serde::{Deserialize, Serialize};

/// Something that happened, until the step that brought it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is; a hook that wants any of them is called once. The first one is its name.
    pub kinds: Vec<EventKind>,
    /// Why.
    pub cause: Cause,
    /// How the process ended, where one did.
    pub exit: Option<Exit>,
}

/// What a hook is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What happened.
    pub event: EventKind,
    /// When (ms since 1970).
    pub at: WallTime,
    /// Name of the app.
    pub app: String,
    /// Name of its unit.
    pub unit: String,
    /// Number of the slot in the list.
    pub id: InstanceId,
    /// Number among the instances of the app.
    pub instance: u32,
    /// PM2's word for its state after that.
    pub status: Status,
    /// Why, for people.
    pub why: String,
    /// The same for programs.
    pub cause: Cause,
    /// How the process ended, where one did.
    pub exit: Option<Exit>,
    /// Starts beyond the first.
    pub restarts: u32,
    /// Unstable exits in a row.
    pub unstable: u32,
    /// The current or last life.
    pub incarnation: Incarnation,
}

impl Instance {
    /// Something has happened that hooks may want to know.
    pub(crate) fn alert(&mut self, kinds: &[EventKind], cause: &Cause, exit: Option<Exit>) {
        let is_wanted = |hook: &Hook| hook.events.iter().any(|kind| kinds.contains(kind));
        if self.spec.on_event.iter().any(is_wanted) {
            self.alerts.push(Alert { kinds: kinds.to_vec(), cause: cause.clone(), exit });
        }
    }

    /// The calls that follow from what has happened in this step.
    pub(crate) fn take_calls(&mut self, now: Now) -> Vec<(Hook, Report)> {
        let alerts = std::mem::take(&mut self.alerts);
        let mut calls = Vec::new();
        for alert in alerts {
            for hook in &self.spec.on_event {
                // A hook for crash loops alone is told of that.
                let Some(event) = alert.kinds.iter().copied().find(|kind| hook.events.contains(kind)) else { continue };
                let report = Report {
                    event,
                    at: now.wall,
                    app: self.spec.name.clone(),
                    unit: self.spec.namespace.clone(),
                    id: self.id,
                    instance: self.number,
                    status: Status::from(&self.state),
                    why: alert.cause.to_string(),
                    cause: alert.cause.clone(),
                    exit: alert.exit,
                    restarts: self.restarts,
                    unstable: self.unstable,
                    incarnation: self.incarnation,
                };
                calls.push((hook.clone(), report));
            }
        }
        calls
    }
}
