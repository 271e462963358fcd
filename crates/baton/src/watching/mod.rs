//! Which files are watched for an app, and what becomes of them.
//!
//! * `rules` decides whether a file counts, and by which rule.
//! * `tree` is told by the kernel when something changes.
//! * `sweep` looks again and again, for file systems that tell of nothing.
//!
//! The daemon's `watcher` thread owns one of each; the verb `watch` asks the rules.

mod rules;
mod sweep;
mod tree;

pub(crate) use rules::{Aim, Own, Rules, Verdict};
pub(crate) use sweep::Sweep;
pub(crate) use tree::{AimId, Tree};
