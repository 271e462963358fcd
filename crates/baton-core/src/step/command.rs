//! What a request asks of each slot.

use super::Effects;
use super::act::{Asked, act, resolve, watch};
use super::effect::Effect;
use super::job;
use super::lifecycle::{end, end_after};
use super::pending::{Goal, Pending};
use super::rollout::Rollout;
use super::waiting::{dependents, end_in_order, is_down, needed, staying};
use crate::deps::Graph;
use crate::proto::{Command, Done, Order, Outcome, Refusal, Reply, Roll, Saved, Scale, Wait, Wish};
use crate::select::SelectError;
use crate::spec::AppSpec;
use crate::sync::Turn;
use crate::units::{Incarnation, InstanceId, Now, OpId};
use crate::world::{Cause, Instance, InstanceFiles, State, Then, Verb, Wanted, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Begins to carry out a command; the reply comes when its goals are reached, or now when it is refused.
pub(super) fn begin_command(
    world: &mut World,
    now: Now,
    command: Command,
    effects: &mut Effects,
) -> Result<Pending, Refusal> {
    if world.ending {
        return Err(Refusal::Ending);
    }
    match command {
        Command::Define { apps, order, wait } => {
            check(world, &apps, order)?;
            let mut pending = waiting(wait, now);
            let mut starts = Vec::new();
            for wish in apps {
                define(world, now, wish, &mut starts, &mut pending, effects);
            }
            begin_slots(world, now, starts, Start { verb: Verb::Start, wait, order }, &mut pending, effects);
            Ok(pending)
        }
        Command::Launch { app, force, wait } => launch(world, now, *app, force, wait, effects),
        Command::Add { app, up, number } => {
            check(world, std::slice::from_ref(&app), Order::Dependencies)?;
            let (mut pending, mut starts) = (Pending::default(), Vec::new());
            let spec = Arc::new(app.spec);
            for _ in 0..app.count {
                let id = insert(world, now, spec.clone(), number, None);
                if up {
                    starts.push((id, Done::Launched));
                } else {
                    pending.outcomes.push(Outcome { id, name: spec.name.clone(), done: Done::Launched });
                }
            }
            let start = Start { verb: Verb::Start, wait: Wait::Spawned, order: Order::Dependencies };
            begin_slots(world, now, starts, start, &mut pending, effects);
            Ok(pending)
        }
        Command::Watch { targets, on } => {
            for id in resolve(world, &targets)? {
                watch(world, id, on);
            }
            Ok(Pending::default())
        }
        Command::Act { action, targets, patch, order, wait } => {
            act(world, now, action, &targets, &patch, Asked { order, wait }, effects)
        }
        Command::Replace { apps, roll, order, wait } => {
            check(world, &apps, order)?;
            Ok(replace(world, now, apps, roll, Asked { order, wait }, effects))
        }
        Command::Sync(sync) => super::sync::begin(world, now, *sync, effects),
        Command::Scale { app, to, wait } => scale(world, now, &app, to, wait, effects),
        Command::Restore { slots } => Ok(restore(world, now, slots, effects)),
        Command::Kill => {
            world.ending = true;
            world.synced.clear();
            let ids: Vec<InstanceId> = world.instances.keys().copied().collect();
            let mut pending = Pending { shutdown: true, ..Pending::default() };
            remove_all(world, now, &ids, &mut pending, effects);
            Ok(pending)
        }
    }
}

/// [`begin_command`], with its result put where it belongs; what follows a source waits for its turn.
pub(super) fn begin(world: &mut World, now: Now, op: OpId, command: Command, effects: &mut Effects) {
    match command {
        Command::Sync(sync) => super::sync::ask(world, now, op, Turn::Sync(sync), effects),
        command => begin_now(world, now, op, command, effects),
    }
}

/// [`begin`] without a turn.
pub(super) fn begin_now(world: &mut World, now: Now, op: OpId, command: Command, effects: &mut Effects) {
    match begin_command(world, now, command, effects) {
        Ok(pending) => {
            effects.push(Effect::Persist);
            world.pending.insert(op, pending);
        }
        Err(refusal) => effects.push(Effect::Reply { op, reply: Reply::Refused(refusal) }),
    }
}

/// Refuses definitions whose dependencies can't be met, before anything is changed.
pub(super) fn check(world: &World, apps: &[Wish], order: Order) -> Result<(), Refusal> {
    let wished = || apps.iter().filter(|wish| wish.count > 0).map(|wish| &wish.spec);
    let replaced: BTreeSet<&str> = apps.iter().map(|wish| wish.spec.name.as_str()).collect();
    let others = staying(world).map(|instance| &*instance.spec).filter(|spec| !replaced.contains(spec.name.as_str()));
    let graph = Graph::of(wished().chain(others));
    let names = wished().map(|spec| spec.name.as_str());
    match order {
        Order::Dependencies => graph.check(names),
        // What is not there can come later; a circle never opens.
        Order::Alone => graph.acyclic(names),
    }
    .map_err(Refusal::Dependencies)
}

/// How slots are asked to start.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) verb: Verb,
    pub(super) wait: Wait,
    pub(super) order: Order,
}

