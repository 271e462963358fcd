//! Reloads, slot by slot: a new life beside the old where that can be, else a restart in its turn. A slot's turn comes
//! when fewer than `parallel` are under way; an app whose reload has failed in one slot keeps the old version in the rest.

use super::Effects;
use super::command::redefine;
use super::job;
use super::lifecycle;
use super::overlap;
use super::pending::{Goal, Pending};
use super::waiting::needed;
use crate::proto::{Done, Order, Outcome, Roll};
use crate::spec::AppSpec;
use crate::units::{InstanceId, Now};
use crate::world::{Cause, State, Then, Verb, Wanted, World};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// What is left of a reload.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// The slots whose turn has not come, each with what it is to become.
    pub queue: VecDeque<(InstanceId, Arc<AppSpec>)>,
    /// How.
    pub roll: Roll,
    /// Whether what the apps need counts.
    pub order: Order,
    /// Apps of which a slot has failed.
    pub failed: BTreeSet<String>,
}

/// Begins as many slots of a request as may be under way. Slots that can't be reloaded get their outcome at once.
pub(super) fn advance(world: &mut World, now: Now, pending: &mut Pending, effects: &mut Effects) {
    let Some(mut rollout) = pending.rollout.take() else { return };
    let failures = pending.outcomes.iter().filter(|outcome| matches!(outcome.done, Done::Failed(_)));
    rollout.failed.extend(failures.map(|outcome| outcome.name.clone()));
    let halts = pending.sync.as_ref().is_some_and(|syncing| syncing.halts);
    while pending.goals.len() < rollout.roll.parallel.max(1) as usize {
        let Some((id, spec)) = rollout.queue.pop_front() else { break };
        let Some(instance) = world.instances.get(&id) else { continue };
        let name = spec.name.clone();
        let left = if rollout.failed.contains(&name) {
            Some("was left as it is, because another instance could not be reloaded")
        } else if halts && !rollout.failed.is_empty() {
            Some("was left as it is, because an app before it failed")
        } else {
            None
        };
        if let Some(why) = left {
            pending.outcomes.push(Outcome { id, name, done: Done::Left(why.into()) });
            continue;
        }
        let refused = pending.sync.as_ref().and_then(|syncing| syncing.refused.get(&name));
        let refusal = if world.ending || instance.state.wanted() == Wanted::Gone {
            Some("was deleted meanwhile".into())
        } else if let Some(why) = refused {
            Some(format!("{why}; the old one still runs"))
        } else if overlap::is_under_way(instance) {
            Some("is being reloaded already; try again when that is done".into())
        } else {
            None
        };
        if let Some(why) = refusal {
            rollout.failed.insert(name.clone());
            pending.outcomes.push(Outcome { id, name, done: Done::Failed(why) });
            continue;
        }
        let (goal, done) = begin(world, now, id, spec, &rollout, effects);
        pending.goals.insert(id, (name, goal, done));
        pending.deadline = pending.patience.map(|patience| now.instant + patience);
    }
    pending.rollout = Some(rollout);
}

/// Takes a slot out of every reload in which its turn has not come: someone has asked for something else since. What
/// follows a source goes on with a slot that was started again, and one that was stopped has its definition and stays so.
pub(super) fn leave_out(world: &mut World, id: InstanceId, next: &Then) {
    let Some(name) = world.instances.get(&id).map(|instance| instance.spec.name.clone()) else { return };
    let mut meant = None;
    for pending in world.pending.values_mut() {
        let Some(rollout) = &mut pending.rollout else { continue };
        let Some(at) = rollout.queue.iter().position(|(queued, _)| *queued == id) else { continue };
        let done = match (&pending.sync, next) {
            (None, _) => Done::Failed("was stopped or started again meanwhile".into()),
            (Some(_), Then::Restart(_) | Then::Rest(_) | Then::Respawn { .. }) => continue,
            (Some(_), Then::Remove) => Done::Deleted,
            (Some(_), Then::Stop(_) | Then::GiveUp(_)) => Done::Stopped,
        };
        let (_, spec) = rollout.queue.remove(at).unzip();
        if done == Done::Stopped {
            meant = spec;
        }
        pending.outcomes.push(Outcome { id, name: name.clone(), done });
    }
    if let Some(spec) = meant {
        redefine(world, id, spec);
    }
}

fn begin(
    world: &mut World,
    now: Now,
    id: InstanceId,
    spec: Arc<AppSpec>,
    rollout: &Rollout,
    effects: &mut Effects,
) -> (Goal, Done) {
    let roll = rollout.roll;
    let before = world.instances.get(&id).map(|instance| instance.incarnation).unwrap_or_default();
    let beside = roll.overlap && world.instances.get(&id).is_some_and(|instance| overlap::is_possible(instance, &spec));
    if beside && let Some(candidate) = overlap::begin(world, now, id, spec.clone(), effects) {
        return (Goal::Replaced(candidate), Done::Reloaded);
    }
    let name = spec.name.clone();
    let was_run = world.instances.get(&id).is_some_and(job::is_under_way);
    let is_job = spec.schedule.is_some();
    redefine(world, id, spec);
    if is_job {
        // The next run is of the new definition; the one under way goes on.
        if !was_run {
            let verb = if roll.overlap { Verb::Reload } else { Verb::Restart };
            lifecycle::end(world, now, id, Then::Rest(Cause::Operator(verb)), effects);
        }
        effects.push(super::Effect::Persist);
        return (Goal::Armed, if roll.overlap { Done::Reloaded } else { Done::Restarted });
    }
    // What an operator has stopped since stays down, and the app has run without it until now.
    let lacks = !needed(world, &BTreeSet::from([name]), &[]).is_empty();
    let Some(instance) = world.instances.get_mut(&id) else { return (Goal::Gone, Done::Restarted) };
    instance.alone = lacks || rollout.order == Order::Alone;
    let verb = if roll.overlap { Verb::Reload } else { Verb::Restart };
    let runs = roll.overlap && !matches!(instance.state, State::Stopped { .. } | State::Errored { .. });
    instance.begin_anew(now.wall);
    lifecycle::end(world, now, id, Then::Restart(Cause::Operator(verb)), effects);
    effects.push(super::Effect::Persist);
    (Goal::Ready(before), if runs { Done::RestartedInstead } else { Done::Restarted })
}
