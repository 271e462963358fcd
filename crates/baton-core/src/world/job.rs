//! What is known of a slot whose app is a job (`schedule`): when it is due, and what has become of its runs.

use super::beside::Beside;
use super::cause::{Cause, Exit};
use super::instance::Instance;
use super::state::{State, Wanted};
use crate::spec::Schedule;
use crate::units::{Instant, Millis, WallTime};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many runs a job remembers.
pub const RUNS: usize = 20;

/// A clock that is set back by more than this has been wrong: its times count anew. Within it no time counts twice, which
/// is the rule of cron (ms).
const SET_BACK: Millis = Millis(3 * 3_600_000);

/// What is known of a job. It is on record with its slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Job {
    /// When it is due next.
    pub next: Next,
    /// The last of its times that was acted on.
    pub last: Option<WallTime>,
    /// A time that came while the run before was still under way, and has its turn after that.
    pub queued: Option<WallTime>,
    /// Whether it is run by hand this once, although it is stopped.
    pub once: bool,
    /// The last runs, oldest first; the last one may be under way.
    pub runs: VecDeque<Run>,
}

/// When a job is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Somebody has still to find it out.
    #[default]
    Unplanned,
    /// Its pattern has no time any more: the thirtieth of February.
    Never,
    /// Then.
    At(Due),
}

/// One time of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The time by its pattern.
    pub time: WallTime,
    /// When it is run: that much later as the jitter has it.
    pub at: WallTime,
}

/// One run, or one that did not come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The time that it was for; none for one by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<WallTime>,
    /// When its process was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<WallTime>,
    /// When nothing of it was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<WallTime>,
    /// How its process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why it ended, or did not come about; none while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// What became of a run, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is under way.
    Running,
    /// It returned 0.
    Succeeded,
    /// It ended in any other way, or could not be started.
    Failed,
    /// An operator, or its next run, has ended it.
    Stopped,
    /// It did not come about.
    Skipped,
}

impl Outcome {
    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Running => "running",
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Stopped => "stopped",
            Outcome::Skipped => "skipped",
        }
    }
}

impl Run {
    /// What became of it.
    pub fn outcome(&self) -> Outcome {
        match &self.cause {
            None => Outcome::Running,
            Some(Cause::Overlapped | Cause::Missed) => Outcome::Skipped,
            Some(Cause::Operator(_) | Cause::Replaced | Cause::Reboot) => Outcome::Stopped,
            Some(cause) if cause.is_success() => Outcome::Succeeded,
            Some(_) => Outcome::Failed,
        }
    }
}

impl Job {
    /// Remembers a run; one that is under way stays the last.
    pub(crate) fn remember(&mut self, run: Run) {
        if self.runs.len() >= RUNS {
            self.runs.pop_front();
        }
        let last = self.runs.len() - usize::from(self.current().is_some());
        self.runs.insert(last, run);
    }

    /// The run under way.
    pub(crate) fn current(&mut self) -> Option<&mut Run> {
        self.runs.back_mut().filter(|run| run.cause.is_none())
    }

    /// After which moment its next time is looked for. The clock may have been set back a little since its last one,
    /// and that does not count twice.
    pub fn plan_after(&self, now: WallTime) -> WallTime {
        match self.last {
            Some(last) if last > now && last.0 - now.0 <= SET_BACK.0 => last,
            Some(_) | None => now,
        }
    }
}

impl Instance {
    /// What is known of it as a job, when it is one.
    pub fn job(&self) -> Option<(&Schedule, &Job)> {
        Some((self.spec.schedule.as_ref()?, self.job.as_deref()?))
    }

    /// The same, when its times count.
    pub fn armed_job(&self) -> Option<(&Schedule, &Job)> {
        self.job().filter(|(_, job)| self.state.wanted() == Wanted::Up && !job.once)
    }

    /// When a run that is under way has taken long enough.
    pub fn run_deadline(&self) -> Option<Instant> {
        let timeout = self.spec.schedule.as_ref()?.timeout?;
        // While a reload has a new life on its way nothing is done about the old one.
        if self.beside.iter().any(Beside::is_candidate) {
            return None;
        }
        self.state.running_since().map(|since| since + timeout)
    }
}

/// What was known of jobs when a signal ended the daemon before, and all apps with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptJobs {
    /// Each of them.
    pub jobs: Vec<KeptJob>,
    /// Slots that are made later than this are others.
    pub until: Instant,
}

/// What was known of one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptJob {
    /// Name of the app.
    pub name: String,
    /// Number among its instances.
    pub number: u32,
    /// Its times.
    pub pattern: String,
    /// What was known.
    pub job: Job,
}

/// A job as the outside sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Its times.
    pub schedule: Schedule,
    /// Whether they count: it was started, and not stopped since.
    pub armed: bool,
    /// Whether it is between two runs.
    pub idle: bool,
    /// When it is run next, by its jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<WallTime>,
    /// A time whose run begins when the one under way has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<WallTime>,
    /// The last run that came about, be it under way or over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Run>,
    /// All runs that are remembered, oldest first, when the history was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
}

impl JobView {
    /// The job of a slot.
    pub(super) fn of(slot: &Instance, history: bool) -> Option<JobView> {
        let (schedule, job) = slot.job()?;
        let armed = slot.armed_job().is_some();
        Some(JobView {
            schedule: schedule.clone(),
            armed,
            idle: matches!(slot.state, State::Idle { .. }),
            next: match job.next {
                Next::At(due) if armed => Some(due.at),
                Next::At(_) | Next::Never | Next::Unplanned => None,
            },
            queued: job.queued,
            last: job.runs.iter().rev().find(|run| run.outcome() != Outcome::Skipped).cloned(),
            runs: if history { job.runs.iter().cloned().collect() } else { Vec::new() },
        })
    }

    /// What is said of it between two runs, in a word.
    pub fn word(&self) -> Option<&'static str> {
        self.idle.then_some(if self.has_failed() { "failed" } else { "scheduled" })
    }

    /// Whether its last run has failed.
    pub fn has_failed(&self) -> bool {
        self.last.as_ref().is_some_and(|run| run.outcome() == Outcome::Failed)
    }
}
