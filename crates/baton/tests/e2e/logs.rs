//! Reading logs: merged, chosen, shown, followed, and listened to.

use crate::harness::{Baton, Run, Watch};
use baton_core::proto::{LineStream, Reply, Request};
use baton_core::world::Status;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};

const PINO: &str = r#"{"level":30,"time":1795262400000,"pid":7,"hostname":"h","msg":"listening","port":3000}"#;
const BROKEN: &str =
    r#"{"level":50,"time":1795262401000,"msg":"no","err":{"type":"E","stack":"Error: no\n    at f (a.js:1:1)"}}"#;

/// The program on a terminal of 80 columns and 24 lines.
struct Terminal {
    child: Child,
    master: OwnedFd,
    shown: String,
}

impl Terminal {
    fn run(baton: &Baton, args: &[&str]) -> Terminal {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).expect("its size");
        let end = std::fs::File::options().read(true).write(true).open(name.to_str().expect("UTF-8")).expect("its end");
        let mut command = baton.command(args);
        command.env("TZ", "UTC").env("TERM", "xterm").env_remove("FORCE_COLOR");
        command.stdin(Stdio::null()).stdout(end.try_clone().expect("its end")).stderr(end);
        let child = command.spawn().expect("the program starts");
        // Ours of its end: a read fails once the program has ended.
        drop(command);
        Terminal { child, master, shown: String::new() }
    }

    /// Reads until this is shown.
    fn wait(&mut self, text: &str) {
        while !self.shown.contains(text) {
            assert!(self.more(), "no {text:?} in {:?}", self.shown);
        }
    }

    /// All that is shown until the program ends.
    fn end(mut self) -> String {
        while self.more() {}
        self.child.wait().expect("the program ends");
        self.shown.replace("\r\n", "\n")
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(count @ 1..) => {
                self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
                true
            }
            _ => false,
        }
    }

    fn stop(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

fn said(baton: &Baton, name: &str, actions: &[&str], file: &str, last: &str) {
    baton.start(name, actions);
    baton.wait_log(file, last);
}

#[test]
fn logs_on_a_terminal() {
    let baton = Baton::new();
    said(&baton, "shop", &["out:warming up", &format!("out:{PINO}"), "wait"], "shop-out.log", "3000");
    said(&baton, "worker-7", &["err:Warning: slow disk", "wait"], "worker-7-error.log", "slow");
    said(&baton, "api", &[&format!("out:{BROKEN}"), "part:name? ", "wait"], "api-out.log", "name? ");
    let shown = Terminal::run(&baton, &["logs", "shop", "worker-7", "api", "--nostream"]).end();
    let expected = concat!(
        "\x1b[32m0|shop      | \x1b[39mwarming up\n",
        "\x1b[32m0|shop      | \x1b[39m\x1b[90m12:00:00.000\x1b[39m \x1b[32mINFO \x1b[39m listening \x1b[36mport=\x1b[39m3000\n",
        "\x1b[31m1|worker-7  | \x1b[39mWarning: slow disk\n",
        "\x1b[32m2|api       | \x1b[39m\x1b[90m12:00:01.000\x1b[39m \x1b[31mERROR\x1b[39m no\n",
        "\x1b[32m2|api       | \x1b[39m    Error: no\n",
        "\x1b[32m2|api       | \x1b[39m        at f (a.js:1:1)\n",
        "\x1b[32m2|api       | \x1b[39mname? \n",
    );
    assert_eq!(shown, expected);

    // On a terminal it follows: an unfinished line and what comes later are shown too.
    let mut terminal = Terminal::run(&baton, &["logs", "--highlight", "new", "--lines", "1"]);
    terminal.wait("name? ");
    baton.start("later", &["out:something new", "wait"]);
    terminal.wait("something \x1b[100mnew\x1b[49m");
    terminal.stop();
}

#[test]
fn called_as_pm2_logs_are_as_pm2_shows_them() {
    let baton = Baton::called("pm2");
    said(&baton, "shop", &[&format!("out:{PINO}"), "wait"], "shop-out.log", "3000");
    let shown = Terminal::run(&baton, &["logs", "shop", "--nostream", "--no-color"]).end();
    assert!(shown.starts_with("[TAILING] Tailing last 15 lines for [shop] process"), "{shown}");
    assert!(shown.contains("shop-out.log last 15 lines:\n"), "{shown}");
    assert!(shown.contains(&format!("0|shop     | {PINO}\n")), "{shown}");
    // Our own options work there too, and records stay as they are.
    let shown = Terminal::run(&baton, &["logs", "shop", "--nostream", "--grep", "listening"]).end();
    assert!(shown.contains(&format!(" | \x1b[39m{PINO}\n")) && !shown.contains("TAILING"), "{shown}");
}

/// Lines of a run's standard output.
fn lines(run: &Run) -> Vec<&str> {
    run.stdout.lines().collect()
}

#[test]
fn lines_are_chosen_by_pattern_level_time_and_stream() {
    let baton = Baton::new();
    let actions =
        ["out:one", "out:two", &format!("out:{PINO}"), &format!("out:{BROKEN}"), "out:  at g", "out:end", "wait"];
    said(&baton, "a", &actions, "a-out.log", "end");
    said(&baton, "b", &["err:two of b", "wait"], "b-error.log", "two");
    let logs = |more: &[&str]| baton.run([&["logs"], more].concat()).ok();

    assert_eq!(lines(&logs(&["--grep", "^two"])), ["0|a  | two", "1|b  | two of b"]);
    assert_eq!(lines(&logs(&["a", "--grep", "^two", "-B", "1", "--raw"])), ["one", "two"]);
    assert_eq!(lines(&logs(&["a", "--grep", "^one|end", "-A1"])), ["0|a  | one", "0|a  | two", "--", "0|a  | end"]);
    assert_eq!(lines(&logs(&["a", "--grep", "two", "-C1", "--out", "--raw"])), ["one", "two", PINO]);
    assert_eq!(lines(&logs(&["a", "--level", "error", "--raw"])), [BROKEN, "  at g", "end"]);
    assert_eq!(lines(&logs(&["a", "--level", "warn", "--lines", "1", "--raw"])), ["end"]);
    assert_eq!(lines(&logs(&["a", "--lines", "2", "--raw"])), ["  at g", "end"]);
    assert_eq!(lines(&logs(&["--since", "1h", "--grep", "e.d", "--lines", "1", "--raw"])), ["end"]);
    assert_eq!(lines(&logs(&["--until", "yesterday"])), [""; 0]);
    assert_eq!(lines(&logs(&["--err", "--since", "1h"])), ["1|b  | two of b"]);
    assert!(logs(&["a", "--raw", "--err"]).stdout.is_empty());
    assert_eq!(logs(&["b", "--raw"]).stderr, "two of b\n");

    let wrong = [
        (["--since", "soon"], "--since \"soon\" is no time"),
        (["--grep", "("], "--grep \"(\" is no pattern"),
        (["--level", "loud"], "--level \"loud\" is none"),
    ];
    for (args, text) in wrong {
        let run = baton.run([&["logs"], &args[..]].concat()).code(1).stderr_has(text);
        assert!(run.stdout.is_empty(), "{run}");
    }
    baton.run(["logs", "--since", "1m", "--until", "2m"]).code(1).stderr_has("--until is before --since");
}

#[test]
fn records_and_pairs_carry_the_time_of_the_line() {
    let baton = Baton::new();
    said(&baton, "a", &["out:plain", "bytes:ff0a", "wait"], "a-out.log", "plain");
    let before = jiff::Timestamp::now();
    let run = baton.run(["logs", "a", "--json"]).ok();
    let records: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len(), 2, "{run}");
    assert_eq!(
        (&records[0]["message"], &records[0]["type"], &records[0]["app_name"]),
        (&json!("plain"), &json!("out"), &json!("a"))
    );
    assert_eq!(records[1]["raw_base64"], "/w==");
    let time: jiff::Timestamp = records[0]["timestamp"].as_str().expect("text").parse().expect("a time");
    assert!(time < before, "{time} is when it was shown, not when it was written");
    let run = baton.run(["logs", "a", "--format"]).ok();
    assert!(lines(&run)[0].ends_with(" app=a id=0 type=out message=plain"), "{run}");
}

