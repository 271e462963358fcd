//! A value as its key wants it: sizes in bytes, times in milliseconds, lists split, texts read as numbers.

use crate::depends;
use crate::env;
use crate::health;
use crate::heartbeat;
use crate::hooks;
use crate::limits;
use crate::readiness;
use crate::schedule;
use crate::words;
use baton_core::spec::Kind;
use baton_core::world::Signal;
use serde_json::{Map, Value, json};

/// What was expected of a value that does not fit, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Reads after "is not".
    pub expected: String,
    /// What to write.
    pub help: String,
}

impl Misfit {
    pub(crate) fn new(expected: impl Into<String>, help: impl Into<String>) -> Misfit {
        Misfit { expected: expected.into(), help: help.into() }
    }
}

/// The canonical form of a value of this kind.
///
/// # Errors
/// When the value's type, unit or range does not fit.
pub fn canonical(kind: Kind, value: &Value) -> Result<Value, Misfit> {
    match kind {
        Kind::Text => text(value).map(Value::String).ok_or_else(|| Misfit::new("a text", "write a text in quotes")),
        Kind::Path => match value {
            Value::String(path) if !path.is_empty() => Ok(json!(path)),
            _ => Err(Misfit::new("a path", "write a path in quotes")),
        },
        Kind::Bool => {
            boolean(value).map(Value::Bool).ok_or_else(|| Misfit::new("true or false", "write true or false"))
        }
        Kind::Integer(low, high) => integer(value)
            .filter(|number| (low..=high).contains(number))
            .map(Value::from)
            .ok_or_else(|| range(low, high)),
        Kind::Instances => instances(value).map(Value::from).ok_or_else(|| {
            Misfit::new(
                "a number of instances",
                "write a number, \"max\" or 0 for one per processor, or -1 for all but one",
            )
        }),
        Kind::Size => size(value).map(Value::from).ok_or_else(|| {
            Misfit::new("a size", "write a number of bytes or a number with K, M or G, such as \"512M\"")
        }),
        Kind::Duration => duration(value).map(Value::from).ok_or_else(|| {
            Misfit::new("a time", "write a number of milliseconds or a number with ms, s, m or h, such as \"10s\"")
        }),
        Kind::Words => match value {
            Value::String(line) => Ok(json!(words::split(line))),
            _ => texts(value).map(|list| json!(list)).ok_or_else(|| {
                Misfit::new("a list of texts", "write a list of texts, or one text that is split as a shell does")
            }),
        },
        Kind::Texts => texts(value)
            .map(|list| json!(list))
            .ok_or_else(|| Misfit::new("a list of texts", "write a text or a list of texts")),
        Kind::Integers => integers(value).map(|list| json!(list)).ok_or_else(|| {
            Misfit::new("a list of whole numbers", "write a number or a list of numbers, such as [0, 143]")
        }),
        Kind::Environment => match value {
            Value::Object(map) => Ok(json!(env::variables(map))),
            _ => Err(Misfit::new("a map of variables", "write a map, such as { PORT: 8080 }")),
        },
        Kind::Choice(words) => {
            text(value).filter(|text| words.contains(&text.as_str())).map(Value::String).ok_or_else(|| {
                Misfit::new(format!("one of {}", words.join(", ")), format!("write one of {}", words.join(", ")))
            })
        }
        Kind::Signal => text(value)
            .and_then(|text| Signal::parse(&text))
            .map(|signal| json!(signal.to_string()))
            .ok_or_else(|| Misfit::new("a signal", "write a name or a number, such as SIGTERM or 15")),
        Kind::Switch => match (boolean(value), texts(value)) {
            (Some(yes), _) => Ok(Value::Bool(yes)),
            (None, Some(list)) => Ok(json!(list)),
            (None, None) => {
                Err(Misfit::new("true, false or a list of texts", "write true, false, a text or a list of texts"))
            }
        },
        Kind::Dependencies => depends::canonical(value),
        Kind::Readiness => readiness::ready(value),
        Kind::Health => health::canonical(value),
        Kind::Heartbeat => heartbeat::canonical(value),
        Kind::Hooks => hooks::canonical(value),
        Kind::Schedule => schedule::canonical(value),
        Kind::Listen => readiness::listen(value),
        Kind::Rlimits => limits::rlimits(value),
        Kind::Cpus => limits::cpus(value),
        Kind::Map => match value {
            Value::Object(_) => Ok(value.clone()),
            _ => Err(Misfit::new("a map", "write a map, such as { key: value }")),
        },
        Kind::Any => Ok(value.clone()),
    }
}

