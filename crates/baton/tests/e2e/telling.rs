//! What programs tell of themselves: metrics and actions, in `describe`, `jlist` and `trigger`.

use crate::beside_pm2::pair::{Pair, program};
use crate::harness::{Baton, kill};
use crate::programs::node;
use baton_core::world::Status;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Tells two metrics and three actions, and answers them.
const TELLS: &str = "
const tell = (type, data) => process.send({ type, data });
for (const action_name of ['hello', 'echo', 'never', 'die']) tell('axm:action', { action_name, arity: 1 });
tell('axm:action', { action_name: 'hello', arity: 9 });
tell('axm:monitor', { clicks: { value: 3, unit: 'n' }, 'Heap Size': { value: 'mine' } });
tell('axm:monitor', { clicks: { value: 4, unit: 'n' } });
tell('axm:option:configuration', { module_name: 'app', human: true });
process.on('message', message => {
  const { msg: name, opts } = message.msg ? message : { msg: message };
  if (name === 'die') process.exit(3);
  if (name !== 'never') tell('axm:reply', { action_name: name, return: { name, opts, whole: message } });
});
process.send('ready');
";

/// Starts an app that is ready when it has told what it tells at first.
fn start(baton: &Baton, script: &str, args: &[&str]) {
    baton.file("app.js", script);
    baton.run([&["start", "app.js", "--wait-ready", "--listen-timeout", "1h"], args].concat()).ok();
}

/// Asks for the entry of an app until it is as wished.
fn until(baton: &Baton, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        let entry = baton.entry("app");
        if wished(&entry["pm2_env"]) {
            return entry["pm2_env"].clone();
        }
        assert!(
            Instant::now() < give_up,
            "{what}: {} {}",
            entry["pm2_env"]["axm_monitor"],
            entry["pm2_env"]["axm_options"]
        );
    }
}

fn names(record: &Value) -> Vec<&str> {
    record["axm_actions"].as_array().expect("a list").iter().filter_map(|one| one["action_name"].as_str()).collect()
}

/// The folder of packages that PM2 came with: `tx2` and `@pm2/io` are among them.
pub(crate) fn packages() -> Option<PathBuf> {
    program()?.ancestors().find(|path| path.ends_with("node_modules")).map(Into::into)
}

#[test]
fn metrics_and_actions_are_shown_and_go_with_the_life() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    start(&baton, TELLS, &["--no-autorestart"]);
    let record = baton.entry("app")["pm2_env"].clone();
    assert_eq!(record["axm_monitor"]["clicks"], json!({ "value": 4, "unit": "n" }));
    assert_eq!(record["axm_monitor"]["Heap Size"], json!({ "value": "mine" }));
    assert_eq!(record["axm_options"]["module_name"], "app");
    assert_eq!(names(&record)[..4], ["hello", "echo", "never", "die"]);
    assert_eq!(record["axm_actions"][0]["arity"], 1, "the first of a name stays");
    let shown = baton.run(["describe", "app"]).ok();
    for text in [" Actions available ", "│ hello", "Trigger via: baton trigger app <action_name>", "│ 4 n"] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
    baton.run(["stop", "app"]).ok();
    let record = baton.entry("app")["pm2_env"].clone();
    assert_eq!((&record["axm_monitor"], &record["axm_actions"]), (&json!({}), &json!([])));
    assert!(!baton.run(["describe", "app"]).ok().stdout.contains("Actions available"));
    let left = std::fs::read_dir(baton.home().join("run/told")).expect("folder").count();
    assert_eq!(left, 0);
}

#[test]
fn what_is_told_once_survives_the_daemon() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    start(&baton, TELLS, &[]);
    for _ in 0..2 {
        let daemon = baton.daemon();
        kill(daemon);
        baton.connect_to_successor(daemon);
    }
    assert_eq!(names(&baton.entry("app")["pm2_env"])[..4], ["hello", "echo", "never", "die"]);
    let whole = r#"[app:0:default]={"name":"hello","whole":"hello"}"#;
    baton.run(["trigger", "app", "hello"]).ok().stdout_has(whole);
}

