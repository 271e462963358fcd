//! What a start target is: a process file, a command line, a program, or a word that may name an app.

use crate::directory::{self, Reading};
use crate::glob;
pub use crate::glob::is_pattern;
use std::path::{Component, Path, PathBuf};

/// What a target of `start`, `stop`, `restart` or `delete` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A process file, a directory or a pattern of them, absolute. It may be missing: then the text is plainly meant as
    /// one.
    ProcessFile(PathBuf),
    /// A whole command line for the shell.
    CommandLine(String),
    /// A script or a directory that is a program, absolute. It may be missing.
    Program(PathBuf),
    /// A bare word: the name of an app or a unit, a number, a file in the directory, or a program on PATH.
    Word(String),
}

/// Extensions that make a target a process file whatever its name is.
const DATA: &[&str] = &["json", "yaml", "yml", "toml", "edn", "clj", "cljs", "cljc"];
/// Extensions of programs that no process file is written in; `start-ecosystem.sh` is a script.
const PROGRAMS: &[&str] = &["sh", "bash", "zsh", "py", "rb", "pl", "php"];
/// Extensions in the order in which a directory is searched for `ecosystem.config.*`.
const DEFAULTS: &[&str] =
    &["js", "cjs", "mjs", "json", "yaml", "yml", "ts", "mts", "cts", "toml", "edn", "clj", "cljs"];

/// Says what the text of a target means in this directory. With `forced` (`--config`) it is a process file.
pub fn classify(text: &str, cwd: &Path, forced: bool) -> Target {
    let path = resolve(cwd, text);
    if forced {
        return Target::ProcessFile(path);
    }
    let exists = path.exists();
    if !exists && text.contains(char::is_whitespace) {
        return Target::CommandLine(text.into());
    }
    if path.is_dir() {
        // An app may be called like a directory; only one that holds something to start is taken as that.
        return match find_default(&path) {
            Some(file) => Target::ProcessFile(file),
            None if directory::is_source(&path, reading(text)) => Target::ProcessFile(path),
            None if is_word(text) => Target::Word(text.into()),
            None => Target::Program(path),
        };
    }
    if is_process_file(&path) && (exists || !is_word(text)) {
        return Target::ProcessFile(path);
    }
    // The shell has nothing left to expand; whether the pattern means process files is told when it is looked for.
    if !exists && glob::is_pattern(text) && text.contains('/') && !is_word(text) {
        return Target::ProcessFile(path);
    }
    if is_word(text) { Target::Word(text.into()) } else { Target::Program(path) }
}

/// Whether a bare word names a directory of process files. For words that name nothing else: no app, unit or program.
pub fn is_directory_of_process_files(text: &str, cwd: &Path) -> bool {
    let path = resolve(cwd, text);
    path.is_dir() && directory::is_plain_source(&path)
}

fn reading(text: &str) -> Reading {
    if is_word(text) { Reading::Word } else { Reading::Path }
}

/// Whether a directory can be run by node: it has a `package.json` or an `index.js`.
pub fn is_program_directory(path: &Path) -> bool {
    path.is_dir() && (path.join("package.json").is_file() || path.join("index.js").is_file())
}

/// The process file that a bare `start` takes: the first `ecosystem.config.*` of the directory.
pub fn find_default(directory: &Path) -> Option<PathBuf> {
    look_for_default(directory).0
}

/// The same, with those that would come before it.
pub(crate) fn look_for_default(directory: &Path) -> (Option<PathBuf>, Vec<PathBuf>) {
    let mut all = DEFAULTS.iter().map(|extension| directory.join(format!("ecosystem.config.{extension}")));
    let mut missing = Vec::new();
    let found = all.find(|path| {
        path.is_file() || {
            missing.push(path.clone());
            false
        }
    });
    (found, missing)
}

/// Whether a path is one of a process file by its name.
pub(crate) fn is_process_file(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { return false };
    let extension = path.extension().map(|extension| extension.to_string_lossy()).unwrap_or_default();
    let named = name.contains("ecosystem") || name.contains(".config.");
    DATA.contains(&&*extension) || (named && !PROGRAMS.contains(&&*extension))
}

/// A text that PM2 first takes as the name of an app: without a slash and without an extension, a number, or a
/// regular expression between slashes.
fn is_word(text: &str) -> bool {
    let is_expression = text.len() > 2 && text.starts_with('/') && text.ends_with('/');
    let is_path = text.contains('/') || matches!(text, "." | ".." | "~");
    is_expression || (!is_path && (Path::new(text).extension().is_none() || text.parse::<f64>().is_ok()))
}

/// The absolute path of a text, without `.` and `..`.
pub fn resolve(base: &Path, text: impl AsRef<Path>) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in base.join(text).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_mean_what_people_write() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name);
        for directory in ["pkg", "eco", "plain", "pkg eco"] {
            std::fs::create_dir(at(directory)).expect("made");
        }
        for file in [
            "pkg/package.json",
            "eco/ecosystem.config.cjs",
            "eco/package.json",
            "app.js",
            "my app.js",
            "run",
            "ecosystem",
        ] {
            std::fs::write(at(file), "").expect("written");
        }
        let file = |name: &str| Target::ProcessFile(at(name));
        let program = |name: &str| Target::Program(at(name));
        let word = |name: &str| Target::Word(name.into());
        let table = [
            ("ecosystem.config.js", file("ecosystem.config.js")),
            ("./conf/ecosystem.local.cjs", file("conf/ecosystem.local.cjs")),
            ("duck.ecosystem.mjs", file("duck.ecosystem.mjs")),
            ("proxy.config.js", file("proxy.config.js")),
            ("apps.json", file("apps.json")),
            ("apps.yaml", file("apps.yaml")),
            ("apps.yml", file("apps.yml")),
            ("apps.toml", file("apps.toml")),
            ("apps.edn", file("apps.edn")),
            ("start-ecosystem.sh", program("start-ecosystem.sh")),
            ("ecosystem", file("ecosystem")),
            ("ecosystem-api", word("ecosystem-api")),
            ("app.js", program("app.js")),
            ("my app.js", program("my app.js")),
            ("./run", program("run")),
            ("run", word("run")),
            ("../x/./app.js", Target::Program(root.path().parent().expect("a parent").join("x/app.js"))),
            ("npm run start", Target::CommandLine("npm run start".into())),
            ("node ecosystem.config.js", Target::CommandLine("node ecosystem.config.js".into())),
            ("npm", word("npm")),
            ("3", word("3")),
            ("3.5", word("3.5")),
            ("all", word("all")),
            ("-", word("-")),
            ("/api-.*/", word("/api-.*/")),
            ("./pkg", program("pkg")),
            ("pkg", word("pkg")),
            ("eco", file("eco/ecosystem.config.cjs")),
            ("./plain", program("plain")),
            (".", Target::Program(root.path().into())),
        ];
        for (text, wanted) in table {
            assert_eq!(classify(text, root.path(), false), wanted, "{text:?}");
        }
        assert_eq!(classify("app.js", root.path(), true), file("app.js"));
        assert!(is_program_directory(&at("pkg")) && !is_program_directory(&at("plain")));
        assert_eq!(find_default(root.path()), None);
        assert_eq!(find_default(&at("eco")), Some(at("eco/ecosystem.config.cjs")));
    }
}
