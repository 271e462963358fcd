//! Clojure process files and directories of process files, through the loader, as the command line sees them.

use baton_config::target::{Target, classify};
use baton_config::{ConfigError, LoadOptions, Loaded, load};
use baton_core::spec::AppSpec;
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clj")
}

fn options() -> LoadOptions {
    let caller_env = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/me")].map(|(k, v)| (k.into(), v.into())).into();
    LoadOptions { caller_env, caller_cwd: data(), home: "/home/me/.baton".into(), ..LoadOptions::default() }
}

fn loaded(file: &str, options: &LoadOptions) -> Loaded {
    load(Path::new(file), options).unwrap_or_else(|wrong| panic!("{file}: {wrong}"))
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.apps.iter().map(|app| app.name.as_str()).collect()
}

fn env(app: &AppSpec) -> Vec<(&str, &str)> {
    app.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

fn inside(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.strip_prefix(data()).expect("inside").display().to_string()).collect()
}

fn skipped(loaded: &Loaded) -> Vec<(String, &str)> {
    loaded.skipped.iter().map(|one| (inside(std::slice::from_ref(&one.path)).remove(0), one.why)).collect()
}

#[test]
fn with_an_index_only_what_it_loads_is_active() {
    let found = loaded("ecosystems", &options());
    let [oven, timer, lobby, attic] = &found.apps[..] else { panic!("{:?}", names(&found)) };
    assert_eq!(oven.name, "kitchen-oven");
    assert_eq!(
        oven.script,
        "/usr/bin/bash".replace("/usr/bin", if Path::new("/usr/bin/bash").exists() { "/usr/bin" } else { "/bin" })
    );
    assert_eq!(oven.args, ["-lc", "exec ./oven --say \"ready\""]);
    assert_eq!((oven.max_restarts, oven.min_uptime.0, oven.kill_timeout.0), (Some(5), 10_000, 4000));
    assert_eq!(env(oven), [("LOG_DIR", "/home/me/logs"), ("NODE_ENV", "development"), ("PORT", "8901")]);
    assert_eq!((timer.name.as_str(), timer.autorestart), ("kitchen-timer", false));
    assert_eq!(timer.args, ["60"]);
    assert_eq!((lobby.name.as_str(), attic.name.as_str()), ("desk.lobby", "desk.attic"));
    assert_eq!(attic.env["PORT"], "9001");
    assert_eq!(attic.env["TOKEN"], "local-only");
    assert_eq!(Path::new(&attic.source.file), data().join("ecosystems/index.cljs"));
    assert_eq!(
        inside(&found.inputs),
        ["ecosystems/index.cljs", "ecosystems/kitchen.cljs", "ecosystems/shared.cljs", "ecosystems/front_desk.cljs"]
    );
    assert_eq!(
        skipped(&found),
        [
            ("ecosystems/.#kitchen.cljs".into(), "a file of an editor"),
            ("ecosystems/cellar.cljs".into(), "the index does not load it"),
            ("ecosystems/inactive".into(), "inactive"),
            ("ecosystems/kitchen.cljs~".into(), "a file of an editor"),
            ("ecosystems/shadow-cljs.edn".into(), "a file of another tool"),
        ]
    );
    assert_eq!(found.console, b"");
}

#[test]
fn profile_settings_and_environment_are_the_callers() {
    let mut chosen = options();
    chosen.profile = Some("night".into());
    chosen.caller_env.insert("DESK_TOKEN".into(), "secret".into());
    chosen.set = vec!["apps.desk.attic.max_restarts=7".into(), "apps.kitchen-oven.env.PORT=1".into()];
    chosen.unset = vec!["apps.kitchen-timer".into()];
    let found = loaded("ecosystems/", &chosen);
    assert_eq!(names(&found), ["kitchen-oven", "desk.lobby", "desk.attic"]);
    assert_eq!(found.apps[0].env["PORT"], "1");
    assert_eq!((found.apps[2].env["LIGHTS"].as_str(), found.apps[2].env["TOKEN"].as_str()), ("off", "secret"));
    assert_eq!(found.apps[2].max_restarts, Some(7));
}

#[test]
fn without_an_index_every_process_file_is_active() {
    let found = loaded("loose", &options());
    let places: Vec<(&str, String)> = found
        .apps
        .iter()
        .map(|app| (app.name.as_str(), inside(&[PathBuf::from(&app.source.file)]).remove(0)))
        .collect();
    assert_eq!(
        places,
        [("a", "loose/a.cljs".into()), ("b", "loose/b.pm2.edn".into()), ("c", "loose/c.ecosystem.json".into())]
    );
    assert_eq!(env(&found.apps[1]), [("MODE", "dev"), ("PORT", "80")]);
    assert_eq!(skipped(&found), [("loose/later.cljs".into(), "it defines no apps")]);
    assert_eq!(
        inside(&found.inputs),
        ["loose/a.cljs", "loose/helpers.cljs", "loose/b.pm2.edn", "loose/later.cljs", "loose/c.ecosystem.json"]
    );
    let only = LoadOptions { only: vec!["c".into(), "z".into()], ..options() };
    let found = loaded("loose", &only);
    assert_eq!((names(&found), found.unknown_only.clone()), (vec!["c"], vec!["z".to_owned()]));
}

