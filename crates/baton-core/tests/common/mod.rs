//! What dependencies promise, said again without the code that keeps the promises.

use baton_core::proto::{Action, Command, Order as Heed, Patch};
use baton_core::spec::{Condition, Dependency, External};
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Cause, Exit, Instance, State, Wanted, World};
use std::collections::{BTreeMap, BTreeSet};

/// For lives that are stopped together: the lives that end first.
pub(crate) type Order = BTreeMap<Incarnation, BTreeSet<Incarnation>>;

/// Whether the next start in this slot may be one that nobody asked for.
pub(crate) fn comes_back_alone(instance: &Instance) -> bool {
    match &instance.state {
        State::Backoff { .. } | State::Unready { .. } | State::Online { .. } | State::Starting { .. } => true,
        State::Stopping { then, .. } => then.comes_by_itself(),
        State::Stopped { .. } | State::Idle { .. } | State::Waiting { .. } | State::Errored { .. } => false,
    }
}

/// The slots that a name means.
fn meant<'w>(world: &'w World, on: &str) -> Vec<&'w Instance> {
    let staying = || world.instances.values().filter(|i| i.state.wanted() != Wanted::Gone);
    let named: Vec<&Instance> = staying().filter(|i| i.spec.name == on).collect();
    if named.is_empty() { staying().filter(|i| i.spec.namespace == on).collect() } else { named }
}

/// Whether all that a slot depends on has come so far. `there` is what others run and is there.
pub(crate) fn met(world: &World, id: InstanceId, there: &BTreeSet<External>) -> bool {
    world.instances[&id].alone
        || world.instances[&id].spec.depends_on.iter().all(|dependency| match &dependency.external {
            Some(external) => there.contains(external),
            None => of_the_list(world, dependency),
        })
}

fn of_the_list(world: &World, dependency: &Dependency) -> bool {
    let slots = meant(world, &dependency.on);
    !slots.is_empty()
        && slots.iter().all(|slot| match (&slot.state, &dependency.condition) {
            (State::Stopped { why: Cause::Exited(Exit::Code(0)) }, _) => true,
            (State::Idle { .. }, Condition::Started | Condition::Ready) => true,
            (State::Unready { .. } | State::Online { .. }, Condition::Started) => true,
            (State::Online { ready, .. }, Condition::Ready) => *ready,
            (State::Online { .. }, Condition::Healthy) => slot.care.passed && !slot.care.degraded,
            (State::Unready { .. } | State::Online { .. }, Condition::Log(pattern)) => slot.heard.contains(pattern),
            _ => false,
        })
}

/// What a command that ends slots must end first: for each running program, those among the chosen whose app needs
/// its app, by whichever way.
pub(crate) fn stop_order(world: &World, command: &Command) -> Order {
    let chosen: BTreeSet<InstanceId> = match command {
        Command::Act { action: Action::Stop | Action::Delete, targets, .. } => {
            targets.iter().filter_map(|target| target.resolve(world).ok()).flatten().collect()
        }
        Command::Act { action: Action::Start | Action::Restart, targets, patch, order: Heed::Dependencies, .. }
            if *patch == Patch::default() =>
        {
            targets.iter().filter_map(|target| target.resolve(world).ok()).flatten().collect()
        }
        Command::Kill => world.instances.keys().copied().collect(),
        _ => return Order::new(),
    };
    let slots = || world.instances.values();
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut units: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for slot in slots() {
        names.entry(&slot.spec.name).or_default().insert(&slot.spec.name);
        units.entry(&slot.spec.namespace).or_default().insert(&slot.spec.name);
    }
    let mut direct: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for slot in slots() {
        for dependency in slot.spec.depends_on.iter().filter(|dependency| dependency.external.is_none()) {
            let on = names.get(dependency.on.as_str()).or_else(|| units.get(dependency.on.as_str()));
            direct.entry(&slot.spec.name).or_default().extend(on.into_iter().flatten());
        }
    }
    // Who needs whom, as pairs of names, by whichever way.
    let mut needs: BTreeSet<(&str, &str)> = BTreeSet::new();
    for name in names.keys() {
        let mut open: Vec<&str> = direct.get(name).into_iter().flatten().copied().collect();
        while let Some(on) = open.pop() {
            if needs.insert((name, on)) {
                open.extend(direct.get(on).into_iter().flatten());
            }
        }
    }
    if needs.iter().any(|(a, b)| a == b) {
        return Order::new();
    }
    let running = || {
        slots().filter(|slot| {
            chosen.contains(&slot.id) && matches!(slot.state, State::Unready { .. } | State::Online { .. })
        })
    };
    running()
        .map(|slot| {
            let first = running().filter(|other| needs.contains(&(other.spec.name.as_str(), slot.spec.name.as_str())));
            (slot.incarnation, first.map(|other| other.incarnation).collect())
        })
        .collect()
}
