//! Whether a file counts, and by which rule. In this order:
//!
//! 1. What is not below a watched path does not count, and neither do baton's own files.
//! 2. A path that `watch` names counts.
//! 3. The last pattern of `ignore_watch` that matches decides; with `!` in front what it matches counts.
//! 4. What a `.gitignore` leaves out does not count.
//! 5. Names that begin with a dot, `node_modules`, and the files that editors put beside those they write do not count.
//!
//! 3 to 5 are asked for each folder on the way to the file, too. Everything else counts.

use crate::home::Home;
use baton_core::spec::{AppSpec, WatchOptions};
use baton_core::world::World;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What is watched for an app; equal for its instances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Aim {
    pub(crate) cwd: PathBuf,
    /// Absolute paths.
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) ignore: Vec<String>,
    pub(crate) options: WatchOptions,
}

impl Aim {
    /// What the definition says, when it has anything watched.
    pub(crate) fn of(spec: &AppSpec) -> Option<Aim> {
        let cwd = PathBuf::from(&spec.cwd);
        let roots: Vec<PathBuf> = spec.watch.roots().into_iter().map(|root| plain(&cwd.join(root))).collect();
        let aim = Aim { cwd: plain(&cwd), roots, ignore: spec.ignore_watch.clone(), options: spec.watch_options };
        (!aim.roots.is_empty()).then_some(aim)
    }

    /// A path as people would write it: relative to `cwd` where it is below.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.cwd).ok().filter(|rest| !rest.as_os_str().is_empty());
        below.unwrap_or(path).display().to_string()
    }
}

/// A path without `.` and `..`, taken as written: no link is followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// The files of baton itself, which never count: else an app would start again for each line that it writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    home: PathBuf,
    files: BTreeSet<PathBuf>,
    /// Folders, and how the names in them begin that are set aside parts of logs.
    parts: BTreeSet<(PathBuf, OsString)>,
}

impl Own {
    /// Those of everything in the list.
    pub(crate) fn of(home: &Home, world: &World) -> Own {
        let files = world.instances.values().map(|instance| &instance.files);
        Own::new(home, files.flat_map(|f| [&f.out, &f.error, &f.combined].into_iter().flatten().chain([&f.pid])))
    }

    /// The home, and these logs and pid files.
    pub(crate) fn new<'a>(home: &Home, files: impl Iterator<Item = &'a String>) -> Own {
        let mut own = Own { home: home.root().to_owned(), ..Own::default() };
        for file in files {
            let path = plain(Path::new(file));
            if let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) {
                let mut start = stem.to_owned();
                start.push("__");
                own.parts.insert((folder.to_owned(), start));
            }
            own.files.insert(path);
        }
        own
    }

    fn has(&self, path: &Path) -> bool {
        path.starts_with(&self.home) || self.files.contains(path) || self.is_part(path)
    }

    fn is_part(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
        let name = name.as_encoded_bytes();
        let here = self.parts.range((folder.to_owned(), OsString::new())..).take_while(|(at, _)| at == folder);
        here.into_iter().any(|(_, start)| name.starts_with(start.as_encoded_bytes()))
    }
}

/// Whether a file counts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A change of it is acted on.
    Counts(Why),
    /// It is not.
    Ignored(Why),
}

impl Verdict {
    pub(crate) fn counts(&self) -> bool {
        matches!(self, Verdict::Counts(_))
    }
}

/// The rule that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is below no watched path.
    Outside,
    /// It is a file of baton.
    Own,
    /// `watch` names it.
    Named,
    /// It is below this watched path, and no rule is against it.
    Below(String),
    /// A pattern of `ignore_watch`.
    Pattern(String),
    /// A line of this `.gitignore`.
    Git(String, PathBuf),
    /// A part of its path begins with a dot.
    Dot(String),
    /// It is a part of `node_modules`.
    Modules,
    /// An editor's file beside the one that it writes.
    Editor(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Outside => f.write_str("it is below no path that is watched"),
            Why::Own => f.write_str("it is a file of baton: its home, a log or a pid file"),
            Why::Named => f.write_str("`watch` names it"),
            Why::Below(root) => write!(f, "it is below {root}, and no rule is against it"),
            Why::Pattern(pattern) => write!(f, "the pattern `{pattern}` of `ignore_watch`"),
            Why::Git(line, file) => write!(f, "the line `{line}` of {}", file.display()),
            Why::Dot(name) => write!(f, "`{name}` begins with a dot"),
            Why::Modules => f.write_str("it is in node_modules"),
            Why::Editor(name) => write!(f, "`{name}` is a file that editors put beside others"),
        }
    }
}

/// The rules of one aim. Files `.gitignore` are read when they are first asked for.
#[derive(Debug)]
pub(crate) struct Rules {
    aim: Arc<Aim>,
    own: Arc<Own>,
    given: Gitignore,
    /// Patterns that can't be read, and why.
    pub(crate) wrong: Vec<String>,
    git: BTreeMap<PathBuf, Gitignore>,
    /// Up to where files `.gitignore` have a say, by root.
    tops: BTreeMap<PathBuf, PathBuf>,
}

