//! How people describe their work with such a tool, command by command: a runbook of built services, a workspace in
//! development and production, and a source that the list follows. The master file, its agent and services that run
//! alone are in `units`, `company` and `projects`.

use crate::harness::{Baton, Watch, alive, kill, port_in};
use crate::programs::node;
use crate::projects::project;
use crate::sync::{app, pids, touched};
use baton_core::world::{Cause, InstanceView};
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output};

/// A script of the project's package.json. The scripts call `baton`, which is found as the harness links it.
#[expect(clippy::disallowed_methods, reason = "npm is started as a user would")]
fn npm(baton: &Baton, script: &str) -> Command {
    let from = baton.command(["--version"]);
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", script]).current_dir(baton.dir());
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => npm.env(name, value),
            None => npm.env_remove(name),
        };
    }
    let path = std::env::var("PATH").expect("PATH");
    npm.env("PATH", format!("{}:{path}", baton.home().display()));
    npm
}

fn run(baton: &Baton, script: &str) -> Output {
    npm(baton, script).output().expect("npm runs")
}

#[track_caller]
fn succeeds(baton: &Baton, script: &str) -> String {
    let output = run(baton, script);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {said}");
    said
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{from} in {}", path.display());
    std::fs::write(path, text.replace(from, to)).expect("written");
}

fn statuses(baton: &Baton) -> Vec<String> {
    let status = |entry: &Value| entry["pm2_env"]["status"].as_str().expect("a status").to_owned();
    baton.jlist().iter().map(status).collect()
}

