//! `docker-compose.yml`: services that something else runs, with the ports they are reached by. Docker is not asked.

use super::{Draft, External, Folder};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const FILES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Adds the services of a compose file that run from an image and publish a port.
pub(super) fn look(folder: &Folder<'_>, draft: &mut Draft) {
    let Some((file, services)) = services(folder) else { return };
    for (name, service) in &services {
        if service.get("build").is_some() {
            draft.left_out.push(format!("{file}: {name} is built here: start it by its own script"));
            continue;
        }
        let Some((port, _)) = ports(service).first().copied() else {
            draft.left_out.push(format!("{file}: {name} publishes no port of a known number"));
            continue;
        };
        draft.found.push(format!("{file}: {name} on port {port}"));
        draft.externals.push(external(name, file, port));
    }
}

/// For each port in a container the port here and the service, by what the compose file publishes.
pub(super) fn published(folder: &Folder<'_>) -> BTreeMap<u16, (u16, String)> {
    let Some((_, services)) = services(folder) else { return BTreeMap::new() };
    let each = services.iter().flat_map(|(name, service)| {
        ports(service).into_iter().map(move |(here, inside)| (inside, (here, name.clone())))
    });
    each.collect()
}

fn external(name: &str, file: &str, port: u16) -> External {
    let command = format!("docker compose up -d {name}");
    let mut keys = Map::new();
    keys.insert("tcp".into(), format!("127.0.0.1:{port}").into());
    keys.insert("hint".into(), command.clone().into());
    keys.insert("start".into(), command.into());
    keys.insert("timeout".into(), "30s".into());
    External { comment: format!("{file}: {name}"), name: name.into(), keys }
}

fn services(folder: &Folder<'_>) -> Option<(&'static str, Map<String, Value>)> {
    let (file, text) = FILES.iter().find_map(|file| Some((*file, folder.read(file)?)))?;
    let mut root: serde_norway::Value = serde_norway::from_str(&text).ok()?;
    root.apply_merge().ok()?;
    let root = serde_json::to_value(root).ok()?;
    Some((file, root.get("services")?.as_object()?.clone()))
}

/// The ports that a service publishes: here, and in the container.
fn ports(service: &Value) -> Vec<(u16, u16)> {
    let list = service.get("ports").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(port).collect()
}

fn port(value: &Value) -> Option<(u16, u16)> {
    match value {
        Value::Object(map) => {
            let number = |key: &str| match map.get(key)? {
                Value::String(text) => settled(text).parse().ok(),
                other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
            };
            Some((number("published")?, number("target")?))
        }
        // `[address:]here:inside[/tcp]`; a single number gets any port here.
        Value::String(text) => {
            let text = settled(text);
            if text.ends_with("/udp") {
                return None;
            }
            let mut parts = text.trim_end_matches("/tcp").rsplit(':');
            let (inside, here) = (parts.next()?, parts.next()?);
            Some((here.parse().ok()?, inside.parse().ok()?))
        }
        _ => None,
    }
}

/// A text with `${NAME:-default}` as its default.
fn settled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inner)) = rest.split_once("${") {
        out.push_str(before);
        let Some((variable, after)) = inner.split_once('}') else { break };
        out.push_str(variable.split_once(":-").or_else(|| variable.split_once('-')).map_or("", |(_, default)| default));
        rest = after;
    }
    out.push_str(rest);
    out
}
