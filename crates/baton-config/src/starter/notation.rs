//! A draft as text: each format with its own comments, and paths in the way that holds wherever it is read.

use super::{App, Draft, External};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// A format of process files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// CommonJS under the name `.js`.
    Js,
    /// CommonJS.
    Cjs,
    /// An ES module.
    Mjs,
    /// An ES module under the name `.js`, in a package of ES modules.
    EsModule,
    /// TypeScript.
    Ts,
    /// JSON with comments, as PM2 reads it too.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
    /// EDN.
    Edn,
    /// ClojureScript.
    Cljs,
}

/// What most apps come to need, as comments in the first one.
const HINTS: &[(&str, &str)] = &[
    ("env", r#"{ "NODE_ENV": "development" }"#),
    ("env_production", r#"{ "NODE_ENV": "production" }"#),
    ("max_restarts", "10"),
    ("restart_delay", "\"1s\""),
    ("kill_timeout", "\"5s\""),
];
const HINTS_SAY: &str = "Other keys that apps often have; `--env production` puts env_production above env:";

impl Notation {
    /// The last part of the file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Notation::Js | Notation::EsModule => "js",
            Notation::Cjs => "cjs",
            Notation::Mjs => "mjs",
            Notation::Ts => "ts",
            Notation::Json => "json",
            Notation::Yaml => "yaml",
            Notation::Toml => "toml",
            Notation::Edn => "edn",
            Notation::Cljs => "cljs",
        }
    }

    fn is_js(self) -> bool {
        matches!(self, Notation::Js | Notation::Cjs | Notation::Mjs | Notation::EsModule | Notation::Ts)
    }

    pub(super) fn comment(self) -> &'static str {
        match self {
            Notation::Yaml | Notation::Toml => "#",
            Notation::Edn | Notation::Cljs => ";;",
            _ => "//",
        }
    }

    /// Whether the file can say where it lies. In the others a path starts from where baton is called.
    fn knows_its_place(self) -> bool {
        self.is_js() || self == Notation::Cljs
    }

    /// The process file of a draft.
    pub fn write(self, draft: &Draft) -> String {
        let mut out = Out { text: String::new(), notation: self };
        for line in &draft.header {
            out.comment(0, line);
        }
        if !self.knows_its_place() && !draft.apps.is_empty() {
            out.comment(0, "Paths start from the directory that baton is called in.");
        }
        match self {
            Notation::Yaml => out.yaml(draft),
            Notation::Toml => out.toml(draft),
            Notation::Edn => out.edn(draft),
            Notation::Cljs => out.cljs(draft),
            _ => out.braces(draft),
        }
        out.text
    }

    /// A value on one line.
    fn value(self, value: &Value) -> String {
        match value {
            Value::Array(list) => {
                let items: Vec<String> = list.iter().map(|item| self.value(item)).collect();
                format!("[{}]", items.join(if self.is_lisp() { " " } else { ", " }))
            }
            Value::Object(map) => {
                let members: Vec<String> =
                    map.iter().map(|(key, value)| format!("{}{}", self.key(key), self.value(value))).collect();
                match (self.is_lisp(), members.is_empty()) {
                    (_, true) => "{}".into(),
                    (true, false) => format!("{{{}}}", members.join(" ")),
                    (false, false) => format!("{{ {} }}", members.join(", ")),
                }
            }
            Value::Null if self.is_lisp() => "nil".into(),
            plain => plain.to_string(),
        }
    }

    fn is_lisp(self) -> bool {
        matches!(self, Notation::Edn | Notation::Cljs)
    }

    /// A key with what stands between it and its value.
    pub(super) fn key(self, key: &str) -> String {
        let word = !key.is_empty() && !key.starts_with(|c: char| c.is_ascii_digit());
        let plain = word && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let dashed = word && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let quoted = || Value::from(key).to_string();
        match self {
            Notation::Json => format!("{}: ", quoted()),
            Notation::Yaml => format!("{}: ", if dashed && !is_yaml_word(key) { key.to_owned() } else { quoted() }),
            Notation::Toml => format!("{} = ", if dashed { key.to_owned() } else { quoted() }),
            Notation::Edn | Notation::Cljs if dashed => format!(":{key} "),
            Notation::Edn | Notation::Cljs => format!("{} ", quoted()),
            _ => format!("{}: ", if plain { key.to_owned() } else { quoted() }),
        }
    }

    /// Where an app runs, if the file has to say so.
    fn cwd(self, directory: &str) -> Option<String> {
        let below = Value::from(format!("/{directory}")).to_string();
        let here = if matches!(self, Notation::Js | Notation::Cjs) { "__dirname" } else { "import.meta.dirname" };
        match (self, directory.is_empty()) {
            (Notation::Cljs, true) => Some("js/__dirname".into()),
            (Notation::Cljs, false) => Some(format!("(str js/__dirname {below})")),
            (_, true) if self.is_js() => Some(here.into()),
            (_, false) if self.is_js() => Some(format!("{here} + {below}")),
            (_, true) => None,
            (_, false) => Some(Value::from(directory).to_string()),
        }
    }
}

