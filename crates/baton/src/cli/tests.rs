//! Promises that hold for every verb.

use super::Verb;
use super::words::{Line, read};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

#[test]
fn every_verb_has_help() {
    for verb in Verb::ALL {
        let mut command = verb.command();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty(), "{verb:?} says nothing about itself");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{verb:?} says nothing about {}", argument.get_id());
        }
        assert!(command.render_long_help().to_string().contains(&about));
    }
}

#[test]
fn the_options_of_every_verb_fit_together() {
    for verb in Verb::ALL {
        verb.command().debug_assert();
    }
}

#[test]
fn no_word_means_two_verbs() {
    let words: Vec<_> = Verb::ALL.iter().flat_map(|verb| verb.names()).collect();
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
}

/// Every command line that a page shows, with where it stands.
fn shown_commands() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = std::fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("page").path());
    let pages = docs.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut commands = Vec::new();
    for path in pages {
        let text = std::fs::read_to_string(&path).expect("page");
        let mut language = None;
        for (number, line) in text.lines().enumerate() {
            language = match line.strip_prefix("```") {
                Some(begin) if language.is_none() => Some(begin),
                Some(_) => None,
                None => language,
            };
            let line = match language {
                Some("sh") => line,
                Some("console") => line.strip_prefix("$ ").unwrap_or_default(),
                _ => continue,
            };
            commands.push((format!("{}:{}", path.display(), number + 1), line.to_owned()));
        }
    }
    commands
}

#[test]
fn every_command_that_a_page_shows_exists() {
    let mut seen = 0;
    for (place, line) in shown_commands() {
        for command in line.split("&&").flat_map(|part| part.split(" | ")) {
            let words = shlex::split(command).unwrap_or_default();
            let mut words = words.into_iter().skip_while(|word| word.contains('=') || word == "sudo");
            if !matches!(words.next().as_deref(), Some("baton" | "pm2")) {
                continue;
            }
            let words: Vec<OsString> =
                words.take_while(|word| !word.starts_with('>') && word != "&").map(OsString::from).collect();
            let Line::Verb(verb, words) = read(words).expect(&place) else { panic!("{place}: no verb in `{command}`") };
            let command = verb.command().no_binary_name(true);
            command.try_get_matches_from(words).unwrap_or_else(|error| panic!("{place}: {line}: {error}"));
            seen += 1;
        }
    }
    assert!(seen > 100, "the pages show {seen} commands");
}

#[test]
fn every_page_is_linked_from_the_readme_and_every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README");
    for page in std::fs::read_dir(root.join("docs")).expect("docs") {
        let page = page.expect("page").path();
        if page.extension().is_none_or(|end| end != "md") {
            continue;
        }
        let name = page.file_name().and_then(|name| name.to_str()).expect("name").to_owned();
        assert!(readme.contains(&format!("](docs/{name})")), "README.md has no link to docs/{name}");
        let text = std::fs::read_to_string(&page).expect("page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") || !(file.is_empty() || Path::new(file).extension().is_some_and(|end| end == "md"))
            {
                continue;
            }
            let target = if file.is_empty() { page.clone() } else { root.join("docs").join(file) };
            let text = std::fs::read_to_string(&target).unwrap_or_else(|_| panic!("docs/{name}: {link}"));
            let sections = text.lines().filter_map(|line| line.strip_prefix("## ").map(anchor));
            assert!(section.is_empty() || sections.into_iter().any(|it| it == section), "docs/{name}: {link}");
        }
    }
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
}
