//! The daemon's end of the socket to its guard.
//!
//! One thread reads answers and events. Sending never waits: what finds no room is queued and sent by that thread,
//! so that a caller, and a callback on the thread itself, can send at any time.

use super::wire::{self, BATCH, Frame, Header, Kind, NAME_MAX, Name, Received, answer};
use super::{GUARD_FD, raw};
use baton_core::world::{Exit, Signal};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the guard has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardEvent {
    /// A child of the guard ended: an app of an earlier daemon, or the orphan of some app. It stays a zombie until
    /// [`GuardLink::consume`] is called, **also for a pid the daemon doesn't know**. Told once to each daemon.
    ChildExited {
        /// Its pid, which is not used again before it is consumed.
        pid: u32,
        /// When it started, in clock ticks since boot; 0 if the kernel did not tell.
        start_time: u64,
        /// How it ended.
        exit: Exit,
    },
    /// The guard is gone. See [`takeover`](super::takeover).
    Lost,
}

/// The connection to the guard. Clones share it.
#[derive(Clone)]
pub struct GuardLink {
    shared: Arc<Shared>,
}

type Answer = io::Result<Vec<(String, OwnedFd)>>;

enum Waiter {
    Caller(Sender<Answer>, Vec<(String, OwnedFd)>),
    Callback(Box<dyn FnOnce() + Send>),
}

#[derive(Default)]
struct State {
    last_seq: u32,
    waiting: HashMap<u32, Waiter>,
    queue: VecDeque<(Frame, Vec<Arc<OwnedFd>>)>,
    lost: bool,
}

struct Shared {
    socket: OwnedFd,
    /// Wakes the thread when something was queued.
    wake: OwnedFd,
    guard_pid: u32,
    state: Mutex<State>,
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the guard is gone")
}

impl GuardLink {
    /// Connects to the guard that started this process, if one did. `on_event` is called on the link's own thread,
    /// which ends after [`GuardEvent::Lost`].
    ///
    /// # Errors
    /// When the variable names no socket of a guard, or the thread can't be started.
    pub fn from_env(on_event: impl Fn(GuardEvent) + Send + 'static) -> io::Result<Option<GuardLink>> {
        let Some(text) = std::env::var_os(GUARD_FD) else { return Ok(None) };
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{GUARD_FD} names no socket of a guard"));
        let number = text.to_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let socket = raw::inherited(number).ok_or_else(wrong)?;
        // A number that was left in the environment may by now be anything.
        let kind = rustix::net::sockopt::socket_type(&socket);
        if kind != Ok(rustix::net::SocketType::SEQPACKET) {
            // It is not ours to close either.
            let _ = rustix::fd::IntoRawFd::into_raw_fd(socket);
            return Err(wrong());
        }
        GuardLink::over(socket, on_event).map(Some)
    }

    fn over(socket: OwnedFd, on_event: impl Fn(GuardEvent) + Send + 'static) -> io::Result<GuardLink> {
        // Who made the pair, not who our parent is now: the guard may be gone already.
        let guard_pid = rustix::net::sockopt::socket_peercred(&socket)?.pid.as_raw_nonzero().get().cast_unsigned();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { socket, wake, guard_pid, state: Mutex::default() });
        let link = GuardLink { shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("guard-link".into()).stack_size(128 * 1024).spawn(move || {
            shared.run(&on_event);
            for waiter in shared.lose() {
                match waiter {
                    // Dropping the sender tells the caller.
                    Waiter::Caller(..) => {}
                    // With the guard its descriptors went too: what was to be released is released.
                    Waiter::Callback(then) => then(),
                }
            }
            on_event(GuardEvent::Lost);
        })?;
        Ok(link)
    }

    /// The guard's pid.
    pub fn pid(&self) -> u32 {
        self.shared.guard_pid
    }

    /// Copies of everything the guard holds, by name. The guard goes on holding them.
    ///
    /// # Errors
    /// When the guard is gone.
    pub fn take_back(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        self.ask(|seq| Frame::new(Header::new(Kind::TakeBack, seq, 0)), Vec::new())
    }

    /// Gives descriptors to the guard, under names of 1 to 63 bytes, and waits until it has them. A name that it
    /// holds already gets the new descriptor.
    ///
    /// # Errors
    /// When a name is of another length, the guard's table is full (the text says the name that found no place;
    /// of the batch of up to 64 with that name none is held) or it is gone.
    pub fn hold(&self, descriptors: Vec<(String, OwnedFd)>) -> io::Result<()> {
        self.begin_hold(descriptors)?.wait()
    }

