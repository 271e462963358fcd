//! The files that a source is made of, watched. The kernel tells of changes; nothing is polled.
//!
//! Directories are watched, not files: editors put a new file in the place of the old one. Of what happens in them
//! counts what concerns a file that was read or looked for, and in a directory that was listed whatever comes or goes.
//! While a source is broken everything counts, since nobody knows what will repair it.

use crate::notifications::{Notification, drain};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How far the time of a file may be behind the clock (ms): the kernel stamps files by ticks.
const COARSE: u64 = 20;
/// Links behind links that are followed.
const LINKS: usize = 16;

/// What is to be watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Files that were read, or looked for.
    pub(super) files: Vec<PathBuf>,
    /// Directories that were listed.
    pub(super) directories: Vec<PathBuf>,
    /// Whether everything in the directories of all of them counts.
    pub(super) everything: bool,
}

/// Watched files.
#[derive(Debug)]
pub(super) struct Inputs {
    inotify: AsyncFd<OwnedFd>,
    /// Directories by their watch; behind links one has several names.
    folders: HashMap<i32, Vec<PathBuf>>,
    /// Paths that count.
    paths: HashSet<PathBuf>,
    listed: HashSet<PathBuf>,
    everything: bool,
}

impl Inputs {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the kernel has no notifications to give.
    pub(super) fn new() -> io::Result<Inputs> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "the successor is unsafe for types that may lie about their descriptor; an OwnedFd can't"
        )]
        let inotify = AsyncFd::with_interest(inotify, Interest::READABLE)?;
        Ok(Inputs {
            inotify,
            folders: HashMap::new(),
            paths: HashSet::new(),
            listed: HashSet::new(),
            everything: false,
        })
    }

    /// Watches these from now on and nothing else; true when one that was not watched before has changed since a time
    /// (ms since the Unix epoch), so that nobody knows whether the change was seen.
    ///
    /// # Errors
    /// When the kernel has no room for more watches, with what to do about it.
    pub(super) fn watch(&mut self, wanted: &Wanted, since: u64) -> io::Result<bool> {
        let mut paths = HashSet::new();
        let mut folders = HashSet::new();
        for file in wanted.files.iter().chain(&wanted.directories) {
            follow(file, &mut paths, &mut folders, LINKS);
        }
        self.listed = wanted.directories.iter().cloned().collect();
        folders.extend(wanted.directories.iter().filter(|directory| directory.is_dir()).cloned());
        self.everything = wanted.everything;
        let mut kept: HashMap<i32, Vec<PathBuf>> = HashMap::new();
        for folder in folders {
            match inotify::add_watch(self.inotify.get_ref(), &folder, mask()) {
                Ok(watch) => kept.entry(watch).or_default().push(folder),
                // It went in this moment, which is seen in the one above.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
                Err(Errno::NOSPC) => {
                    return Err(io::Error::other(
                        "the kernel has no room for more watches: raise fs.inotify.max_user_watches",
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        for watch in self.folders.keys().filter(|watch| !kept.contains_key(watch)) {
            // The kernel has dropped the watch of a directory that is gone.
            let _ = inotify::remove_watch(self.inotify.get_ref(), *watch);
        }
        self.folders = kept;
        let changed = paths.difference(&self.paths).any(|path| is_newer(path, since));
        self.paths = paths;
        Ok(changed)
    }

    /// Waits until something has happened that counts.
    ///
    /// # Errors
    /// When the kernel's notifications can't be read.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable().await?;
            let counts = read(self.inotify.get_ref(), |folder, name, events| {
                counts(self.folders.get(&folder), name, events, &self.paths, &self.listed, self.everything)
            })?;
            ready.clear_ready();
            if counts {
                return Ok(());
            }
        }
    }

    /// How many files count.
    pub(super) fn count(&self) -> usize {
        self.paths.iter().filter(|path| path.is_file()).count()
    }
}

fn mask() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ATTRIB
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR
}

/// Notes what must be watched to see a path change: itself, the links on the way to it, and where it is missing the first
/// directory that is to come.
fn follow(path: &Path, paths: &mut HashSet<PathBuf>, folders: &mut HashSet<PathBuf>, links: usize) {
    if !paths.insert(path.to_owned()) {
        return;
    }
    let mut at = PathBuf::new();
    for component in path.components() {
        let parent = at.clone();
        at.push(component);
        match std::fs::symlink_metadata(&at) {
            Ok(found) if found.is_symlink() && links > 0 => {
                paths.insert(at.clone());
                folders.insert(parent.clone());
                if let Ok(target) = std::fs::read_link(&at) {
                    let rest = path.strip_prefix(&at).unwrap_or(Path::new(""));
                    let target = baton_config::target::resolve(&parent, target);
                    let target = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
                    follow(&target, paths, folders, links - 1);
                }
            }
            Ok(_) => {}
            Err(_) => {
                paths.insert(at.clone());
                folders.insert(parent);
                return;
            }
        }
    }
    folders.extend(path.parent().map(Path::to_owned));
}

fn is_newer(path: &Path, since: u64) -> bool {
    let Ok(found) = std::fs::metadata(path) else { return false };
    let changed = found.ctime().saturating_mul(1_000).saturating_add(found.ctime_nsec() / 1_000_000);
    u64::try_from(changed).unwrap_or(0) + COARSE >= since
}

/// Reads every notification there is; true when one counts.
fn read(inotify: &OwnedFd, mut counts: impl FnMut(i32, Option<OsString>, ReadFlags) -> bool) -> io::Result<bool> {
    let mut any = false;
    drain(inotify, |Notification { watch, flags, name }| {
        any |= counts(watch, name, flags);
        ControlFlow::Continue(())
    })?;
    Ok(any)
}

fn counts(
    folders: Option<&Vec<PathBuf>>,
    name: Option<OsString>,
    events: ReadFlags,
    paths: &HashSet<PathBuf>,
    listed: &HashSet<PathBuf>,
    everything: bool,
) -> bool {
    // Some were lost: only another look at everything tells.
    if events.contains(ReadFlags::QUEUE_OVERFLOW) {
        return true;
    }
    let (Some(folders), Some(name)) = (folders, name) else {
        return folders.is_some() && events.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF);
    };
    let comes_or_goes = ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO;
    let any = everything || (events.intersects(comes_or_goes) && folders.iter().any(|folder| listed.contains(folder)));
    folders.iter().any(|folder| paths.contains(&folder.join(&name))) || (any && !is_editors(&name))
}

