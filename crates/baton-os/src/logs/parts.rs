//! The parts of a log: what rotation has set aside, beside the file that is being written.
//!
//! A part of `api-out.log` is `api-out__<date>.log`, with `.gz` or `.zst` behind it once it is compressed. That is the
//! form which pm2-logrotate has made known. The date is `YYYY-MM-DD_HH-mm-ss` unless set otherwise; parts of one second
//! get `_0001`, `_0002` … behind it. Each name sorts after all earlier ones of its log, even when a clock was set back.
//! The parts are beside the file itself: a symbolic link is followed first.
//!
//! To read a whole log: [`parts`], oldest first, each through [`Part::open`]; then the file. A part may be compressed
//! or retired at any time: `open` finds it compressed, and answers "not found" for one that is gone.

use super::place;
use baton_core::units::WallTime;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What stands between the name of a log and the date of a part, as in pm2-logrotate.
const BETWEEN: &[u8] = b"__";
/// A date has at least so many digits: a year.
const DIGITS: usize = 4;
/// And at most so many bytes.
const LONGEST: usize = 96;

/// How a part is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// Read by `zcat` and everything else.
    #[default]
    Gzip,
    /// Quicker to make and to read.
    Zstd,
}

impl Compression {
    /// Every way to be compressed.
    pub const ALL: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

    /// What stands behind the name of a file: empty, `.gz` or `.zst`.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }
}

/// One part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    /// How it is compressed.
    pub compression: Compression,
    /// Its size on disk in bytes.
    pub size: u64,
    /// Nothing in it was written before this: when the part before it ended. `None` for the oldest.
    pub began: Option<WallTime>,
    /// When its last byte was written.
    pub ended: WallTime,
}

impl Part {
    /// Its content, decompressed.
    ///
    /// # Errors
    /// What opening gives; "not found" when it was retired meanwhile. Reading a damaged file gives "invalid data".
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match open(&self.path, self.compression) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.compression == Compression::None => {
                for compression in Compression::ALL {
                    match open(&with_suffix(&self.path, compression), compression) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        other => return other,
                    }
                }
                Err(error)
            }
            other => other,
        }
    }
}

fn open(path: &Path, compression: Compression) -> io::Result<Box<dyn Read + Send>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(place::open(path, flags)?);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))),
        Compression::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(BufReader::new(file));
            Box::new(decoder.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?)
        }
    })
}

fn with_suffix(path: &Path, compression: Compression) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(compression.suffix());
    PathBuf::from(name)
}

/// The parts of the log at this path, oldest first, without the file itself. One that is there both plain and
/// compressed (the compression has just ended) is listed once.
///
/// # Errors
/// The folder can't be read. A folder that is not there has no parts.
pub fn parts(log: &Path) -> io::Result<Vec<Part>> {
    let names = Names::of(log)?;
    let mut list = names.among(&file_names(&names.folder)?);
    sort(&mut list);
    let mut began = None;
    let part = |found: Found| {
        let part = Part {
            path: names.folder.join(names.file(&found.date, found.compression)),
            compression: found.compression,
            size: found.size,
            began,
            ended: found.ended,
        };
        began = Some(part.ended);
        part
    };
    Ok(list.into_iter().map(part).collect())
}

/// A part as the folder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// What its name has between the log's and the extension.
    pub(super) date: OsString,
    pub(super) compression: Compression,
    pub(super) size: u64,
    pub(super) ended: WallTime,
}

/// Whether dates of this form sort as text: the year comes first.
pub(super) fn sorts(date: &OsStr) -> bool {
    date.as_bytes().iter().take_while(|byte| byte.is_ascii_digit()).count() >= DIGITS
}

/// Oldest first: by name where all names sort, else by time.
fn sort(list: &mut [Found]) {
    if list.iter().all(|found| sorts(&found.date)) {
        list.sort_by(|a, b| a.date.cmp(&b.date));
    } else {
        list.sort_by(|a, b| (a.ended, &a.date).cmp(&(b.ended, &b.date)));
    }
}

/// How the parts of one log are called, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// The real folder.
    pub(super) folder: PathBuf,
    /// The real name of the log.
    pub(super) log: OsString,
    stem: Vec<u8>,
    extension: Vec<u8>,
}

