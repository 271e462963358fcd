//! The helpers of `require("baton")` in process files.

mod project;

use baton_config::js::{self, Evaluated, JsError, JsOptions, Limits, Loader, Source};
use baton_config::{LoadOptions, load};
use project::Project;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

impl Project {
    fn evaluate(&self, file: &str) -> Result<Evaluated, JsError> {
        let options = JsOptions {
            env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("OUTER".to_owned(), "1".to_owned())].into(),
            cwd: self.path(),
            argv: Vec::new(),
            limits: Limits { time: Duration::from_secs(10), ..Limits::default() },
        };
        js::load(Loader::Embedded, Path::new(file), Source::File, &options)
    }

    fn value(&self, file: &str) -> Value {
        self.evaluate(file).unwrap_or_else(|wrong| panic!("{file}: {wrong}")).value
    }

    fn error(&self, file: &str) -> String {
        let here = self.path();
        self.evaluate(file).expect_err("it must fail").to_string().replace(&*here.to_string_lossy(), "@")
    }
}

/// The export of one file that has the helpers in scope.
fn value(text: &str) -> Value {
    let helpers =
        "const { defineApp, definePythonService, defineNodeService, defineAgent, defineStack } = require('baton');\n";
    Project::new(&[("a.config.cjs", &format!("{helpers}module.exports = {text};"))]).value("a.config.cjs")
}

#[test]
fn an_app_has_defaults_and_every_option_passes_through() {
    assert_eq!(
        value("defineApp('a', 'a.js')"),
        json!({
            "name": "a", "script": "a.js", "args": [], "exec_mode": "fork", "instances": 1,
            "out_file": "./logs/a-out.log", "error_file": "./logs/a-err.log", "merge_logs": true, "autorestart": true,
            "restart_delay": 10000, "kill_timeout": 10000,
            "env": {"HEARTBEAT_PORT": 5005, "PYTHONUNBUFFERED": "1", "CHECK_INTERVAL": 300_000, "HEARTBEAT_TIMEOUT": 600_000,
                    "PM2_PROCESS_NAME": "a"},
        })
    );
    let app = value(
        "defineApp('a', 'a.js', ['x'], { outFile: 'o', 'kill-timeout': 1, autorestart: false, instances: 2, time: true, \
         watch: ['src'], odd: { deep: [1] }, env_production: { A: 1 }, \
         env: { HEARTBEAT_PORT: 1, PM2_PROCESS_NAME: 'mine', MINE: null } })",
    );
    assert_eq!(app["args"], json!(["x"]));
    assert_eq!((&app["outFile"], &app["kill-timeout"], &app["autorestart"]), (&json!("o"), &json!(1), &json!(false)));
    assert!(app.get("out_file").is_none() && app.get("kill_timeout").is_none(), "a default beside another spelling");
    assert_eq!((&app["instances"], &app["time"], &app["watch"]), (&json!(2), &json!(true), &json!(["src"])));
    assert_eq!((&app["odd"], &app["env_production"]), (&json!({"deep": [1]}), &json!({"A": 1})));
    assert_eq!(app["env"]["HEARTBEAT_PORT"], 1, "the caller's variables win");
    assert_eq!(app["env"]["PM2_PROCESS_NAME"], "a", "but for the name");
    assert_eq!(app["env"]["MINE"], Value::Null);
}

#[test]
fn settings_of_the_function_hold_for_every_file() {
    let project = Project::new(&[
        (
            "a.config.cjs",
            "const { defineApp } = require('baton'); defineApp.HEARTBEAT_PORT = 7; defineApp.PYTHONPATH = __dirname;\nmodule.exports = [require('./b'), require('./c.mjs').default];",
        ),
        ("b.js", "module.exports = require('baton').defineApp('b', 'b.js').env;"),
        (
            "c.mjs",
            "import baton, { defineApp } from 'baton';\nexport default baton.defineApp === defineApp && defineApp('c', 'c.js').env;",
        ),
    ]);
    let found = project.value("a.config.cjs");
    for env in [&found[0], &found[1]] {
        assert_eq!((&env["HEARTBEAT_PORT"], &env["PYTHONPATH"]), (&json!(7), &json!(project.path())));
    }
}

