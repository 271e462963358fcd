//! What can go wrong in a JavaScript process file: each gives one clear message, in time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use baton_config::js::{self, Evaluated, JsError, JsErrorKind, JsOptions, Limits, Loader, Source};
use serde_json::json;

/// A directory with a process file of the given text, and an environment with a small PATH.
struct Project {
    _directory: tempfile::TempDir,
    options: JsOptions,
}

impl Project {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cwd = directory.path().canonicalize().unwrap();
        let env = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        let limits = Limits { time: Duration::from_secs(10), memory: 64 << 20 };
        let project = Self { _directory: directory, options: JsOptions { env, cwd, argv: Vec::new(), limits } };
        project.file("ecosystem.config.js", text)
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn seconds(mut self, seconds: f64) -> Self {
        self.options.limits.time = Duration::from_secs_f64(seconds);
        self
    }

    /// Puts a program called `node` on the PATH: it writes a line to `ran` each time, then answers like the harness.
    fn fake_node(mut self) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let script = "#!/bin/sh\nmarker=$(sed 's/.*\"marker\":\"\\([^\"]*\\)\".*/\\1/')\necho x >> ran\nprintf '\\n%s{\"inputs\":[],\"value\":{\"apps\":[]}}\\n' \"$marker\"\n";
        self = self.file("bin/node", script);
        std::fs::set_permissions(self.path("bin/node"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        self.options.env.insert("PATH".to_owned(), path);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.options.cwd.join(name)
    }

    fn load(&self, loader: Loader) -> Result<Evaluated, JsError> {
        js::load(loader, Path::new("ecosystem.config.js"), Source::File, &self.options)
    }

    fn evaluate(&self) -> Result<Evaluated, JsError> {
        self.load(Loader::Embedded)
    }

    /// The message, with the project's directory shown as `@`.
    fn error(&self) -> String {
        let error = self.evaluate().expect_err("it must fail");
        error.to_string().replace(&*self.options.cwd.to_string_lossy(), "@")
    }
}

#[test]
fn a_syntax_error_names_file_line_and_column_and_shows_the_line() {
    let project = Project::new("module.exports = {\n  apps: [\n    { name: 'a' }\n    { name: 'b' },\n  ],\n};\n");
    let error = project.evaluate().unwrap_err();
    assert_eq!(project.error(), "@/ecosystem.config.js:4:5: SyntaxError: Unexpected token '{'");
    assert_eq!(error.kind.excerpt(), Some("4 |     { name: 'b' },\n  |     ^"));
}

#[test]
fn columns_of_the_first_line_count_from_its_start() {
    assert_eq!(
        Project::new("null.x").error(),
        "@/ecosystem.config.js:1:1: TypeError: cannot read property 'x' of null"
    );
    assert_eq!(
        Project::new("let x = ];").error(),
        "@/ecosystem.config.js:1:9: SyntaxError: unexpected token in expression: ']'"
    );
}

#[test]
fn an_exception_names_the_innermost_file_and_the_way_there() {
    let project = Project::new("const make = require('./lib/make');\nmodule.exports = make();\n")
        .file("lib/make.js", "module.exports = function make(options) {\n  return options.name;\n};\n");
    assert_eq!(
        project.error(),
        "@/lib/make.js:2:10: TypeError: cannot read property 'name' of undefined\n    at @/ecosystem.config.js:2:18"
    );
}

#[test]
fn what_is_thrown_needs_not_be_an_error() {
    assert_eq!(Project::new("throw 'a text';").error(), "threw a text");
    assert_eq!(Project::new("throw { code: 5 };").error(), "threw {\"code\":5}");
    assert_eq!(Project::new("throw undefined;").error(), "threw undefined");
}

#[test]
fn a_rejected_promise_and_an_asynchronous_throw_are_exceptions() {
    let project =
        Project::new("module.exports = (async () => {\n  await null;\n  throw new RangeError('late');\n})();");
    assert_eq!(project.error(), "@/ecosystem.config.js:3:13: RangeError: late");
    let project = Project::new(
        "setTimeout(() => { throw new Error('in a timer'); }, 1);\nmodule.exports = new Promise(() => {});",
    );
    assert!(project.error().contains("Error: in a timer"), "{}", project.error());
}

#[test]
fn an_es_module_reports_its_own_positions() {
    let project =
        Project::new("import './inner.mjs';\nexport default {};\n").file("inner.mjs", "\nawait null;\nundefined.x;\n");
    assert_eq!(project.error(), "@/inner.mjs:3:1: TypeError: cannot read property 'x' of undefined");
    let project = Project::new("import { gone } from './inner.mjs';\nexport default gone;\n")
        .file("inner.mjs", "export const here = 1;");
    assert!(project.error().contains("gone"), "{}", project.error());
    let project = Project::new("export default {\n  apps: [,\n};\n");
    assert!(project.error().starts_with("@/ecosystem.config.js:3:1: SyntaxError"), "{}", project.error());
}

#[test]
fn a_missing_module_names_who_required_it() {
    let project = Project::new("require('./a');").file("a.js", "\nrequire('not-installed');");
    let error = project.evaluate().unwrap_err();
    assert_eq!(
        project.error(),
        "@/a.js:2:1: Error: Cannot find module 'not-installed'\nRequire stack:\n- @/a.js\n- @/ecosystem.config.js"
    );
    assert!(error.kind.help().is_some_and(|help| help.contains("install")));
    let project = Project::new("import 'not-installed';\nexport default {};");
    assert!(
        project.error().contains("Cannot find package 'not-installed' imported from @/ecosystem.config.js"),
        "{}",
        project.error()
    );
}

#[test]
fn a_bad_json_file_is_named_with_its_line() {
    let project = Project::new("module.exports = require('./data.json');").file("data.json", "{\n  \"a\": 1,\n}\n");
    let error = project.error();
    assert!(error.starts_with("@/data.json:3:1: SyntaxError"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let project = Project::new("");
    let missing = js::evaluate(Path::new("other.config.js"), Source::File, &project.options).unwrap_err();
    assert!(missing.to_string().starts_with("other.config.js: No such file"), "{missing}");
}

#[test]
fn endless_loops_end_at_the_time_limit_whatever_they_catch() {
    for text in [
        "for (;;);",
        "for (;;) { try { for (;;); } catch {} finally { continue; } }",
        "module.exports = (async () => { for (;;) await null; })();",
        "const again = () => { try { again(); } finally { again(); } }; again();",
        "/^(a+)+$/.test('a'.repeat(40) + 'b');",
        "module.exports = new Promise(() => setInterval(() => {}, 1));",
        "require('child_process').execSync('sleep 60');",
        "require('child_process').execSync('sleep 60 & sleep 61; wait');",
    ] {
        let began = Instant::now();
        let error = Project::new(text).seconds(0.4).evaluate().expect_err(text);
        assert!(matches!(*error.kind, JsErrorKind::Time { .. }), "{text}: {error}");
        assert!(began.elapsed() < Duration::from_secs(3), "{text}: took {:?}", began.elapsed());
    }
}

#[test]
fn native_code_that_does_not_look_at_the_limit_is_left_behind() {
    // A search that compares half a milliard times or more without asking anybody.
    let text = "'a'.repeat(1e6).indexOf('a'.repeat(2e3) + 'b'); module.exports = {};";
    let project = Project::new(text).seconds(0.3);
    let began = Instant::now();
    assert!(matches!(*project.evaluate().unwrap_err().kind, JsErrorKind::Time { .. }));
    assert!(began.elapsed() < Duration::from_secs(4), "took {:?}", began.elapsed());
}

#[test]
fn memory_is_limited() {
    for text in [
        "const all = []; for (;;) all.push(new Array(1e5).fill(1));",
        "let text = 'x'; for (;;) text += text;",
        "new Uint8Array(1e9);",
    ] {
        let error = Project::new(text).evaluate().expect_err(text);
        let refused = error.to_string().contains("RangeError") || error.to_string().contains("string too long");
        assert!(matches!(*error.kind, JsErrorKind::Memory { .. }) || refused, "{text}: {error}");
    }
}

#[test]
fn deep_recursion_is_an_exception_and_no_crash() {
    let error = Project::new("(function deep() { deep(); })();").error();
    assert!(error.contains("RangeError") || error.contains("stack"), "{error}");
    let nested = format!("module.exports = {}1{};", "[".repeat(50_000), "]".repeat(50_000));
    Project::new(&nested).error();
}

#[test]
fn a_promise_that_nothing_will_settle_is_told_at_once() {
    let began = Instant::now();
    let error = Project::new("module.exports = new Promise(() => {});").error();
    assert_eq!(error, "its promise never settles: there is nothing left to wait for");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn process_exit_cannot_be_caught() {
    let text = "try { process.exit(3); } catch {} finally { require('fs').writeFileSync('finally', ''); } module.exports = {};";
    let project = Project::new(text);
    assert_eq!(project.error(), "called process.exit(3) before it exported anything");
    assert!(!project.path("finally").exists());
}

#[test]
fn what_has_no_json_form_is_refused_or_dropped_as_json_stringify_does() {
    assert!(Project::new("module.exports = { apps: [], big: 10n };").error().contains("BigInt"));
    assert!(Project::new("const a = { apps: [] }; a.a = a; module.exports = a;").error().contains("circular"));
    assert_eq!(Project::new("module.exports = undefined;").error(), "exports nothing");
    assert_eq!(Project::new("export const x = undefined;").evaluate().unwrap().value, json!({}));
    let dropped =
        Project::new("module.exports = { apps: [{ f() {}, u: undefined, n: null, s: Symbol() }] };").evaluate();
    assert_eq!(dropped.unwrap().value, json!({ "apps": [{ "n": null }] }));
}

#[test]
fn console_output_before_an_error_is_kept() {
    let error = Project::new("console.log('before'); throw new Error('x');").evaluate().unwrap_err();
    assert_eq!(String::from_utf8_lossy(&error.console), "before\n");
}

#[test]
fn an_expression_is_json_with_liberties() {
    let project = Project::new("");
    let evaluate =
        |text: &str| js::evaluate(Path::new("ecosystem.json"), Source::Expression(text.to_owned()), &project.options);
    let loose = "// a comment\n{ apps: [{ 'name': \"a\", script: 'a.js', /* here */ }], } // and at the end";
    assert_eq!(evaluate(loose).unwrap().value, json!({ "apps": [{ "name": "a", "script": "a.js" }] }));
    let error = evaluate("{ apps: [ }").unwrap_err().to_string();
    assert!(error.contains("ecosystem.json:1:11: SyntaxError"), "{error}");
}

#[test]
fn dotenv_is_ours_where_it_is_not_installed() {
    let project = Project::new(
        "const dotenv = require('dotenv');
         const missing = dotenv.config({ path: __dirname + '/.tokens' });
         const found = dotenv.config();
         require('dotenv').config({ path: ['.env.local'], override: true });
         module.exports = { apps: [], missing: missing.error.code, none: missing.parsed, found: found.parsed,
           env: ['A', 'B', 'PATH', 'MULTI'].map((name) => process.env[name]), parsed: dotenv.parse('X=1\\nexport Y = two words # gone\\nZ=\"a\\\\nb\"\\nS=\\'a\\\\nb\\'\\nE=\\nQ: colon\\n#C=1\\nH=a#b') };",
    )
    .file(".env", "A=from file\nB='single # kept'\nPATH=never\nMULTI=\"one\ntwo\"\r\n")
    .file(".env.local", "A=local\n");
    assert_eq!(
        project.evaluate().unwrap().value,
        json!({
            "apps": [], "missing": "ENOENT", "none": {},
            "found": { "A": "from file", "B": "single # kept", "PATH": "never", "MULTI": "one\ntwo" },
            "env": ["local", "single # kept", "/usr/bin:/bin", "one\ntwo"],
            "parsed": { "X": "1", "Y": "two words", "Z": "a\nb", "S": "a\\nb", "E": "", "Q": "colon", "H": "a" },
        })
    );
    let side_effect =
        Project::new("import 'dotenv/config';\nexport default { apps: [], a: process.env.A };").file(".env", "A=1");
    assert_eq!(side_effect.evaluate().unwrap().value["default"]["a"], "1");
}

#[test]
fn a_call_that_only_node_has_is_named_even_when_the_file_swallows_the_error() {
    let swallowed = "try { require('http').createServer(); } catch {} module.exports = { apps: [] };";
    assert_eq!(Project::new(swallowed).error(), "http.createServer is not available in the embedded engine");
    // Loading it is no call.
    assert!(
        Project::new("const { createServer } = require('http'); module.exports = { apps: [] };").evaluate().is_ok()
    );
    assert!(Project::new("import { request } from 'node:https'; export const apps = [];").evaluate().is_ok());
}

#[test]
fn node_takes_over_only_while_nothing_has_been_done() {
    let clean = Project::new("require('zlib').gzipSync('x'); module.exports = {};").fake_node();
    let evaluated = clean.load(Loader::Auto).unwrap();
    assert!(evaluated.note.is_some_and(|note| note.contains("zlib.gzipSync")));
    assert_eq!(std::fs::read_to_string(clean.path("ran")).unwrap(), "x\n");

    let effects = Project::new("require('fs').writeFileSync('made', 'x'); require('zlib').gzipSync('x');").fake_node();
    let error = effects.load(Loader::Auto).unwrap_err();
    assert!(error.to_string().contains("already did: wrote"), "{error}");
    assert!(error.kind.help().is_some_and(|help| help.contains("--loader node")));
    assert!(!effects.path("ran").exists());

    let ordinary = Project::new("throw new Error('mine');").fake_node();
    assert!(ordinary.load(Loader::Auto).unwrap_err().to_string().contains("mine"));
    assert!(!ordinary.path("ran").exists());
}

#[test]
fn without_node_the_missing_call_is_the_error() {
    let mut project = Project::new("require('zlib').gzipSync('x');");
    project.options.env.insert("PATH".to_owned(), "/nowhere".to_owned());
    assert!(project.load(Loader::Auto).unwrap_err().to_string().starts_with("zlib.gzipSync is not available"));
    assert_eq!(project.load(Loader::Node).unwrap_err().to_string(), "node: not found on PATH");
}

#[test]
fn a_whole_load_says_when_node_evaluated_the_file() {
    let project = Project::new("require('zlib').gzipSync('x');").fake_node();
    let options = baton_config::LoadOptions {
        caller_env: project.options.env.clone(),
        caller_cwd: project.options.cwd.clone(),
        limits: project.options.limits,
        ..baton_config::LoadOptions::default()
    };
    let loaded = baton_config::load(Path::new("ecosystem.config.js"), &options).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|warning| warning.contains("evaluated by Node: zlib.gzipSync")), "{warnings:?}");
}

#[test]
fn what_depends_on_language_and_place_is_exact_or_needs_node() {
    for (text, api) in [
        ("new Intl.DateTimeFormat('en').format(0)", "Intl.DateTimeFormat"),
        ("Intl.NumberFormat().format(1)", "Intl.NumberFormat"),
        ("'a'.localeCompare('ä')", "String.prototype.localeCompare beyond plain English"),
        (
            "'a1'.localeCompare('a2', undefined, { numeric: true })",
            "String.prototype.localeCompare beyond plain English",
        ),
        ("'a'.localeCompare('b', 'sv')", "String.prototype.localeCompare beyond plain English"),
        ("'I'.toLocaleLowerCase('tr')", "String.prototype.toLocaleLowerCase in this language"),
        ("(0).toLocaleString('en-US', { style: 'percent' })", "Number.prototype.toLocaleString beyond plain English"),
        ("(0).toLocaleString('de')", "Number.prototype.toLocaleString beyond plain English"),
        ("new Date(0).toLocaleString('en-GB')", "Date.prototype.toLocaleString beyond plain English"),
        (
            "new Date(0).toLocaleDateString('en', { weekday: 'long' })",
            "Date.prototype.toLocaleDateString beyond plain English",
        ),
        ("new URL('http://é.com').host", "a URL with a host name that is not ASCII"),
    ] {
        let text = format!("module.exports = {{ apps: [], n: {text} }};");
        let project = Project::new(&text).fake_node();
        assert_eq!(project.error(), format!("{api} is not available in the embedded engine"), "{text}");
        let evaluated = project.load(Loader::Auto).unwrap();
        assert!(evaluated.note.is_some_and(|note| note.contains(api)), "{text}");
    }
    assert!(Project::new("module.exports = { apps: [], a: typeof Intl, b: typeof Intl.Collator };").evaluate().is_ok());
    // Elsewhere the name of the zone, and the order of the digits, are others.
    for (variable, value, text) in [
        ("TZ", "Europe/Berlin", "String(new Date(0))"),
        ("LANG", "de_DE.UTF-8", "(1234.5).toLocaleString()"),
        ("LC_ALL", "da_DK.UTF-8", "'a'.localeCompare('b')"),
    ] {
        let mut project = Project::new(&format!("module.exports = {{ apps: [], n: {text} }};"));
        project.options.env.insert(variable.to_owned(), value.to_owned());
        assert!(project.error().contains("is not available in the embedded engine"), "{text}");
    }
}

#[test]
fn halves_of_surrogate_pairs_stay_as_text() {
    let project = Project::new("module.exports = { apps: [], half: 'a\\ud800' };");
    let evaluated = project.evaluate().unwrap();
    assert_eq!(evaluated.exact.as_deref(), Some(r#"{"apps":[],"half":"a\ud800"}"#));
    assert_eq!(evaluated.value["half"], "a\u{fffd}");
    assert_eq!(Project::new("module.exports = { apps: [], whole: '🦆' };").evaluate().unwrap().exact, None);
}