#[test]
fn a_program_that_ends_instead_of_answering_is_told() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    start(&baton, TELLS, &["--no-autorestart"]);
    let run = baton.run(["trigger", "app", "die"]).code(1);
    run.stdout_has("1 processes have received command die").stderr_has("[app:0:default] ended");
    baton.wait_status("app", Status::Stopped);
    baton.run(["trigger", "app", "hello"]).code(1).stderr_has("Not any process has received a command");
}

#[test]
fn a_program_that_tells_without_end_does_not_grow_the_daemon() {
    if !node() {
        return;
    }
    let baton = Baton::new();
    let script = "
      for (let n = 0; n < 3000; n++) {
        process.send({ type: 'axm:monitor', data: { ['m' + n]: { value: n } } });
        process.send({ type: 'axm:action', data: { action_name: 'a' + n } });
        process.send({ type: 'axm:option:configuration', data: { ['o' + n]: 'x'.repeat(n * 3) } });
      }
      process.send('ready'); setInterval(() => {}, 1e6)";
    start(&baton, script, &[]);
    let record = baton.entry("app")["pm2_env"].clone();
    let size = |key: &str| record[key].as_object().map_or_else(|| names(&record).len(), serde_json::Map::len);
    for key in ["axm_monitor", "axm_actions", "axm_options"] {
        assert!(size(key) >= 256 && size(key) < 300, "{key}: {}", size(key));
    }
    baton.wait_file(
        &baton.home().join("pm2.log"),
        "tells more metrics, actions or options than are kept of one, or larger ones",
    );
}

#[test]
fn actions_of_tx2_are_triggered_as_under_pm2() {
    let Some(pair) = Pair::new() else { return };
    let packages = packages().expect("PM2 is there");
    pair.file(
        "app.js",
        &format!(
            "
        const tx2 = require('{}');
        tx2.metric('queue', () => 3);
        tx2.action('hello', reply => reply({{ hi: 1, text: 'ü' }}));
        tx2.action('plain', reply => reply('text'));
        tx2.action('echo', (param, reply) => reply({{ got: param }}));
        process.send('ready')",
            packages.join("tx2").display()
        ),
    );
    pair.same(&["start", "app.js", "--wait-ready", "--listen-timeout", "60000"]);
    for words in [
        &["app", "hello"][..],
        &["app", "plain"],
        &["0", "plain"],
        &["app", "echo", "xyz"],
        &["0", "echo", "a b"],
        &["app", "echo", ""],
        &["default", "hello"],
        &["all", "hello"],
        &["app", "nope"],
        &["0", "nope"],
        &["nope", "hello"],
        &["99", "hello"],
    ] {
        pair.same(&[&["trigger"], words].concat());
    }
    let tells = |side: &Value| side["pm2_env"]["axm_monitor"]["queue"] == json!({ "value": 3 });
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        let (theirs, ours) = pair.lists();
        if tells(&theirs[0]) && tells(&ours[0]) {
            break;
        }
        assert!(Instant::now() < give_up, "{ours:?}");
    }
}

