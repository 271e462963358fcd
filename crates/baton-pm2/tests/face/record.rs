//! What `jlist`, `env` and `describe` say, against captures of PM2 7.0.4.

use crate::common::{MADE, demo, host, online, seen, stopped, variables};
use baton_core::spec::{AppSpec, EnvPriority, Watch};
use baton_core::units::{Bytes, Incarnation, InstanceId, Millis, WallTime};
use baton_core::world::{Cause, Death, Exit, Signal};
use baton_pm2::describe::{DescribeOptions, iso, render};
use baton_pm2::environment::{self, ChildFacts, child};
use baton_pm2::record::{jlist, pm2_env};
use baton_pm2::style::Colour;
use baton_pm2::text;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The capture without what only a module inside the app can tell, and without the variable for module settings.
const CAPTURED: &str = r#"[{"pid":9366,"name":"demo","pm2_env":{"name":"demo","filter_env":[],"namespace":"default","args":["--flag"],
"env":{"HOME":"/home/u","PATH":"/usr/bin:/bin","PM2_HOME":"/home/u/.pm2","PM2_USAGE":"CLI","unique_id":"?"},
"merge_logs":true,"vizion":true,"autostart":true,"autorestart":true,"watch":false,
"instance_var":"NODE_APP_INSTANCE","pmx":true,"automation":true,"treekill":true,"username":"root",
"windowsHide":true,"kill_retry_time":100,"node_args":[],"pm_exec_path":"/home/u/app/demo.js",
"pm_cwd":"/home/u/app","exec_interpreter":"node","exec_mode":"fork_mode","instances":1,
"pm_out_log_path":"/home/u/.pm2/logs/demo-out.log","pm_err_log_path":"/home/u/.pm2/logs/demo-error.log",
"pm_pid_path":"/home/u/.pm2/pids/demo-0.pid","km_link":false,"vizion_running":false,"NODE_APP_INSTANCE":0,
"HOME":"/home/u","PATH":"/usr/bin:/bin","PM2_HOME":"/home/u/.pm2","PM2_USAGE":"CLI","unique_id":"?",
"status":"online","pm_uptime":1795227276813,"axm_actions":[],"axm_monitor":{},"axm_options":{},
"axm_dynamic":{},"created_at":1795227276813,"pm_id":0,"restart_time":0,"unstable_restarts":0,
"version":"1.0.0"},"pm_id":0,"monit":{"memory":52264960,"cpu":3}}]"#;

#[test]
fn jlist_has_the_fields_of_pm2_in_its_order() {
    let mut view = seen(&online(0, 9366, demo()), Millis(5000), Bytes(52_264_960));
    view.cpu = Some(3.0);
    let text = jlist(&[view], host());
    let unique = environment::unique_id(InstanceId(0), MADE);
    let captured: Value = serde_json::from_str(CAPTURED).expect("JSON");
    let expected = captured.to_string().replace("\"?\"", &format!("\"{unique}\""));
    assert_eq!(text, expected);
}

#[test]
fn jlist_is_in_the_order_of_numbers() {
    let views = [seen(&stopped(5, demo()), Millis(0), Bytes(0)), seen(&online(2, 1, demo()), Millis(0), Bytes(0))];
    let list: Vec<Value> = serde_json::from_str(&jlist(&views, host())).expect("JSON");
    assert_eq!(list.iter().map(|process| process["pm_id"].clone()).collect::<Vec<_>>(), [json!(2), json!(5)]);
    assert_eq!(list[1]["pid"], 0);
    assert_eq!(list[1]["pm2_env"]["status"], "stopped");
    assert_eq!(jlist(&[], host()), "[]");
}

