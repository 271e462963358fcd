//! Process files that are wrong: one clear message with file and line, and nothing is started.

use super::harness::{Baton, Run, testapp};
use super::programs::node;
use serde_json::json;

/// The text of a process file that is a program, with `APP` for the helper program.
fn program(text: &str) -> String {
    text.replace("APP", &format!("{:?}", testapp().to_str().expect("path")))
}

/// Starts a target that must be refused before anything is started.
fn refused(files: &[(&str, &str)], targets: &[&str]) -> Run {
    let baton = Baton::new();
    for (name, text) in files {
        baton.file(name, program(text));
    }
    let run = baton.run(std::iter::once("start").chain(targets.iter().copied())).code(1);
    assert_eq!(baton.jlist().len(), 0, "{run}");
    assert_eq!(run.stderr.matches("[PM2][ERROR]").count(), 1, "one clear message: {run}");
    run
}

#[test]
fn missing_tokens_and_an_undefined_value_start_the_apps_with_one_warning() {
    let baton = Baton::new();
    let text = "require('dotenv').config({ path: __dirname + '/.tokens' });
const env = { DISCORD_TOKEN: process.env.DISCORD_TOKEN, CHANNEL: 'x' };
module.exports = { apps: [{ name: 'a', script: APP, args: 'wait', env }, { name: 'b', script: APP, args: 'wait', env }] };";
    let file = baton.file("agents/ecosystem.config.js", program(text));
    let run = baton.run(["start", "agents/ecosystem.config.js"]).ok();
    assert_eq!(run.stderr.matches("DISCORD_TOKEN").count(), 1, "{run}");
    assert_eq!(run.stderr.matches("[WARN]").count(), 1, "{run}");
    run.stderr_has(&format!("{}: undefined and left out: env.DISCORD_TOKEN (a, b)", file.display()));
    for app in ["a", "b"] {
        let record = baton.entry(app);
        assert_eq!(record["pm2_env"]["status"], "online");
        assert!(record["pm2_env"]["env"].get("DISCORD_TOKEN").is_none());
    }
}

#[test]
fn only_required_env_makes_a_missing_value_fatal() {
    let text = "module.exports = { apps: [{ name: 'free', script: APP, args: 'wait' },
  { name: 'a', script: APP, args: 'wait', required_env: ['DISCORD_TOKEN'], env: { DISCORD_TOKEN: process.env.NOBODY } }] };";
    refused(&[("ecosystem.config.js", text)], &["ecosystem.config.js"])
        .stderr_has("app `a`: required_env: DISCORD_TOKEN not set");
}

