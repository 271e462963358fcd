//! The log thread with real FIFOs and real files.

use super::*;
use baton_core::units::{Incarnation, InstanceId};
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub(super) const LONG: u64 = 60_000;

pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) logs: LogThread,
    pub(super) reports: Receiver<LogReport>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let (sender, reports) = channel();
        let options = LogOptions {
            slot: folder.path().join("batch.slot"),
            batch: None,
            times: Some(folder.path().join("times")),
        };
        let logs = LogThread::start(options, move |report| {
            let _ = sender.send(report);
        })
        .expect("starts");
        Bench { folder, logs, reports }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Attaches a new pipe; returns its write end.
    pub(super) fn stream(&self, incarnation: u64, channel: Channel, route: Route) -> fs::File {
        let (reader, writer) = fifo(self.folder.path(), &format!("{incarnation}.{}", channel.name()));
        self.logs.attach(Stream { key: key(incarnation, channel), reader, route });
        writer
    }

    pub(super) fn drain(&self, incarnation: u64, deadline_ms: u64) {
        self.logs.drain(InstanceId(1), Incarnation(incarnation), deadline_ms);
        let report = self.next();
        assert_eq!(report, LogReport::Drained { id: InstanceId(1), incarnation: Incarnation(incarnation) });
    }

    pub(super) fn next(&self) -> LogReport {
        self.reports.recv_timeout(Duration::from_secs(60)).expect("a report")
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the log file")
    }

    /// Waits for a file to have this content. Files have no events worth a thread here: it is looked at when the log
    /// thread has done a round, which answering a command shows.
    pub(super) fn wait_for(&self, name: &str, content: &[u8]) {
        for _ in 0..2_000_000 {
            if fs::read(self.path(name)).is_ok_and(|found| found == content) {
                return;
            }
            self.logs.descriptors().expect("answers");
        }
        panic!("{:?}", String::from_utf8_lossy(&self.read(name)));
    }
}

pub(super) fn key(incarnation: u64, channel: Channel) -> StreamKey {
    StreamKey { id: InstanceId(1), incarnation: Incarnation(incarnation), channel }
}

/// A FIFO as apps get it: its read end, and a write end that is open for reading too.
pub(super) fn fifo(folder: &Path, name: &str) -> (OwnedFd, fs::File) {
    use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
    let path = folder.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    let reader = open(&path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).expect("opens");
    let writer = open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).expect("opens");
    (reader, fs::File::from(writer))
}

pub(super) fn raw(file: PathBuf) -> Route {
    Route { file: Some(file), ..Route::default() }
}

#[test]
fn the_times_of_raw_and_stamped_bytes_are_noted() {
    let bench = Bench::new();
    let before = crate::clock::now().wall.0;
    for (incarnation, route) in [(1, raw(bench.path("raw.log"))), (2, stamped(bench.path("stamped.log")))] {
        let path = route.file.clone().expect("a file");
        let mut writer = bench.stream(incarnation, Channel::Out, route);
        writer.write_all(b"one\n").expect("written");
        drop(writer);
        bench.drain(incarnation, LONG);
        let file = fs::File::open(&path).expect("the log file");
        let span = times::Times::load(&bench.path("times"), &path, &file).at(0).expect("a time");
        assert!((before..=crate::clock::now().wall.0).contains(&span.from), "{span:?}");
    }
}

pub(super) fn stamped(file: PathBuf) -> Route {
    let format = Format { date: Some("[<]x[>]".into()), ..Format::default() };
    Route { file: Some(file), format, ..Route::default() }
}

/// The text without its `<digits>: ` stamps; every line must have exactly one.
pub(super) fn strip(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        assert_eq!(line.first(), Some(&b'<'), "no stamp: {:?}", String::from_utf8_lossy(line));
        let at = line.iter().position(|byte| *byte == b':').expect("a stamp");
        assert_eq!(line[at - 1], b'>');
        assert!(line[1..at - 1].iter().all(u8::is_ascii_digit));
        let rest = &line[at + 2..];
        assert_ne!(rest.first(), Some(&b'<'), "two stamps: {:?}", String::from_utf8_lossy(line));
        out.extend_from_slice(rest);
    }
    out
}

