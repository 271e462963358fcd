//! Paths of an app: what they are relative to, `~`, and the names of default log files.

use crate::target::resolve;
use baton_core::spec::Environment;
use std::path::{Path, PathBuf};

/// Where programs are looked for without a PATH.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Resolves a path of a process file against a directory. A leading `~` is the caller's home.
pub fn absolute(base: &Path, text: &str, environment: &Environment) -> PathBuf {
    match (text.strip_prefix('~'), environment.get("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            resolve(Path::new(home), rest.trim_start_matches('/'))
        }
        _ => resolve(base, text),
    }
}

/// The path of a log or pid file; `NULL` is PM2's word for `/dev/null`.
pub fn log(cwd: &Path, text: &str, environment: &Environment) -> PathBuf {
    if text == "NULL" { PathBuf::from("/dev/null") } else { absolute(cwd, text, environment) }
}

/// An app's name as the stem of its default log files: everything but letters, digits, `.`, `-` and `\` becomes `-`.
pub fn stem(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-\\".contains(c) { c } else { '-' }).collect()
}

/// The path in UTF-8. Process files are text, so only the caller's own directory can be something else.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The executable file that a name means on the caller's PATH.
pub fn on_path(name: &str, environment: &Environment, cwd: &Path) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let path = environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    std::env::split_paths(path)
        .map(|directory| cwd.join(directory).join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether the path is a regular file that somebody may execute.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn paths_are_relative_to_their_base_and_tilde_is_home() {
        let home = environment(&[("HOME", "/home/me")]);
        for (text, wanted) in [
            ("a.log", "/srv/app/a.log"),
            ("../a.log", "/srv/a.log"),
            ("./b/../a", "/srv/app/a"),
            ("/var/x", "/var/x"),
            ("~/logs/a", "/home/me/logs/a"),
            ("~", "/home/me"),
            ("~user/a", "/srv/app/~user/a"),
        ] {
            assert_eq!(absolute(Path::new("/srv/app"), text, &home), Path::new(wanted), "{text}");
        }
        assert_eq!(log(Path::new("/srv"), "NULL", &home), Path::new("/dev/null"));
        assert_eq!(absolute(Path::new("/srv"), "~/a", &Environment::new()), Path::new("/srv/~/a"));
    }

    #[test]
    fn a_name_becomes_a_file_stem_as_in_pm2() {
        assert_eq!(stem("my_app:1 (é)"), "my-app-1----");
        assert_eq!(stem("a-b.c\\d"), "a-b.c\\d");
    }

    #[test]
    fn programs_are_found_on_the_callers_path() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(root.path().join("bin")).expect("made");
        std::fs::write(root.path().join("bin/notes"), "").expect("written");
        std::os::unix::fs::symlink("/bin/sh", root.path().join("bin/shell")).expect("linked");
        let path = environment(&[("PATH", "/nowhere:bin")]);
        assert_eq!(on_path("shell", &path, root.path()), Some(root.path().join("bin/shell")));
        assert_eq!(on_path("notes", &path, root.path()), None);
        assert_eq!(on_path("bin/shell", &path, root.path()), None);
    }
}
