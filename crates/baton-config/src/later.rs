//! What an app asks for that this version only keeps.

use crate::error::{Place, Warning};
use baton_core::spec::{AppSpec, LATER, truthy};
use serde_json::Value;

/// Keys whose value changes nothing that a user could see: settings of PM2's own parts.
const HARMLESS: &[&str] = &[
    "vizion",
    "automation",
    "source_map_support",
    "disable_source_map_support",
    "disable_trace",
    "windowsHide",
    "kill_retry_time",
    // `check` and `start` act on these.
    "artifacts",
    "on_missing",
    "required_env",
];

/// The keys of [`LATER`] that an app sets to something this version would have to do, and does not do.
pub fn not_acted_on(app: &AppSpec) -> Vec<&'static str> {
    let on = |key: &str| app.declared.get(key).is_some_and(asks);
    LATER.iter().map(|field| field.name).filter(|key| on(key) && !HARMLESS.contains(key)).collect()
}

fn asks(value: &Value) -> bool {
    let empty = match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    truthy(value) && !empty
}

/// One warning for all keys of all apps that are only kept.
pub(crate) fn warnings(apps: &[AppSpec], place: &Place) -> Vec<Warning> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for app in apps {
        for key in not_acted_on(app) {
            match found.iter_mut().find(|(known, _)| *known == key) {
                Some((_, names)) => names.push(&app.name),
                None => found.push((key, vec![&app.name])),
            }
        }
    }
    let listed: Vec<String> = found.iter().map(|(key, names)| format!("{key} ({})", names.join(", "))).collect();
    let kept = (!listed.is_empty())
        .then(|| Warning::new(format!("{place}: kept but not acted on by this version: {}", listed.join(", "))));
    kept.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn app(name: &str, declared: Value) -> AppSpec {
        let declared = serde_json::from_value(declared).expect("a map");
        AppSpec { name: name.into(), declared, ..AppSpec::default() }
    }

    #[test]
    fn harmless_values_are_quiet_and_the_others_are_told_once() {
        let quiet = app(
            "quiet",
            json!({"vizion": true, "automation": false, "source_map_support": true,
                   "windowsHide": true, "kill_retry_time": 100, "trace": false, "post_update": []}),
        );
        assert_eq!(not_acted_on(&quiet), [""; 0]);
        assert_eq!(warnings(&[quiet], &Place::default()), []);
        let a = app("a", json!({"trace": true, "io": {"a": 1}}));
        let b = app("b", json!({"trace": true}));
        let told: Vec<String> =
            warnings(&[a, b], &Place::file("f.js".as_ref())).into_iter().map(|warning| warning.message).collect();
        assert_eq!(told, ["process file f.js: kept but not acted on by this version: io (a), trace (a, b)"]);
    }
}
