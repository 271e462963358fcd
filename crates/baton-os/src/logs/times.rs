//! When the bytes of a log file were written. Raw logs carry no stamps, so the log thread notes beside them, in a folder
//! of its own, at which offset it was at which time. Readers use it to open at the right place and to merge by time.
//!
//! It is a hint and nothing else: written after the bytes, never waited for, and given up at the first trouble. Whoever
//! reads finds only later or earlier *times* without it, never other bytes.
//!
//! * One small file for each log file, named by device and inode: a rename takes its times along.
//! * A record is 12 bytes, an offset and a time (ms since the Unix epoch), 48 bits each: the bytes from this offset on
//!   were written at this time or later. A new one is made when the last is `APART` old and `FEW` bytes behind, or
//!   [`SLACK`] old. So bytes without a record of their own came less than [`SLACK`] after the record before them.
//! * A file that was emptied starts again at a smaller offset: what stands before such a step is stale.
//! * Times of files that are gone are removed when those of a new one in the same folder begin.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Least time between two records (ms).
const APART: u64 = 100;
/// Fewer bytes than this need no record of their own unless [`SLACK`] has passed.
const FEW: u64 = 512;
/// How far a byte may be behind its record (ms).
pub const SLACK: u64 = 1000;

const MAGIC: [u8; 8] = *b"batontms";
const HEAD: u64 = 16;
const RECORD: usize = 12;

/// The times of one log file, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Offset and time (ms), offsets ascending.
    records: Vec<(u64, u64)>,
}

/// Between which times a byte was written (ms since the Unix epoch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not before this; 0 when nothing is known.
    pub from: u64,
    /// Not after this.
    pub to: u64,
}

impl Times {
    /// The times of the open log file `file` at `path`, from the folder `times`. Empty when there are none.
    pub fn load(times: &Path, path: &Path, file: &File) -> Times {
        let read = || -> io::Result<Times> {
            let data = file.metadata()?;
            let bytes = fs::read(name_of(times, path, &data))?;
            Ok(Times::parse(&bytes, &data))
        };
        read().unwrap_or_default()
    }

    fn parse(bytes: &[u8], data: &Metadata) -> Times {
        let Some(rest) = bytes.strip_prefix(&head_of(data)) else { return Times::default() };
        let mut records: Vec<(u64, u64)> = Vec::with_capacity(rest.len() / RECORD);
        for record in rest.as_chunks::<RECORD>().0 {
            let (offset, time) = decode(record);
            if records.last().is_some_and(|(last, _)| offset <= *last) {
                records.clear();
            }
            records.push((offset, time));
        }
        Times { records }
    }

    /// These records, offsets ascending: for what has times from elsewhere.
    pub fn of(records: Vec<(u64, u64)>) -> Times {
        Times { records }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// When the byte at `offset` was written.
    pub fn at(&self, offset: u64) -> Option<Span> {
        let behind = self.records.partition_point(|(start, _)| *start <= offset);
        let next = self.records.get(behind).map(|(_, time)| *time);
        match behind.checked_sub(1).map(|index| self.records[index].1) {
            Some(from) => Some(Span { from, to: last_moment(from, next) }),
            None => next.map(|to| Span { from: 0, to }),
        }
    }

    /// The first offset whose byte may have been written at `since` or later; `None` when all came before, as far as is
    /// known.
    pub fn first_at(&self, since: u64) -> Option<u64> {
        let (first, time) = *self.records.first()?;
        if first > 0 && time >= since {
            return Some(0);
        }
        let next = self.records.iter().skip(1).map(|(_, time)| Some(*time)).chain([None]);
        let mut segments = self.records.iter().zip(next);
        segments.find(|((_, from), next)| last_moment(*from, *next) >= since).map(|((offset, _), _)| *offset)
    }

    /// The offset from which on every byte was written after `until`; `None` when the last may have come before.
    pub fn first_after(&self, until: u64) -> Option<u64> {
        let last = self.records.iter().rposition(|(_, from)| *from <= until);
        let next = last.map_or(0, |index| index + 1);
        self.records.get(next).map(|(offset, _)| *offset)
    }
}

fn last_moment(from: u64, next: Option<u64>) -> u64 {
    next.map_or(from + SLACK, |next| next.clamp(from, from + SLACK))
}

/// Gives the copy `to` of a log file the times that `from` has: for a compressed part.
///
/// # Errors
/// When they can't be read or written; the copy is then without times.
pub fn carry(times: &Path, path: &Path, from: &File, to: &File) -> io::Result<()> {
    let (before, after) = (from.metadata()?, to.metadata()?);
    let bytes = fs::read(name_of(times, path, &before))?;
    let Some(records) = bytes.strip_prefix(&head_of(&before)) else { return Ok(()) };
    let mut file = open(&name_of(times, path, &after))?;
    file.set_len(0)?;
    io::Write::write_all(&mut file, &[&head_of(&after)[..], records].concat())
}

/// Where the times of the log file at `path` are.
fn name_of(times: &Path, path: &Path, data: &Metadata) -> PathBuf {
    times.join(format!("{}-{:x}-{:x}", folder_of(path), data.dev(), data.ino()))
}

fn folder_of(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("/")).as_os_str().as_encoded_bytes();
    // FNV-1a; equal values for two folders would only keep a few files longer.
    let hash = folder
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Magic, and when the log file was made (ns): another file with the number of a removed one has other times.
fn head_of(data: &Metadata) -> [u8; HEAD as usize] {
    let made = data.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let made = made.map_or(0, |made| u64::try_from(made.as_nanos()).unwrap_or(0));
    let mut head = [0; HEAD as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..].copy_from_slice(&made.to_le_bytes());
    head
}

fn encode((offset, time): (u64, u64)) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..6].copy_from_slice(&offset.to_le_bytes()[..6]);
    record[6..].copy_from_slice(&time.to_le_bytes()[..6]);
    record
}

