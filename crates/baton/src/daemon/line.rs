//! What a life is given to say by that it is ready: a datagram socket as of systemd, or a pipe.
//!
//! The guard holds our end from before the life begins, so that what is said while no daemon runs waits for the next.

use crate::home::{Home, remove_file};
use baton_core::spec::{AppSpec, ReadyBy};
use baton_core::units::Incarnation;
use baton_os::spawn::Credentials;
use rustix::io::{Errno, read};
use rustix::net::sockopt::socket_type;
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// The extension of the socket's file in the run folder.
pub(super) const NOTIFY: &str = "notify";

/// Both ends.
#[derive(Debug)]
pub(super) struct Line {
    /// What we read.
    pub(super) reader: OwnedFd,
    /// What the app is given.
    pub(super) theirs: Theirs,
}

/// What the app is given.
#[derive(Debug)]
pub(super) enum Theirs {
    /// A variable, and the path in it.
    Path(&'static str, PathBuf),
    /// A descriptor, and the variable that is to hold its number in the app.
    Descriptor(&'static str, OwnedFd),
}

impl Line {
    /// What this life is to say it by; `None` when it says nothing itself.
    ///
    /// # Errors
    /// When it can't be made, or the app's user could not use it.
    pub(super) fn of(
        spec: &AppSpec,
        home: &Home,
        incarnation: Incarnation,
        who: Option<&Credentials>,
    ) -> io::Result<Option<Line>> {
        match spec.ready.as_ref().map(|ready| &ready.by) {
            Some(ReadyBy::Notify) => {
                if let Some(who) = who {
                    let text = format!("{} may not enter baton's folder: write `ready: \"fd\"` instead", who.name);
                    return Err(io::Error::other(text));
                }
                let path = notify_path(home, incarnation);
                Ok(Some(Line { reader: bind(&path)?, theirs: Theirs::Path("NOTIFY_SOCKET", path) }))
            }
            Some(ReadyBy::Fd) => {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
                Ok(Some(Line { reader, theirs: Theirs::Descriptor("READY_FD", writer) }))
            }
            Some(ReadyBy::Tcp(_) | ReadyBy::Http(_) | ReadyBy::Exec(_) | ReadyBy::Log(_) | ReadyBy::Ipc) | None => {
                Ok(None)
            }
        }
    }
}

fn bind(path: &PathBuf) -> io::Result<OwnedFd> {
    remove_file(path)?;
    Ok(UnixDatagram::bind(path)?.into())
}

/// The socket of a life.
pub(super) fn notify_path(home: &Home, incarnation: Incarnation) -> PathBuf {
    home.run().join(format!("{incarnation}.{NOTIFY}"))
}

/// The socket of a life anew, when it had one.
pub(super) fn again(home: &Home, incarnation: Incarnation) -> Option<OwnedFd> {
    let path = notify_path(home, incarnation);
    path.exists().then(|| bind(&path).ok()).flatten()
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// For the first time that it is ready.
    Ready,
    /// Anything else.
    Other,
    /// Nothing for now.
    Nothing,
    /// Nothing will come any more.
    End,
}

/// How one line is understood.
#[derive(Debug)]
pub(super) struct Hearing {
    is_socket: bool,
    told: bool,
}

impl Hearing {
    /// For this end of a line.
    pub(super) fn of(line: &OwnedFd) -> Hearing {
        Hearing { is_socket: socket_type(line).is_ok(), told: false }
    }

    /// Takes in one datagram, or what a pipe holds, without waiting.
    pub(super) fn hear(&mut self, line: &OwnedFd) -> Heard {
        let mut bytes = [0; 4096];
        match read(line, &mut bytes) {
            // A datagram may be empty.
            Ok(0) if !self.is_socket => Heard::End,
            Ok(count) => {
                let says = if self.is_socket { says_ready(&bytes[..count]) } else { bytes[..count].contains(&b'\n') };
                if says && !std::mem::replace(&mut self.told, true) { Heard::Ready } else { Heard::Other }
            }
            Err(Errno::INTR) => Heard::Other,
            Err(Errno::AGAIN) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }
}

/// Whether a message of `sd_notify` says so: lines `NAME=value`, of which we take this one.
fn says_ready(message: &[u8]) -> bool {
    message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_ready_by_a_line_of_its_own() {
        assert!(says_ready(b"READY=1"));
        assert!(says_ready(b"STATUS=up\nREADY=1\nMAINPID=7\n"));
        for other in [&b""[..], b"READY=0", b"STATUS=READY=1", b"READY=10", b"STOPPING=1"] {
            assert!(!says_ready(other), "{other:?}");
        }
    }

    #[test]
    fn a_pipe_says_it_with_the_first_end_of_a_line() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
        let mut hearing = Hearing::of(&reader);
        assert_eq!(hearing.hear(&reader), Heard::Nothing);
        let mut say = |text: &[u8]| {
            rustix::io::write(&writer, text).unwrap();
            hearing.hear(&reader)
        };
        assert_eq!([say(b"not"), say(b" yet\n"), say(b"\n")], [Heard::Other, Heard::Ready, Heard::Other]);
        drop(writer);
        assert_eq!(hearing.hear(&reader), Heard::End);
    }
}
