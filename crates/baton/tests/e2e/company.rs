//! Process files that bring along what they need: files of dependencies, paths, `--only`, units, directories.

use crate::harness::{Baton, testapp};
use baton_core::world::Status;
use std::collections::BTreeMap;

/// People's own helpers, as they pass from project to project.
const HELPERS: &str = r#"
exports.defineApp = function defineApp(name, script, args = [], opts = {}) {
  return { name, exec_mode: "fork", script, args, ...opts,
    out_file: `./logs/${name}-out.log`, error_file: `./logs/${name}-err.log`, merge_logs: true, instances: 1,
    autorestart: true, restart_delay: 10000, kill_timeout: 10000, min_uptime: 0,
    env: { ...opts.env, PM2_PROCESS_NAME: name, HEARTBEAT_PORT: exports.defineApp.HEARTBEAT_PORT,
      PYTHONPATH: exports.defineApp.PYTHONPATH } };
};
"#;

/// The names and pids of what is online.
fn online(baton: &Baton) -> BTreeMap<String, u64> {
    let list = baton.jlist();
    assert!(list.iter().all(|entry| entry["pm2_env"]["status"] == "online"), "{list:?}");
    let pair = |entry: &serde_json::Value| {
        (entry["name"].as_str().expect("name").to_owned(), entry["pid"].as_u64().expect("pid"))
    };
    let pids: BTreeMap<String, u64> = list.iter().map(pair).collect();
    assert_eq!(pids.len(), list.len(), "each once: {list:?}");
    pids
}

fn names(baton: &Baton) -> Vec<String> {
    online(baton).into_keys().collect()
}

/// Two services with a file of dependencies each, which name the same database, and a master file.
fn promethean(baton: &Baton, service: impl Fn(&str) -> String) {
    let app = testapp();
    let app = app.display();
    baton.file("dev/pm2Helpers.js", HELPERS);
    baton.file(
        "shared/mongodb.js",
        format!(
            "module.exports = {{ name: 'mongodb', script: '{app}', args: ['wait'], cwd: __dirname, min_uptime: 0 }};"
        ),
    );
    for name in ["field", "tts"] {
        baton.file(&format!("services/{name}/ecosystem.config.js"), service(name));
        baton.file(
            &format!("services/{name}/ecosystem.dependencies.js"),
            "module.exports = { apps: [require('../../shared/mongodb.js')] };",
        );
    }
    baton.file(
        "ecosystem.config.js",
        r#"
const { defineApp } = require("./dev/pm2Helpers.js");
defineApp.PYTHONPATH = __dirname;
defineApp.HEARTBEAT_PORT = 5005;
process.env.PROMETHEAN_ROOT_ECOSYSTEM = "1";
const services = [require("./services/field/ecosystem.config.js"), require("./services/tts/ecosystem.config.js")];
module.exports = { apps: [require("./shared/mongodb.js"), ...services.flatMap((svc) => svc.apps)] };
"#,
    );
}

#[test]
fn each_service_runs_alone_with_its_dependencies_and_the_master_starts_them_once() {
    let baton = Baton::new();
    let app = testapp();
    // As people write it: the file itself loads its dependencies when it is run alone.
    promethean(&baton, |name| {
        format!(
            r#"
const path = require("path");
const {{ defineApp }} = require(path.join(__dirname, "../../dev/pm2Helpers.js"));
if (!process.env.PROMETHEAN_ROOT_ECOSYSTEM) {{
  defineApp.PYTHONPATH = path.join(__dirname, "../..");
  defineApp.HEARTBEAT_PORT = 5005;
}}
const apps = [defineApp("{name}", "{}", ["wait"], {{ cwd: __dirname }})];
if (!process.env.PROMETHEAN_ROOT_ECOSYSTEM) {{
  const deps = require("./ecosystem.dependencies.js");
  module.exports = {{ apps: [...apps, ...deps.apps] }};
}} else {{
  module.exports = {{ apps }};
}}
"#,
            app.display()
        )
    });
    baton.run(["start", "services/field/ecosystem.config.js"]).ok();
    assert_eq!(names(&baton), ["field", "mongodb"]);
    baton.run(["delete", "all"]).ok();
    baton.run(["start", "ecosystem.config.js"]).ok();
    assert_eq!(names(&baton), ["field", "mongodb", "tts"]);
}

