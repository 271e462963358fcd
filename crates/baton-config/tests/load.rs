//! Whole process files: what they mean, and what is said about bad ones.

use baton_config::{ConfigError, Generate, LoadOptions, Loaded, Made, load, load_stdin_json};
use baton_core::spec::{AppSpec, Environment, ExecMode, Instances};
use baton_core::units::Millis;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn options() -> LoadOptions {
    let caller_env = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/me")].map(|(k, v)| (k.into(), v.into())).into();
    LoadOptions { caller_env, caller_cwd: data(), home: "/home/me/.baton".into(), ..LoadOptions::default() }
}

fn loaded(file: &str, options: &LoadOptions) -> Loaded {
    load(Path::new(file), options).unwrap_or_else(|wrong| panic!("{file}: {wrong}"))
}

fn env(app: &AppSpec) -> Vec<(&str, &str)> {
    app.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

fn messages(loaded: &Loaded) -> Vec<String> {
    let here = format!("{}/", data().display());
    loaded.warnings.iter().map(|warning| warning.message.replace(&here, "")).collect()
}

#[test]
fn loose_json_is_read_as_pm2_reads_it() {
    let found = loaded("loose.json", &options());
    let [app] = &found.apps[..] else { panic!("{:?}", found.apps) };
    assert_eq!(app.name, "api");
    assert_eq!(app.script, data().join("srv/server.js").to_string_lossy());
    assert_eq!(app.args, ["run", "--config", "", "--adapter", ""]);
    assert_eq!(env(app), [("FLAGS", "{\"a\":[1]}"), ("ON", "true"), ("PORT", "8080")]);
    assert_eq!(messages(&found), ["process file loose.json: undefined and left out: env.TOKEN (api)"]);
    assert_eq!(found.inputs, [data().join("loose.json")]);
}

#[test]
fn yaml_merges_maps_and_takes_kebab_keys() {
    let found = loaded("apps.yaml", &options());
    let [api, worker] = &found.apps[..] else { panic!("{:?}", found.apps) };
    assert_eq!((api.min_uptime, api.max_restarts), (Millis(10_000), Some(5)));
    assert_eq!(api.cwd, data().join("srv").to_string_lossy());
    assert_eq!(api.base_env["PWD"], api.cwd);
    assert_eq!(env(api), [("1", "one"), ("RATE", "1.5")]);
    assert_eq!(api.env_profiles["production"]["PORT"], "80");
    assert_eq!((worker.instances, worker.interpreter.as_str()), (Instances(0), "bash"));
    assert_eq!(worker.exec_mode, ExecMode::Fork);
    assert_eq!(worker.source.index, 1);
}

#[test]
fn toml_has_the_same_keys_in_its_own_notation() {
    let found = loaded("apps.toml", &options());
    let [api, worker] = &found.apps[..] else { panic!("{:?}", found.apps) };
    assert_eq!((api.name.as_str(), api.min_uptime, api.max_restarts), ("api", Millis(10_000), Some(5)));
    assert_eq!(env(api), [("ON", "true"), ("RATE", "1.5"), ("SINCE", "2026-01-02")]);
    assert_eq!(api.env_profiles["production"]["PORT"], "80");
    assert_eq!((worker.instances, worker.interpreter.as_str()), (Instances(0), "bash"));
    assert_eq!((worker.exec_mode, worker.source.index), (ExecMode::Fork, 1));
    assert_eq!(messages(&found), [""; 0]);
}

#[test]
fn a_javascript_file_with_everything_in_it() {
    let chosen = LoadOptions { env_name: Some("production".into()), ..options() };
    let found = loaded("full.config.cjs", &chosen);
    let [api, worker, served] = &found.apps[..] else { panic!("{:?}", found.apps) };
    assert_eq!(env(api), [("A", "production"), ("C", "deploy")]);
    assert_eq!((served.name.as_str(), &*served.args), ("static-page-server-1", &["static-server".to_owned()][..]));
    assert_eq!((served.env["PM2_SERVE_PATH"].as_str(), served.listen.len()), (".", 1));
    assert_eq!((api.exec_mode, api.instances), (ExecMode::Cluster, Instances(2)));
    assert_eq!(api.kill_timeout, Millis(5000));
    assert_eq!(api.out_file.as_deref(), Some(&*data().join("logs/out.log").to_string_lossy()));
    assert_eq!(api.error_file.as_deref(), Some("/dev/null"));
    assert_eq!(api.log_file.as_deref(), Some("/home/me/.baton/logs/api.log"));
    assert_eq!(api.log_date_format.as_deref(), Some("YYYY-MM-DDTHH:mm:ss"));
    assert!(!api.merge_logs);
    assert_eq!(api.env_file.len(), 2);
    assert_eq!(api.max_memory_restart, Some(512 << 20));
    assert_eq!(api.watch.roots(), ["srv"]);
    assert_eq!((worker.uid.as_deref(), worker.port, worker.autorestart), (Some("1000"), Some(8081), false));
    assert_eq!(worker.stop_exit_codes, [0]);
    assert!(worker.merge_logs);
    assert_eq!(found.console, b"reading\n");
    assert_eq!(
        messages(&found),
        [
            "process file full.config.cjs: undefined and left out: env.B (api)",
            "app `api`: unknown key `watch_ignore` is ignored; did you mean `ignore_watch`?",
            "app `api`: env_file srv/missing.env not found",
            "Environment [production] is not defined in process file",
            "app `worker` is defined twice in the same way, by app 2 in process file full.config.cjs and app 3 in process \
             file full.config.cjs; it is taken once",
        ]
    );
}

#[test]
fn every_shape_holds_its_app() {
    for file in [
        "list.json",
        "package.json",
        "one.yml",
        "esm.config.mjs",
        "named.config.mjs",
        "function.config.cjs",
        "single.config.js",
        "ecosystem",
    ] {
        let found = loaded(&format!("shapes/{file}"), &options());
        assert_eq!(found.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["server"], "{file}");
        assert_eq!(found.apps[0].source.file, data().join("shapes").join(file).to_string_lossy(), "{file}");
    }
    let stdin = load_stdin_json("{apps: [{script: 'srv/server.js'}]}", &options()).expect("json");
    assert_eq!((stdin.apps[0].name.as_str(), stdin.apps[0].source.file.as_str()), ("server", ""));
}

#[test]
fn only_chooses_by_name_and_names_what_is_missing() {
    let chosen = LoadOptions { only: vec!["worker".into(), "wroker".into()], ..options() };
    let found = loaded("apps.yaml", &chosen);
    assert_eq!(found.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["worker"]);
    assert_eq!(found.unknown_only, ["wroker"]);
}

#[test]
fn variables_without_a_value_are_told_once_with_file_app_and_key() {
    let found = loaded("tokens.config.cjs", &options());
    assert_eq!(found.apps.iter().map(env).collect::<Vec<_>>(), [vec![("KEEP", "1")], vec![]]);
    let wanted = "process file tokens.config.cjs: undefined and left out: env.DISCORD_TOKEN (ears, mouth), \
                  env_production.KEY (mouth)";
    assert_eq!(messages(&found), [wanted]);
}

#[test]
fn variables_of_the_evaluation_reach_the_file_and_no_app() {
    let text = "{ name: process.env.WHO, script: 'srv/server.js' }";
    let options = LoadOptions { eval_env: [("WHO".into(), "me".into())].into(), ..options() };
    let found = load_stdin_json(text, &options).expect("apps");
    assert_eq!(found.apps[0].name, "me");
    assert!(!found.apps[0].base_env.contains_key("WHO") && !found.apps[0].env.contains_key("WHO"));
}

#[test]
fn options_of_the_command_line_stand_above_each_app() {
    let mut above = options();
    above.overrides.namespace = Some("shop".into());
    above.overrides.fields = json!({"cwd": "/", "uid": "me"}).as_object().cloned().expect("a map");
    let found = loaded("apps.yaml", &above);
    assert!(found.apps.iter().all(|app| app.cwd == "/" && app.namespace == "shop" && app.uid.as_deref() == Some("me")));
    above.overrides.fields = json!({"uid": []}).as_object().cloned().expect("a map");
    let wrong = load(Path::new("apps.yaml"), &above).expect_err("no user");
    assert_eq!(wrong.to_string(), "command line: app `api`: `uid: []` is not a text");
}

/// Message, help and excerpt of a refused file, with paths relative to the test data.
fn refusal(file: &str, options: &LoadOptions) -> (String, String, String) {
    let wrong: ConfigError = load(Path::new(file), options).expect_err(file);
    let here = format!("{}/", data().display());
    (
        wrong.to_string().replace(&here, ""),
        wrong.help().unwrap_or_default(),
        wrong.excerpt().unwrap_or_default().to_owned(),
    )
}

#[test]
fn each_bad_file_gets_one_clear_message() {
    let table = [
        ("bad/missing.config.js", "File bad/missing.config.js not found", "check the path, or name a script to start"),
        (
            "bad/unit.json",
            "process file bad/unit.json:3:4: app `api`: `max_memory_restart: \"512Q\"` is not a size",
            "write a number of bytes or a number with K, M or G, such as \"512M\"",
        ),
        (
            "bad/unit.yaml",
            "process file bad/unit.yaml:4:5: app `api`: `killTimeout: \"soon\"` is not a time",
            "write a number of milliseconds or a number with ms, s, m or h, such as \"10s\"",
        ),
        (
            "bad/unit.config.cjs",
            "process file bad/unit.config.cjs:1:59: app `api`: `instances: \"abc\"` is not a number of instances",
            "write a number, \"max\" or 0 for one per processor, or -1 for all but one",
        ),
        (
            "bad/noscript.json",
            "process file bad/noscript.json:3:4: app `api` has no `script`",
            "write what to run, such as script: \"app.js\"",
        ),
        (
            "bad/text.json",
            "process file bad/text.json: exports a string, not an object with an `apps` array",
            "export a list of apps, one app, or { apps: [ { script: \"app.js\" } ] }",
        ),
        (
            "bad/noapps.json",
            "process file bad/noapps.json: exports an object without `apps`",
            "export a list of apps, one app, or { apps: [ { script: \"app.js\" } ] }",
        ),
        (
            "bad/twice.yaml",
            "two apps are called `api` and differ in args, max_restarts: app 1 in process file bad/twice.yaml:1:3 and app 2 in \
             process file bad/twice.yaml:4:3",
            "give each app its own name; `instances` runs one app several times",
        ),
        (
            "bad/unit.toml",
            "process file bad/unit.toml:7:1: app `worker`: `kill_timeout: \"soon\"` is not a time",
            "write a number of milliseconds or a number with ms, s, m or h, such as \"10s\"",
        ),
        (
            "bad/noscript.toml",
            "process file bad/noscript.toml:2:1: app `api` has no `script`",
            "write what to run, such as script: \"app.js\"",
        ),
        (
            "bad/apps.config.ts",
            "process file bad/apps.config.ts:2:1: SyntaxError: types are left out, not compiled: cannot strip an enum; write a \
             constant object",
            "",
        ),
        (
            "bad/page.config.tsx",
            "process file bad/page.config.tsx: JSX is not read",
            "a process file shows no page: name it .ts or .js",
        ),
        (
            "bad/ecosystem.coffee",
            "process file bad/ecosystem.coffee: CoffeeScript is not read",
            "compile it with `coffee -c` and name the .js file",
        ),
        (
            "bad/ecosystem.conf",
            "process file bad/ecosystem.conf: `.conf` is no format of process files",
            "name it .js, .cjs, .mjs, .ts, .json, .yaml, .toml, .edn or .cljs",
        ),
        (
            "bad/nvm.json",
            "process file bad/nvm.json:1:29: app `srv/server.js`: interpreter `node@18`: choosing a version of node is not \
             available yet",
            "write `node`, or the path of the node to use",
        ),
    ];
    for (file, message, help) in table {
        let (found, found_help, _) = refusal(file, &options());
        assert_eq!((found.as_str(), found_help.as_str()), (message, help), "{file}");
    }
}

#[test]
fn syntax_errors_show_the_line() {
    let (message, _, excerpt) = refusal("bad/syntax.config.cjs", &options());
    assert!(message.starts_with("process file bad/syntax.config.cjs:3:"), "{message}");
    assert!(excerpt.contains("3 |     { name: \"a\" script: \"b\" },\n"), "{excerpt}");
    let (message, _, excerpt) = refusal("bad/syntax.json", &options());
    assert!(message.starts_with("process file bad/syntax.json:3:"), "{message}");
    assert!(excerpt.contains("{ name: \"a\" script: \"b\" }"), "{excerpt}");
    let (message, _, excerpt) = refusal("bad/syntax.yaml", &options());
    assert_eq!(message, "process file bad/syntax.yaml:3:4: YAML syntax: did not find expected '-' indicator");
    assert_eq!(excerpt, "3 |    script: b\n  |    ^");
    let (message, _, excerpt) = refusal("bad/syntax.toml", &options());
    assert_eq!(
        message,
        "process file bad/syntax.toml:3:10: TOML syntax: string values must be quoted, expected literal string"
    );
    assert_eq!(excerpt, "3 | script = srv/server.js\n  |          ^");
    let (message, _, excerpt) = refusal("bad/throws.config.cjs", &options());
    assert!(message.starts_with("process file bad/throws.config.cjs:2:"), "{message}");
    assert!(message.contains("TypeError: "), "{message}");
    assert!(excerpt.contains("names.map"), "{excerpt}");
}

#[test]
fn a_file_that_never_ends_or_eats_memory_is_stopped() {
    let mut limited = options();
    limited.limits.time = Duration::from_millis(300);
    let (message, help, _) = refusal("bad/loops.config.cjs", &limited);
    assert_eq!(message, "process file bad/loops.config.cjs: not done after 0.3 s: stopped");
    assert_eq!(help, "look for a loop that does not end, or for slow commands");
    limited.limits = baton_config::Limits { time: Duration::from_secs(30), memory: 32 << 20 };
    let (message, _, _) = refusal("bad/eats.config.cjs", &limited);
    assert_eq!(message, "process file bad/eats.config.cjs: needs more than 32 MB of memory: stopped");
}

#[test]
fn an_app_whose_program_is_missing_is_passed_on_with_a_warning() {
    let text = json!([
        {"name": "proxy", "script": "no-such-program-7", "interpreter": "none"},
        {"script": "dist/server.js"},
        {"name": "shell", "script": "echo a 'b c'", "args": ["d e"]},
    ]);
    let found = load_stdin_json(&text.to_string(), &options()).expect("passed on");
    let what: Vec<_> = found.apps.iter().map(|app| (app.script.as_str(), app.interpreter.as_str())).collect();
    let server = data().join("dist/server.js");
    assert_eq!(what[..2], [("no-such-program-7", "none"), (&*server.to_string_lossy(), "node")]);
    assert!(what[2].0.ends_with("/bash") || what[2].0.ends_with("/sh"), "{what:?}");
    assert_eq!(found.apps[2].args, ["-c", "echo a 'b c' 'd e'"]);
    assert_eq!(
        messages(&found),
        [
            "app `proxy`: Script not found: `no-such-program-7` is no file and no program on PATH",
            "app `dist/server.js`: Script not found: dist/server.js",
        ]
    );
}

#[test]
fn equal_wishes_have_equal_fingerprints_whatever_their_spelling() {
    let one = load_stdin_json(
        r#"{"name":"a","script":"srv/server.js","max_restarts":"5","args":"x y","env":{"P":1}}"#,
        &options(),
    );
    let other = load_stdin_json(
        r"[{env: {P: '1'}, args: ['x', 'y'], exec: './srv/server.js', maxRestarts: 5, name: 'a'}]",
        &options(),
    );
    let (one, other) = (one.expect("json"), other.expect("json"));
    assert_eq!(one.apps[0].hash(), other.apps[0].hash());
    let none = Environment::new();
    assert_ne!(one.apps[0].env, none);
}

/// The example projects, as a user calls them: the apps of each, and nothing in them that is not understood.
#[test]
fn the_example_projects_load() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").canonicalize().expect("examples");
    for (file, names) in [
        ("workspace/ecosystem.config.cjs", "server client"),
        ("workspace/ecosystem.proxy.config.cjs", "proxy server"),
        ("workspace/ecosystem.production.config.cjs", "proxy server worker queue"),
        (
            "runbook/pm2/ecosystem.dev.config.cjs",
            "orchestrator agent-scaffold agent-validation agent-e2e agent-integration agent-deployment",
        ),
        (
            "agents/ecosystem.config.js",
            "duck_indexer duck_cephalon duck_embedder duck_voice duck_attachment_indexer duck_attachment_embedder chromadb tts \
             stt file-watcher vision",
        ),
    ] {
        let path = examples.join(file);
        let from = path.parent().expect("a directory").to_owned();
        let found = load(&path, &LoadOptions { caller_cwd: from, ..options() })
            .unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
        assert_eq!(found.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(" "), names, "{file}");
        assert!(found.apps.iter().all(|app| Path::new(&app.cwd).is_dir()), "{file}");
        assert!(messages(&found).iter().all(|text| !text.contains("unknown key") && !text.contains("cwd")), "{file}");
    }
}