/// A small generator: the tests need variety, not secrecy, and the same one every time.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            match self.next() % 12 {
                0 => bytes.push(b'\n'),
                1 => bytes.push(0),
                2 => bytes.push(0xFF),
                _ => bytes.extend_from_slice(b"0123456789 text ".get(..(self.next() % 16) as usize).unwrap_or(b"")),
            }
        }
        bytes
    }

    pub(super) fn write(&mut self, writer: &mut fs::File, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let limit = [3, 100, 5_000, 70_000][(self.next() % 4) as usize];
            let (now, later) = bytes.split_at(((self.next() % limit) as usize + 1).min(bytes.len()));
            writer.write_all(now).expect("writes");
            bytes = later;
        }
    }
}

fn hostile() -> Vec<u8> {
    let mut noise = Noise(7);
    let mut bytes = noise.bytes(300_000);
    bytes.extend_from_slice(&vec![b'L'; 1 << 20]);
    bytes.push(b'\n');
    bytes.extend_from_slice(&noise.bytes(100_000));
    bytes.extend_from_slice(b"no newline at the end");
    bytes
}

#[test]
fn a_raw_log_is_the_bytes_that_were_written() {
    let bench = Bench::new();
    let bytes = hostile();
    let mut writer = bench.stream(1, Channel::Out, raw(bench.path("deep/er/out.log")));
    Noise(3).write(&mut writer, &bytes);
    drop(writer);
    bench.drain(1, LONG);
    assert!(bench.read("deep/er/out.log") == bytes);
}

#[test]
fn a_copied_and_a_combined_log_are_the_bytes_that_were_written() {
    let bench = Bench::new();
    let bytes = hostile();
    let format = Format { copy: true, ..Format::default() };
    let route =
        Route { file: Some(bench.path("out.log")), combined: Some(bench.path("all.log")), format, ..Route::default() };
    let mut writer = bench.stream(1, Channel::Out, route);
    Noise(4).write(&mut writer, &bytes);
    drop(writer);
    bench.drain(1, LONG);
    assert!(bench.read("out.log") == bytes);
    assert!(bench.read("all.log") == bytes);
}

#[test]
fn a_stamped_log_has_every_line_with_one_stamp() {
    let bench = Bench::new();
    let bytes = hostile();
    let mut writer = bench.stream(1, Channel::Out, stamped(bench.path("out.log")));
    Noise(5).write(&mut writer, &bytes);
    drop(writer);
    bench.drain(1, LONG);
    let mut back = strip(&bench.read("out.log"));
    assert_eq!(back.pop(), Some(b'\n'), "the last line is closed");
    assert!(back == bytes);
}

#[test]
fn a_prompt_without_newline_is_written_and_its_line_goes_on_without_a_second_stamp() {
    let bench = Bench::new();
    let mut writer = bench.stream(
        1,
        Channel::Out,
        Route { format: Format { date: Some("[T]".into()), ..Format::default() }, ..raw(bench.path("out.log")) },
    );
    writer.write_all(b"name? ").expect("writes");
    bench.wait_for("out.log", b"T: name? ");
    writer.write_all(b"Ada\nnext").expect("writes");
    bench.wait_for("out.log", b"T: name? Ada\nT: next");
    drop(writer);
    bench.drain(1, LONG);
    assert_eq!(bench.read("out.log"), b"T: name? Ada\nT: next\n");
}

#[test]
fn two_stamped_streams_in_one_file_never_share_a_line() {
    let bench = Bench::new();
    let route =
        || Route { format: Format { date: Some("[T]".into()), ..Format::default() }, ..raw(bench.path("all.log")) };
    let mut out = bench.stream(1, Channel::Out, route());
    let mut err = bench.stream(1, Channel::Err, route());
    out.write_all(b"half").expect("writes");
    bench.wait_for("all.log", b"T: half");
    err.write_all(b"oops\n").expect("writes");
    bench.wait_for("all.log", b"T: half\nT: oops\n");
    out.write_all(b" a line\n").expect("writes");
    bench.wait_for("all.log", b"T: half\nT: oops\nT:  a line\n");
}

#[test]
fn merged_lines_of_two_writers_are_whole() {
    let bench = Bench::new();
    let mut writers = Vec::new();
    for (incarnation, channel) in [(1, Channel::Out), (1, Channel::Err), (2, Channel::Out)] {
        writers.push((incarnation, channel, bench.stream(incarnation, channel, stamped(bench.path("all.log")))));
    }
    std::thread::scope(|scope| {
        for (incarnation, channel, mut writer) in writers {
            scope.spawn(move || {
                let lines: String = (0..20_000).map(|n| format!("{incarnation} {} {n}\n", channel.name())).collect();
                Noise(incarnation + 8).write(&mut writer, lines.as_bytes());
            });
        }
    });
    bench.drain(1, LONG);
    bench.drain(2, LONG);
    let text = String::from_utf8(strip(&bench.read("all.log"))).expect("text");
    for stream in ["1 out", "1 err", "2 out"] {
        let expected: Vec<String> = (0..20_000).map(|n| format!("{stream} {n}")).collect();
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with(stream)).collect();
        assert!(found == expected, "{stream}");
    }
    assert_eq!(text.lines().count(), 60_000);
}

