//! `deploy`, with a real repository of git, and an `ssh` that runs here what it is to run elsewhere.

use crate::harness::Baton;
use baton_core::world::Status;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Notes how it was called, and runs the command line as a login shell would, in another folder.
const SSH: &str = r#"#!/bin/sh
echo "$*" | head -n 1 >> "$SSH_CALLS"
while :; do
  case "$1" in
    -o|-i|-p) shift 2 ;;
    -A|-t) shift ;;
    *) break ;;
  esac
done
[ "$1" = me@down ] && { echo "no route to host" >&2; exit 255; }
shift
cd / && exec sh -c "$*"
"#;

/// A user's work, the repository that it is pushed to, and the hosts.
struct Site {
    baton: Baton,
    calls: PathBuf,
    on_host: PathBuf,
}

impl Site {
    fn new() -> Option<Site> {
        if !has_git() {
            return None;
        }
        let baton = Baton::new();
        let tools = baton.home().join("tools");
        std::fs::create_dir(&tools).expect("a folder");
        std::fs::write(tools.join("ssh"), SSH).expect("ssh");
        std::fs::set_permissions(tools.join("ssh"), std::fs::Permissions::from_mode(0o755)).expect("ssh");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_baton"), tools.join("baton")).expect("link");
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("PATH"));
        let calls = baton.home().join("calls");
        let baton = baton
            .env("PATH", path)
            .env("SSH_CALLS", calls.to_str().expect("UTF-8"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "user.name")
            .env("GIT_CONFIG_VALUE_0", "me")
            .env("GIT_CONFIG_KEY_1", "user.email")
            .env("GIT_CONFIG_VALUE_1", "me@example.org");
        let on_host = baton.home().join("the host");
        let site = Site { baton, calls, on_host };
        site.git(&["init", "-q", "--bare", "-b", "main", site.repo().to_str().expect("UTF-8")]);
        site.git(&["init", "-q", "-b", "main"]);
        site.git(&["remote", "add", "origin", site.repo().to_str().expect("UTF-8")]);
        Some(site)
    }

    fn repo(&self) -> PathBuf {
        self.baton.home().join("repo.git")
    }

