//! Lives beside the current one of a slot: a reload begins a candidate, which takes the slot when it is ready; the
//! life that it replaces is retired, drained and ended. A candidate that fails leaves the slot as it was.
//!
//! As in `lifecycle`, each function is one column of the table, here of Phase × Event.

use super::Effects;
use super::effect::Effect;
use super::ending;
use super::event::Found;
use super::lifecycle;
use crate::spec::{AppSpec, ExecMode, Late};
use crate::units::{Incarnation, InstanceId, Instant, Millis, Now};
use crate::world::{
    Beside, Cause, Death, Exit, Identity, Instance, InstanceFiles, Phase, SpawnError, State, Status, Verb, World,
};
use std::sync::Arc;

/// Whether a new life of this definition may run beside the current one of the slot.
pub(super) fn is_possible(instance: &Instance, spec: &AppSpec) -> bool {
    let runs = matches!(instance.state, State::Online { .. } | State::Unready { .. });
    // Under a new name it would not be the same app: the old one ends first.
    runs && spec.schedule.is_none()
        && instance.spec.schedule.is_none()
        && spec.name == instance.spec.name
        && spec.may_overlap()
        && instance.spec.may_overlap()
        && spec.exec_mode == instance.spec.exec_mode
}

/// Whether a candidate is on its way in this slot.
pub(super) fn is_under_way(instance: &Instance) -> bool {
    instance.beside.iter().any(Beside::is_candidate)
}

/// Begins a candidate; its incarnation is returned.
pub(super) fn begin(
    world: &mut World,
    now: Now,
    id: InstanceId,
    spec: Arc<AppSpec>,
    effects: &mut Effects,
) -> Option<Incarnation> {
    let incarnation = Incarnation(world.next_incarnation);
    let instance = world.instances.get_mut(&id)?;
    instance.beside.push(Beside {
        incarnation,
        spec: spec.clone(),
        process: None,
        started_at: Some(now.wall),
        phase: Phase::Starting { since: now.instant },
    });
    instance.refused = None;
    world.next_incarnation += 1;
    world.touched.insert(id);
    effects.push(Effect::Spawn { id, incarnation });
    lifecycle::listen_for_ready(&spec, id, incarnation, effects);
    Some(incarnation)
}

fn find(world: &mut World, id: InstanceId, incarnation: Incarnation) -> Option<&mut Beside> {
    let instance = world.instances.get_mut(&id)?;
    let beside = instance.beside.iter_mut().find(|beside| beside.incarnation == incarnation)?;
    world.touched.insert(id);
    Some(beside)
}

pub(super) fn prepared(
    world: &mut World,
    id: InstanceId,
    incarnation: Incarnation,
    identity: Identity,
    effects: &mut Effects,
) {
    let Some(beside) = find(world, id, incarnation) else { return };
    match beside.phase {
        Phase::Starting { .. } => {
            beside.process = Some(identity);
            effects.push(Effect::Go { id, incarnation });
        }
        Phase::Ending { .. } => {
            beside.process = Some(identity);
            effects.push(Effect::Abort { id, incarnation });
        }
        // Told twice.
        Phase::Unready { .. } | Phase::Draining { .. } => {}
    }
}

pub(super) fn spawned(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    let told = world.instances.get(&id).is_some_and(|instance| instance.told_ready);
    let Some(beside) = find(world, id, incarnation) else { return };
    match beside.phase {
        Phase::Starting { .. } => {
            let (timeout, late) = patience(&beside.spec, told);
            let until = now.instant + timeout;
            beside.phase = Phase::Unready { since: now.instant, until, counts: late == Late::Counts };
            effects.push(Effect::AwaitReady { id, incarnation });
        }
        // It was told to run and to stop at nearly the same time: the signal is on its way.
        Phase::Ending { .. } | Phase::Unready { .. } | Phase::Draining { .. } => {}
    }
}

/// How long a candidate may take, and whether being up then is enough. A good life is not given up for one that has
/// not shown as much: where the old one had told that it was ready, the new one must, too. PM2 takes it all the same.
fn patience(spec: &AppSpec, told: bool) -> (Millis, Late) {
    match spec.awaits_ready() {
        Some((timeout, _)) => (timeout, Late::Fails),
        None if spec.exec_mode == ExecMode::Cluster => {
            (spec.listen_timeout, if told { Late::Fails } else { Late::Counts })
        }
        None => (spec.min_uptime, Late::Counts),
    }
}

