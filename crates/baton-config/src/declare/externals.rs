//! `external`: names of what others run, each with a probe, a hint, a command that starts it and a timeout.

use super::{Way, Wrong};
use crate::kinds;
use baton_core::spec::{External, Probe};
use baton_core::units::Millis;
use serde_json::{Map, Value};
use std::path::Path;

const KEYS: &[&str] = &["tcp", "http", "exec", "hint", "start", "timeout"];
const PROBES: &[&str] = &["tcp", "http", "exec"];
/// How long apps wait when the entry does not say.
const TIMEOUT: Millis = Millis(30_000);

/// The entries of an `external` map; their command lines run in `cwd`.
pub(super) fn read(way: &Way, entries: &Map<String, Value>, cwd: &Path) -> Result<Vec<External>, Wrong> {
    entries.iter().filter(|(_, entry)| !entry.is_null()).map(|(name, entry)| one(way, name, entry, cwd)).collect()
}

fn one(way: &Way, name: &str, entry: &Value, cwd: &Path) -> Result<External, Wrong> {
    let way = way.key(name);
    let help = "write { tcp: \"localhost:27017\", hint: \"start it with …\" }; http and exec are other probes";
    let Value::Object(map) = entry else {
        return Err(Wrong::new(&way, format!("external `{name}` is not a map"), help));
    };
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let help = format!("an external thing has {}", KEYS.join(", "));
        return Err(Wrong::new(&way.key(key), format!("external `{name}`: unknown key `{key}`"), help));
    }
    let given: Vec<&str> = PROBES.iter().copied().filter(|key| map.get(*key).is_some_and(|v| !v.is_null())).collect();
    let &[key] = given.as_slice() else {
        return Err(Wrong::new(&way, format!("external `{name}` needs one of tcp, http and exec"), help));
    };
    let wrong = |what: &str, help: &str| {
        let shown = map.get(key).map(Value::to_string).unwrap_or_default();
        Wrong::new(&way.key(key), format!("external `{name}`: `{key}: {shown}` is not {what}"), help)
    };
    let text = match map.get(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let probe = match key {
        "tcp" => Probe::Tcp(address(&text).ok_or_else(|| {
            wrong("a port of a host", "write HOST:PORT such as \"localhost:5432\", or a port of this machine")
        })?),
        "http" => match text.strip_prefix("http://") {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Probe::Http(text),
            _ => {
                let help = "write http://HOST:PORT/PATH; for https write exec: \"curl -fsS https://…\"";
                return Err(wrong("an address of http", help));
            }
        },
        _ if map.get("exec").is_some_and(Value::is_string) && !text.is_empty() => Probe::Exec(text),
        _ => return Err(wrong("a command line", "write a command that exits with 0 when it is there")),
    };
    let words = |key: &str| match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => {
            let what = format!("external `{name}`: `{key}: {other}` is not a text");
            Err(Wrong::new(&way.key(key), what, "write a text"))
        }
    };
    let timeout = match map.get("timeout") {
        None | Some(Value::Null) => TIMEOUT,
        Some(given) => kinds::duration(given).map(Millis).ok_or_else(|| {
            let what = format!("external `{name}`: `timeout: {given}` is not a time");
            Wrong::new(&way.key("timeout"), what, "write a number of milliseconds or a text such as \"10s\"")
        })?,
    };
    let cwd = cwd.to_string_lossy().into_owned();
    Ok(External { name: name.into(), probe, hint: words("hint")?, start: words("start")?, timeout, cwd })
}

/// `HOST:PORT` of a text that is one, or that is a port of this machine.
fn address(text: &str) -> Option<String> {
    if text.parse::<u16>().is_ok_and(|port| port > 0) {
        return Some(format!("localhost:{text}"));
    }
    let (host, port) = text.rsplit_once(':')?;
    let bare = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    let good = !host.is_empty() && bare && !host.contains(['/', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0);
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_host_with_one() {
        for (text, wanted) in [
            ("27017", Some("localhost:27017")),
            ("db.lan:5432", Some("db.lan:5432")),
            ("[::1]:80", Some("[::1]:80")),
            ("::1:80", None),
            ("db", None),
            ("db:", None),
            (":80", None),
            ("db:0", None),
            ("mongodb://db:80", None),
            ("70000", None),
        ] {
            assert_eq!(address(text).as_deref(), wanted, "{text}");
        }
    }
}
