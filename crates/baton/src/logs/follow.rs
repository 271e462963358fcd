//! Following logs as they grow, are emptied, set aside and made anew. The kernel says when: nothing is polled.

use super::cursor::Cursor;
use super::place::Place;
use super::query::{Query, merge};
use super::source::Source;
use super::stream::Stream;
use crate::notifications::{Notification, drain};
use baton_os::clock;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How long an unfinished line waits for its end before it is shown (ms).
pub(crate) const PATIENCE: u64 = 1000;

/// Where to begin with a log that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At its end.
    End,
    /// At its end, or at its beginning if it was made after this time (ms since the Unix epoch).
    EndUnlessNew(u64),
}

/// Follows logs. Its descriptor is readable when there is something to do.
#[derive(Debug)]
pub(crate) struct Follower {
    inotify: OwnedFd,
    query: Query,
    cursors: Vec<Cursor>,
    /// Logs that are not there yet.
    awaited: Vec<Source>,
    folders: HashMap<i32, PathBuf>,
    files: HashMap<i32, PathBuf>,
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Follower {
    /// Follows nothing yet. Of the query only counts which lines are wanted, not since when.
    ///
    /// # Errors
    /// When the kernel has no notifications to give.
    pub(crate) fn new(mut query: Query) -> io::Result<Follower> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        (query.wanted.since, query.wanted.until, query.wanted.follows) = (None, None, true);
        query.lines = None;
        let (folders, files) = (HashMap::new(), HashMap::new());
        Ok(Follower { inotify, query, cursors: Vec::new(), awaited: Vec::new(), folders, files })
    }

    /// The log of this path, when it is followed.
    pub(crate) fn source(&mut self, path: &Path) -> Option<&mut Source> {
        let followed = self.cursors.iter_mut().map(|cursor| &mut cursor.source);
        followed.chain(&mut self.awaited).find(|source| source.path == path)
    }

    /// Goes on with a log from where its cursor is.
    ///
    /// # Errors
    /// When it can't be watched.
    pub(crate) fn go_on(&mut self, mut cursor: Cursor) -> io::Result<()> {
        self.watch_folder(&cursor.source.path)?;
        self.watch_file(&cursor.source.path)?;
        cursor.stream.follow();
        cursor.unbound();
        // It may have been set aside before it was watched.
        cursor.stream.look_again()?;
        self.cursors.push(cursor);
        Ok(())
    }

