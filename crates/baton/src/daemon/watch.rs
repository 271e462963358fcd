//! Tasks that wait for descriptors, of a life or a timer, and tell the loop.

use super::inbox::{Inbox, Message};
use super::journal;
use super::life::{Key, Life};
use super::line::{Heard, Hearing, Words};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::{Interest, unix::AsyncFd};
use tokio::task::JoinHandle;

/// Tells when the report of a start can be read.
pub(super) fn report(key: Key, life: &mut Life, inbox: &Inbox) {
    if let Some(report) = &life.report {
        let task = when_readable(report, inbox.clone(), Message::Reported(key));
        keep(life, key, task);
    }
}

/// Tells when a leader has ended.
pub(super) fn leader(key: Key, life: &mut Life, inbox: &Inbox) {
    if let Some(process) = life.process() {
        let task = when_readable(process, inbox.clone(), Message::Ended(key));
        keep(life, key, task);
    }
}

/// Tells when the parent of a leader has taken note of its end: its descriptor hangs up then.
pub(super) fn reaping(key: Key, life: &mut Life, inbox: &Inbox) {
    let Some(process) = life.process() else { return };
    let inbox = inbox.clone();
    let task = asynchronous(process).map(|fd| {
        tokio::spawn(async move {
            while let Ok(mut ready) = fd.ready(Interest::READABLE).await {
                if ready.ready().is_read_closed() {
                    break;
                }
                ready.clear_ready();
            }
            inbox.send(Message::Reaped(key));
        })
    });
    keep(life, key, task);
}

/// Tells when a life says that it is ready, and to its watchdog if it has one that it is well, and takes in whatever else
/// it says there, so that it need never wait.
pub(super) fn line(key: Key, life: &mut Life, watchdog: bool, inbox: &Inbox) {
    let Some(line) = life.line.take() else { return };
    let inbox = inbox.clone();
    let task = rustix::io::ioctl_fionbio(&line, true).map_err(io::Error::from).and_then(|()| asynchronous(&line));
    let task = task.map(|fd| {
        tokio::spawn(async move {
            let mut hearing = Hearing::of(&line);
            while let Ok(mut ready) = fd.readable().await {
                match hearing.hear(&line) {
                    Heard::Words(Words { ready, pets }) => {
                        if ready {
                            inbox.send(Message::Ready(key));
                        }
                        pets.into_iter().filter(|_| watchdog).for_each(|pet| inbox.send(Message::Petted(key, pet)));
                    }
                    // The guard shuts a socket down when its life is over: it stays readable, and nothing comes.
                    Heard::Nothing if ready.ready().is_read_closed() => break,
                    Heard::Nothing => ready.clear_ready(),
                    Heard::End => break,
                }
            }
        })
    });
    keep(life, key, task);
}

/// Sends a message when a descriptor can be read, or has hung up.
pub(super) fn when_readable(fd: impl AsFd, inbox: Inbox, message: Message) -> io::Result<JoinHandle<()>> {
    let fd = asynchronous(fd)?;
    Ok(tokio::spawn(async move {
        // An error is an end too: whoever looks then finds out.
        let _ = fd.readable().await;
        inbox.send(message);
    }))
}

/// Sends a message each time a descriptor has become readable, for good: a timer that strikes again and again.
pub(super) fn whenever_readable(fd: impl AsFd, inbox: Inbox, message: fn() -> Message) -> io::Result<()> {
    let fd = asynchronous(fd)?;
    tokio::spawn(async move {
        while let Ok(mut ready) = fd.readable().await {
            ready.clear_ready();
            inbox.send(message());
        }
    });
    Ok(())
}

#[expect(
    deprecated,
    reason = "the successor is unsafe for types that may lie about their descriptor; an OwnedFd can't"
)]
fn asynchronous(fd: impl AsFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd.as_fd().try_clone_to_owned()?, Interest::READABLE)
}

fn keep(life: &mut Life, key: Key, task: io::Result<JoinHandle<()>>) {
    match task {
        Ok(task) => life.watch(task),
        Err(error) => journal::error(format_args!("slot {} can't be watched: {error}", key.0)),
    }
}
