//! Rotation: a log that is large enough, or whose time has come, is renamed at the end of a line and a new file takes its
//! place. Bytes are never copied and nothing is truncated: a reader of the old file finds it whole, under another name.
//!
//! Only the log thread rotates, between two writes. A SIGKILL before the rename leaves a file that is rotated at its next
//! line; one after it leaves no file, which the next write makes. No [batch](super::batch) is under way then, so the
//! file that a described batch names is always the one at its path, unless someone else has moved it.
//!
//! A line that is longer than the limit is no reason to wait for ever: at twice the limit the file is rotated within it,
//! and the line goes on in the next file.

use super::keeper::Keeper;
use super::ledger::{Shared, Verdict, open_folder};
use super::parts::{Compression, Found, is_date, next_date};
use super::place;
use super::raw::{ALL, STEP};
use super::rule::{DATE_FORMAT, Rotation};
use super::sink::{Sink, Sinks};
use crate::logs::date::DateFormat;
use baton_core::units::WallTime;
use jiff::tz::TimeZone;
use memchr::memchr;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, fstat, openat, renameat, renameat_with, statat,
};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::own;
use crate::moments::Moments;

/// More than one look at a stream moves: a file with more room than this needs no care.
const AMPLE: u64 = (ALL + STEP) as u64;
/// The quotas are looked at whenever this part of the smallest one has been written.
const OF_QUOTA: u64 = 64;
/// How often one look at the quotas may rotate before it gives up: logs that can't be rotated would go on for ever.
const ATTEMPTS: usize = 16;

/// How much of a stream may go to its file now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// At most so many bytes.
    pub(super) most: usize,
    /// The file is to be rotated once exactly that many were written.
    pub(super) then_rotate: bool,
}

impl Plan {
    /// As much as there is.
    pub(super) const ALL: Plan = Plan { most: ALL + STEP, then_rotate: false };
}

/// A file that is to be rotated soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Near {
    /// Bytes until it is large enough; it is rotated at the first end of a line from there on.
    room: usize,
    /// Bytes after which it is rotated even within a line; at least one.
    most: usize,
}

impl Near {
    /// How many of these bytes, which are next in the FIFO, may be moved as they are.
    pub(super) fn plan(self, bytes: &[u8]) -> Plan {
        let from = self.room.saturating_sub(1).min(bytes.len());
        match memchr(b'\n', &bytes[from..]) {
            Some(at) if from + at < self.most => Plan { most: from + at + 1, then_rotate: true },
            _ if bytes.len() >= self.most => Plan { most: self.most, then_rotate: true },
            // Nothing there, or the line goes on: what comes meanwhile has to be looked at first.
            _ => Plan { most: bytes.len().max(1), then_rotate: false },
        }
    }
}

/// The state of rotation.
#[derive(Debug)]
pub(super) struct Rotor {
    ledger: Shared,
    keeper: Keeper,
    pub(super) moments: Moments,
    /// The size from which on each file is rotated.
    limits: BTreeMap<PathBuf, Option<u64>>,
    date: DateFormat,
    zone: TimeZone,
    /// Bytes written since the quotas were last looked at, and how many may be before the next look.
    written: u64,
    step: u64,
    /// Files that could not be rotated; told once.
    failed: BTreeSet<PathBuf>,
    /// The daemon's own log, and whether it was rotated.
    own: Option<PathBuf>,
    pub(super) renewed: bool,
}

/// A file could not be rotated, or its parts not be kept as they should. It goes on being written.
pub(super) type Failure = (PathBuf, io::Error);

impl Rotor {
    /// Rotates nothing until told to.
    ///
    /// # Errors
    /// No descriptors or threads are left.
    pub(super) fn new(
        times: Option<PathBuf>,
        trouble: impl Fn(PathBuf, io::Error) + Send + 'static,
    ) -> io::Result<Rotor> {
        let ledger = Shared::default();
        Ok(Rotor {
            keeper: Keeper::start(ledger.clone(), times, trouble)?,
            ledger,
            moments: Moments::new()?,
            limits: BTreeMap::new(),
            date: DateFormat::parse(DATE_FORMAT),
            zone: TimeZone::system(),
            written: 0,
            step: u64::MAX,
            failed: BTreeSet::new(),
            own: None,
            renewed: false,
        })
    }