#[test]
fn a_file_of_dependencies_comes_with_the_file_beside_it_and_with_no_other() {
    let baton = Baton::new();
    let app = testapp();
    promethean(&baton, |name| {
        format!(
            "const {{ defineApp }} = require('../../dev/pm2Helpers.js'); module.exports = {{ apps: [defineApp('{name}', '{}', ['wait'], {{ cwd: __dirname }})] }};",
            app.display()
        )
    });
    baton.run(["start", "services/field/ecosystem.config.js", "--no-deps"]).ok();
    assert_eq!(names(&baton), ["field"]);
    baton.run(["start", "services/field"]).ok();
    let first = online(&baton);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["field", "mongodb"]);
    // A second service finds the database running, and leaves it alone.
    baton.run(["start", "services/tts/ecosystem.config.js"]).ok();
    let both = online(&baton);
    assert_eq!(both.keys().collect::<Vec<_>>(), ["field", "mongodb", "tts"]);
    assert_eq!((both["mongodb"], both["field"]), (first["mongodb"], first["field"]));
    // The end of a service is not the end of what others need too.
    baton.run(["delete", "services/tts/ecosystem.config.js"]).ok();
    assert_eq!(online(&baton), first);
    baton.run(["stop", "mongodb"]).ok();
    baton.run(["start", "services/field/ecosystem.config.js"]).ok();
    assert_eq!(names(&baton), ["field", "mongodb"]);
    baton.run(["delete", "all"]).ok();
    // Through the master nobody's file of dependencies is the target's.
    baton.run(["start", "ecosystem.config.js"]).ok();
    assert_eq!(names(&baton), ["field", "mongodb", "tts"]);
}

#[test]
fn a_path_in_depends_on_brings_the_apps_of_that_file() {
    let baton = Baton::new();
    let app = testapp();
    let app = app.display();
    baton.file(
        "mongodb/ecosystem.config.yaml",
        format!("apps: [{{ name: mongodb, script: {app}, args: [wait], depends_on: ../disk/apps.json }}]"),
    );
    baton.file("disk/apps.json", format!("[{{ name: 'disk', script: '{app}', args: ['exit:0'], oneshot: true }}]"));
    baton.file("web/ecosystem.config.yaml", format!("apps:\n  - name: web\n    script: {app}\n    args: [wait]\n    min_uptime: 0\n    depends_on: [./../mongodb]\n"));
    baton.file("job/ecosystem.config.yaml", format!("apps:\n  - name: job\n    script: {app}\n    args: [wait]\n    min_uptime: 0\n    depends_on: {{ ../mongodb/ecosystem.config.yaml: started }}\n"));
    baton.run(["start", "web/ecosystem.config.yaml"]).ok();
    baton.run(["describe", "web"]).ok().stdout_has("mongodb (ready)");
    let mongodb = baton.pid("mongodb");
    assert_eq!(baton.entry("disk")["pm2_env"]["status"], "stopped");
    baton.run(["start", "job/ecosystem.config.yaml"]).ok();
    assert_eq!(baton.pid("mongodb"), mongodb);
    // What a one-shot has done is not done again.
    assert_eq!(baton.entry("disk")["pm2_env"]["restart_time"], 0);
    // A master that loads both files has the database in its own list, and once.
    let load = |name: &str| format!("...require('{name}').apps");
    for name in ["web", "job", "mongodb"] {
        let on = if name == "mongodb" { "[]" } else { "'../mongodb'" };
        baton.file(&format!("{name}/ecosystem.config.js"), format!("module.exports = {{ apps: [{{ name: '{name}', script: '{app}', args: ['wait'], min_uptime: 0, depends_on: {on} }}] }};"));
    }
    baton.file(
        "all.config.js",
        format!(
            "module.exports = [{}, {}, {}];",
            load("./web/ecosystem.config.js"),
            load("./job/ecosystem.config.js"),
            load("./mongodb/ecosystem.config.js")
        ),
    );
    baton.run(["delete", "all"]).ok();
    baton.run(["start", "all.config.js"]).ok();
    assert_eq!(names(&baton), ["job", "mongodb", "web"]);

    baton.file(
        "web/ecosystem.config.yaml",
        format!("apps:\n  - name: web\n    script: {app}\n    depends_on: ../nothing\n"),
    );
    let missing = baton.run(["start", "web/ecosystem.config.yaml"]).code(1);
    missing.stderr_has("web/ecosystem.config.yaml:4:5: app `web` depends on").stderr_has("no such process file");
}

