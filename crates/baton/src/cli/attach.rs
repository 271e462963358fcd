//! `attach`: the terminal as an app's standard input and output.

use super::common::Common;
use super::failure::Failure;
use super::logs::{self, Onlooker};
use super::session::{Session, list};
use super::target;
use crate::input::Input;
use baton_core::proto::{Change, List};
use baton_core::units::{InstanceId, Instant};
use baton_core::world::InstanceView;
use clap::Parser;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

/// How much is read at once (bytes).
const READ: usize = 64 * 1024;

/// Write lines to the standard input of an app, and show what it writes.
///
/// Ctrl-C and Ctrl-D come back; the app goes on.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Number or name of the app; of several instances the number.
    #[arg(value_name = "pm_id|name")]
    target: String,
    /// What is put behind each line in place of its end.
    #[arg(value_name = "command separator", allow_hyphen_values = true)]
    separator: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let view = one(&args.target, session)?;
    let mut input = Input::new(session.home.clone(), view.id, None);
    input.open().map_err(Failure::Usage)?;
    if view.files.out.is_none() && view.files.error.is_none() && view.files.combined.is_none() {
        session.warn(&format!("{} writes no log files, so what it prints is not shown", view.name));
    }
    if std::io::stdin().is_terminal() {
        session.complain(&format!(
            "attached to {} ({}): lines go to its standard input; Ctrl-C or Ctrl-D comes back, and the app goes on",
            view.name, view.id
        ));
    }
    let separator = args.separator.unwrap_or_else(|| "\n".into());
    let mut terminal = Terminal { id: view.id, input, separator, begun: Vec::new(), gone: false };
    logs::join(view.id, session, &mut terminal)
}

/// The one slot that a word means.
///
/// # Errors
/// When there is none, or several.
pub(super) fn one(word: &str, session: &Session) -> Result<InstanceView, Failure> {
    let targets = vec![target::selector(word, &session.directory()?)];
    let found = list(&mut session.quiet_client()?, List { targets, ..List::default() })?.instances;
    let numbers: Vec<String> = found.iter().map(|view| view.id.to_string()).collect();
    match <[InstanceView; 1]>::try_from(found) {
        Ok([view]) => Ok(view),
        Err(_) => Err(Failure::Usage(format!("{word} means several: write one of the numbers {}", numbers.join(", ")))),
    }
}

/// What is typed.
struct Terminal {
    id: InstanceId,
    input: Input,
    separator: String,
    /// A line whose end has not come yet.
    begun: Vec<u8>,
    gone: bool,
}

impl Onlooker for Terminal {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![rustix::stdio::stdin()]
    }

    fn until(&self) -> Option<Instant> {
        None
    }

    fn sees(&mut self, change: &Change) {
        match change {
            Change::Gone(id) => self.gone |= *id == self.id,
            Change::Snapshot(listing) => self.gone = listing.instances.iter().all(|view| view.id != self.id),
            Change::Slot(_) | Change::Ending => {}
        }
    }

    fn goes_on(&mut self) -> Result<bool, Failure> {
        if self.gone {
            return Err(Failure::Usage(format!("process {} was deleted", self.id)));
        }
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let stdin = rustix::stdio::stdin();
        if !matches!(poll(&mut [PollFd::from_borrowed_fd(stdin, PollFlags::IN)], Some(&at_once)), Ok(1..)) {
            return Ok(true);
        }
        let mut bytes = vec![0; READ];
        // A terminal that was closed has nothing more to say either.
        let count = rustix::io::read(stdin, &mut bytes).unwrap_or(0);
        self.begun.extend_from_slice(&bytes[..count]);
        if count == 0 && !self.begun.is_empty() {
            self.begun.push(b'\n');
        }
        let lines = take_lines(&mut self.begun, self.separator.as_bytes());
        self.input.write(&lines).map_err(Failure::Usage)?;
        Ok(count > 0)
    }
}

/// Takes the whole lines out, each with the separator in place of its end.
fn take_lines(bytes: &mut Vec<u8>, separator: &[u8]) -> Vec<u8> {
    let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    let mut lines = Vec::with_capacity(whole);
    for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        lines.extend_from_slice(separator);
    }
    bytes.drain(..whole);
    lines
}

#[cfg(test)]
mod tests {
    use super::take_lines;

    #[test]
    fn whole_lines_go_with_the_separator_behind_each() {
        let mut bytes = b"one\r\ntwo\nthr".to_vec();
        assert_eq!(take_lines(&mut bytes, b";"), b"one;two;");
        assert_eq!(take_lines(&mut bytes, b";"), b"");
        bytes.extend_from_slice(b"ee\n\n");
        assert_eq!(take_lines(&mut bytes, b"\n"), b"three\n\n");
        assert!(bytes.is_empty());
    }
}
