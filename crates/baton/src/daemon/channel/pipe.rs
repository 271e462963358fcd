//! One channel: whole frames in, whole frames out.
//!
//! What has come stays in the socket until it was handled, because the guard's copy of the socket is all that a
//! successor of this daemon gets. Only a frame that the socket can't hold, or that is too large to look at, is taken
//! out before it is whole. What is sent is small, and the kernel takes a small frame whole or not at all.

use baton_node::frame::{Decoder, Frame, encode};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// How much is looked at in one go. A longer frame is taken out of the socket piece by piece.
pub(super) const LOOK: usize = 64 * 1024;
/// Descriptors that may come with a piece; Node sends one.
const HANDLES: usize = 8;

/// Our end.
#[derive(Debug)]
pub(super) struct Pipe {
    socket: OwnedFd,
    /// The beginning of a frame that had to be taken out.
    decoder: Decoder,
    /// What came was no frame: where the next one begins nobody knows.
    broken: bool,
    /// What is to be sent.
    queue: VecDeque<Outgoing>,
    /// Bytes of the socket that were handled, and stay there until what answers them is sent: a successor that finds
    /// them answers them again.
    handled: usize,
    /// Its runtime marks its own frames, and expects the mark on ours.
    pub(super) marked: bool,
}

#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    handle: Option<Arc<OwnedFd>>,
}

/// What has come.
#[derive(Debug, PartialEq)]
pub(super) enum Look {
    /// Frames, and how many bytes of the socket they are, for [`Pipe::handled`] and [`Pipe::consume`].
    Frames(Vec<Frame>, usize),
    /// No whole frame for now.
    Nothing,
    /// Nothing will come any more.
    End,
}

/// How far sending came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All is sent.
    All,
    /// There is no room now; the socket tells when there is.
    Full,
    /// Too many descriptors are on their way, or the system has no memory; nobody tells when that is over.
    Later,
}

impl Pipe {
    /// Over our end.
    pub(super) fn over(socket: OwnedFd) -> Pipe {
        Pipe { socket, decoder: Decoder::default(), broken: false, queue: VecDeque::new(), handled: 0, marked: false }
    }

    /// Our end.
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// What has come, without taking it out of the socket where that can be.
    pub(super) fn look(&mut self, buffer: &mut [u8]) -> Look {
        let mut before = None;
        loop {
            if self.broken {
                return Look::End;
            }
            if self.decoder.pending() > 0 {
                let count = match self.take(buffer) {
                    Ok(0) => return Look::End,
                    Ok(count) => count,
                    Err(Errno::AGAIN) => return Look::Nothing,
                    Err(_) => return Look::End,
                };
                match self.frames(&buffer[..count]) {
                    Ok(frames) if frames.is_empty() => continue,
                    Ok(frames) => return Look::Frames(frames, 0),
                    Err(()) => return Look::End,
                }
            }
            let count = match recv(&self.socket, &mut *buffer, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Look::End,
                Ok((count, _)) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Look::Nothing,
                Err(_) => return Look::End,
            };
            if let Some(at) = memchr::memrchr(b'\n', &buffer[..count]) {
                return match self.frames(&buffer[..=at]) {
                    Ok(frames) => Look::Frames(frames, at + 1),
                    Err(()) => Look::End,
                };
            }
            let there = rustix::io::ioctl_fionread(&self.socket).unwrap_or(0);
            if count < buffer.len() && there <= count as u64 {
                // Half a frame: the rest wakes us.
                return Look::Nothing;
            }
            // A look ends where a descriptor goes with the bytes, and more may just have come.
            if count == buffer.len() || before.replace(count) == Some(count) {
                match self.take(&mut buffer[..count]) {
                    Ok(taken) if self.frames(&buffer[..taken]).is_ok() => {}
                    Ok(_) | Err(_) => return Look::End,
                }
            }
        }
    }