#[test]
fn cyclic_require_and_import_behave_as_in_node() {
    let files = [
        (
            "ecosystem.config.js",
            "const a = require('./a');\nmodule.exports = { apps: [{ name: 'x', script: APP, args: 'wait', env: { SEEN: String(a.seen), LATE: a.late() } }] };",
        ),
        (
            "a.js",
            "exports.early = 1;\nconst b = require('./b');\nexports.seen = b.saw;\nexports.late = () => b.late();",
        ),
        (
            "b.js",
            "const a = require('./a');\nexports.saw = Object.keys(a).join();\nexports.late = () => Object.keys(a).join();",
        ),
        (
            "esm.config.mjs",
            "import { name } from './e.mjs';\nexport const apps = [{ name, script: APP, args: 'wait' }];",
        ),
        (
            "e.mjs",
            "import { of } from './f.mjs';\nexport function prefix() { return 'es'; }\nexport const name = of();",
        ),
        ("f.mjs", "import { prefix } from './e.mjs';\nexport const of = () => `${prefix()}-app`;"),
        ("tdz.config.mjs", "import './g.mjs';\nexport const late = 1;\nexport const apps = [];"),
        ("g.mjs", "import { late } from './tdz.config.mjs';\nexport const x = late;"),
    ];
    let baton = Baton::new();
    for (name, text) in files {
        baton.file(name, program(text));
    }
    let loaders: &[&str] = if node() { &["embedded", "node"] } else { &["embedded"] };
    for loader in loaders {
        let show = |file: &str| baton.run(["render", file, "--loader", loader]).ok().stdout;
        let cjs: serde_json::Value = serde_json::from_str(&show("ecosystem.config.js")).expect("json");
        assert_eq!(cjs["apps"][0]["env"], json!({"SEEN": "early", "LATE": "early,seen,late"}), "{loader}");
        let esm: serde_json::Value = serde_json::from_str(&show("esm.config.mjs")).expect("json");
        assert_eq!(esm["apps"][0]["name"], "es-app", "{loader}");
        // What is not there yet is an error in both.
        baton.run(["start", "tdz.config.mjs", "--loader", loader]).code(1).stderr_has("g.mjs:2:").stderr_has("late");
    }
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn wrong_indentation() {
    refused(&[("apps.yaml", "apps:\n  - name: a\n    script: x\n   args: y\n")], &["apps.yaml"])
        .stderr_has("apps.yaml:4:")
        .stderr_has("4 |    args: y");
}

#[test]
fn an_unclosed_form() {
    refused(&[("apps.cljs", "(ns a)\n(clobber.macro/defapp \"a\" {:script \"x\"\n")], &["apps.cljs"])
        .stderr_has("apps.cljs:2:27: ")
        .stderr_has("never closed");
    refused(&[("apps.edn", "{:apps [{:name \"a\"\n")], &["apps.edn"]).stderr_has("apps.edn:1:9: ");
}

#[test]
fn an_unknown_symbol() {
    refused(&[("apps.cljs", "(ns a)\n\n(defap \"a\" {})\n")], &["apps.cljs"])
        .stderr_has("apps.cljs:3:2: `defap` is not known; did you mean")
        .stderr_has("supported here: ");
}

#[test]
fn a_cyclic_namespace_or_include() {
    let files = [("a.cljs", "(ns a (:require [b]))"), ("b.cljs", "(ns b\n  (:require [a]))")];
    refused(&files, &["a.cljs"]).stderr_has("b.cljs:2:13: files load each other: ").stderr_has("a.cljs -> ");
    let files = [
        ("a.clj", "(pm2-clj.dsl/compose\n (pm2-clj.dsl/include \"b.clj\"))"),
        ("b.clj", "\n(pm2-clj.dsl/include \"a.clj\")"),
    ];
    refused(&files, &["a.clj"]).stderr_has("b.clj:2:1: files load each other: ");
}

#[test]
fn a_pattern_that_matches_nothing() {
    let file = [("services/a/main.js", ""), ("ecosystem.config.js", "module.exports = { apps: [] }")];
    refused(&file, &["services/*/ecosystem.config.js"])
        .stderr_has("services/*/ecosystem.config.js matches no file")
        .stderr_has("check the pattern");
    refused(&file, &["services/*/*.js"]).stderr_has("services/*/*.js matches no process file");
    let loading = "const { loadServices } = require('baton');\n\nmodule.exports = loadServices('services/**/none.js');";
    refused(&[("ecosystem.config.js", loading)], &["ecosystem.config.js"])
        .stderr_has("ecosystem.config.js:3:")
        .stderr_has("loadServices: services/**/none.js matches no file");
}

#[test]
fn a_unit_without_apps() {
    refused(&[("apps.toml", "[[apps]]\nname = 'a'\nscript = 'x'\n\n[units.duck]\napps = []\n")], &["apps.toml"])
        .stderr_has("apps.toml:5:8: unit `duck` has no apps");
    let text = "module.exports = {\n  apps: [{ name: 'a', script: APP }],\n  units: {\n    duck: ['duck_*'],\n  },\n};";
    refused(&[("ecosystem.config.js", text)], &["ecosystem.config.js"])
        .stderr_has("ecosystem.config.js:4:5: unit `duck` has no apps");
}

#[test]
fn two_units_with_one_app_name() {
    let text = "units:\n  u:\n    prefix: ''\n    apps:\n      - {name: a, script: x.sh}\n  v:\n    prefix: ''\n    apps:\n      - {name: a, script: x.sh}\n";
    refused(&[("apps.yaml", text)], &["apps.yaml"])
        .stderr_has("two apps are called `a` and differ in namespace")
        .stderr_has("apps.yaml:5:")
        .stderr_has("apps.yaml:9:");
    let text = "const { defineAgent } = require('baton');\nconst of = (unit, script) => defineAgent(unit, [{ name: 'x', script }]).apps.map((app) => ({ ...app, name: 'a' }));\nmodule.exports = {\n  apps: [\n    ...of('u', APP),\n    ...of('v', APP),\n  ],\n};";
    refused(&[("ecosystem.config.js", text)], &["ecosystem.config.js"])
        .stderr_has("two apps are called `a`")
        .stderr_has("ecosystem.config.js:2:");
}

#[test]
fn a_dependency_on_an_unknown_app() {
    let text = "module.exports = { apps: [\n  { name: 'd', script: APP, args: 'wait' },\n  { name: 'a', script: APP,\n    depends_on: ['nobody'] },\n] };";
    refused(&[("ecosystem.config.js", text)], &["ecosystem.config.js"])
        .stderr_has("ecosystem.config.js:4:5: app `a` depends on `nobody`");
    let text = "[[apps]]\nname = 'a'\nscript = '/bin/true'\ndepends_on = ['nobody']\n";
    refused(&[("apps.toml", text)], &["apps.toml"]).stderr_has("apps.toml:4:1: app `a` depends on `nobody`");
}

#[test]
fn two_apps_of_one_name_in_two_files_name_both_places() {
    let service = |port: u16| {
        format!(
            "module.exports = {{\n  apps: [\n    {{ name: 'tts', script: APP, args: 'wait', env: {{ PORT: {port} }} }},\n  ] }};"
        )
    };
    let (one, two) = (service(1), service(2));
    let files = [
        ("services/a/ecosystem.config.js", one.as_str()),
        ("services/b/ecosystem.config.js", &two),
        ("ecosystem.config.js", "module.exports = { apps: require('baton').loadServices('services/*/*.js') };"),
    ];
    for target in ["ecosystem.config.js", "services/*/ecosystem.config.js"] {
        refused(&files, &[target])
            .stderr_has("two apps are called `tts` and differ in env: ")
            .stderr_has("services/a/ecosystem.config.js:3:7")
            .stderr_has("services/b/ecosystem.config.js:3:7");
    }
    refused(&files, &["services/a/ecosystem.config.js", "services/b/ecosystem.config.js"]).stderr_has("differ in env");
}

#[test]
fn a_wrong_value_in_a_program_has_its_line() {
    let text = "const { defineApp } = require('baton');\nmodule.exports = [\n  defineApp('a', APP),\n  defineApp('b', APP, [], {\n    kill_timeout: 'soon' }),\n];";
    refused(&[("ecosystem.config.js", text)], &["ecosystem.config.js"])
        .stderr_has("ecosystem.config.js:5:5: app `b`: `kill_timeout: \"soon\"` is not a time");
    let text = "(ns a (:require [clobber.macro :refer [defapp]]))\n(defapp \"a\" {:script \"x\"})\n(defapp \"b\" {:script \"x\"\n  :kill-timeout \"soon\"})\n";
    refused(&[("apps.cljs", text)], &["apps.cljs"])
        .stderr_has("apps.cljs:4:3: app `b`: `kill-timeout: \"soon\"` is not a time");
}

#[test]
fn a_file_without_apps_is_nothing_to_start() {
    refused(&[("ecosystem.config.js", "module.exports = { apps: [] };")], &["ecosystem.config.js"])
        .stderr_has("ecosystem.config.js defines no apps: there is nothing to start");
    refused(&[("apps.json", "[]")], &["apps.json"]).stderr_has("apps.json defines no apps");
    for verb in ["start", "restart", "reload", "startOrRestart", "startOrReload"] {
        let baton = Baton::new();
        baton.file("apps.json", "[]");
        baton.run([verb, "apps.json"]).code(1).stderr_has("apps.json defines no apps");
        assert!(baton.connect().is_none(), "{verb} needs no daemon to refuse that");
    }
    // PM2 has nothing against it.
    let pm2 = Baton::called("pm2");
    pm2.file("ecosystem.config.js", "module.exports = { apps: [] };");
    pm2.run(["start", "ecosystem.config.js"]).ok();
}

#[test]
fn a_dependency_on_nobody_is_refused_by_each_verb_before_anything_is_told_of_a_start() {
    let baton = Baton::new();
    baton.file("apps.yaml", program("apps:\n  - {name: a, script: APP, args: wait, depends_on: [nope]}\n"));
    let told = "apps.yaml:2:";
    for verb in ["start", "plan", "sync"] {
        let run = baton.run([verb, "apps.yaml"]).code(1);
        assert!(!run.to_string().contains("starting..."), "{run}");
        run.stderr_has(told).stderr_has("app `a` depends on `nope`, and there is no app or unit of that name");
    }
    let failed = "✗ a: depends_on nope: there is no app or unit of that name, in the file or in the list";
    baton.run(["check", "apps.yaml"]).code(1).stdout_has(failed);
    // One in the list will do.
    baton.start("nope", &["wait"]);
    baton.run(["check", "apps.yaml"]).ok().stdout_has("✓ a: depends_on nope");
    baton.run(["start", "apps.yaml"]).ok();
}

#[test]
fn conditions_that_cannot_hold_are_refused_by_check_render_and_plan_too() {
    let baton = Baton::new();
    let text = "apps:\n  - {name: a, script: APP, depends_on: {b: healthy}}\n  - {name: b, script: APP}\n";
    baton.file("apps.yaml", program(text));
    for verb in ["check", "render", "plan", "start"] {
        let run = baton.run([verb, "apps.yaml"]).code(1);
        run.stderr_has("apps.yaml:2:").stderr_has("app `a` waits for `b` to be healthy, and that has no `health`");
    }
}
