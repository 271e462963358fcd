//! Several files, patterns and directories as one source; settings and profiles over all of them; and what was read,
//! looked for and listed on the way.

use baton_config::{ConfigError, LoadOptions, Loaded, Loader, load_all};
use baton_core::spec::Origin;
use std::path::PathBuf;

struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let project = Project(tempfile::tempdir().expect("a directory"));
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn path(&self) -> PathBuf {
        self.0.path().canonicalize().expect("a directory")
    }

    fn options(&self) -> LoadOptions {
        let path = std::env::var("PATH").unwrap_or_default();
        let caller_env = [("PATH", path.as_str()), ("HOME", "/home/me")].map(|(k, v)| (k.into(), v.into())).into();
        LoadOptions { caller_env, caller_cwd: self.path(), home: "/home/me/.baton".into(), ..LoadOptions::default() }
    }

    fn try_load(&self, files: &[&str], change: impl Fn(&mut LoadOptions)) -> Result<Loaded, ConfigError> {
        let mut options = self.options();
        change(&mut options);
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        load_all(&files, &options)
    }

    fn load(&self, files: &[&str], change: impl Fn(&mut LoadOptions)) -> Loaded {
        self.try_load(files, change).unwrap_or_else(|wrong| panic!("{files:?}: {wrong}"))
    }

    /// Paths within the project, by their names in it.
    fn inside(&self, paths: &[PathBuf]) -> Vec<String> {
        let inside = paths.iter().filter_map(|path| path.strip_prefix(self.path()).ok());
        inside.map(|path| path.display().to_string()).collect()
    }

    fn shown(&self, text: impl ToString) -> String {
        text.to_string().replace(&format!("{}/", self.path().display()), "")
    }
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.apps.iter().map(|app| app.name.as_str()).collect()
}

fn node() -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join("node").is_file());
    assert!(found || std::env::var_os("CI").is_none(), "CI needs Node");
    found
}

const SERVICE: &str =
    "module.exports = { apps: [{ name: require('path').basename(__dirname), script: '/bin/true' }] };";

fn services() -> Project {
    Project::new(&[
        ("services/tts/ecosystem.config.js", SERVICE),
        ("services/stt/ecosystem.config.js", SERVICE),
        ("services/stt/main.js", "throw new Error('no process file')"),
        ("web.toml", "[[apps]]\nname = 'web'\nscript = '/bin/true'\n"),
        (
            "ecosystems/b.cljs",
            "(ns b (:require [clobber.macro :refer [defapp]] [a]))\n(defapp \"b\" {:script \"/bin/true\"})",
        ),
        (
            "ecosystems/a.cljs",
            "(ns a (:require [clobber.macro :refer [defapp]]))\n(defapp \"a\" {:script \"/bin/true\"})",
        ),
        ("ecosystems/none.cljs", "(ns none)"),
    ])
}

#[test]
fn files_patterns_and_directories_are_one_source() {
    let project = services();
    let plain = |_: &mut LoadOptions| {};
    let found = project.load(&["services/*/ecosystem.config.js", "web.toml", "ecosystems"], plain);
    assert_eq!(names(&found), ["stt", "tts", "web", "a", "b"]);
    assert_eq!(found.warnings, []);
    // Expanded by the shell it is the same, and what is named twice is read once.
    let expanded =
        ["services/stt/ecosystem.config.js", "./services/tts", "services/tts/ecosystem.config.js", "web.toml"];
    assert_eq!(names(&project.load(&expanded, plain)), ["stt", "tts", "web"]);
    // Files of Clojure share one registry, however they are named.
    for files in [
        &["ecosystems/*.cljs"][..],
        &["ecosystems/a.cljs", "ecosystems/b.cljs"],
        &["ecosystems/b.cljs", "ecosystems/a.cljs"],
    ] {
        let mut found = names(&project.load(files, plain)).join(",");
        if files[0] == "ecosystems/b.cljs" {
            // It loads the other one, whose apps come with it.
            found = found.split(',').rev().collect::<Vec<_>>().join(",");
        }
        assert!(["a,b", "b,a"].contains(&found.as_str()), "{files:?}: {found}");
    }
    // Of several that were named, one without apps is told.
    let told = project.load(&["ecosystems/a.cljs", "ecosystems/none.cljs"], plain).warnings;
    assert_eq!(
        told.iter().map(|one| project.shown(one)).collect::<Vec<_>>(),
        ["process file ecosystems/none.cljs: it defines no apps"]
    );
    // Only those that are process files by their names.
    assert_eq!(names(&project.load(&["services/stt/*.js"], plain)), ["stt"]);
}

