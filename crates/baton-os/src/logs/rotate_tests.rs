//! The log thread rotating real files.

use super::parts::{Compression, Part, parts};
use super::tests::{Bench, Noise, key, raw, stamped, strip};
use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

const LONG: u64 = 60_000;

/// Rotates at this size and keeps everything as it is.
pub(super) fn rule(max_size: u64) -> Rule {
    Rule {
        max_size: Some(max_size),
        retain: None,
        compression: Compression::None,
        max_age: None,
        times: None,
        group: "app".into(),
        quota: None,
    }
}

pub(super) fn rotation<'a>(rules: impl IntoIterator<Item = (&'a PathBuf, Rule)>) -> Rotation {
    Rotation { rules: rules.into_iter().map(|(path, rule)| (path.clone(), rule)).collect(), ..Rotation::default() }
}

/// The content of a log with all its parts.
pub(super) fn whole(log: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for part in parts(log).expect("lists") {
        part.open().expect("opens").read_to_end(&mut text).expect("reads");
    }
    text.extend(fs::read(log).unwrap_or_default());
    text
}

fn lines(count: usize) -> Vec<u8> {
    let mut noise = Noise(11);
    let line = |n| format!("{n} {}\n", "~".repeat((noise.next() % 90) as usize)).into_bytes();
    (0..count).flat_map(line).collect()
}

impl Bench {
    /// Waits until the parts of a log are as wished. They have no event: they are looked at once the log thread has done
    /// a round, which answering a command shows.
    fn wait_for_parts(&self, log: &Path, wished: impl Fn(&[Part]) -> bool) -> Vec<Part> {
        for _ in 0..2_000_000 {
            // A part may be replaced while they are listed.
            if let Ok(list) = parts(log)
                && wished(&list)
            {
                return list;
            }
            self.logs.descriptors().expect("answers");
        }
        panic!("{:?}", parts(log));
    }
}

#[test]
fn a_log_is_rotated_at_ends_of_lines_and_loses_nothing() {
    let json = |path: PathBuf| Route { format: Format { json: true, ..Format::default() }, ..raw(path) };
    let copied = |path: PathBuf| Route { format: Format { copy: true, ..Format::default() }, ..raw(path) };
    for (name, route) in [
        ("raw", raw as fn(PathBuf) -> Route),
        ("stamped", stamped),
        ("json", json as fn(PathBuf) -> Route),
        ("copied", copied as fn(PathBuf) -> Route),
    ] {
        let bench = Bench::new();
        let log = bench.path("out.log");
        bench.logs.rotate_by(rotation([(&log, rule(20_000))]));
        let mut writer = bench.stream(1, Channel::Out, route(log.clone()));
        let bytes = lines(20_000);
        Noise(3).write(&mut writer, &bytes);
        drop(writer);
        bench.drain(1, LONG);
        let list = parts(&log).expect("lists");
        assert!(list.len() > 40, "{name}: {}", list.len());
        for part in &list {
            let text = fs::read(&part.path).expect("reads");
            assert_eq!(text.last(), Some(&b'\n'), "{name}");
            assert!((20_000..21_000).contains(&text.len()), "{name}: {}", text.len());
        }
        let names: Vec<_> = list.iter().map(|part| part.path.clone()).collect();
        assert!(names.is_sorted());
        let text = whole(&log);
        let text = match name {
            "stamped" => strip(&text),
            "json" => text
                .split_inclusive(|byte| *byte == b'\n')
                .map(|line| serde_json::from_slice::<serde_json::Value>(line).expect("a record"))
                .flat_map(|record| format!("{}\n", record["message"].as_str().expect("text")).into_bytes())
                .collect(),
            _ => text,
        };
        assert!(text == bytes, "{name}");
    }
}

