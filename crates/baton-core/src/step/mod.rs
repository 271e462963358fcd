//! The one function that changes the world.
//!
//! * `event` and `effect` are its language.
//! * `lifecycle` decides what happens to one slot: the table State × Event, total, without a `_` arm.
//! * `recovery` decides what a successor of the daemon makes of the lives on record.
//! * `overlap` decides what happens to lives beside the current one of a slot, during a reload.
//! * `outside` decides what follows when something else than a process or a request wants a slot to run again.
//! * `job` decides what the times of jobs bring.
//! * `care` decides about lives that are unwell.
//! * `rollout` goes on with reloads, slot by slot.
//! * `sync` carries out what a source needs to become the truth.
//! * `command` turns requests into what is wished of slots, `act` those that are about slots which exist.
//! * `ending` says what is sent to a life that ends.
//! * `waiting` goes on with starts and stops that wait for other slots.
//! * `pending` tells when a request is done.
//!
//! Rules: an event of an incarnation that is not the current one is stale and changes nothing; a reply is an effect;
//! whoever carries out the effects takes `world.touched` after every step and writes those records first.

mod act;
mod care;
mod command;
mod effect;
mod ending;
mod event;
mod job;
mod lifecycle;
mod outside;
mod overlap;
mod pending;
mod recovery;
mod rollout;
mod sync;
mod waiting;

pub use effect::{Effect, Scope};
pub use event::{Event, Found, Pet};
pub use pending::{Goal, Pending};
pub use rollout::Rollout;
pub use sync::{Syncing, is_under_way as is_syncing};

use crate::proto::{Change, Update};
use crate::sync::Turn;
use crate::units::{Incarnation, InstanceId, Now};
use crate::world::{Cause, Detail, World};

/// Effects in the order in which they must be carried out.
pub type Effects = Vec<Effect>;

