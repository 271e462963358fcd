//! How many, and in which mode.

use serde::{Deserialize, Serialize};

/// A wish for a number of instances, in PM2's notation: n, 0 for one per processor, -n for all but n processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instances(pub i32);

impl Default for Instances {
    fn default() -> Self {
        Instances(1)
    }
}

impl Instances {
    /// The number meant on a machine where `processors` may be used; never less than one.
    pub fn count(self, processors: u32) -> u32 {
        let wished = match self.0 {
            n if n > 0 => n.unsigned_abs(),
            n => processors.saturating_sub(n.unsigned_abs()),
        };
        wished.max(1)
    }
}

/// PM2's execution mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExecMode {
    /// One process of its own for each instance.
    #[default]
    #[serde(rename = "fork_mode")]
    Fork,
    /// Node workers that share their listening sockets.
    #[serde(rename = "cluster_mode")]
    Cluster,
}