#[test]
fn a_combined_file_and_its_own_are_rotated_each_at_its_size() {
    let bench = Bench::new();
    let (own, all) = (bench.path("out.log"), bench.path("all.log"));
    bench.logs.rotate_by(rotation([(&own, rule(30_000)), (&all, rule(70_000))]));
    let mut writer = bench.stream(1, Channel::Out, Route { combined: Some(all.clone()), ..stamped(own.clone()) });
    let bytes = lines(10_000);
    Noise(5).write(&mut writer, &bytes);
    drop(writer);
    bench.drain(1, LONG);
    for (log, limit) in [(&own, 30_000), (&all, 70_000)] {
        assert!(strip(&whole(log)) == bytes);
        for part in parts(log).expect("lists") {
            assert!((limit..limit + 1_000).contains(&part.size), "{part:?}");
        }
    }
}

#[test]
fn a_line_longer_than_the_limit_goes_on_in_the_next_file() {
    for route in [raw as fn(PathBuf) -> Route, stamped] {
        let bench = Bench::new();
        let log = bench.path("out.log");
        bench.logs.rotate_by(rotation([(&log, rule(50_000))]));
        let mut writer = bench.stream(1, Channel::Out, route(log.clone()));
        let mut bytes = b"short\n".to_vec();
        bytes.extend(vec![b'L'; 10 << 20]);
        bytes.extend(b"\nshort again\nno newline at the end");
        Noise(9).write(&mut writer, &bytes);
        drop(writer);
        bench.drain(1, LONG);
        let list = parts(&log).expect("lists");
        assert!(list.len() > 30 && list.iter().all(|part| part.size <= 2 * 50_000 + (256 << 10)), "{list:?}");
        let mut text = whole(&log);
        if text.starts_with(b"<") {
            text = strip(&text);
            assert_eq!(text.pop(), Some(b'\n'), "the last line is closed");
        }
        assert!(text == bytes);
    }
}

#[test]
fn streams_that_share_a_file_rotate_it_once() {
    let bench = Bench::new();
    let log = bench.path("all.log");
    bench.logs.rotate_by(rotation([(&log, rule(40_000))]));
    let streams = [(1, Channel::Out), (1, Channel::Err), (2, Channel::Out)];
    let writers = streams.map(|(life, channel)| (life, channel, bench.stream(life, channel, stamped(log.clone()))));
    std::thread::scope(|scope| {
        for (life, channel, mut writer) in writers {
            scope.spawn(move || {
                let text: String = (0..8_000).map(|n| format!("{life} {} {n}\n", channel.name())).collect();
                Noise(life + 8).write(&mut writer, text.as_bytes());
            });
        }
    });
    bench.drain(1, LONG);
    bench.drain(2, LONG);
    let list = parts(&log).expect("lists");
    assert!(list.iter().all(|part| (40_000..41_000).contains(&part.size)), "{list:?}");
    let text = String::from_utf8(strip(&whole(&log))).expect("text");
    for stream in ["1 out", "1 err", "2 out"] {
        let expected: Vec<String> = (0..8_000).map(|n| format!("{stream} {n}")).collect();
        assert!(text.lines().filter(|line| line.starts_with(stream)).eq(expected.iter()), "{stream}");
    }
}

#[test]
fn parts_are_compressed_with_their_mode_and_time_and_read_as_before() {
    for compression in Compression::ALL {
        let bench = Bench::new();
        let log = bench.path("out.log");
        fs::write(&log, "").expect("makes");
        fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).expect("sets");
        // As a kill leaves it: unfinished, and a part that waits.
        fs::write(bench.path(".out__2026-01-01_00-00-00.log.gz.tmp"), "half").expect("writes");
        fs::write(bench.path("out__2026-01-01_00-00-00.log"), "the first\n").expect("writes");
        bench.logs.rotate_by(rotation([(&log, Rule { compression, ..rule(100_000) })]));
        let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
        let bytes = lines(20_000);
        Noise(3).write(&mut writer, &bytes);
        drop(writer);
        bench.drain(1, LONG);
        let list = bench.wait_for_parts(&log, |list| list.iter().all(|part| part.compression == compression));
        assert!(list.len() > 5);
        assert!(whole(&log) == [b"the first\n", &bytes[..]].concat());
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&log), 0o640);
        assert!(list[1..].iter().all(|part| mode(&part.path) == 0o640 && part.size < 80_000), "{list:?}");
        assert!(list.iter().map(|part| part.ended).is_sorted());
        let hidden = fs::read_dir(bench.folder.path()).expect("lists").flatten();
        assert!(!hidden.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().ends_with(".tmp")));
    }
}

