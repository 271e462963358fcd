//! A project of some files in a directory that goes away with it.

use std::path::PathBuf;

pub(crate) struct Project(tempfile::TempDir);

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Project {
        let project = Project(tempfile::tempdir().expect("a directory"));
        for (name, text) in files {
            let path = project.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        project
    }

    /// The directory as the loader tells it: without symbolic links.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().expect("a directory")
    }
}
