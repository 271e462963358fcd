//! Points in time that people write (`--since 10m`), and those that lines carry.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// What a time may look like, for a message.
pub(crate) const FORMS: &str = "a duration (10m, 2h30m, 1d), a clock time (03:12), a date (2026-11-21, yesterday), both (2026-11-21 03:12), or RFC 3339";

/// The time that `text` means, in ms since the Unix epoch: so long before `now`, the last time the clock showed it, the
/// beginning of a day, or a point in time. `None` when it is none of these.
pub(crate) fn parse(text: &str, now: u64, zone: &TimeZone) -> Option<u64> {
    let text = text.trim();
    if let Some(span) = duration(text) {
        return Some(now.saturating_sub(span));
    }
    let local = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?.to_zoned(zone.clone());
    let at = |moment: DateTime| millis(zone.to_ambiguous_timestamp(moment).compatible().ok()?);
    let midnight = Time::midnight();
    match text {
        "now" => return Some(now),
        "today" => return at(local.date().to_datetime(midnight)),
        "yesterday" => return at(local.date().yesterday().ok()?.to_datetime(midnight)),
        _ => {}
    }
    if let Ok(date) = text.parse::<Date>()
        && text.len() <= "2026-11-21".len()
    {
        return at(date.to_datetime(midnight));
    }
    if text.contains(':') && !text.contains('-') && !text.contains(['T', 't', ' ', '/']) {
        let clock = clock(text)?;
        let today = at(local.date().to_datetime(clock))?;
        return if today <= now { Some(today) } else { at(local.date().checked_sub(1.day()).ok()?.to_datetime(clock)) };
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return millis(moment);
    }
    at(text.parse::<DateTime>().ok()?)
}

fn millis(moment: Timestamp) -> Option<u64> {
    u64::try_from(moment.as_millisecond()).ok()
}

/// `03:12`, `3:12`, `03:12:30`, `03:12:30.5`.
fn clock(text: &str) -> Option<Time> {
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    padded.parse().ok()
}

/// `2h30m` in milliseconds. A number without a unit is none.
fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest[letters..].trim_start();
    }
    (!text.is_empty()).then_some(total)
}

/// The stamp that a line of text begins with, in ms since the Unix epoch: a date and a time as ISO 8601 has them, also
/// with slashes, a space or a hyphen between, behind a bracket, and without a zone, which is then the local one.
pub(crate) fn stamp(line: &[u8], zone: &TimeZone) -> Option<u64> {
    let line = line.strip_prefix(b"[").unwrap_or(line);
    let mut scan = Scan(line);
    let year = scan.number(4)?;
    let slash = scan.one_of(b"-/")?;
    let month = scan.number(2)?;
    scan.one_of(&[slash])?;
    let day = scan.number(2)?;
    scan.one_of(b"T -")?;
    let hour = scan.number(2)?;
    scan.one_of(b":")?;
    let minute = scan.number(2)?;
    scan.one_of(b":")?;
    let second = scan.number(2)?;
    let fraction = if scan.one_of(b".,").is_some() { scan.fraction()? } else { 0 };
    let small = |number: u32| i8::try_from(number).ok();
    let date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?.min(59), 0).ok()?;
    let moment = date.to_datetime(time);
    let seconds = match scan.zone() {
        Some(east) => TimeZone::UTC.to_timestamp(moment).ok()?.as_second() - i64::from(east) * 60,
        None => zone.to_ambiguous_timestamp(moment).compatible().ok()?.as_second(),
    };
    Some(u64::try_from(seconds).ok()? * 1000 + u64::from(fraction))
}

struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        let number = head
            .iter()
            .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))?;
        self.0 = rest;
        Some(number)
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// Digits behind a point, in milliseconds.
    fn fraction(&mut self) -> Option<u32> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (head, rest) = self.0.split_at(digits);
        self.0 = rest;
        let thousandth = |at: usize| head.get(at).map_or(0, |byte| u32::from(byte - b'0'));
        (digits > 0).then(|| thousandth(0) * 100 + thousandth(1) * 10 + thousandth(2))
    }

    /// Minutes east of Greenwich.
    fn zone(&mut self) -> Option<i32> {
        if self.0.starts_with(b"Z") {
            return Some(0);
        }
        if self.0.first() == Some(&b' ') && matches!(self.0.get(1), Some(b'+' | b'-')) {
            self.0 = &self.0[1..];
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = i32::try_from(self.number(2)?).ok()?;
        let _ = self.one_of(b":");
        let minutes = self.number(2).and_then(|minutes| i32::try_from(minutes).ok()).unwrap_or(0);
        Some(sign * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T12:00:00Z.
    const NOON: u64 = 1_795_262_400_000;
    const HOUR: u64 = 3_600_000;

    fn berlin(text: &str) -> Option<u64> {
        parse(text, NOON, &TimeZone::fixed(jiff::tz::offset(1)))
    }

    #[test]
    fn durations_clock_times_dates_and_points_in_time_are_read() {
        let cases = [
            ("10m", NOON - 600_000),
            ("2h30m", NOON - 9_000_000),
            ("1d 2h", NOON - 26 * HOUR),
            ("90s", NOON - 90_000),
            ("now", NOON),
            ("12:59", NOON - 60_000),
            ("3:12", NOON - 13 * HOUR + 3 * HOUR + 720_000),
            ("23:30", NOON - 13 * HOUR - 1_800_000),
            ("03:12:30.5", NOON - 10 * HOUR + 750_500),
            ("2026-11-21", NOON - 13 * HOUR),
            ("today", NOON - 13 * HOUR),
            ("yesterday", NOON - 37 * HOUR),
            ("2026-11-21 12:00", NOON - HOUR),
            ("2026-11-21T12:00:01", NOON - HOUR + 1000),
            ("2026-11-21T12:00:00Z", NOON),
            ("2026-11-21T12:00:00.250+02:00", NOON - 2 * HOUR + 250),
        ];
        for (text, expected) in cases {
            assert_eq!(berlin(text), Some(expected), "{text}");
        }
        for text in ["", "10", "m", "10x", "-5m", "25:00", "2026-13-01", "soon", "12:00 tomorrow"] {
            assert_eq!(berlin(text), None, "{text}");
        }
    }

    #[test]
    fn stamps_at_the_beginning_of_a_line_are_read() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for line in [
            "2026-11-21T12:00:00Z rest",
            "2026-11-21T12:00:00.000Z: rest",
            "[2026-11-21T13:00:00+01:00] rest",
            "2026-11-21 14:00:00 +0200: rest",
            "2026-11-21T13:00:00: rest",
            "2026-11-21-13:00:00: rest",
            "2026/11/21 13:00:00 rest",
            "2026-11-21 13:00:00,000 INFO rest",
        ] {
            assert_eq!(stamp(line.as_bytes(), &zone), Some(NOON), "{line}");
        }
        assert_eq!(stamp(b"2026-11-21T12:00:00.1234Z", &zone), Some(NOON + 123));
        for line in ["", "2026-11-21", "2026-11-21T12:00", "12026-11-21T12:00:00Z", "2026-99-21T12:00:00Z", "text"] {
            assert_eq!(stamp(line.as_bytes(), &zone), None, "{line}");
        }
    }
}
