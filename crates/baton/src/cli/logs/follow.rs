//! Following files as they grow, are emptied, renamed and made anew. The kernel says when: nothing is polled.

use super::source::Source;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How much is read of a file at once, in bytes.
const BLOCK: usize = 64 * 1024;
/// A line longer than this is passed on in pieces, in bytes.
const LONGEST_LINE: usize = 1024 * 1024;

/// Where to begin with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At this offset.
    Offset(u64),
    /// At its end, or at its beginning if it was made after this time (ms since the Unix epoch).
    EndUnlessNew(u64),
}

/// A file that is followed.
#[derive(Debug)]
struct Followed {
    source: Source,
    file: Option<File>,
    inode: u64,
    offset: u64,
    /// The beginning of a line whose end was not written yet.
    pending: Vec<u8>,
    watch: Option<i32>,
}

/// Follows files. Its descriptor is readable when there is something to do.
#[derive(Debug)]
pub(crate) struct Follower {
    inotify: OwnedFd,
    files: Vec<Followed>,
    folders: HashMap<i32, PathBuf>,
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Follower {
    /// Follows nothing yet.
    ///
    /// # Errors
    /// When the kernel has no notifications to give.
    pub(crate) fn new() -> io::Result<Follower> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Follower { inotify, files: Vec::new(), folders: HashMap::new() })
    }

    /// The file of this path, when it is followed.
    pub(crate) fn source(&mut self, path: &Path) -> Option<&mut Source> {
        self.files.iter_mut().map(|followed| &mut followed.source).find(|source| source.path == path)
    }

    /// Follows one more file; it may not be there yet.
    ///
    /// # Errors
    /// When its folder can't be watched.
    pub(crate) fn add(&mut self, source: Source, from: From) -> io::Result<()> {
        let folder = source.path.parent().unwrap_or(Path::new("/")).to_owned();
        let mut followed = Followed { source, file: None, inode: 0, offset: 0, pending: Vec::new(), watch: None };
        // The folder first: a file that is made in between is then seen twice, not missed.
        match inotify::add_watch(&self.inotify, &folder, WatchFlags::CREATE | WatchFlags::MOVED_TO) {
            Ok(watch) => {
                self.folders.insert(watch, folder);
            }
            // An app that has not written yet may not have its folder either.
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        if followed.open(&self.inotify)? {
            followed.offset = match (from, &followed.file) {
                (From::Offset(offset), _) => offset,
                (From::EndUnlessNew(since), Some(file)) if made_at(file) < since => file.metadata()?.len(),
                (From::EndUnlessNew(_), _) => 0,
            };
        }
        self.files.push(followed);
        Ok(())
    }

    /// Reads whatever happened, and gives every new line, without its newline.
    ///
    /// # Errors
    /// When a file can't be read, or `line` gives one.
    pub(crate) fn read(&mut self, mut line: impl FnMut(&Source, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut grown: Vec<i32> = Vec::new();
        let mut made: Vec<PathBuf> = Vec::new();
        let mut everything = false;
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => everything = true,
                Ok(event) => match (self.folders.get(&event.wd()), event.file_name()) {
                    (Some(folder), Some(name)) => {
                        made.push(folder.join(OsString::from_vec(name.to_bytes().to_vec())));
                    }
                    _ => grown.push(event.wd()),
                },
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for followed in &mut self.files {
            let made_anew = everything || made.contains(&followed.source.path);
            if made_anew || followed.watch.is_some_and(|watch| grown.contains(&watch)) {
                followed.drain(&mut line)?;
            }
            if made_anew && followed.open(&self.inotify)? {
                followed.drain(&mut line)?;
            }
        }
        Ok(())
    }

    /// Reads every file to its end: what was written before the first notification.
    ///
    /// # Errors
    /// As [`Follower::read`].
    pub(crate) fn catch_up(&mut self, mut line: impl FnMut(&Source, &[u8]) -> io::Result<()>) -> io::Result<()> {
        self.files.iter_mut().try_for_each(|followed| followed.drain(&mut line))
    }
}

impl Followed {
    /// Opens the file at the path if it is another than the one that is open. Says whether one was opened.
    fn open(&mut self, inotify: &OwnedFd) -> io::Result<bool> {
        let file = match File::open(&self.source.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let inode = file.metadata()?.ino();
        if self.file.is_some() && inode == self.inode {
            return Ok(false);
        }
        if let Some(watch) = self.watch.take() {
            // The kernel has dropped the watch of a file that is gone.
            let _ = inotify::remove_watch(inotify, watch);
        }
        self.watch = Some(inotify::add_watch(inotify, &self.source.path, WatchFlags::MODIFY)?);
        (self.file, self.inode, self.offset) = (Some(file), inode, 0);
        Ok(true)
    }

    /// Gives the lines from the offset to the end of the file.
    fn drain(&mut self, line: &mut impl FnMut(&Source, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if file.metadata()?.len() < self.offset {
            // It was emptied: what is in it now is new.
            self.offset = 0;
            self.pending.clear();
        }
        let mut block = vec![0; BLOCK];
        loop {
            let count = match file.read_at(&mut block, self.offset) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.offset += count as u64;
            let mut rest = &block[..count];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                if self.pending.is_empty() {
                    line(&self.source, &rest[..end])?;
                } else {
                    self.pending.extend_from_slice(&rest[..end]);
                    line(&self.source, &self.pending)?;
                    self.pending.clear();
                }
                rest = &rest[end + 1..];
            }
            self.pending.extend_from_slice(rest);
            if self.pending.len() > LONGEST_LINE {
                line(&self.source, &self.pending)?;
                self.pending.clear();
            }
        }
    }
}

/// When a file was made, in milliseconds since the Unix epoch; 0 where the file system does not tell.
fn made_at(file: &File) -> u64 {
    let since_epoch = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).ok();
    let made = file.metadata().and_then(|data| data.created()).ok().and_then(since_epoch);
    made.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::source::Stream;
    use super::*;
    use baton_core::units::InstanceId;
    use std::fs;
    use std::io::Write;

    struct Case {
        folder: tempfile::TempDir,
        follower: Follower,
    }

    impl Case {
        fn new(content: &str) -> Case {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("app.log");
            fs::write(&path, content).unwrap();
            let mut follower = Follower::new().unwrap();
            let source = Source { path, stream: Stream::Out, id: InstanceId(0), name: "app".into() };
            follower.add(source, From::Offset(content.len() as u64)).unwrap();
            Case { folder, follower }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("app.log")
        }

        fn append(&self, text: &str) {
            fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(self.path())
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        }

        fn lines(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            let gather = |_: &Source, line: &[u8]| {
                lines.push(String::from_utf8(line.to_vec()).unwrap());
                Ok(())
            };
            self.follower.read(gather).unwrap();
            lines
        }
    }

    #[test]
    fn only_whole_lines_behind_the_start_are_given() {
        let mut case = Case::new("old\n");
        assert_eq!(case.lines(), [""; 0]);
        case.append("a\nb");
        assert_eq!(case.lines(), ["a"]);
        case.append("c\n\n");
        assert_eq!(case.lines(), ["bc", ""]);
    }

    #[test]
    fn an_emptied_file_begins_anew() {
        let mut case = Case::new("a long first line\n");
        fs::File::options().write(true).truncate(true).open(case.path()).unwrap();
        case.append("new\n");
        assert_eq!(case.lines(), ["new"]);
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_and_its_successor_from_its_beginning() {
        let mut case = Case::new("");
        case.append("before\n");
        fs::rename(case.path(), case.folder.path().join("app.1.log")).unwrap();
        case.append("after\n");
        assert_eq!(case.lines(), ["before", "after"]);
        case.append("more\n");
        assert_eq!(case.lines(), ["more"]);
    }

    #[test]
    fn a_file_that_is_made_later_is_followed_from_its_beginning() {
        let mut case = Case::new("");
        fs::remove_file(case.path()).unwrap();
        case.lines();
        case.append("first\n");
        assert_eq!(case.lines(), ["first"]);
    }
}
