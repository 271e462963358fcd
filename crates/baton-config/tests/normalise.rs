//! One app: from a command line, from keys, and as a patch.
// `json!` of every key there is.
#![recursion_limit = "256"]

use baton_config::{ConfigError, Context, LoadOptions, normalise};
use baton_core::spec::{AppSpec, ExecMode};
use serde_json::{Map, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A directory with scripts of each kind, and the options of a caller in it.
fn caller() -> (TempDir, LoadOptions) {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    for directory in ["pkg", "bin", "sub/logs", "node"] {
        std::fs::create_dir_all(at(directory)).expect("made");
    }
    for (file, content) in [
        ("app.js", ""),
        ("my app.js", ""),
        ("serve.py", ""),
        ("run.sh", ""),
        ("pkg/package.json", "{}"),
        ("bin/tool", "#!/bin/sh\n"),
        ("bin/npm", "#!/usr/bin/env node\n"),
        ("bin/bash", "#!/bin/sh\n"),
        ("bin/node", "\0"),
        ("bin/python3", "\0"),
        ("sub/job.sh", ""),
    ] {
        std::fs::write(at(file), content).expect("written");
        if file.starts_with("bin/") {
            std::fs::set_permissions(at(file), PermissionsExt::from_mode(0o755)).expect("set");
        }
    }
    let path = at("bin").to_string_lossy().into_owned();
    let caller_env = [("PATH", path.as_str()), ("HOME", "/home/me"), ("name", "shell")];
    let options = LoadOptions {
        caller_env: caller_env.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        caller_cwd: root.path().into(),
        home: "/h".into(),
        ..LoadOptions::default()
    };
    (root, options)
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("a map")
}

fn script(target: &str, keys: Value, options: &LoadOptions) -> Result<AppSpec, ConfigError> {
    normalise::script(target, &map(keys), &Context::command_line(options)).map(|(spec, _)| spec)
}

fn app(keys: Value, options: &LoadOptions) -> AppSpec {
    normalise::app(&map(keys), &Context::command_line(options)).expect("an app").0
}

#[test]
fn a_target_becomes_script_interpreter_and_name() {
    let (root, options) = caller();
    for (target, file, interpreter, args, name) in [
        ("app.js", "app.js", "node", &[][..], "app"),
        ("./my app.js", "my app.js", "node", &[], "my app"),
        ("serve.py", "serve.py", "python3", &[], "serve"),
        ("run.sh", "run.sh", "bash", &[], "run"),
        ("pkg", "pkg", "node", &[], "pkg"),
        ("npm", "bin/npm", "node", &[], "npm"),
        ("tool", "bin/tool", "none", &[], "tool"),
        // A directory of that name in the way hides no program.
        ("node", "bin/node", "none", &[], "node"),
        ("sleep 100", "bin/bash", "none", &["-c", "sleep 100"], "sleep 100"),
        ("node echo.js --a 'b c'", "bin/bash", "none", &["-c", "node echo.js --a 'b c'"], "node echo"),
    ] {
        let spec = script(target, json!({}), &options).unwrap_or_else(|wrong| panic!("{target}: {wrong}"));
        assert_eq!(spec.script, root.path().join(file).to_string_lossy(), "{target}");
        assert_eq!((spec.interpreter.as_str(), spec.name.as_str()), (interpreter, name), "{target}");
        assert_eq!(spec.args, args, "{target}");
    }
    let at_root = script(".", json!({"cwd": "pkg"}), &options).expect("a package");
    assert_eq!(at_root.script, root.path().join("pkg").to_string_lossy());
    assert_eq!((at_root.name.as_str(), at_root.interpreter.as_str()), ("pkg", "node"));
}

#[test]
fn a_target_that_is_nothing_is_refused_by_its_absolute_path() {
    let (root, options) = caller();
    for (target, keys, path) in [("nope.js", json!({}), "nope.js"), ("nope", json!({"cwd": "sub"}), "sub/nope")] {
        let wrong = script(target, keys, &options).expect_err("no script");
        assert_eq!(wrong.to_string(), format!("Script not found: {}", root.path().join(path).display()));
    }
    let wrong = script("app.js", json!({"kill_timeout": "1 year"}), &options).expect_err("no time");
    assert_eq!(wrong.to_string(), "command line: app `app.js`: `kill_timeout: \"1 year\"` is not a time");
}

#[test]
fn mode_and_shared_logs_follow_from_the_number_of_instances_as_in_pm2() {
    let (_root, options) = caller();
    for (keys, mode, merged) in [
        (json!({"script": "app.js"}), ExecMode::Fork, true),
        (json!({"script": "app.js", "instances": 1}), ExecMode::Cluster, false),
        (json!({"script": "app.js", "instances": 4}), ExecMode::Cluster, false),
        (json!({"script": "app.js", "instances": "max"}), ExecMode::Cluster, true),
        (json!({"script": "app.js", "instances": -1}), ExecMode::Cluster, false),
        (json!({"script": "app.js", "instances": -2}), ExecMode::Fork, false),
        (json!({"script": "app.js", "instances": 4, "exec_mode": "fork"}), ExecMode::Fork, false),
        (json!({"script": "app.js", "exec_mode": "cluster"}), ExecMode::Cluster, false),
        (json!({"script": "run.sh", "instances": 4}), ExecMode::Fork, false),
        (json!({"script": "run.sh", "instances": 4, "combine_logs": true}), ExecMode::Fork, true),
    ] {
        let spec = app(keys.clone(), &options);
        assert_eq!((spec.exec_mode, spec.merge_logs), (mode, merged), "{keys}");
    }
}

#[test]
fn paths_start_from_the_apps_directory_and_it_from_the_callers() {
    let (root, options) = caller();
    let spec = app(
        json!({"script": "job.sh", "cwd": "sub", "out": "logs/o", "error_file": "~/e", "pid": "/p", "log": "both",
               "interpreter": "../bin/tool", "env_file": [".env", "~/x"]}),
        &options,
    );
    let at = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    assert_eq!((spec.cwd, spec.script, spec.interpreter), (at("sub"), at("sub/job.sh"), at("bin/tool")));
    assert_eq!(spec.out_file, Some(at("sub/logs/o")));
    assert_eq!((spec.error_file.as_deref(), spec.pid_file.as_deref()), (Some("/home/me/e"), Some("/p")));
    assert_eq!(spec.log_file, Some(at("sub/both")));
    assert_eq!(spec.env_file, [at("sub/.env"), "/home/me/x".into()]);
    assert_eq!(
        app(json!({"script": "app.js", "name": "my_app", "log": true}), &options).log_file.as_deref(),
        Some("/h/logs/my-app.log")
    );
}

#[test]
fn a_cwd_that_only_exists_beside_the_file_is_told() {
    let (root, mut options) = caller();
    options.caller_cwd = root.path().join("bin");
    let file = root.path().join("ecosystem.config.js");
    let context = Context { file: Some(&file), ..Context::command_line(&options) };
    let (spec, warnings) = normalise::app(&map(json!({"script": "/bin/sh", "cwd": "sub"})), &context).expect("an app");
    assert_eq!(spec.cwd, root.path().join("bin/sub").to_string_lossy());
    assert_eq!(
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [format!(
            "app `/bin/sh`: cwd {0}/bin/sub does not exist, but {0}/sub does: a relative cwd starts from where baton is called, \
             not from the process file",
            root.path().display()
        )]
    );
}

#[test]
fn the_shell_is_kept_apart_from_the_apps_own_variables() {
    let (_root, mut options) = caller();
    let spec = app(json!({"script": "app.js", "env": {"A": 1}, "filter_env": true}), &options);
    // PM2 took the shell's variable `name` for the app's name.
    assert_eq!((spec.name.as_str(), spec.base_env["name"].as_str()), ("app", "shell"));
    assert_eq!(spec.env.keys().collect::<Vec<_>>(), ["A"]);
    assert_eq!(spec.filter_env, [""]);
    options.caller_env.insert("pm_id".into(), "3".into());
    options.strip = &["pm_id", "name"];
    assert_eq!(app(json!({"script": "app.js"}), &options).base_env.keys().collect::<Vec<_>>(), ["HOME", "PATH"]);
}

#[test]
fn the_chosen_environment_can_be_part_of_the_name() {
    let (_root, mut options) = caller();
    options.env_name = Some("dev".into());
    let spec = app(
        json!({"script": "app.js", "append_env_to_name": true, "env_dev": {"A": "dev"}, "env": {"A": "x", "B": 1}}),
        &options,
    );
    assert_eq!((spec.name.as_str(), spec.env["A"].as_str(), spec.env["B"].as_str()), ("app-dev", "dev", "1"));
}

#[test]
fn a_patch_has_canonical_keys_and_null_for_the_default() {
    let (root, options) = caller();
    let given = map(json!({"maxRestarts": "3", "args": "x 'y z'", "node_args": "null", "max-memory-restart": "1K",
                           "out": "o.log", "exec_mode": "cluster", "cron": null}));
    let fields = normalise::patch(&given, &Context::command_line(&options)).expect("a patch");
    let wanted = json!({"args": ["x", "y z"], "cron_restart": null, "max_memory_restart": 1024, "max_restarts": 3,
                        "node_args": null, "out_file": root.path().join("o.log").to_string_lossy()});
    assert_eq!(Value::Object(fields.into_iter().collect()), wanted);
    let wrong = normalise::patch(&map(json!({"max_restarts": "many"})), &Context::command_line(&options));
    assert_eq!(
        wrong.expect_err("no number").to_string(),
        "command line: `max_restarts: \"many\"` is not a whole number from 0 to 4294967295"
    );
}

#[test]
fn every_field_that_a_file_can_set_reaches_the_definition() {
    let (_root, options) = caller();
    let mut keys = json!({
        "script": "app.js", "name": "n", "namespace": "ns", "args": "a", "cwd": "sub/..", "interpreter": "bun", "node_args": "-x",
        "exec_mode": "fork", "instances": 2, "env": {"A": "1"}, "env_file": "x.env", "filter_env": "X", "instance_var": "I",
        "increment_var": "P", "out_file": "o", "error_file": "e", "log_file": "l", "pid_file": "p", "merge_logs": true,
        "disable_logs": true, "log_type": "json", "log_date_format": "YYYY", "time": true, "log_sync": "copy",
        "autostart": false, "autorestart": false, "stop_exit_codes": [1], "max_restarts": 1, "min_uptime": "2s",
        "restart_delay": 3, "exp_backoff_restart_delay": 4, "kill_timeout": 5, "kill_signal": "SIGTERM", "treekill": false,
        "uid": "u", "gid": 7, "port": 80, "append_env_to_name": true,
        "oneshot": true, "depends_on": {"db": "started"},
    });
    // The macro can't take more at once.
    let more = json!({
        "env_priority": "shell", "log_overflow": "drop", "log_blocking": true, "pmx": false, "balance": "shared", "ready": "notify", "wait_ready": true, "listen_timeout": 9, "shutdown_with_message": true,
        "max_size": "5M", "retain": 3, "compress": "zstd", "rotate_interval": "0 0 * * *", "max_age": "1h",
        "max_total_size": "1G", "watch": true, "ignore_watch": "x", "watch_delay": 6, "cron_restart": "@daily", "max_memory_restart": "1G",
        "watch_options": {"usePolling": true}, "listen": 3000, "stdin": false, "listen_pid": false,
        "health": {"tcp": 80}, "watchdog": "1m", "heartbeat": true, "nice": 5, "rlimits": {"core": 0}, "oom_score_adj": 9,
        "memory_max": "1G", "cpu_max": 2, "tasks_max": 50, "on_event": "tell",
    });
    keys.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    let spec = serde_json::to_value(app(keys.clone(), &options)).expect("json");
    let default = serde_json::to_value(AppSpec::default()).expect("json");
    for field in baton_core::spec::FIELDS {
        if ["username", "env_profiles", "env_layers", "base_env", "declared", "source"].contains(&field.name) {
            continue;
        }
        // Not beside what has an app run at other times.
        if field.name == "schedule" {
            let job = app(json!({"script": "app.js", "schedule": "0 3 * * *"}), &options);
            assert!(job.schedule.is_some());
            continue;
        }
        assert!(keys.get(field.name).is_some(), "{} is not tried here", field.name);
        // These two equal their defaults by rule, not by being forgotten.
        if !["exec_mode", "merge_logs"].contains(&field.name) {
            assert_ne!(spec[field.name], default[field.name], "{}", field.name);
        }
    }
    assert!(Path::new(spec["cwd"].as_str().expect("a text")).is_absolute());
}