    /// As [`GuardLink::hold`], but does not wait: [`Holding::wait`] does.
    ///
    /// # Errors
    /// When a name is of another length or the guard is gone.
    pub fn begin_hold(&self, descriptors: Vec<(String, OwnedFd)>) -> io::Result<Holding> {
        let mut answers = Vec::new();
        let mut named = Vec::with_capacity(descriptors.len());
        for (name, fd) in descriptors {
            named.push((short(&name)?, Arc::new(fd)));
        }
        for batch in named.chunks(BATCH) {
            let fds = batch.iter().map(|(_, fd)| Arc::clone(fd)).collect();
            let frame = |seq| {
                let mut frame = Frame::new(Header::new(Kind::Hold, seq, 0));
                for (name, _) in batch {
                    frame.push(name);
                }
                frame
            };
            answers.push(self.begin_ask(frame, fds)?);
        }
        Ok(Holding(answers))
    }

    /// Has the guard close descriptors, sockets after a shutdown, so that their ports are free. `then` is called on
    /// the link's thread when that is done, or when the guard is gone and its descriptors with it. Names that it
    /// doesn't hold are no error.
    pub fn release(&self, names: Vec<String>, then: Box<dyn FnOnce() + Send>) {
        // A name that could not be held is not held.
        let names: Vec<Name> = names.iter().filter_map(|name| short(name).ok()).collect();
        // Requests are carried out in order, so the last answer is the answer to all.
        let mut then = Some(then);
        let mut batches = names.chunks(BATCH).peekable();
        if batches.peek().is_none() {
            return then.into_iter().for_each(|then| then());
        }
        while let Some(batch) = batches.next() {
            let last = if batches.peek().is_none() { then.take() } else { None };
            let waiter = Waiter::Callback(last.unwrap_or_else(|| Box::new(|| ())));
            let refused = self.shared.request(waiter, Vec::new(), |seq| {
                let mut frame = Frame::new(Header::new(Kind::Release, seq, 0));
                for name in batch {
                    frame.push(name);
                }
                frame
            });
            if let Err(Waiter::Callback(then)) = refused {
                then();
            }
        }
    }

    /// The exit of this child of the guard is recorded: its zombie may go.
    pub fn consume(&self, pid: u32) {
        self.shared.send(
            &mut self.shared.lock(),
            Frame::new(Header::new(Kind::Consume, 0, u64::from(pid))),
            Vec::new(),
        );
    }

    /// This daemon answers its clients now: an update it came from stands, and after ten seconds of life its death
    /// counts as the first.
    pub fn ready(&self) {
        self.shared.send(&mut self.shared.lock(), Frame::new(Header::new(Kind::Ready, 0, 0)), Vec::new());
    }

    /// Has the guard exit, and start nothing, after this process has exited. Waits until it knows.
    ///
    /// Honoured of a daemon that called [`ready`](GuardLink::ready), or while none has: one that can't begin does not
    /// end what another left.
    pub fn stand_down(&self) {
        // Without a guard nothing is restarted either.
        let _ = self.ask(|seq| Frame::new(Header::new(Kind::StandDown, seq, 0)), Vec::new());
    }

    /// Has the guard become this executable once this process has exited, and start the next daemon from it. If that
    /// one ends before it is ready, the guard goes back to the executable it runs now. The caller has made sure that
    /// the file runs here.
    ///
    /// # Errors
    /// When the guard is gone or has no room for the descriptor.
    pub fn update(&self, exe: OwnedFd) -> io::Result<()> {
        self.ask(|seq| Frame::new(Header::new(Kind::Update, seq, 0)), vec![Arc::new(exe)]).map(drop)
    }

    fn ask(&self, frame: impl FnOnce(u32) -> Frame, fds: Vec<Arc<OwnedFd>>) -> Answer {
        wait_for(&self.begin_ask(frame, fds)?)
    }

    fn begin_ask(&self, frame: impl FnOnce(u32) -> Frame, fds: Vec<Arc<OwnedFd>>) -> io::Result<Receiver<Answer>> {
        let (sender, receiver) = channel();
        let refused = self.shared.request(Waiter::Caller(sender, Vec::new()), fds, frame);
        if refused.is_err() { Err(gone()) } else { Ok(receiver) }
    }
}

fn wait_for(answer: &Receiver<Answer>) -> Answer {
    answer.recv().unwrap_or_else(|_| Err(gone()))
}

/// Descriptors on their way to the guard.
#[derive(Debug)]
#[must_use = "the guard has them for sure only after `wait`"]
pub struct Holding(Vec<Receiver<Answer>>);

impl Holding {
    /// Waits until the guard has them.
    ///
    /// # Errors
    /// As [`GuardLink::hold`].
    pub fn wait(self) -> io::Result<()> {
        self.0.iter().try_for_each(|answer| wait_for(answer).map(drop))
    }
}

impl fmt::Debug for GuardLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLink").field("guard_pid", &self.shared.guard_pid).finish_non_exhaustive()
    }
}

