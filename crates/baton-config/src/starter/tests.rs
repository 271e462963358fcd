//! What lies in a folder, and what is made of it.

use super::*;
use crate::{LoadOptions, load};
use std::path::PathBuf;

const NOTATIONS: &[Notation] = &[
    Notation::Js,
    Notation::Cjs,
    Notation::Mjs,
    Notation::Ts,
    Notation::Json,
    Notation::Yaml,
    Notation::Toml,
    Notation::Edn,
    Notation::Cljs,
];

/// A folder with these files, and with these programs on PATH.
fn folder(files: &[(&str, &str)], programs: &[&str]) -> (tempfile::TempDir, Environment) {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::Builder::new().prefix("shop").tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let bin = root.path().join(".bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in programs {
        let path = bin.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let environment = [("PATH".to_owned(), bin.to_string_lossy().into_owned())].into();
    (root, environment)
}

fn draft(files: &[(&str, &str)], programs: &[&str]) -> Draft {
    let (root, environment) = folder(files, programs);
    Draft::of(&Folder { path: root.path(), environment: &environment })
}

/// Each app as its keys in JSON, with the directory.
fn apps(draft: &Draft) -> Vec<Value> {
    let each = draft.apps.iter().map(|app| {
        let mut keys = app.keys.clone();
        if !app.directory.is_empty() {
            keys.insert("in".into(), app.directory.clone().into());
        }
        Value::Object(keys)
    });
    each.collect()
}

#[test]
fn a_package_is_run_by_its_script_or_its_main_file() {
    let package = |text: &str, more: &[(&str, &str)]| {
        let files: Vec<(&str, &str)> = [("package.json", text)].into_iter().chain(more.iter().copied()).collect();
        apps(&draft(&files, &["npm", "pnpm"]))
    };
    for (text, more, wanted) in [
        (
            r#"{"name":"@shop/api","scripts":{"start":"node server.js --fast"}}"#,
            &[("server.js", "")][..],
            json!([{"name":"api","script":"server.js","args":["--fast"]}]),
        ),
        (
            r#"{"name":"api","scripts":{"dev":"vite --port 1"}}"#,
            &[],
            json!([{"name":"api","script":"npm","args":["run","dev"]}]),
        ),
        (
            r#"{"name":"api","scripts":{"start":"tsx a.ts"}}"#,
            &[("pnpm-lock.yaml", "")],
            json!([{"name":"api","script":"pnpm","args":["run","start"]}]),
        ),
        (
            r#"{"name":"api","scripts":{"start":"tsx a.ts"}}"#,
            &[("yarn.lock", "")],
            json!([{"name":"api","script":"npm","args":["run","start"]}]),
        ),
        (
            r#"{"name":"api","main":"lib.js"}"#,
            &[("lib.js", ""), (".env", "A=1")],
            json!([{"name":"api","script":"lib.js","env_file":".env"}]),
        ),
        // A file that would start itself, a library, and nothing at all.
        (
            r#"{"name":"api","scripts":{"start":"pm2 start x","dev":"vite"}}"#,
            &[],
            json!([{"name":"api","script":"npm","args":["run","dev"]}]),
        ),
        (r#"{"name":"api","main":"lib.js","exports":"./lib.js"}"#, &[("lib.js", "")], json!([])),
        (r#"{"name":"api","scripts":{"build":"tsc"}}"#, &[], json!([])),
    ] {
        assert_eq!(json!(package(text, more)), wanted, "{text}");
    }
    assert_eq!(apps(&draft(&[("index.js", "")], &[])).len(), 1);
}

#[test]
fn the_packages_of_a_workspace_are_apps_of_their_own() {
    let files = [
        (
            "package.json",
            r#"{"name":"shop","workspaces":["packages/*","!packages/old"],"scripts":{"start":"turbo run start"}}"#,
        ),
        ("packages/api/package.json", r#"{"name":"@shop/api","scripts":{"start":"node a.js"}}"#),
        ("packages/api/a.js", ""),
        ("packages/web/package.json", r#"{"name":"@shop/web","scripts":{"dev":"vite"}}"#),
        ("packages/old/package.json", r#"{"name":"old","scripts":{"start":"node a.js"}}"#),
        ("packages/lib/package.json", r#"{"name":"lib","scripts":{"build":"tsc"}}"#),
    ];
    let draft = draft(&files, &["npm"]);
    assert_eq!(
        json!(apps(&draft)),
        json!([{"name":"api","script":"a.js","in":"packages/api"},
               {"name":"web","script":"npm","args":["run","dev"],"in":"packages/web"}])
    );
    assert!(draft.left_out.iter().any(|line| line.starts_with("package.json: script `start`")), "{:?}", draft.left_out);
    assert!(draft.left_out.iter().any(|line| line.starts_with("packages/lib/package.json")), "{:?}", draft.left_out);
    let pnpm = [
        ("package.json", "{}"),
        ("pnpm-workspace.yaml", "packages:\n  - 'apps/*'\n"),
        ("apps/a/package.json", r#"{"scripts":{"start":"vite"}}"#),
    ];
    assert_eq!(
        json!(apps(&self::draft(&pnpm, &["npm"]))),
        json!([{"name":"a","script":"npm","args":["run","start"],"in":"apps/a"}])
    );
}

#[test]
fn python_is_run_by_the_tool_that_is_here() {
    let uv = ("pyproject.toml", "[project]\nname = \"shop\"\n[project.scripts]\nserve = \"a:b\"\nmigrate = \"a:c\"\n");
    let poetry = ("pyproject.toml", "[tool.poetry]\nname = \"shop\"\n[tool.poetry.scripts]\nrun = \"a:b\"\n");
    let pipfile = ("Pipfile", "[scripts]\nweb = \"flask run\"\n");
    for (files, programs, wanted) in [
        (
            &[uv, ("uv.lock", "")][..],
            &["uv"][..],
            json!([{"name":"serve","script":"uv","args":["run","serve"],"interpreter":"none"}]),
        ),
        (&[poetry], &["poetry"], json!([{"name":"run","script":"poetry","args":["run","run"],"interpreter":"none"}])),
        (&[pipfile], &["pipenv"], json!([{"name":"web","script":"pipenv","args":["run","web"],"interpreter":"none"}])),
        (
            &[poetry, (".venv/bin/python", "")],
            &[],
            json!([{"name":"run","script":".venv/bin/run","interpreter":"none"}]),
        ),
        (&[poetry, ("main.py", "")], &[], json!([{"name":"shop","script":"main.py"}])),
        (
            &[uv, ("uv.lock", ""), (".venv/bin/python", "")],
            &[],
            json!([{"name":"serve","script":".venv/bin/serve","interpreter":"none"}]),
        ),
        (
            &[("Pipfile", ""), ("app.py", "")],
            &["pipenv"],
            json!([{"script":"pipenv","args":["run","python","app.py"],"interpreter":"none"}]),
        ),
        (&[("app.py", "")], &[], json!([{"script":"app.py"}])),
    ] {
        let mut found = apps(&draft(files, programs));
        if wanted[0].get("name").is_none() {
            // The folder's own name, which differs from run to run.
            found.iter_mut().for_each(|app| drop(app.as_object_mut().unwrap().remove("name")));
        }
        assert_eq!(json!(found), wanted, "{files:?}");
    }
}

#[test]
fn a_procfile_is_the_whole_list_and_its_release_comes_first() {
    let text = "# heroku\nweb: node server.js -p $PORT\nworker: node worker.js --all\nrelease: ./migrate\n\nbad line\n";
    let draft = draft(&[("Procfile", text), ("package.json", r#"{"scripts":{"start":"node server.js"}}"#)], &[]);
    assert_eq!(
        json!(apps(&draft)),
        json!([{"name":"web","script":"node server.js -p $PORT","depends_on":{"release":"exited"}},
               {"name":"worker","script":"worker.js","args":["--all"],"depends_on":{"release":"exited"}},
               {"name":"release","script":"./migrate","oneshot":true}])
    );
}

const COMPOSE: &str = "services:
  db:
    image: postgres:16
    ports: [\"127.0.0.1:5433:5432\"]
  cache:
    image: redis
    ports: [\"${REDIS_PORT:-6380}:6379\"]
  search:
    image: elastic
    ports: [{ published: \"9201\", target: 9200 }]
  dns: { image: x, ports: [\"53:53/udp\"] }
  any: { image: x, ports: [\"80\", 90] }
  web: { build: ., ports: [\"1:1\"] }
";

#[test]
fn services_of_a_compose_file_are_waited_for_by_their_published_port() {
    let draft = draft(&[("docker-compose.yml", COMPOSE), ("index.js", "")], &[]);
    let found: Vec<(&str, &Value)> =
        draft.externals.iter().map(|external| (external.name.as_str(), &external.keys["tcp"])).collect();
    assert_eq!(
        found,
        [("db", &json!("127.0.0.1:5433")), ("cache", &json!("127.0.0.1:6380")), ("search", &json!("127.0.0.1:9201"))]
    );
    assert_eq!(draft.externals[0].keys["start"], json!("docker compose up -d db"));
    assert_eq!(draft.apps[0].keys["depends_on"], json!(["db", "cache", "search"]));
    assert_eq!(draft.left_out.len(), 3, "{:?}", draft.left_out);
}

#[test]
fn a_dependency_is_where_the_compose_file_puts_it() {
    let (root, environment) = folder(&[("docker-compose.yml", COMPOSE)], &[]);
    let folder = Folder { path: root.path(), environment: &environment };
    let draft = Draft::of_services(&folder, &[Service::Postgres, Service::Mongodb, Service::Chromadb]);
    let keys: Vec<Value> = draft.externals.iter().map(|external| json!(external.keys)).collect();
    assert_eq!(keys[0]["tcp"], "127.0.0.1:5433");
    assert_eq!(keys[0]["start"], "docker compose up -d db");
    assert_eq!(keys[1]["tcp"], "127.0.0.1:27017");
    assert_eq!(keys[1]["hint"], "docker run -d --name mongodb -p 127.0.0.1:27017:27017 mongo:7");
    assert_eq!(keys[2]["http"], "http://127.0.0.1:8000/api/v2/heartbeat");
}

/// A project that has one of everything, and text that each format must quote.
fn project() -> (tempfile::TempDir, Environment, Draft) {
    let (root, environment) = folder(
        &[
            ("package.json", r#"{"name":"shop","workspaces":["packages/*"]}"#),
            ("packages/api/package.json", r#"{"name":"api","scripts":{"start":"node a.js --say 'it is \\ \"ü\"'"}}"#),
            ("packages/api/a.js", ""),
            ("packages/api/.env", "A=1"),
            ("app.py", ""),
        ],
        &["npm", "python3", "node"],
    );
    let draft = Draft::of(&Folder { path: root.path(), environment: &environment });
    (root, environment, draft)
}

#[test]
fn every_notation_loads_to_the_same_apps_without_a_warning() {
    let (root, environment, draft) = project();
    let mut first: Option<Vec<Value>> = None;
    for notation in NOTATIONS {
        let path: PathBuf = root.path().join(format!("ecosystem.config.{}", notation.extension()));
        std::fs::write(&path, notation.write(&draft)).unwrap();
        let options =
            LoadOptions { caller_env: environment.clone(), caller_cwd: root.path().into(), ..LoadOptions::default() };
        let loaded = load(&path, &options).unwrap_or_else(|wrong| panic!("{wrong}\n{}", notation.write(&draft)));
        assert_eq!(loaded.warnings, [], "{notation:?}");
        let specs: Vec<Value> = loaded.apps.iter().map(|app| app.canonical()).collect();
        assert_eq!(specs.len(), 2, "{notation:?}");
        assert_eq!(specs[0]["args"], json!(["--say", "it is \\ \"ü\""]), "{notation:?}");
        assert_eq!(first.get_or_insert_with(|| specs.clone()), &specs, "{notation:?}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn the_comments_of_every_notation_are_valid_where_they_are_taken_in() {
    let (root, environment, draft) = project();
    for notation in NOTATIONS {
        let path = root.path().join(format!("ecosystem.config.{}", notation.extension()));
        let mark = format!("{} ", notation.comment());
        let is_hint = |line: &str| {
            let text = line.trim_start().strip_prefix(&mark);
            HINT_KEYS.iter().any(|key| text.is_some_and(|text| text.starts_with(notation.key(key).as_str())))
        };
        let options =
            LoadOptions { caller_env: environment.clone(), caller_cwd: root.path().into(), ..LoadOptions::default() };
        let open = |line: &str| if is_hint(line) { line.replacen(&mark, "", 1) } else { line.into() };
        let text: String = notation.write(&draft).lines().map(|line| format!("{}\n", open(line))).collect();
        // In JSON the comma before the first of them is the reader's to add.
        let text =
            text.replace("\".env\"\n", &format!("\".env\"{}\n", if *notation == Notation::Json { "," } else { "" }));
        std::fs::write(&path, text).unwrap();
        let loaded = load(&path, &options).unwrap_or_else(|wrong| panic!("{notation:?}: {wrong}"));
        assert_eq!(loaded.apps[0].max_restarts, Some(10), "{notation:?}");
        assert_eq!(loaded.apps[0].env_profiles["production"]["NODE_ENV"], "production", "{notation:?}");
        std::fs::remove_file(path).unwrap();
    }
}

const HINT_KEYS: &[&str] = &["env", "env_production", "max_restarts", "restart_delay", "kill_timeout"];

#[test]
fn scripts_are_added_and_every_other_byte_stays() {
    let plain = "{\n  \"name\": \"a\",\n  \"scripts\": {\n    \"build\": \"tsc\"\n  },\n  \"x\": [1,  2]\n}\n";
    let edit = scripts::add(plain, "ecosystem.config.js").unwrap();
    assert_eq!(
        edit.text,
        "{\n  \"name\": \"a\",\n  \"scripts\": {\n    \"build\": \"tsc\",\n    \"start\": \"baton start ecosystem.config.js\",\n    \
         \"stop\": \"baton stop ecosystem.config.js\",\n    \"status\": \"baton status\",\n    \"logs\": \"baton logs\"\n  },\n  \"x\": [1,  2]\n}\n"
    );
    assert_eq!(edit.added, ["start", "stop", "status", "logs"]);
    let again = scripts::add(&edit.text, "ecosystem.config.js").unwrap();
    assert_eq!((again.text.as_str(), again.added.len()), (edit.text.as_str(), 0));
}

#[test]
fn no_script_that_is_there_is_touched() {
    let taken = "{\n\t\"scripts\": {\n\t\t\"start\": \"node \\\"a\\\".js }\"\n\t}\n}";
    let edit = scripts::add(taken, "e.js").unwrap();
    assert_eq!(edit.names, ["baton:start", "baton:stop", "baton:status", "baton:logs"]);
    assert!(
        edit.text.starts_with("{\n\t\"scripts\": {\n\t\t\"start\": \"node \\\"a\\\".js }\",\n\t\t\"baton:start\""),
        "{}",
        edit.text
    );
    assert!(edit.text.ends_with("\"baton logs\"\n\t}\n}"), "{}", edit.text);
    for wrong in ["[]", "{", "{\"scripts\": []}"] {
        scripts::add(wrong, "e.js").unwrap_err();
    }
}

#[test]
fn every_layout_stays_what_it_was() {
    for text in [
        "{}",
        "{}\n",
        "{\"a\":1}",
        "{ \"a\": 1 }\n",
        "{\r\n    \"a\": {},\r\n    \"scripts\": {}\r\n}\r\n",
        "{\n  \"a\": 1\n}",
        "\u{feff}{\n  \"scripts\": { \"test\": \"x\" }\n}\n",
        "{\n  \"deep\": { \"scripts\": { \"start\": \"no\" } }\n}\n",
    ] {
        let edit = scripts::add(text, "e.js").unwrap();
        let read = |text: &str| serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')).unwrap();
        let (mut before, mut after) = (read(text), read(&edit.text));
        let mut scripts = after["scripts"].take();
        assert_eq!(scripts["start"], "baton start e.js", "{}", edit.text);
        for name in ["start", "stop", "status", "logs"] {
            scripts.as_object_mut().unwrap().remove(name);
        }
        let own = before.as_object_mut().unwrap().shift_remove("scripts").unwrap_or(json!({}));
        after.as_object_mut().unwrap().shift_remove("scripts");
        assert_eq!((scripts, after), (own, before), "{}", edit.text);
        assert_eq!(edit.text.ends_with('\n'), text.ends_with('\n'));
        assert_eq!(
            edit.text.matches('\n').count() == edit.text.matches("\r\n").count(),
            text.contains("\r\n") || !edit.text.contains('\n')
        );
        // The old text is the new one without what was added: nothing in between was touched.
        let mut rest = edit.text.as_str();
        for piece in text.trim_end_matches(['}', '\n', '\r', ' ']).split_inclusive(['\n', ',']) {
            let at = rest.find(piece.trim()).unwrap_or_else(|| panic!("{piece:?} is gone from {}", edit.text));
            rest = &rest[at..];
        }
    }
}

#[test]
fn pm2s_templates_have_its_apps_and_keys() {
    let (root, environment) = folder(&[("index.js", ""), ("service-worker/index.js", ""), ("app.js", "")], &["node"]);
    let options = LoadOptions { caller_env: environment, caller_cwd: root.path().into(), ..LoadOptions::default() };
    let path = root.path().join(template::NAME);
    std::fs::write(&path, template::FULL).unwrap();
    let raw = crate::evaluate(std::slice::from_ref(&path), &options).unwrap().value;
    assert_eq!(
        raw["apps"],
        json!([{"script": "index.js", "watch": "."}, {"script": "./service-worker/", "watch": ["./service-worker"]}])
    );
    let keys: Vec<&String> = raw["deploy"]["production"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["user", "host", "ref", "repo", "path", "pre-deploy-local", "post-deploy", "pre-setup"]);
    std::fs::write(&path, template::SIMPLE).unwrap();
    let raw = crate::evaluate(std::slice::from_ref(&path), &options).unwrap().value;
    assert_eq!(raw, json!({"apps": [{"name": "app1", "script": "./app.js"}]}));
}
