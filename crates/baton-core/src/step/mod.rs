//! The one function that changes the world.
//!
//! * `event` and `effect` are its language.
//! * `lifecycle` decides what happens to one slot: the table State × Event, total, without a `_` arm.
//! * `command` turns requests into what is wished of slots.
//! * `waiting` goes on with starts and stops that wait for other slots.
//! * `pending` tells when a request is done.
//!
//! Rules: an event of an incarnation that is not the current one is stale and changes nothing; a reply is an effect;
//! whoever carries out the effects takes `world.touched` after every step and writes those records first.

mod command;
mod effect;
mod event;
mod lifecycle;
mod pending;
mod waiting;

pub use effect::{Effect, Scope};
pub use event::{Event, Found};
pub use pending::{Goal, Pending};

use crate::proto::{Change, Update};
use crate::units::Now;
use crate::world::World;

/// Effects in the order in which they must be carried out.
pub type Effects = Vec<Effect>;

/// Takes one event into the world and says what must be done. Pure: the same world, time and event give the same
/// result. Events that do not fit the state are no-ops, never panics.
pub fn step(world: &mut World, now: Now, event: Event) -> Effects {
    let mut effects = Effects::new();
    match event {
        Event::Command { op, command } => command::begin(world, now, op, command, &mut effects),
        Event::Prepared { id, incarnation, identity } => {
            lifecycle::prepared(world, id, incarnation, identity, &mut effects);
        }
        Event::Spawned { id, incarnation } => lifecycle::spawned(world, now, id, incarnation),
        Event::SpawnFailed { id, incarnation, error } => {
            lifecycle::spawn_failed(world, now, id, incarnation, error, &mut effects);
        }
        Event::Exited { id, incarnation, exit } => {
            lifecycle::exited(world, now, id, incarnation, exit, &mut effects);
        }
        Event::TreeGone { id, incarnation } => lifecycle::tree_gone(world, now, id, incarnation, &mut effects),
        Event::Probed { external, result } => waiting::probed(world, &external, result),
        Event::Timer => lifecycle::timers(world, now, &mut effects),
        Event::Recovered { id, incarnation, found } => {
            lifecycle::recovered(world, now, id, incarnation, found, &mut effects);
        }
        Event::ClientGone { op } => {
            // The daemon ends when that was asked for, whether or not someone waits to hear of it.
            if world.pending.get(&op).is_some_and(|pending| !pending.shutdown) {
                world.pending.remove(&op);
            }
        }
    }
    waiting::settle(world, now, &mut effects);
    pending::settle(world, now, &mut effects);
    publish(world, now, &mut effects);
    effects
}

/// One update for each slot that this step touched.
fn publish(world: &mut World, now: Now, effects: &mut Effects) {
    if world.touched.is_empty() {
        return;
    }
    world.revision += 1;
    for id in &world.touched {
        let change = match world.instances.get(id) {
            Some(instance) => Change::Slot(Box::new(instance.view(now, false))),
            None => Change::Gone(*id),
        };
        effects.push(Effect::Publish(Update { revision: world.revision, change }));
    }
}
