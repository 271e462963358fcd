//! What programs mean, what they yield, and what is said about bad ones.

mod clobber;
mod dsl;
mod errors;
mod files;
mod language;
mod properties;

use super::*;
use serde_json::json;

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    root
}

fn options() -> CljOptions {
    let env = [("HOME", "/home/me"), ("EMPTY", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    CljOptions { env: env.into(), cwd: "/srv".into(), ..CljOptions::default() }
}

/// The result of a program that is the only file.
fn result_with(text: &str, options: &CljOptions) -> Result<Evaluated, CljError> {
    let root = directory(&[("a.cljs", text)]);
    evaluate(&root.path().join("a.cljs"), options)
}

/// The value of one expression.
fn value(expression: &str) -> Value {
    let text = format!("(set! (.-exports js/module) (clj->js {{:apps [{{:name \"x\" :v {expression}}}]}}))");
    let found = result_with(&text, &options()).unwrap_or_else(|error| panic!("{expression}: {error}"));
    found.value["apps"][0]["v"].clone()
}

/// The error of a program, with the path of its directory left out.
fn message(text: &str) -> String {
    files_message(&[("a.cljs", text)])
}

fn files_message(files: &[(&str, &str)]) -> String {
    let root = directory(files);
    let error = evaluate(&root.path().join(files[0].0), &options()).expect_err("an error");
    error.to_string().replace(&format!("{}/", root.path().display()), "")
}

/// The names of the apps of a result.
fn names(value: &Value) -> Vec<&str> {
    apps_in(value).iter().map(|app| app["name"].as_str().expect("a name")).collect()
}

fn yields(text: &str) -> Value {
    result_with(text, &options()).unwrap_or_else(|error| panic!("{text}: {error}")).value
}
