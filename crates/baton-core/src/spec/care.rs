//! How it is told that an app that runs is well: `health`, `watchdog` and `heartbeat`.

use super::{AppSpec, Probe};
use crate::units::Millis;
use serde::{Deserialize, Serialize};

/// Pause between two probes of `health` when the file does not say (ms).
pub const HEALTH_INTERVAL: Millis = Millis(10_000);
/// How long one probe of `health` may take when the file does not say (ms).
pub const HEALTH_TIMEOUT: Millis = Millis(5_000);
/// Failed probes in a row that make an app unwell when the file does not say.
pub const HEALTH_RETRIES: u32 = 3;
/// How long after the start failed probes do not count when the file does not say (ms).
pub const START_PERIOD: Millis = Millis(30_000);
/// The longest pause between two probes while an app still has its `start_period` and none has passed (ms).
pub const START_INTERVAL: Millis = Millis(1_000);

/// Port on which heartbeats are taken when nothing says otherwise.
pub const HEARTBEAT_PORT: u16 = 5005;
/// How long a process that has beaten may be silent when nothing says otherwise (ms).
pub const HEARTBEAT_TIMEOUT: Millis = Millis(600_000);
/// How often it is looked who is overdue when nothing says otherwise (ms).
pub const CHECK_INTERVAL: Millis = Millis(5_000);

/// The key `health`: what is asked again and again of an app that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What to look for.
    pub probe: Probe,
    /// From one probe to the next (ms).
    pub interval: Millis,
    /// How long one probe may take (ms).
    pub timeout: Millis,
    /// Failed probes in a row that make the app unwell.
    pub retries: u32,
    /// Until a probe has passed, failed ones do not count for so long (ms).
    pub start_period: Millis,
    /// What is done about an app that is unwell.
    pub action: Remedy,
}

/// What is done about an app that is unwell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// It is started again.
    #[default]
    Restart,
    /// It is stopped, and stays so.
    Stop,
    /// It is only shown.
    None,
}

impl Remedy {
    /// The words of all of them.
    pub const WORDS: [&'static str; 3] = ["restart", "stop", "none"];
}

/// The key `heartbeat`: processes of the app say by HTTP or WebSocket that they are well; who has once, and then is
/// silent, is started again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// Where they say so, on the loopback addresses.
    pub port: u16,
    /// How long a process may be silent (ms).
    pub timeout: Millis,
    /// How often it is looked who is overdue (ms).
    pub interval: Millis,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat { port: HEARTBEAT_PORT, timeout: HEARTBEAT_TIMEOUT, interval: CHECK_INTERVAL }
    }
}

impl AppSpec {
    /// How long it may be silent on its socket, when that is asked for.
    pub fn watchdog_limit(&self) -> Option<Millis> {
        self.watchdog.filter(|limit| *limit > Millis(0))
    }

    /// Whether it is given the socket in NOTIFY_SOCKET.
    pub fn notifies(&self) -> bool {
        self.watchdog_limit().is_some() || self.ready.as_ref().is_some_and(|ready| ready.by == super::ReadyBy::Notify)
    }
}
