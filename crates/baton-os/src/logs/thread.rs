//! The handle of the log thread: what others tell it, without ever waiting for it.

use super::batch::{Batch, private_pipe};
use super::ear::Ear;
use super::route::{LogOptions, LogReport, Stream};
use super::rule::Rotation;
use super::worker::Worker;
use baton_core::units::{Incarnation, InstanceId};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the thread is told.
pub(super) enum Command {
    Attach(Stream),
    Hear(InstanceId, Incarnation, Ear),
    Drain(InstanceId, Incarnation, Duration),
    ReopenAll,
    Rotation(Box<Rotation>),
    Outgrown,
    Flush(Vec<PathBuf>, Box<dyn FnOnce() + Send>),
    Descriptors(Sender<io::Result<Vec<(String, OwnedFd)>>>),
    Stop,
}

/// The thread that copies all apps' output to their log files.
#[derive(Debug)]
pub struct LogThread {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    batch: (OwnedFd, OwnedFd),
    thread: Option<JoinHandle<()>>,
}

impl LogThread {
    /// Starts the thread. A batch that a predecessor had committed is completed before this returns; one that it had
    /// only begun is repeated when its stream is attached.
    ///
    /// # Errors
    /// The slot file can't be opened, or the system has no descriptors or threads left.
    pub fn start(options: LogOptions, report: impl Fn(LogReport) + Send + Sync + 'static) -> io::Result<LogThread> {
        let pipe = match options.batch {
            Some(pipe) => pipe,
            None => private_pipe()?,
        };
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (commands, received) = channel();
        let batch = Batch::open(&options.slot, (pipe.0.try_clone()?, pipe.1.try_clone()?))?;
        let worker = Worker::new(batch, options.times, (received, Arc::clone(&wake)), Arc::new(report))?;
        let thread = std::thread::Builder::new().name("baton-logs".into()).spawn(move || worker.run())?;
        Ok(LogThread { commands, wake, batch: pipe, thread: Some(thread) })
    }

    /// Duplicates of the batch pipe (read end, write end), for the guard to hold as `batch:r` and `batch:w`.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn batch_pipe(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        Ok((self.batch.0.try_clone()?, self.batch.1.try_clone()?))
    }

    /// Collects a stream from now on. Its files are opened at once, so that they exist; a key that is known already is
    /// replaced, which is how a route is changed.
    pub fn attach(&self, stream: Stream) {
        self.send(Command::Attach(stream));
    }

    /// Has somebody hear what a life writes, from what is taken next; before its streams are attached, all of it.
    pub fn listen(&self, id: InstanceId, incarnation: Incarnation, ear: Ear) {
        self.send(Command::Hear(id, incarnation, ear));
    }

    /// The process of this life is gone: writes what its streams still have, then reports [`LogReport::Drained`] once. A
    /// stream that some other process keeps open is given up `deadline_ms` milliseconds from now.
    pub fn drain(&self, id: InstanceId, incarnation: Incarnation, deadline_ms: u64) {
        self.send(Command::Drain(id, incarnation, Duration::from_millis(deadline_ms)));
    }

    /// Closes all files and opens them again by name: for a rotation by someone else.
    pub fn reopen_all(&self) {
        self.send(Command::ReopenAll);
    }

    /// Rotates by these rules from now on, instead of those before.
    pub fn rotate_by(&self, rotation: Rotation) {
        self.send(Command::Rotation(Box::new(rotation)));
    }

    /// Rotates the daemon's own log if it is large enough by now.
    pub fn own_has_grown(&self) {
        self.send(Command::Outgrown);
    }

    /// Empties these files, whether or not a stream writes to them, then calls `then` on the log thread. A failure is
    /// reported as trouble of the path.
    pub fn flush(&self, paths: Vec<PathBuf>, then: impl FnOnce() + Send + 'static) {
        self.send(Command::Flush(paths, Box::new(then)));
    }

    /// Duplicates of everything that must survive this process, under the guard's names: the read ends of all streams
    /// and the batch pipe.
    ///
    /// # Errors
    /// No descriptors are left, or the thread has ended.
    pub fn descriptors(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let (sender, receiver) = channel();
        self.send(Command::Descriptors(sender));
        let mut all = receiver.recv().map_err(|_| io::Error::other("the log thread has ended"))??;
        let (reader, writer) = self.batch_pipe()?;
        all.push(("batch:r".into(), reader));
        all.push(("batch:w".into(), writer));
        Ok(all)
    }

    /// Ends the thread after the batch under way. What the FIFOs hold stays there.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    fn send(&self, command: Command) {
        // The receiver is gone only when the thread is, and then nothing can be done for a stream any more.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.end();
    }
}
