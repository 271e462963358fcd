//! Where variables come from: the order of `docs/environment.md`, and who is told to have given them.

use super::harness::{Baton, testapp};
use serde_json::{Value, json};

/// The sources of the page, lowest first, as `env --why` calls them.
const ROWS: &[(&str, &str)] = &[
    ("the shell", "shell"),
    ("the record", "baton, as PM2 does"),
    ("`env_file`", "env_file "),
    ("`deploy.NAME.env`", "deploy.test.env in "),
    ("the helper", "helper in "),
    ("the unit", "unit duck in "),
    ("`env`", "env in "),
    ("the profile", "profile prod in "),
    ("`--set`", "--set"),
    ("`env_NAME`", "env_test in "),
    ("the shell first", "shell (env_priority: shell)"),
    ("baton", "baton"),
];

/// A variable for each two neighbours of the page that both of them give.
const PAIRS: &[(&str, usize)] = &[
    ("namespace", 0),
    ("treekill", 1),
    ("FILE", 2),
    ("HEARTBEAT_PORT", 3),
    ("CHECK_INTERVAL", 4),
    ("UNIT", 5),
    ("OWN", 6),
    ("PROFILE", 7),
    ("SETTING", 8),
    ("NAMED", 9),
    ("pm_id", 10),
];

fn page() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/environment.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        cells.get(1)?.parse::<usize>().ok()?;
        Some(cells.get(2)?.to_string())
    };
    text.lines().filter_map(row).collect()
}

/// A unit's app that gets variables from everywhere: each source gives those of its own row and of the one below it.
fn start(baton: &Baton, extra: &[&str]) {
    let pick = |value: &str, names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), value.into())).collect::<serde_json::Map<String, Value>>()
    };
    baton.file("vars.env", "FILE=file\ntreekill=file\nAPI_KEY=hidden\n");
    let config = json!({
        "deploy": {"test": {"env": pick("deploy", &["FILE", "HEARTBEAT_PORT"])}},
        "units": {"duck": {
            "env": pick("unit", &["CHECK_INTERVAL", "UNIT"]),
            "apps": [{
                "name": "a", "kind": "app", "script": testapp(), "args": ["dump", "wait"], "env_file": "vars.env",
                "env": pick("own", &["UNIT", "OWN", "pm_id"]), "env_test": pick("named", &["SETTING", "NAMED"]),
            }],
        }},
        "profiles": {"prod": {"apps": [{"name": "a", "env": pick("profile", &["OWN", "PROFILE"])}]}},
    });
    baton.file("ecosystem.config.json", config.to_string());
    let words = ["start", "ecosystem.config.json", "--env", "test", "--profile", "prod"];
    let settings = ["--set", "apps.duck_a.env.PROFILE=setting", "--set", "apps.a.env.SETTING=setting"];
    let mut command = baton.command(words.iter().chain(&settings).chain(extra));
    command.env("namespace", "shell").env("NAMED", "shell").env("ONLY_SHELL", "shell");
    assert!(command.status().expect("start").success());
}

fn dump(baton: &Baton) -> Value {
    let path = baton.dir().join("logs/duck_a-out.log");
    let line = baton.wait_file(&path, "}\n");
    serde_json::from_str(line.lines().last().expect("a line")).expect("json")
}

/// For each variable the lines that tell of it.
fn why(baton: &Baton) -> Vec<(String, Vec<String>)> {
    let run = baton.run(["env", "duck_a", "--why"]).ok();
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in run.stdout.lines() {
        match line.strip_prefix("  over ") {
            Some(rest) => found.last_mut().expect("a variable").1.push(rest.to_owned()),
            None => {
                let (name, rest) = line.split_once('=').expect("a variable");
                found.push((name.to_owned(), vec![rest.to_owned()]));
            }
        }
    }
    found
}

#[test]
fn the_page_tells_the_order_in_which_variables_count() {
    assert_eq!(page(), ROWS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    for first in [false, true] {
        let baton = Baton::new();
        start(&baton, if first { &["--shell-env-first"] } else { &[] });
        let env = dump(&baton)["env"].clone();
        let told = why(&baton);
        for (name, lower) in PAIRS {
            let (_, lines) = told.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name}: {told:?}"));
            let source = |at: usize| lines[at].split_once("  ").map_or("", |(_, words)| words.trim_start());
            if !first && *lower >= 9 {
                // Without the shell first there is nothing between these two rows.
                continue;
            }
            let upper = ROWS[lower + 1].1;
            assert!(source(0).starts_with(upper), "{name}: {upper} is not what gave {lines:?}");
            // Between what only baton knows and the shell stands what the shell does not have.
            let below = if *name == "pm_id" { "env in " } else { ROWS[*lower].1 };
            assert!(
                (1..lines.len()).any(|at| source(at).starts_with(below)),
                "{name}: {below} is not below in {lines:?}"
            );
            let value = lines[0].split_once("  ").map_or(lines[0].as_str(), |(value, _)| value).trim_end();
            assert_eq!(env[*name].as_str(), Some(value), "{name}");
        }
        let (_, secret) = told.iter().find(|(name, _)| name == "API_KEY").expect("the secret");
        assert!(secret[0].starts_with("********") && !secret[0].contains("hidden"), "{secret:?}");
        assert!(baton.run(["env", "duck_a", "--why", "--reveal"]).ok().stdout.contains("API_KEY=hidden"));
        let (_, shell) = told.iter().find(|(name, _)| name == "ONLY_SHELL").expect("the shell's own");
        assert!(shell.len() == 1 && shell[0].ends_with("  shell"), "{shell:?}");
        // `env` itself is as it was.
        assert!(!baton.run(["env", "duck_a"]).ok().stdout.contains("over "));
    }
}

#[test]
fn the_order_is_kept_with_the_app() {
    let baton = Baton::new();
    let app = |more: Value| {
        let mut app = json!({"name": "a", "script": testapp(), "args": ["dump", "wait"], "env": {"WHO": "file"}});
        app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        app
    };
    let seen = |baton: &Baton| {
        let log = baton.wait_log("a-out.log", "}\n");
        let env: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("json");
        baton.run(["flush", "a"]).ok();
        env["env"]["WHO"].as_str().expect("a text").to_owned()
    };
    let run = |words: &[&str]| {
        let status = baton.command(words).env("WHO", "shell").status().expect("a run");
        assert!(status.success(), "{words:?}");
    };
    baton.file("ecosystem.config.json", json!({"env_priority": "shell", "apps": [app(json!({}))]}).to_string());
    run(&["start", "ecosystem.config.json"]);
    assert_eq!(seen(&baton), "shell");
    // A later restart, from another shell, goes by what was kept.
    baton.run(["restart", "a"]).ok();
    assert_eq!(seen(&baton), "shell");
    baton.run(["save"]).ok();
    baton.run(["delete", "a"]).ok();
    baton.run(["resurrect"]).ok();
    assert_eq!(seen(&baton), "shell");
    // The app's own word counts more than the one beside the apps, and the command line's most.
    let both = json!({"env_priority": "shell", "apps": [app(json!({"envPriority": "file"}))]});
    baton.file("ecosystem.config.json", both.to_string());
    run(&["restart", "ecosystem.config.json"]);
    assert_eq!(seen(&baton), "file");
    run(&["restart", "ecosystem.config.json", "--shell-env-first"]);
    assert_eq!(seen(&baton), "shell");
    baton.file("ecosystem.config.json", json!({"env_priority": "both", "apps": [app(json!({}))]}).to_string());
    baton.run(["start", "ecosystem.config.json"]).code(1).stderr_has("`env_priority: \"both\"` is not");
}
