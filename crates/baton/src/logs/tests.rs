//! All of it together, on files: what is written comes out, whatever the files it lies in.

use super::cursor::{Cursor, Wanted};
use super::pattern::Pattern;
use super::query::{Query, merge};
use super::record::Level;
use super::source::{Source, Stream as Channel};
use baton_core::units::InstanceId;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// 2026-11-21T12:00:00Z.
const NOON: u64 = 1_795_262_400_000;

struct Logs {
    folder: tempfile::TempDir,
}

impl Logs {
    fn new() -> Logs {
        Logs { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self, name: &str) -> Source {
        Source { path: self.path(&format!("{name}.log")), stream: Channel::Out, id: InstanceId(0), name: name.into() }
    }

    /// The newest of these is the file that is being written; before it come parts, every other one compressed.
    fn write(&self, name: &str, pieces: &[&[u8]]) -> Source {
        let (last, parts) = pieces.split_last().unwrap();
        for (index, bytes) in parts.iter().enumerate() {
            let plain = self.path(&format!("{name}__2026-11-21_00-00-{index:02}.log"));
            if index % 2 == 0 {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(bytes).unwrap();
                fs::write(format!("{}.gz", plain.display()), gzip.finish().unwrap()).unwrap();
            } else {
                fs::write(plain, bytes).unwrap();
            }
        }
        let source = self.source(name);
        fs::write(&source.path, last).unwrap();
        source
    }

    fn query(&self, wanted: Wanted, lines: Option<usize>) -> Query {
        Query { wanted, lines, times: self.path("times"), zone: TimeZone::UTC }
    }

    fn read(&self, sources: &[Source], wanted: Wanted, lines: Option<usize>) -> Vec<(String, Vec<u8>)> {
        let query = self.query(wanted, lines);
        let mut cursors: Vec<Cursor> = sources.iter().map(|source| query.open(source.clone()).unwrap()).collect();
        let mut read = Vec::new();
        merge(
            &mut cursors.iter_mut().collect::<Vec<_>>(),
            |_| true,
            |cursor| {
                let (_, line) = cursor.current().unwrap();
                read.push((cursor.source.name.clone(), line.to_vec()));
                Ok(())
            },
        )
        .unwrap();
        for cursor in &cursors {
            assert_eq!(cursor.stream.troubles, [""; 0]);
        }
        read
    }

    fn text(&self, source: &Source, wanted: Wanted, lines: Option<usize>) -> String {
        let read = self.read(std::slice::from_ref(source), wanted, lines);
        read.into_iter().map(|(_, line)| String::from_utf8(line).unwrap()).collect()
    }

    /// Says when the bytes of a file were written, as the log thread does.
    fn times(&self, source: &Source, records: &[(u64, u64)]) {
        use std::os::unix::fs::MetadataExt;
        let data = fs::metadata(&source.path).unwrap();
        let made = data.created().unwrap().duration_since(UNIX_EPOCH).unwrap();
        let folder = self
            .folder
            .path()
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let mut bytes = b"batontms".to_vec();
        bytes.extend(u64::try_from(made.as_nanos()).unwrap().to_le_bytes());
        for (offset, time) in records {
            bytes.extend(&offset.to_le_bytes()[..6]);
            bytes.extend(&time.to_le_bytes()[..6]);
        }
        fs::create_dir_all(self.path("times")).unwrap();
        fs::write(self.path("times").join(format!("{folder:016x}-{:x}-{:x}", data.dev(), data.ino())), bytes).unwrap();
    }
}

fn grep(pattern: &str) -> Wanted {
    Wanted { pattern: Some(Pattern::parse(pattern).unwrap()), ..Wanted::default() }
}

fn between(since: Option<u64>, until: Option<u64>) -> Wanted {
    Wanted { since, until, ..Wanted::default() }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        2 => "[a-c]{0,6}".prop_map(String::into_bytes),
        1 => (1usize..3).prop_map(|many| vec![b'x'; many * 150_000]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn all_lines_of_any_logs_are_their_bytes(
        logs in prop::collection::vec((prop::collection::vec(line(), 0..12), any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..4)), 1..4)
    ) {
        let files = Logs::new();
        let mut sources = Vec::new();
        let mut expected = Vec::new();
        for (index, (lines, ended, cuts)) in logs.iter().enumerate() {
            let mut bytes = lines.join(&b'\n');
            if *ended && !bytes.is_empty() {
                bytes.push(b'\n');
            }
            // Wherever it is cut, a line goes on in the next file.
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            let (mut pieces, mut start) = (Vec::new(), 0);
            for cut in at {
                pieces.push(&bytes[start..cut]);
                start = cut;
            }
            pieces.push(&bytes[start..]);
            sources.push(files.write(&format!("log{index}"), &pieces));
            expected.push(bytes);
        }
        let read = files.read(&sources, Wanted::default(), None);
        for (source, bytes) in sources.iter().zip(&expected) {
            let own = || read.iter().filter(|(name, _)| *name == source.name).map(|(_, line)| line.as_slice());
            prop_assert_eq!(&own().collect::<Vec<_>>().concat(), bytes);
            let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            prop_assert_eq!(own().collect::<Vec<_>>(), lines.clone());
            for count in [0, 1, 2, 5, 100] {
                let last = files.read(std::slice::from_ref(source), Wanted::default(), Some(count));
                let last: Vec<&[u8]> = last.iter().map(|(_, line)| line.as_slice()).collect();
                prop_assert_eq!(&last[..], &lines[lines.len().saturating_sub(count)..]);
            }
        }
    }

    #[test]
    fn what_is_chosen_is_what_grep_would_choose(
        lines in prop::collection::vec("[ab]{0,2}", 0..30), before in 0usize..3, after in 0usize..3, last in prop::option::of(0usize..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let files = Logs::new();
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let (one, two) = text.as_bytes().split_at(cut.index(text.len() + 1));
        let source = files.write("log", &[one, two]);
        let wanted = Wanted { before, after, ..grep("aa|bb") };
        let hits: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == "aa" || lines[*at] == "bb").collect();
        let kept = &hits[last.map_or(0, |last| hits.len().saturating_sub(last))..];
        let shown: Vec<String> = (0..lines.len())
            .filter(|at| kept.iter().any(|hit| (hit.saturating_sub(before)..=hit + after).contains(at)))
            // The context of a hit before the first one kept is left out with it.
            .map(|at| format!("{}\n", lines[at]))
            .collect();
        let read = files.text(&source, wanted, last);
        prop_assert_eq!(read, shown.concat());
    }
}

#[test]
fn a_long_line_and_a_last_one_without_end_are_whole() {
    let files = Logs::new();
    let long = [vec![b'y'; 10_000_000], b"\n".to_vec()].concat();
    let source = files.write("log", &[b"a\n", &long[..5_000_000], &[&long[5_000_000..], b"\0\xff end"].concat()]);
    let read = files.read(&[source], Wanted::default(), None);
    let lines: Vec<&[u8]> = read.iter().map(|(_, line)| line.as_slice()).collect();
    assert!(lines == [b"a\n", &long[..], b"\0\xff end"]);
}

#[test]
fn logs_are_merged_by_their_own_times() {
    let files = Logs::new();
    let one = files.write("one", &[
        b"{\"time\":1795262400000,\"level\":30,\"msg\":\"a\"}\n{\"time\":1795262402000,\"level\":30,\"msg\":\"d\"}\n  trace\n",
    ]);
    let two =
        files.write("two", &[b"2026-11-21T12:00:01.000Z b\n2026-11-21T12:00:01.500Z c\n2026-11-21T12:00:09Z e\n"]);
    let read = files.read(&[one, two], Wanted::default(), None);
    let order: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(order, ["one", "two", "two", "one", "one", "two"]);
}

#[test]
fn raw_logs_are_merged_and_cut_by_the_times_of_their_bytes() {
    let files = Logs::new();
    let one = files.write("one", &[b"a1\na2\na3\n"]);
    let two = files.write("two", &[b"b1\nb2\n"]);
    files.times(&one, &[(0, NOON), (3, NOON + 60_000), (6, NOON + 120_000)]);
    files.times(&two, &[(0, NOON + 30_000), (3, NOON + 90_000)]);
    let both = [one.clone(), two];
    let order = |wanted| -> String {
        files
            .read(&both, wanted, None)
            .iter()
            .map(|(_, line)| String::from_utf8_lossy(line).trim().to_owned() + " ")
            .collect()
    };
    assert_eq!(order(Wanted::default()), "a1 b1 a2 b2 a3 ");
    assert_eq!(order(between(Some(NOON + 60_000), None)), "a2 b2 a3 ");
    assert_eq!(order(between(Some(NOON + 20_000), Some(NOON + 89_000))), "b1 a2 ");
    // A line may be up to a second behind its record: it is shown rather than hidden.
    assert_eq!(order(between(Some(NOON + 60_900), Some(NOON + 60_950))), "a2 ");
    assert_eq!(files.text(&one, between(Some(NOON + 60_000), None), Some(1)), "a3\n");
}

#[test]
fn a_time_that_a_line_is_about_is_not_when_it_was_written() {
    let files = Logs::new();
    let one = files.write("one", &[b"{\"time\":\"2020-01-01T00:00:00Z\",\"msg\":\"imported\"}\n"]);
    files.times(&one, &[(0, NOON)]);
    assert_eq!(files.text(&one, between(Some(NOON - 1000), None), None).lines().count(), 1);
}

#[test]
fn stamped_logs_without_known_times_are_searched_by_their_stamps() {
    let files = Logs::new();
    let stamp = |second: u64| {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(NOON + second * 1000).unwrap()).unwrap();
        format!("{at} line {second} {}\n", "x".repeat(100))
    };
    let all: String = (0..20_000).map(stamp).collect();
    let source = files.write("log", &[all.as_bytes()]);
    let file = fs::File::options().write(true).open(&source.path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_millis(NOON + 20_000_000)).unwrap();
    let wanted = between(Some(NOON + 15_000_000), Some(NOON + 15_002_000));
    let query = files.query(wanted.clone(), None);
    let cursor = query.open(source.clone()).unwrap();
    assert!(cursor.stream.place().offset > all.len() as u64 / 2, "opened at {:?}", cursor.stream.place());
    let expected: String = (15_000..=15_002).map(stamp).collect();
    assert_eq!(files.text(&source, wanted, None), expected);
}

