//! A process file as text, in the format of the original.

use super::fold::Common;
use super::source::{EXPRESSION, Source};
use super::{Left, extension, is_js};
use crate::render::{self, Format};
use serde_json::{Map, Value};

type App = Map<String, Value>;

/// How wide a line may become before a map is broken up.
const WIDTH: usize = 100;

/// A process file in the format of its source: its apps, what they share, and what stands beside them.
///
/// # Errors
/// When the format has no notation for it.
pub(super) fn write(source: &Source, apps: &[App], common: &Common, beside: &App) -> Result<String, Left> {
    if is_js(&source.path) {
        return Ok(javascript(source, apps, common, beside));
    }
    let mut root = App::new();
    root.insert("apps".into(), Value::Array(apps.iter().cloned().map(Value::Object).collect()));
    root.extend(beside.clone());
    let format = match extension(&source.path) {
        "json" => Format::Json,
        "yaml" | "yml" => Format::Yaml,
        "toml" => Format::Toml,
        other => return Err(format!("is in a format (.{other}) that is not written")),
    };
    let body = render::text(format, &Value::Object(root), None)?;
    let mark = if format == Format::Json { "//" } else { "#" };
    Ok(format!("{}{body}", heading(&source.heading, mark)))
}

fn heading(lines: &[String], mark: &str) -> String {
    lines.iter().map(|line| format!("{}\n", format!("{mark} {line}").trim_end())).collect()
}

fn javascript(source: &Source, apps: &[App], common: &Common, beside: &App) -> String {
    let mut out = heading(&source.heading, "//");
    if !common.keys.is_empty() {
        out.push_str(&format!("const common = {};\n", js(&Value::Object(common.keys.clone()), 0)));
    }
    if !common.env.is_empty() {
        out.push_str(&format!("const env = {};\n", js(&Value::Object(common.env.clone()), 0)));
    }
    if !common.keys.is_empty() || !common.env.is_empty() {
        out.push('\n');
    }
    let start = if source.is_module { "export default" } else { "module.exports =" };
    out.push_str(&format!("{start} {{\n  apps: [\n"));
    for app in apps {
        out.push_str(&format!("    {},\n", js_app(app, common)));
    }
    out.push_str("  ],\n");
    for (key, value) in beside {
        out.push_str(&format!("  {}: {},\n", js_key(key), js(value, 1)));
    }
    out.push_str("};\n");
    let out = if source.is_module { out.replace("__dirname", "import.meta.dirname") } else { out };
    // A module has no `require`.
    if source.is_module && out.contains("require(\"path\").resolve") {
        return format!(
            "import {{ resolve }} from \"node:path\";\n\n{}",
            out.replace("require(\"path\").resolve", "resolve")
        );
    }
    out
}

/// An app whose name stands first, then what it shares, then its own.
fn js_app(app: &App, common: &Common) -> String {
    let mut members: Vec<(String, String)> = Vec::new();
    let mut own = app.clone();
    if let Some(name) = own.shift_remove("name") {
        members.push(("name: ".into(), js(&name, 3)));
    }
    if !common.keys.is_empty() {
        members.push((String::new(), "...common".into()));
    }
    for (key, value) in own {
        let text = match (&value, key.as_str()) {
            (Value::Object(map), "env") if !common.env.is_empty() => match map.is_empty() {
                true => "env".into(),
                false => {
                    js_members(std::iter::once((String::new(), "...env".to_owned())).chain(js_map(map, 3)).collect(), 3)
                }
            },
            _ => js(&value, 3),
        };
        if text == "env" && key == "env" {
            members.push((String::new(), text));
        } else {
            members.push((format!("{}: ", js_key(&key)), text));
        }
    }
    js_members(members, 2)
}

/// A value as JavaScript, at this depth.
fn js(value: &Value, depth: usize) -> String {
    match value {
        Value::Object(map) => match map.get(EXPRESSION) {
            Some(Value::String(expression)) => expression.clone(),
            _ => js_members(js_map(map, depth + 1), depth),
        },
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(|item| js(item, depth + 1)).collect();
            let flat = format!("[{}]", items.join(", "));
            if !flat.contains('\n') && flat.len() + depth * 2 < WIDTH {
                return flat;
            }
            let pad = "  ".repeat(depth + 1);
            let lines: String = items.iter().map(|item| format!("{pad}{item},\n")).collect();
            format!("[\n{lines}{}]", "  ".repeat(depth))
        }
        plain => plain.to_string(),
    }
}

