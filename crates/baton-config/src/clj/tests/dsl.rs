//! `pm2-clj.dsl`, layer by layer, with the rules by which everything merges.

use super::*;

/// The result of a program in which every name of the DSL is at hand.
fn dsl(program: &str) -> Value {
    yields(&format!("(ns eco (:require [pm2-clj.dsl :refer :all]))\n{program}"))
}

fn dsl_with(program: &str, chosen: CljOptions) -> Result<Value, String> {
    let text = format!("(ns eco (:require [pm2-clj.dsl :refer :all]))\n{program}");
    result_with(&text, &chosen).map(|found| found.value).map_err(|error| error.kind.to_string())
}

fn mode(name: &str) -> CljOptions {
    CljOptions { mode: Some(name.into()), ..options() }
}

#[test]
fn maps_merge_deeply_and_apps_by_name() {
    let value = dsl("(compose {:apps [{:name :a :script \"x\" :args [1 2] :env {:A 1 :B 2}} {:name :b :script \"y\"}] :deploy {:p {:user \"u\"}}}
                              {:apps [{:name \"c\" :script \"z\"} {:name \"a\" :args [3] :env {:B 3 :C nil} :watch false}] :deploy {:p {:host \"h\"}}})");
    assert_eq!(
        value,
        json!({
            "apps": [
                {"name": "a", "script": "x", "args": [3], "env": {"A": 1, "B": 3, "C": null}, "watch": false},
                {"name": "b", "script": "y"},
                {"name": "c", "script": "z"},
            ],
            "deploy": {"p": {"user": "u", "host": "h"}},
        })
    );
}

#[test]
fn nil_keeps_and_the_sentinel_removes() {
    let value = dsl(
        "(compose (app :a {:script \"x\" :cwd \"/a\" :env {:A 1 :B 2}}) (app :a {:script nil :cwd remove :env {:A remove}}))",
    );
    assert_eq!(value, json!({"apps": [{"name": "a", "script": "x", "env": {"B": 2}}]}));
    // What a removal does not meet leaves nothing behind.
    assert_eq!(
        dsl("(compose (app :a {:script \"x\" :cwd remove}) (remove-app :zzz))"),
        json!({"apps": [{"name": "a", "script": "x"}]})
    );
    assert_eq!(names(&dsl("(compose (app :a :script \"x\") (app :b :script \"y\") (remove-app :a))")), ["b"]);
    assert_eq!(names(&dsl("(compose (app :a :script \"x\") (remove-app :a) (app :a :script \"z\"))")), ["a"]);
}

#[test]
fn two_spellings_of_a_key_are_one_key() {
    let value = dsl(
        "(compose (app :a {:script \"x\" :max-restarts 5 :env-production {:A 1}}) (app :a {:max_restarts 9 :env_production {:B 2}}))",
    );
    assert_eq!(
        value["apps"][0],
        json!({"name": "a", "script": "x", "max-restarts": 9, "env-production": {"A": 1, "B": 2}})
    );
    // Inside of env they are two.
    let value = dsl("(compose (app :a {:script \"x\" :env {:max-x 1}}) (app :a {:env {:max_x 2}}))");
    assert_eq!(value["apps"][0]["env"], json!({"max-x": 1, "max_x": 2}));
}

#[test]
fn apps_come_in_every_shape() {
    let wanted = json!({"apps": [{"name": "a", "script": "x", "watch": true}]});
    for program in [
        "(compose (app \"a\" {:script \"x\" :watch true}))",
        "(compose (app :a :script \"x\" :watch true))",
        "(compose (app {:name \"a\" :script \"x\" :watch true}))",
        "(compose (app (def-app :a {:script \"x\"}) :watch true))",
        "(compose (def-app :a :script \"x\" :watch true))",
        "(ecosystem (extends (def-app :a {:script \"x\"}) {:watch true}))",
        "(compose (with (def-app :a {:script \"x\"}) {:watch true}))",
        "(compose (with {:name \"a\" :script \"x\"} (mixin :watch true)))",
        "(compose (def-app :a (def-mixin :base {:watch true}) {:script \"x\"}))",
        "(apps (app :a :script \"x\" :watch true))",
        "(compose [(app :a :script \"x\")] (each {:watch true} {:apps [{:name \"a\"}]}))",
        "(stack (app :a :script \"x\") {:apps [{:name \"a\" :watch true}]})",
        "(def-stack :s (app :a :script \"x\") {:apps [{:name \"a\" :watch true}]})",
        "{:apps [(def-app :a {:script \"x\" :watch true})]}",
        "(with (def-stack :s (app :a :script \"x\")) (mixin {:watch true}))",
    ] {
        let sorted = |value: &Value| {
            value["apps"][0]
                .as_object()
                .map(|app| app.clone().into_iter().collect::<std::collections::BTreeMap<_, _>>())
        };
        let value = dsl(program);
        assert_eq!(value["apps"].as_array().map(Vec::len), Some(1), "{program}: {value}");
        assert_eq!(sorted(&value), sorted(&wanted), "{program}");
    }
}

#[test]
fn protos_inherit_and_mixins_mix() {
    let value = dsl(
        "(def base (def-app :base {:script \"x\" :env {:A 1}}))
         (def api (with (extends base {:max_restarts 3}) (env {:B 2}) (port 80) (cluster 2) (log-format \"HH\") (merge-logs) (node-args \"--a\" \"--b\")))
         (compose (app api {:name \"api\"}) (with base (mix (env :C 3) nil (scope \"x\" \"/\")) (fork)))",
    );
    assert_eq!(
        value,
        json!({"apps": [
            {"script": "x", "env": {"A": 1, "B": 2, "PORT": 80}, "max_restarts": 3, "exec_mode": "cluster", "instances": 2,
             "log_date_format": "HH", "merge_logs": true, "node_args": ["--a", "--b"], "name": "api"},
            {"script": "x", "env": {"A": 1, "C": 3}, "exec_mode": "fork", "instances": 1, "name": "x/base"},
        ]})
    );
}

#[test]
fn services_and_groups_are_families() {
    let value = dsl(
        "(let [{:keys [stack api worker]} (services (def-app :base {:script \"x\" :env {:A 1}}) {:api {:env {:B 2}} :worker (port 9)})]
           (compose stack (with api {:watch true})))",
    );
    assert_eq!(
        value,
        json!({"apps": [
            {"script": "x", "env": {"A": 1, "B": 2}, "name": "api", "watch": true},
            {"script": "x", "env": {"A": 1, "PORT": 9}, "name": "worker"},
        ]})
    );
    assert_eq!(names(&dsl("(:stack (group :web {:script \"x\"} {:api {} :ui {}}))")), ["web-api", "web-ui"]);
    assert_eq!(names(&dsl("(:stack (group \"web\" \"_\" nil {:api {:script \"x\"}}))")), ["web_api"]);
}

#[test]
fn overrides_choose_their_apps() {
    let eco = "(def eco (compose (app :api :script \"x\") (app :ui :script \"y\")))";
    let value = dsl(&format!("{eco} (on [:api (app :zzz :script \"s\")] {{:watch true}} eco)"));
    assert_eq!(value, json!({"apps": [{"name": "api", "watch": true}]}));
    let value = dsl(&format!("{eco} (where #(re-find #\"^u\" (:name %)) (env :A 1) eco)"));
    assert_eq!(value, json!({"apps": [{"name": "ui", "env": {"A": 1}}]}));
    assert_eq!(names(&dsl(&format!("{eco} (only :ui eco)"))), ["ui"]);
    let value = dsl(&format!("{eco} (each (scope :x) eco)"));
    assert_eq!(names(&value), ["x-api", "x-ui"]);
}

#[test]
fn profiles_tiers_and_matrices_are_applied_by_mode() {
    let program = "
        (def eco (compose (app :api {:script \"x\" :memory \"1G\"}) (app :ui :script \"y\")))
        (compose eco
          (profile :dev (app :api {:watch true :memory remove}) (remove-app :ui))
          (profiles (profile :ci (app :api {:args [\"ci\"]})) (def-profile :ci {:apps [(app :extra :script \"z\")]}))
          (matrix eco :dev {:time true} :prod (apps (app :api {:instances 4})))
          (matrix* eco (merge-tiers (tiers :prod {:env {:T 1}}) (env-tiers \"MODE\" :prod \"production\"))))";
    assert_eq!(names(&dsl(program)), ["api", "ui"], "no profile leaves the base");
    let dev = dsl_with(program, mode("dev")).expect("dev");
    // The matrix names `ui` again after it was removed, so that an override is left of it.
    assert_eq!(
        dev,
        json!({"apps": [
            {"name": "api", "script": "x", "watch": true, "time": true},
            {"name": "ui", "script": "y", "time": true},
        ]})
    );
    assert_eq!(names(&dsl_with(program, mode("ci")).expect("ci")), ["api", "ui", "extra"]);
    assert_eq!(
        dsl_with(program, mode("prod")).expect("prod"),
        json!({"apps": [
            {"name": "api", "script": "x", "memory": "1G", "instances": 4, "env": {"T": 1, "MODE": "production"}},
            {"name": "ui", "script": "y", "env": {"T": 1, "MODE": "production"}},
        ]})
    );
    assert_eq!(dsl_with(program, mode("q")), Err("there is no profile `q`: there are dev, ci, prod".into()));
}

#[test]
fn a_profile_removes_an_app_of_the_base() {
    let program = "(compose (app :api :script \"x\") (app :ui :script \"y\") (def-profile :dev (def-profile :base (remove-app :ui)) (app :api {:watch true})))";
    assert_eq!(dsl_with(program, mode("dev")), Ok(json!({"apps": [{"name": "api", "script": "x", "watch": true}]})));
}

#[test]
fn libraries_have_entries() {
    let program = "(library (export :default (stack (app :a :script \"x\"))) (export :other (def-stack :s (app :b :script \"y\")) :f (fn [] (app :c :script \"z\"))))";
    let entry = |name: &str| CljOptions { entry: Some(name.into()), ..options() };
    assert_eq!(names(&dsl(program)), ["a"]);
    assert_eq!(names(&dsl_with(program, entry("other")).expect("other")), ["b"]);
    assert_eq!(dsl_with(program, entry("f")).expect("f")["name"], json!("c"));
    assert_eq!(
        dsl_with(program, entry("none")),
        Err("there is no entry `none`: the file has default, other, f".into())
    );
    assert_eq!(dsl_with("(compose)", entry("x")), Err("there is no entry `x`: the file is no library".into()));
}

#[test]
fn settings_stand_above_all() {
    let program =
        "(compose (app \"a.b\" {:script \"x\" :max-restarts 3 :env {:A 1}}) (app :a :script \"y\") (deploy {:p 1}))";
    let set = [
        "apps.a.b.max_restarts=5",
        "apps.a.b.env.PORT=80",
        "apps.a.script=z=1",
        "apps.a.watch=true",
        "deploy.q=null",
        "prune=true",
    ];
    let chosen = CljOptions {
        set: set.map(str::to_owned).to_vec(),
        unset: ["apps.a.b.env.A", "deploy.p"].map(str::to_owned).to_vec(),
        ..options()
    };
    assert_eq!(
        dsl_with(program, chosen),
        Ok(json!({
            "apps": [
                {"name": "a.b", "script": "x", "max-restarts": 5, "env": {"PORT": 80}},
                {"name": "a", "script": "z=1", "watch": true},
            ],
            "deploy": {"q": null},
            "prune": true,
        }))
    );
    let unset = |key: &str| CljOptions { unset: vec![key.into()], ..options() };
    assert_eq!(names(&dsl_with(program, unset("apps.a")).expect("a result")), ["a.b"]);
    assert_eq!(dsl_with(program, unset("apps.q.x")), Err("no app of `apps.q.x` is known: there are a.b, a".into()));
    let set = |setting: &str| CljOptions { set: vec![setting.into()], ..options() };
    assert_eq!(dsl_with(program, set("x")), Err("`--set x` needs the form KEY=VALUE".into()));
    let reaches = "`--set x` reaches nothing: at the top there is apps, deploy; a key of an app is apps.NAME.KEY";
    assert_eq!(dsl_with(program, set("x=1.5")), Err(reaches.into()));
    assert_eq!(dsl_with(program, set("apps.a=1")), Err("`--set apps.a=1` names an app and no key of it".into()));
}

#[test]
fn wrong_uses_say_what_was_wanted() {
    for (program, wanted) in [
        ("(compose (mixin {:a 1}))", "`compose` cannot take a mixin: lay it over apps with `with` or `each`"),
        ("(compose (export :a 1))", "`compose` cannot take a library: take one of its entries"),
        ("(compose 5)", "`compose` needs apps, maps with :apps, stacks or profiles, and has a number (5)"),
        ("(extends {} {})", "`extends` needs a proto, and has a map ({})"),
        ("(app :a :script)", "`app` needs pairs of a key and a value; the last key has no value"),
        ("(with (def-app :a {}) (def-stack :s))", "`with` cannot take a stack as a patch"),
    ] {
        assert_eq!(dsl_with(program, options()), Err(wanted.into()), "{program}");
    }
}
