//! What a line says of itself when it is a JSON object: its level and its time, in the shapes that loggers give them.
//!
//! Known are pino and bunyan (numbers 10 to 60, `msg`, `time` in ms or ISO), winston (names, `message`, `timestamp`),
//! structlog (names, `event`, `timestamp`), and what others have in common with them: `severity`, `levelname`, `ts`,
//! `@timestamp`, syslog's numbers 0 to 7. A record of `log_type: json` may hold such a line as its message.

use super::time;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// How grave a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Everything.
    Trace,
    /// For who looks for an error.
    Debug,
    /// As it should be.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
    /// The program can't go on.
    Fatal,
}

impl Level {
    /// Its name in small letters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// By any of the names that loggers have for it, whatever the case, or its number as text.
    pub(crate) fn named(name: &str) -> Option<Level> {
        let mut small = [0; 16];
        let small = small.get_mut(..name.len())?;
        small.copy_from_slice(name.as_bytes());
        small.make_ascii_lowercase();
        Some(match &*small {
            b"trace" | b"silly" | b"finest" => Level::Trace,
            b"debug" | b"verbose" | b"fine" => Level::Debug,
            b"info" | b"information" | b"informational" | b"notice" | b"http" | b"log" | b"default" => Level::Info,
            b"warn" | b"warning" => Level::Warn,
            b"error" | b"err" | b"severe" | b"exception" => Level::Error,
            b"fatal" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic" | b"dpanic" => {
                Level::Fatal
            }
            _ => return name.parse().ok().map(Level::numbered),
        })
    }

    /// By its number: below 8 those of syslog, else those of pino and bunyan.
    fn numbered(number: u64) -> Level {
        match number {
            0..=2 => Level::Fatal,
            3 => Level::Error,
            4 => Level::Warn,
            5 | 6 => Level::Info,
            7 => Level::Debug,
            8..20 => Level::Trace,
            20..30 => Level::Debug,
            30..40 => Level::Info,
            40..50 => Level::Warn,
            50..60 => Level::Error,
            60.. => Level::Fatal,
        }
    }
}

/// Names of the member with the level.
pub(crate) const LEVELS: &[&str] = &["level", "lvl", "severity", "levelname", "log.level", "log_level", "loglevel"];
/// Names of the member with the time.
pub(crate) const TIMES: &[&str] = &["time", "timestamp", "ts", "@timestamp", "asctime", "datetime"];
/// Names of the member with the text.
pub(crate) const MESSAGES: &[&str] = &["msg", "message", "event"];

/// What a record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// How grave it is.
    pub(crate) level: Option<Level>,
    /// When it was made (ms since the Unix epoch).
    pub(crate) time: Option<u64>,
}

/// What a line says of itself; `None` when it is no JSON object.
pub(crate) fn facts(line: &[u8], zone: &TimeZone) -> Option<Facts> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') || line.last() != Some(&b'}') {
        return None;
    }
    let found: Found = match std::str::from_utf8(line) {
        Ok(text) => serde_json::from_str(text).ok()?,
        Err(_) => serde_json::from_str(&String::from_utf8_lossy(line)).ok()?,
    };
    let nested = found.inner.unwrap_or_default();
    let time = |number: &Number| match number {
        Number::Count(count) => Some(*count),
        Number::Text(text) => time::stamp(text.as_bytes(), zone),
    };
    Some(Facts {
        level: found.level.or(nested.level),
        time: nested.time.as_ref().and_then(time).or_else(|| found.time.as_ref().and_then(time)),
    })
}

#[derive(Debug, Default)]
struct Found {
    level: Option<Level>,
    time: Option<Number>,
    inner: Option<Inner>,
}

/// A record inside the message of another.
#[derive(Debug, Default)]
struct Inner {
    level: Option<Level>,
    time: Option<Number>,
}

#[derive(Debug)]
enum Number {
    /// In ms since the Unix epoch.
    Count(u64),
    Text(String),
}

/// Seconds, ms, µs or ns since the Unix epoch, told apart by their size.
fn epoch(number: f64) -> Option<u64> {
    let scale = match number {
        n if !(1e8..1e20).contains(&n) => return None,
        n if n < 1e11 => 1e3,
        n if n < 1e14 => 1.0,
        n if n < 1e17 => 1e-3,
        _ => 1e-6,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1e11 and 1e14")]
    let count = (number * scale) as u64;
    Some(count)
}

enum Key {
    Level,
    Time,
    Message,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl Visitor<'_> for Names {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    name if LEVELS.contains(&name) => Key::Level,
                    name if TIMES.contains(&name) => Key::Time,
                    "message" => Key::Message,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(Names)
    }
}

/// A value that is a number, a text, or of no interest.
enum Scalar {
    Level(Option<Level>),
    Time(Option<Number>),
    Inner(Option<Inner>),
}

struct Wanted(Key);

