//! What else than the process itself, or a request, wants a slot to run again: a file that has changed.

use super::Effects;
use super::lifecycle::end;
use crate::units::{InstanceId, Now};
use crate::world::{Cause, Changed, State, Then, World};

/// A file that is watched for a slot has changed. It is acted on when no more changes come.
pub(super) fn changed(world: &mut World, now: Now, id: InstanceId, path: String, more: u32) {
    let Some(instance) = world.instances.get_mut(&id).filter(|instance| instance.is_watched()) else { return };
    // The next life finds the file as it is now.
    if let State::Stopping { .. } = &instance.state {
        return;
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
    let Some(changed) = instance.changed.take().filter(|_| instance.is_watched()) else { return };
    instance.begin_anew(now.wall);
    end(world, now, id, Then::Restart(Cause::Changed { path: changed.path, more: changed.more }), effects);
}
