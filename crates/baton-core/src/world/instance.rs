//! One slot of the process list.

use super::Directories;
use super::alert::Alert;
use super::beside::Beside;
use super::care::Care;
use super::cause::{Cause, Exit};
use super::job::Job;
use super::state::{State, Wanted};
use crate::spec::AppSpec;
use crate::units::{Incarnation, InstanceId, Instant, Millis, WallTime};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// How many deaths and transitions a slot remembers.
const MEMORY: usize = 20;

/// A process that can't be mistaken for another: a pid alone is used again by the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot, as the kernel tells it.
    pub start_time: u64,
    /// Random id of this boot of the machine.
    pub boot_id: String,
}

/// The end of one incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Which one.
    pub incarnation: Incarnation,
    /// How it ended.
    pub exit: Exit,
    /// When.
    pub at: WallTime,
    /// How long it had run.
    pub uptime: Millis,
}

/// One change of state, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: WallTime,
    /// The state that was entered, as a word.
    pub to: String,
    /// Why.
    pub cause: Cause,
}

/// Changes of watched files that have not been acted on yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// When the first came.
    pub first: Instant,
    /// When the last came.
    pub last: Instant,
    /// The first file.
    pub path: String,
    /// How many came after it.
    pub more: u32,
}

/// The files of one slot, as absolute paths. `None` writes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceFiles {
    /// Standard output.
    pub out: Option<String>,
    /// Standard error.
    pub error: Option<String>,
    /// Both together.
    pub combined: Option<String>,
    /// The pid.
    pub pid: String,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its number in the list.
    pub id: InstanceId,
    /// Its number among the instances of its app, from 0 (`NODE_APP_INSTANCE`).
    pub number: u32,
    /// What it should be.
    #[serde(skip, default)]
    pub spec: Arc<AppSpec>,
    /// Where it is in its life.
    pub state: State,
    /// The current life, or the last one.
    pub incarnation: Incarnation,
    /// The leader of the current life, once it is known.
    pub process: Option<Identity>,
    /// Value of the app's `increment_var`, when it has one.
    pub increment: Option<i64>,
    /// When the slot was made, or last started by hand.
    pub created_at: WallTime,
    /// Whether it was asked to start without regard to what it depends on.
    #[serde(default)]
    pub alone: bool,
    /// When the current or last life began.
    pub started_at: Option<WallTime>,
    /// Starts beyond the first (PM2's `restart_time`).
    pub restarts: u32,
    /// Unstable exits in a row.
    pub unstable: u32,
    /// The last pause of the growing series.
    pub last_delay: Millis,
    /// How the last life ended.
    pub last_exit: Option<Exit>,
    /// The last deaths, oldest first.
    pub deaths: VecDeque<Death>,
    /// The last transitions, oldest first.
    pub transitions: VecDeque<Transition>,
    /// Its files.
    pub files: InstanceFiles,
    /// Whether the current life has said itself that it is ready.
    #[serde(default)]
    pub told_ready: bool,
    /// Regular expressions of which the current life has written a line.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub heard: BTreeSet<String>,
    /// Those for which somebody listens to it. A successor of the daemon asks for them anew.
    #[serde(skip)]
    pub listened: BTreeSet<String>,
    /// How well the current life is.
    #[serde(default)]
    pub care: Care,
    /// Lives beside the current one, during a reload.
    #[serde(default)]
    pub beside: Vec<Beside>,
    /// The last candidate that did not make it, and why.
    #[serde(default)]
    pub refused: Option<(Incarnation, Cause)>,
    /// Bytes of its output that were dropped because a log could not be written (`log_overflow: drop`), since it was made
    /// or reset.
    #[serde(default)]
    pub dropped: u64,
    /// The source that it belongs to, when `sync` made it or took it over.
    #[serde(default)]
    pub owner: Option<String>,
    /// Whether the watching of files was switched off by hand (`stop --watch`, `restart --watch`).
    #[serde(default)]
    pub unwatched: bool,
    /// What has changed since the current life began.
    #[serde(default)]
    pub changed: Option<Changed>,
    /// That source does not have it any more.
    #[serde(default)]
    pub orphan: bool,
    /// What is known of it as a job, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<Job>>,
    /// What hooks are to be told when the step is over.
    #[serde(skip)]
    pub alerts: Vec<Alert>,
}

/// The part of a slot that must reach the disk before a reply: enough to make the wish again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number in the list.
    pub id: InstanceId,
    /// Its number among the instances of its app.
    pub number: u32,
    /// Value of the app's `increment_var`.
    pub increment: Option<i64>,
    /// What is wished of it.
    pub wanted: Wanted,
    /// Why, when it is given up or down.
    pub why: Option<Cause>,
    /// What it should be.
    pub spec: Arc<AppSpec>,
    /// When it was made.
    pub created_at: WallTime,
    /// The source that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether the watching of files was switched off by hand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwatched: bool,
}

impl Instance {
    /// A new slot with nothing in it yet.
    pub fn new(id: InstanceId, number: u32, spec: Arc<AppSpec>, at: WallTime, directories: &Directories) -> Self {
        let files = InstanceFiles::of(&spec, id, directories);
        let job = spec.schedule.as_ref().map(|_| Box::default());
        Instance {
            id,
            number,
            spec,
            state: State::Stopped { why: Cause::NotAutostarted },
            incarnation: Incarnation(0),
            process: None,
            increment: None,
            created_at: at,
            alone: false,
            started_at: None,
            restarts: 0,
            unstable: 0,
            last_delay: Millis(0),
            last_exit: None,
            deaths: VecDeque::new(),
            transitions: VecDeque::new(),
            files,
            told_ready: false,
            heard: BTreeSet::new(),
            listened: BTreeSet::new(),
            care: Care::default(),
            beside: Vec::new(),
            refused: None,
            dropped: 0,
            owner: None,
            unwatched: false,
            changed: None,
            orphan: false,
            job,
            alerts: Vec::new(),
        }
    }

