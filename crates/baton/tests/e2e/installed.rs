//! What some tests need beside the machine's own programs: `.ci/packages` installs it below `target`.

use std::path::{Path, PathBuf};

/// A program or folder that `.ci/packages` installs. Where it must be, its absence is a failure.
pub(crate) fn installed(what: &str) -> Option<PathBuf> {
    let target = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let path = std::env::var_os("BATON_TEST_PACKAGES").map_or_else(target, PathBuf::from).join(what);
    // The folder alone: a link to a program may tell it where its libraries are.
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    if let (Some(folder), Some(name), true) = (folder, path.file_name(), path.exists()) {
        return Some(folder.join(name));
    }
    assert!(std::env::var_os("CI").is_none(), "this test needs {}, and CI must have it", path.display());
    eprintln!("NOT TESTED: this test needs {}, which `.ci/packages` installs", path.display());
    None
}