    /// Takes new rules, which hold from the next byte on.
    pub(super) fn set(&mut self, rotation: Rotation, now: WallTime) {
        self.zone = rotation.zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system);
        let date = DateFormat::parse(&rotation.date);
        let mut sample = Vec::new();
        date.render(now, &self.zone, &mut sample);
        self.date = if is_date(&sample) { date } else { DateFormat::parse(DATE_FORMAT) };
        self.limits = rotation.rules.iter().map(|(path, rule)| (path.clone(), rotation.limit(rule))).collect();
        self.step = rotation.smallest_quota().map_or(u64::MAX, |quota| quota / OF_QUOTA);
        // The first write looks at the quotas, whatever was there before.
        self.written = self.step;
        let patterns = rotation.rules.values().filter_map(|rule| rule.times.as_deref());
        self.moments.set(patterns, self.zone.clone(), now);
        let changed: Vec<PathBuf> = {
            let ledger = self.ledger.lock();
            rotation
                .rules
                .iter()
                .filter(|(path, rule)| ledger.rule(path) != Some(*rule))
                .map(|(p, _)| p.clone())
                .collect()
        };
        self.own.clone_from(&rotation.own);
        self.ledger.lock().set(rotation);
        for path in changed {
            self.keeper.tidy(&path);
        }
    }

    /// How many bytes the file at `path` takes before it is to be rotated; `None` for any number.
    fn room(&self, path: &Path, sink: &Sink, size: u64) -> Option<u64> {
        if !sink.regular {
            return None;
        }
        if sink.due && size > 0 {
            return Some(0);
        }
        let limit = (*self.limits.get(path)?)?.max(sink.not_before);
        Some(limit.saturating_sub(size))
    }

    /// The most that a file takes of one line.
    fn most(&self, path: &Path, sink: &Sink) -> u64 {
        let limit = self.limits.get(path).copied().flatten();
        limit.map_or(u64::MAX, |limit| limit.saturating_mul(2).max(sink.not_before))
    }

    /// Room for rendered bytes before a target is to be rotated; `u64::MAX` when it need not be watched.
    pub(super) fn room_for_batch(&self, path: &Path, sink: &Sink) -> u64 {
        let size = if sink.regular { sink.size().unwrap_or(0) } else { 0 };
        let room = self.room(path, sink, size).unwrap_or(u64::MAX);
        if sink.regular { room.min(self.step) } else { room }
    }

    /// How near the file is to its rotation; `None` when one look at a stream can't get there.
    ///
    /// # Errors
    /// The file can't be asked for its size.
    pub(super) fn near(&self, path: &Path, sink: &Sink) -> io::Result<Option<Near>> {
        if !sink.regular {
            return Ok(None);
        }
        let size = sink.size()?;
        let Some(room) = self.room(path, sink, size).filter(|room| *room < AMPLE) else { return Ok(None) };
        let whole = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Some(Near { room: whole(room), most: whole(self.most(path, sink).saturating_sub(size)).max(1) }))
    }

    /// The plan within what the quotas allow between two looks at them.
    pub(super) fn bounded(&self, plan: Plan) -> Plan {
        let step = usize::try_from(self.step.max(1)).unwrap_or(usize::MAX);
        if plan.most > step { Plan { most: step, then_rotate: false } } else { plan }
    }

    /// Takes note of `moved` bytes for `path`, which now ends with a whole line or not, and rotates it if it is time.
    pub(super) fn wrote(
        &mut self,
        path: &Path,
        sinks: &mut Sinks,
        moved: u64,
        whole: bool,
        now: Instant,
        wall: WallTime,
    ) -> Vec<Failure> {
        let mut failures = Vec::new();
        if let Some(sink) = sinks.opened(path).filter(|sink| sink.regular)
            && let Ok(size) = sink.size()
            && self.room(path, sink, size) == Some(0)
            && (whole || size >= self.most(path, sink))
        {
            self.rotate(path, sinks, now, wall, &mut failures);
        }
        self.written = self.written.saturating_add(moved);
        if self.written >= self.step && self.step != u64::MAX {
            self.written = 0;
            self.enforce(sinks, now, wall, &mut failures);
        }
        failures
    }

    /// Rotates the daemon's own log if it is large enough.
    pub(super) fn look_at_own(&mut self, sinks: &mut Sinks, now: Instant, wall: WallTime) -> Vec<Failure> {
        let Some(path) = self.own.clone() else { return Vec::new() };
        if let Err(error) = sinks.get(&path, now) {
            return vec![(path, error)];
        }
        // Its writers write whole lines.
        let failures = self.wrote(&path, sinks, 0, true, now, wall);
        sinks.close(&path);
        failures
    }

    fn enforce(&mut self, sinks: &mut Sinks, now: Instant, wall: WallTime, failures: &mut Vec<Failure>) {
        for _ in 0..ATTEMPTS {
            let verdict = self.ledger.lock().enforce();
            match verdict {
                Ok(Verdict::Fits) => return,
                Ok(Verdict::Soon(path)) => {
                    if let Ok(sink) = sinks.get(&path, now) {
                        sink.due = true;
                    }
                    return;
                }
                Ok(Verdict::Now(path)) => {
                    if sinks.get(&path, now).is_err() || !self.rotate(&path, sinks, now, wall, failures) {
                        return;
                    }
                }
                Err(error) => {
                    if self.failed.insert(PathBuf::new()) {
                        failures.push((PathBuf::new(), error));
                    }
                    return;
                }
            }
        }
    }

    /// The timer has gone off: rotates the logs whose time has come. Those that end within a line follow at its end, and
    /// so does every log while `busy`.
    pub(super) fn tick(&mut self, sinks: &mut Sinks, busy: bool, now: Instant, wall: WallTime) -> Vec<Failure> {
        let mut failures = Vec::new();
        let due = self.moments.due(wall);
        let paths: Vec<PathBuf> = {
            let ledger = self.ledger.lock();
            let is_due = |times: &Option<String>| times.as_ref().is_some_and(|times| due.contains(times));
            ledger.rotation.rules.iter().filter(|(_, rule)| is_due(&rule.times)).map(|(p, _)| p.clone()).collect()
        };
        for path in paths {
            // Nothing to rotate in a file that is not there, and none is made for it.
            if !std::fs::metadata(&path).is_ok_and(|stat| stat.is_file() && stat.len() > 0) {
                continue;
            }
            let used = sinks.opened(&path).is_some();
            let Ok(sink) = sinks.get(&path, now) else { continue };
            sink.due = true;
            // Without a writer nothing finishes the last line.
            if !busy && (!used || ends_with_line(&path)) {
                self.rotate(&path, sinks, now, wall, &mut failures);
            }
            if !used {
                sinks.close(&path);
            }
        }
        failures
    }

    /// Renames the file and opens a new one. Returns whether it did.
    pub(super) fn rotate(
        &mut self,
        path: &Path,
        sinks: &mut Sinks,
        now: Instant,
        wall: WallTime,
        failures: &mut Vec<Failure>,
    ) -> bool {
        match self.try_rotate(path, sinks, now, wall) {
            Ok(rotated) => {
                self.failed.remove(path);
                rotated
            }
            Err(error) => {
                if let Some(sink) = sinks.opened(path) {
                    // The next attempt after as much again.
                    sink.due = false;
                    let size = sink.size().unwrap_or(0);
                    let limit = self.limits.get(path).copied().flatten().unwrap_or(0);
                    sink.not_before = size.saturating_add(limit.max(AMPLE));
                }
                if self.failed.insert(path.to_owned()) {
                    failures.push((path.to_owned(), error));
                }
                false
            }
        }
    }

    fn try_rotate(&mut self, path: &Path, sinks: &mut Sinks, now: Instant, wall: WallTime) -> io::Result<bool> {
        let Some(sink) = sinks.opened(path) else { return Ok(false) };
        let stat = fstat(&sink.file)?;
        let mut ledger = self.ledger.lock();
        let names = ledger.names(path)?;
        let folder = open_folder(&names)?;
        let is_ours = |name: &OsStr| {
            statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|there| (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino))
        };
        if !is_ours(&names.log) {
            // Someone else has moved it: what is there now is opened by the next write.
            sinks.close(path);
            return Ok(false);
        }
        let mut date = next_date(&self.rendered(wall), ledger.newest(path).as_deref());
        loop {
            let taken = Compression::ALL.iter().any(|compression| is_taken(&folder, &names.file(&date, *compression)));
            if !taken {
                match rename_to_free(&folder, &names.log, &names.file(&date, Compression::None)) {
                    Err(Errno::EXIST) => {}
                    Err(Errno::NOENT) => {
                        sinks.close(path);
                        return Ok(false);
                    }
                    other => break other?,
                }
            }
            date = next_date(&date, Some(&date));
        }
        let part = names.file(&date, Compression::None);
        if !is_ours(&part) {
            // Someone was quicker by a hair, and this is what they have put there: back with it.
            let _ = rename_to_free(&folder, &part, &names.log);
            sinks.close(path);
            return Ok(false);
        }
        let millis = stat.st_mtime.saturating_mul(1000).saturating_add(stat.st_mtime_nsec as i64 / 1_000_000);
        let ended = WallTime(u64::try_from(millis).unwrap_or(0));
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let retired = ledger.add(path, Found { date, compression: Compression::None, size, ended });
        drop(ledger);
        let (device_line, opened) = (sink.open_line, make(&folder, &names.log, &stat));
        sinks.close(path);
        // Without it the next write makes the file, readable by its owner alone.
        if self.own.as_deref() == Some(path) {
            // Before anybody packs up what is set aside: nothing more may come there.
            self.renewed |= own::move_on(&stat, path)?;
        } else if let Ok(file) = opened {
            let mut sink = Sink::of(file, now)?;
            sink.open_line = device_line;
            sinks.put(path, sink);
        }
        self.keeper.tidy(path);
        retired.map(|()| true)
    }

    fn rendered(&self, wall: WallTime) -> OsString {
        let mut text = Vec::new();
        self.date.render(wall, &self.zone, &mut text);
        OsString::from_vec(text)
    }
}