/// Starts what the apps need that are being started, or that will be `queued`, where it is down.
pub(super) fn start_needed(
    world: &mut World,
    now: Now,
    queued: &[Arc<AppSpec>],
    start: Start,
    pending: &mut Pending,
    effects: &mut Effects,
) {
    if start.order == Order::Alone {
        return;
    }
    let started = pending.goals.values().filter(|(_, goal, _)| match goal {
        Goal::Up(_) | Goal::Ready(_) | Goal::Replaced(_) | Goal::Armed => true,
        Goal::Down | Goal::Gone => false,
    });
    let waiting = queued.iter().map(|spec| spec.name.clone());
    let names: BTreeSet<String> = started.map(|(name, _, _)| name.clone()).chain(waiting).collect();
    for id in needed(world, &names, queued) {
        // A slot that was only listed by the same command is a new one all the same.
        let listed = pending.outcomes.iter().position(|outcome| outcome.id == id);
        let done = listed.map_or(Done::Restarted, |at| pending.outcomes.remove(at).done);
        let start = Start { verb: Verb::Start, ..start };
        begin_slot(world, now, id, start, done, Vec::new(), pending, effects);
    }
}

/// Starts slots, or starts them again: each running one is signalled only when what depends on it, and is started again
/// with it, has ended. What they need is started too.
pub(super) fn begin_slots(
    world: &mut World,
    now: Now,
    starts: Vec<(InstanceId, Done)>,
    start: Start,
    pending: &mut Pending,
    effects: &mut Effects,
) {
    let ids: Vec<InstanceId> = starts.iter().map(|(id, _)| *id).collect();
    let mut after = match start.order {
        Order::Dependencies => dependents(world, &ids),
        Order::Alone => BTreeMap::new(),
    };
    for (id, done) in starts {
        begin_slot(world, now, id, start, done, after.remove(&id).unwrap_or_default(), pending, effects);
    }
    start_needed(world, now, &[], start, pending, effects);
}

/// A request that waits for so much.
pub(super) fn waiting(wait: Wait, now: Now) -> Pending {
    let patience = match wait {
        Wait::Spawned => None,
        Wait::Ready { timeout } => Some(timeout),
    };
    Pending { deadline: patience.map(|patience| now.instant + patience), patience, ..Pending::default() }
}

/// Puts a definition in place; what is to be started for it comes into `starts`.
fn define(
    world: &mut World,
    now: Now,
    wish: Wish,
    starts: &mut Vec<(InstanceId, Done)>,
    pending: &mut Pending,
    effects: &mut Effects,
) {
    let spec = Arc::new(wish.spec);
    let present = by_number(world, &spec.name);
    if wish.brought && !present.is_empty() {
        for id in present {
            let down = world.instances.get(&id).is_some_and(is_down);
            if down && spec.autostart {
                define_anew(world, id, spec.clone());
                starts.push((id, Done::Restarted));
            }
        }
        return;
    }
    let keep = keep(world, now, present, wish.count, pending, effects);
    for id in &keep {
        define_anew(world, *id, spec.clone());
        starts.push((*id, Done::Restarted));
    }
    for _ in keep.len()..wish.count as usize {
        add(world, now, spec.clone(), starts, pending);
    }
}