fn decode(record: &[u8; RECORD]) -> (u64, u64) {
    let word = |at: usize| (0..6).rev().fold(0, |word, index| word << 8 | u64::from(record[at + index]));
    (word(0), word(6))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Notes the times of one log file that is being written.
#[derive(Debug, Default)]
pub(super) enum Marks {
    /// Nothing was written yet.
    #[default]
    Unopened,
    /// The file of the times, its length, and the last record.
    Open(File, u64, (u64, u64)),
    /// There was trouble, or nobody wants them.
    Off,
}

impl Marks {
    /// Bytes were written to `log` from `offset` on, at `time` (ms since the Unix epoch).
    pub(super) fn note(&mut self, times: Option<&Path>, path: &Path, log: &File, offset: u64, time: u64) {
        if matches!(self, Marks::Unopened) {
            let opened = times.map(|times| Marks::open(times, path, log, offset));
            *self = opened.and_then(Result::ok).unwrap_or(Marks::Off);
        }
        let Marks::Open(file, length, (last, since)) = self else { return };
        let emptied = offset < *last;
        let passed = time.abs_diff(*since);
        let due = emptied || *length == HEAD || passed >= SLACK || (passed >= APART && offset - *last >= FEW);
        if !due || (offset == *last && *length > HEAD) {
            return;
        }
        let written = if emptied { file.set_len(HEAD).map(|()| *length = HEAD) } else { Ok(()) }
            .and_then(|()| file.write_all_at(&encode((offset, time)), *length));
        if written.is_ok() {
            (*last, *since) = (offset, time);
            *length += RECORD as u64;
        } else {
            *self = Marks::Off;
        }
    }

    fn open(times: &Path, path: &Path, log: &File, offset: u64) -> io::Result<Marks> {
        let data = log.metadata()?;
        let name = name_of(times, path, &data);
        if !name.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(times)?;
            // Left-over files do no harm but the room they take.
            let _ = sweep(times, path);
        }
        let file = open(&name)?;
        let length = file.metadata()?.len();
        let head = head_of(&data);
        let mut found = [0; HEAD as usize];
        if length < HEAD || file.read_exact_at(&mut found, 0).is_err() || found != head {
            file.set_len(0)?;
            file.write_all_at(&head, 0)?;
            return Ok(Marks::Open(file, HEAD, (0, 0)));
        }
        let count = (length - HEAD) / RECORD as u64;
        let end = HEAD + count * RECORD as u64;
        let mut record = [0; RECORD];
        let last = match count {
            0 => (0, 0),
            _ => {
                file.read_exact_at(&mut record, end - RECORD as u64)?;
                decode(&record)
            }
        };
        if last.0 > offset {
            file.set_len(HEAD)?;
            return Ok(Marks::Open(file, HEAD, (0, 0)));
        }
        Ok(Marks::Open(file, end, last))
    }
}

