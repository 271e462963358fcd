//! Whether files may be written, and which of them git tracks.

use rustix::fs::{Access, access};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether this user may write a file or into a directory.
pub(super) fn is_writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
}

/// Why no file can be made in a directory. One that is missing is made with its parents at the start of the app.
pub(super) fn directory_trouble(directory: &Path) -> Option<String> {
    let nearest = directory.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok())?;
    if !nearest.is_dir() {
        return Some(format!("{} is no directory", nearest.display()));
    }
    if is_of_the_kernel(nearest) {
        return Some(format!("cannot be made in {}: nothing can", nearest.display()));
    }
    (!is_writable(nearest)).then(|| match nearest == directory {
        true => "cannot be written".into(),
        false => format!("cannot be made in {}", nearest.display()),
    })
}

/// Whether a directory is the kernel's own: root may write there, and still no file can be made.
#[cfg(target_os = "linux")]
fn is_of_the_kernel(directory: &Path) -> bool {
    // proc, sysfs, cgroup, cgroup2, devpts, debugfs, tracefs, securityfs
    const TYPES: [u64; 8] =
        [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x1cd1, 0x6462_6720, 0x7472_6163, 0x7363_6673];
    rustix::fs::statfs(directory).is_ok_and(|found| TYPES.contains(&(found.f_type as u64)))
}

#[cfg(not(target_os = "linux"))]
fn is_of_the_kernel(_directory: &Path) -> bool {
    false
}

/// Those of the files that git tracks. Without git, or outside of a working tree, none.
pub(super) fn tracked(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut by_directory: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.exists()) {
        if let (Some(directory), Some(name)) = (file.parent(), file.file_name()) {
            by_directory.entry(directory).or_default().push(Path::new(name));
        }
    }
    by_directory.into_iter().flat_map(|(directory, names)| ask_git(directory, &names)).collect()
}

fn ask_git(directory: &Path, names: &[&Path]) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "asks git and waits; not an app")]
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(directory)
        .args(["--literal-pathspecs", "ls-files", "-z", "--"])
        .args(names)
        .stderr(Stdio::null());
    let Ok(answer) = git.output() else { return Vec::new() };
    let listed = answer.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    listed.map(|name| directory.join(OsStr::from_bytes(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_writable_when_it_can_be_made() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::write(root.path().join("file"), "").expect("written");
        assert_eq!(directory_trouble(&root.path().join("a/b")), None);
        let trouble = directory_trouble(&root.path().join("file/logs")).expect("trouble");
        assert!(trouble.ends_with("/file is no directory"), "{trouble}");
        #[cfg(target_os = "linux")]
        assert!(directory_trouble(Path::new("/proc/x")).is_some_and(|trouble| trouble.starts_with("cannot be made")));
    }

    #[test]
    fn git_is_asked_for_exactly_these_files() {
        let root = tempfile::tempdir().expect("a directory");
        for name in ["a.log", "b*.log", "bc.log"] {
            std::fs::write(root.path().join(name), "").expect("written");
        }
        let run = |words: &[&str]| {
            #[expect(clippy::disallowed_methods, reason = "prepares a repository")]
            let done = Command::new("git").arg("-C").arg(root.path()).args(words).output();
            done.is_ok_and(|done| done.status.success())
        };
        if !run(&["init", "-q"]) {
            assert!(std::env::var_os("CI").is_none(), "CI needs git");
            eprintln!("SKIPPED: no git");
            return;
        }
        assert!(run(&["--literal-pathspecs", "add", "--", "bc.log"]));
        let files = ["a.log", "b*.log", "bc.log", "missing.log"].map(|name| root.path().join(name));
        assert_eq!(tracked(&files), [root.path().join("bc.log")]);
    }
}
