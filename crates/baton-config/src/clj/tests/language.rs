//! What forms and functions mean.

use super::*;

fn table(rows: &[(&str, Value)]) {
    for (expression, wanted) in rows {
        assert_eq!(value(expression), *wanted, "{expression}");
    }
}

#[test]
fn forms_mean_what_clojure_says() {
    table(&[
        ("(if nil 1 2)", json!(2)),
        ("(if-not nil 1 2)", json!(1)),
        ("(when true 1 2)", json!(2)),
        ("(when-not true 1)", json!(null)),
        ("(cond false 1 nil 2 :else 3)", json!(3)),
        ("(condp = 2 1 :a 2 :b)", json!("b")),
        ("(case :b :a 1 (:b :c) 2 3)", json!(2)),
        ("(case \"z\" \"a\" 1 9)", json!(9)),
        ("(and 1 nil 2)", json!(null)),
        ("(or nil false 3)", json!(3)),
        ("(let [a 1 b (+ a 1)] [a b])", json!([1, 2])),
        ("(let [[a [b] & c :as all] [1 [2] 3 4]] [a b c all])", json!([1, 2, [3, 4], [1, [2], 3, 4]])),
        ("(let [{:keys [a b] :or {b 5 c 6} x :y :as m} {:a 1 :y 2}] [a b x m])", json!([1, 5, 2, {"a": 1, "y": 2}])),
        ("(let [{:strs [a] :syms [b]} {\"a\" 1 'b 2}] [a b])", json!([1, 2])),
        ("(let [{:n/keys [a]} {:n/a 7}] a)", json!(7)),
        ("((fn [x & {:keys [y] :or {y 3}}] [x y]) 1)", json!([1, 3])),
        ("((fn [x & {:keys [y]}] [x y]) 1 :y 4)", json!([1, 4])),
        ("((fn [x & {:keys [y]}] [x y]) 1 {:y 4})", json!([1, 4])),
        ("((fn f ([] (f 1)) ([x] (inc x))))", json!(2)),
        ("(#(+ %1 %2 (count %&)) 1 2 3 4)", json!(5)),
        ("(loop [i 0 all []] (if (< i 3) (recur (inc i) (conj all i)) all))", json!([0, 1, 2])),
        ("((fn [n all] (if (pos? n) (recur (dec n) (conj all n)) all)) 3 [])", json!([3, 2, 1])),
        ("(for [x [1 2 3] :when (odd? x) y [:a :b] :let [z (str x y)]] z)", json!(["1:a", "1:b", "3:a", "3:b"])),
        ("(for [x (range 9) :while (< x 2)] x)", json!([0, 1])),
        ("(-> {:a 1} (assoc :b 2) (update :a inc) :a)", json!(2)),
        ("(->> (range 5) (filter even?) (map inc))", json!([1, 3, 5])),
        ("(some-> {:a {:b 1}} :a :c inc)", json!(null)),
        ("(cond-> {} true (assoc :a 1) false (assoc :b 2))", json!({"a": 1})),
        ("(as-> 1 x (+ x 1) (* x 3))", json!(6)),
        ("(if-let [x nil] x :none)", json!("none")),
        ("(when-let [[a b] [1 2]] (+ a b))", json!(3)),
        ("(if-some [x false] [x] 2)", json!([false])),
        (
            "(try (throw (ex-info \"no\" {:a 1})) (catch :default e [(ex-message e) (ex-data e)]))",
            json!(["no", {"a": 1}]),
        ),
        ("(try (inc nil) (catch js/Error e (.-message e)))", json!("`inc` needs a number, and has nil")),
        ("(do (comment (this is nothing)) 1)", json!(1)),
        ("'(a :b \"c\" [1])", json!(["a", "b", "c", [1]])),
        ("(:a {:a 1})", json!(1)),
        ("({:a 1} :b 2)", json!(2)),
        ("(#{:a} :a)", json!("a")),
        ("([1 2] 1)", json!(2)),
        ("(do (def double-it #(* 2 %)) (double-it 4))", json!(8)),
        ("(do (defn g \"doc\" [x] x) (#'g 1))", json!(1)),
        ("#_ #_ 1 2 3", json!(3)),
        ("[#?(:clj 1 :cljs 2) #?@(:cljs [3 4])]", json!([2, 3, 4])),
        ("#:a{:b 1}", json!({"b": 1})),
        ("[::x (name ::x) (namespace ::x)]", json!(["x", "x", "user"])),
        ("[\\a \\newline \\u0041]", json!(["a", "\n", "A"])),
        ("[1/2 0x1F 017 2r101 1e3 1.5M 10N -7]", json!([0.5, 31, 15, 5, 1000, 1.5, 10, -7])),
        ("[##Inf ##NaN]", json!([null, null])),
        ("#js {:a #js [1 2]}", json!({"a": [1, 2]})),
        ("#inst \"2026-01-01\"", json!("2026-01-01")),
        ("^{:doc \"x\"} [^String 1]", json!([1])),
    ]);
}

