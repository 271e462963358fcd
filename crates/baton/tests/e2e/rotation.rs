//! Logs are rotated while apps write and the daemon dies, and PM2's settings say how.

use crate::beside_pm2::pair::{Pair, documented};
use crate::harness::{Baton, Watch, kill, testapp};
use baton_os::logs::parts::parts;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// With `BATON_TEST_LONG` set: a gigabyte and 200 kills for each form of log.
fn is_long() -> bool {
    std::env::var_os("BATON_TEST_LONG").is_some()
}

/// The whole log, oldest line first.
fn whole(log: &Path) -> impl BufRead {
    let mut all: Box<dyn Read> = Box::new(std::io::empty());
    for part in parts(log).expect("lists") {
        all = Box::new(all.chain(part.open().expect("opens")));
    }
    BufReader::new(all.chain(std::fs::File::open(log).expect("opens")))
}

/// Waits until the newest file of a log holds a text.
fn wait_for_end(log: &Path, text: &str) {
    let watch = Watch::on(log.parent().expect("folder"));
    let holds = |mut file: Box<dyn Read>| {
        let mut bytes = Vec::new();
        // A part may be replaced by its compressed form while it is read.
        file.read_to_end(&mut bytes).is_ok() && String::from_utf8_lossy(&bytes).contains(text)
    };
    loop {
        let newest = || parts(log).ok()?.pop()?.open().ok();
        if std::fs::File::open(log).is_ok_and(|file| holds(Box::new(file)))
            || newest().is_some_and(|file| holds(Box::new(file)))
        {
            return;
        }
        watch.wait(text);
    }
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("pid");
    rustix::process::kill_process(pid, signal).expect("a signal");
}

/// Waits until a pipe takes no more: its writer has to wait. There is no event for that, only for the opposite.
fn wait_until_full(fifo: &Path) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let end = std::fs::File::options().read(true).write(true).open(fifo).expect("opens");
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    for _ in 0..50_000_000_u64 {
        if poll(&mut [PollFd::new(&end, PollFlags::OUT)], Some(&now)).expect("poll") == 0 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{} is never full", fifo.display());
}

/// The app's number, filler and checksum are as it wrote them.
fn check_line(line: &str, expected: u64) {
    let (body, sum) = line.rsplit_once(' ').unwrap_or_else(|| panic!("torn line {line:?}"));
    let computed = body.bytes().fold(0_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(byte));
    assert_eq!(format!("{computed:08x}"), sum, "torn line {line:?}");
    assert_eq!(&body[..12], format!("{expected:012}"), "lost or repeated");
}

