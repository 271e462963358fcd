//! What is known of all parts: which there are, how much they take with their logs, and which go first.
//!
//! The log thread adds and retires parts, the [keeper](super::keeper) compresses them; both do it here, under one lock,
//! so that a part is never retired and renamed at once.

use super::parts::{Compression, Found, Names, file_names, sorts};
use super::place;
use super::rule::{Rotation, Rule};
use baton_core::units::WallTime;
use rustix::fs::{AtFlags, OFlags, unlinkat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A log is given up early when its quota is nearly reached: within this part of it.
const NEARLY: u64 = 32;

/// The ledger as both threads hold it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Ledger>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        // It is consistent after each step of its own, so a panic elsewhere has broken nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts of all logs.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) rotation: Rotation,
    logs: BTreeMap<PathBuf, Log>,
    /// What a compression under way may take beside its part, and for which group.
    reserved: Option<(String, u64)>,
}

#[derive(Debug)]
struct Log {
    names: Names,
    /// In no order; few.
    parts: Vec<Found>,
}

/// What the quotas ask for after the oldest parts are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fits,
    /// This log is the largest and should be rotated at its next line.
    Soon(PathBuf),
    /// This log is the largest and has to be rotated now.
    Now(PathBuf),
}

impl Ledger {
    /// Takes new rules. Parts of logs without rules are forgotten, not removed.
    pub(super) fn set(&mut self, rotation: Rotation) {
        self.logs.retain(|path, _| rotation.rules.contains_key(path));
        self.rotation = rotation;
    }

    /// The rule of a log.
    pub(super) fn rule(&self, path: &Path) -> Option<&Rule> {
        self.rotation.rules.get(path)
    }

    /// The names of a log's parts, which are looked up the first time, and again where a link leads elsewhere by now.
    ///
    /// # Errors
    /// The folder can't be read.
    pub(super) fn names(&mut self, path: &Path) -> io::Result<Names> {
        let names = Names::of(path)?;
        if self.is_new(path, &names) {
            let files = file_names(&names.folder)?;
            self.look_among(path, &names, &files);
        }
        Ok(names)
    }

    /// Looks a log's parts up, as [`Ledger::names`] does, among these files of their folder.
    pub(super) fn look_among(&mut self, path: &Path, names: &Names, files: &[OsString]) {
        if self.is_new(path, names) {
            self.logs.insert(path.to_owned(), Log { names: names.clone(), parts: names.among(files) });
        }
    }

    fn is_new(&self, path: &Path, names: &Names) -> bool {
        self.logs.get(path).is_none_or(|log| log.names != *names)
    }

    /// The date of the newest part, for the name of the next.
    pub(super) fn newest(&self, path: &Path) -> Option<OsString> {
        self.logs.get(path)?.parts.iter().map(|part| part.date.clone()).filter(|date| sorts(date)).max()
    }

    /// The parts of a log that wait for their compression, oldest first.
    pub(super) fn plain(&self, path: &Path) -> Vec<Found> {
        let Some(log) = self.logs.get(path) else { return Vec::new() };
        let mut plain: Vec<Found> =
            log.parts.iter().filter(|part| part.compression == Compression::None).cloned().collect();
        plain.sort_by(|a, b| (a.ended, &a.date).cmp(&(b.ended, &b.date)));
        plain
    }

    /// Takes in a new part, and retires those beyond the number that is kept.
    ///
    /// # Errors
    /// A part can't be removed.
    pub(super) fn add(&mut self, path: &Path, part: Found) -> io::Result<()> {
        if let Some(log) = self.logs.get_mut(path) {
            log.parts.push(part);
        }
        self.retire_surplus(path)
    }

    /// Retires the oldest parts beyond the number that is kept.
    ///
    /// # Errors
    /// A part can't be removed.
    pub(super) fn retire_surplus(&mut self, path: &Path) -> io::Result<()> {
        let Some(retain) = self.rule(path).and_then(|rule| rule.retain) else { return Ok(()) };
        let Some(log) = self.logs.get_mut(path) else { return Ok(()) };
        while log.parts.len() > retain as usize {
            let Some(oldest) = log.oldest() else { break };
            log.retire(oldest)?;
        }
        Ok(())
    }

    /// Retires what is older than `max_age` says. Returns when the next part will be.
    ///
    /// # Errors
    /// A part can't be removed.
    pub(super) fn expire(&mut self, now: WallTime) -> io::Result<Option<WallTime>> {
        let mut next: Option<WallTime> = None;
        for (path, log) in &mut self.logs {
            let Some(age) = self.rotation.rules.get(path).and_then(|rule| rule.max_age) else { continue };
            for index in (0..log.parts.len()).rev() {
                let end = WallTime(log.parts[index].ended.0.saturating_add(age));
                if end <= now {
                    log.retire(index)?;
                } else {
                    next = next.into_iter().chain([end]).min();
                }
            }
        }
        Ok(next)
    }

