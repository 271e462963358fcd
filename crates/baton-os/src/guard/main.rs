//! The guard's loop.

use super::table::{CAPACITY, Facts, Table};
use super::wire::{self, BATCH, Frame, Header, Kind, Name, Received, answer};
use super::{READY_FD, children, image, raw};
use crate::memory;
use baton_core::world::Exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::CString;
use std::ops::ControlFlow;

/// A daemon that answered and lived this long, in milliseconds, has proved itself: the pauses begin anew.
const PROVED: u64 = 10_000;
/// The first pause before a restart that is not immediate, in milliseconds. Each next one is twice as long.
const PAUSE: u64 = 100;
/// The longest pause, in milliseconds.
const PAUSE_MAX: u64 = 5_000;
/// How many daemons in a row may end without ever having answered before a guard with nothing to hold gives up.
const ATTEMPTS: u32 = 5;
/// How many exits are told to a daemon before it has consumed one.
const TOLD_MAX: usize = 1024;
/// What the kernel is asked to subtract when it must end a process for memory: without the guard exits are lost.
const OOM_SCORE_ADJ: i32 = -900;

struct Daemon {
    pid: u32,
    socket: OwnedFd,
    /// It still reads and writes its socket.
    connected: bool,
    /// When it was started, on the monotonic clock in milliseconds.
    since: u64,
    ready: bool,
    standing_down: bool,
    /// Children whose exits it has been told and has not consumed.
    told: Vec<u32>,
    /// Children have to be looked through.
    look: bool,
    /// The socket was full; go on when there is room.
    blocked: bool,
    /// An answer that did not fit. Nothing is read while there is one, so that one is enough.
    answer: Option<Frame>,
    /// A `TakeBack` under way: its number, and the slot to go on from.
    giving_back: Option<(u32, usize)>,
}

struct Guard {
    home: CString,
    facts: Facts,
    table: Table,
    signals: OwnedFd,
    daemon: Option<Daemon>,
    /// When to start the next daemon, on the monotonic clock in milliseconds.
    start_at: u64,
    /// Deaths in a row without a daemon that proved itself.
    deaths: u32,
    /// A daemon answered at some time, here or before this guard resumed.
    ever_ready: bool,
    /// The pipe for the first daemon's readiness.
    ready_pipe: Option<OwnedFd>,
    /// Somebody asked the guard to end; a daemon that answers has yet to be told.
    end_asked: bool,
    /// The executable to become when the daemon has exited.
    update: Option<OwnedFd>,
}

/// What the loop does next.
type Next = ControlFlow<i32>;

/// Entry of `baton guard --home H [--resume N]`. Never returns: the exit code is 0 after a daemon that stood the
/// guard down, 1 when no daemon could be made to answer, 2 for wrong arguments.
pub fn main() -> ! {
    let code = match prepare() {
        Ok(mut guard) => loop {
            if let ControlFlow::Break(code) = guard.turn() {
                break code;
            }
        },
        Err(text) => {
            raw::log(format_args!("{text}"));
            2
        }
    };
    std::process::exit(code)
}

fn prepare() -> Result<Guard, &'static str> {
    let (mut home, mut resume) = (None, None);
    let mut args = std::env::args_os().skip(2);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--home") => home = args.next(),
            Some("--resume") => resume = args.next().and_then(|text| text.to_str()?.parse().ok()),
            _ => return Err("unknown argument: usage is `baton guard --home DIR`"),
        }
    }
    let home = raw::c_string(&home.ok_or("no --home: usage is `baton guard --home DIR`")?);
    let number = |text: std::ffi::OsString| text.to_str()?.parse().ok();
    let ready = if resume.is_none() { std::env::var_os(READY_FD).and_then(number) } else { None };
    if resume.is_none() {
        // What the caller leaked to us would stay open, and its reader wait, for as long as we live.
        raw::close_others(ready, raw::Close::Now);
        // Fails when we lead a group already, in a foreground shell or under a service manager: just as good.
        let _ = rustix::process::setsid();
        // Else the caller's directory could not be unmounted.
        let _ = rustix::process::chdir(c"/");
    }
    let ready_pipe = ready.and_then(raw::inherited);
    let signals = raw::take_signals().map_err(|_| "can't take signals through a descriptor")?;
    // Whatever is orphaned below us becomes ours; any value but `None` says yes.
    if rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_err() {
        raw::log(format_args!("not a subreaper: exits of orphans will be unknown"));
    }
    let loaded = resume.and_then(raw::inherited).map(|memfd| Table::load(&memfd, CAPACITY));
    if let Some(None) = loaded {
        raw::log(format_args!("the table of the guard before can't be read: holding nothing"));
    }
    let (table, mut facts) = loaded.flatten().unwrap_or_else(|| (Table::new(CAPACITY), Facts::default()));
    if resume.is_none() {
        facts.nofile = crate::limits::raise_nofile();
        facts.oom_score_adj = lower_oom_score();
    }
    Ok(Guard {
        home,
        facts,
        table,
        signals,
        daemon: None,
        start_at: 0,
        deaths: 0,
        ever_ready: resume.is_some(),
        ready_pipe,
        end_asked: false,
        update: None,
    })
}

