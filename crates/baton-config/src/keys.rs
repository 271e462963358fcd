//! Which key of an app is meant: spellings, aliases, profiles `env_<name>`, and the nearest known key for a wrong one.

use crate::error::Warning;
use baton_core::spec::{FIELDS, Field, LATER, truthy};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One value of an app, with the key as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The key as written.
    pub written: String,
    /// Its value.
    pub value: Value,
}

/// The keys of one app, under their canonical names.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// By canonical name, in the order of the table.
    pub fields: BTreeMap<&'static str, Given>,
    /// The environments `env_<name>`, by name.
    pub profiles: BTreeMap<String, Given>,
    /// Keys that are unknown or given twice.
    pub warnings: Vec<Warning>,
}

/// Keys that PM2's own schema has and that only its command line sets; they say nothing about an app.
const PLUMBING: &[&str] = &["force", "write", "execute_command", "install_url", "name_prefix", "exec_timeout"];
/// Keys that the loader itself derives; a file cannot set them.
const DERIVED: &[&str] = &["env_profiles", "env_layers", "base_env", "declared", "source", "username"];

/// Sorts the keys of one app. `app` is its name for warnings. Values `null` count as not given.
pub fn sort(raw: &Map<String, Value>, app: &str) -> Keys {
    let mut keys = Keys::default();
    let mut spellings: BTreeMap<&'static str, Vec<(usize, Given)>> = BTreeMap::new();
    for (written, value) in raw.iter().filter(|(_, value)| !value.is_null()) {
        let given = Given { written: written.clone(), value: value.clone() };
        if let Some((field, rank)) = find(written) {
            spellings.entry(field.name).or_default().push((rank, given));
        } else if let Some(name) = profile(written) {
            keys.profiles.insert(name.into(), given);
        } else if !PLUMBING.contains(&&*snake(written)) && !DERIVED.contains(&&*snake(written)) {
            keys.warnings.push(unknown(written, app));
        }
    }
    for (name, mut all) in spellings {
        all.sort_by_key(|(rank, given)| (!truthy(&given.value), *rank));
        let mut all = all.into_iter().map(|(_, given)| given);
        let Some(first) = all.next() else { continue };
        for other in all.filter(|other| other.value != first.value) {
            keys.warnings.push(Warning::new(format!(
                "{app}: `{}` and `{}` are spellings of one key with different values; `{}` is used",
                first.written, other.written, first.written
            )));
        }
        keys.fields.insert(name, first);
    }
    keys
}

/// The name of the profile when the key is `env_<name>` or `env-<name>`.
pub fn profile(written: &str) -> Option<&str> {
    let name = written.strip_prefix("env_").or_else(|| written.strip_prefix("env-"))?;
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// The row for a key in any spelling, with the rank of this spelling: 0 is taken before all others, as PM2 does (the key
/// itself, then its aliases from the last, then camel case; kebab case is ours).
pub fn find(written: &str) -> Option<(&'static Field, usize)> {
    let rank_exact = |field: &Field| {
        // PM2's own name of this key is the alias.
        if field.name == "interpreter" && written == "exec_interpreter" {
            return Some(0);
        }
        if field.name == written {
            return Some(1);
        }
        field.aliases.iter().rev().position(|alias| *alias == written).map(|at| 2 + at)
    };
    let all = || FIELDS.iter().chain(LATER).filter(|field| !DERIVED.contains(&field.name));
    if let Some(found) = all().find_map(|field| Some((field, rank_exact(field)?))) {
        return Some(found);
    }
    let snake = snake(written);
    let rank = if written.contains('-') { 101 } else { 100 };
    all().find(|field| field.name == snake || field.aliases.contains(&&*snake)).map(|field| (field, rank))
}

/// `maxRestarts` and `max-restarts` as `max_restarts`.
pub fn snake(written: &str) -> String {
    let mut text = String::with_capacity(written.len() + 4);
    for c in written.chars() {
        match c {
            '-' => text.push('_'),
            c if c.is_ascii_uppercase() => {
                if !text.is_empty() && !text.ends_with('_') {
                    text.push('_');
                }
                text.push(c.to_ascii_lowercase());
            }
            c => text.push(c),
        }
    }
    text
}

/// The members of a map that say something, under their names in the spelling of this program.
pub(crate) fn members(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (snake(key), value.clone())).collect()
}