    #[expect(clippy::disallowed_methods, reason = "the user's work is done with git")]
    fn git(&self, words: &[&str]) -> String {
        let variables = self.baton.command(["help"]);
        let mut git = std::process::Command::new("git");
        git.args(words).current_dir(self.baton.dir());
        git.envs(variables.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = git.output().expect("git");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits everything and pushes it.
    fn release(&self, version: &str) -> String {
        self.baton.file("version", version);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", version]);
        self.git(&["push", "-qu", "origin", "main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn section(&self, more: &Value) -> Value {
        let mut section = json!({
            "user": "me", "host": "web-1", "ref": "origin/main", "repo": self.repo(), "path": self.on_host,
        });
        section.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        section
    }

    /// Writes the process file.
    fn file(&self, more: &Value) {
        let app = json!({"name": "web", "script": "cat version; exec sleep 1000"});
        let file = json!({"apps": [app], "deploy": {"production": self.section(more)}});
        self.baton.file("ecosystem.config.json", file.to_string());
    }

    fn deployed(&self) -> String {
        std::fs::read_to_string(self.on_host.join("current/version")).expect("a version")
    }

    fn called(&self) -> String {
        std::fs::read_to_string(&self.calls).unwrap_or_default()
    }
}

#[expect(clippy::disallowed_methods, reason = "asks whether git is there")]
fn has_git() -> bool {
    let there = std::process::Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(there || std::env::var_os("CI").is_none(), "git is missing");
    if !there {
        eprintln!("skipped: git is missing");
    }
    there
}

#[test]
fn a_repository_is_set_up_updated_reverted_and_looked_at() {
    let Some(site) = Site::new() else { return };
    let said = site.baton.home().join("said");
    let say = |what: &str| format!("echo \"{what} $(basename \"$PWD\") $SHARED $STAGE\" >> '{}'", said.display());
    site.file(&json!({
        "port": 2222, "key": "/keys/id", "forward-agent": "yes", "ssh_options": ["StrictHostKeyChecking=no"],
        "pre-setup": format!("echo pre-setup >> '{}'", said.display()), "post-setup": say("post-setup"),
        "pre-deploy-local": format!("echo local $(basename \"$PWD\") >> '{}'", said.display()),
        "pre-deploy": say("pre-deploy"), "post-deploy": say("post-deploy") + "; test \"$STAGE\" = \"it's live\"",
        "env": {"stage": "it's live"},
    }));
    let first = site.release("one");
    let deploy = |words: &[&str]| site.baton.run(["deploy", "ecosystem.config.json", "production"].iter().chain(words));
    deploy(&[]).code(1).stderr_has("web-1: the hook pre-deploy failed");
    deploy(&["setup"]).ok().stdout_has("--> on host web-1").stdout_has("--> Success");
    assert_eq!(site.deployed(), "one");
    for folder in ["source", "shared/logs", "shared/pids"] {
        assert!(site.on_host.join(folder).is_dir(), "{folder}");
    }
    assert!(
        site.called().starts_with("-o StrictHostKeyChecking=no -A -p 2222 -i /keys/id me@web-1 "),
        "{}",
        site.called()
    );
    deploy(&["setup"]).code(1).stderr_has("setup was run before");
    deploy(&[]).ok().stdout_has("successfully deployed origin/main");

    let second = site.release("two");
    deploy(&["update"]).ok();
    assert_eq!(site.deployed(), "two");
    deploy(&["current"]).ok().stdout_has(&second[..7]);
    deploy(&["previous"]).ok().stdout_has(&first);
    deploy(&["list"]).ok().stdout_has(&format!("0\t{second}\n1\t{first}\n"));
    deploy(&["revert", "1"]).ok();
    assert_eq!(site.deployed(), "one");
    deploy(&["revert", "9"]).code(1).stderr_has("fewer deploys");
    deploy(&["ref", "main"]).ok();
    assert_eq!(site.deployed(), "two", "a branch is what the repository has, not what was cloned");
    deploy(&["ref", "nowhere"]).code(1).stderr_has("there is no such commit");
    deploy(&["exec", "cat version; pwd"]).ok().stdout_has("two").stdout_has("current");
    deploy(&["exec", "exit", "3"]).code(1).stderr_has("Deploy failed");

    let host = site.on_host.display().to_string();
    let said = std::fs::read_to_string(&said).expect("hooks");
    for line in [
        "pre-setup\n".to_owned(),
        format!("post-setup current {host}/shared \n"),
        format!("local {}\n", site.baton.dir().file_name().expect("a name").display()),
        format!("pre-deploy current {host}/shared \n"),
        format!("post-deploy current {host}/shared it's live\n"),
    ] {
        assert!(said.contains(&line), "{line:?} in {said}");
    }
}

#[test]
fn without_a_hook_of_its_own_a_deploy_starts_the_apps_of_its_file() {
    let Some(site) = Site::new() else { return };
    site.file(&json!({"env": {}}));
    site.release("one");
    // Without the file's name it is that of the folder.
    site.baton.run(["deploy", "production", "setup"]).ok();
    site.baton.run(["deploy", "production"]).ok();
    site.baton.wait_status("web", Status::Online);
    site.baton.wait_log("web-out.log", "one");
    let cwd = site.baton.entry("web")["pm2_env"]["pm_cwd"].as_str().expect("a path").to_owned();
    assert!(cwd.starts_with(site.on_host.to_str().expect("UTF-8")), "{cwd}");
    site.release("two");
    site.baton.run(["deploy", "production", "update"]).ok();
    site.baton.wait_log("web-out.log", "two");
    site.baton.run(["kill"]).ok();
}

#[test]
fn what_can_not_be_deployed_is_told_before_anything_is_done() {
    let Some(site) = Site::new() else { return };
    site.file(&json!({"post-deploy": "true", "hots": "x"}));
    site.release("one");
    let run = |words: &[&str]| site.baton.run(["deploy"].iter().chain(words));
    run(&["staging"])
        .code(1)
        .stderr_has("staging environment is not defined in ecosystem.config.json file")
        .stderr_has("there are production");
    run(&["production", "udpate"]).code(1).stderr_has("did you mean `update`");
    run(&["production", "setup"]).ok().stderr_has("unknown key `hots`");
    let before = site.called();
    site.baton.file("version", "uncommitted");
    run(&["production"]).code(1).stderr_has("commit or stash your changes");
    site.git(&["add", "-A"]);
    run(&["production"]).code(1).stderr_has("commit your staged changes");
    site.git(&["commit", "-qm", "two"]);
    run(&["production"]).code(1).stderr_has("push your changes");
    assert_eq!(site.called(), before, "no host was asked");
    run(&["production", "--force"]).ok();
    site.git(&["push", "-q"]);
    // A list of hosts: the first that fails ends it.
    site.file(&json!({"host": ["web-1", "down", "web-2"], "post-deploy": "true"}));
    site.release("three");
    let run = run(&["production"]).code(1).stderr_has("no route to host").stderr_has("down: ");
    assert!(run.stdout.contains("--> on host web-1") && !run.stdout.contains("web-2"), "{run}");
    site.file(&json!({"path": "relative"}));
    site.baton
        .run(["deploy", "production", "--force"])
        .code(1)
        .stderr_has("deploy.production of ecosystem.config.json: `path: relative`");
    let nothing = Baton::new();
    nothing.run(["deploy", "production"]).code(1).stderr_has("Not any default deployment file exists");
    site.baton.run(["deploy"]).ok().stdout_has("setup (once)");
}
