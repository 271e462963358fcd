//! What happens to one slot. Each function is one column of the table State × Event, with every state named.

use super::Effects;
use super::care;
use super::effect::Effect;
use super::ending;
use super::job;
use super::outside;
use super::overlap;
use super::rollout;
use super::waiting;
use crate::policy;
use crate::spec::{AppSpec, Dependency, EventKind, Late};
use crate::units::{Incarnation, InstanceId, Millis, Now};
use crate::world::{Cause, Death, Exit, Identity, Instance, SpawnError, State, Status, Then, World};

/// Begins a new incarnation in a slot where none lives.
pub(super) fn begin(world: &mut World, now: Now, id: InstanceId, cause: Cause, effects: &mut Effects) {
    let incarnation = Incarnation(world.next_incarnation);
    let Some(instance) = touch(world, id) else { return };
    if !matches!(cause, Cause::Operator(_)) && instance.job.is_none() && instance.started_at.is_some() {
        instance.alert(&[EventKind::Restart], &cause, instance.last_exit);
    }
    instance.incarnation = incarnation;
    instance.process = None;
    instance.forget_words();
    instance.changed = None;
    instance.started_at = Some(now.wall);
    job::begun(instance, now);
    enter(instance, now, State::Starting { since: now.instant }, cause);
    effects.push(Effect::Spawn { id, incarnation });
    listen_for_ready(&instance.spec, id, incarnation, effects);
    world.next_incarnation += 1;
}

/// Has somebody listen, before its first word, for the line by which a life tells that it is ready.
pub(super) fn listen_for_ready(spec: &AppSpec, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    if let Some(pattern) = spec.ready_line() {
        effects.push(Effect::Hear { id, incarnation, pattern: pattern.to_owned() });
    }
}

/// Begins a new incarnation once what the app depends on has come so far.
pub(super) fn ask_to_begin(world: &mut World, now: Now, id: InstanceId, why: Cause, effects: &mut Effects) {
    let Some(instance) = touch(world, id) else { return };
    if instance.spec.depends_on.is_empty() || instance.alone {
        return begin(world, now, id, why, effects);
    }
    // Whether it must wait at all is seen at the end of the step, when all that was asked is in place.
    let for_ = instance.spec.depends_on.clone();
    enter(instance, now, State::Waiting { for_, since: now.instant, why: why.clone() }, why);
}

/// What a slot that waits to start still waits for.
pub(super) fn wait_on(world: &mut World, id: InstanceId, left: Vec<Dependency>) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    if let State::Waiting { for_, .. } = &mut instance.state
        && *for_ != left
    {
        *for_ = left;
        world.touched.insert(id);
    }
}

/// Gives up a slot where nothing lives.
pub(super) fn give_up(world: &mut World, now: Now, id: InstanceId, why: Cause, effects: &mut Effects) {
    settle_down(world, now, id, Then::GiveUp(why), false, effects);
}

/// Brings a slot to what `then` says: at once when nothing lives in it, else after its incarnation has ended.
pub(super) fn end(world: &mut World, now: Now, id: InstanceId, next: Then, effects: &mut Effects) {
    end_after(world, now, id, next, Vec::new(), effects);
}

/// As [`end`], but an incarnation that runs is left alone until these have ended.
pub(super) fn end_after(
    world: &mut World,
    now: Now,
    id: InstanceId,
    next: Then,
    after: Vec<(InstanceId, Incarnation)>,
    effects: &mut Effects,
) {
    let next = match world.instances.get(&id) {
        Some(instance) => job::tamed(instance, next),
        None => return,
    };
    // What a reload is to make of the slot is newer than what wants it to run again.
    let by_itself = next.comes_by_itself();
    if !by_itself && !matches!(next, Then::GiveUp(_)) {
        rollout::leave_out(world, id, &next);
    }
    let Some(instance) = touch(world, id) else { return };
    if !by_itself {
        overlap::end_all(instance, now, effects);
    }
    instance.changed = None;
    match &mut instance.state {
        // A retired life has still to end.
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Errored { .. }
        | State::Backoff { .. }
            if !instance.beside.is_empty() && !by_itself =>
        {
            let exit = Some(instance.last_exit.unwrap_or(Exit::Unknown));
            let cause = next.cause();
            let (since, kill_at) = (now.instant, now.instant);
            let stopping =
                State::Stopping { since, kill_at, killed: true, exit, tree_gone: true, after: Vec::new(), then: next };
            enter(instance, now, stopping, cause);
        }
        State::Stopped { .. } | State::Idle { .. } | State::Waiting { .. } | State::Errored { .. } => {
            settle_down(world, now, id, next, false, effects);
        }
        State::Backoff { .. } => settle_down(world, now, id, next, true, effects),
        State::Starting { .. } | State::Unready { .. } | State::Online { .. } => {
            stop_leader_and_tree(instance, now, next, after, effects);
        }
        // What is asked last counts, but a slot that is to leave the list leaves it.
        State::Stopping { then: Then::Remove, .. } => {}
        State::Stopping { then, .. } => *then = next,
    }
}