#[test]
fn a_file_s_keys_have_the_types_of_pm2() {
    let spec = AppSpec {
        name: "cfg".into(),
        env: variables(&[("A", "1")]),
        env_profiles: [("production".to_owned(), variables(&[("A", "2")]))].into(),
        stop_exit_codes: vec![0, 2],
        min_uptime: Millis(10_000),
        restart_delay: Millis(50),
        max_restarts: Some(3),
        merge_logs: false,
        watch: Watch::Paths(vec!["lib".into()]),
        increment_var: Some("PORT".into()),
        port: Some(8080),
        log_file: Some("/home/u/app/all.log".into()),
        out_file: Some("/dev/null".into()),
        max_memory_restart: Some(209_715_200),
        cron_restart: Some("0 4 * * *".into()),
        ..demo()
    };
    let mut instance = online(2, 1, spec);
    instance.number = 1;
    instance.increment = Some(8081);
    instance.last_exit = Some(Exit::Signal(Signal::TERM));
    let record = Value::Object(pm2_env(&seen(&instance, Millis(0), Bytes(0)), host()));
    let part = json!({
        "env_production": {"A": "2"}, "stop_exit_codes": [0, 2], "min_uptime": 10_000, "restart_delay": 50,
        "max_restarts": 3, "merge_logs": false, "increment_var": "PORT", "port": 8080, "PORT": 8081,
        "NODE_APP_INSTANCE": 1, "A": "1", "pm_log_path": "/home/u/app/all-2.log", "pm_out_log_path": "/dev/null",
        "pm_err_log_path": "/home/u/.pm2/logs/cfg-error-2.log", "max_memory_restart": 209_715_200, "watch": ["lib"],
        "cron_restart": "0 4 * * *", "exit_code": 0,
    });
    for (key, value) in part.as_object().expect("a map") {
        assert_eq!(&record[key], value, "{key}");
    }
    assert_eq!(record["env"]["PORT"], 8081);
}

#[test]
fn a_shell_variable_never_replaces_a_member() {
    let base_env = variables(&[("name", "other"), ("args", "x"), ("status", "dead"), ("instances", "9")]);
    let spec = AppSpec { base_env: base_env.into(), ..demo() };
    let view = seen(&online(0, 1, spec), Millis(0), Bytes(0));
    let record = pm2_env(&view, host());
    assert_eq!(
        (&record["name"], &record["status"], &record["instances"]),
        (&json!("demo"), &json!("online"), &json!(1))
    );
    assert_eq!(record["env"]["name"], "other");
    let env = child(view.spec.as_deref().expect("whole"), &ChildFacts::of(&view, "/h"), &[]);
    assert_eq!(env["name"], "demo");
}

#[test]
fn a_child_finds_what_pm2_s_children_find() {
    let view = seen(&online(4, 1, AppSpec { args: Vec::new(), ..demo() }), Millis(0), Bytes(0));
    let env = child(view.spec.as_deref().expect("whole"), &ChildFacts::of(&view, "/home/u/.pm2"), &[]);
    let names: BTreeSet<&str> = env.keys().map(String::as_str).collect();
    let observed = "name namespace merge_logs vizion autostart autorestart watch instance_var pmx automation treekill \
        username windowsHide kill_retry_time pm_exec_path pm_cwd exec_interpreter exec_mode instances pm_out_log_path \
        pm_err_log_path pm_pid_path km_link vizion_running NODE_APP_INSTANCE HOME PATH PM2_HOME PM2_USAGE unique_id \
        status pm_uptime created_at pm_id restart_time unstable_restarts";
    let expected: BTreeSet<&str> = observed.split_whitespace().chain(["PWD"]).collect();
    assert_eq!(names, expected);
    assert_eq!((env["pm_id"].as_str(), env["status"].as_str(), env["watch"].as_str()), ("4", "launching", "false"));
    assert_eq!(env["exec_mode"], "fork_mode");
}

