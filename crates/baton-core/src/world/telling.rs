//! What a program tells of itself while it runs, in PM2's words.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the current life of a slot has told over its channel. It is gone with the life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Telling {
    /// Version of the Node that runs it.
    pub node_version: Option<String>,
    /// Its metrics by name (`axm_monitor`).
    pub metrics: Map<String, Value>,
    /// The actions that it can carry out (`axm_actions`).
    pub actions: Vec<Value>,
    /// What it says of its module (`axm_options`).
    pub options: Map<String, Value>,
}
