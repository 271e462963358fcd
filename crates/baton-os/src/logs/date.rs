//! `log_date_format`: the date tokens PM2's users write, rendered for one point in time.

use baton_core::units::WallTime;
use jiff::{Timestamp, Zoned, tz::TimeZone};
use std::io::Write;

/// A parsed `log_date_format`.
///
/// Tokens: `YYYY YY MMMM MMM MM M DD D dddd ddd dd d HH H hh h mm m ss s SSS SS S A a ZZ Z X x`; text in square brackets and
/// anything else is copied as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateFormat {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Token(Token),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Year,
    YearShort,
    MonthName,
    MonthNameShort,
    MonthPadded,
    Month,
    DayPadded,
    Day,
    WeekdayName,
    WeekdayNameShort,
    WeekdayNameTwo,
    Weekday,
    HourPadded,
    Hour,
    Hour12Padded,
    Hour12,
    MinutePadded,
    Minute,
    SecondPadded,
    Second,
    Millisecond,
    Centisecond,
    Decisecond,
    HalfUpper,
    HalfLower,
    Offset,
    OffsetColon,
    UnixSeconds,
    UnixMilliseconds,
}

/// Longest first within one letter: the first that matches is taken.
const TOKENS: &[(&str, Token)] = &[
    ("YYYY", Token::Year),
    ("YY", Token::YearShort),
    ("MMMM", Token::MonthName),
    ("MMM", Token::MonthNameShort),
    ("MM", Token::MonthPadded),
    ("M", Token::Month),
    ("DD", Token::DayPadded),
    ("D", Token::Day),
    ("dddd", Token::WeekdayName),
    ("ddd", Token::WeekdayNameShort),
    ("dd", Token::WeekdayNameTwo),
    ("d", Token::Weekday),
    ("HH", Token::HourPadded),
    ("H", Token::Hour),
    ("hh", Token::Hour12Padded),
    ("h", Token::Hour12),
    ("mm", Token::MinutePadded),
    ("m", Token::Minute),
    ("ss", Token::SecondPadded),
    ("s", Token::Second),
    ("SSS", Token::Millisecond),
    ("SS", Token::Centisecond),
    ("S", Token::Decisecond),
    ("A", Token::HalfUpper),
    ("a", Token::HalfLower),
    ("ZZ", Token::Offset),
    ("Z", Token::OffsetColon),
    ("X", Token::UnixSeconds),
    ("x", Token::UnixMilliseconds),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl DateFormat {
    /// Parses a format. Every text is one: what is no token stands for itself.
    pub fn parse(text: &str) -> DateFormat {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '['
                && let Some(end) = rest.find(']')
            {
                literal.push_str(&rest[1..end]);
                rest = &rest[end + 1..];
            } else if let Some((name, token)) = TOKENS.iter().find(|(name, _)| rest.starts_with(name)) {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Token(*token));
                rest = &rest[name.len()..];
            } else {
                literal.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        DateFormat { pieces }
    }

    /// Appends the text for `wall` as seen in `zone`.
    pub fn render(&self, wall: WallTime, zone: &TimeZone, out: &mut Vec<u8>) {
        let time = zoned(wall, zone);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Token(token) => token.render(&time, out),
            }
        }
    }

    /// A regular expression for what [`render`](Self::render) makes of any time, without anchors.
    pub fn pattern(&self) -> String {
        let mut pattern = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => {
                    for letter in text.chars() {
                        if letter.is_ascii_punctuation() {
                            pattern.push('\\');
                        }
                        pattern.push(letter);
                    }
                }
                Piece::Token(token) => pattern.push_str(token.pattern()),
            }
        }
        pattern
    }
}

/// Appends `wall` as UTC with milliseconds, the form of JavaScript's `toISOString`: `2026-11-21T01:52:34.173Z`.
pub fn iso(wall: WallTime, out: &mut Vec<u8>) {
    let t = zoned(wall, &TimeZone::UTC);
    put(
        out,
        format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        ),
    );
}

fn zoned(wall: WallTime, zone: &TimeZone) -> Zoned {
    // A clock beyond the calendar's end shows the calendar's end.
    let ms = i64::try_from(wall.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX).to_zoned(zone.clone())
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec can't fail.
    let _ = out.write_fmt(text);
}

