//! The key `schedule`: the app is a job, run at its times instead of all the time.

use super::AppSpec;
use crate::units::Millis;
use serde::{Deserialize, Serialize};

/// When a job is run, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The times, in cron notation: five fields, six with seconds first, or a nickname such as `@daily`.
    pub cron: String,
    /// Time zone of these times, by its IANA name. Without it that of the machine counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What becomes of a time at which the run before is still under way.
    #[serde(default)]
    pub overlap: Overlap,
    /// A run begins up to this much later than its time (ms).
    #[serde(default)]
    pub jitter: Millis,
    /// How long a run may take (ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
    /// What becomes of a time at which nobody was there to run it.
    #[serde(default)]
    pub missed: Missed,
}

/// What becomes of a time at which the run before is still under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Nothing: the next time counts again.
    #[default]
    Skip,
    /// It has its turn when the run has ended. One waits at most; what comes meanwhile is skipped.
    Queue,
    /// The run under way is stopped, and the next begins.
    Replace,
}

impl Overlap {
    /// The words of all of them.
    pub const WORDS: [&'static str; 3] = ["skip", "queue", "replace"];
}

/// What becomes of times at which nobody was there: the machine was off or asleep, or the daemon was not up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are made up for by one run.
    #[default]
    Run,
    /// Nothing.
    Skip,
}

impl Missed {
    /// The words of all of them.
    pub const WORDS: [&'static str; 2] = ["run", "skip"];
}

impl Schedule {
    /// Its times as one text, with the time zone in front where it has one of its own.
    pub fn pattern(&self) -> String {
        match &self.timezone {
            Some(zone) => format!("CRON_TZ={zone} {}", self.cron),
            None => self.cron.clone(),
        }
    }
}

impl AppSpec {
    /// A key that means nothing beside `schedule`, or contradicts it, and what to do about it.
    pub fn beside_schedule(&self) -> Option<(&'static str, &'static str)> {
        self.schedule.as_ref()?;
        if self.times().is_some() {
            Some(("cron_restart", "a job is run at the times of `schedule`: leave `cron_restart` out"))
        } else if self.oneshot {
            Some(("oneshot", "a job is run again and again: leave `oneshot` out, or `schedule`"))
        } else if self.watch.is_on() {
            Some(("watch", "a job is run at its times, not when a file changes: leave `watch` out"))
        } else if self.exec_mode == super::ExecMode::Cluster {
            Some(("exec_mode", "a job ends by itself, and the workers of a cluster do not: write `exec_mode: fork`"))
        } else {
            None
        }
    }
}