fn short(name: &str) -> io::Result<Name> {
    Name::new(name.as_bytes()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("the name {name:?} has not 1 to {NAME_MAX} bytes"))
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; if one did, the state is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers who waits for the answer, and sends. Gives the waiter back when the guard is gone.
    fn request(&self, waiter: Waiter, fds: Vec<Arc<OwnedFd>>, frame: impl FnOnce(u32) -> Frame) -> Result<(), Waiter> {
        let mut state = self.lock();
        if state.lost {
            return Err(waiter);
        }
        state.last_seq = state.last_seq.wrapping_add(1);
        let seq = state.last_seq;
        state.waiting.insert(seq, waiter);
        self.send(&mut state, frame(seq), fds);
        Ok(())
    }

    /// Sends now, or has the thread do it when there is room. A guard that is gone is noticed by the thread.
    fn send(&self, state: &mut State, frame: Frame, fds: Vec<Arc<OwnedFd>>) {
        if state.lost {
            return;
        }
        if state.queue.is_empty() && transmit(&self.socket, &frame, &fds) != Err(Errno::AGAIN) {
            return;
        }
        state.queue.push_back((frame, fds));
        // Fails only when the counter is full, and then the thread is awake anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// From now on nothing is sent; who waited is returned.
    fn lose(&self) -> Vec<Waiter> {
        let mut state = self.lock();
        state.lost = true;
        state.queue.clear();
        state.waiting.drain().map(|(_, waiter)| waiter).collect()
    }

    /// Until the guard is gone.
    fn run(&self, on_event: &impl Fn(GuardEvent)) {
        let mut frame = Frame::new(Header::new(Kind::Ack, 0, 0));
        loop {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, self.flush());
            let mut fds = [PollFd::new(&self.socket, events), PollFd::new(&self.wake, PollFlags::IN)];
            // Interrupted: look again.
            let _ = poll(&mut fds, None);
            // Empties the counter; there may be nothing in it.
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
            loop {
                let mut fds = Vec::new();
                match wire::receive(&self.socket, &mut frame, |fd| fds.push(fd)) {
                    Ok(Received::Frame) => self.handle(&frame, fds, on_event),
                    Ok(Received::Nothing) => break,
                    Ok(Received::End) | Err(_) => return,
                }
            }
        }
    }

    /// Sends what is queued, as far as there is room. True: something is left.
    fn flush(&self) -> bool {
        let mut state = self.lock();
        while let Some((frame, fds)) = state.queue.front() {
            if transmit(&self.socket, frame, fds) == Err(Errno::AGAIN) {
                return true;
            }
            state.queue.pop_front();
        }
        false
    }

    fn handle(&self, frame: &Frame, fds: Vec<OwnedFd>, on_event: &impl Fn(GuardEvent)) {
        // Guard and daemon are the same executable: a frame that can't be read has no one to complain to.
        let Ok(header) = frame.header() else { return };
        match header.kind {
            Kind::ChildExited => {
                let exit = match header.how {
                    0 => Exit::Code(header.code),
                    1 => Exit::Signal(Signal(header.code)),
                    _ => Exit::Unknown,
                };
                on_event(GuardEvent::ChildExited { pid: header.value as u32, start_time: header.extra, exit });
            }
            Kind::Held => {
                let mut state = self.lock();
                let Some(Waiter::Caller(_, held)) = state.waiting.get_mut(&header.seq) else { return };
                let names = frame.names().map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
                held.extend(names.zip(fds));
                if header.value == 0
                    && let Some(Waiter::Caller(sender, held)) = state.waiting.remove(&header.seq)
                {
                    // A caller waits until it is answered.
                    let _ = sender.send(Ok(held));
                }
            }
            Kind::Ack => {
                let waiter = self.lock().waiting.remove(&header.seq);
                match waiter {
                    Some(Waiter::Caller(sender, _)) => {
                        let _ = sender.send(verdict(&header, frame));
                    }
                    Some(Waiter::Callback(then)) => then(),
                    None => {}
                }
            }
            _ => {}
        }
    }
}

fn verdict(header: &Header, frame: &Frame) -> Answer {
    match header.value {
        answer::DONE => Ok(Vec::new()),
        answer::FULL => {
            let name = frame.names().next();
            let name = String::from_utf8_lossy(name.as_ref().map_or(&b"?"[..], Name::as_bytes)).into_owned();
            Err(io::Error::other(format!("the guard's table of descriptors is full: no place for {name}")))
        }
        _ => Err(io::Error::other("the guard has no room for more open files")),
    }
}

fn transmit(socket: &OwnedFd, frame: &Frame, fds: &[Arc<OwnedFd>]) -> Result<(), Errno> {
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    wire::send(socket, frame, &fds)
}
