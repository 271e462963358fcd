//! What a life is given to say by that it is ready, and that it is well: a datagram socket as of systemd, or a pipe.
//!
//! The guard holds our end from before the life begins, so that what is said while no daemon runs waits for the next.

use crate::home::{Home, remove_file};
use baton_core::spec::{AppSpec, ReadyBy};
use baton_core::step::Pet;
use baton_core::units::{Incarnation, Millis};
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
            _ if spec.notifies() => {
                if let Some(who) = who {
                    let instead = match spec.watchdog_limit() {
                        Some(_) => "`health` or `heartbeat` in place of `watchdog`",
                        None => "`ready: \"fd\"`",
                    };
                    return Err(io::Error::other(format!(
                        "{} may not enter baton's folder: write {instead}",
                        who.name
                    )));
                }
                let path = notify_path(home, incarnation);
                Ok(Some(Line { reader: bind(&path)?, theirs: Theirs::Path("NOTIFY_SOCKET", path) }))
            }
            Some(ReadyBy::Fd) => {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
                Ok(Some(Line { reader, theirs: Theirs::Descriptor("READY_FD", writer) }))
            }
            Some(
                ReadyBy::Notify
                | ReadyBy::Tcp(_)
                | ReadyBy::Http(_)
                | ReadyBy::Exec(_)
                | ReadyBy::Log(_)
                | ReadyBy::Ipc,
            )
            | None => Ok(None),
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
    /// This.
    Words(Words),
    /// Nothing for now.
    Nothing,
    /// Nothing will come any more.
    End,
}

/// What one message says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// For the first time that it is ready.
    pub(super) ready: bool,
    /// To its watchdog.
    pub(super) pets: Vec<Pet>,
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
                let message = &bytes[..count];
                let mut words = match self.is_socket {
                    true => words(message),
                    false => Words { ready: message.contains(&b'\n'), pets: Vec::new() },
                };
                words.ready = words.ready && !std::mem::replace(&mut self.told, true);
                Heard::Words(words)
            }
            Err(Errno::INTR) => Heard::Words(Words::default()),
            Err(Errno::AGAIN) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }
}

/// What a message of `sd_notify` says: lines `NAME=value`, of which we take these.
fn words(message: &[u8]) -> Words {
    let mut words = Words::default();
    for line in message.split(|byte| *byte == b'\n') {
        match line {
            b"READY=1" => words.ready = true,
            b"WATCHDOG=1" => words.pets.push(Pet::Alive),
            b"WATCHDOG=trigger" => words.pets.push(Pet::Trigger),
            _ => words.pets.extend(line.strip_prefix(b"WATCHDOG_USEC=").and_then(every)),
        }
    }
    words
}

/// So many microseconds; what is below a millisecond is rounded up, so that it is not off.
fn every(digits: &[u8]) -> Option<Pet> {
    let micros: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Pet::Every(Millis(micros.div_ceil(1000))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_things_by_lines_of_their_own() {
        assert!(words(b"READY=1").ready);
        assert!(words(b"STATUS=up\nREADY=1\nMAINPID=7\n").ready);
        for other in
            [&b""[..], b"READY=0", b"STATUS=READY=1", b"READY=10", b"STOPPING=1", b"WATCHDOG=0", b"WATCHDOG_USEC="]
        {
            assert_eq!(words(other), Words::default(), "{other:?}");
        }
        let both = words(b"READY=1\nWATCHDOG=1\nWATCHDOG_USEC=1500001");
        assert_eq!(both, Words { ready: true, pets: vec![Pet::Alive, Pet::Every(Millis(1501))] });
        assert_eq!(words(b"WATCHDOG=trigger\nWATCHDOG_USEC=0").pets, [Pet::Trigger, Pet::Every(Millis(0))]);
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
        let ready = |ready| Heard::Words(Words { ready, pets: Vec::new() });
        assert_eq!([say(b"not"), say(b" yet\n"), say(b"WATCHDOG=1\n")], [false, true, false].map(ready));
        drop(writer);
        assert_eq!(hearing.hear(&reader), Heard::End);
    }
}
