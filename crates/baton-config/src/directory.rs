//! A directory of process files as one source.
//!
//! With an `index.*` only what that file loads is active. Without one every process file directly inside is, and where
//! there is none, every `ecosystem.edn` below: one for each daemon of a tree. What is left aside is listed.

use crate::render::MARK;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Extensions of Clojure: such a file in a directory of process files is one.
pub(crate) const CLOJURE: &[&str] = &["edn", "clj", "cljs", "cljc"];
/// Extensions that are process files only by their name, or in a directory called `ecosystems`.
const OTHERS: &[&str] = &["js", "cjs", "mjs", "ts", "mts", "cts", "json", "yaml", "yml", "toml"];
/// Files of other tools that look like process files.
const TOOLS: &[&str] = &[
    "deps.edn",
    "shadow-cljs.edn",
    "bb.edn",
    "tests.edn",
    "build.clj",
    "project.clj",
    "data_readers.clj",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "jsconfig.json",
    "composer.json",
    "Cargo.toml",
    "pyproject.toml",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// Endings that editors give to their own copies.
const EDITORS: &[&str] = &["~", ".swp", ".swo", ".swx", ".bak", ".orig", ".tmp", ".rej"];
/// The name of a process file in a tree of daemons.
const DAEMON: &str = "ecosystem.edn";
/// Directories that hold no process files of their own.
const CLOSED: &[&str] = &["node_modules", "target", "dist", "build", "vendor"];
/// How deep a tree of daemons goes, and how many directories are looked into.
const DEPTH: usize = 5;
const DIRECTORIES: usize = 2000;

/// A file or directory that a source leaves aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What is left aside.
    pub path: PathBuf,
    /// Why: reads after "skipped".
    pub why: &'static str,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

/// The process files of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    /// The file that says by itself what is active.
    pub(crate) index: Option<PathBuf>,
    /// Every process file, in the order of the names; with an index those beside it.
    pub(crate) files: Vec<PathBuf>,
    /// What is left aside.
    pub(crate) skipped: Vec<Skipped>,
    /// The directories that were listed.
    pub(crate) listed: Vec<PathBuf>,
}

/// How willingly a directory is taken as one of process files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Its name was a path: anything that may be a process file is one.
    Path,
    /// Its name was a bare word, which an app or a program may be called as well.
    Word,
}

/// Whether a directory is one of process files.
pub(crate) fn is_source(directory: &Path, reading: Reading) -> bool {
    // Node runs a package; its files are no process files.
    if directory.join("package.json").is_file() {
        return false;
    }
    let Ok(found) = read(directory, reading) else { return false };
    match reading {
        Reading::Path => found.index.is_some() || !found.files.is_empty(),
        Reading::Word => {
            // `vite.config.js` lies in many a directory that an app is called after.
            let telling = |name: &str| name.contains("ecosystem") || name.contains(".pm2.");
            let clear = |path: &PathBuf| is_called_so(directory) || name(path).is_some_and(telling);
            found.index.as_deref().is_some_and(is_clojure) || found.files.iter().any(clear)
        }
    }
}

/// Whether a directory that a bare word names is plainly one of process files, and nothing else has that name: files of
/// Clojure, those that say `ecosystem`, or a tree of daemons.
pub(crate) fn is_plain_source(directory: &Path) -> bool {
    let telling = |path: &PathBuf| {
        is_clojure(path) || name(path).is_some_and(|name| name.contains("ecosystem") || name.contains(".pm2."))
    };
    !directory.join("package.json").is_file()
        && read(directory, Reading::Path)
            .is_ok_and(|found| found.index.is_some_and(|index| is_clojure(&index)) || found.files.iter().any(telling))
}

/// Lists a directory; the tree below it only where it was named by a path.
///
/// # Errors
/// When it cannot be listed.
pub(crate) fn read(directory: &Path, reading: Reading) -> io::Result<Directory> {
    let mut found = Directory::default();
    let wide = is_called_so(directory);
    let mut others: Vec<PathBuf> = Vec::new();
    found.listed.push(directory.to_owned());
    for path in list(directory)? {
        let Some(name) = name(&path) else { continue };
        if path.is_dir() {
            if name == "inactive" {
                found.skipped.push(Skipped { path, why: "inactive" });
            }
            continue;
        }
        if is_ours(&path) {
            found.skipped.push(Skipped { path, why: "baton wrote it" });
            continue;
        }
        match look(name) {
            Look::Clojure => found.files.push(path),
            Look::Other if wide || says_so(name) => found.files.push(path),
            Look::Other => others.push(path),
            Look::Skip(why) => found.skipped.push(Skipped { path, why }),
            Look::Nothing => {}
        }
    }
    let is_index = |path: &PathBuf| path.file_stem() == Some(OsStr::new("index"));
    // A JavaScript index among other process files; alone it is a program.
    let candidates = found.files.iter().chain(others.iter().filter(|_| !found.files.is_empty()));
    found.index = candidates.filter(|path| is_index(path)).min_by_key(|path| !is_clojure(path)).cloned();
    if let Some(index) = &found.index {
        found.files.retain(|path| path != index);
    } else if found.files.is_empty() && reading == Reading::Path {
        tree(directory, DEPTH, &mut DIRECTORIES.clone(), &mut found)?;
    }
    Ok(found)
}

