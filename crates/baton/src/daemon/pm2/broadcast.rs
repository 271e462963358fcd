//! Everyone who is connected to `pub.sock` is told what programs say. The daemon is listened to only while somebody is.
//!
//! Who does not read misses messages: [`AHEAD`] bytes are kept for it.

use super::is_ours;
use crate::client::Client;
use crate::daemon::journal;
use crate::frame;
use crate::home::Home;
use baton_core::proto::ServerMessage;
use baton_pm2::amp::{Argument, encode};
use baton_pm2::bus::packet;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Bytes that may wait for one who listens.
const AHEAD: usize = 16 * 1024 * 1024;
/// Most who may listen; more are closed.
const MOST: usize = 256;

/// The hold on the thread.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    orders: Sender<Sender<()>>,
    wake: Arc<OwnedFd>,
}

impl Bus {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread or descriptor to be had.
    pub(super) fn start(home: Home, listener: UnixListener) -> io::Result<Bus> {
        listener.set_nonblocking(true)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, received) = channel();
        let worker =
            Worker { home, listener, orders: received, wake: Arc::clone(&wake), daemon: None, ears: Vec::new() };
        thread::Builder::new().name("pm2-pub".into()).spawn(move || {
            if let Err(error) = worker.run() {
                journal::warn(format_args!("PM2's bus can't go on: {error}"));
            }
        })?;
        Ok(Bus { orders, wake })
    }

    /// Waits until everyone who has connected is listened for.
    pub(super) fn settle(&self) {
        let (done, settled) = channel();
        if self.orders.send(done).is_ok() {
            let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
            // A thread that has ended has said why.
            let _ = settled.recv();
        }
    }
}

struct Worker {
    home: Home,
    listener: UnixListener,
    orders: Receiver<Sender<()>>,
    wake: Arc<OwnedFd>,
    /// What programs say comes from here.
    daemon: Option<BufReader<UnixStream>>,
    ears: Vec<Ear>,
}

struct Ear {
    stream: UnixStream,
    waiting: VecDeque<u8>,
    gone: bool,
}

impl Worker {
    fn run(mut self) -> io::Result<()> {
        loop {
            let mut ready = vec![PollFd::new(&*self.wake, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
            ready.extend(self.ears.iter().map(|ear| {
                let room = if ear.waiting.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
                PollFd::new(&ear.stream, PollFlags::IN | room)
            }));
            ready.extend(self.daemon.iter().map(|daemon| PollFd::new(daemon.get_ref(), PollFlags::IN)));
            match poll(&mut ready, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let said = self.daemon.is_some() && ready.last().is_some_and(|daemon| !daemon.revents().is_empty());
            drop(ready);
            // Empties the counter; there may be nothing in it.
            let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
            self.accept()?;
            for settled in self.orders.try_iter() {
                // Who asked may have gone.
                let _ = settled.send(());
            }
            if said && !self.hear() {
                return Ok(());
            }
            self.ears.iter_mut().for_each(Ear::look);
            self.ears.retain(|ear| !ear.gone);
            if self.ears.is_empty() {
                self.daemon = None;
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) if is_ours(&stream) && self.ears.len() < MOST => {
                    stream.set_nonblocking(true)?;
                    self.ears.push(Ear { stream, waiting: VecDeque::new(), gone: false });
                }
                Ok(_) => journal::warn("a connection to PM2's bus was refused"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.daemon.is_none() && !self.ears.is_empty() {
            let client = Client::connect(&self.home)?.ok_or_else(|| io::Error::other("the daemon is ending"))?;
            self.daemon = Some(client.hear().map_err(|error| io::Error::other(error.to_string()))?);
        }
        Ok(())
    }

    /// Passes on what the daemon has told. Says whether it is still there.
    fn hear(&mut self) -> bool {
        let Some(daemon) = &mut self.daemon else { return true };
        loop {
            match frame::read(daemon) {
                Ok(Some(ServerMessage::Message(said))) => {
                    let (topic, payload) = packet(&said);
                    // What is too long for PM2's framing nobody could read.
                    if let Ok(bytes) = encode(&[Argument::Text(topic), Argument::Json(payload)]) {
                        self.ears.iter_mut().for_each(|ear| ear.take(&bytes));
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
            if daemon.buffer().is_empty() {
                return true;
            }
        }
    }
}

impl Ear {
    fn take(&mut self, bytes: &[u8]) {
        if self.waiting.is_empty() || self.waiting.len() + bytes.len() <= AHEAD {
            self.waiting.extend(bytes);
        }
    }

    /// Sends what there is room for, and sees whether it is still there.
    fn look(&mut self) {
        while !self.waiting.is_empty() && !self.gone {
            match self.stream.write(self.waiting.as_slices().0) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
        let mut nothing = [0; 4096];
        while !self.gone {
            match self.stream.read(&mut nothing) {
                Ok(0) => self.gone = true,
                // Nobody says anything here.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
    }
}
