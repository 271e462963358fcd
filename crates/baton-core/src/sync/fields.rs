//! What differs between two definitions, key by key; maps of variables are told variable by variable.

use crate::spec::{AppSpec, Change, ChangeClass};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Keys whose members are told one by one, and what stands in front of a member.
const MAPS: &[(&str, &str)] = &[("env", "env."), ("declared", "")];

/// What differs, from the definition now to the one that is wished.
pub fn between(now: &AppSpec, wished: &AppSpec) -> Vec<Change> {
    now.changes(wished).into_iter().flat_map(members).collect()
}

/// The names of what differs, as a text.
pub fn paths(fields: &[Change]) -> String {
    fields.iter().map(|change| change.field.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether any of it takes a new process. Another schedule does not, but what was run all the time is to be run at times
/// now, or the other way round, does.
pub(crate) fn needs_restart(fields: &[Change]) -> bool {
    let turns = |change: &Change| change.field == "schedule" && (change.old.is_null() || change.new.is_null());
    fields.iter().any(|change| change.class == ChangeClass::Restart || turns(change))
}

fn members(change: Change) -> Vec<Change> {
    let Some((_, prefix)) = MAPS.iter().find(|(name, _)| *name == change.field) else { return vec![change] };
    let none = Map::new();
    let (old, new) = (change.old.as_object().unwrap_or(&none), change.new.as_object().unwrap_or(&none));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or(Value::Null);
    let differing = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    differing
        .map(|key| Change {
            field: format!("{prefix}{key}"),
            class: change.class,
            old: value(old, key),
            new: value(new, key),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_are_told_one_by_one() {
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let now = AppSpec { env: env(&[("A", "1"), ("B", "2"), ("C", "3")]), ..AppSpec::default() };
        let wished = AppSpec { env: env(&[("A", "1"), ("B", "4"), ("D", "5")]), max_restarts: Some(3), ..now.clone() };
        let found = between(&now, &wished);
        assert_eq!(paths(&found), "env.B, env.C, env.D, max_restarts");
        assert_eq!((&found[1].old, &found[1].new), (&json!("3"), &Value::Null));
        assert!(needs_restart(&found) && !needs_restart(&found[3..]));
        assert_eq!(between(&now, &now), []);
    }
}
