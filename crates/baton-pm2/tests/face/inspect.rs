//! Our notation of values against that of the real Node.

use baton_pm2::inspect::{Depth, render, render_to};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn short_values_stand_on_one_line() {
    assert_eq!(render(&json!([])), "[]");
    assert_eq!(render(&json!({})), "{}");
    assert_eq!(render(&json!([0])), "[ 0 ]");
    assert_eq!(render(&json!({ "msg": "pong" })), "{ msg: 'pong' }");
    assert_eq!(render(&json!({ "a-b": "it's", "c": null })), "{ 'a-b': \"it's\", c: null }");
}

#[test]
fn more_than_six_numbers_are_set_in_columns() {
    assert_eq!(render(&json!([0, 1, 2, 3, 4, 5, 6])), "[\n  0, 1, 2, 3,\n  4, 5, 6\n]");
}

#[test]
fn a_depth_hides_what_is_deeper() {
    let value = json!({ "a": { "b": { "c": { "d": 1 }, "e": [1], "f": {}, "g": [] } } });
    assert_eq!(render_to(&value, Depth::Upto(2)), "{ a: { b: { c: [Object], e: [Array], f: {}, g: [] } } }");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,12}", "[a-zA-Z0-9_ '\"`$\\\\{.\t\n\u{1}\u{9f}é漢-]{0,24}", "[a-z \n]{60,120}",]
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i32>().prop_map(Value::from),
        (-1000_i32..1000).prop_map(|n| json!(f64::from(n) / 8.0)),
        (-30_i32..30).prop_map(|exponent| json!(1.25 * 10_f64.powi(exponent))),
    ];
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text().prop_map(Value::from),];
    leaf.prop_recursive(6, 120, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
            prop::collection::vec((-5000_i64..5000).prop_map(Value::from), 0..130).prop_map(Value::from),
            prop::collection::vec("[a-z0-9]{0,9}".prop_map(Value::from), 0..110).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Keys that JavaScript keeps in their order: those that look like array indices move to the front there.
fn key() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,10}|[a-z]-[a-z '.]{1,8}"
}

/// Asks one Node for many values; nothing when there is no Node on this machine.
fn node(values: &[Value], depth: &str) -> Option<Vec<String>> {
    let script = format!(
        "const {{inspect}} = require('util'); const values = JSON.parse(require('fs').readFileSync(0, 'utf8'));
         process.stdout.write(JSON.stringify(values.map(v => inspect(v, {{depth: {depth}}}))));"
    );
    #[expect(clippy::disallowed_methods, reason = "the program that defines the notation is asked")]
    let mut child =
        Command::new("node").args(["-e", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let input = serde_json::to_vec(values).expect("values are JSON");
    child.stdin.take().expect("piped").write_all(&input).expect("node reads its input");
    let output = child.wait_with_output().expect("node ends");
    assert!(output.status.success(), "node failed");
    Some(serde_json::from_slice(&output.stdout).expect("node answers JSON"))
}

#[test]
fn node_writes_the_same() {
    let mut runner = TestRunner::deterministic();
    let values: Vec<Value> = (0..1500)
        .map(|_| value().new_tree(&mut runner).expect("a value").current())
        .chain([json!("x".repeat(10_001)), json!(["y".repeat(90)]), json!({ "__proto__x": 1 }), json!(-0.0)])
        .collect();
    for (depth, name) in [(Depth::Whole, "null"), (Depth::Upto(2), "2"), (Depth::Upto(0), "0")] {
        let Some(theirs) = node(&values, name) else {
            eprintln!("skipped: there is no node on this machine");
            return;
        };
        for (value, theirs) in values.iter().zip(theirs) {
            assert_eq!(render_to(value, depth), theirs, "of {value}");
        }
    }
}