impl Rules {
    pub(crate) fn new(aim: Arc<Aim>, own: Arc<Own>) -> Rules {
        let mut wrong = Vec::new();
        let mut builder = GitignoreBuilder::new(&aim.cwd);
        for pattern in &aim.ignore {
            if let Err(error) = builder.add_line(None, &in_git_s_form(pattern, &aim.cwd)) {
                wrong.push(format!("the pattern `{pattern}` of ignore_watch: {error}"));
            }
        }
        let given = builder.build().unwrap_or_else(|_| Gitignore::empty());
        Rules { aim, own, given, wrong, git: BTreeMap::new(), tops: BTreeMap::new() }
    }

    /// Takes other files for baton's own.
    pub(crate) fn set_own(&mut self, own: Arc<Own>) {
        self.own = own;
    }

    /// Reads files `.gitignore` again: one has changed.
    pub(crate) fn read_git_anew(&mut self) {
        self.git.clear();
        self.tops.clear();
    }

    /// Whether baton itself makes this folder, for a log or a pid file in it. That it comes is then no change, though what
    /// is in it may count.
    pub(crate) fn is_made_by_us(&self, folder: &Path) -> bool {
        self.own.files.range(folder.to_owned()..).next().is_some_and(|file| file.starts_with(folder))
    }

    /// Whether a file or folder counts.
    pub(crate) fn verdict(&mut self, path: &Path, is_folder: bool) -> Verdict {
        let roots = self.aim.roots.iter().filter(|root| path.starts_with(root));
        let Some(root) = roots.max_by_key(|root| root.components().count()).cloned() else {
            return Verdict::Ignored(Why::Outside);
        };
        if self.own.has(path) {
            return Verdict::Ignored(Why::Own);
        }
        if path == root {
            return Verdict::Counts(Why::Named);
        }
        let mut at = root.clone();
        let rest: Vec<OsString> =
            path.strip_prefix(&root).into_iter().flat_map(|rest| rest.iter().map(OsStr::to_owned)).collect();
        for (index, name) in rest.iter().enumerate() {
            at.push(name);
            if let Some(why) = self.against(&at, name, is_folder || index + 1 < rest.len(), &root) {
                return Verdict::Ignored(why);
            }
        }
        Verdict::Counts(Why::Below(self.aim.shown(&root)))
    }

    /// The rule against this one name, if there is one.
    fn against(&mut self, path: &Path, name: &OsStr, is_folder: bool, root: &Path) -> Option<Why> {
        if path.starts_with(&self.aim.cwd) {
            match self.given.matched(path, is_folder) {
                Match::Ignore(glob) => return Some(Why::Pattern(self.as_given(glob.original()))),
                Match::Whitelist(_) => return None,
                Match::None => {}
            }
        }
        if let Some(why) = self.against_by_git(path, is_folder, root) {
            return Some(why);
        }
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            return Some(Why::Dot(name.into_owned()));
        }
        if name.contains("node_modules") {
            return Some(Why::Modules);
        }
        let editors = name.ends_with('~')
            || name == "4913"
            || (name.starts_with('#') && name.ends_with('#'))
            || [".swp", ".swx", ".swo"].iter().any(|end| name.ends_with(end));
        editors.then(|| Why::Editor(name.into_owned()))
    }

    /// The pattern as it was given.
    fn as_given(&self, pattern: &str) -> String {
        let given = self.aim.ignore.iter().find(|given| in_git_s_form(given, &self.aim.cwd) == pattern);
        given.map_or(pattern, String::as_str).to_owned()
    }

    /// The line of a `.gitignore` against it: the nearest file decides, up to the top of the repository.
    fn against_by_git(&mut self, path: &Path, is_folder: bool, root: &Path) -> Option<Why> {
        let top = self.tops.entry(root.to_owned()).or_insert_with(|| top_of(root)).clone();
        let mut folder = path.parent();
        while let Some(at) = folder {
            let file = at.join(".gitignore");
            let git = self.git.entry(at.to_owned()).or_insert_with(|| read_git(at, &file));
            match git.matched(path, is_folder) {
                Match::Ignore(glob) => return Some(Why::Git(glob.original().to_owned(), file)),
                Match::Whitelist(_) => return None,
                Match::None => {}
            }
            folder = at.parent().filter(|_| at != top);
        }
        None
    }
}

