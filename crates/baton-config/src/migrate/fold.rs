//! What is said several times, said once.

use super::source::EXPRESSION;
use serde_json::{Map, Value, json};

type App = Map<String, Value>;

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
    let shared = |maps: &[&App]| -> App {
        let Some((first, rest)) = maps.split_first() else { return App::new() };
        let each = first.iter().filter(|(key, value)| rest.iter().all(|map| map.get(*key) == Some(value)));
        each.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
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

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.env.is_empty()
    }
}
