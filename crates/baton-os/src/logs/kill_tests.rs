//! The log thread killed again and again while an app writes. The thread runs in a child process (this test binary,
//! started once more); this process is the app, and the guard: it keeps the read end of the FIFO and the batch pipe.

use super::rotate_tests::{rotation, rule, whole};
use super::tests::{Noise, fifo, key, raw, stamped, strip};
use super::*;
use baton_core::units::{Incarnation, InstanceId};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

const ROLE: &str = "BATON_TEST_LOG_COLLECTOR";
const KILLS: u64 = 80;
/// Where the child finds what the guard has kept.
const READER: i32 = 30;
const BATCH: (i32, i32) = (31, 32);

fn route(kind: &str, folder: &Path) -> Route {
    let file = folder.join("out.log");
    let combined = Some(folder.join("all.log"));
    match kind.trim_end_matches("+rotated") {
        "raw" => raw(file),
        "stamped" => stamped(file),
        "combined" => Route { combined, ..stamped(file) },
        "json" => Route { format: Format { json: true, ..Format::default() }, ..raw(file) },
        other => panic!("no such kind: {other}"),
    }
}

/// The child: not a test of its own, does nothing unless this process was started as one.
#[test]
fn collector() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (kind, folder) = role.split_once(':').expect("kind:folder");
    let folder = PathBuf::from(folder);
    // SAFETY: the parent has put open descriptors at these numbers and nothing else in this process knows them.
    let take = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    let (sender, reports) = channel();
    let options = LogOptions {
        slot: folder.join("batch.slot"),
        batch: Some((take(BATCH.0), take(BATCH.1))),
        times: Some(folder.join("times")),
    };
    let logs = LogThread::start(options, move |report| {
        let _ = sender.send(report);
    })
    .expect("starts");
    let route = route(kind, &folder);
    if kind.ends_with("+rotated") {
        // Many rotations in each life, and one compression under way at most kills.
        let rule = Rule { compression: parts::Compression::Gzip, ..rule(50_000) };
        logs.rotate_by(rotation(route.file.iter().chain(&route.combined).map(|log| (log, rule.clone()))));
    }
    logs.attach(Stream { key: key(1, Channel::Out), reader: take(READER), route });
    // One byte: drain. Until then, or until the kill, collect.
    let mut byte = [0];
    if std::io::stdin().read(&mut byte).is_ok_and(|count| count == 1) {
        logs.drain(InstanceId(1), Incarnation(1), 60_000);
        let expected = LogReport::Drained { id: InstanceId(1), incarnation: Incarnation(1) };
        assert_eq!(reports.recv().expect("a report"), expected);
    }
}