pub(super) fn spawn_failed(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    error: SpawnError,
    effects: &mut Effects,
) {
    let Some(beside) = find(world, id, incarnation) else { return };
    let failure = match &beside.phase {
        Phase::Starting { .. } => Some(Cause::SpawnFailed(error)),
        Phase::Ending { failure, .. } => failure.clone(),
        Phase::Unready { .. } | Phase::Draining { .. } => return,
    };
    remove(world, now, id, incarnation, failure, effects);
}

/// The candidate has written a line that was listened for.
pub(super) fn heard(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    pattern: &str,
    effects: &mut Effects,
) {
    if find(world, id, incarnation).is_some_and(|beside| beside.spec.ready_line() == Some(pattern)) {
        ready(world, now, id, incarnation, effects);
    }
}

/// The candidate says that it is ready.
pub(super) fn ready(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    let Some(beside) = find(world, id, incarnation) else { return };
    match beside.phase {
        Phase::Unready { since, .. } => {
            promote(world, now, id, incarnation, since, effects);
            if let Some(instance) = world.instances.get_mut(&id) {
                instance.told_ready = true;
            }
        }
        Phase::Starting { .. } | Phase::Draining { .. } | Phase::Ending { .. } => {}
    }
}

pub(super) fn exited(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    exit: Exit,
    effects: &mut Effects,
) {
    let Some(beside) = find(world, id, incarnation) else { return };
    let tree = beside.spec.treekill;
    let kill_timeout = beside.spec.kill_timeout;
    let ended = |failure| Phase::Ending {
        kill_at: now.instant + kill_timeout,
        killed: false,
        exit: Some(exit),
        tree_gone: !tree,
        failure,
    };
    match &mut beside.phase {
        Phase::Starting { .. } | Phase::Unready { .. } => beside.phase = ended(Some(Cause::Exited(exit))),
        Phase::Draining { .. } => beside.phase = ended(None),
        Phase::Ending { exit: told @ None, .. } => {
            *told = Some(exit);
            bury(world, now, id, incarnation, exit);
            return finish(world, now, id, incarnation, effects);
        }
        // Told twice.
        Phase::Ending { exit: Some(_), .. } => return,
    }
    ending::sweep(&beside.spec, id, incarnation, tree, effects);
    bury(world, now, id, incarnation, exit);
    finish(world, now, id, incarnation, effects);
}

/// Remembers the end of a life beside the current one; it is not how the slot's last life ended.
fn bury(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, exit: Exit) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let began = instance.beside.iter().find(|beside| beside.incarnation == incarnation).and_then(|b| b.started_at);
    let uptime = Millis(began.map_or(0, |at| now.wall.0.saturating_sub(at.0)));
    let last = instance.last_exit;
    instance.bury(Death { incarnation, exit, at: now.wall, uptime });
    instance.last_exit = last;
}

pub(super) fn tree_gone(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    let Some(beside) = find(world, id, incarnation) else { return };
    match &mut beside.phase {
        Phase::Ending { tree_gone, .. } => *tree_gone = true,
        Phase::Starting { .. } | Phase::Unready { .. } | Phase::Draining { .. } => return,
    }
    finish(world, now, id, incarnation, effects);
}

/// The retired life has nothing left to do.
pub(super) fn drained(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    let Some(beside) = find(world, id, incarnation) else { return };
    match beside.phase {
        Phase::Draining { kill_at } => end(beside, now, id, Some(kill_at), None, effects),
        Phase::Starting { .. } | Phase::Unready { .. } | Phase::Ending { .. } => {}
    }
}

/// What is due in the lives beside the current one.
pub(super) fn timers(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let Some(instance) = world.instances.get(&id) else { return };
    let due = |beside: &&Beside| beside.deadline().is_some_and(|at| at <= now.instant);
    let due: Vec<Incarnation> = instance.beside.iter().filter(due).map(|beside| beside.incarnation).collect();
    for incarnation in due {
        let Some(beside) = find(world, id, incarnation) else { continue };
        match &mut beside.phase {
            Phase::Unready { since, counts: true, .. } => {
                let since = *since;
                promote(world, now, id, incarnation, since, effects);
            }
            Phase::Unready { since, until, counts: false } => {
                let why = Cause::NotReady(*until - *since);
                end(beside, now, id, None, Some(why), effects);
            }
            // One that was asked by a message knows already that it is to end. Another may have a handler of the
            // signal that closes what is still open.
            Phase::Draining { kill_at } if beside.spec.shutdown_with_message => {
                let kill_at = *kill_at;
                kill(beside, kill_at, id, effects);
            }
            Phase::Draining { .. } => end(beside, now, id, None, None, effects),
            Phase::Ending { killed, tree_gone, .. } => {
                *killed = true;
                ending::kill(id, incarnation, !*tree_gone, effects);
            }
            Phase::Starting { .. } => {}
        }
    }
}

