//! How an incarnation tells that it is ready, takes its leave, and drains.

use crate::daemon::channel::{Said, ends};
use crate::daemon::driver::Driver;
use crate::daemon::ear::Search;
use crate::daemon::journal;
use crate::daemon::life::{Key, Parent};
use crate::daemon::prober::{Look, look_until_ready};
use crate::daemon::watch;
use baton_core::spec::{Probe, Readiness, ReadyBy};
use baton_core::step::{Event, Scope};
use baton_core::world::{Detail, Phase, Signal, State};
use baton_os::clock;
use baton_os::logs::Channel;

impl Driver {
    /// Begins to look for what shows that an incarnation is ready.
    pub(super) fn await_ready(&mut self, key: Key) {
        let Some(slot) = self.world.as_of(key.0, key.1) else { return };
        let unready = self.is_unready(key);
        let Some(life) = self.lives.get_mut(key) else { return };
        // It may say more later, and must not wait until somebody takes that in.
        watch::line(key, life, slot.spec.watchdog_limit().is_some(), &self.inbox);
        life.runs = true;
        for pattern in std::mem::take(&mut life.heard) {
            self.queue.push_back(Event::Heard { id: key.0, incarnation: key.1, pattern });
        }
        let Some(Readiness { by, interval, .. }) = slot.spec.ready.clone().filter(|_| unready) else { return };
        let probe = match by {
            ReadyBy::Tcp(at) => Probe::Tcp(at),
            ReadyBy::Http(url) => Probe::Http(url),
            ReadyBy::Exec(command) => Probe::Exec(command),
            // A life of ours has been listened to from its first byte on.
            ReadyBy::Log(pattern) if life.parent == Parent::Other => return self.hear(key, &pattern),
            // It says so itself.
            ReadyBy::Notify | ReadyBy::Fd | ReadyBy::Log(_) | ReadyBy::Ipc => return,
        };
        let view = slot.view(clock::now(), Detail::Definition);
        let leader = life.identity.clone();
        match look_until_ready(key, Look::new(probe, view, leader, &self.home), interval, self.inbox.clone()) {
            Ok(looking) => life.looking = Some(looking),
            Err(error) => journal::error(format_args!("no thread to look whether slot {} is ready: {error}", key.0)),
        }
    }

    /// Listens for a line of a life's output, and looks into its log when that has begun.
    pub(super) fn hear(&mut self, key: Key, pattern: &str) {
        let (Some(slot), Some(life)) = (self.world.as_of(key.0, key.1), self.lives.get(key)) else { return };
        let search = match Search::new(key, pattern, &self.inbox) {
            Ok(search) => search,
            Err(error) => return journal::error(format_args!("slot {} can't be listened to: {error}", key.0)),
        };
        self.logs.listen(key.0, key.1, search.ear());
        if life.told_to_run {
            // Both streams have one format.
            let format = life.routes.route(Channel::Out).format;
            search.past(slot.view(clock::now(), Detail::Row), format, life.began.clone(), &self.home);
        }
    }

    /// A life has written a line that was listened for.
    pub(in crate::daemon) fn heard(&mut self, key: Key, pattern: String) {
        let Some(life) = self.lives.get_mut(key) else { return };
        if life.runs {
            self.queue.push_back(Event::Heard { id: key.0, incarnation: key.1, pattern });
        } else {
            life.heard.push(pattern);
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
        if self.lives.get(key).is_some_and(|life| life.has_channel) {
            self.tell_stop(key);
            self.look_no_more(key);
            self.channels.leaving(key);
            self.channels.say(key, "shutdown".into());
        } else {
            self.signal(key, signal, scope);
        }
    }

    /// An incarnation has said something over its channel.
    pub(in crate::daemon) fn said(&mut self, key: Key, said: Said) {
        match said {
            Said::Ready | Said::Listening => {
                let spec = self.world.spec_of(key.0, key.1);
                let counts = spec.is_some_and(|spec| match &spec.ready {
                    Some(ready) => said == Said::Ready && ready.by == ReadyBy::Ipc,
                    None => spec.wait_ready == (said == Said::Ready),
                });
                if counts {
                    // It may be heard before the report of the start is read; the core is told in order.
                    self.reported(key);
                    self.is_ready(key);
                }
            }
            Said::Gone => {
                let Some(life) = self.lives.get_mut(key) else { return };
                life.has_channel = false;
                // A worker that was to finish what it has closes its channel when that is done.
                self.queue.push_back(Event::Drained { id: key.0, incarnation: key.1 });
                if let Some(guard) = &self.guard {
                    guard.release(vec![ends::name(key)], Box::new(|| ()));
                }
            }
        }
    }

    /// Gives an incarnation no new work.
    pub(super) fn drain(&mut self, key: Key) {
        if !self.lives.get(key).is_some_and(|life| life.has_channel) {
            self.queue.push_back(Event::Drained { id: key.0, incarnation: key.1 });
            return;
        }
        if self.world.spec_of(key.0, key.1).is_some_and(|spec| spec.shutdown_with_message) {
            self.channels.say(key, "shutdown".into());
        }
        self.channels.drain(key);
    }
}
