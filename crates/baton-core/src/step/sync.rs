//! Carrying out a plan (`sync`): what is live is applied, instances come and go, and changed ones have their turn one after
//! the other, as in a reload.
//!
//! What was made of each app is remembered when the request is done. A daemon that dies before leaves the memory as it
//! was, and the next pass finds by comparison what is left to do.

use super::Effects;
use super::command::{
    self, Start, add, begin_slots, by_number, check, insert, keep, redefine, remove_all, staying_of, waiting,
};
use super::effect::Effect;
use super::pending::Pending;
use super::rollout::Rollout;
use super::waiting::staying;
use crate::deps::Graph;
use crate::proto::{Command, Done, Order, Outcome, Refusal, Reply, Roll, Wait, Wish};
use crate::spec::AppSpec;
use crate::sync::{
    Applied, Deed, Desired, Drift, DriftRule, Origin, Plan, Scope, Step, Sync, Synced, Turn, applied_to, between,
    by_dependency, digest, is_held_down, is_left_down, needs_restart, plan,
};
use crate::units::{InstanceId, Millis, Now, OpId};
use crate::world::{Instance, State, Verb, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How long one step may take (ms). Apps have their own times for becoming ready; this ends waiting for what others
/// run and never comes.
const PATIENCE: Millis = Millis(300_000);

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
    /// Why apps stay as they are though they have their turn.
    pub(super) refused: BTreeMap<String, String>,
}

/// Begins at once, or when the one under way is done.
pub(super) fn ask(world: &mut World, now: Now, op: OpId, turn: Turn, effects: &mut Effects) {
    if is_under_way(world) && !world.ending {
        world.syncs.push_back((op, turn));
    } else {
        take(world, now, op, turn, effects);
    }
}

fn take(world: &mut World, now: Now, op: OpId, turn: Turn, effects: &mut Effects) {
    match turn {
        Turn::Sync(sync) => command::begin_now(world, now, op, Command::Sync(sync), effects),
        Turn::Plan(desired) => {
            let reply = plan(world, &desired).map_or_else(|error| Reply::Refused(Refusal::Sync(error)), Reply::Plan);
            effects.push(Effect::Reply { op, reply });
        }
    }
}

/// Begins the next request that waits; true when there was one whose turn had come.
pub(super) fn next(world: &mut World, now: Now, effects: &mut Effects) -> bool {
    if is_under_way(world) && !world.ending {
        return false;
    }
    let Some((op, turn)) = world.syncs.pop_front() else { return false };
    take(world, now, op, turn, effects);
    true
}

/// Whether a source is being followed at the moment.
pub fn is_under_way(world: &World) -> bool {
    world.pending.values().any(|pending| pending.sync.is_some())
}