#[test]
fn each_layer_of_the_environment_has_its_place() {
    let spec = AppSpec {
        base_env: variables(&[("A", "shell"), ("B", "shell"), ("C", "shell"), ("AWS_KEY", "shell")]).into(),
        env: variables(&[
            ("B", "app"),
            ("C", "app"),
            ("PORT", "1"),
            ("pm_id", "77"),
            ("I", "77"),
            ("namespace", "mine"),
        ]),
        filter_env: vec!["AWS".into()],
        port: Some(3000),
        instance_var: "I".into(),
        increment_var: Some("PORT".into()),
        interpreter: "/usr/bin/python3".into(),
        ..demo()
    };
    let mut instance = online(4, 1, spec.clone());
    instance.number = 2;
    instance.increment = Some(3002);
    let view = seen(&instance, Millis(0), Bytes(0));
    let facts = ChildFacts::of(&view, "/home/u/.pm2");
    let env = child(&spec, &facts, &[("/w/.env".into(), variables(&[("A", "file"), ("B", "file")]))]);
    let expected = [
        ("A", "file"),
        ("B", "app"),
        ("C", "app"),
        ("PORT", "3002"),
        ("pm_id", "4"),
        ("I", "2"),
        ("namespace", "mine"),
        ("PYTHONUNBUFFERED", "1"),
        ("PWD", "/home/u/app"),
    ];
    for (key, value) in expected {
        assert_eq!(env[key], value, "{key}");
    }
    assert!(!env.contains_key("AWS_KEY"));
    // The shell first: what it has stands above file and app, and above nothing else.
    let mut first = AppSpec { env_priority: EnvPriority::Shell, ..spec.clone() };
    Arc::make_mut(&mut first.base_env).extend(variables(&[("I", "shell"), ("PWD", "/shell"), ("status", "shell")]));
    let env = child(&first, &facts, &[("/w/.env".into(), variables(&[("A", "file"), ("D", "file")]))]);
    for (key, value) in [("A", "shell"), ("B", "shell"), ("C", "shell"), ("D", "file"), ("PORT", "3002"), ("I", "2")] {
        assert_eq!(env[key], value, "{key}");
    }
    assert_eq!((env["PWD"].as_str(), env["status"].as_str()), ("/home/u/app", "launching"));
    let none = AppSpec { filter_env: vec![String::new()], ..spec };
    assert!(!child(&none, &facts, &[]).contains_key("A"), "filter_env: true");
}

#[test]
fn a_command_line_inside_an_app_hands_none_of_it_on() {
    let inside =
        variables(&[("pm_id", "3"), ("name", "outer"), ("status", "online"), ("KEEP", "1"), ("NODE_CHANNEL_FD", "3")]);
    assert_eq!(environment::inherited(inside), variables(&[("KEEP", "1")]));
    let outside = variables(&[("name", "mine"), ("NODE_UNIQUE_ID", "1")]);
    assert_eq!(environment::inherited(outside), variables(&[("name", "mine")]));
}

#[test]
fn a_unique_id_looks_like_a_uuid_and_stays() {
    let id = environment::unique_id(InstanceId(3), WallTime(17));
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
    assert_eq!(id.as_bytes()[14], b'4', "{id}");
    assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
    assert_eq!(id, environment::unique_id(InstanceId(3), WallTime(17)));
    assert_ne!(id, environment::unique_id(InstanceId(4), WallTime(17)));
    assert_ne!(id, environment::unique_id(InstanceId(3), WallTime(18)));
}

#[test]
fn env_lists_the_app_s_variables_last_one_first() {
    let record = pm2_env(&seen(&stopped(3, demo()), Millis(0), Bytes(0)), host());
    let lines = text::env_lines(&record, false);
    let unique = environment::unique_id(InstanceId(3), MADE);
    assert_eq!(
        lines,
        [
            "version: 1.0.0",
            &format!("unique_id: {unique}"),
            "PM2_USAGE: CLI",
            "PM2_HOME: /home/u/.pm2",
            "PATH: /usr/bin:/bin",
            "HOME: /home/u",
            "NODE_APP_INSTANCE: 0",
            "vizion_running: false",
            "km_link: false",
            "namespace: default",
        ]
    );
}