#[test]
fn only_so_many_parts_are_kept_and_other_files_stay() {
    let bench = Bench::new();
    let log = bench.path("out.log");
    for stranger in ["out__keep.log", "out-1__2026-01-01.log", "api__2026-01-01.log"] {
        fs::write(bench.path(stranger), "not a part of it").expect("writes");
    }
    bench.logs.rotate_by(rotation([(&log, Rule { retain: Some(3), ..rule(20_000) })]));
    let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
    let bytes = lines(5_000);
    writer.write_all(&bytes).expect("writes");
    drop(writer);
    bench.drain(1, LONG);
    assert_eq!(parts(&log).expect("lists").len(), 3);
    assert!(bytes.ends_with(&whole(&log)), "the newest are kept");
    bench.logs.rotate_by(rotation([(&log, Rule { retain: Some(1), ..rule(20_000) })]));
    bench.wait_for_parts(&log, |list| list.len() == 1);
    for stranger in ["out__keep.log", "out-1__2026-01-01.log", "api__2026-01-01.log"] {
        assert!(bench.path(stranger).exists(), "{stranger}");
    }
}

#[test]
fn parts_that_are_too_old_are_removed() {
    let bench = Bench::new();
    let log = bench.path("out.log");
    for (name, age) in [("2026-01-01", 7_200), ("2026-01-02", 10)] {
        let file = fs::File::create(bench.path(&format!("out__{name}.log"))).expect("makes");
        let now = std::time::Duration::from_millis(crate::clock::now().wall.0);
        let time = std::time::UNIX_EPOCH + now - std::time::Duration::from_secs(age);
        file.set_modified(time).expect("sets");
    }
    bench.logs.rotate_by(rotation([(&log, Rule { max_age: Some(3_600_000), ..rule(20_000) })]));
    let list = bench.wait_for_parts(&log, |list| list.len() == 1);
    assert!(list[0].path.ends_with("out__2026-01-02.log"));
    bench.logs.rotate_by(rotation([(&log, Rule { max_age: Some(11_000), ..rule(20_000) })]));
    bench.wait_for_parts(&log, <[Part]>::is_empty);
}

#[test]
fn a_quota_holds_at_every_moment() {
    const QUOTA: u64 = 2 << 20;
    for (compression, of_group) in [(Compression::None, false), (Compression::Gzip, true)] {
        let bench = Bench::new();
        let logs: Vec<PathBuf> = (0..3).map(|n| bench.path(&format!("{n}.log"))).collect();
        // Never for their size, always for the quota.
        let rule = Rule { compression, max_size: None, quota: of_group.then_some(QUOTA), ..rule(0) };
        let all = rotation(logs.iter().map(|log| (log, rule.clone())));
        bench.logs.rotate_by(Rotation { quota: (!of_group).then_some(QUOTA), ..all });
        let writers: Vec<_> =
            logs.iter().enumerate().map(|(n, log)| bench.stream(n as u64, Channel::Out, raw(log.clone()))).collect();
        let folder = bench.folder.path().to_owned();
        // Asked on the log thread, so that nothing is written while files are counted.
        let taken = || {
            let (sender, answer) = channel();
            let folder = folder.clone();
            bench.logs.flush(Vec::new(), move || {
                let entries = fs::read_dir(folder).expect("lists").flatten();
                let ours = entries.filter(|entry| entry.file_name().to_string_lossy().contains(".log"));
                // What the keeper removes between the listing and the question takes nothing.
                let sizes = ours.filter_map(|entry| entry.metadata().ok()).map(|stat| stat.len());
                let _ = sender.send(sizes.sum::<u64>());
            });
            answer.recv().expect("answers")
        };
        let mut bytes = vec![0; 1 << 20];
        let mut noise = Noise(77);
        for (n, byte) in bytes.iter_mut().enumerate() {
            // Hardly compressible.
            *byte = if n % 100 == 99 { b'\n' } else { b' ' + (noise.next() % 90) as u8 };
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = writers
                .into_iter()
                .enumerate()
                .map(|(n, mut writer)| {
                    let bytes = &bytes;
                    // One writes little and is quiet long.
                    scope.spawn(move || (0..[24, 12, 1][n]).for_each(|_| writer.write_all(bytes).expect("writes")))
                })
                .collect();
            while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                let taken = taken();
                assert!(taken <= QUOTA + QUOTA / 20, "{taken} of {QUOTA}");
            }
        });
        (0..3).for_each(|n| bench.drain(n, LONG));
        assert!(taken() > QUOTA / 2, "no more is removed than must be: {}", taken());
    }
}

