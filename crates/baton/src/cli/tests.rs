//! Promises that hold for every verb.

use super::Verb;
use std::collections::BTreeSet;

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
