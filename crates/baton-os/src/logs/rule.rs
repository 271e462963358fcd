//! When logs are rotated and what is kept of them.

use super::parts::Compression;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The date in the names of parts, unless set otherwise.
pub const DATE_FORMAT: &str = "YYYY-MM-DD_HH-mm-ss";

/// What holds for one log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Rotate at the first end of a line from this size on (bytes); `None` means never for its size.
    pub max_size: Option<u64>,
    /// How many parts are kept; `None` keeps all.
    pub retain: Option<u32>,
    /// How parts are compressed.
    pub compression: Compression,
    /// Parts whose last byte is older than this are removed (ms).
    pub max_age: Option<u64>,
    /// Rotate at these times, whatever the size: a cron pattern of five or six fields. One that can't be read is none.
    pub times: Option<String>,
    /// The logs of one group share a quota: the name of the app.
    pub group: String,
    /// Bytes that the logs of the group may take with their parts.
    pub quota: Option<u64>,
}

/// What holds for all log files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The rule of each file. A file without one is not rotated.
    pub rules: BTreeMap<PathBuf, Rule>,
    /// The date in the names of parts, in moment.js tokens. One that can't stand in a file name is [`DATE_FORMAT`].
    pub date: String,
    /// Time zone of these dates and of [`Rule::times`], by its IANA name; that of the system when there is none.
    pub zone: Option<String>,
    /// Bytes that all logs may take with their parts.
    pub quota: Option<u64>,
    /// The file that this process itself writes, by its standard error.
    pub own: Option<PathBuf>,
}

impl Default for Rotation {
    /// Rotates nothing.
    fn default() -> Self {
        Rotation { rules: BTreeMap::new(), date: DATE_FORMAT.into(), zone: None, quota: None, own: None }
    }
}

/// A log is rotated early enough that its quota holds several parts.
const OF_QUOTA: u64 = 8;

impl Rotation {
    /// The size from which on a file is rotated (bytes).
    pub(super) fn limit(&self, rule: &Rule) -> Option<u64> {
        let quotas = [self.quota, rule.quota].into_iter().flatten();
        quotas.map(|quota| (quota / OF_QUOTA).max(1)).chain(rule.max_size).min()
    }

    /// The smallest quota.
    pub(super) fn smallest_quota(&self) -> Option<u64> {
        self.rules.values().filter_map(|rule| rule.quota).chain(self.quota).min()
    }
}