/// Gives apps their new definitions slot by slot; those that are not in the list are started, surplus instances go.
fn replace(world: &mut World, now: Now, apps: Vec<Wish>, roll: Roll, asked: Asked, effects: &mut Effects) -> Pending {
    let mut pending = waiting(asked.wait, now);
    let (mut queue, mut starts) = (VecDeque::new(), Vec::new());
    for wish in apps {
        let spec = Arc::new(wish.spec);
        let present = by_number(world, &spec.name);
        // What comes along is left as it is where it is in the list.
        if wish.brought && !present.is_empty() {
            continue;
        }
        let keep = keep(world, now, present, wish.count, &mut pending, effects);
        for _ in keep.len()..wish.count as usize {
            add(world, now, spec.clone(), &mut starts, &mut pending);
        }
        for id in &keep {
            if let Some(instance) = world.instances.get_mut(id) {
                instance.unwatched = false;
            }
        }
        queue.extend(keep.into_iter().map(|id| (id, spec.clone())));
    }
    let start = Start { verb: Verb::Start, wait: asked.wait, order: asked.order };
    begin_slots(world, now, starts, start, &mut pending, effects);
    start_needed(world, now, &next(&queue), start, &mut pending, effects);
    pending.rollout = Some(Rollout { queue, roll, order: asked.order, failed: BTreeSet::new() });
    pending
}

/// What the slots of a queue will be.
pub(super) fn next(queue: &VecDeque<(InstanceId, Arc<AppSpec>)>) -> Vec<Arc<AppSpec>> {
    queue.iter().map(|(_, spec)| spec.clone()).collect()
}

/// Brings an app to a number of instances: the slots with the lowest numbers in the list go, as under PM2; new ones get
/// the lowest free instance numbers.
fn scale(
    world: &mut World,
    now: Now,
    app: &str,
    to: Scale,
    wait: Wait,
    effects: &mut Effects,
) -> Result<Pending, Refusal> {
    let mut present: Vec<InstanceId> = staying_of(world, app).map(|instance| instance.id).collect();
    present.sort_unstable();
    let Some(spec) = present.first().and_then(|id| world.instances.get(id)).map(|first| first.spec.clone()) else {
        return Err(Refusal::Unknown(SelectError::NoName(app.into())));
    };
    let have = present.len();
    let want = match to {
        Scale::To(count) => count as usize,
        Scale::Up(by) => have + by as usize,
        Scale::Down(by) => have.saturating_sub(by as usize),
    };
    let mut pending = waiting(wait, now);
    for id in present.drain(..have.saturating_sub(want)) {
        remove(world, now, id, &mut pending, effects);
    }
    let mut starts = Vec::new();
    for _ in have..want {
        add(world, now, spec.clone(), &mut starts, &mut pending);
    }
    let start = Start { verb: Verb::Start, wait, order: Order::Dependencies };
    begin_slots(world, now, starts, start, &mut pending, effects);
    Ok(pending)
}

/// The slots of an app but those that are about to leave the list.
pub(super) fn staying_of<'a>(world: &'a World, name: &'a str) -> impl Iterator<Item = &'a Instance> {
    staying(world).filter(move |instance| instance.spec.name == name)
}

/// These slots by their instance numbers.
pub(super) fn by_number(world: &World, name: &str) -> Vec<InstanceId> {
    let mut present: Vec<(u32, InstanceId)> = staying_of(world, name).map(|i| (i.number, i.id)).collect();
    present.sort_unstable();
    present.into_iter().map(|(_, id)| id).collect()
}

/// Removes the slots of an app that are more than `count`, the last ones, and gives those that stay.
pub(super) fn keep(
    world: &mut World,
    now: Now,
    mut present: Vec<InstanceId>,
    count: u32,
    pending: &mut Pending,
    effects: &mut Effects,
) -> Vec<InstanceId> {
    for id in present.split_off(present.len().min(count as usize)) {
        remove(world, now, id, pending, effects);
    }
    present
}