/// Takes one event into the world and says what must be done. Pure: the same world, time and event give the same
/// result. Events that do not fit the state are no-ops, never panics.
pub fn step(world: &mut World, now: Now, event: Event) -> Effects {
    let mut effects = Effects::new();
    match event {
        Event::Command { op, command } => command::begin(world, now, op, command, &mut effects),
        Event::PlanAsked { op, desired } => sync::ask(world, now, op, Turn::Plan(desired), &mut effects),
        Event::Prepared { id, incarnation, identity } if is_beside(world, id, incarnation) => {
            overlap::prepared(world, id, incarnation, identity, &mut effects);
        }
        Event::Spawned { id, incarnation } if is_beside(world, id, incarnation) => {
            overlap::spawned(world, now, id, incarnation, &mut effects);
        }
        Event::SpawnFailed { id, incarnation, error } if is_beside(world, id, incarnation) => {
            overlap::spawn_failed(world, now, id, incarnation, error, &mut effects);
        }
        Event::Exited { id, incarnation, exit } if is_beside(world, id, incarnation) => {
            overlap::exited(world, now, id, incarnation, exit, &mut effects);
        }
        Event::TreeGone { id, incarnation } if is_beside(world, id, incarnation) => {
            overlap::tree_gone(world, now, id, incarnation, &mut effects);
        }
        Event::Ready { id, incarnation } if is_beside(world, id, incarnation) => {
            overlap::ready(world, now, id, incarnation, &mut effects);
        }
        Event::Heard { id, incarnation, pattern } if is_beside(world, id, incarnation) => {
            overlap::heard(world, now, id, incarnation, &pattern, &mut effects);
        }
        Event::Recovered { id, incarnation, found } if is_beside(world, id, incarnation) => {
            overlap::recovered(world, now, id, incarnation, found, &mut effects);
        }
        // Only a life that was retired is asked to drain.
        Event::Drained { id, incarnation } => overlap::drained(world, now, id, incarnation, &mut effects),
        Event::Prepared { id, incarnation, identity } => {
            lifecycle::prepared(world, id, incarnation, identity, &mut effects);
        }
        Event::Spawned { id, incarnation } => lifecycle::spawned(world, now, id, incarnation, &mut effects),
        Event::Ready { id, incarnation } => lifecycle::ready(world, now, id, incarnation),
        Event::Heard { id, incarnation, pattern } => lifecycle::heard(world, now, id, incarnation, pattern),
        Event::SpawnFailed { id, incarnation, error } => {
            lifecycle::spawn_failed(world, now, id, incarnation, error, &mut effects);
        }
        Event::Exited { id, incarnation, exit } => {
            lifecycle::exited(world, now, id, incarnation, exit, &mut effects);
        }
        Event::TreeGone { id, incarnation } => lifecycle::tree_gone(world, now, id, incarnation, &mut effects),
        Event::Probed { external, result } => waiting::probed(world, &external, result),
        Event::OutputDropped { id, bytes } => lifecycle::output_dropped(world, id, bytes),
        Event::Planned { id, pattern, time } => job::planned(world, id, &pattern, time),
        Event::HookFailed { id, hook, event, why } => {
            // It is told, and no hook is told of it.
            if let Some(instance) = lifecycle::touch(world, id) {
                instance.note("hook", Cause::HookFailed { hook, event, why }, now.wall);
            }
        }
        Event::Clock => job::clock(world, now, &mut effects),
        Event::Struck { id } => outside::struck(world, now, id, &mut effects),
        Event::Weighed { id, incarnation, used } => outside::weighed(world, now, id, incarnation, used, &mut effects),
        Event::Examined { id, incarnation, result } => {
            care::examined(world, now, id, incarnation, result, &mut effects);
        }
        Event::Petted { id, incarnation, pet } => care::petted(world, now, id, incarnation, pet, &mut effects),
        Event::Beat { id, incarnation, process, name } => care::beat(world, now, id, incarnation, process, name),
        Event::BeaterGone { id, incarnation, process } => care::beater_gone(world, id, incarnation, &process),
        Event::Changed { id, path, more } => outside::changed(world, now, id, path, more),
        Event::Timer => lifecycle::timers(world, now, &mut effects),
        Event::Recovered { id, incarnation, found } => {
            if found == Found::Rebooted {
                recovery::wait_no_more(world, now, &mut effects);
            }
            recovery::recovered(world, now, id, incarnation, found, &mut effects);
        }
        Event::ClientGone { op } => {
            // The daemon ends when that was asked for, whether or not someone waits to hear of it.
            // And a reload goes on to the last slot, so that no app is left half old, half new.
            world.syncs.retain(|(waiting, _)| *waiting != op);
            if world.pending.get(&op).is_some_and(|pending| !pending.shutdown && pending.rollout.is_none()) {
                world.pending.remove(&op);
            }
        }
    }
    loop {
        waiting::settle(world, now, &mut effects);
        // What a reload begins may be decided at once, and then the next slot has its turn.
        while pending::advance(world, now, &mut effects) {
            waiting::settle(world, now, &mut effects);
        }
        pending::answer(world, &mut effects);
        if !sync::next(world, now, &mut effects) {
            break;
        }
    }
    publish(world, now, &mut effects);
    effects
}

/// Whether an incarnation lives beside the current one of its slot.
fn is_beside(world: &World, id: InstanceId, incarnation: Incarnation) -> bool {
    world.current(id, incarnation).is_none() && world.lives(id, incarnation)
}

/// One update for each slot that this step touched.
fn publish(world: &mut World, now: Now, effects: &mut Effects) {
    if world.touched.is_empty() {
        return;
    }
    world.revision += 1;
    // What ends with everything is no event.
    if !world.ending {
        for id in &world.touched {
            let Some(instance) = world.instances.get_mut(id) else { continue };
            let call = |(hook, report)| Effect::Call { hook: Box::new(hook), report: Box::new(report) };
            effects.extend(instance.take_calls(now).into_iter().map(call));
        }
    }
    for id in &world.touched {
        let change = match world.instances.get(id) {
            Some(instance) => Change::Slot(Box::new(instance.view(now, Detail::Row))),
            None => Change::Gone(*id),
        };
        effects.push(Effect::Publish(Update { revision: world.revision, change }));
    }
}
