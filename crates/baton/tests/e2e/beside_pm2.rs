//! The same input under real PM2 and under baton called as PM2.
//!
//! Whatever differs on purpose stands in docs/pm2-differences.md, and the test that passes over it names its row.

pub(crate) mod pair;

use crate::harness::{Baton, alive};
use baton_core::world::Status;
use pair::{Pair, Pm2, Said, documented, equal};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const SHELL: &str = "echo out; echo err >&2; exec sleep 1000\n";
const NODE: &str = "console.log('hi'); setInterval(() => {}, 1e6)\n";

#[test]
fn verbs_say_the_same() {
    let Some(pair) = Pair::new() else { return };
    pair.file("a.sh", SHELL);
    pair.file("n.js", NODE);
    pair.same(&["ping"]);
    pair.same(&["start", "a.sh"]);
    pair.same(&["start", "a.sh"]);
    pair.same(&["start", "a.sh", "-f"]);
    pair.same(&["start", "n.js", "--name", "node_x", "--namespace", "web", "--", "x", "y z"]);
    pair.same(&["start", "exec sleep 1000"]);
    for verb in ["ls", "list", "l", "ps", "status"] {
        pair.same(&[verb]);
    }
    pair.same(&["ls", "-m"]);
    pair.same(&["ls", "--sort", "id:desc"]);
    for name in ["a", "node_x", "nope"] {
        pair.same(&["id", name]);
    }
    pair.same(&["pid", "nope"]);
    let (theirs, ours) = pair.each(&["pid"]);
    assert_eq!(theirs.stdout.lines().count(), ours.stdout.lines().count());
    assert!(ours.stdout.lines().all(|line| line.parse::<u32>().is_ok()), "{ours:?}");
    pair.same(&["stop", "a"]);
    pair.same(&["stop", "a"]);
    pair.same(&["pid", "a"]);
    pair.same(&["start", "a.sh"]);
    pair.same(&["restart", "a"]);
    pair.same(&["restart", "web"]);
    pair.same(&["restart", "/^node/"]);
    documented("several targets");
    let (theirs, ours) = pair.each(&["stop", "0", "1"]);
    let sorted = |said: Said| {
        let mut lines: Vec<_> = said.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        (said.code, lines)
    };
    assert_eq!(sorted(theirs), sorted(ours));
    pair.same(&["start", "a"]);
    pair.same(&["stop", "all"]);
    pair.same(&["restart", "2", "--update-env"]);
    pair.same(&["reset", "a"]);
    pair.same(&["reloadLogs"]);
    pair.same(&["flush"]);
    pair.same(&["save"]);
    pair.same(&["delete", "2"]);
    pair.same(&["delete", "all"]);
    pair.same(&["save"]);
    pair.same(&["ls"]);
    pair.same(&["resurrect"]);
    pair.same(&["cleardump"]);
    pair.same(&["kill"]);
}

#[test]
fn mistakes_are_told_the_same() {
    let Some(pair) = Pair::new() else { return };
    pair.file("a.sh", SHELL);
    for verb in ["stop", "restart", "delete"] {
        pair.same(&[verb, "all"]);
        pair.same(&[verb, "nope"]);
        pair.same(&[verb, "/nope/"]);
        let (theirs, ours) = pair.each(&[verb, "99"]);
        documented("an unknown number");
        assert_eq!((theirs.code, ours.code), (Some(1), Some(1)), "{verb} 99");
        assert!(theirs.stderr.contains("unknown") && ours.stderr.contains("99 : id unknown"), "{theirs:?} {ours:?}");
    }
    pair.same(&["start"]);
    pair.same(&["start", "--bogus", "a.sh"]);
    pair.same(&["describe", "nope"]);
    pair.same(&["env", "77"]);
    pair.same(&["reset", "nope"]);
    pair.same(&["sendSignal", "SIGUSR1", "nope"]);
    pair.same(&["delete", "all", "--silent"]);
    pair.same(&["start", "a.sh"]);
    pair.same(&["restart", "a", "--env", "x"]);
    documented("help and usage");
    for args in [&["bogus"][..], &["stop"], &["save", "x"], &["start", "nope.js"]] {
        let (theirs, ours) = pair.each(args);
        let first = |said: &Said| format!("{}{}", said.stdout, said.stderr).lines().nth(1).map(str::to_owned);
        assert_eq!((theirs.code, ours.code), (Some(1), Some(1)), "{args:?}: {theirs:?} {ours:?}");
        assert!(first(&ours).is_some(), "{args:?} says nothing");
    }
    let (theirs, ours) = pair.each(&["bogus"]);
    assert_eq!(theirs.stdout.lines().next(), Some("[PM2][ERROR] Command not found"));
    assert_eq!(theirs.stdout.lines().next(), ours.stdout.lines().next());
    let (theirs, ours) = pair.each(&["start", "nope.js"]);
    assert_eq!(theirs.stderr.lines().next(), ours.stderr.lines().next());
    documented("`flush` of an unknown name");
    pair.same_but_errors(&["flush", "nope"]);
    // The flag is met: `--silent` says nothing, and the code stays.
    let said = pair.same(&["stop", "nope", "--silent"]);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
}

