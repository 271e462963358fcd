//! What each verb promises.

use crate::harness::{Baton, alive, ended, testapp};
use baton_core::world::Status;
use serde_json::{Value, json};

fn ids(baton: &Baton) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    baton
        .jlist()
        .iter()
        .map(|entry| (entry["pm_id"].as_u64().expect("id"), text(&entry["name"]), text(&entry["pm2_env"]["status"])))
        .collect()
}

/// A process file with these apps, each of which waits for a signal.
fn file_of(baton: &Baton, names: &[&str]) -> std::path::PathBuf {
    let apps: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "script": testapp(), "args": "wait"})).collect();
    baton.file("ecosystem.config.json", json!({ "apps": apps }).to_string())
}

#[test]
fn start_stop_restart_and_delete_one_script() {
    let baton = Baton::new();
    baton.start("one", &["wait"]).stdout_has("[PM2]").stdout_has("one").stdout_has("online");
    let first = baton.pid("one");
    assert!(alive(first));

    baton.run(["restart", "one"]).ok().stdout_has("[one](0) ✓");
    let second = baton.pid("one");
    assert_ne!(first, second);
    assert!(!alive(first));
    assert_eq!(baton.entry("one")["pm2_env"]["restart_time"], 1);

    baton.run(["stop", "one"]).ok();
    assert!(!alive(second));
    assert_eq!(ids(&baton), [(0, "one".into(), "stopped".into())]);

    // The start of a stopped app is no restart.
    baton.run(["start", "one"]).ok();
    assert_eq!(baton.entry("one")["pm2_env"]["restart_time"], 1);
    let third = baton.pid("one");

    baton.run(["delete", "one"]).ok();
    assert!(!alive(third));
    assert_eq!(ids(&baton), []);
}

#[test]
fn numbers_start_again_at_zero_when_the_list_is_empty() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    baton.start("b", &["wait"]);
    baton.run(["delete", "a"]).ok();
    baton.start("c", &["wait"]);
    assert_eq!(ids(&baton), [(1, "b".into(), "online".into()), (2, "c".into(), "online".into())]);
    baton.run(["delete", "all"]).ok();
    baton.start("d", &["wait"]);
    assert_eq!(ids(&baton), [(0, "d".into(), "online".into())]);
}

#[test]
fn the_same_script_again_is_refused_without_force() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    let app = testapp();
    let again = ["start", app.to_str().expect("path"), "--name", "one", "--", "wait"];
    baton.run(again).code(1).stderr_has("already launched");
    assert_eq!(baton.jlist().len(), 1);
    let forced = ["start", app.to_str().expect("path"), "--name", "one", "-f", "--", "wait"];
    baton.run(forced).ok();
    assert_eq!(baton.jlist().len(), 2);
}

#[test]
fn targets_are_numbers_names_units_patterns_and_several_at_once() {
    let baton = Baton::new();
    let app = testapp();
    let path = app.to_str().expect("path");
    for (name, unit) in [("web-1", "front"), ("web-2", "front"), ("db", "back"), ("cache", "back")] {
        baton.run(["start", path, "--name", name, "--namespace", unit, "--", "wait"]).ok();
    }
    let up = |baton: &Baton| -> Vec<String> {
        ids(baton).into_iter().filter(|(_, _, status)| status == "online").map(|(_, name, _)| name).collect()
    };
    baton.run(["stop", "0"]).ok();
    assert_eq!(up(&baton), ["web-2", "db", "cache"]);
    baton.run(["stop", "back"]).ok();
    assert_eq!(up(&baton), ["web-2"]);
    baton.run(["restart", "/web/"]).ok();
    assert_eq!(up(&baton), ["web-1", "web-2"]);
    baton.run(["restart", "db", "3"]).ok();
    assert_eq!(up(&baton), ["web-1", "web-2", "db", "cache"]);
    baton.run(["stop", "all"]).ok();
    assert_eq!(up(&baton), [""; 0]);
}

#[test]
fn an_unknown_name_fails_and_changes_nothing() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    let before = baton.pid("one");
    for verb in ["stop", "restart", "delete"] {
        baton.run([verb, "one", "nobody"]).code(1).stderr_has("Process or Namespace nobody not found");
        baton.run([verb, "/nobody/"]).code(1).stderr_has("No process found");
    }
    assert_eq!(baton.pid("one"), before);
}