/// Whether a file is one that editors make for themselves.
fn is_editors(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let swap = [".swp", ".swo", ".swx", ".tmp"].iter().any(|end| name.starts_with('.') && name.ends_with(end));
    swap || name.starts_with(".#")
        || name.ends_with('~')
        || name == "4913"
        || (name.starts_with('#') && name.ends_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// Whether something that counts has happened already.
    fn happened(inputs: &mut Inputs) -> bool {
        read(inputs.inotify.get_ref(), |folder, name, events| {
            counts(inputs.folders.get(&folder), name, events, &inputs.paths, &inputs.listed, inputs.everything)
        })
        .expect("notifications")
    }

    #[test]
    fn what_was_read_or_looked_for_counts_and_nothing_else() {
        let runtime = runtime();
        let _inside = runtime.enter();
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("real")).expect("a directory");
        fs::write(at("real/lib.js"), "1").expect("a file");
        std::os::unix::fs::symlink(at("real"), at("link")).expect("a link");
        fs::write(at("a.js"), "1").expect("a file");
        let mut inputs = Inputs::new().expect("inputs");
        let files = vec![at("a.js"), at("link/lib.js"), at("later/on/b.js")];
        let wanted = Wanted { files, ..Wanted::default() };
        assert!(inputs.watch(&wanted, 0).expect("watched"), "made before");
        assert!(!inputs.watch(&wanted, 0).expect("watched"), "known already");
        let mut step = |what: &str, counts: bool, deed: &dyn Fn() -> io::Result<()>| {
            deed().expect(what);
            assert_eq!(happened(&mut inputs), counts, "{what}");
            inputs.watch(&wanted, u64::MAX).expect("watched");
            happened(&mut inputs);
        };
        step("another file", false, &|| fs::write(at("other.js"), "1"));
        step("an edit", true, &|| fs::write(at("a.js"), "2"));
        step("an atomic save", true, &|| {
            fs::write(at("x.tmp"), "3").and_then(|()| fs::rename(at("x.tmp"), at("a.js")))
        });
        step("an edit behind a link", true, &|| fs::write(at("real/lib.js"), "2"));
        step("the link moves", true, &|| {
            fs::remove_file(at("link"))?;
            std::os::unix::fs::symlink(at("."), at("link"))
        });
        step("a directory on the way to a missing file", true, &|| fs::create_dir_all(at("later/on")));
        step("the missing file", true, &|| fs::write(at("later/on/b.js"), "1"));
        step("permissions", true, &|| {
            fs::set_permissions(at("a.js"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        });
        step("its end", true, &|| fs::remove_file(at("a.js")));
    }

    #[test]
    fn a_listed_directory_counts_for_what_comes_and_goes_and_a_broken_source_for_everything() {
        let runtime = runtime();
        let _inside = runtime.enter();
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        fs::write(at("log"), "1").expect("a file");
        let mut inputs = Inputs::new().expect("inputs");
        let mut wanted = Wanted { directories: vec![root.path().to_owned()], ..Wanted::default() };
        inputs.watch(&wanted, 0).expect("watched");
        fs::write(at("log"), "2").expect("written");
        assert!(!happened(&mut inputs), "what stands in it is not read");
        for name in [".#a.cljs", "a.cljs~", "4913", ".a.cljs.swp"] {
            fs::write(at(name), "1").expect("a file");
        }
        assert!(!happened(&mut inputs), "files of editors");
        fs::write(at("b.cljs"), "1").expect("a file");
        assert!(happened(&mut inputs));
        wanted.everything = true;
        inputs.watch(&wanted, 0).expect("watched");
        fs::write(at("log"), "3").expect("written");
        assert!(happened(&mut inputs));
    }
}