/// Ends a life that has not drained in time.
fn kill(beside: &mut Beside, kill_at: Instant, id: InstanceId, effects: &mut Effects) {
    let incarnation = beside.incarnation;
    let tree = beside.spec.treekill;
    beside.phase = Phase::Ending { kill_at, killed: true, exit: None, tree_gone: !tree, failure: None };
    ending::again(&beside.spec, id, incarnation, true, tree, effects);
}

/// Asks a life to end. Without `kill_at` its definition's time begins now.
fn end(
    beside: &mut Beside,
    now: Now,
    id: InstanceId,
    kill_at: Option<Instant>,
    failure: Option<Cause>,
    effects: &mut Effects,
) {
    let incarnation = beside.incarnation;
    let tree = beside.spec.treekill;
    // A process that was not told to run yet is called off when it is prepared.
    let told_to_run = beside.process.is_some();
    beside.phase = Phase::Ending {
        kill_at: kill_at.unwrap_or(now.instant + beside.spec.kill_timeout),
        killed: false,
        exit: None,
        tree_gone: !tree,
        failure,
    };
    if told_to_run {
        ending::ask(&beside.spec, id, incarnation, tree, effects);
    }
}

/// Ends every life beside the current one: the slot is to go down, or its app is to start anew.
pub(super) fn end_all(instance: &mut Instance, now: Now, effects: &mut Effects) {
    let id = instance.id;
    for beside in &mut instance.beside {
        match beside.phase {
            Phase::Starting { .. } | Phase::Unready { .. } => end(beside, now, id, None, None, effects),
            Phase::Draining { kill_at } => end(beside, now, id, Some(kill_at), None, effects),
            Phase::Ending { .. } => {}
        }
    }
}

/// The candidate, which runs since then and is good, takes the slot; the life that had it is retired.
fn promote(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    since: Instant,
    effects: &mut Effects,
) {
    let Some(at) = position(world, id, incarnation) else { return };
    let Some((instance, mut old)) = replace(world, now, id, at, State::Online { since, ready: true }) else { return };
    instance.begin_anew(now.wall);
    instance.note("online", Cause::Operator(Verb::Reload), now.wall);
    if old.spec.exec_mode == ExecMode::Cluster {
        effects.push(Effect::Drain { id, incarnation: old.incarnation });
    } else {
        end(&mut old, now, id, None, None, effects);
    }
    instance.beside.push(old);
    effects.push(Effect::Persist);
}

/// The current life has ended by itself: the candidate that is on its way takes its place at once, ready or not.
pub(super) fn succeed(world: &mut World, now: Now, id: InstanceId, exit: Exit, uptime: Millis, effects: &mut Effects) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let candidate = instance.beside.iter().enumerate().find_map(|(at, beside)| match beside.phase {
        Phase::Unready { since, until, .. } => Some((at, State::Unready { since, until })),
        Phase::Starting { since } => Some((at, State::Starting { since })),
        Phase::Draining { .. } | Phase::Ending { .. } => None,
    });
    let Some((at, state)) = candidate else { return };
    instance.bury(Death { incarnation: instance.incarnation, exit, at: now.wall, uptime });
    let Some((instance, mut old)) = replace(world, now, id, at, state) else { return };
    instance.created_at = now.wall;
    instance.note(Status::from(&instance.state).as_str(), Cause::Exited(exit), now.wall);
    let (incarnation, tree) = (old.incarnation, old.spec.treekill);
    let kill_at = now.instant + old.spec.kill_timeout;
    old.phase = Phase::Ending { kill_at, killed: false, exit: Some(exit), tree_gone: !tree, failure: None };
    ending::sweep(&old.spec, id, incarnation, tree, effects);
    instance.beside.push(old);
    effects.push(Effect::Persist);
    finish(world, now, id, incarnation, effects);
}