#[test]
fn a_file_starts_its_apps_and_starts_them_again_with_the_new_definition() {
    let baton = Baton::new();
    baton.file("greet.sh", "echo \"hello $WHO from $(pwd)\"; exec sleep 1000\n");
    baton.file("other/greet.sh", "echo \"other $WHO from $(pwd)\"; exec sleep 1000\n");
    let app = |who: &str, cwd: &str, out: &str| {
        let file = json!({"apps": [{"name": "greet", "script": "greet.sh", "cwd": cwd, "env": {"WHO": who}, "out_file": out}]});
        baton.file("ecosystem.config.json", file.to_string());
    };
    app("world", ".", "first.log");
    baton.run(["start", "ecosystem.config.json"]).ok();
    baton.wait_file(&baton.dir().join("first.log"), "hello world");
    baton.start("bystander", &["wait"]);
    let (old, bystander) = (baton.pid("greet"), baton.pid("bystander"));

    app("moon", "other", "second.log");
    baton.run(["start", "ecosystem.config.json"]).ok();
    let said = baton.wait_file(&baton.dir().join("other/second.log"), "other moon");
    assert!(said.contains("/other"), "{said}");
    assert!(!alive(old));
    assert_eq!(baton.entry("greet")["pm_id"], 0);
    assert_eq!(baton.pid("bystander"), bystander);
}

#[test]
fn a_file_with_fewer_or_more_instances_scales() {
    let baton = Baton::new();
    let with = |count: u32| {
        let file = json!({"apps": [{"name": "w", "script": testapp(), "args": ["wait"], "instances": count, "exec_mode": "fork"}]});
        baton.file("ecosystem.config.json", file.to_string());
        baton.run(["start", "ecosystem.config.json"]).ok();
        let numbers: Vec<u64> =
            baton.jlist().iter().map(|e| e["pm2_env"]["NODE_APP_INSTANCE"].as_u64().expect("number")).collect();
        numbers
    };
    assert_eq!(with(1), [0]);
    assert_eq!(with(3), [0, 1, 2]);
    assert_eq!(with(2), [0, 1]);
}

#[test]
fn stop_and_delete_of_a_file_touch_only_its_names() {
    let baton = Baton::new();
    file_of(&baton, &["a", "b"]);
    baton.run(["delete", "ecosystem.config.json"]).ok();
    baton.run(["stop", "ecosystem.config.json"]).ok();
    baton.start("stranger", &["wait"]);
    baton.run(["start", "ecosystem.config.json"]).ok();
    let stranger = baton.pid("stranger");
    baton.run(["stop", "ecosystem.config.json", "--only", "a"]).ok();
    assert_eq!(baton.entry("a")["pm2_env"]["status"], "stopped");
    assert_eq!(baton.entry("b")["pm2_env"]["status"], "online");
    baton.run(["delete", "ecosystem.config.json"]).ok();
    assert_eq!(baton.jlist().len(), 1);
    assert_eq!(baton.pid("stranger"), stranger);
}

#[test]
fn only_starts_the_named_apps_and_warns_of_unknown_ones() {
    let baton = Baton::new();
    file_of(&baton, &["a", "b", "c"]);
    baton.run(["start", "ecosystem.config.json", "--only", "a,c,zzz"]).ok().says("zzz");
    let names: Vec<String> = ids(&baton).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["a", "c"]);
}

#[test]
fn files_and_names_mix() {
    let baton = Baton::new();
    file_of(&baton, &["a", "b"]);
    baton.start("c", &["wait"]);
    baton.run(["start", "ecosystem.config.json"]).ok();
    let (a, b, c) = (baton.pid("a"), baton.pid("b"), baton.pid("c"));
    baton.run(["restart", "ecosystem.config.json", "a"]).ok();
    assert_ne!(baton.pid("a"), a);
    let _ = b;
    assert_eq!(baton.pid("c"), c);
    baton.run(["stop", "ecosystem.config.json", "c"]).ok();
    assert!(ids(&baton).iter().all(|(_, _, status)| status == "stopped"));
}

