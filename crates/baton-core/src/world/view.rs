//! How the outside sees a slot.

use super::care::{Well, Wellness};
use super::cause::Exit;
use super::instance::{Death, Instance, InstanceFiles, Transition};
use super::job::JobView;
use super::state::{State, Then};
use super::telling::Telling;
use crate::proto::shared;
use crate::spec::{AppSpec, Dependency};
use crate::sync::Drift;
use crate::units::{Bytes, InstanceId, Instant, Millis, Now, WallTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// PM2's word for a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Spawning, or waiting for a dependency.
    #[serde(rename = "launching")]
    Launching,
    /// Running.
    #[serde(rename = "online")]
    Online,
    /// Ending.
    #[serde(rename = "stopping")]
    Stopping,
    /// Not running.
    #[serde(rename = "stopped")]
    Stopped,
    /// Given up.
    #[serde(rename = "errored")]
    Errored,
    /// In a pause before the next start.
    #[serde(rename = "waiting restart")]
    WaitingRestart,
}

impl Status {
    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Launching => "launching",
            Status::Online => "online",
            Status::Stopping => "stopping",
            Status::Stopped => "stopped",
            Status::Errored => "errored",
            Status::WaitingRestart => "waiting restart",
        }
    }
}

impl From<&State> for Status {
    fn from(state: &State) -> Self {
        match state {
            // PM2 has no word for it, and nothing runs.
            State::Stopped { .. } | State::Idle { .. } => Status::Stopped,
            State::Waiting { .. } | State::Starting { .. } | State::Unready { .. } => Status::Launching,
            State::Online { .. } => Status::Online,
            State::Backoff { .. } => Status::WaitingRestart,
            State::Errored { .. } => Status::Errored,
            State::Stopping { then: Then::Respawn { .. }, .. } => Status::WaitingRestart,
            State::Stopping { .. } => Status::Stopping,
        }
    }
}

/// How much of a slot is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// What a table has room for.
    #[default]
    Row,
    /// Also its definition and environment.
    Definition,
    /// Also its last transitions and deaths.
    History,
}

/// One slot at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its number in the list.
    pub id: InstanceId,
    /// Its number among the instances of its app.
    pub number: u32,
    /// Name of the app.
    pub name: String,
    /// Name of the unit.
    pub namespace: String,
    /// PM2's word for its state.
    pub status: Status,
    /// Whether it counts as ready.
    pub ready: bool,
    /// Its health, when that is asked for and it is online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Wellness>,
    /// The leader's process id while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How long the current life has lasted (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<Millis>,
    /// When the current or last life began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<WallTime>,
    /// When the slot was made.
    pub created_at: WallTime,
    /// Starts beyond the first.
    pub restarts: u32,
    /// Unstable exits in a row.
    pub unstable: u32,
    /// How the last life ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// When the pause ends, for a slot that waits: milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_in: Option<Millis>,
    /// What must come first, for a slot that waits for dependencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Dependency>,
    /// Memory of the whole tree, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Processor share of the whole tree in percent of one processor since the last look, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// The last change of state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Transition>,
    /// The last hook that could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Transition>,
    /// Its files.
    pub files: InstanceFiles,
    /// Bytes of its output that were dropped because a log could not be written.
    #[serde(default)]
    pub dropped: u64,
    /// The whole definition, environment included, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "shared::optional_definition")]
    pub spec: Option<Arc<AppSpec>>,
    /// Value of the app's `increment_var`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increment: Option<i64>,
    /// The last transitions, when they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// The last deaths, when they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deaths: Vec<Death>,
    /// Mode, processor user and watching, for the table.
    pub mode: crate::spec::ExecMode,
    /// Name of the user it runs as.
    pub user: String,
    /// Whether files are watched for it.
    pub watching: bool,
    /// The script's path.
    pub script: String,
    /// What its program tells of itself, when the definition was asked for and it has told something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<Telling>>,
    /// The source that it belongs to, when `sync` made it or took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// That source does not have it any more.
    #[serde(default)]
    pub orphan: bool,
    /// What is known of it as a job, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<JobView>>,
    /// What was changed by hand since that source was followed last, when the history was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
}

impl InstanceView {
    /// Whether it is online and its health fails.
    pub fn is_degraded(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.state == Well::Degraded)
    }

    /// Whether it is a job between two runs.
    pub fn is_idle(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.idle)
    }

    /// Its state in a word: PM2's, but for a job between two runs.
    pub fn word(&self) -> &'static str {
        self.job.as_ref().and_then(|job| job.word()).unwrap_or(self.status.as_str())
    }
}

impl Instance {
    /// This slot as the outside sees it.
    pub fn view(&self, now: Now, detail: Detail) -> InstanceView {
        let history = detail >= Detail::History;
        let since = |instant: Instant| now.instant - instant;
        let (uptime, ready) = match &self.state {
            State::Online { since: at, ready } => (Some(since(*at)), *ready),
            State::Unready { since: at, .. } => (Some(since(*at)), false),
            _ => (None, false),
        };
        InstanceView {
            id: self.id,
            number: self.number,
            name: self.spec.name.clone(),
            namespace: self.spec.namespace.clone(),
            status: Status::from(&self.state),
            ready,
            health: self.wellness(),
            pid: if self.state.has_process() { self.process.as_ref().map(|p| p.pid) } else { None },
            uptime,
            started_at: self.started_at,
            created_at: self.created_at,
            restarts: self.restarts,
            unstable: self.unstable,
            last_exit: self.last_exit,
            starts_in: match &self.state {
                State::Backoff { until, .. } => Some(*until - now.instant),
                _ => None,
            },
            waits_for: match &self.state {
                State::Waiting { for_, .. } => for_.clone(),
                _ => Vec::new(),
            },
            memory: None,
            cpu: None,
            last: self.last_transition().cloned(),
            hook: self.transitions.iter().rev().find(|transition| transition.cause.is_of_a_hook()).cloned(),
            files: self.files.clone(),
            dropped: self.dropped,
            spec: (detail >= Detail::Definition).then(|| self.spec.clone()),
            increment: self.increment,
            transitions: if history { self.transitions.iter().cloned().collect() } else { Vec::new() },
            deaths: if history { self.deaths.iter().cloned().collect() } else { Vec::new() },
            mode: self.spec.exec_mode,
            user: self.spec.uid.clone().unwrap_or_else(|| self.spec.username.clone()),
            watching: self.is_watched(),
            script: self.spec.script.clone(),
            told: None,
            owner: self.owner.clone(),
            orphan: self.orphan,
            job: JobView::of(self, history).map(Box::new),
            drift: Vec::new(),
        }
    }
}
