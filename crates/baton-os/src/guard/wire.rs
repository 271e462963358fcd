//! Frames between guard and daemon: one SOCK_SEQPACKET message each, in the machine's byte order.
//!
//! A frame is a header, then the names, 64 bytes each (a length byte and the text), and as many descriptors by
//! SCM_RIGHTS as the kind asks for. The header carries its own length: a later version may append to it, and what
//! a reader does not know it skips. Versions this one and the one before are accepted.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;

/// The version this program speaks.
pub(super) const VERSION: u8 = 1;
/// The oldest version it understands: one back.
const OLDEST: u8 = VERSION - 1;
/// How many names, and so descriptors, one frame carries at most. The kernel's limit is 253.
pub(super) const BATCH: usize = 64;
/// The longest name in bytes.
pub(super) const NAME_MAX: usize = 63;

const HEADER: usize = 32;
const SLOT: usize = NAME_MAX + 1;
/// The largest frame in bytes.
pub(super) const FRAME_MAX: usize = HEADER + BATCH * SLOT;

/// A descriptor's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    len: u8,
    bytes: [u8; NAME_MAX],
}

impl Name {
    /// The name, unless it is empty or longer than [`NAME_MAX`].
    pub(super) fn new(text: &[u8]) -> Option<Name> {
        if text.is_empty() || text.len() > NAME_MAX {
            return None;
        }
        let mut bytes = [0; NAME_MAX];
        bytes[..text.len()].copy_from_slice(text);
        Some(Name { len: text.len() as u8, bytes })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What a frame is about. The numbers are the protocol: they are never given a second meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Daemon: keep these descriptors under these names. Acknowledged.
    Hold = 1,
    /// Daemon: shut down and close these. Acknowledged.
    Release = 2,
    /// Daemon: send everything you hold. Answered with `Held` frames, the last with `value` 0.
    TakeBack = 3,
    /// Daemon: the exit of the process in `value` is recorded; its zombie may go.
    Consume = 4,
    /// Daemon: it answers its clients now.
    Ready = 5,
    /// Daemon: its next exit is the end; start nothing after it. Acknowledged.
    StandDown = 6,
    /// Daemon: become the executable of this descriptor when it has exited. Acknowledged.
    Update = 7,
    /// Guard: `value` is one of [`answer`]; a refused name is attached.
    Ack = 32,
    /// Guard: some of what it holds; `value` 1 when more follows.
    Held = 33,
    /// Guard: the child in `value` ended: `extra` is its start time, `code` and `how` its exit.
    ChildExited = 34,
}

impl Kind {
    fn parse(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Hold,
            2 => Kind::Release,
            3 => Kind::TakeBack,
            4 => Kind::Consume,
            5 => Kind::Ready,
            6 => Kind::StandDown,
            7 => Kind::Update,
            32 => Kind::Ack,
            33 => Kind::Held,
            34 => Kind::ChildExited,
            _ => return None,
        })
    }
}

/// How a request went: the `value` of an `Ack`.
pub(super) mod answer {
    /// Done.
    pub(in super::super) const DONE: u64 = 0;
    /// The table is full; the name is the first that found no place, and nothing of the batch is held.
    pub(in super::super) const FULL: u64 = 1;
    /// Fewer descriptors arrived than names: the guard has no room for more open files.
    pub(in super::super) const LOST: u64 = 2;
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Numbers a request; its answer carries the same.
    pub(super) seq: u32,
    pub(super) value: u64,
    pub(super) extra: u64,
    pub(super) code: i32,
    /// 0: `code` is an exit code; 1: a signal.
    pub(super) how: u32,
}

impl Header {
    pub(super) fn new(kind: Kind, seq: u32, value: u64) -> Header {
        Header { kind, seq, value, extra: 0, code: 0, how: 0 }
    }
}

/// One frame as bytes, on its way out or as it came in.
pub(super) struct Frame {
    len: usize,
    bytes: [u8; FRAME_MAX],
}

impl Frame {
    pub(super) fn new(header: Header) -> Frame {
        let mut frame = Frame { len: HEADER, bytes: [0; FRAME_MAX] };
        let bytes = &mut frame.bytes;
        bytes[0] = VERSION;
        bytes[1] = header.kind as u8;
        bytes[2] = HEADER as u8;
        bytes[4..8].copy_from_slice(&header.seq.to_ne_bytes());
        bytes[8..16].copy_from_slice(&header.value.to_ne_bytes());
        bytes[16..24].copy_from_slice(&header.extra.to_ne_bytes());
        bytes[24..28].copy_from_slice(&header.code.to_ne_bytes());
        bytes[28..32].copy_from_slice(&header.how.to_ne_bytes());
        frame
    }

    /// Changes the header's `value`.
    pub(super) fn set_value(&mut self, value: u64) {
        self.bytes[8..16].copy_from_slice(&value.to_ne_bytes());
    }

    /// Appends a name. False when the frame is full.
    pub(super) fn push(&mut self, name: &Name) -> bool {
        let count = self.bytes[3];
        if usize::from(count) >= BATCH {
            return false;
        }
        self.bytes[self.len] = name.len;
        self.bytes[self.len + 1..self.len + SLOT].copy_from_slice(&name.bytes);
        self.bytes[3] = count + 1;
        self.len += SLOT;
        true
    }

