//! What Node speaks to its parent: the IPC channel that it finds in `NODE_CHANNEL_FD`, and over it the messages between a
//! cluster's primary and its workers.
//!
//! * `frame` cuts the channel's bytes into messages.
//! * `message` tells messages of programs from those of Node itself.
//! * `told` is what a program tells of itself: metrics, actions, options.
//! * `preload` is our module that is loaded before a program.
//! * `cluster` is the primary: which worker gets which socket or connection.
//!
//! Everything here is free of I/O: bytes and events go in, frames and wishes come out. Descriptors are named, not held.

#![forbid(unsafe_code)]

pub mod cluster;
pub mod frame;
pub mod message;
pub mod preload;
pub mod told;