#[test]
fn describe_has_pm2_s_rows_then_ours() {
    let spec = AppSpec {
        interpreter: "none".into(),
        script: "/bin/sleep".into(),
        name: "slp".into(),
        args: vec!["1000".into()],
        cron_restart: Some("0 4 * * *".into()),
        declared: [("heartbeat".to_owned(), json!(true))].into(),
        env: variables(&[("API_KEY", "s3cr3t"), ("NODE_ENV", "production")]),
        ..demo()
    };
    let mut instance = stopped(3, spec);
    instance.bury(Death {
        incarnation: Incarnation(1),
        exit: Exit::Signal(Signal(11)),
        at: MADE,
        uptime: Millis(3000),
    });
    instance.note("errored", Cause::CrashLoop(16, Exit::Signal(Signal(11))), MADE);
    let view = seen(&instance, Millis(0), Bytes(0));
    let local = variables(&[("PATH", "/bin"), ("API_KEY", "other"), ("HOME", "/home/u")]);
    let options = DescribeOptions { colour: Colour::Off, host: host(), local: Some(&local), program: "pm2" };
    let text = render(&view, &options);
    let keys: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("│ ")?.split('│').next()).map(str::trim_end).collect();
    assert_eq!(
        keys,
        [
            "status",
            "name",
            "namespace",
            "version",
            "restarts",
            "cron restart",
            "uptime",
            "script path",
            "script args",
            "error log path",
            "out log path",
            "pid path",
            "interpreter",
            "interpreter args",
            "script id",
            "exec cwd",
            "exec mode",
            "node.js version",
            "node env",
            "watch & reload",
            "unstable restarts",
            "created at",
            "last cause",
            "last exit",
            "not acted on yet",
            "API_KEY",
            "PATH",
        ]
    );
    assert!(text.starts_with(" Describing process with id 3 - name slp \n┌"), "{text}");
    for piece in [
        "│ uptime            │ 0 ",
        "│ script args       │ 1000 ",
        "│ interpreter args  │ N/A ",
        "│ node env          │ production ",
        "│ watch & reload    │ ✘ ",
        "│ created at        │ 2026-11-21T02:14:36.813Z ",
        "│ last cause        │ errored: 16 unstable exits in a row; the last process was ended by SIGSEGV │",
        "│ last exit         │ was ended by SIGSEGV after 3s at 2026-11-21T02:14:36.813Z ",
        "│ not acted on yet  │ heartbeat=true ",
        "│ API_KEY │ ******** ",
        " Use `pm2 logs slp [--lines 1000]` to display logs\n",
    ] {
        assert!(text.contains(piece), "{piece} in\n{text}");
    }
    assert!(!text.contains("s3cr3t"));
    assert_eq!(iso(MADE), "2026-11-21T02:14:36.813Z");
}

#[test]
fn the_lines_of_an_action_are_pm2_s() {
    let ids: Vec<InstanceId> = (0..7).map(InstanceId).collect();
    assert_eq!(
        text::applying(text::ActionName::Delete, "all", &ids),
        "Applying action deleteProcessId on app [all](ids: [\n  0, 1, 2, 3,\n  4, 5, 6\n])"
    );
    assert_eq!(text::acted("echo", InstanceId(0)), "[echo](0) ✓");
    assert_eq!(text::starting("/w/echo.js", "fork_mode", 1), "Starting /w/echo.js in fork_mode (1 instance)");
    assert_eq!(text::launched("cfg", 2), "App [cfg] launched (2 instances)");
    assert_eq!(text::pong(), "{ msg: 'pong' }");
    assert_eq!(text::id_list(&[]), "[]");
    assert_eq!(text::prefixed(Colour::On, text::PREFIX, text::DONE), "\u{1b}[32m[PM2] \u{1b}[39mDone.");
    assert_eq!(text::sending_signal("0"), "Sending signal to process id 0");
    assert_eq!(text::signal_sent("SIGUSR2", "web"), "successfully sent signal SIGUSR2 to process name web");
}