#[test]
fn equal_apps_of_two_files_are_one_and_different_ones_name_both_places() {
    let app = |port: u16| format!("apps:\n  - name: x\n    script: /bin/true\n    env: {{PORT: {port}}}\n");
    let project = Project::new(&[
        ("a.yaml", &app(1)),
        ("b.yaml", &app(1)),
        ("c.config.js", "module.exports = [\n { name: 'x', script: '/bin/true', env: { PORT: 2 } }]"),
    ]);
    let found = project.load(&["a.yaml", "b.yaml"], |_| {});
    assert_eq!(names(&found), ["x"]);
    assert_eq!(
        project.shown(&found.warnings[0]),
        "app `x` is defined twice in the same way, by app 1 in process file a.yaml:2:5 and app 1 in process file b.yaml:2:5; it is taken once"
    );
    let wrong = project.try_load(&["a.yaml", "b.yaml", "c.config.js"], |_| {}).expect_err("they differ");
    assert_eq!(
        project.shown(wrong),
        "two apps are called `x` and differ in env: app 1 in process file a.yaml:2:5 and app 1 in process file c.config.js:2:4"
    );
}

#[test]
fn a_pattern_without_a_process_file_is_refused() {
    let project = services();
    let refused = |pattern: &str| {
        let wrong = project.try_load(&["web.toml", pattern], |_| {}).expect_err(pattern);
        (wrong.to_string(), wrong.help().expect("help"))
    };
    let (message, help) = refused("services/none/*.json");
    assert_eq!(message, "services/none/*.json matches no file");
    assert!(help.starts_with("check the pattern"), "{help}");
    let (message, help) = refused("services/stt/m*.js");
    assert_eq!(message, "services/stt/m*.js matches no process file");
    assert!(help.starts_with("process files have"), "{help}");
}

#[test]
fn settings_stand_above_the_profile_in_every_format() {
    let files = [
        (
            "a.config.js",
            "module.exports = { apps: [{ name: 'api', script: '/bin/true', env: { A: 1, B: 1, C: 1 } }], profiles: { prod: { apps: [{ name: 'api', env: { A: 2, B: 2 } }, { name: 'more', script: '/bin/true' }] } } };",
        ),
        (
            "a.toml",
            "[[apps]]\nname = 'api'\nscript = '/bin/true'\nenv = { A = 1, B = 1, C = 1 }\n[profiles.prod.apps.api]\nenv = { A = 2, B = 2 }\n[profiles.prod.apps.more]\nscript = '/bin/true'\n",
        ),
        (
            "a.cljs",
            "(ns a (:require [clobber.macro :refer [defapp defprofile]]))\n(defapp \"api\" {:script \"/bin/true\" :env {:A 1 :B 1 :C 1}})\n(defprofile :prod (defapp \"api\" {:env {:A 2 :B 2}}) (defapp \"more\" {:script \"/bin/true\"}))",
        ),
        (
            "a.edn",
            "{:apps [{:name \"api\" :script \"/bin/true\" :env {:A 1 :B 1 :C 1}}] :profiles {:prod {:apps [{:name \"api\" :env {:A 2 :B 2}} {:name \"more\" :script \"/bin/true\"}]}}}",
        ),
    ];
    let project = Project::new(&files);
    for (file, _) in files {
        let found = project.load(&[file], |options| {
            options.profile = Some("prod".into());
            options.set =
                vec!["apps.api.env.A=3".into(), "apps.more.env.NEW=x".into(), "apps.api.max-restarts=4".into()];
            options.unset = vec!["apps.api.env.C".into()];
        });
        assert_eq!(names(&found), ["api", "more"], "{file}");
        let env: Vec<(&str, &str)> = found.apps[0].env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(env, [("A", "3"), ("B", "2")], "{file}");
        assert_eq!((found.apps[0].max_restarts, found.apps[1].env["NEW"].as_str()), (Some(4), "x"), "{file}");
        let last = found.apps[0].env_layers.last().expect("layers");
        assert_eq!((&last.origin, last.env["A"].as_str()), (&Origin::Setting, "3"), "{file}");
        let [own, profile, _] = &found.apps[0].env_layers[..] else { panic!("{file}: {:?}", found.apps[0].env_layers) };
        assert_eq!((&own.origin, own.env["B"].as_str()), (&Origin::App, "1"), "{file}");
        assert_eq!((&profile.origin, profile.env["B"].as_str()), (&Origin::Profile("prod".into()), "2"), "{file}");
        let found = project.load(&[file], |options| {
            options.profile = Some("prod".into());
            options.unset = vec!["apps.more".into()];
        });
        assert_eq!(names(&found), ["api"], "{file}");
        let wrong =
            project.try_load(&[file], |options| options.set = vec!["apps.nope.env.A=1".into()]).expect_err(file);
        assert_eq!(wrong.to_string(), "no app of `apps.nope.env.A` is known: there are api", "{file}");
        let wrong = project.try_load(&[file], |options| options.profile = Some("nope".into())).expect_err(file);
        assert!(wrong.to_string().contains("there is no profile `nope`"), "{file}: {wrong}");
    }
    // Of several files each app of that name is meant, and a profile needs to be in one of them.
    project.write(
        "b.toml",
        "[[apps]]\nname = 'web.x'\nscript = '/bin/true'\n[[apps]]\nname = 'web'\nscript = '/bin/true'\n",
    );
    let found = project.load(&["a.toml", "b.toml"], |options| {
        options.profile = Some("prod".into());
        options.set = vec!["apps.web.x.env.A=1".into(), "apps.web.env.A=2".into()];
    });
    assert_eq!(names(&found), ["api", "more", "web.x", "web"]);
    assert_eq!((found.apps[0].env["A"].as_str(), found.apps[2].env["A"].as_str()), ("2", "1"));
    assert_eq!(found.apps[3].env["A"], "2");
}

