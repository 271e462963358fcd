//! How much memory apps use that have a limit (`max_memory_restart`). They are looked at each second while one of them
//! runs; without a limit nothing is looked at.

use super::driver::Driver;
use super::inbox::Message;
use super::measure::{Answer, Order};
use baton_core::step::Event;
use baton_core::units::{Bytes, Incarnation, InstanceId, Instant, Millis};
use baton_core::world::{Instance, State};
use baton_os::clock;

/// Pause between two looks.
const INTERVAL: Millis = Millis(1_000);

/// When the next look is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Weighing {
    /// Nobody who runs has a limit.
    #[default]
    Off,
    /// At this moment.
    At(Instant),
    /// One is under way.
    UnderWay,
}

fn is_limited(instance: &Instance) -> bool {
    instance.spec.memory_limit().is_some() && matches!(instance.state, State::Unready { .. } | State::Online { .. })
}

impl Driver {
    /// When memory is looked at next.
    pub(super) fn weigh_at(&self) -> Option<Instant> {
        match self.weighing {
            Weighing::At(at) => Some(at),
            Weighing::Off | Weighing::UnderWay => None,
        }
    }

    /// Begins to look when one of these slots has a limit now.
    pub(super) fn follow_limits<'a>(&mut self, touched: impl IntoIterator<Item = &'a InstanceId>) {
        let limited = |id: &InstanceId| self.world.instances.get(id).is_some_and(is_limited);
        if self.weighing == Weighing::Off && touched.into_iter().any(limited) {
            self.weighing = Weighing::At(clock::now().instant + INTERVAL);
        }
    }

    /// Has everything weighed, when somebody with a limit runs.
    pub(super) fn weigh(&mut self) {
        let limited = self.world.instances.values().filter(|instance| is_limited(instance));
        let lives: Vec<(InstanceId, Incarnation)> = limited.map(|slot| (slot.id, slot.incarnation)).collect();
        if lives.is_empty() {
            self.weighing = Weighing::Off;
            return;
        }
        self.weighing = Weighing::UnderWay;
        // All of them are looked at: the thread remembers whom it need not look at again.
        let (leaders, inbox) = (self.leaders(), self.inbox.clone());
        self.measurer.order(Order { leaders, answer: Answer::Loop(lives, inbox) });
    }

    /// What was found.
    pub(super) fn weighed(&mut self, lives: Vec<(InstanceId, Incarnation, Bytes)>) {
        self.weighing = Weighing::At(clock::now().instant + INTERVAL);
        for (id, incarnation, used) in lives {
            // What is within its limit is no event.
            let limit = self.world.instances.get(&id).and_then(|instance| instance.spec.memory_limit());
            if limit.is_some_and(|limit| used > limit) {
                self.queue.push_back(Event::Weighed { id, incarnation, used });
            }
        }
    }
}

/// Tells the loop what these lives use.
pub(super) fn tell(lives: &[(InstanceId, Incarnation)], used: &[(InstanceId, Bytes)], inbox: &super::inbox::Inbox) {
    let find = |id: InstanceId| used.iter().find(|(of, _)| *of == id).map(|(_, used)| *used);
    let found = lives.iter().filter_map(|(id, incarnation)| Some((*id, *incarnation, find(*id)?)));
    inbox.send(Message::Weighed(found.collect()));
}
