//! Jobs (`schedule`): what their times bring, and what follows when a run is over.
//!
//! When a pattern is due next is found out at the edge, which knows time zones; what that means is decided here. A job
//! that is armed rests in `Idle` between its runs, and every end of a life leads there, whatever it is.

use super::Effects;
use super::lifecycle::{end, touch};
use super::overlap;
use crate::spec::{EventKind, Missed, Overlap, Schedule};
use crate::units::{InstanceId, Millis, Now, WallTime};
use crate::world::{Cause, Due, Instance, Job, KeptJobs, Next, Outcome, Run, State, Then, Verb, World};

/// A run that begins later than this after its time was missed: the machine or the daemon was away (ms).
const LATE: Millis = Millis(60_000);

/// Somebody has found out when a job is due next. An earlier time than the one that is known comes of a clock that was
/// set back.
pub(super) fn planned(world: &mut World, id: InstanceId, pattern: &str, time: Option<WallTime>) {
    let seed = world.seed;
    let Some(slot) = world.instances.get_mut(&id).filter(|slot| slot.armed_job().is_some()) else { return };
    let (Some(schedule), Some(job)) = (slot.spec.schedule.as_ref(), slot.job.as_deref_mut()) else { return };
    if schedule.pattern() != pattern {
        return;
    }
    let next = match time {
        Some(time) => {
            let pause = jitter(seed, &slot.spec.name, slot.number, time, schedule.jitter);
            Next::At(Due { time, at: WallTime(time.0.saturating_add(pause.0)) })
        }
        None => Next::Never,
    };
    let counts = match (&job.next, &next) {
        (Next::Unplanned, _) | (Next::Never, Next::At(_)) => true,
        (Next::At(known), Next::At(new)) => new.time < known.time,
        (Next::Never | Next::At(_), Next::Never | Next::Unplanned) => false,
    };
    if counts {
        job.next = next;
        world.touched.insert(id);
    }
}

/// How much later than its time a run begins: the same for the same time of the same slot, and spread evenly.
fn jitter(seed: u64, name: &str, number: u32, time: WallTime, most: Millis) -> Millis {
    if most == Millis(0) {
        return most;
    }
    // FNV-1a, and the last step of splitmix64 for the bits that it leaves alike.
    let words = [seed, u64::from(number), time.0];
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).chain(name.bytes());
    let mut hash =
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Millis((hash ^ (hash >> 31)) % (most.0.saturating_add(1)))
}

/// The wall clock is to be looked at: a time has come, or the clock was set.
pub(super) fn clock(world: &mut World, now: Now, effects: &mut Effects) {
    if world.ending {
        return;
    }
    let is_due =
        |slot: &&Instance| matches!(slot.armed_job(), Some((_, Job { next: Next::At(due), .. })) if due.at <= now.wall);
    let due: Vec<InstanceId> = world.instances.values().filter(is_due).map(|slot| slot.id).collect();
    for id in due {
        strike(world, now, id, effects);
    }
}

/// What a job does when it is due.
enum Deed {
    Run(Cause),
    Queue,
    Skip(Cause),
}

fn strike(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let Some(slot) = touch(world, id) else { return };
    // It became a job while a reload of what it was is on its way.
    let is_changing = overlap::is_under_way(slot);
    let (Some(schedule), Some(job)) = (slot.spec.schedule.as_ref(), slot.job.as_deref_mut()) else { return };
    let Next::At(due) = job.next else { return };
    job.next = Next::Unplanned;
    job.last = Some(due.time);
    let late = now.wall.0.saturating_sub(due.at.0) > LATE.0;
    let deed = if is_changing { Deed::Skip(Cause::Overlapped) } else { deed(&slot.state, schedule, job, late) };
    match deed {
        Deed::Run(cause) => {
            job.queued = Some(due.time);
            end(world, now, id, Then::Restart(cause), effects);
        }
        Deed::Queue => job.queued = Some(due.time),
        Deed::Skip(cause) => {
            let run = Run { due: Some(due.time), began: None, ended: None, exit: None, cause: Some(cause.clone()) };
            job.remember(run);
            slot.note("skipped", cause, now.wall);
        }
    }
}

fn deed(state: &State, schedule: &Schedule, job: &Job, late: bool) -> Deed {
    if late && schedule.missed == Missed::Skip {
        return Deed::Skip(Cause::Missed);
    }
    let run = || Deed::Run(Cause::Time(schedule.pattern()));
    match (state, schedule.overlap) {
        (State::Idle { .. }, _) | (_, Overlap::Replace) => run(),
        (_, Overlap::Queue) if job.queued.is_none() => Deed::Queue,
        (_, Overlap::Queue | Overlap::Skip) => Deed::Skip(Cause::Overlapped),
    }
}

/// What comes next of a job of which `next` is wanted: it is run only at its times, or by hand. What else would have an
/// app start again ends a run.
pub(super) fn tamed(slot: &Instance, next: Then) -> Then {
    if slot.spec.schedule.is_none() {
        return next;
    }
    match next {
        Then::Restart(why) => match &why {
            Cause::Time(_) | Cause::Operator(Verb::Run) => Then::Restart(why),
            Cause::Operator(Verb::Restart | Verb::Reload) if is_under_way(slot) => Then::Restart(why),
            _ => Then::Rest(why),
        },
        Then::Respawn { why, .. } | Then::GiveUp(why) => Then::Rest(why),
        Then::Rest(_) | Then::Stop(_) | Then::Remove => next,
    }
}

