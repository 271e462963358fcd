//! The help pages and the texts for a command line that can't be understood.

use super::Verb;
use super::failure::Failure;
use super::session::{CalledAs, Session};
use baton_pm2::style::Colour;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::fmt::Write as _;

/// What is shown when nothing, or nothing known, was asked.
pub(crate) fn short(called: CalledAs) -> String {
    let program = called.program();
    format!(
        "usage: {program} <command> [options]\n\n\
         {program} start app.js                start a program\n\
         {program} start ecosystem.config.js   start every app of a process file\n\
         {program} list                        show the process list\n\
         {program} logs [name]                 follow the logs\n\
         {program} stop | restart | delete <name|id|all|file>\n\
         {program} help                        all commands\n\
         {program} <command> --help            the options of a command\n"
    )
}

/// The page with all verbs.
pub(crate) fn all(called: CalledAs) -> String {
    let program = called.program();
    let mut page = format!("usage: {program} <command> [options]\n\ncommands:\n");
    let names: Vec<String> = Verb::ALL.iter().map(|verb| verb.names().join(", ")).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (verb, names) in Verb::ALL.iter().zip(&names) {
        let about = verb.command().get_about().map(ToString::to_string).unwrap_or_default();
        // Writing to a String can't fail.
        let _ = writeln!(page, "  {names:width$}  {about}");
    }
    let _ = writeln!(page, "\n`{program} <command> --help` shows the options of a command.");
    page
}

/// The page of one verb.
pub(crate) fn page(verb: Verb, session: &Session) -> String {
    let name = format!("{} {}", session.called.program(), verb.names()[0]);
    let mut command = verb.command().bin_name(name).disable_version_flag(true);
    if session.colour == Colour::On {
        command.render_long_help().ansi().to_string()
    } else {
        command.render_long_help().to_string()
    }
}

/// Tells what is wrong with a command line.
pub(crate) fn refusal(error: &clap::Error, verb: Verb, session: &Session) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let told = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            format!("error: unknown option `{argument}'")
        }
        ErrorKind::UnknownArgument => format!("error: `{argument}' is one word too many for {}", verb.names()[0]),
        ErrorKind::MissingRequiredArgument => {
            let name = argument.trim_start_matches(['<', '[']).trim_end_matches(['.', '>', ']']).to_lowercase();
            format!("error: missing required argument `{name}'")
        }
        _ => error.render().to_string().lines().next().unwrap_or_default().to_owned(),
    };
    // PM2 frames these lines with empty ones.
    session.complain(&format!("\n  {told}"));
    if let Some(near) = text(ContextKind::SuggestedArg) {
        session.complain(&format!("  help: did you mean {near}?"));
    }
    session.complain("");
    Failure::Told
}
