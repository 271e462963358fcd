//! `schedule` in its canonical form.

use crate::keys;
use crate::kinds::{self, Misfit};
use baton_core::spec::{Missed, Overlap};
use serde_json::{Map, Value, json};

const KEYS: [&str; 6] = ["cron", "timezone", "overlap", "jitter", "timeout", "missed"];

fn shape() -> Misfit {
    Misfit::new(
        "a schedule",
        "write a cron pattern such as \"0 3 * * *\", or a map such as { cron: \"0 3 * * *\", timezone: \"Europe/Berlin\", timeout: \"1h\" }",
    )
}

fn pattern(cron: &str) -> Misfit {
    let why = kinds::cron_error(cron).map(|error| format!(" ({error})")).unwrap_or_default();
    Misfit::new(
        format!("a schedule: `{cron}` is no cron pattern{why}"),
        "write five or six fields, such as \"0 3 * * *\"",
    )
}

/// The keys of a map of `schedule` that mean nothing.
pub(crate) fn unknown(value: &Value) -> Vec<String> {
    keys::strangers(value, |key| KEYS.contains(&key))
}

/// A pattern or a map with one, as `{ cron, timezone, overlap, jitter, timeout, missed }`; `false` is none.
pub(crate) fn canonical(value: &Value) -> Result<Value, Misfit> {
    let map: Map<String, Value> = match value {
        Value::Null | Value::Bool(false) => return Ok(Value::Null),
        Value::String(cron) => [("cron".to_owned(), json!(cron))].into_iter().collect(),
        Value::Object(map) => keys::members(map),
        _ => return Err(shape()),
    };
    let text = |key: &str| map.get(key).map(|value| value.as_str().map(str::trim).ok_or_else(shape)).transpose();
    let (cron, timezone) = (text("cron")?.ok_or_else(shape)?, text("timezone")?);
    // As in `cron_restart`, the pattern may bring its time zone.
    let (timezone, cron) = match cron.strip_prefix("CRON_TZ=").and_then(|rest| rest.split_once(' ')) {
        Some(_) if timezone.is_some() => {
            return Err(Misfit::new("a schedule: it has two time zones", "leave out `CRON_TZ=`, or `timezone`"));
        }
        Some((zone, cron)) => (Some(zone), cron.trim()),
        None => (timezone, cron),
    };
    if kinds::cron_error(cron).is_some() {
        return Err(pattern(cron));
    }
    if let Some(zone) = timezone.filter(|zone| kinds::cron_error(&format!("CRON_TZ={zone} {cron}")).is_some()) {
        return Err(Misfit::new(
            format!("a schedule: `{zone}` is no time zone"),
            "write an IANA name, such as \"Europe/Berlin\" or \"UTC\"",
        ));
    }
    let time = |key: &str, least: u64| match map.get(key) {
        None => Ok(None),
        Some(given) => kinds::duration(given).filter(|time| *time >= least).map(Some).ok_or_else(|| {
            Misfit::new(
                format!("a schedule: its {key} is no time"),
                "write a number with ms, s, m or h, such as \"10m\"",
            )
        }),
    };
    let word = |key: &str, words: &[&str]| match map.get(key) {
        None => Ok(json!(words[0])),
        Some(Value::String(word)) if words.contains(&word.as_str()) => Ok(json!(word)),
        Some(_) => Err(Misfit::new(
            format!("a schedule: its {key} is not one of {}", words.join(", ")),
            format!("write one of {}", words.join(", ")),
        )),
    };
    Ok(json!({
        "cron": cron,
        "timezone": timezone,
        "overlap": word("overlap", &Overlap::WORDS)?,
        "jitter": time("jitter", 0)?.unwrap_or(0),
        "timeout": time("timeout", 1)?,
        "missed": word("missed", &Missed::WORDS)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Schedule;

    #[test]
    fn a_schedule_is_a_pattern_or_a_map_with_one() {
        let simple = canonical(&json!("0 3 * * *")).unwrap();
        assert_eq!(
            simple,
            json!({"cron": "0 3 * * *", "timezone": null, "overlap": "skip", "jitter": 0, "timeout": null, "missed": "run"})
        );
        assert_eq!(canonical(&simple).as_ref(), Ok(&simple), "the canonical form is its own");
        let schedule: Schedule = serde_json::from_value(simple).unwrap();
        assert_eq!((schedule.overlap, schedule.missed), (Overlap::default(), Missed::default()));
        let whole = canonical(&json!({"cron": "*/30 * * * * *", "timeZone": null, "timezone": "Europe/Berlin",
            "overlap": "queue", "jitter": "5m", "timeout": "1h", "missed": "skip"}))
        .unwrap();
        assert_eq!((&whole["jitter"], &whole["timeout"]), (&json!(300_000), &json!(3_600_000)));
        let schedule: Schedule = serde_json::from_value(whole).unwrap();
        assert_eq!(schedule.pattern(), "CRON_TZ=Europe/Berlin */30 * * * * *");
        assert_eq!(canonical(&json!("CRON_TZ=UTC @daily")).unwrap()["timezone"], json!("UTC"));
        assert_eq!(canonical(&json!(false)).unwrap(), Value::Null);
        assert_eq!(unknown(&json!({"cron": "@daily", "retries": 3})), ["retries"]);
    }

    #[test]
    fn what_is_no_schedule_is_told_by_its_part() {
        let expected = |value: Value| canonical(&value).expect_err("refused").expected;
        for wrong in [json!(5), json!(["@daily"]), json!({}), json!({"cron": 5}), json!({"timezone": "UTC"})] {
            assert_eq!(expected(wrong), "a schedule");
        }
        assert!(expected(json!("often")).contains("`often` is no cron pattern"));
        assert!(expected(json!({"cron": "@daily", "timezone": "Nowhere/At_All"})).contains("is no time zone"));
        assert!(expected(json!({"cron": "CRON_TZ=UTC @daily", "timezone": "UTC"})).contains("two time zones"));
        assert!(expected(json!({"cron": "@daily", "overlap": "kill"})).contains("not one of skip, queue, replace"));
        assert!(expected(json!({"cron": "@daily", "missed": true})).contains("not one of run, skip"));
        assert!(expected(json!({"cron": "@daily", "jitter": "some"})).contains("its jitter is no time"));
        assert!(expected(json!({"cron": "@daily", "timeout": 0})).contains("its timeout is no time"));
    }
}