/// How many names of a directory are told.
const TOLD: usize = 8;

/// What a directory without process files holds, by name; nothing of one that can't be listed.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let paths = list(directory).unwrap_or_default();
    let shown = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() { format!("{name}/") } else { name }
    };
    paths.iter().map(shown).collect()
}

/// What is looked for in a directory, and what one holds instead.
pub(crate) fn looked_for(held: &[String]) -> String {
    let endings = OTHERS.join(",");
    let held_text = match held {
        [] => "it is empty".into(),
        names => {
            let more = names.len().saturating_sub(TOLD);
            let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("it holds {}{rest}", names[..names.len() - more].join(", "))
        }
    };
    // Node runs a package: what else it holds is not looked at.
    if held.iter().any(|name| name == "package.json") {
        return format!(
            "beside a package.json only ecosystem.config.{{{endings},{}}} is looked for, and {held_text}; name the file",
            CLOJURE.join(",")
        );
    }
    format!(
        "looked for *.{{{}}}, for *.{{{endings}}} with `ecosystem`, `.config.` or `.pm2.` in the name, and for {DAEMON} in \
         the directories below; {held_text}",
        CLOJURE.join(",")
    )
}

/// Whether a file of apps is what `render` or `sync --emit` made of others.
fn is_ours(path: &Path) -> bool {
    let is_possible = path.extension().is_some_and(|ending| OTHERS.iter().any(|one| ending == *one));
    let mut head = [0; 64];
    let mut read = || File::open(path)?.read(&mut head);
    // One that can't be read is told where it is evaluated.
    is_possible && read().is_ok() && String::from_utf8_lossy(&head).contains(MARK)
}

/// What a file's name says.
enum Look {
    Clojure,
    Other,
    Skip(&'static str),
    Nothing,
}

fn look(name: &str) -> Look {
    let bare = name.trim_start_matches(['.', '#']).trim_end_matches('#');
    let bare = EDITORS.iter().find_map(|ending| bare.strip_suffix(ending)).unwrap_or(bare);
    let kind = |list: &[&str]| Path::new(bare).extension().is_some_and(|given| list.iter().any(|one| given == *one));
    let (clojure, other) = (kind(CLOJURE), kind(OTHERS));
    if !clojure && !other {
        return Look::Nothing;
    }
    // Emacs locks are links that start with `.#`.
    if name.starts_with(".#") || name.starts_with('#') || bare.len() < name.trim_start_matches('.').len() {
        Look::Skip("a file of an editor")
    } else if name.starts_with('.') {
        Look::Skip("hidden")
    } else if TOOLS.contains(&name) {
        if clojure { Look::Skip("a file of another tool") } else { Look::Nothing }
    } else if clojure {
        Look::Clojure
    } else {
        Look::Other
    }
}

/// Every `ecosystem.edn` below.
fn tree(directory: &Path, depth: usize, left: &mut usize, found: &mut Directory) -> io::Result<()> {
    for path in list(directory)? {
        let Some(name) = name(&path) else { continue };
        // A link may lead back up.
        let is_directory = path.symlink_metadata().is_ok_and(|data| data.is_dir());
        if !is_directory {
            if name == DAEMON {
                found.files.push(path);
            }
            continue;
        }
        if name == "inactive" {
            let skipped = Skipped { path, why: "inactive" };
            if !found.skipped.contains(&skipped) {
                found.skipped.push(skipped);
            }
        } else if depth > 0 && *left > 0 && !name.starts_with('.') && !CLOSED.contains(&name) {
            *left -= 1;
            // A directory that may not be entered holds no process file of this user.
            found.listed.push(path.clone());
            match tree(&path, depth - 1, left, found) {
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> Option<&str> {
    path.file_name().and_then(OsStr::to_str)
}

/// Whether a name says that this is a process file.
fn says_so(name: &str) -> bool {
    name.contains("ecosystem") || name.contains(".config.") || name.contains(".pm2.")
}

/// The same of a file.
pub(crate) fn says_so_by_name(path: &Path) -> bool {
    name(path).is_some_and(says_so)
}

fn is_called_so(directory: &Path) -> bool {
    name(directory).is_some_and(|name| name.contains("ecosystems"))
}

/// Whether a file is one of Clojure by its name.
pub(crate) fn is_clojure(path: &Path) -> bool {
    path.extension().is_some_and(|given| CLOJURE.iter().any(|one| given == *one))
}
