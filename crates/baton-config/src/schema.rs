//! The JSON Schema of process files, for editors: made from the table of keys.

use baton_core::spec::{ChangeClass, FIELDS, Field, Kind, LATER};
use serde_json::{Map, Value, json};

/// The schema of a process file: a list of apps, one app, or a map with `apps`, `units` and `profiles`.
///
/// It is generous: keys may be spelled in camel and kebab case as well, and what is unknown is passed over with a
/// warning, so only values that the loader would refuse are wrong here.
pub fn process_file() -> Value {
    let mut app = Map::new();
    // What the loader fills in itself is no key of a file.
    let fields = FIELDS.iter().filter(|field| field.class != ChangeClass::Context && field.name != "declared");
    for field in fields.chain(LATER) {
        app.insert(field.name.into(), described(field, None));
        for alias in field.aliases {
            app.insert((*alias).into(), described(field, Some(field.name)));
        }
    }
    app.insert("kind".into(), json!({"description": "Made by the helper of this name.", "type": "string"}));
    let of_python = [
        (
            "manager",
            "Of `kind: python`: what runs it; by default what lies in `cwd` says so.",
            json!({"enum": ["pipenv", "uv", "venv", null]}),
        ),
        (
            "module",
            "Of `kind: python`: the module that is run, by default `main`.",
            json!({"type": ["string", "null"]}),
        ),
        ("venv", "Of `kind: python`: the directory of the virtual environment.", json!({"type": ["string", "null"]})),
    ];
    for (key, doc, mut schema) in of_python {
        schema["description"] = doc.into();
        app.insert(key.into(), schema);
    }
    let texts = json!({"type": ["string", "array"], "items": {"type": "string"}});
    let variables = json!({"type": "object"});
    let unit = json!({"type": "object", "additionalProperties": false, "properties": {
        "apps": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/app"}]}},
        "env": variables, "env_file": texts, "depends_on": {}, "prefix": {"type": "string"}, "heartbeat": {}, "on_event": {},
    }});
    let patches = json!({"anyOf": [
        {"type": "array", "items": {"$ref": "#/$defs/patch"}},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/patch"}},
    ]});
    let profile = json!({"type": "object", "additionalProperties": false, "properties": {
        "extends": texts, "env": variables, "apps": patches, "remove": texts,
    }});
    let file = json!({"type": "object", "properties": {
        "apps": {"anyOf": [{"$ref": "#/$defs/apps"}, {"$ref": "#/$defs/app"}]},
        "units": {"type": "object", "additionalProperties": {"anyOf": [texts, {"$ref": "#/$defs/unit"}]}},
        "profiles": {"type": "object", "additionalProperties": {"$ref": "#/$defs/profile"}},
        "external": {"type": "object", "additionalProperties": {"$ref": "#/$defs/external"}},
        "on_missing": {"type": "string"},
        "prune": {"type": "boolean"},
        "generate": texts, "generate_from": texts, "emit": texts,
        "env_priority": {"enum": ["file", "shell"]},
        "heartbeat": {}, "on_event": {},
    }});
    let external = json!({"type": "object", "additionalProperties": false, "properties": {
        "tcp": {"type": ["string", "integer"]}, "http": {"type": "string"}, "exec": {"type": "string"},
        "hint": {"type": "string"}, "start": {"type": "string"}, "timeout": {"type": ["string", "number"]},
    }});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Process file of baton",
        "anyOf": [{"$ref": "#/$defs/file"}, {"$ref": "#/$defs/apps"}, {"$ref": "#/$defs/app"}],
        "$defs": {
            "file": file,
            "apps": {"type": "array", "items": {"$ref": "#/$defs/app"}},
            "app": {"type": "object", "properties": app, "patternProperties": {"^env[_-](?!file$|priority$)": variables}},
            // `null` takes a key away, so a patch fits nothing but the names of the keys.
            "patch": {"type": "object"},
            "unit": unit,
            "profile": profile,
            "external": external,
        },
    })
}

fn described(field: &Field, alias_of: Option<&str>) -> Value {
    let mut schema = kind(field);
    let doc = field.doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let doc = alias_of.map_or_else(|| doc.clone(), |name| format!("The same as `{name}`. {doc}"));
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".into(), doc.into());
    }
    schema
}

/// What a value may be; `null` counts as not given, everywhere.
fn kind(field: &Field) -> Value {
    let texts = json!({"type": "string"});
    match field.kind {
        Kind::Text | Kind::Path if field.name == "log_file" => json!({"type": ["string", "boolean", "null"]}),
        Kind::Text | Kind::Path | Kind::Signal => json!({"type": ["string", "number", "null"]}),
        Kind::Bool => json!({"type": ["boolean", "string", "number", "null"]}),
        Kind::Integer(least, most) => {
            json!({"type": ["integer", "string", "null"], "minimum": least, "maximum": most})
        }
        Kind::Instances => json!({"type": ["integer", "string", "null"]}),
        Kind::Size | Kind::Duration | Kind::Cpus => json!({"type": ["number", "string", "null"]}),
        Kind::Words | Kind::Texts => {
            json!({"type": ["string", "array", "null"], "items": {"type": ["string", "number", "boolean"]}})
        }
        Kind::Integers => json!({"type": ["integer", "string", "array", "null"]}),
        Kind::Environment => json!({"type": ["object", "array", "null"], "maxItems": 0}),
        Kind::Choice(words) => {
            let choices: Vec<Value> = words.iter().map(|word| json!(word)).chain([Value::Null]).collect();
            json!({ "enum": choices })
        }
        Kind::Switch => json!({"type": ["boolean", "string", "array", "null"], "items": texts}),
        Kind::Dependencies => json!({"type": ["string", "array", "object", "null"]}),
        Kind::Readiness => json!({"type": ["string", "object", "null"]}),
        Kind::Heartbeat => json!({"type": ["boolean", "object", "null"]}),
        Kind::Health => json!({"type": ["object", "boolean", "null"]}),
        Kind::Hooks => json!({"type": ["string", "object", "array", "boolean", "null"]}),
        Kind::Schedule => json!({"type": ["string", "object", "boolean", "null"]}),
        Kind::Listen => json!({"type": ["integer", "string", "array", "object", "null"]}),
        Kind::Map | Kind::Rlimits => json!({"type": ["object", "null"]}),
        Kind::Any => json!({}),
    }
}
