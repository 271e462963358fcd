//! `on_event` in its canonical form.

use crate::keys;
use crate::kinds::{self, Misfit};
use baton_core::spec::{EventKind, HOOK_RETRIES, HOOK_TIMEOUT, MOST_RETRIES};
use serde_json::{Map, Value, json};

const KEYS: [&str; 6] = ["exec", "http", "events", "timeout", "retries", "by"];

fn shape() -> Misfit {
    Misfit::new(
        "a hook",
        "write a command, an http:// address, or a map such as { exec: \"./alert.sh\", events: [errored, crash-loop] }; or a list of these",
    )
}

/// A hook or a list of them, as a list of `{ by, events, timeout, retries }`; `false` is none.
pub(crate) fn canonical(value: &Value) -> Result<Value, Misfit> {
    Ok(match value {
        Value::Null | Value::Bool(false) => json!([]),
        Value::Array(items) => items.iter().map(hook).collect::<Result<Vec<Value>, Misfit>>()?.into(),
        single => json!([hook(single)?]),
    })
}

fn hook(value: &Value) -> Result<Value, Misfit> {
    let map: Map<String, Value> = match value {
        Value::String(text) => {
            let key = if text.contains("://") && !text.contains(' ') { "http" } else { "exec" };
            [(key.to_owned(), json!(text))].into_iter().collect()
        }
        Value::Object(map) => keys::members(map),
        _ => return Err(shape()),
    };
    if let Some(unknown) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Misfit::new(
            format!("a hook: it has no key `{unknown}`"),
            "a hook has `exec` or `http`, `events`, `timeout` and `retries`",
        ));
    }
    // The canonical form again, as a patch or a rendered file has it.
    let by = map.get("by").and_then(Value::as_object).unwrap_or(&map);
    let by = match (by.get("exec"), by.get("http")) {
        (Some(Value::String(command)), None) if !command.trim().is_empty() => json!({ "exec": command }),
        (None, Some(Value::String(url))) if url.starts_with("http://") && url.len() > "http://".len() => {
            json!({ "http": url })
        }
        (None, Some(Value::String(url))) if url.starts_with("https://") => {
            return Err(Misfit::new(
                "a hook: webhooks are http:// only, and https is not spoken",
                format!("have a command send it: exec: \"curl -fsS --json @- {url}\""),
            ));
        }
        _ => return Err(shape()),
    };
    let timeout = match map.get("timeout") {
        None => HOOK_TIMEOUT.0,
        Some(given) => kinds::duration(given).filter(|time| (1..=600_000).contains(time)).ok_or_else(|| {
            Misfit::new("a hook: its timeout is no time up to 10m", "write a number with ms, s or m, such as \"10s\"")
        })?,
    };
    let retries = match map.get("retries") {
        None => HOOK_RETRIES,
        Some(given) => {
            let number = given.as_u64().and_then(|number| u32::try_from(number).ok());
            number.filter(|number| *number <= MOST_RETRIES).ok_or_else(|| {
                let range = format!("write a whole number from 0 to {MOST_RETRIES}");
                Misfit::new("a hook: its retries is no number of tries", range)
            })?
        }
    };
    Ok(json!({ "by": by, "events": events(map.get("events"))?, "timeout": timeout, "retries": retries }))
}

fn events(given: Option<&Value>) -> Result<Vec<&'static str>, Misfit> {
    let words: Vec<&Value> = match given {
        None => return Ok(EventKind::ALARMS.map(EventKind::as_str).to_vec()),
        Some(Value::Array(words)) => words.iter().collect(),
        Some(word) => vec![word],
    };
    let known = EventKind::ALL.map(EventKind::as_str).join(", ");
    if words == [&json!("all")] {
        return Ok(EventKind::ALL.map(EventKind::as_str).to_vec());
    }
    let kind = |word: &Value| {
        word.as_str().and_then(EventKind::parse).map(EventKind::as_str).ok_or_else(|| {
            let word = kinds::show(word);
            Misfit::new(format!("a hook: its events name {word}"), format!("write some of {known}, or all"))
        })
    };
    words.into_iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::{Hook, HookBy};

    #[test]
    fn a_hook_is_a_command_an_address_or_a_map_with_one() {
        let one = canonical(&json!("./alert.sh --now")).unwrap();
        assert_eq!(
            one,
            json!([{"by": {"exec": "./alert.sh --now"}, "events": ["oom", "errored", "crash-loop", "unhealthy", "failed"],
                    "timeout": 10_000, "retries": 3}])
        );
        assert_eq!(canonical(&one).as_ref(), Ok(&one), "the canonical form is its own");
        let several = canonical(&json!(["http://127.0.0.1:9000/hook",
            {"exec": "mail", "events": ["exit", "crash_loop"], "timeout": "1m", "retries": 0}]))
        .unwrap();
        let hooks: Vec<Hook> = serde_json::from_value(several).unwrap();
        assert_eq!(hooks[0].by, HookBy::Http("http://127.0.0.1:9000/hook".into()));
        assert_eq!(hooks[1].events, [EventKind::Exit, EventKind::CrashLoop]);
        assert_eq!((hooks[1].timeout.0, hooks[1].retries), (60_000, 0));
        assert_eq!(
            canonical(&json!({"exec": "x", "events": "all"})).unwrap()[0]["events"].as_array().unwrap().len(),
            8
        );
        assert_eq!(canonical(&json!(false)).unwrap(), json!([]));
    }

    #[test]
    fn what_is_no_hook_is_told_by_its_part() {
        let told = |value: Value| canonical(&value).expect_err("refused");
        for wrong in
            [json!(5), json!({}), json!({"exec": "a", "http": "http://b"}), json!({"http": "ftp://x"}), json!([1])]
        {
            assert_eq!(told(wrong).expected, "a hook");
        }
        let https = told(json!("https://example.org/hook"));
        assert!(https.expected.contains("https is not spoken") && https.help.contains("curl"), "{https:?}");
        assert!(told(json!({"exec": "x", "events": ["oops"]})).expected.contains("its events name \"oops\""));
        assert!(told(json!({"exec": "x", "retries": 11})).expected.contains("its retries"));
        assert!(told(json!({"exec": "x", "timeout": 0})).expected.contains("its timeout"));
        assert!(told(json!({"exec": "x", "when": 1})).expected.contains("no key `when`"));
    }
}
