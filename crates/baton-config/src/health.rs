//! `health` in its canonical form.

use crate::keys;
use crate::kinds::{self, Misfit};
use crate::readiness;
use baton_core::spec::{HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_TIMEOUT, Remedy, START_PERIOD};
use serde_json::{Value, json};

const PROBES: [&str; 3] = ["http", "tcp", "exec"];
const OTHERS: [&str; 6] = ["probe", "interval", "timeout", "retries", "start_period", "action"];

fn shape() -> Misfit {
    Misfit::new(
        "a way to tell that an app is well",
        "write a map with one probe, such as { http: \"http://127.0.0.1:3000/health\", interval: \"10s\", retries: 3 }",
    )
}

/// The keys of a map of `health` that mean nothing.
pub(crate) fn unknown(value: &Value) -> Vec<String> {
    keys::strangers(value, |key| PROBES.contains(&key) || OTHERS.contains(&key))
}

/// A map with one probe, as `{ probe, interval, timeout, retries, start_period, action }`; `false` is none.
pub(crate) fn canonical(value: &Value) -> Result<Value, Misfit> {
    let map = match value {
        Value::Null | Value::Bool(false) => return Ok(Value::Null),
        Value::Object(map) => keys::members(map),
        _ => return Err(shape()),
    };
    // The canonical form again, as a patch or a rendered file has it.
    let probes = map.get("probe").and_then(Value::as_object).unwrap_or(&map);
    let mut given = PROBES.iter().filter_map(|key| Some((*key, probes.get(*key)?)));
    let (Some((key, probe)), None) = (given.next(), given.next()) else { return Err(shape()) };
    let probe = readiness::look(key, probe)?;
    let time = |key: &str, default: u64, least: u64| match map.get(key) {
        None => Ok(default),
        Some(given) => kinds::duration(given).filter(|time| *time >= least).ok_or_else(|| {
            Misfit::new(format!("complete: its {key} is no time"), "write a number with ms, s, m or h, such as \"10s\"")
        }),
    };
    let retries = match map.get("retries") {
        None => HEALTH_RETRIES,
        Some(given) => {
            let number = given.as_u64().or_else(|| given.as_str()?.trim().parse().ok());
            number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0).ok_or_else(|| {
                Misfit::new("complete: its retries is no number of failures", "write a whole number of at least 1")
            })?
        }
    };
    let action = match map.get("action") {
        None => json!(Remedy::Restart),
        Some(Value::String(word)) if Remedy::WORDS.contains(&word.as_str()) => json!(word),
        Some(_) => {
            let words = Remedy::WORDS.join(", ");
            return Err(Misfit::new(
                format!("complete: its action is not one of {words}"),
                format!("write one of {words}"),
            ));
        }
    };
    Ok(json!({
        "probe": probe,
        "interval": time("interval", HEALTH_INTERVAL.0, 1)?,
        "timeout": time("timeout", HEALTH_TIMEOUT.0, 1)?,
        "retries": retries,
        "start_period": time("start_period", START_PERIOD.0, 0)?,
        "action": action,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Health;

    #[test]
    fn a_health_is_one_probe_with_defaults() {
        let whole = canonical(&json!({"http": "http://localhost/x", "startPeriod": "1m", "action": "none"})).unwrap();
        assert_eq!(
            whole,
            json!({"probe": {"http": "http://localhost/x"}, "interval": 10_000, "timeout": 5_000, "retries": 3,
                   "start_period": 60_000, "action": "none"})
        );
        assert_eq!(canonical(&whole).as_ref(), Ok(&whole), "the canonical form is its own");
        let _: Health = serde_json::from_value(whole).unwrap();
        assert_eq!(canonical(&json!({"tcp": 80, "retries": "5"})).unwrap()["probe"], json!({"tcp": "127.0.0.1:80"}));
        assert_eq!(canonical(&json!(false)).unwrap(), Value::Null);
        assert_eq!(unknown(&json!({"exec": "true", "start-period": 0, "retry": 1})), ["retry"]);
    }

    #[test]
    fn what_is_no_health_is_told_by_its_part() {
        let expected = |value: Value| canonical(&value).expect_err("refused").expected;
        for wrong in [json!(true), json!("http://x"), json!({}), json!({"tcp": 1, "exec": "x"}), json!({"log": "x"})] {
            assert_eq!(expected(wrong), "a way to tell that an app is well");
        }
        assert!(expected(json!({"http": "https://x"})).contains("a http probe: it needs a URL"));
        assert!(expected(json!({"tcp": 1, "interval": 0})).contains("its interval is no time"));
        assert!(expected(json!({"tcp": 1, "timeout": "soon"})).contains("its timeout is no time"));
        assert!(expected(json!({"tcp": 1, "retries": 0})).contains("its retries"));
        assert!(expected(json!({"tcp": 1, "action": "reboot"})).contains("not one of restart, stop, none"));
    }
}
