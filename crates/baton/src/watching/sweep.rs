//! Looking at all files again and again, for file systems that tell of no changes: those of networks and of the hosts of
//! virtual machines. It costs as much as it is worth, so it is asked for by `usePolling`.

use super::rules::{Aim, Rules};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Look {
    fn of(data: &Metadata) -> Look {
        let modified = (data.mtime(), data.mtime_nsec());
        // What is in a folder is looked at by itself.
        let (size, modified) = if data.is_dir() { (0, (0, 0)) } else { (data.size(), modified) };
        Look { inode: data.ino(), size, modified }
    }
}

/// The files of one aim as they were.
#[derive(Debug)]
pub(crate) struct Sweep {
    aim: Arc<Aim>,
    seen: BTreeMap<PathBuf, Look>,
}

impl Sweep {
    /// What there is now.
    pub(crate) fn new(aim: Arc<Aim>, rules: &mut Rules) -> Sweep {
        let seen = look(&aim, rules);
        Sweep { aim, seen }
    }

    /// What has changed, come or gone since the last look.
    pub(crate) fn changes(&mut self, rules: &mut Rules) -> Vec<PathBuf> {
        let now = look(&self.aim, rules);
        let differs = |path: &&PathBuf| now.get(*path) != self.seen.get(*path);
        let paths: BTreeSet<&PathBuf> = now.keys().chain(self.seen.keys()).filter(differs).collect();
        let changes = paths.into_iter().cloned().collect();
        self.seen = now;
        changes
    }
}

fn look(aim: &Aim, rules: &mut Rules) -> BTreeMap<PathBuf, Look> {
    let mut seen = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for root in &aim.roots {
        visit(root, aim.options.follow_symlinks, rules, &mut folders, &mut seen);
    }
    seen
}

/// Notes one file, or a folder and what is in it; a folder that is reached by several ways is gone into once.
fn visit(
    path: &Path,
    follow: bool,
    rules: &mut Rules,
    folders: &mut BTreeSet<(u64, u64)>,
    seen: &mut BTreeMap<PathBuf, Look>,
) {
    let data =
        if follow { fs::metadata(path).or_else(|_| fs::symlink_metadata(path)) } else { fs::symlink_metadata(path) };
    let Ok(data) = data else { return };
    if !rules.verdict(path, data.is_dir()).counts() {
        return;
    }
    if !(data.is_dir() && rules.is_made_by_us(path)) {
        seen.insert(path.to_owned(), Look::of(&data));
    }
    if data.is_dir() && folders.insert((data.dev(), data.ino())) {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            visit(&entry.path(), follow, rules, folders, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Own;
    use super::*;
    use crate::home::Home;
    use baton_core::spec::{AppSpec, Watch};

    #[test]
    fn what_changes_comes_and_goes_is_seen_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("src")).expect("a folder");
        for name in ["src/a.js", "src/b.js", ".hidden"] {
            fs::write(at(name), "1").expect("a file");
        }
        // A circle of links ends.
        std::os::unix::fs::symlink(folder.path(), at("src/self")).expect("a link");
        let spec = AppSpec { cwd: folder.path().display().to_string(), watch: Watch::All(true), ..AppSpec::default() };
        let aim = Arc::new(Aim::of(&spec).expect("an aim"));
        let mut rules = Rules::new(aim.clone(), Arc::new(Own::new(&Home::at("/nowhere"), [].iter())));
        let mut sweep = Sweep::new(aim, &mut rules);
        assert!(sweep.changes(&mut rules).is_empty());
        fs::write(at("src/a.js"), "22").expect("a file");
        fs::remove_file(at("src/b.js")).expect("gone");
        fs::write(at("new.js"), "").expect("a file");
        fs::write(at(".hidden"), "22").expect("a file");
        assert_eq!(sweep.changes(&mut rules), [at("new.js"), at("src/a.js"), at("src/b.js")]);
        assert!(sweep.changes(&mut rules).is_empty());
    }
}
