//! The one clear message that each mistake gives, and the limits.

use super::*;

#[test]
fn text_that_is_no_clojure() {
    for (text, wanted) in [
        ("(def a\n  [1 2", "process file a.cljs:2:3: this `[` is never closed"),
        ("{:a 1\n)", "process file a.cljs:2:1: `)` does not close the `{` of line 1, column 1"),
        ("1 )", "process file a.cljs:1:3: `)` closes nothing that is open"),
        ("\"abc", "process file a.cljs:1:1: this text is never closed"),
        ("{:a}", "process file a.cljs:1:2: the last key of this map has no value"),
        ("{:a 1\n :a 2}", "process file a.cljs:2:2: this map already has this key"),
        ("#{1 1}", "process file a.cljs:1:5: this set already has this member"),
        ("\"\\q\"", "process file a.cljs:1:2: `\\q` is no escape of a text"),
        ("12ab", "process file a.cljs:1:1: `12ab` is no number"),
        (":", "process file a.cljs:1:1: `:` is no keyword"),
        ("\\foo", "process file a.cljs:1:1: `\\foo` is no character"),
        ("`(a ~b)", "process file a.cljs:1:1: syntax quote is not supported: process files define no macros"),
        ("#(#(%))", "process file a.cljs:1:3: `#( … )` cannot stand inside of another one: write `(fn [x] … )`"),
        ("#=(+ 1 2)", "process file a.cljs:1:1: `#=` is not supported"),
        ("(a '", "process file a.cljs:1:4: nothing stands behind `'`"),
        ("#\"(\"", "process file a.cljs:1:1: the regular expression cannot be used: "),
        ("é ü (", "process file a.cljs:1:5: this `(` is never closed"),
    ] {
        let found = message(text);
        assert!(if wanted.ends_with(": ") { found.starts_with(wanted) } else { found == wanted }, "{text:?}: {found}");
    }
}

#[test]
fn programs_that_fail() {
    for (text, wanted) in [
        ("(defap \"a\" {})", "process file a.cljs:1:2: `defap` is not known; did you mean `defapp`?"),
        (
            "(ns a)\n(let [x 1]\n  (+ x why-not))",
            "process file a.cljs:3:8: `why-not` is not known; did you mean `when-not`?",
        ),
        ("(clojure.string/joi [])", "process file a.cljs:1:2: `clojure.string/joi` is not known; did you mean `join`?"),
        ("(foo.bar/baz)", "process file a.cljs:1:2: `foo.bar/baz` is not known"),
        (
            "(ns a (:require [clobber.macro :refer [defap]]))",
            "process file a.cljs:1:40: `clobber.macro/defap` is not known; did you mean `defapp`?",
        ),
        ("js/window.location", "process file a.cljs:1:1: `js/window` is not known"),
        ("(map and [1])", "process file a.cljs:1:6: `and` is a form and no value"),
        ("(assoc 5 :a 1)", "process file a.cljs:1:1: `assoc` needs a map or a vector, and has a number (5)"),
        ("(inc)", "process file a.cljs:1:1: `inc` takes 1 arguments, and has 0"),
        ("((fn f [a] a))", "process file a.cljs:1:1: `f` takes 1 arguments, and has 0"),
        ("(nil 1)", "process file a.cljs:1:1: nil is nil, and cannot be called"),
        ("(\"a\" 1)", "process file a.cljs:1:1: \"a\" is a text, and cannot be called"),
        ("(throw (ex-info \"broken\" {:a 1}))", "process file a.cljs:1:1: threw broken {:a 1}"),
        ("(recur)", "process file a.cljs:1:1: `recur` stands outside of `loop` and `fn`"),
        ("(loop [a 1] (recur))", "process file a.cljs:1:1: `recur` gives 0 values to 1 names"),
        ("(defmacro m [] 1)", "process file a.cljs:1:1: `defmacro` is not supported in a process file"),
        ("(range)", "process file a.cljs:1:1: `range` without an end is not supported"),
        ("(js/Date.)", "process file a.cljs:1:1: objects cannot be constructed: `js/Date.`"),
        ("(.toUpperCase \"a\")", "process file a.cljs:1:1: the method `.toUpperCase` of a text is not supported"),
        ("(set! js/process.env.A 1)", "process file a.cljs:1:1: only `module.exports` can be set"),
        ("(let [a] a)", "process file a.cljs:1:1: the last name of this vector has no value"),
        ("(case 5 1 2)", "process file a.cljs:1:1: no branch of `case` fits 5"),
        ("#foo 1", "process file a.cljs:1:1: the tag `#foo` is not supported"),
        (
            "(ns a (:require [\"fs\" :as fs]))",
            "process file a.cljs:1:17: the package `fs` cannot be used here: no JavaScript is loaded",
        ),
        ("(ns a) (def x 1)", "defines no apps"),
        ("", "defines no apps"),
        ("(defapp {} {})", "process file a.cljs:1:1: `defapp` needs a name, and has a map ({})"),
    ] {
        assert_eq!(message(text), wanted, "{text:?}");
    }
}

