//! The checks before a start: what passes, what is doubtful, what fails.

use baton_config::check::{self, Finding, Options, Verdict};
use baton_config::{LoadOptions, load};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// A directory with a program that runs.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Project {
        let project = Project(tempfile::tempdir().expect("a directory"));
        project.program("run.sh");
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().expect("a directory").join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    fn program(&self, name: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file(name, "#!/bin/sh\n");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }

    fn check(&self, document: &Value, strict: bool, running: &[String]) -> Vec<Finding> {
        let file = self.file("apps.json", &document.to_string());
        let caller_env =
            [("PATH", "/usr/bin:/bin"), ("SHELL_TOKEN", "x"), ("EMPTY", "")].map(|(k, v)| (k.into(), v.into()));
        let options =
            LoadOptions { caller_env: caller_env.into(), caller_cwd: self.path(""), ..LoadOptions::default() };
        let loaded = load(&file, &options).unwrap_or_else(|wrong| panic!("{wrong}"));
        let on_missing = loaded.on_missing.as_deref();
        check::apps(
            &loaded.apps,
            &Options { strict, logs: self.path("home/logs"), on_missing, running, ..Options::default() },
        )
    }

    /// The findings of one app that did not pass, with the project's directory shown as `@`.
    fn trouble(&self, app: Value) -> Vec<(Verdict, String)> {
        let findings = self.check(&json!([app]), false, &[]);
        assert!(!findings.is_empty());
        let here = self.path("");
        let here = here.to_string_lossy();
        let bad = findings.into_iter().filter(|finding| finding.verdict != Verdict::Passed);
        bad.map(|finding| (finding.verdict, finding.text.replace(&*here, "@/").replace("@//", "@/"))).collect()
    }
}

fn failed(text: &str) -> Vec<(Verdict, String)> {
    vec![(Verdict::Failed, text.to_owned())]
}

#[test]
fn an_app_that_has_everything_passes_every_check() {
    let project = Project::new();
    project.file("a.env", "TOKEN=1\n");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let app = json!({"name": "a", "script": "./run.sh", "interpreter": "sh", "env_file": "a.env", "required_env": ["TOKEN", "SHELL_TOKEN"],
                     "env": {"PORT": port}, "out_file": "logs/a.log"});
    let findings = project.check(&json!([app]), true, &[]);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Passed), "{findings:?}");
    let texts: Vec<&str> = findings.iter().map(|finding| finding.text.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(texts, ["script", "interpreter", "cwd", "variable", "variable", "env_file", "log", "log", "port"]);
}

#[test]
fn each_thing_that_is_missing_is_named() {
    let project = Project::new();
    project.file("plain", "text");
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "dist/server.js", "interpreter": "sh"})),
        failed("script @/dist/server.js is missing")
    );
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "no-such-7"})),
        failed("program no-such-7 is not on PATH")
    );
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "./plain", "interpreter": "none"})),
        failed("script @/plain is not executable, and has no interpreter")
    );
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "./run.sh", "interpreter": "no-such-7"})),
        failed("interpreter no-such-7 is not found")
    );
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "/bin/sh", "cwd": "nowhere"})),
        failed("cwd @/nowhere is no directory")
    );
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "./run.sh", "env_file": ".tokens"})),
        failed("env_file @/.tokens is missing")
    );
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "./run.sh", "required_env": "EMPTY"})),
        failed("variable EMPTY is required and not set")
    );
    assert_eq!(
        project.trouble(
            json!({"name": "a", "script": "./run.sh", "filter_env": ["SHELL"], "required_env": "SHELL_TOKEN"})
        ),
        failed("variable SHELL_TOKEN is required and not set")
    );
    assert_eq!(
        project.trouble(json!({"name": "a", "script": "./run.sh", "error_file": "plain/a.log"})),
        failed("log directory @/plain: @/plain is no directory")
    );
}

#[test]
fn a_taken_port_fails_unless_the_app_itself_has_it() {
    let project = Project::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    for key in [
        json!({"env": {"PORT": port}}),
        json!({"port": port}),
        json!({"listen": [format!("127.0.0.1:{port}")], "listen_pid": false, "ready": "fd"}),
    ] {
        let mut app = json!({"name": "a", "script": "./run.sh"});
        app.as_object_mut().expect("a map").extend(key.as_object().cloned().expect("a map"));
        let found = project.trouble(app.clone());
        assert!(
            matches!(&found[..], [(Verdict::Failed, text)] if text.starts_with(&format!("port {port} is in use by "))),
            "{found:?}"
        );
        let running = project.check(&json!([app]), true, &["a".to_owned()]);
        assert!(running.iter().all(|finding| finding.verdict == Verdict::Passed), "{running:?}");
    }
}

