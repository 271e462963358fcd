//! What waits for others: a start for what the app depends on (in the list or external), a stop for what depends on the app.
//!
//! Looked at once at the end of every step, so that a slot that waits is never kept waiting by what has come already,
//! whatever event brought it. Only starts that someone asked for wait: an app that comes back by itself does so at
//! once, with whatever is there.

use super::Effects;
use super::effect::Effect;
use super::lifecycle;
use crate::deps::Graph;
use crate::spec::{AppSpec, Condition, Dependency, External};
use crate::units::{Incarnation, InstanceId, Now};
use crate::world::{Cause, Instance, Reach, State, Then, Wanted, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Goes on with every slot whose waiting is over.
pub(super) fn settle(world: &mut World, now: Now, effects: &mut Effects) {
    let free: Vec<InstanceId> = world.instances.values().filter(|i| may_be_stopped(world, i)).map(|i| i.id).collect();
    for id in free {
        lifecycle::stop_now(world, now, id, effects);
    }
    // What fails makes its dependents fail, and so on.
    while advance(world, now, effects) {}
    look_for_externals(world, effects);
    listen_for_lines(world, effects);
}

/// Has somebody listen to the lives that have to write a line before a waiting slot may start.
fn listen_for_lines(world: &mut World, effects: &mut Effects) {
    let mut wanted: BTreeSet<(InstanceId, String)> = BTreeSet::new();
    let needs =
        |instance: &&Instance| instance.spec.depends_on.iter().any(|it| matches!(it.condition, Condition::Log(_)));
    let waiting: Vec<&Instance> = waiting(world).map(|(instance, _)| instance).filter(needs).collect();
    if waiting.is_empty() {
        return;
    }
    let graph = graph(world);
    for dependency in waiting.iter().flat_map(|instance| &instance.spec.depends_on) {
        let Condition::Log(pattern) = &dependency.condition else { continue };
        let apps = graph.resolve(&dependency.on);
        for slot in staying(world).filter(|slot| apps.contains(&slot.spec.name.as_str())) {
            let lives = matches!(slot.state, State::Starting { .. } | State::Unready { .. } | State::Online { .. });
            if lives && !slot.heard.contains(pattern) && !slot.listened.contains(pattern) {
                wanted.insert((slot.id, pattern.clone()));
            }
        }
    }
    for (id, pattern) in wanted {
        let Some(instance) = world.instances.get_mut(&id) else { continue };
        instance.listened.insert(pattern.clone());
        effects.push(Effect::Hear { id, incarnation: instance.incarnation, pattern });
    }
}

/// Takes in what a look for something external has found.
pub(super) fn probed(world: &mut World, external: &External, result: Result<(), String>) {
    // Nobody waits for it any more, when it is not listed.
    if let Some(reach) = world.externals.get_mut(external) {
        *reach = match result {
            Ok(()) => Reach::Reached,
            Err(found) => Reach::Open(Some(found)),
        };
    }
}

/// Has somebody look for each external thing that a waiting slot depends on, and for no other.
fn look_for_externals(world: &mut World, effects: &mut Effects) {
    let mut wanted: BTreeMap<&External, InstanceId> = BTreeMap::new();
    for (instance, _) in waiting(world) {
        for external in instance.spec.externals() {
            wanted.entry(external).or_insert(instance.id);
        }
    }
    if wanted.is_empty() && world.externals.is_empty() {
        return;
    }
    let wanted: BTreeMap<External, InstanceId> = wanted.into_iter().map(|(what, id)| (what.clone(), id)).collect();
    world.externals.retain(|external, reach| {
        let keep = wanted.contains_key(external);
        if !keep && *reach != Reach::Reached {
            effects.push(Effect::StopProbe { external: external.clone() });
        }
        keep
    });
    for (external, id) in wanted {
        world.externals.entry(external).or_insert_with_key(|external| {
            effects.push(Effect::Probe { external: external.clone(), id });
            Reach::Open(None)
        });
    }
}

/// Why a slot is given up that has waited long enough for this.
pub(super) fn late(world: &World, dependency: Dependency) -> Cause {
    let Some(external) = &dependency.external else { return Cause::DependencyLate(Box::new(dependency)) };
    let found = match world.externals.get(external) {
        Some(Reach::Open(found)) => found.clone(),
        Some(Reach::Reached) | None => None,
    };
    Cause::ExternalAbsent {
        name: external.name.clone(),
        within: dependency.timeout.unwrap_or(external.timeout),
        found,
        hint: external.hint.clone(),
    }
}

/// The slots that wait to start, and why they are to.
fn waiting(world: &World) -> impl Iterator<Item = (&Instance, &Cause)> {
    world.instances.values().filter_map(|instance| match &instance.state {
        State::Waiting { why, .. } => Some((instance, why)),
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Stopping { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => None,
    })
}

/// Whether a slot that was to be stopped after others waits for none of them any more.
fn may_be_stopped(world: &World, instance: &Instance) -> bool {
    match &instance.state {
        State::Stopping { after, .. } => !after.is_empty() && !after.iter().any(|life| alive(world, *life)),
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => false,
    }
}

fn alive(world: &World, (id, incarnation): (InstanceId, Incarnation)) -> bool {
    world.current(id, incarnation).is_some_and(|instance| instance.state.has_process())
}

/// What becomes of a slot that waits to start.
enum Verdict {
    Start(Cause),
    Wait(Vec<Dependency>),
    Fail(Cause),
}

/// Decides each waiting slot by what is now; true when one has failed.
fn advance(world: &mut World, now: Now, effects: &mut Effects) -> bool {
    let mut failed = false;
    for (id, verdict) in verdicts(world) {
        match verdict {
            Verdict::Start(why) => lifecycle::begin(world, now, id, why, effects),
            Verdict::Wait(left) => lifecycle::wait_on(world, id, left),
            Verdict::Fail(why) => {
                failed = true;
                lifecycle::give_up(world, now, id, why, effects);
            }
        }
    }
    failed
}

fn verdicts(world: &World) -> Vec<(InstanceId, Verdict)> {
    if waiting(world).next().is_none() {
        return Vec::new();
    }
    let mut slots: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in staying(world) {
        slots.entry(&instance.spec.name).or_default().push(instance);
    }
    let graph = graph(world);
    // Commands make none, but a name that goes can leave a unit of the same name behind.
    let circle = graph.cycle(waiting(world).map(|(instance, _)| instance.spec.name.as_str())).unwrap_or_default();
    let judge = |(instance, why): (&Instance, &Cause)| {
        if circle.contains(&instance.spec.name) {
            return (instance.id, Verdict::Fail(Cause::DependencyCycle(circle.clone())));
        }
        let mut left = Vec::new();
        for dependency in &instance.spec.depends_on {
            if let Some(external) = &dependency.external {
                if world.externals.get(external) != Some(&Reach::Reached) {
                    left.push(dependency.clone());
                }
                continue;
            }
            let apps = graph.resolve(&dependency.on);
            if apps.is_empty() {
                return (instance.id, Verdict::Fail(Cause::DependencyUnknown(dependency.on.clone())));
            }
            let mut met = true;
            for slot in apps.iter().filter_map(|app| slots.get(app)).flatten() {
                match progress(slot, &dependency.condition) {
                    Progress::Met => {}
                    Progress::Open => met = false,
                    Progress::Never(why) => return (instance.id, Verdict::Fail(why)),
                }
            }
            if !met {
                left.push(dependency.clone());
            }
        }
        (instance.id, if left.is_empty() { Verdict::Start(why.clone()) } else { Verdict::Wait(left) })
    };
    waiting(world).map(judge).collect()
}

enum Progress {
    Met,
    Open,
    Never(Cause),
}

/// How far a slot has come on its way to a condition.
fn progress(slot: &Instance, condition: &Condition) -> Progress {
    let name = || slot.spec.name.clone();
    // Its definition may have changed since the start was asked for.
    if *condition == Condition::Exited && slot.spec.runs_for_ever() && slot.state.wanted() == Wanted::Up {
        return Progress::Never(Cause::DependencyEndless(name()));
    }
    let asked = slot.spec.health.is_some() || slot.spec.oneshot;
    if *condition == Condition::Healthy && !asked && slot.state.wanted() == Wanted::Up {
        return Progress::Never(Cause::DependencyUnexamined(name()));
    }
    let said = matches!(condition, Condition::Log(pattern) if slot.heard.contains(pattern));
    match &slot.state {
        State::Stopped { why } if why.is_success() => Progress::Met,
        State::Stopped { why } => Progress::Never(Cause::DependencyDown(name(), Box::new(why.clone()))),
        // The first that failed is the one to look at.
        State::Errored { why } if why.is_dependency() => Progress::Never(why.clone()),
        State::Errored { why } => Progress::Never(Cause::DependencyFailed(name(), Box::new(why.clone()))),
        State::Unready { .. } if said || *condition == Condition::Started => Progress::Met,
        State::Online { ready, .. } => match condition {
            Condition::Started => Progress::Met,
            Condition::Ready if *ready => Progress::Met,
            Condition::Healthy if slot.care.passed && !slot.care.degraded => Progress::Met,
            Condition::Log(_) if said => Progress::Met,
            Condition::Ready | Condition::Healthy | Condition::Exited | Condition::Log(_) => Progress::Open,
        },
        // A job between two runs is as ready as it can be. It may have become one since the start was asked for: what only
        // its next run could bring is not waited for.
        State::Idle { why } => match condition {
            Condition::Started | Condition::Ready => Progress::Met,
            Condition::Healthy | Condition::Exited | Condition::Log(_) => {
                Progress::Never(Cause::DependencyDown(name(), Box::new(why.clone())))
            }
        },
        State::Waiting { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Stopping { .. }
        | State::Backoff { .. } => Progress::Open,
    }
}

/// The slots but those that are about to leave the list: nothing can be asked of them any more.
pub(super) fn staying(world: &World) -> impl Iterator<Item = &Instance> {
    world.instances.values().filter(|instance| instance.state.wanted() != Wanted::Gone)
}

/// The dependencies of what stays in the list.
pub(super) fn graph(world: &World) -> Graph<'_> {
    Graph::of(staying(world).map(|instance| &*instance.spec))
}

/// The slots that these apps need, directly or not, and that are down without having done their work. Those of `next` need
/// what they will need then.
pub(super) fn needed(world: &World, names: &BTreeSet<String>, next: &[Arc<AppSpec>]) -> Vec<InstanceId> {
    let of = |slot: &Instance| next.iter().find(|spec| spec.name == slot.spec.name).unwrap_or(&slot.spec).clone();
    let specs: Vec<Arc<AppSpec>> = staying(world).map(of).collect();
    let graph = Graph::of(specs.iter().map(|spec| &**spec));
    // Not the apps themselves: of several instances one can be started and the others left.
    let needed = graph.closure(names.iter().flat_map(|name| graph.needs(name)));
    let slots = staying(world).filter(|instance| needed.contains(instance.spec.name.as_str()));
    slots.filter(|instance| is_down(instance)).map(|instance| instance.id).collect()
}

/// Whether a slot is down, or about to be, without having done its work.
pub(super) fn is_down(instance: &Instance) -> bool {
    match &instance.state {
        State::Stopped { why } | State::Stopping { then: Then::Stop(why), .. } => !why.is_success(),
        State::Errored { .. } | State::Stopping { then: Then::GiveUp(_), .. } => true,
        State::Idle { .. }
        | State::Waiting { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Backoff { .. }
        | State::Stopping { then: Then::Rest(_) | Then::Restart(_) | Then::Respawn { .. } | Then::Remove, .. } => false,
    }
}

/// Ends slots together: each is signalled only when what depends on it, and is ended with it, has ended.
pub(super) fn end_in_order(world: &mut World, now: Now, ids: &[InstanceId], then: &Then, effects: &mut Effects) {
    let mut after = dependents(world, ids);
    for id in ids {
        lifecycle::end_after(world, now, *id, then.clone(), after.remove(id).unwrap_or_default(), effects);
    }
}

/// For each of these slots, the lives among them that depend on it.
pub(super) fn dependents(world: &World, ids: &[InstanceId]) -> BTreeMap<InstanceId, Vec<(InstanceId, Incarnation)>> {
    let chosen = || ids.iter().filter_map(|id| world.instances.get(id));
    // Slots of one app may be of different definitions, and then the app needs what any of them needs.
    let needs = |slot: &&Instance| !slot.spec.depends_on.is_empty();
    let apps: BTreeSet<&str> = world.instances.values().filter(needs).map(|slot| slot.spec.name.as_str()).collect();
    let needy = || chosen().filter(|slot| apps.contains(slot.spec.name.as_str()) && slot.state.has_process());
    if needy().next().is_none() {
        return BTreeMap::new();
    }
    let graph = Graph::of(world.instances.values().map(|instance| &*instance.spec));
    // In a circle nobody could be the first to go.
    if graph.cycle(chosen().map(|instance| instance.spec.name.as_str())).is_some() {
        return BTreeMap::new();
    }
    let by_app = graph.dependents(needy().map(|slot| slot.spec.name.as_str()));
    let mut lives: BTreeMap<&str, Vec<(InstanceId, Incarnation)>> = BTreeMap::new();
    for slot in needy() {
        lives.entry(&slot.spec.name).or_default().push((slot.id, slot.incarnation));
    }
    let first = |slot: &Instance| {
        let apps = by_app.get(slot.spec.name.as_str()).into_iter().flatten();
        apps.filter_map(|app| lives.get(app)).flatten().copied().collect()
    };
    chosen().map(|slot| (slot.id, first(slot))).collect()
}
