//! What is done with slots that exist (`Action`): which of them a request means, what it changes in their definitions, and
//! what it wants of them.

use super::Effects;
use super::command::{Start, begin_slots, expect, next, redefine, remove_all, start_needed, waiting};
use super::job;
use super::pending::{Goal, Pending};
use super::rollout::Rollout;
use super::waiting::{end_in_order, staying};
use crate::deps::Graph;
use crate::proto::{Action, Done, Order, Outcome, Patch, Refusal, Wait};
use crate::select::Selector;
use crate::spec::{AppSpec, Field, Watch};
use crate::units::{InstanceId, Millis, Now};
use crate::world::{Cause, Instance, Then, Verb, Wanted, World};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a client wants an action done.
pub(super) struct Asked {
    pub(super) order: Order,
    pub(super) wait: Wait,
}

/// Does it, or begins to; the goals are those of the request.
///
/// # Errors
/// When a word means nothing, a value does not fit, or something that is needed is lacking: then nothing is done.
pub(super) fn act(
    world: &mut World,
    now: Now,
    action: Action,
    targets: &[Selector],
    patch: &Patch,
    Asked { order, wait }: Asked,
    effects: &mut Effects,
) -> Result<Pending, Refusal> {
    let ids = resolve(world, targets)?;
    // All definitions first, so that a bad value changes nothing.
    let patched: Vec<(InstanceId, Arc<AppSpec>)> = ids
        .iter()
        .filter_map(|id| world.instances.get(id))
        .filter(|_| *patch != Patch::default())
        .map(|instance| Ok((instance.id, Arc::new(apply(instance, action, patch)?))))
        .collect::<Result<_, Refusal>>()?;
    check_slots(world, action, order, &ids, &patched)?;
    if let Some(watch) = patch.fields.get("watch") {
        switch_watch(world, action, &ids, watch);
    }
    // A reload takes a slot's new definition when its turn comes, and only if it is good.
    if !matches!(action, Action::Roll(_)) {
        for (id, spec) in &patched {
            redefine(world, *id, spec.clone());
        }
    }
    let mut pending = waiting(wait, now);
    match action {
        Action::Start | Action::Restart => {
            let verb = if action == Action::Start { Verb::Start } else { Verb::Restart };
            let starts = ids.into_iter().map(|id| (id, Done::Restarted)).collect();
            begin_slots(world, now, starts, Start { verb, wait, order }, &mut pending, effects);
        }
        Action::Stop => {
            end_in_order(world, now, &ids, &Then::Stop(Cause::Operator(Verb::Stop)), effects);
            for id in ids {
                expect(world, id, Goal::Down, Done::Stopped, &mut pending);
            }
        }
        Action::Delete => remove_all(world, now, &ids, &mut pending, effects),
        Action::Roll(roll) => {
            let specs: BTreeMap<InstanceId, Arc<AppSpec>> = patched.into_iter().collect();
            let queue = ids.iter().filter_map(|id| {
                let instance = world.instances.get(id).filter(|slot| slot.state.wanted() != Wanted::Gone)?;
                Some((*id, specs.get(id).unwrap_or(&instance.spec).clone()))
            });
            let queue = queue.collect();
            start_needed(world, now, &next(&queue), Start { verb: Verb::Start, wait, order }, &mut pending, effects);
            pending.rollout = Some(Rollout { queue, roll, order, failed: BTreeSet::new() });
        }
        Action::Reset => ids.into_iter().for_each(|id| reset(world, id, &mut pending)),
        Action::Run => ids.into_iter().for_each(|id| run(world, now, id, &mut pending, effects)),
    }
    Ok(pending)
}

/// The slots that the words mean, each once.
pub(super) fn resolve(world: &World, targets: &[Selector]) -> Result<Vec<InstanceId>, Refusal> {
    let mut ids: Vec<InstanceId> = Vec::new();
    let mut seen = BTreeSet::new();
    for target in targets {
        let found = target.resolve(world).map_err(Refusal::Unknown)?;
        ids.extend(found.into_iter().filter(|id| seen.insert(*id)));
    }
    Ok(ids)
}

/// Switches the watching of files for one slot; one that says nothing of it watches everything.
pub(super) fn watch(world: &mut World, id: InstanceId, on: Option<bool>) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let was_on = instance.spec.watch.is_on() && !instance.unwatched;
    let on = on.unwrap_or(!was_on);
    instance.unwatched = !on;
    if on && !instance.spec.watch.is_on() {
        Arc::make_mut(&mut instance.spec).watch = Watch::All(true);
    }
    world.touched.insert(id);
}