#[test]
fn profiles_extend_in_order_and_later_ones_stand_above() {
    let text = "apps: [{name: a, script: /bin/true, env: {X: own}}]
profiles:
  one: {env: {X: one, FROM_ONE: 1}}
  two: {env: {X: two}, apps: {b: {script: /bin/true}}}
  all: {extends: [one, two], apps: {a: {instances: 2}}}
  last: {extends: all, env: {X: last}, remove: [b]}
  round: {extends: circle}
  circle: {extends: [one, round]}
";
    let project = Project::new(&[("apps.yaml", text)]);
    let with = |name: &str| project.load(&["apps.yaml"], |options| options.profile = Some(name.into()));
    assert_eq!(with("all").apps[0].env["X"], "two");
    assert_eq!(with("all").apps[0].env["FROM_ONE"], "1");
    assert_eq!(names(&with("all")), ["a", "b"]);
    assert_eq!(names(&with("last")), ["a"]);
    let last = with("last");
    let origins: Vec<&Origin> = last.apps[0].env_layers.iter().map(|layer| &layer.origin).collect();
    let profile = |name: &str| Origin::Profile(name.into());
    assert_eq!(origins, [&Origin::App, &profile("one"), &profile("two"), &profile("last")]);
    let wrong =
        project.try_load(&["apps.yaml"], |options| options.profile = Some("round".into())).expect_err("a circle");
    assert_eq!(project.shown(wrong), "process file apps.yaml:7:11: profiles extend each other: round → circle → round");
}

#[test]
fn helpers_units_and_their_agents_are_told_apart() {
    let text = "const { defineApp, defineAgent, defineStack } = require('baton');
const duck = defineAgent('duck', [defineApp('ears', '/bin/true', [], { env: { A: 'own' } })], { env: { A: 'unit', T: 'unit' } });
const app = duck.apps[0];
app.env.LATE = 'changed';
module.exports = { apps: [app, ...defineStack('s', [defineApp('x', '/bin/true')], { env: { S: 1 } }).apps, { name: 'plain', script: '/bin/true', env: { A: 1 } }] };";
    let project = Project::new(&[("ecosystem.config.js", text)]);
    let loaders = if node() { &[Loader::Embedded, Loader::Node][..] } else { &[Loader::Embedded] };
    for loader in loaders {
        let found = project.load(&["ecosystem.config.js"], |options| options.loader = *loader);
        let layers = |at: usize| {
            let layers = found.apps[at].env_layers.iter();
            let names = |env: &baton_core::spec::Environment| env.keys().cloned().collect::<Vec<_>>().join(" ");
            layers.map(|layer| (layer.origin.clone(), names(&layer.env))).collect::<Vec<_>>()
        };
        let unit = || Origin::Unit("duck".into());
        let defaults = "CHECK_INTERVAL HEARTBEAT_PORT HEARTBEAT_TIMEOUT PYTHONUNBUFFERED";
        assert_eq!(
            layers(0),
            [
                (Origin::Helper, defaults.to_owned()),
                (unit(), "A T".into()),
                (Origin::App, "A".into()),
                (Origin::Helper, "PM2_PROCESS_NAME".into()),
                (unit(), "AGENT_NAME".into()),
                (Origin::App, "LATE".into()),
            ],
            "{loader:?}"
        );
        assert_eq!(layers(1)[1], (Origin::Unit("s".into()), "S".to_owned()), "{loader:?}");
        assert_eq!(layers(2), []);
        for app in &found.apps {
            assert!(app.env_layers.is_empty() || baton_core::spec::merged(&app.env_layers) == app.env, "{app:?}");
        }
    }
}

