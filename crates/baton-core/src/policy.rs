//! What to do after an incarnation has ended: pure functions of the definition and the record of deaths.

use crate::spec::AppSpec;
use crate::units::{Instant, Millis};
use crate::world::{Cause, Changed, Exit, Instance, SpawnError, Then};

/// Unstable exits in a row after which PM2 gives up by default.
const DEFAULT_MAX_RESTARTS: u32 = 16;
/// The longest pause of the growing series (PM2's figure).
const LONGEST_PAUSE: Millis = Millis(15_000);
/// The first pause after the system had no room for a process.
const AFTER_SHORTAGE: Millis = Millis(1_000);
/// Uptime after which the growing series begins anew (PM2's `EXP_BACKOFF_RESET_TIMER`).
const SERIES_RESET: Millis = Millis(30_000);

/// So many unstable exits in a row are told as a crash loop, although it goes on.
pub(crate) const CRASH_LOOP: u32 = 5;

/// How long changes of files may keep coming before they are acted on all the same.
const LONGEST_UNREST: Millis = Millis(5_000);

/// What follows an exit, and the counters that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What follows.
    pub then: Then,
    /// Unstable exits in a row, this one included.
    pub unstable: u32,
    /// The pause of the growing series, 0 when none.
    pub last_delay: Millis,
}

/// What to do after a life of `uptime` that ended by itself with `exit` at `now`.
///
/// An exit sooner than `min_uptime` after the start is unstable; `max_restarts` unstable exits in a row are the end
/// (PM2 gives up when the count reaches the limit, so the default of 16 allows 15 restarts). A longer life sets the
/// count back to 0. With `exp_backoff_restart_delay` there is no limit unless `max_restarts` is set, because the
/// pauses already bound the work. A one-shot is never started again: code 0 is its success. Neither is a job, until it is
/// due again.
pub fn after_exit(instance: &Instance, exit: Exit, uptime: Millis, now: Instant) -> Verdict {
    let spec = &*instance.spec;
    let unstable = if uptime < spec.min_uptime { instance.unstable + 1 } else { 0 };
    if spec.schedule.is_some() {
        return Verdict { then: Then::Rest(Cause::Exited(exit)), unstable: 0, last_delay: Millis(0) };
    }
    if spec.oneshot {
        let why = Cause::Exited(exit);
        let then = if exit.is_success() { Then::Stop(why) } else { Then::GiveUp(why) };
        return Verdict { then, unstable, last_delay: Millis(0) };
    }
    let stays_down = !spec.autorestart || matches!(exit, Exit::Code(code) if spec.stop_exit_codes.contains(&code));
    if stays_down {
        return Verdict { then: Then::Stop(Cause::Exited(exit)), unstable, last_delay: Millis(0) };
    }
    if limit(spec).is_some_and(|limit| unstable >= limit) {
        return Verdict { then: Then::GiveUp(Cause::CrashLoop(unstable, exit)), unstable: 0, last_delay: Millis(0) };
    }
    respawn(instance, Cause::Exited(exit), unstable, uptime, now)
}

/// What to do after a life that runs but has failed for `why`: it counts as one more unstable exit.
pub fn after_failure(instance: &Instance, why: Cause, now: Instant) -> Verdict {
    let spec = &*instance.spec;
    let unstable = instance.unstable + 1;
    let gives_up = spec.oneshot || !spec.autorestart || limit(spec).is_some_and(|limit| unstable >= limit);
    if gives_up {
        return Verdict { then: Then::GiveUp(why), unstable: 0, last_delay: Millis(0) };
    }
    respawn(instance, why, unstable, Millis(0), now)
}

/// What to do after a life that could not be begun. What the machine is short of may be there again later: then it is
/// tried again, after pauses that grow, for as long as the app is wanted. Any other reason stays until somebody acts.
pub fn after_spawn_failure(instance: &Instance, error: SpawnError, now: Instant) -> Verdict {
    let spec = &*instance.spec;
    let unstable = instance.unstable;
    if !error.is_shortage() || !spec.autorestart || spec.oneshot || spec.schedule.is_some() {
        return Verdict { then: Then::GiveUp(Cause::SpawnFailed(error)), unstable, last_delay: instance.last_delay };
    }
    let delay = next_pause(AFTER_SHORTAGE.max(spec.restart_delay), instance.last_delay, Millis(0));
    let then = Then::Respawn { at: now + delay, delay, why: Cause::SpawnFailed(error) };
    Verdict { then, unstable, last_delay: delay }
}

/// Another start, after the pause that the definition and the life's `uptime` give.
fn respawn(instance: &Instance, why: Cause, unstable: u32, uptime: Millis, now: Instant) -> Verdict {
    let spec = &*instance.spec;
    let last_delay = next_pause(spec.exp_backoff_restart_delay, instance.last_delay, uptime);
    let delay = if last_delay > Millis(0) { last_delay } else { spec.restart_delay };
    Verdict { then: Then::Respawn { at: now + delay, delay, why }, unstable, last_delay }
}

/// When changes of files are acted on: once none has come for `delay`, and not much later while they keep coming.
pub fn settled(changed: &Changed, delay: Millis) -> Instant {
    (changed.last + delay).min(changed.first + delay + LONGEST_UNREST)
}

/// How many unstable exits in a row are the end; `None` is no limit.
fn limit(spec: &AppSpec) -> Option<u32> {
    match spec.max_restarts {
        Some(limit) => Some(limit),
        None if spec.exp_backoff_restart_delay > Millis(0) => None,
        None => Some(DEFAULT_MAX_RESTARTS),
    }
}

/// The next pause of a series that starts with `first` and grows by half, as PM2's: 100, 150, 225, 337, … 15000.
fn next_pause(first: Millis, last: Millis, uptime: Millis) -> Millis {
    if first == Millis(0) || last == Millis(0) || uptime > SERIES_RESET {
        return first;
    }
    Millis(last.0.saturating_mul(3) / 2).min(LONGEST_PAUSE)
}