/// Removes the times of files that are no longer in the folder of `path`.
fn sweep(times: &Path, path: &Path) -> io::Result<()> {
    let mut present = BTreeSet::new();
    for entry in fs::read_dir(path.parent().unwrap_or(Path::new("/")))? {
        let data = entry?.metadata()?;
        present.insert(name_of(times, path, &data));
    }
    let prefix = folder_of(path);
    for entry in fs::read_dir(times)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) && !present.contains(&entry.path()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        folder: tempfile::TempDir,
        log: File,
        marks: Marks,
    }

    impl Case {
        fn new() -> Case {
            let folder = tempfile::tempdir().expect("a folder");
            let log = File::create(folder.path().join("app.log")).expect("a file");
            Case { folder, log, marks: Marks::default() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("app.log")
        }

        fn times(&self) -> PathBuf {
            self.folder.path().join("times")
        }

        fn note(&mut self, offset: u64, time: u64) {
            let (times, path) = (self.times(), self.path());
            self.marks.note(Some(&times), &path, &self.log, offset, time);
        }

        fn records(&self) -> Vec<(u64, u64)> {
            Times::load(&self.times(), &self.path(), &self.log).records
        }
    }

    #[test]
    fn quick_and_short_writes_share_a_record() {
        let mut case = Case::new();
        for (offset, time) in [(0, 5_000), (100, 5_050), (700, 5_099), (800, 5_100), (900, 5_990), (1000, 6_100)] {
            case.note(offset, time);
        }
        assert_eq!(case.records(), [(0, 5_000), (800, 5_100), (1000, 6_100)]);
    }

    #[test]
    fn a_successor_goes_on_and_an_emptied_file_begins_again() {
        let mut case = Case::new();
        case.note(0, 1_000);
        case.marks = Marks::default();
        case.note(10, 1_500);
        case.note(50, 3_000);
        assert_eq!(case.records(), [(0, 1_000), (50, 3_000)]);
        case.note(0, 3_050);
        assert_eq!(case.records(), [(0, 3_050)]);
        case.note(600, 4_000);
        case.marks = Marks::default();
        case.note(0, 9_000);
        assert_eq!(case.records(), [(0, 9_000)]);
    }

    #[test]
    fn a_renamed_file_keeps_its_times_and_those_of_a_gone_one_go() {
        let mut case = Case::new();
        case.note(0, 1_000);
        let moved = case.folder.path().join("app.1.log");
        fs::rename(case.path(), &moved).expect("renamed");
        assert!(!Times::load(&case.times(), &moved, &case.log).is_empty());
        fs::remove_file(&moved).expect("removed");
        case.log = File::create(case.path()).expect("a file");
        case.marks = Marks::default();
        case.note(0, 2_000);
        assert_eq!(case.records(), [(0, 2_000)]);
        assert_eq!(fs::read_dir(case.times()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_copy_can_be_given_the_times() {
        let mut case = Case::new();
        case.note(0, 1_000);
        case.note(10, 3_000);
        let copy = File::create(case.folder.path().join("app.log.gz")).expect("a file");
        carry(&case.times(), &case.path(), &case.log, &copy).expect("carried");
        assert_eq!(Times::load(&case.times(), &case.path(), &copy).records, [(0, 1_000), (10, 3_000)]);
    }

    #[test]
    fn what_is_torn_or_foreign_is_no_time() {
        let mut case = Case::new();
        case.note(0, 1_000);
        case.note(10, 3_000);
        let data = case.log.metadata().expect("data");
        let name = name_of(&case.times(), &case.path(), &data);
        let bytes = fs::read(&name).expect("times");
        assert_eq!(Times::parse(&bytes[..bytes.len() - 5], &data).records, [(0, 1_000)]);
        assert!(Times::parse(&bytes[1..], &data).is_empty());
        fs::write(&name, b"?").expect("written");
        case.marks = Marks::default();
        case.note(20, 5_000);
        assert_eq!(case.records(), [(20, 5_000)]);
    }

    #[test]
    fn without_a_folder_for_them_nothing_is_noted() {
        let mut case = Case::new();
        fs::write(case.times(), b"no folder").expect("written");
        case.note(0, 1_000);
        assert!(matches!(case.marks, Marks::Off));
    }

    #[test]
    fn places_are_found_by_time_and_times_by_place() {
        let times = Times::of(vec![(100, 10_000), (200, 10_500), (300, 60_000)]);
        assert_eq!(times.at(0), Some(Span { from: 0, to: 10_000 }));
        assert_eq!(times.at(199), Some(Span { from: 10_000, to: 10_500 }));
        assert_eq!(times.at(200), Some(Span { from: 10_500, to: 11_500 }));
        assert_eq!(times.at(999), Some(Span { from: 60_000, to: 61_000 }));
        assert_eq!(Times::default().at(0), None);
        assert_eq!(times.first_at(9_000), Some(0));
        assert_eq!(times.first_at(10_200), Some(100));
        assert_eq!(times.first_at(11_501), Some(300));
        assert_eq!(times.first_at(61_001), None);
        assert_eq!(times.first_after(9_000), Some(100));
        assert_eq!(times.first_after(10_200), Some(200));
        assert_eq!(times.first_after(20_000), Some(300));
        assert_eq!(times.first_after(60_000), None);
    }
}