/// An app writes without a pause while its daemon is killed, or stopped until the app waits, and each megabyte is
/// rotated; then every line is there once. `message` takes the app's line from one of the log.
fn is_whole_over_kills_and_stops(extra: &Value, message: impl Fn(String) -> String) {
    let (lines, kills, at_least) = if is_long() { (13_000_000_u64, 200, 1000) } else { (250_000, 6, 15) };
    let baton = Baton::new();
    let enough = baton.dir().join("enough");
    let mut app = json!({
        "name": "s", "script": testapp(), "args": [format!("spam_until:{}:{lines}", enough.display()), "out:the end", "wait"],
        "max_size": "1M", "retain": 1_000_000, "max_total_size": "1000G",
    });
    app.as_object_mut().expect("map").extend(extra.as_object().expect("map").clone());
    baton.file("ecosystem.config.json", json!([app]).to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    let log = baton.home().join("logs/s-out.log");
    let pid = baton.pid("s");
    for round in 0..kills {
        let daemon = baton.daemon();
        let watch = Watch::on(log.parent().expect("folder"));
        if round % 3 == 2 {
            // A daemon that is stopped holds its apps up and loses nothing.
            signal(daemon, rustix::process::Signal::STOP);
            wait_until_full(Path::new(&format!("/proc/{pid}/fd/1")));
            let watch = Watch::on(log.parent().expect("folder"));
            signal(daemon, rustix::process::Signal::CONT);
            watch.wait("the app to go on");
        } else {
            watch.wait("more to be written");
        }
        kill(daemon);
        baton.connect_to_successor(daemon);
    }
    assert_eq!(baton.pid("s"), pid, "the app never ended");
    std::fs::write(enough, "").expect("written");
    wait_for_end(&log, "the end");
    // Nothing is compressed or retired any more while it is read.
    baton.run(["kill"]).ok();
    let mut expected = 0_u64;
    let mut all = whole(&log).lines().map(|line| message(line.expect("text")));
    for line in all.by_ref().take_while(|line| line != "the end") {
        check_line(&line, expected);
        expected += 1;
    }
    assert_eq!(all.next(), None);
    assert!(expected >= lines, "{expected}");
    let count = parts(&log).expect("lists").len();
    assert!(count >= at_least, "{count} parts");
    eprintln!("{kills} kills, {expected} lines, {count} parts");
}

#[test]
fn a_rotated_log_is_whole_over_kills_and_stops_of_the_daemon() {
    is_whole_over_kills_and_stops(&json!({}), |line| line);
}

#[test]
fn a_rotated_log_is_whole_with_stamps_too() {
    is_whole_over_kills_and_stops(&json!({"log_date_format": "YYYY"}), |line| line[6..].to_owned());
}

#[test]
fn a_rotated_log_is_whole_as_json_too() {
    is_whole_over_kills_and_stops(&json!({"log_type": "json", "compress": "zstd"}), |line| {
        let record: Value = serde_json::from_str(&line).expect("a record");
        record["message"].as_str().expect("text").to_owned()
    });
}

/// Waits until the parts of a log are as wished.
fn wait_for_parts(log: &Path, wished: impl Fn(usize) -> bool) {
    let watch = Watch::on(log.parent().expect("folder"));
    // A part may be replaced while they are listed.
    while !parts(log).is_ok_and(|list| wished(list.len())) {
        watch.wait("the parts of the log");
    }
}

#[test]
fn settings_hold_at_once_and_an_apps_own_come_first() {
    let baton = Baton::new();
    let app = |name: &str, size: Value| {
        let args = json!([format!("spam_until:{}:20000", baton.dir().join(name).display()), "wait"]);
        json!({"name": name, "script": testapp(), "args": args, "max_size": size})
    };
    let write = |size: Value| {
        let all = json!({"name": "all", "script": testapp(), "args": app("all", json!(0))["args"].clone()});
        baton.file("ecosystem.config.json", json!([all, app("own", size)]).to_string())
    };
    write(json!(0));
    baton.file("own", "");
    baton.run(["start", "ecosystem.config.json"]).ok();
    let (all, own) = (baton.home().join("logs/all-out.log"), baton.home().join("logs/own-out.log"));
    let last = format!("{:012} ", 19_999);
    for log in [&all, &own] {
        wait_for_end(log, &last);
        assert!(parts(log).expect("lists").is_empty(), "the default is generous");
    }
    // For a running app: it goes on without knowing of it.
    let pid = baton.pid("all");
    baton.run(["set", "pm2-logrotate:compress", "false"]).ok();
    baton.run(["set", "pm2-logrotate:max_size", "100K"]).ok().stdout_has("$ baton set pm2-logrotate:max_size 100K");
    wait_for_parts(&all, |count| count >= 10);
    baton.run(["set", "pm2-logrotate:retain", "2"]).ok();
    baton.file("all", "");
    wait_for_parts(&all, |count| count == 2);
    assert_eq!(baton.pid("all"), pid);
    assert!(parts(&own).expect("lists").is_empty());

    // An app's own keys hold from the new definition on.
    write(json!("50K"));
    baton.run(["restart", "ecosystem.config.json", "--only", "own"]).ok();
    wait_for_parts(&own, |count| count == 2);
    assert_eq!(baton.pid("all"), pid);
}

#[test]
fn a_follower_sees_every_line_once_while_the_log_is_rotated_and_compressed() {
    let baton = Baton::new();
    let enough = baton.dir().join("enough");
    let app = json!({
        "name": "s", "script": testapp(), "args": [format!("spam_until:{}:20000", enough.display()), "out:the end", "wait"],
        "max_size": "50K", "retain": 1_000_000, "compress": "gzip",
    });
    baton.file("ecosystem.config.json", json!([app]).to_string());
    baton.run(["start", "ecosystem.config.json"]).ok();
    let log = baton.home().join("logs/s-out.log");
    wait_for_parts(&log, |count| count > 2);
    let mut follower = baton
        .command(["logs", "s", "--out", "--raw", "-F", "--lines", "1000000000"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let shown = BufReader::new(follower.stdout.take().expect("stdout"));
    let mut expected = 0;
    let mut before = 0;
    for line in shown.lines() {
        let line = line.expect("text");
        if line == "the end" {
            break;
        }
        check_line(&line, expected);
        expected += 1;
        if expected == 1000 {
            before = parts(&log).map_or(0, |list| list.len());
        }
        // Fast as it may be, it goes on until a part was set aside meanwhile.
        let is_due = expected >= 20_000 && expected % 1000 == 0 && !enough.exists();
        if is_due && parts(&log).is_ok_and(|list| list.len() > before) {
            std::fs::write(&enough, "").expect("written");
        }
    }
    follower.kill().expect("killed");
    follower.wait().expect("ended");
    assert!(expected >= 20_000, "the follower ended after {expected} lines");
    baton.run(["kill"]).ok();
    let list = parts(&log).expect("lists");
    assert!(list.len() > before, "it was not rotated while it was followed");
    assert!(list.iter().any(|part| part.path.extension().is_some_and(|extension| extension == "gz")));
}

#[test]
fn the_daemons_own_log_is_rotated_and_the_guard_and_every_successor_write_to_the_new_one() {
    const ROUNDS: usize = 12;
    let baton = Baton::new();
    let log = baton.home().join("pm2.log");
    let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&log).expect("pm2.log"));
    baton.start("a", &["wait"]).ok();
    baton.run(["set", "pm2-logrotate:max_size", "1K"]).ok();
    for _ in 0..ROUNDS {
        baton.run(["restart", "a"]).ok();
    }
    wait_for_parts(&log, |count| count >= 2);
    let writes_to = |pid: u32| {
        let end = std::fs::metadata(format!("/proc/{pid}/fd/2")).expect("standard error");
        std::os::unix::fs::MetadataExt::ino(&end)
    };
    let (daemon, guard) = (baton.daemon(), baton.guard());
    assert_eq!(writes_to(daemon), inode());
    // It is told a moment later, and by no event.
    while writes_to(guard) != inode() {
        std::thread::yield_now();
    }
    kill(daemon);
    baton.connect_to_successor(daemon);
    baton.run(["restart", "a"]).ok();
    let all: Vec<String> = whole(&log).lines().collect::<Result<_, _>>().expect("text");
    assert_eq!(all.iter().filter(|line| line.ends_with("App [a:0] online")).count(), ROUNDS + 2, "{all:#?}");
    assert_eq!(all.iter().filter(|line| line.contains("New PM2 Daemon started")).count(), 2, "{all:#?}");
}

#[test]
fn a_bad_setting_is_refused_and_nothing_is_written() {
    let baton = Baton::new();
    for (key, value) in [("max_size", "much"), ("rotateInterval", "61 * * * *"), ("TZ", "Mars"), ("nope", "1")] {
        baton.run(["set", &format!("pm2-logrotate:{key}"), value]).code(1).stderr_has(key);
    }
    baton.run(["multiset", "pm2-logrotate:max_size 1M pm2-logrotate:retain"]).code(1).stderr_has("no value");
    baton.run(["set", "a:__proto__", "x"]).code(1);
    assert_eq!(baton.run(["conf"]).ok().stdout, "");
    baton.run(["install", "pm2-logrotate"]).ok().stdout_has("built in");
    baton.run(["uninstall", "pm2-logrotate"]).ok().stdout_has("built in");
    baton.run(["install", "pm2-server-monit"]).code(1).stderr_has("not available yet");
}

#[test]
fn settings_are_shown_and_kept_as_in_pm2() {
    let Some(pair) = Pair::new() else { return };
    pair.same(&["ping"]);
    for args in [
        &["set", "pm2-logrotate:max_size", "10M"][..],
        &["set", "pm2-logrotate:retain", "5"],
        &["set", "other.key", "v"],
        &["set", "root", "x"],
        &["get", "pm2-logrotate:max_size"],
        &["get", "pm2-logrotate"],
        &["get", "nope"],
        &["get", "nope:x"],
        &["get"],
        &["conf", "pm2-logrotate"],
        &["conf"],
        &["unset", "pm2-logrotate:retain"],
        &["config", "pm2-logrotate:retain", "3"],
        &["config", "pm2-logrotate:retain"],
        &["uninstall", "nope"],
    ] {
        pair.same(args);
    }
    let (theirs, ours) = pair.json("module_conf.json");
    assert_eq!(theirs, ours);
    documented("`install pm2-logrotate`, `uninstall pm2-logrotate`");
    pair.same(&["unset", "all"]);
    pair.same(&["conf"]);
}
