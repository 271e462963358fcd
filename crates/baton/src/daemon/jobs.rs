//! When jobs (`schedule`) are due: which time of a pattern is the next is found out here, what that means in the core. The
//! kernel's timer rings at the first of them, also when the clock was set, and nothing wakes up in between.

use super::driver::Driver;
use super::inbox::{Inbox, Message};
use super::journal;
use super::watch::whenever_readable;
use crate::home::Home;
use baton_core::step::Event;
use baton_core::units::{InstanceId, Millis, WallTime};
use baton_core::world::{Instance, KeptJob, KeptJobs, Next};
use baton_os::alarm::{Alarm, Rang};
use baton_os::clock;
use baton_os::files;
use baton_os::moments;
use jiff::tz::TimeZone;
use std::io;

/// How long after its start the daemon takes slots that are made for those that were there before (ms).
const SOON: Millis = Millis(600_000);

/// What [`Driver::keep_jobs`] has kept. It counts once.
pub(super) fn kept(home: &Home) -> KeptJobs {
    let path = home.jobs();
    let Ok(bytes) = std::fs::read(&path) else { return KeptJobs::default() };
    let _ = std::fs::remove_file(&path);
    let jobs = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        journal::warn(format_args!("{} is left out: {error}", path.display()));
        Vec::new()
    });
    KeptJobs { jobs, until: clock::now().instant + SOON }
}

impl Driver {
    /// Finds out when those of these slots are due next of which that is not known, and waits for the first time of all.
    pub(super) fn follow_jobs<'a>(&mut self, touched: impl IntoIterator<Item = &'a InstanceId>) {
        let slots = touched.into_iter().map(|id| self.world.instances.get(id));
        // One that was one, or is gone, may have been waited for.
        let (mut concerned, mut unplanned) = (false, Vec::new());
        for slot in slots {
            concerned |= slot.is_none_or(|slot| slot.job.is_some());
            unplanned.extend(slot.and_then(|slot| plan(slot, |next| *next == Next::Unplanned)));
        }
        self.queue.extend(unplanned);
        if concerned {
            self.set_alarm();
        }
    }

    /// A job is due, or the clock was set.
    pub(super) fn rang(&mut self) {
        let Some(alarm) = &self.alarm else { return };
        let set = alarm.heard() == Rang::ClockSet;
        self.queue.push_back(Event::Clock);
        if set {
            // There may be earlier times now.
            let earlier = self.world.instances.values().filter_map(|slot| plan(slot, |_| true));
            self.queue.extend(earlier);
        }
        // What is due has another time once the event was handled, and then the alarm is set.
        if self.first_due().is_some_and(|at| at > clock::now().wall) {
            self.set_alarm();
        }
    }

    /// Keeps what is known of jobs: a signal ends the daemon and forgets the list, as with the machine, and what is due
    /// meanwhile is missed, not meant to be.
    pub(super) fn keep_jobs(&self) {
        let armed = self.world.instances.values().filter(|slot| slot.armed_job().is_some());
        let kept = armed.filter_map(|slot| {
            let (schedule, job) = slot.job()?;
            let (name, pattern, job) = (slot.spec.name.clone(), schedule.pattern(), job.clone());
            Some(KeptJob { name, number: slot.number, pattern, job })
        });
        let kept: Vec<KeptJob> = kept.collect();
        if kept.is_empty() {
            return;
        }
        let path = self.home.jobs();
        let written = serde_json::to_vec(&kept).map_err(io::Error::from);
        if let Err(error) = written.and_then(|bytes| files::write_atomic(&path, &bytes, 0o600)) {
            journal::warn(format_args!("could not write {}: {error}", path.display()));
        }
    }

    fn first_due(&self) -> Option<WallTime> {
        let due = |slot: &Instance| match slot.armed_job()?.1.next {
            Next::At(due) => Some(due.at),
            Next::Unplanned | Next::Never => None,
        };
        self.world.instances.values().filter_map(due).min()
    }

    fn set_alarm(&mut self) {
        let at = self.first_due();
        if self.alarm.is_none() && at.is_some() {
            match begin(&self.inbox) {
                Ok(alarm) => self.alarm = Some(alarm),
                Err(error) => self.notice(format!("there is no timer for schedules: {error}")),
            }
        }
        if let Some(alarm) = &self.alarm {
            alarm.set(at);
        }
    }
}

/// The next time of a slot's job, where its times count and what is known of that is to be found out.
fn plan(slot: &Instance, is_wanted: impl Fn(&Next) -> bool) -> Option<Event> {
    let (schedule, job) = slot.armed_job().filter(|(_, job)| is_wanted(&job.next))?;
    let pattern = schedule.pattern();
    let time = moments::next(&pattern, TimeZone::system(), job.plan_after(clock::now().wall));
    Some(Event::Planned { id: slot.id, pattern, time })
}

/// A timer that tells the loop.
fn begin(inbox: &Inbox) -> io::Result<Alarm> {
    let alarm = Alarm::new()?;
    whenever_readable(&alarm, inbox.clone(), || Message::Rang)?;
    Ok(alarm)
}
