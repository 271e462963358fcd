//! `docs/process-file.schema.json` is made from the table of keys, and the files of the other tests fit it.

use baton_config::{LoadOptions, evaluate, schema};
use baton_core::spec::{ChangeClass, FIELDS, LATER};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Whether a value fits a schema, as far as ours uses the language; every other word is a failure of the test.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    let rules = schema.as_object().expect("a schema");
    rules.iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "$defs" | "title" | "description" => true,
        "$ref" => {
            let path = rule.as_str().and_then(|path| path.strip_prefix('#')).expect("a path");
            fits(value, root.pointer(path).expect("a definition"), root)
        }
        "anyOf" => rule.as_array().expect("schemas").iter().any(|one| fits(value, one, root)),
        "enum" => rule.as_array().expect("values").contains(value),
        "type" => match rule {
            Value::Array(kinds) => kinds.iter().any(|kind| is(value, kind)),
            kind => is(value, kind),
        },
        "minimum" => value.as_f64().is_none_or(|number| Some(number) >= rule.as_f64()),
        "maximum" => value.as_f64().is_none_or(|number| Some(number) <= rule.as_f64()),
        "maxItems" => value.as_array().is_none_or(|list| Some(list.len() as u64) <= rule.as_u64()),
        "items" => value.as_array().is_none_or(|list| list.iter().all(|item| fits(item, rule, root))),
        "properties" => value.as_object().is_none_or(|map| {
            map.iter().all(|(key, inner)| rule.get(key).is_none_or(|schema| fits(inner, schema, root)))
        }),
        "patternProperties" => value.as_object().is_none_or(|map| {
            let schema = rule.as_object().and_then(|rules| rules.values().next()).expect("one pattern");
            let meant = |key: &str| key.starts_with("env_") && key != "env_file";
            map.iter().filter(|(key, _)| meant(key)).all(|(_, inner)| fits(inner, schema, root))
        }),
        "additionalProperties" => value.as_object().is_none_or(|map| {
            let known = |key: &str| rules.get("properties").is_some_and(|known| known.get(key).is_some());
            map.iter().filter(|(key, _)| !known(key)).all(|(_, inner)| match rule {
                Value::Bool(allowed) => *allowed,
                schema => fits(inner, schema, root),
            })
        }),
        other => panic!("the test knows no `{other}`"),
    })
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type `{other}`"),
    }
}

fn export(file: &Path) -> Value {
    let options = LoadOptions { caller_cwd: here(), ..LoadOptions::default() };
    let value =
        evaluate(&[file.to_owned()], &options).unwrap_or_else(|wrong| panic!("{}: {wrong}", file.display())).value;
    value.get("default").cloned().unwrap_or(value)
}

#[test]
fn the_schema_in_the_docs_is_up_to_date() {
    let text = format!("{:#}\n", schema::process_file());
    let path = here().join("../../docs/process-file.schema.json");
    if std::env::var_os("BATON_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).expect("the schema is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, text, "out of date: BATON_WRITE_DOCS=1 cargo test -p baton-config --test schema");
}

#[test]
fn every_key_and_every_other_name_of_it_is_there() {
    let schema = schema::process_file();
    let properties = schema.pointer("/$defs/app/properties").expect("the keys of an app");
    for field in
        FIELDS.iter().chain(LATER).filter(|field| field.class != ChangeClass::Context && field.name != "declared")
    {
        for name in std::iter::once(&field.name).chain(field.aliases) {
            let described = properties.get(*name).and_then(|schema| schema.get("description"));
            assert!(described.is_some(), "{name} is not in the schema");
        }
    }
}

#[test]
fn files_that_load_fit_and_wrong_values_do_not() {
    let schema = schema::process_file();
    let data = here().join("tests/data");
    for file in [
        "apps.yaml",
        "apps.toml",
        "loose.json",
        "full.config.cjs",
        "shapes/list.json",
        "shapes/one.yml",
        "shapes/single.config.js",
    ] {
        let value = export(&data.join(file));
        assert!(fits(&value, &schema, &schema), "{file} does not fit: {value}");
    }
    let (app, unit, profile) = (
        schema.pointer("/$defs/app").expect("an app"),
        schema.pointer("/$defs/unit").expect("a unit"),
        schema.pointer("/$defs/profile").expect("a profile"),
    );
    for (text, part) in [
        (r#"{"script": ["a"]}"#, app),
        (r#"{"exec_mode": "cluser"}"#, app),
        (r#"{"port": 70000}"#, app),
        (r#"{"env": "A=1"}"#, app),
        (r#"{"env_production": 1}"#, app),
        (r#"{"watch": {}}"#, app),
        (r#"{"apps": [], "extra": 1}"#, unit),
        (r#"{"remove": 1}"#, profile),
    ] {
        let value: Value = serde_json::from_str(text).expect("JSON");
        assert!(!fits(&value, part, &schema), "{text} fits");
    }
}