#[test]
fn a_missing_symbol_lists_what_is_supported() {
    let error =
        result_with("(ns a (:require [clobber.macro :refer [defapp]]))\n(atom 1)", &options()).expect_err("an error");
    assert_eq!(error.excerpt.as_deref(), Some("2 | (atom 1)\n  |  ^"));
    let help = error.kind.help().expect("help");
    for name in ["assoc", "let", "defapp", "mapv", "->>"] {
        assert!(help.split(' ').any(|word| word == name), "{name}: {help}");
    }
    assert!(!help.split(' ').any(|word| word == "defmacro"), "{help}");
}

#[test]
fn cycles_name_their_way() {
    let found = files_message(&[
        ("a.cljs", "(ns a (:require [b]))"),
        ("b.cljs", "(ns b\n  (:require [c]))"),
        ("c.cljs", "(ns c (:require [b]))"),
    ]);
    let root = "files load each other: ";
    let (place, chain) = found.split_once(root).expect("a cycle");
    assert_eq!(place, "process file c.cljs:1:17: ");
    assert_eq!(chain, "b.cljs -> c.cljs -> b.cljs");
    let found =
        files_message(&[("a.clj", "(pm2-clj.dsl/include \"b.clj\")"), ("b.clj", "(pm2-clj.dsl/import \"a.clj\")")]);
    assert_eq!(found, "process file b.clj:1:1: files load each other: a.clj -> b.clj -> a.clj");
}

#[test]
fn missing_files_say_where_they_were_looked_for() {
    assert_eq!(
        message("(ns a\n (:require [my.name-space :as m]))"),
        "process file a.cljs:2:12: there is no file for the namespace `my.name-space`; looked for my/name_space.cljs"
    );
    assert_eq!(
        message("(pm2-clj.dsl/include \"none.clj\")"),
        "process file a.cljs:1:1: there is no file `none.clj`; looked for none.clj"
    );
    let root = directory(&[]);
    let error = evaluate(&root.path().join("none.edn"), &options()).expect_err("no file");
    assert_eq!(
        error.to_string(),
        format!("{}/none.edn: No such file or directory (os error 2)", root.path().display())
    );
}

#[test]
fn an_error_in_a_required_file_is_placed_there() {
    let found = files_message(&[("a.cljs", "(ns a (:require [b]))"), ("b.cljs", "(ns b)\n(defn f [] (nope))\n(f)")]);
    assert_eq!(found, "process file b.cljs:2:13: `nope` is not known");
}

#[test]
fn endless_programs_are_stopped() {
    let few = CljOptions { limits: Limits { steps: 20_000, ..Limits::default() }, ..options() };
    for program in [
        "(loop [] (recur))",
        "((fn f [] (recur)))",
        "(doseq [x (range 1000000000)] x)",
        "(reduce (fn [a _] (concat a a)) [1] (range 1000))",
        "(reduce (fn [a _] (str a a)) \"0123456789\" (range 1000))",
        "(repeat 1000000000 1)",
        "(try (loop [] (recur)) (catch :default e 1))",
    ] {
        let error = result_with(program, &few).expect_err("stopped");
        assert_eq!(error.kind.to_string(), "not done after 20000 steps: stopped", "{program}");
        assert!(error.place.is_some(), "{program}");
    }
    let quick = CljOptions { limits: Limits { time: Duration::ZERO, ..Limits::default() }, ..options() };
    let error = result_with("(loop [] (recur))", &quick).expect_err("stopped");
    assert_eq!(error.kind.to_string(), "not done after 0 s: stopped");
}

#[test]
fn depth_is_limited_everywhere() {
    let few = CljOptions { limits: Limits { depth: 100_000, ..Limits::default() }, ..options() };
    for (program, wanted) in [
        ("(defn f [n] (+ 1 (f n))) (f 1)", "calls are nested more than 2000 deep: stopped"),
        ("(defn f [n] (mapv f [n])) (f 1)", "calls are nested more than 2000 deep: stopped"),
        ("(defn f [n] (reduce (fn [_ x] (f x)) nil [n n])) (f 1)", "calls are nested more than 2000 deep: stopped"),
        ("(defn f [n] (sort-by f [n n])) (f 1)", "calls are nested more than 2000 deep: stopped"),
        ("(loop [x nil] (recur [x]))", "a value nests more than 2000 deep: stopped"),
        ("(loop [x nil] (recur {:a x}))", "a value nests more than 2000 deep: stopped"),
        ("(loop [x nil] (recur (fn [] x)))", "a value nests more than 2000 deep: stopped"),
        ("(loop [x nil] (recur (partial x)))", "a value nests more than 2000 deep: stopped"),
        ("(reduce (fn [x _] (conj [] x)) nil (range 100000))", "a value nests more than 2000 deep: stopped"),
        (
            "{:apps [{:name \"a\" :script \"x\" :env (reduce (fn [x _] [x]) nil (range 500))}]}",
            "the apps nest more than 100 deep",
        ),
    ] {
        let error = result_with(program, &few).expect_err("stopped");
        assert_eq!(error.kind.to_string(), wanted, "{program}");
    }
    let nested = |depth: usize| format!("{{:apps [] :x {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(result_with(&nested(90), &options()).is_ok());
    let error = result_with(&nested(100_000), &options()).expect_err("too deep");
    assert_eq!(error.kind.to_string(), "forms are nested more than 200 deep");
}