    fn frames(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, ()> {
        self.decoder.push(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = self.decoder.take().map_err(|_| self.broken = true)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// These bytes of the socket were handled.
    pub(super) fn handled(&mut self, bytes: usize) {
        self.handled += bytes;
    }

    /// Whether it can be looked at. Who does not take in what it is told is not listened to either, or there would be no
    /// end to what waits for it.
    pub(super) fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes bytes out of the socket that were handled. Says whether there were any.
    pub(super) fn consume(&mut self, buffer: &mut [u8]) -> bool {
        let some = self.handled > 0;
        while self.handled > 0 {
            let most = self.handled.min(buffer.len());
            match self.take(&mut buffer[..most]) {
                Ok(taken) if taken > 0 => self.handled -= taken,
                Ok(_) | Err(_) => self.handled = 0,
            }
        }
        some
    }

    /// Reads; descriptors that come with it are closed: nobody here wants one.
    fn take(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDLES))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let got =
            rustix::io::retry_on_intr(|| recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags))?;
        Ok(got.bytes)
    }

    /// Has a message sent, with a descriptor if there is one. `own` tells that it is the runtime's, not the program's.
    pub(super) fn send(&mut self, message: &Value, own: bool, handle: Option<Arc<OwnedFd>>) {
        self.queue.push_back(Outgoing { bytes: encode(message, own && self.marked), sent: 0, handle });
    }

    /// Sends what there is room for.
    pub(super) fn flush(&mut self) -> Flushed {
        while let Some(next) = self.queue.front_mut() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let handle = next.handle.as_ref().filter(|_| next.sent == 0).map(|handle| [handle.as_fd()]);
            if let Some(handle) = &handle {
                control.push(SendAncillaryMessage::ScmRights(handle));
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(&self.socket, &[IoSlice::new(&next.bytes[next.sent..])], &mut control, flags) {
                Ok(count) => next.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Flushed::Full,
                Err(Errno::PIPE | Errno::CONNRESET) => {
                    // Its end is closed; what it has said before can still be read.
                    self.queue.clear();
                    break;
                }
                Err(_) => return Flushed::Later,
            }
            if self.queue.front().is_some_and(|next| next.sent == next.bytes.len()) {
                self.queue.pop_front();
            }
        }
        Flushed::All
    }
}

#[cfg(test)]
mod tests {
    use super::super::ends::pair;
    use super::*;
    use proptest::prelude::*;
    use rustix::io::{read, write};
    use serde_json::json;

    fn values(look: Look) -> (Vec<Value>, usize) {
        match look {
            Look::Frames(frames, bytes) => (frames.into_iter().filter_map(|frame| frame.value).collect(), bytes),
            other => panic!("{other:?}"),
        }
    }

    fn take_out(pipe: &mut Pipe, bytes: usize, buffer: &mut [u8]) {
        pipe.handled(bytes);
        assert_eq!(pipe.consume(buffer), bytes > 0);
    }

    #[test]
    fn what_was_not_taken_out_is_found_again_by_whoever_has_the_socket_next() {
        let (ours, theirs) = pair().unwrap();
        let copy = ours.try_clone().unwrap();
        let mut buffer = vec![0; LOOK];
        let mut pipe = Pipe::over(ours);
        write(&theirs, b"\"ready\"\n{\"half\":").unwrap();
        assert_eq!(values(pipe.look(&mut buffer)), (vec![json!("ready")], 8));
        drop(pipe);
        let mut successor = Pipe::over(copy);
        assert_eq!(values(successor.look(&mut buffer)), (vec![json!("ready")], 8));
        take_out(&mut successor, 8, &mut buffer);
        assert_eq!(successor.look(&mut buffer), Look::Nothing);
        write(&theirs, b"1}\n").unwrap();
        assert_eq!(values(successor.look(&mut buffer)), (vec![json!({ "half": 1 })], 11));
        take_out(&mut successor, 11, &mut buffer);
        drop(theirs);
        assert_eq!(successor.look(&mut buffer), Look::End);
    }