/// Starts a collector that inherits the three descriptors.
fn start(kind: &str, folder: &Path, reader: &OwnedFd, batch: &(OwnedFd, OwnedFd)) -> Child {
    use std::os::unix::process::CommandExt;
    let exe = std::env::current_exe().expect("this program");
    #[expect(clippy::disallowed_methods, reason = "the collector is this test program itself")]
    let mut command = Command::new(exe);
    command.args(["--exact", "logs::kill_tests::collector", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, format!("{kind}:{}", folder.display()));
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let from = [reader.as_raw_fd(), batch.0.as_raw_fd(), batch.1.as_raw_fd()];
    // SAFETY: between fork and exec only dup calls are made; both are async-signal-safe and touch no memory.
    unsafe {
        command.pre_exec(move || {
            // Out of the way first, as a source may have the number of a destination.
            for (index, fd) in from.into_iter().enumerate() {
                if libc::fcntl(fd, libc::F_DUPFD, 100 + index as i32) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            for (index, to) in [READER, BATCH.0, BATCH.1].into_iter().enumerate() {
                if libc::dup2(100 + index as i32, to) < 0 || libc::close(100 + index as i32) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command.spawn().expect("starts")
}

/// Writes numbered lines while collectors are killed at random moments; returns the folder and what was written.
fn killed_again_and_again(kind: &str) -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (reader, mut writer) = fifo(folder.path(), "app.out");
    let batch = super::batch::private_pipe().expect("a pipe");
    let written = AtomicU64::new(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut noise = Noise(0x9E37_79B9 ^ kind.len() as u64);
    let (all, mut last) = std::thread::scope(|scope| {
        let app = scope.spawn(|| {
            let mut all = Vec::new();
            let mut noise = Noise(77);
            let mut number = 0u64;
            let mut pending = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                while pending.len() < 4096 {
                    let padding = (noise.next() % 120) as usize;
                    pending.extend_from_slice(format!("{number} {}\n", "=".repeat(padding)).as_bytes());
                    number += 1;
                }
                // Cut anywhere: most writes end within a line.
                let some: Vec<u8> = pending.drain(..(noise.next() % 4096) as usize + 1).collect();
                writer.write_all(&some).expect("writes");
                written.fetch_add(some.len() as u64, Ordering::Relaxed);
                all.extend_from_slice(&some);
            }
            writer.write_all(&pending).expect("writes");
            all.extend_from_slice(&pending);
            all
        });
        for _ in 0..KILLS {
            let mut child = start(kind, folder.path(), &reader, &batch);
            // Progress of the app is progress of the collector, as the FIFO holds only 64 KiB. The kill comes after a
            // random amount of it.
            let goal = written.load(Ordering::Relaxed) + 70_000 + noise.next() % 400_000;
            while written.load(Ordering::Relaxed) < goal {
                std::hint::spin_loop();
                std::thread::yield_now();
                assert!(child.try_wait().expect("waits").is_none(), "the collector ended by itself");
            }
            for _ in 0..noise.next() % 20_000 {
                std::hint::spin_loop();
            }
            child.kill().expect("kills");
            child.wait().expect("reaps");
        }
        stop.store(true, Ordering::Relaxed);
        let last = start(kind, folder.path(), &reader, &batch);
        let all = app.join().expect("the app");
        (all, last)
    });
    // Closing the only write end is the app's death.
    drop(writer);
    last.stdin.take().expect("a pipe").write_all(b"d").expect("writes");
    assert!(last.wait().expect("waits").success());
    (folder, all)
}

fn check(text: &[u8], all: &[u8]) {
    if text == all {
        return;
    }
    let at = text.iter().zip(all).take_while(|(a, b)| a == b).count();
    let show =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 200).min(bytes.len())]).into_owned();
    panic!("differs at {at} of {} / {}:\nlog {:?}\napp {:?}", text.len(), all.len(), show(text), show(all));
}

#[test]
fn a_raw_log_is_exact_over_many_kills() {
    for kind in ["raw", "raw+rotated"] {
        let (folder, all) = killed_again_and_again(kind);
        check(&log(kind, &folder, "out.log"), &all);
    }
}

#[test]
fn a_stamped_log_is_exact_over_many_kills() {
    for kind in ["stamped", "stamped+rotated"] {
        let (folder, all) = killed_again_and_again(kind);
        check(&strip(&log(kind, &folder, "out.log")), &all);
    }
}

#[test]
fn a_combined_log_is_exact_over_many_kills() {
    for kind in ["combined", "combined+rotated"] {
        let (folder, all) = killed_again_and_again(kind);
        for name in ["out.log", "all.log"] {
            check(&strip(&log(kind, &folder, name)), &all);
        }
    }
}

#[test]
fn a_json_log_is_exact_over_many_kills() {
    for kind in ["json", "json+rotated"] {
        let (folder, all) = killed_again_and_again(kind);
        let text = log(kind, &folder, "out.log");
        let mut back = Vec::new();
        for record in serde_json::Deserializer::from_slice(&text).into_iter::<serde_json::Value>() {
            let record = record.expect("a record");
            back.extend_from_slice(record["message"].as_str().expect("text").as_bytes());
            back.push(b'\n');
        }
        check(&back, &all);
    }
}

/// The whole log, with its parts where it was rotated.
fn log(kind: &str, folder: &tempfile::TempDir, name: &str) -> Vec<u8> {
    let path = folder.path().join(name);
    let list = parts::parts(&path).expect("lists");
    assert_eq!(list.len() > 100, kind.ends_with("+rotated"), "{} parts", list.len());
    assert!(list.iter().all(|part| part.open().is_ok()));
    whole(&path)
}
