//! Which unit an app belongs to that does not say so.
//!
//! People group their apps without a word for it: a module exports `{ name, apps }`, or the apps of an agent share the
//! variable `AGENT_NAME` and a prefix. Both are taken as a unit, in this order:
//!
//! 1. an app of a module that exports a `name` beside its `apps` belongs to the unit of that name;
//! 2. apps with the same `AGENT_NAME` whose names begin with it and `_`, in any case, are a unit, which is called as
//!    their names begin; the other apps that the agent's own file defines belong to it too, where that is a module, or
//!    the process file in a folder of the agent's name;
//! 3. a `name` beside the `apps` of the process file itself is the unit of the rest.
//!
//! A `namespace`, and `units` of the process file, stand above all of them: they are in the apps when this is asked.

use crate::js::Exported;
use crate::keys;
use serde_json::{Map, Value};
use std::path::Path;

type App = Map<String, Value>;

/// The unit of each app that says none and belongs to one.
pub(crate) fn units(path: &Path, root: &Value, exported: &[Exported], apps: &[&App]) -> Vec<Option<String>> {
    let files: Vec<Option<usize>> = apps.iter().map(|app| file_of(app, exported)).collect();
    let agents = agents(apps);
    let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy());
    let of_module = |app: &App| exported.iter().find(|list| list.has_name() && list.holds(app))?.name.clone();
    let of_file = |app: &App, file: Option<usize>| {
        let agent = agent_of_file(file, &files, &agents)?;
        let is_its_own = file.is_some() || folder.as_deref().is_some_and(|name| same(name, agent));
        let is_its_app = agent_name(app).is_none_or(|name| same(name, agent));
        (is_its_own && is_its_app).then(|| agent.to_owned())
    };
    let around = || list_name(root).map(str::to_owned);
    apps.iter()
        .zip(&files)
        .zip(&agents)
        .map(|((app, file), agent)| match says_its_unit(app) {
            true => None,
            false => of_module(app).or_else(|| agent.clone()).or_else(|| of_file(app, *file)).or_else(around),
        })
        .collect()
}

impl Exported {
    fn has_name(&self) -> bool {
        self.name.as_ref().is_some_and(|name| !name.is_empty())
    }

    /// Whether an app is one of this list: by its name, or by all it says where it has none.
    fn holds(&self, app: &App) -> bool {
        self.apps.iter().any(|one| match (one, app.get("name").and_then(Value::as_str)) {
            (Value::String(listed), Some(name)) => listed == name,
            (Value::Object(listed), None) => listed == app,
            _ => false,
        })
    }
}

/// The list that an app is from: the first, because a module stands behind those that it loads. `None` is the process
/// file.
pub(crate) fn file_of(app: &App, exported: &[Exported]) -> Option<usize> {
    exported.iter().position(|list| list.holds(app))
}

/// For each app the unit of its agent, when it says its agent and is called after it.
fn agents<'a>(apps: &[&'a App]) -> Vec<Option<String>> {
    // All apps of an agent are in one unit, also where their names are spelled differently.
    let mut known: Vec<(&'a str, &'a str)> = Vec::new();
    let mut unit = |app: &'a App| {
        let agent = agent_name(app)?;
        let name = app.get("name").and_then(Value::as_str)?;
        let (end, _) = name.match_indices('_').find(|(end, _)| same(&name[..*end], agent))?;
        if let Some((_, unit)) = known.iter().find(|(of, _)| *of == agent) {
            return Some((*unit).to_owned());
        }
        known.push((agent, &name[..end]));
        Some(name[..end].to_owned())
    };
    apps.iter().map(|app| unit(app)).collect()
}

/// The unit of the agent whose file this is: the only one among the apps that are from the file.
fn agent_of_file<'a>(file: Option<usize>, files: &[Option<usize>], agents: &'a [Option<String>]) -> Option<&'a str> {
    let mut found = files.iter().zip(agents).filter(|(of, _)| **of == file).filter_map(|(_, unit)| unit.as_deref());
    let first = found.next()?;
    found.all(|unit| unit == first).then_some(first)
}