pub(super) fn prepared(
    world: &mut World,
    id: InstanceId,
    incarnation: Incarnation,
    identity: Identity,
    effects: &mut Effects,
) {
    if world.current(id, incarnation).is_none() {
        effects.push(Effect::Abort { id, incarnation });
        return;
    }
    let Some(instance) = touch(world, id) else { return };
    instance.process = Some(identity);
    match &instance.state {
        State::Starting { .. } => effects.push(Effect::Go { id, incarnation }),
        State::Stopping { .. } => effects.push(Effect::Abort { id, incarnation }),
        // Nothing was begun in these states: whoever prepared it was mistaken.
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
    }
}

pub(super) fn spawned(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = world.instances.get_mut(&id) else { return };
    match &instance.state {
        State::Starting { .. } => {
            enter(instance, now, running(&instance.spec, now), Cause::Spawned);
            world.touched.insert(id);
            effects.push(Effect::AwaitReady { id, incarnation });
        }
        // It was told to run and to stop at nearly the same time: the signal is on its way.
        State::Stopping { .. } => {}
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
    }
}

/// The state of a program that has just begun to run.
pub(super) fn running(spec: &AppSpec, now: Now) -> State {
    let since = now.instant;
    match spec.awaits_ready() {
        Some((timeout, _)) => State::Unready { since, until: since + timeout },
        None => State::Online { since, ready: spec.min_uptime == Millis(0) },
    }
}

/// The incarnation has written a line that was listened for.
pub(super) fn heard(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, pattern: String) {
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = touch(world, id) else { return };
    let is_ready = instance.spec.ready_line() == Some(pattern.as_str());
    instance.heard.insert(pattern);
    if is_ready {
        ready(world, now, id, incarnation);
    }
}