#[test]
fn a_tree_of_daemons_is_one_source() {
    let found = loaded("daemons", &options());
    assert_eq!(names(&found), ["ears", "mouth"]);
    assert_eq!(skipped(&found), [("daemons/inactive".into(), "inactive")]);
}

#[test]
fn a_library_gives_its_entries() {
    let file = "stacks/library.pm2.cljs";
    let found = loaded(file, &options());
    assert_eq!(names(&found), ["api", "worker"]);
    assert_eq!((found.apps[0].env["PORT"].as_str(), found.apps[1].env["QUEUE"].as_str()), ("8080", "mail"));
    let dev = loaded(file, &LoadOptions { profile: Some("dev".into()), ..options() });
    assert_eq!((dev.apps[0].env["DEBUG"].as_str(), dev.apps[0].args.len(), dev.apps[1].args.len()), ("true", 1, 0));
    let entry = |name: &str| LoadOptions { entry: Some(name.into()), ..options() };
    let only = loaded(file, &entry("worker-only"));
    assert_eq!((names(&only), only.apps[0].max_restarts), (vec!["worker"], Some(2)));
    let wrong = load(Path::new(file), &entry("none")).expect_err("no entry");
    assert_eq!(
        wrong.to_string(),
        format!(
            "process file {}: there is no entry `none`: the file has default, worker-only",
            data().join(file).display()
        )
    );
    let wrong = load(Path::new("loose/c.ecosystem.json"), &entry("x")).expect_err("no library");
    assert!(wrong.to_string().ends_with("there is no entry `x`: the process file is no library"), "{wrong}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let root = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).expect("written");
    write("a.cljs", "(ns a (:require [b]))");
    write("b.cljs", "(ns b)\n(defap \"x\" {})");
    write("empty.cljs", "(ns empty)");
    write("shape.edn", "{:aps []}");
    let fails = |file: &str| -> ConfigError { load(&root.path().join(file), &options()).expect_err("an error") };
    let here = root.path().display();
    let wrong = fails("a.cljs");
    assert_eq!(
        wrong.to_string(),
        format!(
            "process file {here}/a.cljs: {here}/b.cljs:2:2: `defap` is not known; did you mean `clobber.macro/defapp`?"
        )
    );
    assert_eq!(wrong.excerpt(), Some("2 | (defap \"x\" {})\n  |  ^"));
    assert!(wrong.help().is_some_and(|help| help.starts_with("supported here: ")), "{wrong:?}");
    assert_eq!(fails("empty.cljs").to_string(), format!("process file {here}/empty.cljs: defines no apps"));
    assert_eq!(fails("shape.edn").to_string(), format!("process file {here}/shape.edn: defines no apps"));
    // Of a directory every file counts; one that fails fails them all.
    assert_eq!(
        fails(".").to_string(),
        format!("process file {here}/b.cljs:2:2: `defap` is not known; did you mean `clobber.macro/defapp`?")
    );
}

#[test]
fn targets_of_clojure_are_process_files() {
    let root = data();
    let file = |name: &str| Target::ProcessFile(root.join(name));
    for (text, wanted) in [
        ("x.cljs", file("x.cljs")),
        ("stacks/library.pm2.cljs", file("stacks/library.pm2.cljs")),
        ("ecosystems/", file("ecosystems")),
        ("ecosystems", file("ecosystems")),
        ("./loose", file("loose")),
        ("./daemons", file("daemons")),
        ("loose", file("loose")),
        // A bare word is looked for in the list before a tree is searched.
        ("daemons", Target::Word("daemons".into())),
    ] {
        assert_eq!(classify(text, &root, false), wanted, "{text:?}");
    }
    let root = tempfile::tempdir().expect("a directory");
    for file in ["web/vite.config.js", "api/settings.edn", "node/package.json", "node/ecosystem.edn", "duck/index.clj"]
    {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, "{}").expect("written");
    }
    let word = |name: &str| Target::Word(name.into());
    for (text, wanted) in [
        ("web", word("web")),
        ("api", word("api")),
        ("./api", Target::ProcessFile(root.path().join("api"))),
        ("node", word("node")),
        ("./node", Target::Program(root.path().join("node"))),
        ("duck", Target::ProcessFile(root.path().join("duck"))),
    ] {
        assert_eq!(classify(text, root.path(), false), wanted, "{text:?}");
    }
}