/// Makes the plan and begins to carry it out.
pub(super) fn begin(world: &mut World, now: Now, sync: Sync, effects: &mut Effects) -> Result<Pending, Refusal> {
    let Sync { desired, parallel, go_on, agreed } = sync;
    let mut plan = plan(world, &desired).map_err(Refusal::Sync)?;
    if let Some(refusal) = plan.refusal.take().or_else(|| agreed.and_then(|agreed| plan.not_agreed(&agreed))) {
        return Err(Refusal::Sync(refusal));
    }
    let wishes: BTreeMap<&str, &Wish> = desired.apps.iter().map(|wish| (wish.spec.name.as_str(), wish)).collect();
    let touched: Vec<Wish> = plan
        .steps
        .iter()
        .filter_map(|step| wishes.get(step.app.as_str()).filter(|wish| !(wish.brought && step.deed == Deed::Keep)))
        .map(|wish| (*wish).clone())
        .collect();
    check(world, &touched, Order::Dependencies)?;
    let wait = Wait::Ready { timeout: PATIENCE };
    let mut work = Work {
        desired: &desired,
        pending: waiting(wait, now),
        starts: Vec::new(),
        turns: BTreeMap::new(),
        down: BTreeMap::new(),
        syncing: Syncing {
            origin: desired.origin.clone(),
            whole: desired.scope == Scope::Whole,
            halts: !go_on,
            ..Syncing::default()
        },
    };
    begin_steps(world, &plan, effects);
    for step in &plan.steps {
        match wishes.get(step.app.as_str()) {
            Some(wish) if step.refused.is_some() => work.leave(world, wish, step),
            Some(wish) => work.bring(world, now, wish, step, effects),
            None if step.deed == Deed::Remove => work.remove(world, now, &step.app, effects),
            None => {}
        }
    }
    let specs: Vec<Arc<AppSpec>> = staying(world).map(|slot| slot.spec.clone()).collect();
    let next = || specs.iter().map(|spec| &**spec).chain(desired.apps.iter().map(|wish| &wish.spec));
    work.raise(world, &Graph::of(next()));
    let names = plan.steps.iter().map(|step| step.app.clone()).filter(|name| work.turns.contains_key(name)).collect();
    let mut queue = VecDeque::new();
    for name in by_dependency(next(), names) {
        queue.extend(work.turns.remove(&name).unwrap_or_default());
    }
    let Work { mut pending, starts, mut syncing, .. } = work;
    let roll = Roll { parallel: parallel.max(1), overlap: true };
    pending.rollout = Some(Rollout { queue, roll, order: Order::Dependencies, failed: BTreeSet::new() });
    let start = Start { verb: Verb::Start, wait, order: Order::Dependencies };
    begin_slots(world, now, starts, start, &mut pending, effects);
    syncing.plan = plan;
    pending.sync = Some(Box::new(syncing));
    Ok(pending)
}

/// Notes which apps are being changed, so that what a daemon leaves half done that dies meanwhile is nobody's drift.
fn begin_steps(world: &mut World, plan: &Plan, effects: &mut Effects) {
    let Some(baseline) = world.synced.get_mut(&plan.source) else { return };
    let touched = plan.steps.iter().filter(|step| !step.is_nothing() && step.refused.is_none());
    let mut any = false;
    for step in touched {
        if let Some(applied) = baseline.apps.get_mut(&step.app) {
            applied.changing = true;
            any = true;
        }
    }
    if any {
        effects.push(Effect::Persist);
    }
}

/// Slots with what they are to become, by app.
type Slots = BTreeMap<String, Vec<(InstanceId, Arc<AppSpec>)>>;

/// What a plan comes to.
struct Work<'a> {
    desired: &'a Desired,
    pending: Pending,
    starts: Vec<(InstanceId, Done)>,
    /// Slots that get a new life, by the app that they are to be.
    turns: Slots,
    /// The same for those that are down.
    down: Slots,
    syncing: Syncing,
}

