//! Logs that can't be written, or not now: who waits, who loses output, and that it is told.

use super::tests::{Bench, LONG, fifo, key, raw, stamped};
use super::*;
use baton_core::units::{Incarnation, InstanceId};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

fn dropping(route: Route) -> Route {
    Route { overflow: Overflow::Drop, ..route }
}

fn json(file: PathBuf) -> Route {
    Route { format: Format { json: true, ..Format::default() }, ..raw(file) }
}

/// What a log says: the lines that the app wrote, and the number of bytes in the line about dropped ones.
fn told(text: &[u8]) -> (Vec<String>, u64) {
    let mut told = 0;
    let mut lines = Vec::new();
    for line in String::from_utf8_lossy(text).lines() {
        let line = match serde_json::from_str::<serde_json::Value>(line) {
            Ok(record) if record.is_object() => record["message"].as_str().expect("text").to_owned(),
            _ => line.strip_prefix('<').and_then(|rest| Some(rest.split_once(">: ")?.1)).unwrap_or(line).to_owned(),
        };
        match line.strip_prefix("[baton] ") {
            Some(rest) => told += rest.split(' ').next().expect("a number").parse::<u64>().expect("a number"),
            None if line.is_empty() => {}
            None => lines.push(line),
        }
    }
    (lines, told)
}

#[test]
fn an_app_that_may_lose_output_never_waits_for_a_full_disk_and_the_log_tells_how_much_was_lost() {
    for route in [raw as fn(PathBuf) -> Route, stamped, json] {
        let bench = Bench::new();
        std::os::unix::fs::symlink("/dev/full", bench.path("full.log")).expect("links");
        let mut writer = bench.stream(1, Channel::Out, dropping(route(bench.path("full.log"))));
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        // Much more than any FIFO holds: an app that waits would wait for ever.
        for _ in 0..40_000 {
            writer.write_all(&line).expect("writes");
        }
        assert!(matches!(bench.next(), LogReport::Trouble { .. }));
        assert_eq!(bench.next(), LogReport::Dropping { id: InstanceId(1), path: bench.path("full.log") });
        fs::remove_file(bench.path("full.log")).expect("removes");
        bench.logs.reopen_all();
        let LogReport::Dropped { bytes, .. } = bench.next() else { panic!("not told") };
        assert_eq!(bench.next(), LogReport::Recovered { path: bench.path("full.log") });
        writer.write_all(b"last\n").expect("writes");
        drop(writer);
        bench.drain(1, LONG);
        let (lines, told) = told(&bench.read("full.log"));
        assert_eq!(told, bytes);
        assert_eq!(lines.last().map(String::as_str), Some("last"));
        let kept: usize = lines.iter().map(|line| line.len() + 1).sum();
        assert_eq!(kept as u64 + bytes, 40_000 * 100 + 5, "every byte is in the log or counted");
    }
}

#[test]
fn what_was_dropped_is_told_once_when_the_file_is_back_even_by_a_successor() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.log");
    std::os::unix::fs::symlink("/dev/full", &path).expect("links");
    let (reader, mut writer) = fifo(folder.path(), "app.out");
    let start = || {
        let (sender, reports) = channel();
        let options = LogOptions { slot: folder.path().join("slot"), batch: None, times: None };
        let logs = LogThread::start(options, move |report| {
            let _ = sender.send(report);
        })
        .expect("starts");
        let reader = reader.try_clone().expect("dups");
        logs.attach(Stream { key: key(1, Channel::Out), reader, route: dropping(raw(path.clone())) });
        (logs, reports)
    };
    let (logs, reports) = start();
    writer.write_all(&vec![b'x'; 1 << 20]).expect("writes");
    while !matches!(reports.recv().expect("a report"), LogReport::Dropping { .. }) {}
    logs.stop();
    fs::remove_file(&path).expect("removes");
    let (logs, reports) = start();
    let LogReport::Dropped { bytes, .. } = reports.recv().expect("a report") else { panic!("not told") };
    writer.write_all(b"\nlast\n").expect("writes");
    drop(writer);
    logs.drain(InstanceId(1), Incarnation(1), LONG);
    while !matches!(reports.recv().expect("a report"), LogReport::Drained { .. }) {}
    let text = fs::read(&path).expect("reads");
    let (lines, told) = told(&text);
    assert_eq!(told, bytes);
    assert_eq!(lines.last().map(String::as_str), Some("last"));
    let kept: usize = lines[..lines.len() - 1].iter().map(String::len).sum();
    assert_eq!(kept as u64 + bytes, 1 << 20);
}