#[test]
fn functions_do_what_clojure_says() {
    table(&[
        ("(assoc-in {} [:a :b] 1)", json!({"a": {"b": 1}})),
        ("(update-in {:a {:b 1}} [:a :b] + 2 3)", json!({"a": {"b": 6}})),
        ("(merge {:a 1 :b 1} nil {:b 2})", json!({"a": 1, "b": 2})),
        ("(merge-with into {:a [1]} {:a [2] :b [3]})", json!({"a": [1, 2], "b": [3]})),
        ("(dissoc {:a 1 :b 2} :a)", json!({"b": 2})),
        ("(select-keys {:a 1 :b 2} [:b :c])", json!({"b": 2})),
        ("[(get-in {:a [1 {:b 2}]} [:a 1 :b]) (get {} :x 9) (contains? #{1} 1)]", json!([2, 9, true])),
        ("(zipmap [:a :b] [1 2])", json!({"a": 1, "b": 2})),
        ("(into {} (map (fn [[k v]] [k (inc v)]) {:a 1 :b 2}))", json!({"a": 2, "b": 3})),
        ("(reduce-kv (fn [m k v] (assoc m v k)) {} {:a \"x\"})", json!({"x": "a"})),
        (
            "[(vec '(1 2)) (first []) (rest [1 2]) (last [1 2]) (nth [1 2] 1) (count nil)]",
            json!([[1, 2], null, [2], 2, 2, 0]),
        ),
        ("[(next [1]) (seq []) (empty? \"\")]", json!([null, null, true])),
        ("(map vector [1 2] [:a :b])", json!([[1, "a"], [2, "b"]])),
        ("(map-indexed vector \"ab\")", json!([[0, "a"], [1, "b"]])),
        ("(mapcat #(repeat % %) [1 2])", json!([1, 2, 2])),
        ("[(reduce + [1 2 3]) (reduce conj [] [1]) (apply max 1 [5 2])]", json!([6, [1], 5])),
        ("[(some #{2} [1 2]) (every? odd? [1 3]) (not-any? nil? [1])]", json!([2, true, true])),
        (
            "[(partition 2 [1 2 3]) (partition-all 2 [1 2 3]) (partition 2 2 [9] [1 2 3])]",
            json!([[[1, 2]], [[1, 2], [3]], [[1, 2], [3, 9]]]),
        ),
        (
            "[(sort [3 1 2]) (sort > [1 3 2]) (sort-by :n [{:n 2} {:n 1}])]",
            json!([[1, 2, 3], [3, 2, 1], [{"n": 1}, {"n": 2}]]),
        ),
        (
            "[(distinct [1 2 1]) (group-by odd? [1 2 3]) (frequencies [:a :a])]",
            json!([[1, 2], {"true": [1, 3], "false": [2]}, {"a": 2}]),
        ),
        (
            "[((comp inc first) [1]) ((partial + 1 2) 3) ((juxt :a :b) {:a 1 :b 2}) ((complement nil?) 1)]",
            json!([2, 6, [1, 2], true]),
        ),
        (
            "[(range 3) (range 1 3) (range 0 1 0.25) (take 2 [1 2 3]) (drop 2 [1 2 3])]",
            json!([[0, 1, 2], [1, 2], [0, 0.25, 0.5, 0.75], [1, 2], [3]]),
        ),
        ("[(/ 6 3) (/ 1 2) (mod -1 3) (rem -1 3) (quot 7 2) (- 3) (* 1.5 2)]", json!([2, 0.5, 2, -1, 3, -3, 3])),
        ("[(= 1 1.0) (= [1] '(1)) (not= :a :b) (< 1 2 3) (zero? 0)]", json!([true, true, true, true, true])),
        (
            "[(str 1 :a nil \"b\" 1.50) (name :n/a) (keyword \"x\") (symbol \"y\") (subs \"hello\" 1 3)]",
            json!(["1:ab1.5", "a", "x", "y", "el"]),
        ),
        ("(pr-str {:a [1 \"x\\n\" #{:b}]})", json!("{:a [1 \"x\\n\" #{:b}]}")),
        (
            "[(re-find #\"(\\d+)-(\\d)\" \"a 12-3\") (re-matches #\"a+\" \"aaa\") (re-matches #\"a\" \"aaa\") (re-seq #\"\\d\" \"1a2\")]",
            json!([["12-3", "12", "3"], "aaa", null, ["1", "2"]]),
        ),
        (
            "[(clojure.string/join \", \" [1 :a]) (clojure.string/split \"a,b,,\" #\",\") (clojure.string/replace \"a-b\" \"-\" \"_\") (clojure.string/blank? \" \")]",
            json!(["1, :a", ["a", "b"], "a_b", true]),
        ),
        ("(clojure.string/replace \"a1b2\" #\"[a-z](\\d)\" \"$1.\")", json!("1.2.")),
        ("[(clojure.set/union #{1} #{2}) (clojure.set/difference #{1 2} #{2})]", json!([[1, 2], [1]])),
        (
            "[js/process.env.HOME (.-HOME js/process.env) (aget js/process.env \"HOME\") (.-HOME (.-env js/process)) (.. js/process -env -HOME)]",
            json!(["/home/me", "/home/me", "/home/me", "/home/me", "/home/me"]),
        ),
        (
            "[js/process.env.NONE (.cwd js/process) (js/process.cwd) (js/parseInt \"12px\") (js/Math.max 1 2)]",
            json!([null, "/srv", "/srv", 12, 2]),
        ),
        ("(js->clj (js/JSON.parse \"{\\\"a\\\":[1,null]}\") :keywordize-keys true)", json!({"a": [1, null]})),
        ("(js/JSON.stringify (clj->js {:a :b}))", json!("{\"a\":\"b\"}")),
        ("{:f inc :s #{1} :n/k :n/v 's 1 2 3}", json!({"s": 1, "k": "v", "2": 3})),
        ("[inc 1]", json!([null, 1])),
    ]);
}

/// Each expression of `reference.txt` gives what a whole ClojureScript makes of it: nbb 1.6 wrote the lines below them.
#[test]
fn results_are_those_of_clojurescript() {
    let lines: Vec<&str> = include_str!("reference.txt").lines().collect();
    assert!(lines.len() > 150, "the reference is there");
    for pair in lines.chunks_exact(2) {
        let wanted: Value = serde_json::from_str(pair[1].trim()).expect("JSON");
        assert_eq!(value(pair[0]), wanted, "{}", pair[0]);
    }
}