#[test]
fn a_time_rotates_what_has_content_and_an_idle_thread_waits_for_no_other() {
    let bench = Bench::new();
    let (log, empty, closed) = (bench.path("out.log"), bench.path("empty.log"), bench.path("closed.log"));
    fs::write(&closed, "of an app that is stopped\n").expect("writes");
    let timed = Rule { max_size: None, times: Some("* * * * * *".into()), ..rule(0) };
    let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
    let _quiet = bench.stream(2, Channel::Out, raw(empty.clone()));
    writer.write_all(b"one\n").expect("writes");
    bench.logs.rotate_by(rotation([(&log, timed.clone()), (&empty, timed.clone()), (&closed, timed)]));
    bench.wait_for_parts(&log, |list| list.len() == 1);
    bench.wait_for_parts(&closed, |list| list.len() == 1);
    writer.write_all(b"unfinished").expect("writes");
    bench.wait_for("out.log", b"unfinished");
    // The next second finds no end of a line; the line itself brings it.
    writer.write_all(b" line\ntwo\n").expect("writes");
    let all = b"one\nunfinished line\ntwo\n";
    let list = bench.wait_for_parts(&log, |list| list.len() >= 2 && whole(&log) == all);
    assert!(fs::read(&list[1].path).expect("reads").starts_with(b"unfinished line\n"));
    assert!(parts(&empty).expect("lists").is_empty());
    assert!(!closed.exists() || fs::metadata(&closed).expect("there").len() == 0);
}

#[test]
fn new_rules_hold_at_once() {
    let bench = Bench::new();
    let log = bench.path("out.log");
    let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
    writer.write_all(&lines(1_000)).expect("writes");
    bench.logs.rotate_by(rotation([(&log, rule(1 << 30))]));
    writer.write_all(&lines(1_000)).expect("writes");
    let both = lines(1_000).repeat(2);
    bench.wait_for("out.log", &both);
    assert!(parts(&log).expect("lists").is_empty());
    bench.logs.rotate_by(rotation([(&log, rule(1_000))]));
    writer.write_all(b"last\n").expect("writes");
    // The file may be set aside before the line comes or with it.
    let all = [&both[..], b"last\n"].concat();
    bench.wait_for_parts(&log, |list| list.len() == 1 && whole(&log) == all);
}

#[test]
fn a_linked_log_is_rotated_where_it_is() {
    let bench = Bench::new();
    fs::create_dir(bench.path("real")).expect("a folder");
    fs::write(bench.path("real/data.log"), "").expect("writes");
    symlink(bench.path("real/data.log"), bench.path("out.log")).expect("links");
    let log = bench.path("out.log");
    bench.logs.rotate_by(rotation([(&log, rule(5_000))]));
    let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
    let bytes = lines(1_000);
    writer.write_all(&bytes).expect("writes");
    drop(writer);
    bench.drain(1, LONG);
    assert!(fs::symlink_metadata(&log).expect("there").is_symlink(), "the link stays");
    let list = parts(&log).expect("lists");
    assert!(list.iter().all(|part| part.path.starts_with(bench.path("real"))) && list.len() > 5);
    assert!(whole(&log) == bytes);
}