#[test]
fn a_runbook_of_built_services() {
    if !node() {
        return;
    }
    let baton = Baton::new().env("ORCHESTRATOR_PORT", "0");
    let root = project(&baton, "runbook");
    let file = root.join("pm2/ecosystem.dev.config.cjs");
    edit(&file, "restart_delay: 4000", "restart_delay: 50");
    let server = root.join("packages/orchestrator/dist/server.js");

    // The preflight check finds what was not built, and nothing is started.
    let built = std::fs::read_to_string(&server).expect("built");
    std::fs::remove_file(&server).expect("removed");
    let failed = run(&baton, "pm2:start");
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stderr).contains("Missing build artifacts"));
    assert_eq!(baton.jlist().len(), 0);
    let checked = baton.run(["start", "pm2/ecosystem.dev.config.cjs", "--check"]).code(1);
    checked.says("Missing build artifacts");
    assert_eq!(baton.jlist().len(), 0);
    std::fs::write(&server, &built).expect("written");

    // Daily work.
    succeeds(&baton, "pm2:start");
    let status = succeeds(&baton, "pm2:status");
    assert_eq!(status.matches("online").count(), 6, "{status}");
    let out = root.join("scripts/logs/orchestrator-out.log");
    baton.wait_file(&out, "orchestrator listens on");
    baton.wait_file(&root.join("scripts/logs/scaffold-agent-error.log"), "writes warnings");
    baton.run(["logs", "orchestrator", "--lines", "100", "--nostream"]).ok().stdout_has("orchestrator listens on");
    let errors = baton.run(["logs", "agent-scaffold", "--err", "--nostream"]).ok().stdout_has("writes warnings");
    assert!(!errors.stdout.contains("orchestrator listens"), "{errors}");
    let json = baton.run(["logs", "orchestrator", "--json", "--nostream"]).ok();
    let records: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(records.iter().any(|record| record["message"].as_str().is_some_and(|it| it.contains("listens on"))));

    // Single processes.
    let before = pids(&baton);
    baton.run(["restart", "orchestrator"]).ok();
    baton.run(["restart", "agent-scaffold"]).ok();
    assert_eq!(touched(&before, &pids(&baton)), ["agent-scaffold", "orchestrator"]);
    baton.run(["stop", "agent-validation"]).ok();
    baton.run(["delete", "agent-e2e"]).ok();
    let described = baton.run(["describe", "orchestrator"]).ok().stdout_has("packages/orchestrator/dist/server.js");
    assert!(described.stdout.contains("restarts") && described.stdout.contains("scripts/logs/orchestrator-out.log"));
    assert_eq!(statuses(&baton).iter().filter(|status| *status == "online").count(), 4);

    // After a change of the code: stop keeps the list, start runs what was built meanwhile.
    succeeds(&baton, "pm2:stop");
    assert!(statuses(&baton).iter().all(|status| status == "stopped"));
    std::fs::write(&server, built.replace("orchestrator listens on", "the new orchestrator listens on"))
        .expect("built");
    succeeds(&baton, "pm2:start");
    baton.wait_file(&out, "the new orchestrator listens on");
    assert_eq!(statuses(&baton).iter().filter(|status| *status == "online").count(), 6, "the deleted one is back");
    let before = pids(&baton);
    succeeds(&baton, "pm2:restart");
    assert_eq!(touched(&before, &pids(&baton)).len(), 6);
    let before = pids(&baton);
    baton.run(["reload", "all"]).ok();
    assert_eq!(touched(&before, &pids(&baton)).len(), 6);

    // A process that crashes is back by itself, with its reason; the counter goes back to 0.
    let first = baton.pid("orchestrator");
    kill(first);
    baton.wait_for("the orchestrator to be back", |list| {
        list.iter().any(|view| view.name == "orchestrator" && view.pid.is_some_and(|pid| pid != first))
    });
    baton.run(["why", "orchestrator"]).ok().stdout_has("SIGKILL");
    baton.run(["reset", "orchestrator"]).ok();
    assert_eq!(baton.entry("orchestrator")["pm2_env"]["restart_time"], 0);

    // The memory limit: lowered, it restarts the process and is told as the cause.
    edit(&file, "max_memory_restart: '512M'", "max_memory_restart: '5M'");
    baton.run(["restart", "pm2/ecosystem.dev.config.cjs", "--only", "agent-deployment"]).ok();
    baton.wait_for("the limit to be exceeded", |list| {
        let cause =
            |view: &InstanceView| view.last.as_ref().is_some_and(|last| matches!(last.cause, Cause::Memory { .. }));
        list.iter().any(|view| view.name == "agent-deployment" && cause(view))
    });
    baton.run(["why", "agent-deployment"]).ok().stdout_has("memory");
    baton.run(["stop", "agent-deployment"]).ok();
    edit(&file, "max_memory_restart: '5M'", "max_memory_restart: '512M'");

    // Watch mode, written into the file: a change of a built file is a new process, one of a log is none.
    let watched = "max_memory_restart: '1G',\n      watch: ['packages/orchestrator/dist'],\n      ignore_watch: ['logs', '.git'],\n      watch_options: { followSymlinks: false, usePolling: false },";
    edit(&file, "max_memory_restart: '1G',", watched);
    baton.run(["restart", "pm2/ecosystem.dev.config.cjs", "--only", "orchestrator"]).ok();
    let first = baton.pid("orchestrator");
    std::fs::write(&server, &built).expect("built");
    baton.wait_for("a new process after the change", |list| {
        list.iter().any(|view| view.name == "orchestrator" && view.pid.is_some_and(|pid| pid != first))
    });
    baton.run(["why", "orchestrator"]).ok().stdout_has("server.js");

    // Several instances, by the command and by the file.
    baton.run(["scale", "agent-scaffold", "3"]).ok();
    let count = |name: &str| baton.jlist().iter().filter(|entry| entry["name"] == name).count();
    assert_eq!(count("agent-scaffold"), 3);
    baton.run(["delete", "agent-scaffold"]).ok();
    edit(&file, "  ...base,\n  name: `agent-", "  ...base,\n  instances: 3,\n  exec_mode: 'cluster',\n  name: `agent-");
    baton.run(["start", "pm2/ecosystem.dev.config.cjs", "--only", "agent-scaffold"]).ok();
    assert_eq!(count("agent-scaffold"), 3);
    assert_eq!(baton.entry("agent-scaffold")["pm2_env"]["exec_mode"], "cluster_mode");

    // Clean slate.
    let all: Vec<u32> = baton.jlist().iter().filter_map(|entry| entry["pid"].as_u64()?.try_into().ok()).collect();
    succeeds(&baton, "pm2:delete");
    assert_eq!(baton.jlist().len(), 0);
    assert!(all.into_iter().filter(|pid| *pid > 0).all(|pid| !alive(pid)));
    baton.run(["kill"]).ok();
    succeeds(&baton, "pm2:start");
    assert_eq!(baton.jlist().len(), 1 + 5 * 3);
}

/// A command that follows logs, until the test ends it.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn follow(baton: &Baton, said: &Path) -> Following {
    let file = || File::options().append(true).create(true).open(said).expect("a file");
    Following(baton.command(["logs", "--follow"]).stdout(file()).stderr(file()).spawn().expect("it starts"))
}

