//! `completion`: scripts that have a shell complete commands, options and names. They ask this program each time, so that
//! they know the list as it is; a daemon that does not run is not started for it.

use super::Verb;
use super::common::Common;
use super::failure::Failure;
use super::session::{Session, list};
use baton_core::proto::List;
use clap::{Parser, ValueEnum};
use std::collections::BTreeSet;

/// Print a script that completes commands, options and names in a shell.
///
/// In ~/.bashrc: source <(baton completion bash). In ~/.zshrc, after compinit: source <(baton completion zsh). In
/// ~/.config/fish/config.fish: baton completion fish | source.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum, required_unless_present = "candidates")]
    shell: Option<Shell>,
    /// What may stand for the last of these words; the scripts ask for it.
    #[arg(long, hide = true)]
    candidates: bool,
    /// The words of a command line so far.
    #[arg(last = true, hide = true)]
    words: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    if args.candidates {
        let found = candidates(&args.words, || names(session));
        let lines: String = found.iter().map(|word| format!("{word}\n")).collect();
        session.data(lines.as_bytes());
        return Ok(());
    }
    let script = match args.shell {
        Some(Shell::Bash) => BASH,
        Some(Shell::Zsh) => ZSH,
        Some(Shell::Fish) => FISH,
        None => "",
    };
    session.data(script.replace("PROGRAM", session.called.program()).as_bytes());
    Ok(())
}

const BASH: &str = r#"_PROGRAM_complete() {
    local IFS=$'\n'
    COMPREPLY=($(PROGRAM completion --candidates -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _PROGRAM_complete PROGRAM
"#;

const ZSH: &str = r#"_PROGRAM_complete() {
    local -a found
    found=("${(@f)$(PROGRAM completion --candidates -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _PROGRAM_complete PROGRAM
"#;

const FISH: &str =
    "complete -c PROGRAM -a '(PROGRAM completion --candidates -- (commandline -opc)[2..] (commandline -ct))'\n";

/// Verbs whose words are names of the list.
const NAMING: &[Verb] = &[
    Verb::Start,
    Verb::Stop,
    Verb::Restart,
    Verb::Reload,
    Verb::Scale,
    Verb::Delete,
    Verb::Describe,
    Verb::Logs,
    Verb::Errors,
    Verb::Why,
    Verb::Events,
    Verb::Watch,
    Verb::Flush,
    Verb::Reset,
    Verb::Env,
    Verb::Id,
    Verb::Pid,
    Verb::SendSignal,
];

/// What may stand for the last word.
fn candidates(words: &[String], names: impl FnOnce() -> BTreeSet<String>) -> Vec<String> {
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let fitting = |all: Vec<String>| all.into_iter().filter(|word| word.starts_with(last)).collect();
    let Some(verb) = before.iter().find_map(|word| Verb::find(word)) else {
        return fitting(Verb::ALL.iter().map(|verb| verb.names()[0].to_owned()).collect());
    };
    // What follows `--` is the app's.
    if before.iter().any(|word| word == "--") {
        return Vec::new();
    }
    if last.starts_with('-') {
        let command = verb.command();
        let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
        return fitting(shown.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect());
    }
    if NAMING.contains(&verb) { fitting(names().into_iter().collect()) } else { Vec::new() }
}

/// The names and units of the list, and `all`.
fn names(session: &Session) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let client = session.present_client().ok().flatten();
    let listing = client.and_then(|mut client| list(&mut client, List::default()).ok());
    for view in listing.into_iter().flat_map(|listing| listing.instances) {
        names.extend([view.name, view.namespace, "all".into()]);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        candidates(&words, || ["api".to_owned(), "apiary".to_owned(), "web".to_owned()].into())
    }

    #[test]
    fn verbs_then_names_and_options_of_the_verb() {
        assert_eq!(of(&["resta"]), ["restart"]);
        assert!(of(&[""]).len() > 30);
        assert_eq!(of(&["restart", "ap"]), ["api", "apiary"]);
        assert_eq!(of(&["--silent", "restart", "w"]), ["web"]);
        assert_eq!(of(&["restart", "--update"]), ["--update-env"]);
        assert_eq!(of(&["start", "api", "--", ""]), [""; 0]);
        assert_eq!(of(&["ping", ""]), [""; 0]);
    }
}
