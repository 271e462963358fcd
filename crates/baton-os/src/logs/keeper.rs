//! The keeper: a thread of low priority that compresses parts and removes those that are too old.
//!
//! A compressed part is written beside the plain one under a hidden name, then renamed, then the plain one is removed.
//! So there is a whole one at any instant; what a kill leaves is removed or done again when the rules are next set.

use super::ledger::{Shared, Verdict, open_folder, remove};
use super::parts::{Compression, Found, Names, file_names};
use super::times;
use baton_core::units::WallTime;
use rustix::fs::{
    FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, fchmod, fchown, fstat, futimens, openat, renameat,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Below all apps.
const NICE: i32 = 15;
/// What is read between two looks whether the thread shall end.
const CHUNK: usize = 64 * 1024;
/// The shortest wait for a part's end of age: a clock that goes back and forth costs no more than this.
const SHORTEST: Duration = Duration::from_secs(1);
/// A hidden file that is being written: `.<part>.gz.tmp`.
const UNFINISHED: &str = ".tmp";

/// The handle of the thread; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Option<Sender<PathBuf>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread, which takes the noted times along from a part to its compressed form. `trouble` is told of logs whose parts can't be kept as they should.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(
        ledger: Shared,
        times: Option<PathBuf>,
        trouble: impl Fn(PathBuf, io::Error) + Send + 'static,
    ) -> io::Result<Keeper> {
        let (orders, received) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker { ledger, times, stop: Arc::clone(&stop), trouble: Box::new(trouble) };
        let thread = std::thread::Builder::new().name("baton-parts".into()).spawn(move || worker.run(&received))?;
        Ok(Keeper { orders: Some(orders), stop, thread: Some(thread) })
    }

    /// Has the parts of a log looked after: it has a new one, or a new rule.
    pub(super) fn tidy(&self, path: &Path) {
        if let Some(orders) = &self.orders {
            // The thread is gone only after a panic, which the hook has told.
            let _ = orders.send(path.to_owned());
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The files of folders, as they were a moment ago: a hundred new logs of one folder need one look at it.
type Folders = BTreeMap<PathBuf, Vec<OsString>>;

struct Worker {
    ledger: Shared,
    /// Where the times of log files are noted.
    times: Option<PathBuf>,
    stop: Arc<AtomicBool>,
    trouble: Box<dyn Fn(PathBuf, io::Error) + Send>,
}

impl Worker {
    fn run(&self, orders: &Receiver<PathBuf>) {
        // Best effort: apps come first.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        loop {
            let first = match self.expire() {
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => orders.recv_timeout(wait),
            };
            let mut paths = match first {
                Ok(path) => BTreeSet::from([path]),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            paths.extend(orders.try_iter());
            let mut folders = Folders::new();
            for path in paths {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = self.tidy(&path, &mut folders) {
                    (self.trouble)(path, error);
                }
            }
        }
    }

    /// Removes what is too old; returns how long to wait for the next part to be.
    fn expire(&self) -> Option<Duration> {
        let now = crate::clock::now().wall;
        let next = match self.ledger.lock().expire(now) {
            Ok(next) => next?,
            Err(error) => {
                (self.trouble)(PathBuf::new(), error);
                // A part that can't be removed now may be later.
                WallTime(now.0 + 60_000)
            }
        };
        Some(Duration::from_millis(next.0.saturating_sub(now.0)).max(SHORTEST))
    }

    fn tidy(&self, path: &Path, folders: &mut Folders) -> io::Result<()> {
        let names = Names::of(path)?;
        let files = match folders.get(&names.folder) {
            Some(files) => files,
            None => folders.entry(names.folder.clone()).or_insert(file_names(&names.folder)?),
        };
        let mut ledger = self.ledger.lock();
        let Some(rule) = ledger.rule(path).cloned() else { return Ok(()) };
        // A part that was made since they were listed is in the ledger.
        ledger.look_among(path, &names, files);
        ledger.retire_surplus(path)?;
        let plain = if rule.compression == Compression::None { Vec::new() } else { ledger.plain(path) };
        drop(ledger);
        // What compressions of this log have left unfinished. Only one is ever under way, and not now.
        let left: Vec<OsString> = files.iter().filter(|file| is_unfinished(file, &names)).cloned().collect();
        if left.is_empty() && plain.is_empty() {
            return Ok(());
        }
        let folder = open_folder(&names)?;
        for file in &left {
            remove(&folder, file)?;
        }
        // It takes a while, and others may change the folder.
        folders.clear();
        for part in plain {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let size = part.size;
            self.ledger.lock().reserve(Some((rule.group.clone(), size)));
            let fits = self.ledger.lock().enforce().map(|verdict| !matches!(verdict, Verdict::Now(_)));
            let result = match fits {
                Ok(true) => self.compress(path, &folder, &names, &part, rule.compression),
                // It would break the quota. The part goes soon anyway.
                other => other.map(drop),
            };
            self.ledger.lock().reserve(None);
            result?;
        }
        Ok(())
    }

    fn compress(
        &self,
        path: &Path,
        folder: &OwnedFd,
        names: &Names,
        part: &Found,
        compression: Compression,
    ) -> io::Result<()> {
        let plain = names.file(&part.date, Compression::None);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let source = match openat(folder, &plain, flags, Mode::empty()) {
            // Retired meanwhile.
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            other => File::from(other?),
        };
        let stat = fstat(&source)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let whole = names.file(&part.date, compression);
        let hidden = unfinished(&whole);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = File::from(openat(folder, &hidden, flags, Mode::RUSR | Mode::WUSR)?);
        let kept = source.try_clone()?;
        let made = encode(Watched { source, stop: &self.stop }, &target, compression).and_then(|()| {
            // The owner first: changing it may drop bits of the mode. Only root can, and needs to.
            let _ = fchown(&target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
            fchmod(&target, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
            let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec: tv_nsec as _ };
            let stamps = Timestamps {
                last_access: time(stat.st_atime, stat.st_atime_nsec),
                last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
            };
            futimens(&target, &stamps)?;
            if let Some(folder) = &self.times {
                // A hint for readers, and nothing is lost without it.
                let _ = times::carry(folder, path, &kept, &target);
            }
            // The plain one goes next, so this one must be on disk.
            target.sync_all()
        });
        let size = target.metadata().map_or(0, |stat| stat.len());
        let mut ledger = self.ledger.lock();
        if made.is_err() || !ledger.has(path, &part.date, Compression::None) {
            remove(folder, &hidden)?;
            return if self.stop.load(Ordering::Relaxed) { Ok(()) } else { made };
        }
        renameat(folder, &hidden, folder, &whole)?;
        remove(folder, &plain)?;
        ledger.compressed(path, &part.date, compression, size);
        Ok(())
    }
}

/// The hidden name under which a file is written.
fn unfinished(whole: &OsStr) -> OsString {
    OsString::from_vec([b".", whole.as_bytes(), UNFINISHED.as_bytes()].concat())
}

/// Whether a file is one that a compression of this log has begun.
fn is_unfinished(file: &OsStr, names: &Names) -> bool {
    let hidden = file.as_bytes().strip_prefix(b".").and_then(|rest| rest.strip_suffix(UNFINISHED.as_bytes()));
    hidden.is_some_and(|whole| names.date(OsStr::from_bytes(whole)).is_some())
}

fn encode(mut source: impl Read, target: &File, compression: Compression) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    match compression {
        Compression::None => io::copy(&mut source, &mut &*target).map(drop),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(BufWriter::with_capacity(CHUNK, target), flate2::Compression::default());
            loop {
                match source.read(&mut chunk)? {
                    0 => break,
                    count => encoder.write_all(&chunk[..count])?,
                }
            }
            encoder.finish()?.flush()
        }
        Compression::Zstd => {
            // This encoder knows no errors of its ends: they are kept here.
            let mut input = Sound { inner: source, error: None };
            let mut output = Sound { inner: BufWriter::with_capacity(CHUNK, target), error: None };
            ruzstd::encoding::compress(&mut input, &mut output, ruzstd::encoding::CompressionLevel::Fastest);
            let flushed = output.inner.flush();
            input.error.into_iter().chain(output.error).next().map_or(flushed, Err)
        }
    }
}

/// A source that fails when the thread shall end.
struct Watched<'a> {
    source: File,
    stop: &'a AtomicBool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("ended before it was done"));
        }
        self.source.read(buffer)
    }
}

/// An end that never fails: it keeps the first error, and is at its end, or takes everything, from there on.
struct Sound<T> {
    inner: T,
    error: Option<io::Error>,
}

impl<R: Read> Read for Sound<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.error.is_some() {
            return Ok(0);
        }
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    return Ok(0);
                }
                count => return count,
            }
        }
    }
}

impl<W: Write> Write for Sound<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.error.is_none() {
            self.error = self.inner.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