#[test]
fn what_a_program_reads_looks_for_and_lists_is_known() {
    let text = "const fs = require('fs');
const path = require('path');
try { require('./maybe.js'); } catch {}
require('./lib/helper');
require('dotenv').config({ path: path.join(__dirname, '.tokens') });
const seen = [fs.existsSync('there.txt'), fs.existsSync(__dirname + '/gone.txt'), fs.statSync(__dirname + '/lib/..//conf').isDirectory()];
fs.readdirSync(path.join(__dirname, 'conf'));
try { fs.readdirSync(path.join(__dirname, 'nodir')); } catch {}
fs.readFileSync(path.join(__dirname, 'conf/data.txt'), 'utf8');
module.exports = { apps: [{ name: 'a', script: '/bin/true', env_file: ['some.env', 'absent.env'] }] };";
    let project = Project::new(&[
        ("ecosystem.config.js", text),
        ("lib/helper.js", "require('../data.json')"),
        ("data.json", "{}"),
        ("there.txt", ""),
        ("some.env", "A=1"),
        ("conf/data.txt", "x"),
        (
            "node_modules/dotenv/index.js",
            "exports.config = ({ path }) => { try { require('fs').readFileSync(path); } catch {} };",
        ),
    ]);
    let loaders = if node() { &[Loader::Embedded, Loader::Node][..] } else { &[Loader::Embedded] };
    for loader in loaders {
        let found = project.load(&["ecosystem.config.js"], |options| options.loader = *loader);
        let again = project.load(&["./ecosystem.config.js"], |options| options.loader = *loader);
        assert_eq!((&found.inputs, &found.looked_for), (&again.inputs, &again.looked_for), "the same each time");
        let inputs = project.inside(&found.inputs);
        assert_eq!(inputs[0], "ecosystem.config.js");
        for name in ["lib/helper.js", "data.json", "conf/data.txt", "node_modules/dotenv/index.js", "some.env"] {
            assert!(inputs.iter().any(|input| input == name), "{loader:?}: {name} in {inputs:?}");
        }
        let looked_for = project.inside(&found.looked_for);
        for name in ["maybe.js", ".tokens", "there.txt", "gone.txt", "conf", "nodir", "absent.env"] {
            assert!(looked_for.iter().any(|path| path == name), "{loader:?}: {name} in {looked_for:?}");
        }
        assert_eq!(project.inside(&found.directories), ["conf"], "{loader:?}");
        for list in [&found.inputs, &found.looked_for, &found.directories] {
            let mut once = list.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), list.len(), "{loader:?}: each once");
            assert!(list.iter().all(|path| path.is_absolute() && !path.to_string_lossy().contains("/../")), "{list:?}");
        }
        assert!(found.looked_for.iter().all(|path| !found.inputs.contains(path)), "{loader:?}");
    }
}

