//! `clobber.macro`, plain data, and what a file yields.

use super::*;

const CLOBBER: &str =
    "(ns my.file (:require [clobber.macro :refer [defapp defprofile ecosystem ecosystem-output env-var]]))";

#[test]
fn apps_register_themselves() {
    let text = "(clobber.macro/defapp \"api\" {:script \"a.js\" :max-restarts 5 :env {:NODE_ENV (clobber.macro/env-var :NODE_ENV :production) :HOME (clobber.macro/env-var \"HOME\")}})
                (clobber.macro/defapp :worker {:script \"w.js\"})";
    let wanted = json!({"apps": [
        {"script": "a.js", "max-restarts": 5, "env": {"NODE_ENV": "production", "HOME": "/home/me"}, "name": "api"},
        {"script": "w.js", "name": "worker"},
    ]});
    assert_eq!(yields(text), wanted, "the registry is what a file without a result yields");
    assert_eq!(yields(&format!("{text} (clobber.macro/ecosystem)")), wanted);
    assert_eq!(yields(&format!("{text} (clobber.macro/ecosystem-output) nil")), wanted);
    let exported = format!("{text} (set! (.-exports js/module) (clj->js (clobber.macro/ecosystem)))");
    assert_eq!(yields(&exported), wanted);
    assert_eq!(yields(&exported.replace("(.-exports js/module)", "js/module.exports")), wanted);
    assert_eq!(yields(&exported.replace("(.-exports js/module)", "(.. js/module -exports)")), wanted);
    // Without `ns` the names of the libraries stand for themselves.
    assert_eq!(yields(&text.replace("clobber.macro/", "")), wanted);
}

#[test]
fn an_empty_variable_is_set_and_a_missing_one_is_nil() {
    let text =
        format!("{CLOBBER} (defapp \"a\" {{:script \"x\" :env {{:E (env-var :EMPTY \"no\") :N (env-var :NONE)}}}})");
    assert_eq!(yields(&text)["apps"][0]["env"], json!({"E": "", "N": null}));
}

#[test]
fn profiles_are_overrides_in_both_shapes() {
    let base = format!("{CLOBBER} (defapp \"a\" {{:script \"x\" :env {{:A 1 :B 2}}}})");
    let nested = "(defprofile :dev (defapp \"a\" {:env {:B 3}}) (defapp \"b\" {:script \"y\"}))";
    let data = "(defprofile :dev {:apps [{:name \"a\" :env {:B 3}} {:name \"b\" :script \"y\"}]})";
    let plain = json!({"apps": [{"script": "x", "env": {"A": 1, "B": 2}, "name": "a"}]});
    let dev = json!({"apps": [{"script": "x", "env": {"A": 1, "B": 3}, "name": "a"}, {"name": "b", "script": "y"}]});
    for profile in [nested, data] {
        let text = format!("{base} {profile}");
        assert_eq!(yields(&text), plain, "{profile}");
        for call in ["(ecosystem :profile :dev)", "(ecosystem-output :dev)"] {
            assert_eq!(yields(&format!("{text} {call}")), dev, "{profile} {call}");
        }
        let chosen = CljOptions { mode: Some("dev".into()), ..options() };
        assert_eq!(result_with(&text, &chosen).expect("a result").value, dev, "{profile}");
        let chosen = CljOptions { mode: Some("default".into()), ..options() };
        assert_eq!(result_with(&text, &chosen).expect("a result").value, plain);
        let chosen = CljOptions { mode: Some("prod".into()), ..options() };
        let error = result_with(&text, &chosen).expect_err("no such profile");
        assert_eq!(error.kind.to_string(), "there is no profile `prod`: there are dev");
    }
}

#[test]
fn plain_data_is_a_result() {
    let text = "; a comment\n{:apps [{:name \"a\", :script \"x\", :args [\"--port\" 80] :env {\"PORT\" 80 :MODE :dev}}]\n :profiles {:dev {:apps [{:name \"a\" :watch true}]}}}";
    let root = directory(&[("e.pm2.edn", text), ("two.edn", "{} {}"), ("code.edn", "{:apps [(f x)]}")]);
    let path = root.path().join("e.pm2.edn");
    let found = evaluate(&path, &options()).expect("a result");
    let app = json!({"name": "a", "script": "x", "args": ["--port", 80], "env": {"PORT": 80, "MODE": "dev"}});
    assert_eq!(found.value, json!({"apps": [app]}));
    assert_eq!(found.inputs, std::slice::from_ref(&path));
    let dev = evaluate(&path, &CljOptions { mode: Some("dev".into()), ..options() }).expect("a result");
    assert_eq!(dev.value["apps"][0]["watch"], json!(true));
    let error = evaluate(&root.path().join("two.edn"), &options()).expect_err("two values");
    assert_eq!(error.kind.to_string(), "a data file holds one value, and this is a second one");
    // A list in data is a list, never a call.
    let error = evaluate(&root.path().join("code.edn"), &options()).expect_err("no app");
    assert_eq!(
        error.kind.to_string(),
        "`ecosystem` needs apps, maps with :apps, stacks or profiles, and has a symbol (f)"
    );
}

#[test]
fn the_shapes_of_files_without_a_result_of_their_own() {
    for text in [
        "{:apps [{:name \"a\" :script \"x\"}]}",
        "(pm2-clj.dsl/app \"a\" {:script \"x\"})",
        "(pm2-clj.dsl/def-app :a {:script \"x\"})",
        "(pm2-clj.dsl/compose (pm2-clj.dsl/app :a :script \"x\"))",
        "(def common {:script \"x\"}) {:apps [(assoc common :name \"a\")]}",
        "(ns a.core (:require [pm2-clj.dsl :as dsl])) (dsl/export :default (fn [] (dsl/app :a :script \"x\")))",
    ] {
        let value = yields(text);
        let app = value["apps"].get(0).cloned().unwrap_or(value);
        assert_eq!((&app["name"], &app["script"]), (&json!("a"), &json!("x")), "{text}");
    }
}
