//! What an app may use that only a control group can keep: `memory_max`, `cpu_max` and `tasks_max`.

use super::AppSpec;
use crate::units::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A share of the machine's processor time, in thousandths of one processor. Written in percent of one: `150%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpus(u32);

impl Cpus {
    /// The least that the kernel keeps: it gives out no less than 1 ms in 100 ms.
    pub const LEAST: Cpus = Cpus(10);
    /// More than machines have.
    const MOST: u32 = 1_000_000_000;

    /// The share of so many processors; `None` below [`Cpus::LEAST`] and beyond reason.
    pub fn of(processors: f64) -> Option<Cpus> {
        let thousandths = (processors * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
        let share = (0.0..=f64::from(Self::MOST)).contains(&thousandths).then_some(Cpus(thousandths as u32))?;
        (share >= Self::LEAST).then_some(share)
    }

    /// The share meant by `1.5` (processors) or `150%` (of one).
    pub fn parse(text: &str) -> Option<Cpus> {
        let text = text.trim();
        let (number, of) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text, 1.0),
        };
        // What else a float may be called is no share.
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        Self::of(number.parse::<f64>().ok().filter(|_| plain)? / of)
    }

    /// Processor time (µs) in a period of that length.
    fn quota(self, period: u64) -> u64 {
        u64::from(self.0) * period / 1000
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}%", self.0 / 10),
            rest => write!(f, "{}.{rest}%", self.0 / 10),
        }
    }
}

impl From<Cpus> for String {
    fn from(share: Cpus) -> String {
        share.to_string()
    }
}

impl TryFrom<String> for Cpus {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Cpus, Self::Error> {
        Cpus::parse(&text).ok_or("not a share of the processors")
    }
}

/// The period over which `cpu_max` is kept (µs), the kernel's own.
const PERIOD: u64 = 100_000;

/// The limits of an app that only a control group can keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupLimits {
    /// Memory and what the kernel keeps for it.
    pub memory: Option<Bytes>,
    /// Processor time.
    pub cpu: Option<Cpus>,
    /// Processes and threads.
    pub tasks: Option<u32>,
}

impl GroupLimits {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == GroupLimits::default()
    }

    /// The keys that are set, as in process files.
    pub fn keys(&self) -> Vec<&'static str> {
        let keys = [
            (self.memory.is_some(), "memory_max"),
            (self.cpu.is_some(), "cpu_max"),
            (self.tasks.is_some(), "tasks_max"),
        ];
        keys.into_iter().filter(|(given, _)| *given).map(|(_, key)| key).collect()
    }

    /// The kernel's controllers that are needed.
    pub fn controllers(&self) -> Vec<&'static str> {
        let needed = [(self.memory.is_some(), "memory"), (self.cpu.is_some(), "cpu"), (self.tasks.is_some(), "pids")];
        needed.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }

    /// The files of the group that say so, and what is to stand in them: of the controllers in `there` all of them, so
    /// that a limit which is no more is taken back.
    pub fn settings(&self, there: impl Fn(&str) -> bool) -> Vec<(&'static str, String)> {
        let or_max = |value: Option<u64>| value.map_or_else(|| "max".to_owned(), |value| value.to_string());
        let mut settings = Vec::new();
        if there("memory") {
            settings.push(("memory.max", or_max(self.memory.map(|bytes| bytes.0))));
            // One process less would leave an app that half works, and of which nobody knows.
            settings.push(("memory.oom.group", u8::from(self.memory.is_some()).to_string()));
        }
        if there("cpu") {
            settings.push(("cpu.max", format!("{} {PERIOD}", or_max(self.cpu.map(|share| share.quota(PERIOD))))));
        }
        if there("pids") {
            settings.push(("pids.max", or_max(self.tasks.map(u64::from))));
        }
        settings
    }
}

impl AppSpec {
    /// What only a control group can keep.
    pub fn group_limits(&self) -> GroupLimits {
        GroupLimits {
            memory: self.memory_max.filter(|limit| *limit > 0).map(Bytes),
            cpu: self.cpu_max,
            tasks: self.tasks_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_share_is_written_in_percent_and_read_in_both_forms() {
        for (written, read) in [("50%", "50%"), ("1.5", "150%"), ("2", "200%"), ("0.125", "12.5%"), (" 1 % ", "1%")] {
            assert_eq!(Cpus::parse(written).expect(written).to_string(), read);
            assert_eq!(Cpus::parse(read).expect(read), Cpus::parse(written).expect(written));
        }
        for wrong in ["", "%", "0", "0.5%", "-1", "inf", "NaN", "1e3", "half", "1,5"] {
            assert_eq!(Cpus::parse(wrong), None, "{wrong}");
        }
        assert_eq!(serde_json::from_value::<Cpus>(json!("75%")).expect("a share"), Cpus(750));
    }

    #[test]
    fn the_files_of_a_group_say_what_the_app_may_use() {
        let limits = GroupLimits { memory: Some(Bytes(200 << 20)), cpu: Cpus::of(1.5), tasks: Some(64) };
        assert_eq!(limits.controllers(), ["memory", "cpu", "pids"]);
        assert_eq!(limits.keys(), ["memory_max", "cpu_max", "tasks_max"]);
        let all = [
            ("memory.max", "209715200".into()),
            ("memory.oom.group", "1".into()),
            ("cpu.max", "150000 100000".into()),
            ("pids.max", "64".into()),
        ];
        assert_eq!(limits.settings(|_| true), all);
        let none = GroupLimits::default();
        assert!(none.is_empty() && none.controllers().is_empty());
        assert_eq!(none.settings(|name| name == "cpu"), [("cpu.max", "max 100000".into())]);
        let off = AppSpec { memory_max: Some(0), ..AppSpec::default() };
        assert!(off.group_limits().is_empty());
    }
}
