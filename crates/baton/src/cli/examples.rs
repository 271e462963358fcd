//! `examples`: command lines for what people do most.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use baton_pm2::style::Style;
use clap::Parser;

/// What is done, and by which words behind the program's name.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "Start a program and keep it running",
        &["start app.js --name api", "start \"npm run start\" --name web", "start server.py"],
    ),
    (
        "Start every app of a process file, or one of them",
        &["start ecosystem.config.js", "start ecosystem.config.js --only api"],
    ),
    ("A worker for each processor, and new code without a gap", &["start api.js -i max", "reload api"]),
    ("What runs, and why something was started again", &["ls", "describe api", "why api", "monit"]),
    ("Read logs", &["logs api", "logs api --since 10m --level error", "errors"]),
    ("Make the list what the files say", &["plan ecosystem.config.js", "sync ecosystem.config.js --watch"]),
    ("Stop, start again, forget", &["stop api", "restart api", "delete all"]),
    ("Start with the machine", &["startup", "save"]),
    ("Restart when files change", &["start app.js --watch", "watch --explain src/app.js"]),
    ("Serve a folder", &["serve dist 3000 --spa"]),
    ("Arguments of the program stand behind two dashes", &["start app.js -- --port 3000"]),
];

/// Show command lines for what people do most.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    let program = session.called.program();
    session.say(&format!("{program} usage examples:"));
    for (what, lines) in EXAMPLES {
        session.line(&format!("\n- {what}:\n"));
        for line in *lines {
            session.line(&session.colour.paint(Style::Cyan, &format!("  $ {program} {line}")));
        }
    }
    session.line(&format!("\n  `{program} help` lists all commands, `{program} <command> --help` the options of one."));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::EXAMPLES;
    use crate::cli::Verb;

    #[test]
    fn every_example_is_understood() {
        for line in EXAMPLES.iter().flat_map(|(_, lines)| *lines) {
            let words = shlex::split(line).unwrap();
            let (verb, words) = words.split_first().unwrap();
            let command = Verb::find(verb).unwrap_or_else(|| panic!("{verb}")).command().no_binary_name(true);
            command.try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
