//! A home with a guard, and the test's end of the sockets to its daemons.

use baton_os::guard::{Readiness, launch_guard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, pidfd_send_signal, waitid,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

/// After this a test has failed; nothing that passes waits for it.
const LIMIT: Duration = Duration::from_secs(30);

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

pub(crate) struct Home {
    dir: tempfile::TempDir,
    listener: UnixListener,
    /// Whom to kill when the test fails: guards first.
    started: RefCell<Vec<OwnedFd>>,
}

/// One daemon's introduction and its socket.
pub(crate) struct Daemon {
    pub(crate) pid: u32,
    pub(crate) guard: u32,
    pub(crate) exe: PathBuf,
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    events: VecDeque<String>,
}

/// The test's end of an app's FIFO; dropping it ends the app.
pub(crate) struct App {
    pub(crate) pid: u32,
    _end: File,
}

impl Home {
    /// A home with a guard and a connected daemon that is ready.
    pub(crate) fn started() -> (Home, Daemon) {
        let (home, readiness) = Home::launched();
        let mut daemon = home.daemon();
        assert_eq!(daemon.tell("ready"), "ok");
        readiness.wait().unwrap();
        (home, daemon)
    }

    pub(crate) fn launched() -> (Home, Readiness) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("control")).unwrap();
        let home = Home { dir, listener, started: RefCell::default() };
        let readiness = launch_guard(home.dir.path(), &home.path("log")).unwrap();
        (home, readiness)
    }

    fn note(&self, number: u32) {
        // One that is gone already needs no killing.
        self.started.borrow_mut().extend(pidfd_open(pid(number), PidfdFlags::empty()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// The next daemon that is started, before it has connected to its guard.
    pub(crate) fn silent_daemon(&self) -> Daemon {
        let limit = Timespec { tv_sec: LIMIT.as_secs().cast_signed(), tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "no daemon came; the log says:\n{}", self.log());
        let (writer, _) = self.listener.accept().unwrap();
        writer.set_read_timeout(Some(LIMIT)).unwrap();
        let mut reader = BufReader::new(writer.try_clone().unwrap());
        let mut hello = String::new();
        reader.read_line(&mut hello).unwrap();
        let words: Vec<&str> = hello.trim_end().splitn(3, ' ').collect();
        let (pid, guard) = (words[0].parse().unwrap(), words[1].parse().unwrap());
        self.note(guard);
        self.note(pid);
        Daemon { pid, guard, exe: words[2].into(), reader, writer, events: VecDeque::new() }
    }

    /// The next daemon that is started, connected to its guard.
    pub(crate) fn daemon(&self) -> Daemon {
        let mut daemon = self.silent_daemon();
        assert_eq!(daemon.tell("connect"), format!("guard {}", daemon.guard));
        daemon
    }

    /// Starts an app as a child of `daemon`, and returns when it runs.
    pub(crate) fn app(&self, daemon: &mut Daemon, code: u8) -> App {
        let fifo = self.path(&format!("app{}", self.started.borrow().len()));
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let pid = daemon.tell(&format!("app {} {code}", fifo.display())).parse().unwrap();
        self.note(pid);
        App { pid, _end: OpenOptions::new().write(true).open(fifo).unwrap() }
    }

    /// Ends guard and daemon, and checks that the guard ends well.
    pub(crate) fn end(self, mut daemon: Daemon) {
        daemon.tell("ready again");
        assert_eq!(daemon.tell("stand-down"), "ok");
        daemon.order("exit 0");
        assert_eq!(exit_code(daemon.guard), Some(0), "the log says:\n{}", self.log());
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log said:\n{}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
            for process in self.started.borrow().iter() {
                // It may have ended by itself.
                let _ = pidfd_send_signal(process, Signal::KILL);
            }
        }
    }
}

impl Daemon {
    /// Gives an order that has no reply.
    pub(crate) fn order(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Gives an order and returns the reply.
    pub(crate) fn tell(&mut self, line: &str) -> String {
        self.order(line);
        loop {
            let line = self.line();
            match line.strip_prefix("event ") {
                Some(event) => self.events.push_back(event.to_owned()),
                None => return line,
            }
        }
    }

    /// The next event, waiting for it: `PID START EXIT`, or `lost`.
    pub(crate) fn event(&mut self) -> String {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let line = self.line();
        line.strip_prefix("event ").unwrap_or_else(|| panic!("no event: {line}")).to_owned()
    }

    /// Whether an event is here that was not asked for. The guard has then carried out all that came before.
    pub(crate) fn has_event(&mut self) -> bool {
        self.tell("take");
        !self.events.is_empty()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let len = self.reader.read_line(&mut line).unwrap();
        assert!(len > 0, "the daemon {} hung up", self.pid);
        line.trim_end().to_owned()
    }

    pub(crate) fn kill(self) {
        kill_process(pid(self.pid), Signal::KILL).unwrap();
    }
}

impl App {
    /// Whether it runs, or is a zombie: its pid is taken either way.
    pub(crate) fn exists(&self) -> bool {
        exists(self.pid)
    }
}

pub(crate) fn exists(number: u32) -> bool {
    PathBuf::from(format!("/proc/{number}")).exists()
}

pub(crate) fn signal(number: u32, signal: Signal) {
    kill_process(pid(number), signal).unwrap();
}

/// Awaits a guard, which is our child, and returns its exit code.
pub(crate) fn exit_code(number: u32) -> Option<i32> {
    waitid(WaitId::Pid(pid(number)), WaitIdOptions::EXITED).unwrap().unwrap().exit_status()
}
