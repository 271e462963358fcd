//! What is said several times, said once.

use super::source::EXPRESSION;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

type App = Map<String, Value>;

/// The variable that names an agent.
const AGENT: &str = "AGENT_NAME";

/// What several apps have in common: keys of all of them, and variables of all that have any.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Common {
    pub(super) keys: App,
    pub(super) env: App,
}

/// Takes out of apps what they share. Fewer than two keys, or two variables, are not worth a name.
pub(super) fn common(apps: &mut [App]) -> Common {
    let mut common = Common::default();
    if apps.len() < 2 {
        return common;
    }
    let keys = shared(&apps.iter().collect::<Vec<_>>());
    let keys: App = keys.into_iter().filter(|(key, _)| key != "env").collect();
    let envs: Vec<&App> = apps.iter().filter_map(|app| app.get("env")?.as_object()).collect();
    // An expression is no map of variables.
    let plain = envs.len() >= 2 && envs.iter().all(|env| !env.contains_key(EXPRESSION));
    let env = if plain { shared(&envs) } else { App::new() };
    if keys.len() >= 2 {
        common.keys = keys;
    }
    if env.len() >= 2 {
        common.env = env;
    }
    for app in apps {
        app.retain(|key, _| !common.keys.contains_key(key));
        if let Some(Value::Object(own)) = app.get_mut("env") {
            own.retain(|name, _| !common.env.contains_key(name));
        }
    }
    common
}

/// Takes the variables that the apps of an agent share out of them: the members of `units`. A unit gives its apps
/// its name as `AGENT_NAME`, so that only apps which have that can be its members. Fewer than two variables are not worth it.
pub(super) fn units(apps: &mut [App]) -> App {
    let mut members: IndexMap<String, Vec<usize>> = IndexMap::new();
    for (at, app) in apps.iter().enumerate() {
        if let Some(unit) = unit_of(app) {
            members.entry(unit).or_default().push(at);
        }
    }
    let mut units = App::new();
    for (unit, at) in members.into_iter().filter(|(_, at)| at.len() >= 2) {
        let envs: Option<Vec<&App>> = at.iter().map(|at| apps[*at].get("env")?.as_object()).collect();
        let Some(envs) = envs.filter(|envs| envs.iter().all(|env| !env.contains_key(EXPRESSION))) else { continue };
        let mut env = shared(&envs);
        if env.len() < 2 || env.get(AGENT) != Some(&json!(unit)) {
            continue;
        }
        let taken = env.clone();
        env.shift_remove(AGENT);
        let mut names = Vec::new();
        for at in at {
            let app = &mut apps[at];
            app.shift_remove("namespace");
            if let Some(Value::Object(own)) = app.get_mut("env") {
                own.retain(|name, _| !taken.contains_key(name));
                if own.is_empty() {
                    app.shift_remove("env");
                }
            }
            names.extend(app.get("name").cloned());
        }
        units.insert(unit, json!({ "apps": names, "env": env }));
    }
    units
}

/// The unit that an app belongs to by what it says.
fn unit_of(app: &App) -> Option<String> {
    if let Some(namespace) = app.get("namespace") {
        return namespace.as_str().filter(|name| *name != "default").map(str::to_owned);
    }
    let (name, agent) = (app.get("name")?.as_str()?, app.get("env")?.get(AGENT)?.as_str()?);
    let begins = name.get(..agent.len())?;
    (begins.eq_ignore_ascii_case(agent) && name[agent.len()..].starts_with('_')).then(|| begins.to_owned())
}

/// What is the same in all of them.
fn shared(maps: &[&App]) -> App {
    let Some((first, rest)) = maps.split_first() else { return App::new() };
    let each = first.iter().filter(|(key, value)| rest.iter().all(|map| map.get(*key) == Some(value)));
    each.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What makes one list of apps of another: the members of a profile. `None`: they have no app in common.
pub(super) fn profile(base: &[App], variant: &[App]) -> Option<App> {
    let name = |app: &App| app.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let of = |apps: &'_ [App], wanted: &str| apps.iter().find(|app| name(app) == wanted).cloned();
    if !variant.iter().any(|app| of(base, &name(app)).is_some()) {
        return None;
    }
    let mut apps = Vec::new();
    for app in variant {
        match of(base, &name(app)) {
            None => apps.push(Value::Object(app.clone())),
            Some(known) => {
                let mut changes = patch(&known, app);
                if !changes.is_empty() {
                    changes.shift_insert(0, "name".into(), json!(name(app)));
                    apps.push(Value::Object(changes));
                }
            }
        }
    }
    let gone: Vec<String> = base.iter().map(&name).filter(|name| of(variant, name).is_none()).collect();
    let mut profile = App::new();
    if !apps.is_empty() {
        profile.insert("apps".into(), Value::Array(apps));
    }
    if !gone.is_empty() {
        profile.insert("remove".into(), json!(gone));
    }
    Some(profile)
}

/// What is to be merged into the first map to make the second of it: `null` takes a key away.
fn patch(old: &App, new: &App) -> App {
    let mut changes = App::new();
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(before), after) if before == after => {}
            (Some(Value::Object(before)), Value::Object(after))
                if !before.contains_key(EXPRESSION) && !after.contains_key(EXPRESSION) =>
            {
                changes.insert(key.clone(), Value::Object(patch(before, after)));
            }
            _ => {
                changes.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        changes.insert(key.clone(), Value::Null);
    }
    changes
}

impl Common {
    /// What was taken out, in words.
    pub(super) fn lines(&self) -> Vec<String> {
        let list = |map: &App| map.keys().cloned().collect::<Vec<_>>().join(", ");
        let mut lines = Vec::new();
        if !self.keys.is_empty() {
            lines.push(format!("  what all apps have is said once: {}", list(&self.keys)));
        }
        if !self.env.is_empty() {
            lines.push(format!("  variables that all apps with an `env` have are said once: {}", list(&self.env)));
        }
        lines
    }
}