#[test]
fn a_missing_file_among_targets_is_reported_and_the_others_start() {
    let baton = Baton::new();
    file_of(&baton, &["a"]);
    baton.run(["start", "ecosystem.config.json", "missing.config.js"]).code(1).stderr_has("missing.config.js");
    assert_eq!(baton.entry("a")["pm2_env"]["status"], "online");
    baton.run(["restart", "missing.config.js", "--name", "x"]).code(1).stderr_has("missing.config.js");
}

#[test]
fn a_bare_start_takes_the_file_it_finds_and_says_which() {
    let baton = Baton::new();
    baton.run(["start"]).code(1).stderr_has("ecosystem.config.js");
    baton.file(
        "ecosystem.config.cjs",
        format!("module.exports = [{{name: 'a', script: {:?}, args: 'wait'}}]", testapp()),
    );
    baton.run(["start"]).ok().says("ecosystem.config.cjs");
    assert_eq!(baton.entry("a")["pm2_env"]["status"], "online");
}

#[test]
fn json_comes_on_standard_input() {
    let baton = Baton::new();
    let config = json!({"apps": [{"name": "piped", "script": testapp(), "args": ["wait"]}]}).to_string();
    baton.run_with_input(["start", "-"], config.as_bytes()).ok();
    assert_eq!(baton.entry("piped")["pm2_env"]["status"], "online");
    baton.run_with_input(["delete", "-"], config.as_bytes()).ok();
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn delete_all_with_nothing_running_is_quiet_when_silent() {
    let baton = Baton::new();
    let run = baton.run(["delete", "all", "--silent"]);
    assert!(run.stdout.is_empty() && run.stderr.is_empty(), "not silent: {run}");
}

#[test]
fn options_change_the_stored_definition_of_a_present_app() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    baton.run(["restart", "one", "--name", "two", "--kill-timeout", "4321"]).ok();
    let entry = baton.entry("two");
    assert_eq!(entry["pm2_env"]["kill_timeout"], 4321);
    assert_eq!(entry["pm_id"], 0);
}

#[test]
fn update_env_takes_the_callers_environment_and_forgets_what_is_gone() {
    let baton = Baton::new();
    let app = testapp();
    let start = ["start", app.to_str().expect("path"), "--name", "e", "--", "dump", "wait"];
    let status = baton.command(start).env("OLD", "1").env("KEPT", "1").status().expect("start");
    assert!(status.success());
    baton.wait_log("e-out.log", "\"OLD\":\"1\"");
    // Without the option the stored environment is used.
    baton.command(["restart", "e"]).env("FRESH", "1").status().expect("restart");
    assert!(!baton.wait_log("e-out.log", "}\n{").contains("FRESH"));
    baton.run(["flush", "e"]).ok();
    let run =
        baton.command(["restart", "e", "--update-env"]).env("FRESH", "2").env("KEPT", "2").status().expect("restart");
    assert!(run.success());
    let said = baton.wait_log("e-out.log", "\"FRESH\":\"2\"");
    assert!(said.contains("\"KEPT\":\"2\"") && !said.contains("\"OLD\""), "{said}");
}

#[test]
fn reset_sets_the_counters_back() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    baton.run(["restart", "one"]).ok();
    baton.run(["restart", "one"]).ok();
    assert_eq!(baton.entry("one")["pm2_env"]["restart_time"], 2);
    baton.run(["reset", "one"]).ok();
    assert_eq!(baton.entry("one")["pm2_env"]["restart_time"], 0);
}

#[test]
fn small_verbs_answer() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    let pid = baton.pid("one");
    assert_eq!(baton.run(["pid", "one"]).ok().stdout.trim(), pid.to_string());
    assert_eq!(baton.run(["id", "one"]).ok().stdout.trim(), "[ 0 ]");
    assert_eq!(baton.run(["id", "nobody"]).ok().stdout.trim(), "[]");
    baton.run(["ping"]).ok().stdout_has("pong");
    baton.run(["prettylist"]).ok().stdout_has("name: 'one'");
    baton.run(["env", "0"]).ok().stdout_has("NODE_APP_INSTANCE");
    for verb in ["ls", "list", "l", "ps", "status"] {
        baton.run([verb]).ok().stdout_has("│ one");
    }
    for verb in ["describe", "show", "info", "desc"] {
        baton.run([verb, "one"]).ok().stdout_has("script path");
        baton.run([verb, "nobody"]).code(1).says("doesn't exist");
    }
    let listed: Value = serde_json::from_str(&baton.run(["ls", "--json"]).ok().stdout).expect("json");
    assert!(listed.to_string().contains("\"one\""));
}