fn position(world: &World, id: InstanceId, incarnation: Incarnation) -> Option<usize> {
    world.instances.get(&id)?.beside.iter().position(|beside| beside.incarnation == incarnation)
}

/// Puts the life that is beside the current one at `at` in the slot, which is a restart, and gives the one that was
/// there.
fn replace(world: &mut World, now: Now, id: InstanceId, at: usize, state: State) -> Option<(&mut Instance, Beside)> {
    let instance = world.instances.get_mut(&id)?;
    let new = instance.beside.remove(at);
    let kill_at = now.instant + instance.spec.kill_timeout;
    let old = Beside {
        incarnation: instance.incarnation,
        spec: instance.spec.clone(),
        process: instance.process.take(),
        started_at: instance.started_at,
        phase: Phase::Draining { kill_at },
    };
    instance.incarnation = new.incarnation;
    instance.files = InstanceFiles::of(&new.spec, id, &world.directories);
    instance.spec = new.spec;
    instance.process = new.process;
    instance.started_at = new.started_at;
    instance.state = state;
    instance.forget_words();
    if matches!(instance.state, State::Online { .. }) {
        instance.care.begin(now.instant);
    }
    instance.restarts += 1;
    world.touched.insert(id);
    Some((instance, old))
}

/// Lets a life go once its leader has exited and nothing of its tree is left.
fn finish(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    let Some(beside) = find(world, id, incarnation) else { return };
    if let Phase::Ending { exit: Some(_), tree_gone: true, failure, .. } = &beside.phase {
        let failure = failure.clone();
        remove(world, now, id, incarnation, failure, effects);
    }
}

fn remove(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    failure: Option<Cause>,
    effects: &mut Effects,
) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    instance.beside.retain(|beside| beside.incarnation != incarnation);
    if let Some(why) = failure {
        let status = Status::from(&instance.state).as_str();
        instance.note(status, Cause::ReloadFailed(Box::new(why.clone())), now.wall);
        instance.refused = Some((incarnation, why));
    }
    world.touched.insert(id);
    effects.push(Effect::Release { id, incarnation });
    // The slot may have waited for it.
    lifecycle::finish(world, now, id, effects);
}

/// A new daemon has looked at a life beside the current one.
pub(super) fn recovered(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    found: Found,
    effects: &mut Effects,
) {
    let Some(beside) = find(world, id, incarnation) else { return };
    match found {
        Found::Alive(identity) => {
            beside.process = Some(identity);
            resume(world, now, id, incarnation, effects);
        }
        Found::Ended(exit) => {
            if let Phase::Ending { tree_gone: false, .. } = &beside.phase {
                // The watch on the tree died with the old daemon, and what was sent to it may not have been.
                resume(world, now, id, incarnation, effects);
            }
            // An end that is on record is not told again: only its tree is awaited.
            match find(world, id, incarnation).map(|beside| &beside.phase) {
                Some(Phase::Ending { exit: Some(_), .. }) => finish(world, now, id, incarnation, effects),
                Some(_) => exited(world, now, id, incarnation, exit, effects),
                None => {}
            }
        }
        Found::NeverRan => {
            let failure = match &beside.phase {
                Phase::Starting { .. } | Phase::Unready { .. } => Some(Cause::Exited(Exit::Unknown)),
                Phase::Ending { failure, .. } => failure.clone(),
                Phase::Draining { .. } => None,
            };
            remove(world, now, id, incarnation, failure, effects);
        }
        // What becomes of the slot is told of its current life.
        Found::Rebooted => {
            if let Some(instance) = world.instances.get_mut(&id) {
                instance.beside.retain(|beside| beside.incarnation != incarnation);
            }
            effects.push(Effect::Release { id, incarnation });
        }
    }
}

/// Goes on with a living one that another daemon left.
fn resume(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    let Some(beside) = find(world, id, incarnation) else { return };
    match &beside.phase {
        Phase::Starting { .. } => spawned(world, now, id, incarnation, effects),
        Phase::Unready { .. } => effects.push(Effect::AwaitReady { id, incarnation }),
        Phase::Draining { .. } => effects.push(Effect::Drain { id, incarnation }),
        Phase::Ending { killed, tree_gone, .. } => {
            ending::again(&beside.spec, id, incarnation, *killed, !*tree_gone, effects);
        }
    }
}