fn read_git(folder: &Path, file: &Path) -> Gitignore {
    if !file.is_file() {
        return Gitignore::empty();
    }
    let mut builder = GitignoreBuilder::new(folder);
    // A line that can't be read is no line, for git as well.
    let _ = builder.add(file);
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The top of the repository; without one nothing above what is watched has a say.
fn top_of(root: &Path) -> PathBuf {
    root.ancestors().find(|at| at.join(".git").exists()).unwrap_or(root).to_owned()
}

/// A pattern as `.gitignore` has it: PM2's users write `./logs` and absolute paths, too.
fn in_git_s_form(pattern: &str, cwd: &Path) -> String {
    let (not, bare) = match pattern.strip_prefix('!') {
        Some(rest) => ("!", rest),
        None => ("", pattern),
    };
    let here = format!("{}/", cwd.display());
    let bare = match (bare.strip_prefix("./"), bare.strip_prefix(&here)) {
        (Some(rest), _) | (None, Some(rest)) => format!("/{rest}"),
        (None, None) => bare.to_owned(),
    };
    format!("{not}{bare}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Watch;
    use std::fs;

    struct Case {
        folder: tempfile::TempDir,
        spec: AppSpec,
    }

    impl Case {
        fn new(watch: Watch, ignore: &[&str]) -> Case {
            let folder = tempfile::tempdir().expect("a folder");
            let spec = AppSpec {
                cwd: folder.path().join("app").display().to_string(),
                watch,
                ignore_watch: ignore.iter().map(ToString::to_string).collect(),
                ..AppSpec::default()
            };
            fs::create_dir_all(folder.path().join("app")).expect("a folder");
            Case { folder, spec }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("a file");
        }

        /// What is said of a path below the app's folder.
        fn of(&self, name: &str) -> String {
            let home = Home::at(self.folder.path().join("app/home"));
            let log = self.folder.path().join("app/logs/web-out.log").display().to_string();
            let own = Arc::new(Own::new(&home, [log].iter()));
            let aim = Arc::new(Aim::of(&self.spec).expect("something is watched"));
            let path = plain(&aim.cwd.join(name));
            match Rules::new(aim, own).verdict(&path, name.ends_with('/')) {
                Verdict::Counts(why) => format!("counts: {why}"),
                Verdict::Ignored(why) => format!("ignored: {why}"),
            }
        }

        fn counts(&self, name: &str) -> bool {
            self.of(name).starts_with("counts")
        }
    }

    #[test]
    fn dots_modules_and_baton_s_own_files_do_not_count() {
        let case = Case::new(Watch::All(true), &[]);
        for name in ["server.js", "src/deep/a.ts", "src/", "logs/other.log", "logs/web.log", "web-out__1.log"] {
            assert!(case.counts(name), "{name}: {}", case.of(name));
        }
        for name in [
            ".git/index",
            "src/.env",
            "node_modules/a/index.js",
            "home/state.json",
            "logs/web-out.log",
            "logs/web-out__2026-11-21_03-12-00.log.gz",
            "../elsewhere.js",
            "src/a.js~",
            "4913",
        ] {
            assert!(!case.counts(name), "{name}: {}", case.of(name));
        }
        assert_eq!(case.of("src/.env"), "ignored: `.env` begins with a dot");
    }

    #[test]
    fn a_pattern_without_a_slash_counts_at_any_depth_and_the_last_match_decides() {
        let case = Case::new(Watch::All(true), &["*.test.ts", "./tmp", "docs/*.md", "!.env", "data", "!data/seed"]);
        for name in ["a.test.ts", "src/deep/b.test.ts", "tmp/x", "docs/a.md", "src/data/x", "data/seed/x"] {
            assert!(!case.counts(name), "{name}: {}", case.of(name));
        }
        for name in ["src/tmp/x", "docs/deep/a.md", ".env", "conf/.env"] {
            assert!(case.counts(name), "{name}: {}", case.of(name));
        }
        assert_eq!(case.of("src/b.test.ts"), "ignored: the pattern `*.test.ts` of `ignore_watch`");
        assert_eq!(case.of("tmp/x"), "ignored: the pattern `./tmp` of `ignore_watch`");
    }

    #[test]
    fn what_git_ignores_does_not_count_up_to_the_top_of_the_repository() {
        let case = Case::new(Watch::All(true), &["!keep.gen.js"]);
        case.write(".gitignore", "*.js");
        assert!(case.counts("a.js"), "without a repository nothing above the app counts");
        case.write(".git/HEAD", "ref");
        case.write(".gitignore", "dist/\n*.gen.js\n");
        case.write("app/src/.gitignore", "!special.gen.js\n/local\n");
        for name in ["dist/a.js", "src/dist/a.js", "b.gen.js", "src/local"] {
            assert!(!case.counts(name), "{name}: {}", case.of(name));
        }
        for name in ["src/special.gen.js", "keep.gen.js", "src/deep/local", "src/a.js"] {
            assert!(case.counts(name), "{name}: {}", case.of(name));
        }
        assert!(case.of("b.gen.js").starts_with("ignored: the line `*.gen.js` of /"), "{}", case.of("b.gen.js"));
    }

    #[test]
    fn only_what_is_named_is_watched_and_a_named_file_counts_whatever_its_name() {
        let case = Case::new(Watch::Paths(vec!["./src".into(), ".env".into(), "../shared".into()]), &[]);
        for name in ["src/a.js", ".env", "../shared/x.js"] {
            assert!(case.counts(name), "{name}: {}", case.of(name));
        }
        for name in ["server.js", "src/.env", "../other/x.js"] {
            assert!(!case.counts(name), "{name}: {}", case.of(name));
        }
        assert_eq!(case.of("src/a.js"), "counts: it is below src, and no rule is against it");
    }
}