    /// The last change of state.
    pub fn last_transition(&self) -> Option<&Transition> {
        self.transitions.iter().rev().find(|transition| !transition.cause.is_of_a_hook())
    }

    /// Another life is the current one: what the one before has said is void.
    pub(crate) fn forget_words(&mut self) {
        self.told_ready = false;
        self.heard.clear();
        self.listened.clear();
        self.care = Care::default();
    }

    /// Forgets the crashes of before: somebody asked for a start, or a new version is good.
    pub(crate) fn begin_anew(&mut self, at: WallTime) {
        self.unstable = 0;
        self.last_delay = Millis(0);
        self.created_at = at;
    }

    /// When this slot next wants to be looked at, if a clock runs in it.
    pub fn deadline(&self) -> Option<Instant> {
        let beside = self.beside.iter().filter_map(Beside::deadline);
        let care = self.care_deadlines().earliest();
        let run = self.run_deadline();
        self.state_deadline().into_iter().chain(self.change_deadline()).chain(care).chain(run).chain(beside).min()
    }

    /// When its state next wants to be looked at, if it has a clock.
    pub fn state_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Backoff { until, .. } => Some(*until),
            State::Waiting { for_, since, .. } => {
                for_.iter().filter_map(|dependency| dependency.timeout).min().map(|timeout| *since + timeout)
            }
            State::Stopping { after, .. } if !after.is_empty() => None,
            State::Unready { until, .. } => Some(*until),
            State::Online { since, ready: false } => Some(*since + self.spec.min_uptime),
            State::Stopping { kill_at, killed: false, .. } => Some(*kill_at),
            State::Stopping { killed: true, .. }
            | State::Online { ready: true, .. }
            | State::Starting { .. }
            | State::Stopped { .. }
            | State::Idle { .. }
            | State::Errored { .. } => None,
        }
    }

    /// Whether files are watched for it. What an operator has stopped stays down whatever changes; what has ended by
    /// itself, or was given up, is tried again.
    pub fn is_watched(&self) -> bool {
        let down_for_good = match &self.state {
            State::Stopped { why } => !matches!(why, Cause::Exited(_)),
            state => state.wanted() == Wanted::Gone,
        };
        self.spec.watch.is_on() && !self.unwatched && !down_for_good
    }

    /// When changed files are acted on, if any have.
    pub fn change_deadline(&self) -> Option<Instant> {
        self.changed.as_ref().map(|changed| crate::policy::settled(changed, self.spec.watch_delay))
    }

    /// Remembers a change of state.
    pub fn note(&mut self, to: &str, cause: Cause, at: WallTime) {
        if self.transitions.len() == MEMORY {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Transition { at, to: to.into(), cause });
    }

    /// Remembers a death.
    pub fn bury(&mut self, death: Death) {
        if self.deaths.len() == MEMORY {
            self.deaths.pop_front();
        }
        self.last_exit = Some(death.exit);
        self.deaths.push_back(death);
    }

    /// The part that must reach the disk before a reply.
    pub fn record(&self) -> Record {
        let why = match &self.state {
            State::Stopped { why } | State::Errored { why } => Some(why.clone()),
            State::Stopping { then, .. } => match then {
                super::Then::Stop(why) | super::Then::GiveUp(why) => Some(why.clone()),
                super::Then::Restart(_) | super::Then::Rest(_) | super::Then::Remove | super::Then::Respawn { .. } => {
                    None
                }
            },
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Unready { .. }
            | State::Online { .. }
            | State::Backoff { .. } => None,
        };
        Record {
            id: self.id,
            number: self.number,
            increment: self.increment,
            wanted: self.state.wanted(),
            why,
            spec: self.spec.clone(),
            created_at: self.created_at,
            owner: self.owner.clone(),
            unwatched: self.unwatched,
        }
    }
}

impl InstanceFiles {
    /// The files that PM2 would use: default names carry the app's name with every character outside `[A-Za-z0-9.\-\\]`
    /// turned into `-`; instances that do not share logs get `-<id>` in front of `.log`, pid files always do.
    pub fn of(spec: &AppSpec, id: InstanceId, directories: &Directories) -> Self {
        let stem: String = spec
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '\\') { c } else { '-' })
            .collect();
        let log = |given: &Option<String>, suffix: &str| -> Option<String> {
            let path = given.clone().unwrap_or_else(|| format!("{}/{stem}{suffix}.log", directories.logs));
            if spec.disable_logs || path == "/dev/null" || path.eq_ignore_ascii_case("null") {
                return None;
            }
            Some(if spec.merge_logs { path } else { numbered(&path, ".log", id) })
        };
        let pid = spec.pid_file.clone().unwrap_or_else(|| format!("{}/{stem}.pid", directories.pids));
        InstanceFiles {
            out: log(&spec.out_file, "-out"),
            error: log(&spec.error_file, "-error"),
            combined: spec.log_file.as_ref().and_then(|_| log(&spec.log_file, "")),
            pid: numbered(&pid, ".pid", id),
        }
    }
}

/// `path` with `-<id>` in front of `extension`, in place of a number that stands there already (`app-1.pid` becomes
/// `app-9.pid`, as under PM2). A path with another extension stays as it is.
fn numbered(path: &str, extension: &str, id: InstanceId) -> String {
    let Some(stem) = path.strip_suffix(extension) else {
        return path.into();
    };
    let stem = match stem.rsplit_once('-') {
        Some((rest, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => stem,
    };
    format!("{stem}-{id}{extension}")
}
