//! The times at which logs are rotated, by cron patterns. One timer of the wall clock, armed only while there is a
//! time to wait for; it follows the clock when that is set, and a sleep of the machine.

use baton_core::units::WallTime;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

/// Reads a pattern: five fields, or six with seconds first, or a nickname such as `@daily`.
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    parse(pattern).map(drop)
}

fn parse(pattern: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(pattern).map_err(|error| error.to_string())
}

/// Patterns and when each is due next.
#[derive(Debug)]
pub(super) struct Moments {
    pub(super) timer: OwnedFd,
    zone: TimeZone,
    next: BTreeMap<String, (Cron, Option<WallTime>)>,
}

impl Moments {
    /// None yet.
    ///
    /// # Errors
    /// No descriptors are left.
    pub(super) fn new() -> io::Result<Moments> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Moments { timer, zone: TimeZone::system(), next: BTreeMap::new() })
    }

    /// Waits for these patterns from now on.
    pub(super) fn set<'a>(&mut self, patterns: impl Iterator<Item = &'a str>, zone: TimeZone, now: WallTime) {
        let patterns: BTreeSet<&str> = patterns.collect();
        let same = self.zone == zone;
        self.zone = zone;
        self.next.retain(|pattern, _| same && patterns.contains(pattern.as_str()));
        for pattern in patterns {
            // A pattern that can't be read was refused where it was written.
            if let (false, Ok(cron)) = (self.next.contains_key(pattern), parse(pattern)) {
                let next = after(&cron, &self.zone, now);
                self.next.insert(pattern.to_owned(), (cron, next));
            }
        }
        self.arm();
    }

    /// The patterns whose time has come; the timer waits for the next ones.
    pub(super) fn due(&mut self, now: WallTime) -> Vec<String> {
        let mut count = [0u8; 8];
        // Nothing to read, and a clock that was set: either way all times are looked at.
        let set = matches!(rustix::io::read(&self.timer, &mut count), Err(Errno::CANCELED));
        let mut due = Vec::new();
        for (pattern, (cron, next)) in &mut self.next {
            let is_due = next.is_some_and(|next| next <= now);
            if is_due {
                due.push(pattern.clone());
            }
            if is_due || set {
                *next = after(cron, &self.zone, now);
            }
        }
        self.arm();
        due
    }

    fn arm(&self) {
        let at = self.next.values().filter_map(|(_, next)| *next).min();
        // Zero disarms.
        let value = at.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, |at| Timespec {
            tv_sec: i64::try_from(at.0 / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at.0 % 1000 * 1_000_000).unwrap_or(0),
        });
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // A descriptor and a time that are both valid: there is nothing to fail.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once);
    }
}

/// The first time after `now`, which no pattern needs to have: the thirtieth of February.
fn after(cron: &Cron, zone: &TimeZone, now: WallTime) -> Option<WallTime> {
    let now = Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?.to_zoned(zone.clone());
    let next = cron.find_next_occurrence(&now, false).ok()?;
    u64::try_from(next.timestamp().as_millisecond()).ok().map(WallTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> WallTime {
        let time: Timestamp = text.parse().expect("a time");
        WallTime(u64::try_from(time.as_millisecond()).expect("after 1970"))
    }

    #[test]
    fn each_pattern_is_due_at_its_times_in_its_zone() {
        let mut moments = Moments::new().expect("a timer");
        let berlin = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::fixed(jiff::tz::offset(1)));
        let start = wall("2026-11-21T10:00:30Z");
        moments.set(["0 0 * * *", "*/10 * * * * *"].into_iter(), berlin, start);
        assert!(moments.due(start).is_empty());
        assert_eq!(moments.due(wall("2026-11-21T10:00:40Z")), ["*/10 * * * * *"]);
        assert_eq!(moments.due(wall("2026-11-21T22:59:55Z")), ["*/10 * * * * *"], "once, however late");
        assert_eq!(moments.due(wall("2026-11-21T23:00:00Z")), ["*/10 * * * * *", "0 0 * * *"], "midnight in Berlin");
        assert!(moments.due(wall("2026-11-21T23:00:01Z")).is_empty());
    }

    #[test]
    fn a_timer_is_armed_only_while_there_is_a_time_to_wait_for() {
        let armed = |moments: &Moments| {
            let left = rustix::time::timerfd_gettime(&moments.timer).expect("a timer").it_value;
            left.tv_sec != 0 || left.tv_nsec != 0
        };
        let mut moments = Moments::new().expect("a timer");
        assert!(!armed(&moments));
        moments.set(["0 0 * * *"].into_iter(), TimeZone::UTC, crate::clock::now().wall);
        assert!(armed(&moments));
        moments.set(["never", "0 0 30 2 *"].into_iter(), TimeZone::UTC, crate::clock::now().wall);
        assert!(!armed(&moments));
    }

    #[test]
    fn a_bad_pattern_is_told() {
        assert!(check_pattern("0 0 * * *").is_ok() && check_pattern("0 */5 * * * *").is_ok());
        for bad in ["", "daily", "0 0 * *", "61 * * * *"] {
            assert!(check_pattern(bad).is_err(), "{bad}");
        }
    }
}