impl Names {
    /// Those of the log at `path`, which need not exist.
    ///
    /// # Errors
    /// The path names no file, or a link on the way can't be followed.
    pub(super) fn of(path: &Path) -> io::Result<Names> {
        let real = place::real(path)?;
        let no_file = || io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no file", path.display()));
        let log = real.file_name().ok_or_else(no_file)?.to_owned();
        let folder = real.parent().ok_or_else(no_file)?.to_owned();
        let bytes = log.as_bytes();
        // A dot at the very beginning hides a file and begins no extension.
        let dot = bytes.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0).unwrap_or(bytes.len());
        let (stem, extension) = (bytes[..dot].to_vec(), bytes[dot..].to_vec());
        Ok(Names { folder, log, stem, extension })
    }

    /// The file name of the part with this date.
    pub(super) fn file(&self, date: &OsStr, compression: Compression) -> OsString {
        let suffix = compression.suffix().as_bytes();
        OsString::from_vec([&self.stem, BETWEEN, date.as_bytes(), &self.extension, suffix].concat())
    }

    /// The date of a part by its file name; `None` for anything else.
    pub(super) fn date(&self, file: &OsStr) -> Option<(OsString, Compression)> {
        let mut name = file.as_bytes();
        let mut compression = Compression::None;
        for candidate in Compression::ALL {
            if let Some(rest) = name.strip_suffix(candidate.suffix().as_bytes()) {
                (name, compression) = (rest, candidate);
            }
        }
        let date = name.strip_prefix(&*self.stem)?.strip_prefix(BETWEEN)?.strip_suffix(&*self.extension)?;
        is_date(date).then(|| (OsString::from_vec(date.to_vec()), compression))
    }

    /// The parts among these files of the folder, in no order.
    pub(super) fn among(&self, files: &[OsString]) -> Vec<Found> {
        let mut list: Vec<Found> = Vec::new();
        for file in files {
            let Some((date, compression)) = self.date(file) else { continue };
            // Not following links; a part that is gone by now is none.
            let Ok(stat) = fs::symlink_metadata(self.folder.join(file)) else { continue };
            if !stat.is_file() {
                continue;
            }
            let millis = stat.mtime().saturating_mul(1000).saturating_add(stat.mtime_nsec() / 1_000_000);
            let ended = WallTime(u64::try_from(millis).unwrap_or(0));
            let found = Found { date, compression, size: stat.len(), ended };
            match list.iter_mut().find(|other| other.date == found.date) {
                // The plain one is quicker to read, and whole for certain.
                Some(other) if found.compression == Compression::None => *other = found,
                Some(_) => {}
                None => list.push(found),
            }
        }
        list
    }
}

/// The names of the files in a folder.
///
/// # Errors
/// The folder can't be read; one that is not there has none.
pub(super) fn file_names(folder: &Path) -> io::Result<Vec<OsString>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name())).collect(),
    }
}

/// Whether this may stand in the name of a part: enough digits for a date and nothing that would make the name one of
/// another log.
pub(super) fn is_date(date: &[u8]) -> bool {
    let digits = date.iter().filter(|byte| byte.is_ascii_digit()).count();
    let foreign = date.windows(2).any(|two| two == BETWEEN) || date.contains(&b'/') || date.contains(&0);
    digits >= DIGITS && date.len() <= LONGEST && !foreign
}

/// The date for the next part, whose time is rendered as `now`: sorts after `newest`, that of the newest part.
pub(super) fn next_date(now: &OsStr, newest: Option<&OsStr>) -> OsString {
    let Some(newest) = newest.filter(|newest| *newest >= now) else { return now.to_owned() };
    let newest = newest.as_bytes();
    // Of the same time, or of a later one when a clock was set back: then that one is counted on.
    let (base, count) = match newest.strip_prefix(now.as_bytes()) {
        Some([]) => (now.as_bytes(), 0),
        Some(rest) if count_of(rest).is_some() => (now.as_bytes(), count_of(rest).unwrap_or(0)),
        _ => match newest.len().checked_sub(5).and_then(|at| newest.split_at_checked(at)) {
            Some((base, rest)) if count_of(rest).is_some() && sorts(OsStr::from_bytes(base)) => {
                (base, count_of(rest).unwrap_or(0))
            }
            _ => (newest, 0),
        },
    };
    let mut date = base.to_vec();
    if count >= MOST {
        // Ten thousand parts of one second: the next one sorts after the last.
        date = newest.to_vec();
        date.extend_from_slice(b"_0001");
    } else {
        date.extend_from_slice(format!("_{:04}", count + 1).as_bytes());
    }
    OsString::from_vec(date)
}

/// The largest number in four digits.
const MOST: u32 = 9999;