#[test]
fn json_logs_have_one_record_a_line() {
    let bench = Bench::new();
    let format = Format { json: true, app_name: "api".into(), process_id: 4, ..Format::default() };
    let mut writer = bench.stream(1, Channel::Err, Route { format, ..raw(bench.path("err.log")) });
    let lines: Vec<u8> = (0..5_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    Noise(6).write(&mut writer, &lines);
    writer.write_all(b"bad \xFF byte\n").expect("writes");
    writer.write_all(&vec![b'x'; 600_000]).expect("writes");
    writer.write_all(b"\nend").expect("writes");
    drop(writer);
    bench.drain(1, LONG);
    let text = bench.read("err.log");
    let records: Vec<serde_json::Value> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).expect("an object"))
        .collect();
    for (n, record) in records[..5_000].iter().enumerate() {
        assert_eq!(record["message"], format!("line {n}"));
        assert_eq!((&record["type"], &record["process_id"]), (&"err".into(), &4.into()));
        assert_eq!(record.get("part"), None);
    }
    assert_eq!(records[5_000]["message"], "bad \u{FFFD} byte");
    assert_eq!(records[5_000]["raw_base64"], "YmFkIP8gYnl0ZQ==");
    let parts = &records[5_001..records.len() - 1];
    assert!(parts.len() > 1);
    assert!(parts.iter().enumerate().all(|(n, record)| record["part"] == n + 1));
    assert_eq!(parts.iter().map(|r| r["message"].as_str().expect("text").len()).sum::<usize>(), 600_000);
    assert_eq!(records[records.len() - 1]["message"], "end");
}