impl<'de> serde::de::DeserializeSeed<'de> for Wanted {
    type Value = Scalar;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Wanted {
    fn nothing(&self) -> Scalar {
        match self.0 {
            Key::Level => Scalar::Level(None),
            Key::Time => Scalar::Time(None),
            Key::Message | Key::Other => Scalar::Inner(None),
        }
    }
}

impl<'de> Visitor<'de> for Wanted {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(self.nothing())
    }
    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(self.nothing())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(self.nothing())
    }
    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        #[expect(clippy::cast_precision_loss, reason = "times need no more than 53 bits here")]
        let time = epoch(number as f64);
        Ok(match self.0 {
            Key::Level => Scalar::Level(Some(Level::numbered(number))),
            Key::Time => Scalar::Time(time.map(Number::Count)),
            Key::Message | Key::Other => Scalar::Inner(None),
        })
    }
    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(match self.0 {
            Key::Time => Scalar::Time(epoch(number).map(Number::Count)),
            _ => self.nothing(),
        })
    }
    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(match self.0 {
            Key::Level => Scalar::Level(Level::named(text)),
            Key::Time => Scalar::Time(match text.parse::<f64>() {
                Ok(number) => epoch(number).map(Number::Count),
                Err(_) => Some(Number::Text(text.to_owned())),
            }),
            Key::Message if text.starts_with('{') => {
                let inner = serde_json::from_str::<Found>(text).ok();
                Scalar::Inner(inner.map(|found| Inner { level: found.level, time: found.time }))
            }
            Key::Message | Key::Other => Scalar::Inner(None),
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self.nothing())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Scalar, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.nothing())
    }
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Found;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
                let mut found = Found::default();
                while let Some(key) = map.next_key::<Key>()? {
                    if let Key::Other = key {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    match map.next_value_seed(Wanted(key))? {
                        Scalar::Level(level) => found.level = found.level.or(level),
                        Scalar::Time(time) => found.time = found.time.or(time),
                        Scalar::Inner(inner) => found.inner = inner,
                    }
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T12:00:00Z.
    const NOON: u64 = 1_795_262_400_000;

    fn level(line: &str) -> Option<Level> {
        facts(line.as_bytes(), &TimeZone::UTC).and_then(|facts| facts.level)
    }

    fn both(line: &str) -> (Option<Level>, Option<u64>) {
        let facts = facts(line.as_bytes(), &TimeZone::UTC).unwrap_or_else(|| panic!("no record: {line}"));
        (facts.level, facts.time)
    }

    #[test]
    fn pino_has_numbers_and_milliseconds() {
        let line = r#"{"level":40,"time":1795262400000,"pid":7,"hostname":"h","msg":"slow"}"#;
        assert_eq!(both(line), (Some(Level::Warn), Some(NOON)));
        for (number, expected) in [
            (10, Level::Trace),
            (20, Level::Debug),
            (30, Level::Info),
            (35, Level::Info),
            (50, Level::Error),
            (60, Level::Fatal),
        ] {
            assert_eq!(level(&format!("{{\"level\":{number}}}")), Some(expected));
        }
    }

    #[test]
    fn bunyan_has_numbers_and_iso_times() {
        let line =
            r#"{"name":"app","hostname":"h","pid":7,"level":50,"msg":"no","time":"2026-11-21T12:00:00.000Z","v":0}"#;
        assert_eq!(both(line), (Some(Level::Error), Some(NOON)));
    }

    #[test]
    fn winston_has_names_of_npm_and_syslog() {
        let line = r#"{"level":"warn","message":"careful","timestamp":"2026-11-21T12:00:00.000Z"}"#;
        assert_eq!(both(line), (Some(Level::Warn), Some(NOON)));
        for (name, expected) in [
            ("silly", Level::Trace),
            ("verbose", Level::Debug),
            ("http", Level::Info),
            ("notice", Level::Info),
            ("warning", Level::Warn),
            ("crit", Level::Fatal),
            ("emerg", Level::Fatal),
        ] {
            assert_eq!(level(&format!("{{\"message\":\"x\",\"level\":\"{name}\"}}")), Some(expected));
        }
    }

    #[test]
    fn structlog_has_an_event() {
        let line = r#"{"event":"lost","level":"critical","logger":"a.b","timestamp":"2026-11-21T12:00:00.5Z"}"#;
        assert_eq!(both(line), (Some(Level::Fatal), Some(NOON + 500)));
    }

    #[test]
    fn others_are_close_to_these() {
        assert_eq!(both(r#"{"severity":"ERROR","ts":1795262400.25}"#), (Some(Level::Error), Some(NOON + 250)));
        assert_eq!(
            both(r#"{"levelname":"WARNING","asctime":"2026-11-21 12:00:00,000"}"#),
            (Some(Level::Warn), Some(NOON))
        );
        assert_eq!(both(r#"{"level":3,"@timestamp":"2026-11-21T12:00:00Z"}"#), (Some(Level::Error), Some(NOON)));
    }

    #[test]
    fn a_record_inside_our_own_counts() {
        let line = r#"{"message":"{\"level\":50,\"time\":1795262400000,\"msg\":\"x\"}","timestamp":"2026-11-21T12:00:09Z","type":"out","process_id":0,"app_name":"a"}"#;
        assert_eq!(both(line), (Some(Level::Error), Some(NOON)));
        let plain =
            r#"{"message":"{no","timestamp":"2026-11-21T12:00:00Z","type":"out","process_id":0,"app_name":"a"}"#;
        assert_eq!(both(plain), (None, Some(NOON)));
    }

    #[test]
    fn what_is_no_record_has_no_level() {
        for line in ["", "{", "{}x", "[1]", "level=error", "{\"level\":}", "{\"a\":1} {\"b\":2}"] {
            assert_eq!(facts(line.as_bytes(), &TimeZone::UTC), None, "{line}");
        }
        for line in [r#"{"level":null}"#, r#"{"level":"loud"}"#, r#"{"level":{"a":[1]}}"#, r#"{"a":{"level":50}}"#] {
            assert_eq!(facts(line.as_bytes(), &TimeZone::UTC), Some(Facts::default()), "{line}");
        }
        assert_eq!(facts(b"{\"level\":50,\"msg\":\"\xff\"}\r", &TimeZone::UTC).unwrap().level, Some(Level::Error));
    }
}
