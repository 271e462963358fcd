//! Units that a process file means without naming them: whole projects of several modules.

mod project;

use baton_config::{CliOverrides, LoadOptions, Loader, load, render};
use project::Project;
use std::path::Path;

impl Project {
    fn options(&self) -> LoadOptions {
        let path = std::env::var("PATH").expect("PATH");
        let caller_env = [("PATH".to_owned(), path), ("HOME".to_owned(), "/home/me".to_owned())].into();
        LoadOptions { caller_env, caller_cwd: self.path(), home: "/home/me/.baton".into(), ..LoadOptions::default() }
    }

    /// `unit/app` for each app, in order.
    fn units(&self, file: &str, change: impl Fn(&mut LoadOptions)) -> Vec<String> {
        let mut options = self.options();
        change(&mut options);
        let loaded = load(Path::new(file), &options).unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
        loaded.apps.iter().map(|app| format!("{}/{}", app.namespace, app.name)).collect()
    }
}

/// As people write them: `defineAgent` of their own, which puts the agent's name into variables and names.
const HELPERS: &str = "
const app = (name) => ({ name, script: '/bin/true', env: {} });
exports.app = app;
exports.defineAgent = (name, apps, opts = {}) => ({
  name, apps: apps.map((a) => ({ ...a, name: `${name}_${a.name}`, env: { ...a.env, AGENT_NAME: name } })), ...opts });
";
const OWL: &str = "const { app } = require('../helpers.js');\nmodule.exports = { name: 'owl', region: 'x', apps: [app('ears'), app('eyes')] };";
const DUCK: &str = "
const { app, defineAgent } = require('../../helpers.js');
module.exports = { apps: [...defineAgent('duck', [app('a'), app('b')]).apps, app('chromadb')] };";
const MASTER: &str = "
const duck = require('./agents/duck/ecosystem.config.js');
const services = [require('./agents/owl.js'), require('./tts.json')];
const { app, defineAgent } = require('./helpers.js');
const hen = defineAgent('hen', [app('house')]);
module.exports = { apps: [...duck.apps, ...services.flatMap((one) => one.apps), ...hen.apps, app('proxy'), { ...app('last'), namespace: 'said' }] };";

fn master() -> Project {
    Project::new(&[
        ("helpers.js", HELPERS),
        ("agents/owl.js", OWL),
        ("agents/duck/ecosystem.config.js", DUCK),
        ("tts.json", r#"{"apps": [{"name": "tts", "script": "/bin/true"}]}"#),
        ("ecosystem.config.js", MASTER),
    ])
}

const UNITS: &[&str] = &[
    "duck/duck_a",
    "duck/duck_b",
    "duck/chromadb",
    "owl/ears",
    "owl/eyes",
    "default/tts",
    "hen/hen_house",
    "default/proxy",
    "said/last",
];

#[test]
fn a_master_file_knows_the_units_of_its_modules() {
    assert_eq!(master().units("ecosystem.config.js", |_| {}), UNITS);
}

#[test]
fn an_agents_own_file_means_the_same_unit_as_the_master() {
    let duck = master().units("agents/duck/ecosystem.config.js", |_| {});
    assert_eq!(duck, ["duck/duck_a", "duck/duck_b", "duck/chromadb"]);
    assert_eq!(master().units("agents/owl.js", |_| {}), ["owl/ears", "owl/eyes"]);
}

#[test]
fn the_real_node_knows_the_same_units() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join("node").is_file()) {
        assert!(std::env::var_os("CI").is_none(), "CI needs Node");
        eprintln!("SKIPPED: no Node on PATH");
        return;
    }
    assert_eq!(master().units("ecosystem.config.js", |options| options.loader = Loader::Node), UNITS);
}

