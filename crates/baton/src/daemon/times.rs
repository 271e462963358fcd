//! The times at which apps are started again (`cron_restart`): the kernel's timer strikes, also when the clock was set,
//! and nothing wakes up in between.

use super::driver::Driver;
use super::inbox::{Inbox, Message};
use super::journal;
use super::watch::whenever_readable;
use baton_core::spec::AppSpec;
use baton_core::step::Event;
use baton_core::units::InstanceId;
use baton_os::clock;
use baton_os::moments::Moments;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::io;

impl Driver {
    /// Waits for the times of what is in the list now.
    pub(super) fn follow_times(&mut self) {
        let patterns: BTreeSet<&str> =
            self.world.instances.values().filter_map(|instance| AppSpec::times(&instance.spec)).collect();
        if patterns.is_empty() && self.times.is_none() {
            return;
        }
        let times = match &mut self.times {
            Some(times) => times,
            none => match begin(&self.inbox) {
                Ok(times) => none.insert(times),
                Err(error) => {
                    let text = format!("there is no timer for cron_restart: {error}");
                    return self.notice(text);
                }
            },
        };
        times.set(patterns.into_iter(), TimeZone::system(), clock::now().wall);
    }

    /// A time has come, or the clock was set.
    pub(super) fn strike(&mut self) {
        let Some(times) = &mut self.times else { return };
        let due = times.due(clock::now().wall);
        let is_due = |spec: &AppSpec| spec.times().is_some_and(|pattern| due.iter().any(|due| due == pattern));
        let ids: Vec<InstanceId> =
            self.world.instances.values().filter(|slot| is_due(&slot.spec)).map(|slot| slot.id).collect();
        for id in ids {
            journal::log(format_args!("It is time for slot {id} (cron_restart)"));
            self.queue.push_back(Event::Struck { id });
        }
    }
}

/// A timer that tells the loop.
fn begin(inbox: &Inbox) -> io::Result<Moments> {
    let times = Moments::new()?;
    whenever_readable(&times, inbox.clone(), || Message::Struck)?;
    Ok(times)
}