    /// Follows one more log; it may not be there yet.
    ///
    /// # Errors
    /// When it can't be watched.
    pub(crate) fn add(&mut self, source: Source, from: From) -> io::Result<()> {
        // The folder first: a file that is made in between is then seen twice, not missed.
        self.watch_folder(&source.path)?;
        let mut stream = match Stream::open(&source.path, &self.query.times) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.awaited.push(source);
                return Ok(());
            }
            other => other?,
        };
        let new = match from {
            From::End => false,
            From::EndUnlessNew(since) => made_at(&source.path) >= since,
        };
        let end = stream.end();
        stream.seek(if new { Place { offset: 0, ..end } } else { end });
        let cursor = Cursor::new(source, stream, self.query.wanted.clone(), self.query.zone.clone());
        self.go_on(cursor)
    }

    /// Leaves the logs that are not wanted any more.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&Source) -> bool) {
        self.cursors.retain(|cursor| wanted(&cursor.source));
        self.awaited.retain(&wanted);
        let paths: BTreeSet<&Path> = self.cursors.iter().map(|cursor| cursor.source.path.as_path()).collect();
        let inotify = &self.inotify;
        self.files.retain(|watch, path| {
            let keep = paths.contains(path.as_path());
            if !keep {
                // The kernel has dropped the watch of a file that is gone.
                let _ = inotify::remove_watch(inotify, *watch);
            }
            keep
        });
    }

    /// Reads whatever happened, and gives every new line.
    ///
    /// # Errors
    /// When the kernel's notifications can't be read, or `give` says an error.
    pub(crate) fn read(&mut self, give: impl FnMut(&Cursor) -> io::Result<()>) -> io::Result<()> {
        let mut grown: BTreeSet<PathBuf> = BTreeSet::new();
        let mut made: BTreeSet<PathBuf> = BTreeSet::new();
        let mut everything = false;
        drain(&self.inotify, |Notification { watch, flags, name }| {
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                everything = true;
            } else if flags.contains(ReadFlags::IGNORED) {
                self.files.remove(&watch);
                self.folders.remove(&watch);
            } else if let (Some(folder), Some(name)) = (self.folders.get(&watch), name) {
                made.insert(folder.join(name));
            } else {
                grown.extend(self.files.get(&watch).cloned());
            }
            ControlFlow::Continue(())
        })?;
        for source in std::mem::take(&mut self.awaited) {
            if everything || made.contains(&source.path) {
                self.add(source, From::EndUnlessNew(0))?;
            } else {
                self.awaited.push(source);
            }
        }
        let touched = |path: &Path| everything || made.contains(path) || grown.contains(path);
        for index in 0..self.cursors.len() {
            let path = self.cursors[index].source.path.clone();
            if everything || made.contains(&path) {
                self.watch_file(&path)?;
            }
            if touched(&path) {
                self.cursors[index].stream.look_again()?;
            }
        }
        let mut active: Vec<&mut Cursor> =
            self.cursors.iter_mut().filter(|cursor| touched(&cursor.source.path)).collect();
        merge(&mut active, |_| false, give)
    }

    /// Reads every log to its end: what was written before the first notification.
    ///
    /// # Errors
    /// As [`Follower::read`].
    pub(crate) fn catch_up(&mut self, give: impl FnMut(&Cursor) -> io::Result<()>) -> io::Result<()> {
        let mut all: Vec<&mut Cursor> = self.cursors.iter_mut().collect();
        merge(&mut all, |_| false, give)
    }

    /// Whether a line is unfinished.
    pub(crate) fn is_amid_line(&self) -> bool {
        self.cursors.iter().any(Cursor::is_amid_line)
    }

    /// Gives the unfinished lines as they are: nothing has come for [`PATIENCE`].
    ///
    /// # Errors
    /// As [`Follower::read`].
    pub(crate) fn give_unfinished(&mut self, give: impl FnMut(&Cursor) -> io::Result<()>) -> io::Result<()> {
        let mut unfinished: Vec<&mut Cursor> = self.cursors.iter_mut().filter(|cursor| cursor.is_amid_line()).collect();
        merge(&mut unfinished, |_| true, give)
    }

    /// What could not be read, since the last time this was asked.
    pub(crate) fn troubles(&mut self) -> Vec<String> {
        self.cursors.iter_mut().flat_map(|cursor| std::mem::take(&mut cursor.stream.troubles)).collect()
    }

    fn watch_folder(&mut self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        match inotify::add_watch(&self.inotify, folder, WatchFlags::CREATE | WatchFlags::MOVED_TO) {
            Ok(watch) => {
                self.folders.insert(watch, folder.to_owned());
                Ok(())
            }
            // An app that has not written yet may not have its folder either.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn watch_file(&mut self, path: &Path) -> io::Result<()> {
        match inotify::add_watch(&self.inotify, path, WatchFlags::MODIFY) {
            Ok(watch) => {
                self.files.insert(watch, path.to_owned());
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the last line of a log that is followed is shown although it has no end: nobody has gone on with it for a
/// while.
pub(crate) fn is_left_unfinished(cursor: &Cursor) -> bool {
    cursor.stream.modified().saturating_add(PATIENCE) < clock::now().wall.0
}

/// When a file was made, in milliseconds since the Unix epoch; 0 where the file system does not tell.
fn made_at(path: &Path) -> u64 {
    let since_epoch = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).ok();
    let data = File::open(path).and_then(|file| file.metadata());
    let made = data.and_then(|data| data.created()).ok().and_then(since_epoch);
    made.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Wanted;
    use super::super::source::Stream as Channel;
    use super::*;
    use baton_core::units::InstanceId;
    use jiff::tz::TimeZone;
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
            let times = folder.path().join("times");
            let query = Query { wanted: Wanted::default(), lines: None, times, zone: TimeZone::UTC };
            let mut follower = Follower::new(query).unwrap();
            let source = Source { path, stream: Channel::Out, id: InstanceId(0), name: "app".into() };
            follower.add(source, From::End).unwrap();
            Case { folder, follower }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("app.log")
        }

        fn append(&self, text: &str) {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn rotate(&self, date: &str) {
            fs::rename(self.path(), self.folder.path().join(format!("app__{date}.log"))).unwrap();
        }

        fn lines(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            self.follower
                .read(|cursor| {
                    let (_, line) = cursor.current().unwrap();
                    lines.push(String::from_utf8(line.to_vec()).unwrap());
                    Ok(())
                })
                .unwrap();
            lines
        }
    }

    #[test]
    fn only_whole_lines_behind_the_start_are_given() {
        let mut case = Case::new("old\n");
        assert_eq!(case.lines(), [""; 0]);
        case.append("a\nb");
        assert_eq!(case.lines(), ["a\n"]);
        assert!(case.follower.is_amid_line());
        case.append("c\n\n");
        assert_eq!(case.lines(), ["bc\n", "\n"]);
    }

    #[test]
    fn a_line_that_stays_unfinished_is_given_as_it_is_and_its_rest_later() {
        let mut case = Case::new("");
        case.append("name? ");
        assert_eq!(case.lines(), [""; 0]);
        let mut given: Vec<u8> = Vec::new();
        let gather = |cursor: &Cursor| {
            given.extend(cursor.current().unwrap().1);
            Ok(())
        };
        case.follower.give_unfinished(gather).unwrap();
        assert_eq!(given, b"name? ");
        assert!(!case.follower.is_amid_line());
        case.append("me\n");
        assert_eq!(case.lines(), ["me\n"]);
    }

    #[test]
    fn an_emptied_file_begins_anew() {
        let mut case = Case::new("a long first line\n");
        case.append("unfini");
        case.lines();
        fs::File::options().write(true).truncate(true).open(case.path()).unwrap();
        case.append("new\n");
        assert_eq!(case.lines(), ["new\n"]);
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_and_its_successor_from_its_beginning() {
        let mut case = Case::new("");
        case.append("before\n");
        fs::rename(case.path(), case.folder.path().join("app.1.log")).unwrap();
        case.append("after\n");
        assert_eq!(case.lines(), ["before\n", "after\n"]);
        case.append("more\n");
        assert_eq!(case.lines(), ["more\n"]);
    }

    #[test]
    fn several_rotations_at_once_leave_no_gap() {
        let mut case = Case::new("old\n");
        case.append("1\n2");
        case.rotate("2026-11-21_00-00-01");
        case.append("3\n");
        case.rotate("2026-11-21_00-00-02");
        case.append("4\n");
        case.rotate("2026-11-21_00-00-03");
        case.append("5\n");
        assert_eq!(case.lines(), ["1\n", "23\n", "4\n", "5\n"]);
        case.append("6\n");
        case.rotate("2026-11-21_00-00-04");
        case.append("7\n");
        assert_eq!(case.lines(), ["6\n", "7\n"]);
    }

    #[test]
    fn a_log_whose_file_was_just_set_aside_has_its_past_and_goes_on() {
        let mut case = Case::new("1\n2\n");
        case.rotate("2026-11-21_00-00-01");
        let query = Query { lines: Some(1), ..case.follower.query.clone() };
        let source = Source { path: case.path(), stream: Channel::Out, id: InstanceId(0), name: "app".into() };
        let mut cursor = query.open(source).unwrap();
        assert!(cursor.advance().unwrap());
        assert_eq!(cursor.current().unwrap().1, b"2\n");
        assert!(!cursor.advance().unwrap());
        case.follower.retain(|_| false);
        case.follower.go_on(cursor).unwrap();
        case.append("3\n");
        case.rotate("2026-11-21_00-00-02");
        case.append("4\n");
        assert_eq!(case.lines(), ["3\n", "4\n"]);
    }

    #[test]
    fn whoever_goes_on_writing_to_a_moved_file_is_heard_until_the_new_one_is_used() {
        let mut case = Case::new("");
        let mut writer = fs::OpenOptions::new().append(true).open(case.path()).unwrap();
        fs::rename(case.path(), case.folder.path().join("app.log.1")).unwrap();
        fs::write(case.path(), "").unwrap();
        assert_eq!(case.lines(), [""; 0]);
        writer.write_all(b"late\n").unwrap();
        assert_eq!(case.lines(), ["late\n"]);
        case.append("new\n");
        assert_eq!(case.lines(), ["new\n"]);
    }

    #[test]
    fn a_file_that_is_made_later_is_followed_from_its_beginning() {
        let mut case = Case::new("");
        let path = case.folder.path().join("later.log");
        let source = Source { path: path.clone(), stream: Channel::Out, id: InstanceId(1), name: "later".into() };
        case.follower.add(source, From::End).unwrap();
        fs::write(&path, "first\n").unwrap();
        assert_eq!(case.lines(), ["first\n"]);
        fs::remove_file(case.path()).unwrap();
        case.lines();
        case.append("again\n");
        assert_eq!(case.lines(), ["again\n"]);
    }
}