#[test]
fn only_takes_what_the_named_apps_need_too() {
    let baton = Baton::new();
    let app = testapp();
    let app = app.display();
    let one = |name: &str, on: &str| {
        format!("  - {{ name: {name}, script: {app}, args: [wait], min_uptime: 0, depends_on: {on} }}\n")
    };
    let apps =
        [one("api", "[db, cache]"), one("db", "disk"), one("cache", "[]"), one("disk", "[]"), one("other", "[]")];
    baton.file("ecosystem.config.yaml", format!("apps:\n{}", apps.concat()));
    baton.run(["start", "ecosystem.config.yaml", "--only", "api", "--no-deps"]).ok();
    assert_eq!(names(&baton), ["api"]);
    baton.run(["start", "ecosystem.config.yaml", "--only", "api"]).ok();
    let first = online(&baton);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["api", "cache", "db", "disk"]);
    // Again: the app is started again, what it needs is left.
    baton.run(["start", "ecosystem.config.yaml", "--only", "api"]).ok();
    let second = online(&baton);
    assert!(second["api"] != first["api"] && second["db"] == first["db"], "{first:?} {second:?}");
    baton.run(["delete", "ecosystem.config.yaml", "--only", "api"]).ok();
    assert_eq!(names(&baton), ["cache", "db", "disk"]);
}

#[test]
fn units_need_units_and_apps_need_units() {
    let baton = Baton::new();
    let app = testapp();
    let app = app.display();
    let helpers = "const { defineAgent } = require('baton');";
    let one =
        |name: &str, more: &str| format!("{{ name: '{name}', script: '{app}', args: ['wait'], min_uptime: 0 {more} }}");
    let file = format!(
        "{helpers}
        const store = defineAgent('store', [{}, {}], {{ depends_on: 'chroma' }});
        const duck = defineAgent('duck', [{}, {}], {{ depends_on: {{ store: 'ready' }} }});
        module.exports = {{ apps: [...duck.apps, ...store.apps, {}, {}], units: {{ watchers: {{ apps: ['watch*'], depends_on: ['duck'] }} }} }};",
        one("chroma", ""),
        one("mongo", ""),
        one("ears", ", depends_on: 'mouth'"),
        one("mouth", ""),
        one("proxy", ", depends_on: 'duck'"),
        one("watcher", ""),
    );
    baton.file("ecosystem.config.js", file);
    baton.run(["start", "ecosystem.config.js"]).ok();
    assert_eq!(names(&baton).len(), 6);
    let needs = |name: &str, text: &str| drop(baton.run(["describe", name]).ok().stdout_has(text));
    // The unit waits for its own first app, and names among its apps follow their new names.
    needs("store_mongo", "store_chroma (ready)");
    needs("duck_ears", "duck_mouth (ready)");
    needs("proxy", "duck (ready)");
    needs("watcher", "duck (ready)");
    let chroma = baton.run(["describe", "store_chroma"]).ok();
    assert!(!chroma.stdout.contains("depends on"), "{chroma}");
    // What is stopped together ends in reverse order; the app that needs the unit goes first.
    baton.run(["stop", "all"]).ok();
    let list = baton.wait_for("all to be stopped", |list| list.iter().all(|view| view.status == Status::Stopped));
    let at = |name: &str| list.iter().find(|v| v.name == name).and_then(|v| v.last.clone()).expect("a cause").at;
    assert!(at("proxy") <= at("duck_mouth") && at("duck_ears") <= at("duck_mouth"), "{list:?}");
    assert!(at("duck_mouth") <= at("store_mongo") && at("store_mongo") <= at("store_chroma"), "{list:?}");
    // One app of a unit is enough to bring up all that it needs.
    baton.run(["start", "proxy"]).ok();
    let running = baton.jlist().into_iter().filter(|entry| entry["pm2_env"]["status"] == "online").count();
    assert_eq!(running, 5);
}

#[test]
fn dependencies_follow_the_name_of_the_environment() {
    let baton = Baton::new();
    let app = testapp();
    let app = app.display();
    baton.file("ecosystem.config.yaml", format!("apps:\n  - {{ name: api, script: {app}, args: [wait], min_uptime: 0, append_env_to_name: true, depends_on: db }}\n  - {{ name: db, script: {app}, args: [wait], min_uptime: 0, append_env_to_name: true }}\n"));
    baton.run(["start", "ecosystem.config.yaml", "--env", "production"]).ok();
    assert_eq!(names(&baton), ["api-production", "db-production"]);
    baton.run(["describe", "api-production"]).ok().stdout_has("db-production (ready)");
}

