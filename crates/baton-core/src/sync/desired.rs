//! What a source says, and how far the list may be changed for it.

use super::Plan;
use crate::proto::{Outcome, Wish, shared};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a source says the list should be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Desired {
    /// The name of the source: what its apps belong to.
    pub source: String,
    /// How it was read, so that it can be read again.
    #[serde(default)]
    pub origin: Origin,
    /// Its apps, in the order of its files.
    #[serde(with = "shared")]
    pub apps: Vec<Wish>,
    /// A fingerprint of what the files of variables of an app hold (`env_file`), by the app's name.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Of apps whose program can't be run as they are defined, why. What runs is not ended for them.
    #[serde(default)]
    pub unrunnable: BTreeMap<String, String>,
    /// Whether these are all of its apps.
    #[serde(default)]
    pub scope: Scope,
    /// Whether it has no apps at all, chosen or not.
    #[serde(default)]
    pub empty: bool,
    /// Of some apps, names that were chosen and that it does not have.
    #[serde(default)]
    pub gone: Vec<String>,
    /// Remove apps that belong to the source and that it does not have any more.
    #[serde(default)]
    pub prune: bool,
    /// Remove more than half of them too, and take apps from another source.
    #[serde(default)]
    pub force: bool,
    /// What becomes of apps that were changed by hand.
    #[serde(default)]
    pub drift: DriftRule,
}

/// How a source was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The directory of whoever read it.
    pub directory: String,
    /// The words behind `sync` that say what is read, and how.
    pub words: Vec<String>,
}

/// Which apps of a source are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All of them: what belongs to the source and is not among them is an orphan.
    #[default]
    Whole,
    /// Some of them (`--only`): nothing is known about the others.
    Some,
}

/// What becomes of apps that were changed by hand while the source said the same as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftRule {
    /// They are left so, also those that were deleted: while the source is watched.
    LeaveAll,
    /// They are left so, but those that were deleted come back.
    #[default]
    Leave,
    /// They become what the source says.
    Reset,
}

/// A request to make the list what a source says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sync {
    /// What it says.
    pub desired: Desired,
    /// How many changed instances may have their turn at once; at least one.
    pub parallel: u32,
    /// Go on with the next app when one fails.
    pub go_on: bool,
    /// The apps that may be removed, when somebody was asked.
    #[serde(default)]
    pub agreed: Option<Vec<String>>,
}

/// What has to wait until no source is being followed any more.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Somebody wants to know what would be done then.
    Plan(Box<Desired>),
    /// It is to be done.
    Sync(Box<Sync>),
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Synced {
    /// What was to be done.
    pub plan: Plan,
    /// What became of each slot that was touched.
    pub outcomes: Vec<Outcome>,
}