#[test]
fn describe_has_the_same_rows() {
    let Some(pair) = Pair::new() else { return };
    pair.file("a.sh", SHELL);
    pair.same(&["start", "a.sh", "--name", "one", "--max-restarts", "7", "--", "x", "y"]);
    pair.logs("logs/one-error.log", "err");
    let (theirs, ours) = pair.each(&["describe", "one"]);
    documented("`describe`");
    let cells = |said: &Said| -> Vec<Vec<String>> {
        let rows = said.stdout.lines().filter(|line| line.starts_with('│'));
        rows.map(|line| line.split('│').map(|cell| cell.trim().to_owned()).collect()).collect()
    };
    let (theirs_rows, mut ours_rows) = (cells(&theirs), cells(&ours));
    let added = ours_rows.pop().expect("a row");
    assert_eq!(added[1], "last cause");
    assert_eq!(theirs_rows, ours_rows);
    for said in [&theirs, &ours] {
        for line in [
            " Describing process with id 0 - name one",
            " Use `pm2 logs one [--lines 1000]` to display logs",
            " Use `pm2 env 0` to display environment variables",
            " Use `pm2 monit` to monitor CPU and Memory usage one",
        ] {
            assert!(said.stdout.lines().any(|found| found == line), "{line:?} in {said:?}");
        }
    }
}

/// An app of each kind of definition that a process file may hold.
fn apps() -> Value {
    json!({"apps": [
        {"name": "shell_app", "script": "dump.sh", "env": {"MODE": "base", "PORT": 3000, "FLAG": true},
            "env_production": {"MODE": "production"}, "args": "--one 'two words' three"},
        {"name": "node-app", "script": "dump.js", "args": ["--one", "two words"], "node_args": "--no-warnings",
            "namespace": "web", "max_restarts": 3, "kill_timeout": 3000},
        {"name": "py", "script": "dump.py", "out_file": "py.log", "error_file": "py.err", "instances": 2,
            "exec_mode": "fork", "increment_var": "PORT", "env": {"PORT": 4000}},
        {"name": "merged", "script": "dump.sh", "merge_logs": true, "instances": 2, "exec_mode": "fork"},
        {"name": "dated", "script": "lines.sh", "log_date_format": "YYYY-MM-DDTHH:mm:ss", "pid_file": "dated.pid"},
        {"name": "combined", "script": "lines.sh", "log_file": "both.log", "time": true},
        {"name": "off", "script": "lines.sh", "autorestart": false, "autostart": false, "restart_delay": 100},
    ]})
}

fn write_apps(pair: &Pair) {
    pair.file("dump.sh", "echo \"args $*\"; env; echo end of dump; exec sleep 1000\n");
    pair.file(
        "dump.js",
        "console.log('args ' + process.argv.slice(2).join(' '));\
         for (const [k, v] of Object.entries(process.env)) console.log(k + '=' + v);\
         console.log('end of dump'); setInterval(() => {}, 1e6)\n",
    );
    pair.file(
        "dump.py",
        "import os, sys, time\nprint('args', *sys.argv[1:])\nfor k, v in os.environ.items(): print(k + '=' + v)\n\
         print('end of dump')\ntime.sleep(1000)\n",
    );
    pair.file("lines.sh", "echo first; sleep 0.1; echo second >&2; sleep 0.1; echo end of lines; exec sleep 1000\n");
    pair.file("ecosystem.config.json", &apps().to_string());
}