#[test]
fn an_unknown_name_is_told_with_its_place() {
    let baton = Baton::new();
    baton.file("ecosystem.config.yaml", "apps:\n  - name: api\n    script: /bin/sleep\n    dependsOn: [nobody]\n");
    let run = baton.run(["start", "ecosystem.config.yaml"]).code(1);
    run.stderr_has("ecosystem.config.yaml:4:5: app `api` depends on `nobody`")
        .stderr_has("help: name an app or a unit");
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn what_is_restarted_together_ends_in_reverse_order() {
    let baton = Baton::new();
    let app = testapp();
    let app = app.display();
    baton.file("ecosystem.config.yaml", format!("apps:\n  - {{ name: server, script: {app}, args: [\"ignore:INT\", \"out:deaf\", wait], kill_timeout: 700, min_uptime: 0, depends_on: db }}\n  - {{ name: db, script: {app}, args: [wait], min_uptime: 0 }}\n"));
    for again in [vec!["restart", "all"], vec!["start", "ecosystem.config.yaml"]] {
        baton.run(["start", "ecosystem.config.yaml"]).ok();
        baton.wait_log("server-out.log", "deaf");
        let before = [baton.pid("server"), baton.pid("db")];
        baton.run(&again).ok();
        let after = [baton.pid("server"), baton.pid("db")];
        assert!(before[0] != after[0] && before[1] != after[1], "{again:?}");
        let journal = std::fs::read_to_string(baton.home().join("pm2.log")).expect("journal");
        let last = |text: &str| journal.rfind(text).unwrap_or_else(|| panic!("no {text} in {journal}"));
        let order = ["App [server:0] exited", "Stopping app:db", "App [db:1] online", "App [server:0] online"];
        assert!(order.map(last).is_sorted(), "{again:?}: {journal}");
    }
}

#[test]
fn apps_of_a_directory_need_apps_of_other_files() {
    let baton = Baton::new();
    let app = testapp();
    let app = app.display();
    let source = |name: &str, on: &str| {
        format!(
            "(ns {name} (:require [clobber.macro]))\n(clobber.macro/defapp \"{name}\" {{:script \"{app}\" :args [\"wait\"] :min-uptime 0 :depends-on {on}}})\n"
        )
    };
    baton.file("ecosystems/gateway.cljs", source("gateway", "[\"planner\"]"));
    baton.file("ecosystems/planner.cljs", source("planner", "{:mongo \"started\"}"));
    baton.file("ecosystems/mongo.cljs", source("mongo", "[]"));
    baton.file("ecosystems/other.cljs", source("other", "[]"));
    baton.run(["start", "./ecosystems", "--only", "gateway"]).ok();
    let first = online(&baton);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["gateway", "mongo", "planner"]);
    baton.run(["start", "./ecosystems"]).ok();
    assert_eq!(names(&baton), ["gateway", "mongo", "other", "planner"]);
}

#[test]
fn a_profile_holds_where_files_that_come_along_have_it() {
    let app = testapp();
    let app = app.display();
    let one = |name: &str, more: &str| {
        format!("apps:\n  - {{ name: {name}, script: {app}, args: [wait], min_uptime: 0{more} }}\n")
    };
    let profile = |name: &str| format!("profiles:\n  lab: {{ apps: [{{ name: {name}, env: {{ PLACE: lab }} }}] }}\n");
    let clojure = |more: &str| {
        format!(
            "(ns queue (:require [clobber.macro :refer [defapp defprofile]]))\n(defapp \"queue\" {{:script \"{app}\" :args [\"wait\"] :min-uptime 0}})\n{more}"
        )
    };
    let lab = "(defprofile :lab {:apps [{:name \"queue\" :env {:PLACE \"lab\"}}]})";
    let place = |baton: &Baton, name: &str| baton.entry(name)["pm2_env"]["env"]["PLACE"].as_str().map(str::to_owned);

    let baton = Baton::new();
    let needs = ", depends_on: [db, ./queue.cljs, ./cache.yaml]";
    baton.file("ecosystem.config.yaml", one("api", needs) + &profile("api"));
    baton.file("ecosystem.dependencies.yaml", one("db", "") + &profile("db"));
    baton.file("queue.cljs", clojure(lab));
    baton.file("cache.yaml", one("cache", ""));
    baton.run(["start", "ecosystem.config.yaml", "--profile", "lab"]).ok();
    assert_eq!(names(&baton), ["api", "cache", "db", "queue"]);
    let places = ["api", "db", "queue", "cache"].map(|name| place(&baton, name));
    assert_eq!(places.each_ref().map(Option::as_deref), [Some("lab"), Some("lab"), Some("lab"), None]);

    // A Clojure file without it comes along as it is; a target must have it.
    let other = Baton::new();
    other.file("ecosystem.config.yaml", one("api", ", depends_on: ./queue.cljs") + &profile("api"));
    other.file("queue.cljs", clojure(""));
    other.run(["start", "ecosystem.config.yaml", "--profile", "lab"]).ok();
    assert_eq!(names(&other), ["api", "queue"]);
    other.run(["start", "queue.cljs", "--profile", "lab"]).code(1).stderr_has("there is no profile `lab`");
}