/// The incarnation says that it is ready.
pub(super) fn ready(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation) {
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = touch(world, id) else { return };
    match &mut instance.state {
        State::Unready { since, .. } => {
            let online = State::Online { since: *since, ready: true };
            enter(instance, now, online, Cause::Ready);
            instance.told_ready = true;
        }
        State::Online { ready, .. } => {
            *ready = true;
            instance.told_ready = true;
        }
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Starting { .. }
        | State::Stopping { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
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
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = touch(world, id) else { return };
    match &instance.state {
        State::Starting { .. } => {
            instance.process = None;
            effects.push(Effect::Release { id, incarnation });
            let verdict = policy::after_spawn_failure(instance, error, now.instant);
            instance.last_delay = verdict.last_delay;
            settle_down(world, now, id, verdict.then, false, effects);
        }
        State::Stopping { .. } => {
            instance.process = None;
            effects.push(Effect::Release { id, incarnation });
            leave_stopping(world, now, id, false, effects);
        }
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
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
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = touch(world, id) else { return };
    let kill_timeout = instance.spec.kill_timeout;
    match &mut instance.state {
        State::Starting { since } | State::Unready { since, .. } | State::Online { since, .. } => {
            let uptime = now.instant - *since;
            if overlap::is_under_way(instance) {
                overlap::succeed(world, now, id, exit, uptime, effects);
                return;
            }
            let verdict = policy::after_exit(instance, exit, uptime, now.instant);
            instance.unstable = verdict.unstable;
            instance.last_delay = verdict.last_delay;
            instance.bury(Death { incarnation, exit, at: now.wall, uptime });
            let why = Cause::Exited(exit);
            let kinds: &[EventKind] = match exit {
                Exit::OutOfMemory(_) => &[EventKind::Oom, EventKind::Exit],
                Exit::Code(_) | Exit::Signal(_) | Exit::Unknown => &[EventKind::Exit],
            };
            instance.alert(kinds, &why, Some(exit));
            if verdict.unstable == policy::CRASH_LOOP && matches!(verdict.then, Then::Respawn { .. }) {
                instance.alert(&[EventKind::CrashLoop], &why, Some(exit));
            }
            // The rest of the tree goes before anything else starts in this slot.
            let tree = instance.spec.treekill;
            let stopping = State::Stopping {
                since: now.instant,
                kill_at: now.instant + kill_timeout,
                killed: false,
                exit: Some(exit),
                tree_gone: !tree,
                after: Vec::new(),
                then: verdict.then,
            };
            enter(instance, now, stopping, Cause::Exited(exit));
            ending::sweep(&instance.spec, id, incarnation, tree, effects);
            finish(world, now, id, effects);
        }
        State::Stopping { since, exit: ended @ None, kill_at, after, tree_gone, .. } => {
            *ended = Some(exit);
            // It went before its turn: what it leaves need not wait.
            let early = !std::mem::take(after).is_empty();
            if early {
                *kill_at = now.instant + kill_timeout;
            }
            let tree = early && !*tree_gone;
            let uptime = instance.started_at.map_or(now.instant - *since, |at| Millis(now.wall.0.saturating_sub(at.0)));
            instance.bury(Death { incarnation, exit, at: now.wall, uptime });
            ending::sweep(&instance.spec, id, incarnation, tree, effects);
            finish(world, now, id, effects);
        }
        // Told twice.
        State::Stopping { exit: Some(_), .. } => {}
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
    }
}

pub(super) fn tree_gone(world: &mut World, now: Now, id: InstanceId, incarnation: Incarnation, effects: &mut Effects) {
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = world.instances.get_mut(&id) else { return };
    match &mut instance.state {
        State::Stopping { tree_gone, .. } => {
            *tree_gone = true;
            world.touched.insert(id);
            finish(world, now, id, effects);
        }
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
    }
}

pub(super) fn output_dropped(world: &mut World, id: InstanceId, bytes: u64) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    instance.dropped = instance.dropped.saturating_add(bytes);
    world.touched.insert(id);
}

pub(super) fn timers(world: &mut World, now: Now, effects: &mut Effects) {
    for id in world.due(now.instant) {
        overlap::timers(world, now, id, effects);
        outside::timers(world, now, id, effects);
        care::timers(world, now, id, effects);
        job::timers(world, now, id, effects);
        let due = world.instances.get(&id).and_then(Instance::state_deadline).is_some_and(|at| at <= now.instant);
        if !due {
            continue;
        }
        let Some(instance) = touch(world, id) else { continue };
        let incarnation = instance.incarnation;
        match &mut instance.state {
            // Left only by its own timer or by an operator.
            State::Backoff { delay, .. } => {
                let cause = Cause::Backoff(*delay);
                instance.restarts += 1;
                begin(world, now, id, cause, effects);
            }
            State::Waiting { for_, .. } => {
                let late = for_.iter().filter(|dependency| dependency.timeout.is_some());
                let Some(late) = late.min_by_key(|dependency| dependency.timeout) else { continue };
                let late = late.clone();
                let why = waiting::late(world, late);
                give_up(world, now, id, why, effects);
            }
            State::Online { since, .. } => {
                let since = *since;
                enter(instance, now, State::Online { since, ready: true }, Cause::Stable);
            }
            State::Unready { since, until } => {
                let (since, why) = (*since, Cause::NotReady(*until - *since));
                // The definition may have changed since: without any wish of it to hear a word, being up is enough.
                match instance.spec.awaits_ready() {
                    Some((_, Late::Fails)) => fail(world, now, id, why, effects),
                    Some((_, Late::Counts)) | None => {
                        enter(instance, now, State::Online { since, ready: true }, why);
                    }
                }
            }
            State::Stopping { killed, tree_gone, .. } => {
                *killed = true;
                ending::kill(id, incarnation, !*tree_gone, effects);
            }
            State::Stopped { .. } | State::Idle { .. } | State::Starting { .. } | State::Errored { .. } => {}
        }
    }
}

/// Asks the living incarnation of a slot to end, once those that are to end before it have.
fn stop_leader_and_tree(
    instance: &mut Instance,
    now: Now,
    then: Then,
    after: Vec<(InstanceId, Incarnation)>,
    effects: &mut Effects,
) {
    let tree = instance.spec.treekill;
    let cause = then.cause();
    // A process that was not told to run yet is called off when it is prepared.
    let told_to_run = instance.process.is_some();
    let after = if told_to_run { after } else { Vec::new() };
    let held = !after.is_empty();
    let stopping = State::Stopping {
        since: now.instant,
        kill_at: now.instant + instance.spec.kill_timeout,
        killed: false,
        exit: None,
        tree_gone: !tree,
        after,
        then,
    };
    enter(instance, now, stopping, cause);
    if told_to_run && !held {
        ending::ask(&instance.spec, instance.id, instance.incarnation, tree, effects);
    }
}

/// Ends an incarnation that runs but is no good; what follows is decided as after a crash.
pub(super) fn fail(world: &mut World, now: Now, id: InstanceId, why: Cause, effects: &mut Effects) {
    let Some(instance) = touch(world, id) else { return };
    let verdict = policy::after_failure(instance, why, now.instant);
    instance.unstable = verdict.unstable;
    instance.last_delay = verdict.last_delay;
    end(world, now, id, verdict.then, effects);
}

/// Signals a slot that was to be stopped after others.
pub(super) fn stop_now(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let Some(instance) = touch(world, id) else { return };
    let timeout = instance.spec.kill_timeout;
    if let State::Stopping { after, kill_at, tree_gone, .. } = &mut instance.state {
        after.clear();
        *kill_at = now.instant + timeout;
        let tree = !*tree_gone;
        ending::ask(&instance.spec, id, instance.incarnation, tree, effects);
    }
}

/// Leaves `Stopping` once the leader has exited and nothing of its tree, nor any other life of the slot, is left.
pub(super) fn finish(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    if let State::Stopping { exit: Some(_), tree_gone: true, .. } = &instance.state {
        // Let go at once, even where the slot has to wait for a life beside it.
        if instance.process.take().is_some() {
            effects.push(Effect::Release { id, incarnation: instance.incarnation });
        }
        leave_stopping(world, now, id, true, effects);
    }
}

/// Carries out what is to follow `Stopping`, now that the current life is over. A start that nobody asked for need not
/// wait for a retired life that finishes its work.
pub(super) fn leave_stopping(world: &mut World, now: Now, id: InstanceId, counts: bool, effects: &mut Effects) {
    let Some(instance) = touch(world, id) else { return };
    let alone = instance.beside.is_empty();
    if let State::Stopping { then, exit, tree_gone, .. } = &mut instance.state {
        match then {
            _ if alone || then.comes_by_itself() => {}
            Then::Respawn { .. }
            | Then::Rest(_)
            | Then::Stop(_)
            | Then::Restart(_)
            | Then::Remove
            | Then::GiveUp(_) => {
                // A process that never ran has not exited either.
                exit.get_or_insert(Exit::Unknown);
                *tree_gone = true;
                return;
            }
        }
        let then = then.clone();
        settle_down(world, now, id, then, counts, effects);
    }
}

/// Carries out `then` in a slot where nothing lives. `counts` says whether a start from here is one more restart: PM2
/// does not count the start of an app that was stopped.
pub(super) fn settle_down(
    world: &mut World,
    now: Now,
    id: InstanceId,
    then: Then,
    counts: bool,
    effects: &mut Effects,
) {
    let Some(instance) = touch(world, id) else { return };
    let then = job::settle(instance, now, then);
    let by_itself = then.comes_by_itself();
    match then {
        Then::Rest(why) => enter(instance, now, State::Idle { why: why.clone() }, why),
        Then::Stop(why) => {
            enter(instance, now, State::Stopped { why: why.clone() }, why);
            effects.push(Effect::Persist);
        }
        Then::GiveUp(why) => {
            let (kinds, exit): (&[EventKind], _) = match &why {
                Cause::CrashLoop(_, exit) => (&[EventKind::Errored, EventKind::CrashLoop], Some(*exit)),
                Cause::Exited(exit) => (&[EventKind::Errored], Some(*exit)),
                _ => (&[EventKind::Errored], None),
            };
            instance.alert(kinds, &why, exit);
            enter(instance, now, State::Errored { why: why.clone() }, why);
            effects.push(Effect::Persist);
        }
        Then::Remove => {
            world.instances.remove(&id);
            if world.instances.is_empty() {
                world.next_id = 0;
            }
            effects.push(Effect::Forget { id });
            effects.push(Effect::Persist);
        }
        Then::Restart(cause) => {
            // One run after another is no restart.
            instance.restarts += u32::from(counts && instance.job.is_none());
            // What ran a moment ago, with whatever was there, may run again. Each run of a job is one of its own.
            if counts && by_itself && instance.job.is_none() {
                begin(world, now, id, cause, effects);
            } else {
                ask_to_begin(world, now, id, cause, effects);
            }
        }
        Then::Respawn { at, why, .. } if at <= now.instant => {
            instance.restarts += 1;
            begin(world, now, id, why, effects);
        }
        Then::Respawn { at, delay, why } => {
            enter(instance, now, State::Backoff { until: at, delay }, why);
        }
    }
}

/// The slot, marked as changed.
pub(super) fn touch(world: &mut World, id: InstanceId) -> Option<&mut Instance> {
    let instance = world.instances.get_mut(&id)?;
    world.touched.insert(id);
    Some(instance)
}

pub(super) fn enter(instance: &mut Instance, now: Now, state: State, cause: Cause) {
    let was = Status::from(&instance.state);
    let comes_online = matches!(state, State::Online { .. }) && !matches!(instance.state, State::Online { .. });
    instance.state = state;
    if comes_online {
        instance.care.begin(now.instant);
    }
    let is = Status::from(&instance.state);
    if was != is || is == Status::Stopped {
        let word = if matches!(instance.state, State::Idle { .. }) { "scheduled" } else { is.as_str() };
        instance.note(word, cause, now.wall);
    }
}