fn launch(
    world: &mut World,
    now: Now,
    wish: Wish,
    force: bool,
    wait: Wait,
    effects: &mut Effects,
) -> Result<Pending, Refusal> {
    let same: Vec<&Instance> =
        staying_of(world, &wish.spec.name).filter(|i| i.spec.script == wish.spec.script).collect();
    if !force && same.iter().any(|instance| instance.state.wanted() == Wanted::Up) {
        return Err(Refusal::AlreadyLaunched);
    }
    // Copies made with force are slots of this script too: all of them start again, none is taken away.
    let mut again: Vec<InstanceId> = if force { Vec::new() } else { same.iter().map(|i| i.id).collect() };
    again.sort_unstable();
    check(world, std::slice::from_ref(&wish), Order::Dependencies)?;
    let mut pending = waiting(wait, now);
    let spec = Arc::new(wish.spec);
    let mut starts = Vec::new();
    for id in &again {
        define_anew(world, *id, spec.clone());
        starts.push((*id, Done::Restarted));
    }
    for _ in again.len()..wish.count as usize {
        add(world, now, spec.clone(), &mut starts, &mut pending);
    }
    let start = Start { verb: Verb::Start, wait, order: Order::Dependencies };
    begin_slots(world, now, starts, start, &mut pending, effects);
    Ok(pending)
}

fn restore(world: &mut World, now: Now, slots: Vec<Saved>, effects: &mut Effects) -> Pending {
    let present: BTreeSet<String> = world
        .instances
        .values()
        .filter(|instance| !matches!(&instance.state, State::Stopped { why: Cause::Reboot }))
        .map(|instance| instance.spec.name.clone())
        .collect();
    let mut pending = Pending::default();
    let start = Start { verb: Verb::Start, wait: Wait::Spawned, order: Order::Dependencies };
    for slot in slots.into_iter().filter(|slot| !present.contains(&slot.spec.name)) {
        let cut_off = world
            .named(&slot.spec.name)
            .find(|i| i.number == slot.number && matches!(&i.state, State::Stopped { why: Cause::Reboot }))
            .map(|instance| instance.id);
        let spec = Arc::new(slot.spec);
        let id = cut_off.unwrap_or_else(|| insert(world, now, spec.clone(), Some(slot.number), slot.increment));
        redefine(world, id, spec);
        if let Some(instance) = world.instances.get_mut(&id) {
            instance.owner = instance.owner.take().or(slot.owner);
        }
        if slot.up {
            begin_slot(world, now, id, start, Done::Restarted, Vec::new(), &mut pending, effects);
        }
        if let Some((_, _, done)) = pending.goals.get_mut(&id) {
            *done = Done::Launched;
        } else if !slot.up
            && let Some(instance) = world.instances.get(&id)
        {
            pending.outcomes.push(Outcome { id, name: instance.spec.name.clone(), done: Done::Launched });
        }
    }
    start_needed(world, now, &[], start, &mut pending, effects);
    pending
}

/// Makes one more slot of an app, which is started unless it is listed with `autostart: false`.
pub(super) fn add(
    world: &mut World,
    now: Now,
    spec: Arc<AppSpec>,
    starts: &mut Vec<(InstanceId, Done)>,
    pending: &mut Pending,
) {
    let autostart = spec.autostart;
    let id = insert(world, now, spec, None, None);
    if autostart {
        starts.push((id, Done::Launched));
    } else if let Some(instance) = world.instances.get(&id) {
        pending.outcomes.push(Outcome { id, name: instance.spec.name.clone(), done: Done::Launched });
    }
}

