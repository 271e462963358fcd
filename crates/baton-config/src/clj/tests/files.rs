//! Programs of several files.

use super::*;

fn evaluated(files: &[(&str, &str)]) -> (tempfile::TempDir, Evaluated) {
    let root = directory(files);
    let found = evaluate(&root.path().join(files[0].0), &options()).unwrap_or_else(|error| panic!("{error}"));
    (root, found)
}

fn inside(root: &tempfile::TempDir, paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| path.strip_prefix(root.path()).expect("inside").display().to_string();
    paths.iter().map(name).collect()
}

#[test]
fn an_index_loads_its_siblings_and_exports_the_registry() {
    let (root, found) = evaluated(&[
        (
            "index.cljs",
            "(ns index (:require [clobber.macro :as clobber] [services-web :as web] [plain]))
             (defn -main [& _])
             (set! (.-exports js/module) (clj->js (clobber/ecosystem)))",
        ),
        (
            "services_web.cljs",
            "(ns services-web (:require [clobber.macro] [plain :refer [shared] :rename {shared s}]))
             (clobber.macro/defapp \"web\" {:script \"w\" :env {:S s}})
             (clobber.macro/ecosystem-output)",
        ),
        ("plain.clj", "(ns plain) (def shared \"one\") (clobber.macro/defapp \"plain\" {:script \"p\"})"),
        ("unused.cljs", "(this is never read"),
    ]);
    assert_eq!(
        found.value,
        json!({"apps": [{"script": "p", "name": "plain"}, {"script": "w", "env": {"S": "one"}, "name": "web"}]})
    );
    assert_eq!(inside(&root, &found.inputs), ["index.cljs", "services_web.cljs", "plain.clj"]);
    assert_eq!(inside(&root, &found.absent), ["plain.cljs", "plain.cljc"]);
}

#[test]
fn namespaces_are_found_by_root_hyphen_path_and_project() {
    let (_root, found) = evaluated(&[
        (
            "eco/main.cljs",
            "(ns eco.main (:require [eco.my-part :as part] [lib.deep :as d] [\"./sub/macro.cljs\" :as clobber] [\"../by/path.cljs\" :as by] [clojure.string :as str]))
             (clobber.macro/defapp part/id {:script (str/join \"/\" [d/script by/file])})",
        ),
        ("eco/my-part.cljs", "(ns eco.my-part) (def id \"a\")"),
        ("eco/sub/macro.cljs", "(ns clobber.macro) (defmacro defapp [& _] `(never ~@read))"),
        ("by/path.cljs", "(ns by.path) (def file \"f\")"),
        ("shadow-cljs.edn", "{:source-paths [\"src\"] :builds {}}"),
        ("src/lib/deep.cljs", "(ns lib.deep) (def script \"bin\")"),
    ]);
    assert_eq!(found.value, json!({"apps": [{"script": "bin/f", "name": "a"}]}));
}

#[test]
fn include_and_import_are_relative_to_their_file() {
    let (root, found) = evaluated(&[
        (
            "stacks/all.pm2.clj",
            "(ns all (:require [pm2-clj.dsl :as dsl]))
             (def protos (dsl/import \"../lib/protos\"))
             (dsl/compose (dsl/include \"../services/api.pm2.clj\") (dsl/include \"../base.pm2.edn\") (:worker protos))",
        ),
        ("services/api.pm2.clj", "(pm2-clj.dsl/include \"inner\")"),
        ("services/inner.cljs", "(clobber.macro/defapp \"api\" {:script \"x\"})"),
        ("base.pm2.edn", "{:apps [{:name \"api\" :watch true}]}"),
        ("lib/protos.clj", "{:worker (pm2-clj.dsl/def-app :worker {:script \"w\"})}"),
    ]);
    assert_eq!(
        found.value,
        json!({"apps": [{"script": "x", "name": "api", "watch": true}, {"script": "w", "name": "worker"}]})
    );
    assert_eq!(
        inside(&root, &found.inputs),
        ["stacks/all.pm2.clj", "lib/protos.clj", "services/api.pm2.clj", "services/inner.cljs", "base.pm2.edn"]
    );
}

#[test]
fn several_files_share_a_registry_and_count_once() {
    let root = directory(&[
        (
            "a.cljs",
            "(ns a (:require [clobber.macro :refer [defapp ecosystem]] [c])) (defapp \"a\" {:script \"x\"}) (ecosystem)",
        ),
        (
            "b.cljs",
            "(ns b (:require [clobber.macro :refer [defapp ecosystem]])) (defapp \"b\" {:script \"y\"}) (ecosystem)",
        ),
        ("c.cljs", "(ns c) (clobber.macro/defapp \"c\" {:script \"z\"})"),
        ("d.edn", "{:apps [{:name \"d\" :script \"s\"}]}"),
        ("e.cljs", "(ns e) (def nothing 1)"),
    ]);
    let paths: Vec<PathBuf> =
        ["a.cljs", "b.cljs", "c.cljs", "d.edn", "e.cljs"].map(|name| root.path().join(name)).to_vec();
    let found = evaluate_files(&paths, &options()).expect("a result");
    let parts: Vec<(PathBuf, Vec<&str>)> =
        found.parts.iter().map(|part| (part.file.clone(), names(&part.value))).collect();
    assert_eq!(
        parts,
        [(paths[0].clone(), vec!["c", "a"]), (paths[1].clone(), vec!["b"]), (paths[3].clone(), vec!["d"])]
    );
    assert_eq!(names(&found.value), ["c", "a", "b", "d"]);
    assert_eq!(found.skipped, [paths[4].clone()]);
}

#[test]
fn what_is_printed_is_kept_apart() {
    let found =
        result_with("(println \"hello\" nil :a) (js/console.log \"x\") {:apps []}", &options()).expect("a result");
    assert_eq!(String::from_utf8_lossy(&found.console), "hello nil :a\nx\n");
}