#[test]
fn a_workspace_from_development_to_the_boot_of_its_machine() {
    if !node() {
        return;
    }
    let baton = Baton::new().env("PORT", "0").env("PROXY_PORT", "0").env("RUNTIME", "tart");
    project(&baton, "workspace");

    // One command starts both and shows their lines, in turns; away from a terminal it shows what there is.
    succeeds(&baton, "dev");
    let said = baton.dir().join("said");
    let following = follow(&baton, &said);
    baton.wait_file(&said, "\"port\":");
    let line = baton.wait_log("server-out.log", "listening");
    let port = port_in(&line, "\"port\":");
    serde_json::from_str::<Value>(line.lines().find(|line| line.contains("listening")).expect("a line"))
        .expect("its lines are the program's own JSON");
    let status = succeeds(&baton, "dev:status");
    assert_eq!(status.matches("online").count(), 2, "{status}");
    assert_eq!(baton.entry("server")["pm2_env"]["env"]["RUNTIME"], "tart", "the shell's variables reach the apps");

    // Killed by hand, it is back.
    let first = baton.pid("server");
    kill(first);
    baton.wait_for("the server to be back", |list| {
        list.iter().any(|view| view.name == "server" && view.pid.is_some_and(|pid| pid != first))
    });
    drop(following);
    assert_eq!(statuses(&baton), ["online", "online"], "the end of `logs` changes nothing");

    // Started once more while it runs: the same two apps.
    succeeds(&baton, "dev");
    assert_eq!(statuses(&baton), ["online", "online"]);

    let pids: Vec<u32> = ["server", "client"].map(|name| baton.pid(name)).into();
    succeeds(&baton, "dev:stop");
    assert_eq!(baton.jlist().len(), 0);
    assert!(pids.into_iter().all(|pid| !alive(pid)));
    TcpListener::bind(("127.0.0.1", port)).expect("the port is free");

    // A program that is not there is told at once, and nothing waits for it.
    let absent = r#"module.exports = { apps: [{ name: "caddy", script: "no-such-caddy", args: "run", interpreter: "none", max_restarts: 3 }] };"#;
    baton.file("absent.config.cjs", absent);
    baton.run(["start", "absent.config.cjs"]).code(1).says("no-such-caddy");
    baton.run(["delete", "all"]);

    // Production: rotation by PM2's names, the service of the machine, and the list after a boot.
    baton.run(["install", "pm2-logrotate"]).ok().says("built in");
    for setting in ["max_size 10M", "retain 7", "compress true"] {
        let (key, value) = setting.split_once(' ').expect("two words");
        baton.run(["set", &format!("pm2-logrotate:{key}"), value]).ok();
    }
    baton.run(["conf", "pm2-logrotate"]).ok().says("10M");
    let machine = baton.dir().join("machine");
    std::fs::create_dir(&machine).expect("a folder");
    let startup = baton.run(["startup", "systemd", "--root", machine.to_str().expect("a path")]).ok();
    let unit = std::fs::read_dir(machine.join("etc/systemd/system")).unwrap_or_else(|_| panic!("{startup}"));
    assert_eq!(unit.filter_map(Result::ok).filter(|entry| entry.path().is_file()).count(), 1);
    baton.run(["start", "ecosystem.production.config.cjs"]).ok();
    baton.run(["save"]).ok();
    baton.run(["kill"]).ok();
    assert_eq!(baton.run(["resurrect"]).ok().stdout.matches("online").count(), 4);
    baton.wait_log("worker-out.log", "working in production");
    baton.run(["flush"]).ok();
    baton.run(["delete", "all"]).ok();
}

#[test]
fn a_list_that_follows_its_sources() {
    let baton = Baton::new();
    // The canonical definitions, a compiled file beside them that others read, and a list that was just emptied.
    for name in ["api", "worker", "mailer"] {
        baton.file(&format!("ecosystems/{name}.cljs"), app(name, "\"1\""));
    }
    baton.start("leftover", &["wait"]);
    baton.run(["delete", "all"]).ok();
    let said = baton.dir().join("said");
    let file = || File::options().append(true).create(true).open(&said).expect("a file");
    let words = ["sync", "ecosystems", "--watch", "--prune", "--emit", "ecosystem.config.cjs"];
    let mut watcher = baton.command(words).stdout(file()).stderr(file()).spawn().expect("it starts");
    baton.wait_file(&said, "watching ");
    assert_eq!(statuses(&baton), ["online"; 3]);
    let compiled = baton.dir().join("ecosystem.config.cjs");
    assert!(std::fs::read_to_string(&compiled).expect("it was made").contains("mailer"));

    // An edit recompiles, and restarts the one app that it is about.
    let before = pids(&baton);
    baton.file("ecosystems/api.cljs", app("api", "\"2\""));
    baton.wait_file(&said, "env.VALUE: 1 → 2");
    baton.wait_file(&said, "1 to restart, 2 to keep");
    assert_eq!(touched(&before, &pids(&baton)), ["api"]);
    let watch = Watch::on(baton.dir());
    while !std::fs::read_to_string(&compiled).is_ok_and(|text| text.contains("\"2\"")) {
        watch.wait("the compiled file to follow");
    }

    // A deleted definition is pruned as was asked, and nothing else.
    std::fs::remove_file(baton.dir().join("ecosystems/mailer.cljs")).expect("removed");
    baton.wait_file(&said, "1 to remove, 2 to keep");
    baton.wait_for("the app to go", |list| list.len() == 2);

    // By hand: one app, without any other.
    let before = pids(&baton);
    baton.run(["restart", "worker"]).ok();
    assert_eq!(touched(&before, &pids(&baton)), ["worker"]);
    watcher.kill().and_then(|()| watcher.wait()).expect("it ends");
    baton.file("ecosystems/worker.cljs", app("worker", "\"3\""));
    let status = baton.run(["sync", "ecosystems", "--emit", "ecosystem.config.cjs"]).ok();
    status.stdout_has("1 to restart, 1 to keep");
    baton.run(["sync", "ecosystems"]).ok().stdout_has("nothing to do");
}
