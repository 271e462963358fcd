//! Making the list what a source says: what differs, what is to be done about it, and what was made of it last time.
//!
//! * `desired` is what a source says, and how far the list may be changed for it.
//! * `fields` is what differs between two definitions, key by key and variable by variable.
//! * `applied` is what the last pass made of each app: without it nobody could tell an edit of the files from one by hand.
//! * `plan` compares the three. Pure: the step that carries a plan out makes it from the same world.
//! * `drift` is what was changed by hand since, without asking the files.
//! * `order` is the order in which changed apps have their turn.
//!
//! A source owns the apps that it has in the list (`Instance::owner`). It removes nothing else.

mod applied;
mod desired;
mod drift;
mod fields;
mod order;
mod plan;

pub(crate) use applied::applied_to;
pub use applied::{Applied, Baseline, digest};
pub use desired::{Desired, DriftRule, Origin, Scope, Sync, Synced, Turn};
pub use drift::{Drifted, Fingerprints, drift};
pub(crate) use fields::needs_restart;
pub use fields::{between, paths};
pub(crate) use order::by_dependency;
pub use plan::{Deed, Drift, Plan, Step, SyncError, Taken, plan};
pub(crate) use plan::{is_held_down, is_left_down, is_stopped_by_hand};
