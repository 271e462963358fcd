//! Whether files are watched for an app, and how.

use crate::units::Millis;
use serde::{Deserialize, Serialize};

/// The key `watch`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Watch {
    /// Everything below `cwd`, or nothing.
    All(bool),
    /// These files and folders, relative to `cwd`. An empty list is nothing; PM2 takes it for everything.
    Paths(Vec<String>),
}

impl Default for Watch {
    fn default() -> Self {
        Watch::All(false)
    }
}

impl Watch {
    /// Whether anything is watched.
    pub fn is_on(&self) -> bool {
        match self {
            Watch::All(on) => *on,
            Watch::Paths(paths) => !paths.is_empty(),
        }
    }

    /// The files and folders, relative to `cwd`, which is `.`.
    pub fn roots(&self) -> Vec<&str> {
        match self {
            Watch::All(true) => vec!["."],
            Watch::All(false) => Vec::new(),
            Watch::Paths(paths) => paths.iter().map(String::as_str).collect(),
        }
    }
}

/// The key `watch_options`: what baton takes of the options of chokidar, in its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WatchOptions {
    /// Whether what symbolic links lead to is watched.
    pub follow_symlinks: bool,
    /// Look again and again, for file systems that tell of no changes.
    pub use_polling: bool,
    /// Pause between two such looks (ms).
    pub interval: Millis,
}

impl Default for WatchOptions {
    fn default() -> Self {
        WatchOptions { follow_symlinks: true, use_polling: false, interval: Millis(1000) }
    }
}
