//! What a successor of the daemon finds of the lives on record: another column of the table State × Event.

use super::Effects;
use super::effect::Effect;
use super::ending;
use super::event::Found;
use super::lifecycle::{ask_to_begin, begin, enter, exited, leave_stopping, running, settle_down, touch};
use crate::units::{Incarnation, InstanceId, Now};
use crate::world::{Cause, Exit, Instance, State, Then, World};

pub(super) fn recovered(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    found: Found,
    effects: &mut Effects,
) {
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = touch(world, id) else { return };
    match found {
        Found::Alive(identity) => {
            instance.process = Some(identity);
            resume(instance, now, effects);
        }
        Found::Ended(exit) => {
            if let State::Stopping { tree_gone: false, .. } = &instance.state {
                // The watch on the tree died with the old daemon, and what was sent to it may not have been.
                resume(instance, now, effects);
            }
            exited(world, now, id, incarnation, exit, effects);
        }
        Found::NeverRan => match &instance.state {
            State::Starting { .. } => {
                let why = Cause::Operator(crate::world::Verb::Start);
                effects.push(Effect::Release { id, incarnation });
                // Without any life on record only the wish is known, and it may have been waiting.
                if incarnation == Incarnation(0) {
                    ask_to_begin(world, now, id, why, effects);
                } else {
                    begin(world, now, id, why, effects);
                }
            }
            State::Stopping { .. } => {
                instance.process = None;
                effects.push(Effect::Release { id, incarnation });
                leave_stopping(world, now, id, false, effects);
            }
            State::Unready { .. } | State::Online { .. } => exited(world, now, id, incarnation, Exit::Unknown, effects),
            State::Stopped { .. }
            | State::Idle { .. }
            | State::Waiting { .. }
            | State::Backoff { .. }
            | State::Errored { .. } => {}
        },
        Found::Rebooted => match &instance.state {
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Unready { .. }
            | State::Online { .. }
            | State::Backoff { .. } => {
                instance.process = None;
                effects.push(Effect::Release { id, incarnation });
                settle_down(world, now, id, Then::Stop(Cause::Reboot), false, effects);
            }
            State::Stopping { then, .. } => {
                let next = match then {
                    Then::Remove => Then::Remove,
                    Then::GiveUp(why) => Then::GiveUp(why.clone()),
                    Then::Stop(why) => Then::Stop(why.clone()),
                    Then::Rest(_) | Then::Restart(_) | Then::Respawn { .. } => Then::Stop(Cause::Reboot),
                };
                instance.process = None;
                effects.push(Effect::Release { id, incarnation });
                settle_down(world, now, id, next, false, effects);
            }
            State::Stopped { .. } | State::Errored { .. } => {}
        },
    }
}

/// After a restart of the machine nothing that waited is to start, whatever its dependencies have come to.
pub(super) fn wait_no_more(world: &mut World, now: Now, effects: &mut Effects) {
    let waits = |instance: &&Instance| matches!(instance.state, State::Waiting { .. });
    let waiting: Vec<InstanceId> = world.instances.values().filter(waits).map(|instance| instance.id).collect();
    for id in waiting {
        settle_down(world, now, id, Then::Stop(Cause::Reboot), false, effects);
    }
}

/// Goes on with a living incarnation that another daemon left.
fn resume(instance: &mut Instance, now: Now, effects: &mut Effects) {
    let (id, incarnation) = (instance.id, instance.incarnation);
    match &instance.state {
        State::Starting { since } => {
            let then = Now { instant: *since, ..now };
            let state = running(&instance.spec, then);
            enter(instance, now, state, Cause::Spawned);
            effects.push(Effect::AwaitReady { id, incarnation });
        }
        State::Unready { .. } | State::Online { .. } => {
            instance.care.begin(now.instant);
            effects.push(Effect::AwaitReady { id, incarnation });
        }
        // Its turn has not come; when it does, it is signalled.
        State::Stopping { after, .. } if !after.is_empty() => {}
        State::Stopping { killed, tree_gone, .. } => {
            ending::again(&instance.spec, id, incarnation, *killed, !*tree_gone, effects);
        }
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
    }
}
