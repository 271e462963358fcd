//! What the words behind `start`, `stop`, `restart` and `delete` mean: process files, JSON on standard input, or
//! slots of the list.

use baton_config::target::{self, Target};
use baton_core::select::Selector;
use baton_core::world::InstanceView;
use std::path::{Path, PathBuf};

/// What one word means to a verb that acts on present apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// The apps of a process file, as it was written; it may be missing.
    File(PathBuf),
    /// The apps of JSON on standard input.
    Stdin,
    /// Slots of the list.
    Slots(Selector),
}

/// What a word means to `stop`, `restart` and `delete`.
pub(crate) fn meant(text: &str, directory: &Path) -> Meant {
    if text == "-" {
        return Meant::Stdin;
    }
    match target::classify(text, directory, false) {
        // A directory is named like the app in it more often than its process file is meant.
        Target::ProcessFile(_) if !target::resolve(directory, text).is_dir() => Meant::File(text.into()),
        Target::ProcessFile(_) | Target::CommandLine(_) | Target::Program(_) | Target::Word(_) => {
            Meant::Slots(selector(text, directory))
        }
    }
}

/// The selector for a word: a script's path stands for its app.
pub(crate) fn selector(text: &str, directory: &Path) -> Selector {
    let path = target::resolve(directory, text).into_os_string().into_string().ok();
    Selector { text: text.into(), path }
}

/// The selector for exactly this slot's app, or for the slot when the name would be read as something else.
fn exactly(view: &InstanceView) -> Selector {
    let pattern = view.name.starts_with('/') && view.name.ends_with('/');
    if view.name == "all" || pattern { Selector::new(view.id.to_string()) } else { Selector::new(&view.name) }
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
        assert_eq!(meant("missing.config.js", root.path()), Meant::File("missing.config.js".into()));
        assert_eq!(meant("apps.json", root.path()), Meant::File("apps.json".into()));
        for text in ["all", "0", "/^api/", "web", "app.js", "node echo.js --a b"] {
            assert_eq!(meant(text, root.path()), slots(text), "{text}");
        }
        assert_eq!(selector("sub/../app.js", root.path()).path.as_deref(), root.path().join("app.js").to_str());
    }
}
