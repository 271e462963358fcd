//! `ready` and `listen` in their canonical forms.

use crate::kinds::{self, Misfit};
use baton_core::spec::{PROBE_INTERVAL, READY_TIMEOUT};
use serde_json::{Map, Value, json};
use std::path::Path;

const WORDS: [&str; 3] = ["notify", "fd", "ipc"];
const PROBES: [&str; 4] = ["tcp", "http", "exec", "log"];

/// A word, or a map with one probe, as `{ by, timeout, interval }`.
pub(crate) fn ready(value: &Value) -> Result<Value, Misfit> {
    let nothing = Map::new();
    let (by, rest) = match value {
        Value::Null => return Ok(Value::Null),
        Value::String(word) => (word_of(word).ok_or_else(ready_shape)?, &nothing),
        Value::Object(map) => (probe(map)?, map),
        _ => return Err(ready_shape()),
    };
    let known = |key: &str| key == "by" || PROBES.contains(&key) || WORDS.contains(&key);
    if let Some(key) = rest.keys().find(|key| !known(key) && *key != "timeout" && *key != "interval") {
        return Err(Misfit::new(format!("known: there is no `{key}` in it"), ready_shape().help));
    }
    let time = |key: &str, default: u64| match rest.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(given) => kinds::duration(given).ok_or_else(|| {
            Misfit::new(format!("complete: its {key} is no time"), "write a number with ms, s, m or h, such as \"10s\"")
        }),
    };
    Ok(json!({
        "by": by,
        "timeout": time("timeout", READY_TIMEOUT.0)?,
        "interval": time("interval", PROBE_INTERVAL.0)?.max(1),
    }))
}

fn ready_shape() -> Misfit {
    Misfit::new(
        "a way to tell that an app is ready",
        "write \"notify\", \"fd\" or \"ipc\", or a map with one probe, such as { http: \"http://127.0.0.1:3000/health\", timeout: \"20s\" }",
    )
}

fn word_of(word: &str) -> Option<Value> {
    WORDS.contains(&word).then(|| json!(word))
}

fn probe(map: &Map<String, Value>) -> Result<Value, Misfit> {
    // The canonical form again, as a patch or a rendered file has it.
    let map = match map.get("by") {
        Some(Value::String(word)) => return word_of(word).ok_or_else(ready_shape),
        Some(Value::Object(by)) => by,
        Some(_) => return Err(ready_shape()),
        None => map,
    };
    let mut given = map.iter().filter(|(key, _)| PROBES.contains(&key.as_str()) || WORDS.contains(&key.as_str()));
    let (Some((key, value)), None) = (given.next(), given.next()) else {
        return Err(Misfit::new("one way to tell that an app is ready", ready_shape().help));
    };
    Ok(match key.as_str() {
        "tcp" | "http" | "exec" => look(key, value)?,
        "log" => {
            let pattern = value.as_str().filter(|text| !text.is_empty());
            let pattern = pattern.ok_or_else(|| unfit(key, "a regular expression", "write \"listening on\""))?;
            kinds::pattern(pattern)?;
            json!({ "log": pattern })
        }
        word => {
            word_of(word).filter(|_| value == &Value::Bool(true)).ok_or_else(|| unfit(key, "true", "write true"))?
        }
    })
}

fn unfit(key: &str, expected: &str, help: &str) -> Misfit {
    Misfit::new(format!("a {key} probe: it needs {expected}"), help)
}

/// What is asked from outside: a port, a page or a command, as `{ tcp }`, `{ http }` or `{ exec }`.
pub(crate) fn look(key: &str, value: &Value) -> Result<Value, Misfit> {
    let wrong = |expected: &str, help: &str| unfit(key, expected, help);
    let text = || value.as_str().filter(|text| !text.is_empty());
    Ok(match key {
        "tcp" => {
            let at = address(value, "127.0.0.1")
                .ok_or_else(|| wrong("a port or an address", "write 3000 or \"127.0.0.1:3000\""))?;
            json!({ "tcp": at })
        }
        "http" => {
            let url = text().filter(|url| url.starts_with("http://"));
            json!({ "http": url.ok_or_else(|| wrong("a URL", "write \"http://127.0.0.1:3000/health\"; https is not probed"))? })
        }
        _ => json!({ "exec": text().ok_or_else(|| wrong("a command", "write \"pg_isready -q\""))? }),
    })
}

/// A socket or a list or map of them, as a list of `{ name, at, reuseport }`.
pub(crate) fn listen(value: &Value) -> Result<Value, Misfit> {
    let list: Vec<Value> = match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().map(|item| socket(None, item)).collect::<Result<_, _>>()?,
        Value::Object(map) if map.contains_key("at") => vec![socket(None, value)?],
        Value::Object(map) => map.iter().map(|(name, at)| socket(Some(name), at)).collect::<Result<_, _>>()?,
        single => vec![socket(None, single)?],
    };
    let mut places = std::collections::BTreeSet::new();
    if !list.iter().all(|socket| places.insert(socket["at"].as_str())) {
        return Err(Misfit::new("a list of sockets with different addresses", "name each address once"));
    }
    Ok(Value::Array(list))
}