#[test]
fn a_program_with_pm2_io_has_each_metric_once_and_its_actions_answer() {
    let Some(package) = packages().map(|packages| packages.join("@pm2/io")) else { return };
    if !package.exists() {
        assert!(std::env::var_os("CI").is_none(), "this test needs {}, and CI must have it", package.display());
        eprintln!("NOT TESTED: this test needs @pm2/io, which is not at {}", package.display());
        return;
    }
    let baton = Baton::new();
    let script = format!(
        "
        const io = require('{}');
        io.init({{ metrics: {{ eventLoop: true, v8: true }} }});
        io.metric({{ name: 'Realtime users', value: () => 7 }});
        io.action('db:clean', reply => reply({{ success: true }}));
        process.send('ready')",
        package.display()
    );
    start(&baton, &script, &[]);
    let record = until(&baton, "metrics", |record| {
        record["axm_monitor"]["Realtime users"]["value"] == 7 && record["axm_monitor"]["Heap Size"].is_object()
    });
    assert_eq!(names(&record).iter().filter(|name| **name == "db:clean").count(), 1);
    baton.run(["trigger", "app", "db:clean"]).ok().stdout_has(r#"[app:0:default]={"success":true}"#);
    baton.run(["describe", "app"]).ok().stdout_has("│ Realtime users");
}

/// PM2's own client: listens, sends the app a message, triggers an action, and prints what it hears.
const CLIENT: &str = "
const pm2 = require(process.argv[2]);
const wanted = ['process:msg', 'human:event', 'x:y', 'axm:reply', 'process:exception'];
const fail = (what, error) => { console.log(what, error); process.exit(1) };
pm2.connect(error => error ? fail('connect', error) : pm2.launchBus((error, bus) => {
  if (error) fail('bus', error);
  bus.on('*', (topic, { at, process: { versioning, rev, ...from }, ...packet }) => {
    if (!wanted.includes(topic) || !(at > 0)) return;
    console.log(topic, JSON.stringify({ ...packet, from }));
    if (topic === 'axm:reply') pm2.sendDataToProcessId(0, { data: 1, topic: 'end' }, () => {});
    if (packet.raw === 'last') pm2.disconnect(() => process.exit());
  });
  pm2.list((error, list) => {
    if (error) fail('list', error);
    console.log(list.map(({ name, pm_id, pid, pm2_env }) => [name, pm_id, pid > 0, pm2_env.status, pm2_env.axm_actions.some(({ action_name }) => action_name === 'hello')]));
    pm2.sendDataToProcessId({ id: 9, topic: 't', data: 1 }, error => {
      console.log('refused', error.message);
      pm2.sendDataToProcessId(0, { type: 'process:msg', data: { some: 'data' }, topic: 'go' }, (error, sent) => {
        console.log('sent', error, JSON.stringify(sent));
        pm2.trigger('app', 'nope', error => {
          console.log('refused', error.message);
          // PM2's client misses an answer that comes before it knows how many there will be: only the bus is sure of it.
          pm2.trigger('app', 'hello', () => {});
        });
      });
    });
  });
}));
";

#[test]
fn the_client_of_pm2_hears_programs_and_speaks_to_them() {
    let Some(pair) = Pair::new() else { return };
    let packages = packages().expect("PM2 is there");
    let app = "
      process.send({ type: 'axm:action', data: { action_name: 'hello', arity: 1 } });
      process.on('message', message => {
        if (message === 'hello') process.send({ type: 'axm:reply', data: { return: { hi: 1 }, action_name: 'hello' } });
        if (message.topic === 'go') for (const said of [{ type: 'process:msg', data: message }, 'plain', 7, { type: 'x:y', data: [1] }, { type: 'x:y' }, { type: 'x:y', data: 0 }, { data: 1 },
            { type: 'human:event', data: { __name: 'sold', n: 1 } }, { type: 'process:exception', data: { message: 'm' } }, { type: 'axm:monitor', data: { m: { value: 1 } } }]) process.send(said);
        if (message.topic === 'end') process.send('last');
      });
      process.send('ready')";
    pair.file("app.js", app);
    pair.file("client.js", CLIENT);
    pair.same(&["start", "app.js", "--wait-ready", "--listen-timeout", "60000"]);
    let hears = |home: &std::path::Path, work: &std::path::Path| {
        #[expect(clippy::disallowed_methods, reason = "a client of PM2's is started as a user would")]
        let output = std::process::Command::new("node")
            .args([work.join("client.js"), packages.join("pm2")])
            .env("PM2_HOME", home)
            .output()
            .expect("node");
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        // Answers of the one socket and news of the other come in no order.
        lines.sort();
        lines
    };
    let theirs = hears(pair.pm2.home(), pair.pm2.work());
    let ours = hears(pair.baton.home(), pair.baton.dir());
    assert_eq!(theirs, ours);
    assert!(ours.len() > 12 && ours.iter().any(|line| line.contains(r#"{"raw":"last""#)), "{ours:#?}");
}

#[test]
fn garbage_on_the_socket_of_pm2_harms_nobody() {
    let baton = Baton::new();
    baton.run(["ping"]).ok();
    for garbage in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        &[0x12, 0xff, 0xff, 0xff, 0xff],
        &[0x1f],
        &[0x11, 0, 0, 0, 2, b'j', b':'],
        &[0x10],
    ] {
        use std::io::Write;
        let mut socket = std::os::unix::net::UnixStream::connect(baton.home().join("rpc.sock")).expect("a socket");
        socket.write_all(garbage).expect("sent");
    }
    baton.run(["ping"]).ok();
    baton.run(["kill"]).ok();
    assert!(!baton.home().join("rpc.sock").exists() && !baton.home().join("pub.sock").exists());
}