#[test]
fn python_runs_by_what_lies_in_its_directory() {
    let project = Project::new(&[
        (
            "a.config.cjs",
            "const { definePythonService: p } = require('baton');\nmodule.exports = [p('pip', 'pip'), p('uv', 'uv', { args: '--a \"b c\"' }), p('venv', 'venv', { module: 'tts.app' }), p('named', 'uv', { manager: 'venv', venv: '../env', cwd: 'pip', interpreter: 'x' }), p('none', 'none')];",
        ),
        ("pip/Pipfile", ""),
        ("uv/uv.lock", ""),
        ("uv/Pipfile", ""),
        ("venv/.venv/bin/python", ""),
    ]);
    let found = project.value("a.config.cjs");
    let what: Vec<Value> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|app| json!([app["script"], app["args"], app["cwd"], app["interpreter"]]))
        .collect();
    let here = project.path();
    assert_eq!(
        what,
        [
            json!(["pipenv", ["run", "python", "-m", "main"], "pip", "none"]),
            json!(["uv", ["run", "python", "-m", "main", "--a", "b c"], "uv", "none"]),
            json!([here.join("venv/.venv/bin/python"), ["-m", "tts.app"], "venv", "none"]),
            json!([here.join("env/bin/python"), ["-m", "main"], "pip", "x"]),
            json!(["pipenv", ["run", "python", "-m", "main"], "none", "none"]),
        ]
    );
    assert!(found[3].get("manager").is_none() && found[3].get("venv").is_none() && found[2].get("module").is_none());
}

#[test]
fn an_agent_puts_its_name_its_variables_and_its_unit_into_each_app() {
    let agent = value(
        "(() => { const shared = { TOKEN: 't', HEARTBEAT_PORT: 9, LEVEL: 'shared' };
          const agent = defineAgent('duck', [
            defineNodeService('ears', 'services/ears', { env: { LEVEL: 'own' }, out_file: 'mine.log' }),
            { ...defineApp('mouth', 'm.js'), instances: 3 },
            { name: 'chromadb', script: 'run.sh', env_file: 'own.env', depends_on: ['a'] },
          ], { env: shared, env_file: '.env', depends_on: { mongo: 'ready' }, region: 'eu' });
          return { ...agent, spread: [...agent.apps].length, untouched: Object.keys(shared).length }; })()",
    );
    assert_eq!((&agent["name"], &agent["region"], &agent["spread"]), (&json!("duck"), &json!("eu"), &json!(3)));
    let [ears, mouth, chroma] = &agent["apps"].as_array().expect("apps")[..] else { panic!("three apps") };
    assert_eq!(ears["name"], "duck_ears");
    assert_eq!(
        ears["env"],
        json!({"HEARTBEAT_PORT": 9, "PYTHONUNBUFFERED": "1", "CHECK_INTERVAL": 300_000, "HEARTBEAT_TIMEOUT": 600_000,
               "LEVEL": "own", "PM2_PROCESS_NAME": "duck_ears", "TOKEN": "t", "AGENT_NAME": "duck"})
    );
    assert_eq!((&ears["out_file"], &ears["error_file"]), (&json!("mine.log"), &json!("./logs/duck_ears-err.log")));
    assert_eq!((&ears["namespace"], &mouth["namespace"]), (&json!("duck"), &json!("duck")));
    assert_eq!((&mouth["env"]["HEARTBEAT_PORT"], &mouth["instances"]), (&json!(9), &json!(3)));
    assert_eq!(chroma["env"], json!({"TOKEN": "t", "HEARTBEAT_PORT": 9, "LEVEL": "shared", "AGENT_NAME": "duck"}));
    let unit = ears["env_file"].as_str().expect("a path");
    assert!(unit.starts_with('/') && unit.ends_with("/.env"), "{unit}");
    assert_eq!(chroma["env_file"], json!([unit, "own.env"]));
    assert_eq!(
        (&chroma["depends_on"], &ears["depends_on"]),
        (&json!({"mongo": "ready", "a": null}), &json!({"mongo": "ready"}))
    );
    assert_eq!(agent["untouched"], 3);
}

