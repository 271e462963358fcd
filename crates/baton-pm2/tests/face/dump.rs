//! The dump file: ours there and back, and one that PM2 7.0.4 wrote.

use crate::common::{demo, host, online, seen, stopped, variables};
use baton_core::spec::{
    AppSpec, Condition, Dependency, EnvPriority, Environment, ExecMode, Instances, Layer, LogType, Origin, Source,
    Watch,
};
use baton_core::units::{Bytes, InstanceId, Millis};
use baton_core::world::{Directories, Instance, InstanceFiles};
use baton_pm2::dump::{self, DumpError};
use proptest::prelude::*;
use serde_json::{Value, json};

const PM2_DUMP: &str = include_str!("../data/dump-pm2-7.0.4.json");

fn dumped(instances: &[Instance]) -> String {
    let views: Vec<_> = instances.iter().map(|instance| seen(instance, Millis(0), Bytes(0))).collect();
    dump::write(&views, host())
}

#[test]
fn a_dump_has_pm2_s_members_and_no_numbers_of_slots() {
    let text = dumped(&[online(0, 1, demo())]);
    assert!(text.starts_with("[\n  {\n    \"name\": \"demo\",\n"), "{text}");
    let records: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for gone in ["pm_id", "instances", "prev_restart_delay"] {
        assert!(records[0].get(gone).is_none(), "{gone}");
    }
    for kept in ["env", "pm_exec_path", "pm_cwd", "exec_interpreter", "exec_mode", "pm_out_log_path", "node_args"] {
        assert!(records[0].get(kept).is_some(), "{kept}");
    }
    assert_eq!(dumped(&[]), "[]");
}

#[test]
fn a_dump_brings_back_what_was_saved() {
    let mut rich = demo();
    rich.name = "rich".into();
    rich.env = variables(&[("A", "app"), ("PORT", "1"), ("PM2_HOME", "mine"), ("EMPTY", "")]);
    rich.base_env =
        variables(&[("A", "shell"), ("AWS_KEY", "filtered"), ("name", "x"), ("PORT", "2"), ("pm_id", "9")]).into();
    rich.filter_env = vec!["AWS".into()];
    rich.env_priority = EnvPriority::Shell;
    let shared = variables(&[("A", "unit"), ("PORT", "1"), ("PM2_HOME", "mine"), ("EMPTY", "")]);
    rich.env_layers = vec![
        Layer { origin: Origin::Unit("duck".into()), env: shared },
        Layer { origin: Origin::App, env: variables(&[("A", "app")]) },
    ];
    rich.env_file = vec![".env".into(), "/etc/rich.env".into()];
    rich.env_profiles = [("production".to_owned(), variables(&[("A", "2")]))].into();
    rich.port = Some(8080);
    rich.increment_var = Some("PORT".into());
    rich.out_file = Some("/home/u/app/out-3.log".into());
    rich.log_file = Some("/home/u/app/all.log".into());
    rich.merge_logs = false;
    rich.instances = Instances(-1);
    rich.exec_mode = ExecMode::Cluster;
    rich.log_type = LogType::Json;
    rich.log_date_format = Some("YYYY".into());
    rich.kill_signal = Some("SIGTERM".into());
    rich.stop_exit_codes = vec![0, -1];
    rich.max_restarts = Some(0);
    rich.uid = Some("1000".into());
    rich.source = Source { file: "/home/u/app/ecosystem.config.js".into(), index: 2 };
    rich.oneshot = true;
    rich.watch = Watch::Paths(vec!["src".into()]);
    rich.watch_delay = Millis(1000);
    rich.max_size = Some(7);
    rich.depends_on =
        vec![Dependency { on: "db".into(), condition: Condition::Started, timeout: Some(Millis(9)), external: None }];
    rich.declared = [("io".to_owned(), json!({"x": 1})), ("required_env".to_owned(), json!(["DB"]))].into();
    let mut first = online(0, 1, rich.clone());
    first.number = 3;
    first.increment = Some(8083);
    let slots = dump::read(&dumped(&[first, stopped(1, demo())])).expect("a dump");
    assert_eq!(slots.len(), 2);
    assert_eq!(slots[0].spec, rich);
    assert_eq!((slots[0].number, slots[0].increment, slots[0].up), (3, Some(8083), true));
    assert_eq!(slots[1].spec, demo());
    assert!(!slots[1].up);
}

#[test]
fn a_hand_made_change_of_a_dump_counts() {
    let spec = AppSpec { env: variables(&[("MODE", "a")]), ..demo() };
    let text = dumped(&[online(0, 1, spec)])
        .replace("\"MODE\": \"a\",\n      \"PM2_HOME\"", "\"MODE\": \"b\",\n      \"PM2_HOME\"");
    let text = text.replace("\"--flag\"", "\"--other\"");
    let slots = dump::read(&text).expect("a dump");
    assert_eq!(slots[0].spec.env["MODE"], "b");
    assert_eq!(slots[0].spec.args, ["--other"]);
}

