//! Folders that the kernel tells of: one notification descriptor for all apps, one watch a folder. Folders that don't count
//! are not gone into, so that a `node_modules` of a hundred thousand files costs nothing.

use super::rules::{Aim, Rules};
use crate::notifications::{Notification, drain};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names an aim of a tree.
pub(crate) type AimId = u32;

/// What is asked of the kernel. A file counts as changed when whoever wrote it is done.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::EXCL_UNLINK);

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// For which aim.
    pub(crate) aim: AimId,
    /// What has changed.
    pub(crate) path: PathBuf,
}

/// One folder, as one aim sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    aim: AimId,
    path: PathBuf,
    /// Only this name in it matters: it leads to a watched path, or is one.
    only: Option<OsString>,
}

#[derive(Debug)]
struct Target {
    aim: Arc<Aim>,
    rules: Rules,
}

/// Everything that the kernel tells of.
#[derive(Debug)]
pub(crate) struct Tree {
    inotify: OwnedFd,
    spots: HashMap<i32, Vec<Spot>>,
    targets: BTreeMap<AimId, Target>,
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Tree {
    /// Nothing yet.
    ///
    /// # Errors
    /// When the kernel has no notifications to give.
    pub(crate) fn new() -> io::Result<Tree> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Tree { inotify, spots: HashMap::new(), targets: BTreeMap::new() })
    }

    /// The rules of an aim.
    pub(crate) fn rules(&mut self, id: AimId) -> Option<&mut Rules> {
        self.targets.get_mut(&id).map(|target| &mut target.rules)
    }

    /// Watches what an aim says from now on.
    ///
    /// # Errors
    /// When there are more folders than the system allows to watch; those before are watched.
    pub(crate) fn add(&mut self, id: AimId, aim: Arc<Aim>, rules: Rules) -> io::Result<()> {
        self.targets.insert(id, Target { aim: aim.clone(), rules });
        let mut visited = BTreeSet::new();
        for root in &aim.roots {
            self.approach(id, root)?;
            self.enter(id, root, &mut visited)?;
        }
        Ok(())
    }

    /// Watches it no longer.
    pub(crate) fn remove(&mut self, id: AimId) {
        self.targets.remove(&id);
        self.forget(|spot| spot.aim == id);
    }

    fn forget(&mut self, gone: impl Fn(&Spot) -> bool) {
        let inotify = &self.inotify;
        self.spots.retain(|watch, spots| {
            spots.retain(|spot| !gone(spot));
            if spots.is_empty() {
                // A folder that is gone has taken its watch along.
                let _ = inotify::remove_watch(inotify, *watch);
            }
            !spots.is_empty()
        });
    }

    /// Watches where a root is, for the root itself: it may be a file, come later, or be replaced.
    fn approach(&mut self, id: AimId, root: &Path) -> io::Result<()> {
        let mut path = root;
        while let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            if folder.is_dir() {
                return self.watch(folder, Spot { aim: id, path: folder.to_owned(), only: Some(name.to_owned()) });
            }
            path = folder;
        }
        Ok(())
    }

    /// Watches a folder and those in it that count.
    fn enter(&mut self, id: AimId, path: &Path, visited: &mut BTreeSet<(u64, u64)>) -> io::Result<()> {
        let Some(Target { aim, rules }) = self.targets.get_mut(&id) else { return Ok(()) };
        let named = aim.roots.iter().any(|root| root == path);
        let follow = aim.options.follow_symlinks || named;
        let data = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
        // What is not there, or can't be looked at, tells of nothing either.
        let Ok(data) = data else { return Ok(()) };
        if !data.is_dir() || !visited.insert((data.dev(), data.ino())) || !rules.verdict(path, true).counts() {
            return Ok(());
        }
        self.watch(path, Spot { aim: id, path: path.to_owned(), only: None })?;
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink()) {
                self.enter(id, &entry.path(), visited)?;
            }
        }
        Ok(())
    }

    fn watch(&mut self, folder: &Path, spot: Spot) -> io::Result<()> {
        match inotify::add_watch(&self.inotify, folder, CHANGES) {
            Ok(watch) => {
                let spots = self.spots.entry(watch).or_default();
                if !spots.contains(&spot) {
                    spots.push(spot);
                }
                Ok(())
            }
            // Gone meanwhile, or not ours to look into.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What has changed since it was last asked, at most once a name. Folders that have come are watched from now on.
    ///
    /// # Errors
    /// When there are more of them than the system allows to watch.
    pub(crate) fn changes(&mut self) -> io::Result<Vec<Seen>> {
        let mut seen = Vec::new();
        let mut trouble = None;
        for Notification { watch, flags, name } in self.read()? {
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                // What was lost nobody knows.
                for (id, aim) in self.aims() {
                    seen.push(Seen { aim: id, path: aim.cwd.clone() });
                    trouble = trouble.or(self.again(id, aim).err());
                }
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.spots.remove(&watch);
                continue;
            }
            let name = name.unwrap_or_default();
            for spot in self.spots.get(&watch).cloned().unwrap_or_default() {
                if spot.only.as_ref().is_some_and(|only| *only != name) {
                    continue;
                }
                if let Err(error) = self.take(&spot, &name, flags, &mut seen) {
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(error) if seen.is_empty() => Err(error),
            _ => Ok(seen),
        }
    }

    /// One change in one folder, for one aim.
    fn take(&mut self, spot: &Spot, name: &OsStr, flags: ReadFlags, seen: &mut Vec<Seen>) -> io::Result<()> {
        let path = spot.path.join(name);
        let folder = flags.contains(ReadFlags::ISDIR);
        let came = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let Some(Target { aim, rules }) = self.targets.get_mut(&spot.aim) else { return Ok(()) };
        let aim = aim.clone();
        if name == ".gitignore" {
            // Other folders may count now.
            self.again(spot.aim, aim)?;
            return Ok(());
        }
        if rules.verdict(&path, folder).counts() {
            let change = Seen { aim: spot.aim, path: path.clone() };
            let ours = folder && rules.is_made_by_us(&path);
            if !ours && !seen.contains(&change) {
                seen.push(change);
            }
        } else if spot.only.is_none() {
            return Ok(());
        }
        if flags.contains(ReadFlags::MOVED_FROM) && folder {
            self.forget(|known| known.aim == spot.aim && known.path.starts_with(&path));
        }
        if spot.only.is_some() && came {
            // A root, or what leads to it, is there now.
            return self.again(spot.aim, aim);
        }
        // A link may lead to a folder.
        if came && (folder || fs::symlink_metadata(&path).is_ok_and(|data| data.is_symlink())) {
            return self.enter(spot.aim, &path, &mut BTreeSet::new());
        }
        Ok(())
    }

    fn aims(&self) -> Vec<(AimId, Arc<Aim>)> {
        self.targets.iter().map(|(id, target)| (*id, target.aim.clone())).collect()
    }

    /// Looks for the folders of an aim anew. Those that still count keep their watches, and so their numbers: by these the
    /// events tell of them that were read with this one or wait in the queue.
    fn again(&mut self, id: AimId, aim: Arc<Aim>) -> io::Result<()> {
        let Some(Target { mut rules, .. }) = self.targets.remove(&id) else { return Ok(()) };
        rules.read_git_anew();
        for spots in self.spots.values_mut() {
            spots.retain(|spot| spot.aim != id);
        }
        let done = self.add(id, aim, rules);
        // Whatever nobody looks at now.
        self.forget(|_| false);
        done
    }

    fn read(&self) -> io::Result<Vec<Notification>> {
        let mut all = Vec::new();
        drain(&self.inotify, |notification| {
            all.push(notification);
            // Whoever writes without end must not keep the rest waiting.
            if all.len() >= 4096 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Own;
    use super::*;
    use crate::home::Home;
    use baton_core::spec::{AppSpec, Watch, WatchOptions};

    struct Case {
        folder: tempfile::TempDir,
        tree: Tree,
    }

    impl Case {
        fn new(watch: Watch, options: WatchOptions, prepare: impl Fn(&Path)) -> Case {
            let folder = tempfile::tempdir().expect("a folder");
            prepare(folder.path());
            let cwd = folder.path().display().to_string();
            let spec = AppSpec { cwd, watch, watch_options: options, ..AppSpec::default() };
            let aim = Arc::new(Aim::of(&spec).expect("an aim"));
            let mut tree = Tree::new().expect("a tree");
            let rules = Rules::new(aim.clone(), Arc::new(Own::new(&Home::at("/nowhere"), [].iter())));
            tree.add(0, aim, rules).expect("watched");
            Case { folder, tree }
        }

        fn write(&self, name: &str) {
            fs::write(self.folder.path().join(name), "text").expect("a file");
        }

        fn changes(&mut self) -> Vec<String> {
            let seen = self.tree.changes().expect("changes");
            let shown = |seen: Seen| seen.path.strip_prefix(self.folder.path()).expect("below").display().to_string();
            seen.into_iter().map(shown).collect()
        }
    }

    fn make(folder: &Path, name: &str) {
        fs::create_dir_all(folder.join(name)).expect("a folder");
    }

    #[test]
    fn changes_are_seen_at_any_depth_and_folders_that_do_not_count_are_not_gone_into() {
        let mut case = Case::new(Watch::All(true), WatchOptions::default(), |folder| {
            for name in ["src/deep", "node_modules/a/b/c", ".git/objects"] {
                make(folder, name);
            }
        });
        // The folder itself, where it is, and two below it.
        assert_eq!(case.tree.spots.len(), 4);
        for name in ["a.js", "src/deep/b.js", "node_modules/a/x.js", ".git/index"] {
            case.write(name);
        }
        assert_eq!(case.changes(), ["a.js", "src/deep/b.js"]);
        fs::remove_file(case.folder.path().join("a.js")).expect("gone");
        assert_eq!(case.changes(), ["a.js"]);
        assert!(case.changes().is_empty());
    }

    #[test]
    fn folders_that_come_are_watched_and_those_that_move_are_known_by_their_new_name() {
        let mut case = Case::new(Watch::All(true), WatchOptions::default(), |_| ());
        make(case.folder.path(), "new/deep");
        case.changes();
        case.write("new/deep/a.js");
        assert_eq!(case.changes(), ["new/deep/a.js"]);
        fs::rename(case.folder.path().join("new"), case.folder.path().join("other")).expect("renamed");
        assert_eq!(case.changes(), ["new", "other"]);
        case.write("other/deep/a.js");
        assert_eq!(case.changes(), ["other/deep/a.js"]);
    }

    #[test]
    fn a_named_file_is_watched_over_its_replacement_and_a_root_may_come_later() {
        let watch = Watch::Paths(vec!["conf/app.env".into(), "dist".into()]);
        let mut case = Case::new(watch, WatchOptions::default(), |folder| make(folder, "conf"));
        case.write("conf/other");
        assert!(case.changes().is_empty());
        for _ in 0..2 {
            case.write("conf/.tmp");
            fs::rename(case.folder.path().join("conf/.tmp"), case.folder.path().join("conf/app.env")).expect("renamed");
            assert_eq!(case.changes(), ["conf/app.env"]);
        }
        for _ in 0..2 {
            make(case.folder.path(), "dist/js");
            assert_eq!(case.changes(), ["dist"]);
            case.write("dist/js/a.js");
            assert_eq!(case.changes(), ["dist/js/a.js"]);
            fs::remove_dir_all(case.folder.path().join("dist")).expect("gone");
            assert_eq!(case.changes().last().map(String::as_str), Some("dist"));
        }
    }

    #[test]
    fn links_to_folders_are_followed_unless_said_otherwise() {
        let outside = tempfile::tempdir().expect("a folder");
        let prepare = |folder: &Path| std::os::unix::fs::symlink(outside.path(), folder.join("link")).expect("a link");
        let mut case = Case::new(Watch::All(true), WatchOptions::default(), prepare);
        case.write("link/a.js");
        assert_eq!(case.changes(), ["link/a.js"]);
        let options = WatchOptions { follow_symlinks: false, ..WatchOptions::default() };
        let mut case = Case::new(Watch::All(true), options, prepare);
        case.write("link/b.js");
        assert!(case.changes().is_empty());
    }

    #[test]
    fn a_gitignore_that_changes_counts_at_once() {
        let mut case = Case::new(Watch::All(true), WatchOptions::default(), |folder| make(folder, "gen"));
        fs::write(case.folder.path().join(".gitignore"), "gen\n").expect("a file");
        assert!(case.changes().is_empty());
        case.write("gen/a.js");
        assert!(case.changes().is_empty());
        fs::write(case.folder.path().join(".gitignore"), "").expect("a file");
        case.changes();
        case.write("gen/a.js");
        assert_eq!(case.changes(), ["gen/a.js"]);
    }

    #[test]
    fn a_gitignore_that_changes_takes_no_other_change_with_it() {
        let mut case = Case::new(Watch::All(true), WatchOptions::default(), |folder| {
            for name in ["gen", "src"] {
                make(folder, name);
            }
        });
        let before = case.tree.spots.len();
        // As `git pull` writes them: in order, all at once.
        fs::write(case.folder.path().join(".gitignore"), "gen\n").expect("a file");
        for name in ["a.js", "gen/b.js", "src/c.js"] {
            case.write(name);
        }
        assert_eq!(case.changes(), ["a.js", "src/c.js"]);
        assert_eq!(case.tree.spots.len(), before - 1, "what counts no more is watched no more");
        // What happens between a batch and the look at it waits in the queue.
        fs::write(case.folder.path().join(".gitignore"), "").expect("a file");
        let batch = case.tree.read().expect("events");
        case.write("src/d.js");
        let aims = case.tree.aims();
        assert!(!batch.is_empty());
        for (id, aim) in aims {
            case.tree.again(id, aim).expect("looked at anew");
        }
        assert_eq!(case.changes(), ["src/d.js"]);
    }
}