#[test]
fn a_stack_joins_what_holds_apps_and_renames_it() {
    let stack = value(
        "defineStack('test', [defineAgent('duck', [defineApp('a', 'a.js')]), { default: { apps: [defineApp('b', 'b.js', [], { env: { P: 1 } })] } }, [{ name: 'c', script: 'c' }]], { prefix: 'test-', env: { STACK: 't' } })",
    );
    let apps = stack["apps"].as_array().expect("apps");
    let what: Vec<Value> = apps.iter().map(|app| json!([app["name"], app["namespace"], app["env"]["STACK"]])).collect();
    assert_eq!(
        what,
        [json!(["test-duck_a", "test-duck", "t"]), json!(["test-b", "test", "t"]), json!(["test-c", "test", "t"])]
    );
    assert_eq!(apps[0]["env"]["PM2_PROCESS_NAME"], "test-duck_a");
    assert_eq!(apps[0]["out_file"], "./logs/test-duck_a-out.log");
    assert_eq!(apps[1]["env"]["P"], 1);
}

#[test]
fn services_are_loaded_by_pattern_from_the_directory_of_the_file() {
    let service = "module.exports = { apps: [{ name: require('path').basename(__dirname), script: 'x', env: { ROOT: process.env.ROOT, OUTER: process.env.OUTER } }] };";
    let project = Project::new(&[
        (
            "dev/a.config.cjs",
            "const { loadServices } = require('baton');\nmodule.exports = { apps: loadServices('../services/**/ecosystem.config.*', { env: { ROOT: '1', OUTER: '2' } }), after: [process.env.ROOT ?? null, process.env.OUTER] };",
        ),
        (
            "dev/b.config.mjs",
            "import { loadServices } from 'baton';\nexport const apps = loadServices(['../services/tts/*.js', '../services/**/ecosystem.config.js']);",
        ),
        ("dev/c.config.cjs", "module.exports = require('baton').loadServices('../nothing/*.js');"),
        ("services/tts/ecosystem.config.js", service),
        ("services/stt/ecosystem.config.js", service),
        ("services/es/ecosystem.config.mjs", "export default { apps: [{ name: 'es', script: 'y' }] };"),
        ("services/node_modules/p/ecosystem.config.js", "throw new Error('a package')"),
    ]);
    let found = project.evaluate("dev/a.config.cjs").expect("apps");
    let app = |name: &str| json!({"name": name, "script": "x", "env": {"ROOT": "1", "OUTER": "2"}});
    assert_eq!(found.value["apps"], json!([{"name": "es", "script": "y"}, app("stt"), app("tts")]));
    assert_eq!(found.value["after"], json!([null, "1"]), "the variables hold during the loading only");
    assert!(found.inputs.contains(&project.path().join("services/stt/ecosystem.config.js")), "{:?}", found.inputs);
    assert!(found.directories.contains(&project.path().join("services")), "{:?}", found.directories);
    let names: Vec<Value> = project.value("dev/b.config.mjs")["apps"]
        .as_array()
        .expect("apps")
        .iter()
        .map(|app| app["name"].clone())
        .collect();
    assert_eq!(names, ["tts", "stt"]);
    let error = project.error("dev/c.config.cjs");
    assert!(error.contains("@/dev/c.config.cjs:1:"), "{error}");
    assert!(error.contains("loadServices: ../nothing/*.js matches no file under @/dev"), "{error}");
}