#[test]
fn parts_that_ended_before_are_not_read() {
    let files = Logs::new();
    let source = files.write("log", &[b"old\n", b"older\n", b"new\n"]);
    for entry in fs::read_dir(files.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let at = if path == source.path { NOON } else { NOON - 3_600_000 };
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_millis(at)).unwrap();
    }
    assert_eq!(files.text(&source, between(Some(NOON - 60_000), None), None), "new\n");
    assert_eq!(files.text(&source, between(None, Some(NOON - 7_200_000)), None), "old\n");
}

#[test]
fn a_level_takes_the_lines_that_belong_to_a_record_along() {
    let files = Logs::new();
    let text = "starting\n{\"level\":50,\"msg\":\"x\"}\n  at f\n{\"level\":\"info\",\"message\":\"y\"}\n  more\n{\"level\":\"warning\",\"event\":\"z\"}\n{\"msg\":\"no level\"}\n";
    let mut source = files.write("log", &[text.as_bytes()]);
    let wanted = |level| Wanted { level: Some(level), ..Wanted::default() };
    let chosen = |source: &Source, level| files.text(source, wanted(level), None);
    assert_eq!(
        chosen(&source, Level::Warn),
        "{\"level\":50,\"msg\":\"x\"}\n  at f\n{\"level\":\"warning\",\"event\":\"z\"}\n"
    );
    assert_eq!(chosen(&source, Level::Fatal), "");
    assert_eq!(chosen(&source, Level::Info), text);
    let both = Wanted { pattern: Some(Pattern::parse("at|z").unwrap()), ..wanted(Level::Warn) };
    assert_eq!(files.text(&source, both, None), "  at f\n{\"level\":\"warning\",\"event\":\"z\"}\n");
    // Text on standard error is not hidden by a level that it does not say.
    source.stream = Channel::Error;
    assert!(chosen(&source, Level::Error).starts_with("starting\n{\"level\":50"));
}

#[test]
fn a_damaged_part_is_told_and_its_neighbours_are_read() {
    let files = Logs::new();
    let source = files.write("log", &[b"one\n", b"two\n", b"three\n"]);
    fs::write(files.path("log__2026-11-21_00-00-00.log.gz"), b"no gzip").unwrap();
    let mut cursor = files.query(Wanted::default(), None).open(source).unwrap();
    let mut text = Vec::new();
    while cursor.advance().unwrap() {
        text.extend_from_slice(cursor.current().unwrap().1);
    }
    assert_eq!(text, b"two\nthree\n");
    assert_eq!(cursor.stream.troubles.len(), 1);
    assert!(cursor.stream.troubles[0].contains("log__2026-11-21_00-00-00.log.gz: "), "{:?}", cursor.stream.troubles);
}