#[test]
fn a_signal_is_sent_by_name() {
    let baton = Baton::new();
    baton.file("trap.sh", "trap 'echo got it' USR2\necho ready\nwhile :; do sleep 1000 & wait $!; done\n");
    baton.run(["start", "trap.sh", "--name", "t"]).ok();
    baton.wait_log("t-out.log", "ready");
    baton.run(["sendSignal", "SIGUSR2", "t"]).ok();
    baton.wait_log("t-out.log", "got it");
    baton.run(["sendSignal", "SIGUSR2", "nobody"]).code(1);
    baton.run(["sendSignal", "SIGNONSENSE", "t"]).code(1);
}

#[test]
fn describe_tells_the_last_cause_and_the_last_words() {
    let baton = Baton::new();
    baton.start("sick", &["err:out of ideas", "abort"]);
    baton.wait_status("sick", Status::Errored);
    baton.run(["describe", "sick"]).ok().stdout_has("SIGABRT").stdout_has("out of ideas");
}

#[test]
fn logs_show_the_last_lines_by_stream_and_by_name() {
    let baton = Baton::new();
    baton.start("talk", &["out:first", "out:second", "out:third", "err:trouble", "wait"]);
    baton.start("other", &["out:elsewhere", "wait"]);
    baton.wait_log("talk-out.log", "third");
    baton.wait_log("talk-error.log", "trouble");
    baton.wait_log("other-out.log", "elsewhere");
    let run = baton.run(["logs", "talk", "--nostream", "--lines", "2"]).ok().stdout_has("third").says("trouble");
    assert!(!run.stdout.contains("first") && !run.stdout.contains("elsewhere"), "{run}");
    let run = baton.run(["logs", "talk", "--nostream", "--err"]).ok().says("trouble");
    assert!(!run.stdout.contains("third"), "{run}");
    let run = baton.run(["logs", "--nostream", "--out"]).ok().stdout_has("third").stdout_has("elsewhere");
    assert!(!run.stdout.contains("trouble"), "{run}");
    let run = baton.run(["logs", "other", "--nostream", "--raw"]).ok();
    assert!(run.stdout.lines().any(|line| line == "elsewhere"), "{run}");
    // Without a terminal it ends by itself.
    baton.run(["logs", "talk"]).ok().stdout_has("third");
}

#[test]
fn flush_empties_the_files_and_the_app_writes_on() {
    let baton = Baton::new();
    baton.file("count.sh", "echo before\ntrap 'echo after' USR1\nwhile :; do sleep 1000 & wait $!; done\n");
    baton.run(["start", "count.sh", "--name", "c"]).ok();
    baton.wait_log("c-out.log", "before");
    baton.run(["flush", "c"]).ok();
    assert_eq!(std::fs::read(baton.home().join("logs/c-out.log")).expect("log"), b"");
    baton.run(["sendSignal", "SIGUSR1", "c"]).ok();
    assert_eq!(baton.wait_log("c-out.log", "after"), "after\n");
}

#[test]
fn a_saved_list_comes_back() {
    let baton = Baton::new();
    baton.start("up", &["wait"]);
    baton.start("down", &["wait"]);
    baton.run(["stop", "down"]).ok();
    baton.run(["save"]).ok().stdout_has("Successfully saved");
    let (guard, pid) = (baton.guard(), baton.pid("up"));
    baton.run(["kill"]).ok();
    ended(guard);
    assert!(!alive(pid));
    assert_eq!(baton.jlist().len(), 0, "kill forgets the list");
    baton.run(["resurrect"]).ok();
    let list = ids(&baton);
    assert!(list.iter().any(|(_, name, status)| name == "up" && status == "online"), "{list:?}");
    assert!(list.iter().any(|(_, name, status)| name == "down" && status == "stopped"), "{list:?}");
    let again = baton.pid("up");
    baton.run(["resurrect"]).ok();
    assert_eq!(baton.pid("up"), again, "what runs is left alone");
    assert_eq!(baton.jlist().len(), 2);
}