#[test]
fn an_empty_file_is_called_empty() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ecosystem.json");
    std::fs::write(&path, " \n").expect("file");
    let error = load(&path, &options()).expect_err("refused");
    assert_eq!(error.to_string(), format!("process file {}: it is empty", path.display()));
}

#[test]
fn keys_beside_the_apps_have_the_spellings_of_keys_of_apps() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        loaded(&file.display().to_string(), &options())
    };
    let snake = from(
        "a.json",
        r#"{"apps": [{"script": "/bin/true"}], "prune": true, "on_missing": "make", "generate": "m", "generate_from": "src", "emit": "x.json"}"#,
    );
    let kebab = from(
        "b.edn",
        r#"{:apps [{:script "/bin/true"}] :prune true :on-missing "make" :generate "m" :generate-from "src" :emit "x.json"}"#,
    );
    let camel = from(
        "c.yaml",
        "apps: [{script: /bin/true}]\nprune: true\nonMissing: make\ngenerate: m\ngenerateFrom: [src]\nemit: x.json\n",
    );
    let generate = Generate { command: "m".into(), from: vec!["src".into()], directory: folder.path().into() };
    let made = Made { generate: vec![generate], emit: vec![folder.path().join("x.json")] };
    for found in [snake, kebab, camel] {
        assert_eq!((found.prune, found.on_missing.as_deref(), &found.made), (true, Some("make"), &made));
    }
}