#[test]
fn wrong_calls_say_what_is_missing_and_where() {
    for (text, wanted) in [
        ("require('baton').defineApp()", "defineApp: an app needs a name"),
        ("require('baton').definePythonService('a')", "definePythonService: a needs a directory"),
        (
            "require('baton').definePythonService('a', '.', { manager: 'conda' })",
            "manager 'conda' is none of pipenv, uv, venv",
        ),
        ("require('baton').defineAgent('a', [1])", "number is no app and holds none"),
    ] {
        let error = Project::new(&[("a.config.cjs", &format!("\n module.exports = {text};"))]).error("a.config.cjs");
        assert!(error.starts_with("@/a.config.cjs:2:") && error.contains(wanted), "{error}");
    }
}

#[test]
fn an_installed_package_of_that_name_comes_first() {
    let project = Project::new(&[
        ("a.config.cjs", "module.exports = require('baton');"),
        ("node_modules/baton/index.js", "module.exports = { apps: [], theirs: true };"),
    ]);
    assert_eq!(project.value("a.config.cjs"), json!({"apps": [], "theirs": true}));
}

#[test]
fn what_the_helpers_make_loads_without_a_warning_about_keys() {
    let project = Project::new(&[
        (
            "a.config.ts",
            "import { defineAgent, defineNodeService, type App } from 'baton';\nexport default defineAgent('duck', [defineNodeService('ears', 'ears')]);",
        ),
        ("ears/package.json", "{}"),
    ]);
    let options = LoadOptions { caller_cwd: project.path(), ..LoadOptions::default() };
    let found = load(Path::new("a.config.ts"), &options).expect("apps");
    let [ears] = &found.apps[..] else { panic!("{:?}", found.apps) };
    assert_eq!((ears.name.as_str(), ears.namespace.as_str()), ("duck_ears", "duck"));
    assert_eq!((ears.interpreter.as_str(), &*ears.script), ("node", &*project.path().join("ears").to_string_lossy()));
    assert_eq!(found.warnings, []);
}

/// Evaluates by a loader; `None` where there is no Node.
fn by(loader: Loader, project: &Project, file: &str) -> Option<Result<Evaluated, JsError>> {
    let path = std::env::var("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join("node").is_file()) {
        assert!(std::env::var_os("CI").is_none(), "CI needs Node");
        eprintln!("SKIPPED: no Node on PATH");
        return None;
    }
    let limits = Limits { time: Duration::from_secs(30), ..Limits::default() };
    let env = [("PATH".to_owned(), path), ("OUTER".to_owned(), "1".to_owned())].into();
    let options = JsOptions { env, cwd: project.path(), argv: Vec::new(), limits };
    Some(js::load(loader, Path::new(file), Source::File, &options))
}

#[test]
fn the_real_node_tells_what_an_es_module_imports_also_when_that_fails() {
    let project = Project::new(&[
        ("good.config.mjs", "import { apps } from './lib/shared.mjs';\nexport { apps };"),
        ("lib/shared.mjs", "export const apps = [{ name: 'a', script: 'a.js' }];"),
        ("broken.config.mjs", "import './lib/broken.mjs';\nexport const apps = [];"),
        ("lib/broken.mjs", "throw new Error('broken here');"),
        ("absent.config.mjs", "import './lib/absent.mjs';\nexport const apps = [];"),
    ]);
    let Some(good) = by(Loader::Node, &project, "good.config.mjs") else { return };
    let good = good.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(good.inputs.contains(&project.path().join("lib/shared.mjs")), "{:?}", good.inputs);
    for (file, told, input) in [
        ("broken.config.mjs", "broken here", "lib/broken.mjs"),
        ("absent.config.mjs", "Cannot find module", "lib/absent.mjs"),
    ] {
        let error = by(Loader::Node, &project, file).expect("Node").expect_err("it fails");
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.inputs.contains(&project.path().join(input)), "{file}: {:?}", error.inputs);
    }
}