#[test]
fn a_log_that_cannot_be_rotated_goes_on_and_is_told_once() {
    let bench = Bench::new();
    // No name of a part fits.
    let log = bench.path(&format!("{}.log", "n".repeat(250)));
    bench.logs.rotate_by(rotation([(&log, rule(1_000))]));
    let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
    let bytes = lines(60_000);
    writer.write_all(&bytes).expect("writes");
    drop(writer);
    bench.logs.drain(key(1, Channel::Out).id, key(1, Channel::Out).incarnation, LONG);
    match bench.next() {
        LogReport::NotRotated { path, message } => {
            assert_eq!(path, log);
            assert!(message.contains("name"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(bench.next(), LogReport::Drained { .. }), "once");
    assert!(fs::read(&log).expect("reads") == bytes);
}

#[test]
fn a_full_disk_while_rotating_loses_nothing() {
    for route in [raw as fn(PathBuf) -> Route, stamped] {
        let bench = Bench::new();
        let log = bench.path("out.log");
        bench.logs.rotate_by(rotation([(&log, rule(1_000))]));
        let mut writer = bench.stream(1, Channel::Out, route(log.clone()));
        let bytes = lines(2_000);
        writer.write_all(&bytes[..50_000]).expect("writes");
        let plain = |text: Vec<u8>| if text.starts_with(b"<") { strip(&text) } else { text };
        bench.wait_for_parts(&log, |list| list.len() > 20 && plain(whole(&log)).len() == 50_000);
        // From here on the file is on a disk that is full.
        fs::rename(&log, bench.path("aside.log")).expect("moves");
        symlink("/dev/full", &log).expect("links");
        bench.logs.reopen_all();
        writer.write_all(&bytes[50_000..60_000]).expect("writes");
        assert!(matches!(bench.next(), LogReport::Trouble { .. }));
        fs::rename(bench.path("aside.log"), &log).expect("moves back");
        bench.logs.reopen_all();
        assert!(matches!(bench.next(), LogReport::Recovered { .. }));
        writer.write_all(&bytes[60_000..]).expect("writes");
        drop(writer);
        bench.drain(1, LONG);
        assert!(plain(whole(&log)) == bytes);
    }
}

#[test]
fn a_log_that_others_move_or_delete_is_made_anew() {
    for delete in [false, true] {
        let bench = Bench::new();
        let log = bench.path("out.log");
        bench.logs.rotate_by(rotation([(&log, rule(1 << 20))]));
        let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
        writer.write_all(b"0\n").expect("writes");
        bench.wait_for("out.log", b"0\n");
        // Who deletes a file keeps it open or has lost it.
        fs::hard_link(&log, bench.path("kept")).expect("links");
        if delete {
            fs::remove_file(&log).expect("removes");
        } else {
            fs::rename(&log, bench.path("out.log.1")).expect("moves");
        }
        let mut number = 0;
        while !log.exists() {
            number += 1;
            writeln!(writer, "{number}").expect("writes");
            bench.logs.descriptors().expect("answers");
        }
        drop(writer);
        bench.drain(1, LONG);
        let text = [fs::read(bench.path("kept")).expect("reads"), whole(&log)].concat();
        let expected: String = (0..=number).map(|n| format!("{n}\n")).collect();
        assert!(text == expected.as_bytes());
    }
}

#[test]
fn logrotates_ways_lose_nothing_and_leave_no_hole() {
    let Some(logrotate) = logrotate() else { return };
    for (way, route) in [("copytruncate", raw as fn(PathBuf) -> Route), ("copytruncate", stamped), ("create", raw)] {
        let bench = Bench::new();
        let log = bench.path("out.log");
        bench.logs.rotate_by(rotation([(&log, rule(1 << 20))]));
        let mut writer = bench.stream(1, Channel::Out, route(log.clone()));
        let plain = |text: Vec<u8>| if text.starts_with(b"<") { strip(&text) } else { text };
        let settled = |bytes: &[u8]| {
            for _ in 0..2_000_000 {
                if fs::read(&log).is_ok_and(|text| plain(text) == bytes) {
                    return;
                }
                bench.logs.descriptors().expect("answers");
            }
            panic!("{way}: {:?}", fs::read(&log).map(|text| text.len()));
        };
        let bytes = lines(3_000);
        let half = bytes.iter().take(bytes.len() / 2).rposition(|byte| *byte == b'\n').expect("a line") + 1;
        writer.write_all(&bytes[..half]).expect("writes");
        settled(&bytes[..half]);
        let configuration = bench.path("logrotate.conf");
        fs::write(&configuration, format!("{} {{\n rotate 3\n {way}\n su root root\n}}\n", log.display()))
            .expect("writes");
        fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o700)).expect("sets");
        #[expect(clippy::disallowed_methods, reason = "the tool under whose hands a log must stay whole")]
        let status = std::process::Command::new(&logrotate)
            .args(["--force", "--state"])
            .args([bench.path("state"), configuration])
            .status()
            .expect("logrotate");
        assert!(status.success());
        if way == "create" {
            bench.logs.reopen_all();
        }
        writer.write_all(&bytes[half..]).expect("writes");
        settled(&bytes[half..]);
        assert!(plain(fs::read(bench.path("out.log.1")).expect("reads")) == bytes[..half], "{way}");
    }
}

/// Debian's logrotate. Without it the test is skipped, but not where everything has to be there.
fn logrotate() -> Option<PathBuf> {
    let found = ["/usr/sbin/logrotate", "/usr/bin/logrotate"].map(PathBuf::from).into_iter().find(|path| path.exists());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "logrotate is missing: install the package `logrotate`"
    );
    found.filter(|_| rustix::process::geteuid().is_root())
}

