//! How an incarnation tells that it is ready, takes its leave, and drains.

use crate::daemon::driver::Driver;
use crate::daemon::journal;
use crate::daemon::life::Key;
use crate::daemon::prober::look_until_ready;
use crate::daemon::watch;
use baton_core::spec::{Probe, Readiness, ReadyBy};
use baton_core::step::{Event, Scope};
use baton_core::world::{Detail, Phase, Signal, State};
use baton_os::clock;

impl Driver {
    /// Begins to look for what shows that an incarnation is ready.
    pub(super) fn await_ready(&mut self, key: Key) {
        let Some(slot) = self.world.as_of(key.0, key.1) else { return };
        let unready = self.is_unready(key);
        let Some(life) = self.lives.get_mut(key) else { return };
        // It may say more later, and must not wait until somebody takes that in.
        watch::line(key, life, &self.inbox);
        let Some(Readiness { by, interval, .. }) = slot.spec.ready.clone().filter(|_| unready) else { return };
        let probe = match by {
            ReadyBy::Tcp(at) => Probe::Tcp(at),
            ReadyBy::Http(url) => Probe::Http(url),
            ReadyBy::Exec(command) => Probe::Exec(command),
            // It says so itself. The last two are refused where files are read.
            ReadyBy::Notify | ReadyBy::Fd | ReadyBy::Log(_) | ReadyBy::Ipc => return,
        };
        let view = slot.view(clock::now(), Detail::Definition);
        match look_until_ready(key, probe, interval, view, (self.home.clone(), self.inbox.clone())) {
            Ok(looking) => life.looking = Some(looking),
            Err(error) => journal::error(format_args!("no thread to look whether slot {} is ready: {error}", key.0)),
        }
    }

    /// Whether an incarnation has still to become ready.
    fn is_unready(&self, (id, incarnation): Key) -> bool {
        let Some(slot) = self.world.instances.get(&id) else { return false };
        let mut beside = slot.beside.iter().filter(|beside| beside.incarnation == incarnation);
        match beside.next() {
            Some(beside) => matches!(beside.phase, Phase::Unready { .. }),
            None => slot.incarnation == incarnation && matches!(slot.state, State::Unready { .. }),
        }
    }

    /// An incarnation says that it is ready, or was found to be.
    pub(in crate::daemon) fn is_ready(&mut self, key: Key) {
        if let Some(life) = self.lives.get_mut(key) {
            life.looking = None;
            self.queue.push_back(Event::Ready { id: key.0, incarnation: key.1 });
        }
    }

    /// Asks an incarnation to end by a message, or by a signal where it has no channel.
    pub(super) fn farewell(&mut self, key: Key, signal: Signal, scope: Scope) {
        self.signal(key, signal, scope);
    }

    /// Gives an incarnation no new work.
    pub(super) fn drain(&mut self, key: Key) {
        self.queue.push_back(Event::Drained { id: key.0, incarnation: key.1 });
    }
}
