//! The primary of a cluster of Node workers, without Node: it opens the sockets that workers ask for and either gives
//! each worker the socket itself or deals out connections one by one.
//!
//! * `query` is what a worker asks for when its program calls `listen`.
//! * `primary` decides, about sockets in `listeners` and about connections in `dealing`; `output` is what it wants done.
//!
//! A worker takes the way from the answer: with a descriptor the socket is its own to accept on, without one it waits to
//! be given connections. So both can be mixed, socket by socket.

mod dealing;
mod listeners;
mod output;
mod primary;
mod query;
#[cfg(test)]
mod tests;

pub use listeners::Bound;
pub use output::{Connection, Handle, Output, Patience};
pub use primary::{Balance, Primary, WorkerId};
pub use query::{AddressType, Query};