#[test]
fn what_the_other_loaders_look_at_is_known() {
    let project = services();
    project.write("services/.hidden/x", "");
    let plain = |_: &mut LoadOptions| {};
    // A directory: it is listed, and a default file would come before.
    let found = project.load(&["ecosystems"], plain);
    assert_eq!(project.inside(&found.inputs), ["ecosystems/a.cljs", "ecosystems/b.cljs", "ecosystems/none.cljs"]);
    assert_eq!(project.inside(&found.directories), ["ecosystems"]);
    assert!(
        project.inside(&found.looked_for).contains(&"ecosystems/ecosystem.config.js".into()),
        "{:?}",
        found.looked_for
    );
    // A pattern: every directory that it leads through.
    let found = project.load(&["services/*/ecosystem.config.js"], plain);
    assert_eq!(project.inside(&found.directories), ["services", "services/stt", "services/tts"]);
    // `loadServices`: the same from within.
    project.write("all.config.js", "module.exports = { apps: require('baton').loadServices('services/*/eco*.js') };");
    let found = project.load(&["all.config.js"], plain);
    assert_eq!(project.inside(&found.directories), ["services", "services/stt", "services/tts"]);
    assert_eq!(
        project.inside(&found.inputs)[1..],
        ["services/stt/ecosystem.config.js", "services/tts/ecosystem.config.js"]
    );
    // Clojure: namespaces and included files, also where they were looked for in vain.
    project.write("clj/src/deep/x.cljs", "(ns deep.x)");
    project.write("clj/deps.edn", "{:paths [\"src\"]}");
    project.write("clj/e.cljs", "(ns e (:require [deep.x] [clobber.macro :refer [defapp]]))\n(defapp \"e\" {:script \"/bin/true\" :env-file \"e.env\"})");
    let found = project.load(&["clj/e.cljs"], plain);
    let inputs = project.inside(&found.inputs);
    for name in ["clj/e.cljs", "clj/src/deep/x.cljs", "clj/deps.edn"] {
        assert!(inputs.iter().any(|input| input == name), "{name} in {inputs:?}");
    }
    let looked_for = project.inside(&found.looked_for);
    for name in ["clj/deep/x.cljs", "clj/deep/x.clj", "e.env"] {
        assert!(looked_for.iter().any(|path| path == name), "{name} in {looked_for:?}");
    }
    // Data: the file, and its files of variables.
    project.write("data.yaml", "apps: [{name: a, script: /bin/true, env_file: [web.toml, gone.env]}]");
    let found = project.load(&["data.yaml"], plain);
    assert_eq!(project.inside(&found.inputs), ["data.yaml", "web.toml"]);
    assert_eq!((project.inside(&found.looked_for), found.directories), (vec!["gone.env".to_owned()], vec![]));
    // A tree of daemons: each directory of it.
    project.write("daemons/one/ecosystem.edn", "{:apps [{:name \"d\" :script \"/bin/true\"}]}");
    project.write("daemons/two/notes.txt", "");
    let found = project.load(&["./daemons"], plain);
    assert_eq!(project.inside(&found.directories), ["daemons", "daemons/one", "daemons/two"]);
}

#[test]
fn helpers_and_data_beside_the_files_of_a_directory_of_sources_are_left_aside() {
    let project = Project::new(&[
        ("ecosystems/web.js", "module.exports = [require('./helper').app('web', require('./data.json').script)];"),
        ("ecosystems/helper.js", "exports.app = (name, script) => ({ name, script });"),
        ("ecosystems/data.json", "{\"script\": \"web.sh\"}"),
        ("ecosystems/wrong.config.js", "module.exports = { aps: [] };"),
        ("ecosystems/web.sh", ""),
    ]);
    let load = || load_all(&["ecosystems".into()], &project.options());
    // A name that says it is a process file is held to that.
    assert!(load().unwrap_err().to_string().contains("wrong.config.js"));
    std::fs::remove_file(project.path().join("ecosystems/wrong.config.js")).unwrap();
    let found = load().unwrap();
    assert_eq!(names(&found), ["web"]);
    let skipped: Vec<_> =
        found.skipped.iter().map(|one| (one.path.file_name().unwrap().to_str().unwrap(), one.why)).collect();
    assert_eq!(skipped, [("helper.js", "it defines no apps")]);
}

#[test]
fn files_whose_apps_all_come_of_what_they_declare_are_read_wherever_they_stand() {
    let project = Project::new(&[
        ("ecosystems/units.yml", "units:\n  shop:\n    apps:\n      - { name: web, script: web.sh }\n"),
        ("ecosystems/site.yml", "static:\n  - { path: ., port: 8081 }\n"),
        ("ecosystems/web.sh", ""),
    ]);
    for source in ["ecosystems", "ecosystems/*.yml"] {
        let found = project.load(&[source], |_| ());
        assert_eq!(names(&found), ["static-page-server-8081", "shop_web"], "{source}");
        assert!(found.skipped.is_empty(), "{source}: {:?}", found.skipped);
    }
}