fn socket(name: Option<&String>, value: &Value) -> Result<Value, Misfit> {
    let wrong = || {
        Misfit::new(
            "a socket to listen on",
            "write a port, \"127.0.0.1:3000\", an absolute path, or a map of names to them",
        )
    };
    let (at, name, reuseport) = match value {
        Value::Object(map) => {
            if map.keys().any(|key| !["at", "name", "reuseport"].contains(&key.as_str())) {
                return Err(wrong());
            }
            let given = map.get("name").and_then(Value::as_str).map(str::to_owned);
            let reuseport = match map.get("reuseport") {
                None | Some(Value::Null) => false,
                Some(yes) => yes.as_bool().ok_or_else(wrong)?,
            };
            (map.get("at").ok_or_else(wrong)?, given.or_else(|| name.cloned()), reuseport)
        }
        at => (at, name.cloned(), false),
    };
    let at = address(at, "[::]").ok_or_else(wrong)?;
    let name = name.unwrap_or_else(|| default_name(&at));
    // They stand in LISTEN_FDNAMES with colons between them.
    if name.is_empty() || name.contains(':') || (reuseport && at.starts_with('/')) {
        return Err(wrong());
    }
    Ok(json!({ "name": name, "at": at, "reuseport": reuseport }))
}

/// The port of an address, or the name of a socket's file.
fn default_name(at: &str) -> String {
    match at.starts_with('/') {
        true => Path::new(at).file_stem().unwrap_or_default().to_string_lossy().replace(':', "_"),
        false => at.rsplit(':').next().unwrap_or(at).to_owned(),
    }
}

/// `host:port`, `[host]:port` or an absolute path; a port alone is one of `host`.
fn address(value: &Value, host: &str) -> Option<String> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match value {
        Value::Number(number) => port(&number.to_string()).map(|port| format!("{host}:{port}")),
        Value::String(text) if text.starts_with('/') => Some(text.clone()),
        Value::String(text) => match text.rsplit_once(':') {
            None => port(text).map(|port| format!("{host}:{port}")),
            Some(("", digits)) => port(digits).map(|port| format!("{host}:{port}")),
            // An address of IPv6 stands in brackets, or its last group would be taken for the port.
            Some((name, digits)) if !name.contains(':') || (name.starts_with('[') && name.ends_with(']')) => {
                port(digits).map(|_| text.clone())
            }
            Some(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_to_be_ready_is_a_word_or_one_probe() {
        let by = |value| ready(&value).map(|ready| ready["by"].clone()).map_err(|misfit| misfit.expected);
        assert_eq!(by(json!("notify")).unwrap(), json!("notify"));
        assert_eq!(by(json!({ "ipc": true })).unwrap(), json!("ipc"));
        assert_eq!(by(json!({ "fd": true })).unwrap(), json!("fd"));
        assert_eq!(by(json!({ "tcp": 3000 })).unwrap(), json!({ "tcp": "127.0.0.1:3000" }));
        assert_eq!(by(json!({ "tcp": "[::1]:80" })).unwrap(), json!({ "tcp": "[::1]:80" }));
        for wrong in [
            json!("soon"),
            json!({ "tcp": 1, "exec": "true" }),
            json!({ "tcp": "nowhere" }),
            json!({ "http": "https://x" }),
            json!({ "exec": "true", "retries": 3 }),
            json!({ "exec": "true", "timeout": "soon" }),
            json!({ "log": "(" }),
            json!({ "log": "" }),
            json!(7),
        ] {
            assert!(by(wrong.clone()).is_err(), "{wrong}");
        }
        assert_eq!(by(json!({ "log": "^up" })).unwrap(), json!({ "log": "^up" }));
        let whole = ready(&json!({ "exec": "true", "timeout": "5s", "interval": 50 })).unwrap();
        assert_eq!(whole, json!({ "by": { "exec": "true" }, "timeout": 5000, "interval": 50 }));
        assert_eq!(ready(&whole).unwrap(), whole, "the canonical form is its own");
    }

    #[test]
    fn sockets_have_names_and_addresses() {
        let list = listen(&json!([3000, "127.0.0.1:81", "/run/a.sock"])).unwrap();
        let seen: Vec<(&str, &str)> =
            list.as_array().unwrap().iter().map(|s| (s["name"].as_str().unwrap(), s["at"].as_str().unwrap())).collect();
        assert_eq!(seen, [("3000", "[::]:3000"), ("81", "127.0.0.1:81"), ("a", "/run/a.sock")]);
        assert_eq!(listen(&json!({ "web": { "at": 80, "reuseport": true } })).unwrap()[0]["name"], "web");
        assert_eq!(listen(&list).unwrap(), list, "the canonical form is its own");
        for wrong in [
            json!("host"),
            json!("::1:80"),
            json!(0),
            json!({ "a:b": 80 }),
            json!({ "at": "/x", "reuseport": true }),
            json!([80, ":80"]),
        ] {
            assert!(listen(&wrong).is_err(), "{wrong}");
        }
    }
}