/// Refuses what would make slots depend on themselves, and starts of slots that lack something they need.
fn check_slots(
    world: &World,
    action: Action,
    order: Order,
    ids: &[InstanceId],
    patched: &[(InstanceId, Arc<AppSpec>)],
) -> Result<(), Refusal> {
    let new: BTreeMap<InstanceId, &AppSpec> = patched.iter().map(|(id, spec)| (*id, &**spec)).collect();
    let graph = Graph::of(staying(world).map(|instance| new.get(&instance.id).copied().unwrap_or(&instance.spec)));
    let names = ids.iter().filter_map(|id| {
        let instance = world.instances.get(id).filter(|instance| instance.state.wanted() != Wanted::Gone)?;
        Some(new.get(id).map_or(instance.spec.name.as_str(), |spec| spec.name.as_str()))
    });
    let checked = match action {
        Action::Start | Action::Restart | Action::Roll(_) if order == Order::Dependencies => graph.check(names),
        Action::Start | Action::Restart | Action::Roll(_) => graph.acyclic(names),
        // What a run needs that is not there is told as its cause.
        Action::Stop | Action::Delete | Action::Reset | Action::Run if !patched.is_empty() => graph.acyclic(names),
        Action::Stop | Action::Delete | Action::Reset | Action::Run => Ok(()),
    };
    checked.map_err(Refusal::Dependencies)
}

fn reset(world: &mut World, id: InstanceId, pending: &mut Pending) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    instance.restarts = 0;
    instance.unstable = 0;
    instance.last_delay = Millis(0);
    instance.dropped = 0;
    pending.outcomes.push(Outcome { id, name: instance.spec.name.clone(), done: Done::Reset });
    world.touched.insert(id);
}

/// Runs a job by hand.
fn run(world: &mut World, now: Now, id: InstanceId, pending: &mut Pending, effects: &mut Effects) {
    let Some(instance) = world.instances.get(&id) else { return };
    let (name, before) = (instance.spec.name.clone(), instance.incarnation);
    let refusal = if instance.spec.schedule.is_none() {
        Some("has no `schedule`: `start` runs it")
    } else if job::run(world, now, id, effects) {
        None
    } else {
        Some("has a run under way; `restart` ends it and runs it again")
    };
    match refusal {
        Some(why) => pending.outcomes.push(Outcome { id, name, done: Done::Failed(why.into()) }),
        None => expect(world, id, Goal::Up(before), Done::Ran, pending),
    }
}

/// `--watch` for slots that exist, as PM2 has it: `stop` switches the watching of files off, `restart` and `reload` over,
/// `start` on. What was said to be watched stays the same; paths are new and are watched.
fn switch_watch(world: &mut World, action: Action, ids: &[InstanceId], watch: &Value) {
    for id in ids {
        let Some(instance) = world.instances.get_mut(id) else { continue };
        instance.unwatched = *watch == Value::Bool(true)
            && match action {
                Action::Stop => true,
                Action::Restart | Action::Roll(_) => instance.spec.watch.is_on() && !instance.unwatched,
                Action::Start | Action::Delete | Action::Reset | Action::Run => false,
            };
        world.touched.insert(*id);
    }
}

/// The definition of a slot with the patch's values in it.
fn apply(instance: &Instance, action: Action, patch: &Patch) -> Result<AppSpec, Refusal> {
    let spec = &*instance.spec;
    let bad = |error: serde_json::Error| Refusal::BadPatch(error.to_string());
    let defaults = serde_json::to_value(AppSpec::default()).map_err(bad)?;
    let Value::Object(mut whole) = serde_json::to_value(spec).map_err(bad)? else {
        return Err(Refusal::BadPatch("a definition is a map".into()));
    };
    for (key, value) in &patch.fields {
        if Field::find(key).is_some_and(Field::is_later) {
            if let Some(Value::Object(declared)) = whole.get_mut("declared") {
                declared.insert(key.clone(), value.clone());
                declared.retain(|_, value| !value.is_null());
            }
            continue;
        }
        let value = if value.is_null() { defaults.get(key).cloned().unwrap_or(Value::Null) } else { value.clone() };
        whole.insert(key.clone(), value);
    }
    let mut patched: AppSpec = serde_json::from_value(Value::Object(whole)).map_err(bad)?;
    if patched.watch == Watch::All(true) && (spec.watch.is_on() || action == Action::Stop) {
        patched.watch = spec.watch.clone();
    }
    if let Some((key, help)) = patched.beside_schedule() {
        return Err(Refusal::BadPatch(format!("{}: `{key}` is not possible beside `schedule`: {help}", patched.name)));
    }
    patched.base_env = patch.base_env.as_ref().unwrap_or(&spec.base_env).clone();
    Ok(patched)
}
