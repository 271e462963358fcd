//! Times by cron patterns. One timer of the wall clock, armed only while there is a time to wait for; it follows the clock
//! when that is set, and a sleep of the machine.
//!
//! A pattern has five fields, six with seconds first, or is a nickname such as `@daily`; `CRON_TZ=Europe/Berlin` in front of
//! it gives it a time zone of its own. An hour that a zone leaves out or has twice strikes once.

use crate::alarm::{Alarm, Rang};
use baton_core::units::WallTime;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Reads a pattern.
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    parse(pattern).map(drop)
}

fn parse(pattern: &str) -> Result<(Cron, Option<TimeZone>), String> {
    let (zone, pattern) = match pattern.trim().strip_prefix("CRON_TZ=").and_then(|rest| rest.split_once(' ')) {
        Some((zone, rest)) => (Some(TimeZone::get(zone).map_err(|error| error.to_string())?), rest.trim()),
        None => (None, pattern),
    };
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    Ok((parser.parse(pattern).map_err(|error| error.to_string())?, zone))
}

/// One pattern.
#[derive(Debug)]
struct Moment {
    cron: Cron,
    /// Its own zone, or that of all.
    zone: TimeZone,
    /// When it is due next.
    next: Option<WallTime>,
}

/// Patterns and when each is due next. Its descriptor is readable when one is, or when the clock was set.
#[derive(Debug)]
pub struct Moments {
    alarm: Alarm,
    zone: TimeZone,
    moments: BTreeMap<String, Moment>,
}

impl AsFd for Moments {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.alarm.as_fd()
    }
}

impl Moments {
    /// None yet.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Moments> {
        Ok(Moments { alarm: Alarm::new()?, zone: TimeZone::system(), moments: BTreeMap::new() })
    }

    /// Waits for these patterns from now on; those without a zone of their own are in this one.
    pub fn set<'a>(&mut self, patterns: impl Iterator<Item = &'a str>, zone: TimeZone, now: WallTime) {
        let patterns: BTreeSet<&str> = patterns.collect();
        let same = self.zone == zone;
        self.zone = zone;
        self.moments.retain(|pattern, _| same && patterns.contains(pattern.as_str()));
        for pattern in patterns {
            // A pattern that can't be read was refused where it was written.
            if let (false, Ok((cron, zone))) = (self.moments.contains_key(pattern), parse(pattern)) {
                let zone = zone.unwrap_or_else(|| self.zone.clone());
                let next = after(&cron, &zone, now);
                self.moments.insert(pattern.to_owned(), Moment { cron, zone, next });
            }
        }
        self.arm();
    }

    /// The patterns whose time has come; the timer waits for the next ones.
    pub fn due(&mut self, now: WallTime) -> Vec<String> {
        let set = self.alarm.heard() == Rang::ClockSet;
        let mut due = Vec::new();
        for (pattern, moment) in &mut self.moments {
            let is_due = moment.next.is_some_and(|next| next <= now);
            if is_due {
                due.push(pattern.clone());
            }
            if is_due || set {
                moment.next = after(&moment.cron, &moment.zone, now);
            }
        }
        self.arm();
        due
    }

    fn arm(&self) {
        self.alarm.set(self.moments.values().filter_map(|moment| moment.next).min());
    }
}

/// The first time of a pattern after a moment; one without a zone of its own is in `zone`. None when there is no such
/// time, or the pattern can't be read.
pub fn next(pattern: &str, zone: TimeZone, after_moment: WallTime) -> Option<WallTime> {
    let (cron, own) = parse(pattern).ok()?;
    after(&cron, &own.unwrap_or(zone), after_moment)
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
        let armed = |moments: &Moments| moments.alarm.is_set();
        let mut moments = Moments::new().expect("a timer");
        assert!(!armed(&moments));
        moments.set(["0 0 * * *"].into_iter(), TimeZone::UTC, crate::clock::now().wall);
        assert!(armed(&moments));
        moments.set(["never", "0 0 30 2 *"].into_iter(), TimeZone::UTC, crate::clock::now().wall);
        assert!(!armed(&moments));
    }

    #[test]
    fn a_pattern_may_bring_its_zone_and_an_hour_that_is_missing_or_twice_strikes_once() {
        let strikes = |pattern: &str, from: &str, to: &str| {
            let mut moments = Moments::new().expect("a timer");
            let (mut at, end) = (wall(from), wall(to));
            moments.set([pattern].into_iter(), TimeZone::UTC, at);
            let mut count = 0;
            while at < end {
                at = WallTime(at.0 + 60_000);
                count += moments.due(at).len();
            }
            count
        };
        let (night, pattern) = ("2026-11-21T00:00:00Z", "CRON_TZ=America/New_York 30 2 * * *");
        assert_eq!(strikes(pattern, night, "2026-11-21T07:29:00Z"), 0);
        assert_eq!(strikes(pattern, night, "2026-11-21T07:31:00Z"), 1, "half past two in New York");
        // Berlin has no half past two on the 29th of March, and two of them on the 25th of October.
        let pattern = "CRON_TZ=Europe/Berlin 30 2 * * *";
        assert_eq!(strikes(pattern, "2026-03-28T22:00:00Z", "2026-03-29T22:00:00Z"), 1);
        assert_eq!(strikes(pattern, "2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z"), 1);
    }

    #[test]
    fn a_bad_pattern_is_told() {
        assert!(check_pattern("0 0 * * *").is_ok() && check_pattern("0 */5 * * * *").is_ok());
        assert!(check_pattern("CRON_TZ=Europe/Berlin @daily").is_ok());
        for bad in ["", "daily", "0 0 * *", "61 * * * *", "CRON_TZ=Nowhere/At_All 0 0 * * *", "CRON_TZ=UTC"] {
            assert!(check_pattern(bad).is_err(), "{bad}");
        }
    }
}
