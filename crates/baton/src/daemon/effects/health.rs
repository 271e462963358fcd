//! Whether a life is well.

use crate::daemon::driver::Driver;
use crate::daemon::life::Key;
use crate::daemon::prober::{Look, examine};
use baton_core::step::Event;
use baton_core::world::Detail;
use baton_os::clock;

impl Driver {
    /// Begins one probe of a life's health.
    pub(super) fn examine(&mut self, key: Key) {
        let (Some(slot), Some(life)) = (self.world.as_of(key.0, key.1), self.lives.get_mut(key)) else { return };
        let Some(health) = slot.spec.health.clone() else { return };
        let view = slot.view(clock::now(), Detail::Definition);
        let look = Look::new(health.probe, view, life.identity.clone(), &self.home);
        match examine(key, look, health.timeout, self.inbox.clone()) {
            Ok(held) => life.examining = Some(held),
            Err(error) => self.examined(key, Err(format!("no thread to look: {error}"))),
        }
    }

    /// That probe has found something.
    pub(in crate::daemon) fn examined(&mut self, key: Key, result: Result<(), String>) {
        if let Some(life) = self.lives.get_mut(key) {
            life.examining = None;
        }
        self.queue.push_back(Event::Examined { id: key.0, incarnation: key.1, result });
    }

    /// A life is ending: nobody wants to know any more how it is.
    pub(super) fn look_no_more(&mut self, key: Key) {
        if let Some(life) = self.lives.get_mut(key) {
            (life.looking, life.examining) = (None, None);
        }
    }
}
