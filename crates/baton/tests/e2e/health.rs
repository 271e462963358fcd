//! Apps that are asked, or say themselves, whether they are well.

use crate::harness::{Baton, alive, kill, testapp};
use baton_core::world::{InstanceView, Status, Well};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

fn app(name: &str, args: &[&str], more: Value) -> Value {
    let mut app = json!({"name": name, "script": testapp(), "args": args, "min_uptime": 0});
    app.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    app
}

fn start(baton: &Baton, apps: &[Value]) {
    baton.file("ecosystem.config.json", json!(apps).to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
}

fn wait_view(baton: &Baton, what: &str, wished: impl Fn(&InstanceView) -> bool) -> InstanceView {
    let list = baton.wait_for(what, |list| list.iter().any(&wished));
    list.into_iter().find(|view| wished(view)).expect("just seen")
}

fn is(view: &InstanceView, well: Well) -> bool {
    view.health.as_ref().is_some_and(|health| health.state == well)
}

/// A page whose status is as told.
struct Page(TcpListener);

impl Page {
    fn new() -> Page {
        Page(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    fn url(&self) -> String {
        format!("http://{}/health", self.0.local_addr().expect("an address"))
    }

    fn answer(&self, status: &str) {
        let (mut stream, _) = self.0.accept().expect("a probe");
        let mut asked = String::new();
        BufReader::new(&stream).read_line(&mut asked).expect("a request");
        write!(stream, "HTTP/1.1 {status}\r\n\r\n").expect("an answer");
    }
}

#[test]
fn an_app_whose_page_fails_is_started_again_and_tells_why() {
    let baton = Baton::new();
    let page = Page::new();
    let health = json!({"http": page.url(), "interval": 20, "retries": 2});
    start(&baton, &[app("web", &["wait"], json!({ "health": health }))]);
    page.answer("200 OK");
    let before = wait_view(&baton, "it to be healthy", |view| is(view, Well::Healthy));
    let entry = baton.entry("web");
    assert_eq!(entry["pm2_env"]["status"], "online");
    assert_eq!(entry["pm2_env"]["health"]["state"], "healthy");
    ["503 Busy", "200 OK", "503 Busy", "500 Broken"].into_iter().for_each(|status| page.answer(status));
    let after = wait_view(&baton, "a restart", |view| view.restarts == 1 && view.status == Status::Online);
    assert_ne!(after.pid, before.pid);
    assert!(!alive(before.pid.expect("a pid")));
    let why = format!("its health failed 2 times in a row: {}: status 500", page.url());
    baton.run(["why", "web"]).ok().stdout_has(&why);
    baton.run(["describe", "web"]).ok().stdout_has(&why).stdout_has("no probe has passed yet");
}

#[test]
fn a_command_tells_its_last_words_and_only_shows_what_is_wrong_when_that_is_wished() {
    let baton = Baton::new();
    baton.file("well", "");
    let exec = "test \"$WORD$name\" = yesweb && test -e well || { echo no disk >&2; exit 3; }";
    let health = json!({"exec": exec, "interval": 20, "retries": 2, "start_period": 0, "action": "none"});
    start(&baton, &[app("web", &["wait"], json!({"health": health, "env": {"WORD": "yes"}}))]);
    let before = wait_view(&baton, "it to be healthy", |view| is(view, Well::Healthy));
    baton.run(["ls", "--units"]).ok();
    std::fs::remove_file(baton.dir().join("well")).expect("removed");
    wait_view(&baton, "it to be degraded", |view| is(view, Well::Degraded));
    let entry = baton.entry("web");
    assert_eq!(
        (&entry["pm2_env"]["status"], &entry["pm2_env"]["health"]["found"]),
        (&json!("online"), &json!("exit code 3: no disk"))
    );
    baton.run(["describe", "web"]).ok().stdout_has("degraded, the last ").stdout_has("exit code 3: no disk");
    baton.run(["ls", "--units"]).code(1).stdout_has("degraded");
    baton.run(["why", "web"]).ok().stdout_has("degraded").stdout_has("exit code 3: no disk");
    baton.file("well", "");
    let after = wait_view(&baton, "it to be healthy again", |view| is(view, Well::Healthy));
    assert_eq!((after.pid, after.restarts), (before.pid, 0));
    baton.run(["why", "web"]).ok().stdout_has("its health is good again");
    // Nothing new is needed to take the key away.
    start(&baton, &[app("other", &["wait"], json!({}))]);
}

#[test]
fn an_app_that_is_not_well_is_stopped_when_that_is_wished() {
    let baton = Baton::new();
    baton.file("well", "");
    let health = json!({"exec": "test -e well", "interval": 20, "retries": 1, "action": "stop"});
    start(&baton, &[app("web", &["wait"], json!({ "health": health }))]);
    wait_view(&baton, "it to be healthy", |view| is(view, Well::Healthy));
    std::fs::remove_file(baton.dir().join("well")).expect("removed");
    baton.wait_status("web", Status::Stopped);
    baton.run(["why", "web"]).ok().stdout_has("its health failed: exec test -e well: exit code 1");
}

#[test]
fn a_probe_that_hangs_holds_nobody_up_and_ends_with_the_life_of_the_app() {
    let baton = Baton::new();
    let fifo = baton.dir().join("probe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).expect("a FIFO");
    let health = json!({"exec": "echo $$ > probe; exec sleep 100000", "timeout": "1h", "interval": 20});
    start(&baton, &[app("web", &["wait"], json!({ "health": health }))]);
    let probe: u32 = std::fs::read_to_string(&fifo).expect("the probe's pid").trim().parse().expect("a pid");
    baton.run(["ls"]).ok().stdout_has("online");
    assert!(alive(probe));
    baton.run(["stop", "web"]).ok();
    crate::harness::ended(probe);
}

#[test]
fn a_successor_of_the_daemon_goes_on_looking() {
    let baton = Baton::new();
    baton.file("well", "");
    let health = json!({"exec": "test -e well", "interval": 20, "retries": 3});
    start(&baton, &[app("web", &["wait"], json!({ "health": health }))]);
    let before = wait_view(&baton, "it to be healthy", |view| is(view, Well::Healthy));
    let daemon = baton.daemon();
    kill(daemon);
    baton.connect_to_successor(daemon);
    let view = wait_view(&baton, "it to be known", |view| view.status == Status::Online);
    assert_eq!((view.pid, is(&view, Well::Healthy)), (before.pid, true), "{view:?}");
    std::fs::remove_file(baton.dir().join("well")).expect("removed");
    wait_view(&baton, "a restart", |view| view.restarts == 1 && view.status == Status::Online);
}

#[test]
fn an_app_may_wait_for_another_to_be_healthy() {
    let baton = Baton::new();
    let db = app("db", &["wait"], json!({"health": {"exec": "test -e well", "interval": 20}}));
    let api = app("api", &["wait"], json!({"depends_on": {"db": "healthy"}}));
    baton.file("ecosystem.config.json", json!([db, api]).to_string());
    std::thread::scope(|scope| {
        let start = scope.spawn(|| baton.run(["start", "ecosystem.config.json", "--wait=10m"]));
        baton.wait_for("a failed probe", |list| {
            let db = list.iter().find(|view| view.name == "db").and_then(|view| view.health.as_ref());
            let waits = list.iter().any(|view| view.name == "api" && view.status == Status::Launching);
            waits && db.is_some_and(|health| health.found.is_some())
        });
        baton.run(["describe", "api"]).ok().stdout_has("db (healthy)");
        baton.file("well", "");
        start.join().expect("start").ok();
    });
    baton.wait_status("api", Status::Online);
    // What has no health can't be waited for.
    let late = app("late", &["wait"], json!({"depends_on": {"api": "healthy"}}));
    baton.file("late.config.json", late.to_string());
    let run = baton.run(["start", "late.config.json"]).code(1);
    run.stderr_has("waits for `api` to be healthy, and that has no `health`").stderr_has("write `health` into `api`");
}

#[test]
fn a_health_that_makes_no_sense_is_refused_and_an_unknown_member_told() {
    let baton = Baton::new();
    let check = |health: Value| {
        baton.file("ecosystem.config.json", app("web", &["wait"], json!({ "health": health })).to_string());
        baton.run(["start", "ecosystem.config.json"])
    };
    check(json!({"http": "ftp://x"}))
        .code(1)
        .stderr_has("ecosystem.config.json:1:")
        .stderr_has("a http probe: it needs a URL");
    check(json!({"tcp": 1, "action": "panic"})).code(1).stderr_has("not one of restart, stop, none");
    check(json!({"retries": 1})).code(1).stderr_has("write a map with one probe");
    assert_eq!(baton.jlist().len(), 0);
    let fine = json!({"exec": "true", "start-period": "1m", "retry": 3});
    check(fine).ok().stderr_has("`retry` of `health` is not known and is ignored");
    let both = app("web", &["wait"], json!({"watchdog": "1s", "ready": "fd"}));
    baton.file("ecosystem.config.json", both.to_string());
    baton.run(["start", "ecosystem.config.json"]).code(1).stderr_has("is not possible beside `ready: fd`");
}

#[test]
fn an_app_with_a_watchdog_is_started_again_when_it_is_silent() {
    let baton = Baton::new();
    let dog = app(
        "dog",
        &["out:ready", "notify:READY=1", "notify:WATCHDOG=1", "dump", "wait"],
        json!({"ready": "notify", "watchdog": "300ms"}),
    );
    start(&baton, &[dog]);
    wait_view(&baton, "a restart", |view| view.restarts > 0);
    baton.run(["why", "dog"]).ok().stdout_has("no WATCHDOG=1 for 300 ms");
    let seen = baton.wait_log("dog-out.log", "WATCHDOG_USEC");
    let line = seen.lines().find(|line| line.contains("WATCHDOG_USEC")).expect("a line");
    let dump: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(dump["env"]["WATCHDOG_USEC"], "300000");
    assert_eq!(dump["env"]["WATCHDOG_PID"], dump["pid"].to_string());
}

#[test]
fn an_app_says_by_its_watchdog_that_it_wants_another_time_or_to_be_started_again() {
    let baton = Baton::new();
    // A wrapper is no hindrance: whoever has the socket may speak.
    let off = app("off", &["notify:WATCHDOG_USEC=0", "out:off", "wait"], json!({"watchdog": "1h"}));
    let once = ["once:was:notify:WATCHDOG=1\nWATCHDOG=trigger+wait", "notify:WATCHDOG=1", "wait"];
    start(&baton, &[off, app("trigger", &once, json!({"watchdog": "1h"}))]);
    wait_view(&baton, "a restart", |view| {
        view.name == "trigger" && view.restarts == 1 && view.status == Status::Online
    });
    baton.run(["why", "trigger"]).ok().stdout_has("it asked for its restart by WATCHDOG=trigger");
    baton.wait_log("off-out.log", "off");
    assert_eq!(baton.entry("off")["pm2_env"]["restart_time"], 0);
}

#[test]
fn what_a_watchdog_hears_while_the_daemon_is_dead_reaches_its_successor() {
    let baton = Baton::new();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, baton.dir().join("gate"), mode).expect("a FIFO");
    let args = ["once:was:notify:WATCHDOG=1+out:first+gate:gate+notify:WATCHDOG=trigger+out:said+wait", "wait"];
    start(&baton, &[app("dog", &args, json!({"watchdog": "1h"}))]);
    baton.wait_log("dog-out.log", "first");
    let daemon = baton.daemon();
    kill(daemon);
    drop(std::fs::File::options().write(true).open(baton.dir().join("gate")).expect("the gate"));
    baton.connect_to_successor(daemon);
    wait_view(&baton, "a restart", |view| view.restarts == 1 && view.status == Status::Online);
    baton.run(["why", "dog"]).ok().stdout_has("WATCHDOG=trigger");
}
