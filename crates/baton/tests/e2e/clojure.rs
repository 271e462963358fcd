//! Process files in Clojure, and directories of them, from the command line.

use crate::harness::{Baton, testapp};
use serde_json::{Value, json};

/// A file that registers one app.
fn source(name: &str, extra: &str) -> String {
    format!(
        "(ns {name} (:require [clobber.macro :refer [defapp defprofile]]))\n\
         (defapp \"{name}\" {{:script \"{}\" :args [\"wait\"] :env {{:LEVEL (clobber.macro/env-var :LEVEL :low)}}}})\n{extra}",
        testapp().display()
    )
}

fn names(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(text).expect("JSON");
    let apps = document["apps"].as_array().expect("apps").iter();
    apps.map(|app| app["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_directory_starts_as_one_source() {
    let baton = Baton::new();
    baton.file("ecosystems/api.cljs", source("api", ""));
    baton.file("ecosystems/worker.cljs", source("worker", ""));
    baton.file("ecosystems/inactive/old.cljs", "(broken");
    baton.run(["start", "ecosystems/"]).ok();
    let list = baton.run(["jlist"]).ok();
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    let running: Vec<(&Value, &Value)> =
        list.as_array().expect("a list").iter().map(|app| (&app["name"], &app["pm2_env"]["status"])).collect();
    assert_eq!(running, [(&json!("api"), &json!("online")), (&json!("worker"), &json!("online"))]);
}

#[test]
fn options_choose_and_change_what_a_file_gives() {
    let baton = Baton::new();
    baton.file(
        "x.cljs",
        source("api", "(defprofile :dev (defapp \"api\" {:max-restarts 3}) (defapp \"extra\" {:script \"sleep\"}))"),
    );
    let found = baton.run(["render", "x.cljs"]).ok();
    assert_eq!(names(&found.stdout), ["api"]);
    let found = baton
        .run(["render", "x.cljs", "--mode", "dev", "--set", "apps.api.env.LEVEL=high", "--unset", "apps.extra"])
        .ok()
        .stdout_has("\"max_restarts\": 3")
        .stdout_has("\"LEVEL\": \"high\"");
    assert_eq!(names(&found.stdout), ["api"]);
    baton.run(["render", "x.cljs", "--eval-env", "LEVEL=mid"]).ok().stdout_has("\"LEVEL\": \"mid\"");
    baton.run(["render", "x.cljs", "--mode", "none"]).code(1).stderr_has("there is no profile `none`: there are dev");
    baton.run(["render", "x.cljs", "--entry", "none"]).code(1).stderr_has("there is no entry `none`");
}

#[test]
fn a_mistake_is_told_with_its_place_and_nothing_starts() {
    let baton = Baton::new();
    baton.file("x.cljs", source("api", "\n(defap \"b\" {})"));
    baton
        .run(["start", "x.cljs"])
        .code(1)
        .stderr_has("x.cljs:4:2: `defap` is not known; did you mean `defapp`?")
        .stderr_has("supported here: ");
    baton.run(["jlist"]).ok().stdout_has("[]");
}