/// Words that YAML takes for something else than a text.
fn is_yaml_word(key: &str) -> bool {
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&key.to_lowercase().as_str())
}

/// A text that grows.
struct Out {
    text: String,
    notation: Notation,
}

impl Out {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a String can't fail.
        let _ = writeln!(self.text, "{:width$}{text}", "", width = depth * 2);
    }

    fn comment(&mut self, depth: usize, text: &str) {
        let line = format!("{} {}", self.notation.comment(), text.replace(['\n', '\r'], " "));
        self.line(depth, &line);
    }

    /// The keys of an app, each as `key` and value as text, `cwd` behind the name.
    fn members(&self, app: &App) -> Vec<(String, String)> {
        let mut members: Vec<(String, String)> = self.map(&app.keys);
        if let Some(cwd) = self.notation.cwd(&app.directory) {
            members.insert(1.min(members.len()), (self.notation.key("cwd"), cwd));
        }
        members
    }

    fn map(&self, keys: &Map<String, Value>) -> Vec<(String, String)> {
        keys.iter().map(|(key, value)| (self.notation.key(key), self.notation.value(value))).collect()
    }

    /// Lines of a map: what each begins and ends with.
    fn lines(&mut self, depth: usize, members: &[(String, String)], end: &str, last: &str) {
        for (at, (key, value)) in members.iter().enumerate() {
            let end = if at + 1 == members.len() { last } else { end };
            self.line(depth, &format!("{key}{value}{end}"));
        }
    }

    /// The comment in the first app about what else it could have.
    fn hints(&mut self, depth: usize, app: &App, end: &str) {
        self.comment(depth, HINTS_SAY);
        for (key, text) in HINTS.iter().filter(|(key, _)| !app.keys.contains_key(*key)) {
            let value = serde_json::from_str(text).unwrap_or(Value::Null);
            let line = format!("{}{}{end}", self.notation.key(key), self.notation.value(&value));
            self.comment(depth, &line);
        }
    }

    /// JavaScript and JSON.
    fn braces(&mut self, draft: &Draft) {
        let js = self.notation.is_js();
        // JSON with a comma behind the last member would be read by PM2, but not by every editor.
        let last = if js { "," } else { "" };
        self.line(
            0,
            match self.notation {
                Notation::Js | Notation::Cjs => "module.exports = {",
                Notation::Json => "{",
                _ => "export default {",
            },
        );
        let list = self.notation.key("apps");
        self.line(1, &format!("{list}["));
        for (at, app) in draft.apps.iter().enumerate() {
            self.line(2, "{");
            self.comment(3, &app.comment);
            let members = self.members(app);
            self.lines(3, &members, ",", last);
            if at == 0 {
                self.hints(3, app, ",");
            }
            let end = if at + 1 == draft.apps.len() { last } else { "," };
            self.line(2, &format!("}}{end}"));
        }
        let more = !draft.externals.is_empty();
        self.line(1, &format!("]{}", if more { "," } else { last }));
        if more {
            self.comment(1, EXTERNALS_SAY);
            let key = self.notation.key("external");
            self.line(1, &format!("{key}{{"));
            for (at, External { comment, name, keys }) in draft.externals.iter().enumerate() {
                self.comment(2, comment);
                let key = self.notation.key(name);
                self.line(2, &format!("{key}{{"));
                let members = self.map(keys);
                self.lines(3, &members, ",", last);
                let end = if at + 1 == draft.externals.len() { last } else { "," };
                self.line(2, &format!("}}{end}"));
            }
            self.line(1, &format!("}}{last}"));
        }
        self.line(0, if js { "};" } else { "}" });
    }

    fn yaml(&mut self, draft: &Draft) {
        self.line(0, if draft.apps.is_empty() { "apps: []" } else { "apps:" });
        for (at, app) in draft.apps.iter().enumerate() {
            self.comment(1, &app.comment);
            for (at, (key, value)) in self.members(app).into_iter().enumerate() {
                self.line(1, &format!("{} {key}{value}", if at == 0 { "-" } else { " " }));
            }
            if at == 0 {
                self.hints(2, app, "");
            }
        }
        if !draft.externals.is_empty() {
            self.comment(0, EXTERNALS_SAY);
            self.line(0, "external:");
            for External { comment, name, keys } in &draft.externals {
                self.comment(1, comment);
                let key = self.notation.key(name);
                self.line(1, key.trim_end());
                let members = self.map(keys);
                self.lines(2, &members, "", "");
            }
        }
    }

    fn toml(&mut self, draft: &Draft) {
        if draft.apps.is_empty() {
            self.line(0, "apps = []");
        }
        for (at, app) in draft.apps.iter().enumerate() {
            self.line(0, "");
            self.comment(0, &app.comment);
            self.line(0, "[[apps]]");
            let members = self.members(app);
            self.lines(0, &members, "", "");
            if at == 0 {
                self.hints(0, app, "");
            }
        }
        if !draft.externals.is_empty() {
            self.line(0, "");
            self.comment(0, EXTERNALS_SAY);
        }
        for External { comment, name, keys } in &draft.externals {
            self.comment(0, comment);
            let key = self.notation.key(name);
            self.line(0, &format!("[external.{}]", key.trim_end_matches(" = ")));
            let members = self.map(keys);
            self.lines(0, &members, "", "");
        }
    }

    fn edn(&mut self, draft: &Draft) {
        self.line(0, "{:apps");
        self.line(1, "[");
        for (at, app) in draft.apps.iter().enumerate() {
            self.comment(2, &app.comment);
            self.lisp_map(2, "{", app, at == 0);
        }
        self.line(1, "]");
        self.lisp_externals(draft);
        self.line(0, "}");
    }

    fn cljs(&mut self, draft: &Draft) {
        self.line(0, "(ns ecosystem");
        self.line(1, "(:require [clobber.macro :refer [defapp ecosystem]]))");
        for (at, app) in draft.apps.iter().enumerate() {
            self.line(0, "");
            self.comment(0, &app.comment);
            let name = Value::from(app.name()).to_string();
            self.line(0, &format!("(defapp {name}"));
            let mut rest = app.clone();
            rest.keys.shift_remove("name");
            self.lisp_map(1, "{", &rest, at == 0);
            self.line(1, ")");
        }
        self.line(0, "");
        if draft.externals.is_empty() {
            self.line(0, "(ecosystem)");
        } else {
            self.line(0, "(merge (ecosystem)");
            self.line(1, "{");
            self.lisp_externals(draft);
            self.line(1, "})");
        }
    }

    fn lisp_map(&mut self, depth: usize, open: &str, app: &App, hints: bool) {
        self.line(depth, open);
        let members = self.members(app);
        self.lines(depth + 1, &members, "", "");
        if hints {
            self.hints(depth + 1, app, "");
        }
        self.line(depth, "}");
    }

    fn lisp_externals(&mut self, draft: &Draft) {
        if draft.externals.is_empty() {
            return;
        }
        self.comment(1, EXTERNALS_SAY);
        self.line(1, ":external");
        self.line(1, "{");
        for External { comment, name, keys } in &draft.externals {
            self.comment(2, comment);
            let key = self.notation.key(name);
            self.line(2, key.trim_end());
            self.line(2, "{");
            let members = self.map(keys);
            self.lines(3, &members, "", "");
            self.line(2, "}");
        }
        self.line(1, "}");
    }
}

const EXTERNALS_SAY: &str =
    "What others run and the apps wait for; `start` is carried out only with --start-externals.";
