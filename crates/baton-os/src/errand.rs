//! Programs that a verb waits for: they belong to the caller's terminal and are no apps.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// What an errand reads.
#[derive(Debug)]
pub enum Input<'a> {
    /// What the caller types.
    Terminal,
    /// A file.
    File(&'a Path),
}

/// Runs a program of PATH to its end, with what the caller reads and writes.
///
/// # Errors
/// When there is no such program, or the file can't be read.
pub fn run(words: &[String], input: &Input<'_>, cwd: &Path) -> io::Result<ExitStatus> {
    let stdin = match input {
        Input::Terminal => Stdio::inherit(),
        Input::File(path) => std::fs::File::open(path)?.into(),
    };
    command(words, cwd)?.stdin(stdin).status()
}

/// Runs a program of PATH to its end; what it writes to its standard output is returned, and it reads nothing.
///
/// # Errors
/// When there is no such program.
pub fn ask(words: &[String], cwd: &Path) -> io::Result<(ExitStatus, Vec<u8>)> {
    let output = command(words, cwd)?.stderr(Stdio::inherit()).output()?;
    Ok((output.status, output.stdout))
}

/// The same, and nobody sees what it complains about.
///
/// # Errors
/// When there is no such program.
pub fn look(words: &[String], cwd: &Path) -> io::Result<(ExitStatus, Vec<u8>)> {
    let output = command(words, cwd)?.stderr(Stdio::null()).output()?;
    Ok((output.status, output.stdout))
}

#[expect(clippy::disallowed_methods, reason = "a program that is waited for, no app")]
fn command(words: &[String], cwd: &Path) -> io::Result<Command> {
    let (program, words) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(words).current_dir(cwd);
    Ok(command)
}