#[test]
fn a_reader_that_is_slow_is_no_trouble_and_gets_everything() {
    let bench = Bench::new();
    let (reader, keep) = fifo(bench.folder.path(), "sink");
    let mut writer = bench.stream(1, Channel::Out, raw(bench.path("sink")));
    let text: Vec<u8> = (0..40_000).flat_map(|number| format!("line {number:06}\n").into_bytes()).collect();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            use rustix::event::{PollFd, PollFlags, poll};
            let mut seen = Vec::new();
            while seen.len() < text.len() {
                poll(&mut [PollFd::new(&reader, PollFlags::IN)], None).expect("polls");
                let mut some = [0; 1000];
                let count = rustix::io::read(&reader, &mut some).expect("reads");
                seen.extend_from_slice(&some[..count]);
            }
            seen
        });
        writer.write_all(&text).expect("writes");
        assert!(reading.join().expect("no panic") == text, "the same bytes");
    });
    drop((writer, keep));
    // The first report of all: no trouble came before.
    bench.drain(1, LONG);
}

#[test]
fn a_reader_that_is_gone_or_asleep_holds_up_only_apps_that_may_not_lose_output() {
    let bench = Bench::new();
    let (sink, _) = fifo(bench.folder.path(), "sink");
    // Nobody has the other end open any more, and then somebody who does not read.
    drop(sink);
    let path = bench.path("sink");
    let mut writer = bench.stream(1, Channel::Out, dropping(raw(path.clone())));
    let line = [b"x".repeat(99), b"\n".to_vec()].concat();
    let some = line.repeat(20_000);
    let write = |writer: &mut fs::File| some.chunks(100).for_each(|line| writer.write_all(line).expect("writes"));
    write(&mut writer);
    assert!(matches!(bench.next(), LogReport::Trouble { .. }));
    let asleep = {
        use rustix::fs::{Mode, OFlags, open};
        open(&path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).expect("opens")
    };
    bench.logs.reopen_all();
    write(&mut writer);
    let mut reader = fs::File::from(asleep);
    drop(writer);
    bench.logs.drain(InstanceId(1), Incarnation(1), LONG);
    let mut text = Vec::new();
    let mut bytes = 0;
    loop {
        let mut some = [0; 65_536];
        match std::io::Read::read(&mut reader, &mut some) {
            Ok(count) => text.extend_from_slice(&some[..count]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        match bench.reports.recv_timeout(Duration::from_millis(1)) {
            Ok(LogReport::Dropped { bytes: some, .. }) => bytes += some,
            Ok(LogReport::Drained { .. }) => break,
            _ => {}
        }
    }
    // A child of another test may hold the other end for a moment more: nothing left to read is the end as well.
    if let Err(error) = std::io::Read::read_to_end(&mut reader, &mut text) {
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
    let (lines, told) = told(&text);
    assert_eq!(told, bytes);
    let kept: usize = lines.iter().map(|line| line.matches('x').count()).sum();
    let dropped = 40_000 * 100 - bytes as usize;
    // A cut falls anywhere in a line, so that of the kept bytes the newlines can't be told from ours.
    assert!(kept <= dropped && kept >= dropped / 100 * 99 - 400, "{kept} of {dropped}");
}