/// Makes a slot; its number is the lowest that is free among the slots of its app.
pub(super) fn insert(
    world: &mut World,
    now: Now,
    spec: Arc<AppSpec>,
    number: Option<u32>,
    increment: Option<i64>,
) -> InstanceId {
    let taken: BTreeSet<u32> = staying_of(world, &spec.name).map(|instance| instance.number).collect();
    let number = number.unwrap_or_else(|| (0..).find(|n| !taken.contains(n)).unwrap_or(0));
    let increment = increment.or_else(|| {
        let variable = spec.increment_var.as_ref()?;
        let highest = world.named(&spec.name).filter_map(|instance| instance.increment).max();
        let given = spec.env.get(variable).and_then(|text| text.parse().ok());
        let port = spec.port.filter(|_| variable == "PORT").map(i64::from);
        let first = || port.or(given).unwrap_or(0);
        Some(highest.map_or_else(first, |highest| highest + 1))
    });
    let id = InstanceId(world.next_id);
    world.next_id += 1;
    let owner = staying_of(world, &spec.name).find_map(|sibling| sibling.owner.clone());
    let mut instance = Instance::new(id, number, spec, now.wall, &world.directories);
    job::restored(&mut instance, &mut world.kept, now);
    instance.increment = increment;
    instance.owner = owner;
    world.instances.insert(id, instance);
    world.touched.insert(id);
    id
}

/// Gives a slot a definition from outside, which counts more than what was switched by hand.
fn define_anew(world: &mut World, id: InstanceId, spec: Arc<AppSpec>) {
    redefine(world, id, spec);
    if let Some(instance) = world.instances.get_mut(&id) {
        instance.unwatched = false;
    }
}

/// Gives a slot another definition; what runs in it runs on.
pub(super) fn redefine(world: &mut World, id: InstanceId, spec: Arc<AppSpec>) {
    if let Some(instance) = world.instances.get_mut(&id) {
        instance.files = InstanceFiles::of(&spec, id, &world.directories);
        if instance.spec.health != spec.health {
            instance.care.forget_health();
        }
        let before = std::mem::replace(&mut instance.spec, spec);
        job::redefined(instance, before.schedule.as_ref());
        world.touched.insert(id);
    }
}

/// Starts a slot, or starts it again once these lives have ended; a start by hand sets the crash counters back.
#[expect(clippy::too_many_arguments, reason = "one start, told in full; a struct would only rename the arguments")]
fn begin_slot(
    world: &mut World,
    now: Now,
    id: InstanceId,
    Start { verb, wait, order }: Start,
    done: Done,
    after: Vec<(InstanceId, Incarnation)>,
    pending: &mut Pending,
    effects: &mut Effects,
) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    instance.begin_anew(now.wall);
    instance.alone = order == Order::Alone;
    if let Some(job) = instance.job.as_deref_mut() {
        job.once = false;
    }
    // A run that is under way is left alone, unless it is to run again.
    if instance.spec.schedule.is_some() && !(verb == Verb::Restart && job::is_under_way(instance)) {
        let rests = job::is_under_way(instance) || matches!(instance.state, State::Idle { .. });
        let rests = rests && instance.beside.is_empty();
        world.touched.insert(id);
        if !rests {
            end_after(world, now, id, Then::Rest(Cause::Operator(verb)), after, effects);
        }
        return expect(world, id, Goal::Armed, done, pending);
    }
    let before: Incarnation = instance.incarnation;
    let goal = match wait {
        Wait::Spawned => Goal::Up(before),
        Wait::Ready { .. } => Goal::Ready(before),
    };
    end_after(world, now, id, Then::Restart(Cause::Operator(verb)), after, effects);
    expect(world, id, goal, done, pending);
}

pub(super) fn remove(world: &mut World, now: Now, id: InstanceId, pending: &mut Pending, effects: &mut Effects) {
    expect(world, id, Goal::Gone, Done::Deleted, pending);
    end(world, now, id, Then::Remove, effects);
}

pub(super) fn remove_all(
    world: &mut World,
    now: Now,
    ids: &[InstanceId],
    pending: &mut Pending,
    effects: &mut Effects,
) {
    for id in ids {
        expect(world, *id, Goal::Gone, Done::Deleted, pending);
    }
    end_in_order(world, now, ids, &Then::Remove, effects);
}

pub(super) fn expect(world: &World, id: InstanceId, goal: Goal, done: Done, pending: &mut Pending) {
    if let Some(instance) = world.instances.get(&id) {
        pending.goals.insert(id, (instance.spec.name.clone(), goal, done));
    }
}