#[test]
fn the_real_node_gives_the_same_with_the_helpers() {
    let service = "const { defineNodeService } = require('baton');\nmodule.exports = { apps: [defineNodeService(require('path').basename(__dirname), __dirname, { env: { ROOT: process.env.ROOT } })] };";
    let master = "const { defineApp, definePythonService, defineNodeService, defineAgent, defineStack, loadServices } = require('baton');
defineApp.HEARTBEAT_PORT = 6006;
defineApp.PYTHONPATH = __dirname;
const duck = defineAgent('duck', [
  definePythonService('ears', 'services/tts', { args: `--fast 'a b' \\\"c\\\" d\\\\ e it's`, 'max-restarts': 3, outFile: 'x.log' }),
  defineNodeService('web', './services/web', { env: { HEARTBEAT_PORT: 1, EMPTY: undefined } }),
  { name: 'raw', script: './run.sh', env: { PM2_PROCESS_NAME: 'raw', A: 1 } },
], { env: { TOKEN: 't', A: 'unit' }, env_file: '.tokens', depends_on: { db: 'started' } });
const all = loadServices(['services/**/ecosystem.config.{js,cjs}', './services/?tt/*.js', 'services/[!x]*/e*.js'], { env: { ROOT: '1' } });
module.exports = { apps: [...duck.apps, ...defineStack('test', [all], { prefix: 'test-', env: { LEVEL: 'stack' } }).apps, defineApp('one', { script: 'one.js', restartDelay: 5 })] };";
    let es = "import baton, { defineApp, loadServices } from 'baton';
import { defineAgent } from 'node:baton';
export const apps = [...defineAgent('owl', [defineApp('a', 'a.js')]).apps, ...loadServices('./services/*/ecosystem.config.js'), baton.defineApp('b', 'b.js')];";
    let project = Project::new(&[
        ("master.config.cjs", master),
        ("es.config.mjs", es),
        ("services/tts/ecosystem.config.js", service),
        ("services/tts/uv.lock", ""),
        ("services/a-b/ecosystem.config.js", service),
        ("services/a/b/ecosystem.config.cjs", service),
        ("services/stt/ecosystem.config.js", service),
        ("services/node_modules/p/ecosystem.config.js", "throw new Error('a package')"),
        ("services/web/index.js", ""),
        ("own.config.cjs", "module.exports = { apps: [require('baton').mine] };"),
        ("wrong.config.cjs", "const { loadServices } = require('baton');\nmodule.exports = loadServices('none/*.js');"),
        (
            "both.config.cjs",
            "const { defineApp } = require('baton');\nconst z = require('zlib').gzipSync('x').length;\nmodule.exports = { apps: [defineApp('z', 'z.js', [], { env: { SMALL: z > 0 } })] };",
        ),
    ]);
    for file in ["master.config.cjs", "es.config.mjs"] {
        let Some(node) = by(Loader::Node, &project, file) else { return };
        let node = node.unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
        let ours =
            by(Loader::Embedded, &project, file).expect("Node").unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
        assert_eq!(node.value.to_string(), ours.value.to_string(), "{file}");
        assert_eq!(node.traces, ours.traces, "{file}");
        assert_eq!(node.undefined, ours.undefined, "{file}");
        let sorted = |list: &[std::path::PathBuf]| list.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(&node.directories), sorted(&ours.directories), "{file}");
        let missing: Vec<_> = ours.inputs.iter().filter(|file| !node.inputs.contains(file)).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
    let error = by(Loader::Node, &project, "wrong.config.cjs").expect("Node").expect_err("no such files");
    assert!(error.to_string().contains("loadServices: none/*.js matches no file under"), "{error}");
    // What only Node has, and the helpers, in one file.
    let both = by(Loader::Auto, &project, "both.config.cjs").expect("Node").unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(both.value["apps"][0]["env"]["SMALL"], true);
    assert!(both.note.expect("a note").contains("zlib.gzipSync"));

    // An installed package of that name comes first in Node as well.
    let package = project.path().join("node_modules/baton");
    std::fs::create_dir_all(&package).expect("made");
    std::fs::write(package.join("index.js"), "exports.mine = { name: 'mine', script: 'x' };").expect("written");
    let own = by(Loader::Node, &project, "own.config.cjs").expect("Node").unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(own.value["apps"][0]["name"], "mine");
}