#[test]
fn an_empty_list_is_saved_only_by_force() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    baton.run(["save"]).ok();
    baton.run(["delete", "all"]).ok();
    baton.run(["save"]).ok();
    assert!(std::fs::read_to_string(baton.home().join("dump.pm2")).expect("dump").contains("\"one\""));
    baton.run(["save", "--force"]).ok();
    assert_eq!(std::fs::read_to_string(baton.home().join("dump.pm2")).expect("dump").trim(), "[]");
    baton.run(["cleardump"]).ok();
}

#[test]
fn kill_ends_apps_daemon_and_guard() {
    let baton = Baton::new();
    baton.start("one", &["wait"]);
    let (app, daemon, guard) = (baton.pid("one"), baton.daemon(), baton.guard());
    baton.run(["kill"]).ok().stdout_has("Daemon Stopped");
    ended(guard);
    assert!(!alive(app) && !alive(daemon));
    baton.run(["kill"]).ok();
}

#[test]
fn start_wait_succeeds_only_when_the_app_stays_up() {
    let baton = Baton::new();
    let app = testapp();
    let path = app.to_str().expect("path");
    baton.run(["start", path, "--name", "good", "--wait", "--", "wait"]).ok();
    assert!(baton.wait_for("good to be listed", |list| !list.is_empty())[0].ready);
    baton.run(["start", path, "--name", "bad", "--wait", "--", "exit:3"]).code(1).says("code 3");
}