/// Whether there is something at this name of a folder. What can't be told is told by the renaming.
fn is_taken(folder: &OwnedFd, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Renames within a folder, over nothing.
fn rename_to_free(folder: &OwnedFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // A file system that does not know the wish.
        Err(Errno::INVAL | Errno::NOSYS) if is_taken(folder, to) => Err(Errno::EXIST),
        Err(Errno::INVAL | Errno::NOSYS) => renameat(folder, from, folder, to),
        other => other,
    }
}

/// Makes the next file, with owner and mode of the last.
fn make(folder: &OwnedFd, name: &OsStr, last: &rustix::fs::Stat) -> io::Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::EXCL
        | OFlags::NOFOLLOW
        | OFlags::CLOEXEC
        | OFlags::NONBLOCK
        | OFlags::NOCTTY;
    let file = File::from(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?);
    // The owner first: changing it may drop bits of the mode. Who may not keeps what the folder gives.
    let _ = fchown(&file, Some(Uid::from_raw(last.st_uid)), Some(Gid::from_raw(last.st_gid)));
    let _ = fchmod(&file, Mode::from_raw_mode(last.st_mode & 0o7777));
    Ok(file)
}

/// Whether the last byte of a file ends a line; an empty file has only whole lines. Unknown is no.
fn ends_with_line(path: &Path) -> bool {
    let last = || {
        let file = File::from(place::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK)?);
        let size = file.metadata()?.len();
        let mut byte = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut byte, size - 1)?;
        }
        io::Result::Ok(byte[0] == b'\n')
    };
    last().unwrap_or(false)
}