/// The keys of a map that mean nothing there, as they are written.
pub(crate) fn strangers(value: &Value, is_known: impl Fn(&str) -> bool) -> Vec<String> {
    value.as_object().into_iter().flat_map(Map::keys).filter(|key| !is_known(&snake(key))).cloned().collect()
}

fn unknown(written: &str, app: &str) -> Warning {
    let hint = nearest(&snake(written)).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Warning::new(format!("{app}: unknown key `{written}` is ignored{hint}"))
}

/// The known key that a wrong one most likely means.
pub fn nearest(snake: &str) -> Option<&'static str> {
    let words = |key: &str| {
        let mut words: Vec<String> = key.split('_').map(str::to_owned).collect();
        words.sort();
        words
    };
    let names = || {
        FIELDS
            .iter()
            .chain(LATER)
            .filter(|field| !DERIVED.contains(&field.name))
            .flat_map(|field| std::iter::once(field.name).chain(field.aliases.iter().copied()))
    };
    // `watch_ignore` for `ignore_watch`: the right words in the wrong order are further apart than a typo.
    names().find(|name| words(name) == words(snake)).or_else(|| {
        names()
            .map(|name| (strsim::damerau_levenshtein(name, snake), name))
            .filter(|(distance, name)| *distance <= 3 && distance * 3 <= name.len())
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, name)| name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sorted(raw: Value) -> Keys {
        sort(raw.as_object().expect("a map"), "app `a`")
    }

    fn messages(keys: &Keys) -> Vec<&str> {
        keys.warnings.iter().map(|warning| warning.message.as_str()).collect()
    }

    #[test]
    fn snake_camel_and_kebab_are_one_key() {
        for written in ["max_memory_restart", "maxMemoryRestart", "max-memory-restart"] {
            assert_eq!(find(written).map(|(field, _)| field.name), Some("max_memory_restart"), "{written}");
        }
        for (written, name) in [
            ("exec", "script"),
            ("cmd", "script"),
            ("interpreterArgs", "node_args"),
            ("interpreter-args", "node_args"),
            ("execInterpreter", "interpreter"),
            ("err_log", "error_file"),
            ("combineLogs", "merge_logs"),
            ("windowsHide", "windowsHide"),
            ("windows_hide", "windowsHide"),
            ("windows-hide", "windowsHide"),
            ("user", "uid"),
            ("env_file", "env_file"),
            ("envFile", "env_file"),
            ("cron", "cron_restart"),
        ] {
            assert_eq!(find(written).map(|(field, _)| field.name), Some(name), "{written}");
        }
        assert!(find("base_env").is_none());
    }

    #[test]
    fn the_key_itself_wins_then_the_last_alias_and_false_values_lose() {
        let keys = sorted(json!({"exec": "b.js", "script": "a.js"}));
        assert_eq!(keys.fields["script"].value, json!("a.js"));
        assert_eq!(
            messages(&keys),
            ["app `a`: `script` and `exec` are spellings of one key with different values; `script` is used"]
        );
        let keys = sorted(json!({"out": "o", "out_log": "l", "outFile": "c"}));
        assert_eq!(keys.fields["out_file"].value, json!("l"));
        let keys = sorted(json!({"script": "", "exec": "b.js"}));
        assert_eq!(keys.fields["script"].value, json!("b.js"));
        let keys = sorted(json!({"autorestart": false, "interpreter": "x", "exec_interpreter": "y"}));
        assert_eq!(keys.fields["autorestart"].value, json!(false));
        assert_eq!(keys.fields["interpreter"].value, json!("y"));
        let keys = sorted(json!({"max-restarts": 3, "max_restarts": 3, "args": null}));
        assert_eq!((keys.fields.len(), messages(&keys).len()), (1, 0));
    }

    #[test]
    fn profiles_keep_their_name_and_unknown_keys_are_told_with_the_nearest() {
        let keys = sorted(
            json!({"env_production": {}, "env-dev": {}, "env_": {}, "watch_ignore": [], "max_restart": 1, "xyzzy": 1, "force": true}),
        );
        assert_eq!(keys.profiles.keys().collect::<Vec<_>>(), ["dev", "production"]);
        assert_eq!(
            messages(&keys),
            [
                "app `a`: unknown key `env_` is ignored; did you mean `env`?",
                "app `a`: unknown key `watch_ignore` is ignored; did you mean `ignore_watch`?",
                "app `a`: unknown key `max_restart` is ignored; did you mean `max_restarts`?",
                "app `a`: unknown key `xyzzy` is ignored",
            ]
        );
    }
}