fn js_map(map: &App, depth: usize) -> Vec<(String, String)> {
    map.iter().map(|(key, value)| (format!("{}: ", js_key(key)), js(value, depth))).collect()
}

/// A map on one line where it is short, else a member a line.
fn js_members(members: Vec<(String, String)>, depth: usize) -> String {
    if members.is_empty() {
        return "{}".into();
    }
    let each: Vec<String> = members.iter().map(|(key, value)| format!("{key}{value}")).collect();
    let flat = format!("{{ {} }}", each.join(", "));
    if !flat.contains('\n') && flat.len() + depth * 2 < WIDTH {
        return flat;
    }
    let pad = "  ".repeat(depth + 1);
    let lines: String = each.iter().map(|member| format!("{pad}{member},\n")).collect();
    format!("{{\n{lines}{}}}", "  ".repeat(depth))
}

fn js_key(key: &str) -> String {
    // A bare `__proto__` would set the prototype.
    let plain = !key.is_empty()
        && key != "__proto__"
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    let quoted = Value::from(key).to_string();
    if plain {
        key.into()
    } else if key == "__proto__" {
        format!("[{quoted}]")
    } else {
        quoted
    }
}

/// A process file in ClojureScript.
pub(super) fn clojurescript(heading_lines: &[String], apps: &[App], common: &Common, beside: &App) -> String {
    let mut out = heading(heading_lines, ";;");
    let profiles = beside.get("profiles").and_then(Value::as_object);
    let names = if profiles.is_some() { "defapp defprofile ecosystem" } else { "defapp ecosystem" };
    out.push_str(&format!("(ns ecosystem\n  (:require [clobber.macro :refer [{names}]]))\n"));
    for (name, map) in [("common", &common.keys), ("env", &common.env)] {
        if !map.is_empty() {
            out.push_str(&format!("\n(def {name}\n  {})\n", lisp(&Value::Object(map.clone()), 2)));
        }
    }
    for app in apps {
        let mut own = app.clone();
        let name = own.shift_remove("name").unwrap_or_default();
        let env = own.get("env").and_then(Value::as_object).filter(|_| !common.env.is_empty()).cloned();
        let mut members = lisp_map(&own, 4);
        if let Some(env) = env {
            let text = match env.is_empty() {
                true => "env".to_owned(),
                false => format!("(merge env {})", lisp(&Value::Object(env), 4)),
            };
            members.iter_mut().filter(|(key, _)| key == ":env").for_each(|(_, value)| value.clone_from(&text));
        }
        let map = lisp_members(&members, 2);
        let body = match (common.keys.is_empty(), members.is_empty()) {
            (true, _) => map,
            (false, true) => "common".into(),
            (false, false) => format!("(merge common {map})"),
        };
        out.push_str(&format!("\n(defapp {name}\n  {body})\n"));
    }
    for (name, profile) in profiles.into_iter().flatten() {
        out.push_str(&format!("\n(defprofile {}\n  {})\n", lisp_key(name), lisp(profile, 2)));
    }
    out.push_str("\n(ecosystem)\n");
    out
}

fn lisp(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "nil".into(),
        Value::Object(map) => lisp_members(&lisp_map(map, depth + 1), depth),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(|item| lisp(item, depth + 1)).collect();
            let flat = format!("[{}]", items.join(" "));
            if !flat.contains('\n') && flat.len() + depth < WIDTH {
                return flat;
            }
            format!("[{}]", items.join(&format!("\n{}", " ".repeat(depth + 1))))
        }
        plain => plain.to_string(),
    }
}

fn lisp_map(map: &App, depth: usize) -> Vec<(String, String)> {
    map.iter().map(|(key, value)| (lisp_key(key), lisp(value, depth + key.len() + 2))).collect()
}

fn lisp_members(members: &[(String, String)], depth: usize) -> String {
    let each: Vec<String> = members.iter().map(|(key, value)| format!("{key} {value}")).collect();
    let flat = format!("{{{}}}", each.join(" "));
    if !flat.contains('\n') && flat.len() + depth < WIDTH {
        return flat;
    }
    format!("{{{}}}", each.join(&format!("\n{}", " ".repeat(depth + 1))))
}

fn lisp_key(key: &str) -> String {
    let plain = !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if plain { format!(":{key}") } else { Value::from(key).to_string() }
}