/// What is wrong with a cron pattern of five fields, of six with seconds first, or a nickname such as `@daily`, with or
/// without a time zone in front (`CRON_TZ=Europe/Berlin`).
pub fn cron_error(pattern: &str) -> Option<String> {
    use croner::parser::{CronParser, Seconds, Year};
    let (zone, pattern) = match pattern.trim().strip_prefix("CRON_TZ=").and_then(|rest| rest.split_once(' ')) {
        Some((zone, rest)) => (Some(zone), rest.trim()),
        None => (None, pattern),
    };
    if let Some(Err(error)) = zone.map(jiff::tz::TimeZone::get) {
        return Some(error.to_string());
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(pattern).err().map(|error| error.to_string())
}

fn range(low: i64, high: i64) -> Misfit {
    let expected = match (low, high) {
        (low, i64::MAX) => format!("a whole number of at least {low}"),
        (low, high) => format!("a whole number from {low} to {high}"),
    };
    Misfit::new(expected, "write a whole number without a unit")
}

/// A text, or a number as its text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(env::number(number)),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        _ => None,
    }
}

fn whole(number: f64) -> Option<i64> {
    // Beyond 2^53 a float no longer says which integer is meant.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small enough")]
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

fn instances(value: &Value) -> Option<i32> {
    match value {
        Value::String(text) if text.trim() == "max" => Some(0),
        _ => integer(value).and_then(|number| i32::try_from(number).ok()),
    }
}

/// Bytes; units are 1024-based, as PM2's are.
fn size(value: &Value) -> Option<u64> {
    with_unit(value, |unit| match unit {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        _ => None,
    })
}

/// Refuses what is no regular expression.
pub(crate) fn pattern(text: &str) -> Result<(), Misfit> {
    regex_lite::Regex::new(text).map(drop).map_err(|error| {
        Misfit::new(
            format!("possible: `{text}` is no regular expression ({error})"),
            "escape what stands for itself, such as \\(",
        )
    })
}

/// Milliseconds.
pub(crate) fn duration(value: &Value) -> Option<u64> {
    with_unit(value, |unit| match unit {
        "" | "ms" => Some(1),
        "s" => Some(1000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    })
}

fn with_unit(value: &Value, factor: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let Value::String(text) = value else {
        // A pause of 1.5 ms is rounded: PM2 hands it to a timer, which does the same.
        return scaled(value.as_f64()?, 1);
    };
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = factor(unit.trim_start())?;
    match number.parse::<u64>() {
        Ok(number) => number.checked_mul(factor),
        Err(_) => scaled(number.parse().ok()?, factor),
    }
}

fn scaled(number: f64, factor: u64) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "a unit is far below 2^53")]
    let product = number * factor as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..9_007_199_254_740_992.0).contains(&product).then(|| product.round() as u64)
}

/// A list of texts, or one text as a list of one. Numbers and booleans in a list become text.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items
            .iter()
            .filter(|item| !item.is_null())
            .map(|item| match item {
                Value::Bool(yes) => Some(yes.to_string()),
                other => text(other),
            })
            .collect(),
        other => text(other).map(|one| vec![one]),
    }
}

fn integers(value: &Value) -> Option<Vec<i32>> {
    let small = |value: &Value| integer(value).and_then(|number| i32::try_from(number).ok());
    match value {
        Value::Array(items) => items.iter().map(small).collect(),
        Value::String(text) => text
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<i32>>>()
            .filter(|list| !list.is_empty()),
        other => small(other).map(|one| vec![one]),
    }
}