fn gzip(path: &Path, bytes: &[u8]) {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("gzip");
    std::fs::write(path, gzip.finish().expect("gzip")).expect("written");
}

#[test]
fn rotated_and_compressed_parts_belong_to_the_log() {
    let baton = Baton::new();
    said(&baton, "a", &["bytes:00ff0a", "part:end", "wait"], "a-out.log", "end");
    let path = |name: &str| baton.home().join("logs").join(name);
    gzip(&path("a-out__2026-11-19_00-00-00.log.gz"), b"oldest\nsplit ");
    std::fs::write(path("a-out__2026-11-20_00-00-00.log"), b"line\nnewer\n").expect("written");
    let output = baton.command(["logs", "a", "--raw", "--lines", "100"]).output().expect("runs");
    assert_eq!(output.stdout, b"oldest\nsplit line\nnewer\n\0\xff\nend");
    let run = baton.run(["logs", "a", "--raw", "--grep", "split|newer"]).ok();
    assert_eq!(run.stdout, "split line\nnewer\n");
    assert_eq!(baton.run(["logs", "a", "--raw", "--lines", "4"]).ok().stdout.lines().next(), Some("split line"));
}

#[test]
fn following_goes_on_over_rotations_without_a_gap() {
    let baton = Baton::new();
    let go = baton.dir().join("go");
    let script = baton.file(
        "count.sh",
        format!(
            "n=0\nwhile [ ! -e {} ]; do n=$((n+1)); echo line $n; done\necho last $n\nexec sleep 1000\n",
            go.display()
        ),
    );
    baton.run(["start", script.to_str().expect("text"), "--name", "s"]).ok();
    baton.wait_log("s-out.log", "line 10\n");
    let mut child = baton
        .command(["logs", "s", "--out", "--raw", "-F", "--lines", "1000000000"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut out = child.stdout.take().expect("stdout");
    let mut shown = Vec::new();
    let mut buffer = [0; 65536];
    let logs = baton.home().join("logs");
    for round in 0..3 {
        // Something of the file must have been shown before it is moved away.
        let seen = shown.len();
        while shown.len() == seen {
            let count = out.read(&mut buffer).expect("reads");
            shown.extend_from_slice(&buffer[..count]);
        }
        std::fs::rename(logs.join("s-out.log"), logs.join(format!("s-out__2026-11-21_00-00-{round:02}.log")))
            .expect("moved");
        let watch = Watch::on(&logs);
        while !logs.join("s-out.log").exists() {
            watch.wait("a new file");
        }
    }
    std::fs::write(&go, "").expect("written");
    while !String::from_utf8_lossy(&shown[shown.len().saturating_sub(100)..]).contains("last ") {
        let count = out.read(&mut buffer).expect("reads");
        assert!(count > 0, "it ended");
        shown.extend_from_slice(&buffer[..count]);
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    let text = String::from_utf8(shown).expect("text");
    for (index, line) in text.lines().filter(|line| line.starts_with("line ")).enumerate() {
        assert_eq!(line, format!("line {}", index + 1));
    }
}

#[test]
fn errors_shows_the_last_error_output_of_each_app() {
    let baton = Baton::new();
    let trace = "err:Traceback (most recent call last):";
    let python =
        ["err:old", trace, "err:  File \"a.py\", line 1", "err:    f()", "err:ValueError: no", "out:fine", "wait"];
    said(&baton, "py", &python, "py-error.log", "ValueError");
    said(&baton, "web", &[&format!("out:{PINO}"), &format!("out:{BROKEN}"), "wait"], "web-out.log", "Error: no");
    said(&baton, "calm", &["out:all is well", "wait"], "calm-out.log", "well");
    let run = baton.run(["errors", "--lines", "1"]).ok();
    assert!(run.stdout.starts_with("py (0): 4 lines of error output, the last "), "{run}");
    let shown = lines(&run);
    assert_eq!(
        shown[1..5],
        ["Traceback (most recent call last):", "  File \"a.py\", line 1", "    f()", "ValueError: no"]
    );
    assert!(shown[5].starts_with("web (1): 1 line of error output"), "{run}");
    assert_eq!(shown[6..], [BROKEN, "no error output: calm"]);
    let run = baton.run(["errors", "web", "--json"]).ok();
    let record: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((&record["message"], &record["app_name"]), (&json!(BROKEN), &json!("web")));
    baton.run(["errors", "nobody"]).ok().stderr_has("nobody not found");
}

fn listen(baton: &Baton, targets: &[&str], stream: Option<LineStream>) -> crate::harness::Connection {
    let mut connection = baton.connect().expect("a daemon");
    let targets = targets.iter().map(|word| (*word).to_owned()).collect();
    assert!(matches!(connection.ask(Request::Listen { targets, stream }), Reply::Done));
    connection
}

#[test]
fn whoever_listens_gets_every_line_that_is_written_from_then_on() {
    let baton = Baton::new();
    said(&baton, "a", &["out:before", "wait"], "a-out.log", "before");
    let mut all = listen(&baton, &[], None);
    let mut only = listen(&baton, &["b"], Some(LineStream::Err));
    baton.start("b", &["out:text", "bytes:ff0a", "err:trouble", "wait"]);
    let mut got = Vec::new();
    while got.len() < 3 {
        let lines = all.lines();
        assert_eq!(lines.missed, 0);
        got.extend(lines.lines);
    }
    let out: Vec<_> = got.iter().filter(|line| line.stream == LineStream::Out).collect();
    assert_eq!((out[0].text.as_str(), &out[0].raw_base64, out[0].app.as_str()), ("text", &None, "b"));
    assert_eq!(out[1].raw_base64.as_deref(), Some("/w=="));
    assert!(out.iter().all(|line| line.whole && line.id.0 == 1));
    let lines = only.lines().lines;
    assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["trouble"]);
}

#[test]
fn a_listener_that_does_not_read_misses_lines_and_is_told_how_many() {
    let baton = Baton::new();
    baton.run(["ping"]).ok();
    let mut slow = listen(&baton, &["s"], None);
    let lines = 300_000;
    baton.start("s", &[&format!("spam:{lines}"), &format!("once:{}:wait", baton.dir().join("x").display())]);
    let last = format!("{:012}", lines - 1);
    baton.wait_log("s-out.log", &last);
    baton.wait_status("s", Status::Online);
    let (mut read, mut missed) = (0, 0);
    while read + missed < lines {
        let batch = slow.lines();
        missed += batch.missed;
        read += batch.lines.len() as u64;
    }
    assert_eq!(read + missed, lines);
    assert!(missed > 0, "nothing was missed: what was it kept in?");
}
