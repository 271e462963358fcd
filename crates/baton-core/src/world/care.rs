//! How well the current life of a slot is, as far as anybody asks or is told.

use super::Beside;
use super::instance::{Identity, Instance};
use super::state::State;
use crate::spec::{AppSpec, Health, START_INTERVAL};
use crate::units::{Instant, Millis, WallTime};
use serde::{Deserialize, Serialize};

/// What is known of it. What is not serialised belongs to one daemon: a successor begins with it anew, so that no life
/// pays for the time in which nobody listened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Care {
    /// Since when it is looked after: since it came online, or since this daemon has it.
    #[serde(skip)]
    pub since: Option<Instant>,
    /// When the last probe of its health began.
    #[serde(skip)]
    pub looked: Option<Instant>,
    /// Whether that has not been answered yet.
    #[serde(skip)]
    pub looking: bool,
    /// Whether a probe of its health has passed.
    pub passed: bool,
    /// Probes that have failed in a row, those of its start period left out.
    pub failures: u32,
    /// What the last probe found, when it failed.
    pub found: Option<String>,
    /// Whether it is unwell, and nothing was to be done about it.
    pub degraded: bool,
    /// When it last said `WATCHDOG=1`.
    #[serde(skip)]
    pub petted: Option<Instant>,
    /// Whether it ever has.
    pub has_petted: bool,
    /// What it wants instead of the `watchdog` of its definition (ms); 0 is off.
    pub watchdog: Option<Millis>,
    /// Its processes that have beaten.
    pub beats: Vec<Beat>,
}

/// The last heartbeat of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Which process.
    pub process: Identity,
    /// What it calls itself.
    pub name: String,
    /// When it was heard, on the clock that decides.
    #[serde(skip)]
    pub last: Instant,
    /// The same for people.
    pub at: WallTime,
}

/// Whether probes of its health pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Well {
    /// None has passed yet, and there is still time.
    Starting,
    /// The last that counts has passed, or not enough have failed.
    Healthy,
    /// Too many have failed in a row.
    Degraded,
}

/// Its health as the outside sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wellness {
    /// In a word.
    pub state: Well,
    /// Probes that have failed in a row.
    pub failures: u32,
    /// What the last one found, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Care {
    /// It came online, or this daemon has it from now on.
    pub(crate) fn begin(&mut self, at: Instant) {
        self.since = Some(at);
        self.petted = Some(at);
        for beat in &mut self.beats {
            beat.last = at;
        }
    }

    /// What is asked of its health has changed.
    pub(crate) fn forget_health(&mut self) {
        (self.looked, self.passed, self.failures, self.found, self.degraded) = (None, false, 0, None, false);
    }

    /// When the start period is over.
    pub(crate) fn starts_until(&self, health: &Health) -> Instant {
        self.since.unwrap_or_default() + health.start_period
    }

    /// How long it may be silent on its socket.
    pub(crate) fn watchdog(&self, spec: &AppSpec) -> Option<Millis> {
        let given = spec.watchdog_limit()?;
        Some(self.watchdog.unwrap_or(given)).filter(|limit| *limit > Millis(0))
    }

    fn health_deadline(&self, health: &Health, online: Instant) -> Option<Instant> {
        if self.looking {
            return None;
        }
        let Some(looked) = self.looked else { return Some(self.since.unwrap_or(online)) };
        // Whoever waits for its first pass need not wait for a long pause.
        let starts = !self.passed && looked < self.starts_until(health);
        Some(looked + if starts { health.interval.min(START_INTERVAL) } else { health.interval })
    }

    fn watchdog_deadline(&self, spec: &AppSpec) -> Option<Instant> {
        Some(self.petted? + self.watchdog(spec)?)
    }

    fn heartbeat_deadline(&self, spec: &AppSpec) -> Option<Instant> {
        let heartbeat = spec.heartbeat.as_ref()?;
        let last = self.beats.iter().map(|beat| beat.last).min()?;
        // It is looked at whole intervals of the machine's clock, for all apps at once.
        let step = heartbeat.interval.0.max(1);
        Some(Instant((last + heartbeat.timeout).0.div_ceil(step).saturating_mul(step)))
    }
}

/// What is due of a slot's care, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CareDeadlines {
    /// The next probe of its health.
    pub health: Option<Instant>,
    /// The end of its watchdog's patience.
    pub watchdog: Option<Instant>,
    /// The end of the patience with its heartbeats.
    pub heartbeat: Option<Instant>,
}

impl CareDeadlines {
    /// The first of them.
    pub fn earliest(self) -> Option<Instant> {
        self.health.into_iter().chain(self.watchdog).chain(self.heartbeat).min()
    }
}

impl Instance {
    /// What is due of its care: nothing of a life that is not online. While a reload has a new life on its way nothing is
    /// done about the old one, so only its health is looked at.
    pub fn care_deadlines(&self) -> CareDeadlines {
        let State::Online { since, .. } = self.state else { return CareDeadlines::default() };
        let (spec, care) = (&*self.spec, &self.care);
        let judged = !self.beside.iter().any(Beside::is_candidate);
        CareDeadlines {
            health: spec.health.as_ref().and_then(|health| care.health_deadline(health, since)),
            watchdog: care.watchdog_deadline(spec).filter(|_| judged),
            heartbeat: care.heartbeat_deadline(spec).filter(|_| judged),
        }
    }

    /// Its health, when that is asked for and it is online.
    pub fn wellness(&self) -> Option<Wellness> {
        self.spec.health.as_ref().filter(|_| matches!(self.state, State::Online { .. }))?;
        let care = &self.care;
        let state = match (care.degraded, care.passed || care.failures > 0) {
            (true, _) => Well::Degraded,
            (false, true) => Well::Healthy,
            (false, false) => Well::Starting,
        };
        Some(Wellness { state, failures: care.failures, found: care.found.clone() })
    }
}
