//! Log files. One [`Sink`] a path, however many streams write to it: the log thread is the only writer, so the offset of
//! the next byte is the file's size.

use super::place;
use super::route::StreamKey;
use super::times::Marks;
use baton_core::units::WallTime;
use rustix::fs::{FileType, OFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that someone moved or deleted is noticed by the first bytes that come this long after the last look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// An open log file.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) file: File,
    /// A device, FIFO or socket has no offset and no size.
    pub(super) regular: bool,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// The stream whose unfinished, stamped line is the last thing in the file, and which of its files this is.
    pub(super) open_line: Option<(StreamKey, usize)>,
    /// It is to be rotated at the next end of a line, whatever its size.
    pub(super) due: bool,
    /// It could not be rotated: not before it has this size (bytes).
    pub(super) not_before: u64,
    /// What the last batch wrote ended with a whole line.
    pub(super) whole_line: bool,
    looked: Instant,
    marks: Marks,
}

impl Sink {
    fn open(path: &Path, now: Instant) -> io::Result<Sink> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY
            // Neither a FIFO without reader nor a stopped terminal may hold up the other streams.
            | OFlags::NONBLOCK;
        let fd = match place::open(path, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    place::make_folder(folder)?;
                }
                place::open(path, flags)?
            }
            other => other?,
        };
        Sink::of(File::from(fd), now)
    }

    /// The sink of an open file.
    ///
    /// # Errors
    /// The file can't be asked what it is.
    pub(super) fn of(file: File, now: Instant) -> io::Result<Sink> {
        let stat = rustix::fs::fstat(&file)?;
        Ok(Sink {
            file,
            regular: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
            device: stat.st_dev,
            inode: stat.st_ino,
            open_line: None,
            due: false,
            not_before: 0,
            whole_line: false,
            looked: now,
            marks: Marks::default(),
        })
    }

    /// The size in bytes, which is where the next byte goes.
    pub(super) fn size(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstat(self.file.as_fd())?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Whether `path` still names this file.
    fn is_at(&self, path: &Path) -> bool {
        rustix::fs::stat(path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (self.device, self.inode))
    }
}

/// All open log files.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    by_path: HashMap<PathBuf, Sink>,
    /// Where the times of log files are noted.
    times: Option<PathBuf>,
}

impl Sinks {
    /// None yet; their times go to this folder.
    pub(super) fn new(times: Option<PathBuf>) -> Sinks {
        Sinks { by_path: HashMap::new(), times }
    }

    /// Bytes were written to the file at `path` from `offset` on, now.
    pub(super) fn wrote(&mut self, path: &Path, offset: u64, wall: WallTime) {
        if let Some(sink) = self.by_path.get_mut(path).filter(|sink| sink.regular) {
            sink.marks.note(self.times.as_deref(), path, &sink.file, offset, wall.0);
        }
    }

    /// The file at `path`, opened (and made, with its folders) when needed, and again when somebody moved it away.
    ///
    /// # Errors
    /// What opening gives.
    pub(super) fn get(&mut self, path: &Path, now: Instant) -> io::Result<&mut Sink> {
        let stale = match self.by_path.get_mut(path) {
            None => true,
            Some(sink) if now.duration_since(sink.looked) < LOOK_AGAIN => false,
            Some(sink) => {
                sink.looked = now;
                !sink.is_at(path)
            }
        };
        if stale {
            self.by_path.remove(path);
            let sink = Sink::open(path, now)?;
            self.by_path.insert(path.to_owned(), sink);
        }
        // Present: either it was not stale or it has just been put there.
        self.by_path.get_mut(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// The file at `path` if it is open.
    pub(super) fn opened(&mut self, path: &Path) -> Option<&mut Sink> {
        self.by_path.get_mut(path)
    }

    /// Takes the file that is at `path` now.
    pub(super) fn put(&mut self, path: &Path, sink: Sink) {
        self.by_path.insert(path.to_owned(), sink);
    }

    /// Closes the file, so that the next use opens what is at the path then.
    pub(super) fn close(&mut self, path: &Path) {
        self.by_path.remove(path);
    }

    /// Closes all files, so that the next use opens what is at the paths then.
    pub(super) fn close_all(&mut self) {
        self.by_path.clear();
    }

    /// Empties the file at `path`, open or not. A missing file is empty already.
    ///
    /// # Errors
    /// What opening or truncating gives.
    pub(super) fn truncate(&mut self, path: &Path) -> io::Result<()> {
        if let Some(sink) = self.by_path.get_mut(path) {
            if sink.regular && sink.is_at(path) {
                sink.open_line = None;
                return sink.file.set_len(0);
            }
            if !sink.regular {
                return Ok(());
            }
        }
        match place::open(path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK) {
            Ok(fd) => {
                let file = File::from(fd);
                if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(other) => Err(other),
        }
    }
}