impl Work<'_> {
    /// What the last pass made of an app.
    fn before<'w>(&self, world: &'w World, app: &str) -> Option<&'w Applied> {
        applied_to(world, &self.desired.source, app)
    }

    fn is_same_wish(&self, world: &World, wish: &Wish) -> bool {
        self.before(world, &wish.spec.name).is_some_and(|before| before.is_same_wish(wish, self.desired))
    }

    fn was_applied(&self, world: &World, wish: &Wish) -> bool {
        self.before(world, &wish.spec.name).is_some_and(|before| before.is_same_definition(wish, self.desired))
    }

    fn resets(&self) -> bool {
        self.desired.drift == DriftRule::Reset
    }

    /// Has slots that are down start at once with what they are to become, so that nothing that needs them starts what
    /// they were. Those that need what is still to have its turn have theirs after it.
    fn raise(&mut self, world: &mut World, graph: &Graph<'_>) {
        let new: Vec<String> = self
            .starts
            .iter()
            .filter_map(|(id, _)| world.instances.get(id))
            .map(|slot| slot.spec.name.clone())
            .collect();
        let needed = graph.closure(new.iter().map(String::as_str));
        let turning: BTreeSet<String> = self.turns.keys().cloned().collect();
        for (name, slots) in std::mem::take(&mut self.down) {
            let waits = graph.closure(graph.needs(&name)).iter().any(|need| turning.contains(*need));
            if waits && !needed.contains(name.as_str()) {
                self.turns.entry(name).or_default().extend(slots);
                continue;
            }
            for (id, spec) in slots {
                redefine(world, id, spec);
                self.starts.push((id, Done::Restarted));
            }
        }
    }

    fn bring(&mut self, world: &mut World, now: Now, wish: &Wish, step: &Step, effects: &mut Effects) {
        let desired = self.desired;
        let name = step.runs_as();
        let mut present = by_number(world, name);
        let is_own = |slot: &Instance| slot.owner.as_deref() == Some(desired.source.as_str());
        let owned = staying_of(world, name).any(is_own);
        if wish.brought && step.deed == Deed::Keep && (!owned || desired.scope == Scope::Some) {
            return;
        }
        self.remember(world, wish, step, &present);
        match step.deed {
            Deed::Keep if !step.drift.is_empty() => {}
            // What was changed by hand stays so.
            Deed::Start if !step.drift.is_empty() && !self.resets() && self.is_same_wish(world, wish) => {
                for id in &present {
                    let Some(slot) = world.instances.get(id).filter(|slot| is_left_down(world, slot, true)) else {
                        continue;
                    };
                    self.down.entry(step.app.clone()).or_default().push((*id, slot.spec.clone()));
                }
            }
            _ => present = self.define(world, now, wish, step, present, effects),
        }
        if let Deed::Rename { from } = &step.deed {
            self.syncing.applied.insert(from.clone(), None);
        }
        own(world, &desired.source, present);
        let fresh: Vec<InstanceId> = staying_of(world, &step.app).map(|slot| slot.id).collect();
        own(world, &desired.source, fresh);
    }

    /// Leaves what runs of an app as it is; that is told when its turn comes.
    fn leave(&mut self, world: &World, wish: &Wish, step: &Step) {
        let name = step.runs_as();
        let spec = Arc::new(wish.spec.clone());
        let slots = by_number(world, name).into_iter().map(|id| (id, spec.clone()));
        self.turns.insert(step.app.clone(), slots.collect());
        self.syncing.refused.extend(step.refused.clone().map(|why| (step.app.clone(), why)));
    }

    /// Notes what is to be remembered when the app is as it should be.
    fn remember(&mut self, world: &World, wish: &Wish, step: &Step, present: &[InstanceId]) {
        let (desired, before) = (self.desired, self.before(world, &step.app));
        let mut slots = present.iter().filter_map(|id| world.instances.get(id));
        if step.deed == Deed::Keep && !self.was_applied(world, wish) && slots.any(is_failing) {
            // Whether it will ever run is not known yet; the next pass looks again.
            return;
        }
        let applied = match (&step.deed, before) {
            // Otherwise the next pass would not know that somebody had changed it by hand.
            (Deed::Keep | Deed::Start, Some(before)) if before.is_same_wish(wish, desired) => before.clone(),
            (Deed::Create | Deed::Restart | Deed::Rename { .. }, _) => {
                Applied::of(wish, desired, digest(&wish.spec.base_env))
            }
            (_, Some(before)) => Applied::of(wish, desired, before.shell.clone()),
            (_, None) => {
                let first = present.first().and_then(|id| world.instances.get(id));
                let shell = digest(first.map_or(&wish.spec.base_env, |slot| &slot.spec.base_env));
                Applied::of(wish, desired, shell)
            }
        };
        self.syncing.applied.insert(step.app.clone(), Some(applied));
    }

    /// Gives the slots of an app their definition; those that need a new life for it get a turn. Those that stay are returned.
    fn define(
        &mut self,
        world: &mut World,
        now: Now,
        wish: &Wish,
        step: &Step,
        present: Vec<InstanceId>,
        effects: &mut Effects,
    ) -> Vec<InstanceId> {
        let spec = Arc::new(wish.spec.clone());
        let kept = keep(world, now, present, wish.count, &mut self.pending, effects);
        let was_applied = self.was_applied(world, wish);
        let undoes_stop = self.resets() && step.drift.contains(&Drift::Stopped);
        // What no comparison of definitions shows.
        let again = step.fields.iter().any(|change| matches!(change.field.as_str(), "shell" | "env_file"));
        for id in &kept {
            let Some(slot) = world.instances.get(id) else { continue };
            let fields = between(&slot.spec, &spec);
            let errored = matches!(slot.state, State::Errored { .. });
            let changed = again || needs_restart(&fields) || (errored && !fields.is_empty());
            if changed && !self.resets() && is_held_down(slot) {
                redefine(world, *id, spec.clone());
            } else if changed {
                let slots = if is_down(slot) { &mut self.down } else { &mut self.turns };
                slots.entry(step.app.clone()).or_default().push((*id, spec.clone()));
            } else {
                let adapted = Arc::new(AppSpec { base_env: slot.spec.base_env.clone(), ..wish.spec.clone() });
                let starts = is_left_down(world, slot, was_applied || !fields.is_empty())
                    || (undoes_stop && is_held_down(slot) && is_down(slot));
                if *adapted != *slot.spec {
                    redefine(world, *id, adapted.clone());
                }
                if starts {
                    self.down.entry(step.app.clone()).or_default().push((*id, adapted));
                }
            }
        }
        for _ in kept.len()..wish.count as usize {
            if step.stays_down {
                let id = insert(world, now, spec.clone(), None, None);
                self.pending.outcomes.push(Outcome { id, name: step.app.clone(), done: Done::Launched });
            } else {
                add(world, now, spec.clone(), &mut self.starts, &mut self.pending);
            }
        }
        kept
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

/// Whether a slot has failed, and has not been up since.
fn is_failing(slot: &Instance) -> bool {
    match &slot.state {
        State::Backoff { .. } | State::Errored { .. } => true,
        State::Online { ready: true, .. } => false,
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Stopping { .. } => slot.unstable > 0,
    }
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
        .filter(|outcome| matches!(outcome.done, Done::Failed(_) | Done::Left(_)))
        .map(|outcome| outcome.name.as_str())
        .collect();
    let Syncing { plan, applied, origin, whole, .. } = syncing;
    tell_orphans(world, &plan, whole);
    // What has the definition that failed is not any more what it was: going back to that is an edit, too.
    let spoiled: BTreeSet<String> = world
        .instances
        .values()
        .filter(|slot| failed.contains(slot.spec.name.as_str()))
        .filter(|slot| {
            applied.get(&slot.spec.name).is_some_and(|it| it.as_ref().is_some_and(|it| it.is_of(&slot.spec)))
        })
        .map(|slot| slot.spec.name.clone())
        .collect();
    // What another source made of an app that is this one's now says nothing about it any more.
    for (_, baseline) in world.synced.iter_mut().filter(|(source, _)| **source != plan.source) {
        baseline.apps.retain(|name, _| !applied.contains_key(name));
    }
    world.synced.retain(|_, baseline| !baseline.apps.is_empty());
    let baseline = world.synced.entry(plan.source.clone()).or_default();
    baseline.apps.values_mut().for_each(|applied| applied.changing = false);
    for (name, applied) in applied {
        if failed.contains(name.as_str()) {
            let was = baseline.apps.get(&name).map(|before| &before.hash);
            if spoiled.contains(&name) && was != applied.as_ref().map(|applied| &applied.hash) {
                baseline.apps.remove(&name);
            }
            continue;
        }
        match applied {
            Some(applied) => drop(baseline.apps.insert(name, applied)),
            None => drop(baseline.apps.remove(&name)),
        }
    }
    if whole {
        baseline.origin = origin;
        let known: BTreeSet<&str> = plan.steps.iter().flat_map(|step| [step.app.as_str(), step.runs_as()]).collect();
        baseline.apps.retain(|name, _| known.contains(name.as_str()));
    }
    if baseline.apps.is_empty() {
        world.synced.remove(&plan.source);
    }
    effects.push(Effect::Persist);
    effects.push(Effect::Reply { op, reply: Reply::Synced(Box::new(Synced { plan, outcomes })) });
}
