//! What threads tell one that waits for several things at once: a channel, with a descriptor to wait for it by.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A mailbox, and the voice that speaks to it.
///
/// # Errors
/// When there is no descriptor to be had.
pub(crate) fn mailbox<T>() -> io::Result<(Voice<T>, Mailbox<T>)> {
    let (sender, words) = channel();
    let woken = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    Ok((Voice { sender, wake: Arc::clone(&woken) }, Mailbox { words, woken }))
}

/// How a thread makes itself heard.
pub(crate) struct Voice<T> {
    sender: Sender<T>,
    wake: Arc<OwnedFd>,
}

impl<T> Clone for Voice<T> {
    fn clone(&self) -> Voice<T> {
        Voice { sender: self.sender.clone(), wake: Arc::clone(&self.wake) }
    }
}

impl<T> Voice<T> {
    /// Says something; false when nobody listens any more.
    pub(crate) fn say(&self, word: T) -> bool {
        self.sender.send(word).is_ok() && rustix::io::write(&self.wake, &1_u64.to_ne_bytes()).is_ok()
    }
}

/// What was said and not heard yet. It is readable when there is something.
pub(crate) struct Mailbox<T> {
    words: Receiver<T>,
    woken: Arc<OwnedFd>,
}

impl<T> Mailbox<T> {
    /// Takes out what is there, without waiting.
    pub(crate) fn take(&self) -> impl Iterator<Item = T> + use<'_, T> {
        // Emptied first: what is said after this wakes again. It never blocks, and fails only when nothing was said.
        let _ = rustix::io::read(&self.woken, &mut [0; 8]);
        self.words.try_iter()
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable<T>(mailbox: &Mailbox<T>) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(mailbox, PollFlags::IN)], Some(&at_once)).unwrap() == 1
    }

    #[test]
    fn it_is_readable_while_something_was_said_and_not_taken() {
        let (voice, mailbox) = mailbox().unwrap();
        assert!(!is_readable(&mailbox));
        let other = voice.clone();
        assert!(voice.say(1) && other.say(2));
        assert!(is_readable(&mailbox));
        assert_eq!(mailbox.take().collect::<Vec<_>>(), [1, 2]);
        assert!(!is_readable(&mailbox));
        assert_eq!(mailbox.take().next(), None);
    }

    #[test]
    fn nobody_listens_when_the_mailbox_is_gone() {
        let (voice, mailbox) = mailbox().unwrap();
        drop(mailbox);
        assert!(!voice.say(1));
    }
}
