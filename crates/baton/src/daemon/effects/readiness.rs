//! How an incarnation tells that it is ready, takes its leave, and drains.

use crate::daemon::driver::Driver;
use crate::daemon::life::Key;
use baton_core::step::{Event, Scope};
use baton_core::world::Signal;

impl Driver {
    /// Begins to look for what shows that an incarnation is ready.
    pub(super) fn await_ready(&mut self, _key: Key) {}

    /// Asks an incarnation to end by a message, or by a signal where it has no channel.
    pub(super) fn farewell(&mut self, key: Key, signal: Signal, scope: Scope) {
        self.signal(key, signal, scope);
    }

    /// Gives an incarnation no new work.
    pub(super) fn drain(&mut self, key: Key) {
        self.queue.push_back(Event::Drained { id: key.0, incarnation: key.1 });
    }
}
