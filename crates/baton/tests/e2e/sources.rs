//! Several process files, patterns and directories behind one verb.

use super::harness::{Baton, testapp};
use serde_json::{Value, json};

fn app(name: &str, more: Value) -> Value {
    let mut app = json!({"name": name, "script": testapp(), "args": ["wait"]});
    app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    app
}

/// Four services in directories of their own, and a fifth app from elsewhere.
fn services(baton: &Baton) {
    for (directory, names) in [("tts", &["tts"][..]), ("stt", &["stt", "ears"]), ("web", &["web"])] {
        let apps: Vec<Value> = names.iter().map(|name| app(name, json!({}))).collect();
        baton.file(&format!("services/{directory}/ecosystem.config.json"), json!({"apps": apps}).to_string());
    }
    baton.start("other", &["wait"]);
}

fn with_status(baton: &Baton, status: &str) -> Vec<String> {
    let list = baton.jlist().into_iter().filter(|entry| entry["pm2_env"]["status"] == status);
    let mut names: Vec<String> = list.map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

#[test]
fn each_verb_takes_patterns_directories_and_several_files() {
    let baton = Baton::new();
    services(&baton);
    let (pattern, all) = ("services/*/ecosystem.config.json", ["ears", "other", "stt", "tts", "web"]);
    baton.run(["start", pattern]).ok();
    assert_eq!(with_status(&baton, "online"), all);
    let (tts, other) = (baton.pid("tts"), baton.pid("other"));
    baton.run(["restart", pattern]).ok();
    assert_ne!(baton.pid("tts"), tts);
    // As the shell expands it, a directory by its path, and a mixture with a name.
    baton.run(["stop", "services/tts/ecosystem.config.json", "./services/stt", "web"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["ears", "stt", "tts", "web"]);
    baton.run(["start", "./services/stt", "services/web"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["tts"]);
    baton.run(["stop", pattern, "--only", "web,ears"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["ears", "tts", "web"]);
    let rendered: Value =
        serde_json::from_str(&baton.run(["render", pattern, "services/web"]).ok().stdout).expect("json");
    assert_eq!(rendered["apps"].as_array().expect("apps").len(), 4);
    baton.run(["check", pattern]).ok().says("of 4 apps passed");
    baton.run(["delete", pattern]).ok();
    assert_eq!(with_status(&baton, "online"), ["other"]);
    assert_eq!(baton.pid("other"), other);
    // A pattern that matches nothing is told, and nothing is done by the verbs that end things either.
    for verb in ["stop", "restart", "delete", "check", "render"] {
        baton.run([verb, "services/*/none.json"]).code(1).stderr_has("services/*/none.json matches no file");
    }
    assert_eq!(baton.pid("other"), other);
}

#[test]
fn a_bare_word_is_an_app_before_it_is_a_directory() {
    let baton = Baton::new();
    baton.file("ecosystems/one.json", app("one", json!({})).to_string());
    baton.file("ecosystems/two.json", app("two", json!({})).to_string());
    baton.run(["start", "ecosystems"]).ok();
    assert_eq!(with_status(&baton, "online"), ["one", "two"]);
    baton.run(["stop", "ecosystems"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["one", "two"]);
    baton.start("ecosystems", &["wait"]);
    baton.run(["delete", "ecosystems"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["one", "two"]);
    baton.run(["delete", "ecosystems"]).ok();
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn targets_start_in_the_order_of_the_command_line() {
    let baton = Baton::new();
    baton.file("run.sh", format!("#!/bin/sh\nexec {} wait\n", testapp().display()));
    baton.file("a.json", json!([app("a", json!({}))]).to_string());
    baton.file("b.json", json!([app("b", json!({}))]).to_string());
    baton.run(["start", "run.sh", "a.json", "b.json"]).ok();
    let names: Vec<String> = baton.jlist().iter().map(|entry| entry["name"].as_str().expect("a name").into()).collect();
    assert_eq!(names, ["run", "a", "b"]);
}

#[test]
fn equal_apps_of_several_files_are_started_once_with_a_warning() {
    let baton = Baton::new();
    baton.file("a.json", json!([app("a", json!({})), app("db", json!({}))]).to_string());
    baton.file("b.json", json!([app("b", json!({})), app("db", json!({}))]).to_string());
    baton.run(["start", "a.json", "b.json"]).ok().stderr_has("app `db` is defined twice in the same way");
    assert_eq!(with_status(&baton, "online"), ["a", "b", "db"]);
    baton.run(["stop", "a.json", "b.json"]).ok();
    assert_eq!(with_status(&baton, "stopped").len(), 3);
}

#[test]
fn the_options_of_files_work_alike_on_every_verb() {
    let baton = Baton::new();
    let apps = json!({
        "apps": [app("api", json!({"env_test": {"E": "test"}}))],
        "units": {"duck": [app("ears", json!({}))]},
        "profiles": {"prod": {"apps": {"metrics": {"script": testapp(), "args": ["wait"]}, "api": {"env": {"P": "prod"}}}}},
    });
    baton.file("apps.json", apps.to_string());
    let options = [
        "--profile",
        "prod",
        "--env",
        "test",
        "--set",
        "apps.api.env.S=set",
        "--unset",
        "apps.metrics.args",
        "--shell-env-first",
    ];
    let with = |verb: &str, more: &[&str]| baton.run([&[verb, "apps.json"], &options[..], more].concat());
    let rendered: Value = serde_json::from_str(&with("render", &[]).ok().stdout).expect("json");
    assert_eq!(rendered["apps"][0]["env"], json!({"E": "test", "P": "prod", "S": "set"}));
    assert_eq!(rendered["apps"][0]["env_priority"], "shell");
    with("check", &["--only", "duck,api"]).ok().says("of 2 apps passed");
    with("start", &["--only", "duck,api"]).ok();
    assert_eq!(with_status(&baton, "online"), ["api", "duck_ears"]);
    assert_eq!(baton.entry("api")["pm2_env"]["env"]["P"], "prod");
    with("restart", &["--only", "duck"]).ok();
    assert_eq!(baton.entry("api")["pm2_env"]["restart_time"], 0);
    assert_eq!(baton.entry("duck_ears")["pm2_env"]["restart_time"], 1);
    with("stop", &["--only", "duck"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["duck_ears"]);
    with("delete", &["--only", "duck"]).ok();
    assert_eq!(with_status(&baton, "online"), ["api"]);
    with("startOrRestart", &["--only", "api"]).ok();
    for verb in ["start", "restart", "stop", "delete", "check", "render", "startOrRestart"] {
        baton.run([verb, "apps.json", "--mode", "nope"]).code(1).stderr_has("there is no profile `nope`");
        baton.run([verb, "apps.json", "--entry", "x"]).code(1).stderr_has("the process file is no library");
    }
}

#[test]
fn units_of_the_master_override_what_its_modules_mean() {
    let baton = Baton::new();
    let agent =
        "const app = (name) => ({ name: `duck_${name}`, script: APP, args: 'wait', env: { AGENT_NAME: 'Duck' } });
module.exports = { apps: [app('a'), app('b'), { name: 'chromadb', script: APP, args: 'wait' }] };";
    let text = |text: &str| text.replace("APP", &format!("{:?}", testapp().to_str().expect("path")));
    baton.file("agents/duck.js", text(agent));
    let master = "const duck = require('./agents/duck');\nmodule.exports = { apps: [...duck.apps, { name: 'tts', script: APP, args: 'wait' }], units: { birds: ['duck_*', 'chromadb'] } };";
    baton.file("ecosystem.config.js", text(master));
    baton.run(["start", "ecosystem.config.js"]).ok();
    baton.run(["ls", "--units"]).ok().stdout_has("birds").stdout_has("3/3");
    baton.run(["stop", "birds"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["chromadb", "duck_a", "duck_b"]);
    assert_eq!(with_status(&baton, "online"), ["tts"]);
    baton.run(["stop", "duck"]).code(1);
}

#[test]
fn a_bare_word_is_a_directory_of_process_files_when_it_is_nothing_else() {
    let baton = Baton::new();
    let text = |name: &str| {
        format!("{{:apps [{{:name {name:?} :script {:?} :args [\"wait\"]}}]}}", testapp().display().to_string())
    };
    baton.file("tree/x/ecosystem.edn", text("deep"));
    baton.file("mixed/z.cljs", text("z"));
    baton.file("mixed/eco.edn", text("eco"));
    baton.run(["start", "tree"]).ok();
    baton.run(["start", "mixed"]).ok();
    assert_eq!(with_status(&baton, "online"), ["deep", "eco", "z"]);
    let pid = baton.pid("deep");
    baton.run(["restart", "tree"]).ok();
    assert_ne!(baton.pid("deep"), pid);
    baton.run(["stop", "mixed"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["eco", "z"]);
    // An app of that name comes first.
    baton.start("tree", &["wait"]);
    baton.run(["stop", "tree"]).ok();
    assert_eq!(with_status(&baton, "stopped"), ["eco", "tree", "z"]);
}

#[test]
fn a_raw_export_keeps_halves_of_surrogate_pairs() {
    let baton = Baton::new();
    baton.file("a.config.js", "module.exports = { apps: [], half: 'a\\ud800' };");
    baton.run(["render", "--raw", "a.config.js"]).ok().stdout_has("{\"apps\":[],\"half\":\"a\\ud800\"}");
}
