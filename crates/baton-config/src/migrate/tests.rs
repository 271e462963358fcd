//! What becomes of process files as people have them.

use super::*;
use crate::load;
use baton_core::spec::Environment;
use serde_json::Value;

struct Project {
    root: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Project { root }
    }

    fn options(&self) -> LoadOptions {
        let path = std::env::var("PATH").unwrap_or_default();
        let caller_env: Environment = [("PATH".to_owned(), path)].into();
        let caller_cwd = self.root.path().canonicalize().unwrap();
        LoadOptions { caller_env, caller_cwd, ..LoadOptions::default() }
    }

    fn plan(&self) -> Plan {
        plan(&[PathBuf::from(".")], &self.options()).unwrap()
    }

    /// Carries a plan out.
    fn write(&self, plan: &Plan) {
        for step in &plan.steps {
            for (path, text) in &step.writes {
                std::fs::write(path, text).unwrap();
            }
            for path in &step.removes {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    fn apps(&self, file: &str, profile: Option<&str>, more: &[(&str, &str)]) -> Vec<Value> {
        let mut options = LoadOptions { profile: profile.map(str::to_owned), ..self.options() };
        options.caller_env.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let loaded = load(&self.root.path().join(file), &options).unwrap_or_else(|wrong| panic!("{wrong}"));
        let mut apps: Vec<Value> = loaded.apps.iter().map(|app| app.canonical()).collect();
        apps.sort_by_key(|app| app["name"].to_string());
        apps
    }
}

const DEVELOPMENT: &str = "// Development\nmodule.exports = { apps: [
  { name: 'server', script: 'npm', args: 'run start', cwd: __dirname, env: { NODE_ENV: 'test', LEVEL: 'debug' }, autorestart: true, max_restarts: 10 },
  { name: 'client', script: 'npm', args: 'run dev', cwd: __dirname, autorestart: true, max_restarts: 5 },
] };\n";
const PRODUCTION: &str = "const env = { NODE_ENV: 'production' };\nmodule.exports = { apps: [
  { name: 'proxy', script: 'proxy.py', cwd: __dirname, env_eu: { REGION: 'eu' } },
  { name: 'server', script: 'npm', args: 'run start', cwd: __dirname + '/srv', env: { ...env, PORT: process.env.PORT ?? '80', HOST: process.env.HOST || 'x' }, max_restarts: 10 },
] };\n";