#[test]
fn es_modules_and_typescript_are_modules_too() {
    let project = Project::new(&[
        ("helpers.mjs", "export const app = (name) => ({ name, script: '/bin/true' });"),
        ("owl.mjs", "import { app } from './helpers.mjs';\nexport default { name: 'owl', apps: [app('ears')] };"),
        (
            "hen.ts",
            "export const name: string = 'hen';\nexport const apps: object[] = [{ name: 'house', script: '/bin/true' }];",
        ),
        ("all.mjs", "import owl from './owl.mjs';\nexport const name = 'all';\nexport const apps = [...owl.apps];"),
        (
            "ecosystem.config.mjs",
            "import { apps } from './all.mjs';\nimport * as hen from './hen.ts';\nimport { app } from './helpers.mjs';\n\
             export default { apps: [...apps, ...hen.apps, app('own')] };",
        ),
    ]);
    // `all` only passes on what is the owl's.
    assert_eq!(project.units("ecosystem.config.mjs", |_| {}), ["owl/ears", "hen/house", "default/own"]);
}

#[test]
fn units_of_the_file_and_the_command_line_stand_above_what_is_guessed() {
    let project = Project::new(&[
        ("helpers.js", HELPERS),
        ("agents/duck/ecosystem.config.js", DUCK),
        (
            "ecosystem.config.js",
            "module.exports = { apps: [...require('./agents/duck/ecosystem.config.js').apps, { name: 'web', script: '/bin/true' }],\n\
             units: { pond: ['duck_*'], store: ['chromadb'] } };",
        ),
    ]);
    let units = project.units("ecosystem.config.js", |_| {});
    assert_eq!(units, ["pond/duck_a", "pond/duck_b", "store/chromadb", "default/web"]);
    let file = "agents/duck/ecosystem.config.js";
    let units = project.units(file, |options| {
        options.overrides = CliOverrides { namespace: Some("mine".into()), ..CliOverrides::default() };
    });
    assert_eq!(units, ["mine/duck_a", "mine/duck_b", "mine/chromadb"]);
}

#[test]
fn only_takes_the_name_of_a_guessed_unit() {
    let units = master().units("ecosystem.config.js", |options| options.only = vec!["owl".into(), "chromadb".into()]);
    assert_eq!(units, ["duck/chromadb", "owl/ears", "owl/eyes"]);
}

#[test]
fn modules_that_fail_or_throw_when_looked_at_change_nothing() {
    let project = Project::new(&[
        ("broken.js", "exports.name = 'broken'; throw new Error('no');"),
        ("nasty.js", "module.exports = { name: 'nasty', get apps() { throw new Error('no'); } };"),
        ("round.js", "const apps = []; apps.push(apps); module.exports = { name: 'round', apps };"),
        ("late.mjs", "export const name = 'late'; await new Promise(() => {}); export const apps = [];"),
        (
            "ecosystem.config.cjs",
            "try { require('./broken.js'); } catch {}\nrequire('./nasty.js'); require('./round.js');\nimport('./late.mjs');\n\
             module.exports = { apps: [{ name: 'a', script: '/bin/true' }] };",
        ),
    ]);
    assert_eq!(project.units("ecosystem.config.cjs", |_| {}), ["default/a"]);
}

#[test]
fn a_rendered_file_keeps_units_and_those_without_one() {
    let project = Project::new(&[(
        "duck/ecosystem.config.js",
        "module.exports = { apps: [{ name: 'duck_a', script: '/bin/true', env: { AGENT_NAME: 'duck' } },\n\
         { name: 'duck_b', script: '/bin/true', namespace: 'default', env: { AGENT_NAME: 'duck' } },\n\
         { name: 'db', script: '/bin/true' }] };",
    )]);
    let units = ["duck/duck_a", "default/duck_b", "duck/db"];
    assert_eq!(project.units("duck/ecosystem.config.js", |_| {}), units);
    let loaded = load(Path::new("duck/ecosystem.config.js"), &project.options()).expect("loads");
    let rendered = render::document(&loaded.apps).to_string();
    std::fs::write(project.path().join("duck/rendered.json"), rendered).expect("written");
    assert_eq!(project.units("duck/rendered.json", |_| {}), units);
}
