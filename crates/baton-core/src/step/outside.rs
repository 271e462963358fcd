//! What else than the process itself, or a request, wants a slot to run again: a file that has changed, a time, or the
//! memory that it uses.
//!
//! While a reload has a new life on its way, none of these counts: that life finds everything as it is now.

use super::Effects;
use super::lifecycle::{end, fail};
use super::overlap::is_under_way;
use crate::units::{Bytes, Incarnation, InstanceId, Now};
use crate::world::{Cause, Changed, State, Then, World};

/// It is one of the times at which a slot is to be started again. One that has ended by itself, or was given up, runs
/// anew, which makes an app with `autorestart: false` a job; one that an operator has stopped stays down (PM2 starts it).
pub(super) fn struck(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let ending = world.ending;
    let Some(instance) = world.instances.get_mut(&id).filter(|slot| !ending && !is_under_way(slot)) else { return };
    let Some(pattern) = instance.spec.times().map(str::to_owned) else { return };
    let due = match &instance.state {
        State::Stopped { why } => matches!(why, Cause::Exited(_) | Cause::NotAutostarted),
        State::Unready { .. } | State::Online { .. } | State::Backoff { .. } | State::Errored { .. } => true,
        State::Stopping { then, .. } => goes_down_by_itself(then),
        // It is about to run anew.
        State::Waiting { .. } | State::Starting { .. } => false,
        // Jobs have times of another kind.
        State::Idle { .. } => false,
    };
    if due {
        instance.begin_anew(now.wall);
        end(world, now, id, Then::Restart(Cause::Time(pattern)), effects);
    }
}

/// Whether a slot whose life has ended stays down although nobody asked for that.
fn goes_down_by_itself(then: &Then) -> bool {
    match then {
        Then::GiveUp(_) | Then::Stop(Cause::Exited(_)) => true,
        Then::Stop(_) | Then::Rest(_) | Then::Restart(_) | Then::Remove | Then::Respawn { .. } => false,
    }
}

/// What a life uses. One that had no time to do any work counts as a crash, so that it can't go on for ever.
pub(super) fn weighed(
    world: &mut World,
    now: Now,
    id: InstanceId,
    incarnation: Incarnation,
    used: Bytes,
    effects: &mut Effects,
) {
    let Some(instance) = world.current(id, incarnation).filter(|slot| !is_under_way(slot)) else { return };
    let Some(limit) = instance.spec.memory_limit().filter(|limit| used > *limit) else { return };
    let Some(since) = instance.state.running_since() else { return };
    let why = Cause::Memory { used, limit };
    if now.instant - since < instance.spec.min_uptime {
        fail(world, now, id, why, effects);
    } else {
        end(world, now, id, Then::Restart(why), effects);
    }
}

/// A file that is watched for a slot has changed. It is acted on when no more changes come.
pub(super) fn changed(world: &mut World, now: Now, id: InstanceId, path: String, more: u32) {
    let Some(instance) = world.instances.get_mut(&id).filter(|instance| instance.is_watched()) else { return };
    match &instance.state {
        // The next life finds the file as it is now.
        State::Waiting { .. } | State::Idle { .. } => return,
        State::Stopping { then, .. } if !goes_down_by_itself(then) => return,
        State::Stopping { .. }
        | State::Stopped { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Backoff { .. }
        | State::Errored { .. } => {}
    }
    match &mut instance.changed {
        Some(changed) => {
            changed.last = now.instant;
            changed.more = changed.more.saturating_add(1).saturating_add(more);
        }
        None => instance.changed = Some(Changed { first: now.instant, last: now.instant, path, more }),
    }
}

/// Runs a slot again whose changed files have settled. What was wrong with it may be mended: the crash counters are
/// set back, as for a start by hand.
pub(super) fn timers(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    if instance.change_deadline().is_none_or(|at| at > now.instant) {
        return;
    }
    let newer = is_under_way(instance) || matches!(instance.state, State::Waiting { .. });
    let Some(changed) = instance.changed.take().filter(|_| instance.is_watched() && !newer) else { return };
    instance.begin_anew(now.wall);
    end(world, now, id, Then::Restart(Cause::Changed { path: changed.path, more: changed.more }), effects);
}