    /// The header, or why the frame is not for us.
    pub(super) fn header(&self) -> Result<Header, &'static str> {
        let bytes = &self.bytes[..self.len];
        if self.len < HEADER || usize::from(bytes[2]) < HEADER || usize::from(bytes[2]) > self.len {
            return Err("a frame is shorter than its header");
        }
        if !(OLDEST..=VERSION).contains(&bytes[0]) {
            return Err("a frame is of a version that is not known here");
        }
        if self.len < usize::from(bytes[2]) + usize::from(bytes[3]) * SLOT {
            return Err("a frame is shorter than its names");
        }
        let kind = Kind::parse(bytes[1]).ok_or("a frame is of an unknown kind")?;
        let u32_at = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(eight)
        };
        Ok(Header {
            kind,
            seq: u32_at(4),
            value: u64_at(8),
            extra: u64_at(16),
            code: u32_at(24).cast_signed(),
            how: u32_at(28),
        })
    }

    /// The names, of a frame whose [`Frame::header`] was in order. A malformed one is left out.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        let start = usize::from(self.bytes[2]).min(self.len);
        self.bytes[start..self.len].as_chunks::<SLOT>().0.iter().take(usize::from(self.bytes[3])).filter_map(|slot| {
            let len = usize::from(slot[0]);
            slot.get(1..1 + len).and_then(Name::new)
        })
    }
}

/// Sends a frame whole or not at all; never waits. `AGAIN`: there is no room now, in the socket or in what a user may
/// have on the way in descriptors.
pub(super) fn send(socket: impl AsFd, frame: &Frame, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match rustix::io::retry_on_intr(|| {
        sendmsg(&socket, &[IoSlice::new(&frame.bytes[..frame.len])], &mut control, flags)
    }) {
        // Else the frame would be dropped, and who asked would wait for ever.
        Err(Errno::TOOMANYREFS) => Err(Errno::AGAIN),
        other => other.map(drop),
    }
}

/// What [`receive`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A frame is in the buffer.
    Frame,
    /// Nothing now.
    Nothing,
    /// The other side is gone.
    End,
}

/// Reads one frame without waiting; its descriptors, close-on-exec, are handed to `keep` in order.
pub(super) fn receive(socket: impl AsFd, frame: &mut Frame, mut keep: impl FnMut(OwnedFd)) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got =
        rustix::io::retry_on_intr(|| recvmsg(&socket, &mut [IoSliceMut::new(&mut frame.bytes)], &mut control, flags));
    let got = match got {
        Ok(got) => got,
        Err(Errno::AGAIN) => return Ok(Received::Nothing),
        Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Received::End),
        Err(error) => return Err(error),
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            fds.for_each(&mut keep);
        }
    }
    frame.len = got.bytes;
    // No frame is empty, so no bytes are the end. A truncated frame fails the length checks of `header`.
    let end = got.bytes == 0 && !got.flags.contains(ReturnFlags::TRUNC);
    Ok(if end { Received::End } else { Received::Frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Frame {
        let mut frame = Frame::new(Header { extra: 5, code: -3, how: 1, ..Header::new(Kind::Hold, 7, 9) });
        assert!(frame.push(&Name::new(b"out:1").unwrap()));
        assert!(frame.push(&Name::new(&[b'x'; NAME_MAX]).unwrap()));
        frame
    }

    #[test]
    fn a_frame_reads_as_it_was_written() {
        let frame = sample();
        let header = frame.header().unwrap();
        assert_eq!(header, Header { extra: 5, code: -3, how: 1, ..Header::new(Kind::Hold, 7, 9) });
        let names: Vec<Vec<u8>> = frame.names().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(names, [b"out:1".to_vec(), vec![b'x'; NAME_MAX]]);
    }

    #[test]
    fn this_version_and_the_one_before_are_read_and_no_other() {
        for (version, known) in [(VERSION, true), (VERSION - 1, true), (VERSION + 1, false), (VERSION + 9, false)] {
            let mut frame = sample();
            frame.bytes[0] = version;
            assert_eq!(frame.header().is_ok(), known, "version {version}");
        }
    }

    #[test]
    fn what_a_longer_header_appends_is_skipped() {
        let mut frame = sample();
        let names = frame.bytes[HEADER..frame.len].to_vec();
        frame.bytes[2] += 8;
        frame.bytes[HEADER..HEADER + 8].fill(0xff);
        frame.bytes[HEADER + 8..HEADER + 8 + names.len()].copy_from_slice(&names);
        frame.len += 8;
        assert_eq!(frame.header().unwrap().seq, 7);
        assert_eq!(frame.names().next().unwrap().as_bytes(), b"out:1");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for fill in 0..=255 {
            for len in (0..FRAME_MAX).step_by(13) {
                let mut frame = sample();
                frame.bytes[1..].fill(fill);
                frame.len = len;
                if frame.header().is_ok() {
                    let _ = frame.names().count();
                }
            }
        }
    }

    #[test]
    fn names_have_a_length() {
        assert!(Name::new(b"").is_none());
        assert!(Name::new(&[b'x'; NAME_MAX + 1]).is_none());
    }
}