#[test]
fn loose_json_that_is_not_closed_is_told_at_its_end() {
    let project = tempfile::tempdir().expect("a directory");
    let refusal = |text: &str| {
        std::fs::write(project.path().join("bad.json"), text).expect("written");
        let options = LoadOptions { caller_cwd: project.path().canonicalize().expect("here"), ..options() };
        let wrong = load(Path::new("bad.json"), &options).expect_err("refused").to_string();
        wrong.rsplit_once("bad.json").expect("the file").1.to_owned()
    };
    let ends = "JSON syntax: the text ends before every brace, bracket and quote is closed";
    assert_eq!(refusal("{\"apps\":[{\"name\":\"a\",\"script\":\"x\",}\n"), format!(":1:36: {ends}"));
    assert_eq!(refusal("{ apps: [\n  { name: 'a' }\n\n\n"), format!(":2:16: {ends}"));
    let behind = refusal("{ apps: [] }\n{ apps: [] }\n");
    assert!(behind.starts_with(":2:") && !behind.contains("')'"), "{behind}");
}

#[test]
fn a_second_yaml_document_is_told_with_its_line() {
    let project = tempfile::tempdir().expect("a directory");
    std::fs::write(project.path().join("two.yaml"), "---\n# one\napps: []\n---\napps: []\n").expect("written");
    let options = LoadOptions { caller_cwd: project.path().to_owned(), ..options() };
    let wrong = load(Path::new("two.yaml"), &options).expect_err("refused").to_string();
    assert!(wrong.contains("two.yaml:4:1: YAML syntax:"), "{wrong}");
}