#[test]
fn a_script_between_the_sockets_and_the_program_is_doubtful_and_so_is_a_reload_without_ready() {
    let project = Project::new();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let app = json!({"name": "a", "script": "./run.sh", "listen": port});
    let found = project.trouble(app);
    assert!(found.iter().all(|(verdict, _)| *verdict == Verdict::Doubtful), "{found:?}");
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        matches!(texts[..], [wrapper, ready] if wrapper.contains("pid of run.sh") && ready.contains("without `ready`"))
    );
}

#[test]
fn two_apps_on_one_port_are_doubtful() {
    let project = Project::new();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let app = |name: &str| json!({"name": name, "script": "./run.sh", "port": free});
    let texts = |strict| -> Vec<String> {
        let findings = project.check(&json!([app("a"), app("b")]), strict, &[]);
        let wanted = if strict { Verdict::Failed } else { Verdict::Doubtful };
        findings.into_iter().filter(|finding| finding.verdict == wanted).map(|finding| finding.text).collect()
    };
    let wanted = [format!("port {free} is also that of app b"), format!("port {free} is also that of app a")];
    assert_eq!(texts(false), wanted);
    assert_eq!(texts(true), wanted);
}

#[test]
fn a_missing_script_tells_how_to_make_it() {
    let project = Project::new();
    let document = json!({"on_missing": "pnpm build", "apps": [
        {"name": "a", "script": "dist/a.sh", "cwd": "."},
        {"name": "b", "script": "dist/b.sh", "on_missing": "make b"},
        {"name": "c", "script": "./run.sh"},
        {"name": "d", "script": "no-such-7"},
    ]});
    let findings = project.check(&document, false, &[]);
    let remedies: Vec<_> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed)
        .map(|finding| (finding.app.as_str(), finding.remedy.as_deref(), finding.missing_script))
        .collect();
    assert_eq!(remedies, [("a", Some("pnpm build"), true), ("b", Some("make b"), true), ("d", None, false)]);
}

#[test]
fn a_script_older_than_its_sources_is_doubtful() {
    let project = Project::new();
    let at = |name: &str, seconds| {
        let file = std::fs::File::options().write(true).open(project.file(name, "x")).expect("opened");
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).expect("set");
    };
    at("dist/a.sh", 100);
    at("src/deep/a.ts", 50);
    let app = |inputs: Value| json!({"name": "a", "script": "dist/a.sh", "artifacts": {"inputs": inputs}, "on_missing": "make"});
    assert_eq!(project.trouble(app(json!(["src/**/*.ts"]))), []);
    at("src/b.ts", 150);
    assert_eq!(
        project.trouble(app(json!("src/**/*.ts"))),
        [(Verdict::Doubtful, "@/src/b.ts is newer than @/dist/a.sh".to_owned())]
    );
    let findings = project.check(&json!([app(json!("src/*.ts"))]), true, &[]);
    let failed: Vec<_> = findings.iter().filter(|finding| finding.verdict == Verdict::Failed).collect();
    assert!(matches!(&failed[..], [finding] if finding.remedy.as_deref() == Some("make")), "{findings:?}");
    let (verdict, text) = project.trouble(app(json!(["lib/*.ts"]))).remove(0);
    assert_eq!(verdict, Verdict::Doubtful);
    assert!(text.starts_with("artifacts: lib/*.ts matches no file in "), "{text}");
    let nothing = json!({"name": "a", "script": "dist/a.sh", "artifacts": {}});
    assert_eq!(project.trouble(nothing), failed_inputs());
}

fn failed_inputs() -> Vec<(Verdict, String)> {
    failed("`artifacts` has no `inputs`, a list of patterns such as [\"src/**/*.ts\"]")
}

#[test]
fn required_variables_refuse_a_start() {
    let project = Project::new();
    let file = project.file(
        "apps.json",
        r#"[{"name": "a", "script": "./run.sh", "required_env": ["TOKEN", "KEY"], "env": {"KEY": 1}}]"#,
    );
    let options = LoadOptions { caller_cwd: project.path(""), ..LoadOptions::default() };
    let loaded = load(Path::new(&file), &options).expect("apps");
    let wrong = check::refuse_missing_variables(&loaded.apps).expect_err("TOKEN is missing");
    assert_eq!(wrong.to_string(), format!("process file {}: app `a`: required_env: TOKEN not set", file.display()));
    assert_eq!(wrong.help().as_deref(), Some("set them in the shell, in env_file or in env"));
}
