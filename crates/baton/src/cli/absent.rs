//! The words that are no verbs of this version: each is answered with the reason.

use super::failure::Failure;
use super::session::Session;
use super::{Verb, usage};
use baton_pm2::commands;
use baton_pm2::text;

/// Answers a word that is no verb of this version.
///
/// # Errors
/// Always: nothing was done.
pub(crate) fn answer(word: &str, session: &Session) -> Result<(), Failure> {
    if let Some(refusal) = commands::find(word).and_then(|verb| verb.availability.refusal(&format!("`{word}`"))) {
        return Err(Failure::Unavailable(refusal));
    }
    // PM2 writes this error to standard output.
    session.line(&text::prefixed(session.colour, text::PREFIX_ERROR, text::NO_COMMAND));
    if let Some(near) = nearest(word) {
        session.line(&format!("  help: did you mean `{near}`?"));
    }
    session.line("");
    session.line(usage::short(session.called).trim_end());
    Err(Failure::Told)
}

/// The verb whose name is most like a word, when one is.
fn nearest(word: &str) -> Option<&'static str> {
    Verb::ALL
        .iter()
        .flat_map(|verb| verb.names())
        .map(|name| (strsim::jaro_winkler(word, name), *name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_pm2::commands::Availability;

    #[test]
    fn every_verb_of_pm2_is_either_here_or_refused() {
        for verb in commands::VERBS {
            for word in [verb.name].iter().chain(verb.aliases) {
                let here = Verb::find(word).is_some();
                assert_eq!(here, verb.availability == Availability::Now, "{word}");
            }
        }
    }

    #[test]
    fn a_slip_of_the_keyboard_finds_its_verb() {
        assert_eq!(nearest("strat"), Some("start"));
        assert_eq!(nearest("restrat"), Some("restart"));
        assert_eq!(nearest("zzz"), None);
    }
}
