//! `kind`, `units` and `profiles` of a process file, in the formats that have no helpers to call.

use baton_config::{ConfigError, LoadOptions, Loaded, load};
use baton_core::spec::AppSpec;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A directory of files, by name and text, with the directories that apps run in.
struct Project(tempfile::TempDir);

impl Project {
    fn new(file: &str, text: &str) -> Project {
        let project = Project(tempfile::tempdir().expect("a directory"));
        project.file(file, text)
    }

    fn file(self, name: &str, text: &str) -> Project {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
        self
    }

    fn path(&self) -> PathBuf {
        self.0.path().canonicalize().expect("a directory")
    }

    fn options(&self) -> LoadOptions {
        let caller_env = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/me")].map(|(k, v)| (k.into(), v.into())).into();
        LoadOptions { caller_env, caller_cwd: self.path(), home: "/home/me/.baton".into(), ..LoadOptions::default() }
    }

    fn try_load(&self, file: &str, profile: Option<&str>) -> Result<Loaded, ConfigError> {
        load(Path::new(file), &LoadOptions { profile: profile.map(Into::into), ..self.options() })
    }

    fn load(&self, file: &str, profile: Option<&str>) -> Loaded {
        self.try_load(file, profile).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// Message and help of a refused file.
    fn refusal(&self, file: &str, profile: Option<&str>) -> (String, String) {
        let wrong = self.try_load(file, profile).expect_err(file);
        (wrong.to_string().replace(&format!("{}/", self.path().display()), ""), wrong.help().unwrap_or_default())
    }
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.apps.iter().map(|app| app.name.as_str()).collect()
}

fn env<'a>(app: &'a AppSpec, key: &str) -> Option<&'a str> {
    app.env.get(key).map(String::as_str)
}

const DUCK: &str = r#"
[[apps]]
name = "duck_web"
script = "web.sh"
env = { LEVEL = "own" }

[[apps]]
name = "chromadb"
script = "chroma.sh"

[[apps]]
name = "other"
script = "other.sh"

[units.duck]
apps = ["duck_*", "chromadb", { name = "indexer", kind = "node", cwd = "indexer" }, { name = "voice", kind = "python", cwd = "voice", args = "--fast 'a b'" }]
env = { LEVEL = "shared", TOKEN = 1, HEARTBEAT_PORT = 6000 }
env_file = "unit.env"
"#;

#[test]
fn a_unit_shares_its_environment_and_names_its_own_apps() {
    let project = Project::new("apps.toml", DUCK).file("indexer/package.json", "{}").file("voice/uv.lock", "");
    let found = project.load("apps.toml", None);
    assert_eq!(names(&found), ["duck_web", "chromadb", "other", "duck_indexer", "duck_voice"]);
    let units: Vec<&str> = found.apps.iter().map(|app| app.namespace.as_str()).collect();
    assert_eq!(units, ["duck", "duck", "default", "duck", "duck"]);
    let [web, chroma, other, indexer, voice] = &found.apps[..] else { panic!("five apps") };
    assert_eq!((env(web, "LEVEL"), env(web, "TOKEN"), env(web, "AGENT_NAME")), (Some("own"), Some("1"), Some("duck")));
    assert_eq!((env(chroma, "LEVEL"), env(chroma, "HEARTBEAT_PORT")), (Some("shared"), Some("6000")));
    assert_eq!(env(other, "AGENT_NAME"), None);
    assert_eq!(env(indexer, "PM2_PROCESS_NAME"), Some("duck_indexer"));
    assert_eq!(env(indexer, "HEARTBEAT_PORT"), Some("6000"), "above the default of the kind");
    assert_eq!(indexer.out_file, Some(project.path().join("indexer/logs/duck_indexer-out.log").display().to_string()));
    assert_eq!((voice.script.as_str(), voice.interpreter.as_str()), ("uv", "none"));
    assert_eq!(voice.args, ["run", "python", "-m", "main", "--fast", "a b"]);
    assert_eq!(voice.env_file, [project.path().join("unit.env").display().to_string()]);
}