/// A value in a few characters, for a message.
pub fn show(value: &Value) -> String {
    let text = match value {
        Value::Object(map) => shorten_map(map),
        other => other.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn shorten_map(map: &Map<String, Value>) -> String {
    if map.is_empty() { "{}".into() } else { format!("{{ {}: … }}", map.keys().next().map_or("", |key| key)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(kind: Kind, table: &[(Value, Value)], wrong: &[Value], expected: &str) {
        for (given, wanted) in table {
            assert_eq!(canonical(kind, given).as_ref(), Ok(wanted), "{kind:?} {given}");
        }
        for given in wrong {
            let misfit = canonical(kind, given).expect_err(&format!("{kind:?} {given}"));
            assert_eq!(misfit.expected, expected, "{kind:?} {given}");
            assert!(misfit.help.starts_with("write "), "{misfit:?}");
        }
    }

    #[test]
    fn each_kind_takes_its_forms_and_names_what_it_wants() {
        check(
            Kind::Text,
            &[(json!("a"), json!("a")), (json!(80), json!("80")), (json!(1.5), json!("1.5"))],
            &[json!(true), json!([]), json!({})],
            "a text",
        );
        check(
            Kind::Signal,
            &[(json!("term"), json!("SIGTERM")), (json!("SIGUSR2"), json!("SIGUSR2")), (json!(15), json!("SIGTERM"))],
            &[json!("SIGNONSENSE"), json!(0), json!(true)],
            "a signal",
        );
        check(Kind::Path, &[(json!("a/b"), json!("a/b"))], &[json!(""), json!(1), json!(true)], "a path");
        check(
            Kind::Bool,
            &[(json!(true), json!(true)), (json!("false"), json!(false)), (json!(" true "), json!(true))],
            &[json!("yes"), json!(1), json!([])],
            "true or false",
        );
        check(
            Kind::Integer(0, 65535),
            &[(json!(80), json!(80)), (json!("80"), json!(80)), (json!(80.0), json!(80))],
            &[json!("80x"), json!(-1), json!(65536), json!(1.5), json!(true), json!("")],
            "a whole number from 0 to 65535",
        );
        check(Kind::Integer(0, i64::MAX), &[], &[json!(-1)], "a whole number of at least 0");
        check(
            Kind::Instances,
            &[(json!("max"), json!(0)), (json!(0), json!(0)), (json!(-1), json!(-1)), (json!("4"), json!(4))],
            &[json!("abc"), json!(1.5), json!([1]), json!(true)],
            "a number of instances",
        );
        check(
            Kind::Size,
            &[
                (json!(1024), json!(1024)),
                (json!("512"), json!(512)),
                (json!("2K"), json!(2048)),
                (json!("2 kb"), json!(2048)),
                (json!("256M"), json!(268_435_456)),
                (json!("256mb"), json!(268_435_456)),
                (json!("1.5G"), json!(1_610_612_736)),
                (json!("1GB"), json!(1_073_741_824)),
            ],
            &[json!("512Q"), json!("M"), json!(-1), json!("-5M"), json!(true), json!(""), json!("1e3")],
            "a size",
        );
        check(
            Kind::Duration,
            &[
                (json!(1500), json!(1500)),
                (json!("500ms"), json!(500)),
                (json!("10s"), json!(10_000)),
                (json!("5m"), json!(300_000)),
                (json!("1h"), json!(3_600_000)),
                (json!("1.5s"), json!(1500)),
                (json!("250"), json!(250)),
                (json!(1.6), json!(2)),
            ],
            &[json!("10 parsecs"), json!("s"), json!(-1), json!(false), json!([])],
            "a time",
        );
        check(
            Kind::Words,
            &[
                (json!("a 'b c' ''"), json!(["a", "b c", ""])),
                (json!(["a b", 1, true]), json!(["a b", "1", "true"])),
                (json!(8080), json!(["8080"])),
            ],
            &[json!({}), json!([{}]), json!(true)],
            "a list of texts",
        );
        check(
            Kind::Texts,
            &[(json!("a b"), json!(["a b"])), (json!(["a"]), json!(["a"]))],
            &[json!({})],
            "a list of texts",
        );
        check(
            Kind::Integers,
            &[(json!(0), json!([0])), (json!([0, "143"]), json!([0, 143])), (json!("0, 1"), json!([0, 1]))],
            &[json!("x"), json!([1.5]), json!(true), json!("")],
            "a list of whole numbers",
        );
        check(
            Kind::Environment,
            &[(json!({"A": 1, "B": null}), json!({"A": "1"}))],
            &[json!("A=1"), json!([])],
            "a map of variables",
        );
        check(
            Kind::Choice(&["raw", "json"]),
            &[(json!("json"), json!("json"))],
            &[json!("xml"), json!(true)],
            "one of raw, json",
        );
        check(
            Kind::Switch,
            &[
                (json!(true), json!(true)),
                (json!("false"), json!(false)),
                (json!("src"), json!(["src"])),
                (json!(["a"]), json!(["a"])),
            ],
            &[json!({}), json!([[]])],
            "true, false or a list of texts",
        );
        check(Kind::Map, &[(json!({"a": 1}), json!({"a": 1}))], &[json!([]), json!("a")], "a map");
    }

    #[test]
    fn a_long_value_is_shown_short() {
        assert_eq!(show(&json!("512Q")), "\"512Q\"");
        assert_eq!(show(&json!({"SECRET": "x"})), "{ SECRET: … }");
        assert_eq!(show(&json!("é".repeat(100))).chars().count(), 61);
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(number in 0u64..1_000_000, unit in prop_oneof![
            Just(""), Just("ms"), Just("s"), Just("m"), Just("h")
        ]) {
            let once = canonical(Kind::Duration, &json!(format!("{number}{unit}"))).expect("a time");
            prop_assert_eq!(canonical(Kind::Duration, &once).expect("a time"), once);
        }

        #[test]
        fn words_and_lists_round_trip(list in prop::collection::vec("\\PC{0,8}", 0..5)) {
            let once = canonical(Kind::Words, &json!(list)).expect("a list");
            prop_assert_eq!(&once, &json!(list));
            let line = list.iter().map(|word| words::quote(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(canonical(Kind::Words, &json!(line)).expect("a list"), once);
        }

        #[test]
        fn no_value_makes_a_kind_panic(text in "\\PC{0,12}", number in any::<f64>()) {
            for kind in [Kind::Text, Kind::Size, Kind::Duration, Kind::Instances, Kind::Integers, Kind::Integer(0, 9), Kind::Bool] {
                let _ = canonical(kind, &json!(text)).is_ok();
                let _ = canonical(kind, &json!(number)).is_ok();
            }
        }
    }
}