/// The number in `_0001`.
fn count_of(rest: &[u8]) -> Option<u32> {
    let digits = rest.strip_prefix(b"_").filter(|digits| digits.len() == 4)?;
    std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    fn names(log: &str) -> Names {
        Names::of(Path::new(log)).expect("a file")
    }

    #[test]
    fn a_part_is_named_as_pm2_users_know_it() {
        let date = OsStr::new("2026-11-21_03-12-00");
        let file = |log: &str| names(log).file(date, Compression::None).into_string().expect("text");
        assert_eq!(file("/logs/api-out.log"), "api-out__2026-11-21_03-12-00.log");
        assert_eq!(file("/logs/out.txt"), "out__2026-11-21_03-12-00.txt");
        assert_eq!(file("/logs/out"), "out__2026-11-21_03-12-00");
        assert_eq!(file("/logs/.hidden"), ".hidden__2026-11-21_03-12-00");
        let compressed = names("/logs/api-out.log").file(date, Compression::Gzip);
        assert_eq!(compressed, "api-out__2026-11-21_03-12-00.log.gz");
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let names = names("/logs/api-out.log");
            assert_eq!(names.date(&names.file(date, compression)), Some((date.to_owned(), compression)));
        }
    }

    #[test]
    fn what_is_no_part_is_left_alone() {
        let names = names("/logs/api.log");
        for other in [
            "api.log",
            "api__.log",
            "api__backup.log",
            "api-1__2026-11-21.log",
            "api__x__2026-11-21.log",
            "api__2026.txt",
            ".api__2026-11-21.log.gz.tmp",
        ] {
            assert_eq!(names.date(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn names_sort_although_a_clock_was_set_back() {
        let next =
            |now: &str, newest: &str| next_date(OsStr::new(now), Some(OsStr::new(newest))).into_string().expect("text");
        assert_eq!(next("2026-10-25_02-30-00", "2026-10-25_02-29-59"), "2026-10-25_02-30-00");
        assert_eq!(next("2026-10-25_02-30-00", "2026-10-25_02-30-00"), "2026-10-25_02-30-00_0001");
        assert_eq!(next("2026-10-25_02-30-00", "2026-10-25_02-30-00_0009"), "2026-10-25_02-30-00_0010");
        assert_eq!(next("2026-10-25_02-30-00", "2026-10-25_02-30-00_9999"), "2026-10-25_02-30-00_9999_0001");
        assert_eq!(next("2026-10-25_02-00-00", "2026-10-25_02-59-59"), "2026-10-25_02-59-59_0001");
        assert_eq!(next("2026-10-25_02-00-00", "2026-10-25_02-59-59_0041"), "2026-10-25_02-59-59_0042");
    }

    proptest! {
        #[test]
        fn every_name_sorts_after_all_before(seconds in prop::collection::vec(0u32..4, 1..60)) {
            let mut newest: Option<OsString> = None;
            for second in seconds {
                let date = next_date(OsStr::new(&format!("2026-11-21_03-12-{second:02}")), newest.as_deref());
                prop_assert!(newest.is_none_or(|newest| newest < date));
                prop_assert!(is_date(date.as_bytes()));
                newest = Some(date);
            }
        }
    }

    #[test]
    fn parts_are_listed_oldest_first_and_read_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("api.log"), "now\n").expect("writes");
        fs::write(path("api__2026-11-21_03-12-00_0001.log"), "three\n").expect("writes");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"two\n").expect("compresses");
        fs::write(path("api__2026-11-21_03-12-00.log.gz"), gzip.finish().expect("compresses")).expect("writes");
        let zstd = ruzstd::encoding::compress_to_vec(&b"one\n"[..], ruzstd::encoding::CompressionLevel::Fastest);
        fs::write(path("api__2026-11-20_00-00-00.log.zst"), zstd).expect("writes");
        fs::write(path("other__2026-11-20_00-00-00.log"), "not ours").expect("writes");
        symlink("/etc/passwd", path("api__2026-11-22_00-00-00.log")).expect("links");
        fs::create_dir(path("links")).expect("a folder");
        symlink(path("api.log"), path("links/a.log")).expect("links");

        for log in [path("api.log"), path("links/a.log")] {
            let list = parts(&log).expect("lists");
            let mut text = String::new();
            for part in &list {
                part.open().expect("opens").read_to_string(&mut text).expect("reads");
            }
            assert_eq!(text, "one\ntwo\nthree\n");
            assert_eq!(list[0].began, None);
            assert_eq!(list[1].began, Some(list[0].ended));
        }
        assert!(parts(&path("none/x.log")).expect("no folder, no parts").is_empty());
    }

    #[test]
    fn a_part_that_was_compressed_meanwhile_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("api__2026-11-21_03-12-00.log"), "text\n").expect("writes");
        let list = parts(&path("api.log")).expect("lists");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"text\n").expect("compresses");
        fs::write(path("api__2026-11-21_03-12-00.log.gz"), gzip.finish().expect("compresses")).expect("writes");
        assert_eq!(parts(&path("api.log")).expect("lists"), list, "listed once");
        fs::remove_file(path("api__2026-11-21_03-12-00.log")).expect("removes");
        let mut text = String::new();
        list[0].open().expect("opens").read_to_string(&mut text).expect("reads");
        assert_eq!(text, "text\n");
        fs::remove_file(path("api__2026-11-21_03-12-00.log.gz")).expect("removes");
        assert_eq!(list[0].open().err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn dates_that_do_not_sort_are_ordered_by_time() {
        let folder = tempfile::tempdir().expect("a folder");
        for (index, name) in ["21-11-2026", "01-12-2026"].into_iter().enumerate() {
            let file = File::create(folder.path().join(format!("api__{name}.log"))).expect("makes");
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000 + index as u64);
            file.set_modified(time).expect("sets");
        }
        let list = parts(&folder.path().join("api.log")).expect("lists");
        let ended: Vec<u64> = list.iter().map(|part| part.ended.0).collect();
        assert_eq!(ended, [1_000_000, 1_001_000]);
    }
}
