//! The command line before clap sees it: which verb is meant, and PM2's habits that clap does not have (options in
//! front of the verb, `log` for `logs`, `--stop-exit-codes 1 2`).

use super::Verb;
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use clap::{ArgAction, Args, Command};
use std::ffi::OsString;

/// A command line, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// Nothing was said.
    Empty,
    /// `-v`.
    Version,
    /// `-h`, perhaps with a verb.
    Help(Option<String>),
    /// A verb and everything else, in the order of the command line.
    Verb(Verb, Vec<String>),
    /// A word that is no verb.
    Unknown(String),
}

/// Takes the words behind the program's name apart.
///
/// # Errors
/// When a word is not UTF-8: names, paths and arguments are kept as text.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Line, Failure> {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| word.into_string().map_err(|word| Failure::Usage(format!("{} is not UTF-8", word.display()))))
        .collect::<Result<_, _>>()?;
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let at = verb_position(&words[..end]);
    let before = &words[..at.unwrap_or(end)];
    if before.iter().any(|word| matches!(word.as_str(), "-v" | "-V" | "--version")) {
        return Ok(Line::Version);
    }
    if before.iter().any(|word| matches!(word.as_str(), "-h" | "--help")) {
        return Ok(Line::Help(None));
    }
    let Some(at) = at else {
        return Ok(Line::Empty);
    };
    let Some(verb) = Verb::find(&words[at]) else {
        return Ok(Line::Unknown(words[at].clone()));
    };
    let rest = &words[at + 1..];
    let options_end = rest.iter().position(|word| word == "--").unwrap_or(rest.len());
    if rest[..options_end].iter().any(|word| matches!(word.as_str(), "-h" | "--help")) {
        return Ok(Line::Help(Some(words[at].clone())));
    }
    if rest[..options_end].iter().any(|word| matches!(word.as_str(), "-v" | "-V" | "--version")) {
        return Ok(Line::Version);
    }
    Ok(Line::Verb(verb, before.iter().cloned().chain(gathered(rest)).collect()))
}

/// Where the verb stands: behind options that were put in front of it, and their values.
fn verb_position(words: &[String]) -> Option<usize> {
    match words.first() {
        // The usual case, for which no option has to be known.
        Some(first) if !first.starts_with('-') => return Some(0),
        None => return None,
        Some(_) => {}
    }
    let known = AppOptions::augment_args(Common::augment_args(Command::new("options")));
    let mut position = 0;
    while let Some(word) = words.get(position) {
        if !word.starts_with('-') || word == "-" {
            return Some(position);
        }
        let next_is_verb = words.get(position + 1).is_none_or(|next| Verb::find(next).is_some());
        position += if takes_next(&known, word) == Some(Next::Always)
            || takes_next(&known, word) == Some(Next::UnlessVerb) && !next_is_verb
        {
            2
        } else {
            1
        };
    }
    None
}

#[derive(PartialEq)]
enum Next {
    Always,
    UnlessVerb,
}

/// Whether the word behind this option is its value.
fn takes_next(known: &Command, word: &str) -> Option<Next> {
    let named = word.strip_prefix("--");
    if named.is_some_and(|name| name.contains('=')) {
        return None;
    }
    // Of clustered short options only the last can take a value.
    let short = word.chars().last();
    let only = word.chars().nth(1);
    let option = known.get_arguments().find(|option| match named {
        Some(name) => {
            option.get_long() == Some(name) || option.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        }
        None => option.get_short().is_some() && (option.get_short() == only || option.get_short() == short),
    })?;
    match (option.get_action(), option.get_num_args()) {
        (ArgAction::SetTrue, _) => None,
        (_, Some(count)) if count.min_values() == 0 => Some(Next::UnlessVerb),
        _ => Some(Next::Always),
    }
}

/// The words, with the numbers behind `--stop-exit-codes` joined by commas, since PM2 documents them apart, and a time
/// behind `--wait` joined with it.
fn gathered(words: &[String]) -> Vec<String> {
    let mut result: Vec<String> = Vec::with_capacity(words.len());
    let mut codes = 0;
    let mut verbatim = false;
    for word in words {
        verbatim |= word == "--";
        // Without a unit it could be the number of an app.
        let timed = word.ends_with(['s', 'm', 'h']) && super::start::duration(word).is_some();
        if timed && !verbatim && result.last().is_some_and(|last| last == "--wait") {
            result.pop();
            result.push(format!("--wait={word}"));
            continue;
        }
        let numeric = word.split(',').all(|code| !code.is_empty() && code.bytes().all(|b| b.is_ascii_digit()));
        match result.last_mut() {
            Some(last) if codes > 1 && numeric && !verbatim => {
                last.push(',');
                last.push_str(word);
            }
            _ => {
                codes = if word == "--stop-exit-codes" && !verbatim {
                    1
                } else if codes == 1 {
                    2
                } else {
                    0
                };
                result.push(word.clone());
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        read(text.split(' ').filter(|word| !word.is_empty()).map(OsString::from)).unwrap()
    }

    fn verb(verb: Verb, words: &[&str]) -> Line {
        Line::Verb(verb, words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn options_may_stand_in_front_of_the_verb() {
        assert_eq!(line("--name web start app.js"), verb(Verb::Start, &["--name", "web", "app.js"]));
        assert_eq!(line("-s delete all"), verb(Verb::Delete, &["-s", "all"]));
        assert_eq!(line("-i -1 start app.js"), verb(Verb::Start, &["-i", "-1", "app.js"]));
        assert_eq!(line("--log start app.js"), verb(Verb::Start, &["--log", "app.js"]));
        assert_eq!(line("--interpreter=none start a"), verb(Verb::Start, &["--interpreter=none", "a"]));
    }

    #[test]
    fn log_is_logs() {
        assert_eq!(line("log web"), verb(Verb::Logs, &["web"]));
    }

    #[test]
    fn version_and_help_are_seen_anywhere_but_behind_the_dashes() {
        assert_eq!(line("-v"), Line::Version);
        assert_eq!(line("start app.js -v"), Line::Version);
        assert_eq!(line("start --help"), Line::Help(Some("start".into())));
        assert_eq!(line("start app.js -- -v --help"), verb(Verb::Start, &["app.js", "--", "-v", "--help"]));
    }

    #[test]
    fn unknown_and_empty_lines_are_told_apart() {
        assert_eq!(line("frobnicate x"), Line::Unknown("frobnicate".into()));
        assert_eq!(line(""), Line::Empty);
    }

    #[test]
    fn the_time_to_wait_may_be_written_apart() {
        assert_eq!(line("start --wait 10s app.js"), verb(Verb::Start, &["--wait=10s", "app.js"]));
        assert_eq!(line("start --wait 3"), verb(Verb::Start, &["--wait", "3"]));
        assert_eq!(line("start a --wait -- 10s"), verb(Verb::Start, &["a", "--wait", "--", "10s"]));
    }

    #[test]
    fn exit_codes_may_be_written_apart() {
        assert_eq!(
            line("start --stop-exit-codes 1 2 app.js"),
            verb(Verb::Start, &["--stop-exit-codes", "1,2", "app.js"])
        );
        assert_eq!(
            line("start app.js --stop-exit-codes 1 -- 2 3"),
            verb(Verb::Start, &["app.js", "--stop-exit-codes", "1", "--", "2", "3"]),
        );
    }
}
