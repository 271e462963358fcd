//! The pure part of baton: what an app should be (`spec`), what it is (`world`), and the one function that turns
//! an event into the next state and its effects (`step`).
//!
//! Nothing here does I/O, reads a clock or knows a thread: time and facts are arguments, deeds are values. The
//! daemon carries the effects out and brings their results back as events.

#![forbid(unsafe_code)]

pub mod deps;
pub mod policy;
pub mod proto;
pub mod select;
pub mod spec;
pub mod step;
pub mod sync;
pub mod units;
pub mod world;