/// The end of the first line by which rendered lines fill `room` bytes, when each takes `more` bytes beside its own; all
/// when they fit.
pub(super) fn lines_for(bytes: &[u8], more: usize, room: u64) -> usize {
    let per_byte = more as u64 + 1;
    if (bytes.len() as u64).saturating_mul(per_byte) < room {
        return bytes.len();
    }
    let (mut filled, mut end) = (0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        filled += (line.len() + more) as u64;
        end += line.len();
        if filled >= room {
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_ends_with_the_line_that_reaches_the_limit() {
        let bytes = b"aaa\nbbb\nccc\n";
        assert_eq!(lines_for(bytes, 0, u64::MAX), 12);
        assert_eq!(lines_for(bytes, 0, 4), 4);
        assert_eq!(lines_for(bytes, 0, 5), 8);
        assert_eq!(lines_for(bytes, 6, 10), 4);
        assert_eq!(lines_for(bytes, 6, 11), 8);
        assert_eq!(lines_for(bytes, 0, 0), 4, "at least one");
        assert_eq!(lines_for(b"", 0, 0), 0);
    }

    proptest! {
        #[test]
        fn a_file_is_rotated_at_the_first_end_of_a_line_from_its_limit_on(
            bytes in prop::collection::vec(prop_oneof![1 => Just(b'\n'), 6 => Just(b'x')], 0..400),
            cuts in prop::collection::vec(1usize..60, 1..40),
            limit in 1usize..80,
        ) {
            // What comes is seen in pieces of any size; the files must not depend on them.
            let (mut files, mut start, mut at, mut seen, mut cut) = (Vec::new(), 0, 0, 0, cuts.iter().cycle());
            while at < bytes.len() {
                if seen == at {
                    seen = (seen + cut.next().expect("endless")).min(bytes.len());
                }
                let size = at - start;
                let near = Near { room: limit.saturating_sub(size), most: (2 * limit).saturating_sub(size).max(1) };
                let plan = near.plan(&bytes[at..seen]);
                prop_assert!(plan.most <= seen - at && plan.most > 0);
                at += plan.most;
                if plan.then_rotate {
                    files.push(&bytes[start..at]);
                    start = at;
                }
            }
            let mut expected = Vec::new();
            let mut rest = &bytes[..];
            while rest.len() >= limit {
                let end = rest[limit - 1..].iter().position(|byte| *byte == b'\n').map_or(rest.len() + 1, |n| limit + n);
                let end = end.min(2 * limit);
                if end > rest.len() {
                    break;
                }
                expected.push(&rest[..end]);
                rest = &rest[end..];
            }
            prop_assert_eq!(files, expected);
        }
    }
}
