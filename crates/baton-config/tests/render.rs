//! Process files written out again: in every format they give the apps that they were made of.

use baton_config::render::{self, Format};
use baton_config::{LoadOptions, Loaded, evaluate, load};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn options() -> LoadOptions {
    let caller_env = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/me")].map(|(k, v)| (k.into(), v.into())).into();
    LoadOptions { caller_env, caller_cwd: data(), home: "/home/me/.baton".into(), ..LoadOptions::default() }
}

fn loaded(file: &Path, options: &LoadOptions) -> Loaded {
    load(file, options).unwrap_or_else(|wrong| panic!("{}: {wrong}", file.display()))
}

#[test]
fn what_is_rendered_gives_the_same_apps_in_every_format_and_place() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for file in [
        data().join("apps.yaml"),
        data().join("apps.toml"),
        data().join("loose.json"),
        data().join("full.config.cjs"),
        examples.join("workspace/ecosystem.config.cjs"),
        examples.join("runbook/pm2/ecosystem.dev.config.cjs"),
        examples.join("agents/ecosystem.config.js"),
    ] {
        let before = loaded(&file, &options()).apps;
        assert!(!before.is_empty());
        for (name, format) in [
            ("a.json", Format::Json),
            ("a.yaml", Format::Yaml),
            ("a.toml", Format::Toml),
            ("a.config.cjs", Format::Cjs),
        ] {
            let header = format!("{} from {}", render::MARK, file.display());
            let text = render::text(format, &render::document(&before), Some(&header)).expect("text");
            let path = elsewhere.path().join(name);
            std::fs::write(&path, &text).expect("written");
            // Where it is read makes no difference: every path is absolute.
            let after = loaded(&path, &LoadOptions { caller_cwd: elsewhere.path().to_owned(), ..options() });
            assert_eq!(after.apps.len(), before.len(), "{text}");
            for (one, other) in before.iter().zip(&after.apps) {
                assert_eq!(one.changes(other), [], "{}: {} as {format:?}", file.display(), one.name);
                assert_eq!(one.env_profiles, other.env_profiles);
            }
        }
    }
}

#[test]
fn a_rendered_app_says_only_what_is_not_the_default() {
    let found = loaded(&data().join("shapes/list.json"), &options());
    let document = render::document(&found.apps);
    let app = document["apps"][0].as_object().expect("an app");
    let keys: Vec<&str> = app.keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "namespace", "script", "cwd", "interpreter", "exec_mode", "instances", "merge_logs"]);
    assert_eq!(app["script"], data().join("srv/server.js").to_string_lossy().into_owned());
}

#[test]
fn the_export_is_given_as_it_is() {
    let raw = evaluate(&[data().join("full.config.cjs")], &options()).expect("an export");
    assert!(raw.value["apps"].as_array().is_some_and(|apps| apps.len() == 3), "{}", raw.value);
    assert_eq!(raw.console, b"reading\n");
    let raw = evaluate(&["apps.toml".into()], &options()).expect("an export");
    assert_eq!(raw.value["apps"][0]["minUptime"], "10s");
    assert!(evaluate(&["missing.json".into()], &options()).is_err());
}

/// Texts that one notation or another reads as something else.
fn text() -> impl Strategy<Value = String> {
    let odd = [
        "yes",
        "no",
        "null",
        "~",
        "1e3",
        "0o7",
        "0x1f",
        "1_000",
        "2026-01-02",
        "12:30:45",
        " a ",
        "a: b",
        "a #b",
        "- a",
        "&a",
        "*a",
        "!a",
        "|",
        "'",
        "\"",
        "\\",
        "\u{2028}",
        "\u{7f}",
        "\u{85}",
        "\u{feff}",
        "a\nb",
        "\n",
        "\ta",
        "${A}",
        "{{a}}",
        "\u{1}",
        "__proto__",
        "\"__proto__\": 1",
        "*/",
        "</script>",
        "",
        ".inf",
        "=",
        "<<",
        "%a",
        "@a",
        "`a`",
        "[a]",
        "?",
        "true",
        "-0",
        "+1",
        ".5",
        "e",
        "\r",
    ];
    prop_oneof![proptest::sample::select(odd.to_vec()).prop_map(str::to_owned), "\\PC{0,12}", any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_text_survives_every_notation(
        variables in proptest::collection::btree_map("[A-Za-z_][A-Za-z0-9_. :#-]{0,6}|__proto__", text(), 0..6),
        args in proptest::collection::vec(text(), 0..4),
    ) {
        let variables: BTreeMap<String, String> =
            variables.into_iter().map(|(name, value)| (name, value.replace('\0', ""))).collect();
        let args: Vec<String> = args.into_iter().map(|arg| arg.replace('\0', "")).collect();
        let directory = tempfile::tempdir().expect("a directory");
        let spec = baton_core::spec::AppSpec {
            name: "a".into(), script: "/bin/true".into(), cwd: "/".into(), env: variables, args, ..Default::default()
        };
        for (name, format) in
            [("a.json", Format::Json), ("a.yaml", Format::Yaml), ("a.toml", Format::Toml), ("a.cjs", Format::Cjs)]
        {
            let path = directory.path().join(name);
            let written = render::text(format, &render::document(std::slice::from_ref(&spec)), Some("x")).expect("text");
            std::fs::write(&path, &written).expect("written");
            let again = loaded(&path, &options()).apps;
            prop_assert_eq!(&again[0].env, &spec.env, "{}", written);
            prop_assert_eq!(&again[0].args, &spec.args, "{}", written);
        }
    }
}

#[test]
fn what_others_run_is_rendered_with_the_apps_that_need_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "apps: [{ name: api, script: /bin/sleep, depends_on: { db: { timeout: 9s } } }]\n\
                external: { db: { tcp: 5432, hint: start it, start: \"make db\" } }\n";
    std::fs::write(dir.path().join("apps.yaml"), text).expect("written");
    let options = LoadOptions { caller_cwd: dir.path().into(), ..LoadOptions::default() };
    let first = load(Path::new("apps.yaml"), &options).expect("apps").apps;
    let external = first[0].depends_on[0].external.clone().expect("external");
    assert_eq!(
        (external.probe.to_string().as_str(), external.cwd.as_str()),
        ("tcp localhost:5432", dir.path().to_str().expect("text"))
    );
    for format in [Format::Json, Format::Yaml, Format::Toml, Format::Cjs] {
        let text = render::text(format, &render::document(&first), None).expect("a text");
        let name = format!("out.{}", format!("{format:?}").to_lowercase());
        std::fs::write(dir.path().join(&name), text).expect("written");
        assert_eq!(load(Path::new(&name), &options).expect("apps").apps[0].depends_on, first[0].depends_on, "{name}");
    }
}
