//! What the words behind `start`, `stop`, `restart` and `delete` mean: process files, JSON on standard input, or
//! slots of the list.

use super::failure::Failure;
use super::session::{Session, list};
use baton_config::target::{self, Target};
use baton_core::proto::List;
use baton_core::select::Selector;
use baton_core::world::InstanceView;
use std::fmt;
use std::path::{Path, PathBuf};

/// What words mean to a verb that acts on present apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// The apps of process files, directories and patterns of them, as they were written; one may be missing.
    Files(Vec<PathBuf>),
    /// The apps of JSON on standard input.
    Stdin,
    /// Slots of the list.
    Slots(Selector),
    /// Slots of the list, or the process files of a directory of that name.
    Either(Selector),
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Meant::Files(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                f.write_str(&paths.join(", "))
            }
            Meant::Stdin => f.write_str("standard input"),
            Meant::Slots(selector) | Meant::Either(selector) => f.write_str(&selector.text),
        }
    }
}

/// What a word means to `stop`, `restart` and `delete`.
pub(crate) fn meant(text: &str, directory: &Path) -> Meant {
    if text == "-" {
        return Meant::Stdin;
    }
    match target::classify(text, directory, false) {
        // A directory is named like the app in it more often than its process file is meant.
        Target::ProcessFile(_) if !text.contains('/') && target::resolve(directory, text).is_dir() && text != "." => {
            Meant::Either(selector(text, directory))
        }
        Target::ProcessFile(_) => Meant::Files(vec![text.into()]),
        Target::CommandLine(_) | Target::Program(_) | Target::Word(_) => Meant::Slots(selector(text, directory)),
    }
}

/// The words of a command line, sorted: all process files are one source, and standard input is another.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// What is to be loaded.
    pub(crate) sources: Vec<Meant>,
    /// Words for slots of the list.
    pub(crate) words: Vec<Selector>,
}

/// Sorts the words behind `stop`, `restart` and `delete`, and the files of `--config`.
///
/// # Errors
/// When the list is needed and cannot be had.
pub(crate) fn sort(words: &[String], config: &[String], session: &Session) -> Result<Sorted, Failure> {
    let directory = session.directory()?;
    let mut sorted = Sorted::default();
    let mut files: Vec<PathBuf> = Vec::new();
    for text in words {
        match meant(text, &directory) {
            Meant::Files(paths) => files.extend(paths),
            Meant::Stdin => sorted.sources.push(Meant::Stdin),
            // A directory that nothing in the list is called after.
            Meant::Slots(_) if is_only_a_directory(text, &directory, session)? => files.push(text.into()),
            Meant::Slots(selector) => sorted.words.push(selector),
            Meant::Either(selector) if is_listed(text, session)? => sorted.words.push(selector),
            Meant::Either(_) => files.push(text.into()),
        }
    }
    files.extend(config.iter().map(PathBuf::from));
    if !files.is_empty() {
        sorted.sources.insert(0, Meant::Files(files));
    }
    Ok(sorted)
}

/// Whether a word means a directory of process files because it means nothing in the list.
pub(crate) fn is_only_a_directory(text: &str, directory: &Path, session: &Session) -> Result<bool, Failure> {
    Ok(target::is_directory_of_process_files(text, directory) && !is_listed(text, session)?)
}

/// Whether an app or a unit of this name is in the list.
fn is_listed(text: &str, session: &Session) -> Result<bool, Failure> {
    let Some(mut client) = session.present_client()? else { return Ok(false) };
    let instances = list(&mut client, List::default())?.instances;
    Ok(instances.iter().any(|view| view.name == text || view.namespace == text))
}

/// The selector for a word: a script's path stands for its app.
pub(crate) fn selector(text: &str, directory: &Path) -> Selector {
    let path = target::resolve(directory, text).into_os_string().into_string().ok();
    Selector { path, ..Selector::new(text) }
}

/// The selector for exactly this slot's app, or for the slot when the name would be read as something else.
fn exactly(view: &InstanceView) -> Selector {
    let pattern = view.name.starts_with('/') && view.name.ends_with('/');
    if view.name == "all" || pattern { Selector::of(view.id) } else { Selector::new(&view.name) }
}

/// The selectors of those of these apps that are in the list, once each.
pub(crate) fn of_apps(names: &[String], instances: &[InstanceView]) -> Vec<Selector> {
    let mut selectors: Vec<Selector> = Vec::new();
    for selector in instances.iter().filter(|view| names.contains(&view.name)).map(exactly) {
        if !selectors.contains(&selector) {
            selectors.push(selector);
        }
    }
    selectors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_files_and_dashes_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("web")).unwrap();
        std::fs::write(root.path().join("web/ecosystem.config.js"), "").unwrap();
        let slots = |text: &str| Meant::Slots(selector(text, root.path()));
        assert_eq!(meant("-", root.path()), Meant::Stdin);
        for text in ["missing.config.js", "apps.json", "web/ecosystem.config.js", "./web", "web/", "*/ecosystem.*.js"] {
            assert_eq!(meant(text, root.path()), Meant::Files(vec![text.into()]), "{text}");
        }
        assert_eq!(meant("web", root.path()), Meant::Either(selector("web", root.path())));
        for text in ["all", "0", "/^api/", "app.js", "node echo.js --a b"] {
            assert_eq!(meant(text, root.path()), slots(text), "{text}");
        }
        assert_eq!(selector("sub/../app.js", root.path()).path.as_deref(), root.path().join("app.js").to_str());
    }
}
