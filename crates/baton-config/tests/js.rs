//! The embedded engine against the real Node: every fixture under `tests/js/cases` gives the same JSON in both.
//!
//! Without Node the comparison is skipped and says so; in CI that is a failure.

use std::path::{Path, PathBuf};

use baton_config::js::{self, Evaluated, JsOptions, Limits, Loader, Source};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js/cases")
}

fn options() -> JsOptions {
    JsOptions {
        env: std::env::vars().collect(),
        cwd: Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf(),
        argv: Vec::new(),
        limits: Limits { time: std::time::Duration::from_secs(30), ..Limits::default() },
    }
}

fn embedded(case: &str) -> Evaluated {
    js::evaluate(&fixtures().join(case), Source::File, &options()).unwrap_or_else(|error| panic!("{case}: {error}"))
}

/// Every process file among the fixtures.
fn cases() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![fixtures()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with("ecosystem.config.") {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn node_is_here() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::split_paths(&path).any(|directory| directory.join("node").is_file());
    if !here {
        assert!(std::env::var_os("CI").is_none(), "CI needs Node: the embedded engine is compared with it");
        eprintln!("SKIPPED: no Node on PATH, the embedded engine was compared with nothing");
    }
    here
}

#[test]
fn every_fixture_gives_what_node_gives() {
    if !node_is_here() {
        return;
    }
    let cases = cases();
    assert!(cases.len() >= 25, "only {} fixtures found", cases.len());
    let mut different = Vec::new();
    for case in cases {
        // Text, not values: the order of keys counts.
        let text = |loader| match js::load(loader, &case, Source::File, &options()) {
            Ok(evaluated) => format!("{} without {:?}", evaluated.value, evaluated.undefined),
            Err(error) => error.to_string(),
        };
        let (ours, theirs) = (text(Loader::Embedded), text(Loader::Node));
        if ours != theirs {
            let at = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
            let around = |text: &str| {
                String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(60)..text.len().min(at + 120)]).into_owned()
            };
            different.push(format!("{}\n  ours: …{}…\n  node: …{}…", case.display(), around(&ours), around(&theirs)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn inputs_and_absent_candidates_are_reported() {
    let agents = fixtures().join("agents");
    let evaluated = embedded("agents/ecosystem.config.js");
    let expected = ["ecosystem.config.js", "dev/helpers.js", "owl/ecosystem.config.js", "owl/.tokens"];
    assert_eq!(evaluated.inputs.first(), Some(&agents.join("ecosystem.config.js")));
    for name in expected {
        assert!(evaluated.inputs.contains(&agents.join(name)), "{name} is no input: {:?}", evaluated.inputs);
    }
    assert!(evaluated.looked_for.contains(&agents.join("services/tts/ecosystem.config")), "{:?}", evaluated.looked_for);
    let fs = embedded("fs/ecosystem.config.js");
    assert!(fs.directories.contains(&fixtures().join("fs/services")), "{:?}", fs.directories);
    assert!(fs.looked_for.contains(&fixtures().join("fs/nothing")), "{:?}", fs.looked_for);
}

#[test]
fn the_apps_of_each_shape_are_found() {
    for case in [
        "plain/ecosystem.config.js",
        "async/ecosystem.config.js",
        "function/ecosystem.config.js",
        "wrapped/ecosystem.config.js",
        "esm-named/ecosystem.config.mjs",
        "esm-default/ecosystem.config.mjs",
        "printing/ecosystem.config.js",
        "single/ecosystem.config.js",
        "type-module/ecosystem.config.js",
    ] {
        let exported = embedded(case).value;
        let apps = js::exports::apps(&exported).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(!apps.is_empty() && apps.iter().all(|app| app.contains_key("script")), "{case}: {apps:?}");
    }
}

#[test]
fn what_a_file_prints_is_kept_apart() {
    let console = String::from_utf8(embedded("printing/ecosystem.config.js").console).unwrap();
    let lines: Vec<_> = console.lines().collect();
    assert_eq!(lines, ["to stdout formatted { a: [ 1, 2 ] }", "to stderr", "raw", "group", "  inside"]);
}

#[test]
fn assignments_to_the_environment_stay_in_the_file() {
    assert_eq!(embedded("process/ecosystem.config.js").value["env"][0][1], "5");
    assert!(std::env::var_os("ASSIGNED").is_none());
}