#[test]
fn what_is_not_there_yet_says_so() {
    let baton = Baton::new();
    let app = testapp();
    let path = app.to_str().expect("path");
    baton.run(["start", path, "--source-map-support", "--", "wait"]).code(1).says("not available yet");
    baton.run(["imonit"]).code(1).says("monit needs a terminal");
    baton.run(["create"]).code(1).says("`init` writes a process file");
    baton.run(["module:update", "pm2-logrotate"]).ok().says("pm2-logrotate is built in");
    baton.run(["module:update", "pm2-server-monit"]).code(1).says("npm install pm2-server-monit");
    baton.run(["serve", ".", "--monitor"]).code(1).says("--monitor is not supported");
    baton.run(["plus"]).code(1).says("not supported");
    baton.run(["link", "a", "b"]).code(1).says("not supported");
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn version_and_help_start_no_daemon() {
    let baton = Baton::new();
    baton.run(["-v"]).ok();
    baton.run(["--help"]).ok().stdout_has("start");
    baton.run(["start", "--help"]).ok();
    assert!(baton.connect().is_none());
}

#[test]
fn wrong_words_are_refused() {
    let baton = Baton::new();
    baton.run(["strat", "x"]).code(1).says("Command not found");
    baton.run(["ls", "--bogus"]).code(1).says("--bogus");
    baton.run(["stop"]).code(1);
    assert!(baton.run(["start", "no-such-script.js"]).code(1).stderr.contains("Script not found"));
    assert_eq!(baton.jlist().len(), 0);
}

#[test]
fn called_as_pm2_it_is_pm2() {
    let pm2 = Baton::called("pm2");
    let fresh = pm2.run(["jlist"]).ok();
    assert_eq!(fresh.stdout.lines().last(), Some("[]"));
    let app = testapp();
    let path = app.to_str().expect("path");
    pm2.run(["start", path, "--name", "one", "--", "wait"])
        .ok()
        .stdout_has("[PM2] Starting ")
        .stdout_has(" in fork_mode (1 instance)")
        .stdout_has("[PM2] Done.")
        .stdout_has("│ id │ name");
    pm2.run(["stop", "one"])
        .ok()
        .stdout_has("[PM2] Applying action stopProcessId on app [one](ids: [ 0 ])")
        .stdout_has("[PM2] [one](0) ✓");
    pm2.run(["restart", "one"]).ok().stdout_has("Use --update-env to update environment variables");
    let entry = pm2.entry("one");
    for key in ["pid", "name", "pm2_env", "pm_id", "monit"] {
        assert!(!entry[key].is_null(), "{key}");
    }
    for key in [
        "name",
        "namespace",
        "args",
        "env",
        "autorestart",
        "treekill",
        "username",
        "pm_exec_path",
        "pm_cwd",
        "exec_interpreter",
        "exec_mode",
        "instances",
        "pm_out_log_path",
        "pm_err_log_path",
        "pm_pid_path",
        "NODE_APP_INSTANCE",
        "unique_id",
        "status",
        "pm_uptime",
        "created_at",
        "pm_id",
        "restart_time",
        "unstable_restarts",
        "version",
        "axm_monitor",
    ] {
        assert!(!entry["pm2_env"][key].is_null(), "pm2_env.{key}");
    }
    let pid_file = std::fs::read_to_string(pm2.home().join("pids/one-0.pid")).expect("pid file");
    assert_eq!(pid_file, pm2.pid("one").to_string());
    pm2.run(["delete", "all"]).ok().stdout_has("[PM2] Applying action deleteProcessId on app [all](ids: [ 0 ])");
    pm2.run(["delete", "all"]).code(1).says("[PM2][WARN] No process found");
}

#[test]
fn logs_follow_all_apps_until_ctrl_c_and_the_apps_run_on() {
    use std::io::BufRead;
    let baton = Baton::new();
    baton.start("one", &["out:first", "wait"]);
    baton.start("two", &["out:second", "wait"]);
    baton.wait_log("one-out.log", "first");
    baton.wait_log("two-out.log", "second");
    let mut logs = baton.command(["logs", "--follow"]).stdout(std::process::Stdio::piped()).spawn().expect("logs");
    let mut lines = std::io::BufReader::new(logs.stdout.take().expect("output")).lines().map_while(Result::ok);
    let mut both = || {
        let mut wanted = vec![("one", "first"), ("two", "second")];
        while !wanted.is_empty() {
            let line = lines.next().unwrap_or_else(|| panic!("not seen: {wanted:?}"));
            wanted.retain(|(app, text)| !(line.contains(app) && line.contains(text)));
        }
    };
    both();
    // The last lines were there; what comes now is followed.
    baton.run(["restart", "all"]).ok();
    both();
    let pids = [baton.pid("one"), baton.pid("two")];
    let pid = rustix::process::Pid::from_child(&logs);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("Ctrl-C");
    assert!(logs.wait().expect("its end").success());
    assert_eq!([baton.pid("one"), baton.pid("two")], pids);
}

#[test]
fn files_that_a_dead_daemon_left_are_no_obstacle_and_nothing_is_resurrected_unasked() {
    let baton = Baton::new();
    baton.start("app", &["wait"]);
    baton.run(["save"]).ok();
    baton.run(["kill"]).ok();
    // A socket that nobody answers, and pid files with numbers that are long others'.
    drop(std::os::unix::net::UnixListener::bind(baton.home().join("baton.sock")).expect("a stale socket"));
    std::fs::write(baton.home().join("pm2.pid"), "1").expect("a stale pid");
    std::fs::create_dir_all(baton.home().join("pids")).expect("folder");
    std::fs::write(baton.home().join("pids/app-0.pid"), "1").expect("a stale pid");
    baton.run(["ls"]).ok();
    assert_eq!(baton.jlist().len(), 0);
    let json: serde_json::Value = serde_json::from_str(&baton.run(["status", "--json"]).ok().stdout).expect("JSON");
    assert_eq!(json, serde_json::json!([]));
    baton.run(["resurrect"]).ok();
    assert_eq!(baton.jlist().len(), 1);
}

#[test]
fn man_pages_and_examples_come_without_a_daemon() {
    let baton = Baton::new();
    baton.run(["man", "share/man1"]).ok().stdout_has("pages written to");
    let pages = baton.dir().join("share/man1");
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).expect("a page");
    assert!(page("baton.1").contains("baton\\-sync(1)"));
    assert!(page("baton-logs.1").contains("\\-\\-since"));
    baton.run(["man", "--page", "ls"]).ok().stdout_has(".TH BATON-LIST 1").stdout_has(".SH ALIASES");
    baton.run(["man", "--page", "nothing"]).code(1).stderr_has("there is no command nothing");
    baton.run(["man"]).code(1);
    baton.run(["examples"]).ok().stdout_has("$ baton start ecosystem.config.js");
    assert!(baton.connect().is_none());
}