#[test]
fn only_takes_the_name_of_a_unit() {
    let project = Project::new("apps.toml", DUCK);
    let only = LoadOptions { only: vec!["duck".into()], ..project.options() };
    let found = load(Path::new("apps.toml"), &only).expect("apps");
    assert_eq!(names(&found), ["duck_web", "chromadb", "duck_indexer", "duck_voice"]);
    assert_eq!(found.unknown_only, [""; 0]);
}

#[test]
fn the_same_is_said_in_yaml_json_and_javascript() {
    let yaml = "units:\n  duck:\n    prefix: ''\n    env: {A: 1}\n    apps:\n      - {name: a, script: a.sh}\n";
    let json = r#"{"units": {"duck": {"prefix": "", "env": {"A": 1}, "apps": [{"name": "a", "script": "a.sh"}]}}}"#;
    let project = Project::new("apps.yaml", yaml)
        .file("apps.json", json)
        .file("apps.config.cjs", &format!("module.exports = {json}"))
        .file("apps.config.mjs", &format!("export default {json}"));
    let hashes = ["apps.yaml", "apps.json", "apps.config.cjs", "apps.config.mjs"].map(|file| {
        let found = project.load(file, None);
        assert_eq!(
            (names(&found), found.apps[0].namespace.as_str(), env(&found.apps[0], "A")),
            (vec!["a"], "duck", Some("1"))
        );
        found.apps[0].hash()
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
}

const PROFILES: &str = r#"
apps:
  - name: api
    script: api.sh
    maxRestarts: 3
    env: {LEVEL: debug, KEEP: "1"}
  - {name: worker, script: worker.sh}
  - {name: tool, script: tool.sh}
units:
  duck:
    apps: [{name: voice, script: voice.sh}]
profiles:
  base:
    env: {REGION: eu}
    remove: tool
  prod:
    extends: base
    env: {LEVEL: info}
    apps:
      - {name: api, max_restarts: 9, env: {LEVEL: warn, KEEP: null}}
      - {name: duck_voice, args: [--loud]}
      - {name: metrics, script: metrics.sh, kind: app}
      - {name: worker, remove: true}
  keyed:
    apps:
      worker: {script: other.sh}
"#;

#[test]
fn a_profile_patches_adds_and_removes_apps() {
    let project = Project::new("apps.yaml", PROFILES);
    for none in [None, Some("default")] {
        assert_eq!(names(&project.load("apps.yaml", none)), ["api", "worker", "tool", "duck_voice"]);
    }
    let found = project.load("apps.yaml", Some("prod"));
    assert_eq!(names(&found), ["api", "duck_voice", "metrics"]);
    let [api, voice, metrics] = &found.apps[..] else { panic!("three apps") };
    assert_eq!(api.max_restarts, Some(9));
    assert_eq!((env(api, "LEVEL"), env(api, "REGION"), env(api, "KEEP")), (Some("warn"), Some("eu"), None));
    assert_eq!((env(voice, "LEVEL"), voice.args.clone()), (Some("info"), vec!["--loud".to_owned()]));
    assert_eq!(env(metrics, "PM2_PROCESS_NAME"), Some("metrics"));
    let found = project.load("apps.yaml", Some("keyed"));
    assert_eq!(found.apps[1].script, project.path().join("other.sh").display().to_string());
    assert!(found.warnings.iter().all(|warning| !warning.message.contains("unknown key")), "{:?}", found.warnings);
}

#[test]
fn declarations_that_make_no_sense_are_refused_where_they_stand() {
    let table = [
        ("[units.duck]\napps = []\n", None, ":1:8: unit `duck` has no apps", "name apps of the file"),
        (
            "[[apps]]\nname = 'a'\nscript = 'x'\n[units.duck]\napps = ['b*']\n",
            None,
            ":4:8: unit `duck` has no apps",
            "name apps",
        ),
        ("[units]\nduck = 1\n", None, ":2:1: unit `duck` is neither a list nor a map", "write { apps"),
        (
            "[units.duck]\napps = [1]\n",
            None,
            ":2:1: unit `duck`: 1 is neither an app nor the name of one",
            "write the names",
        ),
        ("[units.duck]\nap = []\n", None, ":2:1: unit `duck`: unknown key `ap`", "a unit has apps, env, env_file"),
        (
            "[[apps]]\nname = 'a'\nscript = 'x'\n[units]\nu = ['a']\nv = ['a']\n",
            None,
            ":6:1: app `a` belongs to the units `u` and `v`",
            "name it in one of them",
        ),
        (
            "[[apps]]\nname = 'a'\nkind = 'rust'\n",
            None,
            ":3:1: app `a`: kind \"rust\" is not known",
            "write one of app, node, python",
        ),
        ("[[apps]]\nkind = 'node'\n", None, ":2:1: an app with a kind or in a unit has no name", "write name"),
        (
            "[[apps]]\nscript = 'x'\n",
            Some("prod"),
            ": there is no profile `prod`: the file has no `profiles`",
            "leave --profile",
        ),
        (
            "[profiles.dev]\n[profiles.test]\n",
            Some("prod"),
            ":1:2: there is no profile `prod`",
            "the file has dev, test",
        ),
        (
            "[profiles.dev]\nextends = 'x'\n",
            Some("dev"),
            ":2:1: profile `dev` extends `x`: there is no profile `x`",
            "the file has dev",
        ),
        (
            "[profiles.a]\nextends = 'b'\n[profiles.b]\nextends = ['a']\n",
            Some("a"),
            ":2:1: profiles extend each other: a → b → a",
            "break the circle",
        ),
        (
            "[profiles.a]\nremove = ['x']\n",
            Some("a"),
            ":2:1: profile `a` removes `x`, and there is no such app",
            "correct the name",
        ),
        (
            "[profiles.a]\nenvs = {}\n",
            Some("a"),
            ":2:1: profile `a`: unknown key `envs`",
            "a profile has extends, env, apps, remove",
        ),
        ("[profiles.a]\nenv = 1\n", Some("a"), ":2:1: profile `a`: `env` is not a map of variables", "write a map"),
        (
            "[[profiles.a.apps]]\nscript = 'x'\n",
            Some("a"),
            ": profile `a`: `apps` is not a list of apps with names",
            "write apps",
        ),
        (
            "[[units.u.apps]]\nname = 'a'\nscript = 'x'\nkill_timeout = 'soon'\n",
            None,
            ":4:1: app `u_a`: `kill_timeout: \"soon\"` is not a time",
            "write a number of milliseconds",
        ),
    ];
    for (text, profile, wanted, wanted_help) in table {
        let (message, help) = Project::new("apps.toml", text).refusal("apps.toml", profile);
        let at = message.strip_prefix("process file apps.toml").unwrap_or(&message);
        assert!(at == wanted || (wanted.starts_with(": profile") && at.ends_with(wanted)), "{text}\n{message}");
        assert!(help.starts_with(wanted_help), "{text}\n{help}");
    }
}

#[test]
fn two_units_with_one_app_name_are_refused() {
    let text = json!({"units": {
        "u": {"prefix": "", "apps": [{"name": "a", "script": "x.sh"}]},
        "v": {"prefix": "", "apps": [{"name": "a", "script": "x.sh"}]},
    }});
    let (message, _) = Project::new("apps.json", &text.to_string()).refusal("apps.json", None);
    assert!(message.starts_with("two apps are called `a` and differ in namespace, env: "), "{message}");
}

#[test]
fn a_pattern_without_an_app_is_told() {
    let text = "[[apps]]\nname = 'a'\nscript = '/bin/true'\n[units]\nu = ['a', 'b']\n";
    let found = Project::new("apps.toml", text).load("apps.toml", None);
    let told: Vec<&str> = found.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(told, ["unit `u`: no app of the file is called b"]);
}

#[test]
fn words_that_a_file_uses_for_something_else_are_told_and_passed_over() {
    let text = json!({
        "apps": [{"name": "a", "script": "/bin/true", "kind": "web"}],
        "units": ["ms", "s"],
        "profiles": {"dev": {"port": 1}},
    });
    let project = Project::new("apps.json", &text.to_string());
    let found = project.load("apps.json", None);
    assert_eq!(names(&found), ["a"]);
    let here = format!("{}/", project.path().display());
    let told: Vec<String> = found.warnings.iter().map(|warning| warning.message.replace(&here, "")).collect();
    assert_eq!(
        told,
        [
            "process file apps.json:1:58: `units` is not a map; it is ignored",
            "process file apps.json:1:96: profile `dev`: unknown key `port`; it is ignored",
            "process file apps.json:1:43: app `a`: kind \"web\" is not known and is ignored; there are app, node, python",
        ]
    );
}

#[test]
fn the_variables_of_a_unit_lie_beside_the_file_that_names_them() {
    let unit = |by: &str| {
        format!(
            "const {{ defineAgent, defineNodeService, defineStack }} = require('baton');
module.exports = {by}('owl', [defineNodeService('ears', __dirname + '/svc', {{ env_file: 'own.env' }})], {{ env_file: ['.tokens', '/etc/x.env'] }});"
        )
    };
    let project = Project::new("agents/owl.config.js", &unit("defineAgent"))
        .file("agents/stack.config.js", &unit("defineStack"))
        .file("agents/es.config.mjs", "import { defineAgent } from 'baton';\nexport default defineAgent('owl', [{ name: 'ears', script: 'x.sh', cwd: '/tmp' }], { env_file: '.tokens' });")
        .file("agents/duck.toml", "[units.duck]\nenv_file = \".tokens\"\napps = [{ name = \"a\", script = \"x.sh\", cwd = \"svc\" }]\n")
        .file("agents/duck.edn", "{:units {:duck {:env-file \".tokens\" :apps [{:name \"a\" :script \"x.sh\" :cwd \"svc\"}]}}}")
        .file("agents/.tokens", "T=1")
        .file("agents/svc/own.env", "");
    let tokens = project.path().join("agents/.tokens").display().to_string();
    for file in ["agents/owl.config.js", "agents/stack.config.js", "agents/es.config.mjs", "agents/duck.toml"] {
        let found = project.load(file, None);
        assert_eq!(found.apps[0].env_file[0], tokens, "{file}");
        let lost: Vec<_> = found.warnings.iter().filter(|it| it.to_string().contains(".tokens")).collect();
        assert!(lost.is_empty(), "{file}: {lost:?}");
    }
    let own = project.path().join("agents/svc/own.env").display().to_string();
    assert_eq!(project.load("agents/owl.config.js", None).apps[0].env_file, [tokens.as_str(), "/etc/x.env", &own]);
}

#[test]
fn an_agent_without_apps_is_refused_where_it_is_defined() {
    let text = "const { defineAgent } = require('baton');\nmodule.exports = defineAgent('duck', []);";
    let project = Project::new("a.config.js", text);
    let (message, _) = project.refusal("a.config.js", None);
    assert!(message.contains("a.config.js:2:") && message.contains("the agent 'duck' has no apps"), "{message}");
}

#[test]
fn what_a_kind_refuses_is_told_in_words_of_the_file_and_with_its_line() {
    let yaml = "apps:\n  - name: a\n    kind: node\n  - name: b\n    kind: python\n    cwd: x\n    manager: poetryy\n";
    let project = Project::new("apps.yaml", yaml);
    let (message, help) = project.refusal("apps.yaml", None);
    assert_eq!(message, "process file apps.yaml:7:5: app `b`: manager 'poetryy' is none of pipenv, uv, venv");
    assert_eq!(help, "correct `manager` of the app");
}

#[test]
fn a_kind_that_is_not_known_is_told_with_its_place_and_what_there_is() {
    let yaml =
        "apps:\n  - name: a\n    script: a.sh\n    kind: pyton\n  - name: b\n    script: b.sh\n    kind: daemon\n";
    let project = Project::new("apps.yaml", yaml);
    let told: Vec<String> = project.load("apps.yaml", None).warnings.iter().map(ToString::to_string).collect();
    let there = "is not known and is ignored; there are app, node, python";
    assert!(
        told.iter()
            .any(|it| it.ends_with(&format!("apps.yaml:4:5: app `a`: kind \"pyton\" {there}; did you mean `python`?"))),
        "{told:?}"
    );
    assert!(
        told.iter().any(|it| it.ends_with(&format!("apps.yaml:7:5: app `b`: kind \"daemon\" {there}"))),
        "{told:?}"
    );
}

#[test]
fn a_condition_that_can_never_hold_is_refused_when_the_file_is_read() {
    let file = |how: &str, more: &str| {
        format!(
            "apps:\n  - name: a\n    script: a.sh\n    depends_on: {{b: {how}}}\n  - name: b\n    script: b.sh\n{more}"
        )
    };
    for (how, more, wrong) in [
        ("healthy", "", Some("app `a` waits for `b` to be healthy, and that has no `health`")),
        ("exited", "", Some("app `a` waits for `b` to have exited, and that is not a oneshot")),
        ("exited", "    oneshot: true\n", None),
        ("healthy", "    health: {tcp: 80}\n", None),
    ] {
        let project = Project::new("apps.yaml", &file(how, more));
        match wrong {
            Some(wrong) => {
                assert_eq!(project.refusal("apps.yaml", None).0, format!("process file apps.yaml:4:5: {wrong}"))
            }
            None => assert_eq!(project.load("apps.yaml", None).apps.len(), 2),
        }
    }
}

#[test]
fn a_setting_that_reaches_nothing_is_refused_with_what_there_is() {
    let yaml = "apps:\n  - {name: a, script: a.sh}\nprofiles:\n  prod: {env: {A: 1}}\nmine: 1\n";
    let project = Project::new("apps.yaml", yaml).file("one.yaml", "name: a\nscript: a.sh\n");
    let with = |file: &str, set: &[&str], unset: &[&str]| {
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let options = LoadOptions { set: texts(set), unset: texts(unset), ..project.options() };
        load(Path::new(file), &options).map(|found| found.apps.len()).map_err(|wrong| wrong.to_string())
    };
    let top = "at the top there is apps, profiles, mine; a key of an app is apps.NAME.KEY";
    assert_eq!(
        with("apps.yaml", &["nonsense.path=1"], &[]),
        Err(format!("`--set nonsense.path` reaches nothing: {top}"))
    );
    assert_eq!(with("apps.yaml", &[], &["nonsense"]), Err(format!("`--unset nonsense`: there is none; {top}")));
    assert_eq!(
        with("apps.yaml", &["profiles.zz.env.A=1"], &[]),
        Err("`--set profiles.zz.env.A` reaches nothing: of `profiles` there are prod".to_owned())
    );
    for set in ["profiles.prod.env.B=2", "mine=2", "prune=true", "apps.a.max_restarts=3"] {
        assert_eq!(with("apps.yaml", &[set], &[]), Ok(1), "{set}");
    }
    assert_eq!(with("apps.yaml", &[], &["profiles.prod.env.A"]), Ok(1));
    assert_eq!(with("one.yaml", &["max_restarts=3"], &[]), Ok(1));
}
