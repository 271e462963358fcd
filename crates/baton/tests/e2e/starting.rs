//! The way in: a first process file from what lies in a folder, and process files that are there made short.

use crate::beside_pm2::pair::{Pair, documented};
use crate::harness::Baton;
use crate::programs::node;
use baton_core::world::Status;
use std::path::Path;

const SERVER: &str = "console.log('up'); setInterval(() => {}, 1e6);\n";
const FORMATS: &[&str] = &["js", "cjs", "mjs", "ts", "json", "yaml", "toml", "edn", "cljs"];

/// A workspace of two packages whose files are there.
fn workspace(baton: &Baton) {
    baton.file("package.json", r#"{"name":"shop","workspaces":["packages/*"]}"#);
    for name in ["api", "web"] {
        baton.file(
            &format!("packages/{name}/package.json"),
            format!(r#"{{"name":"@shop/{name}","scripts":{{"start":"node s.js"}}}}"#),
        );
        baton.file(&format!("packages/{name}/s.js"), SERVER);
    }
}

fn warnings(run: &crate::harness::Run) -> Vec<&str> {
    run.stderr.lines().filter(|line| line.contains("WARN")).collect()
}

#[test]
fn what_init_writes_is_checked_without_a_warning_and_starts() {
    if !node() {
        return;
    }
    for format in FORMATS {
        let baton = Baton::new();
        workspace(&baton);
        let run = baton.run(["init", "--format", format]).ok();
        run.says("found     packages/api/package.json: script `start`").says("2 apps: api, web");
        let check = baton.run(["check"]).ok();
        assert_eq!(warnings(&check), [""; 0], "{format}");
        baton.run(["start"]).ok();
        for name in ["api", "web"] {
            baton.wait_status(name, Status::Online);
            baton.wait_log(&format!("{name}-out.log"), "up");
        }
    }
}

#[test]
fn init_overwrites_nothing_and_leaves_no_trace_of_a_failure() {
    let baton = Baton::new();
    baton.run(["init"]).code(1).stderr_has("nothing to start was found here");
    let listed = |directory: &Path| std::fs::read_dir(directory).unwrap().count();
    assert_eq!(listed(baton.dir()), 0);
    baton.file("run.sh", "exec sleep 1000\n");
    baton.file("Procfile", "web: sh run.sh\n");
    let own = baton.file("ecosystem.config.yaml", "apps: []\n");
    baton.run(["init"]).code(1).stderr_has("ecosystem.config.yaml is here already");
    baton.run(["init", "--format", "yaml"]).code(1).stderr_has("is left as it is");
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "apps: []\n");
    assert_eq!(listed(baton.dir()), 3);
    baton.run(["init", "--format", "yaml", "--force"]).ok().stdout_has("ecosystem.config.yaml.bak");
    assert_eq!(std::fs::read_to_string(baton.dir().join("ecosystem.config.yaml.bak")).unwrap(), "apps: []\n");
    baton.run(["start"]).ok();
    baton.wait_status("web", Status::Online);
}

#[test]
fn init_scripts_adds_to_package_json_and_touches_nothing_in_it() {
    let baton = Baton::new();
    let text = "{\n\t\"name\": \"shop\",\n\t\"scripts\": {\n\t\t\"start\": \"sh run.sh\"\n\t},\n\t\"main\":   \"x\"\n}";
    let package = baton.file("package.json", text);
    baton.file("run.sh", "exec sleep 1000\n");
    baton
        .run(["init", "--scripts"])
        .ok()
        .stdout_has("scripts added: baton:start, baton:stop, baton:status, baton:logs");
    let after = std::fs::read_to_string(&package).unwrap();
    assert!(after.starts_with(text.split("\n\t},").next().unwrap()), "{after}");
    assert!(after.ends_with("\n\t},\n\t\"main\":   \"x\"\n}"), "{after}");
    baton.run(["init", "--scripts"]).ok().stdout_has("has its scripts already");
    assert_eq!(std::fs::read_to_string(&package).unwrap(), after);
}

#[test]
fn pm2_init_writes_the_same_file_with_the_same_words() {
    let Some(pair) = Pair::new() else { return };
    documented("`init`");
    pair.same(&["ping"]);
    for args in [&["init", "simple"][..], &["init"], &["ecosystem"], &["ecosystem", "simple"], &["init", "other"]] {
        pair.same(args);
        let read = |directory: &Path| {
            let run =
                Baton::new().run(["render", "--raw", directory.join("ecosystem.config.js").to_str().unwrap()]).ok();
            serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()
        };
        assert_eq!(read(pair.baton.dir()), read(pair.pm2.work()), "{args:?}");
    }
    documented("`init` where there is an `ecosystem.config.js`");
    pair.file("ecosystem.config.js", "module.exports = { apps: [] }\n");
    let (theirs, ours) = pair.each(&["init"]);
    assert_eq!((theirs.code, ours.code), (Some(0), Some(1)));
    assert_eq!(
        std::fs::read_to_string(pair.baton.dir().join("ecosystem.config.js")).unwrap(),
        "module.exports = { apps: [] }\n"
    );
}

#[test]
fn migrate_writes_only_when_told_and_the_apps_stay_the_same() {
    let baton = Baton::new();
    let base =
        "module.exports = { apps: [{ name: 'api', script: 'run.sh', cwd: __dirname, env: { LEVEL: 'debug' } }] };\n";
    let production =
        "module.exports = { apps: [{ name: 'api', script: 'run.sh', cwd: __dirname, env: { LEVEL: 'info' } }] };\n";
    let main = baton.file("ecosystem.config.js", base);
    let other = baton.file("ecosystem.production.config.js", production);
    baton.file("run.sh", "echo level $LEVEL; exec sleep 1000\n");
    let resolved = |args: &[&str]| {
        let run = baton.run(["render"].iter().chain(args)).ok();
        run.stdout
    };
    let before = resolved(&["ecosystem.production.config.js"]);
    baton
        .run(["migrate", "."])
        .ok()
        .stdout_has("becomes the profile `production`")
        .stdout_has("proof: ")
        .stdout_has("nothing was written");
    assert_eq!(
        (std::fs::read_to_string(&main).unwrap(), std::fs::read_to_string(&other).unwrap()),
        (base.into(), production.into())
    );
    baton
        .run(["migrate", ".", "--write"])
        .ok()
        .stdout_has("ecosystem.production.config.js kept as ecosystem.production.config.js.bak");
    assert!(!other.exists());
    assert_eq!(resolved(&["ecosystem.config.js", "--profile", "production"]), before);
    let kept = |name: &str| std::fs::read_to_string(baton.dir().join(name)).unwrap();
    assert_eq!(
        (kept("ecosystem.config.js.bak"), kept("ecosystem.production.config.js.bak")),
        (base.into(), production.into())
    );
    baton.run(["migrate", ".", "--write"]).ok().stdout_has("nothing to do");
    baton.run(["start", "--profile", "production"]).ok();
    baton.wait_log("api-out.log", "level info");
    baton.run(["migrate", "nowhere"]).code(1).stderr_has("not found");
}

#[test]
fn the_examples_can_be_planned() {
    let baton = Baton::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").canonicalize().unwrap();
    let run = baton.run(["migrate", examples.to_str().unwrap()]).ok();
    run.stdout_has("becomes the profile `production` of")
        .stdout_has("pm2Helpers.js is replaced by the built-in helpers");
}