    /// Whether a part is still kept, under this compression.
    pub(super) fn has(&self, path: &Path, date: &OsStr, compression: Compression) -> bool {
        self.logs
            .get(path)
            .is_some_and(|log| log.parts.iter().any(|part| part.date == date && part.compression == compression))
    }

    /// A part is compressed now and takes `size` bytes.
    pub(super) fn compressed(&mut self, path: &Path, date: &OsStr, compression: Compression, size: u64) {
        let parts = self.logs.get_mut(path).map(|log| &mut log.parts);
        if let Some(part) = parts.and_then(|parts| parts.iter_mut().find(|part| part.date == date)) {
            (part.compression, part.size) = (compression, size);
        }
    }

    /// Sets aside so many bytes for a compression, or none any more.
    pub(super) fn reserve(&mut self, reserved: Option<(String, u64)>) {
        self.reserved = reserved;
    }

    /// Retires parts, oldest first, until the quotas hold.
    ///
    /// # Errors
    /// A part can't be removed.
    pub(super) fn enforce(&mut self) -> io::Result<Verdict> {
        let mut verdict = Verdict::Fits;
        let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
        for rule in self.rotation.rules.values() {
            if let Some(quota) = rule.quota {
                groups.insert(&rule.group, quota);
            }
        }
        let mut scopes: Vec<(Option<String>, u64)> =
            groups.into_iter().map(|(group, quota)| (Some(group.to_owned()), quota)).collect();
        scopes.extend(self.rotation.quota.map(|quota| (None, quota)));
        for (group, quota) in scopes {
            match self.enforce_one(group.as_deref(), quota)? {
                Verdict::Fits => {}
                now @ Verdict::Now(_) => return Ok(now),
                soon @ Verdict::Soon(_) => verdict = soon,
            }
        }
        Ok(verdict)
    }

    fn enforce_one(&mut self, group: Option<&str>, quota: u64) -> io::Result<Verdict> {
        let chosen: Vec<PathBuf> = self
            .rotation
            .rules
            .iter()
            .filter(|(_, rule)| group.is_none_or(|group| rule.group == group))
            .map(|(path, _)| path.clone())
            .collect();
        let sizes = chosen.iter().map(|path| (live_size(path), path));
        let (mut live, mut largest) = (0, (0, None));
        for (size, path) in sizes {
            live += size;
            if size > largest.0 {
                largest = (size, Some(path.clone()));
            }
        }
        let reserved =
            self.reserved.as_ref().filter(|(of, _)| group.is_none_or(|group| group == of)).map_or(0, |r| r.1);
        let mut parts: u64 =
            chosen.iter().filter_map(|path| self.logs.get(path)).flat_map(|log| &log.parts).map(|part| part.size).sum();
        let over = |parts: u64, limit: u64| live + reserved + parts > limit;
        while over(parts, quota) {
            let oldest = chosen
                .iter()
                .filter_map(|path| Some((path, self.logs.get(path)?)))
                .filter_map(|(path, log)| Some((path, log.oldest()?, log)))
                .min_by(|(_, a, x), (_, b, y)| {
                    (x.parts[*a].ended, &x.parts[*a].date).cmp(&(y.parts[*b].ended, &y.parts[*b].date))
                });
            let Some((path, index, _)) = oldest else { break };
            let path = path.clone();
            let Some(log) = self.logs.get_mut(&path) else { break };
            parts -= log.parts[index].size;
            log.retire(index)?;
        }
        Ok(match largest.1 {
            Some(path) if over(parts, quota) => Verdict::Now(path),
            Some(path) if parts == 0 && over(0, quota - quota / NEARLY) => Verdict::Soon(path),
            _ => Verdict::Fits,
        })
    }
}

impl Log {
    /// The oldest part: by name where all names sort, else by time.
    fn oldest(&self) -> Option<usize> {
        let all_sort = self.parts.iter().all(|part| sorts(&part.date));
        let indexes = 0..self.parts.len();
        if all_sort {
            indexes.min_by_key(|index| &self.parts[*index].date)
        } else {
            indexes.min_by_key(|index| (self.parts[*index].ended, &self.parts[*index].date))
        }
    }

    /// Removes a part for good. One that is gone already is no error.
    fn retire(&mut self, index: usize) -> io::Result<()> {
        let part = &self.parts[index];
        let folder = open_folder(&self.names)?;
        // A compression that was cut off between its last two steps has left both.
        for compression in [Compression::None].into_iter().chain(Compression::ALL) {
            remove(&folder, &self.names.file(&part.date, compression))?;
        }
        self.parts.swap_remove(index);
        Ok(())
    }
}

/// The size of a log file; a device has none.
fn live_size(path: &Path) -> u64 {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map_or(0, |stat| stat.len())
}

/// Opens the folder of a log, to work in it by name: whatever is put at its path meanwhile is not touched.
///
/// # Errors
/// What opening gives.
pub(super) fn open_folder(names: &Names) -> io::Result<OwnedFd> {
    place::open(&names.folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)
}

/// Removes a file of a folder; one that is gone is no error.
///
/// # Errors
/// What removing gives.
pub(super) fn remove(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}
