//! `man`: man pages, made from what the options of each verb say of themselves.

use super::Verb;
use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use clap::{Command, Parser};
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::PathBuf;

/// Where things are, and what is around the verbs.
const FILES: &str = r"
.SH FILES
.TP
\fI~/.baton\fR
Home: the list, logs, pids and sockets. BATON_HOME or PM2_HOME name another; called as pm2 it is ~/.pm2.
.TP
\fIecosystem.config.*\fR
The process file of a directory, which is taken where none is named.
.SH ENVIRONMENT
.TP
\fBBATON_HOME\fR, \fBPM2_HOME\fR
The home.
.TP
\fBPM2_SILENT\fR
Say nothing but data that was asked for.
.TP
\fBNO_COLOR\fR, \fBFORCE_COLOR\fR
Without colours, or with colours everywhere.
.SH EXIT STATUS
0 when everything that was asked was done, else 1, or the code that the page of a command names.
";

/// Write man pages: one for the program and one for each command.
///
/// To read one: baton man --page start | man -l -
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The folder to write them to, such as /usr/local/share/man/man1.
    #[arg(value_name = "DIR", required_unless_present = "page")]
    directory: Option<PathBuf>,
    /// Print the page of a command; of the program without one.
    #[arg(long, value_name = "COMMAND", num_args = 0..=1, default_missing_value = "", conflicts_with = "directory")]
    page: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let program = session.called.program();
    if let Some(word) = args.page {
        let page = match (word.as_str(), Verb::find(&word)) {
            ("", _) => of_program(program),
            (_, Some(verb)) => of_verb(program, verb),
            (_, None) => return Err(Failure::Usage(format!("there is no command {word}"))),
        };
        session.data(&page.map_err(Failure::system("the page"))?);
        return Ok(());
    }
    let directory = session.directory()?.join(args.directory.unwrap_or_default());
    let failed = || Failure::system(directory.display().to_string());
    std::fs::create_dir_all(&directory).map_err(failed())?;
    let pages = Verb::ALL.iter().map(|verb| (format!("{program}-{}.1", verb.names()[0]), of_verb(program, *verb)));
    let pages = std::iter::once((format!("{program}.1"), of_program(program))).chain(pages);
    let mut count = 0;
    for (name, page) in pages {
        std::fs::write(directory.join(name), page.map_err(failed())?).map_err(failed())?;
        count += 1;
    }
    session.say(&format!("{count} pages written to {}", directory.display()));
    Ok(())
}

fn man(command: Command, program: &str) -> Man {
    Man::new(command).manual(program.to_owned()).source(format!("baton {}", env!("CARGO_PKG_VERSION")))
}

/// The page of the program: what it is, and the verbs.
fn of_program(program: &'static str) -> io::Result<Vec<u8>> {
    let verbs = Verb::ALL.iter().map(|verb| {
        let command = verb.command();
        let about = command.get_about().cloned().unwrap_or_default();
        Command::new(verb.names()[0]).about(about)
    });
    let command = Command::new(program)
        .about("A process manager that never loses an app, a request or a log line")
        .long_about(
            "Starts programs, keeps them running, and collects what they write. It reads process files in JavaScript, \
             TypeScript, JSON, YAML, TOML and Clojure, and answers the commands of PM2. Apps, their counters and logs \
             survive the death of its daemon.",
        )
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommands(verbs);
    let mut page = Vec::new();
    man(command, program).render(&mut page)?;
    page.write_all(FILES.as_bytes())?;
    Ok(page)
}

/// The page of a verb.
fn of_verb(program: &'static str, verb: Verb) -> io::Result<Vec<u8>> {
    let (name, others) = verb.names().split_first().unwrap_or((&"", &[]));
    // As often as there are verbs, in a process that ends then.
    let title: &'static str = format!("{program}-{name}").leak();
    let command = verb.command().name(title).bin_name(format!("{program} {name}")).disable_version_flag(true);
    let mut page = Vec::new();
    man(command, program).title(title.to_uppercase()).render(&mut page)?;
    if !others.is_empty() {
        writeln!(page, ".SH ALIASES\n{}", others.join(", ").replace('-', "\\-"))?;
    }
    writeln!(page, ".SH SEE ALSO\n\\fB{program}\\fR(1)")?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_with_its_options() {
        for verb in Verb::ALL {
            let page = String::from_utf8(of_verb("baton", *verb).unwrap()).unwrap();
            let name = verb.names()[0];
            assert!(page.contains(&format!(".TH BATON-{} 1", name.to_uppercase())), "{page}");
            assert!(page.contains(&format!("baton\\-{name} \\- ")), "{page}");
            for option in verb.command().get_arguments().filter(|option| !option.is_hide_set()) {
                let long = option.get_long().map(|long| format!("\\-\\-{}", long.replace('-', "\\-")));
                assert!(long.is_none_or(|long| page.contains(&long)), "{name} {}: {page}", option.get_id());
            }
        }
    }

    #[test]
    fn the_page_of_the_program_has_every_verb() {
        let page = String::from_utf8(of_program("baton").unwrap()).unwrap();
        for verb in Verb::ALL {
            assert!(page.contains(&format!("baton\\-{}(1)", verb.names()[0].replace('-', "\\-"))), "{page}");
        }
        assert!(page.contains(".SH FILES") && page.contains("BATON_HOME"), "{page}");
    }
}