impl Token {
    fn pattern(self) -> &'static str {
        match self {
            Token::Year => "[0-9]{4}",
            Token::YearShort
            | Token::MonthPadded
            | Token::DayPadded
            | Token::HourPadded
            | Token::Hour12Padded
            | Token::MinutePadded
            | Token::SecondPadded
            | Token::Centisecond => "[0-9]{2}",
            Token::Month | Token::Day | Token::Hour | Token::Hour12 | Token::Minute | Token::Second => "[0-9]{1,2}",
            Token::MonthName | Token::WeekdayName => "[A-Z][a-z]+",
            Token::MonthNameShort | Token::WeekdayNameShort => "[A-Z][a-z]{2}",
            Token::WeekdayNameTwo => "[A-Z][a-z]",
            Token::Weekday | Token::Decisecond => "[0-9]",
            Token::Millisecond => "[0-9]{3}",
            Token::HalfUpper => "[AP]M",
            Token::HalfLower => "[ap]m",
            Token::Offset => "[+-][0-9]{4}",
            Token::OffsetColon => "[+-][0-9]{2}:[0-9]{2}",
            Token::UnixSeconds | Token::UnixMilliseconds => "[0-9]+",
        }
    }

    fn render(self, t: &Zoned, out: &mut Vec<u8>) {
        let twelve = match t.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let month = MONTHS[(t.month() - 1) as usize];
        let weekday = t.weekday().to_sunday_zero_offset();
        let weekday_name = WEEKDAYS[weekday as usize];
        match self {
            Token::Year => put(out, format_args!("{:04}", t.year())),
            Token::YearShort => put(out, format_args!("{:02}", t.year().rem_euclid(100))),
            Token::MonthName => put(out, format_args!("{month}")),
            Token::MonthNameShort => put(out, format_args!("{}", &month[..3])),
            Token::MonthPadded => put(out, format_args!("{:02}", t.month())),
            Token::Month => put(out, format_args!("{}", t.month())),
            Token::DayPadded => put(out, format_args!("{:02}", t.day())),
            Token::Day => put(out, format_args!("{}", t.day())),
            Token::WeekdayName => put(out, format_args!("{weekday_name}")),
            Token::WeekdayNameShort => put(out, format_args!("{}", &weekday_name[..3])),
            Token::WeekdayNameTwo => put(out, format_args!("{}", &weekday_name[..2])),
            Token::Weekday => put(out, format_args!("{weekday}")),
            Token::HourPadded => put(out, format_args!("{:02}", t.hour())),
            Token::Hour => put(out, format_args!("{}", t.hour())),
            Token::Hour12Padded => put(out, format_args!("{twelve:02}")),
            Token::Hour12 => put(out, format_args!("{twelve}")),
            Token::MinutePadded => put(out, format_args!("{:02}", t.minute())),
            Token::Minute => put(out, format_args!("{}", t.minute())),
            Token::SecondPadded => put(out, format_args!("{:02}", t.second())),
            Token::Second => put(out, format_args!("{}", t.second())),
            Token::Millisecond => put(out, format_args!("{:03}", t.millisecond())),
            Token::Centisecond => put(out, format_args!("{:02}", t.millisecond() / 10)),
            Token::Decisecond => put(out, format_args!("{}", t.millisecond() / 100)),
            Token::HalfUpper => put(out, format_args!("{}", if t.hour() < 12 { "AM" } else { "PM" })),
            Token::HalfLower => put(out, format_args!("{}", if t.hour() < 12 { "am" } else { "pm" })),
            Token::Offset | Token::OffsetColon => {
                let seconds = t.offset().seconds();
                let minutes = seconds.abs() / 60;
                let sign = if seconds < 0 { '-' } else { '+' };
                let colon = if self == Token::OffsetColon { ":" } else { "" };
                put(out, format_args!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60));
            }
            Token::UnixSeconds => put(out, format_args!("{}", t.timestamp().as_second())),
            Token::UnixMilliseconds => put(out, format_args!("{}", t.timestamp().as_millisecond())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::offset;

    const WALL: WallTime = WallTime(1_795_225_954_073);

    fn show(format: &str, hours: i8) -> String {
        let mut out = Vec::new();
        DateFormat::parse(format).render(WALL, &TimeZone::fixed(offset(hours)), &mut out);
        String::from_utf8(out).expect("dates are text")
    }

    #[test]
    fn tokens_are_rendered_as_in_pm2() {
        assert_eq!(show("YYYY-MM-DDTHH:mm:ss", 0), "2026-11-21T01:52:34");
        assert_eq!(show("YYYY-MM-DD HH:mm:ss.SSS Z", 2), "2026-11-21 03:52:34.073 +02:00");
        assert_eq!(show("YY M D H m s ZZ", -5), "26 11 20 20 52 34 -0500");
        assert_eq!(show("dddd ddd dd d, MMMM MMM", 0), "Saturday Sat Sa 6, November Nov");
        assert_eq!(show("hh:mm A h a", 12), "01:52 PM 1 pm");
        assert_eq!(show("hh A", 11), "12 PM");
        assert_eq!(show("X x", 3), "1795225954 1795225954073");
    }

    #[test]
    fn brackets_and_other_text_are_literal() {
        assert_eq!(show("[at] HH[h] ü", 0), "at 01h ü");
        assert_eq!(show("[unclosed", 0).chars().next(), Some('['));
        assert_eq!(show("", 0), "");
    }

    #[test]
    fn iso_is_the_form_of_javascript() {
        let mut out = Vec::new();
        iso(WALL, &mut out);
        assert_eq!(out, b"2026-11-21T01:52:34.073Z");
    }
}