fn agent_name(app: &App) -> Option<&str> {
    app.get("env")?.get("AGENT_NAME")?.as_str().filter(|name| !name.is_empty())
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Whether an app says itself to which unit it belongs.
fn says_its_unit(app: &App) -> bool {
    let is_namespace = |key: &str| keys::find(key).is_some_and(|(field, _)| field.name == "namespace");
    app.iter().any(|(key, value)| !value.is_null() && is_namespace(key))
}

/// The name beside the apps of the process file.
fn list_name(root: &Value) -> Option<&str> {
    let list = [Some(root), root.get("default")].into_iter().flatten().find(|level| level.get("apps").is_some())?;
    list.get("name")?.as_str().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The units of the apps of a file `/w/<file>` that loads modules with these exports; `-` is none.
    fn found(file: &str, root: Value, modules: Value) -> Vec<String> {
        let exported: Vec<Exported> = serde_json::from_value(modules).unwrap();
        let apps = crate::js::exports::apps(&root).unwrap();
        let units = units(&Path::new("/w").join(file), &root, &exported, &apps);
        units.into_iter().map(|unit| unit.unwrap_or_else(|| "-".into())).collect()
    }

    fn app(name: &str) -> Value {
        json!({ "name": name, "script": "x" })
    }

    fn of_agent(name: &str, agent: &str) -> Value {
        json!({ "name": name, "script": "x", "env": { "AGENT_NAME": agent } })
    }

    #[test]
    fn apps_of_a_module_with_a_name_belong_to_it() {
        let unnamed = json!({ "script": "y" });
        let modules = json!([
            { "name": "owl", "apps": ["ears", unnamed] },
            { "apps": ["tts"] },
            { "name": "all", "apps": ["ears", "tts", "more"] },
        ]);
        let root = json!({ "apps": [app("ears"), unnamed, app("tts"), app("more"), app("own"), { "script": "z" }] });
        assert_eq!(found("e.js", root, modules), ["owl", "owl", "all", "all", "-", "-"]);
    }

    #[test]
    fn a_namespace_is_never_overruled() {
        let said = json!({ "name": "ears", "script": "x", "namespace": "mine" });
        let also = json!({ "name": "duck_a", "script": "x", "namespace": "mine", "env": { "AGENT_NAME": "duck" } });
        let nothing = json!({ "name": "eyes", "script": "x", "namespace": null });
        let modules = json!([{ "name": "owl", "apps": ["ears", "eyes"] }]);
        let root = json!({ "name": "root", "apps": [said, also, nothing] });
        assert_eq!(found("e.js", root, modules), ["-", "-", "owl"]);
    }

    #[test]
    fn an_agent_is_known_by_its_variable_and_its_prefix() {
        let apps = [
            of_agent("duck_a", "Duck"),
            of_agent("DUCK_b", "Duck"),
            of_agent("big_owl_c", "Big_Owl"),
            of_agent("duckling_d", "Duck"),
            of_agent("e", "Duck"),
            app("duck_f"),
        ];
        assert_eq!(found("e.js", json!({ "apps": apps }), json!([])), ["duck", "duck", "big_owl", "-", "-", "-"]);
    }

    #[test]
    fn the_other_apps_of_an_agents_own_module_belong_to_it() {
        let duck = json!({ "apps": ["duck_a", "chromadb"] });
        let apps = [of_agent("duck_a", "Duck"), app("chromadb"), app("tts"), app("own")];
        // A module that passes on what others define has only what is its own.
        let modules = json!([duck, { "apps": ["tts"] }, { "apps": ["duck_a", "chromadb", "tts"] }]);
        assert_eq!(found("e.js", json!({ "apps": apps }), modules), ["duck", "duck", "-", "-"]);
        // Where two agents share a file, it is nobody's own.
        let both = [of_agent("duck_a", "Duck"), of_agent("owl_a", "Owl"), app("db")];
        let module = json!([{ "apps": ["duck_a", "owl_a", "db"] }]);
        assert_eq!(found("e.js", json!({ "apps": both }), module), ["duck", "owl", "-"]);
        // An app that says another agent is that one's.
        let guest = [of_agent("duck_a", "Duck"), of_agent("guest", "Owl")];
        assert_eq!(found("e.js", json!({ "apps": guest }), json!([{ "apps": ["duck_a", "guest"] }])), ["duck", "-"]);
    }

    #[test]
    fn a_process_file_is_an_agents_own_in_the_agents_folder() {
        let root = json!({ "apps": [of_agent("duck_a", "Duck"), app("chromadb")] });
        assert_eq!(found("agents/Duck/e.js", root.clone(), json!([])), ["duck", "duck"]);
        assert_eq!(found("agents/e.js", root, json!([])), ["duck", "-"]);
    }

    #[test]
    fn a_name_beside_the_apps_is_for_those_that_nothing_else_claims() {
        let apps = [of_agent("duck_a", "Duck"), app("ears")];
        assert_eq!(found("e.js", json!({ "name": "owl", "apps": apps }), json!([])), ["duck", "owl"]);
        assert_eq!(found("e.js", json!({ "default": { "name": "owl", "apps": [app("a")] } }), json!([])), ["owl"]);
        assert_eq!(found("e.js", app("alone"), json!([])), ["-"]);
    }
}