#[test]
fn owners_are_kept() {
    // Only root can give files away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bench = Bench::new();
    let log = bench.path("out.log");
    fs::write(&log, "").expect("makes");
    std::os::unix::fs::chown(&log, Some(65_534), Some(65_534)).expect("root may");
    bench.logs.rotate_by(rotation([(&log, Rule { compression: Compression::Gzip, ..rule(1_000) })]));
    let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
    writer.write_all(&lines(100)).expect("writes");
    drop(writer);
    bench.drain(1, LONG);
    let list = bench.wait_for_parts(&log, |list| list.iter().all(|part| part.compression == Compression::Gzip));
    for path in list.iter().map(|part| &part.path).chain([&log]) {
        let stat = fs::metadata(path).expect("there");
        assert_eq!((stat.uid(), stat.gid()), (65_534, 65_534), "{}", path.display());
    }
}

#[test]
fn names_are_dated_as_wished() {
    let bench = Bench::new();
    let log = bench.path("out.log");
    let mut names = BTreeMap::new();
    for (date, zone) in [("[d]YYYYMMDD", Some("Asia/Tokyo")), ("[not/a/name]", None)] {
        let rotation = Rotation { date: date.into(), zone: zone.map(Into::into), ..rotation([(&log, rule(20))]) };
        bench.logs.rotate_by(rotation);
        let life = names.len() as u64;
        let mut writer = bench.stream(life, Channel::Out, raw(log.clone()));
        writer.write_all(b"a line that is long enough\n").expect("writes");
        drop(writer);
        bench.drain(life, LONG);
        for part in parts(&log).expect("lists") {
            names.insert(part.path.file_name().expect("a name").to_string_lossy().into_owned(), ());
        }
    }
    let lengths: Vec<(char, usize)> =
        names.keys().map(|name| (name.chars().nth(5).expect("a date"), name.len())).collect();
    assert_eq!(lengths, [('2', "out__2026-11-21_03-12-00.log".len()), ('d', "out__d20261121.log".len())]);
}

#[test]
fn nothing_is_rotated_without_a_rule() {
    let bench = Bench::new();
    let log = bench.path("out.log");
    bench.logs.rotate_by(Rotation::default());
    let mut writer = bench.stream(1, Channel::Out, raw(log.clone()));
    writer.write_all(&lines(10_000)).expect("writes");
    drop(writer);
    bench.drain(1, LONG);
    assert!(parts(&log).expect("lists").is_empty());
    // And whoever waits for nothing is told nothing.
    let (sender, done) = channel();
    bench.logs.flush(Vec::new(), move || {
        let _ = sender.send(());
    });
    done.recv().expect("answers");
}