    #[test]
    fn a_frame_larger_than_the_socket_is_taken_out_and_understood() {
        let (ours, theirs) = pair().unwrap();
        let mut pipe = Pipe::over(ours);
        let long = json!("x".repeat(1_000_000));
        let text = encode(&long, false);
        let writer = std::thread::spawn(move || {
            let mut rest = text.as_slice();
            while !rest.is_empty() {
                let count = write(&theirs, rest).unwrap();
                rest = &rest[count..];
            }
            write(&theirs, b"7\n").unwrap();
            theirs
        });
        let mut buffer = vec![0; LOOK];
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let mut fds = [rustix::event::PollFd::new(pipe.socket(), rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut fds, None).unwrap();
            if let Look::Frames(frames, bytes) = pipe.look(&mut buffer) {
                seen.extend(frames.into_iter().filter_map(|frame| frame.value));
                take_out(&mut pipe, bytes, &mut buffer);
            }
        }
        assert!(seen[0] == long && seen[1] == json!(7));
        drop(writer.join().unwrap());
    }

    #[test]
    fn a_descriptor_in_the_middle_of_a_frame_does_not_stop_the_channel() {
        let (ours, theirs) = pair().unwrap();
        let (mut pipe, mut sender) = (Pipe::over(ours), Pipe::over(theirs));
        let mut buffer = vec![0; LOOK];
        let handle = Arc::new(rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap());
        // A look ends at bytes that a descriptor came with, whole frame or not.
        sender.send(&json!({ "cmd": "NODE_HANDLE", "msg": "x".repeat(50_000) }), true, Some(handle.clone()));
        sender.send(&json!("after"), false, Some(handle));
        assert_eq!(sender.flush(), Flushed::All);
        let mut seen = 0;
        while let Look::Frames(frames, bytes) = pipe.look(&mut buffer) {
            seen += frames.len();
            take_out(&mut pipe, bytes, &mut buffer);
        }
        assert_eq!(seen, 2);
    }

    #[test]
    fn who_has_closed_its_end_is_sent_nothing_and_heard_to_the_end() {
        let (ours, theirs) = pair().unwrap();
        let mut pipe = Pipe::over(ours);
        write(&theirs, b"\"last words\"\n").unwrap();
        drop(theirs);
        pipe.send(&json!("anybody?"), false, None);
        assert!(!pipe.is_flushed());
        assert_eq!(pipe.flush(), Flushed::All);
        assert!(pipe.is_flushed());
        let mut buffer = vec![0; LOOK];
        assert_eq!(values(pipe.look(&mut buffer)), (vec![json!("last words")], 13));
    }

    #[test]
    fn frames_wait_for_room_and_come_whole() {
        let (ours, theirs) = pair().unwrap();
        let mut pipe = Pipe::over(ours);
        let message = json!({ "text": "y".repeat(2_000) });
        let mut count = 0;
        while pipe.flush() == Flushed::All {
            pipe.send(&message, false, None);
            count += 1;
        }
        let mut seen = Decoder::default();
        let mut buffer = vec![0; LOOK];
        let mut whole = 0;
        while whole < count {
            let taken = read(&theirs, &mut buffer).unwrap();
            seen.push(&buffer[..taken]);
            while let Some(frame) = seen.take().unwrap() {
                assert_eq!(frame.value.as_ref(), Some(&message));
                whole += 1;
            }
            pipe.flush();
        }
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_child_make_it_panic_or_hang(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20)) {
            let (ours, theirs) = pair().unwrap();
            let mut pipe = Pipe::over(ours);
            let mut buffer = vec![0; 256];
            for piece in pieces {
                write(&theirs, &piece).unwrap();
                while let Look::Frames(_, bytes) = pipe.look(&mut buffer) {
                    take_out(&mut pipe, bytes, &mut buffer);
                }
            }
            // A process that another test makes may have a copy of it for a moment.
            rustix::net::shutdown(&theirs, rustix::net::Shutdown::Write).unwrap();
            while let Look::Frames(_, bytes) = pipe.look(&mut buffer) {
                take_out(&mut pipe, bytes, &mut buffer);
            }
            // Half a frame may be left, and only epoll tells that nothing follows.
            prop_assert!(pipe.look(&mut buffer) == Look::End || rustix::io::ioctl_fionread(pipe.socket()).unwrap() > 0);
        }
    }
}