#[test]
fn a_full_disk_stops_only_its_own_stream_and_loses_nothing() {
    for route in [raw as fn(PathBuf) -> Route, stamped] {
        let bench = Bench::new();
        std::os::unix::fs::symlink("/dev/full", bench.path("full.log")).expect("links");
        let mut blocked = bench.stream(1, Channel::Out, route(bench.path("full.log")));
        let mut other = bench.stream(2, Channel::Out, route(bench.path("other.log")));
        blocked.write_all(b"one\ntwo\n").expect("writes");
        match bench.next() {
            LogReport::Trouble { path, message } => {
                assert_eq!(path, bench.path("full.log"));
                assert!(message.contains("space"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        other.write_all(b"fine\n").expect("writes");
        drop(other);
        bench.drain(2, LONG);
        assert!(bench.read("other.log").ends_with(b"fine\n"));

        fs::remove_file(bench.path("full.log")).expect("removes");
        blocked.write_all(b"three\n").expect("writes");
        bench.logs.reopen_all();
        assert_eq!(bench.next(), LogReport::Recovered { path: bench.path("full.log") });
        drop(blocked);
        bench.drain(1, LONG);
        let text = bench.read("full.log");
        let text = if text.starts_with(b"<") { strip(&text) } else { text };
        assert_eq!(text, b"one\ntwo\nthree\n");
    }
}

#[test]
fn truncating_moving_and_flushing_a_log_leave_no_hole() {
    for route in [raw as fn(PathBuf) -> Route, stamped] {
        let bench = Bench::new();
        let plain = |name: &str| {
            let text = fs::read(bench.path(name)).expect("reads");
            String::from_utf8(if text.starts_with(b"<") { strip(&text) } else { text }).expect("text")
        };
        let settled = |name: &str, content: &str| {
            for _ in 0..2_000_000 {
                if fs::metadata(bench.path(name)).is_ok() && plain(name) == content {
                    return;
                }
                bench.logs.descriptors().expect("answers");
            }
            panic!("{name}: {:?}", plain(name));
        };
        let mut writer = bench.stream(1, Channel::Out, route(bench.path("out.log")));
        writer.write_all(b"first\n").expect("writes");
        settled("out.log", "first\n");
        fs::File::create(bench.path("out.log")).expect("truncates");
        writer.write_all(b"second\n").expect("writes");
        settled("out.log", "second\n");
        fs::rename(bench.path("out.log"), bench.path("old.log")).expect("moves");
        bench.logs.reopen_all();
        writer.write_all(b"third\n").expect("writes");
        settled("out.log", "third\n");
        assert_eq!(plain("old.log"), "second\n");
        fs::write(bench.path("closed.log"), "x").expect("writes");
        let (sender, done) = channel();
        bench.logs.flush(vec![bench.path("out.log"), bench.path("closed.log"), bench.path("none.log")], move || {
            let _ = sender.send(());
        });
        done.recv().expect("flushed");
        assert_eq!(bench.read("out.log"), b"");
        assert_eq!(bench.read("closed.log"), b"");
        assert!(!bench.path("none.log").exists());
        writer.write_all(b"fourth\n").expect("writes");
        settled("out.log", "fourth\n");
    }
}

#[test]
fn a_stream_that_a_stranger_keeps_open_is_given_up_at_the_deadline() {
    for route in [raw as fn(PathBuf) -> Route, stamped] {
        let bench = Bench::new();
        let mut writer = bench.stream(1, Channel::Out, route(bench.path("out.log")));
        writer.write_all(b"last words").expect("writes");
        bench.drain(1, 150);
        assert!(bench.read("out.log").windows(10).any(|text| text == b"last words"));
        bench.drain(9, LONG);
    }
}

#[test]
fn descriptors_carry_the_names_that_the_guard_knows() {
    let bench = Bench::new();
    let _out = bench.stream(5, Channel::Out, raw(bench.path("a")));
    let _err = bench.stream(5, Channel::Err, raw(bench.path("b")));
    let names: Vec<String> = bench.logs.descriptors().expect("dups").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["out:5", "err:5", "batch:r", "batch:w"]);
}

#[test]
fn a_stream_without_files_is_read_and_dropped() {
    let bench = Bench::new();
    let mut writer = bench.stream(1, Channel::Out, Route::default());
    writer.write_all(&vec![b'x'; 1 << 20]).expect("never blocks for ever");
    drop(writer);
    bench.drain(1, LONG);
}

#[test]
fn nothing_wakes_the_thread_while_nothing_is_written() {
    let bench = Bench::new();
    let _quiet = bench.stream(1, Channel::Out, raw(bench.path("raw.log")));
    let mut prompt = bench.stream(
        1,
        Channel::Err,
        Route { format: Format { date: Some("[T]".into()), ..Format::default() }, ..raw(bench.path("prompt.log")) },
    );
    prompt.write_all(b"done\n? ").expect("writes");
    bench.wait_for("prompt.log", b"T: done\nT: ? ");
    let waits = || {
        let (sender, thread) = channel();
        bench.logs.flush(Vec::new(), move || {
            let _ = sender.send(rustix::thread::gettid());
        });
        let thread = thread.recv().expect("answers").as_raw_nonzero();
        let state = || fs::read_to_string(format!("/proc/self/task/{thread}/status")).expect("a thread");
        // Until it sleeps for good, it is still on its way back from the answer.
        let count = |status: &str| {
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).expect("a count");
            line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number")
        };
        // Nobody reports anything: this is the quiet time.
        assert!(bench.reports.recv_timeout(Duration::from_millis(500)).is_err());
        let before = count(&state());
        assert!(bench.reports.recv_timeout(Duration::from_secs(2)).is_err());
        count(&state()) - before
    };
    assert_eq!(waits(), 0);
}

#[test]
fn a_writer_that_fills_the_fifo_behind_an_unfinished_line_is_not_left_asleep() {
    let json = Format { json: true, ..Format::default() };
    let stamp = Format { date: Some("[T]".into()), ..Format::default() };
    for format in [json, stamp] {
        let bench = Bench::new();
        let mut writer = bench.stream(1, Channel::Out, Route { format, ..raw(bench.path("out.log")) });
        let (sender, done) = channel();
        std::thread::spawn(move || {
            // Each write is larger than the FIFO, and no FIFO's end is a line's end.
            let chunk = [b"x".repeat(99), b"\n".to_vec()].concat().repeat(1000);
            for _ in 0..300 {
                writer.write_all(&chunk).expect("writes");
            }
            let _ = sender.send(());
        });
        // One quiet time for each FIFO's worth of bytes would take many minutes.
        done.recv_timeout(Duration::from_secs(40)).expect("the writer gets on");
        bench.drain(1, LONG);
        assert_eq!(bench.read("out.log").split(|byte| *byte == b'\n').count(), 300_001);
    }
}