/// Whether a run is under way. What an app still does that was none is no run.
pub(super) fn is_under_way(slot: &Instance) -> bool {
    let is_run = slot.job().is_some_and(|(_, job)| job.runs.back().is_some_and(|run| run.cause.is_none()));
    is_run
        && match &slot.state {
            State::Waiting { .. } | State::Starting { .. } | State::Unready { .. } | State::Online { .. } => true,
            State::Stopping { then, .. } => matches!(then, Then::Restart(_)),
            State::Stopped { .. } | State::Idle { .. } | State::Backoff { .. } | State::Errored { .. } => false,
        }
}

/// Closes the run that is over, when one is, and begins another where that is wanted. What the slot comes to is returned.
pub(super) fn settle(slot: &mut Instance, now: Now, then: Then) -> Then {
    let then = match then {
        Then::Respawn { why, .. } | Then::GiveUp(why) if slot.spec.schedule.is_some() => Then::Rest(why),
        then => then,
    };
    let death = slot.deaths.back().filter(|death| death.incarnation == slot.incarnation).map(|death| death.exit);
    let Some(job) = slot.job.as_deref_mut() else { return then };
    let had_run = job.current().is_some();
    if let Some(run) = job.current() {
        run.ended = Some(now.wall);
        run.exit = death.filter(|_| run.began.is_some());
        run.cause = Some(match &then {
            Then::Restart(Cause::Time(_)) => Cause::Replaced,
            then => then.cause(),
        });
    }
    let failed = job.runs.back().filter(|run| had_run && run.outcome() == Outcome::Failed);
    if let Some((cause, exit)) = failed.and_then(|run| Some((run.cause.clone()?, run.exit))) {
        slot.alert(&[EventKind::Failed], &cause, exit);
    }
    let Some(job) = slot.job.as_deref_mut() else { return then };
    let Some(schedule) = slot.spec.schedule.as_ref() else {
        // It is no job any more.
        slot.job = None;
        return then;
    };
    let begin = |job: &mut Job| {
        let due = job.queued.take();
        job.remember(Run { due, began: None, ended: None, exit: None, cause: None });
    };
    match then {
        Then::Rest(_) if job.once => {
            job.once = false;
            Then::Stop(Cause::Operator(Verb::Stop))
        }
        Then::Rest(_) if job.queued.is_some() => {
            begin(job);
            Then::Restart(Cause::Time(schedule.pattern()))
        }
        Then::Restart(why) => {
            begin(job);
            Then::Restart(why)
        }
        Then::Stop(why) => {
            job.queued = None;
            job.once = false;
            // What it misses while the machine is off is told when it is armed again; what it misses while it is
            // stopped is meant to be.
            if why != Cause::Reboot {
                job.next = Next::Unplanned;
            }
            Then::Stop(why)
        }
        then => then,
    }
}

/// A process of its run is being made.
pub(super) fn begun(slot: &mut Instance, now: Now) {
    if let Some(run) = slot.job.as_deref_mut().and_then(Job::current) {
        run.began.get_or_insert(now.wall);
    }
}

/// Ends a run that has taken too long.
pub(super) fn timers(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) {
    let Some(slot) = world.instances.get(&id).filter(|slot| !overlap::is_under_way(slot)) else { return };
    let timeout = slot.spec.schedule.as_ref().and_then(|schedule| schedule.timeout);
    if let Some(timeout) = timeout.filter(|_| slot.run_deadline().is_some_and(|at| at <= now.instant)) {
        end(world, now, id, Then::Rest(Cause::Overran(timeout)), effects);
    }
}

/// Runs a job by hand; one that is stopped is run this once. False when a run is under way already.
pub(super) fn run(world: &mut World, now: Now, id: InstanceId, effects: &mut Effects) -> bool {
    let Some(slot) = touch(world, id) else { return false };
    if slot.state.has_process() || is_under_way(slot) || overlap::is_under_way(slot) {
        return false;
    }
    let is_armed = matches!(slot.state, State::Idle { .. });
    if let Some(job) = slot.job.as_deref_mut() {
        job.once = !is_armed;
    }
    end(world, now, id, Then::Restart(Cause::Operator(Verb::Run)), effects);
    true
}

/// A slot is made, perhaps again: what was known of it as a job when a signal ended the daemon before goes on, when it is
/// the same job and comes soon after the start, as from `resurrect` or the file of a service.
pub(super) fn restored(slot: &mut Instance, kept: &mut KeptJobs, now: Now) {
    let Some(schedule) = &slot.spec.schedule else { return };
    let at = kept.jobs.iter().position(|kept| kept.name == slot.spec.name && kept.number == slot.number);
    let Some(kept) = at.map(|at| kept.jobs.swap_remove(at)).filter(|_| now.instant <= kept.until) else { return };
    if kept.pattern == schedule.pattern() {
        let mut job = kept.job;
        if let Some(run) = job.current() {
            run.cause = Some(Cause::Reboot);
        }
        (job.once, job.queued) = (false, None);
        slot.job = Some(Box::new(job));
    }
}

/// A definition is new: times that are other times are looked for again.
pub(super) fn redefined(slot: &mut Instance, before: Option<&Schedule>) {
    match &slot.spec.schedule {
        // A run that is under way is still closed.
        None if slot.state.has_process() => {}
        None => slot.job = None,
        Some(schedule) => {
            let times = |schedule: &Schedule| (schedule.pattern(), schedule.jitter);
            let job = slot.job.get_or_insert_default();
            if before.map(times) != Some(times(schedule)) {
                job.next = Next::Unplanned;
            }
        }
    }
}
