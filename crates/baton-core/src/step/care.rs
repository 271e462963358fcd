//! What is done about a life that is unwell: its health fails, its watchdog or its heartbeat is silent.
//!
//! Nothing is done about an old life while a reload has a new one on its way. What passes and changes nothing touches
//! nothing, so that a healthy app costs no record.

use super::Effects;
use super::effect::Effect;
use super::event::Pet;
use super::lifecycle::{end, fail, touch};
use super::overlap::is_under_way;
use crate::spec::{EventKind, Remedy};
use crate::units::{Incarnation, InstanceId, Now};
use crate::world::{Beat, Cause, Identity, Instance, State, Then, World};

/// Processes of one life that are known to beat; more are not heard.
const BEATERS: usize = 64;

/// What is due.
pub(super) fn timers(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let due = instance.care_deadlines();
    let is_due = |at: Option<crate::units::Instant>| at.is_some_and(|at| at <= now.instant);
    if is_due(due.health) {
        instance.care.looking = true;
        instance.care.looked = Some(now.instant);
        effects.push(Effect::Examine { id, incarnation: instance.incarnation });
    }
    let silent = is_due(due.watchdog).then(|| instance.care.watchdog(&instance.spec)).flatten();
    if let Some(within) = silent {
        let worked = instance.care.has_petted;
        return begin_again(world, now, id, Cause::WatchdogSilent(within), worked, effects);
    }
    if is_due(due.heartbeat)
        && let Some(heartbeat) = &instance.spec.heartbeat
        && let Some(beat) = instance.care.beats.iter().min_by_key(|beat| beat.last)
    {
        let why = Cause::HeartbeatSilent { pid: beat.process.pid, within: heartbeat.timeout };
        begin_again(world, now, id, why, true, effects);
    }
}

/// Has a slot run again. A life that had no time to do any work, or never was well, counts as a crash, so that it can't go
/// on for ever.
fn begin_again(world: &mut World, now: Now, id: InstanceId, why: Cause, worked: bool, effects: &mut Effects) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let State::Online { since, .. } = instance.state else { return };
    instance.alert(&[EventKind::Unhealthy], &why, None);
    if worked && now.instant - since >= instance.spec.min_uptime {
        end(world, now, id, Then::Restart(why), effects);
    } else {
        fail(world, now, id, why, effects);
    }
}

/// The current life of a slot, while it is online.
fn online(world: &mut World, id: InstanceId, incarnation: Incarnation) -> Option<&mut Instance> {
    let slot = world.instances.get_mut(&id).filter(|slot| slot.incarnation == incarnation)?;
    matches!(slot.state, State::Online { .. }).then_some(slot)
}

/// A probe has found something.
pub(super) fn examined(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    result: Result<(), String>,
    effects: &mut Effects,
) {
    let Some(instance) = online(world, id, incarnation) else { return };
    instance.care.looking = false;
    let Some(health) = instance.spec.health.clone() else { return };
    let under_way = is_under_way(instance);
    let care = &mut instance.care;
    let found = match result {
        Ok(()) => {
            let was_degraded = std::mem::take(&mut care.degraded);
            let is_news = !care.passed || care.failures > 0 || was_degraded;
            (care.passed, care.failures, care.found) = (true, 0, None);
            if was_degraded {
                instance.note("online", Cause::Healthy, now.wall);
                instance.alert(&[EventKind::Healthy], &Cause::Healthy, None);
            }
            if is_news {
                world.touched.insert(id);
            }
            return;
        }
        Err(found) => found,
    };
    let counts = care.passed || now.instant >= care.starts_until(&health);
    if !counts {
        if care.found.as_ref() != Some(&found) {
            care.found = Some(found);
            world.touched.insert(id);
        }
        return;
    }
    care.failures = care.failures.saturating_add(1);
    care.found = Some(found.clone());
    let (failures, worked) = (care.failures, care.passed);
    let why = Cause::Unhealthy { probe: health.probe.to_string(), failures, found };
    match health.action {
        _ if failures < health.retries => {}
        Remedy::Restart if !under_way => begin_again(world, now, id, why, worked, effects),
        Remedy::Stop if !under_way => {
            instance.alert(&[EventKind::Unhealthy], &why, None);
            end(world, now, id, Then::Stop(why), effects);
        }
        Remedy::Restart | Remedy::Stop | Remedy::None => {
            if !std::mem::replace(&mut instance.care.degraded, true) {
                instance.alert(&[EventKind::Unhealthy], &why, None);
                instance.note("degraded", why, now.wall);
            }
        }
    }
    world.touched.insert(id);
}

/// A life has spoken to its watchdog.
pub(super) fn petted(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    pet: Pet,
    effects: &mut Effects,
) {
    let Some(instance) = world.instances.get_mut(&id).filter(|slot| slot.incarnation == incarnation) else { return };
    if instance.spec.watchdog_limit().is_none() {
        return;
    }
    match pet {
        Pet::Alive => {
            instance.care.petted = Some(now.instant);
            // A successor must know that it once was well.
            if !std::mem::replace(&mut instance.care.has_petted, true) {
                world.touched.insert(id);
            }
        }
        Pet::Every(limit) => {
            instance.care.watchdog = Some(limit);
            instance.care.petted = Some(now.instant);
            world.touched.insert(id);
        }
        Pet::Trigger if !is_under_way(instance) => {
            let worked = instance.care.has_petted;
            begin_again(world, now, id, Cause::WatchdogTriggered, worked, effects);
        }
        Pet::Trigger => {}
    }
}

/// A process of a life says that it is well. Of one name no more processes count than the list has slots of that name, as
/// in the service that this replaces: a stray copy can't stand in for one that hangs.
pub(super) fn beat(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    process: Identity,
    name: Option<String>,
) {
    let Some(instance) = world.current(id, incarnation).filter(|slot| slot.spec.heartbeat.is_some()) else { return };
    if !matches!(instance.state, State::Unready { .. } | State::Online { .. }) {
        return;
    }
    let name = name.unwrap_or_else(|| instance.spec.name.clone());
    if !instance.care.beats.iter().any(|beat| beat.process == process) {
        let slots = world.named(&name).count();
        let all = world.instances.values().flat_map(|slot| &slot.care.beats);
        let count = all.filter(|beat| beat.name == name).count();
        if (slots > 0 && count >= slots) || instance.care.beats.len() >= BEATERS {
            return;
        }
    }
    let beat = Beat { process, name, last: now.instant, at: now.wall };
    let Some(instance) = world.instances.get_mut(&id) else { return };
    match instance.care.beats.iter_mut().find(|known| known.process == beat.process) {
        Some(known) => *known = beat,
        None => {
            // A successor must know who is to be heard of.
            instance.care.beats.push(beat);
            world.touched.insert(id);
        }
    }
}

/// A process that has said so has ended by itself: it is not missed.
pub(super) fn beater_gone(world: &mut World, id: InstanceId, incarnation: Incarnation, process: &Identity) {
    if world.current(id, incarnation).is_none() {
        return;
    }
    let Some(instance) = touch(world, id) else { return };
    instance.care.beats.retain(|beat| beat.process != *process);
}