#[test]
fn what_is_no_dump_is_refused_with_a_reason() {
    assert!(matches!(dump::read("{"), Err(DumpError::Json(_))));
    assert!(matches!(dump::read("{}"), Err(DumpError::Json(_))));
    let error = dump::read(r#"[{"name":"a","pm_exec_path":"/a","pm_cwd":"/"},{"name":"b"}]"#).expect_err("no program");
    assert_eq!(error.to_string(), "process 2 of the list: `pm_exec_path` is missing");
    let error = dump::read(r#"[{"name":"a","pm_exec_path":"/a","pm_cwd":"/","baton":7}]"#).expect_err("not ours");
    assert_eq!(error.to_string(), "process 1 of the list: `baton` is of the wrong kind");
}

#[test]
fn a_dump_of_pm2_is_understood() {
    let slots = dump::read(PM2_DUMP).expect("PM2's dump");
    let names: Vec<(&str, u32, bool)> =
        slots.iter().map(|slot| (slot.spec.name.as_str(), slot.number, slot.up)).collect();
    assert_eq!(
        names,
        [("demo", 0, true), ("cfg", 0, true), ("cfg", 1, true), ("slp", 0, false), ("clu", 0, true), ("clu", 1, true)]
    );

    let demo = &slots[0].spec;
    assert_eq!((demo.script.as_str(), demo.cwd.as_str()), ("/home/u/app/echo.js", "/home/u/app"));
    assert_eq!((demo.interpreter.as_str(), demo.args.as_slice()), ("node", ["--flag".to_owned()].as_slice()));
    assert_eq!(*demo.base_env, variables(&[("HOME", "/home/u"), ("PATH", "/usr/local/bin:/usr/bin:/bin")]));
    assert_eq!((demo.env.clone(), demo.declared.len(), demo.merge_logs), (Environment::new(), 0, true));

    let cfg = &slots[1].spec;
    assert_eq!(cfg.env, variables(&[("A", "1"), ("B", "{\"x\":1}")]));
    assert_eq!(cfg.env_profiles["production"], variables(&[("A", "2")]));
    assert_eq!((cfg.port, cfg.increment_var.as_deref()), (Some(8080), Some("PORT")));
    assert_eq!((slots[1].increment, slots[2].increment), (Some(8080), Some(8081)));
    assert_eq!((cfg.min_uptime, cfg.restart_delay), (Millis(10_000), Millis(50)));
    assert_eq!(cfg.stop_exit_codes, [0, 2]);
    assert_eq!(cfg.log_date_format.as_deref(), Some("YYYY"));
    assert_eq!(cfg.instances, Instances(2));
    let declared: Vec<&str> = cfg.declared.keys().map(String::as_str).collect();
    assert_eq!(declared, [""; 0]);
    assert!(cfg.cron_restart.is_some() && cfg.max_memory_restart.is_some());
    assert_eq!((cfg.watch.roots(), cfg.ignore_watch.is_empty()), (vec!["lib"], false));
    assert_eq!(cfg.hash(), slots[2].spec.hash(), "instances of one app share its definition");
    let directories = Directories { logs: "/elsewhere".into(), pids: "/elsewhere".into() };
    let files = InstanceFiles::of(cfg, InstanceId(9), &directories);
    assert_eq!(files.out.as_deref(), Some("/home/u/.pm2/logs/cfg-out-9.log"));
    assert_eq!(files.combined.as_deref(), Some("/home/u/app/all-9.log"));
    assert_eq!(files.pid, "/home/u/.pm2/pids/cfg-9.pid");

    let slp = &slots[3].spec;
    assert_eq!((slp.interpreter.as_str(), slp.autorestart, slp.max_restarts), ("none", false, Some(3)));
    assert_eq!((slp.kill_timeout, slp.out_file.as_deref()), (Millis(3000), Some("/dev/null")));

    let clu = &slots[5].spec;
    assert_eq!((clu.exec_mode, clu.namespace.as_str(), clu.instances), (ExecMode::Cluster, "web", Instances(2)));
}

#[test]
fn modules_of_pm2_are_left_out() {
    let text = r#"[{"name":"pm2-logrotate","pm_exec_path":"/m","pm_cwd":"/","pmx_module":true}]"#;
    assert_eq!(dump::read(text).expect("a dump"), []);
}

fn environment() -> impl Strategy<Value = Environment> {
    prop::collection::btree_map("[A-Z_]{1,6}|name|status|pm_id|PM2_HOME|unique_id|PORT", "[a-z0-9 \"\n]{0,6}", 0..8)
}

proptest! {
    #[test]
    fn no_environment_is_lost(env in environment(), base_env in environment(), shell in any::<bool>(), port in prop::option::of(1_u32..9), number in 0_i64..9) {
        let env_priority = if shell { EnvPriority::Shell } else { EnvPriority::File };
        let spec = AppSpec { env, base_env: base_env.into(), env_priority, port, increment_var: Some("PORT".into()), filter_env: vec!["A".into()], ..demo() };
        let mut instance = online(0, 1, spec.clone());
        instance.increment = Some(number);
        let slots = dump::read(&dumped(&[instance])).expect("our own dump");
        prop_assert_eq!(&slots[0].spec, &spec);
        prop_assert_eq!(slots[0].increment, Some(number));
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[\\[\\]{}\":,a-z0-9 ]{0,60}", cut in 0_usize..11_000) {
        let _ = dump::read(&text);
        let end = PM2_DUMP.char_indices().map(|(at, _)| at).take_while(|at| *at <= cut).last().unwrap_or(0);
        prop_assert!(dump::read(&PM2_DUMP[..end]).is_err());
    }
}