/// Makes it unlikely that the kernel ends us for memory, where that is permitted; the adjustment there was before.
fn lower_oom_score() -> Option<i32> {
    let file = rustix::fs::open(c"/proc/self/oom_score_adj", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0; 16];
    let len = rustix::io::read(&file, &mut text).ok()?;
    let before: i32 = std::str::from_utf8(&text[..len]).ok()?.trim().parse().ok()?;
    if before <= OOM_SCORE_ADJ {
        return None;
    }
    rustix::io::write(&file, OOM_SCORE_ADJ.to_string().as_bytes()).ok()?;
    Some(before)
}

/// Milliseconds on the monotonic clock.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1000 + time.tv_nsec.cast_unsigned() / 1_000_000
}

/// How long to wait before the next start, in milliseconds, after this many deaths in a row before the last.
fn pause(deaths: u32) -> u64 {
    match deaths {
        0 => 0,
        _ => (PAUSE << (deaths - 1).min(16)).min(PAUSE_MAX),
    }
}

impl Guard {
    fn turn(&mut self) -> Next {
        let mut timeout = None;
        if self.daemon.is_none() {
            let now = now();
            if self.start_at <= now {
                return self.start();
            }
            let wait = self.start_at - now;
            let nanos = (wait % 1000 * 1_000_000).cast_signed();
            timeout = Some(Timespec { tv_sec: (wait / 1000).cast_signed(), tv_nsec: nanos });
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.tell(&self.table);
        }
        let mut fds = [PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.signals, PollFlags::empty())];
        if let Some(daemon) = self.daemon.as_ref().filter(|daemon| daemon.connected) {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, !daemon.is_answering());
            events.set(PollFlags::OUT, daemon.is_answering() || daemon.blocked);
            fds[1] = PollFd::new(&daemon.socket, events);
        }
        // Interrupted or out of memory: look again.
        let _ = poll(&mut fds, timeout.as_ref());
        let (signalled, socket) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if socket {
            self.serve();
        }
        if signalled {
            return self.signalled();
        }
        Next::Continue(())
    }

    fn start(&mut self) -> Next {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        // The CLI waits for the end of this pipe, so our copy goes with this attempt.
        let ready = self.ready_pipe.take();
        let started = pair.map_err(std::io::Error::from).and_then(|(ours, theirs)| {
            let ready = ready.as_ref().map(AsFd::as_fd);
            Ok((image::start_daemon(&self.home, &self.facts, theirs.as_fd(), ready)?, ours))
        });
        match started {
            Ok((pid, socket)) => {
                self.daemon = Some(Daemon::new(pid, socket));
                Next::Continue(())
            }
            Err(error) => {
                raw::log(format_args!("can't start the daemon: {error}"));
                self.fall_back();
                self.again(None)
            }
        }
    }

    fn signalled(&mut self) -> Next {
        let (child, end) = raw::read_signals(self.signals.as_fd());
        if end {
            self.end_asked = true;
            // The daemon is what can end: without one, the next is started now.
            self.start_at = 0;
            self.pass_on_end();
        }
        let Some(daemon) = &mut self.daemon else { return Next::Continue(()) };
        if child {
            daemon.look = true;
            // The daemon's pid is its own until we consume it, so this needs no pidfd.
            if children::peek(daemon.pid).is_some() {
                return self.daemon_ended();
            }
        }
        Next::Continue(())
    }

    /// Asks the daemon to end: it will stand us down. One that can't answer yet would only die and be started again.
    fn pass_on_end(&mut self) {
        if let Some(daemon) = self.daemon.as_ref().filter(|daemon| self.end_asked && daemon.ready) {
            self.end_asked = false;
            if let Some(pid) = Pid::from_raw(daemon.pid.cast_signed()) {
                // Our unconsumed child: it is there, perhaps as a zombie, which is told the same way.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }

    fn daemon_ended(&mut self) -> Next {
        // Its last words count: a request to stand down is one of them.
        while let Some(daemon) = &mut self.daemon {
            (daemon.answer, daemon.giving_back) = (None, None);
            if self.serve_one() != Received::Frame {
                break;
            }
        }
        let Some(daemon) = self.daemon.take() else { return Next::Continue(()) };
        let exit = children::consume(daemon.pid).unwrap_or(Exit::Unknown);
        raw::log(format_args!("the daemon (pid {}) {exit}", daemon.pid));
        if !daemon.ready {
            self.fall_back();
        }
        // A daemon that never answered can't end what one before it began.
        if daemon.standing_down && (daemon.ready || !self.ever_ready) {
            return Next::Break(0);
        }
        if let Some(exe) = self.update.take() {
            self.change_to(exe);
            return self.again(None);
        }
        self.again(Some(&daemon))
    }

    /// Plans the next start after the end of `last`, or after a start that failed.
    fn again(&mut self, last: Option<&Daemon>) -> Next {
        let now = now();
        if last.is_some_and(|last| last.ready && now.saturating_sub(last.since) >= PROVED) {
            self.deaths = 0;
        }
        let pause = pause(self.deaths);
        self.deaths = self.deaths.saturating_add(1);
        if !self.ever_ready && self.deaths >= ATTEMPTS && self.table.is_empty() && !has_children() {
            raw::log(format_args!("giving up: {ATTEMPTS} daemons ended before they were ready, and nothing is held"));
            return Next::Break(1);
        }
        raw::log(format_args!("starting a daemon in {pause} ms"));
        self.start_at = now + pause;
        Next::Continue(())
    }

    /// Becomes the executable of an update. Returns when that failed.
    fn change_to(&mut self, exe: OwnedFd) {
        self.facts.previous = image::own_executable().ok();
        let error = image::become_guard_of(exe.as_fd(), &self.home, &self.table, &self.facts);
        self.facts.previous = None;
        raw::log(format_args!("can't run the new executable: {error}; staying with this one"));
    }

    /// Goes back to the executable before an update whose daemon never answered. Returns when there is none.
    fn fall_back(&mut self) {
        if let Some(previous) = self.facts.previous.take() {
            raw::log(format_args!("the new executable's daemon was never ready: going back to the one before"));
            let error = image::become_guard_of(previous.as_fd(), &self.home, &self.table, &self.facts);
            raw::log(format_args!("can't run the executable before: {error}; staying with this one"));
        }
    }

    fn serve(&mut self) {
        while self.daemon.as_ref().is_some_and(|daemon| daemon.connected && !daemon.is_answering()) {
            if self.serve_one() != Received::Frame {
                break;
            }
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.blocked = false;
        }
    }

    /// Reads and carries out one request.
    fn serve_one(&mut self) -> Received {
        let Some(daemon) = &mut self.daemon else { return Received::Nothing };
        let mut frame = Frame::new(Header::new(Kind::Ack, 0, 0));
        let mut fds = [const { None }; BATCH];
        let mut count = 0;
        let received = wire::receive(&daemon.socket, &mut frame, |fd| {
            if let Some(place) = fds.get_mut(count) {
                *place = Some(fd);
                count += 1;
            }
        });
        match received {
            Ok(Received::Frame) => {}
            Ok(Received::Nothing) => return Received::Nothing,
            Ok(Received::End) | Err(_) => {
                daemon.connected = false;
                return Received::End;
            }
        }
        match frame.header() {
            Ok(header) => self.carry_out(&header, &frame, &mut fds[..count]),
            Err(error) => raw::log(format_args!("a request is left out: {error}")),
        }
        Received::Frame
    }

    fn carry_out(&mut self, header: &Header, frame: &Frame, fds: &mut [Option<OwnedFd>]) {
        let Some(daemon) = &mut self.daemon else { return };
        match header.kind {
            Kind::Hold => {
                let (answer, refused) = hold(&mut self.table, frame, fds);
                daemon.acknowledge(header.seq, answer, refused);
            }
            Kind::Release => {
                for fd in frame.names().filter_map(|name| self.table.remove(&name)) {
                    // The daemon and its workers may have copies: a listener keeps its port until this. Of anything
                    // but a socket it is refused, and the close that follows is all.
                    let _ = shutdown(&fd, Shutdown::Both);
                }
                daemon.acknowledge(header.seq, answer::DONE, None);
            }
            Kind::TakeBack => daemon.giving_back = Some((header.seq, 0)),
            Kind::Consume => {
                let pid = header.value as u32;
                if pid != daemon.pid && children::consume(pid).is_some() {
                    daemon.look |= daemon.told.len() == TOLD_MAX;
                    daemon.told.retain(|told| *told != pid);
                }
            }
            Kind::Ready => {
                daemon.ready = true;
                self.ever_ready = true;
                // The update has proved itself.
                self.facts.previous = None;
                self.pass_on_end();
                // From here on little of us is in use, for as long as all goes well.
                memory::give_back_program();
            }
            Kind::StandDown => {
                daemon.standing_down = true;
                daemon.acknowledge(header.seq, answer::DONE, None);
            }
            Kind::Update => {
                self.update = fds.first_mut().and_then(Option::take);
                let answer = if self.update.is_some() { answer::DONE } else { answer::LOST };
                daemon.acknowledge(header.seq, answer, None);
            }
            Kind::Ack | Kind::Held | Kind::ChildExited => {
                raw::log(format_args!("a request is left out: it is one of ours"));
            }
        }
    }
}

/// Holds a batch whole or not at all.
fn hold(table: &mut Table, frame: &Frame, fds: &mut [Option<OwnedFd>]) -> (u64, Option<Name>) {
    if frame.names().count() != fds.len() {
        return (answer::LOST, None);
    }
    if let Some(name) = table.first_without_place(frame.names()) {
        return (answer::FULL, Some(name));
    }
    let log = Name::new(super::LOG.as_bytes());
    for (name, fd) in frame.names().zip(fds.iter_mut().filter_map(Option::take)) {
        if Some(&name) == log.as_ref() {
            raw::log_to(&fd);
        } else {
            table.put(name, fd);
        }
    }
    (answer::DONE, None)
}

fn has_children() -> bool {
    let mut any = false;
    children::each(|_| {
        any = true;
        ControlFlow::Break(())
    });
    any
}

impl Daemon {
    fn new(pid: u32, socket: OwnedFd) -> Daemon {
        Daemon {
            pid,
            socket,
            connected: true,
            since: now(),
            ready: false,
            standing_down: false,
            told: Vec::with_capacity(TOLD_MAX),
            // What its predecessor left, and what ended in between.
            look: true,
            blocked: false,
            answer: None,
            giving_back: None,
        }
    }

    fn is_answering(&self) -> bool {
        self.answer.is_some() || self.giving_back.is_some()
    }

    fn acknowledge(&mut self, seq: u32, answer: u64, name: Option<Name>) {
        let mut frame = Frame::new(Header::new(Kind::Ack, seq, answer));
        if let Some(name) = name {
            frame.push(&name);
        }
        if wire::send(&self.socket, &frame, &[]) == Err(Errno::AGAIN) {
            self.answer = Some(frame);
        }
    }

    /// Sends what there is to say, as far as there is room: an answer, what is held, exits.
    fn tell(&mut self, table: &Table) {
        if let Some(frame) = self.answer.take()
            && wire::send(&self.socket, &frame, &[]) == Err(Errno::AGAIN)
        {
            self.answer = Some(frame);
            return;
        }
        while let Some((seq, from)) = self.giving_back {
            match give_back(&self.socket, table, seq, from) {
                Ok(next) => self.giving_back = next.map(|next| (seq, next)),
                Err(Errno::AGAIN) => return,
                // It is gone; its end is on the way.
                Err(_) => self.giving_back = None,
            }
        }
        if std::mem::take(&mut self.look) {
            self.tell_exits();
        }
    }

    fn tell_exits(&mut self) {
        children::each(|pid| {
            if pid == self.pid || self.told.contains(&pid) {
                return ControlFlow::Continue(());
            }
            // Full: more is told when something of it has been consumed.
            if self.told.len() == TOLD_MAX {
                return ControlFlow::Break(());
            }
            let Some(exit) = children::peek(pid) else { return ControlFlow::Continue(()) };
            let (code, how) = match exit {
                Exit::Code(code) => (code, 0),
                Exit::Signal(signal) => (signal.0, 1),
                // Not known here: that is read from the group.
                Exit::OutOfMemory(_) => (baton_core::world::Signal::KILL.0, 1),
                Exit::Unknown => (0, 2),
            };
            let extra = children::start_time(pid).unwrap_or_default();
            let header = Header { extra, code, how, ..Header::new(Kind::ChildExited, 0, u64::from(pid)) };
            match wire::send(&self.socket, &Frame::new(header), &[]) {
                Ok(()) => {
                    self.told.push(pid);
                    ControlFlow::Continue(())
                }
                Err(Errno::AGAIN) => {
                    // Nothing is queued: the zombies are found again when there is room.
                    (self.look, self.blocked) = (true, true);
                    ControlFlow::Break(())
                }
                Err(_) => ControlFlow::Break(()),
            }
        });
    }
}

/// Sends one batch of what is held, from slot `from` on; the slot to go on from, if there is more.
fn give_back(socket: &OwnedFd, table: &Table, seq: u32, from: usize) -> Result<Option<usize>, Errno> {
    let mut frame = Frame::new(Header::new(Kind::Held, seq, 0));
    // Filled up to `count`; the socket itself is only what the rest of the array is made of.
    let mut fds = [socket.as_fd(); BATCH];
    let mut count = 0;
    let mut at = from;
    while count < BATCH
        && let Some((next, name, fd)) = table.next(at)
    {
        frame.push(name);
        fds[count] = fd;
        count += 1;
        at = next;
    }
    let more = table.next(at).is_some();
    frame.set_value(u64::from(more));
    wire::send(socket, &frame, &fds[..count])?;
    Ok(more.then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_five_seconds() {
        let pauses: Vec<u64> = (0..9).map(pause).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }
}
