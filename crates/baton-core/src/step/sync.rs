//! Carrying out a plan (`sync`): what is live is applied, instances come and go, and changed ones have their turn one after
//! the other, as in a reload.
//!
//! What was made of each app is remembered when the request is done. A daemon that dies before leaves the memory as it
//! was, and the next pass finds by comparison what is left to do.

use super::Effects;
use super::command::{self, Start, add, begin_slots, check, insert, redefine, remove, remove_all, staying_of};
use super::effect::Effect;
use super::pending::Pending;
use super::rollout::Rollout;
use super::waiting::staying;
use crate::proto::{Command, Done, Order, Outcome, Refusal, Reply, Roll, Wait, Wish};
use crate::spec::AppSpec;
use crate::sync::{
    Applied, Deed, Desired, Origin, Plan, Step, Sync, Synced, between, by_dependency, digest, is_held_down,
    needs_restart, plan,
};
use crate::units::{InstanceId, Millis, Now, OpId};
use crate::world::{Instance, State, Verb, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How long one step may take (ms). Apps have their own times for becoming ready; this ends waiting for what others
/// run and never comes.
pub(super) const PATIENCE: Millis = Millis(300_000);

/// A plan under way.
#[derive(Clone, Debug, Default)]
pub struct Syncing {
    /// What is done.
    pub plan: Plan,
    /// What is remembered of each app once it is done; nothing for those that go.
    applied: BTreeMap<String, Option<Applied>>,
    /// How the source was read.
    origin: Origin,
    /// Whether these are all apps of the source.
    whole: bool,
    /// Whether the first failure ends it.
    pub(super) halts: bool,
}

/// Begins at once, or when the one under way is done.
pub(super) fn ask(world: &mut World, now: Now, op: OpId, sync: Box<Sync>, effects: &mut Effects) {
    if is_under_way(world) && !world.ending {
        world.syncs.push_back((op, sync));
    } else {
        command::begin_now(world, now, op, Command::Sync(sync), effects);
    }
}

/// Begins the next request that waits; true when there was one whose turn had come.
pub(super) fn next(world: &mut World, now: Now, effects: &mut Effects) -> bool {
    if is_under_way(world) && !world.ending {
        return false;
    }
    let Some((op, sync)) = world.syncs.pop_front() else { return false };
    command::begin_now(world, now, op, Command::Sync(sync), effects);
    true
}

fn is_under_way(world: &World) -> bool {
    world.pending.values().any(|pending| pending.sync.is_some())
}

/// Makes the plan and begins to carry it out.
pub(super) fn begin(world: &mut World, now: Now, sync: Sync, effects: &mut Effects) -> Result<Pending, Refusal> {
    let Sync { desired, parallel, go_on } = sync;
    let plan = plan(world, &desired).map_err(Refusal::Sync)?;
    let wishes: BTreeMap<&str, &Wish> = desired.apps.iter().map(|wish| (wish.spec.name.as_str(), wish)).collect();
    let touched: Vec<Wish> = plan
        .steps
        .iter()
        .filter_map(|step| wishes.get(step.app.as_str()).filter(|wish| !(wish.brought && step.deed == Deed::Keep)))
        .map(|wish| (*wish).clone())
        .collect();
    check(world, &touched, Order::Dependencies)?;
    let mut work = Work {
        pending: Pending { deadline: Some(now.instant + PATIENCE), ..Pending::default() },
        starts: Vec::new(),
        turns: BTreeMap::new(),
        syncing: Syncing {
            origin: desired.origin.clone(),
            whole: desired.scope == crate::sync::Scope::Whole,
            halts: !go_on,
            ..Syncing::default()
        },
    };
    for step in &plan.steps {
        match wishes.get(step.app.as_str()) {
            Some(wish) => work.bring(world, now, &desired, wish, step, effects),
            None if step.deed == Deed::Remove => work.remove(world, now, &step.app, effects),
            None => {}
        }
    }
    let specs: Vec<Arc<AppSpec>> = staying(world).map(|slot| slot.spec.clone()).collect();
    let next = specs.iter().map(|spec| &**spec).chain(desired.apps.iter().map(|wish| &wish.spec));
    let names = plan.steps.iter().map(|step| step.app.clone()).filter(|name| work.turns.contains_key(name)).collect();
    let mut queue = VecDeque::new();
    for name in by_dependency(next, names) {
        queue.extend(work.turns.remove(&name).unwrap_or_default());
    }
    let Work { mut pending, starts, mut syncing, .. } = work;
    let roll = Roll { parallel: parallel.max(1), overlap: true };
    pending.rollout = Some(Rollout { queue, roll, failed: BTreeSet::new() });
    let start = Start { verb: Verb::Start, wait: Wait::Ready { timeout: PATIENCE }, order: Order::Dependencies };
    begin_slots(world, now, starts, start, &mut pending, effects);
    syncing.plan = plan;
    pending.sync = Some(Box::new(syncing));
    Ok(pending)
}

/// What a plan comes to.
struct Work {
    pending: Pending,
    starts: Vec<(InstanceId, Done)>,
    /// Slots that get a new life, by the app that they are to be.
    turns: BTreeMap<String, Vec<(InstanceId, Arc<AppSpec>)>>,
    syncing: Syncing,
}

impl Work {
    fn bring(
        &mut self,
        world: &mut World,
        now: Now,
        desired: &Desired,
        wish: &Wish,
        step: &Step,
        effects: &mut Effects,
    ) {
        let name = match &step.deed {
            Deed::Rename { from } => from,
            _ => &step.app,
        };
        let mut present: Vec<(u32, InstanceId)> = staying_of(world, name).map(|slot| (slot.number, slot.id)).collect();
        present.sort_unstable();
        let is_own = |slot: &Instance| slot.owner.as_deref() == Some(desired.source.as_str());
        let owned = staying_of(world, name).any(is_own);
        if wish.brought && step.deed == Deed::Keep && !owned {
            return;
        }
        self.remember(world, desired, wish, step, &present);
        if step.deed != Deed::Keep || step.drift.is_empty() {
            self.define(world, now, wish, step, &mut present, effects);
        }
        if let Deed::Rename { from } = &step.deed {
            self.syncing.applied.insert(from.clone(), None);
        }
        own(world, &desired.source, present.iter().map(|(_, id)| *id));
        let fresh: Vec<InstanceId> = staying_of(world, &step.app).map(|slot| slot.id).collect();
        own(world, &desired.source, fresh);
    }

    /// Notes what is to be remembered when the app is as it should be.
    fn remember(&mut self, world: &World, desired: &Desired, wish: &Wish, step: &Step, present: &[(u32, InstanceId)]) {
        let before = world.synced.get(&desired.source).and_then(|baseline| baseline.apps.get(&step.app));
        let applied = match (&step.deed, before) {
            // Otherwise the next pass would not know that somebody had changed it by hand.
            (Deed::Keep | Deed::Start, Some(before)) if before.is_same_wish(wish, desired) => before.clone(),
            (Deed::Create | Deed::Restart | Deed::Rename { .. }, _) => {
                Applied::of(wish, desired, digest(&wish.spec.base_env))
            }
            (_, Some(before)) => Applied::of(wish, desired, before.shell.clone()),
            (_, None) => {
                let first = present.first().and_then(|(_, id)| world.instances.get(id));
                let shell = digest(first.map_or(&wish.spec.base_env, |slot| &slot.spec.base_env));
                Applied::of(wish, desired, shell)
            }
        };
        self.syncing.applied.insert(step.app.clone(), Some(applied));
    }

    /// Gives the slots of an app their definition; those that need a new life for it get a turn.
    fn define(
        &mut self,
        world: &mut World,
        now: Now,
        wish: &Wish,
        step: &Step,
        present: &mut Vec<(u32, InstanceId)>,
        effects: &mut Effects,
    ) {
        let spec = Arc::new(wish.spec.clone());
        let keep = (wish.count as usize).min(present.len());
        for (_, id) in present.drain(keep..) {
            remove(world, now, id, &mut self.pending, effects);
        }
        // What no comparison of definitions shows.
        let again = step.fields.iter().any(|change| matches!(change.field.as_str(), "shell" | "env_file"));
        for (_, id) in present.iter() {
            let Some(slot) = world.instances.get(id) else { continue };
            let fields = between(&slot.spec, &spec);
            let errored = matches!(slot.state, State::Errored { .. });
            let changed = again || needs_restart(&fields) || (errored && !fields.is_empty());
            if changed && step.stays_down && is_held_down(slot) {
                redefine(world, *id, spec.clone());
            } else if changed {
                self.turns.entry(step.app.clone()).or_default().push((*id, spec.clone()));
            } else {
                let adapted = AppSpec { base_env: slot.spec.base_env.clone(), ..wish.spec.clone() };
                if adapted != *slot.spec {
                    redefine(world, *id, Arc::new(adapted));
                }
                if step.deed == Deed::Start && matches!(world.instances.get(id), Some(slot) if is_down(slot)) {
                    self.starts.push((*id, Done::Restarted));
                }
            }
        }
        for _ in keep..wish.count as usize {
            if step.stays_down {
                let id = insert(world, now, spec.clone(), None, None);
                self.pending.outcomes.push(Outcome { id, name: step.app.clone(), done: Done::Launched });
            } else {
                add(world, now, spec.clone(), &mut self.starts, &mut self.pending);
            }
        }
    }

    fn remove(&mut self, world: &mut World, now: Now, name: &str, effects: &mut Effects) {
        let ids: Vec<InstanceId> = staying_of(world, name).map(|slot| slot.id).collect();
        remove_all(world, now, &ids, &mut self.pending, effects);
        self.syncing.applied.insert(name.into(), None);
    }
}

fn is_down(slot: &Instance) -> bool {
    matches!(slot.state, State::Stopped { .. } | State::Errored { .. })
}

fn own(world: &mut World, source: &str, ids: impl IntoIterator<Item = InstanceId>) {
    for id in ids {
        if let Some(slot) = world.instances.get_mut(&id)
            && slot.owner.as_deref() != Some(source)
        {
            slot.owner = Some(source.into());
            world.touched.insert(id);
        }
    }
}

/// Marks what belongs to the source and is not in it any more.
fn tell_orphans(world: &mut World, plan: &Plan, whole: bool) {
    let orphans: BTreeSet<&str> =
        plan.steps.iter().filter(|step| step.deed == Deed::Orphan).map(|step| step.app.as_str()).collect();
    let own = |slot: &&mut Instance| slot.owner.as_deref() == Some(plan.source.as_str());
    for slot in world.instances.values_mut().filter(own) {
        let orphan = if whole { orphans.contains(slot.spec.name.as_str()) } else { slot.orphan };
        if slot.orphan != orphan {
            slot.orphan = orphan;
            world.touched.insert(slot.id);
        }
    }
}

/// Remembers what was made of the source's apps, and answers.
pub(super) fn finish(world: &mut World, op: OpId, syncing: Syncing, outcomes: Vec<Outcome>, effects: &mut Effects) {
    let failed: BTreeSet<&str> = outcomes
        .iter()
        .filter(|outcome| matches!(outcome.done, Done::Failed(_)))
        .map(|outcome| outcome.name.as_str())
        .collect();
    let Syncing { plan, applied, origin, whole, .. } = syncing;
    tell_orphans(world, &plan, whole);
    let baseline = world.synced.entry(plan.source.clone()).or_default();
    for (name, applied) in applied.into_iter().filter(|(name, _)| !failed.contains(name.as_str())) {
        match applied {
            Some(applied) => drop(baseline.apps.insert(name, applied)),
            None => drop(baseline.apps.remove(&name)),
        }
    }
    if whole {
        baseline.origin = origin;
        let known: BTreeSet<&str> = plan.steps.iter().map(|step| step.app.as_str()).collect();
        baseline.apps.retain(|name, _| known.contains(name.as_str()));
    }
    if baseline.apps.is_empty() {
        world.synced.remove(&plan.source);
    }
    effects.push(Effect::Persist);
    effects.push(Effect::Reply { op, reply: Reply::Synced(Box::new(Synced { plan, outcomes })) });
}