/// What a record says, with its kind where the value is the process's own.
fn face(record: &Map<String, Value>) -> Map<String, Value> {
    let own = ["pid", "pm_uptime", "created_at", "unique_id", "monit", "_"];
    let mut face = Map::new();
    for (key, value) in record {
        let shown = match value {
            _ if own.contains(&key.as_str()) => Value::from(kind(value)),
            Value::Object(inner) if key == "pm2_env" || key == "env" => Value::Object(self::face(inner)),
            value => value.clone(),
        };
        face.insert(key.clone(), shown);
    }
    face
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Removes what differs on purpose between records of PM2 and ours.
fn agreed(record: &mut Map<String, Value>) {
    documented("`node_version`, code metrics");
    documented("variables that PM2 sets for itself");
    documented("keys of a record that say nothing");
    documented("records in the dump");
    let name = record.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let by_pm2 = [
        "PYTHONUNBUFFERED",
        "_tree_pids",
        "baton",
        "node_version",
        "axm_actions",
        "axm_monitor",
        "axm_options",
        "axm_dynamic",
        "PM2_INTERACTOR_PROCESSING",
        "PM2_JSON_PROCESSING",
    ];
    // PM2 leaves the app's module configuration here, which is empty.
    record.retain(|key, value| {
        !by_pm2.contains(&key.as_str()) && (*key != name || (value != "{}" && value != &json!({})))
    });
    for (key, nothing) in
        [("filter_env", json!([])), ("watch", json!(false)), ("merge_logs", json!(false)), ("version", json!("N/A"))]
    {
        if record.get(key) == Some(&nothing) {
            record.remove(key);
        }
    }
    documented("numbers and booleans in `env`");
    if let Some(Value::Object(env)) = record.get_mut("env") {
        env.retain(|key, value| {
            !by_pm2.contains(&key.as_str()) && (*key != name || (value != "{}" && value != &json!({})))
        });
        as_text(env);
        let names: Vec<String> = env.keys().cloned().collect();
        for name in names {
            if let Some(value) = record.get_mut(&name).filter(|value| value.is_number() || value.is_boolean()) {
                *value = Value::from(value.to_string());
            }
        }
    }
    if let Some(Value::Object(inner)) = record.get_mut("pm2_env") {
        agreed(inner);
    }
}

fn as_text(env: &mut Map<String, Value>) {
    for value in env.values_mut().filter(|value| value.is_number() || value.is_boolean()) {
        *value = Value::from(value.to_string());
    }
}

#[track_caller]
fn same_records(pair: &Pair, theirs: &[Value], ours: &[Value]) {
    assert_eq!(theirs.len(), ours.len());
    let mut differing = Vec::new();
    for (theirs, ours) in theirs.iter().zip(ours) {
        let (theirs, ours) = pair.places(&theirs.to_string(), &ours.to_string());
        let read = |text: &str| {
            let mut record: Map<String, Value> = serde_json::from_str(text).expect("a record");
            agreed(&mut record);
            face(&record)
        };
        let (theirs, ours) = (read(&theirs), read(&ours));
        compare(&theirs["name"].to_string(), &theirs, &ours, &mut differing);
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn compare(of: &str, theirs: &Map<String, Value>, ours: &Map<String, Value>, differing: &mut Vec<String>) {
    let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for key in keys {
        match (theirs.get(key), ours.get(key)) {
            (Some(Value::Object(theirs)), Some(Value::Object(ours))) if key == "pm2_env" || key == "env" => {
                compare(&format!("{of}.{key}"), theirs, ours, differing);
            }
            (theirs, ours) if theirs != ours => differing.push(format!("{of}.{key}: PM2 {theirs:?}, baton {ours:?}")),
            _ => {}
        }
    }
}

/// The lines of a dump of arguments and environment, but what differs on purpose and times.
fn variables(dump: &str) -> BTreeSet<String> {
    documented("keys of a record that say nothing");
    documented("variables that PM2 sets for itself");
    documented("`PWD`");
    let own = [
        "PM2_INTERACTOR_PROCESSING",
        "PM2_JSON_PROCESSING",
        "NODE_CHANNEL_FD",
        "NODE_CHANNEL_SERIALIZATION_MODE",
        "BATON_MARK",
        "PWD",
        "pm_uptime",
        "created_at",
    ];
    let differs = |line: &str| {
        let name = line.split('=').next().unwrap_or_default();
        own.contains(&name) || line.ends_with("={}") || line == "watch=false" || line == "merge_logs=false"
    };
    let end = dump.find("end of dump").expect("the end");
    dump[..end].lines().filter(|line| !differs(line)).map(str::to_owned).collect()
}

#[test]
fn process_files_make_the_same_apps() {
    let Some(pair) = Pair::new() else { return };
    let pair = pair.env("FROM_SHELL", "yes");
    write_apps(&pair);
    documented("warnings about a process file");
    let args = ["start", "ecosystem.config.json", "--env", "production", "--only", "shell_app,node-app"];
    let (theirs, ours) = pair.each(&args);
    let warning = "[PM2][WARN] Environment [production] is not defined in process file\n";
    assert!(ours.stderr.contains(warning), "{ours:?}");
    let rest = |said: Said| Said {
        stdout: said.stdout.replace(warning, ""),
        stderr: said.stderr.replace(warning, ""),
        ..said
    };
    equal(&args, &rest(theirs), &rest(ours));
    pair.same(&["start", "ecosystem.config.json", "--only", "py"]);
    pair.same(&["start", "ecosystem.config.json", "--only", "merged"]);
    pair.same(&["start", "ecosystem.config.json", "--only", "dated"]);
    pair.same(&["start", "ecosystem.config.json", "--only", "combined"]);
    documented("an app with `autostart: false`");
    pair.each(&["start", "ecosystem.config.json", "--only", "off"]);
    for name in ["shell-app-out", "node-app-out", "merged-out"] {
        pair.logs(&format!("logs/{name}.log"), "end of dump");
    }
    pair.logs("logs/dated-out.log", "end of lines");
    let (theirs, ours) = pair.lists();
    same_records(&pair, &theirs, &ours);
    assert_eq!(pair.names("logs").0, pair.names("logs").1);
    assert_eq!(pair.names("pids").0, pair.names("pids").1);

    // What the children see.
    let seen = [
        ("shell", pair.logs("logs/shell-app-out.log", "end of dump")),
        ("node", pair.logs("logs/node-app-out.log", "end of dump")),
        ("python", pair.beside_script("py-2.log", "end of dump")),
        ("the second python", pair.beside_script("py-3.log", "end of dump")),
    ];
    for (what, (theirs, ours)) in seen {
        let (theirs, ours) = (variables(&theirs), variables(&ours));
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
        assert!(theirs == ours, "{what}: only PM2 {:#?}, only baton {:#?}", only(&theirs, &ours), only(&ours, &theirs));
    }

    // Dates: a time in front of each line, in the same form.
    assert_eq!(pair.logs("logs/dated-out.log", "end of lines").0, pair.logs("logs/dated-out.log", "end of lines").1);
    assert_eq!(pair.logs("logs/dated-error.log", "second").0, pair.logs("logs/dated-error.log", "second").1);

    // The dump has the records, and both read it back.
    pair.same(&["delete", "off"]);
    pair.same(&["stop", "node-app"]);
    pair.same(&["save"]);
    let (theirs, ours) = pair.json("dump.pm2");
    same_records(&pair, theirs.as_array().expect("list"), ours.as_array().expect("list"));
    pair.same(&["kill"]);
    let sorted = |said: &Said| {
        let mut lines: Vec<&str> = said.stdout.lines().filter(|line| line.ends_with("restored")).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    let (theirs, ours) = pair.each(&["resurrect"]);
    assert_eq!((theirs.code, sorted(&theirs)), (ours.code, sorted(&ours)));
    let names = |list: &[Value]| -> Vec<(Value, Value)> {
        let mut rows: Vec<_> = list.iter().map(|e| (e["name"].clone(), e["pm2_env"]["status"].clone())).collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    };
    let (theirs, ours) = pair.lists();
    assert_eq!(names(&theirs), names(&ours));
}

#[test]
fn crash_loops_end_the_same() {
    let Some(pair) = Pair::new() else { return };
    pair.file("crash.sh", "exit 3\n");
    pair.file("listed.sh", "exit 4\n");
    let apps = json!({"apps": [
        {"name": "crash", "script": "crash.sh", "max_restarts": 3},
        {"name": "listed", "script": "listed.sh", "stop_exit_codes": [4]},
        {"name": "once", "script": "crash.sh", "autorestart": false},
    ]});
    pair.file("crash.config.json", &apps.to_string());
    let (theirs, ours) = pair.each(&["start", "crash.config.json"]);
    assert_eq!((theirs.code, ours.code), (Some(0), Some(0)));
    pair.baton.wait_file(&pair.pm2.home().join("pm2.log"), "too many unstable restarts");
    for name in ["listed", "once"] {
        pair.baton.wait_file(
            &pair.pm2.home().join("pm2.log"),
            &format!("App [{name}:{}] exited", usize::from(name == "once") + 1),
        );
    }
    pair.baton.wait_status("crash", Status::Errored);
    pair.baton.wait_status("listed", Status::Stopped);
    pair.baton.wait_status("once", Status::Stopped);
    let (theirs, ours) = pair.lists();
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs["pid"], ours["pid"], "{}", theirs["name"]);
        for key in ["name", "status", "restart_time", "unstable_restarts", "exit_code"] {
            assert_eq!(theirs["pm2_env"][key], ours["pm2_env"][key], "{key} of {}", ours["name"]);
        }
        documented("`created_at` of an errored app");
        assert!(ours["pm2_env"]["created_at"].is_number());
    }
    pair.same(&["ls"]);
    pair.same(&["delete", "crash.config.json"]);
}

#[test]
fn every_form_of_process_file_is_read_the_same() {
    let Some(pair) = Pair::new() else { return };
    let pair = pair.env("WORD", "from-shell");
    pair.file("app.sh", "exec sleep 1000\n");
    let forms = [
        ("loose.json", "// a note\n[{name: 'loose', script: './app.sh', args: ['a', \"b c\"],}, /* more */]\n"),
        ("one.json", r#"{"name": "one", "script": "app.sh", "cwd": ".", "error": "one.err", "out": "one.out"}"#),
        ("apps.yaml", "apps:\n  - name: yaml\n    script: ./app.sh\n    args: a 'b c'\n    env:\n      N: 1\n"),
        (
            "js.config.js",
            "module.exports = {apps: [{name: 'js-' + process.env.WORD, script: __dirname + '/app.sh', maxRestarts: 4}]}",
        ),
        (
            "cjs.config.cjs",
            "const list = ['x', 'y'].map(n => ({name: n, script: 'app.sh', namespace: 'cjs'}));\nexports.apps = list",
        ),
    ];
    for (name, content) in forms {
        pair.file(name, content);
        pair.same(&["start", name]);
    }
    let (theirs, ours) = pair.lists();
    let facts = |list: &[Value]| -> Vec<Value> {
        let mut facts: Vec<Value> = list
            .iter()
            .map(|entry| {
                let env = &entry["pm2_env"];
                let pick = ["namespace", "args", "max_restarts", "exec_mode", "exec_interpreter", "instances"];
                let picked = pick.iter().map(|key| ((*key).to_owned(), env[*key].clone())).collect::<Map<_, _>>();
                json!([entry["name"], picked])
            })
            .collect();
        facts.sort_by_key(Value::to_string);
        facts
    };
    assert_eq!(facts(&theirs), facts(&ours));
    let input = r#"[{"name": "piped", "script": "app.sh"}]"#.as_bytes();
    let (theirs, ours) = pair.each_with_input(&["start", "-"], input);
    equal(&["start", "-"], &theirs, &ours);
    pair.same(&["restart", "apps.yaml"]);
    pair.same(&["stop", "cjs.config.cjs"]);
    pair.same(&["delete", "cjs.config.cjs", "--only", "x"]);
    pair.same(&["delete", "loose.json"]);
    pair.same(&["delete", "loose.json"]);
    pair.file("broken.json", "[{");
    pair.file("none.json", r#"[{"name": "x"}]"#);
    for args in [
        &["start", "missing.config.js"][..],
        &["start", "broken.json"],
        &["start", "none.json"],
        &["restart", "missing.json"],
        &["stop", "missing.yaml"],
    ] {
        let (theirs, ours) = pair.each(args);
        assert_eq!((theirs.code, ours.code), (Some(1), Some(1)), "{args:?}: {theirs:?} {ours:?}");
    }
}

#[test]
fn a_broken_dump_is_told_the_same() {
    let Some(pair) = Pair::new() else { return };
    pair.same(&["ping"]);
    pair.same_but_errors(&["resurrect"]);
    std::fs::write(pair.pm2.home().join("dump.pm2"), "[{").expect("dump");
    std::fs::write(pair.baton.home().join("dump.pm2"), "[{").expect("dump");
    let (theirs, ours) = pair.same_but_errors(&["resurrect"]);
    let first = |said: &Said| said.stderr.lines().next().map(str::to_owned);
    assert_eq!(first(&theirs), first(&ours));
    assert_eq!(pair.pm2.home().join("dump.pm2").exists(), pair.baton.home().join("dump.pm2").exists());
}

#[test]
fn the_table_fits_the_terminal_the_same() {
    let Some(pair) = Pair::new() else { return };
    pair.file("a.sh", SHELL);
    pair.same(&["start", "a.sh", "--name", "a-rather-long-name-for-an-app-of-this-table"]);
    pair.same(&["stop", "all"]);
    for columns in [40, 60, 100, 140, 170, 200] {
        let (theirs, ours) = pair.on_terminal(columns, &["ls"]);
        assert_eq!(theirs, ours, "at {columns} columns:\n{theirs}\n{ours}");
    }
}

#[test]
fn a_daemon_of_pm2_is_taken_over() {
    let Some(pm2) = Pm2::new() else { return };
    pm2.file("count.sh", "echo started >> count.txt\nexec sleep 1000\n");
    pm2.run(&["start", "count.sh", "--name", "up"]);
    pm2.run(&["start", "count.sh", "--name", "down", "--", "x"]);
    pm2.run(&["stop", "down"]);
    let daemon = pm2.daemon().expect("PM2's daemon");
    let list: Vec<Value> = serde_json::from_str(&pm2.run(&["jlist"]).stdout).expect("jlist");
    let app = u32::try_from(list[0]["pid"].as_u64().expect("pid")).expect("pid");
    assert!(alive(app) && alive(daemon));

    let baton = Baton::called_on("pm2", pm2.home());
    baton.run(["ls"]).code(1).says("--take-over").says("7.0.4");
    assert!(alive(daemon) && alive(app), "a refusal ends nothing");
    assert!(baton.connect().is_none(), "and starts nothing");

    baton.run(["ls", "--take-over"]).ok();
    assert!(!alive(daemon), "PM2's daemon");
    assert!(!alive(app), "the app under PM2");
    assert!(pm2.home().join("baton.sock").exists());
    let list = baton.wait_for("both apps", |list| list.len() == 2 && list.iter().any(|v| v.status == Status::Online));
    let of = |name: &str| list.iter().find(|view| view.name == name).expect("an app");
    assert_eq!((of("up").status, of("down").status), (Status::Online, Status::Stopped));
    let entry = baton.entry("down");
    assert_eq!(entry["pm2_env"]["args"], json!(["x"]));
    let pid_file = std::fs::read_to_string(pm2.home().join("pm2.pid")).expect("pm2.pid");
    assert_eq!(pid_file.trim(), baton.daemon().to_string(), "PM2 removed its own pid file before ours was written");
    // Once by PM2 for each app, and once by us for the one that ran.
    let count = pm2.work().join("count.txt");
    baton.wait_file(&count, "started\nstarted\nstarted\n");
    baton.run(["ping"]).ok();
    assert_eq!(std::fs::read_to_string(&count).expect("count").lines().count(), 3);
    baton.run(["restart", "down"]).ok();
    baton.wait_status("down", Status::Online);
}