#[test]
fn near_equal_copies_become_profiles() {
    let project = Project::new(&[
        ("ecosystem.config.cjs", DEVELOPMENT),
        ("ecosystem.production.config.cjs", PRODUCTION),
        ("package.json", r#"{"scripts":{"prod":"pm2 start ecosystem.production.config.cjs"}}"#),
    ]);
    let variables: &[&[(&str, &str)]] = &[&[], &[("PORT", "1"), ("HOST", "h")], &[("PORT", ""), ("HOST", "")]];
    let before: Vec<_> = variables
        .iter()
        .map(|more| {
            (
                project.apps("ecosystem.config.cjs", None, more),
                project.apps("ecosystem.production.config.cjs", None, more),
            )
        })
        .collect();
    let plan = project.plan();
    assert_eq!(plan.left, []);
    assert_eq!(plan.steps.len(), 1);
    let lines = plan.steps[0].lines.join("\n");
    assert!(lines.contains("becomes the profile `production` of ecosystem.config.cjs"), "{lines}");
    assert!(lines.contains("package.json names ecosystem.production.config.cjs"), "{lines}");
    project.write(&plan);
    let text = std::fs::read_to_string(project.root.path().join("ecosystem.config.cjs")).unwrap();
    assert!(text.starts_with("// Development\n"), "{text}");
    assert!(text.contains("process.env.PORT ?? \"80\"") && text.contains("process.env.HOST || \"x\""), "{text}");
    assert!(!text.contains(project.root.path().to_str().unwrap()), "{text}");
    for (more, (development, production)) in variables.iter().zip(before) {
        assert_eq!(project.apps("ecosystem.config.cjs", None, more), development);
        assert_eq!(project.apps("ecosystem.config.cjs", Some("production"), more), production);
    }
    assert_eq!(project.plan().steps, [], "a second run has something to do");
}

#[test]
fn data_keeps_its_format() {
    for (name, variant, base, other) in [
        (
            "ecosystem.config.yaml",
            "ecosystem.prod.config.yaml",
            "# Ours\napps:\n  - { name: a, script: a.sh, env: { A: 1, B: 2 } }\n",
            "apps:\n  - { name: a, script: a.sh, env: { A: 1 }, instances: 2 }\n",
        ),
        (
            "ecosystem.config.json",
            "ecosystem.config.prod.json",
            "{\"apps\":[{\"name\":\"a\",\"script\":\"a.sh\",\"env\":{\"A\":1,\"B\":2}}]}",
            "{\"apps\":[{\"name\":\"a\",\"script\":\"a.sh\",\"env\":{\"A\":1},\"instances\":2}]}",
        ),
    ] {
        let project = Project::new(&[(name, base), (variant, other), ("a.sh", "")]);
        let before = (project.apps(name, None, &[]), project.apps(variant, None, &[]));
        let plan = project.plan();
        assert_eq!((plan.steps.len(), plan.left.len()), (1, 0), "{plan:?}");
        project.write(&plan);
        assert_eq!((project.apps(name, None, &[]), project.apps(name, Some("prod"), &[])), before, "{name}");
        assert_eq!(project.plan().steps, []);
    }
}

#[test]
fn what_cannot_be_written_down_stays_and_says_why() {
    let app = "{ name: 'a', script: 'a.sh' }";
    for (text, why) in [
        (
            format!("module.exports = {{ apps: [{{ ...{app}, instances: process.env.N ? 2 : 1 }}] }}"),
            "depends on a variable in a way",
        ),
        (format!("const os = require('os'); module.exports = {{ apps: [{app}] }}"), "uses `require('os')`"),
        (format!("const {{ A }} = process.env; module.exports = {{ apps: [{app}] }}"), "uses `process` for more"),
        (format!("process.env.X = '1'; module.exports = {{ apps: [{app}] }}"), "sets variables"),
        ("module.exports = { apps: [{ script: 'a.sh' }] }".into(), "has an app whose name is not written"),
        (format!("module.exports = {{ apps: [{app}], deploy: {{}} }}"), "has other keys beside its apps"),
        ("module.exports = { apps: [{ name: 'b', script: 'a.sh' }] }".into(), "has no app in common"),
        ("module.exports = {".into(), "cannot be read"),
    ] {
        let project = Project::new(&[
            ("ecosystem.config.js", &format!("module.exports = {{ apps: [{app}] }}")),
            ("ecosystem.prod.config.js", &text),
            ("a.sh", ""),
        ]);
        let plan = project.plan();
        assert_eq!(plan.steps, [], "{text}");
        let told = plan.left.iter().find(|(path, _)| path.ends_with("ecosystem.prod.config.js")).expect("a reason");
        assert!(told.1.starts_with(why), "{text}: {}", told.1);
    }
}

const EDN: &str =
    ";; Ours\n{:apps [{:name \"api\" :script \"a.sh\" :cwd \"/srv\" :max-restarts 5 :env {:PORT 80 :A \"x\" :B \"y\"}}
  {:name \"worker\" :script \"b.sh\" :cwd \"/srv\" :max_restarts 5 :env {:A \"x\" :B \"y\" :C true}}]
 :profiles {:dev {:apps [{:name \"api\" :env {:PORT 81}}]}}}\n";

#[test]
fn edn_becomes_clojurescript() {
    let project = Project::new(&[("ecosystem.pm2.edn", EDN), ("a.sh", ""), ("b.sh", "")]);
    let of = |file: &str| (project.apps(file, None, &[]), project.apps(file, Some("dev"), &[]));
    let before = of("ecosystem.pm2.edn");
    let plan = project.plan();
    assert_eq!((plan.steps.len(), plan.left.len()), (1, 0), "{plan:?}");
    project.write(&plan);
    let text = std::fs::read_to_string(project.root.path().join("ecosystem.cljs")).unwrap();
    assert!(text.contains("(def common") && text.contains("(merge env {:PORT 80})"), "{text}");
    assert_eq!(of("ecosystem.cljs"), before);
    assert_eq!(project.plan().steps, []);
}

#[test]
fn a_tree_of_daemons_becomes_one_file() {
    let daemon =
        |name: &str| format!("{{:apps [{{:name \"{name}\" :script \"a.sh\" :cwd \"/srv\" :autorestart false}}]}}");
    let project =
        Project::new(&[("d/a/ecosystem.edn", &daemon("a")), ("d/b/c/ecosystem.edn", &daemon("b")), ("a.sh", "")]);
    let mut before = project.apps("d/a/ecosystem.edn", None, &[]);
    before.extend(project.apps("d/b/c/ecosystem.edn", None, &[]));
    let plan = project.plan();
    project.write(&plan);
    assert_eq!(project.apps("d/ecosystem.config.cljs", None, &[]), before);
    let two = Project::new(&[("d/a/ecosystem.edn", &daemon("a")), ("d/b/ecosystem.edn", &daemon("a"))]);
    let plan = two.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.left[0].1.contains("two apps are called \"a\""), "{:?}", plan.left);
}

const HELPERS: &str = "const path = require('path');
function defineApp(name, script, args = [], opts = {}) {
  const { cwd, watch, env_file, env = {}, instances = 1, exec_mode = 'fork' } = opts;
  return { name, script, args, exec_mode, cwd, watch, env_file, out_file: `./logs/${name}-out.log`, error_file: `./logs/${name}-err.log`,
    merge_logs: true, instances, autorestart: true, restart_delay: 10000, kill_timeout: KILL,
    env: { ...env, PM2_PROCESS_NAME: name, HEARTBEAT_PORT: defineApp.HEARTBEAT_PORT, PYTHONUNBUFFERED: '1', PYTHONPATH: defineApp.PYTHONPATH,
      CHECK_INTERVAL: 1000 * 60 * 5, HEARTBEAT_TIMEOUT: 1000 * 60 * 10 } };
}
defineApp.HEARTBEAT_PORT = 5005;
defineApp.PYTHONPATH = path.resolve(__dirname, '..');
function defineNodeService(name, dir, opts = {}) { return defineApp(name, '.', [], { cwd: dir, ...opts }); }
module.exports = { defineApp, defineNodeService };
";

fn agents(kill: &str) -> Project {
    Project::new(&[
        ("dev/pm2Helpers.js", &HELPERS.replace("KILL", kill)),
        (
            "ecosystem.config.js",
            "// master\nconst { defineApp } = require('./dev/pm2Helpers');\ndefineApp.HEARTBEAT_PORT = Number(process.env.HB || 5105);\n\
          module.exports = { apps: [...require('./a/ecosystem.config.js').apps] };\n",
        ),
        (
            "a/ecosystem.config.js",
            "const {\n  defineNodeService,\n} = require(\"../dev/pm2Helpers.js\");\n\nmodule.exports = { apps: [defineNodeService('a', __dirname, { env: { T: process.env.TOKEN } })] };\n",
        ),
        ("a/index.js", ""),
    ])
}

#[test]
fn a_module_of_helpers_gives_way_to_the_built_in_ones() {
    let project = agents("10000");
    let of =
        |more| (project.apps("ecosystem.config.js", None, more), project.apps("a/ecosystem.config.js", None, more));
    let variables: &[&[(&str, &str)]] = &[&[], &[("HB", "7"), ("TOKEN", "t")]];
    let before: Vec<_> = variables.iter().map(|more| of(more)).collect();
    let plan = project.plan();
    assert_eq!((plan.steps.len(), plan.left.len()), (1, 0), "{plan:?}");
    project.write(&plan);
    std::fs::remove_file(project.root.path().join("dev/pm2Helpers.js")).unwrap();
    assert_eq!(variables.iter().map(|more| of(more)).collect::<Vec<_>>(), before);
    let text = std::fs::read_to_string(project.root.path().join("ecosystem.config.js")).unwrap();
    assert!(text.starts_with("// master\n") && text.contains("= require('baton');"), "{text}");
    assert_eq!(project.plan().steps, []);
}

#[test]
fn helpers_that_mean_something_else_stay() {
    let plan = agents("5000").plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.left.len(), 2);
    assert!(plan.left[0].1.contains("app `a` in kill_timeout"), "{:?}", plan.left);
}

#[test]
fn repetition_in_one_file_is_said_once() {
    let app = |name: &str| {
        format!(
            "    {{\n      name: '{name}',\n      script: './{name}.js',\n      cwd: __dirname,\n      max_restarts: 5,\n      restart_delay: 2000,\n      \
                 env: {{\n        A: '1',\n        B: process.env.B,\n      }},\n    }},\n"
        )
    };
    let text = format!("module.exports = {{\n  apps: [\n{}{}{}  ],\n}};\n", app("a"), app("b"), app("c"));
    let project = Project::new(&[("ecosystem.config.js", &text), ("a.js", ""), ("b.js", ""), ("c.js", "")]);
    let before = project.apps("ecosystem.config.js", None, &[("B", "2")]);
    let plan = project.plan();
    assert_eq!((plan.steps.len(), plan.left.len()), (1, 0), "{plan:?}");
    project.write(&plan);
    assert_eq!(project.apps("ecosystem.config.js", None, &[("B", "2")]), before);
    let text = std::fs::read_to_string(project.root.path().join("ecosystem.config.js")).unwrap();
    assert!(text.contains("...common") && text.contains("process.env.B"), "{text}");
    assert_eq!(project.plan().steps, []);
}

#[test]
fn what_the_apps_of_a_unit_share_is_said_once() {
    let shared = "AGENT_NAME: web, MONGODB_URI: mongodb://db/duck, LEVEL: info, REGION: eu";
    let yaml = format!(
        "apps:\n  - {{ name: api, script: a.sh, namespace: web, env: {{ {shared}, PORT: 1 }} }}\n  - {{ name: worker, script: a.sh, namespace: web, env: {{ {shared} }} }}\n  - {{ name: alone, script: a.sh, env: {{ {shared} }}, namespace: other }}\n"
    );
    let project = Project::new(&[("ecosystem.config.yaml", &yaml), ("a.sh", "")]);
    let before = project.apps("ecosystem.config.yaml", None, &[]);
    let plan = project.plan();
    assert_eq!((plan.steps.len(), plan.left.len()), (1, 0), "{plan:?}");
    let lines = plan.steps[0].lines.join("\n");
    assert!(lines.contains("become the unit `web`, which says once: MONGODB_URI, LEVEL, REGION"), "{lines}");
    project.write(&plan);
    let text = std::fs::read_to_string(project.root.path().join("ecosystem.config.yaml")).unwrap();
    assert!(text.matches("mongodb://").count() == 2 && text.contains("units:"), "{text}");
    assert_eq!(project.apps("ecosystem.config.yaml", None, &[]), before);
    assert_eq!(project.plan().steps, [], "a second run has something to do");
}

#[test]
fn an_agent_s_apps_become_its_unit() {
    let app = |name: &str| {
        format!(
            "  {{\n    name: 'duck_{name}',\n    script: 'a.sh',\n    env: {{\n      AGENT_NAME: 'duck',\n      TOKEN: process.env.TOKEN,\n      URL: 'http://x',\n      PORT: '{name}',\n    }},\n  }},\n"
        )
    };
    let text = format!("module.exports = {{ apps: [\n{}{}{}] }};\n", app("1"), app("2"), app("3"));
    let project = Project::new(&[("ecosystem.config.cjs", &text), ("a.sh", "")]);
    let before = project.apps("ecosystem.config.cjs", None, &[("TOKEN", "t")]);
    let plan = project.plan();
    assert_eq!((plan.steps.len(), plan.left.len()), (1, 0), "{plan:?}");
    project.write(&plan);
    let text = std::fs::read_to_string(project.root.path().join("ecosystem.config.cjs")).unwrap();
    assert_eq!(text.matches("process.env.TOKEN").count(), 1, "{text}");
    assert_eq!(project.apps("ecosystem.config.cjs", None, &[("TOKEN", "t")]), before);
    assert_eq!(before[0]["namespace"], "duck");
}
